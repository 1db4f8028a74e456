"""Tokens: ready, asked for, logged in for, refreshed."""

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain.auth import expiry_from_wire
from orderbridge.http import WireRequest
from orderbridge.http.transport import NoAnswer

LIST = "/api/v1/orders"
LOGIN = {"email": "bot@example.com", "password": 'pass"wörd-123'}


class Accounts:
    """The server's side of sessions: every refresh voids the pair before."""

    def __init__(self, server: Any, kit: Any) -> None:
        self.server = server
        self.kit = kit
        self.number = 0
        self.expires_at: Any = kit.now + 3600
        self.delay = 0.0
        self.void = False
        server.answers["/auth/login"] = [self.login]
        server.answers["/auth/refresh"] = [self.refresh]
        server.answers[LIST] = [self.listed]

    def session(self) -> Any:
        self.number += 1
        self.void = False
        session = {"access_token": f"access-{self.number}", "refresh_token": f"refresh-{self.number}"}
        return self.kit.reply({"success": True, "session": {**session, "expires_at": self.expires_at}})

    def login(self, request: WireRequest) -> Any:
        sent = json.loads(request.body)
        return self.session() if sent == LOGIN else self.kit.reply({"detail": "Wrong"}, 401)

    async def refresh(self, request: WireRequest) -> Any:
        await asyncio.sleep(self.delay)
        if json.loads(request.body) != {"refresh_token": f"refresh-{self.number}"}:
            return self.kit.reply({"detail": "Invalid refresh token"}, 401)
        return self.session()

    def listed(self, request: WireRequest) -> Any:
        if self.void or request.headers["authorization"] != f"Bearer access-{self.number}":
            return self.kit.reply({"detail": "Expired"}, 401)
        return self.kit.reply({"orders": []})


@pytest.fixture
def accounts(server: Any, kit: Any) -> Accounts:
    return Accounts(server, kit)


async def test_a_ready_token_goes_as_bearer(server: Any, make: Callable[..., Any]) -> None:
    """As given, without blanks around it."""
    await make(token=" abc.def-123\n").open_orders()

    assert server.requests[0].headers["authorization"] == "Bearer abc.def-123"


