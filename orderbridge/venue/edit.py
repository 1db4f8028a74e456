"""Changing a working order in place: checked against what it is, sent once, and told as it stands after that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from orderbridge import errors
from orderbridge.http.retry import Deadline
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.markets import MarketStore, amounts_of
from orderbridge.venue.sender import Sender, VenueCall
from orderbridge.venue.submit import BeforeSending, Unclear

UNKNOWN_OUTCOME: Final = "edit: sent, outcome not known"


class Editing(NamedTuple):
    """
    How a venue changes an order in place.

    Attributes:
        find: the order that is meant, read. Raises where it cannot be, or is not to be touched.
        check: OrderDenied, NotSupported for what cannot be changed of it; gives the changes, completed.
        call: the changes as they leave.
        shown: the order that the answer shows; None where it shows none. Unclear: it is about another.
        may_be_state: whether a refusal may be one by the order's state, so that the order itself tells.
        look: the order after a write to it, where `find` would not do; None where it cannot be read at once.
        markets: whose rules new amounts are held against.
        unconfirmed: told of an order whose size may be another by now, so that fills of the old do not fill it.
    """

    find: Callable[[RefLike, Deadline], Awaitable[Order]]
    check: Callable[[Order, OrderEdit], OrderEdit]
    sender: Sender
    call: Callable[[Order, OrderEdit], VenueCall]
    shown: Callable[[Any, Order], Order | None]
    may_be_state: Callable[[errors.VenueError], bool] = lambda refused: isinstance(refused, errors.OrderNotActive)
    look: Callable[[Order, Deadline], Awaitable[Order | None]] | None = None
    markets: MarketStore | None = None
    unconfirmed: Callable[[Order], None] = lambda order: None

    async def edit(self, given: RefLike, changes: OrderEdit, *, deadline: Deadline) -> Order:
        """
        Change an order, and return it as it is after that; `replace_requested` where it does not show the change.

        Raises:
            OrderDenied, NotSupported, NotSent and the errors of `find`: nothing was sent.
            OrderNotActive: it had ended; the error carries it. OrderRejected: refused, and it stands as it was.
            OutcomeUnknown: sent, and no clear answer.
        """
        order = await self.find(given, deadline)
        if order.is_done:
            raise errors.OrderNotActive(f"the order is {order.status}: nothing can be changed", order=order)
        if changes.quantity is not None and changes.quantity <= (order.filled_quantity or 0):
            message = "quantity is the new total, and that much is filled already: cancel instead"
            raise errors.OrderDenied(message, rule="quantity")
        with BeforeSending():
            changes = self.check(order, changes)
            if self.markets is not None:
                amounts = amounts_of(changes)
                if changes.quantity is not None:
                    amounts["price"] = changes.price or order.price
                await self.markets.hold(order.symbol, amounts, deadline=deadline)
            call = self.call(order, changes)
        try:
            answer = await self.sender.write(call, deadline=deadline)
        except errors.OutcomeUnknown:
            self._unconfirmed(order, UNKNOWN_OUTCOME)
            raise
        except errors.VenueError as refused:
            if not self.may_be_state(refused):
                raise
            now = await self.read_back(order, deadline)
            raise by_state(refused, now, is_past=now is not None and now.is_done) from refused
        with about(order, "edit"):
            shown = self.shown(answer, order)
            if shown is None or _differs(shown, changes):
                shown = await self.read_back(order, deadline) or shown
            check_same(shown, order)
        if shown is None:
            return self._unconfirmed(order, "edit: accepted, not read back")
        if shown.may_be_live and _differs(shown, changes):
            # A stale read, or the change is still under way.
            return self._unconfirmed(shown, "edit: accepted, not shown yet")
        return shown.model_copy(update={"replace_requested": False})

    async def read_back(self, order: Order, deadline: Deadline) -> Order | None:
        """The order after a write to it; None where it cannot be read at once."""
        if self.look is not None:
            return await self.look(order, deadline)
        try:
            return await self.find(OrderRef(order_id=order.order_id, symbol=order.symbol), after_a_write(deadline))
        except errors.OrderBridgeError:
            return None

    def _unconfirmed(self, order: Order, evidence: str) -> Order:
        order = order.noted(evidence, replace_requested=True)
        self.unconfirmed(order)
        return order


def by_state(refused: errors.VenueError, now: Order | None, *, is_past: bool) -> errors.VenueError:
    """The refusal that the order's state may explain, told by the order as it is now; None: it could not be read."""
    text = Exception.__str__(refused)
    if now is not None and is_past:
        return errors.OrderNotActive(f"{text}; the order is {now.status}", order=now, **refused.facts)
    stands = "could not be read" if now is None else f"stands as it was, {now.status}"
    message = f"{text}; the order {stands}"
    if isinstance(refused, errors.OrderNotFound):
        return errors.OrderNotFound(message, found=refused.found, **refused.facts)
    kind = type(refused) if isinstance(refused, errors.OrderRejected) else errors.OrderRejected
    return kind(message, **refused.facts)


@contextmanager
def about(order: Order, operation: str) -> Iterator[None]:
    """Where the answer to a write about an order is read: what is unclear is an outcome that is not known."""
    try:
        yield
    except Exception as error:
        # Whatever a defect is called, the write was sent.
        defect = f"its answer could not be taken in: {type(error).__name__}: {error}"
        raise errors.OutcomeUnknown(
            f"the {operation} was sent, and {error if isinstance(error, Unclear) else defect}",
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        ) from error


def check_same(shown: Order | None, order: Order) -> None:
    """Unclear: what is shown is another order."""
    if shown is not None and (shown.symbol, shown.side) != (order.symbol, order.side):
        other = f"{shown.side} {shown.symbol}, not {order.side} {order.symbol}"
        raise Unclear(f"the answer is about another order: {other}")


def _differs(order: Order, changes: OrderEdit) -> bool:
    """True if an order states other figures than a change asked for, or does not state them."""
    return any(value is not None and getattr(order, name) != value for name, value in dict(changes).items())
