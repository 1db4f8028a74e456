"""One signed request out, one decoded payload in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote, urlencode

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.auth import TokenKeeper
from orderbridge.adapters.bitcain.codes import (
    ERROR_FOR,
    HistoryHidden,
    TokenRefused,
    Verdict,
    code_of,
    explain,
    is_proof_of_absence,
    is_shadowed_history,
    lock_out_of,
    verdict_on_read,
)
from orderbridge.adapters.bitcain.envelope import Shapeless
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    RateLimited,
    UnexpectedResponse,
    VenueError,
    VenueFacts,
    VenueUnavailable,
    Where,
)
from orderbridge.http import body
from orderbridge.http.retry import Deadline, TryAgain, retry_after
from orderbridge.http.session import Session
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.model.permit import Lane

T = TypeVar("T")
_COLLECTIONS: Final = frozenset({wire.ORDERS, wire.HISTORY})


class BitcainClient:
    """Makes reads: with the token, repeated where that helps, each refusal as its error."""

    def __init__(self, *, base_url: str, session: Session, keeper: TokenKeeper, clock: Callable[[], float]) -> None:
        self.session = session
        self.keeper = keeper
        self.clock = clock
        self._base_url = base_url
        self._lane: Lane = "read"

    def in_lane(self, lane: Lane) -> Self:
        """The same client, whose reads wait in another lane."""
        other = copy.copy(self)
        other._lane = lane
        return other

    def url(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """The address of a path with its query."""
        return self._base_url + path + (f"?{urlencode(params, quote_via=quote, safe='')}" if params else "")

    async def get(
        self,
        path: str,
        find: Callable[[Any], T],
        *,
        params: Mapping[str, str] | None = None,
        deadline: Deadline,
        operation: str,
    ) -> T:
        """
        Read `path`, and what `find` finds in the answer (Shapeless: it is not there).

        Raises:
            AuthenticationFailed: the token was refused, and so was a newer one, or there is none.
            OrderNotFound: the server says that it has no such order.
            HistoryHidden: this server does not serve its history.
            UnexpectedResponse, VenueUnavailable, RateLimited, PermissionDenied, VenueError, ConfigurationError.
        """
        url = self.url(path, params)

        def decode(response: WireResponse) -> T:
            return self._decode(response, path, find, operation)

        try:
            return await self._once(url, decode, deadline, operation)
        except TokenRefused as refused:
            if not await self.keeper.renew(refused.generation):
                raise refused.error from refused
        try:
            return await self._once(url, decode, deadline, operation)
        except TokenRefused as refused:
            raise refused.error from refused

    async def _once(self, url: str, decode: Callable[[WireResponse], T], deadline: Deadline, operation: str) -> T:
        used = 0

        def build() -> WireRequest:
            nonlocal used
            used = self.keeper.generation
            return WireRequest("GET", url, self.keeper.headers())

        try:
            return await self.session.read(
                build,
                decode,
                deadline=deadline,
                operation=operation,
                lane=self._lane,
                refresh=self.keeper.ensure,
            )
        except TokenRefused as refused:
            refused.generation = used
            raise

    def _decode(self, response: WireResponse, path: str, find: Callable[[Any], T], operation: str) -> T:
        where = Where(gateway=self.session.gateway, operation=operation)
        is_success = 200 <= response.status < 300
        try:
            payload = body.load(response.body)
        except body.Unreadable as error:
            if is_success:
                shown = self.keeper.shown(response.body)
                raise TryAgain(UnexpectedResponse(f"the answer is {error}", body=shown, **where)) from error
            payload = None
        if not is_success:
            raise self._refusal(response, payload, path, where)
        if isinstance(payload, Mapping) and payload.get("success") is False:
            text = self.keeper.redacted(explain(payload)) or "it says success: false without a reason"
            raise VenueError(text, **self.facts(response, payload, where))
        try:
            return find(payload)
        except Shapeless as error:
            shown = self.keeper.shown(response.body)
            keys = tuple(map(self.keeper.redacted, error.keys))
            raise UnexpectedResponse(self.keeper.redacted(str(error)), keys=keys, body=shown, **where) from None

    def _refusal(self, response: WireResponse, payload: object, path: str, where: Where) -> Exception:
        status = response.status
        said = self.keeper.redacted(explain(payload)) or body.describe(response.body)
        text = f"HTTP {status}: {said}"
        verdict = verdict_on_read(status, payload)
        facts = self.facts(response, payload, where)
        if path == wire.HISTORY and (status == 404 or (status == 422 and is_shadowed_history(payload))):
            return HistoryHidden("history is not reachable on this server")
        match verdict:
            case Verdict.CREDENTIALS:
                return TokenRefused(AuthenticationFailed(text, **facts))
            case Verdict.AGAIN:
                wait = retry_after(response.headers.get("retry-after"), now=self.clock())
                return TryAgain(VenueUnavailable(text, **where), after=wait)
            case Verdict.THROTTLED:
                seconds = lock_out_of(response.headers, now=self.clock())
                return self.session.throttled(RateLimited(text, retry_after=seconds, **facts), seconds=seconds)
            case Verdict.MOVED:
                goal = response.headers.get("location", "elsewhere")
                hint = f"HTTP {status} sends us to {self.keeper.redacted(goal)}: is base_url {self._base_url} right?"
                return UnexpectedResponse(hint, **where)
            case Verdict.ABSENT if not is_proof_of_absence(payload) or path in _COLLECTIONS:
                return self._no_route(path, text, response, where)
            case _:
                return ERROR_FOR[verdict](text, **facts)

    def _no_route(self, path: str, text: str, response: WireResponse, where: Where) -> Exception:
        hint = f"{text}; nothing is served at {path}: is base_url {self._base_url} right?"
        if path in _COLLECTIONS:
            return ConfigurationError(hint, **where)
        return UnexpectedResponse(hint, body=self.keeper.shown(response.body), **where)

    def _told(self, text: str | None) -> str | None:
        return None if text is None else self.keeper.redacted(text)

    def facts(self, response: WireResponse, payload: object, where: Where) -> VenueFacts:
        """What an error tells of an answer, redacted."""
        return VenueFacts(
            gateway=where["gateway"],
            operation=where["operation"],
            code=self._told(code_of(payload)),
            http_status=response.status,
            request_id=self._told(response.headers.get("x-request-id")),
            body=self.keeper.shown(response.body),
        )
