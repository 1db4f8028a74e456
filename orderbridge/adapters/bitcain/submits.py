"""A new order at Bitcain: the request, and the order that an answer shows in any of the forms that it may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import SUBMIT
from orderbridge.adapters.bitcain.envelope import Payload, Shapeless, ids_in, one_order
from orderbridge.adapters.bitcain.mapping import VENUE
from orderbridge.adapters.bitcain.outgoing import INEXPRESSIBLE, order_to_wire, params_to_wire, route_of, spelled
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.settings import Settings
from orderbridge.adapters.bitcain.wire import pick
from orderbridge.errors import NotSupported
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest
from orderbridge.venue.rows import Unusable
from orderbridge.venue.sender import HttpCall
from orderbridge.venue.submit import Unclear, order_as_asked


def refuse_inexpressible(request: OrderRequest) -> None:
    """NotSupported: the API names such a type, and has no field for what it needs."""
    if request.type in INEXPRESSIBLE:
        missing = INEXPRESSIBLE[request.type]
        raise NotSupported(f"Bitcain's API has no field for what a {request.type} order needs: {missing}")


def write_of(request: OrderRequest, client_order_id: str | None, settings: Settings) -> HttpCall:
    """A new order as it leaves. OrderDenied: its options or symbol are none for here."""
    route, symbol = route_of(request.options, settings), spelled(request, settings)
    return HttpCall(
        operation=SUBMIT,
        method="POST",
        path=wire.ORDERS,
        query=params_to_wire(route),
        fields=order_to_wire(request, route, symbol=symbol, client_order_id=client_order_id or ""),
        client_order_id=client_order_id,
    )


class Answers:
    """Finds the order in the answer to a new one."""

    def __init__(self, reads: BitcainReads, account: str) -> None:
        self._reads = reads
        self._account = account

    async def order_in(self, payload: Payload, request: OrderRequest, write: HttpCall, deadline: Deadline) -> Order:
        """The order of an answer: as it shows it, as it is read back, or as it was asked for. Unclear: no one order."""
        order = self._in_answer(payload, request)
        if order is not None:
            return order
        order_id = _named(payload)
        shown = await self._reads.read_back(order_id, symbol=request.symbol, deadline=deadline, operation=SUBMIT)
        order = self._sized(shown.raw, request) if shown is not None else self._beside_sizes(payload, request)
        return order or order_as_asked(
            request,
            venue=VENUE,
            account=self._account,
            order_id=order_id,
            client_order_id=write.client_order_id,
            observed_at=self._reads.now(),
            evidence="submit: an id was given, and the order could not be read",
            paper=self._reads.mode == "paper",
            routed_to=(write.query or {})["exchange"],
        )

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

        Unclear: its symbol or side cannot be read either, so it may be another one.
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
            raise Unclear(f"the answer may be about another: {error}", order_id=error.id) from error


def _named(payload: Payload) -> str:
    """The one id that an answer without a whole order names."""
    ids = ids_in(payload)
    if len(ids) == 1:
        return ids[0]
    raise Unclear(f"the answer names several orders: {', '.join(ids)}" if ids else "the answer names no order")
