"""The tables of a journal file, as numbered steps: a file is brought forward, never back."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orderbridge.errors import JournalError

# "obrj": tells a journal from another application's SQLite file.
APPLICATION_ID: Final = 0x6F62726A
# Step n makes version n of version n - 1. A step that was released is never changed.
STEPS: Final[Sequence[Sequence[str]]] = (
    (
        """CREATE TABLE placements (
            placement_id TEXT PRIMARY KEY, gateway TEXT NOT NULL, key TEXT, client_order_id TEXT, state TEXT NOT NULL,
            fingerprint TEXT NOT NULL, created REAL NOT NULL, held_key TEXT, body TEXT NOT NULL) STRICT""",
        "CREATE UNIQUE INDEX placements_held_key ON placements (gateway, held_key) WHERE held_key IS NOT NULL",
        "CREATE INDEX placements_any_key ON placements (key) WHERE key IS NOT NULL",
        """CREATE UNIQUE INDEX placements_client ON placements (client_order_id, gateway)
            WHERE client_order_id IS NOT NULL""",
        """CREATE INDEX placements_unfinished ON placements (state, fingerprint)
            WHERE state IN ('prepared', 'sending', 'uncertain', 'not_placed')""",
        """CREATE TABLE events (
            placement_id TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, happened TEXT NOT NULL,
            after TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (placement_id, seq)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE orders (
            gateway TEXT NOT NULL, order_id TEXT NOT NULL, client_order_id TEXT, working INTEGER NOT NULL,
            body TEXT NOT NULL, PRIMARY KEY (order_id, gateway)) STRICT""",
        "CREATE INDEX orders_working ON orders (gateway) WHERE working",
        "CREATE INDEX orders_client ON orders (client_order_id) WHERE client_order_id IS NOT NULL",
        "CREATE TABLE owners (owner TEXT PRIMARY KEY, until REAL NOT NULL) STRICT",
    ),
    (
        # Some venues number by market, so an order is told from others by symbol and side too. A body that cannot be
        # read keeps its row, and `verify` tells of it.
        """CREATE TABLE orders_apart (
            gateway TEXT NOT NULL, order_id TEXT NOT NULL, client_order_id TEXT, working INTEGER NOT NULL,
            body TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
            PRIMARY KEY (order_id, gateway, symbol, side)) STRICT""",
        """INSERT INTO orders_apart SELECT gateway, order_id, client_order_id, working, body,
            IIF(json_valid(body), COALESCE(json_extract(body, '$.symbol'), ''), ''),
            IIF(json_valid(body), COALESCE(json_extract(body, '$.side'), ''), '') FROM orders ORDER BY rowid""",
        "DROP TABLE orders",
        "ALTER TABLE orders_apart RENAME TO orders",
        "CREATE INDEX orders_working ON orders (gateway) WHERE working",
        "CREATE INDEX orders_client ON orders (client_order_id) WHERE client_order_id IS NOT NULL",
    ),
    (
        # How many commits there were, and whether somebody may write: a file that is older than it should be is told.
        "CREATE TABLE promise (id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER, in_use INTEGER) STRICT",
        # From when to when what was written was lost, without a gateway; with one, what a look at it found instead.
        """CREATE TABLE gaps (
            gateway TEXT NOT NULL, symbol TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL, told REAL NOT NULL,
            found TEXT NOT NULL, PRIMARY KEY (gateway, symbol, until)) STRICT""",
    ),
)
VERSION: Final = len(STEPS)


def version_of(db: sqlite3.Connection) -> int:
    """Which version's tables a file has; 0 when it has none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, path: Path, *, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """
    Bring a file forward to the version that `steps` make, in one transaction: it is of the old version or of the new.

    Raises:
        JournalError: the file is of a newer version, or no journal.
    """
    if version_of(db) == len(steps) and _application(db) == APPLICATION_ID:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _known_version(db, path, steps)
        for statements in steps[found:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(steps)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def check_readable(db: sqlite3.Connection, path: Path, *, steps: Sequence[Sequence[str]] = STEPS) -> None:
    """JournalError: the file is no journal, or of a version that is not read here."""
    found = _known_version(db, path, steps)
    if found < len(steps):
        raise JournalError(
            f"{path} is of version {found}, and version {len(steps)} is read here: let a bot open it once"
        )


def newer(path: Path, found: int, *, steps: Sequence[Sequence[str]] = STEPS) -> JournalError:
    """A file from the future."""
    return JournalError(
        f"{path} is of version {found}, and this orderbridge knows up to {len(steps)}: update it, and start anew"
    )


def _known_version(db: sqlite3.Connection, path: Path, steps: Sequence[Sequence[str]]) -> int:
    found = version_of(db)
    has_tables = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    if (has_tables or found) and _application(db) != APPLICATION_ID:
        raise JournalError(f"{path} is another application's file, no journal: name another one")
    if found > len(steps):
        raise newer(path, found, steps=steps)
    return found


def _application(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])
