"""From Bitso's rows to orders and fills."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import Order, OrderStatus, OrderType, Side, TimeInForce
from orderbridge.adapters.bitso.mapping import (
    LIFE_FROM_WIRE,
    STATUS_FROM_WIRE,
    TYPE_FROM_WIRE,
    book_from_symbol,
    fill_from_row,
    order_from_fills,
    order_from_row,
    symbol_from_book,
)
from orderbridge.http.body import load
from orderbridge.model.basics import KnownBy, Liquidity
from orderbridge.model.order import Fill
from orderbridge.testing import holds_up
from orderbridge.venue.rows import Unusable

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROW: dict[str, Any] = {
    "book": "btc_mxn",
    "oid": "Zx81kQw02LmTr7Vb",
    "origin_id": "ob_7f3a91",
    "side": "buy",
    "type": "limit",
    "status": "partially filled",
    "price": "1200000.00",
    "original_amount": "0.00150000",
    "unfilled_amount": "0.00050000",
    "original_value": "1800.00",
    "time_in_force": "goodtillcancelled",
    "created_at": "2026-01-05T10:00:00.000+00:00",
    "updated_at": "2026-01-05T10:00:04.000+00:00",
}
TRADE: dict[str, Any] = {
    "tid": 98765431,
    "oid": "Zx81kQw02LmTr7Vb",
    "origin_id": "ob_7f3a91",
    "book": "btc_mxn",
    "side": "buy",
    "maker_side": "buy",
    "price": "1200000.00",
    "major": "0.00100000",
    "minor": "-1200.00000000",
    "major_currency": "btc",
    "minor_currency": "mxn",
    "fees_amount": "0.00000600",
    "fees_currency": "btc",
    "created_at": "2026-01-05T10:00:04.000+00:00",
}


def order(**changes: Any) -> Order:
    row = {key: value for key, value in {**ROW, **changes}.items() if value is not ...}
    return holds_up(order_from_row(row, account="default", source="look-up", observed_at=NOW))


def fill(**changes: Any) -> Fill:
    return holds_up(fill_from_row({**TRADE, **changes}, account="default"))


def test_every_documented_field_has_its_place() -> None:
    """The documented example becomes an order with each of its facts, and with nothing more."""
    result = order()

    assert result == Order(
        venue="bitso",
        order_id="Zx81kQw02LmTr7Vb",
        client_order_id="ob_7f3a91",
        symbol="BTC/MXN",
        side="buy",
        type="limit",
        raw_type="limit",
        status="partially_filled",
        raw_status="partially filled",
        evidence=("look-up: partially filled",),
        quantity=Decimal("0.0015"),
        filled_quantity=Decimal("0.001"),
        price=Decimal(1200000),
        time_in_force="gtc",
        post_only=False,
        created_at=datetime(2026, 1, 5, 10, tzinfo=UTC),
        updated_at=datetime(2026, 1, 5, 10, 0, 4, tzinfo=UTC),
        observed_at=NOW,
    )
    assert result.raw == ROW
    assert result.average_price is None


@pytest.mark.parametrize(("word", "status"), STATUS_FROM_WIRE.items())
def test_status_words(word: str, status: OrderStatus) -> None:
    """Every documented status word has its status, in whatever case and with whatever joints."""
    unfilled = {OrderStatus.FILLED: "0", OrderStatus.PARTIALLY_FILLED: "0.0005"}.get(status, "0.00150000")

    for spelling in (word, word.upper(), word.replace(" ", "-"), word.replace(" ", "_"), f" {word} "):
        shown = order(status=spelling, unfilled_amount=unfilled)
        assert shown.status is status
        assert shown.raw_status == spelling
        assert shown.anomalies == ()


@pytest.mark.parametrize("word", ["closed", "rejected", "expired", "", "ABIERTA"])
def test_unknown_status_word_is_kept_and_possibly_live(word: str) -> None:
    """A word that is no row of the table is unknown, keeps its text, and counts as live."""
    shown = order(status=word)

    assert (shown.status, shown.raw_status, shown.may_be_live) == (OrderStatus.UNKNOWN, word, True)


@pytest.mark.parametrize(
    ("word", "unfilled", "status", "anomalies"),
    [
        ("open", "0.0015", OrderStatus.OPEN, 0),
        ("open", "0.0005", OrderStatus.PARTIALLY_FILLED, 0),
        ("open", "0", OrderStatus.PARTIALLY_FILLED, 1),
        ("queued", "0.0005", OrderStatus.PARTIALLY_FILLED, 0),
        ("partially filled", "0", OrderStatus.PARTIALLY_FILLED, 1),
        ("partially filled", "0.0015", OrderStatus.PARTIALLY_FILLED, 1),
        ("completed", "0.0005", OrderStatus.FILLED, 1),
        ("cancelled", "0.0005", OrderStatus.CANCELLED, 0),
    ],
)
def test_numbers_beat_words(word: str, unfilled: str, status: OrderStatus, anomalies: int) -> None:
    """Fills come from the amounts; a word that disagrees is an anomaly and no crash."""
    shown = order(status=word, unfilled_amount=unfilled)

    assert shown.status is status
    assert shown.filled_quantity == Decimal("0.0015") - Decimal(unfilled)
    assert len(shown.anomalies) == anomalies


@pytest.mark.parametrize("unfilled", ["0.002", "-0.001"])
def test_impossible_unfilled_amount_leaves_the_fills_unknown(unfilled: str) -> None:
    """More unfilled than ordered, or less than nothing, says nothing about the fills, and is flagged."""
    shown = order(unfilled_amount=unfilled)

    assert shown.filled_quantity is None
    assert len(shown.anomalies) == 1
    assert shown.max_remaining == Decimal("0.0015")


@pytest.mark.parametrize(("key", "kind"), TYPE_FROM_WIRE.items())
def test_types(key: tuple[str, bool], kind: OrderType) -> None:
    """A type is Bitso's word and whether there is a stop price."""
    word, has_stop = key

    shown = order(type=word, stop="1000000" if has_stop else None)

    assert (shown.type, shown.raw_type) == (kind, word)


