"""
Our errors as ccxt's.

ccxt's bots try again what is a NetworkError (some: any OperationFailed). So those are kept for calls of which nothing
was sent, for reads, and for cancels, which may be repeated; whatever may have placed an order is an ExchangeError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ccxt.base import errors as ccxt

from orderbridge import errors
from orderbridge.ccxt.errors import OrderNotPlaced as OrderNotPlaced
from orderbridge.ccxt.errors import OrderOutcomeUnknown as OrderOutcomeUnknown


class NoSuchCall(ccxt.NotSupported, AttributeError):  # type: ignore[misc]
    """A call that is not there. An AttributeError too, so that `hasattr` and `getattr` with a default work."""


KINDS: Final[Mapping[type[errors.OrderBridgeError], Any]] = {
    errors.ConfigurationError: ccxt.ExchangeError,
    errors.OrderDenied: ccxt.InvalidOrder,
    errors.KeyInUse: ccxt.DuplicateOrderId,
    errors.NotSupported: ccxt.NotSupported,
    errors.AmbiguousRef: ccxt.BadRequest,
    errors.NotSent: ccxt.ExchangeNotAvailable,
    errors.OutcomeUnknown: OrderOutcomeUnknown,
    errors.VenueUnavailable: ccxt.ExchangeNotAvailable,
    errors.UnexpectedResponse: ccxt.BadResponse,
    errors.JournalError: ccxt.ExchangeError,
    errors.VenueError: ccxt.ExchangeError,
    errors.AuthenticationFailed: ccxt.AuthenticationError,
    errors.PermissionDenied: ccxt.PermissionDenied,
    errors.OrderRejected: ccxt.InvalidOrder,
    errors.InsufficientFunds: ccxt.InsufficientFunds,
    errors.InvalidOrder: ccxt.InvalidOrder,
    errors.MarketClosed: ccxt.MarketClosed,
    errors.TooManyOpenOrders: ccxt.OperationRejected,
    errors.DuplicateClientOrderId: ccxt.DuplicateOrderId,
    errors.OrderNotFound: ccxt.OrderNotFound,
    errors.OrderNotActive: ccxt.InvalidOrder,
    errors.RateLimited: ccxt.RateLimitExceeded,
    errors.OrderBridgeError: ccxt.ExchangeError,
}


def translated(error: errors.OrderBridgeError, *, repeatable: bool = False) -> Any:
    """
    The ccxt error that stands for one of ours; raise it from that.

    Args:
        repeatable: the call may be sent again (a cancel), so that an unknown outcome is a RequestTimeout.
    """
    if isinstance(error, errors.OutcomeUnknown):
        if repeatable:
            return ccxt.RequestTimeout(str(error))
        return OrderOutcomeUnknown(
            str(error),
            placement=error.placement,
            order_id=error.order_id,
            client_order_id=error.client_order_id,
        )
    if isinstance(error, errors.OrderDenied) and error.rule == "symbol":
        return ccxt.BadSymbol(str(error))
    kind = next(KINDS[each] for each in type(error).__mro__ if each in KINDS)
    return kind(str(error))


@contextmanager
def as_ccxt_errors(*, repeatable: bool = False) -> Iterator[None]:
    """Raise ccxt's errors for ours."""
    try:
        yield
    except errors.OrderBridgeError as error:
        raise translated(error, repeatable=repeatable) from error
