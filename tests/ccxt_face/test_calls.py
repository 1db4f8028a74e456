"""Cancels, edits, fetches and what else a ccxt object has, on the simulated Bitso and Bitcain."""

import asyncio
import inspect
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.ccxt_face import as_ccxt
from orderbridge.errors import ConfigurationError
from orderbridge.simulator import Simulator
from tests.ccxt_face.conftest import bridge_over, ccxt_settings

pytestmark = pytest.mark.ccxt

PLACE = "POST /api/v3/orders"


def put(sim: Simulator, **about: Any) -> str:
    """An order of the account; a small buy unless told otherwise."""
    return sim.bitso.put(**{"symbol": "BTC/MXN", "price": "560000", "quantity": "0.01", "status": "open", **about}).oid


@pytest.fixture
async def bitcain(sim: Simulator, face_of: Any) -> Any:
    """A face of the simulated Bitcain, in paper."""
    return face_of(bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"}), "bitcain")


# Cancel.


async def test_a_cancel_tells_how_the_order_ended(sim: Simulator, face: Any) -> None:
    """A resting order is canceled with what it had filled; by either id."""
    first, second = put(sim), put(sim, origin_id="mine", filled_quantity="0.004")

    one = await face.cancel_order(first, "BTC/MXN")
    two = await face.cancel_order_with_client_order_id("mine", "BTC/MXN")

    assert (one["id"], one["status"], one["filled"]) == (first, "canceled", 0.0)
    assert (two["id"], two["status"], two["filled"]) == (second, "canceled", 0.004)
    assert not any(order.active for order in sim.bitso.accepted())


async def test_a_cancel_that_comes_too_late_says_closed(sim: Simulator, face: Any) -> None:
    """Defect 13 of ccxt: there a filled order looks cancelled; here it is closed."""
    oid = put(sim)
    sim.bitso.fault("fill_first", operation="cancel", nth=1)

    order = await face.cancel_order(oid)

    assert (order["status"], order["filled"], order["remaining"]) == ("closed", 0.01, 0.0)


@pytest.mark.parametrize("id", ["all", "a/b", "../x", "nosuchorder00000"])
async def test_a_cancel_of_what_is_no_order_cancels_nothing(sim: Simulator, face: Any, id: str) -> None:
    """Defect 14 of ccxt: there `all` cancels everything. Here it is OrderNotFound, and all orders stay."""
    import ccxt

    put(sim)

    with pytest.raises(ccxt.OrderNotFound):
        await face.cancel_order(id)

    assert [order.active for order in sim.bitso.accepted()] == [True]


async def test_a_cancel_whose_outcome_is_not_known_may_be_repeated(sim: Simulator, face_of: Any) -> None:
    """It is a NetworkError, which bots repeat; a cancel does no harm twice."""
    import ccxt

    from orderbridge.http.policy import Retries

    face = face_of(bridge_over(sim, gateway={"retries": Retries(tries=1)}), timeout=1)
    oid = put(sim)
    sim.bitso.fault("drop", operation="cancel")
    sim.bitso.fault("drop", operation="lookup")

    with pytest.raises(ccxt.NetworkError):
        await face.cancel_order(oid)
    sim.bitso.clear_faults()

    assert (await face.cancel_order(oid))["status"] == "canceled"


async def test_several_cancels_say_what_became_of_each(sim: Simulator, face: Any) -> None:
    """One per id in the order given; one that is not there says so, and hides none of the others."""
    first, second = put(sim), put(sim, status="completed")

    orders = await face.cancel_orders([first, "nosuchorder00000", second], "BTC/MXN")

    assert [order["status"] for order in orders] == ["canceled", None, "closed"]
    assert [order["id"] for order in orders] == [first, "nosuchorder00000", second]
    assert orders[1]["info"]["error"] == "OrderNotFound"


async def test_several_cancels_are_all_tried_before_a_failure_is_raised(sim: Simulator, face_of: Any) -> None:
    """One that fails leaves the others cancelled, and is told by its exception."""
    import ccxt

    face = face_of()
    first, last = put(sim, origin_id="a"), put(sim, origin_id="b")
    put(sim, origin_id="twice"), put(sim, origin_id="twice")

    with pytest.raises(ccxt.BadRequest, match="twice"):
        await face.cancel_orders_with_client_order_ids(["a", "twice", "b"])

    states = {order.oid: order.state for order in sim.bitso.accepted()}
    assert (states[first], states[last]) == ("cancelled", "cancelled")


async def test_all_are_cancelled_or_those_of_a_symbol(sim: Simulator, face: Any) -> None:
    """The answer has each as it is after that; ccxt's Bitso cannot keep to a symbol."""
    bitcoin, ether = put(sim), put(sim, symbol="ETH/USD", price="2000", quantity="1")

    of_symbol = await face.cancel_all_orders("ETH/USD")
    rest = await face.cancelAllOrders()

    assert [(order["id"], order["status"]) for order in of_symbol] == [(ether, "canceled")]
    assert [(order["id"], order["status"]) for order in rest] == [(bitcoin, "canceled")]


async def test_a_venue_that_is_down_cancels_nothing_and_says_so(sim: Simulator, face_of: Any) -> None:
    """A cancel of all that reached nobody is a NetworkError, and never an empty list."""
    import ccxt

    face = face_of(timeout=0.5)
    put(sim)
    await sim.bitso.stop()

    with pytest.raises(ccxt.NetworkError):
        await face.cancel_all_orders()
    with pytest.raises(ccxt.NetworkError):
        await face.fetch_open_orders()
    await sim.bitso.start()


# Edit.


async def test_an_edit_changes_the_order_in_place(sim: Simulator, face: Any) -> None:
    """It keeps its id; amount and price are brought to the steps; nothing new is placed."""
    oid = put(sim, origin_id="mine")

    edited = await face.edit_order(oid, "BTC/MXN", "limit", "buy", 0.020000000009, 570004.9)
    by_own = await face.edit_order_with_client_order_id("mine", "BTC/MXN", "limit", "buy", 0.03, 580000)

    assert (edited["id"], edited["amount"], edited["price"]) == (oid, 0.02, 570000.0)
    assert (by_own["id"], by_own["amount"], by_own["price"]) == (oid, 0.03, 580000.0)
    assert len(sim.bitso.accepted()) == 1


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("ETH/USD", "limit", "buy", 0.02, 570000), "the symbol of"),
        (("BTC/MXN", "market", "buy", 0.02, 570000), "the type of"),
        (("BTC/MXN", "limit", "sell", 0.02, 570000), "the side of"),
    ],
)
async def test_an_edit_of_what_cannot_be_changed_is_refused(
    sim: Simulator, face: Any, args: tuple[Any, ...], why: str
) -> None:
    """The bot means another order than the id does: nothing is sent."""
    import ccxt

    oid = put(sim)

    with pytest.raises(ccxt.InvalidOrder, match=why):
        await face.edit_order(oid, *args)

    assert not any(name.startswith("PATCH") for name in sim.bitso.requests)


