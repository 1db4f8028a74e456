"""Orders that worked when they were last seen: what became of them while nobody looked (rows 23 to 25)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from orderbridge.errors import OrderNotFound
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import log_facts
from orderbridge.model.advance import Sign
from orderbridge.model.alarm import AlarmKind
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import Answer, Found, OrderList
from orderbridge.model.order import Order
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.limited import PROBE_TIMEOUT, READ_TIMEOUT, all_of, within
from orderbridge.placement.policy import together
from orderbridge.placement.scope import is_at
from orderbridge.placement.seen import with_fills
from orderbridge.placement.sightings import Sightings

# A venue that does not say for how long it shows an ended order is not concluded from before a day has passed.
_WINDOW: Final = timedelta(days=1)


class Working:
    """Settles the orders of one gateway that the journal last saw working and that are not open any more."""

    def __init__(self, desk: Desk, sightings: Sightings, gateway: OrderGateway) -> None:
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway

    async def settle(self, listed: OrderList) -> list[Order]:
        """
        Look up each order of ours that the complete list of open orders lacks; those that are over, as they are now.

        An order that the venue no longer shows, after the time for which it shows an ended one, is over: filled if
        its trades are its quantity, else cancelled with those. One that cannot be told is left as it was.
        """
        open_now = {order.identity for order in listed}
        unreadable = {row.order_id for row in listed.bad_rows}
        if None in unreadable:
            return []  # any of them may be a row that could not be read at all
        working = await self._desk.journal.working(self._gateway.name)
        gone = [order for order in working if order.identity not in open_now and order.order_id not in unreadable]
        missing = [order for order in gone if await self._is_ours(order)]
        ended: list[Order] = []
        size = together(self._gateway.capabilities)
        for start in range(0, len(missing), size):
            ended += await self._look_up(missing[start : start + size])
        return ended

    async def _is_ours(self, order: Order) -> bool:
        """Whether a placement made at this very address and mode is behind an order."""
        if order.client_order_id is None:
            return False
        found = await self._desk.journal.find(gateway=self._gateway.name, client_order_id=order.client_order_id)
        return any(is_at(record, self._gateway) for record in found)

    async def _look_up(self, orders: list[Order]) -> list[Order]:
        result = await within(self._gateway.lookup(*orders, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
        shown = await self._sightings.observe(result.orders, source="recovery")
        ended = [order for order in shown if order.is_done]
        for order in orders:
            found = result[order]
            if found.proven_absent:
                message = f"{order.order_id} was open, and the venue says now that there is no such order"
                self._desk.alarm(AlarmKind.LOST, message, order=order, gateway=self._gateway.name)
            elif not found.orders and self._is_silence(found) and self._is_past_window(order):
                ended += await self._conclude(order)
        return ended

    def _is_silence(self, found: Found) -> bool:
        """Whether the venue answered, and showed nothing: an error or a time that ran out is no answer."""
        # Where it could be searched only in part, its trades must still be read, and they are.
        silent = {Answer.NOT_SEEN, *([Answer.PARTLY_SEARCHED] if self._gateway.capabilities.fills else [])}
        return bool(found.answers) and set(found.answers.values()) <= silent

    async def _conclude(self, order: Order) -> list[Order]:
        """An order that is not shown any more, by its trades; none while they cannot be told."""
        fills: list[Fill] = []
        extra = log_facts(self._gateway.name, "recover", order_id=order.order_id)
        try:
            if self._gateway.capabilities.fills:
                fills = await within(all_of(self._gateway.fills(order, timeout=PROBE_TIMEOUT)), READ_TIMEOUT)
        except OrderNotFound:
            pass  # no trades under this id, which is an answer
        except Exception as error:  # noqa: BLE001 - a third party's adapter may raise anything; it is no answer
            log.warning("what became of %s is not known: %s", order.order_id, error, extra=extra)
            return []
        if self._gateway.capabilities.fills:
            await self._desk.journal.observe([with_fills(order, fills, at=self._desk.now())])
        over = await self._desk.journal.sign(order, Sign.GONE)
        return [] if over is None else [over]

    def _is_past_window(self, order: Order) -> bool:
        window = self._gateway.capabilities.visibility_after_end
        seen = order.observed_at or order.updated_at or order.created_at
        return seen is None or self._desk.now() - seen > (_WINDOW if window is None else window)
