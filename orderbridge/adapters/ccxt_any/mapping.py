"""
Between ccxt's dicts and our models: tables and pure functions; long as it is all of that, orders, fills and markets.

ccxt completes what an exchange says: it computes cost, average, filled and remaining from one another, takes a closed
order for filled, and calls every market order IOC. So an order is read from what the exchange's own parser stated
before that (`STATED`, kept by `watch.Watch`). Parsers compute, drop and mistake amounts too: where that was seen,
reviewed rows name the field to read (`RowRules`), and an amount that no field has does not count.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, NotRequired, TypedDict, TypeVar, Unpack

from orderbridge.adapters.ccxt_any.rows import RowRules
from orderbridge.model.basics import (
    EXACT,
    ZERO,
    KnownBy,
    Liquidity,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    divide,
    multiply,
    parse_amount,
    plain,
    subtract,
)
from orderbridge.model.order import Fill, Order
from orderbridge.model.request import Market, OrderRequest
from orderbridge.venue.rows import Unusable, built, fold, moment_of
from orderbridge.venue.submit import Unclear, order_as_asked

# Where the dict of an order keeps what its exchange's parser said, before ccxt completed it.
STATED: Final = "orderbridge:stated"

# The source of an order that a list of open orders showed: that it is open needs no other word.
OPEN_ORDERS: Final = "open orders"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

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


def found(row: Any, path: str) -> Any:
    """The value at the first of the paths that has one; see `RowRules`."""
    ways, _, scale = path.partition("@")
    for way in ways.split("|"):
        value: Any = row if way else None
        for step in way.split("."):
            if isinstance(value, dict):
                value = value.get(step)
            else:
                is_place = isinstance(value, list) and step.isdecimal() and int(step) < len(value)
                value = value[int(step)] if is_place else None
        if value not in (None, ""):
            return _scaled(value, int(scale)) if scale else value
    return None


def _scaled(value: Any, exponent: int) -> Any:
    try:
        amount = number(value)
    except ValueError:
        return value
    return None if amount is None else amount.scaleb(exponent, EXACT)


class Reading:
    """One dict of ccxt's, field by field: as a reviewed row says, else as its exchange's parser stated it."""

    def __init__(self, row: Mapping[str, Any], rules: RowRules, *, is_trade: bool = False) -> None:
        # Of a trade ccxt derives the cost alone, so the rest is as its exchange's parser stated it.
        stated = row if is_trade else row.get(STATED)
        self.stated: Mapping[str, Any] = stated if isinstance(stated, Mapping) else row
        self.is_stated = isinstance(stated, Mapping)
        self.anomalies: list[str] = []
        # The amounts that ccxt computed, and that are left out therefore.
        self.computed: set[str] = set()
        self._row = row
        self._info = row.get("info")
        self._is_trade = is_trade
        self.rules = rules
        self._paths = rules.trade if is_trade else rules.order
        self._texts: set[str] | None = None
        self.id = _id(row.get("id"))

    def value(self, name: str) -> Any:
        """A field of the order."""
        return found(self._info, self._paths[name]) if name in self._paths else self.stated.get(name)

    def word(self, name: str) -> str:
        """A text of the order, empty where there is none."""
        value = self.value(name)
        return value if isinstance(value, str) else ""

    def status(self, *, is_new: bool) -> str:
        """ccxt's word for the status. The call of a list may add one after the parser, as one for open orders does."""
        added = "" if is_new or self.stated.get("status") else self._row.get("status")
        return self.word("status") or (added if isinstance(added, str) else "")

    def own_word(self, path: str) -> str:
        """The exchange's own word at a path, folded."""
        value = found(self._info, path)
        return fold(str(value)) if isinstance(value, (str, int)) else ""

    def client_order_id(self) -> str | None:
        """The client's id; a zero is none."""
        text = self.word("clientOrderId")
        return None if text in {"", "0"} else text

    def flag(self, name: str) -> bool | None:
        """A yes or no of the order."""
        value = self.value(name)
        return value if isinstance(value, bool) else None

    def amount(self, name: str) -> Decimal | None:
        """An amount of the order. None: it is not said, or no field says it, or it is none, which is an anomaly."""
        value = self.value(name)
        amount = self._number(name, value)
        is_given = name in self._paths or self.rules.scaled or (self._is_trade and name != "cost")
        if amount is None or is_given or self._is_stated(value, amount):
            return amount
        self.computed.add(name)
        return None

    def sized_in_quote(self, *, is_buy: bool) -> bool | None:
        """True if the size of an order at market is an amount of quote. None: that is not told."""
        quote = self.rules.quote
        if quote.every_buy and is_buy:
            return True
        if quote.when is not None:
            said = found(self._info, quote.when[0])
            if isinstance(said, str):
                return quote.when[1] in said.split(",")
        elif not quote.every_buy and self.quote_size():
            return not self._number("amount", found(self._info, quote.unless))
        return None if is_buy and self.rules.base_buys is not True else False

    def quote_size(self) -> Decimal | None:
        """The amount of quote that an order at market was sized by."""
        return self._number("quote_quantity", found(self._info, self.rules.quote.at)) or None

    def counts_fills(self, *, in_quote: bool | None) -> bool:
        """True if the filled amounts of an order at market are known to be of base and quote."""
        return self.rules.quote.fills if in_quote else in_quote is False or self.rules.base_buys is not None

    def moment(self, name: str) -> datetime | None:
        """A time of the order. Exchanges count in seconds to nanoseconds, and a zero or less is none."""
        value = self.value(name)
        try:
            if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdecimal():
                return moment_of(value)
            if (count := number(value)) is None or count <= 0:
                return None
            unit = next((digits for digits in (0, 3, 6) if count < 10 ** (11 + digits)), 9)
            return _EPOCH + timedelta(microseconds=int(count.scaleb(6 - unit, EXACT)))
        except (ValueError, OverflowError):
            self.anomalies.append(f"{name} {value!r:.60} is no time")
            return None

    def _number(self, name: str, value: object) -> Decimal | None:
        try:
            amount = number(value)
        except ValueError as error:
            self.anomalies.append(f"{name}: {error}")
            return None
        if amount is not None and amount < 0:
            self.anomalies.append(f"{name} {plain(amount)} is negative")
            return None
        return amount

    def _is_stated(self, value: object, amount: Decimal) -> bool:
        """True if a field of the exchange's row has this number. Exchanges sign amounts by direction."""
        if self._texts is None:
            self._texts = _texts(self._info)
        return str(value) in self._texts or any(_size(text) == amount for text in self._texts)

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
            return Side(value.lower())  # type: ignore[union-attr]  # whatever is no text is refused below
        except (ValueError, AttributeError):
            raise Unusable(f"side {value!r} is neither buy nor sell", id=self.id) from None