async def test_an_edit_that_came_too_late_or_means_nothing(sim: Simulator, face: Any) -> None:
    """An ended order is an InvalidOrder, no change ArgumentsRequired, an unknown param NotSupported."""
    import ccxt

    oid, ended = put(sim), put(sim, status="completed")

    with pytest.raises(ccxt.InvalidOrder, match="filled"):
        await face.edit_limit_buy_order(ended, "BTC/MXN", 0.02, 570000)
    with pytest.raises(ccxt.OrderNotFound):
        await face.edit_order("nosuchorder00000", "BTC/MXN", "limit", "buy", 0.02, 570000)
    with pytest.raises(ccxt.ArgumentsRequired):
        await face.edit_order(oid, "BTC/MXN", "limit", "buy")
    with pytest.raises(ccxt.NotSupported, match="postOnly"):
        await face.edit_order(oid, "BTC/MXN", "limit", "buy", 0.02, 570000, {"postOnly": True})


async def test_an_edit_whose_outcome_is_not_known_is_no_error_to_retry(sim: Simulator, face_of: Any) -> None:
    """The order may stand as it was or as it was meant: it is an ExchangeError, and no NetworkError."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    face = face_of(timeout=1)
    oid = put(sim)
    sim.bitso.fault("accept_then_5xx", operation="edit", nth=1)

    with pytest.raises(OrderOutcomeUnknown) as caught:
        await face.edit_order(oid, "BTC/MXN", "limit", "buy", 0.02, 570000)

    assert caught.value.order_id == oid


# Fetch.


async def test_a_look_up_by_the_callers_id_finds_that_order(sim: Simulator, face: Any) -> None:
    """Defect 1 of ccxt: there it returns whatever order comes back. Here it is the one, or OrderNotFound."""
    import ccxt

    oid = put(sim, origin_id="mine")
    put(sim)

    for name in ("clientOrderId", "client_order_id", "origin_id"):
        assert (await face.fetch_order("", None, {name: "mine"}))["id"] == oid
    assert (await face.fetchOrderWithClientOrderId("mine"))["id"] == oid
    assert await face.fetch_order_status(oid) == "open"
    with pytest.raises(ccxt.OrderNotFound):
        await face.fetch_order_with_client_order_id("yours")
    with pytest.raises(ccxt.OrderNotFound):
        await face.fetch_order("mine")


@pytest.mark.parametrize(("id", "params"), [(None, None), ("", {}), (7, {}), ("x", {"clientOrderId": "y"})])
async def test_an_order_is_named_by_one_id(face: Any, id: Any, params: Any) -> None:
    """None, a number, or two: refused before anything is asked."""
    import ccxt

    for call in (face.fetch_order, face.cancel_order, face.fetch_order_trades):
        with pytest.raises((ccxt.ArgumentsRequired, ccxt.BadRequest)):
            await call(id, None, **({"params": params} if params is not None else {}))


async def test_two_orders_of_one_client_id_are_told_as_such(sim: Simulator, face: Any) -> None:
    """Neither is picked: a BadRequest that names both."""
    import ccxt

    first, second = put(sim, origin_id="mine", status="completed"), put(sim, origin_id="mine")

    with pytest.raises(ccxt.BadRequest, match=rf"({first}|{second})"):
        await face.fetch_order_with_client_order_id("mine")


async def test_open_orders_are_all_there_oldest_first(sim: Simulator, face: Any) -> None:
    """Without a symbol and past twenty-five, neither of which ccxt's Bitso can (defect 18); `since` and `limit` cut."""
    oids = [put(sim, created_at=f"2026-01-05T10:00:{second:02}Z") for second in range(40)]
    put(sim, symbol="ETH/USD", price="2000", quantity="1")
    put(sim, status="completed")
    since = 1767607200000 + 10_000

    everything = await face.fetch_open_orders()
    listed = await face.fetch_open_orders("BTC/MXN")

    assert len(everything) == 41
    assert [order["id"] for order in listed] == oids
    assert [order["id"] for order in await face.fetch_open_orders("BTC/MXN", None, 5)] == oids[-5:]
    assert [order["id"] for order in await face.fetchOpenOrders("BTC/MXN", since, 5)] == oids[10:15]


