"""Lists: shown to be whole, or an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import ccxt.async_support
import pytest

from orderbridge import OrderRef
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.adapters.ccxt_any.codes import is_list_answer
from orderbridge.errors import ConfigurationError, NotSupported, OrderBridgeError, PartialList, UnexpectedResponse
from tests.adapters.ccxt_any.conftest import MARKET
from tests.adapters.ccxt_any.played import gateway, told_by
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
NOW = START + timedelta(hours=1)


def binance_order(number: int, **more: Any) -> dict[str, Any]:
    row = {"symbol": "BTCUSDT", "orderId": number, "clientOrderId": f"c{number}", "price": "100", "origQty": "1"}
    row |= {"executedQty": "0", "cummulativeQuoteQty": "0", "status": "NEW", "timeInForce": "GTC", "type": "LIMIT"}
    return {**row, "side": "BUY", "time": 1_767_607_200_000 + number, **more}


def answering(body: Any) -> Any:
    """A stub of ccxt's HTTP call. It answers as the exchange, below what is watched."""

    async def fetch(url: str, method: str = "GET", headers: Any = None, sent: Any = None) -> Any:
        return body

    return fetch


class Undeclared(ccxt.async_support.binance):
    """An exchange that says nothing of the length of its lists."""

    def describe(self) -> Any:
        return self.deep_extend(super().describe(), {"id": "undeclared"})


async def undeclared(count: int) -> Any:
    known = Undeclared({"apiKey": "k", "secret": "s"})
    known.set_markets([known.safe_market_structure({**MARKET, "id": "BTCUSDT", "symbol": "BTC/USDT", "quote": "USDT"})])
    known.fetch = told_by(known, answering([binance_order(number) for number in range(count)]))
    async with CcxtGateway(known, limits=None) as made:
        try:
            return await made.open_orders()
        finally:
            await known.close()


@pytest.mark.parametrize("count", [10, 20, 25, 50, 100, 150, 500, 1000])
async def test_a_usual_page_length_proves_nothing(count: int) -> None:
    """Where nobody tells a limit, as many rows as pages usually have may be one page of several."""
    with pytest.raises(PartialList, match="complete"):
        await undeclared(count)


@pytest.mark.parametrize("count", [0, 1, 9, 11, 49, 51, 99])
async def test_other_lengths_are_whole(count: int) -> None:
    """A short answer of an odd length is the list."""
    assert len(await undeclared(count)) == count


async def test_orders_of_a_span_newest_first() -> None:
    """One answer, filtered by time and status; beyond a page it is an error."""
    rows = [binance_order(number, status="CANCELED" if number % 2 else "NEW") for number in range(5)]
    async with gateway("binance", fetch=answering(rows)) as binance:
        every = [order async for order in binance.orders(since=START, symbol="BTC/USDT")]
        ended = [order async for order in binance.orders(since=START, symbol="BTC/USDT", status="cancelled")]
        none = [order async for order in binance.orders(since=START + timedelta(days=1), symbol="BTC/USDT")]
    full = [binance_order(number) for number in range(1000)]
    async with gateway("binance", fetch=answering(full)) as binance:
        with pytest.raises(PartialList):
            _ = [order async for order in binance.orders(since=START, symbol="BTC/USDT")]

    assert [order.order_id for order in every] == ["4", "3", "2", "1", "0"]
    assert [order.order_id for order in ended] == ["3", "1"]
    assert none == []


async def test_a_row_that_ccxt_would_drop_is_listed() -> None:
    """ccxt leaves out by itself what tells no time, or is of another pair than its market: here the window decides."""
    rows = [binance_order(1), binance_order(2, time=None, updateTime=None), binance_order(3, symbol="LTCBTC")]

    async with gateway("binance", fetch=answering(rows)) as binance:
        of_one = [order.order_id async for order in binance.orders(since=START, symbol="BTC/USDT")]
        opened = await binance.open_orders()

    assert of_one == ["2", "1"]
    assert [(order.order_id, order.symbol) for order in opened if order.order_id == "3"] == [("3", "LTC/BTC")]


async def test_a_trade_that_tells_no_time_is_listed() -> None:
    """It may be of the span that was asked for, and nobody could tell that it was left out."""
    row = {"symbol": "BTCUSDT", "id": 9, "orderId": 1, "price": "2", "qty": "1", "quoteQty": "2", "isBuyer": True}

    async with gateway("binance", fetch=answering([row])) as binance:
        fills = [fill async for fill in binance.fills(since=NOW, symbol="BTC/USDT")]

    assert [fill.fill_id for fill in fills] == ["9"]


@pytest.mark.parametrize("name", ["binance", "coinbase"])
async def test_an_order_of_another_pair_is_not_the_one_that_was_asked_for(name: str) -> None:
    """Whether an exchange counts by market or not: what is shown is told, undecided, and not remembered as ours."""
    number = "11111111"
    rows = {
        "binance": binance_order(int(number), symbol="ETHUSDT"),
        "coinbase": {"order": {"order_id": number, "product_id": "ETH-USDT", "side": "BUY", "status": "OPEN"}},
    }

    async with stubbed(name, lambda *_: (200, rows[name]), bases=["BTC", "ETH"]) as known:
        ours = await known.gateway.lookup(known.ref(number))
        again = await known.gateway.lookup(known.ref(number))

    for result in (ours, again):
        assert result.undecided == (known.ref(number),)
        assert [(row.order_id, "ETH/USDT" in row.reason) for row in result.bad_rows] == [(number, True)]


