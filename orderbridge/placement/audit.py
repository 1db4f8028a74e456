"""Whether a journal is whole: every chain of events legal, and the state it leads to the one that is stored."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState, Told, VenueModel
from orderbridge.model.order import Order
from orderbridge.placement.file import read_row
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.states import HOLDING, NEXT, Event, Happened, Record

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


def verify(journal: JournalFile) -> Iterator[Finding]:
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


def _chains(journal: JournalFile) -> Iterator[Finding]:
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