async def test_a_row_that_cannot_be_read_is_listed_beside_the_others(sim: Simulator, face: Any) -> None:
    """It may be a live order: its id and the row are there, and nothing else is made up."""
    good, odd = put(sim), put(sim, raw={"original_amount": "many"})

    listed = {order["id"]: order for order in await face.fetch_open_orders("BTC/MXN")}

    assert set(listed) == {good, odd}
    assert set(listed[good]) == set(listed[odd])
    assert (listed[odd]["status"], listed[odd]["amount"]) == (None, None)
    assert listed[odd]["info"]["row"]["original_amount"] == "many"
    assert odd in {order["id"] for order in await face.fetch_open_orders("BTC/MXN", 4_000_000_000_000, 1)}


async def test_a_trade_that_cannot_be_read_is_listed_beside_the_others(sim: Simulator, face: Any) -> None:
    """One odd row hides no other trade; it has the same keys, and its row in `info`."""
    first = put(sim, status="completed", quantity="2", trades=[("560000", "0.5"), ("559000", "1.5")])
    (order,) = sim.bitso.accepted(order_id=first)
    order.fills[0].price = Decimal("NaN")

    odd, good = await face.fetch_order_trades(first, "BTC/MXN")

    assert set(odd) == set(good)
    assert (odd["price"], odd["amount"], good["price"]) == (None, None, 559000.0)
    assert odd["info"]["error"]
    assert [trade["price"] for trade in await face.fetch_my_trades("BTC/MXN")] == [None, 559000.0]


