"""The one interface to a venue, and what a venue can do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol, Self, runtime_checkable

from orderbridge.errors import (
    AuthenticationFailed,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueError,
    VenueFacts,
    VenueUnavailable,
)
from orderbridge.model.base import VenueModel
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import Failure, LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import EditClass, Idempotency, OrderStatus, OrderType, TimeInForce


class ClientIdRule(VenueModel):
    """Which client order ids a venue takes: a character set, as in a regular expression, and a length."""

    alphabet: str
    max_length: int


class Capabilities(VenueModel):
    """
    What a gateway can do; what is not declared is refused before sending, never bent.

    Attributes:
        order_types, times_in_force: what `submit` takes; empty when the gateway cannot submit.
        quote_sizing: market orders sized in quote. `reduce_only`, `post_only`, `slippage_tolerance`: as named.
        market_lifetimes: a time in force other than gtc for orders at market. `options`: names it knows.
        idempotency: how far the venue keeps a client id from making a second order.
        lookup_batch, cancel_batch: most ids in one request; 0 when there is no such call.
        visibility_after_end: how long an ended order is shown; None when without a promise.
        edit: what becomes of an edited order. `history`, `fills`, `markets`, `cancel_all`: which calls exist.
        funds_refusal_is_distinct: a lack of funds is told apart from other refusals.
        cancels_counted: cancels count against the rate limit.
        open_orders_by_symbol: open orders are listed for one symbol at a time; without one the list may be refused.
        open_orders_may_lack: types of which the list of open orders may leave out those that wait for their trigger.
    """

    order_types: frozenset[OrderType] = frozenset()
    times_in_force: frozenset[TimeInForce] = frozenset()
    quote_sizing: bool = False
    market_lifetimes: bool = False
    slippage_tolerance: bool = False
    options: frozenset[str] = frozenset()
    post_only: bool = False
    reduce_only: bool = False
    client_order_id: ClientIdRule | None = None
    idempotency: Idempotency = Idempotency.NONE
    lookup_batch: int = 0
    cancel_batch: int = 0
    visibility_after_end: timedelta | None = None
    edit: EditClass = EditClass.NONE
    history: bool = False
    fills: bool = False
    markets: bool = False
    cancel_all: bool = False
    funds_refusal_is_distinct: bool = False
    cancels_counted: bool = True
    open_orders_by_symbol: bool = False
    open_orders_may_lack: frozenset[OrderType] = frozenset()


@runtime_checkable
class OrderGateway(Protocol):
    """
    One account at one venue. An adapter that lacks a call mixes in `UnsupportedCalls`, which refuses it.

    Every awaited call takes `timeout` in seconds. On expiry a look-up says undecided, another read raises
    `VenueUnavailable`, a write that may have left `OutcomeUnknown`, and one that did not `NotSent`.
    """

    @property
    def name(self) -> str:
        """`venue`, or `venue/account`."""
        ...

    @property
    def venue(self) -> str:
        """The API spoken to."""
        ...

    @property
    def account(self) -> str:
        """The label of the credentials."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What this gateway can do."""
        ...

    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""
        ...

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """Send a new order once, and return what the answer shows. `not_after` is loop time."""
        ...

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """What became of each. Raises only ConfigurationError; a failure leaves refs undecided."""
        ...

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """Every open order: complete but for what it `may_lack`, or it raises."""
        ...

    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """Cancel, and return the order as it is after that."""
        ...

    async def aclose(self) -> None:
        """Close the connections. A closed gateway cannot be used again."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`; see `order_from` for what it raises."""
        ...

    async def edit(
        self,
        ref: RefLike,
        changes: OrderEdit,
        *,
        allow_replace: bool = False,
        expected_filled: Any = None,
        timeout: float | None = None,
    ) -> Order:
        """Change a working order."""
        ...

    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """Cancel every open order, of one symbol or of all."""
        ...

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> AsyncIterator[Order]:
        """Orders by the time they were created, newest first; `timeout` is per page."""
        ...

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Fill]:
        """The executions of one order, or of the account, newest first; `timeout` is per page."""
        ...

    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """The markets of the venue and their rules."""
        ...


