"""The classes without `await`, for bots that are not asynchronous."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from orderbridge.ccxt import bridges
from orderbridge.simulator import Simulator
from tests.ccxt.bots import stubborn_without_await, until_closed_without_await
from tests.ccxt.conftest import ccxt_settings, with_long_nonces
from tests.ccxt.kit import LIMIT
from tests.kind import KIND

pytestmark = pytest.mark.ccxt


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues, served from a thread."""
    with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running
        bridges.close_all()


@pytest.fixture
def theirs(venue: Simulator) -> Any:
    """Plain ccxt.bitso on the simulated Bitso."""
    import ccxt

    return with_long_nonces(ccxt.bitso(ccxt_settings(venue)))


@pytest.fixture
def ours(venue: Simulator) -> Any:
    """Our class in its place."""
    import orderbridge.ccxt as ccxt

    return ccxt.bitso({**ccxt_settings(venue), "options": {"orderbridge": {"resolve_for": 5}}})


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
def test_a_loop_until_closed_runs_on_both(venue: Simulator, ours: Any, theirs: Any, side: str) -> None:
    """The same bot, unchanged, ends with the same order on ccxt.bitso and on ours."""
    thread = fill_soon(venue)

    order = until_closed_without_await(ours if side == "ours" else theirs, "buy", 560000)
    thread.join()

    assert (order["status"], order["filled"], order["remaining"]) == ("closed", 0.01, 0.0)
    assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]


def test_a_bot_that_retries_doubles_on_ccxt_only(venue: Simulator, ours: Any, theirs: Any) -> None:
    """Two lost answers: three orders by ccxt, then one more by ours."""
    for exchange, orders in ((theirs, 3), (ours, 4)):
        venue.bitso.fault("html", operation="place", times=2)
        order = stubborn_without_await(exchange, *LIMIT)
        venue.bitso.clear_faults()

        assert order["id"] == venue.bitso.accepted()[-1].oid
        assert len(venue.bitso.accepted()) == orders


def test_a_create_that_a_signal_interrupts_is_answered_by_it(venue: Simulator, ours: Any) -> None:
    """A bot that ends its waiting by an alarm and tries again has one order: the call that it left is remembered."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError("the bot's own alarm")

    ours.load_markets()
    ours.fetch_open_orders()
    venue.bitso.fault("delay", operation="place", nth=1, seconds=0.5)
    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(TimeoutError, match="alarm"):
            ours.create_order(*LIMIT)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    order = ours.create_order(*LIMIT)

    assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]


async def test_it_works_under_a_running_loop(venue: Simulator, ours: Any) -> None:
    """A notebook's cell, or a bot inside another program's loop, may use it; it blocks that loop for the call."""
    assert asyncio.get_running_loop().is_running()

    order = ours.create_order(*LIMIT)

    assert [each.oid for each in venue.bitso.accepted()] == [order["id"]]


def test_refusals_have_ccxts_classes(venue: Simulator, ours: Any) -> None:
    """Where ccxt's Bitso has plain ExchangeErrors, and for a wrong secret what bots do not retry."""
    import ccxt

    venue.bitso.settings.trading = "off"
    with pytest.raises(ccxt.MarketClosed):
        ours.create_order(*LIMIT)
    venue.bitso.settings.trading = "on"
    venue.bitso.settings.most_open_orders = 0
    with pytest.raises(ccxt.OperationRejected):
        ours.create_order(*LIMIT)
    venue.bitso.settings.most_open_orders = 10
    with pytest.raises(ccxt.InvalidOrder):
        ours.create_order("BTC/MXN", "limit", "buy", 0.01, 50)
    ours.secret = "wrong"
    for call in (lambda: ours.create_order(*LIMIT), ours.fetch_open_orders):
        with pytest.raises(ccxt.AuthenticationError):
            call()
    assert venue.bitso.accepted() == []
