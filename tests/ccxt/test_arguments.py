"""The arguments and params of a create: what they mean on the wire, and what is refused."""

import json
from typing import Any

import pytest

from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over

pytestmark = pytest.mark.ccxt

PLACE = "POST /api/v3/orders"


def sent(sim: Simulator) -> dict[str, Any]:
    """The body of the one order that was sent, without the id that we make."""
    bodies = [json.loads(each.body) for each in sim.bitso.last_requests if each.method == "POST"]
    (body,) = bodies
    return {name: value for name, value in body.items() if name != "origin_id"}


LIMIT = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.01", "price": "560000"}
GTC = {"time_in_force": "goodtillcancelled"}
PO = {"time_in_force": "postonly"}
MARKET = {"book": "btc_mxn", "side": "buy", "type": "market", "major": "0.01"}
BY_VALUE = {"book": "btc_mxn", "side": "buy", "type": "market"}
CALLS: list[tuple[tuple[Any, ...], dict[str, str]]] = [
    (("limit", "buy", 0.01, 560000), {**LIMIT, **GTC}),
    (("LIMIT", "Buy", "0.010", "560000.0", None), {**LIMIT, **GTC}),
    (("limit", "buy", 0.010000000000009, 560004.9), {**LIMIT, **GTC}),
    (("limit", "buy", 0.01, 559995), {**LIMIT, **GTC}),
    (("limit", "sell", 0.01, 1300000), {**LIMIT, **GTC, "side": "sell", "price": "1300000"}),
    (("market", "buy", 0.01), MARKET),
    (("market", "sell", 0.01), {**MARKET, "side": "sell"}),
    (("market", "buy", 0.01, 560000), MARKET),
    (("LIMIT_MAKER", "buy", 0.01, 560000), {**LIMIT, **PO}),
    (("post_only", "buy", 0.01, 560000), {**LIMIT, **PO}),
    (("ioc", "buy", 0.01, 560000), {**LIMIT, "time_in_force": "immediateorcancel"}),
    (("limit", "sell", 0.01, 1000000, {"stopPrice": 1100000}), {"stop": "1100000", "price": "1000000"}),
    (("limit", "sell", 0.01, 1000000, {"triggerPrice": 1100000}), {"stop": "1100000", "type": "limit"}),
    (("STOP_LOSS_LIMIT", "sell", 0.01, 1000000, {"stopPrice": 1100000}), {"stop": "1100000", "price": "1000000"}),
    (("stop_limit", "sell", 0.01, 1000000, {"stopPrice": 1100000}), {"stop": "1100000", "price": "1000000"}),
    (("stop-limit", "sell", 0.01, 1000000, {"stopPrice": 1100000}), {"stop": "1100000", "price": "1000000"}),
    (("stop", "sell", 0.01, None, {"triggerPrice": 1100000}), {"stop": "1100000", "type": "market"}),
    (("stop", "sell", 0.01, 1000000, {"triggerPrice": 1100000}), {"stop": "1100000", "price": "1000000"}),
    (("stop_market", "sell", 0.01, None, {"stopPrice": 1100000}), {"stop": "1100000", "type": "market"}),
    (("market", "sell", 0.01, None, {"stopLossPrice": 1100000}), {"stop": "1100000", "type": "market"}),
    (("market", "buy", None, None, {"cost": 505.5}), {**BY_VALUE, "minor": "505.5"}),
    (("market", "buy", None, None, {"cost": 100 / 3}), {**BY_VALUE, "minor": "33.33"}),
    (("market", "sell", None, None, {"cost": "500"}), {**BY_VALUE, "side": "sell", "minor": "500"}),
    (("market", "buy", 0.01, None, {"cost": 500}), {**BY_VALUE, "minor": "500"}),
    (("market", "buy", 0.01, 560000, {"quoteOrderQty": 500}), {**BY_VALUE, "minor": "500"}),
    (("market", "buy", 500, None, {"tgtCcy": "quote_ccy"}), {**BY_VALUE, "minor": "500"}),
    (("market", "buy", 500, None, {"marketUnit": "quoteCoin"}), {**BY_VALUE, "minor": "500"}),
    (("market", "buy", 0.01, None, {"tgtCcy": "base_ccy"}), MARKET),
]


