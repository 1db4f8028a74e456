"""What is repeated is not doubled: creates whose outcome is not known, and those that follow them."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderBridge, OrderRequest
from orderbridge.errors import NotSent, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.ccxt_face.conftest import TIMES, bridge_over

pytestmark = pytest.mark.ccxt

LIMIT = ("BTC/MXN", "limit", "buy", 0.01, 560000)
PLACE = "POST /api/v3/orders"
# An order that is not shown stays unknown for longer than these tests run.
LONG = 60.0
SOON = 0.2


async def unknown_create(sim: Simulator, face: Any, *args: Any, kind: str = "drop") -> Any:
    """Create an order whose outcome stays open, and return what is raised then."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    sim.bitso.fault(kind, operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown) as caught:
        await face.create_order(*(args or LIMIT))
    sim.bitso.clear_faults()
    return caught.value


def patient(face: Any) -> None:
    """Have the face wait for what is about to show, however slow this machine is."""
    face._placing._resolve_for = 10


def appear(sim: Simulator, unknown: Any, **changes: Any) -> str:
    """Have the exchange show the order after all, as one that it had taken."""
    request = unknown.placement.request
    known = {"symbol": str(request.symbol), "side": request.side.value, "status": "open"}
    amounts = {"quantity": request.quantity, "price": request.price}
    return sim.bitso.put(origin_id=unknown.placement.client_order_id, **{**known, **amounts, **changes}).oid


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said"])
async def test_a_lost_answer_is_resolved_to_the_order(sim: Simulator, face: Any, kind: str) -> None:
    """The create returns the order that the exchange took, as it does when nothing goes wrong."""
    sim.bitso.fault(kind, operation="place", nth=1)

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert (order["status"], order["amount"], order["price"]) == ("open", 0.01, 560000.0)
    assert sim.bitso.requests[PLACE] == 1


async def test_an_answer_that_comes_too_late_is_resolved_to_the_order(sim: Simulator, face_of: Any) -> None:
    """A create that gave up waiting returns the order all the same."""
    face = face_of(timeout=0.3)
    sim.bitso.fault("delay", operation="place", nth=1, seconds=1)

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_what_stays_unknown_is_no_error_that_bots_answer_by_trying_again(sim: Simulator, face_of: Any) -> None:
    """It is an ExchangeError and none of ccxt's OperationFailed; it carries the placement, which may be live."""
    import ccxt

    unknown = await unknown_create(sim, face_of(horizon=LONG, resolve_for=SOON))

    assert isinstance(unknown, ccxt.ExchangeError)
    assert not isinstance(unknown, ccxt.OperationFailed)
    assert unknown.placement.may_be_live
    assert unknown.client_order_id == unknown.placement.client_order_id
    assert unknown.client_order_id in str(unknown)


