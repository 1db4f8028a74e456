"""
The life of a placement: its record, what may happen to it, and where that leads.

A placement is our act, an order is what the venue shows. The rows, by the numbers that comments and tests use:

  1 stored: prepared. 2 a local check fails, or it is found unsent and too old: denied. 3 about to write: sending.
  4 nothing left, or a refusal before admission: prepared again. 5 a definite refusal: rejected.
  6 an answer with the venue's id: placed. 7 anything else, a cancelled task, a restart: uncertain.
  8 the id is taken: uncertain, and an order exists, so it is never called absent. 9 found, and it fits: placed.
 10 found, and it does not fit: uncertain, with the conflict. 11 a certificate of absence: not placed.
 12 the horizon has passed and no certificate can be had: uncertain, given up. 13 a person decides: as told.
 14 shown after it was called not placed: placed, with a ghost alarm.

What they do not list changes nothing and is stored as an anomaly.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

from pydantic import Field, computed_field

from orderbridge.errors import ConfigurationError, printable
from orderbridge.gateway import OrderGateway
from orderbridge.model.basics import Moment, PlacementState, VenueModel, Word, altered
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.screening import fingerprint


class Happened(Word):
    """
    The events in the life of a placement.

    `nothing_left`: no byte left, or a refusal before admission. `exists`: the venue refused the id as a
    duplicate. `conflict`: an order under our id that is not what was asked for. `taken`: another process goes on.
    `resend`: absent with proof, or its id is unique for ever, and the policy is to send it again under that id.
    `left`: its caller went without a verdict. `told`: its order was given or shown to its caller after that.
    """

    STORED = "stored"
    DENIED = "denied"
    SENDING = "sending"
    NOTHING_LEFT = "nothing_left"
    REFUSED = "refused"
    ACKNOWLEDGED = "acknowledged"
    UNCLEAR = "unclear"
    EXISTS = "exists"
    FOUND = "found"
    CONFLICT = "conflict"
    ABSENT = "absent"
    GAVE_UP = "gave_up"
    DECIDED_PLACED = "decided_placed"
    DECIDED_NOT_PLACED = "decided_not_placed"
    TAKEN = "taken"
    RESEND = "resend"
    LEFT = "left"
    TOLD = "told"


_S, _H = PlacementState, Happened
# No order was known to be of them when they came to stand here.
_UNPLACED: Final = (_S.PREPARED, _S.DENIED, _S.REJECTED, _S.NOT_PLACED)
NEXT: Final[Mapping[tuple[PlacementState, Happened], PlacementState]] = {
    (_S.PREPARED, _H.DENIED): _S.DENIED,  # row 2
    (_S.PREPARED, _H.SENDING): _S.SENDING,  # 3
    (_S.SENDING, _H.NOTHING_LEFT): _S.PREPARED,  # 4
    (_S.SENDING, _H.REFUSED): _S.REJECTED,  # 5
    (_S.SENDING, _H.ACKNOWLEDGED): _S.PLACED,  # 6
    (_S.SENDING, _H.UNCLEAR): _S.UNCERTAIN,  # 7
    (_S.SENDING, _H.EXISTS): _S.UNCERTAIN,  # 8
    (_S.UNCERTAIN, _H.EXISTS): _S.UNCERTAIN,
    (_S.SENDING, _H.FOUND): _S.PLACED,  # 9
    (_S.UNCERTAIN, _H.FOUND): _S.PLACED,
    (_S.UNCERTAIN, _H.ACKNOWLEDGED): _S.PLACED,  # the reply came late: the strongest evidence of all
    (_S.SENDING, _H.CONFLICT): _S.UNCERTAIN,  # 10
    (_S.UNCERTAIN, _H.ABSENT): _S.NOT_PLACED,  # 11
    (_S.UNCERTAIN, _H.RESEND): _S.PREPARED,  # in place of 11, and the key is held all the time
    (_S.UNCERTAIN, _H.GAVE_UP): _S.UNCERTAIN,  # 12
    (_S.UNCERTAIN, _H.DECIDED_PLACED): _S.PLACED,  # 13
    (_S.UNCERTAIN, _H.DECIDED_NOT_PLACED): _S.NOT_PLACED,
    # 14: what is shown goes before whatever was concluded, by us or by the venue.
    **{(state, told): _S.PLACED for state in _UNPLACED for told in (_H.FOUND, _H.ACKNOWLEDGED)},
    (_S.PLACED, _H.ACKNOWLEDGED): _S.PLACED,  # the reply came after a sighting
    (_S.PLACED, _H.FOUND): _S.PLACED,  # what a person took as placed is shown
    **{(state, _H.CONFLICT): state for state in (*_UNPLACED, _S.UNCERTAIN, _S.PLACED)},
    # What its caller knows of it changes nothing about it.
    **{(state, _H.LEFT): state for state in (_S.PREPARED, _S.SENDING, _S.UNCERTAIN, _S.PLACED)},
    **{(state, _H.TOLD): state for state in (_S.UNCERTAIN, _S.PLACED)},
    **{(state, _H.TAKEN): state for state in (_S.PREPARED, _S.SENDING, _S.UNCERTAIN, _S.NOT_PLACED)},
}
# The fields of a record and of its placement that hold somebody's words.
_WORDS: Final = frozenset({"reason", "conflicts", "lost", "evidence"})
_PROOFS: Final = frozenset({_H.ACKNOWLEDGED, _H.EXISTS})
_VERDICTS: Final = frozenset({_H.ABSENT, _H.RESEND})
# What a sighting may settle: all but an order that is known.
UNSETTLED: Final = tuple(state for state in _S if state is not _S.PLACED)
# States that somebody still works on.
UNFINISHED: Final = (_S.PREPARED, _S.SENDING, _S.UNCERTAIN)
IN_FLIGHT: Final = (_S.SENDING, _S.UNCERTAIN)
# An order that was proven absent is looked for all the same, until `watch_until`; the second of these was to be sent
# again after that, and was denied.
WATCHED: Final = (_S.NOT_PLACED, _S.DENIED)


def venue_address(gateway: OrderGateway) -> tuple[str | None, str | None]:
    """The address that a gateway speaks to, and its mode; None for what it does not say, or its address says."""
    return gateway.address.rstrip("/") or None, None if gateway.address_tells_mode else gateway.mode


class Record(VenueModel):
    """
    A placement as the journal keeps it. No secret, header or body is ever part of it.

    Attributes:
        mode, address: paper or live, and where it was sent. At another place nothing is asked about it.
        owner, fence: who works on it, and a number that grows with each change of hands.
        attempt: a word of its own for each attempt, so that two that begin at one moment are told apart, and so
            that what became of an earlier one does not count for the next.
        sent_at, not_after: of the last attempt: when it was begun, and after when no byte of it leaves.
        uptime, kernel: when it was begun by the clock that nobody sets, and of which running kernel that is the clock.
        exists: the venue said that an order of this id exists: it is never called absent.
        conflicts: sightings that do not fit; they keep it from being sent or called absent.
        lost: where it stands for one that the journal lost: the orders that it may be, which have other client ids
            and are older; an empty word among them stands for one that the venue's list may leave out.
        several: more than one order that fits is shown under its id: none is adopted, a person decides.
        resends: how often the policy had it sent again. `reason`: why it was denied or refused.
        watch_until: until when a sighting after a verdict is looked for.
    """

    placement: Placement
    mode: str | None = None
    address: str | None = None
    owner: str | None = None
    fence: int = 0
    attempt: str | None = None
    sent_at: Moment | None = None
    not_after: Moment | None = None
    uptime: float | None = None
    kernel: str | None = None
    exists: bool = False
    conflicts: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    several: bool = False
    resends: int = 0
    reason: str | None = None
    watch_until: Moment | None = None

    # Made where two are compared, or one is stored, as it is dear.
    @computed_field(repr=False)  # type: ignore[prop-decorator]
    @cached_property
    def fingerprint(self) -> str:
        """Of the normalised request, gateway, mode and address: the same text for the same order."""
        asked, gateway = self.placement.request, self.placement.gateway
        return fingerprint(asked, gateway=gateway, mode=self.mode, address=self.address)

    @property
    def id(self) -> str:
        """The placement's id."""
        return self.placement.placement_id

    @property
    def state(self) -> PlacementState:
        """How far the placement has come."""
        return self.placement.state

    def is_at(self, gateway: OrderGateway) -> bool:
        """True if it was made at this very place; a gateway that does not say which is taken to be there."""
        pairs = zip((self.address, self.mode), venue_address(gateway), strict=True)
        return all(made is None or here is None or made == here for made, here in pairs)

    def elsewhere(self) -> ConfigurationError:
        """The error to raise where it was made at another place."""
        made = " ".join(each for each in (self.address, self.mode) if each is not None)
        message = f"this placement was made at another address or mode: {made}"
        return ConfigurationError(message, gateway=self.placement.gateway)


