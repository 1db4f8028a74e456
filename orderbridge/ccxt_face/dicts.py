"""From our models to ccxt's dicts: pure functions. Every key of ccxt's structure is there; None: not known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orderbridge.ccxt_face.amounts import number
from orderbridge.model.basics import OrderStatus, OrderType, TimeInForce, add, divide, multiply, subtract
from orderbridge.model.order import Fill, Order
from orderbridge.model.request import Market
from orderbridge.model.results import BadRow

Row = dict[str, Any]

_ENDS: Final[Mapping[OrderStatus, str]] = {
    OrderStatus.FILLED: "closed",
    OrderStatus.CANCELLED: "canceled",
    OrderStatus.EXPIRED: "expired",
    OrderStatus.REJECTED: "rejected",
    OrderStatus.FAILED: "rejected",
}
_LIVES: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTT: "GTD",
}
_TYPES: Final[Mapping[OrderType, str]] = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP_LOSS: "market",
    OrderType.STOP_LIMIT: "limit",
}
ORDER_KEYS: Final = (
    *("info", "id", "clientOrderId", "timestamp", "datetime", "lastTradeTimestamp", "lastUpdateTimestamp", "symbol"),
    *("type", "timeInForce", "postOnly", "reduceOnly", "side", "price", "stopPrice", "triggerPrice"),
    *("takeProfitPrice", "stopLossPrice", "amount", "cost", "average", "filled", "remaining", "status"),
    *("fee", "fees", "trades"),
)
TRADE_KEYS: Final = (
    *("info", "id", "timestamp", "datetime", "symbol", "order", "type", "side", "takerOrMaker", "price", "amount"),
    *("cost", "fee", "fees"),
)


def status_word(order: Order, filled: Decimal | None = None) -> str:
    """
    ccxt's word for how an order stands.

    Whatever may still trade is `open`, a word that we do not know too: a bot that took it for over would replace it.
    An order that is over, of which it is not known whether it filled whole, is `closed` if something of it did, by
    what it tells or by its trades (`filled`).
    """
    if order.may_be_live:
        return "open"
    if order.status is OrderStatus.ENDED:
        return "closed" if order.filled_quantity or filled else "canceled"
    return _ENDS[order.status]


def empty_row(**known: Any) -> Row:
    """An order dict in which nothing is known but this."""
    return {**dict.fromkeys(ORDER_KEYS), "fees": [], "trades": [], **known}


def order_row(order: Order, fills: Sequence[Fill] = ()) -> Row:
    """
    An order as ccxt's dict.

    Args:
        fills: all of the order, where they were read. Average, cost and fees come from them or from the venue, and
            never from the limit price.
    """
    is_filled = order.status is OrderStatus.FILLED and not order.may_be_live
    filled = _filled(order, fills, is_filled=is_filled)
    amount = filled if order.quantity is None and is_filled else order.quantity
    average, cost = _average_and_cost(order, fills, filled)
    price = average if order.price is None and order.type is OrderType.MARKET else order.price
    stop = number(order.stop_price)
    fees = _fees(fills)
    return empty_row(
        info=order.raw,
        id=order.order_id,
        clientOrderId=order.client_order_id,
        **_times(order.created_at),
        lastTradeTimestamp=max((_millis(fill.created_at) or 0 for fill in fills), default=0) or None,
        lastUpdateTimestamp=_millis(order.updated_at),
        symbol=str(order.symbol),
        type=_type_word(order),
        timeInForce="PO" if order.post_only else _LIVES[order.time_in_force] if order.time_in_force else None,
        postOnly=order.post_only,
        reduceOnly=order.reduce_only,
        side=order.side.value,
        price=number(price),
        stopPrice=stop,
        triggerPrice=stop,
        takeProfitPrice=stop if order.type is OrderType.TAKE_PROFIT else None,
        amount=number(amount),
        cost=number(cost),
        average=number(average),
        filled=number(filled),
        remaining=0.0 if is_filled else number(_remaining(order, filled)),
        status=status_word(order, filled),
        fee=fees[0] if len(fees) == 1 else None,
        fees=fees,
        trades=[trade_row(fill) for fill in fills],
    )


def _type_word(order: Order) -> str | None:
    if order.type is OrderType.TAKE_PROFIT:
        return "market" if order.price is None else "limit"
    return _TYPES.get(order.type) or order.raw_type or None


def _filled(order: Order, fills: Sequence[Fill], *, is_filled: bool) -> Decimal | None:
    """How much of it traded: as the venue tells, or all of it where it filled whole, or by its trades."""
    if order.filled_quantity is not None:
        return order.filled_quantity
    if is_filled and order.quantity is not None:
        return order.quantity
    return add(*(fill.quantity for fill in fills)) if fills else None


def _remaining(order: Order, filled: Decimal | None) -> Decimal | None:
    if order.quantity is None or filled is None:
        return None
    return max(Decimal(0), subtract(order.quantity, filled))


def _average_and_cost(
    order: Order, fills: Sequence[Fill], filled: Decimal | None
) -> tuple[Decimal | None, Decimal | None]:
    average, cost = order.average_price, order.filled_quote_quantity
    if filled is not None and not filled:
        return None, filled
    if fills and filled is not None and add(*(fill.quantity for fill in fills)) == filled:
        cost = add(*(fill.quote_quantity for fill in fills))
        average = divide(cost, filled)
    if cost is None and average is not None and filled is not None:
        cost = multiply(average, filled)
    if average is None and cost is not None and filled:
        average = divide(cost, filled)
    return average, cost


def _fees(fills: Sequence[Fill]) -> list[Row]:
    sums: dict[str | None, Decimal] = {}
    for fill in fills:
        if fill.fee is not None:
            sums[fill.fee_currency] = add(sums.get(fill.fee_currency, Decimal(0)), fill.fee)
    return [{"currency": currency, "cost": number(cost)} for currency, cost in sums.items()]


def trade_row(fill: Fill) -> Row:
    """A fill as ccxt's trade dict."""
    fees = _fees([fill])
    return {
        "info": fill.raw,
        "id": fill.fill_id,
        **_times(fill.created_at),
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
    return {**dict.fromkeys(TRADE_KEYS), "fees": [], "order": row.order_id, "info": bad_row(row)["info"]}


def market_row(market: Market) -> Row:
    """The rules of a market as ccxt's dict. `id` is the symbol: a venue's own spelling stays in its adapter."""
    symbol = market.symbol
    none = {"min": None, "max": None}
    return {
        "id": str(symbol),
        "lowercaseId": str(symbol).lower(),
        "symbol": str(symbol),
        "base": symbol.base,
        "quote": symbol.quote,
        "baseId": symbol.base,
        "quoteId": symbol.quote,
        "type": "spot",
        "spot": True,
        **dict.fromkeys(("margin", "swap", "future", "option", "index", "contract"), False),
        **dict.fromkeys(("settle", "settleId", "active", "linear", "inverse", "subType", "contractSize")),
        **dict.fromkeys(("expiry", "expiryDatetime", "strike", "optionType", "created", "tierBased", "tiers")),
        "percentage": True,
        "taker": number(market.taker_fee),
        "maker": number(market.maker_fee),
        "precision": {"amount": number(market.quantity_step), "price": number(market.price_tick)},
        "limits": {
            "leverage": none,
            "amount": {"min": number(market.min_quantity), "max": number(market.max_quantity)},
            "price": {"min": number(market.min_price), "max": number(market.max_price)},
            "cost": {"min": number(market.min_value), "max": number(market.max_value)},
        },
        "marginModes": {"cross": None, "isolated": None},
        "info": market.model_dump(mode="json"),
    }


def windowed(rows: Iterable[Row], since: int | None, limit: int | None) -> list[Row]:
    """Oldest first, as ccxt lists them: from `since` on the first `limit`, without it the last `limit`."""
    ordered = sorted(rows, key=lambda row: row["timestamp"] or 0)
    if since is not None:
        ordered = [row for row in ordered if row["timestamp"] is not None and row["timestamp"] >= since]
    if limit is None:
        return ordered
    return ordered[:limit] if since is not None else ordered[-limit:]


def _times(moment: datetime | None) -> Row:
    written = None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
    return {"timestamp": _millis(moment), "datetime": written}


def _millis(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp()) * 1000 + moment.microsecond // 1000
