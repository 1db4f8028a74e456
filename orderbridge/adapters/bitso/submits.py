"""Placing orders: held against what Bitso takes, then sent once."""

from __future__ import annotations

from collections.abc import Callable

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.markets import BitsoMarkets
from orderbridge.adapters.bitso.outgoing import contradictions, order_from_answer, order_to_wire, other_figures
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.adapters.bitso.rules import Amounts, Rules
from orderbridge.errors import (
    InvalidOrder,
    OutcomeUnknown,
)
from orderbridge.gateway import Capabilities
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import before_sending, refuse_undeclared


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
        self.rules = Rules(markets, gateway=client.gateway)
        self._capabilities = capabilities
        self._mint = mint

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> Order:
        """Send an order once; see `BitsoGateway.submit`."""
        with before_sending(self._client.gateway, "submit"):
            refuse_undeclared(request, self._capabilities, gateway=self._client.gateway)
            await self.rules.hold(
                request.symbol,
                Amounts(request.quantity, request.quote_quantity, request.price, request.stop_price),
                deadline=deadline,
                operation="submit",
            )
            client_order_id = request.client_order_id or self._mint()
            fields = order_to_wire(request, client_order_id=client_order_id)
        try:
            payload = await self._client.write(
                "POST",
                "/orders",
                fields,
                permit=permit,
                not_after=not_after,
                deadline=deadline,
                operation="submit",
                client_order_id=client_order_id,
            )
        except InvalidOrder as error:
            self._markets.refused(error.code)
            raise
        oid = self._oid(payload, client_order_id)
        wrong = contradictions(payload, fields)
        if wrong:
            raise OutcomeUnknown(
                f"the order was sent, and the answer shows another, {oid}: {'; '.join(wrong)}",
                order_id=oid,
                client_order_id=client_order_id,
                gateway=self._client.gateway,
                operation="submit",
            )
        order = order_from_answer(
            request,
            oid=oid,
            client_order_id=client_order_id,
            account=self._reads.account,
            observed_at=self._reads.now(),
            anomalies=other_figures(payload, request),
        )
        return self._reads.shown.take(order)

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
