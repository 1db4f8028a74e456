"""ccxt's classes with streams: `import orderbridge.ccxt.pro as ccxt`."""

from __future__ import annotations

from orderbridge.ccxt.classes import mirror

__getattr__, __dir__ = mirror("ccxt.pro")
