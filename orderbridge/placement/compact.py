"""Making a journal smaller by what is long over."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.model.base import VenueModel
from orderbridge.model.order import Order
from orderbridge.model.words import PlacementState
from orderbridge.placement.file import FILE_ERRORS, M, read_row, text
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.states import WATCHED, Record

LEAST: Final = timedelta(days=1)
# Few enough that a bot's commit, which waits meanwhile, waits for milliseconds.
_TOGETHER: Final = 500
_BUSY_SECONDS: Final = 10.0
_OVER_WITHOUT_AN_ORDER: Final = {PlacementState.DENIED, PlacementState.REJECTED, PlacementState.NOT_PLACED}

_OLD: Final = """SELECT p.rowid, p.body, (SELECT MAX(at) FROM events e WHERE e.placement_id = p.placement_id)
    FROM placements p WHERE p.rowid > ? AND p.created < ? AND p.state IN ('denied', 'rejected', 'not_placed', 'placed')
    ORDER BY p.rowid LIMIT ?"""
_SEEN: Final = """SELECT rowid, gateway, order_id, symbol, side, client_order_id, body FROM orders WHERE rowid > ?
    ORDER BY rowid LIMIT ?"""
# By the ids of a placement that is kept; a table of its own, as no index leads from an order to its placement.
_MARK: Final = """CREATE TEMP TABLE used AS
    SELECT gateway, json_extract(body, '$.placement.order.order_id') AS order_id,
    json_extract(body, '$.placement.order.symbol') AS symbol, json_extract(body, '$.placement.order.side') AS side
    FROM main.placements WHERE state = 'placed' AND json_valid(body)"""
_INDEX: Final = "CREATE INDEX temp.used_ids ON used (order_id, gateway, symbol, side)"
_USED: Final = """SELECT 1 FROM placements WHERE client_order_id = ? AND gateway = ?
    UNION ALL SELECT 1 FROM temp.used WHERE gateway = ? AND order_id = ? AND symbol = ? AND side = ?"""


class Compacted(VenueModel):
    """
    What was dropped, or with `dry_run` would be.

    Attributes:
        kept_for_key: placed placements that are over and old, and kept as they hold a key.
        freed: bytes by which the file is smaller. `shrunk`: whether its space was given back.
        why_not: why it was not.
    """

    placements: int = 0
    orders: int = 0
    kept_for_key: int = 0
    freed: int = 0
    shrunk: bool = False
    why_not: str | None = None
    dry_run: bool = False


def compact(
    path: Path, *, older_than: timedelta, free_keys: bool = False, dry_run: bool = False, now: float | None = None
) -> Compacted:
    """
    Drop placements with their events, and orders, that are over and of which nothing was heard for so long.

    Never dropped: what is under way or may be live, an id that is still watched, an order whose end is not known,
    and a placed placement that holds a key: without it a repeated key would place a second order.

    A bot may write meanwhile: rows go a few at a time, each looked at again in the transaction that drops it.
    While a process says that it is at work the file keeps its length, since giving space back locks it.

    Args:
        older_than: at least a day. `free_keys`: drop those that hold a key too.

    Raises:
        ConfigurationError: `older_than` is too short. JournalError: the file cannot be written.
    """
    if older_than < LEAST:
        raise ConfigurationError("older than a day at least: younger placements may still be asked about")
    moment = time.time() if now is None else now
    with JournalFile(path):
        pass  # says what is wrong with the file before anything of it is written
    length = path.stat().st_size
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
            db.text_factory = text
            work = _Compaction(db, moment, (moment - older_than.total_seconds()), free_keys=free_keys, dry_run=dry_run)
            work.drop_placements()
            work.drop_orders()
            shrunk, why_not = (False, None) if dry_run else _shrink(db, moment)
    except FILE_ERRORS as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise JournalError(f"{path} is locked by another program: what was not dropped yet is kept") from error
        raise JournalError(f"the journal {path} cannot be written: {error}") from error
    return Compacted(
        placements=work.placements,
        orders=work.orders,
        kept_for_key=work.kept_for_key,
        freed=max(0, length - path.stat().st_size),
        shrunk=shrunk,
        why_not=why_not,
        dry_run=dry_run,
    )


class _Compaction:
    def __init__(self, db: sqlite3.Connection, now: float, before: float, *, free_keys: bool, dry_run: bool) -> None:
        self._db = db
        self._now = datetime.fromtimestamp(now, UTC)
        self._before = before
        self._free_keys = free_keys
        self._dry_run = dry_run
        self._dropped: set[tuple[str | None, ...]] = set()
        self.placements = self.orders = self.kept_for_key = 0

    def drop_placements(self) -> None:
        """Drop the placements that are long over, with their events."""
        last = 0
        while True:
            with self._transaction():
                rows = self._db.execute(_OLD, (last, self._before, _TOGETHER)).fetchall()
                for _, body, heard in rows:
                    record = _readable(Record, body)
                    if record is not None and heard is not None and heard < self._before and self._is_over(record):
                        self._drop(record)
            if len(rows) < _TOGETHER:
                return
            last = rows[-1][0]

    def drop_orders(self) -> None:
        """Drop what was seen of orders that are long over, and that belong to no placement that is kept."""
        self._db.execute(_MARK)
        self._db.execute(_INDEX)
        last = 0
        while True:
            with self._transaction():
                rows = self._db.execute(_SEEN, (last, _TOGETHER)).fetchall()
                for rowid, *identity, client, body in rows:
                    if not self._is_used(tuple(identity), client) and self._is_done(body):
                        self.orders += 1
                        if not self._dry_run:
                            self._db.execute("DELETE FROM orders WHERE rowid = ?", (rowid,))
            if len(rows) < _TOGETHER:
                return
            last = rows[-1][0]

    def _is_over(self, record: Record) -> bool:
        placement = record.placement
        if record.state in WATCHED and record.watch_until is not None and record.watch_until >= self._now:
            return False
        if record.state in _OVER_WITHOUT_AN_ORDER:
            return True
        order = placement.order and self._known(placement.order)
        if order is None or order.may_be_live or not self._is_old(order):
            return False
        if placement.key is not None and not self._free_keys:
            self.kept_for_key += 1
            return False
        return True

    def _known(self, order: Order) -> Order | None:
        query = "SELECT body FROM orders WHERE gateway = ? AND order_id = ? AND symbol = ? AND side = ?"
        row = self._db.execute(query, order.identity).fetchone()
        return order if row is None else _readable(Order, row[0])

    def _is_old(self, order: Order) -> bool:
        return order.observed_at is not None and order.observed_at.timestamp() < self._before

    def _is_done(self, body: str) -> bool:
        order = _readable(Order, body)
        return order is not None and order.is_done and self._is_old(order)

    def _is_used(self, identity: tuple[str, ...], client: str | None) -> bool:
        rows = self._db.execute(_USED, (client, identity[0], *identity)).fetchall()
        # In a dry run the placements that would go are still there.
        return len(rows) > 0 and not ({(identity[0], client), identity} & self._dropped)

    def _drop(self, record: Record) -> None:
        self.placements += 1
        if self._dry_run:
            placement = record.placement
            self._dropped.add((placement.gateway, placement.client_order_id))
            if placement.order is not None:
                self._dropped.add(placement.order.identity)
            return
        self._db.execute("DELETE FROM events WHERE placement_id = ?", (record.id,))
        self._db.execute("DELETE FROM placements WHERE placement_id = ?", (record.id,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN" if self._dry_run else "BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _readable(model: type[M], body: str) -> M | None:
    """What cannot be read is never dropped: `verify` tells of it."""
    try:
        return read_row(model, body, "it")
    except JournalError:
        return None


def _shrink(db: sqlite3.Connection, now: float) -> tuple[bool, str | None]:
    working = [owner for (owner,) in db.execute("SELECT owner FROM owners WHERE until > ?", (now,))]
    if working:
        names = ", ".join(working)
        return False, f"a process is at work ({names}); the space is used again, and given back when none is"
    db.execute("DELETE FROM owners WHERE until < ?", (now - LEAST.total_seconds(),))
    db.execute("VACUUM")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True, None
