"""The stuff of every model: closed vocabularies, exact amounts, pairs, the two kinds of models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, InvalidOperation, Overflow, Rounded, Subnormal
from decimal import Inexact as _Inexact
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from orderbridge.errors import OrderBridgeError, OrderDenied, printable


class Word(StrEnum):
    """A lower-case word of a closed list; `Word("GTC")` and `Word("gtc")` are one."""

    if not TYPE_CHECKING:
        # An enum's own is two calls of Python, and is asked for each word that is written.
        value = property(str.__str__)

    def __repr__(self) -> str:
        return repr(self.value)

    @classmethod
    def _missing_(cls, value: object) -> Word | None:
        folded = value.strip().lower() if isinstance(value, str) else None
        return next((member for member in cls if member.value == folded), None)


class Side(Word):
    """Which way the base currency goes."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(Word):
    """The kind of an order. `unknown`: a word of the venue that we do not know, kept in `raw_type`."""

    MARKET = "market"
    LIMIT = "limit"
    STOP_LOSS = "stop_loss"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    ICEBERG = "iceberg"
    OCO = "oco"
    UNKNOWN = "unknown"


class OrderStatus(Word):
    """
    Where an order stands. Only `accepted`, `open`, `partially_filled` and `unknown` may still trade.

    `ended` is over with the fills as given; whether it was complete is not known.
    """

    ACCEPTED = "accepted"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"
    ENDED = "ended"
    UNKNOWN = "unknown"

    @property
    def is_end(self) -> bool:
        """True where this word, reported by a venue, means that nothing more will trade."""
        return self not in WORKING


WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.UNKNOWN})


class KnownBy(Word):
    """Who says so: the venue (`reported`), other facts of the venue (`inferred`), our policy (`assumed`)."""

    REPORTED = "reported"
    INFERRED = "inferred"
    ASSUMED = "assumed"


class TimeInForce(Word):
    """How long an order works: until cancelled, at once or not, all or nothing, until a time."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    GTT = "gtt"


class Liquidity(Word):
    """Which side of a fill we were."""

    MAKER = "maker"
    TAKER = "taker"


class Idempotency(Word):
    """
    How far a venue keeps a client order id from making a second order.

    `forever`: unique without end. `while_active`: only until the first order ends. `tag_only`: stored, not
    promised unique. `none`: there is no client id.
    """

    FOREVER = "forever"
    WHILE_ACTIVE = "while_active"
    TAG_ONLY = "tag_only"
    NONE = "none"


class EditClass(Word):
    """The ways in which venues edit an order."""

    IN_PLACE = "in_place"
    REPLACE = "replace"
    REPLACE_EVEN_IF_FILLED = "replace_even_if_filled"
    NONE = "none"


class PlacementState(Word):
    """How far an act of placing has come. Only `denied`, `rejected` and `not_placed` free its key."""

    PREPARED = "prepared"
    DENIED = "denied"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    PLACED = "placed"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"


if TYPE_CHECKING:
    _Meta = type
else:

    class _Meta(type(BaseModel)):
        """
        Gives the errors of a constructor their place in our tree.

        Not an `__init__`, which pydantic would call wherever such a model is a field: `model_validate` and a model that
        holds one go on as pydantic's do, with its ValidationError and the place of each fault.
        """

        def __call__(cls, *args: Any, **fields: Any) -> Any:
            try:
                return super().__call__(*args, **fields)
            except ValidationError as error:
                raise cls._refusal("; ".join(map(_sentence, error.errors(include_url=False)))) from error


_LONGEST: Final = 10_000_000


def _sentence(fault: Mapping[str, Any]) -> str:
    field = ".".join(map(str, fault["loc"]))
    text = fault["msg"].removeprefix("Value error, ")
    return f"{field}: {text}" if field else text


class _Model(BaseModel):
    """What both kinds of models can do."""

    _unsaid: ClassVar[dict[str, Any]]
    _said: ClassVar[set[str]]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        cls._unsaid = {name: each.default for name, each in cls.model_fields.items()}
        cls._said = set(cls.model_fields)

    @classmethod
    def of_checked(cls, **values: Any) -> Self:
        """
        The model of values that were checked one by one and are of the fields' own types, at a fraction of the price.

        What has no plain default must be given, `raw` too. The gateway contract holds what is made so against
        `model_validate`.
        """
        return made(cls, {**cls._unsaid, **values})


class UserModel(_Model, metaclass=_Meta):
    """
    A model that users build: frozen, refuses unknown fields, takes text for numbers and words, never a float.

    The constructor and `model_copy` raise an error of ours, in a sentence; `model_validate` and its kin, and a model
    that has such a field, pydantic's ValidationError. Both are ValueErrors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    _refusal: ClassVar[type[OrderBridgeError]] = OrderDenied

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other values, which are checked as those of a new one are."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self)(**{**self.__dict__, **update})