async def test_trades_of_an_order_and_of_the_account(sim: Simulator, face: Any) -> None:
    """Oldest first; an order without trades has none, and one that is not there is OrderNotFound."""
    import ccxt

    traded = put(sim, status="completed", quantity="2", trades=[("560000", "0.5"), ("559000", "1.5")])
    resting = put(sim)

    of_order = await face.fetch_order_trades(traded, "BTC/MXN")

    assert [(trade["amount"], trade["price"]) for trade in of_order] == [(0.5, 560000.0), (1.5, 559000.0)]
    assert await face.fetch_my_trades("BTC/MXN") == of_order
    assert await face.fetch_my_trades() == of_order
    assert await face.fetch_my_trades("ETH/USD") == []
    assert await face.fetch_my_trades("BTC/MXN", None, 1) == of_order[-1:]
    assert await face.fetch_my_trades("BTC/MXN", of_order[0]["timestamp"], 1) == of_order[:1]
    assert await face.fetch_order_trades(resting) == []
    with pytest.raises(ccxt.OrderNotFound):
        await face.fetch_order_trades("nosuchorder00000")


async def test_an_order_is_fetched_though_its_trades_cannot_be_read(sim: Simulator, face_of: Any) -> None:
    """What only they tell is None then, and the order is there."""
    face = face_of(timeout=1)
    oid = put(sim, status="completed")
    sim.bitso.fault("error_5xx", operation="order_trades")

    order = await face.fetch_order(oid)

    assert (order["status"], order["filled"], order["cost"], order["average"]) == ("closed", 0.01, None, None)


@pytest.mark.parametrize(("since", "limit"), [("now", None), (1.5, None), (-1, None), (True, None), (None, "5")])
async def test_since_and_limit_are_whole_numbers(face: Any, since: Any, limit: Any) -> None:
    """Anything else is a BadRequest in every list."""
    import ccxt

    for call in (face.fetch_open_orders, face.fetch_my_trades):
        with pytest.raises(ccxt.BadRequest):
            await call("BTC/MXN", since, limit)


async def test_params_that_are_not_known_are_refused_by_every_call(sim: Simulator, face: Any) -> None:
    """Not only by creates."""
    import ccxt

    calls = [
        face.fetch_open_orders("BTC/MXN", params={"marker": 1}),
        face.fetch_my_trades("BTC/MXN", params={"marker": 1}),
        face.fetch_order("x", params={"trigger": True}),
        face.cancel_order("x", params={"trigger": True}),
        face.cancel_orders(["x"], params={"trigger": True}),
        face.cancel_all_orders(params={"trigger": True}),
        face.load_markets(params={"trigger": True}),
    ]

    for call in calls:
        with pytest.raises(ccxt.NotSupported, match="are not known here"):
            await call


