"""
Gateways of this library, pointed at a simulated venue. The only file of the simulator that reaches an
adapter.
"""

from collections.abc import Mapping
from typing import Any

from orderbridge.simulator.clock import SimClock


def hand_out(venue: str, own: Mapping[str, Any], *, clock: SimClock, settings: Mapping[str, Any]) -> Any:
    """
    Build the venue's gateway: the simulator's address and keys, its clock, no pacing; the caller's word wins.
    """
    from orderbridge.registry import build_gateway  # type: ignore[import-not-found,unused-ignore]

    merged = {"clock": clock.time, "limits": None, **own, **settings}
    account = merged.pop("account", "default")
    return build_gateway(venue, account, merged)