class VenueModel(_Model):
    """A model of what a venue says: frozen, ignores unknown fields, so that a newer file can be read."""

    # A text with a longest length must be one that can be encoded: no other could be stored or shown.
    model_config = ConfigDict(frozen=True, extra="ignore", str_max_length=_LONGEST)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, at a third of the price."""
        return super().model_copy(update=update, deep=True) if deep else altered(self, update or {})

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        # What the venue did not say would bury what it did.
        for name, value in super().__repr_args__():
            if name is None or value != type(self).model_fields[name].get_default(call_default_factory=True):
                yield name, value


M = TypeVar("M", bound=_Model)
_new: Final = object.__new__
# What pydantic keeps of a model, each at its place: its own way to set them takes twice as long.
_put_values, _put_said, _put_extra, _put_private = (
    vars(BaseModel)[name].__set__
    for name in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


def unsaid(model: type[_Model]) -> dict[str, Any]:
    """A value for each field, as where nothing is said of it: to be filled in for `made`."""
    return model._unsaid.copy()


def made(model: type[M], values: dict[str, Any], said: set[str] | None = None) -> M:
    """As `of_checked`, of a value for each field: they become the model's own. For rows that come by the page."""
    new = _new(model)
    _put_values(new, values)
    _put_said(new, model._said if said is None else said)
    _put_extra(new, None)
    _put_private(new, None)
    return new


def altered(model: M, update: Mapping[str, Any]) -> M:
    """A copy with other values, which were checked and are of the fields' own types, as those of `of_checked`."""
    said = model.__pydantic_fields_set__
    # One set for all that say everything: it would be the largest part of an order.
    return made(type(model), {**model.__dict__, **update}, said if said >= update.keys() else said | update.keys())


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone; write datetime(…, tzinfo=UTC)")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999 in UTC") from None


# What is said to a person, perhaps in a venue's words.
Told = Annotated[str, AfterValidator(printable)]
# An aware moment, kept in UTC.
Moment = Annotated[datetime, AfterValidator(_to_utc)]
EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


# Room for any sum or product of amounts within the bounds below; a rounded result is a bug and raises.
EXACT: Final = Context(prec=400, Emin=-9999, Emax=9999, traps=[_Inexact, InvalidOperation])
# For quotients (average prices), which seldom end: more digits than any venue states.
QUOTIENT: Final = Context(prec=40, traps=[InvalidOperation])
MAX_DIGITS: Final = 100
MAX_EXPONENT: Final = 100
ZERO: Final = Decimal(0)
# So many digits are within every bound, wherever the point stands.
_FEW_DIGITS: Final = 50
# In it a result is exact and has the bounds of an amount, or raises.
_BOUNDED: Final = Context(
    prec=MAX_DIGITS, Emin=-MAX_EXPONENT, Emax=MAX_EXPONENT, traps=[Rounded, Overflow, Subnormal, InvalidOperation]
)


def plain_amount(value: object) -> Decimal | None:
    """The amount of a text of a few digits and a point at most, as nearly every one is; None of anything else."""
    if type(value) is str and len(value) <= _FEW_DIGITS and value.isascii() and value.replace(".", "", 1).isdigit():
        return Decimal(value)
    return None


