"""A call that got no answer decides nothing, whatever class ccxt gives the failure."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl

import ccxt
import pytest

from orderbridge import Order, OrderBridge, OrderRequest
from orderbridge.errors import NotSent, OrderBridgeError, OutcomeUnknown
from tests.adapters.ccxt_any.played import gateway
from tests.adapters.ccxt_any.test_errors import BARE, CLASSES

pytestmark = pytest.mark.ccxt
EVERY = pytest.mark.parametrize("kind", [*CLASSES, *BARE], ids=lambda kind: kind.__name__)
# ccxt raises these before it opens a connection.
NEVER_LEFT = {"NotSupported", "InvalidProxySettings", "ExchangeClosedByUser"}


def failing(kind: type[Exception]) -> Any:
    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        raise kind("https://exchange.example/order?signature=0badc0de")

    return fetch


@EVERY
async def test_a_look_up_without_an_answer_is_undecided(kind: type[Exception]) -> None:
    """Not even OrderNotFound is a miss when no answer came with it."""
    async with gateway("kraken", fetch=failing(kind)) as kraken:
        result = await kraken.lookup("ccxt.kraken:OUF4EM-FRGI2-MQMWZD", "ccxt.kraken:client:mine1")

    assert len(result.undecided) == 2
    assert "ccxt.kraken" in result.unreachable
    assert "0badc0de" not in repr(result)


@EVERY
async def test_a_list_without_an_answer_is_an_error(kind: type[Exception]) -> None:
    """It is never an empty list."""
    async with gateway("kraken", fetch=failing(kind)) as kraken:
        with pytest.raises(OrderBridgeError):
            await kraken.open_orders()
        with pytest.raises(OrderBridgeError):
            _ = [fill async for fill in kraken.fills()]


@EVERY
async def test_a_cancel_without_an_answer_is_unknown_or_not_sent(kind: type[Exception]) -> None:
    """It is neither done nor refused; only what never left is said not to have."""
    known = Order(venue="ccxt.kraken", order_id="OUF4EM-FRGI2-MQMWZD", symbol="BTC/USD", side="buy", status="open")
    expected = NotSent if {each.__name__ for each in kind.__mro__} & NEVER_LEFT else OutcomeUnknown

    async with gateway("kraken", fetch=failing(kind)) as kraken:
        with pytest.raises(OrderBridgeError) as raised:
            await kraken.cancel(known)

    assert type(raised.value) is expected
    assert "0badc0de" not in str(raised.value)


def test_the_classes_that_never_leave_are_ccxts() -> None:
    """A class that ccxt renames would be missed here."""
    assert all(hasattr(ccxt, name) for name in NEVER_LEFT)


async def test_after_a_lost_answer_the_client_id_finds_the_order() -> None:
    """The symbol of what was sent is remembered, so that Binance can be asked by the client id alone."""
    asked: list[str] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        asked.append(f"{method} {url}")
        if method == "POST":
            raise ccxt.RequestTimeout("no answer")
        row = {"symbol": "BTCUSDT", "orderId": 7, "clientOrderId": "mine1", "price": "40000", "origQty": "0.01"}
        return {**row, "executedQty": "0", "status": "NEW", "type": "LIMIT", "side": "BUY", "time": 1_767_607_200_000}

    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.01", price="40000", client_order_id="mine1")
    async with gateway("binance", fetch=fetch) as binance:
        with pytest.raises(OutcomeUnknown):
            await binance.submit(request)
        order = await binance.get("ccxt.binance:client:mine1")

    assert (order.order_id, order.client_order_id) == ("7", "mine1")
    assert len(asked) == 2
    assert "symbol=BTCUSDT" in asked[1]
    assert "origClientOrderId=mine1" in asked[1]


async def test_an_order_that_was_placed_under_a_client_id_is_asked_for_by_its_own_id() -> None:
    """Kraken is not searched by client id: an order of this gateway is known by both."""
    asked: list[str] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        asked.append(url.rpartition("/")[2])
        return {"error": [], "result": {"txid": ["OUF4EM-FRGI2-MQMWZD"], "descr": {}}}

    request = OrderRequest.limit(symbol="BTC/USD", side="buy", quantity="0.01", price="40000", client_order_id="mine1")
    async with gateway("kraken", fetch=fetch) as kraken:
        await kraken.submit(request)
        await kraken.lookup("ccxt.kraken:client:mine1")

    assert asked[-1] == "QueryOrders"


@pytest.mark.parametrize("filled", [True, False])
async def test_what_kraken_took_and_did_not_answer_is_told_by_its_lists(filled: bool) -> None:
    """It looks nothing up by client ids, and ccxt lists no ended orders: its trades name the order, and that ours."""
    sent: dict[str, str] = {}
    number, trades = "OUF4EM-FRGI2-MQMWZD", {}

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        call = url.rpartition("/")[2]
        if call == "AddOrder":
            sent.update(parse_qsl(body))
            told = {"ordertxid": number, "pair": "XXBTZUSD", "time": time.time(), "type": "buy", "ordertype": "limit"}
            if filled:
                trades["T1"] = {**told, "price": "100", "cost": "100", "fee": "0.1", "vol": "1"}
            raise ccxt.RequestTimeout("no answer")
        if call == "TradesHistory":
            return {"error": [], "result": {"trades": trades, "count": len(trades)}}
        if call == "QueryOrders":
            descr = {
                "pair": "XBTUSD",
                "type": "buy",
                "ordertype": "limit",
                "price": "100",
                "order": "buy 1.0 XBTUSD @ limit 100.0",
            }
            done = {"status": "closed", "opentm": time.time(), "vol": "1", "vol_exec": "1", "cost": "100", "fee": "0.1"}
            order = {**done, "descr": descr, "cl_ord_id": sent["cl_ord_id"], "price": "100", "oflags": "fciq"}
            return {"error": [], "result": {number: order}}
        return {"error": [], "result": {"open": {}}}

    async with gateway("kraken", fetch=fetch) as kraken:
        kraken.__class__ = type("OnLoopback", (type(kraken),), {"longest_attempt": 0.0})
        bridge = OrderBridge(kraken, settle_horizon=0.1, probe_times=(0.01, 0.05, 0.1))
        request = OrderRequest.limit(symbol="BTC/USD", side="buy", quantity="1", price="100")
        with pytest.raises(OutcomeUnknown) as caught:
            await bridge.place("ccxt.kraken", request)
        assert caught.value.placement is not None
        after = await bridge.resolve(caught.value.placement, timeout=20)
        await bridge.aclose()

    told = None if after.order is None else (after.order.order_id, after.order.status)
    assert (after.state, told) == (("placed", (number, "filled")) if filled else ("not_placed", None))
