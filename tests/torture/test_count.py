"""That what the torture counts is counted: each kind of harm, made on purpose, is seen."""

from typing import Any

import pytest

from orderbridge.model.basics import PlacementState
from orderbridge.placement import Event, Record
from orderbridge.placement.states import Happened, step, stored
from orderbridge.simulator import Simulator
from orderbridge.simulator.engine.order import SimOrder as Truth
from tests.placement.kit import NOW, record, seen
from tests.torture.count import Counts

FOR = {"origin_id": "ob-p1", "quantity": "0.01", "price": "100000"}


@pytest.fixture
def bitso() -> Any:
    """A venue that nobody asks anything of; only its truth is wanted."""
    return Simulator(seed=1).bitso


def at(state: str, *, order: Truth | None = None, key: str | None = "t-1", id: str = "p1") -> Record:
    """A placement as the journal could hold it."""
    known = record(id, key=key)
    shown = None if order is None else seen(order_id=order.order_id)
    told = {"state": PlacementState(state), "order": shown}
    return known.model_copy(update={"placement": known.placement.model_copy(update=told)})


def counted(records: list[Record], bitso: Any, *keys: str) -> Counts:
    counts = Counts()
    counts.compare(records, {"bitso": bitso.accepted()}, keys)
    return counts


def test_a_placement_with_its_one_order_is_clean(bitso: Any) -> None:
    """What is as it should be counts as nothing."""
    order = bitso.put(**FOR)

    counts = counted([at("placed", order=order)], bitso, "bitso t-1")

    assert counts.is_clean, str(counts)
    assert counts.verdicts == {"bitso placed": 1}


def test_two_orders_of_a_placement_are_a_double(bitso: Any) -> None:
    """A second live order under one id is counted, whatever the journal says."""
    order = bitso.put(**FOR)
    bitso.put(**FOR)

    counts = counted([at("placed", order=order)], bitso, "bitso t-1")

    assert len(counts.doubles) == 1
    assert not counts.is_clean


def test_two_placements_of_one_key_with_an_order_each_are_a_double(bitso: Any) -> None:
    """A key that was freed too early and used again is counted, though each id has but one order."""
    first, second = bitso.put(**FOR), bitso.put(**{**FOR, "origin_id": "ob-p2"})

    counts = counted([at("placed", order=first), at("placed", order=second, id="p2")], bitso, "bitso t-1")

    assert len(counts.doubles) == 1


def test_an_order_that_ended_without_a_fill_makes_no_double(bitso: Any) -> None:
    """A cancelled order beside a live one is no harm; a filled one is."""
    order = bitso.put(**FOR)
    bitso.put(**FOR, status="cancelled")
    harmless = counted([at("placed", order=order)], bitso, "bitso t-1")
    bitso.put(**FOR, status="completed")

    harmful = counted([at("placed", order=order)], bitso, "bitso t-1")

    assert harmless.is_clean, str(harmless)
    assert len(harmful.doubles) == 1


def test_an_order_of_no_placement_is_unknown(bitso: Any) -> None:
    """A live order whose id the journal never saw is counted."""
    bitso.put(**{**FOR, "origin_id": "ob-stray"})

    counts = counted([], bitso)

    assert len(counts.unknown_orders) == 1
    assert not counts.is_clean


@pytest.mark.parametrize("state", ["prepared", "denied", "rejected", "not_placed"])
def test_a_word_against_an_order_is_a_contradiction(bitso: Any, state: str) -> None:
    """Each state that says there is nothing is counted when there is something."""
    bitso.put(**FOR)

    counts = counted([at(state)], bitso, "bitso t-1")

    assert len(counts.contradictions) == 1
    assert not counts.is_clean


@pytest.mark.parametrize("state", ["uncertain", "sending"])
def test_a_question_is_no_contradiction_and_no_verdict(bitso: Any, state: str) -> None:
    """What is not known may be anything, but its key has not come to its end."""
    bitso.put(**FOR)

    counts = counted([at(state)], bitso, "bitso t-1")

    assert counts.contradictions == []
    assert counts.without_verdict == ["bitso t-1"]


def test_a_placed_one_that_the_venue_lacks_is_a_contradiction(bitso: Any) -> None:
    """Placed, as an order that the venue never took; and as another one than the live one."""
    order = bitso.put(**FOR)
    elsewhere = bitso.put(**{**FOR, "origin_id": "other"})

    without = counted([at("placed")], bitso, "bitso t-1")
    another = counted([at("placed", order=elsewhere)], bitso, "bitso t-1")

    assert len(without.contradictions) == len(another.contradictions) == 1
    assert order.order_id in another.contradictions[0]


def test_a_key_that_never_began_has_no_verdict(bitso: Any) -> None:
    """An order that was to be placed and of which nothing is known is counted."""
    assert counted([], bitso, "bitso t-9").without_verdict == ["bitso t-9"]


def test_an_illegal_chain_is_counted() -> None:
    """A step that the table does not have, a gap, or an end that the record does not share."""
    known = record()
    first = stored(known).model_copy(update={"seq": 1})
    sent = step(known, Happened.SENDING, at=NOW)
    leap = Event(placement_id="p1", seq=2, at=NOW, happened="absent", before="prepared", after="not_placed")
    chains: list[tuple[Record, list[Event], bool]] = [
        (sent.record, [first, sent.event.model_copy(update={"seq": 2})], True),
        (sent.record, [first, sent.event.model_copy(update={"seq": 3})], False),
        (known, [first, sent.event.model_copy(update={"seq": 2})], False),
        (at("not_placed"), [first, leap], False),
        (known, [], False),
    ]

    for given, events, is_legal in chains:
        counts = Counts()
        counts.check_chain(given, events)
        assert counts.is_clean is is_legal, (events, counts.illegal)


@pytest.mark.parametrize("field", ["crashes", "unmet", "illegal", "without_verdict"])
def test_whatever_is_wrong_fails_the_run(field: str) -> None:
    """A driver that crashed, or a point that was never died at, is no clean run either."""
    counts = Counts()
    getattr(counts, field).append("something")

    assert not counts.is_clean
