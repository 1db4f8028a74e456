"""What the answers of real exchanges come to, each read by ccxt's own class for the exchange and then by us."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.exchanges import corrected, declared
from orderbridge.adapters.ccxt_any.overrides import OVERRIDES
from orderbridge.adapters.ccxt_any.watch import Sent
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    OrderBridgeError,
    OutcomeUnknown,
    PermissionDenied,
)
from tests.adapters.ccxt_any.failing import error_of

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
    traits = corrected(declared(known), OVERRIDES.get(name, ()))
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
        AuthenticationFailed,
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


@pytest.mark.parametrize(("name", "status", "told", "kind"), REVIEWED, ids=lambda value: str(value)[:70])
async def test_reviewed_codes(name: str, status: int, told: Any, kind: type[OrderBridgeError]) -> None:
    """Of an exchange whose codes were reviewed each says what it proves; a new one proves nothing."""
    assert type((await _answer(name, status, told, "mine"))[1]) is kind


@pytest.mark.parametrize("row", [row for row in REVIEWED if row[3] is DuplicateClientOrderId], ids=str)
async def test_without_a_client_id_a_duplicate_is_unknown(row: Any) -> None:
    """There is no id by which to look the other order up."""
    name, status, told, _ = row

    assert type((await _answer(name, status, told, None))[1]) is OutcomeUnknown
