"""
A journal in SQL: the statements, and what each call of the protocol makes of them, whatever the engine.

What engines say differently is a `Dialect`; how one runs a transaction is its `Engine`. SQLite's stand in `sqlite`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

from orderbridge.errors import JournalError
from orderbridge.http.session import own_logger
from orderbridge.model.basics import OrderType, PlacementState
from orderbridge.model.lifecycle import Sign, advance
from orderbridge.model.order import Order
from orderbridge.model.placement import HOLDING
from orderbridge.placement.journal import Change, ChangeSeeing, ClientIdUsed, Gap, InFlight
from orderbridge.placement.states import IN_FLIGHT, UNFINISHED, Event, Record, Transition, showing, stored

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Rows = list[tuple[Any, ...]]
log: Final = own_logger("orderbridge.placement")
# Records lately written, so that the next change of one need not parse it.
_REMEMBERED: Final = 1_000


def read_row(model: type[M], body: str, what: str) -> M:
    """A row's model. JournalError: it cannot be read; it names `what`, and says nothing of the others."""
    try:
        return model.model_validate_json(body)
    except ValueError as error:
        raise JournalError(f"{what} cannot be read: run `orderbridge journal verify`, and settle it by hand") from error


def readable(model: type[M], body: str, what: str = "it", *, told: Callable[[str], object] = str) -> M | None:
    """A row's model; None where it cannot be read, which is told and keeps no other row back."""
    try:
        return read_row(model, body, what)
    except JournalError as error:
        told(str(error))
        return None


def with_order(record: Record, body: str | None, *, told: Callable[[str], object] = str) -> Record:
    """A record with its order as the body of that order's row tells; as it is where that cannot be read."""
    order = record.placement.order
    if order is None or body is None:
        return record
    return showing(record, readable(Order, body, f"order {order.order_id}", told=told))


def records_of(rows: Iterable[Sequence[str]], *, told: Callable[[str], object]) -> Iterator[Record]:
    """The records of a list that can be read, each with its order as last known; what cannot be is told."""
    for name, body, order in rows:
        record = readable(Record, body, f"placement {name}", told=told)
        if record is not None:
            yield with_order(record, order, told=told)


def events_of(
    placement_id: str, rows: Iterable[Sequence[str]], *, told: Callable[[str], object] | None = None
) -> Iterator[Event]:
    """
    The events of a placement, in order.

    Args:
        told: told of each that cannot be read and is left out; without it such a one is a JournalError.
    """
    for seq, (body,) in enumerate(rows, start=1):
        what = f"event {seq} of placement {placement_id}"
        event = read_row(Event, body, what) if told is None else readable(Event, body, what, told=told)
        if event is not None:
            yield event.model_copy(update={"placement_id": placement_id, "seq": seq})


def _listed(states: Sequence[PlacementState]) -> str:
    return ", ".join(f"'{state}'" for state in states)


# SQLite uses a partial index only for a query that repeats its condition, in the same words.
_IS_INDEXED: Final = "state <> 'placed'"
_IS_TWIN: Final = f"fingerprint = ? AND state IN ({_listed(IN_FLIGHT)}) AND {_IS_INDEXED}"
_HOLDS: Final = "p.key = ? AND p.gateway = ? AND p.held = 1"
_BY_ID: Final = "placement_id = ?"
_CLIENT: Final = "SELECT 1 FROM placements WHERE client_order_id = ? AND gateway = ?"
_TAKEN: Final = f"SELECT 1 FROM placements p WHERE {_HOLDS} UNION ALL {_CLIENT}"
# An event knows the one before it, whose number is lower; a placement knows its last.
CHAIN: Final = """WITH RECURSIVE chain AS (SELECT n, before, body FROM events WHERE n = ? UNION ALL
    SELECT e.n, e.before, e.body FROM chain c JOIN events e ON e.n = c.before AND e.n < c.n)"""
