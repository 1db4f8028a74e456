"""
Sending an order at most once.

The intention is durable before the first byte, nothing waits once risk has begun, each attempt is one send, and what
came of it is written down whether or not anybody still waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from orderbridge.client_ids import LENGTH, mint
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    JournalError,
    KeyInUse,
    NotSent,
    NotSupported,
    OrderDenied,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.gateway import OrderGateway
from orderbridge.http.policy import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.model.words import Idempotency, PlacementState
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.fingerprint import fingerprint
from orderbridge.placement.journal import InFlight
from orderbridge.placement.states import Happened, Record, Step, step
from orderbridge.screening import refuse_undeclared

TRIES: Final = 3
_BETWEEN_TRIES: Final = 0.1
# An attempt that got its permit at the last moment still has so long to leave.
_LEAST_TO_LEAVE: Final = 1.0
_POLL: Final = 0.05
# Gateways keep the time limit themselves, and say more about what happened than we could.
_GRACE: Final = 0.25
# What proves that nothing was admitted; whatever is not listed in one of the two is not known.
NOTHING_LEFT: Final = (NotSent, AuthenticationFailed, PermissionDenied, ConfigurationError, OrderDenied, NotSupported)
MintId = Callable[..., str]


@dataclass(eq=False)
class _Call:
    """One caller's wish to have a placement sent."""

    record: Record
    send_by: float
    timeout: float | None
    is_new: bool = False
    permit: Permit | None = None
    abandoned: bool = False


