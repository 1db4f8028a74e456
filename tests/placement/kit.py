"""Records and orders for the tests of placing."""

from datetime import UTC, datetime
from typing import Any

from orderbridge import Order, OrderRequest, Placement
from orderbridge.placement import Record
from orderbridge.placement.fingerprint import fingerprint

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def limit_buy(**changes: Any) -> OrderRequest:
    fields = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "100000"}
    return OrderRequest(**{**fields, **changes})


def record(id: str = "p1", *, state: str = "prepared", key: str | None = None, **changes: Any) -> Record:
    placement = Placement(
        placement_id=id,
        gateway="bitso",
        key=key,
        request=limit_buy(),
        client_order_id=f"ob-{id}",
        state=state,
        created_at=NOW,
    )
    print_ = fingerprint(limit_buy(), gateway="bitso", mode=None)
    return Record(placement=placement, fingerprint=print_, **changes)


def seen(status: str = "open", **changes: Any) -> Order:
    fields = {"symbol": "BTC/MXN", "side": "buy", "quantity": "0.01", "price": "100000", "observed_at": NOW}
    return Order(venue="bitso", order_id="oid1", client_order_id="ob-p1", status=status, **{**fields, **changes})
