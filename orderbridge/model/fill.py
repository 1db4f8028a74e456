"""One execution of an order."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from orderbridge.model.amount import Amount
from orderbridge.model.base import Moment, VenueModel
from orderbridge.model.order import gateway_name
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import Liquidity, Side


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
