"""
Which texts can be ids at Bitso.

Source: Bitso API v3, "Place an Order": oids are letters and digits (16 today, 64 in early days); origin ids are
up to 40 of letters, digits, underscore and dash.
"""

from __future__ import annotations

import re
from typing import Final

from orderbridge.model.ref import OrderRef
from orderbridge.venue.lookup import CLIENT, ORDER, Way

_OID_SHAPE: Final = re.compile(r"[A-Za-z0-9]{1,64}")
_ORIGIN_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
# A path word, never an order: `DELETE /orders/all` cancels everything.
_RESERVED: Final = frozenset({"all"})


def could_be_oid(text: str) -> bool:
    """Whether Bitso could have issued this as an order id."""
    return _OID_SHAPE.fullmatch(text) is not None and text not in _RESERVED


def could_be_origin_id(text: str) -> bool:
    """Whether Bitso could have accepted this as a client order id."""
    return _ORIGIN_SHAPE.fullmatch(text) is not None


def ways_to_ask(ref: OrderRef) -> list[Way]:
    """
    The ids under which Bitso could hold the order; none when it could not.

    Its own id names one order and a client id may name several, so a ref with both is asked for by the former.
    """
    oid = ref.order_id or ref.id
    ways = [Way(ORDER, oid)] if oid and could_be_oid(oid) else []
    origin_id = ref.client_order_id if ref.order_id is None or not ways else None
    origin_id = origin_id or ref.id
    if origin_id and could_be_origin_id(origin_id):
        ways.append(Way(CLIENT, origin_id))
    return ways
