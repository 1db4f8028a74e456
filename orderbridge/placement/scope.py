"""Where a placement was made: an address and a mode. What is asked of another says nothing about it."""

from __future__ import annotations

from orderbridge.errors import ConfigurationError
from orderbridge.gateway import OrderGateway
from orderbridge.placement.states import Record


def mode_of(gateway: OrderGateway) -> str | None:
    """The mode that a placement is told apart by; None where the gateway does not say, or its address says it."""
    return None if gateway.address_tells_mode else gateway.mode


def address_of(gateway: OrderGateway) -> str | None:
    """The address that the gateway speaks to, if it says."""
    return gateway.address.rstrip("/") or None


def is_at(record: Record, gateway: OrderGateway) -> bool:
    """Whether a placement was made at this very place; one that does not say is taken to be."""
    pairs = [(record.mode, mode_of(gateway)), (record.address, address_of(gateway))]
    return all(made is None or here is None or made == here for made, here in pairs)


def elsewhere(record: Record) -> ConfigurationError:
    """The error to raise about a placement that was made at another place."""
    made = " ".join(each for each in (record.address, record.mode) if each is not None)
    return ConfigurationError(
        f"this placement was made at another address or mode: {made}", gateway=record.placement.gateway
    )