def _id(value: object) -> str:
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    if not is_id:
        raise Unusable("it has no id")
    return str(value)


def _texts(info: Any) -> set[str]:
    """Every text and number of a row. Some rows tell of an order in a sentence, whose words count each."""
    texts: set[str] = set()
    waiting = [info] if isinstance(info, (dict, list)) else []
    while waiting:
        for value in inner if isinstance(inner := waiting.pop(), list) else inner.values():
            if isinstance(value, (dict, list)):
                waiting.append(value)
            elif isinstance(value, str) and " " in value:
                texts.update(value.split())
            elif value is not None:
                texts.add(str(value))
    return texts


def _size(text: str) -> Decimal | None:
    try:
        amount = number(text.replace(",", ""))
    except ValueError:
        return None
    return amount and amount.copy_abs()


T = TypeVar("T")


def _words(*rows: tuple[T, str]) -> dict[str, T]:
    return {word: meaning for meaning, words in rows for word in words.split("|")}


# Source: ccxt's manual, "Order Structure", field `status`. `open` and `closed` are decided by the numbers. `canceling`
# is an order whose cancel was asked for. Words that are none of ccxt's leak through, or stand where rules read them.
STATUS_FROM_CCXT: Final = _words(
    (OrderStatus.OPEN, "open|live|partially filled|not triggered|triggered|status active|canceling|order inserted"),
    (OrderStatus.OPEN, "order partially transacted"),
    (OrderStatus.FILLED, "filled|order fully transacted"),
    (
        OrderStatus.CANCELLED,
        "canceled|cancelled|scheduledcancel|order cancelled|status inactive|not triggered canceled",
    ),
    (OrderStatus.CANCELLED, "canceled no order|canceled limit price exceed|canceled under product unit"),
    (OrderStatus.CANCELLED, "not triggered partially canceled"),
    (OrderStatus.EXPIRED, "expired"),
    (OrderStatus.REJECTED, "rejected|order rejected"),
    # It is over, and how is decided by the exchange's own word or by the numbers.
    (OrderStatus.ENDED, "closed|complete|failed|invalid|refunded|order refunded"),
)
# Where a part can be cancelled for itself: whether the rest is live is told by what remains.
_CANCELLED_IN_PART: Final = "partially canceled"
# An exchange's own words for how an order ended, where the numbers need not decide. What was triggered lives on.
ENDS: Final = _words(
    (OrderStatus.UNKNOWN, "effective"),
    (OrderStatus.FILLED, "filled|fully filled|executed|completed"),
    (OrderStatus.CANCELLED, "partiallyfilledcanceled|partial canceled"),
    (OrderStatus.EXPIRED, "expired"),
)
# Only `limit` and `market` are promised; the others leak through from exchanges, or stand where rules read them. They
# are without what parts words, and without the side that some have before them.
TYPE_FROM_CCXT: Final = _words(
    (OrderType.MARKET, "market|price|stockmarket|marginmarket"),
    (OrderType.LIMIT, "limit|limitmaker|postonly|immediateorcancel|fillorkill|ioc|fok|limitfok|marginlimit|ask|bid"),
    (OrderType.STOP_LOSS, "stop|stoploss|stopmarket"),
    (OrderType.STOP_LIMIT, "stoplimit|stoplosslimit|stoplimitfok"),
    (OrderType.TAKE_PROFIT, "takeprofit|takeprofitlimit|takeprofitmarket"),
    (OrderType.TRAILING_STOP, "trailingstop|trailingstoplimit|trailingstopmarket"),
    (OrderType.ICEBERG, "iceberg"),
)
# Source: ccxt's manual, "Order Structure", field `timeInForce`, and whether it says post-only.
LIFE_FROM_CCXT: Final = _words(
    ((TimeInForce.GTC, None), "gtc"),
    ((TimeInForce.IOC, None), "ioc|immediate or cancel|frontendmarket"),
    ((TimeInForce.FOK, None), "fok|fill or kill"),
    ((TimeInForce.GTT, None), "gtd|gtt"),
    ((TimeInForce.GTC, True), "po|alo|post only|maker|maker or cancel"),
)
# What becomes of a type beside a price that stops a loss.
_STOPPED: Final = {
    OrderType.MARKET: OrderType.STOP_LOSS,
    OrderType.LIMIT: OrderType.STOP_LIMIT,
    OrderType.STOP_LOSS: OrderType.STOP_LOSS,
    OrderType.STOP_LIMIT: OrderType.STOP_LIMIT,
}
# True: the price rises to the trigger.
TRIGGERS: Final = _words(
    (True, ">=|gte|up|1|entry|stop direction stop up"), (False, "<=|lte|down|2|loss|stop direction stop down")
)
_WORKING: Final = frozenset({OrderStatus.ACCEPTED, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED})


