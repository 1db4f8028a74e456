"""The counter-party: seeded quotes around a reference price, restored once they are taken."""

from datetime import datetime
from decimal import Decimal
from random import Random

from orderbridge.simulator.amounts import add, floor_divide, floor_to, mul, sub
from orderbridge.simulator.engine.market import Market
from orderbridge.simulator.engine.order import Order
from orderbridge.simulator.engine.settlement import HOUSE

RUNGS = 8
SPACING = Decimal("0.001")
LEAST_SHARE, MOST_SHARE = 1, 10


class Counterparty:
    """
    Quotes eight rungs on each side, a thousandth of the reference apart.

    Each rung is worth one to ten times the market's depth, by the seed. A rung that would cross somebody's
    order is left out.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._count = 0
        self.enabled = True

    def quote(self, market: Market, at: datetime) -> None:
        """Restore the rungs that are missing."""
        if not (self.enabled and market.quotes_stale):
            return
        market.quotes_stale = False
        for number in range(1, RUNGS + 1):
            for side in ("buy", "sell"):
                price = self._price(market, side, number)
                if (side, price) not in market.quotes and price > 0 and not market.book.crosses(side, price):
                    self._rest(market, side, price, at)

    def withdraw(self, market: Market) -> None:
        """Take every quote away."""
        for order in market.quotes.values():
            if order.resting:
                market.book.own(order.side).remove(order)
        market.quotes.clear()
        market.quotes_stale = True

    def consumed(self, market: Market, order: Order) -> None:
        """One of the quotes has traded away."""
        assert order.price is not None
        market.quotes.pop((order.side, order.price), None)
        market.quotes_stale = True

    def _price(self, market: Market, side: str, number: int) -> Decimal:
        away = mul(market.reference, mul(SPACING, Decimal(number)))
        tick = market.instrument.tick
        if side == "buy":
            return floor_to(sub(market.reference, away), tick)
        price = add(market.reference, away)
        floor = floor_to(price, tick)
        return floor if floor == price else add(floor, tick)

    def _rest(self, market: Market, side: str, price: Decimal, at: datetime) -> None:
        share = Decimal(self._rng.randint(LEAST_SHARE, MOST_SHARE))
        size = floor_divide(mul(market.instrument.depth, share), price, market.instrument.step)
        if size <= 0:
            return
        self._count += 1
        quote = Order(
            order_id=f"quote{self._count:011d}",
            account=HOUSE,
            market=market.instrument.name,
            side=side,
            type="limit",
            created_at=at,
            quantity=size,
            price=price,
        )
        market.book.own(side).add(quote)
        market.quotes[side, price] = quote
