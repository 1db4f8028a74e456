"""An order as its venue shows it."""

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orderbridge import Fill, KnownBy, Order, OrderKey, OrderRef, OrderStatus, Symbol

FULL: dict[str, Any] = {
    "venue": "bitcain", "account": "mm", "routed_to": "binanceus", "order_id": "o1", "client_order_id": "c1",
    "symbol": "BTC/MXN", "side": "sell", "type": "stop_limit", "raw_type": "Stop-Limit", "status": "partially_filled",
    "raw_status": "PARTIAL", "known_by": "inferred", "evidence": ("a", "b"), "quantity": "3.00000001",
    "filled_quantity": "1E-8", "filled_quote_quantity": "0.005", "average_price": "500000", "price": "1e5",
    "stop_price": "99", "time_in_force": "gtt", "expires_at": datetime(2030, 1, 1, tzinfo=UTC), "post_only": False,
    "reduce_only": True, "paper": True, "cancel_requested": True, "replace_requested": True, "trigger_waiting": True,
    "created_at": datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC), "updated_at": datetime(2026, 1, 2, tzinfo=UTC),
    "triggered_at": datetime(2026, 1, 3, tzinfo=UTC), "observed_at": datetime(2026, 1, 4, tzinfo=UTC),
    "replaces": "o0", "replaced_by": "o2", "exchange_order_id": "e1", "reason": "saldo ñ ✓", "anomalies": ("x",),
    "numbered_by_market": True,
    "raw": {"oid": "o1", "odd": [None, {"deep": Decimal("1.10")}]},
}  # fmt: skip


def order(**changes: Any) -> Order:
    """A plain open order, with the changes."""
    return Order(
        **{"venue": "bitso", "order_id": "o1", "symbol": "BTC/MXN", "side": "buy", "status": "open", **changes}
    )


def test_json_and_back_gives_an_equal_order() -> None:
    """Every field but `raw` survives JSON."""
    full = Order(**FULL)

    back = Order.model_validate_json(full.model_dump_json())

    assert set(FULL) | {"quote_quantity"} == set(Order.model_fields)
    assert back == full
    assert back.raw == {}
    assert back.model_dump() == full.model_dump()


def test_decimals_in_json_are_plain_text() -> None:
    """No exponent and no JSON number: a reader without decimals loses nothing."""
    written = json.loads(Order(**FULL).model_dump_json())

    assert (written["filled_quantity"], written["price"]) == ("0.00000001", "100000")
    assert "raw" not in written


def test_an_order_pickles_and_copies_with_its_raw_row() -> None:
    """Pickle and deepcopy keep everything, `raw` included."""
    full = Order(**FULL)

    for back in (pickle.loads(pickle.dumps(full)), copy.deepcopy(full)):
        assert back == full
        assert back.raw == full.raw
        assert (type(back.symbol), back.status) == (Symbol, OrderStatus.PARTIALLY_FILLED)


def test_equality_leaves_out_raw_and_hash_is_that_of_the_key() -> None:
    """Two observations are equal by what they say, and every observation of one order hashes alike."""
    first, same, other = order(raw={"a": 1}), order(raw={"a": 2}), order(status="filled")

    assert first == same
    assert first != other
    assert hash(first) == hash(other) == hash(first.key)
    assert first != "bitso:o1"


def test_newer_fields_are_ignored() -> None:
    """A file written by a later version can be read."""
    text = json.dumps({**json.loads(order().model_dump_json()), "new_in_2030": {"x": 1}})

    assert Order.model_validate_json(text) == order()


@pytest.mark.parametrize(
    ("account", "gateway"), [("default", "bitso"), ("mm", "bitso/mm")], ids=["default account", "another"]
)
def test_the_key_is_gateway_and_id(account: str, gateway: str) -> None:
    """The account is part of the gateway's name unless it is the default one."""
    assert order(account=account).key == OrderKey(gateway, "o1") == (gateway, "o1", "")


def test_the_symbol_is_part_of_the_key_where_the_venue_numbers_by_market() -> None:
    """Two orders of one number in two markets have two keys, and a key made into a ref says which."""
    btc, eth = (order(symbol=symbol, numbered_by_market=True) for symbol in ("BTC/MXN", "ETH/MXN"))

    assert (btc.key, eth.key) == (("bitso", "o1", "BTC/MXN"), ("bitso", "o1", "ETH/MXN"))
    assert OrderRef.of(eth.key) == OrderRef(gateway="bitso", order_id="o1", symbol="ETH/MXN")
    assert Order.model_validate_json(eth.model_dump_json()).key == eth.key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": 0.1}, "never a float"),
        ({"price": float("nan")}, "never a float"),
        ({"filled_quantity": "NaN"}, "not finite"),
        ({"created_at": datetime(2026, 1, 1)}, "a time needs its zone"),
        ({"symbol": "btc_mxn"}, "BASE/QUOTE"),
        ({"side": ""}, "'buy' or 'sell'"),
        ({"status": "closed"}, "'accepted', 'open'"),
    ],
)
def test_what_cannot_be_true_is_no_order(changes: dict[str, Any], message: str) -> None:
    """Floats, times without a zone and words outside the lists never get into an order."""
    with pytest.raises(ValidationError, match=message):
        order(**changes)


