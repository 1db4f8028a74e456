"""The engine: every command on orders. Deterministic under a seed and a clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from orderbridge.simulator.amounts import ZERO, add, sub
from orderbridge.simulator.clock import SimClock
from orderbridge.simulator.engine.book import reaches
from orderbridge.simulator.engine.instrument import Instrument
from orderbridge.simulator.engine.market import Market, PublicTrade
from orderbridge.simulator.engine.matching import Matcher
from orderbridge.simulator.engine.order import Order, State
from orderbridge.simulator.engine.schedule import Schedule

# Quantity, quote quantity, price, stop price.
Terms = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]


class NotEnough(Exception):
    """The account cannot pay for the order; nothing was done."""


@dataclass(frozen=True, slots=True)
class Change:
    """
    What an edit changes; None leaves as it is. A size in base replaces one in quote and the other way round;
    `endless` takes an expiry away.
    """

    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: str | None = None
    expires_at: datetime | None = None
    endless: bool = False

    def applied_to(self, terms: Terms) -> Terms:
        """The terms after the change."""
        quantity, quote_quantity, price, stop_price = terms
        if (self.quantity, self.quote_quantity) != (None, None):
            quantity, quote_quantity = self.quantity, self.quote_quantity
        return quantity, quote_quantity, self.price or price, self.stop_price or stop_price


def terms_of(order: Order) -> Terms:
    """What an edit may change of the size and prices of an order."""
    return order.quantity, order.quote_quantity, order.price, order.stop_price


def set_terms(order: Order, terms: Terms) -> None:
    """Give it others."""
    order.quantity, order.quote_quantity, order.price, order.stop_price = terms


class Engine:
    """
    One exchange.

    Args:
        instruments: the markets by name.
        rng: the only source of chance.
    """

    def __init__(self, *, instruments: dict[str, Instrument], clock: SimClock, rng: Random) -> None:
        self.clock = clock
        self.instruments = instruments
        self.matcher = Matcher(instruments=instruments, clock=clock, rng=rng)
        self.ledger = self.matcher.ledger
        self.accounts = self.matcher.accounts
        self.settlement = self.matcher.settlement
        self.counterparty = self.matcher.counterparty
        self.schedule = Schedule()

    def market(self, name: str) -> Market:
        """The market's state, with the counter-party's quotes in place."""
        return self.matcher.market(name)

    def tick(self) -> None:
        """Let everything happen whose time has come."""
        for at, order, state in self.schedule.due(self.clock.now()):
            self.matcher.end(order, state, at=at)

    def place(self, order: Order) -> Order:
        """
        Take a new order: match it, rest it, or let it wait for its stop.

        Raises:
            NotEnough: the account cannot pay; the order was not taken.
        """
        self.tick()
        market = self.market(order.market)
        order.state = State.OPEN if order.stop_price is None else State.WAITING
        self._check_funds(market, order)
        order.sequence = self.matcher.next_sequence()
        self.ledger.add(order)
        self.expire_later(order)
        self.matcher.start(market, order)
        return order

    def cancel(self, order: Order, *, reason: str | None = None) -> bool:
        """End an active order; False if it had ended already."""
        self.tick()
        if not order.active:
            return False
        self.market(order.market)
        self.matcher.end(order, State.CANCELLED, at=self.clock.now(), reason=reason)
        return True

    def cancel_later(self, order: Order, *, at: datetime) -> None:
        """End an order at a later moment, if it is then still active."""
        self.schedule.add(at, order, State.CANCELLED)

    def edit(self, order: Order, change: Change) -> None:
        """
        Change an active order in place. Less quantity alone keeps its place in the queue; all else joins
        anew.

        Raises:
            NotEnough: the account cannot pay for the difference; the order is as it was.
        """
        market = self.market(order.market)
        before, after = terms_of(order), change.applied_to(terms_of(order))
        self._check_change(market, order, after)
        smaller = after[1:] == before[1:] and (after[0] or ZERO) <= (before[0] or ZERO)
        if order.resting and not smaller:
            market.book.own(order.side).remove(order)
        set_terms(order, after)
        order.time_in_force = change.time_in_force or order.time_in_force
        order.expires_at = None if change.endless else change.expires_at or order.expires_at
        order.updated_at = self.clock.now()
        self.expire_later(order)
        if smaller:
            self.settlement.relock(market.instrument, order)
            self.matcher.finish_if_filled(market, order)
        else:
            order.sequence = self.matcher.next_sequence()
            self.matcher.start(market, order)

    def _check_change(self, market: Market, order: Order, after: Terms) -> None:
        free = add(self.settlement.available(market.instrument, order), order.locked)
        before = terms_of(order)
        set_terms(order, after)
        needed = self.settlement.to_lock(order)
        set_terms(order, before)
        if needed > free:
            raise NotEnough

    def revive(self, order: Order) -> None:
        """
        Start an ended order again under its own id.

        Raises:
            NotEnough: the account cannot pay; the order stays as it was.
        """
        market = self.market(order.market)
        waits = order.stop_price is not None and order.triggered_at is None
        was, order.state = order.state, State.WAITING if waits else State.OPEN
        try:
            self._check_funds(market, order)
        except NotEnough:
            order.state = was
            raise
        order.ended_at, order.reason = None, None
        order.updated_at = self.clock.now()
        order.sequence = self.matcher.next_sequence()
        self.ledger.revived(order)
        self.expire_later(order)
        self.matcher.start(market, order)

    def put(
        self,
        order: Order,
        *,
        executions: Iterable[tuple[Decimal, Decimal]] = (),
        filled: tuple[Decimal, Decimal] | None = None,
    ) -> Order:
        """
        Record an order in any state, with fills at (price, quantity) against the house; no rule is asked.

        `filled` is the base and quote that count as filled, where that is not the sum of the fills.

        An active limit order rests in the book unless it would cross somebody's order there; quotes in its
        way are withdrawn. The account is given what the order must lock if it lacks it.
        """
        market = self.market(order.market)
        order.sequence = self.matcher.next_sequence()
        self.ledger.add(order)
        at = order.updated_at or order.created_at
        for price, quantity in executions:
            number = self.matcher.next_trade_id()
            self.settlement.against_house(
                market.instrument, order, price=price, quantity=quantity, trade_id=number, at=at
            )
        if filled is not None:
            order.filled, order.filled_quote = filled
        if order.active and order.remaining >= 0:
            self._park(market, order)
        return order

    def _park(self, market: Market, order: Order) -> None:
        missing = sub(self.settlement.to_lock(order), self.settlement.available(market.instrument, order))
        if missing > 0:
            currency = market.instrument.quote if order.side == "buy" else market.instrument.base
            self.accounts.deposit(order.account, currency, missing)
        self.settlement.relock(market.instrument, order)
        self.expire_later(order)
        if order.state is State.WAITING:
            market.watch(order)
        elif order.price is not None and order.remaining > 0:
            if market.book.crosses(order.side, order.price):
                self.counterparty.withdraw(market)
            if not market.book.crosses(order.side, order.price):
                market.book.own(order.side).add(order)
            self.counterparty.quote(market, self.clock.now())

    def fill(self, order: Order, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """
        Fill an active order against the house, wherever it stands: whole, unless a quantity is given.

        Raises:
            ValueError: the order has ended, or wants less than that.
        """
        market = self.market(order.market)
        at_price = price or order.price or market.last
        rest = self.matcher.sizing.rest(market, order, at_price)
        size = rest if quantity is None else quantity
        if not order.active or not ZERO < size <= rest:
            raise ValueError(f"cannot fill {size} of {order.order_id}: {order.state}, {rest} left")
        self.matcher.trade_with_house(market, order, at_price, size)
        self.matcher.after_trades(market)

    def trade(self, market: Market, *, price: Decimal, quantity: Decimal | None = None) -> None:
        """
        Have the market trade at `price`: resting orders at that price or better fill first, at their own
        prices.

        The counter-party's quotes step aside and come back around the new price. `quantity` is how much
        trades in all; None fills whatever stands at that price or better.
        """
        self.tick()
        self.counterparty.withdraw(market)
        rest = quantity
        for side in ("buy", "sell"):
            half = market.book.own(side)
            while (order := half.first()) is not None and reaches(side, order.price, price):
                size = order.remaining if rest is None else min(rest, order.remaining)
                if size <= 0:
                    break
                self.matcher.trade_with_house(market, order, order.price or price, size)
                rest = None if rest is None else sub(rest, size)
        if rest or market.last != price:
            number = self.matcher.next_trade_id()
            size = rest or market.instrument.step
            market.print_trade(PublicTrade(number, price, size, "sell", self.clock.now()))
        market.reference = price
        self.matcher.after_trades(market)

    def _check_funds(self, market: Market, order: Order) -> None:
        needed = self.matcher.sizing.needed(market, order)
        if needed > self.settlement.available(market.instrument, order):
            raise NotEnough

    def expire_later(self, order: Order) -> None:
        """Have the order end when its time comes, if it has one."""
        if order.expires_at is not None and order.active:
            self.schedule.add(order.expires_at, order, State.EXPIRED)

    def set_liquidity(self, enabled: bool) -> None:
        """Have the counter-party quote, or take all its quotes away."""
        if enabled != self.counterparty.enabled:
            self.counterparty.enabled = enabled
            for market in self.matcher.markets.values():
                self.counterparty.withdraw(market)

    def total(self, currency: str) -> Decimal:
        """What all accounts own of a currency together; only deposits change it."""
        amount = ZERO
        for name in self.accounts.names():
            amount = add(amount, self.accounts.get(name, currency).total)
        return amount
