"""What every test may use."""

import os
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

from orderbridge.simulator import Simulator

# The same examples in every run, so that a red build is red for everybody; HYPOTHESIS_PROFILE=search looks further.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Both simulated venues, on loopback ports of their own."""
    async with Simulator(seed=1) as running:
        yield running
