"""
From ccxt's dicts to orders and fills: tables and pure functions.

ccxt completes what an exchange says: it computes cost, average, filled and remaining from one another, takes a closed
order for filled, and calls every market order IOC. So an order is read from what the exchange's own parser stated
before that (`STATED`, kept by `wire.Wire`). Parsers compute too, so an amount counts only where it was told (`TOLD`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from orderbridge.adapters.ccxt_any.fields import STATED, TOLD, Reading, number
from orderbridge.model.basics import (
    ZERO,
    KnownBy,
    Liquidity,
    OrderStatus,
    OrderType,
    TimeInForce,
    multiply,
    plain,
    subtract,
)
from orderbridge.model.order import Fill, Order
from orderbridge.venue.rows import Unusable, built, fold

# Source: ccxt's manual, "Order Structure", field `status`. `open` and `closed` are decided by the numbers.
STATUS_FROM_CCXT: Final[Mapping[str, OrderStatus]] = {
    "open": OrderStatus.OPEN,
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
_CLOSED: Final = "closed"
# Only `limit` and `market` are promised; the others leak through from exchanges.
TYPE_FROM_CCXT: Final[Mapping[str, OrderType]] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "limit maker": OrderType.LIMIT,
    "stop loss": OrderType.STOP_LOSS,
    "stop market": OrderType.STOP_LOSS,
    "stop limit": OrderType.STOP_LIMIT,
    "stop loss limit": OrderType.STOP_LIMIT,
    "take profit": OrderType.TAKE_PROFIT,
    "take profit limit": OrderType.TAKE_PROFIT,
    "trailing stop": OrderType.TRAILING_STOP,
    "trailing stop limit": OrderType.TRAILING_STOP,
    "iceberg": OrderType.ICEBERG,
}
# Source: ccxt's manual, "Order Structure", field `timeInForce`, and whether it says post-only.
LIFE_FROM_CCXT: Final[Mapping[str, tuple[TimeInForce, bool | None]]] = {
    "gtc": (TimeInForce.GTC, None),
    "ioc": (TimeInForce.IOC, None),
    "fok": (TimeInForce.FOK, None),
    "gtd": (TimeInForce.GTT, None),
    "gtt": (TimeInForce.GTT, None),
    "po": (TimeInForce.GTC, True),
}
# Where the raw row of a fill has what a maker was paid, and in which currency.
REBATE: Final = "orderbridge:rebate"
_WORKING: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})


def is_contract(row: Any) -> bool:
    """Whether a row is of a contract (`BASE/QUOTE:SETTLE`), which a gateway of the spot market leaves alone."""
    symbol = row.get("symbol") if isinstance(row, Mapping) else None
    return isinstance(symbol, str) and ":" in symbol


def order_from_row(
    row: Any,
    *,
    venue: str,
    account: str,
    source: str,
    observed_at: datetime,
    step: Decimal | None = None,
    info_fields: Mapping[str, str] | None = None,
    created: bool = False,
    numbered_by_market: bool = False,
) -> Order:
    """
    Read an order of ccxt's.

    Args:
        source: which call showed it, for the evidence.
        step: the market's quantity step: less than that may stay unfilled in a filled order.
        info_fields: of our fields those that ccxt drops, and where the exchange's own row has them.
        created: the answer to a new order, which may leave the status out.
        numbered_by_market: another market may have an order of the same id.

    Raises:
        Unusable: no id, symbol or side that can be read, or an amount that is no number.
    """
    if not isinstance(row, Mapping):
        raise Unusable(f"an order is a dict, not {type(row).__name__}")
    reading = Reading(row, info_fields or {})
    anomalies: list[str] = []
    quantity = reading.amount("amount") or None
    filled = _filled(reading, quantity, anomalies)
    status, known_by = _status(reading.word("status"), quantity, filled, step, anomalies, created=created)
    life, post_only = _life(reading, anomalies)
    kind, stop = _kind(reading)
    price = reading.amount("price") or None
    raw_status = reading.word("status")
    return built(
        Order,
        reading.id,
        venue=venue,
        account=account,
        order_id=reading.id,
        client_order_id=reading.own("client_order_id", "clientOrderId"),
        symbol=reading.symbol,
        side=reading.side,
        type=kind,
        raw_type=reading.word("type"),
        status=status,
        raw_status=raw_status,
        known_by=known_by,
        evidence=(f"{source}: {raw_status or 'no status'}",),
        quantity=quantity,
        filled_quantity=filled,
        filled_quote_quantity=reading.amount("cost") if filled or filled is None else None,
        average_price=(reading.amount("average") or None) if filled or filled is None else None,
        price=None if kind is OrderType.MARKET else price,
        stop_price=stop,
        time_in_force=life,
        post_only=post_only,
        reduce_only=reading.flag("reduceOnly"),
        numbered_by_market=numbered_by_market,
        created_at=_time("timestamp", reading.stated.get("timestamp"), anomalies),
        updated_at=_time("lastUpdateTimestamp", reading.stated.get("lastUpdateTimestamp"), anomalies),
        observed_at=observed_at,
        anomalies=tuple(sorted(set(anomalies))),
        raw=_raw(row),
    )


def _raw(row: Mapping[str, Any]) -> dict[str, Any]:
    """The exchange's own row; the dict of ccxt's where there is none."""
    info = row.get("info")
    source = (
        info if isinstance(info, Mapping) else {key: value for key, value in row.items() if key not in {STATED, TOLD}}
    )
    return {str(key): value for key, value in source.items()}


def _filled(reading: Reading, quantity: Decimal | None, anomalies: list[str]) -> Decimal | None:
    filled, remaining = reading.amount("filled"), reading.amount("remaining")
    if quantity is not None and remaining is not None:
        left = subtract(quantity, remaining)
        if filled is None and left < 0:
            anomalies.append(f"remaining {plain(remaining)} is above the amount {plain(quantity)}")
            return None
        if filled is not None and filled != left:
            anomalies.append(f"filled {plain(filled)} and remaining {plain(remaining)} are not {plain(quantity)}")
        filled = left if filled is None else filled
    if filled is not None and quantity is not None and filled > quantity:
        anomalies.append(f"filled {plain(filled)} is above the amount {plain(quantity)}")
    return filled


def _status(
    word: str,
    quantity: Decimal | None,
    filled: Decimal | None,
    step: Decimal | None,
    anomalies: list[str],
    *,
    created: bool,
) -> tuple[OrderStatus, KnownBy]:
    folded = fold(word)
    whole = quantity is not None and filled is not None and subtract(quantity, filled) < (step or ZERO)
    whole = whole or (quantity is not None and filled is not None and filled >= quantity)
    if folded == _CLOSED:
        if quantity is None or filled is None:
            return OrderStatus.ENDED, KnownBy.REPORTED
        if whole:
            return OrderStatus.FILLED, KnownBy.REPORTED
        anomalies.append(f"closed with {plain(filled)} of {plain(quantity)} filled")
        return OrderStatus.CANCELLED, KnownBy.INFERRED
    if not folded:
        status = OrderStatus.ACCEPTED if created else OrderStatus.UNKNOWN
    else:
        status = STATUS_FROM_CCXT.get(folded, OrderStatus.UNKNOWN)
    if status in _WORKING and filled:
        if filled == quantity:
            anomalies.append(f"{word or 'no status'}, but all is filled")
        status = OrderStatus.PARTIALLY_FILLED
    return status, KnownBy.REPORTED


def _life(reading: Reading, anomalies: list[str]) -> tuple[TimeInForce | None, bool | None]:
    word, post_only = reading.word("timeInForce"), reading.flag("postOnly")
    if not reading.is_stated and fold(reading.word("type")) == "market" and fold(word) == "ioc":
        return None, None  # ccxt says so of every market order
    if not word:
        return None, post_only
    known = LIFE_FROM_CCXT.get(fold(word))
    if known is None:
        anomalies.append(f"time in force {word!r} is not known")
        return None, post_only
    return known[0], known[1] if known[1] is not None else post_only


def _kind(reading: Reading) -> tuple[OrderType, Decimal | None]:
    """The type and the stop price. Which way a bare trigger points is not told, so neither is the type."""
    kind = TYPE_FROM_CCXT.get(fold(reading.word("type")), OrderType.UNKNOWN)
    loss, profit = reading.amount("stopLossPrice"), reading.amount("takeProfitPrice")
    trigger = reading.amount("triggerPrice") or reading.amount("stopPrice") or reading.info_amount("stop_price")
    stop = loss or profit or trigger or None
    plain_kinds = {OrderType.MARKET: OrderType.STOP_LOSS, OrderType.LIMIT: OrderType.STOP_LIMIT}
    if stop is None or kind not in plain_kinds:
        return kind, stop
    if loss and not profit:
        return plain_kinds[kind], stop
    return (OrderType.TAKE_PROFIT if profit and not loss else OrderType.UNKNOWN), stop


def _time(name: str, value: object, anomalies: list[str]) -> datetime | None:
    if value is None:
        return None
    try:
        milliseconds = int(value)  # type: ignore[call-overload]  # what is no number is an anomaly
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        anomalies.append(f"{name} {value!r} is no time")
        return None


def fill_from_row(row: Any, *, venue: str, account: str) -> Fill:
    """
    Read a trade of ccxt's. Its value is the exchange's own where its row has one, else price times quantity.

    A rebate is no fee: it stands in `raw`, as `REBATE`.

    Raises:
        Unusable: an id, symbol, side or amount that cannot be read.
    """
    if not isinstance(row, Mapping):
        raise Unusable(f"a trade is a dict, not {type(row).__name__}")
    reading = Reading(row, {}, is_trade=True)
    quantity, price = reading.amount("amount"), reading.amount("price")
    if not quantity or not price:
        raise Unusable("amount or price is missing", id=reading.id)
    fee = row.get("fee")
    cost, currency = (fee.get("cost"), fee.get("currency")) if isinstance(fee, Mapping) else (None, None)
    try:
        paid = number(cost)
    except ValueError as error:
        raise Unusable(f"fee: {error}", id=reading.id) from None
    # A rebate is what the exchange pays: as a fee it would have the wrong sign, and a fill has no other place for it.
    rebate = paid if paid is not None and paid < 0 else None
    paid = None if rebate is not None else paid
    order = row.get("order")
    return built(
        Fill,
        reading.id,
        venue=venue,
        account=account,
        fill_id=reading.id,
        order_id=str(order) if isinstance(order, (str, int)) and order != "" else None,
        symbol=reading.symbol,
        side=reading.side,
        quantity=quantity,
        price=price,
        quote_quantity=reading.worth() or multiply(quantity, price),
        fee=paid,
        fee_currency=currency if paid is not None and isinstance(currency, str) and currency else None,
        liquidity=Liquidity(taker) if (taker := row.get("takerOrMaker")) in {"maker", "taker"} else None,
        created_at=_time("timestamp", row.get("timestamp"), []),
        raw=_raw(row) if rebate is None else {**_raw(row), REBATE: f"{plain(-rebate)} {currency or ''}".strip()},
    )
