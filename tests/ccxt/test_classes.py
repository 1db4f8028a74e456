"""Which calls of an object are the bridge's, and what they ask of it; which are left to ccxt."""

import asyncio
import functools
import inspect
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest

from orderbridge.ccxt import bridges
from orderbridge.errors import PartialList, UnexpectedResponse
from tests.ccxt.fake_binance import FakeBinance

pytestmark = pytest.mark.ccxt

PAIR, SWAP = "BTC/USDT", "BTC/USDT:USDT"
POST, POST_SWAP = "POST /api/v3/order", "POST /fapi/v1/order"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    bridges.close_all()


@pytest.fixture
def venue() -> Iterator[FakeBinance]:
    """A small Binance."""
    with FakeBinance() as running:
        yield running


@pytest.fixture
def exchange(venue: FakeBinance) -> Any:
    """Our class in place of `ccxt.binance`."""
    import orderbridge.ccxt as ccxt

    return ccxt.binance(venue.config())


Asked = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What is asked of the bridge, which does nothing."""
    told: Asked = []

    def calling(exchange: Any, name: str, arguments: dict[str, Any]) -> Callable[[], Any]:
        told.append((name, dict(arguments)))

        async def step() -> None:
            return None

        return step

    monkeypatch.setattr(bridges, "calling", calling)
    return told


# What passes a call of ccxt's `create_order` by is ours too.


def test_ccxts_shorthands_end_in_our_create(asked: Asked) -> None:
    """In either spelling, and with what they add."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance({"apiKey": "k", "secret": "s"})
    exchange.create_limit_buy_order(PAIR, 1, 2)
    exchange.createMarketSellOrder(PAIR, 1)
    exchange.create_post_only_order(PAIR, "limit", "buy", 1, 2)

    assert [name for name, _ in asked] == ["create_order"] * 3
    assert asked[0][1] == {
        "symbol": PAIR, "type": "limit", "side": "buy", "amount": 1, "price": 2, "params": {}
    }  # fmt: skip
    assert asked[2][1]["params"] == {"postOnly": True}


@pytest.mark.parametrize("name", ["binance", "bybit", "mexc", "kucoin", "bitget", "gate", "kraken"])
@pytest.mark.parametrize("package", ["ccxt", "ccxt.async_support", "ccxt.pro"])
def test_a_cost_is_a_cost_at_every_exchange(asked: Asked, package: str, name: str) -> None:
    """ccxt's base sends it as the amount, at a price of one, and others otherwise."""
    exchange = getattr(import_module(f"orderbridge.{package}"), name)({"apiKey": "k", "secret": "s", "password": "p"})

    def called(call: Any) -> None:
        if package != "ccxt":
            asyncio.run(call)

    called(exchange.create_market_buy_order_with_cost(PAIR, 100))
    called(exchange.createMarketSellOrderWithCost(PAIR, 100, {"clientOrderId": "a1"}))
    called(exchange.create_market_order_with_cost(PAIR, "buy", 100))

    said = [(each["type"], each["side"], each["amount"], each["params"]["cost"]) for _, each in asked]
    assert said == [("market", "buy", None, 100), ("market", "sell", None, 100), ("market", "buy", None, 100)]
    assert asked[1][1]["params"]["clientOrderId"] == "a1"


# By exchange: what a market buy of 2 at a price of 100, and one of 2 without a price, are with the option as ccxt has
# it; and one of 2 with the option switched off. A number is a cost, "base" an amount in base.
BUYS = {
    "gate": ("200", "refused", 2),
    "htx": ("200", "refused", 2),
    "coinbase": ("200", "refused", 2),
    "bitget": ("200", "refused", 2),
    "cryptocom": ("base", "base", 2),
    "indodax": ("200", "refused", 2),
    "poloniex": ("200", "refused", 2),
    "upbit": ("200", "refused", 2),
    "okx": ("base", "base", "base"),
    "bybit": ("200", "base", "base"),
    "woo": ("200", "base", "base"),
    "bitrue": ("base", "base", "base"),
    **dict.fromkeys(("alpaca", "whitebit"), ("base", "base", "base")),
    **dict.fromkeys(("bingx", "binanceus", "coinbaseexchange"), ("200", "base", "base")),
    "bigone": ("200", "refused", 2),
    "btse": ("200", "refused", 2),
    "binance": ("200", "base", "base"),
    "mexc": ("200", "base", "base"),
    "kraken": ("base", "base", "base"),
}