def parse_amount(value: object) -> Decimal:
    """
    Read an amount from a str, an int or a Decimal, exactly.

    Raises:
        ValueError: a float or bool, no plain number, NaN or infinite, over 100 digits, or an exponent
            beyond ±100. The message is a sentence.
    """
    if (number := plain_amount(value)) is not None:
        return number
    if type(value) is Decimal:
        return check_bounds(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        kind = type(value).__name__
        hint = "; write it as text, as in '0.01'" if isinstance(value, float) else ""
        raise ValueError(f"an amount is a str, an int or a Decimal, never a {kind}{hint}")
    text = value.strip() if isinstance(value, str) else value
    if isinstance(text, str) and (not text.isascii() or "_" in text):
        raise ValueError("an amount holds only the digits 0 to 9, a sign and a decimal point")
    if isinstance(text, int) and text.bit_length() > 4 * MAX_DIGITS:
        raise ValueError(f"an amount has at most {MAX_DIGITS} digits")
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("the amount is not a number") from None
    return check_bounds(number)


def check_bounds(number: Decimal) -> Decimal:
    """The number itself if it is finite and small enough to compute with; else a ValueError that says why."""
    if plain_amount(str(number)) is not None:
        return number
    if not number.is_finite():
        raise ValueError("the amount is not finite")
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # finite numbers have one
    # Zeros at the end are not counted: `1E100` is written with 101 digits and must be readable again.
    significant = len("".join(map(str, digits)).rstrip("0"))
    if significant > MAX_DIGITS or abs(exponent) > MAX_EXPONENT or abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError(f"an amount has at most {MAX_DIGITS} digits and an exponent within ±{MAX_EXPONENT}")
    return number


def is_within_bounds(number: Decimal) -> bool:
    """True where a computed number may be an amount."""
    try:
        check_bounds(number)
    except ValueError:
        return False
    return True


def plain(number: Decimal) -> str:
    """The number as venues and files want it: `0.00000001`, never `1E-8`."""
    return format(number, "f")


def add(*numbers: Decimal) -> Decimal:
    """The exact sum."""
    total = ZERO
    for number in numbers:
        total = EXACT.add(total, number)
    return total


def subtract(a: Decimal, b: Decimal) -> Decimal:
    """The exact difference; zero as plain 0, which reads better than `0E-8`."""
    return EXACT.subtract(a, b) or ZERO


def subtract_amounts(a: Decimal, b: Decimal) -> Decimal:
    """The exact difference, as `subtract` gives it. ValueError: one that is no amount."""
    try:
        return _BOUNDED.subtract(a, b) or ZERO
    except DecimalException:
        return check_bounds(subtract(a, b))


def multiply(a: Decimal, b: Decimal) -> Decimal:
    """The exact product."""
    return EXACT.multiply(a, b)


def divide(a: Decimal, b: Decimal) -> Decimal:
    """The quotient to 40 significant digits."""
    return Decimal(plain(QUOTIENT.divide(a, b)))


def average(total: Decimal, count: Decimal) -> Decimal | None:
    """The price that fills of so much money and size came to; None where there is none that could be an amount."""
    price = divide(total, count) if count else None
    return price if price is not None and is_within_bounds(price) else None


def _must_be_positive(number: Decimal) -> Decimal:
    if number <= 0:
        raise ValueError("the amount must be greater than zero")
    return number


_Plain = PlainSerializer(plain, return_type=str, when_used="json")
# An amount as a venue or a file states it; JSON holds it as text, so that nothing is rounded on the way.
Amount = Annotated[Decimal, BeforeValidator(parse_amount), _Plain]
PositiveAmount = Annotated[Amount, AfterValidator(_must_be_positive)]


_FORM: Final = re.compile(r"[^\s/:]+/[^\s/:]+")


class Symbol(str):
    """
    A spot pair as `BASE/QUOTE` in upper case, equal to its text: `Symbol("btc/mxn") == "BTC/MXN"`.

    Contracts (`BASE/QUOTE:SETTLE`) and venue spellings (`btc_mxn`) are refused with `OrderDenied`, a ValueError.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Symbol:
        if not isinstance(text, str) or not _FORM.fullmatch(text) or not text.isprintable():
            raise OrderDenied(f"a symbol is written BASE/QUOTE, as in BTC/MXN, not {text!r}")
        return super().__new__(cls, text.upper())

    @property
    def base(self) -> str:
        """The currency that is bought or sold."""
        return self.partition("/")[0]

    @property
    def quote(self) -> str:
        """The currency that prices are in."""
        return self.partition("/")[2]

    def __repr__(self) -> str:
        return f"Symbol({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )
