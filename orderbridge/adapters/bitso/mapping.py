"""Between Bitso's words and ours: rows to orders, fills and markets, and requests to bodies. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from sys import intern
from typing import Any, Final

from orderbridge.errors import NotSupported, OrderDenied, printable
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
    divide,
    is_within_bounds,
    made,
    parse_amount,
    plain,
    plain_amount,
    subtract_amounts,
    unsaid,
)
from orderbridge.model.order import Fill, Order, sorted_once
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.venue.lookup import CLIENT, ORDER, Way
from orderbridge.venue.markets import Warn
from orderbridge.venue.rows import Unusable, fold, moment_of
from orderbridge.venue.submit import Unclear, order_as_asked

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
_SIDES: Final = {side.value: side for side in Side}
# Words of a row that is read by the hundred: by their names here, as an enumeration takes its time to give one.
_ACCEPTED, _IN_PART, _FILLED = OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED
_NO_STATUS, _NO_TYPE = OrderStatus.UNKNOWN, OrderType.UNKNOWN
_WORKING: Final = frozenset({_ACCEPTED, OrderStatus.OPEN, _IN_PART})

# Open orders are documented to be of type `limit`: whether stops that wait for their trigger are among them is not.
# Source: Bitso API v3, "List Open Orders".
WAITING_MAY_BE_MISSING: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LIMIT})


def could_be_oid(text: str) -> bool:
    """True if Bitso could have issued this as an order id."""
    return _OID_SHAPE.fullmatch(text) is not None and text not in _RESERVED


def could_be_origin_id(text: str) -> bool:
    """True if Bitso could have accepted this as a client order id."""
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


@lru_cache(512)
def symbol_from_book(book: str) -> Symbol:
    """`btc_mxn` as `BTC/MXN`. ValueError: no such form."""
    if not _BOOK.fullmatch(book):
        raise ValueError(f"{book!r} is no book")
    return Symbol(book.replace("_", "/"))


@lru_cache(512)
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

    Source: Bitso API v3, "Look Up Orders", "List Open Orders".
    """
    oid, book, side = map(row.get, ("oid", "book", "side")) if isinstance(row, dict) else ("", "", "")
    if not (oid and book and side and type(oid) is type(book) is type(side) is str):
        oid, book, side = _needed(row, ("oid",), ("book", "side"))
    # The same few words, and each page makes texts of its own of them: an order that is kept would hold them for good.
    word, kind, anomalies = intern(_word(row, "status")), intern(_word(row, "type")), list[str]()
    quantity, unfilled = _amount(row, "original_amount", oid), _amount(row, "unfilled_amount", oid, signed=True)
    value, price, stop = _amount(row, "original_value", oid), _amount(row, "price", oid), _amount(row, "stop", oid)
    order = unsaid(Order)
    order["venue"], order["account"], order["observed_at"], order["raw"] = VENUE, account, observed_at, row
    order["order_id"], order["client_order_id"] = oid, _word(row, "origin_id") or None
    order["symbol"], order["side"] = _symbol(book, oid), _side(side, oid)
    order["raw_type"], order["type"] = kind, TYPE_FROM_WIRE.get((fold(kind), bool(stop)), _NO_TYPE)
    if not quantity and value is not None and fold(kind) == "market":
        order["quote_quantity"], quantity = value, None
    order["quantity"], order["price"], order["stop_price"] = quantity, price or None, stop or None
    status = STATUS_FROM_WIRE.get(fold(word), _NO_STATUS)
    if quantity is not None and unfilled is not None:
        if ZERO <= unfilled <= quantity:
            order["filled_quantity"] = filled = _difference(quantity, unfilled, oid)
            status = _by_fills(status, word, anomalies, some=bool(filled), complete=not unfilled)
        else:
            anomalies.append(f"unfilled_amount {plain(unfilled)} is not within original_amount {plain(quantity)}")
    order["status"], order["raw_status"], order["evidence"] = status, word, _evidence(source, word)
    order["time_in_force"], order["post_only"] = _life(_word(row, "time_in_force"), anomalies)
    order["triggered_at"] = triggered_at = _time(row, "triggered_at", anomalies)
    order["trigger_waiting"] = bool(stop) and triggered_at is None and status is _ACCEPTED
    order["created_at"] = _time(row, "created_at", anomalies)
    order["updated_at"] = _time(row, "updated_at", anomalies)
    if anomalies:
        order["anomalies"] = sorted_once(map(printable, anomalies))
    return made(Order, order)


