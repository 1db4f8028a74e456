"""Log-in, refresh with rotation, and bearer tokens that expire with the simulator's clock."""

from dataclasses import dataclass
from random import Random
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitcain.mapping import BEARER, BitcainRefusal, Row
from orderbridge.simulator.message import Request
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import SimCall

BOT = "bot"


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


class SignupBody(BaseModel):
    """`POST /auth/signup`."""

    email: Email
    password: str = Field(min_length=8)


class RefreshBody(BaseModel):
    """`POST /auth/refresh`."""

    refresh_token: str


@dataclass(slots=True)
class User:
    """Somebody who may log in. `account` is the engine's name of his money."""

    user_id: str
    account: str
    email: str
    password: str


class Tokens:
    """Users, their sessions, and the ready token, which never expires."""

    def __init__(self, settings: BitcainSettings, *, clock: SimClock, rng: Random) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._users: dict[str, User] = {}
        self._access: dict[str, tuple[User, float]] = {}
        self._refresh: dict[str, User] = {}
        self._bot_id = self._uuid()

    def account(self, request: Request) -> str:
        """
        Whose request it is.

        Raises:
            BitcainRefusal: 401 (or 403 by the switch) without a bearer, 401 for a bad or expired one.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            status = self._settings.missing_bearer
            raise BitcainRefusal(status, "Not authenticated", BEARER if status == 401 else None)
        if token == self._settings.ready_token:
            return BOT
        user, expires = self._access.get(token, (None, 0.0))
        if user is None or self._clock.time() >= expires:
            raise BitcainRefusal(401, "Invalid or expired token", BEARER)
        return user.account

    def login(self, call: SimCall) -> Row:
        """Open a session."""
        body: LoginBody = call.body
        user = self._user(body.email)
        if user is None or user.password != body.password:
            if self._settings.login_failure == 401:
                raise BitcainRefusal(401, "Invalid email or password")
            return {"success": False, "user": None, "session": None, "error": "Invalid email or password"}
        if self._settings.login_session == "mfa":
            return {
                "success": True,
                "user": self._shown(user),
                "session": None,
                "error": None,
                "mfa_required": True,
            }
        return self._session(user)

    def refresh(self, call: SimCall) -> Row:
        """A new pair of tokens; the old refresh token is void."""
        user = self._refresh.pop(call.body.refresh_token, None)
        if user is None:
            raise BitcainRefusal(401, "Invalid refresh token")
        return self._session(user)

    def signup(self, call: SimCall) -> tuple[Row, str]:
        """A new user with a session, and the name of his account."""
        body: SignupBody = call.body
        if self._user(body.email) is not None:
            raise BitcainRefusal(400, "User already registered")
        user_id = self._uuid()
        user = User(user_id, f"user-{user_id}", body.email, body.password)
        self._users[body.email.lower()] = user
        return self._session(user), user.account

    def expire_all(self) -> None:
        """Void every access token that a log-in gave; refresh tokens stay good."""
        self._access.clear()

    def _user(self, email: str) -> User | None:
        if email.lower() == self._settings.email.lower():
            return User(self._bot_id, BOT, self._settings.email, self._settings.password)
        return self._users.get(email.lower())

    def _session(self, user: User) -> Row:
        expires = self._clock.time() + self._settings.token_lifetime
        access, refresh = f"access-{self._uuid()}", f"refresh-{self._uuid()}"
        self._access[access] = (user, expires)
        self._refresh[refresh] = user
        session = {"access_token": access, "refresh_token": refresh, "expires_at": int(expires)}
        return {"success": True, "user": self._shown(user), "session": session, "error": None}

    def _shown(self, user: User) -> Row:
        return {"id": user.user_id, "email": user.email, "email_confirmed_at": "2026-01-01T00:00:00Z"}

    def _uuid(self) -> str:
        return str(UUID(int=self._rng.getrandbits(128), version=4))
