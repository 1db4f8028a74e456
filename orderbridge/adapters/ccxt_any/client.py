"""One call into ccxt: paced, in a decimal context of its own, and told apart by what had left when it failed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any, Final, TypeVar

from orderbridge.adapters.ccxt_any.errors import Failure, Reader, payload
from orderbridge.adapters.ccxt_any.exchanges import check_proxies
from orderbridge.adapters.ccxt_any.meanings import Meaning
from orderbridge.adapters.ccxt_any.wire import Call, Sent, current_call
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    NotSent,
    RateLimited,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http.limits import LockedOut, NoPermit
from orderbridge.http.retry import Deadline, TryAgain, retry_after
from orderbridge.http.session import Session, log_facts
from orderbridge.http.transport import NoAnswer, NothingSent
from orderbridge.model.permit import Lane, Permit

T = TypeVar("T")
# Throttled without a word of how long.
LOCK_OUT_SECONDS: Final = 10.0
# ccxt has its own time limit for each request; a call may make several.
CALL_SECONDS: Final = 30.0
# Room for every amount that may be ordered, whatever context the caller computes in.
_CONTEXT: Final = Context(
    prec=210, rounding=ROUND_HALF_EVEN, Emin=-9999, Emax=9999, traps=[InvalidOperation, DivisionByZero, Overflow]
)

# What closing waits for: an order or a cancel that nobody watches any more could not be told from one that stayed.
_WAITED_FOR: Final[frozenset[Lane]] = frozenset({"place", "cancel"})

Make = Callable[[Any], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a call gave, and the exchange's own answers behind it."""

    value: Any
    call: Call

    @property
    def payloads(self) -> list[Any]:
        """The JSON of each answer."""
        return [payload(sent) for sent in self.call.sent]


