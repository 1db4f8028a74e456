"""Placing orders: held against what Bitso takes, then sent once."""

from __future__ import annotations

from collections.abc import Callable

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.markets import BitsoMarkets
from orderbridge.adapters.bitso.outgoing import order_from_answer, order_to_wire
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.errors import (
    InvalidOrder,
    NotSent,
    OrderDenied,
    OutcomeUnknown,
    UnexpectedResponse,
    VenueError,
    VenueUnavailable,
)
from orderbridge.gateway import Capabilities
from orderbridge.http.policy import Deadline
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import refuse_broken_rules, refuse_undeclared


class BitsoSubmits:
    """The submits of one account."""

    def __init__(
        self,
        client: BitsoClient,
        reads: BitsoReads,
        markets: BitsoMarkets,
        *,
        capabilities: Capabilities,
        mint: Callable[[], str],
    ) -> None:
        self._client = client
        self._reads = reads
        self._markets = markets
        self._capabilities = capabilities
        self._mint = mint

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> Order:
        """Send an order once; see `BitsoGateway.submit`."""
        refuse_undeclared(request, self._capabilities, gateway=self._client.gateway)
        await self._hold_against_market(request, deadline)
        client_order_id = request.client_order_id or self._mint()
        try:
            payload = await self._client.write(
                "POST",
                "/orders",
                order_to_wire(request, client_order_id=client_order_id),
                permit=permit,
                not_after=not_after,
                deadline=deadline,
                operation="submit",
                client_order_id=client_order_id,
            )
        except InvalidOrder:
            # It broke a rule that we did not know, or knew otherwise.
            self._markets.expire()
            raise
        return order_from_answer(
            request,
            oid=self._oid(payload, client_order_id),
            client_order_id=client_order_id,
            account=self._reads.account,
            observed_at=self._reads.now(),
        )

    def _oid(self, payload: object, client_order_id: str) -> str:
        oid = payload.get("oid") if isinstance(payload, dict) else None
        if isinstance(oid, str) and oid:
            return oid
        raise OutcomeUnknown(
            "the order was sent, and the answer names no oid",
            client_order_id=client_order_id,
            gateway=self._client.gateway,
            operation="submit",
        )

    async def _hold_against_market(self, request: OrderRequest, deadline: Deadline) -> None:
        if not self._markets.is_checked:
            return
        gateway = self._client.gateway
        try:
            markets = await self._markets.get(refresh=False, deadline=deadline)
        except (VenueUnavailable, UnexpectedResponse, VenueError, TimeoutError) as error:
            message = f"nothing was sent: the markets' rules could not be loaded: {error or 'no time left'}"
            raise NotSent(message, gateway=gateway, operation="submit") from error
        market = markets.get(request.symbol)
        if market is None:
            message = f"Bitso has no market {request.symbol}"
            raise OrderDenied(message, rule="symbol", gateway=gateway, operation="submit")
        refuse_broken_rules(request, market, gateway=gateway)
