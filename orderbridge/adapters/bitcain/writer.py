"""One write out, one answer in: sent once, except after a refused token, and except cancels, which may be repeated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from orderbridge.adapters.bitcain.client import BitcainClient
from orderbridge.adapters.bitcain.codes import (
    CANCEL,
    NO_ROUTE,
    PASSING,
    TokenRefused,
    detail_text,
    explain,
    fault_lines,
    lock_out_of,
    write_error,
)
from orderbridge.errors import (
    AuthenticationFailed,
    NotSent,
    OrderBridgeError,
    OutcomeUnknown,
    RateLimited,
    UnexpectedResponse,
    VenueError,
    VenueUnavailable,
    Where,
)
from orderbridge.http import body
from orderbridge.http.retry import Deadline, TryAgain
from orderbridge.http.session import log_facts
from orderbridge.http.transport import NothingSent, WireRequest, WireResponse
from orderbridge.model.permit import Permit

T = TypeVar("T")
Payload = Mapping[str, Any]
# What getting a token may fail with, without anything being wrong with the credentials.
_NO_TOKEN: Final = (TimeoutError, VenueUnavailable, UnexpectedResponse, RateLimited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A write and what it is about. `fields` None sends no body."""

    operation: str
    method: str
    path: str
    params: Mapping[str, str] | None = None
    fields: Mapping[str, str | bool] | None = None
    order_id: str | None = None
    client_order_id: str | None = None


class RefusedLater(Exception):
    """Raised inside the adapter: a cancel was refused, and an earlier try of it may have been carried out."""

    def __init__(self, error: VenueError) -> None:
        super().__init__(str(error))
        self.error = error


