"""The seam between venue logic and HTTP libraries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

from orderbridge.errors import ConfigurationError

MAX_BODY: Final = 8 * 1024 * 1024
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "set-cookie", "proxy-authorization"})


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
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

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


class Transport(Protocol):
    """An HTTP engine. It repeats nothing, follows no redirect, and sends `url` exactly as it stands."""

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        """
        Send once and read the whole answer within `timeout` seconds.

        Raises:
            NothingSent: no byte of the request left.
            NoAnswer: bytes may have left; no whole answer within the time and size limits.
        """
        ...

    async def aclose(self) -> None:
        """Close what this transport opened."""
        ...


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
    """Whether a host is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # a name, such as 127.example.com


class OneLoop:
    """Holds the event loop of first use, and refuses another: connections do not move between loops."""

    __slots__ = ("_loop", "_owner")

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Raise ConfigurationError when the running loop is not the one of first use."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(f"{self._owner} was first used in another event loop; make one per loop")


EngineName = Literal["auto", "httpx", "aiohttp"]
