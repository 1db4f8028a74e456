"""The simulator's time: the machine's own, moved on by hand, or standing still until it is moved."""

import time
from datetime import UTC, datetime

LONGEST = 100 * 366 * 86_400.0
# Leaves room below the last year that a datetime knows, so that now and any duration can be added.
END = datetime(9900, 1, 1, tzinfo=UTC).timestamp()


class SimClock:
    """
    A clock that a test can move.

    By default it runs with the machine's clock, plus whatever `advance` has added. With `running=False` it
    stands still.

    Args:
        start: where it begins (aware datetime or epoch seconds); now, unless given.
        running: whether it goes on by itself.
    """

    def __init__(self, *, start: datetime | float | None = None, running: bool = True) -> None:
        self._running = running
        begin = start.timestamp() if isinstance(start, datetime) else start
        self._base = time.time() if begin is None else float(begin)
        self._anchor = time.time()

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._base + (time.time() - self._anchor) if self._running else self._base

    def now(self) -> datetime:
        """The same moment as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` at once; nobody waits."""
        if not 0 <= seconds < LONGEST:
            raise ValueError("a simulated clock does not go back, and not on by more than a century at once")
        if self.time() + seconds >= END:
            raise ValueError("a simulated clock ends with the year 9900")
        self._base += seconds
