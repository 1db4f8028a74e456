"""
Sending an order at most once.

The intention is durable before the first byte, nothing waits once risk has begun, each attempt is one send, and what
came of it is written down whether or not anybody still waits for it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final

from orderbridge.client_ids import LENGTH
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
    RateLimited,
    Where,
    printable,
)
from orderbridge.gateway import OrderGateway, limited, within
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import PlacementState, altered
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import AlarmKind, Placement
from orderbridge.model.request import OrderRequest
from orderbridge.placement.gap import Lost
from orderbridge.placement.journal import ClientIdUsed, InFlight
from orderbridge.placement.ledger import Ledger, kernel, log
from orderbridge.placement.observations import Observations
from orderbridge.placement.states import UNSETTLED, Happened, Record, Transition, step, venue_address
from orderbridge.screening import as_asked, refuse_undeclared

_BETWEEN_TRIES: Final = 0.1
_LOOK_WITHIN: Final = 5.0
_POLL: Final = 0.05
_RESEND_WITHIN, _RESEND_TIMEOUT = 5.0, 15.0
_LONGEST_WAIT: Final = 60.0
_CLOSE_WITHIN: Final = 30.0
# Gateways keep the time limit themselves, and say more about what happened than we could.
_GRACE: Final = 0.25
_MOST_NAMED: Final = 20
TRIES: Final = 3
# A gateway that does not keep its time limit is cut off so much later.
_OVERTIME: Final = 5.0
# An attempt that got its permit at the last moment still has so long to leave.
_LEAST_TO_LEAVE: Final = 1.0
# What proves that nothing was admitted; whatever is not listed in one of the two is not known.
NOTHING_LEFT: Final = (NotSent, AuthenticationFailed, PermissionDenied, ConfigurationError, OrderDenied, NotSupported)
MintId = Callable[..., str]
# Begins the evidence of an order that a call did not send.
FOUND: Final = "place: found"


@dataclass(eq=False)
class Sending:
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
    # What the caller waits for while an attempt is made.
    ended: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let the caller look how the attempt stands."""
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)

    @property
    def left(self) -> float:
        """Seconds that are left to wait for a permit."""
        return max(0.0, self.send_by - asyncio.get_running_loop().time())


