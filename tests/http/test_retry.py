"""How long is waited before another try, and when a call ends."""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.http.retry import Deadline, Retries, retry_after

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]


@given(st.integers(1, 2000))
def test_a_wait_is_bounded_whatever_the_try(attempt: int) -> None:
    """No number of tries leads to an overflow or an endless wait."""
    assert 0.1 <= Retries().wait_before(attempt) <= 5.0


def test_a_deadline_counts_down_and_never_below_zero(in_simulated_time: Simulate) -> None:
    """A deadline is a point in loop time; without one there is no end."""

    async def main() -> tuple[float, float, float, bool, float | None]:
        ends, never = Deadline(2.0), Deadline(None)
        before = ends.remaining()
        await asyncio.sleep(3)
        return before, ends.remaining(), never.remaining(), ends.allows(0.0), never.as_timeout

    assert in_simulated_time(main) == (2.0, 0.0, float("inf"), False, None)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        (formatdate(1_000_060, usegmt=True), 60.0),
        (formatdate(999_000, usegmt=True), 0.0),
        ("Sunday, 01-Jan-40 00:00:00 GMT", 2208988800.0 - 1_000_000),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.2.3", None),
        ("²", None),
        ("١٢", None),
        ("nan", None),
        ("9" * 400, None),
        ("Wed, 99 Foo 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(header: str | None, seconds: float | None) -> None:
    """Both documented forms are understood; whatever else stands there is nothing said."""
    assert retry_after(header, now=1_000_000) == seconds


@given(st.text(max_size=30) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,12} [A-Z][a-z]{2} \d{1,12} \d+:\d+:\d+ [+-]?\w+"))
def test_no_retry_after_whatever_raises(header: str) -> None:
    """A header that makes no sense is not waited for, and breaks nothing."""
    seconds = retry_after(header, now=0.0)

    assert seconds is None or seconds >= 0
