"""What is repeated is not doubled: creates whose outcome is not known, and those that follow them."""

import asyncio
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.errors import NotSent
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import TIMES, bridge_over
from tests.ccxt.kit import LIMIT, LONG, PLACE, SOON, appear, patient, put, unknown_create, unknown_grid
from tests.placement.kit import until

pytestmark = pytest.mark.ccxt


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said"])
async def test_a_lost_answer_is_resolved_to_the_order(sim: Simulator, exchange: Any, kind: str) -> None:
    """The create returns the order that the exchange took, as it does when nothing goes wrong."""
    sim.bitso.fault(kind, operation="place", nth=1)

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert (order["status"], order["amount"], order["price"]) == ("open", 0.01, 560000.0)
    assert sim.bitso.requests[PLACE] == 1


async def test_an_answer_that_comes_too_late_is_resolved_to_the_order(sim: Simulator, exchange_of: Any) -> None:
    """A create that gave up waiting returns the order all the same."""
    exchange = exchange_of(timeout=0.3)
    sim.bitso.fault("delay", operation="place", nth=1, seconds=1)

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_what_stays_unknown_says_so_to_every_kind_of_bot(sim: Simulator, exchange_of: Any) -> None:
    """It is an ExchangeError, and a RequestTimeout, after which careful bots look; it carries what may be live."""
    import ccxt

    unknown = await unknown_create(sim, exchange_of(horizon=LONG, resolve_for=SOON))

    assert isinstance(unknown, ccxt.ExchangeError)
    assert isinstance(unknown, ccxt.RequestTimeout)
    assert unknown.placement.may_be_live
    assert unknown.client_order_id == unknown.placement.client_order_id
    assert unknown.client_order_id in str(unknown)


