"""The placing side of a bridge: one placer, resolver and recovery per gateway over one journal."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from orderbridge.errors import ConfigurationError, JournalError, NotSent, NotSupported, OrderBridgeError
from orderbridge.gateway import OrderGateway, error_of
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import KnownBy, OrderType, PlacementState
from orderbridge.model.order import Order
from orderbridge.model.placement import Alarm, AlarmKind, Placement
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Failure
from orderbridge.placement.gap import Lost
from orderbridge.placement.journal import Journal, MemoryJournal
from orderbridge.placement.ledger import LEASE_SECONDS, Ledger, log
from orderbridge.placement.observations import Observations, Recorder
from orderbridge.placement.place import MintId, Placer
from orderbridge.placement.recover import Recovery, RecoveryReport, Working
from orderbridge.placement.resolve import Probing, Resolver
from orderbridge.placement.states import Record

T = TypeVar("T")
_HEARTBEAT: Final = 3.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 30.0
# What is watched after a verdict is asked for every five minutes, so it need not be taken over sooner.
_WATCHED_EVERY: Final = 30


@dataclass(eq=False)
class Line:
    """The line to one gateway: what places there, and whether its recovery is over."""

    gateway: OrderGateway
    placer: Placer
    resolver: Resolver
    working: Working
    recovery: Recovery
    recovered: asyncio.Event
    # Why its recovery is not over, and the task that tries it again.
    failure: Failure | None = None
    retrying: asyncio.Task[object] | None = None


class Placements:
    """Holds the lines of a bridge; touches no loop and no file until first used."""

    def __init__(
        self,
        gateways: Mapping[str, OrderGateway],
        *,
        journal: Journal | None,
        probing: Probing,
        watch_for: float,
        on_alarm: Callable[[Alarm], object] | None,
        clock: Callable[[], float],
        ids: MintId,
    ) -> None:
        self.journal_given = journal is not None
        self.ledger = Ledger(journal or MemoryJournal(), clock=clock, watch_for=watch_for, on_alarm=on_alarm)
        self.observations = Observations(self.ledger)
        self.observations.on_ghost = self._haunted
        self.recorder = Recorder(self.ledger, self.observations)
        self._lines = {name: self._line(gateway, probing, ids) for name, gateway in gateways.items()}
        self._on_uncertain = probing.on_uncertain
        self._tasks: set[asyncio.Task[object]] = set()
        self._alive = asyncio.Lock()
        self._is_alive = False
        self._told_no_journal = False
        self._recovering = False
        self._closing: asyncio.Task[None] | None = None

    def _line(self, gateway: OrderGateway, probing: Probing, ids: MintId) -> Line:
        probing.check(gateway)
        resolver = Resolver(
            self.ledger, self.observations, gateway, probing, resend=lambda record: placer.send_again(record.placement)
        )
        lost = Lost(self.ledger, self.observations, gateway, horizon=probing.horizon)
        placer = Placer(self.ledger, self.observations, gateway, resolver.start, lost, ids)
        working = Working(self.ledger, self.observations, gateway)
        recovery = Recovery(self.ledger, self.observations, gateway, placer, resolver, working, probing.on_stale)
        return Line(gateway, placer, resolver, working, recovery, asyncio.Event())

    def _haunted(self, record: Record) -> None:
        line = self._lines.get(record.placement.gateway)
        if line is not None and self._closing is None:
            self._spawn(line.resolver.haunt(record))

    def line(self, name: str) -> Line:
        """The line of a gateway. ConfigurationError: none is named so."""
        try:
            return self._lines[name]
        except (KeyError, TypeError):
            raise ConfigurationError(f"no gateway is named {name!r}; there are: {', '.join(self._lines)}") from None

    def start(self) -> None:
        """Begin the recovery in the background. Without a journal there is nothing to recover."""
        if self.journal_given and not self._recovering:
            self._recovering = True
            for line in self._lines.values():
                self._retry(line)

    async def ready(self, name: str, *, within: float) -> Line:
        """
        The line of a gateway, once its recovery is over.

        Raises:
            NotSent: it is not over within so many seconds. JournalError: the journal cannot be written.
        """
        line = self.line(name)
        self._check_policy(line.gateway)
        await self.come_alive()
        self.start()
        if self.journal_given and not line.recovered.is_set():
            try:
                async with asyncio.timeout(within):
                    await line.recovered.wait()
            except TimeoutError as error:
                raise _not_ready(line) from error
        return line

    def _check_policy(self, gateway: OrderGateway) -> None:
        """NotSupported: the policy for unsettled placements needs what this venue lacks."""
        if self._on_uncertain == "hold" or gateway.capabilities.ids_are_unique:
            return
        is_fence = self._on_uncertain == "fence"
        cannot = "cancel by client order id" if is_fence else "tell a second order of one id from the first"
        raise NotSupported(f"it cannot {cannot}: use on_uncertain='hold'", gateway=gateway.name, operation="place")

    def _retry(self, line: Line, *, wait: float = 0.0) -> None:
        if self._closing is None and (line.retrying is None or line.retrying.done()):
            line.retrying = self._spawn(self._recover_until_done(line, wait=wait))

    async def come_alive(self) -> None:
        """Tell other processes that this one lives, before it has anything that they could take over."""
        self._check_open()
        if self._is_alive:
            return
        async with self._alive:
            self._check_open()
            if not self._is_alive:
                await self.ledger.keep_alive()
                await self._tell_what_was_lost()
                self._check_open()
                self._is_alive = True
                self._spawn(self._look_again())
                if self.journal_given:
                    self._spawn(self._stay_alive())
                    self._spawn(self._look_for_orphans())

    async def _tell_what_was_lost(self) -> None:
        gap = await self.ledger.journal.gap("", "")
        if gap is not None and (self.ledger.now() - gap.told).total_seconds() < self.ledger.watch_for:
            message = (
                f"the journal is older than it should be: what was written from {gap.since:%Y-%m-%d %H:%M:%S} to "
                f"{gap.until:%Y-%m-%d %H:%M:%S} UTC is missing; no key is placed before its venue was looked at"
            )
            self.ledger.alarm(AlarmKind.JOURNAL, message)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise ConfigurationError("this bridge is closed; make a new one")

    async def _stay_alive(self) -> None:
        """Renew the lease, and store what could not be stored before."""
        failing = False
        while True:
            await asyncio.sleep(_HEARTBEAT)
            try:
                await self.ledger.keep_alive()
                await self.ledger.write_again()
                self.recorder.store_again()
                failing = False
            except Exception as error:  # noqa: BLE001 - whatever a journal raises: a bridge without a heart is worse
                log.log(10 if failing else 30, "the lease could not be renewed, and is tried again: %s", error)
                failing = True

    async def _look_for_orphans(self) -> None:
        """Take over what processes that end while this one lives leave behind."""
        for turn in itertools.count(1):
            await asyncio.sleep(LEASE_SECONDS)
            for line in self._lines.values():
                if not line.recovered.is_set():
                    continue
                try:
                    await line.recovery.take_over(watched=turn % _WATCHED_EVERY == 0)
                except Exception as error:  # noqa: BLE001 - it is tried again, and must not end the others' turn
                    log.warning("what others left at %s is looked for again: %s", line.gateway.name, error)

    async def _look_again(self) -> None:
        """Look at orders whose end may have passed unseen: no caller waits for it, and none asks the venue for it."""

        async def look(line: Line) -> None:
            try:
                if line.recovered.is_set() or not self.journal_given:
                    await line.working.look_again()
            except Exception as error:  # noqa: BLE001 - it is tried again, and must not end the others' turn
                log.warning("how orders at %s stand is looked for again: %s", line.gateway.name, error)

        while True:
            await asyncio.sleep(_HEARTBEAT)
            await asyncio.gather(*(look(line) for line in self._lines.values()))

    async def recover(self) -> RecoveryReport:
        """One recovery of every gateway, at once."""
        await self.come_alive()
        self._recovering = True
        reports = await asyncio.gather(*(self._recover(line) for line in self._lines.values()), return_exceptions=True)
        for line in self._lines.values():
            if not line.recovered.is_set():
                self._retry(line, wait=_FIRST_RETRY)
        whole = RecoveryReport()
        for report in reports:
            if isinstance(report, BaseException):
                raise report
            whole += report
        return whole

    async def _recover(self, line: Line) -> RecoveryReport:
        report = await line.recovery.run(safe=line.recovered.set)
        line.failure = report.unreachable.get(line.gateway.name)
        return report

    async def _recover_until_done(self, line: Line, *, wait: float = 0.0) -> None:
        while not line.recovered.is_set():
            await asyncio.sleep(wait)
            try:
                await self.come_alive()
                await self._recover(line)
                why = line.failure.message if line.failure else ""
            except JournalError as error:
                why = str(error)
                # Opening a bridge does not fail for it: what is open can be looked up and cancelled without a journal.
                if not (self._is_alive or self._told_no_journal):
                    self._told_no_journal = True
                    message = f"nothing is placed until it can be used; the rest goes on: {why}"
                    self.ledger.alarm(AlarmKind.JOURNAL, message)
            except Exception as error:  # noqa: BLE001 - placing waits for this: it is tried for as long as it takes
                why = f"{type(error).__name__}: {error}"
            if why:
                log.warning("the recovery of %s is tried again: %s", line.gateway.name, why)
            wait = min(_LONGEST_RETRY, max(_FIRST_RETRY, wait * 2))

    async def remembered(self, ref: OrderRef, *, deadline: Deadline) -> list[Order]:
        """The orders of a ref as the journal knows them, if it answers in time, and what calls have shown since."""
        self.recorder.pass_on()
        ids = {"order_id": ref.order_id or ref.id, "client_order_id": ref.client_order_id or ref.id}
        stored = await self._read(self.ledger.journal.orders(gateway=ref.gateway, **ids), deadline) or []
        unstored = self.recorder.unstored
        known = {order.identity: unstored.over(order) for order in stored}
        known = {order.identity: order for order in unstored.named(gateway=ref.gateway, **ids)} | known
        return [order for order in known.values() if ref.symbol in (None, order.symbol)]

    async def tell(self, gateway: OrderGateway, *refs: OrderRef, deadline: Deadline) -> list[OrderRef]:
        """
        Tell a gateway that knows what its venue has shown what the journal knows besides, of earlier processes.

        Returns:
            The refs of which the journal knows an order there.
        """
        if not gateway.remember(()):
            return []
        told = []
        for ref in refs:
            known = await self.remembered(ref, deadline=deadline)
            orders = [order for order in known if order.gateway == gateway.name]
            if orders:
                self.remember(orders)
                told.append(ref)
        return told

    async def tell_working(self, gateway: OrderGateway, *, deadline: Deadline) -> list[Order]:
        """The orders placed at a gateway that may be working, if the journal answers in time; it is told of them."""

        async def read() -> list[Order]:
            await self.recorder.catch_up()
            return await self._lines[gateway.name].working.ours()

        working = await self._read(read(), deadline) or []
        self.remember(working)
        return working

    def remember(self, orders: Sequence[Order]) -> None:
        """Let the gateways that know what their venues have shown know of these orders too."""
        for order in orders:
            line = self._lines.get(order.gateway)
            if line is not None:
                line.gateway.remember([order])

    async def completed(self, order: Order, *, deadline: Deadline) -> Order:
        """An order that was rebuilt from its trades, with what the journal's placement of it asked for."""
        if order.known_by is not KnownBy.INFERRED or order.type is not OrderType.UNKNOWN:
            return order

        async def read() -> Order | None:
            await self.observations.observe([order], source="look-up")
            return await self.ledger.last_known(order.identity)

        return await self._read(read(), deadline) or order

    @staticmethod
    async def _read(reading: Awaitable[T], deadline: Deadline) -> T | None:
        """What the journal answers; None, with a word in the log, where it does not, or not in time."""
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await reading
        except (JournalError, TimeoutError) as error:
            log.warning("the journal could not be read: %s", str(error) or "it did not answer in time")
            return None

    async def record_of(self, placement: Placement) -> Record:
        """The record of a placement. ConfigurationError: the journal has none."""
        record = await self.ledger.journal.get(placement.placement_id)
        if record is None:
            raise ConfigurationError("this placement is not in the journal", gateway=placement.gateway)
        return await self.ledger.up_to_date(record)

    async def placements(
        self, *, gateway: str | None = None, key: str | None = None, state: PlacementState | None = None
    ) -> list[Placement]:
        """The placements that fit, oldest first, each with its order as last known."""
        await self.recorder.catch_up()
        states = None if state is None or self.ledger.unwritten else [state]
        found = await self.ledger.journal.find(gateway=gateway, key=key, states=states)
        placements = [each for each in map(self.ledger.placement, found) if state in (None, each.state)]
        for each in placements:
            if each.order is not None and each.may_be_live and each.gateway in self._lines:
                self._lines[each.gateway].working.look_soon()
        return placements

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.ledger.alarm(AlarmKind.BACKGROUND, f"a background task died: {type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Let attempts under way end, stop everything else, and close the journal, whoever stops waiting for it."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await asyncio.gather(*(line.placer.finish() for line in self._lines.values()))
        for line in self._lines.values():
            await line.resolver.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.recorder.finish()
        try:
            await self._last_words(self.ledger.write_again(), "an outcome: the next start looks it up")
            if self._is_alive and self.journal_given:
                await self._last_words(self.ledger.keep_alive(seconds=0), "that the lease is over")
        finally:
            await self.ledger.journal.aclose()

    async def _last_words(self, write: Awaitable[None], what: str) -> None:
        try:
            await write
        except Exception as error:  # noqa: BLE001 - whatever a journal raises: the rest is closed all the same
            log.error("the journal could not be written at the end (%s): %s", what, error)


def _not_ready(line: Line) -> OrderBridgeError:
    """Why nothing can be placed yet; what the credentials are to blame for is said as such."""
    name = line.gateway.name
    if line.failure is not None and line.failure.kind in {"credentials", "permission"}:
        return error_of(line.failure, gateway=name, operation="place")
    why = f": {line.failure.message}" if line.failure is not None else ""
    message = f"nothing was sent: what was under way before is not settled yet{why}"
    return NotSent(message, gateway=name, operation="place")
