"""Executions booked: money from account to account, fees, fills, and what orders lock."""

from datetime import datetime
from decimal import Decimal

from orderbridge.simulator.amounts import SMALLEST, ZERO, add, floor_to, mul, sub, value_of
from orderbridge.simulator.engine.account import Accounts
from orderbridge.simulator.engine.instrument import Instrument
from orderbridge.simulator.engine.ledger import Ledger
from orderbridge.simulator.engine.order import Fill, Order, State

HOUSE = "house"
FEES = "fees"


class Settlement:
    """
    Moves money for orders. The house pays no fees and may owe; everybody else is checked before.

    A buy locks its unfilled rest times its limit, a sell its unfilled rest. A fill below the limit gives the
    difference back at once. What is paid is rounded half up to eight decimals and the fee is cut down to them, fill by
    fill; so many small fills may cost some hundred-millionths more than the order locked.
    """

    def __init__(self, accounts: Accounts, ledger: Ledger, *, stop_locks: bool = True) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self.stop_locks = stop_locks

    def execute(
        self,
        market: Instrument,
        *,
        maker: Order,
        taker: Order,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        at: datetime,
    ) -> None:
        """Book one execution to both sides."""
        buyer, seller = (maker, taker) if maker.side == "buy" else (taker, maker)
        self._accounts.move(seller.account, buyer.account, market.base, quantity)
        self._accounts.move(buyer.account, seller.account, market.quote, value_of(price, quantity))
        for order in (maker, taker):
            self._book(market, order, price, quantity, maker=order is maker, trade_id=trade_id, at=at)

    def against_house(
        self,
        market: Instrument,
        order: Order,
        *,
        price: Decimal,
        quantity: Decimal,
        trade_id: int,
        at: datetime,
    ) -> None:
        """Book one execution of an order that was the maker, with the house as the other side."""
        value = value_of(price, quantity)
        buyer, seller = (order.account, HOUSE) if order.side == "buy" else (HOUSE, order.account)
        self._accounts.move(seller, buyer, market.base, quantity)
        self._accounts.move(buyer, seller, market.quote, value)
        self._book(market, order, price, quantity, maker=True, trade_id=trade_id, at=at)

    def _book(
        self,
        market: Instrument,
        order: Order,
        price: Decimal,
        quantity: Decimal,
        *,
        maker: bool,
        trade_id: int,
        at: datetime,
    ) -> None:
        value = value_of(price, quantity)
        order.filled = add(order.filled, quantity)
        order.filled_quote = add(order.filled_quote, value)
        if order.account == HOUSE:
            return
        received, currency = (quantity, market.base) if order.side == "buy" else (value, market.quote)
        fee = floor_to(mul(received, market.maker_fee if maker else market.taker_fee), SMALLEST)
        self._accounts.move(order.account, FEES, currency, fee)
        order.fee = add(order.fee, fee)
        fill = Fill(trade_id, order, price, quantity, fee, currency, maker, at)
        order.fills.append(fill)
        self._ledger.fills[order.account].append(fill)

    def relock(self, market: Instrument, order: Order) -> None:
        """Bring the order's lock to what it needs now."""
        if order.account == HOUSE:
            return
        needed = self.to_lock(order) if order.active else ZERO
        if needed != order.locked:
            self._accounts.lock(order.account, paying(market, order), sub(needed, order.locked))
            order.locked = needed

    def to_lock(self, order: Order) -> Decimal:
        """What the order sets aside while it rests or waits."""
        if order.state is State.WAITING and not self.stop_locks:
            return ZERO
        if order.side == "sell":
            return order.remaining
        if order.price is not None:
            return value_of(order.price, order.remaining)
        # A market buy cannot know its price; sized in quote, it is the money.
        return ZERO if order.quote_quantity is None else sub(order.quote_quantity, order.filled_quote)

    def available(self, market: Instrument, order: Order) -> Decimal:
        """What the order's account may still use of the currency that the order pays with."""
        return self._accounts.get(order.account, paying(market, order)).available


def paying(market: Instrument, order: Order) -> str:
    """The currency that the order pays with."""
    return market.quote if order.side == "buy" else market.base
