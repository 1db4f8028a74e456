"""Reading a moving list to its end, and a history without pages."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.adapters.bitcain.scan import PageParams, Row, scan_history, scan_list
from orderbridge.adapters.bitcain.wire import Page, Shapeless

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(days=1)


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": uuid(number)} for number in numbers]


async def ids(pages: AsyncIterator[list[Row]]) -> list[int]:
    return [int(row.value["id"][-12:]) async for page in pages for row in page]


class Listed:
    """A list newest first, to which each request may do something before it is answered."""

    def __init__(self, numbers: list[int], *, moves: list[Callable[[list[int]], None]] | None = None) -> None:
        self.numbers = numbers
        self.moves = moves or []
        self.asked: list[PageParams] = []
        self.cap = 1000
        self.style = "has_more"

    async def __call__(self, params: PageParams) -> Page:
        self.asked.append(params)
        if len(self.asked) > 1 and self.moves:
            self.moves.pop(0)(self.numbers)
        begin = int(params.get("cursor", params.get("offset", 0)))
        page = self.numbers[begin : begin + min(int(params["limit"]), self.cap)]
        more = begin + len(page) < len(self.numbers)
        said: dict[str, Any] = {
            "has_more": {"has_more": more},
            "total": {"total": len(self.numbers)},
            "nothing": {},
            "limit": {"limit": self.cap},
            "cursor": {"next_cursor": str(begin + len(page)) if more else None, "has_more": more},
            "only cursor": {"next_cursor": str(begin + len(page)) if more else None},
        }[self.style]
        return Page(tuple(rows(*page)), **said)


STYLES = ["has_more", "total", "nothing", "limit", "cursor", "only cursor"]


@given(st.integers(0, 30), st.integers(1, 12), st.sampled_from(STYLES), st.booleans())
async def test_each_row_comes_once_whatever_the_page_size(count: int, limit: int, style: str, ascending: bool) -> None:
    """Any length, page size, order and way to say that there is more: every row once."""
    listed = Listed(sorted(range(count), reverse=not ascending))
    listed.style = style
    listed.cap = limit if style != "limit" else max(1, limit // 2)

    assert await ids(scan_list(listed, limit=limit)) == listed.numbers


MOVES = st.lists(st.sampled_from(["new", "drop first", "drop second", "nothing", "to the top"]), max_size=8)


@given(st.integers(5, 40), st.integers(3, 12), MOVES, st.sampled_from(["has_more", "total", "nothing"]))
async def test_no_row_is_missed_while_the_list_moves(count: int, limit: int, moves: list[str], style: str) -> None:
    """New rows, rows that leave and rows that move up between two pages: those that stay come once."""
    top = count

    def move(kind: str) -> Callable[[list[int]], None]:
        def apply(numbers: list[int]) -> None:
            nonlocal top
            if kind == "new":
                numbers.insert(0, top)
                top += 1
            elif kind == "to the top" and numbers:
                numbers.insert(0, numbers.pop())
            elif kind != "nothing" and len(numbers) > 2:
                numbers.pop(0 if kind == "drop first" else 1)

        return apply

    listed = Listed(list(range(count - 1, -1, -1)), moves=[move(kind) for kind in moves])
    listed.style = style

    seen = await ids(scan_list(listed, limit=limit))

    assert len(seen) == len(set(seen))
    assert set(range(count)) & set(listed.numbers) <= set(seen)


async def test_pages_overlap_by_one_row() -> None:
    """So that a row which left above the seam is noticed; the first page is read again at the end."""
    listed = Listed([5, 4, 3, 2, 1])

    await ids(scan_list(listed, limit=3))

    assert listed.asked == [{"limit": 3}, {"limit": 3, "offset": 2}, {"limit": 3}]


async def test_one_page_is_one_request() -> None:
    """A list that fits is not read twice."""
    listed = Listed([2, 1])

    await ids(scan_list(listed, limit=3))

    assert listed.asked == [{"limit": 3}]


async def test_a_row_that_slipped_across_the_seam_is_found() -> None:
    """When an order leaves the list between two pages, another would be skipped: the list is read again."""
    listed = Listed([6, 5, 4, 3, 2, 1], moves=[lambda numbers: numbers.remove(6)])
    listed.moves += [lambda numbers: numbers.remove(5)]

    assert sorted(await ids(scan_list(listed, limit=2))) == [1, 2, 3, 4, 5, 6]


async def test_new_rows_are_taken_along() -> None:
    """Orders that came during the scan are shown by the second look at the first page."""
    listed = Listed([3, 2, 1], moves=[lambda numbers: numbers.insert(0, 4)])

    assert await ids(scan_list(listed, limit=2)) == [3, 2, 1, 4]


async def test_a_list_that_never_holds_still_is_an_error() -> None:
    """Nothing is shown as complete that may not be."""
    listed = Listed(list(range(50)), moves=[lambda numbers: numbers.pop(0)] * 99)

    with pytest.raises(Shapeless, match="kept moving"):
        await ids(scan_list(listed, limit=3))


async def test_a_repeated_cursor_is_an_error() -> None:
    """A server that leads in a circle does not hold us there."""
    pages = iter([Page((1,), next_cursor="a"), Page((2,), next_cursor="b"), Page((3,), next_cursor="a")])

    async def fetch(params: PageParams) -> Page:
        return next(pages)

    with pytest.raises(Shapeless, match="repeats a cursor"):
        [page async for page in scan_list(fetch)]


STUCK = [
    Page((1, 2), has_more=True),
    Page((1, 2), total=99),
    Page((1, 2), next_cursor="c", has_more=True),
    Page((), has_more=True),
]


@pytest.mark.parametrize("page", STUCK)
async def test_more_claimed_and_nothing_new_is_an_error(page: Page) -> None:
    """A server that heeds neither offset nor cursor ends in an error and no endless loop."""
    asked = 0

    async def fetch(params: PageParams) -> Page:
        nonlocal asked
        asked += 1
        return page

    with pytest.raises(Shapeless, match=r"only known ones|repeats a cursor"):
        [rows async for rows in scan_list(fetch, limit=2)]
    assert asked <= 4


async def test_a_cursor_that_goes_missing_is_an_error() -> None:
    """More is claimed, and there is no way to it: an offset would not fit the cursor's pages."""
    pages = iter([Page((1,), next_cursor="a"), Page((2,), has_more=True)])

    async def fetch(params: PageParams) -> Page:
        return next(pages)

    with pytest.raises(Shapeless, match="no cursor"):
        [page async for page in scan_list(fetch)]


