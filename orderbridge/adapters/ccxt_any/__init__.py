"""Any spot exchange that ccxt speaks. ccxt itself is loaded when a gateway is made."""

from orderbridge.adapters.ccxt_any.venue import CcxtGateway

__all__ = ["CcxtGateway"]
