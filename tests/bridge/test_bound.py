"""One gateway of a bridge, on the simulated Bitso and Bitcain: the calls of a gateway, each written down."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Alarm, OrderBridge, OrderEdit, OrderGateway, OrderRequest, Permit, PlacementState
from orderbridge.bound import BoundGateway
from orderbridge.errors import (
    AmbiguousRef,
    ConfigurationError,
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    NotSupported,
    OrderDenied,
    OrderNotActive,
    OutcomeUnknown,
    RateLimited,
)
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from tests.bridge.kit import QUICK, Bound
from tests.kind import KIND


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Both simulated venues, without pacing where that can be left out."""
    async with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


@pytest.fixture
async def make(sim: Simulator, tmp_path: Path) -> AsyncIterator[Callable[[str], Bound]]:
    """Makes a bridge over one venue, and closes it."""
    bridges: list[OrderBridge] = []

    def made(venue: str) -> Bound:
        journal = SqliteJournal(tmp_path / f"{venue}.db")
        settings: dict[str, Any] = {"retries": QUICK}
        settings |= {"trading_mode": "paper"} if venue == "bitcain" else {}
        server = getattr(sim, venue)
        quick: dict[str, Any] = {"settle_horizon": 0.1, "probe_times": (0.01, 0.03, 0.06, 0.15, 0.2, 0.3)}
        bridge = OrderBridge(server.gateway(**settings), journal=journal, on_alarm=alarms.append, **quick)
        bridges.append(bridge)
        if venue == "bitso":
            return Bound(server, bridge, journal, "BTC/MXN", "btc_mxn", "560000", "POST /api/v3/orders")
        return Bound(server, bridge, journal, "BTC/USDT", "BTC/USDT", "30000", "POST /api/v1/orders")

    alarms: list[Alarm] = []
    yield made
    for bridge in bridges:
        await bridge.aclose()


@pytest.fixture(params=["bitso", "bitcain"])
def bound(request: pytest.FixtureRequest, make: Callable[[str], Bound]) -> Bound:
    """A gateway of each venue in turn."""
    return make(request.param)


async def test_it_is_a_gateway(bound: Bound) -> None:
    """It passes for what an adapter passes for, and what the adapter has of its own is reached through it."""
    assert isinstance(bound.gateway, OrderGateway)
    assert (bound.gateway.name, bound.gateway.venue) == (bound.bridge.names[0], bound.bridge.names[0])
    assert bound.gateway.capabilities == bound.gateway.gateway.capabilities
    assert repr(bound.gateway) == repr(bound.gateway.gateway)
    with pytest.raises(AttributeError):
        bound.gateway.no_such_call  # noqa: B018


@pytest.mark.parametrize("name", [name for name in vars(OrderGateway) if name[0] != "_"])
def test_its_calls_fit_those_of_a_gateway(name: str) -> None:
    """What may be called with some arguments may be called with them here, and each says what it does."""
    theirs, mine = getattr(OrderGateway, name), getattr(BoundGateway, name)
    if isinstance(theirs, property):
        assert isinstance(mine, property)
        assert inspect.getdoc(mine) == inspect.getdoc(theirs)
        return

    def shape(call: Any) -> list[Any]:
        _self, *parameters = inspect.signature(call).parameters.values()
        return [(each.name, each.kind, each.default) for each in parameters]

    assert shape(mine) == shape(theirs)
    assert not (inspect.getdoc(mine) or "As").startswith("As")
    assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(theirs)


async def test_reads_are_written_down(bound: Bound) -> None:
    """Whatever shows an order, the journal knows it from then on."""
    looked_up, got, listed = bound.put(), bound.put(), bound.put()

    await bound.gateway.lookup(looked_up.order_id)
    await bound.gateway.get(got.order_id)
    after_two = [await bound.known(order) for order in (looked_up, got, listed)]
    await bound.gateway.open_orders()
    after_all = await bound.known(listed)

    assert [order and order.status.value for order in after_two] == ["open", "open", None]
    assert after_all is not None
    assert after_all.status == "open"


