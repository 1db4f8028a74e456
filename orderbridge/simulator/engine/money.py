"""Money: who owns what, how executions are booked, what orders lock, and how much of an order can be paid."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from orderbridge.simulator.basics import SMALLEST, ZERO, add, floor_divide, floor_to, mul, sub, value_of
from orderbridge.simulator.engine.market import HOUSE, Instrument, PublicTrade, SimMarket, reaches
from orderbridge.simulator.engine.order import SimFill, SimLedger, SimOrder, State

FEES = "fees"


@dataclass(slots=True)
class Balance:
    """Owned in all, and the part of it that open orders hold."""

    total: Decimal = ZERO
    locked: Decimal = ZERO

    @property
    def available(self) -> Decimal:
        """The part that a new order may use."""
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


class Settlement:
    """
    Moves money for orders. The house pays no fees and may owe; everybody else is checked before.

    A buy locks its unfilled rest times its limit, a sell its unfilled rest. A fill below the limit gives the
    difference back at once. What is paid is rounded half up to eight decimals and the fee is cut down to them, fill by
    fill; so many small fills may cost some hundred-millionths more than the order locked.
    """

    def __init__(self, accounts: Accounts, ledger: SimLedger, *, stop_locks: bool = True) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self.stop_locks = stop_locks

    def execute(self, market: Instrument, maker: SimOrder, taker: SimOrder | None, trade: PublicTrade) -> None:
        """Book one execution to both sides; without a taker, the other side is the house."""
        other = HOUSE if taker is None else taker.account
        buyer, seller = (maker.account, other) if maker.side == "buy" else (other, maker.account)
        self._accounts.move(seller, buyer, market.base, trade.quantity)
        self._accounts.move(buyer, seller, market.quote, value_of(trade.price, trade.quantity))
        for order in (maker, taker):
            if order is not None:
                self._book(market, order, trade, maker=order is maker)

    def _book(self, market: Instrument, order: SimOrder, trade: PublicTrade, *, maker: bool) -> None:
        quantity, value = trade.quantity, value_of(trade.price, trade.quantity)
        order.filled = add(order.filled, quantity)
        order.filled_quote = add(order.filled_quote, value)
        if order.account == HOUSE:
            return
        received, currency = (quantity, market.base) if order.side == "buy" else (value, market.quote)
        fee = floor_to(mul(received, market.maker_fee if maker else market.taker_fee), SMALLEST)
        self._accounts.move(order.account, FEES, currency, fee)
        order.fee = add(order.fee, fee)
        fill = SimFill(trade.trade_id, order, trade.price, quantity, fee, currency, maker, trade.created_at)
        order.fills.append(fill)
        self._ledger.fills[order.account].append(fill)

    def relock(self, market: Instrument, order: SimOrder) -> None:
        """Bring the order's lock to what it needs now."""
        if order.account == HOUSE:
            return
        needed = self.to_lock(order) if order.active else ZERO
        if needed != order.locked:
            self._accounts.lock(order.account, paying(market, order), sub(needed, order.locked))
            order.locked = needed

    def to_lock(self, order: SimOrder) -> Decimal:
        """The money that the order sets aside while it rests or waits."""
        if order.state is State.WAITING and not self.stop_locks:
            return ZERO
        if order.side == "sell":
            return order.remaining
        if order.price is not None:
            return value_of(order.price, order.remaining)
        # A market buy cannot know its price; sized in quote, it is the money.
        return value_left(order) or ZERO

    def available(self, market: Instrument, order: SimOrder) -> Decimal:
        """The money that the order's account may still use, in the currency that the order pays with."""
        return self._accounts.get(order.account, paying(market, order)).available


def value_left(order: SimOrder) -> Decimal | None:
    """Money still to be spent or got by an order sized in quote; None for one sized in base."""
    return None if order.quote_quantity is None else sub(order.quote_quantity, order.filled_quote)


def paying(market: Instrument, order: SimOrder) -> str:
    """The currency that the order pays with."""
    return market.quote if order.side == "buy" else market.base


class Sizing:
    """Sizes in base units, cut down to the market's step where money decides."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    def rest(self, market: SimMarket, order: SimOrder, price: Decimal) -> Decimal:
        """The size that the order still wants at this price."""
        value = value_left(order)
        return order.remaining if value is None else floor_divide(value, price, market.instrument.step)

    def complete(self, market: SimMarket, order: SimOrder) -> bool:
        """
        True if the order has all it wanted; sized in quote, a rest too small for one step does not count.
        """
        if order.quote_quantity is None:
            return order.remaining <= ZERO
        price = market.book.opposite(order.side).best() or market.last
        return order.filled > ZERO and self.rest(market, order, price) <= ZERO

    def next_size(self, market: SimMarket, order: SimOrder, maker: SimOrder) -> Decimal:
        """The size that the order takes from this maker."""
        assert maker.price is not None
        size = min(self.rest(market, order, maker.price), maker.remaining)
        money = self._money(market, order)
        return size if money is None else min(size, self._affordable(market, order, money, maker.price))

    def fillable(self, market: SimMarket, order: SimOrder, limit: Decimal | None) -> bool:
        """True if the book can fill the order whole, within its limit and its account's money."""
        rest, value, money = order.remaining, value_left(order), self._money(market, order)
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

    def _money(self, market: SimMarket, order: SimOrder) -> Decimal | None:
        """The money that the order may spend; None if that is no question, for a limit order has its money locked."""
        if order.price is not None or order.account == HOUSE:
            return None
        return add(self._settlement.available(market.instrument, order), order.locked)

    def _affordable(self, market: SimMarket, order: SimOrder, money: Decimal, price: Decimal) -> Decimal:
        return floor_divide(money, price, market.instrument.step) if order.side == "buy" else money

    def needed(self, market: SimMarket, order: SimOrder) -> Decimal:
        """The money that the account must have for the order to be taken."""
        if order.price is not None or order.state is State.WAITING:
            return self._settlement.to_lock(order)
        return self._cost(market, order) if order.side == "buy" else self._stake(market, order)

    def _cost(self, market: SimMarket, order: SimOrder) -> Decimal:
        if order.quote_quantity is not None:
            return order.quote_quantity
        cost, rest = ZERO, order.remaining
        for price, size in market.book.asks.sizes():
            taken = min(rest, size)
            cost, rest = add(cost, value_of(price, taken)), sub(rest, taken)
            if rest <= ZERO:
                break
        return cost

    def _stake(self, market: SimMarket, order: SimOrder) -> Decimal:
        if order.quote_quantity is None:
            return order.remaining
        stake, money = ZERO, order.quote_quantity
        for price, size in market.book.bids.sizes():
            taken = min(size, floor_divide(money, price, market.instrument.step))
            stake, money = add(stake, taken), sub(money, value_of(price, taken))
            if taken < size:
                break
        return stake
