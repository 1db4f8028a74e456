"""The three reads of Bitcain as decoded orders: one by id, the list, the history."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Self, TypeVar

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.acts import OwnActs
from orderbridge.adapters.bitcain.client import BitcainClient
from orderbridge.adapters.bitcain.envelope import Page, Shapeless, one_order, one_page
from orderbridge.adapters.bitcain.mapping import (
    SymbolBook,
    client_id_from_wire,
    moment_to_wire,
    order_from_wire,
    paper_from_wire,
)
from orderbridge.adapters.bitcain.scan import MILLISECOND, PageParams, Row, scan_history, scan_list
from orderbridge.errors import OrderBridgeError, UnexpectedResponse, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.http.session import in_turns, log_facts
from orderbridge.model.basics import Symbol, plain
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Lane
from orderbridge.model.results import BadRow
from orderbridge.venue.bounds import after_a_write, remember
from orderbridge.venue.rows import Unusable

T = TypeVar("T")
Mode = Literal["paper", "live"]
Filters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Rows of a list, sorted out.

    Attributes:
        orders: of our mode, or of a mode that the row does not state.
        others: of the other mode. `bad_rows`: unreadable ones, those of the other mode left out.
        bad_client_ids: the client ids that unreadable rows echo.
    """

    orders: list[Order] = field(default_factory=list)
    others: list[Order] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)
    bad_client_ids: dict[str, BadRow] = field(default_factory=dict)


