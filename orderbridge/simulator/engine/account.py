"""Balances: what an account owns of each currency, and how much of it is set aside for orders."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from orderbridge.simulator.amounts import ZERO, add, sub


@dataclass(slots=True)
class Balance:
    """Owned in all, and the part of it that open orders hold."""

    total: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def available(self) -> Decimal:
        """What a new order may use."""
        return sub(self.total, self.locked)


class Accounts:
    """
    All accounts of one engine. Money only moves between them: the sum of a currency changes by `deposit`
    alone.
    """

    def __init__(self) -> None:
        self._balances: defaultdict[str, defaultdict[str, Balance]] = defaultdict(lambda: defaultdict(Balance))

    def of(self, account: str) -> dict[str, Balance]:
        """The account's balances by currency."""
        return self._balances[account]

    def get(self, account: str, currency: str) -> Balance:
        """One balance."""
        return self._balances[account][currency]

    def names(self) -> list[str]:
        """Every account that was ever used."""
        return list(self._balances)

    def deposit(self, account: str, currency: str, amount: Decimal) -> None:
        """Bring money in from outside."""
        balance = self._balances[account][currency]
        balance.total = add(balance.total, amount)

    def move(self, source: str, target: str, currency: str, amount: Decimal) -> None:
        """Pay from one account to another."""
        payer, payee = self._balances[source][currency], self._balances[target][currency]
        payer.total = sub(payer.total, amount)
        payee.total = add(payee.total, amount)

    def lock(self, account: str, currency: str, amount: Decimal) -> None:
        """Set aside; a negative amount releases."""
        balance = self._balances[account][currency]
        balance.locked = add(balance.locked, amount)
