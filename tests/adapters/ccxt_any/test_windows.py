"""Spans longer than one request shows: asked for one by one, or refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orderbridge.errors import NotSupported
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt
NOW = 1_767_607_200
DAY = 86_400_000


def trade(days_ago: float) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "execId": f"e{days_ago}", "orderId": "17", "side": "Buy", "execPrice": "100"}
    row |= {"execQty": "1", "execFee": "0.1", "feeCurrency": "USDT", "isMaker": True, "execType": "Trade"}
    return {**row, "execTime": str(int(NOW * 1000 - days_ago * DAY)), "orderType": "Limit"}


TRADES = [trade(days) for days in (1, 3, 7, 12, 14, 25)]


def bybit(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
    """Seven days from the start that is asked for, as Bybit shows them; without one, the last seven."""
    if "account/info" in url:
        return 200, {"retCode": 0, "result": {"unifiedMarginStatus": 5, "marginMode": "REGULAR_MARGIN"}}
    if "query-api" in url:
        return 200, {"retCode": 0, "result": {"uta": 1, "unified": 0}}
    asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(url).query).items() if name.endswith("Time")}
    start = asked.get("startTime", NOW * 1000 - 7 * DAY)
    end = asked.get("endTime", start + 7 * DAY)
    assert end - start <= 7 * DAY
    rows = [row for row in TRADES if start <= int(row["execTime"]) <= end]
    return 200, {"retCode": 0, "result": {"list": rows, "nextPageCursor": "", "category": "spot"}}


@pytest.mark.parametrize(("days", "expected"), [(2, 1), (7, 3), (13, 4), (30, 6)])
async def test_a_long_span_is_asked_for_in_pieces(days: int, expected: int) -> None:
    """What one request does not reach, another does, and a trade on the border is given once."""
    since = datetime.fromtimestamp(NOW, UTC) - timedelta(days=days)

    async with stubbed("bybit", bybit, clock=lambda: NOW) as known:
        fills = [fill async for fill in known.gateway.fills(since=since, symbol="BTC/USDT")]

    assert [fill.fill_id for fill in fills] == [row["execId"] for row in TRADES[:expected]]


async def test_pieces_end_with_the_span() -> None:
    """What was asked for up to a moment costs no requests beyond it."""
    since = datetime.fromtimestamp(NOW, UTC) - timedelta(days=30)

    async with stubbed("bybit", bybit, clock=lambda: NOW) as known:
        until = since + timedelta(days=6)
        fills = [fill async for fill in known.gateway.fills(since=since, until=until, symbol="BTC/USDT")]

    assert [fill.fill_id for fill in fills] == ["e25"]
    assert sum("execution/list" in url for _, url, _ in known.sent) == 1


async def test_without_a_start_one_piece_is_not_given_for_all() -> None:
    """An exchange that shows a week would show no more of it, and nobody could tell."""
    async with stubbed("bybit", bybit, clock=time.time) as known:
        with pytest.raises(NotSupported, match="since"):
            _ = [fill async for fill in known.gateway.fills(symbol="BTC/USDT")]


async def test_a_span_of_too_many_pieces_is_refused() -> None:
    """Years of days one by one are no list to wait for."""
    since = datetime.fromtimestamp(NOW, UTC) - timedelta(days=400)

    async with stubbed("binance", lambda *_: (200, []), clock=lambda: NOW) as known:
        with pytest.raises(NotSupported, match="at most"):
            _ = [fill async for fill in known.gateway.fills(since=since, symbol="BTC/USDT")]

    assert known.sent == []
