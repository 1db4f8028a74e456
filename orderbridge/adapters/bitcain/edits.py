"""Changing an order in place, and retrying a failed one: each sent once, and told as the order stands after it."""

from __future__ import annotations

from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import EDIT, RETRY
from orderbridge.adapters.bitcain.envelope import Payload, Shapeless, ids_in, one_order
from orderbridge.adapters.bitcain.outgoing import differs, edit_to_wire
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.errors import (
    InvalidOrder,
    NotSent,
    OrderDenied,
    OrderNotActive,
    OrderRejected,
    OutcomeUnknown,
    VenueError,
)
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import KnownBy, OrderStatus, TimeInForce
from orderbridge.model.order import FILL_FIGURES, Order
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit
from orderbridge.venue.cancel import Seeking
from orderbridge.venue.codes import facts_of
from orderbridge.venue.rows import Unusable
from orderbridge.venue.sender import HttpCall, Sender

# Refusals by the order's state, as far as its status alone tells: the order is read to know.
_BY_STATE: Final = frozenset({400, 409})


class BitcainEdits:
    """The changes and retries of one account."""

    def __init__(
        self, sender: Sender, reads: BitcainReads, seeking: Seeking, *, gateway: str, include_unknown_mode: bool
    ) -> None:
        self._sender = sender
        self._reads = reads
        self._seeking = seeking
        self._gateway = gateway
        self._include_unknown_mode = include_unknown_mode

    async def modify(self, given: RefLike, changes: OrderEdit, *, deadline: Deadline) -> Order:
        """Change a working order in place; see `BitcainGateway.edit`."""
        order = await self._find(given, EDIT, deadline)
        self._check_mode(order, EDIT)
        self._check(order, changes)
        write = HttpCall(
            operation=EDIT,
            method="PATCH",
            path=f"{wire.ORDERS}/{order.order_id}",
            fields=edit_to_wire(changes),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        )
        payload = await self._send(write, order, deadline)
        shown = self._in_answer(payload, order, EDIT, wire.UPDATED_ORDER)
        if shown is not None and shown.order_id != order.order_id:
            # Nobody knows what that means: a change of another order, or an order put in the place of this one.
            raise self._unclear(f"the answer is about another order, {shown.order_id}", order, EDIT)
        if shown is None or differs(shown, changes):
            shown = await self._read_back(order.order_id, order, EDIT, deadline) or shown
        self._check_identity(shown, order, EDIT)
        if shown is None:
            return order.noted("edit: acknowledged, not read back", replace_requested=True)
        return shown.model_copy(update={"replace_requested": shown.may_be_live and differs(shown, changes)})

    async def retry(self, given: RefLike, *, deadline: Deadline) -> Order:
        """Have a failed order begin anew; see `BitcainGateway.retry_failed`."""
        order = await self._find(given, RETRY, deadline, fresh=True)
        self._check_mode(order, RETRY)
        if order.status is not OrderStatus.FAILED:
            raise self._not_active(f"only a failed order can be retried, and this one is {order.status}", order, RETRY)
        write = HttpCall(
            operation=RETRY,
            method="POST",
            path=f"{wire.ORDERS}/{order.order_id}{wire.RETRY}",
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        )
        payload = await self._send(write, order, deadline)
        # The old order may stand in the answer beside the new one.
        others = [id for id in ids_in(payload, names=wire.NEW_ID) if id != order.order_id]
        shown = self._in_answer(payload, order, RETRY, wire.NEW_ORDER)
        if shown is not None and shown.order_id != order.order_id:
            others = list(dict.fromkeys([shown.order_id, *others]))
        if len(others) > 1:
            raise self._unclear(f"the answer names several new orders: {', '.join(others)}", order, RETRY)
        order_id = others[0] if others else order.order_id
        if order_id == order.order_id:
            self._reads.memory.not_cancelling(order_id)
        else:
            self._reads.memory.retried(order.order_id, order_id, is_ours=order.paper is not None)
        if shown is None or shown.order_id != order_id:
            shown = await self._read_back(order_id, order, RETRY, deadline)
        self._check_identity(shown, order, RETRY)
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

    async def _find(self, given: RefLike, operation: str, deadline: Deadline, *, fresh: bool = False) -> Order:
        ref, meant = await self._seeking.find(given, deadline, operation=operation, fresh=fresh)
        if meant is None or meant.order is None:
            raise NotSent(f"nothing was done: {ref} cannot be read", gateway=self._gateway, operation=operation)
        return meant.order

    def _check_mode(self, order: Order, operation: str) -> None:
        if order.paper is None and not self._include_unknown_mode:
            raise self._denied(
                f"nothing was done: whether {order.order_id} is a paper or a live order is not stated, and it was not"
                " created here; a gateway made with include_unknown_mode=True does it all the same",
                "trading_mode",
                operation,
            )

    def _check_identity(self, shown: Order | None, order: Order, operation: str) -> None:
        if shown is not None and (shown.symbol, shown.side) != (order.symbol, order.side):
            text = f"the answer is about another order: {shown.side} {shown.symbol}, not {order.side} {order.symbol}"
            raise self._unclear(text, order, operation)

    def _check(self, order: Order, changes: OrderEdit) -> None:
        if order.is_done:
            raise self._not_active(f"the order is {order.status}: nothing can be changed", order, EDIT)
        filled = order.filled_quantity
        if changes.quantity is not None and filled and changes.quantity <= filled:
            raise self._denied("quantity is the new total, and that much is filled already: cancel instead", "quantity")
        life = changes.time_in_force or order.time_in_force
        if life is TimeInForce.GTT and changes.expires_at is None and order.expires_at is None:
            raise self._denied("time_in_force gtt needs expires_at (a rule of ours)", "expires_at")
        if changes.expires_at is not None and life not in {TimeInForce.GTT, None}:
            raise self._denied(f"expires_at needs time_in_force gtt, and this is {life} (a rule of ours)", "expires_at")

    async def _send(self, write: HttpCall, order: Order, deadline: Deadline) -> Payload:
        try:
            payload: Payload = await self._sender.write(write, deadline=deadline)
        except (OrderNotActive, InvalidOrder) as refused:
            if refused.http_status not in _BY_STATE:
                raise
            raise await self._by_state(refused, order, deadline) from refused
        return payload

    async def _by_state(self, refused: VenueError, order: Order, deadline: Deadline) -> VenueError:
        operation = refused.operation or EDIT
        now = await self._read_back(order.order_id, order, operation, deadline)
        text = Exception.__str__(refused)
        is_past = now is not None and (now.status is not OrderStatus.FAILED if operation == RETRY else now.is_done)
        if now is not None and is_past:
            return OrderNotActive(f"{text}; the order is {now.status}", order=now, **facts_of(refused))
        kind = InvalidOrder if isinstance(refused, InvalidOrder) else OrderRejected
        stands = "could not be read" if now is None else f"stands as it was, {now.status}"
        return kind(f"{text}; the order {stands}", **facts_of(refused))

    def _in_answer(self, payload: Payload, order: Order, operation: str, places: tuple[str, ...]) -> Order | None:
        try:
            row = one_order(payload, first=places)
            return self._reads.read_row(row, symbol=order.symbol, operation=operation)
        except (Shapeless, Unusable):
            return None

    async def _read_back(self, order_id: str, order: Order, operation: str, deadline: Deadline) -> Order | None:
        return await self._reads.read_back(order_id, symbol=order.symbol, deadline=deadline, operation=operation)

    def _denied(self, text: str, rule: str, operation: str = EDIT) -> OrderDenied:
        return OrderDenied(text, rule=rule, gateway=self._gateway, operation=operation)

    def _not_active(self, text: str, order: Order, operation: str) -> OrderNotActive:
        return OrderNotActive(text, order=order, gateway=self._gateway, operation=operation)

    def _unclear(self, text: str, order: Order, operation: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"the {operation} was sent, and {text}",
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            gateway=self._gateway,
            operation=operation,
        )