class BitcainWriter:
    """Sends writes; each answer that is no success becomes the error it stands for."""

    def __init__(self, client: BitcainClient) -> None:
        self._client = client
        self._session = client.session
        self._keeper = client.keeper

    async def send(
        self, write: Write, *, deadline: Deadline, permit: Permit | None = None, not_after: float | None = None
    ) -> Payload:
        """
        Send once. Refused for its token, which precedes admission, it goes out once more with a newer one.

        Raises:
            NotSent: nothing left, or what left was refused for its token and no newer one could be had.
            OutcomeUnknown: it may have left, and no clear answer came.
            AuthenticationFailed, and the refusals of `REFUSALS`: nothing was done.
        """
        until = deadline if not_after is None else deadline.within(not_after - Deadline(0).at)
        await self._with_token(self._keeper.ensure(), until, write, permit)
        try:
            return await self._once(write, deadline, permit, not_after)
        except TokenRefused as refused:
            if not await self._with_token(self._keeper.renew(refused.generation), until, write):
                raise refused.error from None
        timeout = None if until.as_timeout is None else until.remaining()
        try:
            fresh = await self._session.permit("place", timeout=timeout)
            return await self._once(write, deadline, fresh, not_after)
        except TokenRefused as refused:
            raise refused.error from None

    async def _once(self, write: Write, deadline: Deadline, permit: Permit | None, not_after: float | None) -> Payload:
        used = 0

        def build() -> WireRequest:
            nonlocal used
            used = self._keeper.generation
            return self._request(write)

        response = await self._session.write(
            build,
            permit=permit,
            deadline=deadline,
            operation=write.operation,
            not_after=not_after,
            order_id=write.order_id,
            client_order_id=write.client_order_id,
        )
        try:
            return self._decode(response, write)
        except TokenRefused as refused:
            refused.generation = used
            raise

    def _request(self, write: Write) -> WireRequest:
        headers, content = self._keeper.headers(), b""
        if write.fields is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(write.fields, separators=(",", ":")).encode()
        return WireRequest(write.method, self._client.url(write.path, write.params), headers, content)

    async def _with_token(self, step: Awaitable[T], until: Deadline, write: Write, permit: Permit | None = None) -> T:
        try:
            async with asyncio.timeout(until.as_timeout):
                return await step
        except Exception as error:
            if permit is not None:
                permit.give_back()
            if isinstance(error, OrderBridgeError) and not isinstance(error, _NO_TOKEN):
                raise
            defect = "" if isinstance(error, _NO_TOKEN) else f"{type(error).__name__}: "
            why = defect + Exception.__str__(error) or "no time left"
            message = f"nothing was done, since there is no valid token: {why}"
            raise NotSent(message, gateway=self._session.gateway, operation=write.operation) from error

    def _decode(self, response: WireResponse, write: Write) -> Payload:
        """The answer to a write that the server says it has done; else its error is raised."""
        where = Where(gateway=self._session.gateway, operation=write.operation)
        try:
            payload = body.load(response.body)
            said = "; ".join(fault_lines(payload)) or explain(payload) or "no reason given"
        except body.Unreadable as unreadable:
            payload, said = None, str(unreadable)
        is_success = 200 <= response.status < 300
        if is_success and isinstance(payload, Mapping) and payload.get("success") is not False:
            return payload
        if response.status == 404 and detail_text(payload) == NO_ROUTE:
            said = f"{said}: nothing is served at {write.path}; is base_url right?"
        facts = self._client.facts(response, payload, where)
        error = write_error(
            write.operation,
            payload,
            self._keeper.redacted(said),
            facts,
            order_id=write.order_id,
            client_order_id=write.client_order_id,
        )
        if isinstance(error.__cause__, RateLimited):
            error.__cause__.retry_after = lock_out_of(response.headers, now=self._client.clock())
            self._session.lock_out(error.__cause__.retry_after, operation=write.operation)
        raise error

    async def cancel(self, write: Write, *, deadline: Deadline) -> Payload:
        """
        Send a cancel by the venue's id, first in line, repeated while nothing certain came of it.

        Raises:
            NotSent, OutcomeUnknown, AuthenticationFailed, and the refusals of `REFUSALS`, as `send` does.
            RefusedLater: such a refusal, but not of the first try.
        """
        tries = _Tries(write)
        error: Exception
        try:
            async with asyncio.timeout(deadline.as_timeout):
                try:
                    return await self._repeat(tries, deadline)
                except TokenRefused as refused:
                    if not await self._keeper.renew(refused.generation):
                        raise
                return await self._repeat(tries, deadline)
        except TokenRefused as refused:
            error = refused.error
        except (AuthenticationFailed, *_NO_TOKEN) as failure:
            error = failure
        where = Where(gateway=self._session.gateway, operation=CANCEL)
        why = Exception.__str__(error) or "no time left"
        if tries.may_have_left:
            raise OutcomeUnknown(
                f"sent, and no clear answer came: {why}",
                order_id=write.order_id,
                client_order_id=write.client_order_id,
                **where,
            ) from error
        if isinstance(error, AuthenticationFailed | RateLimited):
            raise error
        raise NotSent(f"nothing was sent: {why}", **where) from error

    async def _repeat(self, tries: _Tries, deadline: Deadline) -> Payload:
        used = built = 0

        def build() -> WireRequest:
            nonlocal used, built
            used, built = self._keeper.generation, built + 1
            return self._request(tries.write)

        try:
            return await self._session.read(
                build,
                lambda response: self._decode_cancel(response, tries.write),
                deadline=deadline,
                operation=CANCEL,
                lane="cancel",
                refresh=self._keeper.ensure,
            )
        except TokenRefused as refused:
            refused.generation = used
            # This try was refused before anything was done; of those before it nothing is certain.
            tries.may_have_left |= built > 1
            raise
        except (OrderBridgeError, asyncio.CancelledError) as error:
            if isinstance(error, VenueError) and not isinstance(error, AuthenticationFailed | RateLimited):
                # What went wrong with the tries before it is not known here: any of them may have left.
                if tries.may_have_left or built > 1:
                    raise RefusedLater(error) from None
                raise
            tries.may_have_left |= built > 0 and not isinstance(error.__cause__, NothingSent)
            raise

    def _decode_cancel(self, response: WireResponse, write: Write) -> Payload:
        extra = log_facts(self._session.gateway, CANCEL, order_id=write.order_id, client_order_id=write.client_order_id)
        self._session.log.info("%s -> %s", CANCEL, response.status, extra=extra)
        try:
            return self._decode(response, write)
        except OutcomeUnknown as error:
            if response.status not in PASSING and 300 <= response.status < 500:
                raise
            unclear = error
        # Outside, as the error that comes of it would otherwise be among its own causes.
        if isinstance(throttled := unclear.__cause__, RateLimited):
            raise TryAgain(throttled, after=throttled.retry_after)
        text = Exception.__str__(unclear)
        raise TryAgain(VenueUnavailable(text, gateway=unclear.gateway, operation=CANCEL)) from unclear


@dataclass(slots=True)
class _Tries:
    """The tries of one cancel: whether one of them may have reached the server without a clear answer."""

    write: Write
    may_have_left: bool = False