async def test_an_order_of_the_other_side_is_not_the_one_that_was_asked_for() -> None:
    """A buy that was seen is no sell later: what is shown is another order, and what became of ours is undecided."""
    rows = [binance_order(1), binance_order(1, side="SELL")]

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        return rows.pop(0)

    ref = OrderRef(gateway="ccxt.binance", order_id="1", symbol="BTC/USDT")
    async with gateway("binance", fetch=fetch) as binance:
        bought = await binance.get(ref)
        result = await binance.lookup(ref)

    assert bought.side.value == "buy"
    assert result.undecided == (ref,)
    assert ["sell BTC/USDT" in row.reason for row in result.bad_rows] == [True]


async def test_bad_rows_come_after_the_good_ones() -> None:
    """A row that cannot be read hides none of its neighbours, and is not passed over."""
    rows = [binance_order(1), binance_order(2, side="HOLD"), binance_order(3)]
    seen: list[str] = []

    async def read_all() -> None:
        async for order in binance.orders(since=START, symbol="BTC/USDT"):
            seen.append(order.order_id)

    async with gateway("binance", fetch=answering(rows)) as binance:
        with pytest.raises(UnexpectedResponse) as raised:
            await read_all()
        opened = await binance.open_orders(symbol="BTC/USDT")

    assert seen == ["3", "1"]
    assert [row.order_id for row in raised.value.bad_rows] == ["2"]
    assert (len(opened), len(opened.bad_rows)) == (2, 1)


async def test_what_a_list_cannot_do_is_refused_when_called() -> None:
    """Without its symbol, with an unknown filter, status or zone: at the call, and not at the first item."""
    async with gateway("binance") as binance:
        with pytest.raises(NotSupported):
            binance.orders(since=START)
        with pytest.raises(NotSupported):
            binance.orders(since=START, symbol="BTC/USDT:USDT")
        with pytest.raises(NotSupported):
            binance.orders(since=START, symbol="BTC/USDT", portfolio="x")
        with pytest.raises(ConfigurationError):
            binance.orders(since=START, symbol="BTC/USDT", status="gone")
        with pytest.raises(ConfigurationError):
            binance.orders(since=datetime(2026, 1, 5), symbol="BTC/USDT")
        with pytest.raises(ConfigurationError):
            await binance.open_orders(symbol="BTCUSDT")
    async with gateway("kraken") as kraken:
        with pytest.raises(NotSupported):
            kraken.orders(since=START)


async def test_a_row_that_ccxt_cannot_read_hides_no_neighbour() -> None:
    """By itself ccxt fails at the whole list; here the others are given, and a cancel of all says that one is left."""
    rows = [binance_order(1), binance_order(2, origQty="abc"), {"symbol": 5}, binance_order(3)]

    async with gateway("binance", fetch=answering(rows)) as binance:
        opened = await binance.open_orders()
        of_one = await binance.open_orders(symbol="BTC/USDT")

    for listed in (opened, of_one):
        assert {order.order_id for order in listed} >= {"1", "3"}
        assert len(listed) + len(listed.bad_rows) == 4
        assert all(row.raw in rows for row in listed.bad_rows)


async def test_a_trade_that_ccxt_cannot_read_is_a_bad_row() -> None:
    """It is told of, and not passed over."""
    row = {"symbol": "BTCUSDT", "id": 9, "orderId": 1, "price": "x", "qty": "1", "isBuyer": True}
    rows = [{**row, "time": 1_767_607_200_000}]

    async with gateway("binance", fetch=answering(rows)) as binance:
        with pytest.raises(UnexpectedResponse) as raised:
            _ = [fill async for fill in binance.fills(symbol="BTC/USDT")]

    assert len(raised.value.bad_rows) == 1


async def test_an_order_that_ccxt_cannot_read_is_undecided() -> None:
    """It was shown, and what it says nobody knows: not found would be wrong."""
    async with gateway("binance", fetch=answering(binance_order(7, origQty="abc"))) as binance:
        result = await binance.lookup(OrderRef(gateway="ccxt.binance", order_id="7", symbol="BTC/USDT"))

    assert len(result.undecided) == 1
    assert len(result.bad_rows) == 1


NO_LISTS = [{}, {"success": True}, {"error": []}, {"message": "hello"}, {"orders": None}, {"result": None}, {"code": 0}]


@pytest.mark.parametrize("answer", NO_LISTS, ids=str)
@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase", "undeclared"])
async def test_an_answer_without_a_list_is_no_empty_list(exchange: str, answer: Any) -> None:
    """ccxt gives an empty list for it; nothing is open, and no order is absent, by such an answer."""
    if exchange == "undeclared":
        assert not is_list_answer(answer, None)
        return
    symbol = "BTC/USDT" if exchange == "binance" else "BTC/USD"
    async with gateway(exchange, fetch=answering(answer)) as known:
        with pytest.raises(OrderBridgeError):
            await known.open_orders(symbol=symbol)
        with pytest.raises(OrderBridgeError):
            _ = [fill async for fill in known.fills(symbol=symbol)]
        id = "OUF4EM-FRGI2-MQMWZD" if exchange == "kraken" else "12345678"
        result = await known.lookup(OrderRef(order_id=id, symbol=symbol))

    assert len(result.undecided) == 1


@pytest.mark.parametrize(
    "answer",
    [[], {"data": []}, {"result": {"list": []}}, {"orders": {}}, {"data": [{"id": 1}]}, {"error": [], "rows": []}],
)
def test_empty_lists_are_lists(answer: Any) -> None:
    """Wherever an exchange keeps its rows, an empty place for them says that there are none."""
    assert is_list_answer(answer, None)
