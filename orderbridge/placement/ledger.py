"""
Writing down what happens to placements: the journal, the time, who we are, and whom to alarm.

Who works on a placement holds a lease under a name by which another process can tell that it is gone.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from orderbridge.http.session import log_facts, own_logger
from orderbridge.model.basics import PlacementState, altered
from orderbridge.model.order import Identity, Order
from orderbridge.model.placement import Alarm, AlarmKind, Placement
from orderbridge.placement.journal import Journal
from orderbridge.placement.states import Happened, Record, Transition, step

_PROC: Final = Path("/proc")
_SEPARATOR: Final = ":"


def owner_name() -> str:
    """
    A name for one bridge's work on placements: where it runs, its process, and a word of its own.

    A process is told by the running kernel and the numbering of processes in it, its number, and when it was started,
    in the kernel's ticks: a number that was given out again is another process. A container may give every one of its
    lives the same host name and number.
    """
    number = os.getpid()
    return _SEPARATOR.join([_namespace("pid", number), str(number), _started(number) or "", secrets.token_hex(4)])


def is_gone(owner: str) -> bool:
    """True if the process of an owner has certainly ended. False also means: it cannot be told from here."""
    parts = owner.split(_SEPARATOR)
    if len(parts) != 4 or not all(parts) or parts[0] != _namespace("pid", os.getpid()):
        return False
    _, number, started, _ = parts
    return number.isascii() and number.isdigit() and _started(number) != started


def kernel() -> str:
    """The running kernel whose `time.monotonic` counts here; empty where that cannot be told."""
    return _namespace("time", os.getpid())


@lru_cache
def _namespace(kind: str, process: int) -> str:
    """The running kernel, and a namespace in it, of this process; empty where either cannot be told."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}@{os.readlink(_PROC / 'self/ns' / kind).strip(f'{kind}:[]')}"
    except OSError:
        return ""


def _started(number: int | str) -> str | None:
    try:
        stat = (_PROC / str(number) / "stat").read_text()
    except OSError:
        return None
    # The name of the program is in brackets and may hold anything; what follows is in columns. 22 is the start.
    after_name = stat.rpartition(")")[2].split()
    return None if after_name[0] in {"Z", "X"} else after_name[19]


T = TypeVar("T")
log: Final = own_logger("orderbridge.placement")
LEASE_SECONDS: Final = 10.0
_LONGER: Final = 60.0
_MOST_KNOWN: Final = 50_000
_MOST_OWNERS: Final = 1_000


class _Unwritten(NamedTuple):
    """Events of a placement that could not be stored yet."""

    record: Record
    happened: Happened
    how: dict[str, Any]
    after: Record


