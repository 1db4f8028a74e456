"""
Rate lanes: who may send next, and the lock-outs that stop everybody.

One limiter per venue, address and key serves every gateway of the process, in whatever thread or loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Literal
from weakref import WeakKeyDictionary

from orderbridge.errors import ConfigurationError
from orderbridge.model.permit import LANES, Lane

# How long the first of a loop sleeps at most: nobody in another loop wakes it.
_LOOK_AGAIN: Final = 1.0
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


class _Queue:
    """Those who wait in one loop, by lane in the order of right, each with what wakes it."""

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        # Ordered: the first of a plain dictionary is looked for behind all that left it.
        self._lanes: dict[Lane, OrderedDict[asyncio.Event, None]] = {lane: OrderedDict() for lane in LANES}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    @property
    def first(self) -> asyncio.Event | None:
        """Whose turn it is."""
        return next((waiter for lane in self._lanes.values() for waiter in lane), None)

    def join(self, lane: Lane) -> asyncio.Event:
        """Wait behind those of the lane."""
        waiter = asyncio.Event()
        self._lanes[lane][waiter] = None
        return waiter

    def leave(self, lane: Lane, waiter: asyncio.Event) -> None:
        """Wait no more, and have the next look."""
        was_first = self.first is waiter
        del self._lanes[lane][waiter]
        if was_first:
            self.wake_first()

    def wake_first(self) -> None:
        """Have the first look again."""
        if (first := self.first) is not None:
            first.set()

    def wake_all(self) -> None:
        """Have each look again: what it waits for is another thing now."""
        for lane in self._lanes.values():
            for waiter in lane:
                waiter.set()


# One for all: held for moments, and given back on both sides of a fork, whichever thread had it.
_lock: Final = threading.RLock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


_NEVER: Final = float("-inf")


class LockOut:
    """Until when a venue has locked a key out: one for all that share the key, paced or not."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = _NEVER


class Limiter:
    """
    Grants permits by lane, at the pace of a `Rate`; None paces nothing and still keeps lock-outs.

    Thread-safe: what is left of a burst and the lock-out are one for all loops, while each loop has a queue of its own
    and neither wakes nor waits for another's. A waiter that is cancelled leaves the queue and its slot to the others.
    `free_lanes` are those that the venue neither counts nor locks out, whatever the figures.
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
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    @property
    def locked_for(self) -> float:
        """Seconds until the lock-out ends; 0 when there is none."""
        until = self.shared_lock_out.until
        return 0.0 if until == _NEVER else max(0.0, until - self._clock())

    def is_free(self, lane: Lane) -> bool:
        """True where requests of this lane neither count nor are locked out."""
        return lane in self._free_lanes or (self._rate is not None and lane in self._rate.free_lanes)

    def would_wait(self, lane: Lane) -> bool:
        """True where a request of this lane would have to wait, or find none but the kept slots."""
        if self.is_free(lane):
            return False
        with _lock:
            self._refill()
            if self.locked_for > 0 or self._rate is None:
                return self.locked_for > 0
            return len(self._queue()) > 0 or self._tokens < self._rate.needed("read")

    def change(self, rate: Rate | None) -> None:
        """Pace by other figures from now on; what was used up stays used up."""
        with _lock:
            self._refill()
            if rate is not None:
                self._tokens = min(self._tokens, rate.burst) if self._rate else float(rate.burst)
            self._rate = rate
        self._queue().wake_all()

    def lock_out(self, seconds: float) -> None:
        """The venue throttled us: stop every lane that counts for so long."""
        with _lock:
            self.shared_lock_out.until = max(self.shared_lock_out.until, self._clock() + seconds)
        self._queue().wake_all()

    def give_back(self, lane: Lane) -> None:
        """A granted request was not sent."""
        if self.is_free(lane):
            return
        with _lock:
            if self._rate is not None:
                self._tokens = min(float(self._rate.burst), self._tokens + 1)
        self._queue().wake_first()

    def take(self, lane: Lane) -> bool:
        """Take a slot that is free now, and that nobody waits for. False: there is none."""
        return self.is_free(lane) or (not self._queue() and not self._try_take(lane, is_first=True))

    async def acquire(self, lane: Lane, *, within: float | None = None) -> None:
        """
        Wait for a slot.

        Args:
            within: seconds the caller can wait; None waits as long as it takes.

        Raises:
            LockedOut: a lock-out lasts longer than `within`.
            NoPermit: the slot would come later than `within`.
        """
        ends_at = None if within is None else self._clock() + within
        if self.take(lane):
            return
        queue = self._queue()
        waiter = queue.join(lane)
        try:
            while (wait := self._try_take(lane, is_first=queue.first is waiter)) > 0:
                waiter.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._bounded(wait, ends_at, len(queue))):
                        await waiter.wait()
        finally:
            queue.leave(lane, waiter)

    def _queue(self) -> _Queue:
        """Those who wait in the loop that runs here; nobody where none runs."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return _Queue()
        if (queue := self._queues.get(loop)) is None:
            with _lock:
                queue = self._queues[loop] = _Queue()
        return queue

    def _bounded(self, wait: float, ends_at: float | None, waiting: int) -> float | None:
        if ends_at is None:
            return None if wait == float("inf") else wait
        left = ends_at - self._clock()
        if self.locked_for > max(0.0, left):
            raise LockedOut(self.locked_for)
        if left <= 0:
            raise NoPermit(f"no free slot in the rate limit within the time given ({waiting} wait)")
        return min(wait, left)

    def _try_take(self, lane: Lane, *, is_first: bool) -> float:
        """0: taken. Otherwise the seconds after which it is worth looking again."""
        with _lock:
            if (locked := self.locked_for) > 0 or self._rate is None:
                return locked
            if not is_first:
                return float("inf")  # the one before it wakes it
            self._refill()
            needed = self._rate.needed(lane)
            if self._tokens >= needed:
                self._tokens -= 1
                return 0.0
            # Sooner where other figures, or a slot that was given back in another loop, may let it go on.
            return min((needed - self._tokens) / self._rate.per_second, _LOOK_AGAIN)

    def _refill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            gained = (now - self._filled_at) * self._rate.per_second
            self._tokens = min(float(self._rate.burst), self._tokens + gained)
        self._filled_at = now


LimitsLike = Rate | Literal["venue"] | None
_shared: Final[dict[Hashable, Limiter]] = {}


def forget_shared() -> None:
    """Begin with no limiter, so that what one test spent or locked is no other's."""
    _shared.clear()


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
