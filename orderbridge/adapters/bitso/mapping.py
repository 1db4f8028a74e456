"""From Bitso's rows to orders and fills: tables and pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from orderbridge.adapters.bitso.wire import OrderRow, TradeRow
from orderbridge.model.basics import (
    ZERO,
    KnownBy,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    add,
    average,
    is_within_bounds,
    parse_amount,
    plain,
    subtract,
)
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import OrderRef
from orderbridge.venue.lookup import CLIENT, ORDER, Way
from orderbridge.venue.rows import Unusable, built, fold, moment_of

VENUE: Final = "bitso"
_BOOK: Final = re.compile(r"[a-z0-9]+_[a-z0-9]+", re.IGNORECASE)
# Source: Bitso API v3, "Place an Order": oids are letters and digits (16 today, 64 in early days); origin ids are
# up to 40 of letters, digits, underscore and dash.
_OID_SHAPE: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_ORIGIN_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
# A path word, never an order: `DELETE /orders/all` cancels everything.
_RESERVED: Final = frozenset({"all"})

# Source: Bitso API v3, "Look Up Orders", field `status`; "partial-fill" is its old spelling.
STATUS_FROM_WIRE: Final[Mapping[str, OrderStatus]] = {
    "queued": OrderStatus.ACCEPTED,
    "open": OrderStatus.OPEN,
    "partially filled": OrderStatus.PARTIALLY_FILLED,
    "partial fill": OrderStatus.PARTIALLY_FILLED,
    "completed": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELLED,
    "canceled": OrderStatus.CANCELLED,
}
# Source: Bitso API v3, "Look Up Orders", fields `type` and `stop`.
TYPE_FROM_WIRE: Final[Mapping[tuple[str, bool], OrderType]] = {
    ("market", False): OrderType.MARKET,
    ("limit", False): OrderType.LIMIT,
    ("market", True): OrderType.STOP_LOSS,
    ("limit", True): OrderType.STOP_LIMIT,
}
# Source: Bitso API v3, "Place an Order", field `time_in_force`. Post-only is a time in force there.
LIFE_FROM_WIRE: Final[Mapping[str, tuple[TimeInForce, bool]]] = {
    "goodtillcancelled": (TimeInForce.GTC, False),
    "fillorkill": (TimeInForce.FOK, False),
    "immediateorcancel": (TimeInForce.IOC, False),
    "postonly": (TimeInForce.GTC, True),
}

# Open orders are documented to be of type `limit`: whether stops that wait for their trigger are among them is not.
# Source: Bitso API v3, "List Open Orders".
WAITING_MAY_BE_MISSING: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LIMIT})


def could_be_oid(text: str) -> bool:
    """Whether Bitso could have issued this as an order id."""
    return _OID_SHAPE.fullmatch(text) is not None and text not in _RESERVED


def could_be_origin_id(text: str) -> bool:
    """Whether Bitso could have accepted this as a client order id."""
    return _ORIGIN_SHAPE.fullmatch(text) is not None


def ways_to_ask(ref: OrderRef) -> list[Way]:
    """
    The ids under which Bitso could hold the order; none when it could not.

    Its own id names one order and a client id may name several, so a ref with both is asked for by the former.
    """
    oid = ref.order_id or ref.id
    ways = [Way(ORDER, oid)] if oid and could_be_oid(oid) else []
    origin_id = ref.client_order_id if ref.order_id is None or not ways else None
    origin_id = origin_id or ref.id
    if origin_id and could_be_origin_id(origin_id):
        ways.append(Way(CLIENT, origin_id))
    return ways


def symbol_from_book(book: str) -> Symbol:
    """`btc_mxn` as `BTC/MXN`. ValueError: no such form."""
    if not _BOOK.fullmatch(book):
        raise ValueError(f"{book!r} is no book")
    return Symbol(book.replace("_", "/"))


def book_from_symbol(symbol: str) -> str:
    """`BTC/MXN` as `btc_mxn`. ValueError: no symbol."""
    known = Symbol(symbol)
    book = f"{known.base}_{known.quote}".lower()
    if not _BOOK.fullmatch(book):
        raise ValueError(f"{symbol!r} cannot be a market of Bitso's")
    return book


def order_from_row(row: Any, *, account: str, source: str, observed_at: datetime) -> Order:
    """
    Read one row of look-up or open orders.

    Args:
        source: which call showed it, for the evidence.

    Raises:
        Unusable: no id, book or side that can be read, or an amount that is no number.
    """
    wire = _checked(OrderRow, row, "oid")
    anomalies: list[str] = []
    size = _Size.of(wire, anomalies)
    waiting_stop = size.stop is not None
    status = _status(wire, size, anomalies)
    life, post_only = _life(wire, anomalies)
    triggered_at = _time("triggered_at", wire.triggered_at, anomalies)
    return built(
        Order,
        wire.oid,
        venue=VENUE,
        account=account,
        order_id=wire.oid,
        client_order_id=wire.origin_id or None,
        symbol=_symbol(wire.book, wire.oid),
        side=_side(wire.side, wire.oid),
        type=TYPE_FROM_WIRE.get((fold(wire.type), waiting_stop), OrderType.UNKNOWN),
        raw_type=wire.type,
        status=status,
        raw_status=wire.status,
        evidence=(f"{source}: {wire.status}",),
        quantity=size.quantity,
        quote_quantity=size.quote_quantity,
        filled_quantity=size.filled,
        price=size.price,
        stop_price=size.stop,
        time_in_force=life,
        post_only=post_only,
        trigger_waiting=waiting_stop and triggered_at is None and status is OrderStatus.ACCEPTED,
        created_at=_time("created_at", wire.created_at, anomalies),
        updated_at=_time("updated_at", wire.updated_at, anomalies),
        triggered_at=triggered_at,
        observed_at=observed_at,
        anomalies=tuple(sorted(anomalies)),
        raw=dict(row),
    )


class _Size:
    """The amounts of an order row, read once."""

    __slots__ = ("filled", "price", "quantity", "quote_quantity", "stop")

    def __init__(self, quantity: Decimal | None, filled: Decimal | None) -> None:
        self.quantity = quantity
        self.filled = filled
        self.price: Decimal | None = None
        self.stop: Decimal | None = None
        self.quote_quantity: Decimal | None = None

    @classmethod
    def of(cls, wire: OrderRow, anomalies: list[str]) -> _Size:
        original = _amount("original_amount", wire.original_amount, wire.oid)
        unfilled = _amount("unfilled_amount", wire.unfilled_amount, wire.oid)
        value = _amount("original_value", wire.original_value, wire.oid)
        in_quote = fold(wire.type) == "market" and not original and value is not None
        size = cls(None if in_quote else original, None)
        size.quote_quantity = value if in_quote else None
        size.price = _amount("price", wire.price, wire.oid) or None
        size.stop = _amount("stop", wire.stop, wire.oid) or None
        if size.quantity is not None and unfilled is not None:
            size.filled = _filled(size.quantity, unfilled, anomalies)
        return size


def _filled(original: Decimal, unfilled: Decimal, anomalies: list[str]) -> Decimal | None:
    if not ZERO <= unfilled <= original:
        anomalies.append(f"unfilled_amount {plain(unfilled)} is not within original_amount {plain(original)}")
        return None
    return subtract(original, unfilled)


def _status(wire: OrderRow, size: _Size, anomalies: list[str]) -> OrderStatus:
    status = STATUS_FROM_WIRE.get(fold(wire.status), OrderStatus.UNKNOWN)
    if size.quantity is None or size.filled is None:
        return status
    complete, some = size.filled == size.quantity, size.filled > 0
    if status is OrderStatus.FILLED and not complete:
        anomalies.append(f"{wire.status}, but unfilled_amount is above zero")
    if status is OrderStatus.PARTIALLY_FILLED and not some:
        anomalies.append(f"{wire.status}, but nothing is filled")
    if status in {OrderStatus.ACCEPTED, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED} and some:
        if complete:
            anomalies.append(f"{wire.status}, but unfilled_amount is zero")
        return OrderStatus.PARTIALLY_FILLED
    return status


def _life(wire: OrderRow, anomalies: list[str]) -> tuple[TimeInForce | None, bool | None]:
    if not wire.time_in_force:  # absent: not said
        return None, None
    known = LIFE_FROM_WIRE.get(fold(wire.time_in_force))
    if known is None:
        anomalies.append(f"time_in_force {wire.time_in_force!r} is not known")
        return None, None
    return known


def fill_from_row(row: Any, *, account: str) -> Fill:
    """
    Read one row of user or order trades. Bitso signs amounts by direction, and fees not always alike.

    Raises:
        Unusable: an id, book, side or amount that cannot be read.
    """
    wire = _checked(TradeRow, row, "tid")
    side = _side(wire.side, wire.tid)
    maker_side = wire.maker_side or wire.make_side
    fee = _signed("fees_amount", wire.fees_amount, wire.tid)
    return built(
        Fill,
        wire.tid,
        venue=VENUE,
        account=account,
        fill_id=wire.tid,
        order_id=wire.oid,
        client_order_id=wire.origin_id or None,
        symbol=_symbol(wire.book, wire.tid),
        side=side,
        quantity=_magnitude("major", wire.major, wire.tid),
        price=_magnitude("price", wire.price, wire.tid),
        quote_quantity=_magnitude("minor", wire.minor, wire.tid),
        fee=None if fee is None else fee.copy_abs(),
        fee_currency=wire.fees_currency.upper() if wire.fees_currency else None,
        liquidity=_liquidity(side, maker_side),
        created_at=_time("created_at", wire.created_at, []),
        raw=dict(row),
    )


def _liquidity(side: Side, maker_side: str) -> Liquidity | None:
    if fold(maker_side) not in {"buy", "sell"}:
        return None
    return Liquidity.MAKER if fold(maker_side) == side.value else Liquidity.TAKER


def told_of(fills: Sequence[Fill]) -> str:
    """What the trades of an order say, as evidence."""
    if not fills:
        return "order trades: none"
    return f"order trades: {len(fills)}, {plain(add(*(fill.quantity for fill in fills)))} {fills[0].symbol.base} in all"


def order_from_fills(
    fills: Sequence[Fill], *, account: str, observed_at: datetime, over: bool, complete: bool = True
) -> Order:
    """
    Rebuild an order that look-up no longer shows from all its trades; at least one is needed.

    Args:
        over: the complete list of open orders lacks it, and a second look-up too. Otherwise it may still work.
        complete: every trade could be read. Otherwise the fills are not known.
    """
    last = max(fills, key=lambda fill: (fill.created_at is not None, fill.created_at, fill.fill_id))
    base = add(*(fill.quantity for fill in fills))
    quote = add(*(fill.quote_quantity for fill in fills))
    anomalies = [] if complete else ["some of its trades could not be read"]
    if not all(is_within_bounds(total) for total in (base, quote)):
        complete = False
        anomalies.append("its trades add up to no amount that can be computed with")
    why = "open orders: not among them" if over else "open orders: could not be read"
    return Order(
        venue=VENUE,
        account=account,
        order_id=last.order_id,
        client_order_id=next((fill.client_order_id for fill in fills if fill.client_order_id), None),
        symbol=last.symbol,
        side=last.side,
        status=OrderStatus.ENDED if over else OrderStatus.UNKNOWN,
        known_by=KnownBy.INFERRED,
        evidence=tuple(sorted(("look-up: not shown", told_of(fills), why))),
        filled_quantity=base if complete else None,
        filled_quote_quantity=quote if complete else None,
        average_price=average(quote, base) if complete else None,
        updated_at=last.created_at,
        observed_at=observed_at,
        anomalies=tuple(anomalies),
    )


M = TypeVar("M", bound=BaseModel)


def _checked(model: type[M], row: Any, id_field: str) -> M:
    if not isinstance(row, dict):
        raise Unusable(f"a row is an object, not {type(row).__name__}")
    known = row.get(id_field)
    is_id = isinstance(known, (str, int)) and not isinstance(known, bool) and known != ""
    return built(model, str(known) if is_id else None, **row)


def _symbol(book: str, id: str) -> Symbol:
    try:
        return symbol_from_book(book)
    except ValueError as error:
        raise Unusable(str(error), id=id) from error


def _side(word: str, id: str) -> Side:
    try:
        return Side(word)
    except ValueError:
        raise Unusable(f"side {word!r} is neither buy nor sell", id=id) from None


def _signed(field: str, value: object, id: str) -> Decimal | None:
    if value is None:
        return None
    try:
        return parse_amount(value)
    except ValueError as error:
        raise Unusable(f"{field}: {error}", id=id) from None


def _amount(field: str, value: object, id: str) -> Decimal | None:
    number = _signed(field, value, id)
    if number is not None and number < 0 and field != "unfilled_amount":
        raise Unusable(f"{field} is negative", id=id)
    return number


def _magnitude(field: str, value: object, id: str) -> Decimal:
    number = _signed(field, value, id)
    if number is None:
        raise Unusable(f"{field} is missing", id=id)
    return number.copy_abs()


def _time(field: str, value: object, anomalies: list[str]) -> datetime | None:
    # Seen: with and without milliseconds, "+00:00" and "+0000", null, and the text "null".
    if value is None or (isinstance(value, str) and value.strip().lower() in {"", "null"}):
        return None
    try:
        return moment_of(str(value))
    except ValueError:
        anomalies.append(f"{field} {value!r} is no time")
        return None