class Ledger:
    """
    Writes down what happens to placements.

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
        journal.on_unreadable = lambda why: self.alarm(AlarmKind.JOURNAL, why)
        self.clock = clock
        self._owner = (0, "")
        self.watch_for = watch_for
        # The placements that a task of this process is sending at this moment.
        self.under_way: Counter[str] = Counter()
        self._on_alarm = on_alarm
        self._telling: set[asyncio.Task[None]] = set()
        # What happened and is known in memory only.
        self.unwritten: list[_Unwritten] = []
        # Owners whose lease is longer than any that is given, each with the loop time when that was first read.
        self._too_long: dict[str, float] = {}
        # An order of the journal with what calls have shown of it since, and is not stored yet.
        self.over: Callable[[Order], Order] = lambda order: order
        # Waits, not for ever, until that is stored; says whether there was anything to wait for.
        self.catch_up: Callable[[], Awaitable[bool]] | None = None
        # Of placements that somebody waits for. Each of them is followed until it is settled, which takes it off.
        self._changes: dict[str, asyncio.Event] = {}

    @property
    def owner(self) -> str:
        """Our name; another one after a fork, which makes another process."""
        if self._owner[0] != os.getpid():
            self._owner = (os.getpid(), owner_name())
        return self._owner[1]

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self.clock(), UTC)

    async def note(
        self,
        record: Record,
        happened: Happened,
        *,
        of: str | None = None,
        facts: Mapping[str, object] | None = None,
        evidence: str | None = None,
        fenced: bool = False,
        when: Sequence[PlacementState] | None = None,
        alone: bool = False,
        placement: Mapping[str, Any] | None = None,
        shown: Order | None = None,
        **changes: Any,
    ) -> Record:
        """
        Write down what happened to a placement, and return it as it is now, whoever changed it.

        Args:
            of: as for `states.step`. `fenced`: only if nobody took the placement over since `record` was read.
            when: only in these states; elsewhere nothing is written.
            shown: its order, stored too, with what was seen of it before.
        """
        name, at = record.placement.placement_id, self.now()

        def change(current: Record, known: Order | None = None) -> Transition | None:
            if (fenced and current.fence != record.fence) or (when is not None and current.placement.state not in when):
                return None
            told = dict(placement or {}) | ({} if known is None else {"order": known})
            if evidence is not None:
                # What is known of its caller may change back: the last word counts.
                told["evidence"] = (*(each for each in current.placement.evidence if each != evidence), evidence)
            return step(current, happened, at=at, of=of, facts=facts, placement=told, **changes)

        if shown is None:
            after = await self.journal.change(name, change, alone=alone)
        else:
            after = await self.journal.change_seeing(name, shown, change)
        self.wake(name)
        return after

    async def outcome(self, record: Record, happened: Happened, **how: Any) -> Record:
        """
        `note`, for what happened and cannot be undone.

        When it cannot be stored it is alarmed, known in memory only, and tried again by `write_again`.
        """
        try:
            return await self.note(record, happened, **how)
        except Exception as error:  # noqa: BLE001 - a journal may be anybody's, and what happened is not undone by it
            if isinstance(error, ValueError) and how.get("shown") is not None:
                # It is not the journal that failed. That it was placed must stand there, whatever else cannot.
                self.alarm(AlarmKind.JOURNAL, f"its order cannot be stored: {error}", record=record)
                return await self.outcome(record, happened, **{**how, "shown": None})
            message = f"{happened} could not be stored, and is tried again: {error}"
            self.alarm(AlarmKind.JOURNAL, message, record=record)
            told, placement = dict(how), dict(how.get("placement") or {})
            if (shown := told.pop("shown", None)) is not None:
                placement["order"] = shown
            for name in ("facts", "evidence", "fenced", "when", "alone", "placement"):
                told.pop(name, None)
            after = step(record, happened, at=self.now(), placement=placement, **told).record
            self.unwritten.append(_Unwritten(record, happened, how, after))
            return after

    def _is_unwritten(self, record: Record) -> bool:
        """True if something that happened to a placement is known in memory only."""
        return any(each.record.id == record.id for each in self.unwritten)

    async def write_again(self) -> None:
        """
        Store what could not be stored: in order what is of one placement, and no placement waits for another's.

        Raises:
            The first error there was. What still cannot be stored is kept.
        """
        failed: dict[str, Exception] = {}
        for each in list(self.unwritten):
            if each.record.id in failed:
                continue
            try:
                await self.note(each.record, each.happened, **each.how)
            except KeyError:  # somebody took it out of the journal: there is nothing to add it to
                message = f"{each.happened} belongs to a placement that the journal does not know any more"
                self.alarm(AlarmKind.JOURNAL, message, record=each.record)
            except Exception as error:  # noqa: BLE001 - a journal may be anybody's, and the others are tried too
                failed[each.record.id] = error
                continue
            # Another call may have stored it meanwhile: it is taken from the list by what it is, not by its place.
            self.unwritten = [other for other in self.unwritten if other is not each]
        for first in failed.values():
            raise first

    def is_over(self, placement_id: str) -> None:
        """A task that was sending a placement ended."""
        self.under_way[placement_id] -= 1
        if self.under_way[placement_id] <= 0:
            del self.under_way[placement_id]

    def change_of(self, placement_id: str) -> asyncio.Event:
        """Set once something happens to a placement; ask for it before reading that, and whoever waits shares it."""
        return self._changes.setdefault(placement_id, asyncio.Event())

    def wake(self, placement_id: str) -> None:
        """Have those who wait for a placement look at it again."""
        if (change := self._changes.pop(placement_id, None)) is not None:
            change.set()

    async def up_to_date(self, record: Record) -> Record:
        """A record as it is by what calls have returned by now, as far as that can be stored."""
        if self.catch_up is not None and await self.catch_up():
            record = await self.journal.get(record.id) or record
        return self.as_it_happened(record)

    def as_it_happened(self, record: Record) -> Record:
        """A record of the journal with what happened to it since and could not be stored."""
        for each in self.unwritten:
            if each.record.id != record.id:
                continue
            is_next = (each.record.state, each.record.attempt) == (record.state, record.attempt)
            lacks_order = record.state is each.after.state and record.placement.order is None
            if is_next or lacks_order:
                record = each.after
        return record

    def placement(self, record: Record) -> Placement:
        """The placement as its callers see it: with what happened since, and could not be stored or is not yet."""
        placement = self.as_it_happened(record).placement
        order = placement.order
        return placement if order is None else altered(placement, {"order": self.over(order)})

    async def last_known(self, identity: Identity) -> Order | None:
        """An order as the journal knows it."""
        known = await self.journal.orders(gateway=identity[0], order_id=identity[1])
        return next((each for each in known if each.identity == identity), None)

    async def take(self, record: Record) -> Record | None:
        """
        Take over a placement whose owner is gone; None while that lives, or when another took it.

        One that was being sent by somebody who is gone, or by a task of ours that ended without a word, is
        uncertain from then on: what left, nobody knows (row 7). One of which we know more than could be stored is not
        taken before that is: what is concluded from what is stored would be wrong.
        """
        if self._is_unwritten(record):
            try:
                await self.write_again()
            except Exception as error:  # noqa: BLE001 - it was alarmed, and is tried again all the time
                log.debug("what happened could not be stored yet: %s", error)
            if self._is_unwritten(record):
                return None
            record = await self.journal.get(record.id) or record
        if record.owner != self.owner:
            if record.owner is not None and await self._lives(record):
                return None
            facts = {"from": record.owner}
            fence = record.fence + 1
            record = await self.note(record, Happened.TAKEN, facts=facts, fenced=True, owner=self.owner, fence=fence)
            if record.owner != self.owner:
                return None
        if record.state is not PlacementState.SENDING or record.id in self.under_way:
            return record
        why = {"why": "whoever was sending it ended"}
        return await self.note(record, Happened.UNCLEAR, facts=why, fenced=True, when=[PlacementState.SENDING])

    async def is_worked_on(self, record: Record) -> bool:
        """True if the process that a placement belongs to is alive, this one included."""
        return record.owner is not None and (record.owner == self.owner or await self._lives(record))

    async def _lives(self, record: Record) -> bool:
        owner = record.owner or ""
        if is_gone(owner):
            return False
        # What is in flight is only asked about, which harms nobody. What is prepared is denied or sent: an owner
        # that was merely held up, by a slow disk or a busy loop, is given longer.
        grace = _LONGER if record.state is PlacementState.PREPARED else 0.0
        if not await self.journal.lives(owner, grace):
            return False
        if not await self.journal.lives(owner, -LEASE_SECONDS):
            self._too_long.pop(owner, None)
            return True
        # Whoever lives says so again and again: a lease by a clock that was set back must not last until it is there.
        now = asyncio.get_running_loop().time()
        since = self._too_long.setdefault(owner, now)
        if len(self._too_long) > _MOST_OWNERS:  # the one that said nothing for longest
            del self._too_long[next(iter(self._too_long))]
        return now - since <= LEASE_SECONDS + grace

    async def keep_alive(self, *, seconds: float = LEASE_SECONDS) -> None:
        """Say that this process lives, for another lease; 0 gives it back."""
        # One that was given back is over for everybody, at once; one that ran out may be that of a process held up.
        await self.journal.keep_alive(self.owner, seconds)

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
            told = self._on_alarm(alarm)
            if inspect.isawaitable(told):
                self._telling.add(task := asyncio.ensure_future(_await(told, f"{kind}: {message}")))
                task.add_done_callback(self._telling.discard)
        except Exception:
            log.exception("the handler of alarms failed at: %s: %s", kind, message, extra=extra)


def note_known(known: set[T], item: T) -> None:
    """Add what need not be looked up or told again; of too many all are forgotten, and looked up or told anew."""
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known.add(item)


async def _await(told: Awaitable[object], what: str) -> None:
    try:
        await told
    except Exception:
        log.exception("the handler of alarms failed at: %s", what)
