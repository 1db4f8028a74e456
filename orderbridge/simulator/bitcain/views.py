"""
How the simulated Bitcain writes orders: a canonical row, and its disguises.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orderbridge.simulator.basics import PLACES, plain, ratio
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder, State
from orderbridge.simulator.settings import BitcainSettings

STATUSES: Final = [
    "pending",
    "open",
    "partially_filled",
    "filled",
    "cancelled",
    "expired",
    "rejected",
    "failed",
]
FINAL: Final = frozenset({State.FILLED, State.CANCELLED, State.EXPIRED, State.REJECTED, State.FAILED})
UNKNOWN_WORD: Final = "pending_review"

_VARIANTS: Final = {
    "id": "order_id",
    "client_order_id": "client_oid",
    "exchange_order_id": "external_order_id",
    "symbol": "trading_pair",
    "side": "trade_type",
    "type": "order_type",
    "status": "order_status",
    "quantity": "original_quantity",
    "filled_quantity": "executed_quantity",
    "remaining_quantity": "leaves_qty",
    "price": "limit_price",
    "stop_price": "trigger_price",
    "average_fill_price": "avg_price",
    "fee": "commission",
    "fee_currency": "commission_asset",
    "time_in_force": "tif",
    "expires_at": "expire_time",
    "trading_mode": "mode",
    "source": "order_source",
    "error_message": "reject_reason",
    "retry_count": "retries",
    "created_at": "submitted_at",
    "updated_at": "last_updated",
}


def order_row(order: SimOrder, market: Instrument, settings: BitcainSettings) -> dict[str, Any]:
    """
    The order in the names, decimals, times and spelling that the settings ask for, with `raw` laid over it.
    """
    row = _canonical(order, market, settings)
    if not settings.show_mode:
        del row["trading_mode"]
    if settings.names == "variants":
        row = {_VARIANTS.get(name, name): value for name, value in row.items()}
    elif settings.names == "camel":
        row = {camel(name): value for name, value in row.items()}
    for name, value in order.raw.items():
        if value is ...:
            row.pop(name, None)
        else:
            row[name] = value
    return row


def _canonical(order: SimOrder, market: Instrument, settings: BitcainSettings) -> dict[str, Any]:
    facts = order.facts
    places = market.quote_places
    average = ratio(order.filled_quote, order.filled, PLACES) if order.filled else None

    def amount(value: Decimal | None, least: int) -> Any:
        return None if value is None else _number(value, least, settings)

    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "exchange_order_id": facts.get("exchange_order_id"),
        "portfolio_id": facts.get("portfolio_id"),
        "exchange": order.market.partition(":")[0],
        "trading_mode": facts["trading_mode"],
        "symbol": order.symbol,
        "side": order.side,
        "type": facts["type"],
        "status": spelled(status_of(order), settings),
        "quantity": amount(order.quantity, PLACES),
        "filled_quantity": amount(order.filled, PLACES),
        "remaining_quantity": amount(order.remaining, PLACES),
        "price": amount(order.price, places),
        "stop_price": amount(order.stop_price, places),
        "average_fill_price": amount(average, places),
        "fee": amount(order.fee, 0),
        "fee_currency": order.fills[0].fee_currency if order.fills else None,
        "time_in_force": order.time_in_force,
        "expires_at": when(order.expires_at, settings),
        "reduce_only": facts.get("reduce_only", False),
        "post_only": order.post_only,
        "source": facts.get("source", "manual"),
        "agent_id": facts.get("agent_id"),
        "error_message": order.reason,
        "retry_count": facts.get("retry_count", 0),
        "created_at": when(order.created_at, settings),
        "updated_at": when(order.updated_at or order.created_at, settings),
    }


def status_of(order: SimOrder) -> str:
    """The canonical status word."""
    if order.state is State.WAITING:
        return "pending"
    if order.state is State.OPEN:
        if order.filled:
            return "partially_filled"
        return "pending" if order.facts.get("queued") else "open"
    return order.state.value


def spelled(word: str, settings: BitcainSettings) -> str:
    """The word as the switch `status_spelling` has it."""
    match settings.status_spelling:
        case "canceled":
            return word.replace("cancelled", "canceled")
        case "upper":
            return word.upper()
        case "dotted":
            return f"OrderStatus.{word.upper()}"
        case "unknown":
            return UNKNOWN_WORD
    return word


def _number(value: Decimal, least: int, settings: BitcainSettings) -> str | Decimal:
    text = plain(value, least)
    return text if settings.decimals == "strings" else Decimal(text)


def when(moment: datetime | None, settings: BitcainSettings) -> str | None:
    """A time in the format that the settings ask for."""
    if moment is None:
        return None
    text = moment.isoformat(timespec="seconds" if settings.times == "no_fraction" else "microseconds")
    match settings.times:
        case "offset":
            return text
        case "naive":
            return text[:-6]
    return text[:-6] + "Z"


def camel(name: str) -> str:
    """snake_case to camelCase."""
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)
