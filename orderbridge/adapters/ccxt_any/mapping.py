"""
Between ccxt's dicts and our models: tables and pure functions; long as it is all of that, orders, fills and markets.

ccxt completes what an exchange says: it computes cost, average, filled and remaining from one another, takes a closed
order for filled, and calls every market order IOC. So an order is read from what the exchange's own parser stated
before that (`STATED`, kept by `watch.Watch`). Parsers compute too, so an amount counts only where it was told (`TOLD`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import partial
from typing import Any, Final, NotRequired, TypedDict, Unpack

from orderbridge.model.basics import (
    ZERO,
    KnownBy,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    multiply,
    parse_amount,
    plain,
    subtract,
)
from orderbridge.model.order import Fill, Order
from orderbridge.model.request import BrokenRule, Market, OrderRequest
from orderbridge.venue.rows import Unusable, built, fold
from orderbridge.venue.submit import order_as_asked

# Where the dict of an order keeps what its exchange's parser said, before ccxt completed it.
STATED: Final = "orderbridge:stated"
# Where it keeps which of these the exchange told itself (`watch.with_told`): the others were computed.
TOLD: Final = "orderbridge:told"
AMOUNTS: Final = ("amount", "filled", "remaining", "price", "cost", "average")

# Marks a row that ccxt itself could not read, in the list that it gives; why, stands there.
UNREADABLE: Final = "orderbridge:unreadable"


def number(value: object) -> Decimal | None:
    """
    An amount of ccxt's, exactly; a float by its shortest text. None and an empty text are not said.

    Raises:
        ValueError: it is none.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the amount is not finite")
        return parse_amount(repr(value))
    return parse_amount(value)


class Reading:
    """One dict of ccxt's, field by field, as its exchange's parser stated it."""

    def __init__(self, row: Mapping[str, Any], info_fields: Mapping[str, str], *, is_trade: bool = False) -> None:
        # Of a trade ccxt derives the cost alone, so the rest is as its exchange's parser stated it.
        stated = row if is_trade else row.get(STATED)
        self.stated: Mapping[str, Any] = stated if isinstance(stated, Mapping) else row
        self.is_stated = isinstance(stated, Mapping)
        self._is_trade = is_trade
        told = row.get(TOLD)
        self._told: frozenset[str] = told if isinstance(told, frozenset) else frozenset()
        self._row = row
        self._info = row.get("info")
        self._fields = info_fields
        self.id = _id(row.get("id"))

    def word(self, name: str) -> str:
        """A text of the order, empty where there is none."""
        value = self.stated.get(name)
        return value if isinstance(value, str) else ""

    def own(self, field: str, name: str) -> str | None:
        """A text that ccxt drops for some exchanges, from the exchange's own row."""
        value = self.word(name)
        if not value and field in self._fields and isinstance(self._info, Mapping):
            found = self._info.get(self._fields[field])
            value = found if isinstance(found, str) else ""
        return value or None

    def flag(self, name: str) -> bool | None:
        """A yes or no of the order."""
        value = self.stated.get(name)
        return value if isinstance(value, bool) else None

    def amount(self, name: str) -> Decimal | None:
        """
        An amount of the order: what a row of ours names for it, else what the exchange told.

        None where it is not said, or where ccxt or its parser computed it from others.
        """
        if name in self._fields:
            return self.info_amount(name)
        value = self._number(name, self.stated.get(name))
        is_fact = self._is_trade or name not in AMOUNTS or name in self._told
        return value if is_fact else None

    def worth(self) -> Decimal | None:
        """The cost of a trade where the exchange's row has that number; ccxt's own is price times amount."""
        value = self._number("cost", self.stated.get("cost"))
        return value if value is not None and _holds(self._info, value) else None

    def info_amount(self, field: str) -> Decimal | None:
        """An amount that ccxt drops for this exchange, from the exchange's own row."""
        if field not in self._fields or not isinstance(self._info, Mapping):
            return None
        return self._number(field, self._info.get(self._fields[field]))

    def _number(self, name: str, value: object) -> Decimal | None:
        try:
            found = number(value)
        except ValueError as error:
            raise Unusable(f"{name}: {error}", id=self.id) from None
        if found is not None and found < 0:
            raise Unusable(f"{name} is negative", id=self.id)
        return found

    @property
    def symbol(self) -> Symbol:
        """The pair. Unusable: none, or a contract."""
        value = self._row.get("symbol")
        try:
            return Symbol(value)  # type: ignore[arg-type]  # whatever is no text is refused with a ValueError
        except ValueError as error:
            raise Unusable(str(error), id=self.id) from None

    @property
    def side(self) -> Side:
        """Buy or sell. Unusable: neither."""
        value = self._row.get("side")
        try:
            return Side(value)  # type: ignore[arg-type]  # whatever is no text is refused with a ValueError
        except ValueError:
            raise Unusable(f"side {value!r} is neither buy nor sell", id=self.id) from None


