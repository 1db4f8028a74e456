"""Between Bitcain's words and ours: rows to orders, requests to bodies. Tables and pure functions."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.settings import SOURCES, BitcainAccount
from orderbridge.adapters.bitcain.wire import as_uuid, brief, pick
from orderbridge.errors import OrderDenied, printable
from orderbridge.gateway import Capabilities, ClientIdRule
from orderbridge.model.basics import (
    EditClass,
    Idempotency,
    KnownBy,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    add,
    parse_amount,
    plain,
    subtract_amounts,
)
from orderbridge.model.order import Order, sorted_once
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.venue.rows import Unusable, fold, moment_of

# An enum of the server's own language that leaked its class: `OrderStatus.OPEN`, `TradeType.BUY`.
_CLASS_PREFIX: Final = re.compile(r"^(?:(?:order|trade|trading)_?(?:status|state|type|side|mode)|time_?in_?force)\.")

# Words whose status does not hang on the numbers.
STATUS_FROM_WIRE: Final[Mapping[str, OrderStatus]] = {
    **dict.fromkeys(
        (
            "pending",
            "created",
            "queued",
            "submitted",
            "received",
            "processing",
            "pending new",
            "pending submit",
            "new",
            "accepted",
            "untriggered",
        ),
        OrderStatus.ACCEPTED,
    ),
    **dict.fromkeys(
        ("partially filled", "partial", "partial fill", "partial filled", "partiallyfilled"),
        OrderStatus.PARTIALLY_FILLED,
    ),
    **dict.fromkeys(("filled", "executed", "completed", "complete", "fully filled"), OrderStatus.FILLED),
    **dict.fromkeys(
        ("cancelled", "canceled", "partially cancelled", "partially canceled"),
        OrderStatus.CANCELLED,
    ),
    **dict.fromkeys(("rejected", "denied", "risk rejected"), OrderStatus.REJECTED),
    **dict.fromkeys(("expired", "expired in match"), OrderStatus.EXPIRED),
    **dict.fromkeys(("failed", "error", "failure"), OrderStatus.FAILED),
}
# Open, or partially filled by the numbers.
WORKING_WORDS: Final = frozenset({"open", "active", "live", "working", "placed", "resting", "triggered"})
CANCEL_PENDING_WORDS: Final = frozenset({"pending cancel", "cancelling", "canceling", "cancel requested"})
# Over, and only the numbers can say how.
OVER_WORDS: Final = frozenset({"closed", "done"})

# Source: Bitcain, "Create Trading Order", body field `type`.
TYPE_FROM_WIRE: Final[Mapping[str, OrderType]] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop_loss": OrderType.STOP_LOSS,
    "take_profit": OrderType.TAKE_PROFIT,
    "stop_limit": OrderType.STOP_LIMIT,
    "trailing_stop": OrderType.TRAILING_STOP,
    "iceberg": OrderType.ICEBERG,
    "oco": OrderType.OCO,
}
_SIDES: Final = {side.value: side for side in Side}
_LIVES: Final = {life.value: life for life in TimeInForce}
# Source: Bitcain, "Create Trading Order", query parameter `trading_mode`: whether it is paper.
PAPER_FROM_WIRE: Final[Mapping[str, bool]] = {"paper": True, "live": False}


@dataclass(frozen=True, slots=True)
class StatusReading:
    """A status word read beside the fill numbers; `doubts` are contradictions between the two."""

    status: OrderStatus
    known_by: KnownBy = KnownBy.REPORTED
    evidence: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    cancel_requested: bool = False
    trigger_waiting: bool = False


@lru_cache(512)
def bare(word: str) -> str:
    """A word as the tables have it, without an enum's class name."""
    return fold(_CLASS_PREFIX.sub("", word.strip().lower()))


