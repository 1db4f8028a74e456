"""The end of an engine's time, and of the engine: nothing is sent after either."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp.client_proto import ResponseHandler

from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, Transport, WireRequest
from orderbridge.http.aiohttp_engine import AiohttpTransport
from orderbridge.http.transport import NoAnswer, NothingSent

Serve = Callable[..., Awaitable[Any]]
Engine = Callable[..., Transport]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def test_no_time_left_sends_nothing(serve: Serve, engine: Engine) -> None:
    """When the time is up before the request starts, it does not start, not even on a kept connection."""
    peer = await serve(OK)
    transport = engine()
    await transport.send(WireRequest("GET", peer.url), timeout=5)

    for timeout in (0.0, -1.0):
        with pytest.raises(NothingSent):
            await transport.send(WireRequest("POST", peer.url), timeout=timeout)

    assert len(peer.requests) == 1


async def test_a_closed_engine_says_so(serve: Serve, engine: Engine) -> None:
    """A use after the end is a mistake in the program, told in our words."""
    peer = await serve(OK)
    unused, used = engine(), engine()
    await used.send(WireRequest("GET", peer.url), timeout=5)

    for transport in (unused, used):
        await transport.aclose()
        await transport.aclose()
        with pytest.raises(ConfigurationError, match="is closed"):
            await transport.send(WireRequest("GET", peer.url), timeout=5)


async def test_a_client_that_its_owner_closed_says_so(serve: Serve) -> None:
    """A caller who closed his client hears it in our words."""
    client = httpx.AsyncClient()
    await client.aclose()

    with pytest.raises(ConfigurationError, match="is closed"):
        await HttpxTransport(client).send(WireRequest("GET", "http://127.0.0.1:1/"), timeout=5)


async def test_closing_under_way_ends_the_exchange_as_unknown(serve: Serve, engine: Engine) -> None:
    """What was sent when the engine is closed may have been carried out."""
    peer = await serve(silence)
    transport = engine()
    task = asyncio.ensure_future(transport.send(WireRequest("POST", peer.url), timeout=1))
    await peer.received.wait()

    await transport.aclose()

    with pytest.raises(NoAnswer):
        await task


class Patient(httpx.AsyncClient):
    """A client that waits for a connection for ever: it is the attempt's own time that ends first."""

    def build_request(self, *args: Any, **more: Any) -> httpx.Request:
        return super().build_request(*args, **{**more, "timeout": None})


@pytest.mark.parametrize("kind", [httpx.AsyncClient, Patient], ids=["by the pool's limit", "by the attempt's limit"])
async def test_waiting_for_a_free_connection_sent_nothing(serve: Serve, kind: type[httpx.AsyncClient]) -> None:
    """When the caller's client has no connection free in time, nothing left, whichever limit was met first."""
    peer = await serve(silence)
    async with kind(limits=httpx.Limits(max_connections=1)) as client:
        transport = HttpxTransport(client)
        first = asyncio.ensure_future(transport.send(WireRequest("POST", peer.url), timeout=1000))
        await peer.received.wait()

        with pytest.raises(NothingSent):
            await transport.send(WireRequest("POST", peer.url), timeout=0.1)

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(peer.requests) == 1


@contextlib.asynccontextmanager
async def late_handshake(peer: Any, *, after: Callable[[], Awaitable[None]]) -> AsyncIterator[str]:
    """The address of a way to a peer on which the server's part of the first handshake comes only after something."""
    port = int(peer.url.split(":")[2].split("/")[0])
    tasks: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, late: bool = False) -> None:
        while data := await reader.read(65536):
            if late:
                await after()
            late = False
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task, late = asyncio.current_task(), not tasks
        assert task is not None
        tasks.append(task)
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, forth), pump(back, writer, late=late))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            forth.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("blocked", [False, True], ids=["slow", "with the loop blocked"])
@pytest.mark.parametrize("body", [b"", b"{}"], ids=["no body", "body"])
async def test_a_handshake_that_ends_too_late_sends_nothing(
    serve: Serve, engine: Engine, trusted: ssl.SSLContext, blocked: bool, body: bytes
) -> None:
    """After `not_after` no byte of a request leaves, however its connection came about, and the next one does."""
    peer = await serve(OK, ssl=trusted)
    over = asyncio.Event()

    async def wait() -> None:
        if blocked:
            time.sleep(0.6)  # noqa: ASYNC251 - what a busy program does: the timer and the bytes are there in the same turn
        else:
            await over.wait()

    transport = engine()
    async with late_handshake(peer, after=wait) as url:
        not_after = asyncio.get_running_loop().time() + 0.5

        with pytest.raises(NothingSent):
            await transport.send(WireRequest("POST", url, {}, body), timeout=30, not_after=not_after)
        over.set()
        response = await transport.send(WireRequest("GET", url), timeout=30)
        await transport.aclose()

    assert response.status == 200
    assert [line.split()[0] for line in peer.lines] == ["GET"]


