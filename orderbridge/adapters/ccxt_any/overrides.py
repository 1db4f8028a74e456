"""
Where ccxt's declarations are wrong or say too little: a row for each, and why.

What leaves for a new order stands in `sending`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from orderbridge.adapters.ccxt_any.exchanges import Listing, Traits, declared
from orderbridge.adapters.ccxt_any.rows import RULES
from orderbridge.adapters.ccxt_any.sending import SENDING
from orderbridge.venue.meanings import Meaning, rows_of

_list = partial(Listing, exists=True)

# By exchange, fields of its `Traits`.
_ROWS: Final[Mapping[str, Mapping[str, Any]]] = {
    "bitso": {
        # Declared, and not used: Bitso looks orders up by id alone.
        "order_needs_symbol": False,
        # ccxt asks by book only, refuses `since`, and its source says 100 rows where `features` say 500.
        "open_orders": _list(needs_symbol=True, limit=100, takes_since=False, rows_at=("payload",)),
        # `since` is refused without a marker.
        "trades": _list(needs_symbol=True, limit=100, takes_since=False, rows_at=("payload",)),
        # Oids are letters and digits, and ccxt puts them into the path as they are.
        "id_shape": r"[A-Za-z0-9]{1,64}",
        # An order is looked up and cancelled by its oid alone.
        "numbers_by_market": False,
        # An empty payload is a miss, and an answer without one is none.
        "order_rows_at": ("payload",),
        # Bitso answers with the oids that it cancelled, and with none when it cancelled none.
        "cancel_lists": True,
    },
    "binance": {
        # Requests beyond its limits fail, with status 429; only what a 5xx did is not known.
        "turns_away": True,
        # One answer holds all; there are no pages.
        "open_orders": _list(whole=True, rows_at=()),
        # Without a start the latest trades are shown, and with one those of a day.
        "trades": _list(needs_symbol=True, limit=1000, days_at_once=1, latest=True, rows_at=()),
    },
    "kraken": {
        # One answer holds all open orders.
        "open_orders": _list(whole=True, rows_at=("result", "open")),
        # 50 rows at a time; `features` lack it.
        "trades": _list(limit=50, rows_at=("result", "trades")),
        # An empty result is a miss, and an answer without one is none.
        "order_rows_at": ("result",),
        # Transaction ids, by which alone an order is looked up and cancelled; ccxt would take a comma-separated list.
        "id_shape": r"[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{6}",
        "numbers_by_market": False,
    },
    "coinbase": {
        # The answer tells of further pages.
        "open_orders": _list(more="has_next", rows_at=("orders",)),
        "orders": _list(more="has_next", rows_at=("orders",)),
        # ccxt asks for 100 where `features` say 3000.
        "trades": _list(limit=100, rows_at=("fills",)),
        # Order ids are UUIDs, in a path.
        "id_shape": r"[A-Za-z0-9-]{8,64}",
        "numbers_by_market": False,
    },
    # ccxt refuses to list without a symbol.
    "bithumb": {"open_orders": _list(needs_symbol=True, limit=100)},
    "bybit": {
        # ccxt refuses a look-up without it: older orders may not be shown.
        "fetch_params": {"acknowledged": True},
        # The list is asked for by one id, so an empty one is a miss.
        "order_rows_at": ("result", "list"),
    },
    # Which of two spot accounts its orders go to.
    "kucoin": {"account_call": "load_migration_status"},
    # It gives all that it refuses that status.
    "bitfinex": {"refuses_with_500": True},
    # Its orders are placed and changed by GET; a token is got by POST before an order.
    "deribit": {"gets_write": "/private/(buy|sell|edit|cancel)"},
    "coinbaseinternational": {"gets_write": "/private/(buy|sell|edit|cancel)", "posts_read": "/auth$"},
    # All of its reads are asked by POST, and ccxt has the tick of the price at the load of the markets.
    "hyperliquid": {"posts_read": "/info$", "price_digits": 5},
}


def _refusals(
    code_at: str, *codes: tuple[Meaning, str], texts: tuple[tuple[Meaning, str], ...] = ()
) -> Mapping[str, Any]:
    """What an exchange's codes prove, parted by spaces; and its texts, parted by `|`, of which the first that fits."""
    table = rows_of(*codes) | {text: meaning for meaning, row in texts for text in row.split("|")}
    return {"refusals": table, "code_at": tuple(code_at.split())}


