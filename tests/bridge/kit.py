"""A gateway of a bridge over a simulated venue, for the tests of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from orderbridge import Order, OrderBridge, OrderRequest
from orderbridge.bound import BoundGateway
from orderbridge.errors import JournalError
from orderbridge.http.retry import Retries
from orderbridge.placement import SqliteJournal

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


async def disk_is_full(work: Callable[[Any], Any]) -> Any:
    raise JournalError("the disk is full")


@dataclass
class Bound:
    """A gateway of a bridge with a journal, its simulated venue, and what the tests need to know of it."""

    sim: Any
    bridge: OrderBridge
    journal: SqliteJournal
    symbol: str
    market: str
    price: str
    place: str

    @property
    def gateway(self) -> BoundGateway:
        return self.bridge[self.bridge.names[0]]

    def buy(self, **changes: Any) -> OrderRequest:
        return OrderRequest.limit(
            **{"symbol": self.symbol, "side": "buy", "quantity": "0.01", "price": self.price, **changes}
        )

    def put(self, **how: Any) -> Any:
        """An order that somebody else placed."""
        return self.sim.put(price=self.price, quantity="0.01", **how)

    def fill(self, order: Any, quantity: str | None = None) -> None:
        self.sim.market(self.market).fill(order.order_id, quantity=quantity)

    def writes(self) -> int:
        return int(self.sim.requests[self.place])

    async def known(self, order: Any) -> Order | None:
        """What the journal knows of an order, once everything that was seen is stored."""
        await self.bridge._placements.recorder.finish()
        found = await self.journal.orders(gateway=self.gateway.name, order_id=order.order_id)
        return found[0] if found else None

    async def spoil(self) -> None:
        """From now on nothing can be written."""
        await self.bridge.recover()
        self.journal.engine.write = disk_is_full
