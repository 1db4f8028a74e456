"""One signed request to Bitso out, one payload in."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.codes import Meaning, NotAdmitted, fold_code, meaning_of, write_error
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
from orderbridge.http.retry import Deadline, TryAgain, retry_after
from orderbridge.http.session import Session
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.model.permit import Lane, Permit

# Source: Bitso API v3, "General Concepts", rate limits: 300 private calls a minute by user, 60 public ones by
# IP, cancels not counted. A burst and a refill that together never pass the figure in any 60 s.
PRIVATE_RATE: Final = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
PUBLIC_RATE: Final = Rate(burst=20, per_second=40 / 60)
LOCK_OUT_SECONDS: Final = 60.0
_KEYS_TOLD: Final = 20
_NO_SUCH_PATH: Final = "0322"
# Trades of a matched order are there within a second or so.
_NOT_READY_WAIT: Final = 0.5


@dataclass(slots=True)
class Sends:
    """How often a request was sent, or about to be."""

    count: int = 0


class BitsoClient:
    """Speaks HTTP to one Bitso address with one key: paths and queries in, payloads or errors out."""

    def __init__(self, *, session: Session, public: Session, signer: Signer, base_url: str) -> None:
        self.session = session
        self.gateway = session.gateway
        self._public = public
        self._signer = signer
        self.base_url = base_url.rstrip("/")

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
            lambda: WireRequest("GET", self.base_url + path),
            lambda response: self._decode_read(self._public, response, operation),
            deadline=deadline,
            operation=operation,
        )

    async def delete(self, path: str, *, deadline: Deadline, operation: str, sends: Sends, once: bool = False) -> Any:
        """
        A cancel, in the lane that never waits. Naming oids it may be repeated, as a read is; else `once`.

        Args:
            sends: counts the tries: after more than one, an earlier one may have been acted upon.

        Raises as `get` does.
        """

        def build() -> WireRequest:
            sends.count += 1
            return self._signed("DELETE", path)

        return await self.session.read(
            build,
            lambda response: self._decode_read(self.session, response, operation),
            deadline=deadline,
            operation=operation,
            lane="cancel",
            once=once,
        )

    async def write(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str],
        *,
        permit: Permit | None,
        deadline: Deadline,
        operation: str,
        not_after: float | None = None,
        order_id: str | None = None,
        client_order_id: str | None = None,
        version: int = 3,
    ) -> Any:
        """
        Send a write once; refused for its nonce, which precedes admission, once more with a fresh one.

        Raises:
            NotSent: nothing left. OutcomeUnknown: it may have left, and no clear answer came.
            OrderRejected, DuplicateClientOrderId, AuthenticationFailed, PermissionDenied, OrderNotFound:
                by Bitso's code; nothing was done.
        """
        self._address(version)  # a setting that is wrong must not cost a permit
        body = json.dumps(dict(fields), separators=(",", ":")).encode()
        for last in (False, True):
            response = await self.session.write(
                lambda: self._signed(method, path, body, version=version),
                permit=permit,
                deadline=deadline,
                operation=operation,
                not_after=not_after,
                order_id=order_id,
                client_order_id=client_order_id,
            )
            try:
                return self._decode_write(response, operation, order_id, client_order_id)
            except NotAdmitted as refused:
                if last:
                    raise refused.error from None
                permit = None
        raise AssertionError("unreachable: the second answer is returned or raised")

    def _decode_write(
        self, response: WireResponse, operation: str, order_id: str | None, client_order_id: str | None
    ) -> Any:
        facts = self._facts(response, operation)
        try:
            envelope = load(response.body)
            text = f"sent, and the answer is HTTP {response.status} without Bitso's envelope"
        except Unreadable as unreadable:
            envelope = None
            text = f"sent, and the answer is HTTP {response.status} with {unreadable}"
        if isinstance(envelope, dict) and "success" in envelope:
            if envelope["success"] in (True, "true", "1") and response.status < 400:
                return envelope.get("payload")
            code, message = self._code_and_message(envelope.get("error"))
            facts["code"] = code
            text = f"Bitso says {code}: {message}" if code else f"Bitso answers HTTP {response.status} without a code"
        error = write_error(text, facts, order_id=order_id, client_order_id=client_order_id)
        if isinstance(error.__cause__, RateLimited):
            error.__cause__.retry_after = _lock_out_seconds(response)
            self.session.lock_out(error.__cause__.retry_after, operation=operation)
        raise error

    def _signed(self, method: str, path: str, body: bytes = b"", *, version: int = 3) -> WireRequest:
        unsigned = WireRequest(method, self._address(version) + path, {}, body)
        headers = {
            "authorization": self._signer.authorization(method=method, target=unsigned.target, body=body),
            "accept": "application/json",
        }
        if body:
            headers["content-type"] = "application/json"
        return WireRequest(method, unsigned.url, headers, body)

    def _address(self, version: int) -> str:
        if version == 3:
            return self.base_url
        if not self.base_url.endswith("/v3"):
            raise ConfigurationError(
                f"{self.base_url} does not end in /v3, so where v{version} is cannot be told", gateway=self.gateway
            )
        return f"{self.base_url.removesuffix('3')}{version}"

    def _decode_read(self, session: Session, response: WireResponse, operation: str) -> Any:
        facts = self._facts(response, operation)
        try:
            envelope = load(response.body)
        except Unreadable as error:
            raise self._no_json(session, response, facts, error) from error
        if not isinstance(envelope, dict) or "success" not in envelope:
            if response.status in {420, 429}:
                raise self._throttled(session, f"HTTP {response.status} without Bitso's envelope", facts, response)
            names = list(envelope)[:_KEYS_TOLD] if isinstance(envelope, dict) else [type(envelope).__name__]
            keys = tuple(map(self._safe, names))
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
        code, message = self._code_and_message(envelope.get("error"))
        facts["code"] = code
        raise self._read_error(session, code, message, facts, response)

    def _read_error(
        self, session: Session, code: str, message: str, facts: VenueFacts, response: WireResponse
    ) -> Exception:
        text = f"Bitso says {code}: {message}" if code else f"Bitso answers HTTP {response.status} without a code"
        meaning = meaning_of(code)
        if meaning is Meaning.THROTTLED or response.status in {420, 429}:
            return self._throttled(session, text, facts, response)
        if meaning is Meaning.NONCE:
            return TryAgain(AuthenticationFailed(text, **facts), admitted=False)
        if meaning is Meaning.CREDENTIALS:
            return AuthenticationFailed(text, **facts)
        if meaning is Meaning.PERMISSION:
            return PermissionDenied(text, **facts)
        if meaning is Meaning.NOT_FOUND:
            return OrderNotFound(text, **facts)
        if meaning is Meaning.NOT_READY:
            return TryAgain(VenueError(text, **facts), after=_NOT_READY_WAIT)
        if meaning is Meaning.UNCLEAR or response.status >= 500:
            return self._try_again(VenueUnavailable(text, gateway=self.gateway, operation=facts["operation"]), response)
        if code == _NO_SUCH_PATH:
            return ConfigurationError(
                f"{self.base_url} knows no such path ({text}): is base_url right?",
                gateway=self.gateway,
                operation=facts["operation"],
            )
        return VenueError(text, **facts)

    def _no_json(self, session: Session, response: WireResponse, facts: VenueFacts, error: Unreadable) -> Exception:
        operation, text = facts["operation"] or "", f"HTTP {response.status} with {error}"
        if response.status in {420, 429}:
            # A proxy in front of Bitso throttles with a page of its own.
            return self._throttled(session, text, facts, response)
        if response.status >= 500:
            return self._try_again(VenueUnavailable(text, gateway=self.gateway, operation=operation), response)
        self._check_address(response, operation)
        return TryAgain(UnexpectedResponse(text, body=facts["body"], gateway=self.gateway, operation=operation))

    def _throttled(self, session: Session, text: str, facts: VenueFacts, response: WireResponse) -> TryAgain:
        seconds = _lock_out_seconds(response)
        return session.throttled(RateLimited(text, retry_after=seconds, **facts), seconds=seconds)

    def _try_again(self, error: Exception, response: WireResponse) -> TryAgain:
        return TryAgain(error, after=retry_after(response.headers.get("retry-after"), now=time.time()))

    def _safe(self, text: str) -> str:
        """A text of the venue's, fit to be shown: without secrets, and short."""
        return shown(text.encode("utf-8", "replace"), self._signer.secrets)

    def _code_and_message(self, error: object) -> tuple[str, str]:
        if not isinstance(error, dict):
            return "", self._safe(str(error or "no error given"))
        code = error.get("code")
        # Whatever is no code of four digits means nothing to us, and may repeat what was sent.
        return "" if code is None else self._safe(fold_code(code)), self._safe(
            str(error.get("message") or "no message")
        )

    def _check_address(self, response: WireResponse, operation: str) -> None:
        # Bitso answers in its envelope even to a path it does not know, so this is somebody else.
        if response.status == 404 or 300 <= response.status < 400:
            raise ConfigurationError(
                f"{self.base_url} answers HTTP {response.status} without Bitso's envelope: is base_url right?",
                gateway=self.gateway,
                operation=operation,
            )

    def _facts(self, response: WireResponse, operation: str) -> VenueFacts:
        return VenueFacts(
            gateway=self.gateway,
            operation=operation,
            http_status=response.status,
            request_id=self._safe(response.headers.get("x-request-id") or "") or None,
            body=shown(response.body, self._signer.secrets),
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._public.aclose()
        await self.session.aclose()


def _lock_out_seconds(response: WireResponse) -> float:
    said = retry_after(response.headers.get("retry-after"), now=time.time())
    return LOCK_OUT_SECONDS if said is None else said
