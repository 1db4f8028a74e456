"""The bearer token: where it comes from, and how it is renewed. Secrets are used in this file only."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import SecretStr

from orderbridge import errors
from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import CODES, LOGIN, REFRESH, explain, key_of
from orderbridge.adapters.bitcain.mapping import moment_from_wire
from orderbridge.adapters.bitcain.wire import inside, pick
from orderbridge.http import body
from orderbridge.http.retry import Deadline
from orderbridge.http.session import Session, log_facts
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.venue.meanings import Meaning, Said
from orderbridge.venue.sender import HttpCall, HttpChannel, Sender

TokenProvider = Callable[[], Awaitable[str] | str]
# A token with less time than this is renewed before it is used, in seconds.
RENEW_BEFORE: Final = 60.0
# How long one renewal may take, whoever waits for it.
RENEWAL_TIME: Final = 30.0
# After a renewal that failed while the old token still held, wait so long before the next.
RENEWAL_PAUSE: Final = 10.0
_MFA_HINTS: Final = ("mfa_required", "mfa_token", "challenge_id", "factors")
_INTERACTIVE: Final = "this account needs an interactive step to log in; pass a token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a caller: a ready token, a provider of tokens, e-mail and password, or a refresh token."""

    token: SecretStr | None = None
    provider: TokenProvider | None = None
    email: str | None = None
    password: SecretStr | None = None
    refresh_token: SecretStr | None = None

    @classmethod
    def of(
        cls,
        token: str | SecretStr | TokenProvider | None,
        email: str | None,
        password: str | SecretStr | None,
        refresh_token: str | SecretStr | None,
    ) -> Credentials:
        """
        Sort what was given.

        Raises:
            ConfigurationError: nothing, half a login, a provider beside others, or a token that is none.
        """
        if bool(email) != bool(password):
            raise errors.ConfigurationError("a login needs both email and password")
        provider = token if callable(token) and not isinstance(token, SecretStr) else None
        ready = _secret(token, trim=True) if token is not None and provider is None else None
        if not (ready or provider or email or refresh_token):
            raise errors.ConfigurationError("no credentials: give a token, email and password, or a refresh_token")
        if provider and (email or refresh_token):
            raise errors.ConfigurationError(
                "a token provider renews by itself: give no email, password or refresh_token"
            )
        if ready is not None and not _is_token(ready.get_secret_value()):
            raise errors.ConfigurationError(
                "the token holds characters that no header takes; give it without 'Bearer '"
            )
        return cls(
            token=ready,
            provider=provider,
            email=email or None,
            password=_secret(password) if password else None,
            refresh_token=_secret(refresh_token, trim=True) if refresh_token else None,
        )

    def fingerprint(self, account: str) -> str:
        """A digest of these credentials that does not show them: gateways of one key share its limit."""
        secret = self.email or self.token or self.refresh_token
        text = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
        return hashlib.sha256((text or f"provider:{account}").encode()).hexdigest()


def _secret(value: Any, *, trim: bool = False) -> SecretStr:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        raise errors.ConfigurationError(f"a secret is text, not {type(text).__name__}")
    # Tokens come out of files and variables with a line end; blanks of a password are its own.
    return SecretStr(text.strip() if trim else text)


def _is_token(text: object) -> bool:
    return isinstance(text, str) and bool(text) and text.isascii() and all("!" <= sign <= "~" for sign in text)


