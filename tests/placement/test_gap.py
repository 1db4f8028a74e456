"""A journal that came back older than it was: no key of the time that was lost places a second order."""

import asyncio
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

from orderbridge import Order, OrderBridge, Placement
from orderbridge.errors import ConfigurationError, NotSent, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.placement.settle import settle
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy

PLACE = "POST /api/v3/orders"


async def lose(bridges: Bridges, path: Path, *, key: str = "k1", price: str = "100000") -> Order:
    """An order whose placement is in no journal any more: a backup of before it was put back."""
    before = bridges(journal=SqliteJournal(path))
    await before.place("bitso", limit_buy(price="110000"), key="k0")
    await before.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path))
    order = await bot.place("bitso", limit_buy(price=price), key=key)
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    return order


async def asked(bridge: OrderBridge, key: str = "k1") -> Placement:
    """The question that placing a key ends in."""
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key=key)
    placement = caught.value.placement
    assert isinstance(placement, Placement)
    return placement


async def decide(bridge: OrderBridge, placement: Placement, *, placed: bool, order_id: str | None = None) -> None:
    """A person looked at the venue."""
    desk = bridge._placing.desk
    record = await desk.journal.get(placement.placement_id)
    assert record is not None
    await settle(desk, record, placed=placed, who="me", why="I looked", order_id=order_id)


async def test_a_key_that_was_lost_with_its_order_open_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """Nothing is sent, it is alarmed and kept; decided as that order, the key gives it, and equal orders are free."""
    lost = await lose(bridges, tmp_path / "orders.db")
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    placement = await asked(bridge)
    again = await asked(bridge)
    other = await bridge.place("bitso", limit_buy(price="101000"), key="k2")
    sent_for_other = sim.bitso.requests[PLACE] - sent
    await decide(bridge, placement, placed=True, order_id=lost.order_id)
    found = await bridge.place("bitso", limit_buy(), key="k1")
    equal = await bridge.place("bitso", limit_buy(), key="k3")

    assert placement.placement_id == again.placement_id
    assert placement.state.value == "uncertain"
    assert sent_for_other == 1
    assert found.order_id == lost.order_id
    assert len({lost.order_id, other.order_id, equal.order_id}) == 3
    assert bridges.kinds[:2] == ["journal", "conflict"]
    assert lost.order_id in bridges.alarms[1].message


async def test_a_key_that_was_lost_with_its_order_filled_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """The order is over, and the venue shows no more of it than its trades: nothing is sent again."""
    lost = await lose(bridges, tmp_path / "orders.db")
    sim.bitso.market("btc_mxn").fill(lost.order_id)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    placement = await asked(bridge)

    assert placement.state.value == "uncertain"
    assert sim.bitso.requests[PLACE] == sent


