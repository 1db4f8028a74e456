"""
One round of asking a venue about placements whose outcome is not known.

The reads go in the order look-up, open list, trades or history, look-up: an order that fills between two reads cannot
hide from all four. Only an answer counts as a negative; an error, a short page or an unreadable row counts as nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from orderbridge.errors import NotSupported, OrderNotFound
from orderbridge.gateway import OrderGateway
from orderbridge.model.lookup import Answer
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.placement.fingerprint import SKEW
from orderbridge.placement.states import Record


@dataclass
class Round:
    """
    What one round said of one placement.

    Attributes:
        orders: those seen under its client id, and where. `blocked`: why the round proves nothing, if so.
        exists: its trades were seen, so there is an order, though none could be shown.
    """

    orders: list[Order] = field(default_factory=list)
    source: str = ""
    blocked: list[str] = field(default_factory=list)
    exists: bool = False

    @property
    def is_negative(self) -> bool:
        """Whether every way of asking was answered, and none showed anything."""
        return not (self.orders or self.blocked or self.exists)


async def probe(gateway: OrderGateway, records: Sequence[Record], *, timeout: float | None) -> dict[str, Round]:
    """Ask once about each placement, together where the venue can; what each round said, by placement id."""
    rounds = {record.id: Round() for record in records}
    nameless = [record for record in records if record.placement.client_order_id is None]
    for record in nameless:
        rounds[record.id].blocked.append("the venue takes no client order id: nothing can be asked for by it")
    named = [record for record in records if record.placement.client_order_id is not None]
    asking = _Asking(gateway, rounds, timeout)
    await asking.look_up(asking.open(named), "look-up")
    await asking.read_open_orders(asking.open(named))
    for record in asking.open(named):
        await asking.read_trades(record)
    await asking.read_history(asking.open(named))
    await asking.look_up(asking.open(named), "second look-up")
    return rounds


@dataclass
class _Asking:
    """The reads of one round."""

    gateway: OrderGateway
    rounds: dict[str, Round]
    timeout: float | None

    def open(self, records: Sequence[Record]) -> list[Record]:
        """The placements that nothing was seen of yet."""
        return [record for record in records if not self.rounds[record.id].orders]

    def _ref(self, record: Record) -> OrderRef:
        placement = record.placement
        return OrderRef(
            gateway=placement.gateway, client_order_id=placement.client_order_id, symbol=placement.request.symbol
        )

    def _block(self, records: Sequence[Record], why: str) -> None:
        for record in records:
            self.rounds[record.id].blocked.append(why)

    async def look_up(self, records: Sequence[Record], source: str) -> None:
        if not records:
            return
        refs = [self._ref(record) for record in records]
        try:
            result = await self.gateway.lookup(*refs, timeout=self.timeout)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"{source}: {error}")
            return
        for record, ref in zip(records, refs, strict=True):
            found, round_ = result[ref], self.rounds[record.id]
            if found.orders:
                round_.orders, round_.source = list(found.orders), source
            elif any(answer is not Answer.NOT_SEEN for answer in found.answers.values()) or not found.answers:
                said = ", ".join(f"{name} {answer}" for name, answer in found.answers.items())
                round_.blocked.append(f"{source}: {'; '.join(found.notes) or said or 'nobody answered'}")

    async def read_open_orders(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            listed = await self.gateway.open_orders(timeout=self.timeout)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"open orders: {error}")
            return
        self._take(records, listed.orders, "open orders")
        if listed.bad_rows:
            self._block(self.open(records), f"open orders: {len(listed.bad_rows)} rows could not be read")

    async def read_trades(self, record: Record) -> None:
        if not self.gateway.capabilities.fills:
            return
        round_ = self.rounds[record.id]
        try:
            async for _ in self.gateway.fills(self._ref(record), timeout=self.timeout):
                round_.exists = True
        except (OrderNotFound, NotSupported):
            return  # a documented miss; a call that the gateway lacks is no part of its proof
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            round_.blocked.append(f"trades: {error}")

    async def read_history(self, records: Sequence[Record]) -> None:
        if not records or not self.gateway.capabilities.history:
            return
        since = min(record.placement.created_at for record in records) - SKEW
        try:
            orders = [order async for order in self.gateway.orders(since=since, timeout=self.timeout)]
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"history: {error}")
            return
        self._take(records, orders, "history")

    def _take(self, records: Sequence[Record], orders: Sequence[Order], source: str) -> None:
        for record in records:
            mine = [order for order in orders if order.client_order_id == record.placement.client_order_id]
            if mine:
                self.rounds[record.id].orders, self.rounds[record.id].source = mine, source
