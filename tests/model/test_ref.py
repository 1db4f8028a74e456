"""Refs: what names an order, as text and as an object."""

import pickle
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from orderbridge import Order, OrderKey, OrderRef, OrderRequest, Placement, RefLike, Symbol
from orderbridge.errors import ConfigurationError

letters = st.characters(categories=["L", "M", "N", "P", "S"], include_characters=" ")
printable = st.text(letters, min_size=1, max_size=40)
texts = st.one_of(
    printable, st.builds("{}{}:{}".format, st.sampled_from(["client", "order"]), st.sampled_from(["", " "]), printable)
).map(str.strip)
ids = texts.filter(lambda text: text and ":" not in text)
names = texts.filter(lambda text: text and not text.endswith(":"))
gateways = st.from_regex(r"\A[a-z][a-z0-9.]{0,9}(/[a-z0-9]{1,5})?\Z").filter(
    lambda name: name not in ("client", "order")
)
readable = st.one_of(
    st.builds(OrderRef, id=ids),
    st.builds(OrderRef, order_id=names),
    st.builds(OrderRef, client_order_id=names),
    st.builds(OrderRef, gateway=gateways, order_id=names),
    st.builds(OrderRef, gateway=gateways, client_order_id=names),
)
ORDER = Order(venue="bitso", account="mm", order_id="o1", client_order_id="c1", symbol="BTC/MXN", side="buy")
PLACEMENT = Placement(
    placement_id="p1",
    gateway="bitso",
    request=OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity=1, price=2),
    client_order_id="c1",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x", OrderRef(id="x")),
        ("bitso:x", OrderRef(gateway="bitso", order_id="x")),
        ("bitso/mm:x", OrderRef(gateway="bitso/mm", order_id="x")),
        ("bitso:client:x", OrderRef(gateway="bitso", client_order_id="x")),
        ("bitso/mm:client:x", OrderRef(gateway="bitso/mm", client_order_id="x")),
        ("client:x", OrderRef(client_order_id="x")),
        ("order:x", OrderRef(order_id="x")),
        ("bitso:client", OrderRef(gateway="bitso", order_id="client")),
        ("ccxt.kraken:O-1:2", OrderRef(gateway="ccxt.kraken", order_id="O-1:2")),
        ("bitso:client:a:b", OrderRef(gateway="bitso", client_order_id="a:b")),
    ],
)
def test_every_text_form_is_read(text: str, expected: OrderRef) -> None:
    """Each documented form is read as it says, and written back as it was."""
    ref = OrderRef.parse(text)

    assert ref == expected
    assert str(ref) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bitso:order:x", OrderRef(gateway="bitso", order_id="x")),
        ("bitso/mm:order:x", OrderRef(gateway="bitso/mm", order_id="x")),
        ("bitso:order", OrderRef(gateway="bitso", order_id="order")),
        ("bitso:order:client:x", OrderRef(gateway="bitso", order_id="client:x")),
        ("x\n", OrderRef(id="x")),
        ("\t x y \r\n", OrderRef(id="x y")),
        (" bitso : order : x\n", OrderRef(gateway="bitso", order_id="x")),
        ("bitso: client:x ", OrderRef(gateway="bitso", client_order_id="x")),
        ("client: x", OrderRef(client_order_id="x")),
    ],
)
def test_a_text_means_what_it_says(text: str, expected: OrderRef) -> None:
    """A venue's id may be named as such behind its gateway, and white space at an end of an id is none of it."""
    assert OrderRef.parse(text) == expected


@pytest.mark.parametrize("wrong", ["x\ny", "a\x00b", "\x1bx", "x\u200b", "\ufeffx", "x\ud800"])
@pytest.mark.parametrize("form", ["{}", "bitso:{}", "bitso:order:{}", "bitso:client:{}", "client:{}", "{}:x"])
def test_a_control_character_in_a_text_is_refused(form: str, wrong: str) -> None:
    """No id has one: the text is mis-written, and that says nothing of any order."""
    with pytest.raises(ValueError, match="holds a control character, as no id does"):
        OrderRef.parse(form.format(wrong))
    with pytest.raises(ConfigurationError, match=r"holds a control character|unable to parse raw data"):
        OrderRef(order_id=wrong)


def test_white_space_at_an_end_is_no_part_of_an_id() -> None:
    """Refs as objects and keys drop it too; what a venue said is kept as it is."""
    assert OrderRef(order_id=" x\n", client_order_id="c\t") == OrderRef(order_id="x", client_order_id="c")
    assert OrderRef.of(OrderKey("bitso", "x\n")) == OrderRef(gateway="bitso", order_id="x")
    assert OrderRef.of(ORDER.model_copy(update={"order_id": "x\n"})).order_id == "x\n"


