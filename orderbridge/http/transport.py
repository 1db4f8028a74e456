"""The seam between venue logic and HTTP libraries."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from orderbridge.errors import ConfigurationError
from orderbridge.http.body import CREDENTIALS

if TYPE_CHECKING:
    import httpx

MAX_BODY: Final = 8 * 1024 * 1024
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})
_METHOD: Final = re.compile("[A-Z]+")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER: Final = re.compile(r"[ -~\x80-\xff]*")
_TOLD: Final = 300


class NothingSent(Exception):
    """Raised by an engine: no byte of the request left. Name resolution, connect, TLS, pool."""


class NoAnswer(Exception):
    """Raised by an engine: bytes may have left, and no whole answer came back."""


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: "…" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes out. `url` ends in the exact path and query that were signed."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query as sent: what a signature covers."""
        return "/" + self.url.partition("://")[2].partition("/")[2].partition("#")[0]

    def __repr__(self) -> str:
        size = len(self.body)
        return f"WireRequest({self.method} {self.url}, headers={_shown(self.headers)}, {size} bytes)"


@dataclass(frozen=True, slots=True)
class WireResponse:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def __repr__(self) -> str:
        size = len(self.body)
        return f"WireResponse({self.status}, headers={_shown(self.headers)}, {size} bytes)"


class Attempt:
    """The time of one attempt: when it ends, and after when no byte of it leaves. NothingSent: none is left."""

    def __init__(self, timeout: float, not_after: float | None) -> None:
        self.now = asyncio.get_running_loop().time
        self.ends = self.now() + timeout
        self.not_after = self.ends if not_after is None else min(self.ends, not_after)
        if self.time_to_send <= 0:
            raise NothingSent("no time is left")

    @property
    def time_to_send(self) -> float:
        """Seconds in which a byte may still leave; below zero it is too late."""
        return self.not_after - self.now()

    def check(self) -> None:
        """Raise NothingSent where a byte would leave too late."""
        if self.time_to_send < 0:
            raise NothingSent("it was too late to send")


class Transport(Protocol):
    """An HTTP engine. It repeats nothing, follows no redirect, and sends `url` exactly as it stands."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        """
        Send once and read the whole answer within `timeout` seconds.

        A transport whose `send` has no `not_after` is used all the same, and said to be unable to keep it.

        Args:
            not_after: loop time after which no byte is written any more, however long connecting took.

        Raises:
            NothingSent: no byte of the request left.
            NoAnswer: bytes may have left; no whole answer within the time and size limits.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened."""
        ...


if TYPE_CHECKING:
    EngineLike = str | httpx.AsyncClient | Transport


def make_transport(engine: EngineLike) -> tuple[Transport, bool]:
    """
    The transport for `"auto"`, `"httpx"`, `"aiohttp"`, an `httpx.AsyncClient` or a `Transport`.

    Returns:
        The transport, and whether whoever asked owns it and closes it.

    Raises:
        ConfigurationError: no such engine, or its package is missing.
    """
    if engine == "auto":
        engine = "aiohttp" if find_spec("aiohttp") else "httpx"
    if engine == "aiohttp":
        return (_Late() if find_spec("aiohttp") else _aiohttp()), True
    if engine == "httpx":
        from orderbridge.http.httpx_engine import HttpxTransport

        return HttpxTransport(), True
    if isinstance(engine, str):
        raise ConfigurationError(f"there is no engine {engine!r}: use 'auto', 'httpx' or 'aiohttp'")
    if hasattr(engine, "build_request"):
        from orderbridge.http.httpx_engine import HttpxTransport

        return HttpxTransport(cast("httpx.AsyncClient", engine)), True
    if hasattr(engine, "send") and hasattr(engine, "aclose"):
        return engine, False
    raise ConfigurationError(f"{type(engine).__name__} is no transport: it has no send and aclose")


def _aiohttp() -> Transport:
    from orderbridge.http.aiohttp_engine import AiohttpTransport

    return AiohttpTransport()


class _Late:
    """aiohttp's engine, loaded with the first request: its library takes longer than all else that a gateway loads."""

    def __init__(self) -> None:
        self._engine: Transport | None = None
        self._closed = False

    def send(
        self, request: WireRequest, *, timeout: float, not_after: float | None = None
    ) -> Coroutine[Any, Any, WireResponse]:
        if self._engine is None:
            if self._closed:
                raise ConfigurationError("this HTTP transport is closed; make a new one")
            self._engine = _aiohttp()
        return self._engine.send(request, timeout=timeout, not_after=not_after)

    async def aclose(self) -> None:
        self._closed = True
        if self._engine is not None:
            await self._engine.aclose()


