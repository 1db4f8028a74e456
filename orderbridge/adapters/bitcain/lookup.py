"""Finding orders by any id: UUIDs one by one, client ids by one scan of the list for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from orderbridge.adapters.bitcain.reads import Batch, BitcainReads, dates_to_wire
from orderbridge.adapters.bitcain.wire import as_uuid
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    OrderBridgeError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Answer, BadRow
from orderbridge.venue.bounds import AT_ONCE
from orderbridge.venue.lookup import Ask, Search

MAX_CLIENT_ID: Final = 255
# After so many requests in a row without an answer the venue counts as down for this call.
GIVE_UP_AFTER: Final = 8
_BY_ID: Final = "order"
_BY_CLIENT_ID: Final = "client"
# After these every further request would fail alike.
_STOPS: Final = (AuthenticationFailed, PermissionDenied, RateLimited, ConfigurationError)
# With less time than this left, a read that gave up ran out of it.
_NO_TIME: Final = 0.01


class Lookup:
    """One look-up at one gateway. What it learns goes into `search` at once, so that it can be cut off."""

    def __init__(self, search: Search, reads: BitcainReads, *, deadline: Deadline, scan_since: timedelta) -> None:
        self._search = search
        self._reads = reads
        self._deadline = deadline
        self._since = _back(reads.now(), scan_since)
        self._fatal: OrderBridgeError | None = None
        self._unanswered = 0
        self._symbols = frozenset(ref.symbol for ref in search.refs)
        # Ids of unknown kind by UUID: looked up as order ids, sought as client ids where that fails.
        self._either: dict[str, list[int]] = {}
        self._by_client_id: dict[str, Ask] = {}
        self._scan = _Sightings()
        self._scan_error: OrderBridgeError | None = None

    async def run(self) -> None:
        """
        Ask for everything.

        Raises:
            ConfigurationError: a wrong address, a second event loop; other failures are noted in the search.
        """
        for position, ref in enumerate(self._search.refs):
            self._plan(position, ref)
        todo = iter(self._search.pending(_BY_ID))
        workers = min(AT_ONCE, len(self._search.pending(_BY_ID)))
        async with asyncio.TaskGroup() as group:
            # First, since it serves many ids with few requests.
            if self._search.pending(_BY_CLIENT_ID):
                group.create_task(self._scan_list())
            for _ in range(workers):
                group.create_task(self._ask_by_id(todo))
        # UUIDs that are no order ids may be client ids: a scan that was made has looked for them already.
        if self._search.pending(_BY_CLIENT_ID) and (self._scan.is_done or self._fatal is None):
            await self._scan_list()
        if isinstance(self._fatal, ConfigurationError):
            raise self._fatal
        if self._fatal is not None:
            for kind in (_BY_ID, _BY_CLIENT_ID):
                self._search.fail(self._search.pending(kind), self._fatal)

    def _plan(self, position: int, ref: OrderRef) -> None:
        uuid = as_uuid(ref.order_id or ref.id)
        client_id = ref.client_order_id or ref.id
        if uuid is not None:
            self._search.ask(_BY_ID, uuid, ref=position)
            if ref.id is not None:
                self._either.setdefault(uuid, []).append(position)
        elif client_id is not None and is_client_id(client_id):
            self._seek(client_id, position)

    def _seek(self, client_id: str, position: int) -> None:
        self._by_client_id[client_id] = self._search.ask(_BY_CLIENT_ID, client_id, ref=position)

    async def _ask_by_id(self, todo: Iterable[Ask]) -> None:
        for ask in todo:
            if self._fatal is not None:
                return
            try:
                order = await self._reads.order(
                    ask.id, symbols=self._symbols, deadline=self._deadline, operation="lookup"
                )
            except OrderBridgeError as error:
                self._note_failure(ask, error)
            else:
                self._unanswered = 0
                self._note_order(ask, order)

    def _note_order(self, ask: Ask, order: Order) -> None:
        if self._reads.is_other_mode(order.paper):
            self._search.answer([ask], Answer.CANNOT_ASK, note=self._other_mode(order))
        else:
            self._search.found(ask, order)

    def _note_failure(self, ask: Ask, error: OrderBridgeError) -> None:
        if isinstance(error, OrderNotFound):
            self._unanswered = 0
            # First the asks that are left, then this answer: between the two nobody may read "not seen".
            for position in self._either.get(ask.id, ()):
                self._seek(str(self._search.refs[position].id), position)
            note = f"Bitcain has no order {ask.id}"
            self._search.answer([ask], Answer.NOT_SEEN, note=note, proven_absent=True)
            return
        if isinstance(error, UnexpectedResponse):
            self._search.add_bad_rows(error.bad_rows)
        self._fail([ask], error)
        if isinstance(error, VenueUnavailable):
            self._unanswered += 1
        if isinstance(error, _STOPS) or self._unanswered >= GIVE_UP_AFTER:
            self._fatal = self._fatal or error

    def _fail(self, asks: list[Ask], error: OrderBridgeError) -> None:
        ran_out = isinstance(error, VenueUnavailable) and self._deadline.remaining() < _NO_TIME
        self._search.fail(asks, TimeoutError("no answer within the time limit") if ran_out else error)

    async def _scan_list(self) -> None:
        if not self._scan.is_done and self._scan_error is None:
            try:
                await self._read_list()
            except OrderBridgeError as error:
                self._scan_error = error
                if isinstance(error, _STOPS):
                    self._fatal = self._fatal or error
        if self._scan_error is not None:
            self._fail(self._search.pending(_BY_CLIENT_ID), self._scan_error)
        if self._scan.is_done:
            for ask in self._search.pending(_BY_CLIENT_ID):
                self._conclude(ask)

    async def _read_list(self) -> None:
        wanted = set(self._by_client_id)
        wanted |= {str(self._search.refs[position].id) for group in self._either.values() for position in group}
        # Never stopped early: the order of the list is not documented, and a client id may stand twice.
        async for batch in self._reads.list_pages(
            dates_to_wire(self._since, None), pace=lambda: self._deadline, operation="lookup"
        ):
            if isinstance(self._fatal, _STOPS):
                return
            self._search.add_bad_rows(batch.bad_rows)
            for order in self._scan.add(batch, wanted):
                ask = self._by_client_id.get(order.client_order_id or "")
                if ask is not None:
                    self._search.found(ask, order)
        self._scan.is_done = True

    def _conclude(self, ask: Ask) -> None:
        # Seen before it was known that this id is no order id.
        for order in self._scan.orders.get(ask.id, ()):
            self._search.found(ask, order)
        if not ask.is_pending:
            return
        if (bad := self._scan.bad.get(ask.id)) is not None:
            message = f"the row with this client id cannot be read: {bad.reason}"
            self._search.fail([ask], UnexpectedResponse(message, bad_rows=(bad,)))
        elif (other := self._scan.others.get(ask.id)) is not None:
            self._search.answer([ask], Answer.CANNOT_ASK, note=self._other_mode(other))
        else:
            self._search.answer([ask], Answer.PARTLY_SEARCHED, note=self._how_far())

    def _how_far(self) -> str:
        note = f"not among the orders listed since {self._since:%Y-%m-%d %H:%M:%S}Z; earlier ones were not searched"
        if self._scan.rows and not self._scan.has_client_ids:
            note += f"; none of the {self._scan.rows} rows shows a client id: this server may not echo them"
        return note

    def _other_mode(self, order: Order) -> str:
        theirs = "paper" if order.paper else "live"
        return f"{order.order_id} is a {theirs} order, and this gateway is for {self._reads.mode} orders"


class _Sightings:
    """What a scan saw of the client ids that were sought."""

    def __init__(self) -> None:
        self.orders: dict[str, list[Order]] = {}
        self.others: dict[str, Order] = {}
        self.bad: dict[str, BadRow] = {}
        self.rows = 0
        self.has_client_ids = False
        self.is_done = False

    def add(self, batch: Batch, wanted: set[str]) -> list[Order]:
        """Take a page in, and return its orders that were sought."""
        self.rows += len(batch.orders) + len(batch.others) + len(batch.bad_rows)
        shown = [order.client_order_id for order in (*batch.orders, *batch.others)]
        self.has_client_ids = self.has_client_ids or bool(batch.bad_client_ids) or any(shown)
        self.bad.update((id, bad) for id, bad in batch.bad_client_ids.items() if id in wanted)
        self.others.update((order.client_order_id or "", order) for order in batch.others)
        sought = [order for order in batch.orders if order.client_order_id in wanted]
        for order in sought:
            self.orders.setdefault(order.client_order_id or "", []).append(order)
        return sought


def is_client_id(text: str) -> bool:
    """Whether a text may be a client order id here: no documented rule, so no more than printable and short."""
    return bool(text.strip()) and len(text) <= MAX_CLIENT_ID and text.isprintable()


def _back(now: datetime, by: timedelta) -> datetime:
    try:
        return now - by
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo) + timedelta(days=1)
