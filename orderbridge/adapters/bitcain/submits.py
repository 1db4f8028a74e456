"""Sending a new order, and reading what the answer shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.envelope import Shapeless, ids_in, one_order
from orderbridge.adapters.bitcain.mapping import Unusable
from orderbridge.adapters.bitcain.outgoing import (
    CLIENT_ID,
    INEXPRESSIBLE,
    Route,
    contradictions,
    order_as_asked,
    order_to_wire,
    params_to_wire,
    route_of,
    spelled,
)
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.refusals import SUBMIT
from orderbridge.adapters.bitcain.settings import Settings
from orderbridge.adapters.bitcain.writer import BitcainWriter, Payload, Write
from orderbridge.client_ids import mint
from orderbridge.errors import NotSupported, OrderDenied, OutcomeUnknown
from orderbridge.gateway import Capabilities
from orderbridge.http.policy import Deadline
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import before_sending, refuse_undeclared

# An answer that contradicts one of these is about another order than was sent.
IDENTITY: Final = frozenset({"client_order_id", "symbol", "side", "paper"})


class BitcainSubmits:
    """The new orders of one account."""

    def __init__(
        self,
        writer: BitcainWriter,
        reads: BitcainReads,
        *,
        account: str,
        settings: Settings,
        capabilities: Capabilities,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._account = account
        self._gateway = gateway_name("bitcain", account)
        self._settings = settings
        self._capabilities = capabilities
        self._clock = clock

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> Order:
        """Send one order, once; see `BitcainGateway.submit`."""
        with before_sending(self._gateway, SUBMIT):
            route, symbol = self._screened(request)
            client_order_id = request.client_order_id or mint(self._clock(), max_length=CLIENT_ID.max_length)
            write = Write(
                operation=SUBMIT,
                method="POST",
                path=wire.ORDERS,
                params=params_to_wire(route),
                fields=order_to_wire(request, route, symbol=symbol, client_order_id=client_order_id),
                client_order_id=client_order_id,
            )
        payload = await self._writer.send(write, deadline=deadline, permit=permit, not_after=not_after)
        order = self._in_answer(payload, request)
        if order is None:
            order_id = self._named(payload, client_order_id)
            order = await self._reads.read_back(
                order_id, symbol=request.symbol, deadline=deadline, operation=SUBMIT
            ) or order_as_asked(
                request,
                route,
                order_id=order_id,
                client_order_id=client_order_id,
                account=self._account,
                observed_at=self._reads.now(),
            )
        doubts = contradictions(order, request, route, client_order_id=client_order_id)
        if IDENTITY & doubts.keys():
            raise OutcomeUnknown(
                f"the order was sent, and the answer shows another, {order.order_id}: {'; '.join(doubts.values())}",
                order_id=order.order_id,
                client_order_id=client_order_id,
                gateway=self._gateway,
                operation=SUBMIT,
            )
        self._reads.acts.note_created(order.order_id, client_order_id)
        return self._told(self._reads.acts.told(order), doubts.values(), client_order_id)

    def _screened(self, request: OrderRequest) -> tuple[Route, str]:
        if request.type in INEXPRESSIBLE and request.type not in self._capabilities.order_types:
            raise NotSupported(
                f"Bitcain's API has no field for what a {request.type} order needs: {INEXPRESSIBLE[request.type]}."
                " A gateway made with allow_inexpressible=True sends it with the documented fields alone",
                gateway=self._gateway,
                operation=SUBMIT,
            )
        refuse_undeclared(request, self._capabilities, gateway=self._gateway)
        try:
            return route_of(request.options, self._settings), spelled(request, self._settings)
        except OrderDenied as denied:
            denied.gateway, denied.operation = self._gateway, SUBMIT
            raise

    def _in_answer(self, payload: Payload, request: OrderRequest) -> Order | None:
        try:
            return self._reads.read_row(one_order(payload), symbol=request.symbol, operation=SUBMIT)
        except (Shapeless, Unusable):
            return None

    def _named(self, payload: Payload, client_order_id: str) -> str:
        """The one id that an answer without a whole order names."""
        ids = ids_in(payload)
        if len(ids) == 1:
            return ids[0]
        said = f"names several orders: {', '.join(ids)}" if ids else "names no order"
        raise OutcomeUnknown(
            f"the order was sent, and the answer {said}",
            client_order_id=client_order_id,
            gateway=self._gateway,
            operation=SUBMIT,
        )

    def _told(self, order: Order, doubts: Iterable[str], client_order_id: str) -> Order:
        """The order as the venue says it, with what contradicts the request as anomalies."""
        if order.client_order_id is None:
            note = "its client order id is the one it was sent with: the answer states none"
            evidence = tuple(sorted({*order.evidence, note}))
            order = order.model_copy(update={"client_order_id": client_order_id, "evidence": evidence})
        return self._reads.flag(order, doubts, operation=SUBMIT)