async def test_while_it_is_open_nothing_is_sent(sim: Simulator, face_of: Any) -> None:
    """Creates of the same symbol and side, at whatever price, are refused by the first one; others go out."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)

    for price, params in ((560000, {}), (570000, {}), (560000, {"clientOrderId": "another"})):
        with pytest.raises(OrderOutcomeUnknown, match="nothing was sent") as again:
            await face.create_order("BTC/MXN", "limit", "buy", 0.02, price, params)
        assert again.value.placement.placement_id == unknown.placement.placement_id
    assert sim.bitso.requests[PLACE] == 1

    await face.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    await face.create_order("XRP/USDT", "limit", "buy", 10, 0.4)

    assert sim.bitso.requests[PLACE] == 3


async def test_a_repeated_create_is_answered_by_the_first_order(sim: Simulator, face_of: Any) -> None:
    """Once the order shows, the next create returns it, though it asks for another price; the one after is sent."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)
    oid = appear(sim, unknown)
    patient(face)

    answered = await face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000)
    third = await face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000)

    assert (answered["id"], answered["price"]) == (oid, 560000.0)
    assert third["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


async def test_a_create_that_waits_gets_the_order_once_it_shows(sim: Simulator, face_of: Any) -> None:
    """The repeated create resolves for as long as it may, and returns as soon as the order is there."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)
    asyncio.get_running_loop().call_later(0.1, appear, sim, unknown)
    patient(face)

    order = await face.create_order(*LIMIT)

    assert order["clientOrderId"] == unknown.client_order_id
    assert sim.bitso.requests[PLACE] == 1


async def test_two_repeated_creates_are_not_answered_by_one_order(sim: Simulator, face_of: Any) -> None:
    """Of two at once the order answers one; the other is an order of its own."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)
    oid = appear(sim, unknown)
    patient(face)

    orders = await asyncio.gather(face.create_order(*LIMIT), face.create_order(*LIMIT))

    assert len({order["id"] for order in orders}) == 2
    assert oid in {order["id"] for order in orders}
    assert sim.bitso.requests[PLACE] == 2


async def test_an_order_settled_meanwhile_answers_too(sim: Simulator, face_of: Any) -> None:
    """That the order was found in the background between the two creates changes nothing."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)
    oid = appear(sim, unknown)
    await asyncio.sleep(0.3)
    patient(face)

    assert (await face.create_order(*LIMIT))["id"] == oid
    assert sim.bitso.requests[PLACE] == 1


async def test_orders_begun_together_are_each_their_own(sim: Simulator, face_of: Any) -> None:
    """A grid of orders sent at once, one of which is unclear, gives as many orders as were asked for."""
    face = face_of()
    sim.bitso.fault("accept_then_drop", operation="place", nth=2)

    orders = await asyncio.gather(
        *(face.create_order("BTC/MXN", "limit", "buy", 0.01, 560000 + 10 * step) for step in range(5))
    )

    assert {order["price"] for order in orders} == {560000.0 + 10 * step for step in range(5)}
    assert {each.oid for each in sim.bitso.accepted()} == {order["id"] for order in orders}


async def test_a_create_beside_one_that_is_resolved_waits_and_is_its_own(sim: Simulator, face_of: Any) -> None:
    """While one caller waits for its unclear order, another is not given it, and is sent once that is known."""
    face = face_of(horizon=LONG, resolve_for=2)
    await face.load_markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    first = asyncio.ensure_future(face.create_order(*LIMIT))
    await asyncio.sleep(0.1)

    second = asyncio.ensure_future(face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000))
    await asyncio.sleep(0.1)
    sent_meanwhile = sim.bitso.requests[PLACE]
    (placement,) = await face._bridge.placements(state="uncertain")
    sim.bitso.put(origin_id=placement.client_order_id, status="open", quantity="0.01", price="560000")
    orders = await asyncio.gather(first, second)

    assert sent_meanwhile == 1
    assert [order["price"] for order in orders] == [560000.0, 570000.0]
    assert sim.bitso.requests[PLACE] == 2


async def test_an_order_is_kept_for_the_bot_that_asked_for_it(sim: Simulator, face_of: Any) -> None:
    """A create that began before the first one's caller left is not given its order; that caller's next one is."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    face = face_of(horizon=LONG, resolve_for=0.6)
    await face.load_markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    first = asyncio.ensure_future(face.create_order(*LIMIT))
    await asyncio.sleep(0.3)
    second = asyncio.ensure_future(face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000))
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        await first
    oid = appear(sim, unknown.value)

    other = await second
    repeated = await face.create_order(*LIMIT)

    assert other["price"] == 570000.0
    assert repeated["id"] == oid
    assert sim.bitso.requests[PLACE] == 2


