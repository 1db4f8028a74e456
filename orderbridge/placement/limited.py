"""Calls to a gateway that end, whatever the gateway does with its time limit: an adapter may be anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Final, TypeVar

T = TypeVar("T")
PROBE_TIMEOUT: Final = 15.0
# For everything that a listing reads; its time limit is per page.
READ_TIMEOUT: Final = 60.0
# Gateways keep the time limit themselves, and say more about what happened than we could.
GRACE: Final = 2.0


async def within(call: Awaitable[T], seconds: float) -> T:
    """What a call gives. TimeoutError: it did not end, though it was told to."""
    async with asyncio.timeout(seconds + GRACE):
        return await call


async def all_of(items: AsyncIterator[T]) -> list[T]:
    """Everything that an iterator yields."""
    return [item async for item in items]
