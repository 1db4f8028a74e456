"""Rows of Bitcain's as orders."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.mapping import (
    SymbolBook,
    moment_from_wire,
    moment_to_wire,
    order_from_wire,
)
from orderbridge.http import body
from orderbridge.model.basics import KnownBy, OrderStatus, OrderType, Side, Symbol, TimeInForce
from orderbridge.model.order import Order
from orderbridge.testing import holds_up
from orderbridge.venue.rows import Unusable

SEEN = datetime(2026, 1, 2, tzinfo=UTC)
ID = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"
LEAST: dict[str, Any] = {"id": ID, "symbol": "BTC/USDT", "side": "buy", "status": "open", "quantity": "2"}


def decode(row: object, symbols: SymbolBook | None = None) -> Order:
    return holds_up(order_from_wire(row, account="default", symbols=symbols or SymbolBook(), observed_at=SEEN))


def variant(**changes: Any) -> Order:
    return decode({**LEAST, **changes})


def test_the_canonical_row_is_read_field_by_field() -> None:
    """The canonical row comes out whole, with nothing flagged."""
    row = {
        "id": ID,
        "client_order_id": "ob-000001",
        "exchange_order_id": "ex-7",
        "exchange": "binanceus",
        "trading_mode": "paper",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "stop_limit",
        "status": "partially_filled",
        "quantity": "0.50000000",
        "filled_quantity": "0.20000000",
        "remaining_quantity": "0.30000000",
        "price": "60000.00",
        "stop_price": "61000.00",
        "average_fill_price": "59999.5",
        "filled_value": "11999.9",
        "time_in_force": "gtt",
        "expires_at": "2026-01-03T00:00:00Z",
        "reduce_only": False,
        "post_only": True,
        "error_message": None,
        "created_at": "2026-01-02T03:04:05.123456Z",
        "updated_at": "2026-01-02T03:04:06Z",
    }

    assert decode(row) == Order(
        venue="bitcain",
        order_id=ID,
        client_order_id="ob-000001",
        exchange_order_id="ex-7",
        routed_to="binanceus",
        paper=True,
        symbol="BTC/USDT",
        side=Side.BUY,
        type=OrderType.STOP_LIMIT,
        raw_type="stop_limit",
        status=OrderStatus.PARTIALLY_FILLED,
        raw_status="partially_filled",
        quantity="0.50000000",
        filled_quantity="0.20000000",
        price="60000.00",
        stop_price="61000.00",
        average_price="59999.5",
        filled_quote_quantity="11999.9",
        time_in_force=TimeInForce.GTT,
        expires_at=datetime(2026, 1, 3, tzinfo=UTC),
        reduce_only=False,
        post_only=True,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC),
        updated_at=datetime(2026, 1, 2, 3, 4, 6, tzinfo=UTC),
        observed_at=SEEN,
    )
    assert decode(row).raw == row


def test_what_a_row_does_not_say_is_none() -> None:
    """Nothing is invented: no fills, no time in force, no mode, no exchange."""
    order = variant()

    absent = ["filled_quantity", "average_price", "time_in_force", "post_only", "reduce_only", "paper", "routed_to"]
    absent += ["price", "created_at", "client_order_id", "filled_quote_quantity", "reason"]
    assert [getattr(order, name) for name in absent] == [None] * len(absent)
    assert order.type is OrderType.UNKNOWN


FIELDS = [
    (wire.CLIENT_ID, "client_order_id", "bot-1", "bot-1"),
    (wire.EXCHANGE_ID, "exchange_order_id", "ex-1", "ex-1"),
    (wire.SYMBOL, "symbol", "ETH/USDT", "ETH/USDT"),
    (wire.SIDE, "side", "SELL", Side.SELL),
    (wire.TYPE, "type", "Stop-Loss", OrderType.STOP_LOSS),
    (wire.STATUS, "status", "EXPIRED", OrderStatus.EXPIRED),
    (wire.QUANTITY, "quantity", "7.5", Decimal("7.5")),
    (wire.FILLED, "filled_quantity", "1", Decimal(1)),
    (wire.REMAINING, "filled_quantity", "0.5", Decimal("1.5")),
    (wire.PRICE, "price", "9", Decimal(9)),
    (wire.STOP_PRICE, "stop_price", "8", Decimal(8)),
    (wire.AVERAGE_PRICE, "average_price", "8.5", Decimal("8.5")),
    (wire.FILLED_VALUE, "filled_quote_quantity", "17", Decimal(17)),
    (wire.TIME_IN_FORCE, "time_in_force", "IOC", TimeInForce.IOC),
    (wire.EXPIRES_AT, "expires_at", "2026-01-02T00:00:00Z", SEEN),
    (wire.EXCHANGE, "routed_to", "coinbase", "coinbase"),
    (wire.MODE, "paper", "LIVE", False),
    (wire.IS_PAPER, "paper", True, True),
    (wire.CREATED_AT, "created_at", 1767312000, SEEN),
    (wire.UPDATED_AT, "updated_at", "2026-01-02", SEEN),
    (wire.REASON, "reason", "no funds", "no funds"),
    (wire.REDUCE_ONLY, "reduce_only", True, True),
    (wire.POST_ONLY, "post_only", False, False),
]
NAMES = [(name, *rest, names) for names, *rest in FIELDS for name in names]


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


@pytest.mark.parametrize("spell", [str, camel])
@pytest.mark.parametrize(("name", "field", "value", "expected", "names"), NAMES)
def test_each_name_of_a_field_is_known(
    name: str, field: str, value: object, expected: object, names: tuple[str, ...], spell: Any
) -> None:
    """Every name that a field may have is read, in snake_case and in camelCase."""
    row = {key: known for key, known in LEAST.items() if key not in names}

    assert getattr(decode({**row, spell(name): value}), field) == expected


def test_the_first_name_present_wins() -> None:
    """Of several names the table's first that is neither null nor empty counts; `amount` comes last."""
    assert variant(quantity=None, amount="9", orig_qty="3").quantity == 3
    assert variant(client_order_id="", client_oid="b").client_order_id == "b"


