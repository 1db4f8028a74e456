"""Calls to a gateway that end, whatever the gateway does with its time limit: an adapter may be anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import datetime
from typing import Final, TypeVar

from orderbridge.gateway import OrderGateway
from orderbridge.model.order import Order
from orderbridge.model.results import BadRow, OrderList

T = TypeVar("T")
PROBE_TIMEOUT: Final = 15.0
# For everything that a listing reads; its time limit is per page.
READ_TIMEOUT: Final = 60.0
# Gateways keep the time limit themselves, and say more about what happened than we could.
GRACE: Final = 2.0


async def within(call: Awaitable[T], seconds: float) -> T:
    """What a call gives. TimeoutError: it did not end, though it was told to."""
    try:
        async with asyncio.timeout(seconds + GRACE):
            return await call
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no end within {seconds + GRACE:g} s") from error


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
