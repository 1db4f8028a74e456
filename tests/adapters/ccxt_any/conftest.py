"""A gateway over ccxt's Bitso on the simulated one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.http.retry import Retries

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)

# One market of Bitso's in ccxt's words.
MARKET = {
    "id": "btc_mxn",
    "symbol": "BTC/MXN",
    "base": "BTC",
    "quote": "MXN",
    "baseId": "btc",
    "quoteId": "mxn",
    "type": "spot",
    "spot": True,
    "precision": {"amount": "0.00000001", "price": "10"},
    "limits": {},
}


def config_of(sim: Any, **more: Any) -> dict[str, Any]:
    """What ccxt's Bitso needs to reach the simulated one."""
    return {
        "apiKey": sim.bitso.api_key,
        "secret": sim.bitso.api_secret,
        "urls": {"api": {"rest": sim.bitso.origin + "/api"}},
        **more,
    }


@pytest.fixture
async def make(sim: Any) -> AsyncIterator[Callable[..., CcxtGateway]]:
    """Makes gateways over ccxt's Bitso; they are closed with the test."""
    async with AsyncExitStack() as stack:

        def one(**settings: Any) -> CcxtGateway:
            config = config_of(sim, **settings.pop("config", {}))
            made = CcxtGateway("bitso", config=config, **{"limits": None, "retries": QUICK, **settings})
            stack.push_async_exit(made)
            return made

        yield one


@pytest.fixture
def gateway(make: Callable[..., CcxtGateway]) -> CcxtGateway:
    """One of them."""
    return make()
