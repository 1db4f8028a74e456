"""Both engines against a peer that misbehaves: what surely was not sent, what may have been, and nothing twice."""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, Transport, WireRequest
from orderbridge.http.body import Unreadable, load
from orderbridge.http.transport import Limits, NoAnswer, NothingSent

Serve = Callable[..., Awaitable[Any]]
Engine = Callable[..., Transport]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
METHODS = ["GET", "POST", "DELETE", "PATCH", "PUT"]


async def close(writer: asyncio.StreamWriter) -> None:
    """Close the connection without a word."""
    writer.close()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Tear the connection down, so that the other side sees a reset."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def cut(data: bytes) -> Callable[[asyncio.StreamWriter], Awaitable[None]]:
    """Send the data, then close."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return answer


@pytest.fixture
def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_a_refused_connection_sent_nothing(engine: Engine, closed_port: int) -> None:
    """Where nobody listens nothing left."""
    with pytest.raises(NothingSent):
        await engine().send(WireRequest("POST", f"http://127.0.0.1:{closed_port}/"), timeout=5)


async def test_an_unknown_host_sent_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the name has no address nothing left."""

    def unknown(*args: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(NothingSent):
        await engine().send(WireRequest("POST", "http://venue.invalid/"), timeout=5)


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port that listens and whose queue is full: a connect neither succeeds nor fails."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize("limits", [{"connect": 0.1}, {"connect": 5.0}], ids=["connect limit", "whole attempt"])
async def test_running_out_of_time_while_connecting_sent_nothing(
    engine: Engine, full_backlog: int, limits: dict[str, float]
) -> None:
    """Whichever limit ends it, an attempt that was still connecting sent nothing."""
    timeout = 5.0 if limits["connect"] < 1 else 0.1

    with pytest.raises(NothingSent):
        await engine(**limits).send(WireRequest("POST", f"http://127.0.0.1:{full_backlog}/"), timeout=timeout)


async def test_closing_while_connecting_sent_nothing(engine: Engine, full_backlog: int) -> None:
    """Who waits for a connection when the engine is closed is told so, and is not cancelled: nobody asked for that."""
    transport = engine()
    request = WireRequest("POST", f"http://127.0.0.1:{full_backlog}/", {}, b"{}")
    sending = [asyncio.ensure_future(transport.send(request, timeout=3)) for _ in range(120)]
    await asyncio.sleep(0.1)

    await transport.aclose()

    outcomes = await asyncio.gather(*sending, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {NothingSent}


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Serve, engine: Engine, self_signed: Path
) -> None:
    """TLS is verified before anything is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    peer = await serve(OK, ssl=context)

    with pytest.raises(NothingSent):
        await engine().send(WireRequest("POST", peer.url.replace("http:", "https:")), timeout=5)

    assert peer.requests == []


async def test_a_peer_that_speaks_no_tls_gets_nothing(engine: Engine) -> None:
    """A handshake that fails is before the first byte of the request."""

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(garbage, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]

        with pytest.raises(NothingSent):
            await engine().send(WireRequest("POST", f"https://127.0.0.1:{port}/"), timeout=5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [close, reset], ids=["close", "reset"])
async def test_a_fresh_connection_that_dies_after_the_request_is_no_answer(
    serve: Serve, engine: Engine, method: str, end: Any
) -> None:
    """The request may have been carried out: it is reported so, and sent once."""
    peer = await serve(end)

    with pytest.raises(NoAnswer):
        await engine().send(WireRequest(method, peer.url, {}, b"{}" if method == "POST" else b""), timeout=5)

    assert len(peer.requests) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [close, reset], ids=["close", "reset"])
async def test_a_kept_connection_that_dies_after_the_request_is_no_answer(
    serve: Serve, engine: Engine, method: str, end: Any
) -> None:
    """A connection that served before and dies now leads to no second request behind our back."""
    peer = await serve(OK, end)
    transport = engine()
    await transport.send(WireRequest("GET", peer.url), timeout=5)

    with pytest.raises(NoAnswer):
        await transport.send(WireRequest(method, peer.url), timeout=5)

    assert (len(peer.requests), peer.connections) == (2, 1)


BOMB = gzip.compress(b"\0" * 3_000_000)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 300_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
    ],
    ids=[
        "short length", "cut chunk", "no last chunk", "cut head", "no HTTP", "no status", "no number", "huge header",
        "no gzip", "no deflate",
    ],
)  # fmt: skip
async def test_a_cut_or_broken_answer_is_no_answer(serve: Serve, engine: Engine, data: bytes) -> None:
    """An answer that is not whole is none, and nothing of it is handed up."""
    peer = await serve(cut(data))

    with pytest.raises(NoAnswer):
        await engine().send(WireRequest("POST", peer.url), timeout=5)

    assert len(peer.requests) == 1


async def test_a_cut_gzip_stream_never_passes_as_a_whole_answer(serve: Serve, engine: Engine) -> None:
    """Compressed data that ends early is refused here or cannot be read above."""
    packed = gzip.compress(json.dumps({"success": True, "payload": list(range(999))}).encode())[:-700]
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    peer = await serve(head + packed)

    with pytest.raises((NoAnswer, Unreadable)):
        load((await engine().send(WireRequest("GET", peer.url), timeout=5)).body)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b" " * 65536 + b"\r\n") * 20,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" + zlib.compress(b"\0" * 3_000_000),
    ],
    ids=["length", "chunks", "gzip bomb", "deflate bomb"],
)
async def test_a_body_over_the_cap_is_no_answer(serve: Serve, engine: Engine, answer: bytes) -> None:
    """The cap holds after decompression, whatever the head says about the length."""
    peer = await serve(answer)

    with pytest.raises(NoAnswer):
        await engine(max_body=1_000_000).send(WireRequest("GET", peer.url), timeout=5)


async def test_a_body_of_just_the_cap_is_an_answer(serve: Serve, engine: Engine) -> None:
    """The cap itself is allowed, and 8 MiB by default."""
    peer = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000)

    response = await engine(max_body=1000).send(WireRequest("GET", peer.url), timeout=5)

    assert len(response.body) == 1000
    assert Limits().max_body == 8 * 1024 * 1024


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer byte by byte, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("answer", [silence, drip])
async def test_a_slow_answer_is_no_answer(serve: Serve, engine: Engine, answer: Any) -> None:
    """The attempt ends at its time limit, whether the peer is silent or slow, and is not repeated."""
    peer = await serve(answer)

    async with asyncio.timeout(100):  # and not the limit of a read, which is longer here
        with pytest.raises(NoAnswer):
            await engine(read=1000).send(WireRequest("GET", peer.url), timeout=1)

    assert len(peer.requests) == 1


async def test_a_silent_peer_is_given_up_at_the_read_limit(serve: Serve, engine: Engine) -> None:
    """Without a byte for the time to read, the attempt ends early."""
    peer = await serve(silence)

    with pytest.raises(NoAnswer):
        await engine(read=0.1).send(WireRequest("GET", peer.url), timeout=30)


UNTOLD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1, 2"


async def part_and_silence(writer: asyncio.StreamWriter) -> None:
    """The part of an answer whose length nothing but the end of the connection tells, and no more."""
    writer.write(UNTOLD)
    await asyncio.Event().wait()


async def part_and_reset(writer: asyncio.StreamWriter) -> None:
    """The same, and the connection torn down once it was read."""
    writer.write(UNTOLD)
    await writer.drain()
    for _ in range(10):  # turns of the loop in which the client reads it
        await asyncio.sleep(0)
    await reset(writer)


@pytest.mark.parametrize("end", [part_and_silence, part_and_reset], ids=["given up", "reset"])
async def test_a_part_of_an_answer_that_tells_no_length_is_no_answer(serve: Serve, engine: Engine, end: Any) -> None:
    """Only the peer's own end makes such an answer whole: not our giving it up, nor a connection torn down."""
    peer = await serve(end)

    with pytest.raises(NoAnswer):
        await engine(read=0.5).send(WireRequest("GET", peer.url), timeout=5)


async def test_an_answer_that_keeps_coming_is_waited_for(serve: Serve, engine: Engine) -> None:
    """The time to read begins anew with the bytes that come: in all it may take longer than that."""

    async def steadily(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            await asyncio.sleep(0.2)
            writer.write(b" ")

    peer = await serve(steadily)

    assert (await engine(read=1.0).send(WireRequest("GET", peer.url), timeout=30)).body == b" " * 6


async def test_each_request_ends_at_its_own_limit(serve: Serve, engine: Engine) -> None:
    """A later request that is given up sooner, once and again, leaves an earlier one its time."""
    over = asyncio.Event()

    async def answer_at_last(writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.write(OK)

    peer = await serve(answer_at_last, silence)
    transport = engine(read=1000)
    first = asyncio.ensure_future(transport.send(WireRequest("GET", peer.url), timeout=1000))
    await peer.received.wait()

    for _ in range(2):
        async with asyncio.timeout(100):
            with pytest.raises(NoAnswer):
                await transport.send(WireRequest("POST", peer.url), timeout=0.2)
    over.set()

    assert (await first).body == b"{}"
    assert [line.split()[0] for line in peer.lines] == ["GET", "POST", "POST"]


async def test_an_engine_works_on_after_a_failure(serve: Serve, engine: Engine) -> None:
    """A broken exchange spoils no later one: its connection is not used again."""
    peer = await serve(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", OK)
    transport = engine()

    with pytest.raises(NoAnswer):
        await transport.send(WireRequest("GET", peer.url), timeout=1)
    response = await transport.send(WireRequest("GET", peer.url), timeout=5)

    assert (response.body, peer.connections) == (b"{}", 2)


async def test_a_cancelled_exchange_leaves_its_connection_to_nobody(serve: Serve, engine: Engine) -> None:
    """Cancelling is not turned into an error, and a late answer never reaches the next request."""
    late = asyncio.Event()

    async def answer_late(writer: asyncio.StreamWriter) -> None:
        late.set()
        await asyncio.sleep(0.05)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    peer = await serve(answer_late, OK)
    transport = engine()
    task = asyncio.ensure_future(transport.send(WireRequest("GET", peer.url), timeout=5))
    await late.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    response = await transport.send(WireRequest("GET", peer.url), timeout=5)

    assert response.body == b"{}"


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:0/", "http://127.0.0.1:99999/", "http://[::1/", f"http://{'a' * 70}.invalid/", "http:///x"],
)
async def test_an_address_that_cannot_be_one_sent_nothing(engine: Engine, url: str) -> None:
    """Whatever the library says about a broken address, it is our word for it that comes out."""
    with pytest.raises(NothingSent):
        await engine().send(WireRequest("POST", url), timeout=5)


@pytest.mark.parametrize("host", ["127.0.0.1\0", "127.0.0.1\x7f", "locälhost", "local host"])
async def test_a_host_that_is_none_is_not_sent(serve: Serve, engine: Engine, host: str) -> None:
    """No control character, space or letter beyond ASCII gets into the line that names the host."""
    peer = await serve(OK)

    with pytest.raises(NothingSent):
        await engine().send(WireRequest("GET", peer.url.replace("127.0.0.1", host)), timeout=5)

    assert peer.requests == []


@pytest.mark.parametrize("url", ["/\0", "/\n", "/ñ", "/a b"])
async def test_a_target_that_cannot_be_sent_as_it_stands_is_not_sent(serve: Serve, engine: Engine, url: str) -> None:
    """A path that would have to be changed, or would break the request in two, does not leave."""
    peer = await serve(OK)

    with pytest.raises(NothingSent):
        await engine().send(WireRequest("GET", peer.url + url), timeout=5)

    assert peer.requests == []


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "ñ✓"])
async def test_a_header_that_would_break_the_request_is_not_sent(serve: Serve, engine: Engine, value: str) -> None:
    """A header value with a line break makes no second header, on either engine."""
    peer = await serve(OK)

    with contextlib.suppress(NothingSent, NoAnswer):
        await engine().send(WireRequest("GET", peer.url, {"x-a": value}), timeout=5)

    assert not any(b"\r\nx-evil" in request.lower() for request in peer.requests)


@pytest.mark.parametrize(
    ("method", "name"),
    [("GET / HTTP/1.1\r\nx-evil: 1\r\n\r\nGET", "x-a"), ("G T", "x-a"), ("get", "x-a")]
    + [("GET", name) for name in ("x-evil: 1\r\nx-a", "", "Content-Length", "transfer-encoding")],
)
async def test_a_method_or_a_header_name_that_is_none_is_not_sent(
    serve: Serve, engine: Engine, method: str, name: str
) -> None:
    """What would break the request in two, add a header, or tell another length than its own, does not leave."""
    peer = await serve(OK)

    with pytest.raises(NothingSent):
        await engine().send(WireRequest(method, peer.url, {name: "1"}), timeout=5)

    assert peer.requests == []


async def test_a_bomb_within_a_bomb_is_never_unpacked(serve: Serve, engine: Engine) -> None:
    """A few hundred bytes that were compressed twice do not become a hundred megabytes in memory."""
    bomb = gzip.compress(gzip.compress(b"\0" * 100_000_000, 1))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    peer = await serve(head + bomb)

    tracemalloc.start()
    try:
        with pytest.raises((NoAnswer, Unreadable)):
            load((await engine(max_body=1_000_000).send(WireRequest("GET", peer.url), timeout=5)).body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 20_000_000


ACCEPTED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\naccepted"
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\nrefused"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
# So that the answer ends where a read of 64 KiB does, and what comes after it is read, and lies there.
TO_THE_BYTE = LONG % (65536 - len(LONG) - 3) + b" " * (65536 - len(LONG) - 3)


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("first", [OK + ACCEPTED, OK + ACCEPTED[:20], TO_THE_BYTE + ACCEPTED])
async def test_bytes_after_an_answer_are_not_the_next_answer(
    serve: Serve, engine: Engine, trusted: ssl.SSLContext, encrypted: bool, first: bytes
) -> None:
    """What a server sent beyond its answer says nothing about the next request, which it has not seen yet."""
    peer = await serve(first, REFUSED, **({"ssl": trusted} if encrypted else {}))
    url = peer.url.replace("http:", "https:") if encrypted else peer.url
    transport = engine()
    await transport.send(WireRequest("GET", url), timeout=5)

    response = await transport.send(WireRequest("POST", url, {}, b"{}"), timeout=5)

    assert (response.status, response.body) == (400, b"refused")


async def test_tls_records_after_an_answer_are_not_the_next_answer(
    serve: Serve, engine: Engine, trusted: ssl.SSLContext
) -> None:
    """Nor is what came in a record of its own, and was not deciphered when the answer was."""

    async def two_records(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        writer.write(ACCEPTED)

    peer = await serve(two_records, REFUSED, ssl=trusted)
    url = peer.url.replace("http:", "https:")
    transport = engine()
    await transport.send(WireRequest("GET", url), timeout=5)

    response = await transport.send(WireRequest("POST", url, {}, b"{}"), timeout=5)

    assert (response.status, response.body) == (400, b"refused")


@pytest.mark.parametrize("turns", [0, 3], ids=["not read yet", "read"])
async def test_bytes_that_came_while_a_connection_was_idle_are_no_answer(
    serve: Serve, engine: Engine, turns: int
) -> None:
    """A server that speaks unasked between two requests does not answer the second."""
    writers: list[asyncio.StreamWriter] = []

    async def keep(writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(OK)

    peer = await serve(keep, REFUSED)
    transport = engine()
    await transport.send(WireRequest("GET", peer.url), timeout=5)
    for _ in range(turns):
        await asyncio.sleep(0)
    writers[0].write(ACCEPTED)
    for _ in range(turns):
        await asyncio.sleep(0)

    response = await transport.send(WireRequest("POST", peer.url, {}, b"{}"), timeout=5)

    assert (response.status, response.body) == (400, b"refused")


async def test_an_answer_of_just_its_length_keeps_its_connection(
    serve: Serve, engine: Engine, trusted: ssl.SSLContext
) -> None:
    """Only what is left over costs a connection, under TLS too."""
    peer = await serve(OK, ssl=trusted)
    transport = engine()

    for _ in range(3):
        await transport.send(WireRequest("GET", peer.url.replace("http:", "https:")), timeout=5)

    assert peer.connections == 1


@pytest.mark.parametrize("own", [True, False], ids=["our client", "the caller's"])
async def test_no_cookie_is_sent_back(serve: Serve, engine_name: str, engine: Engine, own: bool) -> None:
    """What an answer sets is not sent along with the next request, nor what the caller's client holds."""
    if engine_name == "aiohttp" and not own:
        pytest.skip("aiohttp takes no client of the caller's")
    cookie = b"Set-Cookie: session=of-another; Path=/\r\n"
    peer = await serve(OK.replace(b"\r\n\r\n", b"\r\n" + cookie + b"\r\n"))
    async with httpx.AsyncClient(cookies={"given": "1"}) as client:
        transport = engine() if own else HttpxTransport(client)
        for _ in range(2):
            await transport.send(WireRequest("GET", peer.url), timeout=5)

    assert not any(b"\r\ncookie:" in request.lower() for request in peer.requests)


async def test_certificates_that_cannot_be_read_are_to_be_corrected(
    serve: Serve, trusted: ssl.SSLContext, self_signed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is sent, the message says which setting to correct, and with it corrected the same engine sends."""
    peer, transport = await serve(OK, ssl=trusted), HttpxTransport()
    request = WireRequest("POST", peer.url.replace("http:", "https:"), {"authorization": "Bitso key:1:hunter2"})
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\n")

    for path in (tmp_path / "none.pem", garbage):
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        with pytest.raises(ConfigurationError, match=f"correct or unset SSL_CERT_FILE={path}") as caught:
            await transport.send(request, timeout=5)
        assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed))

    assert (await transport.send(request, timeout=5)).status == 200
    assert peer.lines == ["POST /api HTTP/1.1"]
    await transport.aclose()


async def test_a_header_of_no_text_sent_nothing(serve: Serve, engine: Engine) -> None:
    """A mistake in what signs is an error before the first byte."""
    peer = await serve(OK)
    headers: Any = {"x-time": 1}

    with pytest.raises(NothingSent):
        await engine().send(WireRequest("POST", peer.url, headers), timeout=5)

    assert peer.connections == 0


async def test_a_client_that_cannot_make_the_request_sent_nothing() -> None:
    """Before a request is handed to the caller's client, whatever client that is, no byte of it can have left."""

    class Odd(httpx.AsyncClient):
        def build_request(self, *args: Any, **more: Any) -> httpx.Request:
            raise KeyError("hunter2")

    async with Odd() as client:
        with pytest.raises(NothingSent, match="KeyError"):
            await HttpxTransport(client).send(WireRequest("POST", "http://127.0.0.1:1/"), timeout=5)
