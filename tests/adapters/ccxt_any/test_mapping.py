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
    LIFE_FROM_CCXT,
    STATED,
    TYPE_FROM_CCXT,
    fill_from_row,
    is_contract,
    number,
    order_from_row,
)
from orderbridge.adapters.ccxt_any.rows import UNREVIEWED, QuoteSize, RowRules
from orderbridge.model.basics import KnownBy, Liquidity, OrderType
from orderbridge.venue.rows import Unusable

NOW = datetime(2026, 1, 5, 10, tzinfo=UTC)
# Whose rows nobody looked at.
NOBODY: dict[str, Any] = {"venue": "v", "account": "default", "rules": UNREVIEWED}
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


def read(
    stated: dict[str, Any] | None = None, /, *, info: Any = None, rules: RowRules = UNREVIEWED, **more: Any
) -> Order:
    """An order of which the exchange's parser stated this; what ccxt would have made of it is nonsense on purpose."""
    said = {**STATED_FIELDS, **(stated or {})}
    derived = {"cost": "999", "average": "999", "remaining": "999", "timeInForce": "IOC"}
    row = {**derived, **{name: said[name] for name in ("id", "symbol", "side")}, "info": info or {"own": {**said}}}
    facts = {"venue": "ccxt.test", "account": "default", "source": "look-up", "observed_at": NOW}
    return order_from_row({**row, STATED: said}, rules=rules, **{**facts, **more})


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
        ("COMPLETE", "0.5", "0.5", OrderStatus.FILLED),
        ("COMPLETE", "0.5", "0", OrderStatus.CANCELLED),
        ("COMPLETE", "0.5", None, OrderStatus.ENDED),
        ("INVALID", "0.5", "0", OrderStatus.CANCELLED),
        ("failed", "0.5", "0", OrderStatus.CANCELLED),
        ("refunded", "0.5", "0.2", OrderStatus.CANCELLED),
        ("ORDER_INSERTED", "0.5", "0", OrderStatus.OPEN),
        ("ORDER_PARTIALLY_TRANSACTED", "0.5", "0.2", OrderStatus.PARTIALLY_FILLED),
        ("ORDER_FULLY_TRANSACTED", "0.5", "0.5", OrderStatus.FILLED),
        ("ORDER_CANCELLED", "0.5", "0", OrderStatus.CANCELLED),
        ("ORDER_REJECTED", "0.5", "0", OrderStatus.REJECTED),
        ("ORDER_REFUNDED", "0.5", "0", OrderStatus.CANCELLED),
        ("filled", "0.5", "0.5", OrderStatus.FILLED),
        ("filled", "0.5", None, OrderStatus.FILLED),
        ("canceling", "0.5", "0", OrderStatus.OPEN),
        ("pending_review", "0.5", "0", OrderStatus.UNKNOWN),
        (None, "0.5", "0", OrderStatus.UNKNOWN),
    ],
)
def test_status_by_word_and_numbers(word: str | None, amount: str | None, filled: str | None, status: str) -> None:
    """Every word of an end is final, decided by the fills where it does not say which; any other may be live."""
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


@pytest.mark.parametrize(("own", "status"), [("expired", OrderStatus.EXPIRED), ("failed", OrderStatus.CANCELLED)])
def test_what_ccxt_calls_failed_is_what_the_exchange_calls_it(own: str, status: OrderStatus) -> None:
    """HitBTC's expired orders are `failed` to ccxt."""
    order = read({"status": "failed"}, info={"status": own, "qty": "0.5", "done": "0"})

    assert (order.status, order.may_be_live) == (status, False)


@pytest.mark.parametrize(
    ("own", "filled", "status"),
    [
        ("FILLED", "0.5", OrderStatus.FILLED),
        ("EXECUTED", "0.2", OrderStatus.FILLED),
        ("PartiallyFilledCanceled", "0.2", OrderStatus.CANCELLED),
        ("done", "0.2", OrderStatus.CANCELLED),
    ],
)
def test_a_closed_order_is_what_the_exchange_calls_it(own: str, filled: str, status: OrderStatus) -> None:
    """Its own word, where it is one of those that leave no doubt, goes before what the numbers would say."""
    order = read({"status": "closed", "filled": filled}, info={"state": own, "qty": "0.5", "done": filled})

    assert (order.status, order.filled_quantity) == (status, Decimal(filled))
    assert bool(order.anomalies) is ((status is OrderStatus.FILLED and filled == "0.2") or own == "done")


def test_an_order_without_a_word_that_filled_whole_is_over() -> None:
    """Nothing of it is left to trade, which is our conclusion."""
    order = read({"status": None, "filled": "0.5"})

    assert (order.status, order.known_by) == (OrderStatus.FILLED, KnownBy.INFERRED)