class CcxtClient:
    """Calls into one exchange object: reads that are repeated, writes that are not."""

    def __init__(
        self,
        exchange: Any,
        *,
        session: Session,
        reader: Reader,
        gets_write: bool,
        is_watched: Callable[[], bool],
    ) -> None:
        self.exchange = exchange
        self.session = session
        self.reader = reader
        self.gateway = session.gateway
        self._gets_write = gets_write
        self._is_watched = is_watched
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
        if not self._is_watched():
            message = "the HTTP call of the exchange object was replaced, so what leaves it cannot be told"
            raise ConfigurationError(message, gateway=self.gateway)
        check_proxies(self.exchange)
        loop = getattr(self.exchange, "asyncio_loop", None)
        if loop is not None and loop is not asyncio.get_running_loop():
            raise ConfigurationError(
                "the exchange object belongs to another event loop; make one in the loop that uses it",
                gateway=self.gateway,
            )

    async def read(
        self, make: Make[T], *, deadline: Deadline, operation: str, lane: Lane = "read", sends: list[Call] | None = None
    ) -> Answered:
        """
        Make a call that changes nothing, or a cancel by the exchange's id, and repeat it while its time lasts.

        Args:
            sends: gets the call of each try: after more than one, an earlier one may have been acted upon.

        Raises:
            VenueUnavailable, UnexpectedResponse: no usable answer after all tries. RateLimited: as named.
            AuthenticationFailed, PermissionDenied, OrderNotFound, VenueError: by the exchange.
            NotSupported, ConfigurationError, OrderDenied: ccxt makes no request of it.
        """

        async def attempt() -> Answered:
            self.check_usable()
            await self.session.slot(lane, deadline, operation)
            self.check_usable()  # the wait may have been long
            call = Call(lane, deadline, prepaid=1)
            if sends is not None:
                sends.append(call)
            async with self.session.room(lane, deadline.remaining()):
                done = await self._run(make, call, operation)
            if isinstance(done, Failure):
                raise self._read_error(done, operation)
            return done

        return await self.session.repeat(attempt, deadline=deadline, operation=operation)

    async def write(
        self,
        make: Make[T],
        *,
        permit: Permit | None,
        deadline: Deadline,
        operation: str,
        not_after: float | None = None,
        client_order_id: str | None = None,
    ) -> Answered:
        """
        Make a call that writes, once.

        Raises:
            NotSent, OrderDenied: nothing left. OutcomeUnknown: it may have left, and no clear answer came.
            OrderRejected and below, DuplicateClientOrderId, AuthenticationFailed, PermissionDenied: by the exchange.
        """
        self.check_usable()
        limiter = self.session.limiter
        permit = permit or await self.session.permit("place", timeout=deadline.as_timeout)
        self.session.check_permit(permit, operation)
        try:
            self.check_usable()  # the wait for a permit may have been long
        except ConfigurationError:
            permit.give_back()
            raise
        if limiter.locked_for and not limiter.is_free(permit.lane):
            permit.give_back()
            raise NotSent("the venue has locked us out meanwhile", gateway=self.gateway, operation=operation)
        if not deadline.remaining() or (not_after is not None and Deadline(0).at > not_after):
            permit.give_back()
            raise NotSent("it was too late to send", gateway=self.gateway, operation=operation)
        permit.spend()
        call = Call("place", deadline, prepaid=1, is_write=True, not_after=not_after, gets_write=self._gets_write)
        outcome = "no answer"
        try:
            done = await self._run(make, call, operation)
            outcome = "answered" if isinstance(done, Answered) else type(done.error).__name__
        finally:
            if not any(sent.left for sent in call.sent):
                limiter.give_back("place")
            extra = log_facts(self.gateway, operation, client_order_id=client_order_id)
            self.session.log.info("%s -> %s", operation, outcome, extra=extra)
        if isinstance(done, Answered):
            return done
        error = self.reader.of_write(done, operation=operation, client_order_id=client_order_id)
        if isinstance(error.__cause__, RateLimited):
            error.__cause__.retry_after = self._lock_out(done.last or done.before, operation)
        raise error

    async def quietly(self, make: Make[T], *, deadline: Deadline, operation: str) -> T:
        """A call that makes no request of its own, or makes its requests outside the lanes' count of one."""
        call = Call("read", deadline, prepaid=0)
        done = await self._run(make, call, operation)
        if isinstance(done, Failure):
            error = self._read_error(done, operation)
            raise error.error if isinstance(error, TryAgain) else self._engine_error(error, operation)
        value: T = done.value
        return value

    def _engine_error(self, error: Exception, operation: str) -> Exception:
        if isinstance(error, (NothingSent, NoAnswer)):
            return VenueUnavailable(f"no answer: {error}", gateway=self.gateway, operation=operation)
        return error

    async def _run(self, make: Make[Any], call: Call, operation: str) -> Answered | Failure:
        started = time.perf_counter()
        token = current_call.set(call)
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if call.lane in _WAITED_FOR:
            self._under_way.add(under_way)
        error: BaseException
        try:
            with localcontext(_CONTEXT):
                async with asyncio.timeout(call.deadline.within(CALL_SECONDS).as_timeout):
                    return Answered(await make(self.exchange), call)
        except Exception as raised:  # noqa: BLE001 - ccxt lets KeyError, TypeError and their like through
            error = raised
            if not self._is_watched():
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
                path = self.reader.text(ValueError(sent.path))
                self.session.log.debug("%s %s -> %s in %.0f ms", sent.method, path, status, took, extra=extra)
        return Failure(error, call)

    def _read_error(self, failure: Failure, operation: str) -> Exception:
        """What `policy.read` takes: an engine's error, TryAgain, or the error to raise."""
        error, sent = failure.cause, failure.last
        text = self.reader.named(error)
        if isinstance(error, LockedOut):
            return RateLimited(str(error), retry_after=error.seconds, gateway=self.gateway, operation=operation)
        if isinstance(error, (NoPermit, TimeoutError)) and (sent is None or sent.failed is None):
            return VenueUnavailable(text, gateway=self.gateway, operation=operation)
        if sent is None:
            made = self.reader.unbuilt(error, operation)
            made.__cause__ = self.reader.stand_in(error)
            return made
        if not sent.left:
            return NothingSent(text)
        if sent.status is None:
            return NoAnswer(text)
        meaning = self.reader.meaning(error, sent)
        if meaning is Meaning.THROTTLED:
            facts = self.reader.facts(sent, operation)
            seconds = self._lock_out(sent, operation)
            return TryAgain(RateLimited(text, retry_after=seconds, **facts), after=seconds)
        answered = self.reader.of_answer(error, sent, operation=operation)
        if answered is not None:
            answered.__cause__ = self.reader.stand_in(error)
            return answered
        return self._no_use(error, sent, meaning, operation)

    def _no_use(self, error: BaseException, sent: Sent, meaning: Meaning, operation: str) -> Exception:
        """An answer that tells nothing: another try may help."""
        text = f"HTTP {sent.status}: {self.reader.named(error)}"
        facts = self.reader.facts(sent, operation)
        after = retry_after(sent.headers.get("retry-after"), now=time.time())
        if meaning is Meaning.NOT_ADMITTED or type(error).__name__ == "InvalidNonce":
            return TryAgain(AuthenticationFailed(text, **facts), admitted=False)
        if (sent.status or 0) >= 500:
            return TryAgain(VenueUnavailable(text, gateway=self.gateway, operation=operation), after=after)
        said = payload(sent)
        unexpected = UnexpectedResponse(
            text,
            keys=tuple(map(str, said)) if isinstance(said, dict) else (),
            body=facts.get("body"),
            gateway=self.gateway,
            operation=operation,
        )
        # What ccxt could not read it will not read a second time; a page in place of JSON may pass.
        return unexpected if said is not None and sent.failed is None else TryAgain(unexpected, after=after)

    def _lock_out(self, sent: Sent | None, operation: str) -> float:
        told = retry_after(sent.headers.get("retry-after"), now=time.time()) if sent is not None else None
        seconds = LOCK_OUT_SECONDS if told is None else told
        self.session.lock_out(seconds, operation=operation)
        return seconds
