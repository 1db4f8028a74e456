"""
Where ccxt's declarations are wrong or say too little: one row for each, and why.

Client order ids stand here only: that an exchange's source mentions them does not show that they work. A row says what
the exchange documents and what was seen to leave ccxt for it; anything beyond a tag needs a round trip on the exchange.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orderbridge.adapters.ccxt_any.exchanges import ClientIds, Listing
from orderbridge.gateway import ClientIdRule
from orderbridge.model.basics import Side, TimeInForce
from orderbridge.venue.meanings import Meaning

Row = tuple[str, Any, str]


def _codes(rows: tuple[tuple[Meaning, str], ...], *, between: str | None = None) -> dict[str, str]:
    return {code.strip(): meaning for meaning, codes in rows for code in codes.split(between)}


# Source: Bitso API v3, "Error codes".
_BITSO_CODES: Final = _codes(
    (
        (Meaning.FUNDS, "0379 0601 0602"),
        (Meaning.INVALID, "0301 0302 0303 0304 0306 0307 0308 0309 0329 0360 0361 0372"),
        (Meaning.INVALID, "0401 0402 0403 0404 0405 0406 0407 0408 0409 0412 0413"),
        (Meaning.NOT_FOUND, "0312 0357 0380"),
        (Meaning.EXISTS, "0356"),
        (Meaning.NOT_ADMITTED, "0206 0207"),
        (Meaning.CREDENTIALS, "0201 0203 0204 0205 0208 0209 0210 0211 0214 0215 0326"),
        (Meaning.PERMISSION, "0202 0213 0216"),
        (Meaning.NO_TRADES, "0378"),
        (Meaning.THROTTLED, "0801 0802"),
        (Meaning.UNCLEAR, "0101 0212 0373 0375"),
    )
)

_BITSO: Final[tuple[Row, ...]] = (
    ("times_in_force", frozenset({TimeInForce.GTC}), "IOC and FOK go out under a name that Bitso does not document"),
    ("post_only", False, "postOnly goes out under a name that Bitso does not document"),
    ("client_ids", None, "the unified client id never reaches Bitso, and is not read back"),
    ("order_needs_symbol", False, "declared, and not used: Bitso looks orders up by id alone"),
    (
        "open_orders",
        Listing(exists=True, needs_symbol=True, limit=100, takes_since=False, rows_at=("payload",)),
        "ccxt asks by book only, refuses `since`, and its source says 100 rows where `features` say 500",
    ),
    (
        "trades",
        Listing(exists=True, needs_symbol=True, limit=100, takes_since=False, rows_at=("payload",)),
        "`since` is refused without a marker",
    ),
    ("id_shape", r"[A-Za-z0-9]{1,64}", "oids are letters and digits, and ccxt puts them into the path as they are"),
    ("numbers_by_market", False, "an order is looked up and cancelled by its oid alone"),
    (
        "info_fields",
        {"client_order_id": "origin_id", "stop_price": "stop"},
        "ccxt reads `client_id`, which Bitso does not have, and drops the stop",
    ),
    ("order_rows_at", ("payload",), "an empty payload is a miss, and an answer without one is none"),
    ("refusals", _BITSO_CODES, "ccxt maps three of Bitso's codes; every other is a plain ExchangeError"),
    ("code_at", ("error.code",), "where Bitso's envelope has its code"),
    ("cancel_lists", True, "Bitso answers with the oids that it cancelled, and with none when it cancelled none"),
)

# Source: Binance Spot API, "Error codes". -2010 stands for every refusal of the matching engine and for a duplicate
# alike, so that its texts are listed. -1021 is checked before an order is admitted.
_BINANCE_CODES: Final = _codes(
    (
        (Meaning.INVALID, "-1013 -1014 -1020 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1111 -1114 -1115 -1116"),
        (Meaning.INVALID, "-1117 -1118 -1121 -1128 -1130 -1131"),
        (Meaning.CREDENTIALS, "-1002 -1022 -2008 -2014 -2015"),
        (Meaning.NOT_ADMITTED, "-1021"),
        (Meaning.THROTTLED, "-1003 -1015"),
        (Meaning.UNCLEAR, "-1000 -1001 -1006 -1007 -1008"),
    )
) | _codes(
    (
        (Meaning.EXISTS, "Duplicate order sent."),
        (Meaning.FUNDS, "Account has insufficient balance for requested action."),
        (Meaning.INVALID, "Market is closed.|Price * QTY is zero or less.|Unsupported order combination"),
        (Meaning.INVALID, "Order would immediately match and take.|Order would trigger immediately."),
        (Meaning.INVALID, "Stop price would trigger immediately.|Market orders are not supported for this symbol."),
        (Meaning.PERMISSION, "This action is disabled on this account.|Rest API trading is not enabled."),
        (Meaning.PERMISSION, "This account may not place or cancel orders.|You don't have permission."),
        (Meaning.PERMISSION, "This symbol is restricted for this account."),
        (Meaning.PERMISSION, "This symbol is not permitted for this account."),
    ),
    between="|",
)

_BINANCE: Final[tuple[Row, ...]] = (
    (
        "client_ids",
        ClientIds(ClientIdRule(alphabet="A-Za-z0-9_-", max_length=36), fetch=True),
        "leaves as newClientOrderId and is found by origClientOrderId; unique among open orders by the documents only",
    ),
    (
        "open_orders",
        Listing(exists=True, whole=True, rows_at=()),
        "one answer holds all open orders; there are no pages",
    ),
    (
        "trades",
        Listing(exists=True, needs_symbol=True, limit=1000, days_at_once=1, latest=True, rows_at=()),
        "without a start the latest trades are shown, and with one those of a day",
    ),
    ("funds_refusal_is_distinct", True, "code -2010 with its text is InsufficientFunds"),
    ("refusals", _BINANCE_CODES, "ccxt has time-outs, duplicates and refusals under the same classes"),
    ("code_at", ("code", "msg"), "where Binance's answers have their code, and what tells -2010 from -2010"),
)

# Source: Kraken REST API, "Error messages". A client id that was used before has no text that is documented: words
# decide.
_KRAKEN_CODES: Final = _codes(
    (
        (Meaning.FUNDS, "EOrder:Insufficient funds"),
        (Meaning.INVALID, "EQuery:Invalid asset pair|EQuery:Unknown asset pair|EQuery:Unknown asset"),
        (Meaning.INVALID, "EGeneral:Invalid arguments|EGeneral:Invalid arguments:price"),
        (Meaning.INVALID, "EGeneral:Invalid arguments:volume|EGeneral:Invalid arguments:viqc"),
        (Meaning.INVALID, "EOrder:Invalid price:Invalid price argument|EOrder:Order minimum not met"),
        (Meaning.INVALID, "EOrder:Cost minimum not met|EOrder:Tick size check failed|EOrder:Post only order"),
        (Meaning.INVALID, "EOrder:Orders limit exceeded"),
        (Meaning.CREDENTIALS, "EAPI:Invalid key|EAPI:Invalid signature"),
        (Meaning.PERMISSION, "EGeneral:Permission denied"),
    ),
    between="|",
)

_KRAKEN: Final[tuple[Row, ...]] = (
    (
        "client_ids",
        ClientIds(ClientIdRule(alphabet="A-Za-z0-9", max_length=18)),
        "leaves as cl_ord_id (18 characters); QueryOrders takes no cl_ord_id, so open orders are searched for it",
    ),
    (
        "times_in_force",
        frozenset({TimeInForce.GTC, TimeInForce.IOC}),
        "Kraken documents GTC, IOC and GTD; `features` declare FOK too",
    ),
    (
        "open_orders",
        Listing(exists=True, whole=True, rows_at=("result", "open")),
        "one answer holds all open orders; there are no pages",
    ),
    (
        "trades",
        Listing(exists=True, limit=50, rows_at=("result", "trades")),
        "TradesHistory gives 50 rows at a time, which `features` do not say",
    ),
    ("order_rows_at", ("result",), "an empty result is a miss, and an answer without one is none"),
    ("refusals", _KRAKEN_CODES, "ccxt has an order that is unknown and one that is too small under the same class"),
    ("code_at", ("error",), "Kraken's list of errors, which all have to be refusals"),
    ("info_fields", {"cost": "cost"}, "Kraken states the cost; ccxt does not read it at all"),
    ("id_shape", r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}", "transaction ids; ccxt would take a comma-separated list"),
    ("numbers_by_market", False, "an order is looked up and cancelled by its transaction id alone"),
)

# Source: Coinbase Advanced Trade API, "Create Order", `new_order_failure_reason`, and "Errors".
_COINBASE_CODES: Final = _codes(
    (
        (Meaning.FUNDS, "INSUFFICIENT_FUND INSUFFICIENT_FUNDS PREVIEW_INSUFFICIENT_FUND"),
        (Meaning.INVALID, "UNSUPPORTED_ORDER_CONFIGURATION INVALID_SIDE INVALID_PRODUCT_ID INVALID_REQUEST"),
        (Meaning.INVALID, "INVALID_SIZE_PRECISION INVALID_PRICE_PRECISION INVALID_LIMIT_PRICE"),
        (Meaning.INVALID, "INVALID_LIMIT_PRICE_POST_ONLY INELIGIBLE_PAIR INVALID_ARGUMENT"),
        (Meaning.EXISTS, "DUPLICATE_CLIENT_ORDER_ID"),
        (Meaning.PERMISSION, "PERMISSION_DENIED invalid_scope"),
        (Meaning.CREDENTIALS, "unauthorized authentication_error invalid_authentication_method"),
        (Meaning.CREDENTIALS, "invalid_token revoked_token expired_token"),
    )
)

_COINBASE: Final[tuple[Row, ...]] = (
    (
        "client_ids",
        ClientIds(ClientIdRule(alphabet="A-Za-z0-9_-", max_length=36), sent_as="client_order_id"),
        "required by Coinbase; ccxt puts an id of its own in place of clientOrderId, but not of Coinbase's name for it",
    ),
    (
        "open_orders",
        Listing(exists=True, more="has_next", rows_at=("orders",)),
        "the answer says whether there are further pages",
    ),
    (
        "orders",
        Listing(exists=True, more="has_next", rows_at=("orders",)),
        "the answer says whether there are further pages",
    ),
    (
        "trades",
        Listing(exists=True, limit=100, rows_at=("fills",)),
        "ccxt asks for 100 fills where `features` say 3000",
    ),
    ("id_shape", r"[A-Za-z0-9-]{8,64}", "order ids are UUIDs in a path"),
    ("numbers_by_market", False, "order ids are UUIDs"),
    ("refusals", _COINBASE_CODES, "ccxt reads the reason of a preview only, and makes ExchangeErrors of these"),
    (
        "code_at",
        ("error_response.error", "error_response.preview_failure_reason", "error"),
        "where a refusal, which comes with status 200, has its reason, and where other errors have theirs",
    ),
)

# An exchange whose market buys are sized in quote states the quote as the amount.
_GATE: Final[tuple[Row, ...]] = (
    (
        "info_fields",
        {"filled": "filled_amount", "cost": "filled_total"},
        "ccxt drops what was filled, and takes the size of a market buy for its cost",
    ),
)

_BYBIT: Final[tuple[Row, ...]] = (
    ("fetch_params", {"acknowledged": True}, "ccxt refuses a look-up without it: older orders may not be shown"),
    ("order_rows_at", ("result", "list"), "the list is asked for by one id, so an empty one is a miss"),
)

_FOXBIT: Final[tuple[Row, ...]] = (
    (
        "info_fields",
        {"amount": "quantity", "remaining": "quantity_remaining"},
        "ccxt takes the quantity of an order for what remains of it, and adds what was executed",
    ),
)

_ROWS: Final[Mapping[str, tuple[Row, ...]]] = {
    "bitso": _BITSO,
    "binance": _BINANCE,
    "binanceus": _BINANCE,
    "kraken": _KRAKEN,
    "coinbase": _COINBASE,
    "gate": _GATE,
    "gateeu": _GATE,
    "foxbit": _FOXBIT,
    "mexc": (
        ("refusals", _codes(((Meaning.NOT_FOUND, "-2013"),)), "ccxt takes an order that does not exist for an error"),
        ("code_at", ("code",), "where MEXC's answers have their code"),
    ),
    "bithumb": (
        ("open_orders", Listing(exists=True, needs_symbol=True, limit=100), "ccxt refuses to list without a symbol"),
    ),
    "bybit": _BYBIT,
    "bybiteu": _BYBIT,
    "bybitid": _BYBIT,
    "deribit": (("gets_write", True, "its orders are placed by GET"),),
    "coinbaseinternational": (("gets_write", True, "its orders may be placed by GET"),),
    "dydx": (("gets_write", True, "its transactions are broadcast by GET"),),
}

# How a market buy in base leaves ccxt, by exchange: where its field, or one beside it for quote, shows the currency.
_BASE_BUYS: Final[Mapping[str, str]] = {
    "alpaca": "as qty, and quote as notional",
    "binance": "as quantity, and quote as quoteOrderQty",
    "binanceus": "as quantity, and quote as quoteOrderQty",
    "bingx": "as quantity, and quote as quoteOrderQty",
    "bitbank": "as amount, which is of the base",
    "bitso": "as major, and quote as minor",
    "coinbaseexchange": "as size, and quote as funds",
    "deepcoin": "as sz with tgtCcy base_ccy",
    "independentreserve": "as volume, of the primary currency",
    "kraken": "as volume, and quote with oflags viqc",
    "kucoin": "as size, and quote as funds",
    "mexc": "as quantity, and quote as quoteOrderQty",
    "phemex": "with qtyType ByBase",
    "whitebit": "to order/stock_market, which is in base",
}


def _with_base_buys(name: str) -> tuple[Row, ...]:
    rows = _ROWS.get(name, ())
    if name not in _BASE_BUYS:
        return rows
    return (*rows, ("base_sides", frozenset(Side), f"a market buy in base goes out {_BASE_BUYS[name]}"))


OVERRIDES: Final[Mapping[str, tuple[Row, ...]]] = {
    name: _with_base_buys(name) for name in sorted({*_ROWS, *_BASE_BUYS})
}
