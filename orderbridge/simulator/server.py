"""
The HTTP server under both venues: asyncio and httptools, with a hand on the socket.

A web framework cannot cut a connection in mid-body or stay silent on purpose; this protocol class can, and is
lean: a request is answered by one plain call, without a task of its own. Connections have no idle time-out.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from http import HTTPStatus

import httptools

from orderbridge.simulator.message import Delivery, Request, Response

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Response]

MOST_BODY = 1 << 20
MOST_HEAD = 1 << 16
LINGER, MOST_DISCARDED = 2.0, 1 << 26
_REASONS = {status.value: status.phrase for status in HTTPStatus} | {420: "Enhance Your Calm"}


class ClientConnection(asyncio.Protocol):
    """One client's connection: requests are answered one after the other, in the order in which they came."""

    def __init__(self, handler: Handler, connections: "set[ClientConnection]") -> None:
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._peer = ""
        self.closed: asyncio.Future[None]
        self._refused = False
        self._discarded = 0
        self._last = False
        self.on_message_begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self.closed = asyncio.get_running_loop().create_future()
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self.closed.set_result(None)
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def abort(self) -> None:
        """Close at once, unsent bytes and all."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discarded += len(data)
            if self._discarded > MOST_DISCARDED:
                self._transport.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last = True
        except httptools.HttpParserError:
            self._refuse(400)
        self._pump()

    # Called by httptools.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        self._grow_head(len(name) + len(value))

    def on_headers_complete(self) -> None:
        length = self._headers.get("content-length", "")
        if length.isdecimal() and int(length) > MOST_BODY:
            self._refuse(413)
        if self._headers.get("expect", "").lower() == "100-continue" and not self._refused:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MOST_BODY:
            self._refuse(413)
        elif not self._refused:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        method = self._parser.get_method().decode("ascii")
        request = Request(method, self._url.decode("latin-1"), self._headers, b"".join(self._body), self._peer)
        self._waiting.append((request, self._parser.should_keep_alive()))

    def _grow_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MOST_HEAD:
            self._refuse(413)

    def _refuse(self, status: int) -> None:
        """
        Answer at once, then read on for a while without looking.

        To close over unread bytes resets the connection, and a client that is still sending then loses the
        answer.
        """
        if self._refused or self._transport.is_closing():
            return
        self._refused = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._transport.write(_bytes(Response(status, _REASONS[status].encode(), "text/plain"), keep=False))
        self._transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER, self._transport.close)

    # Answering.

    def _pump(self) -> None:
        while self._waiting and not self._busy and not self._transport.is_closing():
            request, keep = self._waiting.popleft()
            keep = keep and not self._last
            response = self._ask(request)
            if response is None:
                return
            data = _bytes(response, keep=keep, head_only=request.method == "HEAD")
            if response.delivery is None:
                self._send(data, keep)
            else:
                self._deliver(data, len(response.body), response.delivery, keep)

    def _ask(self, request: Request) -> Response | None:
        try:
            return self._handler(request)
        except Exception as e:  # noqa: BLE001
            # Nothing is expected to come here. If something does, the client shall see what it sees of a real
            # exchange that breaks, a lost connection, and the others shall go on.
            _log.error(
                "%s %s has no answer, its connection is dropped: %r",
                request.method,
                request.target,
                e,
                exc_info=_log.isEnabledFor(logging.DEBUG),
            )
            self._transport.abort()
            return None

    def _send(self, data: bytes, keep: bool) -> None:
        self._transport.write(data)
        if not keep:
            self._transport.close()

    def _deliver(self, data: bytes, body_size: int, how: Delivery, keep: bool) -> None:
        if how.drop:
            self._transport.abort()
            return
        if how.cut is not None:
            data, keep = data[: len(data) - body_size + int(body_size * how.cut)], False
        pieces = [data[i : i + how.piece] for i in range(0, len(data), how.piece)] if how.drip else [data]
        self._busy = True
        if how.delay:
            self._later(how.delay, deque(pieces), how.drip, keep)
        else:
            self._next_piece(deque(pieces), how.drip, keep)

    def _later(self, seconds: float, pieces: deque[bytes], drip: float, keep: bool) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._next_piece, pieces, drip, keep)

    def _next_piece(self, pieces: deque[bytes], drip: float, keep: bool) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(pieces.popleft())
        if pieces:
            self._later(drip, pieces, drip, keep)
            return
        self._busy = False
        if not keep:
            self._transport.close()
        self._pump()


def _bytes(response: Response, *, keep: bool, head_only: bool = False) -> bytes:
    reason = _REASONS.get(response.status, "")
    head = (
        f"HTTP/1.1 {response.status} {reason}\r\n"
        f"content-type: {response.content_type}\r\ncontent-length: {len(response.body)}\r\n"
    )
    for name, value in response.headers.items():
        head += f"{name}: {value}\r\n"
    if not keep:
        head += "connection: close\r\n"
    return f"{head}\r\n".encode("latin-1") + (b"" if head_only else response.body)


class Server:
    """
    A listening socket and its connections. It starts on a port and can be stopped and started there again.
    """

    def __init__(self, handler: Handler, *, host: str, port: int) -> None:
        self._handler = handler
        self._host = host
        self.port = port
        self._connections: set[ClientConnection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Port 0 picks a free one, which is then kept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ClientConnection(self._handler, self._connections), self._host, self.port, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and close every connection; returns when none is left."""
        if self._server is None:
            return
        self._server.close()
        closed = [connection.closed for connection in self._connections]
        for connection in list(self._connections):
            connection.abort()
        await asyncio.gather(*closed)
        await self._server.wait_closed()
        self._server = None