def test_waiting_stop_is_accepted_and_waits_for_its_trigger() -> None:
    """A queued order with a stop price waits; once triggered it does not."""
    waiting = order(type="limit", stop="1000000", status="queued", unfilled_amount="0.0015")
    triggered = order(
        type="limit", stop="1000000", status="open", unfilled_amount="0.0015", triggered_at="2026-01-05T11:00:00+0000"
    )

    assert (waiting.status, waiting.trigger_waiting, waiting.stop_price) == (
        OrderStatus.ACCEPTED,
        True,
        Decimal(1000000),
    )
    assert (triggered.trigger_waiting, triggered.triggered_at) == (False, datetime(2026, 1, 5, 11, tzinfo=UTC))


@pytest.mark.parametrize(("word", "expected"), LIFE_FROM_WIRE.items())
def test_times_in_force(word: str, expected: tuple[TimeInForce, bool]) -> None:
    """Each documented time in force has its word, and post-only is a flag beside it."""
    shown = order(time_in_force=word)

    assert (shown.time_in_force, shown.post_only) == expected


def test_time_in_force_that_is_absent_or_unknown_is_not_guessed() -> None:
    """Without the field nothing is said; with a strange word there is an anomaly."""
    absent, strange = order(time_in_force=...), order(time_in_force="goodtillfriday")

    assert (absent.time_in_force, absent.post_only, absent.anomalies) == (None, None, ())
    assert (strange.time_in_force, len(strange.anomalies)) == (None, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-05T10:00:00.000+00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00+00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00+0000", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T04:00:00.250-0600", datetime(2026, 1, 5, 10, 0, 0, 250000, tzinfo=UTC)),
        (None, None),
        ("null", None),
        ("", None),
    ],
)
def test_times(text: str | None, expected: datetime | None) -> None:
    """The three forms that Bitso has used, null, and the text "null" are all read."""
    shown = order(updated_at=text)

    assert shown.updated_at == expected
    assert shown.anomalies == ()


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00:00+23:59", 12, "2026-13-01T00:00:00+00:00"])
def test_time_that_is_none_costs_only_itself(text: object) -> None:
    """A time that cannot be read is left out and flagged; the order stays."""
    shown = order(updated_at=text)

    assert shown.updated_at is None
    assert len(shown.anomalies) == 1


