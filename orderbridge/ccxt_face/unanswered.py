"""The orders whose caller has no verdict yet, of all faces of one gateway of a bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

from orderbridge.bridge import OrderBridge
from orderbridge.model.basics import PlacementState, Side, Symbol
from orderbridge.model.placement import Placement
from orderbridge.placement.ledger import LEASE_SECONDS, Ledger
from orderbridge.placement.states import IN_FLIGHT, Record

# In the evidence of a placement: its caller went without a verdict; and was given or shown its order after all.
LEFT: Final = "left"
TOLD: Final = "told"
KEY_PREFIX: Final = "ccxt-"
_REPLY: Final = "reply"
_POLL: Final = 0.05
_LOOKED_AT: Final = (*IN_FLIGHT, PlacementState.PREPARED, PlacementState.PLACED)


@dataclass(eq=False)
class UnansweredCreate:
    """
    An order that was begun to be sent, and of which its caller has no verdict yet.

    Attributes:
        key: of its placement; one of an earlier process may have none, and is then given itself.
        is_earlier: the journal held it from before any face was made.
        left_at: loop time at which its caller went without a verdict; None while it waits.
        is_unclear: its outcome is not known, and its caller waits for it.
        task: of its caller; `cancels` is how often that had been cancelled before.
    """

    symbol: Symbol
    side: Side
    key: str | None
    placement: Placement | None = None
    is_earlier: bool = False
    left_at: float | None = None
    is_unclear: bool = False
    task: asyncio.Task[object] | None = None
    cancels: int = 0

    @property
    def has_left(self) -> bool:
        """True once its caller went, or was told to go at its next step."""
        if self.left_at is not None:
            return True
        return self.task is not None and (self.task.done() or self.task.cancelling() > self.cancels)


@dataclass(eq=False)
class UnansweredCreates:
    """
    The creates of one gateway of a bridge whose callers have no verdict yet.

    Attributes:
        open: them. unsent: keys of what was never sent, by request. taken: keys that the venue refused as used before.
    """

    made_at: datetime
    open: list[UnansweredCreate] = field(default_factory=list)
    unsent: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    has_looked_back: bool = False
    looking_back: asyncio.Lock = field(default_factory=asyncio.Lock)


_UNANSWERED: Final[WeakKeyDictionary[OrderBridge, dict[str, UnansweredCreates]]] = WeakKeyDictionary()


def unanswered_of(bridge: OrderBridge, gateway: str) -> UnansweredCreates:
    """The one that all faces of a bridge's gateway share."""
    known = _UNANSWERED.setdefault(bridge, {})
    if gateway not in known:
        known[gateway] = UnansweredCreates(bridge._placements.ledger.now())
    return known[gateway]


async def earlier_orders(ledger: Ledger, gateway: str, *, before: datetime) -> list[UnansweredCreate]:
    """
    The orders in the journal from before that a bot may be about to repeat: what is open, and what was settled
    since without its caller being told. Not what another living process works on: that one has a bot of its own.
    """
    found = await ledger.journal.find(gateway=gateway, states=_LOOKED_AT)
    mine = [record for record in found if record.placement.created_at < before and _is_untold(record.placement)]
    owners = {record.owner: record for record in mine if record.owner not in (None, ledger.owner)}
    live = await asyncio.gather(*(_lives(ledger, record) for record in owners.values()))
    others = {owner for owner, lives in zip(owners, live, strict=True) if lives}
    return [_earlier(record.placement) for record in mine if record.owner not in others]


def _is_untold(placement: Placement) -> bool:
    if placement.state is not PlacementState.PLACED:
        return is_open(placement) and TOLD not in placement.evidence
    key = placement.key
    # Whoever places by the bridge itself with a key of another kind is told by the bridge.
    is_of_a_face = key is not None and (key.startswith(KEY_PREFIX) or key == placement.client_order_id)
    return is_of_a_face and not was_answered(placement.evidence)


def was_answered(evidence: Iterable[str]) -> bool:
    """True where whoever sent a placed order knows of it: by the reply, or because it was shown later."""
    known = set(evidence)
    return TOLD in known or (_REPLY in known and LEFT not in known)


def is_open(placement: Placement) -> bool:
    """True where an order may come of it that nobody was told of: one that the bridge is about to send again too."""
    if placement.state is PlacementState.PREPARED:
        # What was never sent has no evidence; what is sent again has the proof that it was absent.
        return bool({*placement.evidence} - {LEFT, TOLD})
    return placement.state in IN_FLIGHT


async def _lives(ledger: Ledger, record: Record) -> bool:
    """
    True while its owner lives, which one shows by renewing its lease.

    One that ended without a word in another container holds its lease for a while: that is waited for, as this
    process may be the one that goes on with its bot.
    """
    owner, loop = record.owner or "", asyncio.get_running_loop()
    began, left = loop.time(), LEASE_SECONDS
    while await ledger.is_worked_on(record) and left > 0:
        await asyncio.sleep(_POLL)
        left = began + LEASE_SECONDS - loop.time()
        # A lease of which more is left than one of before can have was renewed since.
        if await ledger.journal.lives(owner, -left - _POLL / 2):
            return True
    return False


def _earlier(placement: Placement) -> UnansweredCreate:
    request = placement.request
    return UnansweredCreate(
        request.symbol, request.side, placement.key, placement, is_earlier=True, left_at=float("-inf")
    )