async def test_cancels_are_written_down(bound: Bound) -> None:
    """One that is cancelled, one that turned out filled, and those that a sweep ends."""
    one, filled, swept = bound.put(), bound.put(), bound.put()
    await bound.gateway.open_orders()
    bound.fill(filled)

    await bound.gateway.cancel(one.order_id)
    await bound.gateway.cancel(filled.order_id)
    await bound.gateway.cancel_all()

    states = [order and order.status.value for order in [await bound.known(each) for each in (one, filled, swept)]]
    assert states == ["cancelled", "filled", "cancelled"]


async def test_edits_are_written_down(bound: Bound) -> None:
    """The new total of a change, and the end of an order that was over before the change came."""
    working, over = bound.put(), bound.put()
    await bound.gateway.open_orders()
    bound.fill(over)

    await bound.gateway.edit(working.order_id, OrderEdit(quantity="0.02", price=bound.price))
    with pytest.raises(OrderNotActive):
        await bound.gateway.edit(over.order_id, OrderEdit(quantity="0.02", price=bound.price))

    changed, ended = await bound.known(working), await bound.known(over)
    assert changed is not None
    assert ended is not None
    assert (changed.quantity, ended.status) == (Decimal("0.02"), "filled")


async def test_orders_that_share_an_id_are_written_down(make: Callable[[str], Bound]) -> None:
    """A ref that several answer to is an error for the caller, and knowledge for the journal."""
    bitso = make("bitso")
    twins = [bitso.put(origin_id="same") for _ in range(2)]

    with pytest.raises(AmbiguousRef):
        await bitso.gateway.get("bitso:client:same")

    assert all([await bitso.known(order) is not None for order in twins])


async def test_history_is_written_down(make: Callable[[str], Bound], sim: Simulator) -> None:
    """Each order of a listing, those that were read before the caller left it too."""
    bitcain = make("bitcain")
    orders = [bitcain.put(status="cancelled") for _ in range(3)]
    since = sim.clock.now() - timedelta(days=1)

    seen = []
    async for order in bitcain.gateway.orders(since=since):
        seen.append(order.order_id)
        if len(seen) == 2:
            break
    bitcain_known = [order.order_id for order in orders if await bitcain.known(order) is not None]

    assert sorted(bitcain_known) == sorted(seen)
    with pytest.raises(NotSupported):
        make("bitso").gateway.orders(since=since)


async def test_fills_grow_what_is_known(make: Callable[[str], Bound], sim: Simulator) -> None:
    """What the fills add up to is filled at least; a listing with fewer of them takes nothing back."""
    bitso = make("bitso")
    put = bitso.put()
    order = await bitso.gateway.get(put.order_id)
    bitso.fill(put, "0.004")
    sim.clock.advance(60)
    between = sim.clock.now()
    sim.clock.advance(60)
    bitso.fill(put, "0.003")

    whole = [fill.quantity async for fill in bitso.gateway.fills(order)]
    after_all = await bitso.known(put)
    part = [fill.quantity async for fill in bitso.gateway.fills(since=between)]
    after_part = await bitso.known(put)

    assert (sum(whole), sum(part)) == (Decimal("0.007"), Decimal("0.003"))
    assert after_all is not None
    assert (after_all.filled_quantity, after_all.status) == (Decimal("0.007"), "partially_filled")
    assert after_all.average_price == Decimal(bitso.price)
    assert after_part == after_all


async def test_a_retry_is_written_down(make: Callable[[str], Bound]) -> None:
    """A failed order that begins anew works again for the journal; one that is not failed shows how it stands."""
    bitcain = make("bitcain")
    failed, working = bitcain.put(status="failed"), bitcain.put()
    await bitcain.gateway.get(failed.order_id)

    after = await bitcain.gateway.retry_failed(failed.order_id)
    with pytest.raises(OrderNotActive):
        await bitcain.gateway.retry_failed(working.order_id)

    known, shown = await bitcain.known(after), await bitcain.known(working)
    assert known is not None
    assert known.status == after.status == "open"
    assert shown is not None
    with pytest.raises(NotSupported, match="retry_failed"):
        await make("bitso").gateway.retry_failed("x")