@pytest.mark.parametrize("status", list(OrderStatus))
@pytest.mark.parametrize("known_by", list(KnownBy))
def test_an_assumed_end_may_still_be_live(status: OrderStatus, known_by: KnownBy) -> None:
    """Only an end that the venue reports, or that its facts imply, is an end."""
    ended = status in {"filled", "cancelled", "expired", "rejected", "failed", "ended"} and known_by != "assumed"

    seen = order(status=status, known_by=known_by, quantity=5, filled_quantity=2)

    assert seen.is_done is ended
    assert seen.may_be_live is not ended
    assert seen.max_remaining == (0 if ended else 3)


@pytest.mark.parametrize(
    ("quantity", "filled", "remaining", "most"),
    [
        ("5", "2", "3", "3"),
        ("5", None, None, "5"),
        (None, "2", None, "Infinity"),
        (None, None, None, "Infinity"),
        ("5", "5", "0", "0"),
        ("0.3", "0.1", "0.2", "0.2"),
        ("1e100", "1e-100", str(10**100 - 1) + "." + "9" * 100, str(10**100 - 1) + "." + "9" * 100),
    ],
)
def test_what_remains_is_exact_or_unknown(
    quantity: str | None, filled: str | None, remaining: str | None, most: str
) -> None:
    """`remaining_quantity` is None when unknown; `max_remaining` then takes the worst case."""
    seen = order(quantity=quantity, filled_quantity=filled)

    assert seen.remaining_quantity == (None if remaining is None else Decimal(remaining))
    assert seen.max_remaining == Decimal(most)


def test_more_filled_than_ordered_leaves_nothing_to_fill() -> None:
    """A venue's contradiction never makes the most that could fill negative."""
    assert order(quantity=1, filled_quantity=2).max_remaining == 0


def test_times_are_utc_whatever_the_venue_writes() -> None:
    """An offset is converted once, on the way in."""
    seen = order(created_at=datetime(2026, 1, 1, 6, tzinfo=timezone(timedelta(hours=6))))

    assert seen.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert seen.created_at.tzinfo is UTC


def test_repr_shows_what_was_said_and_no_raw() -> None:
    """What the venue did not say, and its raw row, do not bury what it did."""
    shown = repr(order(raw={"secret": "hunter2"}, price="1"))

    assert "hunter2" not in shown
    assert "stop_price" not in shown
    assert "price=Decimal('1')" in shown


def test_an_order_prints_as_one_line() -> None:
    """The text names the gateway, the id, the status, how sure it is, and the fills."""
    seen = order(status="ended", known_by="inferred", type="limit", price="1e5", filled_quantity="1E-8")

    assert str(seen) == "bitso:o1 BTC/MXN buy limit at 100000: ended (inferred), filled 0.00000001 of ?"


amounts = st.none() | st.decimals(0, 10**30, places=20)


@given(quantity=amounts, filled=amounts, price=amounts, text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_order_survives_json_and_pickle(
    quantity: Decimal | None, filled: Decimal | None, price: Decimal | None, text: str
) -> None:
    """Whatever the amounts and the venue's words, nothing is lost or rounded."""
    seen = order(quantity=quantity, filled_quantity=filled, price=price, reason=text, raw_status=text)

    assert Order.model_validate_json(seen.model_dump_json()) == seen
    assert pickle.loads(pickle.dumps(seen)) == seen


def fill(**changes: Any) -> Fill:
    """A plain fill, with the changes."""
    plain: dict[str, Any] = {
        "venue": "bitso", "fill_id": "f1", "order_id": "o1", "symbol": "BTC/MXN", "side": "buy",
        "quantity": "0.1", "price": "500000", "quote_quantity": "50000",
    }  # fmt: skip
    return Fill(**{**plain, **changes})


def test_a_fill_round_trips_and_leaves_raw_out_of_equality() -> None:
    """A fill keeps its exact amounts through JSON and pickle, and equals itself whatever its raw row."""
    one = fill(
        fee="1E-8", fee_currency="BTC", liquidity="MAKER", created_at=datetime(2026, 1, 1, tzinfo=UTC), account="mm"
    )

    assert Fill.model_validate_json(one.model_dump_json()) == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert json.loads(one.model_dump_json())["fee"] == "0.00000001"
    assert fill(raw={"a": 1}) == fill(raw={"a": 2})
    assert hash(fill(raw={"a": 1})) == hash(fill(price=1))
    assert fill() != fill(price=1)
    assert one.gateway == "bitso/mm"


def test_a_fill_refuses_floats_and_ignores_newer_fields() -> None:
    """A fill is as exact as an order, and as patient with newer files."""
    assert fill(new_in_2030=1) == fill()
    with pytest.raises(ValidationError, match="never a float"):
        fill(quantity=0.1)


def test_a_time_that_utc_cannot_hold_is_refused_in_words() -> None:
    """A moment a few hours before the year 1 is a validation error, and no overflow."""
    with pytest.raises(ValidationError, match="years 1 to 9999"):
        Order(
            venue="bitso",
            order_id="x",
            symbol="BTC/MXN",
            side="buy",
            created_at="0001-01-01T00:00:00+05:00",
        )


@pytest.mark.parametrize("name", [name for name, field in Order.model_fields.items() if "str" in str(field.annotation)])
def test_no_text_of_an_order_is_one_that_cannot_be_written(name: str) -> None:
    """Half a surrogate pair, which no file and no terminal takes, is refused or told by its escape."""
    try:
        order = Order(
            **{**FULL, "symbol": "BTC/MXN", name: ["\ud800"] if name in {"evidence", "anomalies"} else "\ud800"}
        )
    except ValidationError:
        return

    assert order.model_dump_json().encode()
