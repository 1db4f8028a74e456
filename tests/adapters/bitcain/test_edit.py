"""Editing in place, and retrying what failed: each sent once, each told as the order stands after it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.basics import KnownBy, OrderStatus, TimeInForce
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.simulator import Simulator

LIMIT = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.5", price="60000", client_order_id="bot-1")
SOON = datetime(2099, 1, 1, tzinfo=UTC)
OTHER = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"


def writes(sim: Simulator, method: str) -> int:
    return sum(count for name, count in sim.bitcain.requests.items() if name.startswith(method))


async def test_the_bytes_of_an_edit(sim: Simulator, connect: Any) -> None:
    """A PATCH of the UUID with what changes and nothing else: no null, no status."""
    gateway = connect()
    order = await gateway.submit(LIMIT)

    after = await gateway.edit(order, OrderEdit(price="59000.50", quantity="0.75"))

    request = sim.bitcain.last_requests[-1]
    assert (request.method, request.target) == ("PATCH", f"/api/v1/orders/{order.order_id}")
    assert request.body == b'{"quantity":"0.75","price":"59000.50"}'
    assert request.headers["content-type"] == "application/json"
    assert (after.order_id, after.price, after.quantity) == (order.order_id, Decimal("59000.5"), Decimal("0.75"))
    assert not after.replace_requested
    assert sum(sim.bitcain.requests.values()) == 2


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        (OrderEdit(quantity="1E+1"), {"quantity": "10"}),
        (OrderEdit(stop_price="1"), {"stop_price": "1"}),
        (OrderEdit(time_in_force="ioc"), {"time_in_force": "ioc"}),
        (
            OrderEdit(time_in_force="gtt", expires_at=SOON),
            {"time_in_force": "gtt", "expires_at": "2099-01-01T00:00:00Z"},
        ),
    ],
)
async def test_only_what_changes_goes_out(
    server: Any, make: Callable[..., Any], kit: Any, changes: OrderEdit, body: dict[str, str]
) -> None:
    """Every field under its documented name."""
    server.rows = [kit.row(1)]
    server.writes = [kit.reply({"success": True})]

    await make().edit(kit.uuid(1), changes)

    assert json.loads(server.sent[0].body) == body


@pytest.mark.parametrize("way", ["uuid", "client", "order"])
async def test_every_ref_is_taken(sim: Simulator, connect: Any, way: str) -> None:
    """By UUID, by client id, or as an order, which needs no reading."""
    gateway = connect()
    order = await gateway.submit(LIMIT)

    after = await gateway.edit({"uuid": order.order_id, "client": "bot-1", "order": order}[way], OrderEdit(price="1"))

    assert after.price == 1


async def test_the_quantity_is_the_new_total(sim: Simulator, connect: Any) -> None:
    """Also of an order that is partly filled; no more than what is filled is denied here."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.market("BTC/USDT").fill(order.order_id, quantity="0.2")

    after = await gateway.edit(order.order_id, OrderEdit(quantity="0.3"))

    assert (after.quantity, after.filled_quantity, after.remaining_quantity) == (
        Decimal("0.3"),
        Decimal("0.2"),
        Decimal("0.1"),
    )
    with pytest.raises(errors.OrderDenied) as caught:
        await gateway.edit(order.order_id, OrderEdit(quantity="0.2"))
    assert caught.value.rule == "quantity"


@pytest.mark.parametrize(
    ("row", "changes", "rule"),
    [
        ({}, OrderEdit(time_in_force="gtt"), "expires_at"),
        ({}, OrderEdit(expires_at=SOON), "expires_at"),
        ({"time_in_force": "gtt", "expires_at": "2098-01-01T00:00:00Z"}, OrderEdit(expires_at=SOON), None),
        ({"time_in_force": None}, OrderEdit(expires_at=SOON), None),
    ],
)
async def test_an_end_belongs_to_good_till_time(
    server: Any, make: Callable[..., Any], kit: Any, row: dict[str, Any], changes: OrderEdit, rule: str | None
) -> None:
    """What is known of the order decides; what is not known is left to the server."""
    server.rows = [kit.row(1, **row)]
    server.writes = [kit.reply({"success": True})]

    if rule is None:
        await make().edit(kit.uuid(1), changes)
        return

    with pytest.raises(errors.OrderDenied) as caught:
        await make().edit(kit.uuid(1), changes)
    assert (caught.value.rule, server.sent) == (rule, [])