async def test_cursor_or_offset_never_both() -> None:
    """Once a cursor is there, it goes alone."""
    listed = Listed([3, 2, 1])
    listed.style = "cursor"

    await ids(scan_list(listed, limit=2))

    assert listed.asked == [{"limit": 2}, {"limit": 2, "cursor": "2"}]


class Past:
    """A history: `limit` rows of a window, newest or oldest first; inclusive bounds or not."""

    def __init__(self, moments: list[datetime], limit: int) -> None:
        self.rows = [(moment, uuid(number)) for number, moment in enumerate(moments)]
        self.limit = limit
        self.newest_first = True
        self.exclusive = False
        self.heeds_dates = True
        self.digits = "microseconds"
        self.asked = 0

    async def __call__(self, start: datetime, end: datetime | None) -> Page:
        self.asked += 1
        found = [row for row in self.rows if not self.heeds_dates or self._within(row[0], start, end)]
        found.sort(reverse=self.newest_first)
        return Page(tuple({"id": id, "created_at": self._shown(at)} for at, id in found[: self.limit]))

    def _shown(self, moment: datetime) -> str:
        return moment.isoformat(timespec=self.digits)

    def _within(self, moment: datetime, start: datetime, end: datetime | None) -> bool:
        if self.exclusive:
            return start < moment and (end is None or moment < end)
        return start <= moment and (end is None or moment <= end)

    def scan(self) -> AsyncIterator[list[Row]]:
        return scan_history(self, since=START - timedelta(1), until=None, now=NOW, limit=self.limit)


SECONDS = st.lists(st.integers(0, 80_000_000), unique=True, max_size=40)


@given(SECONDS, st.integers(2, 9), st.booleans(), st.booleans(), st.sampled_from(["microseconds", "seconds"]))
async def test_history_is_whole_whatever_is_cut_off(
    millis: list[int], limit: int, newest_first: bool, exclusive: bool, digits: str
) -> None:
    """Any spread over time, order, kind of bounds and precision shown: every row once."""
    past = Past([START + timedelta(milliseconds=10 * number) for number in millis], limit)
    past.newest_first, past.exclusive, past.digits = newest_first, exclusive, digits

    try:
        found = await ids(past.scan())
    except Shapeless:
        assert digits == "seconds"  # a full answer of one shown second cannot be told from one moment
    else:
        assert sorted(found) == list(range(len(millis)))


async def test_history_moves_its_end_to_the_oldest_seen() -> None:
    """Newest first, a full answer costs one more request and not a search."""
    past = Past([START + timedelta(minutes=number) for number in range(25)], 10)

    assert await ids(past.scan()) == list(range(24, -1, -1))
    assert past.asked == 3


async def test_more_orders_of_one_moment_than_fit_are_an_error() -> None:
    """What is cut off there cannot be read, and is not passed over."""
    past = Past([START] * 11, 10)

    with pytest.raises(Shapeless, match="of one time"):
        await ids(past.scan())


@pytest.mark.parametrize("newest_first", [True, False])
async def test_a_history_that_ignores_dates_is_an_error(newest_first: bool) -> None:
    """A full answer that no window narrows ends soon."""
    past = Past([START + timedelta(minutes=number) for number in range(25)], 10)
    past.heeds_dates, past.newest_first = False, newest_first

    with pytest.raises(Shapeless, match="dates"):
        await ids(past.scan())
    assert past.asked < 20
