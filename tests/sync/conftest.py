"""Simulated venues in a thread, and a bridge over them."""

from collections.abc import Iterator

import pytest

from orderbridge.simulator import Simulator
from orderbridge.sync import SyncBridge
from tests.kind import KIND


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues, in a thread of their own."""
    with Simulator(seed=1, bitso=KIND) as sim:
        yield sim


@pytest.fixture
def bridge(venue: Simulator) -> Iterator[SyncBridge]:
    """Both venues behind one bridge."""
    with SyncBridge(venue.bitso.gateway(), venue.bitcain.gateway(trading_mode="paper")) as made:
        yield made
