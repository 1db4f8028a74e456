"""What leaves ccxt for each kind of order that a gateway takes: on every exchange of the override table."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
from ccxt.base.errors import RequestTimeout

from orderbridge import OrderBridge, OrderEdit, OrderRef, OrderRequest
from orderbridge.client_ids import from_uuid
from orderbridge.errors import ConfigurationError, NotSupported, OrderDenied, OutcomeUnknown
from orderbridge.model.basics import PlacementState
from orderbridge.screening import fingerprint
from tests.adapters.ccxt_any.played import gateway
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt


async def sent(exchange: str, **order: Any) -> dict[str, Any]:
    """The body of the one request that an order makes, flat."""
    bodies: list[str] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        bodies.append(body)
        return {}

    symbol = "BTC/USDT" if exchange == "binance" else "BTC/USD"
    async with gateway(exchange, fetch=fetch) as known:
        with pytest.raises(OutcomeUnknown):
            await known.submit(OrderRequest(symbol=symbol, **{"side": "buy", "type": "limit", **order}))
    (body,) = bodies
    if body.startswith("{"):
        loaded = json.loads(body)
        (configuration,) = loaded.pop("order_configuration").items()
        return {**loaded, "configuration": configuration[0], **configuration[1]}
    return {name: values[0] for name, values in parse_qs(body).items()}


LIMIT = {"quantity": "0.01", "price": "40000", "client_order_id": "mine1"}


@pytest.mark.parametrize(
    ("exchange", "order", "expected"),
    [
        ("binance", LIMIT, {"type": "LIMIT", "quantity": "0.01", "price": "40000", "timeInForce": "GTC"}),
        ("binance", LIMIT, {"newClientOrderId": "mine1"}),
        ("binance", {**LIMIT, "time_in_force": "ioc"}, {"type": "LIMIT", "timeInForce": "IOC"}),
        ("binance", {**LIMIT, "time_in_force": "fok"}, {"type": "LIMIT", "timeInForce": "FOK"}),
        ("binance", {**LIMIT, "post_only": True}, {"type": "LIMIT_MAKER"}),
        ("binance", {"type": "market", "quote_quantity": "100"}, {"type": "MARKET", "quoteOrderQty": "100"}),
        (
            "binance",
            {"type": "market", "side": "sell", "quote_quantity": "100"},
            {"side": "SELL", "quoteOrderQty": "100"},
        ),
        ("binance", {"type": "market", "quantity": "0.00001"}, {"type": "MARKET", "quantity": "0.00001"}),
        ("kraken", LIMIT, {"ordertype": "limit", "volume": "0.01", "price": "40000", "cl_ord_id": "mine1"}),
        ("kraken", {**LIMIT, "time_in_force": "ioc"}, {"timeinforce": "IOC"}),
        ("kraken", {**LIMIT, "post_only": True}, {"oflags": "post"}),
        ("kraken", {"type": "market", "quote_quantity": "100"}, {"volume": "100", "oflags": "viqc"}),
        ("coinbase", LIMIT, {"configuration": "limit_limit_gtc", "base_size": "0.01", "limit_price": "40000"}),
        ("coinbase", LIMIT, {"client_order_id": "mine1", "post_only": False}),
        ("coinbase", {**LIMIT, "time_in_force": "ioc"}, {"configuration": "sor_limit_ioc"}),
        ("coinbase", {**LIMIT, "time_in_force": "fok"}, {"configuration": "limit_limit_fok"}),
        ("coinbase", {**LIMIT, "post_only": True}, {"configuration": "limit_limit_gtc", "post_only": True}),
        ("coinbase", {"type": "market", "quote_quantity": "100"}, {"quote_size": "100"}),
        ("coinbase", {"type": "market", "side": "sell", "quantity": "0.01"}, {"base_size": "0.01"}),
        *(
            (
                "coinbase",
                {"type": kind, "side": side, "quantity": "0.01", "price": "40000", "stop_price": "41000"},
                {"configuration": "stop_limit_stop_limit_gtc", "stop_direction": f"STOP_DIRECTION_STOP_{way}"},
            )
            for kind, side, way in [
                *(("stop_limit", "buy", "UP"), ("stop_limit", "sell", "DOWN")),
                *(("take_profit", "buy", "DOWN"), ("take_profit", "sell", "UP")),
            ]
        ),
    ],
)
async def test_what_is_declared_reaches_the_exchange(
    exchange: str, order: dict[str, Any], expected: dict[str, Any]
) -> None:
    """What a request asks for goes out under the exchange's own names, amounts as plain text."""
    body = await sent(exchange, **order)

    assert {name: body.get(name) for name in expected} == expected


