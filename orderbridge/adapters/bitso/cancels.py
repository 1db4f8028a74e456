"""
Cancelling, and telling how the order stands after it.

Bitso answers a cancel with the oids that it really cancelled, and may forget them at once. So an order that is
not known yet is read first, and whatever is known of it is kept: an accepted cancel never becomes an error because
of a read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.ids import could_be_oid, ways_to_ask
from orderbridge.adapters.bitso.lookup import BATCH, CANCEL_LISTED, blames_an_id, without_trades
from orderbridge.adapters.bitso.mapping import VENUE, WAITING_MAY_BE_MISSING
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.errors import (
    AmbiguousRef,
    ConfigurationError,
    OrderBridgeError,
    OrderNotFound,
    OutcomeUnknown,
    UnexpectedResponse,
    VenueError,
)
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import ZERO, KnownBy, OrderStatus, Symbol
from orderbridge.model.lifecycle import by_numbers, last_change
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import CancelledOrders, Found, LookupResult
from orderbridge.venue.bounds import BEFORE_SECONDS, after_a_write, before_a_cancel
from orderbridge.venue.lookup import ORDER, Way, no_id_of
from orderbridge.venue.sender import HttpCall, RefusedLater

_FILLS: Final = ("filled_quantity", "filled_quote_quantity", "average_price")


class LookUp(Protocol):
    """`BitsoGateway`'s look-up beside a cancel; `unlisted` and `ended` are oids as `look_up` names them."""

    def __call__(
        self,
        refs: Sequence[RefLike],
        deadline: Deadline,
        unlisted: frozenset[str] = ...,
        ended: frozenset[str] = ...,
    ) -> Awaitable[LookupResult]: ...


