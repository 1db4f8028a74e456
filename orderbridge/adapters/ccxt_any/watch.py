"""
Requests through an exchange object of ccxt's: watched, paced, never sent twice by itself; rows as they were stated.

The object is taken over while its gateway lives: exact numbers, our lanes for its limiter, no secrets in its log, no
redirects, no replay on a stale connection. `release` puts everything back, so all that is changed stands here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from orderbridge.adapters.ccxt_any.mapping import STATED, UNREADABLE
from orderbridge.errors import ConfigurationError
from orderbridge.http.body import Unreadable, load, writable
from orderbridge.http.limits import Limiter
from orderbridge.http.retry import Deadline
from orderbridge.http.session import own_logger
from orderbridge.model.permit import Lane

_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
# By class name, since aiohttp is loaded by ccxt only: raised before a byte of the request leaves, in the end because a
# proxy does not connect us.
_BEFORE_SENDING: Final = frozenset(
    {
        *("ClientConnectorError", "ConnectionTimeoutError", "InvalidURL"),
        *("ClientProxyConnectionError", "ClientHttpProxyError"),
    }
)
# What a proxy says that passes nothing on.
_PROXY_STATUS: Final = 407
# ccxt's own refusals inside its HTTP call, before it opens anything.
_REFUSED_BY_CCXT: Final = frozenset({"InvalidProxySettings", "ExchangeClosedByUser", "NotSupported"})
# While a gateway has it: numbers stay text, and what ccxt remembers of the last answer, which may be another task's,
# is not kept.
_SETTINGS: Final[Mapping[str, Any]] = {
    "number": str,
    "enableRateLimit": False,
    "verbose": False,
    "enableLastHttpResponse": False,
    "enableLastJsonResponse": False,
    "enableLastResponseHeaders": False,
    "returnResponseHeaders": False,
}
OPTIONS: Final[Mapping[str, Any]] = {
    "defaultType": "spot",
    "warnOnFetchOpenOrdersWithoutSymbol": False,
    "maxRetriesOnFailure": 0,
    "builderFee": False,
    "approvedBuilderFee": False,
}
_WATCHED: Final = ("fetch", "fetch2", "nonce", "on_rest_response", "safe_order")
# What some of its classes do beside a call, reads included: approve a fee for ccxt on every order, and name it as the
# one who referred the account.
_BESIDE: Final = ("handle_builder_fee_approval", "set_ref")
# The names by which ccxt is paid for orders, in headers and in fields; a caller's own name stays.
_FOR_CCXT: Final = frozenset(["ccxt", "p4sve", "1400", "10000700011", "0x0ad42b8e602c2d3d475ae52d678cf63d84ab2749"])
_FIELDS_FOR_CCXT: Final = frozenset({"broker_id", "referral_code", "tag"})
# Nonces from here on count milliseconds or less; one step ahead of the clock then does no harm.
_MILLISECONDS: Final = 10**12
_MISSING: Final = object()
# What ccxt keeps of the markets that it loads: with exact numbers, while a gateway has the object.
_OF_MARKETS: Final = (
    *("markets", "markets_by_id", "symbols", "ids", "currencies", "currencies_by_id", "baseCurrencies"),
    *("quoteCurrencies", "codes", "markets_loading"),
)
# What it reads rows by, and knows from no other call than the one that loads them.
_OPTIONS_OF_MARKETS: Final = ("marketsByNumericId", "currenciesByNumericId", "timeDifference")
# Marks an object that a gateway has: what two put back would be what the other one put there.
IN_USE: Final = "orderbridge_in_use"


class Repeated(Exception):
    """ccxt was about to send a write again, after one that may have left."""


class TooLate(Exception):
    """The time for sending was over before the write left."""


@dataclass(slots=True, eq=False)
class Sent:
    """One request of a call: whether it may have left, and what came back."""

    method: str
    path: str
    is_write: bool
    left: bool = True
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    failed: BaseException | None = None

    @property
    def payload(self) -> Any:
        """The JSON of the answer; None where it is none, or is no object or list."""
        try:
            loaded = load(self.body.encode("utf-8", "replace"))
        except Unreadable:
            return None
        return loaded if isinstance(loaded, (dict, list)) else None


# Stands for the request of a call that made none.
NO_REQUEST: Final = Sent("", "", is_write=False, left=False)


@dataclass(slots=True, eq=False)
class Call:
    """
    One call into ccxt, and every request that it made.

    Attributes:
        prepaid: slots of the lane that were taken beforehand.
        is_write: a write may leave once; `not_after` is the loop time after which it may not. writes_to: whether a
            request of it is that write, by method and path.
        unreadable: rows that ccxt's parser failed at, and why.
        value, error: what came of it.
    """

    lane: Lane
    deadline: Deadline
    prepaid: int = 0
    is_write: bool = False
    not_after: float | None = None
    writes_to: Callable[[str, str], bool] = lambda method, path: method != "GET"
    sent: list[Sent] = field(default_factory=list)
    unreadable: list[tuple[Any, str]] = field(default_factory=list)
    value: Any = None
    error: Exception | None = None

    @property
    def counting(self) -> list[Sent]:
        """The requests that count: of a write those that may have changed something."""
        return [each for each in self.sent if each.is_write or not self.is_write]

    @property
    def last(self) -> Sent:
        """The last of these; `NO_REQUEST` where there is none."""
        return self.counting[-1] if self.counting else NO_REQUEST

    @property
    def has_left(self) -> bool:
        """True if one of these may have left."""
        return any(sent.left for sent in self.counting)

    @property
    def cause(self) -> BaseException:
        """The error of the request itself, where ccxt tried to send it again and was kept from it."""
        failed = self.last.failed if isinstance(self.error, Repeated) else None
        return failed or self.error or Exception("nothing failed")

    def begin(self, method: str, url: str) -> Sent:
        """Note a request that is about to leave. Repeated, TooLate: it must not."""
        path = url.partition("?")[0]
        is_write = self.is_write and self.writes_to(method.upper(), path)
        if is_write:
            if any(each.left and each.failed is not None for each in self.counting):
                raise Repeated("a write is sent once")
            now = Deadline(0).at
            if not self.deadline.remaining() or (self.not_after is not None and now > self.not_after):
                raise TooLate("it was too late to send")
        sent = Sent(method.upper(), path, is_write)
        self.sent.append(sent)
        return sent

    async def pay(self, units: int, limiter: Limiter) -> None:
        """Take the slots that a request costs, beyond those that were taken before the call."""
        free = min(self.prepaid, units)
        self.prepaid -= free
        for _ in range(units - free):
            seconds = self.deadline.remaining()
            if self.not_after is not None:
                seconds = min(seconds, max(0.0, self.not_after - Deadline(0).at))
            await limiter.acquire(self.lane, within=None if seconds == float("inf") else seconds)


current_call: Final[ContextVar[Call | None]] = ContextVar("orderbridge_ccxt_call", default=None)
_current_request: Final[ContextVar[Sent | None]] = ContextVar("orderbridge_ccxt_request", default=None)


class Markets(NamedTuple):
    """The markets that one object of ccxt's has loaded, with the options that came of it."""

    kept: Mapping[str, Any]
    options: Mapping[str, Any]


