"""Whatever is done to the engine, in whatever order: money is conserved and the rules of a book hold."""

import contextlib
from datetime import timedelta
from decimal import Decimal
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orderbridge.simulator import SimClock
from orderbridge.simulator.basics import add
from orderbridge.simulator.engine.engine import MatchingEngine, NotEnough
from orderbridge.simulator.engine.order import State

START = 1_767_607_200.0
SIDES = st.sampled_from(["buy", "sell"])
PRICES = st.integers(110, 130).map(lambda n: Decimal(n) * 10_000)
SIZES = st.integers(1, 60_000_000).map(lambda n: Decimal(n).scaleb(-7))
ACCOUNTS = st.sampled_from(["bot", "other"])
TERMS = st.sampled_from(["gtc", "gtc", "gtc", "ioc", "fok", "post", "gtt"])
WHICH = st.integers(0, 30)

COMMANDS = st.one_of(
    st.tuples(st.just("limit"), ACCOUNTS, SIDES, SIZES, PRICES, TERMS),
    st.tuples(st.just("market"), ACCOUNTS, SIDES, SIZES, st.booleans(), st.sampled_from(["gtc", "ioc", "fok"])),
    st.tuples(st.just("stop"), ACCOUNTS, SIDES, SIZES, PRICES, st.booleans(), st.sampled_from(["gtc", "ioc", "fok"])),
    st.tuples(st.just("cancel"), WHICH),
    st.tuples(st.just("edit"), WHICH, SIZES, PRICES),
    st.tuples(st.just("trade"), PRICES, SIZES),
    st.tuples(st.just("wait"), st.integers(1, 40)),
)


class Run:
    """Plays commands on a fresh engine."""

    def __init__(self, bench: Any, *, quotes: bool, poor: bool = False, stop_locks: bool = True) -> None:
        self.clock = SimClock(start=START, running=False)
        self.btc, self.mxn = (5, 7_000_000) if poor else (100, 100_000_000)
        self.engine: MatchingEngine = bench.new_engine(clock=self.clock, quotes=quotes, btc=self.btc, mxn=self.mxn)
        self.engine.settlement.stop_locks = stop_locks
        self._make = bench.order_maker(self.clock)
        self._orders: list[Any] = []

    def play(self, command: tuple[Any, ...]) -> None:
        """One command, and the laws; what the account cannot pay for does not happen."""
        edited = self._to_edit(command[1]) if command[0] == "edit" else None
        queues = self._queues(besides=edited)
        with contextlib.suppress(NotEnough):
            getattr(self, f"_{command[0]}")(*command[1:])
        check(self)
        for queue in queues:
            check_priority(queue)

    def _queues(self, *, besides: Any) -> list[list[tuple[Any, Decimal]]]:
        """Everybody's resting orders with what is filled of them, best first, of either side."""
        book = self.engine.market("btc_mxn").book
        return [
            [(order, order.filled) for order in half.orders() if order.account != "house" and order is not besides]
            for half in (book.bids, book.asks)
        ]

    def _place(self, order: Any) -> None:
        self._orders.append(self.engine.place(order))

    def _limit(self, account: str, side: str, size: Decimal, price: Decimal, terms: str) -> None:
        about: dict[str, Any] = {
            "time_in_force": "gtc" if terms == "post" else terms,
            "post_only": terms == "post",
        }
        if terms == "gtt":
            about["expires_at"] = self.clock.now() + timedelta(seconds=30)
        self._place(self._make(side, size, price, account=account, **about))

    def _market(self, account: str, side: str, size: Decimal, by_quote: bool, terms: str) -> None:
        about: dict[str, Any] = {"quote_quantity": size * 1_000_000} if by_quote else {}
        self._place(self._make(side, None if by_quote else size, account=account, time_in_force=terms, **about))

    def _stop(self, account: str, side: str, size: Decimal, stop: Decimal, limited: bool, terms: str) -> None:
        about = {"time_in_force": terms, "trigger": "above" if side == "buy" else "below"}
        self._place(self._make(side, size, stop if limited else None, account=account, stop_price=stop, **about))

    def _cancel(self, which: int) -> None:
        if self._orders:
            self.engine.cancel(self._orders[which % len(self._orders)])

    def _to_edit(self, which: int) -> Any:
        active = [order for order in self._orders if order.active and order.price is not None]
        return active[which % len(active)] if active else None

    def _edit(self, which: int, size: Decimal, price: Decimal) -> None:
        order = self._to_edit(which)
        if order is not None:
            self.engine.edit(order, quantity=order.filled + size, price=price)

    def _trade(self, price: Decimal, size: Decimal) -> None:
        self.engine.trade(self.engine.market("btc_mxn"), price=price, quantity=size)

    def _wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        self.engine.tick()

    def state(self) -> list[Any]:
        """Everything that can be seen of the engine."""
        market, accounts = self.engine.market("btc_mxn"), self.engine.accounts
        return [
            [(o.order_id, o.state, o.filled, o.filled_quote, o.locked, o.updated_at) for o in self._orders],
            [list(half.sizes()) for half in (market.book.bids, market.book.asks)],
            {n: {c: (b.total, b.locked) for c, b in accounts.of(n).items()} for n in accounts.names()},
            list(market.trades),
        ]  # fmt: skip


