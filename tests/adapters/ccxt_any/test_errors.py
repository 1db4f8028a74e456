"""What an exception of ccxt's means: every class, by whether its request had left and what came back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ccxt as ccxt_errors
import pytest

from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.exchanges import Traits
from orderbridge.adapters.ccxt_any.watch import Repeated, Sent, TooLate
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueError,
)
from orderbridge.http.limits import LockedOut, NoPermit
from orderbridge.venue.meanings import Meaning
from tests.adapters.ccxt_any.failing import error_of

pytestmark = pytest.mark.ccxt


def descendants(kind: type[Exception]) -> set[type[Exception]]:
    # Those that are ccxt's own: the drop-in has some that are errors of ccxt's too.
    own = [each for each in kind.__subclasses__() if each.__module__.startswith("ccxt.")]
    return {kind}.union(*(descendants(each) for each in own))


CLASSES = sorted(descendants(ccxt_errors.BaseError), key=lambda kind: kind.__name__)
BARE = [KeyError, TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError]
SECRET = "hunter2-hunter2"
# The whole allow-list: with a clear answer these prove that nothing is on the book.
REFUSED = {
    "InsufficientFunds": InsufficientFunds,
    "OrderImmediatelyFillable": InvalidOrder,
    "BadSymbol": InvalidOrder,
    "DuplicateOrderId": DuplicateClientOrderId,
}
# These refuse where the status or the text says that it is about the credentials.
GUARDED = {
    "AuthenticationError": AuthenticationFailed,
    "PermissionDenied": PermissionDenied,
    "AccountNotEnabled": PermissionDenied,
    "AccountSuspended": PermissionDenied,
}
BEFORE = {
    "AuthenticationError": ConfigurationError,
    "ExchangeClosedByUser": ConfigurationError,
    "InvalidProxySettings": ConfigurationError,
    "NotSupported": NotSupported,
    "ArgumentsRequired": NotSupported,
    "BadSymbol": NotSupported,
    "OperationFailed": NotSent,
}


def codes_of(**more: Any) -> CcxtCodes:
    return CcxtCodes((SECRET,), Traits(**more))


async def write_error(
    error: BaseException,
    sent: Sent | None = None,
    *more: Sent,
    told: CcxtCodes | None = None,
    client_order_id: str | None = "mine",
) -> OrderBridgeError:
    all_sent = [each for each in (sent, *more) if each is not None]
    return await error_of(error, *all_sent, codes=told or codes_of(), client_order_id=client_order_id)


def answered(error: BaseException, *, status: int = 200, body: str = '{"error": "no"}', write: bool = True) -> Sent:
    method = "POST" if write else "GET"
    return Sent(method, "https://exchange.example/order", write, status=status, body=body, failed=error)


def of_family(name: str, table: dict[str, Any]) -> Any:
    kind = getattr(ccxt_errors, name)
    return next((table[each.__name__] for each in kind.__mro__ if each.__name__ in table), None)


def test_the_tree_is_the_one_that_was_studied() -> None:
    """Every class that our tables name is one of ccxt's; none is left out by a spelling."""
    assert {kind.__name__ for kind in CLASSES} >= set(REFUSED) | set(GUARDED) | set(BEFORE)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
async def test_with_a_clear_answer_only_the_allow_list_is_a_refusal(kind: type[Exception]) -> None:
    """A whole JSON answer with a class of the list is a refusal or a duplicate; with any other it is unknown."""
    error = kind("said no")

    made = await write_error(error, answered(error))

    assert type(made) is REFUSED.get(kind.__name__, OutcomeUnknown)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize(
    ("status", "body", "is_clear"),
    [
        (401, '{"error": "no"}', True),
        (403, '{"error": "no"}', True),
        (400, '{"error": "Invalid API-key, IP, or permissions for action."}', True),
        (200, '{"error": "signature does not match"}', True),
        (400, '{"error": "permission denied"}', True),
        (400, '{"error": "no"}', False),
        (400, '{"error": "INTERNAL_ERROR"}', False),
        (401, '{"error": "internal error, invalid signature"}', False),
        (403, '{"error": "too many requests, try again later"}', False),
    ],
)
async def test_credentials_are_refused_by_status_or_plain_words_only(
    name: str, status: int, body: str, is_clear: bool
) -> None:
    """An exchange's internal error, which ccxt files under AuthenticationError, is no refusal."""
    error = getattr(ccxt_errors, name)(body)

    made = await write_error(error, answered(error, status=status, body=body))

    assert type(made) is (GUARDED[name] if is_clear else OutcomeUnknown)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Order creation timeout."),
        (400, "request timed out"),
        (400, "System busy"),
        (400, "INTERNAL_ERROR"),
        (400, "please try again"),
        (400, "unknown error"),
        (400, "your order is being processing"),
        (400, "order status pending"),
        (408, "no"),
        (425, "no"),
    ],
)
async def test_words_of_a_passing_trouble_are_never_a_refusal(name: str, status: int, words: str) -> None:
    """Not even with a class that refuses by itself."""
    error = getattr(ccxt_errors, name)(words)

    made = await write_error(error, answered(error, status=status, body=json.dumps({"error": words})))

    assert type(made) is OutcomeUnknown