def _id(value: object) -> str:
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    if not is_id:
        raise Unusable("it has no id")
    return str(value)


def _holds(info: Any, value: Decimal) -> bool:
    # Exchanges sign amounts by direction, and ccxt's parsers take the sign off.
    return any(each.copy_abs() == value for each in _numbers(info, depth=0))


def _numbers(info: Any, depth: int) -> Iterator[Decimal]:
    if depth > 6:
        return
    if isinstance(info, Mapping):
        for each in info.values():
            yield from _numbers(each, depth + 1)
    elif isinstance(info, (list, tuple)):
        for each in info:
            yield from _numbers(each, depth + 1)
    elif isinstance(info, (str, int, float, Decimal)) and not isinstance(info, bool):
        try:
            found = number(info)
        except ValueError:
            return
        if found is not None:
            yield found


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
    """True if a row is of a contract (`BASE/QUOTE:SETTLE`), which a gateway of the spot market leaves alone."""
    symbol = row.get("symbol") if isinstance(row, Mapping) else None
    return isinstance(symbol, str) and ":" in symbol


class OrderFacts(TypedDict):
    """The facts of every order of one answer. `numbered_by_market`: another market may have an order of the same id."""

    venue: str
    account: str
    observed_at: datetime
    numbered_by_market: NotRequired[bool]


def order_from_row(
    row: Any,
    *,
    source: str,
    step: Decimal | None = None,
    info_fields: Mapping[str, str] | None = None,
    created: bool = False,
    **facts: Unpack[OrderFacts],
) -> Order:
    """
    Read an order of ccxt's.

    Args:
        source: which call showed it, for the evidence.
        step: the market's quantity step: less than that may stay unfilled in a filled order.
        info_fields: of our fields those that ccxt drops, and where the exchange's own row has them.
        created: the answer to a new order, which may leave the status out.

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
        created_at=_time("timestamp", reading.stated.get("timestamp"), anomalies),
        updated_at=_time("lastUpdateTimestamp", reading.stated.get("lastUpdateTimestamp"), anomalies),
        anomalies=tuple(sorted(set(anomalies))),
        raw=_raw(row),
        **facts,
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


# Source: ccxt's manual, "Precision Mode".
DECIMAL_PLACES: Final = 2
SIGNIFICANT_DIGITS: Final = 3
TICK_SIZE: Final = 4
_PLACES: Final = 60


def step_of(precision: object, mode: int) -> Decimal | None:
    """
    The step that amounts are multiples of; None where there is none, as with significant digits.

    Args:
        precision: a tick in mode TICK_SIZE, a count of decimal places (which may be negative) in DECIMAL_PLACES.

    Raises:
        ValueError: it is no such number.
    """
    if mode == SIGNIFICANT_DIGITS:
        return None
    told = number(precision)
    if told is None:
        return None
    if mode == DECIMAL_PLACES:
        if told != int(told) or abs(told) > _PLACES:
            raise ValueError(f"{plain(told)} is no count of decimal places")
        return Decimal((0, (1,), -int(told)))
    if mode != TICK_SIZE:
        raise ValueError(f"precision mode {mode} is not known")
    if told < 0:
        raise ValueError("a step is not negative")
    return told or None


def digits_of(precision: object, mode: int) -> int | None:
    """How many significant digits a number may have; None where that is not the rule."""
    told = number(precision) if mode == SIGNIFICANT_DIGITS else None
    return int(told) if told is not None and told == int(told) and told > 0 else None


def beyond_digits(field: str, amount: Decimal | None, digits: int | None) -> list[BrokenRule]:
    """The broken rule where a number has more significant digits than it may, with the nearest that has not."""
    if amount is None or digits is None:
        return []
    context = Context(prec=digits, Emin=-9999, Emax=9999)
    nearest = []
    for rounding in (ROUND_FLOOR, ROUND_CEILING):
        context.rounding = rounding
        nearest.append(context.plus(amount))
    if nearest[0] == nearest[1]:
        return []
    values = " and ".join(map(plain, nearest))
    message = f"{field} {plain(amount)} has more than {digits} significant digits; the nearest are {values}"
    return [BrokenRule(rule="significant_digits", message=message, nearest=tuple(nearest))]


def market_from_ccxt(row: Any, *, mode: int) -> Market:
    """
    The rules of one of ccxt's spot markets. Its fees are ccxt's defaults and no account's, so they are left out.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: a market that cannot be read.
    """
    precision, limits = row.get("precision") or {}, row.get("limits")
    for name in ("amount", "price"):
        digits_of(precision.get(name), mode)  # orders are held against it: one that cannot be read is told here

    def bound(kind: str, end: str) -> Decimal | None:
        # What is no amount bounds nothing: the exchange holds orders against its own rules all the same.
        bounds = limits.get(kind) if isinstance(limits, Mapping) else None
        try:
            return (number(bounds.get(end)) if isinstance(bounds, Mapping) else None) or None
        except ValueError:
            return None

    return Market(
        symbol=Symbol(row["symbol"]),
        price_tick=step_of(precision.get("price"), mode),
        quantity_step=step_of(precision.get("amount"), mode),
        min_quantity=bound("amount", "min"),
        max_quantity=bound("amount", "max"),
        min_price=bound("price", "min"),
        max_price=bound("price", "max"),
        min_value=bound("cost", "min"),
        max_value=bound("cost", "max"),
    )


def is_spot(row: Any) -> bool:
    """True if one of ccxt's markets is of the spot market, by its own word and by its symbol."""
    if not isinstance(row, Mapping) or not isinstance(row.get("symbol"), str) or ":" in row["symbol"]:
        return False
    return row.get("spot") is True or (row.get("spot") is None and row.get("type") in {None, "spot"})


