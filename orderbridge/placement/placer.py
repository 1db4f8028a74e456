"""
Sending an order at most once.

The intention is durable before the first byte, nothing waits once risk has begun, each attempt is one send, and what
came of it is written down whether or not anybody still waits for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Final

from orderbridge.client_ids import LENGTH, mint
from orderbridge.errors import (
    ConfigurationError,
    DuplicateClientOrderId,
    KeyInUse,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OutcomeUnknown,
    printable,
)
from orderbridge.gateway import OrderGateway
from orderbridge.http.policy import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import PlacementState
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import AlarmKind, Placement
from orderbridge.model.request import OrderRequest
from orderbridge.placement.attempt import Attempts, Call, keeps_apart
from orderbridge.placement.desk import Desk, log
from orderbridge.placement.fingerprint import fingerprint
from orderbridge.placement.gap import Lost
from orderbridge.placement.journal import ClientIdUsed, InFlight
from orderbridge.placement.limited import within
from orderbridge.placement.scope import address_of, elsewhere, is_at, mode_of
from orderbridge.placement.sightings import Sightings
from orderbridge.placement.states import Happened, Record, Step, step
from orderbridge.screening import refuse_undeclared

_BETWEEN_TRIES: Final = 0.1
_LOOK_WITHIN: Final = 5.0
_POLL: Final = 0.05
_RESEND_WITHIN, _RESEND_TIMEOUT = 5.0, 15.0
_LONGEST_WAIT: Final = 60.0
_CLOSE_WITHIN: Final = 30.0
# Gateways keep the time limit themselves, and say more about what happened than we could.
_GRACE: Final = 0.25
_MOST_NAMED: Final = 20
MintId = Callable[..., str]
# Begins the evidence of an order that a call did not send.
FOUND: Final = "place: found"


class Placer:
    """
    Places orders at one gateway.

    Args:
        unsettled: told of each placement whose outcome is not known. `lost`: looks for what the journal lost.
    """

    def __init__(
        self,
        desk: Desk,
        sightings: Sightings,
        gateway: OrderGateway,
        *,
        unsettled: Callable[[Record], object],
        lost: Lost,
        ids: MintId = mint,
    ) -> None:
        self._lost = lost
        self._desk = desk
        self._sightings = sightings
        self._gateway = gateway
        self._unsettled = unsettled
        self._attempts = Attempts(desk, sightings, gateway, create=self._begun, unsettled=unsettled)
        self._ids = ids
        self._running: set[asyncio.Task[Order | None]] = set()
        self._warned = False
        self._closed = False

    async def prepare(self, request: OrderRequest, *, key: str | None) -> Record:
        """
        Store a placement without sending it; the one that holds the key, if that asks for the same.

        Raises:
            OrderDenied, NotSupported: refused here. KeyInUse: the key's placement asks for another order.
        """
        record, denial = await self._new(request, key)
        if denial is not None:
            raise denial
        return await self._prepared(record)

    async def prepare_anyhow(self, request: OrderRequest, *, key: str) -> Record:
        """`prepare`, where what is refused here, or held by another request, is a record too."""
        record, denial = await self._new(request, key)
        return record if denial is not None else await self._prepared(record)

    async def _prepared(self, record: Record) -> Record:
        lost = await self._of_a_lost_one(record, seconds=_LOOK_WITHIN)
        return lost or self._same(await self._create(record), record)

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
            if not is_at(known, self._gateway):
                raise elsewhere(known)
            lost = await self._of_a_lost_one(known, seconds=send_within)
            return await self._carry_on(Call(lost or known, send_by, timeout))
        record, denial = await self._new(what, key)
        if denial is not None:
            raise denial
        if (lost := await self._of_a_lost_one(record, seconds=send_within)) is not None:
            return await self._carry_on(Call(lost, send_by, timeout))
        call = Call(record, send_by, timeout, is_new=True)
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
        call = Call(record, send_by, timeout, is_new=True, permit=permit, not_after=not_after, tries=1)
        try:
            return await self._drive(call)
        except OutcomeUnknown as error:
            if isinstance(error.__cause__, DuplicateClientOrderId):
                raise error.__cause__ from None  # as a gateway says it; the placement is followed up all the same
            raise

    async def send_again(self, placement: Placement) -> None:
        """Send a placement that is prepared again, in the background; what comes of it is in the journal."""
        try:
            await self.place(placement, key=None, send_within=_RESEND_WITHIN, timeout=_RESEND_TIMEOUT)
        except OrderBridgeError as error:
            extra = log_facts(self._gateway.name, "place", client_order_id=placement.client_order_id)
            log.warning("the order was sent again, which ended in: %s", error, extra=extra)

    async def finish(self) -> None:
        """Begin no more attempts, and wait for those that are under way; one that does not end is cut off."""
        self._closed = True
        await self._lost.aclose()
        if self._running:
            _, late = await asyncio.wait(list(self._running), timeout=_CLOSE_WITHIN)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _new(self, request: OrderRequest, key: str | None) -> tuple[Record, Exception | None]:
        """A record that is not stored yet; or, with why, one that was refused here, which is stored."""
        rule = self._gateway.capabilities.client_order_id
        client_order_id = request.client_order_id
        if client_order_id is None and rule is not None:
            try:
                client_order_id = self._ids(self._desk.clock(), max_length=min(LENGTH, rule.max_length))
            except ValueError as error:
                name = self._gateway.name
                raise ConfigurationError(f"no id can be made for {name} ({error}): give one", gateway=name) from error
        mode = mode_of(self._gateway)
        placement = Placement(
            placement_id=secrets.token_hex(12),
            gateway=self._gateway.name,
            key=key,
            request=request.model_copy(update={"client_order_id": client_order_id}),
            client_order_id=client_order_id,
            created_at=self._desk.now(),
        )
        address = address_of(self._gateway)
        print_ = fingerprint(request, gateway=self._gateway.name, mode=mode, address=address)
        record = Record(placement=placement, fingerprint=print_, mode=mode, address=address, owner=self._desk.owner)
        try:
            refuse_undeclared(placement.request, self._gateway.capabilities, gateway=self._gateway.name)
        except (OrderDenied, NotSupported) as error:
            # Nothing goes out under its client id, so the caller may use it for the next one.
            nameless = placement.model_copy(update={"client_order_id": None})
            record = record.model_copy(update={"placement": nameless})
            denied = step(record, Happened.DENIED, at=self._desk.now(), reason=str(error))
            return self._same(await self._create(record, denied), record), error
        return record, None

    async def _of_a_lost_one(self, record: Record, *, seconds: float) -> Record | None:
        """The placement of a key under which a lost one may have made an order: a person decides, nothing is sent."""
        suspects = await self._lost.suspects(record, seconds=seconds)
        if suspects is None:
            return None
        now, names, request = self._desk.now(), suspects.names, record.placement.request
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
        facts: dict[str, object] = {"why": "if the lost one was"}
        if suspects.held is None:
            sending = step(record, Happened.SENDING, at=now, facts=facts, sent_at=now, lost=names)
            unclear = step(sending.record, Happened.UNCLEAR, at=now, facts={"why": why}, not_after=now)
            conflict = step(unclear.record, Happened.CONFLICT, at=now, facts={"why": why}, conflicts=(why,))
            stored = self._same(await self._desk.journal.create(record, sending, unclear, conflict), record)
            is_new = stored.id == record.id
        else:
            held, only = self._same(suspects.held, record), [PlacementState.PREPARED]
            begun = await self._desk.note(
                held, Happened.SENDING, facts=facts, when=only, sent_at=now, lost=names, conflicts=(why,)
            )
            is_new = begun.state is PlacementState.SENDING and begun.conflicts == (why,)
            stored = begun
            if is_new:
                stored = await self._desk.note(held, Happened.UNCLEAR, facts={"why": why}, not_after=now)
        if is_new:
            order = next(iter(suspects.orders), None)
            self._desk.alarm(AlarmKind.CONFLICT, why, record=stored, order=order)
        return stored

    async def _create(self, record: Record, *then: Step) -> Record:
        self._warn_once()
        try:
            stored = await self._desk.journal.create(record, *then, alone=keeps_apart(self._gateway))
        except ClientIdUsed as error:
            stored = await self._of_same_id(record, error)
        self._sightings.expect(stored)
        return stored

    async def _begun(self, record: Record, sending: Step) -> Record:
        stored = await self._create(record, sending)
        return self._same(stored, record)

    async def _of_same_id(self, record: Record, error: ClientIdUsed) -> Record:
        """The placement that has this client id already, if it is the same request and was not sent."""
        client_order_id, gateway = record.placement.client_order_id, self._gateway.name
        for other in await self._desk.journal.find(gateway=gateway, client_order_id=client_order_id):
            same = other.fingerprint == record.fingerprint and record.placement.key in (None, other.placement.key)
            if same and other.state is PlacementState.PREPARED:
                return other
            why = f"{error}, by a placement that is {other.state}; use another id, or a key"
            raise OrderDenied(why, rule="client_order_id", gateway=gateway, operation="place") from error
        raise OrderDenied(str(error), rule="client_order_id", gateway=gateway, operation="place") from error

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
            return await self._permit(0.0)
        except NotSent:
            return None

    async def _permit(self, seconds: float) -> Permit:
        try:
            return await within(self._gateway.permit("place", timeout=seconds), seconds)
        except TimeoutError as error:
            why = f"nothing was sent: the right to send did not come, {error}"
            raise NotSent(why, gateway=self._gateway.name, operation="place") from error

    async def _carry_on(self, call: Call) -> Order:
        """Go on with a placement that is stored, wherever it stands."""
        record = call.record = await self._desk.up_to_date(call.record)
        if record.state is PlacementState.SENDING:
            record = await self._wait_while_sending(call)
        placement = await self._desk.placement(record)
        if record.state is PlacementState.PREPARED:
            if record.conflicts:
                why = f"it is not sent: {'; '.join(record.conflicts)}"
                raise OrderDenied(why, rule="placement", gateway=self._gateway.name, operation="place")
            call.record = record
            if not call.left:
                raise NotSent("nothing was sent in time", gateway=self._gateway.name, operation="place")
            return await self._drive(call)
        if record.state is PlacementState.PLACED and placement.order is not None:
            found = f"{FOUND}: sent before, in attempt {placement.attempts}, and not sent again"
            return placement.order.noted(found)
        if placement.may_be_live and record.lost:
            raise self._attempts.unknown(record, "; ".join(record.conflicts))
        if placement.may_be_live:
            raise self._attempts.unknown(record, "an earlier call sent it, and its outcome is not known")
        message = f"this placement is {record.state}: {record.reason or 'it is over'}; place a new one"
        raise OrderDenied(message, rule="placement", gateway=self._gateway.name, operation="place")

    async def _wait_while_sending(self, call: Call) -> Record:
        deadline, record = Deadline(call.timeout), call.record
        while record.state is PlacementState.SENDING and deadline.remaining():
            await asyncio.sleep(_POLL)
            record = await self._desk.journal.get(record.id) or record
        return record

    async def _drive(self, call: Call) -> Order:
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
            raise NotSent("the bridge was closed before it was sent", gateway=self._gateway.name, operation="place")

    async def _wait_for_twin(self, call: Call, twin: InFlight) -> None:
        first = twin.record.placement
        if not call.left:
            name = first.client_order_id or first.placement_id
            raise NotSent(
                f"an equal order is under way, and its outcome is not known: {name}",
                gateway=self._gateway.name,
                operation="place",
            ) from twin
        await asyncio.sleep(min(_POLL, call.left))

    async def _attended(self, call: Call) -> Order | None:
        placement_id = call.record.id  # the call may come to go on with the one that holds its key
        self._desk.under_way[placement_id] += 1
        task = asyncio.ensure_future(self._attempts.make(call))
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
            if call.record.state is not PlacementState.SENDING:  # the intention is not stored yet, so it is not sent
                why = f"the journal took more than {call.timeout} s; nothing was sent, and nothing will be"
                raise NotSent(why, gateway=self._gateway.name, operation="place")
            raise self._attempts.unknown(call.record, f"no answer within {call.timeout} s; it is followed up")
        if task.cancelled():  # cut off by `finish`; the caller itself was not cancelled
            if call.record.state is PlacementState.PREPARED:
                self._check_open()
            raise self._attempts.unknown(call.record, "it was cut off when the bridge was closed")
        return task.result()

    def _ended(self, call: Call, task: asyncio.Task[Order | None]) -> None:
        self._running.discard(task)
        if call.permit is not None:
            call.permit.give_back()
            call.permit = None
        if task.cancelled() or not isinstance(task.exception(), (InFlight, type(None))):
            # Whatever it ended in, and whoever still listens: what it may have stored is looked at, and followed up.
            self._unsettled(call.record)
