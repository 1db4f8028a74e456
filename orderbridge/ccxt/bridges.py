"""
One bridge for each exchange, address and key of the process, in one thread, whatever kind of object asks for it.

What an object is set to decides. Where orders go and in whose name (`urls`, hostname, sandbox, credentials) makes
another bridge; how they travel (proxies, timeout, headers, verbose, options) is taken along by each call as it is then,
since a bridge for each setting would forget its placements.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import json
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from operator import attrgetter
from typing import Any, Final
from weakref import WeakKeyDictionary

import certifi

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt.errors import OrderOutcomeUnknown, as_ccxt_errors
from orderbridge.ccxt.orders import CcxtOrders
from orderbridge.errors import ConfigurationError, NotSupported, OrderBridgeError
from orderbridge.http.aiohttp_engine import AiohttpTransport
from orderbridge.http.session import own_logger
from orderbridge.http.transport import Proxies, Proxy, WireRequest, WireResponse, proxy_from
from orderbridge.placement import SqliteJournal
from orderbridge.settings import build_gateway
from orderbridge.sync import LoopThread, cut_off

# The settings of ours in `options`.
OPTION: Final = "orderbridge"
JOURNAL_VARIABLE: Final = "ORDERBRIDGE_JOURNAL"
_SETTINGS: Final = frozenset({"journal", "stray", "resolve_for", "spot_only"})
_NAMES: Final = ("apiKey", "walletAddress", "login", "uid", "accountId", "privateKey", "token")
_CREDENTIALS: Final = (*_NAMES, "secret", "password", "twofa")
_PROXIES: Final = (
    *("proxy", "aiohttp_proxy", "proxyUrl", "httpProxy", "httpsProxy", "socksProxy"),
    *("proxy_url", "http_proxy", "https_proxy", "socks_proxy"),
    *("proxyUrlCallback", "httpProxyCallback", "httpsProxyCallback", "socksProxyCallback"),
    *("proxy_url_callback", "http_proxy_callback", "https_proxy_callback", "socks_proxy_callback"),
)
_TRAVELS: Final = ("timeout", "headers", "verbose", "userAgent", "user_agent", *_PROXIES)
_travels_of: Final = attrgetter(*_TRAVELS)
# What the amount of a market buy means is told here, and not to a gateway; and what ccxt keeps there for itself.
_NOT_FOLLOWED: Final = frozenset(
    {
        *(OPTION, "createMarketBuyOrderRequiresPrice", "cachedCurrencies"),
        # Set by every gateway for good: of another type of market a lost order would be proven absent, and repeated.
        *("defaultType", "warnOnFetchOpenOrdersWithoutSymbol", "maxRetriesOnFailure"),
        *("builderFee", "approvedBuilderFee"),
    }
)
# By which some exchanges tell a sandbox, where the address does not.
_SWITCHES: Final = ("sandboxMode", "enableDemoTrading")
# Where orders go through a gateway of ours in place of ccxt's object.
_OWN_GATEWAYS: Final = frozenset({"bitso"})
# From here on nonces count milliseconds or less, so that one step ahead of the clock does no harm.
_MILLISECONDS: Final = 10**12
# An import at the most: a thread that stands still no sooner than that is left as it is.
_LONGEST_STEP: Final = 10.0
log = own_logger("orderbridge.ccxt")


class Uncovered(Exception):
    """No gateway covers the exchange: its calls are ccxt's own."""


class _Overlaid(dict[str, Any]):
    """The options of a gateway's object under those of the caller; what ccxt notes in them is noted in the former."""

    def __init__(self, own: dict[str, Any], over: Mapping[str, Any]) -> None:
        super().__init__({**own, **over})
        self._own = own

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._own[name] = value

    def update(self, *args: Any, **more: Any) -> None:
        for name, value in dict(*args, **more).items():
            self[name] = value


