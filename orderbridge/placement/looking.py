"""A journal file as it is at one moment, read row by row beside the bot that writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState, Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.placement import file as files
from orderbridge.placement.file import M, read_row
from orderbridge.placement.schema import APPLICATION_ID, VERSION, version_of
from orderbridge.placement.states import Event, Record

_BUSY_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
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


class JournalFile:
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

    def __enter__(self) -> JournalFile:
        if not self.path.is_file():
            raise JournalError(f"there is no journal at {self.path}")
        address = f"{self.path.resolve().as_uri()}?mode=ro"
        try:
            self._db = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
            self._db.text_factory = files.text
            self._check(self._db)
            self._db.execute("BEGIN")
        except files.FILE_ERRORS as error:
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
        except (*files.FILE_ERRORS, UnicodeEncodeError) as error:  # the latter of what is asked for
            raise self._told(error) from error

    def records(self, wanted: Wanted | None = None) -> Iterator[Record]:
        """The placements that are wanted, oldest first, each with its order as last known."""
        wanted = wanted or Wanted()
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