async def test_a_person_may_say_that_it_was_another(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Decided as not placed, the key places its own order, once."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    await decide(bridge, await asked(bridge), placed=False)

    order = await bridge.place("bitso", limit_buy(), key="k1")
    again = await bridge.place("bitso", limit_buy(), key="k1")

    assert order.order_id == again.order_id != lost.order_id


async def test_what_the_venue_has_nothing_of_is_placed(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A key whose order is not live and never traded is as free as it looks, after one look; known keys stay held."""
    lost = await lose(bridges, tmp_path / "orders.db")
    async with sim.bitso.gateway() as gateway:
        await gateway.cancel(lost)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    first = await bridge.place("bitso", limit_buy(), key="k1")
    looked = sim.bitso.requests["GET /api/v3/user_trades"]
    second = await bridge.place("bitso", limit_buy(), key="k1")
    held = await bridge.place("bitso", limit_buy(price="110000"), key="k0")
    await bridge.place("bitso", limit_buy(), key="k4")

    assert first.order_id == second.order_id
    assert held.client_order_id != first.client_order_id
    assert sim.bitso.requests[PLACE] == sent + 2
    assert looked > 0
    assert sim.bitso.requests["GET /api/v3/user_trades"] == looked


async def test_no_key_is_placed_before_the_venue_was_looked_at(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """While what was accepted may not be shown yet, a key is told to wait; an order without a key never had one."""
    await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"), horizon=3600.0)
    sent = sim.bitso.requests[PLACE]

    with pytest.raises(NotSent, match=r"the journal lost what was written up to .* not before"):
        await bridge.place("bitso", limit_buy(), key="k1", send_within=0.3)
    with pytest.raises(NotSent, match="the journal lost"):
        await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=0.3)
    at_once = await asyncio.gather(
        *(bridge.place("bitso", limit_buy(), key=f"m{n}", send_within=0.1) for n in range(5)), return_exceptions=True
    )
    without_a_key = await bridge.place("bitso", limit_buy(price="102000"))

    assert {type(each) for each in at_once} == {NotSent}
    assert sim.bitso.requests[PLACE] == sent + 1
    assert without_a_key.order_id


async def test_a_venue_that_cannot_be_asked_proves_nothing(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """While its trades cannot be read no key is placed there, and once they can be it goes on by itself."""
    await lose(bridges, tmp_path / "orders.db")
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    await bridge.recover()
    sim.bitso.fault("error_5xx", operation="user_trades")

    with pytest.raises(NotSent, match="the venue is looked at first"):
        await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=0.5)
    sim.bitso.clear_faults()
    order = await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=60.0)

    assert order.order_id
    assert sim.bitso.requests[PLACE] == sent + 1


async def test_a_prepared_placement_that_was_sent_is_found(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """What the older journal calls prepared was sent in truth: nothing is sent, and its order is what it gives."""
    path = tmp_path / "orders.db"
    bot = bridges(journal=SqliteJournal(path))
    await bot.prepare("bitso", limit_buy(), key="k1")
    await bot.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path), on_stale="send")
    (sent,) = (await bot.recover()).sent
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    bridge = bridges(journal=SqliteJournal(path), on_stale="send")

    report = await bridge.recover()
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert sent.order is not None
    assert report.sent == () or report.sent[0].order == sent.order
    assert order.order_id == sent.order.order_id
    assert sim.bitso.requests[PLACE] == 1


async def test_a_whole_journal_asks_nothing_more(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Where nothing was lost no key costs a look at the venue."""
    for key in ("k1", "k2"):
        bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
        await bridge.place("bitso", limit_buy(), key=key)
        await bridge.aclose()

    assert sim.bitso.requests["GET /api/v3/user_trades"] == 0
    assert bridges.kinds == []


async def test_a_settled_question_is_no_other_placements(bridges: Bridges, tmp_path: Path) -> None:
    """A person's word does not give a lost order of another size to a key."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    placement = await asked(bridge)
    other = await bridge.place("bitso", limit_buy(price="103000"))

    with pytest.raises(ConfigurationError, match="another one"):
        await decide(bridge, placement, placed=True, order_id=other.order_id)
    await decide(bridge, placement, placed=True, order_id=lost.order_id)


BOT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.placement import SqliteJournal, writer
from tests.placement.kit import limit_buy

# What is killed has not brought its commits into the file yet.
writer.JOBS_BETWEEN_CHECKPOINTS, writer.IDLE = 1_000_000, 1_000.0

async def main():
    gateway = BitsoGateway(**{how!r})
    async with OrderBridge(gateway, journal=SqliteJournal({path!r})) as bridge:
        for number in range(1_000):
            await bridge.place("bitso", limit_buy(price=str(100_000 + 10 * number)), key=f"k{{number}}")
            print(number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_bot_whose_wal_is_lost_doubles_nothing(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Every key that it placed is placed again by the next one: none has a second order, and it goes on."""
    path = tmp_path / "orders.db"
    own = {"api_key": sim.bitso.api_key, "api_secret": sim.bitso.api_secret}
    how = {**own, "base_url": sim.bitso.base_url, "allow_plain_http": True, "limits": None}
    code = BOT.format(root=str(Path(__file__).parents[2]), how=how, path=str(path))
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert bot.stdout is not None
    for _ in range(12):
        last = int(await bot.stdout.readline())
    bot.kill()
    last = max([last, *map(int, (await bot.stdout.read()).split()[:-1])])
    await bot.wait()
    path.with_name("orders.db-wal").unlink()
    bridge = bridges(journal=SqliteJournal(path))

    outcomes = await asyncio.gather(
        *(bridge.place("bitso", limit_buy(price=str(100_000 + 10 * n)), key=f"k{n}") for n in range(last + 2)),
        return_exceptions=True,
    )
    listed = await bridge.open_orders()
    await bridge.place("bitso", limit_buy(price="150000"), key="next")

    assert {type(each) for each in outcomes} <= {Order, OutcomeUnknown}
    assert OutcomeUnknown in {type(each) for each in outcomes}
    assert max(Counter(order.price for order in listed).values()) == 1
    assert len(listed) in {last + 1, last + 2}  # the last was being sent
