"""One order as a venue shows it, and how two observations of it become one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, NamedTuple

from pydantic import AfterValidator, Field

from orderbridge.errors import printable
from orderbridge.model.amount import ZERO, Amount, plain, subtract
from orderbridge.model.base import EARLIEST, Moment, Told, VenueModel
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import KnownBy, OrderStatus, OrderType, Side, TimeInForce

UNBOUNDED: Final = Decimal("Infinity")
# How a note of evidence begins that tells since when an order is lacking.
UNSEEN: Final = "not shown since "


def _sorted_once(notes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(notes)))


# Sorted and each once, as `merge` leaves them, so that an observation merged with itself is itself.
Notes = Annotated[tuple[Told, ...], AfterValidator(_sorted_once)]


class OrderKey(NamedTuple):
    """
    What tells one venue order from every other: the gateway's name, the venue's id, and the market it counts in.

    `symbol` is empty where a venue's ids are unique in the account, and filled where each market has its own numbers.
    """

    gateway: str
    order_id: str
    symbol: str = ""


# Gateway, the venue's id, symbol and side: observations that differ in one of them are of two orders, even where the
# venue's ids should be unique.
Identity = tuple[str, str, Symbol, Side]


def gateway_name(venue: str, account: str) -> str:
    """`venue`, or `venue/account` when the account is not `default`."""
    return venue if account == "default" else f"{venue}/{account}"


class Order(VenueModel):
    """
    An order as its venue shows it. Amounts are exact, times are UTC; None means that the venue did not say.

    Attributes:
        status, raw_status: our word, and the venue's own. Three axes are kept apart: the status, the fill
            numbers and the pending requests (`cancel_requested`, `replace_requested`, `trigger_waiting`).
        known_by, evidence: who says so. `inferred` and `assumed` come with the facts they rest on.
        quantity, quote_quantity: as ordered, in base and in quote; the latter only when sized in quote.
        filled_quantity, filled_quote_quantity, average_price: base, quote, quote per base. The last two
            only from fills or from a field of the venue, never from the limit price.
        price, stop_price: quote per base.
        routed_to, exchange_order_id: where a broker sent the order, and its id there.
        numbered_by_market: other markets may have an order of the same `order_id`, so `symbol` is part of `key`.
        observed_at: when we saw it. `raw`: the venue's row, untouched; not in repr, JSON or equality.

    Equality leaves out `raw`; the hash is that of `key`.
    """

    venue: str
    account: str = "default"
    routed_to: str | None = None
    order_id: str
    client_order_id: str | None = None
    symbol: Symbol
    side: Side
    type: OrderType = OrderType.UNKNOWN
    raw_type: str = ""
    status: OrderStatus = OrderStatus.UNKNOWN
    raw_status: str = ""
    known_by: KnownBy = KnownBy.REPORTED
    evidence: Notes = ()
    quantity: Amount | None = None
    quote_quantity: Amount | None = None
    filled_quantity: Amount | None = None
    filled_quote_quantity: Amount | None = None
    average_price: Amount | None = None
    price: Amount | None = None
    stop_price: Amount | None = None
    time_in_force: TimeInForce | None = None
    expires_at: Moment | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    paper: bool | None = None
    cancel_requested: bool = False
    replace_requested: bool = False
    trigger_waiting: bool = False
    created_at: Moment | None = None
    updated_at: Moment | None = None
    triggered_at: Moment | None = None
    observed_at: Moment | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    exchange_order_id: str | None = None
    numbered_by_market: bool = False
    reason: Told | None = None
    anomalies: Notes = ()
    raw: dict[str, Any] = Field(default_factory=dict, repr=False, exclude=True)

    @property
    def gateway(self) -> str:
        """The name of the gateway that this order belongs to."""
        return gateway_name(self.venue, self.account)

    @property
    def key(self) -> OrderKey:
        """What this order is named by; what tells it from every other is its `identity`."""
        return OrderKey(self.gateway, self.order_id, self.symbol if self.numbered_by_market else "")

    @property
    def identity(self) -> Identity:
        """What this order is stored and compared under."""
        return self.gateway, self.order_id, self.symbol, self.side

    @property
    def may_be_live(self) -> bool:
        """Whether it may still trade. An end that is only assumed does not count as an end."""
        return not self.status.is_end or self.known_by is KnownBy.ASSUMED

    @property
    def is_done(self) -> bool:
        """Whether it is over: `not may_be_live`."""
        return not self.may_be_live

    @property
    def remaining_quantity(self) -> Decimal | None:
        """Base units not filled yet; None when the quantity or the fills are not known."""
        if self.quantity is None or self.filled_quantity is None:
            return None
        return subtract(self.quantity, self.filled_quantity)

    @property
    def max_remaining(self) -> Decimal:
        """The most base units that could still fill: 0 when done, infinite when the base size is unknown."""
        if self.is_done:
            return ZERO
        if self.quantity is None:
            return UNBOUNDED
        return max(ZERO, subtract(self.quantity, self.filled_quantity or ZERO))

    @property
    def unseen_since(self) -> datetime | None:
        """
        Since when the venue has shown it nowhere, while nothing is concluded from that; None while it is shown.

        Its status is then the one that was last known. It is told by a note of the evidence, so that a later look, in
        another process too, knows for how long it has been lacking.
        """
        notes = (note.removeprefix(UNSEEN) for note in self.evidence if note.startswith(UNSEEN))
        lacks = map(datetime.fromisoformat, notes)
        return min((at for at in lacks if self.observed_at is None or at >= self.observed_at), default=None)

    def __str__(self) -> str:
        filled = "?" if self.filled_quantity is None else plain(self.filled_quantity)
        size = "?" if self.quantity is None else plain(self.quantity)
        at = "" if self.price is None else f" at {plain(self.price)}"
        sure = "" if self.known_by is KnownBy.REPORTED else f" ({self.known_by})"
        what = f"{self.symbol} {self.side} {self.type}{at}"
        return printable(f"{self.gateway}:{self.order_id} {what}: {self.status}{sure}, filled {filled} of {size}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Order):
            return NotImplemented
        mine, theirs = self.__dict__, other.__dict__
        return all(mine[name] == theirs[name] for name in _COMPARED)

    def __hash__(self) -> int:
        return hash(self.key)


_COMPARED: Final = tuple(name for name in Order.model_fields if name != "raw")
_IDS: Final = ("client_order_id", "exchange_order_id", "replaces", "replaced_by")
_FILLS: Final = ("filled_quantity", "filled_quote_quantity", "average_price")
_COMBINED: Final = frozenset({*_IDS, *_FILLS, "numbered_by_market", "evidence", "anomalies", "raw"})
_WHOLE: Final = tuple(name for name in Order.model_fields if name not in _COMBINED)
_STATUS_RANK: Final = {
    status: rank
    for rank, status in enumerate(
        (
            OrderStatus.UNKNOWN,
            OrderStatus.ACCEPTED,
            OrderStatus.OPEN,
            OrderStatus.PARTIALLY_FILLED,
            OrderStatus.ENDED,
            OrderStatus.EXPIRED,
            OrderStatus.CANCELLED,
            OrderStatus.FAILED,
            OrderStatus.REJECTED,
            OrderStatus.FILLED,
        )
    )
}


def merge(a: Order, b: Order) -> Order:
    """
    Combine two observations of one venue order, in whatever order they arrived.

    Commutative, associative and idempotent. Every plain field comes whole from the observation that ranks
    higher: done before not done, then the later venue time, then the status. The fill figures come together
    from the larger filling. Of differing ids the smaller text is kept, and an anomaly names each.

    Raises:
        ValueError: the two are different orders: of another gateway, id, symbol or side.
    """
    if a.identity != b.identity:
        raise ValueError(f"{_named(a)} and {_named(b)} are different orders")
    winner = a if _Rank(a) >= _Rank(b) else b
    changes: dict[str, Any] = {}
    anomalies = {*a.anomalies, *b.anomalies}
    for name in _IDS:
        values = {value for value in (getattr(a, name), getattr(b, name)) if value is not None}
        changes[name] = min(values, default=None)
        if len(values) > 1:
            anomalies |= {f"several values of {name}: {value}" for value in values}
    fuller = max(a, b, key=_fills_key)
    changes |= {name: getattr(fuller, name) for name in _FILLS}
    # Written by a version that did not know yet how the venue numbers, it is the same order all the same.
    changes["numbered_by_market"] = a.numbered_by_market or b.numbered_by_market
    changes["evidence"] = tuple(sorted({*a.evidence, *b.evidence}))
    changes["anomalies"] = tuple(sorted(anomalies))
    return winner.model_copy(update=changes)


def united(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Each order once, by its `identity`: what several observations show of one is merged, and none is lost."""
    unique: dict[Identity, Order] = {}
    for order in orders:
        identity = order.identity
        known = unique.get(identity)
        unique[identity] = order if known is None else merge(known, order)
    return tuple(unique.values())


