"""
Placing for bots that try again.

A bot that got no order calls `create_order` once more. So an order whose caller left without a verdict is remembered:
the next create of its symbol and side is answered by it once it is known, and nothing is sent meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ccxt.base.errors import DuplicateOrderId, ExchangeNotAvailable, InvalidOrder

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt_face.errors import OrderNotPlaced, OrderOutcomeUnknown
from orderbridge.ccxt_face.wanted import Wanted
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    OrderBridgeError,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import PlacementState, Side

# Nothing of these was admitted: their placement is prepared, and may be gone on with.
_UNSENT: Final = (NotSent, AuthenticationFailed, PermissionDenied)
_IN_FLIGHT: Final = (PlacementState.SENDING, PlacementState.UNCERTAIN)
_MOST_UNSENT: Final = 1_000


@dataclass(eq=False)
class _Sent:
    """
    An order that was begun to be sent.

    Attributes:
        key: of its placement; one of an earlier process may have none, and is then given itself.
        is_earlier: the journal held it open from before this face was made.
        left_at: loop time at which its caller went without a verdict; None while it waits.
        is_unclear: its outcome is not known, and its caller waits for it.
    """

    symbol: Symbol
    side: Side
    key: str | None
    placement: Placement | None = None
    is_earlier: bool = False
    left_at: float | None = None
    is_unclear: bool = False


class Placing:
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
        self._made_at = datetime.now(UTC)
        self._open: list[_Sent] = []
        self._unsent: dict[str, str] = {}
        self._taken: set[str] = set()
        self._has_looked_back = False
        self._looking_back = asyncio.Lock()

    async def place(self, wanted: Wanted) -> Order:
        """
        Place an order at most once, whoever repeats it.

        Returns:
            The order as the venue answered; or the earlier one whose outcome was not known to its caller.

        Raises:
            OrderOutcomeUnknown, OrderNotPlaced: an order was sent. ExchangeNotAvailable: nothing was sent.
            DuplicateOrderId, InvalidOrder and our own errors: refused.
        """
        began = asyncio.get_running_loop().time()
        await self._look_back()
        held = None if wanted.key is None else await self._bridge.placement(key=wanted.key, gateway=self._gateway)
        if held is not None and not held.holds_key and held.client_order_id is not None:
            raise InvalidOrder(f"clientOrderId {wanted.key} is that of an order that is {held.state}; use a new one")
        if held is None or held.state is PlacementState.PREPARED or not held.holds_key:
            earlier = await self._answer_by_earlier(wanted.request, began)
            if earlier is not None:
                return earlier
        return await self._send(wanted)

    async def _look_back(self) -> None:
        """What the journal holds open from before this face was made may be what its bot is about to repeat."""
        async with self._looking_back:
            if self._has_looked_back:
                return
            found: list[Placement] = []
            for state in (*_IN_FLIGHT, PlacementState.PREPARED):
                found += await self._bridge.placements(state=state)
            earlier = [each for each in found if each.gateway == self._gateway and each.created_at < self._made_at]
            self._open += [_earlier(each) for each in earlier if _is_open(each)]
            self._has_looked_back = True

    async def _answer_by_earlier(self, request: OrderRequest, began: float) -> Order | None:
        """
        Wait for the earlier orders of this symbol and side whose outcome is open; the one that answers this call.

        One whose caller left before this call began answers it. Another only has to be known first: it is its own
        caller's.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._resolve_for
        others: list[_Sent] = []
        while (sent := self._first_open(request, others)) is not None:
            placement = await self._settled(sent, timeout=max(0.0, deadline - loop.time()))
            if placement is not None and _is_open(placement):
                raise _unknown(placement, "an earlier order of this symbol and side is not known yet; nothing was sent")
            if sent not in self._open:
                continue  # another call was answered by it meanwhile
            if placement is None or placement.state is not PlacementState.PLACED or _was_answered(sent, placement):
                self._open.remove(sent)
            elif sent.left_at is not None and sent.left_at <= began:
                self._open.remove(sent)
                if placement.order is None:
                    raise _unknown(placement, "it was settled as placed, and is not shown")
                return placement.order
            else:
                others.append(sent)
        return None

    def _first_open(self, request: OrderRequest, others: Collection[_Sent]) -> _Sent | None:
        for sent in self._open:
            same = (sent.symbol, sent.side) == (request.symbol, request.side)
            if same and (sent.is_unclear or sent.left_at is not None) and sent not in others:
                return sent
        return None

    async def _settled(self, sent: _Sent, *, timeout: float) -> Placement | None:
        placement = await self._placement_of(sent)
        return None if placement is None else await self._bridge.resolve(placement, timeout=timeout)

    async def _placement_of(self, sent: _Sent) -> Placement | None:
        if sent.key is None:
            return sent.placement
        return await self._bridge.placement(key=sent.key, gateway=self._gateway)

    async def _send(self, wanted: Wanted) -> Order:
        request = wanted.request
        key = wanted.key or self._unsent.pop(request.model_dump_json(), None) or f"ccxt-{secrets.token_hex(12)}"
        sent = next((each for each in self._open if each.key == key), None)
        is_new = sent is None
        if sent is None:
            self._open.append(sent := _Sent(request.symbol, request.side, key))
        try:
            order = await self._bridge.place(
                self._gateway, request, key=key, send_within=self._send_within, timeout=self._timeout
            )
        except OutcomeUnknown as unknown:
            sent.is_unclear = True
            order = await self._resolved(sent, unknown)
        except OrderBridgeError as error:
            # Of what an earlier call left open, a refusal of this one says nothing.
            if is_new:
                self._forget(sent)
            if wanted.key is None and isinstance(error, _UNSENT):
                self._keep_unsent(request, key)
            raise
        except BaseException:
            self._leave(sent)
            raise
        self._forget(sent)
        return order

    async def _resolved(self, sent: _Sent, unknown: OutcomeUnknown) -> Order:
        """The order once it is known. What is not is remembered as open from the moment that its caller leaves."""
        try:
            placement = await self._settled(sent, timeout=self._resolve_for) or unknown.placement
        except OrderBridgeError as error:
            self._leave(sent)
            raise _unknown(unknown.placement, f"{unknown}; and then: {error}") from error
        except BaseException:
            self._leave(sent)
            raise
        if placement is not None and placement.state is PlacementState.PLACED and placement.order is not None:
            return placement.order
        if placement is not None and not _is_open(placement) and placement.state is not PlacementState.PLACED:
            self._forget(sent)
            raise _verdict(placement, unknown) from unknown
        if sent.key is not None and _is_duplicate(unknown):
            self._taken.add(sent.key)
        if sent.key in self._taken:
            self._forget(sent)
            raise DuplicateOrderId(f"an order of this id was there before, and nothing new was placed: {unknown}")
        self._leave(sent)
        raise _unknown(placement, str(unknown)) from unknown

    def _forget(self, sent: _Sent) -> None:
        if sent in self._open:
            self._open.remove(sent)

    def _leave(self, sent: _Sent) -> None:
        if sent in self._open:
            sent.left_at = asyncio.get_running_loop().time()

    def _keep_unsent(self, request: OrderRequest, key: str) -> None:
        # The same order tried again goes on with its placement, so that a night of retries leaves one.
        self._unsent[request.model_dump_json()] = key
        if len(self._unsent) > _MOST_UNSENT:
            del self._unsent[next(iter(self._unsent))]

    async def shown(self, *, order_ids: Collection[str | None], client_ids: Collection[str | None]) -> None:
        """The bot was shown these orders: one of them that was open is no longer what it would repeat."""
        for sent in [each for each in self._open if each.left_at is not None]:
            with contextlib.suppress(JournalError):
                placement = await self._placement_of(sent)
                if placement is None:
                    continue
                order = placement.order
                if placement.client_order_id in client_ids or (order is not None and order.order_id in order_ids):
                    self._forget(sent)


