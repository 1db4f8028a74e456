"""
The drop-in proof: bots written against ccxt run unchanged on `ccxt.bitso` and on `orderbridge.ccxt.bitso`.

They do the same trades where ccxt is right. Where it is not, the test names the defect, by its number in the list of
what ccxt's Bitso does wrong, and shows that ours is right. What was traded and placed is read from the simulator.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from random import Random
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.ccxt import bridges
from orderbridge.simulator import Simulator
from tests.ccxt.bots import (
    dollar_cost_averager,
    market_maker,
    more_stubborn,
    re_pricer,
    stubborn,
    until_closed,
)
from tests.ccxt.conftest import TIMES, ccxt_settings, with_long_nonces
from tests.kind import KIND

pytestmark = pytest.mark.ccxt

LIMIT = ("BTC/MXN", "limit", "buy", 0.01, 560000)
Bot = Callable[[Any], Awaitable[Any]]


class Run:
    """A bot's run on a simulated Bitso of its own: what it returned, and what the exchange knows of its orders."""

    def __init__(self, outcome: Any, sim: Simulator) -> None:
        self.outcome = outcome
        self.orders = sim.bitso.accepted()
        self.placed = [(order.side, order.type, order.quantity, order.price) for order in self.orders]
        self.ended = [(order.state, order.filled, order.filled_quote) for order in self.orders]


class Runs:
    """Runs a bot on each side, under the same faults."""

    async def __call__(self, side: str, bot: Bot, *faults: dict[str, Any], before: Any = None) -> Run:
        async with Simulator(seed=1, bitso={**KIND, "pacing": False}) as sim:
            exchange = await self._exchange(side, sim)
            for fault in faults:
                sim.bitso.fault(**fault)
            helper = None if before is None else asyncio.ensure_future(before(sim))
            try:
                return Run(await asyncio.wait_for(bot(exchange), 30), sim)
            finally:
                if helper is not None:
                    await helper
                await exchange.close()
                await asyncio.to_thread(bridges.close_all)

    async def _exchange(self, side: str, sim: Simulator) -> Any:
        package = import_module("ccxt.async_support" if side == "ccxt" else "orderbridge.ccxt.async_support")
        exchange = package.bitso({**ccxt_settings(sim), "options": {"orderbridge": {"resolve_for": 5}}})
        if side == "ccxt":
            with_long_nonces(exchange)
        await exchange.load_markets()
        return exchange

    async def both(self, bot: Bot, *faults: dict[str, Any], before: Any = None) -> tuple[Run, Run]:
        """On ccxt's Bitso, and on ours."""
        theirs = await self("ccxt", bot, *faults, before=before)
        return theirs, await self("ours", bot, *faults, before=before)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Runs bots, on bridges to which absence is certain only after a while, as it is at the real Bitso."""
    soon = partial(OrderBridge, settle_horizon=0.3, probe_times=TIMES)
    monkeypatch.setattr(bridges, "OrderBridge", soon)
    return Runs()


# Nothing goes wrong.


async def test_a_market_maker_quotes_the_same(runs: Runs) -> None:
    """Six quotes at the same prices, each cancelled, and the bot saw the same of them."""
    prices = [1_200_004.9, 1_199_005.0, 1_201_015.1]

    theirs, ours = await runs.both(lambda exchange: market_maker(exchange, prices))

    told = ("status", "side", "price", "amount", "filled", "remaining", "type", "symbol", "cost")
    assert len(ours.placed) == 6
    assert ours.placed == theirs.placed
    assert ours.ended == theirs.ended
    assert {order.state for order in ours.orders} == {"cancelled"}
    # Bids and asks of one millisecond come in either order.
    saw = [sorted(tuple(order[name] for name in told) for order in run.outcome) for run in (ours, theirs)]
    assert saw[0] == saw[1]


async def test_a_dollar_cost_averager_buys_the_same(runs: Runs) -> None:
    """The same amounts, from the float 0.1 + 0.2, at the same cost and the same fees."""
    theirs, ours = await runs.both(lambda exchange: dollar_cost_averager(exchange, 3))

    assert len(ours.placed) == 3
    assert ours.placed == theirs.placed
    assert ours.ended == theirs.ended
    assert ours.outcome == theirs.outcome
    assert ours.outcome["spent"] > 0


async def first_order(sim: Simulator) -> Any:
    """The bot's order, once it is there."""
    for _ in range(1_000):
        if orders := sim.bitso.accepted():
            return orders[0]
        await asyncio.sleep(0.01)
    raise AssertionError("the bot places nothing")


async def fill_slowly(sim: Simulator) -> None:
    """The market fills the bot's first order in two steps."""
    order = await first_order(sim)
    sim.bitso.market("btc_mxn").fill(order, quantity="0.004", price="555000")
    await asyncio.sleep(0.1)
    sim.bitso.market("btc_mxn").fill(order, price="560000")


