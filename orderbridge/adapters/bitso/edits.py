"""Changing an order in place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.ids import could_be_oid
from orderbridge.adapters.bitso.outgoing import modify_to_wire
from orderbridge.errors import (
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderNotActive,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
)
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import OrderType
from orderbridge.model.order import Order
from orderbridge.model.request import OrderEdit
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.markets import MarketStore, amounts_of
from orderbridge.venue.memory import Shown

GetOrder = Callable[[str, Deadline], Awaitable[Order]]
_STOPS: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LIMIT})


class BitsoEdits:
    """The edits of one account."""

    def __init__(self, client: BitsoClient, get: GetOrder, markets: MarketStore, shown: Shown) -> None:
        self._client = client
        self._get = get
        self._markets = markets
        self._shown = shown

    async def modify(self, order: Order, changes: OrderEdit, *, deadline: Deadline) -> Order:
        """
        Change a working order in place; it keeps its id.

        Source: Bitso API v4, "Modify an Order".
        """
        self._check(order, changes)
        if changes.price is not None and changes.quantity is None:
            changes = self._with_quantity(order, changes)
        await self._hold(order, changes, deadline)
        payload = await self._send(order, changes, deadline)
        self._check_identity(order, payload)
        try:
            now = await self._get(order.order_id, after_a_write(deadline))
        except OrderBridgeError:
            # Accepted; what it became could not be read. The old figures stand, flagged.
            return self._unconfirmed(order, "edit: accepted, not read back")
        if (now.symbol, now.side) != (order.symbol, order.side):
            raise self._another(order, f"{now.side} {now.symbol}, not {order.side} {order.symbol}")
        # A working order that does not show the change is a stale read, or the change is still under way.
        if now.may_be_live and _lacks(now, changes):
            return self._unconfirmed(now, "edit: accepted, not shown yet")
        return now

    async def _hold(self, order: Order, changes: OrderEdit, deadline: Deadline) -> None:
        amounts = amounts_of(changes)
        if changes.quantity is not None and changes.price is None:
            amounts["price"] = order.price
        await self._markets.hold(order.symbol, amounts, deadline=deadline, operation="edit")

    def _check_identity(self, order: Order, payload: object) -> None:
        oid = payload.get("oid") if isinstance(payload, dict) else None
        if isinstance(oid, str) and oid != order.order_id:
            raise self._another(order, oid)

    def _another(self, order: Order, what: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"the change was sent, and the answer is about another order: {what}",
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            gateway=self._client.gateway,
            operation="edit",
        )

    async def _send(self, order: Order, changes: OrderEdit, deadline: Deadline) -> object:
        try:
            payload: object = await self._client.write(
                "PATCH",
                f"/orders/{order.order_id}",
                modify_to_wire(changes),
                permit=None,
                deadline=deadline,
                operation="edit",
                order_id=order.order_id,
                client_order_id=order.client_order_id,
                version=4,
            )
        except OutcomeUnknown:
            self._unconfirmed(order, "edit: sent, outcome not known")
            raise
        except (OrderNotFound, OrderRejected) as error:
            # Which code an order gets that has ended meanwhile is not documented: the order itself tells.
            try:
                now = await self._get(order.order_id, after_a_write(deadline))
            except OrderBridgeError:
                raise error from None
            if now.is_done:
                raise self._not_active(now) from error
            raise
        return payload

    def _check(self, order: Order, changes: OrderEdit) -> None:
        if order.is_done:
            raise self._not_active(order)
        if changes.time_in_force is not None or changes.expires_at is not None:
            raise NotSupported(
                "Bitso changes quantity, price and stop_price only; cancel the order and place another",
                gateway=self._client.gateway,
                operation="edit",
            )
        if not could_be_oid(order.order_id):
            raise self._denied(f"{order.order_id!r} cannot be an id at Bitso", "order_id")
        if order.type is OrderType.MARKET:
            raise self._denied("a market order cannot be changed", "type")
        if order.type is OrderType.STOP_LOSS and changes.price is not None:
            raise self._denied("a stop_loss trades at the market: it has no price to change", "price")
        if order.quote_quantity is not None and changes.quantity is not None:
            raise self._denied("the order is sized in quote: its quantity cannot be changed", "quantity")
        if changes.quantity is not None and changes.quantity <= (order.filled_quantity or 0):
            raise self._denied("quantity is the new total, and that much is filled already: cancel instead", "quantity")
        if changes.stop_price is not None and (order.type not in _STOPS or order.triggered_at is not None):
            raise self._denied("stop_price is for stop orders that have not triggered", "stop_price")

    def _with_quantity(self, order: Order, changes: OrderEdit) -> OrderEdit:
        # With a price alone Bitso keeps the order's quote value and computes the base amount anew, so the total that
        # was just read goes along.
        if order.quantity is None:
            raise self._denied(
                "a new price alone would change the quantity too, for Bitso keeps the value of the order, and the total"
                " is not known: give the quantity (the total) with it",
                "quantity",
            )
        return changes.model_copy(update={"quantity": order.quantity})

    def _unconfirmed(self, order: Order, evidence: str) -> Order:
        """An order whose size may be another one by now, so that trades of the old one do not fill it."""
        order = order.noted(evidence, replace_requested=True)
        if self._shown.get(order.order_id) is not None:
            self._shown.put(order)
        return order

    def _denied(self, text: str, rule: str) -> OrderDenied:
        return OrderDenied(text, rule=rule, gateway=self._client.gateway, operation="edit")

    def _not_active(self, order: Order) -> OrderNotActive:
        return OrderNotActive(
            f"the order is {order.status}: nothing can be changed",
            order=order,
            gateway=self._client.gateway,
            operation="edit",
        )


def _lacks(order: Order, changes: OrderEdit) -> bool:
    wanted = {"quantity": changes.quantity, "price": changes.price, "stop_price": changes.stop_price}
    return any(value is not None and getattr(order, name) != value for name, value in wanted.items())
