"""Cancels at Bitso: it answers with the oids that it really cancelled, and may forget them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orderbridge.adapters.bitso.mapping import WAITING_MAY_BE_MISSING, could_be_oid, ways_to_ask
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.adapters.bitso.rebuild import BATCH, blames_an_id
from orderbridge.errors import OrderNotFound, OutcomeUnknown, Where
from orderbridge.http.retry import Deadline
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import LookupResult
from orderbridge.venue.cancel import Batches, Cancelled, Cancelling, LookUp, Meant, Seeking
from orderbridge.venue.lookup import CLIENT, no_id_of
from orderbridge.venue.sender import HttpCall, RefusedLater, Sender


def cancelling(client: Sender, reads: BitsoReads, look_up: LookUp) -> Cancelling:
    """How Bitso cancels: under any id, in lists and everything at once."""
    deletes = _Deletes(client)

    def refuse(given: RefLike, ref: OrderRef, where: Where) -> None:
        if not ways_to_ask(ref):
            raise OrderNotFound(f"{ref} cannot be an id at Bitso", found=no_id_of(client.gateway, ref), **where)

    return Cancelling(
        seeking=Seeking(
            gateway=client.gateway,
            look_up=look_up,
            order_id=_oid,
            refuse=refuse,
            unseen=_unseen,
            takes=lambda order: could_be_oid(order.order_id),
            would_wait=lambda: client.session.limiter.would_wait("resolve"),
        ),
        memory=reads.memory,
        log=client.session.log,
        now=reads.now,
        send=deletes.by_oid,
        by_client_id=deletes.by_origin_id,
        open_orders=lambda symbol, deadline: reads.open_orders(symbol=symbol, deadline=deadline),
        batches=Batches(
            size=BATCH,
            send=deletes.by_list,
            everything=deletes.everything,
            could_be_id=could_be_oid,
            blames_an_id=blames_an_id,
            may_lack=WAITING_MAY_BE_MISSING,
        ),
    )


def _oid(ref: OrderRef) -> str | None:
    oid = ref.order_id or ref.id
    return oid if oid and could_be_oid(oid) else None


def _unseen(given: RefLike, ref: OrderRef, result: LookupResult | None, where: Where) -> Meant | None:
    # Neither is the kind of a bare id known, nor does a miss prove anything: it is cancelled in every way.
    return None


class _Deletes:
    """The cancels that Bitso takes. What it could not have issued is no order's id, and goes into no request."""

    def __init__(self, client: Sender) -> None:
        self._client = client

    async def by_oid(self, meant: Meant, deadline: Deadline) -> Cancelled:
        """Cancel one order."""
        call = _delete(f"/orders/{meant.order_id}", order_id=meant.order_id, client_order_id=meant.client_order_id)
        return await self._one(call, deadline)

    async def by_origin_id(self, ref: OrderRef, deadline: Deadline) -> Cancelled:
        """Cancel what has the client id, once: by another try it could be a later order."""
        origin_id = next((way.id for way in ways_to_ask(ref) if way.kind == CLIENT), None)
        if origin_id is None:
            return Cancelled(ids=())
        call = _delete(f"/orders?origin_ids={origin_id}", client_order_id=origin_id)
        return await self._one(call, deadline, once=True)

    async def _one(self, call: HttpCall, deadline: Deadline, *, once: bool = False) -> Cancelled:
        try:
            return Cancelled(await self._send(call, deadline, once=once))
        except (OrderNotFound, RefusedLater) as error:
            if not isinstance(error, OrderNotFound) and not isinstance(error.refusal, OrderNotFound):
                raise
            return Cancelled(ids=())  # nothing was cancelled; how the order stands is read next

    async def by_list(self, oids: Sequence[str], deadline: Deadline, operation: str) -> list[str]:
        """Cancel orders. VenueError: the list was refused for one of them."""
        return await self._send(_delete(f"/orders?oids={','.join(oids)}", operation=operation), deadline)

    async def everything(self, deadline: Deadline) -> list[str]:
        """Cancel every order of the account, once."""
        return await self._send(_delete("/orders/all", operation="cancel_all"), deadline, once=True)

    async def _send(self, call: HttpCall, deadline: Deadline, *, once: bool = False) -> list[str]:
        payload = await self._client.cancel(call, deadline=deadline, once=once)
        if isinstance(payload, list):
            listed = list(dict.fromkeys(oid for oid in payload if isinstance(oid, str) and could_be_oid(oid)))
            if listed or not payload:
                return listed
        raise OutcomeUnknown(
            "a cancel answers with a list of oids, and this was none",
            order_id=call.order_id,
            client_order_id=call.client_order_id,
            gateway=self._client.gateway,
            operation=call.operation,
        )


def _delete(path: str, *, operation: str = "cancel", **ids: Any) -> HttpCall:
    return HttpCall(operation=operation, path=path, method="DELETE", **ids)
