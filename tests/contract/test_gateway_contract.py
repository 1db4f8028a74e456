"""The contract of every gateway, run unchanged over each of them on its simulated venue, alone and in a bridge."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from orderbridge import Order, OrderBridge, Side
from orderbridge.http.retry import Retries
from orderbridge.model.basics import Symbol
from orderbridge.simulator import Simulator
from orderbridge.testing import Accepted, GatewayContract, StandIn, holds_up
from tests.kind import KIND

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


class Simulated(StandIn):
    """A simulated venue as the contract needs it; `bridges`: the gateways are used through some."""

    place: str
    list: str
    market: str

    def __init__(self, sim: Any, *, in_a_bridge: bool, engine: str) -> None:
        self.sim = sim
        self.engine = engine
        self.is_journalled = in_a_bridge
        self.bridges: list[OrderBridge] = []

    def gateway(self, **settings: Any) -> Any:
        return self.used(self.sim.gateway(retries=QUICK, transport=self.engine, **settings))

    def used(self, gateway: Any) -> Any:
        """The gateway itself, or as a bridge hands it out."""
        if not self.is_journalled:
            return gateway
        self.bridges.append(OrderBridge(gateway))
        return self.bridges[-1][gateway.name]

    def accepted(self, client_order_id: str | None = None) -> Sequence[Accepted]:
        wanted = {} if client_order_id is None else {"client_order_id": client_order_id}
        return self.sim.accepted(**wanted)

    def requests(self) -> Mapping[str, int]:
        named = {self.place: "place", self.list: "list"}
        return Counter({named.get(what, what): count for what, count in self.sim.requests.items()})

    def fill(self, order_id: str, quantity: str | None = None) -> None:
        self.sim.market(self.market).fill(order_id, quantity=quantity)

    def funds(self) -> Any:
        return copy.deepcopy(self.sim.balances)

    def throttle(self) -> None:
        self.sim.fault("throttle", operation="place")

    def lose_answer(self) -> None:
        self.sim.fault("accept_then_drop", operation="place")

    def hold_lists(self) -> None:
        self.sim.fault("delay", operation="open_orders", seconds=1000)


class Bitso(Simulated):
    """The simulated Bitso."""

    symbol, market, price, off_tick = "BTC/MXN", "btc_mxn", "560000", "560004.5"
    nearest = (Decimal(560000), Decimal(560010))
    too_much: ClassVar = {"quantity": "350", "price": "570000"}
    bad: ClassVar = {"api_secret": "wrong"}
    unknown = "bitso:nosuchorder00001"
    place, list = "POST /api/v3/orders", "GET /api/v3/open_orders"
    looks = 2


class Bitcain(Simulated):
    """The simulated Bitcain."""

    symbol, market, price, off_tick = "BTC/USDT", "BTC/USDT", "30000", "30000.001"
    too_much: ClassVar = {"quantity": "9000", "price": "30000"}
    bad: ClassVar = {"token": "wrong"}
    unknown = "bitcain:00000000-0000-4000-8000-000000000000"
    place, list = "POST /api/v1/orders", "GET /api/v1/orders"


class BitsoThroughCcxt(Bitso):
    """The simulated Bitso, reached through ccxt's own client of it."""

    unknown = "ccxt.bitso:nosuchorder00001"
    looks = 1

    def gateway(self, **settings: Any) -> Any:
        from orderbridge.adapters.ccxt_any import CcxtGateway

        config = {
            "api_key": self.sim.api_key,
            "api_secret": self.sim.api_secret,
            "urls": {"api": {"rest": self.sim.origin + "/api"}},
            **settings,
        }
        return self.used(CcxtGateway("bitso", config=config, limits=config.pop("limits", None), retries=QUICK))


KINDS = {"bitso": Bitso, "bitcain": Bitcain, "ccxt.bitso": BitsoThroughCcxt}
CASES = [
    *((name, "httpx", in_a_bridge) for name in ("bitso", "bitcain") for in_a_bridge in (False, True)),
    *((name, "aiohttp", False) for name in ("bitso", "bitcain")),
    *(pytest.param(("ccxt.bitso", "", in_a_bridge), marks=pytest.mark.ccxt) for in_a_bridge in (False, True)),
]


class TestEveryGateway(GatewayContract):
    """Each venue in turn, through either engine, and each through `bridge[name]`."""

    @pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} {case[1]}{' in a bridge' * case[2]}")
    async def venue(self, request: pytest.FixtureRequest) -> AsyncIterator[StandIn]:
        name, engine, in_a_bridge = request.param
        async with Simulator(seed=1, bitso=KIND) as sim:
            kind = KINDS[name]
            known = sim.bitcain if name == "bitcain" else sim.bitso
            stand_in = kind(known, in_a_bridge=in_a_bridge, engine=engine)
            yield stand_in
            for bridge in stand_in.bridges:
                await bridge.aclose()


@pytest.mark.parametrize(
    "changes",
    [{"side": "buy"}, {"quantity": Decimal("NaN")}, {"evidence": ("b", "a")}, {"observed_at": datetime(2026, 1, 1)}],
)
def test_an_order_that_validation_would_not_leave_alone_fails(changes: dict[str, Any]) -> None:
    """What an adapter takes on trust is held against validation by the contract: types, bounds, notes and zones."""
    fields = {"venue": "norte", "order_id": "1", "symbol": Symbol("BTC/MXN"), "side": Side.BUY, "raw": {}}
    assert holds_up(Order.of_checked(**fields)).side is Side.BUY

    with pytest.raises((AssertionError, ValueError)):
        holds_up(Order.of_checked(**{**fields, **changes}))