@pytest.mark.parametrize("call", ["fetch_open_orders", "fetch_order", "cancel_order", "cancel_all", "trades"])
async def test_a_bot_that_was_shown_the_order_is_past_it(sim: Simulator, face_of: Any, call: str) -> None:
    """After a fetch or a cancel that shows it, the next create is a new order: the bot knows of the first."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, face)
    oid = appear(sim, unknown, status="completed" if call == "trades" else "open")
    own = {"clientOrderId": unknown.client_order_id}
    calls: dict[str, Callable[[], Any]] = {
        "fetch_open_orders": lambda: face.fetch_open_orders("BTC/MXN"),
        "fetch_order": lambda: face.fetch_order("", None, own),
        "cancel_order": lambda: face.cancel_order("", None, own),
        "cancel_all": lambda: face.cancel_all_orders(),
        "trades": lambda: face.fetch_my_trades("BTC/MXN"),
    }

    await calls[call]()
    order = await face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000)

    assert order["id"] != oid
    assert order["price"] == 570000.0


async def test_after_proof_that_it_is_absent_the_next_create_is_sent(sim: Simulator, face_of: Any) -> None:
    """What never arrived is told as not placed, by an error that is none to retry at once, and may be placed anew."""
    import ccxt

    from orderbridge.ccxt_face import OrderNotPlaced

    face = face_of()
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OrderNotPlaced) as caught:
        await face.create_order(*LIMIT)
    order = await face.create_order(*LIMIT)

    assert isinstance(caught.value, ccxt.ExchangeError)
    assert caught.value.placement.state == "not_placed"
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_proof_of_absence_that_comes_later_frees_the_next_create(sim: Simulator, face_of: Any) -> None:
    """A create that finds the earlier one proven absent meanwhile is sent."""
    face = face_of(horizon=0.5, resolve_for=0.1)
    await unknown_create(sim, face)
    await asyncio.sleep(0.7)

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_an_error_that_bots_retry_means_that_nothing_was_sent(sim: Simulator, face_of: Any) -> None:
    """A venue that is down is a NetworkError; the retries place one order once it is up, and leave one placement."""
    import ccxt

    face = face_of(send_within=0.3)
    await face.load_markets()
    await sim.bitso.stop()
    for _ in range(3):
        with pytest.raises(ccxt.NetworkError):
            await face.create_order(*LIMIT)
    await sim.bitso.start()

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert len(await face._bridge.placements()) == 1


async def test_markets_that_cannot_be_loaded_send_nothing(sim: Simulator, face_of: Any) -> None:
    """The rules are read before anything is placed; that they cannot be is a NetworkError."""
    import ccxt

    from orderbridge.http.policy import Retries

    face = face_of(bridge_over(sim, gateway={"retries": Retries(tries=1)}))
    sim.bitso.fault("error_5xx", operation="books")

    with pytest.raises(ccxt.NetworkError):
        await face.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 0


@pytest.mark.parametrize("when", [0.0, 0.01, 0.05])
async def test_a_cancelled_create_loses_nothing(sim: Simulator, face_of: Any, when: float) -> None:
    """However early its task is cancelled, a create repeated after that leaves one order, and returns it."""
    face = face_of()
    await face.load_markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.2)
    task = asyncio.ensure_future(face.create_order(*LIMIT))
    await asyncio.sleep(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_create_that_its_bot_timed_out_is_answered_by_it(sim: Simulator, face_of: Any) -> None:
    """A bot with a time limit of its own that tries again gets the order that the first try placed."""
    face = face_of()
    await face.load_markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.4)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(face.create_order(*LIMIT), 0.1)
    order = await asyncio.wait_for(face.create_order(*LIMIT), 2)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


RESEND: dict[str, Any] = {"on_uncertain": "resend_if_absent"}


async def test_what_the_bridge_sends_again_is_the_answer(sim: Simulator, face_of: Any) -> None:
    """Under a policy of sending again what is proven absent the create returns that order, and there is one."""
    face = face_of(bridge_over(sim, **RESEND), resolve_for=5)
    sim.bitso.fault("drop", operation="place", nth=1)

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert sim.bitso.requests[PLACE] == 2


async def test_what_the_bridge_is_about_to_send_again_is_not_sent_beside(sim: Simulator, face_of: Any) -> None:
    """An order that waits to be sent again is open: creates after it wait for it, and are answered by it."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    gateway = sim.bitso.gateway()
    permit, refused = gateway.permit, 0

    async def none_after_the_first(lane: Any = "place", *, timeout: float | None = None) -> Any:
        nonlocal refused
        if lane == "place" and sim.bitso.requests[PLACE] == 1 and refused < 3:
            refused += 1
            raise NotSent("no permit")
        return await permit(lane, timeout=timeout)

    gateway.permit = none_after_the_first  # type: ignore[method-assign]
    bridge = OrderBridge(gateway, settle_horizon=0.1, probe_times=TIMES, **RESEND)
    face = face_of(bridge, resolve_for=1)
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown):
        await face.create_order(*LIMIT)
    (waiting,) = await bridge.placements()
    patient(face)

    order = await face.create_order("BTC/MXN", "limit", "buy", 0.01, 570000)

    assert (waiting.state, bool(waiting.evidence)) == ("prepared", True)
    assert order["price"] == 560000.0
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_journal_that_fails_while_it_is_resolved_leaves_the_order_open(sim: Simulator, face_of: Any) -> None:
    """What is raised is no plain error but that the order may be live, and nothing is sent after it."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown
    from orderbridge.errors import JournalError
    from orderbridge.placement import MemoryJournal

    class Fragile(MemoryJournal):
        broken = False

        async def find(self, **about: Any) -> Any:
            if self.broken:
                raise JournalError("the disk is gone")
            return await super().find(**about)

    journal = Fragile()
    face = face_of(bridge_over(sim, horizon=LONG, journal=journal), resolve_for=SOON)
    await face.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    sim.bitso.fault("drop", operation="place", nth=1)

    journal.broken = True
    with pytest.raises(OrderOutcomeUnknown, match="the disk is gone"):
        await face.create_order(*LIMIT)
    journal.broken = False
    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await face.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 2


# The caller's own ids.


async def test_the_same_client_id_is_the_same_order(sim: Simulator, face: Any) -> None:
    """Repeated with its id, before or after its end, the same request is the same order, and is sent once."""
    first = await face.create_order(*LIMIT, {"clientOrderId": "mine-1"})
    again = await face.create_order(*LIMIT, {"clientOrderId": "mine-1"})
    sim.bitso.market("btc_mxn").fill(first["id"])
    await face.fetch_order(first["id"])
    ended = await face.create_order("BTC/MXN", "limit", "buy", "0.0100", "560000", {"clientOrderId": "mine-1"})

    assert first["clientOrderId"] == "mine-1"
    assert first["id"] == again["id"] == ended["id"]
    assert [each.oid for each in sim.bitso.accepted(client_order_id="mine-1")] == [first["id"]]
    assert sim.bitso.requests[PLACE] == 1


async def test_the_same_client_id_with_another_request_is_refused(sim: Simulator, face: Any) -> None:
    """It is a DuplicateOrderId, which is an InvalidOrder, and nothing is sent."""
    import ccxt

    await face.create_order(*LIMIT, {"clientOrderId": "mine-1"})

    with pytest.raises(ccxt.DuplicateOrderId) as caught:
        await face.create_order("BTC/MXN", "limit", "buy", 0.02, 560000, {"clientOrderId": "mine-1"})

    assert isinstance(caught.value, ccxt.InvalidOrder)
    assert sim.bitso.requests[PLACE] == 1


async def test_an_unclear_create_repeated_with_its_id_is_answered_by_itself(sim: Simulator, face_of: Any) -> None:
    """The id finds its own order, though another of the same symbol and side is open too."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    face = face_of(horizon=LONG, resolve_for=SOON)
    other = {"clientOrderId": "other"}
    await unknown_create(sim, face, *LIMIT, {"clientOrderId": "mine"})
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown):
        await face.create_order(*LIMIT, other)
    sent = sim.bitso.requests[PLACE]
    sim.bitso.put(origin_id="mine", status="open", quantity="0.01", price="560000")
    patient(face)

    mine = await face.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert mine["clientOrderId"] == "mine"
    assert sim.bitso.requests[PLACE] == sent == 1


