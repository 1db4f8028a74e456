"""Cancelling: never concluded from an acknowledgement, never in the wrong mode, and told as the order stands."""

import asyncio
import itertools
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.http.limits import Rate
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.basics import KnownBy, OrderStatus
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import OrderRequest
from orderbridge.simulator import Simulator

LIMIT = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.5", price="60000", client_order_id="bot-1")


def iter_tokens() -> Callable[[], Any]:
    """A provider whose every token is another."""
    numbers = itertools.count()

    async def token() -> str:
        return f"refused-later-{next(numbers)}"

    return token


def deletes(sim: Simulator) -> int:
    return sum(count for name, count in sim.bitcain.requests.items() if name.startswith("DELETE"))


async def test_the_bytes_of_a_cancel(sim: Simulator, connect: Any) -> None:
    """A DELETE of the UUID without query or body; an order that was given as one needs no reading."""
    gateway = connect()
    order = await gateway.submit(LIMIT)

    after = await gateway.cancel(order)

    request = sim.bitcain.last_requests[-1]
    assert (request.method, request.target) == ("DELETE", f"/api/v1/orders/{order.order_id}")
    assert (request.body, request.headers["authorization"]) == (b"", f"Bearer {sim.bitcain.token}")
    assert "content-type" not in request.headers
    assert (after.status, after.known_by, after.evidence) == (
        OrderStatus.CANCELLED,
        KnownBy.REPORTED,
        ("we asked for the cancel",),
    )
    assert sum(sim.bitcain.requests.values()) == 2


async def test_balances_are_as_they_were(sim: Simulator, connect: Any) -> None:
    """An order that is placed and cancelled leaves nothing behind, by the simulator's books."""
    before = {mode: dict(held) for mode, held in sim.bitcain.balances.items()}
    gateway = connect()

    await gateway.cancel(await gateway.submit(LIMIT))

    assert {mode: dict(held) for mode, held in sim.bitcain.balances.items()} == before


@pytest.mark.parametrize("way", ["uuid", "upper", "ref", "key", "client", "client_ref"])
async def test_every_ref_is_taken(sim: Simulator, connect: Any, way: str) -> None:
    """By UUID after one read; by client id after a scan, since DELETE takes UUIDs only."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    refs = {
        "uuid": order.order_id,
        "upper": order.order_id.upper(),
        "ref": f"bitcain:{order.order_id}",
        "key": order.key,
        "client": "bot-1",
        "client_ref": OrderRef(client_order_id="bot-1"),
    }

    after = await gateway.cancel(refs[way])

    assert (after.order_id, after.status) == (order.order_id, OrderStatus.CANCELLED)
    assert deletes(sim) == 1


@pytest.mark.parametrize("ref", ["bitcain:all", OrderRef(order_id="a/b"), OrderRef(order_id="../x"), "order:7"])
async def test_an_id_that_is_none_is_refused_before_sending(sim: Simulator, connect: Any, ref: Any) -> None:
    """Ids are UUIDs: whatever else stands for one reaches no path."""
    with pytest.raises(errors.OrderNotFound) as caught:
        await connect().cancel(ref)

    assert not caught.value.found.proven_absent
    assert not sim.bitcain.requests


@pytest.mark.parametrize("ref", ["all", "a/b", "../x", "no-such-order"])
async def test_a_client_id_that_is_not_listed_is_not_found(sim: Simulator, connect: Any, ref: str) -> None:
    """Nothing is deleted, and the miss proves nothing, since older orders were not searched."""
    with pytest.raises(errors.OrderNotFound, match="not among the orders listed") as caught:
        await connect().cancel(ref)

    assert not caught.value.found.proven_absent
    assert deletes(sim) == 0


async def test_an_unknown_uuid_is_proven_absent(sim: Simulator, connect: Any) -> None:
    """Bitcain's own 404 to an order id, before or at the cancel."""
    gateway = connect()
    lost = (await gateway.submit(LIMIT)).model_copy(update={"order_id": "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"})

    for ref in (OrderRef(order_id=lost.order_id), lost):
        with pytest.raises(errors.OrderNotFound) as caught:
            await gateway.cancel(ref)
        assert caught.value.found.proven_absent


