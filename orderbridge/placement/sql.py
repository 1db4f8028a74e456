"""The embedded journal: one SQLite file that outlives crashes and that several processes may share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from orderbridge.errors import JournalError
from orderbridge.gateway import checked_call
from orderbridge.model.basics import OrderType, PlacementState
from orderbridge.model.lifecycle import Sign, advance
from orderbridge.model.order import Order
from orderbridge.placement.journal import Change, ChangeSeeing, ClientIdUsed, Gap, InFlight
from orderbridge.placement.sqlite import JournalFile, M, log, read_row
from orderbridge.placement.states import IN_FLIGHT, UNFINISHED, Event, Record, Step, stored
from orderbridge.placement.threads import ReadThread, Rows, WriteThread

T = TypeVar("T")
# Records lately written, so that the next change of one need not parse it.
_REMEMBERED: Final = 1_000


def _listed(states: Sequence[PlacementState]) -> str:
    return ", ".join(f"'{state}'" for state in states)


# SQLite uses a partial index only for a query that repeats its condition, in the same words.
_INDEXED: Final = (*UNFINISHED, PlacementState.NOT_PLACED)
_IS_INDEXED: Final = f"state IN ({_listed(_INDEXED)})"
_HOLDER: Final = "SELECT placement_id, body FROM placements WHERE gateway = ? AND held_key = ?"
_TWIN: Final = (
    f"SELECT placement_id, body FROM placements WHERE fingerprint = ? AND state IN ({_listed(IN_FLIGHT)}) "
    f"AND {_IS_INDEXED} AND placement_id <> ?"
)
_CLIENT: Final = "SELECT 1 FROM placements WHERE client_order_id = ? AND gateway = ?"
_BODY: Final = "SELECT body FROM placements WHERE placement_id = ?"
_LAST_SEQ: Final = "SELECT COALESCE(MAX(seq), 0) FROM events WHERE placement_id = ?"
_EVENT_ROW: Final = "(?, ?, ?, ?, ?, ?)"
# One statement looks and stores; what stood in its way is asked for only when it stored nothing.
_FREE: Final = "NOT EXISTS (SELECT 1 FROM placements WHERE gateway = ? AND held_key = ?)"
_NO_TWIN: Final = (
    f"NOT EXISTS (SELECT 1 FROM placements WHERE fingerprint = ? AND state IN ({_listed(IN_FLIGHT)}) AND {_IS_INDEXED})"
)
_NEW: Final = f"INSERT INTO placements SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE {_FREE}"
_INSERT: Final = f"{_NEW} ON CONFLICT DO NOTHING"
_INSERT_ALONE: Final = f"{_NEW} AND {_NO_TWIN} ON CONFLICT DO NOTHING"
# A ghost does not take its key back from the placement that was given it since.
_TAKEN: Final = "SELECT 1 FROM placements WHERE gateway = ? AND held_key = ? AND placement_id <> ?"
_UPDATE: Final = (
    f"UPDATE placements SET state = ?, body = ?, held_key = CASE WHEN EXISTS ({_TAKEN}) THEN NULL ELSE ? END "
    "WHERE placement_id = ?"
)
_FREE_CLIENT: Final = (
    "UPDATE placements SET client_order_id = NULL WHERE placement_id = ? AND client_order_id IS NOT NULL"
)
_IS_ORDER: Final = "gateway = ? AND order_id = ? AND symbol = ? AND side = ?"
_ORDER: Final = f"SELECT body FROM orders WHERE {_IS_ORDER}"
_NEW_ORDER: Final = (
    "INSERT INTO orders (client_order_id, working, body, gateway, order_id, symbol, side) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_PUT_ORDER: Final = f"UPDATE orders SET client_order_id = ?, working = ?, body = ? WHERE {_IS_ORDER}"
_ORDERS: Final = (
    "SELECT order_id, body, gateway FROM orders WHERE order_id = ? "
    "UNION SELECT order_id, body, gateway FROM orders WHERE client_order_id = ?"
)

_GAPS: Final = "SELECT since, until, told FROM gaps WHERE gateway = '' ORDER BY until"
_LOOKS: Final = "SELECT until, found FROM gaps WHERE gateway = ? AND symbol = ?"
_LOOKED: Final = "INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET found = excluded.found"
_DECIDED: Final = "UPDATE gaps SET found = ? WHERE gateway = ? AND symbol = ? AND until = ?"
_PLACED: Final = """SELECT json_extract(body, '$.placement.order.order_id') FROM placements
    WHERE gateway = ? AND created >= ? AND state = 'placed' AND json_valid(body)"""
# A placement that was made so long before may have been sent in the time that was lost.
_MAY_HAVE_WAITED: Final = 86400.0


class SqliteJournal:
    """
    A journal in one file, in WAL mode with a full sync at each commit. Several processes may share the file.

    When it cannot be written, what was durable stays so, and once the cause is gone the same journal goes on.
    After a fork it is to be made anew in the child.

    Args:
        path: made, for its owner's eyes only, when it is not there. Its folder must be there, on a local disk.
        read_only: for looking on while a bot writes; every write is refused.
        busy_timeout: seconds for which a write waits for another process that writes.

    Raises, from every call:
        JournalError: the file cannot be written or read, is damaged, or is of a newer version; it says what to do.
    """

    durable: Final = True

    @checked_call
    def __init__(self, path: str | Path, *, read_only: bool = False, busy_timeout: float = 5.0) -> None:
        self.path = Path(path)
        self._file = file = JournalFile(path, busy_timeout=busy_timeout)
        self._read_only = read_only
        # Records as they stand in the file, each with the number of its last event.
        self._known: dict[str, tuple[Record, int]] = {}
        self._reader = ReadThread(file)
        self._writer = WriteThread(file, forget=self._known.clear, failed=self._reader.disconnect)
        self._ready = read_only
        self._told: set[str] = set()
        # Told of each row that was left out of a list, as it cannot be read.
        self.on_unreadable: Callable[[str], object] = lambda why: None

    async def create(self, record: Record, *then: Step, alone: bool = False) -> Record:
        """See `Journal.create`."""

        def work(db: sqlite3.Connection) -> Record:
            last = then[-1].record if then else record
            begins = alone and last.state in IN_FLIGHT
            if not _insert(db, last, alone=begins):
                return _obstacle(db, last, alone=begins)
            _add(db, stored(record), *(step.event for step in then))
            self._remember(last, 1 + len(then))
            return last

        return await self._write(work)

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        """See `Journal.change`."""

        return await self._write(lambda db: self._change(db, placement_id, change, alone=alone))

    async def change_seeing(self, placement_id: str, order: Order, change: ChangeSeeing) -> Record:
        """See `Journal.change_seeing`."""

        def work(db: sqlite3.Connection) -> Record:
            known = _observe(db, order)
            return self._change(db, placement_id, lambda record: change(record, known))

        return await self._write(work)

    def _change(self, db: sqlite3.Connection, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        record, seq = self._known.get(placement_id) or _current(db, placement_id)
        done = change(record)
        if done is None:
            return record
        after = done.record
        if alone and after.state in IN_FLIGHT:
            _check_alone(db, after)
        _add(db, done.event, after=seq)
        _update(db, after)
        self._remember(after, seq + 1)
        return after

    async def get(self, placement_id: str) -> Record | None:
        """See `Journal.get`."""
        rows = await self._rows(_BODY, (placement_id,))
        return read_row(Record, rows[0][0], f"placement {placement_id}") if rows else None

    async def find(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        client_order_id: str | None = None,
        states: Sequence[PlacementState] | None = None,
    ) -> list[Record]:
        """See `Journal.find`."""
        given = {"gateway": gateway, "key": key, "client_order_id": client_order_id}
        wanted = {name: value for name, value in given.items() if value is not None}
        tests = [f"{name} = ?" for name in wanted]
        if states is not None:
            tests.append(f"state IN ({_listed(states)})")
            if set(states) <= set(_INDEXED):
                tests.append(_IS_INDEXED)
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        query = f"SELECT placement_id, body FROM placements{where} ORDER BY created, rowid"
        rows = await self._rows(query, tuple(wanted.values()))
        if key is not None:  # whoever asks by it may place by it
            return [read_row(Record, body, f"placement {name}") for name, body in rows]
        return list(self._readable(Record, rows, "placement"))

    async def events(self, placement_id: str) -> list[Event]:
        """See `Journal.events`."""
        rows = await self._rows("SELECT seq, body FROM events WHERE placement_id = ? ORDER BY seq", (placement_id,))
        what = f"of placement {placement_id}"
        return [read_row(Event, body, f"event {seq} {what}").model_copy(update={"seq": seq}) for seq, body in rows]

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        """See `Journal.observe`."""
        if not orders:
            return []
        return await self._write(lambda db: [_observe_alone(db, order) for order in orders])

    async def orders(
        self, *, gateway: str | None = None, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[Order]:
        """See `Journal.orders`."""
        rows = await self._rows(_ORDERS, (order_id, client_order_id))
        return list(self._readable(Order, [row[:2] for row in rows if gateway in (None, row[2])], "order"))

    async def working(self, gateway: str) -> list[Order]:
        """See `Journal.working`."""
        rows = await self._rows("SELECT order_id, body FROM orders WHERE gateway = ? AND working", (gateway,))
        return list(self._readable(Order, rows, "order"))

    async def sign(self, order: Order, sign: Sign) -> Order | None:
        """See `Journal.sign`."""
        return await self._write(lambda db: _sign(db, order, sign))

    async def keep_alive(self, owner: str, *, until: float) -> None:
        """See `Journal.keep_alive`."""
        query = "INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET until = excluded.until"
        await self._write(lambda db: db.execute(query, (owner, until)).rowcount)

    async def alive_until(self, owner: str) -> float:
        """See `Journal.alive_until`."""
        rows = await self._rows("SELECT until FROM owners WHERE owner = ?", (owner,))
        return float(rows[0][0]) if rows else 0.0

    async def gap(self, gateway: str, symbol: str) -> Gap | None:
        """What the file lost, if it came back older than it was, with what was found of it at a venue and symbol."""
        if not self._file.has_gaps:
            return None
        gaps = await self._rows(_GAPS, ())
        looks = await self._rows(_LOOKS, (gateway, symbol)) if gateway else []
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
        """Store that a venue was looked at for what was lost, and what no placement is known of."""
        times = [moment.timestamp() for moment in (gap.since, gap.until, gap.told)]

        def work(db: sqlite3.Connection) -> None:
            placed = {row[0] for row in db.execute(_PLACED, (gateway, times[0] - _MAY_HAVE_WAITED))}
            left = [
                order.model_dump_json(exclude_defaults=True)
                for order in found
                if order.order_id not in placed and not db.execute(_CLIENT, (order.client_order_id, gateway)).fetchone()
            ]
            body = json.dumps({"orders": left, "may_lack": sorted(may_lack)})
            db.execute(_LOOKED, (gateway, symbol, *times, body))

        await self._write(work)

    async def gap_decided(self, gateway: str, symbol: str, order_id: str | None, type_: OrderType | None) -> None:
        """Store a person's word: whose an order is that was found; or that none of a type waits for its trigger."""

        def work(db: sqlite3.Connection) -> None:
            for until, body in db.execute(_LOOKS, (gateway, symbol)).fetchall():
                found = json.loads(body)
                orders = [each for each in found["orders"] if json.loads(each)["order_id"] != order_id]
                told = {"orders": orders, "may_lack": [word for word in found["may_lack"] if word != type_]}
                db.execute(_DECIDED, (json.dumps(told), gateway, symbol, until))

        await self._write(work)

    async def aclose(self) -> None:
        """Write what is waiting, and close the file. A copy of the file alone is whole after that."""
        try:
            # First, as the last to close the file is the one that brings the WAL into it.
            await self._reader.aclose()
        finally:
            await self._writer.aclose()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._read_only:
            raise JournalError(f"{self.path} was opened for reading only")
        return await self._writer.run(work)

    async def _rows(self, query: str, values: tuple[Any, ...]) -> Rows:
        if self._writer.is_closed:
            raise JournalError("the journal is closed")
        if not self._ready:
            # The file may have to be made or brought forward; one that can be read need not be writable for that.
            try:
                rows = await self._reader.rows(query, values)
            except JournalError:
                await self._writer.run(lambda db: None)
            else:
                self._ready = True
                return rows
            self._ready = True
        return await self._reader.rows(query, values)

    def _readable(self, model: type[M], rows: Iterable[tuple[Any, ...]], kind: str) -> Iterator[M]:
        """The rows of a list that can be read. Of those that cannot, the first thousand are told, once."""
        for name, body in rows:
            try:
                yield read_row(model, body, f"{kind} {name}")
            except JournalError as error:
                if str(error) not in self._told and len(self._told) < _REMEMBERED:
                    self._told.add(str(error))
                    log.error("the journal %s: %s", self.path, error)
                    self.on_unreadable(str(error))

    def _remember(self, record: Record, seq: int) -> None:
        """In the writer's thread, as all use of what is remembered."""
        self._known.pop(record.id, None)
        self._known[record.id] = record, seq
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"


