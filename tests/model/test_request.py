"""What a user asks for: every combination that means nothing is refused with its sentence."""

import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orderbridge import OrderEdit, OrderRequest, OrderType, Side, Symbol, TimeInForce
from orderbridge.errors import OrderDenied

SOON = datetime(2030, 1, 1, tzinfo=UTC)
LIMIT: dict[str, Any] = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": 1, "price": 2}
MARKET: dict[str, Any] = {"symbol": "BTC/MXN", "side": "buy", "type": "market", "quantity": 1}
STOP_LOSS: dict[str, Any] = {**MARKET, "type": "stop_loss", "stop_price": 3}
STOP_LIMIT: dict[str, Any] = {**LIMIT, "type": "stop_limit", "stop_price": 3}
TAKE_PROFIT: dict[str, Any] = {**MARKET, "type": "take_profit", "stop_price": 3}
MISSING = object()


def changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The fields with the changes; MISSING takes one away."""
    return {name: value for name, value in {**fields, **changes}.items() if value is not MISSING}


@pytest.mark.parametrize(
    ("fields", "changes", "message"),
    [
        (LIMIT, {"quantity": MISSING}, "give quantity .base units. or quote_quantity .quote units., and not both"),
        (MARKET, {"quote_quantity": 5}, "and not both"),
        (LIMIT, {"quantity": MISSING, "quote_quantity": 5}, "a limit order is sized in base: give quantity"),
        (STOP_LIMIT, {"quantity": MISSING, "quote_quantity": 5}, "a stop_limit order is sized in base"),
        (TAKE_PROFIT, {"quantity": MISSING, "quote_quantity": 5, "price": 4}, "a take_profit order is sized in base"),
        (LIMIT, {"price": MISSING}, "a limit order needs a price"),
        (STOP_LIMIT, {"price": MISSING}, "a stop_limit order needs a price"),
        (MARKET, {"price": 2}, "a market order trades at the market's price; with a price it is a limit"),
        (STOP_LOSS, {"price": 2}, "a stop_loss order trades at the market's price; with a price it is a stop_limit"),
        (STOP_LOSS, {"stop_price": MISSING}, "a stop_loss order needs a stop_price"),
        (STOP_LIMIT, {"stop_price": MISSING}, "a stop_limit order needs a stop_price"),
        (TAKE_PROFIT, {"stop_price": MISSING}, "a take_profit order needs a stop_price"),
        (MARKET, {"stop_price": 3}, "a market order has no stop_price; with one it is a stop_loss"),
        (LIMIT, {"stop_price": 3}, "a limit order has no stop_price; with one it is a stop_limit"),
        (LIMIT, {"slippage_tolerance": 1}, "slippage_tolerance is for market and stop_loss orders"),
        (TAKE_PROFIT, {"slippage_tolerance": 1}, "slippage_tolerance is for market and stop_loss orders"),
        (MARKET, {"slippage_tolerance": -1}, "a percentage from 0 to 100; 0.5 means 0.5 %"),
        (MARKET, {"slippage_tolerance": 101}, "a percentage from 0 to 100"),
        (LIMIT, {"time_in_force": "gtt"}, "gtt needs expires_at, and expires_at needs gtt"),
        (LIMIT, {"expires_at": SOON}, "gtt needs expires_at, and expires_at needs gtt"),
        (MARKET, {"time_in_force": "gtt", "expires_at": SOON}, "a market order trades at once: it cannot expire"),
        (MARKET, {"post_only": True}, "a market order takes from the book: it cannot be post_only"),
        (STOP_LOSS, {"post_only": True}, "a stop_loss order takes from the book: it cannot be post_only"),
        (TAKE_PROFIT, {"post_only": True}, "a take_profit order takes from the book: it cannot be post_only"),
        (LIMIT, {"post_only": True, "time_in_force": "ioc"}, "post_only never trades at once, ioc does nothing else"),
        (LIMIT, {"post_only": True, "time_in_force": "fok"}, "post_only never trades at once, fok does nothing else"),
        (LIMIT, {"type": "unknown"}, "an order of unknown type cannot be placed"),
        (LIMIT, {"quantity": 0}, "the amount must be greater than zero"),
        (LIMIT, {"price": "-1"}, "the amount must be greater than zero"),
        (LIMIT, {"symbol": "btc_mxn"}, "a symbol is written BASE/QUOTE"),
        (LIMIT, {"symbol": MISSING}, "Field required"),
        (LIMIT, {"side": "long"}, "'buy' or 'sell'"),
        (LIMIT, {"client_order_id": ""}, "at least 1 character"),
        (LIMIT, {"client_order_id": "a b"}, "match pattern"),
        (LIMIT, {"client_order_id": "ab\n"}, "match pattern"),
        (LIMIT, {"client_order_id": "a\x00b"}, "match pattern"),
        (LIMIT, {"client_order_id": "ab\u200b"}, "match pattern"),
        (LIMIT, {"time_in_force": "gtt", "expires_at": datetime(2030, 1, 1)}, "a time needs its zone"),
        (LIMIT, {"options": {"agent_id": object()}}, "valid JSON value"),
        (LIMIT, {"options": {"agent_id": float("inf")}}, "finite"),
        (LIMIT, {"qty": 1}, "Extra inputs are not permitted"),
        (LIMIT, {"amount": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_request_that_means_nothing_is_refused(fields: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    """Each combination that no venue could carry out is refused with the sentence that says why."""
    with pytest.raises(OrderDenied, match=message):
        OrderRequest(**changed(fields, changes))


@pytest.mark.parametrize("field", ["quantity", "price", "stop_price", "quote_quantity", "slippage_tolerance"])
def test_a_request_refuses_floats_everywhere(field: str) -> None:
    """No amount of a request is ever a float, and the message says what to write."""
    with pytest.raises(OrderDenied, match="write it as text"):
        OrderRequest(**{**LIMIT, field: 0.5})


@pytest.mark.parametrize("field", ["quantity", "price", "stop_price"])
@pytest.mark.parametrize("value", [0.5, True, "0", "NaN", "", "1,5", [], 10**3000])
def test_an_edit_refuses_what_is_no_amount(field: str, value: object) -> None:
    """An edit takes the same amounts as a request, and its refusal can be printed."""
    with pytest.raises(OrderDenied) as refused:
        OrderEdit(**{field: value})  # type: ignore[arg-type]

    assert "amount" in str(refused.value)


def test_an_edit_changes_something() -> None:
    """An edit without a change is refused by name of what could change, and unknown fields are too."""
    with pytest.raises(OrderDenied, match="at least one of quantity, price, stop_price, time_in_force, expires_at"):
        OrderEdit()
    with pytest.raises(OrderDenied, match="Extra inputs"):
        OrderEdit(remaining="1")  # type: ignore[call-arg]


@pytest.mark.parametrize("fields", [LIMIT, MARKET, STOP_LOSS, STOP_LIMIT, TAKE_PROFIT, {**TAKE_PROFIT, "price": 4}])
def test_the_plain_orders_are_accepted(fields: dict[str, Any]) -> None:
    """Each kind of order with just what it needs is legal, and survives JSON and pickle."""
    request = OrderRequest(**fields)

    assert OrderRequest.model_validate_json(request.model_dump_json()) == request
    assert pickle.loads(pickle.dumps(request)) == request


@pytest.mark.parametrize("value", ["0.01", Decimal("0.01"), " 0.0100 "])
@pytest.mark.parametrize("side", ["buy", "BUY", "Buy", Side.BUY])
def test_a_request_takes_text_numbers_and_words_in_any_case(value: str | Decimal, side: str) -> None:
    """Text, Decimal, enum members and words in any case mean the same."""
    request = OrderRequest(symbol="btc/mxn", side=side, type="LIMIT", quantity=value, price=560000, time_in_force="FOK")

    assert (request.symbol, request.side, request.type) == (Symbol("BTC/MXN"), Side.BUY, OrderType.LIMIT)
    assert (request.quantity, request.price) == (Decimal("0.01"), Decimal(560000))
    assert request.time_in_force is TimeInForce.FOK


def test_the_helpers_make_the_requests_they_are_named_after() -> None:
    """Each helper gives the type of its name with the fields it was given."""
    both: dict[str, Any] = {"symbol": "BTC/MXN", "side": "sell"}

    made = [
        OrderRequest.limit(**both, quantity=1, price=2, post_only=True, client_order_id="c"),
        OrderRequest.market(**both, quote_quantity=5, slippage_tolerance="0.5"),
        OrderRequest.stop_loss(**both, quantity=1, stop_price=3),
        OrderRequest.stop_limit(**both, quantity=1, price=2, stop_price=3, time_in_force="ioc"),
        OrderRequest.take_profit(**both, quantity=1, stop_price=3),
        OrderRequest.take_profit(**both, quantity=1, stop_price=3, price=4, reduce_only=True),
    ]

    assert [str(one.type) for one in made] == [
        "limit", "market", "stop_loss", "stop_limit", "take_profit", "take_profit",
    ]  # fmt: skip
    assert (made[0].post_only, made[0].client_order_id, made[1].quote_quantity) == (True, "c", Decimal(5))
    assert (made[3].time_in_force, made[5].price, made[5].reduce_only) == (TimeInForce.IOC, Decimal(4), True)


@pytest.mark.parametrize("helper", ["limit", "market", "stop_loss", "stop_limit", "take_profit"])
def test_the_helpers_take_nothing_by_position(helper: str) -> None:
    """A price and a quantity cannot be mixed up by their order."""
    with pytest.raises(TypeError, match="positional"):
        getattr(OrderRequest, helper)("BTC/MXN", "buy", "1", "2")


def test_times_are_kept_in_utc() -> None:
    """A time in another zone is the same moment, in UTC."""
    local = SOON.astimezone(timezone(timedelta(hours=-6)))

    request = OrderRequest.limit(
        symbol="BTC/MXN", side="buy", quantity=1, price=2, time_in_force="gtt", expires_at=local
    )

    assert request.expires_at == SOON
    assert request.expires_at.tzinfo is UTC


def test_a_request_is_frozen_and_its_options_are_its_own() -> None:
    """A request does not change after it was checked, even if the caller's mapping does; it still pickles."""
    options = {"portfolio_id": "p"}
    request = OrderRequest(**LIMIT, options=MappingProxyType(options))

    options["portfolio_id"] = "other"

    assert request.options == {"portfolio_id": "p"}
    assert pickle.loads(pickle.dumps(request)) == request
    with pytest.raises(ValidationError, match="frozen"):
        request.price = Decimal(1)  # type: ignore[misc]


