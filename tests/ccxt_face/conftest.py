"""The simulated venues, ccxt's own Bitso on them, and faces over bridges that probe at once."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.ccxt_face import as_ccxt
from orderbridge.simulator import Simulator
from tests.kind import KIND

TIMES = (0.01, 0.03, *(step / 20 for step in range(1, 200)))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """The simulated venues, without pacing; Bitso is kind."""
    async with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


def bridge_over(sim: Simulator, *, horizon: float = 0.1, venue: str = "bitso", **settings: Any) -> OrderBridge:
    """A bridge over a simulated venue that asks at once, and is soon certain."""
    gateway = getattr(sim, venue).gateway(**settings.pop("gateway", {}))
    return OrderBridge(gateway, settle_horizon=horizon, probe_times=TIMES, **settings)


@pytest.fixture
async def face_of(sim: Simulator) -> AsyncIterator[Callable[..., Any]]:
    """Makes faces of the simulated Bitso, or of another bridge, and closes them."""
    made = []

    def make(bridge: OrderBridge | None = None, name: str = "bitso", *, horizon: float = 0.1, **settings: Any) -> Any:
        made.append(
            face := as_ccxt(bridge or bridge_over(sim, horizon=horizon), name, **{"resolve_for": 2, **settings})
        )
        return face

    yield make
    for face in made:
        await face.close()


@pytest.fixture
async def face(face_of: Callable[..., Any]) -> Any:
    """A face of the simulated Bitso, its markets loaded."""
    made = face_of()
    await made.load_markets()
    return made


@pytest.fixture
async def theirs(sim: Simulator) -> AsyncIterator[Any]:
    """ccxt.async_support.bitso itself, on the simulated Bitso, its markets loaded."""
    from ccxt.async_support import bitso

    client = bitso(ccxt_settings(sim))
    # Beside another client of its key it needs that one's long nonces: Bitso takes no shorter ones after them.
    client.nonce = lambda: time.time_ns()
    await client.load_markets()
    yield client
    await client.close()


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