async def test_an_acknowledgement_is_read_after(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The order is told as it stands; where it does not show the change yet, the change is on its way."""
    server.rows = [kit.row(1)]
    server.writes = [kit.reply({"success": True, "message": "queued"})]
    gateway = make()

    waiting = await gateway.edit(kit.uuid(1), OrderEdit(price="59000"))

    assert (waiting.price, waiting.replace_requested) == (Decimal(60000), True)

    def change(_: Any) -> Any:
        server.rows = [kit.row(1, price="59000.00")]
        return kit.reply({"order": kit.row(1)})  # as it was before

    server.writes = [change]
    changed = await gateway.edit(kit.uuid(1), OrderEdit(price="59000"))
    assert (changed.price, changed.replace_requested) == (Decimal(59000), False)


async def test_an_acknowledgement_that_cannot_be_read_after(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The old figures stand, flagged; an accepted change is no error."""
    server.rows = [kit.row(1)]
    gateway = make()
    order = await gateway.get(kit.uuid(1))
    server.writes = [kit.reply({"success": True})]
    server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = [kit.reply(b"", 503)]

    after = await gateway.edit(order, OrderEdit(price="59000"))

    assert (after.price, after.replace_requested) == (Decimal(60000), True)
    assert "edit: accepted, not read back" in after.evidence


async def test_an_answer_about_another_order_is_unknown(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A change is in place; whatever else it may mean, nobody guesses."""
    server.rows = [kit.row(1)]
    server.writes = [kit.reply({"updated_order": kit.row(2)})]

    with pytest.raises(errors.OutcomeUnknown, match=kit.uuid(2)):
        await make().edit(kit.uuid(1), OrderEdit(price="59000"))


@pytest.mark.parametrize("wrong", [{"symbol": "ETH/USDT"}, {"side": "sell"}])
@pytest.mark.parametrize("call", ["edit", "retry_failed"])
async def test_an_answer_with_another_symbol_or_side_is_unknown(
    server: Any, make: Callable[..., Any], kit: Any, call: str, wrong: dict[str, str]
) -> None:
    """What is not of this order tells nothing of the change, whatever its id."""
    row = kit.row(1, status="open" if call == "edit" else "failed")
    server.rows = [row]
    server.writes = [kit.reply({"order": {**row, "price": "59000", **wrong}})]
    gateway = make()

    with pytest.raises(errors.OutcomeUnknown, match="another order"):
        await (
            gateway.edit(kit.uuid(1), OrderEdit(price="59000")) if call == "edit" else gateway.retry_failed(kit.uuid(1))
        )


async def test_an_ended_order_is_not_active(sim: Simulator, connect: Any) -> None:
    """Before sending or at the server: the error carries the order as it ended."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault("fill_first", operation="edit")

    with pytest.raises(errors.OrderNotActive) as at_server:
        await gateway.edit(order, OrderEdit(price="59000"))
    with pytest.raises(errors.OrderNotActive) as before:
        await gateway.edit(order.order_id, OrderEdit(price="59000"))

    assert at_server.value.order.status is before.value.order.status is OrderStatus.FILLED
    assert at_server.value.http_status == 409
    assert writes(sim, "PATCH") == 1


async def test_a_rule_of_the_servers_is_invalid_order(sim: Simulator, connect: Any) -> None:
    """With its text; the order stands as it was."""
    gateway = connect()
    order = await gateway.submit(LIMIT)

    with pytest.raises(errors.InvalidOrder, match="does not wait for a stop_price; the order stands as it was, open"):
        await gateway.edit(order, OrderEdit(stop_price="1"))

    assert (await gateway.get(order.order_id)).price == order.price


async def test_an_unknown_order_is_not_found(sim: Simulator, connect: Any) -> None:
    """By proof, where it is a UUID."""
    with pytest.raises(errors.OrderNotFound) as caught:
        await connect().edit("order:" + OTHER, OrderEdit(price="1"))

    assert caught.value.found.proven_absent


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_5xx", "cut", "not_success", "nothing_said", "drop"])
async def test_a_lost_answer_is_outcome_unknown(sim: Simulator, connect: Any, fault: str) -> None:
    """It names the order, and exactly one PATCH was sent. An empty object is an acknowledgement."""
    gateway = connect()
    order = await gateway.submit(LIMIT)
    sim.bitcain.fault(fault, operation="edit", nth=1)

    if fault == "nothing_said":
        assert (await gateway.edit(order, OrderEdit(price="59000"))).price == 59000
    else:
        with pytest.raises(errors.OutcomeUnknown) as caught:
            await gateway.edit(order, OrderEdit(price="59000"))
        assert (caught.value.order_id, caught.value.operation) == (order.order_id, "edit")

    assert writes(sim, "PATCH") == 1


async def test_nothing_sent_is_not_sent(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """And is not tried again here, for edits and retries alike."""
    server.rows = [kit.row(1), kit.row(2, status="failed")]
    for lost, kind in ((NothingSent("refused"), errors.NotSent), (NoAnswer("reset"), errors.OutcomeUnknown)):
        server.writes = [lost]
        with pytest.raises(kind):
            await make().edit(kit.uuid(1), OrderEdit(price="59000"))
        with pytest.raises(kind):
            await make().retry_failed(kit.uuid(2))

    assert len(server.sent) == 4


@pytest.mark.parametrize("call", ["edit", "retry_failed"])
async def test_an_order_of_the_other_mode_is_never_touched(sim: Simulator, connect: Any, call: str) -> None:
    """Refused with both modes named; the order is left as it was."""
    live = sim.bitcain.put(trading_mode="live", status="failed" if call == "retry_failed" else "open")
    arguments = [OrderEdit(price="1")] if call == "edit" else []

    with pytest.raises(errors.OrderDenied, match=r"live order.*paper orders"):
        await getattr(connect(), call)(live.order_id, *arguments)

    assert writes(sim, "P") == 0


@pytest.mark.parametrize("call", ["edit", "retry_failed"])
async def test_an_order_without_a_mode_is_not_touched(
    server: Any, make: Callable[..., Any], kit: Any, call: str
) -> None:
    """It may be live: unless it was created here, or the gateway is told to take such too, it is refused."""
    status, arguments = ("open", [OrderEdit(price="1")]) if call == "edit" else ("failed", [])
    shown = kit.row(1, trading_mode=None, status=status)
    server.rows = [shown]
    gateway = make()
    read = await gateway.get(kit.uuid(1))

    for ref in (kit.uuid(1), "bot-1", read):
        with pytest.raises(errors.OrderDenied, match="paper or a live order is not stated") as caught:
            await getattr(gateway, call)(ref, *arguments)
        assert (caught.value.rule, caught.value.operation) == ("trading_mode", call)
    assert not server.sent

    server.writes = [kit.reply({"success": True})]
    await getattr(make(include_unknown_mode=True), call)(kit.uuid(1), *arguments)
    server.writes = [kit.reply({"order": shown}), kit.reply({"success": True})]
    await gateway.submit(LIMIT)
    await getattr(gateway, call)(kit.uuid(1), *arguments)
    assert len(server.sent) == 3


async def test_an_unreadable_order_is_not_edited(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Nothing is done to what nobody can read, and NotSent says so, whatever the read failed with."""
    for rows, answers in (
        ([kit.row(1, quantity="many")], []),
        ([], [kit.reply(b"<html>", 200)]),
        ([], [kit.reply([])]),
    ):
        server.rows, server.answers[f"/api/v1/orders/{kit.uuid(1)}"] = rows, answers
        for call in (make().edit(kit.uuid(1), OrderEdit(price="1")), make().retry_failed(kit.uuid(1))):
            with pytest.raises(errors.NotSent, match="nothing was done"):
                await call

    assert not server.sent


async def test_a_retry_of_no_stated_mode_tells_no_mode(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The new order is of the mode of the old one, which nobody knows."""
    server.rows = [kit.row(1, trading_mode=None, status="failed"), kit.row(2, trading_mode=None)]
    server.writes = [kit.reply({"new_order_id": kit.uuid(2)})]

    after = await make(include_unknown_mode=True).retry_failed(kit.uuid(1))

    assert (after.order_id, after.replaces, after.paper) == (kit.uuid(2), kit.uuid(1), None)


async def never(_: Any) -> Any:
    await asyncio.sleep(30)


@pytest.mark.parametrize("ref", ["order", "bot-1"])
@pytest.mark.parametrize("answer", [(b"", 503), (b'{"detail": "slow down"}', 429), (b"{", 200), (b'"none"', 200), None])
async def test_a_failed_read_before_a_write_is_not_sent(
    server: Any, make: Callable[..., Any], kit: Any, ref: str, answer: tuple[bytes, int] | None
) -> None:
    """Whatever it failed with: nothing left that could have changed anything."""
    ref = kit.uuid(1) if ref == "order" else ref
    for path in (f"/api/v1/orders/{kit.uuid(1)}", "/api/v1/orders"):
        server.answers[path] = [kit.reply(*answer) if answer else never]
    gateway = make()

    for call in (
        gateway.edit(ref, OrderEdit(price="1"), timeout=0.2),
        gateway.retry_failed(ref, timeout=0.2),
    ):
        with pytest.raises(errors.NotSent, match="nothing was done"):
            await call
    # A cancel that is throttled says when to try again.
    throttled = answer is not None and answer[1] == 429
    with pytest.raises(errors.RateLimited if throttled else errors.NotSent, match=r"locked out|nothing was done"):
        await gateway.cancel(ref, timeout=0.2)

    assert not server.sent


async def failed_order(sim: Simulator, gateway: Any) -> Any:
    """An order that its exchange could not be given; from now on it can."""
    sim.bitcain.settings.routing = "fails"
    order = await gateway.submit(LIMIT)
    sim.bitcain.settings.routing = "works"
    assert order.status is OrderStatus.FAILED
    return order


async def test_the_bytes_of_a_retry(sim: Simulator, connect: Any) -> None:
    """A POST without query or body; the same order begins anew."""
    gateway = connect()
    order = await failed_order(sim, gateway)

    after = await gateway.retry_failed(order)

    request = sim.bitcain.last_requests[-1]
    assert (request.method, request.target) == ("POST", f"/api/v1/orders/{order.order_id}/retry")
    assert (request.body, "content-type" in request.headers) == (b"", False)
    assert (after.order_id, after.status, after.replaces) == (order.order_id, OrderStatus.OPEN, None)
    assert writes(sim, "POST") == 2


@pytest.mark.parametrize("envelope", ["success", "bare", "data", "success_data"])
async def test_a_retry_may_make_a_new_order(sim: Simulator, connect: Any, envelope: Any) -> None:
    """Old and new are linked, now and whenever they are seen again."""
    sim.bitcain.settings.retry_answer, sim.bitcain.settings.envelope = "new", envelope
    gateway = connect()
    order = await failed_order(sim, gateway)

    after = await gateway.retry_failed(order.order_id)

    assert after.order_id != order.order_id
    assert (after.replaces, after.status) == (order.order_id, OrderStatus.OPEN)
    assert (await gateway.get(order.order_id)).replaced_by == after.order_id
    assert (await gateway.get(after.order_id)).replaces == order.order_id


@pytest.mark.parametrize("answer", ["new_order_id", "order_id", "both", "new_order", "retried_order"])
async def test_the_new_order_is_found_in_the_answer(
    server: Any, make: Callable[..., Any], kit: Any, answer: str
) -> None:
    """By its id or whole, also where the old one stands beside it."""
    server.rows = [kit.row(1, status="failed"), kit.row(2)]
    old = kit.row(1, status="failed")
    payload = {
        "new_order_id": {"success": True, "new_order_id": kit.uuid(2)},
        "order_id": {"success": True, "order_id": kit.uuid(2)},
        "both": {"order": old, "new_order_id": kit.uuid(2)},
        "new_order": {"order": old, "new_order": kit.row(2)},
        "retried_order": {"retried_order": kit.row(2)},
    }[answer]
    server.writes = [kit.reply(payload)]

    after = await make().retry_failed(kit.uuid(1))

    assert (after.order_id, after.replaces, after.status) == (kit.uuid(2), kit.uuid(1), OrderStatus.OPEN)


@pytest.mark.parametrize(("payload", "is_new"), [({"success": True}, False), ({"order_id": OTHER}, True)])
async def test_a_retry_that_cannot_be_read_after(
    server: Any, make: Callable[..., Any], kit: Any, payload: Any, is_new: bool
) -> None:
    """It was acknowledged, so it may be live; that is inferred."""
    server.rows = [kit.row(1, status="failed", error_message="down")]

    def acknowledge(_: Any) -> Any:
        server.rows = []
        return kit.reply(payload)

    server.writes = [acknowledge]

    after = await make().retry_failed(kit.uuid(1))

    assert (after.status, after.known_by, after.may_be_live) == (OrderStatus.ACCEPTED, KnownBy.INFERRED, True)
    assert (after.order_id, after.replaces) == ((OTHER, kit.uuid(1)) if is_new else (kit.uuid(1), None))
    assert after.reason is None


async def test_several_new_orders_are_unknown(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Which one it is, nobody guesses."""
    server.rows = [kit.row(1, status="failed")]
    server.writes = [kit.reply({"order": kit.row(2), "new_order_id": kit.uuid(3)})]

    with pytest.raises(errors.OutcomeUnknown, match="several new orders"):
        await make().retry_failed(kit.uuid(1))


@pytest.mark.parametrize("status", ["open", "filled", "cancelled", "mystery"])
async def test_only_failed_orders_are_retried(server: Any, make: Callable[..., Any], kit: Any, status: str) -> None:
    """Everything else is refused here, and the error carries the order."""
    server.rows = [kit.row(1, status=status)]

    with pytest.raises(errors.OrderNotActive, match="only a failed order") as caught:
        await make().retry_failed(kit.uuid(1))

    assert caught.value.order.raw_status == status
    assert not server.sent


async def test_a_retry_that_came_too_late(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The server refused, and the order is read: somebody else's retry has it open."""
    server.rows = [kit.row(1, status="failed")]

    def refuse(_: Any) -> Any:
        server.rows = [kit.row(1)]
        return kit.reply({"detail": "Only failed orders can be retried"}, 409)

    server.writes = [refuse]

    with pytest.raises(errors.OrderNotActive, match="Only failed orders") as caught:
        await make().retry_failed(kit.uuid(1))

    assert caught.value.order.status is OrderStatus.OPEN


@pytest.mark.parametrize("fault", ["accept_then_drop", "accept_then_5xx", "not_success", "drop"])
async def test_a_lost_answer_to_a_retry_is_unknown(sim: Simulator, connect: Any, fault: str) -> None:
    """It is an act of its own, sent once."""
    gateway = connect()
    order = await failed_order(sim, gateway)
    sim.bitcain.fault(fault, operation="retry", nth=1)

    with pytest.raises(errors.OutcomeUnknown) as caught:
        await gateway.retry_failed(order)

    assert caught.value.order_id == order.order_id
    assert sim.bitcain.requests[f"POST /api/v1/orders/{order.order_id}/retry"] == 1


async def test_an_expired_token_is_renewed(sim: Simulator, connect: Any) -> None:
    """For both calls, with the same bytes."""
    gateway = connect(email=sim.bitcain.email, password=sim.bitcain.password)
    order = await failed_order(sim, gateway)
    sim.bitcain.expire_tokens()
    again = await gateway.retry_failed(order)
    sim.bitcain.expire_tokens()

    after = await gateway.edit(again, OrderEdit(time_in_force="gtt", expires_at=SOON))

    assert (after.time_in_force, after.expires_at) == (TimeInForce.GTT, SOON)
    assert writes(sim, "PATCH") == 2


async def test_a_revived_order_is_no_longer_ours_to_cancel(sim: Simulator, connect: Any) -> None:
    """A cancel from before its retry does not explain a later end."""
    gateway = connect()
    order = await failed_order(sim, gateway)
    stale = order.model_copy(update={"status": OrderStatus.OPEN})
    assert (await gateway.cancel(stale)).status is OrderStatus.FAILED
    await gateway.retry_failed(order)
    sim.bitcain.engines["paper"].cancel(sim.bitcain.accepted(order_id=order.order_id)[0])

    assert (await gateway.get(order.order_id)).known_by is KnownBy.INFERRED
