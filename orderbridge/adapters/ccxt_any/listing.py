"""Lists over a span of time: checked when called, then given newest first from one answer that holds them all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from orderbridge.adapters.ccxt_any.client import CcxtClient
from orderbridge.adapters.ccxt_any.reads import CcxtReads, symbol_text
from orderbridge.adapters.ccxt_any.traits import Listing
from orderbridge.errors import ConfigurationError, NotSupported, UnexpectedResponse
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import EARLIEST, OrderStatus, Symbol
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import RefLike, parse_refs
from orderbridge.model.results import BadRow, LookupResult
from orderbridge.venue.rows import is_within

LookUp = Callable[[Sequence[RefLike], Deadline], Awaitable[LookupResult]]


class CcxtLists:
    """The lists of one account, and what can be said against a call for one before it is made."""

    def __init__(self, client: CcxtClient, reads: CcxtReads, look_up: LookUp) -> None:
        self._client = client
        self._reads = reads
        self._resolve = look_up
        self._traits = reads.traits
        self.name = client.gateway

    async def orders(
        self,
        since: datetime,
        until: datetime | None,
        symbol: str | None,
        status: OrderStatus | None,
        timeout: float | None,
    ) -> AsyncIterator[Order]:
        """The orders of a span; UnexpectedResponse after the good ones where there were bad ones."""
        self._client.check_usable()
        rows = await self._reads.orders_since(since, until=until, symbol=symbol, deadline=Deadline(timeout))
        for order in sorted(rows.good, key=lambda each: each.created_at or EARLIEST, reverse=True):
            if is_within(order.created_at, since, until) and status in {None, order.status}:
                yield order
        self._raise_bad(rows.bad, "orders")

    async def fills(
        self,
        ref: RefLike | None,
        since: datetime | None,
        until: datetime | None,
        symbol: str | None,
        timeout: float | None,
    ) -> AsyncIterator[Fill]:
        """The trades of one order or of the account; UnexpectedResponse after the good ones if there were bad ones."""
        self._client.check_usable()
        deadline = Deadline(timeout)
        order_id = asked = None
        if ref is None:
            rows = await self._reads.trades_since(since, until=until, symbol=symbol, deadline=deadline)
        else:
            order_id, asked, start = await self._named(ref, deadline)
            if self._traits.order_trades:
                rows = await self._reads.trades_of(order_id, symbol=asked, deadline=deadline)
            else:
                rows = await self._reads.trades_since(start, until=until, symbol=asked, deadline=deadline)
        for fill in sorted(rows.good, key=lambda each: each.created_at or EARLIEST, reverse=True):
            is_meant = order_id in {None, fill.order_id} and {symbol, asked} <= {None, fill.symbol}
            if is_meant and is_within(fill.created_at, since, until):
                yield fill
        self._raise_bad(rows.bad, "fills")

    async def _named(self, ref: RefLike, deadline: Deadline) -> tuple[str, str | None, datetime | None]:
        """
        An order's id, its symbol, and since when it may have traded.

        It is looked up only where the ref does not name it whole: an ended order may be shown no longer.
        """
        (known,) = parse_refs([ref], gateways=[self.name], operation="fills")
        shown = [ref] if isinstance(ref, Order) else self._reads.memory.orders(known.order_id or "", known.symbol)
        seen = shown[0] if len(shown) == 1 else None
        if seen is None:
            seen = order_from(await self._resolve([known], deadline), known, gateway=self.name, operation="fills")
        return seen.order_id, symbol_text(seen.symbol), seen.created_at

    def check_symbol(self, symbol: str | None, operation: str) -> None:
        """NotSupported: a contract. ConfigurationError: no symbol at all."""
        if symbol is None:
            return
        if ":" in symbol:
            message = f"{symbol} is a contract: this gateway trades spot markets, BASE/QUOTE"
            raise NotSupported(message, gateway=self.name, operation=operation)
        try:
            Symbol(symbol)
        except ValueError as error:
            raise ConfigurationError(str(error), gateway=self.name, operation=operation) from error

    def check_listing(self, symbol: str | None, listing: Listing, operation: str) -> None:
        """NotSupported: the list is by symbol only, and there is none."""
        self.check_symbol(symbol, operation)
        if listing.needs_symbol and symbol is None:
            message = f"{self.name} lists {operation} by symbol only: give symbol"
            raise NotSupported(message, gateway=self.name, operation=operation)

    def check_window(
        self, since: datetime | None, until: datetime | None, days_back: int | None, operation: str
    ) -> None:
        """ConfigurationError: a moment without its zone. NotSupported: further back than the exchange shows."""
        for moment in (since, until):
            if moment is not None and moment.tzinfo is None:
                raise ConfigurationError("since and until need their zone: datetime(…, tzinfo=UTC)", gateway=self.name)
        if since is not None and days_back is not None and since < self._reads.now() - timedelta(days=days_back):
            message = f"{self.name} shows the last {days_back} days only"
            raise NotSupported(message, gateway=self.name, operation=operation)

    def _raise_bad(self, bad: list[BadRow], operation: str) -> None:
        if bad:
            raise UnexpectedResponse(
                f"{len(bad)} rows could not be read; the others were given",
                bad_rows=tuple(bad),
                gateway=self.name,
                operation=operation,
            )
