"""Orders that ended while nobody looked, at a Bitso that forgets at once: what is said of them, and when."""

from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import Order, OrderEdit, OrderGateway, OrderRequest
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError, OrderNotActive, OrderNotFound, OutcomeUnknown, VenueUnavailable
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.model.results import CancelledOrders
from orderbridge.simulator import Simulator

SETTLE = 120.0
QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A Bitso that forgets an order when it ends."""
    async with Simulator(seed=1, bitso={"visibility_window": 0.0, "trade_lag": 0.0, "pacing": False}) as running:
        yield running


@pytest.fixture
async def gateway(sim: Simulator) -> AsyncIterator[OrderGateway]:
    """A gateway that knows what it has been shown."""
    async with sim.bitso.gateway(retries=QUICK) as made:
        yield made


def limit_buy(**changes: Any) -> OrderRequest:
    fields = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "100000"}
    return OrderRequest(**{**fields, **changes})


def stop_loss() -> OrderRequest:
    return OrderRequest(symbol="BTC/MXN", side="sell", type="stop_loss", quantity="0.01", stop_price="100000")


class Watched(HttpxTransport):
    """Does something after each answer to a path that begins so."""

    def __init__(self) -> None:
        super().__init__()
        self.after: dict[str, Callable[[], object]] = {}

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        answer = await super().send(request, timeout=timeout)
        for path, do in self.after.items():
            if request.target.startswith(path):
                do()
        return answer


async def by_another(sim: Simulator, order: Order) -> None:
    """Cancelled, as in the web page: this gateway hears nothing of it."""
    async with sim.bitso.gateway() as other:
        await other.cancel(order)


def fill(sim: Simulator, order: Order, quantity: str | None = None) -> None:
    sim.bitso.market("btc_mxn").fill(order.order_id, quantity=quantity)


async def ended(sim: Simulator, gateway: OrderGateway, how: str) -> Order:
    """An order that was acknowledged and that ended without a fill."""
    requests = {
        "post_only": limit_buy(price="9000000", post_only=True),
        "ioc": limit_buy(time_in_force="ioc"),
        "fok": limit_buy(time_in_force="fok"),
    }
    order = await gateway.submit(requests.get(how, limit_buy()))
    if how == "by_another":
        await by_another(sim, order)
    assert not sim.bitso.accepted(order_id=order.order_id)[0].active
    return order


@pytest.mark.parametrize("no_trades", ["0378", "empty"])
@pytest.mark.parametrize("miss", ["empty", "0312"])
@pytest.mark.parametrize("how", ["post_only", "ioc", "fok", "by_another"])
async def test_an_order_that_ended_unfilled_is_seen_to_end(
    sim: Simulator, gateway: OrderGateway, how: str, miss: str, no_trades: str
) -> None:
    """Until the settle time it stays as last known, and says why; then it is cancelled with no fills, inferred."""
    sim.bitso.settings.miss, sim.bitso.settings.no_trades = miss, no_trades
    order = await ended(sim, gateway, how)

    at_first = (await gateway.lookup(order))[order]
    sim.clock.advance(SETTLE - 1)
    not_yet = await gateway.get(order)
    sim.clock.advance(1)
    after, again = await gateway.get(order), await gateway.get(f"bitso:client:{order.client_order_id}")

    assert at_first.order is not None
    assert (at_first.order.status, at_first.order.may_be_live) == ("accepted", True)
    assert any("not shown since" in note for note in at_first.notes)
    assert (not_yet.status, not_yet.unseen_since) == ("accepted", at_first.order.unseen_since)
    assert (after.status, after.known_by, after.filled_quantity) == ("cancelled", "inferred", 0)
    assert (after.type, after.price, after.quantity) == (order.type, order.price, order.quantity)
    assert {"look-up: not shown", "open orders: not among them", "order trades: none"} <= set(after.evidence)
    assert (again.status, again.filled_quantity, again.unseen_since) == ("cancelled", 0, None)


@pytest.mark.parametrize("is_filled", [False, True])
async def test_what_a_cancelled_order_had_filled_is_told_in_the_end(
    sim: Simulator, gateway: OrderGateway, is_filled: bool
) -> None:
    """Its end is Bitso's word at once, and its fills are not known before the settle time, as trades come late."""
    sim.bitso.settings.trade_lag = SETTLE / 2
    order = await gateway.submit(limit_buy())
    if is_filled:
        fill(sim, order, "0.004")
    cancelled = await gateway.cancel(order)
    sim.clock.advance(SETTLE - 1)
    not_yet = await gateway.get(order)
    sim.clock.advance(1)
    after = await gateway.get(order)

    assert (cancelled.status, cancelled.known_by, cancelled.filled_quantity) == ("cancelled", "reported", None)
    assert not_yet.filled_quantity == (Decimal("0.004") if is_filled else None)
    assert (after.status, after.known_by, after.unseen_since) == ("cancelled", "reported", None)
    assert after.filled_quantity == (Decimal("0.004") if is_filled else 0)


