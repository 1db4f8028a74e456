"""aiohttp as an engine: several times cheaper per request than httpx. Needs the extra `fast` (or `ccxt`)."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import (
    Limits,
    NoAnswer,
    NothingSent,
    OneLoop,
    Proxies,
    Proxy,
    WireRequest,
    WireResponse,
    check_headers,
    told,
)

try:
    import aiohttp
    from yarl import URL
except ImportError as missing:  # pragma: no cover - the test install has it
    raise ConfigurationError("the aiohttp engine needs: pip install 'orderbridge[fast]'") from missing

_SENDABLE: Final = re.compile("[!-~]+")
# Made for one look at one socket: an epoll of its own would be three more system calls.
_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


@dataclass(slots=True)
class _Progress:
    """The progress of a request: may a byte of it have left, and until when may one."""

    not_after: float
    started: bool = False


_under_way: Final[ContextVar[_Progress]] = ContextVar("under_way")


class _Connector(aiohttp.TCPConnector):
    """
    Gives a request its connection, after which it is written at once: by then a byte may have left, and none too late.

    None is given out on which bytes came unasked: they would pass for the next answer.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._used: WeakSet[Any] = WeakSet()

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        progress = _under_way.get()
        progress.started = False
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            is_new = protocol not in self._used
            if is_new or not (protocol.should_close or _is_readable(connection.transport)):
                break
            connection.close()
        self._used.add(protocol)
        if asyncio.get_running_loop().time() > progress.not_after:
            connection.release()
            raise NothingSent("it was too late to send")
        progress.started = True
        return connection


class _Body(aiohttp.BytesPayload):
    """Is written a turn of the loop after its request has its connection, and not once that is too late."""

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        if asyncio.get_running_loop().time() > _under_way.get().not_after:
            raise NothingSent("it was too late to send")
        await super().write_with_length(writer, content_length)


def _is_readable(transport: Any) -> bool:
    """True where bytes, or the end, came that the loop has not read yet."""
    raw = None if transport is None else transport.get_extra_info("socket")
    if raw is None or raw.fileno() < 0:
        return True
    with _Selector() as selector:
        selector.register(raw, selectors.EVENT_READ)
        return bool(selector.select(0))


_sessions: Final[WeakSet[aiohttp.ClientSession]] = WeakSet()


def _leave_to_the_parent() -> None:
    """
    In a forked child: have nothing of the parent's closed, not even when it is forgotten here.

    aiohttp closes the connections of a connector that nobody refers to any more, by which the parent would lose them:
    both have the same sockets, and the same list of those that its loop listens to.
    """
    for session in _sessions:
        if session.connector is not None:
            session.connector._closed = True


os.register_at_fork(after_in_child=_leave_to_the_parent)


class AiohttpTransport:
    """Sends through one aiohttp session, made at first use. It keeps no cookies."""

    def __init__(self, *, limits: Limits | None = None, proxies: Proxies | None = None) -> None:
        self._limits = limits or Limits()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._loop = OneLoop("this HTTP transport")
        self._proxies = proxies or Proxies()

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        self._loop.check()
        if self._closed:
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        ends = asyncio.get_running_loop().time() + timeout
        latest = ends if not_after is None else min(ends, not_after)
        if asyncio.get_running_loop().time() >= latest:
            raise NothingSent("no time is left")
        if not _SENDABLE.fullmatch(request.url):
            # aiohttp would send a space or a line break of an encoded URL as it stands.
            raise NothingSent(f"{request.url!r} holds characters that no URL may hold")
        progress, proxy = _Progress(latest), None
        _under_way.set(progress)
        try:
            check_headers(request)
            proxy = self._proxies.of(request.url)
            async with asyncio.timeout_at(ends):
                return await self._exchange(request, progress, proxy)
        except ConfigurationError:
            raise
        except (NothingSent, NoAnswer) as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what counts is whether a byte had left
            text = told(error, request, proxy=proxy)
        # Without the library's error: its frames hold the headers, and so what signs the request.
        raise NoAnswer(text) if progress.started else NothingSent(text)

    async def _exchange(self, request: WireRequest, progress: _Progress, proxy: Proxy | None) -> WireResponse:
        session = self._session = self._session or self._make_session()
        # A connection that is not there by then is given up; by the library's own limit, as it closes its socket.
        waits = progress.not_after - asyncio.get_running_loop().time()
        url = URL(request.url, encoded=True)
        # Until the connector says otherwise, which another version of aiohttp might ask in another way.
        progress.started = bool(url.host)
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=_Body(request.body) if request.body else None,
            allow_redirects=False,
            # Not by trust_env: that would also read passwords for the venue's host from .netrc, in place of a
            # signature, and asks the environment in a thread at every request.
            proxy=None if proxy is None else proxy.url,
            timeout=aiohttp.ClientTimeout(
                connect=max(0.001, waits), sock_connect=self._limits.connect, sock_read=self._limits.read
            ),
        ) as response:
            body = await self._read(response)
            headers = {name.lower(): value for name, value in response.headers.items()}
            return WireResponse(response.status, headers, body)

    async def aclose(self) -> None:
        self._closed = True
        if self._session is not None and not self._loop.is_the_parents:
            await self._session.close()
            # aiohttp closes TLS transports one turn of the loop later.
            await asyncio.sleep(0)

    def _make_session(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=_Connector(limit=100, keepalive_timeout=self._limits.keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A POST without a body would be called application/octet-stream.
            skip_auto_headers=("Content-Type",),
        )
        # aiohttp replays GET and DELETE when a kept connection dies after the request left, and offers no
        # public switch. A cancel by client id must not be sent twice behind our back.
        if not hasattr(session, "_retry_connection"):
            raise ConfigurationError("this aiohttp cannot be kept from repeating requests; use transport='httpx'")
        session._retry_connection = False
        _sessions.add(session)
        return session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        while chunk := await response.content.readany():
            size += len(chunk)
            if size > self._limits.max_body:
                response.close()
                raise NoAnswer(f"the answer is larger than {self._limits.max_body} bytes")
            chunks.append(chunk)
        return b"".join(chunks)
