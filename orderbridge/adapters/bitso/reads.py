"""Bitso's lists: open orders and trades, read whole or not at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from typing import Any, Final

from orderbridge.adapters.bitso.codes import CODES
from orderbridge.adapters.bitso.mapping import book_from_symbol, fill_from_row, order_from_row, ways_to_ask
from orderbridge.errors import AmbiguousRef, OrderNotFound, UnexpectedResponse, VenueError
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import OrderRef
from orderbridge.venue.bounds import read_each
from orderbridge.venue.lists import Window, joined
from orderbridge.venue.lookup import ORDER
from orderbridge.venue.meanings import Meaning
from orderbridge.venue.rows import Rows, Unusable, VenueReads
from orderbridge.venue.sender import HttpCall

# Source: Bitso API v3, "List Open Orders": at most 500 rows, and no paging.
OPEN_ORDERS_LIMIT: Final = 500
# Source: Bitso API v3, "User Trades": `limit` up to 100.
TRADES_PAGE: Final = 100


class BitsoReads(VenueReads):
    """The reads of one account: rows in, models out, bad rows set aside."""

    def _get(self, path: str, deadline: Deadline, operation: str, *, is_public: bool = False) -> Awaitable[Any]:
        return self.sender.read(HttpCall(operation=operation, path=path, is_public=is_public), deadline=deadline)

    async def orders_at(self, path: str, *, deadline: Deadline, operation: str, source: str) -> Rows[Order]:
        """The orders in the payload of a path."""
        payload = await self._get(path, deadline, operation)
        observed_at = self.now()

        def to_order(row: Any) -> Order:
            return self.memory.take(order_from_row(row, account=self.account, source=source, observed_at=observed_at))

        return await self.reader.read(payload, to_order, operation)

    async def read_open(self, symbol: Symbol | None, deadline: Deadline) -> Rows[Order]:
        """
        Every open order. A full page may hide more, so it is read again book by book.

        Raises:
            UnexpectedResponse: one book alone fills a page: the list cannot be shown to be complete.
        """
        rows = await self._open_page(symbol and book_from_symbol(symbol), deadline)
        if symbol is not None:
            rows.good = [order for order in rows.good if order.symbol == symbol]
            return rows
        if rows.count < OPEN_ORDERS_LIMIT:
            return rows
        books = await self.books(deadline=deadline)
        pages = await read_each(lambda book: self._open_page(book, deadline), books)
        return joined([*pages, rows])

    async def _open_page(self, book: str | None, deadline: Deadline) -> Rows[Order]:
        query = f"limit={OPEN_ORDERS_LIMIT}" + (f"&book={book}" if book else "")
        rows = await self.orders_at(
            f"/open_orders?{query}", deadline=deadline, operation="open_orders", source="open orders"
        )
        if book and rows.count >= OPEN_ORDERS_LIMIT:
            raise UnexpectedResponse(
                f"{rows.count} open orders in {book}: Bitso shows no more than {OPEN_ORDERS_LIMIT} and has no"
                " pages, so the list cannot be shown to be complete; cancel some, or look orders up by id"
            )
        return rows

    async def books(self, *, deadline: Deadline) -> list[str]:
        """The names of all books."""
        payload = await self._get("/available_books", deadline, "books", is_public=True)
        rows = payload if isinstance(payload, list) else []
        books = [row["book"] for row in rows if isinstance(row, dict) and isinstance(row.get("book"), str)]
        if not books:
            raise UnexpectedResponse("available_books lists no book")
        return books

    async def trades_of(self, id: str, *, by_oid: bool, deadline: Deadline, operation: str) -> Rows[Fill]:
        """All trades of one order; by origin id, of every order that ever used it."""
        path = f"/order_trades/{id}" if by_oid else f"/order_trades?origin_id={id}"
        payload = await self._get(path, deadline, operation)

        def to_fill(row: Any) -> Fill:
            fill = self._to_fill(row)
            # A trade without an origin id may be one of an order that has it; one with another is not.
            if (fill.order_id if by_oid else fill.client_order_id or id) != id:
                raise Unusable("this trade is of another order than was asked for", id=fill.order_id)
            return fill

        return await self.reader.read(payload, to_fill, operation)

    async def trades_by_ref(self, ref: OrderRef, *, timeout: float | None) -> AsyncGenerator[Rows[Fill], None]:
        """
        All trades of the order that a ref names, as one page; an order that has not matched has none.

        Raises:
            OrderNotFound: Bitso knows none under any kind that the id could be.
        """
        deadline = Deadline(timeout)
        missing = OrderNotFound(f"{ref} cannot be an id at Bitso")
        empty: Rows[Fill] | None = None
        for kind, id, _ in ways_to_ask(ref):
            try:
                rows = await self.trades_of(id, by_oid=kind == ORDER, deadline=deadline, operation="fills")
            except OrderNotFound as error:
                missing = error
                continue
            except VenueError as error:
                if CODES.of(error.code) is not Meaning.NO_TRADES:
                    raise
                rows = Rows()
            orders = sorted({fill.order_id for fill in rows.good})
            if len(orders) > 1:
                raise AmbiguousRef(f"{len(orders)} orders had this client id: {', '.join(orders)}; ask by order id")
            if rows.count:
                yield rows
                return
            empty = rows
        if empty is None:
            raise missing

    async def account_trades(self, window: Window, *, timeout: float | None) -> AsyncGenerator[Rows[Fill], None]:
        """Pages of the account's trades, newest first, until the window is passed; `timeout` is for each."""
        book = f"&book={book_from_symbol(window.symbol)}" if window.symbol else ""
        marker: str | None = None
        # Both sides of who trades with himself are of one trade.
        seen: set[tuple[str, str]] = set()
        while True:
            query = f"limit={TRADES_PAGE}&sort=desc{book}" + (f"&marker={marker}" if marker else "")
            payload = await self._get(f"/user_trades?{query}", Deadline(timeout), "fills")
            page = await self.reader.read(payload, self._to_fill, "fills")
            ids = [(fill.fill_id, fill.order_id) for fill in page.good]
            if page.count and page.good and seen.issuperset(ids):
                raise UnexpectedResponse("user_trades repeats a page, so it cannot be read to its end")
            good = [fill for fill in page.good if (fill.fill_id, fill.order_id) not in seen]
            seen.update(ids)
            yield Rows(good, page.bad)
            oldest = next((fill.created_at for fill in reversed(page.good) if fill.created_at), None)
            if window.is_past(oldest) or page.count < TRADES_PAGE:
                return
            if not ids:
                raise UnexpectedResponse(
                    "a whole page of user_trades is unreadable, so the pages after it cannot be asked for",
                    bad_rows=tuple(page.bad),
                )
            marker = ids[-1][0]

    def _to_fill(self, row: Any) -> Fill:
        return fill_from_row(row, account=self.account)