class TokenKeeper:
    """
    Signs with the token that it keeps, and renews it, one renewal at a time.

    A renewal is a task of its own: a caller that is cancelled meanwhile does not lose the rotated pair.
    """

    # Each costs a log-in.
    renewals = 1

    def __init__(
        self, credentials: Credentials, *, base_url: str, session: Session, clock: Callable[[], float]
    ) -> None:
        self._credentials = credentials
        self._session = session
        channel = HttpChannel(session, base_url=base_url, auth=self, understand=session_said, clock=clock)
        # Every other lane waits for the token.
        self._sender = Sender(channel, session, CODES).in_lane("cancel")
        self._clock = clock
        self._token = credentials.token
        self._refresh_token = credentials.refresh_token
        self._expires_at: float | None = None
        self._not_before = float("-inf")
        self._renewal: asyncio.Task[None] | None = None
        # Counts the tokens, so that whoever was refused knows whether a newer one is there already.
        self.generation = 1 if self._token else 0

    @property
    def can_renew(self) -> bool:
        """True if there is more than a ready token."""
        given = self._credentials
        return bool(given.provider or given.email or self._refresh_token)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in one that is shown."""
        held = (self._token, self._refresh_token, self._credentials.password, self._credentials.token)
        texts = dict.fromkeys(secret.get_secret_value() for secret in held if secret is not None)
        # As JSON text too: a quote or an accent is written otherwise there.
        return tuple(dict.fromkeys([*texts, *(json.dumps(text)[1:-1] for text in texts)]))

    def sign(self, request: WireRequest) -> tuple[WireRequest, object]:
        """The request with the token, and the token's number."""
        token = self._token.get_secret_value() if self._token else ""
        return replace(request, headers={**request.headers, "authorization": f"Bearer {token}"}), self.generation

    def ready(self) -> Awaitable[None] | None:
        """The renewal to be awaited where there is no token, or its time is nearly up; else None."""
        if self._token is None:
            return self._renew()
        if self._expires_at is not None and self._expires_at - self._clock() < RENEW_BEFORE:
            return self._renew_early(self._expires_at)
        return None

    async def renew(self, stamp: object) -> bool:
        """After the token of that number was refused: have a newer one. False when there is no way to get one."""
        if stamp == self.generation:
            if not self.can_renew:
                return False
            await self._renew()
        return stamp != self.generation

    async def aclose(self) -> None:
        """Stop a renewal that nobody waits for any more."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.wait([self._renewal])

    async def _renew_early(self, expires_at: float) -> None:
        now = self._clock()
        if now < expires_at and (now < self._not_before or not self.can_renew):
            return
        try:
            await self._renew()
        except errors.OrderBridgeError as error:
            if self._clock() >= expires_at:
                raise
            self._not_before = self._clock() + RENEWAL_PAUSE
            extra = log_facts(self._session.gateway, "refresh")
            self._session.log.warning("the token is not renewed yet: %s", error, extra=extra)

    async def _renew(self) -> None:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew_once(), name=f"{self._session.gateway} token")
            # Seen even if every waiter is gone by then.
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._renewal)

    async def _renew_once(self) -> None:
        try:
            async with asyncio.timeout(RENEWAL_TIME):
                if self._credentials.provider is not None:
                    self._keep(await self._ask_provider(self._credentials.provider))
                else:
                    await self._refresh_or_log_in()
        except TimeoutError as error:
            message = f"no token within {RENEWAL_TIME:.0f} s"
            raise errors.VenueUnavailable(message, gateway=self._session.gateway, operation="login") from error

    async def _ask_provider(self, provider: TokenProvider) -> str:
        where = errors.VenueFacts(gateway=self._session.gateway, operation="token")
        try:
            given: Any = provider()
            given = SecretStr(await given if inspect.isawaitable(given) else given)
        except Exception as error:
            raise errors.AuthenticationFailed(f"the token provider failed: {type(error).__name__}", **where) from error
        if not _is_token(given.get_secret_value()):
            raise errors.AuthenticationFailed("the token provider gave no usable token", **where)
        token: str = given.get_secret_value()
        return token

    async def _refresh_or_log_in(self) -> None:
        given = self._credentials
        if self._refresh_token is not None:
            try:
                self._take(await self._post(wire.REFRESH, {"refresh_token": self._refresh_token}, operation=REFRESH))
                return
            except errors.AuthenticationFailed:
                if given.password is None:
                    raise
                # A refresh token serves once; with a login at hand its end is no failure.
                self._refresh_token = None
        assert given.email is not None  # can_renew, and no refresh token
        assert given.password is not None
        fields = {"email": SecretStr(given.email), "password": given.password}
        self._take(await self._post(wire.LOGIN, fields, operation=LOGIN))

    async def _post(self, path: str, fields: dict[str, SecretStr], *, operation: str) -> dict[str, Any]:
        call = HttpCall(operation=operation, path=path, method="POST", fields=fields, is_public=True, hides_body=True)
        # Repeated when the answer is lost: if the old refresh token is void by then, so is the lost pair.
        session: dict[str, Any] = await self._sender.read(call, deadline=Deadline(RENEWAL_TIME))
        return session

    def _take(self, session: dict[str, Any]) -> None:
        refresh_token = pick(session, ("refresh_token",))
        if isinstance(refresh_token, str):
            self._refresh_token = SecretStr(refresh_token)
        self._keep(pick(session, ("access_token",)), expires_at=expiry_from_wire(pick(session, ("expires_at",))))

    def _keep(self, token: str, *, expires_at: float | None = None) -> None:
        # An end that is near at once (a short life, or clocks that differ) would renew before every request.
        soon = expires_at is not None and expires_at - self._clock() < RENEW_BEFORE
        self._token, self._expires_at = SecretStr(token), None if soon else expires_at
        self.generation += 1


def session_said(response: WireResponse, call: HttpCall) -> Said:
    """Read the answer to a login or refresh: its session, or why there is none."""
    try:
        payload, unreadable = body.load(response.body), ""
    except body.Unreadable as error:
        payload, unreadable = None, str(error)
    is_success, said = 200 <= response.status < 300, explain(payload)
    if is_success and unreadable:
        return Said(text=f"the answer is {unreadable}")
    if is_success:
        session, why = session_from_wire(payload, said)
        return Said(key="no-session", text=why) if session is None else Said(ok=True, payload=session)
    key = key_of(response.status, payload, call)
    text = f"{call.operation} answered {response.status}" + (f": {said}" if said else "")
    return Said(key=key, text=f"{text}; is base_url right?" if CODES.of(key, LOGIN) is Meaning.ELSEWHERE else text)


def session_from_wire(payload: object, said: str) -> tuple[dict[str, Any] | None, str]:
    """
    The session in a login's or refresh's answer; None, and why: `success` is false, an interactive step is asked
    for, or there is no token.

    Source: Bitcain, "Login", "Refresh Token".
    """
    if not isinstance(payload, dict):
        return None, "the answer is no object with a session"
    if payload.get("success") is False:
        return None, said or "the login was refused without a reason"
    session = inside(payload, "session")
    token = pick(session, ("access_token",)) if isinstance(session, dict) else None
    if _is_token(token) and pick(payload, ("mfa_required",)) is not True:
        return dict(session), ""
    places = [payload, session, inside(payload, "user")]
    if any(pick(place, _MFA_HINTS) for place in places if isinstance(place, dict)):
        return None, _INTERACTIVE
    if session is None:
        return None, "the answer has no session: is the e-mail confirmed? Or does the account need a second factor?"
    return None, "the session has no usable access_token"


def expiry_from_wire(value: object) -> float | None:
    """Unix seconds of `expires_at` (seconds, milliseconds, numeric text or ISO text); None when not usable."""
    try:
        return None if value is None else moment_from_wire(value).timestamp()
    except ValueError:
        return None
