"""How much of an order can trade: its rest, its money, and what the book offers."""

from decimal import Decimal

from orderbridge.simulator.amounts import ZERO, add, floor_divide, sub, value_of
from orderbridge.simulator.engine.book import reaches
from orderbridge.simulator.engine.market import Market
from orderbridge.simulator.engine.order import Order, State
from orderbridge.simulator.engine.settlement import HOUSE, Settlement


class Sizing:
    """Sizes in base units, cut down to the market's step where money decides."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    def rest(self, market: Market, order: Order, price: Decimal) -> Decimal:
        """What the order still wants at this price."""
        value = self._value_left(order)
        return order.remaining if value is None else floor_divide(value, price, market.instrument.step)

    def complete(self, market: Market, order: Order) -> bool:
        """
        Whether the order has all it wanted; sized in quote, a rest too small for one step does not count.
        """
        if order.quote_quantity is None:
            return order.remaining <= ZERO
        price = market.book.opposite(order.side).best() or market.last
        return order.filled > ZERO and self.rest(market, order, price) <= ZERO

    def next_size(self, market: Market, order: Order, maker: Order) -> Decimal:
        """How much the order takes from this maker."""
        assert maker.price is not None
        size = min(self.rest(market, order, maker.price), maker.remaining)
        money = self._money(market, order)
        return size if money is None else min(size, self._affordable(market, order, money, maker.price))

    def fillable(self, market: Market, order: Order, limit: Decimal | None) -> bool:
        """Whether the book can fill the order whole, within its limit and its account's money."""
        rest, value, money = order.remaining, self._value_left(order), self._money(market, order)
        for maker in market.book.opposite(order.side).orders():
            assert maker.price is not None
            if not reaches(order.side, limit, maker.price):
                return False
            wanted = rest if value is None else floor_divide(value, maker.price, market.instrument.step)
            size = min(wanted, maker.remaining)
            if money is not None:
                if size > self._affordable(market, order, money, maker.price):
                    return False
                money = sub(money, value_of(maker.price, size) if order.side == "buy" else size)
            if size == wanted:
                return True
            rest, value = sub(rest, size), None if value is None else sub(value, value_of(maker.price, size))
        return False

    def _value_left(self, order: Order) -> Decimal | None:
        return None if order.quote_quantity is None else sub(order.quote_quantity, order.filled_quote)

    def _money(self, market: Market, order: Order) -> Decimal | None:
        """What the order may spend; None if that is no question, for a limit order has its money locked."""
        if order.price is not None or order.account == HOUSE:
            return None
        return add(self._settlement.available(market.instrument, order), order.locked)

    def _affordable(self, market: Market, order: Order, money: Decimal, price: Decimal) -> Decimal:
        return floor_divide(money, price, market.instrument.step) if order.side == "buy" else money

    def needed(self, market: Market, order: Order) -> Decimal:
        """What the account must have for the order to be taken."""
        if order.price is not None or order.state is State.WAITING:
            return self._settlement.to_lock(order)
        return self._cost(market, order) if order.side == "buy" else self._stake(market, order)

    def _cost(self, market: Market, order: Order) -> Decimal:
        if order.quote_quantity is not None:
            return order.quote_quantity
        cost, rest = ZERO, order.remaining
        for price, size in market.book.asks.sizes():
            taken = min(rest, size)
            cost, rest = add(cost, value_of(price, taken)), sub(rest, taken)
            if rest <= ZERO:
                break
        return cost

    def _stake(self, market: Market, order: Order) -> Decimal:
        if order.quote_quantity is None:
            return order.remaining
        stake, money = ZERO, order.quote_quantity
        for price, size in market.book.bids.sizes():
            taken = min(size, floor_divide(money, price, market.instrument.step))
            stake, money = add(stake, taken), sub(money, value_of(price, taken))
            if taken < size:
                break
        return stake