async def test_bitso_lists_no_ended_orders(face: Any) -> None:
    """Rather than a list that is not whole it is NotSupported, as `has` says."""
    import ccxt

    for call in ("fetch_orders", "fetch_closed_orders", "fetch_canceled_orders", "fetch_canceled_and_closed_orders"):
        with pytest.raises(ccxt.NotSupported):
            await getattr(face, call)("BTC/MXN")
    assert not face.has["fetchOrders"]
    assert not face.has["fetchClosedOrders"]


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
    assert await ids("fetchClosedOrders") == {done["id"]}
    assert await ids("fetch_canceled_orders") == {gone["id"]}
    assert await ids("fetch_canceled_and_closed_orders", 0) == {gone["id"], done["id"]}
    assert resting["clientOrderId"] == "mine-1"


async def test_bitcain_is_repeated_without_a_double_too(sim: Simulator, bitcain: Any) -> None:
    """Its client ids are no safety net, and still a lost answer leaves one order."""
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    order = await bitcain.create_order("BTC/USDT", "limit", "buy", 0.1, 30000)

    assert [each.id for each in sim.bitcain.accepted()] == [order["id"]]


# What else a ccxt object has.


async def test_precision_is_text_as_ccxt_writes_it(face: Any, theirs: Any) -> None:
    """Both give the same, in either spelling; what comes to nothing is an InvalidOrder in both."""
    import ccxt

    for value in (0.123456789, "5.5", 1e-5, 12):
        assert face.amount_to_precision("BTC/MXN", value) == theirs.amount_to_precision("BTC/MXN", value)
    for value in (560004.9, 560005, "999999.99"):
        assert face.priceToPrecision("BTC/MXN", value) == theirs.price_to_precision("BTC/MXN", value)
        assert face.cost_to_precision("BTC/MXN", value) == theirs.cost_to_precision("BTC/MXN", value)
    for exchange in (face, theirs):
        with pytest.raises(ccxt.InvalidOrder):
            exchange.amount_to_precision("BTC/MXN", 1e-9)
        with pytest.raises(ccxt.InvalidOrder):
            exchange.price_to_precision("BTC/MXN", 1)


async def test_markets_are_there_once_loaded(face_of: Any) -> None:
    """Before that they are None and `market` says so; after it an unknown symbol is a BadSymbol."""
    import ccxt

    face = face_of()

    assert face.markets is None
    assert face.symbols is None
    with pytest.raises(ccxt.ExchangeError, match="not loaded"):
        face.market("BTC/MXN")
    markets = await face.load_markets()

    assert face.markets is markets
    assert await face.load_markets() is markets
    assert face.market("BTC/MXN") is markets["BTC/MXN"]
    assert face.symbols == sorted(markets) == face.ids
    assert face.markets_by_id["BTC/MXN"] == [markets["BTC/MXN"]] == face.marketsById["BTC/MXN"]
    with pytest.raises(ccxt.BadSymbol):
        face.market("BTC/XXX")


async def test_markets_are_loaded_anew_when_asked(sim: Simulator, face: Any) -> None:
    """`reload` asks the exchange again."""
    before = sim.bitso.requests["GET /api/v3/available_books"]

    await face.load_markets(True)

    assert sim.bitso.requests["GET /api/v3/available_books"] == before + 1


async def test_has_names_every_call_of_ccxt_and_what_is_there_is_there(face: Any, theirs: Any) -> None:
    """A bot that asks `has` first never gets a KeyError, and what is said of orders is so."""
    assert set(theirs.has) <= set(face.has)
    about_orders = [name for name, there in face.has.items() if there and "Order" in name]
    assert "createOrders" in about_orders
    assert all(inspect.iscoroutinefunction(getattr(face, name)) for name in about_orders)
    assert not face.has["createTrailingAmountOrder"]
    assert not face.has["createReduceOnlyOrder"]
    assert face.has["createPostOnlyOrder"]
    assert not face.has["fetchTicker"]


async def test_features_have_ccxts_keys(face: Any, theirs: Any) -> None:
    """What ccxt's Bitso declares and cannot do (defect 7) is declared here, and done."""
    ours, others = face.features["spot"], theirs.features["spot"]

    assert set(others["createOrder"]) <= set(ours["createOrder"])
    assert ours["createOrder"]["timeInForce"] == {"GTC": True, "IOC": True, "FOK": True, "PO": True, "GTD": False}
    assert ours["createOrder"]["triggerPrice"] is True
    assert ours["createOrder"]["marketBuyByCost"] is True
    assert ours["fetchOrders"] is None
    assert set(others) - {"fetchOHLCV"} <= set(ours)


