"""What leaves for everything that a gateway claims, on every exchange of ccxt's whose request can be shown offline."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import localcontext
from typing import Any, Final

import ccxt.async_support
import pytest

from orderbridge import OrderEdit, OrderRef, OrderRequest
from orderbridge.adapters.ccxt_any.watch import Watch
from orderbridge.client_ids import mint
from orderbridge.errors import NotSupported
from orderbridge.http.limits import Limiter
from orderbridge.model.basics import Side
from orderbridge.venue.submit import order_as_asked
from tests.adapters.ccxt_any.captured import SYMBOL, Left, captured, capturing, exchange_of, leaving
from tests.adapters.ccxt_any.test_exchanges import traits_of

pytestmark = pytest.mark.ccxt
# Lighter signs with a library that is not part of ccxt, and Coinbase International with a key that is not made here.
UNSHOWN: Final = frozenset({"lighter", "coinbaseinternational"})
LIMIT: Final[dict[str, Any]] = {"side": "buy", "type": "limit", "quantity": "0.5", "price": "40000"}


def _is_usable(name: str) -> bool:
    known = getattr(ccxt.async_support, name)()
    return known.has.get("spot") is not False and bool(known.has.get("fetchOrder") or known.has.get("fetchOpenOrders"))


# Accounts of another kind, whose orders go to other addresses or say other things.
KINDS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("bitget", {"uta": False}),
    ("bybit", {"enableUnifiedMargin": False, "enableUnifiedAccount": False}),
    ("gate", {"unifiedAccount": True}),
    ("kucoin", {"hf": True}),
    ("kucoin", {"uta": True}),
]
SHOWN: Final = [name for name in ccxt.async_support.exchanges if name not in UNSHOWN and _is_usable(name)]


@pytest.mark.parametrize("name", SHOWN)
async def test_an_order_leaves_alone(name: str) -> None:
    """One write leaves, and it is the order; no fee is approved for anyone, and none is named as who brought it."""
    left = await captured(name, **LIMIT)
    (order,) = [each for each in left if each.is_write]
    texts = " ".join(f"{each.path} {sorted(each.flat)}" for each in left)

    assert order is left[-1]
    assert re.search(r"builder|integrator|setReferrer|approve", texts, re.IGNORECASE) is None
    # Nado has its builder in the upper bits of a number.
    assert int(order.flat.get("place_order.order.appendix", 0)) < 2**32


# Where ccxt's name is put in by what signs the request.
SIGNED_IN: Final = {"woo": {"broker_id"}, "xt": {"media"}}
FOR_ANOTHER: Final = re.compile(r"broker|partner|referr|channel|source|fb-client|^tag$|^media$", re.IGNORECASE)


@pytest.mark.parametrize("name", SHOWN)
async def test_an_order_is_nobody_elses(name: str) -> None:
    """No header and no field tells an exchange whom it is to pay for the order."""
    (*_, order) = await captured(name, **LIMIT)
    told = {field.rpartition(".")[2]: value for field, value in order.flat.items()} | order.headers
    odd = {field for field, value in told.items() if FOR_ANOTHER.search(field) or str(value).lower() == "ccxt"}

    assert odd == SIGNED_IN.get(name, set())


async def test_a_callers_own_name_stays() -> None:
    """Whoever has an agreement with the exchange says so in ccxt's options, and it reaches the exchange."""
    async with capturing("bybit", brokerId="mine") as (gateway, left):
        (*_, order) = await leaving(gateway, left, **LIMIT)
    (*_, other) = await captured("cryptocom", **LIMIT, options={"broker_id": "mine"})

    assert order.headers["Referer"] == "mine"
    assert other.flat["params.broker_id"] == "mine"


def test_fees_for_ccxt_are_given_back_with_the_object() -> None:
    """A caller's own object is afterwards as the caller had it."""
    known = exchange_of("hyperliquid")
    before = {name: known.options.get(name) for name in ("builderFee", "approvedBuilderFee")}
    watch = Watch(known, Limiter(None), log="test")

    watch.release()

    assert {name: known.options.get(name) for name in before} == before
    assert "handle_builder_fee_approval" not in vars(known)


