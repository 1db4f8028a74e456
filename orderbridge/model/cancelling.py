"""What came of cancelling many orders."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orderbridge.model.base import VenueModel
from orderbridge.model.lookup import Failure
from orderbridge.model.order import Order


class CancelReceipt(VenueModel):
    """
    What came of a `cancel_all`.

    Attributes:
        scope: whose orders were meant.
        orders: every order that was open or was cancelled, as it is after that.
        unreachable: gateways of which nothing is known for sure, and why; their orders may be live.
    """

    scope: Literal["account"]
    orders: tuple[Order, ...] = ()
    unreachable: dict[str, Failure] = Field(default_factory=dict)

    @property
    def still_live(self) -> tuple[Order, ...]:
        """Orders that may trade all the same: their venue has not said that they are over."""
        return tuple(order for order in self.orders if order.may_be_live)

    @property
    def is_complete(self) -> bool:
        """Whether every gateway answered and nothing may be live."""
        return not self.unreachable and not self.still_live