async def test_trades_of_the_whole_size_tell_at_once(sim: Simulator, gateway: OrderGateway) -> None:
    """Filled, inferred, and completed by what was asked for: neither waited for, nor of an unknown size."""
    order = await gateway.submit(limit_buy())
    fill(sim, order)

    after = await gateway.get(order)

    assert (after.status, after.known_by) == ("filled", "inferred")
    assert (after.filled_quantity, after.quantity, after.average_price) == (Decimal("0.01"), Decimal("0.01"), 100000)
    assert (after.type, after.price) == ("limit", 100000)


@pytest.mark.parametrize("size", [{"quantity": "0.0001"}, {"quote_quantity": "123.45"}])
async def test_a_market_order_is_seen_to_fill(sim: Simulator, gateway: OrderGateway, size: dict[str, str]) -> None:
    """Sized in base or in quote: what its trades leave over buys nothing any more."""
    order = await gateway.submit(OrderRequest(symbol="BTC/MXN", side="buy", type="market", **size))

    after = await gateway.get(order)

    assert (after.status, after.known_by) == ("filled", "inferred")
    assert after.filled_quantity == sim.bitso.accepted()[0].filled


async def test_fills_below_the_size_are_told_and_the_end_waits(sim: Simulator, gateway: OrderGateway) -> None:
    """A part filled, then cancelled elsewhere: the part is told at once, the end after the settle time."""
    order = await gateway.submit(limit_buy())
    fill(sim, order, "0.004")
    await by_another(sim, order)

    at_first = await gateway.get(order)
    sim.clock.advance(SETTLE)
    after = await gateway.get(order)

    assert (at_first.status, at_first.filled_quantity) == ("partially_filled", Decimal("0.004"))
    assert (after.status, after.filled_quantity, after.known_by) == ("cancelled", Decimal("0.004"), "inferred")


@pytest.mark.parametrize("parts", [["0.01"], ["0.004", "0.006"]])
@pytest.mark.parametrize("lag", [60.0, 119.0])
async def test_late_trades_below_the_settle_time_make_no_wrong_end(
    sim: Simulator, gateway: OrderGateway, parts: list[str], lag: float
) -> None:
    """However late its trades, an order that was filled is never said to be over with less."""
    order = await gateway.submit(limit_buy())
    sim.bitso.settings.trade_lag = lag
    for part in parts:
        sim.clock.advance(2)
        fill(sim, order, part)

    looks = []
    for wait in (0, lag - 30, 30, SETTLE):  # reading trades that are not ready takes a few seconds of its own
        sim.clock.advance(wait)
        looks.append(await gateway.get(order))

    assert {(look.status.value, look.is_done) for look in looks[:2]} <= {
        ("accepted", False),
        ("partially_filled", False),
    }
    assert (looks[-1].status, looks[-1].filled_quantity) == ("filled", Decimal("0.01"))
    assert not [look for look in looks if look.status == "cancelled"]


