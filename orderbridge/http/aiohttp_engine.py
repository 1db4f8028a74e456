"""aiohttp as an engine: several times cheaper per request than httpx. Needs the extra `fast` (or `ccxt`)."""

from __future__ import annotations

import asyncio
import math
import os
import re
import select
from functools import cached_property
from typing import Any, Final, cast
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
    check_request,
    told,
)

try:
    import aiohttp
    from aiohttp.client_proto import ResponseHandler
    from yarl import URL
except ImportError as missing:  # pragma: no cover - the test install has it
    raise ConfigurationError("the aiohttp engine needs: pip install 'orderbridge[fast]'") from missing

_ADDRESS: Final = re.compile(r"""(https?://[!"$-.0->@-~]+)(?:/[!-~]*)?""", re.IGNORECASE)
_SPOKEN: Final = ("exception", "is_connected", "read", "set_response_params", "should_close")


class _Exchange(Attempt):
    """One request under way: its connection once a byte may have left, and how long its answer is waited for."""

    connection: aiohttp.connector.Connection | None = None
    gave_up = False

    def wait(self, seconds: float) -> None:
        """For so long from now on, and no longer than the attempt lasts, something may come."""
        self.until = min(self.ends, self.now() + seconds)

    def abort(self) -> bool:
        """Tear the connection down, with what is unsent. False: it is gone, or another's since the answer was whole."""
        transport = None if self.connection is None else self.connection.transport
        if transport is not None:
            transport.abort()
        return transport is not None


class _Way:
    """How an origin is reached: what aiohttp's connector is asked for, and what each request to it begins with."""

    def __init__(self, origin: str, proxy: Proxy | None) -> None:
        url = URL(origin, encoded=True)
        self.proxy = proxy
        self.opener = aiohttp.ClientRequest(
            "GET", url, loop=asyncio.get_running_loop(), proxy=None if proxy is None else URL(proxy.url)
        )
        host = self.opener.headers["Host"]
        self._prefix = f"http://{host}" if proxy is not None and not self.opener.is_ssl() else ""

    @cached_property
    def _headers(self) -> dict[str, str]:
        """What aiohttp sends of itself: host, encodings, its name, and, once it has connected, a proxy's password."""
        return {name.lower(): f"{name}: {value}\r\n" for name, value in self.opener.headers.items()}

    def head(self, request: WireRequest) -> bytes:
        """The request as it is written, but for its body. A proxy of plain HTTP is named the whole address."""
        headers = self._headers.copy()
        if request.body or request.method not in {"GET", "HEAD"}:
            headers["content-length"] = f"Content-Length: {len(request.body)}\r\n"
        for name, value in request.headers.items():
            headers[name.lower()] = f"{name}: {value}\r\n"
        line = f"{request.method} {self._prefix}{request.target} HTTP/1.1\r\n"
        return f"{line}{''.join(headers.values())}\r\n".encode("latin-1")


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


_connectors: Final[WeakSet[aiohttp.TCPConnector]] = WeakSet()


def _leave_to_the_parent() -> None:
    """
    In a forked child: have nothing of the parent's closed, not even when it is forgotten here.

    aiohttp closes the connections of a connector that nobody refers to any more, by which the parent would lose them:
    both have the same sockets, and the same list of those that its loop listens to.
    """
    for connector in _connectors:
        connector._closed = True


os.register_at_fork(after_in_child=_leave_to_the_parent)


