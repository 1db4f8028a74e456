"""The placing side of a bridge: one placer, resolver and recovery per gateway over one journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orderbridge.errors import ConfigurationError, JournalError, NotSent, OrderBridgeError
from orderbridge.gateway import OrderGateway
from orderbridge.model.alarm import Alarm, AlarmKind
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef
from orderbridge.model.words import PlacementState
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.journal import Journal, MemoryJournal
from orderbridge.placement.placer import MintId, Placer
from orderbridge.placement.recovery import Recovery, RecoveryReport, Stale
from orderbridge.placement.resolver import Probing, Resolver
from orderbridge.placement.states import Record

_HEARTBEAT: Final = 3.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 30.0


@dataclass(eq=False)
class _Line:
    """What places at one gateway, and whether its recovery is over."""

    gateway: OrderGateway
    placer: Placer
    resolver: Resolver
    recovery: Recovery
    recovered: asyncio.Event


class Placing:
    """Holds the lines of a bridge; touches no loop and no file until first used."""

    def __init__(
        self,
        gateways: Mapping[str, OrderGateway],
        *,
        journal: Journal | None,
        probing: Probing,
        on_stale: Stale,
        watch_for: float,
        on_alarm: Callable[[Alarm], object] | None,
        clock: Callable[[], float],
        ids: MintId,
    ) -> None:
        self.journal_given = journal is not None
        self.desk = Desk(journal or MemoryJournal(), clock=clock, watch_for=watch_for, on_alarm=on_alarm)
        self._lines: dict[str, _Line] = {}
        for name, gateway in gateways.items():
            resolver = Resolver(self.desk, gateway, probing)
            placer = Placer(self.desk, gateway, unsettled=resolver.start, ids=ids)
            recovery = Recovery(self.desk, gateway, placer=placer, resolver=resolver, on_stale=on_stale)
            self._lines[name] = _Line(gateway, placer, resolver, recovery, asyncio.Event())
        self._tasks: set[asyncio.Task[object]] = set()
        self._stores: set[asyncio.Task[None]] = set()
        self._alive = asyncio.Lock()
        self._is_alive = False
        self._recovering = False

    def line(self, name: str) -> _Line:
        """The line of a gateway."""
        return self._lines[name]

    def start(self) -> None:
        """Begin the recovery in the background. Without a journal there is nothing to recover."""
        if self.journal_given and not self._recovering:
            self._recovering = True
            for line in self._lines.values():
                self._spawn(self._recover_until_done(line))

    async def ready(self, name: str, *, within: float) -> _Line:
        """
        The line of a gateway, once its recovery is over.

        Raises:
            NotSent: it is not over within so many seconds. JournalError: the journal cannot be written.
        """
        line = self._lines[name]
        line.resolver.check_policy()
        await self.come_alive()
        self.start()
        if self.journal_given and not line.recovered.is_set():
            try:
                async with asyncio.timeout(within):
                    await line.recovered.wait()
            except TimeoutError as error:
                message = "nothing was sent: what was under way before is not settled yet"
                raise NotSent(message, gateway=name, operation="place") from error
        return line

    async def come_alive(self) -> None:
        """Tell other processes that this one lives, before it has anything that they could take over."""
        async with self._alive:
            if not self._is_alive:
                await self.desk.keep_alive()
                self._is_alive = True
                if self.journal_given:
                    self._spawn(self._stay_alive())

    async def _stay_alive(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            try:
                await self.desk.keep_alive()
            except JournalError as error:
                log.warning("the lease could not be renewed: %s", error)

    async def recover(self) -> RecoveryReport:
        """One recovery of every gateway, at once."""
        self._recovering = True
        await self.come_alive()
        reports = await asyncio.gather(*(self._recover(line) for line in self._lines.values()))
        for line in self._lines.values():
            if not line.recovered.is_set():
                self._spawn(self._recover_until_done(line, wait=_FIRST_RETRY))
        return sum(reports, RecoveryReport())

    async def _recover(self, line: _Line) -> RecoveryReport:
        report = await line.recovery.run()
        if not report.unreachable:
            line.recovered.set()
        return report

    async def _recover_until_done(self, line: _Line, *, wait: float = 0.0) -> None:
        while not line.recovered.is_set():
            await asyncio.sleep(wait)
            try:
                await self.come_alive()
                report = await self._recover(line)
                failure = report.unreachable.get(line.gateway.name)
                why = failure.message if failure else ""
            except OrderBridgeError as error:
                why = str(error)
            if why:
                log.warning("the recovery of %s is tried again: %s", line.gateway.name, why)
            wait = min(_LONGEST_RETRY, max(_FIRST_RETRY, wait * 2))

    def seen(self, orders: Iterable[Order], *, source: str) -> None:
        """Store what a read has shown, in the background: a look-up does not wait for the disk."""
        orders = list(orders)
        if orders and (self.journal_given or self.desk.is_waiting):
            self._stores.add(task := asyncio.ensure_future(self._store(orders, source)))
            task.add_done_callback(self._stores.discard)

    async def _store(self, orders: Sequence[Order], source: str) -> None:
        try:
            await self.desk.observe(orders, source=source)
        except JournalError as error:
            log.warning("what was seen of %d orders could not be stored: %s", len(orders), error)

    async def remembered(self, ref: OrderRef) -> list[Order]:
        """What the journal knows of the orders of a ref; nothing when there is no journal to read."""
        if not self.journal_given:
            return []
        try:
            return await self.desk.journal.orders(
                gateway=ref.gateway, order_id=ref.order_id or ref.id, client_order_id=ref.client_order_id or ref.id
            )
        except JournalError as error:
            log.warning("the journal could not be read: %s", error)
            return []

    async def record_of(self, placement: Placement) -> Record:
        """The record of a placement. ConfigurationError: the journal has none."""
        record = await self.desk.journal.get(placement.placement_id)
        if record is None:
            raise ConfigurationError("this placement is not in the journal", gateway=placement.gateway)
        return record

    async def placements(
        self, *, gateway: str | None = None, key: str | None = None, state: PlacementState | None = None
    ) -> list[Placement]:
        """The placements that fit, oldest first, each with its order as last known."""
        states = None if state is None else [state]
        records = await self.desk.journal.find(gateway=gateway, key=key, states=states)
        return [await self.desk.placement(record) for record in records]

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task: asyncio.Task[object] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.desk.alarm(AlarmKind.BACKGROUND, f"a background task died: {type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Let attempts under way end, stop everything else, and close the journal."""
        for line in self._lines.values():
            await line.placer.finish()
            await line.resolver.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._stores, return_exceptions=True)
        if self._is_alive and self.journal_given:
            try:
                await self.desk.journal.keep_alive(self.desk.owner, until=0.0)
            except JournalError as error:
                log.warning("the lease could not be given back, and runs out by itself: %s", error)
        await self.desk.journal.aclose()
