"""
Settling what is not known: probing until there is an order, a certificate of absence, or a visible giving up.

A certificate needs the settle horizon to have passed since nothing of the attempt could leave any more; three negative
rounds, apart by a quarter of it at the least, the last begun after that; and nothing that speaks for the order's
existence. Apart, as an order that fills leaves the open ones before its trade is shown. A wall clock may be set, forth
and back, so what has passed is told by the clock of the running kernel, and after a restart of that by the time that
this process has followed the attempt itself.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeVar, get_args

from orderbridge.errors import ConfigurationError, OrderNotFound, OutcomeUnknown
from orderbridge.gateway import OrderGateway, within
from orderbridge.http.session import log_facts
from orderbridge.model.basics import PlacementState
from orderbridge.model.order import Identity, Order
from orderbridge.model.placement import AlarmKind
from orderbridge.model.ref import OrderRef
from orderbridge.placement.ledger import LEASE_SECONDS, Ledger, kernel, log
from orderbridge.placement.observations import Observations
from orderbridge.placement.probe import PROBE_TIMEOUT, Round, glance, in_rounds, probe
from orderbridge.placement.states import IN_FLIGHT, WATCHED, Happened, Record
from orderbridge.screening import disagreements

T = TypeVar("T")
PROBE_TIMES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
SETTLE_HORIZON: Final = 120.0
EVERY: Final = 300.0
ROUNDS: Final = 3
# How often one placement is sent again, under `resend_if_absent`; after that it stays as it is proven to be.
RESENDS: Final = 3
# A placement that was made so long before its order may have waited to be sent; so many are looked through at first.
_MAY_HAVE_WAITED: Final = timedelta(days=1)
_FEW: Final = 500
_PROVEN: Final = "absent in"
# So that the probe for the certificate begins after the horizon, whatever the clock's grain.
_PAST: Final = 0.01
Uncertain = Literal["hold", "fence", "resend_if_absent"]
Ghost = Literal["alert", "cancel", "adopt"]
Stale = Literal["deny", "send"]


@dataclass(frozen=True)
class Probing:
    """
    The policies.

    Attributes:
        horizon: seconds after which an accepted order is certainly shown. `times`: seconds after the attempt.
        every: seconds between the probes after those.
        on_uncertain: `fence` cancels by client id at every probe; `resend_if_absent` sends again what is proven
            absent, under the same id. `on_ghost`: what to do with an order that appears after a verdict of absence.
        on_stale: what recovery does with what was prepared and never sent.
    """

    horizon: float = SETTLE_HORIZON
    times: Sequence[float] = PROBE_TIMES
    every: float = EVERY
    on_uncertain: Uncertain = "hold"
    on_ghost: Ghost = "alert"
    on_stale: Stale = "deny"

    def __post_init__(self) -> None:
        for name, kind in (("on_uncertain", Uncertain), ("on_ghost", Ghost), ("on_stale", Stale)):
            words, word = get_args(kind), getattr(self, name)
            if word not in words:
                raise ConfigurationError(f"{name} is one of {', '.join(words)}, not {word!r}")
        if not self.times or not all(math.isfinite(each) and each >= 0 for each in (self.horizon, *self.times)):
            raise ConfigurationError("settle_horizon and probe_times are seconds from 0 on, and there is a first probe")

    @property
    def apart(self) -> float:
        """Seconds after which one more negative round counts: seconds indeed, as no horizon is under an attempt's."""
        return self.horizon / 4

    def check(self, gateway: OrderGateway) -> None:
        """ConfigurationError: the horizon is over while an attempt of this gateway may still be under way."""
        longest = gateway.longest_attempt
        if self.horizon < longest:
            raise ConfigurationError(
                f"settle_horizon={self.horizon:g} is shorter than an attempt may take ({longest:g} s): an order that "
                "arrives after it would be called absent",
                gateway=gateway.name,
            )


@dataclass
class Tally:
    """
    The count of the rounds about one placement, in this process.

    Attributes:
        negative, negative_at: those of them that count, and the loop time at which the last was begun.
        late: those that were begun after the horizon. asked_again: they are made one after another just now.
        is_silent: nothing was heard in the last one, and nothing kept it from being heard.
        candidates: what was shown that it may be, where it has no client id.
    """

    negative: int = 0
    negative_at: float = -math.inf
    late: int = 0
    asked_again: bool = False
    is_silent: bool = False
    blocked_after_horizon: int = 0
    blocked: list[str] = field(default_factory=list)
    candidates: set[Identity] = field(default_factory=set)