def _earlier(placement: Placement) -> _Sent:
    request = placement.request
    return _Sent(request.symbol, request.side, placement.key, placement, is_earlier=True, left_at=float("-inf"))


def _is_open(placement: Placement) -> bool:
    """Whether an order may come of it that nobody was told of: one that the bridge is about to send again too."""
    if placement.state is PlacementState.PREPARED:
        # What was never sent has no evidence; what is sent again has the proof that it was absent.
        return bool(placement.evidence)
    return placement.state in _IN_FLIGHT


def _was_answered(sent: _Sent, placement: Placement) -> bool:
    """Whether an order that the journal held open was then answered to whoever sent it, in another process."""
    return sent.is_earlier and "reply" in placement.evidence


def _is_duplicate(unknown: OutcomeUnknown) -> bool:
    # The venue refused this very send, as an order of that client id existed.
    return isinstance(unknown.__cause__, DuplicateClientOrderId)


def _unknown(placement: Placement | None, why: str) -> OrderOutcomeUnknown:
    client_order_id = None if placement is None else placement.client_order_id
    name = client_order_id or (placement.placement_id if placement else "that was sent")
    message = f"the order {name} may be live: {why}"
    return OrderOutcomeUnknown(message, placement=placement, client_order_id=client_order_id)


def _verdict(placement: Placement, unknown: OutcomeUnknown) -> Exception:
    name = placement.client_order_id or placement.placement_id
    if placement.state is PlacementState.PREPARED:
        return ExchangeNotAvailable(f"nothing of {name} was sent: {unknown}")  # type: ignore[no-any-return]
    if placement.state is PlacementState.NOT_PLACED:
        return OrderNotPlaced(f"{name} is proven not to be live, and nothing of it filled", placement=placement)
    return InvalidOrder(f"{name} is {placement.state}: {unknown}")  # type: ignore[no-any-return]
