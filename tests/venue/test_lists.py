"""Lists over a span of time, as every venue gives them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.errors import ConfigurationError, UnexpectedResponse
from orderbridge.model.order import Order
from orderbridge.model.results import BadRow
from orderbridge.venue.lists import Window, newest_first, stream, window_of
from orderbridge.venue.rows import Rows

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def order(order_id: str, **stated: Any) -> Order:
    row = {
        "gateway": "x",
        "venue": "x",
        "account": "default",
        "order_id": order_id,
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "limit",
        "status": "open",
    }
    return Order.model_validate({**row, "created_at": NOON, "observed_at": NOON, **stated})


@pytest.mark.parametrize(
    ("seconds", "is_held"),
    [(-1, False), (-0.5, False), (0, True), (0.4, False), (0.5, True), (10, True), (10.1, False)],
)
def test_a_time_without_a_fraction_may_have_been_cut(seconds: float, is_held: bool) -> None:
    """It is of the window if its second is; one with a fraction is held against the very moment."""
    window = Window(NOON + timedelta(seconds=0.5), NOON + timedelta(seconds=10))

    assert window.holds(order("1", created_at=NOON + timedelta(seconds=seconds))) is is_held


def test_a_row_without_a_time_may_be_meant() -> None:
    """It is held, and stands before those of known age."""
    unknown, old, new = order("1", created_at=None), order("2"), order("3", created_at=NOON + timedelta(1))

    assert Window(NOON, NOON).holds(unknown)
    assert newest_first([old, unknown, new]) == [unknown, new, old]


async def test_bad_rows_come_after_all_good_ones() -> None:
    """Of every page, in one error, which carries them."""
    bad = [BadRow(gateway="x", position=position, reason="odd") for position in range(2)]

    async def pages() -> AsyncGenerator[Rows[Order], None]:
        yield Rows([order("1"), order("2", symbol="ETH/USDT")], bad[:1])
        yield Rows([order("3")], bad[1:])

    window = window_of(since=NOON, until=None, symbol="btc/usdt")
    listed = stream(pages(), window, gateway="x", operation="orders")
    seen = [(await anext(listed)).order_id, (await anext(listed)).order_id]
    with pytest.raises(UnexpectedResponse) as raised:
        await anext(listed)

    assert seen == ["1", "3"]
    assert list(raised.value.bad_rows) == bad


async def test_an_error_of_a_page_names_where_it_was() -> None:
    """Gateway and call, where it says neither itself: no public call is running any more that could."""

    async def pages() -> AsyncGenerator[Rows[Order], None]:
        raise UnexpectedResponse("one page of several")
        yield Rows()

    with pytest.raises(UnexpectedResponse) as raised:
        await anext(stream(pages(), Window(), gateway="x", operation="orders"))

    assert (raised.value.gateway, raised.value.operation) == ("x", "orders")


@pytest.mark.parametrize(
    "wrong", [{"since": datetime(2026, 1, 5)}, {"until": "2026-01-05"}, {"symbol": "BTCUSDT"}, {"status": "resting"}]
)
async def test_wrong_arguments_name_where_they_were_given(wrong: dict[str, Any]) -> None:
    """A time without its zone, no time at all, a venue's own symbol, and a word that is no status."""
    async with BitcainGateway(base_url="https://x.example", trading_mode="paper", token="t") as gateway:
        with pytest.raises(ConfigurationError) as raised:
            gateway.orders(**{"since": NOON, "until": None, "symbol": None, **wrong})

    assert (raised.value.gateway, raised.value.operation) == ("bitcain", "orders")