async def test_trades_that_are_not_ready_never_count(sim: Simulator, gateway: OrderGateway) -> None:
    """`0377` says that it matched: whatever the time, the order stays as it was, with that reason."""
    order = await gateway.submit(limit_buy())
    sim.bitso.settings.trade_lag = 1e6
    fill(sim, order)

    for _ in range(3):
        found = (await gateway.lookup(order))[order]
        sim.clock.advance(SETTLE)

    assert found.order is not None
    assert (found.order.status, found.order.may_be_live) == ("accepted", True)
    assert any("0377" in note for note in found.notes)


async def test_trades_that_are_not_ready_are_no_warning(
    sim: Simulator, gateway: OrderGateway, caplog: pytest.LogCaptureFixture
) -> None:
    """They come a second late after each order at market, which is as it should be."""
    order = await gateway.submit(limit_buy())
    sim.bitso.settings.trade_lag = 1e6
    fill(sim, order)

    with caplog.at_level("INFO", logger="orderbridge"):
        await gateway.lookup(order)

    assert {each.levelname for each in caplog.records if "0377" in each.getMessage()} == {"INFO"}


@pytest.mark.parametrize("late", [10.0, 119.0])
async def test_an_order_that_is_shown_late_is_not_said_to_be_over(
    sim: Simulator, gateway: OrderGateway, late: float
) -> None:
    """A new order that is shown nowhere yet stays accepted, and is open as soon as it is shown."""
    sim.bitso.fault("late_visibility", operation="place", seconds=late)
    order = await gateway.submit(limit_buy())

    early = await gateway.get(order)
    sim.clock.advance(late - 1)
    still = await gateway.get(order)
    sim.clock.advance(SETTLE)
    shown = await gateway.get(order)

    assert [look.status for look in (early, still)] == ["accepted", "accepted"]
    assert (shown.status, shown.known_by, shown.unseen_since, shown.anomalies) == ("open", "reported", None, ())


async def test_an_order_that_is_shown_after_it_was_concluded_says_so(sim: Simulator, gateway: OrderGateway) -> None:
    """Later than the settle time: the venue's word counts, and the row names what it contradicts."""
    sim.bitso.fault("late_visibility", operation="place", seconds=SETTLE + 10)
    order = await gateway.submit(limit_buy())

    await gateway.get(order)
    sim.clock.advance(SETTLE)
    wrong = await gateway.get(order)
    sim.clock.advance(10)
    shown, calm = await gateway.get(order), await gateway.get(order)

    assert (wrong.status, shown.status, shown.known_by) == ("cancelled", "open", "reported")
    assert [note for note in shown.anomalies if note.startswith("concluded to be cancelled with 0")]
    assert calm.anomalies == ()


@pytest.mark.parametrize("rebuilt", [False, True])
async def test_a_clock_that_was_set_forward_ends_no_order(sim: Simulator, *, rebuilt: bool) -> None:
    """A live order that is shown late is not called over before this process has lived through the settle time."""
    forward, lived = [0.0], [0.0]
    gateway = sim.bitso.gateway(clock=lambda: sim.clock.time() + forward[0], elapsed=lambda: lived[0])
    async with gateway, sim.bitso.gateway() as other:
        order = await (other if rebuilt else gateway).submit(limit_buy())
        fill(sim, order, "0.004")
        (truth,) = sim.bitso.accepted()
        truth.hidden = True
        await gateway.get(order.order_id)  # at a gateway that was never shown it, it is rebuilt from its trades
        gateway.remember([order])

        looks = []
        forward[0] = 2 * SETTLE
        for lived[0] in (1.0, SETTLE - 1, SETTLE):
            looks.append(await gateway.get(order))

    assert truth.active
    assert [(look.status, look.may_be_live) for look in looks[:2]] == [("partially_filled", True)] * 2
    assert (looks[2].status, looks[2].filled_quantity) == ("cancelled", Decimal("0.004"))


async def test_a_clock_that_was_set_back_lets_the_wait_begin_anew(sim: Simulator) -> None:
    """An hour back, and then forward: neither adds to what was lived through since."""
    now, lived = [sim.clock.time()], [0.0]
    async with sim.bitso.gateway(clock=lambda: now[0], elapsed=lambda: lived[0]) as gateway:
        order = await ended(sim, gateway, "ioc")
        await gateway.get(order)
        looks = []
        for forward, lived[0] in [(-3600, SETTLE), (3600 + SETTLE, SETTLE + 1), (0, 2 * SETTLE)]:
            now[0] += forward
            looks.append(await gateway.get(order))

    assert [look.status for look in looks] == ["accepted", "accepted", "cancelled"]


