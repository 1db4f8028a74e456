"""ccxt's classes with `await`: `import orderbridge.ccxt.async_support as ccxt`."""

from __future__ import annotations

from orderbridge.ccxt.classes import mirror

__getattr__, __dir__ = mirror("ccxt.async_support")
