"""
The units of everything here: exact amounts, whatever the caller's decimal context is, simulated time, and what a user
may set.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import AfterValidator, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError

# Traps Inexact: a result that would need rounding is a bug here and must not pass silently.
EXACT = Context(prec=400, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_FLOOR = Context(prec=400, rounding=ROUND_DOWN, traps=[InvalidOperation, DivisionByZero, Overflow])
_HALF_UP = Context(prec=400, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow])

add = EXACT.add
sub = EXACT.subtract
mul = EXACT.multiply

ZERO = Decimal(0)
MOST_DIGITS = 100
# Money has eight decimals, as in every recorded trade and balance.
PLACES = 8
SMALLEST = Decimal(1).scaleb(-PLACES)

Amount = str | int | Decimal

LONGEST = 100 * 366 * 86_400.0
# Leaves room below the last year that a datetime knows, so that now and any duration can be added.
END = datetime(9900, 1, 1, tzinfo=UTC).timestamp()


def as_decimal(value: Amount) -> Decimal:
    """
    Read an amount that the user of the simulator wrote.

    Raises:
        TypeError: a float, whose digits are not the ones that were meant.
        ValueError: no number, not finite, or longer than any exchange's amounts.
    """
    if isinstance(value, bool | float):
        raise TypeError(f"amounts are str, int or Decimal, not {type(value).__name__}: {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation as e:
        raise ValueError(f"not a number: {value!r}") from e
    if not number.is_finite() or not is_reasonable(number):
        raise ValueError(f"not a usable amount: {value!r}")
    return number


def is_reasonable(number: Decimal) -> bool:
    """True if exact products with this number stay within `EXACT`."""
    _, digits, exponent = number.as_tuple()
    return len(digits) <= MOST_DIGITS and isinstance(exponent, int) and -MOST_DIGITS <= exponent <= MOST_DIGITS


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `value`."""
    return mul(_FLOOR.divide_int(value, step), step)


def floor_divide(value: Decimal, divisor: Decimal, step: Decimal) -> Decimal:
    """`value / divisor`, cut down to a multiple of `step`."""
    return mul(_FLOOR.divide_int(value, mul(divisor, step)), step)


def value_of(price: Decimal, quantity: Decimal) -> Decimal:
    """The cost of so much at that price: rounded half up to the decimals that money has."""
    return mul(price, quantity).quantize(SMALLEST, context=_HALF_UP)


def ratio(value: Decimal, divisor: Decimal, places: int) -> Decimal:
    """`value / divisor` cut to `places` decimals: for averages that are only shown."""
    return floor_divide(value, divisor, Decimal(1).scaleb(-places))


def plain(value: Decimal, places: int = 0) -> str:
    """
    Write without exponent and with at least `places` decimals; digits beyond them are kept, idle zeros are
    not.
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if not places:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(places, '0')}"


class SimClock:
    """
    A clock that a test can move.

    By default it runs with the machine's clock, plus whatever `advance` has added. With `running=False` it
    stands still.

    Args:
        start: where it begins (aware datetime or epoch seconds); now, unless given.
        running: whether it goes on by itself.
    """

    def __init__(self, *, start: datetime | float | None = None, running: bool = True) -> None:
        self._running = running
        begin = start.timestamp() if isinstance(start, datetime) else start
        self._base = time.time() if begin is None else float(begin)
        self._anchor = time.time()

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._base + (time.time() - self._anchor) if self._running else self._base

    def now(self) -> datetime:
        """The same moment as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move on by `seconds` at once; nobody waits."""
        if not 0 <= seconds < LONGEST:
            raise ValueError("a simulated clock does not go back, and not on by more than a century at once")
        if self.time() + seconds >= END:
            raise ValueError("a simulated clock ends with the year 9900")
        self._base += seconds


def _sendable(text: str) -> str:
    text.encode()  # half a surrogate pair cannot be sent, nor signed with
    return text


def _names(given: Any) -> frozenset[str]:
    if not isinstance(given, list | tuple | set | frozenset) or not all(isinstance(each, str) for each in given):
        raise ValueError("a list of names is wanted")
    return frozenset(given)


MOST = 1_000_000_000
Count = Annotated[int, Field(ge=0, le=MOST)]
Seconds = Annotated[float, Field(ge=0, le=MOST)]
Text = Annotated[str, AfterValidator(_sendable)]
Names = Annotated[frozenset[str], PlainValidator(_names)]  # JSON knows no sets


@dataclass(slots=True, eq=False)
class Checked:
    """
    A dataclass that refuses a value which the field's annotation does not allow, whenever it is set, so that neither a
    typo nor a strange number is a silent default.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = _kinds(type(self))  # type: ignore[arg-type]  # mypy takes no class for hashable
        if name not in kinds:
            raise AttributeError(f"no setting {name!r}; there are: {', '.join(kinds)}")
        object.__setattr__(self, name, _fitting(name, value, *kinds[name]))


@cache
def _kinds(checked: type[Checked]) -> dict[str, tuple[Any, TypeAdapter[Any]]]:
    """What each field takes, and how that is checked."""
    kinds = get_type_hints(checked, include_extras=True)
    return {name: (kind, TypeAdapter(kind, config=ConfigDict(strict=True))) for name, kind in kinds.items()}


def _fitting(name: str, value: Any, kind: Any, adapter: TypeAdapter[Any]) -> Any:
    """The value as it is to be kept."""
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        if not any(type(value) is type(each) and value == each for each in allowed):
            raise ValueError(f"{name}={value!r}; allowed: {', '.join(map(repr, allowed))}")
        return value
    try:
        kept = adapter.validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}={value!r}: {reason}") from error
    return value if kept == value else kept  # a whole number of seconds stays one
