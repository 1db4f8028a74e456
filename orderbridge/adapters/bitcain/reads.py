"""The three reads of Bitcain as decoded orders: one by id, the list, the history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.mapping import (
    SymbolBook,
    moment_to_wire,
    order_from_wire,
    paper_from_wire,
)
from orderbridge.adapters.bitcain.scan import MILLISECOND, PageParams, Row, scan_history, scan_list
from orderbridge.adapters.bitcain.settings import Mode
from orderbridge.adapters.bitcain.wire import Page, Shapeless, pick
from orderbridge.errors import ConfigurationError, OrderBridgeError, UnexpectedResponse, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import EARLIEST, Symbol, plain
from orderbridge.model.order import Order
from orderbridge.model.results import BadRow
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.lists import Window, merged, newest_first
from orderbridge.venue.meanings import ListHidden
from orderbridge.venue.rows import Rows, Unusable, VenueReads
from orderbridge.venue.sender import HttpCall

T = TypeVar("T")
# Source: Bitcain, "List User Orders". Its symbol and dates are the arguments of `orders()` itself.
FILTERS: Final = ("portfolio_id", "order_status", "limit")
Filters = Mapping[str, str]


@dataclass(slots=True)
class Batch(Rows[Order]):
    """Rows of a list, those of our mode or of none stated; beside them the readable ones of the other mode."""

    others: list[Order] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class BitcainReads(VenueReads):
    """Reads and decodes; anomalies and bad rows are logged once."""

    mode: Mode
    symbols: SymbolBook

    def is_other_mode(self, paper: bool | None) -> bool:
        """True if an order belongs to the mode that this gateway is not for."""
        return paper is not None and paper is not (self.mode == "paper")

    def other_mode(self, order: Order) -> str:
        """Why nothing is done to an order of the other mode."""
        theirs = "paper" if order.paper else "live"
        return f"{order.order_id} is a {theirs} order, and this gateway is for {self.mode} orders"

    async def order(
        self, order_id: str, *, symbols: Iterable[Symbol | None] = (), deadline: Deadline, operation: str
    ) -> Order:
        """
        One order by its UUID, whatever its mode.

        Raises:
            UnexpectedResponse: it cannot be read (`bad_rows`), or is another one than asked for.
            OrderNotFound, and what every read raises.
        """
        call = HttpCall(operation=operation, path=f"{wire.ORDERS}/{order_id}", order_id=order_id)
        row = await self.sender.read(call, deadline=deadline)
        try:
            order = self._decode(row, self.symbols.wanting(*symbols))
        except Unusable as error:
            bad = self.reader.bad_row(0, str(error), id=error.id, raw=row)
            self.reader.warn_bad([bad], operation)
            raise UnexpectedResponse(f"the order cannot be read: {error}", bad_rows=(bad,)) from error
        self.reader.warn_odd([order], operation)
        if order.order_id != order_id:
            raise UnexpectedResponse(f"asked for {order_id}, the server answered with {order.order_id}")
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
                extra = log_facts(self.sender.gateway, operation, order_id=order_id)
                text = "order %s: it could not be read back: %s: %s"
                self.sender.session.log.warning(text, order_id, type(error).__name__, error, extra=extra)
            return None

    def read_row(self, row: object, *, symbol: Symbol | None, operation: str) -> Order:
        """
        The order in an answer to a write.

        Raises:
            Unusable: it cannot be read.
        """
        order = self._decode(row, self.symbols.wanting(symbol))
        self.reader.warn_odd([order], operation)
        return order

    def read_in(
        self, payload: wire.Payload, places: tuple[str, ...], *, symbol: Symbol | None, operation: str
    ) -> Order | None:
        """The order that the answer to a write shows, there or anywhere; None where it shows none that can be read."""
        try:
            return self.read_row(wire.one_order(payload, first=places), symbol=symbol, operation=operation)
        except (Shapeless, Unusable):
            return None

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
            return await self._page(wire.ORDERS, sent, pace(), operation)

        async for rows in _shaped(scan_list(fetch, limit=limit)):
            yield await self._sorted_out(rows, self.symbols.wanting(symbol), operation)

    async def read_open(
        self, symbol: Symbol | None, deadline: Deadline, *, operation: str = "open_orders"
    ) -> Rows[Order]:
        """Every order that may be live, of our mode or of none stated: the whole list is read, to its end."""
        rows: Rows[Order] = Rows()
        async for batch in self.list_pages({}, symbol=symbol, pace=lambda: deadline, operation=operation):
            rows.good += [order for order in batch.good if order.may_be_live and symbol in {None, order.symbol}]
            rows.bad += batch.bad
        return rows

    async def history_windows(
        self,
        filters: Filters,
        window: Window,
        *,
        limit: int = wire.HISTORY_PAGE,
        pace: Callable[[], Deadline],
        operation: str,
    ) -> AsyncIterator[Batch]:
        """The history between two times. ListHidden: this server does not serve it."""

        async def fetch(start: datetime, end: datetime | None) -> Page:
            sent = {**filters, **dates_to_wire(start, end), "limit": str(limit)}
            return await self._page(wire.HISTORY, sent, pace(), operation)

        since = window.since or EARLIEST
        windows = scan_history(fetch, since=since, until=window.until, now=self.now(), limit=limit)
        async for rows in _shaped(windows):
            yield await self._sorted_out(rows, self.symbols.wanting(window.symbol), operation)

    async def orders_since(
        self, window: Window, filters: Filters, *, limit: int | None, timeout: float | None, hidden: Callable[[], None]
    ) -> AsyncGenerator[Rows[Order], None]:
        """
        List and history as one stream: each order once, newest first where times say so, the bad rows at the end.

        Args:
            filters: what the list filters by itself, beside the dates. `limit`: the page size.
            hidden: called where a server does not show its history, so that its list alone is read.
        """
        bad: dict[str, BadRow] = {}
        seen: set[str] = set()
        # The history has no filter by portfolio.
        portfolio_id = filters.get("portfolio_id")
        words = {name: word for name, word in filters.items() if name != "portfolio_id"}

        def pace() -> Deadline:
            return Deadline(timeout)

        def newest(batch: Batch) -> list[Order]:
            for row in batch.bad:
                bad.setdefault(row.order_id or repr(row.raw), row)
            return newest_first(batch.good)

        async def listed() -> AsyncIterator[Order]:
            sent = {**filters, **dates_to_wire(window.since, window.until)}
            size = limit or wire.LIST_PAGE
            async for batch in self.list_pages(sent, limit=size, symbol=window.symbol, pace=pace, operation="orders"):
                for order in newest(batch):
                    yield order

        async def ended() -> AsyncIterator[Order]:
            size = limit or wire.HISTORY_PAGE
            try:
                async for batch in self.history_windows(words, window, limit=size, pace=pace, operation="orders"):
                    for order in newest(batch):
                        if portfolio_id in {None, pick(order.raw, wire.PORTFOLIO_ID)}:
                            yield order
            except ListHidden:
                hidden()

        async with aclosing(merged(listed(), ended())) as orders:
            async for order in orders:
                if order.order_id not in seen:
                    seen.add(order.order_id)
                    yield Rows([order])
        yield Rows(bad=list(bad.values()))

    async def _page(self, path: str, query: Mapping[str, str], deadline: Deadline, operation: str) -> Page:
        call = HttpCall(operation=operation, path=path, query=query)
        try:
            async with asyncio.timeout(deadline.as_timeout):
                page: Page = await self.sender.read(call, deadline=deadline)
                return page
        except TimeoutError as error:
            raise VenueUnavailable("no answer within the time limit") from error

    async def _sorted_out(self, rows: list[Row], symbols: SymbolBook, operation: str) -> Batch:
        def to_order(value: Any) -> Order | None:
            try:
                return self._decode(value, symbols)
            except Unusable:
                if self.is_other_mode(paper_from_wire(value)):
                    return None
                raise

        first = rows[0].position if rows else 0
        read = await self.reader.read([row.value for row in rows], to_order, operation, first=first)
        batch = Batch(bad=read.bad)
        for order in read.good:
            (batch.others if self.is_other_mode(order.paper) else batch.good).append(order)
        return batch

    def _decode(self, value: object, symbols: SymbolBook) -> Order:
        read = order_from_wire(
            value,
            account=self.account,
            symbols=symbols,
            observed_at=self.now(),
            cancel_sent=self.memory.cancel_sent,
        )
        return self.memory.told(read)


async def _shaped(pages: AsyncIterator[T]) -> AsyncIterator[T]:
    try:
        async for page in pages:
            yield page
    except Shapeless as error:
        raise UnexpectedResponse(str(error), keys=error.keys) from error


def filters_from(given: Mapping[str, Any]) -> tuple[dict[str, str], int | None]:
    """The filters that `orders()` was given, and the size of a page. ConfigurationError: there is no such filter."""
    if unknown := sorted(set(given) - set(FILTERS)):
        raise ConfigurationError(f"no filter {', '.join(unknown)}; Bitcain has: {', '.join(FILTERS)}")
    words = {name: str(given[name]).strip() for name in FILTERS[:2] if given.get(name) is not None}
    for name, word in words.items():
        if not word:
            raise ConfigurationError(f"{name} is empty")
    limit = given.get("limit")
    if limit is not None and (type(limit) is not int or not 1 <= limit <= wire.LIST_PAGE):
        raise ConfigurationError(f"limit is the page size, 1 to {wire.LIST_PAGE}")
    return words, limit


def dates_to_wire(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The dates of a query, a little wider than asked: whether the bounds are part of it is not documented."""
    dates = {}
    # The ends of the calendar have nothing beyond them: such a bound is none.
    if since is not None and since.year > 1:
        dates["start_date"] = moment_to_wire(since - MILLISECOND)
    if until is not None and until.year < datetime.max.year:
        dates["end_date"] = moment_to_wire(until + MILLISECOND)
    return dates
