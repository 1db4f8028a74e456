"""A market in the hand of a test."""

from collections.abc import Iterable
from decimal import Decimal
from threading import RLock

from orderbridge.simulator.basics import ZERO, Amount, as_decimal
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import SimMarket
from orderbridge.simulator.engine.order import SimOrder


class MarketHandle:
    """One market of a simulated venue. Its calls are safe from any thread."""

    def __init__(self, engine: Engine, name: str, lock: "RLock") -> None:
        if name not in engine.instruments:
            raise ValueError(f"no market {name!r}; there are: {', '.join(engine.instruments)}")
        self._engine = engine
        self._name = name
        self._lock = lock

    def trade(self, *, price: Amount, quantity: Amount | None = None) -> None:
        """
        Have the market trade at `price`, by which orders fill and stops trigger.

        Args:
            quantity: how much trades in all. Orders at that price or better get it first, best price and
                oldest first; with None, all of them fill.

        Raises:
            ValueError: a price or quantity that is not above zero.
        """
        at, size = _positive(price), None if quantity is None else _positive(quantity)
        with self._lock:
            self._engine.trade(self._market, price=at, quantity=size)

    def fill(self, order: SimOrder | str, *, quantity: Amount | None = None, price: Amount | None = None) -> None:
        """
        Fill this order, wherever it stands: whole unless a quantity, at its own price unless a price is
        given.
        """
        with self._lock:
            found = self._engine.ledger.orders[order] if isinstance(order, str) else order
            size = None if quantity is None else _positive(quantity)
            self._engine.fill(found, quantity=size, price=None if price is None else _positive(price))

    @property
    def last(self) -> Decimal:
        """The last price."""
        return self._market.last

    @property
    def bid(self) -> Decimal | None:
        """The best price that somebody pays."""
        return self._market.book.bids.best()

    @property
    def ask(self) -> Decimal | None:
        """The best price at which somebody sells."""
        return self._market.book.asks.best()

    def levels(self, side: str) -> Iterable[tuple[Decimal, Decimal]]:
        """(price, quantity) of each level of the bids (`buy`) or asks (`sell`), best first."""
        with self._lock:
            return list(self._market.book.own(side).sizes())

    @property
    def _market(self) -> SimMarket:
        return self._engine.market(self._name)


def _positive(value: Amount) -> Decimal:
    amount = as_decimal(value)
    if amount <= ZERO:
        raise ValueError(f"a market trades above zero only, not {value!r}")
    return amount
