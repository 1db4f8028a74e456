"""From ccxt's dicts to orders and fills: statuses, exact numbers, and nothing derived taken for fact."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, Inexact, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import Order, OrderStatus
from orderbridge.adapters.ccxt_any.mapping import (
    AMOUNTS,
    LIFE_FROM_CCXT,
    REBATE,
    STATED,
    TOLD,
    TYPE_FROM_CCXT,
    fill_from_row,
    is_contract,
    number,
    order_from_row,
)
from orderbridge.model.basics import KnownBy, Liquidity, OrderType
from orderbridge.venue.rows import Unusable

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
STATED_FIELDS = {
    "id": "77",
    "symbol": "BTC/USDT",
    "side": "buy",
    "type": "limit",
    "status": "open",
    "amount": "0.5",
    "filled": "0",
    "price": "100",
    "timestamp": 1_767_607_200_123,
}


# What the exchange itself told of them.
TOLD_FIELDS = ("amount", "filled", "remaining", "price")


def read(stated: dict[str, Any] | None = None, /, *, info: Any = None, told: Any = TOLD_FIELDS, **more: Any) -> Order:
    """An order of which the exchange's parser stated this; what ccxt would have made of it is nonsense on purpose."""
    said = {**STATED_FIELDS, **(stated or {})}
    derived = {"cost": "999", "average": "999", "remaining": "999", "timeInForce": "IOC"}
    row = {**derived, **{name: said[name] for name in ("id", "symbol", "side")}, "info": info or {}}
    row |= {STATED: said, TOLD: frozenset(told)}
    return order_from_row(row, venue="ccxt.test", account="default", source="look-up", observed_at=NOW, **more)


@pytest.mark.parametrize(
    ("word", "amount", "filled", "status"),
    [
        ("open", "0.5", "0", OrderStatus.OPEN),
        ("open", "0.5", "0.2", OrderStatus.PARTIALLY_FILLED),
        ("OPEN", "0.5", None, OrderStatus.OPEN),
        ("closed", "0.5", "0.5", OrderStatus.FILLED),
        ("closed", "0.5", "0.6", OrderStatus.FILLED),
        ("closed", "0.5", "0.2", OrderStatus.CANCELLED),
        ("closed", "0.5", None, OrderStatus.ENDED),
        ("closed", None, "0.5", OrderStatus.ENDED),
        ("canceled", "0.5", "0.2", OrderStatus.CANCELLED),
        ("cancelled", "0.5", "0", OrderStatus.CANCELLED),
        ("expired", "0.5", "0", OrderStatus.EXPIRED),
        ("rejected", "0.5", "0", OrderStatus.REJECTED),
        ("filled", "0.5", "0.5", OrderStatus.UNKNOWN),
        ("canceling", "0.5", "0", OrderStatus.UNKNOWN),
        ("pending_review", "0.5", "0", OrderStatus.UNKNOWN),
        (None, "0.5", "0", OrderStatus.UNKNOWN),
    ],
)
def test_status_by_word_and_numbers(word: str | None, amount: str | None, filled: str | None, status: str) -> None:
    """Every word of ccxt's is a row; closed is decided by the fills; whatever else is unknown and may be live."""
    order = read({"status": word, "amount": amount, "filled": filled})

    assert order.status == status
    assert order.raw_status == (word or "")
    assert order.may_be_live is (status in {"open", "partially_filled", "unknown"})


def test_closed_short_of_its_amount_is_inferred_and_noted() -> None:
    """A closed order that filled in part was cancelled: our conclusion, with the contradiction told."""
    order = read({"status": "closed", "filled": "0.2"})

    assert (order.known_by, order.filled_quantity) == (KnownBy.INFERRED, Decimal("0.2"))
    assert "closed with 0.2 of 0.5 filled" in order.anomalies


def test_closed_within_the_step_of_its_amount_is_filled() -> None:
    """Less than one step cannot trade: the rest of it does not make a filled order cancelled."""
    assert read({"status": "closed", "filled": "0.4999"}, step=Decimal("0.001")).status is OrderStatus.FILLED
    assert read({"status": "closed", "filled": "0.499"}, step=Decimal("0.001")).status is OrderStatus.CANCELLED


def test_no_status_after_a_create_is_accepted() -> None:
    """An id was given and nothing else: the exchange has it."""
    assert read({"status": None}, created=True).status is OrderStatus.ACCEPTED


def test_what_ccxt_derives_is_left_out() -> None:
    """Cost and average that ccxt computed, its remaining and its IOC are not the exchange's words."""
    order = read({"type": "market", "price": None})

    assert (order.filled_quote_quantity, order.average_price, order.time_in_force) == (None, None, None)
    assert (order.filled_quantity, order.price) == (Decimal(0), None)