async def test_submit_is_journalled(bound: Bound) -> None:
    """One raw send is a placement like every other, before and after it."""
    order = await bound.gateway.submit(bound.buy())

    (placement,) = await bound.bridge.placements()
    assert (placement.state, placement.attempts, placement.key) == (PlacementState.PLACED, 1, None)
    assert (placement.order and placement.order.key, placement.client_order_id) == (order.key, order.client_order_id)


async def test_submit_with_an_outcome_that_is_not_known_is_followed_up(bound: Bound) -> None:
    """The error carries the placement; without another call it comes to be placed, and nothing is sent twice."""
    bound.sim.fault("accept_then_drop", operation="place", nth=1)

    with pytest.raises(OutcomeUnknown) as caught:
        await bound.gateway.submit(bound.buy())
    assert caught.value.placement is not None
    for _ in range(500):
        if await bound.bridge.placements(state="placed"):
            break
        await asyncio.sleep(0.02)

    (placement,) = await bound.bridge.placements(state="placed")
    assert placement.placement_id == caught.value.placement.placement_id
    assert bound.writes() == 1


@pytest.mark.parametrize("call", ["place", "submit"])
async def test_a_throttled_order_is_unknown_because_of_that(bound: Bound, call: str) -> None:
    """`RateLimited` is behind it, as it is behind a gateway's own, and the placement is there to be resolved."""
    bound.sim.fault("throttle", operation="place", nth=1)

    with pytest.raises(OutcomeUnknown) as caught:
        await getattr(bound.gateway, call)(bound.buy())

    assert isinstance(caught.value.__cause__, RateLimited)
    assert caught.value.placement is not None
    assert bound.writes() == 1


async def test_submit_of_an_id_that_the_venue_has_is_a_duplicate(make: Callable[[str], Bound]) -> None:
    """What Bitso says of an id it has is raised as its gateway raises it, and the placement is not called absent."""
    bitso = make("bitso")
    await bitso.gateway.gateway.submit(bitso.buy(client_order_id="mine"))

    with pytest.raises(DuplicateClientOrderId):
        await bitso.gateway.submit(bitso.buy(client_order_id="mine"))

    (placement,) = await bitso.bridge.placements()
    assert placement.state in {PlacementState.UNCERTAIN, PlacementState.PLACED}


async def test_submit_of_an_id_that_the_journal_has_is_denied(bound: Bound) -> None:
    """An id that was sent before under this journal is not sent again, whatever the venue thinks of that."""
    await bound.gateway.submit(bound.buy(client_order_id="mine"))

    with pytest.raises(OrderDenied) as denied:
        await bound.gateway.submit(bound.buy(client_order_id="mine"))

    assert denied.value.rule == "client_order_id"
    assert bound.writes() == 1


async def test_submit_spends_the_permit_it_gets(bound: Bound) -> None:
    """The caller's permit is the one that is used; spent, or of another, it is refused, and nothing is sent."""
    permit = await bound.gateway.permit("place")
    foreign = Permit(gateway="elsewhere", lane="place", granted_at=0.0)

    await bound.gateway.submit(bound.buy(), permit=permit)
    assert permit.spent
    for wrong in (permit, foreign):
        with pytest.raises(ConfigurationError):
            await bound.gateway.submit(bound.buy(), permit=wrong)

    assert bound.writes() == 1


async def test_submit_after_its_time_is_not_sent(bound: Bound) -> None:
    """Past `not_after` nothing leaves."""
    past = asyncio.get_running_loop().time() - 1

    with pytest.raises(NotSent):
        await bound.gateway.submit(bound.buy(), not_after=past)

    assert bound.writes() == 0


async def test_place_and_its_kin_are_bound(bound: Bound) -> None:
    """The bridge's own acts, without the gateway's name."""
    prepared = await bound.gateway.prepare(bound.buy(), key="k1")
    order = await bound.gateway.place(prepared, read_back=True)
    many = await bound.gateway.place_many({"k2": bound.buy(quantity="0.02")})
    placement = await bound.gateway.placement(key="k1")

    assert placement is not None
    assert (placement.placement_id, placement.order) == (prepared.placement_id, order)
    assert many["k2"].state is PlacementState.PLACED
    assert await bound.bridge.placement(key="k2", gateway=bound.gateway.name) == await bound.gateway.placement(key="k2")