class UnsupportedCalls:
    """
    Refuses the calls that a venue, or this version of its adapter, lacks. Mix it in after the adapter's own.

    A new call in `OrderGateway` gets its refusal here, so that it breaks no adapter.
    """

    name: str
    # What to use instead, by call.
    instead: Mapping[str, str] = {}

    def _lacks(self, call: str) -> NoReturn:
        hint = self.instead.get(call)
        text = f"{self.name} has no {call}" + (f"; {hint}" if hint else "")
        raise NotSupported(text, gateway=self.name, operation=call)

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        self._lacks("submit")

    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        self._lacks("cancel")

    async def edit(
        self,
        ref: RefLike,
        changes: OrderEdit,
        *,
        allow_replace: bool = False,
        expected_filled: Any = None,
        timeout: float | None = None,
    ) -> Order:
        self._lacks("edit")

    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        self._lacks("cancel_all")

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> AsyncIterator[Order]:
        self._lacks("orders")

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Fill]:
        self._lacks("fills")

    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        self._lacks("markets")


def order_from(result: LookupResult, ref: RefLike, *, gateway: str | None, operation: str = "get") -> Order:
    """
    The one order that a look-up found for `ref`.

    Raises:
        AmbiguousRef: several answer to it.
        OrderNotFound: every answer was negative; it carries what was asked and whether absence is proven.
        AuthenticationFailed, PermissionDenied, RateLimited, UnexpectedResponse, VenueUnavailable: undecided,
            and this is the failure behind it.
    """
    found = result[ref]
    order = found.order
    if order is not None:
        return order
    text = str(OrderRef.of(ref))
    if not found.is_undecided:
        proof = "is proven absent" if found.proven_absent else "is not shown, which proves no absence"
        message = f"{text} {proof}" + (f" ({'; '.join(found.notes)})" if found.notes else "")
        raise OrderNotFound(message, found=found, gateway=gateway, operation=operation)
    failed = next((name for name in found.answers if name in result.unreachable), None)
    failure = None if failed is None else result.unreachable[failed]
    if failure is None:
        why = "; ".join(found.notes) or ", ".join(f"{name}: {said}" for name, said in found.answers.items())
        message = f"whether {text} exists could not be decided ({why})"
        raise VenueUnavailable(message, gateway=gateway, operation=operation)
    raise error_of(failure, gateway=failed, operation=operation)


def error_of(failure: Failure, *, gateway: str | None, operation: str) -> OrderBridgeError:
    """The error that a failure stands for."""
    facts = VenueFacts(gateway=gateway, operation=operation, code=failure.code, http_status=failure.http_status)
    match failure.kind:
        case "credentials":
            return AuthenticationFailed(failure.message, **facts)
        case "permission":
            return PermissionDenied(failure.message, **facts)
        case "throttled":
            return RateLimited(failure.message, retry_after=failure.retry_after, **facts)
        case "unexpected":
            return UnexpectedResponse(failure.message, gateway=gateway, operation=operation)
        case "unreachable" | "timed_out":
            return VenueUnavailable(failure.message, gateway=gateway, operation=operation)


def failure_of(error: BaseException) -> Failure:
    """The failure that an error of a read stands for."""
    # Another library's error may have attributes of these names with anything in them.
    facts: dict[str, Any] = {}
    if isinstance(error, VenueError):
        facts = {"code": error.code, "http_status": error.http_status}
    # Not str(error): it names gateway and operation again, and a third party's may fail.
    message = Exception.__str__(error) if isinstance(error, Exception) else repr(error)
    match error:
        case AuthenticationFailed():
            return Failure(kind="credentials", message=message, **facts)
        case PermissionDenied():
            return Failure(kind="permission", message=message, **facts)
        case RateLimited():
            return Failure(kind="throttled", message=message, retry_after=error.retry_after, **facts)
        case VenueUnavailable() | NotSent():
            return Failure(kind="unreachable", message=message)
        case TimeoutError():
            return Failure(kind="timed_out", message=message or "no answer within the time limit")
        case OrderBridgeError():
            return Failure(kind="unexpected", message=message, **facts)
        case _:
            return Failure(kind="unexpected", message=f"{type(error).__name__}: {message}".removesuffix(": "))