_LAST: Final = f"(SELECT NULLIF(last, 0) FROM placements WHERE {_BY_ID})"
EVENTS: Final = f"{CHAIN.replace('?', _LAST)} SELECT body FROM chain ORDER BY n"
_ADD: Final = f"INSERT INTO events (before, at, body) VALUES ({_LAST}, ?, ?)"
_ADD_AFTER: Final = "INSERT INTO events (before, at, body) VALUES (?, ?, ?)"
_INSERT: Final = f"INSERT INTO placements VALUES ({', '.join('?' * 10)})"
_UPDATE: Final = f"UPDATE placements SET state = ?, last = ?, body = ? WHERE {_BY_ID}"
# By themselves: an index is written anew where a column of it is set, be it to what it was.
_LET_GO: Final = f"UPDATE placements SET held = NULL WHERE {_BY_ID} AND held = 1"
# A ghost does not take its key back from the placement that was given it since.
_FREE: Final = f"NOT EXISTS (SELECT 1 FROM placements p WHERE {_HOLDS})"
_HOLD: Final = f"UPDATE placements SET held = 1 WHERE {_BY_ID} AND held IS NULL AND {_FREE}"
_FREE_CLIENT: Final = f"UPDATE placements SET client_order_id = NULL WHERE {_BY_ID} AND client_order_id IS NOT NULL"
IS_ORDER: Final = "gateway = ? AND order_id = ? AND symbol = ? AND side = ?"
ORDER: Final = f"SELECT body FROM orders WHERE {IS_ORDER}"
_NEW_ORDER: Final = (
    "INSERT INTO orders (client_order_id, working, body, gateway, order_id, symbol, side) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_ORDER: Final = f"UPDATE orders SET body = ? WHERE {IS_ORDER}"
_PUT_INDEXED: Final = f"UPDATE orders SET client_order_id = ?, working = ? WHERE {IS_ORDER}"
_ORDERS: Final = (
    "SELECT order_id, body, gateway FROM orders WHERE order_id = ? "
    "UNION SELECT order_id, body, gateway FROM orders WHERE working IN (0, 1) AND client_order_id = ?"
)
_WORKING: Final = "SELECT order_id, body FROM orders WHERE working = 1 AND gateway = ?"
# A placement's row tells which order is its; how that stands is told by the order's row alone.
_WHICH: Final = ("venue", "account", "order_id", "symbol", "side")
_HOW_IT_STANDS: Final = {"placement": {"order": {*Order.model_fields}.difference(_WHICH)}}

_GAPS: Final = "SELECT since, until, told FROM gaps WHERE gateway = '' ORDER BY until"
_LOOKS: Final = "SELECT until, found FROM gaps WHERE gateway = ? AND symbol = ?"
_LOOKED: Final = (
    "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (gateway, symbol, until) DO UPDATE SET found = excluded.found"
)
_DECIDED: Final = "UPDATE gaps SET found = ? WHERE gateway = ? AND symbol = ? AND until = ?"
_PLACED: Final = "SELECT {} FROM placements WHERE gateway = ? AND created >= ? AND state = 'placed'"
# The venue's id of a placement's order.
ORDER_ID: Final = "placement.order.order_id"
# A placement that was made so long before may have been sent in the time that was lost.
_MAY_HAVE_WAITED: Final = 86400.0


class Dialect(NamedTuple):
    """
    The words in which engines differ. Parameters are written `?` here.

    Attributes:
        now: epoch seconds, by the clock that decides about leases. `in_order`: sorts rows of one time as they were
            written. `in_body`: a field of a body by its dotted path, and its column; NULL where that is damaged.
        names: the placement ids of a group, joined. `check`: tells damage, a row for each; one that says `ok` is none.
    """

    now: str
    in_order: str
    in_body: Callable[..., str]
    names: str
    check: str

    @property
    def records(self) -> str:
        """Begins a query for records, `p`: for each its id, its body, and that of its order as last known."""
        of = (f"o.{name} = {self.in_body(f'placement.order.{name}', 'p.body')}" for name in _WHICH[2:])
        on = " AND ".join(("o.gateway = p.gateway", *of))
        return f"SELECT p.placement_id, p.body, o.body FROM placements p LEFT JOIN orders o ON {on} WHERE"


class Connection(Protocol):
    """Within a transaction."""

    def execute(self, statement: str, values: Sequence[Any] = (), /) -> Any:
        """A cursor over what a statement gives; its `lastrowid` is the number of an event that was added."""


class Engine(Protocol):
    """Runs transactions. Every call may raise JournalError, which says what to do."""

    name: str

    @property
    def dialect(self) -> Dialect:
        """How it says what engines say differently."""

    @property
    def has_gaps(self) -> bool:
        """True if something that was written was lost, ever."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """
        Do `work` in a transaction of its own; returns when that is durable. What it raises undoes it.

        Works read what they then write by, so no other write to the journal, of any host, may take effect between:
        they take turns by a lock, or are serializable and one that lost is done again, after `forget`.
        """

    async def rows(self, query: str, values: Sequence[Any]) -> Rows:
        """All that a query finds, as it is now."""

    def reading(self) -> AbstractContextManager[Callable[..., Iterator[Any]]]:
        """For queries, row by row, that all see the journal as it is at one moment."""

    async def aclose(self) -> None:
        """Write what is waiting, and close."""


class SqlJournal:
    """
    A journal over an SQL engine.

    Args:
        engine: calls `forget` when another than this journal may have written.
    """

    durable: Final = True

    def __init__(self, engine: Callable[[Callable[[], object]], Engine]) -> None:
        # Records as they stand in the journal; how their orders stand may have changed since.
        self._known: dict[str, Record] = {}
        # Called within a write, once what is remembered may not be so any more.
        self.forget = self._known.clear
        self.engine = engine(self.forget)
        self._records = self.engine.dialect.records
        self._told: set[str] = set()
        # Told of each row that was left out of a list, as it cannot be read.
        self.on_unreadable: Callable[[str], object] = lambda why: None

    async def create(self, record: Record, *then: Transition, alone: bool = False) -> Record:
        """See `Journal.create`."""

        def work(db: Connection) -> Record:
            last = then[-1].record if then else record
            held = self._holder(db, last)
            if held is not None:
                return held
            if alone and last.state in IN_FLIGHT:
                self._check_alone(db, last)
            _insert(db, last, _add(db, last.id, stored(record), *(step.event for step in then)))
            return self._remember(_observed(db, last))

        return await self.engine.write(work)

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        """See `Journal.change`."""

        return await self.engine.write(lambda db: self._change(db, placement_id, change, alone=alone))

    async def change_seeing(self, placement_id: str, order: Order, change: ChangeSeeing) -> Record:
        """See `Journal.change_seeing`."""

        def work(db: Connection) -> Record:
            known = _observe(db, order)
            return self._change(db, placement_id, lambda record: change(record, known), known)

        return await self.engine.write(work)

    def _change(
        self, db: Connection, placement_id: str, change: Change, seen: Order | None = None, *, alone: bool = False
    ) -> Record:
        before = self._current(db, placement_id)
        done = change(before)
        if done is None:
            return before
        after = done.record
        if alone and after.state in IN_FLIGHT:
            self._check_alone(db, after)
        _update(db, before, after, done.event)
        order = after.placement.order
        is_known = order is seen or order == before.placement.order
        return self._remember(after if is_known else _observed(db, after))

    def _current(self, db: Connection, placement_id: str) -> Record:
        record = self._known.get(placement_id)
        if record is None:
            record = self._read(db, _BY_ID, (placement_id,))
            if record is None:
                raise KeyError(placement_id)
            return record
        order = record.placement.order
        row = None if order is None else db.execute(ORDER, order.identity).fetchone()
        return record if row is None else with_order(record, row[0])

    def _read(self, db: Connection, where: str, values: Sequence[Any], which: str = "") -> Record | None:
        row = db.execute(f"{self._records} {where}", values).fetchone()
        return None if row is None else with_order(read_row(Record, row[1], f"placement {row[0]}{which}"), row[2])

    def _holder(self, db: Connection, record: Record) -> Record | None:
        """The holder of a new record's key. ClientIdUsed: another has its client id."""
        placement = record.placement
        key, client_order_id, gateway = placement.key, placement.client_order_id, placement.gateway
        if db.execute(_TAKEN, (key, gateway, client_order_id, gateway)).fetchone() is None:
            return None
        held = self._read(db, _HOLDS, (key, gateway), f", which holds the key {key!r},")
        if held is None:
            raise ClientIdUsed(f"the client order id {client_order_id} was used before")
        return held

    def _check_alone(self, db: Connection, record: Record) -> None:
        of, which = (record.fingerprint, record.id), ", which may be of an equal order,"
        twin = self._read(db, f"{_IS_TWIN} AND placement_id <> ?", of, which)
        if twin is not None:
            raise InFlight(twin)

    async def get(self, placement_id: str) -> Record | None:
        """See `Journal.get`."""
        rows = await self.engine.rows(f"{self._records} {_BY_ID}", (placement_id,))
        return self._record(rows[0]) if rows else None

    async def find(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        client_order_id: str | None = None,
        states: Sequence[PlacementState] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Record]:
        """See `Journal.find`."""
        given = {"gateway": gateway, "key": key, "client_order_id": client_order_id}
        wanted = {name: value for name, value in given.items() if value is not None}
        tests = [f"p.{name} = ?" for name in wanted]
        if states is not None:
            tests.append(f"state IN ({_listed(states)})")
            if PlacementState.PLACED not in states:
                tests.append(_IS_INDEXED)
        down, most = " DESC" * newest_first, "" if limit is None else f" LIMIT {limit:d}"
        order = f"ORDER BY p.created{down}, p.{self.engine.dialect.in_order}{down}{most}"
        where = " AND ".join(tests) or "TRUE"
        rows = await self.engine.rows(f"{self._records} {where} {order}", [*wanted.values()])
        if key is not None:  # whoever asks by it may place by it
            return [self._record(row) for row in rows]
        return list(records_of(rows, told=self._tell))

    def _record(self, row: Sequence[str]) -> Record:
        return with_order(read_row(Record, row[1], f"placement {row[0]}"), row[2], told=self._tell)

    async def events(self, placement_id: str) -> list[Event]:
        """See `Journal.events`."""
        rows = await self.engine.rows(EVENTS, (placement_id,))
        return list(events_of(placement_id, rows))

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        """See `Journal.observe`."""
        if not orders:
            return []
        return await self.engine.write(lambda db: [_observe_alone(db, order) for order in orders])

    async def orders(
        self, *, gateway: str | None = None, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[Order]:
        """See `Journal.orders`."""
        rows = await self.engine.rows(_ORDERS, (order_id, client_order_id))
        return self._orders(row for row in rows if gateway in (None, row[2]))

    async def working(self, gateway: str) -> list[Order]:
        """See `Journal.working`."""
        rows = await self.engine.rows(_WORKING, (gateway,))
        return self._orders(rows)

    async def sign(self, order: Order, sign: Sign) -> Order | None:
        """See `Journal.sign`."""
        return await self.engine.write(lambda db: _sign(db, order, sign))

    async def keep_alive(self, owner: str, seconds: float) -> None:
        """See `Journal.keep_alive`."""
        until = f"{self.engine.dialect.now} + ?" if seconds else "?"
        query = f"INSERT INTO owners VALUES (?, {until}) ON CONFLICT (owner) DO UPDATE SET until = excluded.until"
        await self.engine.write(lambda db: db.execute(query, (owner, seconds)).rowcount)

    async def lives(self, owner: str, grace: float = 0.0) -> bool:
        """See `Journal.lives`."""
        query = f"SELECT 1 FROM owners WHERE owner = ? AND until > 0 AND until + ? > {self.engine.dialect.now}"
        return bool(await self.engine.rows(query, (owner, grace)))

    async def gap(self, gateway: str, symbol: str) -> Gap | None:
        """See `Journal.gap`."""
        if not self.engine.has_gaps:
            return None
        gaps = await self.engine.rows(_GAPS, ())
        looks = await self.engine.rows(_LOOKS, (gateway, symbol)) if gateway else []
        looked = max((until for until, _ in looks), default=0.0)
        # Of several, only what was not looked for yet; without a gateway, the last.
        new = [row for row in gaps if row[1] > looked] if gateway else gaps[-1:]
        since, (_, until, told) = min(row[0] for row in new or gaps), gaps[-1]
        at = datetime.fromtimestamp
        gap = Gap(at(since, UTC), at(until, UTC), at(told, UTC))
        if new:
            return gap
        found = [json.loads(body) for _, body in looks]
        orders = tuple(read_row(Order, body, "what was found") for each in found for body in each["orders"])
        lacking = frozenset(OrderType(word) for each in found for word in each["may_lack"])
        return gap._replace(found=orders, may_lack=lacking)

    async def gap_found(
        self, gateway: str, symbol: str, gap: Gap, found: Sequence[Order], may_lack: Iterable[OrderType]
    ) -> None:
        """See `Journal.gap_found`."""
        times = [moment.timestamp() for moment in (gap.since, gap.until, gap.told)]
        placed_ids = _PLACED.format(self.engine.dialect.in_body(ORDER_ID))

        def work(db: Connection) -> None:
            placed = {row[0] for row in db.execute(placed_ids, (gateway, times[0] - _MAY_HAVE_WAITED))}
            left = [
                _json(order)
                for order in found
                if order.order_id not in placed and not db.execute(_CLIENT, (order.client_order_id, gateway)).fetchone()
            ]
            body = json.dumps({"orders": left, "may_lack": sorted(may_lack)})
            db.execute(_LOOKED, (gateway, symbol, *times, body))

        await self.engine.write(work)

    async def gap_decided(self, gateway: str, symbol: str, order_id: str | None, type_: OrderType | None) -> None:
        """See `Journal.gap_decided`."""

        def work(db: Connection) -> None:
            for until, body in db.execute(_LOOKS, (gateway, symbol)).fetchall():
                found = json.loads(body)
                orders = [each for each in found["orders"] if json.loads(each)["order_id"] != order_id]
                told = {"orders": orders, "may_lack": [word for word in found["may_lack"] if word != type_]}
                db.execute(_DECIDED, (json.dumps(told), gateway, symbol, until))

        await self.engine.write(work)

    async def aclose(self) -> None:
        """See `Journal.aclose`."""
        await self.engine.aclose()

    def _orders(self, rows: Iterable[Sequence[Any]]) -> list[Order]:
        read = (readable(Order, row[1], f"order {row[0]}", told=self._tell) for row in rows)
        return [order for order in read if order is not None]

    def _tell(self, why: str) -> None:
        """Tell of a row that cannot be read, once; of many, of the first thousand."""
        if why not in self._told and len(self._told) < _REMEMBERED:
            self._told.add(why)
            log.error("the journal %s: %s", self.engine.name, why)
            self.on_unreadable(why)

    def _remember(self, record: Record) -> Record:
        """Within a write, as all use of what is remembered."""
        name = record.id
        self._known.pop(name, None)
        self._known[name] = record
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return record


def _insert(db: Connection, record: Record, last: int) -> None:
    """Store a new record, whose last event has this number."""
    placement = record.placement
    row = (
        placement.placement_id,
        placement.gateway,
        placement.key,
        1 if placement.state in HOLDING else None,
        placement.client_order_id,
        placement.state.value,
        record.fingerprint,
        placement.created_at.timestamp(),
        last,
        _body(record),
    )
    db.execute(_INSERT, row)


def _add(db: Connection, placement_id: str, *events: Event) -> int:
    """Store events after those that a placement has; the number of the last."""
    add, after, n = _ADD, placement_id, 0
    for event in events:
        body = _json(event, exclude={"placement_id", "seq"})
        n = db.execute(add, (after, event.at.timestamp(), body)).lastrowid
        add, after = _ADD_AFTER, n
    return n


def _update(db: Connection, before: Record, after: Record, event: Event) -> None:
    placement = after.placement
    name, state, key = placement.placement_id, placement.state, placement.key
    db.execute(_UPDATE, (state.value, _add(db, name, event), _body(after), name))
    if state not in HOLDING:
        db.execute(_LET_GO, (name,))
    elif key is not None and before.state not in UNFINISHED:
        db.execute(_HOLD, (name, key, placement.gateway))
    if placement.client_order_id is None:
        db.execute(_FREE_CLIENT, (name,))


def _body(record: Record) -> str:
    order = record.placement.order
    is_kept = order is None or order.gateway != record.placement.gateway
    return _json(record, exclude=None if is_kept else _HOW_IT_STANDS)


def _json(model: BaseModel, *, exclude: Any = None) -> str:
    """A body, as `model_dump_json` would make it; that takes as long for its own arguments as for a small model."""
    return model.__pydantic_serializer__.to_json(model, exclude=exclude, exclude_defaults=True).decode()


def _observed(db: Connection, record: Record) -> Record:
    """A record with its order, which is stored too, as that is known now."""
    order = record.placement.order
    return record if order is None else showing(record, _observe(db, order))


def _observe(db: Connection, order: Order) -> Order:
    if db.execute(f"{_NEW_ORDER} ON CONFLICT DO NOTHING", _order_row(order)).rowcount:
        return order
    known = _known_order(db, order)
    return order if known is None else _put_order(db, known, advance(known, order)[0])


def _observe_alone(db: Connection, order: Order) -> Order:
    """One of many: what cannot be stored of it keeps no other back."""
    try:
        return _observe(db, order)
    except ValueError as error:
        log.error("what was seen of the order %s of %s cannot be stored: %s", *map(ascii, order.key[:2]), error)
        return order


def _sign(db: Connection, order: Order, sign: Sign) -> Order | None:
    known = _known_order(db, order)
    return None if known is None else _put_order(db, known, advance(known, sign)[0])


def _known_order(db: Connection, order: Order) -> Order | None:
    row = db.execute(ORDER, order.identity).fetchone()
    if row is None:
        return None
    try:
        return read_row(Order, row[0], f"order {order.order_id}")
    except JournalError as error:
        # It is left as it stands, for `verify`; what is shown now is no less true for that.
        log.error("what was known of an order is left out: %s", error)
        return None


def _put_order(db: Connection, before: Order, after: Order) -> Order:
    if after != before:
        client, working, *row = _order_row(after)
        db.execute(_PUT_ORDER, row)
        if (client, working) != (before.client_order_id, before.may_be_live):
            db.execute(_PUT_INDEXED, (client, working, *after.identity))
    return after


def _order_row(order: Order) -> tuple[Any, ...]:
    # Of plain types: for any other, and it is asked about thousands of them, Python looks for an adapter each time.
    return order.client_order_id, int(order.may_be_live), _json(order), *map(str, order.identity)
