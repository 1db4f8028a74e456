"""
ccxt's own classes, with the orders taken over: `import orderbridge.ccxt as ccxt` in place of `import ccxt`.

Each class is made at its first use, as a subclass of ccxt's own. Orders of spot markets are placed at most once, found
and cancelled by a bridge; everything else is ccxt's. `orderbridge.ccxt.async_support` and `orderbridge.ccxt.pro` stand
for ccxt's other two modules, and `python -m orderbridge.ccxt PROGRAM` runs a program whose imports stay as they are.
"""

from typing import Any

try:
    import ccxt as _ccxt  # noqa: F401 - said here, as whoever reads the error has to know what to install
except ModuleNotFoundError as error:
    if error.name != "ccxt":
        raise
    raise ModuleNotFoundError("ccxt is not installed: pip install 'orderbridge[ccxt]'", name="ccxt") from error

from orderbridge.ccxt.classes import mirrored, names_of


def __getattr__(name: str) -> Any:
    return mirrored("ccxt", name)


def __dir__() -> list[str]:
    return names_of("ccxt")
