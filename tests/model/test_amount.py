"""Amounts: exact, bounded, never a float, always written plain."""

import json
from decimal import Decimal, DecimalException, Inexact, InvalidOperation, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orderbridge.model.basics import (
    Amount,
    PositiveAmount,
    add,
    average,
    check_bounds,
    divide,
    is_within_bounds,
    multiply,
    parse_amount,
    plain,
    subtract,
    subtract_amounts,
)

finite = st.decimals(allow_nan=False, allow_infinity=False, places=30, min_value=-(10**60), max_value=10**60)


class Holder(BaseModel):
    """A model with one amount, as the public ones have them."""

    amount: Amount
    positive: PositiveAmount = Decimal(1)


@pytest.mark.parametrize("value", [0.1, 1.0, float("nan"), float("inf"), -0.0])
def test_floats_are_refused_with_a_sentence_that_says_what_to_write(value: float) -> None:
    """A float never becomes an amount, and the message shows the way out."""
    with pytest.raises(ValueError, match=r"never a float; write it as text, as in '0\.01'"):
        parse_amount(value)


@pytest.mark.parametrize(("value", "kind"), [(True, "bool"), (False, "bool"), (None, "NoneType"), (b"1", "bytes")])
def test_other_types_are_refused_by_name(value: object, kind: str) -> None:
    """Only str, int and Decimal are amounts; a bool is no int here."""
    with pytest.raises(ValueError, match=rf"an amount is a str, an int or a Decimal, never a {kind}$"):
        parse_amount(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a number"),
        ("abc", "not a number"),
        ("1,5", "not a number"),
        ("0x10", "not a number"),
        ("1 000", "not a number"),
        ("1_000", "only the digits"),
        ("١٢", "only the digits"),
        ("１", "only the digits"),
        ("nan", "not finite"),
        ("sNaN", "not finite"),
        ("-Infinity", "not finite"),
        ("1" * 101, "at most 100 digits"),
        ("1e101", "at most 100 digits"),
        ("1e-101", "at most 100 digits"),
        ("0e500", "at most 100 digits"),
        ("1e99999999999999999999", "not a number"),
        ("9" * 1_000_000, "at most 100 digits"),
    ],
)
def test_text_that_is_no_plain_bounded_number_is_refused(text: str, message: str) -> None:
    """Every kind of text that cannot be computed with is refused with its own reason."""
    with pytest.raises(ValueError, match=message):
        parse_amount(text)


@pytest.mark.parametrize(
    "value",
    [10**101, -(10**101), 10**100_000, Decimal("NaN"), Decimal("sNaN"), Decimal("1e200")],
    ids=["101 digits", "negative", "100,000 digits", "NaN", "sNaN", "exponent"],
)
def test_numbers_beyond_the_bounds_are_refused(value: int | Decimal) -> None:
    """An int or Decimal is held against the same bounds as text, however large."""
    with pytest.raises(ValueError, match=r"at most 100 digits|not finite"):
        parse_amount(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("9" * 100, "9" * 100), ("1e100", "1" + "0" * 100), ("1E-8", "0.00000001"), (" 0.10 ", "0.10"), (7, "7")],
)
def test_amounts_at_the_bounds_are_written_plain(value: str | int, expected: str) -> None:
    """The largest and smallest amounts pass, and no exponent is ever written."""
    assert plain(parse_amount(value)) == expected


def test_a_strange_decimal_context_changes_nothing() -> None:
    """A caller's own decimal context neither rounds an amount nor lets a bad one through."""
    with localcontext() as context:
        context.prec = 3
        context.traps[InvalidOperation] = False

        number = parse_amount("123456.789")
        total = add(number, Decimal("0.0000001"))

        assert (plain(number), plain(total)) == ("123456.789", "123456.7890001")
        assert subtract(total, number) == Decimal("0.0000001")
        assert multiply(number, number) == Decimal("15241578750.190521")
        with pytest.raises(ValueError, match="not finite"):
            parse_amount("abc")


@given(finite)
def test_plain_text_reads_back_as_the_same_number(number: Decimal) -> None:
    """Writing plain and reading again loses nothing and needs no exponent."""
    text = plain(number)

    assert parse_amount(text) == number
    assert "e" not in text.lower()


@given(finite)
def test_json_round_trips_are_exact(number: Decimal) -> None:
    """An amount in JSON is text, and comes back as the same number."""
    text = Holder(amount=number).model_dump_json()

    assert Holder.model_validate_json(text).amount == number
    assert isinstance(json.loads(text)["amount"], str)


@given(finite, finite)
def test_arithmetic_is_exact(a: Decimal, b: Decimal) -> None:
    """Sums and differences undo each other to the last digit."""
    assert subtract(add(a, b), b) == a


def test_arithmetic_that_would_round_raises() -> None:
    """A result that does not fit is an error, never a rounded amount."""
    with pytest.raises(Inexact):
        add(Decimal("1e400"), Decimal("1e-400"))


def test_a_quotient_may_end_after_forty_digits() -> None:
    """Average prices seldom end: they are cut at 40 significant digits."""
    assert divide(Decimal(1), Decimal(3)) == Decimal("0." + "3" * 40)


@pytest.mark.parametrize("number", ['{"amount": 0.1}', '{"amount": 1e3}', '{"amount": true}', '{"amount": NaN}'])
def test_json_numbers_with_a_fraction_are_refused(number: str) -> None:
    """A JSON number that passed through a float is no amount."""
    with pytest.raises(ValidationError, match=r"never a (float|bool)"):
        Holder.model_validate_json(number)


@pytest.mark.parametrize("value", ["0", "-1", "0.000", "-0"])
def test_what_is_ordered_is_above_zero(value: str) -> None:
    """Zero and negative amounts are refused where something is ordered."""
    with pytest.raises(ValidationError, match="the amount must be greater than zero"):
        Holder(amount="1", positive=value)  # type: ignore[arg-type]


def test_a_price_beyond_all_bounds_is_none() -> None:
    """What fills average to is an amount, or not known: an order with another could be stored and not read."""
    assert average(Decimal("1e99"), Decimal("1e-99")) is None
    assert average(Decimal(1), Decimal(0)) is None
    assert average(Decimal(3), Decimal(2)) == Decimal("1.5")


@given(*[st.decimals(allow_nan=False, allow_infinity=False).filter(is_within_bounds)] * 2)
def test_a_difference_of_amounts_is_exact_or_refused(a: Decimal, b: Decimal) -> None:
    """To the last digit what the exact difference is, written alike, wherever that is an amount."""
    try:
        expected = check_bounds(subtract(a, b))
    except (ValueError, DecimalException):
        with pytest.raises((ValueError, DecimalException)):
            subtract_amounts(a, b)
    else:
        assert repr(subtract_amounts(a, b)) == repr(expected)
