"""One signed request to Bitso out, one payload in."""

from __future__ import annotations

import time
from typing import Any, Final

from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.errors import Meaning, fold_code, meaning_of
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueError,
    VenueFacts,
    VenueUnavailable,
)
from orderbridge.http.body import Unreadable, load, shown
from orderbridge.http.limits import Rate
from orderbridge.http.policy import Deadline, TryAgain, retry_after
from orderbridge.http.session import Session
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.model.permit import Lane

# Source: Bitso API v3, "General Concepts", rate limits: 300 private calls a minute by user, 60 public ones by
# IP, cancels not counted. A burst and a refill that together never pass the figure in any 60 s.
PRIVATE_RATE: Final = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
PUBLIC_RATE: Final = Rate(burst=20, per_second=40 / 60)
LOCK_OUT_SECONDS: Final = 60.0
# Trades of a matched order are there within a second or so.
_NOT_READY_WAIT: Final = 0.5


class BitsoClient:
    """Speaks HTTP to one Bitso address with one key: paths and queries in, payloads or errors out."""

    def __init__(self, *, session: Session, public: Session, signer: Signer, base_url: str) -> None:
        self.session = session
        self.gateway = session.gateway
        self._public = public
        self._signer = signer
        self._base_url = base_url.rstrip("/")

    async def get(self, path: str, *, deadline: Deadline, operation: str, lane: Lane = "read") -> Any:
        """
        A private read. `path` starts after `/api/v3` and holds its query, encoded.

        Raises:
            AuthenticationFailed, PermissionDenied, OrderNotFound, RateLimited, VenueError: by Bitso's code.
            UnexpectedResponse, VenueUnavailable: no usable answer after all tries.
            ConfigurationError: the address is not Bitso's API.
        """
        return await self.session.read(
            lambda: self._signed("GET", path),
            lambda response: self._decode_read(self.session, response, operation),
            deadline=deadline,
            operation=operation,
            lane=lane,
        )

    async def get_public(self, path: str, *, deadline: Deadline, operation: str) -> Any:
        """A public read: unsigned, and counted by address instead of by key. Raises as `get` does."""
        return await self._public.read(
            lambda: WireRequest("GET", self._base_url + path),
            lambda response: self._decode_read(self._public, response, operation),
            deadline=deadline,
            operation=operation,
        )

    def _signed(self, method: str, path: str, body: bytes = b"") -> WireRequest:
        unsigned = WireRequest(method, self._base_url + path, {}, body)
        headers = {
            "authorization": self._signer.authorization(method=method, target=unsigned.target, body=body),
            "accept": "application/json",
        }
        if body:
            headers["content-type"] = "application/json"
        return WireRequest(method, unsigned.url, headers, body)

    def _decode_read(self, session: Session, response: WireResponse, operation: str) -> Any:
        facts = self._facts(response, operation)
        try:
            envelope = load(response.body)
        except Unreadable as error:
            raise self._no_json(response, operation, error) from error
        if not isinstance(envelope, dict) or "success" not in envelope:
            keys = tuple(envelope) if isinstance(envelope, dict) else (type(envelope).__name__,)
            self._check_address(response, operation)
            raise TryAgain(
                UnexpectedResponse(
                    f"no Bitso envelope in the answer (keys: {', '.join(map(str, keys)) or 'none'})",
                    keys=keys,
                    body=facts["body"],
                    gateway=self.gateway,
                    operation=operation,
                )
            )
        if envelope["success"] in (True, "true", "1") and response.status < 400:
            return envelope.get("payload")
        code, message = _code_and_message(envelope.get("error"))
        facts["code"] = code
        raise self._read_error(session, code, message, facts, response)

    def _read_error(
        self, session: Session, code: str, message: str, facts: VenueFacts, response: WireResponse
    ) -> Exception:
        text = f"Bitso says {code}: {message}" if code else f"Bitso answers HTTP {response.status} without a code"
        meaning = meaning_of(code)
        if meaning is Meaning.THROTTLED or response.status in {420, 429}:
            said = retry_after(response.headers.get("retry-after"), now=time.time())
            seconds = LOCK_OUT_SECONDS if said is None else said
            return session.throttled(RateLimited(text, retry_after=seconds, **facts), seconds=seconds)
        if meaning is Meaning.NONCE:
            return TryAgain(AuthenticationFailed(text, **facts))
        if meaning is Meaning.CREDENTIALS:
            return AuthenticationFailed(text, **facts)
        if meaning is Meaning.PERMISSION:
            return PermissionDenied(text, **facts)
        if meaning is Meaning.NOT_FOUND:
            return OrderNotFound(text, **facts)
        if meaning is Meaning.NOT_READY:
            return TryAgain(VenueError(text, **facts), after=_NOT_READY_WAIT)
        if meaning is Meaning.UNCLEAR or response.status >= 500:
            return TryAgain(VenueUnavailable(text, gateway=self.gateway, operation=facts["operation"]))
        return VenueError(text, **facts)

    def _no_json(self, response: WireResponse, operation: str, error: Unreadable) -> Exception:
        text = f"HTTP {response.status} with {error}"
        if response.status >= 500:
            return TryAgain(VenueUnavailable(text, gateway=self.gateway, operation=operation))
        self._check_address(response, operation)
        body = shown(response.body, self._signer.secrets)
        return TryAgain(UnexpectedResponse(text, body=body, gateway=self.gateway, operation=operation))

    def _check_address(self, response: WireResponse, operation: str) -> None:
        # Bitso answers in its envelope even to a path it does not know, so this is somebody else.
        if response.status == 404 or 300 <= response.status < 400:
            raise ConfigurationError(
                f"{self._base_url} answers HTTP {response.status} without Bitso's envelope: is base_url right?",
                gateway=self.gateway,
                operation=operation,
            )

    def _facts(self, response: WireResponse, operation: str) -> VenueFacts:
        return VenueFacts(
            gateway=self.gateway,
            operation=operation,
            http_status=response.status,
            request_id=response.headers.get("x-request-id"),
            body=shown(response.body, self._signer.secrets),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._public.aclose()
        await self.session.aclose()


def _code_and_message(error: object) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", str(error or "no error given")
    code = error.get("code")
    return "" if code is None else fold_code(code), str(error.get("message") or "no message")
