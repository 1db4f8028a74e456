"""The arguments and params of a create: what they mean on the wire, and what is refused."""

import json
from typing import Any

import pytest

from orderbridge.simulator import Simulator
from tests.ccxt_face.conftest import bridge_over

pytestmark = pytest.mark.ccxt

PLACE = "POST /api/v3/orders"


def sent(sim: Simulator) -> dict[str, Any]:
    """The body of the one order that was sent, without the id that we make."""
    bodies = [json.loads(each.body) for each in sim.bitso.last_requests if each.method == "POST"]
    (body,) = bodies
    return {name: value for name, value in body.items() if name != "origin_id"}


LIMIT = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.01", "price": "560000"}
GTC = {"time_in_force": "goodtillcancelled"}
MARKET = {"book": "btc_mxn", "side": "buy", "type": "market", "major": "0.01"}
CALLS: list[tuple[str, tuple[Any, ...], dict[str, str]]] = [
    ("create_order", ("BTC/MXN", "limit", "buy", 0.01, 560000), {**LIMIT, **GTC}),
    ("create_order", ("btc/mxn", "LIMIT", "Buy", "0.010", "560000.0", None), {**LIMIT, **GTC}),
    ("create_order", ("BTC/MXN", "limit", "buy", 0.010000000000009, 560004.9), {**LIMIT, **GTC}),
    ("create_order", ("BTC/MXN", "limit", "buy", 0.01, 559995), {**LIMIT, **GTC}),
    ("createLimitBuyOrder", ("BTC/MXN", 0.01, 560000), {**LIMIT, **GTC}),
    ("create_limit_sell_order", ("BTC/MXN", 0.01, 1300000), {**LIMIT, **GTC, "side": "sell", "price": "1300000"}),
    ("create_limit_order", ("BTC/MXN", "buy", 0.01, 560000), {**LIMIT, **GTC}),
    ("create_market_buy_order", ("BTC/MXN", 0.01), MARKET),
    ("create_market_sell_order", ("BTC/MXN", 0.01), {**MARKET, "side": "sell"}),
    ("createMarketOrder", ("BTC/MXN", "buy", 0.01), MARKET),
    ("create_order", ("BTC/MXN", "market", "buy", 0.01, 560000), MARKET),
    ("create_post_only_order", ("BTC/MXN", "limit", "buy", 0.01, 560000), {**LIMIT, "time_in_force": "postonly"}),
    ("create_stop_order", ("BTC/MXN", "limit", "sell", 0.01, 1000000, 1100000), {"stop": "1100000", "type": "limit"}),
    ("create_trigger_order", ("BTC/MXN", "limit", "sell", 0.01, 1000000, 1100000), {"stop": "1100000"}),
    ("create_stop_limit_order", ("BTC/MXN", "sell", 0.01, 1000000, 1100000), {"stop": "1100000", "price": "1000000"}),
    ("create_stop_market_order", ("BTC/MXN", "sell", 0.01, 1100000), {"stop": "1100000", "type": "market"}),
    ("create_stop_loss_order", ("BTC/MXN", "market", "sell", 0.01, None, 1100000), {"stop": "1100000"}),
    ("create_market_buy_order_with_cost", ("BTC/MXN", 505.5), {"minor": "505.5", "type": "market", "side": "buy"}),
    ("create_market_buy_order_with_cost", ("BTC/MXN", 100 / 3), {"minor": "33.33", "type": "market", "side": "buy"}),
    ("create_market_sell_order_with_cost", ("BTC/MXN", 500), {"minor": "500", "side": "sell"}),
    ("createMarketOrderWithCost", ("BTC/MXN", "buy", "500"), {"minor": "500", "type": "market"}),
]


@pytest.mark.parametrize(("call", "args", "body"), CALLS)
async def test_every_create_sends_what_it_says(
    sim: Simulator, face: Any, call: str, args: tuple[Any, ...], body: dict[str, str]
) -> None:
    """The bytes that reach the exchange are what ccxt's call of that name means."""
    await getattr(face, call)(*args)

    assert sent(sim).items() >= body.items()
    assert ("major" in sent(sim)) != ("minor" in sent(sim))
    assert ("price" in sent(sim)) == (sent(sim)["type"] == "limit")


