"""A bridge without `await`, over one loop in a thread."""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from orderbridge import OrderBridge, OrderEdit, OrderRequest, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError, NotSupported, OrderNotFound
from orderbridge.simulator import Simulator
from orderbridge.sync import LoopThread, SyncBridge, unless_received

BUY = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000")


def test_a_day_of_a_bot(venue: Simulator, bridge: SyncBridge) -> None:
    """Submit, look up, edit, list, cancel and read fills, all without a loop of one's own."""
    placed = bridge["bitso"].submit(BUY)
    put = venue.bitso.put(status="completed")

    assert bridge.lookup(placed).orders[0].status is OrderStatus.OPEN
    assert bridge.get(placed.order_id).order_id == placed.order_id
    assert bridge.edit(placed, OrderEdit(quantity="0.02", price="570000")).quantity == BUY.quantity * 2  # type: ignore[operator]
    assert [order.order_id for order in bridge.open_orders()] == [placed.order_id]
    assert bridge.cancel(placed, wait="done").status is OrderStatus.CANCELLED
    assert [fill.order_id for fill in bridge.fills(f"bitso:{put.order_id}")] == [put.order_id]
    assert bridge.market("bitso", "BTC/MXN").symbol == "BTC/MXN"
    assert bridge.cancel_all(scope="account").is_complete
    listed = bridge.orders(since=venue.clock.now() - timedelta(days=1))
    assert list(listed) == []
    assert listed.left_out.keys() == {"bitso"}


def test_errors_come_through_as_they_are(bridge: SyncBridge) -> None:
    """What the asynchronous call raises is raised here, with its class."""
    with pytest.raises(OrderNotFound):
        bridge.get("bitso:nosuchorder00001")
    with pytest.raises(NotSupported):
        bridge["bitso"].orders(since=datetime.now(UTC))
    with pytest.raises(ConfigurationError):
        bridge["kraken"]


async def test_it_works_under_a_running_loop(venue: Simulator) -> None:
    """A notebook or a callback that runs in a loop may call it too."""
    put = venue.bitso.put()

    with SyncBridge(venue.bitso.gateway()) as bridge:
        order = bridge.get(put.order_id)

    assert order.order_id == put.order_id
    assert asyncio.get_running_loop().is_running()


def test_threads_share_one_bridge(venue: Simulator, bridge: SyncBridge) -> None:
    """Several threads may call at once."""
    oids = [venue.bitso.put().order_id for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda oid: bridge.get(f"bitso:{oid}").order_id, oids))

    assert found == oids


def test_iterator_that_is_left_is_closed(venue: Simulator, bridge: SyncBridge) -> None:
    """Leaving a listing half-way asks for no further page."""
    for _ in range(150):
        venue.bitso.put(status="completed")

    for _ in bridge.fills(gateways=["bitso"]):
        break

    assert venue.bitso.requests["GET /api/v3/user_trades"] == 1


def test_interrupted_call_ends_and_the_bridge_goes_on(venue: Simulator, bridge: SyncBridge) -> None:
    """Ctrl-C in a read, or in the middle of a listing, is raised at once; the next call works as ever."""
    put = venue.bitso.put(status="completed")

    def interrupted(call: Callable[[], object], operation: str) -> float:
        venue.bitso.fault("delay", operation=operation, nth=1, seconds=60.0)
        main = threading.main_thread().ident
        assert main is not None
        threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            call()
        return time.monotonic() - began

    took = [
        interrupted(lambda: bridge.get(f"bitso:{put.order_id}"), "lookup"),
        interrupted(lambda: list(bridge.fills(gateways=["bitso"])), "user_trades"),
    ]

    assert max(took) < 50
    assert bridge.get(f"bitso:{put.order_id}").order_id == put.order_id
    assert [fill.order_id for fill in bridge.fills(gateways=["bitso"])] == [put.order_id]


def test_closed_bridge_says_so_and_leaves_no_thread(venue: Simulator) -> None:
    """After close nothing runs on, and closing again is nothing."""
    bridge = SyncBridge(OrderBridge(venue.bitso.gateway()))
    bridge.lookup("bitso:x1")

    bridge.close()
    bridge.close()

    assert not [thread for thread in threading.enumerate() if thread.name == "orderbridge-sync"]
    with pytest.raises(ConfigurationError, match="closed"):
        bridge.lookup("bitso:x1")


