"""Answers of Bitcain's that are no success, and the errors they stand for: tables for reads and writes, and texts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.wire import pick
from orderbridge.errors import (
    AuthenticationFailed,
    InsufficientFunds,
    InvalidOrder,
    OrderNotActive,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    VenueError,
    VenueFacts,
)
from orderbridge.http.retry import retry_after
from orderbridge.model.results import Answer, Found

# How long a 429 without a Retry-After stops us, in seconds.
LOCK_OUT: Final = 60.0
# FastAPI's text for a path that no route serves. Every other JSON 404 is about the thing asked for.
NO_ROUTE: Final = "Not Found"
# FastAPI's text for a missing or malformed bearer, sent with 403 by its older versions.
NOT_AUTHENTICATED: Final = "not authenticated"


class Verdict(StrEnum):
    """What an answer to a read means."""

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    ABSENT = "absent"
    THROTTLED = "throttled"
    AGAIN = "again"
    REFUSED = "refused"
    MOVED = "moved"


# None but the 422 is documented. Reads only.
VERDICT_ON_READ: Final[Mapping[int, Verdict]] = {
    401: Verdict.CREDENTIALS,
    403: Verdict.PERMISSION,
    404: Verdict.ABSENT,
    408: Verdict.AGAIN,
    425: Verdict.AGAIN,
    429: Verdict.THROTTLED,
}
ERROR_FOR: Final[Mapping[Verdict, type[VenueError]]] = {
    Verdict.CREDENTIALS: AuthenticationFailed,
    Verdict.PERMISSION: PermissionDenied,
    Verdict.ABSENT: OrderNotFound,
    Verdict.THROTTLED: RateLimited,
    Verdict.REFUSED: VenueError,
}


class HistoryHidden(Exception):
    """Raised inside the adapter: this server does not serve its history route. The list is used instead."""


class TokenRefused(Exception):
    """Raised inside the adapter: that token was not accepted; `error` if no newer one helps."""

    def __init__(self, error: AuthenticationFailed) -> None:
        super().__init__(str(error))
        self.error = error
        self.generation = 0


def verdict_on_read(status: int, payload: object) -> Verdict:
    """What a status outside 2xx means on a read; `payload` is None when the body is no JSON."""
    if status == 403 and detail_text(payload).lower() == NOT_AUTHENTICATED:
        return Verdict.CREDENTIALS
    known = VERDICT_ON_READ.get(status)
    if known is not None:
        return known
    if status >= 500:
        return Verdict.AGAIN
    return Verdict.REFUSED if status >= 400 else Verdict.MOVED


def is_proof_of_absence(payload: object) -> bool:
    """
    Whether a 404 is about the order and not about the path.

    Only the server's own shapes count: a proxy's "no route matched" would otherwise prove that no order exists.
    """
    if not isinstance(payload, Mapping) or detail_text(payload) == NO_ROUTE:
        return False
    return bool(payload.get("detail")) or (payload.get("success") is False and bool(explain(payload)))


def is_shadowed_history(payload: object) -> bool:
    """Whether this 422 took the word `history` for an order id, because the other route was there first."""
    return any(
        item.get("type") == "uuid_parsing" and _loc(item)[:1] == ("path",) and item.get("input") == "history"
        for item in _faults(payload)
    )


def explain(payload: object) -> str:
    """What the server says went wrong, in its own words; empty when it says nothing."""
    if lines := fault_lines(payload):
        return "; ".join(lines)
    if not isinstance(payload, Mapping):
        return ""
    for name in wire.FAILURE_TEXT:
        value = pick(payload, (name,))
        if isinstance(value, Mapping):
            value = pick(value, ("message", "error", "code"))
        if isinstance(value, str):
            return value
    return ""


def fault_lines(payload: object) -> list[str]:
    """What a 422 lists, a line for each fault; empty for every other answer."""
    return [_fault_text(item) for item in _faults(payload)]


def code_of(payload: object) -> str | None:
    """The server's own code for what went wrong, when it gives one."""
    if faults := _faults(payload):
        value = faults[0].get("type")
        return value if isinstance(value, str) else None
    if not isinstance(payload, Mapping):
        return None
    detail = payload.get("detail")
    value = pick(detail, ("code",)) if isinstance(detail, Mapping) else None
    value = value or pick(payload, ("error_code", "code"))
    return str(value) if isinstance(value, (str, int)) else None


