"""Acting on orders through a bridge: the order's own gateway is found first."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from orderbridge import CancelReceipt, OrderBridge, OrderEdit, OrderRequest, OrderStatus
from orderbridge.errors import (
    AmbiguousRef,
    ConfigurationError,
    NotSupported,
    OrderNotFound,
    OutcomeUnknown,
    VenueUnavailable,
)
from orderbridge.http.retry import Retries
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator

QUICK = Retries(tries=1)
STOP = OrderRequest.stop_loss(symbol="BTC/MXN", side="sell", quantity="0.01", stop_price="100000")


@pytest.fixture
async def bridge(sim: Simulator) -> AsyncIterator[OrderBridge]:
    """Both simulated venues behind one bridge."""
    paper = sim.bitcain.gateway(trading_mode="paper", retries=QUICK)
    async with OrderBridge(sim.bitso.gateway(retries=QUICK), paper) as made:
        yield made


@pytest.mark.parametrize("venue", ["bitso", "bitcain"])
async def test_cancel_finds_the_order_wherever_it_is(sim: Simulator, bridge: OrderBridge, venue: str) -> None:
    """A bare id, a prefixed one and an order in hand are all enough."""
    put = [getattr(sim, venue).put(client_order_id=f"mine-{number}") for number in range(3)]
    in_hand = await bridge.get(f"{venue}:{put[2].order_id}")

    orders = [
        await bridge.cancel(put[0].order_id),
        await bridge.cancel(f"{venue}:{put[1].order_id}"),
        await bridge.cancel(in_hand, wait="done"),
    ]

    assert [order.order_id for order in orders] == [order.order_id for order in put]
    assert all(order.status is OrderStatus.CANCELLED for order in orders)


async def test_id_that_answers_at_both_venues_is_ambiguous(sim: Simulator, bridge: OrderBridge) -> None:
    """One client id used on both venues names two orders: neither is cancelled."""
    put = [sim.bitso.put(origin_id="same"), sim.bitcain.put(client_order_id="same")]

    with pytest.raises(AmbiguousRef):
        await bridge.cancel("same")

    assert all(order.active for order in put)


async def test_unknown_id_is_not_found(bridge: OrderBridge) -> None:
    """What no venue shows cannot be cancelled or edited."""
    with pytest.raises(OrderNotFound):
        await bridge.cancel("bitso:nosuchorder00001")
    with pytest.raises((OrderNotFound, VenueUnavailable)):
        await bridge.edit("nosuchorder00001", OrderEdit(quantity="1"))


async def test_edit_through_the_bridge(sim: Simulator, bridge: OrderBridge) -> None:
    """A change reaches the order's own venue."""
    put = sim.bitso.put(quantity="0.01", price="560000")

    order = await bridge.edit(put.order_id, OrderEdit(quantity="0.02", price="570000"))

    assert (order.order_id, str(order.quantity)) == (put.order_id, "0.02000000")


async def test_waiting_for_the_end_of_a_cancel(sim: Simulator, bridge: OrderBridge) -> None:
    """`wait="done"` looks on while the venue only acknowledges, and gives up when the time is up."""
    sim.bitcain.settings.cancel_answer = "still_open"
    put = sim.bitcain.put()

    started = time.monotonic()
    order = await bridge.cancel(f"bitcain:{put.order_id}", wait="done", timeout=1.0)

    assert order.may_be_live == put.active
    assert time.monotonic() - started < 60


async def test_cancel_all_says_what_could_not_be_asked(sim: Simulator, bridge: OrderBridge) -> None:
    """Every account is swept at once; one that is down is named, and the others are swept all the same."""
    put = [sim.bitso.put() for _ in range(2)]
    await sim.bitcain.stop()

    receipt = await bridge.cancel_all(scope="account", timeout=3)

    assert isinstance(receipt, CancelReceipt)
    assert {order.order_id for order in receipt.orders} == {order.order_id for order in put}
    assert set(receipt.unreachable) == {"bitcain"}
    assert receipt.still_live == ()
    assert not receipt.is_complete


