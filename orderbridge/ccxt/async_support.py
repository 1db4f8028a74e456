"""ccxt's classes with `await`: `import orderbridge.ccxt.async_support as ccxt`."""

from typing import Any

from orderbridge.ccxt.classes import mirrored, names_of


def __getattr__(name: str) -> Any:
    return mirrored("ccxt.async_support", name)


def __dir__() -> list[str]:
    return names_of("ccxt.async_support")