def test_market_order_sized_in_quote() -> None:
    """A market order without a base amount is sized by its value; what filled of it is not known."""
    shown = order(type="market", price=None, original_amount=None, original_value="500.00", unfilled_amount=None)

    assert (shown.quantity, shown.quote_quantity, shown.filled_quantity) == (None, Decimal(500), None)
    assert shown.price is None
    assert shown.max_remaining == Decimal("Infinity")


def test_value_of_an_order_sized_in_base_stays_in_raw() -> None:
    """`original_value` is no size where `original_amount` is."""
    assert order().quote_quantity is None
    assert order(type="market").quote_quantity is None


@given(
    digits=st.integers(min_value=0, max_value=10**70),
    places=st.integers(min_value=0, max_value=60),
    unfilled_share=st.integers(min_value=0, max_value=10**70),
    quoted=st.booleans(),
)
def test_decimals_lose_nothing(digits: int, places: int, unfilled_share: int, quoted: bool) -> None:
    """Amounts as text or as unquoted numbers of any length come out exactly."""
    original = Decimal(digits).scaleb(-places)
    unfilled = Decimal(min(unfilled_share, digits)).scaleb(-places)
    form = "{:f}" if not quoted else '"{:f}"'
    amounts = f'"original_amount": {form.format(original)}, "unfilled_amount": {form.format(unfilled)}'
    rest = json.dumps({key: value for key, value in ROW.items() if not key.endswith("amount")})
    row = load(f"{rest[:-1]}, {amounts}}}".encode())

    shown = order_from_row(row, account="default", source="look-up", observed_at=NOW)

    assert shown.quantity == original
    assert shown.remaining_quantity == unfilled


@pytest.mark.parametrize(
    "changes",
    [
        {"oid": None},
        {"oid": ""},
        {"oid": True},
        {"oid": ...},
        {"book": "btcmxn"},
        {"book": "btc_mxn_x"},
        {"book": 7},
        {"side": "hold"},
        {"side": None},
        {"original_amount": "a lot"},
        {"original_amount": "-1"},
        {"original_amount": True},
        {"original_amount": "1E+999"},
        {"original_amount": "9" * 101},
        {"unfilled_amount": "NaN"},
        {"price": {}},
        {"stop": [1]},
        {"original_value": "1,800.00"},
    ],
)
def test_row_that_is_no_order(changes: dict[str, Any]) -> None:
    """A row without a usable id, book or side, or with an amount that is no number, is refused with its reason."""
    with pytest.raises(Unusable) as refused:
        order(**changes)

    assert str(refused.value)
    if "oid" not in changes:
        assert refused.value.id == "Zx81kQw02LmTr7Vb"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.decimals(allow_nan=True),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(ROW)), inner, max_size=13),
        max_leaves=20,
    )
)
def test_any_row_is_an_order_or_unusable(row: Any) -> None:
    """Whatever stands in a row, it becomes an order that holds up or is refused; nothing else is raised."""
    for each in (row, {**ROW, **row} if isinstance(row, dict) else row):
        with suppress(Unusable):
            shown = order_from_row(each, account="default", source="look-up", observed_at=NOW)
            assert holds_up(shown).venue == "bitso"


def test_symbols_and_books() -> None:
    """Books and symbols turn into each other, and nothing else passes for either."""
    assert symbol_from_book("BTC_mxn") == "BTC/MXN"
    assert book_from_symbol("btc/mxn") == "btc_mxn"
    for text in ("btc/mxn", "btc", "btc_", "_mxn", "btc-mxn", "a_b_c"):
        with pytest.raises(ValueError):
            symbol_from_book(text)
    with pytest.raises(ValueError):
        book_from_symbol("btc_mxn")


