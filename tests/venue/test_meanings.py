"""What follows from the meaning of an answer: for a read, for a write, and where its status outweighs it."""

from typing import Any

import pytest

from orderbridge import errors
from orderbridge.errors import OrderBridgeError, Where
from orderbridge.venue.meanings import (
    WRITE_ERRORS,
    Codes,
    Meaning,
    Said,
    TryAgain,
    judged,
    read_error,
    read_meaning,
    rows_of,
    write_error,
    write_meaning,
)

WHERE = Where(gateway="v", operation="call")
REFUSING = sorted(WRITE_ERRORS)


def said(status: int = 400, **more: Any) -> Said:
    return Said(key="k", code="k", text="no", status=status, body="{}", **more)


def of_write(meaning: Meaning, status: int = 400) -> OrderBridgeError:
    answer = said(status)
    return write_error(write_meaning(meaning, status), answer, WHERE, order_id="o", client_order_id="c")


def of_read(meaning: Meaning, status: int = 400, **more: Any) -> OrderBridgeError | TryAgain:
    return read_error(read_meaning(meaning, status), said(status, **more), WHERE)


@pytest.mark.parametrize("meaning", REFUSING)
def test_a_clear_answer_refuses_a_write(meaning: Meaning) -> None:
    """Each class says what was refused, with the facts of the answer."""
    error = of_write(meaning)

    assert type(error) is WRITE_ERRORS[meaning]
    assert (error.code, error.http_status, error.gateway, error.operation) == ("k", 400, "v", "call")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("meaning", REFUSING)
def test_a_refusal_with_a_5xx_refuses_nothing(meaning: Meaning, status: int) -> None:
    """It may be a proxy's: whatever the code, the outcome is not known."""
    error = of_write(meaning, status)

    assert type(error) is errors.OutcomeUnknown
    assert (error.order_id, error.client_order_id) == ("o", "c")


@pytest.mark.parametrize("meaning", sorted(set(Meaning) - set(WRITE_ERRORS)))
def test_what_is_no_refusal_leaves_a_write_unknown(meaning: Meaning) -> None:
    """The allow-list is closed: throttled, unclear, and whatever is said of the address or of a list."""
    error = of_write(meaning)

    assert type(error) is errors.OutcomeUnknown
    assert type(error.__cause__) is (errors.RateLimited if meaning is Meaning.THROTTLED else errors.VenueError)


@pytest.mark.parametrize("status", [420, 429])
@pytest.mark.parametrize("meaning", list(Meaning))
def test_some_statuses_are_throttling_whatever_else_is_said(meaning: Meaning, status: int) -> None:
    """A proxy throttles with a page of its own, or a venue in its own words."""
    assert judged(lambda answer, operation: meaning, said(status), "call") is Meaning.THROTTLED


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        (Meaning.NOT_ADMITTED, errors.NotAdmitted),
        (Meaning.CREDENTIALS, errors.AuthenticationFailed),
        (Meaning.PERMISSION, errors.PermissionDenied),
        (Meaning.NOT_FOUND, errors.OrderNotFound),
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_what_a_venue_says_itself_outweighs_a_5xx_on_a_read(
    meaning: Meaning, kind: type[OrderBridgeError], status: int
) -> None:
    """Nothing is lost by believing it: another try would cost time, and perhaps the key."""
    assert type(of_read(meaning, status)) is kind


@pytest.mark.parametrize("meaning", [Meaning.REFUSED, Meaning.INVALID, Meaning.ELSEWHERE, Meaning.GARBLED])
def test_of_any_other_read_a_5xx_tells_nothing(meaning: Meaning) -> None:
    """It is tried again, and then it is VenueUnavailable."""
    again = of_read(meaning, 503, retry_after=7.0)

    assert isinstance(again, TryAgain)
    assert type(again.error) is errors.VenueUnavailable
    assert again.after == 7.0


@pytest.mark.parametrize(
    ("meaning", "kind", "after"),
    [
        (Meaning.UNCLEAR, errors.VenueUnavailable, 7.0),
        (Meaning.GARBLED, errors.UnexpectedResponse, 7.0),
        (Meaning.THROTTLED, errors.RateLimited, 7.0),
        (Meaning.NOT_READY, errors.VenueError, 0.5),
    ],
)
def test_where_another_try_may_help_a_read_is_tried_again(
    meaning: Meaning, kind: type[OrderBridgeError], after: float
) -> None:
    """After the time that was named; what is only not ready yet is there in a moment."""
    again = of_read(meaning, retry_after=7.0)

    assert isinstance(again, TryAgain)
    assert (type(again.error), again.after) == (kind, after)


@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        (Meaning.ELSEWHERE, errors.ConfigurationError),
        (Meaning.UNEXPECTED, errors.UnexpectedResponse),
        (Meaning.BAD_ID, errors.VenueError),
        (Meaning.FUNDS, errors.VenueError),
    ],
)
def test_what_would_be_said_again_is_told_at_once(meaning: Meaning, kind: type[OrderBridgeError]) -> None:
    """No further try, and the class says what to look at."""
    assert type(of_read(meaning)) is kind


def test_absence_is_proven_by_that_meaning_alone() -> None:
    """An order that is not shown may have been executed; one that is not there was not."""
    proven = [of_write(Meaning.ABSENT), of_read(Meaning.ABSENT)]
    shown = [of_write(Meaning.NOT_FOUND), of_read(Meaning.NOT_FOUND)]

    for error in proven:
        assert isinstance(error, errors.OrderNotFound)
        assert error.found is not None
        assert error.found.proven_absent
    assert [isinstance(error, errors.OrderNotFound) and error.found for error in shown] == [None, None]


CODES = Codes(
    both=rows_of((Meaning.FUNDS, "0601 0603-0605")),
    reads=rows_of((Meaning.NOT_FOUND, "0604")),
    columns={"submit": rows_of((Meaning.REFUSED, "0604")), "edit": {}},
)


@pytest.mark.parametrize(
    ("code", "read", "submit", "edit"),
    [
        ("0601", "funds", "funds", "funds"),
        ("0605", "funds", "funds", "funds"),
        ("0604", "not_found", "refused", "funds"),
        ("0602", "unclear", "unclear", "unclear"),
        ("604", "unclear", "unclear", "unclear"),
    ],
)
def test_a_column_stands_over_what_holds_for_all(code: str, read: str, submit: str, edit: str) -> None:
    """An operation without a column reads that of reads; a code in neither is unclear."""
    assert [CODES.of(code, name) for name in ("lookup", "submit", "edit")] == [read, submit, edit]


def test_an_answer_of_no_known_form_is_garbled() -> None:
    """It has no key to enter the table by."""
    assert CODES(Said(text="a page"), "submit") is Meaning.GARBLED


def test_no_code_stands_twice() -> None:
    """Which of two rows counts would be an accident."""
    with pytest.raises(ValueError, match="0603 stands twice"):
        rows_of((Meaning.FUNDS, "0601-0605"), (Meaning.INVALID, "0603"))