@lru_cache(512)
def _evidence(source: str, word: str) -> tuple[str]:
    return (printable(f"{source}: {word}"),)


def _difference(original: Decimal, unfilled: Decimal, oid: str) -> Decimal:
    try:
        return subtract_amounts(original, unfilled)
    except ValueError:
        raise Unusable("unusable fields: filled_quantity (value_error)", id=oid) from None


def _by_fills(status: OrderStatus, word: str, anomalies: list[str], *, some: bool, complete: bool) -> OrderStatus:
    """The status in the light of what is filled."""
    if status is _FILLED and not complete:
        anomalies.append(f"{word}, but unfilled_amount is above zero")
    if status is _IN_PART and not some:
        anomalies.append(f"{word}, but nothing is filled")
    if some and status in _WORKING:
        if complete:
            anomalies.append(f"{word}, but unfilled_amount is zero")
        return _IN_PART
    return status


def _life(word: str, anomalies: list[str]) -> tuple[TimeInForce | None, bool | None]:
    if not word:  # absent: not said
        return None, None
    known = LIFE_FROM_WIRE.get(fold(word))
    if known is None:
        anomalies.append(f"time_in_force {word!r} is not known")
        return None, None
    return known


def fill_from_row(row: Any, *, account: str) -> Fill:
    """
    Read one row of user or order trades. Bitso signs amounts by direction, and fees not always alike.

    Raises:
        Unusable: an id, book, side or amount that cannot be read.

    Source: Bitso API v3, "User Trades", "List Order Trades"; until June 2021 it spelt "make_side".
    """
    tid, oid, book, side = _needed(row, ("tid", "oid"), ("book", "side"), ("price", "major", "minor"))
    known_side = _side(side, tid)
    fee, currency = _amount(row, "fees_amount", tid, signed=True), _word(row, "fees_currency")
    return Fill.of_checked(
        venue=VENUE,
        account=account,
        fill_id=tid,
        order_id=oid,
        client_order_id=_word(row, "origin_id") or None,
        symbol=_symbol(book, tid),
        side=known_side,
        quantity=_magnitude(row, "major", tid),
        price=_magnitude(row, "price", tid),
        quote_quantity=_magnitude(row, "minor", tid),
        fee=None if fee is None else fee.copy_abs(),
        fee_currency=currency.upper() or None,
        liquidity=_liquidity(known_side, _word(row, "maker_side") or _word(row, "make_side")),
        created_at=_time(row, "created_at", []),
        raw=row,
    )


def _liquidity(side: Side, maker_side: str) -> Liquidity | None:
    if fold(maker_side) not in {"buy", "sell"}:
        return None
    return Liquidity.MAKER if fold(maker_side) == side.value else Liquidity.TAKER


def told_of(fills: Sequence[Fill]) -> str:
    """The trades of an order, as evidence."""
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


def _needed(row: Any, ids: Sequence[str], words: Sequence[str], values: Sequence[str] = ()) -> list[str]:
    """
    The ids and words that a row must have; the first id is its own. Trade ids are numbers in Bitso's documentation.

    Raises:
        Unusable: it lacks one of them, or one of `values`; or is no object.
    """
    if not isinstance(row, dict):
        raise Unusable(f"a row is an object, not {type(row).__name__}")
    texts, faults = {}, []
    for name in (*ids, *words):
        value = row.get(name)
        if type(value) is int and name in ids:
            value = str(value)
        if isinstance(value, str) and value:
            texts[name] = value
        else:
            kind = "missing" if name not in row else "string_too_short" if value == "" else "string_type"
            faults.append(f"{name} ({kind})")
    faults += [f"{name} (missing)" for name in values if name not in row]
    if faults:
        raise Unusable(f"unusable fields: {', '.join(faults)}", id=texts.get(ids[0]))
    return list(texts.values())


