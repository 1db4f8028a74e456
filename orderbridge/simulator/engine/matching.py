"""Matching: price-time priority, the terms of orders, triggers, and how orders end."""

from datetime import datetime
from decimal import Decimal
from random import Random

from orderbridge.simulator.amounts import add, mul, sub
from orderbridge.simulator.clock import SimClock
from orderbridge.simulator.engine.account import Accounts
from orderbridge.simulator.engine.book import reaches
from orderbridge.simulator.engine.instrument import Instrument
from orderbridge.simulator.engine.ledger import Ledger
from orderbridge.simulator.engine.maker import Counterparty
from orderbridge.simulator.engine.market import Market, PublicTrade
from orderbridge.simulator.engine.order import Order, State
from orderbridge.simulator.engine.settlement import HOUSE, Settlement
from orderbridge.simulator.engine.sizing import Sizing

PERCENT = Decimal("0.01")


class Matcher:
    """Markets, accounts and records, and what happens to an order once it is on its way."""

    def __init__(self, *, instruments: dict[str, Instrument], clock: SimClock, rng: Random) -> None:
        self.instruments = instruments
        self.clock = clock
        self.ledger = Ledger()
        self.accounts = Accounts()
        self.settlement = Settlement(self.accounts, self.ledger)
        self.counterparty = Counterparty(rng)
        self.sizing = Sizing(self.settlement)
        self.markets: dict[str, Market] = {}
        self.last_trade_id = 98_000_000
        self.last_sequence = 0

    def market(self, name: str) -> Market:
        """The market's state, with the counter-party's quotes in place."""
        market = self.markets.get(name)
        if market is None:
            market = self.markets[name] = Market(self.instruments[name])
        self.counterparty.quote(market, self.clock.now())
        return market

    def start(self, market: Market, order: Order) -> None:
        """Lock what the order needs and let it match, rest or wait."""
        self.settlement.relock(market.instrument, order)
        if order.state is State.WAITING:
            market.watch(order)
        else:
            self._match(market, order)
        self.after_trades(market)

    def after_trades(self, market: Market) -> None:
        """Trigger stops, which may trade and trigger others, and restore the quotes."""
        while (order := market.next_triggered()) is not None:
            now = self.clock.now()
            self.counterparty.quote(market, now)
            order.state, order.triggered_at, order.updated_at = State.OPEN, now, now
            order.sequence = self.next_sequence()  # it queues from now on, after those that rest already
            free = add(self.settlement.available(market.instrument, order), order.locked)
            if self.settlement.to_lock(order) > free:
                self.end(order, State.CANCELLED, at=now, reason="balance is too low")
                continue
            self.settlement.relock(market.instrument, order)
            self._match(market, order)
        self.counterparty.quote(market, self.clock.now())

    def _match(self, market: Market, order: Order) -> None:
        """Trade with the opposite side as far as the order's terms allow, then rest, fill or cancel it."""
        if order.post_only and market.book.crosses(order.side, order.price):
            self.end(order, State.CANCELLED, at=self.clock.now(), reason="post-only order would take liquidity")
            return
        limit = self._limit(market, order)
        if order.time_in_force == "fok" and not self.sizing.fillable(market, order, limit):
            self.end(order, State.CANCELLED, at=self.clock.now(), reason="fill-or-kill order cannot be filled")
            return
        opposite = market.book.opposite(order.side)
        while (maker := opposite.first()) is not None:
            assert maker.price is not None
            size = self.sizing.next_size(market, order, maker)
            if size <= 0 or not reaches(order.side, limit, maker.price):
                break
            self._execute(market, maker, order, size)
        self._settle_down(market, order)

    def _limit(self, market: Market, order: Order) -> Decimal | None:
        """The worst price at which the order may trade: its limit, or what its slippage tolerance leaves."""
        best = market.book.opposite(order.side).best()
        if order.price is not None or order.slippage is None or best is None:
            return order.price
        away = mul(best, mul(order.slippage, PERCENT))
        return add(best, away) if order.side == "buy" else sub(best, away)

    def _execute(self, market: Market, maker: Order, taker: Order, size: Decimal) -> None:
        assert maker.price is not None
        trade_id, now = self.next_trade_id(), self.clock.now()
        self.settlement.execute(
            market.instrument,
            maker=maker,
            taker=taker,
            price=maker.price,
            quantity=size,
            trade_id=trade_id,
            at=now,
        )
        maker.updated_at = taker.updated_at = now
        market.print_trade(PublicTrade(trade_id, maker.price, size, maker.side, now))
        self.settlement.relock(market.instrument, taker)
        self.settlement.relock(market.instrument, maker)
        self.finish_if_filled(market, maker)

    def trade_with_house(self, market: Market, order: Order, price: Decimal, size: Decimal) -> None:
        """One execution with the house, wherever the order stands."""
        trade_id, now = self.next_trade_id(), self.clock.now()
        self.settlement.against_house(market.instrument, order, price=price, quantity=size, trade_id=trade_id, at=now)
        order.updated_at = now
        market.print_trade(PublicTrade(trade_id, price, size, order.side, now))
        self.settlement.relock(market.instrument, order)
        self.finish_if_filled(market, order)

    def _settle_down(self, market: Market, order: Order) -> None:
        if self.sizing.complete(market, order):
            self.end(order, State.FILLED, at=self.clock.now())
        elif order.price is not None and order.time_in_force not in ("ioc", "fok"):
            market.book.own(order.side).add(order)
            market.changes += 1
        else:
            self.end(order, State.CANCELLED, at=self.clock.now(), reason="nothing left to trade with")

    def finish_if_filled(self, market: Market, order: Order) -> None:
        """End the order if it has all that it wanted."""
        if not self.sizing.complete(market, order):
            return
        if order.account == HOUSE:
            market.book.own(order.side).remove(order)
            self.counterparty.consumed(market, order)
        else:
            self.end(order, State.FILLED, at=self.clock.now())

    def end(self, order: Order, state: State, *, at: datetime, reason: str | None = None) -> None:
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

    def next_sequence(self) -> int:
        """A number that rises with every order that joins a queue."""
        self.last_sequence += 1
        return self.last_sequence

    def next_trade_id(self) -> int:
        """A number that rises with every trade."""
        self.last_trade_id += 1
        return self.last_trade_id
