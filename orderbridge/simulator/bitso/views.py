"""How the simulated Bitso writes orders and trades."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from orderbridge.simulator.basics import PLACES, ZERO, plain, value_of
from orderbridge.simulator.engine.order import SimFill, SimOrder, State
from orderbridge.simulator.settings import BitsoSettings

TIME_IN_FORCE: Final = {
    "goodtillcancelled": ("gtc", False),
    "fillorkill": ("fok", False),
    "immediateorcancel": ("ioc", False),
    "postonly": ("gtc", True),
}
_TIME_IN_FORCE_WORD: Final = {value: word for word, value in TIME_IN_FORCE.items()}


def order_row(order: SimOrder, settings: BitsoSettings, *, now: datetime, places: int = 2) -> dict[str, Any]:
    """
    One row of look-up and open orders. Fields that do not apply to the order are left out, as documented.
    """
    row: dict[str, Any] = {"book": order.market, "oid": order.order_id}
    if order.client_order_id is not None:
        row["origin_id"] = order.client_order_id
    row |= {"side": order.side, "type": order.type, "status": status_word(order, settings, now)}
    if order.price is not None:
        row["price"] = plain(order.price, places)
    elif settings.market_price_null:
        row["price"] = None
    row["original_amount"] = None if order.quantity is None else plain(order.quantity, PLACES)
    row["unfilled_amount"] = _unfilled(order, settings)
    row["original_value"] = _value(order, places)
    if order.type == "limit":
        row["time_in_force"] = _TIME_IN_FORCE_WORD.get((order.time_in_force, order.post_only), "goodtillcancelled")
    if order.stop_price is not None:
        row["stop"] = plain(order.stop_price, places)
    if order.triggered_at is not None:
        row["triggered_at"] = when(order.triggered_at, settings)
    row["created_at"] = when(order.created_at, settings)
    row["updated_at"] = when(order.updated_at or order.created_at, settings)
    return overlay(row, order.raw)


def overlay(row: dict[str, Any], raw: dict[str, Any]) -> dict[str, Any]:
    """Lay fields over the row as they are; `...` takes one out."""
    for name, value in raw.items():
        if value is ...:
            row.pop(name, None)
        else:
            row[name] = value
    return row


def status_word(order: SimOrder, settings: BitsoSettings, now: datetime) -> str:
    """The documented word, in the spelling that the settings ask for."""
    if order.state is State.WAITING:
        word = "queued"
    elif order.state is State.OPEN:
        word = "partially filled" if order.filled else "open"
        young = settings.queued_for and now - order.created_at < timedelta(seconds=settings.queued_for)
        if word == "open" and (young or order.facts.get("queued")):
            word = "queued"
    else:
        word = "completed" if order.state is State.FILLED else "cancelled"
    if settings.status_spelling == "old" and word == "partially filled":
        return "partial-fill"
    return word.upper() if settings.status_spelling == "upper" else word


def _unfilled(order: SimOrder, settings: BitsoSettings) -> str | int | None:
    if order.quantity is None and order.state is not State.FILLED:
        return None
    if order.remaining == ZERO and settings.unfilled_zero_as_number:
        return 0
    return plain(order.remaining, PLACES)


def _value(order: SimOrder, places: int) -> str | None:
    if order.quote_quantity is not None:
        return plain(order.quote_quantity, places)
    if order.price is None or order.quantity is None:
        return None
    return plain(value_of(order.price, order.quantity), places)


def trade_row(fill: SimFill, settings: BitsoSettings, *, places: int = 2) -> dict[str, Any]:
    """One row of order trades and user trades: amounts signed from the account's view."""
    order = fill.order
    buys = order.side == "buy"
    other = "sell" if buys else "buy"
    base, _, quote = order.market.partition("_")
    value = value_of(fill.price, fill.quantity)
    row: dict[str, Any] = {
        "tid": fill.trade_id if settings.tid_as == "number" else str(fill.trade_id),
        "oid": order.order_id,
    }
    if order.client_order_id is not None:
        row["origin_id"] = order.client_order_id
    return row | {
        "book": order.market,
        "side": order.side,
        "maker_side": order.side if fill.maker else other,
        "price": plain(fill.price, places),
        "major": _signed(fill.quantity, negative=not buys),
        "minor": _signed(value, negative=buys),
        "major_currency": base,
        "minor_currency": quote,
        "fees_amount": _signed(fill.fee, negative=settings.fee_sign == "negative"),
        "fees_currency": fill.fee_currency,
        "created_at": when(fill.created_at, settings),
    }


def _signed(amount: Decimal, *, negative: bool) -> str:
    return ("-" if negative else "") + plain(amount, PLACES)


def when(moment: datetime, settings: BitsoSettings) -> str:
    """A time in the format that the settings ask for."""
    if settings.time_format == "millis":
        return moment.isoformat(timespec="milliseconds")
    text = moment.isoformat(timespec="seconds")
    return text[:-6] + "+0000" if settings.time_format == "compact" else text
