"""
One round of asking a venue about placements whose outcome is not known.

The reads go in the order look-up, open list, trades or history, look-up: an order that fills between two reads cannot
hide from all four. Only an answer counts as a negative; an error, a short page or an unreadable row counts as nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from orderbridge.errors import NotSupported, OrderNotFound
from orderbridge.gateway import OrderGateway, within
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Answer, BadRow, OrderList
from orderbridge.placement.states import Record
from orderbridge.screening import disagreements

T = TypeVar("T")
PROBE_TIMEOUT: Final = 15.0
# For everything that a listing reads; its time limit is per page.
READ_TIMEOUT: Final = 60.0


async def open_orders_of(
    gateway: OrderGateway, symbols: Iterable[str], *, as_of: datetime, timeout: float
) -> OrderList:
    """
    The complete open orders of the account; of these symbols only, where they are listed by symbol.

    It may lack what any of its lists may, and what the gateway says of all its lists.

    Raises:
        Whatever the gateway raises. A part of the symbols is no answer.
    """
    asked = sorted(set(symbols)) if gateway.capabilities.open_orders_by_symbol else [None]
    orders: list[Order] = []
    bad_rows: list[BadRow] = []
    may_lack = gateway.capabilities.open_orders_may_lack
    for symbol in asked:
        listed = await within(gateway.open_orders(symbol=symbol, timeout=timeout), timeout)
        orders += listed.orders
        bad_rows += listed.bad_rows
        may_lack |= listed.may_lack
    return OrderList(orders=tuple(orders), as_of=as_of, bad_rows=tuple(bad_rows), may_lack=may_lack)


async def all_of(items: AsyncIterator[T]) -> list[T]:
    """Everything that an iterator yields."""
    return [item async for item in items]


async def steadily(items: AsyncIterator[T]) -> list[T]:
    """Everything that an iterator yields, however long that takes. TimeoutError: nothing more came for a while."""
    found: list[T] = []
    while (item := await within(anext(items, None), READ_TIMEOUT)) is not None:
        found.append(item)
    return found


# A list is asked for by the venue's clock, which may be behind ours; reading a little more costs little.
_CLOCKS_APART: Final = timedelta(minutes=5)


@dataclass
class Round:
    """
    The outcome of one round for one placement.

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
        """True if every way of asking was answered, and none showed anything."""
        return not (self.orders or self.blocked or self.exists)


IsKnown = Callable[[Order], Awaitable[bool]]


async def probe(
    gateway: OrderGateway, records: Sequence[Record], *, known: IsKnown, timeout: float
) -> dict[str, Round]:
    """
    Ask once about each placement, together where the venue can; what each round said, by placement id.

    Args:
        known: whether an order, shown without a client id, is some other placement's.
    """
    rounds = {record.id: Round() for record in records}
    for record in records:
        if record.placement.client_order_id is None:
            rounds[record.id].blocked.append("the venue takes no client order id: nothing can be asked for by it")
    asking = _Asking(gateway, rounds, known, timeout)
    await asking.look_up(asking.named(records), "look-up")
    await asking.read_open_orders(asking.open(records))
    for record in asking.named(records):
        await asking.read_trades(record)
    await asking.read_history(asking.open(records))
    await asking.look_up([each for each in asking.named(records) if asking.may_be_absent(each)], "second look-up")
    return rounds


async def glance(gateway: OrderGateway, records: Sequence[Record], *, timeout: float) -> dict[str, Round]:
    """Look for orders of placements that are over: nothing is proven by it, only what shows up counts."""
    rounds = {record.id: Round() for record in records}
    asking = _Asking(gateway, rounds, _nobodys, timeout)
    await asking.look_up(asking.named(records), "look-up")
    await asking.read_open_orders(asking.named(records))
    return rounds


async def _nobodys(order: Order) -> bool:
    return False