amounts = st.decimals("1e-20", "1e20", places=20).map(str) | st.integers(1, 10**30)


@given(quantity=amounts, price=amounts, stop=amounts, kind=st.sampled_from(["limit", "stop_limit", "take_profit"]))
def test_requests_round_trip_through_json_exactly(
    quantity: str | int, price: str | int, stop: str | int, kind: str
) -> None:
    """JSON and back gives an equal request, with amounts written plain."""
    stops = {} if kind == "limit" else {"stop_price": stop}

    request = OrderRequest(symbol="BTC/MXN", side="buy", type=kind, quantity=quantity, price=price, **stops)
    text = request.model_dump_json()

    assert OrderRequest.model_validate_json(text) == request
    assert "E" not in text.replace("BTC/MXN", "")


def test_a_wrong_request_is_one_sentence_of_ours() -> None:
    """Every fault stands in it with its field, it is a ValueError besides, and pydantic's own stands behind it."""
    with pytest.raises(OrderDenied) as refused:
        OrderRequest(symbol="btc_mxn", side="buy", type="limit", quantity=0.5, price="1")  # type: ignore[arg-type]

    assert str(refused.value) == (
        "symbol: a symbol is written BASE/QUOTE, as in BTC/MXN, not 'btc_mxn'; "
        "quantity: an amount is a str, an int or a Decimal, never a float; write it as text, as in '0.01'"
    )
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value.__cause__, ValidationError)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_validation_by_pydantics_own_calls_stays_pydantics() -> None:
    """`model_validate` and a model with a request in it raise ValidationError, with the place of each fault."""

    class Plan(BaseModel):
        request: OrderRequest

    with pytest.raises(ValidationError) as alone:
        OrderRequest.model_validate({**LIMIT, "quantity": 0.5})
    with pytest.raises(ValidationError) as within:
        Plan.model_validate({"request": {**LIMIT, "quantity": 0.5}})

    assert [error["loc"] for error in alone.value.errors()] == [("quantity",)]
    assert [error["loc"] for error in within.value.errors()] == [("request", "quantity")]
    assert Plan(request=OrderRequest(**LIMIT)).request == OrderRequest(**LIMIT)


def test_a_changed_copy_is_checked_as_a_new_one_is() -> None:
    """`model_copy` lets no float and no contradiction in, and leaves everything else as it was."""
    request = OrderRequest(**LIMIT)

    assert request.model_copy(update={"price": "3"}) == OrderRequest(**{**LIMIT, "price": 3})
    assert request.model_copy() == request
    for wrong in ({"quantity": 0.5}, {"price": None}, {"qty": 1}):
        with pytest.raises(OrderDenied):
            request.model_copy(update=wrong)
