"""BitsoGateway: one account at Bitso behind the shared interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from pydantic import SecretStr

from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.client import PRIVATE_RATE, PUBLIC_RATE, BitsoClient
from orderbridge.adapters.bitso.lookup import BATCH, BitsoLookup
from orderbridge.adapters.bitso.mapping import VENUE, book_from_symbol
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.errors import ConfigurationError, UnexpectedResponse
from orderbridge.gateway import Capabilities, ClientIdRule, UnsupportedCalls, order_from
from orderbridge.http.limits import LimitsLike, shared_limiter
from orderbridge.http.policy import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import check_address
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import BadRow, LookupResult, OrderList
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.words import Idempotency
from orderbridge.search import Search, parse_refs

if TYPE_CHECKING:
    from orderbridge.http.engines import EngineLike

PRODUCTION: Final = "https://bitso.com/api/v3"
CAPABILITIES: Final = Capabilities(
    client_order_id=ClientIdRule(alphabet="A-Za-z0-9_-", max_length=40),
    idempotency=Idempotency.WHILE_ACTIVE,
    lookup_batch=BATCH,
    fills=True,
    cancels_counted=False,
)


class BitsoGateway(UnsupportedCalls):
    """
    One account at Bitso v3.

    Args:
        api_key, api_secret: of a key that may view orders.
        base_url: with `/api/v3`; Bitso's staging is `https://stage.bitso.com/api/v3`.
        transport: `"auto"`, `"httpx"`, `"aiohttp"`, an `httpx.AsyncClient` or a `Transport`.
        limits: `"venue"` for Bitso's published figures, None for no pacing, or a `Rate`.
        clock: epoch seconds, for nonces and for `observed_at`.
        rebuild_limit: ids per look-up that are rebuilt from their trades once Bitso no longer shows them.

    Raises:
        ConfigurationError: no key or secret, or an address that is none.

    Source: Bitso API v3, docs.bitso.com.
    """

    venue: Final = VENUE
    capabilities: Final = CAPABILITIES
    instead: Mapping[str, str] = {"orders": "Bitso lists open orders only: use open_orders, lookup or fills"}

    def __init__(
        self,
        *,
        api_key: str | SecretStr,
        api_secret: str | SecretStr,
        base_url: str = PRODUCTION,
        account: str = "default",
        transport: EngineLike = "auto",
        limits: LimitsLike = "venue",
        clock: Callable[[], float] = time.time,
        rebuild_limit: int = 50,
        retries: Retries | None = None,
        allow_plain_http: bool = False,
    ) -> None:
        check_address(base_url, allow_plain_http=allow_plain_http)
        self.account = account
        self.name = gateway_name(VENUE, account)
        self._base_url = base_url.rstrip("/")
        self._rebuild_limit = rebuild_limit
        signer = Signer(api_key, api_secret, clock=clock)
        if not all(secret.isascii() and secret.isprintable() and secret for secret in signer.secrets):
            raise ConfigurationError("Bitso needs an api_key and an api_secret in plain characters", gateway=self.name)
        private = shared_limiter((VENUE, self._base_url, signer.digest), limits, venue=PRIVATE_RATE)
        # Bitso counts public calls by address, so all keys of this machine share them.
        public = shared_limiter((VENUE, self._base_url, "public"), limits, venue=PUBLIC_RATE)
        session = Session(gateway=self.name, venue=VENUE, transport=transport, limiter=private, retries=retries)
        self._client = BitsoClient(
            session=session, public=session.beside(public), signer=signer, base_url=self._base_url
        )
        self._reads = BitsoReads(self._client, account=account, clock=clock)

    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request; cancels never wait. Raises NotSent when none comes in time."""
        return await self._client.session.permit(lane, timeout=timeout)

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        What became of each order: by oid, by origin id, or by either where the ref does not say.

        Fifty ids cost one request. Bitso forgets an order within an hour of its end, often at once; such an
        order is rebuilt from its trades and comes back `ended`, inferred. A miss never proves absence.

        Raises:
            ConfigurationError: a ref of another gateway, a closed gateway, a second loop, a wrong address.

        Source: Bitso API v3, "Look Up Orders", "List Order Trades".
        """
        self._client.session.check_usable()
        search = Search(self.name, refs)
        await BitsoLookup(self._reads, search, deadline=Deadline(timeout), rebuild_limit=self._rebuild_limit).run()
        return search.result()

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=self.name)

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every open order, of one symbol or of all: complete, or it raises.

        Raises:
            UnexpectedResponse: more orders than Bitso shows. VenueUnavailable and VenueErrors: as named.

        Source: Bitso API v3, "List Open Orders".
        """
        self._check_symbol(symbol)
        as_of = self._reads.now()
        rows = await self._reads.open_orders(symbol=symbol, deadline=Deadline(timeout))
        return OrderList(orders=tuple(rows.good), as_of=as_of, bad_rows=tuple(rows.bad))

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Fill]:
        """
        The trades of one order, or of the account, newest first. `timeout` is per page.

        Raises, while iterating:
            OrderNotFound: Bitso knows no trades under the ref.
            UnexpectedResponse: after all good rows, when there were bad ones; it carries them.

        Source: Bitso API v3, "User Trades", "List Order Trades".
        """
        self._check_symbol(symbol)
        if ref is None:
            return self._account_fills(since, until, symbol, timeout)
        (known,) = parse_refs([ref], gateways=[self.name])
        return self._order_fills(known, since, until, symbol, timeout)

    async def _account_fills(
        self, since: datetime | None, until: datetime | None, symbol: str | None, timeout: float | None
    ) -> AsyncIterator[Fill]:
        bad: list[BadRow] = []
        async for page in self._reads.account_trades(since=since, until=until, symbol=symbol, timeout=timeout):
            bad.extend(page.bad)
            for fill in page.good:
                yield fill
        self._raise_bad(bad)

    async def _order_fills(
        self,
        ref: OrderRef,
        since: datetime | None,
        until: datetime | None,
        symbol: str | None,
        timeout: float | None,
    ) -> AsyncIterator[Fill]:
        rows = await self._reads.trades_by_ref(ref, deadline=Deadline(timeout))
        for fill in rows.good:
            in_time = fill.created_at is None or (
                (since is None or fill.created_at >= since) and (until is None or fill.created_at <= until)
            )
            if in_time and (symbol is None or fill.symbol == symbol.upper()):
                yield fill
        self._raise_bad(rows.bad)

    def _raise_bad(self, bad: list[BadRow]) -> None:
        if bad:
            raise UnexpectedResponse(
                f"{len(bad)} trades could not be read; the others were given",
                bad_rows=tuple(bad),
                gateway=self.name,
                operation="fills",
            )

    def _check_symbol(self, symbol: str | None) -> None:
        if symbol is not None:
            try:
                book_from_symbol(symbol)
            except ValueError as error:
                raise ConfigurationError(str(error), gateway=self.name) from error

    async def aclose(self) -> None:
        """Close the connections. The gateway cannot be used again."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"BitsoGateway({self.name!r}, base_url={self._base_url!r})"