@pytest.mark.parametrize("exchange", ["binance", "kraken", "coinbase"])
async def test_small_amounts_are_written_plain(exchange: str) -> None:
    """No exponent leaves, whatever ccxt would make of `1E-8`."""
    quantity = "0.00012" if exchange == "binance" else "0.00012345"

    body = await sent(exchange, **{**LIMIT, "quantity": quantity, "price": "50000"})

    assert quantity in body.values()


async def test_params_of_one_order_are_not_those_of_the_next() -> None:
    """ccxt changes the dicts that it is given, default ones too: nothing of a post-only order stays behind."""
    first = await sent("binance", **{**LIMIT, "post_only": True})
    second = await sent("binance", **LIMIT)

    assert first["type"] == "LIMIT_MAKER"
    assert second["type"] == "LIMIT"


async def test_a_replaced_http_call_is_refused() -> None:
    """A gateway that cannot see what leaves would call a sent order not sent: it stops instead."""
    async with gateway("binance") as known:
        known._exchange.fetch = lambda *args: None
        with pytest.raises(ConfigurationError, match="replaced"):
            await known.submit(OrderRequest(symbol="BTC/USDT", side="buy", type="limit", quantity="1", price="1000"))
        known._exchange.fetch = known._watch.fetch


ANSWER = {
    "symbol": "BTCUSDT",
    "orderId": 7,
    "clientOrderId": "mine1",
    "transactTime": 1_700_000_000_000,
    "price": "40000",
    "origQty": "0.01",
    "executedQty": "0",
    "status": "NEW",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
}


def answering(value: Any) -> Any:
    async def fetch(*request: Any, **how: Any) -> Any:
        return value

    return fetch


@pytest.mark.parametrize(
    ("figures", "filled", "status"),
    [
        ({"origQty": "0.004"}, "0", "open"),
        ({"origQty": "0.004", "executedQty": None}, None, "open"),
        ({"origQty": "0.004", "executedQty": "0.004", "status": "PARTIALLY_FILLED"}, "0.004", "partially_filled"),
        ({"origQty": "0.004", "executedQty": "0.004", "status": "FILLED"}, "0.004", "cancelled"),
    ],
)
async def test_what_was_asked_is_what_an_order_is(figures: dict[str, Any], filled: str | None, status: str) -> None:
    """Size and price are the request's; another figure in the answer is an anomaly, and no new size to be filled."""
    answer = {**ANSWER, **figures, "price": "39000"}
    async with gateway("binance", fetch=answering(answer)) as known:
        order = await known.submit(OrderRequest(symbol="BTC/USDT", side="buy", type="limit", **LIMIT))

    assert (order.quantity, order.price, order.status) == (Decimal("0.01"), Decimal(40000), status)
    assert order.filled_quantity == (None if filled is None else Decimal(filled))
    assert order.is_done or order.max_remaining == Decimal("0.01") - Decimal(filled or 0)
    assert "price was sent as 40000, and the answer says 39000" in order.anomalies
    assert "quantity was sent as 0.01, and the answer says 0.004" in order.anomalies


@pytest.mark.parametrize(("status", "quantity"), [("PARTIALLY_FILLED", None), ("FILLED", "0.004")])
async def test_the_base_size_of_an_order_sized_in_quote_counts_once_it_is_over(
    status: str, quantity: str | None
) -> None:
    """Until then what has traded of it is no bound of what may trade."""
    answer = {**ANSWER, "type": "MARKET", "origQty": "0.004", "executedQty": "0.004", "status": status}
    async with gateway("binance", fetch=answering(answer)) as known:
        order = await known.submit(
            OrderRequest.market(symbol="BTC/USDT", side="buy", quote_quantity="100", client_order_id="mine1")
        )

    assert order.quantity == (None if quantity is None else Decimal(quantity))
    assert (order.quote_quantity, order.filled_quantity) == (Decimal(100), Decimal("0.004"))


