"""
Cancels through ccxt, by the exchange's id and one by one.

An acknowledgement proves little: some exchanges answer alike whether or not they cancelled anything. So the order is
read after every cancel, and its status is what that shows. ccxt's own call for all is not used: on some exchanges it
takes in contracts and margin.
"""

from __future__ import annotations

from collections.abc import Sequence

from orderbridge.adapters.ccxt_any.client import CcxtCall, CcxtClient
from orderbridge.adapters.ccxt_any.lookup import look_up
from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtReads
from orderbridge.adapters.ccxt_any.traits import ANY_ID
from orderbridge.errors import (
    NotSent,
    OrderDenied,
    OrderNotFound,
    UnexpectedResponse,
    VenueError,
    VenueUnavailable,
    Where,
)
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import BadRow, LookupResult
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.cancel import UNREADABLE, Cancelled, Cancelling, Listed, Meant, Seeking
from orderbridge.venue.lookup import no_id_of
from orderbridge.venue.sender import RefusedLater


def cancelling(client: CcxtClient, reads: CcxtReads) -> Cancelling:
    """How the exchange cancels, by what is known of it."""
    traits, memory, name = reads.traits, reads.memory, client.gateway
    first, resolving = reads.in_lane("cancel"), reads.in_lane("resolve")

    async def look(refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        return await look_up(resolving, refs, deadline)

    def order_id(ref: OrderRef) -> str | None:
        if ref.order_id is None and ref.client_order_id is not None:
            return memory.id_of(ref.client_order_id)
        return ref.order_id or (ref.id if traits.client_ids is None else None)

    def symbol_of(ref: OrderRef) -> Symbol | None:
        sent = memory.symbols_of(ref.client_order_id) if ref.order_id is None and ref.client_order_id else ()
        return ref.symbol or next(iter(sent), None)

    def refuse(given: RefLike, ref: OrderRef, where: Where) -> None:
        id = order_id(ref)
        if id is None or traits.could_be_id(id):
            return
        text = f"{id!r} cannot be an order id at {name}"
        if traits.id_shape == ANY_ID:
            # Of an exchange whose ids are not known nothing is proven, and the text is not safe to send.
            raise OrderDenied(text, rule="order_id", **where)
        raise OrderNotFound(f"{ref}: {text}", found=no_id_of(name, ref), **where)

    def unseen(given: RefLike, ref: OrderRef, result: LookupResult | None, where: Where) -> Meant | None:
        id = order_id(ref)
        if id is None and result is not None:
            order_from(result, ref, gateway=name, operation=where.get("operation") or "")
        return Meant(id or "", symbol_of(ref))

    async def send(meant: Meant, deadline: Deadline) -> Cancelled:
        try:
            await first.ready(deadline=deadline)
        except (VenueUnavailable, UnexpectedResponse) as error:
            raise NotSent(f"nothing was sent: {Exception.__str__(error)}", gateway=name, operation="cancel") from error
        asked, apart = reads.markets.spelled(meant.symbol), memory.is_apart(meant.order_id, meant.symbol)
        call = CcxtCall(
            operation="cancel",
            make=lambda exchange: exchange.cancel_order(meant.order_id, asked, dict(TRIGGER) if apart else {}),
            order_id=meant.order_id,
            client_order_id=meant.client_order_id,
        )
        try:
            done = await client.sender.cancel(call, deadline=deadline)
        except (OrderNotFound, RefusedLater) as error:
            refusal = error if isinstance(error, OrderNotFound) else error.refusal
            if apart or not isinstance(refusal, OrderNotFound) or not await is_apart(meant, deadline):
                raise
            return await send(meant, deadline)
        listed = isinstance(done.value, dict) and done.value.get("id") == meant.order_id
        return Cancelled(ids=([meant.order_id] if listed else []) if traits.cancel_lists else None)

    async def is_apart(meant: Meant, deadline: Deadline) -> bool:
        """Whether an order that was not found is one that waits for a price, which is cancelled in another place."""
        if not traits.trigger_orders_apart:
            return False
        key = OrderRef.model_construct(gateway=name, order_id=meant.order_id, symbol=meant.symbol)
        await look([key], after_a_write(deadline), {})
        return memory.is_apart(meant.order_id, meant.symbol)

    def untouched(row: Order | BadRow, symbol: Symbol | None) -> str | None:
        return None if row.order_id and traits.could_be_id(row.order_id) else UNREADABLE

    return Cancelling(
        seeking=Seeking(
            gateway=name,
            look_up=look,
            order_id=order_id,
            refuse=refuse,
            unseen=unseen,
            remembered=lambda ref: memory.orders(order_id(ref) or "", symbol_of(ref)),
            would_wait=lambda: client.session.limiter.would_wait("resolve"),
        ),
        memory=memory,
        log=client.session.log,
        now=reads.now,
        send=send,
        looks_after=(VenueError,),
        open_orders=lambda symbol, deadline: first.open_orders(symbol=symbol, deadline=deadline),
        untouched=untouched,
    )
