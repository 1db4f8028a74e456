"""A test's hand in a venue, past its API: put an order there in any state, make a market trade."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from threading import RLock
from typing import Any, TypedDict

from orderbridge.simulator.basics import ZERO, Amount, add, as_decimal, floor_divide, floor_to, mul, sub
from orderbridge.simulator.engine.engine import MatchingEngine
from orderbridge.simulator.engine.market import Instrument, SimMarket
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


class Put(TypedDict, total=False):
    """The unified keywords of every venue's `put`."""

    symbol: str
    side: str
    type: str
    status: str | None
    order_id: str | None
    client_order_id: str | None
    price: Amount | None
    quantity: Amount | None
    filled_quantity: Amount | None
    time_in_force: str
    post_only: bool
    stop_price: Amount | None
    created_at: Moment | None
    updated_at: Moment | None
    trades: Executions
    visible: bool
    raw: dict[str, Any] | None


_DEFAULTS: Mapping[str, Any] = {
    "side": "buy",
    "type": "limit",
    "time_in_force": "gtc",
    "post_only": False,
    "trades": True,
    "visible": True,
    "facts": {},
}


@dataclass(frozen=True, slots=True)
class PutWords:
    """
    The words that a venue's `put` understands.

    Attributes:
        keywords: all of them.
        names: from the venue's own names of fields to the unified ones.
        statuses: the folded status words; any other is shown as it is, over an active order.
        queued: those of them that mean an order that is not on the book yet.
    """

    keywords: frozenset[str]
    names: Mapping[str, str]
    statuses: frozenset[str]
    queued: frozenset[str]

    def read(self, given: Mapping[str, Any], *, status_field: str = "status", **own: Any) -> dict[str, Any]:
        """
        The facts told of the order, in the unified names; `own` is what the venue reads itself.

        Raises:
            TypeError: a misspelt keyword, as any function would.
        """
        unknown = sorted(given.keys() - self.keywords)
        if unknown:
            raise TypeError(f"put() got unexpected keyword arguments: {', '.join(unknown)}")
        told = {name: value for name, value in given.items() if value is not None}
        told |= {name: told[native] for native, name in self.names.items() if native in told}
        told = {**_DEFAULTS, **told, **own}
        told["raw"] = dict(told.get("raw", {}))
        if "status" in told:
            word = told["status_word"] = fold(told["status"])
            if word not in self.statuses:
                told["raw"].setdefault(status_field, told["status"])
            if word in self.queued:
                told["facts"] = {**told["facts"], "queued": True}
        return told


def put(
    engine: MatchingEngine, told: Mapping[str, Any], *, account: str, market: str, new_id: Callable[[], str]
) -> SimOrder:
    """Record an order as it was described, with the fills that it is to have."""
    now, instrument = engine.clock.now(), engine.instruments[market]
    price, (quantity, quote_quantity) = _decimal(told, "price"), _sizes(told)
    trade_price = price if price is not None else _default_price(instrument, told["side"])
    whole = _bought(quote_quantity, trade_price, instrument) if quantity is None else quantity
    executions = None if isinstance(told["trades"], bool) else _listed(told["trades"])
    filled = _filled_part(told, whole, executions, instrument.step)
    if executions is None:
        executions = [(trade_price, filled)] if told["trades"] and filled else []
    state, updated = _state(told, whole, filled), _moment(told, "updated_at")
    order = SimOrder(
        order_id=told.get("order_id") or new_id(),
        account=account,
        market=market,
        side=told["side"],
        type=told["type"],
        created_at=_moment(told, "created_at") or now,
        client_order_id=told.get("client_order_id"),
        quantity=quantity,
        quote_quantity=quote_quantity,
        price=trade_price if price is not None or "limit" in told["type"] else None,
        stop_price=_decimal(told, "stop_price"),
        trigger="above" if told["side"] == "buy" else "below",
        time_in_force=told["time_in_force"],
        post_only=told["post_only"],
        expires_at=_moment(told, "expires_at"),
        state=state,
        updated_at=updated,
        triggered_at=_moment(told, "triggered_at"),
        reason=told.get("error_message"),
        hidden=not told["visible"],
        raw=told["raw"],
        facts=dict(told["facts"]),
    )
    if not order.active:
        order.ended_at = updated or now
    made = reduce(add, (size for _, size in executions), ZERO)
    sums = None if made == filled else (filled, mul(filled, trade_price))  # a sum that fills make is left to them
    return engine.put(order, executions=executions, filled=sums)


