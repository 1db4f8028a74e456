"""The record of one act of placing, and the permit that lets it leave."""

import pickle
from datetime import UTC, datetime

import pytest

from orderbridge import Order, OrderRequest, Permit, Placement, PlacementState
from orderbridge.model.permit import LANES

REQUEST = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.1", price="500000", options={"agent_id": "a"})
OPEN = Order(venue="bitso", order_id="o1", symbol="BTC/MXN", side="buy", status="open")
FILLED = Order(venue="bitso", order_id="o1", symbol="BTC/MXN", side="buy", status="filled")


def placement(state: str = "prepared", *, order: Order | None = None) -> Placement:
    """A placement in a state."""
    return Placement(
        placement_id="p1",
        gateway="bitso",
        key="strategy/1",
        request=REQUEST,
        client_order_id="c1",
        state=state,
        order=order,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("state", "holds_key", "may_be_live"),
    [
        ("prepared", True, False),
        ("denied", False, False),
        ("sending", True, True),
        ("uncertain", True, True),
        ("placed", True, True),
        ("rejected", False, False),
        ("not_placed", False, False),
    ],
)
def test_each_state_says_whether_an_order_may_live_and_the_key_is_held(
    state: str, holds_key: bool, may_be_live: bool
) -> None:
    """Only what was proven refused or absent frees the key; only what may have left may live."""
    record = placement(state)

    assert (record.holds_key, record.may_be_live) == (holds_key, may_be_live)
    assert {member.value for member in PlacementState} >= {state}


@pytest.mark.parametrize(("order", "live"), [(None, True), (OPEN, True), (FILLED, False)])
def test_a_placed_order_lives_until_it_is_done(order: Order | None, live: bool) -> None:
    """Once placed, the order decides; while it is not known it may live."""
    assert placement("placed", order=order).may_be_live is live


def test_a_placement_round_trips_and_hashes_by_its_id() -> None:
    """The record survives JSON and pickle whole, and any state of it is one key of a dict."""
    record = placement("placed", order=OPEN)

    assert Placement.model_validate_json(record.model_dump_json()) == record
    assert pickle.loads(pickle.dumps(record)) == record
    assert hash(record) == hash(placement("uncertain"))


async def test_a_permit_gives_its_slot_back_once_unless_spent() -> None:
    """The slot returns exactly once when the context ends unspent, and never after it was spent."""
    returned: list[str] = []

    def permit(name: str) -> Permit:
        return Permit(gateway="bitso", lane="place", granted_at=0.0, give_back=lambda: returned.append(name))

    async with permit("unspent") as unspent:
        pass
    unspent.give_back()
    async with permit("spent") as spent:
        first, second = spent.spend(), spent.spend()

    assert returned == ["unspent"]
    assert (first, second, spent.spent) == (True, False, True)
    assert repr(unspent) == "Permit(gateway='bitso', lane='place', spent)"


async def test_a_permit_gives_its_slot_back_when_its_block_fails() -> None:
    """An error inside the block loses no slot."""
    returned: list[str] = []

    with pytest.raises(KeyError):
        async with Permit(gateway="b", lane="place", granted_at=0.0, give_back=lambda: returned.append("slot")):
            raise KeyError

    assert returned == ["slot"]


def test_cancels_stand_first_in_the_lanes() -> None:
    """Cancels go before look-ups, those before orders, and reads come last."""
    assert LANES == ("cancel", "resolve", "place", "read")
