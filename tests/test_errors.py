"""The error tree: every class with its attributes across processes."""

import copy
import inspect
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderbridge import Found, Order, OrderRequest, Placement, errors
from orderbridge.errors import OrderBridgeError
from orderbridge.model.results import BadRow

# Class by class with its parent.
TREE = {
    "OrderBridgeError": "Exception",
    "ConfigurationError": "OrderBridgeError",
    "OrderDenied": "OrderBridgeError",
    "KeyInUse": "OrderDenied",
    "NotSupported": "OrderBridgeError",
    "AmbiguousRef": "OrderBridgeError",
    "NotSent": "OrderBridgeError",
    "OutcomeUnknown": "OrderBridgeError",
    "VenueUnavailable": "OrderBridgeError",
    "UnexpectedResponse": "OrderBridgeError",
    "PartialList": "UnexpectedResponse",
    "JournalError": "OrderBridgeError",
    "VenueError": "OrderBridgeError",
    "AuthenticationFailed": "VenueError",
    "NotAdmitted": "AuthenticationFailed",
    "PermissionDenied": "VenueError",
    "OrderRejected": "VenueError",
    "InsufficientFunds": "OrderRejected",
    "InvalidOrder": "OrderRejected",
    "MarketClosed": "OrderRejected",
    "TooManyOpenOrders": "OrderRejected",
    "DuplicateClientOrderId": "VenueError",
    "OrderNotFound": "VenueError",
    "OrderNotActive": "VenueError",
    "RateLimited": "VenueError",
}
ORDER = Order(venue="bitso", order_id="o1", symbol="BTC/MXN", side="buy", raw={"oid": "o1"})
PLACEMENT = Placement(
    placement_id="p1",
    gateway="bitso",
    request=OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity=1, price=2),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
FACTS: dict[str, Any] = {
    "code": "0402", "http_status": 400, "request_id": "r1", "body": '{"error": "…"}', "rule": "tick", "nearest": (1, 2),
    "placement": PLACEMENT, "orders": (ORDER,), "order_id": "o1", "client_order_id": "c1", "keys": ("a",),
    "bad_rows": (BadRow(gateway="bitso", position=0, reason="no id"),), "found": Found(proven_absent=True),
    "order": ORDER, "retry_after": 1.5,
}  # fmt: skip
VENUE_FACTS = {"code", "http_status", "request_id", "body"}
CLASSES = [getattr(errors, name) for name in TREE]


def make(kind: type[OrderBridgeError]) -> tuple[OrderBridgeError, dict[str, Any]]:
    """An error of the class with every fact that it takes, and those facts."""
    taken = {
        name
        for parent in kind.__mro__
        if parent.__init__ is not Exception.__init__ and issubclass(parent, OrderBridgeError)
        for name in inspect.signature(parent.__init__).parameters
    } & set(FACTS)
    if issubclass(kind, errors.VenueError):
        taken |= VENUE_FACTS
    if kind is errors.KeyInUse:
        taken = {"placement"}
    facts = {name: FACTS[name] for name in taken}
    return kind("it broke", gateway="bitso/mm", operation="lookup", **facts), facts


def test_the_tree_is_that_of_the_design() -> None:
    """Every documented error class is there with its parent, and no other."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == errors.__name__
    ]

    assert {kind.__name__: kind.__bases__[0].__name__ for kind in classes} == TREE


def test_the_drawing_names_every_class() -> None:
    """The tree drawn at the top of the module is the tree of the code."""
    assert errors.__doc__ is not None
    drawn = set(errors.__doc__.replace("├─", " ").replace("└─", " ").replace("│", " ").split())

    assert set(TREE) <= drawn


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickle_and_copy(kind: type[OrderBridgeError]) -> None:
    """An error crosses processes with its message and all its attributes."""
    error, facts = make(kind)

    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(back) is kind
        assert str(back) == str(error)
        assert vars(back) == vars(error)
        assert {name: getattr(back, name) for name in facts} == facts


@pytest.mark.parametrize("kind", CLASSES)
def test_every_message_says_where_it_happened(kind: type[OrderBridgeError]) -> None:
    """The text leads with gateway and operation, which are attributes too."""
    error, _ = make(kind)

    assert str(error) == "bitso/mm lookup: it broke"
    assert (error.gateway, error.operation) == ("bitso/mm", "lookup")


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not errors.KeyInUse])
def test_every_error_can_be_raised_with_a_message_alone(kind: type[OrderBridgeError]) -> None:
    """What is not known is None or empty, and the text is the message alone."""
    error = kind("it broke")

    assert str(error) == "it broke"
    assert all(value in (None, ()) for value in vars(error).values())


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_it_means(kind: type[OrderBridgeError]) -> None:
    """Every class has a docstring of its own that is more than a word."""
    assert kind.__doc__ is not None
    assert len(kind.__doc__.split()) >= 8
    assert kind.__doc__.strip().endswith((".", "it.", ")"))


def test_a_key_in_use_is_a_denial_by_the_rule_of_keys() -> None:
    """The holder of the key comes with the refusal."""
    error = errors.KeyInUse("taken", placement=PLACEMENT)

    assert (error.rule, error.placement) == ("key", PLACEMENT)


def test_notes_added_on_the_way_survive_pickle() -> None:
    """What a caller adds to an error is not lost between processes."""
    error = errors.NotSent("it broke")
    error.add_note("while rebalancing")

    assert pickle.loads(pickle.dumps(error)).__notes__ == ["while rebalancing"]


@given(text=st.text(st.characters(codec="utf-8", include_characters="\x1b\n\r\u202e\u2066\x9b[]")))
def test_no_error_says_anything_that_a_terminal_obeys(text: str) -> None:
    """Whatever a venue or a caller put into it, an error is one line without escape sequences; plain text stays."""
    error = errors.OrderRejected(f"refused: {text}", gateway=f"bitso/{text}", operation="submit")

    assert str(error).isprintable()
    assert repr(error).isprintable()
    assert not text.isprintable() or text in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_is_taken_out_of_a_text_is_shown_in_its_place() -> None:
    """Two ids that differ by a control character only are told apart."""
    said = str(OrderBridgeError("no order a\n, \x1b[31mb, \u202ec, d\udcff, [e], f\u00a0g"))

    assert said == r"no order a\n, \x1b[31mb, \u202ec, d\udcff, [e], f g"
