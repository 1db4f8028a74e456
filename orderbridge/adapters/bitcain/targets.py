"""Which order a cancel, an edit or a retry is about: found, and of our mode."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from orderbridge.adapters.bitcain.codes import CANCEL
from orderbridge.adapters.bitcain.lookup import look_up
from orderbridge.adapters.bitcain.mapping import paper_from_wire
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.wire import as_uuid
from orderbridge.errors import (
    AmbiguousRef,
    NotSent,
    OrderDenied,
    OrderNotFound,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
    Where,
)
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.lifecycle import last_change
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.results import Answer, LookupResult
from orderbridge.venue.bounds import before_a_cancel
from orderbridge.venue.lookup import no_id_of

_MODES: Final = {True: "paper", False: "live"}
# Seeking a client id may take this share: without its order there is nothing to send.
_SEEKING_SHARE: Final = 2 / 3
# Reads that came to nothing: no order, and no word on whether there is one.
_NOT_READ: Final = (VenueUnavailable, RateLimited, UnexpectedResponse)


@dataclass(frozen=True, slots=True)
class Target:
    """The order that is meant; `order` None when it is known to be of our mode, and could not be read."""

    order_id: str
    order: Order | None


class Targets:
    """Finds orders by any ref before something is done to them."""

    def __init__(self, reads: BitcainReads, *, gateway: str, scan_since: timedelta) -> None:
        self._reads = reads
        self._gateway = gateway
        self._scan_since = scan_since

    async def find(self, given: RefLike, *, deadline: Deadline, operation: str, fresh: bool = False) -> Target:
        """
        The order that `given` names. It is read first, unless it is an `Order` that works in our mode.

        Args:
            fresh: read it in any case.

        Raises:
            OrderDenied: it is of the other mode.
            OrderNotFound: not shown; the error says whether that proves anything.
            AmbiguousRef: several orders that may be live answer to it.
            NotSent: it could not be read, so nothing was done.
            AuthenticationFailed, PermissionDenied, ConfigurationError.
        """
        where = Where(gateway=self._gateway, operation=operation)
        ref = self._checked(given, where)
        if isinstance(given, Order) and given.may_be_live and given.paper is not None and not fresh:
            return Target(given.order_id, given)
        return self._chosen(
            ref, await look_up(self._reads, [ref], deadline, scan_since=self._scan_since), where, is_ours=False
        )

    async def find_to_cancel(self, given: RefLike, *, deadline: Deadline) -> Target:
        """
        The order to cancel, as `find` does, with most of the time left for the cancel itself.

        The read of an id has two seconds at most, and a third of the time; the search for a client id two thirds.
        An order that was created here, or given as an `Order` of our mode, is to be cancelled although it could
        not be read.

        Raises:
            AmbiguousRef: several that may be live answer to a client id, or only ended ones, which prove nothing.
            NotSent: it could not be read; of an id, whether it is paper or live is not known.
            The other errors of `find`.
        """
        where = Where(gateway=self._gateway, operation=CANCEL)
        ref = self._checked(given, where)
        is_ours = isinstance(given, Order) and given.paper is not None
        if isinstance(given, Order) and given.may_be_live and is_ours:
            return Target(given.order_id, given)
        uuid = as_uuid(ref.order_id or ref.id)
        if uuid is not None:
            soon = before_a_cancel(deadline)
            is_ours = is_ours or self._reads.memory.is_created(uuid)
        elif deadline.as_timeout is None:
            soon = deadline
        else:
            soon = deadline.within(deadline.remaining() * _SEEKING_SHARE)
        result = await look_up(self._reads, [ref], soon, scan_since=self._scan_since)
        target = self._chosen(ref, result, where, is_ours=is_ours)
        if target.order is None or target.order.may_be_live or target.order_id == uuid:
            return target
        return self._ended(ref, result[ref].orders, where)

    def _ended(self, ref: OrderRef, orders: tuple[Order, ...], where: Where) -> Target:
        """Client ids are not unique: that one has ended says nothing of another, unless it is the one sent here."""
        sent = self._reads.memory.created_under(ref.client_order_id or ref.id or "")
        ours = [order for order in orders if order.order_id in sent]
        newest = max(ours or orders, key=last_change)
        if ours and len({order.order_id for order in ours}) == len(sent):
            return Target(newest.order_id, newest)
        raise AmbiguousRef(
            f"nothing was done: the newest order seen under {ref}, {newest.order_id}, is {newest.status}, and others"
            " under it may be unseen; cancel by order id",
            orders=orders,
            **where,
        )

    def _checked(self, given: RefLike, where: Where) -> OrderRef:
        (ref,) = parse_refs([given], gateways=[self._gateway], operation=where.get("operation") or "lookup")
        if ref.order_id is not None and as_uuid(ref.order_id) is None:
            found = no_id_of(self._gateway, ref)
            message = f"{ref} is no id of Bitcain's, whose ids are UUIDs; nothing was sent"
            raise OrderNotFound(message, found=found, **where)
        if isinstance(given, Order) and self._reads.is_other_mode(given.paper):
            theirs = _MODES[bool(given.paper)]
            text = f"{given.order_id} is a {theirs} order, and this gateway is for {self._reads.mode} orders"
            raise OrderDenied(f"{text}; nothing was done", rule="trading_mode", **where)
        return ref

    def _chosen(self, ref: OrderRef, result: LookupResult, where: Where, *, is_ours: bool) -> Target:
        found = result[ref]
        answer = found.answers.get(self._gateway)
        if answer is Answer.FOUND:
            order = _the_one(found.orders, ref, where)
            return Target(order.order_id, order)
        notes = "; ".join(found.notes)
        if answer is Answer.CANNOT_ASK:
            raise OrderDenied(f"{notes}; nothing was done", rule="trading_mode", **where)
        if answer is Answer.PARTLY_SEARCHED:
            raise OrderNotFound(f"{ref} is {notes}", found=found, **where)
        uuid = as_uuid(ref.order_id or ref.id)
        # An order whose row is broken can still be stopped; but not one of a mode that is not ours.
        stated = [paper_from_wire(bad.raw) for bad in result.bad_rows if uuid is not None and bad.order_id == uuid]
        if any(self._reads.is_other_mode(paper) for paper in stated):
            is_ours = False
        elif any(paper is not None for paper in stated):
            is_ours = True
        try:
            order = order_from(result, ref, gateway=self._gateway, operation=where.get("operation") or "")
        except _NOT_READ as error:
            if is_ours and uuid is not None:
                return Target(uuid, None)
            if isinstance(error, RateLimited) and where.get("operation") == CANCEL:
                raise  # it says when to try again
            whether = "" if uuid is None else f"whether {uuid} is a paper or a live order could not be read: "
            raise NotSent(f"nothing was done: {whether}{Exception.__str__(error)}", **where) from error
        return Target(order.order_id, order)


def _the_one(orders: tuple[Order, ...], ref: OrderRef, where: Where) -> Order:
    """A client id may stand for several orders: the one that works is meant, else the newest."""
    live = [order for order in orders if order.may_be_live]
    if len(live) > 1:
        raise AmbiguousRef(f"{len(live)} orders that may be live answer to {ref}", orders=tuple(live), **where)
    return live[0] if live else max(orders, key=last_change)
