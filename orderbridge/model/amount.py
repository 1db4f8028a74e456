"""Exact amounts: what may come in, how they are computed with, how they are written out."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation, localcontext
from decimal import Inexact as _Inexact
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

# Room for any sum or product of amounts within the bounds below; a rounded result is a bug and raises.
EXACT: Final = Context(prec=400, Emin=-9999, Emax=9999, traps=[_Inexact, InvalidOperation])
# For quotients (average prices), which seldom end: more digits than any venue states.
QUOTIENT: Final = Context(prec=40, traps=[InvalidOperation])
MAX_DIGITS: Final = 100
MAX_EXPONENT: Final = 100
ZERO: Final = Decimal(0)


def parse_amount(value: object) -> Decimal:
    """
    Read an amount from a str, an int or a Decimal, exactly.

    Raises:
        ValueError: a float or bool, no plain number, NaN or infinite, over 100 digits, or an exponent
            beyond ±100. The message is a sentence.
    """
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
    """Whether a computed number may be an amount."""
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
    with localcontext(EXACT):
        return sum(numbers, ZERO)


def subtract(a: Decimal, b: Decimal) -> Decimal:
    """The exact difference; zero as plain 0, which reads better than `0E-8`."""
    return EXACT.subtract(a, b) or ZERO


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


def _accept(value: Any) -> Any:
    return parse_amount(value)


_Plain = PlainSerializer(plain, return_type=str, when_used="json")
# An amount as a venue or a file states it; JSON holds it as text, so that nothing is rounded on the way.
Amount = Annotated[Decimal, BeforeValidator(_accept), Field(max_digits=None, allow_inf_nan=False), _Plain]
PositiveAmount = Annotated[Amount, AfterValidator(_must_be_positive)]
