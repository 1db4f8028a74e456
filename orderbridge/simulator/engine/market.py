"""One market: its book, its last price, its public trades and the stop orders that watch it."""

import heapq
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from orderbridge.simulator.engine.book import Book
from orderbridge.simulator.engine.instrument import Instrument
from orderbridge.simulator.engine.order import Order, State

KEPT_TRADES = 1_000


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """What everybody sees of an execution."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    maker_side: str
    created_at: datetime


class Market:
    """
    The state of one instrument's market.

    Attributes:
        reference: the price around which the counter-party quotes.
        last: the last trade's price; the reference before the first trade.
        changes: rises with every change of the book.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.book = Book()
        self.reference = instrument.reference
        self.last = instrument.reference
        self.trades: deque[PublicTrade] = deque(maxlen=KEPT_TRADES)
        self.changes = 0
        self.quotes: dict[tuple[str, Decimal], Order] = {}
        self.quotes_stale = True
        self._rising: list[tuple[Decimal, int, Order]] = []
        self._falling: list[tuple[Decimal, int, Order]] = []

    def watch(self, order: Order) -> None:
        """Have a waiting order triggered when the last price reaches its stop."""
        assert order.stop_price is not None
        if order.trigger == "above":
            heapq.heappush(self._rising, (order.stop_price, order.sequence, order))
        else:
            heapq.heappush(self._falling, (order.stop_price.copy_negate(), order.sequence, order))

    def next_triggered(self) -> Order | None:
        """A waiting order whose stop the last price has reached; taken off the watch."""
        while self._rising and self._rising[0][0] <= self.last:
            stop, _, order = heapq.heappop(self._rising)
            if order.state is State.WAITING and order.stop_price == stop:
                return order
        while self._falling and self._falling[0][0].copy_negate() >= self.last:
            negative, _, order = heapq.heappop(self._falling)
            if order.state is State.WAITING and order.stop_price == negative.copy_negate():
                return order
        return None

    def print_trade(self, trade: PublicTrade) -> None:
        """Show a trade to everybody."""
        self.trades.append(trade)
        self.last = trade.price
        self.changes += 1
