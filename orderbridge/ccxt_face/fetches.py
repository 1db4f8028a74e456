"""The calls that read orders and trades."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from ccxt.base import errors as ccxt

from orderbridge.ccxt_face.arguments import Params, checked_symbol, given
from orderbridge.ccxt_face.core import Core
from orderbridge.ccxt_face.dicts import Row, bad_row, bad_trade_row, order_row, trade_row, windowed
from orderbridge.ccxt_face.errors import as_ccxt_errors
from orderbridge.errors import OrderBridgeError, OrderNotFound, UnexpectedResponse
from orderbridge.gateway import error_of
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import BadRow, Failure

T = TypeVar("T")
# How far back a history goes, and how many trades are read, where the caller says neither.
_DAYS: Final = timedelta(days=7)
_TRADES: Final = 100


class Fetches(Core):
    """Orders and trades as ccxt's dicts."""

    async def fetch_order(self, id: str, symbol: str | None = None, params: Params = None) -> Row:
        """
        An order by the exchange's id; by the caller's own with an empty id and `params["clientOrderId"]`.

        Its trades are read with it where something is filled, or may be, as most venues tell average, cost and fees
        there only, and some (Bitso, of orders at market) how much was filled.

        Raises:
            OrderNotFound: not shown, which is no proof that it never existed. NetworkError: not known.
        """
        ref = self._ref(id, params, symbol)
        with as_ccxt_errors():
            order = await self._bridge.get(ref, timeout=self._timeout)
        await self._creates.shown(order)
        return order_row(order, await self._fills_of(order))

    async def fetch_order_status(self, id: str, symbol: str | None = None, params: Params = None) -> Any:
        """How an order stands, in ccxt's word."""
        return (await self.fetch_order(id, symbol, params))["status"]

    async def fetch_order_with_client_order_id(
        self, clientOrderId: str, symbol: str | None = None, params: Params = None
    ) -> Row:
        """An order by the caller's own id."""
        return await self.fetch_order("", symbol, {**(params or {}), "clientOrderId": clientOrderId})

    async def fetch_unified_order(self, order: Row, params: Params = None) -> Row:
        """An order as it is now."""
        return await self.fetch_order(order["id"], order["symbol"], params)

    async def fetch_open_orders(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """
        Every open order of the account, or of one symbol; oldest first, and complete, or it raises.

        A row that could not be read is among them: its id, if it has one, and the row in `info`.
        """
        given(params)
        window = _window(since, limit)
        wanted = None if symbol is None else checked_symbol(symbol)
        with as_ccxt_errors():
            listed = await self._bridge.open_orders(wanted, gateways=[self._name], timeout=self._timeout)
            for failure in listed.unreachable.values():
                raise self._failed(failure, "open_orders")
        return [*map(bad_row, listed.bad_rows), *windowed(map(order_row, listed.orders), *window)]

    async def fetch_orders(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """
        The orders created since then, or in the last seven days. NotSupported where the venue lists no ended orders.
        """
        return await self._history_of(None, symbol, since, limit, params)

    async def fetch_closed_orders(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """Of `fetch_orders`, those that are `closed`."""
        return await self._history_of({"closed"}, symbol, since, limit, params)

    async def fetch_canceled_orders(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """Of `fetch_orders`, those that are `canceled`."""
        return await self._history_of({"canceled"}, symbol, since, limit, params)

    async def fetch_canceled_and_closed_orders(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """Of `fetch_orders`, those that are `closed` or `canceled`."""
        return await self._history_of({"canceled", "closed"}, symbol, since, limit, params)

    async def _history_of(
        self, words: set[str] | None, symbol: str | None, since: int | None, limit: int | None, params: Params
    ) -> list[Row]:
        given(params)
        window = _window(since, limit)
        wanted = None if symbol is None else checked_symbol(symbol)
        start = datetime.now(UTC) - _DAYS if since is None else _moment(since)
        with as_ccxt_errors():
            pages = self._bridge.orders(since=start, symbol=wanted, gateways=[self._name], timeout=self._timeout)
            orders, bad = await _read(pages)
        rows = [row for row in map(order_row, orders) if words is None or row["status"] in words]
        return [*map(bad_row, bad), *windowed(rows, *window)]

    async def fetch_order_trades(
        self,
        id: str,
        symbol: str | None = None,
        since: int | None = None,
        limit: int | None = None,
        params: Params = None,
    ) -> list[Row]:
        """The trades of one order; none for an order that is there and has not traded."""
        ref = self._ref(id, params, symbol)
        window = _window(since, limit)
        wanted = None if symbol is None else checked_symbol(symbol)
        bad: list[BadRow] = []
        try:
            fills, bad = await self._fills(ref, symbol=wanted)
        except ccxt.OrderNotFound as error:
            if not isinstance(error.__cause__, OrderNotFound):
                raise
            with as_ccxt_errors():
                await self._bridge.get(ref, timeout=self._timeout)
            fills = []
        return [*map(bad_trade_row, bad), *windowed(map(trade_row, fills), *window)]

    async def fetch_my_trades(
        self, symbol: str | None = None, since: int | None = None, limit: int | None = None, params: Params = None
    ) -> list[Row]:
        """The account's trades: all since then, or the newest hundred, or as many as `limit`."""
        given(params)
        window = _window(since, limit)
        wanted = None if symbol is None else checked_symbol(symbol)
        if since is not None:
            fills, bad = await self._fills(symbol=wanted, since=_moment(since))
        else:
            fills, bad = await self._fills(symbol=wanted, most=limit or _TRADES)
        return [*map(bad_trade_row, bad), *windowed(map(trade_row, fills), *window)]

    async def _fills(
        self,
        ref: OrderRef | Order | None = None,
        *,
        symbol: Symbol | None = None,
        since: datetime | None = None,
        most: int | None = None,
    ) -> tuple[list[Fill], list[BadRow]]:
        asked = None if ref is not None else [self._name]
        with as_ccxt_errors():
            pages = self._bridge.fills(ref, symbol=symbol, since=since, gateways=asked, timeout=self._timeout)
            fills, bad = await _read(pages, most=most)
        return fills[::-1], bad  # oldest first, those of one moment too

    async def _fills_of(self, order: Order) -> list[Fill]:
        """The trades of an order where they tell what it does not; a failure leaves that unknown."""
        filled = order.filled_quantity
        is_told = filled is not None and (not filled or order.average_price is not None)
        if is_told or not self._can.fills:
            return []
        try:
            fills, bad = await self._fills(order)
            # Where the order does not say how much of it traded, only all of its trades do.
            return fills if filled is not None or not bad else []
        except ccxt.BaseError as error:
            if not isinstance(error.__cause__, OrderBridgeError):
                raise
            return []

    def _failed(self, failure: Failure, operation: str) -> OrderBridgeError:
        return error_of(failure, gateway=self._name, operation=operation)


async def _read(pages: AsyncIterator[T], *, most: int | None = None) -> tuple[list[T], list[BadRow]]:
    """Read an iterator, as much as is wanted; and the rows that could not be read."""
    good: list[T] = []
    try:
        async for each in pages:
            good.append(each)
            if len(good) == most:
                break
    except UnexpectedResponse as error:
        if not error.bad_rows:
            raise
        return good, list(error.bad_rows)
    return good, []


def _window(since: Any, limit: Any) -> tuple[int | None, int | None]:
    for name, value in (("since", since), ("limit", limit)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            what = "milliseconds since 1970" if name == "since" else "a whole number"
            raise ccxt.BadRequest(f"{name} is {what}, not {value!r}")
    return since, limit or None


def _moment(since: int) -> datetime:
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=since)
    except OverflowError as error:
        raise ccxt.BadRequest(f"since is milliseconds since 1970, not {since}") from error
