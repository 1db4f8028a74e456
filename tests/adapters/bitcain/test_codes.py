"""Answers of Bitcain's that are no success, one row of the table each."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.adapters.bitcain.codes import explain, is_proof_of_absence, is_shadowed_history
from orderbridge.http.retry import Retries
from orderbridge.http.transport import NoAnswer, NothingSent

LIST = "/api/v1/orders"
FAULT = {"loc": ["query", "limit"], "msg": "Input should be less", "type": "less_than_equal", "input": "201"}
ENUM = {"loc": ["query", "order_status"], "msg": "Bad word", "type": "enum", "ctx": {"expected": "'open' or 'done'"}}
SHADOW = {"loc": ["path", "order_id"], "msg": "Bad", "type": "uuid_parsing", "input": "history"}

REFUSALS = [
    (401, {"detail": "Invalid token"}, errors.AuthenticationFailed, "Invalid token"),
    (403, {"detail": "Not authenticated"}, errors.AuthenticationFailed, "Not authenticated"),
    (403, {"detail": "Plan too small"}, errors.PermissionDenied, "Plan too small"),
    (403, b"<html>blocked</html>", errors.PermissionDenied, "HTML"),
    (404, {"detail": "Not Found"}, errors.ConfigurationError, "base_url"),
    (404, {"detail": "Anything"}, errors.ConfigurationError, "base_url"),
    (404, b"<html>no such site</html>", errors.ConfigurationError, "base_url"),
    (400, {"detail": "Invalid cursor"}, errors.VenueError, "Invalid cursor"),
    (402, {"detail": {"message": "Pay first", "code": "P1"}}, errors.VenueError, "Pay first"),
    (422, {"detail": [FAULT, ENUM]}, errors.VenueError, "query.limit: Input should be less; query.order_status"),
    (429, {"detail": "Slow down"}, errors.RateLimited, "Slow down"),
    (500, b"Internal Server Error", errors.VenueUnavailable, "500"),
    (503, {"detail": "Service Unavailable"}, errors.VenueUnavailable, "503"),
    (408, {"detail": "Too late"}, errors.VenueUnavailable, "408"),
    (302, b"", errors.UnexpectedResponse, "base_url"),
    (200, {"success": False, "error": "No such user"}, errors.VenueError, "No such user"),
    (200, b"<!doctype html><html></html>", errors.UnexpectedResponse, "HTML"),
    (200, b'{"orders": [{"id"', errors.UnexpectedResponse, "no JSON"),
    (200, b"", errors.UnexpectedResponse, "empty body"),
    (200, {}, errors.UnexpectedResponse, "keys are: none"),
    (200, {"ok": True}, errors.UnexpectedResponse, "keys are: ok"),
]


@pytest.mark.parametrize(("status", "payload", "kind", "text"), REFUSALS)
async def test_each_answer_has_its_error(
    server: Any, make: Callable[..., Any], kit: Any, status: int, payload: Any, kind: type[Exception], text: str
) -> None:
    """The class says what to do, the text what the server said; it names gateway and call, and pickles."""
    server.answers[LIST] = [kit.reply(payload, status)]

    with pytest.raises(errors.OrderBridgeError) as caught:
        await make(retries=Retries(tries=2, first_wait=0.001)).open_orders(timeout=5)

    error = caught.value
    assert type(error) is kind
    assert text in str(error)
    assert (error.gateway, error.operation) == ("bitcain", "open_orders")
    if isinstance(error, errors.VenueError):
        assert error.http_status == status
        assert error.body
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize(
    "payload",
    [b"oops", {"detail": "x"}, NoAnswer("cut off"), NothingSent("refused")],
    ids=["text", "json", "no", "not"],
)
async def test_reads_are_repeated(server: Any, make: Callable[..., Any], kit: Any, payload: Any) -> None:
    """A 5xx, a lost answer or an unreachable server is tried again."""
    answer = payload if isinstance(payload, Exception) else kit.reply(payload, 502)
    server.answers[LIST] = [answer, answer, kit.reply({"orders": [kit.row()]})]

    assert len(await make().open_orders()) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_refusals_are_not_repeated(server: Any, make: Callable[..., Any], kit: Any, status: int) -> None:
    """What the server refuses it would refuse again."""
    server.answers[LIST] = [kit.reply({"detail": "no"}, status)]

    with pytest.raises(errors.OrderBridgeError):
        await make().open_orders()

    assert len(server.requests) == 1


async def test_a_throttle_waits_as_told(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """429 locks the key out for Retry-After and the read goes on after it."""
    server.answers[LIST] = [
        kit.reply({}, 429, retry_after="0.05"),
        kit.reply({}, 429, retry_after="0"),
        kit.reply({"orders": []}),
    ]

    assert list(await make().open_orders(timeout=5)) == []


async def test_a_throttle_beyond_the_time_limit_is_an_error(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Without a Retry-After it is a minute; no second request goes out, not even by another gateway of the key."""
    server.answers[LIST] = [kit.reply({"detail": "Slow"}, 429)]
    one, other = make(token="shared-throttled"), make(token="shared-throttled")

    with pytest.raises(errors.RateLimited) as caught:
        await one.open_orders(timeout=1)
    with pytest.raises(errors.RateLimited):
        await other.open_orders(timeout=1)

    assert caught.value.retry_after == 60
    assert len(server.requests) == 1


def test_the_codes_are_kept_and_the_vocabulary_is_shown() -> None:
    """A 422 shows each fault with its place, and the words that would have been right."""
    assert explain({"detail": [ENUM]}) == "query.order_status: Bad word (expected 'open' or 'done')"


@pytest.mark.parametrize(
    ("payload", "proof"),
    [
        ({"detail": "Order not found"}, True),
        ({"detail": {"message": "gone"}}, True),
        ({"success": False, "error": "Order not found"}, True),
        ({"detail": "Not Found"}, False),
        ({"message": "no Route matched with those values"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_the_servers_own_404_proves_absence(payload: Any, proof: bool) -> None:
    """A route that is not there, or a proxy in between, says nothing about the order."""
    assert is_proof_of_absence(payload) is proof


@pytest.mark.parametrize(
    ("fault", "shadowed"),
    [
        (SHADOW, True),
        ({**SHADOW, "input": "x"}, False),
        ({**SHADOW, "loc": ["query", "order_id"]}, False),
        ({**SHADOW, "type": "enum"}, False),
    ],
)
def test_a_shadowed_history_is_recognised_exactly(fault: dict[str, Any], shadowed: bool) -> None:
    """Only the 422 that took `history` for an id."""
    assert is_shadowed_history({"detail": [fault]}) is shadowed
