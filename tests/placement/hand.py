"""More venues made by hand, beside `test_resolve_certificate.Venue`: one that accepts, one that never answers."""

import asyncio
from typing import Any

import pytest

from orderbridge import Alarm, Order, OrderBridge, OrderRequest, Placement
from orderbridge.errors import OutcomeUnknown
from tests.placement.kit import limit_buy, seen
from tests.placement.test_resolve_certificate import Venue

PROBES = tuple(n / 100 for n in range(1, 12))


class Accepting(Venue):
    """It takes every order, and numbers them."""

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(**capabilities)
        self.status = "open"

    async def submit(self, request: OrderRequest, **how: Any) -> Order:
        self.sent.append(request)
        ids = {"order_id": f"oid{len(self.sent)}", "client_order_id": request.client_order_id}
        return seen(self.status, **ids, price=request.price)


class Hanging(Venue):
    """One of its calls never ends, whatever its time limit."""

    def __init__(self, *hung: str, **capabilities: Any) -> None:
        super().__init__(**capabilities)
        for name in hung:
            setattr(self, name, listing_for_ever if name in {"fills", "orders"} else for_ever)


async def for_ever(*args: Any, **how: Any) -> Any:
    await asyncio.Event().wait()


async def listing_for_ever(*args: Any, **how: Any) -> Any:
    await asyncio.Event().wait()
    yield


class Bot:
    """A bridge over one venue, with its alarms, that probes at once."""

    def __init__(self, venue: Venue, **settings: Any) -> None:
        self.alarms: list[Alarm] = []
        known = {"settle_horizon": 0.03, "probe_times": PROBES, "on_alarm": self.alarms.append}
        self.bridge = OrderBridge(venue, **{**known, **settings})

    @property
    def kinds(self) -> list[str]:
        """The kinds of the alarms so far."""
        return [alarm.kind.value for alarm in self.alarms]

    async def lose(self, request: OrderRequest | None = None, **how: Any) -> Placement:
        """Place, where the answer is lost: the placement."""
        with pytest.raises(OutcomeUnknown) as caught:
            await self.bridge.place("bitso", request or limit_buy(), **how)
        assert caught.value.placement is not None
        return caught.value.placement
