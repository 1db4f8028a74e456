"""The rules of a market: rounding and checking as laws."""

import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import Market, OrderRequest
from orderbridge.errors import OrderDenied

BTC = Market(
    symbol="BTC/MXN", price_tick="10", quantity_step="0.00000001", min_quantity="0.0001", max_quantity="500",
    min_price="500", max_price="16000000", min_value="10", max_value="2000000", maker_fee="0.005", taker_fee="0.0065",
)  # fmt: skip
numbers = st.decimals("1e-12", "1e15", places=12)
steps = st.decimals("1e-8", "1000", places=8)
sides = st.sampled_from(["buy", "sell", "BUY"])


def market(**rules: Any) -> Market:
    """A market with just these rules."""
    return Market(symbol="BTC/MXN", **rules)


@given(price=numbers, tick=steps, side=sides)
def test_a_rounded_price_is_legal_near_and_no_worse(price: Decimal, tick: Decimal, side: str) -> None:
    """Rounding moves by less than a tick, buys down and sells up, onto a multiple, and only once; never to 0."""
    ruled = market(price_tick=tick)
    if side.lower() == "buy" and price < tick:
        with pytest.raises(OrderDenied, match="lowest price"):
            ruled.round_price(price, side)
        return

    rounded = ruled.round_price(price, side)

    assert rounded > 0
    assert rounded % tick == 0
    assert abs(rounded - price) < tick
    assert rounded <= price if side.lower() == "buy" else rounded >= price
    assert ruled.round_price(rounded, side) == rounded


@given(quantity=numbers, step=steps)
def test_a_rounded_quantity_is_the_largest_legal_one_not_above(quantity: Decimal, step: Decimal) -> None:
    """Nobody sells more than was asked for, and less only by a part of a step."""
    ruled = market(quantity_step=step)

    rounded = ruled.round_quantity(quantity)

    assert rounded % step == 0
    assert 0 <= quantity - rounded < step
    assert ruled.round_quantity(rounded) == rounded


@given(price=numbers, quantity=numbers, tick=steps, step=steps, side=sides)
def test_check_agrees_with_rounding(price: Decimal, quantity: Decimal, tick: Decimal, step: Decimal, side: str) -> None:
    """A request breaks a step rule exactly when rounding would change it, and `nearest` keeps the rule."""
    ruled = market(price_tick=tick, quantity_step=step)
    request = OrderRequest.limit(symbol="BTC/MXN", side=side, price=price, quantity=quantity)

    broken = {rule.rule: rule for rule in ruled.check(request)}

    if side.lower() == "sell" or price >= tick:
        assert ("price_tick" in broken) is (ruled.round_price(price, side) != price)
    assert ("quantity_step" in broken) is (ruled.round_quantity(quantity) != quantity)
    for name, unit in (("price_tick", tick), ("quantity_step", step)):
        assert name not in broken or all(value % unit == 0 for value in broken[name].nearest)


@pytest.mark.parametrize(("price", "side"), [("9.99", "buy"), ("0", "buy"), ("0", "sell"), ("-5", "sell")])
def test_a_price_that_rounds_to_none_is_denied(price: str, side: str) -> None:
    """0 is no price: whoever would send it is told the lowest there is; a quantity below a step is 0, and says so."""
    with pytest.raises(OrderDenied, match="the lowest price there is: 10") as caught:
        BTC.round_price(price, side)

    assert caught.value.rule == "price_tick"
    assert BTC.round_quantity("0.000000001") == 0


def test_rounding_is_exact_at_the_bounds_of_amounts() -> None:
    """The largest number on the smallest step neither overflows nor rounds."""
    largest = Decimal("9" * 100)

    assert market(quantity_step="1e-100").round_quantity(largest) == largest
    assert market(price_tick="1e100").round_price(largest, "sell") == Decimal("1e100")


@pytest.mark.parametrize("number", ["0.1", 7, Decimal("1.23456789012345")])
def test_without_a_rule_nothing_is_rounded(number: Any) -> None:
    """A venue that says nothing about steps is not second-guessed."""
    assert market().round_price(number, "buy") == Decimal(str(number))
    assert market(quantity_step=0).round_quantity(number) == Decimal(str(number))


def test_rounding_refuses_floats() -> None:
    """A float is refused here as everywhere."""
    with pytest.raises(ValueError, match="never a float"):
        BTC.round_price(0.1, "buy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="never a float"):
        BTC.round_quantity(0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "rules", "message"),
    [
        ({}, [], ""),
        ({"price": "560005"}, ["price_tick"], "price 560005 is no multiple of 10; the nearest are 560000 and 560010"),
        ({"quantity": "0.010000001"}, ["quantity_step"], "the nearest are 0.01000000 and 0.01000001"),
        ({"quantity": "0.00009"}, ["min_quantity"], "quantity 0.00009 is below the minimum of 0.0001"),
        ({"quantity": "501", "price": "500"}, ["max_quantity"], "quantity 501 is above the maximum of 500"),
        ({"price": "490"}, ["min_price", "min_value"], "price 490 is below the minimum of 500"),
        ({"price": "16000010"}, ["max_price"], "price 16000010 is above the maximum of 16000000"),
        ({"quantity": "5"}, ["max_value"], "value 2800000 is above the maximum of 2000000"),
        ({"type": "stop_limit", "stop_price": "560001"}, ["price_tick"], "stop_price 560001 is no multiple of 10"),
        ({"type": "market", "price": None, "quantity": None, "quote_quantity": "9"}, ["min_value"], "value 9 is below"),
        ({"type": "market", "price": None, "quantity": "400"}, [], ""),
    ],
)
def test_every_broken_rule_is_named_with_what_would_keep_it(
    fields: dict[str, Any], rules: list[str], message: str
) -> None:
    """`check` lists each broken rule with a sentence, and nothing for a request that may be sent."""
    base: dict[str, Any] = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "560000"}
    if fields.get("price") == "490":
        base["quantity"] = "0.01"

    broken = BTC.check(OrderRequest(**{**base, **fields}))

    assert [rule.rule for rule in broken] == rules
    assert message in " ".join(map(str, broken))


def test_a_market_round_trips() -> None:
    """The rules of a market survive JSON and pickle."""
    assert Market.model_validate_json(BTC.model_dump_json()) == BTC
    assert pickle.loads(pickle.dumps(BTC)) == BTC


@pytest.mark.parametrize(
    ("fields", "nearest"),
    [({"price": "5"}, "10"), ({"quantity": "0.000000001"}, "0.00000001")],
    ids=["price", "quantity"],
)
def test_zero_is_never_offered_as_the_nearest_legal_value(fields: dict[str, str], nearest: str) -> None:
    """Below the first step only that step is legal: an amount of zero could not be sent."""
    request = OrderRequest.limit(**{"symbol": "BTC/MXN", "side": "buy", "quantity": "1", "price": "10", **fields})  # type: ignore[arg-type]

    (broken,) = market(price_tick="10", quantity_step="0.00000001").check(request)

    assert broken.nearest == (Decimal(nearest),)
    assert str(broken).endswith(f"the nearest is {nearest}")
