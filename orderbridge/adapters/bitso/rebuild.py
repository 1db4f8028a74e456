"""
Finding orders by any of their ids, in as few requests as Bitso allows.

1. Every id is asked for in lists, by oid and by origin id as its shape allows. A list that is refused as a
   whole is split until the guilty ids are found.
2. What look-up no longer shows is told from what Bitso had shown of it and from its trades. It has ended only if the
   complete list of open orders, read before the trades, lacks it, and a second look-up, after them, does too: an
   order that fills between two reads cannot hide from all four.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from orderbridge.adapters.bitso.codes import CODES
from orderbridge.adapters.bitso.mapping import WAITING_MAY_BE_MISSING, order_from_fills, told_of, ways_to_ask
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.errors import OrderBridgeError, OrderNotFound, VenueError
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import KnownBy, OrderStatus
from orderbridge.model.lifecycle import Lack, lacking, may_be_left_out, unseen_note
from orderbridge.model.order import FILL_FIGURES, Fill, Order
from orderbridge.model.ref import RefLike
from orderbridge.model.results import Answer, LookupResult
from orderbridge.venue.cancel import CANCEL_LISTED, FILLS_OF_BEFORE, Listed
from orderbridge.venue.lookup import CLIENT, ORDER, Ask, Lookup, LookupStep
from orderbridge.venue.meanings import Meaning
from orderbridge.venue.rows import Rows

# Undocumented; long lists make long URLs.
BATCH: Final = 50


@dataclass(slots=True)
class _Lacking:
    """
    An id that look-up does not show.

    Attributes:
        known: the orders that Bitso had shown under it. `rows`: its trades, None while they are not told.
        why: why they are not; `has_matched`: there are some.
    """

    ask: Ask
    known: list[Order]
    rows: Rows[Fill] | None = None
    why: str = ""
    has_matched: bool = False

    @property
    def has_ended(self) -> bool:
        """True if Bitso itself had said so of every order that is known under it."""
        return bool(self.known) and all(map(_is_reported_end, self.known))

    def fills_of(self, order_id: str) -> list[Fill]:
        """The trades of one of its orders."""
        return [fill for fill in self.rows.good if fill.order_id == order_id] if self.rows else []

    @property
    def order_ids(self) -> list[str]:
        """Every order that is known to answer to it."""
        traded = [fill.order_id for fill in self.rows.good] if self.rows else []
        return list(dict.fromkeys([*(order.order_id for order in self.known), *traded]))


def look_up(
    reads: BitsoReads,
    refs: Sequence[RefLike],
    deadline: Deadline,
    listed: Listed = MappingProxyType({}),
    *,
    rebuild_limit: int,
    settle_time: float,
) -> Awaitable[LookupResult]:
    """
    Look orders up: what became of each.

    Args:
        listed: oids that a cancel has just left out of its answer, as Bitso does with orders that are not active; and
            those that it has listed: Bitso seldom shows them any more, so their trades are read beside the first
            look-up, and not after it.
    """
    look = Lookup(reads.sender.gateway, refs, deadline=deadline)
    rebuild = _Rebuild(look, reads, rebuild_limit, settle_time, listed)
    lists = [LookupStep((ORDER,), rebuild.ask_list, BATCH), LookupStep((CLIENT,), rebuild.ask_list, BATCH)]
    if listed:
        lists.insert(0, LookupStep((ORDER,), rebuild.read_early, 0))
    return look.run(ways_to_ask, [lists, [LookupStep((ORDER, CLIENT), rebuild.run, 0)]])


class _Rebuild:
    """The way to orders that look-up does not show."""

    def __init__(self, look: Lookup, reads: BitsoReads, rebuild_limit: int, settle_time: float, listed: Listed) -> None:
        self._look = look
        self._reads = reads
        self._rebuild_limit = rebuild_limit
        self._settle_time = settle_time
        self._listed = listed
        self._early: dict[str, asyncio.Task[Rows[Fill]]] = {}
        self._lacking: list[_Lacking] = []
        self._began: datetime
        self._began_at = reads.memory.followed.elapsed()
        # The open orders once they could be read, else why not; and what a second look-up came to, by oid.
        self._open: dict[str, Order] | None = None
        self._why_not_open = "the open orders were not read"
        self._again: dict[str, Ask] = {}

    def ask_list(self, asks: Sequence[Ask]) -> Coroutine[Any, Any, None]:
        """Ask for ids of one kind."""
        return self._look.find(asks, self._look_up, blames_an_id=blames_an_id)

    def _look_up(self, asks: Sequence[Ask]) -> Awaitable[Rows[Order]]:
        kind, ids = asks[0].kind, ",".join(ask.id for ask in asks)
        many = "oids" if kind == ORDER else "origin_ids"
        path = f"/orders/{ids}" if kind == ORDER and len(asks) == 1 else f"/orders?{many}={ids}"
        return self._reads.orders_at(path, deadline=self._look.deadline, operation="lookup", source="look-up")

    async def read_early(self, asks: Sequence[Ask]) -> None:
        """Read the trades of what a cancel has just listed."""
        for ask in asks:
            if self._listed.get(ask.id) is True:
                self._early[ask.id] = asyncio.ensure_future(self._trades_of(ask))
        try:
            if self._early:
                await asyncio.wait(self._early.values())
        finally:
            for early in self._early.values():
                early.cancel()
            await asyncio.gather(*self._early.values(), return_exceptions=True)

    async def run(self, missed: list[Ask]) -> None:
        """Tell what is known of ids that look-up does not show, whenever the time ends."""
        found = {ref for ask in self._look.answered(Answer.FOUND) for ref in ask.refs}
        # A bare id that was found as one kind needs no rebuilding as the other.
        settled = [ask for ask in missed if found.issuperset(ask.refs)]
        self._look.answer(settled, Answer.NOT_SEEN)
        missed = [ask for ask in missed if ask.is_pending]
        ids = list(dict.fromkeys(ask.id for ask in missed))
        beyond = set(ids[self._rebuild_limit :])
        note = f"trades were not searched: more than {self._rebuild_limit} ids are no longer shown"
        for ask in [ask for ask in missed if ask.id in beyond]:
            for order in self._known(ask):
                self._look.found(ask, order if _is_reported_end(order) else _last_known(order))
                ask.note = note
            self._look.answer([ask], Answer.PARTLY_SEARCHED, note=note)
        try:
            await self._ask_again_of([ask for ask in missed if ask.is_pending])
        finally:
            self._conclude()

    async def _ask_again_of(self, asks: Sequence[Ask]) -> None:
        """Open orders, trades and a second look-up of what the first did not show."""
        self._began = self._reads.now()
        self._lacking = [_Lacking(ask, self._known(ask)) for ask in asks]
        may_be_open = [order for each in self._lacking for order in each.known if not _is_reported_end(order)]
        if may_be_open:
            await self._read_open()
        await self._read_trades()
        if self._open is None and not may_be_open and any(each.rows and each.rows.good for each in self._lacking):
            # Trades show an order that nobody here knew: they are read once more, after the list.
            await self._read_open()
            await self._read_trades()
        over = [
            order_id for each in self._lacking for order_id in each.order_ids if self._is_to_be_seen_again(order_id)
        ]
        again = {order_id: Ask(ORDER, order_id) for order_id in over}
        for start in range(0, len(over), BATCH):
            await self.ask_list(list(again.values())[start : start + BATCH])
        self._again = again

    def _known(self, ask: Ask) -> list[Order]:
        if ask.kind == CLIENT:
            return self._reads.memory.of_client(ask.id)
        order = self._reads.memory.get(ask.id)
        return [] if order is None else [order]

    def _is_to_be_seen_again(self, order_id: str) -> bool:
        known = self._reads.memory.get(order_id)
        is_lacking = self._listed.get(order_id) is False or (self._open is not None and order_id not in self._open)
        return is_lacking and not (known and _is_reported_end(known))

    async def _read_trades(self) -> None:
        async with asyncio.TaskGroup() as group:
            for each in self._lacking:
                group.create_task(self._trades(each))

    async def _trades(self, lacking: _Lacking) -> None:
        ask = lacking.ask
        try:
            early = self._early.get(ask.id) if ask.kind == ORDER else None
            rows = await (early or self._trades_of(ask))
        except OrderNotFound:
            self._take(lacking, Rows())
        except VenueError as error:
            lacking.why, meaning = Exception.__str__(error), CODES.of(error.code)
            lacking.has_matched = meaning is Meaning.NOT_READY
            if meaning is Meaning.NO_TRADES:
                lacking.rows = Rows()
            elif meaning is not Meaning.NOT_READY:
                self._could_not_read(lacking, error)
            self._look.answer([] if lacking.known else [ask], Answer.PARTLY_SEARCHED, note=str(error))
        except OrderBridgeError as error:
            self._could_not_read(lacking, error)
        else:
            self._take(lacking, rows)

    async def _trades_of(self, ask: Ask) -> Rows[Fill]:
        async with self._look.turn():
            return await self._reads.trades_of(
                ask.id, by_oid=ask.kind == ORDER, deadline=self._look.deadline, operation="order_trades"
            )

    def _could_not_read(self, lacking: _Lacking, error: OrderBridgeError) -> None:
        # An end that Bitso itself told stands, whatever becomes of reading its trades.
        if not lacking.has_ended:
            self._look.fail([lacking.ask], error)

    def _take(self, lacking: _Lacking, rows: Rows[Fill]) -> None:
        before = {(row.position, row.reason) for row in lacking.rows.bad} if lacking.rows else set()
        self._look.add_bad_rows(row for row in rows.bad if (row.position, row.reason) not in before)
        lacking.rows, lacking.why = rows, "its trades could not be read: see bad_rows" if rows.bad else ""
        if not rows.good and not lacking.known:
            answer = Answer.PARTLY_SEARCHED if rows.bad else Answer.NOT_SEEN
            self._look.answer([lacking.ask], answer, note=lacking.why)

    async def _read_open(self) -> None:
        try:
            rows = await self._reads.read_open(None, self._look.deadline)
        except OrderBridgeError as error:
            self._why_not_open = f"the open orders could not be read: {Exception.__str__(error)}"
            self._reads.sender.session.log.warning(
                "whether orders that are not shown still work could not be read: %s",
                error,
                extra=log_facts(self._look.gateway, "lookup"),
            )
            return
        if rows.bad:
            self._why_not_open = "a row of the open orders could not be read, and may be it"
        else:
            self._open = {order.order_id: order for order in rows.good}

    def _conclude(self) -> None:
        """Tell what is known now of every id that look-up did not show."""
        ended = self._reads.now()
        for each in self._lacking:
            is_told = each.rows is not None or each.has_matched or each.has_ended
            if each.ask.is_pending and is_told:  # otherwise there was no time to read its trades
                for order_id in each.order_ids:
                    self._tell(each, order_id, ended)

    def _tell(self, each: _Lacking, order_id: str, ended: datetime) -> None:
        listed = (self._open or {}).get(order_id)
        shown = [*([] if listed is None else [listed]), *self._seen_again(order_id)]
        for order in shown:
            self._look.found(each.ask, order)
        if shown:
            return
        fills = each.fills_of(order_id)
        known = self._reads.memory.get(order_id) or next((o for o in each.known if o.order_id == order_id), None)
        why = self._why_not_over(known, order_id, fills)
        is_whole = each.rows is not None and not each.rows.bad
        if known is None:
            account = self._reads.account
            order = order_from_fills(fills, account=account, observed_at=ended, over=not why, complete=is_whole)
            # Whoever knows its size must know since when it is lacking: more of its trades may be shown late.
            self._lived(order, ended)
            order = order.noted(unseen_note(ended))
        else:
            said = [told_of(fills)] if is_whole else []
            evidence = ("look-up: not shown", *([] if why else ["open orders: not among them"]), *said)
            reasons = tuple(filter(None, (why, "" if is_whole else each.why)))
            lived = self._lived(known, ended)
            lack = Lack(self._began, ended, lived, fills if is_whole else None, reasons, evidence)
            order, why = lacking(known, lack, settle_time=self._settle_time)
        self._reads.memory.put(order)
        if each.rows is None and _is_told_by_cancel(order):
            order = _without_trades(order, has_matched=each.has_matched)
        self._look.found(each.ask, order)
        if why:
            each.ask.note = f"{order_id} is told as it was last known: {why}"

    def _lived(self, known: Order, ended: datetime) -> float:
        return self._reads.memory.followed.lived(known, began=self._began_at, ended=ended)

    def _seen_again(self, order_id: str) -> list[Order]:
        return list(self._again[order_id].orders) if order_id in self._again else []

    def _why_not_over(self, known: Order | None, order_id: str, fills: list[Fill]) -> str:
        """The reasons why the reads are no proof that an order is over; none when they are."""
        if self._listed.get(order_id) is not False:
            if self._open is None:
                return self._why_not_open
            if known is not None and not fills and may_be_left_out(known, WAITING_MAY_BE_MISSING):
                return "the open orders may leave out stops that wait, so nothing tells whether it ended"
        again = self._again.get(order_id)
        return "" if again is not None and again.answer is None else "a second look-up did not tell"


def _is_reported_end(order: Order) -> bool:
    return order.is_done and order.known_by is KnownBy.REPORTED


def _is_told_by_cancel(order: Order) -> bool:
    # A look-up tells an end with its fills; a cancel's list tells it alone.
    return order.status is OrderStatus.CANCELLED and CANCEL_LISTED in order.evidence


def _last_known(order: Order) -> Order:
    return order.noted("look-up: not shown", known_by=KnownBy.INFERRED)


def _without_trades(order: Order, *, has_matched: bool = False) -> Order:
    """An order that a cancel listed, of which it is not known with which fills it ended."""
    if has_matched:  # how much is not told yet
        return order.model_copy(update=dict.fromkeys(FILL_FIGURES))
    return order.noted(FILLS_OF_BEFORE)


def blames_an_id(error: VenueError) -> bool:
    """True if a list was refused for one of its ids, so that the others are to be asked for without it."""
    return isinstance(error, OrderNotFound) or CODES.of(error.code) is Meaning.BAD_ID
