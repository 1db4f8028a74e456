"""Orders that wait for a price, where an exchange keeps them apart: asked for and cancelled in their own place."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import ccxt.async_support
import pytest

from orderbridge import OrderEdit, OrderRef, OrderRequest
from orderbridge.adapters.ccxt_any.overrides import OVERRIDES
from orderbridge.errors import NotSupported, OrderNotFound, VenueError
from orderbridge.model.basics import OrderStatus, OrderType
from orderbridge.model.results import Answer
from tests.adapters.ccxt_any.stubbed import stubbed
from tests.adapters.ccxt_any.test_exchanges import traits_of

pytestmark = pytest.mark.ccxt
ALGO = "681096944655273984"
ALGO_ROW = {"algoId": ALGO, "instId": "BTCUSDT", "instType": "SPOT", "ordType": "trigger", "side": "sell", "sz": "1"}
ALGO_ROW |= {"triggerPx": "40000", "ordPx": "39000", "cTime": "1700000000000", "ordId": "", "state": "live"}


CHILD = "312269865356374016"


class Okx:
    """An exchange with one order that waits for a price, and with none of the others but what a trigger makes of it."""

    def __init__(self) -> None:
        self.state = "live"
        self.child: dict[str, str] = {}

    def trigger(self) -> None:
        """The price is reached: another order is placed, which shows the first one's id."""
        row = {"instId": "BTCUSDT", "ordId": CHILD, "clOrdId": "", "ordType": "limit", "px": "39000", "sz": "1"}
        row |= {"side": "sell", "state": "partially_filled", "accFillSz": "0.4", "avgPx": "39000", "fillSz": "0.4"}
        row |= {"algoId": ALGO, "algoClOrdId": "mine1", "cTime": "1700000000000", "uTime": "1700000000000"}
        self.state, self.child = "effective", row

    def __call__(self, url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if self.child and (told := self._of_child(url, str(body))) is not None:
            return 200, {"code": "1" if "cancel-algos" in url else "0", "data": told, "msg": ""}
        if "cancel-algos" in url:
            self.state = "canceled"
            return 200, {"code": "0", "data": [{"algoId": ALGO, "sCode": "0", "sMsg": ""}], "msg": ""}
        if "cancel" in url:
            told = {"sCode": "51400", "sMsg": "Cancellation failed as the order does not exist.", "ordId": ""}
            return 200, {"code": "1", "data": [told], "msg": "All operations failed"}
        row = {**ALGO_ROW, "state": self.state, "ordId": CHILD if self.child else ""}
        if "orders-algo-pending" in url:
            return 200, {"code": "0", "data": [row] if self.state == "live" else [], "msg": ""}
        if "order-algo" in url and ALGO in url:
            return 200, {"code": "0", "data": [row], "msg": ""}
        if "orders-pending" in url:
            return 200, {"code": "0", "data": [], "msg": ""}
        return 200, {"code": "51603", "data": [], "msg": "Order does not exist"}

    def _of_child(self, url: str, body: str) -> list[dict[str, str]] | None:
        if "cancel-algos" in url:
            return [{"algoId": ALGO, "sCode": "51400", "sMsg": "Cancellation failed as the order does not exist."}]
        if CHILD not in url + body:
            return None
        if "cancel-order" in url:
            self.child["state"] = "canceled"
            return [{"ordId": CHILD, "clOrdId": "", "sCode": "0", "sMsg": ""}]
        if "amend-order" in url:
            self.child["sz"] = json.loads(body)["newSz"]
            return [{"ordId": CHILD, "clOrdId": "", "sCode": "0", "sMsg": ""}]
        if "fills" in url:
            fill = {"instId": "BTCUSDT", "tradeId": "9", "ordId": CHILD, "side": "sell", "fillSz": "0.4"}
            return [{**fill, "fillPx": "39000", "fee": "-1", "feeCcy": "USDT", "ts": "1700000000000"}]
        return [self.child]


async def test_a_listed_order_is_found_and_cancelled_where_it_was_listed() -> None:
    """What the list shows is no order that does not exist."""
    async with stubbed("okx", Okx()) as known:
        (order,) = await known.gateway.open_orders()
        found = (await known.gateway.lookup(order))[order]
        cancelled = await known.gateway.cancel(order)

    assert found.order is not None
    assert found.order.order_id == order.order_id == ALGO
    assert cancelled.status is OrderStatus.CANCELLED
    assert [url for method, url, _ in known.sent if method == "POST" and "cancel" in url] == [
        "https://www.okx.com/api/v5/trade/cancel-algos"
    ]


async def test_an_id_that_was_never_listed_is_asked_for_in_both_places() -> None:
    """Another process knows the id only: the order is found, and its cancel reaches it."""
    async with stubbed("okx", Okx()) as known:
        cancelled = await known.gateway.cancel(known.ref(ALGO))
        missing = await known.gateway.lookup(known.ref("1234567"))

    assert cancelled.status is OrderStatus.CANCELLED
    assert missing[known.ref("1234567")].answers == {"ccxt.okx": Answer.NOT_SEEN}
    assert sum("order-algo" in url for _, url, _ in known.sent if "1234567" in url) == 1


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_triggered_order_is_followed_to_what_it_became(is_known: bool) -> None:
    """It goes on under its id: read, changed, traded and cancelled by the id that the exchange has for it now."""
    okx = Okx()
    async with stubbed("okx", okx) as known:
        listed = await known.gateway.open_orders() if is_known else ()
        okx.trigger()
        order = await known.get(known.ref(ALGO))
        (fill,) = [fill async for fill in known.gateway.fills(known.ref(ALGO))]
        edited = await known.gateway.edit(known.ref(ALGO), OrderEdit(quantity="2"))
        cancelled = await known.gateway.cancel(known.ref(ALGO))

    assert [each.order_id for each in listed] == [ALGO] * is_known
    assert (order.order_id, order.status) == (ALGO, OrderStatus.PARTIALLY_FILLED)
    assert (order.client_order_id, order.filled_quantity) == ("mine1", Decimal("0.4"))
    assert (fill.order_id, fill.quantity) == (ALGO, Decimal("0.4"))
    assert (edited.order_id, edited.quantity) == (ALGO, Decimal(2))
    assert (cancelled.order_id, cancelled.status) == (ALGO, OrderStatus.CANCELLED)


@pytest.mark.parametrize("is_given", [True, False])
async def test_a_cancel_that_comes_after_the_trigger_reaches_what_it_became(is_given: bool) -> None:
    """The order was shown as one that waits, to this process or to an earlier one, and waits no longer."""
    okx = Okx()
    async with stubbed("okx", okx) as known:
        (waiting,) = await known.gateway.open_orders()
        okx.trigger()
        if not is_given:
            cancelled = await known.gateway.cancel(waiting)
    async with stubbed("okx", okx) as later:
        if is_given:
            cancelled = await later.gateway.cancel(waiting)

    assert okx.child["state"] == "canceled"
    assert (cancelled.status, cancelled.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.4"))


async def test_a_triggered_order_whose_successor_is_not_shown_has_not_ended() -> None:
    """ccxt calls it closed; it was placed, and what became of that is not known."""

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if "order-algo" in url and ALGO in url:
            return 200, {"code": "0", "data": [{**ALGO_ROW, "state": "effective", "ordId": CHILD}], "msg": ""}
        return 200, {"code": "51603", "data": [], "msg": "Order does not exist"}

    async with stubbed("okx", answer) as known:
        orders = [await known.get(known.ref(ALGO)) for _ in range(2)]  # by then it knows what became of it

    assert [(order.status, order.may_be_live) for order in orders] == [(OrderStatus.UNKNOWN, True)] * 2


async def test_a_cancel_between_a_trigger_and_its_order_is_no_absence() -> None:
    """OKX tells of the order before it shows it: till then a cancel fails, without a word that there is none."""
    okx, shown = Okx(), False

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if CHILD in url + str(body) and (not shown or "algo" in url):
            return 200, {"code": "51603", "data": [], "msg": "Order does not exist"}
        return okx(url, method, headers, body)

    async with stubbed("okx", answer) as known:
        await known.gateway.open_orders()
        okx.trigger()
        await known.get(known.ref(ALGO))
        with pytest.raises(VenueError) as refused:
            await known.gateway.cancel(known.ref(ALGO))
        shown = True
        cancelled = await known.gateway.cancel(known.ref(ALGO))

    assert not isinstance(refused.value, OrderNotFound)
    assert cancelled.status is OrderStatus.CANCELLED


async def test_a_cancel_of_all_takes_them_in() -> None:
    """None stays behind because it is kept elsewhere."""
    async with stubbed("okx", Okx()) as known:
        orders = await known.gateway.cancel_all()

    assert [order.status for order in orders] == [OrderStatus.CANCELLED]


def bitget(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
    """No order by id; of those that wait for a price one is listed, which no call shows by its id."""
    plan = {"orderId": "77001", "symbol": "BTCUSDT", "size": "1", "executePrice": "39000", "triggerPrice": "40000"}
    plan |= {"status": "live", "orderType": "limit", "side": "sell", "planType": "amount", "cTime": "1700000000000"}
    if "account/settings" in url:
        return 400, {"code": "40084", "msg": "classic account mode"}
    if "current-plan-order" in url:
        return 200, {"code": "00000", "data": {"nextFlag": False, "idLessThan": "1", "orderList": [plan]}}
    return 200, {"code": "00000", "data": []}


async def test_a_miss_where_one_place_cannot_be_asked_is_no_absence() -> None:
    """By its id only the ordinary orders are shown: of the others the open ones are searched, and that is said."""
    async with stubbed("bitget", bitget) as known:
        listed = (await known.gateway.lookup(known.ref("77001")))[known.ref("77001")]
        missing = (await known.gateway.lookup(known.ref("77002")))[known.ref("77002")]

    assert listed.order is not None
    assert missing.answers == {"ccxt.bitget": Answer.PARTLY_SEARCHED}


@pytest.mark.parametrize("name", ["bitget", "cryptocom", "gate", "mexc", "bitstamp"])
@pytest.mark.parametrize(("kind", "price"), [("stop_loss", None), ("stop_limit", "39000"), ("take_profit", "39000")])
async def test_a_stop_whose_end_is_not_shown_is_refused(name: str, kind: str, price: str | None) -> None:
    """Where what it becomes, or the list that it waits in, is not read: nothing is sent."""
    stop = {"symbol": "BTC/USDT", "side": "sell", "quantity": "1", "stop_price": "40000", "price": price}
    async with stubbed(name, bitget) as known:
        with pytest.raises(NotSupported, match=f"{kind} orders"):
            await known.gateway.submit(OrderRequest(type=kind, **stop))

    assert [url for method, url, _ in known.sent if method != "GET"] == []


def test_a_stop_kept_apart_is_proven_absent_only_where_it_keeps_its_client_id() -> None:
    """Wherever ccxt lists triggers apart: but for OKX, whose orders show it, and HTX, where those are of contracts."""
    of_all = {name: traits_of(name) for name in ccxt.async_support.exchanges if name in OVERRIDES}
    stopping = {name: each for name, each in of_all.items() if each.stops is not None}
    blocked = {name for name, each in stopping.items() if each.capabilities.triggers_apart}

    assert blocked == {"bybit", "bybiteu", "bybitid", "kucoin", "bigone"}
    assert {name for name, each in stopping.items() if each.trigger_orders_apart} - blocked == {
        *("okx", "okxus", "myokx", "htx")
    }
    for name in blocked:
        assert stopping[name].stops is not None
        assert stopping[name].capabilities.triggers_apart == stopping[name].stops.types


async def test_what_an_algo_order_became_is_found_by_its_client_id() -> None:
    """OKX's order that a trigger made has our client id in the field for algo orders only, and is ours by that."""
    row = {"instId": "BTCUSDT", "instType": "SPOT", "ordId": "312269865356374016", "clOrdId": "", "ordType": "limit"}
    row |= {"algoId": ALGO, "algoClOrdId": "mine1", "px": "39000", "sz": "1", "side": "sell", "state": "live"}
    row |= {"accFillSz": "0", "avgPx": "", "fillSz": "0", "cTime": "1700000000000", "uTime": "1700000000000"}

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if "orders-pending" in url:
            return 200, {"code": "0", "data": [row], "msg": ""}
        return 200, {"code": "0", "data": [], "msg": ""}

    async with stubbed("okx", answer) as known:
        (order,) = await known.gateway.open_orders(symbol="BTC/USDT")

    assert order.raw["ordId"] == "312269865356374016"
    assert (order.status, order.client_order_id) == (OrderStatus.OPEN, "mine1")


async def test_a_stop_at_bitget_is_cancelled_as_a_plan() -> None:
    """One that a list showed is cancelled where it waits, and is gone from there."""
    cancelled: list[str] = []

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "POST":
            cancelled.append(url)
            return 200, {"code": "00000", "data": {"result": "success"}}
        if cancelled and "current-plan-order" in url:
            return 200, {"code": "00000", "data": {"nextFlag": False, "orderList": []}}
        return bitget(url, method, headers, body)

    async with stubbed("bitget", answer) as known:
        (order,) = await known.gateway.open_orders(symbol="BTC/USDT")
        after = await known.gateway.cancel(order)

    assert (order.stop_price, order.price, order.quantity) == (Decimal(40000), Decimal(39000), Decimal(1))
    assert [url.rpartition("/")[2] for url in cancelled] == ["cancel-plan-order"]
    assert after.cancel_requested


def bitflyer(count: int) -> Any:
    row = {"product_code": "BTCUSDT", "side": "BUY", "child_order_type": "LIMIT", "price": 30000, "size": 0.1}
    row |= {"child_order_state": "ACTIVE", "outstanding_size": 0.1, "cancel_size": 0, "executed_size": 0}
    row |= {"child_order_date": "2026-06-14T08:45:53"}
    return lambda *_: (200, [{**row, "child_order_acceptance_id": f"JRF20260614-{nth:06d}"} for nth in range(count)])


@pytest.mark.parametrize("count", [3, 100])
async def test_an_order_that_is_not_on_a_page_is_not_proven_absent(count: int) -> None:
    """ccxt looks through a page by itself and calls the order not found."""
    ref_id = "JRF20260101-999999-999999"
    async with stubbed("bitflyer", bitflyer(count)) as known:
        missing = (await known.gateway.lookup(known.ref(ref_id)))[known.ref(ref_id)]
        shown = (await known.gateway.lookup(known.ref("JRF20260614-000001")))[known.ref("JRF20260614-000001")]

    assert missing.answers == {"ccxt.bitflyer": Answer.PARTLY_SEARCHED}
    assert shown.order is not None


def bybit(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
    row = {"orderId": "1700000000000000001", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "price": "50000"}
    row |= {"qty": "1", "cumExecQty": "0", "leavesQty": "1", "orderStatus": "New", "createdTime": "1700000000000"}
    if "account/info" in url:
        return 200, {"retCode": 0, "result": {"unifiedMarginStatus": 5, "marginMode": "REGULAR_MARGIN"}}
    if "query-api" in url:
        return 200, {"retCode": 0, "result": {"uta": 1, "unified": 0}}
    rows = [row] if "realtime" in url and str(row["orderId"]) in url and "StopOrder" not in url else []
    return 200, {"retCode": 0, "result": {"list": rows, "nextPageCursor": "", "category": "spot"}}


async def test_bybit_is_asked_for_an_order_by_its_id() -> None:
    """ccxt refuses without a word of consent: it is given, and a miss is a miss."""
    async with stubbed("bybit", bybit) as known:
        order = await known.get(known.ref("1700000000000000001"))
        missing = (await known.gateway.lookup(known.ref("1700000000000000002")))[known.ref("1700000000000000002")]

    assert order.status is OrderStatus.OPEN
    assert missing.answers == {"ccxt.bybit": Answer.NOT_SEEN}


async def test_what_ccxt_refuses_to_ask_is_searched_among_the_open_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that wants more than its features say is no end of the search."""

    async def refuses(*_: Any) -> Any:
        raise ccxt.async_support.ArgumentsRequired("acknowledged")

    monkeypatch.setattr(ccxt.async_support.okx, "fetch_order", refuses)
    async with stubbed("okx", Okx()) as known:
        order = await known.get(known.ref(ALGO))
        missing = (await known.gateway.lookup(known.ref("1234567")))[known.ref("1234567")]

    assert order.order_id == ALGO
    assert missing.answers == {"ccxt.okx": Answer.CANNOT_ASK}
    assert "acknowledged" in missing.notes[0]


async def test_a_code_that_says_not_found_is_a_miss() -> None:
    """MEXC has an order that does not exist under a code that ccxt takes for any error."""
    answer = (400, {"code": -2013, "msg": "Order does not exist."})
    async with stubbed("mexc", lambda *_: answer) as known:
        missing = (await known.gateway.lookup(known.ref("C02__123456")))[known.ref("C02__123456")]

    assert missing.answers == {"ccxt.mexc": Answer.NOT_SEEN}


async def test_a_stop_of_ours_is_asked_for_and_cancelled_where_it_waits() -> None:
    """It leaves with a client id of its own kind, and another process finds it by that."""
    okx, placed = Okx(), {}

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "POST" and url.endswith("order-algo"):
            placed.update(json.loads(body))
            return 200, {"code": "0", "data": [{"algoId": ALGO, "sCode": "0", "sMsg": ""}], "msg": ""}
        status, value = okx(url, method, headers, body)
        if "algoClOrdId" in url:
            value = {"code": "0", "data": [{**ALGO_ROW, "algoClOrdId": "mine1"}], "msg": ""}
        return status, value

    stop = {"symbol": "BTC/USDT", "side": "sell", "quantity": "1", "stop_price": "40000", "price": "39000"}
    async with stubbed("okx", answer) as known:
        order = await known.gateway.submit(OrderRequest.stop_limit(**stop, client_order_id="mine1"))
        cancelled = await known.gateway.cancel(order)
    async with stubbed("okx", answer) as other:
        ref = OrderRef(gateway="ccxt.okx", client_order_id="mine1", symbol="BTC/USDT")
        found = (await other.gateway.lookup(ref))[ref]

    assert (placed["algoClOrdId"], placed["triggerPx"], placed["tdMode"]) == ("mine1", "40000", "cash")
    assert (order.order_id, order.type, order.stop_price) == (ALGO, OrderType.STOP_LIMIT, Decimal(40000))
    assert cancelled.status is OrderStatus.CANCELLED
    assert [url for method, url, _ in known.sent if "cancel" in url and "algos" not in url] == []
    assert found.order is not None
    assert (found.order.order_id, found.order.client_order_id) == (ALGO, "mine1")
    assert any("algoClOrdId=mine1" in url for _, url, _ in other.sent)


@pytest.mark.parametrize(
    "more",
    [{"time_in_force": "ioc"}, {"post_only": True}],
)
async def test_a_stop_has_no_life_of_its_own(more: dict[str, Any]) -> None:
    """What ccxt makes of both together is not known for any exchange: it is refused."""
    stop = {"symbol": "BTC/USDT", "side": "sell", "quantity": "1", "stop_price": "40000", "price": "39000"}
    async with stubbed("okx", Okx()) as known:
        with pytest.raises(NotSupported, match="stop price"):
            await known.gateway.submit(OrderRequest.stop_limit(**stop, **more))

    assert known.sent == []
