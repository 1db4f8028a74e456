"""
Rate lanes: who may send next, and the lock-outs that stop everybody.

One limiter per venue, address and key serves every gateway of the process, in whatever thread or loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Literal

from orderbridge.errors import ConfigurationError
from orderbridge.model.permit import LANES, Lane

# How long a waiter that is not the first sleeps at most, in case the loop of the first one stops. In a long queue
# each sleeps longer: one that looks is enough, and a thousand looks a second are no load.
_LOOK_AGAIN: Final = 1.0
_LOOKS_A_SECOND: Final = 1000
_PRIORITY: Final = {lane: rank for rank, lane in enumerate(LANES)}
# Slots of a burst that reads and orders leave alone: a cancel, and the look at what came of it, find them free.
_KEPT: Final = 4
_KEPT_SHARE: Final = 10
_MAY_USE_KEPT: Final[frozenset[Lane]] = frozenset({"cancel", "resolve"})


@dataclass(frozen=True, slots=True)
class Rate:
    """
    A burst, then a smooth refill.

    Attributes:
        burst: requests that may leave at once. Up to four of them, a tenth at most, are kept for cancels and for
            look-ups that resolve something.
        per_second: how fast the burst fills up again. In any 60 s at most `burst + 60 * per_second` leave.
        free_lanes: lanes that neither count nor are locked out.

    Raises:
        ConfigurationError: figures that would never grant anything.
    """

    burst: int
    per_second: float
    free_lanes: frozenset[Lane] = frozenset()

    def __post_init__(self) -> None:
        if not (self.burst >= 1 and 0 < self.per_second < float("inf")):
            raise ConfigurationError(f"a rate needs a burst of at least 1 and a refill above 0, not {self}")

    def needed(self, lane: Lane) -> int:
        """How many slots must be free for a request of this lane to take one."""
        return 1 if lane in _MAY_USE_KEPT else 1 + min(_KEPT, self.burst // _KEPT_SHARE)


class LockedOut(Exception):
    """The venue has locked us out for longer than the caller can wait; `seconds` are left."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"locked out for another {seconds:.1f} s")
        self.seconds = seconds


class NoPermit(Exception):
    """The lanes had no slot within the caller's time."""


class _Waiter:
    __slots__ = ("_event", "_loop", "_process", "lane", "order", "queued")

    def __init__(self, lane: Lane, number: int) -> None:
        self.lane: Lane = lane
        self.order = (_PRIORITY[lane], number)
        # Whether it waits. One that left stays in the heap until it comes to the top, or most there have left.
        self.queued = False
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._event = asyncio.Event()

    def __lt__(self, other: _Waiter) -> bool:
        return self.order < other.order

    @property
    def is_stranded(self) -> bool:
        """Whether its loop does not run here, now or ever: it cannot take a slot, and must hold nobody up."""
        return self._process != os.getpid() or not self._loop.is_running()

    def wake(self) -> None:
        """Make it look again, from whatever thread. A loop that has closed, or is a parent's, has nobody waiting."""
        if self._process != os.getpid():
            return
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    async def sleep(self, seconds: float) -> None:
        """Sleep until woken, at most `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()


# One for all: held for moments, and given back on both sides of a fork, whichever thread had it.
_lock: Final = threading.RLock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class LockOut:
    """Until when a venue has locked a key out: one for all that share the key, paced or not."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = float("-inf")