def letters(name: str) -> str:
    """The name of a market without what exchanges part and write it by."""
    return re.sub(r"[^A-Z0-9:]", "", name.upper())


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
    rules: RowRules,
    created: bool = False,
    **facts: Unpack[OrderFacts],
) -> Order:
    """
    Read an order of ccxt's. A field that is odd costs itself, and is told by an anomaly.

    Args:
        source: which call showed it, for the evidence.
        step: the market's quantity step: less than that may stay unfilled in a filled order.
        rules: the reviewed rows of the exchange.
        created: the answer to a new order, which may leave the status out.

    Raises:
        Unusable: no id, symbol or side that can be read.
    """
    if not isinstance(row, Mapping):
        raise Unusable(f"an order is a dict, not {type(row).__name__}")
    reading = Reading(row, rules)
    symbol, side = reading.symbol, reading.side
    sizes = _sizes(reading, side)
    raw_status = reading.status(is_new=created)
    status, known_by = _status(reading, raw_status, sizes, step, created=created)
    if status is OrderStatus.UNKNOWN and not raw_status and source == OPEN_ORDERS:
        status = OrderStatus.PARTIALLY_FILLED if sizes["filled_quantity"] else OrderStatus.OPEN
    life, post_only = _life(reading)
    kind, stop = _kind(reading, side)
    price = reading.amount("price") or None
    computed = ", ".join(sorted(reading.computed - {"remaining"}))
    unsaid = [f"{computed}: no field of the row says it, so ccxt's figure is left out"] if computed else []
    return built(
        Order,
        reading.id,
        order_id=reading.id,
        client_order_id=reading.client_order_id(),
        symbol=symbol,
        side=side,
        type=kind,
        raw_type=reading.word("type"),
        status=status,
        raw_status=raw_status,
        known_by=known_by,
        evidence=(f"{source}: {raw_status or 'no status'}", *unsaid),
        **sizes,
        price=None if kind is OrderType.MARKET else price,
        stop_price=stop,
        time_in_force=life,
        post_only=post_only,
        reduce_only=reading.flag("reduceOnly"),
        cancel_requested=fold(raw_status) == "canceling",
        created_at=reading.moment("timestamp"),
        updated_at=reading.moment("lastUpdateTimestamp"),
        anomalies=tuple(reading.anomalies),
        raw=_raw(row),
        **facts,
    )


