"""What both venues' `put` share: an order in any state, from a few words about it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

from orderbridge.simulator.basics import ZERO, Amount, add, as_decimal, floor_divide, floor_to, mul, sub
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder, State

Moment = datetime | float | str
Executions = bool | Iterable[tuple[Amount, Amount]]

# Both venues' words and the unified ones, folded.
STATES: dict[str, State] = {
    "queued": State.OPEN,
    "accepted": State.OPEN,
    "pending": State.OPEN,
    "open": State.OPEN,
    "partially filled": State.OPEN,
    "completed": State.FILLED,
    "filled": State.FILLED,
    "cancelled": State.CANCELLED,
    "canceled": State.CANCELLED,
    "expired": State.EXPIRED,
    "rejected": State.REJECTED,
    "failed": State.FAILED,
}
_HALF = Decimal("0.5")
_DEFAULT_SIZE = Decimal("0.01")


@dataclass(slots=True)
class Spec:
    """An order as `put` was told about it; None where nothing was said."""

    market: Instrument
    side: str = "buy"
    type: str = "limit"
    status: str | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    price: Amount | None = None
    quantity: Amount | None = None
    quote_quantity: Amount | None = None
    filled: Amount | None = None
    unfilled: Amount | None = None
    time_in_force: str = "gtc"
    post_only: bool = False
    stop_price: Amount | None = None
    trigger: str | None = None
    triggered_at: Moment | None = None
    created_at: Moment | None = None
    updated_at: Moment | None = None
    expires_at: Moment | None = None
    trades: Executions = True
    visible: bool = True
    raw: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Built:
    """
    An order, the (price, quantity) of its fills, and how much of it counts as filled, fills or no fills.
    """

    order: SimOrder
    executions: list[tuple[Decimal, Decimal]]
    filled: Decimal
    filled_quote: Decimal

    def put_on(self, engine: Engine) -> SimOrder:
        """Record it; a sum that the fills already make is left to them."""
        made = reduce(add, (size for _, size in self.executions), ZERO)
        told = None if made == self.filled else (self.filled, self.filled_quote)
        return engine.put(self.order, executions=self.executions, filled=told)


def build(spec: Spec, *, account: str, order_id: str, now: datetime) -> Built:
    """The order as it was described, with nothing filled yet, and what is to be filled."""
    quantity, quote_quantity = _sizes(spec)
    price = decimal_or_none(spec.price)
    trade_price = price if price is not None else default_price(spec.market, spec.side)
    whole = quantity if quantity is not None else _bought(quote_quantity, trade_price, spec.market)
    executions = None if isinstance(spec.trades, bool) else _listed(spec.trades)
    filled = _filled_part(spec, whole, executions)
    state = _state(spec.status, whole, filled)
    created, updated = moment_or_none(spec.created_at) or now, moment_or_none(spec.updated_at)
    started = moment_or_none(spec.triggered_at)
    if state is State.OPEN and spec.stop_price is not None and started is None and not filled:
        state = State.WAITING
    order = SimOrder(
        order_id=order_id,
        account=account,
        market=spec.market.name,
        side=spec.side,
        type=spec.type,
        created_at=created,
        client_order_id=spec.client_order_id,
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=trade_price if price is not None or "limit" in spec.type else None,
        stop_price=decimal_or_none(spec.stop_price),
        trigger=spec.trigger or ("above" if spec.side == "buy" else "below"),
        time_in_force=spec.time_in_force,
        post_only=spec.post_only,
        expires_at=moment_or_none(spec.expires_at),
        state=state,
        updated_at=updated,
        triggered_at=started,
        hidden=not spec.visible,
        raw=dict(spec.raw or {}),
        facts=spec.facts,
    )
    if not order.active:
        order.ended_at = updated or now
    if executions is None:
        executions = [(trade_price, filled)] if spec.trades and filled else []
    return Built(order, executions, filled, mul(filled, trade_price))


def _sizes(spec: Spec) -> tuple[Decimal | None, Decimal | None]:
    quantity, value = decimal_or_none(spec.quantity), decimal_or_none(spec.quote_quantity)
    if quantity is None and value is not None and spec.type == "market":
        return None, value
    return (_DEFAULT_SIZE if quantity is None else quantity), None


def _bought(value: Decimal | None, price: Decimal, market: Instrument) -> Decimal:
    return ZERO if value is None or not price else floor_divide(value, price, market.step)


def _filled_part(spec: Spec, whole: Decimal, executions: list[tuple[Decimal, Decimal]] | None) -> Decimal:
    if spec.filled is not None:
        return as_decimal(spec.filled)
    if spec.unfilled is not None:
        return max(ZERO, sub(whole, as_decimal(spec.unfilled)))
    if executions:
        return reduce(add, (size for _, size in executions))
    word = fold(spec.status or "")
    if word in ("completed", "filled"):
        return whole
    return floor_to(mul(whole, _HALF), spec.market.step) if word == "partially filled" else ZERO


def _state(status: str | None, whole: Decimal, filled: Decimal) -> State:
    if status is not None:
        return STATES.get(fold(status), State.OPEN)
    return State.FILLED if filled and filled >= whole else State.OPEN


def _listed(trades: Iterable[tuple[Amount, Amount]]) -> list[tuple[Decimal, Decimal]]:
    return [(as_decimal(price), as_decimal(size)) for price, size in trades]


def fold(word: str) -> str:
    """A status word without its spelling's accidents."""
    return word.strip().lower().replace("_", " ").replace("-", " ")


def first(*values: Any) -> Any:
    """The first argument that was given: the venue's own name of a field, then the unified one."""
    return next((value for value in values if value is not None), None)


def decimal_or_none(value: Amount | None) -> Decimal | None:
    """An amount, if given."""
    return None if value is None else as_decimal(value)


def moment_or_none(value: Moment | None) -> datetime | None:
    """A time as aware UTC: from a datetime, epoch seconds or ISO text."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def default_price(market: Instrument, side: str) -> Decimal:
    """A price that rests: a twentieth away from the reference, on the tick."""
    share = Decimal("0.95") if side == "buy" else Decimal("1.05")
    return floor_to(mul(market.reference, share), market.tick)


def only_known(given: dict[str, Any], known: Iterable[str]) -> None:
    """Refuse a misspelt keyword as any function would."""
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise TypeError(f"put() got unexpected keyword arguments: {', '.join(unknown)}")
