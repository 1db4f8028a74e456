"""The upkeep of a journal: reading it beside the bot that writes it, checking that it is whole, pruning it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.model.basics import PlacementState, Told, VenueModel
from orderbridge.model.order import Order
from orderbridge.model.placement import HOLDING
from orderbridge.model.ref import OrderRef
from orderbridge.placement.sql import (
    CHAIN,
    EVENTS,
    IS_ORDER,
    ORDER,
    ORDER_ID,
    Connection,
    SqlJournal,
    events_of,
    read_row,
    readable,
    records_of,
    with_order,
)
from orderbridge.placement.states import NEXT, WATCHED, Event, Happened, Record


class Snapshot:
    """
    A journal as it is at one moment: a context manager, in which nothing that is read changes.

    Attributes:
        unreadable: why rows were left out of what was listed.

    Raises, on entering and from every call:
        JournalError: there is none, it is of another version, locked or damaged.
    """

    def __init__(self, journal: SqlJournal) -> None:
        self.dialect, self.name = journal.engine.dialect, journal.engine.name
        self._reading = journal.engine.reading()
        self.unreadable: list[str] = []

    def __enter__(self) -> Snapshot:
        self.rows = self._reading.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._reading.__exit__(*error)

    def records(
        self,
        fits: Callable[[Record], bool] = lambda record: True,
        *,
        gateway: str | None = None,
        key: str | None = None,
    ) -> Iterator[Record]:
        """The placements that fit, of one gateway or key or of all, oldest first, with their orders as last known."""
        given = {"gateway": gateway, "key": key}
        tests = {f"p.{name} = ?": value for name, value in given.items() if value is not None}
        where = f"{' AND '.join(tests) or 'TRUE'} ORDER BY p.created, p.placement_id"
        rows = self.rows(f"{self.dialect.records} {where}", [*tests.values()])
        yield from filter(fits, records_of(rows, told=self.unreadable.append))

    def events(self, record: Record) -> list[Event]:
        """The events of a placement, in order."""
        return list(events_of(record.id, self.rows(EVENTS, [record.id]), told=self.unreadable.append))

    def named(self, text: str) -> list[Record]:
        """
        The placements that a text names: by the placement's id, its key, its client id, or its order's id.

        Raises:
            ValueError: there is no id in the text. JournalError: what it names cannot be read.
        """
        found = self._where("p.placement_id = ? OR p.key = ?", text, text) or self._by_ref(OrderRef.parse(text))
        return sorted(found, key=lambda each: each.placement.created_at)

    def _by_ref(self, ref: OrderRef) -> list[Record]:
        client, order = ref.client_order_id or ref.id, ref.order_id or ref.id
        order_id, asked_for = (
            f"{self.dialect.in_body(path, 'p.body')} = ?" for path in (ORDER_ID, "placement.request.client_order_id")
        )
        by_client = """(p.client_order_id, p.gateway) IN
            (SELECT o.client_order_id, o.gateway FROM orders o WHERE o.order_id = ?)"""
        # The last two read every placement: an order that a person named, and no venue ever showed; and what was
        # denied, as it gave its id back, for the next one.
        ways = (("p.client_order_id = ?", client), (by_client, order), (order_id, order))
        for where, text in (*ways, (f"p.state = 'denied' AND {asked_for}", client)):
            if text is not None and (found := self._where(where, text)):
                return [record for record in found if ref.gateway in (None, record.placement.gateway)]
        return []

    def _where(self, where: str, *values: str) -> list[Record]:
        rows, told = self.rows(f"{self.dialect.records} {where}", values), self.unreadable.append
        what = f"{self.name}: placement"
        return [with_order(read_row(Record, body, f"{what} {id}"), order, told=told) for id, body, order in rows]


_HELD: Final = ", ".join(f"'{state}'" for state in HOLDING)
_CHANGED: Final = (
    "the file was changed by something else: keep a copy, and compare with the venue by `orderbridge lookup`"
)
_LOST: Final = "events are missing: keep a copy, restore a backup beside it, and look the order up at the venue"
_DAMAGED: Final = "stop the bot, keep a copy, restore a backup, then run `orderbridge recover` before placing"
_DOUBLE: Final = (
    "look both up at the venue, cancel the one too many, then `orderbridge journal settle` what is uncertain"
)

# Beside its body, what a placement's row says of it.
_COLUMNS: Final = ("placement_id", "gateway", "key", "client_order_id", "state", "fingerprint")
_PLACEMENTS: Final = f"SELECT {', '.join(_COLUMNS)}, body, last FROM placements"
_CHAIN: Final = f"{CHAIN} SELECT before, body FROM chain ORDER BY n"
_SAME: Final = """SELECT gateway, {0}, {1} FROM placements
    WHERE {0} IS NOT NULL AND {2} GROUP BY gateway, {0} HAVING COUNT(*) > 1"""
_Row = Sequence[Any]


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
        for (said,) in journal.rows(journal.dialect.check):
            if said != "ok":
                yield Finding(where=journal.name, what=f"the file is damaged: {said}", advice=_DAMAGED)
        events = next(journal.rows("SELECT COUNT(*) FROM events"))[0]
        for *row, last in journal.rows(_PLACEMENTS):
            chain = list(journal.rows(_CHAIN, [last]))
            events -= len(chain)
            for what, advice in (*_record(row), *_chain(row, last, chain)):
                yield Finding(where=f"{row[1]}:client:{row[3]} (placement {row[0]})", what=what, advice=advice)
        if events > 0:
            what = f"{events} events of a placement that is not there"
            yield Finding(where=journal.name, what=what, advice=_LOST)
        for gateway, order_id, body in journal.rows("SELECT gateway, order_id, body FROM orders"):
            if readable(Order, body) is None:
                yield Finding(where=f"{gateway}:order:{order_id}", what="its row cannot be read", advice=_CHANGED)
        joined = journal.dialect.names
        for gateway, client, names in journal.rows(_SAME.format("client_order_id", joined, "TRUE")):
            what = f"the client id is used by several placements: {names}"
            yield Finding(where=f"{gateway}:client:{client}", what=what, advice=_DOUBLE)
        for gateway, key, names in journal.rows(_SAME.format("key", joined, f"state IN ({_HELD})")):
            what = f"the key {key!r} is held by several placements: {names}"
            yield Finding(where=gateway, what=what, advice=_DOUBLE)
    except JournalError as error:
        yield Finding(where=journal.name, what=str(error), advice=_DAMAGED)


def _record(row: _Row) -> Iterator[tuple[str, str]]:
    *columns, body = row
    record = readable(Record, body)
    if record is None:
        yield "its record cannot be read", _CHANGED
        return
    inside = {**dict(record.placement), "fingerprint": record.fingerprint}
    for name, column in zip(_COLUMNS, columns, strict=True):
        if column != inside[name]:
            yield f"its {name} is stored as {column!r} and, in its record, as {inside[name]!r}", _CHANGED


def _chain(row: _Row, last: int, events: list[_Row]) -> Iterator[tuple[str, str]]:
    missing = events[0][0] if events else last
    if missing or not events:
        yield f"its event {missing} is missing" if missing else "it has no events at all", _LOST
        return
    state: PlacementState | None = None
    for seq, (_, body) in enumerate(events, start=1):
        event = readable(Event, body)
        if event is None:
            yield f"event {seq} cannot be read", _CHANGED
            return
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
_SEEN: Final = "SELECT gateway, order_id, symbol, side, client_order_id, body FROM orders"
_OLD: Final = """SELECT p.body, p.last FROM placements p JOIN events e ON e.n = p.last
    WHERE p.created < ? AND e.at < ? AND p.state IN ('denied', 'rejected', 'not_placed', 'placed')"""
_PLACED: Final = "SELECT placement_id, gateway, {}, {}, {} FROM placements WHERE state = 'placed'"
_OF_CLIENT: Final = "SELECT placement_id FROM placements WHERE gateway = ? AND client_order_id = ?"
# Not that to which something happened, or whose order was seen again, since it was looked at.
_DROP_PLACEMENT: Final = f"""DELETE FROM placements WHERE placement_id = ? AND last = ?
    AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.{IS_ORDER.replace("AND ", "AND o.")} AND o.body <> ?)"""
_DROP_EVENTS: Final = f"DELETE FROM events WHERE n IN ({CHAIN} SELECT n FROM chain)"
_DROP_ORDER: Final = f"""DELETE FROM orders WHERE {IS_ORDER} AND body = ? AND NOT EXISTS (
    SELECT 1 FROM placements p WHERE p.client_order_id = orders.client_order_id AND p.gateway = orders.gateway)"""
_Seen = tuple[str, ...]
_NO_ORDER: Final = ("", "", "", "")


@dataclass(slots=True)
class _Old:
    """
    The records that may go, as they were at one moment.

    Attributes:
        placements: their ids, each with the number of its last event and its order. `orders`: their rows' bodies.
    """

    placements: dict[str, tuple[int, _Seen | None]] = field(default_factory=dict)
    orders: dict[_Seen, str] = field(default_factory=dict)
    kept_for_key: int = 0


class Pruned(VenueModel):
    """
    The records that were dropped, or with `dry_run` would be.

    `kept_for_key` counts placed placements that are over and old, and kept as they hold a key.
    """

    placements: int = 0
    orders: int = 0
    kept_for_key: int = 0
    dry_run: bool = False


async def prune(
    journal: SqlJournal,
    *,
    older_than: timedelta,
    free_keys: bool = False,
    dry_run: bool = False,
    now: float | None = None,
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
        ConfigurationError: `older_than` is too short. JournalError: it cannot be read or written; nothing was dropped.
    """
    if older_than < LEAST:
        raise ConfigurationError("older than a day at least: younger placements may still be asked about")
    moment = datetime.fromtimestamp(time.time() if now is None else now, UTC)
    old = await asyncio.to_thread(_look, journal, moment, moment - older_than, free_keys=free_keys)
    placements, orders = len(old.placements), len(old.orders)
    if not dry_run:
        placements, orders = await journal.engine.write(lambda db: _drop(journal, db, old))
    return Pruned(placements=placements, orders=orders, kept_for_key=old.kept_for_key, dry_run=dry_run)


