"""One order as a venue shows it, and one trade of it."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import Annotated, Any, Final, NamedTuple, Self

from pydantic import AfterValidator, Field

from orderbridge.errors import printable
from orderbridge.model.basics import (
    WORKING,
    ZERO,
    Amount,
    KnownBy,
    Liquidity,
    Moment,
    OrderStatus,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    Told,
    VenueModel,
    plain,
    subtract,
)

# The figures of what was filled: they are of one observation, and are never mixed.
FILL_FIGURES: Final = ("filled_quantity", "filled_quote_quantity", "average_price")
UNBOUNDED: Final = Decimal("Infinity")
# How a note of evidence begins that tells since when an order is lacking.
UNSEEN: Final = "not shown since "


def sorted_once(notes: Iterable[str]) -> tuple[str, ...]:
    """Notes as `merge` leaves them, so that an observation merged with itself is itself."""
    return tuple(sorted({*notes}))


Notes = Annotated[tuple[Told, ...], AfterValidator(sorted_once)]


class OrderKey(NamedTuple):
    """
    The name of a venue order: the gateway's name, the venue's id, and the market it counts in.

    `symbol` is empty where a venue's ids are unique in the account, and filled where each market has its own numbers.
    """

    gateway: str
    order_id: str
    symbol: str = ""


_ASSUMED: Final = KnownBy.ASSUMED
# Gateway, the venue's id, symbol and side: observations that differ in one of them are of two orders, even where the
# venue's ids should be unique.
Identity = tuple[str, str, Symbol, Side]


@lru_cache
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
        """The name of this order; what tells it from every other is its `identity`."""
        return OrderKey(self.gateway, self.order_id, self.symbol if self.numbered_by_market else "")

    @property
    def identity(self) -> Identity:
        """The identity that this order is stored and compared under."""
        return gateway_name(self.venue, self.account), self.order_id, self.symbol, self.side

    @property
    def may_be_live(self) -> bool:
        """True while it may still trade. An end that is only assumed does not count as an end."""
        return self.status in WORKING or self.known_by is _ASSUMED

    @property
    def is_done(self) -> bool:
        """True once it is over: `not may_be_live`."""
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

    def noted(self, *evidence: str, anomalies: Iterable[str] = (), **changes: Any) -> Self:
        """The order with these notes beside its own, and with `changes` of other fields."""
        return self.model_copy(
            update={
                **changes,
                "evidence": sorted_once((*self.evidence, *evidence)),
                "anomalies": sorted_once((*self.anomalies, *anomalies)),
            }
        )

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
        return bool(_compared(self.__dict__) == _compared(other.__dict__))

    def __hash__(self) -> int:
        return hash(self.key)


_compared: Final = itemgetter(*(name for name in Order.model_fields if name != "raw"))


class Fill(VenueModel):
    """
    One execution. Quantity (base), price, quote_quantity and fee are positive, whatever sign the venue writes.

    `fee` is in `fee_currency`. None means that the venue did not say. Equality leaves out `raw`.
    """

    venue: str
    account: str = "default"
    fill_id: str
    order_id: str
    client_order_id: str | None = None
    symbol: Symbol
    side: Side
    quantity: Amount
    price: Amount
    quote_quantity: Amount
    fee: Amount | None = None
    fee_currency: str | None = None
    liquidity: Liquidity | None = None
    created_at: Moment | None = None
    raw: dict[str, Any] = Field(default_factory=dict, repr=False, exclude=True)

    @property
    def gateway(self) -> str:
        """The name of the gateway that this fill belongs to."""
        return gateway_name(self.venue, self.account)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Fill):
            return NotImplemented
        return {**self.__dict__, "raw": None} == {**other.__dict__, "raw": None}

    def __hash__(self) -> int:
        return hash((self.gateway, self.fill_id, self.order_id))
