"""What an answer to a write means: an error that says refused, taken, too late, or not known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orderbridge.adapters.bitso.errors import Meaning, meaning_of
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
