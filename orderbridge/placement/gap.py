"""
A journal that came back older than it was: what it lost may have been sent, so its venue is looked at first.

A key whose record is lost looks free. Where an order of before fits what it asks for now, nothing is sent, and a person
decides; where the venue has none, the key is as free as it looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from orderbridge.client_ids import is_ours, minted_at
from orderbridge.errors import NotSent, VenueUnavailable
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import log_facts
from orderbridge.model.advance import with_fills
from orderbridge.model.fill import Fill
from orderbridge.model.order import Identity, Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.words import PlacementState
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.fingerprint import SKEW, disagreements
from orderbridge.placement.journal import Gap
from orderbridge.placement.limited import PROBE_TIMEOUT, READ_TIMEOUT, all_of, open_orders_of, within
from orderbridge.placement.probe import IDS_MAY_BE_LEFT_OUT
from orderbridge.placement.sightings import Sightings
from orderbridge.placement.states import Record

# An id is made a while before it is written down.
_BEFORE: Final = timedelta(seconds=60)
# Trades are shown later than that an order is not open any more.
_BETWEEN_ROUNDS: Final = 5.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 30.0


class Lost:
    """
    Looks for what a journal lost of one gateway.

    Args:
        horizon: seconds after which an order that was accepted is certainly shown.
    """

    def __init__(self, desk: Desk, sightings: Sightings, gateway: OrderGateway, *, horizon: float) -> None:
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway
        self._horizon = horizon
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._why: dict[str, str] = {}

    async def orders_like(self, record: Record, *, seconds: float) -> list[Order]:
        """
        Orders that a lost placement of the same key may have made, before a new one is stored; none where none can be.

        Raises:
            NotSent: the venue was not looked at within so many seconds; that goes on.
        """
        placement = record.placement
        gap = None if placement.key is None else await self._gap(record)
        if gap is None:
            return []
        known = await self._desk.journal.find(gateway=placement.gateway, key=placement.key)
        if any(each.placement.created_at >= gap.told for each in known):
            return []  # the key was looked at since, or a person decided
        held = [each for each in known if each.placement.holds_key]
        if held and held[0].state is not PlacementState.PREPARED:
            return []
        gap = await self._looked(record, gap, seconds)
        return [] if held else [order for order in gap.found or () if self._fits(record, order)]

    async def check_unsent(self, record: Record, *, seconds: float) -> None:
        """NotSent: what is called prepared may have been sent, as the venue was not looked at yet."""
        if record.state is PlacementState.PREPARED:
            gap = await self._gap(record)
            if gap is not None and record.placement.created_at < gap.told:
                await self._looked(record, gap, seconds)

    async def aclose(self) -> None:
        """Stop looking; the next start looks again."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _gap(self, record: Record) -> Gap | None:
        gap = await gap_of(self._desk, self._gateway.name, record.placement.request.symbol)
        is_over = gap is not None and (self._desk.now() - gap.told).total_seconds() > self._desk.watch_for
        return None if is_over else gap

    async def _looked(self, record: Record, gap: Gap, seconds: float) -> Gap:
        """What was lost, once the venue was looked at for it."""
        symbol = record.placement.request.symbol
        if gap.found is None:
            look = self._looks.get(symbol)
            if look is None or look.done():
                self._why[symbol] = "it is being asked"
                look = self._looks[symbol] = asyncio.ensure_future(self._look(symbol, gap))
            await asyncio.wait([look], timeout=seconds)
            gap = await self._gap(record) or gap
        if gap.found is None:
            raise NotSent(
                f"nothing was sent: the journal lost what was written up to {gap.until:%Y-%m-%d %H:%M:%S} UTC, and "
                f"the venue is looked at first for what was sent then: {self._why[symbol]}",
                gateway=self._gateway.name,
                operation="place",
            )
        return gap

    async def _look(self, symbol: str, gap: Gap) -> None:
        """Look until it is done, not before all that was accepted is certainly shown."""
        wait = (gap.until - self._desk.now()).total_seconds() + self._horizon
        while True:
            if wait > 0:
                self._why[symbol] = f"not before {wait:.0f} s from now"
                await asyncio.sleep(wait)
            self._why[symbol] = "it is being asked"
            try:
                first = await self._read(symbol, gap)
                await asyncio.sleep(min(self._horizon, _BETWEEN_ROUNDS))
                shown = first | await self._read(symbol, gap)
                # Some may be of placements that the journal knows, and settle them.
                await self._sightings.observe(shown.values(), source="a look for what was lost")
                await gap_found(self._desk, self._gateway.name, symbol, gap, list(shown.values()))
                return
            except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; nothing is placed
                self._why[symbol] = str(error)
                extra = log_facts(self._gateway.name, "recover")
                log.warning("what the journal lost could not be looked for, and is again: %s", error, extra=extra)
            wait = min(_LONGEST_RETRY, max(_FIRST_RETRY, 2 * wait))

    async def _read(self, symbol: str, gap: Gap) -> dict[Identity, Order]:
        """The orders that may have been made then, open and ended; whatever the gateway raises."""
        gateway, since = self._gateway, gap.since - _BEFORE
        listed = await open_orders_of(gateway, [symbol], as_of=self._desk.now(), timeout=PROBE_TIMEOUT)
        if listed.bad_rows:
            raise VenueUnavailable(f"{len(listed.bad_rows)} rows of the open orders could not be read")
        orders = [order for order in listed if order.symbol == symbol]
        if gateway.capabilities.history:
            made = gateway.orders(since=since, symbol=symbol, timeout=PROBE_TIMEOUT)
            orders += await within(all_of(made), READ_TIMEOUT)
        if gateway.capabilities.fills:
            traded = gateway.fills(since=since, symbol=symbol, timeout=PROBE_TIMEOUT)
            known = {order.order_id for order in orders}
            orders += await self._traded(await within(all_of(traded), READ_TIMEOUT), known)
        return {order.identity: order for order in orders if self._is_of(gap, order)}

    async def _traded(self, fills: Sequence[Fill], known: set[str]) -> list[Order]:
        """The orders of trades that nothing else showed: looked up, or as far as the trades tell."""
        by_order: dict[str, list[Fill]] = {}
        for fill in fills:
            if fill.order_id not in known:
                by_order.setdefault(fill.order_id, []).append(fill)
        orders = []
        for order_id, trades in by_order.items():
            ref = OrderRef(gateway=self._gateway.name, order_id=order_id, symbol=trades[0].symbol)
            found = await within(self._gateway.lookup(ref, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
            fill = trades[0]
            told = Order(
                venue=fill.venue,
                account=fill.account,
                order_id=order_id,
                client_order_id=fill.client_order_id,
                symbol=fill.symbol,
                side=fill.side,
            )
            orders += list(found.orders) or [with_fills(told, trades, at=self._desk.now())]
        return orders

    def _is_of(self, gap: Gap, order: Order) -> bool:
        """Whether an order may have been made in the time that was lost."""
        if order.client_order_id is not None and is_ours(order.client_order_id):
            made = minted_at(order.client_order_id)
            return (gap.since - _BEFORE).timestamp() <= made <= gap.until.timestamp() + 1
        return order.created_at is None or gap.since - SKEW - _BEFORE <= order.created_at <= gap.until + SKEW

    def _fits(self, record: Record, order: Order) -> bool:
        request, client_order_id = record.placement.request, order.client_order_id
        if client_order_id is None:
            may_be_ours = self._gateway.capabilities.idempotency in IDS_MAY_BE_LEFT_OUT or order.quantity is None
        else:
            may_be_ours = is_ours(client_order_id) or client_order_id == request.client_order_id
        filled, size = order.filled_quantity, request.quantity
        return (
            may_be_ours
            and not disagreements(request, order, since=None)
            and (filled is None or size is None or filled <= size)
        )


async def gap_of(desk: Desk, gateway: str, symbol: str) -> Gap | None:
    """What the journal lost, and what a look at the venue found; a journal of another kind loses nothing."""
    gap = getattr(desk.journal, "gap", None)
    return None if gap is None else await gap(gateway, symbol)


async def gap_found(desk: Desk, gateway: str, symbol: str, gap: Gap, found: Sequence[Order]) -> None:
    """Store what a look at the venue found."""
    await desk.journal.gap_found(gateway, symbol, gap, found)  # type: ignore[attr-defined]
