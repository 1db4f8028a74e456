"""Changing orders on the simulated Bitso."""

import json
import re
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import OrderEdit, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import (
    NotSent,
    NotSupported,
    OrderDenied,
    OrderNotActive,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
)
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.simulator import Simulator

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


class WithoutSize:
    """An engine whose answers show no size of any order, as Bitso leaves it out of some rows."""

    def __init__(self) -> None:
        self._engine = HttpxTransport()

    async def send(self, request: WireRequest, *, timeout: float, **more: Any) -> WireResponse:
        answer = await self._engine.send(request, timeout=timeout, **more)
        body = re.sub(rb'"original_amount":\s*"[^"]*"', b'"original_amount": null', answer.body)
        return WireResponse(answer.status, answer.headers, body)

    async def aclose(self) -> None:
        await self._engine.aclose()


def patches(sim: Simulator) -> list[tuple[str, dict[str, str]]]:
    return [
        (request.target, json.loads(request.body)) for request in sim.bitso.last_requests if request.method == "PATCH"
    ]


async def test_edit_in_place(sim: Simulator) -> None:
    """An order keeps its id and gets its new total and price; an order that cannot be modified stays."""
    put = sim.bitso.put(quantity="0.01", price="560000")

    async with sim.bitso.gateway() as gateway:
        order = await gateway.edit(put.order_id, OrderEdit(quantity="0.02", price="570000"))

    assert (order.order_id, order.quantity, order.price) == (put.order_id, Decimal("0.02"), Decimal(570000))
    assert patches(sim) == [
        (f"/api/v4/orders/{put.order_id}", {"major": "0.02", "price": "570000", "cancel": "0"}),
    ]


@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_a_price_alone_leaves_the_total(sim: Simulator, side: str) -> None:
    """Bitso would keep the value and compute the quantity anew: the total that is known goes along, on either side."""
    prices = {"buy": ("560000", "550000"), "sell": ("1300000", "1310000")}[side]
    put = sim.bitso.put(side=side, quantity="0.01", price=prices[0])

    async with sim.bitso.gateway() as gateway:
        order = await gateway.edit(put.order_id, OrderEdit(price=prices[1]))

    assert (order.quantity, order.price) == (Decimal("0.01"), Decimal(prices[1]))
    assert [body for _, body in patches(sim)] == [{"major": "0.01000000", "price": prices[1], "cancel": "0"}]


async def test_a_price_alone_where_no_total_is_known_is_denied(sim: Simulator) -> None:
    """An order of unknown size is not changed by its price: nothing is sent, and the sentence says what to give."""
    put = sim.bitso.put(side="buy", quantity="0.01", price="560000")

    engine = WithoutSize()
    async with aclosing(engine), sim.bitso.gateway(transport=engine) as gateway:
        with pytest.raises(OrderDenied, match="the total is not known: give the quantity"):
            await gateway.edit(put.order_id, OrderEdit(price="550000"))

    assert patches(sim) == []


async def test_stop_price_of_a_waiting_stop(sim: Simulator) -> None:
    """The trigger of a stop order that waits can be moved; other orders have none."""
    stop = sim.bitso.put(status="queued", side="sell", price="990000", stop="1000000")
    plain = sim.bitso.put()

    async with sim.bitso.gateway() as gateway:
        order = await gateway.edit(stop.order_id, OrderEdit(stop_price="1010000"))
        with pytest.raises(OrderDenied):
            await gateway.edit(plain.order_id, OrderEdit(stop_price="1010000"))

    assert order.stop_price == Decimal(1010000)


@pytest.mark.parametrize(
    ("put", "changes", "error"),
    [
        ({}, {"time_in_force": "ioc"}, NotSupported),
        ({"quantity": "0.01", "filled_quantity": "0.005"}, {"quantity": "0.005"}, OrderDenied),
        ({"status": "completed"}, {"quantity": "0.02"}, OrderNotActive),
        ({"status": "cancelled"}, {"quantity": "0.02"}, OrderNotActive),
    ],
)
async def test_edits_that_cannot_be(
    sim: Simulator, put: dict[str, Any], changes: dict[str, Any], error: type[Exception]
) -> None:
    """What Bitso would not do, or would do otherwise, is refused here."""
    order = sim.bitso.put(**put)

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(error):
            await gateway.edit(order.order_id, OrderEdit(**changes))

    assert patches(sim) == []


async def test_edit_of_an_unknown_order(sim: Simulator) -> None:
    """An order that is not shown cannot be changed."""
    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OrderNotFound):
            await gateway.edit("bitso:nosuchorder00001", OrderEdit(quantity="1"))


async def test_order_that_ends_meanwhile_is_not_active(sim: Simulator) -> None:
    """When the order fills before the change arrives, the error carries how it ended."""
    put = sim.bitso.put(quantity="0.01")
    sim.bitso.fault("fill_first", operation="edit")

    async with sim.bitso.gateway() as gateway:
        with pytest.raises((OrderNotActive, OrderRejected)) as raised:
            await gateway.edit(put.order_id, OrderEdit(quantity="0.02"))

    assert isinstance(raised.value, OrderNotActive)
    assert raised.value.order is not None
    assert raised.value.order.status is OrderStatus.FILLED


