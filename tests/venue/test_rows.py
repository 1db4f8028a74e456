"""Rows of a venue, and what is told of those that are odd."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orderbridge.errors import UnexpectedResponse
from orderbridge.http.limits import Limiter, Rate
from orderbridge.http.session import Session
from orderbridge.venue.rows import RowReader, Unusable

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]


class Silent:
    """A transport that nothing goes through."""

    async def send(self, request: Any, *, timeout: float) -> Any:
        raise AssertionError(request)

    async def aclose(self) -> None:
        """Nothing to close."""


def reader() -> RowReader:
    limiter = Limiter(Rate(burst=1, per_second=1))
    return RowReader(Session(gateway="x", venue="x", transport=Silent(), limiter=limiter))


def number(row: Any) -> int | None:
    if not isinstance(row, int):
        raise Unusable("no number", id=row if isinstance(row, str) else None)
    return None if row < 0 else row


def test_many_rows_have_their_turns_with_everything_else(in_simulated_time: Simulate) -> None:
    """However many rows an answer has, the rest of the program runs while they are read."""

    async def go() -> tuple[int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        def slow(row: Any) -> Any:
            clock._selector.now = clock.time() + 0.05  # type: ignore[attr-defined]
            return row

        task, clock = asyncio.ensure_future(tick()), asyncio.get_running_loop()
        rows = await reader().read(list(range(100)), slow, "orders")
        task.cancel()
        return len(rows.good), ticks

    read, ticks = in_simulated_time(go)

    assert (read, ticks >= 100) == (100, True)


async def test_a_long_list_is_not_read_in_one_piece_with_its_text() -> None:
    """Others have their turn before its rows are read, as its text was parsed just before."""
    read: list[int] = []
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(lambda: turns.append(len(read)))

    await reader().read(list(range(200)), read.append, "orders")

    assert (turns, len(read)) == ([1], 200)


async def test_a_bad_row_stands_beside_its_neighbours_at_its_place() -> None:
    """With what the venue had sent; what is none of those asked for is passed over."""
    rows = await reader().read([1, -1, "a", 2], number, "orders", first=10, raw_of=lambda row: [row])

    assert rows.good == [1, 2]
    assert [(bad.gateway, bad.position, bad.order_id, bad.raw) for bad in rows.bad] == [("x", 12, "a", ["a"])]


async def test_each_bad_row_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Those that are new in one line; one without an id is told from others by all of it."""
    rows = reader()
    with caplog.at_level(logging.WARNING, "orderbridge.x"):
        for values in (["a", 0.5], ["a", 0.5], ["a", 0.5, 1.5]):
            await rows.read(values, number, "orders")

    texts = [record.getMessage() for record in caplog.records]
    assert texts == ["row 0 is unusable: no number, and 1 more", "row 2 is unusable: no number"]


async def test_what_is_no_list_is_no_empty_one() -> None:
    """An answer of another shape says nothing about its rows."""
    with pytest.raises(UnexpectedResponse, match="no list but dict"):
        await reader().read({}, number, "orders")