class BitcainReads:
    """Reads and decodes; anomalies and bad rows are logged once."""

    def __init__(
        self,
        client: BitcainClient,
        *,
        account: str,
        mode: Mode,
        known_symbols: Mapping[str, Symbol],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._account = account
        self.gateway = gateway_name("bitcain", account)
        self.mode = mode
        self.acts = OwnActs(paper=mode == "paper")
        self._symbols = SymbolBook(known_symbols)
        self._clock = clock
        self._logged: dict[tuple[str | None, str], None] = {}

    def in_lane(self, lane: Lane) -> Self:
        """The same reads, waiting in another lane; what they know and have logged is shared."""
        other = copy.copy(self)
        other._client = self._client.in_lane(lane)
        return other

    def now(self) -> datetime:
        """The present moment, by the gateway's clock."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def is_other_mode(self, paper: bool | None) -> bool:
        """Whether an order belongs to the mode that this gateway is not for."""
        return paper is not None and paper is not (self.mode == "paper")

    async def order(
        self, order_id: str, *, symbols: Iterable[Symbol | None] = (), deadline: Deadline, operation: str
    ) -> Order:
        """
        One order by its UUID, whatever its mode.

        Raises:
            UnexpectedResponse: it cannot be read (`bad_rows`), or is another one than asked for.
            OrderNotFound, and what every read raises.
        """
        row = await self._client.get(f"{wire.ORDERS}/{order_id}", one_order, deadline=deadline, operation=operation)
        try:
            order = self._decode(row, self._symbols.wanting(*symbols), operation)
        except Unusable as error:
            bad = self._bad_row(Row(0, row), error)
            self._warn_rows([bad], operation)
            raise UnexpectedResponse(
                f"the order cannot be read: {error}",
                bad_rows=(bad,),
                gateway=self.gateway,
                operation=operation,
            ) from error
        if order.order_id != order_id:
            message = f"asked for {order_id}, the server answered with {order.order_id}"
            raise UnexpectedResponse(message, gateway=self.gateway, operation=operation)
        return order

    async def read_back(
        self, order_id: str, *, symbol: Symbol | None, deadline: Deadline, operation: str
    ) -> Order | None:
        """An order after a write to it; None when it cannot be read at once. Never an error."""
        soon = after_a_write(deadline)
        try:
            async with asyncio.timeout(soon.as_timeout):
                return await self.order(order_id, symbols=[symbol], deadline=soon, operation=operation)
        except Exception as error:  # noqa: BLE001 - the write is done: whatever a look meets, an error would deny that
            if not isinstance(error, (TimeoutError, OrderBridgeError)):
                self._warn(order_id, None, f"it could not be read back: {type(error).__name__}: {error}", operation)
            return None

    def read_row(self, row: object, *, symbol: Symbol | None, operation: str) -> Order:
        """
        The order in an answer to a write.

        Raises:
            Unusable: it cannot be read.
        """
        return self._decode(row, self._symbols.wanting(symbol), operation)

    def read_sized(self, row: Mapping[str, Any], quantity: Decimal | None, *, symbol: Symbol, operation: str) -> Order:
        """
        The order in an answer to a new one, of the size that was asked for.

        Where the answer states another, how much is left of that says nothing of the fills: only a field of theirs
        does.
        """
        order = self.read_row(row, symbol=symbol, operation=operation)
        if quantity is None or order.quantity in (None, quantity):
            return order
        sized = {**wire.without(row, *wire.QUANTITY, *wire.REMAINING), "quantity": plain(quantity)}
        again = self.read_row(sized, symbol=symbol, operation=operation)
        # As it was stated, for whoever holds the order against what was asked for.
        return again.model_copy(update={"quantity": order.quantity, "raw": dict(row)})

    def flag(self, order: Order, doubts: Iterable[str], *, operation: str) -> Order:
        """The order with these anomalies too, each logged."""
        doubts = tuple(doubts)
        for doubt in doubts:
            self._warn(order.order_id, order.client_order_id, doubt, operation)
        return order.noted(anomalies=doubts)

    async def list_pages(
        self,
        filters: Filters,
        *,
        limit: int = wire.LIST_PAGE,
        symbol: Symbol | None = None,
        pace: Callable[[], Deadline],
        operation: str,
    ) -> AsyncIterator[Batch]:
        """The list to its end, page by page; `pace` makes the deadline of each page."""

        async def fetch(params: PageParams) -> Page:
            sent = {**filters, **{name: str(value) for name, value in params.items()}}
            cursor = sent.get("cursor")
            return await self._page(
                wire.ORDERS, lambda payload: one_page(payload, cursor=cursor), sent, pace(), operation
            )

        async for rows in self._shaped(scan_list(fetch, limit=limit), operation):
            yield await self._sorted_out(rows, self._symbols.wanting(symbol), operation)

    async def history_windows(
        self,
        filters: Filters,
        *,
        since: datetime,
        until: datetime | None,
        limit: int = wire.HISTORY_PAGE,
        symbol: Symbol | None = None,
        pace: Callable[[], Deadline],
        operation: str,
    ) -> AsyncIterator[Batch]:
        """The history between two times. HistoryHidden: this server does not serve it."""

        async def fetch(start: datetime, end: datetime | None) -> Page:
            sent = {**filters, **dates_to_wire(start, end), "limit": str(limit)}
            return await self._page(wire.HISTORY, one_page, sent, pace(), operation)

        windows = scan_history(fetch, since=since, until=until, now=self.now(), limit=limit)
        async for rows in self._shaped(windows, operation):
            yield await self._sorted_out(rows, self._symbols.wanting(symbol), operation)

    async def _page(
        self, path: str, find: Callable[[Any], T], params: Mapping[str, str], deadline: Deadline, operation: str
    ) -> T:
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await self._client.get(path, find, params=params, deadline=deadline, operation=operation)
        except TimeoutError as error:
            message = "no answer within the time limit"
            raise VenueUnavailable(message, gateway=self.gateway, operation=operation) from error

    async def _shaped(self, pages: AsyncIterator[T], operation: str) -> AsyncIterator[T]:
        try:
            async for page in pages:
                yield page
        except Shapeless as error:
            raise UnexpectedResponse(str(error), keys=error.keys, gateway=self.gateway, operation=operation) from error

    async def _sorted_out(self, rows: list[Row], symbols: SymbolBook, operation: str) -> Batch:
        batch = Batch()
        async for _, row in in_turns(rows):
            try:
                order = self._decode(row.value, symbols, operation)
            except Unusable as error:
                if self.is_other_mode(paper_from_wire(row.value)):
                    continue
                bad = self._bad_row(row, error)
                batch.bad_rows.append(bad)
                if (client_id := client_id_from_wire(row.value)) is not None:
                    batch.bad_client_ids[client_id] = bad
            else:
                (batch.others if self.is_other_mode(order.paper) else batch.orders).append(order)
        self._warn_rows(batch.bad_rows, operation)
        return batch

    def _decode(self, value: object, symbols: SymbolBook, operation: str) -> Order:
        read = order_from_wire(
            value,
            account=self._account,
            symbols=symbols,
            observed_at=self.now(),
            cancel_sent=self.acts.cancel_sent,
        )
        order = self.acts.told(read)
        for anomaly in order.anomalies:
            self._warn(order.order_id, order.client_order_id, anomaly, operation)
        return order

    def _warn_rows(self, bad_rows: Sequence[BadRow], operation: str) -> None:
        # The same rows are read again and again: told once, and those of one page in one line.
        fresh = [bad for bad in bad_rows if self._is_news(bad.order_id, bad.reason)]
        self._client.session.warn_rows(fresh, operation)

    def _bad_row(self, row: Row, error: Unusable) -> BadRow:
        return BadRow(
            gateway=self.gateway,
            position=row.position,
            reason=str(error),
            order_id=error.id,
            raw=row.value,
        )

    def _is_news(self, order_id: str | None, text: str) -> bool:
        if (order_id, text) in self._logged:
            return False
        remember(self._logged, (order_id, text), None)
        return True

    def _warn(self, order_id: str | None, client_order_id: str | None, text: str, operation: str) -> None:
        if not self._is_news(order_id, text):
            return
        extra = log_facts(self.gateway, operation, order_id=order_id, client_order_id=client_order_id)
        self._client.session.log.warning("order %s: %s", order_id, text, extra=extra)


def dates_to_wire(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The dates of a query, a little wider than asked: whether the bounds are part of it is not documented."""
    dates = {}
    # The ends of the calendar have nothing beyond them: such a bound is none.
    if since is not None and since.year > 1:
        dates["start_date"] = moment_to_wire(since - MILLISECOND)
    if until is not None and until.year < datetime.max.year:
        dates["end_date"] = moment_to_wire(until + MILLISECOND)
    return dates
