"""From the word a caller gives to an engine, and its one ending."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import Transport

if TYPE_CHECKING:
    import httpx

    EngineLike = str | httpx.AsyncClient | Transport


def make_transport(engine: EngineLike) -> tuple[Transport, bool]:
    """
    The transport for `"auto"`, `"httpx"`, `"aiohttp"`, an `httpx.AsyncClient` or a `Transport`.

    Returns:
        The transport, and whether whoever asked owns it and closes it.

    Raises:
        ConfigurationError: no such engine, or its package is missing.
    """
    if engine == "auto":
        engine = "aiohttp" if find_spec("aiohttp") else "httpx"
    if engine == "aiohttp":
        from orderbridge.http.aiohttp_engine import AiohttpTransport

        return AiohttpTransport(), True
    if engine == "httpx":
        from orderbridge.http.httpx_engine import HttpxTransport

        return HttpxTransport(), True
    if isinstance(engine, str):
        raise ConfigurationError(f"there is no engine {engine!r}: use 'auto', 'httpx' or 'aiohttp'")
    if hasattr(engine, "build_request"):
        from orderbridge.http.httpx_engine import HttpxTransport

        return HttpxTransport(cast("httpx.AsyncClient", engine)), True
    if hasattr(engine, "send") and hasattr(engine, "aclose"):
        return engine, False
    raise ConfigurationError(f"{type(engine).__name__} is no transport: it has no send and aclose")
