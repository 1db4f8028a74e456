"""What a forked child may do with what its parent uses: nothing, and it hears so at once; the parent loses nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parents[2])
# The parent has an order, a listing half read and a waiter in the lanes when it forks. The child says what it met, each
# in a line; it ends as a program does, with everything that it forgets.
PROGRAM = """
import asyncio, gc, logging, os, sys, threading
sys.path.insert(0, {root!r})
from orderbridge import OrderBridge, OrderRequest
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Retries
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from orderbridge.sync import SyncBridge
from tests.kind import KIND

# A connection that the parent lost is not made up for by another try.
ONCE = Retries(tries=1)
BUY = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000")
logging.disable()
PATH = sys.argv[1]
ENGINE = sys.argv[2]

def said(name, work):
    try:
        print(name, "->", work(), flush=True)
    except BaseException as error:
        print(name, "->", type(error).__name__, Exception.__str__(error), flush=True)

def in_child(child):
    process = os.fork()
    if process == 0:
        child()
        gc.collect()
        sys.exit(0)  # and not os._exit: what is still there is finalised
    print("child ended with", os.waitpid(process, 0)[1], flush=True)
"""

SYNC = """
with Simulator(seed=1, bitso=KIND) as sim:
    for _ in range(150):
        sim.bitso.put(status="completed")
    unused = SyncBridge(sim.bitso.gateway())
    bridge = SyncBridge(sim.bitso.gateway(transport=ENGINE, retries=ONCE), journal=SqliteJournal(PATH))
    placed = bridge.place("bitso", BUY, key="parent")
    listing = bridge.fills()
    next(listing)
    of_gateway = bridge["bitso"]

    def child():
        global bridge, listing, of_gateway
        said("place", lambda: bridge.place("bitso", BUY, key="child"))
        said("get", lambda: bridge.get(placed))
        said("of gateway", lambda: of_gateway.get(placed))
        said("listing", lambda: next(listing))
        said("a listing that is left", listing.close)
        said("enter", bridge.__enter__)
        said("close", bridge.close)
        said("after it", lambda: bridge.get(placed))
        said("one that was not used", lambda: unused.get(placed).status)
        said("its end", unused.close)
        said("the simulator", lambda: sim.run(sim.stop()))
        del bridge, listing, of_gateway

    in_child(child)
    print("parent ->", bridge.get(placed).status, bridge.cancel(placed).status, len(list(listing)))
    bridge.close()
"""

ASYNC = """
async def used(bridge, gateway, waiting):
    placed = await bridge.place("bitso", BUY, key="parent")
    await gateway.get(f"bitso/second:{placed.order_id}")
    waiting.append(asyncio.ensure_future(gateway.permit()))
    await asyncio.sleep(0)
    return placed

with Simulator(seed=1, bitso=KIND) as sim:
    one_a_day = Rate(1, 1 / 86_400)
    def second():
        return sim.bitso.gateway(account="second", transport=ENGINE, markets=None, limits=one_a_day)
    bridge = OrderBridge(sim.bitso.gateway(transport=ENGINE, limits=None, retries=ONCE))
    gateway, waiting = second(), []
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    def in_loop(call):
        return asyncio.run_coroutine_threadsafe(call, loop).result(30)
    placed = in_loop(used(bridge, gateway, waiting))

    def child():
        global bridge, gateway, waiting
        said("place", lambda: asyncio.run(bridge.place("bitso", BUY, key="child")))
        said("lookup", lambda: asyncio.run(bridge.lookup(placed)))
        said("gateway", lambda: asyncio.run(gateway.get(f"bitso/second:{placed.order_id}")))
        said("permit", lambda: asyncio.run(gateway.permit(timeout=0.1)))
        said("close of the bridge", lambda: asyncio.run(bridge.aclose()))
        said("close of the gateway", lambda: asyncio.run(gateway.aclose()))
        own = sim.bitso.gateway(transport=ENGINE, markets=None, limits=None)
        said("one of its own", lambda: asyncio.run(own.get(placed)).status)
        own = sim.bitso.gateway(account="own", limits=Rate(1, 1000.0))
        said("the lanes", lambda: asyncio.run(own.permit(timeout=30)).lane)
        del bridge, gateway, waiting

    in_child(child)
    async def parent():
        return (await bridge.get(placed)).status, (await bridge.cancel(placed)).status
    print("parent ->", *in_loop(parent()))
"""


def run(code: str, tmp_path: Path, engine: str) -> list[str]:
    # From 3.12 on, Python warns of every fork beside a thread; that is what is tried here.
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(root=ROOT) + code, str(tmp_path / "o.db"), engine]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


FORKED = "ConfigurationError this bridge was in use before the process was forked; make a new one in the child"


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
def test_a_forked_child_hears_at_once_that_the_bridge_is_its_parents(tmp_path: Path, engine: str) -> None:
    """No call of a `SyncBridge` waits for a thread that stayed in the parent, and none reaches the parent's sockets."""
    assert run(SYNC, tmp_path, engine) == [
        f"place -> {FORKED}",
        f"get -> {FORKED}",
        f"of gateway -> {FORKED}",
        f"listing -> {FORKED}",
        "a listing that is left -> None",
        f"enter -> {FORKED}",
        "close -> None",
        f"after it -> {FORKED}",
        "one that was not used -> open",
        "its end -> None",
        "the simulator -> RuntimeError this simulator runs in the process that was forked; make a new one in the child",
        "child ended with 0",
        "parent -> open cancelled 149",
    ]


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
def test_a_forked_child_uses_no_gateway_and_no_lanes_of_its_parent(tmp_path: Path, engine: str) -> None:
    """In a new loop of the child too: what the parent used is refused, and what waits there holds nobody up."""
    gateway = FORKED.replace("this bridge", "the gateway bitso/second")
    assert run(ASYNC, tmp_path, engine) == [
        f"place -> {FORKED}",
        f"lookup -> {FORKED}",
        f"gateway -> {gateway}",
        f"permit -> {gateway}",
        "close of the bridge -> None",
        "close of the gateway -> None",
        "one of its own -> open",
        "the lanes -> place",
        "child ended with 0",
        "parent -> open cancelled",
    ]
