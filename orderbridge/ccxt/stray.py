"""
Creating orders for bots that try again.

A bot that got no order calls `create_order` once more. So an order whose caller left without a verdict is remembered:
the next create of its symbol and side is answered by it once it is known, and nothing is sent meanwhile. Where that
create asks for another order, the bot believes the first to be gone, which is a stray then: `stray` says what becomes
of it. What is known of callers is written into the journal, so that the next process of the bot goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final, Literal
from weakref import WeakKeyDictionary, WeakValueDictionary

from ccxt.base.errors import BaseError, DuplicateOrderId, ExchangeNotAvailable, InvalidOrder

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt.dicts import Row
from orderbridge.ccxt.errors import OrderNotPlaced, OrderOutcomeUnknown, StrayFilled
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    OrderBridgeError,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.model.basics import OrderStatus, PlacementState
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.placement.journal import MemoryJournal
from orderbridge.placement.ledger import LEASE_SECONDS, Ledger, log
from orderbridge.placement.states import IN_FLIGHT, UNFINISHED, Happened, Record
from orderbridge.sync import cut_off, unless_received

StrayPolicy = Literal["cancel", "block", "tell"]
# In the evidence of a placement: its caller went without a verdict; and was given or shown its order after all.
LEFT: Final = "left"
TOLD: Final = "told"
_KEY_PREFIX: Final = "ccxt-"
_REPLY: Final = "reply"
_POLL: Final = 0.05
_LOOKED_AT: Final = (*IN_FLIGHT, PlacementState.PREPARED, PlacementState.PLACED)
_LEAVABLE: Final = (*UNFINISHED, PlacementState.PLACED)
# Nothing of these was admitted: their placement is prepared, and may be gone on with.
_UNSENT: Final = (NotSent, AuthenticationFailed, PermissionDenied)
_MOST_UNSENT: Final = 1_000
# Seconds for the right to send an order.
_SEND_WITHIN: Final = 5.0
_NAMELESS: Final = {"client_order_id": None}


@dataclass(eq=False)
class Unanswered:
    """
    An order that was begun to be sent, and of which its caller has no verdict yet.

    Attributes:
        key: of its placement; one of an earlier process may have none, and is then given itself.
        is_earlier: the journal held it from before this process placed anything.
        left_at: loop time at which its caller went without a verdict; None while it waits.
        is_unclear: its outcome is not known, and its caller waits for it.
        noted: what was written last of its caller, by this process.
        seen: what the bot was shown since its caller left, of which it is not known yet whether it is this order.
        answering: held while a create is answered by it, so that no two are.
    """

    request: OrderRequest
    key: str | None
    placement: Placement | None = None
    is_earlier: bool = False
    left_at: float | None = None
    is_unclear: bool = False
    noted: str | None = None
    seen: set[object] = field(default_factory=set)
    answering: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def has_left(self) -> bool:
        """True once its caller went without a verdict."""
        return self.left_at is not None

    def was_left(self, at: float) -> bool:
        """True where its caller had gone without a verdict by then."""
        return self.left_at is not None and self.left_at <= at

    def is_beside(self, request: OrderRequest) -> bool:
        """True where a call asks for an order of the same symbol and side."""
        return (self.request.symbol, self.request.side) == (request.symbol, request.side)

    def is_equal(self, request: OrderRequest | None) -> bool:
        """True where a call asks for the same in all, whatever their ids."""
        return request is not None and self.request.model_copy(update=_NAMELESS) == request.model_copy(update=_NAMELESS)


@dataclass(eq=False)
class Begun:
    """A create that is under way: the loop time at which it was asked for, and for what once that is read."""

    at: float
    request: OrderRequest | None


@dataclass(eq=False)
class Callers:
    """
    What all creates at one gateway of a bridge share, whichever object they were called on.

    Attributes:
        open: those without a verdict. unsent: keys of what was never sent, by request. taken: keys that the venue
            refused as used before. begun: the creates that may be answered by those. replaced: the orders in whose
            stead another was placed. editing: see `turn`.
    """

    made_at: datetime
    open: list[Unanswered] = field(default_factory=list)
    begun: list[Begun] = field(default_factory=list)
    unsent: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    replaced: set[Identity] = field(default_factory=set)
    editing: WeakValueDictionary[Identity, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    has_looked_back: bool = False
    looking_back: asyncio.Lock = field(default_factory=asyncio.Lock)


_CALLERS: Final[WeakKeyDictionary[OrderBridge, dict[str, Callers]]] = WeakKeyDictionary()


@dataclass(eq=False)
class Creates:
    """
    Places orders at one gateway for bots that repeat what failed.

    Args:
        resolve_for: seconds for which an unknown outcome is waited for.
        stray: what becomes of an order that its bot believes to be gone; see `CcxtOrders`.
        as_shown: an order as the bot is shown it, with its trades.
    """

    bridge: OrderBridge
    gateway: str
    resolve_for: float
    stray: StrayPolicy
    as_shown: Callable[[Order], Awaitable[Row]]

    def __post_init__(self) -> None:
        self._ledger: Ledger = self.bridge._placements.ledger
        known = _CALLERS.setdefault(self.bridge, {})
        self._callers = known.setdefault(self.gateway, Callers(self._ledger.now()))
        self._open = self._callers.open
        self.replaced = self._callers.replaced
        self._resolver = self.bridge._placements.line(self.gateway).resolver

    async def place(self, request: OrderRequest, create: Begun, *, timeout: float) -> Order:
        """
        Place an order at most once, whoever repeats it.

        Args:
            create: as `begun` made it, before anything was awaited.

        Returns:
            The order as the venue answered; or the earlier one whose outcome was not known to its caller.

        Raises:
            OrderOutcomeUnknown, OrderNotPlaced, StrayFilled: an order was sent. ExchangeNotAvailable: nothing was.
            DuplicateOrderId, InvalidOrder and our own errors: refused.
        """
        create.request = request
        try:
            return await self._place(request, create.at, timeout)
        except (JournalError, ConfigurationError, asyncio.CancelledError) as error:
            why = cut_off() if isinstance(error, asyncio.CancelledError) else str(error)
            left = self._first_open(request, ())
            if why is None or left is None:
                raise
            # The bot must not read of its first order, for which it asks again, that it is refused.
            message = f"an order of this symbol and side is not known yet, and no other was sent: {why}"
            raise _unknown(left.placement, message) from error

    async def _place(self, request: OrderRequest, began: float, timeout: float) -> Order:
        await self._look_back()
        key = request.client_order_id
        held = None if key is None else await self.bridge.placement(key=key, gateway=self.gateway)
        if held is not None and not held.holds_key and held.client_order_id is not None:
            raise InvalidOrder(f"clientOrderId {key} is that of an order that is {held.state}; use a new one")
        if self._open and (held is None or held.state is PlacementState.PREPARED or not held.holds_key):
            earlier = await self._answer_by_earlier(request, began, timeout)
            if earlier is not None:
                return earlier
        return await self._send(request, timeout)

    @contextlib.contextmanager
    def begun(self, request: OrderRequest | None = None) -> Iterator[Begun]:
        """
        Have the orders that were left before now wait for this create, whatever a poller beside it is shown.

        Its bot asked for it before it was shown them: forgotten meanwhile, its order would be placed a second time.
        """
        create = Begun(asyncio.get_running_loop().time(), request)
        self._callers.begun.append(create)
        try:
            yield create
        finally:
            self._callers.begun.remove(create)

    def _is_asked_for(self, sent: Unanswered) -> bool:
        """True while a create that began after its caller had left may be answered by it, or end it."""
        return any(
            create.request is None
            or sent.is_equal(create.request)
            or (sent.is_beside(create.request) and not self._has_left(create))
            for create in self._callers.begun
            if sent.was_left(create.at)
        )

    async def _look_back(self) -> None:
        """Take up what the journal holds from before the first create: its bot may be about to repeat it."""
        callers = self._callers
        if callers.has_looked_back:
            return
        async with callers.looking_back:
            if not callers.has_looked_back:
                # What the recovery sends is looked at too, so it has to be over.
                await self.bridge._placements.ready(self.gateway, within=_SEND_WITHIN)
                self._open += await _earlier_orders(self._ledger, self.gateway, before=callers.made_at)
                callers.has_looked_back = True

    async def _answer_by_earlier(self, request: OrderRequest, began: float, timeout: float) -> Order | None:
        """
        Wait for the earlier orders of this symbol and side whose outcome is open; the one that answers this call.

        One whose caller left before this call began answers it if it asks for the same, and is a stray if it does
        not. Another only has to be known first: it is its own caller's.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.resolve_for
        others, own = list[Unanswered](), request.client_order_id
        while (sent := self._first_open(request, others)) is not None:
            placement = await self._placement_of(sent)
            if sent.has_left and placement is not None and _is_open(placement):
                # After a long outage the bridge asks for it every few minutes only.
                record = await self.bridge._placements.record_of(placement)
                look = self.bridge._placements._spawn(self._resolver.look_again(record))
                await asyncio.wait([look], timeout=min(timeout, max(0.0, deadline - loop.time())))
            placement = placement and await self.bridge.resolve(placement, timeout=max(0.0, deadline - loop.time()))
            if placement is not None and _is_open(placement):
                ids = sorted(order_id for _, order_id, *_ in self._resolver.candidates(placement.placement_id))
                raise _unknown(
                    placement, f"an earlier order of this symbol and side {_pending(placement, ids)}; nothing was sent"
                )
            async with sent.answering:
                if sent not in self._open:
                    continue  # another call was answered by it meanwhile
                if placement is None or placement.state is not PlacementState.PLACED:
                    self._forget(sent)
                elif sent.is_earlier and _was_answered(placement.evidence):
                    self._forget(sent)  # to whoever sent it, in another process
                elif placement.order and placement.order.identity in sent.seen:
                    await self._tell(sent)
                elif not sent.was_left(began):
                    others.append(sent)
                elif placement.order and sent.is_equal(request) and own in (None, placement.client_order_id):
                    await self._tell(sent)
                    return placement.order
                else:
                    await self._end_stray(sent, placement, timeout)
        return None

    async def _end_stray(self, sent: Unanswered, placement: Placement, timeout: float) -> None:
        """
        Do with an order that its bot believes to be gone what `stray` says; where it returns, the new one is sent.

        Raises:
            OrderOutcomeUnknown: nothing is sent for this call. StrayFilled: it had filled, and is told now.
        """
        order = placement.order
        if order is None:
            if any(each.startswith("assumed") for each in placement.evidence):
                await self._tell(sent)  # a person took it as placed, and nothing more will be known
            raise _unknown(placement, "it was settled as placed, and is not shown; nothing was sent")
        about = (
            f"an earlier create of this symbol and side, which asked for another order, was placed as {order.order_id}"
        )
        if self.stray == "block":
            raise _unknown(placement, f"{about}; nothing is sent until that one was fetched or cancelled")
        if self.stray == "tell":
            await self._tell(sent)
            raise _unknown(placement, f"{about}; nothing was sent for this one, and the next create is sent")
        try:
            if order.may_be_live:
                order = await self.bridge.cancel(order, wait="done", timeout=timeout)
            row = await self.as_shown(order)
            if row["filled"] is None and order.status is not OrderStatus.FILLED:
                # Its cancel was answered, and the look after that was not.
                order = await self.bridge.get(order, timeout=timeout)
                row = await self.as_shown(order)
        except (OrderBridgeError, BaseError) as error:
            raise _unknown(placement, f"{about}, and could not be cancelled; nothing was sent: {error}") from error
        # How much it filled is asked for again, where that can be told.
        is_filled = order.status is OrderStatus.FILLED and not self.bridge[self.gateway].capabilities.fills
        if order.may_be_live or (row["filled"] is None and not is_filled):
            raise _unknown(placement, f"{about}; how it ended is not proven yet, and nothing was sent")
        await self._tell(sent)
        if is_filled or Decimal(str(row["filled"])):
            raise StrayFilled(
                f"{about} and had filled: count that before creating another; nothing was sent", order=row
            )

    def _first_open(self, request: OrderRequest, others: Collection[Unanswered]) -> Unanswered | None:
        """The first that has to be known before this is sent; one that may answer it goes before."""
        known = [each for each in self._open if each.is_beside(request) and each not in others]
        first = [each for each in known if each.is_unclear or each.has_left]
        return next((each for each in first if each.is_equal(request)), first[0] if first else None)

    def turn(self, order: Order) -> asyncio.Lock:
        """Held while another is placed in the stead of an order: of two repeats at once one is answered by that."""
        return self._callers.editing.setdefault(order.identity, asyncio.Lock())

    async def is_repeated(self, create: Begun) -> bool:
        """True where an order that asks for the same was left without a verdict before, and so answers this create."""
        await self._look_back()
        return self._has_left(create)

    def _has_left(self, create: Begun) -> bool:
        return any(each.was_left(create.at) and each.is_equal(create.request) for each in self._open)

    async def _placement_of(self, sent: Unanswered) -> Placement | None:
        if sent.key is None:
            return sent.placement
        return await self.bridge.placement(key=sent.key, gateway=self.gateway)

    async def _send(self, request: OrderRequest, timeout: float) -> Order:
        given, unsent = request.client_order_id, self._callers.unsent
        # What was not sent and is tried again was marked as left.
        again = unsent.pop(request.model_dump_json(), None) if unsent and not given else None
        key = given or again or f"{_KEY_PREFIX}{secrets.token_hex(12)}"
        sent = next((each for each in self._open if each.key == key), None)
        is_new = sent is None
        if sent is None:
            self._open.append(sent := Unanswered(request, key))
            unless_received(partial(self._leave, sent))
        try:
            order = await self.bridge.place(self.gateway, request, key=key, send_within=_SEND_WITHIN, timeout=timeout)
        except OutcomeUnknown as unknown:
            sent.is_unclear = True
            order = await self._resolved(sent, unknown)
            await self._tell(sent)
            return order
        except OrderBridgeError as error:
            # Of what an earlier call left open, a refusal of this one says nothing.
            if is_new:
                self._forget(sent)
            if given is None and isinstance(error, _UNSENT):
                # The same order tried again goes on with its placement, so that a night of retries leaves one.
                unsent[request.model_dump_json()] = key
                if len(unsent) > _MOST_UNSENT:
                    del unsent[next(iter(unsent))]
                # Under `on_stale="send"` the next process sends it, and its bot may ask for it again before that.
                await self._note(sent, Happened.LEFT, LEFT)
            raise
        except BaseException as error:  # a cancel too: it may have been sent, and nobody is told
            self._leave(sent)
            if (why := cut_off()) is not None:
                placement = None
                with contextlib.suppress(OrderBridgeError):  # that it may be live is told without its id too
                    placement = await self._placement_of(sent)
                raise _unknown(placement, why) from error
            raise
        if is_new and again is None:
            self._forget(sent)
        else:
            await self._tell(sent)
        return order

    async def _resolved(self, sent: Unanswered, unknown: OutcomeUnknown) -> Order:
        """The order once it is known. What is not is remembered as open from the moment that its caller leaves."""
        try:
            # Durable at once: should this process end here, the next one knows that nobody was told.
            await self._note(sent, Happened.LEFT, LEFT)
            placement = unknown.placement and await self.bridge.resolve(unknown.placement, timeout=self.resolve_for)
        except BaseException as error:  # a cancel too
            self._leave(sent)
            if isinstance(error, OrderBridgeError):
                raise _unknown(unknown.placement, f"{unknown}; and then: {error}") from error
            if (why := cut_off()) is not None:
                raise _unknown(unknown.placement, f"{unknown}; and then: {why}") from error
            raise
        if placement is not None and placement.state is PlacementState.PLACED and placement.order is not None:
            return placement.order
        if placement is not None and not _is_open(placement) and placement.state is not PlacementState.PLACED:
            self._forget(sent)
            raise _verdict(placement, unknown) from unknown
        taken = self._callers.taken
        # The venue refused this very send, as an order of that client id existed.
        if sent.key is not None and isinstance(unknown.__cause__, DuplicateClientOrderId):
            taken.add(sent.key)
        if sent.key in taken:
            self._forget(sent)
            raise DuplicateOrderId(f"an order of this id was there before, and nothing new was placed: {unknown}")
        self._leave(sent)
        raise _unknown(placement, str(unknown)) from unknown

    def _forget(self, sent: Unanswered) -> None:
        if sent in self._open:
            self._open.remove(sent)
        journal = self._ledger.journal
        if isinstance(journal, MemoryJournal) and sent.key is not None and sent.key.startswith(_KEY_PREFIX):
            journal.let_go(self.gateway, sent.key)

    def _leave(self, sent: Unanswered) -> None:
        """Its caller went without a verdict, or was gone by when it was given one."""
        if sent not in self._open:
            self._open.append(sent)
        elif sent.has_left:
            return
        sent.is_earlier = False  # what was noted of its caller is not so
        if sent.left_at is None:
            sent.left_at = asyncio.get_running_loop().time()
        self.bridge._placements.recorder._spawn(self._note(sent, Happened.LEFT, LEFT))

    async def _tell(self, sent: Unanswered) -> None:
        """Its order is given to a caller now: no other call, and no later process, is answered by it."""
        self._forget(sent)
        try:
            await self._note(sent, Happened.TOLD, TOLD)
        except BaseException:  # a cancel too: it is not told then
            self._leave(sent)
            raise
        unless_received(partial(self._leave, sent))

    async def _note(self, sent: Unanswered, happened: Happened, mark: str) -> None:
        """Have the journal say so. What it cannot store is tried again in the background, and hinders nothing."""
        journal = self._ledger.journal
        try:  # not by the bridge, which waits for what is being stored, and so for this
            if sent.placement is not None:
                found = [await journal.get(sent.placement.placement_id)]
            else:
                found = [*await journal.find(gateway=self.gateway, key=sent.key)]
        except JournalError as error:
            log.warning("that the caller of an order was %s could not be noted: %s", mark, error)
            return
        record = found[-1] if found else None
        # What is being written is not read yet, and comes before what is written after it.
        if record is not None and mark != (sent.noted or _last_mark(record.placement.evidence)):
            sent.noted = mark
            await self._ledger.outcome(record, happened, evidence=mark, when=_LEAVABLE)

    async def shown(self, seen: Iterable[Order | Fill]) -> None:
        """The bot was shown these: an order among them whose outcome it did not know is none that it would repeat."""
        rows = list(seen)
        names: set[object] = {row.client_order_id for row in rows if row.client_order_id is not None}
        await self.named(names | {(row.gateway, row.order_id, row.symbol, row.side) for row in rows})

    async def named(self, names: Collection[object]) -> None:
        """The bot was shown orders of these client ids and identities."""
        with contextlib.suppress(OrderBridgeError):  # the next create looks back, or says why it cannot
            await self._look_back()
        for sent in [each for each in self._open if each.has_left]:
            try:
                placement = await self._placement_of(sent)
            except OrderBridgeError as error:
                log.warning("whether the caller of an order was shown it could not be told: %s", error)
                return
            if placement is None or sent not in self._open or self._is_asked_for(sent):
                continue
            if {placement.client_order_id, placement.order and placement.order.identity}.intersection(names):
                await self._tell(sent)
            else:
                new = {*names} - sent.seen
                sent.seen |= new
                unless_received(partial(sent.seen.difference_update, new))


