"""
Everything orderbridge raises. Each docstring ends in what the caller does next.

    OrderBridgeError                  gateway, operation
    ├─ ConfigurationError             wrong or missing settings; nothing was sent
    ├─ OrderDenied                    refused by us before sending
    │  └─ KeyInUse                    another request holds this key
    ├─ NotSupported                   the venue lacks it
    ├─ AmbiguousRef                   several orders answer to one ref
    ├─ NotSent                        nothing left this machine
    ├─ OutcomeUnknown                 sent, outcome not known
    ├─ VenueUnavailable               a read without a usable answer
    ├─ UnexpectedResponse             an answer that fits no documented shape
    │  └─ PartialList                 a list that may be one page of several
    ├─ JournalError                   the journal cannot be written
    └─ VenueError                     the venue answered with an error
       ├─ AuthenticationFailed  PermissionDenied
       │  └─ NotAdmitted              a nonce or time stamp that may be right the next time
       ├─ OrderRejected
       │  └─ InsufficientFunds  InvalidOrder  MarketClosed  TooManyOpenOrders
       ├─ DuplicateClientOrderId
       ├─ OrderNotFound
       ├─ OrderNotActive
       └─ RateLimited
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

if TYPE_CHECKING:
    from orderbridge.model.order import Order
    from orderbridge.model.placement import Placement
    from orderbridge.model.results import BadRow, Found


def printable(text: str) -> str:
    """
    The text in one line, without what a terminal, a log or an eye would obey: line ends, escape sequences, and marks
    that turn the direction of writing stand as in Python, `\\n` or `\\x1b`. Whatever comes from outside passes here
    before it is told.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    return " " if unicodedata.category(letter) == "Zs" else letter.encode("unicode_escape").decode()


class Where(TypedDict, total=False):
    """Where an error happened: the gateway's name and the call that was running."""

    gateway: str | None
    operation: str | None


class VenueFacts(Where, total=False):
    """The venue's answer, redacted."""

    code: str | None
    http_status: int | None
    request_id: str | None
    body: str | None


def _rebuild(kind: type[OrderBridgeError], args: tuple[Any, ...], state: dict[str, Any]) -> OrderBridgeError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class OrderBridgeError(Exception):
    """Anything orderbridge raises on purpose. Catch a class below it, and look at `gateway` and `operation`."""

    def __init__(self, message: str, **where: Unpack[Where]) -> None:
        super().__init__(printable(str(message)))
        self.gateway = where.get("gateway")
        self.operation = where.get("operation")

    def __reduce__(self) -> tuple[Any, ...]:
        # Not through __init__: the classes below take keyword-only facts, and errors cross processes.
        return _rebuild, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        message = super().__str__()
        place = " ".join(part for part in (self.gateway, self.operation) if part)
        return f"{printable(place)}: {message}" if place else message


class ConfigurationError(OrderBridgeError):
    """Wrong or missing settings, a wrong base URL, a second event loop. Nothing was sent: correct the setting."""


class OrderDenied(OrderBridgeError, ValueError):
    """
    Refused by us before anything was sent: `rule` says which rule, `nearest` the nearest legal values. A wrong value of
    a request is one too, which is why it is a ValueError as well.

    Correct the request; the venue has not seen it.
    """

    def __init__(
        self, message: str, *, rule: str | None = None, nearest: tuple[Any, ...] = (), **where: Unpack[Where]
    ) -> None:
        super().__init__(message, **where)
        self.rule = rule
        self.nearest = nearest


class KeyInUse(OrderDenied):
    """Another request holds this key: `placement` is its record. Use another key, or finish that one first."""

    def __init__(self, message: str, *, placement: Placement, **where: Unpack[Where]) -> None:
        super().__init__(message, rule="key", **where)
        self.placement = placement


class NotSupported(OrderBridgeError):
    """The venue, or this version's adapter, lacks the call: see `capabilities`. The message says what to use."""


class AmbiguousRef(OrderBridgeError):
    """Several orders answer to this ref: `orders` carries them. Ask again with one of them, or its `key`."""

    def __init__(self, message: str, *, orders: tuple[Order, ...] = (), **where: Unpack[Where]) -> None:
        super().__init__(message, **where)
        self.orders = orders


class NotSent(OrderBridgeError):
    """Nothing left this machine: unreachable, no permit in time, too late. It is safe to try again."""