def _raw(row: Mapping[str, Any]) -> dict[str, Any]:
    """The exchange's own row; the dict of ccxt's where there is none."""
    info = row.get("info")
    source = info if isinstance(info, Mapping) else {key: value for key, value in row.items() if key != STATED}
    return {str(key): value for key, value in source.items()}


def _sizes(reading: Reading, side: Side) -> dict[str, Decimal | None]:
    """
    What was ordered and what was filled. An order at market may be sized in quote, which is never taken for base.

    A market buy of an exchange where nobody looked has no amounts: which currency they are of is not known.
    """
    quote_quantity, is_counted = None, True
    in_quote: bool | None = False
    if {"market", "price"} & {*fold(str(reading.stated.get("type") or "")).split()}:
        in_quote = reading.sized_in_quote(is_buy=side is Side.BUY)
        quote_quantity = reading.quote_size() if in_quote else None
        is_counted = reading.counts_fills(in_quote=in_quote)
    quantity = None if in_quote is not False else (reading.amount("amount") or None)
    filled = _filled(reading, quantity) if is_counted else None
    has_fills = is_counted and filled != 0
    return {
        "quantity": quantity,
        "quote_quantity": quote_quantity,
        "filled_quantity": filled,
        "filled_quote_quantity": reading.amount("cost") if has_fills else None,
        "average_price": (reading.amount("average") or None) if has_fills else None,
    }