async def test_a_deadline_that_passes_at_the_last_moment_sends_nothing(
    serve: Serve, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a kept connection too the clock is read right before the first byte, and the connection stays of use."""
    peer = await serve(OK)
    transport = engine()
    await transport.send(WireRequest("GET", peer.url), timeout=5)
    loop = asyncio.get_running_loop()
    started, calls = loop.time(), 0

    def leap() -> float:
        nonlocal calls
        calls += 1
        return started + (0.0 if calls < 3 else 100.0)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", leap)
        with pytest.raises(NothingSent):
            await transport.send(WireRequest("POST", peer.url), timeout=500, not_after=started + 50)
    await transport.send(WireRequest("GET", peer.url), timeout=5)

    assert [line.split()[0] for line in peer.lines] == ["GET", "GET"]


async def test_a_request_leaves_in_one_piece(serve: Serve) -> None:
    """aiohttp's engine writes head and body at once, so no stall of the loop comes between the deadline and either."""
    peer = await serve(OK)
    transport, loop = AiohttpTransport(), asyncio.get_running_loop()
    await transport.send(WireRequest("GET", peer.url), timeout=5)

    in_time = WireRequest("POST", peer.url, {}, b"{}")
    sending = asyncio.ensure_future(transport.send(in_time, timeout=5, not_after=loop.time() + 0.2))
    loop.call_soon(time.sleep, 0.5)
    response = await sending
    await transport.aclose()

    assert (response.status, peer.requests[1][-2:]) == (200, b"{}")


async def lost(connection: aiohttp.connector.Connection) -> None:
    """The peer goes."""
    assert connection.transport is not None
    connection.transport.abort()
    await asyncio.sleep(0)


async def spoken(connection: aiohttp.connector.Connection) -> None:
    """The peer sends an answer to nothing."""
    assert connection.protocol is not None
    connection.protocol.data_received(OK)


@pytest.mark.parametrize("happens", [lost, spoken])
async def test_a_new_connection_that_is_of_no_use_sends_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, happens: Callable[[Any], Awaitable[None]]
) -> None:
    """Where the peer goes or speaks before it is asked, no byte leaves, and what it said is no answer."""
    peer = await serve(OK)
    connect = aiohttp.TCPConnector.connect

    async def connected(self: aiohttp.TCPConnector, *args: Any) -> Any:
        connection = await connect(self, *args)
        await happens(connection)
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", connected)
    transport = AiohttpTransport()
    with pytest.raises(NothingSent, match="spoke before it was asked, or hung up"):
        await transport.send(WireRequest("POST", peer.url, {}, b"{}"), timeout=5)
    await transport.aclose()

    assert peer.requests == []


async def test_an_answer_in_another_protocol_is_no_answer(serve: Serve) -> None:
    """Nobody asked to switch, so what the peer means, and whether the order is placed, is not known."""
    peer = await serve(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    transport = AiohttpTransport()

    with pytest.raises(NoAnswer, match="another protocol"):
        await transport.send(WireRequest("POST", peer.url, {}, b"{}"), timeout=5)
    await transport.aclose()

    assert len(peer.requests) == 1


def test_an_aiohttp_that_cannot_be_spoken_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What of its protocol we use is looked for before anything is sent, and what is missing is named."""
    monkeypatch.delattr(ResponseHandler, "set_response_params")

    with pytest.raises(ConfigurationError, match="set_response_params; use transport='httpx'"):
        AiohttpTransport()


MUCH = b"x" * 8_000_000


class Unread:
    """A peer that may answer by the head of a request, and reads its body once it is let."""

    def __init__(self, *, answers: bool) -> None:
        self.answers, self.asked, self.is_let = answers, asyncio.Event(), asyncio.Event()
        self.tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc: object) -> None:
        self.is_let.set()
        self.server.close()
        await asyncio.gather(*self.tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.append(asyncio.ensure_future(self._one(reader, writer)))

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """The last that came on a connection."""
        read = await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        if self.answers:
            writer.write(OK)
        await self.is_let.wait()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**20):
                read = (read + data)[-4096:]
        writer.close()
        return read


async def test_a_request_does_not_leave_behind_what_is_unsent_of_another(engine: Engine) -> None:
    """A connection that was answered before all was sent is not kept: no `not_after` would hold on it."""
    peer, transport = Unread(answers=True), engine()
    async with peer as url:
        with contextlib.suppress(NoAnswer):
            await transport.send(WireRequest("POST", f"{url}/first", {}, MUCH), timeout=2)
        second = asyncio.ensure_future(transport.send(WireRequest("POST", f"{url}/second", {}, b"{}"), timeout=5))
        for _ in range(10):  # turns of the loop in which it may get a connection
            await asyncio.sleep(0)
        peer.is_let.set()
        with contextlib.suppress(NoAnswer):
            await second
        await transport.aclose()

    assert not any(b"xPOST /second" in task.result() for task in peer.tasks)


async def test_closing_waits_for_nothing_that_is_unsent(engine: Engine) -> None:
    """A peer that reads no further holds up neither the end of the engine nor that of its request."""
    peer, transport = Unread(answers=False), engine()
    async with peer as url:
        sending = asyncio.ensure_future(transport.send(WireRequest("POST", url, {}, MUCH), timeout=60))
        await peer.asked.wait()
        async with asyncio.timeout(20):
            await transport.aclose()
            with pytest.raises(NoAnswer):
                await sending


async def test_what_left_in_time_is_waited_for_beyond_the_deadline(serve: Serve, engine: Engine) -> None:
    """`not_after` is about what leaves: the answer has the whole time limit."""
    loop = asyncio.get_running_loop()
    not_after = loop.time() + 1.0

    async def after_it(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(not_after - loop.time() + 0.05)
        writer.write(OK)

    peer = await serve(after_it)

    response = await engine().send(WireRequest("POST", peer.url, {}, b"{}"), timeout=30, not_after=not_after)

    assert (response.status, loop.time() > not_after) == (200, True)