@pytest.mark.parametrize(
    ("name", "method", "path", "is_write"),
    [
        ("deribit", "GET", "/api/v2/private/sell", True),
        ("deribit", "GET", "/api/v2/private/get_order_state", False),
        ("hyperliquid", "POST", "/info", False),
        ("hyperliquid", "POST", "/exchange", True),
        ("kraken", "POST", "/0/private/QueryOrders", True),
        ("binance", "GET", "/api/v3/order", False),
    ],
)
def test_a_write_is_told_by_its_path(name: str, method: str, path: str, is_write: bool) -> None:
    """What is not known to read by POST, or to write by GET, is told by its method."""
    assert traits_of(name).writes(method, f"https://api.example.com{path}") is is_write


STOP: Final[dict[str, Any]] = {"side": "sell", "quantity": "0.5", "stop_price": "39000"}
# Fields that every request has anew.
ANEW: Final = re.compile(r"nonce|sign|sig$|time$|timestamp|expir|id$|^ts$|key|^[rsv]$")
# Names of ccxt's own, by the exchanges whose own they are too: elsewhere they would stand beside a plain order, unread.
OWN: Final = {
    "timeInForce": "aster backpack binance binanceus bingx bitget bitopro bitrue bitvavo blockchaincom btcmarkets btse"
    " bullish bybit bybiteu bybitid cex coinsph hashkey kucoin mexc poloniex tokocrypto toobit weex xt zebpay",
    "postOnly": "backpack bitvavo btcmarkets btse kucoin whitebit",
    "triggerPrice": "bybit bybiteu bybitid kucoin",
    "clientOrderId": "bitvavo btcmarkets cex latoken poloniex whitebit xt zebpay",
    # Beside the exchange's own word for it (Tokocrypto's by the oldest ccxt only), and beside the field for quote.
    "postOnly beside": "aster bitopro tokocrypto",
    "createMarketBuyOrderRequiresPrice": "bitget",
    "stopLossPrice": "",
    "takeProfitPrice": "",
    "cost": "",
}
CLIENT_ID_IN: Final = {
    "newClientOrderId": "aster binance binanceus bingx bitrue btcturk coinsph hashkey mexc toobit weex",
    "orderLinkId": "bybit bybiteu bybitid",
    "0.clOrdId": "myokx okx okxus",
    "text": "gate gateeu",
    "clientOid": "bitget kucoin",
    "client-order-id": "bittrade htx",
    "client_order_id": "alpaca bigone bithumb bitstamp coinbase cryptomus delta foxbit gemini indodax revolutx",
    "cl_ord_id": "kraken",
    "params.client_oid": "cryptocom",
    "clOrdId": "blockchaincom deepcoin",
    "clOrderId": "btse",
    "clOrdID": "phemex",
    "custom_id": "lbank",
    "clientId": "tokocrypto",
    "identifier": "upbit",
    "clientOrderId": "bitvavo btcmarkets cex latoken poloniex whitebit xt",
    "client_oid": "coinbaseexchange",
    "client_id": "onetrading",
}
# The field of a market buy's size in base, or the path that says so, and of one in quote: every exchange's own words.
BASE_IN: Final = {
    "qty": "alpaca bybit bybiteu bybitid",
    "quantity": "aster backpack bequant binance binanceus bingx bitbns bullish fmfwio foxbit hashkey hitbtc mexc woo",
    "Quantity": "ndax",
    "amount": "bitbank bitfinex bitstamp bitteam bitvavo btcmarkets deribit onetrading pacifica whitebit",
    "size": "bitflyer coinbaseexchange hollaex kucoin",
    "major": "bitso",
    "orderQty": "blockchaincom",
    "amountCcy1": "cex",
    "params.quantity": "cryptocom",
    "sz": "deepcoin",
    "0.sz": "myokx okx okxus",
    "volume": "independentreserve kraken",
    "baseQtyEv": "phemex",
    "order_configuration.market.base_size": "revolutx",
}
# What stands beside a field that has quote in it elsewhere.
SAID_TO_BE_BASE: Final = {
    "bybit bybiteu bybitid": "marketUnit baseCoin",
    "deepcoin": "tgtCcy base_ccy",
    "myokx okx okxus": "0.tgtCcy base_ccy",
    "phemex": "qtyType ByBase",
    "hashkey": "/api/v1.1/spot/order",
    "whitebit": "/api/v4/order/stock_market",
    "bitstamp": "/api/v2/buy/market/BTCUSDT/",
    "bitbns": "/api/trade/v1/placeMarketOrderQnty/BTCUSDT",
}
# Orders at market that ccxt refuses, sends as others, or wants a price of.
NO_MARKET: Final = frozenset(["btcbox", "coinone", "derive", "gemini", "hyperliquid", "nado", "p2b", "zaif"])
# The amount of a market buy is of a currency that neither a field nor a document known here names.
NOT_TOLD: Final = {"bit2c", "bitopro", "bitrue", "btcturk", "coinex", "delta", "latoken", "mercado", "weex"}
QUOTE_IN: Final = {
    "quoteOrderQty": "binance binanceus bingx coinsph mexc tokocrypto",
    "quoteQuantity": "backpack",
    "notional": "alpaca",
    "amountQuote": "bitvavo",
    "counter_volume": "luno",
    "funds": "coinbaseexchange kucoin",
    "order_configuration.market_market_ioc.quote_size": "coinbase",
    "order_configuration.market.quote_size": "revolutx",
    "quoteOrderSize": "btse",
    "quoteOrderAmount": "zebpay",
    "quoteQty": "xt",
    "total": "coinmate",
    "market_buy_amount": "coincheck",
    "value": "cryptomus",
    "USDT": "indodax",
    # Of a market buy these are quote by the exchange's documents, or by a field beside them.
    "amount": "bigone bittrade digifinex gate gateeu htx poloniex whitebit woo",
    "price": "bithumb lbank upbit",
    "qty": "bitget bybit bybiteu bybitid",
    "quantity": "hashkey toobit",
    "volume": "kraken",
    "sz": "deepcoin",
    "0.sz": "myokx okx okxus",
}


