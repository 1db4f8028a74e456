"""
How each exchange's rows are read where ccxt drops, computes or mistakes something: what was reviewed, and why.

Reviewed are the exchange's own rows beside what ccxt's parser makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class QuoteSize:
    """
    Where the row of an order at market has the amount of quote that it was sized by.

    Attributes:
        at: its path. An amount there decides, unless one of the others says when it counts.
        when: the path of a field that names the currency, and the word in it that means quote.
        unless: the path of the size in base, beside which it does not count. every_buy: a market buy has no other size.
        fills: what was filled is told in base and quote as ever.
    """

    at: str
    when: tuple[str, str] | None = None
    unless: str | None = None
    every_buy: bool = False
    fills: bool = True


@dataclass(frozen=True, slots=True)
class RowRules:
    """
    How an exchange's rows are read where ccxt drops, computes or mistakes something.

    A path leads into the exchange's own row: steps are joined by dots, ways that come in question by `|`, the first
    that has a value counts, and `@-8` at its end moves the point. An empty path: no field says it.

    Attributes:
        order, trade: paths by ccxt's names of the fields.
        quote: the size in quote. base_buys: any other market buy is sized in base (True), or that is not told (False);
            None where nobody looked, and then a market buy has no amounts.
        status: the exchange's own word. trigger: its word for the side from which a trigger is reached.
        scaled: the row has its amounts in other units, which ccxt converts.
    """

    order: Mapping[str, str] = field(default_factory=dict)
    trade: Mapping[str, str] = field(default_factory=dict)
    quote: QuoteSize | None = None
    base_buys: bool | None = None
    status: str = "status|state|ordStatus|orderStatus|order_status|order_state"
    trigger: str = ""
    scaled: bool = False


# Of an exchange that nobody looked at.
UNREVIEWED: Final = RowRules()

# What ccxt computes into the row, or takes from a default, has an empty path.
_BASE: Final = RowRules(base_buys=True)
# ccxt reads no amount where the type has the word `market`, and of the type, which has the lifetime too, but one word.
_HTX: Final = RowRules(
    order={
        "amount": "amount",
        "cost": "filled-cash-amount|field-cash-amount",
        "type": "type",
        "timeInForce": "type",
    },
    quote=QuoteSize("amount", every_buy=True),
    trigger="operator",
)

RULES: Final[Mapping[str, RowRules]] = {
    "alpaca": RowRules(quote=QuoteSize("notional", unless="qty"), base_buys=True),
    "aster": RowRules(order={"type": "type"}, base_buys=True),
    # It states quantity and quoteQuantity, whichever was ordered.
    "backpack": RowRules(base_buys=False),
    # Milliseconds of a stop that waits are -1 there, and one of the types says which way a trigger points.
    "binance": RowRules(
        order={"type": "type", "filled": "executedQty", "timestamp": "time|transactTime"},
        quote=QuoteSize("origQuoteOrderQty"),
        base_buys=True,
    ),
    "bingx": RowRules(quote=QuoteSize("origQuoteOrderQty"), base_buys=True),
    "bitbank": _BASE,
    # ccxt takes the time of the last change for that of the creation.
    "bitfinex": RowRules(order={"timestamp": "4", "lastUpdateTimestamp": "5"}, base_buys=True),
    # ccxt does not read the average, and nothing remains of what was cancelled.
    "bitflyer": RowRules(order={"average": "average_price", "remaining": ""}, base_buys=True),
    # ccxt takes what was bought for what was ordered.
    "bitget": RowRules(order={"cost": "quoteVolume|cumExecValue"}, quote=QuoteSize("size|qty", every_buy=True)),
    # ccxt does not read what was filled.
    "bithumb": RowRules(
        order={"filled": "executed_volume", "cost": "executed_funds"},
        quote=QuoteSize("price", when=("ord_type|order_type", "price")),
    ),
    "bitso": RowRules(
        # ccxt reads `client_id`, which Bitso does not have, and drops the stop.
        order={"clientOrderId": "origin_id", "triggerPrice": "stop"},
        quote=QuoteSize("original_value", unless="original_amount"),
        base_buys=True,
    ),
    # The amount of an open order is what remains of it.
    "bitstamp": RowRules(order={"amount": "amount_at_create", "remaining": "amount_remaining|amount"}, base_buys=True),
    "bitteam": RowRules(order={"timeInForce": "", "postOnly": "", "average": "executedPrice"}, base_buys=True),
    "bittrade": _HTX,
    "bitvavo": RowRules(
        order={"clientOrderId": "clientOrderId", "cost": "filledAmountQuote", "lastUpdateTimestamp": "updated"},
        quote=QuoteSize("amountQuote"),
        base_buys=True,
    ),
    "blockchaincom": _BASE,
    "btcmarkets": RowRules(quote=QuoteSize("targetAmount", unless="amount"), base_buys=True),
    # ccxt calls every open order at market closed.
    "btse": RowRules(order={"status": "orderState"}),
    "bullish": RowRules(trade={"cost": "quoteAmount"}, base_buys=True),
    # Without the field the exchange's default counts, which is the quote for a buy at market.
    "bybit": RowRules(
        # Nothing remains of what was cancelled, filled or not.
        order={"remaining": ""},
        quote=QuoteSize("qty", when=("marketUnit", "quoteCoin")),
        base_buys=False,
        trigger="triggerDirection",
    ),
    "cex": RowRules(quote=QuoteSize("requestedAmountCcy2"), base_buys=True),
    "coinbase": RowRules(
        order={"cost": "filled_value"},
        quote=QuoteSize("order_configuration.market_market_ioc.quote_size"),
        base_buys=True,
        trigger="|".join(f"order_configuration.stop_limit_stop_limit_{each}.stop_direction" for each in ("gtc", "gtd")),
    ),
    # ccxt takes what was filled for the size of an order that was sized in funds.
    "coinbaseexchange": RowRules(
        order={"amount": "size"},
        quote=QuoteSize("funds|specified_funds", unless="size"),
        base_buys=True,
        status="done_reason",
    ),
    # ccxt takes what is pending for what was ordered.
    "coincheck": RowRules(order={"amount": "", "remaining": "pending_amount"}),
    # The currency of a size is named by its id. Newer versions of ccxt have this exchange no more.
    "coinex": RowRules(base_buys=False),
    # ccxt calls a live order that filled in part cancelled, and every order a limit one.
    "coinone": RowRules(order={"status": "status", "type": "type"}),
    "coinsph": RowRules(quote=QuoteSize("origQuoteOrderQty"), base_buys=True),
    # ccxt does not read what a stop waits for.
    "cryptocom": RowRules(order={"triggerPrice": "trigger_price", "stopPrice": "ref_price"}, base_buys=True),
    # `value` is of what was ordered.
    "cryptomus": RowRules(order={"cost": "filledValue"}),
    # ccxt makes a GTC of every type that names no lifetime.
    "deepcoin": RowRules(
        order={"timeInForce": "ordType"}, quote=QuoteSize("sz", when=("tgtCcy", "quote_ccy")), base_buys=False
    ),
    "deribit": RowRules(order={"cost": ""}, base_buys=True),
    # Older versions of ccxt read another name.
    "derive": RowRules(order={"amount": "desired_amount|amount"}, base_buys=True),
    # The cost is the price times all of it, and the order of a trade is dropped.
    "foxbit": RowRules(order={"cost": ""}, trade={"order": "order_id"}, base_buys=True),
    # ccxt divides what was spent.
    "gate": RowRules(
        order={"filled": "filled_amount", "cost": "filled_total"},
        quote=QuoteSize("amount", every_buy=True),
        status="finish_as|status",
        trigger="trigger.rule",
    ),
    # A lifetime is one of the options, and no option is no GTC.
    "gemini": RowRules(order={"timeInForce": "options.0"}),
    "hashkey": RowRules(quote=QuoteSize("reqAmount"), base_buys=True),
    "hitbtc": _BASE,
    "hollaex": _BASE,
    "htx": _HTX,
    "hyperliquid": _BASE,
    # `Value` is of what was ordered.
    "independentreserve": RowRules(order={"cost": ""}, base_buys=True),
    # The cost is what was ordered, and a missing status an open one.
    "indodax": RowRules(order={"cost": "", "status": "status|return.order.status"}),
    # Zero stands for no `userref`, which is no id of an order anyway. Of an order sized in quote, documents and rows
    # differ in which currency its other amounts are.
    "kraken": RowRules(
        order={"clientOrderId": "cl_ord_id", "cost": "cost"},
        quote=QuoteSize("vol", when=("oflags", "viqc"), fills=False),
        base_buys=True,
    ),
    # Nanoseconds lose their last digits in ccxt.
    "kucoin": RowRules(
        order={"timestamp": "orderTime|ts|createdAt"},
        quote=QuoteSize("funds", unless="size"),
        base_buys=True,
        trigger="stop|triggerDirection",
    ),
    # Every order at market is an IOC to ccxt; the value of a sale stands where that of a buy by quote would.
    "mexc": RowRules(order={"timeInForce": "timeInForce|type"}, base_buys=False),
    "nado": RowRules(scaled=True),
    "ndax": _BASE,
    # What was ordered in quote is ccxt's cost.
    "okx": RowRules(order={"cost": ""}, quote=QuoteSize("sz", when=("tgtCcy", "quote_ccy")), base_buys=False),
    "onetrading": _BASE,
    # A missing status is an open one to ccxt, the price of one fill the average, and some of its names are not read.
    "pacifica": RowRules(
        order={
            "status": "order_status|os",
            "amount": "initial_amount|amount|a",
            "price": "initial_price|ip|price",
            "average": "average_filled_price",
        },
        base_buys=True,
    ),
    "phemex": RowRules(
        # The cost is what was ordered, where nothing was filled yet.
        order={"cost": "cumQuoteValueEv@-8", "timestamp": "createTimeNs"},
        quote=QuoteSize("quoteQtyEv@-8", when=("qtyType", "ByQuote")),
        base_buys=True,
        scaled=True,
    ),
    "poloniex": RowRules(quote=QuoteSize("amount", unless="quantity"), base_buys=False),
    # It states the quantity, whichever was ordered.
    "tokocrypto": RowRules(
        order={"filled": "executedQty", "cost": "executedQuoteQty|cummulativeQuoteQty"}, base_buys=False
    ),
    "toobit": RowRules(quote=QuoteSize("origQty", every_buy=True)),
    # Of the price that a buy by quote was given ccxt makes its cost.
    "upbit": RowRules(order={"cost": "executed_funds"}, quote=QuoteSize("price", when=("ord_type", "price"))),
    # ccxt takes what was filled for the size of a buy, and calls a stop by what becomes of it.
    "whitebit": RowRules(order={"type": "type"}, base_buys=False),
    # Older versions of ccxt take what was ordered for the cost.
    "woo": RowRules(
        order={"type": "algoType|type", "cost": ""}, quote=QuoteSize("amount", unless="quantity"), base_buys=True
    ),
    # ccxt does not read the value.
    "xt": RowRules(order={"cost": "tradeQuote"}, quote=QuoteSize("origQuoteQty", unless="origQty"), base_buys=True),
    # ccxt does not read what was filled.
    "zebpay": RowRules(order={"filled": "filled"}, quote=QuoteSize("quoteOrderAmount"), base_buys=True),
}
