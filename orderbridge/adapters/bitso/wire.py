"""Bitso's own field names, as its answers spell them. Amounts and times stay as they came; mapping reads them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints


def _id_text(value: object) -> object:
    # Trade ids come as numbers in the documentation and as text in recordings.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _word(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


_Needed = StringConstraints(min_length=1)
Id = Annotated[str, _Needed, BeforeValidator(_id_text)]
Needed = Annotated[str, _Needed]
# A word that an order can do without: whatever it is, it costs no order its place.
Word = Annotated[str, BeforeValidator(_word)]
Amount = Any
Time = Any


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class OrderRow(_Row):
    """
    One order, as look-up and open orders show it.

    Source: Bitso API v3, "Look Up Orders", "List Open Orders".
    """

    oid: Id
    book: Needed
    side: Needed
    type: Word = ""
    status: Word = ""
    origin_id: Word = ""
    price: Amount = None
    original_amount: Amount = None
    original_value: Amount = None
    unfilled_amount: Amount = None
    stop: Amount = None
    time_in_force: Word = ""
    created_at: Time = None
    updated_at: Time = None
    triggered_at: Time = None


class TradeRow(_Row):
    """
    One execution of an own order.

    Source: Bitso API v3, "User Trades", "List Order Trades".
    """

    tid: Id
    oid: Id
    book: Needed
    side: Needed
    price: Amount
    major: Amount
    minor: Amount
    origin_id: Word = ""
    fees_amount: Amount = None
    fees_currency: Word = ""
    maker_side: Word = ""
    # As the documentation spelt it before June 2021.
    make_side: Word = ""
    created_at: Time = None
