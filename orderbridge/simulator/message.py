"""One request as it came over the wire, one response, its JSON text, and how it is to leave."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, unquote

_quick = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class Request:
    """A whole request. `target` is the raw text between method and version: what a signature covers."""

    __slots__ = ("body", "headers", "method", "path", "peer", "query", "target")

    def __init__(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b"", peer: str = "127.0.0.1"
    ) -> None:
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition("?")
        self.headers = headers
        self.body = body
        self.peer = peer

    def parameters(self) -> dict[str, str]:
        """The query's parameters, decoded; of a name that comes twice the first counts."""
        if not self.query:
            return {}
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            found.setdefault(name, value)
        return found

    def segments(self) -> list[str]:
        """The decoded parts of the path, without a trailing slash's empty one."""
        parts = self.path.strip("/").split("/")
        return [unquote(part) for part in parts] if "%" in self.path else parts


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    The way in which a response leaves when it does not simply leave.

    Attributes:
        drop: close the connection without a byte.
        cut: send this share of the body under a header that promises all of it, then close.
        delay: seconds of silence before the first byte.
        drip: seconds between two pieces of `piece` bytes.
    """

    drop: bool = False
    cut: float | None = None
    delay: float = 0.0
    drip: float = 0.0
    piece: int = 16


DROPPED = Delivery(drop=True)


@dataclass(slots=True)
class Response:
    """Status, headers and body, with a `delivery` where a fault wants one."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery | None = None


def json_response(status: int, value: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(status, dumps(value), headers=headers or {})


def dumps(value: Any) -> bytes:
    """
    Encode `value`; a `Decimal` becomes a number with exactly its digits, NaN and infinities become null.
    """
    try:
        return _quick(value).encode("ascii")
    except (TypeError, ValueError):  # a Decimal inside, or a NaN that a client sent and gets echoed
        return _exact(value).encode("ascii")


def _exact(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(key))}:{_exact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_exact, value)) + "]"
    return json.dumps(value)
