"""
Outages that last longer than a create waits, and the bots that trade on through them.

Each bot knows ccxt's calls, dicts and exceptions only. While it trades, never are two of its orders live; afterwards it
was told of everything that its orders traded.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import LIMIT, LONG, PLACE, SOON, appear, patient, put, unknown_create, unknown_grid
from tests.kind import KIND
from tests.placement.kit import until

pytestmark = pytest.mark.ccxt

SYMBOL = "BTC/MXN"
BID = ("limit", "buy", 0.01)


def outage(sim: Simulator, *, place: str = "accept_then_drop") -> None:
    """From now on orders are taken and not answered, and nothing can be read or cancelled."""
    sim.bitso.fault(place, operation="place")
    sim.bitso.fault("error_5xx")


def live(sim: Simulator) -> list[str]:
    """The orders that rest."""
    return [order.oid for order in sim.bitso.accepted() if order.active]


async def re_pricer(exchange: Any, prices: list[float], turn: Callable[[], None]) -> list[str]:
    """
    Keeps one bid, at a new price each turn: cancels the order it has, and creates another. Errors end a turn.

    Returns the ids of the orders that it was told of.
    """
    import ccxt

    own: Any = None
    told = []
    for price in prices:
        try:
            if own is not None:
                await exchange.cancel_order(own["id"], SYMBOL)
                own = None
            own = await exchange.create_order(SYMBOL, *BID, price)
            told.append(own["id"])
        except ccxt.BaseError:
            await asyncio.sleep(0.01)
        turn()
    return told


# The second takes no client ids: what was lost there is told by whole lists, or by a person.
VENUES = pytest.mark.parametrize("venue", ["bitso", "ccxt.bitso"])


@VENUES
@pytest.mark.parametrize("place", ["accept_then_drop", "drop"])
@pytest.mark.parametrize("stray", ["cancel", "block"])
async def test_a_bot_that_prices_anew_never_has_two_orders(
    sim: Simulator, exchange_of: Any, stray: str, place: str, venue: str
) -> None:
    """
    However often it asks for another price during an outage and after it: the first order is cancelled, with proof,
    before the second is sent; or nothing is sent, as the bot was not shown the first, or nobody can tell which it is.
    """
    exchange = exchange_of(name=venue, horizon=0.3, resolve_for=0.1, timeout=1, stray=stray)
    await exchange._gateway.markets()
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(live(sim)))
        if len(turns) == 4:
            sim.bitso.clear_faults()

    outage(sim, place=place)
    await re_pricer(exchange, [550000.0 + 1000 * step for step in range(4)], turn)
    sent_meanwhile = sim.bitso.requests[PLACE]
    patient(exchange)
    told = await re_pricer(exchange, [560000.0 + 1000 * step for step in range(4)], turn)

    assert sent_meanwhile == 1
    assert max(turns) == 1
    if place == "drop" or (stray == "cancel" and venue == "bitso"):
        assert live(sim) == told[-1:]
        assert len(told) >= 3
    else:
        assert told == []


@VENUES
async def test_a_bot_that_was_started_again_in_the_outage_never_has_two(
    sim: Simulator, exchange_of: Any, tmp_path: Path, venue: str
) -> None:
    """The journal tells the next process of the order that nobody saw: without its end, proven, none is sent."""

    def exchange() -> Any:
        bridge = bridge_over(sim, horizon=LONG, venue=venue, journal=SqliteJournal(tmp_path / "orders.db"))
        return exchange_of(bridge, venue, resolve_for=0.1, timeout=1)

    first = exchange()
    await first._gateway.markets()
    await first._bridge.recover()
    outage(sim)
    counts: list[int] = []
    await re_pricer(first, [550000.0, 551000.0], lambda: counts.append(len(live(sim))))
    await first._bridge.aclose()
    second = exchange()
    await re_pricer(second, [552000.0], lambda: counts.append(len(live(sim))))
    sim.bitso.clear_faults()
    if venue == "bitso":
        patient(second)

    told = await re_pricer(second, [553000.0, 554000.0], lambda: counts.append(len(live(sim))))

    assert counts == [1] * 5
    assert told[-1:] == (live(sim) if venue == "bitso" else [])


async def dollar_cost_averager(exchange: Any, buys: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Buys at market each time, and goes on to the next after an error; what it was told, and what it missed."""
    import ccxt

    told, missed = [], []
    for buy in buys:
        try:
            told.append(await exchange.create_order(SYMBOL, "market", "buy", None, None, buy))
        except ccxt.BaseError as error:
            missed.append(error)
    return told, missed


