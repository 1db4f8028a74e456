"""
Settling what is not known: probing until there is an order, a certificate of absence, or a visible giving up.

A certificate needs the settle horizon to have passed since nothing of the attempt could leave any more, three
negative rounds, the last begun after the horizon, and nothing that speaks for the order's existence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from orderbridge.errors import JournalError, NotSupported, OrderBridgeError, OrderNotFound, OutcomeUnknown
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import log_facts
from orderbridge.model.alarm import AlarmKind
from orderbridge.model.ref import OrderRef
from orderbridge.model.words import Idempotency, PlacementState
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.probe import Round, probe
from orderbridge.placement.states import IN_FLIGHT, Happened, Record

PROBE_TIMES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)
SETTLE_HORIZON: Final = 120.0
EVERY: Final = 300.0
ROUNDS: Final = 3
# Asked for in one round, where the venue does not say how many ids it takes at once.
TOGETHER: Final = 50
_PROBE_TIMEOUT: Final = 15.0
Uncertain = Literal["hold", "fence"]
Ghost = Literal["alert", "cancel", "adopt"]


@dataclass(frozen=True)
class Probing:
    """
    When and how placements are followed up.

    Attributes:
        horizon: seconds after which an accepted order is certainly shown. `times`: seconds after the attempt.
        every: seconds between the probes after those.
        on_uncertain: `fence` cancels by client id at every probe. `on_ghost`: what to do with an order that
            appears after its placement was proven absent.
    """

    horizon: float = SETTLE_HORIZON
    times: Sequence[float] = PROBE_TIMES
    every: float = EVERY
    on_uncertain: Uncertain = "hold"
    on_ghost: Ghost = "alert"


@dataclass
class _Tally:
    """What the rounds about one placement came to, in this process."""

    negative: int = 0
    blocked_after_horizon: int = 0
    blocked: list[str] = field(default_factory=list)


class Resolver:
    """Follows up the unsettled placements of one gateway, each in a task of its own."""

    def __init__(self, desk: Desk, gateway: OrderGateway, probing: Probing) -> None:
        self._desk = desk
        self._gateway = gateway
        self._probing = probing
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tallies: dict[str, _Tally] = {}
        # Whoever wants a probe while one is under way shares the next: one round at a time asks for many.
        self._one_at_a_time = asyncio.Lock()
        self._next: dict[str, Record] = {}

    def check_policy(self) -> None:
        """NotSupported: unsettled placements are to be fenced, and this venue cannot cancel by client id."""
        idempotency = self._gateway.capabilities.idempotency
        if self._probing.on_uncertain == "fence" and idempotency in {Idempotency.TAG_ONLY, Idempotency.NONE}:
            raise NotSupported(
                "it cannot cancel by client order id: use on_uncertain='hold'",
                gateway=self._gateway.name,
                operation="place",
            )

    def start(self, record: Record) -> None:
        """Follow a placement up in the background, if nobody does yet."""
        self._desk.watch(record)
        if record.id not in self._tasks:
            task = asyncio.ensure_future(self._follow(record.id))
            self._tasks[record.id] = task
            task.add_done_callback(lambda done: self._ended(record, done))

    async def resolve(self, record: Record, *, timeout: float | None) -> Record:
        """Wait until a placement is settled or given up, or the time ends; the record as it is then."""
        self.start(record)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    change = self._desk.change_of(record.id)
                    try:
                        record = await self._desk.journal.get(record.id) or record
                        if record.state not in IN_FLIGHT or record.placement.gave_up:
                            return record
                        await change
                    finally:
                        change.cancel()
        except TimeoutError:
            return await self._desk.journal.get(record.id) or record

    async def aclose(self) -> None:
        """Stop probing; what is not settled is taken up again by the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, record: Record, task: asyncio.Task[None]) -> None:
        self._tasks.pop(record.id, None)
        self._tallies.pop(record.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._desk.alarm(AlarmKind.BACKGROUND, f"probing ended: {type(error).__name__}: {error}", record=record)

    async def _follow(self, placement_id: str) -> None:
        began, number = self._desk.now(), 0
        while (record := await self._desk.journal.get(placement_id)) is not None:
            if not self._goes_on(record):
                self._desk.wake(placement_id)  # a sibling process may have settled it
                return
            await asyncio.sleep(self._wait(record, number, began))
            number += 1
            try:
                record = await self._desk.journal.get(placement_id) or record
                if self._goes_on(record):
                    await self._join(record)
            except JournalError as error:
                self._desk.alarm(AlarmKind.JOURNAL, f"a probe could not be stored: {error}", record=record)
            except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; probing goes on
                message = f"a probe failed: {type(error).__name__}: {error}"
                self._desk.alarm(AlarmKind.BACKGROUND, message, record=record)

    def _goes_on(self, record: Record) -> bool:
        if record.state is PlacementState.NOT_PLACED:
            return record.watch_until is not None and self._desk.now() < record.watch_until
        return record.state in IN_FLIGHT

    def _wait(self, record: Record, number: int, began: datetime) -> float:
        """Seconds until the next probe: by the times, once more right after the horizon, then every so often."""
        sent = (record.sent_at or began).timestamp()
        times = sorted({*self._probing.times, self._horizon(record).timestamp() - sent + 0.01})
        if record.state is PlacementState.NOT_PLACED or number >= len(times):
            return self._probing.every
        return max(0.0, sent + times[number] - self._desk.clock())

    def _horizon(self, record: Record) -> datetime:
        begin = record.not_after or record.sent_at or record.placement.created_at
        return begin + timedelta(seconds=self._probing.horizon)

    async def _join(self, record: Record) -> None:
        """One round about a placement, together with the others that wait for theirs."""
        self._next[record.id] = record
        async with self._one_at_a_time:
            if record.id not in self._next:
                return  # it was part of a round that began after it asked
            batch = list(self._next.values())[: self._gateway.capabilities.lookup_batch or TOGETHER]
            if record not in batch:
                batch[-1] = record
            for each in batch:
                del self._next[each.id]
            await self.round(batch)

    async def round(self, records: Sequence[Record]) -> None:
        """One round about placements that this process has, or can take over."""
        began = self._desk.now()
        mine = [taken for record in records if (taken := await self._desk.take(record)) is not None]
        if self._probing.on_uncertain == "fence":
            for record in mine:
                await self._fence(record)
        rounds = await probe(self._gateway, mine, timeout=_PROBE_TIMEOUT)
        for record in mine:
            await self._conclude(record, rounds[record.id], began=began)

    async def _conclude(self, record: Record, said: Round, *, began: datetime) -> None:
        desk, tally = self._desk, self._tallies.setdefault(record.id, _Tally())
        past = began >= self._horizon(record)
        if said.orders:
            after = await desk.sighted(record, said.orders, source=said.source)
            if record.state is PlacementState.NOT_PLACED and self._probing.on_ghost == "cancel":
                await self._cancel_ghost(after)
            if after.state is PlacementState.UNCERTAIN:  # what is shown does not fit
                tally.blocked_after_horizon += past
                if tally.blocked_after_horizon >= ROUNDS:
                    await self._give_up(after, tally)
            return
        if record.state is not PlacementState.UNCERTAIN:
            return
        if said.exists and not record.exists:
            record = await desk.note(record, Happened.EXISTS, facts={"source": "trades"}, exists=True)
        if said.is_negative:
            tally.negative += 1
        else:
            tally.blocked = said.blocked
            tally.blocked_after_horizon += past
        provable = not (record.exists or record.conflicts)
        if provable and said.is_negative and past and tally.negative >= ROUNDS:
            await self._certify(record, tally)
        elif past and (tally.blocked_after_horizon >= ROUNDS or (not provable and tally.negative >= ROUNDS)):
            await self._give_up(record, tally)

    async def _certify(self, record: Record, tally: _Tally) -> None:
        facts = {"rounds": tally.negative, "horizon": self._horizon(record), "owner": self._desk.owner}
        after = await self._desk.note(
            record,
            Happened.ABSENT,
            facts=facts,
            evidence=f"absent in {tally.negative} complete rounds",
            fenced=True,
            when=[PlacementState.UNCERTAIN],
            placement={"gave_up": False},
            watch_until=self._desk.watch_until(),
        )
        if after.state is PlacementState.NOT_PLACED:
            extra = log_facts(self._gateway.name, "place", client_order_id=after.placement.client_order_id)
            log.warning("the order was not placed: not live, and nothing filled", extra=extra)

    async def _give_up(self, record: Record, tally: _Tally) -> None:
        if record.placement.gave_up:
            return
        why = "the venue says that it exists" if record.exists else "; ".join([*record.conflicts, *tally.blocked])
        after = await self._desk.note(
            record,
            Happened.GAVE_UP,
            facts={"why": why},
            fenced=True,
            when=[PlacementState.UNCERTAIN],
            placement={"gave_up": True},
        )
        if after.placement.gave_up:
            self._desk.alarm(AlarmKind.GAVE_UP, f"its outcome cannot be proven: {why}", record=after)

    async def _fence(self, record: Record) -> None:
        """Cancel by client id. Whatever comes of it is found by the reads that follow."""
        placement = record.placement
        if record.state is not PlacementState.UNCERTAIN or placement.client_order_id is None:
            return
        ref = OrderRef(gateway=placement.gateway, client_order_id=placement.client_order_id)
        try:
            order = await self._gateway.cancel(ref, timeout=_PROBE_TIMEOUT)
            await self._desk.observe([order], source="fence")
        except (OrderNotFound, OutcomeUnknown):
            return  # nothing to cancel yet, or not known: the next probe fences again
        except OrderBridgeError as error:
            extra = log_facts(self._gateway.name, "fence", client_order_id=placement.client_order_id)
            log.warning("the fence failed, and is tried again at the next probe: %s", error, extra=extra)

    async def _cancel_ghost(self, record: Record) -> None:
        order = record.placement.order
        if order is None or order.is_done:
            return
        try:
            await self._desk.observe([await self._gateway.cancel(order, timeout=_PROBE_TIMEOUT)], source="cancel")
        except OrderBridgeError as error:
            self._desk.alarm(AlarmKind.GHOST, f"and could not be cancelled: {error}", record=record, order=order)