async def test_while_it_is_open_nothing_is_sent(sim: Simulator, exchange_of: Any) -> None:
    """Creates of the same symbol and side, at whatever price, are refused by the first one; others go out."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)

    for price, params in ((560000, {}), (570000, {}), (560000, {"clientOrderId": "another"})):
        with pytest.raises(OrderOutcomeUnknown, match="nothing was sent") as again:
            await exchange.create_order("BTC/MXN", "limit", "buy", 0.02, price, params)
        assert again.value.placement.placement_id == unknown.placement.placement_id
    assert sim.bitso.requests[PLACE] == 1

    await exchange.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    await exchange.create_order("XRP/USDT", "limit", "buy", 10, 0.4)

    assert sim.bitso.requests[PLACE] == 3


async def test_a_repeated_create_is_answered_by_the_first_order(sim: Simulator, exchange_of: Any) -> None:
    """Once the order shows, the next create of the same returns it; the one after is sent."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    patient(exchange)

    answered = await exchange.create_order(*LIMIT)
    third = await exchange.create_order(*LIMIT)

    assert (answered["id"], answered["price"]) == (oid, 560000.0)
    assert third["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


OTHERS: dict[str, tuple[Any, ...]] = {
    "price": ("BTC/MXN", "limit", "buy", 0.01, 570000),
    "amount": ("BTC/MXN", "limit", "buy", 0.02, 560000),
    "type": ("BTC/MXN", "market", "buy", 0.01),
    "post only": (*LIMIT, {"postOnly": True}),
    "client id": (*LIMIT, {"clientOrderId": "another"}),
}


@pytest.mark.parametrize("differs", OTHERS)
async def test_another_request_is_not_answered_by_the_first_order(
    sim: Simulator, exchange_of: Any, differs: str
) -> None:
    """With `tell` it sends nothing and names the order of the first one; after that it is sent, as it was asked for."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=SOON, stray="tell")
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    patient(exchange)

    with pytest.raises(OrderOutcomeUnknown, match=oid) as told:
        await exchange.create_order(*OTHERS[differs])
    sent_then = sim.bitso.requests[PLACE]
    order = await exchange.create_order(*OTHERS[differs])

    assert (told.value.order_id, told.value.client_order_id) == (oid, unknown.client_order_id)
    assert told.value.placement.placement_id == unknown.placement.placement_id
    assert sent_then == 1
    assert order["id"] != oid
    assert sim.bitso.requests[PLACE] == 2


async def test_a_create_that_waits_gets_the_order_once_it_shows(sim: Simulator, exchange_of: Any) -> None:
    """The repeated create resolves for as long as it may, and returns as soon as the order is there."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    asyncio.get_running_loop().call_later(0.1, appear, sim, unknown)
    patient(exchange)

    order = await exchange.create_order(*LIMIT)

    assert order["clientOrderId"] == unknown.client_order_id
    assert sim.bitso.requests[PLACE] == 1


@pytest.mark.parametrize("price", [560000, 570000], ids=["equal", "priced anew"])
async def test_an_order_that_a_poller_is_shown_while_it_is_asked_for_is_not_doubled(
    sim: Simulator, exchange_of: Any, price: float
) -> None:
    """The repeat was begun before that: it is answered by that order, or sent once that is cancelled."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON, timeout=10)
    oid = appear(sim, await unknown_create(sim, exchange))
    patient(exchange)
    sim.bitso.fault("delay", operation="lookup", seconds=1.0)
    looked = sum(sim.bitso.requests.values())
    repeat = asyncio.ensure_future(exchange.create_order(*LIMIT[:-1], price))

    async def looks() -> bool:
        return sum(sim.bitso.requests.values()) > looked

    await until(looks)
    shown = await exchange.fetch_open_orders("BTC/MXN")
    assert not repeat.done()
    order = await repeat

    assert [each["id"] for each in shown] == [oid]
    assert [each.oid for each in sim.bitso.accepted() if each.active] == [order["id"]]
    assert (order["id"] == oid) is (price == LIMIT[-1])


async def test_two_repeated_creates_are_not_answered_by_one_order(sim: Simulator, exchange_of: Any) -> None:
    """Of two at once the order answers one; the other is an order of its own."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    patient(exchange)

    orders = await asyncio.gather(exchange.create_order(*LIMIT), exchange.create_order(*LIMIT))

    assert len({order["id"] for order in orders}) == 2
    assert oid in {order["id"] for order in orders}
    assert sim.bitso.requests[PLACE] == 2


async def test_each_of_several_that_are_not_known_answers_its_own_repeat(sim: Simulator, exchange_of: Any) -> None:
    """In whatever order they are repeated: another of them is no stray while the one that is asked for is there."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    await exchange._gateway.markets()
    grid, oids = await unknown_grid(sim, exchange)

    again = [await exchange.create_order(*each) for each in reversed(grid)]

    assert [each["id"] for each in again] == oids[::-1]
    assert all(order.active for order in sim.bitso.accepted())
    assert sim.bitso.requests[PLACE] == 2


async def test_an_order_settled_meanwhile_answers_too(sim: Simulator, exchange_of: Any) -> None:
    """That the order was found in the background between the two creates changes nothing."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    await asyncio.sleep(0.3)
    patient(exchange)

    assert (await exchange.create_order(*LIMIT))["id"] == oid
    assert sim.bitso.requests[PLACE] == 1


async def test_orders_begun_together_are_each_their_own(sim: Simulator, exchange_of: Any) -> None:
    """A grid of orders sent at once, one of which is unclear, gives as many orders as were asked for."""
    exchange = exchange_of()
    sim.bitso.fault("accept_then_drop", operation="place", nth=2)

    orders = await asyncio.gather(
        *(exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000 + 10 * step) for step in range(5))
    )

    assert {order["price"] for order in orders} == {560000.0 + 10 * step for step in range(5)}
    assert {each.oid for each in sim.bitso.accepted()} == {order["id"] for order in orders}


async def test_a_create_beside_one_that_is_resolved_waits_and_is_its_own(sim: Simulator, exchange_of: Any) -> None:
    """While one caller waits for its unclear order, another is not given it, and is sent once that is known."""
    exchange = exchange_of(horizon=LONG, resolve_for=2)
    await exchange._gateway.markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    first = asyncio.ensure_future(exchange.create_order(*LIMIT))
    await asyncio.sleep(0.1)

    second = asyncio.ensure_future(exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 570000))
    await asyncio.sleep(0.1)
    sent_meanwhile = sim.bitso.requests[PLACE]
    (placement,) = await exchange._bridge.placements(state="uncertain")
    sim.bitso.put(origin_id=placement.client_order_id, status="open", quantity="0.01", price="560000")
    orders = await asyncio.gather(first, second)

    assert sent_meanwhile == 1
    assert [order["price"] for order in orders] == [560000.0, 570000.0]
    assert sim.bitso.requests[PLACE] == 2


