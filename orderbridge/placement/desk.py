"""What placer, resolver and recovery share: the journal, the time, who we are, and whom to alarm."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orderbridge.errors import JournalError
from orderbridge.http.session import log_facts
from orderbridge.model.alarm import Alarm, AlarmKind
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.words import PlacementState
from orderbridge.placement.fingerprint import disagreements
from orderbridge.placement.journal import Journal
from orderbridge.placement.states import IN_FLIGHT, Happened, Record, Step, step

log: Final = logging.getLogger("orderbridge.placement")
LEASE_SECONDS: Final = 10.0
_WATCHED: Final = (*IN_FLIGHT, PlacementState.NOT_PLACED)


def owner_name() -> str:
    """A name for this process's work on placements: host, process, and a word of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Desk:
    """
    Writes down what happens to placements, and takes in what is seen of orders.

    Args:
        clock: epoch seconds. `watch_for`: seconds for which an id is watched after a verdict of absence.
        on_alarm: told of what a person should look at; without it such things are logged as errors.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock: Callable[[], float],
        watch_for: float,
        on_alarm: Callable[[Alarm], object] | None = None,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.owner = owner_name()
        self.watch_for = watch_for
        self._on_alarm = on_alarm
        # Client ids whose placements are not settled for good, so that a sighting finds its placement at once.
        self._watched: dict[tuple[str, str], str] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def is_waiting(self) -> bool:
        """Whether a sighting could settle a placement."""
        return bool(self._watched)

    def watch(self, record: Record) -> None:
        """Have sightings of a placement's client id settle it, for as long as it is not settled for good."""
        key = (record.placement.gateway, record.placement.client_order_id or "")
        if record.state in _WATCHED:
            self._watched[key] = record.id
        else:
            self._watched.pop(key, None)

    async def note(
        self,
        record: Record,
        happened: Happened,
        *,
        facts: Mapping[str, object] | None = None,
        evidence: str | None = None,
        fenced: bool = False,
        when: Sequence[PlacementState] | None = None,
        alone: bool = False,
        placement: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Record:
        """
        Write down what happened to a placement, and return it as it is now, whoever changed it.

        Args:
            fenced: only if nobody took the placement over since `record` was read.
            when: only in these states; elsewhere nothing is written.
        """

        def change(current: Record) -> Step | None:
            if (fenced and current.fence != record.fence) or (when is not None and current.state not in when):
                return None
            told = dict(placement or {})
            if evidence is not None:
                told["evidence"] = tuple(dict.fromkeys([*current.placement.evidence, evidence]))
            return step(current, happened, at=self.now(), facts=facts, placement=told, **changes)

        after = await self.journal.change(record.id, change, alone=alone)
        self.watch(after)
        self.wake(record.id)
        return after

    def change_of(self, placement_id: str) -> asyncio.Future[None]:
        """Done once something happens to a placement; ask before reading it, and cancel when it is not waited for."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(placement_id, []).append(future)
        future.add_done_callback(lambda done: self._no_longer_waits(placement_id, done))
        return future

    def _no_longer_waits(self, placement_id: str, future: asyncio.Future[None]) -> None:
        left = [other for other in self._waiting.get(placement_id, ()) if other is not future]
        if left:
            self._waiting[placement_id] = left
        else:
            self._waiting.pop(placement_id, None)

    def wake(self, placement_id: str) -> None:
        """Have those who wait for a placement look at it again."""
        for future in list(self._waiting.get(placement_id, ())):
            if not future.done():
                future.set_result(None)

    async def observe(self, orders: Iterable[Order], *, source: str) -> list[Order]:
        """Store what was seen of orders, and let it settle the placements that wait for it."""
        known = await self.journal.observe(list(orders))
        for order in known:
            waiting = self._watched.get((order.gateway, order.client_order_id or ""))
            record = None if waiting is None else await self.journal.get(waiting)
            if record is not None:
                await self.sighted(record, [order], source=source)
        return known

    async def sighted(self, record: Record, orders: Sequence[Order], *, source: str) -> Record:
        """Orders were seen under a placement's id: rows 9, 10 and 14 of the table."""
        request, since = record.placement.request, record.placement.created_at
        fitting = [order for order in orders if not disagreements(request, order, since=since)]
        if len(fitting) != 1:
            return await self._conflict(record, orders, several=len(fitting) > 1, source=source)
        (order,) = fitting
        (order,) = await self.journal.observe([order])
        if record.state is PlacementState.PLACED:
            return await self._seen_again(record, order)
        after = await self.note(
            record,
            Happened.FOUND,
            facts={"order_id": order.order_id, "source": source, "status": order.status},
            evidence=source,
            when=_WATCHED,
            placement={"order": order, "gave_up": False},
            watch_until=None,
        )
        if record.state is PlacementState.NOT_PLACED and after.state is PlacementState.PLACED:
            self.alarm(AlarmKind.GHOST, "an order appeared after it was proven absent", record=after, order=order)
        return after

    async def _seen_again(self, record: Record, order: Order) -> Record:
        known = record.placement.order
        if known is not None and known.order_id != order.order_id:
            self.alarm(AlarmKind.DOUBLE, f"a second order beside {known.order_id}", record=record, order=order)
        return record

    async def _conflict(self, record: Record, orders: Sequence[Order], *, several: bool, source: str) -> Record:
        request, since = record.placement.request, record.placement.created_at
        if several:
            why = "several orders answer to it: " + ", ".join(order.order_id for order in orders)
        else:
            order = orders[0]
            why = f"{order.order_id}: " + "; ".join(disagreements(request, order, since=since))
        if why in record.conflicts:
            return record
        after = await self.note(
            record,
            Happened.CONFLICT,
            facts={"source": source, "why": why},
            conflicts=(*record.conflicts, why),
        )
        kind = AlarmKind.DOUBLE if several else AlarmKind.CONFLICT
        self.alarm(kind, f"what is shown under its id does not fit: {why}", record=after, order=orders[0])
        return after

    async def placement(self, record: Record) -> Placement:
        """The placement as its callers see it: with its order as last known."""
        order = record.placement.order
        if order is None:
            return record.placement
        known = await self.journal.orders(gateway=order.gateway, order_id=order.order_id)
        return record.placement.model_copy(update={"order": known[0] if known else order})

    async def take(self, record: Record) -> Record | None:
        """Take over a placement whose owner is gone; None while that lives, or when another took it."""
        if record.owner == self.owner:
            return record
        if record.owner is not None and await self._lives(record.owner):
            return None
        after = await self.note(
            record, Happened.TAKEN, facts={"from": record.owner}, fenced=True, owner=self.owner, fence=record.fence + 1
        )
        if after.owner != self.owner:
            return None
        # Whoever was sending is gone: what left, nobody knows (row 7).
        return await self.note(
            after, Happened.UNCLEAR, facts={"why": "its process ended"}, when=[PlacementState.SENDING]
        )

    async def is_worked_on(self, record: Record) -> bool:
        """Whether the process that a placement belongs to is alive, this one included."""
        return record.owner is not None and (record.owner == self.owner or await self._lives(record.owner))

    async def _lives(self, owner: str) -> bool:
        host, process, _ = owner.rsplit(":", 2)
        if host == socket.gethostname() and not _runs(int(process)):
            return False
        return await self.journal.alive_until(owner) > self.clock()

    async def keep_alive(self) -> None:
        """Say that this process lives, for another lease."""
        await self.journal.keep_alive(self.owner, until=self.clock() + LEASE_SECONDS)

    def watch_until(self) -> datetime:
        """Until when an id is watched from now on."""
        return self.now() + timedelta(seconds=self.watch_for)

    def alarm(
        self,
        kind: AlarmKind,
        message: str,
        *,
        record: Record | None = None,
        order: Order | None = None,
        gateway: str | None = None,
    ) -> None:
        """Tell a person. A handler that fails is logged: it must not stop the bookkeeping."""
        placement = record.placement if record else None
        gateway = placement.gateway if placement else gateway
        alarm = Alarm(kind=kind, message=message, gateway=gateway, placement=placement, order=order, at=self.now())
        client_order_id = placement.client_order_id if placement else None
        extra = log_facts(gateway or "", "place", client_order_id=client_order_id)
        if self._on_alarm is None:
            log.error("%s: %s (%s)", kind, message, client_order_id, extra=extra)
            return
        try:
            self._on_alarm(alarm)
        except Exception:
            log.exception("the handler of alarms failed at: %s: %s", kind, message, extra=extra)

    async def outcome(self, record: Record, happened: Happened, **how: Any) -> Record:
        """`note`, for what cannot be undone: when it cannot be stored, it is alarmed and known in memory only."""
        try:
            return await self.note(record, happened, **how)
        except JournalError as error:
            self.alarm(AlarmKind.JOURNAL, f"{happened} could not be stored: {error}", record=record)
            told, placement = dict(how), dict(how.get("placement") or {})
            for name in ("facts", "evidence", "fenced", "when", "alone", "placement"):
                told.pop(name, None)
            return step(record, happened, at=self.now(), placement=placement, **told).record


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
