"""
The record of one act of placing, and what a person must hear about it.

An `Order` is what a venue shows, a `Placement` is what we did.
"""

from typing import Final

from orderbridge.model.basics import Moment, PlacementState, Told, VenueModel, Word
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest

# States that hold a caller's key.
HOLDING: Final = (PlacementState.PREPARED, PlacementState.SENDING, PlacementState.UNCERTAIN, PlacementState.PLACED)


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
        """True while an order of this placement may trade, now or still unseen."""
        if self.state is PlacementState.PLACED:
            return self.order is None or self.order.may_be_live
        return self.state in {PlacementState.SENDING, PlacementState.UNCERTAIN}

    @property
    def holds_key(self) -> bool:
        """True while the caller's key is taken by this placement."""
        return self.state in HOLDING

    def __hash__(self) -> int:
        return hash(self.placement_id)


class AlarmKind(Word):
    """
    The kinds of alarms: what is wrong.

    `ghost`: an order appeared after a verdict that there was none, or it is live, or more of it filled, after its end
    was concluded. `gave_up`: no proof could be had, and probing goes on slowly. `conflict`: an order under our id that
    is not what was asked for, or one that may be that of a key which the journal lost. `double`: two orders under it.
    `lost`: an order that was open, and of which the venue says that there is none. `journal`: it could not be opened
    or written, it holds a row that cannot be read, or it came back older and lacks a stretch. `background`: a task of
    the bridge died.
    """

    GHOST = "ghost"
    GAVE_UP = "gave_up"
    CONFLICT = "conflict"
    DOUBLE = "double"
    LOST = "lost"
    JOURNAL = "journal"
    BACKGROUND = "background"


class Alarm(VenueModel):
    """Something that no code can settle: a person decides."""

    kind: AlarmKind
    message: Told
    gateway: str | None = None
    placement: Placement | None = None
    order: Order | None = None
    at: Moment