async def test_a_ready_token_that_is_refused_is_the_end(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """There is nothing to renew it with: one request, and an error that says so."""
    server.answers[LIST] = [kit.reply({"detail": "Expired"}, 401)]

    with pytest.raises(errors.AuthenticationFailed, match="Expired"):
        await make(token="old").open_orders()
    assert server.paths == [LIST]


async def test_a_login_is_made_when_first_needed(accounts: Accounts, make: Callable[..., Any]) -> None:
    """Not in the constructor; and once for many calls."""
    gateway = make(**LOGIN)
    assert accounts.server.requests == []

    await gateway.open_orders()
    await gateway.open_orders()

    assert accounts.server.paths == ["/auth/login", LIST, LIST]


async def test_a_token_is_renewed_before_its_end(accounts: Accounts, make: Callable[..., Any], kit: Any) -> None:
    """With less than 60 s left it is refreshed first, by the pair that came last."""
    now = kit.now
    gateway = make(**LOGIN, clock=lambda: now)
    await gateway.open_orders()

    for _ in range(2):
        now = accounts.expires_at - 59
        accounts.expires_at = now + 3600
        await gateway.open_orders()

    assert accounts.server.paths == ["/auth/login", LIST, *["/auth/refresh", LIST] * 2]


@pytest.mark.parametrize(("status", "detail"), [(401, "Expired"), (403, "Not authenticated")])
async def test_a_refused_token_is_renewed_once(
    accounts: Accounts, make: Callable[..., Any], kit: Any, status: int, detail: str
) -> None:
    """401, and the 403 of a missing bearer, are answered with a refresh and one more try."""
    gateway = make(**LOGIN)
    accounts.server.answers[LIST] = [kit.reply({"detail": detail}, status), accounts.listed]

    await gateway.open_orders()

    assert accounts.server.paths == ["/auth/login", LIST, "/auth/refresh", LIST]


async def test_a_token_refused_twice_is_an_error(accounts: Accounts, make: Callable[..., Any], kit: Any) -> None:
    """A new token that is refused as well ends it."""
    accounts.server.answers[LIST] = [kit.reply({"detail": "Blocked"}, 401)]

    with pytest.raises(errors.AuthenticationFailed, match="Blocked"):
        await make(**LOGIN).open_orders()
    assert accounts.server.paths == ["/auth/login", LIST, "/auth/refresh", LIST]


async def test_many_refusals_make_one_refresh(accounts: Accounts, make: Callable[..., Any]) -> None:
    """Refresh tokens serve once, so callers share the renewal; those that come late use what is there."""
    gateway = make(**LOGIN)
    await gateway.open_orders()
    accounts.void, accounts.delay = True, 0.01

    await asyncio.gather(*(gateway.open_orders() for _ in range(20)))

    assert accounts.server.paths.count("/auth/refresh") == 1


async def test_a_cancelled_caller_loses_no_pair(accounts: Accounts, make: Callable[..., Any]) -> None:
    """The refresh goes on without its caller, and the next call has the new pair."""
    gateway = make(**LOGIN)
    await gateway.open_orders()
    accounts.void, accounts.delay = True, 0.05

    caller = asyncio.create_task(gateway.open_orders())
    await asyncio.sleep(0.02)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await gateway.open_orders()

    assert accounts.server.paths.count("/auth/refresh") == 1
    assert accounts.server.paths.count("/auth/login") == 1


async def test_a_time_limit_does_not_stop_a_renewal(accounts: Accounts, make: Callable[..., Any]) -> None:
    """The call ends in time; the pair is kept."""
    gateway = make(**LOGIN)
    await gateway.open_orders()
    accounts.void, accounts.delay = True, 0.05

    with pytest.raises(errors.VenueUnavailable):
        await gateway.open_orders(timeout=0.02)
    await gateway.open_orders()

    assert accounts.server.paths.count("/auth/refresh") == 1


async def test_a_spent_refresh_token_falls_back_on_the_login(accounts: Accounts, make: Callable[..., Any]) -> None:
    """With e-mail and password at hand, the end of a session is no failure."""
    await make(**LOGIN, refresh_token="spent").open_orders()

    assert accounts.server.paths == ["/auth/refresh", "/auth/login", LIST]


async def test_a_spent_refresh_token_alone_is_an_error(accounts: Accounts, make: Callable[..., Any]) -> None:
    """There is nothing else to get in with."""
    with pytest.raises(errors.AuthenticationFailed, match="Invalid refresh token"):
        await make(refresh_token="spent").open_orders()


async def test_a_lost_refresh_answer_is_asked_for_again(accounts: Accounts, make: Callable[..., Any], kit: Any) -> None:
    """If the old token is void by then, the lost pair is lost either way."""
    accounts.number = 1
    accounts.server.answers["/auth/refresh"] = [NoAnswer("cut"), kit.reply(b"oops", 502), accounts.refresh]

    await make(refresh_token="refresh-1").open_orders()

    assert accounts.server.paths == [*["/auth/refresh"] * 3, LIST]


async def test_an_early_renewal_that_fails_can_wait(accounts: Accounts, make: Callable[..., Any], kit: Any) -> None:
    """While the old token holds, a broken auth server stops nobody, and is not asked before every request."""
    now = kit.now
    gateway = make(**LOGIN, clock=lambda: now)
    await gateway.open_orders()
    now = accounts.expires_at - 30
    accounts.server.answers["/auth/refresh"] = [kit.reply(b"down", 503)]

    await gateway.open_orders()
    tries = accounts.server.paths.count("/auth/refresh")
    await gateway.open_orders()

    assert accounts.server.paths.count("/auth/refresh") == tries


async def test_a_token_that_is_short_lived_is_used(accounts: Accounts, make: Callable[..., Any], kit: Any) -> None:
    """An end that is near from the start (clocks differ) does not mean a renewal before each request."""
    accounts.expires_at = kit.now - 500
    gateway = make(**LOGIN)

    await gateway.open_orders()
    await gateway.open_orders()

    assert accounts.server.paths == ["/auth/login", LIST, LIST]


SEAT = {"access_token": "a", "refresh_token": "r"}
FAILURES = [
    (401, {"detail": "Invalid email or password"}, errors.AuthenticationFailed, "Invalid email or password"),
    (400, {"error": "Bad"}, errors.AuthenticationFailed, "Bad"),
    (422, {"detail": [{"loc": ["body", "email"], "msg": "bad", "type": "value_error"}]}, None, "body.email: bad"),
    (200, {"success": False, "error": "No such user", "session": None}, errors.AuthenticationFailed, "No such user"),
    (200, {"success": False}, errors.AuthenticationFailed, "without a reason"),
    (200, {"success": True, "session": None, "user": {}}, errors.AuthenticationFailed, "no session"),
    (200, {"success": True, "session": None, "mfa_required": True}, errors.AuthenticationFailed, "interactive step"),
    (200, {"session": SEAT, "mfa_required": True}, errors.AuthenticationFailed, "interactive step"),
    (200, {"session": None, "user": {"factors": [{"id": 1}]}}, errors.AuthenticationFailed, "interactive step"),
    (200, {"challenge_id": "c"}, errors.AuthenticationFailed, "interactive step"),
    (200, {"session": {"refresh_token": "r"}}, errors.AuthenticationFailed, "access_token"),
    (200, {"session": {**SEAT, "access_token": "a b"}}, errors.AuthenticationFailed, "access_token"),
    (200, [], errors.AuthenticationFailed, "no object"),
    (200, b"<html>", errors.UnexpectedResponse, "HTML"),
    (404, {"detail": "Not Found"}, errors.ConfigurationError, "base_url"),
    (429, {}, errors.RateLimited, "429"),
    (503, b"", errors.VenueUnavailable, "503"),
]


@pytest.mark.parametrize(("status", "payload", "kind", "text"), FAILURES)
async def test_a_login_that_fails_says_why(
    server: Any, make: Callable[..., Any], kit: Any, status: int, payload: Any, kind: Any, text: str
) -> None:
    """Each way of failing has its class and words; no request for orders goes out."""
    server.answers["/auth/login"] = [kit.reply(payload, status)]

    with pytest.raises(kind or errors.AuthenticationFailed, match=text) as caught:
        await make(email=f"user{id(payload)}{status}@example.com", password="x").open_orders(timeout=5)

    assert LIST not in server.paths
    assert caught.value.gateway == "bitcain"


ODD = [True, False, -1, 10**30, 1.5, "", "x", "NaN", "9" * 200, [], [None], {}, {"x": [1]}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["expires_at", "expiresAt", "refresh_token"])
async def test_what_a_login_may_leave_out_may_be_anything(
    server: Any, make: Callable[..., Any], kit: Any, name: str, odd: Any
) -> None:
    """With a usable token the rest of the session stops nothing, of whatever type it is."""
    server.answers["/auth/login"] = [kit.reply({"session": {"access_token": "a", name: odd}})]

    await make(email=f"{name}{ODD.index(odd)}@example.com", password="x").open_orders(timeout=5)

    assert LIST in server.paths


async def test_a_provider_is_asked_when_needed(accounts: Accounts, make: Callable[..., Any]) -> None:
    """At first and after a refusal; it may be a plain function too."""
    accounts.number = 2
    tokens = iter(["access-1", "access-2"])

    async def provider() -> str:
        return next(tokens)

    gateway = make(token=provider, account="provided")
    await gateway.open_orders()
    await gateway.open_orders()
    await make(token=lambda: "access-2", account="plain").open_orders()

    assert accounts.server.paths == [LIST] * 4


@pytest.mark.parametrize("answer", [RuntimeError("vault sealed: key-123"), "two words", "", None])
async def test_a_provider_that_fails_is_an_authentication_failure(make: Callable[..., Any], answer: Any) -> None:
    """Its error is chained, and its words, which may hold a secret, are not repeated."""

    async def provider() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(errors.AuthenticationFailed) as caught:
        await make(token=provider, account="failing").open_orders()

    assert "key-123" not in str(caught.value)
    assert caught.value.__cause__ is (answer if isinstance(answer, Exception) else None)


EXPIRIES = [
    (1767323045, 1767323045.0),
    (1767323045000, 1767323045.0),
    ("1767323045", 1767323045.0),
    ("2026-01-02T03:04:05Z", 1767323045.0),
    (None, None),
    ("never", None),
    ([], None),
    (True, None),
]


@pytest.mark.parametrize(("value", "seconds"), EXPIRIES)
def test_each_form_of_an_expiry_is_read(value: object, seconds: float | None) -> None:
    """Seconds, milliseconds, numeric text, ISO text; nothing usable means no renewal beforehand."""
    assert expiry_from_wire(value) == seconds


async def test_no_secret_is_shown(
    server: Any, make: Callable[..., Any], kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in repr, log, error text or error body, even where the server echoes it, in JSON's spelling too."""
    secrets = ["pass", "wörd-123", r"w\u00f6rd-123", "access-tok", "refresh-tok"]
    fault = {"loc": ["body", "password"], "msg": f"bad {LOGIN['password']}", "type": "x", "input": LOGIN["password"]}
    caplog.set_level(logging.DEBUG, logger="orderbridge.bitcain")
    shown = []

    async def note(gateway: Any) -> None:
        with pytest.raises(errors.OrderBridgeError) as caught:
            await gateway.open_orders()
        shown.extend([repr(gateway), str(caught.value), repr(caught.value.__dict__)])
        chain: BaseException | None = caught.value
        while chain is not None:
            shown.append(f"{chain!r}{chain.args}")
            chain = chain.__cause__ or chain.__context__

    server.answers["/auth/login"] = [kit.reply({"detail": [fault]}, 422)]
    await note(make(**LOGIN))
    session = {"access_token": "access-tok", "refresh_token": "refresh-tok"}
    server.answers["/auth/login"] = [kit.reply({"session": session})]
    server.answers[LIST] = [kit.reply({"detail": f"echo {LOGIN['password']} access-tok", "saw": "refresh-tok"}, 400)]
    await note(make(**LOGIN))
    shown += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]

    assert len(caplog.records) >= 3
    for secret in secrets[1:]:
        assert not [text for text in shown if secret in text]


def frames(error: BaseException) -> str:
    """What a program that prints locals shows of an error and its chain, this file's own frames left out."""
    shown: list[str] = []
    chain: BaseException | None = error
    while chain is not None:
        told = traceback.TracebackException.from_exception(chain, capture_locals=True)
        told.stack = traceback.StackSummary.from_list([at for at in told.stack if "/tests/" not in at.filename])
        shown += told.format(chain=False)
        chain = chain.__cause__ or chain.__context__
    return "".join(shown)


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"detail": "wrong"}),
        (200, {"session": {"refresh_token": "refresh-tok", "access_token": "access tok"}}),
        (200, {"session": {"access_token": "access-tok"}, "mfa_required": True}),
        (200, b"<html>access-tok"),
        (500, {}),
        NoAnswer("cut"),
    ],
)
@pytest.mark.parametrize("how", ["login", "refresh", "provider"])
async def test_the_frames_of_an_error_hold_no_secret(
    server: Any, make: Callable[..., Any], kit: Any, answer: Any, how: str
) -> None:
    """A program that prints the locals of a failed login, refresh or provider shows no password and no token."""
    outcome = answer if isinstance(answer, Exception) else kit.reply(answer[1], answer[0])
    server.answers["/auth/login"] = server.answers["/auth/refresh"] = [outcome]
    ways: dict[str, dict[str, Any]] = {
        "login": LOGIN,
        "refresh": {"refresh_token": "refresh-tok"},
        "provider": {"token": lambda: "access tok"},
    }

    with pytest.raises(errors.OrderBridgeError) as caught:
        await make(**ways[how]).open_orders(timeout=1)

    told = frames(caught.value)
    assert not [secret for secret in ("wörd-123", "refresh-tok", "access-tok", "access tok") if secret in told]


async def test_closing_stops_a_renewal(accounts: Accounts, make: Callable[..., Any]) -> None:
    """Nothing goes on behind a closed gateway."""
    accounts.number, accounts.delay = 1, 60
    gateway = make(refresh_token="refresh-1")
    caller = asyncio.create_task(gateway.open_orders())
    await asyncio.sleep(0.01)
    caller.cancel()

    async with asyncio.timeout(1):
        await gateway.aclose()

    assert len(asyncio.all_tasks()) <= 2


@pytest.mark.parametrize(
    "settings",
    [
        {"token": None},
        {"token": ""},
        {"token": "Bearer abc"},
        {"token": "a\nb"},
        {"token": 5},
        {"token": "t", "email": "a@b.c"},
        {"token": "t", "password": "x"},
        {"token": lambda: "x", "refresh_token": "r"},
    ],
)
def test_credentials_that_make_no_sense_are_refused(make: Callable[..., Any], settings: dict[str, Any]) -> None:
    """None at all, half a login, a provider beside others, a token that no header takes."""
    with pytest.raises(errors.ConfigurationError):
        make(**settings, scan_since=timedelta(days=1))
