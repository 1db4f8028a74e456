"""What a new process makes of what the last one left behind, on the simulated Bitso."""

import asyncio
import time
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderBridge, PlacementState
from orderbridge.client_ids import mint
from orderbridge.errors import JournalError, NotSent
from orderbridge.http.retry import Retries
from orderbridge.placement import Happened, Record, SqliteJournal
from orderbridge.placement.states import step
from orderbridge.simulator import Simulator
from tests.placement.kit import NOW, Bridges, limit_buy, until

PLACE = "POST /api/v3/orders"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of both processes is."""
    return tmp_path / "orders.db"


async def left_behind(
    bridges: Bridges, path: Path, *, sending: bool, key: str | None = "k1", **settings: Any
) -> Record:
    """A placement of a process that is gone: prepared, or with `sending` stored and perhaps sent."""
    bridge = bridges(journal=SqliteJournal(path), **settings)
    placement = await bridge.prepare("bitso", limit_buy(), key=key)
    journal = bridge._placements.ledger.journal
    past = bridge._placements.ledger.now() - timedelta(seconds=60)
    gone = {"owner": "elsewhere:1:gone", "sent_at": past, "not_after": past}

    def leave(record: Record) -> Any:
        if not sending:
            return step(record, Happened.TAKEN, at=NOW, owner="elsewhere:1:gone")
        return step(record, Happened.SENDING, at=NOW, **gone)

    record = await journal.change(placement.placement_id, leave)
    await bridge.aclose()
    return record


async def restarted(bridges: Bridges, path: Path, **settings: Any) -> OrderBridge:
    return bridges(journal=SqliteJournal(path), **settings)


async def test_case_3_what_was_prepared_and_never_sent_is_denied(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """By default a stale intention is dropped, which frees its key."""
    await left_behind(bridges, path, sending=False)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert [placement.state for placement in report.denied] == [PlacementState.DENIED]
    assert sim.bitso.requests[PLACE] == 0


async def test_case_3_or_sent_if_the_policy_says_so(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """With `on_stale="send"` a young one is sent under the id that it was prepared with."""
    record = await left_behind(bridges, path, sending=False)
    bridge = await restarted(bridges, path, on_stale="send")

    report = await bridge.recover()

    assert [placement.state for placement in report.sent] == [PlacementState.PLACED]
    assert [each.client_order_id for each in sim.bitso.accepted()] == [record.placement.client_order_id]


@pytest.mark.parametrize("why", ["no key", "old", "of a clock that was ahead", "the venue does not tell of it"])
async def test_case_3_and_not_without_every_reason_to(sim: Simulator, bridges: Bridges, path: Path, why: str) -> None:
    """Where its caller may have asked anew, or a read about it fails, it is denied instead of sent."""
    shift = {"old": -61.0, "of a clock that was ahead": 3600.0}.get(why, 0.0)
    key = None if why == "no key" else "k1"
    await left_behind(bridges, path, sending=False, key=key, clock=lambda: time.time() + shift)
    if why == "the venue does not tell of it":
        sim.bitso.fault("error_5xx", operation="order_trades", probability=1.0)
    bridge = await restarted(bridges, path, on_stale="send", gateway={"retries": Retries(tries=1)})

    report = await bridge.recover()

    assert [placement.state for placement in report.denied] == [PlacementState.DENIED]
    assert report.sent == ()
    assert sim.bitso.requests[PLACE] == 0


async def test_what_was_taken_over_and_not_settled_is_settled_by_the_next_run(bridges: Bridges, path: Path) -> None:
    """The journal fails between the taking over and the verdict: it is no placement of this process's own."""
    await left_behind(bridges, path, sending=False)

    class FailsOnce(SqliteJournal):
        changes = 0

        async def change(self, *args: Any, **how: Any) -> Record:
            self.changes += 1
            if self.changes == 2:
                raise JournalError("the disk is full")
            return await super().change(*args, **how)

    bridge = bridges(journal=FailsOnce(path))
    with pytest.raises(JournalError, match="the disk is full"):
        await bridge.recover()

    report = await bridge.recover()

    assert [placement.state for placement in report.denied] == [PlacementState.DENIED]


