"""The states of a placement, row by row, and what makes two requests the same."""

import json
from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.model.basics import PlacementState
from orderbridge.placement import Happened, Record
from orderbridge.placement.states import NEXT, step
from orderbridge.screening import SKEW, disagreements, fingerprint
from tests.placement.kit import NOW, limit_buy, record, seen

amounts = st.decimals(Decimal("1e-12"), Decimal(10) ** 12, places=12)
texts = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8)
ROWS = [
    (2, "prepared", "denied", "denied"),
    (3, "prepared", "sending", "sending"),
    (4, "sending", "nothing_left", "prepared"),
    (5, "sending", "refused", "rejected"),
    (6, "sending", "acknowledged", "placed"),
    (7, "sending", "unclear", "uncertain"),
    (8, "sending", "exists", "uncertain"),
    (8, "uncertain", "exists", "uncertain"),
    (9, "sending", "found", "placed"),
    (9, "uncertain", "found", "placed"),
    (9, "uncertain", "acknowledged", "placed"),
    (10, "sending", "conflict", "uncertain"),
    (10, "uncertain", "conflict", "uncertain"),
    (11, "uncertain", "absent", "not_placed"),
    (12, "uncertain", "gave_up", "uncertain"),
    (13, "uncertain", "decided_placed", "placed"),
    (13, "uncertain", "decided_not_placed", "not_placed"),
    (14, "not_placed", "found", "placed"),
    (14, "not_placed", "acknowledged", "placed"),
    # Beside the numbered rows: an order that shows up goes before whatever was concluded before.
    *(
        (14, before, told, "placed")
        for before in ("prepared", "denied", "rejected")
        for told in ("found", "acknowledged")
    ),
    *((10, state, "conflict", state) for state in ("prepared", "denied", "rejected", "not_placed", "placed")),
    (9, "placed", "acknowledged", "placed"),
    (9, "placed", "found", "placed"),
    (11, "uncertain", "resend", "prepared"),
    *((15, state, "left", state) for state in ("prepared", "sending", "uncertain", "placed")),
    *((15, state, "told", state) for state in ("uncertain", "placed")),
]


@pytest.mark.parametrize(("row", "before", "happened", "after"), ROWS)
def test_row(row: int, before: str, happened: str, after: str) -> None:
    """Each row of the table leads where it says, and is no anomaly."""
    done = step(record(state=before), Happened(happened), at=NOW)

    assert (done.record.state, done.event.after, done.event.anomaly) == (after, after, False)


def test_what_is_not_listed_changes_nothing_and_is_kept_as_an_anomaly() -> None:
    """Every other pair leaves the record as it was; `taken` changes hands and no state."""
    listed = {(before, happened) for _, before, happened, _ in ROWS}
    for before, happened in product(PlacementState, Happened):
        if (before, happened) not in listed:
            known = record(state=before)
            done = step(known, happened, at=NOW)
            assert done.record == known
            assert done.event.anomaly is not (happened is Happened.TAKEN and (before, happened) in NEXT)


def test_what_became_of_an_earlier_attempt_does_not_count_for_the_next() -> None:
    """A late failure of one attempt leaves the next alone; a late proof that there is an order counts."""
    sending = record(state="sending", attempt="second")

    late = step(sending, Happened.NOTHING_LEFT, at=NOW, of="first")
    own = step(sending, Happened.NOTHING_LEFT, at=NOW, of="second")
    proof = step(sending, Happened.ACKNOWLEDGED, at=NOW, of="first")

    assert (late.record, late.event.anomaly) == (sending, True)
    assert (own.record.state, proof.record.state) == ("prepared", "placed")


def test_none_of_several_orders_is_adopted() -> None:
    """Once two orders that fit were shown under one id, a person decides."""
    done = step(record(state="uncertain", several=True), Happened.FOUND, at=NOW)

    assert (done.record.state, done.event.anomaly) == ("uncertain", True)


def test_nothing_that_exists_is_called_absent() -> None:
    """A duplicate refusal, or a sighting that does not fit, bars the certificate and a further send."""
    exists = step(record(state="uncertain", exists=True), Happened.ABSENT, at=NOW)
    again = step(record(state="uncertain", exists=True), Happened.RESEND, at=NOW)
    conflicting = step(record(state="uncertain", conflicts=("a",)), Happened.ABSENT, at=NOW)
    sent = step(record(conflicts=("a",)), Happened.SENDING, at=NOW)

    assert all(done.event.anomaly for done in (exists, again, conflicting, sent))


@given(st.lists(st.sampled_from(Happened), max_size=12))
def test_no_way_leads_back_to_sending_from_where_an_order_may_be(happenings: list[Happened]) -> None:
    """Whatever happens but a resend by proof, nothing is sent again after an attempt that may have left."""
    known, may_have_left = record(), False
    for happened in (each for each in happenings if each is not Happened.RESEND):
        before, known = known.state, step(known, happened, at=NOW).record
        may_have_left = may_have_left or known.state in {PlacementState.UNCERTAIN, PlacementState.PLACED}
        if may_have_left:
            assert not (known.state is PlacementState.SENDING and before is not PlacementState.SENDING)


def test_the_same_order_has_the_same_fingerprint() -> None:
    """However its amounts are written, and whatever its id; another mode, gateway or price is another order."""
    prints = [
        fingerprint(limit_buy(), gateway="bitso", mode=None),
        fingerprint(limit_buy(quantity="0.0100", client_order_id="x"), gateway="bitso", mode=None),
        fingerprint(limit_buy(), gateway="bitso", mode="paper"),
        fingerprint(limit_buy(), gateway="bitso/mm", mode=None),
        fingerprint(limit_buy(price="100001"), gateway="bitso", mode=None),
    ]

    assert prints[0] == prints[1]
    assert len(set(prints)) == 4
    # Journals in use hold it.
    assert prints[0] == "fe90a77e496a923475b2fd5c11cfa827ff80d9ec255805c69ee6bbd5d13994a4"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(
    quantity=amounts,
    price=amounts,
    options=st.dictionaries(texts, json_values, max_size=3),
    expires_at=st.datetimes(NOW.replace(tzinfo=None), timezones=st.timezones()),
)
def test_a_record_that_is_read_again_has_the_same_fingerprint(expires_at: Any, **asked: Any) -> None:
    """It is made anew of what the journal holds, and stands there beside it: the two are one text."""
    known = record(state="uncertain", request=limit_buy(time_in_force="gtt", expires_at=expires_at, **asked))
    text = known.model_dump_json()

    assert json.loads(text)["fingerprint"] == known.fingerprint
    assert Record.model_validate_json(text).fingerprint == known.fingerprint


def test_an_order_is_held_against_what_was_asked_for() -> None:
    """Only what both sides say is compared."""
    assert disagreements(limit_buy(), seen(quantity=None, price=None), since=NOW) == []
    assert disagreements(limit_buy(), seen(side="sell"), since=NOW) == ["side: asked for buy, shown sell"]
    assert len(disagreements(limit_buy(), seen(quantity="1", price="2"), since=NOW)) == 2


IN_QUOTE = {"type": "market", "quantity": None, "price": None, "quote_quantity": "500"}


@pytest.mark.parametrize(
    ("asked", "shown", "fields"),
    [
        ({}, {"symbol": "ETH/MXN"}, ["symbol"]),
        ({}, {"type": "market"}, ["type"]),
        ({}, {"type": "unknown", "price": None}, []),
        ({"type": "stop_limit", "stop_price": "1"}, {"type": "stop_limit", "stop_price": "2"}, ["stop_price"]),
        ({}, {"type": "limit", "stop_price": "2", "quote_quantity": "7"}, []),
        (IN_QUOTE, {"type": "market", "quantity": "0.004", "quote_quantity": "500"}, []),
        (IN_QUOTE, {"type": "market", "quantity": "0.004", "quote_quantity": "501"}, ["quote_quantity"]),
        ({}, {"created_at": NOW - SKEW}, []),
        ({}, {"created_at": NOW - SKEW - timedelta(microseconds=1)}, ["created_at"]),
    ],
)
def test_in_what_an_order_is_not_what_was_asked_for(
    asked: dict[str, Any], shown: dict[str, Any], fields: list[str]
) -> None:
    """Field by field, and never in what one side does not say; one that was made before is another one."""
    found = disagreements(limit_buy(**asked), seen(**shown), since=NOW)

    assert [why.partition(":")[0] for why in found] == fields
