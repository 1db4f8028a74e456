"""
Calls out, answers in: the one place that repeats, renews, locks out and gives permits back.

A call does not say whether it may be repeated; how it is sent does. A read is, while its time lasts; a write goes out
once, and once more only if it was not admitted; a cancel by the venue's id is repeated as a read is.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from orderbridge import errors
from orderbridge.gateway import limited
from orderbridge.http.body import shown
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.retry import Deadline, Retries, retry_after
from orderbridge.http.session import Session, log_facts
from orderbridge.http.transport import NoAnswer, NothingSent, WireRequest, WireResponse
from orderbridge.model.order import gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.venue import meanings

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

T = TypeVar("T")
# What getting credentials may fail with, without anything being wrong with them.
_NOT_READY: Final = (TimeoutError, errors.VenueUnavailable, errors.UnexpectedResponse, errors.RateLimited)
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=SecretStr.get_secret_value).encode
# Refusals of us, and not of what was asked for.
_ABOUT_US: Final = (errors.AuthenticationFailed, errors.RateLimited)


# Not frozen, as one is made for each call: a frozen one takes four times as long to make.
@dataclass(slots=True, kw_only=True)
class VenueCall:
    """
    One act at a venue.

    Attributes:
        operation: names it in errors, logs and the venue's table of codes.
        is_public: unsigned, and counted by address instead of by key.
    """

    operation: str
    order_id: str | None = None
    client_order_id: str | None = None
    is_public: bool = False


@dataclass(slots=True, kw_only=True)
class HttpCall(VenueCall):
    """
    A call over HTTP.

    Attributes:
        path: after the venue's address; it may hold a query that is encoded already.
        fields: the JSON object that is sent; None sends no body.
        hides_body: its answer may repeat a secret that is new to us.
        base_url: an address in place of the venue's.
    """

    path: str
    method: str = "GET"
    query: Mapping[str, str] | None = None
    fields: Mapping[str, str | bool | SecretStr] | None = None
    hides_body: bool = False
    base_url: str | None = None


@dataclass(slots=True)
class Tries:
    """
    The tries of one call, as far as they are known: outside the time limit, which may end a try at any point.

    Attributes:
        left: a try may have reached the venue, and had no clear answer. `paid`: a request of any kind left.
        earlier: so may one before the last, whose answer speaks for itself only.
        count: how many there were.
    """

    left: bool = False
    earlier: bool = False
    paid: bool = False
    count: int = 0


class Credentialed(Protocol):
    """What has credentials, which may grow old."""

    # How often a read goes out again that was not admitted.
    renewals: int

    def ready(self) -> Awaitable[None] | None:
        """What is to be awaited for credentials, before a permit is spent; None where they are at hand."""
        ...

    async def renew(self, stamp: object) -> bool:
        """After those of a stamp were not admitted: have newer ones. False: there is no way to get them."""
        ...


class Channel(Credentialed, Protocol):
    """How calls reach a venue: sends each once, and judges nothing."""

    def check_usable(self) -> None:
        """Raise ConfigurationError where nothing can be sent."""
        ...

    async def send(
        self, call: Any, *, lane: Lane, deadline: Deadline, not_after: float | None, tries: Tries
    ) -> meanings.Said:
        """
        Send once, and note in `tries` what may have left.

        Raises:
            NothingSent, NoAnswer; and any error of ours, after which what counts has not left.
        """
        ...


class Auth(Credentialed, Protocol):
    """Signs for an HTTP venue."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in one that is shown."""
        ...

    def sign(self, request: WireRequest) -> tuple[WireRequest, object]:
        """The request as it may be sent, and a stamp that tells these credentials from newer ones."""
        ...


@dataclass(slots=True, eq=False, repr=False)
class KeyAuth:
    """
    Signs with a key that is at hand always. What was not admitted goes out again with a signature of its own.

    Attributes:
        secrets: what must not appear in a text that is shown.
        headers: those of a signed request; called once for each that leaves.
        renewals: how often a read goes out again that was not admitted.
    """

    secrets: tuple[str, ...]
    headers: Callable[[WireRequest], Mapping[str, str]]
    renewals: int = field(default=1, kw_only=True)

    def ready(self) -> None:
        """Nothing is to be fetched."""

    async def renew(self, stamp: object) -> bool:
        """True: the next signature is a new one."""
        return True

    def sign(self, request: WireRequest) -> tuple[WireRequest, object]:
        """The request with its headers."""
        headers = {**self.headers(request), **request.headers}
        return WireRequest(request.method, request.url, headers, request.body), None