def test_fill_is_positive_throughout() -> None:
    """A trade's signs, which say the direction, are dropped; the side says it."""
    shown = fill()

    assert (shown.fill_id, shown.order_id, shown.client_order_id) == ("98765431", "Zx81kQw02LmTr7Vb", "ob_7f3a91")
    assert (shown.quantity, shown.price, shown.quote_quantity) == (Decimal("0.001"), Decimal(1200000), Decimal(1200))
    assert (shown.fee, shown.fee_currency, shown.liquidity) == (Decimal("0.000006"), "BTC", Liquidity.MAKER)
    assert shown.created_at == datetime(2026, 1, 5, 10, 0, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "fee", "liquidity"),
    [
        ({"fees_amount": "-0.000006"}, Decimal("0.000006"), Liquidity.MAKER),
        ({"fees_amount": None, "maker_side": "sell"}, None, Liquidity.TAKER),
        ({"maker_side": None, "make_side": "buy"}, Decimal("0.000006"), Liquidity.MAKER),
        ({"maker_side": None}, Decimal("0.000006"), None),
        ({"maker_side": "both"}, Decimal("0.000006"), None),
    ],
)
def test_fee_sign_and_maker_side(changes: dict[str, Any], fee: Decimal | None, liquidity: Liquidity | None) -> None:
    """Fees are positive whichever sign Bitso writes; the old misspelling of the maker's side is read too."""
    shown = fill(**changes)

    assert (shown.fee, shown.liquidity) == (fee, liquidity)


@pytest.mark.parametrize("changes", [{"tid": None}, {"major": None}, {"minor": "x"}, {"side": "x"}, {"book": "x"}])
def test_trade_that_is_no_fill(changes: dict[str, Any]) -> None:
    """A trade without id, size, side or book is refused, not guessed."""
    with pytest.raises(Unusable):
        fill(**changes)


def test_order_rebuilt_from_its_trades() -> None:
    """A forgotten order comes back with the sums of its trades, ended, inferred, and says on what that rests."""
    fills = [
        fill(tid="2", major="0.0005", minor="-650", price="1300000", created_at="2026-01-05T10:00:09+00:00"),
        fill(),
    ]

    rebuilt = order_from_fills(fills, account="mm", observed_at=NOW, over=True)

    assert rebuilt.key == ("bitso/mm", "Zx81kQw02LmTr7Vb", "")
    assert (rebuilt.status, rebuilt.known_by, rebuilt.is_done) == (OrderStatus.ENDED, KnownBy.INFERRED, True)
    assert (rebuilt.side, rebuilt.symbol, rebuilt.client_order_id) == (Side.BUY, "BTC/MXN", "ob_7f3a91")
    assert (rebuilt.filled_quantity, rebuilt.filled_quote_quantity) == (Decimal("0.0015"), Decimal(1850))
    assert rebuilt.average_price is not None
    assert abs(rebuilt.average_price * Decimal("0.0015") - 1850) < Decimal("1e-30")
    assert (rebuilt.quantity, rebuilt.price, rebuilt.type) == (None, None, OrderType.UNKNOWN)
    assert rebuilt.updated_at == datetime(2026, 1, 5, 10, 0, 9, tzinfo=UTC)
    assert rebuilt.evidence == (
        "look-up: not shown",
        "open orders: not among them",
        "order trades: 2, 0.00150000 BTC in all",
    )


def test_rebuilt_order_may_be_live_while_open_orders_are_not_known() -> None:
    """Without the list of open orders nobody can say that it is over."""
    rebuilt = order_from_fills([fill()], account="default", observed_at=NOW, over=False, complete=False)

    assert (rebuilt.status, rebuilt.may_be_live, rebuilt.filled_quantity) == (OrderStatus.UNKNOWN, True, None)
    assert len(rebuilt.anomalies) == 1