@pytest.mark.parametrize("name", AMOUNTS)
def test_an_amount_that_was_not_told_is_none(name: str) -> None:
    """What the exchange did not tell is left out, though the very number stands in its row."""
    field = {"amount": "quantity", "filled": "filled_quantity", "cost": "filled_quote_quantity"}
    field |= {"average": "average_price"}
    stated = {"filled": "0.2", "cost": "19.99", "average": "99.95"}
    info = {"amount": "0.5", "price": "100", "a": "0.2", "b": "19.99", "c": "99.95"}
    others = [each for each in AMOUNTS if each != name]

    order = read(stated, info=info, told=AMOUNTS)
    without = read(stated, info=info, told=others)

    if name in {"remaining"}:
        assert read({"filled": None, "remaining": "0.1"}, told=others).filled_quantity is None
        return
    assert getattr(order, field.get(name, name)) is not None
    assert getattr(without, field.get(name, name)) is None


def test_a_closed_order_of_a_computed_quantity_is_ended() -> None:
    """Short of a quantity that nobody told, an order is over, and whether it was cancelled is not known."""
    order = read({"status": "closed", "filled": "0.2"}, told=("filled", "price"))

    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.ENDED, None, Decimal("0.2"))


def test_filled_by_what_remains() -> None:
    """Amount less remaining is the fill; a remaining above the amount is an anomaly and no negative fill."""
    assert read({"filled": None, "remaining": "0.3"}).filled_quantity == Decimal("0.2")
    order = read({"filled": None, "remaining": "0.7"})
    assert order.filled_quantity is None
    assert order.anomalies


@pytest.mark.parametrize(
    ("stated", "kind"),
    [
        ({"type": "market"}, OrderType.MARKET),
        ({"type": "limit_maker"}, OrderType.LIMIT),
        ({"type": "limit", "stopLossPrice": "90"}, OrderType.STOP_LIMIT),
        ({"type": "market", "stopLossPrice": "90"}, OrderType.STOP_LOSS),
        ({"type": "market", "takeProfitPrice": "90"}, OrderType.TAKE_PROFIT),
        ({"type": "limit", "triggerPrice": "90"}, OrderType.UNKNOWN),
        ({"type": "vwap"}, OrderType.UNKNOWN),
        ({"type": None}, OrderType.UNKNOWN),
    ],
)
def test_types(stated: dict[str, Any], kind: OrderType) -> None:
    """Words that leak through are rows; which way a bare trigger points nobody said."""
    order = read(stated)

    assert order.type is kind
    assert order.stop_price == (Decimal(90) if len(stated) > 1 else None)


@pytest.mark.parametrize("word", [*LIFE_FROM_CCXT, "DAY"])
def test_lifetimes(word: str) -> None:
    """Each word is a row, PO is gtc and post-only, and a word that is none is told."""
    order = read({"timeInForce": word.upper()})

    expected = LIFE_FROM_CCXT.get(word)
    assert order.time_in_force == (expected[0] if expected else None)
    assert order.post_only == (expected[1] if expected else None)
    assert bool(order.anomalies) is (expected is None)


def test_fields_that_ccxt_drops_come_from_the_row() -> None:
    """Where an exchange's row has what ccxt forgets, it is read there."""
    info = {"origin_id": "mine", "stop": "90"}

    order = read(info=info, info_fields={"client_order_id": "origin_id", "stop_price": "stop"})

    assert (order.client_order_id, order.stop_price, order.type) == ("mine", Decimal(90), OrderType.UNKNOWN)


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"id": ""},
        {"symbol": "BTCUSDT"},
        {"symbol": None},
        {"side": "hold"},
        {"side": None},
        {"amount": "abc"},
        {"amount": "-1"},
        {"amount": float("nan")},
        {"filled": True},
        {"price": "1e999"},
    ],
)
def test_bad_rows(broken: dict[str, Any]) -> None:
    """A row without a usable id, symbol or side, or with amounts that are no numbers, is unusable."""
    with pytest.raises(Unusable):
        read(broken)


def test_numbers_are_exact() -> None:
    """Text goes through digit by digit; a float is taken by its shortest text."""
    assert number("1234567.123456789012345678") == Decimal("1234567.123456789012345678")
    assert number("1e-8") == Decimal("0.00000001")
    assert number(0.1) == Decimal("0.1")
    assert number(None) is None
    assert number("") is None


def test_a_time_that_is_none_is_an_anomaly() -> None:
    """It loses nothing but itself."""
    order = read({"timestamp": 10**30})

    assert order.created_at is None
    assert order.anomalies
    assert read().created_at == datetime(2026, 1, 5, 10, 0, 0, 123000, tzinfo=UTC)