async def test_a_loop_until_closed_ends_the_same(runs: Runs) -> None:
    """
    Both see the order open, partly filled and closed. Defect 12: ccxt's cost is filled times the limit price, wrong
    where the price was better; ours is what was paid.
    """
    bot = lambda exchange: until_closed(exchange, "buy", 560000)  # noqa: E731

    theirs, ours = await runs.both(bot, before=fill_slowly)

    told = ("status", "filled", "remaining", "amount", "price", "side")
    assert [ours.outcome[name] for name in told] == [theirs.outcome[name] for name in told]
    assert ours.outcome["status"] == "closed"
    assert ours.placed == theirs.placed
    assert ours.outcome["cost"] == float(ours.orders[0].filled_quote) == 5580.0
    assert ours.outcome["average"] == 558000.0
    assert theirs.outcome["cost"] == 5600.0


async def cancel_soon(sim: Simulator) -> None:
    """Somebody cancels the bot's order, of which a part was filled."""
    order = await first_order(sim)
    sim.bitso.market("btc_mxn").fill(order, quantity="0.004")
    sim.bitso.engine.cancel(order)


async def test_a_loop_until_closed_reads_canceled_in_ccxts_spelling(runs: Runs) -> None:
    """Defect 8: ccxt passes on Bitso's 'cancelled', which is none of its own words; ours is 'canceled'."""
    bot = lambda exchange: until_closed(exchange, "buy", 560000)  # noqa: E731

    theirs, ours = await runs.both(bot, before=cancel_soon)

    assert (theirs.outcome["status"], ours.outcome["status"]) == ("cancelled", "canceled")
    assert ours.outcome["filled"] == theirs.outcome["filled"] == 0.004


async def test_a_re_pricer_moves_its_order(runs: Runs) -> None:
    """ccxt's edit is a cancel and a new order; ours changes the one order in place. Both rest at the new price."""
    theirs, ours = await runs.both(lambda exchange: re_pricer(exchange, 560000, 570000))

    live = [[(order.price, order.quantity) for order in run.orders if order.active] for run in (theirs, ours)]
    assert live[0] == live[1]
    assert len(live[1]) == 1
    assert (len(theirs.orders), len(ours.orders)) == (2, 1)
    assert ours.outcome["price"] == theirs.outcome["price"] == 570000.0


async def test_a_re_pricer_whose_order_just_filled_trades_twice_on_ccxt_only(runs: Runs) -> None:
    """Defect 5: ccxt's edit places the new order though the old one had filled and nothing was cancelled."""
    import ccxt

    async def bot(exchange: Any) -> Any:
        try:
            return await re_pricer(exchange, 560000, 570000)
        except ccxt.ExchangeError as error:
            return error

    def faults(operation: str) -> dict[str, Any]:
        return {"kind": "fill_first", "operation": operation, "nth": 1}

    theirs = await runs("ccxt", bot, faults("cancel"))
    ours = await runs("ours", bot, faults("edit"))

    assert len(theirs.orders) == 2
    assert len(ours.orders) == 1
    assert isinstance(ours.outcome, ccxt.InvalidOrder)


# Answers get lost.

LOSSES = ["accept_then_drop", "accept_then_5xx", "cut", "html", "delay", "empty", "nothing_said"]
# Taken by the exchange and not told so: what ccxt tells of it, and by which defect a bot doubles or loses the order.
TOLD_BY_CCXT = {
    "accept_then_drop": "NetworkError: the bot retries and doubles",
    "delay": "RequestTimeout: the bot retries and doubles",
    "html": "ExchangeNotAvailable: the bot retries and doubles",
    "accept_then_5xx": "defect 4: plain ExchangeError, the bot believes that it failed",
    "cut": "defect 3: plain ExchangeError, the bot believes that it failed",
    "empty": "defect 2: success with id None",
    "nothing_said": "defect 2: success with id None",
}


def lost(kind: str, **how: Any) -> dict[str, Any]:
    """The first two orders are taken, and their answers are lost."""
    more = {"seconds": 3} if kind == "delay" else {}
    return {"kind": kind, "operation": "place", "times": 2, **more, **how}


@pytest.mark.parametrize("kind", LOSSES)
async def test_a_bot_that_retries_network_errors_places_one_order(runs: Runs, kind: str) -> None:
    """Whatever hides the answer: ours places the order once, and tells its id; ccxt doubles it, or loses its id."""
    bot = lambda exchange: stubborn(exchange, *LIMIT)  # noqa: E731

    theirs, ours = await runs.both(bot, lost(kind))

    assert len(ours.orders) == 1
    assert ours.outcome["id"] == ours.orders[0].oid
    if "retries" in TOLD_BY_CCXT[kind]:
        assert len(theirs.orders) == 3
    else:
        assert theirs.outcome is None or theirs.outcome["id"] is None


@pytest.mark.parametrize("kind", LOSSES)
async def test_a_bot_that_retries_everything_places_one_order(runs: Runs, kind: str) -> None:
    """A bot that tries again at any error, or without an id, has one order on ours and three on ccxt."""
    bot = lambda exchange: more_stubborn(exchange, *LIMIT)  # noqa: E731

    theirs, ours = await runs.both(bot, lost(kind))

    assert len(theirs.orders) == 3
    assert [order.oid for order in ours.orders] == [ours.outcome["id"]]