def _sizes(told: Mapping[str, Any]) -> tuple[Decimal | None, Decimal | None]:
    quantity, value = _decimal(told, "quantity"), _decimal(told, "quote_quantity")
    if quantity is None and value is not None and told["type"] == "market":
        return None, value
    return (_DEFAULT_SIZE if quantity is None else quantity), None


def _bought(value: Decimal | None, price: Decimal, market: Instrument) -> Decimal:
    return ZERO if value is None or not price else floor_divide(value, price, market.step)


def _filled_part(
    told: Mapping[str, Any], whole: Decimal, executions: list[tuple[Decimal, Decimal]] | None, step: Decimal
) -> Decimal:
    filled, remaining = _decimal(told, "filled_quantity"), _decimal(told, "remaining_quantity")
    if filled is not None:
        return filled
    if remaining is not None:
        return max(ZERO, sub(whole, remaining))
    if executions:
        return reduce(add, (size for _, size in executions))
    word = told.get("status_word")
    if word in ("completed", "filled"):
        return whole
    return floor_to(mul(whole, _HALF), step) if word == "partially filled" else ZERO


def _state(told: Mapping[str, Any], whole: Decimal, filled: Decimal) -> State:
    if "status" in told:
        state = STATES.get(told["status_word"], State.OPEN)
    else:
        state = State.FILLED if filled and filled >= whole else State.OPEN
    waits = "stop_price" in told and "triggered_at" not in told and not filled
    return State.WAITING if state is State.OPEN and waits else state


def _listed(trades: Iterable[tuple[Amount, Amount]]) -> list[tuple[Decimal, Decimal]]:
    return [(as_decimal(price), as_decimal(size)) for price, size in trades]


def fold(word: str) -> str:
    """A status word without its spelling's accidents."""
    return word.strip().lower().replace("_", " ").replace("-", " ")


def _decimal(told: Mapping[str, Any], name: str) -> Decimal | None:
    return as_decimal(told[name]) if name in told else None


def _moment(told: Mapping[str, Any], name: str) -> datetime | None:
    """A time as aware UTC: from a datetime, epoch seconds or ISO text."""
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _default_price(market: Instrument, side: str) -> Decimal:
    """A price that rests: a twentieth away from the reference, on the tick."""
    share = Decimal("0.95") if side == "buy" else Decimal("1.05")
    return floor_to(mul(market.reference, share), market.tick)


class MarketHandle:
    """One market of a simulated venue. Its calls are safe from any thread."""

    def __init__(self, engine: MatchingEngine, name: str, lock: "RLock") -> None:
        if name not in engine.instruments:
            raise ValueError(f"no market {name!r}; there are: {', '.join(engine.instruments)}")
        self._engine = engine
        self._name = name
        self._lock = lock

    def trade(self, *, price: Amount, quantity: Amount | None = None) -> None:
        """
        Have the market trade at `price`, by which orders fill and stops trigger.

        Args:
            quantity: how much trades in all. Orders at that price or better get it first, best price and
                oldest first; with None, all of them fill.

        Raises:
            ValueError: a price or quantity that is not above zero.
        """
        at, size = _positive(price), None if quantity is None else _positive(quantity)
        with self._lock:
            self._engine.trade(self._market, price=at, quantity=size)

    def fill(self, order: SimOrder | str, *, quantity: Amount | None = None, price: Amount | None = None) -> None:
        """
        Fill this order, wherever it stands: whole unless a quantity, at its own price unless a price is
        given.
        """
        with self._lock:
            found = self._engine.ledger.orders[order] if isinstance(order, str) else order
            size = None if quantity is None else _positive(quantity)
            self._engine.fill(found, quantity=size, price=None if price is None else _positive(price))

    @property
    def last(self) -> Decimal:
        """The last price."""
        return self._market.last

    @property
    def bid(self) -> Decimal | None:
        """The best price that somebody pays."""
        return self._market.book.bids.best()

    @property
    def ask(self) -> Decimal | None:
        """The best price at which somebody sells."""
        return self._market.book.asks.best()

    def levels(self, side: str) -> Iterable[tuple[Decimal, Decimal]]:
        """(price, quantity) of each level of the bids (`buy`) or asks (`sell`), best first."""
        with self._lock:
            return list(self._market.book.own(side).sizes())

    @property
    def _market(self) -> SimMarket:
        return self._engine.market(self._name)


def _positive(value: Amount) -> Decimal:
    amount = as_decimal(value)
    if amount <= ZERO:
        raise ValueError(f"a market trades above zero only, not {value!r}")
    return amount
