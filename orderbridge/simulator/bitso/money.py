"""Balances and fees of the account."""

from decimal import Decimal
from typing import Any

from orderbridge.simulator.basics import PLACES, mul, plain
from orderbridge.simulator.bitso.books import PRECISION
from orderbridge.simulator.bitso.call import Call
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import Instrument

HUNDRED = Decimal(100)


class Money:
    """The account's money and what trading costs it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def balance(self, call: Call) -> dict[str, Any]:
        """`GET balance`: one row for every currency."""
        return {"balances": [self._row(call.account, currency) for currency in PRECISION]}

    def _row(self, account: str, currency: str) -> dict[str, str]:
        balance = self._engine.accounts.get(account, currency)
        return {
            "currency": currency,
            "available": plain(balance.available, PLACES),
            "locked": plain(balance.locked, PLACES),
            "total": plain(balance.total, PLACES),
            "pending_deposit": plain(Decimal(0), PLACES),
            "pending_withdrawal": plain(Decimal(0), PLACES),
        }

    def fees(self, call: Call) -> dict[str, Any]:
        """
        `GET fees`: per book; the deprecated fields equal the maker's. Withdrawals are not simulated: empty.
        """
        rows = [_fee_row(each) for each in self._engine.instruments.values()]
        return {"fees": rows, "withdrawal_fees": {}, "deposit_fees": []}


def _fee_row(book: Instrument) -> dict[str, str]:
    maker, taker = plain(book.maker_fee, PLACES), plain(book.taker_fee, PLACES)
    maker_percent, taker_percent = (
        plain(mul(book.maker_fee, HUNDRED), 4),
        plain(mul(book.taker_fee, HUNDRED), 4),
    )
    return {
        "book": book.name,
        "maker_fee_decimal": maker,
        "maker_fee_percent": maker_percent,
        "taker_fee_decimal": taker,
        "taker_fee_percent": taker_percent,
        "fee_decimal": maker,
        "fee_percent": maker_percent,
    }
