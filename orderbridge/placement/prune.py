"""Dropping from a journal what is long over."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.model.basics import VenueModel
from orderbridge.model.order import Order
from orderbridge.placement.file import FILE_ERRORS, M, read_row, text
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.states import WATCHED, Record

LEAST: Final = timedelta(days=1)
_BUSY_SECONDS: Final = 10.0

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
    with JournalFile(path):
        pass  # says what is wrong with the file before anything of it is written
    try:
        with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
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
