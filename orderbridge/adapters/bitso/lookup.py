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
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from orderbridge.adapters.bitso.codes import Meaning, meaning_of
from orderbridge.adapters.bitso.ids import OID, ORIGIN, ways_to_ask
from orderbridge.adapters.bitso.mapping import WAITING_MAY_BE_MISSING, order_from_fills, told_of
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    OrderBridgeError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    VenueError,
)
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import KnownBy, OrderStatus
from orderbridge.model.lifecycle import Lack, lacking, may_be_left_out, unseen_note
from orderbridge.model.order import FILL_FIGURES, Fill, Order
from orderbridge.model.results import Answer
from orderbridge.venue.bounds import AT_ONCE
from orderbridge.venue.lookup import Ask, Search
from orderbridge.venue.rows import Rows

# Undocumented; long lists make long URLs.
BATCH: Final = 50
# The evidence of an end that the answer to a cancel told.
CANCEL_LISTED: Final = "cancel: listed"
# A list may be refused for one of its ids: unknown to Bitso, or of a form that it does not take. Every other refusal
# is about the account or the call, and would meet each part of the list alike.
_BAD_ID_CODES: Final = frozenset({"0304", "0372"})
_STOPS_ALL: Final = (AuthenticationFailed, PermissionDenied, RateLimited, ConfigurationError)


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
        """Whether Bitso itself had said so of every order that is known under it."""
        return bool(self.known) and all(map(_is_reported_end, self.known))

    def fills_of(self, order_id: str) -> list[Fill]:
        """The trades of one of its orders."""
        return [fill for fill in self.rows.good if fill.order_id == order_id] if self.rows else []

    @property
    def order_ids(self) -> list[str]:
        """Every order that is known to answer to it."""
        traded = [fill.order_id for fill in self.rows.good] if self.rows else []
        return list(dict.fromkeys([*(order.order_id for order in self.known), *traded]))


