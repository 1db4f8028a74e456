"""ccxt's classes with streams: `import orderbridge.ccxt.pro as ccxt`."""

from typing import Any

from orderbridge.ccxt.classes import mirrored, names_of


def __getattr__(name: str) -> Any:
    return mirrored("ccxt.pro", name)


def __dir__() -> list[str]:
    return names_of("ccxt.pro")