@pytest.mark.parametrize(
    "text",
    ["", "\n", " ", ":", ":x", "bitso:", "bitso: ", "bitso:client:", "bitso:order: ", "client:", "order:", "::"],
)
def test_text_without_an_id_or_a_gateway_is_refused(text: str) -> None:
    """A text that names no order says so, with the forms that would."""
    with pytest.raises(ValueError, match="names no order: write an id, or gateway:id, or gateway:client:id"):
        OrderRef.parse(text)


@given(readable)
def test_a_ref_reads_back_from_its_text(ref: OrderRef) -> None:
    """`str(ref)` is what `parse` reads, and pickle and JSON give the same ref."""
    assert OrderRef.parse(str(ref)) == ref
    assert pickle.loads(pickle.dumps(ref)) == ref
    assert OrderRef.model_validate_json(ref.model_dump_json()) == ref


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "needs an order_id, a client_order_id or an id"),
        ({"gateway": "bitso"}, "needs an order_id, a client_order_id or an id"),
        ({"id": ""}, "at least 1 character|needs an"),
        ({"id": "x", "order_id": "y"}, "give id when its kind is not known"),
        ({"id": "x", "client_order_id": "y"}, "give id when its kind is not known"),
        ({"oid": "x"}, "Extra inputs are not permitted"),
        ({"id": 5}, "valid string"),
    ],
)
def test_refs_that_mean_nothing_are_refused(fields: dict[str, object], message: str) -> None:
    """A ref names one order in one way, by fields that exist."""
    with pytest.raises(ConfigurationError, match=message):
        OrderRef(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("bitso:x", OrderRef(gateway="bitso", order_id="x")),
        (OrderRef(id="a:b"), OrderRef(id="a:b")),
        (OrderKey("bitso/mm", "a:b"), OrderRef(gateway="bitso/mm", order_id="a:b")),
        (ORDER, OrderRef(gateway="bitso/mm", order_id="o1", client_order_id="c1", symbol=Symbol("BTC/MXN"))),
        (PLACEMENT, OrderRef(gateway="bitso", client_order_id="c1", symbol=Symbol("BTC/MXN"))),
    ],
)
def test_everything_that_names_an_order_becomes_a_ref(ref: RefLike, expected: OrderRef) -> None:
    """Text, refs, keys, orders and placements all stand for one order."""
    assert OrderRef.of(ref) == expected


def test_a_placement_that_has_its_order_gives_both_ids() -> None:
    """Once the venue's id is known it is the first thing asked for."""
    placed = PLACEMENT.model_copy(update={"order": ORDER})

    assert OrderRef.of(placed).order_id == "o1"


@pytest.mark.parametrize("value", [None, 5, b"x", ("bitso", "x"), object()])
def test_other_types_are_no_refs(value: object) -> None:
    """What is no ref is refused by name, and a plain tuple is no key."""
    with pytest.raises(ConfigurationError, match="a ref is a str, OrderRef, OrderKey, Order or Placement, not"):
        OrderRef.of(value)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="the text of a ref is a str, not"):
        OrderRef.parse(value)  # type: ignore[arg-type]


def test_every_ref_is_a_key_of_a_dict() -> None:
    """Refs of every kind hash, and equal ones are one key, so that results can be keyed by them."""
    again = [OrderRef(id="x"), OrderKey("bitso", "x"), ORDER.model_copy(), PLACEMENT.model_copy(), "x"]

    keyed: dict[RefLike, int] = {OrderRef(id="x"): 0, OrderKey("bitso", "x"): 1, ORDER: 2, PLACEMENT: 3, "x": 4}

    assert [keyed[ref] for ref in again] == [0, 1, 2, 3, 4]
    assert hash(OrderRef(id="x", symbol="BTC/MXN")) == hash(OrderRef(id="x"))


def test_refs_are_frozen() -> None:
    """A ref that keys a result cannot change under it."""
    with pytest.raises(ValidationError, match="frozen"):
        OrderRef(id="x").id = "y"  # type: ignore[misc]


@pytest.mark.parametrize("empty", ["gateway", "order_id", "client_order_id", "id"])
def test_an_empty_name_is_refused_even_beside_another(empty: str) -> None:
    """An empty id would be asked for, and an empty gateway would be nobody: neither makes a ref."""
    fields = {"client_order_id": "c1"} if empty != "client_order_id" else {"order_id": "o1"}

    with pytest.raises(ConfigurationError, match="at least 1 character"):
        OrderRef(**fields, **{empty: ""})  # type: ignore[arg-type]


def test_an_order_without_a_usable_client_id_is_still_a_ref() -> None:
    """A venue that writes an empty client id names its order by its own id."""
    assert OrderRef.of(ORDER.model_copy(update={"client_order_id": ""})).client_order_id is None
