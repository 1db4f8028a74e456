"""
Bitso's request limits: so many in any sixty seconds, then a lock-out of a minute.

The block of 24 hours after repeated lock-outs is left out: neither its threshold nor its answer is
documented.
"""

from collections import defaultdict, deque

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.settings import BitsoSettings

WINDOW = 60.0


class Limits:
    """Counts requests by user or address; cancels are not counted."""

    def __init__(self, settings: BitsoSettings, clock: SimClock) -> None:
        self._settings = settings
        self._clock = clock
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)
        self._locked_until: dict[str, float] = {}

    def count(self, who: str, *, most: int, is_cancel: bool) -> None:
        """
        Take note of one request.

        Raises:
            BitsoRefusal: `0801`, over the limit or still locked out.
        """
        if not self._settings.pacing:
            return
        now = self._clock.time()
        if now < self._locked_until.get(who, 0.0):
            if is_cancel and self._settings.lockout_spares_cancels:
                return
            raise BitsoRefusal("0801")
        if is_cancel:
            return
        times = self._times[who]
        while times and times[0] <= now - WINDOW:
            times.popleft()
        if len(times) >= most:
            self._locked_until[who] = now + self._settings.lockout
            times.clear()
            raise BitsoRefusal("0801")
        times.append(now)