async def _earlier_orders(ledger: Ledger, gateway: str, *, before: datetime) -> list[Unanswered]:
    """
    The orders in the journal from before that a bot may be about to repeat: what is open, and what was settled
    since without its caller being told. Not what another living process works on: that one has a bot of its own.
    """
    found = await ledger.journal.find(gateway=gateway, states=_LOOKED_AT)
    mine = [record for record in found if record.placement.created_at < before and _is_untold(record.placement)]
    owners = {record.owner: record for record in mine if record.owner not in (None, ledger.owner)}
    live = await asyncio.gather(*(_lives(ledger, record) for record in owners.values()))
    others = {owner for owner, lives in zip(owners, live, strict=True) if lives}
    return [
        Unanswered(each.request, each.key, each, is_earlier=True, left_at=float("-inf"))
        for each in (record.placement for record in mine if record.owner not in others)
    ]


def _is_untold(placement: Placement) -> bool:
    if placement.state is not PlacementState.PLACED:
        return _is_open(placement) and _last_mark(placement.evidence) != TOLD
    key = placement.key
    # Whoever places by the bridge itself with a key of another kind is told by the bridge.
    is_of_a_bot = key is not None and (key.startswith(_KEY_PREFIX) or key == placement.client_order_id)
    return is_of_a_bot and not _was_answered(placement.evidence)


