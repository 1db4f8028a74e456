"""One market: what may be traded in which steps, its book and public trades, and who gives it liquidity."""

import heapq
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from random import Random

from orderbridge.simulator.basics import ZERO, add, floor_divide, floor_to, mul, sub
from orderbridge.simulator.engine.order import SimOrder, State

KEPT_TRADES = 1_000
# The account of the counter-party, and of the other side of trades that a test makes: it may owe.
HOUSE = "house"
RUNGS = 8
SPACING = Decimal("0.001")
LEAST_SHARE, MOST_SHARE = 1, 10

Bounds = tuple[Decimal, Decimal]
UNBOUNDED: Bounds = (ZERO, Decimal("Infinity"))


@dataclass(frozen=True, slots=True)
class Instrument:
    """
    One market. Prices are quote per base, fees are shares of what is received.

    Attributes:
        name: as the venue spells it.
        step: the smallest step of a base amount.
        reference: the price around which the counter-party quotes until a trade moves it.
        depth: the least value of one of the counter-party's quotes.
        quote_places: decimals with which prices and values are shown.
        amounts, prices, values: the least and the most of each, where the venue tells them.
    """

    name: str
    base: str
    quote: str
    reference: Decimal
    tick: Decimal
    step: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    depth: Decimal
    quote_places: int = 2
    amounts: Bounds = UNBOUNDED
    prices: Bounds = UNBOUNDED
    values: Bounds = UNBOUNDED


class Half:
    """One side of a book. Its levels are kept in order of price, and each level in order of arrival."""

    def __init__(self, *, highest_first: bool) -> None:
        self._highest_first = highest_first
        self._prices: list[Decimal] = []
        self._levels: dict[Decimal, dict[str, SimOrder]] = {}

    def add(self, order: SimOrder) -> None:
        """Join the queue at the order's price."""
        assert order.price is not None
        level = self._levels.get(order.price)
        if level is None:
            level = self._levels[order.price] = {}
            insort(self._prices, order.price)
        level[order.order_id] = order
        order.resting = True

    def remove(self, order: SimOrder) -> None:
        """Leave the book."""
        assert order.price is not None
        level = self._levels[order.price]
        del level[order.order_id]
        if not level:
            del self._levels[order.price]
            del self._prices[bisect_left(self._prices, order.price)]
        order.resting = False

    def best(self) -> Decimal | None:
        """The price that a taker gets first."""
        if not self._prices:
            return None
        return self._prices[-1] if self._highest_first else self._prices[0]

    def first(self) -> SimOrder | None:
        """The order that is next to trade."""
        price = self.best()
        return None if price is None else next(iter(self._levels[price].values()))

    def levels(self) -> Iterator[tuple[Decimal, list[SimOrder]]]:
        """The levels, best first."""
        for price in reversed(self._prices) if self._highest_first else self._prices:
            yield price, list(self._levels[price].values())

    def orders(self) -> Iterator[SimOrder]:
        """Every order, in the order in which they would trade."""
        for _, orders in self.levels():
            yield from orders

    def sizes(self) -> Iterator[tuple[Decimal, Decimal]]:
        """(price, amount) of each level, best first."""
        for price, orders in self.levels():
            amount = ZERO
            for order in orders:
                amount = add(amount, order.remaining)
            yield price, amount


class Book:
    """Bids and asks of one market."""

    def __init__(self) -> None:
        self.bids = Half(highest_first=True)
        self.asks = Half(highest_first=False)

    def own(self, side: str) -> Half:
        """The half in which orders of this side rest."""
        return self.bids if side == "buy" else self.asks

    def opposite(self, side: str) -> Half:
        """The half that orders of this side trade against."""
        return self.asks if side == "buy" else self.bids

    def crosses(self, side: str, price: Decimal | None) -> bool:
        """True if an order would trade at once; one without a price always would, if there is anybody."""
        best = self.opposite(side).best()
        return best is not None and reaches(side, price, best)


def reaches(side: str, limit: Decimal | None, price: Decimal) -> bool:
    """True if an order with this limit may trade at `price`."""
    return limit is None or (price <= limit if side == "buy" else price >= limit)


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """An execution as everybody sees it."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    maker_side: str
    created_at: datetime


class SimMarket:
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
        self.quotes: dict[tuple[str, Decimal], SimOrder] = {}
        self.quotes_stale = True
        self._rising: list[tuple[Decimal, int, SimOrder]] = []
        self._falling: list[tuple[Decimal, int, SimOrder]] = []

    def watch(self, order: SimOrder) -> None:
        """Have a waiting order triggered when the last price reaches its stop."""
        assert order.stop_price is not None
        if order.trigger == "above":
            heapq.heappush(self._rising, (order.stop_price, order.sequence, order))
        else:
            heapq.heappush(self._falling, (order.stop_price.copy_negate(), order.sequence, order))

    def next_triggered(self) -> SimOrder | None:
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


class Counterparty:
    """
    Quotes eight rungs on each side, a thousandth of the reference apart.

    Each rung is worth one to ten times the market's depth, by the seed. A rung that would cross somebody's
    order is left out.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._count = 0
        self.enabled = True

    def quote(self, market: SimMarket, at: datetime) -> None:
        """Restore the rungs that are missing."""
        if not (self.enabled and market.quotes_stale):
            return
        market.quotes_stale = False
        for number in range(1, RUNGS + 1):
            for side in ("buy", "sell"):
                price = self._price(market, side, number)
                if (side, price) not in market.quotes and price > 0 and not market.book.crosses(side, price):
                    self._rest(market, side, price, at)

    def withdraw(self, market: SimMarket) -> None:
        """Take every quote away."""
        for order in market.quotes.values():
            if order.resting:
                market.book.own(order.side).remove(order)
        market.quotes.clear()
        market.quotes_stale = True

    def consumed(self, market: SimMarket, order: SimOrder) -> None:
        """One of the quotes has traded away."""
        assert order.price is not None
        market.quotes.pop((order.side, order.price), None)
        market.quotes_stale = True

    def _price(self, market: SimMarket, side: str, number: int) -> Decimal:
        away = mul(market.reference, mul(SPACING, Decimal(number)))
        tick = market.instrument.tick
        if side == "buy":
            return floor_to(sub(market.reference, away), tick)
        price = add(market.reference, away)
        floor = floor_to(price, tick)
        return floor if floor == price else add(floor, tick)

    def _rest(self, market: SimMarket, side: str, price: Decimal, at: datetime) -> None:
        share = Decimal(self._rng.randint(LEAST_SHARE, MOST_SHARE))
        size = floor_divide(mul(market.instrument.depth, share), price, market.instrument.step)
        if size <= 0:
            return
        self._count += 1
        quote = SimOrder(
            order_id=f"quote{self._count:011d}",
            account=HOUSE,
            market=market.instrument.name,
            side=side,
            type="limit",
            created_at=at,
            quantity=size,
            price=price,
        )
        market.book.own(side).add(quote)
        market.quotes[side, price] = quote
