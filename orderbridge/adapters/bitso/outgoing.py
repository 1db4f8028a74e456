"""From requests to what Bitso takes: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from orderbridge.adapters.bitso.mapping import VENUE, book_from_symbol
from orderbridge.model.basics import ZERO, OrderStatus, OrderType, TimeInForce, parse_amount, plain
from orderbridge.model.order import Order
from orderbridge.model.request import OrderEdit, OrderRequest

# Source: Bitso API v3, "Place an Order": a stop order is a market or limit order with a `stop`.
TYPE_TO_WIRE: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_LOSS: "market",
    OrderType.STOP_LIMIT: "limit",
}
LIFE_TO_WIRE: Final[Mapping[tuple[TimeInForce, bool], str]] = {
    (TimeInForce.GTC, False): "goodtillcancelled",
    (TimeInForce.FOK, False): "fillorkill",
    (TimeInForce.IOC, False): "immediateorcancel",
    (TimeInForce.GTC, True): "postonly",
}


def order_to_wire(request: OrderRequest, *, client_order_id: str) -> dict[str, str]:
    """
    The body of a new order. Amounts are plain text; `major` is base, `minor` quote.

    Source: Bitso API v3, "Place an Order".
    """
    body = {
        "book": book_from_symbol(request.symbol),
        "side": request.side.value,
        "type": TYPE_TO_WIRE[request.type],
    }
    body |= _amounts(
        major=request.quantity,
        minor=request.quote_quantity,
        price=request.price,
        stop=request.stop_price,
        slippage_tolerance=request.slippage_tolerance,
    )
    if request.price is not None:
        body["time_in_force"] = LIFE_TO_WIRE[request.time_in_force, request.post_only]
    body["origin_id"] = client_order_id
    return body


def modify_to_wire(changes: OrderEdit) -> dict[str, str]:
    """
    The body of a change in place. `cancel` 0: an order that cannot be modified stays as it is.

    Source: Bitso API v4, "Modify an Order".
    """
    return {**_amounts(major=changes.quantity, price=changes.price, stop=changes.stop_price), "cancel": "0"}


def _amounts(**fields: Decimal | None) -> dict[str, str]:
    return {name: plain(value) for name, value in fields.items() if value is not None}


def contradictions(payload: object, fields: Mapping[str, str]) -> list[str]:
    """Where an answer states another market, side or origin id than was sent: it is about another order."""
    answer = payload if isinstance(payload, Mapping) else {}
    return [
        f"{name} was sent as {fields[name]}, and the answer says {answer[name]}"
        for name in ("book", "side", "origin_id")
        if isinstance(answer.get(name), str) and answer[name] and answer[name] != fields[name]
    ]


def other_figures(payload: object, request: OrderRequest) -> list[str]:
    """Where an answer states another size or price than was sent, under the names that Bitso has for them."""
    answer = payload if isinstance(payload, Mapping) else {}
    sent = {"price": request.price, "stop": request.stop_price, "original_amount": request.quantity}
    sent["original_value"] = request.quote_quantity
    found = []
    for name, value in sent.items():
        stated = answer.get(name)
        try:
            is_as_sent = stated is None or value is None or parse_amount(stated) == value
        except ValueError:
            is_as_sent = False
        if not is_as_sent:
            found.append(f"{name} was sent as {plain(value or ZERO)}, and the answer says {stated!r:.60}")
    return found


def order_from_answer(
    request: OrderRequest,
    *,
    oid: str,
    client_order_id: str,
    account: str,
    observed_at: datetime,
    anomalies: Iterable[str] = (),
) -> Order:
    """What is known once Bitso has answered a new order with its id: what was asked for, and nothing of its fills."""
    life, post_only = (request.time_in_force, request.post_only) if request.price is not None else (None, None)
    return Order(
        venue=VENUE,
        account=account,
        order_id=oid,
        client_order_id=client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        raw_type=TYPE_TO_WIRE[request.type],
        status=OrderStatus.ACCEPTED,
        evidence=("submit: an oid was given",),
        quantity=request.quantity,
        quote_quantity=request.quote_quantity,
        price=request.price,
        stop_price=request.stop_price,
        time_in_force=life,
        post_only=post_only,
        observed_at=observed_at,
        anomalies=tuple(anomalies),
    )
