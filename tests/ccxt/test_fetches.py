"""Fetches of orders and trades, on the simulated Bitso and Bitcain."""

from decimal import Decimal
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import put

pytestmark = pytest.mark.ccxt


@pytest.fixture
async def bitcain(sim: Simulator, exchange_of: Any) -> Any:
    """A exchange of the simulated Bitcain, in paper."""
    return exchange_of(bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"}), "bitcain")


async def test_a_look_up_by_the_callers_id_finds_that_order(sim: Simulator, exchange: Any) -> None:
    """Defect 1 of ccxt: there it returns whatever order comes back. Here it is the one, or OrderNotFound."""
    import ccxt

    oid = put(sim, origin_id="mine")
    put(sim)

    for name in ("clientOrderId", "client_order_id", "origin_id", "origClientOrderId"):
        assert (await exchange.fetch_order("", None, {name: "mine"}))["id"] == oid
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("", None, {"clientOrderId": "yours"})
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order("mine")


@pytest.mark.parametrize(
    ("id", "params"),
    [
        (None, None),
        ("", {}),
        (True, {}),
        ("x", {"clientOrderId": "y"}),
        ("x\ny", {}),
        ("", {"origin_id": "x\x00y"}),
    ],
)
async def test_an_order_is_named_by_one_id(exchange: Any, id: Any, params: Any) -> None:
    """None, two, or one that no id is written like: refused before anything is asked."""
    import ccxt

    for call in (exchange.fetch_order, exchange.cancel_order, exchange.fetch_order_trades):
        with pytest.raises((ccxt.ArgumentsRequired, ccxt.BadRequest)):
            await call(id, None, **({"params": params} if params is not None else {}))


async def test_two_orders_of_one_client_id_are_told_as_such(sim: Simulator, exchange: Any) -> None:
    """Neither is picked: a BadRequest that names both."""
    import ccxt

    first, second = put(sim, origin_id="mine", status="completed"), put(sim, origin_id="mine")

    with pytest.raises(ccxt.BadRequest, match=rf"({first}|{second})"):
        await exchange.fetch_order("", None, {"clientOrderId": "mine"})


async def test_open_orders_are_all_there_oldest_first(sim: Simulator, exchange: Any) -> None:
    """Without a symbol and past twenty-five, neither of which ccxt's Bitso can (defect 18); `since` and `limit` cut."""
    oids = [put(sim, created_at=f"2026-01-05T10:00:{second:02}Z") for second in range(40)]
    put(sim, symbol="ETH/USD", price="2000", quantity="1")
    put(sim, status="completed")
    since = 1767607200000 + 10_000

    everything = await exchange.fetch_open_orders()
    listed = await exchange.fetch_open_orders("BTC/MXN")

    assert len(everything) == 41
    assert [order["id"] for order in listed] == oids
    assert [order["id"] for order in await exchange.fetch_open_orders("BTC/MXN", None, 5)] == oids[-5:]
    assert [order["id"] for order in await exchange.fetch_open_orders("BTC/MXN", since, 5)] == oids[10:15]


async def test_a_row_that_cannot_be_read_is_listed_beside_the_others(sim: Simulator, exchange: Any) -> None:
    """It may be a live order: its id and the row are there, and nothing else is made up."""
    good, odd = put(sim), put(sim, raw={"original_amount": "many"})

    listed = {order["id"]: order for order in await exchange.fetch_open_orders("BTC/MXN")}

    assert set(listed) == {good, odd}
    assert set(listed[good]) == set(listed[odd])
    assert (listed[odd]["status"], listed[odd]["amount"]) == (None, None)
    assert listed[odd]["info"]["row"]["original_amount"] == "many"
    assert odd in {order["id"] for order in await exchange.fetch_open_orders("BTC/MXN", 4_000_000_000_000, 1)}


async def test_a_trade_that_cannot_be_read_is_listed_beside_the_others(sim: Simulator, exchange: Any) -> None:
    """One odd row hides no other trade; it has the same keys, and its row in `info`."""
    first = put(sim, status="completed", quantity="2", trades=[("560000", "0.5"), ("559000", "1.5")])
    (order,) = sim.bitso.accepted(order_id=first)
    order.fills[0].price = Decimal("NaN")

    odd, good = await exchange.fetch_order_trades(first, "BTC/MXN")

    assert set(odd) == set(good)
    assert (odd["price"], odd["amount"], good["price"]) == (None, None, 559000.0)
    assert odd["info"]["error"]
    assert [trade["price"] for trade in await exchange.fetch_my_trades("BTC/MXN")] == [None, 559000.0]


async def test_trades_of_an_order_and_of_the_account(sim: Simulator, exchange: Any) -> None:
    """Oldest first; an order without trades has none, and one that is not there is OrderNotFound."""
    import ccxt

    traded = put(sim, status="completed", quantity="2", trades=[("560000", "0.5"), ("559000", "1.5")])
    resting = put(sim)

    of_order = await exchange.fetch_order_trades(traded, "BTC/MXN")

    assert [(trade["amount"], trade["price"]) for trade in of_order] == [(0.5, 560000.0), (1.5, 559000.0)]
    assert await exchange.fetch_my_trades("BTC/MXN") == of_order
    assert await exchange.fetch_my_trades() == of_order
    assert await exchange.fetch_my_trades("ETH/USD") == []
    assert await exchange.fetch_my_trades("BTC/MXN", None, 1) == of_order[-1:]
    assert await exchange.fetch_my_trades("BTC/MXN", of_order[0]["timestamp"], 1) == of_order[:1]
    assert await exchange.fetch_order_trades(resting) == []
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.fetch_order_trades("nosuchorder00000")


@pytest.mark.parametrize("params", [{}, {"cost": 500}])
async def test_an_order_at_market_is_told_by_its_trades(sim: Simulator, exchange: Any, params: dict[str, Any]) -> None:
    """Bitso does not say how much of it traded: amount, filled, cost, average and fee are those of its trades."""
    created = await exchange.create_order("BTC/MXN", "market", "buy", None if params else 0.01, None, params)

    order = await exchange.fetch_order(created["id"], "BTC/MXN")
    trades = await exchange.fetch_order_trades(created["id"], "BTC/MXN")

    assert trades
    assert order["status"] == "closed"
    assert order["filled"] == order["amount"] == pytest.approx(sum(trade["amount"] for trade in trades))
    assert order["cost"] == pytest.approx(sum(trade["cost"] for trade in trades))
    assert order["average"] == pytest.approx(order["cost"] / order["filled"])
    assert order["fee"]["cost"] == pytest.approx(sum(trade["fee"]["cost"] for trade in trades))
    assert order["remaining"] == 0.0


async def test_trades_that_cannot_be_read_tell_nothing_of_an_order(sim: Simulator, exchange: Any) -> None:
    """One bad row among the trades of an order that does not say how much traded: that stays unknown."""
    known = {"type": "market", "quantity": None, "quote_quantity": "839", "price": None}
    oid = put(sim, status="completed", trades=[("560000", "0.0005"), ("559000", "0.001")], **known)
    (held,) = sim.bitso.accepted(order_id=oid)
    read = await exchange.fetch_order(oid)
    held.fills[0].price = Decimal("NaN")

    order = await exchange.fetch_order(oid)

    assert read["filled"] == 0.0015

    assert (order["status"], order["filled"], order["amount"], order["cost"]) == ("closed", None, None, None)


async def test_an_order_is_fetched_though_its_trades_cannot_be_read(sim: Simulator, exchange_of: Any) -> None:
    """What only they tell is None then, and the order is there."""
    exchange = exchange_of(timeout=1)
    oid = put(sim, status="completed")
    sim.bitso.fault("error_5xx", operation="order_trades")

    order = await exchange.fetch_order(oid)

    assert (order["status"], order["filled"], order["cost"], order["average"]) == ("closed", 0.01, None, None)


@pytest.mark.parametrize(("since", "limit"), [("now", 1), (float("nan"), 1), (-1, 1), (True, 1), (None, "5")])
async def test_since_and_limit_are_numbers(exchange: Any, since: Any, limit: Any) -> None:
    """Anything else is a BadRequest in every list."""
    import ccxt

    for call in (exchange.fetch_open_orders, exchange.fetch_my_trades):
        with pytest.raises(ccxt.BadRequest):
            await call("BTC/MXN", since, limit)


async def test_params_that_are_not_known_are_refused_by_every_call(sim: Simulator, exchange: Any) -> None:
    """Not only by creates."""
    import ccxt

    calls = [
        exchange.fetch_open_orders("BTC/MXN", params={"marker": 1}),
        exchange.fetch_my_trades("BTC/MXN", params={"marker": 1}),
        exchange.fetch_order("x", params={"marker": True}),
        exchange.cancel_order("x", params={"marker": True}),
        exchange.cancel_orders(["x"], params={"trigger": True}),
        exchange.cancel_all_orders(params={"trigger": True}),
    ]

    for call in calls:
        with pytest.raises(ccxt.NotSupported, match="are not known here"):
            await call


async def test_bitso_lists_no_ended_orders(exchange: Any) -> None:
    """Rather than a list that is not whole it is NotSupported."""
    import ccxt

    for call in ("fetch_orders", "fetch_closed_orders", "fetch_canceled_orders", "fetch_canceled_and_closed_orders"):
        with pytest.raises(ccxt.NotSupported):
            await getattr(exchange, call)("BTC/MXN")


async def test_bitcains_history_is_listed_by_status(bitcain: Any) -> None:
    """Orders of the last week, closed ones and cancelled ones, by ccxt's words."""
    resting = await bitcain.create_order("BTC/USDT", "limit", "buy", 0.1, 30000, {"clientOrderId": "mine-1"})
    gone = await bitcain.create_order("BTC/USDT", "limit", "buy", 0.1, 31000)
    done = await bitcain.create_order("BTC/USDT", "market", "buy", 0.1)
    await bitcain.cancel_order(gone["id"])

    async def ids(call: str, *args: Any) -> set[str]:
        return {order["id"] for order in await getattr(bitcain, call)("BTC/USDT", *args)}

    assert await ids("fetch_orders") == {resting["id"], gone["id"], done["id"]}
    assert await ids("fetch_open_orders") == {resting["id"]}
    assert await ids("fetch_closed_orders") == {done["id"]}
    assert await ids("fetch_canceled_orders") == {gone["id"]}
    assert await ids("fetch_canceled_and_closed_orders", 0) == {gone["id"], done["id"]}
    assert resting["clientOrderId"] == "mine-1"


async def test_bitcain_is_repeated_without_a_double_too(sim: Simulator, bitcain: Any) -> None:
    """Its client ids are no safety net, and still a lost answer leaves one order."""
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    order = await bitcain.create_order("BTC/USDT", "limit", "buy", 0.1, 30000)

    assert [each.id for each in sim.bitcain.accepted()] == [order["id"]]


async def test_the_symbol_that_a_bot_gives_reaches_the_gateway(sim: Simulator, exchange_of: Any) -> None:
    """Where a venue numbers its orders by market, one that this process has not seen is found by it only."""
    gateway, seen = sim.bitso.gateway(), []

    def noting(call: Any) -> Any:
        def told(ref: Any, *more: Any, **how: Any) -> Any:
            seen.append((call.__name__, getattr(ref, "symbol", None)))
            return call(ref, *more, **how)

        return told

    for name in ("lookup", "cancel", "get", "fills"):
        setattr(gateway, name, noting(getattr(gateway, name)))
    exchange = exchange_of(OrderBridge(gateway))
    oid = put(sim)

    await exchange.fetch_order(oid, "BTC/MXN")
    await exchange.fetch_order_trades(oid, "BTC/MXN")
    await exchange.edit_order(oid, "BTC/MXN", "limit", "buy", 0.02, 570000)
    await exchange.cancel_order(oid, "BTC/MXN")
    await exchange.cancel_orders([oid], "BTC/MXN")

    assert {name for name, _ in seen} >= {"lookup", "cancel", "fills"}
    assert {symbol for _, symbol in seen} == {"BTC/MXN"}


async def test_arguments_are_taken_as_bots_have_them(sim: Simulator, exchange: Any) -> None:
    """An id out of a table is a number, `since` a float of `time.time() * 1000`; and a flag says that it is a stop."""
    import ccxt

    first, second = (put(sim, created_at=f"2026-01-05T10:00:0{second}Z") for second in (0, 1))
    since = 1767607200000.0 + 500.25

    listed = await exchange.fetch_open_orders("BTC/MXN", since, 10.0)
    ordered = await exchange.fetch_order(first, "BTC/MXN", {"trigger": True})
    cancelled = await exchange.cancel_order(second, "BTC/MXN", {"stop": True, "recvWindow": 5000, "type": "spot"})
    with pytest.raises(ccxt.OrderNotFound, match="12345"):
        await exchange.fetch_order(12345, "BTC/MXN")

    assert [each["id"] for each in listed] == [second]
    assert (ordered["id"], cancelled["id"], cancelled["status"]) == (first, second, "canceled")


@pytest.mark.parametrize(("number", "price"), [(float, 560000.0), (str, "560000"), (Decimal, Decimal(560000))])
async def test_numbers_are_of_the_objects_kind(sim: Simulator, exchange_of: Any, number: Any, price: Any) -> None:
    """As ccxt's `number` is set: floats, texts without an exponent, or what else it makes of a text."""
    exchange = exchange_of(number=number)
    rest = await exchange.create_order("BTC/MXN", "limit", "buy", 2e-5, 560000)
    sold = await exchange.create_order("BTC/MXN", "market", "sell", 0.01)

    assert (rest["price"], rest["amount"]) == (price, number("0.00002"))
    assert sold["remaining"] == number("0")
    assert sold["trades"]
    assert sold["fee"]["cost"] is not None