class BitsoCancels:
    """The cancels of one account."""

    def __init__(self, client: BitsoClient, reads: BitsoReads, look_up: LookUp) -> None:
        self._client = client
        self._reads = reads
        self._memory = reads.memory
        self._look_up = look_up
        self._name = gateway_name(VENUE, reads.account)

    async def cancel(self, given: RefLike, ref: OrderRef, *, deadline: Deadline) -> Order:
        """
        Cancel one order; see `BitsoGateway.cancel`.

        Args:
            given: the ref as the caller gave it; an `Order` needs no reading first.
        """
        ways = ways_to_ask(ref)
        if not ways:
            found, text = no_id_of(self._name, ref), f"{ref} cannot be an id at Bitso"
            raise OrderNotFound(text, found=found, gateway=self._name, operation="cancel")
        known = given if isinstance(given, Order) else await self._known(ref, deadline)
        if known is not None and could_be_oid(known.order_id):
            # An end that is found by client id may be that of an earlier order of the same id.
            names_it = known.order_id in {ref.order_id, ref.id}
            if known.may_be_live or (names_it and known.known_by is not KnownBy.REPORTED):
                return await self._by_oid(known.order_id, known, deadline)
            if names_it:
                return known
        return await self._in_every_way(ref, ways, known, deadline)

    async def _known(self, ref: OrderRef, deadline: Deadline) -> Order | None:
        """The order as it stands before the cancel; None when that cannot be told at once."""
        if self._client.session.limiter.would_wait("resolve"):
            return None
        soon = before_a_cancel(deadline)
        found = (await self._look_up([ref], soon))[ref]
        live = [order for order in found.orders if order.may_be_live]
        if len(live) > 1:
            raise self._ambiguous(f"{len(live)} orders that may be live answer to {ref}", live)
        # A client id that was used again names ended orders too: the newest is the one that is meant.
        return live[0] if live else max(found.orders, key=last_change, default=None)

    async def _by_oid(self, oid: str, known: Order | None, deadline: Deadline) -> Order:
        try:
            listed = await self._send(f"/orders/{oid}", deadline, order_id=oid, known=known)
        except OutcomeUnknown:
            seen = (await self._read(oid, deadline)).orders
            if seen and seen[0].is_done:
                return concluded(known, seen[0])
            raise
        return await self._after(oid, known, was_listed=oid in listed, deadline=deadline)

    async def _in_every_way(self, ref: OrderRef, ways: list[Way], ended: Order | None, deadline: Deadline) -> Order:
        """Cancel under each id that it could have; whatever is listed is what was meant."""
        listed: list[str] = []
        for kind, id, _ in ways:
            if kind == ORDER:
                listed += await self._send(f"/orders/{id}", deadline, order_id=id)
            else:
                listed += await self._by_origin_id(id, ref, deadline)
        orders = [await self._after(oid, None, was_listed=True, deadline=deadline) for oid in dict.fromkeys(listed)]
        if len(orders) > 1:
            raise self._ambiguous(f"{len(orders)} orders answered to {ref}, and all were cancelled", orders)
        if orders:
            return orders[0]
        found = (await self._look_up([ref], after_a_write(deadline)))[ref]
        live = [order for order in found.orders if order.may_be_live]
        if live or found.orders:
            return live[0] if live else max(found.orders, key=last_change)
        if ended is not None and ended.is_done:
            return ended
        if found.is_undecided:
            text = "Bitso did not list it as cancelled, and how it stands could not be read"
            raise self._unclear(text, order_id=ref.order_id, client_order_id=ref.client_order_id or ref.id)
        raise self._missing(found, str(ref))

    async def _by_origin_id(self, origin_id: str, ref: OrderRef, deadline: Deadline) -> list[str]:
        path = f"/orders?origin_ids={origin_id}"
        try:
            return await self._send(path, deadline, client_order_id=origin_id, once=True)
        except OutcomeUnknown:
            # Sent again only for orders that are seen to be live, and then by their oids.
            seen = (await self._look_up([ref], after_a_write(deadline)))[ref].orders
            live = [order.order_id for order in seen if order.may_be_live]
            if not live:
                raise
            return await self._send_lists(live, deadline, operation="cancel")

    async def _send(
        self,
        path: str,
        deadline: Deadline,
        *,
        order_id: str | None = None,
        client_order_id: str | None = None,
        known: Order | None = None,
        once: bool = False,
        is_list: bool = False,
        operation: str = "cancel",
    ) -> list[str]:
        """The oids that Bitso says it cancelled. VenueError: a list (`is_list`) was refused for one of its oids."""
        client_order_id = client_order_id or (known.client_order_id if known else None)
        call = HttpCall(
            operation=operation, path=path, method="DELETE", order_id=order_id, client_order_id=client_order_id
        )
        try:
            payload = await self._client.sender.cancel(call, deadline=deadline, once=once)
        except (OrderNotFound, RefusedLater) as error:
            is_missing = isinstance(error, OrderNotFound) or isinstance(error.refusal, OrderNotFound)
            if is_list or not is_missing:
                raise
            return []  # nothing was cancelled; how the order stands is read next
        self._log(operation, payload, order_id, client_order_id)
        if isinstance(payload, list):
            # What Bitso could not have issued is no order's id, and would name something else in the next request.
            listed = list(dict.fromkeys(oid for oid in payload if isinstance(oid, str) and could_be_oid(oid)))
            if listed or not payload:
                return listed
        text = "a cancel answers with a list of oids, and this was none"
        raise self._unclear(text, order_id, client_order_id, operation)

    def _log(self, operation: str, payload: object, order_id: str | None, client_order_id: str | None) -> None:
        extra = log_facts(self._name, operation, order_id=order_id, client_order_id=client_order_id)
        count = len(payload) if isinstance(payload, list) else "no list of"
        self._client.session.log.info("%s -> %s orders cancelled", operation, count, extra=extra)

    async def _read(self, oid: str, deadline: Deadline, **oids: frozenset[str]) -> Found:
        key = OrderRef(gateway=self._name, order_id=oid)
        return (await self._look_up([key], after_a_write(deadline), **oids))[key]

    async def _after(self, oid: str, known: Order | None, *, was_listed: bool, deadline: Deadline) -> Order:
        """The order after the cancel, from what Bitso listed, what was known and what can still be read."""
        known = known or self._memory.get(oid)
        if was_listed and known is not None:
            # An end that Bitso itself told: the look-up that follows adds the fills, where it can.
            self._memory.put(cancelled(known, None, observed_at=self._reads.now()))
        oids = {"ended" if was_listed else "unlisted": frozenset([oid])}
        found = await self._read(oid, deadline, **oids)
        seen = found.orders[0] if found.orders else None
        if was_listed:
            return self._ended(oid, known, seen)
        if seen is not None:
            return concluded(known, seen)
        if found.is_undecided:
            text = "Bitso did not list it as cancelled, and how it stands could not be read"
            raise self._unclear(text, order_id=oid, client_order_id=known.client_order_id if known else None)
        raise self._missing(found, oid)

    def _ended(self, oid: str, known: Order | None, seen: Order | None) -> Order:
        """An order that was listed as cancelled."""
        base = known or seen
        if base is None:
            raise self._unclear("Bitso cancelled the order, and what it was could not be read", order_id=oid)
        order = cancelled(base, seen, observed_at=self._reads.now())
        if order is not seen:
            self._memory.put(order)
        return order if seen is not None else without_trades(order)

    def _unclear(
        self,
        text: str,
        order_id: str | None = None,
        client_order_id: str | None = None,
        operation: str = "cancel",
    ) -> OutcomeUnknown:
        return OutcomeUnknown(
            text, order_id=order_id, client_order_id=client_order_id, gateway=self._name, operation=operation
        )

    def _missing(self, found: Found, what: str) -> OrderNotFound:
        return OrderNotFound(
            f"Bitso neither cancelled nor shows {what}", found=found, gateway=self._name, operation="cancel"
        )

    def _ambiguous(self, text: str, orders: list[Order]) -> AmbiguousRef:
        return AmbiguousRef(text, orders=tuple(orders), gateway=self._name, operation="cancel")

    async def cancel_all(self, *, symbol: str | None, deadline: Deadline) -> CancelledOrders:
        """Cancel every open order, of one symbol or of all; see `BitsoGateway.cancel_all`."""
        known, bad_ids = await self._open_now(symbol, deadline)
        may_lack = WAITING_MAY_BE_MISSING
        if symbol is not None:
            listed = await self._send_lists([*known, *bad_ids], deadline, operation="cancel_all")
        else:
            try:
                listed = await self._send("/orders/all", deadline, once=True, operation="cancel_all")
                may_lack = frozenset()
            except OutcomeUnknown as unclear:
                listed = await self._cancel_what_is_left(known, unclear, deadline)
        return CancelledOrders(await self._all_after(known, listed, deadline), may_lack=may_lack)

    async def _cancel_what_is_left(
        self, known: dict[str, Order], unclear: OutcomeUnknown, deadline: Deadline
    ) -> list[str]:
        """Read first; what is still there is cancelled by its oid, which may be repeated."""
        try:
            left = await self._reads.open_orders(symbol=None, deadline=deadline)
        except OrderBridgeError as error:
            raise unclear from error
        still = self._live(None) | {order.order_id: order for order in left.good}
        known |= still
        ids = [*still, *(row.order_id for row in left.bad if row.order_id)]
        return await self._send_lists(ids, deadline, operation="cancel_all")

    async def _send_lists(self, ids: list[str], deadline: Deadline, *, operation: str) -> list[str]:
        listed = []
        # An id that Bitso could not have issued is never sent: it could name something else in a path or query.
        safe = [id for id in ids if could_be_oid(id)]
        for start in range(0, len(safe), BATCH):
            listed += await self._send_list(safe[start : start + BATCH], deadline, operation)
        return listed

    async def _send_list(self, ids: list[str], deadline: Deadline, operation: str) -> list[str]:
        """Cancel by oids. Some may have ended long ago: a list that is refused for them is split for the others."""
        try:
            path = f"/orders?oids={','.join(ids)}"
            return await self._send(path, deadline, operation=operation, is_list=True)
        except VenueError as error:
            if not blames_an_id(error):
                raise
        if len(ids) == 1:
            return []  # nothing was cancelled; how the order stands is read next
        middle = len(ids) // 2
        first = await self._send_list(ids[:middle], deadline, operation)
        return first + await self._send_list(ids[middle:], deadline, operation)

    async def _open_now(self, symbol: str | None, deadline: Deadline) -> tuple[dict[str, Order], list[str]]:
        live = self._live(symbol)
        if symbol is None and self._client.session.limiter.would_wait("resolve"):
            return live, []
        try:
            soon = deadline if symbol is not None else deadline.within(BEFORE_SECONDS)
            rows = await self._reads.open_orders(symbol=symbol, deadline=soon)
        except ConfigurationError:
            raise
        except OrderBridgeError:
            if symbol is not None:
                raise  # without the list nobody knows what to cancel
            return live, []
        known = {order.order_id: order for order in rows.good}
        return self._live(symbol) | known, [row.order_id for row in rows.bad if row.order_id]

    def _live(self, symbol: str | None) -> dict[str, Order]:
        """What is known to have been placed and not to have ended: lists may leave out stops, and the newest orders."""
        market = None if symbol is None else Symbol(symbol)
        return {
            order.order_id: order
            for order in self._memory
            if market in (None, order.symbol) and order.may_be_live and could_be_oid(order.order_id)
        }

    async def _all_after(self, known: dict[str, Order], listed: list[str], deadline: Deadline) -> list[Order]:
        # As Bitso wrote them: an odd one must not make an error of a cancel that was sent.
        keys = {
            oid: OrderRef.model_construct(gateway=self._name, order_id=oid) for oid in dict.fromkeys([*known, *listed])
        }
        before = {oid: known.get(oid) or self._memory.get(oid) for oid in keys}
        for oid in listed:
            if (order := before[oid]) is not None:
                self._memory.put(cancelled(order, None, observed_at=self._reads.now()))
        result = await self._look_up(list(keys.values()), deadline, frozenset(keys) - frozenset(listed))
        orders, unread = [], []
        for oid, key in keys.items():
            was, seen = before[oid], next(iter(result[key].orders), None)
            if was is None and seen is None:
                unread.append(oid)
            elif oid in listed:
                orders.append(self._ended(oid, was, seen))
            elif seen is not None:
                orders.append(concluded(was, seen))
            elif was is not None:
                orders.append(was)
        if unread:
            raise UnexpectedResponse(
                f"{len(listed)} orders were cancelled; {len(unread)} of them could not be read: {', '.join(unread)}",
                keys=tuple(unread),
                gateway=self._name,
                operation="cancel_all",
            )
        return orders