@pytest.mark.parametrize(
    "wrong", [{"symbol": "LTCBTC"}, {"side": "SHORT"}, {"side": "SELL"}, {"clientOrderId": "mine2"}]
)
async def test_an_answer_about_another_order_is_no_success(wrong: dict[str, str]) -> None:
    """Nobody knows what became of ours."""
    async with gateway("binance", fetch=answering({**ANSWER, **wrong})) as known:
        with pytest.raises(OutcomeUnknown, match="shows another"):
            await known.submit(OrderRequest(symbol="BTC/USDT", side="buy", type="limit", **LIMIT))


async def test_options_reach_the_exchange_as_they_are() -> None:
    """What ccxt's users give as params goes out under its own name and in its own kind, and is part of the order."""
    options = {"recvWindow": 5000, "newOrderRespType": "FULL", "strategyId": 7}
    body = await sent("binance", **LIMIT, options=options)
    asked = OrderRequest(symbol="BTC/USDT", side="buy", type="limit", **LIMIT, options=options)
    other = asked.model_copy(update={"options": {**options, "strategyId": 8}})

    assert {name: body[name] for name in options} == {name: str(value) for name, value in options.items()}
    assert fingerprint(asked, gateway="x", mode=None) != fingerprint(other, gateway="x", mode=None)


@pytest.mark.parametrize(
    "option",
    [
        {"clientOrderId": "x"}, {"newClientOrderId": "x"}, {"quantity": "9"}, {"quoteOrderQty": "9"}, {"side": "SELL"},
        {"timeInForce": "IOC"}, {"triggerPrice": 1}, {"leverage": 3}, {"reduceOnly": False}, {"positionSide": "LONG"},
        {"stopLoss": {"triggerPrice": 1}}, {"type": "swap"}, {"tdMode": "cross"}, {"maxRetriesOnFailure": 3},
        {"test": True}, {"stop_direction": "STOP_DIRECTION_STOP_UP"}, {"triggerDirection": "1"}, {"operator": "lte"},
        {"tgtCcy": "quote_ccy"}, {"marketUnit": "quoteCoin"}, {"qtyType": "ByQuote"},
    ],
)  # fmt: skip
async def test_options_say_nothing_of_the_order_itself(option: dict[str, Any]) -> None:
    """Neither what the request says, nor what makes it another act than one plain spot order: refused, nothing sent."""
    async with gateway("binance", fetch=answering({})) as known:
        order = OrderRequest(symbol="BTC/USDT", side="buy", type="limit", **LIMIT, options=option)
        with pytest.raises(NotSupported, match=next(iter(option))):
            await known.submit(order)