def _drop(journal: SqlJournal, db: Connection, old: _Old) -> tuple[int, int]:
    journal.forget()
    placements = orders = 0
    kept: set[_Seen | None] = set()
    for name, (last, order) in old.placements.items():
        body = "" if order is None else old.orders.get(order, "")
        if db.execute(_DROP_PLACEMENT, (name, last, *(order or _NO_ORDER), body)).rowcount:
            db.execute(_DROP_EVENTS, (last,))
            placements += 1
        else:
            kept.add(order)
    for order, body in old.orders.items():
        if order not in kept:
            orders += db.execute(_DROP_ORDER, (*order, body)).rowcount
    return placements, orders


def _look(journal: SqlJournal, now: datetime, before: datetime, *, free_keys: bool) -> _Old:
    """The records that may go, and how many are kept for their key."""
    old, clients = _Old(), dict[_Seen, str]()
    with Snapshot(journal) as at_once:
        for *ids, client, body in at_once.rows(_SEEN):
            order = readable(Order, body)
            if order is not None and _is_done(order, before):
                old.orders[tuple(ids)], clients[tuple(ids)] = body, client
        for body, last in at_once.rows(_OLD, (before.timestamp(), before.timestamp())):
            record = readable(Record, body)
            if record is None or not _is_over(at_once, old, record, now, before):
                continue
            placement = record.placement
            if placement.key is not None and placement.holds_key and not free_keys:
                old.kept_for_key += 1
                continue
            old.placements[record.id] = last, None if placement.order is None else placement.order.identity
        # Orders that belong to a placement that is kept, by whichever id.
        fields = (at_once.dialect.in_body(f"placement.order.{name}") for name in ("order_id", "symbol", "side"))
        for name, *ids in at_once.rows(_PLACED.format(*fields)):
            if name not in old.placements:
                old.orders.pop(tuple(ids), None)
        for ids, client in clients.items():
            if any(name not in old.placements for (name,) in at_once.rows(_OF_CLIENT, (ids[0], client))):
                old.orders.pop(ids, None)
    return old


def _is_over(at_once: Snapshot, old: _Old, record: Record, now: datetime, before: datetime) -> bool:
    if not record.placement.holds_key:  # it has no order
        return record.state not in WATCHED or record.watch_until is None or record.watch_until < now
    order = record.placement.order
    if order is None:
        return False
    return order.identity in old.orders or (_is_done(order, before) and not list(at_once.rows(ORDER, order.identity)))


def _is_done(order: Order, before: datetime) -> bool:
    return order.is_done and order.observed_at is not None and order.observed_at < before