@pytest.mark.parametrize("buys", [[500, 500, 500], [500, 600, 700]])
async def test_a_bot_that_buys_each_day_is_told_of_every_buy_once(
    sim: Simulator, exchange_of: Any, buys: list[int]
) -> None:
    """
    A buy at market whose answer was lost fills all the same: the next equal one is answered by it, another one tells it
    as a stray that filled, once; what the bot was told is what the account bought.
    """
    from orderbridge.ccxt.errors import OrderOutcomeUnknown, StrayFilled

    exchange = exchange_of(horizon=LONG, resolve_for=0.1, timeout=1)
    await exchange._gateway.markets()
    first, *others = [{"cost": each} for each in buys]
    outage(sim)
    _, (lost,) = await dollar_cost_averager(exchange, [first])
    _, (refused,) = await dollar_cost_averager(exchange, [others[0]])
    sim.bitso.clear_faults()
    patient(exchange)

    told, missed = await dollar_cost_averager(exchange, others)

    strays = [error.order for error in missed if isinstance(error, StrayFilled)]
    known = {row["id"]: row for row in told + strays}
    assert isinstance(lost, OrderOutcomeUnknown)
    assert isinstance(refused, OrderOutcomeUnknown)
    assert len(strays) == len(missed) == (1 if buys[0] != buys[1] else 0)
    assert len(known) == len(told) + len(strays)
    assert known.keys() == {order.oid for order in sim.bitso.accepted()}
    assert {row["status"] for row in known.values()} == {"closed"}
    assert all(row["filled"] and row["cost"] == pytest.approx(row["filled"] * row["average"]) for row in known.values())


async def retrier(exchange: Any, *args: Any) -> Any:
    """Repeats a create on every error of ccxt's, as often as it takes."""
    import ccxt

    while True:
        try:
            return await exchange.create_order(*args)
        except ccxt.BaseError:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("stray", ["cancel", "block", "tell"])
async def test_a_bot_that_repeats_gets_the_one_order(sim: Simulator, exchange_of: Any, stray: str) -> None:
    """Through an outage of any length it sends once, and is given that order in the end."""
    exchange = exchange_of(horizon=LONG, resolve_for=0.05, timeout=1, stray=stray)
    await exchange._gateway.markets()
    outage(sim)
    asyncio.get_running_loop().call_later(1, sim.bitso.clear_faults)

    order = await retrier(exchange, *LIMIT)

    assert live(sim) == [order["id"]]
    assert sim.bitso.requests[PLACE] == 1


Ended = Callable[[Simulator, Any, Any], Awaitable[str]]


async def partly(sim: Simulator, exchange: Any, unknown: Any) -> str:
    """It rests, with a part of it traded."""
    return appear(sim, unknown, status="partially filled", filled_quantity="0.004")


async def wholly(sim: Simulator, exchange: Any, unknown: Any) -> str:
    """It filled."""
    return appear(sim, unknown, status="completed", filled_quantity="0.01")


async def meanwhile(sim: Simulator, exchange: Any, unknown: Any) -> str:
    """It rests, and fills before the cancel arrives."""
    sim.bitso.fault("fill_first", operation="cancel", nth=1)
    return appear(sim, unknown)


@pytest.mark.parametrize("in_batch", [False, True])
@pytest.mark.parametrize(("ended", "filled"), [(partly, 0.004), (wholly, 0.01), (meanwhile, 0.01)])
async def test_a_stray_that_filled_is_told_once_and_nothing_is_sent(
    sim: Simulator, exchange_of: Any, ended: Ended, filled: float, in_batch: bool
) -> None:
    """In part too: its rest is cancelled. The error has its dict, and is none that bots repeat or sell on."""
    import ccxt

    from orderbridge.ccxt import errors
    from orderbridge.ccxt.errors import StrayFilled

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = await ended(sim, exchange, unknown)
    patient(exchange)

    if in_batch:
        row = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": 570000}
        (refused,) = await exchange.create_orders([row])
        error, told = getattr(errors, refused["info"]["error"])(), refused["info"]["order"]
    else:
        with pytest.raises(StrayFilled, match=oid) as caught:
            await exchange.create_order(SYMBOL, *BID, 570000)
        error, told = caught.value, caught.value.order
    sent_then, live_then = sim.bitso.requests[PLACE], live(sim)
    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert isinstance(error, StrayFilled)
    assert isinstance(error, ccxt.ExchangeError)
    assert not isinstance(error, (ccxt.NetworkError, ccxt.InvalidOrder))
    assert (told["id"], told["filled"]) == (oid, filled)
    assert told["status"] in ("closed", "canceled")
    assert (sent_then, live_then) == (1, [])
    assert live(sim) == [order["id"]]