class AiohttpTransport:
    """
    Writes each request itself to a connection of aiohttp's, and reads the answer by aiohttp's parser.

    aiohttp's connector resolves, connects, speaks TLS and to proxies, and keeps connections. Its session is left out:
    it repeats a GET or DELETE whose kept connection died after it left, cannot say whether a byte left, and costs more
    than all the rest. So nothing is repeated, no redirect is followed, no cookie kept and no .netrc read.
    """

    def __init__(self, *, limits: Limits | None = None, proxies: Proxies | None = None) -> None:
        if missing := [name for name in _SPOKEN if not hasattr(ResponseHandler, name)]:
            raise ConfigurationError(f"this aiohttp has no {', '.join(missing)}; use transport='httpx'")
        self._limits = limits or Limits()
        self._proxies = proxies or Proxies()
        self._loop = OneLoop("this HTTP transport")
        self._closed = False
        self._connector: aiohttp.TCPConnector | None = None
        self._ways: dict[tuple[str, Proxy | None], _Way] = {}
        self._used: WeakSet[ResponseHandler] = WeakSet()
        self._waiting: set[_Exchange] = set()
        self._look_at: asyncio.TimerHandle | None = None

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        self._loop.check()
        if self._closed:
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        exchange, proxy = _Exchange(timeout, not_after), None
        try:
            check_request(request)
            way = self._way_to(request.url)
            proxy = way.proxy
            return await self._exchange(request, exchange, way)
        except ConfigurationError:
            raise
        except (NothingSent, NoAnswer) as error:
            text = str(error)
        except asyncio.CancelledError:
            # By the connector, which cancels those that wait for it when it is closed.
            if not self._closed or cast("asyncio.Task[Any]", asyncio.current_task()).cancelling():
                raise
            text = "this HTTP transport was closed"
        except Exception as error:  # noqa: BLE001 - whatever it is, what counts is whether a byte had left
            text = "no whole answer in time" if exchange.gave_up else told(error, request, proxy=proxy)
        finally:
            self._waiting.discard(exchange)
        # Without the library's error: its frames hold the headers, and so what signs the request.
        raise NothingSent(text) if exchange.connection is None else NoAnswer(text)

    def _way_to(self, url: str) -> _Way:
        if (address := _ADDRESS.fullmatch(url)) is None:
            # A space or a line break would end the line of the request.
            raise NothingSent("the URL is no http(s) address, or holds characters that none may hold")
        origin, proxy = address[1], self._proxies.of(url)
        if (origin, proxy) not in self._ways:
            self._ways[origin, proxy] = _Way(origin, proxy)
        return self._ways[origin, proxy]

    async def _exchange(self, request: WireRequest, exchange: _Exchange, way: _Way) -> WireResponse:
        connection = await self._connect(exchange, way)
        try:
            exchange.check()
            protocol: Any = connection.protocol
            protocol.set_response_params(read_until_eof=True, skip_payload=request.method == "HEAD")
            data = way.head(request) + request.body
            exchange.connection = connection
            protocol.transport.write(data)
            self._watch(exchange)
            response = await self._answer(protocol, exchange)
        except BaseException:  # a cancellation too: what is still to come would pass for the next answer
            if exchange.connection is None:
                connection.release()
            else:
                exchange.abort()
                connection.close()
            raise
        if protocol.is_connected() and protocol.transport.get_write_buffer_size():
            exchange.abort()  # answered before it was read: the next request would leave behind what is unsent
        connection.release()
        return response

    async def _connect(self, exchange: _Exchange, way: _Way) -> aiohttp.connector.Connection:
        """A connection, kept or new. None on which bytes came unasked: they would pass for the next answer."""
        connector = self._connector
        if connector is None:
            connector = self._connector = aiohttp.TCPConnector(limit=100, keepalive_timeout=self._limits.keepalive)
            _connectors.add(connector)
        while True:
            # One that is not there by then is given up by the library, as it closes its socket.
            limit = aiohttp.ClientTimeout(
                connect=max(0.001, exchange.time_to_send), sock_connect=self._limits.connect, ceil_threshold=math.inf
            )
            connection = await connector.connect(way.opener, [], limit)
            protocol: Any = connection.protocol
            is_new = protocol not in self._used
            self._used.add(protocol)
            # After its handshake a new one has bytes of TLS to be read.
            if not (protocol.should_close or (not is_new and _is_readable(protocol.transport))):
                return connection
            connection.close()
            if is_new:
                raise NothingSent("the peer spoke before it was asked, or hung up")

    async def _answer(self, protocol: Any, exchange: _Exchange) -> WireResponse:
        message, content = await protocol.read()
        while message.code in range(100, 200):
            if message.code == 101:
                raise NoAnswer("the peer began to speak another protocol")
            message, content = await protocol.read()
        chunks, size = [], 0
        while not content.at_eof():
            exchange.wait(self._limits.read)
            chunks.append(await content.readany())
            size += len(chunks[-1])
            if size > self._limits.max_body:
                raise NoAnswer(f"the answer is larger than {self._limits.max_body} bytes")
        headers = {name.lower(): value for name, value in message.headers.items()}
        # The end of the connection, whoever made it, is the end of an answer that tells no other.
        is_cut = exchange.gave_up or self._closed or isinstance(protocol.exception(), aiohttp.ClientOSError)
        if is_cut and not (message.chunked or "content-length" in headers):
            raise NoAnswer("the connection was lost before the answer had ended")
        return WireResponse(message.code, headers, b"".join(chunks))

    def _watch(self, exchange: _Exchange) -> None:
        """Have the answer given up in time, by one timer for all: one for each would be a tenth of a request's cost."""
        exchange.wait(self._limits.read)
        self._waiting.add(exchange)
        if self._look_at is None or exchange.until < self._look_at.when():
            self._look()

    def _look(self) -> None:
        if self._look_at is not None:
            self._look_at.cancel()
        loop = asyncio.get_running_loop()
        for exchange in [each for each in self._waiting if each.until <= loop.time()]:
            self._waiting.discard(exchange)
            exchange.gave_up = exchange.abort()
        first = min((each.until for each in self._waiting), default=None)
        self._look_at = None if first is None else loop.call_at(first, self._look)

    async def aclose(self) -> None:
        self._closed = True
        if self._connector is not None and not self._loop.is_the_parents:
            for exchange in self._waiting:
                exchange.abort()
            await self._connector.close()
            # aiohttp closes TLS transports one turn of the loop later.
            await asyncio.sleep(0)
