"""
Cancelling at any venue: which order is meant, a cancel by its id, and how the order stands after it.

A cancel that was done never becomes an error because of a read; one that may have been done is not told as undone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from orderbridge import errors
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import ZERO, KnownBy, OrderStatus, OrderType, Symbol
from orderbridge.model.lifecycle import by_numbers, last_change
from orderbridge.model.order import FILL_FIGURES, Order
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.results import Answer, BadRow, CancelledOrders, Found, LookupResult
from orderbridge.venue.bounds import BEFORE_SECONDS, after_a_write, before_a_cancel, read_each
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import Rows

# The evidence of an end that the answer to a cancel told, and of fills that could not be read after it.
CANCEL_LISTED: Final = "cancel: listed"
FILLS_OF_BEFORE: Final = "fills: as they were known before the cancel"
# Why a row of a list is not cancelled.
UNREADABLE: Final = "could not be read and were not touched"
# Refusals that say nothing of the order.
_ABOUT_US: Final = (errors.AuthenticationFailed, errors.PermissionDenied, errors.RateLimited)
# Seeking an order may take this share: without it there is nothing to send.
_SEEKING_SHARE: Final = 2 / 3

# Ids that a cancel has just listed as cancelled, or left out: what look-up may conclude from it.
Listed = Mapping[str, bool]
LookUp = Callable[[Sequence[RefLike], Deadline, Listed], Awaitable[LookupResult]]


class Meant(NamedTuple):
    """
    The order that something is to be done to.

    Attributes:
        order: as it is known; None where it could not be read, and may be acted upon all the same.
        namesakes: every order that answers to the ref, itself too.
    """

    order_id: str
    symbol: Symbol | None = None
    order: Order | None = None
    namesakes: tuple[Order, ...] = ()

    @property
    def client_order_id(self) -> str | None:
        """The client id that it was sent with, where that is known."""
        return self.order.client_order_id if self.order else None


class Cancelled(NamedTuple):
    """
    The answer to a cancel.

    Attributes:
        ids: the orders that were cancelled; None where an acknowledgement proves nothing.
        order: the order that the answer shows.
        is_doubted: an earlier try may have cancelled what this answer does not list.
    """

    ids: Sequence[str] | None = None
    order: Order | None = None
    is_doubted: bool = False


class Seeking(NamedTuple):
    """
    How the order is found that a ref names, before something is done to it.

    Attributes:
        order_id: the venue's id that a ref may give.
        refuse: OrderNotFound, OrderDenied for a ref that is none of this venue's, or of this gateway.
        unseen: an order that no look showed to that operation, where it may be acted upon by its id; None where that
            is not known to be an id of the venue's. Else the error that says why nothing was done. Left out: whatever
            has an id is acted upon by it.
        takes: an order that is given needs no reading.
        remembered: the orders of a ref as they were seen last, where that will do.
        would_wait: a look now would wait long, which a cancel does not.
    """

    gateway: str
    look_up: LookUp
    order_id: Callable[[OrderRef], str | None]
    refuse: Callable[[RefLike, OrderRef], None] = lambda given, ref: None
    unseen: Callable[[RefLike, OrderRef, LookupResult | None, str], Meant | None] | None = None
    takes: Callable[[Order], bool] = lambda order: True
    remembered: Callable[[OrderRef], Sequence[Order]] = lambda ref: ()
    would_wait: Callable[[], bool] = lambda: False

    async def find(
        self, given: RefLike, deadline: Deadline, *, operation: str, fresh: bool = False, is_sought: bool = True
    ) -> tuple[OrderRef, Meant | None]:
        """
        The order that is meant; the one that may be live, else the newest.

        Args:
            fresh: read it in any case.
            is_sought: without its id nothing can be sent, so that seeking it may take more of the time of a cancel.

        Raises:
            AmbiguousRef: several that may be live answer to it. The errors of `refuse` and `unseen`.
        """
        (ref,) = parse_refs([given], gateways=[self.gateway])
        self.refuse(given, ref)
        if isinstance(given, Order) and self.takes(given) and not fresh:
            return ref, Meant(given.order_id, given.symbol, given, (given,))
        id = self.order_id(ref)
        orders = self.remembered(ref)
        can_send, result = bool(id) or not is_sought, None
        if not orders and not (can_send and self.would_wait()):
            soon = deadline
            if operation == "cancel":
                most = deadline.within(deadline.remaining() * _SEEKING_SHARE)
                soon = before_a_cancel(deadline) if can_send else most
            result = await self.look_up([ref], soon, {})
            orders = result[ref].orders
        order = _the_one(orders, ref)
        if order is not None:
            return ref, Meant(order.order_id, order.symbol, order, tuple(orders))
        if self.unseen is not None:
            return ref, self.unseen(given, ref, result, operation)
        if id is None and result is not None:
            order_from(result, ref)
        return ref, Meant(id or "", ref.symbol)


def _the_one(orders: Sequence[Order], ref: OrderRef) -> Order | None:
    live = [order for order in orders if order.may_be_live]
    # Orders of one number in several markets have nothing to do with each other.
    meant = live or [order for order in orders if order.numbered_by_market]
    if len(meant) > 1:
        which = ", ".join(f"{order.order_id} {order.side} {order.symbol}" for order in meant)
        kind = "orders that may be live" if live else "orders"
        raise errors.AmbiguousRef(
            f"nothing was done: {len(meant)} {kind} answer to {ref}: {which}", orders=tuple(meant)
        )
    return live[0] if live else _newest(orders)


class Batches(NamedTuple):
    """
    How a venue cancels many orders in one call. Both calls give the ids that were cancelled.

    Attributes:
        could_be_id: only such ids are sent: another could name something else in a path or a query.
        blames_an_id: a list was refused for one of its ids, so that the others are to be cancelled without it.
        may_lack: orders that a list of open orders may leave out.
    """

    size: int
    send: Callable[[Sequence[str], Deadline, str], Awaitable[Sequence[str]]]
    everything: Callable[[Deadline], Awaitable[Sequence[str]]]
    could_be_id: Callable[[str], bool]
    blames_an_id: Callable[[errors.VenueError], bool]
    may_lack: frozenset[OrderType]


class Cancelling(NamedTuple):
    """
    How a venue cancels.

    Attributes:
        send: a cancel by the venue's id. NotSent or a refusal: nothing was done; OutcomeUnknown: it may have been.
        by_client_id: one by the client id that a ref may give, sent once. None: the order must be found first.
        looks_after: refusals after which the order tells more than they do.
        ends: who says so of an end before the cancel, so that there is nothing to cancel.
        settles: of several orders of one client id that have all ended, the one that is told; AmbiguousRef.
        is_pending: the order that is shown after a refusal is being cancelled already.
        open_orders: all of them, or an error. `batches`: None where they are cancelled one by one.
        untouched: why a row of that list is left alone; empty where it has ended, None where it is to be cancelled.
    """

    seeking: Seeking
    memory: OrderMemory
    log: logging.Logger
    now: Callable[[], datetime]
    send: Callable[[Meant, Deadline], Awaitable[Cancelled]]
    open_orders: Callable[[Symbol | None, Deadline], Awaitable[Rows[Order]]]
    by_client_id: Callable[[OrderRef, Deadline], Awaitable[Cancelled]] | None = None
    looks_after: tuple[type[errors.VenueError], ...] = (errors.OrderNotActive,)
    ends: frozenset[KnownBy] = frozenset({KnownBy.REPORTED})
    settles: Callable[[OrderRef, Sequence[Order]], Order] | None = None
    is_pending: Callable[[Order], bool] | None = None
    batches: Batches | None = None
    untouched: Callable[[Order | BadRow, Symbol | None], str | None] = lambda row, symbol: (
        None if row.order_id else UNREADABLE
    )

    async def cancel(self, given: RefLike, *, deadline: Deadline) -> Order:
        """
        Cancel the order that a ref names, and return it as it is after that.

        Raises:
            The errors of `Seeking.find`: nothing was sent.
            OrderNotFound: the venue neither cancelled nor shows it. VenueError: it was refused, and the order works.
            OutcomeUnknown: sent, and neither the answer nor the order tells.
        """
        is_sought = self.by_client_id is None
        ref, meant = await self.seeking.find(given, deadline, operation="cancel", is_sought=is_sought)
        known = meant.order if meant else None
        # An end that is found by client id may be that of an earlier order of the same id.
        is_doubted = known is not None and known.is_done and known.order_id != self.seeking.order_id(ref)
        if meant is None or (is_doubted and self.by_client_id is not None):
            return await self._in_every_way(ref, known, deadline)
        if known is None or known.may_be_live or known.known_by not in self.ends:
            return await self.by_id(meant, deadline)
        return self.settles(ref, meant.namesakes) if is_doubted and self.settles else known

    async def by_id(self, meant: Meant, deadline: Deadline) -> Order:
        """Cancel by the venue's id. Raises as `cancel` does."""
        is_first = self.memory.cancelling(meant.order_id)
        try:
            said = await self.send(meant, deadline)
        except errors.OutcomeUnknown:
            seen = _newest((await self._read(meant, deadline)).orders)
            if seen is None or seen.may_be_live:
                raise
            return self._concluded(meant.order, seen, listed=False) or seen
        except errors.OrderBridgeError as error:
            is_about_it = isinstance(error, self.looks_after) and not isinstance(error, _ABOUT_US)
            outcome = await self._after_refusal(error, meant, deadline) if is_about_it else error
            if isinstance(outcome, Order):
                return outcome
            if is_first:
                self.memory.not_cancelling(meant.order_id)
            if outcome is error:
                raise
            raise outcome from error
        except Exception as error:  # a defect in reading the answer, mostly: it may have been cancelled
            seen = _newest((await self._read(meant, deadline)).orders)
            if seen is None or seen.may_be_live:
                why = f"its answer could not be taken in: {type(error).__name__}: {error}"
                raise _unclear(why, meant) from error
            return self._concluded(meant.order, seen, listed=False) or seen
        if said.order is not None and said.order.is_done and said.order.order_id == meant.order_id:
            return said.order
        return await self._after(meant, said, deadline)

    async def _after_refusal(
        self, refused: errors.OrderBridgeError, meant: Meant, deadline: Deadline
    ) -> Order | errors.OrderBridgeError:
        """The order that has ended or is being cancelled; else what the refusal is told as, since the order works."""
        text = f"the cancel was refused: {Exception.__str__(refused)}"
        found = await self._read(meant, deadline)
        seen = _newest(found.orders)
        if seen is None and found.is_undecided:
            raise _unclear(f"{text}; and how the order stands could not be read", meant) from refused
        if seen is None:
            raise self._missing(found, meant.order_id) from refused
        if seen.is_done:
            return self._concluded(meant.order, seen, listed=False) or seen
        if self.is_pending is not None and self.is_pending(seen):
            return seen
        if isinstance(refused, (errors.OrderNotFound, errors.OrderNotActive)):
            return errors.VenueError(f"{text}; the order is {seen.status}", **refused.facts)
        return refused

    async def _after(self, meant: Meant, said: Cancelled, deadline: Deadline) -> Order:
        """The order after the cancel, from what the venue listed, what was known and what can still be read."""
        listed = None if said.ids is None else meant.order_id in said.ids
        known = meant.order
        if known is None and listed is not None:
            known = _newest(self.memory.orders(meant.order_id, meant.symbol))
        if listed:
            # An end that the venue itself told: the look-up that follows adds the fills, where it can.
            self._concluded(known, None, listed=True)
        found = await self._read(meant, deadline, {} if listed is None else {meant.order_id: listed})
        order = self._concluded(known, _newest(found.orders) or said.order, listed=listed)
        if order is not None:
            return order
        if listed is False and said.is_doubted:
            raise _unclear("an earlier try may have cancelled it, and it is not shown", meant)
        if listed is False and not found.is_undecided:
            raise self._missing(found, meant.order_id)
        what = "it was not listed as cancelled" if listed is False else "the cancel was acknowledged"
        raise _unclear(f"{what}, and how the order stands could not be read", meant)

    def _concluded(self, known: Order | None, seen: Order | None, *, listed: bool | None) -> Order | None:
        order = conclude(known, seen, listed=listed, at=self.now())
        if order is None or not listed or order is seen:
            return order
        self.memory.put(order)
        return order if seen is not None else order.noted(FILLS_OF_BEFORE)

    async def _in_every_way(self, ref: OrderRef, ended: Order | None, deadline: Deadline) -> Order:
        """Cancel under each id that an order could have; whatever is listed is what was meant."""
        listed: list[str] = []
        is_doubted = False
        if order_id := self.seeking.order_id(ref):
            said = await self.send(Meant(order_id), deadline)
            listed, is_doubted = [*(said.ids or ())], said.is_doubted
        if self.by_client_id is not None:
            try:
                said = await self.by_client_id(ref, deadline)
                listed, is_doubted = [*listed, *(said.ids or ())], is_doubted or said.is_doubted
            except errors.OutcomeUnknown as unclear:
                # Sent again only for orders that are seen to be live, and then by their ids.
                live = [each.order_id for each in (await self._look(ref, deadline)).orders if each.may_be_live]
                if not live:
                    raise
                listed += await self._send_lists(live, deadline, operation="cancel", after=unclear)
            except errors.OrderBridgeError:
                if not listed:
                    raise  # else what was meant is cancelled
        said = Cancelled(ids=listed)
        orders = [await self._after(Meant(id), said, deadline) for id in dict.fromkeys(listed)]
        if len(orders) > 1:
            text = f"{len(orders)} orders answered to {ref}, and all were cancelled"
            raise errors.AmbiguousRef(text, orders=tuple(orders))
        if orders:
            return orders[0]
        found = await self._look(ref, deadline)
        order = next((each for each in found.orders if each.may_be_live), None) or _newest(found.orders) or ended
        if order is not None:
            return order
        if found.is_undecided or is_doubted:
            how = "an earlier try may have cancelled it" if is_doubted else "how it stands could not be read"
            text = f"{ref} was not listed as cancelled, and {how}"
            client_order_id = ref.client_order_id or ref.id
            raise errors.OutcomeUnknown(text, order_id=ref.order_id, client_order_id=client_order_id)
        raise self._missing(found, str(ref))

    async def _read(self, meant: Meant, deadline: Deadline, listed: Listed | None = None) -> Found:
        # As the venue wrote it: an odd one must not make an error of a cancel that was sent.
        key = OrderRef.model_construct(gateway=self.seeking.gateway, order_id=meant.order_id, symbol=meant.symbol)
        return await self._look(key, deadline, listed)

    async def _look(self, ref: OrderRef, deadline: Deadline, listed: Listed | None = None) -> Found:
        return (await self._look_at([ref], after_a_write(deadline), listed or {}))[0]

    async def _look_at(self, refs: Sequence[OrderRef], deadline: Deadline, listed: Listed) -> list[Found]:
        try:
            result = await self.seeking.look_up(refs, deadline, listed)
            return [result[ref] for ref in refs]
        except Exception as error:  # noqa: BLE001 - the cancel is done: whatever a look meets, an error would deny that
            extra = log_facts(self.seeking.gateway, "cancel", order_id=refs[0].order_id)
            what = f"{refs[0]}{f' and {len(refs) - 1} more' if len(refs) > 1 else ''}"
            self.log.warning("%s could not be read back: %s: %s", what, type(error).__name__, error, extra=extra)
            return [Found(answers={self.seeking.gateway: Answer.FAILED})] * len(refs)

    def _missing(self, found: Found, what: str) -> errors.OrderNotFound:
        return errors.OrderNotFound(f"{self.seeking.gateway} neither cancelled nor shows {what}", found=found)

    async def cancel_all(self, *, symbol: Symbol | None, deadline: Deadline) -> CancelledOrders:
        """
        Cancel every open order, of one symbol or of all, and return them as they are after that.

        Raises:
            UnexpectedResponse: cancelled but for some that were not touched, or could not be read after it.
            OutcomeUnknown: of some it is not certain. The errors of the list: nothing was cancelled.
        """
        if self.batches is not None:
            return await self._in_batches(self.batches, symbol, deadline)
        rows = await self.open_orders(symbol, deadline)
        todo: list[Meant] = []
        left: dict[str, list[Order | BadRow]] = {}
        # A row that could not be read may be of another market than the good one of its number.
        shown = {order.order_id for order in rows.good if not order.numbered_by_market}
        listed: list[Order | BadRow] = [bad for bad in rows.bad if bad.order_id not in shown]
        for row in [*listed, *rows.good]:
            why = self.untouched(row, symbol)
            if why:
                left.setdefault(why, []).append(row)
            elif why is None and isinstance(row, Order):
                todo.append(Meant(row.order_id, row.symbol, row))
            elif why is None:
                todo.append(Meant(row.order_id or "", symbol))
        failed: list[tuple[Meant, errors.OrderBridgeError]] = []

        async def one(meant: Meant) -> Order | None:
            try:
                if _is_hopeless(failed):
                    raise errors.NotSent("not tried")
                return await self.by_id(meant, deadline)
            except errors.OrderBridgeError as error:
                failed.append((meant, error))
                return None

        after = [order for order in await read_each(one, todo) if order is not None]
        self._check(after, failed, left)
        return CancelledOrders(after)

    def _check(
        self,
        after: Sequence[Order],
        failed: Sequence[tuple[Meant, errors.OrderBridgeError]],
        left: Mapping[str, Sequence[Order | BadRow]],
    ) -> None:
        """Raise for what was not cancelled for certain. A failure that all of them share is raised as it is."""
        names = {why: [_name_of(row) for row in rows] for why, rows in left.items()}
        texts = [f"{len(ids)} {why}: {', '.join(ids)}" for why, ids in names.items()]
        if failed:
            ids = ", ".join(meant.order_id for meant, _ in failed)
            whole = len(failed) + len(after)
            text = "; ".join([f"{len(failed)} of {whole} are not cancelled for certain: {ids}", *texts])
            meant, first = failed[0]
            is_unclear = any(isinstance(error, errors.OutcomeUnknown) for _, error in failed)
            is_alike = len({type(error) for _, error in failed}) == 1
            if not after and (is_alike or (_is_hopeless(failed) and not is_unclear)):
                first.add_note(text)
                raise first
            raise errors.OutcomeUnknown(f"{text}: {Exception.__str__(first)}", order_id=meant.order_id) from first
        if texts:
            bad_rows = tuple(row for row in left.get(UNREADABLE, ()) if isinstance(row, BadRow))
            keys = tuple(id for why, ids in names.items() if why != UNREADABLE for id in ids)
            raise errors.UnexpectedResponse("; ".join(texts), keys=keys, bad_rows=bad_rows)

    async def _in_batches(self, batches: Batches, symbol: Symbol | None, deadline: Deadline) -> CancelledOrders:
        known, bad_ids = await self._open_now(batches, symbol, deadline)
        may_lack = batches.may_lack
        listed: Sequence[str]
        if symbol is not None:
            listed = await self._send_lists([*known, *bad_ids], deadline, operation="cancel_all")
        else:
            try:
                listed, may_lack = await batches.everything(deadline), frozenset()
            except errors.OutcomeUnknown as unclear:
                # Read first; what is still there is cancelled by its id, which may be repeated.
                try:
                    rows = await self.open_orders(None, deadline)
                except errors.OrderBridgeError as error:
                    raise unclear from error
                still = self._live(batches, None) | {order.order_id: order for order in rows.good}
                known |= still
                ids = [*still, *_ids_of(rows.bad)]
                listed = await self._send_lists(ids, deadline, operation="cancel_all", after=unclear)
        return CancelledOrders(await self._all_after(known, listed, deadline), may_lack=may_lack)

    async def _open_now(
        self, batches: Batches, symbol: Symbol | None, deadline: Deadline
    ) -> tuple[dict[str, Order], list[str]]:
        live = self._live(batches, symbol)
        if symbol is None and self.seeking.would_wait():
            return live, []
        try:
            rows = await self.open_orders(symbol, deadline if symbol else deadline.within(BEFORE_SECONDS))
        except errors.OrderBridgeError as error:
            if symbol is not None or isinstance(error, errors.ConfigurationError):
                raise  # without the list nobody knows what to cancel
            return live, []
        return self._live(batches, symbol) | {order.order_id: order for order in rows.good}, _ids_of(rows.bad)

    def _live(self, batches: Batches, symbol: Symbol | None) -> dict[str, Order]:
        """Orders known to be placed and not to have ended: lists may leave out stops, and the newest orders."""
        of_market = [order for order in self.memory if symbol in (None, order.symbol) and order.may_be_live]
        return {order.order_id: order for order in of_market if batches.could_be_id(order.order_id)}

    async def _send_lists(
        self, ids: Iterable[str], deadline: Deadline, *, operation: str, after: errors.OutcomeUnknown | None = None
    ) -> list[str]:
        """
        Cancel by ids, in lists.

        Args:
            after: what had been sent before and may have been carried out, so that no error denies it.

        Raises:
            OutcomeUnknown: some may be cancelled. NotSent, VenueError: nothing was.
        """
        listed: list[str] = []
        if self.batches is None:
            return listed
        safe = [id for id in ids if self.batches.could_be_id(id)]
        try:
            for start in range(0, len(safe), self.batches.size):
                await self._send_list(
                    self.batches, safe[start : start + self.batches.size], deadline, operation, listed
                )
        except errors.OrderBridgeError as error:
            if not listed and after is None:
                raise
            others = ", ".join(id for id in safe if id not in listed)
            text = f"{len(listed)} of {len(safe)} are cancelled; not for certain: {others}: {Exception.__str__(error)}"
            raise errors.OutcomeUnknown(text) from error
        return listed

    async def _send_list(
        self, batches: Batches, ids: list[str], deadline: Deadline, operation: str, listed: list[str]
    ) -> None:
        """Cancel by ids. Some may have ended long ago: a list that is refused for them is split for the others."""
        try:
            listed += await batches.send(ids, deadline, operation)
            return
        except errors.VenueError as error:
            if not batches.blames_an_id(error):
                raise
        if len(ids) > 1:  # of one alone nothing was cancelled; how the order stands is read next
            middle = len(ids) // 2
            await self._send_list(batches, ids[:middle], deadline, operation, listed)
            await self._send_list(batches, ids[middle:], deadline, operation, listed)

    async def _all_after(self, known: Mapping[str, Order], listed: Sequence[str], deadline: Deadline) -> list[Order]:
        told = {id: id in listed for id in (*known, *listed)}
        before = {id: known.get(id) or self.memory.get(id) for id in told}
        for id in listed:
            self._concluded(before[id], None, listed=True)
        # As the venue wrote them: an odd one must not make an error of a cancel that was sent.
        keys = [OrderRef.model_construct(gateway=self.seeking.gateway, order_id=id) for id in told]
        unlisted = {id: False for id, is_listed in told.items() if not is_listed}
        looked = await self._look_at(keys, deadline, unlisted) if keys else []
        orders, unread = [], []
        for id, found in zip(told, looked, strict=True):
            order = self._concluded(before[id], _newest(found.orders), listed=told[id]) or before[id]
            if order is None:
                unread.append(id)
            else:
                orders.append(order)
        if unread:
            text = f"{len(listed)} orders were cancelled; {len(unread)} of them could not be read: {', '.join(unread)}"
            raise errors.UnexpectedResponse(text, keys=tuple(unread))
        return orders