def test_contracts_are_told_by_their_symbol() -> None:
    """`BASE/QUOTE:SETTLE` is no pair of the spot market."""
    assert is_contract({"symbol": "BTC/USDT:USDT"})
    assert not is_contract({"symbol": "BTC/USDT"})
    assert not is_contract(None)


def test_fill() -> None:
    """A trade's own value goes before the product."""
    row = {
        "id": "5",
        "order": "77",
        "symbol": "BTC/USDT",
        "side": "sell",
        "amount": "0.1",
        "price": "100",
        "cost": "9.99",
        "fee": {"cost": "0.01", "currency": "USDT"},
        "takerOrMaker": "maker",
        "timestamp": 1_767_607_200_000,
        "info": {"qty": "0.1", "price": "100", "quoteQty": "9.99"},
    }

    fill = fill_from_row(row, venue="v", account="default")

    assert (fill.quote_quantity, fill.fee, fill.fee_currency) == (Decimal("9.99"), Decimal("0.01"), "USDT")
    assert fill.liquidity is Liquidity.MAKER
    del row["info"]["quoteQty"]
    assert fill_from_row(row, venue="v", account="default").quote_quantity == Decimal(10)


def test_a_rebate_is_no_fee() -> None:
    """What a maker was paid must not be counted as paid: the fee is not known, and the rebate stands in the raw row."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "sell", "amount": "2", "price": "3", "info": {"a": "1"}}

    fill = fill_from_row({**row, "fee": {"cost": "-0.5", "currency": "B"}}, venue="v", account="default")
    free = fill_from_row({**row, "fee": {"cost": "0", "currency": "B"}}, venue="v", account="default")

    assert (fill.fee, fill.fee_currency, fill.raw) == (None, None, {"a": "1", REBATE: "0.5 B"})
    assert (free.fee, free.fee_currency, free.raw) == (Decimal(0), "B", {"a": "1"})


def test_fill_of_an_exchange_that_signs_amounts() -> None:
    """A sale whose row says minus is a sale of the plain amount."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "sell", "amount": "2", "price": "3", "cost": "6"}

    fill = fill_from_row({**row, "info": {"major": "-2", "minor": "6.00"}}, venue="v", account="default")

    assert (fill.quantity, fill.quote_quantity) == (Decimal(2), Decimal(6))


@pytest.mark.parametrize("broken", [{"id": None}, {"amount": None}, {"price": "0"}, {"order": None}, {"side": "x"}])
def test_bad_fills(broken: dict[str, Any]) -> None:
    """A trade that does not say what, how much or of which order is unusable."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "buy", "amount": "1", "price": "1"}
    row["info"] = {"all": ["1"]}

    fill_from_row(row, venue="v", account="default")
    with pytest.raises(Unusable):
        fill_from_row({**row, **broken}, venue="v", account="default")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    [*STATED_FIELDS, "info", "remaining", "cost", "average", "timeInForce", "triggerPrice", "postOnly", "fee", "order"]
)
sensible = st.sampled_from(["77", "BTC/USDT", "buy", "limit", "open", "closed", "0.5", "GTC"])
dicts = st.dictionaries(names | st.text(max_size=8), values | sensible, max_size=14)


@given(row=values | dicts | dicts.map(lambda stated: {**STATED_FIELDS, **stated, STATED: stated}))
def test_any_value_is_an_order_or_a_bad_row(row: Any) -> None:
    """Whatever ccxt hands over, an order comes out that writes and reads itself, or the row is unusable."""
    try:
        order = order_from_row(row, venue="v", account="default", source="s", observed_at=NOW)
    except Unusable:
        return

    assert Order.model_validate_json(order.model_dump_json()) == order


@given(row=values | dicts)
def test_any_value_is_a_fill_or_a_bad_row(row: Any) -> None:
    """Nor does a trade raise anything else."""
    try:
        fill = fill_from_row(row, venue="v", account="default")
    except Unusable:
        return

    assert fill.quantity > 0


def test_tables_hold_folded_words() -> None:
    """A word is looked up as it is folded, so a row in another spelling would never be found."""
    assert all(word == word.lower() and "_" not in word and "-" not in word for word in TYPE_FROM_CCXT)


def test_an_odd_context_of_the_caller_changes_no_figure() -> None:
    """Rows are read outside of our calls' own context: three digits of the caller's round nothing."""
    info = {"cost": "-1234567.89"}

    with localcontext(Context(prec=3, traps=[Inexact])):
        stated = {"amount": "1234.5678", "filled": None, "remaining": "0.0001", "cost": "1234567.89"}
        order = read(stated, info=info, told=AMOUNTS)

    assert (order.filled_quantity, order.filled_quote_quantity) == (Decimal("1234.5677"), Decimal("1234567.89"))