def _filled(reading: Reading, quantity: Decimal | None) -> Decimal | None:
    filled, remaining = reading.amount("filled"), reading.amount("remaining")
    if quantity is not None and remaining is not None:
        left = subtract(quantity, remaining)
        if filled is None and left < 0:
            reading.anomalies.append(f"remaining {plain(remaining)} is above the amount {plain(quantity)}")
            return None
        if filled is not None and filled != left:
            text = f"filled {plain(filled)} and remaining {plain(remaining)} are not {plain(quantity)}"
            reading.anomalies.append(text)
        filled = left if filled is None else filled
        reading.computed.discard("filled")  # what ccxt subtracted is what we do
    if filled is not None and quantity is not None and filled > quantity:
        reading.anomalies.append(f"filled {plain(filled)} is above the amount {plain(quantity)}")
    return filled


def _status(
    reading: Reading, word: str, sizes: Mapping[str, Decimal | None], step: Decimal | None, *, created: bool
) -> tuple[OrderStatus, KnownBy]:
    folded, quantity, filled = fold(word), sizes["quantity"], sizes["filled_quantity"]
    left = None if quantity is None or filled is None else subtract(quantity, filled)
    whole = left is not None and (left <= 0 or left < (step or ZERO))
    if not folded and whole:
        return OrderStatus.FILLED, KnownBy.INFERRED
    if not folded:
        status = OrderStatus.ACCEPTED if created else OrderStatus.UNKNOWN
    else:
        status = STATUS_FROM_CCXT.get(folded, OrderStatus.UNKNOWN)
    if folded == _CANCELLED_IN_PART and (remaining := reading.amount("remaining")) is not None:
        status = OrderStatus.OPEN if remaining else OrderStatus.CANCELLED
    if status is OrderStatus.ENDED:
        status = ENDS.get(reading.own_word(reading.rules.status), status)
    if status is OrderStatus.ENDED and whole:
        return OrderStatus.FILLED, KnownBy.REPORTED
    if status in {OrderStatus.ENDED, OrderStatus.FILLED} and left is not None and not whole:
        own = reading.own_word(reading.rules.status) if status is OrderStatus.FILLED else ""
        reading.anomalies.append(f"{own or folded} with {plain(filled or ZERO)} of {plain(quantity or ZERO)} filled")
        if status is OrderStatus.ENDED:
            return OrderStatus.CANCELLED, KnownBy.INFERRED
    if status in _WORKING and filled:
        if filled == quantity:
            reading.anomalies.append(f"{word or 'no status'}, but all is filled")
        status = OrderStatus.PARTIALLY_FILLED
    return status, KnownBy.REPORTED


def type_of(word: str) -> OrderType:
    """The type that a word means, which may have the side before it."""
    plain_word = re.sub(r"^(buy|sell) ", "", fold(word)).replace(" ", "")
    return TYPE_FROM_CCXT.get(plain_word, OrderType.UNKNOWN)


def _life(reading: Reading) -> tuple[TimeInForce | None, bool | None]:
    word, post_only = reading.word("timeInForce"), reading.flag("postOnly")
    if not reading.is_stated and fold(reading.word("type")) == "market" and fold(word) == "ioc":
        return None, None  # ccxt says so of every market order
    # Of a type that stands for the lifetime it may be the last word.
    known = LIFE_FROM_CCXT.get(fold(word)) or LIFE_FROM_CCXT.get(fold(word).rpartition(" ")[2])
    if not word or (known is None and type_of(word) is not OrderType.UNKNOWN):
        return None, post_only
    if known is None:
        reading.anomalies.append(f"time in force {word!r} is not known")
        return None, post_only
    return known[0], known[1] if known[1] is not None else post_only


