"""What is to happen to orders at given moments of simulated time."""

import heapq
from collections.abc import Iterator
from datetime import datetime

from orderbridge.simulator.engine.order import Order, State


class Schedule:
    """Ends that are due later: orders that expire, cancels that take their time."""

    def __init__(self) -> None:
        self._heap: list[tuple[datetime, int, Order, State]] = []

    def add(self, at: datetime, order: Order, state: State) -> None:
        """End the order with this state at that moment, if it is then still active."""
        heapq.heappush(self._heap, (at, order.sequence, order, state))

    def due(self, now: datetime) -> Iterator[tuple[datetime, Order, State]]:
        """The ends whose time has come, in order. An expiry that was moved since then is skipped."""
        while self._heap and self._heap[0][0] <= now:
            at, _, order, state = heapq.heappop(self._heap)
            moved = state is State.EXPIRED and order.expires_at != at
            if order.active and not moved:
                yield at, order, state
