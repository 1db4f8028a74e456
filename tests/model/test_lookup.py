"""What became of the orders that were asked for."""

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from orderbridge import (
    BridgeOrders,
    Failure,
    Found,
    LookupResult,
    Order,
    OrderKey,
    OrderList,
    OrderRef,
    OrderRequest,
    Placement,
)  # fmt: skip
from orderbridge.errors import AmbiguousRef
from orderbridge.model.results import Answer, BadRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAILURE = Failure(kind="throttled", message="slow down", retry_after=1.5, code="0801", http_status=420)
BAD = BadRow(gateway="bitso", position=3, reason="no side", order_id="o9", raw={"oid": "o9"})


def order(order_id: str = "o1", **changes: Any) -> Order:
    """An open order."""
    return Order(
        **{"venue": "bitso", "order_id": order_id, "symbol": "BTC/MXN", "side": "buy", "status": "open", **changes}
    )


def found(*orders: Order, answer: str = "found") -> Found:
    """What one gateway said about one ref."""
    return Found(orders=orders, answers={"bitso": answer})


PLACEMENT = Placement(
    placement_id="p1",
    gateway="bitso",
    request=OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity=1, price=2),
    client_order_id="c1",
    created_at=NOW,
)
REFS = ("o1", OrderRef(id="a:b"), OrderKey("bitso", "o2"), order("o3"), PLACEMENT)
RESULT = LookupResult(
    refs=REFS,
    found=(found(order()), found(answer="not_seen"), found(order("o2")), found(answer="failed"), found(order("o4"))),
    unreachable={"bitcain": FAILURE},
    bad_rows=(BAD,),
)


def test_a_result_is_keyed_by_the_refs_as_given() -> None:
    """Every kind of ref is its own key, equal refs find the same, and other spellings do not."""
    assert RESULT.refs == REFS
    assert all(type(kept) is type(given) for kept, given in zip(RESULT.refs, REFS, strict=True))
    assert [RESULT[ref] for ref in REFS] == list(RESULT.found)
    assert RESULT[OrderKey("bitso", "o2")].order == order("o2")
    assert "o1" in RESULT
    assert "bitso:o1" not in RESULT
    assert len(RESULT) == 5
    with pytest.raises(KeyError):
        RESULT["bitso:o1"]


@pytest.mark.parametrize(
    ("answer", "undecided"),
    [
        ("not_seen", False), ("partly_searched", True), ("failed", True), ("cannot_ask", True), ("timed_out", True),
    ],
)  # fmt: skip
def test_only_a_whole_negative_is_not_seen(answer: str, undecided: bool) -> None:
    """A gateway that failed, could not be asked, searched in part or ran out of time leaves a ref undecided."""
    one = Found(answers={"bitso": "not_seen", "bitcain": answer})
    result = LookupResult(refs=("x",), found=(one,))

    assert one.is_undecided is undecided
    assert result.undecided == (("x",) if undecided else ())
    assert result.not_seen == (() if undecided else ("x",))


def test_what_was_found_is_decided_whatever_failed_elsewhere() -> None:
    """An order that is there is found, even while another gateway is down."""
    one = Found(orders=(order(),), answers={"bitso": "found", "bitcain": "failed"})

    assert one.order == order()
    assert not one.is_undecided


def test_a_ref_that_was_asked_of_nobody_is_not_seen() -> None:
    """An id that no gateway could hold is a negative, not a doubt."""
    result = LookupResult(refs=("x",), found=(Found(proven_absent=True),))

    assert (result.not_seen, result.undecided, result["x"].order) == (("x",), (), None)


def test_several_orders_under_one_ref_are_ambiguous() -> None:
    """No order is picked for the caller: the error carries all of them."""
    several = found(order("o1"), order("o2"))

    with pytest.raises(AmbiguousRef, match="2 orders answer to one ref: o1, o2") as ambiguous:
        _ = several.order

    assert ambiguous.value.orders == (order("o1"), order("o2"))


