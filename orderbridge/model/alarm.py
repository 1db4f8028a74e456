"""What a person should look at."""

from __future__ import annotations

from orderbridge.model.base import Moment, Told, VenueModel
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.words import Word


class AlarmKind(Word):
    """
    What is wrong.

    `ghost`: an order appeared after a verdict that there was none, or what was concluded of its end proved wrong.
    `gave_up`: no proof could be had, and probing goes on slowly. `conflict`: an order under our id that is not what
    was asked for. `double`: two orders under it. `lost`: an order that was open, and of which the venue says that
    there is none. `journal`: it could not be written. `background`: a task of the bridge died.
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