class HttpChannel:
    """Calls over HTTP: each is built late, signed, sent once, and understood by the venue's own pure function."""

    def __init__(
        self,
        session: Session,
        *,
        base_url: str,
        auth: Auth,
        understand: Callable[[WireResponse, HttpCall], meanings.Said],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.renewals, self.ready, self.renew = auth.renewals, auth.ready, auth.renew
        self.check_usable = session.check_usable
        self._session = session
        self._auth = auth
        self._understand = understand
        self._clock = clock

    async def send(
        self, call: HttpCall, *, lane: Lane, deadline: Deadline, not_after: float | None, tries: Tries
    ) -> meanings.Said:
        """Send once. NothingSent, NoAnswer, or an error of the signer's."""
        request, stamp = self._request(call)
        before = tries.left, tries.paid
        tries.left = tries.paid = True
        try:
            response = await self._session.exchange(
                request,
                deadline=deadline,
                operation=call.operation,
                not_after=not_after,
                order_id=call.order_id,
                client_order_id=call.client_order_id,
            )
        except (NothingSent, errors.OrderBridgeError):
            tries.left, tries.paid = before
            raise
        return self._said(response, call, stamp)

    def _request(self, call: HttpCall) -> tuple[WireRequest, object]:
        """The request, signed at the last moment. NothingSent, or an error of ours."""
        try:
            url = (call.base_url or self.base_url) + call.path
            if call.query:
                url += f"?{urlencode(call.query, quote_via=quote, safe='')}"
            headers, content = {"accept": "application/json"}, b""
            if call.fields is not None:
                headers["content-type"] = "application/json"
                content = _encode(dict(call.fields)).encode()
            request = WireRequest(call.method, url, headers, content)
            return (request, None) if call.is_public else self._auth.sign(request)
        except errors.OrderBridgeError:
            raise
        except Exception as error:  # noqa: BLE001 - a clock or a signer may be anybody's
            why = type(error).__name__
        # Without the error itself: its frames may hold what signs the request.
        raise NothingSent(f"the request could not be made: {why}")

    def _said(self, response: WireResponse, call: HttpCall, stamp: object) -> meanings.Said:
        try:
            said = self._understand(response, call)
        except Exception as error:  # noqa: BLE001 - a defect there must not make an error of what was sent
            said = meanings.Said(text=f"an answer that cannot be understood: {type(error).__name__}")
        said.status = response.status
        if said.ok:
            return said
        return replace(
            said,
            code=self._safe(said.code),
            text=self._safe(said.text) or "",
            keys=tuple(self._safe(key) or "" for key in said.keys),
            retry_after=retry_after(response.headers.get("retry-after"), now=self._clock()),
            request_id=self._safe(response.headers.get("x-request-id")),
            body=None if call.hides_body else shown(response.body, self._auth.secrets),
            stamp=stamp,
        )

    def _safe(self, text: str | None) -> str | None:
        """A text of the venue's, fit to be shown: without secrets, and short."""
        return shown(text.encode("utf-8", "replace"), self._auth.secrets) if text else None


class RefusedLater(errors.OutcomeUnknown):
    """A cancel was refused (`refusal`), and an earlier try of it may have been carried out."""

    def __init__(self, message: str, *, refusal: errors.VenueError, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.refusal = refusal


class Sender:
    """
    Sends the calls of one gateway.

    Args:
        lock_out: how long we stop, in seconds, after being throttled without a word of how long.
        public: the session of calls that are counted by address.
    """

    def __init__(
        self,
        channel: Channel,
        session: Session,
        judge: meanings.Judge,
        *,
        lock_out: float = 60.0,
        public: Session | None = None,
    ) -> None:
        self.session = session
        self.gateway = session.gateway
        self.check_usable = channel.check_usable
        self._channel = channel
        self._judge = judge
        self._lock_out = lock_out
        self._public = public or session
        self._lane: Lane = "read"

    def in_lane(self, lane: Lane) -> Self:
        """The same sender, whose reads wait in another lane."""
        other = copy.copy(self)
        other._lane = lane
        return other

    def read(self, call: VenueCall, *, deadline: Deadline) -> Coroutine[Any, Any, Any]:
        """
        The payload of a read, repeated while its time lasts.

        Raises:
            VenueUnavailable, UnexpectedResponse: no usable answer after all tries. RateLimited: locked out for longer.
            AuthenticationFailed, PermissionDenied, OrderNotFound, VenueError: by the venue.
            ConfigurationError: the address is not the venue's.
        """
        return self._repeat(call, deadline, self._lane, Tries())

    async def cancel(
        self, call: VenueCall, *, deadline: Deadline, once: bool = False, tries: Tries | None = None
    ) -> Any:
        """
        The payload of a cancel, in the first lane. By the venue's id it may be repeated; else `once`.

        Args:
            tries: gets what is known of them, for whoever reads in the answer that nothing was cancelled.

        Raises:
            NotSent: nothing left. OutcomeUnknown: it may have, and no clear answer came.
            RefusedLater: refused, and an earlier try may have been carried out.
            AuthenticationFailed, PermissionDenied, OrderNotFound, OrderNotActive, VenueError: refused.
            RateLimited: nothing left, since the venue has locked us out.
        """
        tries, outcome = tries or Tries(), "answered"
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await self._repeat(call, deadline, "cancel", tries, once=once)
        except Exception as error:
            outcome, why = type(error).__name__, Exception.__str__(error) or "no time left"
            if tries.left and isinstance(error, errors.VenueError) and not isinstance(error, _ABOUT_US):
                text = f"an earlier try may have cancelled it; the last was refused: {why}"
                raise RefusedLater(text, refusal=error, **self._about(call)) from error
            # Whatever ends the tries, such as a gateway that is closed between two, is no word on one that left.
            if tries.left:
                why = why if isinstance(error, (errors.OrderBridgeError, TimeoutError)) else outcome
                raise errors.OutcomeUnknown(f"sent, and no clear answer came: {why}", **self._about(call)) from error
            if isinstance(error, errors.VenueError) or not isinstance(error, _NOT_READY):
                raise
            raise errors.NotSent(f"nothing was sent: {why}", **self._where(call)) from error
        finally:
            if self.session.log.isEnabledFor(logging.INFO):
                extra = self._about(call)
                self.session.log.info("%s -> %s at try %d", call.operation, outcome, tries.count, extra=extra)

    def _where(self, call: VenueCall) -> errors.Where:
        return errors.Where(gateway=self.gateway, operation=call.operation)

    def _about(self, call: VenueCall) -> dict[str, Any]:
        ids = {"order_id": call.order_id, "client_order_id": call.client_order_id}
        return log_facts(self.gateway, call.operation, **ids)

    async def _repeat(
        self, call: VenueCall, deadline: Deadline, lane: Lane, tries: Tries, *, once: bool = False
    ) -> Any:
        """
        The payload of a call that is repeated while tries and time allow, unless the answer to it was clear.

        Args:
            once: never again after it may have been done.
        """
        session = self._public if call.is_public else self.session
        retries, number = session.retries, 0
        # What the caller may conclude from: a try that may have left outweighs one that did not.
        left: NoAnswer | meanings.TryAgain | None = None
        while True:
            number += 1
            try:
                return await self._answered(call, session, deadline, lane, tries)
            except (NothingSent, NoAnswer) as failed:
                error: errors.OrderBridgeError = errors.VenueUnavailable(f"no answer: {failed}", **self._where(call))
                left = failed if isinstance(failed, NoAnswer) else left
                cause, asked = left or failed, 0.0
            except meanings.TryAgain as again:
                error, asked = again.error, again.after or 0.0
                cause = left = again
            wait = max(asked, retries.wait_before(number))
            is_over = number >= retries.tries or asked > retries.longest_retry_after or not deadline.allows(wait)
            if is_over or (once and left is not None):
                raise error from cause
            extra = log_facts(self.gateway, call.operation)
            # The one clear answer after which another try may help is that trades are on their way.
            level = logging.INFO if type(error) is errors.VenueError else logging.WARNING
            session.log.log(level, "%s is tried again in %.1f s: %s", call.operation, wait, error, extra=extra)
            await asyncio.sleep(wait)

    async def _answered(self, call: VenueCall, session: Session, deadline: Deadline, lane: Lane, tries: Tries) -> Any:
        """The payload of one try, and of those that follow newer credentials. TryAgain where another may help."""
        said, meaning = await self._try(call, session, deadline, lane, tries)
        renewed = 0
        while (
            meaning in meanings.RENEWED and renewed < self._channel.renewals and await self._channel.renew(said.stamp)
        ):
            renewed += 1
            wait = session.retries.wait_before(renewed)
            if not deadline.allows(wait):
                break
            await asyncio.sleep(wait)
            said, meaning = await self._try(call, session, deadline, lane, tries)
        if said.ok:
            return said.payload
        error = meanings.read_error(meaning, said, self._where(call))
        if (
            meaning is meanings.Meaning.THROTTLED
            and isinstance(error, meanings.TryAgain)
            and session.limiter.is_free(lane)
        ):
            error.after = None  # what the venue does not count, its lock-out does not stop
        raise error

    async def _try(
        self, call: VenueCall, session: Session, deadline: Deadline, lane: Lane, tries: Tries
    ) -> tuple[meanings.Said, meanings.Meaning]:
        if not call.is_public and (credentials := self._channel.ready()) is not None:
            await credentials
        if not session.limiter.take(lane):
            await session.slot(lane, deadline, call.operation)
        left = tries.left
        async with session.room(lane, deadline):
            self.check_usable()  # here, as the waits may have been long
            tries.count, tries.earlier = tries.count + 1, left
            said = await self._channel.send(call, lane=lane, deadline=deadline, not_after=None, tries=tries)
        if said.ok:
            return said, meanings.Meaning.UNCLEAR
        meaning = meanings.read_meaning(self._meaning(said, call, session), said.status_told)
        if meanings.is_told(meaning):
            tries.left = left
        return self._timed(said, meaning), meaning

    def _meaning(self, said: meanings.Said, call: VenueCall, session: Session) -> meanings.Meaning:
        meaning = meanings.Meaning.UNCLEAR if said.ok else meanings.judged(self._judge, said, call.operation)
        if meaning is meanings.Meaning.THROTTLED:
            session.lock_out(self._timed(said, meaning).retry_after or 0.0, operation=call.operation)
        return meaning

    def error_for(self, said: meanings.Said, call: VenueCall) -> errors.OrderBridgeError:
        """The error for an answer to a read that was sent beside the lanes; throttled there, all of them stop."""
        meaning = meanings.read_meaning(self._meaning(said, call, self.session), said.status_told)
        error = meanings.read_error(meaning, self._timed(said, meaning), self._where(call))
        return error.error if isinstance(error, meanings.TryAgain) else error

    def _timed(self, said: meanings.Said, meaning: meanings.Meaning) -> meanings.Said:
        is_untold = meaning is meanings.Meaning.THROTTLED and said.retry_after is None
        return replace(said, retry_after=self._lock_out) if is_untold else said

    async def write(
        self, call: VenueCall, *, permit: Permit | None = None, deadline: Deadline, not_after: float | None = None
    ) -> Any:
        """
        The payload of a write, which is sent once. Not admitted, it goes out once more with newer credentials.

        Args:
            permit: spent by this; one is taken when there is none.
            not_after: loop time after which nothing is sent any more.

        Raises:
            NotSent: nothing left, or what left was not admitted and no newer credentials could be had.
            OutcomeUnknown: it may have left, and no clear answer came.
            AuthenticationFailed, PermissionDenied, OrderRejected and below, DuplicateClientOrderId, OrderNotFound,
                OrderNotActive: refused; nothing was done.
            ConfigurationError: a permit of another gateway, or one that is spent; a way out that cannot be used.
        """
        until = deadline if not_after is None else deadline.by(not_after)
        await self._with_credentials(self._channel.ready, until, call, permit)
        said, meaning = await self._send(call, permit, deadline, until, not_after)
        renewed = meaning in meanings.RENEWED and await self._with_credentials(
            lambda: self._channel.renew(said.stamp), until, call
        )
        if renewed:
            fresh = await self.session.permit("place", timeout=until.as_timeout)
            said, meaning = await self._send(call, fresh, deadline, until, not_after)
        if said.ok:
            return said.payload
        raise meanings.write_error(
            meaning,
            self._timed(said, meaning),
            self._where(call),
            order_id=call.order_id,
            client_order_id=call.client_order_id,
        )

    async def _with_credentials(
        self, step: Callable[[], Awaitable[T] | None], until: Deadline, call: VenueCall, permit: Permit | None = None
    ) -> T | None:
        try:
            waiting = step()
            return None if waiting is None else await limited(waiting, until.as_timeout)
        except Exception as error:
            if permit is not None:
                permit.give_back()
            if isinstance(error, errors.OrderBridgeError) and not isinstance(error, _NOT_READY):
                raise
            defect = "" if isinstance(error, _NOT_READY) else f"{type(error).__name__}: "
            why = defect + Exception.__str__(error) or "no time left"
            message = f"nothing was done, since there is no valid token: {why}"
            raise errors.NotSent(message, gateway=self.gateway, operation=call.operation) from error

    async def _send(
        self, call: VenueCall, permit: Permit | None, deadline: Deadline, until: Deadline, not_after: float | None
    ) -> tuple[meanings.Said, meanings.Meaning]:
        permit = await self._permit(permit, deadline, until, self._where(call))
        tries, outcome = Tries(), "no answer"
        try:
            async with self.session.room(permit.lane, until):
                self.check_usable()  # nothing leaves a gateway that was closed meanwhile
                said = await self._channel.send(
                    call, lane=permit.lane, deadline=deadline, not_after=not_after, tries=tries
                )
            outcome = str(said.status or "answered")
            return said, meanings.write_meaning(self._meaning(said, call, self.session), said.status_told)
        except NothingSent as error:
            raise errors.NotSent(f"nothing was sent: {error}", **self._where(call)) from error
        except NoAnswer as error:
            raise errors.OutcomeUnknown(f"sent, and no answer came: {error}", **self._about(call)) from error
        except Exception as error:
            if isinstance(error, errors.OrderBridgeError) or not tries.left:
                raise
            # A clock or a table may be anybody's: whatever fails in them, the write was sent.
            why = f"its answer could not be taken in: {type(error).__name__}"
            raise errors.OutcomeUnknown(f"sent, and {why}", **self._about(call)) from error
        finally:
            if not tries.left:
                outcome = "nothing was sent"
            if not tries.paid:
                self.session.limiter.give_back(permit.lane)
            if self.session.log.isEnabledFor(logging.INFO):
                self.session.log.info("%s -> %s", call.operation, outcome, extra=self._about(call))

    async def _permit(self, permit: Permit | None, deadline: Deadline, until: Deadline, where: errors.Where) -> Permit:
        """The permit, spent. NotSent: it is given back. ConfigurationError: it is not one for here."""
        permit = permit or await self.session.permit("place", timeout=deadline.as_timeout)
        self.session.check_permit(permit, where["operation"] or "")
        limiter = self.session.limiter
        try:
            if limiter.locked_for and not limiter.is_free(permit.lane):
                raise errors.NotSent("the venue has locked us out meanwhile", **where)
            if not until.remaining():
                raise errors.NotSent("it was too late to send", **where)
        except errors.NotSent:
            permit.give_back()
            raise
        permit.spend()
        return permit

    async def aclose(self) -> None:
        """Close the connections."""
        if self._public is not self.session:
            await self._public.aclose()
        await self.session.aclose()


def http_sender(
    *,
    venue: str,
    account: str,
    address: str,
    key: str,
    pace: Rate,
    auth: Callable[[Session], Auth],
    understand: Callable[[WireResponse, HttpCall], meanings.Said],
    judge: meanings.Judge,
    transport: EngineLike = "auto",
    limits: LimitsLike = "venue",
    retries: Retries | None = None,
    public_pace: Rate | None = None,
    clock: Callable[[], float] = time.time,
) -> Sender:
    """
    The sender of one account at an HTTP venue.

    Args:
        key: tells accounts of one address apart without showing a secret: all gateways of one key share its limits.
        pace: the venue's own limits, which `limits` may replace. public_pace: those of calls that it counts by address,
            so that all keys of this machine share them.
        auth: makes what signs, or fetches a token through the session first.
    """
    limiter = shared_limiter((venue, address, key), limits, venue=pace)
    name = gateway_name(venue, account)
    session = Session(gateway=name, venue=venue, transport=transport, limiter=limiter, retries=retries)
    public = None
    if public_pace is not None:
        public = session.beside(shared_limiter((venue, address, "public"), limits, venue=public_pace))
    channel = HttpChannel(session, base_url=address, auth=auth(session), understand=understand, clock=clock)
    return Sender(channel, session, judge, public=public)