@pytest.mark.parametrize("lacking", ["cancel", "order_trades"])
async def test_a_stray_whose_end_is_not_proven_keeps_the_next_from_being_sent(
    sim: Simulator, exchange_of: Any, lacking: str
) -> None:
    """A cancel that is not answered, or a fill that cannot be read: nothing is sent, until that is known."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown, StrayFilled

    exchange = exchange_of(horizon=LONG, resolve_for=SOON, timeout=1)
    first = LIMIT if lacking == "cancel" else (SYMBOL, "market", "buy", None, None, {"cost": 500})
    if lacking == "cancel":
        oid = appear(sim, await unknown_create(sim, exchange, *first))
    else:
        sim.bitso.fault("error_5xx", operation="lookup")
        await unknown_create(sim, exchange, *first, kind="accept_then_drop")
        (oid,) = (order.oid for order in sim.bitso.accepted())
    patient(exchange)
    sim.bitso.fault("error_5xx", operation=lacking)

    for _ in range(2):
        with pytest.raises(OrderOutcomeUnknown, match=oid):
            await exchange.create_order(SYMBOL, *BID, 570000)
    sent_meanwhile = sim.bitso.requests[PLACE]
    sim.bitso.clear_faults()
    if lacking == "order_trades":
        with pytest.raises(StrayFilled):
            await exchange.create_order(SYMBOL, *BID, 570000)
    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert sent_meanwhile == 1
    assert live(sim) == [order["id"]]


async def test_a_stray_that_the_exchange_forgets_once_it_is_cancelled_blocks_for_a_while_only(
    sim: Simulator, exchange_of: Any
) -> None:
    """Nothing more is said of it but that it has no trades: once those would be shown, the next create is sent."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    settle_time, began = 0.5, asyncio.get_running_loop().time()
    sim.bitso.settings.visibility_window, sim.bitso.settings.miss = 0.0, "seen"
    exchange = exchange_of(bridge_over(sim, gateway={"settle_time": settle_time}), resolve_for=20)
    await exchange._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.create_order(*LIMIT), 0.1)

    async def is_answered() -> bool:
        return bool(await exchange._bridge.placements(state="placed"))

    await until(is_answered)
    with pytest.raises(OrderOutcomeUnknown, match="how it ended is not proven yet"):
        await exchange.create_order(SYMBOL, *BID, 570000)
    sent_then, live_then = sim.bitso.requests[PLACE], live(sim)
    order = None
    async with asyncio.timeout(20):
        while order is None:
            with contextlib.suppress(OrderOutcomeUnknown):
                order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert (sent_then, live_then) == (1, [])
    assert asyncio.get_running_loop().time() - began > settle_time
    assert live(sim) == [order["id"]]


@pytest.mark.parametrize("filled", [None, "0.004"])
async def test_what_was_known_of_a_stray_before_its_cancel_is_no_proof(
    sim: Simulator, exchange_of: Any, filled: str | None
) -> None:
    """It was open with nothing filled, and no read after the cancel is answered: nothing is sent before its trades."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown, StrayFilled

    exchange = exchange_of(horizon=LONG, resolve_for=SOON, timeout=1)
    oid = appear(sim, await unknown_create(sim, exchange))

    async def is_found() -> bool:
        return bool(await exchange._bridge.placements(state="placed"))

    await until(is_found)
    patient(exchange)
    if filled:
        sim.bitso.market("btc_mxn").fill(oid, quantity=filled)
    for operation in ("lookup", "order_trades"):
        sim.bitso.fault("error_5xx", operation=operation)
    with pytest.raises(OrderOutcomeUnknown, match=oid):
        await exchange.create_order(SYMBOL, *BID, 570000)
    sim.bitso.clear_faults()
    sim.bitso.fault("error_5xx", operation="lookup")
    if filled:
        with pytest.raises(StrayFilled) as caught:
            await exchange.create_order(SYMBOL, *BID, 570000)
        assert (caught.value.order["id"], caught.value.order["filled"]) == (oid, float(filled))
    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert live(sim) == [order["id"]]
    assert sim.bitso.requests[PLACE] == 2


async def test_an_order_that_is_shown_while_another_is_asked_for_is_no_stray(sim: Simulator, exchange_of: Any) -> None:
    """Two of a grid are not known, one is repeated, and a list beside it shows both: the other stays."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON, timeout=10)
    await exchange._gateway.markets()
    _, oids = await unknown_grid(sim, exchange)
    sim.bitso.fault("delay", operation="lookup", seconds=1.0)
    looked = sim.bitso.requests.total()
    repeat = asyncio.ensure_future(exchange.create_order(*LIMIT))

    async def looks() -> bool:
        return sim.bitso.requests.total() > looked

    await until(looks)
    shown = await exchange.fetch_open_orders(SYMBOL)
    assert not repeat.done()
    answered = await repeat
    order = await exchange.create_order(SYMBOL, *BID, 580000)

    assert {each["id"] for each in shown} == {*oids}
    assert answered["id"] == oids[0]
    assert live(sim) == [*oids, order["id"]]


