"""
A simulation kept in a SQLite file, so that it survives a restart, `kill -9` included.

Whatever a request changed is committed before its answer leaves. Kept are orders with their fills, balances,
last and reference prices, the highest nonce of each key, users and their tokens, and how far the clock was
moved on by hand (unless the caller brought a clock). Not kept are faults and
settings (they belong to the command line), requests that were counted, the list of public trades, and the
counter-party's quotes, which come back with other sizes. After a restart a nonce must be above all that were
used before.

One process holds the file at a time; to look into it meanwhile, copy it together with its `-wal`.
"""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from orderbridge.simulator.engine.codec import pack_order, unpack_order
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.keeping import facts_of, restore

VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (
    book TEXT NOT NULL, order_id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (book, order_id)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, body TEXT NOT NULL);
"""


class StateFileError(Exception):
    """
    The state file cannot be used: it is no simulation's, of another version, or in use by another simulation.
    Choose another file.
    """


class Store:
    """The file."""

    def __init__(self, path: str | Path) -> None:
        self._lock = Lock()
        try:
            self._connection = sqlite3.connect(path, timeout=0, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as e:
            raise StateFileError(f"{path}: {e}") from e
        try:
            # The file is this process's from the first write until it closes or dies: two simulations on one
            # file would overwrite each other's orders.
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            version = self.fact("version")
        except sqlite3.Error as e:
            self._connection.close()
            raise StateFileError(_why(path, e)) from e
        if version not in (None, VERSION):
            self._connection.close()
            raise StateFileError(f"{path} has state of version {version}, not {VERSION}")
        self.save("", {}, {"version": VERSION})

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def fact(self, name: str) -> Any:
        """A stored value, or None."""
        row = self._connection.execute("SELECT body FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def orders(self, book: str) -> list[Any]:
        """The packed orders of a book, in order of arrival."""
        rows = self._connection.execute("SELECT body FROM orders WHERE book = ? ORDER BY rowid", (book,))
        return [json.loads(row[0]) for row in rows]

    def save(self, book: str, orders: dict[str, str], facts: dict[str, Any]) -> None:
        """Commit changed orders and values together."""
        with self._lock:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                [(book, order_id, body) for order_id, body in orders.items()],
            )
            self._connection.executemany(
                "INSERT INTO facts VALUES (?, ?) ON CONFLICT DO UPDATE SET body = excluded.body",
                [(name, json.dumps(value)) for name, value in facts.items()],
            )
            self._connection.execute("COMMIT")


def _why(path: str | Path, error: sqlite3.Error) -> str:
    # Compared with the low byte: extended codes of "busy" tell which kind of it.
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return f"{path} is in use by another simulation"
    return f"{path} is not a simulation's state: {error}"


@dataclass(frozen=True, slots=True)
class Extra:
    """Something besides an engine that is to be kept: how to read it and how to set it."""

    dump: Callable[[], Any]
    load: Callable[[Any], None]


class Keeper:
    """
    Keeps one venue's engines in a store.

    Args:
        engines: by the name of their book in the store.
        extras: by the name of their fact in the store.
    """

    def __init__(self, store: Store, engines: dict[str, Engine], extras: dict[str, Extra]) -> None:
        self._store = store
        self._engines = engines
        self._extras = extras
        self._written: dict[str, Any] = {}
        for book, engine in engines.items():
            self._restore(book, engine)
            engine.matcher.changed = {}
        for name, extra in extras.items():
            value = store.fact(name)
            if value is not None:
                extra.load(value)

    def _restore(self, book: str, engine: Engine) -> None:
        facts = self._store.fact(book)
        if facts is not None:
            restore(engine, [unpack_order(each) for each in self._store.orders(book)], facts)

    def save(self) -> None:
        """Commit what changed since the last time."""
        extras = {name: extra.dump() for name, extra in self._extras.items()}
        for book, engine in self._engines.items():
            changed = engine.matcher.changed or {}
            orders = {order.order_id: json.dumps(pack_order(order)) for order in changed.values()}
            facts = self._news({book: facts_of(engine), **extras})
            if orders or facts:
                self._store.save(book, orders, facts)
            changed.clear()

    def _news(self, facts: dict[str, Any]) -> dict[str, Any]:
        news = {name: value for name, value in facts.items() if self._written.get(name) != value}
        self._written |= news
        return news