def test_an_order_whose_cancel_was_asked_for_may_be_live() -> None:
    """ccxt's `canceling` is an open order that a cancel was sent for."""
    order = read({"status": "canceling"})

    assert (order.cancel_requested, order.may_be_live) == (True, True)


def test_a_listed_open_order_needs_no_word() -> None:
    """Rows of a list of open orders may leave the status out; in any other answer it is not known."""
    listed = {"source": "open orders"}

    assert read({"status": None}, **listed).status is OrderStatus.OPEN
    assert read({"status": None, "filled": "0.2"}, **listed).status is OrderStatus.PARTIALLY_FILLED
    assert read({"status": None, "filled": "0.5"}, **listed).status is OrderStatus.FILLED
    assert read({"status": None}).status is OrderStatus.UNKNOWN


def test_a_status_that_ccxt_adds_after_its_parser_counts_for_lists_only() -> None:
    """The call for open orders adds `open` to each row; that of a new order knows no more than its answer."""
    row = {"id": "7", "symbol": "A/B", "side": "buy", "status": "open", "info": {"id": "7"}}
    row |= {STATED: {"id": "7", "status": None}}
    facts: dict[str, Any] = {"venue": "v", "account": "default", "observed_at": NOW, "rules": UNREVIEWED}

    assert order_from_row(row, source="open orders", **facts).status is OrderStatus.OPEN
    assert order_from_row(row, source="submit", created=True, **facts).status is OrderStatus.ACCEPTED


def test_what_ccxt_derives_is_left_out() -> None:
    """Cost and average that ccxt computed, its remaining and its IOC are not the exchange's words."""
    order = read({"type": "market", "price": None}, rules=RowRules(base_buys=True))

    assert (order.filled_quote_quantity, order.average_price, order.time_in_force) == (None, None, None)
    assert (order.filled_quantity, order.price) == (Decimal(0), None)


@pytest.mark.parametrize("name", ["amount", "filled", "cost", "average", "price"])
def test_an_amount_that_no_field_states_is_left_out(name: str) -> None:
    """What a parser computed is no fact: it is None, and the evidence says which it was. A sign is no other amount."""
    ours = {"amount": "quantity", "filled": "filled_quantity", "cost": "filled_quote_quantity"}
    ours |= {"average": "average_price"}
    stated = {**STATED_FIELDS, "filled": "0.2", "cost": "19.99", "average": "99.95"}
    own = {"a": "-0.500", "b": ["0.2"], "c": {"d": "19.99"}, "e": 99.95, "f": "bought at 100"}
    amounts = {"amount": "a", "filled": "b", "cost": "c", "average": "e", "price": "f"}

    order = read(stated, info=own)
    without = read(stated, info={field: value for field, value in own.items() if field != amounts[name]})

    assert str(getattr(order, ours.get(name, name))) == stated[name]
    assert getattr(without, ours.get(name, name)) is None
    assert [note for note in without.evidence if name in note] == [note for note in without.evidence if "row" in note]
    assert len(without.evidence) == 2


QUOTED = {"type": "market", "status": "closed", "amount": "0.5", "filled": "0.5", "cost": "50", "price": None}


@pytest.mark.parametrize(
    ("quote", "own", "quote_quantity", "quantity"),
    [
        (QuoteSize("funds"), {"funds": "60"}, "60", None),
        (QuoteSize("funds"), {"funds": "0"}, None, "0.5"),
        (QuoteSize("funds"), {}, None, "0.5"),
        (QuoteSize("size", every_buy=True), {"size": "60"}, "60", None),
        (QuoteSize("size", every_buy=True), {}, None, None),
        (QuoteSize("size", when=("unit", "quote")), {"size": "60", "unit": "x,quote"}, "60", None),
        (QuoteSize("size", when=("unit", "quote")), {"size": "60", "unit": "base"}, None, "0.5"),
        (QuoteSize("funds", unless="size"), {"funds": "60", "size": "0"}, "60", None),
        (QuoteSize("funds", unless="size"), {"funds": "60", "size": "0.5"}, None, "0.5"),
    ],
)
def test_a_market_buy_sized_in_quote_says_so(
    quote: QuoteSize, own: dict[str, Any], quote_quantity: str | None, quantity: str | None
) -> None:
    """The amount of quote is one of its own, and never a quantity; what was filled and spent stays what it is."""
    order = read(QUOTED, info={**own, "stated": ["0.5", "50"]}, rules=RowRules(quote=quote, base_buys=True))

    assert order.quote_quantity == (None if quote_quantity is None else Decimal(quote_quantity))
    assert order.quantity == (None if quantity is None else Decimal(quantity))
    assert (order.filled_quantity, order.filled_quote_quantity) == (Decimal("0.5"), Decimal(50))