async def test_being_shown_again_begins_the_wait_anew(sim: Simulator, gateway: OrderGateway) -> None:
    """The settle time is one of being lacking without a break."""
    order = await gateway.submit(limit_buy())
    (truth,) = sim.bitso.accepted()
    truth.hidden = True
    await gateway.get(order)
    sim.clock.advance(SETTLE - 1)
    truth.hidden = False
    shown = await gateway.get(order)
    sim.clock.advance(1)
    truth.hidden = True

    again = await gateway.get(order)

    assert (shown.status, again.status, again.may_be_live) == ("open", "open", True)
    assert again.unseen_since is not None


async def test_reads_go_look_up_open_list_trades_look_up(sim: Simulator, gateway: OrderGateway) -> None:
    """So that an order that fills between two reads cannot hide."""
    order = await ended(sim, gateway, "ioc")
    before = len(sim.bitso.last_requests)

    await gateway.get(order)

    paths = [request.path.removeprefix("/api/v3/") for request in sim.bitso.last_requests][before:]
    oid = order.order_id
    assert paths == [f"orders/{oid}", "open_orders", f"order_trades/{oid}", f"orders/{oid}"]


@pytest.mark.parametrize("after", ["/api/v3/orders", "/api/v3/open_orders"])
async def test_a_fill_between_two_reads_does_not_hide(sim: Simulator, after: str) -> None:
    """It was live for the first read and over for the next: it is filled, and not cancelled."""
    watched = Watched()
    gateway = sim.bitso.gateway(transport=watched)
    order = await gateway.submit(limit_buy())
    (truth,) = sim.bitso.accepted()
    truth.hidden = True
    await gateway.get(order)
    sim.clock.advance(SETTLE)
    watched.after[after] = lambda: truth.active and sim.bitso.engine.fill(truth)

    assert (await gateway.get(order)).status == "filled"
    await gateway.aclose()
    await watched.aclose()


async def test_trades_of_an_order_that_nobody_knew_are_read_once_more_after_the_list(sim: Simulator) -> None:
    """What filled after the first reading of them, and before the list that lacks it, is told too."""
    watched = Watched()
    async with sim.bitso.gateway() as another:
        order = await another.submit(limit_buy())
    (truth,) = sim.bitso.accepted()
    truth.hidden = True
    fill(sim, order, "0.004")
    watched.after["/api/v3/order_trades"] = lambda: truth.active and sim.bitso.engine.fill(truth)

    async with sim.bitso.gateway(transport=watched) as gateway:
        told = await gateway.get(f"bitso:{order.order_id}")

    assert told.filled_quantity == Decimal("0.01")
    await watched.aclose()


@pytest.mark.parametrize("operation", ["open_orders", "order_trades"])
async def test_a_read_that_failed_proves_nothing(sim: Simulator, gateway: OrderGateway, operation: str) -> None:
    """Without the list, or without the trades, no end is concluded, however long it has been lacking."""
    order = await ended(sim, gateway, "ioc")
    await gateway.get(order)
    sim.clock.advance(SETTLE)
    sim.bitso.fault("error_5xx", operation=operation, times=2 * QUICK.tries)

    try:
        found = (await gateway.get(order)).status
    except VenueUnavailable:
        found = None
    sim.bitso.clear_faults()

    assert found in (None, "accepted")
    assert (await gateway.get(order)).status == "cancelled"


async def test_a_second_look_up_that_fails_proves_nothing(sim: Simulator, gateway: OrderGateway) -> None:
    """The last of the four reads counts like the others."""
    order = await ended(sim, gateway, "ioc")
    await gateway.get(order)
    sim.clock.advance(SETTLE)
    sim.bitso.fault("error_5xx", operation="lookup", nth=2, times=QUICK.tries)

    assert (await gateway.get(order)).status == "accepted"
    assert (await gateway.get(order)).status == "cancelled"


