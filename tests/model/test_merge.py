"""Two observations of one order become one, in whatever order they arrived."""

import functools
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderbridge import KnownBy, Order, OrderStatus, OrderType, Side, TimeInForce
from orderbridge.model.lifecycle import advance, merge, united

DAY = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
# Few values each, equal numbers in several spellings among them, so that ties and collisions are common.
amount = st.none() | st.sampled_from([Decimal(text) for text in ("0", "0.0", "1", "1.00", "2", "1E+1", "10")])
moment = st.none() | st.sampled_from(DAY)
word = st.none() | st.sampled_from(["a", "b", "c"])
notes = st.lists(st.sampled_from("xyz"), max_size=3).map(tuple)
flag = st.booleans()
observations = st.builds(
    Order,
    venue=st.just("bitso"),
    order_id=st.just("o1"),
    routed_to=word,
    client_order_id=word,
    symbol=st.just("BTC/MXN"),
    side=st.just(Side.BUY),
    type=st.sampled_from(OrderType),
    raw_type=st.sampled_from(["", "x"]),
    status=st.sampled_from(OrderStatus),
    raw_status=st.sampled_from(["", "x"]),
    known_by=st.sampled_from(KnownBy),
    evidence=notes,
    quantity=amount,
    quote_quantity=amount,
    filled_quantity=amount,
    filled_quote_quantity=amount,
    average_price=amount,
    price=amount,
    stop_price=amount,
    time_in_force=st.none() | st.sampled_from(TimeInForce),
    expires_at=moment,
    post_only=st.none() | flag,
    reduce_only=st.none() | flag,
    paper=st.none() | flag,
    cancel_requested=flag,
    replace_requested=flag,
    trigger_waiting=flag,
    created_at=moment,
    updated_at=moment,
    triggered_at=moment,
    observed_at=moment,
    replaces=word,
    replaced_by=word,
    exchange_order_id=word,
    numbered_by_market=flag,
    reason=word,
    anomalies=notes,
    raw=st.dictionaries(st.sampled_from("pq"), st.integers(0, 1), max_size=2),
)


def seen(**changes: Any) -> Order:
    """An observation of the order `bitso:o1`."""
    return Order(
        **{"venue": "bitso", "order_id": "o1", "symbol": "BTC/MXN", "side": "buy", "status": "open", **changes}
    )


@settings(max_examples=150)
@given(observations, observations)
def test_merge_is_commutative(a: Order, b: Order) -> None:
    """Which of two observations arrived first makes no difference, to the spelling of every amount."""
    one, other = merge(a, b), merge(b, a)

    assert one == other
    assert one.model_dump_json() == other.model_dump_json()


@settings(max_examples=150)
@given(observations, observations, observations)
def test_merge_is_associative(a: Order, b: Order, c: Order) -> None:
    """How observations are grouped makes no difference."""
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@settings(max_examples=150)
@given(observations, observations)
def test_merge_is_idempotent(a: Order, b: Order) -> None:
    """An observation that is seen again changes nothing."""
    both = merge(a, b)

    assert merge(a, a) == a
    assert merge(both, a) == merge(both, b) == merge(both, both) == both


@given(observations, observations)
def test_done_beats_not_done(a: Order, b: Order) -> None:
    """An end is never undone by a working word, however late that one was written."""
    both = merge(a, b)

    assert both.is_done is (a.is_done or b.is_done)


@given(observations, observations)
def test_the_fill_figures_come_together_from_the_larger_filling(a: Order, b: Order) -> None:
    """The three figures are one observation's own, and no filling shrinks."""
    both = merge(a, b)

    figures = [(o.filled_quantity, o.filled_quote_quantity, o.average_price) for o in (both, a, b)]
    assert figures[0] in figures[1:]
    known = [o.filled_quantity for o in (a, b) if o.filled_quantity is not None]
    assert both.filled_quantity == (max(known) if known else None)


