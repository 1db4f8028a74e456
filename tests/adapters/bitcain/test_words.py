"""Bitcain's words."""

from decimal import Decimal

import pytest

from orderbridge.adapters.bitcain.mapping import bare, read_status
from orderbridge.model.basics import KnownBy, OrderStatus

ACCEPTED = (
    "pending, created, queued, submitted, received, processing, pending new, pending submit, new, accepted, untriggered"
)
TABLE = {
    OrderStatus.ACCEPTED: ACCEPTED,
    OrderStatus.OPEN: "open, active, live, working, placed, resting, triggered",
    OrderStatus.PARTIALLY_FILLED: "partially filled, partial, partial fill, partial filled, partiallyfilled",
    OrderStatus.FILLED: "filled, executed, completed, complete, fully filled",
    OrderStatus.CANCELLED: "cancelled, canceled, partially cancelled, partially canceled",
    OrderStatus.REJECTED: "rejected, denied, risk rejected",
    OrderStatus.EXPIRED: "expired, expired in match",
    OrderStatus.FAILED: "failed, error, failure",
    OrderStatus.UNKNOWN: "pending_review, halted, filledish, 7, 🤷",
}
ROWS = [(word, status) for status, words in TABLE.items() for word in words.split(", ")]
TEN = Decimal(10)


@pytest.mark.parametrize(("word", "status"), ROWS)
def test_each_word_has_its_status(word: str, status: OrderStatus) -> None:
    """Every row of the table maps as it says; a word that is no row is unknown, so possibly live."""
    assert read_status(word, quantity=TEN, filled=None).status is status


@pytest.mark.parametrize("spelling", ["PARTIALLY_FILLED", " Partially-Filled ", "OrderStatus.PARTIALLY_FILLED"])
def test_spelling_does_not_matter(spelling: str) -> None:
    """Case, separators, blanks and an enum's class name are folded away before the table."""
    assert bare(spelling) == "partially filled"
    assert read_status(spelling, quantity=TEN, filled=Decimal(3)).status is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("word", ["open", "working", "pending cancel"])
def test_numbers_tell_open_from_partly_filled(word: str) -> None:
    """A working word with a filled size is partially filled."""
    assert read_status(word, quantity=TEN, filled=Decimal(0)).status is OrderStatus.OPEN
    assert read_status(word, quantity=TEN, filled=Decimal(3)).status is OrderStatus.PARTIALLY_FILLED


@pytest.mark.parametrize("word", ["pending cancel", "cancelling", "canceling", "cancel requested"])
def test_a_cancel_under_way_is_a_flag(word: str) -> None:
    """The order still works; the request is a flag beside its status."""
    reading = read_status(word, quantity=TEN, filled=None)

    assert reading.cancel_requested
    assert reading.status is OrderStatus.OPEN


@pytest.mark.parametrize("word", ["closed", "done"])
@pytest.mark.parametrize(
    ("filled", "status"),
    [(TEN, OrderStatus.FILLED), (Decimal(4), OrderStatus.CANCELLED), (None, OrderStatus.UNKNOWN)],
)
def test_over_says_nothing_without_numbers(word: str, filled: Decimal | None, status: OrderStatus) -> None:
    """`closed` and `done` are filled or cancelled by the numbers, and unknown without them."""
    reading = read_status(word, quantity=TEN, filled=filled)

    assert reading.status is status
    assert (reading.known_by is KnownBy.INFERRED) == (filled is not None)
    assert bool(reading.evidence) == (filled is not None)


def test_a_cancel_that_was_not_ours_is_inferred() -> None:
    """A status can be set by hand, so the word alone is inferred and says what it rests on."""
    reading = read_status("Canceled", quantity=TEN, filled=TEN / 2)

    assert reading.known_by is KnownBy.INFERRED
    assert "did not ask" in reading.evidence[0]


def test_an_untriggered_stop_waits() -> None:
    """It is accepted, and the flag says what it waits for."""
    assert read_status("untriggered", quantity=TEN, filled=None).trigger_waiting


@pytest.mark.parametrize(
    ("word", "filled"),
    [("filled", 9), ("partially filled", 0), ("partially filled", 10), ("open", 10), ("pending", 1), ("rejected", 1)],
)
def test_words_at_odds_with_numbers_are_doubts(word: str, filled: int) -> None:
    """The contradiction is noted and the word stays."""
    assert read_status(word, quantity=TEN, filled=Decimal(filled)).doubts


def test_agreement_leaves_no_doubt() -> None:
    """Words and numbers that fit are not flagged."""
    fits = [("filled", 10), ("partially filled", 5), ("open", 0), ("pending", 0), ("cancelled", 5), ("expired", 0)]

    assert [read_status(word, quantity=TEN, filled=Decimal(filled)).doubts for word, filled in fits] == [()] * 6
