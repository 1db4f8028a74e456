"""Orders and markets as plain JSON values, and back, without losing a digit."""

from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from orderbridge.simulator.engine.order import Fill, Order, State

_DECIMALS = frozenset(
    {
        "quantity", "quote_quantity", "price", "stop_price", "slippage",
        "filled", "filled_quote", "fee", "locked",
    }
)  # fmt: skip
_MOMENTS = frozenset({"created_at", "expires_at", "cancel_at", "updated_at", "triggered_at", "ended_at", "shown_from"})
_NAMES = tuple(field.name for field in fields(Order) if field.name != "fills")


def pack_order(order: Order) -> dict[str, Any]:
    """The order; what has its default is still written, so that defaults may change."""
    packed: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(order, name)
        if value is not None and name in _DECIMALS:
            value = str(value)
        elif value is not None and name in _MOMENTS:
            value = value.isoformat()
        elif name in ("raw", "facts"):
            value = _pack_free(value)
        packed[name] = value
    packed["fills"] = [
        [
            fill.trade_id,
            str(fill.price),
            str(fill.quantity),
            str(fill.fee),
            fill.fee_currency,
            fill.maker,
            fill.created_at.isoformat(),
        ]
        for fill in order.fills
    ]
    return packed


def unpack_order(packed: dict[str, Any]) -> Order:
    """The order that was packed."""
    values = dict(packed)
    fills = values.pop("fills")
    for name, value in values.items():
        if value is not None and name in _DECIMALS:
            values[name] = Decimal(value)
        elif value is not None and name in _MOMENTS:
            values[name] = datetime.fromisoformat(value)
        elif name in ("raw", "facts"):
            values[name] = _unpack_free(value)
    values["state"] = State(values["state"])
    order = Order(**values)
    order.fills = [
        Fill(
            number,
            order,
            Decimal(price),
            Decimal(size),
            Decimal(fee),
            currency,
            maker,
            datetime.fromisoformat(at),
        )
        for number, price, size, fee, currency, maker, at in fills
    ]
    return order


def _pack_free(value: Any) -> Any:
    """`raw` may hold what JSON has no word for: a Decimal, or `...` for a field that is left out."""
    if value is ...:
        return {"$left_out": True}
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, dict):
        return {name: _pack_free(item) for name, item in value.items()}
    return [_pack_free(item) for item in value] if isinstance(value, list | tuple) else value


def _unpack_free(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpack_free(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$left_out" in value:
        return ...
    if "$decimal" in value:
        return Decimal(value["$decimal"])
    return {name: _unpack_free(item) for name, item in value.items()}