def read_status(
    word: str, *, quantity: Decimal | None, filled: Decimal | None, cancel_sent: bool = False
) -> StatusReading:
    """
    Read a status word, given the sizes. Of an unknown word nothing is assumed: possibly live.

    Args:
        cancel_sent: we asked for a cancel of this order, so that `cancelled` is no surprise.
    """
    folded = bare(word)
    if folded in WORKING_WORDS or folded in CANCEL_PENDING_WORDS:
        working = OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.OPEN
        whole = filled is not None and quantity is not None and filled >= quantity
        at_odds = (f"status {brief(word)} while all is filled",) if whole else ()
        return StatusReading(working, doubts=at_odds, cancel_requested=folded in CANCEL_PENDING_WORDS)
    if folded in OVER_WORDS:
        return _read_end(word, quantity=quantity, filled=filled)
    status = STATUS_FROM_WIRE.get(folded, OrderStatus.UNKNOWN)
    doubts = _doubts(word, status, quantity=quantity, filled=filled)
    if status is OrderStatus.CANCELLED and cancel_sent:
        return StatusReading(status, evidence=("we asked for the cancel",), doubts=doubts)
    if status is OrderStatus.CANCELLED:
        # An update can set a status by hand, so the word alone is no act of the exchange.
        evidence = (f"the row says {brief(word)}; we did not ask for a cancel",)
        return StatusReading(status, KnownBy.INFERRED, evidence, doubts)
    return StatusReading(status, doubts=doubts, trigger_waiting=folded == "untriggered")


def _read_end(word: str, *, quantity: Decimal | None, filled: Decimal | None) -> StatusReading:
    if quantity is None or filled is None:
        return StatusReading(
            OrderStatus.UNKNOWN, doubts=(f"status {brief(word)} without sizes does not say how it ended",)
        )
    status = OrderStatus.FILLED if filled >= quantity else OrderStatus.CANCELLED
    evidence = (f"status {brief(word)} with {filled:f} of {quantity:f} filled",)
    return StatusReading(status, KnownBy.INFERRED, evidence)


def _doubts(word: str, status: OrderStatus, *, quantity: Decimal | None, filled: Decimal | None) -> tuple[str, ...]:
    if not word:
        return ("the row has no status",)
    if status is OrderStatus.UNKNOWN:
        return (f"status {brief(word)} is not known",)
    if filled is None:
        return ()
    short = quantity is not None and filled < quantity
    at_odds = {
        OrderStatus.ACCEPTED: filled > 0,
        OrderStatus.PARTIALLY_FILLED: not filled or (quantity is not None and not short),
        OrderStatus.FILLED: short,
        OrderStatus.REJECTED: filled > 0,
    }
    return (f"status {brief(word)} with {filled:f} filled",) if at_odds.get(status) else ()


VENUE: Final = "bitcain"
_SEPARATORS: Final = str.maketrans("-_", "//")
_MILLISECONDS: Final = 10**11


@dataclass(frozen=True, slots=True)
class SymbolBook:
    """
    The venue's spellings of pairs.

    Attributes:
        known: the caller's map, from the venue's spelling to ours; it goes before every rule.
        wanted: pairs asked for, by their letters without a separator.
    """

    known: Mapping[str, Symbol] = field(default_factory=dict)
    wanted: Mapping[str, Symbol] = field(default_factory=dict)

    def wanting(self, *symbols: Symbol | None) -> SymbolBook:
        """The same, reading `BTCUSDT` as a pair where it can only be one of those asked for."""
        given = {symbol for symbol in symbols if symbol is not None}
        letters = [squeeze(symbol) for symbol in given]
        # Two pairs of the same letters leave it open which is meant.
        return SymbolBook(self.known, {squeeze(each): each for each in given if letters.count(squeeze(each)) == 1})

    def read(self, text: str) -> Symbol:
        """
        Our spelling of a pair.

        Raises:
            ValueError: it does not say where base ends and quote begins.
        """
        known = self.known.get(text) or self.known.get(text.upper())
        if known is not None:
            return known
        slashed = text.strip().translate(_SEPARATORS)
        if slashed.count("/") == 1:
            return Symbol(slashed)
        wanted = self.wanted.get(squeeze(text))
        if wanted is None:
            hint = f"symbols={{{brief(text)}: 'BASE/QUOTE'}}"
            raise ValueError(f"{brief(text)} does not say where base ends; give the gateway {hint}")
        return wanted


