"""Whose order is whose: what the journal keeps of callers that were left, over exchanges, restarts and processes."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.errors import JournalError
from orderbridge.placement import Happened, MemoryJournal, SqliteJournal
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import LIMIT, LONG, PLACE, SOON, appear, patient, unknown_create
from tests.placement.kit import until

pytestmark = pytest.mark.ccxt


def bridge_on(sim: Simulator, folder: Path) -> OrderBridge:
    """A bridge with the journal of that folder, which keeps what is not known so for long."""
    return bridge_over(sim, horizon=LONG, journal=SqliteJournal(folder / "orders.db"))


async def lost_at_a_restart(sim: Simulator, exchange_of: Any, folder: Path) -> tuple[Any, str]:
    """An order that its process left unknown when it ended, and its id, as the venue shows it after that."""
    first = exchange_of(bridge_on(sim, folder), resolve_for=SOON)
    unknown = await unknown_create(sim, first)
    await first._bridge.aclose()
    return unknown, appear(sim, unknown)


async def settled(bridge: OrderBridge) -> Any:
    """The one placement of a bridge, once it is placed."""
    while True:
        (placement,) = await bridge.placements()
        if placement.state == "placed":
            return placement
        await asyncio.sleep(0.02)


async def test_what_recovery_settled_answers_the_repeated_create(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """That the restart found the lost order before the bot asked changes nothing: it is answered by it, once."""
    _, oid = await lost_at_a_restart(sim, exchange_of, tmp_path)

    async with bridge_on(sim, tmp_path) as bridge:
        await settled(bridge)
        second = exchange_of(bridge, resolve_for=5)
        answered, new = await second.create_order(*LIMIT), await second.create_order(*LIMIT)

    assert answered["id"] == oid
    assert new["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


async def test_a_create_that_waits_for_the_markets_was_begun_before_what_a_list_shows_meanwhile(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """A restarted bot repeats its lost order while its poller is shown that: it is answered by it."""
    _, oid = await lost_at_a_restart(sim, exchange_of, tmp_path)
    second = exchange_of(bridge_on(sim, tmp_path), resolve_for=5)
    await second.fetch_open_orders("ETH/MXN")
    sim.bitso.fault("delay", operation="fees", nth=1, seconds=1.0)
    loaded = sim.bitso.requests["GET /api/v3/fees"]
    repeat = asyncio.ensure_future(second.create_order(*LIMIT))

    async def loads() -> bool:
        return sim.bitso.requests["GET /api/v3/fees"] > loaded

    await until(loads)
    shown = await second.fetch_open_orders("BTC/MXN")
    assert not repeat.done()
    order = await repeat

    assert [each["id"] for each in shown] == [order["id"]] == [oid]
    assert sim.bitso.requests[PLACE] == 1


async def test_a_caller_that_goes_while_it_is_noted_as_told_counts_as_left(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """What is being written is written all the same: that it was left comes after it, and the restarted bot gets it."""
    first = exchange_of(bridge_on(sim, tmp_path), resolve_for=SOON)
    oid = appear(sim, await unknown_create(sim, first))
    await settled(first._bridge)
    other = sqlite3.connect(tmp_path / "orders.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # nobody else writes meanwhile
    task = asyncio.ensure_future(first.create_order(*LIMIT))

    async def is_being_told() -> bool:
        return not first._creates._open

    await until(is_being_told)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    other.close()
    await first._bridge.aclose()
    order = await exchange_of(bridge_on(sim, tmp_path), resolve_for=5).create_order(*LIMIT)

    assert order["id"] == oid
    assert sim.bitso.requests[PLACE] == 1


async def test_what_the_bot_was_given_is_not_given_again(sim: Simulator, exchange_of: Any, tmp_path: Path) -> None:
    """An order that was lost, and answered a create in the end, is none that a restarted bot would repeat."""
    first = exchange_of(bridge_on(sim, tmp_path), resolve_for=5)
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    given = await first.create_order(*LIMIT)
    (placement,) = await first._bridge.placements()
    await first._bridge.aclose()

    second = exchange_of(bridge_on(sim, tmp_path), resolve_for=5)
    new = await second.create_order(*LIMIT)

    assert new["id"] != given["id"]
    assert {"left", "told"} <= set(placement.evidence)
    assert sim.bitso.requests[PLACE] == 2


async def test_what_the_restarted_bot_asked_for_is_not_given_again(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """A fetch of the order of its earlier life, as the first call, is enough: the create after that is a new order."""
    unknown, oid = await lost_at_a_restart(sim, exchange_of, tmp_path)

    second = exchange_of(bridge_on(sim, tmp_path), resolve_for=5)
    shown = await second.fetch_order("", None, {"clientOrderId": unknown.client_order_id})
    new = await second.create_order(*LIMIT)

    assert shown["id"] == oid
    assert new["id"] != oid


async def test_a_create_that_was_cancelled_before_the_end_is_remembered(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """Its reply is stored while the bridge closes, and nobody saw it: the next life of the bot is answered by it."""
    first = exchange_of(bridge_on(sim, tmp_path))
    await first._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.5)
    task = asyncio.ensure_future(first.create_order(*LIMIT))
    while not sim.bitso.accepted():  # noqa: ASYNC110 - the simulator has no event for it
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await first._bridge.aclose()

    order = await exchange_of(bridge_on(sim, tmp_path)).create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert sim.bitso.requests[PLACE] == 1


async def test_an_answered_create_leaves_nothing_to_the_next_process(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """Where nothing went wrong the same order in the next life of the bot is a new one."""
    first = exchange_of(bridge_on(sim, tmp_path))
    order = await first.create_order(*LIMIT)
    await first._bridge.aclose()

    new = await exchange_of(bridge_on(sim, tmp_path)).create_order(*LIMIT)

    assert new["id"] != order["id"]


async def test_what_the_restart_sent_answers_the_bot(sim: Simulator, exchange_of: Any, tmp_path: Path) -> None:
    """Under `on_stale="send"` a create that failed unsent is sent by the next process, and is not doubled there."""
    import ccxt

    def bridge() -> OrderBridge:
        return bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db"), on_stale="send")

    first = exchange_of(bridge())
    await first._gateway.markets()
    sim.bitso.fault("wrong_nonce", operation="place")
    with pytest.raises(ccxt.InvalidNonce):
        await first.create_order(*LIMIT)
    await first._bridge.aclose()
    sim.bitso.clear_faults()

    second = exchange_of(bridge(), resolve_for=5)
    order, new = await second.create_order(*LIMIT), await second.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"], new["id"]]
    assert new["id"] != order["id"]


async def test_what_was_not_sent_and_then_was_is_told(sim: Simulator, exchange_of: Any, tmp_path: Path) -> None:
    """A create tried again until it went out answers nobody after a restart."""
    import ccxt

    first = exchange_of(bridge_on(sim, tmp_path))
    await first._gateway.markets()
    sim.bitso.fault("wrong_nonce", operation="place")
    with pytest.raises(ccxt.InvalidNonce):
        await first.create_order(*LIMIT)
    sim.bitso.clear_faults()
    order = await first.create_order(*LIMIT)
    await first._bridge.aclose()

    new = await exchange_of(bridge_on(sim, tmp_path)).create_order(*LIMIT)

    assert new["id"] != order["id"]


async def test_two_faces_of_one_bridge_remember_together(sim: Simulator, exchange_of: Any) -> None:
    """What the one left open the other does not double, whichever was used first."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    bridge = bridge_over(sim, horizon=LONG)
    first, second = exchange_of(bridge, resolve_for=SOON), exchange_of(bridge, resolve_for=SOON)
    await second.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    unknown = await unknown_create(sim, first)

    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await second.create_order(*LIMIT)
    oid = appear(sim, unknown)
    patient(second)

    assert (await second.create_order(*LIMIT))["id"] == oid
    assert sim.bitso.requests[PLACE] == 2