class Event(VenueModel):
    """One thing that happened to a placement; `seq` counts from 1, and an anomaly changed nothing."""

    placement_id: str = ""
    seq: int = 0
    at: Moment
    happened: Happened
    before: PlacementState | None = None
    after: PlacementState
    anomaly: bool = False
    facts: dict[str, str] = Field(default_factory=dict)


class Transition(NamedTuple):
    """A record after something happened, and the event to be stored with it, in one transaction."""

    record: Record
    event: Event


def showing(record: Record, order: Order | None) -> Record:
    """A record with its order as `order` shows it; as it is, where that is another one."""
    own = record.placement.order
    if own is None or order is None or own is order or own.identity != order.identity:
        return record
    return altered(record, {"placement": altered(record.placement, {"order": order})})


def stored(record: Record) -> Event:
    """The first event of a new record (row 1), in whatever state it is stored."""
    made = record.placement
    told = {"placement_id": made.placement_id, "at": made.created_at, "happened": Happened.STORED}
    return Event.of_checked(**told, after=made.state, facts={})


def step(
    record: Record,
    happened: Happened,
    *,
    at: datetime,
    of: str | None = None,
    facts: Mapping[str, object] | None = None,
    placement: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Transition:
    """
    Take an event in: what becomes of a record.

    Args:
        of: the attempt that it is the outcome of. Of an earlier one than the last, only proof of an order counts.
        facts: stored with the event. `placement`, `changes`: new values of the placement's and record's fields.
    """
    known = record.placement
    before = known.state
    said = {name: printable(str(value)) for name, value in facts.items() if value is not None} if facts else {}
    is_over = of is not None and of != record.attempt and happened not in _PROOFS
    after = None if is_over or _is_barred(record, happened) else NEXT.get((before, happened))
    told = {"placement_id": known.placement_id, "at": at, "happened": happened, "before": before, "facts": said}
    event = Event.of_checked(**told, after=after or before, anomaly=after is None)
    if after is None:
        return Transition(record, event)
    new = altered(known, {**_kept(placement or {}), "state": after})
    return Transition(altered(record, {**_kept(changes), "placement": new}), event)


def _kept(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Values as they can be stored: what tells something may be anybody's words."""
    if _WORDS.isdisjoint(values):
        return values
    told = {name: values[name] for name in _WORDS.intersection(values) if values[name] is not None}
    return {**values, **{n: printable(v) if isinstance(v, str) else tuple(map(printable, v)) for n, v in told.items()}}


def _is_barred(record: Record, happened: Happened) -> bool:
    """A placement with contradicting sightings is neither sent nor called absent, nor one that is known to exist."""
    if happened in _VERDICTS:
        return record.exists or bool(record.conflicts)
    if happened is Happened.FOUND:
        return record.several
    return happened is Happened.SENDING and bool(record.conflicts)
