"""Orders that worked when the last process ended: what a start makes of those that are not open any more."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of both processes is."""
    return tmp_path / "orders.db"


async def placed(bridges: Bridges, path: Path) -> Order:
    bridge = bridges(journal=SqliteJournal(path))
    order = await bridge.place("bitso", limit_buy(), read_back=True)
    await bridge.aclose()
    return order


async def cancelled_by_another(sim: Simulator, order: Order) -> None:
    async with sim.bitso.gateway() as gateway:
        await gateway.cancel(order)


async def restarted(bridges: Bridges, path: Path) -> Any:
    return bridges(journal=SqliteJournal(path))


async def test_an_order_that_was_cancelled_meanwhile_is_told_and_kept(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """While the venue still shows it, its own word is taken."""
    order = await placed(bridges, path)
    await cancelled_by_another(sim, order)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert [(ended.order_id, ended.status, ended.known_by) for ended in report.ended] == [
        (order.order_id, "cancelled", "reported")
    ]


async def test_an_order_that_the_venue_forgot_is_concluded_from_what_it_shows(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """A day later, without fills, and missing from the complete open list: cancelled, and said to be inferred."""
    order = await placed(bridges, path)
    await cancelled_by_another(sim, order)
    sim.clock.advance(25 * 3600)
    bridge = bridges(journal=SqliteJournal(path), clock=sim.clock.time)

    report = await bridge.recover()

    assert [(ended.status.is_end, ended.known_by) for ended in report.ended] == [(True, "inferred")]


async def test_an_order_that_is_still_open_is_left_alone(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """What the open list shows needs no look-up."""
    await placed(bridges, path)
    looked = sim.bitso.requests["GET /api/v3/orders"]
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert report.ended == ()
    assert sim.bitso.requests["GET /api/v3/orders"] == looked


async def test_an_order_that_vanished_within_its_window_is_not_concluded_from(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """The venue forgot at once, which proves nothing yet: the journal keeps it as it was."""
    order = await placed(bridges, path)
    sim.bitso.settings.visibility_window = 0
    await cancelled_by_another(sim, order)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert report.ended == ()
    assert [known.order_id for known in await bridge._placing.desk.journal.working("bitso")] == [order.order_id]
