"""httpx as an engine. Every httpx name of the package is in this file."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

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

# Raised before the request's first byte, whatever the pool below did.
_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpx.ProxyError,
)
# httpx reads the first that is set.
_CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class HttpxTransport:
    """
    Sends through httpx: its own client, made at first use, or the caller's `httpx.AsyncClient`.

    A caller's client keeps its proxies, certificates and protocol; redirects, auth and retries stay off here. No
    cookie is sent with either: not one that an answer set, nor one that the caller's client holds.
    """

    def __init__(self, client: httpx.AsyncClient | None = None, *, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._client = client
        # Our own, by the proxy that they go through.
        self._own: dict[str, httpx.AsyncClient] = {}
        self._proxies = Proxies()
        self._closed = False
        self._loop = OneLoop("this HTTP transport")

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        self._loop.check()
        if self._closed or (self._client is not None and self._client.is_closed):
            raise ConfigurationError("this HTTP transport is closed; make a new one")
        progress, proxy = _Progress(timeout, not_after), None
        try:
            check_request(request)
            proxy = self._proxies.of(request.url) if self._client is None else None
            client = self._client or self._make_client(proxy)
            built = self._build(client, request, progress)
            progress.is_told = _tells_events(client, built)
            async with asyncio.timeout_at(progress.ends):
                return await self._exchange(client, built, progress)
        except ConfigurationError:
            raise
        except (NothingSent, *_BEFORE_SENDING) as error:
            left, text = False, str(error) if isinstance(error, NothingSent) else told(error, request, proxy=proxy)
        except NoAnswer as error:
            left, text = True, str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, what counts is whether a byte had left
            left, text = not progress.nothing_left, told(error, request, proxy=proxy)
        # Without the library's error: its frames hold the headers, and so what signs the request.
        raise NoAnswer(text) if left else NothingSent(text)

    async def aclose(self) -> None:
        self._closed = True
        if self._loop.is_the_parents:
            return
        for client in self._own.values():
            await client.aclose()

    def _make_client(self, proxy: Proxy | None) -> httpx.AsyncClient:
        if (client := self._own.get(str(proxy))) is None:
            client = self._own[str(proxy)] = httpx.AsyncClient(
                follow_redirects=False,
                limits=httpx.Limits(
                    max_connections=100, max_keepalive_connections=20, keepalive_expiry=self._limits.keepalive
                ),
                # What of the environment is meant: its certificates, and a proxy that every engine reads alike.
                verify=_certificates(),
                trust_env=False,
                proxy=None if proxy is None else proxy.url,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return client

    def _build(self, client: httpx.AsyncClient, request: WireRequest, progress: _Progress) -> httpx.Request:
        limits = self._limits
        # The wait for a connection ends before the attempt does: only then is it known that nothing was sent. By the
        # library's own limits, as it closes its sockets then.
        waits = max(0.001, progress.time_to_send)
        per_phase = httpx.Timeout(limits.read, connect=min(limits.connect, waits), pool=0.9 * waits)
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
            raise NothingSent(told(error, request)) from None
        sent = built.url.raw_path.decode("ascii")
        if sent != request.target:
            # A signature over another text than the one sent would be refused at best.
            raise NothingSent(f"httpx would send {sent!r} instead of {request.target!r}")
        if "cookie" not in {name.lower() for name in request.headers}:
            built.headers.pop("cookie", None)
        return built

    async def _exchange(self, client: httpx.AsyncClient, built: httpx.Request, progress: _Progress) -> WireResponse:
        response = await client.send(built, stream=True, auth=None, follow_redirects=False)
        progress.response = response
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


def _certificates() -> ssl.SSLContext:
    """The certificates that venues are checked by. ConfigurationError: the environment names unreadable ones."""
    try:
        return httpx.create_ssl_context(trust_env=True)
    except OSError as error:
        named = next((f"{name}={os.environ[name]}" for name in _CERTIFICATES if os.environ.get(name)), "their file")
        message = f"the certificates to check venues by cannot be read: {error}; correct or unset {named}"
        raise ConfigurationError(message) from error


def _tells_events(client: httpx.AsyncClient, built: httpx.Request) -> bool:
    """True where no byte leaves without an event: so it is in httpx's own transport, and perhaps in no other."""
    find = getattr(client, "_transport_for_url", None)
    return find is not None and type(find(built.url)) is httpx.AsyncHTTPTransport


class _Progress(Attempt):
    """
    The progress of a request: may its first byte have left, by the events of the connection pool; and what must not be.

    That is a byte after `not_after`, and a connection kept on which more came than the answer.
    """

    # Until it is handed to a client nothing can leave; what happens then is the client's to tell.
    is_told, _started = True, False
    response: httpx.Response | None = None

    @property
    def nothing_left(self) -> bool:
        # A client over another transport (ASGI, a mock) tells no events: then nothing is known.
        return self.is_told and not self._started

    @property
    def on_event(self) -> Callable[[str, dict[str, Any]], Awaitable[None]]:
        async def note(event: str, info: dict[str, Any]) -> None:
            self.is_told = True
            if getattr(info.get("request"), "method", b"") == b"CONNECT":
                return  # to a proxy: nothing of the request itself
            if event.endswith(".response_closed.started"):
                await self._drop_what_is_left_over()
            elif ".send_request_" in event and event.endswith(".started"):
                self._about_to_write()

        return note

    def _about_to_write(self) -> None:
        if self._started and self.time_to_send < 0:
            raise NoAnswer("it was too late to send the rest")
        self.check()
        self._started = True

    async def _drop_what_is_left_over(self) -> None:
        """Bytes after the answer would pass for the next one: the connection is kept only if there are none."""
        if self.response is None or (stream := self.response.extensions.get("network_stream")) is None:
            return
        if self.response.http_version != "HTTP/2" and (_in_parser(self.response) or _in_connection(stream)):
            await stream.aclose()


# No public way leads to bytes that were read and not used. Where one of these ends, no connection is kept.
def _in_parser(response: httpx.Response) -> bool:
    parser: Any = response.stream
    for name in ("_stream", "_httpcore_stream", "_stream", "_connection", "_h11_state"):
        parser = getattr(parser, name, None)
    return parser is None or bool(parser.trailing_data[0])


def _in_connection(stream: Any) -> bool:
    tls = stream.get_extra_info("ssl_object")
    try:
        if tls is not None and tls.read(1):  # where it may lie undeciphered
            return True
    except ssl.SSLWantReadError:
        pass  # nothing lies there
    except ssl.SSLError:
        return True
    raw: Any = getattr(stream, "_stream", None)
    while hasattr(raw, "transport_stream"):
        raw = raw.transport_stream
    queue = getattr(getattr(raw, "_protocol", None), "read_queue", None)
    return queue is None or bool(queue)
