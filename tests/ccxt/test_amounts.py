"""Numbers in, numbers out, and steps as ccxt applies them."""

import decimal
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytestmark = pytest.mark.ccxt

STEPS = ["0.00000001", "0.01", "0.1", "0.5", "1", "5", "10", "0.0025"]
NUMBERS = st.decimals(min_value="0.000000001", max_value="1000000", allow_nan=False, places=10).map(abs)


@given(number=NUMBERS, step=st.sampled_from(STEPS))
def test_steps_are_applied_as_ccxt_applies_them(number: Decimal, step: str) -> None:
    """Amounts are cut and prices rounded to the very number that ccxt's own function gives."""
    from ccxt.base.decimal_to_precision import ROUND, TICK_SIZE, TRUNCATE, decimal_to_precision

    from orderbridge.ccxt.arguments import cut, nearest

    with decimal.localcontext():
        amount = decimal_to_precision(number, TRUNCATE, float(step), TICK_SIZE)
        price = decimal_to_precision(number, ROUND, float(step), TICK_SIZE)

    assert cut(number, Decimal(step)) == Decimal(amount)
    assert nearest(number, Decimal(step)) == Decimal(price)


def test_steps_are_exact_whatever_the_hosts_context_is() -> None:
    """A program that computes with eight digits gets the same steps, and its context back untouched."""
    from orderbridge.ccxt.arguments import cut, exact, nearest

    with decimal.localcontext() as context:
        context.prec = 4
        context.rounding = decimal.ROUND_DOWN
        before = repr(context)

        amount = cut(exact("1234567.123456789", "amount"), Decimal("0.00000001"))
        price = nearest(exact(1234567.126, "price"), Decimal("0.01"))

        assert repr(context) == before
    assert amount == Decimal("1234567.12345678")
    assert price == Decimal("1234567.13")


def test_without_a_step_a_number_stays() -> None:
    """A venue that tells no rules gets what the bot passed."""
    from orderbridge.ccxt.arguments import cut, nearest

    assert cut(Decimal("1.23456789"), None) == nearest(Decimal("1.23456789"), None) == Decimal("1.23456789")


class OddFloat(float):
    """A float with a repr of its own, as numpy's have."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)!r})"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (0.1, "0.1"),
        (1e-8, "0.00000001"),
        (560000.0, "560000"),
        (OddFloat(0.3), "0.3"),
        (3, "3"),
        ("0.010000000000000001", "0.010000000000000001"),
        (Decimal("7.5"), "7.5"),
    ],
)
def test_a_number_is_what_its_writer_meant(value: Any, meant: str) -> None:
    """A float is its shortest text, never the binary number behind it; text and decimals are exact."""
    from orderbridge.ccxt.arguments import exact

    assert exact(value, "amount") == Decimal(meant)


@pytest.mark.parametrize("value", [True, None, "", "ten", float("nan"), float("inf"), [1], "1e999"])
def test_what_is_no_number_is_an_invalid_order(value: Any) -> None:
    """Each is refused by ccxt's own exception, before anything is sent."""
    import ccxt

    from orderbridge.ccxt.arguments import exact

    with pytest.raises(ccxt.InvalidOrder, match="amount"):
        exact(value, "amount")


COUNTED = {"bitfinex": (8, 5), "bithumb": (4, 4), "hyperliquid": (0.01, 0.0001)}


@pytest.mark.parametrize("name", COUNTED)
@given(value=st.floats(min_value=0.011, max_value=1e6))
@example(value=61234.5)
@example(value=0.30000000000000004)
@example(value=1.00012)
@example(value=99999.96)
def test_raw_floats_are_rounded_to_what_ccxt_sends_where_digits_count(name: str, value: float) -> None:
    """Its own functions would round the price to the same, and change neither it nor the amount any more."""
    import ccxt

    from orderbridge.adapters.ccxt_any.mapping import market_from_ccxt
    from orderbridge.adapters.ccxt_any.overrides import OVERRIDES
    from orderbridge.ccxt.arguments import amount_of, price_of

    exchange = getattr(ccxt, name)()
    amount_precision, price_precision = COUNTED[name]
    row = {"id": "AB", "symbol": "A/B", "base": "A", "quote": "B", "spot": True, "type": "spot"}
    row["precision"] = {"amount": amount_precision, "price": price_precision}
    exchange.set_markets([row])
    digits = OVERRIDES.get(name, {}).get("price_digits")
    market = market_from_ccxt(row, mode=exchange.precisionMode, price_digits=digits)

    price, amount = price_of(value, market), amount_of(value, market)

    assert price == Decimal(exchange.price_to_precision("A/B", value))
    assert amount == Decimal(exchange.amount_to_precision("A/B", str(amount)))
    assert market.check_amounts(price=price, quantity=amount) == []
