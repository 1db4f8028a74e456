"""
Recovery at start: settle what was in flight, adopt what is ours, leave alone what is not.

`Working` is about orders that worked when they were last seen: what became of them while nobody looked (rows 23 to 25).
A bridge that lives goes on looking at them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field

from orderbridge.client_ids import is_ours, minted_at
from orderbridge.errors import OrderNotFound
from orderbridge.gateway import OrderGateway, failure_of, within
from orderbridge.http.session import log_facts
from orderbridge.model.basics import PlacementState, VenueModel
from orderbridge.model.lifecycle import Followed, Lack, lacking, may_be_left_out
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.placement import AlarmKind, Placement
from orderbridge.model.results import Answer, Failure, Found, OrderList
from orderbridge.placement.ledger import Ledger, log, note_known
from orderbridge.placement.observations import Observations
from orderbridge.placement.place import Placer
from orderbridge.placement.probe import PROBE_TIMEOUT, READ_TIMEOUT, all_of, in_rounds, open_orders_of
from orderbridge.placement.resolve import Resolver, Stale
from orderbridge.placement.states import IN_FLIGHT, UNFINISHED, Happened, Record

# Whatever the clock's grain, the next look begins after the settle time.
_PAST: Final = timedelta(milliseconds=10)


class Working:
    """
    Settles the orders of one gateway that the journal last saw working and that are not open any more.

    Attributes:
        due: when to look at them again: some are lacking and nothing is concluded of them yet, or somebody asks how
            they stand. None for never.
    """

    def __init__(self, ledger: Ledger, observations: Observations, gateway: OrderGateway) -> None:
        self._ledger = ledger
        self._observations = observations
        self._gateway = gateway
        self._settle_time = gateway.settle_time
        self.due: datetime | None = None
        self._looked: datetime | None = None
        self._followed = Followed(lambda: asyncio.get_running_loop().time())
        self._lost: set[Identity] = set()

    def look_soon(self) -> None:
        """Somebody asks how orders stand, and is told what is known: that they are looked at, at times."""
        if self.due is None:
            now, pause = self._ledger.now(), timedelta(seconds=self._settle_time)
            self.due = now if self._looked is None else min(max(now, self._looked + pause), now + pause)

    async def ours(self) -> list[Order]:
        """The orders placed at this very address and mode that were working when they were last seen."""
        working = await self._ledger.journal.working(self._gateway.name)
        return [order for order in working if await self._is_ours(order)]

    async def look_again(self) -> None:
        """Look at them again, once they are due: something can be concluded, or somebody asked."""
        if self.due is None or self._ledger.now() < self.due:
            return
        ours = await self.ours()
        if not ours:
            self.due = None
            return
        symbols = {order.symbol for order in ours}
        listed = await open_orders_of(self._gateway, symbols, as_of=self._ledger.now(), timeout=PROBE_TIMEOUT)
        await self.settle(listed, ours)

    async def settle(self, listed: OrderList, ours: list[Order] | None = None) -> list[Order]:
        """
        Look up each order of `ours` that the complete list of open orders lacks; those that are over, as they are now.

        An order that the venue no longer shows is over once it has been lacking for the settle time: filled if its
        trades are its quantity, which is told at once, else cancelled with those. One that cannot be told is left as
        it was, and looked at again.
        """
        self.due = None
        try:
            return await self._settle(listed, await self.ours() if ours is None else ours)
        except BaseException:
            self.look_soon()
            raise

    async def _settle(self, listed: OrderList, ours: list[Order]) -> list[Order]:
        open_now = {order.identity for order in listed}
        unreadable = {row.order_id for row in listed.bad_rows}
        if ours:
            self._looked = self._ledger.now()
        if None in unreadable:
            self.look_soon()
            return []  # any of them may be a row that could not be read at all
        missing = [order for order in ours if order.identity not in open_now and order.order_id not in unreadable]
        ended: list[Order] = []
        for some in in_rounds(missing, self._gateway.capabilities):
            ended += await self._look_up(some, listed)
        return ended

    async def _is_ours(self, order: Order) -> bool:
        """True if a placement made at this very address and mode is behind an order."""
        if order.client_order_id is None:
            return False
        found = await self._ledger.journal.find(gateway=self._gateway.name, client_order_id=order.client_order_id)
        return any(record.is_at(self._gateway) for record in found)

    async def _look_up(self, orders: list[Order], listed: OrderList) -> list[Order]:
        # A gateway that knows what its venue has shown concludes by itself.
        self._gateway.remember(orders)
        began = self._ledger.now(), self._followed.elapsed()
        result = await within(self._gateway.lookup(*orders, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
        shown = await self._observations.observe(result.orders, source="recovery")
        ended = [order for order in shown if order.is_done]
        for order in shown:
            self._look_again_at(order)
        for order in orders:
            found = result[order]
            if found.proven_absent:
                self._tell_lost(order)
            elif not found.orders and self._is_silence(found):
                ended += await self._conclude(order, listed, *began)
            elif not found.orders:
                self.look_soon()
        return ended

    def _tell_lost(self, order: Order) -> None:
        if order.identity not in self._lost:
            note_known(self._lost, order.identity)
            message = f"{order.order_id} was open, and the venue says now that there is no such order"
            self._ledger.alarm(AlarmKind.LOST, message, order=order, gateway=self._gateway.name)

    def _is_silence(self, found: Found) -> bool:
        """True if the venue answered, and showed nothing: an error or a time that ran out is no answer."""
        # Where it could be searched only in part, its trades must still be read, and they are.
        silent = {Answer.NOT_SEEN, *([Answer.PARTLY_SEARCHED] if self._gateway.capabilities.fills else [])}
        return bool(found.answers) and set(found.answers.values()) <= silent

    async def _conclude(self, order: Order, listed: OrderList, began: datetime, began_at: float) -> list[Order]:
        """An order that is not shown any more, by its trades and a second look-up; none while they cannot be told."""
        extra = log_facts(self._gateway.name, "recover", order_id=order.order_id)
        fills: list[Fill] = []
        try:
            if self._gateway.capabilities.fills:
                fills = await within(all_of(self._gateway.fills(order, timeout=PROBE_TIMEOUT)), READ_TIMEOUT)
        except OrderNotFound:
            pass  # no trades under this id, which is an answer
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; it is no answer
            log.warning("what became of %s is not known: %s", order.order_id, error, extra=extra)
            self._look_again_at(order)
            return []
        again = (await within(self._gateway.lookup(order, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT))[order]
        if again.orders:
            shown = await self._observations.observe(again.orders, source="recovery")
            return [each for each in shown if each.is_done]
        why = [] if self._is_silence(again) else ["the second look-up was not answered"]
        if not fills and may_be_left_out(order, listed.may_lack):
            why.append("the open orders may leave out what waits for its trigger, or show it as another order")
        evidence = ("look-up: not shown", "open orders: not among them", f"fills: {len(fills)}")
        ended = self._ledger.now()
        lived = self._followed.lived(order, began=began_at, ended=ended)
        lack = Lack(began, ended, lived, fills, tuple(why), evidence)
        told, reason = lacking(order, lack, settle_time=self._settle_time)
        if reason:
            log.info("%s is not shown, and what became of it is not known yet: %s", order.order_id, reason, extra=extra)
        known = await self._observations.observe([told], source="recovery")
        for each in known:
            self._look_again_at(each)
        return [each for each in known if each.is_done]

    def _look_again_at(self, order: Order) -> None:
        since = order.unseen_since
        if order.may_be_live and since is not None:
            pause, now = timedelta(seconds=self._settle_time), self._ledger.now()
            due = since + pause + _PAST
            if due <= now:  # it was long enough, and something else is wanting
                due = now + pause
            self.due = due if self.due is None else min(self.due, due)


# Under `on_stale="send"`: what was prepared longer ago is denied all the same.
SEND_UP_TO: Final = timedelta(seconds=60)


class RecoveryReport(VenueModel):
    """
    The report of a recovery: what it found and did.

    Attributes:
        settled, uncertain: placements that were under way, and those that still are; the latter are probed on.
        denied, sent: placements that were prepared and never sent, by what `on_stale` made of them.
        held_elsewhere: placements of a process that lives, or whose lease has not run out yet; they are taken over
            once that ends.
        ended: orders that worked when they were last seen and are over now, as the venue or its trades tell. One that
            the venue does not show has to be lacking for a while before that is concluded: its `unseen_since` says
            since when, and a bridge that lives looks at it again by itself.
        orphans: open orders with an id of ours that the journal did not know; it does now. They mean that the
            journal is older than what happened: nothing that it calls prepared is sent. `foreign`: those of
            others, left alone.
        unreachable: gateways whose recovery is not finished; placing there waits, and it is tried again.
    """

    settled: tuple[Placement, ...] = ()
    uncertain: tuple[Placement, ...] = ()
    denied: tuple[Placement, ...] = ()
    sent: tuple[Placement, ...] = ()
    held_elsewhere: tuple[Placement, ...] = ()
    ended: tuple[Order, ...] = ()
    orphans: tuple[Order, ...] = ()
    foreign: tuple[Order, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)

    def __add__(self, other: RecoveryReport) -> RecoveryReport:
        lists = {name: value + getattr(other, name) for name, value in self if name != "unreachable"}
        return RecoveryReport(**lists, unreachable=self.unreachable | other.unreachable)


@dataclass(eq=False)
class Recovery:
    """The recovery of one gateway; it may be run again."""

    ledger: Ledger
    observations: Observations
    gateway: OrderGateway
    placer: Placer
    resolver: Resolver
    working: Working
    on_stale: Stale
    _left_behind: set[str] = field(default_factory=set)
    _warned: bool = False

    async def run(self, *, safe: Callable[[], object]) -> RecoveryReport:
        """
        Take over what nobody works on, ask about it once, and read the open orders.

        Args:
            safe: called once placing may go on; what became of older orders is found out after that.

        Raises:
            JournalError: nothing can be told from the journal. An unreachable venue is in the report.
        """
        if not self.gateway.capabilities.order_types:
            safe()
            return RecoveryReport()  # nothing can be placed here, so nothing was
        probed, held = await self._take_sent(watched=True)
        report = await self._probe(probed) + _held(held)
        try:
            symbols = await self._symbols()
            listed = await open_orders_of(self.gateway, symbols, as_of=self.ledger.now(), timeout=PROBE_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything
            return report + RecoveryReport(unreachable={self.gateway.name: failure_of(error)})
        report += await self._sort(listed)
        prepared, held = await self._take_prepared()
        report += _held(held) + await self._stale(prepared, may_send=not report.orphans)
        safe()
        return report + RecoveryReport(ended=await self._ended(listed))

    async def _symbols(self) -> list[str]:
        """The symbols of what is under way or was open: where orders are listed by symbol, these are asked for."""
        states = [*UNFINISHED, PlacementState.NOT_PLACED]
        placed = await self.ledger.journal.find(gateway=self.gateway.name, states=states)
        working = await self.ledger.journal.working(self.gateway.name)
        return [*(record.placement.request.symbol for record in placed), *(order.symbol for order in working)]

    async def _ended(self, listed: OrderList) -> tuple[Order, ...]:
        try:
            return tuple(await self.working.settle(listed))
        except Exception as error:  # noqa: BLE001 - the next start asks again; nothing waits for it
            extra = log_facts(self.gateway.name, "recover")
            log.warning("what became of older orders is not known: %s", error, extra=extra)
            return ()

    async def take_over(self, *, watched: bool) -> None:
        """Take over what a process that ended since left behind; verdicts that are `watched` too."""
        probed, _ = await self._take_sent(watched=watched)
        for record in probed:
            self.resolver.start(record)
        prepared, _ = await self._take_prepared()
        await self._stale(prepared, may_send=True)

    async def _find(self, *states: PlacementState) -> list[Record]:
        """The placements of this very place; those made at another address or mode are none of our business."""
        found = await self.ledger.journal.find(gateway=self.gateway.name, states=states)
        here = [record for record in found if record.is_at(self.gateway)]
        if len(here) < len(found) and not self._warned:
            self._warned = True
            message = "%d placements in the journal were made at another address or mode, and are left alone"
            log.warning(message, len(found) - len(here), extra=log_facts(self.gateway.name, "recover"))
        return here

    async def _take_sent(self, *, watched: bool) -> tuple[list[Record], list[Record]]:
        """The sent placements that are to be asked about, and those that somebody else works on."""
        probed: list[Record] = []
        held: list[Record] = []
        for record in await self._find(*IN_FLIGHT, *([PlacementState.NOT_PLACED] if watched else [])):
            if record.state is PlacementState.NOT_PLACED:
                if record.watch_until is not None and record.watch_until > self.ledger.now():
                    probed.append(record)
            elif (taken := await self.ledger.take(record)) is None:
                held.append(record)
            else:
                probed.append(taken)
        return probed, held

    async def _take_prepared(self) -> tuple[list[Record], list[Record]]:
        """The placements that a process that ended prepared and never sent, and those that a living one prepared."""
        prepared: list[Record] = []
        held: list[Record] = []
        for record in await self._find(PlacementState.PREPARED):
            if record.owner == self.ledger.owner and record.id not in self._left_behind:
                continue
            taken = await self.ledger.take(record)
            if taken is None:
                held.append(record)
            elif taken.state is PlacementState.PREPARED:
                # Ours from here on; should the next steps fail, the next run must still know that it was not.
                self._left_behind.add(taken.id)
                prepared.append(taken)
        return prepared, held

    async def _probe(self, records: list[Record]) -> RecoveryReport:
        uncertain = [record for record in records if record.state is PlacementState.UNCERTAIN]
        for some in in_rounds(uncertain, self.gateway.capabilities):
            await self.resolver.round(some)
        over: list[Placement] = []
        under_way: list[Placement] = []
        for record in records:
            now = await self.ledger.journal.get(record.id) or record
            self.resolver.start(now)
            if record.state is not PlacementState.NOT_PLACED:
                (under_way if now.state in UNFINISHED else over).append(self.ledger.placement(now))
        return RecoveryReport(settled=tuple(over), uncertain=tuple(under_way))

    async def _stale(self, records: list[Record], *, may_send: bool) -> RecoveryReport:
        """Deal with what was prepared and never sent, by the journal: by the policy, and never without a look."""
        # Without a key its caller, who may have been told that it was not sent, cannot tell it from the next one.
        young = [
            record
            for record in records
            if record.placement.key is not None and abs(self.ledger.now() - record.placement.created_at) <= SEND_UP_TO
        ]
        sendable = await self._unseen(young) if self.on_stale == "send" and may_send else []
        denied: list[Placement] = []
        sent: list[Placement] = []
        for record in records:
            if record in sendable:
                self._left_behind.discard(record.id)
                await self.placer.send_again(record.placement)
                sent.append((await self.ledger.journal.get(record.id) or record).placement)
            else:
                ended = "it was prepared by a process that ended, and "
                why = ended + ("not sent again after it was proven absent" if record.resends else "never sent")
                after = await self.ledger.note(record, Happened.DENIED, when=[PlacementState.PREPARED], reason=why)
                denied.append(after.placement)
                self._left_behind.discard(record.id)
                if after.watch_until is not None:  # it was sent before that
                    self.resolver.start(after)
        return RecoveryReport(denied=tuple(denied), sent=tuple(sent))

    async def _unseen(self, records: list[Record]) -> list[Record]:
        """Those of which the venue shows nothing: a journal that was restored may have forgotten that it sent one."""
        if not records:
            return []
        rounds = await self.resolver.ask(records)
        for record in records:
            if rounds[record.id].orders:
                await self.observations.sighted(record, rounds[record.id].orders, source="recovery")
        # What has no id might be shown a while later, and nothing would tell it then.
        named = (record for record in records if record.placement.client_order_id is not None)
        return [record for record in named if rounds[record.id].is_negative]

    async def _sort(self, listed: OrderList) -> RecoveryReport:
        """The open orders with an id of ours that the journal does not know, and those of others."""
        orphans: list[Order] = []
        foreign: list[Order] = []
        for order in listed:
            client_order_id = order.client_order_id
            known = client_order_id is not None and await self.ledger.journal.find(
                gateway=self.gateway.name, client_order_id=client_order_id
            )
            if not known:
                (orphans if client_order_id is not None and is_ours(client_order_id) else foreign).append(order)
        await self.observations.observe(listed, source="open orders")
        if orphans:
            first = datetime.fromtimestamp(min(minted_at(order.client_order_id or "") for order in orphans), UTC)
            message = "%d open orders with ids of ours are not in the journal, the first made at %s: was it restored?"
            log.warning(message, len(orphans), first, extra=log_facts(self.gateway.name, "recover"))
        return RecoveryReport(orphans=tuple(orphans), foreign=tuple(foreign))


def _held(records: Sequence[Record]) -> RecoveryReport:
    return RecoveryReport(held_elsewhere=tuple(record.placement for record in records))