async def test_an_acknowledgement_is_read_after(sim: Simulator, connect: Any) -> None:
    """It says nothing of the order; one read does."""
    sim.bitcain.settings.cancel_answer = "acknowledgement"
    gateway = connect()
    order = await gateway.submit(LIMIT)

    after = await gateway.cancel(order)

    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.REPORTED)
    assert sim.bitcain.last_requests[-1].method == "GET"


async def test_an_order_that_works_on_is_returned_as_it_is(sim: Simulator, connect: Any) -> None:
    """Open, with the cancel on its way; once it has ended, the end is reported, for we asked for it."""
    sim.bitcain.settings.cancel_answer, sim.bitcain.settings.cancel_takes = "still_open", 0.05
    gateway = connect()
    order = await gateway.submit(LIMIT)

    after = await gateway.cancel(order)

    assert (after.status, after.cancel_requested, after.may_be_live) == (OrderStatus.OPEN, True, True)
    await asyncio.sleep(0.1)
    later = await gateway.get(order.order_id)
    assert (later.status, later.known_by, later.cancel_requested) == (
        OrderStatus.CANCELLED,
        KnownBy.REPORTED,
        False,
    )


async def test_an_acknowledgement_that_cannot_be_read_after_is_no_error(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """The order is as it was known, with the cancel on its way; never cancelled, never an exception."""
    server.rows = [kit.row(1)]
    gateway = make()
    order = await gateway.get(kit.uuid(1))
    server.writes = [kit.reply({"success": True, "message": "Cancel requested"})]
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [kit.reply(b"", 503)]

    after = await gateway.cancel(order)

    assert (after.status, after.cancel_requested) == (OrderStatus.OPEN, True)
    assert "cancel: acknowledged, not read back" in after.evidence


async def test_an_answer_from_before_the_cancel_is_read_again(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A server that shows the order as it was, or another one, does not decide."""
    for stale in (kit.row(1), kit.row(2, status="cancelled")):
        server.rows = [kit.row(1)]

        def cancel(_: Any, stale: Any = stale) -> Any:
            server.rows = [kit.row(1, status="cancelled")]
            return kit.reply({"success": True, "order": stale})

        server.writes = [cancel]

        assert (await make().cancel(kit.uuid(1))).status is OrderStatus.CANCELLED


@pytest.mark.parametrize("place", ["order", "data", "cancelled_order", "canceled_order"])
async def test_the_order_is_found_wherever_it_stands(
    server: Any, make: Callable[..., Any], kit: Any, place: str
) -> None:
    """In one of the envelopes, and then nothing is read after."""
    server.rows = [kit.row(1)]
    server.writes = [kit.reply({place: kit.row(1, status="canceled")})]

    after = await make().cancel(kit.uuid(1))

    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.REPORTED)
    assert len(server.requests) == 2


async def test_too_late_is_no_error(sim: Simulator, connect: Any) -> None:
    """An order that filled meanwhile comes back filled; so does one that had ended before, without a DELETE."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault("fill_first", operation="cancel")

    filled = await gateway.cancel(order)
    again = await gateway.cancel(order.order_id)

    assert (filled.status, filled.filled_quantity) == (OrderStatus.FILLED, Decimal("0.5"))
    assert (again.status, deletes(sim)) == (OrderStatus.FILLED, 1)


async def test_fills_before_the_cancel_are_kept(sim: Simulator, connect: Any) -> None:
    """A part that was filled stands in the cancelled order."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.market("BTC/USDT").fill(order.order_id, quantity="0.2")

    after = await gateway.cancel(order)

    assert (after.status, after.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.2"))


async def test_cancelling_twice_is_no_error(sim: Simulator, connect: Any) -> None:
    """The second finds it cancelled, by us, whether or not it is read first."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    await gateway.cancel(order)

    for ref in (order, order.order_id):
        after = await gateway.cancel(ref)
        assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.REPORTED)

    assert deletes(sim) == 2


async def test_a_cancel_of_others_is_inferred(sim: Simulator, connect: Any) -> None:
    """The word alone, without a cancel of ours, is still no act of the exchange."""
    put = sim.bitcain.put(status="cancelled")

    after = await connect().cancel(put.order_id)

    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.INFERRED)
    assert deletes(sim) == 0