class Garbling(HttpxTransport):
    """One of its lists has a row that cannot be read, for a while."""

    garbles = True

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        answer = await super().send(request, timeout=timeout)
        if self.garbles and request.target.startswith(f"/api/v3/{self.path}"):
            return WireResponse(200, {}, b'{"success": true, "payload": [{"oid": "other12345678901", "side": "?"}]}')
        return answer


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("open_orders", "a row of the open orders could not be read, and may be it"),
        ("order_trades", "its trades could not be read"),
    ],
)
async def test_a_row_that_cannot_be_read_may_be_it(sim: Simulator, path: str, why: str) -> None:
    """A list with such a row is not complete: nothing has ended by it, and everything once it can be read."""
    transport = Garbling(path)
    async with sim.bitso.gateway(transport=transport, retries=QUICK) as gateway:
        order = await gateway.submit(limit_buy())
        await by_another(sim, order)
        await gateway.lookup(order)
        sim.clock.advance(SETTLE)

        found = (await gateway.lookup(order))[order]
        transport.garbles = False
        after = await gateway.get(order)
    await transport.aclose()

    assert found.order is not None
    assert (found.order.status, found.order.may_be_live) == ("accepted", True)
    assert any(why in note for note in found.notes)
    assert after.status == "cancelled"


async def test_an_id_that_only_the_caller_gave_is_not_seen(sim: Simulator, gateway: OrderGateway) -> None:
    """An id, or an order, that the venue never showed us is concluded nothing of, at whatever time."""
    given = Order(venue="bitso", order_id="neverShown000001", symbol="BTC/MXN", side="buy", quantity="1", status="open")

    for _ in range(3):
        for ref in (given, "bitso:neverShown000001", "bitso:client:neverSent"):
            with pytest.raises(OrderNotFound):
                await gateway.get(ref)
        sim.clock.advance(SETTLE)


async def test_a_send_that_was_not_acknowledged_is_not_seen(sim: Simulator, gateway: OrderGateway) -> None:
    """The client id of a lost answer is no id that the venue showed us."""
    sim.bitso.fault("drop", operation="place")
    with pytest.raises(OutcomeUnknown):
        await gateway.submit(limit_buy(client_order_id="lost-1"))

    for _ in range(3):
        found = (await gateway.lookup("bitso:client:lost-1"))["bitso:client:lost-1"]
        sim.clock.advance(SETTLE)

    assert found.orders == ()
    assert not found.proven_absent


async def test_a_cancel_of_an_order_that_had_ended_tells_how(sim: Simulator, gateway: OrderGateway) -> None:
    """It is no error: as last known at first, cancelled after the settle time, and nothing is unclear."""
    order = await ended(sim, gateway, "post_only")

    at_first = await gateway.cancel(order)
    sim.clock.advance(SETTLE)
    after = await gateway.cancel(order)

    assert (at_first.status, at_first.may_be_live) == ("accepted", True)
    assert (after.status, after.known_by, after.filled_quantity) == ("cancelled", "inferred", 0)


async def test_an_edit_of_an_order_that_had_ended_says_so(sim: Simulator, gateway: OrderGateway) -> None:
    """Once its end is concluded the edit is refused with it, and nothing is sent."""
    order = await ended(sim, gateway, "by_another")
    await gateway.get(order)
    sim.clock.advance(SETTLE)
    before = sim.bitso.requests["PATCH /api/v4/orders"]

    with pytest.raises(OrderNotActive) as refused:
        await gateway.edit(order, OrderEdit(quantity="0.02", price="110000"))

    assert (refused.value.order.status, refused.value.order.filled_quantity) == ("cancelled", 0)
    assert sim.bitso.requests["PATCH /api/v4/orders"] == before


