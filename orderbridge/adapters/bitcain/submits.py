"""Sending a new order, and reading what the answer shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import SUBMIT
from orderbridge.adapters.bitcain.envelope import Shapeless, ids_in, one_order
from orderbridge.adapters.bitcain.outgoing import (
    CAPABILITIES,
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
from orderbridge.adapters.bitcain.settings import Settings
from orderbridge.adapters.bitcain.wire import pick
from orderbridge.adapters.bitcain.writer import BitcainWriter, Payload, Write
from orderbridge.client_ids import mint
from orderbridge.errors import NotSupported, OrderDenied, OutcomeUnknown
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import as_asked, before_sending, refuse_undeclared
from orderbridge.venue.rows import Unusable

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
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._reads = reads
        self._account = account
        self._gateway = gateway_name("bitcain", account)
        self._settings = settings
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
            shown = await self._reads.read_back(order_id, symbol=request.symbol, deadline=deadline, operation=SUBMIT)
            order = self._sized(shown.raw, request) if shown is not None else None
            order = (
                order
                or self._beside_sizes(payload, request)
                or order_as_asked(
                    request,
                    route,
                    order_id=order_id,
                    client_order_id=client_order_id,
                    account=self._account,
                    observed_at=self._reads.now(),
                )
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
        order, figures = as_asked(order, request)
        return self._told(self._reads.acts.told(order), [*doubts.values(), *figures], client_order_id)

    def _screened(self, request: OrderRequest) -> tuple[Route, str]:
        if request.type in INEXPRESSIBLE:
            raise NotSupported(
                f"Bitcain's API has no field for what a {request.type} order needs: {INEXPRESSIBLE[request.type]}",
                gateway=self._gateway,
                operation=SUBMIT,
            )
        refuse_undeclared(request, CAPABILITIES, gateway=self._gateway)
        try:
            return route_of(request.options, self._settings), spelled(request, self._settings)
        except OrderDenied as denied:
            denied.gateway, denied.operation = self._gateway, SUBMIT
            raise

    def _in_answer(self, payload: Payload, request: OrderRequest) -> Order | None:
        try:
            return self._sized(one_order(payload), request)
        except Shapeless:
            return None

    def _sized(self, row: Mapping[str, Any], request: OrderRequest) -> Order | None:
        try:
            return self._reads.read_sized(row, request.quantity, symbol=request.symbol, operation=SUBMIT)
        except Unusable:
            return None

    def _beside_sizes(self, payload: Payload, request: OrderRequest) -> Order | None:
        """
        The order of an answer whose sizes cannot be read: whose it is, and nothing of its fills.

        OutcomeUnknown: its symbol or side cannot be read either, so it may be another one.
        """
        try:
            row = one_order(payload)
            known = {"symbol": request.symbol, "side": request.side.value}
            stated = {name: pick(row, names) for name, names in (("symbol", wire.SYMBOL), ("side", wire.SIDE))}
            if not any(stated.values()):
                return None
            bare = {**wire.without(row, *wire.QUANTITY, *wire.REMAINING, *wire.FILLED, *wire.PRICE, *wire.STOP_PRICE)}
            bare |= {name: value or known[name] for name, value in stated.items()}
            return self._reads.read_row({**bare, "status": "accepted"}, symbol=request.symbol, operation=SUBMIT)
        except Shapeless:
            return None
        except Unusable as error:
            raise OutcomeUnknown(
                f"the order was sent, and the answer may be about another: {error}",
                order_id=error.id,
                client_order_id=request.client_order_id,
                gateway=self._gateway,
                operation=SUBMIT,
            ) from error

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
        """The order with what contradicts the request as anomalies."""
        if order.client_order_id is None:
            note = "its client order id is the one it was sent with: the answer states none"
            order = order.noted(note, client_order_id=client_order_id)
        return self._reads.flag(order, doubts, operation=SUBMIT)
