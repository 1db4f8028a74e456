"""httpx as an engine. Every httpx name of the package is in this file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import Limits, NoAnswer, NothingSent, OneLoop, WireRequest, WireResponse

# Raised before the request's first byte, whatever the pool below did.
_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)


class HttpxTransport:
    """
    Sends through httpx: its own client, made at first use, or the caller's `httpx.AsyncClient`.

    A caller's client keeps its proxies, certificates and protocol; redirects, auth and retries stay off here.
    """

    def __init__(self, client: httpx.AsyncClient | None = None, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._client = client
        self._owns_client = client is None
        self._closed = False
        self._loop = OneLoop("this HTTP transport")

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self._loop.check()
        client = self._client = self._client or self._make_client()
        if self._closed or client.is_closed:
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        if timeout <= 0:
            raise NothingSent("no time is left")
        progress = _Progress()
        built = self._build(client, request, progress, timeout)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(client, built)
        except _BEFORE_SENDING as error:
            raise NothingSent(_text(error)) from error
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as error:
            # OSError includes the TimeoutError of the attempt as a whole.
            if progress.nothing_left:
                raise NothingSent(_text(error)) from error
            raise NoAnswer(_text(error)) from error

    async def aclose(self) -> None:
        self._closed = True
        if self._client is not None and self._owns_client:
            await self._client.aclose()

    def _make_client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            follow_redirects=False,
            limits=httpx.Limits(
                max_connections=100, max_keepalive_connections=20, keepalive_expiry=self._limits.keepalive
            ),
        )

    def _build(
        self, client: httpx.AsyncClient, request: WireRequest, progress: _Progress, timeout: float
    ) -> httpx.Request:
        limits = self._limits
        # The wait for a connection ends before the attempt does: only then is it known that nothing was sent.
        per_phase = httpx.Timeout(limits.read, connect=limits.connect, pool=0.9 * timeout)
        try:
            _ = urlsplit(request.url).port  # httpx takes any number, and its connect then fails as a group
            built = client.build_request(
                request.method,
                request.url,
                headers=dict(request.headers),
                content=request.body or None,
                timeout=per_phase,
                extensions={"trace": progress.on_event},
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise NothingSent(_text(error)) from error
        sent = built.url.raw_path.decode("ascii")
        if sent != request.target:
            # A signature over another text than the one sent would be refused at best.
            raise NothingSent(f"httpx would send {sent!r} instead of {request.target!r}")
        return built

    async def _exchange(self, client: httpx.AsyncClient, built: httpx.Request) -> WireResponse:
        response = await client.send(built, stream=True, auth=None, follow_redirects=False)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        headers = {name.lower(): value for name, value in response.headers.items()}
        return WireResponse(response.status_code, headers, body)

    async def _read(self, response: httpx.Response) -> bytes:
        if "," in response.headers.get("content-encoding", ""):
            # httpx unpacks every layer at once: what two of them become is beyond any cap.
            raise NoAnswer("the answer was compressed more than once")
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._limits.max_body:
                raise NoAnswer(f"the answer is larger than {self._limits.max_body} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


class _Progress:
    """Whether the first byte of a request may have left, by the events of the connection pool."""

    __slots__ = ("_seen", "_started")

    def __init__(self) -> None:
        self._seen = self._started = False

    @property
    def nothing_left(self) -> bool:
        # A client over another transport (ASGI, a mock) tells no events: then nothing is known.
        return self._seen and not self._started

    @property
    def on_event(self) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
        async def note(event: str, info: dict[str, Any]) -> None:
            self._seen = True
            if ".send_request_" in event:
                self._started = True

        return note


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