@pytest.mark.parametrize("name", ["id", "order_id", "uuid"])
def test_any_id_name_will_do(name: str) -> None:
    """The id is the UUID under any of its names, spelled the usual way."""
    row = {key: value for key, value in LEAST.items() if key != "id"}

    assert decode({**row, name: ID.upper().replace("-", "")}).order_id == ID


def test_an_order_id_that_is_no_uuid_is_the_exchanges() -> None:
    """Beside a UUID, a plain `order_id` is the id at the routed exchange."""
    assert variant(order_id="42-A").exchange_order_id == "42-A"
    assert variant(order_id="42-A", external_id="B").exchange_order_id == "B"


BAD = [
    ({"id": None}, "no UUID"),
    ({"id": "42"}, "no UUID"),
    ({"uuid": "00000000-0000-4000-8000-000000000001"}, "several ids"),
    ({"symbol": None}, "no symbol"),
    ({"symbol": 5}, "no symbol"),
    ({"symbol": "BTCUSDT"}, "symbols={'BTCUSDT': 'BASE/QUOTE'}"),
    ({"symbol": "BTC/USDT/PERP"}, "does not say where base ends"),
    ({"symbol": "/"}, "symbol is not usable"),
    ({"side": None}, "neither buy nor sell"),
    ({"side": "hold"}, "neither buy nor sell"),
    ({"side": ["buy"]}, "neither buy nor sell"),
    ({"quantity": "1,000"}, "no amount"),
    ({"quantity": "NaN"}, "no amount"),
    ({"quantity": "Infinity"}, "no amount"),
    ({"quantity": True}, "no amount"),
    ({"quantity": []}, "no amount"),
    ({"quantity": "1" * 101}, "no amount"),
    ({"quantity": "-1"}, "negative"),
    ({"symbol": "\ud800/USDT"}, "the symbol is not usable"),
    ({"price": "abc"}, "price is no amount"),
    ({"stop_price": {}}, "stop price is no amount"),
    ({"filled_quantity": [1]}, "filled quantity is no amount"),
    ({"filled_quantity": "1" * 101}, "no amount"),
    ({"remaining_quantity": "some"}, "remaining quantity is no amount"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_a_row_without_the_least_is_unusable(changes: Mapping[str, Any], reason: str) -> None:
    """No usable id, symbol or side, or an amount of the order that is no number: the reason says which."""
    with pytest.raises(Unusable, match=r".") as caught:
        variant(**changes)

    assert reason in str(caught.value)
    assert caught.value.id == (None if {"id", "uuid"} & set(changes) else ID)


@pytest.mark.parametrize("row", [None, 1, "order", [], [LEAST]])
def test_what_is_no_object_is_unusable(row: object) -> None:
    """A row must be an object."""
    with pytest.raises(Unusable, match="no object"):
        decode(row)


DOUBTS = [
    ({"filled_quantity": "-1"}, "filled_quantity", "negative"),
    ({"remaining_quantity": "3"}, "filled_quantity", "more than the quantity"),
    ({"average_price": "NaN"}, "average_price", "average price is no amount"),
    ({"average_price": 0, "filled_quantity": 1}, "average_price", "average price is 0"),
    ({"filled_value": 5, "filled_quantity": 0}, "filled_quote_quantity", "nothing is filled"),
    ({"type": "limit", "price": 0}, "price", "price of a limit order is 0"),
    ({"quantity": 0}, "quantity", "quantity is 0"),
    ({"quantity": None}, "quantity", "no quantity"),
    ({"time_in_force": "day"}, "time_in_force", "time in force is not known"),
    ({"post_only": "yes"}, "post_only", "no yes or no"),
    ({"trading_mode": "sandbox"}, "paper", "trading mode is not known"),
    ({"trading_mode": "paper", "is_paper": False}, "paper", "both paper and live"),
    ({"created_at": "yesterday"}, "created_at", "no time"),
]


@pytest.mark.parametrize(("changes", "field", "anomaly"), DOUBTS)
def test_what_cannot_be_believed_is_none_and_flagged(changes: Mapping[str, Any], field: str, anomaly: str) -> None:
    """An unreadable or contradictory fact is left out, and an anomaly says why; the order stays."""
    order = variant(**changes)

    assert getattr(order, field) is None
    assert any(anomaly in text for text in order.anomalies)


def test_sizes_that_do_not_add_up_are_flagged() -> None:
    """Filled beyond the quantity is not known; what does not fit what remains stays; both are anomalies."""
    too_much = variant(filled_quantity="3", status="partially filled")
    no_sum = variant(filled_quantity="1", remaining_quantity="0.5")

    assert too_much.filled_quantity is None
    assert too_much.max_remaining == 2
    assert no_sum.filled_quantity == 1
    assert "more than the quantity" in too_much.anomalies[0]
    assert "do not make up" in no_sum.anomalies[0]


def test_filled_is_never_assumed() -> None:
    """Neither `open` nor `filled` says how much was filled."""
    assert [variant(status=word).filled_quantity for word in ("open", "rejected", "filled")] == [None] * 3


def test_a_filled_flag_is_no_size() -> None:
    """`filled: true` is a yes, not a number."""
    assert variant(filled=True).filled_quantity is None
    assert variant(filled="1.5").filled_quantity == Decimal("1.5")


@pytest.mark.parametrize("changes", [{"type": "market", "price": 0}, {"stop_price": "0.00"}, {"average": 0}])
def test_a_zero_price_is_no_price(changes: Mapping[str, Any]) -> None:
    """A market order's price, a stop price and an average of 0 mean that there is none."""
    order = variant(**changes, filled=0)

    assert (order.price, order.stop_price, order.average_price, order.anomalies) == (None, None, None, ())


def test_numbers_keep_every_digit() -> None:
    """A JSON number of any length is as exact as text."""
    text = "0.12345678901234567890123456789"
    row = body.load(f'{{"id": "{ID}", "symbol": "BTC/USDT", "side": "buy", "quantity": {text}}}'.encode())

    assert str(decode(row).quantity) == text


SYMBOLS = [
    ("BTC/USDT", "BTC/USDT"),
    ("btc-usdt", "BTC/USDT"),
    ("BTC_USDT", "BTC/USDT"),
    ("XBTZUSD", "BTC/USD"),
    ("DOT-PERP", "DOT/USDT"),
    ("ETHUSDT", "ETH/USDT"),
]


@pytest.mark.parametrize(("theirs", "ours"), SYMBOLS)
def test_symbols_fold_by_separator_map_or_wish(theirs: str, ours: str) -> None:
    """Slash, dash and underscore fold; the map goes first; letters alone only if just that pair is wanted."""
    known = {"XBTZUSD": Symbol("BTC/USD"), "DOT-PERP": Symbol("DOT/USDT")}
    book = SymbolBook(known).wanting(Symbol("ETH/USDT"), None)

    assert decode({**LEAST, "symbol": theirs}, book).symbol == ours


def test_letters_of_two_wanted_pairs_are_no_pair() -> None:
    """Which of the two is meant cannot be told."""
    book = SymbolBook().wanting(Symbol("ABC/DE"), Symbol("AB/CDE"))

    with pytest.raises(Unusable, match="where base ends"):
        decode({**LEAST, "symbol": "ABCDE"}, book)


TIMES = [
    ("2026-01-02T03:04:05Z", 0),
    ("2026-01-02T03:04:05.123456Z", 123456),
    ("2026-01-02T03:04:05.123456789Z", 123456),
    ("2026-01-02T03:04:05.1Z", 100000),
    ("2026-01-02T05:04:05+02:00", 0),
    ("2026-01-02T03:04:05", 0),
    ("2026-01-02 03:04:05z", 0),
    (1767323045, 0),
    ("1767323045", 0),
    (1767323045123, 123000),
    (Decimal("1767323045.5"), 500000),
]


@pytest.mark.parametrize(("value", "micros"), TIMES)
def test_each_form_of_a_time_is_read(value: object, micros: int) -> None:
    """ISO with or without zone and fraction, Unix seconds and milliseconds are the same moment in UTC."""
    assert moment_from_wire(value) == datetime(2026, 1, 2, 3, 4, 5, micros, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "soon", True, [], {}, 10**30, "9" * 80, -(10**17), Decimal("1e99")])
def test_what_is_no_time_is_a_value_error(value: object) -> None:
    """Nonsense and times beyond the calendar raise ValueError, nothing else."""
    with pytest.raises(ValueError):
        moment_from_wire(value)


def test_times_go_out_in_utc_with_z() -> None:
    """A plus sign in a query would arrive as a blank."""
    assert moment_to_wire(datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-02T03:00:00Z"


def test_a_cancelled_row_is_inferred() -> None:
    """The word alone does not say who cancelled."""
    order = variant(status="canceled")

    assert order.known_by is KnownBy.INFERRED
    assert order.evidence
    assert order.is_done


ALL_NAMES = sorted(
    {
        name
        for names in vars(wire).values()
        if isinstance(names, tuple)
        for name in names
        if isinstance(name, str) and "." not in name
    }
)
WORDS = ["open", "filled", "cancelled", "buy", "sell", "limit", "BTC/USDT", "BTCUSDT", ID, "1.5", "NaN", "paper", "gtc"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(),
    st.text(),
    st.text(st.characters(categories=["Cs"]), max_size=2),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5
)
KEYS = st.sampled_from(ALL_NAMES) | st.sampled_from(ALL_NAMES).map(camel) | st.text(max_size=3)


@given(st.dictionaries(KEYS, VALUES, max_size=12), st.booleans())
def test_any_row_is_an_order_or_unusable(row: dict[str, Any], with_least: bool) -> None:
    """Whatever JSON holds, a row becomes an order that holds up or a bad row with a reason, never another error."""
    with suppress(Unusable):
        order = decode({**LEAST, **row} if with_least else row)
        assert Order.model_validate_json(order.model_dump_json()) == order
        assert repr(order)
