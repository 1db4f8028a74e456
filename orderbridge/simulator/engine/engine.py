"""The engine: every command on orders, and the matching that follows. Deterministic under a seed and a clock."""

import heapq
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from random import Random

from orderbridge.simulator.basics import ZERO, SimClock, add, mul, sub
from orderbridge.simulator.engine.market import HOUSE, Counterparty, Instrument, PublicTrade, SimMarket, reaches
from orderbridge.simulator.engine.money import Accounts, Settlement, Sizing, paying
from orderbridge.simulator.engine.order import SimLedger, SimOrder, State

PERCENT = Decimal("0.01")


class NotEnough(Exception):
    """The account cannot pay for the order; nothing was done."""


class MatchingEngine:
    """
    One exchange: price-time priority, the terms of orders, triggers, and how orders end.

    Args:
        instruments: the markets by name.
        rng: the only source of chance.
    """

    def __init__(self, *, instruments: dict[str, Instrument], clock: SimClock, rng: Random) -> None:
        self.clock = clock
        self.instruments = instruments
        self.markets: dict[str, SimMarket] = {}
        self.ledger = SimLedger()
        self.accounts = Accounts()
        self.settlement = Settlement(self.accounts, self.ledger)
        self.counterparty = Counterparty(rng)
        self._sizing = Sizing(self.settlement)
        # What is due later: orders that expire, cancels that take their time.
        self._due: list[tuple[datetime, int, SimOrder, State]] = []
        self._last_trade_id = 98_000_000
        self._last_sequence = 0

    def market(self, name: str) -> SimMarket:
        """The market's state, with the counter-party's quotes in place."""
        market = self.markets.get(name)
        if market is None:
            market = self.markets[name] = SimMarket(self.instruments[name])
        self.counterparty.quote(market, self.clock.now())
        return market

    def tick(self) -> None:
        """Let everything happen whose time has come, in order. An expiry that was moved since then is skipped."""
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            at, _, order, state = heapq.heappop(self._due)
            moved = state is State.EXPIRED and order.expires_at != at
            if order.active and not moved:
                self._end(order, state, at=at)

    def place(self, order: SimOrder) -> SimOrder:
        """
        Take a new order: match it, rest it, or let it wait for its stop.

        Raises:
            NotEnough: the account cannot pay; the order was not taken.
        """
        self.tick()
        market = self.market(order.market)
        order.state = State.OPEN if order.stop_price is None else State.WAITING
        self._check_funds(market, order)
        order.sequence = self._next_sequence()
        self.ledger.add(order)
        self._expire_later(order)
        self._start(market, order)
        return order

    def cancel(self, order: SimOrder, *, reason: str | None = None) -> bool:
        """End an active order; False if it had ended already."""
        self.tick()
        if not order.active:
            return False
        self.market(order.market)
        self._end(order, State.CANCELLED, at=self.clock.now(), reason=reason)
        return True

    def end_later(self, order: SimOrder, state: State, *, at: datetime) -> None:
        """End the order with this state at that moment, if it is then still active."""
        heapq.heappush(self._due, (at, order.sequence, order, state))

    def _expire_later(self, order: SimOrder) -> None:
        if order.expires_at is not None and order.active:
            self.end_later(order, State.EXPIRED, at=order.expires_at)

    def edit(
        self,
        order: SimOrder,
        *,
        quantity: Decimal | None = None,
        quote_quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        time_in_force: str | None = None,
        expires_at: datetime | None = None,
        endless: bool = False,
    ) -> None:
        """
        Change an active order in place. Less quantity alone keeps its place in the queue; all else joins
        anew.

        None leaves as it is; a size in base replaces one in quote and the other way round; `endless` takes an
        expiry away.

        Raises:
            NotEnough: the account cannot pay for the difference; the order is as it was.
        """
        market = self.market(order.market)
        if quantity is None and quote_quantity is None:
            quantity, quote_quantity = order.quantity, order.quote_quantity
        price, stop_price = price or order.price, stop_price or order.stop_price
        changed = replace(order, quantity=quantity, quote_quantity=quote_quantity, price=price, stop_price=stop_price)
        free = add(self.settlement.available(market.instrument, order), order.locked)
        if self.settlement.to_lock(changed) > free:
            raise NotEnough
        same = (quote_quantity, price, stop_price) == (order.quote_quantity, order.price, order.stop_price)
        smaller = same and (quantity or ZERO) <= (order.quantity or ZERO)
        if order.resting and not smaller:
            market.book.own(order.side).remove(order)
        order.quantity, order.quote_quantity = quantity, quote_quantity
        order.price, order.stop_price = price, stop_price
        order.time_in_force = time_in_force or order.time_in_force
        order.expires_at = None if endless else expires_at or order.expires_at
        order.updated_at = self.clock.now()
        self._expire_later(order)
        if smaller:
            self.settlement.relock(market.instrument, order)
            self._finish_if_filled(market, order)
        else:
            order.sequence = self._next_sequence()
            self._start(market, order)

    def revive(self, order: SimOrder) -> None:
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
        order.sequence = self._next_sequence()
        self.ledger.revived(order)
        self._expire_later(order)
        self._start(market, order)

    def put(
        self,
        order: SimOrder,
        *,
        executions: Iterable[tuple[Decimal, Decimal]] = (),
        filled: tuple[Decimal, Decimal] | None = None,
    ) -> SimOrder:
        """
        Record an order in any state, with fills at (price, quantity) against the house; no rule is asked.

        `filled` is the base and quote that count as filled, where that is not the sum of the fills.

        An active limit order rests in the book unless it would cross somebody's order there; quotes in its
        way are withdrawn. The account is given what the order must lock if it lacks it.
        """
        market = self.market(order.market)
        order.sequence = self._next_sequence()
        self.ledger.add(order)
        at = order.updated_at or order.created_at
        for price, quantity in executions:
            self.settlement.execute(market.instrument, order, None, self._new_trade(order, price, quantity, at))
        if filled is not None:
            order.filled, order.filled_quote = filled
        if order.active and order.remaining >= 0:
            self._park(market, order)
        return order

    def _park(self, market: SimMarket, order: SimOrder) -> None:
        missing = sub(self.settlement.to_lock(order), self.settlement.available(market.instrument, order))
        if missing > 0:
            self.accounts.deposit(order.account, paying(market.instrument, order), missing)
        self.settlement.relock(market.instrument, order)
        self._expire_later(order)
        if order.state is State.WAITING:
            market.watch(order)
        elif order.price is not None and order.remaining > 0:
            if market.book.crosses(order.side, order.price):
                self.counterparty.withdraw(market)
            if not market.book.crosses(order.side, order.price):
                market.book.own(order.side).add(order)
            self.counterparty.quote(market, self.clock.now())

    def fill(self, order: SimOrder, *, quantity: Decimal | None = None, price: Decimal | None = None) -> None:
        """
        Fill an active order against the house, wherever it stands: whole, unless a quantity is given.

        Raises:
            ValueError: the order has ended, or wants less than that.
        """
        market = self.market(order.market)
        at_price = price or order.price or market.last
        rest = self._sizing.rest(market, order, at_price)
        size = rest if quantity is None else quantity
        if not order.active or not ZERO < size <= rest:
            raise ValueError(f"cannot fill {size} of {order.order_id}: {order.state}, {rest} left")
        self._execute(market, order, None, at_price, size)
        self._after_trades(market)

    def trade(self, market: SimMarket, *, price: Decimal, quantity: Decimal | None = None) -> None:
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
                self._execute(market, order, None, order.price or price, size)
                rest = None if rest is None else sub(rest, size)
        if rest or market.last != price:
            size = rest or market.instrument.step
            market.print_trade(PublicTrade(self._next_trade_id(), price, size, "sell", self.clock.now()))
        market.reference = price
        self._after_trades(market)

    def set_liquidity(self, enabled: bool) -> None:
        """Have the counter-party quote, or take all its quotes away."""
        if enabled != self.counterparty.enabled:
            self.counterparty.enabled = enabled
            for market in self.markets.values():
                self.counterparty.withdraw(market)

    # Matching.

    def _check_funds(self, market: SimMarket, order: SimOrder) -> None:
        needed = self._sizing.needed(market, order)
        if needed > self.settlement.available(market.instrument, order):
            raise NotEnough

    def _start(self, market: SimMarket, order: SimOrder) -> None:
        """Lock what the order needs and let it match, rest or wait."""
        self.settlement.relock(market.instrument, order)
        if order.state is State.WAITING:
            market.watch(order)
        else:
            self._match(market, order)
        self._after_trades(market)

    def _after_trades(self, market: SimMarket) -> None:
        """Trigger stops, which may trade and trigger others, and restore the quotes."""
        while (order := market.next_triggered()) is not None:
            now = self.clock.now()
            self.counterparty.quote(market, now)
            order.state, order.triggered_at, order.updated_at = State.OPEN, now, now
            order.sequence = self._next_sequence()  # it queues from now on, after those that rest already
            free = add(self.settlement.available(market.instrument, order), order.locked)
            if self.settlement.to_lock(order) > free:
                self._end(order, State.CANCELLED, at=now, reason="balance is too low")
                continue
            self.settlement.relock(market.instrument, order)
            self._match(market, order)
        self.counterparty.quote(market, self.clock.now())

    def _match(self, market: SimMarket, order: SimOrder) -> None:
        """Trade with the opposite side as far as the order's terms allow, then rest, fill or cancel it."""
        if order.post_only and market.book.crosses(order.side, order.price):
            self._end(order, State.CANCELLED, at=self.clock.now(), reason="post-only order would take liquidity")
            return
        limit = _limit(market, order)
        if order.time_in_force == "fok" and not self._sizing.fillable(market, order, limit):
            self._end(order, State.CANCELLED, at=self.clock.now(), reason="fill-or-kill order cannot be filled")
            return
        opposite = market.book.opposite(order.side)
        while (maker := opposite.first()) is not None:
            assert maker.price is not None
            size = self._sizing.next_size(market, order, maker)
            if size <= 0 or not reaches(order.side, limit, maker.price):
                break
            self._execute(market, maker, order, maker.price, size)
        self._settle_down(market, order)

    def _execute(
        self, market: SimMarket, maker: SimOrder, taker: SimOrder | None, price: Decimal, size: Decimal
    ) -> None:
        """One execution, without a taker against the house: booked, shown to everybody, locks adjusted."""
        trade = self._new_trade(maker, price, size, self.clock.now())
        self.settlement.execute(market.instrument, maker, taker, trade)
        market.print_trade(trade)
        for order in (maker, taker):
            if order is not None:
                order.updated_at = trade.created_at
                self.settlement.relock(market.instrument, order)
        self._finish_if_filled(market, maker)

    def _settle_down(self, market: SimMarket, order: SimOrder) -> None:
        if self._sizing.complete(market, order):
            self._end(order, State.FILLED, at=self.clock.now())
        elif order.price is not None and order.time_in_force not in ("ioc", "fok"):
            market.book.own(order.side).add(order)
            market.changes += 1
        else:
            self._end(order, State.CANCELLED, at=self.clock.now(), reason="nothing left to trade with")

    def _finish_if_filled(self, market: SimMarket, order: SimOrder) -> None:
        """End the order if it has all that it wanted."""
        if not self._sizing.complete(market, order):
            return
        if order.account == HOUSE:
            market.book.own(order.side).remove(order)
            self.counterparty.consumed(market, order)
        else:
            self._end(order, State.FILLED, at=self.clock.now())

    def _end(self, order: SimOrder, state: State, *, at: datetime, reason: str | None = None) -> None:
        """The order is over: off the book, its lock released."""
        market = self.markets[order.market]
        if order.resting:
            market.book.own(order.side).remove(order)
            market.changes += 1
            market.quotes_stale = True  # a quote that this order kept away may come back
        order.state, order.ended_at, order.updated_at = state, at, at
        order.reason = reason or order.reason
        self.ledger.ended(order)
        self.settlement.relock(market.instrument, order)

    def _new_trade(self, maker: SimOrder, price: Decimal, quantity: Decimal, at: datetime) -> PublicTrade:
        return PublicTrade(self._next_trade_id(), price, quantity, maker.side, at)

    def _next_sequence(self) -> int:
        """A number that rises with every order that joins a queue."""
        self._last_sequence += 1
        return self._last_sequence

    def _next_trade_id(self) -> int:
        self._last_trade_id += 1
        return self._last_trade_id


def _limit(market: SimMarket, order: SimOrder) -> Decimal | None:
    """The worst price at which the order may trade: its limit, or what its slippage tolerance leaves."""
    best = market.book.opposite(order.side).best()
    if order.price is not None or order.slippage is None or best is None:
        return order.price
    away = mul(best, mul(order.slippage, PERCENT))
    return add(best, away) if order.side == "buy" else sub(best, away)