def test_a_sale_and_a_limit_order_are_never_sized_in_quote_by_the_rule_for_buys() -> None:
    """What holds for a buy at market holds for no other."""
    rules = RowRules(quote=QuoteSize("size", every_buy=True))
    own = {"size": "0.5", "filled": "0.5"}

    for other in ({"side": "sell"}, {"type": "limit", "price": "100"}):
        order = read({**QUOTED, **other}, info=own, rules=rules)
        assert (order.quantity, order.quote_quantity) == (Decimal("0.5"), None)


def test_the_amounts_of_a_market_buy_where_nobody_looked_are_not_known() -> None:
    """They may be of either currency, so that it is over and no more; where fills are of the base, those are told."""
    unknown, unsure = read(QUOTED), read(QUOTED, rules=RowRules(base_buys=False))

    assert (unknown.quantity, unknown.filled_quantity, unknown.filled_quote_quantity) == (None, None, None)
    assert unknown.status is OrderStatus.ENDED
    assert (unsure.quantity, unsure.filled_quantity, unsure.filled_quote_quantity) == (
        None,
        Decimal("0.5"),
        Decimal(50),
    )


def test_fills_in_a_currency_that_is_not_told_are_left_out() -> None:
    """Where a size in quote makes the other amounts doubtful, only the size counts."""
    rules = RowRules(quote=QuoteSize("vol", when=("oflags", "viqc"), fills=False), base_buys=True)

    order = read(QUOTED, info={"vol": "60", "oflags": "fciq,viqc", "a": "0.5", "b": "50"}, rules=rules)

    assert (order.quote_quantity, order.quantity, order.filled_quantity) == (Decimal(60), None, None)
    assert order.filled_quote_quantity is None


def test_a_fill_that_follows_from_what_remains_is_told_as_ours() -> None:
    """A difference that a parser took is one that we take too; nor is a number with commas another one."""
    own = {"size": "1,000.5", "left": "1000.2"}

    order = read({"amount": "1000.5", "filled": "0.3", "remaining": "1000.2"}, info={**own, "price": "100"})

    assert (order.quantity, order.filled_quantity) == (Decimal("1000.5"), Decimal("0.3"))
    assert order.evidence == ("look-up: open",)


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
        ({"type": "stopLoss"}, OrderType.STOP_LOSS),
        ({"type": "post_only"}, OrderType.LIMIT),
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


def test_a_type_where_a_lifetime_would_stand_is_none() -> None:
    """Some exchanges have one field for both."""
    assert read({"timeInForce": "LIMIT"}).time_in_force is None
    assert read({"timeInForce": "LIMIT"}).anomalies == ()


def test_fields_are_read_where_a_rule_says() -> None:
    """Paths go through dicts and lists, take the first that has a value, and move the point; an empty one is none."""
    info = {"origin_id": "mine", "stop": {"at": ["", "90"]}, "Ev": 1250, "made": "2026-01-05T10:00:00Z"}
    paths = {"clientOrderId": "origin_id", "triggerPrice": "stop.at.0|stop.at.1", "filled": "Ev@-4", "price": ""}

    order = read(info=info, rules=RowRules(order={**paths, "timestamp": "made"}, scaled=True))

    assert (order.client_order_id, order.stop_price, order.type) == ("mine", Decimal(90), OrderType.UNKNOWN)
    assert (order.filled_quantity, order.price, order.created_at) == (Decimal("0.125"), None, NOW)


@pytest.mark.parametrize("text", ["0", "", None])
def test_a_zero_is_no_client_id(text: str | None) -> None:
    """It stands where nobody gave one."""
    assert read({"clientOrderId": text}).client_order_id is None


@pytest.mark.parametrize(
    "broken",
    [
        {"id": None},
        {"id": ""},
        {"symbol": "BTCUSDT"},
        {"symbol": None},
        {"side": "hold"},
        {"side": None},
    ],
)
def test_bad_rows(broken: dict[str, Any]) -> None:
    """A row without a usable id, symbol or side is unusable."""
    with pytest.raises(Unusable):
        read(broken)


@pytest.mark.parametrize("name", ["amount", "filled", "remaining", "price", "triggerPrice", "cost"])
@pytest.mark.parametrize("value", ["abc", "-1", float("nan"), True, "1e999"])
def test_an_odd_amount_costs_itself_and_not_the_row(name: str, value: Any) -> None:
    """An amount that is none, or is negative, is left out with an anomaly: the order may be live all the same."""
    order = read({"filled": None, name: value})

    assert order.order_id == "77"
    assert any(name in odd for odd in order.anomalies)
    assert None in {order.quantity, order.filled_quantity, order.price, order.stop_price, order.filled_quote_quantity}


