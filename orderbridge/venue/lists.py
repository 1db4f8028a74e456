"""Lists over a span of time: checked when called; the good rows first, then the error that carries the bad ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeVar

from orderbridge.errors import ConfigurationError, OrderBridgeError, UnexpectedResponse
from orderbridge.model.basics import OrderStatus, Symbol
from orderbridge.model.lifecycle import merge, united
from orderbridge.model.order import Fill, Order
from orderbridge.model.results import BadRow
from orderbridge.venue.rows import Rows

T = TypeVar("T", Order, Fill)
_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


class Window(NamedTuple):
    """Which rows of a list are meant, by the time of creation and by what our side filters."""

    since: datetime | None = None
    until: datetime | None = None
    symbol: Symbol | None = None
    status: OrderStatus | None = None

    def is_past(self, moment: datetime | None) -> bool:
        """True if a time is known to lie before the window. One without a fraction may have been cut to the second."""
        if self.since is None or moment is None:
            return False
        return moment < (self.since if moment.microsecond else self.since.replace(microsecond=0))

    def holds(self, row: Order | Fill) -> bool:
        """True if a row is meant, as far as it tells; both ends belong to the window."""
        if self.symbol not in (None, row.symbol):
            return False
        if isinstance(row, Order) and self.status not in (None, row.status):
            return False
        moment = row.created_at
        return not self.is_past(moment) and (moment is None or self.until is None or moment <= self.until)


def window_of(
    *,
    since: datetime | None,
    until: datetime | None,
    symbol: str | None,
    status: OrderStatus | str | None = None,
) -> Window:
    """
    The window that the arguments of a list mean.

    Raises:
        ConfigurationError: a time without its zone, a text that is no symbol or status.
    """
    for name, moment in (("since", since), ("until", until)):
        if moment is not None and (not isinstance(moment, datetime) or moment.tzinfo is None):
            raise ConfigurationError(f"{name} is a time with its zone, as in datetime(2026, 1, 31, tzinfo=UTC)")
    try:
        wanted = None if status is None else OrderStatus(status)
    except ValueError as error:
        raise ConfigurationError(f"status is one of {', '.join(OrderStatus)}, not {status!r}") from error
    return Window(since=since, until=until, symbol=symbol_of(symbol), status=wanted)


def symbol_of(text: str | None) -> Symbol | None:
    """A caller's symbol. ConfigurationError: it is none."""
    try:
        return None if text is None else Symbol(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


async def stream(
    pages: AsyncGenerator[Rows[T], None], window: Window, *, gateway: str, operation: str
) -> AsyncIterator[T]:
    """
    The good rows that a window holds, page by page, and after them the error that carries the bad ones.

    An error of a page gets gateway and operation from here, where it has none.

    Raises:
        UnexpectedResponse: some rows could not be read (`bad_rows`).
    """
    bad: list[BadRow] = []
    async with aclosing(pages):
        try:
            async for page in pages:
                bad += page.bad
                for row in page.good:
                    if window.holds(row):
                        yield row
        except OrderBridgeError as error:
            error.gateway, error.operation = error.gateway or gateway, error.operation or operation
            raise
    if bad:
        message = f"{len(bad)} rows could not be read; the others were given"
        raise UnexpectedResponse(message, bad_rows=tuple(bad), gateway=gateway, operation=operation)


def joined(pages: Iterable[Rows[Order]]) -> Rows[Order]:
    """The orders of several answers as one: what two of them hold comes once."""
    pages = list(pages)
    bad = {(row.order_id, repr(row.raw)): row for page in pages for row in page.bad}
    return Rows(list(united(order for page in pages for order in page.good)), list(bad.values()))


def newest_first(rows: Iterable[T]) -> list[T]:
    """Rows by the time of creation; those that tell none come first, as they may be new."""
    return sorted(rows, key=_age, reverse=True)


def _age(row: Order | Fill) -> datetime:
    return row.created_at or _NEWEST


async def merged(*streams: AsyncIterator[Order]) -> AsyncGenerator[Order, None]:
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
