"""Signing for Norte: a key, and a signature over time, method, path and body."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from orderbridge.http.transport import WireRequest


def headers(request: WireRequest, *, key: str, secret: str, clock: Callable[[], float]) -> dict[str, str]:
    """The three headers of a signed request."""
    now = str(int(clock() * 1000))
    message = f"{now}{request.method}{request.target}".encode() + request.body
    signature = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return {"x-key": key, "x-time": now, "x-signature": signature}
