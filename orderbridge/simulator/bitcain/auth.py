"""Log-in, refresh with rotation, and bearer tokens that expire with the simulator's clock."""

from random import Random
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitcain.mapping import BEARER, BitcainRefusal, Row
from orderbridge.simulator.message import Request
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import SimCall


def _email(text: str) -> str:
    name, at, host = text.partition("@")
    if not (name and at and "." in host.strip(".")) or " " in text:
        reason = "An email address must have an @-sign." if not at else "The email address is not valid."
        raise PydanticCustomError("value_error", "value is not a valid email address: {reason}", {"reason": reason})
    return text


Email = Annotated[str, AfterValidator(_email)]


class LoginBody(BaseModel):
    """`POST /auth/login`."""

    email: Email
    password: str


class RefreshBody(BaseModel):
    """`POST /auth/refresh`."""

    refresh_token: str


class Tokens:
    """The sessions of the one user, and the ready token, which never expires."""

    def __init__(self, settings: BitcainSettings, *, clock: SimClock, rng: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._expires: dict[str, float] = {}  # by access token
        self._refresh: set[str] = set()
        self._user_id = self._uuid()

    def check(self, request: Request) -> None:
        """
        Let the user's request pass.

        Raises:
            BitcainRefusal: 401 (or 403 by the switch) without a bearer, 401 for a bad or expired one.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            status = self._settings.missing_bearer
            raise BitcainRefusal(status, "Not authenticated", BEARER if status == 401 else None)
        if token != self._settings.ready_token and self._clock.time() >= self._expires.get(token, 0.0):
            raise BitcainRefusal(401, "Invalid or expired token", BEARER)

    def login(self, call: SimCall) -> Row:
        """Open a session."""
        body: LoginBody = call.body
        settings = self._settings
        if body.email.lower() != settings.email.lower() or body.password != settings.password:
            if settings.login_failure == 401:
                raise BitcainRefusal(401, "Invalid email or password")
            return {"success": False, "user": None, "session": None, "error": "Invalid email or password"}
        if settings.login_session == "mfa":
            return {**self._answer(None), "mfa_required": True}
        return self._session()

    def refresh(self, call: SimCall) -> Row:
        """A new pair of tokens; the old refresh token is void."""
        if call.body.refresh_token not in self._refresh:
            raise BitcainRefusal(401, "Invalid refresh token")
        self._refresh.discard(call.body.refresh_token)
        return self._session()

    def expire_all(self) -> None:
        """Void every access token that a log-in gave; refresh tokens stay good."""
        self._expires.clear()

    def _session(self) -> Row:
        expires = self._clock.time() + self._settings.token_lifetime
        access, refresh = f"access-{self._uuid()}", f"refresh-{self._uuid()}"
        self._expires[access] = expires
        self._refresh.add(refresh)
        return self._answer({"access_token": access, "refresh_token": refresh, "expires_at": int(expires)})

    def _answer(self, session: Row | None) -> Row:
        user = {"id": self._user_id, "email": self._settings.email, "email_confirmed_at": "2026-01-01T00:00:00Z"}
        return {"success": True, "user": user, "session": session, "error": None}

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))