def test_duplicate_refs_stay_as_given() -> None:
    """A ref that is given twice stands twice in `refs`, and its order once in `orders`."""
    result = LookupResult(refs=("o1", "o1"), found=(found(order()), found(order())))

    assert result.refs == ("o1", "o1")
    assert result.orders == (order(),)
    assert result["o1"].order == order()


def test_an_empty_result_is_true_and_empty() -> None:
    """No refs give no answers, and the result is still a result."""
    result = LookupResult()

    assert result
    assert (len(result), result.refs, result.orders, result.not_seen, result.undecided) == (0, (), (), (), ())


def test_results_round_trip_even_after_use() -> None:
    """JSON and pickle give an equal result, also once its index has been built."""
    used = RESULT.model_copy()
    _ = used["o1"]

    for result in (RESULT, used):
        read, unpickled = LookupResult.model_validate_json(result.model_dump_json()), pickle.loads(pickle.dumps(result))
        assert read.model_copy(update={"bad_rows": ()}) == result.model_copy(update={"bad_rows": ()})
        assert unpickled == result
        assert [unpickled[ref] for ref in REFS] == [result[ref] for ref in REFS]
        assert [type(ref) for ref in read.refs] == [type(ref) for ref in REFS]


def test_repr_shows_no_raw_row() -> None:
    """A printed result holds what was found, and no venue's raw row."""
    assert "oid" not in repr(RESULT)
    assert "no side" in repr(RESULT)


@pytest.mark.parametrize("kind", [OrderList, BridgeOrders])
def test_lists_of_orders_are_sequences(kind: type[OrderList] | type[BridgeOrders]) -> None:
    """A list of orders counts, slices, searches, reverses and iterates as sequences do, and round trips."""
    orders = (order("o1"), order("o2"), order("o3"))
    listed = kind(orders=orders, as_of=NOW, bad_rows=(BAD,)) if kind is OrderList else kind(orders=orders)

    assert isinstance(listed, Sequence)
    assert (len(listed), list(listed), listed[0], listed[-1], listed[1:]) == (
        3, list(orders), orders[0], orders[2], orders[1:],
    )  # fmt: skip
    assert (orders[1] in listed, listed.index(orders[1]), listed.count(orders[1])) == (True, 1, 1)
    assert list(reversed(listed)) == list(reversed(orders))
    assert pickle.loads(pickle.dumps(listed)) == listed
    assert [*kind.model_validate_json(listed.model_dump_json())] == [*orders]
    assert repr(listed).startswith(kind.__name__)
    with pytest.raises(IndexError):
        listed[3]


def test_an_empty_list_is_false_and_says_when() -> None:
    """No open orders is an answer of a moment."""
    empty = OrderList(as_of=NOW)

    assert not empty
    assert empty.as_of == NOW


def test_a_bridge_list_names_who_is_missing() -> None:
    """`unreachable` survives JSON with its reason."""
    listed = BridgeOrders(orders=(order(),), unreachable={"bitcain": FAILURE})

    assert BridgeOrders.model_validate_json(listed.model_dump_json()) == listed
    assert listed.unreachable["bitcain"].retry_after == 1.5


def test_every_answer_is_a_word() -> None:
    """The answers are those that are documented."""
    assert {answer.value for answer in Answer} == {
        "found", "not_seen", "partly_searched", "failed", "cannot_ask", "timed_out",
    }  # fmt: skip


def test_an_order_seen_twice_is_listed_as_the_two_observations_say_together() -> None:
    """One order that two refs found at different moments is one order, and its end is not hidden by the older look."""
    early, late = order(), order(status="filled", client_order_id="c1", filled_quantity=1)

    for first, second in ((early, late), (late, early)):
        result = LookupResult(refs=("o1", "c1"), found=(found(first), found(second)))

        (listed,) = result.orders
        assert (listed.status, listed.client_order_id, listed.filled_quantity) == ("filled", "c1", 1)


def test_every_ref_of_a_result_has_its_answer() -> None:
    """A result that leaves a ref without an answer cannot be made."""
    with pytest.raises(ValidationError, match="2 refs need as many found, not 1"):
        LookupResult(refs=("x", "y"), found=(Found(),))