@dataclass(frozen=True, slots=True)
class CalledObject:
    """
    An object as it was set when a call of it was made.

    Attributes:
        travels: its settings that go with the call, by name; its options, over those of the gateway's object, only
            where they are not the same. proxy: told to a gateway of ours.
    """

    exchange: Any
    travels: Mapping[str, Any]
    proxy: Proxy | None


current: Final[ContextVar[CalledObject | None]] = ContextVar("orderbridge_ccxt_object", default=None)


def _following(name: str, default: Any) -> property:
    """A setting of a gateway's object that is, within a call, that of the object that was called."""
    own = f"_own_{name}"

    def get(twin: Any) -> Any:
        call, told = current.get(), vars(twin).get(own, default)
        return told if call is None else call.travels.get(name, told)

    def put(twin: Any, value: Any) -> None:
        vars(twin)[own] = value

    return property(get, put)


def _twin_of(exchange: Any, rise: Callable[[Any], Any]) -> Any:
    """An object of our own at the exchange of the caller's, set as that one, which stays as ccxt made it."""
    genuine = getattr(import_module("ccxt.async_support"), name_of(exchange))
    followed = {name: _following(name, getattr(genuine, name, None)) for name in (*_TRAVELS, "options")}
    kind = type(genuine.__name__, (genuine,), {**followed, "__module__": genuine.__module__})
    options = {name: value for name, value in exchange.options.items() if name not in _NOT_FOLLOWED}
    known = {name: getattr(exchange, name) for name in _CREDENTIALS if getattr(exchange, name, None)}
    verify, cafile, trusts_env = _connecting(exchange)
    twin = kind(
        {
            **known,
            "options": copy.deepcopy(options),
            "rateLimit": exchange.rateLimit,
            "verify": verify,
            "aiohttp_trust_env": trusts_env,
            **({} if cafile is None else {"cafile": cafile}),
        }
    )
    twin.urls, twin.hostname = copy.deepcopy(exchange.urls), exchange.hostname
    twin.isSandboxModeEnabled = exchange.isSandboxModeEnabled
    twin.timeout_on_exit = 0  # its pause serves streams, which are not used here

    def nonce() -> Any:
        call = current.get()
        own = None if call is None else vars(call.exchange).get("nonce")
        return rise(own() if own is not None else genuine.nonce(twin))

    twin.nonce = nonce
    return twin


def _connecting(exchange: Any) -> tuple[Any, str | None, bool]:
    """How an object's connections are made, which cannot change once there are any: TLS, and the environment."""
    cafile = getattr(exchange, "cafile", None)
    if cafile is not None and cafile == certifi.where():
        cafile = None
    trusts_env = exchange.requests_trust_env if exchange.synchronous else exchange.aiohttp_trust_env
    return bool(exchange.verify), cafile, bool(trusts_env)


def _check_session(exchange: Any) -> None:
    """ConfigurationError: the caller gave connections of his own, which orders do not go through."""
    session = exchange.session
    if exchange.synchronous:
        import requests

        is_own = type(session) is not requests.Session or bool(session.proxies or session.cert or session.auth)
        is_own = is_own or session.verify is not True or session.headers != requests.utils.default_headers()
    else:
        is_own = not exchange.own_session
    if is_own:
        raise ConfigurationError(
            f"{exchange.id} was given a session: orders have connections of their own, and cannot follow what is set "
            "there; set httpsProxy, headers, verify on the object itself"
        )


def _proxy_of(exchange: Any) -> Proxy | None:
    """
    The proxy that an object is set to, by ccxt's own rules.

    Raises:
        ConfigurationError: one that orders of a gateway of ours cannot go through.
    """
    # Callbacks of the caller's are told as much as ccxt tells them.
    about: tuple[str, str, dict[str, str], str] = (str(exchange.urls["api"]), "GET", {}, "")
    if exchange.check_proxy_url_settings(*about) is not None:
        raise ConfigurationError("proxyUrl is not followed by orders here: use httpProxy or httpsProxy")
    http, https, socks = exchange.check_proxy_settings(*about)
    if socks:
        raise ConfigurationError("a SOCKS proxy may send an order twice: use httpProxy or httpsProxy")
    named = http or https or exchange.aiohttp_proxy or _of_requests(exchange)
    return proxy_from(named, named_by=exchange.id) if named else None


