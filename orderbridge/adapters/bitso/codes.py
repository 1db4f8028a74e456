"""
What Bitso's error codes mean to us, as data; and the errors they stand for in the answer to a write.

Source: Bitso API v3, "Error codes" pages, and the older single-page reference for codes up to 0376.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    MarketClosed,
    OrderBridgeError,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    TooManyOpenOrders,
    VenueError,
    VenueFacts,
)
from orderbridge.model.basics import Word


class Meaning(Word):
    """
    What a code says about the request that got it.

    `nonce`, `credentials` and `permission` are told before the request is admitted. `refused` and the classes
    beside it (`invalid`, `funds`, `closed`, `too_many`) prove that nothing was done. `exists`: the client id is
    taken. `not_matched`: it exists without trades. `not_ready`: its trades cannot be read yet. `unclear`: it may
    have been done.
    """

    NONCE = "nonce"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    REFUSED = "refused"
    INVALID = "invalid"
    FUNDS = "funds"
    CLOSED = "closed"
    TOO_MANY = "too_many"
    EXISTS = "exists"
    NOT_FOUND = "not_found"
    NOT_MATCHED = "not_matched"
    NOT_READY = "not_ready"
    THROTTLED = "throttled"
    UNCLEAR = "unclear"


def _span(first: int, last: int) -> str:
    return " ".join(f"{code:04}" for code in range(first, last + 1))


# Every documented code once. What is not here is unclear.
_ROWS: Final[tuple[tuple[Meaning, str], ...]] = (
    (Meaning.NONCE, "0206 0207"),
    (Meaning.CREDENTIALS, "0201 0203 0204 0205 0208 0209 0210 0211 0214 0215 0326"),
    (Meaning.PERMISSION, "0202 0213 0216"),
    (Meaning.FUNDS, "0379 0601 0602"),
    (Meaning.INVALID, "0301 0302 0303 0304 0306 0307 0308 0309 0329 0360 0361 0372"),
    (Meaning.INVALID, f"{_span(401, 409)} 0412 0413"),
    (Meaning.CLOSED, "0410 0411 1008"),
    (Meaning.TOO_MANY, "1001"),
    (Meaning.EXISTS, "0356"),
    (Meaning.NOT_FOUND, "0312 0357 0380 1401"),
    (Meaning.NOT_MATCHED, "0378"),
    (Meaning.NOT_READY, "0377"),
    (Meaning.THROTTLED, "0801 0802"),
    (Meaning.REFUSED, f"0305 0310 0311 {_span(313, 325)} 0327 0328 {_span(330, 355)} 0358 0359"),
    (Meaning.REFUSED, f"{_span(362, 371)} 0374 0376 0381 0382"),
    (Meaning.REFUSED, f"{_span(501, 504)} 0506 {_span(701, 732)} 0901 1005"),
    (Meaning.REFUSED, "1201 1202 1299 1301 1302 1303"),
    (Meaning.UNCLEAR, f"0101 0102 0212 0373 0375 {_span(414, 418)}"),
    (Meaning.UNCLEAR, f"1000 1002 1003 1004 1006 1007 1009 {_span(1101, 1106)} 1402 {_span(1700, 1707)}"),
)
MEANINGS: Final[Mapping[str, Meaning]] = {code: meaning for meaning, codes in _ROWS for code in codes.split()}


def fold_code(code: object) -> str:
    """The four-character form: old answers carried a bare integer."""
    return str(code).strip().zfill(4)


def meaning_of(code: str) -> Meaning:
    """What a folded code means; `unclear` when we do not know it."""
    return MEANINGS.get(code, Meaning.UNCLEAR)


# An allow-list: whatever is not here leaves the outcome unknown.
REFUSALS: Final[Mapping[Meaning, type[VenueError]]] = {
    Meaning.CREDENTIALS: AuthenticationFailed,
    Meaning.PERMISSION: PermissionDenied,
    Meaning.FUNDS: InsufficientFunds,
    Meaning.INVALID: InvalidOrder,
    Meaning.CLOSED: MarketClosed,
    Meaning.TOO_MANY: TooManyOpenOrders,
    Meaning.REFUSED: OrderRejected,
    Meaning.NOT_READY: OrderRejected,
    Meaning.NOT_MATCHED: OrderRejected,
}


class NotAdmitted(Exception):
    """Refused for its nonce before it was looked at: it may be sent once more with a fresh one."""

    def __init__(self, error: AuthenticationFailed) -> None:
        super().__init__(str(error))
        self.error = error


def write_error(
    text: str, facts: VenueFacts, *, order_id: str | None, client_order_id: str | None
) -> OrderBridgeError | NotAdmitted:
    """
    The error for a refused or unclear write.

    Bitso's statuses follow the code's category, yet not always; a refusal that comes with a 5xx is unclear all
    the same, since it may be a proxy's.
    """
    code, status = facts.get("code") or "", facts.get("http_status") or 0
    meaning = meaning_of(code)
    unclear = OutcomeUnknown(
        text,
        order_id=order_id,
        client_order_id=client_order_id,
        gateway=facts.get("gateway"),
        operation=facts.get("operation"),
    )
    if meaning is Meaning.THROTTLED or status in {420, 429}:
        # Whether a throttled write was looked at is not documented.
        unclear.__cause__ = RateLimited(text, **facts)
        return unclear
    if status >= 500:
        unclear.__cause__ = VenueError(text, **facts)
        return unclear
    if meaning is Meaning.NONCE:
        return NotAdmitted(AuthenticationFailed(text, **facts))
    if meaning is Meaning.EXISTS:
        return DuplicateClientOrderId(text, client_order_id=client_order_id, **facts)
    if meaning is Meaning.NOT_FOUND and code.startswith("03"):
        # A new order names no other; a change does, by its oid.
        return OrderNotFound(text, **facts) if order_id else OrderRejected(text, **facts)
    if meaning in REFUSALS:
        return REFUSALS[meaning](text, **facts)
    unclear.__cause__ = VenueError(text, **facts)
    return unclear
