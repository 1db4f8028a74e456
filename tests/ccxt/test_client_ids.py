"""The caller's own ids, and what an earlier process or another part of the program has under way."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderRequest
from orderbridge.errors import OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import bridge_over
from tests.ccxt.kit import LIMIT, LONG, PLACE, SOON, appear, patient, unknown_create

pytestmark = pytest.mark.ccxt


async def test_the_same_client_id_is_the_same_order(sim: Simulator, exchange: Any) -> None:
    """Repeated with its id, before or after its end, the same request is the same order, and is sent once."""
    first = await exchange.create_order(*LIMIT, {"clientOrderId": "mine-1"})
    again = await exchange.create_order(*LIMIT, {"clientOrderId": "mine-1"})
    sim.bitso.market("btc_mxn").fill(first["id"])
    await exchange.fetch_order(first["id"])
    ended = await exchange.create_order("BTC/MXN", "limit", "buy", "0.0100", "560000", {"clientOrderId": "mine-1"})

    assert first["clientOrderId"] == "mine-1"
    assert first["id"] == again["id"] == ended["id"]
    assert [each.oid for each in sim.bitso.accepted(client_order_id="mine-1")] == [first["id"]]
    assert sim.bitso.requests[PLACE] == 1


async def test_the_same_client_id_with_another_request_is_refused(sim: Simulator, exchange: Any) -> None:
    """It is a DuplicateOrderId, which is an InvalidOrder, and nothing is sent."""
    import ccxt

    await exchange.create_order(*LIMIT, {"clientOrderId": "mine-1"})

    with pytest.raises(ccxt.DuplicateOrderId) as caught:
        await exchange.create_order("BTC/MXN", "limit", "buy", 0.02, 560000, {"clientOrderId": "mine-1"})

    assert isinstance(caught.value, ccxt.InvalidOrder)
    assert sim.bitso.requests[PLACE] == 1


async def test_an_unclear_create_repeated_with_its_id_is_answered_by_itself(sim: Simulator, exchange_of: Any) -> None:
    """The id finds its own order, though another of the same symbol and side is open too."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    other = {"clientOrderId": "other"}
    await unknown_create(sim, exchange, *LIMIT, {"clientOrderId": "mine"})
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown):
        await exchange.create_order(*LIMIT, other)
    sent = sim.bitso.requests[PLACE]
    sim.bitso.put(origin_id="mine", status="open", quantity="0.01", price="560000")
    patient(exchange)

    mine = await exchange.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert mine["clientOrderId"] == "mine"
    assert sim.bitso.requests[PLACE] == sent == 1


async def test_a_refused_repetition_leaves_the_first_one_open(sim: Simulator, exchange_of: Any) -> None:
    """Another request under the id of an order that is not known is refused, and settles nothing about that."""
    import ccxt

    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    await unknown_create(sim, exchange, *LIMIT, {"clientOrderId": "mine"})

    with pytest.raises(ccxt.DuplicateOrderId):
        await exchange.create_order("BTC/MXN", "limit", "buy", 0.02, 560000, {"clientOrderId": "mine"})
    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await exchange.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 1


