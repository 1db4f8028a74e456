"""What this gateway did to orders, remembered for later readings: the rows of Bitcain do not tell it."""

from __future__ import annotations

from collections.abc import Container

from orderbridge.model.order import Order
from orderbridge.venue.bounds import remember


class OwnActs:
    """
    The orders that were created, cancelled and retried here; the oldest are forgotten beyond 10,000 of each.

    Args:
        paper: the mode that everything is sent in.
    """

    def __init__(self, *, paper: bool) -> None:
        self._paper = paper
        self._created: dict[str, str] = {}
        self._cancelled: dict[str, str] = {}
        self._replaced_by: dict[str, str] = {}
        self._replaces: dict[str, str] = {}

    @property
    def cancel_sent(self) -> Container[str]:
        """The orders that we asked to cancel."""
        return self._cancelled

    def note_created(self, order_id: str, client_order_id: str | None = None) -> None:
        """An order of ours was given this id; it went out under this client id."""
        remember(self._created, order_id, client_order_id or self._created.get(order_id, ""))

    def created(self, order: Order) -> Order:
        """Take in a new order of ours; it comes back with what is known here beside its answer."""
        self.note_created(order.order_id, order.client_order_id)
        return self.told(order)

    def created_under(self, client_order_id: str) -> frozenset[str]:
        """The orders of ours that went out under a client id, as far as their ids are known."""
        return frozenset(order_id for order_id, sent in self._created.items() if sent == client_order_id)

    def is_created(self, order_id: str) -> bool:
        """Whether it is an order of ours, and so of our mode."""
        return order_id in self._created

    def note_cancel(self, order_id: str) -> bool:
        """A cancel of it is about to leave: whether it is the first."""
        is_first = order_id not in self._cancelled
        remember(self._cancelled, order_id, "")
        return is_first

    def forget_cancel(self, order_id: str) -> None:
        """The cancel did not leave, was refused while the order worked, or the order has begun anew."""
        self._cancelled.pop(order_id, None)

    def note_retry(self, old: str, new: str, *, is_ours: bool) -> None:
        """A retry of `old` made the order `new`; `is_ours` if `old` is known to be of our mode."""
        remember(self._replaced_by, old, new)
        remember(self._replaces, new, old)
        if is_ours:
            self.note_created(new, self._created.get(old))

    def told(self, order: Order) -> Order:
        """The order with what is known here beside its row."""
        changes: dict[str, object] = {}
        if order.paper is None and order.order_id in self._created:
            note = "its trading mode is the one it was sent with: the row states none"
            changes = {"paper": self._paper, "evidence": tuple(sorted({*order.evidence, note}))}
        for name, links in (("replaced_by", self._replaced_by), ("replaces", self._replaces)):
            if (other := links.get(order.order_id)) is not None:
                changes[name] = other
        return order.model_copy(update=changes) if changes else order