async def test_case_4_killed_before_any_byte_is_proven_absent(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """`sending` on disk looks like sent: it is probed, and certified absent; nothing is sent again."""
    await left_behind(bridges, path, sending=True)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()
    after = await bridge.resolve(report.uncertain[0], timeout=60)

    assert after.state is PlacementState.NOT_PLACED
    assert sim.bitso.requests[PLACE] == 0


async def test_case_11_killed_after_the_reply_is_found(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """The order that nobody wrote down is found by its client id and adopted, with its key."""
    record = await left_behind(bridges, path, sending=True)
    put = sim.bitso.put(origin_id=record.placement.client_order_id, quantity="0.01", price="100000")
    bridge = await restarted(bridges, path)

    report = await bridge.recover()
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert [placement.state for placement in report.settled] == [PlacementState.PLACED]
    assert order.order_id == put.order_id
    assert sim.bitso.requests[PLACE] == 0


async def test_case_8_and_19_an_order_that_was_filled_and_forgotten_is_found_by_its_trades(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Past the hour the venue shows no order; its trades under the origin id tell that it was filled."""
    record = await left_behind(bridges, path, sending=True)
    sim.bitso.put(
        origin_id=record.placement.client_order_id,
        quantity="0.01",
        price="100000",
        status="completed",
        trades=True,
        visible=False,
    )
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    (placement,) = report.settled
    assert placement.order is not None
    assert placement.order.is_done
    assert placement.order.filled_quantity == Decimal("0.01")


async def test_case_12_killed_after_it_was_stored(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """The caller that repeats its key gets the placement that was stored."""
    first = bridges(journal=SqliteJournal(path))
    order = await first.place("bitso", limit_buy(), key="k1")
    await first.aclose()

    again = await (await restarted(bridges, path)).place("bitso", limit_buy(), key="k1")

    assert again.key == order.key
    assert sim.bitso.requests[PLACE] == 1


async def test_case_24_two_processes_with_one_key_place_once(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """Two bridges on one file, at once: both get the one order."""
    both = [bridges(journal=SqliteJournal(path)) for _ in range(2)]

    orders = await asyncio.gather(*(bridge.place("bitso", limit_buy(), key="k1") for bridge in both))

    assert orders[0].key == orders[1].key
    assert sim.bitso.requests[PLACE] == 1


async def test_case_25_a_frozen_sender_is_not_certified_before_its_deadline(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """While bytes of the frozen process could still leave, no verdict is given by another one."""
    record = await left_behind(bridges, path, sending=True)
    journal = SqliteJournal(path)
    soon = record.sent_at + timedelta(seconds=3600) if record.sent_at else NOW

    def frozen(known: Record) -> Any:
        return step(known, Happened.TAKEN, at=NOW, not_after=soon)

    await journal.change(record.id, frozen)
    await journal.aclose()
    bridge = await restarted(bridges, path)

    report = await bridge.recover()
    after = await bridge.resolve(report.uncertain[0], timeout=0.5)

    assert after.state is PlacementState.UNCERTAIN


async def test_a_living_owner_keeps_its_placements(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """What another process that lives is sending is not taken from it."""
    first = bridges(journal=SqliteJournal(path))
    placement = await first.prepare("bitso", limit_buy())
    second = await restarted(bridges, path)

    report = await second.recover()
    order = await first.place("bitso", placement)

    assert report.denied == ()
    assert order.client_order_id == placement.client_order_id


async def test_what_could_not_be_taken_over_at_start_is_followed_once_its_lease_ends(
    sim: Simulator, bridges: Bridges, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart within the lease of a process that cannot be told to be gone leaves nothing unfollowed."""
    for module in ("placements", "resolve"):
        monkeypatch.setattr(f"orderbridge.placement.{module}.LEASE_SECONDS", 0.05)
    monkeypatch.setattr("orderbridge.placement.ledger._LONGER", 0.1)
    sending = await left_behind(bridges, path, sending=True, key="k1")
    prepared = await left_behind(bridges, path, sending=False, key="k2")
    journal = SqliteJournal(path)
    await journal.keep_alive("elsewhere:1:gone", 0.4)
    await journal.aclose()
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    async def are_over() -> bool:
        return all(each.state.value in {"not_placed", "denied"} for each in await bridge.placements())

    await until(are_over)

    assert {placement.key for placement in report.held_elsewhere} == {"k1", "k2"}
    states = {each.key: each.state.value for each in await bridge.placements()}
    assert states == {"k1": "not_placed", "k2": "denied"}
    assert (sending.state, prepared.state) == ("sending", "prepared")


async def test_what_a_process_leaves_behind_is_taken_over_by_one_that_lives(
    sim: Simulator, bridges: Bridges, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two bots on one file: when one dies, the other settles what it had begun, without a restart."""
    monkeypatch.setattr("orderbridge.placement.placements.LEASE_SECONDS", 0.05)
    living = await restarted(bridges, path)
    await living.recover()
    await left_behind(bridges, path, sending=True)

    async def is_over() -> bool:
        return [each.state for each in await living.placements()] == [PlacementState.NOT_PLACED]

    await until(is_over)

    (placement,) = await living.placements()
    assert placement.state is PlacementState.NOT_PLACED


async def test_case_34_what_a_restored_journal_calls_prepared_is_not_sent_again(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """An order of ours that the journal does not know means that it is older than what happened."""
    await left_behind(bridges, path, sending=False)
    sim.bitso.put(origin_id=mint(1_700_000_000), quantity="0.01", status="open")
    bridge = await restarted(bridges, path, on_stale="send")

    report = await bridge.recover()

    assert (len(report.orphans), report.sent) == (1, ())
    assert [placement.state.value for placement in report.denied] == ["denied"]
    assert sim.bitso.requests[PLACE] == 0


async def test_case_34_a_prepared_placement_that_was_sent_after_the_backup_is_found(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Before a stale placement is sent, the venue is asked whether it was."""
    record = await left_behind(bridges, path, sending=False)
    sim.bitso.put(origin_id=record.placement.client_order_id, quantity="0.01", price="100000", status="completed")
    bridge = await restarted(bridges, path, on_stale="send")

    await bridge.recover()

    (placement,) = await bridge.placements()
    assert placement.state is PlacementState.PLACED
    assert sim.bitso.requests[PLACE] == 0


async def test_case_34_own_orders_are_adopted_and_foreign_ones_left_alone(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """A journal restored from a backup takes up the orders with ids of ours, and no others."""
    ours = mint(sim.clock.time())
    sim.bitso.put(origin_id=ours, status="open")
    sim.bitso.put(origin_id="theirs", status="open")
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert [order.client_order_id for order in report.orphans] == [ours]
    assert [order.client_order_id for order in report.foreign] == ["theirs"]
    assert sim.bitso.requests["DELETE /api/v3/orders"] == 0


async def test_placing_waits_for_the_recovery_of_its_gateway(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """While the venue cannot be asked what was under way, nothing new is sent; then it goes on by itself."""
    rule = sim.bitso.fault("error_5xx", operation="open_orders")
    bridge = await restarted(bridges, path, gateway={"markets": None})

    async with bridge:
        with pytest.raises(NotSent, match="not settled"):
            await bridge.place("bitso", limit_buy(), send_within=0.1)
        report_before = sim.bitso.requests[PLACE]
        rule.times = 0
        report = await bridge.recover()
        await bridge.place("bitso", limit_buy())

    assert report_before == 0
    assert report.unreachable == {}


async def test_a_gateway_that_only_reads_needs_no_recovery(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """Where nothing can be placed nothing was, so its open orders are not asked for."""
    gateway = sim.bitso.gateway()
    gateway.capabilities = gateway.capabilities.model_copy(update={"order_types": frozenset()})  # type: ignore[misc]

    async with OrderBridge(gateway, journal=SqliteJournal(path)) as bridge:
        report = await bridge.recover()

    assert report.foreign == ()
    assert sim.bitso.requests["GET /api/v3/open_orders"] == 0


async def test_a_verdict_is_watched_over_a_restart_and_no_longer_than_said(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """A sighting after a restart is still a ghost; once the watch is over the placement is left alone."""
    await left_behind(bridges, path, sending=True)
    first = await restarted(bridges, path)
    absent = await first.resolve((await first.recover()).uncertain[0], timeout=60)
    await first.aclose()
    sim.bitso.put(origin_id=absent.client_order_id, quantity="0.01", price="100000", status="open")
    second = await restarted(bridges, path)

    await second.recover()
    after = await second.placement(key="k1")

    assert absent.state is PlacementState.NOT_PLACED
    assert after is not None
    assert after.state is PlacementState.PLACED
    assert bridges.kinds == ["ghost"]
