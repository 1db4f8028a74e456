"""One call into ccxt: paced, in a decimal context of its own, and told apart by what had left when it failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any, Final

from orderbridge.adapters.ccxt_any.codes import LOCK_OUT, CcxtCodes, judge
from orderbridge.adapters.ccxt_any.exchanges import check_proxies
from orderbridge.adapters.ccxt_any.watch import Call, Sent, Watch, current_call
from orderbridge.errors import ConfigurationError, RateLimited, VenueUnavailable
from orderbridge.http.limits import LockedOut, NoPermit
from orderbridge.http.retry import Deadline
from orderbridge.http.session import Session, log_facts
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.permit import Lane
from orderbridge.venue.meanings import Said
from orderbridge.venue.sender import Sender, Tries, VenueCall

# ccxt has its own time limit for each request; a call may make several.
CALL_SECONDS: Final = 30.0
# Room for every amount that may be ordered, whatever context the caller computes in.
CONTEXT: Final = Context(
    prec=210, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999, traps=[InvalidOperation, DivisionByZero, Overflow]
)

# What closing waits for: an order or a cancel that nobody watches any more could not be told from one that stayed.
_WAITED_FOR: Final[frozenset[Lane]] = frozenset({"place", "cancel"})

Make = Callable[[Any], Awaitable[Any]]


@dataclass(slots=True, kw_only=True)
class CcxtCall(VenueCall):
    """A call of ccxt's. `calls` gets what each try of it sent."""

    make: Make
    calls: list[Call] = field(default_factory=list)


class CcxtClient:
    """The way out through one exchange object: one call may be several requests, of which each is watched."""

    # A nonce that was not admitted may be behind another process's.
    renewals = 3

    def __init__(self, watch: Watch, *, session: Session, codes: CcxtCodes) -> None:
        self.watch = watch
        self.exchange = watch.exchange
        self.session = session
        self.codes = codes
        self.gateway = session.gateway
        self.sender = Sender(self, session, judge, lock_out=LOCK_OUT)
        self._under_way: set[asyncio.Future[None]] = set()

    async def settled(self) -> None:
        """Wait for the orders and cancels that are on their way. Each has its time limit, and so has this."""
        loop = asyncio.get_running_loop()
        waiting = [each for each in self._under_way if each.get_loop() is loop]
        if waiting:
            await asyncio.wait(waiting, timeout=CALL_SECONDS + 1)

    def check_usable(self) -> None:
        """ConfigurationError: closed, out of our sight, with a SOCKS proxy, or not in its own or the object's loop."""
        self.session.check_usable()
        if not self.watch.is_intact:
            message = "the HTTP call of the exchange object was replaced, so what leaves it cannot be told"
            raise ConfigurationError(message)
        check_proxies(self.exchange)
        loop = getattr(self.exchange, "asyncio_loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            message = "the exchange object belongs to another event loop; make one in the loop that uses it"
            raise ConfigurationError(message)

    async def ready(self) -> None:
        """Credentials are at hand always."""

    async def renew(self, stamp: object) -> bool:
        """True if what was not admitted may go out again: ccxt signs it anew."""
        return stamp is not None

    async def send(
        self, call: CcxtCall, *, lane: Lane, deadline: Deadline, not_after: float | None, tries: Tries
    ) -> Said:
        """
        Make a call, and note in `tries` what may have left of it.

        Raises:
            NothingSent, NoAnswer: as named. RateLimited, VenueUnavailable: the lanes stopped it on its way.
            NotSent, NotSupported, ConfigurationError, OrderDenied: what counts has not left, or ccxt made no request.
        """
        writes_to = self.codes.traits.writes
        made = Call(lane, deadline, prepaid=1, is_write=lane == "place", not_after=not_after, writes_to=writes_to)
        call.calls.append(made)
        try:
            await self._run(call.make, made, call.operation)
        finally:
            tries.left |= made.has_left
            tries.paid |= any(sent.left for sent in made.sent)
        return Said(ok=True, payload=made) if made.error is None else self._said(made, call)

    def _said(self, failed: Call, call: CcxtCall) -> Said:
        """The answer to a call that failed; else its error is raised."""
        error, sent = failed.cause, failed.last
        text = self.codes.named(error)
        made: Exception | None = None
        if failed.is_write and (not failed.has_left or self.codes.is_turned_away(failed)):
            made = self.codes.unsent(failed)
            if isinstance(throttled := made.__cause__, RateLimited):
                self.session.lock_out(throttled.retry_after or 0.0, operation=call.operation)
        elif failed.is_write:
            made = None if sent.status is not None else NoAnswer(text)
        elif isinstance(error, LockedOut):
            made = RateLimited(str(error), retry_after=error.seconds)
        elif isinstance(error, (NoPermit, TimeoutError)) and sent.failed is None:
            made = VenueUnavailable(text)
        elif not failed.sent:
            made = self.codes.unbuilt(error)
            made.__cause__ = self.codes.stand_in(error)
        elif sent.status is None or not sent.left:
            made = NoAnswer(text) if sent.left else NothingSent(text)
        if made is not None:
            raise made
        return self.codes.said(failed, client_order_id=call.client_order_id)

    async def quietly(self, make: Make, *, deadline: Deadline, operation: str) -> Any:
        """A call that makes no request of its own, or makes its requests outside the lanes' count of one."""
        made, call = Call("read", deadline), CcxtCall(operation=operation, make=make)
        await self._run(make, made, operation)
        if made.error is None:
            return made.value
        try:
            said = self._said(made, call)
        except (NothingSent, NoAnswer) as failed:
            raise VenueUnavailable(f"no answer: {failed}") from failed
        raise self.sender.error_for(said, call)

    async def _run(self, make: Make, call: Call, operation: str) -> None:
        started = time.perf_counter()
        token = current_call.set(call)
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if call.lane in _WAITED_FOR:
            self._under_way.add(under_way)
        try:
            with localcontext(CONTEXT):
                async with asyncio.timeout(call.deadline.within(CALL_SECONDS).as_timeout):
                    call.value = await make(self.exchange)
        except Exception as error:  # noqa: BLE001 - ccxt lets KeyError, TypeError and their like through
            call.error = error
            if not self.watch.is_intact:
                # What went out meanwhile was not seen, and may have left.
                call.sent.append(Sent("?", "", call.is_write))
        finally:
            current_call.reset(token)
            self._under_way.discard(under_way)
            under_way.set_result(None)
            took = (time.perf_counter() - started) * 1000
            extra = log_facts(self.gateway, operation)
            for sent in call.sent:
                status = sent.status or (type(sent.failed).__name__ if sent.failed else "no answer")
                path = self.codes.text(ValueError(sent.path))
                self.session.log.debug("%s %s -> %s in %.0f ms", sent.method, path, status, took, extra=extra)