def _kind(reading: Reading, side: Side) -> tuple[OrderType, Decimal | None]:
    """The type and the stop price. A bare trigger has no type, unless the row says from which side it is reached."""
    kind = type_of(word := reading.word("type"))
    if fold(word) == "stop" and reading.amount("price"):
        kind = OrderType.STOP_LIMIT
    loss, profit = reading.amount("stopLossPrice"), reading.amount("takeProfitPrice")
    trigger = reading.amount("triggerPrice") or reading.amount("stopPrice")
    stop = loss or profit or trigger or None
    if stop is None or kind not in _STOPPED:
        return kind, stop
    rises = None if loss or profit else TRIGGERS.get(reading.own_word(reading.rules.trigger))
    if rises is not None:
        return (_STOPPED[kind] if rises is (side is Side.BUY) else OrderType.TAKE_PROFIT), stop
    if kind is _STOPPED[kind] or (loss and not profit):
        return _STOPPED[kind], stop
    return (OrderType.TAKE_PROFIT if profit and not loss else OrderType.UNKNOWN), stop


def fill_from_row(row: Any, *, venue: str, account: str, rules: RowRules) -> Fill:
    """
    Read a trade of ccxt's. Its value is the exchange's own where its row has one, else price times quantity.

    A rebate is no fee: it stands in `raw` only.

    Raises:
        Unusable: an id, symbol, side or amount that cannot be read.
    """
    if not isinstance(row, Mapping):
        raise Unusable(f"a trade is a dict, not {type(row).__name__}")
    reading = Reading(row, rules, is_trade=True)
    quantity, price = reading.amount("amount"), reading.amount("price")
    if not quantity or not price:
        raise Unusable("amount or price is missing", id=reading.id)
    fee = row.get("fee")
    cost, currency = (fee.get("cost"), fee.get("currency")) if isinstance(fee, Mapping) else (None, None)
    try:
        paid = number(cost)
    except ValueError:
        paid = None  # it stands in the raw row
    if paid is not None and paid < 0:
        paid = None  # what the exchange pays is no fee, and a fill has no other place for it
    order = reading.value("order")
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
        quote_quantity=reading.amount("cost") or multiply(quantity, price),
        fee=paid,
        fee_currency=currency if paid is not None and isinstance(currency, str) and currency else None,
        liquidity=Liquidity(taker) if (taker := row.get("takerOrMaker")) in {"maker", "taker"} else None,
        created_at=reading.moment("timestamp"),
        raw=_raw(row),
    )


# Source: ccxt's manual, "Precision Mode". No class of its has the mode of decimal places.
SIGNIFICANT_DIGITS: Final = 3
TICK_SIZE: Final = 4
# The last place of a price whose digits are counted; at Hyperliquid one less for each place of the amount.
_PRICE_PLACE: Final = Decimal("0.00000001")


def _steps(precision: Mapping[str, Any], mode: int) -> tuple[Decimal | None, Decimal | None, int | None]:
    """
    The steps of amounts and of prices, and how many digits a price may have. None: there is no such rule.

    Raises:
        ValueError: a rule that is not understood, which must not pass for none.
    """
    amount, price = number(precision.get("amount")), number(precision.get("price"))
    told = [each for each in (amount, price) if each is not None]
    is_counted = mode == SIGNIFICANT_DIGITS
    is_odd = any(each < 0 or (is_counted and each != int(each)) for each in told)
    if is_odd or mode not in {SIGNIFICANT_DIGITS, TICK_SIZE}:
        raise ValueError(f"precision {', '.join(map(plain, told))} of mode {mode} is not known")
    if not is_counted:
        return amount or None, price or None, None
    # Exchanges that count the digits of prices count the places of amounts.
    step = None if amount is None else Decimal((0, (1,), -int(amount)))
    return (step, _PRICE_PLACE, int(price)) if price else (step, None, None)


