"""aiohttp as an engine: several times cheaper per request than httpx. Needs the extra `fast` (or `ccxt`)."""

from __future__ import annotations

import asyncio
import math
import os
import re
import select
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakSet

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import (
    Attempt,
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
_NO_TYPE: Final = ("Content-Type",)


class _Progress(Attempt):
    """How far a request is: may a byte of it have left, and how long is its answer waited for."""

    started = is_new = gave_up = False

    def start(self, connection: Any) -> None:
        """From now on bytes may leave."""
        self.started, self._connection = True, connection

    def wait(self, seconds: float) -> None:
        """For so long from now on, and no longer than the attempt lasts, something may come."""
        self.until = min(self.ends, self.now() + seconds)

    def give_up(self) -> None:
        """Tear the connection down, by which the wait ends. Where the answer was whole it may be another's by now."""
        if (transport := self._connection.transport) is not None:
            self.gave_up = True
            transport.abort()


_under_way: Final[ContextVar[_Progress]] = ContextVar("under_way")


class _Connector(aiohttp.TCPConnector):
    """
    Gives a request its connection, after which it is written at once: by then a byte may have left, and none too late.

    None is given out on which bytes came unasked: they would pass for the next answer. Answers that are not there in
    time are given up by one timer for all: one for each would be a tenth of what a request costs.
    """

    def __init__(self, limits: Limits, waiting: set[_Progress]) -> None:
        super().__init__(limit=100, keepalive_timeout=limits.keepalive)
        self._limits, self._waiting = limits, waiting
        self._look_at: asyncio.TimerHandle | None = None

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        progress = _under_way.get()
        progress.started = False
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol: Any = connection.protocol
            if progress.is_new or not (protocol.should_close or _is_readable(protocol.transport)):
                break
            connection.close()
        try:
            progress.check()
        except NothingSent:
            connection.release()
            raise
        progress.start(connection)
        progress.wait(self._limits.read)
        self._waiting.add(progress)
        if self._look_at is None or progress.until < self._look_at.when():
            self._look()
        return connection

    async def _create_connection(self, *args: Any) -> Any:
        protocol = await super()._create_connection(*args)
        _under_way.get().is_new = True
        return protocol

    def _look(self) -> None:
        if self._look_at is not None:
            self._look_at.cancel()
        for progress in [each for each in self._waiting if each.until <= self._loop.time()]:
            self._waiting.discard(progress)
            progress.give_up()
        first = min((each.until for each in self._waiting), default=None)
        self._look_at = None if first is None else self._loop.call_at(first, self._look)


class _Body(aiohttp.BytesPayload):
    """Is written a turn of the loop after its request has its connection, and not once that is too late."""

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        _under_way.get().check()
        await super().write_with_length(writer, content_length)


def _is_readable(transport: Any) -> bool:
    """True where bytes, or the end, came that the loop has not read yet."""
    raw = None if transport is None else transport.get_extra_info("socket")
    if raw is None or (number := raw.fileno()) < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([number], [], [], 0)[0])
    # Made for one look at one socket: an epoll of its own would be three more system calls.
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


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
        self._waiting: set[_Progress] = set()
        self._closed = False
        self._loop = OneLoop("this HTTP transport")
        self._proxies = proxies or Proxies()

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        self._loop.check()
        if self._closed:
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        progress, proxy = _Progress(timeout, not_after), None
        if not _SENDABLE.fullmatch(request.url):
            # aiohttp would send a space or a line break of an encoded URL as it stands.
            raise NothingSent(f"{request.url!r} holds characters that no URL may hold")
        _under_way.set(progress)
        try:
            check_headers(request)
            proxy = self._proxies.of(request.url)
            return await self._exchange(request, progress, proxy)
        except ConfigurationError:
            raise
        except (NothingSent, NoAnswer) as error:
            text = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what counts is whether a byte had left
            text = "no whole answer in time" if progress.gave_up else told(error, request, proxy=proxy)
        finally:
            self._waiting.discard(progress)
        # Without the library's error: its frames hold the headers, and so what signs the request.
        raise NoAnswer(text) if progress.started else NothingSent(text)

    async def _exchange(self, request: WireRequest, progress: _Progress, proxy: Proxy | None) -> WireResponse:
        session = self._session = self._session or self._make_session()
        url = URL(request.url, encoded=True)
        # Until the connector says otherwise, which another version of aiohttp might ask in another way.
        progress.started = bool(url.raw_host)
        async with session.request(
            request.method,
            url,
            headers=request.headers,
            data=_Body(request.body) if request.body else None,
            # A POST without a body would be called application/octet-stream.
            skip_auto_headers=None if request.method == "GET" else _NO_TYPE,
            allow_redirects=False,
            # Not by trust_env: that would also read passwords for the venue's host from .netrc, in place of a
            # signature, and asks the environment in a thread at every request.
            proxy=None if proxy is None else proxy.url,
            # A connection that is not there by then is given up by the library, as it closes its socket.
            timeout=aiohttp.ClientTimeout(
                connect=max(0.001, progress.time_to_send), sock_connect=self._limits.connect, ceil_threshold=math.inf
            ),
        ) as response:
            body = await self._read(response, progress)
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
            connector=_Connector(self._limits, self._waiting),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        # aiohttp replays GET and DELETE when a kept connection dies after the request left, and offers no
        # public switch. A cancel by client id must not be sent twice behind our back.
        if not hasattr(session, "_retry_connection"):
            raise ConfigurationError("this aiohttp cannot be kept from repeating requests; use transport='httpx'")
        session._retry_connection = False
        _sessions.add(session)
        return session

    async def _read(self, response: aiohttp.ClientResponse, progress: _Progress) -> bytes:
        chunks, size, content = [], 0, response.content
        while not content.at_eof():
            progress.wait(self._limits.read)
            chunks.append(await content.readany())
            size += len(chunks[-1])
            if size > self._limits.max_body:
                response.close()
                raise NoAnswer(f"the answer is larger than {self._limits.max_body} bytes")
        return b"".join(chunks)