def test_plain_fields_come_whole_from_the_later_observation() -> None:
    """A price that was changed is the changed one, wherever the larger filling comes from."""
    early = seen(price="1", filled_quantity="2", updated_at=DAY[0], reason="old")
    late = seen(price="3", filled_quantity="1", updated_at=DAY[1])

    both = merge(early, late)

    assert (both.price, both.filled_quantity, both.reason) == (Decimal(3), Decimal(2), None)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ({"status": "open", "updated_at": DAY[2]}, {"status": "cancelled", "updated_at": DAY[0]}),
        ({"status": "cancelled", "known_by": "assumed", "updated_at": DAY[2]}, {"status": "filled"}),
        ({"status": "open"}, {"status": "accepted", "updated_at": DAY[0]}),
        ({"status": "open", "updated_at": DAY[0]}, {"status": "accepted", "updated_at": DAY[1]}),
        ({"status": "open", "created_at": DAY[0]}, {"status": "accepted", "created_at": DAY[1]}),
        ({"status": "accepted"}, {"status": "open"}),
        ({"status": "open"}, {"status": "partially_filled"}),
        ({"status": "ended"}, {"status": "cancelled"}),
        ({"status": "cancelled"}, {"status": "filled"}),
        ({"status": "unknown"}, {"status": "accepted"}),
    ],
)
def test_the_order_of_observations_is_done_then_venue_time_then_status(
    lower: dict[str, Any], higher: dict[str, Any]
) -> None:
    """The status comes from the observation that ranks higher, by the documented order."""
    assert merge(seen(**lower), seen(**higher)).status == higher["status"]


@pytest.mark.parametrize("field", ["client_order_id", "exchange_order_id", "replaces", "replaced_by"])
def test_differing_ids_keep_the_smallest_and_name_each(field: str) -> None:
    """Of differing ids the smallest text is kept, and an anomaly names each value seen."""
    three = [seen(**{field: text}, anomalies=("earlier",)) for text in ("b", "a", "c")]

    both = merge(merge(three[0], three[1]), three[2])

    assert getattr(both, field) == "a"
    assert both.anomalies == ("earlier", *(f"several values of {field}: {text}" for text in "abc"))


def test_an_id_that_one_observation_lacks_is_kept() -> None:
    """An id is not lost to an observation that does not show it, and that is no anomaly."""
    both = merge(seen(client_order_id="c1"), seen(status="filled"))

    assert (both.client_order_id, both.status, both.anomalies) == ("c1", OrderStatus.FILLED, ())


def test_evidence_and_anomalies_are_sorted_unions() -> None:
    """Nothing that was noted is lost, doubled or dependent on arrival."""
    both = merge(seen(evidence=("z", "b"), anomalies=("y",)), seen(evidence=("b", "a"), anomalies=("x",)))

    assert both.evidence == ("a", "b", "z")
    assert both.anomalies == ("x", "y")


@pytest.mark.parametrize(
    "other", [{"order_id": "o2"}, {"account": "mm"}, {"venue": "bitcain"}, {"symbol": "ETH/MXN"}, {"side": "sell"}]
)
def test_different_orders_are_not_merged(other: dict[str, str]) -> None:
    """Two orders never become one by mistake, and what differs in symbol or side is two, whatever its id."""
    with pytest.raises(ValueError, match="are different orders"):
        merge(seen(), seen(**other))
    with pytest.raises(ValueError, match="are different orders"):
        advance(seen(), seen(**other))


@given(st.lists(st.tuples(observations, st.sampled_from(Side)), max_size=5))
def test_a_list_loses_no_observation_to_another_of_its_number(pairs: list[tuple[Order, Side]]) -> None:
    """Orders of one number come out once each, each of what was seen of it, in the order of their first sight."""
    shown = [order.model_copy(update={"side": side}) for order, side in pairs]

    each = united(shown)

    assert [order.side for order in each] == list(dict.fromkeys(order.side for order in shown))
    for order in each:
        assert order == functools.reduce(merge, [one for one in shown if one.side is order.side])
