"""Repeating and time limits: when something is tried again; what is repeated at all, a venue's sender knows."""

from __future__ import annotations

import asyncio
import math
import random
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

_FOREVER: Final = float("inf")
_NO_LIMIT: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Retries:
    """
    How reads are repeated: capped, jittered waits in seconds.

    Attributes:
        longest_retry_after: how long a venue's `Retry-After` is heeded. One beyond it fails the call at once.
    """

    tries: int = 4
    first_wait: float = 0.2
    longest_wait: float = 5.0
    longest_retry_after: float = 3600.0

    def wait_before(self, attempt: int) -> float:
        """Seconds to wait before the given repetition (1, 2, …), between half and the whole of the cap."""
        cap = min(self.longest_wait, self.first_wait * 2.0 ** min(attempt - 1, 60))  # 2.0 ** 1024 overflows
        return cap * random.uniform(0.5, 1.0)


class Deadline:
    """A point in loop time by which a call ends; without a timeout, never."""

    __slots__ = ("at",)

    def __init__(self, timeout: float | None) -> None:
        self.at = _FOREVER if timeout is None else asyncio.get_running_loop().time() + timeout

    def remaining(self) -> float:
        """Seconds left, never below zero."""
        if self.at == _FOREVER:
            return _FOREVER
        return max(0.0, self.at - asyncio.get_running_loop().time())

    def limit(self) -> AbstractAsyncContextManager[object]:
        """To be entered: what stands in it ends with a TimeoutError at this point."""
        return _NO_LIMIT if self.at == _FOREVER else asyncio.timeout_at(self.at)

    def within(self, seconds: float) -> Deadline:
        """A deadline so many seconds from now, or this one where that is sooner."""
        return self.by(asyncio.get_running_loop().time() + seconds)

    def by(self, at: float) -> Deadline:
        """A deadline at a loop time, or this one where that is sooner."""
        if self.at <= at:
            return self
        sooner = Deadline(None)
        sooner.at = at
        return sooner

    def allows(self, wait: float) -> bool:
        """True where a wait of so many seconds still leaves time for an answer."""
        return wait < self.remaining()

    @property
    def as_timeout(self) -> float | None:
        """The seconds left, as asyncio.timeout takes them."""
        return None if self.at == _FOREVER else self.remaining()


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by a `Retry-After` header, given as seconds or as a date; None when there is none."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        return seconds if math.isfinite(seconds := float(text)) else None
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