async def test_a_refused_cancel_of_a_working_order_is_an_error(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Nobody should take it for cancelled; a later end is not ours either."""
    server.rows = [kit.row(1)]
    server.writes = [kit.reply({"detail": "cannot be cancelled now"}, 409)]
    gateway = make()

    with pytest.raises(errors.VenueError, match="cannot be cancelled now; the order is open") as caught:
        await gateway.cancel(kit.uuid(1))

    assert not isinstance(caught.value, errors.OrderRejected)
    server.rows = [kit.row(1, status="cancelled")]
    assert (await gateway.get(kit.uuid(1))).known_by is KnownBy.INFERRED


async def test_a_cancel_that_is_on_its_way_may_be_refused(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A server that says 409 because it is cancelling already is doing what was asked."""
    server.rows = [kit.row(1)]

    def refuse(_: Any) -> Any:
        server.rows = [kit.row(1, status="pending_cancel")]
        return kit.reply({"detail": "cancel pending"}, 409)

    server.writes = [refuse]

    after = await make().cancel(kit.uuid(1))

    assert (after.status, after.cancel_requested) == (OrderStatus.OPEN, True)


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "drop", "error_5xx"])
async def test_a_lost_answer_is_asked_for_again(sim: Simulator, connect: Any, fault: str) -> None:
    """A cancel by UUID may be repeated; that it was cancelled by the first is no error then."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault(fault, operation="cancel", nth=1)

    after = await gateway.cancel(order)

    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.REPORTED)
    assert deletes(sim) == 2


async def test_answers_that_stay_lost_leave_the_order_to_tell(sim: Simulator, connect: Any) -> None:
    """Cancelled for certain where the order says so, else unknown."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault("accept_then_drop", operation="cancel")
    other = await gateway.submit(LIMIT)

    after = await gateway.cancel(order)

    assert after.status is OrderStatus.CANCELLED
    sim.bitcain.clear_faults()
    sim.bitcain.fault("drop", operation="cancel")
    with pytest.raises(errors.OutcomeUnknown) as caught:
        await gateway.cancel(other)
    assert (caught.value.order_id, caught.value.client_order_id) == (other.order_id, "bot-1")


