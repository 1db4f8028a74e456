"""Steps from every precision mode, and laws of what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.adapters.ccxt_any.mapping import (
    DECIMAL_PLACES,
    SIGNIFICANT_DIGITS,
    TICK_SIZE,
    beyond_digits,
    digits_of,
    is_spot,
    market_from_ccxt,
    step_of,
)


@pytest.mark.parametrize(
    ("precision", "mode", "step"),
    [
        ("0.01", TICK_SIZE, "0.01"),
        (1e-08, TICK_SIZE, "0.00000001"),
        ("5", TICK_SIZE, "5"),
        ("0", TICK_SIZE, None),
        (None, TICK_SIZE, None),
        (2, DECIMAL_PLACES, "0.01"),
        ("8", DECIMAL_PLACES, "0.00000001"),
        (0, DECIMAL_PLACES, "1"),
        (-2, DECIMAL_PLACES, "100"),
        (5, SIGNIFICANT_DIGITS, None),
    ],
)
def test_step_by_precision_mode(precision: Any, mode: int, step: str | None) -> None:
    """A tick is a step, a count of places is a power of ten, and significant digits have none."""
    assert step_of(precision, mode) == (None if step is None else Decimal(step))


@pytest.mark.parametrize(("precision", "mode"), [("x", TICK_SIZE), ("-1", TICK_SIZE), (1.5, DECIMAL_PLACES), (1, 9)])
def test_a_precision_that_is_none(precision: Any, mode: int) -> None:
    """It is refused: a rule that is not understood must not pass for none."""
    with pytest.raises(ValueError, match=r"\w"):
        step_of(precision, mode)


@given(amount=st.decimals(min_value="1e-20", max_value="1e20"), digits=st.integers(min_value=1, max_value=12))
def test_significant_digits(amount: Decimal, digits: int) -> None:
    """A number passes exactly if it has no more digits; else the nearest on both sides have not, and enclose it."""
    broken = beyond_digits("price", amount, digits)

    text = "".join(map(str, amount.as_tuple().digits)).strip("0")
    assert bool(broken) is (len(text) > digits)
    for rule in broken:
        low, high = rule.nearest
        assert low < amount < high
        assert not beyond_digits("price", low, digits)
        assert not beyond_digits("price", high, digits)


@given(places=st.integers(min_value=-8, max_value=18), count=st.integers(min_value=1, max_value=10**12))
def test_multiples_of_a_step_pass_and_half_steps_do_not(places: int, count: int) -> None:
    """By decimal places as by ticks: what is on the step is not refused, what lies between is, with its neighbours."""
    step = step_of(places, DECIMAL_PLACES)
    assert step is not None
    for known in (step, step_of(format(step, "f"), TICK_SIZE)):
        market = market_from_ccxt({"symbol": "A/B", "precision": {"amount": str(known)}}, mode=TICK_SIZE)
        on = Decimal(count) * step

        assert market.check_amounts(quantity=on) == []
        (broken,) = market.check_amounts(quantity=on + step / 2)
        assert broken.nearest == (on, on + step)


def test_market_of_ccxt() -> None:
    """Steps and bounds are the exchange's; zero is no bound, and ccxt's general fees are nobody's."""
    row = {
        "symbol": "BTC/USDT",
        "precision": {"amount": "0.001", "price": 0.1},
        "limits": {"amount": {"min": "0.001", "max": 9000.0}, "price": {"min": None}, "cost": {"min": "0"}},
        "maker": 0.001,
        "taker": 0.001,
    }

    market = market_from_ccxt(row, mode=TICK_SIZE)

    assert (market.quantity_step, market.price_tick) == (Decimal("0.001"), Decimal("0.1"))
    assert (market.min_quantity, market.max_quantity) == (Decimal("0.001"), Decimal(9000))
    assert (market.min_price, market.min_value, market.maker_fee) == (None, None, None)


@pytest.mark.parametrize(
    ("row", "spot"),
    [
        ({"symbol": "BTC/USDT", "spot": True}, True),
        ({"symbol": "BTC/USDT:USDT", "spot": True}, False),
        ({"symbol": "BTC/USDT", "spot": False, "type": "swap"}, False),
        ({"symbol": "BTC/USDT", "spot": None, "type": "spot"}, True),
        ({"symbol": None}, False),
        (None, False),
    ],
)
def test_spot_markets(row: Any, spot: bool) -> None:
    """Contracts are told by their symbol too."""
    assert is_spot(row) is spot


def test_digits_are_a_rule_in_their_mode_only() -> None:
    """In other modes the same figure is a step."""
    assert digits_of(5, SIGNIFICANT_DIGITS) == 5
    assert digits_of(5, TICK_SIZE) is None
    assert digits_of(None, SIGNIFICANT_DIGITS) is None


ODD = [None, True, -1.5, "", "x", "NaN", [], [None], [{}], {"min": [], "max": {}}, {"min": "x", "max": True}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("wrap", [lambda odd: odd, lambda odd: {"amount": odd, "price": odd, "cost": odd}])
def test_a_bound_that_cannot_be_read_bounds_nothing(wrap: Any, odd: Any) -> None:
    """Limits of any type take neither the market nor its steps along."""
    row = {"symbol": "BTC/MXN", "precision": {"amount": "0.01", "price": "10"}, "limits": wrap(odd)}

    market = market_from_ccxt(row, mode=TICK_SIZE)

    assert (market.price_tick, market.quantity_step) == (Decimal(10), Decimal("0.01"))
    assert (market.min_quantity, market.max_price, market.max_value) == (None, None, None)


def test_digits_that_cannot_be_read_are_told_with_the_market() -> None:
    """As orders are held against them, a count of digits that is none is no matter of the first order."""
    row = {"symbol": "BTC/MXN", "precision": {"amount": "x"}}

    with pytest.raises(ValueError, match="number"):
        market_from_ccxt(row, mode=SIGNIFICANT_DIGITS)
