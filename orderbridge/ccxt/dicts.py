"""From our models to ccxt's dicts: pure functions. Every key of ccxt's structures is there; None: not known."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orderbridge.model.basics import OrderStatus, OrderType, TimeInForce, add, divide, multiply, subtract
from orderbridge.model.order import Fill, Order
from orderbridge.model.results import BadRow

Row = dict[str, Any]
# Our amounts as the caller's ccxt has numbers: `float`, or text where it was set so.
Number = Callable[[Decimal], Any]

_ENDS: Final[Mapping[OrderStatus, str]] = {
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "expired",
    OrderStatus.REJECTED: "rejected",
    OrderStatus.FAILED: "rejected",
}
_TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_LOSS: "market",
    OrderType.STOP_LIMIT: "limit",
}
_ORDER: Final = (
    *("info", "id", "clientOrderId", "timestamp", "datetime", "lastTradeTimestamp", "lastUpdateTimestamp", "symbol"),
    *("type", "timeInForce", "postOnly", "reduceOnly", "side", "price", "stopPrice", "triggerPrice"),
    *("takeProfitPrice", "stopLossPrice", "amount", "cost", "average", "filled", "remaining", "status", "fee"),
)
_TRADE: Final = (
    *("info", "id", "timestamp", "datetime", "symbol", "order", "type", "side", "takerOrMaker", "price", "amount"),
    *("cost", "fee"),
)


def empty_row(**known: Any) -> Row:
    """An order dict in which nothing is known but this."""
    return {**dict.fromkeys(_ORDER), "fees": [], "trades": [], **known}


def order_row(order: Order, fills: Sequence[Fill] = (), *, number: Number = float) -> Row:
    """
    An order as ccxt's dict.

    Args:
        fills: all of the order, where they were read. Average, cost and fees come from them or from the venue, and
            never from the limit price.
    """
    live, kind = order.may_be_live, order.type
    is_filled = order.status is OrderStatus.FILLED and not live
    quantity, filled = order.quantity, order.filled_quantity
    if filled is None and is_filled:
        filled = quantity
    traded = add(*(fill.quantity for fill in fills)) if fills else None
    filled = traded if filled is None else filled
    average, cost = _average_and_cost(order, fills, filled, traded)
    remaining = None if quantity is None or filled is None else max(Decimal(0), subtract(quantity, filled))
    price = average if order.price is None and kind is OrderType.MARKET else order.price
    amount = filled if quantity is None and is_filled else quantity
    stop = None if order.stop_price is None else number(order.stop_price)
    if kind is OrderType.TAKE_PROFIT:
        word: str | None = "market" if order.price is None else "limit"
    else:
        word = _TYPES.get(kind) or order.raw_type or None
    fees = _fees(fills, number) if fills else []
    timestamp, written = _time(order.created_at)
    return {
        "info": order.raw,
        "id": order.order_id,
        "clientOrderId": order.client_order_id,
        "timestamp": timestamp,
        "datetime": written,
        "lastTradeTimestamp": max((_time(fill.created_at)[0] or 0 for fill in fills), default=0) or None,
        "lastUpdateTimestamp": _time(order.updated_at)[0],
        "symbol": str(order.symbol),
        "type": word,
        "timeInForce": "PO" if order.post_only else _life(order.time_in_force),
        "postOnly": order.post_only,
        "reduceOnly": order.reduce_only,
        "side": order.side.value,
        "price": None if price is None else number(price),
        "stopPrice": stop,
        "triggerPrice": stop,
        "takeProfitPrice": stop if kind is OrderType.TAKE_PROFIT else None,
        "stopLossPrice": None,
        "amount": None if amount is None else number(amount),
        "cost": None if cost is None else number(cost),
        "average": None if average is None else number(average),
        "filled": None if filled is None else number(filled),
        "remaining": number(Decimal(0)) if is_filled else None if remaining is None else number(remaining),
        "status": "open" if live else _ended(order, filled),
        "fee": fees[0] if len(fees) == 1 else None,
        "fees": fees,
        "trades": [trade_row(fill, number=number) for fill in fills],
    }


def _life(known: TimeInForce | None) -> str | None:
    return "GTD" if known is TimeInForce.GTT else known and known.value.upper()


def _ended(order: Order, filled: Decimal | None) -> str | None:
    """
    ccxt's word for how an order ended; None where that is not known.

    One that is over, of which it is not known whether it filled whole, is `closed` if something of it did, and if
    ccxt's row calls it so. Whatever may still trade is `open`, a status that we do not know too: a bot that took it
    for over would replace it, and so would one that is told `canceled` of what may have filled.
    """
    if order.status in _ENDS:
        return _ENDS[order.status]
    if filled is None:
        return "closed" if order.raw_status == "closed" else None
    return "closed" if filled else "canceled"


def _average_and_cost(
    order: Order, fills: Sequence[Fill], filled: Decimal | None, traded: Decimal | None
) -> tuple[Decimal | None, Decimal | None]:
    average, cost = order.average_price, order.filled_quote_quantity
    if filled is None:
        return average, cost
    if not filled:
        return None, filled
    if traded == filled:
        cost = add(*(fill.quote_quantity for fill in fills))
        return divide(cost, filled), cost
    if cost is None and average is not None:
        cost = multiply(average, filled)
    elif average is None and cost is not None:
        average = divide(cost, filled)
    return average, cost


def _fees(fills: Iterable[Fill], number: Number) -> list[Row]:
    sums: dict[str | None, Decimal] = {}
    for fill in fills:
        if fill.fee is not None:
            sums[fill.fee_currency] = add(sums.get(fill.fee_currency, Decimal(0)), fill.fee)
    return [{"currency": currency, "cost": number(cost)} for currency, cost in sums.items()]


def trade_row(fill: Fill, *, number: Number = float) -> Row:
    """A fill as ccxt's trade dict."""
    fees = _fees((fill,), number)
    timestamp, written = _time(fill.created_at)
    return {
        "info": fill.raw,
        "id": fill.fill_id,
        "timestamp": timestamp,
        "datetime": written,
        "symbol": str(fill.symbol),
        "order": fill.order_id,
        "type": None,
        "side": fill.side.value,
        "takerOrMaker": fill.liquidity.value if fill.liquidity else None,
        "price": number(fill.price),
        "amount": number(fill.quantity),
        "cost": number(fill.quote_quantity),
        "fee": dict(fees[0]) if fees else {"currency": None, "cost": None},
        "fees": fees,
    }


def bad_row(row: BadRow) -> Row:
    """A row of the venue that could not be read, beside its neighbours: it may be a live order."""
    return empty_row(id=row.order_id, info={"error": row.reason, "row": row.raw})


def bad_trade_row(row: BadRow) -> Row:
    """A trade that could not be read, beside its neighbours."""
    return {**dict.fromkeys(_TRADE), "fees": [], "order": row.order_id, "info": bad_row(row)["info"]}


def windowed(rows: Iterable[Row], since: int | None, limit: int | None) -> list[Row]:
    """Oldest first, as ccxt lists them: from `since` on the first `limit`, without it the last `limit`."""
    ordered = sorted(rows, key=lambda row: row["timestamp"] or 0)
    if since is not None:
        ordered = [row for row in ordered if row["timestamp"] is not None and row["timestamp"] >= since]
    if limit is None:
        return ordered
    return ordered[:limit] if since is not None else ordered[-limit:]


def _time(moment: datetime | None) -> tuple[int | None, str | None]:
    """As ccxt has times: milliseconds, and the same as text."""
    if moment is None:
        return None, None
    written = moment.isoformat(timespec="milliseconds")
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000, f"{written[:23]}Z"
