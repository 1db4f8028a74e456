"""Steps from every precision mode, and laws of what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderbridge.adapters.ccxt_any.mapping import SIGNIFICANT_DIGITS, TICK_SIZE, is_spot, market_from_ccxt
from orderbridge.model.basics import EXACT
from orderbridge.model.request import Market


def market_of(precision: Any, mode: int) -> Market:
    return market_from_ccxt({"symbol": "A/B", "precision": {"amount": precision, "price": precision}}, mode=mode)


@pytest.mark.parametrize(
    ("precision", "mode", "step", "tick", "digits"),
    [
        ("0.01", TICK_SIZE, "0.01", "0.01", None),
        (1e-08, TICK_SIZE, "0.00000001", "0.00000001", None),
        ("5", TICK_SIZE, "5", "5", None),
        ("0", TICK_SIZE, None, None, None),
        (None, TICK_SIZE, None, None, None),
        (2, SIGNIFICANT_DIGITS, "0.01", "0.00000001", 2),
        ("8", SIGNIFICANT_DIGITS, "0.00000001", "0.00000001", 8),
        (0, SIGNIFICANT_DIGITS, "1", None, None),
        (None, SIGNIFICANT_DIGITS, None, None, None),
    ],
)
def test_step_by_precision_mode(
    precision: Any, mode: int, step: str | None, tick: str | None, digits: int | None
) -> None:
    """A tick is a step; where the digits of prices count, so do the places of amounts."""
    market = market_of(precision, mode)

    assert market.quantity_step == (None if step is None else Decimal(step))
    assert market.price_tick == (None if tick is None else Decimal(tick))
    assert market.price_digits == digits


@pytest.mark.parametrize(
    ("precision", "mode"),
    [("x", TICK_SIZE), ("-1", TICK_SIZE), (1.5, SIGNIFICANT_DIGITS), (-2, SIGNIFICANT_DIGITS), (1, 9), (2, 2)],
)
def test_a_precision_that_is_none(precision: Any, mode: int) -> None:
    """It is refused: a rule that is not understood must not pass for none."""
    with pytest.raises(ValueError, match=r"\w"):
        market_of(precision, mode)


@given(price=st.decimals(min_value="1e-7", max_value="1e20", places=30), digits=st.integers(min_value=1, max_value=7))
@example(price=Decimal("61234.5"), digits=5)
@example(price=Decimal("0.30000000000000004"), digits=5)
def test_significant_digits(price: Decimal, digits: int) -> None:
    """A price passes exactly if it has no more digits and places; else its neighbours have not, and enclose it."""
    market = market_from_ccxt({"symbol": "A/B", "precision": {"amount": 8, "price": digits}}, mode=SIGNIFICANT_DIGITS)

    broken = market.check_amounts(price=price)

    text = "".join(map(str, price.as_tuple().digits)).strip("0")
    assert bool(broken) is (len(text) > digits or EXACT.remainder(price, Decimal("1e-8")) != 0)
    for rule in broken:
        assert all(market.check_amounts(price=near) == [] for near in rule.nearest)
        assert rule.nearest[0] < price < rule.nearest[-1]
    assert market.quantity_step == Decimal("1e-8")


@pytest.mark.parametrize(
    ("price", "nearest"),
    [
        ("123456", ()),
        ("100.123", ("100.12", "100.13")),
        ("1.00012", ("1.0001", "1.0002")),
        ("0.1234567", ("0.12345", "0.12346")),
    ],
)
def test_digits_of_a_price_that_is_not_whole(price: str, nearest: tuple[str, ...]) -> None:
    """ccxt's tick is of the price at the load: another price has the place of its own last digit."""
    row = {"symbol": "A/B", "precision": {"amount": "0.01", "price": "0.0001"}}
    market = market_from_ccxt(row, mode=TICK_SIZE, price_digits=5)

    broken = market.check_amounts(price=Decimal(price))

    assert [each for rule in broken for each in rule.nearest] == [Decimal(each) for each in nearest]
    assert market.price_tick == Decimal("0.000001")


@given(places=st.integers(min_value=-8, max_value=18), count=st.integers(min_value=1, max_value=10**12))
def test_multiples_of_a_step_pass_and_half_steps_do_not(places: int, count: int) -> None:
    """What is on the step is not refused, what lies between is, with its neighbours."""
    step = Decimal(1).scaleb(-places)
    market = market_of(format(step, "f"), TICK_SIZE)
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