def keeps_deadline(transport: Transport) -> bool:
    """True where its `send` takes `not_after`."""
    try:
        parameters = inspect.signature(transport.send).parameters
    except (TypeError, ValueError):
        return False
    return "not_after" in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def told(error: BaseException, request: WireRequest | None = None, *, proxy: Proxy | None = None) -> str:
    """
    The words of an HTTP library's error, in a text that may be shown: short, and without a secret of the request.

    Of what went through a proxy the kind of the error only: its text may hold the proxy's password.
    """
    name = type(error).__name__
    if proxy is not None:
        status = getattr(error, "status", None)
        return f"{name}{f' {status}' if isinstance(status, int) else ''} by way of the proxy {proxy}"
    text = CREDENTIALS.sub("//", str(error))
    for header, value in request.headers.items() if request is not None else ():
        if value and header.lower() in _SECRET_HEADERS:
            for part in (value, ascii(value)[1:-1], value.rpartition(" ")[2]):
                text = text.replace(part, "…")
    text = text if len(text) <= _TOLD else f"{text[:_TOLD]}…"
    return f"{name}: {text}" if text else name


def check_request(request: WireRequest) -> None:
    """NothingSent: method or header are none to send. Said here, as libraries repeat a header's value in errors."""
    if not _METHOD.fullmatch(request.method):
        raise NothingSent(f"{request.method!r} is no method")
    for name, value in request.headers.items():
        if not (_TOKEN.fullmatch(name) and _HEADER.fullmatch(value)):
            raise NothingSent(f"the header {name!r} holds characters that no header may hold")
        if name.lower() in _FRAMING:
            raise NothingSent(f"the header {name!r} is the engine's to say: another length makes two requests of one")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, of which host and port are shown; its address, for an HTTP library only, may hold a password."""

    url: str = field(repr=False)
    shown: str

    def __str__(self) -> str:
        return self.shown


class Proxies:
    """
    The proxies of the environment, read at the first use of each origin, and the same for every engine.

    `HTTP_PROXY` or `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` excepts the host.
    """

    def __init__(self) -> None:
        self._known: dict[str, Proxy | str | None] = {}

    def of(self, url: str) -> Proxy | None:
        """The proxy for an address. ConfigurationError: one that is not spoken, or is no address."""
        origin = "/".join(url.split("/", 3)[:3])
        if origin not in self._known:
            self._known[origin] = _proxy_for(origin)
        proxy = self._known[origin]
        if isinstance(proxy, str):
            raise ConfigurationError(proxy)
        return proxy


def _proxy_for(origin: str) -> Proxy | str | None:
    """The environment's proxy for an address; text: what is wrong with it. Raises nothing that would show it."""
    from urllib.request import getproxies, proxy_bypass

    try:
        parts = urlsplit(origin)
        places = parts.hostname or "", parts.netloc
    except ValueError:
        return None  # no address at all, as the engine will say
    if any(map(proxy_bypass, places)):
        return None
    named = getproxies()
    url = named.get(parts.scheme) or named.get("all")
    if not url:
        return None
    try:
        return proxy_from(url, named_by="the environment")
    except ConfigurationError as error:
        return str(error)


def proxy_from(url: str, *, named_by: str) -> Proxy:
    """The proxy of an address. ConfigurationError: of no address, or of one that is not spoken; nothing shows it."""
    url = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise ConfigurationError(f"{named_by} names a proxy whose address is none")
    shown = f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"
    if parts.scheme in {"http", "https"}:
        return Proxy(url, shown)
    raise ConfigurationError(
        f"{named_by} names the proxy {shown} of a kind that is not spoken here, such as SOCKS: "
        "name an HTTP proxy, or except the host in NO_PROXY"
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Time and size limits of one attempt: seconds, and bytes after decompression."""

    connect: float = 5.0
    read: float = 10.0
    attempt: float = 15.0
    keepalive: float = 90.0
    max_body: int = MAX_BODY


def check_address(url: str, *, allow_plain_http: bool = False) -> None:
    """
    Refuse an address that secrets should not travel to.

    Raises:
        ConfigurationError: no absolute http(s) URL, or plain http to another machine.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is none
    except ValueError as error:
        raise ConfigurationError(f"{url!r} is no absolute http(s) address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{url!r} is no absolute http(s) address")
    if parts.query or parts.fragment or parts.username or parts.password:
        raise ConfigurationError("a base URL holds no query, no fragment and no credentials")
    if parts.scheme == "http" and not allow_plain_http and not is_loopback(parts.hostname):
        raise ConfigurationError(f"{url!r} would send keys unencrypted; use https, or allow_plain_http=True")


def is_loopback(host: str) -> bool:
    """True of a host that is this machine, by what it is called: nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name, such as 127.example.com


def after_fork(owner: str) -> str:
    """The error about a thing that a forked child has from its parent."""
    return f"{owner} was in use before the process was forked; make a new one in the child"


class OneLoop:
    """Holds the event loop of first use, and refuses another: connections do not move between loops or processes."""

    __slots__ = ("_loop", "_owner", "_process")

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0

    @property
    def is_the_parents(self) -> bool:
        """True where the process was forked after the first use: then connections and tasks are not ours to touch."""
        return self._loop is not None and self._process != os.getpid()

    def check(self) -> None:
        """Raise ConfigurationError when the running loop is not the one of first use, or that was before a fork."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._process = loop, os.getpid()
        elif self._process != os.getpid():
            raise ConfigurationError(after_fork(self._owner))
        elif self._loop is not loop:
            raise ConfigurationError(f"{self._owner} was first used in another event loop; make one per loop")
