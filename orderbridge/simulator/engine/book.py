"""The book: resting orders by price, then by time."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal

from orderbridge.simulator.amounts import ZERO, add
from orderbridge.simulator.engine.order import Order


class Half:
    """One side of a book. Its levels are kept in order of price, and each level in order of arrival."""

    def __init__(self, *, highest_first: bool) -> None:
        self._highest_first = highest_first
        self._prices: list[Decimal] = []
        self._levels: dict[Decimal, dict[str, Order]] = {}

    def add(self, order: Order) -> None:
        """Join the queue at the order's price."""
        assert order.price is not None
        level = self._levels.get(order.price)
        if level is None:
            level = self._levels[order.price] = {}
            insort(self._prices, order.price)
        level[order.order_id] = order
        order.resting = True

    def remove(self, order: Order) -> None:
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

    def first(self) -> Order | None:
        """The order that is next to trade."""
        price = self.best()
        return None if price is None else next(iter(self._levels[price].values()))

    def levels(self) -> Iterator[tuple[Decimal, list[Order]]]:
        """The levels, best first."""
        for price in reversed(self._prices) if self._highest_first else self._prices:
            yield price, list(self._levels[price].values())

    def orders(self) -> Iterator[Order]:
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
        """Where orders of this side rest."""
        return self.bids if side == "buy" else self.asks

    def opposite(self, side: str) -> Half:
        """What orders of this side trade against."""
        return self.asks if side == "buy" else self.bids

    def crosses(self, side: str, price: Decimal | None) -> bool:
        """Whether an order would trade at once; one without a price always would, if there is anybody."""
        best = self.opposite(side).best()
        return best is not None and reaches(side, price, best)


def reaches(side: str, limit: Decimal | None, price: Decimal) -> bool:
    """Whether an order with this limit may trade at `price`."""
    return limit is None or (price <= limit if side == "buy" else price >= limit)
