"""What Bitcain can change of an order, and how a failed one is retried: a new act, sent once."""

from __future__ import annotations

from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import EDIT, RETRY
from orderbridge.adapters.bitcain.envelope import Payload, Shapeless, ids_in, one_order
from orderbridge.adapters.bitcain.outgoing import edit_to_wire
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.errors import InvalidOrder, NotSent, OrderDenied, OrderNotActive, VenueError
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import KnownBy, OrderStatus, TimeInForce
from orderbridge.model.order import FILL_FIGURES, Order
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit
from orderbridge.venue.cancel import Seeking
from orderbridge.venue.edit import Editing, about, by_state, check_same
from orderbridge.venue.rows import Unusable
from orderbridge.venue.sender import HttpCall, Sender
from orderbridge.venue.submit import Unclear

# Refusals by the order's state, as far as its status alone tells: the order is read to know.
_BY_STATE: Final = frozenset({400, 409})


class BitcainEdits:
    """The changes and retries of one account."""

    def __init__(self, sender: Sender, reads: BitcainReads, seeking: Seeking, *, include_unknown_mode: bool) -> None:
        self._sender = sender
        self._reads = reads
        self._seeking = seeking
        self._include_unknown_mode = include_unknown_mode
        self.editing = Editing(
            find=self._find,
            check=_checked,
            sender=sender,
            call=lambda order, changes: _call(order, EDIT, "PATCH", fields=edit_to_wire(changes)),
            shown=self._shown,
            read_back=self._read_back,
            may_be_state=_may_be_state,
        )

    def _shown(self, payload: Payload, order: Order) -> Order | None:
        shown = self._in_answer(payload, order, EDIT, wire.UPDATED_ORDER)
        if shown is not None and shown.order_id != order.order_id:
            # Nobody knows what that means: a change of another order, or an order put in the place of this one.
            raise Unclear(f"the answer is about another order, {shown.order_id}")
        return shown

    async def retry(self, given: RefLike, *, deadline: Deadline) -> Order:
        """Have a failed order begin anew; see `BitcainGateway.retry_failed`."""
        order = await self._find(given, deadline, operation=RETRY, fresh=True)
        if order.status is not OrderStatus.FAILED:
            message = f"only a failed order can be retried, and this one is {order.status}"
            raise OrderNotActive(message, order=order)
        try:
            call = _call(order, RETRY, "POST", wire.RETRY)
            payload = await self._sender.write(call, deadline=deadline)
        except VenueError as refused:
            if not _may_be_state(refused):
                raise
            now = await self._read_back(order, deadline)
            is_past = now is not None and now.status is not OrderStatus.FAILED
            raise by_state(refused, now, is_past=is_past) from refused
        with about(order, RETRY):
            shown = self._in_answer(payload, order, RETRY, wire.NEW_ORDER)
            # The old order may stand in the answer beside the new one.
            named = [*([shown.order_id] if shown else ()), *ids_in(payload, names=wire.NEW_ID)]
            others = list(dict.fromkeys(id for id in named if id != order.order_id))
            if len(others) > 1:
                raise Unclear(f"the answer names several new orders: {', '.join(others)}")
            order_id = others[0] if others else order.order_id
            if others:
                self._reads.memory.retried(order.order_id, order_id, is_ours=order.paper is not None)
            else:
                self._reads.memory.not_cancelling(order_id)
            if shown is None or shown.order_id != order_id:
                shown = await self._read_back(order, deadline, order_id=order_id)
            check_same(shown, order)
        return self._begun(order, order_id) if shown is None else self._reads.memory.told(shown)

    def _begun(self, order: Order, order_id: str) -> Order:
        """A retried order that could not be read: it was failed, and its retry was acknowledged."""
        changes: dict[str, Any] = {
            "order_id": order_id,
            "status": OrderStatus.ACCEPTED,
            "raw_status": "",
            "known_by": KnownBy.INFERRED,
            "evidence": ("retry_failed: acknowledged, not read back",),
            "reason": None,
            "observed_at": self._reads.now(),
            "raw": {},
        }
        if order_id != order.order_id:
            changes |= dict.fromkeys(FILL_FIGURES)
            changes |= {"created_at": None, "updated_at": None, "exchange_order_id": None, "replaces": order.order_id}
        return order.model_copy(update=changes)

    async def _find(self, given: RefLike, deadline: Deadline, *, operation: str = EDIT, fresh: bool = False) -> Order:
        ref, meant = await self._seeking.find(given, deadline, operation=operation, fresh=fresh)
        if meant is None or meant.order is None:
            raise NotSent(f"nothing was done: {ref} cannot be read")
        order = meant.order
        if order.paper is None and not self._include_unknown_mode:
            raise OrderDenied(
                f"nothing was done: whether {order.order_id} is a paper or a live order is not stated, and it was not"
                " created here; a gateway made with include_unknown_mode=True does it all the same",
                rule="trading_mode",
            )
        return order

    def _in_answer(self, payload: Payload, order: Order, operation: str, places: tuple[str, ...]) -> Order | None:
        try:
            row = one_order(payload, first=places)
            return self._reads.read_row(row, symbol=order.symbol, operation=operation)
        except (Shapeless, Unusable):
            return None

    async def _read_back(self, order: Order, deadline: Deadline, *, order_id: str | None = None) -> Order | None:
        id = order_id or order.order_id
        return await self._reads.read_back(id, symbol=order.symbol, deadline=deadline, operation=EDIT)


def _call(order: Order, operation: str, method: str, path: str = "", **more: Any) -> HttpCall:
    ids: dict[str, Any] = {"order_id": order.order_id, "client_order_id": order.client_order_id}
    return HttpCall(operation=operation, method=method, path=f"{wire.ORDERS}/{order.order_id}{path}", **ids, **more)


def _may_be_state(refused: VenueError) -> bool:
    return isinstance(refused, (OrderNotActive, InvalidOrder)) and refused.http_status in _BY_STATE


def _checked(order: Order, changes: OrderEdit) -> OrderEdit:
    life = changes.time_in_force or order.time_in_force
    if life is TimeInForce.GTT and changes.expires_at is None and order.expires_at is None:
        raise OrderDenied("time_in_force gtt needs expires_at (a rule of ours)", rule="expires_at")
    if changes.expires_at is not None and life not in {TimeInForce.GTT, None}:
        message = f"expires_at needs time_in_force gtt, and this is {life} (a rule of ours)"
        raise OrderDenied(message, rule="expires_at")
    return changes
