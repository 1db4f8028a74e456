"""The requests that a venue has seen, for tests to count; within bounds, since a simulation may run for weeks."""

from collections import Counter, deque

from orderbridge.simulator.message import Request

TIMES = 100_000
RECENT = 1_000
MOST_BYTES = 16 << 20
MOST_NAMES = 200_000
LONGEST_NAME = 1_000
OTHERS = "(other paths)"


class Seen:
    """
    Counts and remembers.

    Attributes:
        counts: how often each `METHOD /raw/path` came. Paths are cut after 1,000 characters, and past 200,000
            different ones new ones count together as `METHOD (other paths)`; the total stays right.
        times: (simulated time, `METHOD /raw/path`) of the last 100,000.
        recent: the last 1,000 whole, or as many of them as have 16 MB of bodies.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: deque[tuple[float, str]] = deque(maxlen=TIMES)
        self.recent: deque[Request] = deque()
        self._bytes = 0

    def note(self, request: Request, at: float) -> None:
        """Take note of one request."""
        name = f"{request.method} {request.path}"[:LONGEST_NAME]
        known = name in self.counts or len(self.counts) < MOST_NAMES
        self.counts[name if known else f"{request.method} {OTHERS}"] += 1
        self.times.append((at, name))
        self.recent.append(request)
        self._bytes += len(request.body)
        while len(self.recent) > RECENT or self._bytes > MOST_BYTES:
            self._bytes -= len(self.recent.popleft().body)
