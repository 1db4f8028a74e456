"""The face without `await`: the same calls for bots that are not asynchronous."""

import inspect
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orderbridge.ccxt_face import as_ccxt_sync
from orderbridge.simulator import Simulator
from orderbridge.sync import SyncBridge
from tests.ccxt_face.bots import stubborn_without_await, until_closed_without_await
from tests.ccxt_face.conftest import bridge_over, ccxt_settings
from tests.kind import KIND

pytestmark = pytest.mark.ccxt

LIMIT = ("BTC/MXN", "limit", "buy", 0.01, 560000)


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues, served from a thread."""
    with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


@pytest.fixture
def theirs(venue: Simulator) -> Iterator[Any]:
    """Plain ccxt.bitso on the simulated Bitso."""
    import ccxt

    client = ccxt.bitso(ccxt_settings(venue))
    yield client
    client.session.close()


@pytest.fixture
def face(venue: Simulator) -> Iterator[Any]:
    """A face of the simulated Bitso."""
    with as_ccxt_sync(bridge_over(venue), "bitso", resolve_for=2) as made:
        yield made


def fill_soon(venue: Simulator) -> threading.Thread:
    """The market fills the bot's order a little later."""

    def work() -> None:
        for _ in range(1_000):
            if orders := venue.bitso.accepted():
                venue.bitso.market("btc_mxn").fill(orders[0])
                return
            threading.Event().wait(0.01)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("side", ["ours", "ccxt"])
def test_a_loop_until_closed_runs_on_both(venue: Simulator, face: Any, theirs: Any, side: str) -> None:
    """The same bot, unchanged, ends with the same order on ccxt.bitso and on ours."""
    thread = fill_soon(venue)

    order = until_closed_without_await(face if side == "ours" else theirs, "buy", 560000)
    thread.join()

    assert (order["status"], order["filled"], order["remaining"]) == ("closed", 0.01, 0.0)
    assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]


def test_a_bot_that_retries_doubles_on_ccxt_only(venue: Simulator, face: Any, theirs: Any) -> None:
    """Two lost answers: three orders by ccxt, then one more by ours."""
    for exchange, orders in ((theirs, 3), (face, 4)):
        venue.bitso.fault("html", operation="place", times=2)
        order = stubborn_without_await(exchange, *LIMIT)
        venue.bitso.clear_faults()

        assert order["id"] == venue.bitso.accepted()[-1].oid
        assert len(venue.bitso.accepted()) == orders


def test_every_call_is_there_without_await(face: Any) -> None:
    """Whatever the asynchronous face awaits is a plain call here, in either spelling; the others are as they were."""
    from orderbridge.ccxt_face.exchange import CcxtFace

    names = [name for name in dir(CcxtFace) if not name.startswith("_")]

    assert "createOrder" in names
    for name in names:
        known = inspect.getattr_static(CcxtFace, name)
        if inspect.iscoroutinefunction(known) and name != "close":
            assert callable(getattr(face, name))
            assert not inspect.iscoroutinefunction(getattr(face, name))
    assert face.load_markets()["BTC/MXN"] is face.market("BTC/MXN")
    assert face.amount_to_precision("BTC/MXN", 0.123456789) == "0.12345678"
    assert face.has["createOrders"]
    assert face.id == "bitso"


def test_the_rest_and_refusals_are_as_they_are_there(venue: Simulator, theirs: Any) -> None:
    """A plain ccxt object is the rest; exceptions are ccxt's; closing twice does no harm."""
    import ccxt

    with as_ccxt_sync(bridge_over(venue), "bitso", theirs) as face:
        assert face.fetch_ticker("BTC/MXN")["last"] > 0
        face.create_order(*LIMIT)
        assert face.fetch_balance()["MXN"]["used"] == 5600.0
        face.timeout = 4321
        with pytest.raises(ccxt.BadSymbol):
            face.create_order("BTC/XXX", *LIMIT[1:])
        with pytest.raises(ccxt.NotSupported):
            _ = face.create_order_ws
    face.close()

    assert theirs.timeout == 4321
    assert len(venue.bitso.accepted()) == 1


def test_bitcain_asks_a_plain_rest_for_markets(venue: Simulator, theirs: Any) -> None:
    """A venue without rules has the markets of the caller's own plain object."""
    bridge = bridge_over(venue, venue="bitcain", gateway={"trading_mode": "paper"})

    with as_ccxt_sync(bridge, "bitcain", theirs) as face:
        markets = face.load_markets()

        assert face.markets == markets == theirs.markets
        assert face.market("BTC/USDT")["symbol"] == "BTC/USDT"
        assert face.create_order("BTC/USDT", "limit", "buy", 0.1, 30000)["amount"] == 0.1


def test_threads_place_one_order_each(venue: Simulator, face: Any) -> None:
    """Eight threads at once: eight orders, each told to its own thread."""
    told: list[str] = []

    def work(step: int) -> None:
        told.append(face.create_order("BTC/MXN", "limit", "buy", 0.01, 500000 + 10 * step)["id"])

    threads = [threading.Thread(target=work, args=(step,)) for step in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(told)) == 8
    assert {each.oid for each in venue.bitso.accepted()} == set(told)


def test_a_create_that_a_signal_interrupts_is_answered_by_it(venue: Simulator, face: Any) -> None:
    """A bot that ends its waiting by an alarm and tries again has one order: the call that it left is remembered."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError("the bot's own alarm")

    face.load_markets()
    venue.bitso.fault("delay", operation="place", nth=1, seconds=0.5)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TimeoutError, match="alarm"):
            face.create_order(*LIMIT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    order = face.create_order(*LIMIT)

    assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]


def test_a_sync_bridge_is_shared(venue: Simulator) -> None:
    """A face over a `SyncBridge` uses its loop, and leaves it open with `owns=False`."""
    with SyncBridge(bridge_over(venue)) as bridge:
        face = as_ccxt_sync(bridge, "bitso", owns=False)
        order = face.create_order(*LIMIT)
        face.close()

        assert bridge.get(order["id"]).order_id == order["id"]


async def test_it_works_under_a_running_loop(sim: Simulator) -> None:
    """A bot inside another program's event loop may use it; it blocks that loop for the time of a call."""
    import asyncio

    face = as_ccxt_sync(bridge_over(sim), "bitso")
    order = await asyncio.to_thread(face.create_order, *LIMIT)
    await asyncio.to_thread(face.close)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