async def test_blocked_creates_go_on_once_the_bot_was_shown_the_first(sim: Simulator, exchange_of: Any) -> None:
    """Until then each of them says so; the first order stays as it is all the while."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON, stray="block")
    oid = appear(sim, await unknown_create(sim, exchange))
    patient(exchange)

    for _ in range(3):
        with pytest.raises(OrderOutcomeUnknown, match=oid):
            await exchange.create_order(SYMBOL, *BID, 570000)
    listed = await exchange.fetch_open_orders(SYMBOL)
    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert [each["id"] for each in listed] == [oid]
    assert set(live(sim)) == {oid, order["id"]}


@VENUES
async def test_after_an_outage_that_outlasted_all_probing_one_create_tells_it_absent(
    sim: Simulator, exchange_of: Any, venue: str
) -> None:
    """It was given up, so the bridge looks every few minutes only: the next create looks as often as a proof takes."""
    bridge = bridge_over(sim, horizon=0.05, venue=venue, probe_times=(0.01,))
    exchange = exchange_of(bridge, venue, resolve_for=20, timeout=1)
    await exchange._gateway.markets()
    outage(sim, place="drop")
    with pytest.raises(Exception, match="may be live") as caught:
        await exchange.create_order(*LIMIT)
    sim.bitso.clear_faults()

    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert caught.value.placement.gave_up
    assert live(sim) == [order["id"]]


async def test_a_probe_just_before_is_one_of_those_that_its_proof_takes(sim: Simulator, exchange_of: Any) -> None:
    """One that comes too soon after it to count by itself ends nothing: the create looks on, and is sent."""
    bridge = bridge_over(sim, horizon=0.8, venue="ccxt.bitso", probe_times=(0.01,))
    exchange = exchange_of(bridge, "ccxt.bitso", resolve_for=60)
    await exchange._gateway.markets()
    outage(sim, place="drop")
    with pytest.raises(Exception, match="may be live") as caught:
        await exchange.create_order(*LIMIT)
    sim.bitso.clear_faults()
    await exchange._creates._resolver.round([await bridge._placements.record_of(caught.value.placement)])

    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert caught.value.placement.gave_up
    assert live(sim) == [order["id"]]


@VENUES
async def test_an_order_that_fills_as_the_outage_ends_is_not_proven_absent(venue: str) -> None:
    """It has left the open ones, and its trade is not shown yet: that moment is no proof, and nothing more is sent."""
    import ccxt

    from orderbridge.ccxt.orders import CcxtOrders

    async with Simulator(seed=1, bitso={**KIND, "pacing": False, "trade_lag": 0.4, "visibility_window": 0.0}) as sim:
        bridge = bridge_over(sim, horizon=1.0, venue=venue, probe_times=(0.05,))
        exchange = CcxtOrders(bridge, venue, resolve_for=LONG, timeout=2)
        await exchange._gateway.markets()
        outage(sim)
        with pytest.raises(ccxt.BaseError, match="may be live") as caught:
            await exchange.create_order(*LIMIT)
        sim.bitso.clear_faults()
        (first,) = sim.bitso.accepted()
        sim.bitso.market("btc_mxn").fill(first.oid, quantity="0.01")

        with pytest.raises(ccxt.BaseError, match=first.oid):
            await exchange.create_order(SYMBOL, *BID, 570000)
        await bridge.aclose()

    assert caught.value.placement.gave_up
    assert len(sim.bitso.accepted()) == 1


NAMELESS = "ccxt.bitso"


@pytest.mark.parametrize("horizon", [0.1, LONG])
@pytest.mark.parametrize("kind", ["drop", "accept_then_drop"])
async def test_without_client_ids_an_order_that_fits_is_a_candidate_only(
    sim: Simulator, exchange_of: Any, kind: str, horizon: float
) -> None:
    """
    Another bot's, one of before, or the lost one itself: it is neither told, cancelled nor doubled, and the error
    names what there is and how a person settles it.
    """
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(name=NAMELESS, horizon=horizon, resolve_for=20 if horizon < 1 else 1, timeout=1)
    await exchange._gateway.markets()
    theirs = put(sim) if kind == "drop" else None
    unknown = await unknown_create(sim, exchange, kind=kind)

    for price in (560000, 570000):
        with pytest.raises(OrderOutcomeUnknown, match=r"may be any of .* `orderbridge journal settle") as caught:
            await exchange.create_order(SYMBOL, *BID, price)
        assert live(sim)[0] in str(caught.value)

    assert unknown.order_id is None
    assert len(live(sim)) == 1
    assert theirs in (None, *live(sim))
    assert sim.bitso.requests[PLACE] == 1


async def test_without_client_ids_what_filled_is_found_by_its_trades(sim: Simulator, exchange_of: Any) -> None:
    """Where the exchange lists no ended orders either: it is no proof of absence, and nothing more is sent."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(name=NAMELESS, horizon=0.3, resolve_for=20, timeout=1)
    await exchange._gateway.markets()
    await unknown_create(sim, exchange, SYMBOL, *BID, 1300000, kind="accept_then_drop")  # crosses the book

    with pytest.raises(OrderOutcomeUnknown, match=sim.bitso.accepted()[0].oid):
        await exchange.create_order(SYMBOL, *BID, 570000)

    assert sim.bitso.requests[PLACE] == 1


