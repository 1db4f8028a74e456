"""The life of an order, row by row of the table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import KnownBy, Order, OrderStatus
from orderbridge.model.lifecycle import TABLE, Change, Followed, Sign, _Phase, advance, unseen_note

DAY = datetime(2026, 1, 1, tzinfo=UTC)


def order(status: str = "open", at: int | None = 0, **more: Any) -> Order:
    """An order of 10 whose venue time, and the time we saw it, is so many minutes after midnight."""
    moment = None if at is None else DAY + timedelta(minutes=at)
    fields = {"quantity": "10", "updated_at": moment, "observed_at": moment, **more}
    return Order(venue="bitso", order_id="o1", symbol="BTC/MXN", side="buy", status=status, **fields)


def test_every_pair_of_phases_has_a_rule() -> None:
    """No observation is without a row, so that none is dropped by accident."""
    assert set(TABLE) == set(product(_Phase, _Phase))


def test_only_so_many_orders_are_followed() -> None:
    """The memory is bounded: of what began to be lacking longest ago, the wall clock alone tells for how long."""
    followed = Followed(lambda: 10.0, most=2)
    orders = [order().model_copy(update={"order_id": f"o{n}"}) for n in range(3)]
    for each in orders:
        followed.lived(each, began=9.0, ended=DAY)
    lacking = [each.model_copy(update={"evidence": (unseen_note(DAY),)}) for each in orders]

    assert [followed.lived(each, began=15.0, ended=DAY) for each in lacking] == [inf, 5.0, 5.0]


def test_an_observation_repeated_changes_nothing() -> None:
    """The same look twice is no news."""
    assert advance(order(), order()) == (order(), ())


@pytest.mark.parametrize(
    ("row", "before", "seen", "status", "changes"),
    [
        (15, order("accepted"), order("open", 1), "open", (Change.STATUS,)),
        (15, order("accepted", None), order("open", None), "open", (Change.STATUS,)),
        (16, order("open"), order("open", 1, filled_quantity="4"), "partially_filled", (Change.STATUS, Change.FILL)),
        (
            16,
            order("partially_filled", filled_quantity="4"),
            order("filled", 1, filled_quantity="10"),
            "filled",
            (Change.STATUS, Change.FILL, Change.ENDED),
        ),
        (17, order("open"), order("cancelled", 1), "cancelled", (Change.STATUS, Change.ENDED)),
        (17, order("open"), order("rejected", 1), "rejected", (Change.STATUS, Change.ENDED)),
        (18, order("open", 1), order("accepted", 0), "open", (Change.STALE,)),
        (18, order("open", 1), order("accepted", 2), "accepted", (Change.STATUS,)),
        (27, order("cancelled", 1), order("open", 0), "cancelled", (Change.STALE,)),
        (27, order("filled", 1), order("open", 1), "filled", (Change.STALE,)),
        (28, order("cancelled", 1), order("open", 2), "cancelled", (Change.ANOMALY, Change.LOOK_UP)),
        (29, order("cancelled", 1), order("cancelled", 1, filled_quantity="4"), "cancelled", (Change.FILL,)),
        (29, order("cancelled", 1), order("open", 0, filled_quantity="4"), "cancelled", (Change.FILL,)),
        (
            29,
            order("expired", 1, filled_quantity="4"),
            order("expired", 2, filled_quantity="10"),
            "filled",
            (Change.STATUS, Change.FILL),
        ),
        (30, order("failed", 1), order("accepted", 2), "accepted", (Change.STATUS, Change.REOPENED)),
        (31, order("unknown", 1), order("open", 1), "open", (Change.STATUS,)),
        (
            32,
            order("cancelled", 1, known_by="inferred"),
            order("open", 2),
            "open",
            (Change.STATUS, Change.REOPENED),
        ),
        (32, order("cancelled", 1, known_by="assumed"), order("filled", 1), "filled", (Change.STATUS, Change.ENDED)),
        (0, order("open", 1), order("unknown", 2, raw_status="odd"), "open", (Change.ANOMALY,)),
        (0, order("filled", 1), order("cancelled", 2), "filled", (Change.ANOMALY, Change.LOOK_UP)),
    ],
)
def test_row(row: int, before: Order, seen: Order, status: str, changes: tuple[Change, ...]) -> None:
    """Each row of the table leads where it says; row 0 stands for pairs that it does not list."""
    after, said = advance(before, seen)

    assert (after.status, said) == (status, changes)


@pytest.mark.parametrize(("sign", "flag"), [("cancel_sent", "cancel_requested"), ("replace_sent", "replace_requested")])
def test_row_19_and_20_a_request_stands_until_the_order_is_over(sign: str, flag: str) -> None:
    """A request sets its flag; neither an acknowledgement nor a further look at the working order clears it."""
    asked, changes = advance(order("open"), Sign(sign))
    acknowledged, nothing = advance(asked, Sign.ACKNOWLEDGED)
    seen, _ = advance(acknowledged, order("open", 1))

    assert changes == (Change.FLAG,)
    assert nothing == ()
    assert getattr(seen, flag)


def test_row_21_a_refusal_as_too_late_clears_the_flag_and_asks_for_a_look() -> None:
    """It is probably filled: the request is over, and the order is to be read."""
    after, changes = advance(order("open", cancel_requested=True), Sign.REFUSED_TOO_LATE)

    assert not after.cancel_requested
    assert after.may_be_live
    assert Change.LOOK_UP in changes


@pytest.mark.parametrize("sign", [Sign.REFUSED_UNKNOWN, Sign.NOT_SEEN])
def test_row_22_and_23_not_shown_is_no_end(sign: Sign) -> None:
    """An order that is not shown, or unknown to a cancel, stays as it was and is to be read."""
    before = order("open", cancel_requested=True)

    assert advance(before, sign) == (before, (Change.LOOK_UP,))


@pytest.mark.parametrize(
    ("quantity", "filled", "status"),
    [("10", "10", "filled"), ("10", "4", "cancelled"), (None, "4", "ended"), ("10", None, "ended")],
)
def test_row_24_and_25_gone_is_an_end_by_its_fills(quantity: str | None, filled: str | None, status: str) -> None:
    """Past the window and off the open list, the fills tell how it ended; without sizes it just ended."""
    after, changes = advance(order("open", quantity=quantity, filled_quantity=filled), Sign.GONE)

    assert (after.status, after.known_by) == (status, KnownBy.INFERRED)
    assert changes == (Change.STATUS, Change.ENDED)


def test_row_25_an_order_rebuilt_from_trades_gets_its_size_from_what_was_known() -> None:
    """Trades do not tell the ordered size; the journal does, and so whether it was filled whole."""
    rebuilt = order("ended", 1, quantity=None, filled_quantity="10", known_by="inferred")

    after, _ = advance(order("open"), rebuilt)

    assert (after.status, after.quantity) == ("filled", Decimal(10))


def test_row_25_what_was_sized_in_quote_and_rebuilt_was_filled_if_the_rest_buys_nothing() -> None:
    """A market order by its value is filled once what is left buys nothing more; with more left it is only over."""
    sized = order("accepted", quantity=None, quote_quantity="1000")
    fills = {"quantity": None, "average_price": "1200000", "known_by": "inferred"}
    whole = order("ended", 1, filled_quantity="0.00083333", filled_quote_quantity="999.996", **fills)
    part = order("ended", 1, filled_quantity="0.0005", filled_quote_quantity="600", **fills)

    assert [advance(sized, rebuilt)[0].status for rebuilt in (whole, part)] == ["filled", "ended"]


def test_row_26_a_replaced_order_is_over() -> None:
    """The venue names its successor: this one is cancelled, inferred."""
    after, changes = advance(order("open"), order("open", 1, replaced_by="o2"))

    assert (after.status, after.known_by, after.replaced_by) == ("cancelled", "inferred", "o2")
    assert Change.REPLACED in changes


def test_row_28_two_agreeing_newer_looks_reopen_an_order() -> None:
    """One contradiction is an anomaly; the same look repeated is still one; a second look is believed."""
    once, _ = advance(order("cancelled", 1), order("open", 2))
    again, _ = advance(once, order("open", 2))
    twice, changes = advance(again, order("open", 3))

    assert once.is_done
    assert again.is_done
    assert twice.status == "open"
    assert Change.REOPENED in changes


def test_row_28_takes_two_looks_each_time() -> None:
    """An order that was re-opened and ended again is re-opened by two further words, not by the memory of the first."""
    known, _ = advance(order("cancelled", 1), order("open", 2))
    known, _ = advance(known, order("open", 3))
    ended, _ = advance(known, order("cancelled", 4))
    by_one, _ = advance(ended, order("open", 5))
    by_two, _ = advance(by_one, order("open", 6))

    assert [each.status.value for each in (known, ended, by_one, by_two)] == ["open", "cancelled", "cancelled", "open"]
    assert sum(note.startswith("re-opened") for note in by_two.anomalies) == 2


def test_a_stranger_is_refused() -> None:
    """An observation of another order is a mistake of the caller's."""
    with pytest.raises(ValueError, match="different orders"):
        advance(order(), order().model_copy(update={"order_id": "o2"}))