async def test_an_order_is_kept_for_the_bot_that_asked_for_it(sim: Simulator, exchange_of: Any) -> None:
    """A create that began before the first one's caller left is not given its order; that caller's next one is."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    exchange = exchange_of(horizon=LONG, resolve_for=0.6)
    await exchange._gateway.markets()
    sim.bitso.fault("drop", operation="place", nth=1)
    first = asyncio.ensure_future(exchange.create_order(*LIMIT))
    await asyncio.sleep(0.3)
    second = asyncio.ensure_future(exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 570000))
    with pytest.raises(OrderOutcomeUnknown) as unknown:
        await first
    oid = appear(sim, unknown.value)

    other = await second
    repeated = await exchange.create_order(*LIMIT)

    assert other["price"] == 570000.0
    assert repeated["id"] == oid
    assert sim.bitso.requests[PLACE] == 2


@pytest.mark.parametrize(
    "call", ["fetch_order", "cancel_order", "fetch_open_orders", "cancel_all_orders", "fetch_my_trades", "another"]
)
async def test_a_bot_that_was_shown_the_order_is_past_it(sim: Simulator, exchange_of: Any, call: str) -> None:
    """After any read that shows that very order the next create is a new one; another order's shows nothing of it."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown, status="completed" if call == "fetch_my_trades" else "open")
    other = put(sim, price="400000")
    named = ("", None, {"clientOrderId": unknown.client_order_id})
    calls: dict[str, tuple[str, tuple[Any, ...]]] = {
        "fetch_order": ("fetch_order", named),
        "cancel_order": ("cancel_order", named),
        "fetch_open_orders": ("fetch_open_orders", ("BTC/MXN",)),
        "cancel_all_orders": ("cancel_all_orders", ("BTC/MXN",)),
        "fetch_my_trades": ("fetch_my_trades", ("BTC/MXN",)),
        "another": ("fetch_order", (other,)),
    }
    name, args = calls[call]
    patient(exchange)

    await getattr(exchange, name)(*args)
    order = await exchange.create_order(*LIMIT)

    assert (order["id"] == oid) is (call == "another")
    assert sim.bitso.requests[PLACE] == (1 if call == "another" else 2)


@pytest.mark.parametrize("call", ["cancel_orders", "cancel_orders_for_symbols"])
async def test_what_was_cancelled_beside_a_failure_was_not_shown(sim: Simulator, exchange_of: Any, call: str) -> None:
    """It had filled, and the bot got the other one's error: a repeated create is answered by it."""
    import ccxt

    exchange = exchange_of(horizon=LONG, resolve_for=SOON, timeout=1)
    other = await exchange.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown, status="completed")
    patient(exchange)
    ids = [unknown.client_order_id, other["clientOrderId"]]
    told: tuple[Any, ...] = ([], "BTC/MXN", {"clientOrderIds": ids})
    if call == "cancel_orders_for_symbols":
        told = ([{"clientOrderId": each, "symbol": "BTC/MXN"} for each in ids],)
    sim.bitso.fault("error_5xx", operation="cancel", nth=2, times=50)

    with pytest.raises(ccxt.NetworkError):
        await getattr(exchange, call)(*told)
    sim.bitso.clear_faults()
    order = await exchange.create_order(*LIMIT)

    assert (order["id"], order["status"]) == (oid, "closed")
    assert sim.bitso.requests[PLACE] == 2


async def test_what_a_list_leaves_out_was_not_shown(sim: Simulator, exchange_of: Any) -> None:
    """Of a list that was cut by its limit only what the bot got counts."""
    exchange = exchange_of(horizon=LONG, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown, created_at="2026-01-05T10:00:00Z")
    put(sim, price="400000", created_at="2026-01-05T10:00:01Z")
    patient(exchange)

    listed = await exchange.fetch_open_orders("BTC/MXN", None, 1)
    order = await exchange.create_order(*LIMIT)

    assert oid not in {each["id"] for each in listed}
    assert order["id"] == oid


