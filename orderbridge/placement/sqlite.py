"""The embedded journal: one SQLite file that outlives crashes and that several processes may share."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from orderbridge.errors import JournalError
from orderbridge.model.advance import Sign, advance
from orderbridge.model.order import Order, OrderKey
from orderbridge.model.words import PlacementState
from orderbridge.placement.journal import Change, InFlight
from orderbridge.placement.schema import VERSION, migrate, version_of
from orderbridge.placement.states import IN_FLIGHT, Event, Record, Step, stored
from orderbridge.placement.writer import Writer

T = TypeVar("T")
_BUSY_SECONDS: Final = 10.0
_LOOK_AGAIN: Final = 0.01


def _listed(states: Sequence[PlacementState]) -> str:
    return ", ".join(f"'{state}'" for state in states)


_HOLDER: Final = "SELECT body FROM placements WHERE gateway = ? AND held_key = ?"
_TWIN: Final = (
    f"SELECT body FROM placements WHERE fingerprint = ? AND state IN ({_listed(IN_FLIGHT)}) AND placement_id <> ?"
)


class SqliteJournal:
    """
    A journal in one file, in WAL mode with a full sync at each commit.

    Args:
        path: made, for its owner's eyes only, when it is not there.
        read_only: for looking on while a bot writes; every write is refused.

    Raises, from every call:
        JournalError: the file cannot be written or read, is damaged, or is of a newer version.
    """

    durable: Final = True

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._read_only = read_only
        self._writer = Writer(self._open_to_write)
        self._readers: ThreadPoolExecutor | None = None
        self._reading: sqlite3.Connection | None = None
        self._ready = False

    async def create(self, record: Record, *then: Step, alone: bool = False) -> Record:
        """See `Journal.create`."""

        def work(db: sqlite3.Connection) -> Record:
            placement = record.placement
            if placement.key is not None:
                held = db.execute(_HOLDER, (placement.gateway, placement.key)).fetchone()
                if held is not None:
                    return Record.model_validate_json(held[0])
            used = "SELECT 1 FROM placements WHERE gateway = ? AND client_order_id = ?"
            if db.execute(used, (placement.gateway, placement.client_order_id)).fetchone() is not None:
                raise ValueError(f"the client order id {placement.client_order_id} was used before")
            last = then[-1].record if then else record
            _check_alone(db, last, alone)
            _put(db, last, insert=True)
            for event in (stored(record), *(step.event for step in then)):
                _add(db, event)
            return last

        return await self._write(work)

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        """See `Journal.change`."""

        def work(db: sqlite3.Connection) -> Record:
            row = db.execute("SELECT body FROM placements WHERE placement_id = ?", (placement_id,)).fetchone()
            if row is None:
                raise KeyError(placement_id)
            record = Record.model_validate_json(row[0])
            done = change(record)
            if done is None:
                return record
            _check_alone(db, done.record, alone)
            _add(db, done.event)
            if done.record != record:
                _put(db, done.record)
            return done.record

        return await self._write(work)

    async def get(self, placement_id: str) -> Record | None:
        """See `Journal.get`."""
        query = "SELECT body FROM placements WHERE placement_id = ?"
        rows = await self._rows(query, (placement_id,))
        return Record.model_validate_json(rows[0][0]) if rows else None

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
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        rows = await self._rows(f"SELECT body FROM placements{where} ORDER BY created", tuple(wanted.values()))
        return [Record.model_validate_json(row[0]) for row in rows]

    async def events(self, placement_id: str) -> list[Event]:
        """See `Journal.events`."""
        rows = await self._rows("SELECT seq, body FROM events WHERE placement_id = ? ORDER BY seq", (placement_id,))
        return [Event.model_validate_json(body).model_copy(update={"seq": seq}) for seq, body in rows]

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        """See `Journal.observe`."""
        if not orders:
            return []
        return await self._write(lambda db: [_observe(db, order) for order in orders])

    async def orders(
        self, *, gateway: str | None = None, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[Order]:
        """See `Journal.orders`."""
        found: dict[str, Order] = {}
        for column, value in (("order_id", order_id), ("client_order_id", client_order_id)):
            if value is not None:
                rows = await self._rows(f"SELECT gateway, body FROM orders WHERE {column} = ?", (value,))
                matching = [body for owner, body in rows if gateway in (None, owner)]
                found |= {body: Order.model_validate_json(body) for body in matching}
        return list(found.values())

    async def working(self, gateway: str) -> list[Order]:
        """See `Journal.working`."""
        rows = await self._rows("SELECT body FROM orders WHERE gateway = ? AND working", (gateway,))
        return [Order.model_validate_json(row[0]) for row in rows]

    async def sign(self, key: OrderKey, sign: Sign) -> Order | None:
        """See `Journal.sign`."""
        return await self._write(lambda db: _sign(db, key, sign))

    async def keep_alive(self, owner: str, *, until: float) -> None:
        """See `Journal.keep_alive`."""
        query = "INSERT INTO owners VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET until = excluded.until"
        await self._write(lambda db: db.execute(query, (owner, until)).rowcount)

    async def alive_until(self, owner: str) -> float:
        """See `Journal.alive_until`."""
        rows = await self._rows("SELECT until FROM owners WHERE owner = ?", (owner,))
        return float(rows[0][0]) if rows else 0.0

    async def aclose(self) -> None:
        """Write what is waiting, and close the file."""
        await self._writer.aclose()
        if self._readers is not None:
            await asyncio.get_running_loop().run_in_executor(self._readers, self._close_reading)
            self._readers.shutdown(wait=False)
            self._readers = None

    def _close_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._read_only:
            raise JournalError(f"{self.path} was opened for reading only")
        return await self._writer.run(work)

    async def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        if self._writer.is_closed:
            raise JournalError("the journal is closed")
        if not self._ready and not self._read_only:
            await self._writer.run(lambda db: None)  # makes the file, or raises why it cannot
            self._ready = True
        if self._readers is None:
            self._readers = ThreadPoolExecutor(1, thread_name_prefix="orderbridge-journal-read")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, query, values)

    def _read(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            if self._reading is None:
                self._reading = self._open_to_read()
            return self._reading.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._close_reading()
            raise JournalError(f"the journal {self.path} cannot be read: {error}") from error

    def _open_to_read(self) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        db = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            if version_of(db) != VERSION:
                raise JournalError(f"{self.path} is of version {version_of(db)}; this orderbridge reads {VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def _open_to_write(self) -> sqlite3.Connection:
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        # autocommit: transactions are begun and ended by the writer alone
        db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            _switch_to_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            migrate(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"


def _switch_to_wal(db: sqlite3.Connection) -> None:
    # A new file changes its mode once, and SQLite does not wait for another process that does so at this moment.
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(_LOOK_AGAIN)


def _check_alone(db: sqlite3.Connection, record: Record, alone: bool) -> None:
    begins = alone and record.state in IN_FLIGHT
    twin = db.execute(_TWIN, (record.fingerprint, record.id)).fetchone() if begins else None
    if twin is not None:
        raise InFlight(Record.model_validate_json(twin[0]))


def _put(db: sqlite3.Connection, record: Record, *, insert: bool = False) -> None:
    body = record.model_dump_json(exclude_defaults=True)
    placement = record.placement
    held_key = placement.key if placement.holds_key else None
    if not insert:
        if held_key is not None and _is_held(db, record):
            held_key = None  # a ghost does not take its key back from the placement that was given it since
        query = "UPDATE placements SET state = ?, held_key = ?, body = ? WHERE placement_id = ?"
        db.execute(query, (record.state.value, held_key, body, record.id))
        return
    row = (
        record.id,
        placement.gateway,
        placement.key,
        placement.client_order_id,
        record.state.value,
        record.fingerprint,
        placement.created_at.timestamp(),
        held_key,
        body,
    )
    db.execute("INSERT INTO placements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)


def _is_held(db: sqlite3.Connection, record: Record) -> bool:
    query = "SELECT 1 FROM placements WHERE gateway = ? AND held_key = ? AND placement_id <> ?"
    return db.execute(query, (record.placement.gateway, record.placement.key, record.id)).fetchone() is not None


def _add(db: sqlite3.Connection, event: Event) -> None:
    # The event's state words stand in its body too; the columns are for people with a SQL prompt.
    db.execute(
        "INSERT INTO events SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ? FROM events WHERE placement_id = ?",
        (
            event.placement_id,
            event.at.timestamp(),
            event.happened.value,
            event.after.value,
            event.model_dump_json(exclude={"seq"}, exclude_defaults=True),
            event.placement_id,
        ),
    )


def _observe(db: sqlite3.Connection, order: Order) -> Order:
    key = (order.gateway, order.order_id)
    row = db.execute("SELECT body FROM orders WHERE gateway = ? AND order_id = ?", key).fetchone()
    known = order if row is None else advance(Order.model_validate_json(row[0]), order)[0]
    _put_order(db, known, before=None if row is None else row[0])
    return known


def _sign(db: sqlite3.Connection, key: OrderKey, sign: Sign) -> Order | None:
    row = db.execute("SELECT body FROM orders WHERE gateway = ? AND order_id = ?", key).fetchone()
    if row is None:
        return None
    known = advance(Order.model_validate_json(row[0]), sign)[0]
    _put_order(db, known, before=row[0])
    return known


def _put_order(db: sqlite3.Connection, order: Order, *, before: str | None) -> None:
    body = order.model_dump_json(exclude_defaults=True)
    if body != before:
        row = (order.gateway, order.order_id, order.client_order_id, order.may_be_live, body)
        db.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", row)