async def test_a_face_made_after_the_order_was_found_is_answered_by_it(sim: Simulator, exchange_of: Any) -> None:
    """A bot that makes its exchange anew over the same bridge, without a journal, doubles nothing either."""
    bridge = bridge_over(sim, horizon=LONG)
    unknown = await unknown_create(sim, exchange_of(bridge, resolve_for=SOON))
    oid = appear(sim, unknown)
    await settled(bridge)

    assert (await exchange_of(bridge, resolve_for=5).create_order(*LIMIT))["id"] == oid
    assert sim.bitso.requests[PLACE] == 1


@pytest.mark.parametrize("is_settled", [False, True])
async def test_the_order_of_a_living_process_is_its_own(
    sim: Simulator, exchange_of: Any, tmp_path: Path, is_settled: bool
) -> None:
    """A bot beside another, over one journal, is neither held up nor answered by the other's unknown order."""
    first = exchange_of(bridge_on(sim, tmp_path), resolve_for=SOON)
    unknown = await unknown_create(sim, first)
    if is_settled:
        appear(sim, unknown)
        await settled(first._bridge)

    second = exchange_of(bridge_on(sim, tmp_path), resolve_for=SOON)
    theirs = await second.create_order(*LIMIT)
    oid = (await settled_first(first, unknown)).order_id if is_settled else appear(sim, unknown)
    patient(first)
    mine = await first.create_order(*LIMIT)

    assert theirs["id"] != oid
    assert mine["id"] == oid
    assert sim.bitso.requests[PLACE] == 2


async def settled_first(exchange: Any, unknown: Any) -> Any:
    """The order of a placement that is settled."""
    placements = await exchange._bridge.placements(state="placed")
    return next(each.order for each in placements if each.placement_id == unknown.placement.placement_id)


async def test_an_order_that_is_placed_and_not_shown_yet_stays_open(sim: Simulator, exchange_of: Any) -> None:
    """While the journal is busy a settled order may be without its dict: nothing is sent, and it answers later."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    await settled(exchange._bridge)
    resolve = exchange._bridge.resolve

    async def without_order(placement: Any, **how: Any) -> Any:
        return (await resolve(placement, **how)).model_copy(update={"order": None})

    exchange._bridge.resolve = without_order
    for _ in range(2):
        with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
            await exchange.create_order(*LIMIT)
    exchange._bridge.resolve = resolve

    assert (await exchange.create_order(*LIMIT))["id"] == oid
    assert sim.bitso.requests[PLACE] == 1


async def test_what_a_person_took_as_placed_is_told_once(sim: Simulator, exchange_of: Any) -> None:
    """No order will be known of it: one create says so and sends nothing, and the next one is sent."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown
    from orderbridge.placement.decide import settle

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    placing = exchange._bridge._placements
    await settle(placing.ledger, await placing.record_of(unknown.placement), placed=True, who="me", why="seen")

    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await exchange.create_order(*LIMIT)
    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_mark_that_cannot_be_stored_keeps_the_order_from_nobody(sim: Simulator, exchange_of: Any) -> None:
    """The order that was found is returned though the journal fails at that, and the mark is stored later."""

    class Busy(MemoryJournal):
        refused = 0

        async def change(self, placement_id: str, change: Any, *, alone: bool = False) -> Any:
            known = await self.get(placement_id)
            done = None if known is None else change(known)
            if done is not None and done.event.happened is Happened.TOLD and not self.refused:
                self.refused += 1
                raise JournalError("database is locked")
            return await super().change(placement_id, change, alone=alone)

    journal = Busy()
    exchange = exchange_of(bridge_over(sim, horizon=LONG, journal=journal), resolve_for=5)
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)

    order = await exchange.create_order(*LIMIT)
    await exchange._bridge._placements.ledger.write_again()
    (placement,) = await exchange._bridge.placements()

    assert placement.order.order_id == order["id"]
    assert journal.refused == 1
    assert "told" in placement.evidence
