"""
Observations of orders, and what they mean for the placements: by a reply, a read, or the caller's own stream.

Reads pass through here on their way to the caller: what they show is stored, and they do not wait for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from orderbridge.client_ids import is_ours
from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState
from orderbridge.model.lifecycle import Sign, advance, contradiction, say_the_same, with_fills
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.placement import AlarmKind
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.placement.ledger import Ledger, log, note_known
from orderbridge.placement.states import UNSETTLED, Happened, Record
from orderbridge.screening import SKEW, completed, disagreements

T = TypeVar("T")
# How often it is stored that an order was seen again as it was, and of how many that is told.
_SEEN_AGAIN: Final = timedelta(seconds=60)
_MOST_SEEN: Final = 10_000
# Orders of a page that are asked for before everything else has its turn.
_IN_A_TURN: Final = 64
# What an order that shows up contradicts: a verdict that there is none, or that it was never sent.
_CONTRADICTED: Final = {
    PlacementState.NOT_PLACED: "an order appeared after it was proven absent",
    PlacementState.REJECTED: "an order appeared although the venue refused it",
    PlacementState.DENIED: "an order appeared although it was denied here",
    PlacementState.PREPARED: "an order appeared although it was not sent",
}


class Observations:
    """Stores what is seen of orders, and lets it settle the placements that they are of."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # Where no look at the journal is needed: orders whose placement is placed with them, ids of no placement.
        self._settled: set[Identity] = set()
        self._foreign: set[tuple[str, str]] = set()
        self._doubles: set[Identity] = set()
        self._told: set[tuple[Identity, str]] = set()
        self._begun = 0
        # What was seen last of orders, and what the journal made of it.
        self._seen: dict[Identity, tuple[Order, Order]] = {}
        # Told of each ghost: what the policy does about it does not depend on who saw it.
        self.on_ghost: Callable[[Record], object] | None = None

    def expect(self, record: Record) -> None:
        """A placement is about to begin: an order under its id is not nobody's from now on."""
        self._begun += 1
        self._foreign.discard((record.placement.gateway, record.placement.client_order_id or ""))

    async def observe(self, orders: Iterable[Order], *, source: str) -> list[Order]:
        """
        Store what was seen of orders, and let it settle the placements that they are of, whatever their state.

        Raises:
            JournalError: it cannot be stored.
        """
        orders = list(orders)
        known = await self._ledger.journal.observe(orders)
        for order, after in zip(orders, known, strict=False):
            self._seen.pop(identity := order.identity, None)
            self._seen[identity] = (order, after)
        while len(self._seen) > _MOST_SEEN:
            del self._seen[next(iter(self._seen))]
        self._tell_of_contradictions(known)
        by_client: dict[tuple[str, str], list[Order]] = {}
        for order in known:
            name = (order.gateway, order.client_order_id or "")
            if order.client_order_id is not None and order.identity not in self._settled and name not in self._foreign:
                by_client.setdefault(name, []).append(order)
        for count, ((gateway, client_order_id), shown) in enumerate(by_client.items(), start=1):
            if not count % _IN_A_TURN:
                await asyncio.sleep(0)
            begun = self._begun
            records = await self._ledger.journal.find(gateway=gateway, client_order_id=client_order_id)
            # A placement that began while the journal was read may not have been in it yet.
            if not records and begun == self._begun:
                note_known(self._foreign, (gateway, client_order_id))
            for record in records:
                await self.sighted(record, shown, source=source)
        return known

    def is_known(self, order: Order) -> bool:
        """
        True of an order that was seen so a moment ago: nothing can be learnt of it but that it was seen again.

        That is stored once in a while, since it is by when they were seen last that orders are told and pruned.
        """
        seen, after = self._seen.get(order.identity, (None, None))
        if seen is None or after is None or seen.observed_at is None or order.observed_at is None:
            return False
        is_nobodys = order.client_order_id is None or (order.gateway, order.client_order_id) in self._foreign
        return (
            timedelta(0) <= order.observed_at - seen.observed_at < _SEEN_AGAIN
            and (is_nobodys or order.identity in self._settled)
            and seen.evidence == order.evidence
            and say_the_same(seen, order)
            and (after is seen or say_the_same(seen, after))
        )

    def forget(self, order: Order) -> None:
        """What the journal knows of an order has changed by something else than a sighting."""
        self._seen.pop(order.identity, None)

    async def sighted(self, record: Record, orders: Sequence[Order], *, source: str) -> Record:
        """Orders were seen under a placement's id: rows 9, 10 and 14 of the table."""
        if record.state is PlacementState.PLACED:
            return await self._beside(record, orders, source=source)
        since = made_since(record)
        fitting = [order for order in orders if not disagreements(record.placement.request, order, since=since)]
        if len(fitting) > 1:  # venues forget ids, and show under one of them what was made before
            newer = [order for order in fitting if not is_older(order, record.placement.created_at)]
            fitting = newer if len(newer) == 1 else fitting
        if len(fitting) != 1:
            return await self._conflict(record, orders, several=len(fitting) > 1, source=source)
        (order,) = await self._ledger.journal.observe([completed(fitting[0], record.placement.request)])
        after = await self._ledger.note(
            record,
            Happened.FOUND,
            facts={"order_id": order.order_id, "source": source, "status": order.status},
            evidence=source,
            # Another sighting may have settled it with another order since `record` was read.
            when=UNSETTLED,
            placement={"order": order, "gave_up": False},
            watch_until=None,
        )
        if after.state is not PlacementState.PLACED:
            return after
        if record.state in _CONTRADICTED:
            self._haunted(after, order, _CONTRADICTED[record.state])
        return await self._beside(after, [order], source=source)

    async def replied(self, record: Record, after: Record, order: Order) -> Record:
        """The venue's reply to an attempt: what if the placement had been settled otherwise while it was awaited?"""
        if after.fence != record.fence:  # another process worked on it in the meantime
            events = await self._ledger.journal.events(record.id)
            verdict = next((each.after for each in reversed(events) if each.after in _CONTRADICTED), None)
            if verdict is PlacementState.NOT_PLACED:
                self._haunted(after, order, _CONTRADICTED[verdict])
        known = after.placement.order
        if known is not None and known.identity == order.identity:
            note_known(self._settled, order.identity)
            if "reply" in after.placement.evidence:
                return after
            facts = {"order_id": order.order_id}
            return await self._ledger.note(after, Happened.ACKNOWLEDGED, facts=facts, evidence="reply")
        return await self.sighted(after, [order], source="reply")

    async def _beside(self, record: Record, orders: Sequence[Order], *, source: str) -> Record:
        """Orders seen under the id of a placement that is placed: its own, or a second one."""
        known = record.placement.order
        if known is None:  # placed by a person's word, and now shown
            facts = {"order_id": orders[0].order_id, "source": source}
            shown = {"order": orders[0]}
            return await self._ledger.note(record, Happened.FOUND, facts=facts, evidence=source, placement=shown)
        request, since = record.placement.request, made_since(record)
        for order in orders:
            if order.identity == known.identity:
                note_known(self._settled, order.identity)
            elif order.identity not in self._doubles and not is_older(order, since):
                kind = AlarmKind.CONFLICT if disagreements(request, order, since=since) else AlarmKind.DOUBLE
                why = f"a second order beside {known.order_id} is shown under its id: {order.order_id}"
                record = await self._contradicted(record, why, source=source)
                if order.identity not in self._doubles:  # told by another sighting while this one was written down
                    note_known(self._doubles, order.identity)
                    self._ledger.alarm(kind, why, record=record, order=order)
        return record

    async def _conflict(self, record: Record, orders: Sequence[Order], *, several: bool, source: str) -> Record:
        request, since = record.placement.request, made_since(record)
        if several:
            why = "several orders answer to it: " + ", ".join(sorted(order.order_id for order in orders))
        else:
            order = orders[0]
            why = f"{order.order_id}: " + "; ".join(disagreements(request, order, since=since))
        if why in record.conflicts:
            return record
        after = await self._contradicted(record, why, source=source, several=several or record.several)
        kind = AlarmKind.DOUBLE if several else AlarmKind.CONFLICT
        self._ledger.alarm(kind, f"what is shown under its id does not fit: {why}", record=after, order=orders[0])
        return after

    async def _contradicted(self, record: Record, why: str, *, source: str, **changes: Any) -> Record:
        facts, conflicts = {"source": source, "why": why}, tuple(dict.fromkeys([*record.conflicts, why]))
        return await self._ledger.note(record, Happened.CONFLICT, facts=facts, conflicts=conflicts, **changes)

    def _tell_of_contradictions(self, orders: Iterable[Order]) -> None:
        """Row 32: an order that was concluded to be over is shown after all, or more of it was filled."""
        for order in orders:
            why = contradiction(order) if order.anomalies else None
            if why is not None and (order.identity, why) not in self._told:
                note_known(self._told, (order.identity, why))
                message = f"{order.order_id} was {why}"
                self._ledger.alarm(AlarmKind.GHOST, message, order=order, gateway=order.gateway)

    def _haunted(self, record: Record, order: Order, why: str) -> None:
        self._ledger.alarm(AlarmKind.GHOST, why, record=record, order=order)
        if self.on_ghost is not None:
            self.on_ghost(record)