class Placer:
    """
    Places orders at one gateway.

    Args:
        unsettled: told of each placement whose outcome is not known.
    """

    def __init__(
        self, desk: Desk, gateway: OrderGateway, *, unsettled: Callable[[Record], object], ids: MintId = mint
    ) -> None:
        self._desk = desk
        self._gateway = gateway
        self._unsettled = unsettled
        self._ids = ids
        self._running: set[asyncio.Task[Order]] = set()
        self._warned = False

    @property
    def _alone(self) -> bool:
        """Whether equal orders are kept apart here, as the venue's ids do not keep a second one away."""
        return self._gateway.capabilities.idempotency in {Idempotency.TAG_ONLY, Idempotency.NONE}

    async def prepare(self, request: OrderRequest, *, key: str | None) -> Record:
        """
        Store a placement without sending it; the one that holds the key, if that asks for the same.

        Raises:
            OrderDenied, NotSupported: refused here. KeyInUse: the key's placement asks for another order.
        """
        record = await self._new(request, key)
        return self._same(await self._create(record), record)

    async def place(
        self, what: OrderRequest | Placement, *, key: str | None, send_within: float, timeout: float | None
    ) -> Order:
        """
        Place an order, or go on with what was prepared.

        Raises:
            OutcomeUnknown: sent, and not known what came of it; it carries the placement.
            NotSent: nothing left. OrderDenied, KeyInUse, NotSupported: refused here.
            OrderRejected, AuthenticationFailed, PermissionDenied: refused by the venue.
            JournalError: the intention could not be stored, so nothing was sent.
        """
        send_by = asyncio.get_running_loop().time() + send_within
        if isinstance(what, Placement):
            known = await self._desk.journal.get(what.placement_id)
            if known is None or known.placement.gateway != self._gateway.name:
                raise ConfigurationError("this placement is not in the journal", gateway=self._gateway.name)
            return await self._carry_on(_Call(known, send_by, timeout))
        record = await self._new(what, key)
        call = _Call(record, send_by, timeout, is_new=True)
        call.permit = await self._permit_at_once()
        if call.permit is None:
            call.record = self._same(await self._create(record), record)
            call.is_new = False
            return await self._carry_on(call)
        return await self._drive(call)

    async def finish(self) -> None:
        """Wait for the attempts that are under way."""
        if self._running:
            await asyncio.wait(list(self._running))

    async def _new(self, request: OrderRequest, key: str | None) -> Record:
        rule = self._gateway.capabilities.client_order_id
        client_order_id = request.client_order_id
        if client_order_id is None and rule is not None:
            client_order_id = self._ids(self._desk.clock(), max_length=min(LENGTH, rule.max_length))
        mode = getattr(self._gateway, "trading_mode", None)
        placement = Placement(
            placement_id=secrets.token_hex(12),
            gateway=self._gateway.name,
            key=key,
            request=request.model_copy(update={"client_order_id": client_order_id}),
            client_order_id=client_order_id,
            created_at=self._desk.now(),
        )
        print_ = fingerprint(request, gateway=self._gateway.name, mode=mode)
        record = Record(placement=placement, fingerprint=print_, mode=mode, owner=self._desk.owner)
        try:
            refuse_undeclared(placement.request, self._gateway.capabilities, gateway=self._gateway.name)
        except (OrderDenied, NotSupported) as error:
            denied = step(record, Happened.DENIED, at=self._desk.now(), reason=str(error))
            stored = await self._create(record, denied)
            self._same(stored, record)
            raise
        return record

    async def _create(self, record: Record, *then: Step) -> Record:
        self._warn_once()
        try:
            stored = await self._desk.journal.create(record, *then, alone=self._alone)
        except ValueError as error:
            raise OrderDenied(
                str(error), rule="client_order_id", gateway=self._gateway.name, operation="place"
            ) from error
        if stored.id == record.id:
            self._desk.watch(stored)
        return stored

    def _warn_once(self) -> None:
        if not self._warned and not self._desk.journal.durable:
            extra = log_facts(self._gateway.name, "place")
            log.warning("placing without a journal: what is under way is forgotten when this process ends", extra=extra)
        self._warned = True

    def _same(self, held: Record, wanted: Record) -> Record:
        if held.fingerprint == wanted.fingerprint:
            return held
        raise KeyInUse(
            f"the key {held.placement.key!r} is held by another request",
            placement=held.placement,
            gateway=self._gateway.name,
            operation="place",
        )

    async def _permit_at_once(self) -> Permit | None:
        try:
            return await self._gateway.permit("place", timeout=0)
        except NotSent:
            return None

    async def _carry_on(self, call: _Call) -> Order:
        """Go on with a placement that is stored, wherever it stands."""
        record = call.record
        if record.state is PlacementState.SENDING:
            record = await self._wait_while_sending(call)
        placement = await self._desk.placement(record)
        if record.state is PlacementState.PREPARED:
            call.record = record
            return await self._drive(call)
        if record.state is PlacementState.PLACED and placement.order is not None:
            return placement.order
        if placement.may_be_live:
            raise self._unknown(record, "an earlier call sent it, and its outcome is not known")
        message = f"this placement is {record.state}: {record.reason or 'it is over'}; place a new one"
        raise OrderDenied(message, rule="placement", gateway=self._gateway.name, operation="place")

    async def _wait_while_sending(self, call: _Call) -> Record:
        deadline, record = Deadline(call.timeout), call.record
        while record.state is PlacementState.SENDING and deadline.remaining():
            await asyncio.sleep(_POLL)
            record = await self._desk.journal.get(record.id) or record
        return record

    async def _drive(self, call: _Call) -> Order:
        """Make an attempt, and another where nothing left, in tasks that outlive a cancelled caller."""
        tries = 0
        while True:
            try:
                if call.permit is None:
                    call.permit = await self._gateway.permit("place", timeout=self._left(call))
                return await self._attended(call)
            except InFlight as first:
                await self._wait_for_twin(call, first)
            except NotSent:
                tries += 1
                if tries == TRIES or not self._left(call) or call.record.state is not PlacementState.PREPARED:
                    raise
                await asyncio.sleep(min(_BETWEEN_TRIES * tries, self._left(call)))

    def _left(self, call: _Call) -> float:
        return max(0.0, call.send_by - asyncio.get_running_loop().time())

    async def _wait_for_twin(self, call: _Call, twin: InFlight) -> None:
        first = twin.record.placement
        if not self._left(call):
            name = first.client_order_id or first.placement_id
            raise NotSent(
                f"an equal order is under way, and its outcome is not known: {name}",
                gateway=self._gateway.name,
                operation="place",
            ) from twin
        await asyncio.sleep(min(_POLL, self._left(call)))

    async def _attended(self, call: _Call) -> Order:
        task = asyncio.ensure_future(self._attempt(call))
        self._running.add(task)
        task.add_done_callback(lambda done: self._ended(call, done))
        try:
            done, _ = await asyncio.wait([task], timeout=None if call.timeout is None else call.timeout + _GRACE)
        except asyncio.CancelledError:
            call.abandoned = True
            raise
        if not done:
            call.abandoned = True
            raise self._unknown(call.record, f"no answer within {call.timeout} s; it is followed up")
        return task.result()

    def _ended(self, call: _Call, task: asyncio.Task[Order]) -> None:
        self._running.discard(task)
        if call.permit is not None:
            call.permit.give_back()
            call.permit = None
        if not task.cancelled():
            task.exception()  # the caller may be gone; what happened is in the journal

    async def _attempt(self, call: _Call) -> Order:
        not_after = asyncio.get_running_loop().time() + max(_LEAST_TO_LEAVE, self._left(call))
        mine = await self._begin(call, seconds=not_after - asyncio.get_running_loop().time())
        if not mine:
            return await self._carry_on(call)
        if call.abandoned:
            call.record = await self._desk.outcome(call.record, Happened.NOTHING_LEFT, facts={"why": "cancelled"})
            raise NotSent("the caller went away before it was sent", gateway=self._gateway.name, operation="place")
        try:
            order = await self._gateway.submit(
                call.record.placement.request, permit=call.permit, not_after=not_after, timeout=call.timeout
            )
        except Exception as error:
            raise await self._failed(call, error) from error
        # Both in one commit.
        call.record, order = await asyncio.gather(self._acknowledged(call.record, order), self._kept(order))
        return order

    async def _acknowledged(self, record: Record, order: Order) -> Record:
        return await self._desk.outcome(
            record,
            Happened.ACKNOWLEDGED,
            facts={"order_id": order.order_id},
            evidence="reply",
            placement={"order": order},
        )

    async def _kept(self, order: Order) -> Order:
        """The order with what a stream may have shown of it before the answer came."""
        try:
            (known,) = await self._desk.journal.observe([order])
        except JournalError as error:
            log.error("what was seen of %s could not be stored: %s", order.order_id, error)
            return order
        return known

    async def _begin(self, call: _Call, *, seconds: float) -> bool:
        """Write down that it is about to be sent. False when another call came first: go on with that one."""
        desk, now = self._desk, self._desk.now()
        number = call.record.placement.attempts + 1
        how: dict[str, Any] = {"sent_at": now, "not_after": now + timedelta(seconds=seconds), "owner": desk.owner}
        facts = {"attempt": number, "not_after": how["not_after"]}
        changes = {"attempts": number}
        if call.is_new:
            about = step(call.record, Happened.SENDING, at=now, facts=facts, placement=changes, **how)
            stored = await self._create(call.record, about)
            mine = stored.id == call.record.id
            if not mine:
                self._same(stored, call.record)
        else:
            before = call.record.placement.attempts
            stored = await desk.note(
                call.record,
                Happened.SENDING,
                facts=facts,
                when=[PlacementState.PREPARED],
                alone=self._alone,
                placement=changes,
                **how,
            )
            mine = stored.state is PlacementState.SENDING and stored.owner == desk.owner
            mine = mine and stored.placement.attempts == before + 1 and stored.sent_at == now
        call.is_new = False
        call.record = stored
        return mine

    async def _failed(self, call: _Call, error: Exception) -> Exception:
        """Write down what an error means for the placement; the error to raise."""
        desk, facts = self._desk, {"error": type(error).__name__, "why": str(error)[:500]}
        for name in ("code", "http_status"):
            facts[name] = str(getattr(error, name, None) or "")
        if isinstance(error, NOTHING_LEFT):
            call.record = await desk.outcome(call.record, Happened.NOTHING_LEFT, facts=facts)
            if isinstance(error, (OrderDenied, NotSupported)):
                call.record = await desk.outcome(call.record, Happened.DENIED, facts=facts, reason=str(error))
            return error
        if isinstance(error, OrderRejected):
            call.record = await desk.outcome(call.record, Happened.REFUSED, facts=facts, reason=str(error))
            return error
        exists = isinstance(error, DuplicateClientOrderId)
        happened = Happened.EXISTS if exists else Happened.UNCLEAR
        # This attempt is over, so from now on nothing of it leaves; its deadline need not be waited for.
        changes: dict[str, Any] = {"exists": exists, "not_after": desk.now()}
        call.record = await desk.outcome(call.record, happened, facts=facts, **changes)
        return self._unknown(call.record, f"sent, and its outcome is not known: {error}")

    def _unknown(self, record: Record, message: str) -> OutcomeUnknown:
        self._unsettled(record)
        placement = record.placement
        return OutcomeUnknown(
            message,
            client_order_id=placement.client_order_id,
            placement=placement,
            gateway=self._gateway.name,
            operation="place",
        )
