"""One request out, one response in. Venue logic stands above `Transport`, engines stand below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orderbridge.http.transport import NoAnswer, NothingSent, Transport, WireRequest, WireResponse

if TYPE_CHECKING:
    from orderbridge.http.aiohttp_engine import AiohttpTransport
    from orderbridge.http.httpx_engine import HttpxTransport

__all__ = ["AiohttpTransport", "HttpxTransport", "NoAnswer", "NothingSent", "Transport", "WireRequest", "WireResponse"]

_ENGINES = {
    "AiohttpTransport": "orderbridge.http.aiohttp_engine",
    "HttpxTransport": "orderbridge.http.httpx_engine",
}


def __getattr__(name: str) -> Any:
    # The engines load their libraries on first use: aiohttp may not be installed.
    if name not in _ENGINES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_ENGINES[name]), name)