def made_since(record: Record) -> datetime | None:
    """
    Since when an order of this placement can have been made, by its own id.

    An id of our making is not used twice, so what stands under it is not older, whatever the venue's clock says.
    """
    placement = record.placement
    if placement.client_order_id is not None and is_ours(placement.client_order_id):
        return None
    return placement.created_at


def is_older(order: Order, since: datetime | None) -> bool:
    """True if an order was certainly made before, so that it is another's: venues forget ids, and people reuse them."""
    return since is not None and order.created_at is not None and order.created_at < since - SKEW


# So many orders of a long history are stored together.
_TOGETHER: Final = 200
# How long a call that tells of placements waits for what was shown before to be stored: as long as a write may wait for
# another process.
_STORED_WITHIN: Final = 5.0
_MOST_UNSTORED: Final = 10_000


@dataclass(slots=True)
class _Shown:
    """The latest news of an order by calls, how many of them are being stored, and what could not be."""

    order: Order
    source: str
    stores: int = 0
    failed: bool = False


class Unstored:
    """
    News of orders that calls have returned and the journal does not hold yet: every later call sees it all the same.

    What could not be stored stays here, the latest `_MOST_UNSTORED` orders of it, and is tried again.
    """

    def __init__(self) -> None:
        self._shown: dict[Identity, _Shown] = {}

    def __contains__(self, order: Order) -> bool:
        return order.identity in self._shown

    def add(self, orders: Iterable[Order], source: str) -> None:
        """They were shown, and are about to be stored."""
        for order in orders:
            known = self._shown.get(order.identity)
            if known is None:
                known = self._shown[order.identity] = _Shown(order, source)
            else:
                known.order, known.source = advance(known.order, order)[0], source
            known.stores += 1

    def done(self, orders: Iterable[Order], *, stored: bool) -> None:
        """One attempt to store each of them ended."""
        for identity in [order.identity for order in orders]:
            known = self._shown.get(identity)
            if known is None:
                continue
            known.stores -= 1
            known.failed |= not stored
            if not known.failed and not known.stores:
                del self._shown[identity]
        while len(self._shown) > _MOST_UNSTORED and next(iter(self._shown.values())).failed:
            del self._shown[next(iter(self._shown))]

    def again(self) -> dict[str, list[Order]]:
        """The orders that could not be stored, by source, to be tried once more; `done` is to be called for each."""
        failed: dict[str, list[Order]] = {}
        for known in self._shown.values():
            if known.failed:
                known.failed, known.stores = False, known.stores + 1
                failed.setdefault(known.source, []).append(known.order)
        return failed

    def over(self, order: Order) -> Order:
        """An order of the journal with what was shown of it since."""
        known = self._shown.get(order.identity)
        return order if known is None else advance(order, known.order)[0]

    def named(self, *, gateway: str | None, order_id: str | None, client_order_id: str | None) -> list[Order]:
        """As `Journal.orders`, of what is here."""
        return [
            known.order
            for known in self._shown.values()
            if gateway in (None, known.order.gateway)
            and (
                known.order.order_id == order_id
                or (client_order_id is not None and known.order.client_order_id == client_order_id)
            )
        ]


