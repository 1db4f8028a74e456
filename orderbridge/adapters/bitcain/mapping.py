"""From a row of Bitcain's to an `Order`: tolerant in spelling, strict in meaning."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.wire import as_uuid, brief, pick
from orderbridge.adapters.bitcain.words import PAPER_FROM_WIRE, TYPE_FROM_WIRE, bare, read_status
from orderbridge.model.basics import OrderType, Side, Symbol, TimeInForce, add, parse_amount, subtract
from orderbridge.model.order import Order
from orderbridge.venue.rows import Unusable, moment_of

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
    except ValidationError as error:
        # Text that no encoding can carry, such as half a surrogate pair in a field's name.
        raise Unusable(f"the row cannot be kept: {brief(error.errors()[0]['msg'])}", id=order_id) from error
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
    """Whether a row says that it is paper; None when it does not say, or contradicts itself."""
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
        return Order(
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
            evidence=reading.evidence,
            quantity=quantity,
            filled_quantity=filled,
            cancel_requested=reading.cancel_requested or (cancel_sent and not reading.status.is_end),
            trigger_waiting=reading.trigger_waiting,
            observed_at=observed_at,
            anomalies=tuple(dict.fromkeys(self.anomalies)),
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
        word = bare(value) if isinstance(value, str) else ""
        if word not in set(Side):
            raise ValueError(f"the side is neither buy nor sell: {brief(value)}")
        return Side(word)

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
        return subtract(quantity, remaining)

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
        word = bare(value) if isinstance(value, str) else ""
        if word in set(TimeInForce):
            return TimeInForce(word)
        if value is not None:
            self.anomalies.append(f"the time in force is not known: {brief(value)}")
        return None

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
        return next((text for name in wire.REASON if (text := _text(pick(self.row, (name,))))), None)

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