@pytest.mark.parametrize("name", BUYS)
def test_the_amount_of_a_market_buy_means_what_ccxt_says(asked: Asked, name: str) -> None:
    """Taken literally, a cost of 100 would buy a hundred bitcoin."""
    import orderbridge.ccxt as ccxt

    def bought(price: Any, **options: Any) -> Any:
        asked.clear()
        exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s", "options": options})
        try:
            exchange.create_order(PAIR, "MARKET", "buy", 2, price)
        except ccxt.InvalidOrder as error:
            assert "price" in str(error)  # noqa: PT017
            return "refused"
        told = asked[0][1]
        if "cost" not in told["params"]:
            assert told["amount"] == 2
            return "base"
        assert told["amount"] is None
        return told["params"]["cost"]

    switched = {"createMarketBuyOrderRequiresPrice": False}
    off = {"createOrder": switched} if name in {"bigone", "bitget", "bybit", "bitrue"} else switched

    at_a_price = bought(100)
    assert (at_a_price if at_a_price == "base" else str(at_a_price), bought(None), bought(None, **off)) == BUYS[name]


def test_the_price_is_required_where_ccxt_reads_that_it_is() -> None:
    """By the source of its classes; Bitrue's of contracts, Bybit's of accounts of before; Indodax has no option."""
    import ccxt

    from orderbridge.ccxt.classes import _READS_IT

    def reads(name: str) -> bool:
        kinds = [kind for kind in getattr(ccxt, name).__mro__ if kind.__module__.count(".") == 1]
        source = "".join(inspect.getsource(kind) for kind in kinds if kind.__module__.startswith("ccxt."))
        return (
            re.search(r"(_and_params|safe_bool|safe_value)\(.*'createMarketBuyOrderRequiresPrice'", source) is not None
        )

    others = {"bitrue", "bybit", "bybiteu", "bybitid"}
    reading = {name for name in ccxt.exchanges if reads(name)} - others
    assert reading | {"indodax"} == _READS_IT.intersection(ccxt.exchanges)