async def test_doubled_orders_in_all(runs: Runs) -> None:
    """Over forty creates at a venue that loses every third answer ccxt doubles some, and ours none."""

    async def bot(exchange: Any) -> int:
        for step in range(40):
            await stubborn(exchange, "BTC/MXN", "limit", "buy", 0.01, 500000 + 10 * step)
        return 40

    faults = [{"kind": kind, "operation": "place", "probability": 0.12} for kind in ("accept_then_drop", "html", "cut")]
    theirs, ours = await runs.both(bot, *faults)

    doubled = [len(run.orders) - len({order.price for order in run.orders}) for run in (theirs, ours)]
    assert doubled[0] > 0
    assert doubled[1] == 0
    assert len(ours.orders) == 40


@pytest.mark.parametrize("seed", range(4))
async def test_every_order_is_told_once_whatever_happens(runs: Runs, sim: Simulator, seed: int) -> None:
    """
    Buys and sells by two bots at once that try again at any error, at a venue that misbehaves two times in five, by an
    object that gives up waiting almost at once: as many orders as creates, and each is told to one of them.
    """
    import orderbridge.ccxt.async_support as ccxt

    random = Random(seed)
    wanted = {"resolve_for": random.choice([0.0, 0.05, 0.2])}
    exchange = ccxt.bitso({**ccxt_settings(sim), "timeout": 1_000, "options": {"orderbridge": wanted}})
    await exchange.load_markets()
    for kind in ("accept_then_drop", "accept_then_5xx", "html", "drop"):
        sim.bitso.fault(kind, operation="place", probability=0.1)
    sim.bitso.fault("drop", operation="lookup", probability=0.2)

    async def bot(side: str, price: int) -> list[Any]:
        kind, told = random.choice(["limit", "market"]), []
        for step in range(12):
            args = (kind, side, 0.01, price + 10 * step)
            told.append(await more_stubborn(exchange, "BTC/MXN", *args, tries=200, wait=0.02))
        return told

    bought, sold = await asyncio.gather(bot("buy", 500000), bot("sell", 1300000))
    await exchange.close()
    await asyncio.to_thread(bridges.close_all)

    ids = [order["id"] for order in [*bought, *sold]]
    assert len(ids) == len(set(ids)) == 24
    assert {order.oid for order in sim.bitso.accepted()} == set(ids)
    assert {order["side"] for order in bought} == {"buy"}


async def test_an_order_that_never_arrived_is_placed_once(runs: Runs) -> None:
    """A connection that drops before the order is read: the bot that insists has one order on both sides."""
    bot = lambda exchange: more_stubborn(exchange, *LIMIT)  # noqa: E731

    theirs, ours = await runs.both(bot, {"kind": "drop", "operation": "place", "times": 2})

    assert len(theirs.orders) == len(ours.orders) == 1
    assert ours.outcome["id"] == ours.orders[0].oid


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_5xx", "cut", "html", "delay"])
async def test_a_market_maker_under_lost_answers_quotes_each_price_once(runs: Runs, kind: str) -> None:
    """Every quote is there once and in the end none is live; the unchanged bot on ccxt dies of the first loss."""
    prices = [1_200_000.0, 1_199_000.0, 1_201_000.0]
    fault = lost(kind, nth=2)

    ours = await runs("ours", lambda exchange: market_maker(exchange, prices), fault)
    clean = await runs("ours", lambda exchange: market_maker(exchange, prices))

    assert ours.placed == clean.placed
    assert not any(order.active for order in ours.orders)
    with pytest.raises(Exception, match="bitso"):
        await runs("ccxt", lambda exchange: market_maker(exchange, prices), fault)


@pytest.mark.parametrize("kind", ["accept_then_drop", "cut", "html", "accept_then_5xx", "delay"])
async def test_a_dollar_cost_averager_under_lost_answers_buys_what_it_means_to(runs: Runs, kind: str) -> None:
    """Three buys, each once, with the costs known, though the answers of two of them are lost."""
    fault = lost(kind)

    ours = await runs("ours", lambda exchange: dollar_cost_averager(exchange, 3), fault)

    assert len(ours.orders) == 3
    assert ours.outcome["bought"] == pytest.approx(0.9)
    assert ours.outcome["spent"] == pytest.approx(float(sum(order.filled_quote for order in ours.orders)))


@pytest.mark.parametrize("kind", ["drop", "error_5xx", "html", "cut"])
async def test_a_loop_until_closed_survives_failing_reads(runs: Runs, kind: str) -> None:
    """Look-ups that fail now and then are repeated below, so that the unchanged loop ends with the order closed."""
    fault = {"kind": kind, "operation": "lookup", "nth": 2, "times": 2}

    ours = await runs("ours", lambda exchange: until_closed(exchange, "buy", 560000), fault, before=fill_slowly)

    assert ours.outcome["status"] == "closed"
    assert len(ours.orders) == 1
