"""
A journal that came back older than it was: what it lost may have been sent, so its venue is looked at first.

A key whose record is lost looks free, and may ask for something else by now. While an order of that time with an id of
ours is no placement's, no new key of its symbol and side is sent, and a person decides; where the venue has none, the
key is as free as it looks. That ends with a look, or with a person's word, never with time.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, NamedTuple

from orderbridge.client_ids import is_ours, minted_at
from orderbridge.errors import NotSent, VenueUnavailable
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import log_facts
from orderbridge.model.basics import OrderType, PlacementState
from orderbridge.model.order import Identity, Order
from orderbridge.placement.journal import Gap
from orderbridge.placement.ledger import Ledger, log
from orderbridge.placement.observations import Observations
from orderbridge.placement.probe import PROBE_TIMEOUT, READ_TIMEOUT, as_shown, open_orders_of, steadily, traded_orders
from orderbridge.placement.states import Record
from orderbridge.screening import SKEW, disagreements

# An id is made a while before it is written down.
_BEFORE: Final = timedelta(seconds=60)
# Trades are shown later than that an order is not open any more.
_BETWEEN_ROUNDS: Final = 5.0
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 30.0


class Suspects(NamedTuple):
    """
    Orders that a lost placement of the same key may have made.

    Attributes:
        orders: that the venue shows. `waits`: one that waits for its trigger, which the venue may not show.
        held: the placement that has the key, if one does; it is prepared.
    """

    orders: tuple[Order, ...]
    waits: bool
    held: Record | None

    @property
    def names(self) -> tuple[str, ...]:
        """As a record keeps them."""
        return (*(order.order_id for order in self.orders), *([""] if self.waits else []))


class Lost:
    """
    Looks for what a journal lost of one gateway.

    Args:
        horizon: seconds after which an order that was accepted is certainly shown.
    """

    def __init__(self, ledger: Ledger, observations: Observations, gateway: OrderGateway, *, horizon: float) -> None:
        self._ledger = ledger
        self._observations = observations
        self._gateway = gateway
        self._horizon = horizon
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._why: dict[str, str] = {}

    async def suspects(self, record: Record, gap: Gap, *, seconds: float) -> Suspects | None:
        """
        Orders of a lost placement of the same key, before this one is stored or sent; None where none can be.

        Raises:
            NotSent: the venue was not looked at within so many seconds; that goes on.
        """
        if record.placement.key is None and record.state is not PlacementState.PREPARED:
            return None
        _, held = await self._known(record)
        is_new = record.placement.key is None and record.placement.created_at >= gap.told
        if is_new or (held is not None and held.state is not PlacementState.PREPARED):
            return None
        gap = await self._looked(record, gap, seconds)
        # Known ones were observed in the look, which may have settled what is called prepared here.
        known, held = await self._known(record)
        if held is not None and held.state is not PlacementState.PREPARED:
            return None
        decided = {name for each in known if each.state is PlacementState.NOT_PLACED for name in each.lost}
        orders = [each for each in gap.found or () if each.order_id not in decided and self._may_be(record, each)]
        orders.sort(key=lambda order: bool(disagreements(record.placement.request, order, since=None)))
        suspects = Suspects(tuple(orders), record.placement.request.type in gap.may_lack, held)
        return suspects if suspects.names else None

    async def _known(self, record: Record) -> tuple[list[Record], Record | None]:
        """The placements of a key as they stand now, and which holds it; or what was prepared without one."""
        placement, journal = record.placement, self._ledger.journal
        if placement.key is None:
            now = await journal.get(record.id) or record
            return [now], now
        known = await journal.find(gateway=placement.gateway, key=placement.key)
        return known, next((each for each in known if each.placement.holds_key), None)

    async def aclose(self) -> None:
        """Stop looking; the next start looks again."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _looked(self, record: Record, gap: Gap, seconds: float) -> Gap:
        """The gap of what was lost, once the venue was looked at for it."""
        symbol = record.placement.request.symbol
        if gap.found is None:
            look = self._looks.get(symbol)
            if look is None or look.done():
                self._why[symbol] = "it is being asked"
                look = self._looks[symbol] = asyncio.ensure_future(self._look(symbol, gap))
            await asyncio.wait([look], timeout=seconds)
            gap = await self._ledger.journal.gap(self._gateway.name, symbol) or gap
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
        wait = (gap.until - self._ledger.now()).total_seconds() + self._horizon
        while True:
            if wait > 0:
                self._why[symbol] = f"not before {wait:.0f} s from now"
                await asyncio.sleep(wait)
            self._why[symbol] = "it is being asked"
            try:
                first, left_out = await self._read(symbol, gap)
                await asyncio.sleep(min(self._horizon, _BETWEEN_ROUNDS))
                second, also_left_out = await self._read(symbol, gap)
                shown = first | second
                # Some may be of placements that the journal knows, whenever those were made, and settle them.
                await self._observations.observe(shown.values(), source="a look for what was lost")
                found = [order for order in shown.values() if self._is_of(gap, order)]
                await self._ledger.journal.gap_found(self._gateway.name, symbol, gap, found, left_out | also_left_out)
                return
            except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; nothing is placed
                self._why[symbol] = str(error)
                extra = log_facts(self._gateway.name, "recover")
                log.warning("what the journal lost could not be looked for, and is again: %s", error, extra=extra)
            wait = min(_LONGEST_RETRY, max(_FIRST_RETRY, 2 * wait))

    async def _read(self, symbol: str, gap: Gap) -> tuple[dict[Identity, Order], frozenset[OrderType]]:
        """Read all that the venue shows, open and ended, and what it may leave out; whatever the gateway raises."""
        gateway, since = self._gateway, gap.since - _BEFORE
        listed = await open_orders_of(gateway, [symbol], as_of=self._ledger.now(), timeout=PROBE_TIMEOUT)
        if listed.bad_rows:
            raise VenueUnavailable(f"{len(listed.bad_rows)} rows of the open orders could not be read")
        orders = [order for order in listed if order.symbol == symbol]
        if gateway.capabilities.history:
            made = gateway.orders(since=since, symbol=symbol, timeout=PROBE_TIMEOUT)
            orders += await steadily(made)
        if gateway.capabilities.fills:
            traded = gateway.fills(since=since, symbol=symbol, timeout=PROBE_TIMEOUT)
            known = {order.order_id for order in orders}
            strange = [fill for fill in await steadily(traded) if fill.order_id not in known]
            lacking = traded_orders(strange, at=self._ledger.now())
            orders += await as_shown(gateway, lacking, timeout=READ_TIMEOUT)
        return {order.identity: order for order in orders}, listed.may_lack

    def _is_of(self, gap: Gap, order: Order) -> bool:
        """True if an order may have been made in the time that was lost."""
        ours = order.client_order_id if order.client_order_id and is_ours(order.client_order_id) else None
        if ours and (gap.since - _BEFORE).timestamp() <= minted_at(ours) <= gap.until.timestamp() + 1:
            return True
        if order.created_at is None:
            return ours is None
        return gap.since - SKEW - _BEFORE <= order.created_at <= gap.until + SKEW

    def _may_be(self, record: Record, order: Order) -> bool:
        """True if a lost placement of this key may have made an order, whatever it asked for."""
        request, client_order_id = record.placement.request, order.client_order_id
        if order.side is not request.side:
            return False
        if client_order_id is None and not self._gateway.capabilities.ids_are_unique:
            return True
        if client_order_id is not None and (is_ours(client_order_id) or client_order_id == request.client_order_id):
            return True
        if client_order_id is None:
            may_be_ours = order.quantity is None  # rebuilt from its trades, which need not tell it
        else:
            may_be_ours = request.client_order_id is not None and not is_ours(request.client_order_id)
        filled, size = order.filled_quantity, request.quantity
        return (
            may_be_ours
            and not disagreements(request, order, since=None)
            and (filled is None or size is None or filled <= size)
        )
