"""How many rows an answer held, whatever the exchange calls a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderbridge.adapters.ccxt_any.exchanges import Listing
from orderbridge.adapters.ccxt_any.reads import rows_in, windows
from orderbridge.errors import UnexpectedResponse
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
ROW = [5, None, "BTC", {}]


@pytest.mark.parametrize(
    ("payload", "count"),
    [
        ([ROW] * 7, 7),
        ([{"id": 1}] * 7, 7),
        ({"result": {"rows": [ROW] * 7}}, 7),
        ([1700000000, "on-req", None, [ROW] * 7, "SUCCESS"], 7),
        (ROW, 0),
        ([], 0),
        (["a"] * 7, 0),
    ],
)
def test_rows_are_dicts_or_lists(payload: Any, count: int) -> None:
    """Exchanges that tell fields by their places send lists of lists, and these are rows too."""
    assert rows_in(payload) == count


@pytest.mark.parametrize(("count", "is_whole"), [(49, True), (50, False)])
async def test_a_full_page_of_lists_is_no_whole_list(count: int, is_whole: bool) -> None:
    """ccxt may drop rows of a page, so the page is counted as it came."""
    row: list[Any] = [1, None, 1, "tOTHERUST", 1700000000000, 1700000000000, 0.01, 0.01, "LIMIT", None, None, None, 0]
    row += ["ACTIVE", None, None, 50000, 0, 0, 0, None, None, None, 0, 0, None, None, None, "API", None, None, {}]

    async with stubbed("bitfinex", lambda *_: (200, [[nth, *row[1:]] for nth in range(count)])) as known:
        if is_whole:
            await known.gateway.open_orders(symbol="BTC/USDT")
        else:
            with pytest.raises(UnexpectedResponse, match="complete"):
                await known.gateway.open_orders(symbol="BTC/USDT")


@pytest.mark.parametrize(
    ("listing", "hours", "expected"),
    [
        (Listing(exists=True), 100, [(0, None)]),
        (Listing(exists=True, days_at_once=7), 100, [(0, None)]),
        (Listing(exists=True, days_at_once=1), 30, [(0, DAY - MINUTE), (DAY - MINUTE, None)]),
        (Listing(exists=True, days_at_once=1, takes_since=False, latest=True), 100, [(None, None)]),
    ],
)
def test_spans_follow_on_one_another(
    listing: Listing, hours: int, expected: list[tuple[int | None, int | None]]
) -> None:
    """No moment lies between two of them, none is longer than is shown, and the last is open."""
    start = datetime.fromtimestamp(0, UTC)

    assert windows(listing, start, None, now=start + timedelta(hours=hours)) == expected
