"""An engine's state besides its orders as plain values, and an engine made from what was kept."""

from decimal import Decimal
from typing import Any

from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import Market
from orderbridge.simulator.engine.order import Order, State
from orderbridge.simulator.engine.settlement import paying


def facts_of(engine: Engine) -> dict[str, Any]:
    """Counters, balances and prices."""
    matcher, accounts = engine.matcher, engine.accounts
    return {
        "trade_id": matcher.last_trade_id,
        "sequence": matcher.last_sequence,
        "totals": {
            account: {currency: str(each.total) for currency, each in accounts.of(account).items()}
            for account in accounts.names()
        },
        "prices": {name: [str(each.last), str(each.reference)] for name, each in matcher.markets.items()},
    }


def restore(engine: Engine, orders: list[Order], facts: dict[str, Any]) -> None:
    """Make a new engine what was kept: orders in order of arrival, and the facts of the same moment."""
    engine.matcher.last_trade_id, engine.matcher.last_sequence = facts["trade_id"], facts["sequence"]
    engine.accounts.set_totals(facts["totals"])
    for name, (last, reference) in facts["prices"].items():
        market = _market(engine, name)
        market.last, market.reference = Decimal(last), Decimal(reference)
    for order in orders:
        engine.ledger.add(order)
        if order.locked:
            currency = paying(engine.instruments[order.market], order)
            engine.accounts.lock(order.account, currency, order.locked)
    engine.ledger.restore_fills()
    for order in sorted(orders, key=lambda each: each.sequence):
        _rejoin(engine, order)


def _rejoin(engine: Engine, order: Order) -> None:
    market = _market(engine, order.market)
    engine.expire_later(order)
    if order.active and order.cancel_at is not None:
        engine.cancel_later(order, at=order.cancel_at)
    if order.state is State.WAITING:
        market.watch(order)
    elif order.resting:
        market.book.own(order.side).add(order)


def _market(engine: Engine, name: str) -> Market:
    """The market without the counter-party's quotes, which must not take the place of orders."""
    return engine.matcher.markets.setdefault(name, Market(engine.instruments[name]))