@pytest.mark.parametrize("kind", ["InvalidOrder", "BadRequest", "ExchangeError", "InsufficientFunds"])
@pytest.mark.parametrize(
    "words",
    ["Duplicate order", "REPEATED_CREATION", "clientOrderId already exists", "order id has already been used"],
)
async def test_words_of_a_duplicate_are_no_refusal(kind: str, words: str) -> None:
    """Where a client id was sent an order has it; where none was, nothing is known."""
    error = getattr(ccxt_errors, kind)(words)
    sent = answered(error, status=400, body=json.dumps({"error": words}))

    with_id, without = await write_error(error, sent), await write_error(error, sent, client_order_id=None)

    assert type(with_id) is DuplicateClientOrderId
    assert with_id.client_order_id == "mine"
    assert type(without) is OutcomeUnknown


@pytest.mark.parametrize(
    ("words", "is_told"),
    [
        ("EOrder:Unknown order", True),
        ("Unknown symbol", True),
        ("price too low", True),
        ("internal error", False),
        ("cancel timeout", False),
        ("unknown order status", False),
    ],
)
async def test_a_cancel_is_refused_by_plain_words_only(words: str, is_told: bool) -> None:
    """What the exchange could not do just now may have been done all the same: it is no refusal."""
    error = ccxt_errors.InvalidOrder(words)
    sent = answered(error, status=400, body=json.dumps({"error": words}), write=False)

    made = await error_of(error, sent, codes=codes_of(), call="cancel")

    assert type(made) is (VenueError if is_told else UnexpectedResponse)


async def test_a_nonce_that_was_used_before_is_no_duplicate_of_an_order() -> None:
    """It tells of the request's number, and an order by this client id need not exist."""
    error = ccxt_errors.ExchangeError("duplicate nonce")

    assert type(await write_error(error, answered(error, body='{"error": "duplicate nonce"}'))) is OutcomeUnknown


async def test_the_clients_own_id_in_an_answer_decides_nothing() -> None:
    """An answer may repeat the id that was sent, whatever word that holds."""
    error = ccxt_errors.InsufficientFunds("no")
    sent = answered(error, body='{"id": "busy-repeat-1", "error": "no funds"}')

    assert type(await write_error(error, sent, client_order_id="busy-repeat-1")) is InsufficientFunds


@pytest.mark.parametrize("kind", [*CLASSES, *BARE], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "spoil",
    [
        lambda error: answered(error, status=503),
        lambda error: answered(error, status=500, body="<html>502</html>"),
        lambda error: answered(error, status=400, body="<html>400</html>"),
        lambda error: answered(error, status=401, body=""),
        lambda error: Sent("POST", "https://exchange.example/order", True, failed=error),
        lambda error: Sent("POST", "https://exchange.example/order", True, status=200, body='{"id": 1}'),
    ],
    ids=["5xx", "5xx page", "4xx page", "empty", "no answer", "failed after a good answer"],
)
async def test_without_a_clear_answer_every_class_is_unknown(
    kind: type[Exception], spoil: Callable[[BaseException], Sent]
) -> None:
    """A request that may have left and had no clear answer is never a refusal, whatever ccxt calls it."""
    error = kind("said no")

    made = await write_error(error, spoil(error))

    assert type(made) is OutcomeUnknown
    assert made.client_order_id == "mine"


