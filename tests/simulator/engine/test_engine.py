"""What the matching engine does with each kind of order."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderbridge.simulator import SimClock
from orderbridge.simulator.engine.engine import MatchingEngine, NotEnough
from orderbridge.simulator.engine.order import State

D = Decimal


def ask(engine: MatchingEngine, make: Any, price: str, size: str) -> Any:
    """The other account offers."""
    return engine.place(make("sell", size, price, account="other"))


def test_better_prices_trade_first_and_equal_ones_by_age(engine: MatchingEngine, make: Any) -> None:
    """A taker walks the book from the best price, and within a price from the oldest order."""
    late = ask(engine, make, "1010", "1")
    first = ask(engine, make, "1000", "1")
    second = ask(engine, make, "1000", "1")

    taker = engine.place(make("buy", "2.5", "1010"))

    assert [fill.price for fill in taker.fills] == [D(1000), D(1000), D(1010)]
    assert (first.state, second.state) == (State.FILLED, State.FILLED)
    assert (late.filled, late.state) == (D("0.5"), State.OPEN)
    assert taker.state is State.FILLED


def test_fees_and_locks_are_exact(engine: MatchingEngine, make: Any) -> None:
    """
    A resting buy locks rest times limit, gets the improvement back, and pays its fee in what it receives.
    """
    ask(engine, make, "1000", "0.4")
    order = engine.place(make("buy", "1", "1010"))
    btc, mxn = engine.accounts.get("bot", "btc"), engine.accounts.get("bot", "mxn")

    assert (order.filled, order.state) == (D("0.4"), State.OPEN)
    assert mxn.locked == D("0.6") * 1010
    assert mxn.total == D(100_000_000) - 400
    assert btc.total == D(100) + D("0.4") - D("0.4") * D("0.0078")
    assert engine.accounts.get("other", "mxn").total == D(100_000_000) + 400 - 400 * D("0.006")

    engine.cancel(order)
    assert mxn.locked == 0
    assert engine.cancel(order) is False


@pytest.mark.parametrize(
    ("terms", "filled", "state"),
    [
        ({"time_in_force": "ioc"}, "0.5", State.CANCELLED),
        ({"time_in_force": "fok"}, "0", State.CANCELLED),
        ({"post_only": True}, "0", State.CANCELLED),
        ({}, "0.5", State.OPEN),
    ],
)
def test_terms_decide_what_becomes_of_the_rest(
    engine: MatchingEngine, make: Any, terms: dict[str, Any], filled: str, state: State
) -> None:
    """IOC keeps its trades and ends, FOK and post-only end without a trade, the rest of a GTC rests."""
    ask(engine, make, "1000", "0.5")

    order = engine.place(make("buy", "1", "1000", **terms))

    assert (order.filled, order.state) == (D(filled), state)


def test_fill_or_kill_fills_when_the_book_suffices(engine: MatchingEngine, make: Any) -> None:
    """All at once, over several levels, within the limit."""
    ask(engine, make, "1000", "0.5")
    ask(engine, make, "1010", "0.5")

    assert engine.place(make("buy", "1", "1000", time_in_force="fok")).filled == 0
    assert engine.place(make("buy", "1", "1010", time_in_force="fok")).state is State.FILLED


def test_market_orders_take_by_base_or_by_quote(engine: MatchingEngine, make: Any) -> None:
    """By quote, the money is spent to the last whole step; what the book lacks is cancelled."""
    ask(engine, make, "1000", "1")
    ask(engine, make, "3000", "1")

    by_base = engine.place(make("buy", "0.5"))
    by_quote = engine.place(make("buy", quote_quantity="1000"))
    too_much = engine.place(make("buy", "5"))

    assert (by_base.filled_quote, by_base.state) == (D(500), State.FILLED)
    assert by_quote.state is State.FILLED
    assert by_quote.filled == D("0.5") + D("0.16666666")
    assert by_quote.filled_quote <= 1000
    assert (too_much.state, too_much.filled) == (State.CANCELLED, D(2) - by_base.filled - by_quote.filled)


def test_a_market_sell_may_ask_for_money(engine: MatchingEngine, make: Any) -> None:
    """Sized in quote, a sell gives as much base as brings the money in."""
    engine.place(make("buy", "1", "1000", account="other"))

    order = engine.place(make("sell", quote_quantity="250"))

    assert (order.filled, order.filled_quote, order.state) == (D("0.25"), D(250), State.FILLED)


def test_slippage_tolerance_stops_a_market_order(engine: MatchingEngine, make: Any) -> None:
    """Prices beyond the tolerance from the best one are not taken."""
    ask(engine, make, "1000", "1")
    ask(engine, make, "1005", "1")
    ask(engine, make, "1006", "1")

    order = engine.place(make("buy", "3", slippage="0.5"))

    assert (order.filled, order.state) == (D(2), State.CANCELLED)


def test_orders_beyond_the_funds_are_not_taken(engine: MatchingEngine, make: Any) -> None:
    """NotEnough leaves no trace: no order, no lock."""
    for order in (
        make("buy", "101", "1000000"),
        make("sell", "101", "1000000"),
        make("sell", "101"),
        make("buy", quote_quantity="100000001"),
    ):
        with pytest.raises(NotEnough):
            engine.place(order)
    assert engine.ledger.orders == {}
    assert engine.accounts.get("bot", "mxn").locked == 0


def test_stops_wait_for_the_last_price_and_then_act(engine: MatchingEngine, make: Any) -> None:
    """A sell stop triggers at or below its price, a buy stop at or above; a triggered limit may rest."""
    market = engine.market("btc_mxn")
    stop = make("sell", "1", "900", stop_price="950", trigger="below")
    engine.place(stop)
    rise = engine.place(make("buy", "1", "1300000", stop_price="1250000", trigger="above"))
    assert (stop.state, engine.accounts.get("bot", "btc").locked) == (State.WAITING, D(1))

    engine.trade(market, price=D(1_250_000))
    assert (rise.state, rise.triggered_at, stop.state) == (State.OPEN, engine.clock.now(), State.WAITING)
    engine.trade(market, price=D(950))
    assert stop.state is State.OPEN
    assert rise.state is State.FILLED


def test_a_triggered_order_queues_behind_those_before_it(engine: MatchingEngine, make: Any) -> None:
    """A stop-limit that was placed first and triggered last is behind in the queue."""
    stop = engine.place(make("sell", "1", "1300000", stop_price="1250000", trigger="above"))
    plain = engine.place(make("sell", "1", "1300000"))

    engine.trade(engine.market("btc_mxn"), price=D(1_250_000))

    assert list(engine.market("btc_mxn").book.asks.orders()) == [plain, stop]


def test_one_trigger_sets_off_the_next(engine: MatchingEngine, make: Any) -> None:
    """A triggered market order moves the price, which triggers another stop, up and down alike."""
    engine.place(make("buy", "1", "1000", account="other"))
    engine.place(make("buy", "1", "800", account="other"))
    first = engine.place(make("sell", "1", stop_price="1000", trigger="below"))
    second = engine.place(make("sell", "1", stop_price="999", trigger="below"))

    engine.place(make("sell", "1", account="other"))

    assert (first.filled_quote, first.state) == (D(800), State.FILLED)
    assert (second.state, second.reason) == (State.CANCELLED, "nothing left to trade with")


def test_unlocked_stops_may_find_the_account_empty(clock: SimClock, make: Any, bench: Any) -> None:
    """With `stop_locks` off, a stop limit that cannot be paid when it triggers is cancelled."""
    engine = bench.new_engine(clock=clock)
    engine.settlement.stop_locks = False
    stop = engine.place(make("sell", "100", "900", stop_price="950", trigger="below"))
    engine.place(make("sell", "60", "2000000"))

    engine.trade(engine.market("btc_mxn"), price=D(950))

    assert (stop.state, stop.reason) == (State.CANCELLED, "balance is too low")
    assert engine.accounts.get("bot", "btc").locked == D(60)


def test_orders_expire_with_the_clock(engine: MatchingEngine, make: Any, clock: SimClock) -> None:
    """A good-till-time order ends when its time comes, at that time, and frees its lock."""
    until = clock.now() + timedelta(seconds=60)
    order = engine.place(make("buy", "1", "1000", time_in_force="gtt", expires_at=until))
    clock.advance(59)
    engine.tick()
    assert order.active

    clock.advance(5)
    engine.tick()
    assert (order.state, order.ended_at) == (State.EXPIRED, until)
    assert engine.accounts.get("bot", "mxn").locked == 0


def test_an_edit_keeps_or_loses_its_place(engine: MatchingEngine, make: Any) -> None:
    """Less quantity keeps the place in the queue, any other change goes to its end and may trade at once."""
    first, second = (engine.place(make("buy", "1", "1000")) for _ in range(2))

    engine.edit(first, quantity=D("0.5"))
    ask(engine, make, "1000", "0.5")
    assert (first.state, second.filled) == (State.FILLED, D(0))

    third = engine.place(make("buy", "1", "1000"))
    engine.edit(second, quantity=D(2))
    ask(engine, make, "1000", "1")
    assert (third.state, second.filled) == (State.FILLED, D(0))

    ask(engine, make, "1100", "1")
    engine.edit(second, price=D(1100))
    assert second.filled == D(1)
    assert engine.accounts.get("bot", "mxn").locked == D(1100)


def test_an_edit_beyond_the_funds_changes_nothing(engine: MatchingEngine, make: Any) -> None:
    """Only the difference must be paid for; if it cannot be, the order stays as it was."""
    order = engine.place(make("sell", "60", "1000"))

    engine.edit(order, quantity=D(100))
    with pytest.raises(NotEnough):
        engine.edit(order, quantity=D(101))

    assert (order.quantity, order.locked, order.resting) == (D(100), D(100), True)


def test_a_trade_at_a_price_fills_part_of_an_order_on_purpose(clock: SimClock, make: Any, bench: Any) -> None:
    """
    `trade` passes the counter-party's quotes by and fills the account's order with exactly that quantity.
    """
    engine = bench.new_engine(clock=clock, quotes=True)
    order = engine.place(make("buy", "1", "1150000"))
    market = engine.market("btc_mxn")

    engine.trade(market, price=D(1_150_000), quantity=D("0.3"))

    assert (order.filled, order.state) == (D("0.3"), State.OPEN)
    assert (market.last, market.reference) == (D(1_150_000), D(1_150_000))
    asks = market.book.asks.best()
    assert asks is not None
    assert asks > 1_150_000


def test_the_counterparty_comes_back(clock: SimClock, make: Any, bench: Any) -> None:
    """Quotes that were taken are restored after the trade, on both sides of the reference."""
    engine = bench.new_engine(clock=clock, quotes=True)
    market = engine.market("btc_mxn")
    assert len(market.quotes) == 16

    taker = engine.place(make("buy", "20"))

    assert taker.filled > 0
    assert len(market.quotes) == 16


def test_put_orders_rest_unless_they_would_cross(engine: MatchingEngine, make: Any) -> None:
    """
    An order put in by hand joins the book where it can; where it would cross it stays beside it, active.
    """
    engine.put(make("buy", "1", "1000"))
    beside = engine.put(make("sell", "1", "900"))

    assert (beside.active, beside.resting) == (True, False)
    engine.fill(beside, quantity=D("0.25"))
    assert (beside.filled, beside.fills[0].price) == (D("0.25"), D(900))
    assert engine.cancel(beside)


def test_a_dead_order_can_be_revived(engine: MatchingEngine, make: Any) -> None:
    """An order that failed starts again under its own id."""
    order = make("buy", "1", "1000")
    order.state = State.FAILED
    engine.put(order)

    engine.revive(order)

    assert (order.state, order.resting, order.locked) == (State.OPEN, True, D(1000))


def test_a_fill_or_kill_order_is_killed_when_its_money_does_not_reach(clock: SimClock, bench: Any) -> None:
    """A market stop that locked nothing, with money for a part of it when it triggers: nothing of it is filled."""
    engine, make = bench.new_engine(clock=clock, mxn=1_000_000), bench.order_maker(clock)
    engine.place(make("sell", "5", "1200000", account="other"))
    stop = make("buy", "2", stop_price="1100000", trigger="above", time_in_force="fok")
    engine.place(stop)

    engine.place(make("buy", "0.1", "1200000", account="other"))

    assert (stop.state, stop.filled) == (State.CANCELLED, 0)
