"""A gateway in this process that answers at once, so that what is left is the bridge's own work."""

import itertools
from datetime import UTC, datetime
from typing import Any, Self

from orderbridge import Capabilities, Idempotency, Order, OrderList, OrderRequest, Permit, UnsupportedCalls
from orderbridge.gateway import ClientIdRule
from orderbridge.model.results import Found, LookupResult

NAME = "instant"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def limit_buy(**changes: Any) -> OrderRequest:
    """An order as a bot would place it."""
    fields = {"symbol": "BTC/MXN", "side": "buy", "quantity": "0.01", "price": "560000"}
    return OrderRequest.limit(**{**fields, **changes})


def shown(request: OrderRequest, order_id: str) -> Order:
    """What the venue answers: an id, and the order as asked for."""
    return Order(
        venue=NAME,
        order_id=order_id,
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        raw_type="limit",
        status="accepted",
        quantity=request.quantity,
        price=request.price,
        time_in_force=request.time_in_force,
        observed_at=NOW,
    )


class InstantGateway(UnsupportedCalls):
    """Accepts each order at once, and keeps none."""

    name = venue = NAME
    account = "default"
    capabilities = Capabilities(
        order_types=frozenset({"limit"}),
        times_in_force=frozenset({"gtc"}),
        client_order_id=ClientIdRule(alphabet="0-9A-Za-z-", max_length=40),
        idempotency=Idempotency.WHILE_ACTIVE,
    )

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._answer = shown(limit_buy(), "")

    async def permit(self, lane: Any = "place", *, timeout: float | None = None) -> Permit:
        return Permit(gateway=self.name, lane=lane, granted_at=0.0)

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        if permit is not None:
            permit.spend()
        told = {"order_id": f"new{next(self._numbers)}", "client_order_id": request.client_order_id}
        return self._answer.model_copy(update=told)

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        return LookupResult(refs=refs, found=tuple(Found() for _ in refs))

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        return OrderList(as_of=NOW)

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...