async def test_a_refused_repetition_leaves_the_first_one_open(sim: Simulator, face_of: Any) -> None:
    """Another request under the id of an order that is not known is refused, and settles nothing about that."""
    import ccxt

    from orderbridge.ccxt_face import OrderOutcomeUnknown

    face = face_of(horizon=LONG, resolve_for=SOON)
    await unknown_create(sim, face, *LIMIT, {"clientOrderId": "mine"})

    with pytest.raises(ccxt.DuplicateOrderId):
        await face.create_order("BTC/MXN", "limit", "buy", 0.02, 560000, {"clientOrderId": "mine"})
    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await face.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 1


async def test_a_placed_order_is_told_again_whatever_else_is_open(sim: Simulator, face_of: Any) -> None:
    """The id of an order that is known answers at once, beside another one of its side that is not."""
    face = face_of(horizon=LONG, resolve_for=SOON)
    known = await face.create_order(*LIMIT, {"clientOrderId": "known"})
    await unknown_create(sim, face)

    again = await face.create_order(*LIMIT, {"clientOrderId": "known"})

    assert again["id"] == known["id"]


async def test_a_client_id_of_a_refused_order_is_not_used_again(sim: Simulator, face: Any) -> None:
    """It says so and names the state; a new id places the order."""
    import ccxt

    sim.bitso.engine.accounts.deposit("bot", "mxn", -sim.bitso.balances["mxn"].total)
    with pytest.raises(ccxt.InsufficientFunds):
        await face.create_order(*LIMIT, {"clientOrderId": "mine"})
    with pytest.raises(ccxt.InvalidOrder, match="rejected; use a new one"):
        await face.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert sim.bitso.requests[PLACE] == 1