def cancelled(known: Order, seen: Order | None, *, observed_at: datetime) -> Order:
    """
    An order that Bitso listed as cancelled, with the fills that are known.

    An end that look-up reports is taken as it is: it has the final fills. Trades tell them where it has forgotten;
    they may lag, so of two figures the larger counts.
    """
    if seen is not None and seen.is_done and seen.known_by is KnownBy.REPORTED:
        return seen
    evidence = {*known.evidence, *(seen.evidence if seen else ()), CANCEL_LISTED}
    changes = {
        **_fuller(known, seen),
        "status": OrderStatus.CANCELLED,
        "known_by": KnownBy.REPORTED,
        "cancel_requested": False,
        "trigger_waiting": False,
        "observed_at": observed_at,
        "evidence": tuple(sorted(evidence)),
    }
    return known.model_copy(update=changes)


def concluded(known: Order | None, seen: Order) -> Order:
    """
    An order after a cancel that did not list it. One rebuilt from trades gets what was known of it before.

    Trades that make up its ordered size tell that it was filled. Fewer tell nothing: they may lag.
    """
    if known is None or seen.status is not OrderStatus.ENDED:
        return seen
    changes = {
        **_fuller(known, seen),
        "status": OrderStatus.ENDED,
        "known_by": KnownBy.INFERRED,
        "evidence": tuple(sorted({*known.evidence, *seen.evidence})),
        "updated_at": seen.updated_at or known.updated_at,
        "observed_at": seen.observed_at,
    }
    return by_numbers(known.model_copy(update=changes))


def _fuller(known: Order | None, seen: Order | None) -> dict[str, Any]:
    """The fill figures of the observation that tells of more."""
    observed = [order for order in (known, seen) if order is not None and order.filled_quantity is not None]
    most = max(observed, key=lambda order: order.filled_quantity or ZERO, default=None)
    return {name: getattr(most, name) if most is not None else None for name in _FILLS}
