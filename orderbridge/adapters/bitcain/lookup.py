"""Finding orders by any id: UUIDs one by one, client ids by one scan of the list for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from orderbridge.adapters.bitcain.mapping import client_id_from_wire
from orderbridge.adapters.bitcain.reads import Batch, BitcainReads, dates_to_wire
from orderbridge.adapters.bitcain.wire import as_uuid
from orderbridge.errors import OrderBridgeError, OrderNotFound, UnexpectedResponse, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import Answer, BadRow, LookupResult
from orderbridge.venue.lookup import CLIENT, ORDER, Ask, Lookup, LookupStep, Way

MAX_CLIENT_ID: Final = 255


async def look_up(
    reads: BitcainReads, refs: Sequence[RefLike], deadline: Deadline, *, scan_since: timedelta
) -> LookupResult:
    """Look orders up: what became of each, and what is known when the time ends."""
    look = Lookup(reads.sender.gateway, refs, deadline=deadline)
    steps = _Steps(look, reads, _back(reads.now(), scan_since))
    # The scan first, since it serves many ids with few requests.
    by_id, scan = LookupStep((ORDER,), steps.by_id), LookupStep((CLIENT,), steps.scan, 0)
    return await look.run(_ways, [[scan, by_id], [scan]])


def _ways(ref: OrderRef) -> Iterator[Way]:
    uuid = as_uuid(ref.order_id or ref.id)
    client_id = ref.client_order_id or ref.id
    if uuid is not None:
        yield Way(ORDER, uuid)
    elif client_id is not None and is_client_id(client_id):
        yield Way(CLIENT, client_id)


class _Steps:
    """How one look-up asks, and what its scan saw of the client ids that are sought."""

    def __init__(self, look: Lookup, reads: BitcainReads, since: datetime) -> None:
        self._look = look
        self._reads = reads
        self._since = since
        self._wanted = {ref.client_order_id or ref.id for ref in look.refs}
        self._symbols = frozenset(ref.symbol for ref in look.refs)
        self._orders: list[Order] = []
        self._others: dict[str | None, Order] = {}
        self._bad: dict[str | None, BadRow] = {}
        self._rows = 0
        self._has_client_ids = False
        self._is_done = False
        self._error: OrderBridgeError | None = None

    async def by_id(self, asks: list[Ask]) -> None:
        """Ask for one UUID. One of unknown kind is sought as a client id where there is no such order."""
        look, (ask,) = self._look, asks
        try:
            async with look.turn():
                order = await self._reads.order(
                    ask.id, symbols=self._symbols, deadline=look.deadline, operation="lookup"
                )
        except OrderNotFound:
            # First the asks that are left, then this answer: between the two nobody may read "not seen".
            for position in ask.refs:
                if (client_id := look.refs[position].id) is not None:
                    look.ask(Way(CLIENT, client_id), ref=position)
            look.answer([ask], Answer.NOT_SEEN, note=f"Bitcain has no order {ask.id}", proven_absent=True)
        except OrderBridgeError as error:
            look.add_bad_rows(error.bad_rows if isinstance(error, UnexpectedResponse) else ())
            look.fail([ask], error)
        else:
            if self._reads.is_other_mode(order.paper):
                look.answer([ask], Answer.CANNOT_ASK, note=self._reads.other_mode(order))
            else:
                look.found(ask, order)

    async def scan(self, asks: list[Ask]) -> None:
        """Seek client ids in the list, which is read once; those of orders that it showed before are known."""
        if not self._is_done and self._error is None:
            try:
                await self._read_list()
            except OrderBridgeError as error:
                self._error = error
        if self._error is not None:
            self._look.fail(asks, self._error)
        else:
            for ask in asks:
                self._conclude(ask)

    async def _read_list(self) -> None:
        if self._look.stopped_by is not None:
            raise self._look.stopped_by
        # Never stopped early: the order of the list is not documented, and a client id may stand twice.
        async for batch in self._reads.list_pages(
            dates_to_wire(self._since, None), pace=lambda: self._look.deadline, operation="lookup"
        ):
            if self._look.stopped_by is not None and not isinstance(self._look.stopped_by, VenueUnavailable):
                raise self._look.stopped_by
            self._look.add_bad_rows(batch.bad)
            self._take(batch)
        self._is_done = True

    def _take(self, batch: Batch) -> None:
        self._look.take(self._look.asked(CLIENT), batch.good)
        self._orders += [order for order in batch.good if order.client_order_id in self._wanted]
        self._others.update((order.client_order_id, order) for order in batch.others)
        self._bad.update((client_id_from_wire(bad.raw), bad) for bad in batch.bad)
        self._rows += batch.count + len(batch.others)
        shown = [order.client_order_id for order in (*batch.good, *batch.others)]
        self._has_client_ids = self._has_client_ids or any(shown) or any(self._bad)

    def _conclude(self, ask: Ask) -> None:
        # Seen before it was known that this id is no order id.
        self._look.take([ask], self._orders)
        if not ask.is_pending:
            return
        if (bad := self._bad.get(ask.id)) is not None:
            message = f"the row with this client id cannot be read: {bad.reason}"
            self._look.fail([ask], UnexpectedResponse(message, bad_rows=(bad,)))
        elif (other := self._others.get(ask.id)) is not None:
            self._look.answer([ask], Answer.CANNOT_ASK, note=self._reads.other_mode(other))
        else:
            self._look.answer([ask], Answer.PARTLY_SEARCHED, note=self._how_far())

    def _how_far(self) -> str:
        note = f"not among the orders listed since {self._since:%Y-%m-%d %H:%M:%S}Z; earlier ones were not searched"
        if self._rows and not self._has_client_ids:
            note += f"; none of the {self._rows} rows shows a client id: this server may not echo them"
        return note


def is_client_id(text: str) -> bool:
    """True if a text may be a client order id here: no documented rule, so no more than printable and short."""
    return bool(text.strip()) and len(text) <= MAX_CLIENT_ID and text.isprintable()


def _back(now: datetime, by: timedelta) -> datetime:
    try:
        return now - by
    except OverflowError:
        return datetime.min.replace(tzinfo=now.tzinfo) + timedelta(days=1)