class OutcomeUnknown(OrderBridgeError):
    """
    The request was sent and its outcome is not known: the order may be live.

    Do not place it again. Look it up by `client_order_id` or `order_id`, or resolve its `placement`.
    """

    def __init__(
        self,
        message: str,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        placement: Placement | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.order_id = order_id
        self.client_order_id = client_order_id
        self.placement = placement


class VenueUnavailable(OrderBridgeError):
    """A read got no usable answer after all tries. It says nothing about any order: ask again later."""


class UnexpectedResponse(OrderBridgeError):
    """
    An answer that fits no documented shape: `keys` were there, `bad_rows` could not be read.

    Treat what it should have said as not known; report the shape to the adapter's authors.
    """

    def __init__(
        self,
        message: str,
        *,
        keys: tuple[str, ...] = (),
        bad_rows: tuple[BadRow, ...] = (),
        body: str | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.keys = keys
        self.bad_rows = bad_rows
        self.body = body


class PartialList(UnexpectedResponse):
    """
    A list that may be one page of several, so that it cannot be shown to be whole.

    Ask for one symbol or a shorter time, or look orders up by id.
    """


class JournalError(OrderBridgeError):
    """The journal cannot be written: placing stops, cancel and look-up go on. Make room or mend the file."""


class VenueError(OrderBridgeError):
    """The venue answered with an error: `code`, `http_status` and a redacted `body`. Branch on the classes below."""

    def __init__(self, message: str, **facts: Unpack[VenueFacts]) -> None:
        super().__init__(message, gateway=facts.get("gateway"), operation=facts.get("operation"))
        self.code = facts.get("code")
        self.http_status = facts.get("http_status")
        self.request_id = facts.get("request_id")
        self.body = facts.get("body")

    @property
    def facts(self) -> VenueFacts:
        """Its facts about the answer, for another error in its place."""
        told = VenueFacts(code=self.code, http_status=self.http_status, request_id=self.request_id, body=self.body)
        return {"gateway": self.gateway, "operation": self.operation, **told}


class AuthenticationFailed(VenueError):
    """The venue refused the credentials. Nothing was done: check key, secret, token and their address."""


class NotAdmitted(AuthenticationFailed):
    """
    The venue refused the nonce or the time stamp of a request, and did not look at it.

    Nothing was done: try again, and if that does not help check the clock, and whether others use the key.
    """


class PermissionDenied(VenueError):
    """The credentials are right but may not do this. Nothing was done: give the key the permission."""


class OrderRejected(VenueError):
    """The venue refused the order with proof: nothing is on the book. Correct it before placing anew."""


class InsufficientFunds(OrderRejected):
    """The balance does not cover the order. Nothing is on the book: fund the account or order less."""


class InvalidOrder(OrderRejected):
    """The order breaks one of the venue's rules. Nothing is on the book: correct it by the message."""


class MarketClosed(OrderRejected):
    """Trading is off for this book or account. Nothing is on the book: try again later."""


class TooManyOpenOrders(OrderRejected):
    """The account's cap on open orders is reached. Nothing is on the book: cancel some first."""


class DuplicateClientOrderId(VenueError):
    """An order with this client id exists. It is not a rejection: look the order up by `client_order_id`."""

    def __init__(self, message: str, *, client_order_id: str | None = None, **facts: Unpack[VenueFacts]) -> None:
        super().__init__(message, **facts)
        self.client_order_id = client_order_id


class OrderNotFound(VenueError):
    """
    The venue does not show the order: `found` says who was asked and whether absence is proven.

    Unless `found.proven_absent`, treat the order as possibly executed.
    """

    def __init__(self, message: str, *, found: Found | None = None, **facts: Unpack[VenueFacts]) -> None:
        super().__init__(message, **facts)
        self.found = found


class OrderNotActive(VenueError):
    """The order had ended before the change arrived: `order` is how it ended. Nothing to undo."""

    def __init__(self, message: str, *, order: Order | None = None, **facts: Unpack[VenueFacts]) -> None:
        super().__init__(message, **facts)
        self.order = order


class RateLimited(VenueError):
    """The venue throttles us: wait `retry_after` seconds (None: not said) before the next call."""

    def __init__(self, message: str, *, retry_after: float | None = None, **facts: Unpack[VenueFacts]) -> None:
        super().__init__(message, **facts)
        self.retry_after = retry_after
