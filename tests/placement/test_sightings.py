"""What an order that is shown means for placements that were concluded otherwise."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import PlacementState
from orderbridge.placement import Happened, SqliteJournal
from orderbridge.placement.states import Step, step
from orderbridge.simulator import Simulator
from tests.placement.kit import NOW, Bridges, limit_buy, seen


@pytest.fixture(params=["none", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournal | None:
    """Without a journal, and with one in a file."""
    return SqliteJournal(tmp_path / "orders.db") if request.param == "sqlite" else None


@pytest.mark.parametrize("state", ["denied", "rejected", "prepared", "not_placed"])
async def test_a_live_order_of_a_placement_that_has_none_is_a_ghost(bridges: Bridges, journal: Any, state: str) -> None:
    """Whatever was concluded before, an order that is shown under its id makes it placed, and somebody is told."""
    bridge = bridges(journal=journal)
    prepared = await bridge.prepare("bitso", limit_buy(), key="k1")

    def concluded(record: Any) -> Step:
        placement = record.placement.model_copy(update={"state": PlacementState(state)})
        about = step(record, Happened.TAKEN, at=NOW)
        return Step(record.model_copy(update={"placement": placement}), about.event)

    await bridge._placing.desk.journal.change(prepared.placement_id, concluded)
    shown = seen(client_order_id=prepared.client_order_id)

    await bridge.observe(shown)

    placement = await bridge.placement(key="k1")
    assert placement is not None
    assert (placement.state, placement.order) == ("placed", shown)
    assert bridges.kinds == ["ghost"]


async def test_a_ghost_does_not_take_its_key_from_the_placement_that_has_it(bridges: Bridges, journal: Any) -> None:
    """A key that was free again and given to another placement stays there."""
    bridge = bridges(journal=journal)
    first = await bridge.prepare("bitso", limit_buy(), key="k1")
    await bridge._placing.desk.journal.change(first.placement_id, lambda record: step(record, Happened.DENIED, at=NOW))
    second = await bridge.prepare("bitso", limit_buy(quantity="0.02"), key="k1")

    await bridge.observe(seen(client_order_id=first.client_order_id))

    holder = await bridge.placement(key="k1")
    assert holder is not None
    assert holder.placement_id == second.placement_id
    assert bridges.kinds == ["ghost"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_second_order_under_one_id_is_alarmed_in_any_order_of_arrival(
    sim: Simulator, bridges: Bridges, journal: Any, together: bool
) -> None:
    """Placed with one order, and shown another beside it: that is what this library exists to prevent."""
    bridge = bridges(journal=journal)
    order = await bridge.place("bitso", limit_buy())
    second = order.model_copy(update={"order_id": "second"})

    for shown in [[order, second]] if together else [[order], [second], [second]]:
        await bridge._placing.sightings.observe(shown, source="test")

    assert bridges.kinds == ["double"]
