"""What can go wrong between a send and its answer, case by case, on the simulated Bitso."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import PlacementState
from orderbridge.errors import JournalError
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy

PLACE = "POST /api/v3/orders"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "orders.db"


async def test_case_2_a_journal_that_cannot_be_written_stops_placing_only(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Nothing is sent that is not written down first; cancel and look-up go on."""
    journal = SqliteJournal(path)
    bridge = bridges(journal=journal)
    order = await bridge.place("bitso", limit_buy())
    await journal.engine.write(lambda db: db.execute("PRAGMA query_only = 1"))

    with pytest.raises(JournalError):
        await bridge.place("bitso", limit_buy())
    found = await bridge.lookup(order)
    cancelled = await bridge["bitso"].cancel(order)

    assert sim.bitso.requests[PLACE] == 1
    assert found[order].order is not None
    assert cancelled.status == "cancelled"


async def test_an_outcome_that_cannot_be_stored_is_alarmed_and_still_told(
    sim: Simulator, bridges: Bridges, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fills between the send and the answer: the caller gets its order, and a person is told."""
    journal = SqliteJournal(path)
    bridge = bridges(journal=journal)
    await bridge.place("bitso", limit_buy())

    async def full(*args: Any, **how: Any) -> Any:
        raise JournalError("database or disk is full")

    for write in ("change", "change_seeing"):
        monkeypatch.setattr(journal, write, full)
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert sim.bitso.accepted(order_id=order.order_id)
    assert bridges.kinds == ["journal"]


@pytest.mark.parametrize(
    "kind", ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said", "not_success"]
)
async def test_case_7_9_and_10_an_answer_that_is_none_is_followed_up(
    sim: Simulator, bridges: Bridges, path: Path, kind: str
) -> None:
    """However the answer was lost, the one order that the venue took is found, and none is added."""
    bridge = bridges(journal=SqliteJournal(path))
    sim.bitso.fault(kind, operation="place", nth=1)

    (placement,) = (await bridge.place_many("bitso", {"k1": limit_buy()})).values()
    after = await bridge.resolve(placement, timeout=60)

    assert after.state is PlacementState.PLACED
    assert after.order is not None
    assert [each.order_id for each in sim.bitso.accepted()] == [after.order.order_id]


async def test_case_13_a_duplicate_refusal_is_looked_up_and_compared(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Somebody used the id: the order is adopted if it is what was asked for."""
    sim.bitso.put(origin_id="mine-1", quantity="0.01", price="100000", status="open", side="buy", book="btc_mxn")
    bridge = bridges(journal=SqliteJournal(path))

    done = await bridge.place_many("bitso", {"k1": limit_buy(client_order_id="mine-1")})
    after = await bridge.resolve(done["k1"], timeout=60)

    assert (after.state, after.evidence) == (PlacementState.PLACED, ("look-up",))


async def test_case_22_a_nonce_refusal_is_sent_again_under_the_same_id(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """A refusal before admission is no outcome: the order is placed once."""
    bridge = bridges(journal=SqliteJournal(path))
    sim.bitso.fault("wrong_nonce", operation="place", nth=1)

    order = await bridge.place("bitso", limit_buy())

    assert [each.order_id for each in sim.bitso.accepted()] == [order.order_id]


async def test_case_23_a_throttled_order_is_uncertain_until_proven(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Whether a throttled write was looked at is not known: it is probed, never sent again."""
    bridge = bridges(journal=SqliteJournal(path), gateway={"api_key": "simulated-key"})
    sim.bitso.fault("throttle", operation="place", nth=1, retry_after=0.1)

    done = await bridge.place_many("bitso", {"k1": limit_buy()})

    assert done["k1"].state is PlacementState.UNCERTAIN
    assert sim.bitso.requests[PLACE] == 1