def _insert(db: sqlite3.Connection, record: Record, *, alone: bool) -> bool:
    """Store a new record, unless something stands in its way."""
    placement = record.placement
    row = (
        record.id,
        placement.gateway,
        placement.key,
        placement.client_order_id,
        record.state.value,
        record.fingerprint,
        placement.created_at.timestamp(),
        placement.key if placement.holds_key else None,
        record.model_dump_json(exclude_defaults=True),
    )
    free = (placement.gateway, placement.key)
    if alone:
        return db.execute(_INSERT_ALONE, (*row, *free, record.fingerprint)).rowcount == 1
    return db.execute(_INSERT, (*row, *free)).rowcount == 1


def _update(db: sqlite3.Connection, record: Record) -> None:
    placement = record.placement
    held_key = placement.key if placement.holds_key else None
    body = record.model_dump_json(exclude_defaults=True)
    taken = (placement.gateway, held_key, record.id)
    db.execute(_UPDATE, (record.state.value, body, *taken, held_key, record.id))
    if placement.client_order_id is None:
        db.execute(_FREE_CLIENT, (record.id,))


def _obstacle(db: sqlite3.Connection, record: Record, *, alone: bool) -> Record:
    """What kept a record from being stored: the holder of its key is returned, anything else raised."""
    placement = record.placement
    held = db.execute(_HOLDER, (placement.gateway, placement.key)).fetchone()
    if held is not None:
        return read_row(Record, held[1], f"placement {held[0]}, which holds the key {placement.key!r},")
    if db.execute(_CLIENT, (placement.client_order_id, placement.gateway)).fetchone() is not None:
        raise ClientIdUsed(f"the client order id {placement.client_order_id} was used before")
    if alone:
        _check_alone(db, record)
    raise JournalError(f"the journal holds a placement of this id already: {record.id}")


