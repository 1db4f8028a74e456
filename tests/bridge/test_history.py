"""Orders and fills over time, of several gateways, where one of them errs."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from orderbridge import Fill, OrderBridge
from orderbridge.errors import UnexpectedResponse
from tests.placement.kit import NOW, seen
from tests.placement.test_certificate import Venue, fill


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