class BitsoLookup:
    """
    One look-up: made for a `Search`, run once.

    Args:
        unlisted: oids that a cancel has just left out of its answer, as Bitso does with orders that are not active.
        ended: oids that a cancel has just listed. Bitso seldom shows them any more, so their trades are read beside
            the first look-up, and not after it.
    """

    def __init__(
        self,
        reads: BitsoReads,
        search: Search,
        *,
        deadline: Deadline,
        rebuild_limit: int,
        settle_time: float,
        unlisted: frozenset[str] = frozenset(),
        ended: frozenset[str] = frozenset(),
    ) -> None:
        self._reads = reads
        self._search = search
        self._deadline = deadline
        self._rebuild_limit = rebuild_limit
        self._settle_time = settle_time
        self._unlisted = unlisted
        self._ended = ended
        self._early: dict[str, asyncio.Task[Rows[Fill]]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._stopped_by: OrderBridgeError | None = None
        self._lacking: list[_Lacking] = []
        self._began, self._began_at = reads.now(), reads.shown.followed.elapsed()
        # The open orders once they could be read, else why not; and what a second look-up came to, by oid.
        self._open: dict[str, Order] | None = None
        self._why_not_open = "the open orders were not read"
        self._again: dict[str, Ask] = {}

    async def run(self) -> None:
        """
        Search until everything is answered or the time ends; what is known is in the search.

        Raises:
            ConfigurationError: the address is not Bitso's, and nothing was found there.
        """
        for position, ref in enumerate(self._search.refs):
            for kind, id in ways_to_ask(ref):
                self._search.ask(kind, id, ref=position)
        try:
            async with asyncio.timeout(self._deadline.as_timeout):
                self._early = {oid: asyncio.ensure_future(self._trades_of(OID, oid)) for oid in self._ended}
                await self._ask_lists()
                if self._early:
                    await asyncio.wait(self._early.values())
                await self._rebuild()
        except TimeoutError:
            self._conclude()
        finally:
            for early in self._early.values():
                early.cancel()
            await asyncio.gather(*self._early.values(), return_exceptions=True)
        if isinstance(self._stopped_by, ConfigurationError) and not self._search.answered(Answer.FOUND):
            raise self._stopped_by

    async def _ask_lists(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kind in (OID, ORIGIN):
                asks = self._search.pending(kind)
                for start in range(0, len(asks), BATCH):
                    group.create_task(self._ask_list(kind, asks[start : start + BATCH]))

    async def _ask_list(self, kind: str, asks: Sequence[Ask]) -> None:
        try:
            rows = await self._look_up(kind, asks)
        except VenueError as error:
            if not blames_an_id(error):
                self._fail(asks, error, stop=True)
            elif len(asks) > 1:
                middle = len(asks) // 2
                await self._ask_list(kind, asks[:middle])
                await self._ask_list(kind, asks[middle:])
            elif not isinstance(error, OrderNotFound):
                self._fail(asks, error)
        except OrderBridgeError as error:
            self._fail(asks, error)
        else:
            self._assign(kind, asks, rows)

    async def _look_up(self, kind: str, asks: Sequence[Ask]) -> Rows[Order]:
        ids = ",".join(ask.id for ask in asks)
        path = f"/orders/{ids}" if kind == OID and len(asks) == 1 else f"/orders?{kind}s={ids}"
        async with self._gate:
            if self._stopped_by is not None:
                raise self._stopped_by
            return await self._reads.orders_at(path, deadline=self._deadline, operation="lookup", source="look-up")

    def _assign(self, kind: str, asks: Sequence[Ask], rows: Rows[Order]) -> None:
        by_id = {ask.id: ask for ask in asks}
        for position, order in enumerate(rows.good):
            asked = by_id.get((order.order_id if kind == OID else order.client_order_id) or "")
            if asked is not None:
                self._search.found(asked, order)
            else:
                self._search.bad_row(
                    position=position, reason="this row was not asked for", order_id=order.order_id, raw=order.raw
                )
        self._search.add_bad_rows(rows.bad)
        # A row without an id, or in a list by origin ids, may be that of any ask that was not met.
        unreadable = {row.order_id for row in rows.bad}
        nameless = None in unreadable or (
            kind == ORIGIN and (rows.bad or any(not o.client_order_id for o in rows.good))
        )
        hidden = [ask for ask in asks if nameless or ask.id in unreadable]
        self._search.answer(hidden, Answer.PARTLY_SEARCHED, note="its row could not be read: see bad_rows")

    def _fail(self, asks: Sequence[Ask], error: OrderBridgeError, *, stop: bool = False) -> None:
        if not self._deadline.remaining():
            self._search.fail(asks, TimeoutError(str(error)))
            return
        if stop or isinstance(error, _STOPS_ALL):
            # The same answer awaits every further request, and repeating it may cost a longer lock-out.
            self._stopped_by = self._stopped_by or error
        self._search.fail(asks, error)

    async def _rebuild(self) -> None:
        found = {ref for ask in self._search.answered(Answer.FOUND) for ref in ask.refs}
        missed = [ask for kind in (OID, ORIGIN) for ask in self._search.pending(kind)]
        # A bare id that was found as one kind needs no rebuilding as the other.
        settled = [ask for ask in missed if found.issuperset(ask.refs)]
        self._search.answer(settled, Answer.NOT_SEEN)
        missed = [ask for ask in missed if ask.is_pending]
        ids = list(dict.fromkeys(ask.id for ask in missed))
        beyond = set(ids[self._rebuild_limit :])
        note = f"trades were not searched: more than {self._rebuild_limit} ids are no longer shown"
        for ask in [ask for ask in missed if ask.id in beyond]:
            for order in self._known(ask):
                self._search.found(ask, order if _is_reported_end(order) else _last_known(order))
                ask.note = note
            self._search.answer([ask], Answer.PARTLY_SEARCHED, note=note)
        await self._ask_again_of([ask for ask in missed if ask.is_pending])

    async def _ask_again_of(self, asks: Sequence[Ask]) -> None:
        """Open orders, trades and a second look-up of what the first did not show."""
        self._lacking = [_Lacking(ask, self._known(ask)) for ask in asks]
        self._began = self._reads.now()
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
        again = {order_id: Ask(OID, order_id) for order_id in over}
        for start in range(0, len(over), BATCH):
            await self._ask_list(OID, list(again.values())[start : start + BATCH])
        self._again = again
        self._conclude()

    def _known(self, ask: Ask) -> list[Order]:
        if ask.kind == ORIGIN:
            return self._reads.shown.of_client(ask.id)
        order = self._reads.shown.get(ask.id)
        return [] if order is None else [order]

    def _is_to_be_seen_again(self, order_id: str) -> bool:
        known = self._reads.shown.get(order_id)
        is_lacking = order_id in self._unlisted or (self._open is not None and order_id not in self._open)
        return is_lacking and not (known and _is_reported_end(known))

    async def _read_trades(self) -> None:
        async with asyncio.TaskGroup() as group:
            for each in self._lacking:
                group.create_task(self._trades(each))

    async def _trades(self, lacking: _Lacking) -> None:
        ask = lacking.ask
        try:
            early = self._early.get(ask.id) if ask.kind == OID else None
            rows = await (early or self._trades_of(ask.kind, ask.id))
        except OrderNotFound:
            self._take(lacking, Rows())
        except VenueError as error:
            lacking.why, meaning = Exception.__str__(error), meaning_of(error.code or "")
            lacking.has_matched = meaning is Meaning.NOT_READY
            if meaning is Meaning.NOT_MATCHED:
                lacking.rows = Rows()
            elif meaning is not Meaning.NOT_READY:
                self._could_not_read(lacking, error)
            self._search.answer([] if lacking.known else [ask], Answer.PARTLY_SEARCHED, note=str(error))
        except OrderBridgeError as error:
            self._could_not_read(lacking, error)
        else:
            self._take(lacking, rows)

    async def _trades_of(self, kind: str, id: str) -> Rows[Fill]:
        async with self._gate:
            if self._stopped_by is not None:
                raise self._stopped_by
            return await self._reads.trades_of(
                id, by_oid=kind == OID, deadline=self._deadline, operation="order_trades"
            )

    def _could_not_read(self, lacking: _Lacking, error: OrderBridgeError) -> None:
        # An end that Bitso itself told stands, whatever becomes of reading its trades.
        if not lacking.has_ended:
            self._fail([lacking.ask], error)

    def _take(self, lacking: _Lacking, rows: Rows[Fill]) -> None:
        before = {(row.position, row.reason) for row in lacking.rows.bad} if lacking.rows else set()
        self._search.add_bad_rows(row for row in rows.bad if (row.position, row.reason) not in before)
        lacking.rows, lacking.why = rows, "its trades could not be read: see bad_rows" if rows.bad else ""
        if not rows.good and not lacking.known:
            answer = Answer.PARTLY_SEARCHED if rows.bad else Answer.NOT_SEEN
            self._search.answer([lacking.ask], answer, note=lacking.why)

    async def _read_open(self) -> None:
        try:
            rows = await self._reads.open_orders(symbol=None, deadline=self._deadline)
        except OrderBridgeError as error:
            self._why_not_open = f"the open orders could not be read: {Exception.__str__(error)}"
            self._reads.client.session.log.warning(
                "whether orders that are not shown still work could not be read: %s",
                error,
                extra=log_facts(self._search.gateway, "lookup"),
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
            self._search.found(each.ask, order)
        if shown:
            return
        fills = each.fills_of(order_id)
        known = self._reads.shown.get(order_id) or next((o for o in each.known if o.order_id == order_id), None)
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
        self._reads.shown.put(order)
        if each.rows is None and _is_told_by_cancel(order):
            order = without_trades(order, has_matched=each.has_matched)
        self._search.found(each.ask, order)
        if why:
            each.ask.note = f"{order_id} is told as it was last known: {why}"

    def _lived(self, known: Order, ended: datetime) -> float:
        return self._reads.shown.followed.lived(known, began=self._began_at, ended=ended)

    def _seen_again(self, order_id: str) -> list[Order]:
        return list(self._again[order_id].orders) if order_id in self._again else []

    def _why_not_over(self, known: Order | None, order_id: str, fills: list[Fill]) -> str:
        """What keeps the reads from being proof that an order is over; nothing when they are."""
        if order_id not in self._unlisted:
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


def without_trades(order: Order, *, has_matched: bool = False) -> Order:
    """An order that a cancel listed, of which it is not known with which fills it ended."""
    if has_matched:  # how much is not told yet
        return order.model_copy(update=dict.fromkeys(FILL_FIGURES))
    return order.noted("fills: as they were known before the cancel")


def blames_an_id(error: VenueError) -> bool:
    """Whether a list was refused for one of its ids, so that the others are to be asked for without it."""
    return isinstance(error, OrderNotFound) or error.code in _BAD_ID_CODES
