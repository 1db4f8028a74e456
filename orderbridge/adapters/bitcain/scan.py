"""Reading a list to its end while it moves, and a history that has no pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.mapping import moment_from_wire
from orderbridge.adapters.bitcain.wire import Page, Shapeless, as_uuid, pick

# How often a list is read anew because it moved in a way that may have hidden a row.
PASSES: Final = 4
# Pages in a row that may show known rows only: new orders push old ones onto the next page.
STALE_PAGES: Final = 2
# Full windows in a row that may show known rows only, while a window is halved down to where they are.
STALE_WINDOWS: Final = 64
# Servers cut the times they show, some to the second; windows overlap by what that may hide.
SECOND: Final = timedelta(seconds=1)
MILLISECOND: Final = timedelta(milliseconds=1)

PageParams = Mapping[str, str | int]
FetchPage = Callable[[PageParams], Awaitable[Page]]
FetchWindow = Callable[[datetime, datetime | None], Awaitable[Page]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list as it came, and its place among those read."""

    position: int
    value: Any


class _Fresh:
    """Hands out each row once."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def rows(self, values: tuple[Any, ...]) -> list[Row]:
        fresh = []
        for value in values:
            key = row_key(value)
            if key not in self.keys:
                self.keys.add(key)
                fresh.append(Row(len(self.keys) - 1, value))
        return fresh


def row_key(value: object) -> str:
    """The key that tells a row from others: its id, else all of it."""
    if isinstance(value, Mapping):
        for name in wire.ID:
            if (known := as_uuid(pick(value, (name,)))) is not None:
                return known
    return repr(value)


async def scan_list(fetch: FetchPage, *, limit: int = wire.LIST_PAGE) -> AsyncIterator[list[Row]]:
    """
    Every row of the list once, page by page, by offset, or by cursor once the server volunteers one.

    Rows move while the list is read. Pages by offset overlap by one row: if the shared row is gone, rows have
    moved up across the seam and the list is read again; so it is when its first page moved in an unclear way.

    Raises:
        Shapeless: a repeated cursor, more claimed but nothing new shown, or a list that never held still.
    """
    fresh = _Fresh()
    for _ in range(PASSES):
        current = _Pass(fetch, limit)
        async for page in current.pages():
            yield fresh.rows(page.rows)
        if not current.by_offset or current.pages_read == 1:
            return
        again = await fetch({"limit": limit})
        is_sound = not current.lost_rows and current.explains(again)
        yield fresh.rows(again.rows)
        if is_sound:
            return
    raise Shapeless("the list of orders kept moving while it was read")


class _Pass:
    """One reading of the list from its beginning."""

    def __init__(self, fetch: FetchPage, limit: int) -> None:
        self._fetch = fetch
        self._limit = limit
        self._seen: set[str] = set()
        self._cursors: set[str] = set()
        self._stale = 0
        self.pages_read = 0
        self.by_offset = True
        self.lost_rows = False

    async def pages(self) -> AsyncIterator[Page]:
        offset, cursor, overlaps = 0, None, False
        while True:
            page = await self._fetch(self._params(offset, cursor))
            self.pages_read += 1
            keys = [row_key(value) for value in page.rows]
            self.lost_rows = overlaps and (not keys or keys[0] not in self._seen)
            news = set(keys) - self._seen
            self._seen |= news
            yield page
            if self.lost_rows or not self._goes_on(page, offset):
                return
            self._check_progress(page, has_news=bool(news))
            cursor = self._next_cursor(page)
            # Where a page has a row to spare.
            overlaps = cursor is None and len(page.rows) > 1
            offset += len(page.rows) - overlaps

    def explains(self, again: Page) -> bool:
        """True if the first page, read again, shows no more than new rows above known ones."""
        known = [row_key(value) in self._seen for value in again.rows]
        return any(known) and all(known[known.index(True) :])

    def _goes_on(self, page: Page, offset: int) -> bool:
        if self.by_offset or page.has_more is not None or page.next_cursor is not None:
            return page.claims_more(offset=offset, limit=self._limit)
        # By cursor, a full page without a next one is the last.
        return page.total is not None and page.total > len(self._seen)

    def _params(self, offset: int, cursor: str | None) -> PageParams:
        if cursor is not None:
            return {"limit": self._limit, "cursor": cursor}
        return {"limit": self._limit, "offset": offset} if offset else {"limit": self._limit}

    def _check_progress(self, page: Page, *, has_news: bool) -> None:
        self._stale = 0 if has_news else self._stale + 1
        allowed = STALE_PAGES if self.by_offset and page.next_cursor is None and page.rows else 1
        if self._stale >= allowed:
            raise Shapeless("the server claims more orders but shows only known ones")

    def _next_cursor(self, page: Page) -> str | None:
        if page.next_cursor is None:
            if not self.by_offset:
                raise Shapeless("the server claims more orders but gives no cursor to them")
            return None
        self.by_offset = False
        if page.next_cursor in self._cursors:
            raise Shapeless("the server repeats a cursor")
        self._cursors.add(page.next_cursor)
        return page.next_cursor


async def scan_history(
    fetch: FetchWindow, *, since: datetime, until: datetime | None, now: datetime, limit: int = wire.HISTORY_PAGE
) -> AsyncIterator[list[Row]]:
    """
    Every row of the history once, roughly newest first. A full answer may be cut off: its window is narrowed.

    Raises:
        Shapeless: more rows at one time than an answer holds, or a server that does not heed the dates.
    """
    fresh = _Fresh()
    windows: list[tuple[datetime, datetime | None]] = [(since, until)]
    stale = 0
    while windows:
        start, end = windows.pop()
        page = await fetch(start, end)
        news = fresh.rows(page.rows)
        yield news
        if not page.is_full(limit) and not page.has_more:
            continue
        stale = 0 if news else stale + 1
        times = [_created(value) for value in page.rows]
        if stale > STALE_WINDOWS or (stale and None not in times and len(set(times)) == 1):
            raise Shapeless(f"more than {limit} orders of one time: the history cannot be read past them")
        windows.extend(_narrower(start, end, times, now=now))


def _narrower(
    start: datetime, end: datetime | None, times: list[datetime | None], *, now: datetime
) -> list[tuple[datetime, datetime | None]]:
    """The windows to read instead of one that was cut off, the newest last."""
    stated = [time for time in times if time is not None]
    if any(time < start - SECOND or (end is not None and time > end + SECOND) for time in stated):
        raise Shapeless("the history does not heed its dates, so what it cuts off cannot be read")
    newest_first = bool(stated) and len(stated) == len(times) and stated == sorted(stated, reverse=True)
    if newest_first and (end is None or stated[-1] + SECOND < end):
        return [(start, stated[-1] + SECOND)]
    close = end or max([now, *stated]) + SECOND
    if close - start <= 4 * MILLISECOND:
        raise Shapeless("more orders at one time than the history shows at once")
    middle = start + (close - start) / 2
    return [(start, middle + MILLISECOND), (middle - MILLISECOND, end)]


def _created(value: object) -> datetime | None:
    stated = pick(value, wire.CREATED_AT) if isinstance(value, Mapping) else None
    try:
        return None if stated is None else moment_from_wire(stated)
    except ValueError:
        return None