@dataclass(eq=False)
class Placer:
    """
    Places orders at one gateway.

    Args:
        unsettled: told of each placement whose outcome is not known. `lost`: looks for what the journal lost.
    """

    ledger: Ledger
    observations: Observations
    gateway: OrderGateway
    unsettled: Callable[[Record], object]
    lost: Lost
    ids: MintId
    _running: set[asyncio.Task[Order | None]] = field(default_factory=set)
    _warned: bool = False
    _closed: bool = False

    @property
    def _where(self) -> Where:
        return {"gateway": self.gateway.name, "operation": "place"}

    async def prepare(self, request: OrderRequest, *, key: str | None, refused_too: bool = False) -> Record:
        """
        Store a placement without sending it; the one that holds the key, if that asks for the same.

        Args:
            refused_too: return what is refused here, as it is stored, in place of raising.

        Raises:
            OrderDenied, NotSupported: refused here. KeyInUse: the key's placement asks for another order.
        """
        record, denial = await self._new(request, key)
        if denial is not None:
            if refused_too:
                return record
            raise denial
        lost = await self._of_a_lost_one(record, seconds=_LOOK_WITHIN)
        return lost or await self._create(record)

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
            known = await self.ledger.journal.get(what.placement_id)
            if known is None or known.placement.gateway != self.gateway.name:
                raise ConfigurationError("this placement is not in the journal", gateway=self.gateway.name)
            if not known.is_at(self.gateway):
                raise known.elsewhere()
            call = Sending(known, send_by, timeout)
        else:
            record, denial = await self._new(what, key)
            if denial is not None:
                raise denial
            call = Sending(record, send_by, timeout, is_new=True)
        if (lost := await self._of_a_lost_one(call.record, seconds=send_within)) is not None:
            call.record, call.is_new = lost, False
        if call.is_new:
            try:
                call.permit = await self._permit(0.0)
            except NotSent:
                call.record, call.is_new = await self._create(call.record), False
            else:
                return await self._drive(call)
        return await self._carry_on(call)

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, timeout: float | None
    ) -> Order:
        """One attempt, as the gateway's own `submit` makes it, written down as every other is."""
        record, denial = await self._new(request, None)
        if denial is not None:
            raise denial
        send_by = not_after
        if send_by is None:
            send_by = asyncio.get_running_loop().time() + (_LONGEST_WAIT if timeout is None else timeout)
        call = Sending(record, send_by, timeout, is_new=True, permit=permit, not_after=not_after, tries=1)
        try:
            return await self._drive(call)
        except OutcomeUnknown as error:
            if isinstance(error.__cause__, DuplicateClientOrderId):
                raise error.__cause__ from None  # as a gateway says it; the placement is followed up all the same
            raise

    async def send_again(self, placement: Placement) -> None:
        """Send a placement that is prepared, in the background; what comes of it is in the journal."""
        try:
            await self.place(placement, key=None, send_within=_RESEND_WITHIN, timeout=_RESEND_TIMEOUT)
        except OrderBridgeError as error:
            extra = log_facts(self.gateway.name, "place", client_order_id=placement.client_order_id)
            log.warning("what was prepared before was sent, which ended in: %s", error, extra=extra)

    async def finish(self) -> None:
        """Begin no more attempts, and wait for those that are under way; one that does not end is cut off."""
        self._closed = True
        await self.lost.aclose()
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=_CLOSE_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _new(self, request: OrderRequest, key: str | None) -> tuple[Record, Exception | None]:
        """A record that is not stored yet; or, with why, one that was refused here, which is stored."""
        rule = self.gateway.capabilities.client_order_id
        client_order_id = request.client_order_id
        if client_order_id is None and rule is not None:
            try:
                client_order_id = self.ids(self.ledger.clock(), max_length=min(LENGTH, rule.max_length))
            except ValueError as error:
                name = self.gateway.name
                raise ConfigurationError(f"no id can be made for {name} ({error}): give one", gateway=name) from error
        address, mode = venue_address(self.gateway)
        now, owner, name = self.ledger.now(), self.ledger.owner, self.gateway.name
        # Nothing else changes, and the id is checked by the gateway's own rule: the rest is not validated again. What
        # the caller changes in its options later is of another order.
        options = deepcopy(dict(request.options)) if request.options else {}
        asked = altered(request, {"client_order_id": client_order_id, "options": options})
        denial: Exception | None = None
        try:
            refuse_undeclared(asked, self.gateway.capabilities, gateway=name)
        except (OrderDenied, NotSupported) as error:
            denial = error
        placement = Placement.of_checked(
            # By time, so that a journal writes those of one time side by side.
            placement_id=f"{int(now.timestamp() * 1000):012x}{os.urandom(6).hex()}",
            gateway=name,
            key=key,
            request=asked,
            # Nothing goes out under the id of what is denied, so the caller may use it for the next one.
            client_order_id=None if denial else client_order_id,
            created_at=now,
        )
        record = Record.of_checked(placement=placement, mode=mode, address=address, owner=owner)
        if denial is not None:
            record = await self._create(record, step(record, Happened.DENIED, at=now, reason=str(denial)))
        return record, denial

    async def _of_a_lost_one(self, record: Record, *, seconds: float) -> Record | None:
        """The placement of a key under which a lost one may have made an order: a person decides, nothing is sent."""
        gap = await self.ledger.journal.gap(self.gateway.name, record.placement.request.symbol)
        suspects = None if gap is None else await self.lost.suspects(record, gap, seconds=seconds)
        if suspects is None:
            return None
        now, names, request = self.ledger.now(), suspects.names, record.placement.request
        shown = ", ".join(
            name or f"a {request.type} that waits for its trigger, which may not be shown"
            for name in names[:_MOST_NAMED]
        )
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        why = (
            f"the journal lost what was placed then, and this may be it: {printable(shown)}{more}; look at the venue, "
            "and `orderbridge journal settle` it as placed with --order-id, or as not-placed, and place it again; as "
            "not-placed with --order-id, no other key is asked about that order either"
        )
        if suspects.waits:
            why += "; as not-placed it says too that no such order waits there that the journal does not know"
        mine = os.urandom(8).hex()  # of several callers that come to ask the same, one is the first
        how: dict[str, Any] = {
            "attempt": mine,
            "facts": {"why": "if the lost one was"},
            "sent_at": now,
            "lost": names,
        }
        if suspects.held is None:
            # At once: a process that is killed between leaves no question that nobody was told of.
            sending = step(record, Happened.SENDING, at=now, **how)
            unclear = step(sending.record, Happened.UNCLEAR, at=now, facts={"why": why}, not_after=now)
            conflict = step(unclear.record, Happened.CONFLICT, at=now, facts={"why": why}, conflicts=(why,))
            stored = await self._create(record, sending, unclear, conflict)
        else:
            stored = self._same(suspects.held, record)
        if stored.state is PlacementState.PREPARED:
            only = [PlacementState.PREPARED]
            stored = await self.ledger.note(stored, Happened.SENDING, when=only, conflicts=(why,), **how)
            if stored.attempt == mine:
                stored = await self.ledger.note(stored, Happened.UNCLEAR, facts={"why": why}, not_after=now)
        if stored.attempt == mine:
            self.ledger.alarm(AlarmKind.CONFLICT, why, record=stored, order=next(iter(suspects.orders), None))
        return stored

    async def _create(self, record: Record, *then: Transition, alone: bool = False) -> Record:
        """Store a record and what happened to it; the one that holds its key, if that asks for the same."""
        if not self._warned and not self.ledger.journal.durable:
            extra = log_facts(self.gateway.name, "place")
            log.warning("placing without a journal: what is under way is forgotten when this process ends", extra=extra)
        self._warned = True
        try:
            stored = await self.ledger.journal.create(record, *then, alone=alone)
        except ClientIdUsed as error:
            stored = await self._of_same_id(record, error)
        self.observations.expect(stored)
        return self._same(stored, record)

    async def _of_same_id(self, record: Record, error: ClientIdUsed) -> Record:
        """The placement that has this client id already, if it is the same request and was not sent."""
        client_order_id, gateway = record.placement.client_order_id, self.gateway.name
        why = str(error)
        for other in await self.ledger.journal.find(gateway=gateway, client_order_id=client_order_id):
            same = other.fingerprint == record.fingerprint and record.placement.key in (None, other.placement.key)
            if same and other.state is PlacementState.PREPARED:
                return other
            why = f"{error}, by a placement that is {other.state}; use another id, or a key"
        raise OrderDenied(why, rule="client_order_id", **self._where) from error

    def _same(self, held: Record, wanted: Record) -> Record:
        if held.id == wanted.id or held.fingerprint == wanted.fingerprint:
            return held
        raise KeyInUse(
            f"the key {held.placement.key!r} is held by another request", placement=held.placement, **self._where
        )

    async def _permit(self, seconds: float) -> Permit:
        try:
            return await within(self.gateway.permit("place", timeout=seconds), seconds)
        except TimeoutError as error:
            why = f"nothing was sent: the right to send did not come, {error}"
            raise NotSent(why, **self._where) from error

    async def _carry_on(self, call: Sending) -> Order:
        """Go on with a placement that is stored, wherever it stands."""
        record = call.record = await self.ledger.up_to_date(call.record)
        if record.state is PlacementState.SENDING:
            record = await self._wait_while_sending(call)
        placement = self.ledger.placement(record)
        if record.state is PlacementState.PREPARED:
            if record.conflicts:
                why = f"it is not sent: {'; '.join(record.conflicts)}"
                raise OrderDenied(why, rule="placement", **self._where)
            call.record = record
            if not call.left:
                raise NotSent("nothing was sent in time", **self._where)
            return await self._drive(call)
        if record.state is PlacementState.PLACED and placement.order is not None:
            found = f"{FOUND}: sent before, in attempt {placement.attempts}, and not sent again"
            return placement.order.noted(found)
        if placement.may_be_live:
            sent = "an earlier call sent it, and its outcome is not known"
            raise self._unknown(record, "; ".join(record.conflicts) if record.lost else sent)
        message = f"this placement is {record.state}: {record.reason or 'it is over'}; place a new one"
        raise OrderDenied(message, rule="placement", **self._where)

    async def _wait_while_sending(self, call: Sending) -> Record:
        deadline, record = Deadline(call.timeout), call.record
        while record.state is PlacementState.SENDING and deadline.remaining():
            await asyncio.sleep(_POLL)
            record = await self.ledger.journal.get(record.id) or record
        return record

    async def _drive(self, call: Sending) -> Order:
        """Make an attempt, and another where nothing left, in tasks that outlive a cancelled caller."""
        tries = 0
        while True:
            try:
                self._check_open()
                if call.permit is None:
                    call.permit = await self._permit(call.left)
                    self._check_open(call.permit)
                order = await self._attended(call)
                return order if order is not None else await self._carry_on(call)
            except InFlight as first:
                await self._wait_for_twin(call, first)
            except NotSent:
                tries += 1
                may_go_on = not call.is_new and call.record.state is PlacementState.PREPARED
                if tries >= call.tries or not call.left or not may_go_on:
                    raise
                await asyncio.sleep(min(_BETWEEN_TRIES * tries, call.left))

    def _check_open(self, permit: Permit | None = None) -> None:
        if self._closed:
            if permit is not None:
                permit.give_back()
            raise NotSent("the bridge was closed before it was sent", **self._where)

    async def _wait_for_twin(self, call: Sending, twin: InFlight) -> None:
        first = twin.record.placement
        if not call.left:
            name = first.client_order_id or first.placement_id
            raise NotSent(f"an equal order is under way, and its outcome is not known: {name}", **self._where) from twin
        await asyncio.sleep(min(_POLL, call.left))

    async def _attended(self, call: Sending) -> Order | None:
        loop = asyncio.get_running_loop()
        placement_id = call.record.placement.placement_id  # the call may come to go on with the one that holds its key
        self.ledger.under_way[placement_id] += 1
        task, call.ended = loop.create_task(self._attempt(call)), loop.create_future()
        self._running.add(task)
        task.add_done_callback(partial(self._ended, call, placement_id))
        limit = None if call.timeout is None else loop.call_later(call.timeout + _GRACE, call.wake)
        try:
            await call.ended  # and not the task, which a caller that is cancelled would take along
        except asyncio.CancelledError:
            call.abandoned = True
            raise
        finally:
            if limit is not None:
                limit.cancel()
        if not task.done():
            call.abandoned = True
            if call.record.state is not PlacementState.SENDING:  # the intention is not stored yet, so it is not sent
                why = f"the journal took more than {call.timeout} s; nothing was sent, and nothing will be"
                raise NotSent(why, **self._where)
            raise self._unknown(call.record, f"no answer within {call.timeout} s; it is followed up")
        if task.cancelled():  # cut off by `finish`; the caller itself was not cancelled
            if call.record.state is PlacementState.PREPARED:
                self._check_open()
            raise self._unknown(call.record, "it was cut off when the bridge was closed")
        return task.result()

    def _ended(self, call: Sending, placement_id: str, task: asyncio.Task[Order | None]) -> None:
        call.wake()
        self._running.discard(task)
        self.ledger.is_over(placement_id)
        if call.permit is not None:
            call.permit.give_back()
            call.permit = None
        if task.cancelled() or not isinstance(task.exception(), (InFlight, type(None))):
            # Whatever it ended in, and whoever still listens: what it may have stored is looked at, and followed up.
            self.unsettled(call.record)

    async def _attempt(self, call: Sending) -> Order | None:
        """Send it once. None when another call came first: `call.record` says how it stands."""
        now = asyncio.get_running_loop().time()
        not_after = max(now + _LEAST_TO_LEAVE, call.send_by) if call.not_after is None else call.not_after
        mine = await self._begin(call, seconds=max(0.0, not_after - now))
        if not mine:
            return None
        attempt = call.record.attempt
        why = "the caller went away before it was sent" if call.abandoned else None
        if why is None and call.record.not_after is not None and self.ledger.now() > call.record.not_after:
            # By the wall clock too: a machine that slept does not count the time in its loop.
            why = "the deadline for sending had passed"
        if why is not None:
            facts = {"why": why}
            call.record = await self.ledger.outcome(call.record, Happened.NOTHING_LEFT, of=attempt, facts=facts)
            raise NotSent(why, **self._where)
        order = await self._sent(call, not_after)
        try:
            call.record = await self._acknowledged(call.record, order)
        except Exception as error:
            message = f"the reply could not be taken in: {type(error).__name__}: {error}"
            self.ledger.alarm(AlarmKind.BACKGROUND, message, record=call.record, order=order)
            raise self._unknown(call.record, message) from error
        known = call.record.placement.order
        return known if known is not None and known.identity == order.identity else order

    async def _sent(self, call: Sending, not_after: float) -> Order:
        """The reply to the one send. What it raises is written down."""
        limit = None if call.timeout is None else call.timeout + _OVERTIME
        try:
            request = call.record.placement.request
            sent = self.gateway.submit(request, permit=call.permit, not_after=not_after, timeout=call.timeout)
            order: object = await limited(sent, limit)
            if not isinstance(order, Order):
                raise TypeError(f"the gateway answered with {type(order).__name__} in place of an order")
            order = self._as_asked(order, request)
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises is written down, and raised as what it means
            told, behind = await self._failed(call, error), error.__cause__
            # A gateway's own error is raised as it is; and what was throttled says so to whoever asks for the cause.
            raise told from behind if told is error or isinstance(behind, RateLimited) else error
        except GeneratorExit:
            raise  # the loop is gone: the next start finds it as it was stored, being sent
        except BaseException as error:
            # Bytes may have left. Nothing that is written here may wait for the network: the program may be ending.
            why = {"why": f"{type(error).__name__} while it was sent"}
            call.record = await self.ledger.outcome(call.record, Happened.UNCLEAR, of=call.record.attempt, facts=why)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
                # Nobody cancelled this task: the gateway let a cancellation of its own out.
                raise self._unknown(call.record, "the gateway broke off while it was sent") from error
            raise
        return order

    def _as_asked(self, order: Order, request: OrderRequest) -> Order:
        """The order of the reply with what was asked for. OutcomeUnknown: the reply is about another one."""
        if (order.symbol, order.side) != (request.symbol, request.side):
            shown = f"{order.order_id}, {order.side} {order.symbol}"
            raise OutcomeUnknown(f"the answer shows another order: {shown}", order_id=order.order_id)
        order, doubts = as_asked(order, request)
        return order.noted(anomalies=doubts) if doubts else order

    async def _acknowledged(self, record: Record, order: Order) -> Record:
        """The record with the order of the reply, and with what a stream may have shown of it before."""
        after = await self.ledger.outcome(
            record,
            Happened.ACKNOWLEDGED,
            of=record.attempt,
            facts={"order_id": order.order_id},
            evidence="reply",
            when=UNSETTLED,
            placement={"gave_up": False},
            shown=order,
            watch_until=None,
        )
        try:
            return await self.observations.replied(record, after, order)
        except (JournalError, ValueError) as error:  # the latter: it holds what cannot be stored
            log.error("the reply about %s could not be held against what was seen: %s", order.order_id, error)
            return after

    async def _begin(self, call: Sending, *, seconds: float) -> bool:
        """Write down that it is about to be sent. False when another call came first: go on with that one."""
        record, now, attempt = call.record, self.ledger.now(), os.urandom(8).hex()
        number, until = record.placement.attempts + 1, now + timedelta(seconds=seconds)
        alone = not self.gateway.capabilities.ids_are_unique
        how: dict[str, Any] = {
            "attempt": attempt,
            "owner": self.ledger.owner,
            "sent_at": now,
            "not_after": until,
            "uptime": time.monotonic(),
            "kernel": kernel(),
            "placement": {"attempts": number},
            "facts": {"attempt": number, "not_after": until},
        }
        if call.is_new:
            call.record = await self._create(record, step(record, Happened.SENDING, at=now, **how), alone=alone)
        else:
            only = [PlacementState.PREPARED]
            call.record = await self.ledger.note(record, Happened.SENDING, when=only, alone=alone, **how)
        call.is_new = False
        return call.record.attempt == attempt

    async def _failed(self, call: Sending, error: Exception) -> Exception:
        """Write down what an error means for the placement; the error to raise."""
        ledger, facts = self.ledger, {"error": type(error).__name__, "why": str(error)[:500]}
        for name in ("code", "http_status"):
            facts[name] = str(getattr(error, name, None) or "")
        how: dict[str, Any] = {"of": call.record.attempt, "facts": facts}
        if isinstance(error, NOTHING_LEFT):
            call.record = await ledger.outcome(call.record, Happened.NOTHING_LEFT, **how)
            if isinstance(error, (OrderDenied, NotSupported)):
                # Nothing ever went out under its client id, so the caller may use it for the next one.
                unused = {} if call.record.resends else {"placement": {"client_order_id": None}}
                call.record = await ledger.outcome(call.record, Happened.DENIED, reason=str(error), **unused, **how)
            return self._or_settled(call, error)
        if isinstance(error, OrderRejected):
            call.record = await ledger.outcome(call.record, Happened.REFUSED, reason=str(error), **how)
            return self._or_settled(call, error)
        exists = isinstance(error, DuplicateClientOrderId)
        happened = Happened.EXISTS if exists else Happened.UNCLEAR
        # This attempt is over, so from now on nothing of it leaves; its deadline need not be waited for.
        call.record = await ledger.outcome(
            call.record, happened, exists=exists or call.record.exists, not_after=ledger.now(), **how
        )
        return self._unknown(call.record, f"sent, and its outcome is not known: {error}")

    def _or_settled(self, call: Sending, error: Exception) -> Exception:
        """The error, unless the placement came to stand elsewhere: an order was seen, or another process has it."""
        if not call.record.placement.may_be_live:
            return error
        return self._unknown(call.record, f"refused, while something else speaks for it: {error}")

    def _unknown(self, record: Record, message: str) -> OutcomeUnknown:
        """The error to raise for an outcome that is not known; it is followed up from now on."""
        self.unsettled(record)
        placement = record.placement
        return OutcomeUnknown(message, client_order_id=placement.client_order_id, placement=placement, **self._where)
