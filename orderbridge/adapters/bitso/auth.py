"""Signing for Bitso. The secret is read in this file and nowhere else."""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import re
import threading
from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import WireRequest

_RANDOM_DIGITS: Final = 10**6


# One for all keys: held for moments, and given back on both sides of a fork, whichever thread had it.
_lock: Final = threading.Lock()
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class NonceSource:
    """
    Strictly rising 19-digit nonces for one API key: 13 digits of epoch milliseconds and 6 more.

    That satisfies both of Bitso's rules: "v2" numbers may arrive out of order but never twice, classic ones
    must rise. Thread-safe.

    Source: Bitso API v3, "Nonce v2 rollout".
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: float) -> str:
        """The next nonce; `now` is epoch seconds."""
        with _lock:
            # So that two processes seldom meet: nothing that must be hard to guess.
            by_clock = int(now * 1000) * _RANDOM_DIGITS + int(random.random() * _RANDOM_DIGITS)
            self._last = max(by_clock, self._last + 1 + int(random.random() * 1000))
            return str(self._last)


_sources: Final[dict[str, NonceSource]] = {}


def nonce_source(api_key: str) -> NonceSource:
    """The one source of a key in this process: every gateway and thread that uses the key shares it."""
    with _lock:
        return _sources.setdefault(api_key, NonceSource())


def signature(secret: str, *, nonce: str, method: str, target: str, body: bytes) -> str:
    """
    Lower-case hex HMAC-SHA256 over nonce, method, path with query, and body, without separators.

    Source: Bitso API v3, "Create signed requests".
    """
    message = f"{nonce}{method}{target}".encode() + body
    return hmac.digest(secret.encode(), message, "sha256").hex()


class Signer:
    """Holds the key and secret of one account and signs with them."""

    def __init__(self, api_key: str | SecretStr, api_secret: str | SecretStr, *, clock: Callable[[], float]) -> None:
        self._key = _secret(api_key)
        self._secret = _secret(api_secret)
        self._clock = clock
        self._nonces = nonce_source(self._key.get_secret_value())

    def headers(self, request: WireRequest) -> dict[str, str]:
        """The header that signs a request, with a fresh nonce."""
        nonce, secret = self._nonces.next(self._clock()), self._secret.get_secret_value()
        signed = signature(secret, nonce=nonce, method=request.method, target=request.target, body=request.body)
        return {"authorization": f"Bitso {self._key.get_secret_value()}:{nonce}:{signed}"}

    def nonces_of(self, api_key: str) -> Callable[[], int] | None:
        """Fresh nonces for another client that signs with this key; None for another key."""
        if not hmac.compare_digest(api_key.encode(), self._key.get_secret_value().encode()):
            return None
        return lambda: int(self._nonces.next(self._clock()))

    @property
    def digest(self) -> str:
        """Tells keys apart without showing them."""
        return hashlib.sha256(self._key.get_secret_value().encode()).hexdigest()[:16]

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in one that is shown; for redaction only."""
        return self._key.get_secret_value(), self._secret.get_secret_value()

    def __repr__(self) -> str:
        return "Signer(…)"


def _secret(value: str | SecretStr) -> SecretStr:
    held = value if isinstance(value, SecretStr) else SecretStr(value)
    del value
    # Here, and not when a request is signed: an error there would have it in its frames.
    if not re.fullmatch("[ -~]+", held.get_secret_value()):
        raise ConfigurationError("Bitso needs an api_key and an api_secret in plain characters, without a line end")
    return held
