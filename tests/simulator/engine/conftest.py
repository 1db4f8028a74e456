"""An engine with one market and two accounts, and a maker of orders."""

import itertools
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from orderbridge.simulator import SimClock
from orderbridge.simulator.bitso.mapping import BOOKS
from orderbridge.simulator.engine.engine import MatchingEngine
from orderbridge.simulator.engine.order import SimOrder

MakeOrder = Callable[..., SimOrder]


def new_engine(*, clock: SimClock, quotes: bool = False, btc: int = 100, mxn: int = 100_000_000) -> MatchingEngine:
    """BTC/MXN, funds for each of `bot` and `other`, and no counter-party unless asked for."""
    engine = MatchingEngine(instruments={"btc_mxn": BOOKS["btc_mxn"]}, clock=clock, rng=Random(1))
    engine.counterparty.enabled = quotes
    for account in ("bot", "other"):
        engine.accounts.deposit(account, "btc", Decimal(btc))
        engine.accounts.deposit(account, "mxn", Decimal(mxn))
    return engine


def order_maker(clock: SimClock) -> MakeOrder:
    """Orders with running numbers as ids; amounts may be text."""
    numbers = itertools.count(1)

    def make(side: str, quantity: Any = None, price: Any = None, **about: Any) -> SimOrder:
        for name in ("quote_quantity", "stop_price", "slippage"):
            if name in about:
                about[name] = Decimal(about[name])
        return SimOrder(
            order_id=f"o{next(numbers)}",
            account=about.pop("account", "bot"),
            market="btc_mxn",
            side=side,
            type="market" if price is None else "limit",
            created_at=clock.now(),
            quantity=None if quantity is None else Decimal(quantity),
            price=None if price is None else Decimal(price),
            **about,
        )

    return make


class Bench:
    """What property tests build engines with."""

    new_engine = staticmethod(new_engine)
    order_maker = staticmethod(order_maker)


@pytest.fixture(scope="session")
def bench() -> type[Bench]:
    """Makers of engines and orders, for tests that need many of them."""
    return Bench


@pytest.fixture
def engine(clock: SimClock) -> MatchingEngine:
    """An engine without a counter-party: the book is what the test puts there."""
    return new_engine(clock=clock)


@pytest.fixture
def make(clock: SimClock) -> MakeOrder:
    """Makes orders."""
    return order_maker(clock)
