"""An exchange that numbers its orders by market: two live orders of one number, at Binance."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orderbridge import Order, OrderBridge, OrderKey, OrderRequest
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.errors import AmbiguousRef, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from tests.adapters.ccxt_any.stubbed import Stubbed, stubbed

pytestmark = pytest.mark.ccxt
NAME, NUMBER = "ccxt.binance", "28"
BTC, ETH = OrderKey(NAME, NUMBER, "BTC/USDT"), OrderKey(NAME, NUMBER, "ETH/USDT")


class Binance:
    """Gives each market's first order the number 28."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.trades: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.loses_answers = False

    def __call__(self, url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        told = {name: values[0] for name, values in parse_qs(urlsplit(url).query or body or "").items()}
        path, market = urlsplit(url).path, told.get("symbol", "")
        if path.endswith("/openOrders"):
            return 200, [row for row in self.rows.values() if row["status"] == "NEW" and market in ("", row["symbol"])]
        if path.endswith("/myTrades"):
            return 200, [trade for trade in self.trades if trade["symbol"] == market]
        if method == "POST":
            self.rows[market] = self._row(told)
            return (504, {"code": -1007, "msg": "Timeout"}) if self.loses_answers else (200, self.rows[market])
        row = self.rows.get(market)
        named = {told.get("orderId"), told.get("origClientOrderId")}
        if row is None or not named & {str(row["orderId"]), row["clientOrderId"]}:
            return 400, {"code": -2013, "msg": "Order does not exist."}
        if method == "DELETE":
            self.cancelled.append(market)
            row["status"] = "CANCELED"
        return 200, row

    def _row(self, told: dict[str, str]) -> dict[str, Any]:
        row = {"symbol": told["symbol"], "orderId": int(NUMBER), "clientOrderId": told["newClientOrderId"]}
        row |= {"price": told["price"], "origQty": told["quantity"], "executedQty": "0", "status": "NEW"}
        return row | {"type": "LIMIT", "side": told["side"], "timeInForce": "GTC", "time": 1700000000000}


def buy(base: str) -> OrderRequest:
    return OrderRequest.limit(symbol=f"{base}/USDT", side="buy", quantity="1", price="100")


@pytest.fixture
def binance() -> Binance:
    return Binance()


@pytest.fixture
async def known(binance: Binance) -> AsyncIterator[Stubbed]:
    async with stubbed("binance", binance, bases=["BTC", "ETH"]) as stub:
        yield stub


@pytest.fixture
async def bridge(known: Stubbed, tmp_path: Path) -> AsyncIterator[OrderBridge]:
    async with OrderBridge(known.gateway, journal=SqliteJournal(tmp_path / "orders.db")) as made:
        yield made


async def both(bridge: OrderBridge) -> tuple[Order, Order]:
    """Two live orders of one number, placed under a key each."""
    return await bridge.place(NAME, buy("BTC"), key="btc"), await bridge.place(NAME, buy("ETH"), key="eth")


async def test_two_orders_of_one_number_are_placed_and_told_apart(bridge: OrderBridge) -> None:
    """Each placement has its own, each key gives its own again, and each is found by its key."""
    btc, eth = await both(bridge)

    again = [await bridge.place(NAME, buy(base), key=base.lower()) for base in ("BTC", "ETH")]
    found = await bridge.lookup(btc.key, eth.key)
    placements = await bridge.placements()

    assert (btc.key, eth.key) == (BTC, ETH)
    assert [order.key for order in again] == [BTC, ETH]
    assert [found[key].order.key for key in (BTC, ETH)] == [BTC, ETH]  # type: ignore[union-attr]
    assert {order.key for order in found.orders} == {BTC, ETH}
    assert [(each.key, each.order and each.order.key) for each in placements] == [("btc", BTC), ("eth", ETH)]


async def test_two_orders_of_one_number_are_listed_twice(bridge: OrderBridge) -> None:
    """Neither hides the other, in the list of the exchange and in that of the bridge."""
    await both(bridge)

    of_exchange = await bridge[NAME].open_orders()
    of_bridge = await bridge.open_orders()

    assert {order.key for order in of_exchange} == {order.key for order in of_bridge} == {BTC, ETH}


async def test_each_of_two_orders_of_one_number_is_cancelled_by_itself(bridge: OrderBridge, binance: Binance) -> None:
    """The first cancel leaves the other live; the second reaches it, and the journal knows each."""
    btc, eth = await both(bridge)

    first = await bridge.cancel(eth.key)
    left = await bridge.open_orders()
    second = await bridge.cancel(btc)

    assert (first.key, second.key) == (ETH, BTC)
    assert [order.key for order in left] == [BTC]
    assert binance.cancelled == ["ETHUSDT", "BTCUSDT"]


async def test_a_cancel_of_all_takes_both_orders_of_one_number(bridge: OrderBridge, binance: Binance) -> None:
    """The one number is cancelled in both markets."""
    await both(bridge)

    receipt = await bridge.cancel_all(scope="account")

    assert sorted(binance.cancelled) == ["BTCUSDT", "ETHUSDT"]
    assert {(order.key, order.status.value) for order in receipt.orders} == {(BTC, "cancelled"), (ETH, "cancelled")}


async def test_a_bare_number_of_two_live_orders_cancels_neither(bridge: OrderBridge, binance: Binance) -> None:
    """Which is meant is not known: both are shown, and nothing is sent."""
    await both(bridge)

    found = await bridge.lookup(f"{NAME}:{NUMBER}")
    with pytest.raises(AmbiguousRef) as caught:
        await bridge.cancel(f"{NAME}:{NUMBER}")

    assert {order.key for order in found.orders} == {order.key for order in caught.value.orders} == {BTC, ETH}
    assert binance.cancelled == []


async def test_a_bare_number_means_the_live_one_of_two(bridge: OrderBridge, binance: Binance) -> None:
    """An ended namesake is not what a cancel is for."""
    _, eth = await both(bridge)
    await bridge.cancel(eth)

    order = await bridge.cancel(f"{NAME}:{NUMBER}")

    assert (order.key, order.status.value) == (BTC, "cancelled")


async def test_a_process_that_knows_neither_finds_both_by_their_number(
    bridge: OrderBridge, known: Stubbed, binance: Binance
) -> None:
    """A gateway made anew has no memory: the list of open orders shows both, and each is cancelled by its key."""
    await both(bridge)
    async with stubbed("binance", binance, bases=["BTC", "ETH"]) as anew:
        found = await anew.gateway.lookup(NUMBER)
        cancelled = await anew.gateway.cancel(ETH)

    assert {order.key for order in found.orders} == {BTC, ETH}
    assert (cancelled.key, binance.cancelled) == (ETH, ["ETHUSDT"])


async def test_a_lost_order_is_settled_by_its_own_and_not_by_its_namesake(
    bridge: OrderBridge, binance: Binance
) -> None:
    """The answer is lost while another market's order of that number is live: the right one is found."""
    await bridge.place(NAME, buy("BTC"), key="btc")
    binance.loses_answers = True
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place(NAME, buy("ETH"), key="eth")

    assert caught.value.placement is not None
    settled = await bridge.resolve(caught.value.placement, timeout=60)

    assert (settled.state.value, settled.order and settled.order.key) == ("placed", ETH)


async def test_the_trades_of_an_order_are_not_those_of_its_namesake(bridge: OrderBridge, binance: Binance) -> None:
    """Trades are numbered by market too: each order has its own, of one number."""
    btc, eth = await both(bridge)
    trade = {"id": 7, "orderId": int(NUMBER), "price": "100", "qty": "1", "quoteQty": "100", "commission": "0"}
    trade |= {"commissionAsset": "USDT", "time": 1700000000000, "isBuyer": True, "isMaker": True}
    binance.trades = [{**trade, "symbol": "BTCUSDT"}, {**trade, "symbol": "ETHUSDT", "qty": "0.5", "quoteQty": "50"}]

    fills = [fill for ref in (btc, eth.key) async for fill in bridge.fills(ref)]

    assert [(fill.symbol, str(fill.quantity)) for fill in fills] == [("BTC/USDT", "1"), ("ETH/USDT", "0.5")]


async def test_where_an_id_alone_names_an_order_its_key_has_no_symbol(make: Callable[..., CcxtGateway]) -> None:
    """Bitso's ids are unique in the account, so the keys of its orders are what they ever were."""
    order = await make().submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="100000"))

    assert order.key == ("ccxt.bitso", order.order_id, "")