class OneShotSession:
    """An aiohttp session that follows no redirect and replays nothing: a write must not be sent again, to wherever."""

    def __init__(self, session: Any) -> None:
        self.session = session
        # aiohttp by itself replays some methods on a connection that went stale.
        self._replays = getattr(session, "_retry_connection", None)
        if self._replays is not None:
            session._retry_connection = False

    def release(self) -> Any:
        """The session as it was."""
        if self._replays is not None:
            self.session._retry_connection = self._replays
        return self.session

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.session, name)
        if name not in _METHODS:
            return found

        def request(*args: Any, **more: Any) -> Any:
            return found(*args, **{**more, "allow_redirects": False})

        return request


def exact_json(text: str) -> Any:
    """JSON with fractions as text, digit by digit, as ccxt reads them in its other languages."""
    return writable(json.loads(text, parse_float=str, parse_constant=str), text)


class Watch:
    """Watches and paces the requests of one exchange object until it is released."""

    def __init__(self, exchange: Any, limiter: Limiter, *, log: str) -> None:
        self.exchange = exchange
        self._limiter = limiter
        self._last_nonce = 0
        if IN_USE in vars(exchange):
            raise ConfigurationError("another gateway has this exchange object: make one for each gateway")
        logger = own_logger(f"{log}.wire")
        logger.setLevel(logging.INFO)  # at DEBUG ccxt logs whole requests, keys and signatures included
        ours = {
            **_SETTINGS,
            "logger": logger,
            IN_USE: True,
            **{name: getattr(self, name) for name in _WATCHED},
            **{name: _nothing for name in _BESIDE if hasattr(exchange, name)},
            "on_json_response": exact_json,
            "sort_by_2": _sorted,
            "parse_order": _row_by_row(exchange.parse_order),
            "parse_trade": _row_by_row(exchange.parse_trade),
            "filter_by_since_limit": _every_row(exchange.filter_by_since_limit, 1),
            "filter_by_value_since_limit": _every_row(exchange.filter_by_value_since_limit, 2),
        }
        self._own = {name: getattr(exchange, name) for name in _WATCHED}
        # Where what is changed stands, the object or its options, and how it was.
        changed = [(vars(exchange), [*ours, *_OF_MARKETS]), (exchange.options, [*OPTIONS, *self._market_options])]
        self._before = [(held, {name: held.get(name, _MISSING) for name in names}) for held, names in changed]
        vars(exchange).update(ours)
        exchange.options.update(OPTIONS)

    @property
    def is_intact(self) -> bool:
        """True if every request of the object still passes here."""
        return self._before != [] and vars(self.exchange).get("fetch") == self.fetch

    def release(self) -> None:
        """Put the object back as it was."""
        exchange = self.exchange
        if isinstance(getattr(exchange, "session", None), OneShotSession):
            exchange.session = exchange.session.release()
        for held, before in self._before:
            held.update(before)
            for name in [name for name, value in before.items() if value is _MISSING]:
                del held[name]
        self._before = []

    def nonce(self) -> Any:
        """The nonce of a request: by milliseconds alone, two of one moment have one, and the second is refused."""
        told = self._own["nonce"]()
        if not isinstance(told, int) or told < _MILLISECONDS:
            return told
        self._last_nonce = max(told, self._last_nonce + 1)
        return self._last_nonce

    async def fetch2(self, path: str, api: Any = "public", method: str = "GET", params: Any = None, *more: Any) -> Any:
        """Pace a request that is about to be signed, and take out what names ccxt."""
        call = current_call.get()
        if call is not None:
            # The weights come last; ccxt had headers and a body before them once.
            await call.pay(self._cost(api, method, path, params, more[-1] if more else {}), self._limiter)
            if isinstance(params, dict) and not _FIELDS_FOR_CCXT.isdisjoint(params):
                params = {name: each for name, each in params.items() if not _is_for_ccxt(name, each)}
        return await self._own["fetch2"](path, api, method, {} if params is None else params, *more)

    def _cost(self, api: Any, method: str, path: str, params: Any, config: Any) -> int:
        """The weight of a request, in slots: exchanges weigh their calls, and ccxt has the weights."""
        cost: Any = 1
        with suppress(KeyError, TypeError, ValueError, AttributeError):
            cost = self.exchange.calculate_rate_limiter_cost(api, method, path, params or {}, config or {})
        is_number = isinstance(cost, (int, float)) and math.isfinite(cost)
        return max(1, math.ceil(cost)) if is_number else 1

    async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        """Note a request that leaves, and whether it may have left if it fails."""
        call = current_call.get()
        if call is None:
            return await self._own["fetch"](url, method, headers, body)
        sent = call.begin(method, url)
        token = _current_request.set(sent)
        is_ready = False
        try:
            self._harden()
            is_ready = True
            return await self._own["fetch"](url, method, _own(headers), body)
        except BaseException as error:
            sent.failed = error
            sent.left = is_ready and not _is_before_sending(error, sent)
            raise
        finally:
            _current_request.reset(token)

    def _harden(self) -> None:
        exchange = self.exchange
        exchange.open(True)
        session = exchange.session
        if session is not None and not isinstance(session, OneShotSession):
            exchange.session = OneShotSession(session)

    def on_rest_response(
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *more: Any
    ) -> Any:
        """Note what came back."""
        sent = _current_request.get()
        if sent is not None:
            sent.status, sent.body = code, body
            sent.headers = {str(name).lower(): str(value) for name, value in headers.items()}
        return self._own["on_rest_response"](code, reason, url, method, headers, body, *more)

    @property
    def _market_options(self) -> tuple[str, ...]:
        return (*_OPTIONS_OF_MARKETS, *(self.exchange.options.get("marketHelperProps") or ()))

    @property
    def markets(self) -> Markets:
        """What the object keeps of the markets that it loaded, for others of its address."""
        options = self.exchange.options
        return Markets(
            {name: getattr(self.exchange, name, None) for name in _OF_MARKETS[:-1]},
            {name: options[name] for name in self._market_options if options.get(name) is not None},
        )

    def take(self, markets: Markets) -> None:
        """Know markets as the object does that loaded them: every call of ccxt's needs them."""
        vars(self.exchange).update(markets.kept)
        self.exchange.options.update(markets.options)

    def safe_order(self, order: Any, market: Any = None) -> Any:
        """Keep what the exchange's parser stated of an order, which ccxt completes."""
        if not isinstance(order, dict):
            return self._own["safe_order"](order, market)
        stated = {name: value for name, value in order.items() if name != "info"}
        return self._own["safe_order"]({**order, STATED: stated}, market)


