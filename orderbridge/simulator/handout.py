"""
Gateways of this library, pointed at a simulated venue. The only file of the simulator that reaches an
adapter.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orderbridge.simulator.basics import SimClock

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway


def hand_out(venue: str, own: Mapping[str, Any], *, clock: SimClock, settings: Mapping[str, Any]) -> "OrderGateway":
    """
    Build the venue's gateway: the simulator's address and keys, its clock, no pacing; the caller's word wins.
    """
    from orderbridge.registry import build_gateway

    merged = {"clock": clock.time, "limits": None, **own, **settings}
    account = merged.pop("account", "default")
    return build_gateway(venue, account, merged)