async def test_fills_of_the_size_before_a_lost_edit_are_not_the_whole(sim: Simulator, gateway: OrderGateway) -> None:
    """An edit whose answer was lost may have made the order larger: fills of the old size do not fill it at once."""
    order = await gateway.submit(limit_buy())
    sim.bitso.fault("accept_then_drop", operation="edit")
    with pytest.raises(OutcomeUnknown):
        await gateway.edit(order, OrderEdit(quantity="0.02", price="100000"))
    (truth,) = sim.bitso.accepted()
    fill(sim, order, "0.01")
    truth.hidden = True

    told = await gateway.get(order)

    assert truth.active
    assert (told.status, told.may_be_live) == ("partially_filled", True)


async def test_what_a_cancel_listed_stays_cancelled(sim: Simulator, gateway: OrderGateway) -> None:
    """An end that Bitso itself told is told again after it forgot the order, as reported, and with late trades."""
    order = await gateway.submit(limit_buy())
    sim.bitso.settings.trade_lag = 30.0
    fill(sim, order, "0.004")
    await gateway.cancel(order)

    sim.clock.advance(30)
    later = await gateway.get(order)

    assert (later.status, later.known_by, later.filled_quantity) == ("cancelled", "reported", Decimal("0.004"))


@pytest.mark.parametrize("trades", ["not ready", "refused"])
@pytest.mark.parametrize("end", ["filled", "cancelled"])
async def test_an_end_that_was_shown_is_told_whole_for_ever(
    sim: Simulator, gateway: OrderGateway, end: str, trades: str
) -> None:
    """Once look-up told an end with its fills, that stands as it is, though Bitso forgot it and tells no trades."""
    sim.bitso.settings.visibility_window = 60.0
    sim.bitso.settings.trade_lag = 1e6
    order = await gateway.submit(limit_buy())
    fill(sim, order, None if end == "filled" else "0.004")
    if end == "cancelled":
        await by_another(sim, order)
    at_first = await gateway.get(order)
    sim.clock.advance(61)
    if trades == "refused":
        sim.bitso.fault("error_5xx", operation="order_trades", probability=1.0)

    later = await gateway.get(order)

    facts = ("status", "known_by", "filled_quantity", "filled_quote_quantity", "average_price")
    assert (at_first.status, at_first.known_by, at_first.filled_quantity) == (
        end,
        "reported",
        Decimal("0.01" if end == "filled" else "0.004"),
    )
    assert [getattr(later, name) for name in facts] == [getattr(at_first, name) for name in facts]
    assert not any("before the cancel" in note for note in later.evidence)


async def test_of_too_many_that_are_forgotten_the_rest_is_told_as_last_known(sim: Simulator) -> None:
    """Whose trades are not read any more keeps what was known of it: an end that was told, or that it may be live."""
    sim.bitso.settings.visibility_window = 60.0
    async with sim.bitso.gateway(rebuild_limit=1, retries=QUICK) as gateway:
        ended, working = await gateway.submit(limit_buy()), await gateway.submit(limit_buy())
        fill(sim, ended)
        told = await gateway.get(ended)
        await by_another(sim, working)
        sim.clock.advance(SETTLE + 61)

        result = await gateway.lookup("bitso:gone000000000001", ended, working)
        of_ended, of_working = (result[each].order for each in (ended, working))

    assert of_ended == told
    assert of_working is not None
    assert (of_working.status, of_working.known_by, of_working.may_be_live) == ("accepted", "inferred", True)
    assert all("trades were not searched" in result[each].notes[0] for each in (ended, working))


@pytest.mark.parametrize("lists", ["all", "limit"])
async def test_the_open_list_proves_nothing_about_a_stop(lists: Any, sim: Simulator, gateway: OrderGateway) -> None:
    """A stop that waits may be missing from it: whether it ended stays open, with that reason, at whatever time."""
    sim.bitso.settings.open_orders_types = lists
    order = await gateway.submit(stop_loss())
    (truth,) = sim.bitso.accepted()
    truth.hidden = True

    for _ in range(3):
        found = (await gateway.lookup(order))[order]
        sim.clock.advance(SETTLE)

    assert truth.active
    assert found.order is not None
    assert (found.order.status, found.order.may_be_live) == ("accepted", True)
    assert any("stops that wait" in note for note in found.notes)


