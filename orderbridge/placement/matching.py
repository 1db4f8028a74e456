"""Sameness: when two requests are the same order, an order the one that was asked for, and a place the same place."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from orderbridge.errors import ConfigurationError
from orderbridge.gateway import OrderGateway
from orderbridge.model.basics import KnownBy, OrderType
from orderbridge.model.lifecycle import by_numbers
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest
from orderbridge.placement.states import Record

# Two clocks are compared; a venue's may be so far behind ours.
SKEW: Final = timedelta(seconds=30)


def fingerprint(request: OrderRequest, *, gateway: str, mode: str | None, address: str | None = None) -> str:
    """A text that is the same for the same order at the same place, however its amounts were written."""
    fields = {
        name: _plain(value)
        for name, value in request.model_dump(exclude={"client_order_id"}).items()
        if value is not None
    }
    place = {"gateway": gateway, "mode": mode, "address": address}
    text = json.dumps({**place, **fields}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def disagreements(request: OrderRequest, order: Order, *, since: datetime | None) -> list[str]:
    """
    In what an order is not what was asked for; empty when it may be it.

    Only what both sides say is compared: an order rebuilt from its trades has no price and no size.

    Args:
        since: when the placement was made; an order that the venue made before is another one.
    """
    pairs: list[tuple[str, object, object]] = [
        ("symbol", request.symbol, order.symbol),
        ("side", request.side, order.side),
        ("quantity", request.quantity, order.quantity),
        ("price", request.price, order.price),
        ("stop_price", request.stop_price, order.stop_price),
    ]
    if order.type is not OrderType.UNKNOWN:
        pairs.append(("type", request.type, order.type))
    if request.quote_quantity is not None:
        # The base size of an order sized in quote is the venue's arithmetic.
        pairs = [pair for pair in pairs if pair[0] != "quantity"]
        pairs.append(("quote_quantity", request.quote_quantity, order.quote_quantity))
    found = [
        f"{name}: asked for {asked}, shown {shown}"
        for name, asked, shown in pairs
        if asked is not None and shown is not None and asked != shown
    ]
    if since is not None and order.created_at is not None and order.created_at < since - SKEW:
        found.append(f"created_at: {order.created_at}, before the placement of {since}")
    return found


def completed(order: Order, request: OrderRequest) -> Order:
    """An order that was rebuilt from its trades, with what was asked for: by that its fills are the whole or a part."""
    if order.known_by is not KnownBy.INFERRED or order.type is not OrderType.UNKNOWN:
        return order
    asked: dict[str, object] = {
        name: getattr(request, name)
        for name in ("quantity", "quote_quantity", "price", "stop_price", "expires_at")
        if getattr(order, name) is None
    }
    return by_numbers(order.model_copy(update={"type": request.type, **asked}))


def venue_address(gateway: OrderGateway) -> tuple[str | None, str | None]:
    """The address that a gateway speaks to, and its mode; None for what it does not say, or its address says."""
    return gateway.address.rstrip("/") or None, None if gateway.address_tells_mode else gateway.mode


def is_at(record: Record, gateway: OrderGateway) -> bool:
    """True if a placement was made at this very place; one that does not say is taken to be."""
    pairs = zip((record.address, record.mode), venue_address(gateway), strict=True)
    return all(made is None or here is None or made == here for made, here in pairs)


def elsewhere(record: Record) -> ConfigurationError:
    """The error to raise about a placement that was made at another place."""
    made = " ".join(each for each in (record.address, record.mode) if each is not None)
    return ConfigurationError(
        f"this placement was made at another address or mode: {made}", gateway=record.placement.gateway
    )