def last_change(order: Order) -> datetime:
    """When the venue last changed an order, as far as it says."""
    return order.updated_at or order.created_at or EARLIEST


def _named(order: Order) -> str:
    return f"{order.gateway}:{order.order_id} ({order.symbol} {order.side})"


class _Rank:
    """Where an observation stands in the one total order; the costly text key only breaks ties."""

    __slots__ = ("_first", "_order")

    def __init__(self, order: Order) -> None:
        self._order = order
        venue_time = last_change(order)
        self._first = (order.is_done, venue_time, _STATUS_RANK[order.status])

    def __ge__(self, other: _Rank) -> bool:
        if self._first != other._first:
            return self._first > other._first
        return _text_key(self._order) >= _text_key(other._order)


def _text_key(order: Order) -> tuple[str, ...]:
    # What we saw last comes first, so that among equals the newer look wins.
    seen = order.observed_at.isoformat() if order.observed_at else ""
    return (seen, *(_as_text(getattr(order, name)) for name in _WHOLE), repr(order.raw))


def _as_text(value: object) -> str:
    return "" if value is None else repr(value)


def _fills_key(order: Order) -> tuple[tuple[bool, Decimal, str], ...]:
    values: tuple[Decimal | None, ...] = tuple(getattr(order, name) for name in _FILLS)
    return tuple((value is not None, value or ZERO, str(value)) for value in values)
