"""Pages and spans of a list: what one request shows, and whether there is more."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from orderbridge.adapters.ccxt_any.traits import Listing
from orderbridge.venue.rows import Rows

T = TypeVar("T")
# An exchange that shows a short span at a time is asked for each one, if there are no more than this.
MOST_WINDOWS: Final = 120
_MINUTE: Final = 60_000
_DAY: Final = 24 * 60 * _MINUTE


def windows(
    listing: Listing, since: datetime | None, until: datetime | None, *, now: datetime
) -> list[tuple[int | None, int | None]]:
    """
    The spans to ask for one by one, in milliseconds; the last has no end, or one request is enough.

    Raises:
        ValueError: the exchange shows a short span at a time, and there is no start, or it is too long ago.
    """
    days = listing.days_at_once
    if since is None or not listing.takes_since:
        if days is not None and not listing.latest:
            raise ValueError(f"shows {days} days at a time: give since")
        return [(None, None)]
    start, present = _milliseconds(since), _milliseconds(now)
    if days is None:
        return [(start, None)]
    # A little less than what is allowed, as clocks differ.
    span = days * _DAY - _MINUTE
    last = min(present, present if until is None else _milliseconds(until))
    starts = list(range(start, max(last, start + 1), span))
    if len(starts) > MOST_WINDOWS:
        raise ValueError(f"shows {days} days at a time: ask for {MOST_WINDOWS} times that at most")
    return [(each, None if each + span > present else each + span) for each in starts]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def merged(pages: Sequence[Rows[T]], id_of: Callable[[T], Hashable]) -> Rows[T]:
    """The rows of several answers. One that two of them hold is one row."""
    rows: Rows[T] = Rows(bad=[bad for page in pages for bad in page.bad])
    seen: set[Hashable] = set()
    for each in (row for page in pages for row in page.good):
        id = id_of(each)
        if id not in seen:
            rows.good.append(each)
            seen.add(id)
    return rows


def length(value: Any) -> int:
    """How many rows ccxt's list has; none where it is no list."""
    return len(value) if isinstance(value, (list, tuple)) else 0


def rows_in(payload: Any, depth: int = 0) -> int:
    """
    The most rows that one list of an answer holds, or one mapping of ids to rows: ccxt drops rows of other markets.

    A row is a dict, or a list, as with exchanges that tell fields by their places.
    """
    if isinstance(payload, list):
        nested = [row for row in payload if isinstance(row, (dict, list))]
        told = [row for row in payload if row is not None]
        if nested and len(nested) == len(told):
            return len(payload)
        # A row itself, or an envelope that is a list.
        return max([rows_in(each, depth + 1) for each in nested if isinstance(each, list)], default=0)
    if not isinstance(payload, dict) or depth > 3:
        return 0
    values: Iterable[Any] = payload.values()
    as_rows = len(payload) if payload and all(isinstance(row, dict) and row for row in values) else 0
    return max([as_rows if as_rows > 2 else 0, *(rows_in(each, depth + 1) for each in payload.values())])


def reaches_back(values: Any, since: datetime | None, listing: Listing) -> bool:
    """Whether a newest-first page that takes no `since` goes back beyond it, so that nothing after it is hidden."""
    if since is None or listing.takes_since or not isinstance(values, list):
        return False
    times = [row.get("timestamp") for row in values if isinstance(row, dict)]
    known = [time for time in times if isinstance(time, int)]
    return bool(known) and len(known) == len(values) and min(known) < since.timestamp() * 1000
