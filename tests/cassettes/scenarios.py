"""A scenario is what is recorded against a simulated venue: a state, a few calls, and what they must have told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from orderbridge.http.retry import Retries
from orderbridge.simulator import Simulator

ONCE: Final = Retries(tries=1)


@dataclass(frozen=True)
class Scenario:
    """One cassette: `prepare` sets the simulated venue up, `run` makes the calls and asserts on the answers."""

    venue: str
    name: str
    prepare: Callable[[Simulator], object]
    run: Callable[[Any], Awaitable[None]]
    gateway: dict[str, Any]

    @property
    def path(self) -> str:
        """Of the cassette, within its folder."""
        return f"{self.venue}/{self.name}.yaml"

    @property
    def key(self) -> str:
        """Of its own: gateways of one key share their lock-outs."""
        return f"simulated-key-{self.name}"


_registered: Final[list[Scenario]] = []


def scenario(
    venue: str, name: str, prepare: Callable[[Simulator], object], **gateway: Any
) -> Callable[[Callable[[Any], Awaitable[None]]], Callable[[Any], Awaitable[None]]]:
    """Register a scenario; its function's docstring is the claim."""

    def add(run: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        _registered.append(Scenario(venue, name, prepare, run, gateway))
        return run

    return add


def all_scenarios() -> list[Scenario]:
    """Those of reading and those of trading, which register themselves when they are imported."""
    for module in ("reading", "trading"):
        import_module(f"tests.cassettes.{module}")
    return list(_registered)