async def test_lost_answer_of_an_edit_is_unknown(sim: Simulator) -> None:
    """A change is sent once; without an answer its outcome is unknown."""
    put = sim.bitso.put(quantity="0.01")
    sim.bitso.fault("accept_then_drop", operation="edit")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.edit(put.order_id, OrderEdit(quantity="0.02"))

    assert unknown.value.order_id == put.order_id
    assert len(patches(sim)) == 1


async def test_accepted_edit_survives_a_failed_read(sim: Simulator) -> None:
    """A change that was accepted and could not be read back is flagged, and no error."""
    put = sim.bitso.put(quantity="0.01", price="560000")
    sim.bitso.fault("error_5xx", operation="lookup", nth=2, times=50)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        order = await gateway.edit(put.order_id, OrderEdit(quantity="0.02"))

    assert order.replace_requested
    assert "edit: accepted, not read back" in order.evidence


async def test_edit_is_held_against_the_market(sim: Simulator) -> None:
    """A price off the tick and a quantity off its step are refused before a change leaves, as for a new order."""
    put = sim.bitso.put(side="sell", quantity="0.01", price="1300000")

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OrderDenied) as denied:
            await gateway.edit(put.order_id, OrderEdit(price="1300003"))
        with pytest.raises(OrderDenied):
            await gateway.edit(put.order_id, OrderEdit(quantity="0.0000000001"))

    assert denied.value.nearest == (Decimal(1300000), Decimal(1300010))
    assert patches(sim) == []


@pytest.mark.parametrize(
    ("put", "changes"),
    [
        ({"status": "queued", "type": "market", "side": "sell", "stop": "1000000"}, {"price": "990000"}),
        ({"type": "market", "status": "queued", "quote_quantity": "500", "stop": "1300000"}, {"quantity": "0.001"}),
    ],
)
async def test_change_that_means_nothing_is_refused(
    sim: Simulator, put: dict[str, Any], changes: dict[str, Any]
) -> None:
    """A stop at market has no price, and an order sized in quote no quantity, to change."""
    order = sim.bitso.put(**put)

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OrderDenied):
            await gateway.edit(order.order_id, OrderEdit(**changes))

    assert patches(sim) == []


@pytest.mark.parametrize(
    ("stays", "changes"),
    [({"original_amount": "0.01"}, OrderEdit(quantity="0.02")), ({"price": None}, OrderEdit(price="1310000"))],
    ids=["the old figure", "no figure"],
)
async def test_change_that_is_not_shown_yet_is_flagged(
    sim: Simulator, stays: dict[str, Any], changes: OrderEdit
) -> None:
    """An accepted change that the order does not show is pending, and not passed off as done."""
    put = sim.bitso.put(side="sell", quantity="0.01", price="1300000", raw=stays)

    async with sim.bitso.gateway() as gateway:
        order = await gateway.edit(put.order_id, changes)

    assert order.replace_requested
    assert "edit: accepted, not shown yet" in order.evidence


async def test_a_defect_before_an_edit_leaves_sent_nothing(sim: Simulator) -> None:
    """A caller's own markets that fail are told as what they came to: nothing was sent."""

    class Broken(dict[Any, Any]):
        def get(self, symbol: object, default: Any = None) -> Any:
            raise TypeError("no such market")

    put = sim.bitso.put(quantity="0.01", price="560000")

    async with sim.bitso.gateway(markets=Broken()) as gateway:
        with pytest.raises(NotSent, match="nothing was sent: TypeError"):
            await gateway.edit(put.order_id, OrderEdit(quantity="0.02", price="570000"))

    assert patches(sim) == []


@pytest.mark.parametrize(("wrong", "text"), [({"oid": "B2"}, "B2"), ({"side": "buy"}, "buy"), ({"book": "x_y"}, "X/Y")])
async def test_answer_about_another_order_is_unknown(wrong: dict[str, str], text: str) -> None:
    """A change whose answer names another oid, or after which another symbol or side is shown, is no success."""
    row = {"oid": "A1", "book": "btc_mxn", "side": "sell", "type": "limit", "status": "open", "price": "10"}

    class Other:
        patched = False

        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            self.patched |= request.method == "PATCH"
            now = {**row, **wrong, "oid": "A1"} if self.patched else row
            shown = {"oid": wrong.get("oid", "A1")} if request.method == "PATCH" else [{**now, "original_amount": "1"}]
            return WireResponse(200, {}, json.dumps({"success": True, "payload": shown}).encode())

        async def aclose(self) -> None:
            """There is nothing to close."""

    gateway = BitsoGateway(api_key="edit-key", api_secret="s", transport=Other(), limits=None, markets=None)
    async with gateway:
        with pytest.raises(OutcomeUnknown, match=text):
            await gateway.edit("bitso:A1", OrderEdit(quantity="2"))