async def test_without_client_ids_an_order_that_was_shown_before_its_answer_came_was_shown(
    sim: Simulator, exchange_of: Any
) -> None:
    """Its caller had gone, and a list showed an order that proves to be it: the next equal create is a new one."""
    exchange = exchange_of(name=NAMELESS, resolve_for=20)
    await exchange._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=1.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.create_order(*LIMIT), 0.5)

    (shown,) = await exchange.fetch_open_orders(SYMBOL)
    order = await exchange.create_order(*LIMIT)

    assert live(sim) == [shown["id"], order["id"]]


async def test_creates_in_flight_are_no_strays(sim: Simulator, exchange_of: Any) -> None:
    """A grid whose first order is unclear: those that were asked for before anybody was told of that are all placed."""
    exchange = exchange_of(horizon=LONG, resolve_for=0.5)
    await exchange._gateway.markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    grid = [asyncio.ensure_future(exchange.create_order(*LIMIT))]
    await asyncio.sleep(0.1)
    grid += [asyncio.ensure_future(exchange.create_order(SYMBOL, *BID, 560000 + 1000 * step)) for step in (1, 2)]
    unknown, *others = [grid[0], *grid[1:]]
    with pytest.raises(Exception, match="may be live") as caught:
        await unknown
    oid = appear(sim, caught.value)

    orders = await asyncio.gather(*others)

    assert set(live(sim)) == {oid, *(order["id"] for order in orders)}


async def test_other_orders_of_the_account_are_no_strays(sim: Simulator, exchange_of: Any) -> None:
    """What rests there by somebody else, or on the other side, or of another market, is not touched."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    theirs = put(sim)
    sell = await exchange.create_order(SYMBOL, "limit", "sell", 0.01, 1300000)
    oid = appear(sim, await unknown_create(sim, exchange))
    patient(exchange)
    other = await exchange.create_order("ETH/USD", "limit", "buy", 1, 2000)

    order = await exchange.create_order(SYMBOL, *BID, 570000)

    assert set(live(sim)) == {theirs, sell["id"], other["id"], order["id"]}
    assert oid not in live(sim)


@pytest.mark.parametrize("stray", ["adopt", None, True])
async def test_a_policy_that_is_none_is_refused(exchange_of: Any, stray: Any) -> None:
    """When it is set up, and not when it would be needed."""
    from orderbridge.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="stray is one of cancel, block, tell"):
        exchange_of(stray=stray)
