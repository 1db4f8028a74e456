"""
Finding orders by any of their ids, in as few requests as Bitso allows.

1. Every id is asked for in lists, by oid and by origin id as its shape allows. A list that is refused as a
   whole is split until the guilty ids are found.
2. What look-up no longer shows is rebuilt from its trades. A rebuilt order has ended only if the complete list
   of open orders, read after the trades, lacks it too.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from orderbridge.adapters.bitso.errors import Meaning, meaning_of
from orderbridge.adapters.bitso.ids import OID, ORIGIN, ways_to_ask
from orderbridge.adapters.bitso.mapping import order_from_fills
from orderbridge.adapters.bitso.reads import AT_ONCE, BitsoReads, Rows
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    OrderBridgeError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    VenueError,
)
from orderbridge.http.policy import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import Answer
from orderbridge.model.order import Order
from orderbridge.search import Ask, Search

# Undocumented; long lists make long URLs.
BATCH: Final = 50
# A list may be refused for one of its ids: unknown to Bitso, or of a form that it does not take. Every other refusal
# is about the account or the call, and would meet each part of the list alike.
_BAD_ID_CODES: Final = frozenset({"0304", "0372"})
_STOPS_ALL: Final = (AuthenticationFailed, PermissionDenied, RateLimited, ConfigurationError)


class BitsoLookup:
    """One look-up: made for a `Search`, run once."""

    def __init__(self, reads: BitsoReads, search: Search, *, deadline: Deadline, rebuild_limit: int) -> None:
        self._reads = reads
        self._search = search
        self._deadline = deadline
        self._rebuild_limit = rebuild_limit
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._stopped_by: OrderBridgeError | None = None
        # Orders rebuilt from trades, until the open orders tell whether they are over.
        self._rebuilt: list[tuple[Ask, Rows[Fill]]] = []

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
                await self._ask_lists()
                await self._rebuild()
        except TimeoutError:
            self._conclude(still_open=None)
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
            if not _blames_an_id(error):
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
        self._search.answer(
            [ask for ask in missed if ask.id in beyond],
            Answer.PARTLY_SEARCHED,
            note=f"trades were not searched: more than {self._rebuild_limit} ids are no longer shown",
        )
        async with asyncio.TaskGroup() as group:
            for ask in missed:
                if ask.is_pending:
                    group.create_task(self._trades(ask))
        if self._rebuilt:
            self._conclude(still_open=await self._open_now())

    async def _trades(self, ask: Ask) -> None:
        try:
            async with self._gate:
                if self._stopped_by is not None:
                    raise self._stopped_by
                rows = await self._reads.trades_of(
                    ask.id, by_oid=ask.kind == OID, deadline=self._deadline, operation="order_trades"
                )
        except OrderNotFound:
            self._search.answer([ask], Answer.NOT_SEEN)
        except VenueError as error:
            if meaning_of(error.code or "") in {Meaning.NOT_READY, Meaning.NOT_MATCHED}:
                self._search.answer([ask], Answer.PARTLY_SEARCHED, note=str(error))
            else:
                self._fail([ask], error)
        except OrderBridgeError as error:
            self._fail([ask], error)
        else:
            self._take(ask, rows)

    def _take(self, ask: Ask, rows: Rows[Fill]) -> None:
        self._search.add_bad_rows(rows.bad)
        if rows.good:
            self._rebuilt.append((ask, rows))
        elif rows.bad:
            self._search.answer([ask], Answer.PARTLY_SEARCHED, note="its trades could not be read: see bad_rows")
        else:
            self._search.answer([ask], Answer.NOT_SEEN)

    async def _open_now(self) -> dict[str, Order] | None:
        try:
            rows = await self._reads.open_orders(symbol=None, deadline=self._deadline)
        except OrderBridgeError as error:
            self._reads.client.session.log.warning(
                "whether rebuilt orders still work could not be read: %s",
                error,
                extra=log_facts(self._search.gateway, "lookup"),
            )
            return None
        # An unreadable row may be any of them.
        return None if rows.bad else {order.order_id: order for order in rows.good}

    def _conclude(self, *, still_open: dict[str, Order] | None) -> None:
        for ask, rows in self._rebuilt:
            by_order: dict[str, list[Fill]] = defaultdict(list)
            for fill in rows.good:
                by_order[fill.order_id].append(fill)
            for order_id, fills in by_order.items():
                shown = (still_open or {}).get(order_id)
                rebuilt = order_from_fills(
                    fills,
                    account=self._reads.account,
                    observed_at=self._reads.now(),
                    over=still_open is not None,
                    complete=not rows.bad,
                )
                self._search.found(ask, shown or rebuilt)
        self._rebuilt = []


def _blames_an_id(error: VenueError) -> bool:
    return isinstance(error, OrderNotFound) or error.code in _BAD_ID_CODES
