"""Between Norte's words and ours: tables and pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from orderbridge.model.basics import OrderStatus, OrderType, Symbol, TimeInForce, plain
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import Market, OrderRequest
from orderbridge.venue.lookup import CLIENT, ORDER, Way
from orderbridge.venue.rows import Unusable, built

VENUE: Final = "norte"
ID: Final = re.compile(r"[0-9a-f]{8}")
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9-]{1,36}")
LIVES: Final = {life.value: life for life in (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)}
STATUSES: Final = {
    "new": OrderStatus.ACCEPTED,
    "open": OrderStatus.OPEN,
    "partial": OrderStatus.PARTIALLY_FILLED,
    "done": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELLED,
}


def order_from_row(row: Any, *, account: str, source: str, observed_at: datetime) -> Order:
    """One order. Unusable: no row, or no id, symbol, side or amount that can be read."""
    if not isinstance(row, dict):
        raise Unusable("no object")
    word = str(row.get("status", ""))
    return built(
        Order,
        row.get("id") if isinstance(row.get("id"), str) else None,
        venue=VENUE,
        account=account,
        order_id=row.get("id"),
        client_order_id=row.get("client_id"),
        symbol=str(row.get("market", "")).replace("-", "/"),
        side=row.get("side"),
        type={"limit": OrderType.LIMIT, "market": OrderType.MARKET}.get(str(row.get("type")), OrderType.UNKNOWN),
        raw_type=str(row.get("type", "")),
        status=STATUSES.get(word, OrderStatus.UNKNOWN),
        raw_status=word,
        evidence=(f"{source}: {word}",),
        quantity=row.get("size"),
        filled_quantity=row.get("filled"),
        price=row.get("price"),
        time_in_force=LIVES.get(str(row.get("life"))),
        post_only=row.get("post_only"),
        created_at=moment(row.get("created")),
        observed_at=observed_at,
        raw=row,
    )


def moment(value: object) -> datetime | None:
    """A time in milliseconds."""
    return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) else None


def market_from_row(row: Any) -> Market:
    """The rules of one market."""
    return Market(symbol=Symbol(row["name"].replace("-", "/")), price_tick=row["tick"], quantity_step=row["step"])


def order_to_wire(request: OrderRequest, client_order_id: str | None) -> dict[str, str | bool]:
    """The body of a new order."""
    fields: dict[str, Any] = {
        "market": str(request.symbol).replace("/", "-"),
        "side": request.side.value,
        "type": request.type.value,
        "life": request.time_in_force.value,
        "post_only": request.post_only,
        "client_id": client_order_id,
        "size": request.quantity and plain(request.quantity),
        "price": request.price and plain(request.price),
    }
    return {name: value for name, value in fields.items() if value is not None}


def ways(ref: OrderRef) -> Iterable[Way]:
    """Under which ids Norte could hold the order of a ref."""
    if (id := ref.order_id or ref.id) and ID.fullmatch(id):
        yield Way(ORDER, id)
    if not ref.order_id and (id := ref.client_order_id or ref.id) and CLIENT_ID.fullmatch(id):
        yield Way(CLIENT, id)


def rows_in(payload: Any) -> Any:
    """The rows of a list; what is none is refused as none where it is read."""
    return payload.get("orders") if isinstance(payload, Mapping) else payload