async def test_nothing_sent_is_not_sent(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Tried again while nothing leaves; then NotSent, unless some try may have left."""
    server.rows = [kit.row(1)]
    server.writes = [NothingSent("refused"), kit.reply({"success": True, "order": kit.row(1, status="cancelled")})]
    assert (await make().cancel(kit.uuid(1))).status is OrderStatus.CANCELLED

    server.writes = [NothingSent("refused")]
    with pytest.raises(errors.NotSent):
        await make().cancel(kit.uuid(1))

    server.writes = [NoAnswer("reset"), NothingSent("refused")]
    with pytest.raises(errors.OutcomeUnknown):
        await make().cancel(kit.uuid(1))


async def test_a_token_refused_after_a_lost_answer_proves_nothing(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """The first try may have cancelled it."""
    server.rows = [kit.row(1)]
    server.writes = [NoAnswer("reset"), kit.reply({"detail": "expired"}, 401)]

    with pytest.raises(errors.OutcomeUnknown):
        await make().cancel(kit.uuid(1))


REFUSALS = [
    (404, "Order not found", errors.OrderNotFound),
    (403, "not yours", errors.PermissionDenied),
    (422, "no", errors.VenueError),
    (409, "ended", errors.VenueError),
]


@pytest.mark.parametrize(("status", "detail", "kind"), REFUSALS)
@pytest.mark.parametrize("lost", ["no answer", "503", "expired"])
async def test_a_refusal_after_a_lost_answer_leaves_the_order_to_tell(
    server: Any, make: Callable[..., Any], kit: Any, status: int, detail: str, kind: Any, lost: str
) -> None:
    """The first try may have cancelled it: ended it is returned, else nobody knows, and the refusal is told."""
    server.rows = [kit.row(1)]
    gateway = make(token=iter_tokens())
    order = await gateway.get(kit.uuid(1))
    refuse = kit.reply({"detail": detail}, status)
    first = {"no answer": [NoAnswer("reset")], "503": [kit.reply(b"", 503)]}
    answers = first.get(lost) or [NoAnswer("reset"), kit.reply({"detail": "expired"}, 401)]

    server.rows, server.writes = [kit.row(1, status="cancelled")], [*answers, refuse]
    after = await gateway.cancel(order)
    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.REPORTED)

    server.rows, server.writes = [kit.row(1)], [*answers, refuse]
    with pytest.raises(errors.OutcomeUnknown, match=detail) as caught:
        await gateway.cancel(order)
    assert isinstance(caught.value.__cause__, kind)

    for rows, answer in (([], []), ([kit.row(1)], [kit.reply(b"", 503)])):
        server.rows, server.writes = rows, [*answers, refuse]
        server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = answer
        with pytest.raises(errors.OutcomeUnknown) as caught:
            await gateway.cancel(order)
        assert (caught.value.order_id, caught.value.client_order_id) == (kit.uuid(1), "bot-1")


@pytest.mark.parametrize(("status", "detail", "kind"), REFUSALS[:3])
async def test_a_refusal_of_the_only_try_is_raised(
    server: Any, make: Callable[..., Any], kit: Any, status: int, detail: str, kind: Any
) -> None:
    """Nothing was done then, and nothing is read."""
    server.rows = [kit.row(1)]
    gateway = make()
    order = await gateway.get(kit.uuid(1))
    server.writes = [kit.reply({"detail": detail}, status)]

    with pytest.raises(kind, match=detail):
        await gateway.cancel(order)

    assert len(server.requests) == 2


async def test_a_dead_venue_is_not_sent(sim: Simulator, connect: Any) -> None:
    """Neither the reading before nor the cancel left."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    await sim.bitcain.stop()

    for ref in (order, order.order_id, "bot-1"):
        with pytest.raises(errors.NotSent):
            await gateway.cancel(ref)


async def test_no_time_is_not_sent(sim: Simulator, connect: Any) -> None:
    """Nothing leaves, whatever the ref."""
    gateway = connect()
    order = await gateway.submit(LIMIT)

    for ref in (order, order.order_id, "bot-1"):
        with pytest.raises(errors.NotSent):
            await gateway.cancel(ref, timeout=0)

    assert deletes(sim) == 0


async def test_the_time_ends_after_sending(sim: Simulator, connect: Any) -> None:
    """Then it is not known what became of it."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault("delay", operation="cancel", seconds=2)

    with pytest.raises(errors.OutcomeUnknown):
        await gateway.cancel(order, timeout=0.1)


async def test_an_expired_token_is_renewed(sim: Simulator, connect: Any) -> None:
    """And the cancel goes through."""
    gateway = connect(email=sim.bitcain.email, password=sim.bitcain.password)
    order = await gateway.submit(LIMIT)
    sim.bitcain.expire_tokens()

    assert (await gateway.cancel(order)).status is OrderStatus.CANCELLED
    assert deletes(sim) == 2


@pytest.mark.parametrize("way", ["uuid", "order", "client"])
async def test_an_order_of_the_other_mode_is_never_cancelled(sim: Simulator, connect: Any, way: str) -> None:
    """Refused with both modes named, however it is given; the order is left as it was."""
    live = await connect(trading_mode="live").submit(LIMIT)
    ref = {"uuid": live.order_id, "order": live, "client": "bot-1"}[way]

    with pytest.raises(errors.OrderDenied, match=r"live order.*paper orders") as caught:
        await connect(trading_mode="paper").cancel(ref)

    assert caught.value.rule == "trading_mode"
    assert deletes(sim) == 0
    assert sim.bitcain.accepted()[0].active


async def test_an_order_without_a_mode_is_cancelled_when_named(sim: Simulator, connect: Any) -> None:
    """Whoever names an order means it, where the server does not say what it is."""
    sim.bitcain.settings.show_mode = False
    put = sim.bitcain.put()

    assert (await connect().cancel(put.order_id)).status is OrderStatus.CANCELLED


async def test_a_broken_row_can_still_be_stopped(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """An unreadable order of our mode is cancelled by its id; of an unstated or other mode it is not."""
    server.rows = [kit.row(1, quantity="many")]

    def mend(_: Any) -> Any:
        server.rows = [kit.row(1, status="cancelled")]
        return kit.reply({"success": True})

    server.writes = [mend]
    assert (await make().cancel(kit.uuid(1))).status is OrderStatus.CANCELLED

    for mode in (None, "live"):
        server.rows = [kit.row(1, quantity="many", trading_mode=mode)]
        with pytest.raises(errors.NotSent, match="paper or a live order could not be read"):
            await make().cancel(kit.uuid(1))

    assert len(server.sent) == 1


async def slow(_: Any) -> Any:
    await asyncio.sleep(30)


async def test_a_slow_read_leaves_time_for_the_cancel(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """An order that was created here, or given as one of our mode, is stopped without its read."""
    server.writes = [kit.reply({"order": kit.row(1)})]
    gateway = make()
    order = await gateway.submit(LIMIT)
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [slow]
    server.writes = [kit.reply({"order": kit.row(1, status="cancelled")})]
    ended = order.model_copy(update={"status": OrderStatus.CANCELLED, "known_by": KnownBy.INFERRED})

    for by, ref in ((gateway, order.order_id), (gateway, f"bitcain:{order.order_id}"), (make(), ended)):
        assert (await by.cancel(ref, timeout=1.5)).status is OrderStatus.CANCELLED

    assert [request.method for request in server.sent] == ["POST", "DELETE", "DELETE", "DELETE"]


async def test_a_mode_that_cannot_be_read_is_told_early(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Nothing is sent to an order that may be live, and it is said long before the time or the read would be over."""
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [slow]
    start = asyncio.get_running_loop().time()

    with pytest.raises(errors.NotSent, match="paper or a live order could not be read"):
        await make().cancel(kit.uuid(1), timeout=60)

    assert asyncio.get_running_loop().time() - start < 20  # two seconds, on a machine that has time
    assert not server.sent


async def test_an_order_of_ours_that_shows_the_other_mode_is_left(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """What its row says goes before what was sent, also where the row is broken."""
    server.writes = [kit.reply({"order": kit.row(1)})]
    gateway = make()
    await gateway.submit(LIMIT)
    for broken, kind in (({}, errors.OrderDenied), ({"quantity": "many"}, errors.NotSent)):
        server.rows = [kit.row(1, trading_mode="live", **broken)]
        with pytest.raises(kind):
            await gateway.cancel(kit.uuid(1))

    assert len(server.sent) == 1


async def test_of_several_the_working_one_is_meant(sim: Simulator, connect: Any) -> None:
    """A client id may stand for many: an ended one is passed over, and two working ones are ambiguous."""
    gateway = connect()
    await gateway.cancel(await gateway.submit(LIMIT))
    working = await gateway.submit(LIMIT)

    assert (await gateway.cancel("bot-1")).order_id == working.order_id

    await gateway.submit(LIMIT)
    await gateway.submit(LIMIT)
    with pytest.raises(errors.AmbiguousRef) as caught:
        await gateway.cancel("bot-1")
    assert len(caught.value.orders) == 2


async def test_an_ended_order_does_not_settle_a_client_id(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Another one under it may be unseen yet; only the very order that was sent here settles it."""
    gateway = make()
    server.rows = [kit.row(2, client_order_id="bot-1", status="filled"), kit.row(1, status="cancelled")]

    with pytest.raises(errors.AmbiguousRef, match=f"{kit.uuid(2)}, is filled, and others under it") as caught:
        await gateway.cancel("bot-1")
    assert {order.order_id for order in caught.value.orders} == {kit.uuid(1), kit.uuid(2)}

    server.writes = [kit.reply({"order": kit.row(1)})]
    await gateway.submit(LIMIT)
    assert (await gateway.cancel(OrderRef(client_order_id="bot-1"))).order_id == kit.uuid(1)

    server.writes = [kit.reply({"order": kit.row(3, client_order_id="bot-1")})]
    await gateway.submit(LIMIT)
    with pytest.raises(errors.AmbiguousRef):
        await gateway.cancel("bot-1")
    assert (await gateway.cancel(kit.uuid(2))).status is OrderStatus.FILLED
    assert [request.method for request in server.sent] == ["POST", "POST"]


async def test_a_cancel_goes_before_reads(sim: Simulator, connect: Any) -> None:
    """It counts, and stands first in line."""
    gateway = connect(limits=Rate(burst=2, per_second=5), token="simulated-token", account="queue")
    order = await gateway.submit(LIMIT)
    done: list[str] = []

    async def note(name: str, call: Any) -> None:
        await call
        done.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(note(f"read {number}", gateway.get(order.order_id)))
        await asyncio.sleep(0)
        group.create_task(note("cancel", gateway.cancel(order)))

    assert done.index("cancel") <= 2


async def test_a_cancel_is_logged(sim: Simulator, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, with the order's ids."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    with caplog.at_level(logging.INFO, "orderbridge.bitcain"):
        await gateway.cancel(order)

    (record,) = caplog.records
    assert (record.operation, record.order_id, record.client_order_id) == ("cancel", order.order_id, "bot-1")


@pytest.mark.parametrize("answer", ["order", "acknowledgement", "still_open"])
async def test_cancel_all_takes_every_open_order_of_our_mode(sim: Simulator, connect: Any, answer: Any) -> None:
    """One by one; what had ended and what is live stays as it was."""
    sim.bitcain.settings.cancel_answer = answer
    ours = {sim.bitcain.put(status=word).order_id for word in ("open", "pending", "partially_filled") for _ in range(9)}
    ended = sim.bitcain.put(status="filled")
    live = sim.bitcain.put(trading_mode="live")

    orders = await connect().cancel_all()

    assert {order.order_id for order in orders} == ours
    assert all(order.is_done or order.cancel_requested for order in orders)
    assert deletes(sim) == len(ours)
    assert sim.bitcain.accepted(order_id=live.order_id)[0].active
    assert f"DELETE /api/v1/orders/{ended.order_id}" not in sim.bitcain.requests


async def test_cancel_all_of_one_symbol(sim: Simulator, connect: Any) -> None:
    """Others stay; a symbol that is none is refused before anything is sent."""
    btc, eth = sim.bitcain.put(symbol="BTC/USDT"), sim.bitcain.put(symbol="ETH/USDT")
    gateway = connect()

    orders = await gateway.cancel_all(symbol="eth/usdt")

    assert [order.order_id for order in orders] == [eth.order_id]
    assert sim.bitcain.accepted(order_id=btc.order_id)[0].active
    with pytest.raises(errors.ConfigurationError):
        await gateway.cancel_all(symbol="ETHUSDT")


async def test_cancel_all_leaves_what_states_no_mode(sim: Simulator, connect: Any) -> None:
    """It is named after ours were cancelled, and taken only by a gateway that is told to."""
    gateway = connect()
    sim.bitcain.settings.show_mode = False
    mine = await gateway.submit(LIMIT)
    stranger = sim.bitcain.put()

    with pytest.raises(errors.UnexpectedResponse, match=stranger.order_id) as caught:
        await gateway.cancel_all()

    assert caught.value.keys == (stranger.order_id,)
    assert not sim.bitcain.accepted(order_id=mine.order_id)[0].active
    assert sim.bitcain.accepted(order_id=stranger.order_id)[0].active
    orders = await connect(include_unknown_mode=True).cancel_all()
    assert [order.order_id for order in orders] == [stranger.order_id]


async def test_cancel_all_stops_broken_rows_too(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """By their id, where it and the mode can be read and they have not ended; the rest is named."""
    server.rows = [
        kit.row(1, quantity="many"),
        kit.row(2, quantity="many", status="filled"),
        kit.row(3, quantity="many", trading_mode=None),
        kit.row(4, quantity="many", trading_mode="live"),
        kit.row(5, id="none"),
        kit.row(6),
    ]

    def delete(request: Any) -> Any:
        number = int(request.url[-12:])
        server.rows = [
            kit.row(number, status="cancelled") if each["id"] == kit.uuid(number) else each for each in server.rows
        ]
        return kit.reply({"success": True})

    server.writes = [delete]

    with pytest.raises(errors.UnexpectedResponse) as caught:
        await make().cancel_all()

    assert {request.url[-12:] for request in server.sent} == {f"{number:012d}" for number in (1, 6)}
    assert caught.value.keys == (kit.uuid(3),)
    assert [bad.position for bad in caught.value.bad_rows] == [4]


async def test_cancel_all_outlives_lost_answers(sim: Simulator, connect: Any) -> None:
    """Each cancel is repeated on its own, and no order is left working."""
    gateway = connect()
    orders = [await gateway.submit(LIMIT) for _ in range(5)]
    rule = sim.bitcain.fault("accept_then_drop", operation="cancel", times=3)

    after = await gateway.cancel_all()

    assert rule.struck == 3
    assert {order.order_id for order in after} == {order.order_id for order in orders}
    assert not any(each.active for each in sim.bitcain.accepted())


async def test_cancel_all_names_what_is_not_certain(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """With some cancelled and some perhaps not, the outcome is unknown, and says of which."""
    server.rows = [kit.row(1), kit.row(2)]

    def delete(request: Any) -> Any:
        if request.url.endswith("2"):
            return kit.reply(b"", 503)
        return kit.reply({"order": kit.row(1, status="cancelled")})

    server.writes = [delete]

    with pytest.raises(errors.OutcomeUnknown, match=f"1 of 2 are not cancelled for certain: {kit.uuid(2)}"):
        await make().cancel_all()


async def test_cancel_all_stops_at_refused_credentials(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Every further try would be refused too, and might lock the account."""
    server.rows = [kit.row(number) for number in range(1, 40)]
    server.writes = [kit.reply({"detail": "revoked"}, 401)]

    with pytest.raises(errors.AuthenticationFailed, match="revoked"):
        await make().cancel_all()

    assert len(server.sent) <= 8


async def test_cancel_all_needs_the_list(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Without it nobody knows what to cancel."""
    server.answers["/api/v1/orders"] = [kit.reply(b"", 503)]

    with pytest.raises(errors.VenueUnavailable):
        await make().cancel_all()

    assert not server.sent


async def test_cancel_all_of_nothing(connect: Any) -> None:
    """Is nothing."""
    assert await connect().cancel_all() == []


def chained(error: BaseException) -> list[BaseException]:
    """An error and everything behind it. AssertionError: it is behind itself."""
    seen: list[BaseException] = []
    rest: list[BaseException | None] = [error]
    while rest:
        if (each := rest.pop()) is None:
            continue
        assert not any(each is other for other in seen), f"{each!r} is among its own causes"
        seen.append(each)
        rest.append(each.__cause__ or each.__context__)
    return seen


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
async def test_no_error_is_among_its_own_causes(server: Any, make: Any, kit: Any, status: int) -> None:
    """Whoever walks the chain of an error comes to its end."""
    said = {"detail": "slow", "code": "x" * 7_000_000, "error": "y" * 7_000_000}
    server.writes = server.answers["/api/v1/orders"] = [kit.reply(said, status)]

    for call in (lambda one: one.cancel(kit.uuid(1), timeout=1), lambda one: one.submit(LIMIT, timeout=1)):
        with pytest.raises(errors.OrderBridgeError) as caught:
            await call(make())

        for each in chained(caught.value):
            assert len(f"{each} {vars(each)}") < 10_000


async def test_a_cancel_under_a_long_lock_out_says_for_how_long(server: Any, make: Any, kit: Any) -> None:
    """It was not sent: RateLimited, with when to try again, and no "outcome unknown"."""
    gateway = make(limits="venue")
    gateway.parts.sender.session.lock_out(60.0, operation="orders")

    with pytest.raises(errors.RateLimited) as limited:
        await gateway.cancel(kit.uuid(1), timeout=0.5)

    assert 50 < (limited.value.retry_after or 0) <= 60
    assert server.sent == []