def _of_requests(exchange: Any) -> str | None:
    """The proxy in `proxies`, which objects without `await` have."""
    if not exchange.synchronous or not exchange.proxies:
        return None
    scheme = "http" if '"http:' in _where(exchange) else "https"
    named: str | None = exchange.proxies.get(scheme) or exchange.proxies.get("all")
    return named


class _ObjectsProxies(Proxies):
    """The proxy of the object that was called, or that of the environment where it looks there."""

    def of(self, url: str) -> Proxy | None:
        """The proxy for an address. ConfigurationError: of the environment, one that is not spoken."""
        call = current.get()
        if call is None or call.proxy is not None:
            return None if call is None else call.proxy
        return super().of(url) if _connecting(call.exchange)[2] else None


class _AsTheObject(AiohttpTransport):
    """The HTTP engine of a gateway of ours: it sends as the calling object is set."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        call = current.get()
        if call is None:
            return await super().send(request, timeout=timeout, not_after=not_after)
        travels, show = call.travels, call.exchange.log if call.travels["verbose"] else None
        agent = travels["userAgent"] if travels["userAgent"] is not None else travels["user_agent"]
        added = {**(travels["headers"] or {}), **(agent if isinstance(agent, dict) else {"User-Agent": agent})}
        lower = {name.lower() for name in added}
        kept = {name: value for name, value in request.headers.items() if name.lower() not in lower}
        kept |= {name: value for name, value in added.items() if value is not None}
        request = WireRequest(request.method, request.url, kept, request.body)
        if show:
            show("\nfetch Request:", call.exchange.id, request, request.body.decode(errors="replace"))
        timeout = min(timeout, travels["timeout"] / 1000)
        response = await super().send(request, timeout=timeout, not_after=not_after)
        if show:
            show("\nfetch Response:", call.exchange.id, response, response.body.decode(errors="replace"))
        return response


class SharedBridge:
    """
    The bridge of one exchange, address and key, and ccxt's calls over it.

    Raises:
        Uncovered: no gateway has this exchange. ConfigurationError: a setting that cannot be followed.
    """

    def __init__(self, exchange: Any) -> None:
        self.id = name_of(exchange)
        self.journal = settings_of(exchange)["journal"]
        self.connecting = _connecting(exchange)
        self.twin: Any = None
        self._engine: _AsTheObject | None = None
        self._options = {k: copy.deepcopy(v) for k, v in exchange.options.items() if k not in _NOT_FOLLOWED}
        self._seen: tuple[dict[str, Any], dict[str, Any]] = {}, {}
        self._orders: dict[tuple[Any, ...], CcxtOrders] = {}
        self._last_nonce = 0
        self._turn = threading.Lock()
        gateway = self._gateway(exchange)
        self.nonces = gateway.nonces_of(exchange.apiKey) if exchange.apiKey else None
        # What a gateway sets in the options of its object stays as it sets it.
        told: Mapping[str, Any] = {} if self.twin is None else self.twin.options
        self._held = _NOT_FOLLOWED | {name for name, value in told.items() if self._options.get(name) != value}
        journal = None if self.journal is None else SqliteJournal(self.journal)
        self.bridge = OrderBridge(gateway, journal=journal)

    def _gateway(self, exchange: Any) -> Any:
        limits = "venue" if exchange.enableRateLimit else None
        account = _account_of(exchange)
        if self.id in _OWN_GATEWAYS:
            if self.connecting[:2] != (True, None):
                raise ConfigurationError(f"verify and cafile are not followed by orders at {self.id}")
            self._engine = _AsTheObject(proxies=_ObjectsProxies())
            keys = {"api_key": exchange.apiKey, "api_secret": exchange.secret}
            way = {"base_url": f"{exchange.urls['api']['rest']}/{exchange.version}", "transport": self._engine}
            return build_gateway(self.id, account, {**keys, **way, "limits": limits})
        self.twin = _twin_of(exchange, self.rise)
        try:
            return build_gateway(f"ccxt.{self.id}", account, {"limits": limits}, exchange=self.twin)
        except ConfigurationError as error:
            if isinstance(error.__cause__, NotSupported):
                raise Uncovered(str(error.__cause__)) from error
            raise

    def rise(self, nonce: Any) -> Any:
        """A nonce that no other object of this key has had, and that is above them all."""
        if not isinstance(nonce, int) or nonce < _MILLISECONDS:
            return nonce
        with self._turn:
            self._last_nonce = max(nonce, self._last_nonce + 1)
            return self._last_nonce

    def changed(self, exchange: Any) -> dict[str, Any]:
        """The options of an object that are not as they were when the bridge was made."""
        seen, changed = self._seen
        if seen != exchange.options:
            known, held, now = self._options, self._held, exchange.options.items()
            changed = {
                name: value for name, value in now if name not in held and (name not in known or known[name] != value)
            }
            self._seen = {name: copy.deepcopy(value) if name in known else value for name, value in now}, changed
        return changed

    def over_own(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """The options that travel with a call: changed ones over those of the gateway's object."""
        return {"options": _Overlaid(self.twin.options, changed)} if changed and self.twin is not None else {}

    def orders(self, exchange: Any) -> CcxtOrders:
        """ccxt's calls as an object wants them. ConfigurationError: it wants what the bridge cannot give any more."""
        wanted = settings_of(exchange)
        journal = wanted["journal"]
        if journal is not None and journal != self.journal:
            raise ConfigurationError(
                f"{self.id}: orders of this key are kept in {self.journal or 'memory'} already, and not in {journal}"
            )
        if _connecting(exchange) != self.connecting:
            raise ConfigurationError(f"{self.id}: verify, cafile and trust_env cannot change after the first order")
        _check_session(exchange)
        how = {name: wanted[name] for name in ("resolve_for", "stray")}
        how |= {"timeout": max(exchange.timeout / 1000, 1.0), "number": exchange.number}
        key = tuple(how.values())
        if key not in self._orders:
            self._orders[key] = CcxtOrders(self.bridge, self.bridge.names[0], **how)
        return self._orders[key]

    async def aclose(self) -> None:
        """Close the bridge, and the object behind it."""
        try:
            await self.bridge.aclose()
        finally:
            if self._engine is not None:
                await self._engine.aclose()
            if self.twin is not None:
                await self.twin.close()

    def leave_to_the_parent(self) -> None:
        """In a forked child: nothing of the parent's connections is closed, not even when it is forgotten here."""
        session = getattr(self.twin, "session", None)
        if session is not None and session.connector is not None:
            session.connector._closed = True
            self.twin.session = None