def _was_answered(evidence: Sequence[str]) -> bool:
    """True where whoever sent a placed order knows of it: by the reply, or because it was shown later."""
    return (_last_mark(evidence) or (TOLD if _REPLY in evidence else LEFT)) == TOLD


def _last_mark(evidence: Sequence[str]) -> str | None:
    """What was noted last of the caller of a placement: one may be told, and prove to have been gone by then."""
    return next((each for each in reversed(evidence) if each in {LEFT, TOLD}), None)


def _is_open(placement: Placement) -> bool:
    """True where an order may come of it that nobody was told of: one that the bridge is about to send again too."""
    if placement.state is PlacementState.PREPARED:
        # What was never sent has no evidence; what is sent again has the proof that it was absent.
        return bool({*placement.evidence} - {LEFT, TOLD})
    return placement.state in IN_FLIGHT


async def _lives(ledger: Ledger, record: Record) -> bool:
    """
    True while its owner lives, which one shows by renewing its lease.

    One that ended without a word in another container holds its lease for a while: that is waited for, as this
    process may be the one that goes on with its bot.
    """
    owner, loop = record.owner or "", asyncio.get_running_loop()
    began, left = loop.time(), LEASE_SECONDS
    while await ledger.is_worked_on(record) and left > 0:
        await asyncio.sleep(_POLL)
        left = began + LEASE_SECONDS - loop.time()
        # A lease of which more is left than one of before can have was renewed since.
        if await ledger.journal.lives(owner, -left - _POLL / 2):
            return True
    return False