def _check_alone(db: sqlite3.Connection, record: Record) -> None:
    twin = db.execute(_TWIN, (record.fingerprint, record.id)).fetchone()
    if twin is not None:
        raise InFlight(read_row(Record, twin[1], f"placement {twin[0]}, which may be of an equal order,"))


def _current(db: sqlite3.Connection, placement_id: str) -> tuple[Record, int]:
    """A record, and the number of its last event."""
    row = db.execute(_BODY, (placement_id,)).fetchone()
    if row is None:
        raise KeyError(placement_id)
    (seq,) = db.execute(_LAST_SEQ, (placement_id,)).fetchone()
    return read_row(Record, row[0], f"placement {placement_id}"), seq


def _add(db: sqlite3.Connection, *events: Event, after: int = 0) -> None:
    # The event's state words stand in its body too; the columns are for people with a SQL prompt.
    values: list[Any] = []
    for seq, event in enumerate(events, start=after + 1):
        body = event.model_dump_json(exclude={"seq"}, exclude_defaults=True)
        values += event.placement_id, seq, event.at.timestamp(), event.happened.value, event.after.value, body
    db.execute("INSERT INTO events VALUES " + ", ".join([_EVENT_ROW] * len(events)), values)


def _observe(db: sqlite3.Connection, order: Order) -> Order:
    if db.execute(f"{_NEW_ORDER} ON CONFLICT DO NOTHING", _order_row(order)).rowcount:
        return order
    known = _known_order(db, order)
    return order if known is None else _put_order(db, known, advance(known, order)[0])


def _observe_alone(db: sqlite3.Connection, order: Order) -> Order:
    """One of many: what cannot be stored of it keeps no other back."""
    try:
        return _observe(db, order)
    except ValueError as error:
        log.error("what was seen of the order %s of %s cannot be stored: %s", *map(ascii, order.key[:2]), error)
        return order


def _sign(db: sqlite3.Connection, order: Order, sign: Sign) -> Order | None:
    known = _known_order(db, order)
    return None if known is None else _put_order(db, known, advance(known, sign)[0])


def _known_order(db: sqlite3.Connection, order: Order) -> Order | None:
    row = db.execute(_ORDER, order.identity).fetchone()
    if row is None:
        return None
    try:
        return read_row(Order, row[0], f"order {order.order_id}")
    except JournalError as error:
        # It is left as it stands, for `verify`; what is shown now is no less true for that.
        log.error("what was known of an order is left out: %s", error)
        return None


def _put_order(db: sqlite3.Connection, before: Order, after: Order) -> Order:
    if after != before:
        db.execute(_PUT_ORDER, _order_row(after))
    return after


def _order_row(order: Order) -> tuple[Any, ...]:
    body = order.model_dump_json(exclude_defaults=True)
    return order.client_order_id, order.may_be_live, body, *order.identity
