"""What an answer to a write means: refused for sure, or not known. Tables, and the one function that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orderbridge.adapters.bitcain.errors import NOT_AUTHENTICATED, TokenRefused, detail_text, is_proof_of_absence
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
from orderbridge.model.lookup import Answer, Found

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