def settings_of(exchange: Any) -> dict[str, Any]:
    """
    Our settings in the options of an object, with the environment's journal.

    Raises:
        ConfigurationError: one that is not known, or no such value.
    """
    told = exchange.options.get(OPTION) or {}
    if not isinstance(told, Mapping) or set(told) - _SETTINGS:
        raise ConfigurationError(f'options["{OPTION}"] has {", ".join(sorted(_SETTINGS))}, and nothing else')
    journal = told.get("journal") or os.environ.get(JOURNAL_VARIABLE) or None
    if journal is not None and not isinstance(journal, (str, os.PathLike)):
        raise ConfigurationError(f"a journal is named by its path, not by a {type(journal).__name__}")
    if not isinstance(told.get("spot_only", False), bool):
        raise ConfigurationError("spot_only is True or False")
    return {
        "journal": None if journal is None else os.path.abspath(journal),
        "stray": told.get("stray", "cancel"),
        "resolve_for": told.get("resolve_for", 30.0),
        "spot_only": told.get("spot_only", False),
    }


def name_of(exchange: Any) -> str:
    """ccxt's name of the exchange, whatever id a class derived from ccxt's gives itself."""
    return next(kind.__name__ for kind in type(exchange).__mro__ if kind.__module__.startswith("ccxt."))


