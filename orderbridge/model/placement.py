"""The record of one act of placing. An `Order` is what a venue shows; a `Placement` is what we did."""

from __future__ import annotations

from typing import Final

from orderbridge.model.base import Moment, VenueModel
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest
from orderbridge.model.words import PlacementState

_HOLDS_KEY: Final = {
    PlacementState.PREPARED,
    PlacementState.SENDING,
    PlacementState.UNCERTAIN,
    PlacementState.PLACED,
}


class Placement(VenueModel):
    """
    One act of placing: what was asked, under which ids, and how far it has come.

    `gave_up` marks an uncertain placement whose probing stopped without proof: a person decides.
    `attempts` counts the sends. The hash is that of `placement_id`.
    """

    placement_id: str
    gateway: str
    key: str | None = None
    request: OrderRequest
    client_order_id: str | None = None
    state: PlacementState = PlacementState.PREPARED
    attempts: int = 0
    order: Order | None = None
    evidence: tuple[str, ...] = ()
    gave_up: bool = False
    created_at: Moment

    @property
    def may_be_live(self) -> bool:
        """Whether an order of this placement may trade, now or still unseen."""
        if self.state is PlacementState.PLACED:
            return self.order is None or self.order.may_be_live
        return self.state in {PlacementState.SENDING, PlacementState.UNCERTAIN}

    @property
    def holds_key(self) -> bool:
        """Whether the caller's key is taken by this placement."""
        return self.state in _HOLDS_KEY

    def __hash__(self) -> int:
        return hash(self.placement_id)
