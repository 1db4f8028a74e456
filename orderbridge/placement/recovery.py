"""What is done at start: settle what was in flight, adopt what is ours, leave alone what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import Field

from orderbridge.client_ids import is_ours, minted_at
from orderbridge.errors import OrderBridgeError
from orderbridge.gateway import OrderGateway, failure_of
from orderbridge.http.session import log_facts
from orderbridge.model.basics import PlacementState, VenueModel
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.results import Failure, OrderList
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.limited import PROBE_TIMEOUT, open_orders_of
from orderbridge.placement.placer import Placer
from orderbridge.placement.policy import Stale, together
from orderbridge.placement.resolver import Resolver
from orderbridge.placement.scope import is_at
from orderbridge.placement.sightings import Sightings
from orderbridge.placement.states import UNFINISHED, Happened, Record
from orderbridge.placement.working import Working

# Under `on_stale="send"`: what was prepared longer ago is denied all the same.
SEND_UP_TO: Final = timedelta(seconds=60)


class RecoveryReport(VenueModel):
    """
    What a recovery found and did.

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
        lists = {
            name: getattr(self, name) + getattr(other, name)
            for name in type(self).model_fields
            if name != "unreachable"
        }
        return RecoveryReport(**lists, unreachable={**self.unreachable, **other.unreachable})


