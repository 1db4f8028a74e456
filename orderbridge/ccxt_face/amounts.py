"""Numbers as ccxt's bots pass and expect them: floats by their shortest text, steps as ccxt applies them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final

from ccxt.base.decimal_to_precision import DECIMAL_PLACES, TICK_SIZE
from ccxt.base.errors import InvalidOrder

from orderbridge.model.basics import EXACT, multiply, parse_amount, plain

_TWO: Final = Decimal(2)
ToStep = Callable[[Decimal, Decimal | None], Decimal]


def exact(value: Any, name: str) -> Decimal:
    """
    A number as its writer meant it: 0.1 is one tenth, and not what the nearest float is.

    Raises:
        InvalidOrder: no number, or none that can be sent.
    """
    if isinstance(value, bool) or not isinstance(value, (str, Decimal, Real)):
        raise InvalidOrder(f"{name} is a number, not {value!r}")
    if isinstance(value, float):
        value = float.__repr__(value)  # numpy's own repr names its class
    elif isinstance(value, Integral):
        value = int(value)
    elif not isinstance(value, (str, Decimal)):
        value = str(value)
    try:
        return parse_amount(value)
    except ValueError as error:
        raise InvalidOrder(f"{name} {value}: {error}") from error


def cut(number: Decimal, step: Decimal | None) -> Decimal:
    """Towards zero to a multiple of the step, as ccxt does with amounts; as it is where no step is known."""
    if not step:
        return number
    return multiply(EXACT.divide_int(number, step), step)


def nearest(number: Decimal, step: Decimal | None) -> Decimal:
    """To the nearest multiple of the step, half of it away from zero, as ccxt does with prices."""
    if not step:
        return number
    steps, rest = EXACT.divmod(number, step)
    if multiply(rest.copy_abs(), _TWO) >= step:
        steps = EXACT.add(steps, Decimal(1).copy_sign(number))
    return multiply(steps, step)


def text(number: Decimal) -> str:
    """Without an exponent and without zeros at the end, as ccxt's `…_to_precision` write it."""
    written = plain(number)
    return written.rstrip("0").rstrip(".") if "." in written else written


def step_of(precision: Any, mode: Any) -> Decimal | None:
    """A step as ccxt's markets tell it: itself, or a number of decimals; None where it is none of the two."""
    if precision is None or mode not in (TICK_SIZE, DECIMAL_PLACES):
        return None
    told = exact(precision, "precision")
    step = told if mode == TICK_SIZE else Decimal(1).scaleb(-int(told))
    return step if step > 0 else None


def number(value: Decimal | None) -> float | None:
    """As ccxt's dicts hold it by default."""
    return None if value is None else float(value)