async def test_a_placed_order_is_told_again_whatever_else_is_open(sim: Simulator, exchange_of: Any) -> None:
    """The id of an order that is known answers at once, beside another one of its side that is not."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    known = await exchange.create_order(*LIMIT, {"clientOrderId": "known"})
    await unknown_create(sim, exchange)

    again = await exchange.create_order(*LIMIT, {"clientOrderId": "known"})

    assert again["id"] == known["id"]


async def test_a_client_id_of_a_refused_order_is_not_used_again(sim: Simulator, exchange: Any) -> None:
    """It says so and names the state; a new id places the order."""
    import ccxt

    sim.bitso.engine.accounts.deposit("bot", "mxn", -sim.bitso.balances["mxn"].total)
    with pytest.raises(ccxt.InsufficientFunds):
        await exchange.create_order(*LIMIT, {"clientOrderId": "mine"})
    with pytest.raises(ccxt.InvalidOrder, match="rejected; use a new one"):
        await exchange.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert sim.bitso.requests[PLACE] == 1


async def test_a_client_id_that_never_went_out_may_be_used(sim: Simulator, exchange: Any) -> None:
    """An order that was refused here, before it was sent, leaves its id to the corrected one."""
    import ccxt

    with pytest.raises(ccxt.NotSupported):
        await exchange.create_order(*LIMIT, {"clientOrderId": "mine", "reduceOnly": True})
    order = await exchange.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert [each.oid for each in sim.bitso.accepted(client_order_id="mine")] == [order["id"]]


async def test_an_id_that_the_exchange_knows_already_is_a_duplicate(sim: Simulator, exchange_of: Any) -> None:
    """An order placed elsewhere under the id is not taken for ours, and does not block what comes after."""
    import ccxt

    exchange = exchange_of(resolve_for=SOON)
    sim.bitso.put(origin_id="taken", status="open", quantity="0.5", price="500000")

    for _ in range(2):
        with pytest.raises(ccxt.DuplicateOrderId):
            await exchange.create_order(*LIMIT, {"clientOrderId": "taken"})
    order = await exchange.create_order(*LIMIT)

    assert order["clientOrderId"] != "taken"
    assert len(sim.bitso.accepted()) == 2


@pytest.mark.parametrize("is_kept", [False, True])
async def test_an_id_whose_order_was_denied_here_may_be_used_again(
    sim: Simulator, exchange_of: Any, tmp_path: Path, is_kept: bool
) -> None:
    """Nothing went out under it: once the amount is right the order is placed, whatever the journal."""
    import ccxt

    own = {"clientOrderId": "daily-1"}
    journal = {"journal": SqliteJournal(tmp_path / "orders.db")} if is_kept else {}
    exchange = exchange_of(bridge_over(sim, **journal))
    with pytest.raises(ccxt.InvalidOrder, match="below the minimum"):
        await exchange.create_order("BTC/MXN", "limit", "buy", 1e-8, 560000, own)

    order = await exchange.create_order(*LIMIT, own)
    again = await exchange.create_order(*LIMIT, own)

    assert again["id"] == order["id"]
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_what_an_earlier_process_left_open_is_not_doubled(
    sim: Simulator, exchange_of: Any, tmp_path: Path
) -> None:
    """A bot that is started again and repeats its create is answered by the order of its earlier life."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    first = exchange_of(bridge_over(sim, horizon=LONG, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=SOON)
    unknown = await unknown_create(sim, first)
    await first._bridge.aclose()

    second = exchange_of(
        bridge_over(sim, horizon=LONG, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=SOON
    )
    with pytest.raises(OrderOutcomeUnknown):
        await second.create_order(*LIMIT)
    oid = appear(sim, unknown)
    patient(second)
    answered = await second.create_order(*LIMIT)
    new = await second.create_order(*LIMIT)

    assert answered["id"] == oid
    assert new["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


async def test_what_another_bot_has_under_way_is_its_own(sim: Simulator, exchange_of: Any, tmp_path: Path) -> None:
    """An order in flight in a process that lives, in the same journal, is left to whoever is answered there."""
    first = exchange_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    await first._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.3)
    theirs = asyncio.ensure_future(first.create_order(*LIMIT))
    while not sim.bitso.accepted():  # noqa: ASYNC110 - the simulator has no event for it
        await asyncio.sleep(0.01)
    second = exchange_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=0.6)

    mine = await second.create_order(*LIMIT)

    assert mine["id"] != (await theirs)["id"]
    assert sim.bitso.requests[PLACE] == 2


async def test_what_the_same_bridge_places_beside_the_face_is_not_the_bots(sim: Simulator, exchange_of: Any) -> None:
    """Another part of the program uses the bridge itself: its order, though unknown, does not answer the bot."""
    bridge = bridge_over(sim, horizon=LONG)
    exchange = exchange_of(bridge, resolve_for=SOON)
    await exchange._gateway.markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OutcomeUnknown):
        await bridge.place("bitso", OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.5", price="560000"))

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_client_id_holds_over_a_restart(sim: Simulator, exchange_of: Any, tmp_path: Path) -> None:
    """With a journal the same id is the same order in the next process, though that remembers nothing else."""
    own = {"clientOrderId": "daily-2026-01-05"}
    first = exchange_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    order = await first.create_order(*LIMIT, own)
    await first._bridge.aclose()

    second = exchange_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    again = await second.create_order(*LIMIT, own)

    assert again["id"] == order["id"]
    assert sim.bitso.requests[PLACE] == 1