def squeeze(symbol: str) -> str:
    """A pair without its separator, in upper case."""
    return symbol.upper().translate({ord(sign): None for sign in "/-_"})


def order_from_wire(
    row: object,
    *,
    account: str,
    symbols: SymbolBook,
    observed_at: datetime,
    cancel_sent: Container[str] = frozenset(),
) -> Order:
    """
    Read one row. `cancel_sent` holds the ids of orders that we asked to cancel.

    Raises:
        Unusable: without a usable id, symbol or side, or with a quantity that is no number.
    """
    if not isinstance(row, Mapping):
        raise Unusable(f"the row is no object but {brief(row)}")
    order_id = id_from_wire(row)
    try:
        return _Row(row).order(
            order_id,
            account=account,
            symbols=symbols,
            observed_at=observed_at,
            cancel_sent=order_id in cancel_sent,
        )
    except ValueError as error:
        raise Unusable(str(error), id=order_id) from error


def id_from_wire(row: Mapping[str, Any]) -> str:
    """
    The UUID of a row.

    Raises:
        Unusable: none, or two different ones.
    """
    found = dict.fromkeys(filter(None, (as_uuid(pick(row, (name,))) for name in wire.ID)))
    if len(found) == 1:
        return next(iter(found))
    if found:
        raise Unusable(f"the row has several ids: {', '.join(found)}")
    raise Unusable(f"the row has no UUID as its id: {brief(pick(row, wire.ID))}")


def client_id_from_wire(row: object) -> str | None:
    """The client order id that a row echoes."""
    return _text(pick(row, wire.CLIENT_ID)) if isinstance(row, Mapping) else None


def paper_from_wire(row: object) -> bool | None:
    """True if a row says that it is paper; None when it does not say, or contradicts itself."""
    return _Row(row)._paper() if isinstance(row, Mapping) else None


def moment_from_wire(value: object) -> datetime:
    """
    Read a time: ISO 8601 (without a zone it is UTC), or Unix seconds, or milliseconds when above 10^11.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str) and not value.strip().lstrip("-").isdigit():
        try:
            return moment_of(value)
        except ValueError as error:
            raise ValueError(f"{brief(value)} is no time") from error
    number = parse_amount(value)
    unit = timedelta(milliseconds=1) if abs(number) > _MILLISECONDS else timedelta(seconds=1)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(number * (unit // timedelta.resolution)))
    except OverflowError as error:
        raise ValueError(f"{brief(value)} is no time") from error


def moment_to_wire(moment: datetime) -> str:
    """UTC with `Z`, as a query takes it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


_NEEDED: Final = (wire.PRICE, wire.STOP_PRICE, wire.FILLED, wire.REMAINING)


