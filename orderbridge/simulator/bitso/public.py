"""What the simulated Bitso tells everybody: its books and its currencies."""

from decimal import Decimal
from typing import Any

from orderbridge.simulator.amounts import mul, plain
from orderbridge.simulator.bitso.books import FIAT, NAMES, PRECISION
from orderbridge.simulator.bitso.call import Call
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.instrument import Instrument

HUNDRED = Decimal(100)


class Public:
    """The calls that need no key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def available_books(self, call: Call) -> list[dict[str, Any]]:
        """`GET available_books`: bounds, tick and fees."""
        return [_book_row(each) for each in self._engine.instruments.values()]

    def catalogues(self, call: Call) -> dict[str, Any]:
        """`GET catalogues`: the currencies and their decimals; ccxt places no order without it."""
        metadata = [
            {
                "code": code,
                "full_name": NAMES[code],
                "precision": precision,
                "display_ticker": code.upper(),
                "type": "fiat" if code in FIAT else "crypto",
            }
            for code, precision in PRECISION.items()
        ]
        return {"currencies": {"metadata": metadata}}


def _book_row(book: Instrument) -> dict[str, Any]:
    percent = {
        "maker": plain(mul(book.maker_fee, HUNDRED), 3),
        "taker": plain(mul(book.taker_fee, HUNDRED), 3),
    }
    tier = {"volume": "1500000", "maker": plain(book.maker_fee, 5), "taker": plain(book.taker_fee, 5)}
    return {
        "book": book.name,
        "default_chart": "candle",
        "minimum_amount": plain(book.minimum_amount),
        "maximum_amount": plain(book.maximum_amount),
        "minimum_price": plain(book.minimum_price),
        "maximum_price": plain(book.maximum_price),
        "minimum_value": plain(book.minimum_value),
        "maximum_value": plain(book.maximum_value),
        "tick_size": plain(book.tick),
        "margin_enabled": False,
        "fees": {"flat_rate": percent, "structure": [tier]},
    }