class Limiter:
    """
    Grants permits by lane, at the pace of a `Rate`; None paces nothing and still keeps lock-outs.

    Thread-safe. A waiter that is cancelled leaves the queue and its slot to the others. `free_lanes` are those
    that the venue neither counts nor locks out, whatever the figures.
    """

    def __init__(
        self,
        rate: Rate | None,
        *,
        free_lanes: frozenset[Lane] = frozenset(),
        lock_out: LockOut | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._free_lanes = free_lanes
        self._clock = clock
        self._tokens = float(rate.burst) if rate else 0.0
        self._filled_at = clock()
        self.shared_lock_out = lock_out or LockOut()
        self._queue: list[_Waiter] = []
        self._waiting = 0
        self._numbers = itertools.count()

    @property
    def locked_for(self) -> float:
        """Seconds until the lock-out ends; 0 when there is none."""
        return max(0.0, self.shared_lock_out.until - self._clock())

    def is_free(self, lane: Lane) -> bool:
        """Whether requests of this lane neither count nor are locked out."""
        return lane in self._free_lanes or (self._rate is not None and lane in self._rate.free_lanes)

    def would_wait(self, lane: Lane) -> bool:
        """Whether a request of this lane would have to wait, or find none but the kept slots."""
        if self.is_free(lane):
            return False
        with _lock:
            self._refill()
            if self.locked_for > 0 or self._rate is None:
                return self.locked_for > 0
            return self._waiting > 0 or self._tokens < self._rate.needed("read")

    def change(self, rate: Rate | None) -> None:
        """Pace by other figures from now on; what was used up stays used up."""
        with _lock:
            self._refill()
            if rate is not None:
                self._tokens = min(self._tokens, rate.burst) if self._rate else float(rate.burst)
            self._rate = rate
            self._wake_first()

    def lock_out(self, seconds: float) -> None:
        """The venue throttled us: stop every lane that counts for so long."""
        with _lock:
            self.shared_lock_out.until = max(self.shared_lock_out.until, self._clock() + seconds)

    def give_back(self, lane: Lane) -> None:
        """A granted request was not sent."""
        if self.is_free(lane):
            return
        with _lock:
            if self._rate is not None:
                self._tokens = min(float(self._rate.burst), self._tokens + 1)
            self._wake_first()

    async def acquire(self, lane: Lane, *, within: float | None = None) -> None:
        """
        Wait for a slot.

        Args:
            within: seconds the caller can wait; None waits as long as it takes.

        Raises:
            LockedOut: a lock-out lasts longer than `within`.
            NoPermit: the slot would come later than `within`.
        """
        if self.is_free(lane):
            return
        ends_at = None if within is None else self._clock() + within
        waiter = _Waiter(lane, next(self._numbers))
        try:
            while (wait := self._try_take(waiter)) is not None:
                await waiter.sleep(self._bounded(wait, ends_at))
        finally:
            self._leave(waiter)

    def _bounded(self, wait: float, ends_at: float | None) -> float:
        if ends_at is None:
            return wait
        left = ends_at - self._clock()
        if self.locked_for > max(0.0, left):
            raise LockedOut(self.locked_for)
        if left <= 0:
            raise NoPermit(f"no free slot in the rate limit within the time given ({self._waiting} wait)")
        return min(wait, left)

    def _try_take(self, waiter: _Waiter) -> float | None:
        """None: taken. Otherwise the seconds after which it is worth looking again."""
        with _lock:
            if not waiter.queued:
                heapq.heappush(self._queue, waiter)
                waiter.queued = True
                self._waiting += 1
            locked = self.shared_lock_out.until - self._clock()
            if locked > 0:
                return locked
            if self._rate is None:
                return None
            if self._first() is not waiter:
                # The first in the queue wakes the next when it leaves, unless its loop stops.
                return max(_LOOK_AGAIN, self._waiting / _LOOKS_A_SECOND) * random.uniform(0.5, 1.0)
            self._refill()
            needed = self._rate.needed(waiter.lane)
            if self._tokens >= needed:
                self._tokens -= 1
                return None
            return (needed - self._tokens) / self._rate.per_second

    def _leave(self, waiter: _Waiter) -> None:
        with _lock:
            was_first = self._first() is waiter
            if waiter.queued:
                waiter.queued = False
                self._waiting -= 1
            if len(self._queue) > 2 * self._waiting + _KEPT:
                self._queue = [each for each in self._queue if each.queued]
                heapq.heapify(self._queue)
            if was_first:
                self._wake_first()

    def _first(self) -> _Waiter | None:
        """The first waiter that can take a slot. One whose loop stopped queues again if the loop runs again."""
        stranded = False
        while self._queue and not (self._queue[0].queued and not self._queue[0].is_stranded):
            gone = heapq.heappop(self._queue)
            if gone.queued:
                stranded = True
                gone.queued = False
                self._waiting -= 1
                gone.wake()
        if not self._queue:
            return None
        if stranded:
            self._queue[0].wake()  # it does not know yet that nobody is before it any more
        return self._queue[0]

    def _refill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            gained = (now - self._filled_at) * self._rate.per_second
            self._tokens = min(float(self._rate.burst), self._tokens + gained)
        self._filled_at = now

    def _wake_first(self) -> None:
        first = self._first()
        if first is not None:
            first.wake()


LimitsLike = Rate | Literal["venue"] | None
_shared: Final[dict[Hashable, Limiter]] = {}


def shared_limiter(scope: Hashable, limits: LimitsLike, *, venue: Rate) -> Limiter:
    """
    The limiter of a scope (venue, address and a digest of the key), made at first use and kept for good.

    Gateways of one scope share it; figures that differ from its own replace them. A gateway without limits is
    not paced, takes nothing from the others, and shares their lock-outs.

    Raises:
        ConfigurationError: `limits` is neither "venue", None nor a Rate.
    """
    if limits != "venue" and limits is not None and not isinstance(limits, Rate):
        raise ConfigurationError(f"limits are 'venue', None or a Rate, not {limits!r}")
    rate = venue if limits == "venue" or limits is None else limits
    with _lock:
        limiter = _shared.get(scope)
        if limiter is None:
            limiter = _shared[scope] = Limiter(rate, free_lanes=venue.free_lanes)
        if limits is None:
            return Limiter(None, free_lanes=venue.free_lanes, lock_out=limiter.shared_lock_out)
        if limiter._rate != rate:
            limiter.change(rate)
        return limiter
