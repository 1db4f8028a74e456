"""The end of an engine's time, and of the engine: nothing is sent after either."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, Transport, WireRequest
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


async def test_waiting_for_a_free_connection_sent_nothing(serve: Serve) -> None:
    """When the caller's client has no connection free in time, nothing left."""
    peer = await serve(silence)
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
        transport = HttpxTransport(client)
        first = asyncio.ensure_future(transport.send(WireRequest("POST", peer.url), timeout=1))
        await peer.received.wait()

        with pytest.raises(NothingSent):
            await transport.send(WireRequest("POST", peer.url), timeout=0.1)

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert len(peer.requests) == 1
