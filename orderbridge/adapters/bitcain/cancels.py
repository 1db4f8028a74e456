"""
Cancels at Bitcain: an order of the other mode is never touched, and an acknowledgement is no end.

Unless the answer holds the order as ended, the order is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import CANCEL
from orderbridge.adapters.bitcain.envelope import Shapeless, one_order
from orderbridge.adapters.bitcain.lookup import look_up
from orderbridge.adapters.bitcain.mapping import paper_from_wire
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.wire import as_uuid, pick
from orderbridge.adapters.bitcain.words import read_status
from orderbridge.errors import (
    AmbiguousRef,
    NotSent,
    OrderDenied,
    OrderNotActive,
    OrderNotFound,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
    Where,
)
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import KnownBy, Symbol
from orderbridge.model.lifecycle import last_change
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import Answer, BadRow, LookupResult
from orderbridge.venue.cancel import UNREADABLE, Cancelled, Cancelling, Listed, Meant, Seeking
from orderbridge.venue.lookup import no_id_of
from orderbridge.venue.rows import Unusable
from orderbridge.venue.sender import HttpCall, Sender

# Reads that came to nothing: no order, and no word on whether there is one.
_NOT_READ: Final = (VenueUnavailable, RateLimited, UnexpectedResponse)
_NO_MODE: Final = (
    "state no trading mode and were not touched (a gateway made with include_unknown_mode=True cancels them too)"
)


def seeking(reads: BitcainReads, *, scan_since: timedelta) -> Seeking:
    """How an order is found before something is done to it: read, for its mode, unless it works and states ours."""

    async def look(refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        return await look_up(reads, refs, deadline, scan_since=scan_since)

    def refuse(given: RefLike, ref: OrderRef, where: Where) -> None:
        if ref.order_id is not None and as_uuid(ref.order_id) is None:
            message = f"{ref} is no id of Bitcain's, whose ids are UUIDs; nothing was sent"
            raise OrderNotFound(message, found=no_id_of(reads.gateway, ref), **where)
        if isinstance(given, Order) and reads.is_other_mode(given.paper):
            raise OrderDenied(f"{reads.other_mode(given)}; nothing was done", rule="trading_mode", **where)

    def unseen(given: RefLike, ref: OrderRef, result: LookupResult | None, where: Where) -> Meant | None:
        """An order that was created here, or given as one of our mode, although it could not be read."""
        if result is None:
            return None
        found, uuid = result[ref], _uuid(ref)
        answer, notes = found.answers.get(reads.gateway), "; ".join(found.notes)
        if answer is Answer.CANNOT_ASK:
            raise OrderDenied(f"{notes}; nothing was done", rule="trading_mode", **where)
        if answer is Answer.PARTLY_SEARCHED:
            raise OrderNotFound(f"{ref} is {notes}", found=found, **where)
        # An order whose row is broken can still be stopped; but not one of a mode that is not ours.
        stated = [paper_from_wire(bad.raw) for bad in result.bad_rows if uuid is not None and bad.order_id == uuid]
        is_ours = (isinstance(given, Order) and given.paper is not None) or reads.memory.is_created(uuid or "")
        is_ours = (is_ours or any(paper is not None for paper in stated)) and not any(map(reads.is_other_mode, stated))
        try:
            order_from(result, ref, gateway=reads.gateway, operation=where.get("operation") or "")
        except _NOT_READ as error:
            if is_ours and uuid is not None:
                return Meant(uuid, ref.symbol)
            if isinstance(error, RateLimited) and where.get("operation") == CANCEL:
                raise  # it says when to try again
            whether = "" if uuid is None else f"whether {uuid} is a paper or a live order could not be read: "
            raise NotSent(f"nothing was done: {whether}{Exception.__str__(error)}", **where) from error
        return None

    return Seeking(
        gateway=reads.gateway,
        look_up=look,
        order_id=_uuid,
        refuse=refuse,
        unseen=unseen,
        takes=lambda order: order.may_be_live and order.paper is not None,
    )


def cancelling(sender: Sender, reads: BitcainReads, *, scan_since: timedelta, include_unknown_mode: bool) -> Cancelling:
    """How Bitcain cancels: by UUID, one by one. The reads stand first in line, as the cancels do."""

    async def send(meant: Meant, deadline: Deadline) -> Cancelled:
        call = HttpCall(
            operation=CANCEL,
            method="DELETE",
            path=f"{wire.ORDERS}/{meant.order_id}",
            order_id=meant.order_id,
            client_order_id=meant.client_order_id,
        )
        payload = await sender.cancel(call, deadline=deadline)
        try:
            row = one_order(payload, first=wire.CANCELLED_ORDER)
            order = reads.read_row(row, symbol=meant.symbol, operation=CANCEL)
        except (Shapeless, Unusable):
            return Cancelled()
        return Cancelled(order=order if order.order_id == meant.order_id else None)

    def settles(ref: OrderRef, orders: Sequence[Order], where: Where) -> Order:
        """Client ids are not unique: that one has ended says nothing of another, unless it is the one sent here."""
        sent = reads.memory.created_under(ref.client_order_id or ref.id or "")
        ours = [order for order in orders if order.order_id in sent]
        newest = max(ours or orders, key=last_change)
        if ours and len({order.order_id for order in ours}) == len(sent):
            return newest
        raise AmbiguousRef(
            f"nothing was done: the newest order seen under {ref}, {newest.order_id}, is {newest.status}, and others"
            " under it may be unseen; cancel by order id",
            orders=tuple(orders),
            **where,
        )

    def untouched(row: Order | BadRow, symbol: Symbol | None) -> str | None:
        if isinstance(row, BadRow) and _has_ended(row.raw):
            return ""
        if isinstance(row, BadRow) and (row.order_id is None or symbol is not None):
            return UNREADABLE
        paper = row.paper if isinstance(row, Order) else paper_from_wire(row.raw)
        return _NO_MODE if paper is None and not include_unknown_mode else None

    return Cancelling(
        seeking=seeking(reads, scan_since=scan_since),
        memory=reads.memory,
        log=reads.log,
        now=reads.now,
        send=send,
        looks_after=(OrderNotActive,),
        # Who ended an order its row does not tell; that it has ended, it does.
        ends=frozenset({KnownBy.REPORTED, KnownBy.INFERRED}),
        settles=settles,
        is_pending=lambda order: read_status(order.raw_status, quantity=None, filled=None).cancel_requested,
        open_orders=lambda symbol, deadline: reads.open_orders(symbol, deadline=deadline, operation="cancel_all"),
        untouched=untouched,
    )


def _uuid(ref: OrderRef) -> str | None:
    return as_uuid(ref.order_id or ref.id)


def _has_ended(row: object) -> bool:
    word = pick(row, wire.STATUS) if isinstance(row, dict) else None
    return isinstance(word, str) and read_status(word, quantity=None, filled=None).status.is_end