class _Row:
    """Reads the facts of one row and notes the contradictions on the way."""

    __slots__ = ("anomalies", "row")

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self.anomalies: list[str] = []

    def order(
        self, order_id: str, *, account: str, symbols: SymbolBook, observed_at: datetime, cancel_sent: bool
    ) -> Order:
        symbol, side = self._symbol(symbols), self._side()
        kind, raw_type = self._type()
        quantity = self._quantity()
        filled = self._filled(quantity)
        raw_status = _text(pick(self.row, wire.STATUS)) or ""
        reading = read_status(raw_status, quantity=quantity, filled=filled, cancel_sent=cancel_sent)
        self.anomalies.extend(reading.doubts)
        facts = self._facts(kind, filled)
        return Order.of_checked(
            venue=VENUE,
            account=account,
            order_id=order_id,
            symbol=symbol,
            side=side,
            type=kind,
            raw_type=raw_type,
            status=reading.status,
            raw_status=raw_status,
            known_by=reading.known_by,
            evidence=sorted_once(reading.evidence),
            quantity=quantity,
            filled_quantity=filled,
            cancel_requested=reading.cancel_requested or (cancel_sent and not reading.status.is_end),
            trigger_waiting=reading.trigger_waiting,
            observed_at=observed_at,
            anomalies=sorted_once(map(printable, self.anomalies)),
            raw=dict(self.row),
            **facts,
        )

    def _facts(self, kind: OrderType, filled: Decimal | None) -> dict[str, Any]:
        return {
            "filled_quote_quantity": self._filled_value(filled),
            "average_price": self._average(filled),
            "price": self._price(kind),
            "stop_price": self._amount(wire.STOP_PRICE, "stop price") or None,
            "time_in_force": self._time_in_force(),
            "paper": self._paper(),
            "post_only": self._flag(wire.POST_ONLY),
            "reduce_only": self._flag(wire.REDUCE_ONLY),
            "routed_to": _text(pick(self.row, wire.EXCHANGE)),
            "client_order_id": client_id_from_wire(self.row),
            "exchange_order_id": self._exchange_id(),
            "reason": self._reason(),
            **{name: self._moment(names, name) for name, names in _MOMENTS.items()},
        }

    def _symbol(self, symbols: SymbolBook) -> Symbol:
        value = pick(self.row, wire.SYMBOL)
        if not isinstance(value, str):
            raise ValueError(f"the row has no symbol: {brief(value)}")
        try:
            return symbols.read(value)
        except ValueError as error:
            raise ValueError(f"the symbol is not usable: {brief(value)} ({error})") from error

    def _side(self) -> Side:
        value = pick(self.row, wire.SIDE)
        side = _SIDES.get(bare(value) if isinstance(value, str) else "")
        if side is None:
            raise ValueError(f"the side is neither buy nor sell: {brief(value)}")
        return side

    def _type(self) -> tuple[OrderType, str]:
        raw = _text(pick(self.row, wire.TYPE)) or ""
        return TYPE_FROM_WIRE.get(bare(raw).replace(" ", "_"), OrderType.UNKNOWN), raw

    def _amount(self, names: tuple[str, ...], label: str) -> Decimal | None:
        value = pick(self.row, names, ignore=bool if names is wire.FILLED else None)
        if value is None:
            return None
        try:
            number = parse_amount(value)
        except ValueError as error:
            # What was ordered, and how much of it is done, must be readable; what it came to need not be.
            if names in _NEEDED:
                raise ValueError(f"the {label} is no amount: {brief(value)}") from error
            self.anomalies.append(f"the {label} is no amount: {brief(value)}")
            return None
        if number < 0:
            self.anomalies.append(f"the {label} is negative: {brief(value)}")
            return None
        return number

    def _quantity(self) -> Decimal | None:
        value = pick(self.row, wire.QUANTITY)
        if value is None:
            self.anomalies.append("the row has no quantity")
            return None
        try:
            number = parse_amount(value)
        except ValueError as error:
            raise ValueError(f"the quantity is no amount: {brief(value)}") from error
        if number < 0:
            raise ValueError(f"the quantity is negative: {brief(value)}")
        if number == 0:
            # Nothing can be concluded from it: a zero would say that nothing more can fill.
            self.anomalies.append("the quantity is 0")
            return None
        return number

    def _filled(self, quantity: Decimal | None) -> Decimal | None:
        filled = self._amount(wire.FILLED, "filled quantity")
        remaining = self._amount(wire.REMAINING, "remaining quantity")
        if filled is not None:
            if quantity is not None and filled > quantity:
                self.anomalies.append(f"filled {filled:f} is more than the quantity {quantity:f}")
                return None
            if remaining is not None and quantity is not None and add(filled, remaining) != quantity:
                self.anomalies.append(f"filled {filled:f} and remaining {remaining:f} do not make up {quantity:f}")
            return filled
        if quantity is None or remaining is None:
            return None
        if remaining > quantity:
            self.anomalies.append(f"remaining {remaining:f} is more than the quantity {quantity:f}")
            return None
        return subtract_amounts(quantity, remaining)

    def _price(self, kind: OrderType) -> Decimal | None:
        price = self._amount(wire.PRICE, "price")
        if price == 0 and kind in {OrderType.LIMIT, OrderType.STOP_LIMIT}:
            self.anomalies.append(f"the price of a {kind} order is 0")
        return price or None

    def _average(self, filled: Decimal | None) -> Decimal | None:
        average = self._amount(wire.AVERAGE_PRICE, "average price")
        if average == 0 and filled:
            self.anomalies.append("the average price is 0 although some is filled")
        return average or None

    def _filled_value(self, filled: Decimal | None) -> Decimal | None:
        value = self._amount(wire.FILLED_VALUE, "filled value")
        if value and filled == 0:
            # Some of the names may stand for the ordered value.
            self.anomalies.append(f"a filled value of {value:f} although nothing is filled")
            return None
        return value

    def _time_in_force(self) -> TimeInForce | None:
        value = pick(self.row, wire.TIME_IN_FORCE)
        known = _LIVES.get(bare(value) if isinstance(value, str) else "")
        if known is None and value is not None:
            self.anomalies.append(f"the time in force is not known: {brief(value)}")
        return known

    def _flag(self, names: tuple[str, ...]) -> bool | None:
        value = pick(self.row, names)
        if value is None or isinstance(value, bool):
            return value
        self.anomalies.append(f"{names[0]} is no yes or no: {brief(value)}")
        return None

    def _paper(self) -> bool | None:
        value = pick(self.row, wire.MODE)
        by_word = PAPER_FROM_WIRE.get(bare(value)) if isinstance(value, str) else None
        if value is not None and by_word is None:
            self.anomalies.append(f"the trading mode is not known: {brief(value)}")
        by_flag = self._flag(wire.IS_PAPER)
        if by_word is not None and by_flag is not None and by_word is not by_flag:
            self.anomalies.append("the row says both paper and live")
            return None
        return by_flag if by_word is None else by_word

    def _exchange_id(self) -> str | None:
        stated = _text(pick(self.row, wire.EXCHANGE_ID))
        if stated is not None:
            return stated
        # The row's own id is a UUID, so an `order_id` that is none belongs to the exchange behind.
        other = pick(self.row, ("order_id",))
        return None if as_uuid(other) else _text(other)

    def _reason(self) -> str | None:
        if pick(self.row, wire.REASON) is None:
            return None
        return next((printable(text) for name in wire.REASON if (text := _text(pick(self.row, (name,))))), None)

    def _moment(self, names: tuple[str, ...], label: str) -> datetime | None:
        value = pick(self.row, names)
        if value is None:
            return None
        try:
            return moment_from_wire(value)
        except ValueError:
            self.anomalies.append(f"{label} is no time: {brief(value)}")
            return None


_MOMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "expires_at": wire.EXPIRES_AT,
    "created_at": wire.CREATED_AT,
    "updated_at": wire.UPDATED_AT,
    "triggered_at": wire.TRIGGERED_AT,
}


# Source: Bitcain, "Create Trading Order", body field `type`: documented as words only; what each needs has no field.
INEXPRESSIBLE: Final[Mapping[OrderType, str]] = {
    OrderType.TRAILING_STOP: "its trailing distance",
    OrderType.ICEBERG: "its visible size",
    OrderType.OCO: "its second leg",
}
OPTIONS: Final = frozenset({"portfolio_id", "source", "agent_id", "exchange"})
# No rule is documented. 64 characters hold every usual form (a UUID has 36), and letters that no server, log or
# exchange behind Bitcain is likely to refuse, fold or cut.
CLIENT_ID: Final = ClientIdRule(alphabet="A-Za-z0-9._-", max_length=64)
CAPABILITIES: Final = Capabilities(
    order_types=frozenset(
        {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.STOP_LIMIT}
    ),
    times_in_force=frozenset(TimeInForce),
    market_lifetimes=True,
    post_only=True,
    reduce_only=True,
    options=OPTIONS,
    client_order_id=CLIENT_ID,
    idempotency=Idempotency.TAG_ONLY,
    lookup_batch=1,
    cancel_batch=1,
    edit=EditClass.IN_PLACE,
    history=True,
    cancel_all=True,
)