def _is_for_ccxt(name: str, value: Any) -> bool:
    return name in _FIELDS_FOR_CCXT and str(value).lower() in _FOR_CCXT


def _own(headers: Any) -> Any:
    """The headers without those that name ccxt, and what belongs to them."""
    named = tuple(name for name, value in (headers or {}).items() if str(value).lower() in _FOR_CCXT)
    if not named:
        return headers
    return {name: value for name, value in headers.items() if not name.startswith((*named, "broker_sign"))}


async def _nothing(*args: Any, **more: Any) -> None:
    """Stands for what is not done."""


def _row_by_row(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A parser of ccxt's that fails at one row only: by itself it would take the whole list along."""

    def parse_row(row: Any, market: Any = None) -> Any:
        call = current_call.get()
        try:
            return parse(row, market)
        except Exception as error:
            if call is None:
                raise
            call.unreadable.append((row, f"{type(error).__name__} in ccxt's parser"))
            symbol = market.get("symbol") if isinstance(market, dict) else None
            return {UNREADABLE: True, "id": None, "symbol": symbol, "timestamp": None, "info": row}

    return parse_row


def _sorted(rows: Iterable[Any], first: str, second: str, descending: bool = False) -> list[Any]:
    """ccxt's sorting by time and id, where a row has none: by itself it fails, and takes the whole list along."""
    return sorted(
        rows,
        key=lambda row: [(row.get(name) is not None, row.get(name)) for name in (first, second)],
        reverse=descending,
    )


def _every_row(keep: Callable[..., Any], first: int) -> Callable[..., Any]:
    """A filter of ccxt's that keeps all: a row without a time, or of an odd pair, would be dropped without a word."""

    def kept(*rows: Any, **more: Any) -> Any:
        return keep(*rows, **more) if current_call.get() is None else keep(*rows[:first])

    return kept


def _is_before_sending(error: BaseException, sent: Sent) -> bool:
    if sent.status is not None or isinstance(error, asyncio.CancelledError):
        return sent.status == _PROXY_STATUS
    if class_names(error) & _REFUSED_BY_CCXT:
        return True
    cause = error.__cause__
    return isinstance(cause, socket.gaierror) or (cause is not None and bool(class_names(cause) & _BEFORE_SENDING))


def class_names(error: BaseException) -> set[str]:
    """The names of an error's classes: ccxt and aiohttp are loaded on first need only."""
    return {kind.__name__ for kind in type(error).__mro__}
