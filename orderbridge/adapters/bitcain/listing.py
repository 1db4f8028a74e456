"""`orders()`: the list and the history of a span of time as one stream, newest first, each order once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.reads import Batch, BitcainReads, dates_to_wire
from orderbridge.adapters.bitcain.wire import pick
from orderbridge.errors import ConfigurationError, UnexpectedResponse
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import OrderStatus, Symbol
from orderbridge.model.lifecycle import merge
from orderbridge.model.order import Order
from orderbridge.model.results import BadRow
from orderbridge.venue.codes import ListHidden

# Source: Bitcain, "List User Orders". Its symbol and dates are the arguments of `orders()` itself.
FILTERS: Final = ("portfolio_id", "order_status", "limit")
_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """Which orders are meant: by the time of creation, and by what our side filters."""

    since: datetime
    until: datetime | None = None
    symbol: Symbol | None = None
    status: OrderStatus | None = None
    portfolio_id: str | None = None
    order_status: str | None = None
    limit: int | None = None

    @property
    def filters(self) -> dict[str, str]:
        """What the list filters by itself, beside the dates."""
        named = {"portfolio_id": self.portfolio_id, "order_status": self.order_status}
        return {name: value for name, value in named.items() if value is not None}

    def holds(self, order: Order) -> bool:
        """Whether an order is meant, as far as its row tells."""
        if self.symbol is not None and order.symbol != self.symbol:
            return False
        if self.status is not None and order.status is not self.status:
            return False
        return order.created_at is None or self._spans(order.created_at)

    def _spans(self, moment: datetime) -> bool:
        # A time without a fraction may have been cut to the second.
        start = self.since if moment.microsecond else self.since.replace(microsecond=0)
        return start <= moment and (self.until is None or moment <= self.until)


def span_of(
    since: datetime,
    until: datetime | None,
    symbol: str | None,
    status: OrderStatus | str | None,
    filters: Mapping[str, Any],
) -> Span:
    """
    Check the arguments of `orders()`.

    Raises:
        ConfigurationError: a naive time, an end before the beginning, no symbol or status, an unknown filter.
    """
    if unknown := sorted(set(filters) - set(FILTERS)):
        raise ConfigurationError(f"no filter {', '.join(unknown)}; Bitcain has: {', '.join(FILTERS)}")
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise ConfigurationError(f"{name} is a time with its zone, as in datetime(2026, 1, 31, tzinfo=UTC)")
    if since is None or (until is not None and until < since):
        raise ConfigurationError("orders() needs a since that does not lie after its until")
    limit = filters.get("limit")
    if limit is not None and (type(limit) is not int or not 1 <= limit <= wire.LIST_PAGE):
        raise ConfigurationError(f"limit is the page size, 1 to {wire.LIST_PAGE}")
    return Span(
        since=since.astimezone(UTC),
        until=None if until is None else until.astimezone(UTC),
        symbol=checked_symbol(symbol),
        status=_status(status),
        portfolio_id=_word(filters, "portfolio_id"),
        order_status=_word(filters, "order_status"),
        limit=limit,
    )


def checked_symbol(symbol: str | None) -> Symbol | None:
    """A caller's symbol; ConfigurationError when it is none."""
    try:
        return None if symbol is None else Symbol(symbol)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _status(status: OrderStatus | str | None) -> OrderStatus | None:
    try:
        return None if status is None else OrderStatus(status)
    except ValueError as error:
        words = ", ".join(OrderStatus)
        hint = "a word of Bitcain's own goes as order_status="
        raise ConfigurationError(f"status is one of {words}, not {status!r}; {hint}") from error


def _word(filters: Mapping[str, Any], name: str) -> str | None:
    value = filters.get(name)
    if value is None:
        return None
    text = str(value).strip()
    if not text:
        raise ConfigurationError(f"{name} is empty")
    return text


@dataclass(slots=True)
class Listing:
    """One stream over list and history. A server that hides its history is read by its list alone."""

    reads: BitcainReads
    span: Span
    gateway: str
    pace: Callable[[], Deadline]
    warn: Callable[[str], None]
    _bad: dict[str, BadRow] = field(default_factory=dict)

    async def orders(self) -> AsyncIterator[Order]:
        """
        The good rows, and after them the error that carries the bad ones.

        Raises:
            UnexpectedResponse: some rows could not be read (`bad_rows`), or the stream had no clear end.
        """
        seen: set[str] = set()
        async with aclosing(newest_first(self._listed(), self._ended())) as merged:
            async for order in merged:
                if order.order_id not in seen:
                    seen.add(order.order_id)
                    if self.span.holds(order):
                        yield order
        if self._bad:
            raise UnexpectedResponse(
                f"{len(self._bad)} rows could not be read",
                bad_rows=tuple(self._bad.values()),
                gateway=self.gateway,
                operation="orders",
            )

    async def _listed(self) -> AsyncIterator[Order]:
        span = self.span
        pages = self.reads.list_pages(
            {**span.filters, **dates_to_wire(span.since, span.until)},
            limit=span.limit or wire.LIST_PAGE,
            symbol=span.symbol,
            pace=self.pace,
            operation="orders",
        )
        async for batch in pages:
            for order in self._sorted(batch):
                yield order

    async def _ended(self) -> AsyncIterator[Order]:
        span = self.span
        windows = self.reads.history_windows(
            {"order_status": span.order_status} if span.order_status else {},
            since=span.since,
            until=span.until,
            limit=span.limit or wire.HISTORY_PAGE,
            symbol=span.symbol,
            pace=self.pace,
            operation="orders",
        )
        try:
            async for batch in windows:
                for order in self._sorted(batch):
                    # The history has no filter by portfolio.
                    if span.portfolio_id in {None, pick(order.raw, wire.PORTFOLIO_ID)}:
                        yield order
        except ListHidden:
            self.warn("history is not reachable on this server: only the list is read")

    def _sorted(self, batch: Batch) -> list[Order]:
        for bad in batch.bad:
            self._bad.setdefault(bad.order_id or repr(bad.raw), bad)
        return sorted(batch.good, key=_age, reverse=True)


def _age(order: Order) -> datetime:
    return order.created_at or _NEWEST


async def newest_first(*streams: AsyncIterator[Order]) -> AsyncGenerator[Order, None]:
    """
    Several streams as one: always the newest of their next orders. One order at two heads comes once, merged.

    What is not newest first within a stream stays so.
    """
    heads = [(stream, await anext(stream, None)) for stream in streams]
    while live := [(stream, order) for stream, order in heads if order is not None]:
        newest = max((order for _, order in live), key=_age)
        heads = []
        for stream, order in live:
            if order.key != newest.key:
                heads.append((stream, order))
                continue
            newest = merge(newest, order)
            heads.append((stream, await anext(stream, None)))
        yield newest
