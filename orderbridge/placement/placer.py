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
    OrderBridgeError,
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
from orderbridge.placement.sightings import Sightings
from orderbridge.placement.states import Happened, Record, Step, step
from orderbridge.screening import refuse_undeclared

TRIES: Final = 3
_BETWEEN_TRIES: Final = 0.1
# An attempt that got its permit at the last moment still has so long to leave.
_LEAST_TO_LEAVE: Final = 1.0
_POLL: Final = 0.05
_RESEND_WITHIN, _RESEND_TIMEOUT = 5.0, 15.0
_LONGEST_WAIT: Final = 60.0
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
    # Loop time after which no byte leaves; by default as long as there is to wait for a permit.
    not_after: float | None = None
    tries: int = TRIES


class Placer:
    """
    Places orders at one gateway.

    Args:
        unsettled: told of each placement whose outcome is not known.
    """

    def __init__(
        self,
        desk: Desk,
        sightings: Sightings,
        gateway: OrderGateway,
        *,
        unsettled: Callable[[Record], object],
        ids: MintId = mint,
    ) -> None:
        self._desk = desk
        self._sightings = sightings
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
        record, denial = await self._new(request, key)
        if denial is not None:
            raise denial
        return self._same(await self._create(record), record)

    async def prepare_anyhow(self, request: OrderRequest, *, key: str) -> Record:
        """`prepare`, where what is refused here, or held by another request, is a record too."""
        record, denial = await self._new(request, key)
        return record if denial is not None else self._same(await self._create(record), record)

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
        record, denial = await self._new(what, key)
        if denial is not None:
            raise denial
        call = _Call(record, send_by, timeout, is_new=True)
        call.permit = await self._permit_at_once()
        if call.permit is None:
            call.record = self._same(await self._create(record), record)
            call.is_new = False
            return await self._carry_on(call)
        return await self._drive(call)

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, timeout: float | None
    ) -> Order:
        """One attempt, as the gateway's own `submit` makes it, written down as every other is."""
        record, denial = await self._new(request, None)
        if denial is not None:
            raise denial
        now = asyncio.get_running_loop().time()
        wait = Deadline(timeout).remaining() if timeout is not None else _LONGEST_WAIT
        send_by = now + wait if not_after is None else not_after
        call = _Call(record, send_by, timeout, is_new=True, permit=permit, not_after=not_after, tries=1)
        return await self._drive(call)

    async def send_again(self, placement: Placement) -> None:
        """Send a placement that is prepared again, in the background; what comes of it is in the journal."""
        try:
            await self.place(placement, key=None, send_within=_RESEND_WITHIN, timeout=_RESEND_TIMEOUT)
        except OrderBridgeError as error:
            extra = log_facts(self._gateway.name, "place", client_order_id=placement.client_order_id)
            log.warning("the order was sent again, which ended in: %s", error, extra=extra)

    async def finish(self) -> None:
        """Wait for the attempts that are under way."""
        if self._running:
            await asyncio.wait(list(self._running))

    async def _new(self, request: OrderRequest, key: str | None) -> tuple[Record, Exception | None]:
        """A record that is not stored yet; or, with why, one that was refused here, which is stored."""
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
            # Nothing goes out under its client id, so the caller may use it for the next one.
            nameless = placement.model_copy(update={"client_order_id": None})
            record = record.model_copy(update={"placement": nameless})
            denied = step(record, Happened.DENIED, at=self._desk.now(), reason=str(error))
            return self._same(await self._create(record, denied), record), error
        return record, None

    async def _create(self, record: Record, *then: Step) -> Record:
        self._warn_once()
        try:
            stored = await self._desk.journal.create(record, *then, alone=self._alone)
        except ValueError as error:
            raise OrderDenied(
                str(error), rule="client_order_id", gateway=self._gateway.name, operation="place"
            ) from error
        self._sightings.expect(stored)
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
            if record.conflicts:
                why = f"it is not sent: {'; '.join(record.conflicts)}"
                raise OrderDenied(why, rule="placement", gateway=self._gateway.name, operation="place")
            call.record = record
            if not self._left(call):
                raise NotSent("nothing was sent in time", gateway=self._gateway.name, operation="place")
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
                may_go_on = not call.is_new and call.record.state is PlacementState.PREPARED
                if tries >= call.tries or not self._left(call) or not may_go_on:
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
        placement_id = call.record.id  # the call may come to go on with the one that holds its key
        self._desk.under_way[placement_id] += 1
        task = asyncio.ensure_future(self._attempt(call))
        self._running.add(task)
        task.add_done_callback(lambda done: self._desk.is_over(placement_id))
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
        died = None if task.cancelled() else task.exception()  # looked at, as the caller may be gone
        if task.cancelled() or isinstance(died, JournalError) or not isinstance(died, (Exception, type(None))):
            # It ended without a word: what it may have stored is looked at, and followed up.
            self._unsettled(call.record)

    async def _attempt(self, call: _Call) -> Order:
        loop = asyncio.get_running_loop()
        not_after = call.not_after
        if not_after is None:
            not_after = loop.time() + max(_LEAST_TO_LEAVE, self._left(call))
        mine = await self._begin(call, seconds=max(0.0, not_after - loop.time()))
        if not mine:
            return await self._carry_on(call)
        attempt = call.record.attempt
        if call.abandoned:
            why = {"why": "the caller went away before it was sent"}
            call.record = await self._desk.outcome(call.record, Happened.NOTHING_LEFT, of=attempt, facts=why)
            raise NotSent("the caller went away before it was sent", gateway=self._gateway.name, operation="place")
        try:
            order = await self._gateway.submit(
                call.record.placement.request, permit=call.permit, not_after=not_after, timeout=call.timeout
            )
        except Exception as error:
            raise await self._failed(call, error) from error
        except GeneratorExit:
            raise  # the loop is gone: the next start finds it as it was stored, being sent
        except BaseException as error:
            # The program is ending, and bytes may have left. Nothing that is written here may wait for the network.
            why = {"why": f"{type(error).__name__} while it was sent"}
            call.record = await self._desk.outcome(call.record, Happened.UNCLEAR, of=attempt, facts=why)
            raise
        # Both in one commit.
        call.record, order = await asyncio.gather(self._acknowledged(call.record, order), self._kept(order))
        return order

    async def _acknowledged(self, record: Record, order: Order) -> Record:
        after = await self._desk.outcome(
            record,
            Happened.ACKNOWLEDGED,
            of=record.attempt,
            facts={"order_id": order.order_id},
            evidence="reply",
            when=[state for state in PlacementState if state is not PlacementState.PLACED],
            placement={"order": order, "gave_up": False},
            watch_until=None,
        )
        try:
            return await self._sightings.replied(record, after, order)
        except JournalError as error:
            log.error("the reply about %s could not be held against what was seen: %s", order.order_id, error)
            return after

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
        number, attempt = call.record.placement.attempts + 1, secrets.token_hex(8)
        how: dict[str, Any] = {"sent_at": now, "not_after": now + timedelta(seconds=seconds)}
        how |= {"owner": desk.owner, "attempt": attempt, "watch_until": None}
        facts = {"attempt": number, "not_after": how["not_after"]}
        changes = {"attempts": number}
        if call.is_new:
            about = step(call.record, Happened.SENDING, at=now, facts=facts, placement=changes, **how)
            stored = await self._create(call.record, about)
            self._same(stored, call.record)
        else:
            stored = await desk.note(
                call.record,
                Happened.SENDING,
                facts=facts,
                when=[PlacementState.PREPARED],
                alone=self._alone,
                placement=changes,
                **how,
            )
        call.is_new = False
        call.record = stored
        return stored.attempt == attempt

    async def _failed(self, call: _Call, error: Exception) -> Exception:
        """Write down what an error means for the placement; the error to raise."""
        desk, facts = self._desk, {"error": type(error).__name__, "why": str(error)[:500]}
        for name in ("code", "http_status"):
            facts[name] = str(getattr(error, name, None) or "")
        how: dict[str, Any] = {"of": call.record.attempt, "facts": facts}
        if isinstance(error, NOTHING_LEFT):
            call.record = await desk.outcome(call.record, Happened.NOTHING_LEFT, **how)
            if isinstance(error, (OrderDenied, NotSupported)):
                call.record = await desk.outcome(call.record, Happened.DENIED, reason=str(error), **how)
            return self._or_settled(call, error)
        if isinstance(error, OrderRejected):
            call.record = await desk.outcome(call.record, Happened.REFUSED, reason=str(error), **how)
            return self._or_settled(call, error)
        exists = isinstance(error, DuplicateClientOrderId)
        happened = Happened.EXISTS if exists else Happened.UNCLEAR
        # This attempt is over, so from now on nothing of it leaves; its deadline need not be waited for.
        call.record = await desk.outcome(
            call.record, happened, exists=exists or call.record.exists, not_after=desk.now(), **how
        )
        return self._unknown(call.record, f"sent, and its outcome is not known: {error}")

    def _or_settled(self, call: _Call, error: Exception) -> Exception:
        """The error, unless the placement came to stand elsewhere: an order was seen, or another process has it."""
        if not call.record.placement.may_be_live:
            return error
        return self._unknown(call.record, f"refused, while something else speaks for it: {error}")

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
