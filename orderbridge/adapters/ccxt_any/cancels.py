"""
Cancelling, and telling how the order stands after it.

Through ccxt an acknowledgement proves little: some exchanges answer alike whether or not they cancelled anything. So
the order is read after every cancel, and its status is what that shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from orderbridge.adapters.ccxt_any.client import CcxtClient
from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtReads
from orderbridge.adapters.ccxt_any.traits import ANY_ID
from orderbridge.adapters.ccxt_any.wire import Call
from orderbridge.errors import (
    AmbiguousRef,
    AuthenticationFailed,
    NotSent,
    OrderBridgeError,
    OrderDenied,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
    UnexpectedResponse,
    VenueError,
    VenueUnavailable,
)
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import KnownBy, OrderStatus, Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import Found, LookupResult
from orderbridge.venue.bounds import AT_ONCE, after_a_write, before_a_cancel
from orderbridge.venue.lookup import no_id_of

_FILLS: Final = ("filled_quantity", "filled_quote_quantity", "average_price")
LookUp = Callable[[Sequence[RefLike], Deadline], Awaitable[LookupResult]]


class CcxtCancels:
    """The cancels of one account."""

    def __init__(self, client: CcxtClient, reads: CcxtReads, look_up: LookUp) -> None:
        self._client = client
        self._reads = reads
        self._traits = reads.traits
        self._look_up = look_up
        self._name = client.gateway

    async def cancel(self, given: RefLike, ref: OrderRef, *, deadline: Deadline) -> Order:
        """
        Cancel one order; see `CcxtGateway.cancel`.

        Args:
            given: the ref as the caller gave it; an `Order` needs no reading first.
        """
        order_id, symbol, known = await self._target(given, ref, deadline)
        if known is not None and known.is_done and known.known_by is KnownBy.REPORTED:
            return known
        return await self.by_id(order_id, symbol or (known.symbol if known else None), known, deadline=deadline)

    async def _target(
        self, given: RefLike, ref: OrderRef, deadline: Deadline
    ) -> tuple[str, Symbol | None, Order | None]:
        """What to cancel: the number, the symbol, what is known of it. AmbiguousRef: several orders have the number."""
        order_id, symbol = ref.order_id, ref.symbol
        if order_id is None and ref.client_order_id is not None:
            order_id = self._reads.memory.id_of(ref.client_order_id)
            symbol = symbol or next(iter(self._reads.memory.symbols_of(ref.client_order_id)), None)
        if order_id is None and ref.client_order_id is None and self._traits.client_ids is None:
            order_id = ref.id
        if order_id is not None:
            self._check_shape(order_id, ref)
            known = given if isinstance(given, Order) else None
            return order_id, symbol, known or await self._before(order_id, symbol, deadline)
        order = order_from(await self._look_up([ref], deadline), ref, gateway=self._name, operation="cancel")
        return order.order_id, order.symbol, order

    def _check_shape(self, order_id: str, ref: OrderRef) -> None:
        if self._traits.could_be_id(order_id):
            return
        text = f"{order_id!r} cannot be an order id at {self._name}"
        if self._traits.id_shape == ANY_ID:
            # Of an exchange whose ids are not known nothing is proven, and the text is not safe to send.
            raise OrderDenied(text, rule="order_id", gateway=self._name, operation="cancel")
        raise OrderNotFound(f"{ref}: {text}", found=no_id_of(self._name, ref), gateway=self._name, operation="cancel")

    async def _before(self, order_id: str, symbol: Symbol | None, deadline: Deadline) -> Order | None:
        """The order as it stands before the cancel; what was seen last where that cannot be told at once."""
        last = self._reads.memory.orders(order_id, symbol)
        if not last and not self._client.session.limiter.would_wait("resolve"):
            soon = before_a_cancel(deadline)
            last = (await self._read(order_id, symbol, soon)).orders
        # Of namesakes in several markets the ended ones are not meant.
        meant = [order for order in last if order.may_be_live] or last
        if len(meant) > 1:
            where = ", ".join(f"{order.symbol} {order.side}" for order in meant)
            message = f"nothing was sent: {len(meant)} orders have the number {order_id}: {where}; name the symbol"
            raise AmbiguousRef(message, orders=tuple(meant), gateway=self._name, operation="cancel")
        return next(iter(meant), None)

    async def by_id(self, order_id: str, symbol: Symbol | None, known: Order | None, *, deadline: Deadline) -> Order:
        """Cancel by the exchange's id, and read the order after it."""
        sends: list[Call] = []
        apart = self._reads.memory.is_apart(order_id, symbol)
        try:
            await self._reads.ready(deadline=deadline)
            asked = self._reads.markets.spelled(symbol)
            done = await self._client.read(
                lambda exchange: exchange.cancel_order(order_id, asked, dict(TRIGGER) if apart else {}),
                deadline=deadline,
                operation="cancel",
                lane="cancel",
                sends=sends,
            )
        except OrderBridgeError as error:
            seen_apart = (
                not apart and isinstance(error, OrderNotFound) and await self._is_apart(order_id, symbol, deadline)
            )
            if seen_apart:
                return await self.by_id(order_id, symbol, known, deadline=deadline)
            return await self._failed(error, order_id, symbol, known, sends, deadline)
        finally:
            extra = log_facts(self._name, "cancel", order_id=order_id)
            self._client.session.log.info("cancel sent %d times", len(sends), extra=extra)
        listed = isinstance(done.value, dict) and done.value.get("id") == order_id
        return await self._after(order_id, symbol, known, listed=listed, deadline=deadline)

    async def _is_apart(self, order_id: str, symbol: Symbol | None, deadline: Deadline) -> bool:
        """Whether an order that was not found is one that waits for a price, which is cancelled in another place."""
        if not self._traits.trigger_orders_apart:
            return False
        await self._read(order_id, symbol, after_a_write(deadline))
        return self._reads.memory.is_apart(order_id, symbol)

    async def _failed(
        self,
        error: OrderBridgeError,
        order_id: str,
        symbol: Symbol | None,
        known: Order | None,
        sends: list[Call],
        deadline: Deadline,
    ) -> Order:
        """What became of a cancel that was refused, or that had no usable answer."""
        left = [call for call in sends if any(sent.left for sent in call.sent)]
        text = Exception.__str__(error)
        is_refusal = isinstance(error, VenueError) and not isinstance(error, RateLimited)
        if not left:
            if isinstance(error, (VenueUnavailable, UnexpectedResponse)):
                raise NotSent(f"nothing was sent: {text}", gateway=self._name, operation="cancel") from error
            raise error
        earlier = len(left) > 1
        if is_refusal and isinstance(error, (AuthenticationFailed, PermissionDenied)) and not earlier:
            raise error
        found = await self._read(order_id, symbol, after_a_write(deadline))
        seen = next(iter(found.orders), None)
        if seen is not None and seen.is_done:
            return seen
        if not is_refusal or earlier:
            raise self._unclear(f"the cancel was sent, and no usable answer came: {text}", order_id, known) from error
        if seen is not None:
            raise error if not isinstance(error, OrderNotFound) else self._refused(error, seen)
        if found.is_undecided:
            why = f"the cancel was refused ({text}), and how the order stands could not be read"
            raise self._unclear(why, order_id, known) from error
        raise self._missing(order_id, found) from error

    def _refused(self, error: VenueError, seen: Order) -> VenueError:
        text = f"the cancel was refused: {Exception.__str__(error)}; the order is {seen.status}"
        return VenueError(
            text,
            gateway=self._name,
            operation="cancel",
            code=error.code,
            http_status=error.http_status,
            body=error.body,
        )

    async def _after(
        self, order_id: str, symbol: Symbol | None, known: Order | None, *, listed: bool, deadline: Deadline
    ) -> Order:
        """The order after an acknowledged cancel, from what can be read, then from what was known."""
        found = await self._read(order_id, symbol, after_a_write(deadline))
        seen = next(iter(found.orders), None)
        proven = listed and self._traits.cancel_lists
        if seen is not None:
            return seen if seen.is_done else seen.model_copy(update={"cancel_requested": True})
        if self._traits.cancel_lists and not listed and not found.is_undecided:
            raise self._missing(order_id, found)
        if known is None:
            raise self._unclear("the cancel was acknowledged, and what it was could not be read", order_id, known)
        why = "cancel: listed" if proven else "cancel: acknowledged, not read back"
        changes: dict[str, Any] = {"evidence": tuple(sorted({*known.evidence, why}))}
        if proven:
            # Fills between the last look and the cancel are not told.
            changes |= {"status": OrderStatus.CANCELLED, "known_by": KnownBy.REPORTED, **dict.fromkeys(_FILLS)}
            changes |= {"observed_at": self._reads.now(), "trigger_waiting": False}
        else:
            changes["cancel_requested"] = True
        return known.model_copy(update=changes)

    async def _read(self, order_id: str, symbol: Symbol | None, deadline: Deadline) -> Found:
        # As the exchange wrote it: an odd one must not make an error of a cancel that was sent.
        key = OrderRef.model_construct(gateway=self._name, order_id=order_id, symbol=symbol)
        return (await self._look_up([key], deadline))[key]

    async def cancel_all(self, *, symbol: str | None, deadline: Deadline) -> list[Order]:
        """Cancel every open order, of one symbol or of all, one by one; see `CcxtGateway.cancel_all`."""
        rows = await self._reads.open_orders(symbol=symbol, deadline=deadline)
        asked = None if symbol is None else Symbol(symbol)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(order_id: str, known: Order | None) -> Order | OrderBridgeError:
            async with gate:
                try:
                    meant = known.symbol if known else asked
                    return await self.by_id(order_id, meant, known, deadline=deadline)
                except OrderBridgeError as error:
                    return error

        # A row that could not be read may be of another market than the good one of its number.
        shown = set() if self._traits.numbers_by_market else {order.order_id for order in rows.good}
        unread = dict.fromkeys(row.order_id for row in rows.bad if row.order_id and row.order_id not in shown)
        targets: list[tuple[str, Order | None]] = [(id, None) for id in unread]
        targets += [(order.order_id, order) for order in rows.good]
        safe = [(id, known) for id, known in targets if self._traits.could_be_id(id)]
        done = await asyncio.gather(*(one(id, known) for id, known in safe))
        orders = [each for each in done if isinstance(each, Order)]
        failed = [id for (id, _), each in zip(safe, done, strict=True) if not isinstance(each, Order)]
        nameless = sum(1 for row in rows.bad if not row.order_id) + len(targets) - len(safe)
        if failed or nameless:
            errors = [each for each in done if isinstance(each, OrderBridgeError)]
            ids = ", ".join(failed) or "without an id"
            raise OutcomeUnknown(
                f"{len(orders)} orders were cancelled; of {len(failed) + nameless} it is not known ({ids})"
                + (f": {errors[0]}" if errors else ""),
                order_id=failed[0] if failed else None,
                gateway=self._name,
                operation="cancel_all",
            )
        return orders

    def _unclear(self, text: str, order_id: str, known: Order | None) -> OutcomeUnknown:
        client_order_id = known.client_order_id if known else None
        return OutcomeUnknown(
            text, order_id=order_id, client_order_id=client_order_id, gateway=self._name, operation="cancel"
        )

    def _missing(self, order_id: str, found: Found) -> OrderNotFound:
        text = f"{self._name} neither cancelled nor shows {order_id}"
        return OrderNotFound(text, found=found, gateway=self._name, operation="cancel")
