"""Both engines against a peer that behaves: what goes out, what comes back, what is kept."""

import asyncio
import contextlib
import cProfile
import gzip
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import httpx
import pytest

from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, Transport, WireRequest, WireResponse
from orderbridge.http.transport import Limits, NothingSent, make_transport

Serve = Callable[..., Awaitable[Any]]
Engine = Callable[..., Transport]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Request-ID: R1\r\n\r\n{}"
TARGETS = (
    "/api/v3/orders?oids=a,b,c",
    "/api/v3/orders?oids=a%2Cb%2cc",
    "/api/v3/orders/a-b_c.d~e",
    "/api/v3/orders?origin_ids=A-1,B_2&since=2026-01-01T00:00:00%2B00:00",
    "/api/v3/orders?q=%7Bx%7D&empty=&flag",
    "/api/v3/orders/%C3%B1%2F..%2Fall",
    "/api/v3/open_orders?book=btc_mxn&marker=%2B+x",
)


@pytest.mark.parametrize("target", TARGETS)
async def test_the_signed_text_is_the_sent_text(serve: Serve, engine: Engine, target: str) -> None:
    """Path and query go over the wire byte by byte as they were signed."""
    peer = await serve(OK)
    request = WireRequest("GET", peer.url.removesuffix("/api") + target)

    await engine().send(request, timeout=5)

    assert peer.lines == [f"GET {request.target} HTTP/1.1"]
    assert request.target == target


async def test_a_whole_exchange(serve: Serve, engine: Engine) -> None:
    """Headers and body go out as given; status, lower-case headers and bytes come back."""
    peer = await serve(OK)
    body = b'{"price":"1"}'
    headers = {"authorization": "Bitso k:1:s", "content-type": "application/json"}

    response = await engine().send(WireRequest("POST", peer.url, headers, body), timeout=5)

    (received,) = peer.requests
    head, _, sent = received.partition(b"\r\n\r\n")
    assert sent == body
    assert b"authorization: bitso k:1:s" in head.lower()
    assert head.lower().count(b"\r\ncontent-type: application/json") == 1
    assert isinstance(response, WireResponse)
    assert (response.status, response.body, response.headers["x-request-id"]) == (200, b"{}", "R1")
    assert all(name == name.lower() for name in response.headers)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_no_body_has_no_type(serve: Serve, engine: Engine, method: str) -> None:
    """An engine adds no content type of its own to a request without a body."""
    peer = await serve(OK)

    await engine().send(WireRequest(method, peer.url), timeout=5)

    (received,) = peer.requests
    assert b"content-type" not in received.lower()


@pytest.mark.parametrize("status", [204, 400, 404, 420, 429, 500, 503])
async def test_every_status_is_an_answer(serve: Serve, engine: Engine, status: int) -> None:
    """An engine judges no status: that is the adapter's."""
    peer = await serve(b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status)

    response = await engine().send(WireRequest("GET", peer.url), timeout=5)

    assert (response.status, response.body) == (status, b"")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(serve: Serve, engine: Engine, status: int) -> None:
    """A signed request goes where it was signed for, and nowhere else."""
    elsewhere = await serve(OK)
    location = elsewhere.url.encode()
    peer = await serve(b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location))

    response = await engine().send(WireRequest("GET", peer.url), timeout=5)

    assert (response.status, response.headers["location"]) == (status, elsewhere.url)
    assert (len(peer.requests), len(elsewhere.requests)) == (1, 0)


async def test_a_compressed_answer_is_unpacked(serve: Serve, engine: Engine) -> None:
    """gzip arrives as the bytes that the venue meant, and is asked for."""
    text = json.dumps({"success": True, "payload": ["ñ"] * 500}).encode()
    packed = gzip.compress(text)
    peer = await serve(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    )

    response = await engine().send(WireRequest("GET", peer.url), timeout=5)

    assert response.body == text
    assert b"gzip" in peer.requests[0].lower()