Fields = dict[str, str | bool]


def route_of(options: Mapping[str, Any], settings: BitcainAccount) -> BitcainAccount:
    """
    The gateway's settings with an order's own options over them: to which exchange and in whose name it goes out. An
    order of another source has no agent of the gateway's.

    Raises:
        OrderDenied: an option that is none of the documented values, or source `agent` without an agent.
    """
    source = options.get("source", settings.source)
    if source not in SOURCES:
        raise OrderDenied(f"source is one of {', '.join(SOURCES)}, not {source!r}", rule="source")
    agents = settings.agent_id if source in {settings.source, "agent"} else None
    agent_id = _uuid(options, "agent_id", agents)
    if source == "agent" and agent_id is None:
        raise OrderDenied("source 'agent' needs an agent_id", rule="agent_id")
    exchange = options.get("exchange", settings.exchange).strip()
    if not exchange:
        raise OrderDenied("exchange is the name of the exchange that the order goes to", rule="exchange")
    portfolio_id = _uuid(options, "portfolio_id", settings.portfolio_id)
    return replace(settings, exchange=exchange, source=source, agent_id=agent_id, portfolio_id=portfolio_id)


def _uuid(options: Mapping[str, Any], name: str, default: str | None) -> str | None:
    if name not in options:
        return default
    known = as_uuid(options[name])
    if known is None:
        raise OrderDenied(f"{name} is a UUID, not {options[name]!r}", rule=name)
    return known


def spelled(request: OrderRequest, settings: BitcainAccount) -> str:
    """The pair of a request as Bitcain takes it. OrderDenied: longer than it takes."""
    symbol = settings.spelling(request.symbol)
    if not 1 <= len(symbol) <= wire.SYMBOL_LENGTH:
        raise OrderDenied(
            f"Bitcain takes symbols of 1 to {wire.SYMBOL_LENGTH} characters, and {symbol!r} has {len(symbol)}",
            rule="symbol",
        )
    return symbol


def params_to_wire(route: BitcainAccount) -> dict[str, str]:
    """
    The query of a new order. Mode and exchange are always said: the server's own default is live money.

    Source: Bitcain, "Create Trading Order".
    """
    params = {"trading_mode": route.mode, "exchange": route.exchange, "source": route.source}
    return params if route.agent_id is None else {**params, "agent_id": route.agent_id}


def order_to_wire(request: OrderRequest, route: BitcainAccount, *, symbol: str, client_order_id: str) -> Fields:
    """
    The body of a new order: amounts as plain text, times in UTC. What is not asked for is left out, never null.

    Source: Bitcain, "Create Trading Order".
    """
    texts = {
        "symbol": symbol,
        "side": request.side.value,
        "type": request.type.value,
        **_changes(request),
        "portfolio_id": route.portfolio_id,
        "client_order_id": client_order_id,
        "source": route.source,
        "agent_id": route.agent_id,
    }
    flags = {"reduce_only": request.reduce_only, "post_only": request.post_only}
    return {**{name: value for name, value in texts.items() if value is not None}, **flags}


def edit_to_wire(changes: OrderEdit) -> Fields:
    """
    The body of a change: what changes, and nothing else. A status never goes this way.

    Source: Bitcain, "Update Order".
    """
    return {name: value for name, value in _changes(changes).items() if value is not None}


def _changes(given: OrderRequest | OrderEdit) -> dict[str, str | None]:
    amounts = {"quantity": given.quantity, "price": given.price, "stop_price": given.stop_price}
    return {
        **{name: None if value is None else plain(value) for name, value in amounts.items()},
        "time_in_force": None if given.time_in_force is None else given.time_in_force.value,
        "expires_at": None if given.expires_at is None else moment_to_wire(given.expires_at),
    }
