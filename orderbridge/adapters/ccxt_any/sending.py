"""
New orders on their way out: what each exchange takes, row by row, and the call of ccxt's that places one.

ccxt sends what an exchange does not know beside a plain order, whatever its `features` say. So a row stands for a
request that was captured, and names what the exchange documents: its field, its words, and the currency of an amount.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from typing import Any, Final

from orderbridge.adapters.ccxt_any.exchanges import ClientIds, Stops, Traits
from orderbridge.errors import NotSupported, OrderDenied
from orderbridge.gateway import ClientIdRule
from orderbridge.model.basics import OrderType, Side, TimeInForce, plain
from orderbridge.model.request import OrderRequest

_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
_LETTERS, _DASHED, _DOTTED = "A-Za-z0-9", "A-Za-z0-9_-", "A-Za-z0-9_.-"


def _ids(alphabet: str = _LETTERS, longest: int = 32, **more: Any) -> ClientIds:
    return ClientIds(ClientIdRule(alphabet=alphabet, max_length=longest), **more)


# Alphabet and length are the exchange's own; where it documents none, letters and digits, of which ours are 26. Not
# here are those that want a number, and those whose rows do not show the id.
_CLIENT_IDS: Final[Mapping[str, ClientIds]] = {
    "binance aster weex": _ids(_DASHED, 36, fetch=True),
    "bybit": _ids(_DASHED, 36, fetch=True),
    "okx": _ids(fetch=True, stop_sent_as="algoClOrdId", row_field="algoClOrdId"),
    "gate": _ids(_DOTTED, 26, fetch=True, prefix="t-"),
    "kucoin": _ids(_DASHED, 40, fetch=True),
    "htx": _ids(_DASHED, 64, fetch=True),
    "bitget bitstamp mexc bitrue delta hashkey": _ids(fetch=True),
    "coinsph": _ids(fetch=True, sent_as="newClientOrderId"),
    "phemex": _ids(longest=40, fetch=True),
    # It makes small letters of all.
    "bingx": _ids("a-z0-9", 40, fetch=True),
    # Of 18 characters; QueryOrders does not take it.
    "kraken": _ids(longest=18),
    # ccxt puts an id of its own in place of clientOrderId, but not of Coinbase's name for it.
    "coinbase": _ids(_DASHED, 36, sent_as="client_order_id"),
    "cryptocom": _ids(_DASHED, 36, sent_as="client_oid"),
    "coinbaseexchange": _ids("a-z0-9-", 36, fetch=True, is_uuid=True),
    "bitvavo": _ids("a-z0-9-", 36, fetch=True, is_uuid=True, row_field="clientOrderId"),
    "onetrading revolutx": _ids("a-z0-9-", 36, is_uuid=True),
    "gemini": _ids("A-Za-z0-9:_.#-", 100),
    "bittrade": _ids(_DASHED, 64),
    "alpaca": _ids(_DASHED, 48),
    "bigone latoken": _ids(_DASHED, 36),
    "whitebit": _ids(_DOTTED),
    "xt": _ids("A-Za-z0-9_"),
    "blockchaincom": _ids(longest=20),
    "toobit btcturk": _ids(sent_as="newClientOrderId"),
    "indodax": _ids(sent_as="client_order_id"),
    "bithumb btcmarkets btse cex cryptomus deepcoin foxbit lbank poloniex tokocrypto upbit": _ids(),
}

_STOP, _STOP_LIMIT, _GAIN = OrderType.STOP_LOSS, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT
_BY_SIDE: Final[dict[str, Any]] = {"loss": "stopLossPrice", "gain": "takeProfitPrice"}
# Not here are those where ccxt sends none (MEXC, Bitstamp), and Gate, where the client id of one would leave in a field
# that is not the exchange's: a lost one would be taken for absent. Nor Bitget, where what a plan becomes when triggered
# has another id, and Crypto.com, which keeps them in lists that are not read.
_STOPS: Final[Mapping[str, Stops]] = {
    "binance kraken bitvavo bingx kucoin": Stops(frozenset({_STOP, _STOP_LIMIT, _GAIN}), **_BY_SIDE),
    # By stopLossPrice OKX would be asked for margin, and Bybit to reduce only. Both tell by the market's price from
    # which side a trigger is reached. What an algo order of OKX's becomes shows its algoClOrdId.
    "okx": Stops(frozenset({_STOP, _STOP_LIMIT, _GAIN}), loses_id=False),
    "bybit": Stops(frozenset({_STOP, _STOP_LIMIT, _GAIN})),
    "coinbase": Stops(frozenset({_STOP_LIMIT, _GAIN}), **_BY_SIDE),
    "bitfinex hitbtc blockchaincom tokocrypto": Stops(frozenset({_STOP, _STOP_LIMIT})),
    # It places an order after the trigger, and ccxt lists what is in the one state for open ones.
    "bigone": Stops(frozenset({_STOP, _STOP_LIMIT}), loses_id=True),
    "alpaca bullish gemini onetrading": Stops(frozenset({_STOP_LIMIT})),
    # Its own list of triggers is of contracts: on the spot market one is an order of a type like any other.
    "htx": Stops(frozenset({_STOP_LIMIT}), loses_id=False),
}

# What differs from the features that ccxt declares, by exchange.
_TAKES: Final[tuple[tuple[str, Any, str], ...]] = (
    # Others go out under a name or in a word that is not the exchange's, or were not captured.
    (
        "times_in_force",
        frozenset({_GTC}),
        "bitso bitflyer bitstamp coinbaseinternational coinmate delta independentreserve indodax latoken luno ndax "
        "onetrading p2b phemex",
    ),
    # ccxt refuses FOK, or the exchange has none.
    ("times_in_force", frozenset({_GTC, _IOC}), "deepcoin kraken"),
    # FOK leaves in the exchange's own word, and is not declared.
    ("times_in_force", frozenset({_GTC, _IOC, _FOK}), "alpaca revolutx"),
    # It goes out under a name that is not the exchange's, or was not captured.
    (
        "post_only",
        False,
        "bitbank bitflyer bitrue bitso bitstamp coinbaseinternational coincheck coinmate delta independentreserve luno "
        "mercado ndax onetrading p2b phemex",
    ),
    # It leaves as a type of its own, and is not declared.
    ("post_only", True, "lbank"),
    # ccxt refuses orders at market, or those without a price, or sends them as others.
    ("order_types", frozenset({OrderType.LIMIT}), "btcbox derive hyperliquid nado"),
    # Orders at market are not declared, and leave as such.
    ("order_types", frozenset({OrderType.LIMIT, OrderType.MARKET}), "cryptomus woo"),
    # A cost goes out as an amount that names no currency.
    ("quote_sides", frozenset(), "bitrue coinex"),
    # Buys leave in a field for quote; sells cannot, or not of every kind of account, or with a field of ccxt's own.
    ("quote_sides", frozenset({Side.BUY}), "btse bybit coincheck coinmate cryptomus indodax luno okx toobit"),
    # The cost leaves in a field for quote.
    ("quote_sides", frozenset(Side), "coinbaseexchange revolutx zebpay"),
    # ccxt wants a cost of every order at market.
    ("base_sides", frozenset(), "zebpay"),
    # ccxt takes it as a parameter only, or its own call sends a price along.
    ("quote_as", "cost", "backpack btse coinbaseexchange cryptomus indodax mexc revolutx toobit zebpay"),
    # ccxt forgets a cost that has no price beside it.
    ("quote_as", "cost price", "bithumb"),
    # ccxt refuses the cost that it asks for, and not the field for it.
    ("quote_as", "market_buy_amount", "coincheck"),
    # ccxt sends the amount of such a buy as quote.
    ("quote_as", "amount", "coinmate luno"),
    # An order that was triggered is another one there, and shows its algoId.
    ("becomes", "ordId", "okx"),
    # Of other accounts the amount would be one of quote.
    ("base_buys_if", "is_unified_enabled", "bybit"),
    # The order is amended in its place and keeps its id.
    ("edits", True, "bitvavo bullish bybit coinbase gate kraken okx"),
)

# Exchanges that take a market buy in base: the field of the request, one beside it or its address is for base, and what
# is there for quote is another.
_BASE_BUYS: Final = (
    "alpaca aster backpack binance bingx bitbank bitbns bitfinex bitflyer bitso bitstamp bitteam bitvavo blockchaincom "
    "btcmarkets bullish bybit cex coinbaseexchange cryptocom deepcoin deribit foxbit hashkey hitbtc hollaex "
    "independentreserve kraken kucoin mexc ndax onetrading pacifica phemex revolutx whitebit woo"
)


# A field of `Traits`, its value, and the exchanges that it is so of.
SENDING: Final[tuple[tuple[str, Any, str], ...]] = (
    *(("client_ids", ids, names) for names, ids in _CLIENT_IDS.items()),
    *(("stops", stops, names) for names, stops in _STOPS.items()),
    *_TAKES,
    ("base_sides", frozenset(Side), _BASE_BUYS),
)


def refuse_untaken(request: OrderRequest, traits: Traits, gateway: str) -> None:
    """NotSupported: what the capabilities have no word for, such as the currency of a size, or a stop with a life."""
    at_market = request.price is None
    takes_market = OrderType.MARKET in traits.order_types
    if takes_market and request.quantity is not None and at_market and request.side not in traits.base_sides:
        also = "give quote_quantity, or " if request.side in traits.quote_sides else ""
        raise NotSupported(
            f"{gateway} may take the quantity of a {request.side} at market for an amount of quote: "
            f"{also}use a limit order"
        )
    if request.quote_quantity is not None and (
        request.side not in traits.quote_sides or request.type is not OrderType.MARKET
    ):
        kind = request.type.replace("_", " ")
        raise NotSupported(f"{gateway} cannot size a {request.side} {kind} in quote: give quantity in base")
    if request.client_order_id and traits.client_ids and traits.client_ids.wire(request.client_order_id) is None:
        text = f"client_order_id {request.client_order_id!r} is no UUID, which {gateway} wants"
        raise OrderDenied(text, rule="client_order_id")
    if request.stop_price is not None:
        if request.time_in_force is not _GTC or request.post_only:
            raise NotSupported(f"{gateway} takes no post_only or time in force of an order with a stop price")
        if at_market and traits.stops and _STOP not in traits.stops.types:
            raise NotSupported(f"{gateway} takes orders with a stop price only with a price too")


def creation(
    request: OrderRequest, traits: Traits, *, symbol: str, client_order_id: str | None
) -> Callable[[Any], Awaitable[Any]]:
    """
    The call that places an order: amounts as plain text, in a dict of params that nobody else holds.

    A market order is given no price, for there are exchanges where ccxt would multiply by it.

    Args:
        symbol: as ccxt writes it.
    """
    params: dict[str, Any] = deepcopy(dict(request.options))
    if (ids := traits.client_ids) and client_order_id:
        params[(request.stop_price and ids.stop_sent_as) or ids.sent_as] = ids.wire(client_order_id)
    if request.time_in_force is not _GTC:
        params["timeInForce"] = request.time_in_force.upper()
    if request.post_only:
        params["postOnly"] = True
    if request.stop_price is not None and traits.stops:
        params[traits.stops.gain if request.type is _GAIN else traits.stops.loss] = plain(request.stop_price)
    kind, side = "market" if request.price is None else "limit", request.side.value
    amount = None if request.quantity is None else plain(request.quantity)
    price = None if request.price is None else plain(request.price)
    if request.quote_quantity is not None:
        cost = plain(request.quote_quantity)
        if traits.quote_as == "with_cost":
            return lambda exchange: _with_cost(exchange, symbol, side, cost, dict(params))
        amount = cost if traits.quote_as == "amount" else None
        params |= {} if amount else dict.fromkeys(traits.quote_as.split(), cost)

    async def create(exchange: Any) -> Any:
        is_base_buy = kind == "market" and side == "buy" and request.quantity is not None
        if is_base_buy and (asked := traits.base_buys_if) and not (await getattr(exchange, asked)())[-1]:
            raise NotSupported("the account takes the amount of a market buy in quote: give quote_quantity")
        return await exchange.create_order(symbol, kind, side, amount, price, dict(params))

    return create


def _with_cost(exchange: Any, symbol: str, side: str, cost: str, params: dict[str, Any]) -> Awaitable[Any]:
    if exchange.has.get("createMarketOrderWithCost") is True:
        made: Awaitable[Any] = exchange.create_market_order_with_cost(symbol, side, cost, params)
    else:
        made = getattr(exchange, f"create_market_{side}_order_with_cost")(symbol, cost, params)
    return made
