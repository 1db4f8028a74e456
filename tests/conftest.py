"""What every test may use."""

from collections.abc import AsyncIterator

import pytest

from orderbridge.simulator import Simulator


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Both simulated venues, on loopback ports of their own."""
    async with Simulator(seed=1) as running:
        yield running
