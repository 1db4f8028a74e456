"""What the answers of real exchanges come to, each read by ccxt's own class for the exchange and then by us."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderBridge, OrderRequest
from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.exchanges import Traits
from orderbridge.adapters.ccxt_any.overrides import OVERRIDES, traits_of
from orderbridge.adapters.ccxt_any.watch import Sent
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    MarketClosed,
    NotAdmitted,
    NotSent,
    OrderBridgeError,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    TooManyOpenOrders,
    VenueUnavailable,
)
from orderbridge.placement import SqliteJournal
from orderbridge.venue.meanings import Meaning
from tests.adapters.ccxt_any.failing import error_of
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt

# Each of these is filed by ccxt under a class that sounds like a refusal.
AMBIGUOUS = [
    ("bybit", 200, {"retCode": 170146, "retMsg": "Order creation timeout."}),
    ("bybit", 200, {"retCode": 170141, "retMsg": "Duplicate clientOrderId"}),
    ("kucoin", 200, {"code": "408000", "msg": "Network timeout, please try again later"}),
    ("mexc", 400, {"code": 603, "msg": "Repeated request"}),
    ("gate", 400, {"label": "REPEATED_CREATION", "message": "created already"}),
    ("okx", 200, {"code": "1", "data": [{"sCode": "51016", "sMsg": "Duplicated client order ID"}], "msg": ""}),
    ("onetrading", 500, {"error": "INTERNAL_ERROR"}),
    ("onetrading", 400, {"error": "INTERNAL_ERROR"}),
    ("coinsph", 400, {"code": -1146, "msg": "Order creation timeout"}),
    ("coinsph", 400, {"code": -1001, "msg": "Internal error."}),
    ("derive", 200, {"error": {"code": 9000, "message": "Order confirmation timeout"}}),
    # The same without a text: the class alone refuses nothing.
    ("bybit", 200, {"retCode": 170146, "retMsg": ""}),
    ("coinsph", 400, {"code": -1146}),
    ("okx", 200, {"code": "1", "data": [{"sCode": "51016", "sMsg": ""}], "msg": ""}),
]


async def _answer(
    name: str, status: int, told: Any, client_order_id: str | None
) -> tuple[BaseException, OrderBridgeError]:
    """ccxt's error for an answer to a new order, and ours."""
    ccxt = import_module("ccxt.async_support")
    known = getattr(ccxt, name)()
    traits = traits_of(known)
    body, url = json.dumps(told), "https://exchange.example/api/v3/order"
    raised: BaseException | None = None
    try:
        known.handle_errors(status, "no", url, "POST", {}, body, told, {}, "")
        known.handle_http_status_code(status, "no", url, "POST", body)
    except Exception as error:  # noqa: BLE001 - whatever ccxt makes of it
        raised = error
    assert raised is not None
    codes = CcxtCodes((), replace(traits, order_rows_at=None))
    sent = Sent("POST", url, True, status=status, body=body, failed=raised)
    return raised, await error_of(raised, sent, codes=codes, client_order_id=client_order_id)


@pytest.mark.parametrize(("name", "status", "told"), AMBIGUOUS, ids=lambda value: str(value)[:60])
async def test_ambiguous_codes_free_no_key(name: str, status: int, told: Any) -> None:
    """A time-out, an internal error or a duplicate is unknown, whatever ccxt's class for it is called."""
    raised, ours = await _answer(name, status, told, None)

    assert type(raised).__name__ in {"InvalidOrder", "BadRequest", "AuthenticationError", "DuplicateOrderId"} | (
        {"ExchangeNotAvailable", "ExchangeError"} if status == 500 else set()
    )
    assert type(ours) is OutcomeUnknown


