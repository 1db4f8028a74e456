"""
Our errors as ccxt's.

ccxt's bots try again what is a NetworkError (some: any OperationFailed), and take an InvalidOrder for a refusal that
trying again does not change. So both are kept for calls of which nothing was sent, for reads, and for cancels, which
may be repeated. An outcome that is not known is a RequestTimeout, after which careful bots look for their order.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from ccxt.base import errors as ccxt

from orderbridge import errors
from orderbridge.http.limits import LockedOut
from orderbridge.model.placement import Placement


class OrderOutcomeUnknown(ccxt.ExchangeError, ccxt.RequestTimeout):  # type: ignore[misc]
    """
    An order was sent and what became of it is not known: it may be live. It is followed up in the background.

    To repeat the same create is safe: it is answered by that order once it is known, and sends nothing before. What
    another create of its symbol and side does is told by `stray`. `fetch_order("", symbol, {"clientOrderId":
    error.client_order_id})`, or any other read that shows the order, ends that. `placement` is None where an edit is
    meant.
    """

    def __init__(
        self,
        message: str = "",
        *,
        placement: Placement | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.placement = placement
        self.order_id = order_id
        self.client_order_id = client_order_id


class OrderNotPlaced(ccxt.ExchangeError):  # type: ignore[misc]
    """
    An order was sent, and it is proven that it is not live and that nothing of it filled.

    It may be created anew. `placement` is its record.
    """

    def __init__(self, message: str = "", *, placement: Placement | None = None) -> None:
        super().__init__(message)
        self.placement = placement


class StrayFilled(ccxt.ExchangeError):  # type: ignore[misc]
    """
    An earlier order, whose outcome was not known to its caller, had filled: wholly, or in part before it was cancelled.

    Nothing was sent for the create that raises this. `order` is the earlier one as ccxt's dict: count what it traded
    before creating another, which is then sent.
    """

    def __init__(self, message: str = "", *, order: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.order = order


# What is not here is what the class above it is.
_KINDS: Final[Mapping[type[errors.OrderBridgeError], Any]] = {
    errors.OrderDenied: ccxt.InvalidOrder,
    errors.KeyInUse: ccxt.DuplicateOrderId,
    errors.NotSupported: ccxt.NotSupported,
    errors.AmbiguousRef: ccxt.BadRequest,
    errors.NotSent: ccxt.ExchangeNotAvailable,
    errors.VenueUnavailable: ccxt.ExchangeNotAvailable,
    errors.UnexpectedResponse: ccxt.BadResponse,
    errors.AuthenticationFailed: ccxt.AuthenticationError,
    errors.NotAdmitted: ccxt.InvalidNonce,
    errors.PermissionDenied: ccxt.PermissionDenied,
    errors.OrderRejected: ccxt.InvalidOrder,
    errors.InsufficientFunds: ccxt.InsufficientFunds,
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
        repeatable: the call may be sent again (a cancel), so that an unknown outcome is a plain RequestTimeout.
    """
    if isinstance(error, errors.OutcomeUnknown):
        if repeatable:
            return ccxt.RequestTimeout(str(error))
        ids = {"order_id": error.order_id, "client_order_id": error.client_order_id}
        return OrderOutcomeUnknown(str(error), placement=error.placement, **ids)
    if isinstance(error, errors.OrderDenied) and error.rule == "symbol":
        return ccxt.BadSymbol(str(error))
    if isinstance(error, errors.NotSent) and isinstance(error.__cause__, (errors.RateLimited, LockedOut)):
        return ccxt.RateLimitExceeded(str(error))
    kind = next(_KINDS[each] for each in type(error).__mro__ if each in _KINDS)
    return kind(str(error))


@contextmanager
def as_ccxt_errors(*, repeatable: bool = False) -> Iterator[None]:
    """Raise ccxt's errors for ours."""
    try:
        yield
    except errors.OrderBridgeError as error:
        raise translated(error, repeatable=repeatable) from error


def __getattr__(name: str) -> Any:
    """ccxt has a module of this name too: what is not ours is that one's."""
    return getattr(ccxt, name)
