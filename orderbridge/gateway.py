"""The one interface to a venue, and what a venue can do."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Generator, Mapping
from datetime import datetime, timedelta
from functools import wraps
from itertools import chain
from pathlib import Path
from types import coroutine
from typing import (
    Any,
    Concatenate,
    Final,
    Literal,
    NoReturn,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    cast,
    runtime_checkable,
)

from pydantic import SecretStr

from orderbridge import errors
from orderbridge.model.basics import EditClass, Idempotency, OrderStatus, OrderType, Symbol, TimeInForce, VenueModel
from orderbridge.model.lifecycle import SETTLE_TIME
from orderbridge.model.order import Fill, Order, OrderKey
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import Failure, FailureKind, LookupResult, OrderList

T = TypeVar("T")
P = ParamSpec("P")
# Gateways keep the time limit themselves, and say more about what happened than we could.
_GRACE: Final = 2.0
Mode = Literal["live", "paper", "sandbox"]


class ClientIdRule(VenueModel):
    """Which client order ids a venue takes: a character set, as in a regular expression, and a length."""

    alphabet: str
    max_length: int


class Capabilities(VenueModel):
    """
    The abilities of a gateway; what is not declared is refused before sending, never bent.

    Attributes:
        order_types, times_in_force: what `submit` takes; empty when the gateway cannot submit.
        quote_sizing: market orders sized in quote. `reduce_only`, `post_only`, `slippage_tolerance`: as named.
        market_lifetimes: a time in force other than gtc for orders at market. `options`: names it knows.
        any_options: options of other names, and of other kinds than text, are passed on as they are.
        idempotency: how far the venue keeps a client id from making a second order.
        lookup_batch, cancel_batch: most ids in one request; 0 when there is no such call.
        visibility_after_end: how long an ended order is shown; None when without a promise.
        edit: what becomes of an edited order. `history`, `fills`, `markets`, `cancel_all`: which calls exist.
        funds_refusal_is_distinct: a lack of funds is told apart from other refusals.
        cancels_counted: cancels count against the rate limit.
        open_orders_by_symbol: open orders are listed for one symbol at a time; without one the list may be refused.
        open_orders_may_lack: types of which the list of open orders may leave out those that wait for their trigger.
        triggers_apart: types of which one that was triggered may be shown as another order, without our client id: no
            list proves that there is none.
    """

    order_types: frozenset[OrderType] = frozenset()
    times_in_force: frozenset[TimeInForce] = frozenset()
    quote_sizing: bool = False
    market_lifetimes: bool = False
    slippage_tolerance: bool = False
    options: frozenset[str] = frozenset()
    any_options: bool = False
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
    triggers_apart: frozenset[OrderType] = frozenset()

    @property
    def ids_are_unique(self) -> bool:
        """True if a client id keeps a second order away, while the first is active at least, and is always shown."""
        return self.idempotency in {Idempotency.FOREVER, Idempotency.WHILE_ACTIVE}


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

    @property
    def venue(self) -> str:
        """The API spoken to."""

    @property
    def account(self) -> str:
        """The label of the credentials."""

    @property
    def capabilities(self) -> Capabilities:
        """The abilities of this gateway."""

    @property
    def address(self) -> str:
        """Where its orders go; part of what makes two placements the same. Empty where it does not say."""

    @property
    def mode(self) -> Mode | None:
        """`live` or `paper`: real money or none; part of the same. None where it does not say: take it for live."""

    @property
    def address_tells_mode(self) -> bool:
        """True where an address has one mode only, so that the mode is no part of its own of where a placement is."""

    @property
    def longest_attempt(self) -> float:
        """Seconds for which an order may still be on its way after the moment until which it could leave."""

    @property
    def settle_time(self) -> float:
        """Seconds after which the venue shows every order that it took, and every trade of one that is over."""

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Which reads the venue was found not to serve: proofs of absence are weaker by them, and say so."""

    @property
    def instead(self) -> Mapping[str, str]:
        """The way to the same end where a call is not there, by call."""

    @property
    def known_symbols(self) -> Collection[Symbol]:
        """The symbols that it was told of, where the venue tells no markets."""

    def remember(self, orders: Collection[Order]) -> bool:
        """Know of these orders what the venue had shown of them before. False: it makes no use of that."""

    def nonces_of(self, key: str) -> Callable[[], int] | None:
        """Fresh nonces for another client that signs with this API key; None for another key, or without nonces."""

    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """Send a new order once, and return what the answer shows. `not_after` is loop time."""

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """Look orders up: what became of each. Raises only ConfigurationError; a failure leaves refs undecided."""

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """Every open order: complete but for what it `may_lack`, or it raises."""

    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """Cancel, and return the order as it is after that."""

    async def aclose(self) -> None:
        """Close the connections. A closed gateway cannot be used again."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`; see `order_from` for what it raises."""

    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """Change a working order."""

    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """Cancel every open order, of one symbol or of all."""

    def orders(
        self,
        /,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> AsyncIterator[Order]:
        """Orders by the time they were created, newest first; `timeout` is per page."""

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

    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """The markets of the venue and their rules."""

    async def retry_failed(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """Have the venue try a failed order again: a new act, of a person who asks for it."""


def _refused(original: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """A call that its venue lacks; awaited if the original is."""

    def call(self: UnsupportedCalls, /, *args: Any, **more: Any) -> NoReturn:
        self._lacks(original.__name__)

    async def awaited(self: UnsupportedCalls, /, *args: Any, **more: Any) -> NoReturn:
        self._lacks(original.__name__)

    made = awaited if inspect.iscoroutinefunction(original) else call
    return cast("Callable[Concatenate[Any, P], T]", wraps(original)(made))


class UnsupportedCalls:
    """
    Refuses the calls that a venue, or this version of its adapter, lacks. Mix it in after the adapter's own.

    A new call in `OrderGateway` gets its refusal here, and a new fact its default, so that neither breaks an adapter.
    """

    name: str
    address: str = ""
    mode: Mode | None = None
    address_tells_mode: bool = False
    longest_attempt: float = 0.0
    settle_time: float = SETTLE_TIME
    unreadable: tuple[str, ...] = ()
    instead: Mapping[str, str] = {}
    known_symbols: Collection[Symbol] = ()

    def remember(self, orders: Collection[Order]) -> bool:
        return False

    def nonces_of(self, key: str) -> Callable[[], int] | None:
        return None

    def _lacks(self, call: str) -> NoReturn:
        hint = self.instead.get(call)
        text = f"{self.name} has no {call}" + (f"; {hint}" if hint else "")
        raise errors.NotSupported(text, gateway=self.name, operation=call)

    submit = _refused(OrderGateway.submit)
    cancel = _refused(OrderGateway.cancel)
    edit = _refused(OrderGateway.edit)
    cancel_all = _refused(OrderGateway.cancel_all)
    orders = _refused(OrderGateway.orders)
    fills = _refused(OrderGateway.fills)
    markets = _refused(OrderGateway.markets)
    retry_failed = _refused(OrderGateway.retry_failed)


def check_gateway(gateway: object) -> None:
    """
    See that a bridge gets a gateway. One that does not mix in `UnsupportedCalls` is given the facts that it lacks.

    Raises:
        ConfigurationError: it is no gateway, or lacks facts and can be given none.
    """
    kind = type(gateway).__name__
    if isinstance(gateway, type) or not hasattr(gateway, "name"):
        raise errors.ConfigurationError(f"a bridge is made of gateways, not of a {kind}")
    lacking = [name for name in (*UnsupportedCalls.__annotations__, "remember") if not hasattr(gateway, name)]
    given = UnsupportedCalls()
    try:
        for name in lacking:
            setattr(gateway, name, getattr(given, name))
    except AttributeError as error:
        raise errors.ConfigurationError(
            f"{kind} lacks {', '.join(lacking)}; UnsupportedCalls, mixed in, has it"
        ) from error


async def limited(call: Awaitable[T], seconds: float | None) -> T:
    """Await a call for so long at the most: TimeoutError. One that ends without a pause needs no timer for that."""
    steps = call.__await__()
    try:
        first = next(steps)
    except StopIteration as end:
        return cast("T", end.value)
    async with asyncio.timeout(seconds):
        return cast("T", await _rest(first, steps))


@coroutine
def _rest(first: Any, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """What is left to await once the first pause is known."""
    try:
        yield first
    except BaseException as error:  # noqa: BLE001 - a cancellation too is for the call to meet
        try:
            first = steps.throw(error)
        except StopIteration as end:
            return cast("T", end.value)
        return (yield from _rest(first, steps))
    return (yield from steps)


async def within(call: Awaitable[T], seconds: float) -> T:
    """Await a call of a gateway, which may be anybody's. TimeoutError: it did not end, though it was told to."""
    try:
        return await limited(call, seconds + _GRACE)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no end within {seconds + _GRACE:g} s") from error


def order_from(
    result: LookupResult, ref: RefLike, *, gateway: str | None = None, operation: str | None = None
) -> Order:
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
        raise errors.OrderNotFound(message, found=found, gateway=gateway, operation=operation)
    failed = next((name for name in found.answers if name in result.unreachable), None)
    failure = None if failed is None else result.unreachable[failed]
    if failure is None:
        why = "; ".join(found.notes) or ", ".join(f"{name}: {said}" for name, said in found.answers.items())
        message = f"whether {text} exists could not be decided ({why})"
        raise errors.VenueUnavailable(message, gateway=gateway, operation=operation)
    raise error_of(failure, gateway=failed, operation=operation)


# The first that fits is what an error of a read is told as.
_ERRORS: Final[Mapping[FailureKind, type[errors.OrderBridgeError]]] = {
    "not_admitted": errors.NotAdmitted,
    "credentials": errors.AuthenticationFailed,
    "permission": errors.PermissionDenied,
    "throttled": errors.RateLimited,
    "unreachable": errors.VenueUnavailable,
    "timed_out": errors.VenueUnavailable,
    "partial": errors.PartialList,
    "unexpected": errors.UnexpectedResponse,
}


def error_of(failure: Failure, *, gateway: str | None, operation: str | None) -> errors.OrderBridgeError:
    """The error that a failure stands for."""
    facts: dict[str, Any] = {"code": failure.code, "http_status": failure.http_status}
    if failure.kind == "throttled":
        facts["retry_after"] = failure.retry_after
    return _ERRORS[failure.kind](failure.message, gateway=gateway, operation=operation, **facts)


def failure_of(error: BaseException) -> Failure:
    """The failure that an error of a read stands for."""
    # Another library's error may have attributes of these names with anything in them.
    facts: dict[str, Any] = {}
    if isinstance(error, errors.VenueError):
        facts = {"code": error.code, "http_status": error.http_status}
    if isinstance(error, errors.RateLimited):
        facts["retry_after"] = error.retry_after
    # Not str(error): it names gateway and operation again, and a third party's may fail.
    message = Exception.__str__(error) if isinstance(error, Exception) else repr(error)
    match error:
        case TimeoutError():
            return Failure(kind="timed_out", message=message or "no answer within the time limit")
        case errors.NotSent():
            return Failure(kind="unreachable", message=message)
        case errors.OrderBridgeError():
            kinds = [kind for kind, known in _ERRORS.items() if isinstance(error, known)]
            return Failure(kind=kinds[0] if kinds else "unexpected", message=message, **facts)
        case _:
            return Failure(kind="unexpected", message=f"{type(error).__name__}: {message}".removesuffix(": "))


C = TypeVar("C", bound=Callable[..., Any])


def _is_number(value: object) -> bool:
    # A whole number of hundreds of digits is no float.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_key(value: object) -> bool:
    # What could not be stored as it is would not be found again.
    return isinstance(value, str) and value != "" and value.encode(errors="replace").decode() == value


def _is_label(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and value != "" and not set(value) & {":", " "}


def _are(kind: type, values: object) -> bool:
    return isinstance(values, Collection) and all(isinstance(each, kind) for each in values)


def _are_seconds(value: Any) -> bool:
    return 0 <= value <= sys.float_info.max if type(value) in (float, int) else _is_number(value) and value >= 0


def _kind(what: str, *kinds: type) -> tuple[tuple[type, ...], str]:
    return kinds, what


# The values that an argument may have, by their types or by a look at each; and what they are, in words.
_Held = tuple[tuple[type, ...] | Callable[[Any], bool], str]
_SECONDS: Final = (_are_seconds, "a number of seconds from 0 on")
_SECRET: Final = _kind("a str or a SecretStr", str, SecretStr)
_SECRETS: Final = ("api_key", "api_secret", "email", "password", "refresh_token")
_SWITCHES: Final = ("include_unknown_mode", "refresh", "read_back", "strict", "allow_plain_http", "read_only")
# What a parameter of a name is, wherever it stands; besides, each takes None where that is its default.
_ARGUMENTS: Final[Mapping[str, _Held]] = {
    **dict.fromkeys(("send_within", "watch_for", "settle_horizon", "settle_time", "busy_timeout"), _SECONDS),
    # None where it is the default or not: as long as it takes.
    "timeout": (lambda value: value is None or _are_seconds(value), f"{_SECONDS[1]}, or None"),
    "not_after": (_is_number, "a number of seconds"),
    "probe_times": (lambda value: isinstance(value, Collection) and all(map(_is_number, value)), "numbers of seconds"),
    "ref": _kind("a str, OrderRef, OrderKey, Order or Placement", str, OrderRef, OrderKey, Order, Placement),
    "request": _kind("an OrderRequest, as OrderRequest.limit(…) makes one", OrderRequest),
    "request: OrderRequest | Placement": _kind("an OrderRequest, or a Placement of prepare", OrderRequest, Placement),
    "requests": (
        lambda value: isinstance(value, Mapping) and all(map(_is_key, value)) and _are(OrderRequest, value.values()),
        "a mapping of keys to OrderRequests",
    ),
    "changes": _kind("an OrderEdit, as OrderEdit(price=…) makes one", OrderEdit),
    "placement": _kind("a Placement, as OutcomeUnknown carries one", Placement),
    "order": _kind("an Order", Order),
    "orders": (lambda value: _are(Order, value), "a collection of Orders"),
    "permit": _kind('a Permit, as permit("place") gives one', Permit),
    "symbol": _kind("a text, as in BTC/MXN", str),
    "gateways": (lambda value: isinstance(value, str) or _are(str, value), "names of gateways"),
    "account": (_is_label, "a text without spaces and colons"),
    "key": (_is_key, "a text that is not empty and can be stored"),
    **dict.fromkeys(("gateway", "wait", "scope", "state", "status", "lane", "base_url"), _kind("a text", str)),
    **dict.fromkeys(
        ("since", "until"),
        (
            lambda value: isinstance(value, datetime) and value.tzinfo is not None,
            "a datetime with its zone, as in datetime(2026, 1, 31, tzinfo=UTC)",
        ),
    ),
    **dict.fromkeys(_SWITCHES, _kind("True or False", bool)),
    **dict.fromkeys(_SECRETS, _SECRET),
    **dict.fromkeys(("clock", "elapsed", "ids", "on_alarm"), (callable, "a callable")),
    **dict.fromkeys(
        ("rebuild_limit", "most"), (lambda value: type(value) is int and value > 0, "a whole number above 0")
    ),
    "retries": (lambda value: hasattr(value, "wait_before"), "Retries"),
    "markets": (
        lambda value: value in (None, "lazy") or (isinstance(value, Mapping) and _are(Market, value.values())),
        "'lazy', None, or a mapping of symbols to Markets",
    ),
    "path": _kind("a path", str, Path),
    "journal": (
        lambda value: hasattr(value, "create") and not isinstance(value, type),
        'a journal, as SqliteJournal("orders.db")',
    ),
}


def checked_call(call: C) -> C:
    """
    Hold the arguments of a public call against what they have to be, so that a wrong one is told by its name.

    Raises:
        ConfigurationError: an argument of another kind. Any error of the call gets gateway and operation from here,
            where it has none. TypeError: a keyword that is unknown or missing, as everywhere in Python.
    """
    parameters = list(inspect.signature(call).parameters.values())[1:]
    held = {each.name: known for each in parameters if (known := _held_against(each))}
    takes_none = {each.name for each in parameters if each.default is None}
    in_place = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    rest = [each.name for each in parameters if each.kind is each.VAR_POSITIONAL]
    operation = None if call.__name__ == "__init__" else call.__name__

    def check(args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        names = in_place + rest * (len(args) - len(in_place)) if rest else in_place
        for name, value in chain(zip(names, args, strict=False), options.items()):
            if name not in held or (value is None and name in takes_none):
                continue
            fits, what = held[name]
            if not (isinstance(value, fits) if isinstance(fits, tuple) else fits(value)):
                raise errors.ConfigurationError(f"{name} is {what}, not {_shown(name, value)}")

    def told(error: errors.OrderBridgeError, self: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        named = options.get("gateway", args[0] if in_place[:1] == ["gateway"] and args else None)
        error.gateway = error.gateway or getattr(self, "name", None) or (named if isinstance(named, str) else None)
        error.operation = error.operation or operation

    if inspect.iscoroutinefunction(call):

        @wraps(call)
        async def checked(self: Any, /, *args: Any, **options: Any) -> Any:
            try:
                check(args, options)
                return await call(self, *args, **options)
            except errors.OrderBridgeError as error:
                told(error, self, args, options)
                raise

    else:

        @wraps(call)
        def checked(self: Any, /, *args: Any, **options: Any) -> Any:
            try:
                check(args, options)
                return call(self, *args, **options)
            except errors.OrderBridgeError as error:
                told(error, self, args, options)
                raise

    return cast("C", checked)


def _held_against(parameter: inspect.Parameter) -> _Held | None:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return _ARGUMENTS["ref"] if parameter.name == "refs" else None
    return _ARGUMENTS.get(f"{parameter.name}: {parameter.annotation}") or _ARGUMENTS.get(parameter.name)


def _shown(name: str, value: object) -> str:
    """A wrong argument for a message: a text or a number as it is, of a secret and of anything else its type alone."""
    if name not in _SECRETS and isinstance(value, (str, int, float)):
        return repr(value)[:80]
    return f"a {type(value).__name__}"
