"""What is recorded of reading: look-ups, lists and fills."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from orderbridge import OrderGateway, OrderStatus
from orderbridge.errors import AuthenticationFailed
from orderbridge.model.basics import KnownBy
from orderbridge.simulator import Simulator
from tests.cassettes.scenarios import ONCE, scenario


def _one_partly_filled(sim: Simulator) -> None:
    sim.bitso.put(
        oid="part000000000001", origin_id="mine-1", status="partially filled", price="1200000", quantity="0.0015"
    )


@scenario("bitso", "lookup__partly_filled", _one_partly_filled)
async def lookup_partly_filled(gateway: OrderGateway) -> None:
    """One oid goes in the path, one origin id in the query, and both show the same order."""
    result = await gateway.lookup("bitso:part000000000001", "bitso:client:mine-1")

    (order,) = result.orders
    assert (order.status, order.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.00075"))


def _unknown_word(sim: Simulator) -> None:
    sim.bitso.put(oid="good000000000001")
    sim.bitso.put(oid="odd0000000000001", raw={"status": "on hold"})
    sim.bitso.put(oid="bad0000000000001", raw={"side": "both"})


@scenario("bitso", "lookup__unknown_word_and_broken_row", _unknown_word)
async def lookup_unknown_word(gateway: OrderGateway) -> None:
    """A strange status is kept, a broken row stands aside, and their neighbour is found."""
    refs = ["bitso:good000000000001", "bitso:odd0000000000001", "bitso:bad0000000000001"]
    result = await gateway.lookup(*refs)

    assert [order.status for order in result.orders] == [OrderStatus.OPEN, OrderStatus.UNKNOWN]
    assert [row.order_id for row in result.bad_rows] == ["bad0000000000001"]
    assert result.undecided == ("bitso:bad0000000000001",)


def _refusing(sim: Simulator) -> None:
    sim.bitso.settings.miss = "0312"
    sim.bitso.settings.mixed_miss = "refuse"
    for number in range(3):
        sim.bitso.put(oid=f"here00000000000{number}")


@scenario("bitso", "lookup__refused_list", _refusing)
async def lookup_refused_list(gateway: OrderGateway) -> None:
    """A list that is refused whole for one unknown id is split until that id is found."""
    refs = [f"bitso:here00000000000{number}" for number in range(3)]
    result = await gateway.lookup(*refs, "bitso:gone000000000000")

    assert len(result.orders) == 3
    assert result.not_seen == ("bitso:gone000000000000",)


def _forgotten(sim: Simulator) -> None:
    sim.bitso.put(
        oid="full000000000001", origin_id="mine-2", status="completed", price="1200000", quantity="0.001", visible=False
    )


@scenario("bitso", "lookup__rebuilt_from_trades", _forgotten)
async def lookup_rebuilt(gateway: OrderGateway) -> None:
    """An order that look-up has forgotten is rebuilt from its trades."""
    order = await gateway.get("bitso:client:mine-2")

    assert (order.order_id, order.status) == ("full000000000001", OrderStatus.ENDED)
    assert (order.known_by, order.filled_quantity) == (KnownBy.INFERRED, Decimal("0.001"))


@scenario("bitso", "lookup__bad_signature", lambda sim: None, api_secret="not-the-secret", retries=ONCE)
async def lookup_bad_signature(gateway: OrderGateway) -> None:
    """Code 0215 is refused credentials, and says nothing about the order."""
    with pytest.raises(AuthenticationFailed) as refused:
        await gateway.get("bitso:part000000000001")

    assert refused.value.code == "0215"


@scenario("bitso", "lookup__html", lambda sim: sim.bitso.fault("html", operation="lookup"), retries=ONCE)
async def lookup_html(gateway: OrderGateway) -> None:
    """A proxy's HTML page on a 502 leaves the ref undecided."""
    result = await gateway.lookup("bitso:part000000000001")

    assert result.unreachable["bitso"].kind == "unreachable"
    assert result.undecided == result.refs


@scenario("bitso", "open_orders__two_books", lambda sim: [sim.bitso.put(book=b) for b in ("btc_mxn", "eth_mxn")])
async def open_orders(gateway: OrderGateway) -> None:
    """Open orders of every book, and of one."""
    everything, one = await gateway.open_orders(), await gateway.open_orders(symbol="ETH/MXN")

    assert sorted(order.symbol for order in everything) == ["BTC/MXN", "ETH/MXN"]
    assert [order.symbol for order in one] == ["ETH/MXN"]


def _traded(sim: Simulator) -> None:
    sim.bitso.settings.fee_sign = "negative"
    sim.bitso.put(oid="full000000000001", status="completed", trades=[("1000000", "0.001"), ("1000010", "0.002")])


@scenario("bitso", "fills__of_order_and_account", _traded)
async def fills(gateway: OrderGateway) -> None:
    """The trades of one order are those of an account that has no others; fees are positive."""
    of_order = [fill async for fill in gateway.fills("bitso:full000000000001")]
    of_account = [fill async for fill in gateway.fills()]

    assert of_order == of_account
    assert [fill.quantity for fill in of_order] == [Decimal("0.002"), Decimal("0.001")]
    assert all(fill.fee is not None and fill.fee > 0 for fill in of_order)


UUID: Final = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"


def _on_bitcain(sim: Simulator) -> None:
    sim.bitcain.put(id=UUID, status="partially_filled", quantity="0.5", filled_quantity="0.1", client_order_id="mine-3")
    sim.bitcain.put(id=UUID.replace("6", "7"), status="filled", quantity="0.2")


@scenario("bitcain", "lookup__uuid_and_client_id", _on_bitcain)
async def bitcain_lookup(gateway: OrderGateway) -> None:
    """A UUID is read by its path, a client id by one scan of the list, and an unknown UUID is proven absent."""
    absent = "bitcain:00000000-0000-4000-8000-000000000000"
    result = await gateway.lookup(f"bitcain:{UUID}", "bitcain:client:mine-3", absent)

    (order,) = result.orders
    assert (order.status, order.remaining_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.4"))
    assert result[absent].proven_absent


@scenario("bitcain", "open_orders__paper", _on_bitcain)
async def bitcain_open_orders(gateway: OrderGateway) -> None:
    """The list is read to its end, and only what may be live is given."""
    orders = await gateway.open_orders()

    assert [order.order_id for order in orders] == [UUID]
    assert orders[0].paper is True


@scenario("bitcain", "orders__with_history", _on_bitcain)
async def bitcain_orders(gateway: OrderGateway) -> None:
    """The list and the history together give each order once."""
    since = (await gateway.get(f"bitcain:{UUID}")).created_at
    assert since is not None

    orders = [order async for order in gateway.orders(since=since - timedelta(days=1))]

    assert sorted(order.status for order in orders) == [OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED]


@scenario("bitcain", "lookup__bad_token", lambda sim: None, token="not-the-token", retries=ONCE)
async def bitcain_bad_token(gateway: OrderGateway) -> None:
    """A 401 is refused credentials, and says nothing about the order."""
    with pytest.raises(AuthenticationFailed):
        await gateway.get(f"bitcain:{UUID}")


@scenario(
    "bitcain",
    "lookup__shadowed_history",
    lambda sim: (setattr(sim.bitcain.settings, "history", "shadowed"), _on_bitcain(sim)),
)
async def bitcain_shadowed(gateway: OrderGateway) -> None:
    """Where the history route is shadowed, the list alone still gives every order."""
    since = (await gateway.get(f"bitcain:{UUID}")).created_at
    assert since is not None

    orders = [order async for order in gateway.orders(since=since - timedelta(days=1))]

    assert len(orders) == 2