class Timetable:
    """When the next probe of a placement is due."""

    def __init__(self, probing: Probing, *, clock: Callable[[], float]) -> None:
        self._probing = probing
        self._clock = clock

    def first(self, record: Record) -> int:
        """The number of the first probe to make; after a restart, as many of those missed as a proof needs."""
        missed = sum(self._sent(record) + after <= self._clock() for after in self._times(record))
        return max(0, missed - ROUNDS)

    def wait(self, record: Record, number: int, *, followed: float, late: int) -> float:
        """
        Seconds until a probe: by the times, as often after the horizon as a verdict needs, then every so often.

        Args:
            followed: for how many seconds this process has followed it; a restart begins anew.
            late: how many rounds that count were begun after the horizon. Whether it can be proven or must be given
                up is told by so many of them: whoever waits is not to wait for the slow beat.
        """
        times = self._times(record)
        soon = min(times[0], 1.0)
        if record.state is PlacementState.PREPARED:
            return soon
        if record.state is PlacementState.UNCERTAIN and number >= len(times) and late < ROUNDS:
            if not late:
                return max(0.0, self._probing.horizon - followed) + _PAST
            return min(max(self._probing.apart, soon), self._probing.every)
        if record.state in WATCHED or number >= len(times):
            # At the same moments for all, so that one round asks for many.
            return self._probing.every - self._clock() % self._probing.every
        # A clock that was set back must not silence it, and missed probes are not made all at one moment.
        due = min(self._sent(record) + times[number] - self._clock(), times[number] - followed)
        return min(due, self._probing.every) if due > 0 else soon

    def horizon(self, record: Record) -> datetime:
        """When an order of this placement that was accepted is certainly shown."""
        begin = record.not_after or record.sent_at or record.placement.created_at
        return begin + timedelta(seconds=self._probing.horizon)

    def _sent(self, record: Record) -> float:
        return (record.sent_at or record.placement.created_at).timestamp()

    def _times(self, record: Record) -> list[float]:
        past_horizon = self.horizon(record).timestamp() - self._sent(record) + _PAST
        return sorted({*self._probing.times, past_horizon})


def _is_of(record: Record, order: Order) -> bool:
    return record.placement.order is not None and record.placement.order.identity == order.identity


# After a failure of our own side, such as a journal that cannot be read.
_AFTER_FAILURE: Final = 3.0
Resend = Callable[[Record], Awaitable[object]]