async def test_every_call_has_its_camel_case_twin(face: Any) -> None:
    """ccxt has both spellings of everything."""
    import ccxt

    names = [name for name in dir(ccxt.Exchange) if "_order" in name and not name.endswith("_ws")]
    ours = [name for name in names if name in dir(type(face))]

    assert len(ours) > 30
    for name in ours:
        first, *others = name.split("_")
        twin = first + "".join(map(str.title, others))
        assert getattr(type(face), twin) is getattr(type(face), name)
        assert hasattr(ccxt.Exchange(), twin)


async def test_the_rest_goes_to_the_callers_own_object(sim: Simulator, face_of: Any) -> None:
    """Tickers and balances, settings read and set; beside orders placed with the same key."""
    from ccxt.async_support import bitso

    rest = bitso(ccxt_settings(sim))
    face = face_of(rest_of=rest)
    await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)

    ticker = await face.fetch_ticker("BTC/MXN")
    balance = await face.fetchBalance()
    await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    again = await face.fetch_balance()
    face.timeout = 1234

    assert ticker["last"] > 0
    assert balance["MXN"]["used"] == 5600.0
    assert again["MXN"]["used"] == 11200.0
    assert rest.timeout == face.timeout == 1234
    assert face.has["fetchTicker"]
    assert face.iso8601(0) == "1970-01-01T00:00:00.000Z"


async def test_the_nonces_of_another_key_are_left_alone(sim: Simulator, face_of: Any) -> None:
    """An object that signs with a key of its own keeps its own nonces."""
    from ccxt.async_support import bitso

    rest = bitso({**ccxt_settings(sim), "apiKey": "another"})

    face_of(rest_of=rest)

    assert len(str(rest.nonce())) == 13


@pytest.mark.parametrize(
    "name",
    ["createTrailingAmountOrder", "create_order_ws", "edit_orders", "cancel_all_orders_after", "createTwapOrder"],
)
async def test_no_order_is_placed_past_the_bridge(sim: Simulator, face_of: Any, name: str) -> None:
    """What would place, edit or cancel on the caller's own object is NotSupported, and `has` says so."""
    import ccxt
    from ccxt.async_support import bitso

    face = face_of(rest_of=bitso(ccxt_settings(sim)))

    with pytest.raises(ccxt.NotSupported, match="bridge only"):
        getattr(face, name)
    assert not hasattr(face, name)


async def test_without_a_rest_the_message_says_what_is_missing(face: Any) -> None:
    """It is ccxt's NotSupported, and an AttributeError for `hasattr` and `getattr` with a default."""
    import ccxt

    with pytest.raises(ccxt.NotSupported, match="rest_of"):
        await face.fetch_ticker("BTC/MXN")
    with pytest.raises(ccxt.NotSupported, match="rest_of"):
        face.verbose = True
    with pytest.raises(AttributeError, match="told by the gateway"):
        face.markets = {}
    assert not hasattr(face, "fetch_ohlcv")
    assert getattr(face, "rateLimit", 7) == 7
    with pytest.raises(AttributeError):
        _ = face._no_such
    assert face.id == "bitso"


async def test_bitcain_asks_the_rest_for_markets(sim: Simulator, face_of: Any) -> None:
    """It tells no rules of its own; without a rest that is NotSupported, and orders go out all the same."""
    import ccxt
    from ccxt.async_support import bitso

    def bridge() -> OrderBridge:
        return bridge_over(sim, venue="bitcain", gateway={"trading_mode": "paper"})

    alone, helped = face_of(bridge(), "bitcain"), face_of(bridge(), "bitcain", rest_of=bitso(ccxt_settings(sim)))

    with pytest.raises(ccxt.NotSupported, match="markets"):
        await alone.load_markets()
    with pytest.raises(ccxt.ExchangeError):
        alone.amount_to_precision("BTC/USDT", 0.1)
    await alone.create_order("BTC/USDT", "limit", "buy", 0.1, 30000)
    markets = await helped.load_markets()

    assert helped.markets == markets
    assert helped.markets_by_id["btc_usdt"][0]["symbol"] == "BTC/USDT"
    assert helped.amount_to_precision("BTC/USDT", 0.123456789) == "0.12345678"
    assert helped.market("BTC/USDT")["symbol"] in helped.symbols