def check(run: Run) -> None:
    """The laws."""
    engine = run.engine
    for currency, each in (("btc", run.btc), ("mxn", run.mxn)):
        owned = [engine.accounts.get(name, currency).total for name in engine.accounts.names()]
        assert reduce(add, owned) == 2 * each
        for account in ("bot", "other"):
            balance = engine.accounts.get(account, currency)
            assert balance.available >= 0
            pays = {"btc": "sell", "mxn": "buy"}[currency]
            locks = [o.locked for o in engine.ledger.of_account(account) if o.side == pays]
            assert balance.locked == sum(locks)
    book = engine.market("btc_mxn").book
    bid, ask = book.bids.best(), book.asks.best()
    assert bid is None or ask is None or bid < ask
    for half in (book.bids, book.asks):
        for _, level in half.levels():
            own = [order.sequence for order in level if order.account != "house"]
            assert own == sorted(own)
    for order in engine.ledger.orders.values():
        check_order(order)


def check_priority(queue: list[tuple[Any, Decimal]]) -> None:
    """Of a queue as it stood before a command, nobody has traded while somebody before him still rests."""
    waiting = False
    for order, filled_before in queue:
        assert not (waiting and order.filled > filled_before)
        waiting = waiting or order.resting


def check_order(order: Any) -> None:
    """The laws of one order."""
    assert order.filled == sum(fill.quantity for fill in order.fills)
    assert order.filled_quote == sum(fill.quantity * fill.price for fill in order.fills)
    if order.quantity is not None:
        assert order.filled <= order.quantity
        assert (order.state is State.FILLED) == (order.filled == order.quantity)
    else:
        assert order.filled_quote <= order.quote_quantity
    assert order.active or order.locked == 0
    assert order.active or not order.resting
    if order.time_in_force in ("ioc", "fok"):
        assert not order.resting
    if order.time_in_force == "fok" and order.state is not State.FILLED:
        assert order.filled == 0


@settings(max_examples=250, deadline=None)
@given(commands=st.lists(COMMANDS, max_size=30), quotes=st.booleans(), poor=st.booleans(), stop_locks=st.booleans())
def test_the_laws_hold_after_every_command_and_a_replay_agrees(
    bench: Any, commands: list[tuple[Any, ...]], quotes: bool, poor: bool, stop_locks: bool
) -> None:
    """
    No money is made or lost, no level is crossed, no order overfilled, none jumps the queue, IOC and FOK never
    rest, FOK is all or nothing, for the poor as well; the same commands give the same state.
    """
    first, second = (Run(bench, quotes=quotes, poor=poor, stop_locks=stop_locks) for _ in range(2))

    for command in commands:
        first.play(command)
        second.play(command)

    assert first.state() == second.state()


@settings(max_examples=60, deadline=None)
@given(orders=st.lists(st.tuples(ACCOUNTS, SIDES, SIZES, PRICES), max_size=25))
def test_no_fill_is_worse_than_its_limit(bench: Any, orders: list[tuple[Any, ...]]) -> None:
    """Every execution is at the order's limit or better, and at the maker's price."""
    run = Run(bench, quotes=False)

    for account, side, size, price in orders:
        run.play(("limit", account, side, size, price, "gtc"))

    for order in run.engine.ledger.orders.values():
        for fill in order.fills:
            assert fill.price <= order.price if order.side == "buy" else fill.price >= order.price
            assert not fill.maker or fill.price == order.price
