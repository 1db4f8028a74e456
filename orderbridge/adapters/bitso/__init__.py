"""Bitso v3. Source of every rule: Bitso API v3, docs.bitso.com, section "bitso-api"."""

from orderbridge.adapters.bitso.venue import BitsoGateway

__all__ = ["BitsoGateway"]