@pytest.mark.parametrize("kind", [*CLASSES, *BARE], ids=lambda kind: kind.__name__)
async def test_what_did_not_connect_was_not_sent(kind: type[Exception]) -> None:
    """The request was begun and nothing left: it is safe to try again."""
    error = kind("refused")

    sent = Sent("POST", "https://exchange.example/order", True, left=False, failed=error)

    assert type(await write_error(error, sent)) is NotSent


@pytest.mark.parametrize("kind", [*CLASSES, *BARE], ids=lambda kind: kind.__name__)
async def test_before_any_request_nothing_was_sent(kind: type[Exception]) -> None:
    """Each class says what to correct, and none is unknown or a refusal of the exchange."""
    expected = (of_family(kind.__name__, BEFORE) if kind in CLASSES else None) or OrderDenied

    made = await write_error(kind("no"))

    assert type(made) is expected
    assert not isinstance(made, (OutcomeUnknown, OrderRejected))


@pytest.mark.parametrize("error", [LockedOut(3.0), NoPermit("full"), TooLate("late"), TimeoutError()])
async def test_lanes_and_time_limits_before_the_order(error: Exception) -> None:
    """A preliminary request may have gone out; the order did not."""
    good = Sent("GET", "https://exchange.example/account", False, status=200, body="{}")

    assert type(await write_error(error)) is NotSent
    assert type(await write_error(error, good)) is NotSent


async def test_a_failed_request_before_the_order() -> None:
    """What ccxt asks before it places an order tells nothing of one: not sent, or the credentials refused."""
    timeout = ccxt_errors.RequestTimeout("slow")
    refused = ccxt_errors.AuthenticationError("no")
    answer = answered(refused, write=False, status=401)

    assert type(await write_error(timeout, answered(timeout, write=False))) is NotSent
    assert type(await write_error(refused, answer)) is AuthenticationFailed


async def test_kept_from_repeating_tells_the_first_failure() -> None:
    """Where ccxt was kept from sending again, the error is that of the request that left."""
    first = ccxt_errors.RequestTimeout("slow")

    made = await write_error(Repeated("once"), Sent("POST", "https://exchange.example/order", True, failed=first))

    assert type(made) is OutcomeUnknown
    assert "RequestTimeout" in str(made)


@pytest.mark.parametrize("status", [418, 420, 429])
async def test_throttled_by_status(status: int) -> None:
    """Whatever the class, a throttled write is unknown, with RateLimited behind it."""
    error = ccxt_errors.ExchangeError("slow down")

    made = await write_error(error, answered(error, status=status))

    assert type(made) is OutcomeUnknown
    assert isinstance(made.__cause__, RateLimited)


async def test_codes_of_the_exchange_go_before_classes() -> None:
    """Where ccxt knows too few codes, ours decide; a code that says unclear stays so."""
    told = codes_of(refusals={"0379": Meaning.FUNDS, "0101": Meaning.UNCLEAR}, code_at=("error.code",))
    error = ccxt_errors.ExchangeError("no")

    funds = await write_error(error, answered(error, body='{"error": {"code": "379"}}'), told=told)
    unclear = await write_error(error, answered(error, body='{"error": {"code": "0101"}}'), told=told)

    assert type(funds) is InsufficientFunds
    assert funds.code == "0379"
    assert type(unclear) is OutcomeUnknown


@pytest.mark.parametrize(
    "text",
    [
        f"binance GET https://api.example/order?apiKey={SECRET}&signature=0badc0de",
        f'{{"secret": "{SECRET}", "signature": "0badc0de"}}',
        f"nonce=17 apiKey={SECRET} sign=0badc0de",
    ],
)
async def test_no_text_shows_a_secret(text: str) -> None:
    """Queries, signatures and credentials are cut out of messages, bodies and causes."""
    error = ccxt_errors.ExchangeNotAvailable(text)

    made = await write_error(error, answered(error, body=text))

    assert isinstance(made.__cause__, VenueError)
    for told in (
        str(made),
        repr(made),
        str(made.__cause__),
        repr(getattr(made.__cause__, "body", "")),
        repr(made.__context__),
    ):
        assert SECRET not in told
        assert "0badc0de" not in told