async def test_a_journal_that_cannot_be_written_stops_placing_only(
    bound: Bound, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent that is not written down first; reads, edits and cancels go on, and what is lost is logged."""
    orders = [bound.put() for _ in range(3)]
    await bound.spoil()

    with pytest.raises(JournalError):
        await bound.gateway.place(bound.buy())
    with pytest.raises(JournalError):
        await bound.gateway.submit(bound.buy())
    found = await bound.gateway.lookup(orders[0].order_id)
    opened = await bound.gateway.open_orders()
    edited = await bound.gateway.edit(orders[1].order_id, OrderEdit(quantity="0.02", price=bound.price))
    cancelled = await bound.gateway.cancel(orders[0].order_id)
    swept = await bound.gateway.cancel_all()
    await bound.bridge._placements.recorder.finish()

    assert bound.writes() == 0
    assert [order.order_id for order in found.orders] == [orders[0].order_id]
    assert len(opened) == 3
    assert edited.quantity == Decimal("0.02")
    assert (cancelled.status, len(swept)) == ("cancelled", 2)
    assert "what was seen of orders could not be stored" in caplog.text


SECONDS: list[Any] = [float("inf"), float("-inf"), float("nan"), -0.1, "5", True]
WHAT = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="1", price="1")


@pytest.mark.parametrize("seconds", SECONDS)
async def test_a_time_limit_without_an_end_is_refused_at_every_call(sim: Simulator, seconds: Any) -> None:
    """Infinite, negative and no numbers: refused before anything is sent, by the bridge and by each gateway."""
    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway()) as bridge:
        calls: list[Callable[[], Any]] = [
            lambda: bridge.lookup("bitso:A", timeout=seconds),
            lambda: bridge.get("bitso:A", timeout=seconds),
            lambda: bridge.open_orders(timeout=seconds),
            lambda: bridge.cancel("bitso:A", timeout=seconds),
            lambda: bridge.cancel("bitso:A", wait="done", timeout=seconds),
            lambda: bridge.edit("bitso:A", OrderEdit(quantity="2"), timeout=seconds),
            lambda: bridge.cancel_all(scope="account", timeout=seconds),
            lambda: bridge.market("bitso", "BTC/MXN", timeout=seconds),
            lambda: bridge.place("bitso", WHAT, timeout=seconds),
            lambda: bridge.place("bitso", WHAT, send_within=seconds),
            lambda: bridge.place_many("bitso", {"a": WHAT}, timeout=seconds),
            lambda: bridge.place_many("bitso", {"a": WHAT}, send_within=seconds),
        ]
        for each in (*map(bridge.__getitem__, bridge.names), *bridge._gateways.values()):
            calls += [
                lambda gateway=each: gateway.permit(timeout=seconds),
                lambda gateway=each: gateway.lookup("A", timeout=seconds),
                lambda gateway=each: gateway.get("A", timeout=seconds),
                lambda gateway=each: gateway.open_orders(timeout=seconds),
                lambda gateway=each: gateway.cancel("A", timeout=seconds),
                lambda gateway=each: gateway.cancel_all(timeout=seconds),
                lambda gateway=each: gateway.edit("A", OrderEdit(quantity="2"), timeout=seconds),
                lambda gateway=each: gateway.submit(WHAT, timeout=seconds),
            ]
        for call in calls:
            with pytest.raises(ConfigurationError, match="is a number of seconds"):
                await call()
        for stream in (
            lambda: bridge.orders(since=datetime(2026, 1, 1, tzinfo=UTC), timeout=seconds),
            lambda: bridge.fills(timeout=seconds),
        ):
            with pytest.raises(ConfigurationError, match="is a number of seconds"):
                stream()
        assert not sim.bitso.requests
        assert not sim.bitcain.requests
