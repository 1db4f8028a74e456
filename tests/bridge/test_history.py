"""Orders and fills over time, of several gateways, where one of them errs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from orderbridge import Fill, Order, OrderBridge
from orderbridge.errors import NotSupported, UnexpectedResponse
from orderbridge.simulator import Simulator
from tests.placement.kit import NOW, seen
from tests.placement.test_resolve_certificate import Venue, fill


class Other(Venue):
    """A second account."""

    name = "bitso/b"
    account = "b"


async def collect(items: AsyncIterator[Any], got: list[Any]) -> None:
    """Take what is given, and keep it though an error follows."""
    async for item in items:
        got.append(item)


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("a mistake"), UnexpectedResponse("odd"), TimeoutError()])
@pytest.mark.parametrize("first_errs", [True, False])
async def test_whatever_one_gateway_raises_hides_no_other_gateways_orders(error: Exception, first_errs: bool) -> None:
    """The orders of the other are given, before or after, and then the error is raised as it was."""
    first, second = Venue(), Other()
    erring, whole = (first, second) if first_errs else (second, first)
    erring.history = error
    whole.history = [seen(account=whole.account, order_id="w1")]
    got: list[Any] = []

    async with OrderBridge(first, second) as bridge:
        with pytest.raises(type(error)) as caught:
            await collect(bridge.orders(since=NOW), got)

    assert caught.value is error
    assert [order.order_id for order in got] == ["w1"]


async def test_whatever_one_gateway_raises_hides_no_other_gateways_fills() -> None:
    """As for orders; after what it gave itself before it erred."""
    first, second = Venue(), Other()

    async def half(ref: Any = None, **how: Any) -> AsyncIterator[Fill]:
        yield fill()
        raise KeyError("tid")

    first.fills = half  # type: ignore[method-assign]
    second.trades = [fill().model_copy(update={"fill_id": "f2"})]
    got: list[Any] = []

    async with OrderBridge(first, second) as bridge:
        with pytest.raises(KeyError):
            await collect(bridge.fills(since=NOW), got)

    assert [each.fill_id for each in got] == ["f1", "f2"]


async def test_a_venue_that_lacks_the_call_is_told(sim: Simulator) -> None:
    """Fills over Bitso and Bitcain are Bitso's and orders Bitcain's: the iterator says whose are missing, and why."""
    put = sim.bitso.put(status="completed")
    order = sim.bitcain.put(status="filled")
    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway()) as bridge:
        fills, orders = bridge.fills(), bridge.orders(since=NOW)
        of_one = bridge.fills(put.order_id)

        assert fills.left_out.keys() == {"bitcain"}
        assert fills.left_out["bitcain"].startswith(
            "bitcain cannot list fills; Bitcain documents no fills; see filled_"
        )
        assert orders.left_out.keys() == {"bitso"}
        assert orders.left_out["bitso"].startswith("bitso cannot list orders; Bitso lists open orders only")
        assert [fill.order_id async for fill in fills] == [put.order_id]
        assert [each.order_id async for each in orders] == [order.order_id]
        assert [fill.order_id async for fill in of_one] == [put.order_id]
        assert of_one.left_out == bridge.fills(gateways=["bitso"], strict=True).left_out == {}


async def test_strict_leaves_no_venue_out(sim: Simulator) -> None:
    """The call itself is refused, with every name that would be missing, before anything is asked."""
    async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway(), sim.bitcain.gateway(account="b")) as bridge:
        with pytest.raises(NotSupported, match=r"bitcain cannot list fills.*bitcain/b cannot list fills"):
            bridge.fills(strict=True)
        with pytest.raises(NotSupported, match="bitso cannot list orders"):
            bridge.orders(since=NOW, strict=True)

    assert not sim.bitso.requests
    assert not sim.bitcain.requests


async def test_a_venue_that_lacks_the_call_as_it_was_asked_hides_no_other() -> None:
    """An exchange that lists for one symbol at a time refuses the call without one: it is left out with its words."""
    first, second = Venue(), Other()

    def refuse(**how: Any) -> AsyncIterator[Order]:
        raise NotSupported("orders of one symbol only: name it", gateway="bitso", operation="orders")

    first.orders = refuse  # type: ignore[method-assign]
    second.history = [seen(account="b", order_id="w1")]

    async with OrderBridge(first, second) as bridge:
        listed = bridge.orders(since=NOW)

        assert [order.order_id async for order in listed] == ["w1"]
        assert listed.left_out == {"bitso": "orders of one symbol only: name it"}
        with pytest.raises(NotSupported, match="name it"):
            bridge.orders(since=NOW, strict=True)


async def test_a_venue_without_a_cancel_of_all_is_named_in_the_receipt(sim: Simulator, stub: Any) -> None:
    """What is open there is still open: the receipt says that it could not be asked."""
    put = sim.bitso.put(status="open")
    async with OrderBridge(sim.bitso.gateway(), stub("plain")) as bridge:
        receipt = await bridge.cancel_all(scope="account")

    assert [order.order_id for order in receipt.orders] == [put.order_id]
    assert receipt.unreachable["plain"].message == "plain has no cancel_all"
