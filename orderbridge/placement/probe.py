"""
One round of asking a venue about placements whose outcome is not known.

The reads go in the order look-up, open list, trades or history, look-up: an order that fills between two reads cannot
hide from all four. Only an answer counts as a negative; an error, a short page or an unreadable row counts as nothing.

What has no client id is sought among all that the venue shows of its symbol and side and that no placement is known of.
Trusted is that our clock is no more than an hour ahead of the venue's: what that shows as older is not it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Final, TypeVar

from orderbridge.errors import NotSupported, OrderNotFound
from orderbridge.gateway import Capabilities, OrderGateway, within
from orderbridge.model.lifecycle import with_fills
from orderbridge.model.order import Fill, Identity, Order
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

    It may lack what any of its lists may, what the gateway says of all its lists, and what may show as another order.

    Raises:
        Whatever the gateway raises. A part of the symbols is no answer.
    """
    asked = sorted(set(symbols)) if gateway.capabilities.open_orders_by_symbol else [None]
    orders: list[Order] = []
    bad_rows: list[BadRow] = []
    may_lack = gateway.capabilities.open_orders_may_lack | gateway.capabilities.triggers_apart
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


# Asked for in one round at the least. A gateway splits what its venue takes one by one, and where it searches a
# list, one search serves them all.
_TOGETHER: Final = 50


def in_rounds(items: Iterable[T], capabilities: Capabilities) -> Iterator[list[T]]:
    """So many at a time as one round asks about."""
    rest = iter(items)
    while some := list(islice(rest, max(capabilities.lookup_batch, _TOGETHER))):
        yield some


def traded_orders(fills: Iterable[Fill], *, at: datetime) -> list[Order]:
    """The orders of trades, as far as those tell."""
    by_order: dict[Identity, list[Fill]] = {}
    for fill in fills:
        by_order.setdefault((fill.gateway, fill.order_id, fill.symbol, fill.side), []).append(fill)
    names = ("venue", "account", "order_id", "client_order_id", "symbol", "side")
    return [
        with_fills(Order(**{name: getattr(trades[0], name) for name in names}), trades, at=at)
        for trades in by_order.values()
    ]


async def as_shown(gateway: OrderGateway, orders: Iterable[Order], *, timeout: float) -> list[Order]:
    """Orders as their venue shows them, and as they are where it does not."""
    shown: list[Order] = []
    for some in in_rounds(orders, gateway.capabilities):
        refs = [OrderRef(gateway=each.gateway, order_id=each.order_id, symbol=each.symbol) for each in some]
        result = await within(gateway.lookup(*refs, timeout=timeout), timeout)
        for order, ref in zip(some, refs, strict=True):
            shown += result[ref].orders or [order]
    return shown


# A list is asked for, and what is older told, by the venue's clock; ours may be ahead of that by so much.
_CLOCKS_APART: Final = timedelta(hours=1)


@dataclass
class Round:
    """
    The outcome of one round for one placement.

    Attributes:
        orders: those seen under its client id, and where. `blocked`: why the round proves nothing, if so.
        exists: its trades were seen, so there is an order, though none could be shown.
        candidates: where it has no client id, the orders of no other placement that it may have become.
    """

    orders: list[Order] = field(default_factory=list)
    source: str = ""
    blocked: list[str] = field(default_factory=list)
    exists: bool = False
    candidates: dict[Identity, Order] = field(default_factory=dict)

    @property
    def is_negative(self) -> bool:
        """True if every way of asking was answered, and none showed anything."""
        return not (self.orders or self.doubts or self.exists)

    @property
    def doubts(self) -> list[str]:
        """Why the round proves nothing."""
        ids = ", ".join(order.order_id for order in self.candidates.values())
        return [*self.blocked, *([f"without a client id, so it may be any of {ids}"] if ids else [])]


IsKnown = Callable[[Record, Order], Awaitable[bool]]


async def probe(
    gateway: OrderGateway, records: Sequence[Record], *, known: IsKnown, timeout: float
) -> dict[str, Round]:
    """
    Ask once about each placement, together where the venue can; what each round said, by placement id.

    Args:
        known: whether an order, which is not shown under the client id of a placement, is certainly another's.
    """
    rounds = {record.id: Round() for record in records}
    asking = _Asking(gateway, rounds, known, timeout)
    await asking.look_up(asking.named(records), "look-up")
    await asking.read_open_orders(asking.open(records))
    for record in asking.named(records):
        await asking.read_trades(record)
    if gateway.capabilities.history:
        await asking.read_history(asking.open(records))
    else:
        await asking.read_account_trades(asking.unasked(records))
    await asking.look_up([each for each in asking.named(records) if asking.may_be_absent(each)], "second look-up")
    return rounds


