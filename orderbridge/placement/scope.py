"""Where a placement was made: an address and a mode. What is asked of another says nothing about it."""

from __future__ import annotations

from orderbridge.gateway import OrderGateway
from orderbridge.placement.states import Record


def mode_of(gateway: OrderGateway) -> str | None:
    """Paper or live, where the gateway is for one of them."""
    mode = getattr(gateway, "trading_mode", None)
    return mode if isinstance(mode, str) else None


def address_of(gateway: OrderGateway) -> str | None:
    """The address that the gateway speaks to, if it says."""
    address = getattr(gateway, "base_url", None)
    return address.rstrip("/") if isinstance(address, str) else None


def is_at(record: Record, gateway: OrderGateway) -> bool:
    """Whether a placement was made at this very place; one that does not say is taken to be."""
    pairs = [(record.mode, mode_of(gateway)), (record.address, address_of(gateway))]
    return all(made is None or here is None or made == here for made, here in pairs)