async def test_a_list_that_may_leave_out_stops_says_so(sim: Simulator, gateway: OrderGateway) -> None:
    """The list and the capabilities name the types of which it is not complete."""
    listed = await gateway.open_orders()

    assert listed.may_lack == gateway.capabilities.open_orders_may_lack == {"stop_loss", "stop_limit"}


async def test_a_stop_is_seen_to_fill(sim: Simulator, gateway: OrderGateway) -> None:
    """Trades of its whole size are proof for a stop as well."""
    order = await gateway.submit(stop_loss())
    fill(sim, order)

    assert (await gateway.get(order)).status == "filled"


async def test_a_cancel_that_leaves_a_stop_out_is_proof_of_its_end(sim: Simulator, gateway: OrderGateway) -> None:
    """Bitso lists what it cancels: a stop that is left out, before and after the settle time, had ended."""
    order = await gateway.submit(stop_loss())
    await by_another(sim, order)

    at_first = await gateway.cancel(order)
    sim.clock.advance(SETTLE)
    by_look_up = await gateway.get(order)
    after = await gateway.cancel(order)

    assert [at_first.status, by_look_up.status] == ["accepted", "accepted"]
    assert (after.status, after.known_by, after.filled_quantity) == ("cancelled", "inferred", 0)


async def test_cancelling_all_of_a_symbol_finds_the_stops_that_the_list_leaves_out(
    sim: Simulator, gateway: OrderGateway
) -> None:
    """What this gateway knows to wait is cancelled with what the list shows."""
    sim.bitso.settings.open_orders_types = "limit"
    await gateway.submit(stop_loss())
    await gateway.submit(limit_buy())

    orders = await gateway.cancel_all(symbol="BTC/MXN")

    assert [order.status for order in orders] == ["cancelled", "cancelled"]
    assert not [order for order in sim.bitso.accepted() if order.active]


@pytest.mark.parametrize("symbol", ["btc/mxn", None])
@pytest.mark.parametrize("request_", [stop_loss(), limit_buy()], ids=["stop", "new"])
async def test_cancelling_all_finds_what_no_list_shows(
    sim: Simulator, gateway: OrderGateway, symbol: str | None, request_: OrderRequest
) -> None:
    """By symbol, or after "cancel all" had no answer, a stop and an order of just now are cancelled by their oids."""
    sim.bitso.settings.open_orders_types = "limit"
    sim.bitso.fault("late_visibility", operation="place", seconds=10.0, times=1)
    order = await gateway.submit(request_)
    if symbol is None:
        sim.bitso.fault("error_5xx", operation="cancel", times=1)

    orders = await gateway.cancel_all(symbol=symbol)

    assert [(each.order_id, each.status) for each in orders] == [(order.order_id, "cancelled")]
    assert not [each for each in sim.bitso.accepted() if each.active]
    assert isinstance(orders, CancelledOrders)
    assert orders.may_lack == {"stop_loss", "stop_limit"}


async def test_cancelling_all_lacks_nothing_once_the_venue_cancelled_all(sim: Simulator, gateway: OrderGateway) -> None:
    """What "cancel all" answered holds for stops that no list shows, and for those of other processes."""
    sim.bitso.settings.open_orders_types = "limit"
    sim.bitso.settings.visibility_window = 3600.0
    async with sim.bitso.gateway() as other:
        await other.submit(stop_loss())

    orders = await gateway.cancel_all()

    assert isinstance(orders, CancelledOrders)
    assert orders.may_lack == frozenset()
    assert not [each for each in sim.bitso.accepted() if each.active]


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), "120", True])
def test_a_settle_time_that_is_none_is_refused(wrong: Any) -> None:
    """It is seconds from 0 on."""
    with pytest.raises(ConfigurationError, match="settle_time is"):
        BitsoGateway(api_key="k", api_secret="s", settle_time=wrong)


async def test_the_settle_time_is_a_setting(sim: Simulator) -> None:
    """Where it is known to be shorter, an end is told sooner."""
    async with sim.bitso.gateway(settle_time=2.0) as gateway:
        order = await ended(sim, gateway, "ioc")
        await gateway.get(order)
        sim.clock.advance(2)

        assert (await gateway.get(order)).status == "cancelled"