def conclude(known: Order | None, seen: Order | None, *, listed: bool | None, at: datetime) -> Order | None:
    """
    How an order stands after a cancel; None: that cannot be said.

    | listed       | seen             | told as                                                  |
    |--------------|------------------|----------------------------------------------------------|
    | yes          | a reported end   | seen: it has the final fills                             |
    | yes          | else             | cancelled, with the fills of whichever tells of more     |
    | no           | not              | nothing                                                  |
    | acknowledged | not              | known, with the cancel on its way                        |
    | acknowledged | working          | seen, with the cancel on its way                         |
    | no, ackn.    | else             | seen; rebuilt from trades, with what was known before it |

    Args:
        listed: whether the answer named it among the cancelled; None where an acknowledgement proves nothing.
    """
    is_reported_end = seen is not None and seen.is_done and seen.known_by is KnownBy.REPORTED
    base = known or seen
    if listed and not is_reported_end and base is not None:
        ended: dict[str, Any] = {"status": OrderStatus.CANCELLED, "known_by": KnownBy.REPORTED, "observed_at": at}
        ended |= {"cancel_requested": False, "trigger_waiting": False, **_fuller(known, seen)}
        return base.noted(CANCEL_LISTED, *(seen.evidence if seen else ()), **ended)
    if seen is None:
        unread = "cancel: acknowledged, not read back"
        return known.noted(unread, cancel_requested=True) if known is not None and listed is None else None
    if seen.may_be_live:
        return seen.noted(cancel_requested=True) if listed is None else seen
    if known is None or seen.status is not OrderStatus.ENDED:
        return seen
    # Trades that make up its ordered size tell that it was filled. Fewer tell nothing: they may lag.
    rebuilt: dict[str, Any] = {"status": OrderStatus.ENDED, "known_by": KnownBy.INFERRED, **_fuller(known, seen)}
    rebuilt |= {"updated_at": seen.updated_at or known.updated_at, "observed_at": seen.observed_at}
    return by_numbers(known.noted(*seen.evidence, **rebuilt))


def _fuller(known: Order | None, seen: Order | None) -> dict[str, Any]:
    """The fill figures of the observation that tells of more."""
    observed = [order for order in (known, seen) if order is not None and order.filled_quantity is not None]
    most = max(observed, key=lambda order: order.filled_quantity or ZERO, default=None)
    return {name: getattr(most, name, None) for name in FILL_FIGURES}


def _unclear(text: str, meant: Meant) -> errors.OutcomeUnknown:
    return errors.OutcomeUnknown(text, order_id=meant.order_id, client_order_id=meant.client_order_id)


def _newest(orders: Sequence[Order]) -> Order | None:
    return max(orders, key=last_change, default=None)


def _name_of(row: Order | BadRow) -> str:
    return row.order_id or (f"row {row.position}" if isinstance(row, BadRow) else "an order without an id")


def _ids_of(rows: Iterable[BadRow]) -> list[str]:
    return [row.order_id for row in rows if row.order_id]


def _is_hopeless(failed: Sequence[tuple[Meant, errors.OrderBridgeError]]) -> bool:
    """True if the credentials were refused: every further try would be, and might lock the account."""
    return any(isinstance(error, errors.AuthenticationFailed) for _, error in failed)
