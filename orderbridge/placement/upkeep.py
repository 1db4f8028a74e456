"""The upkeep of a journal: reading it beside the bot that writes it, checking that it is whole, pruning it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.model.basics import PlacementState, Symbol, Told, VenueModel
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.placement.sqlite import APPLICATION_ID, FILE_ERRORS, VERSION, M, read_row, text, version_of
from orderbridge.placement.states import HOLDING, NEXT, WATCHED, Event, Happened, Record

_BUSY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class PlacementFilter:
    """
    Which placements: those that fit all that is given.

    Attributes:
        since, until: of their making; the first is inside, the last is not.
        may_be_live: only those whose order may trade, or only those whose order cannot.
    """

    states: Sequence[PlacementState] = ()
    gateway: str | None = None
    key: str | None = None
    symbol: Symbol | None = None
    since: datetime | None = None
    until: datetime | None = None
    may_be_live: bool | None = None

    def fits(self, record: Record) -> bool:
        """Whether a record with its order as last known is one of them."""
        placement = record.placement
        return (
            (not self.states or record.state in self.states)
            and self.gateway in (None, placement.gateway)
            and self.key in (None, placement.key)
            and self.symbol in (None, placement.request.symbol)
            and (self.since is None or placement.created_at >= self.since)
            and (self.until is None or placement.created_at < self.until)
            and self.may_be_live in (None, placement.may_be_live)
        )


class Snapshot:
    """
    A journal file, opened for reading only: a context manager, in which nothing that is read changes.

    Attributes:
        unreadable: why rows were left out of what was listed.

    Raises, on entering and from every call:
        JournalError: there is no such file, it is no journal, of another version, locked or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._db: sqlite3.Connection | None = None
        self.unreadable: list[str] = []

    def __enter__(self) -> Snapshot:
        if not self.path.is_file():
            raise JournalError(f"there is no journal at {self.path}")
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        try:
            self._db = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            self._db.text_factory = text
            self._check(self._db)
            self._db.execute("BEGIN")
        except FILE_ERRORS as error:
            self._close()
            raise self._told(error) from error
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def rows(self, query: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, one by one."""
        if self._db is None:
            raise JournalError(f"{self.path} is not open")
        try:
            yield from self._db.execute(query, values)
        except (*FILE_ERRORS, UnicodeEncodeError) as error:  # the latter of what is asked for
            raise self._told(error) from error

    def records(self, wanted: PlacementFilter | None = None) -> Iterator[Record]:
        """The placements that are wanted, oldest first, each with its order as last known."""
        wanted = wanted or PlacementFilter()
        tests: list[tuple[str, Any]] = []
        if wanted.gateway is not None:
            tests.append(("gateway = ?", wanted.gateway))
        if wanted.key is not None:
            tests.append(("key = ?", wanted.key))
        where = f"WHERE {' AND '.join(test for test, _ in tests)} " if tests else ""
        query = f"SELECT placement_id, body FROM placements {where}ORDER BY created, placement_id"
        for name, body in self.rows(query, [value for _, value in tests]):
            for record in self._readable(Record, body, f"placement {name}"):
                if wanted.fits(record := self._with_order(record)):
                    yield record

    def events(self, record: Record) -> list[Event]:
        """What happened to a placement, in order."""
        query = "SELECT seq, body FROM events WHERE placement_id = ? ORDER BY seq"
        return [event for seq, body in self.rows(query, [record.id]) for event in self._event(record.id, seq, body)]

    def orders(self) -> Iterator[Order]:
        """Every order that was seen, as last known."""
        for name, body in self.rows("SELECT order_id, body FROM orders ORDER BY gateway, order_id, symbol, side"):
            yield from self._readable(Order, body, f"order {name}")

    def known(self, order: Order) -> Order:
        """An order as last known; as it is given where it was never seen."""
        query = "SELECT body FROM orders WHERE gateway = ? AND order_id = ? AND symbol = ? AND side = ?"
        rows = self.rows(query, order.identity)
        found = [each for (body,) in rows for each in self._readable(Order, body, f"order {order.order_id}")]
        return found[0] if found else order

    def named(self, text: str) -> list[Record]:
        """
        The placements that a text names: by the placement's id, its key, its client id, or its order's id.

        Raises:
            ValueError: there is no id in the text. JournalError: what it names cannot be read.
        """
        query = "SELECT body FROM placements WHERE placement_id = ? OR key = ?"
        bodies = [body for (body,) in self.rows(query, [text, text])]
        if not bodies:
            bodies = self._by_ref(OrderRef.parse(text))
        records = [read_row(Record, body, f"{self.path}: placement {text}") for body in dict.fromkeys(bodies)]
        return sorted((self._with_order(each) for each in records), key=lambda each: each.placement.created_at)

    def _by_ref(self, ref: OrderRef) -> list[str]:
        client, order = ref.client_order_id or ref.id, ref.order_id or ref.id
        found = list(self.rows("SELECT gateway, body FROM placements WHERE client_order_id = ?", [client]))
        if not found and order is not None:
            by_client = """SELECT p.gateway, p.body FROM orders o JOIN placements p
                ON p.client_order_id = o.client_order_id AND p.gateway = o.gateway WHERE o.order_id = ?"""
            found = list(self.rows(by_client, [order]))
        if not found and order is not None:
            # Last, as it reads every placement: an order that a person named, and no venue ever showed.
            by_body = """SELECT gateway, body FROM placements
                WHERE IIF(json_valid(body), json_extract(body, '$.placement.order.order_id') = ?, 0)"""
            found = list(self.rows(by_body, [order]))
        if not found and client is not None:
            # So too, of what was denied: it gave its id back, for the next one.
            denied = """SELECT gateway, body FROM placements WHERE state = 'denied'
                AND IIF(json_valid(body), json_extract(body, '$.placement.request.client_order_id') = ?, 0)"""
            found = list(self.rows(denied, [client]))
        return [body for gateway, body in found if ref.gateway in (None, gateway)]

    def _with_order(self, record: Record) -> Record:
        order = record.placement.order
        if order is None:
            return record
        placement = record.placement.model_copy(update={"order": self.known(order)})
        return record.model_copy(update={"placement": placement})

    def _event(self, name: str, seq: int, body: str) -> Iterator[Event]:
        for event in self._readable(Event, body, f"event {seq} of placement {name}"):
            yield event.model_copy(update={"seq": seq})

    def _readable(self, model: type[M], body: str, what: str) -> Iterator[M]:
        """The model of a row of a list; nothing where it cannot be read, which keeps no other back."""
        try:
            yield read_row(model, body, what)
        except JournalError as error:
            self.unreadable.append(str(error))

    def _check(self, db: sqlite3.Connection) -> None:
        if int(db.execute("PRAGMA application_id").fetchone()[0]) != APPLICATION_ID:
            raise JournalError(f"{self.path} is another application's file, no journal")
        found = version_of(db)
        if found > VERSION:
            raise JournalError(
                f"{self.path} is of version {found}, and this orderbridge knows up to {VERSION}: update it"
            )
        if found < VERSION:
            raise JournalError(f"{self.path} is of version {found}: `orderbridge recover` brings it to {VERSION}")

    def _told(self, error: Exception) -> JournalError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_NOTADB:
            return JournalError(f"{self.path} is no journal: {error}")
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return JournalError(f"{self.path} is locked by another program for over {_BUSY_SECONDS:.0f} s: try again")
        return JournalError(f"{self.path} cannot be read: {error}")

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


_HELD: Final = ", ".join(f"'{state}'" for state in HOLDING)
_CHANGED: Final = (
    "the file was changed by something else: keep a copy, and compare with the venue by `orderbridge lookup`"
)
_LOST: Final = "events are missing: keep a copy, restore a backup beside it, and look the order up at the venue"
_DAMAGED: Final = "stop the bot, keep a copy, restore a backup, then run `orderbridge recover` before placing"
_DOUBLE: Final = (
    "look both up at the venue, cancel the one too many, then `orderbridge journal settle` what is uncertain"
)

_PLACEMENTS: Final = """SELECT placement_id, gateway, key, client_order_id, state, fingerprint, body
    FROM placements ORDER BY placement_id"""
_EVENTS: Final = "SELECT placement_id, seq, happened, after, body FROM events ORDER BY placement_id, seq"
_STRAY: Final = """SELECT placement_id, COUNT(*) FROM events
    WHERE placement_id NOT IN (SELECT placement_id FROM placements) GROUP BY placement_id"""
_SAME_CLIENT: Final = """SELECT gateway, client_order_id, group_concat(placement_id, ', ') FROM placements
    WHERE client_order_id IS NOT NULL GROUP BY gateway, client_order_id HAVING COUNT(*) > 1"""
_SAME_KEY: Final = f"""SELECT gateway, key, group_concat(placement_id, ', ') FROM placements
    WHERE key IS NOT NULL AND state IN ({_HELD}) GROUP BY gateway, key HAVING COUNT(*) > 1"""
_Row = tuple[Any, ...]


class Finding(VenueModel):
    """Something in a journal that cannot be so: where, what, and what to do about it."""

    where: Told
    what: Told
    advice: Told


def verify(journal: Snapshot) -> Iterator[Finding]:
    """
    Everything in a journal that cannot be so; nothing when it is whole.

    Reads the whole file, row by row. A page that cannot be read is a finding too, and ends the search.
    """
    try:
        for (said,) in journal.rows("PRAGMA quick_check"):
            if said != "ok":
                yield Finding(where=str(journal.path), what=f"the file is damaged: {said}", advice=_DAMAGED)
        yield from _chains(journal)
        for gateway, order_id, body in journal.rows("SELECT gateway, order_id, body FROM orders"):
            if not _is_readable(body):
                yield Finding(where=f"{gateway}:order:{order_id}", what="its row cannot be read", advice=_CHANGED)
        for name, count in journal.rows(_STRAY):
            yield Finding(where=name, what=f"{count} events of a placement that is not there", advice=_LOST)
        for gateway, client, names in journal.rows(_SAME_CLIENT):
            what = f"the client id is used by several placements: {names}"
            yield Finding(where=f"{gateway}:client:{client}", what=what, advice=_DOUBLE)
        for gateway, key, names in journal.rows(_SAME_KEY):
            what = f"the key {key!r} is held by several placements: {names}"
            yield Finding(where=gateway, what=what, advice=_DOUBLE)
    except JournalError as error:
        yield Finding(where=str(journal.path), what=str(error), advice=_DAMAGED)


def _chains(journal: Snapshot) -> Iterator[Finding]:
    """Both tables are read once, side by side: they have the same order."""
    chains = groupby(journal.rows(_EVENTS), key=lambda row: row[0])
    name, chain = next(chains, (None, iter(())))
    for row in journal.rows(_PLACEMENTS):
        while name is not None and name < row[0]:
            name, chain = next(chains, (None, iter(())))
        problems = [*_record(row), *_chain(row, list(chain) if name == row[0] else [])]
        for what, advice in problems:
            yield Finding(where=f"{row[1]}:client:{row[3]} (placement {row[0]})", what=what, advice=advice)


def _record(row: _Row) -> Iterator[tuple[str, str]]:
    name, gateway, key, client, state, print_, body = row
    try:
        record = read_row(Record, body, "it")
    except JournalError:
        yield "its record cannot be read", _CHANGED
        return
    placement = record.placement
    pairs = {
        "placement_id": (name, record.id),
        "gateway": (gateway, placement.gateway),
        "key": (key, placement.key),
        "client_order_id": (client, placement.client_order_id),
        "state": (state, record.state.value),
        "fingerprint": (print_, record.fingerprint),
    }
    for field, (column, inside) in pairs.items():
        if column != inside:
            yield f"its {field} is stored as {column!r} and, in its record, as {inside!r}", _CHANGED


def _chain(row: _Row, events: list[_Row]) -> Iterator[tuple[str, str]]:
    if not events:
        yield "it has no events at all", _LOST
        return
    state: PlacementState | None = None
    for number, (_, seq, happened, after, body) in enumerate(events, start=1):
        if seq != number:
            yield f"event {number} is missing: {seq} stands in its place", _LOST
            return
        try:
            event = read_row(Event, body, "it")
        except JournalError:
            yield f"event {seq} cannot be read", _CHANGED
            return
        if (event.happened.value, event.after.value) != (happened, after):
            yield (
                f"event {seq} is stored as {happened} to {after}, and says {event.happened} to {event.after}",
                _CHANGED,
            )
        if not _is_legal(event, state):
            odd = " as an anomaly" if event.anomaly else ""
            yield (
                f"event {seq} cannot be: {event.happened}{odd} from {event.before or 'nothing'} to {event.after}"
                f", after {state or 'nothing'}",
                _CHANGED,
            )
            return
        state = event.after
    if state != row[4]:
        yield f"its last event leads to {state}, and it is stored as {row[4]}", _CHANGED


def _is_readable(body: str) -> bool:
    try:
        read_row(Order, body, "it")
    except JournalError:
        return False
    return True


def _is_legal(event: Event, state: PlacementState | None) -> bool:
    if state is None or event.happened is Happened.STORED:
        first = event.happened is Happened.STORED and event.before is None
        return state is None and first and event.after is PlacementState.PREPARED and not event.anomaly
    if event.before is not state:
        return False
    if event.anomaly:
        return event.after is state
    return NEXT.get((state, event.happened)) is event.after


LEAST: Final = timedelta(days=1)
_PRUNE_WITHIN: Final = 10.0

# What may go, as it was when it was looked at, and which placements have which order: no index of the file tells that.
_TEMPORARY: Final = (
    "CREATE TEMP TABLE gone (placement_id TEXT PRIMARY KEY, seq INTEGER, gateway, order_id, symbol, side)",
    "CREATE TEMP TABLE ended (gateway, order_id, symbol, side, body, PRIMARY KEY (order_id, gateway, symbol, side))",
    """CREATE TEMP TABLE used AS SELECT placement_id, gateway, json_extract(body, '$.placement.order.order_id')
        AS order_id, json_extract(body, '$.placement.order.symbol') AS symbol,
        json_extract(body, '$.placement.order.side') AS side
        FROM main.placements WHERE state = 'placed' AND json_valid(body)""",
    "CREATE INDEX temp.used_ids ON used (order_id, gateway, symbol, side)",
)
_SEEN: Final = "SELECT gateway, order_id, symbol, side, body FROM orders"
_OLD: Final = """SELECT p.body, MAX(e.seq) FROM placements p JOIN events e USING (placement_id)
    WHERE p.created < ? AND p.state IN ('denied', 'rejected', 'not_placed', 'placed')
    GROUP BY p.placement_id HAVING MAX(e.at) < ?"""
_SAME: Final = "({0}.order_id, {0}.gateway, {0}.symbol, {0}.side) = ({1}.order_id, {1}.gateway, {1}.symbol, {1}.side)"
_AS_SEEN: Final = f"SELECT 1 FROM ended WHERE {_SAME.format('ended', 'orders')} AND ended.body = orders.body"
_HAS_ENDED: Final = (
    f"SELECT EXISTS ({_AS_SEEN}) FROM orders WHERE gateway = ? AND order_id = ? AND symbol = ? AND side = ?"
)
_DROP: Final = (
    # Not that to which something happened, or whose order was seen again, since it was looked at.
    f"""DELETE FROM gone WHERE seq <> (SELECT MAX(seq) FROM events WHERE events.placement_id = gone.placement_id)
        OR EXISTS (SELECT 1 FROM orders WHERE {_SAME.format("orders", "gone")} AND NOT EXISTS ({_AS_SEEN}))""",
    "DELETE FROM events WHERE placement_id IN (SELECT placement_id FROM gone)",
    "DELETE FROM placements WHERE placement_id IN (SELECT placement_id FROM gone)",
    # Those that belong to no placement that is kept.
    f"""DELETE FROM orders WHERE EXISTS ({_AS_SEEN})
        AND NOT EXISTS (SELECT 1 FROM placements p
            WHERE p.client_order_id = orders.client_order_id AND p.gateway = orders.gateway)
        AND NOT EXISTS (SELECT 1 FROM used JOIN placements USING (placement_id)
            WHERE {_SAME.format("used", "orders")})""",
)


class Pruned(VenueModel):
    """
    What was dropped, or with `dry_run` would be.

    `kept_for_key` counts placed placements that are over and old, and kept as they hold a key.
    """

    placements: int = 0
    orders: int = 0
    kept_for_key: int = 0
    dry_run: bool = False


def prune(
    path: Path, *, older_than: timedelta, free_keys: bool = False, dry_run: bool = False, now: float | None = None
) -> Pruned:
    """
    Drop placements with their events, and orders, that are over and of which nothing was heard for so long.

    Never dropped: what is under way or may be live, an id that is still watched, an order whose end is not known,
    and a placed placement that holds a key: without it a repeated key would place a second order.

    All goes in one transaction. A bot may write meanwhile: its commits wait for the dropping alone, and what it
    changes before that stays.

    Args:
        older_than: at least a day. `free_keys`: drop those that hold a key too.

    Raises:
        ConfigurationError: `older_than` is too short. JournalError: the file cannot be written; nothing was dropped.
    """
    if older_than < LEAST:
        raise ConfigurationError("older than a day at least: younger placements may still be asked about")
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    with Snapshot(path):
        pass  # says what is wrong with the file before anything of it is written
    try:
        with closing(sqlite3.connect(path, timeout=_PRUNE_WITHIN, isolation_level=None)) as db:
            db.text_factory = text
            kept_for_key = _look(db, moment, moment - older_than, free_keys=free_keys)
            db.execute("BEGIN IMMEDIATE")
            *_, placements, orders = (db.execute(statement).rowcount for statement in _DROP)
            db.execute("ROLLBACK" if dry_run else "COMMIT")
    except FILE_ERRORS as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise JournalError(f"{path} is locked by another program: nothing was dropped") from error
        raise JournalError(f"the journal {path} cannot be written: {error}") from error
    return Pruned(placements=placements, orders=orders, kept_for_key=kept_for_key, dry_run=dry_run)


def _look(db: sqlite3.Connection, now: datetime, before: datetime, *, free_keys: bool) -> int:
    """Write down apart from the journal, as of one moment, what may go; how many are kept for their key."""
    kept_for_key = 0
    db.execute("BEGIN")
    for statement in _TEMPORARY:
        db.execute(statement)
    for *identity, body in db.execute(_SEEN):
        order = _readable(Order, body)
        if order is not None and _is_done(order, before):
            db.execute("INSERT INTO ended VALUES (?, ?, ?, ?, ?)", (*identity, body))
    for body, seq in db.execute(_OLD, (before.timestamp(), before.timestamp())):
        record = _readable(Record, body)
        if record is None or not _is_over(db, record, now, before):
            continue
        placement = record.placement
        if placement.key is not None and placement.holds_key and not free_keys:
            kept_for_key += 1
            continue
        ids = (None, None, None, None) if placement.order is None else placement.order.identity
        db.execute("INSERT INTO gone VALUES (?, ?, ?, ?, ?, ?)", (record.id, seq, *ids))
    db.execute("COMMIT")
    return kept_for_key


def _is_over(db: sqlite3.Connection, record: Record, now: datetime, before: datetime) -> bool:
    if not record.placement.holds_key:  # it has no order
        return record.state not in WATCHED or record.watch_until is None or record.watch_until < now
    order = record.placement.order
    if order is None:
        return False
    stored = db.execute(_HAS_ENDED, order.identity).fetchone()
    return _is_done(order, before) if stored is None else bool(stored[0])


def _is_done(order: Order, before: datetime) -> bool:
    return order.is_done and order.observed_at is not None and order.observed_at < before


def _readable(model: type[M], body: str) -> M | None:
    """What cannot be read is never dropped: `verify` tells of it."""
    try:
        return read_row(model, body, "it")
    except JournalError:
        return None