async def glance(
    gateway: OrderGateway, records: Sequence[Record], *, known: IsKnown, timeout: float
) -> dict[str, Round]:
    """Look for orders of placements that are over: nothing is proven by it, only what shows up counts."""
    rounds = {record.id: Round() for record in records}
    asking = _Asking(gateway, rounds, known, timeout)
    await asking.look_up(asking.named(records), "look-up")
    await asking.read_open_orders(asking.open(records))
    return rounds


@dataclass
class _Asking:
    """
    The reads of one round.

    Attributes:
        scanned: placements that the venue cannot be asked for by id: it was searched, in part, by the same lists as
            here. The history, read whole, is the answer about them, or else the account's trades.
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

    def unasked(self, records: Sequence[Record]) -> list[Record]:
        """Those that no id of ours could be asked for by, and that the round may still prove something of."""
        unblocked = [record for record in self.open(records) if not self.rounds[record.id].blocked]
        return [each for each in unblocked if each.placement.client_order_id is None or each.id in self.scanned]

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
        can = self.gateway.capabilities
        for record, ref in zip(records, refs, strict=True):
            found, round_ = result[ref], self.rounds[record.id]
            answers = set(found.answers.values())
            if found.orders:
                round_.orders, round_.source = list(found.orders), source
            elif answers == {Answer.PARTLY_SEARCHED} and (can.history or can.fills):
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
        self._block(
            waiting, "open orders: one with a trigger may be left out or be another order, so it is not proven absent"
        )
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

    async def read_account_trades(self, records: Sequence[Record]) -> None:
        """The trades of the account, where no list has ended orders and none can be asked for by an id of ours."""
        if not records:
            return
        symbols = {record.placement.request.symbol for record in records}
        try:
            fills = await self._since(records, self.gateway.fills)
            traded = traded_orders([each for each in fills if each.symbol in symbols], at=datetime.now(UTC))
            strange = [order for order in traded if not await self.known(records[0], order)]
            await self._take(records, await as_shown(self.gateway, strange, timeout=self.timeout), "trades")
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"trades: {error}")

    async def read_history(self, records: Sequence[Record]) -> None:
        if not records:
            return
        try:
            orders = await self._since(records, self.gateway.orders)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it is no negative
            self._block(records, f"history: {error}")
            return
        await self._take(records, orders, "history")

    async def _since(self, records: Sequence[Record], listed: Callable[..., AsyncIterator[T]]) -> list[T]:
        """All of a list since the first of some placements; by symbol, of a venue that lists so only."""
        since = min(record.placement.created_at for record in records) - _CLOCKS_APART

        async def read(symbol: str | None) -> list[T]:
            return await within(all_of(listed(since=since, symbol=symbol, timeout=self.timeout)), READ_TIMEOUT)

        try:
            return await read(None)
        except NotSupported:
            symbols = sorted({record.placement.request.symbol for record in records})
            return [each for symbol in symbols for each in await read(symbol)]

    async def _take(self, records: Sequence[Record], orders: Sequence[Order], source: str) -> None:
        by_client: dict[str | None, list[Order]] = {}
        for order in orders:
            by_client.setdefault(order.client_order_id, []).append(order)
        for record in records:
            round_, client_order_id = self.rounds[record.id], record.placement.client_order_id
            if client_order_id is None:
                round_.candidates |= await self._candidates(record, orders)
            elif mine := by_client.get(client_order_id):
                round_.orders, round_.source = mine, source
            elif not self.gateway.capabilities.ids_are_unique and (
                candidates := await self._candidates(record, by_client.get(None, ()))
            ):
                ids = ", ".join(order.order_id for order in candidates.values())
                round_.blocked.append(f"{source}: without a client id, so it may be any of {ids}")

    async def _candidates(self, record: Record, orders: Iterable[Order]) -> dict[Identity, Order]:
        """
        Orders that each may be this one, and that none is proven to be: they fit; or, where it can be told by nothing
        else, they are of its side and not certainly older.
        """
        request, placement = record.placement.request, record.placement
        nameless, earliest = placement.client_order_id is None, placement.created_at - _CLOCKS_APART
        since = None if nameless else earliest
        found: dict[Identity, Order] = {}
        for order in orders:
            is_late = order.created_at is None or order.created_at >= earliest
            is_of_side = nameless and is_late and (order.symbol, order.side) == (request.symbol, request.side)
            if (is_of_side or not disagreements(request, order, since=since)) and not await self.known(record, order):
                found[order.identity] = order
        return found