def _where(exchange: Any) -> str:
    """Where the orders of an object go, as text."""
    hostname, *flags = _flags_of(exchange)
    return _place(exchange.urls.get("api"), hostname, *map(bool, flags))


def _flags_of(exchange: Any) -> list[Any]:
    return [exchange.hostname, exchange.isSandboxModeEnabled, *map(exchange.options.get, _SWITCHES)]


def _place(addresses: Any, *more: Any) -> str:
    if isinstance(addresses, Mapping) and "ws" in addresses:
        # Of ccxt's three kinds of objects one has streams, through which no order goes.
        addresses = {name: address for name, address in addresses.items() if name != "ws"}
    return json.dumps([addresses, *more], sort_keys=True, default=str)


def _account_of(exchange: Any) -> str:
    """
    The label by which the journal tells the orders of one key, at one place, from those of another.

    Of a key at the exchange's usual address it is the same in every version of ccxt, whatever that address is by then.
    """
    known, place = exchange.describe(), _where(exchange)
    usual = _place(known["urls"].get("api"), known.get("hostname"), False, False, False)
    key = next((getattr(exchange, name) for name in _NAMES if getattr(exchange, name, None)), "")
    told = key if place == usual else f"{key}\n{place}"
    return hashlib.sha256(told.encode()).hexdigest()[:10]


