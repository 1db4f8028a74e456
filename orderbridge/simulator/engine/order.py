"""Orders and fills as the engine keeps them, found by id, by client id or in order of arrival."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from orderbridge.simulator.basics import ZERO, sub


class State(StrEnum):
    """The state of an order. Partly filled is `OPEN` with fills."""

    WAITING = "waiting"
    OPEN = "open"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    FAILED = "failed"


ACTIVE = frozenset({State.WAITING, State.OPEN})


@dataclass(slots=True, eq=False)
class SimFill:
    """One execution from one order's side. `fee` is in `fee_currency`, what the side received."""

    trade_id: int
    order: "SimOrder"
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    maker: bool
    created_at: datetime


@dataclass(slots=True, eq=False)
class SimOrder:
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
    fills: list[SimFill] = field(default_factory=list, repr=False)
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    facts: dict[str, Any] = field(default_factory=dict, repr=False)

    def shown(self, now: datetime) -> bool:
        """True if look-ups may show the order at all: it is neither hidden by a test, nor to be visible later only."""
        return not self.hidden and not self.comes_late(now)

    def comes_late(self, now: datetime) -> bool:
        """True if it is too early to speak of the order."""
        return self.shown_from is not None and self.shown_from > now

    def laid_over(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with the `raw` fields laid over it; `...` takes one out."""
        return {name: value for name, value in {**row, **self.raw}.items() if value is not ...}

    @property
    def active(self) -> bool:
        """True while it may trade."""
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


class SimLedger:
    """The engine's records. Nothing is ever forgotten; what a venue shows of it is the venue's affair."""

    def __init__(self) -> None:
        self.orders: dict[str, SimOrder] = {}
        self.fills: defaultdict[str, list[SimFill]] = defaultdict(list)
        self._by_client: defaultdict[tuple[str, str], list[SimOrder]] = defaultdict(list)
        self._by_account: defaultdict[str, list[SimOrder]] = defaultdict(list)
        # By account: those that may still trade, in order of arrival.
        self._active: defaultdict[str, dict[str, SimOrder]] = defaultdict(dict)

    def add(self, order: SimOrder) -> None:
        """Record a new order."""
        if order.order_id in self.orders:
            raise ValueError(f"an order {order.order_id!r} exists already")
        self.orders[order.order_id] = order
        self._by_account[order.account].append(order)
        if order.client_order_id is not None:
            self._by_client[order.account, order.client_order_id].append(order)
        if order.active:
            self.revived(order)

    def of_client(self, account: str, client_order_id: str) -> list[SimOrder]:
        """The account's orders with this client id, oldest first."""
        return self._by_client.get((account, client_order_id), [])

    def of_account(self, account: str) -> list[SimOrder]:
        """The account's orders, in order of arrival."""
        return self._by_account.get(account, [])

    def of_id(self, account: str, order_id: str) -> list[SimOrder]:
        """The account's order of this id, if there is one."""
        order = self.orders.get(order_id)
        return [order] if order is not None and order.account == account else []

    def count_active(self, account: str) -> int:
        """The number of the account's orders that may still trade."""
        return len(self._active[account])

    def newest_active(self, account: str) -> Iterator[SimOrder]:
        """The account's orders that may still trade, newest first."""
        return reversed(self._active[account].values())

    def ended(self, order: SimOrder) -> None:
        """The order may trade no longer."""
        self._active[order.account].pop(order.order_id, None)

    def revived(self, order: SimOrder) -> None:
        """The order may trade again."""
        self._active[order.account][order.order_id] = order