def _names(table: dict[str, str], name: str) -> set[str]:
    return {field for field, names in table.items() if name in names.split()}


def _check_fields(name: str, order: Left) -> None:
    """Nothing leaves under a name that is ccxt's and not the exchange's."""
    left = {path.rpartition(".")[2] for path in order.flat}
    assert left & OWN.keys() <= {field.removesuffix(" beside") for field in _names(OWN, name)}


@pytest.mark.parametrize(("name", "account"), [*((name, {}) for name in SHOWN), *KINDS])
async def test_what_is_claimed_leaves_in_a_form_of_its_own(name: str, account: dict[str, Any]) -> None:
    """Every life, flag, stop and order at market that is declared changes the request, by the exchange's own names."""
    traits = traits_of(name)
    can = traits.capabilities
    asked: list[dict[str, Any]] = [{**LIMIT, "time_in_force": life} for life in can.times_in_force - {"gtc"}]
    asked += [{**LIMIT, "post_only": True}] if can.post_only else []
    # Of an account that takes a market buy in quote the one in base is refused.
    sides = traits.base_sides - ({Side.BUY} if "enableUnifiedAccount" in account else set())
    if "market" in can.order_types:
        asked += [{"type": "market", "side": side, "quantity": "0.5"} for side in sides]
    asked += [{**STOP, "type": kind, "price": "38000"} for kind in can.order_types & {"stop_limit", "take_profit"}]
    if "stop_loss" in can.order_types and Side.SELL in traits.base_sides:
        asked += [{**STOP, "type": kind} for kind in can.order_types & {"stop_loss", "take_profit"}]
    async with capturing(name, **account) as (gateway, left):
        (*_, plain) = await leaving(gateway, left, **LIMIT)
        requests = [(order, (await leaving(gateway, left, **order))[-1]) for order in asked]

    _check_fields(name, plain)
    for order, made in requests:
        _check_fields(name, made)
        differs = {field for field in {*made.flat, *plain.flat} if made.flat.get(field) != plain.flat.get(field)}
        told = {field for field in differs if ANEW.search(field.lower().rpartition(".")[2]) is None}
        assert told or made.path != plain.path, order
        amounts = {str(value).lstrip("-") for value in made.flat.values()}
        if order.get("quantity") and name not in {"phemex", "nado"}:
            assert amounts >= {each for each in (order["quantity"], order.get("stop_price")) if each}, order


