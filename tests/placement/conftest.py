"""Journals and simulated venues for the tests of placing."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orderbridge.placement import Journal, MemoryJournal, SqliteJournal
from orderbridge.simulator import Simulator
from tests.kind import KIND
from tests.placement.kit import Bridges


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """Each kind of journal."""
    made: Journal = MemoryJournal() if request.param == "memory" else SqliteJournal(tmp_path / "orders.db")
    yield made
    await made.aclose()


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """The simulated venues, without pacing; Bitso is kind."""
    async with Simulator(seed=1, bitso={**KIND, "pacing": False}) as running:
        yield running


@pytest.fixture
async def bridges(sim: Simulator) -> AsyncIterator[Bridges]:
    """Makes bridges over the simulated Bitso that probe at once, and closes them."""
    maker = Bridges(sim)
    yield maker
    for bridge in maker.made:
        await bridge.aclose()
