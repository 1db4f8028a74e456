"""One attempt to send an order: written down before the first byte, sent once, and what came of it written down."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    NotSupported,
    OrderDenied,
    OrderRejected,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.gateway import OrderGateway
from orderbridge.model.basics import Idempotency, PlacementState
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import AlarmKind
from orderbridge.model.request import OrderRequest
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.owner import kernel
from orderbridge.placement.sightings import Sightings
from orderbridge.placement.states import Happened, Record, Step, step
from orderbridge.screening import as_asked

TRIES: Final = 3
# A gateway that does not keep its time limit is cut off so much later.
_OVERTIME: Final = 5.0
_TOO_LATE: Final = {"why": "the deadline for sending had passed"}
# An attempt that got its permit at the last moment still has so long to leave.
_LEAST_TO_LEAVE: Final = 1.0
# What proves that nothing was admitted; whatever is not listed in one of the two is not known.
NOTHING_LEFT: Final = (NotSent, AuthenticationFailed, PermissionDenied, ConfigurationError, OrderDenied, NotSupported)


def keeps_apart(gateway: OrderGateway) -> bool:
    """Whether equal orders are kept apart at a gateway, as its ids do not keep a second one away."""
    return gateway.capabilities.idempotency in {Idempotency.TAG_ONLY, Idempotency.NONE}


@dataclass(eq=False)
class Call:
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

    @property
    def left(self) -> float:
        """Seconds that are left to wait for a permit."""
        return max(0.0, self.send_by - asyncio.get_running_loop().time())


class Attempts:
    """
    Makes attempts at one gateway.

    Args:
        create: stores a record that is not stored yet, with its first event, or gives the one that holds its key.
        unsettled: told of each placement whose outcome is not known.
    """

    def __init__(
        self,
        desk: Desk,
        sightings: Sightings,
        gateway: OrderGateway,
        *,
        create: Callable[[Record, Step], Awaitable[Record]],
        unsettled: Callable[[Record], object],
    ) -> None:
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway
        self._create = create
        self._unsettled = unsettled

    async def make(self, call: Call) -> Order | None:
        """Send it once. None when another call came first: `call.record` says how it stands."""
        loop = asyncio.get_running_loop()
        not_after = call.not_after
        if not_after is None:
            not_after = loop.time() + max(_LEAST_TO_LEAVE, call.left)
        mine = await self._begin(call, seconds=max(0.0, not_after - loop.time()))
        if not mine:
            return None
        attempt = call.record.attempt
        if call.abandoned:
            why = {"why": "the caller went away before it was sent"}
            call.record = await self._desk.outcome(call.record, Happened.NOTHING_LEFT, of=attempt, facts=why)
            raise NotSent("the caller went away before it was sent", gateway=self._gateway.name, operation="place")
        if call.record.not_after is not None and self._desk.now() > call.record.not_after:
            # By the wall clock too: a machine that slept does not count the time in its loop.
            call.record = await self._desk.outcome(call.record, Happened.NOTHING_LEFT, of=attempt, facts=_TOO_LATE)
            raise NotSent(_TOO_LATE["why"], gateway=self._gateway.name, operation="place")
        order = await self._sent(call, not_after)
        try:
            call.record = await self._acknowledged(call.record, order)
        except Exception as error:
            message = f"the reply could not be taken in: {type(error).__name__}: {error}"
            self._desk.alarm(AlarmKind.BACKGROUND, message, record=call.record, order=order)
            raise self.unknown(call.record, message) from error
        known = call.record.placement.order
        return known if known is not None and known.identity == order.identity else order

    async def _sent(self, call: Call, not_after: float) -> Order:
        """The reply to the one send. What it raises is written down."""
        limit = None if call.timeout is None else call.timeout + _OVERTIME
        try:
            async with asyncio.timeout(limit):
                order: object = await self._gateway.submit(
                    call.record.placement.request, permit=call.permit, not_after=not_after, timeout=call.timeout
                )
            if not isinstance(order, Order):
                raise TypeError(f"the gateway answered with {type(order).__name__} in place of an order")
            order = self._as_asked(order, call.record.placement.request)
        except Exception as error:
            raise await self._failed(call, error) from error
        except GeneratorExit:
            raise  # the loop is gone: the next start finds it as it was stored, being sent
        except BaseException as error:
            # Bytes may have left. Nothing that is written here may wait for the network: the program may be ending.
            why = {"why": f"{type(error).__name__} while it was sent"}
            call.record = await self._desk.outcome(call.record, Happened.UNCLEAR, of=call.record.attempt, facts=why)
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
                # Nobody cancelled this task: the gateway let a cancellation of its own out.
                raise self.unknown(call.record, "the gateway broke off while it was sent") from error
            raise
        return order

    def _as_asked(self, order: Order, request: OrderRequest) -> Order:
        """The order of the reply with what was asked for. OutcomeUnknown: the reply is about another one."""
        if (order.symbol, order.side) != (request.symbol, request.side):
            shown = f"{order.order_id}, {order.side} {order.symbol}"
            raise OutcomeUnknown(f"the answer shows another order: {shown}", order_id=order.order_id)
        order, doubts = as_asked(order, request)
        return order.noted(anomalies=doubts)

    async def _acknowledged(self, record: Record, order: Order) -> Record:
        """The record with the order of the reply, and with what a stream may have shown of it before."""
        after = await self._desk.outcome(
            record,
            Happened.ACKNOWLEDGED,
            of=record.attempt,
            facts={"order_id": order.order_id},
            evidence="reply",
            when=[state for state in PlacementState if state is not PlacementState.PLACED],
            placement={"gave_up": False},
            shown=order,
            watch_until=None,
        )
        try:
            return await self._sightings.replied(record, after, order)
        except (JournalError, ValueError) as error:  # the latter: it holds what cannot be stored
            log.error("the reply about %s could not be held against what was seen: %s", order.order_id, error)
            return after

    async def _begin(self, call: Call, *, seconds: float) -> bool:
        """Write down that it is about to be sent. False when another call came first: go on with that one."""
        desk, now = self._desk, self._desk.now()
        number, attempt = call.record.placement.attempts + 1, secrets.token_hex(8)
        how: dict[str, Any] = {"sent_at": now, "not_after": now + timedelta(seconds=seconds)}
        how |= {"owner": desk.owner, "attempt": attempt, "uptime": time.monotonic(), "kernel": kernel()}
        facts = {"attempt": number, "not_after": how["not_after"]}
        changes = {"attempts": number}
        if call.is_new:
            about = step(call.record, Happened.SENDING, at=now, facts=facts, placement=changes, **how)
            stored = await self._create(call.record, about)
        else:
            stored = await desk.note(
                call.record,
                Happened.SENDING,
                facts=facts,
                when=[PlacementState.PREPARED],
                alone=keeps_apart(self._gateway),
                placement=changes,
                **how,
            )
        call.is_new = False
        call.record = stored
        return stored.attempt == attempt

    async def _failed(self, call: Call, error: Exception) -> Exception:
        """Write down what an error means for the placement; the error to raise."""
        desk, facts = self._desk, {"error": type(error).__name__, "why": str(error)[:500]}
        for name in ("code", "http_status"):
            facts[name] = str(getattr(error, name, None) or "")
        how: dict[str, Any] = {"of": call.record.attempt, "facts": facts}
        if isinstance(error, NOTHING_LEFT):
            call.record = await desk.outcome(call.record, Happened.NOTHING_LEFT, **how)
            if isinstance(error, (OrderDenied, NotSupported)):
                # Nothing ever went out under its client id, so the caller may use it for the next one.
                unused = {} if call.record.resends else {"placement": {"client_order_id": None}}
                call.record = await desk.outcome(call.record, Happened.DENIED, reason=str(error), **unused, **how)
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
        return self.unknown(call.record, f"sent, and its outcome is not known: {error}")

    def _or_settled(self, call: Call, error: Exception) -> Exception:
        """The error, unless the placement came to stand elsewhere: an order was seen, or another process has it."""
        if not call.record.placement.may_be_live:
            return error
        return self.unknown(call.record, f"refused, while something else speaks for it: {error}")

    def unknown(self, record: Record, message: str) -> OutcomeUnknown:
        """The error to raise for an outcome that is not known; it is followed up from now on."""
        self._unsettled(record)
        placement = record.placement
        return OutcomeUnknown(
            message,
            client_order_id=placement.client_order_id,
            placement=placement,
            gateway=self._gateway.name,
            operation="place",
        )
