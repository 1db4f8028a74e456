"""The engine: records, balances and the book, moved by commands and by the clock."""

from collections.abc import Iterable
from decimal import Decimal
from random import Random

from orderbridge.simulator.amounts import ZERO, add, mul
from orderbridge.simulator.clock import SimClock
from orderbridge.simulator.engine.account import Accounts
from orderbridge.simulator.engine.instrument import Instrument
from orderbridge.simulator.engine.ledger import Ledger
from orderbridge.simulator.engine.order import Fill, Order

HOUSE = "house"
FEES = "fees"


class Engine:
    """
    One exchange: markets, accounts, orders.

    Args:
        instruments: the markets by name.
        rng: the only source of chance, so that a seed fixes everything.
    """

    def __init__(self, *, instruments: dict[str, Instrument], clock: SimClock, rng: Random) -> None:
        self.instruments = instruments
        self.clock = clock
        self.ledger = Ledger()
        self.accounts = Accounts()
        self._rng = rng
        self._last_trade_id = 98_000_000
        self._last_sequence = 0

    def put(self, order: Order, *, executions: Iterable[tuple[Decimal, Decimal]]) -> Order:
        """Record an order in any state, with fills at (price, quantity) against the house."""
        order.sequence = self.next_sequence()
        self.ledger.add(order)
        for price, quantity in executions:
            self.settle(order, price=price, quantity=quantity, maker=True, trade_id=self.next_trade_id())
        return order

    def next_sequence(self) -> int:
        """A number that rises with every order."""
        self._last_sequence += 1
        return self._last_sequence

    def next_trade_id(self) -> int:
        """A number that rises with every trade."""
        self._last_trade_id += 1
        return self._last_trade_id

    def settle(self, order: Order, *, price: Decimal, quantity: Decimal, maker: bool, trade_id: int) -> Fill:
        """Book one execution to the order's account, against the house."""
        market = self.instruments[order.market]
        value = mul(price, quantity)
        buys = order.side == "buy"
        received, paid = (quantity, value) if buys else (value, quantity)
        into, outof = (market.base, market.quote) if buys else (market.quote, market.base)
        fee = mul(received, market.maker_fee if maker else market.taker_fee)
        self.accounts.move(order.account, HOUSE, outof, paid)
        self.accounts.move(HOUSE, order.account, into, received)
        self.accounts.move(order.account, FEES, into, fee)
        fill = Fill(trade_id, order, price, quantity, fee, into, maker, order.updated_at or order.created_at)
        order.fills.append(fill)
        order.filled = add(order.filled, quantity)
        order.filled_quote = add(order.filled_quote, value)
        order.fee = add(order.fee, fee)
        self.ledger.fills[order.account].append(fill)
        return fill

    def total(self, currency: str) -> Decimal:
        """What all accounts own of a currency together; only deposits change it."""
        amount = ZERO
        for name in self.accounts.names():
            amount = add(amount, self.accounts.get(name, currency).total)
        return amount