PARAMS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"postOnly": True}, {"time_in_force": "postonly"}),
    ({"postOnly": False}, GTC),
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
    sim: Simulator, face: Any, params: dict[str, Any], body: dict[str, str]
) -> None:
    """Defect 7 of ccxt: all of these are sent by names that Bitso does not have, and a plain order goes out."""
    await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, params)

    assert sent(sim).items() >= body.items()


@pytest.mark.parametrize("name", ["clientOrderId", "client_order_id", "origin_id"])
async def test_the_callers_id_is_the_orders(sim: Simulator, face: Any, name: str) -> None:
    """Defect 6 of ccxt: its unified name never reaches Bitso. Here each name does, and the dict has it."""
    order = await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, {name: "my-1"})

    assert order["clientOrderId"] == "my-1"
    assert [each.oid for each in sim.bitso.accepted(client_order_id="my-1")] == [order["id"]]


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
    (("BTC/MXN", "market", "buy", 0.01), {"cost": 5}, "InvalidOrder"),
    (("BTC/MXN", "market", "buy", 0.01), {"postOnly": True}, "InvalidOrder"),
    (("BTC/MXN", "limit", "buy", 0.01), {}, "ArgumentsRequired"),
    (("BTC/MXN", "limit", "buy", None, 560000), {}, "ArgumentsRequired"),
    ((None, "limit", "buy", 0.01, 560000), {}, "ArgumentsRequired"),
    (("BTC/MXN", "stop", "buy", 0.01, 560000), {}, "InvalidOrder"),
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
    sim: Simulator, face: Any, args: tuple[Any, ...], params: dict[str, Any], why: str
) -> None:
    """Each is ccxt's exception, exactly of that class, and nothing is sent."""
    import ccxt

    with pytest.raises(ccxt.BaseError) as caught:
        await face.create_order(*args, params=params)

    assert type(caught.value).__name__ == why
    assert sim.bitso.requests[PLACE] == 0


@pytest.mark.parametrize("params", ["x", 3, [("a", 1)]])
async def test_params_are_a_dict(face: Any, params: Any) -> None:
    """Anything else is a BadRequest."""
    import ccxt

    with pytest.raises(ccxt.BadRequest, match="params"):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000, params)


async def test_the_callers_params_are_never_written_to(face: Any) -> None:
    """A live bug of ccxt: a shared default dict carries one call's trigger into the next."""
    params = {"clientOrderId": "mine"}

    await face.create_stop_limit_order("BTC/MXN", "sell", 0.01, 1000000, 1100000, params)
    second = await face.create_stop_limit_order("BTC/MXN", "sell", 0.01, 1000000, 1110000)

    assert params == {"clientOrderId": "mine"}
    assert second["triggerPrice"] == 1110000.0
    assert second["clientOrderId"] != "mine"


@pytest.mark.parametrize("rounding", ["refuse", None])
@pytest.mark.parametrize(("amount", "price"), [(0.010000001234, 560000), (0.01, 560004), (0.01, 5600001)])
async def test_without_rounding_what_is_off_the_step_is_refused(
    sim: Simulator, face_of: Any, rounding: str | None, amount: float, price: float
) -> None:
    """The message names the nearest legal values, and nothing is sent; what is on the step goes out as it is."""
    import ccxt

    face = face_of(rounding=rounding)

    with pytest.raises(ccxt.InvalidOrder, match="nearest are"):
        await face.create_order("BTC/MXN", "limit", "buy", amount, price)
    assert sim.bitso.requests[PLACE] == 0
    await face.create_order("BTC/MXN", "limit", "buy", "0.01000000", 560000)

    assert sent(sim)["price"] == "560000"


async def test_a_venue_without_rules_gets_what_the_bot_passed(sim: Simulator, face_of: Any) -> None:
    """Bitcain tells no steps: a float is its shortest text there, and options go by their own names."""
    face = face_of(bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"}), "bitcain")

    order = await face.create_order("BTC/USDT", "limit", "buy", 0.1, 30000.55, {"exchange": "coinbase"})

    (request,) = [each for each in sim.bitcain.last_requests if each.method == "POST"]
    body = json.loads(request.body)
    assert (body["quantity"], body["price"]) == ("0.1", "30000.55")
    assert "exchange=coinbase" in request.target
    assert (order["amount"], order["price"], order["symbol"]) == (0.1, 30000.55, "BTC/USDT")