async def test_a_chunked_answer_is_put_together(serve: Serve, engine: Engine) -> None:
    """A body without a length is read to its end."""
    peer = await serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n")

    assert (await engine().send(WireRequest("GET", peer.url), timeout=5)).body == b"{}"


async def test_a_kept_connection_is_used_again_after_a_pause(serve: Serve, engine: Engine) -> None:
    """Within the time to keep it, one connection serves every request."""
    peer = await serve(OK)
    transport = engine(keepalive=5.0)

    for _ in range(3):
        await transport.send(WireRequest("GET", peer.url), timeout=5)
        await asyncio.sleep(0.05)

    assert (len(peer.requests), peer.connections) == (3, 1)
    assert Limits().keepalive == 90.0


async def test_a_connection_is_not_kept_for_longer_than_told(serve: Serve, engine: Engine) -> None:
    """The time to keep a connection is the setting's, not the library's own."""
    peer = await serve(OK)
    transport = engine(keepalive=0.05)

    for _ in range(2):
        await transport.send(WireRequest("GET", peer.url), timeout=5)
        await asyncio.sleep(0.15)

    assert peer.connections == 2


async def test_a_connection_that_the_peer_closed_meanwhile_is_replaced(serve: Serve, engine: Engine) -> None:
    """A kept connection that died while nothing was under way costs a new one, and no error."""

    async def answer_and_close(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()

    peer = await serve(answer_and_close)
    transport = engine()

    for _ in range(2):
        await transport.send(WireRequest("DELETE", peer.url), timeout=5)
        await asyncio.sleep(0.02)

    assert (len(peer.requests), peer.connections) == (2, 2)


async def test_many_requests_at_once_each_get_their_own_answer(serve: Serve, engine: Engine) -> None:
    """Parallel requests are not mixed up."""

    async def echo(writer: asyncio.StreamWriter) -> None:
        line = peer.lines[-1].split()[1].encode()
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(line), line))

    peer = await serve(echo)
    transport = engine()

    async def ask(number: int) -> bool:
        response = await transport.send(WireRequest("GET", f"{peer.url}/{number}"), timeout=5)
        return response.body == f"/api/{number}".encode()

    assert all(await asyncio.gather(*map(ask, range(30))))


@contextlib.contextmanager
def answering_thread() -> Iterator[str]:
    """The address of a server that is not in the thread of the test, so that nothing of it is counted."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            for _ in range(2):
                with listener.accept()[0] as connection:
                    while connection.recv(65536):
                        connection.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        thread.join()


async def fewest_calls(exchange: Callable[[], Awaitable[object]]) -> int:
    """The function calls of an exchange on a kept connection, where the loop had nothing else to do."""
    counts = []
    for _ in range(10):
        profile = cProfile.Profile()
        profile.enable()
        await exchange()
        profile.disable()
        counts.append(sum(each.callcount for each in profile.getstats()))
    return min(counts)


async def test_an_exchange_costs_little_more_than_its_library(engine_name: str) -> None:
    """What is sent once, in time, and known to have left or not, takes a seventh more calls than a plain request."""
    headers = {"authorization": "Bitso k:1:s", "content-type": "application/json"}

    with answering_thread() as url:
        transport, _ = make_transport(engine_name)
        ours = await fewest_calls(lambda: transport.send(WireRequest("GET", url, headers), timeout=5))
        await transport.aclose()
        if engine_name == "httpx":
            async with httpx.AsyncClient(trust_env=False) as client:
                theirs = await fewest_calls(lambda: client.get(url, headers=headers))
        else:
            async with aiohttp.ClientSession() as session:

                async def get() -> None:
                    async with session.get(url, headers=headers) as response:
                        await response.read()

                theirs = await fewest_calls(get)

    assert ours <= 1.15 * theirs


async def test_no_password_file_changes_a_request(
    serve: Serve, engine: Engine, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .netrc entry for the venue's host neither replaces the signature nor adds one."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    peer = await serve(OK)
    transport = engine()

    await transport.send(WireRequest("GET", peer.url, {"authorization": "Bitso k:1:s"}), timeout=5)
    await transport.send(WireRequest("POST", peer.url), timeout=5)

    assert b"authorization: bitso k:1:s" in peer.requests[0].lower()
    assert b"authorization" not in peer.requests[1].lower()


async def test_a_proxy_of_the_environment_is_used(
    serve: Serve, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both engines go through the proxy that the environment names, and past it where it says so."""
    proxy, direct = await serve(OK), await serve(OK)
    monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/api"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    transport = engine()

    await transport.send(WireRequest("GET", "http://venue.invalid/api?a=1,2"), timeout=5)
    await transport.send(WireRequest("GET", direct.url), timeout=5)

    assert proxy.lines == ["GET http://venue.invalid/api?a=1,2 HTTP/1.1"]
    assert direct.lines == ["GET /api HTTP/1.1"]


