"""Simulated venues, and settings for the commands that talk to them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from orderbridge.cli import command
from orderbridge.simulator import Simulator
from tests.kind import KIND

_VARIABLES = (
    "BITSO_API_KEY",
    "BITSO_API_SECRET",
    "BITSO_BASE_URL",
    "BITCAIN_TOKEN",
    "BITCAIN_EMAIL",
    "BITCAIN_PASSWORD",
    "BITCAIN_BASE_URL",
    "BITCAIN_TRADING_MODE",
)


@pytest.fixture
def venue() -> Iterator[Simulator]:
    """The simulated venues in a thread of their own: commands bring their own loop."""
    with Simulator(seed=1, bitso=KIND) as sim:
        yield sim


@pytest.fixture(autouse=True)
def own_log_level() -> Iterator[None]:
    """Commands set how much is logged, for the whole process: other tests must not find it so."""
    logger = logging.getLogger("orderbridge")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of the machine reach a command."""
    for name in (*_VARIABLES, "ORDERBRIDGE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys(venue: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both gateways, set up by the environment."""
    monkeypatch.setenv("BITSO_API_KEY", venue.bitso.api_key)
    monkeypatch.setenv("BITSO_API_SECRET", venue.bitso.api_secret)
    monkeypatch.setenv("BITSO_BASE_URL", venue.bitso.base_url)
    monkeypatch.setenv("BITCAIN_TOKEN", venue.bitcain.token)
    monkeypatch.setenv("BITCAIN_BASE_URL", venue.bitcain.base_url)
    monkeypatch.setenv("BITCAIN_TRADING_MODE", "paper")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there to be asked: the runner's stdin is no terminal."""
    monkeypatch.setattr(command, "at_terminal", lambda: True)
