"""Orders and fills as the engine keeps them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from orderbridge.simulator.amounts import ZERO, sub


class State(StrEnum):
    """Where an order stands. Partly filled is `OPEN` with fills."""

    WAITING = "waiting"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"


ACTIVE = frozenset({State.WAITING, State.OPEN})


@dataclass(slots=True, eq=False)
class Fill:
    """One execution from one order's side. `fee` is in `fee_currency`, what the side received."""

    trade_id: int
    order: "Order"
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    created_at: datetime


@dataclass(slots=True, eq=False)
class Order:
    """
    One order. Sizes are in base units; `quote_quantity` sizes a market order in quote and `quantity` is then
    None.

    Attributes:
        trigger: `above` or `below`: on which side of `stop_price` the last trade starts a stop order.
        locked: what is still set aside for it, in the currency that it pays with.
        resting: whether it stands in the book (an active order that was put in by hand may not).
        hidden: never shown by look-ups.
        shown_from: not shown before this moment.
        raw: fields shown as they are, whatever the order says.
        facts: what the venue keeps with it and the engine has no use for.
    """

    order_id: str
    account: str
    market: str
    side: str
    type: str
    created_at: datetime
    client_order_id: str | None = None
    quantity: Decimal | None = None
    quote_quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    trigger: str | None = None
    time_in_force: str = "gtc"
    post_only: bool = False
    expires_at: datetime | None = None
    slippage: Decimal | None = None
    state: State = State.OPEN
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    fee: Decimal = ZERO
    locked: Decimal = ZERO
    resting: bool = False
    sequence: int = 0
    updated_at: datetime | None = None
    triggered_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    hidden: bool = False
    shown_from: datetime | None = None
    fills: list[Fill] = field(default_factory=list, repr=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def active(self) -> bool:
        """Whether it may still trade."""
        return self.state in ACTIVE

    @property
    def remaining(self) -> Decimal:
        """Base units still to be filled; zero for an order sized in quote, whose rest is money."""
        return ZERO if self.quantity is None else sub(self.quantity, self.filled)

    @property
    def oid(self) -> str:
        """Bitso's word for `order_id`."""
        return self.order_id

    @property
    def id(self) -> str:
        """Bitcain's word for `order_id`."""
        return self.order_id

    @property
    def origin_id(self) -> str | None:
        """Bitso's word for `client_order_id`."""
        return self.client_order_id

    @property
    def symbol(self) -> str:
        """`BASE/QUOTE`, from whichever spelling the venue has."""
        return self.market.rpartition(":")[2].replace("_", "/").upper()

    @property
    def filled_quantity(self) -> Decimal:
        """The unified word for `filled`."""
        return self.filled
