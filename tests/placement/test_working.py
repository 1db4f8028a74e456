"""Orders that worked when the last process ended: what a start makes of those that are not open any more."""

from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, OrderRequest
from orderbridge.http.policy import Retries
from orderbridge.placement import MemoryJournal, SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
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
    """
    A day later, without fills, and missing from the complete open list: cancelled, and said to be inferred, once it has
    been lacking for the settle time; a process that looks only once leaves it to the next one.
    """
    order = await placed(bridges, path)
    await cancelled_by_another(sim, order)
    sim.clock.advance(25 * 3600)
    reports = []
    for _ in range(2):
        bridge = bridges(journal=SqliteJournal(path), clock=sim.clock.time)
        reports.append(await bridge.recover())
        await bridge.aclose()
        sim.clock.advance(120)

    assert reports[0].ended == ()
    assert [(ended.status, ended.filled_quantity, ended.known_by) for ended in reports[1].ended] == [
        ("cancelled", 0, "inferred")
    ]


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


MUCH_LATER = 4_000_000_000.0


@pytest.mark.parametrize("kind", ["error_5xx", "drop", "html"])
async def test_a_look_up_that_failed_is_no_end_of_an_order(sim: Simulator, path: Path, kind: str) -> None:
    """An order that filled while nobody looked is never told as cancelled because Bitcain was down at the start."""
    bridges = Bridges(sim, venue="bitcain")
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.01", price="20000")
    first = bridges(journal=SqliteJournal(path))
    order = await first.place("bitcain", request)
    await first.aclose()
    sim.clock.advance(25 * 3600)
    sim.bitcain.market("BTC/USDT").fill(order.order_id)
    sim.bitcain.fault(kind, operation="lookup", times=100)
    again = Retries(tries=1)
    bridge = bridges(journal=SqliteJournal(path), clock=sim.clock.time, gateway={"retries": again})

    report = await bridge.recover()
    kept = await bridge._placing.desk.journal.working("bitcain")
    sim.bitcain.clear_faults()
    later = await bridge.recover()
    await bridge.aclose()

    assert report.ended == ()
    assert [each.order_id for each in kept] == [order.order_id]
    assert [(each.order_id, each.status) for each in later.ended] == [(order.order_id, "filled")]


@pytest.mark.parametrize("fills", [True, False])
@pytest.mark.parametrize("answer", ["failed", "timed_out", "cannot_ask", "partly_searched", "not_seen"])
async def test_only_an_answer_that_shows_nothing_ends_an_order(answer: str, fills: bool) -> None:
    """A search in part counts where the trades can be read as well; a failure counts nowhere."""
    journal = MemoryJournal()
    first = Bot(Accepting(fills=fills), journal=journal)
    order = await first.bridge.place("bitso", limit_buy())
    await first.bridge.aclose()
    venue = Accepting(fills=fills)
    venue.answer = answer
    now = [MUCH_LATER]
    bot = Bot(venue, journal=journal, clock=lambda: now[0])

    at_first = await bot.bridge.recover()
    now[0] += 120
    report = await bot.bridge.recover()
    await bot.bridge.aclose()

    assert at_first.ended == ()
    ends = answer == "not_seen" or (answer == "partly_searched" and fills)
    assert [each.order_id for each in report.ended] == ([order.order_id] if ends else [])