async def test_after_proof_that_it_is_absent_the_next_create_is_sent(sim: Simulator, exchange_of: Any) -> None:
    """What never arrived is told as not placed, by an error that is none to retry at once, and may be placed anew."""
    import ccxt

    from orderbridge.ccxt.errors import OrderNotPlaced

    exchange = exchange_of()
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OrderNotPlaced) as caught:
        await exchange.create_order(*LIMIT)
    order = await exchange.create_order(*LIMIT)

    assert isinstance(caught.value, ccxt.ExchangeError)
    assert caught.value.placement.state == "not_placed"
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_proof_of_absence_that_comes_later_frees_the_next_create(sim: Simulator, exchange_of: Any) -> None:
    """A create that finds the earlier one proven absent meanwhile is sent."""
    exchange = exchange_of(horizon=0.5, resolve_for=0.1)
    await unknown_create(sim, exchange)
    await asyncio.sleep(0.7)

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_an_error_that_bots_retry_means_that_nothing_was_sent(
    sim: Simulator, exchange_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A venue that is down is a NetworkError; the retries place one order once it is up, and leave one placement."""
    import ccxt

    monkeypatch.setattr("orderbridge.ccxt.stray._SEND_WITHIN", 0.3)
    exchange = exchange_of()
    await exchange._gateway.markets()
    await sim.bitso.stop()
    for _ in range(3):
        with pytest.raises(ccxt.NetworkError):
            await exchange.create_order(*LIMIT)
    await sim.bitso.start()

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert len(await exchange._bridge.placements()) == 1


async def test_markets_that_cannot_be_loaded_send_nothing(sim: Simulator, exchange_of: Any) -> None:
    """The rules are read before anything is placed; that they cannot be is a NetworkError."""
    import ccxt

    from orderbridge.http.retry import Retries

    exchange = exchange_of(bridge_over(sim, gateway={"retries": Retries(tries=1)}))
    sim.bitso.fault("error_5xx", operation="books")

    with pytest.raises(ccxt.NetworkError):
        await exchange.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 0


async def test_an_old_cancel_of_its_task_does_not_make_a_create_left(sim: Simulator, exchange_of: Any) -> None:
    """A bot whose task swallowed a cancel before keeps its orders to itself: a create beside one is another order."""
    exchange = exchange_of()
    await exchange._gateway.markets()

    async def bot() -> Any:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            return await exchange.create_order(*LIMIT)

    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.3)
    task = asyncio.ensure_future(bot())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.1)
    second = await exchange.create_order(*LIMIT)

    assert {each.oid for each in sim.bitso.accepted()} == {second["id"], (await task)["id"]}
    assert len(sim.bitso.accepted()) == 2


@pytest.mark.parametrize("when", [0.0, 0.01, 0.05])
async def test_a_cancelled_create_loses_nothing(sim: Simulator, exchange_of: Any, when: float) -> None:
    """However early its task is cancelled, a create repeated after that leaves one order, and returns it."""
    exchange = exchange_of()
    await exchange._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.2)
    task = asyncio.ensure_future(exchange.create_order(*LIMIT))
    await asyncio.sleep(when)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_create_that_its_bot_timed_out_is_answered_by_it(sim: Simulator, exchange_of: Any) -> None:
    """A bot with a time limit of its own that tries again gets the order that the first try placed."""
    exchange = exchange_of()
    await exchange._gateway.markets()
    sim.bitso.fault("delay", operation="place", nth=1, seconds=0.4)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(exchange.create_order(*LIMIT), 0.1)
    order = await asyncio.wait_for(exchange.create_order(*LIMIT), 2)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


RESEND: dict[str, Any] = {"on_uncertain": "resend_if_absent"}


async def test_what_the_bridge_sends_again_is_the_answer(sim: Simulator, exchange_of: Any) -> None:
    """Under a policy of sending again what is proven absent the create returns that order, and there is one."""
    exchange = exchange_of(bridge_over(sim, **RESEND), resolve_for=5)
    sim.bitso.fault("drop", operation="place", nth=1)

    order = await exchange.create_order(*LIMIT)

    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]
    assert sim.bitso.requests[PLACE] == 2


async def test_what_the_bridge_is_about_to_send_again_is_not_sent_beside(sim: Simulator, exchange_of: Any) -> None:
    """An order that waits to be sent again is open: creates after it wait for it, and are answered by it."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    gateway = sim.bitso.gateway()
    permit, loop = gateway.permit, asyncio.get_running_loop()
    until: list[float] = []

    async def none_after_the_first(lane: Any = "place", *, timeout: float | None = None) -> Any:
        if lane == "place" and sim.bitso.requests[PLACE] == 1:
            until.append(loop.time() + 2)
            if loop.time() < until[0]:
                raise NotSent("no permit")
        return await permit(lane, timeout=timeout)

    gateway.permit = none_after_the_first  # type: ignore[method-assign]
    bridge = OrderBridge(gateway, settle_horizon=0.1, probe_times=TIMES, **RESEND)
    exchange = exchange_of(bridge, resolve_for=1)
    sim.bitso.fault("drop", operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown):
        await exchange.create_order(*LIMIT)
    (waiting,) = await bridge.placements()
    sent_before = sim.bitso.requests[PLACE]
    patient(exchange)

    order = await exchange.create_order(*LIMIT)

    assert (waiting.state, bool(waiting.evidence), sent_before) == ("prepared", True, 1)
    assert order["price"] == 560000.0
    assert [each.oid for each in sim.bitso.accepted()] == [order["id"]]


async def test_a_journal_that_fails_while_it_is_resolved_leaves_the_order_open(
    sim: Simulator, exchange_of: Any
) -> None:
    """What is raised is no plain error but that the order may be live, and nothing is sent after it."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown
    from orderbridge.errors import JournalError
    from orderbridge.placement import MemoryJournal

    class Fragile(MemoryJournal):
        broken = False

        async def get(self, placement_id: str) -> Any:
            if self.broken:
                raise JournalError("the disk is gone")
            return await super().get(placement_id)

    journal = Fragile()
    exchange = exchange_of(bridge_over(sim, horizon=LONG, journal=journal), resolve_for=SOON)
    await exchange.create_order("BTC/MXN", "limit", "sell", 0.01, 1300000)
    sim.bitso.fault("drop", operation="place", nth=1)

    journal.broken = True
    with pytest.raises(OrderOutcomeUnknown, match="the disk is gone"):
        await exchange.create_order(*LIMIT)
    journal.broken = False
    with pytest.raises(OrderOutcomeUnknown, match="nothing was sent"):
        await exchange.create_order(*LIMIT)

    assert sim.bitso.requests[PLACE] == 2


# What trades at once.

BY_COST = ("BTC/MXN", "market", "buy", None, None, {"cost": 500})
AT_ONCE: dict[str, tuple[Any, ...]] = {
    "market": ("BTC/MXN", "market", "sell", 0.01),
    "cost": BY_COST,
    "ioc": ("BTC/MXN", "limit", "buy", 0.01, 1300000, {"timeInForce": "IOC"}),
    "fok": ("BTC/MXN", "limit", "buy", 0.01, 1300000, {"timeInForce": "FOK"}),
}


@pytest.mark.parametrize("is_lost", [False, True])
@pytest.mark.parametrize("name", AT_ONCE)
async def test_what_trades_at_once_is_closed_with_its_fills(
    sim: Simulator, exchange: Any, name: str, is_lost: bool
) -> None:
    """A grid bot that is told `open` of a filled order buys again: it is looked up before it is returned."""
    if is_lost:
        sim.bitso.fault("accept_then_drop", operation="place", nth=1)

    order = await exchange.create_order(*AT_ONCE[name])

    assert order["status"] == "closed"
    assert order["filled"] == order["amount"] == pytest.approx(sum(trade["amount"] for trade in order["trades"]))
    assert order["cost"] == pytest.approx(order["filled"] * order["average"])
    assert order["remaining"] == 0.0
    assert order["fees"]
    assert order["lastTradeTimestamp"] == order["trades"][-1]["timestamp"]
    assert order["info"]["oid"] == order["id"]
    assert sim.bitso.requests[PLACE] == 1


async def test_an_ioc_that_found_nothing_is_canceled(sim: Simulator, exchange: Any) -> None:
    """Nothing of it filled, and it does not rest."""
    order = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 300000, {"timeInForce": "IOC"})

    assert (order["status"], order["filled"], order["remaining"]) == ("canceled", 0.0, 0.01)


async def test_what_trades_at_once_and_is_not_seen_is_not_called_open(sim: Simulator, exchange_of: Any) -> None:
    """The exchange took it, and the look-up failed: how it stands is None, as on ccxt's own Bitso."""
    exchange = exchange_of(timeout=2)
    await exchange._gateway.markets()
    sim.bitso.fault("error_5xx", operation="lookup")
    sim.bitso.fault("error_5xx", operation="order_trades")

    order = await exchange.create_order(*BY_COST)

    assert (order["status"], order["filled"], order["average"], order["fees"]) == (None, None, None, [])
    assert order["info"] == {"oid": order["id"]}


async def test_a_stop_waits_for_its_trigger_whatever_its_life(sim: Simulator, exchange: Any) -> None:
    """It is open, also one that is to trade at once then."""
    stop = ("BTC/MXN", "limit", "sell", 0.01, 300000, {"triggerPrice": 310000, "timeInForce": "IOC"})

    assert (await exchange.create_order(*stop))["status"] == "open"


async def test_what_rests_is_returned_as_it_was_answered(sim: Simulator, exchange: Any) -> None:
    """An order that rests costs the one request; its `info` is the answer."""
    before = dict(sim.bitso.requests)

    order = await exchange.create_order(*LIMIT)

    assert {
        name: sent - before.get(name, 0) for name, sent in sim.bitso.requests.items() if sent != before.get(name)
    } == {PLACE: 1}
    assert order["info"] == {"oid": order["id"]}


async def test_a_create_after_a_long_outage_looks_at_once(sim: Simulator, exchange_of: Any) -> None:
    """The bridge looks every few minutes by then; whoever asks again does not wait for that."""
    bridge = OrderBridge(sim.bitso.gateway(), settle_horizon=LONG, probe_times=(0.01,))
    exchange = exchange_of(bridge, resolve_for=SOON)
    unknown = await unknown_create(sim, exchange)
    oid = appear(sim, unknown)
    patient(exchange)

    answered = await asyncio.wait_for(exchange.create_order(*LIMIT), 5)

    assert answered["id"] == oid


async def test_ended_orders_are_forgotten_but_for_those_with_a_key_of_their_bots(
    sim: Simulator, exchange: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory a few are kept of the placements that nobody asks for again; what is live or has an id stays."""
    monkeypatch.setattr("orderbridge.placement.journal._MOST_LET_GO", 3)
    own = ("BTC/MXN", "limit", "buy", 0.01, 550000, {"clientOrderId": "mine"})
    named, live = await exchange.create_order(*own), await exchange.create_order(*LIMIT)
    await exchange.cancel_order(named["id"])
    for _ in range(20):
        await exchange.cancel_order((await exchange.create_order(*LIMIT))["id"])

    placements = await exchange._bridge.placements()
    again = await exchange.create_order(*own)

    assert len(placements) <= 10
    assert {named["id"], live["id"]} <= {each.order.order_id for each in placements if each.order}
    assert again["id"] == named["id"]
    assert sim.bitso.requests[PLACE] == 22


async def test_what_was_throttled_is_asked_for_once_the_venue_can_be_asked(sim: Simulator, exchange_of: Any) -> None:
    """The order is told at the end of the lock-out, whenever the next probe would be."""
    paper = {"trading_mode": "paper"}
    bridge = bridge_over(sim, venue="bitcain", horizon=LONG, probe_times=(0.01,), gateway=paper)
    exchange = exchange_of(bridge, "bitcain", resolve_for=20)
    await exchange.fetch_open_orders()
    sim.bitcain.fault("throttle", operation="place", nth=1, retry_after=1)
    creating = asyncio.ensure_future(exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 50000))

    async def is_unclear() -> bool:
        return [each.state for each in await bridge.placements()] == ["uncertain"]

    await until(is_unclear)
    (placement,) = await bridge.placements()
    own = placement.client_order_id
    put = sim.bitcain.put(client_order_id=own, side="buy", price="50000", quantity="0.01", status="open", **paper)
    order = await creating

    assert (order["id"], order["clientOrderId"]) == (put.oid, own)