@pytest.mark.parametrize("name", SHOWN)
async def test_what_is_not_claimed_stays(name: str) -> None:
    """It is refused, and nothing leaves."""
    traits = traits_of(name)
    can = traits.capabilities
    lives = [{**LIMIT, "time_in_force": life} for life in {"ioc", "fok"} - can.times_in_force]
    flags = [] if can.post_only else [{**LIMIT, "post_only": True}]
    stops = [
        {**STOP, "type": kind, **({} if kind == "stop_loss" else {"price": "38000"})}
        for kind in {"stop_loss", "stop_limit", "take_profit"} - can.order_types
    ]
    sizes = [{"type": "market", "side": side, "quantity": "0.5"} for side in set(Side) - traits.base_sides]
    sizes += [{"type": "market", "side": side, "quote_quantity": "100"} for side in set(Side) - traits.quote_sides]

    async with capturing(name) as (gateway, left):
        for order in [*lives, *flags, *stops, *sizes]:
            with pytest.raises(NotSupported):
                await gateway.submit(OrderRequest(symbol=SYMBOL, **order))

    assert left == []


@pytest.mark.parametrize("name", [name for name in SHOWN if traits_of(name).client_ids])
async def test_client_ids_leave_as_the_exchanges_own(name: str) -> None:
    """In its own field, once, with its prefix, of stops too; and look-ups ask by it and by no order id."""
    ids = traits_of(name).client_ids
    assert ids is not None
    id = mint(1_767_607_200.0, max_length=ids.rule.max_length)
    wired = ids.wire(id)
    order = (await captured(name, **LIMIT, client_order_id=id))[-1]

    assert [field for field, value in order.flat.items() if wired == value] == list(_names(CLIENT_ID_IN, name))
    assert sum(str(wired) in str(value) for value in order.flat.values()) == 1
    if {"stop_limit"} & traits_of(name).capabilities.order_types:
        stop = (await captured(name, **STOP, type="stop_limit", price="38000", client_order_id=id))[-1]
        assert wired in stop.flat.values()
    if ids.fetch:
        async with capturing(name) as (gateway, left):
            await gateway.lookup(OrderRef(gateway=gateway.name, client_order_id=id, symbol=SYMBOL))
        asked = [each for each in left if str(wired) in f"{each.path} {each.fields}"]
        assert asked
        for each in asked:
            texts = [each.path.rpartition("/")[2].removeprefix("client:"), *map(str, each.flat.values())]
            assert texts.count(str(wired)) == 1
            assert not {"orderId", "order_id", "ordId", "id"} & {key for key, value in each.flat.items() if value}


@pytest.mark.parametrize(
    ("name", "account", "side"),
    [
        (name, account, side)
        for name, account in [*((name, {}) for name in SHOWN), *KINDS]
        for side in sorted(traits_of(name).quote_sides)
        if traits_of(name).capabilities.quote_sizing
    ],
)
async def test_a_size_in_quote_leaves_in_a_field_for_quote(name: str, account: dict[str, Any], side: str) -> None:
    """A cost is never taken for a quantity of the base."""
    async with capturing(name, **account) as (gateway, left):
        order = (await leaving(gateway, left, type="market", side=side, quote_quantity="100"))[-1]
    expected = {"bitget": "size"} if account == {"uta": False} else {"kucoin": "size"} if "uta" in account else {}
    _check_fields(name, order)

    assert [field for field, value in order.flat.items() if str(value) == "100"] == [
        expected.get(name) or next(iter(_names(QUOTE_IN, name)))
    ]