def market_from_ccxt(row: Any, *, mode: int, price_digits: int | None = None) -> Market:
    """
    The rules of one of ccxt's spot markets. Its fees are ccxt's defaults and no account's, so they are left out.

    Args:
        price_digits: the significant digits of a price that is not whole, where ccxt has but the tick of one price.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: a market that cannot be read.
    """
    limits = row.get("limits")
    step, tick, digits = _steps(row.get("precision") or {}, mode)
    if price_digits is not None:
        tick = divide(_PRICE_PLACE, step) if step else None

    def bound(kind: str, end: str) -> Decimal | None:
        # What is no amount bounds nothing: the exchange holds orders against its own rules all the same.
        bounds = limits.get(kind) if isinstance(limits, Mapping) else None
        try:
            return (number(bounds.get(end)) if isinstance(bounds, Mapping) else None) or None
        except ValueError:
            return None

    return Market(
        symbol=Symbol(row["symbol"]),
        price_tick=tick,
        price_digits=price_digits or digits,
        any_whole_price=price_digits is not None,
        quantity_step=step,
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
    rules: RowRules,
    **facts: Unpack[OrderFacts],
) -> Order:
    """
    The order as its creation was answered, with the size and price that were asked for, and what else the answer
    leaves out. Fills are those that a field of fills states.

    The id is the exchange's; an answer that cannot be read beyond it is an order all the same.

    Raises:
        Unclear: the answer is about another pair or side.
    """
    row = {**answer, "id": order_id, **_identity(answer, request, order_id)}
    stated = row.get(STATED)
    if isinstance(stated, dict):
        row[STATED] = {**stated, "type": stated.get("type") or request.type.value}
    read = partial(order_from_row, source="submit", step=step, rules=rules, created=True, **facts)
    try:
        order = read(row)
        if request.quantity is not None and order.quantity not in (None, request.quantity):
            # What is left of another size says nothing of the fills. The size itself is told below.
            known = row[STATED] if isinstance(row.get(STATED), Mapping) else row
            sized = {**known, "amount": plain(request.quantity), "remaining": None}
            told, order = order.quantity, read({**row, STATED: sized})
            if order.status is OrderStatus.FILLED and order.filled_quantity != request.quantity:
                # Filled is the size of the answer, and not that of the order.
                order = order.noted(status=OrderStatus.CANCELLED, known_by=KnownBy.INFERRED)
            order = order.model_copy(update={"quantity": told})
    except Unusable as unusable:
        odd = f"the answer to the new order could not be read: {unusable}"
        return order_as_asked(request, order_id=order_id, client_order_id=client_order_id, anomalies=(odd,), **facts)
    if request.quote_quantity is None and order.quote_quantity is not None:
        odd = f"sized in base, and the answer says that it is sized in quote, by {plain(order.quote_quantity)}"
        order = order.noted(anomalies=[odd], quote_quantity=None)
    asked_for = {} if request.type is OrderType.MARKET else {name: getattr(request, name) for name in _AS_ASKED}
    noted = {name: value for name, value in asked_for.items() if getattr(order, name) is None}
    if not order.raw_type or (request.stop_price is not None and order.stop_price is None):
        # Of an order that waits the answer may name what it becomes.
        noted["type"] = request.type
    if order.status is OrderStatus.ACCEPTED:
        noted["evidence"] = ("submit: an id was given",)
    return order.model_copy(update=noted)


def _identity(answer: Mapping[str, Any], request: OrderRequest, order_id: str) -> dict[str, Any]:
    """Pair, side and type, as asked for where the answer leaves them out. Unclear: it names another pair or side."""
    asked = {"symbol": str(request.symbol), "side": request.side.value, "type": request.type.value}
    said = {name: str(answer.get(name) or value) for name, value in asked.items()}
    # A market that ccxt does not know keeps the exchange's own name, in which the pair may stand all the same.
    if letters(said["symbol"]) != letters(asked["symbol"]) or said["side"].lower() != asked["side"]:
        text = f"the answer shows another, {order_id}: a {said['side']} of {said['symbol']}"
        raise Unclear(text, order_id=order_id)
    return {**asked, "type": said["type"]}