# By exchange, what is certain to be a refusal before anything could rest in the book: ccxt has time-outs, duplicates
# and refusals under the same classes. What is not here is unclear where ccxt's class decides nothing, as it does for
# limits of requests. Each exchange's own time stamps and nonces are checked before a request is looked at: it was not
# admitted.
_REFUSALS: Final[Mapping[str, Mapping[str, Any]]] = {
    # Source: Bitso API v3, "Error codes".
    "bitso": _refusals(
        "error.code",
        (Meaning.FUNDS, "0379 0601 0602"),
        (Meaning.INVALID, "0301-0304 0306-0309 0329 0360 0361 0372 0401-0409 0412 0413"),
        (Meaning.NOT_FOUND, "0312 0357 0380"),
        (Meaning.EXISTS, "0356"),
        (Meaning.NOT_ADMITTED, "0206 0207"),
        (Meaning.CREDENTIALS, "0201 0203-0205 0208-0211 0214 0215 0326"),
        (Meaning.PERMISSION, "0202 0213 0216"),
        (Meaning.THROTTLED, "0801 0802"),
    ),
    # Source: Binance Spot API, "Error codes". -2010 stands for every refusal of the matching engine and for a duplicate
    # alike, so that its texts are listed.
    "binance": _refusals(
        "code msg",
        (Meaning.INVALID, "-1013 -1014 -1020 -1100 -1101 -1102 -1103 -1104 -1105 -1106 -1111 -1114 -1115 -1116"),
        (Meaning.INVALID, "-1117 -1118 -1121 -1128 -1130 -1131"),
        (Meaning.CREDENTIALS, "-1002 -1022 -2008 -2014 -2015"),
        (Meaning.NOT_ADMITTED, "-1021"),
        (Meaning.THROTTLED, "-1003 -1015"),
        texts=(
            (Meaning.EXISTS, "Duplicate order sent."),
            (Meaning.FUNDS, "Account has insufficient balance for requested action."),
            (Meaning.CLOSED, "Market is closed.|This order type is not possible in this trading phase."),
            (Meaning.INVALID, "Price * QTY is zero or less.|Unsupported order combination"),
            (Meaning.INVALID, "Order would immediately match and take.|Order would trigger immediately."),
            (Meaning.INVALID, "Stop price would trigger immediately.|* are not supported for this symbol."),
            (Meaning.PERMISSION, "This action is disabled on this account.|Rest API trading is not enabled."),
            (Meaning.PERMISSION, "This account may not place or cancel orders.|You don't have permission."),
            (Meaning.PERMISSION, "This symbol is restricted for this account."),
            (Meaning.PERMISSION, "This symbol is not permitted for this account."),
        ),
    ),
    # Source: Kraken REST API, "Error messages". A client id that was used before has no text that is documented: words
    # decide. Of a list of errors all have to be refusals.
    "kraken": _refusals(
        "error",
        texts=(
            (Meaning.FUNDS, "EOrder:Insufficient funds"),
            (Meaning.INVALID, "EQuery:Invalid asset pair|EQuery:Unknown asset pair|EQuery:Unknown asset"),
            (Meaning.INVALID, "EGeneral:Invalid arguments|EGeneral:Invalid arguments:price"),
            (Meaning.INVALID, "EGeneral:Invalid arguments:volume|EGeneral:Invalid arguments:viqc"),
            (Meaning.INVALID, "EOrder:Invalid price|EOrder:Invalid price:Invalid price argument"),
            (Meaning.INVALID, "EOrder:Order minimum not met|EOrder:Cost minimum not met"),
            (Meaning.INVALID, "EOrder:Tick size check failed|EOrder:Post only order"),
            (Meaning.TOO_MANY, "EOrder:Orders limit exceeded|EOrder:Scheduled orders limit exceeded"),
            (Meaning.CLOSED, "EService:Market in cancel_only mode|EService:Market in post_only mode"),
            (Meaning.NOT_ADMITTED, "EAPI:Invalid nonce"),
            (Meaning.CREDENTIALS, "EAPI:Invalid key|EAPI:Invalid signature"),
            (Meaning.PERMISSION, "EGeneral:Permission denied|EAccount:Invalid permissions*|ETrade:User Locked"),
            (Meaning.PERMISSION, "EAuth:Account temporary disabled|EAuth:Account unconfirmed"),
            (Meaning.THROTTLED, "EOrder:Domain rate limit exceeded|EAuth:Rate limit exceeded|EAuth:Too many requests"),
        ),
    ),
    # Source: Coinbase Advanced Trade API, "Create Order", `new_order_failure_reason`, and "Errors". A refusal comes
    # with status 200.
    "coinbase": _refusals(
        "error_response.error error_response.preview_failure_reason error",
        (Meaning.FUNDS, "INSUFFICIENT_FUND INSUFFICIENT_FUNDS PREVIEW_INSUFFICIENT_FUND"),
        (Meaning.INVALID, "UNSUPPORTED_ORDER_CONFIGURATION INVALID_SIDE INVALID_PRODUCT_ID INVALID_REQUEST"),
        (Meaning.INVALID, "INVALID_SIZE_PRECISION INVALID_PRICE_PRECISION INVALID_LIMIT_PRICE"),
        (Meaning.INVALID, "INVALID_LIMIT_PRICE_POST_ONLY INELIGIBLE_PAIR INVALID_ARGUMENT PREVIEW_INVALID_*"),
        (Meaning.CLOSED, "ORDER_ENTRY_DISABLED"),
        (Meaning.EXISTS, "DUPLICATE_CLIENT_ORDER_ID"),
        (Meaning.PERMISSION, "PERMISSION_DENIED invalid_scope"),
        (Meaning.CREDENTIALS, "unauthorized authentication_error invalid_authentication_method"),
        (Meaning.CREDENTIALS, "invalid_token revoked_token expired_token"),
    ),
    # Source: OKX API v5, "Error code". An order's own code counts before that of the request.
    "okx": _refusals(
        "data.sCode code",
        (Meaning.FUNDS, "51008 51119 51127 51131"),
        (Meaning.INVALID, "50002 50006 50014-50016 50024 50025 50115 51000-51006 51012 51015 51020 51031 51046-51053"),
        (Meaning.INVALID, "51100 51101 51109-51111 51116 51118 51120-51122 51124 51135-51138 51150 51185 51201-51204"),
        (Meaning.INVALID, "51276-51280"),
        (Meaning.EXISTS, "51011 51016"),
        (Meaning.TOO_MANY, "51025 51102 51103 51174"),
        (Meaning.CLOSED, "51021 51022 51027-51030"),
        (Meaning.NOT_ADMITTED, "50102 50112"),
        (Meaning.CREDENTIALS, "50101 50103-50107 50111 50113 50114 50119"),
        (Meaning.PERMISSION, "50007 50009 50012 50027 50030 50033 50035 50060 50100 50110 50120"),
        (Meaning.PERMISSION, "51009 51010 51024 51155"),
        (Meaning.THROTTLED, "50011 50040 50061"),
    ),
    # Source: Bybit API v5, "Error Codes", of the spot market and of all.
    "bybit": _refusals(
        "retCode",
        (Meaning.FUNDS, "110004 110007 110012 170033 170131"),
        (Meaning.INVALID, "10001 110003 110094 170105 170115-170117 170121 170124 170130 170132-170137 170140 170148"),
        (Meaning.INVALID, "170159 170192-170194 170197 170198 170202-170204 170206 170217 170218 170221 170228 170229"),
        (Meaning.INVALID, "170371 170372"),
        (Meaning.EXISTS, "110072 12141 170141"),
        (Meaning.TOO_MANY, "110020"),
        (Meaning.CLOSED, "170151 170157"),
        (Meaning.NOT_ADMITTED, "10002"),
        (Meaning.CREDENTIALS, "10003 10004 10007 33004"),
        (Meaning.PERMISSION, "10005 10008 10009 10010 10024 10027 10028 10029 170201 170209 170224 170241"),
        (Meaning.THROTTLED, "10006 10018 170005 170222"),
    ),
    # Source: KuCoin API, "Error codes", of the classic and of the high-frequency spot account.
    "kucoin": _refusals(
        "code",
        (Meaning.FUNDS, "102421 200004 230003"),
        (Meaning.INVALID, "102411 102429 102434 102435 400100 400330 400350 400370 400760 600100 600101 900001"),
        (Meaning.EXISTS, "102426"),
        (Meaning.NOT_FOUND, "102436"),
        (Meaning.TOO_MANY, "102427 200003"),
        (Meaning.CLOSED, "200001 400600 600203"),
        (Meaning.NOT_ADMITTED, "400002"),
        (Meaning.CREDENTIALS, "400001 400003-400005"),
        (Meaning.PERMISSION, "200009 400006 400007 400200 400303 400500 411100"),
        (Meaning.THROTTLED, "1015 429000"),
    ),
    # Source: Bitget API v2, "RestAPI error codes".
    "bitget": _refusals(
        "code",
        (Meaning.FUNDS, "25202 40754 40762 43012 43132 45002"),
        (Meaning.INVALID, "40017 40019 40020 40034 40053 40057-40059 40064 40079 40102 40304 40305 40706 40721 40724"),
        (Meaning.INVALID, "40806 40808 40811-40813 40815 40816 40824 41101 41103 41117 42016 43006-43011 43027 43028"),
        (Meaning.INVALID, "43037-43042 43058 45035 45110-45115 400172"),
        (Meaning.EXISTS, "40786 43118 45034 50060"),
        (Meaning.TOO_MANY, "43005 43128"),
        (Meaning.CLOSED, "41114 43115 43119 45043"),
        (Meaning.NOT_ADMITTED, "40004 40005 40008 40078"),
        (Meaning.CREDENTIALS, "40001-40003 40006 40009-40012 40036 40037 40041"),
        (Meaning.PERMISSION, "40014 40016 40018 40024 40031 40035 40038 40061 40068 40085 40100 40101"),
        (Meaning.PERMISSION, "40111 40199 40301 40710 40752 45107"),
    ),
    # Source: Gate API v4, "Error labels".
    "gate": _refusals(
        "label",
        (Meaning.FUNDS, "BALANCE_NOT_ENOUGH MARGIN_BALANCE_NOT_ENOUGH INSUFFICIENT_AVAILABLE"),
        (Meaning.INVALID, "INVALID_PARAM_VALUE INVALID_PROTOCOL INVALID_ARGUMENT INVALID_REQUEST_BODY"),
        (Meaning.INVALID, "MISSING_REQUIRED_PARAM INVALID_CONTENT_TYPE NOT_ACCEPTABLE METHOD_NOT_ALLOWED"),
        (Meaning.INVALID, "INVALID_CLIENT_ORDER_ID INVALID_CURRENCY INVALID_CURRENCY_PAIR INVALID_PRECISION"),
        (Meaning.INVALID, "AMOUNT_TOO_LITTLE AMOUNT_TOO_MUCH SIZE_TOO_SMALL SIZE_TOO_LARGE PRICE_TOO_DEVIATED"),
        (Meaning.INVALID, "QUANTITY_NOT_ENOUGH PRICE_THRESHOLD_EXCEEDED POC_FILL_IMMEDIATELY FOK_NOT_FILL"),
        (Meaning.TOO_MANY, "TOO_MANY_ORDERS"),
        (Meaning.NOT_ADMITTED, "REQUEST_EXPIRED"),
        (Meaning.CREDENTIALS, "AUTHENTICATION_FAILED INVALID_CREDENTIALS INVALID_KEY INVALID_SIGNATURE"),
        (Meaning.CREDENTIALS, "MISSING_REQUIRED_HEADER"),
        (Meaning.PERMISSION, "IP_FORBIDDEN READ_ONLY FORBIDDEN ACCOUNT_LOCKED SUB_ACCOUNT_LOCKED TRADE_RESTRICTED"),
    ),
    # Source: MEXC API v3, "Error Code". ccxt takes an order that does not exist for an error.
    "mexc": _refusals(
        "code",
        (Meaning.FUNDS, "10101 30004 30005"),
        (Meaning.INVALID, "-1121 -1128 10007 10095-10097 10102 30002 30003 30010 30014 30019 30021 30025 30027-30029"),
        (Meaning.INVALID, "30032 30041 30087 44444 700004 700005 700008 700013 730001 730002"),
        (Meaning.NOT_FOUND, "-2013"),
        (Meaning.REFUSED, "30001 30018"),
        (Meaning.CLOSED, "30000 30016"),
        (Meaning.NOT_ADMITTED, "10073 700003"),
        (Meaning.CREDENTIALS, "602 10072 700001 700002"),
        (Meaning.PERMISSION, "30020 60005 70011 700006 700007"),
    ),
    # Source: Bitfinex API v2, "Error/Info Codes". 10001 stands for whatever is wrong with an order.
    "bitfinex": _refusals(
        "1 2",
        (Meaning.INVALID, "10020"),
        (Meaning.NOT_ADMITTED, "10114"),
        (Meaning.CREDENTIALS, "10100 10111-10113"),
        texts=(
            (Meaning.FUNDS, "Invalid order: not enough *"),
            (Meaning.INVALID, "Invalid order: minimum size for *|Invalid order: maximum size for *"),
            (Meaning.PERMISSION, "api_key: permission invalid"),
        ),
    ),
    # Source: Bitstamp API v2, "Response codes" and "Possible authentication errors". Not each answer has a code.
    "bitstamp": _refusals(
        "response_code code reason reason.__all__ error",
        (Meaning.FUNDS, "400.009"),
        (Meaning.INVALID, "400.004 400.005 400.006 400.007 400.008 400.020 400.021 400.022 400.023 400.024 400.025"),
        (Meaning.INVALID, "400.026 400.027 404.003 404.007 API0019 API0020 API0021"),
        (Meaning.EXISTS, "400.019"),
        (Meaning.NOT_FOUND, "404.002"),
        (Meaning.CLOSED, "400.003"),
        (Meaning.NOT_ADMITTED, "API0004 API0017"),
        (Meaning.CREDENTIALS, "API0001 API0005 API0008 API0010 API0011 API0012 API0013 API0014 API0015 API0016"),
        (Meaning.CREDENTIALS, "API0018"),
        (Meaning.PERMISSION, "API0002 API0003 API0006 API0009 403.001 403.002 403.003 403.004 403.006"),
        (Meaning.THROTTLED, "400.002 400.067 400.068"),
        texts=(
            (Meaning.FUNDS, "You *. Check your account balance for details."),
            (Meaning.INVALID, "Minimum order size is *|Price is more than * market price."),
            (Meaning.NOT_ADMITTED, "Invalid nonce"),
        ),
    ),
    # Source: Gemini REST API, "Error Codes".
    "gemini": _refusals(
        "reason",
        (Meaning.FUNDS, "InsufficientFunds"),
        (Meaning.INVALID, "ClientOrderIdTooLong ClientOrderIdMustBeString ConflictingOptions InvalidJson"),
        (Meaning.INVALID, "InvalidOrderType InvalidPrice InvalidQuantity InvalidSide InvalidSymbol"),
        (Meaning.INVALID, "InvalidTimestampInPayload MissingOrderField OptionsMustBeArray UnsupportedOption"),
        (Meaning.CLOSED, "MarketNotOpen"),
        (Meaning.NOT_ADMITTED, "InvalidNonce"),
        (Meaning.CREDENTIALS, "InvalidApiKey InvalidSignature"),
        (Meaning.CREDENTIALS, "MissingApikeyHeader MissingPayloadHeader MissingSignatureHeader"),
        (Meaning.PERMISSION, "MissingRole"),
    ),
}
# Exchanges of one house, which take and answer what the first of each does.
_FAMILIES: Final = {
    "binance": "binanceus",
    "okx": "okxus myokx",
    "bybit": "bybiteu bybitid",
    "gate": "gateeu",
    "hitbtc": "bequant fmfwio",
}
_LIKE: Final = {name: like for like, names in _FAMILIES.items() for name in names.split()}


def _rows_of(name: str) -> Mapping[str, Any]:
    like = _LIKE.get(name, name)
    sent = {field: value for field, value, names in SENDING if like in names.split()}
    return {
        **_ROWS.get(like, {}),
        **sent,
        **_REFUSALS.get(like, {}),
        **({"rows": RULES[like]} if like in RULES else {}),
    }


OVERRIDES: Final[Mapping[str, Mapping[str, Any]]] = {
    name: _rows_of(name)
    for name in sorted({*_ROWS, *_REFUSALS, *RULES, *_LIKE, *" ".join(names for *_, names in SENDING).split()})
}


def traits_of(exchange: Any) -> Traits:
    """What an exchange can do: what ccxt declares of it, corrected by the rows here."""
    return replace(declared(exchange), **OVERRIDES.get(exchange.id, {}))