async def test_closing_closes_what_it_owns(sim: Simulator) -> None:
    """The bridge and the rest, twice without harm; with `owns=False` neither. After that every call says closed."""
    import ccxt
    from ccxt.async_support import bitso

    kept, rest = bridge_over(sim), bitso(ccxt_settings(sim))
    async with as_ccxt(kept, "bitso", rest, owns=False) as borrowed:
        await borrowed.fetch_open_orders()
        await borrowed.fetch_ticker("BTC/MXN")
    async with as_ccxt(kept, "bitso", rest) as owner:
        await owner.fetch_open_orders()
    await owner.close()

    assert rest.session is None
    for call in (owner.create_order("BTC/MXN", "limit", "buy", 0.01, 560000), owner.fetch_open_orders()):
        with pytest.raises(ccxt.ExchangeError, match="closed"):
            await call
    assert sim.bitso.requests[PLACE] == 0


async def test_credentials_that_are_refused_are_ccxts_error(sim: Simulator, face_of: Any) -> None:
    """Nothing was placed, and bots do not retry it."""
    import ccxt

    face = face_of(bridge_over(sim, gateway={"api_secret": "wrong"}))

    with pytest.raises(ccxt.AuthenticationError):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    with pytest.raises(ccxt.AuthenticationError):
        await face.fetch_open_orders()
    assert sim.bitso.accepted() == []


async def test_refusals_have_ccxts_classes(sim: Simulator, face: Any) -> None:
    """Defect 15 of ccxt: there a lack of funds and others are plain ExchangeErrors."""
    import ccxt

    sim.bitso.settings.trading = "off"
    with pytest.raises(ccxt.MarketClosed):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    sim.bitso.settings.trading = "on"
    sim.bitso.settings.most_open_orders = 0
    with pytest.raises(ccxt.OperationRejected):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    sim.bitso.settings.most_open_orders = 10
    with pytest.raises(ccxt.InvalidOrder):
        await face.create_order("BTC/MXN", "limit", "buy", 0.01, 50)


def test_a_second_event_loop_is_refused_before_anything_is_sent() -> None:
    """One clear error, and no order."""
    import ccxt

    first = asyncio.new_event_loop()
    with Simulator(seed=1) as sim:
        face = as_ccxt(bridge_over(sim), "bitso")
        first.run_until_complete(face.load_markets())

        for _ in range(2):
            with pytest.raises(ccxt.ExchangeError, match="loop"):
                asyncio.run(face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000))
        assert sim.bitso.requests[PLACE] == 0
        first.run_until_complete(face.close())
    first.close()


@pytest.mark.parametrize(
    "settings",
    [{"rounding": "up"}, {"resolve_for": -1}, {"resolve_for": "30"}, {"timeout": True}, {"send_within": float("nan")}],
)
async def test_settings_that_mean_nothing_are_refused(sim: Simulator, settings: dict[str, Any]) -> None:
    """When the face is made, by our own ConfigurationError."""
    bridge = bridge_over(sim)

    with pytest.raises(ConfigurationError):
        as_ccxt(bridge, "bitso", **settings)
    with pytest.raises(ConfigurationError, match="bitso"):
        as_ccxt(bridge, "kraken")
    for none in (None, bridge["bitso"], "bitso"):
        with pytest.raises(ConfigurationError, match="OrderBridge"):
            as_ccxt(none, "bitso")  # type: ignore[arg-type]
    await bridge.aclose()
