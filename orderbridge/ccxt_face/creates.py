"""
Creating orders for bots that try again.

A bot that got no order calls `create_order` once more. So an order whose caller left without a verdict is remembered:
the next create of its symbol and side is answered by it once it is known, and nothing is sent meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Collection
from typing import Final

from ccxt.base.errors import DuplicateOrderId, ExchangeNotAvailable, InvalidOrder

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt_face.arguments import KeyedRequest
from orderbridge.ccxt_face.errors import OrderNotPlaced, OrderOutcomeUnknown
from orderbridge.ccxt_face.unanswered import (
    KEY_PREFIX,
    LEFT,
    TOLD,
    UnansweredCreate,
    earlier_orders,
    is_open,
    unanswered_of,
    was_answered,
)
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    OrderBridgeError,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.model.basics import PlacementState
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.placement.ledger import log
from orderbridge.placement.states import UNFINISHED, Happened

# Nothing of these was admitted: their placement is prepared, and may be gone on with.
_UNSENT: Final = (NotSent, AuthenticationFailed, PermissionDenied)
_LEAVABLE: Final = (*UNFINISHED, PlacementState.PLACED)
_MOST_UNSENT: Final = 1_000


class CreatesOnce:
    """
    Places orders at one gateway for bots that repeat what failed.

    Args:
        resolve_for: seconds for which an unknown outcome is waited for.
    """

    def __init__(
        self, bridge: OrderBridge, gateway: str, *, resolve_for: float, timeout: float, send_within: float
    ) -> None:
        self._bridge = bridge
        self._gateway = gateway
        self._resolve_for = resolve_for
        self._timeout = timeout
        self._send_within = send_within
        self._ledger = bridge._placements.ledger
        self._unanswered = unanswered_of(bridge, gateway)
        self._open, self._unsent, self._taken = self._unanswered.open, self._unanswered.unsent, self._unanswered.taken

    async def place(self, asked: KeyedRequest) -> Order:
        """
        Place an order at most once, whoever repeats it.

        Returns:
            The order as the venue answered; or the earlier one whose outcome was not known to its caller.

        Raises:
            OrderOutcomeUnknown, OrderNotPlaced: an order was sent. ExchangeNotAvailable: nothing was sent.
            DuplicateOrderId, InvalidOrder and our own errors: refused.
        """
        for sent in self._open:
            # One that was cancelled a moment ago had no turn yet to say so.
            if sent.left_at is None and sent.has_left:
                self._leave(sent)
        began = asyncio.get_running_loop().time()
        await self._look_back()
        held = None if asked.key is None else await self._bridge.placement(key=asked.key, gateway=self._gateway)
        if held is not None and not held.holds_key and held.client_order_id is not None:
            raise InvalidOrder(f"clientOrderId {asked.key} is that of an order that is {held.state}; use a new one")
        if held is None or held.state is PlacementState.PREPARED or not held.holds_key:
            earlier = await self._answer_by_earlier(asked, began)
            if earlier is not None:
                return earlier
        return await self._send(asked)

    async def _look_back(self) -> None:
        """Take up what the journal holds from before the first face was made: its bot may be about to repeat it."""
        unanswered = self._unanswered
        async with unanswered.looking_back:
            if not unanswered.has_looked_back:
                # What the recovery sends is looked at too, so it has to be over.
                await self._bridge._placements.ready(self._gateway, within=self._send_within)
                self._open += await earlier_orders(self._ledger, self._gateway, before=unanswered.made_at)
                unanswered.has_looked_back = True

    async def _answer_by_earlier(self, asked: KeyedRequest, began: float) -> Order | None:
        """
        Wait for the earlier orders of this symbol and side whose outcome is open; the one that answers this call.

        One whose caller left before this call began answers it, if it asks for the same; else it is told of that
        order by an error. Another only has to be known first: it is its own caller's.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._resolve_for
        others: list[UnansweredCreate] = []
        while (sent := self._first_open(asked.request, others)) is not None:
            placement = await self._settled(sent, timeout=max(0.0, deadline - loop.time()))
            if placement is not None and is_open(placement):
                raise _unknown(placement, "an earlier order of this symbol and side is not known yet; nothing was sent")
            if sent not in self._open:
                continue  # another call was answered by it meanwhile
            if placement is None or placement.state is not PlacementState.PLACED:
                self._forget(sent)
            elif sent.is_earlier and was_answered(placement.evidence):
                self._forget(sent)  # to whoever sent it, in another process
            elif sent.left_at is None or sent.left_at > began:
                others.append(sent)
            else:
                return await self._answer(asked, sent, placement)
        return None

    async def _answer(self, asked: KeyedRequest, sent: UnansweredCreate, placement: Placement) -> Order:
        """The order of an earlier call, where this one asks for the same. OrderOutcomeUnknown: it does not."""
        order = placement.order
        if order is None:
            if any(each.startswith("assumed") for each in placement.evidence):
                await self._tell(sent, placement)  # a person took it as placed, and nothing more will be known
            raise _unknown(placement, "it was settled as placed, and is not shown; nothing was sent")
        await self._tell(sent, placement)
        if _asks_for(asked, placement):
            return order
        raise _unknown(
            placement,
            f"an earlier create of this symbol and side, which asked for another order, was placed as "
            f"{order.order_id}; nothing was sent for this one, and the next create is sent",
        )

    def _first_open(self, request: OrderRequest, others: Collection[UnansweredCreate]) -> UnansweredCreate | None:
        for sent in self._open:
            same = (sent.symbol, sent.side) == (request.symbol, request.side)
            if same and (sent.is_unclear or sent.has_left) and sent not in others:
                return sent
        return None

    async def _settled(self, sent: UnansweredCreate, *, timeout: float) -> Placement | None:
        placement = await self._placement_of(sent)
        return None if placement is None else await self._bridge.resolve(placement, timeout=timeout)

    async def _placement_of(self, sent: UnansweredCreate) -> Placement | None:
        if sent.key is None:
            return sent.placement
        return await self._bridge.placement(key=sent.key, gateway=self._gateway)

    async def _send(self, asked: KeyedRequest) -> Order:
        request = asked.request
        # What was not sent and is tried again was marked as left.
        again = None if asked.key else self._unsent.pop(request.model_dump_json(), None)
        key = asked.key or again or f"{KEY_PREFIX}{secrets.token_hex(12)}"
        sent = next((each for each in self._open if each.key == key), None)
        is_new = sent is None
        if sent is None:
            task = asyncio.current_task()
            cancels = 0 if task is None else task.cancelling()
            self._open.append(sent := UnansweredCreate(request.symbol, request.side, key, task=task, cancels=cancels))
        try:
            order = await self._bridge.place(
                self._gateway, request, key=key, send_within=self._send_within, timeout=self._timeout, read_back=False
            )
        except OutcomeUnknown as unknown:
            sent.is_unclear = True
            order = await self._resolved(sent, unknown)
            await self._tell(sent, await self._noted_placement(sent))
            return order
        except OrderBridgeError as error:
            # Of what an earlier call left open, a refusal of this one says nothing.
            if is_new:
                self._forget(sent)
            if asked.key is None and isinstance(error, _UNSENT):
                self._keep_unsent(request, key)
                # Under `on_stale="send"` the next process sends it, and its bot may ask for it again before that.
                await self._note_left(sent)
            raise
        except BaseException:
            self._leave(sent)
            self._bridge._placements._spawn(self._note_left(sent))
            raise
        if is_new and again is None:
            self._forget(sent)
        else:
            await self._tell(sent, await self._noted_placement(sent))
        return order

    async def _resolved(self, sent: UnansweredCreate, unknown: OutcomeUnknown) -> Order:
        """The order once it is known. What is not is remembered as open from the moment that its caller leaves."""
        try:
            # Durable at once: should this process end here, the next one knows that nobody was told.
            await self._note(unknown.placement, Happened.LEFT, LEFT)
            placement = await self._settled(sent, timeout=self._resolve_for) or unknown.placement
        except OrderBridgeError as error:
            self._leave(sent)
            raise _unknown(unknown.placement, f"{unknown}; and then: {error}") from error
        except BaseException:
            self._leave(sent)
            raise
        if placement is not None and placement.state is PlacementState.PLACED and placement.order is not None:
            return placement.order
        if placement is not None and not is_open(placement) and placement.state is not PlacementState.PLACED:
            self._forget(sent)
            raise _verdict(placement, unknown) from unknown
        if sent.key is not None and _is_duplicate(unknown):
            self._taken.add(sent.key)
        if sent.key in self._taken:
            self._forget(sent)
            raise DuplicateOrderId(f"an order of this id was there before, and nothing new was placed: {unknown}")
        self._leave(sent)
        raise _unknown(placement, str(unknown)) from unknown

    def _forget(self, sent: UnansweredCreate) -> None:
        if sent in self._open:
            self._open.remove(sent)

    def _leave(self, sent: UnansweredCreate) -> None:
        if sent in self._open and sent.left_at is None:
            sent.left_at = asyncio.get_running_loop().time()

    async def _tell(self, sent: UnansweredCreate, placement: Placement | None) -> None:
        """Its order is given to a caller now: no other call, and no later process, is answered by it."""
        self._forget(sent)
        try:
            await self._note(placement, Happened.TOLD, TOLD)
        except BaseException:
            self._open.append(sent)
            self._leave(sent)
            raise

    async def _note_left(self, sent: UnansweredCreate) -> None:
        await self._note(await self._noted_placement(sent), Happened.LEFT, LEFT)

    async def _noted_placement(self, sent: UnansweredCreate) -> Placement | None:
        try:
            return await self._placement_of(sent)
        except JournalError as error:
            log.warning("whether the caller of an order was told of it could not be noted: %s", error)
            return None

    async def _note(self, placement: Placement | None, happened: Happened, mark: str) -> None:
        """Have the journal say so. What it cannot store is tried again in the background, and hinders nothing."""
        if placement is None:
            return
        try:
            record = await self._ledger.journal.get(placement.placement_id)
        except JournalError as error:
            log.warning("that the caller of %s was %s could not be noted: %s", placement.placement_id, mark, error)
            return
        if record is not None and mark not in record.placement.evidence:
            await self._ledger.outcome(record, happened, evidence=mark, when=_LEAVABLE)

    def _keep_unsent(self, request: OrderRequest, key: str) -> None:
        # The same order tried again goes on with its placement, so that a night of retries leaves one.
        self._unsent[request.model_dump_json()] = key
        if len(self._unsent) > _MOST_UNSENT:
            del self._unsent[next(iter(self._unsent))]

    async def shown(self, order: Order) -> None:
        """The bot asked for this very order and was shown it: if it was open, it is no longer what it would repeat."""
        with contextlib.suppress(OrderBridgeError):  # the next create looks back, or says why it cannot
            await self._look_back()
        for sent in [each for each in self._open if each.left_at is not None]:
            placement = await self._noted_placement(sent)
            if placement is None:
                continue
            known = placement.order
            same_client = order.client_order_id is not None and placement.client_order_id == order.client_order_id
            if (same_client or (known is not None and known.identity == order.identity)) and sent in self._open:
                await self._tell(sent, placement)


def _asks_for(asked: KeyedRequest, placement: Placement) -> bool:
    """True where a call asks for the order that a placement asked for: the same in all, and not by another id."""
    if asked.key is not None and asked.key != placement.client_order_id:
        return False
    nameless = {"client_order_id": None}
    return asked.request.model_copy(update=nameless) == placement.request.model_copy(update=nameless)


def _is_duplicate(unknown: OutcomeUnknown) -> bool:
    # The venue refused this very send, as an order of that client id existed.
    return isinstance(unknown.__cause__, DuplicateClientOrderId)


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