class _Process:
    """What this process has; a forked child begins anew."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.thread: LoopThread | None = None
        self.bridges: dict[tuple[Any, ...], SharedBridge] = {}
        self.uncovered: dict[str, str] = {}
        self.keys: WeakKeyDictionary[Any, tuple[list[Any], tuple[Any, ...]]] = WeakKeyDictionary()
        self.warned: WeakKeyDictionary[Any, set[str]] = WeakKeyDictionary()
        self.is_over = False
        self.goes_on = threading.Event()


_process = _Process()
# A child keeps what its parent had, so that nothing of it is closed there.
_parents: list[_Process] = []


def _be_quiet() -> None:
    """Before a fork: the thread of the bridges stands still, with no lock that a child would wait for, for ever."""
    process = _process
    process.lock.acquire()
    reached, process.goes_on = threading.Event(), threading.Event()
    if process.thread is None or process.thread.is_closed or process.thread.is_current:
        return

    async def step(goes_on: threading.Event) -> None:
        reached.set()
        goes_on.wait()

    process.thread.begin(partial(step, process.goes_on))
    reached.wait(_LONGEST_STEP)


def _go_on() -> None:
    _process.goes_on.set()
    _process.lock.release()


def _begin_anew() -> None:
    global _process
    for shared in _process.bridges.values():
        shared.leave_to_the_parent()
    _parents.append(_process)
    _process = _Process()


os.register_at_fork(before=_be_quiet, after_in_parent=_go_on, after_in_child=_begin_anew)


def thread() -> LoopThread:
    """The thread of all bridges of this process."""
    process = _process
    with process.lock:
        if process.thread is None or process.thread.is_closed:
            process.thread = LoopThread()
        return process.thread


def is_over() -> bool:
    """True once the program is ending and the bridges are closed: what is called then is called on ccxt."""
    return _process.is_over


def calling(exchange: Any, name: str, arguments: Mapping[str, Any]) -> Callable[[], Awaitable[Any]]:
    """
    A call of `CcxtOrders`, to be awaited in the thread of the bridges, with the object as it is set now.

    Raises:
        Uncovered: nothing was done, as no gateway has this exchange. AuthenticationError: a credential is missing.
    """
    key = _key_of(exchange)
    if (why := _process.uncovered.get(key[0])) is not None:
        raise Uncovered(why)
    shared = _process.bridges.get(key)
    if shared is None:
        exchange.check_required_credentials()
    travels = dict(zip(_TRAVELS, _travels_of(exchange), strict=True))
    travels["aiohttp_proxy"] = exchange.aiohttp_proxy or _of_requests(exchange)
    is_told_here = key[0] in _OWN_GATEWAYS and any(map(travels.get, _PROXIES))
    proxy = _proxy_of(exchange) if is_told_here else None
    changed = None if shared is None else shared.changed(exchange)

    async def step() -> Any:
        shared = _shared(exchange, key)
        orders = shared.orders(exchange)
        # Another object's first call may have made it, at the same time.
        own = shared.changed(exchange) if changed is None else changed
        current.set(CalledObject(exchange, {**travels, **shared.over_own(own)}, proxy))
        try:
            return await getattr(orders, name)(**arguments)
        except asyncio.CancelledError as error:
            if name.startswith(("create", "edit")) and (why := cut_off()) is not None:
                raise OrderOutcomeUnknown(why) from error
            raise

    return step


def _key_of(exchange: Any) -> tuple[Any, ...]:
    """What tells the bridge of an object from every other."""
    # An older ccxt, which does for Bitso, has no `login`.
    credentials = [getattr(exchange, name, None) for name in _CREDENTIALS]
    told = [exchange.urls.get("api"), *_flags_of(exchange), *credentials]
    known = _process.keys.get(exchange)
    if known is None or known[0] != told:
        key = (name_of(exchange), _where(exchange), *credentials)
        known = _process.keys[exchange] = copy.deepcopy(told), key
    return known[1]


def _shared(exchange: Any, key: tuple[Any, ...]) -> SharedBridge:
    """The bridge of an object; in the thread of the bridges only, so that one is made for each key."""
    process = _process
    shared = process.bridges.get(key)
    if shared is None:
        if _key_of(exchange) != key:
            raise ConfigurationError(f"{exchange.id} was set to another place or key meanwhile: nothing was done")
        try:
            shared = process.bridges[key] = SharedBridge(exchange)
        except Uncovered as error:
            process.uncovered[key[0]] = str(error)
            raise
    return shared


def nonce_of(exchange: Any, genuine: Callable[[], Any]) -> Any:
    """
    The next nonce of an object, above those of its orders, which the exchange would refuse it under otherwise.

    Bitso's are taken from the gateway always: an earlier process may have sent some of its long ones.
    """
    shared = _process.bridges.get(_key_of(exchange))
    if shared is None and name_of(exchange) in _OWN_GATEWAYS and exchange.apiKey and exchange.secret and not is_over():

        async def made() -> SharedBridge:
            return _shared(exchange, _key_of(exchange))

        with as_ccxt_errors():
            shared = thread().call(made)
    if shared is None:
        return genuine()
    return shared.nonces() if shared.nonces is not None else shared.rise(genuine())


def warn_once(exchange: Any, what: str, why: str) -> None:
    """Say once for an object that some of its calls are ccxt's own, and so not protected."""
    said = _process.warned.setdefault(exchange, set())
    if what not in said:
        said.add(what)
        log.warning("%s: %s: passed to ccxt as it is, where placing is not protected", exchange.id, why)


def close_all() -> None:
    """Close every bridge of this process. What is called after that makes new ones."""
    process = _process
    bridges, process.bridges = list(process.bridges.values()), {}
    if process.thread is None:
        return

    async def last() -> None:
        for shared in bridges:
            try:
                await shared.aclose()
            except (OrderBridgeError, BaseExceptionGroup, OSError) as error:
                log.warning("%s could not be closed: %s", shared.id, error)

    process.thread.close(last)


def _close_at_exit() -> None:
    _process.is_over = True
    close_all()


# By the hook that the thread pools end by, and before them: what is registered later is called earlier. At `atexit` a
# journal could no longer be closed.
import_module("concurrent.futures.thread")
threading._register_atexit(_close_at_exit)  # type: ignore[attr-defined]
