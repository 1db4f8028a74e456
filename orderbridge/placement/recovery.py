"""What is done at start: settle what was in flight, adopt what is ours, leave alone what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field

from orderbridge.client_ids import is_ours
from orderbridge.errors import OrderBridgeError
from orderbridge.gateway import OrderGateway, failure_of
from orderbridge.model.base import VenueModel
from orderbridge.model.lookup import Failure
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.words import PlacementState
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.placer import Placer
from orderbridge.placement.resolver import TOGETHER, Resolver
from orderbridge.placement.states import UNFINISHED, Happened, Record

# Under `on_stale="send"`: what was prepared longer ago is denied all the same.
SEND_UP_TO: Final = timedelta(seconds=60)
_READ_TIMEOUT: Final = 15.0
Stale = Literal["deny", "send"]


class RecoveryReport(VenueModel):
    """
    What a recovery found and did.

    Attributes:
        settled, uncertain: placements that were under way, and those that still are; the latter are probed on.
        denied, sent: placements that were prepared and never sent, by what `on_stale` made of them.
        orphans: open orders with an id of ours that the journal did not know; it does now. `foreign`: those of
            others, left alone.
        unreachable: gateways whose recovery is not finished; placing there waits, and it is tried again.
    """

    settled: tuple[Placement, ...] = ()
    uncertain: tuple[Placement, ...] = ()
    denied: tuple[Placement, ...] = ()
    sent: tuple[Placement, ...] = ()
    orphans: tuple[Order, ...] = ()
    foreign: tuple[Order, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)

    def __add__(self, other: RecoveryReport) -> RecoveryReport:
        return RecoveryReport(
            settled=self.settled + other.settled,
            uncertain=self.uncertain + other.uncertain,
            denied=self.denied + other.denied,
            sent=self.sent + other.sent,
            orphans=self.orphans + other.orphans,
            foreign=self.foreign + other.foreign,
            unreachable={**self.unreachable, **other.unreachable},
        )


class Recovery:
    """The recovery of one gateway; it may be run again."""

    def __init__(
        self, desk: Desk, gateway: OrderGateway, *, placer: Placer, resolver: Resolver, on_stale: Stale
    ) -> None:
        self._desk = desk
        self._gateway = gateway
        self._placer = placer
        self._resolver = resolver
        self._on_stale = on_stale

    async def run(self) -> RecoveryReport:
        """
        Take over what nobody works on, ask about it once, and read the open orders.

        Raises:
            JournalError: nothing can be told from the journal. An unreachable venue is in the report.
        """
        desk, name = self._desk, self._gateway.name
        if not self._gateway.capabilities.order_types:
            return RecoveryReport()  # nothing can be placed here, so nothing was
        prepared, probed = [], []
        for record in await desk.journal.find(gateway=name, states=[*UNFINISHED, PlacementState.NOT_PLACED]):
            left_behind = record.owner != desk.owner
            if record.state is PlacementState.NOT_PLACED and not self._is_watched(record):
                continue
            if (taken := await desk.take(record)) is None:
                desk.watch(record)
            elif taken.state is not PlacementState.PREPARED:
                probed.append(taken)
            elif left_behind:
                prepared.append(taken)
        settled, uncertain = await self._probe(probed)
        denied, sent = await self._stale(prepared)
        orphans, foreign, unreachable = await self._open_orders()
        return RecoveryReport(
            settled=settled,
            uncertain=uncertain,
            denied=denied,
            sent=sent,
            orphans=orphans,
            foreign=foreign,
            unreachable=unreachable,
        )

    def _is_watched(self, record: Record) -> bool:
        return record.watch_until is not None and record.watch_until > self._desk.now()

    async def _probe(self, records: list[Record]) -> tuple[tuple[Placement, ...], tuple[Placement, ...]]:
        together = self._gateway.capabilities.lookup_batch or TOGETHER
        uncertain = [record for record in records if record.state is not PlacementState.NOT_PLACED]
        for start in range(0, len(uncertain), together):
            await self._resolver.round(uncertain[start : start + together])
        over: list[Placement] = []
        under_way: list[Placement] = []
        for record in records:
            now = await self._desk.journal.get(record.id) or record
            self._resolver.start(now)
            if record.state is not PlacementState.NOT_PLACED:
                (under_way if now.state in UNFINISHED else over).append(await self._desk.placement(now))
        return tuple(over), tuple(under_way)

    async def _stale(self, records: list[Record]) -> tuple[tuple[Placement, ...], tuple[Placement, ...]]:
        denied, sent = [], []
        for record in records:
            young = self._desk.now() - record.placement.created_at <= SEND_UP_TO
            if self._on_stale == "send" and young:
                await self._send(record)
                sent.append(record)
            else:
                why = "it was prepared by a process that ended, and never sent"
                await self._desk.note(record, Happened.DENIED, when=[PlacementState.PREPARED], reason=why)
                denied.append(record)
        return await self._as_they_are(denied), await self._as_they_are(sent)

    async def _send(self, record: Record) -> None:
        try:
            await self._placer.place(record.placement, key=None, send_within=5.0, timeout=_READ_TIMEOUT)
        except OrderBridgeError as error:
            log.warning("what was prepared before could not be placed: %s", error)

    async def _as_they_are(self, records: list[Record]) -> tuple[Placement, ...]:
        return tuple([((await self._desk.journal.get(each.id)) or each).placement for each in records])

    async def _open_orders(self) -> tuple[tuple[Order, ...], tuple[Order, ...], dict[str, Failure]]:
        try:
            listed = await self._gateway.open_orders(timeout=_READ_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything
            return (), (), {self._gateway.name: failure_of(error)}
        orphans: list[Order] = []
        foreign: list[Order] = []
        for order in listed:
            client_order_id = order.client_order_id
            known = client_order_id is not None and await self._desk.journal.find(
                gateway=self._gateway.name, client_order_id=client_order_id
            )
            if known:
                continue
            (orphans if client_order_id is not None and is_ours(client_order_id) else foreign).append(order)
        await self._desk.observe(listed, source="open orders")
        return tuple(orphans), tuple(foreign), {}
