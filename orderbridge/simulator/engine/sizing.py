"""How much of an order can trade: its rest, its money, and what the book offers."""

from decimal import Decimal

from orderbridge.simulator.amounts import ZERO, add, floor_divide, mul, sub
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
        if order.quote_quantity is None:
            return order.remaining
        money = sub(order.quote_quantity, order.filled_quote)
        return floor_divide(money, price, market.instrument.step)

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
        if order.price is not None or order.account == HOUSE:
            return size  # a limit order has its money locked
        money = add(self._settlement.available(market.instrument, order), order.locked)
        most = floor_divide(money, maker.price, market.instrument.step) if order.side == "buy" else money
        return min(size, most)

    def fillable(self, market: Market, order: Order, limit: Decimal | None) -> bool:
        """Whether the book can fill the order whole within its limit."""
        rest = order.remaining
        for price, size in market.book.opposite(order.side).sizes():
            if rest <= ZERO or not reaches(order.side, limit, price):
                break
            rest = sub(rest, size)
        return rest <= ZERO

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
            cost, rest = add(cost, mul(price, taken)), sub(rest, taken)
            if rest <= ZERO:
                break
        return cost

    def _stake(self, market: Market, order: Order) -> Decimal:
        if order.quote_quantity is None:
            return order.remaining
        stake, money = ZERO, order.quote_quantity
        for price, size in market.book.bids.sizes():
            taken = min(size, floor_divide(money, price, market.instrument.step))
            stake, money = add(stake, taken), sub(money, mul(price, taken))
            if taken < size:
                break
        return stake