@pytest.mark.parametrize("name", SHOWN)
async def test_a_market_buy_leaves_as_base_where_that_is_said(name: str) -> None:
    """Elsewhere it is refused with what to do instead, and a size in quote goes out where the exchange takes that."""
    buy = {"type": "market", "side": "buy", "quantity": "0.5"}
    if not (field := next(iter(_names(BASE_IN, name)), None)):
        by_quote = bool(_names(QUOTE_IN, name))
        assert by_quote is not (name in NO_MARKET | NOT_TOLD)
        hint = "no market orders" if name in NO_MARKET else "give quote_quantity, or use" if by_quote else "use a limit"
        with pytest.raises(NotSupported, match=hint):
            await captured(name, **buy)
        return
    order = (await captured(name, **buy))[-1]
    said = next((said for names, said in SAID_TO_BE_BASE.items() if name in names.split()), "")
    key, _, word = said.partition(" ")

    assert field in [each for each, value in order.flat.items() if str(value) in {"0.5", "50000000"}]
    assert (order.flat.get(key) == word) if word else not said or order.path == said


@pytest.mark.parametrize("name", ["bybit", "bybiteu", "bybitid"])
async def test_what_the_currency_hangs_on_is_asked_for_once(name: str) -> None:
    """Of accounts that are not unified the amount of a market buy would be one of quote: refused, nothing is placed."""
    unified = {"enableUnifiedMargin": True, "enableUnifiedAccount": False}
    async with capturing(name, **unified) as (gateway, left):
        with pytest.raises(NotSupported, match="quote_quantity"):
            await gateway.submit(OrderRequest.market(symbol=SYMBOL, side="buy", quantity="0.5"))
        with pytest.raises(NotSupported, match="in quote"):
            await gateway.submit(OrderRequest.market(symbol=SYMBOL, side="sell", quote_quantity="100"))
        assert left == []
        await leaving(gateway, left, type="market", side="sell", quantity="0.5")
    async with capturing(name) as (gateway, asked):
        for _ in range(2):
            await leaving(gateway, asked, type="market", side="buy", quantity="0.5")

    assert [each.path for each in left] == ["/v5/order/create"]
    assert [each.is_write for each in asked].count(False) == 2


@pytest.mark.parametrize("name", [name for name in SHOWN if traits_of(name).edits])
async def test_an_edit_leaves_as_an_amendment(name: str) -> None:
    """One write, of the order's id and of what changes only: nothing is cancelled and placed anew."""
    asked = OrderRequest(symbol=SYMBOL, **LIMIT)
    order = order_as_asked(
        asked, venue="ccxt", account="default", order_id="12345678", client_order_id=None, observed_at=datetime.now(UTC)
    )
    for changes in ({"price": "41000"}, {"quantity": "0.6"}, {"quantity": "0.6", "price": "41000"}):
        async with capturing(name) as (gateway, left):
            editing = gateway.parts.editing
            assert editing is not None
            call = editing.call(order, OrderEdit(**changes))
            # ccxt sets the context that it computes in, which a gateway keeps from others.
            with suppress(Exception), localcontext():
                await call.make(gateway._exchange)
        (amendment,) = [each for each in left if each.is_write]
        texts = {str(value) for value in amendment.flat.values()} | set(amendment.path.split("/"))
        assert texts >= {"12345678", *changes.values()}
        assert not texts & ({"0.5", "40000"} | ({"0.6", "41000"} - set(changes.values())))
        assert re.search(r"cancel|replace", f"{amendment.path} {sorted(amendment.flat)}", re.IGNORECASE) is None