REVIEWED = [
    ("binance", 400, {"code": -2010, "msg": "Duplicate order sent."}, DuplicateClientOrderId),
    ("binanceus", 400, {"code": -2010, "msg": "Duplicate order sent."}, DuplicateClientOrderId),
    ("binance", 400, {"code": -2010, "msg": "Duplicate clientOrderId"}, DuplicateClientOrderId),
    (
        "binance",
        400,
        {"code": -2010, "msg": "Account has insufficient balance for requested action."},
        InsufficientFunds,
    ),
    ("binance", 400, {"code": -2010, "msg": "Order would immediately match and take."}, InvalidOrder),
    ("binance", 400, {"code": -2010, "msg": "This action is disabled on this account."}, PermissionDenied),
    ("binance", 400, {"code": -2010, "msg": "Something new."}, OutcomeUnknown),
    ("binance", 400, {"code": -1013, "msg": "Filter failure: LOT_SIZE"}, InvalidOrder),
    ("binance", 400, {"code": -1121, "msg": "Invalid symbol."}, InvalidOrder),
    ("binance", 408, {"code": -1121, "msg": "Invalid symbol."}, OutcomeUnknown),
    (
        "binance",
        401,
        {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
        AuthenticationFailed,
    ),
    (
        "binance",
        400,
        {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."},
        NotAdmitted,
    ),
    ("binance", 400, {"code": -1006, "msg": "Execution status unknown."}, OutcomeUnknown),
    ("binance", 400, {"code": -1007, "msg": "Timeout waiting for response from backend server."}, OutcomeUnknown),
    ("binance", 400, {"code": -1008, "msg": "Server is overloaded."}, OutcomeUnknown),
    ("kraken", 200, {"error": ["EOrder:Insufficient funds"]}, InsufficientFunds),
    ("kraken", 200, {"error": ["EOrder:Order minimum not met"]}, InvalidOrder),
    ("kraken", 200, {"error": ["EQuery:Unknown asset pair"]}, InvalidOrder),
    ("kraken", 200, {"error": ["EAPI:Invalid key"]}, AuthenticationFailed),
    ("kraken", 200, {"error": ["EGeneral:Permission denied"]}, PermissionDenied),
    ("kraken", 200, {"error": ["EGeneral:Permission denied", "EService:Timeout"]}, OutcomeUnknown),
    ("kraken", 200, {"error": ["EOrder:Duplicate cl_ord_id"]}, DuplicateClientOrderId),
    ("kraken", 200, {"error": ["EGeneral:Invalid arguments:cl_ord_id already in use"]}, DuplicateClientOrderId),
    ("kraken", 200, {"error": ["EGeneral:Invalid arguments:something"]}, OutcomeUnknown),
    ("kraken", 200, {"error": ["EOrder:Unknown order"]}, OutcomeUnknown),
    ("kraken", 200, {"error": ["EService:Busy"]}, OutcomeUnknown),
    ("coinbase", 200, {"success": False, "error_response": {"error": "INSUFFICIENT_FUND"}}, InsufficientFunds),
    (
        "coinbase",
        200,
        {
            "success": False,
            "error_response": {
                "error": "UNKNOWN_FAILURE_REASON",
                "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND",
            },
        },
        InsufficientFunds,
    ),
    (
        "coinbase",
        200,
        {"success": False, "error_response": {"error": "DUPLICATE_CLIENT_ORDER_ID"}},
        DuplicateClientOrderId,
    ),
    ("coinbase", 200, {"success": False, "error_response": {"error": "UNKNOWN_FAILURE_REASON"}}, OutcomeUnknown),
    ("coinbase", 400, {"error": "INVALID_ARGUMENT", "error_details": "duplicate order"}, DuplicateClientOrderId),
    ("coinbase", 403, {"error": "PERMISSION_DENIED"}, PermissionDenied),
    ("coinbase", 401, {"error": "unauthorized"}, AuthenticationFailed),
    ("coinbase", 500, {"error": "internal_server_error"}, OutcomeUnknown),
    ("bitso", 200, {"success": False, "error": {"code": "0356", "message": "duplicated"}}, DuplicateClientOrderId),
    ("bitso", 200, {"success": False, "error": {"code": "0379", "message": "no funds"}}, InsufficientFunds),
    ("bitso", 200, {"success": False, "error": {"code": "0301", "message": "Unknown OrderBook"}}, InvalidOrder),
    ("bitso", 200, {"success": False, "error": {"code": "1000", "message": "no"}}, OutcomeUnknown),
]


def _okx(code: str) -> dict[str, Any]:
    return {"code": "1", "data": [{"clOrdId": "mine", "ordId": "", "sCode": code, "sMsg": "no"}], "msg": "failed"}


def _bitstamp(reason: Any, **more: Any) -> dict[str, Any]:
    return {"status": "error", "reason": reason, **more}


# By exchange, what stands for each meaning, in the form in which the exchange answers.
ANSWERS: dict[str, list[tuple[int, Any, type[OrderBridgeError]]]] = {
    "binance": [
        (400, {"code": -2010, "msg": "Market is closed."}, MarketClosed),
        (400, {"code": -2010, "msg": "Quote quantity market orders are not supported for this symbol."}, InvalidOrder),
        (429, {"code": -1015, "msg": "Too many new orders."}, NotSent),
        (418, {"code": -1003, "msg": "Way too much request weight used; IP banned until 1."}, NotSent),
        (429, {"msg": "Too many new orders."}, OutcomeUnknown),
        (503, {"code": -1003, "msg": "Too many requests queued."}, OutcomeUnknown),
    ],
    "kraken": [
        (200, {"error": ["EAPI:Invalid nonce"]}, NotAdmitted),
        (200, {"error": ["EOrder:Orders limit exceeded"]}, TooManyOpenOrders),
        (200, {"error": ["EService:Market in cancel_only mode"]}, MarketClosed),
        (200, {"error": ["EOrder:Domain rate limit exceeded"]}, OutcomeUnknown),
        (200, {"error": ["EService:Deadline elapsed"]}, OutcomeUnknown),
    ],
    "coinbase": [
        (200, {"success": False, "error_response": {"error": "ORDER_ENTRY_DISABLED"}}, MarketClosed),
        (
            200,
            {
                "success": False,
                "error_response": {
                    "error": "UNKNOWN_FAILURE_REASON",
                    "preview_failure_reason": "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL",
                },
            },
            InvalidOrder,
        ),
    ],
    "okx": [
        (200, _okx("51008"), InsufficientFunds),
        (200, _okx("51000"), InvalidOrder),
        (200, _okx("51016"), DuplicateClientOrderId),
        (200, _okx("51022"), MarketClosed),
        (200, _okx("51174"), TooManyOpenOrders),
        (200, _okx("51155"), PermissionDenied),
        (200, _okx("51149"), OutcomeUnknown),
        (200, _okx("59999"), OutcomeUnknown),
        (401, {"code": "50102", "data": [], "msg": "Timestamp request expired"}, NotAdmitted),
        (401, {"code": "50113", "data": [], "msg": "Invalid Sign"}, AuthenticationFailed),
        (200, {"code": "50004", "data": [], "msg": "Endpoint request timeout"}, OutcomeUnknown),
        (503, {"code": "50001", "data": [], "msg": "Service temporarily unavailable"}, OutcomeUnknown),
    ],
    "bybit": [
        (200, {"retCode": 170131, "retMsg": "Balance insufficient"}, InsufficientFunds),
        (200, {"retCode": 170137, "retMsg": "Order volume decimal too long"}, InvalidOrder),
        (200, {"retCode": 170141, "retMsg": ""}, DuplicateClientOrderId),
        (200, {"retCode": 170151, "retMsg": "The trading pair is not open yet"}, MarketClosed),
        (200, {"retCode": 10002, "retMsg": "invalid request, please check your timestamp"}, NotAdmitted),
        (200, {"retCode": 10003, "retMsg": "API key is invalid."}, AuthenticationFailed),
        (200, {"retCode": 10005, "retMsg": "Permission denied"}, PermissionDenied),
        (200, {"retCode": 10006, "retMsg": "Too many visits!"}, OutcomeUnknown),
        (200, {"retCode": 170146, "retMsg": ""}, OutcomeUnknown),
        (200, {"retCode": 10014, "retMsg": ""}, OutcomeUnknown),
    ],
    "kucoin": [
        (200, {"code": "200004", "msg": "Balance insufficient!"}, InsufficientFunds),
        (400, {"code": "400100", "msg": "Order size below the minimum requirement."}, InvalidOrder),
        (200, {"code": "102426", "msg": "no"}, DuplicateClientOrderId),
        (200, {"code": "400100", "msg": "Duplicate clientOid"}, DuplicateClientOrderId),
        (200, {"code": "400600", "msg": "validation.createOrder.symbolNotAvailable"}, MarketClosed),
        (200, {"code": "200003", "msg": "no"}, TooManyOpenOrders),
        (401, {"code": "400002", "msg": "KC-API-TIMESTAMP Invalid"}, NotAdmitted),
        (401, {"code": "400005", "msg": "Invalid KC-API-SIGN"}, AuthenticationFailed),
        (403, {"code": "400007", "msg": "Access denied--> Require more permission"}, PermissionDenied),
        (200, {"code": "408000", "msg": ""}, OutcomeUnknown),
        (429, {"code": "429000", "msg": "Too many requests."}, OutcomeUnknown),
    ],
    "bitget": [
        (400, {"code": "43012", "msg": "Insufficient balance"}, InsufficientFunds),
        (400, {"code": "45110", "msg": "less than the minimum amount 5 USDT"}, InvalidOrder),
        (400, {"code": "43118", "msg": "clientOrderId duplicate"}, DuplicateClientOrderId),
        (400, {"code": "43115", "msg": "opening soon"}, MarketClosed),
        (400, {"code": "43005", "msg": "Exceed the maximum number of orders"}, TooManyOpenOrders),
        (400, {"code": "40008", "msg": "Request timestamp expired"}, NotAdmitted),
        (400, {"code": "40009", "msg": "sign signature error"}, AuthenticationFailed),
        (400, {"code": "40014", "msg": "Incorrect permissions"}, PermissionDenied),
        (400, {"code": "43002", "msg": "Pending order failed"}, OutcomeUnknown),
        (400, {"code": "40910", "msg": "Operation timed out"}, OutcomeUnknown),
    ],
    "gate": [
        (400, {"label": "BALANCE_NOT_ENOUGH", "message": "Not enough balance"}, InsufficientFunds),
        (400, {"label": "INVALID_PARAM_VALUE", "message": "Your order size is too small."}, InvalidOrder),
        (400, {"label": "POC_FILL_IMMEDIATELY", "message": "it would match"}, InvalidOrder),
        (400, {"label": "TOO_MANY_ORDERS", "message": "no"}, TooManyOpenOrders),
        (
            403,
            {"label": "REQUEST_EXPIRED", "message": "gap from the server time"},
            NotAdmitted,
        ),
        (401, {"label": "INVALID_KEY", "message": "Invalid key provided"}, AuthenticationFailed),
        (403, {"label": "READ_ONLY", "message": "no"}, PermissionDenied),
        (400, {"label": "REPEATED_CREATION", "message": "created already"}, DuplicateClientOrderId),
        (500, {"label": "INTERNAL", "message": "no"}, OutcomeUnknown),
        (400, {"label": "TOO_BUSY", "message": "no"}, OutcomeUnknown),
    ],
    "mexc": [
        (400, {"code": 30004, "msg": "Insufficient position"}, InsufficientFunds),
        (400, {"code": 30002, "msg": "The minimum transaction volume cannot be less than: 5USDT"}, InvalidOrder),
        (400, {"code": 30016, "msg": "trading disabled"}, MarketClosed),
        (400, {"code": 30018, "msg": "no"}, OrderRejected),
        (
            400,
            {"code": 700003, "msg": "Timestamp for this request is outside of the recvWindow."},
            NotAdmitted,
        ),
        (400, {"code": 700002, "msg": "Signature for this request is not valid."}, AuthenticationFailed),
        (400, {"code": 602, "msg": "no"}, AuthenticationFailed),
        (400, {"code": 700007, "msg": "No permission to access the endpoint"}, PermissionDenied),
        (400, {"code": 603, "msg": ""}, OutcomeUnknown),
        (400, {"code": 504, "msg": ""}, OutcomeUnknown),
    ],
    "bitfinex": [
        (500, ["error", 10001, "Invalid order: not enough exchange balance for 1 BTCUSD at 9"], InsufficientFunds),
        (500, ["error", 10001, "Invalid order: minimum size for BTCUSD is 0.00004"], InvalidOrder),
        (500, ["error", 10020, "symbol: invalid"], InvalidOrder),
        (500, ["error", 10114, "nonce: small"], NotAdmitted),
        (500, ["error", 10100, "apikey: digest invalid"], AuthenticationFailed),
        (500, ["error", 10001, "api_key: permission invalid"], PermissionDenied),
        (500, ["error", 10001, "something new"], OutcomeUnknown),
        (500, ["error", 10008, "concurrency"], OutcomeUnknown),
        (500, ["error", 11010, "ratelimit: error"], OutcomeUnknown),
        (502, ["error", 10020, "symbol: invalid"], OutcomeUnknown),
    ],
    "bitstamp": [
        (400, _bitstamp("Insufficient balance for provided user.", response_code="400.009"), InsufficientFunds),
        (
            200,
            _bitstamp(
                {
                    "__all__": [
                        "You need 15.5 USD to open that order. You have only 9.5 USD available."
                        " Check your account balance for details."
                    ]
                }
            ),
            InsufficientFunds,
        ),
        (200, _bitstamp({"__all__": ["Minimum order size is 5.0 EUR."]}), InvalidOrder),
        (400, _bitstamp("no", response_code="400.019"), DuplicateClientOrderId),
        (400, _bitstamp("no", response_code="400.003"), MarketClosed),
        (403, _bitstamp("Invalid nonce", code="API0004"), NotAdmitted),
        (403, _bitstamp("Invalid signature", code="API0005"), AuthenticationFailed),
        (403, _bitstamp("No permission found", code="API0003"), PermissionDenied),
        (400, _bitstamp("timed out", response_code="500.016", order_id="1"), OutcomeUnknown),
        (200, _bitstamp({"__all__": ["Order could not be placed."]}), OutcomeUnknown),
    ],
    "gemini": [
        (406, {"result": "error", "reason": "InsufficientFunds", "message": "no"}, InsufficientFunds),
        (400, {"result": "error", "reason": "InvalidPrice", "message": "no"}, InvalidOrder),
        (400, {"result": "error", "reason": "MarketNotOpen", "message": "no"}, MarketClosed),
        (400, {"result": "error", "reason": "InvalidNonce", "message": "Nonce was used already"}, NotAdmitted),
        (400, {"result": "error", "reason": "InvalidSignature", "message": "no"}, AuthenticationFailed),
        (403, {"result": "error", "reason": "MissingRole", "message": "no"}, PermissionDenied),
        (503, {"result": "error", "reason": "Maintenance", "message": "no"}, OutcomeUnknown),
        (500, {"result": "error", "reason": "System", "message": "no"}, OutcomeUnknown),
        (429, {"result": "error", "reason": "RateLimit", "message": "no"}, OutcomeUnknown),
    ],
}
REVIEWED += [(name, *row) for name, rows in ANSWERS.items() for row in rows]
TWELVE = sorted(ANSWERS)


@pytest.mark.parametrize(("name", "status", "told", "kind"), REVIEWED, ids=lambda value: str(value)[:70])
async def test_reviewed_codes(name: str, status: int, told: Any, kind: type[OrderBridgeError]) -> None:
    """Of an exchange whose codes were reviewed each says what it proves; a new one proves nothing."""
    assert type((await _answer(name, status, told, "mine"))[1]) is kind


@pytest.mark.parametrize("row", [row for row in REVIEWED if row[3] is DuplicateClientOrderId], ids=str)
async def test_without_a_client_id_a_duplicate_is_unknown(row: Any) -> None:
    """There is no id by which to look the other order up."""
    name, status, told, _ = row

    assert type((await _answer(name, status, told, None))[1]) is OutcomeUnknown


@pytest.mark.parametrize("name", TWELVE)
def test_what_ccxt_takes_for_a_nonce_was_not_admitted(name: str) -> None:
    """A nonce or a time stamp that is refused keeps no order waiting: the exchange did not look at it."""
    known = getattr(import_module("ccxt.async_support"), name)()
    rows = traits_of(known).refusals
    by_class = {**known.exceptions["exact"], **known.exceptions.get("spot", {}).get("exact", {})}
    nonces = {code for code, kind in by_class.items() if kind.__name__ == "InvalidNonce"}
    # Of WebSockets, of a version that is gone; and a window that is too wide, which another try would not mend.
    others = {"60006", "30005", "req_time is too much difference from server time", "700005"}

    assert {code: rows.get(code) for code in nonces - others} == dict.fromkeys(nonces - others, Meaning.NOT_ADMITTED)
    assert Meaning.NOT_ADMITTED in rows.values() or name == "coinbase"


@pytest.mark.parametrize("name", TWELVE)
def test_no_trouble_of_the_exchange_is_a_refusal(name: str) -> None:
    """What ccxt has under a class of its own for time-outs, outages and limits stands in no row that refuses."""
    known = getattr(import_module("ccxt.async_support"), name)()
    by_class = {**known.exceptions["exact"], **known.exceptions.get("spot", {}).get("exact", {})}
    rows = traits_of(known).refusals
    passing = {"RequestTimeout", "ExchangeNotAvailable", "RateLimitExceeded", "DDoSProtection", "CancelPending"}

    told = {code: rows[code] for code, kind in by_class.items() if code in rows and kind.__name__ in passing}

    assert set(told.values()) <= {Meaning.THROTTLED, Meaning.UNCLEAR}


async def test_an_order_that_is_not_there_outweighs_a_code_for_anything() -> None:
    """KuCoin has one code for whatever is wrong with a request; a cancel of no order says so by its words."""
    told = {"code": "400100", "msg": "order_not_exist_or_not_allow_to_cancel"}

    raised, _ = await _answer("kucoin", 200, told, None)
    codes = CcxtCodes((), replace(Traits(), **OVERRIDES["kucoin"]))
    sent = Sent("DELETE", "https://exchange.example", False, status=200, body=json.dumps(told), failed=raised)

    assert type(await error_of(raised, sent, codes=codes, call="cancel")) is OrderNotFound


async def test_a_wrong_key_is_told_where_all_refusals_come_with_500() -> None:
    """Bitfinex' own code counts for a read too; without one a 500 may pass."""
    codes = CcxtCodes((), replace(Traits(), **OVERRIDES["bitfinex"]))

    async def read(told: Any) -> OrderBridgeError:
        raised, _ = await _answer("bitfinex", 500, told, None)
        sent = Sent("POST", "https://exchange.example", False, status=500, body=json.dumps(told), failed=raised)
        return await error_of(raised, sent, codes=codes, call="open_orders")

    assert type(await read(["error", 10100, "apikey: invalid"])) is AuthenticationFailed
    assert type(await read(["error", 10000, "unknown"])) is VenueUnavailable


NONCES = {
    "kraken": (200, {"error": ["EAPI:Invalid nonce"]}),
    "binance": (400, {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}),
}


@pytest.mark.parametrize("name", NONCES)
async def test_a_nonce_that_is_refused_keeps_no_order_waiting(name: str, tmp_path: Path) -> None:
    """The exchange did not look at the order: its key is free at once, and the next try may place it."""
    kraken = {"error": [], "result": {"txid": ["OUF4EM-FRGI2-MQMWZD"], "descr": {"order": "buy 1 BTCUSDT @ limit 100"}}}
    binance = {"symbol": "BTCUSDT", "orderId": 28, "price": "100", "origQty": "1", "status": "NEW", "side": "BUY"}
    placed = {
        "kraken": kraken,
        "binance": {**binance, "type": "LIMIT"},
    }
    answers = [NONCES[name], (200, placed[name])]
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="1", price="100")

    def answer(url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        if url.endswith("/AddOrder") or (name == "binance" and method == "POST"):
            return answers.pop(0)
        return 200, {"error": [], "result": {"open": {}}} if name == "kraken" else []

    async with (
        stubbed(name, answer) as known,
        OrderBridge(known.gateway, journal=SqliteJournal(tmp_path / "orders.db")) as bridge,
    ):
        with pytest.raises(AuthenticationFailed):
            await bridge.place(known.gateway.name, request, key="mine")
        order = await bridge.place(known.gateway.name, request, key="mine")

    assert order.order_id in {"OUF4EM-FRGI2-MQMWZD", "28"}
    assert answers == []