async def test_cancel_all_of_one_gateway_and_symbol(sim: Simulator, bridge: OrderBridge) -> None:
    """The sweep can be narrowed; its scope is said out loud."""
    keep = [sim.bitcain.put(), sim.bitso.put(book="eth_mxn")]
    sim.bitso.put(book="btc_mxn")

    receipt = await bridge.cancel_all(scope="account", gateway="bitso", symbol="btc/mxn")
    with pytest.raises(TypeError):
        await bridge.cancel_all()  # type: ignore[call-arg]
    with pytest.raises(NotSupported):
        await bridge.cancel_all(scope="mine")  # type: ignore[arg-type]

    assert len(receipt.orders) == 1
    assert receipt.still_live == ()
    assert all(order.active for order in keep)


async def test_cancel_all_by_a_list_that_may_lack_stops_is_not_complete(sim: Simulator, bridge: OrderBridge) -> None:
    """A stop of another process that no list shows stays live, and the receipt says that it may."""
    sim.bitso.settings.open_orders_types = "limit"
    async with OrderBridge(sim.bitso.gateway()) as other:
        await other.place("bitso", STOP, read_back=False)

    by_symbol = await bridge.cancel_all(scope="account", symbol="BTC/MXN")
    sim.bitso.fault("error_5xx", operation="cancel", times=1)
    unanswered = await bridge.cancel_all(scope="account")
    answered = await bridge.cancel_all(scope="account")

    lacks = {"bitso": {"stop_loss", "stop_limit"}}
    assert [receipt.may_lack for receipt in (by_symbol, unanswered, answered)] == [lacks, lacks, {}]
    assert [receipt.is_complete for receipt in (by_symbol, unanswered, answered)] == [False, False, True]
    assert not [order for order in sim.bitso.accepted() if order.active]


async def test_cancel_all_cancels_what_the_journal_knows_to_work(sim: Simulator, tmp_path: Path) -> None:
    """A stop that an earlier process placed, and that no list shows, is cancelled by its id at once after the start."""
    sim.bitso.settings.open_orders_types = "limit"
    async with OrderBridge(sim.bitso.gateway(), journal=SqliteJournal(tmp_path / "orders.db")) as before:
        order = await before.place("bitso", STOP, read_back=False)

    async with OrderBridge(sim.bitso.gateway(), journal=SqliteJournal(tmp_path / "orders.db")) as bridge:
        receipt = await bridge.cancel_all(scope="account", symbol="BTC/MXN")

    assert [(each.order_id, each.status) for each in receipt.orders] == [(order.order_id, "cancelled")]
    assert not [each for each in sim.bitso.accepted() if each.active]


@pytest.mark.parametrize("venue", ["bitso", "bitcain"])
async def test_cancel_all_cancels_an_order_of_just_now(sim: Simulator, bridge: OrderBridge, venue: str) -> None:
    """An order of this bridge that its venue lists late is cancelled by its id, or told to be live until it can be."""
    server = getattr(sim, venue)
    server.fault("late_visibility", operation="place", seconds=10.0, times=1)
    symbol, price = ("BTC/MXN", "100000") if venue == "bitso" else ("BTC/USD", "100")
    fields = {"side": "buy", "type": "limit", "quantity": "0.01", "price": price}
    order = await bridge.place(venue, OrderRequest(symbol=symbol, **fields), read_back=False)

    at_once = await bridge.cancel_all(scope="account", gateway=venue, symbol=symbol)
    live = [each.order_id for each in server.accepted() if each.active]
    sim.clock.advance(11)
    later = await bridge.cancel_all(scope="account", gateway=venue, symbol=symbol)

    assert [each.order_id for each in at_once.orders] == [order.order_id]
    assert [each.order_id for each in at_once.still_live] == live
    assert later.still_live == ()
    assert not [each for each in server.accepted() if each.active]


