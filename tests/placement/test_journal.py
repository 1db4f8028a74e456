"""Both journals keep the same promises."""

import pytest

from orderbridge.model.words import PlacementState
from orderbridge.placement import Happened, Journal, Record
from orderbridge.placement.journal import InFlight
from orderbridge.placement.states import Step, step
from tests.placement.kit import NOW, record, seen


def sending(known: Record) -> Step:
    return step(known, Happened.SENDING, at=NOW, facts={"attempt": 1}, placement={"attempts": 1})


async def test_a_record_comes_back_as_it_was_stored(journal: Journal) -> None:
    """By its id, its key and its client order id."""
    made = record(key="k1", reason="why", conflicts=("a",))

    assert await journal.create(made) == made
    assert await journal.get("p1") == made
    assert await journal.find(key="k1") == [made]
    assert await journal.find(client_order_id="ob-p1", gateway="bitso") == [made]
    assert await journal.find(states=[PlacementState.PLACED]) == []
    assert await journal.get("other") is None


async def test_a_change_is_stored_with_its_event(journal: Journal) -> None:
    """The current state and the chain of events agree, numbered without a gap."""
    await journal.create(record())

    after = await journal.change("p1", sending)
    odd = await journal.change("p1", lambda known: step(known, Happened.ABSENT, at=NOW))
    events = await journal.events("p1")

    assert after.state is PlacementState.SENDING
    assert odd == after
    assert [(event.seq, event.happened, event.after, event.anomaly) for event in events] == [
        (1, "stored", "prepared", False),
        (2, "sending", "sending", False),
        (3, "absent", "sending", True),
    ]
    assert events[1].facts == {"attempt": "1"}


async def test_prepared_and_sending_may_share_one_transaction(journal: Journal) -> None:
    """A new record may be stored together with what happened to it at once."""
    await journal.create(record(), sending(record()))

    assert [event.happened for event in await journal.events("p1")] == ["stored", "sending"]


async def test_a_held_key_gives_its_holder(journal: Journal) -> None:
    """The second of one key is not stored; the first is handed back. A freed key may be used again."""
    first = await journal.create(record(key="k1"))
    second = await journal.create(record("p2", key="k1"))
    await journal.change("p1", lambda known: step(known, Happened.DENIED, at=NOW))
    third = await journal.create(record("p3", key="k1"))

    assert second == first
    assert third.id == "p3"
    assert await journal.get("p2") is None


async def test_a_client_order_id_is_used_once(journal: Journal) -> None:
    """No second placement ever gets an id that one had before."""
    await journal.create(record())

    with pytest.raises(ValueError, match="used before"):
        await journal.create(
            record("p1").model_copy(
                update={"placement": record("p2").placement.model_copy(update={"client_order_id": "ob-p1"})}
            )
        )


async def test_twins_are_kept_apart_when_asked(journal: Journal) -> None:
    """Where ids are no help, a second placement of one fingerprint does not start while the first is in flight."""
    await journal.create(record(), sending(record()))
    await journal.create(record("p2"))

    with pytest.raises(InFlight) as caught:
        await journal.change("p2", sending, alone=True)
    after = await journal.change("p2", sending)

    assert caught.value.record.id == "p1"
    assert after.state is PlacementState.SENDING


async def test_what_is_seen_of_an_order_adds_up(journal: Journal) -> None:
    """A later look with less in it unsays nothing; the order is found by either of its ids."""
    await journal.observe([seen("partially_filled", filled_quantity="0.004")])
    (known,) = await journal.observe([seen("open", quantity=None)])

    assert known.status == "partially_filled"
    assert str(known.quantity) == "0.01"
    assert await journal.orders(client_order_id="ob-p1") == [known]
    assert await journal.orders(order_id="oid1", gateway="bitso") == [known]
    assert await journal.orders(order_id="oid1", gateway="other") == []


async def test_an_owner_lives_as_long_as_it_said(journal: Journal) -> None:
    """The last word counts, and nobody is taken for alive who never spoke."""
    await journal.keep_alive("me", until=5.0)
    await journal.keep_alive("me", until=7.0)

    assert await journal.alive_until("me") == 7.0
    assert await journal.alive_until("you") == 0.0
