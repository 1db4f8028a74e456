"""Orders that worked when they were last seen: what became of them while nobody looked (rows 23 to 25)."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from orderbridge.errors import OrderNotFound
from orderbridge.gateway import OrderGateway
from orderbridge.http.session import log_facts
from orderbridge.model.lifecycle import Followed, Lack, lacking, may_be_left_out
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.placement import AlarmKind
from orderbridge.model.results import Answer, Found, OrderList
from orderbridge.placement.desk import Desk, log, note_known
from orderbridge.placement.limited import PROBE_TIMEOUT, READ_TIMEOUT, all_of, within
from orderbridge.placement.policy import together
from orderbridge.placement.scope import is_at
from orderbridge.placement.sightings import Sightings

# Whatever the clock's grain, the next look begins after the settle time.
_PAST: Final = timedelta(milliseconds=10)


class Working:
    """
    Settles the orders of one gateway that the journal last saw working and that are not open any more.

    Attributes:
        due: when to look at them again: some are lacking and nothing is concluded of them yet, or somebody asks how
            they stand. None for never.
    """

    def __init__(self, desk: Desk, sightings: Sightings, gateway: OrderGateway) -> None:
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway
        self._settle_time = gateway.settle_time
        self.due: datetime | None = None
        self._looked: datetime | None = None
        self._followed = Followed(lambda: asyncio.get_running_loop().time())
        self._lost: set[Identity] = set()

    def look_soon(self) -> None:
        """Somebody asks how orders stand, and is told what is known: that they are looked at, at times."""
        if self.due is None:
            now, pause = self._desk.now(), timedelta(seconds=self._settle_time)
            self.due = now if self._looked is None else min(max(now, self._looked + pause), now + pause)

    async def ours(self) -> list[Order]:
        """The orders placed at this very address and mode that were working when they were last seen."""
        working = await self._desk.journal.working(self._gateway.name)
        return [order for order in working if await self._is_ours(order)]

    async def settle(self, listed: OrderList) -> list[Order]:
        """
        Look up each order of ours that the complete list of open orders lacks; those that are over, as they are now.

        An order that the venue no longer shows is over once it has been lacking for the settle time: filled if its
        trades are its quantity, which is told at once, else cancelled with those. One that cannot be told is left as
        it was, and looked at again.
        """
        self.due = None
        try:
            return await self._settle(listed)
        except BaseException:
            self.look_soon()
            raise

    async def _settle(self, listed: OrderList) -> list[Order]:
        open_now = {order.identity for order in listed}
        unreadable = {row.order_id for row in listed.bad_rows}
        ours = await self.ours()
        if ours:
            self._looked = self._desk.now()
        if None in unreadable:
            self.look_soon()
            return []  # any of them may be a row that could not be read at all
        missing = [order for order in ours if order.identity not in open_now and order.order_id not in unreadable]
        ended: list[Order] = []
        size = together(self._gateway.capabilities)
        for start in range(0, len(missing), size):
            ended += await self._look_up(missing[start : start + size], listed)
        return ended

    async def _is_ours(self, order: Order) -> bool:
        """Whether a placement made at this very address and mode is behind an order."""
        if order.client_order_id is None:
            return False
        found = await self._desk.journal.find(gateway=self._gateway.name, client_order_id=order.client_order_id)
        return any(is_at(record, self._gateway) for record in found)

    async def _look_up(self, orders: list[Order], listed: OrderList) -> list[Order]:
        # A gateway that knows what its venue has shown concludes by itself.
        self._gateway.remember(orders)
        began = self._desk.now(), self._followed.elapsed()
        result = await within(self._gateway.lookup(*orders, timeout=PROBE_TIMEOUT), PROBE_TIMEOUT)
        shown = await self._sightings.observe(result.orders, source="recovery")
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
            self._desk.alarm(AlarmKind.LOST, message, order=order, gateway=self._gateway.name)

    def _is_silence(self, found: Found) -> bool:
        """Whether the venue answered, and showed nothing: an error or a time that ran out is no answer."""
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
            shown = await self._sightings.observe(again.orders, source="recovery")
            return [each for each in shown if each.is_done]
        why = [] if self._is_silence(again) else ["the second look-up was not answered"]
        if not fills and may_be_left_out(order, listed.may_lack):
            why.append("the open orders may leave out what waits for its trigger")
        evidence = ("look-up: not shown", "open orders: not among them", f"fills: {len(fills)}")
        ended = self._desk.now()
        lived = self._followed.lived(order, began=began_at, ended=ended)
        lack = Lack(began, ended, lived, fills, tuple(why), evidence)
        told, reason = lacking(order, lack, settle_time=self._settle_time)
        if reason:
            log.info("%s is not shown, and what became of it is not known yet: %s", order.order_id, reason, extra=extra)
        known = await self._sightings.observe([told], source="recovery")
        for each in known:
            self._look_again_at(each)
        return [each for each in known if each.is_done]

    def _look_again_at(self, order: Order) -> None:
        since = order.unseen_since
        if order.may_be_live and since is not None:
            pause, now = timedelta(seconds=self._settle_time), self._desk.now()
            due = since + pause + _PAST
            if due <= now:  # it was long enough, and something else is wanting
                due = now + pause
            self.due = due if self.due is None else min(self.due, due)