def _word(row: dict[str, Any], field: str) -> str:
    # A word that a row can do without: whatever it is, it costs the row nothing.
    value = row.get(field)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _symbol(book: str, id: str) -> Symbol:
    try:
        return symbol_from_book(book)
    except ValueError as error:
        raise Unusable(str(error), id=id) from error


def _side(word: str, id: str) -> Side:
    try:
        return _SIDES.get(word) or Side(word)
    except ValueError:
        raise Unusable(f"side {word!r} is neither buy nor sell", id=id) from None


def _amount(row: dict[str, Any], field: str, id: str, *, signed: bool = False) -> Decimal | None:
    value = row.get(field)
    if value is None or (number := plain_amount(value)) is not None:
        return None if value is None else number
    try:
        number = parse_amount(value)
    except ValueError as error:
        raise Unusable(f"{field}: {error}", id=id) from None
    if number < 0 and not signed:
        raise Unusable(f"{field} is negative", id=id)
    return number


def _magnitude(row: dict[str, Any], field: str, id: str) -> Decimal:
    number = _amount(row, field, id, signed=True)
    if number is None:
        raise Unusable(f"{field} is missing", id=id)
    return number.copy_abs()


def _time(row: dict[str, Any], field: str, anomalies: list[str]) -> datetime | None:
    # Seen: with and without milliseconds, "+00:00" and "+0000", null, and the text "null".
    value = row.get(field)
    if value is None:
        return None
    try:
        return moment_of(str(value))
    except ValueError:
        if not isinstance(value, str) or value.strip().lower() not in {"", "null"}:
            anomalies.append(f"{field} {value!r} is no time")
        return None


def market_from_row(
    row: Any, *, precision: Mapping[str, int], fees: Mapping[str, Any], warn: Warn = lambda text: None
) -> Market:
    """
    The rules of one book. What is no amount is no rule of ours, for Bitso holds orders against its own all the same.

    Args:
        precision: decimals by currency code; the base's gives the quantity step.
        fees: the account's own fees by book; they go before the general ones, which are in percent.
        warn: told of each rule that cannot be read.

    Raises:
        ValueError, TypeError, KeyError: a row without a book that can be read.

    Source: Bitso API v3, "List Available Books", "Fees"; `catalogues` for the precision.
    """
    symbol = symbol_from_book(row["book"])
    places = precision.get(symbol.base.lower())

    def amount(of: Any, name: str) -> Decimal | None:
        value = of.get(name) if isinstance(of, Mapping) else None
        try:
            return None if value is None or value == "" else parse_amount(value)
        except ValueError as error:
            warn(f"{symbol}: its {name} is not known: {error}")
            return None

    def rule(name: str) -> Decimal | None:
        number = amount(row, name)
        return number if number is not None and number > 0 else None

    def fee(side: str) -> Decimal | None:
        mine, percent = amount(fees.get(row["book"]), f"{side}_fee_decimal"), amount(flat, side)
        return mine if mine is not None or percent is None else divide(percent, Decimal(100))

    general = row.get("fees")
    flat = general.get("flat_rate") if isinstance(general, Mapping) else None
    return Market(
        symbol=symbol,
        price_tick=rule("tick_size"),
        quantity_step=None if places is None else Decimal(1).scaleb(-places),
        min_quantity=rule("minimum_amount"),
        max_quantity=rule("maximum_amount"),
        min_price=rule("minimum_price"),
        max_price=rule("maximum_price"),
        min_value=rule("minimum_value"),
        max_value=rule("maximum_value"),
        maker_fee=fee("maker"),
        taker_fee=fee("taker"),
    )


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
_TEXTS: Final = (("symbol", "book"), ("side", "side"), ("client_order_id", "origin_id"))
_STATED: Final = frozenset(theirs for _, theirs in (*_TEXTS, *_FIGURES))


_SENT: Final = (
    ("major", "quantity"),
    ("minor", "quote_quantity"),
    ("price", "price"),
    ("stop", "stop_price"),
    ("slippage_tolerance", "slippage_tolerance"),
)


