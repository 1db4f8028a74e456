"""Holding the amounts of an order, new or changed, against the rules of its market."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

from orderbridge.adapters.bitso.markets import BitsoMarkets
from orderbridge.errors import NotSent, OrderDenied, UnexpectedResponse, VenueError, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.screening import refuse_broken_rules

# Before rules this old refuse an order, they are read again: Bitso may have changed them.
_OLD: Final = 600.0


class Amounts(NamedTuple):
    """What the rules bound; None is not checked."""

    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Rules:
    """The check before sending; switched off where the gateway was told `markets=None`."""

    def __init__(self, markets: BitsoMarkets, *, gateway: str) -> None:
        self._markets = markets
        self._gateway = gateway

    async def hold(self, symbol: Symbol, amounts: Amounts, *, deadline: Deadline, operation: str) -> None:
        """
        Let the amounts pass or refuse them.

        Raises:
            OrderDenied: a broken rule, with the nearest legal values, or no such market.
            NotSent: the rules could not be loaded.
        """
        if not self._markets.is_checked:
            return
        try:
            await self._check(symbol, amounts, deadline=deadline, operation=operation, refresh=False)
        except OrderDenied:
            if self._markets.age < _OLD:
                raise
            await self._check(symbol, amounts, deadline=deadline, operation=operation, refresh=True)

    async def _check(
        self, symbol: Symbol, amounts: Amounts, *, deadline: Deadline, operation: str, refresh: bool
    ) -> None:
        try:
            markets = await self._markets.get(refresh=refresh, deadline=deadline)
        except (VenueUnavailable, UnexpectedResponse, VenueError, TimeoutError) as error:
            message = f"nothing was sent: the markets' rules could not be loaded: {error or 'no time left'}"
            raise NotSent(message, gateway=self._gateway, operation=operation) from error
        market = markets.get(symbol)
        if market is None:
            message = f"Bitso has no market {symbol}"
            raise OrderDenied(message, rule="symbol", gateway=self._gateway, operation=operation)
        broken = market.check_amounts(**amounts._asdict())
        refuse_broken_rules(broken, market, gateway=self._gateway, operation=operation)