def test_its_loop_ends_where_no_thread_can_be_begun_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """As while Python 3.12 ends a program that did not close: without a word, though it has threads of its own."""

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    loop = LoopThread()
    loop.call(lambda: asyncio.to_thread(int))
    monkeypatch.setattr(threading.Thread, "start", refused)

    loop.close(lambda: asyncio.sleep(0))

    assert not [thread for thread in threading.enumerate() if thread.name == "orderbridge-sync"]


async def test_out_of_another_loop_a_call_gives_and_raises_what_its_step_does() -> None:
    """The caller's loop goes on meanwhile; an error is the step's own, and a thread that is closed takes no step."""
    loop, other = LoopThread(), asyncio.Event()

    async def told() -> str:
        asyncio.run_coroutine_threadsafe(set_other(), here)
        return threading.current_thread().name

    async def set_other() -> None:
        other.set()

    async def fails() -> None:
        raise KeyError("mine")

    here = asyncio.get_running_loop()
    assert await loop.awaited(told) == "orderbridge-sync"
    await other.wait()
    with pytest.raises(KeyError, match="mine"):
        await loop.awaited(fails)
    loop.close(set_other)
    with pytest.raises(ConfigurationError, match="closed"):
        await loop.awaited(told)


@pytest.mark.parametrize("is_closed", [False, True], ids=["cancelled", "closed meanwhile"])
async def test_a_caller_in_another_loop_that_is_cancelled_cancels_its_step(is_closed: bool) -> None:
    """So does the end of the thread, of which the caller, whom nobody cancelled, is told."""
    loop, begun, ended = LoopThread(), threading.Event(), threading.Event()

    async def waits() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def nothing() -> None: ...

    task = asyncio.ensure_future(loop.awaited(waits))
    await asyncio.to_thread(begun.wait)
    if is_closed:
        await asyncio.to_thread(loop.close, nothing)
    else:
        task.cancel()

    with pytest.raises(ConfigurationError if is_closed else asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ended.wait, 10)
    await asyncio.to_thread(loop.close, nothing)


def test_what_a_step_did_is_undone_if_the_loop_of_its_caller_was_closed() -> None:
    """Nobody can be told of the outcome then: the step's own word for that is called, once."""
    thread, here, undone = LoopThread(), asyncio.new_event_loop(), list[str]()
    begun, goes_on, ended = threading.Event(), threading.Event(), threading.Event()

    async def step() -> None:
        unless_received(lambda: (undone.append(threading.current_thread().name), ended.set()))
        begun.set()
        await asyncio.to_thread(goes_on.wait, 10)

    task = here.create_task(thread.awaited(step))
    here.run_until_complete(asyncio.sleep(0))
    assert begun.wait(10)
    here.close()
    goes_on.set()

    assert ended.wait(10)
    assert undone == ["orderbridge-sync"]
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    thread.close(lambda: asyncio.sleep(0))


def test_program_that_forgets_to_close_still_ends() -> None:
    """The loop's thread holds no program up."""
    code = (
        "from orderbridge.sync import SyncBridge\n"
        "from orderbridge.adapters.bitso import BitsoGateway\n"
        "bridge = SyncBridge(BitsoGateway(api_key='k', api_secret='s', base_url='http://127.0.0.1:9/api/v3',"
        " transport='httpx'))\n"
        "print(len(bridge.lookup('bitso:x1', timeout=0.2).undecided))\n"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20)

    assert (ran.returncode, ran.stdout.strip()) == (0, "1"), ran.stderr


def test_bridge_and_gateways_are_not_mixed() -> None:
    """One bridge, or gateways: not both, and not nothing."""
    gateway = BitsoGateway(api_key="k", api_secret="s", transport="httpx")

    with pytest.raises(ConfigurationError):
        SyncBridge(OrderBridge(gateway), gateway)
    with pytest.raises(ConfigurationError):
        SyncBridge()


def test_settings_go_with_gateways_only(venue: Simulator) -> None:
    """A bridge that is ready has its settings; one made here gets them, and a typo is told at once."""
    with pytest.raises(ConfigurationError, match="leave out on_stale"):
        SyncBridge(OrderBridge(venue.bitso.gateway()), on_stale="send")
    with pytest.raises(ConfigurationError, match="is one of"):
        SyncBridge(venue.bitso.gateway(), on_stale="keep")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="jornal"):
        SyncBridge(venue.bitso.gateway(), jornal=None)  # type: ignore[call-arg]