@pytest.mark.parametrize(("args", "body"), CALLS)
async def test_every_create_sends_what_it_says(
    sim: Simulator, exchange: Any, args: tuple[Any, ...], body: dict[str, str]
) -> None:
    """The bytes that reach the exchange are what ccxt's bots mean by it, in ccxt's words or an exchange's own."""
    kind, side, amount, *rest = args
    price, params = [*rest, None, None][:2]

    await exchange.create_order("BTC/MXN", kind, side, amount, price, params)

    assert sent(sim).items() >= body.items()
    assert ("major" in sent(sim)) != ("minor" in sent(sim))
    assert ("price" in sent(sim)) == (sent(sim)["type"] == "limit")


PARAMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"postOnly": True}, {"time_in_force": "postonly"}),
    ({"postOnly": False}, GTC),
    ({"timeInForce": "GTX"}, PO),
    ({"type": "spot", "category": "spot", "tdMode": "cash", "test": False, "hedged": False}, GTC),
    ({"recvWindow": 5000, "created": 1767607200.5, "tag": "grid"}, {"recvWindow": 5000, "tag": "grid", **GTC}),
    ({"timeInForce": "PO"}, {"time_in_force": "postonly"}),
    ({"timeInForce": "po", "postOnly": True}, {"time_in_force": "postonly"}),
    ({"timeInForce": "IOC"}, {"time_in_force": "immediateorcancel"}),
    ({"timeInForce": "FOK"}, {"time_in_force": "fillorkill"}),
    ({"timeInForce": "GTC", "reduceOnly": False}, GTC),
    ({"triggerPrice": 570004.0}, {"stop": "570000"}),
    ({"stopPrice": "570000"}, {"stop": "570000"}),
    ({"triggerPrice": 570000, "stopPrice": 570000.0}, {"stop": "570000"}),
    ({"clientOrderId": None, "triggerPrice": None}, GTC),
]


@pytest.mark.parametrize(("params", "body"), PARAMS)
async def test_every_param_reaches_the_exchange_by_its_own_name(
    sim: Simulator, exchange: Any, params: dict[str, Any], body: dict[str, Any]
) -> None:
    """
    Defect 7 of ccxt: unified params are sent by names that Bitso does not have, and a plain order goes out.

    What says that it is a spot order is left out, and what nobody here knows goes to the exchange as it is.
    """
    await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, params)

    assert sent(sim).items() >= body.items()
    assert not {"type", "category", "tdMode", "test", "hedged"} & (sent(sim).keys() - LIMIT.keys())


@pytest.mark.parametrize("name", ["clientOrderId", "client_order_id", "origin_id", "newClientOrderId", "clOrdId"])
async def test_the_callers_id_is_the_orders(sim: Simulator, exchange: Any, name: str) -> None:
    """Defect 6 of ccxt: its unified name never reaches Bitso. Here each name does, and the dict has it."""
    order = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, {name: "my-1"})

    assert order["clientOrderId"] == "my-1"
    assert [each.oid for each in sim.bitso.accepted(client_order_id="my-1")] == [order["id"]]