amount = st.none() | st.integers(0, 10).map(Decimal)
orders = st.builds(
    order,
    status=st.sampled_from(OrderStatus),
    at=st.none() | st.integers(0, 4),
    known_by=st.sampled_from(KnownBy),
    quantity=st.none() | st.just(Decimal(10)),
    filled_quantity=amount,
    cancel_requested=st.booleans(),
    replaced_by=st.none() | st.just("o2"),
)


@given(orders, st.lists(orders | st.sampled_from(Sign), max_size=6))
def test_fills_and_notes_never_shrink(current: Order, seen: list[Order | Sign]) -> None:
    """Whatever comes in whatever order, nothing that was filled is forgotten, nor any evidence."""
    for observation in seen:
        after, _ = advance(current, observation)
        assert (after.filled_quantity or 0) >= (current.filled_quantity or 0)
        if isinstance(observation, Order):
            assert (after.filled_quantity or 0) >= (observation.filled_quantity or 0)
        assert set(after.evidence) >= set(current.evidence)
        assert set(after.anomalies) >= set(current.anomalies)
        current = after


@given(orders, orders)
def test_a_reported_end_stays_an_end(current: Order, seen: Order) -> None:
    """One observation never undoes an end that the venue reported, but that of a broker which may retry."""
    after, _ = advance(current, seen)

    if current.is_done and current.known_by is KnownBy.REPORTED and current.status is not OrderStatus.FAILED:
        assert after.is_done


@given(orders, orders)
def test_an_order_that_was_seen_to_end_is_not_said_to_work(current: Order, seen: Order) -> None:
    """A reported end is believed at once: after it nothing claims that the order may trade."""
    after, _ = advance(current, seen)

    if seen.is_done and seen.known_by is KnownBy.REPORTED:
        assert after.is_done