@pytest.mark.parametrize("name", ["triggerPrice", "stopPrice", "stop_price"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_trigger_that_means_the_other_side_in_ccxt_is_refused(asked: Asked, name: str, side: str) -> None:
    """Coinbase's alone: ccxt's own class waits for a fall before it buys; which price is meant can be said."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.coinbase({"apiKey": "k", "secret": "s"})
    with pytest.raises(ccxt.NotSupported, match="stopLossPrice or takeProfitPrice"):
        exchange.create_order(PAIR, "limit", side, 1, 100, {name: 101})
    for said in ("stopLossPrice", "takeProfitPrice"):
        exchange.create_order(PAIR, "limit", side, 1, 100, {said: 101})

    assert [told["params"] for _, told in asked] == [{"stopLossPrice": 101}, {"takeProfitPrice": 101}]


def test_ccxt_turns_triggers_at_no_other_exchange() -> None:
    """By the source of its classes: what a trigger alone means is a choice between two directions by the side."""
    import ccxt

    from orderbridge.ccxt.classes import _TURNED

    def turns(name: str) -> bool:
        source = inspect.getsource(getattr(ccxt, name))
        stops = source.partition("isStop:")[2].partition("elif isStopLoss")[0]
        return re.search(r"DOWN' if \(side == 'buy'\)", stops) is not None

    assert {name for name in ccxt.exchanges if turns(name)} == _TURNED


COST_BY_PRICE = (
    *("aster", "binance", "binanceus", "bingx", "bitvavo", "bybit", "bybiteu", "bybitid", "coinbaseexchange", "mexc"),
    *("phemex", "woo"),
)


@pytest.mark.parametrize("name", COST_BY_PRICE)
def test_a_price_beside_an_order_at_market_makes_its_cost(asked: Asked, name: str) -> None:
    """Of either side, where ccxt multiplies the two; what is told as a cost goes before it."""
    import orderbridge.ccxt as ccxt

    exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s"})
    exchange.create_order(PAIR, "market", "buy", 100, 1)
    exchange.create_order(PAIR, "market", "sell", 0.1, 3, {"cost": None})
    exchange.create_order(PAIR, "market", "buy", 100, 1, {"quoteOrderQty": 7})
    exchange.create_order(PAIR, "limit", "buy", 100, 1)

    sizes = [(each["amount"], each["price"], each["params"]) for _, each in asked]
    assert sizes == [
        (None, None, {"cost": 100}),
        (None, None, {"cost": Decimal("0.3")}),
        (100, 1, {"quoteOrderQty": 7}),
        (100, 1, {}),
    ]


def test_a_price_makes_no_cost_where_ccxt_makes_none(asked: Asked) -> None:
    """Of a stop at Binance, and of a sell at others; Deepcoin takes no such price at all."""
    import orderbridge.ccxt as ccxt

    for name, params in (("binance", {"stopLossPrice": 4}), ("kraken", {}), ("gate", {}), ("okx", {})):
        exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s", "password": "p"})
        exchange.create_order(PAIR, "market", "sell", 2, 5, params)
        assert (asked[-1][1]["amount"], asked[-1][1]["params"]) == (2, params)
    sent = len(asked)
    with pytest.raises(ccxt.NotSupported, match="price"):
        ccxt.deepcoin({"apiKey": "k", "secret": "s"}).create_order(PAIR, "market", "buy", 100, 1)
    assert len(asked) == sent


def test_the_target_of_okx_decides(asked: Asked) -> None:
    """There a market buy is in quote only where `tgtCcy` says so."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.okx({"apiKey": "k", "secret": "s", "password": "p"})
    exchange.create_order(PAIR, "market", "buy", 2, None, {"tgtCcy": "quote_ccy"})

    assert asked[0][1]["params"] == {"cost": 2}


def test_the_option_may_come_as_a_param_and_a_cost_goes_before_it(asked: Asked) -> None:
    """As in ccxt; a sell and a limit order are never sized by it."""
    import orderbridge.ccxt as ccxt

    exchange, params = ccxt.gate({"apiKey": "k", "secret": "s"}), {"createMarketBuyOrderRequiresPrice": False}
    exchange.create_order(PAIR, "market", "buy", 100, None, params)
    exchange.create_order(PAIR, "market", "buy", 2, None, {"cost": 7})
    exchange.create_order(PAIR, "market", "sell", 2)
    exchange.create_orders([{"symbol": PAIR, "type": "market", "side": "buy", "amount": 2, "price": 50}])

    assert asked[0][1]["params"] == {"cost": 100}
    assert (asked[1][1]["amount"], asked[1][1]["params"]) == (2, {"cost": 7})
    assert (asked[2][1]["amount"], asked[2][1]["params"]) == (2, {})
    assert asked[3][0] == "create_orders"
    assert str(asked[3][1]["orders"][0]["params"]["cost"]) == "100"


@pytest.mark.parametrize("name", ["okx", "bybit", "gate", "binance", "kraken", "hyperliquid"])
async def test_orders_by_stream_are_the_same_calls(asked: Asked, name: str) -> None:
    """Where ccxt has them, `…_ws` are answered by the bridge."""
    from ccxt import pro

    import orderbridge.ccxt.pro as ccxt

    keys = {"walletAddress": "0x" + "1" * 40, "privateKey": "0x" + "2" * 64}
    exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s", "password": "p", **keys})
    theirs = getattr(pro, name)
    own = [
        each
        for each in ("create_order_ws", "cancel_order_ws", "edit_order_ws", "cancel_all_orders_ws", "fetch_order_ws")
        if not getattr(theirs, each).__module__.endswith("base.exchange")
    ]
    arguments = {
        "create_order_ws": (PAIR, "limit", "buy", 1, 2),
        "cancel_order_ws": ("7", PAIR),
        "edit_order_ws": ("7", PAIR, "limit", "buy", 1, 2),
        "cancel_all_orders_ws": (PAIR,),
        "fetch_order_ws": ("7", PAIR),
    }

    for each in own:
        await getattr(exchange, each)(*arguments[each])

    assert own
    assert [called for called, _ in asked] == [each.removesuffix("_ws") for each in own]


@pytest.mark.parametrize(
    ("name", "call", "arguments", "asks"),
    [
        ("kucoin", "create_spot_order", (PAIR, "limit", "buy", 1, 2), ["create_order"]),
        ("kucoin", "create_uta_order", (PAIR, "limit", "buy", 1, 2), ["create_order"]),
        ("kucoin", "cancel_spot_order", ("7", PAIR), ["cancel_order"]),
        ("kucoin", "cancel_all_spot_orders", (PAIR,), ["cancel_all_orders"]),
        ("bitget", "create_uta_orders", ([],), ["create_orders"]),
        ("binance", "edit_spot_order", ("7", PAIR, "limit", "buy", 1, 2), ["edit_order"]),
        ("binance", "edit_orders", ([{"id": "7", "symbol": PAIR}, {"id": "8", "symbol": PAIR}],), ["edit_orders"]),
        ("bybit", "cancel_orders_for_symbols", ([{"id": "7", "symbol": PAIR}],), ["cancel_orders_for_symbols"]),
        ("okx", "cancel_orders_with_client_order_ids", (["a", "b"], PAIR), ["cancel_orders"]),
        ("binance", "fetch_canceled_and_closed_orders", (PAIR, 1), ["fetch_canceled_and_closed_orders"]),
    ],
)
def test_what_some_exchanges_have_beside_is_ours_too(
    asked: Asked, name: str, call: str, arguments: tuple[Any, ...], asks: list[str]
) -> None:
    """Calls that reach an exchange by themselves, of many orders and under other names."""
    import orderbridge.ccxt as ccxt

    exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s", "password": "p"})

    getattr(exchange, call)(*arguments)

    assert [each for each, _ in asked] == asks
    if asks[0] == "cancel_order" and "client" in call:
        assert [each["params"]["clientOrderId"] for _, each in asked] == ["a", "b"]


def test_arguments_are_bound_as_ccxt_binds_them(exchange: Any) -> None:
    """By position or name; one too many is a TypeError, and a wrong list is refused."""
    import ccxt

    with pytest.raises(TypeError):
        exchange.create_order(PAIR, "limit", "buy", 1, 2, {}, "more")
    with pytest.raises(TypeError):
        exchange.cancel_order(identifier="7")
    for wrong in (None, "BTC", [None], [{"symbol": PAIR}, "x"]):
        with pytest.raises(ccxt.BaseError):
            exchange.create_orders(wrong)


# Spot by whatever name.


def test_a_market_is_named_as_ccxt_takes_it(venue: FakeBinance, exchange: Any) -> None:
    """By its id too, loaded first where nothing is; ids may be numbers; an unknown one is BadSymbol, as in ccxt."""
    import ccxt

    order = exchange.create_order("BTCUSDT", "limit", "buy", 0.01, 50000)

    assert order["symbol"] == PAIR
    assert exchange.fetch_order(int(order["id"]), "BTCUSDT")["status"] == "open"
    assert [each["id"] for each in exchange.fetch_open_orders("BTCUSDT")] == [order["id"]]
    with pytest.raises(ccxt.BadSymbol):
        exchange.create_order("NOPE", "limit", "buy", 0.01, 50000)
    assert venue.calls[POST] == 1


async def test_an_awaited_object_names_markets_so_too(venue: FakeBinance) -> None:
    """It loads what it lacks with `await`."""
    import orderbridge.ccxt.async_support as ccxt

    exchange = ccxt.binance(venue.config())
    order = await exchange.create_order("BTCUSDT", "limit", "buy", 0.01, 50000)
    await exchange.close()

    assert order["symbol"] == PAIR


# What is ccxt's own.


def test_contracts_are_passed_to_ccxt_with_one_warning(
    venue: FakeBinance, exchange: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """By symbol, by type, and on margin; one warning per object says that placing is not protected there."""
    exchange.create_order(SWAP, "limit", "buy", 0.01, 50000)
    exchange.create_order(SWAP, "limit", "buy", 0.01, 50000)
    exchange.cancel_all_orders(SWAP)
    exchange.create_order(PAIR, "limit", "buy", 0.01, 50000, {"marginMode": "isolated"})

    warned = [record for record in caplog.records if record.name == "orderbridge.ccxt"]
    assert venue.calls[POST_SWAP] == 2
    assert venue.calls["DELETE /fapi/v1/allOpenOrders"] == 1
    assert venue.calls["POST /sapi/v1/margin/order"] == 1
    assert venue.placed == []
    assert len(warned) == 1
    assert "not protected" in warned[0].getMessage()


def test_a_default_type_of_contracts_is_followed(venue: FakeBinance, caplog: pytest.LogCaptureFixture) -> None:
    """A call that names no symbol is about what the object, or the call, is set to."""
    import orderbridge.ccxt as ccxt

    quiet = {"fetchOpenOrders": {"warnWithoutSymbol": False}}
    exchange = ccxt.binance(venue.config(options={"defaultType": "swap", **quiet}))
    exchange.fetch_open_orders()
    passed = caplog.text.count("passed")
    other = ccxt.binance(venue.config(options=quiet))
    other.fetch_open_orders(None, None, None, {"type": "swap"})

    assert (passed, caplog.text.count("passed")) == (1, 2)
    assert venue.calls["GET /fapi/v1/openOrders"] == 1


@pytest.mark.parametrize("package", ["ccxt", "ccxt.async_support"])
@pytest.mark.parametrize(
    ("kind", "symbol", "is_spot"),
    [
        ("swap", PAIR, False),
        ("swap", "BTCUSDT", False),
        ("future", PAIR, True),
        ("future", "BTCUSDT", False),
        ("spot", PAIR, True),
        ("spot", "BTCUSDT", True),
    ],
)
def test_a_pair_is_the_market_that_ccxts_binance_takes_it_for(
    venue: FakeBinance, package: str, kind: str, symbol: str, is_spot: bool
) -> None:
    """By `defaultType`: an order for the perpetual is placed, read and cancelled there, as ccxt does."""

    async def ran() -> None:
        exchange = import_module(f"orderbridge.{package}").binance(venue.config(options={"defaultType": kind}))

        async def done(result: Any) -> Any:
            return result if package == "ccxt" else await result

        order = await done(exchange.create_order(symbol, "limit", "buy", 0.01, 50000))
        await done(exchange.fetch_open_orders(symbol))
        await done(exchange.cancel_order(order["id"], symbol))
        if package != "ccxt":
            await exchange.close()

    asyncio.run(ran())

    at, other = ("api/v3", "fapi/v1") if is_spot else ("fapi/v1", "api/v3")
    calls = ("POST /{}/order", "GET /{}/openOrders", "DELETE /{}/order")
    assert [venue.calls[each.format(at)] for each in calls] == [1, 1, 1]
    assert not [call for call in venue.calls if f"/{other}/" in call and "rder" in call]


def test_several_orders_are_all_of_one_kind(venue: FakeBinance, exchange: Any) -> None:
    """Spot orders with a contract among them are refused, as some would be protected and others not."""
    import ccxt

    row = {"type": "limit", "side": "buy", "amount": 0.01, "price": 50000}

    with pytest.raises(ccxt.NotSupported, match="spot"):
        exchange.create_orders([{**row, "symbol": PAIR}, {**row, "symbol": SWAP}])
    assert [each["status"] for each in exchange.create_orders([{**row, "symbol": PAIR}] * 2)] == ["open"] * 2
    assert len(venue.orders) == 2


@pytest.mark.parametrize(
    ("name", "call", "arguments"),
    [
        ("bybit", "create_orders", ([{"symbol": SWAP, "type": "limit", "side": "buy", "amount": 1, "price": 2}] * 2,)),
        ("bybit", "edit_orders", ([{"id": "7", "symbol": SWAP}] * 2,)),
        ("bybit", "fetch_open_orders", (None, None, None, {"category": "linear"})),
        ("bitget", "fetch_open_orders", (None, None, None, {"productType": "USDT-FUTURES"})),
        ("okx", "create_order", (PAIR, "limit", "buy", 1, 2, {"tdMode": "cross"})),
        ("binance", "create_order", (PAIR, "limit", "buy", 1, 2, {"portfolioMargin": True})),
        ("binance", "cancel_all_orders", (SWAP,)),
        ("hyperliquid", "fetch_order", ("7",)),
    ],
)
def test_whatever_is_no_spot_markets_is_left_to_ccxt(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, name: str, call: str, arguments: tuple[Any, ...]
) -> None:
    """In several orders at once, by each exchange's words, and where the exchange has contracts first."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt

    passed: list[tuple[Any, ...]] = []
    genuine = getattr(theirs, name)
    own = getattr(genuine, call)
    monkeypatch.setattr(genuine, call, functools.wraps(own)(lambda self, *args: passed.append(args)))
    monkeypatch.setattr("orderbridge.ccxt.classes._made", {})
    exchange = getattr(ccxt, name)({"apiKey": "k", "secret": "s", "password": "p"})

    getattr(exchange, call)(*arguments)

    assert asked == []
    assert passed == [arguments]


@pytest.mark.parametrize("name", ["bequant", "cryptocom", "digifinex", "fmfwio", "hitbtc", "binance", "kraken"])
def test_an_object_set_to_margin_is_ccxts_where_ccxt_places_on_margin(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With `spot_only` it is refused; elsewhere ccxt places such an order at spot, and the bridge does."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt

    passed: list[str] = []
    own = getattr(theirs, name).create_order
    monkeypatch.setattr(
        getattr(theirs, name), "create_order", functools.wraps(own)(lambda self, *args: passed.append(args[0]))
    )
    monkeypatch.setattr("orderbridge.ccxt.classes._made", {})

    def bought(**settings: Any) -> None:
        exchange = getattr(ccxt, name)(
            {"apiKey": "k", "secret": "s", "options": {"defaultType": "margin", "orderbridge": settings}}
        )
        exchange.markets = {PAIR: {"symbol": PAIR, "type": "spot", "spot": True}}
        exchange.create_order(PAIR, "limit", "buy", 1, 2)

    is_spot = name in {"binance", "kraken"}
    bought()
    assert ([each for each, _ in asked], passed) == ((["create_order"], []) if is_spot else ([], [PAIR]))
    if not is_spot:
        with pytest.raises(ccxt.NotSupported, match="spot_only"):
            bought(spot_only=True)
        assert passed == [PAIR]


def test_spot_only_refuses_what_is_not_protected(venue: FakeBinance) -> None:
    """Then no contract is placed at all."""
    import orderbridge.ccxt as ccxt

    exchange = ccxt.binance(venue.config(options={"orderbridge": {"spot_only": True}}))

    with pytest.raises(ccxt.NotSupported, match="spot_only"):
        exchange.create_order(SWAP, "limit", "buy", 0.01, 50000)
    assert exchange.create_order(PAIR, "limit", "buy", 0.01, 50000)["status"] == "open"
    assert venue.calls[POST_SWAP] == 0


def test_an_exchange_without_a_gateway_is_ccxts_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its calls go to ccxt, with one warning; with `spot_only` they are NotSupported."""
    import ccxt as theirs

    import orderbridge.ccxt as ccxt

    called: list[str] = []
    monkeypatch.setattr(theirs.coinspot, "create_order", lambda self, *_, **__: called.append("buy") or {"id": "1"})
    monkeypatch.setattr("orderbridge.ccxt.classes._made", {})  # the class is made anew, over that
    exchange = ccxt.coinspot({"apiKey": "k", "secret": "s"})

    for _ in range(2):
        assert exchange.create_order("BTC/AUD", "limit", "buy", 1, 2) == {"id": "1"}

    assert called == ["buy", "buy"]
    assert len([record for record in caplog.records if "coinspot" in record.getMessage()]) == 1
    careful = ccxt.coinspot({"apiKey": "k", "secret": "s", "options": {"orderbridge": {"spot_only": True}}})
    with pytest.raises(ccxt.NotSupported):
        careful.create_order("BTC/AUD", "limit", "buy", 1, 2)


def test_a_read_that_no_gateway_has_is_ccxts_own(
    venue: FakeBinance, exchange: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bridge says NotSupported, ccxt reads, and one warning is given; a write is never repeated so."""
    import ccxt

    from orderbridge.ccxt.orders import CcxtOrders

    async def refused(*_: Any, **__: Any) -> Any:
        raise ccxt.NotSupported("not here")

    monkeypatch.setattr(CcxtOrders, "fetch_orders", refused)
    monkeypatch.setattr(CcxtOrders, "cancel_order", refused)
    exchange.create_order(PAIR, "limit", "buy", 0.01, 50000)

    for _ in range(2):
        assert len(exchange.fetch_orders(PAIR)) == 1
    with pytest.raises(ccxt.NotSupported, match="not here"):
        exchange.cancel_order("1000", PAIR)

    assert len([record for record in caplog.records if "fetch_orders" in record.getMessage()]) == 1
    assert venue.calls["DELETE /api/v3/order"] == 0


def test_what_may_be_one_page_of_several_is_ccxts_own(
    venue: FakeBinance, exchange: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Open orders, trades, history, and a cancel of all orders, with one warning each; no other BadResponse is."""
    import ccxt

    def suspected(*_: Any, **__: Any) -> None:
        raise reasons[0]("what came is not whole")

    reasons: list[type[UnexpectedResponse]] = [UnexpectedResponse]
    monkeypatch.setattr("orderbridge.adapters.ccxt_any.reads.check_whole", suspected)
    exchange.create_order(PAIR, "market", "buy", 0.01)
    exchange.create_order(PAIR, "limit", "buy", 0.01, 50000)

    def calls() -> list[Any]:
        since = venue.placed[0]["time"]
        return [
            lambda: exchange.fetch_open_orders(PAIR),
            lambda: exchange.fetch_my_trades(PAIR, None, 5),
            lambda: exchange.fetch_orders(PAIR, since),
            lambda: exchange.cancel_all_orders(PAIR),
        ]

    for call in calls():
        with pytest.raises(ccxt.BadResponse):
            call()
    reasons[0] = PartialList

    assert [len(call()) for call in calls()[:3] * 2] == [1, 1, 2] * 2
    calls()[3]()
    assert [order["status"] for order in venue.placed] == ["FILLED", "CANCELED"]
    assert len([record for record in caplog.records if "not answered by the bridge" in record.getMessage()]) == 4


@pytest.mark.parametrize("name", ["fetch_orders", "fetch_closed_orders"])
def test_a_history_without_since_is_ccxts_own(
    venue: FakeBinance, exchange: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """What is older than a week is in it, as on ccxt; from `since` on it is the bridge's."""
    exchange.load_markets()
    exchange.create_order(PAIR, "market", "buy", 0.01)
    (old,) = venue.placed
    old["time"] -= 30 * 86_400_000

    from_then = getattr(exchange, name)(PAIR, old["time"] - 1)
    warned = [record for record in caplog.records if name in record.getMessage()]
    whole = getattr(exchange, name)(PAIR)

    assert [row["id"] for row in from_then] == [row["id"] for row in whole] == ["1000"]
    assert warned == []


@pytest.mark.parametrize("is_awaited", [False, True])
async def test_an_order_that_ccxts_own_read_shows_is_no_stray(venue: FakeBinance, is_awaited: bool) -> None:
    """The bot knows of it then: the next create of that symbol and side is sent, and it is left alone."""
    import orderbridge.ccxt as plain
    import orderbridge.ccxt.async_support as awaited

    options = {"orderbridge": {"resolve_for": 0.2, "stray": "cancel"}}
    exchange = (awaited if is_awaited else plain).binance(venue.config(options=options, timeout=1_000))

    async def of(name: str, *args: Any) -> Any:
        call = functools.partial(getattr(exchange, name), *args)
        return await (call() if is_awaited else asyncio.to_thread(call))

    await of("load_markets")
    await of("create_order", PAIR, "limit", "sell", 0.01, 70000)
    answer, venue.lose = venue.answer, 1
    venue.answer = lambda call, params: answer(call, params) if call == POST else (200, None)  # type: ignore[method-assign]
    with pytest.raises(plain.OrderOutcomeUnknown):
        await of("create_order", PAIR, "limit", "buy", 0.01, 50000)
    venue.answer = answer  # type: ignore[method-assign]

    shown = await of("fetch_open_orders", PAIR, None, None, {"unknown": 1})
    await of("create_order", PAIR, "limit", "buy", 0.01, 49000)
    if is_awaited:
        await exchange.close()

    assert [order["id"] for order in shown] == ["1000", "1001"]
    assert [order["status"] for order in venue.placed] == ["NEW", "NEW", "NEW"]


def test_what_ccxt_calls_of_itself_within_a_passed_call_stays_with_ccxt(
    venue: FakeBinance, exchange: Any, asked: Asked
) -> None:
    """ccxt's emulated edit of a contract cancels and creates by its own calls."""
    exchange.load_markets()

    def edit(self: Any, id: str, symbol: str, *rest: Any) -> Any:
        return self.create_order(PAIR, "limit", "buy", 0.01, 50000)

    from orderbridge.ccxt.classes import _blocking, _Routed

    edit.__signature__ = None  # type: ignore[attr-defined]
    del edit.__signature__  # type: ignore[attr-defined]
    passed = _blocking(_Routed("edit_order", edit))
    passed(exchange, "7", SWAP)

    assert asked == []
    assert venue.calls[POST] == 1


def test_everything_else_is_ccxts(venue: FakeBinance, exchange: Any) -> None:
    """Markets, balances, precision and raw endpoints, by the object itself."""
    import ccxt

    theirs = ccxt.binance(venue.config())

    assert exchange.load_markets() == theirs.load_markets()
    assert exchange.fetch_balance() == theirs.fetch_balance()
    assert exchange.amount_to_precision(PAIR, 0.123456789) == theirs.amount_to_precision(PAIR, 0.123456789)
    assert exchange.private_get_account() == theirs.private_get_account()