_AS_ASKED: Final = ("time_in_force", "post_only")


def order_from_answer(
    answer: Any,
    request: OrderRequest,
    *,
    order_id: str,
    client_order_id: str | None,
    step: Decimal | None,
    **facts: Unpack[OrderFacts],
) -> Order:
    """
    The order as its creation was answered, with the size and price that were asked for, and what else the answer
    leaves out. Fills are those that a field of fills states.

    The id is the exchange's; an answer that cannot be read beyond it is an order all the same.
    """
    asked = {"symbol": str(request.symbol), "side": request.side.value, "type": request.type.value}
    row = {**answer, "id": order_id, **{name: answer.get(name) or value for name, value in asked.items()}}
    stated = row.get(STATED)
    if isinstance(stated, dict):
        row[STATED] = {**stated, "type": stated.get("type") or asked["type"]}
    read = partial(order_from_row, source="submit", step=step, created=True, **facts)
    try:
        order = read(row)
        if request.quantity is not None and order.quantity not in (None, request.quantity):
            # What is left of another size says nothing of the fills. The size itself is told below.
            known = row[STATED] if isinstance(row.get(STATED), Mapping) else row
            sized = {**known, "amount": plain(request.quantity), "remaining": None}
            order = read({**row, STATED: sized}).model_copy(update={"quantity": order.quantity})
    except Unusable as unusable:
        odd = f"the answer to the new order could not be read: {unusable}"
        return order_as_asked(request, order_id=order_id, client_order_id=client_order_id, anomalies=(odd,), **facts)
    asked_for = {} if request.type is OrderType.MARKET else {name: getattr(request, name) for name in _AS_ASKED}
    noted = {name: value for name, value in asked_for.items() if getattr(order, name) is None}
    if request.stop_price is not None and order.stop_price is None:
        # Of an order that waits the answer may name what it becomes.
        noted["type"] = request.type
    if order.status is OrderStatus.ACCEPTED:
        noted["evidence"] = ("submit: an id was given",)
    return order.model_copy(update=noted)


def stated_in_answer(answer: Any) -> dict[str, object]:
    """The symbol and side that an answer states. One that could not be read is another one too."""
    texts = {name: answer.get(name) for name in ("symbol", "side")}
    texts["symbol"] = texts["symbol"] and str(texts["symbol"]).upper()
    return {name: str(text) for name, text in texts.items() if text}
