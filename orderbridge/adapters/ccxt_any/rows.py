"""
How each exchange's rows are read where ccxt drops, computes or mistakes something: what was reviewed, and why.

Reviewed are the exchange's own rows beside what ccxt's parser makes of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_OWN_STATUS: Final = "status|state|ordStatus|orderStatus|order_status|order_state"


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

    at: str = ""
    when: tuple[str, str] | None = None
    unless: str = ""
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
    quote: QuoteSize = QuoteSize()
    base_buys: bool | None = None
    status: str = _OWN_STATUS
    trigger: str = ""
    scaled: bool = False


def _read(
    quote: QuoteSize = QuoteSize(),
    *,
    base_buys: bool | None = True,
    trade: Mapping[str, str] | None = None,
    own_status: str = _OWN_STATUS,
    trigger: str = "",
    scaled: bool = False,
    **order: str,
) -> RowRules:
    """The rules of an exchange, with the paths of an order's fields by ccxt's names."""
    return RowRules(order, trade or {}, quote, base_buys, own_status, trigger, scaled)


# Of an exchange that nobody looked at.
UNREVIEWED: Final = RowRules()

# What ccxt computes into the row, or takes from a default, has an empty path.
_RULES: Final[Mapping[str, RowRules]] = {
    # Of these ccxt's parser says what their rows do.
    "bitbank blockchaincom hitbtc hollaex hyperliquid ndax onetrading": _read(),
    # ccxt reads no amount where the type has the word `market`, and of the type, which has the lifetime too, but one
    # word.
    "htx bittrade": _read(
        QuoteSize("amount", every_buy=True),
        amount="amount",
        cost="filled-cash-amount|field-cash-amount",
        type="type",
        timeInForce="type",
        base_buys=None,
        trigger="operator",
    ),
    "alpaca": _read(QuoteSize("notional", unless="qty")),
    "aster": _read(type="type"),
    # It states quantity and quoteQuantity, whichever was ordered.
    "backpack": _read(base_buys=False),
    # Milliseconds of a stop that waits are -1 there, and one of the types says which way a trigger points.
    "binance": _read(QuoteSize("origQuoteOrderQty"), type="type", filled="executedQty", timestamp="time|transactTime"),
    "bingx coinsph": _read(QuoteSize("origQuoteOrderQty")),
    # ccxt takes the time of the last change for that of the creation.
    "bitfinex": _read(timestamp="4", lastUpdateTimestamp="5"),
    # ccxt does not read the average, and nothing remains of what was cancelled.
    "bitflyer": _read(average="average_price", remaining=""),
    # ccxt takes what was bought for what was ordered.
    "bitget": _read(QuoteSize("size|qty", every_buy=True), cost="quoteVolume|cumExecValue", base_buys=None),
    # ccxt does not read what was filled.
    "bithumb": _read(
        QuoteSize("price", when=("ord_type|order_type", "price")),
        filled="executed_volume",
        cost="executed_funds",
        base_buys=None,
    ),
    # ccxt reads `client_id`, which Bitso does not have, and drops the stop.
    "bitso": _read(
        QuoteSize("original_value", unless="original_amount"), clientOrderId="origin_id", triggerPrice="stop"
    ),
    # The amount of an open order is what remains of it.
    "bitstamp": _read(amount="amount_at_create", remaining="amount_remaining|amount"),
    "bitteam": _read(timeInForce="", postOnly="", average="executedPrice"),
    "bitvavo": _read(
        QuoteSize("amountQuote"), clientOrderId="clientOrderId", cost="filledAmountQuote", lastUpdateTimestamp="updated"
    ),
    "btcmarkets": _read(QuoteSize("targetAmount", unless="amount")),
    # ccxt calls every open order at market closed.
    "btse": _read(status="orderState", base_buys=None),
    "bullish": _read(trade={"cost": "quoteAmount"}),
    # Without the field the exchange's default counts, which is the quote for a buy at market. Nothing remains of what
    # was cancelled, filled or not.
    "bybit": _read(
        QuoteSize("qty", when=("marketUnit", "quoteCoin")), remaining="", base_buys=False, trigger="triggerDirection"
    ),
    "cex": _read(QuoteSize("requestedAmountCcy2")),
    "coinbase": _read(
        QuoteSize("order_configuration.market_market_ioc.quote_size"),
        cost="filled_value",
        trigger="|".join(f"order_configuration.stop_limit_stop_limit_{each}.stop_direction" for each in ("gtc", "gtd")),
    ),
    # ccxt takes what was filled for the size of an order that was sized in funds.
    "coinbaseexchange": _read(
        QuoteSize("funds|specified_funds", unless="size"), amount="size", own_status="done_reason"
    ),
    # ccxt takes what is pending for what was ordered.
    "coincheck": _read(amount="", remaining="pending_amount", base_buys=None),
    # The currency of a size is named by its id. Newer versions of ccxt have this exchange no more.
    "coinex": _read(base_buys=False),
    # ccxt calls a live order that filled in part cancelled, and every order a limit one.
    "coinone": _read(status="status", type="type", base_buys=None),
    # ccxt does not read what a stop waits for.
    "cryptocom": _read(triggerPrice="trigger_price", stopPrice="ref_price"),
    # `value` is of what was ordered.
    "cryptomus": _read(cost="filledValue", base_buys=None),
    # ccxt makes a GTC of every type that names no lifetime.
    "deepcoin": _read(QuoteSize("sz", when=("tgtCcy", "quote_ccy")), timeInForce="ordType", base_buys=False),
    "deribit": _read(cost=""),
    # Older versions of ccxt read another name.
    "derive": _read(amount="desired_amount|amount"),
    # The cost is the price times all of it, and the order of a trade is dropped.
    "foxbit": _read(cost="", trade={"order": "order_id"}),
    # ccxt divides what was spent.
    "gate": _read(
        QuoteSize("amount", every_buy=True),
        filled="filled_amount",
        cost="filled_total",
        base_buys=None,
        own_status="finish_as|status",
        trigger="trigger.rule",
    ),
    # A lifetime is one of the options, and no option is no GTC.
    "gemini": _read(timeInForce="options.0", base_buys=None),
    "hashkey": _read(QuoteSize("reqAmount")),
    # `Value` is of what was ordered.
    "independentreserve": _read(cost=""),
    # The cost is what was ordered, and a missing status an open one.
    "indodax": _read(cost="", status="status|return.order.status", base_buys=None),
    # Zero stands for no `userref`, which is no id of an order anyway. Of an order sized in quote, documents and rows
    # differ in which currency its other amounts are.
    "kraken": _read(QuoteSize("vol", when=("oflags", "viqc"), fills=False), clientOrderId="cl_ord_id", cost="cost"),
    # Nanoseconds lose their last digits in ccxt.
    "kucoin": _read(
        QuoteSize("funds", unless="size"), timestamp="orderTime|ts|createdAt", trigger="stop|triggerDirection"
    ),
    # Every order at market is an IOC to ccxt; the value of a sale stands where that of a buy by quote would.
    "mexc": _read(timeInForce="timeInForce|type", base_buys=False),
    "nado": _read(base_buys=None, scaled=True),
    # What was ordered in quote is ccxt's cost.
    "okx": _read(QuoteSize("sz", when=("tgtCcy", "quote_ccy")), cost="", base_buys=False),
    # A missing status is an open one to ccxt, the price of one fill the average, and some of its names are not read.
    "pacifica": _read(
        status="order_status|os",
        amount="initial_amount|amount|a",
        price="initial_price|ip|price",
        average="average_filled_price",
    ),
    # The cost is what was ordered, where nothing was filled yet.
    "phemex": _read(
        QuoteSize("quoteQtyEv@-8", when=("qtyType", "ByQuote")),
        cost="cumQuoteValueEv@-8",
        timestamp="createTimeNs",
        scaled=True,
    ),
    "poloniex": _read(QuoteSize("amount", unless="quantity"), base_buys=False),
    # It states the quantity, whichever was ordered.
    "tokocrypto": _read(filled="executedQty", cost="executedQuoteQty|cummulativeQuoteQty", base_buys=False),
    "toobit": _read(QuoteSize("origQty", every_buy=True), base_buys=None),
    # Of the price that a buy by quote was given ccxt makes its cost.
    "upbit": _read(QuoteSize("price", when=("ord_type", "price")), cost="executed_funds", base_buys=None),
    # ccxt takes what was filled for the size of a buy, and calls a stop by what becomes of it.
    "whitebit": _read(type="type", base_buys=False),
    # Older versions of ccxt take what was ordered for the cost.
    "woo": _read(QuoteSize("amount", unless="quantity"), type="algoType|type", cost=""),
    # ccxt does not read the value.
    "xt": _read(QuoteSize("origQuoteQty", unless="origQty"), cost="tradeQuote"),
    # ccxt does not read what was filled.
    "zebpay": _read(QuoteSize("quoteOrderAmount"), filled="filled"),
}
RULES: Final[Mapping[str, RowRules]] = {name: rules for names, rules in _RULES.items() for name in names.split()}