class Gate:
    """One open order, whose label is as it is told."""

    def __init__(self, text: str) -> None:
        self.row = {"id": "1234567", "text": text, "currency_pair": "BTC_USDT", "status": "open", "type": "limit"}
        self.row |= {"side": "buy", "amount": "0.5", "left": "0.5", "price": "40000", "filled_total": "0"}
        self.row |= {"create_time_ms": "1700000000000", "update_time_ms": "1700000000000", "account": "spot"}
        self.is_amended = True

    def __call__(self, url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "PATCH" and self.is_amended:
            changes = json.loads(body)
            self.row |= {**changes, "left": changes.get("amount", self.row["left"])}
        if "open_orders" in url:
            return 200, [{"currency_pair": "BTC_USDT", "total": 1, "orders": [self.row]}]
        return 200, {} if "account" in url and "spot/orders" not in url else self.row


@pytest.mark.parametrize(("text", "id"), [("t-mine1", "mine1"), ("apiv4", None), ("t-", None)])
async def test_a_client_id_is_told_without_what_the_exchange_wants_before_it(text: str, id: str | None) -> None:
    """What lacks the prefix is a label, and no client id of anyone's."""
    async with stubbed("gate", Gate(text)) as known:
        order = await known.get(known.ref("1234567"))
        found = await known.gateway.lookup(OrderRef(gateway="ccxt.gate", client_order_id="mine1", symbol="BTC/USDT"))

    assert order.client_order_id == id
    assert [each.order_id for each in found.orders] == (["1234567"] if id else [])
    assert any("/spot/orders/t-mine1" in url for _, url, _ in known.sent)


@pytest.mark.parametrize("is_amended", [True, False])
async def test_an_edit_is_told_as_the_order_shows_it(is_amended: bool) -> None:
    """It is one amendment, read back; one that the order does not show is said to be under way."""
    answer = Gate("t-mine1")
    answer.is_amended = is_amended
    async with stubbed("gate", answer) as known:
        order = await known.gateway.edit(known.ref("1234567"), OrderEdit(quantity="0.6"))

    assert order.replace_requested is not is_amended
    assert order.quantity == Decimal("0.6" if is_amended else "0.5")
    assert [json.loads(body) for method, _, body in known.sent if method != "GET"] == [
        {"currency_pair": "BTCUSDT", "account": "spot", "amount": "0.6"}
    ]


@pytest.mark.parametrize("changes", [{"stop_price": "1"}, {"time_in_force": "ioc", "price": "1"}])
async def test_an_edit_changes_size_and_price_only(changes: dict[str, Any]) -> None:
    """Anything else is refused before it leaves."""
    async with stubbed("gate", Gate("t-mine1")) as known:
        with pytest.raises(NotSupported, match="quantity and price"):
            await known.gateway.edit(known.ref("1234567"), OrderEdit(**changes))

    assert {method for method, _, _ in known.sent} == {"GET"}


async def test_an_exchange_of_uuids_gets_ours_as_one_and_refuses_others() -> None:
    """A lost order is found by it from another process; an id that is no UUID leaves nothing."""
    placed: dict[str, Any] = {}

    def coinbase(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "POST":
            placed.update(json.loads(body))
        row = {"id": "d0c5340b-6d6c-49d9-b567-48c4bfca13d2", "product_id": "BTCUSDT", "side": "buy", "status": "open"}
        row |= {"price": "40000", "size": "0.5", "filled_size": "0", "type": "limit", "time_in_force": "GTC"}
        return 200, {**row, **{name: placed[name] for name in ("client_oid",) if f"client:{placed[name]}" in url}}

    buy = OrderRequest(symbol="BTC/USDT", side="buy", type="limit", quantity="0.5", price="40000")
    async with stubbed("coinbaseexchange", coinbase) as known:
        order = await known.gateway.submit(buy)
        with pytest.raises(OrderDenied, match="UUID"):
            await known.gateway.submit(buy.model_copy(update={"client_order_id": "mine-1"}))
    async with stubbed("coinbaseexchange", coinbase) as other:
        ref = OrderRef(gateway="ccxt.coinbaseexchange", client_order_id=order.client_order_id, symbol="BTC/USDT")
        found = (await other.gateway.lookup(ref))[ref].order

    assert order.client_order_id == from_uuid(placed["client_oid"]) != placed["client_oid"]
    assert found is not None
    assert (found.order_id, found.client_order_id) == (order.order_id, order.client_order_id)
    assert sum(method == "POST" for method, _, _ in known.sent) == 1


async def test_an_order_whose_answer_is_lost_is_found_by_its_client_id() -> None:
    """Where nobody could be asked before, one order is placed, and found, without a person."""
    gate = Gate("")

    def losing(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if method == "POST":
            gate.row |= {"text": json.loads(body)["text"], "amount": "0.5", "left": "0.5"}
            raise RequestTimeout("no answer in time")
        return gate(url, method, headers, body)

    buy = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.5", price="40000")
    async with stubbed("gate", losing) as known, OrderBridge(known.gateway) as bridge:
        with pytest.raises(OutcomeUnknown) as unknown:
            await bridge.place("ccxt.gate", buy, key="once")
        assert unknown.value.placement is not None
        placement = await bridge.resolve(unknown.value.placement, timeout=30)
        again = await bridge.place("ccxt.gate", buy, key="once")

    assert placement.state is PlacementState.PLACED
    assert placement.order is not None
    assert placement.order.order_id == again.order_id == "1234567"
    assert sum(method == "POST" for method, _, _ in known.sent) == 1