class Recovery:
    """The recovery of one gateway; it may be run again."""

    def __init__(
        self,
        desk: Desk,
        sightings: Sightings,
        gateway: OrderGateway,
        *,
        placer: Placer,
        resolver: Resolver,
        on_stale: Stale,
    ) -> None:
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway
        self._placer = placer
        self._resolver = resolver
        self._working = Working(desk, sightings, gateway)
        self._on_stale = on_stale
        self._left_behind: set[str] = set()
        self._warned = False

    async def run(self, *, safe: Callable[[], object]) -> RecoveryReport:
        """
        Take over what nobody works on, ask about it once, and read the open orders.

        Args:
            safe: called once placing may go on; what became of older orders is found out after that.

        Raises:
            JournalError: nothing can be told from the journal. An unreachable venue is in the report.
        """
        if not self._gateway.capabilities.order_types:
            safe()
            return RecoveryReport()  # nothing can be placed here, so nothing was
        probed, held = await self._take_sent(watched=True)
        settled, uncertain = await self._probe(probed)
        try:
            listed = await open_orders_of(
                self._gateway, await self._symbols(), as_of=self._desk.now(), timeout=PROBE_TIMEOUT
            )
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything
            unreachable = {self._gateway.name: failure_of(error)}
            placements = tuple(record.placement for record in held)
            return RecoveryReport(
                settled=settled, uncertain=uncertain, held_elsewhere=placements, unreachable=unreachable
            )
        orphans, foreign = await self._sort(listed)
        prepared, held_back = await self._take_prepared()
        denied, sent = await self._stale(prepared, may_send=not orphans)
        safe()
        return RecoveryReport(
            settled=settled,
            uncertain=uncertain,
            denied=denied,
            sent=sent,
            held_elsewhere=tuple(record.placement for record in [*held, *held_back]),
            ended=await self._ended(listed),
            orphans=orphans,
            foreign=foreign,
        )

    async def _symbols(self) -> list[str]:
        """The symbols of what is under way or was open: where orders are listed by symbol, these are asked for."""
        states = [*UNFINISHED, PlacementState.NOT_PLACED]
        placed = await self._desk.journal.find(gateway=self._gateway.name, states=states)
        working = await self._desk.journal.working(self._gateway.name)
        return [*(record.placement.request.symbol for record in placed), *(order.symbol for order in working)]

    async def _ended(self, listed: OrderList) -> tuple[Order, ...]:
        try:
            return tuple(await self._working.settle(listed))
        except Exception as error:  # noqa: BLE001 - the next start asks again; nothing waits for it
            extra = log_facts(self._gateway.name, "recover")
            log.warning("what became of older orders is not known: %s", error, extra=extra)
            return ()

    def look_soon(self) -> None:
        """Have working orders looked at by the next `look_again`, unless they were just now."""
        self._working.look_soon()

    async def working(self) -> list[Order]:
        """The orders placed here that were working when they were last seen."""
        return await self._working.ours()

    async def look_again(self) -> None:
        """Look at working orders again, once they are due: something can be concluded, or somebody asked."""
        if self._working.due is None or self._desk.now() < self._working.due:
            return
        if not await self.working():
            self._working.due = None
            return
        await self._working.settle(
            await open_orders_of(self._gateway, await self._symbols(), as_of=self._desk.now(), timeout=PROBE_TIMEOUT)
        )

    async def take_over(self, *, watched: bool) -> None:
        """Take over what a process that ended since left behind; verdicts that are `watched` too."""
        probed, _ = await self._take_sent(watched=watched)
        for record in probed:
            self._resolver.start(record)
        prepared, _ = await self._take_prepared()
        await self._stale(prepared, may_send=True)

    async def _find(self, *states: PlacementState) -> list[Record]:
        """The placements of this very place; those made at another address or mode are none of our business."""
        found = await self._desk.journal.find(gateway=self._gateway.name, states=states)
        here = [record for record in found if is_at(record, self._gateway)]
        if len(here) < len(found) and not self._warned:
            self._warned = True
            message = "%d placements in the journal were made at another address or mode, and are left alone"
            log.warning(message, len(found) - len(here), extra=log_facts(self._gateway.name, "recover"))
        return here

    async def _take_sent(self, *, watched: bool) -> tuple[list[Record], list[Record]]:
        """What is to be asked about, and what somebody else works on."""
        probed: list[Record] = []
        held: list[Record] = []
        states = [PlacementState.SENDING, PlacementState.UNCERTAIN]
        for record in await self._find(*states, *([PlacementState.NOT_PLACED] if watched else [])):
            if record.state is PlacementState.NOT_PLACED:
                if self._is_watched(record):
                    probed.append(record)
            elif (taken := await self._desk.take(record)) is None:
                held.append(record)
            else:
                probed.append(taken)
        return probed, held

    async def _take_prepared(self) -> tuple[list[Record], list[Record]]:
        """What a process that ended prepared and never sent, and what one that lives prepared."""
        prepared: list[Record] = []
        held: list[Record] = []
        for record in await self._find(PlacementState.PREPARED):
            if record.owner == self._desk.owner and record.id not in self._left_behind:
                continue
            taken = await self._desk.take(record)
            if taken is None:
                held.append(record)
            elif taken.state is PlacementState.PREPARED:
                # Ours from here on; should the next steps fail, the next run must still know that it was not.
                self._left_behind.add(taken.id)
                prepared.append(taken)
        return prepared, held

    def _is_watched(self, record: Record) -> bool:
        return record.watch_until is not None and record.watch_until > self._desk.now()

    async def _probe(self, records: list[Record]) -> tuple[tuple[Placement, ...], tuple[Placement, ...]]:
        size = together(self._gateway.capabilities)
        uncertain = [record for record in records if record.state is PlacementState.UNCERTAIN]
        for start in range(0, len(uncertain), size):
            await self._resolver.round(uncertain[start : start + size])
        over: list[Placement] = []
        under_way: list[Placement] = []
        for record in records:
            now = await self._desk.journal.get(record.id) or record
            self._resolver.start(now)
            if record.state is not PlacementState.NOT_PLACED:
                (under_way if now.state in UNFINISHED else over).append(await self._desk.placement(now))
        return tuple(over), tuple(under_way)

    async def _stale(
        self, records: list[Record], *, may_send: bool
    ) -> tuple[tuple[Placement, ...], tuple[Placement, ...]]:
        """What was prepared and never sent, as far as the journal knows: by the policy, and never without a look."""
        # Without a key its caller, who may have been told that it was not sent, cannot tell it from the next one.
        young = [
            record
            for record in records
            if record.placement.key is not None and abs(self._desk.now() - record.placement.created_at) <= SEND_UP_TO
        ]
        sendable = await self._unseen(young) if self._on_stale == "send" and may_send else []
        denied: list[Record] = []
        sent: list[Record] = []
        for record in records:
            if record in sendable:
                self._left_behind.discard(record.id)
                await self._send(record)
                sent.append(record)
            else:
                ended = "it was prepared by a process that ended, and "
                why = ended + ("not sent again after it was proven absent" if record.resends else "never sent")
                after = await self._desk.note(record, Happened.DENIED, when=[PlacementState.PREPARED], reason=why)
                denied.append(after)
                self._left_behind.discard(record.id)
                if after.watch_until is not None:  # it was sent before that
                    self._resolver.start(after)
        return await self._as_they_are(denied), await self._as_they_are(sent)

    async def _unseen(self, records: list[Record]) -> list[Record]:
        """Those of which the venue shows nothing: a journal that was restored may have forgotten that it sent one."""
        if not records:
            return []
        rounds = await self._resolver.ask(records)
        for record in records:
            if rounds[record.id].orders:
                await self._sightings.sighted(record, rounds[record.id].orders, source="recovery")
        return [record for record in records if rounds[record.id].is_negative]

    async def _send(self, record: Record) -> None:
        try:
            await self._placer.place(record.placement, key=None, send_within=5.0, timeout=PROBE_TIMEOUT)
        except OrderBridgeError as error:
            extra = log_facts(self._gateway.name, "place", client_order_id=record.placement.client_order_id)
            log.warning("what was prepared before could not be placed: %s", error, extra=extra)

    async def _as_they_are(self, records: list[Record]) -> tuple[Placement, ...]:
        return tuple([((await self._desk.journal.get(each.id)) or each).placement for each in records])

    async def _sort(self, listed: OrderList) -> tuple[tuple[Order, ...], tuple[Order, ...]]:
        """The open orders with an id of ours that the journal does not know, and those of others."""
        orphans: list[Order] = []
        foreign: list[Order] = []
        for order in listed:
            client_order_id = order.client_order_id
            known = client_order_id is not None and await self._desk.journal.find(
                gateway=self._gateway.name, client_order_id=client_order_id
            )
            if not known:
                (orphans if client_order_id is not None and is_ours(client_order_id) else foreign).append(order)
        await self._sightings.observe(listed, source="open orders")
        self._warn_of(orphans)
        return tuple(orphans), tuple(foreign)

    def _warn_of(self, orphans: Sequence[Order]) -> None:
        if orphans:
            first = datetime.fromtimestamp(min(minted_at(order.client_order_id or "") for order in orphans), UTC)
            message = "%d open orders with ids of ours are not in the journal, the first made at %s: was it restored?"
            log.warning(message, len(orphans), first, extra=log_facts(self._gateway.name, "recover"))