def order_to_wire(request: OrderRequest, *, client_order_id: str) -> dict[str, Any]:
    """
    The body of a new order. Amounts are plain text; `major` is base, `minor` quote. Options go beside them as they are.

    Source: Bitso API v3, "Place an Order".
    """
    body = {
        **request.options,
        "book": book_from_symbol(request.symbol),
        "side": str(request.side),
        "type": TYPE_TO_WIRE[request.type],
    }
    known = request.__dict__
    body |= {theirs: plain(known[ours]) for theirs, ours in _SENT if known[ours] is not None}
    if request.price is not None:
        body["time_in_force"] = LIFE_TO_WIRE[request.time_in_force, request.post_only]
    body["origin_id"] = client_order_id
    return body


def modify_to_wire(changes: OrderEdit) -> dict[str, str]:
    """
    The body of a change in place. `cancel` 0: an order that cannot be modified stays as it is.

    Source: Bitso API v4, "Modify an Order".
    """
    amounts = {"major": changes.quantity, "price": changes.price, "stop": changes.stop_price}
    return {**{name: plain(value) for name, value in amounts.items() if value is not None}, "cancel": "0"}


def oid_from_answer(payload: object) -> str:
    """The id of a new order. Unclear: the answer names none."""
    oid = payload.get("oid") if isinstance(payload, dict) else None
    if isinstance(oid, str) and oid:
        return oid
    raise Unclear("the answer names no oid")


def stated_in_answer(payload: object) -> dict[str, object]:
    """
    The statements of the answer to a new order beside its id, by our names for it. Documented is the id alone.

    A text where a symbol or an amount cannot be read, so that it is another one than was sent.
    """
    stated: dict[str, object] = {}
    answer = payload if isinstance(payload, dict) else {}
    if _STATED.isdisjoint(answer):
        return stated
    for name, theirs in _TEXTS:
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
        raw={"oid": oid},
    )


_STOPS: Final = frozenset({OrderType.STOP_LOSS, OrderType.STOP_LIMIT})


def checked_edit(order: Order, changes: OrderEdit) -> OrderEdit:
    """
    The changes as they go out.

    Raises:
        OrderDenied, NotSupported: Bitso cannot change that of this order.

    Source: Bitso API v4, "Modify an Order".
    """
    if changes.time_in_force is not None or changes.expires_at is not None:
        message = "Bitso changes quantity, price and stop_price only; cancel the order and place another"
        raise NotSupported(message)
    if not could_be_oid(order.order_id):
        raise OrderDenied(f"{order.order_id!r} cannot be an id at Bitso", rule="order_id")
    if order.type is OrderType.MARKET:
        raise OrderDenied("a market order cannot be changed", rule="type")
    if order.type is OrderType.STOP_LOSS and changes.price is not None:
        raise OrderDenied("a stop_loss trades at the market: it has no price to change", rule="price")
    if order.quote_quantity is not None and changes.quantity is not None:
        raise OrderDenied("the order is sized in quote: its quantity cannot be changed", rule="quantity")
    if changes.stop_price is not None and (order.type not in _STOPS or order.triggered_at is not None):
        raise OrderDenied("stop_price is for stop orders that have not triggered", rule="stop_price")
    if changes.price is None or changes.quantity is not None:
        return changes
    # With a price alone Bitso keeps the order's quote value and computes the base amount anew, so the total that was
    # just read goes along.
    if order.quantity is None:
        raise OrderDenied(
            "a new price alone would change the quantity too, for Bitso keeps the value of the order, and the total is"
            " not known: give the quantity (the total) with it",
            rule="quantity",
        )
    return changes.model_copy(update={"quantity": order.quantity})


def check_answer(payload: object, order: Order) -> None:
    """Nothing: the answer to a change shows no order. Unclear: it names another."""
    oid = payload.get("oid") if isinstance(payload, dict) else None
    if isinstance(oid, str) and oid != order.order_id:
        raise Unclear(f"the answer is about another order, {oid}")
