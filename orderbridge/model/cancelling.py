"""What came of cancelling many orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from orderbridge.model.base import VenueModel
from orderbridge.model.lookup import Failure
from orderbridge.model.order import Order
from orderbridge.model.words import OrderType


class CancelledOrders(list[Order]):
    """
    What a gateway's cancel of everything came to.

    Attributes:
        may_lack: types of which orders that wait for their trigger may have been missed, and may be live; empty where
            the venue itself cancelled all.
    """

    def __init__(self, orders: Iterable[Order] = (), *, may_lack: frozenset[OrderType] = frozenset()) -> None:
        super().__init__(orders)
        self.may_lack = may_lack


class CancelReceipt(VenueModel):
    """
    What came of a `cancel_all`.

    Attributes:
        scope: whose orders were meant.
        orders: every order that was open or was cancelled, as it is after that.
        unreachable: gateways of which nothing is known for sure, and why; their orders may be live.
        may_lack: by gateway, types of which orders that wait for their trigger may have been missed, and may be live:
            what was cancelled is what a list showed that may leave them out.
    """

    scope: Literal["account"]
    orders: tuple[Order, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)
    may_lack: Mapping[str, frozenset[OrderType]] = Field(default_factory=dict)

    @property
    def still_live(self) -> tuple[Order, ...]:
        """Orders that may trade all the same: their venue has not said that they are over."""
        return tuple(order for order in self.orders if order.may_be_live)

    @property
    def is_complete(self) -> bool:
        """Whether every gateway answered, no order may have been missed, and none may be live."""
        return not (self.unreachable or self.may_lack or self.still_live)