async def test_a_client_id_that_never_went_out_may_be_used(sim: Simulator, face: Any) -> None:
    """An order that was refused here, before it was sent, leaves its id to the corrected one."""
    import ccxt

    with pytest.raises(ccxt.NotSupported):
        await face.create_order(*LIMIT, {"clientOrderId": "mine", "reduceOnly": True})
    order = await face.create_order(*LIMIT, {"clientOrderId": "mine"})

    assert [each.oid for each in sim.bitso.accepted(client_order_id="mine")] == [order["id"]]


async def test_an_id_that_the_exchange_knows_already_is_a_duplicate(sim: Simulator, face_of: Any) -> None:
    """An order placed elsewhere under the id is not taken for ours, and does not block what comes after."""
    import ccxt

    face = face_of(resolve_for=SOON)
    sim.bitso.put(origin_id="taken", status="open", quantity="0.5", price="500000")

    for _ in range(2):
        with pytest.raises(ccxt.DuplicateOrderId):
            await face.create_order(*LIMIT, {"clientOrderId": "taken"})
    order = await face.create_order(*LIMIT)

    assert order["clientOrderId"] != "taken"
    assert len(sim.bitso.accepted()) == 2


# Over a restart.


async def test_what_an_earlier_process_left_open_is_not_doubled(sim: Simulator, face_of: Any, tmp_path: Path) -> None:
    """A bot that is started again and repeats its create is answered by the order of its earlier life."""
    from orderbridge.ccxt_face import OrderOutcomeUnknown

    first = face_of(bridge_over(sim, horizon=LONG, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=SOON)
    unknown = await unknown_create(sim, first)
    await first.close()

    second = face_of(bridge_over(sim, horizon=LONG, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=SOON)
    with pytest.raises(OrderOutcomeUnknown):
        await second.create_order(*LIMIT)
    oid = appear(sim, unknown)
    patient(second)
    answered = await second.create_order(*LIMIT)
    new = await second.create_order(*LIMIT)

    assert answered["id"] == oid
    assert new["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


async def test_what_another_bot_has_under_way_is_its_own(sim: Simulator, face_of: Any, tmp_path: Path) -> None:
    """An order in flight elsewhere, in the same journal, is waited for and left to whoever is answered."""
    first = face_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    await first.load_markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.3)
    theirs = asyncio.ensure_future(first.create_order(*LIMIT))
    while not sim.bitso.accepted():  # noqa: ASYNC110 - the simulator has no event for it
        await asyncio.sleep(0.01)
    second = face_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")), resolve_for=0.6)

    mine = await second.create_order(*LIMIT)

    assert mine["id"] != (await theirs)["id"]
    assert sim.bitso.requests[PLACE] == 2


async def test_what_the_same_bridge_places_beside_the_face_is_not_the_bots(sim: Simulator, face_of: Any) -> None:
    """Another part of the program uses the bridge itself: its order, though unknown, does not answer the bot."""
    bridge = bridge_over(sim, horizon=LONG)
    face = face_of(bridge, resolve_for=SOON)
    await face.load_markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OutcomeUnknown):
        await bridge.place("bitso", OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.5", price="560000"))

    order = await face.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_client_id_holds_over_a_restart(sim: Simulator, face_of: Any, tmp_path: Path) -> None:
    """With a journal the same id is the same order in the next process, though that remembers nothing else."""
    own = {"clientOrderId": "daily-2026-01-05"}
    first = face_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    order = await first.create_order(*LIMIT, own)
    await first.close()

    second = face_of(bridge_over(sim, journal=SqliteJournal(tmp_path / "orders.db")))
    again = await second.create_order(*LIMIT, own)

    assert again["id"] == order["id"]
    assert sim.bitso.requests[PLACE] == 1