@dataclass
class _Asking:
    """
    The reads of one round.

    Attributes:
        scanned: placements that the venue cannot be asked for by id: it was searched, in part, by the same list
            that the history is read from. That history, read whole, is the answer about them.
    """

    gateway: OrderGateway
    rounds: dict[str, Round]
    known: IsKnown
    timeout: float
    scanned: set[str] = field(default_factory=set)

    def open(self, records: Sequence[Record]) -> list[Record]:
        """The placements that nothing was seen of yet."""
        return [record for record in records if not self.rounds[record.id].orders]

    def named(self, records: Sequence[Record]) -> list[Record]:
        """Those of them that have a client id."""
        return [record for record in self.open(records) if record.placement.client_order_id is not None]

    def may_be_absent(self, record: Record) -> bool:
        """True if nothing kept the round from being a negative so far, and the venue can be asked by id again."""
        return not self.rounds[record.id].blocked and record.id not in self.scanned

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
            result = await within(self.gateway.lookup(*refs, timeout=self.timeout), self.timeout)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"{source}: {error}")
            return
        for record, ref in zip(records, refs, strict=True):
            found, round_ = result[ref], self.rounds[record.id]
            answers = set(found.answers.values())
            if found.orders:
                round_.orders, round_.source = list(found.orders), source
            elif answers == {Answer.PARTLY_SEARCHED} and self.gateway.capabilities.history:
                self.scanned.add(record.id)
            elif answers != {Answer.NOT_SEEN}:
                said = ", ".join(f"{name} {answer}" for name, answer in found.answers.items())
                round_.blocked.append(f"{source}: {'; '.join(found.notes) or said or 'nobody answered'}")

    async def read_open_orders(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            symbols = [record.placement.request.symbol for record in records]
            listed = await open_orders_of(self.gateway, symbols, as_of=datetime.now(UTC), timeout=self.timeout)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"open orders: {error}")
            return
        await self._take(records, listed.orders, "open orders")
        waiting = [record for record in self.open(records) if record.placement.request.type in listed.may_lack]
        self._block(waiting, "open orders: one that waits for its trigger may be left out, so it is not proven absent")
        if listed.bad_rows:
            self._block(self.open(records), f"open orders: {len(listed.bad_rows)} rows could not be read")

    async def read_trades(self, record: Record) -> None:
        round_ = self.rounds[record.id]
        if not self.gateway.capabilities.fills or record.id in self.scanned or round_.blocked:
            return  # what is blocked already is proven neither way by its trades, and a venue in trouble is spared
        try:
            fills = self.gateway.fills(self._ref(record), timeout=self.timeout)
            round_.exists = bool(await within(all_of(fills), READ_TIMEOUT))
        except (OrderNotFound, NotSupported):
            return  # a documented miss; a call that the gateway lacks is no part of its proof
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            round_.blocked.append(f"trades: {error}")

    async def read_history(self, records: Sequence[Record]) -> None:
        if not records or not self.gateway.capabilities.history:
            return
        since = min(record.placement.created_at for record in records) - _CLOCKS_APART
        try:
            try:
                orders = await self._history(since)
            except NotSupported:  # of a venue that lists by symbol only
                symbols = sorted({record.placement.request.symbol for record in records})
                orders = [order for symbol in symbols for order in await self._history(since, symbol)]
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"history: {error}")
            return
        await self._take(records, orders, "history")

    async def _history(self, since: datetime, symbol: str | None = None) -> list[Order]:
        listed = self.gateway.orders(since=since, symbol=symbol, timeout=self.timeout)
        return await within(all_of(listed), READ_TIMEOUT)

    async def _take(self, records: Sequence[Record], orders: Sequence[Order], source: str) -> None:
        by_client: dict[str | None, list[Order]] = {}
        for order in orders:
            by_client.setdefault(order.client_order_id, []).append(order)
        for record in records:
            round_, client_order_id = self.rounds[record.id], record.placement.client_order_id
            mine = by_client.get(client_order_id) if client_order_id is not None else None
            if mine:
                round_.orders, round_.source = mine, source
            elif candidates := await self._candidates(record, by_client.get(None, ())):
                round_.blocked.append(f"{source}: without a client id, so it may be any of {', '.join(candidates)}")

    async def _candidates(self, record: Record, nameless: Sequence[Order]) -> list[str]:
        """Orders that are shown without a client id, and that fit: each may be this one, and none is proven to be."""
        if self.gateway.capabilities.ids_are_unique:
            return []
        request, since = record.placement.request, record.placement.created_at
        fitting = [order for order in nameless if not disagreements(request, order, since=since)]
        return [order.order_id for order in fitting if not await self.known(order)]