class Recorder:
    """Stores in the background what the calls of a bridge and its gateways show."""

    def __init__(self, ledger: Ledger, observations: Observations) -> None:
        self._ledger = ledger
        self._observations = observations
        self._stores: set[asyncio.Task[None]] = set()
        # What iterators that are still open would store at their end.
        self._open: set[Callable[[], None]] = set()
        self.unstored = Unstored()
        ledger.over, ledger.catch_up = self.unstored.over, self.catch_up

    def orders(self, orders: Iterable[Order], *, source: str) -> None:
        """Store what a read has shown of orders."""
        orders = list(orders)
        try:
            orders = [each for each in orders if each in self.unstored or not self._observations.is_known(each)]
            self.unstored.add(orders, source)
        except Exception as error:  # noqa: BLE001 - whatever an adapter gave out, its caller gets it
            self._lost(error)
        if orders:
            self._spawn(self._store(orders, source))

    def sign(self, ref: RefLike, sign: Sign, *, gateway: str) -> None:
        """Store what is learnt of an order without being shown it."""
        self._spawn(self._sign(OrderRef.of(ref), sign, gateway), in_turn=True)

    def watching(self, listed: AsyncIterator[Order], *, source: str) -> AsyncIterator[Order]:
        """Pass orders on, and store them by the hundred."""
        held: list[Order] = []

        def store() -> None:
            self.orders(held, source=source)
            held.clear()

        def take(order: Order) -> None:
            held.append(order)
            if len(held) >= _TOGETHER:
                store()

        return self._passing(listed, take, store)

    def counting(self, listed: AsyncIterator[Fill]) -> AsyncIterator[Fill]:
        """Pass fills on, and store what they add up to per order: at least so much of it is filled."""
        sums: dict[Identity, list[Fill]] = {}

        def store() -> None:
            if sums:
                self._spawn(self._store_fills({key: list(fills) for key, fills in sums.items()}), in_turn=True)

        def take(fill: Fill) -> None:
            sums.setdefault((fill.gateway, fill.order_id, fill.symbol, fill.side), []).append(fill)

        return self._passing(listed, take, store)

    def pass_on(self) -> None:
        """Begin to store what open iterators have passed on by now."""
        for store in list(self._open):
            store()

    async def catch_up(self) -> bool:
        """Wait, not for ever, until what was shown by now is stored; whether there was anything to wait for."""
        self.pass_on()
        stores = set(self._stores)
        if stores:
            await asyncio.wait(stores, timeout=_STORED_WITHIN)
        return bool(stores)

    def store_again(self) -> None:
        """Try once more to store what could not be stored."""
        for source, orders in self.unstored.again().items():
            self._spawn(self._store(orders, source))

    async def finish(self) -> None:
        """Wait until everything is stored, what iterators that nobody closed have passed on too."""
        self.pass_on()
        self.store_again()
        while self._stores:
            # Not gathered: from Python 3.12 on that gives the loop no turn once all are done, and none is taken off.
            await asyncio.wait(self._stores)

    async def _passing(
        self, listed: AsyncIterator[T], take: Callable[[T], None], store: Callable[[], None]
    ) -> AsyncIterator[T]:
        self._open.add(store)
        try:
            async with ending(listed) as items:
                async for item in items:
                    take(item)
                    yield item
        finally:
            self._open.discard(store)
            store()

    def _spawn(self, work: Coroutine[Any, Any, None], *, in_turn: bool = False) -> None:
        """`in_turn`: it changes what is stored, so what was seen before must be stored by then."""
        earlier = set(self._stores) if in_turn else set()
        task = asyncio.ensure_future(self._guarded(work, earlier))
        self._stores.add(task)
        task.add_done_callback(self._stores.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], earlier: set[asyncio.Task[None]]) -> None:
        try:
            if earlier:
                await asyncio.wait(earlier)
            await work
        except JournalError as error:
            log.warning("what was seen of orders could not be stored: %s", error)
        except Exception as error:  # noqa: BLE001 - a defect here must not pass in silence
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self._ledger.alarm(AlarmKind.BACKGROUND, f"what was seen of orders was lost: {type(error).__name__}: {error}")

    async def _store(self, orders: Sequence[Order], source: str) -> None:
        stored = False
        try:
            await self._observations.observe(orders, source=source)
            stored = True
        finally:
            self.unstored.done(orders, stored=stored)

    async def _sign(self, ref: OrderRef, sign: Sign, gateway: str) -> None:
        # By the venue's id alone where it is known: another order may have been made under the same client id.
        client_order_id = None if ref.order_id is not None else ref.client_order_id or ref.id
        known = await self._ledger.journal.orders(
            gateway=gateway, order_id=ref.order_id or ref.id, client_order_id=client_order_id
        )
        for order in known:
            if ref.symbol in (None, order.symbol):
                self._observations.forget(order)
                await self._ledger.journal.sign(order, sign)

    async def _store_fills(self, sums: dict[Identity, list[Fill]]) -> None:
        for identity, fills in sums.items():
            order = await self._ledger.last_known(identity)
            if order is not None:
                await self._observations.observe([with_fills(order, fills, at=self._ledger.now())], source="fills")


@asynccontextmanager
async def ending(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """An iterator, closed in the end if it can be: leaving a loop over it early would leave that to chance."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
