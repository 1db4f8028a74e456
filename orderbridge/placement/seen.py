"""Reads pass through here on their way to the caller: what they show is stored, and they do not wait for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, TypeVar

from orderbridge.errors import JournalError
from orderbridge.model.lifecycle import Sign, with_fills
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.placement import AlarmKind
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.sightings import Sightings

T = TypeVar("T")
# So many orders of a long history are stored together.
_TOGETHER: Final = 200
# How long a call that tells of placements waits for what was shown before to be stored: as long as a write may wait for
# another process.
_STORED_WITHIN: Final = 5.0


class Seen:
    """Stores in the background what the calls of a bridge and its gateways show."""

    def __init__(self, desk: Desk, sightings: Sightings) -> None:
        self._desk = desk
        self._sightings = sightings
        self._stores: set[asyncio.Task[None]] = set()
        # What iterators that are still open would store at their end.
        self._open: set[Callable[[], None]] = set()
        desk.catch_up = self.catch_up

    def orders(self, orders: Iterable[Order], *, source: str) -> None:
        """Store what a read has shown of orders."""
        orders = list(orders)
        if orders:
            try:
                self._desk.unstored.add(orders, source)
            except Exception as error:  # noqa: BLE001 - whatever an adapter gave out, its caller gets it
                self._lost(error)
            self._spawn(self._store(orders, source))

    def sign(self, ref: RefLike, sign: Sign, *, gateway: str) -> None:
        """Store what is learnt of an order without being shown it."""
        self._spawn(self._sign(OrderRef.of(ref), sign, gateway), in_turn=True)

    async def watching(self, listed: AsyncIterator[Order], *, source: str) -> AsyncIterator[Order]:
        """Pass orders on, and store them by the hundred."""
        held: list[Order] = []

        def store() -> None:
            self.orders(held, source=source)
            held.clear()

        with self._storing(store):
            async with ending(listed) as items:
                async for order in items:
                    held.append(order)
                    if len(held) >= _TOGETHER:
                        store()
                    yield order

    async def counting(self, listed: AsyncIterator[Fill]) -> AsyncIterator[Fill]:
        """Pass fills on, and store what they add up to per order: at least so much of it is filled."""
        sums: dict[Identity, list[Fill]] = {}

        def store() -> None:
            if sums:
                self._spawn(self._store_fills({key: list(fills) for key, fills in sums.items()}), in_turn=True)

        with self._storing(store):
            async with ending(listed) as items:
                async for fill in items:
                    order = fill.gateway, fill.order_id, fill.symbol, fill.side
                    sums.setdefault(order, []).append(fill)
                    yield fill

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
        for source, orders in self._desk.unstored.again().items():
            self._spawn(self._store(orders, source))

    async def finish(self) -> None:
        """Wait until everything is stored, what iterators that nobody closed have passed on too."""
        self.pass_on()
        self.store_again()
        while self._stores:
            await asyncio.gather(*self._stores, return_exceptions=True)

    @contextmanager
    def _storing(self, store: Callable[[], None]) -> Iterator[None]:
        self._open.add(store)
        try:
            yield
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
        self._desk.alarm(AlarmKind.BACKGROUND, f"what was seen of orders was lost: {type(error).__name__}: {error}")

    async def _store(self, orders: Sequence[Order], source: str) -> None:
        stored = False
        try:
            await self._sightings.observe(orders, source=source)
            stored = True
        finally:
            self._desk.unstored.done(orders, stored=stored)

    async def _sign(self, ref: OrderRef, sign: Sign, gateway: str) -> None:
        # By the venue's id alone where it is known: another order may have been made under the same client id.
        client_order_id = None if ref.order_id is not None else ref.client_order_id or ref.id
        known = await self._desk.journal.orders(
            gateway=gateway, order_id=ref.order_id or ref.id, client_order_id=client_order_id
        )
        for order in known:
            if ref.symbol in (None, order.symbol):
                await self._desk.journal.sign(order, sign)

    async def _store_fills(self, sums: dict[Identity, list[Fill]]) -> None:
        for identity, fills in sums.items():
            known = await self._desk.journal.orders(gateway=identity[0], order_id=identity[1])
            order = next((each for each in known if each.identity == identity), None)
            if order is not None:
                await self._sightings.observe([with_fills(order, fills, at=self._desk.now())], source="fills")


@asynccontextmanager
async def ending(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """An iterator, closed in the end if it can be: leaving a loop over it early would leave that to chance."""
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