async def test_cancel_all_tells_of_an_order_that_it_could_not_cancel(sim: Simulator, bridge: OrderBridge) -> None:
    """What was placed here, is not listed, and whose cancel has no answer may be live, and the receipt says so."""
    sim.bitcain.fault("late_visibility", operation="place", seconds=10.0, times=1)
    fields = {"symbol": "BTC/USD", "side": "buy", "type": "limit", "quantity": "0.01", "price": "100"}
    order = await bridge.place("bitcain", OrderRequest(**fields), read_back=False)
    sim.bitcain.fault("error_5xx", operation="cancel")

    receipt = await bridge.cancel_all(scope="account", gateway="bitcain")

    assert [each.order_id for each in receipt.still_live] == [order.order_id]
    assert not receipt.is_complete


async def test_fills_and_orders_come_from_those_who_can_tell(sim: Simulator, bridge: OrderBridge) -> None:
    """By default the able gateways answer; one that is named and cannot is refused at once."""
    filled = sim.bitso.put(status="completed")
    listed = sim.bitcain.put()
    since = sim.clock.now() - timedelta(days=1)

    fills = [fill.order_id async for fill in bridge.fills()]
    of_one = [fill.order_id async for fill in bridge.fills(filled.order_id)]
    orders = [order.order_id async for order in bridge.orders(since=since)]

    assert (fills, of_one, orders) == ([filled.order_id], [filled.order_id], [listed.order_id])
    with pytest.raises(NotSupported):
        bridge.fills(gateways=["bitcain"])
    with pytest.raises(NotSupported):
        bridge.orders(since=since, gateways=["bitso"])


async def test_failing_gateway_hides_no_fills_of_others(stub: Any, sim: Simulator) -> None:
    """The orders of a healthy gateway are given first; then the other's error is raised."""
    sim.bitcain.put()
    down = sim.bitcain.gateway(trading_mode="paper", account="down", base_url="http://127.0.0.1:9", retries=QUICK)

    got: list[str] = []

    async def read(bridge: OrderBridge) -> None:
        async for order in bridge.orders(since=sim.clock.now() - timedelta(days=1)):
            got.append(order.order_id)

    async with OrderBridge(down, sim.bitcain.gateway(trading_mode="paper")) as bridge:
        with pytest.raises(VenueUnavailable):
            await read(bridge)

    assert len(got) == 1


async def test_market_of_a_gateway(bridge: OrderBridge) -> None:
    """The rules of one market, by our symbol."""
    assert (await bridge.market("bitso", "btc/mxn")).symbol == "BTC/MXN"
    with pytest.raises(ConfigurationError):
        await bridge.market("bitso", "NO/SUCH")
    with pytest.raises(NotSupported):
        await bridge.market("bitcain", "BTC/USDT")


async def test_slow_or_locked_out_gateway_keeps_no_cancel_from_another(sim: Simulator) -> None:
    """Whoever has the order is asked to cancel it in time, whatever the others do."""
    slow, locked = sim.bitso.put(), sim.bitso.put()
    sim.bitcain.fault("delay", seconds=20)

    async with OrderBridge(sim.bitso.gateway(retries=QUICK), sim.bitcain.gateway(retries=QUICK)) as bridge:
        await bridge.cancel(slow.order_id, timeout=3)
        sim.bitso.fault("throttle", operation="lookup")
        await bridge.lookup("bitso:x1", timeout=0.3)
        with pytest.raises(OutcomeUnknown):
            await bridge.cancel(locked.order_id, timeout=3)

    assert not slow.active
    assert not locked.active


async def test_wait_is_one_of_two_words(bridge: OrderBridge) -> None:
    """A misspelt `wait` is told, and nothing is cancelled."""
    with pytest.raises(ConfigurationError, match="ack"):
        await bridge.cancel("x", wait="don")  # type: ignore[arg-type]


async def test_wrong_prefix_is_told_under_the_call_that_was_made(bridge: OrderBridge) -> None:
    """An error about a ref names the call, so that its line in a log leads to the right place."""
    with pytest.raises(ConfigurationError) as cancelled:
        await bridge.cancel("kraken:x")
    with pytest.raises(ConfigurationError) as listed:
        bridge.fills("kraken:x")

    assert (cancelled.value.operation, listed.value.operation) == ("cancel", "fills")