def _pending(placement: Placement, candidates: Sequence[str]) -> str:
    """How an order that is not known yet stands, and what its person is to do about it."""
    if not (placement.gave_up or candidates):
        return "is not known yet"
    why = (
        f"is not known yet: it may be any of {', '.join(candidates)}" if candidates else "could not be told by any list"
    )
    return (
        f"{why}; look at the exchange, and have `orderbridge journal settle {placement.placement_id}` say what became "
        "of it; without a journal cancel what there is, and start anew"
    )


def _unknown(placement: Placement | None, why: str) -> OrderOutcomeUnknown:
    client_order_id = None if placement is None else placement.client_order_id
    name = client_order_id or (placement.placement_id if placement else "that was sent")
    order_id = placement.order.order_id if placement is not None and placement.order is not None else None
    message = f"the order {name} may be live: {why}"
    return OrderOutcomeUnknown(message, placement=placement, order_id=order_id, client_order_id=client_order_id)


def _verdict(placement: Placement, unknown: OutcomeUnknown) -> Exception:
    name = placement.client_order_id or placement.placement_id
    if placement.state is PlacementState.PREPARED:
        return ExchangeNotAvailable(f"nothing of {name} was sent: {unknown}")  # type: ignore[no-any-return]
    if placement.state is PlacementState.NOT_PLACED:
        return OrderNotPlaced(f"{name} is proven not to be live, and nothing of it filled", placement=placement)
    return InvalidOrder(f"{name} is {placement.state}: {unknown}")  # type: ignore[no-any-return]