def detail_text(payload: object) -> str:
    """FastAPI's `detail` when it is text."""
    detail = payload.get("detail") if isinstance(payload, Mapping) else None
    return detail if isinstance(detail, str) else ""


def lock_out_of(headers: Mapping[str, str], *, now: float) -> float:
    """How many seconds a 429 locks us out."""
    stated = retry_after(headers.get("retry-after"), now=now)
    return LOCK_OUT if stated is None else stated


def _faults(payload: object) -> list[Mapping[str, Any]]:
    detail = payload.get("detail") if isinstance(payload, Mapping) else None
    return [item for item in detail if isinstance(item, Mapping)] if isinstance(detail, list) else []


def _loc(item: Mapping[str, Any]) -> tuple[str, ...]:
    loc = item.get("loc")
    return tuple(str(part) for part in loc) if isinstance(loc, list) else ()


def _fault_text(item: Mapping[str, Any]) -> str:
    # Not `input`: at login it is the password.
    text = f"{'.'.join(_loc(item))}: {item.get('msg')}"
    ctx = item.get("ctx")
    expected = ctx.get("expected") if isinstance(ctx, Mapping) else None
    return f"{text} (expected {expected})" if expected and str(expected) not in text else text


SUBMIT: Final = "submit"
EDIT: Final = "edit"
RETRY: Final = "retry_failed"
CANCEL: Final = "cancel"

# Allow-lists by call and status, for a complete JSON answer with a `detail`: whatever is not here leaves the outcome
# unknown. A 409 to a new order may mean that its id exists, so it refuses nothing.
# None but the 422 is documented.
_CHANGE: Final[Mapping[int, type[VenueError]]] = {
    400: InvalidOrder,
    402: InsufficientFunds,
    403: PermissionDenied,
    404: OrderNotFound,
    409: OrderNotActive,
    422: InvalidOrder,
}
REFUSALS: Final[Mapping[str, Mapping[int, type[VenueError]]]] = {
    SUBMIT: {
        400: OrderRejected,
        402: InsufficientFunds,
        403: OrderRejected,
        404: OrderRejected,
        422: InvalidOrder,
    },
    EDIT: _CHANGE,
    RETRY: _CHANGE,
    CANCEL: {
        400: OrderNotActive,
        403: PermissionDenied,
        404: OrderNotFound,
        409: OrderNotActive,
        422: VenueError,
    },
}
# Unclear, and worth another try where the call may be repeated: of the writes, a cancel only.
PASSING: Final = frozenset({408, 425, 429})


def write_error(
    operation: str,
    payload: object,
    text: str,
    facts: VenueFacts,
    *,
    order_id: str | None = None,
    client_order_id: str | None = None,
) -> VenueError | OutcomeUnknown | TokenRefused:
    """
    The error for an answer that is no success.

    Args:
        payload: None when the body is no JSON.
        text: what the server says, for the message.
    """
    status = facts.get("http_status") or 0
    said = payload if isinstance(payload, Mapping) else {}
    if said and (status == 401 or (status == 403 and detail_text(said).lower() == NOT_AUTHENTICATED)):
        return TokenRefused(AuthenticationFailed(text, **facts))
    kind = REFUSALS[operation].get(status) if said.get("detail") else None
    if kind is OrderNotFound:
        if is_proof_of_absence(said):
            return _not_found(text, facts)
        kind = None  # the path is not served, which says nothing of the order
    if kind is not None:
        return kind(text, **facts)
    unclear = OutcomeUnknown(
        f"sent, and the answer is HTTP {status}: {text}",
        order_id=order_id,
        client_order_id=client_order_id,
        gateway=facts.get("gateway"),
        operation=operation,
    )
    unclear.__cause__ = RateLimited(text, **facts) if status == 429 else VenueError(text, **facts)
    return unclear


def _not_found(text: str, facts: VenueFacts) -> OrderNotFound:
    found = Found(answers={facts.get("gateway") or "bitcain": Answer.NOT_SEEN}, proven_absent=True)
    return OrderNotFound(text, found=found, **facts)


def facts_of(error: VenueError) -> VenueFacts:
    """The facts of one error, for another in its place."""
    return VenueFacts(
        gateway=error.gateway,
        operation=error.operation,
        code=error.code,
        http_status=error.http_status,
        request_id=error.request_id,
        body=error.body,
    )
