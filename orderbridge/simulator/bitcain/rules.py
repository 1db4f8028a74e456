"""
What the simulated Bitcain checks beyond types: business rules, answered with 400 and a text.

None of them is documented. trailing_stop, iceberg and oco are refused, since no documented field can express
them.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final

from orderbridge.simulator.basics import ZERO, is_reasonable
from orderbridge.simulator.bitcain import validation as v
from orderbridge.simulator.bitcain.errors import BitcainRefusal
from orderbridge.simulator.bitcain.markets import EXCHANGES, MARKETS, name_of
from orderbridge.simulator.engine.order import SimOrder, State

MODES: Final = ("paper", "live")
_INEXPRESSIBLE: Final = frozenset({v.OrderType.TRAILING_STOP, v.OrderType.ICEBERG, v.OrderType.OCO})
_PRICED: Final = frozenset({v.OrderType.LIMIT, v.OrderType.STOP_LIMIT})
_STOPPED: Final = frozenset({v.OrderType.STOP_LOSS, v.OrderType.TAKE_PROFIT, v.OrderType.STOP_LIMIT})


def refuse(detail: str) -> BitcainRefusal:
    """A 400."""
    return BitcainRefusal(400, detail)


def positive(name: str, value: Decimal | None) -> Decimal:
    """The amount, if it is one."""
    if value is None:
        raise refuse(f"{name} is required for this order type")
    if value <= ZERO:
        raise refuse(f"{name} must be greater than zero")
    if not is_reasonable(value):
        raise refuse(f"{name} is out of range")
    return value


def order_from(body: v.CreateBody, query: v.CreateQuery, *, account: str, order_id: str, now: datetime) -> SimOrder:
    """The order that a create call describes; nothing is placed yet."""
    market = _market(body, query)
    quantity = positive("quantity", body.quantity)
    if body.type in _INEXPRESSIBLE:
        raise refuse(f"order type {body.type.value} is not supported")
    price = positive("price", body.price) if body.type in _PRICED else None
    stop = positive("stop_price", body.stop_price) if body.type in _STOPPED else None
    check_expiry(body.time_in_force, body.expires_at, now)
    return SimOrder(
        order_id=order_id,
        account=account,
        market=market,
        side=body.side.value,
        type="market" if price is None else "limit",
        created_at=now,
        client_order_id=body.client_order_id,
        quantity=quantity,
        price=price,
        stop_price=stop,
        trigger=None if stop is None else _trigger(body),
        time_in_force=body.time_in_force.value,
        post_only=body.post_only,
        expires_at=body.expires_at,
        facts=_facts(body, query),
    )


def _market(body: v.CreateBody, query: v.CreateQuery) -> str:
    if query.trading_mode not in MODES:
        raise refuse("trading_mode must be 'paper' or 'live'")
    if query.exchange not in EXCHANGES:
        raise refuse(f"exchange {query.exchange} is not supported")
    name = name_of(query.exchange, body.symbol)
    if name not in MARKETS:
        raise refuse(f"symbol {body.symbol} is not traded on {query.exchange}")
    return name


def check_expiry(time_in_force: str, expires_at: datetime | None, now: datetime) -> None:
    """Good-till-time needs a time, and a time must lie ahead."""
    if time_in_force == v.TimeInForce.GTT and expires_at is None:
        raise refuse("expires_at is required for gtt")
    if expires_at is not None and expires_at <= now:
        raise refuse("expires_at is in the past")


def _trigger(body: v.CreateBody) -> str:
    """A stop loss sells low and buys high; a take profit the other way round."""
    falling = (body.side is v.Side.SELL) != (body.type is v.OrderType.TAKE_PROFIT)
    return "below" if falling else "above"


def _facts(body: v.CreateBody, query: v.CreateQuery) -> dict[str, object]:
    agent = body.agent_id or query.agent_id
    return {
        "type": body.type.value,
        "trading_mode": query.trading_mode,
        "portfolio_id": None if body.portfolio_id is None else str(body.portfolio_id),
        "reduce_only": body.reduce_only,
        # Which of the two places wins is not documented: here the body, unless it has the default.
        "source": query.source if body.source is v.Source.MANUAL else body.source.value,
        "agent_id": None if agent is None else str(agent),
        "retry_count": 0,
    }


def check_active(order: SimOrder, doing: str) -> None:
    """409 for an order that has ended."""
    if not order.active:
        word = order.state.value
        raise BitcainRefusal(409, f"Order cannot be {doing}: it is {word}")


def check_failed(order: SimOrder) -> None:
    """409 for a retry of anything but a failed order."""
    if order.state is not State.FAILED:
        raise BitcainRefusal(409, "Only failed orders can be retried")