class Resolver:
    """
    Follows up the unsettled placements of one gateway, each in a task of its own.

    Args:
        resend: sends a placement again, under its own id, once that is known to be safe.
    """

    def __init__(
        self, ledger: Ledger, observations: Observations, gateway: OrderGateway, probing: Probing, *, resend: Resend
    ) -> None:
        self._ledger = ledger
        self._observations = observations
        self._gateway = gateway
        self._probing = probing
        self._resend = resend
        self._timetable = Timetable(probing, clock=ledger.clock)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tallies: dict[str, Tally] = {}
        # Loop time since when a placement's last attempt is followed here, by its id: the attempt, and the time.
        self._since: dict[str, tuple[str | None, float]] = {}
        # Whoever wants a probe while one is under way shares the next: one round at a time asks for many.
        self._one_at_a_time = asyncio.Lock()
        self._next: dict[str, Record] = {}
        self._closed = False

    def start(self, record: Record) -> None:
        """Follow a placement up in the background, if nobody does yet."""
        known = self._tasks.get(record.id)
        if self._closed or not record.is_at(self._gateway) or (known is not None and not known.done()):
            return
        task = asyncio.ensure_future(self._follow(record.id))
        self._tasks[record.id] = task
        task.add_done_callback(lambda done: self._ended(record, done))

    async def resolve(self, record: Record, *, timeout: float | None) -> Record:
        """
        Wait until a placement is settled or given up, or the time ends; the record as it is then.

        ConfigurationError: it was made at another address or mode, where nobody asks from here.
        """
        if not (record.is_at(self._gateway) or self._is_settled(record)):
            raise record.elsewhere()
        self.start(record)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    change = self._ledger.change_of(record.id)
                    record = await self._ledger.journal.get(record.id) or record
                    if self._is_settled(record):
                        self._ledger.wake(record.id)
                        return record
                    await change.wait()
        except TimeoutError:
            return await self._ledger.journal.get(record.id) or record

    async def aclose(self) -> None:
        """Stop probing; what is not settled is taken up again by the next start."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, record: Record, task: asyncio.Task[None]) -> None:
        if self._tasks.get(record.id) is task:
            del self._tasks[record.id]
            self._tallies.pop(record.id, None)
            self._since.pop(record.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ledger.alarm(AlarmKind.BACKGROUND, f"probing ended: {type(error).__name__}: {error}", record=record)

    async def _follow(self, placement_id: str) -> None:
        number, attempt = 0, ""
        failing = False
        while True:
            try:
                record = await self._ledger.journal.get(placement_id)
                if record is None or not self._goes_on(record):
                    self._ledger.wake(placement_id)  # a sibling process may have settled it
                    return
                followed = self._followed_for(record)
                if attempt != (record.attempt or "none"):
                    number, attempt = self._timetable.first(record), record.attempt or "none"
                late = self._tallies.setdefault(placement_id, Tally()).late
                await asyncio.sleep(self._timetable.wait(record, number, followed=followed, late=late))
                number += await self._step(placement_id)
                failing = False
            except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; probing goes on
                if not failing:
                    message = f"a probe failed, and is tried again: {type(error).__name__}: {error}"
                    self._ledger.alarm(AlarmKind.BACKGROUND, message, gateway=self._gateway.name)
                failing = True
                await asyncio.sleep(_AFTER_FAILURE)

    async def _step(self, placement_id: str) -> int:
        """One probe, or the next attempt of what is to be sent again. 0 when somebody else has it: no probe."""
        record = await self._ledger.journal.get(placement_id)
        if record is None or not self._goes_on(record):
            return 1
        mine = await self._ledger.take(record)
        if mine is None:
            await asyncio.sleep(LEASE_SECONDS)
            return 0
        if mine.state is PlacementState.PREPARED:
            await self._resend(mine)
        elif self._goes_on(mine):
            await self._join(mine)
        return 1

    def _is_settled(self, record: Record) -> bool:
        return record.placement.gave_up or (record.state not in IN_FLIGHT and not self._is_to_be_resent(record))

    def _goes_on(self, record: Record) -> bool:
        if record.state in WATCHED:
            return record.watch_until is not None and self._ledger.now() < record.watch_until
        return record.state in IN_FLIGHT or self._is_to_be_resent(record)

    def _is_to_be_resent(self, record: Record) -> bool:
        may = self._probing.on_uncertain == "resend_if_absent" and record.placement.attempts > 0
        return may and record.resends > 0 and record.state is PlacementState.PREPARED

    def _followed_for(self, record: Record) -> float:
        """For how many seconds nothing of an attempt could leave any more, by a clock that nobody sets."""
        now = asyncio.get_running_loop().time()
        attempt, since = self._since.get(record.id, (None, now))
        if record.id not in self._since or attempt != record.attempt:
            # What another process sends may leave a while yet: as long as it gave itself, whatever the clock says now.
            since, latest = now, record.not_after
            given = timedelta() if latest is None else latest - (record.sent_at or latest)
            if latest is not None:
                since += max(0.0, min(given, latest - self._ledger.now()).total_seconds())
            if record.uptime is not None and record.kernel and record.kernel == kernel():
                # The processes before this one waited too: a job that lives shorter than the horizon gets its verdict.
                since = min(since, now - (time.monotonic() - record.uptime - given.total_seconds()))
            self._since[record.id] = (record.attempt, since)
        return now - since

    async def _join(self, record: Record) -> None:
        """One round about a placement, together with the others that wait for theirs."""
        self._next[record.id] = record
        async with self._one_at_a_time:
            if record.id not in self._next:
                return  # it was part of a round that began after it asked
            others = (each for each in self._next.values() if each.id != record.id)
            batch = next(in_rounds([record, *others], self._gateway.capabilities))
            for each in batch:
                del self._next[each.id]
            await self.round(batch)

    async def round(self, records: Sequence[Record]) -> None:
        """One round about placements that this process has, or can take over."""
        here = [record for record in records if record.is_at(self._gateway)]
        mine = [taken for record in here if (taken := await self._ledger.take(record)) is not None]
        # Before anything is read, as what is read is as of then.
        begun = asyncio.get_running_loop().time()
        past = {record.id: self._followed_for(record) >= self._probing.horizon for record in mine}
        if self._probing.on_uncertain == "fence":
            for record in mine:
                await self._fence(record)
        unsettled = [record for record in mine if record.state in IN_FLIGHT]
        watched = [record for record in mine if record.state in WATCHED]
        rounds = await self.ask(unsettled)
        rounds |= await glance(self._gateway, watched, known=self._is_known, timeout=PROBE_TIMEOUT)
        for record in [*unsettled, *watched]:
            await self._conclude(record, rounds[record.id], begun=begun, past=past[record.id])

    async def look_again(self, record: Record) -> None:
        """
        One round at once; of a placement that was given up as many as a verdict takes, while they are silent.

        Nothing while that is under way already.
        """
        tally = self._tallies.setdefault(record.id, Tally())
        if tally.asked_again:
            return
        tally.asked_again = True
        try:
            for left in reversed(range(ROUNDS if record.placement.gave_up else 1)):
                tally.is_silent = False
                await self.round([record])
                record = await self._ledger.journal.get(record.id) or record
                # A silent one that came too soon after another to count is followed by the next all the same.
                if not left or record.state is not PlacementState.UNCERTAIN or not tally.is_silent:
                    return
                await asyncio.sleep(self._probing.apart)
        finally:
            tally.asked_again = False

    async def ask(self, records: Sequence[Record]) -> dict[str, Round]:
        """One round of reads about placements; what it means is for the caller."""
        return await probe(self._gateway, records, known=self._is_known, timeout=PROBE_TIMEOUT)

    async def _is_known(self, record: Record, shown: Order) -> bool:
        """True if an order that is shown without a placement's client id is another's already."""
        if record.placement.client_order_id is not None:
            known = await self._ledger.last_known(shown.identity)
            return known is not None and known.client_order_id is not None
        return await self.placed_as(shown) is not None

    async def placed_as(self, order: Order) -> Record | None:
        """The placement that became an order; None where the journal knows of none."""
        find, gateway, own = self._ledger.journal.find, self._gateway.name, order.client_order_id
        placed = [] if own is None else await find(gateway=gateway, client_order_id=own)
        known = next((each for each in placed if _is_of(each, order)), None)
        for limit in (_FEW, None) if known is None else ():
            placed = await find(gateway=gateway, states=[PlacementState.PLACED], limit=limit, newest_first=True)
            known = next((each for each in placed if _is_of(each, order)), None)
            first = placed[-1].placement.created_at if len(placed) == limit else None
            if known is not None or first is None or (order.created_at or first) > first + _MAY_HAVE_WAITED:
                break
        return known

    def candidates(self, placement_id: str) -> set[Identity]:
        """The orders that it may have become, by the last round in which there were any; a person tells which."""
        tally = self._tallies.get(placement_id)
        return set() if tally is None else tally.candidates

    async def _conclude(self, record: Record, said: Round, *, begun: float, past: bool) -> None:
        tally = self._tallies.setdefault(record.id, Tally())
        tally.is_silent = said.is_negative
        if said.is_negative:
            if begun < tally.negative_at + self._probing.apart:
                return
            tally.negative_at = begun
        tally.late += past
        if said.orders:
            after = await self._observations.sighted(record, said.orders, source=said.source)
            if after.state is PlacementState.UNCERTAIN:  # what is shown does not fit
                tally.blocked_after_horizon += past
                if tally.blocked_after_horizon >= ROUNDS:
                    await self._give_up(after, tally)
            return
        if record.state is not PlacementState.UNCERTAIN:
            await self._tell_of_late(record, said, tally)
            return
        if said.exists and not record.exists:
            record = await self._ledger.note(record, Happened.EXISTS, facts={"source": "trades"}, exists=True)
        if said.is_negative:
            tally.negative += 1
        else:
            tally.blocked = said.doubts
            tally.candidates = set(said.candidates) or tally.candidates
            tally.blocked_after_horizon += past
        provable = not (record.exists or record.conflicts)
        if provable and said.is_negative and past and tally.negative >= ROUNDS:
            await self._certify(record, tally)
        elif past and (tally.blocked_after_horizon >= ROUNDS or (not provable and tally.negative >= ROUNDS)):
            await self._give_up(record, tally)

    async def _tell_of_late(self, record: Record, said: Round, tally: Tally) -> None:
        """Alarm, once, of an order that fits one without a client id and appeared after that was proven absent."""
        if not (said.candidates and any(each.startswith(_PROVEN) for each in record.placement.evidence)):
            return  # where it was no proof, a person knew of what there was
        flying = await self._ledger.journal.find(gateway=self._gateway.name, states=IN_FLIGHT)
        if any(each.placement.client_order_id is None for each in flying):
            return  # whose it is may be told in a moment, and this is asked again
        for identity, order in said.candidates.items():
            fits = not disagreements(record.placement.request, order, since=None)
            if fits and identity not in tally.candidates and not await self._is_known(record, order):
                tally.candidates.add(identity)
                why = f"{order.order_id} appeared after this was proven absent, and may be it: it fits"
                self._ledger.alarm(AlarmKind.GHOST, why, record=record, order=order)

    async def _certify(self, record: Record, tally: Tally) -> None:
        lacking = self._gateway.unreadable
        weaker = f", without the {' and the '.join(lacking)}, which this server does not serve" if lacking else ""
        proof = f"{_PROVEN} {tally.negative} complete rounds{weaker}"
        facts = {"rounds": tally.negative, "horizon": self._timetable.horizon(record), "owner": self._ledger.owner}
        is_unique = self._gateway.capabilities.ids_are_unique
        again = is_unique and self._probing.on_uncertain == "resend_if_absent" and record.resends < RESENDS
        after = await self._ledger.note(
            record,
            # Prepared again, by proof; whoever follows it sends it, at its next turn.
            Happened.RESEND if again else Happened.ABSENT,
            facts={"why": proof} if again else facts,
            evidence=proof,
            fenced=True,
            when=[PlacementState.UNCERTAIN],
            placement={"gave_up": False},
            resends=record.resends + again,
            # Should a second attempt come to nothing, an order of the first is looked for as after any such verdict.
            watch_until=self._ledger.watch_until(),
        )
        # Also one that was shown before it is news now, as it was not while this was proven.
        self._tallies.pop(record.id, None)
        if after.state is PlacementState.NOT_PLACED:
            extra = log_facts(self._gateway.name, "place", client_order_id=after.placement.client_order_id)
            log.warning("the order was not placed: not live, and nothing filled", extra=extra)

    async def _give_up(self, record: Record, tally: Tally) -> None:
        if record.placement.gave_up:
            return
        why = "the venue says that it exists" if record.exists else "; ".join([*record.conflicts, *tally.blocked])
        after = await self._ledger.note(
            record,
            Happened.GAVE_UP,
            facts={"why": why},
            fenced=True,
            when=[PlacementState.UNCERTAIN],
            placement={"gave_up": True},
        )
        if after.placement.gave_up:
            self._ledger.alarm(AlarmKind.GAVE_UP, f"its outcome cannot be proven: {why}", record=after)

    async def _fence(self, record: Record) -> None:
        """Cancel by client id. Whatever comes of it is found by the reads that follow."""
        placement = record.placement
        if record.state is not PlacementState.UNCERTAIN or placement.client_order_id is None:
            return
        ref = OrderRef(gateway=placement.gateway, client_order_id=placement.client_order_id)
        try:
            order = await within(self._gateway.cancel(ref, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
            await self._observations.observe([order], source="fence")
        except (OrderNotFound, OutcomeUnknown):
            return  # nothing to cancel yet, or not known: the next probe fences again
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; the reads still follow
            extra = log_facts(self._gateway.name, "fence", client_order_id=placement.client_order_id)
            log.warning("the fence failed, and is tried again at the next probe: %s", error, extra=extra)

    async def haunt(self, record: Record) -> None:
        """A ghost of this gateway appeared: cancel it, if that is the policy."""
        if self._probing.on_ghost != "cancel":
            return
        order = record.placement.order
        if record.state is not PlacementState.PLACED or order is None or order.is_done:
            return
        try:
            shown = await within(self._gateway.cancel(order, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
            await self._observations.observe([shown], source="cancel")
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything, and a ghost is live
            self._ledger.alarm(AlarmKind.GHOST, f"and could not be cancelled: {error}", record=record, order=order)
