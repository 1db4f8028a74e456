"""What an order that is shown means for placements that were concluded otherwise."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, PlacementState
from orderbridge.errors import JournalError
from orderbridge.placement import Happened, MemoryJournal, SqliteJournal
from orderbridge.placement.states import Transition, step
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import NOW, Bridges, limit_buy, seen, until
from tests.placement.test_resolve_certificate import Venue


@pytest.fixture(params=["none", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournal | None:
    """Without a journal, and with one in a file."""
    return SqliteJournal(tmp_path / "orders.db") if request.param == "sqlite" else None


@pytest.mark.parametrize("state", ["denied", "rejected", "prepared", "not_placed"])
async def test_a_live_order_of_a_placement_that_has_none_is_a_ghost(bridges: Bridges, journal: Any, state: str) -> None:
    """Whatever was concluded before, an order that is shown under its id makes it placed, and somebody is told."""
    bridge = bridges(journal=journal)
    prepared = await bridge.prepare("bitso", limit_buy(), key="k1")

    def concluded(record: Any) -> Transition:
        placement = record.placement.model_copy(update={"state": PlacementState(state)})
        about = step(record, Happened.TAKEN, at=NOW)
        return Transition(record.model_copy(update={"placement": placement}), about.event)

    await bridge._placements.ledger.journal.change(prepared.placement_id, concluded)
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
    await bridge._placements.ledger.journal.change(first.placement_id, lambda now: step(now, Happened.DENIED, at=NOW))
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
        await bridge._placements.observations.observe(shown, source="test")

    assert bridges.kinds == ["double"]


class Troubled(MemoryJournal):
    """A journal that takes long, or whose writes fail, for as long as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.wait = 0.0
        self.fails = False

    async def find(self, **how: Any) -> Any:
        wait, found = self.wait, await super().find(**how)
        await asyncio.sleep(wait)
        return found

    async def change(self, *args: Any, **how: Any) -> Any:
        if self.fails:
            raise JournalError("busy")
        await asyncio.sleep(self.wait)
        return await super().change(*args, **how)


async def test_an_observe_that_was_cancelled_does_not_blind_the_next() -> None:
    """A stream's task that is cancelled while the journal is read leaves the order to be seen again."""
    journal = Troubled()
    bot = Bot(Venue(), journal=journal, settle_horizon=60.0)
    placement = await bot.lose(key="k1")
    order = seen(client_order_id=placement.client_order_id)

    journal.wait = 5.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bot.bridge.observe(order), 0.02)
    journal.wait = 0.0
    await bot.bridge.observe(order)
    after = await bot.bridge.placement(key="k1")
    await bot.bridge.aclose()

    assert after is not None
    assert after.state == "placed"


async def test_a_placement_that_begins_while_its_order_is_looked_for_is_found_next_time() -> None:
    """An id that was nobody's a moment ago is looked up again once a placement begins with it."""
    journal = Troubled()
    venue = Venue()
    bot = Bot(venue, journal=journal, settle_horizon=60.0)
    order = seen(client_order_id="mine1")
    await bot.bridge.recover()

    journal.wait = 0.05
    early = asyncio.ensure_future(bot.bridge.observe(order))
    await asyncio.sleep(0.01)
    journal.wait = 0.0
    await bot.lose(limit_buy(client_order_id="mine1"), key="k1")
    await early
    await bot.bridge.observe(order)
    after = await bot.bridge.placement(key="k1")
    await bot.bridge.aclose()

    assert after is not None
    assert after.state == "placed"


async def test_a_double_that_could_not_be_written_down_is_alarmed_when_it_comes_again() -> None:
    """Nobody was told of it the first time, so the second sighting is news, and the third is not."""
    journal = Troubled()
    bot = Bot(Accepting(), journal=journal)
    order = await bot.bridge.place("bitso", limit_buy())
    second = order.model_copy(update={"order_id": "second"})

    journal.fails = True
    with pytest.raises(JournalError):
        await bot.bridge.observe(second)
    journal.fails = False
    before = bot.kinds
    for _ in range(3):
        await bot.bridge.observe(second)
    await bot.bridge.aclose()

    assert (before, bot.kinds) == ([], ["double"])


@pytest.mark.parametrize("shown", [["oid1", "second"], ["second", "second"], ["second", "oid1", "second"]])
async def test_sightings_of_one_id_at_one_moment_lose_nothing_and_alarm_once(shown: list[str]) -> None:
    """Whatever the order in which their reads of the journal end, the second order is told, one time."""
    journal = Troubled()
    bot = Bot(Accepting(), journal=journal)
    order = await bot.bridge.place("bitso", limit_buy())

    journal.wait = 0.02
    sightings = [order.model_copy(update={"order_id": order_id}) for order_id in shown]
    await asyncio.gather(*map(bot.bridge.observe, sightings))
    await bot.bridge.aclose()

    assert bot.kinds == ["double"]


class Cancelling(Venue):
    """It cancels what it is told to."""

    async def cancel(self, ref: Any, *, timeout: float | None = None) -> Order:
        self.cancelled.append(ref)
        return seen("cancelled", order_id=ref.order_id, client_order_id=ref.client_order_id)


@pytest.mark.parametrize("policy", ["cancel", "alert"])
@pytest.mark.parametrize("who", ["open_orders", "observe", "get", "recovery"])
async def test_a_ghost_is_cancelled_whoever_saw_it(who: str, policy: str) -> None:
    """The policy is about the order, not about the call that happened to show it; without it nothing is cancelled."""
    venue, journal = Cancelling(), MemoryJournal()
    bot = Bot(venue, journal=journal, on_ghost=policy)
    placement = await bot.bridge.resolve(await bot.lose(), timeout=3)
    order = seen(client_order_id=placement.client_order_id)
    venue.open = [order]

    async def gives(ref: Any, *, timeout: float | None = None) -> Order:
        return order

    venue.get = gives  # type: ignore[method-assign]
    if who == "open_orders":
        await bot.bridge.open_orders()
    elif who == "observe":
        await bot.bridge.observe(order)
    elif who == "get":
        await bot.bridge["bitso"].get(order)
    else:
        await bot.bridge.aclose()
        bot = Bot(venue, journal=journal, on_ghost=policy)
        await bot.bridge.recover()

    async def is_settled() -> bool:
        states = [each.state.value for each in await bot.bridge.placements()]
        return states == ["placed"] and (policy != "cancel" or bool(venue.cancelled))

    await until(is_settled)
    (after,) = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert placement.state == "not_placed"
    assert bot.kinds == ["ghost"]
    assert after.state == "placed"
    assert [each.order_id for each in venue.cancelled] == ([order.order_id] if policy == "cancel" else [])


async def test_what_is_remembered_of_sightings_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream of other people's orders, and of our own, does not fill the memory; what is forgotten still counts."""
    monkeypatch.setattr("orderbridge.placement.ledger._MOST_KNOWN", 10)
    bot = Bot(Accepting())
    sightings = bot.bridge._placements.observations
    ours = [await bot.bridge.place("bitso", limit_buy()) for _ in range(30)]
    doubles = [order.model_copy(update={"order_id": f"second-{order.order_id}"}) for order in ours]
    foreign = [seen(order_id=f"x{n}", client_order_id=f"x{n}") for n in range(30)]

    for order in [*ours, *doubles, *foreign]:
        await bot.bridge.observe(order)
    await bot.bridge.aclose()

    assert bot.kinds == ["double"] * 30
    assert max(map(len, (sightings._settled, sightings._foreign, sightings._doubles))) <= 10