def test_a_second_event_loop_is_refused(engine_name: str) -> None:
    """Connections do not move between loops: the second one is told to make its own transport."""
    transport, _ = make_transport(engine_name)

    async def use() -> None:
        with pytest.raises(NothingSent):
            await transport.send(WireRequest("GET", "http://127.0.0.1:1/"), timeout=5)
        await transport.aclose()

    asyncio.run(use())
    with pytest.raises(ConfigurationError, match="was first used in another event loop; make one per loop"):
        asyncio.run(transport.send(WireRequest("GET", "http://127.0.0.1:1/"), timeout=5))


async def test_the_callers_client_is_used_and_left_open(serve: Serve) -> None:
    """A client that the caller made keeps its settings and stays his to close."""
    peer = await serve(OK)

    async with httpx.AsyncClient(headers={"x-mine": "1"}, follow_redirects=True, auth=("me", "hunter2")) as client:
        transport, owned = make_transport(client)
        response = await transport.send(WireRequest("GET", peer.url), timeout=5)
        await transport.aclose()

        assert isinstance(transport, HttpxTransport)
        assert not client.is_closed
        assert (owned, response.status) == (True, 200)
        assert b"x-mine: 1" in peer.requests[0].lower()
        assert b"authorization" not in peer.requests[0].lower()


async def test_a_client_that_would_change_the_target_sends_nothing() -> None:
    """A caller's default query parameters would break every signature: nothing leaves."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.url} was sent")

    async with httpx.AsyncClient(params={"utm": "1"}, transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(NothingSent, match=r"httpx would send '/api[?].*' instead of '/api[?]a=1'"):
            await HttpxTransport(client).send(WireRequest("GET", "http://127.0.0.1/api?a=1"), timeout=5)


async def test_clients_over_other_transports_work() -> None:
    """An application or a mock in the same process answers like a server."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": [(b"X-A", b"1")]})
        await send({"type": "http.response.body", "body": scope["raw_path"] + b"?" + scope["query_string"]})

    def mocked(request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, headers={"X-A": "1"}, content=request.url.raw_path)

    for inner in (httpx.ASGITransport(app=application), httpx.MockTransport(mocked)):
        async with httpx.AsyncClient(transport=inner) as client:
            response = await HttpxTransport(client).send(WireRequest("GET", "http://x/a-b?c=d,e"), timeout=5)

        assert (response.status, response.headers["x-a"], response.body) == (201, "1", b"/a-b?c=d,e")


async def test_words_and_objects_become_transports() -> None:
    """Each way to name an engine gives one, and says who closes it."""

    class Mine:
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            return WireResponse(200)

        async def aclose(self) -> None:
            raise AssertionError("not ours to close")

    mine = Mine()

    assert [type(make_transport(word)[0]).__name__ for word in ("auto", "httpx", "aiohttp")] == [
        "_Late", "HttpxTransport", "_Late",
    ]  # fmt: skip
    assert make_transport(mine) == (mine, False)
    with pytest.raises(ConfigurationError, match="there is no engine 'curl': use 'auto', 'httpx' or 'aiohttp'"):
        make_transport("curl")
    with pytest.raises(ConfigurationError, match="object is no transport: it has no send and aclose"):
        make_transport(object())  # type: ignore[arg-type]
