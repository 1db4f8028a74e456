"""aiohttp as an engine: several times cheaper per request than httpx. Needs the extra `fast` (or `ccxt`)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import Limits, NoAnswer, NothingSent, OneLoop, WireRequest, WireResponse

try:
    import aiohttp
    from yarl import URL
except ImportError as missing:  # pragma: no cover - the test install has it
    raise ConfigurationError("the aiohttp engine needs: pip install 'orderbridge[fast]'") from missing

_SENDABLE: Final = re.compile("[!-~]+")
# Raised before the request's first byte.
_BEFORE_SENDING: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)


@dataclass(slots=True)
class _Progress:
    """Whether a connection was handed to this request: from then on bytes may have left."""

    connected: bool = False


async def _connected(session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:
    progress = context.trace_request_ctx
    assert isinstance(progress, _Progress)  # `send` puts it there
    progress.connected = True


class AiohttpTransport:
    """Sends through one aiohttp session, made at first use."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._session: aiohttp.ClientSession | None = None
        self._closed = False
        self._loop = OneLoop("this HTTP transport")
        self._proxies: dict[tuple[str, str], str | None] = {}

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self._loop.check()
        if self._closed:
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        if timeout <= 0:
            raise NothingSent("no time is left")
        if not _SENDABLE.fullmatch(request.url):
            # aiohttp would send a space or a line break of an encoded URL as it stands.
            raise NothingSent(f"{request.url!r} holds characters that no URL may hold")
        session = self._session = self._session or self._make_session()
        progress = _Progress()
        try:
            async with (
                asyncio.timeout(timeout),
                session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body or None,
                    allow_redirects=False,
                    proxy=self._proxy_for(request.url),
                    trace_request_ctx=progress,
                ) as response,
            ):
                body = await self._read(response)
                headers = {name.lower(): value for name, value in response.headers.items()}
                return WireResponse(response.status, headers, body)
        except _BEFORE_SENDING as error:
            raise NothingSent(_text(error)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # OSError includes the TimeoutError of the attempt; ValueError comes from a body that does not unpack.
            if not progress.connected:
                raise NothingSent(_text(error)) from error
            raise NoAnswer(_text(error)) from error

    async def aclose(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()
            # aiohttp closes TLS transports one turn of the loop later.
            await asyncio.sleep(0)

    def _make_session(self) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_connected)
        trace.on_connection_reuseconn.append(_connected)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=100, keepalive_timeout=self._limits.keepalive),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(sock_connect=self._limits.connect, sock_read=self._limits.read),
            trace_configs=[trace],
            # A POST without a body would be called application/octet-stream.
            skip_auto_headers=("Content-Type",),
        )
        # aiohttp replays GET and DELETE when a kept connection dies after the request left, and offers no
        # public switch. A cancel by client id must not be sent twice behind our back.
        if not hasattr(session, "_retry_connection"):
            raise ConfigurationError("this aiohttp cannot be kept from repeating requests; use transport='httpx'")
        session._retry_connection = False
        return session

    def _proxy_for(self, url: str) -> str | None:
        # Not by trust_env: that would also read passwords for the venue's host from .netrc, in place of a
        # signature, and asks the environment in a thread at every request.
        parts = urlsplit(url)
        origin = (parts.scheme, parts.hostname or "")
        if origin not in self._proxies:
            self._proxies[origin] = None if proxy_bypass(origin[1]) else getproxies().get(parts.scheme)
        return self._proxies[origin]

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_chunked(65536):
            size += len(chunk)
            if size > self._limits.max_body:
                response.close()
                raise NoAnswer(f"the answer is larger than {self._limits.max_body} bytes")
            chunks.append(chunk)
        return b"".join(chunks)


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
