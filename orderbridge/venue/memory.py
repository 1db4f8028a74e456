"""What the gateways of a process remember of their orders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from orderbridge.model.basics import KnownBy
from orderbridge.model.lifecycle import Followed, advance
from orderbridge.model.order import Order


class Shown:
    """
    What a venue itself has shown of its orders: the last word on each, of the `most` that were shown last.

    It is what an order that the venue forgets is completed by, and that its id was once shown is half of the proof
    that it has ended. What a caller says of an order is no part of it. `followed`: since when it shows some no more.
    """

    def __init__(self, *, most: int = 10_000, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self.followed = Followed(elapsed, most=most)
        self._orders: dict[str, Order] = {}
        self._by_client: dict[str, set[str]] = {}

    def take(self, order: Order) -> Order:
        """Take in an acknowledgement, or a row; it comes back with what it contradicts of an earlier conclusion."""
        known = self._orders.get(order.order_id)
        is_same = known is not None and (known.symbol, known.side) == (order.symbol, order.side)
        if known is None or not is_same or (_is_plain(known) and (order.is_done or known.may_be_live)):
            self.put(order)
            return order
        after = advance(known, order)[0]
        self.put(after)
        odd = {*after.anomalies} - {*known.anomalies, *order.anomalies}
        return order.noted(anomalies=odd)

    def learn(self, order: Order) -> None:
        """Take in what another process had been shown, which may be older than what is known here."""
        known = self._orders.get(order.order_id)
        is_same = known is not None and (known.symbol, known.side) == (order.symbol, order.side)
        self.put(advance(known, order)[0] if known is not None and is_same else order)

    def __iter__(self) -> Iterator[Order]:
        return iter(list(self._orders.values()))

    def put(self, order: Order) -> None:
        """Know an order so from now on."""
        self._forget(order.order_id)
        self._orders[order.order_id] = order
        if order.client_order_id is not None:
            self._by_client.setdefault(order.client_order_id, set()).add(order.order_id)
        if len(self._orders) > self._most:
            self._forget(next(iter(self._orders)))

    def update(self, order: Order) -> None:
        """Know an order so from now on, if it is one that was shown."""
        if order.order_id in self._orders:
            self.put(order)

    def get(self, order_id: str) -> Order | None:
        """The order of a venue's id, as it was last known."""
        return self._orders.get(order_id)

    def of_client(self, client_order_id: str) -> list[Order]:
        """The orders of a client id, as they were last known."""
        return [self._orders[order_id] for order_id in sorted(self._by_client.get(client_order_id, ()))]

    def _forget(self, order_id: str) -> None:
        order = self._orders.pop(order_id, None)
        if order is None or order.client_order_id is None:
            return
        others = self._by_client[order.client_order_id]
        others.discard(order_id)
        if not others:
            del self._by_client[order.client_order_id]


def _is_plain(order: Order) -> bool:
    # What a venue says of a working order replaces what it said before; a conclusion and a request are weighed.
    return order.known_by is KnownBy.REPORTED and not (order.replace_requested or order.cancel_requested)