# What frameworks answer by another kind of order, and would answer by selling at market were it an InvalidOrder.
NO_SPOT_ORDERS: list[dict[str, Any]] = [
    {"leverage": 3},
    {"positionSide": "LONG"},
    {"posSide": "long"},
    {"marginMode": "cross"},
    {"tdMode": "isolated"},
    {"type": "swap"},
    {"category": "linear"},
    {"stopLoss": {"triggerPrice": 500000}},
    {"takeProfit": {"triggerPrice": 600000}},
    {"trailingPercent": 1},
    {"isIsolated": True},
    {"test": True},
    {"hedged": True},
    {"type": "market"},
    {"side": "sell"},
    {"major": "5"},
    {"price": 1},
    {"createMarketBuyOrderRequiresPrice": False},
    {"text": "t-1"},
]
REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"trailingAmount": 3}, "NotSupported"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"time_in_force": "postonly"}, "NotSupported"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"timeInForce": "GTD"}, "NotSupported"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"timeInForce": 3}, "NotSupported"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"reduceOnly": True}, "NotSupported"),
    (("BTC/MXN", "limit", "sell", 0.01, 560000), {"takeProfitPrice": 570000}, "NotSupported"),
    (("BTC/MXN", "market", "buy", 0.01), {"timeInForce": "IOC"}, "NotSupported"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"timeInForce": "PO", "postOnly": False}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"postOnly": "yes"}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"clientOrderId": "a", "origin_id": "b"}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"clientOrderId": ""}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"triggerPrice": 570000, "stopPrice": 580000}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"triggerPrice": 9e5, "takeProfitPrice": 9e5}, "BadRequest"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"clientOrderId": "with space"}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"postOnly": True, "timeInForce": "IOC"}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01, 560000), {"cost": 5}, "InvalidOrder"),
    (("BTC/MXN", "market", "buy", 0.01), {"postOnly": True}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01), {}, "ArgumentsRequired"),
    (("BTC/MXN", "limit", "buy", None, 560000), {}, "ArgumentsRequired"),
    ((None, "limit", "buy", 0.01, 560000), {}, "ArgumentsRequired"),
    (("BTC/MXN", "stop", "buy", 0.01, 560000), {}, "ArgumentsRequired"),
    (("BTC/MXN", "trailing_stop_market", "buy", 0.01, 560000), {}, "NotSupported"),
    (("BTC/MXN", "oco", "buy", 0.01, 560000), {}, "NotSupported"),
    (("BTC/MXN", None, "buy", 0.01, 560000), {}, "NotSupported"),
    (("BTC/MXN", "takeProfit", "sell", 0.01, 560000), {"triggerPrice": 570000}, "NotSupported"),
    *((("BTC/MXN", "limit", "buy", 0.01, 560000), params, "NotSupported") for params in NO_SPOT_ORDERS),
    (("BTC/MXN", "limit", "long", 0.01, 560000), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0, 560000), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", -0.01, 560000), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 1e-9, 560000), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01, 1), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01, float("nan")), {}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 700, 560000), {}, "InvalidOrder"),
    (("BTC/XXX", "limit", "buy", 0.01, 560000), {}, "BadSymbol"),
    (("btc_mxn", "limit", "buy", 0.01, 560000), {}, "BadSymbol"),
    (("BTC/USDT:USDT", "limit", "buy", 0.01, 560000), {}, "BadSymbol"),
]


@pytest.mark.parametrize(("args", "params", "why"), REFUSED)
async def test_what_means_nothing_is_refused_and_never_dropped(
    sim: Simulator, exchange: Any, args: tuple[Any, ...], params: dict[str, Any], why: str
) -> None:
    """Each is ccxt's exception, exactly of that class, and nothing is sent."""
    import ccxt

    with pytest.raises(ccxt.BaseError) as caught:
        await exchange.create_order(*args, params=params)

    assert type(caught.value).__name__ == why
    assert sim.bitso.requests[PLACE] == 0


@pytest.mark.parametrize("params", ["x", 3, [("a", 1)]])
async def test_params_are_a_dict(exchange: Any, params: Any) -> None:
    """Anything else is a BadRequest."""
    import ccxt

    with pytest.raises(ccxt.BadRequest, match="params"):
        await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, params)


async def test_the_callers_params_are_never_written_to(exchange: Any) -> None:
    """A live bug of ccxt: a shared default dict carries one call's trigger into the next."""
    params = {"clientOrderId": "mine"}

    await exchange.create_order("BTC/MXN", "limit", "sell", 0.01, 1000000, params)
    second = await exchange.create_order("BTC/MXN", "limit", "sell", 0.01, 1000000)

    assert params == {"clientOrderId": "mine"}
    assert second["clientOrderId"] != "mine"


async def test_a_venue_without_rules_gets_what_the_bot_passed(sim: Simulator, exchange_of: Any) -> None:
    """Bitcain tells no steps: a float is its shortest text there, and options go by their own names."""
    exchange = exchange_of(bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"}), "bitcain")

    order = await exchange.create_order("BTC/USDT", "limit", "buy", 0.1, 30000.55, {"exchange": "coinbase"})

    (request,) = [each for each in sim.bitcain.last_requests if each.method == "POST"]
    body = json.loads(request.body)
    assert (body["quantity"], body["price"]) == ("0.1", "30000.55")
    assert "exchange=coinbase" in request.target
    assert (order["amount"], order["price"], order["symbol"]) == (0.1, 30000.55, "BTC/USDT")
