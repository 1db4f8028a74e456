"""Bounds that every adapter keeps: requests at once, seconds for a read beside a write, orders remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from orderbridge.http.retry import Deadline

K = TypeVar("K")
T = TypeVar("T")
AT_ONCE: Final = 8
REMEMBERED: Final = 10_000
# What reads beside a write may take: a cancel does not wait long for the one, nor its caller for the other.
BEFORE_SECONDS: Final = 2.0
_AFTER_SECONDS: Final = 5.0


def before_a_cancel(deadline: Deadline) -> Deadline:
    """The time for a read before a cancel: one that is in a hurry keeps most of its time for itself."""
    return deadline.within(min(BEFORE_SECONDS, deadline.remaining() / 3))


def after_a_write(deadline: Deadline) -> Deadline:
    """The time for a read that tells what a write has come to."""
    return deadline.within(_AFTER_SECONDS)


async def read_each(read: Callable[[K], Awaitable[T]], asked: Iterable[K]) -> list[T]:
    """Read for each that is asked, `AT_ONCE` at a time; the first error ends the rest, and is raised as it is."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(what: K) -> T:
        async with gate:
            return await read(what)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(what)) for what in asked]
    except ExceptionGroup as errors:
        first = errors.exceptions[0]
    else:
        return [task.result() for task in tasks]
    raise first  # outside, as it would otherwise be among its own causes


def remember(store: dict[K, T], key: K, value: T) -> None:
    """Keep a value as the newest, and of more than `REMEMBERED` forget the oldest."""
    store.pop(key, None)
    store[key] = value
    if len(store) > REMEMBERED:
        del store[next(iter(store))]
