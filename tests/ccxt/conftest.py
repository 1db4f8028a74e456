"""The simulated venues, ccxt's own Bitso on them, and ccxt's order calls over bridges that probe at once."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.http.retry import Retries
from orderbridge.simulator import Simulator
from tests.ccxt.validated import validated
from tests.kind import KIND

TIMES = (0.01, 0.03, *(step / 20 for step in range(1, 200)))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """The simulated venues, without pacing; Bitso is kind."""
    async with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


def bridge_over(sim: Simulator, *, horizon: float = 0.1, venue: str = "bitso", **settings: Any) -> OrderBridge:
    """A bridge over a simulated venue that asks at once, and is soon certain. ccxt's Bitso takes no client ids."""
    quick = Retries(tries=2, first_wait=0.01, longest_wait=0.01)
    if venue == "ccxt.bitso":
        from orderbridge.adapters.ccxt_any import CcxtGateway

        gateway: Any = CcxtGateway("bitso", config=ccxt_settings(sim), limits=None, retries=quick)
        # What was sent to the simulator has arrived.
        gateway.__class__ = type("OnLoopback", (CcxtGateway,), {"longest_attempt": 0.0})
    else:
        gateway = getattr(sim, venue).gateway(**{"retries": quick, **settings.pop("gateway", {})})
    return OrderBridge(gateway, settle_horizon=horizon, **{"probe_times": TIMES, **settings})


@pytest.fixture
async def exchange_of(sim: Simulator) -> AsyncIterator[Callable[..., Any]]:
    """Makes the calls over the simulated Bitso, or another bridge, each dict of theirs checked; closes the bridges."""
    from orderbridge.ccxt.orders import CcxtOrders

    made = []

    def make(bridge: OrderBridge | None = None, name: str = "bitso", *, horizon: float = 0.1, **settings: Any) -> Any:
        made.append(bridge := bridge or bridge_over(sim, horizon=horizon, venue=name if "." in name else "bitso"))
        orders = CcxtOrders(bridge, name, **{"resolve_for": 2, **settings})
        return validated(orders, settings.get("number", float))

    yield make
    for bridge in made:
        await bridge.aclose()


@pytest.fixture
async def exchange(exchange_of: Callable[..., Any]) -> Any:
    """The calls over the simulated Bitso, its markets loaded."""
    made = exchange_of()
    await made._gateway.markets()
    return made


@pytest.fixture
async def theirs(sim: Simulator) -> AsyncIterator[Any]:
    """ccxt.async_support.bitso itself, on the simulated Bitso, its markets loaded."""
    from ccxt.async_support import bitso

    client = with_long_nonces(bitso(ccxt_settings(sim)))
    await client.load_markets()
    yield client
    await client.close()


def with_long_nonces(client: Any) -> Any:
    """
    An object of ccxt's own, with nanoseconds for nonces.

    By itself it has one number for all requests of a millisecond, of which Bitso takes the first, and no shorter one
    after those of another client of its key.
    """
    client.nonce = lambda: time.time_ns()
    return client


def ccxt_settings(sim: Simulator) -> dict[str, Any]:
    """What points ccxt's Bitso to the simulated one, without its pause of two seconds between calls."""
    venue = sim.bitso
    return {
        "apiKey": venue.api_key,
        "secret": venue.api_secret,
        "urls": {"api": {"rest": venue.origin + "/api"}},
        "enableRateLimit": False,
        "timeout": 2_000,
        "timeout_on_exit": 0,
    }