def test_a_side_in_capitals_is_one() -> None:
    """Exchanges spell it as they like."""
    assert read({"side": "BUY"}).side == "buy"


def test_numbers_are_exact() -> None:
    """Text goes through digit by digit; a float is taken by its shortest text."""
    assert number("1234567.123456789012345678") == Decimal("1234567.123456789012345678")
    assert number("1e-8") == Decimal("0.00000001")
    assert number(0.1) == Decimal("0.1")
    assert number(None) is None
    assert number("") is None


def test_a_time_that_is_none_is_an_anomaly() -> None:
    """It loses nothing but itself; zero and less are how exchanges say that there is none."""
    order = read({"timestamp": 10**30})

    assert order.created_at is None
    assert order.anomalies
    assert read({"timestamp": -1}).created_at is None
    assert read({"timestamp": -1}).anomalies == ()


@pytest.mark.parametrize("value", ["1767607200.123", 1_767_607_200_123, "1767607200123000", 1_767_607_200_123_000_000])
def test_times_are_in_whatever_unit_they_count(value: Any) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds are years apart, so that they tell themselves."""
    assert read({"timestamp": value}).created_at == datetime(2026, 1, 5, 10, 0, 0, 123000, tzinfo=UTC)


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

    fill = fill_from_row(row, **NOBODY)

    assert (fill.quote_quantity, fill.fee, fill.fee_currency) == (Decimal("9.99"), Decimal("0.01"), "USDT")
    assert fill.liquidity is Liquidity.MAKER
    del row["info"]["quoteQty"]
    assert fill_from_row(row, **NOBODY).quote_quantity == Decimal(10)


def test_a_rebate_is_no_fee() -> None:
    """What a maker was paid must not be counted as paid: the fee is not known."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "sell", "amount": "2", "price": "3", "info": {"a": "1"}}

    fill = fill_from_row(
        {**row, "fee": {"cost": "-0.5", "currency": "B"}}, venue="v", account="default", rules=UNREVIEWED
    )
    free = fill_from_row({**row, "fee": {"cost": "0", "currency": "B"}}, **NOBODY)

    assert (fill.fee, fill.fee_currency, fill.raw) == (None, None, {"a": "1"})
    assert (free.fee, free.fee_currency, free.raw) == (Decimal(0), "B", {"a": "1"})


def test_fill_of_an_exchange_that_signs_amounts() -> None:
    """A sale whose row says minus is a sale of the plain amount."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "sell", "amount": "2", "price": "3", "cost": "6"}

    fill = fill_from_row(
        {**row, "info": {"major": "-2", "minor": "6.00"}}, venue="v", account="default", rules=UNREVIEWED
    )

    assert (fill.quantity, fill.quote_quantity) == (Decimal(2), Decimal(6))


@pytest.mark.parametrize("broken", [{"id": None}, {"amount": None}, {"price": "0"}, {"order": None}, {"side": "x"}])
def test_bad_fills(broken: dict[str, Any]) -> None:
    """A trade that does not say what, how much or of which order is unusable."""
    row = {"id": "5", "order": "77", "symbol": "A/B", "side": "buy", "amount": "1", "price": "1"}
    row["info"] = {"all": ["1"]}

    fill_from_row(row, **NOBODY)
    with pytest.raises(Unusable):
        fill_from_row({**row, **broken}, **NOBODY)


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
        order = order_from_row(row, venue="v", account="default", source="s", observed_at=NOW, rules=UNREVIEWED)
    except Unusable:
        return

    assert Order.model_validate_json(order.model_dump_json()) == order


@given(row=values | dicts)
def test_any_value_is_a_fill_or_a_bad_row(row: Any) -> None:
    """Nor does a trade raise anything else."""
    try:
        fill = fill_from_row(row, **NOBODY)
    except Unusable:
        return

    assert fill.quantity > 0


def test_tables_hold_folded_words() -> None:
    """A word is looked up as it is folded, so a row in another spelling would never be found."""
    assert all(word == word.lower() and "_" not in word and "-" not in word for word in TYPE_FROM_CCXT)


def test_an_odd_context_of_the_caller_changes_no_figure() -> None:
    """Rows are read outside of our calls' own context: three digits of the caller's round nothing."""
    info = {"cost": "-1234567.89", "size": 1234.5678, "left": "0.0001"}

    with localcontext(Context(prec=3, traps=[Inexact])):
        stated = {"amount": "1234.5678", "filled": None, "remaining": "0.0001", "cost": "1234567.89"}
        order = read(stated, info=info)

    assert (order.filled_quantity, order.filled_quote_quantity) == (Decimal("1234.5677"), Decimal("1234567.89"))
