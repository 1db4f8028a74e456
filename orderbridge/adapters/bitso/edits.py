"""What Bitso can change of an order, and how its answer to a change is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orderbridge.adapters.bitso.mapping import could_be_oid
from orderbridge.errors import NotSupported, OrderDenied
from orderbridge.model.basics import OrderType
from orderbridge.model.order import Order
from orderbridge.model.request import OrderEdit
from orderbridge.venue.submit import Unclear

_STOPS: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LIMIT})


def checked_edit(order: Order, changes: OrderEdit) -> OrderEdit:
    """
    The changes as they go out.

    Raises:
        OrderDenied, NotSupported: Bitso cannot change that of this order.

    Source: Bitso API v4, "Modify an Order".
    """
    if changes.time_in_force is not None or changes.expires_at is not None:
        message = "Bitso changes quantity, price and stop_price only; cancel the order and place another"
        raise NotSupported(message)
    if not could_be_oid(order.order_id):
        raise OrderDenied(f"{order.order_id!r} cannot be an id at Bitso", rule="order_id")
    if order.type is OrderType.MARKET:
        raise OrderDenied("a market order cannot be changed", rule="type")
    if order.type is OrderType.STOP_LOSS and changes.price is not None:
        raise OrderDenied("a stop_loss trades at the market: it has no price to change", rule="price")
    if order.quote_quantity is not None and changes.quantity is not None:
        raise OrderDenied("the order is sized in quote: its quantity cannot be changed", rule="quantity")
    if changes.stop_price is not None and (order.type not in _STOPS or order.triggered_at is not None):
        raise OrderDenied("stop_price is for stop orders that have not triggered", rule="stop_price")
    if changes.price is None or changes.quantity is not None:
        return changes
    # With a price alone Bitso keeps the order's quote value and computes the base amount anew, so the total that was
    # just read goes along.
    if order.quantity is None:
        raise OrderDenied(
            "a new price alone would change the quantity too, for Bitso keeps the value of the order, and the total is"
            " not known: give the quantity (the total) with it",
            rule="quantity",
        )
    return changes.model_copy(update={"quantity": order.quantity})


def check_answer(payload: object, order: Order) -> None:
    """Nothing: the answer to a change shows no order. Unclear: it names another."""
    oid = payload.get("oid") if isinstance(payload, Mapping) else None
    if isinstance(oid, str) and oid != order.order_id:
        raise Unclear(f"the answer is about another order, {oid}")
