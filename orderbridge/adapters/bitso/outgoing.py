"""From requests to what Bitso takes: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Final

from orderbridge.adapters.bitso.mapping import VENUE, book_from_symbol, symbol_from_book
from orderbridge.model.basics import OrderType, TimeInForce, parse_amount, plain
from orderbridge.model.order import Order
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.venue.submit import Unclear, order_as_asked

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

_FIGURES: Final = (
    ("price", "price"),
    ("stop_price", "stop"),
    ("quantity", "original_amount"),
    ("quote_quantity", "original_value"),
)


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


def oid_from_answer(payload: object) -> str:
    """The id of a new order. Unclear: the answer names none."""
    oid = payload.get("oid") if isinstance(payload, Mapping) else None
    if isinstance(oid, str) and oid:
        return oid
    raise Unclear("the answer names no oid")


def stated_in_answer(payload: object) -> dict[str, object]:
    """
    What the answer to a new order states beside its id, by our names for it. Documented is the id alone.

    A text where a symbol or an amount cannot be read, so that it is another one than was sent.
    """
    answer = payload if isinstance(payload, Mapping) else {}
    stated: dict[str, object] = {}
    for name, theirs in (("symbol", "book"), ("side", "side"), ("client_order_id", "origin_id")):
        if isinstance(answer.get(theirs), str) and answer[theirs]:
            stated[name] = answer[theirs]
    if "symbol" in stated:
        with suppress(ValueError):
            stated["symbol"] = symbol_from_book(answer["book"])
    for name, theirs in _FIGURES:
        if answer.get(theirs) is not None:
            stated[name] = answer[theirs]
            with suppress(ValueError):
                stated[name] = parse_amount(answer[theirs])
    return stated


def order_from_answer(
    request: OrderRequest, *, oid: str, client_order_id: str, account: str, observed_at: datetime
) -> Order:
    """A new order once Bitso has answered with its id: what was asked for, and nothing of its fills."""
    life, post_only = (request.time_in_force, request.post_only) if request.price is not None else (None, None)
    return order_as_asked(
        request,
        venue=VENUE,
        account=account,
        order_id=oid,
        client_order_id=client_order_id,
        observed_at=observed_at,
        evidence="submit: an oid was given",
        raw_type=TYPE_TO_WIRE[request.type],
        time_in_force=life,
        post_only=post_only,
        reduce_only=None,
    )
