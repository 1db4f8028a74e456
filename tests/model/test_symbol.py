"""Symbols and the closed vocabularies."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orderbridge import KnownBy, OrderStatus, OrderType, PlacementState, Side, Symbol, TimeInForce
from orderbridge.model.basics import EditClass, Idempotency, Liquidity, Word

ALL_WORDS = [
    member
    for kind in (Side, OrderType, OrderStatus, KnownBy, TimeInForce, Liquidity, Idempotency, EditClass, PlacementState)
    for member in kind
]


def test_a_symbol_is_its_text_in_upper_case() -> None:
    """A symbol equals, hashes and prints as its text, whatever case it came in."""
    symbol = Symbol("btc/mxn")

    assert symbol == "BTC/MXN"
    assert {symbol: 1}["BTC/MXN"] == 1
    assert (str(symbol), symbol.base, symbol.quote) == ("BTC/MXN", "BTC", "MXN")
    assert repr(symbol) == "Symbol('BTC/MXN')"


@pytest.mark.parametrize(
    "text", ["", "btc_mxn", "BTC", "BTC/", "/MXN", "BTC/USDT:USDT", "BTC / MXN", "BTC/MXN\n", "A/B/C", None, 5, b"A/B"]
)
def test_what_is_no_pair_is_refused_with_the_form(text: object) -> None:
    """Contracts, venue spellings and other types are refused, and the message shows the form."""
    with pytest.raises(ValueError, match="a symbol is written BASE/QUOTE, as in BTC/MXN, not"):
        Symbol(text)  # type: ignore[arg-type]


@given(st.from_regex(r"\A[A-Za-z0-9.$-]{1,12}/[A-Za-z0-9.$-]{1,12}\Z"))
def test_symbols_survive_pickle_copy_and_json(text: str) -> None:
    """A symbol comes back as a symbol from pickle, copy and JSON."""
    symbol, adapter = Symbol(text), TypeAdapter(Symbol)

    returned = [
        pickle.loads(pickle.dumps(symbol)),
        copy.deepcopy(symbol),
        adapter.validate_json(adapter.dump_json(symbol)),
        Symbol(symbol),
    ]

    assert all(type(one) is Symbol and one == symbol for one in returned)


def test_a_model_refuses_a_symbol_that_is_no_text() -> None:
    """Inside a model the same sentence arrives as a validation error."""
    with pytest.raises(ValidationError, match="BASE/QUOTE"):
        TypeAdapter(Symbol).validate_python("btc_mxn")


@pytest.mark.parametrize("word", ALL_WORDS, ids=lambda word: f"{type(word).__name__}.{word}")
def test_words_are_read_in_any_case(word: Word) -> None:
    """A word is lower case, its name is its value, and it is read in any case, in a model too."""
    kind = type(word)
    adapter = TypeAdapter(kind)

    read = [kind(word.upper()), kind(f" {word.title()} "), adapter.validate_python(word.upper())]

    assert word.value == word.name.lower()
    assert all(one is word for one in read)
    assert adapter.validate_json(adapter.dump_json(word)) is word
    assert pickle.loads(pickle.dumps(word)) is word


@pytest.mark.parametrize("value", ["", "byu", "buy sell", None, 1, True])
def test_words_outside_the_list_are_refused(value: object) -> None:
    """A word we do not know is an error where a user writes it."""
    with pytest.raises(ValidationError, match="'buy' or 'sell'"):
        TypeAdapter(Side).validate_python(value)


def test_a_side_knows_its_opposite() -> None:
    """Buy and sell are each other's opposite."""
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


def test_only_four_statuses_may_still_trade() -> None:
    """The statuses that are no end are exactly those that are documented."""
    working = {status.value for status in OrderStatus if not status.is_end}

    assert working == {"accepted", "open", "partially_filled", "unknown"}
