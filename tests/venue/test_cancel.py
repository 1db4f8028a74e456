"""How an order stands after a cancel."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderbridge.model.basics import KnownBy, OrderStatus
from orderbridge.model.order import Order
from orderbridge.venue.cancel import CANCEL_LISTED, conclude

AT = datetime(2026, 1, 2, tzinfo=UTC)


def order(**changes: Any) -> Order:
    plain = {"venue": "v", "order_id": "1", "symbol": "BTC/MXN", "side": "buy", "status": "open", "quantity": "1"}
    return Order(**{**plain, **changes})


def concluded(known: Order | None, seen: Order | None, listed: bool | None) -> Order:
    after = conclude(known, seen, listed=listed, at=AT)
    assert after is not None
    return after


@pytest.mark.parametrize(
    ("known", "listed"),
    [(None, True), (None, False), (None, None), (order(), False)],
    ids=["listed", "not listed", "acknowledged", "known, not listed"],
)
def test_of_an_order_that_is_not_seen_little_can_be_said(known: Order | None, listed: bool | None) -> None:
    """Nothing of one that was not known, nor of a known one that the venue did not cancel."""
    assert conclude(known, None, listed=listed, at=AT) is None


def test_a_listed_order_is_cancelled_with_the_larger_fills() -> None:
    """Whatever is seen of it, unless the venue reports an end; trades may lag, and a read may be stale."""
    known = order(filled_quantity="0.5", trigger_waiting=True)
    for seen, filled in ((None, "0.5"), (order(filled_quantity="0.2"), "0.5"), (order(filled_quantity="0.7"), "0.7")):
        after = concluded(known, seen, True)
        assert (after.status, after.known_by, after.observed_at) == (OrderStatus.CANCELLED, KnownBy.REPORTED, AT)
        assert (after.filled_quantity, after.trigger_waiting) == (Decimal(filled), False)
        assert CANCEL_LISTED in after.evidence

    ended = order(status="filled", filled_quantity="1")
    assert concluded(known, ended, True) is ended
    assert concluded(None, order(), True).status is OrderStatus.CANCELLED


def test_an_acknowledgement_proves_nothing() -> None:
    """A working order has the cancel on its way, be it seen or only known; one that is seen to have ended has ended."""
    ended = order(status="filled", filled_quantity="1")

    assert concluded(order(), ended, None) is ended
    for after in (concluded(None, order(), None), concluded(order(), None, None)):
        assert (after.status, after.cancel_requested) == (OrderStatus.OPEN, True)


def test_an_order_that_was_not_listed_is_as_it_is_seen() -> None:
    """Its cancel is not on its way; of one that was rebuilt from trades the size and the larger fills are known."""
    working = order(status="partially_filled")
    rebuilt = order(status="ended", known_by="inferred", quantity=None, filled_quantity="0.4", evidence=["trades"])

    assert concluded(order(), working, False) is working
    after = concluded(order(filled_quantity="0.6"), rebuilt, False)
    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.INFERRED)
    assert (after.quantity, after.filled_quantity) == (Decimal(1), Decimal("0.6"))
    assert "trades" in after.evidence
    assert concluded(order(), order(status="ended", quantity=None, filled_quantity="1"), False).status == "filled"
