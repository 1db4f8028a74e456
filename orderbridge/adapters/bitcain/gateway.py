"""The gateway to Bitcain: it awaits and decides; everything else is in the files beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from orderbridge.adapters.bitcain.auth import Credentials, TokenKeeper, TokenProvider
from orderbridge.adapters.bitcain.client import BitcainClient
from orderbridge.adapters.bitcain.listing import Listing, checked_symbol, span_of
from orderbridge.adapters.bitcain.lookup import Lookup
from orderbridge.adapters.bitcain.mapping import VENUE
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.settings import check_settings
from orderbridge.gateway import Capabilities, UnsupportedCalls, order_from
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.policy import Deadline, Retries
from orderbridge.http.session import Session, log_facts
from orderbridge.model.lookup import BadRow, LookupResult, OrderList
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import RefLike
from orderbridge.model.words import OrderStatus
from orderbridge.search import Search

if TYPE_CHECKING:
    from orderbridge.http.engines import EngineLike

# No limit is documented. Burst and refill keep any 60 s at 600 or below, cancels included.
RATE: Final = Rate(burst=60, per_second=9.0)
_NOT_YET: Final = "this version reads only"


class BitcainGateway(UnsupportedCalls):
    """
    One Bitcain account, paper or live: look-up by UUID or client id, open orders, list and history.

    Bitcain documents none of its order answers, so they are read tolerantly: what a row does not say stays
    None, and what contradicts itself is an anomaly. Rows of the other mode are left out.

    Args:
        base_url: the origin, without `/api/v1`. trading_mode: `paper` or `live`. Neither has a default.
        token: a ready bearer token, or an async callable that gives one (asked at first and when refused).
        email, password, refresh_token: for a session that is renewed here.
        exchange, portfolio_id, source, agent_id: what new orders go out with.
        symbols: the venue's spelling of a pair to ours, as in {"BTCUSDT": "BTC/USDT"}.
        scan_since: how far back client ids are sought; there is no look-up by them.
        allow_plain_http: send the token unencrypted to another machine. retries: how reads are repeated.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    venue: str = VENUE
    capabilities: Capabilities = Capabilities(lookup_batch=1, history=True)
    instead: Mapping[str, str] = {
        "submit": _NOT_YET,
        "cancel": _NOT_YET,
        "edit": _NOT_YET,
        "cancel_all": _NOT_YET,
        "fills": "Bitcain documents no fills; see filled_quantity and average_price of an order",
        "markets": "Bitcain documents no market rules",
    }

    def __init__(
        self,
        *,
        base_url: str = "",
        trading_mode: str = "",
        token: str | TokenProvider | None = None,
        email: str | None = None,
        password: str | None = None,
        refresh_token: str | None = None,
        exchange: str = "binanceus",
        portfolio_id: str | None = None,
        source: str = "manual",
        agent_id: str | None = None,
        account: str = "default",
        symbols: Mapping[str, str] | None = None,
        scan_since: timedelta = timedelta(days=7),
        transport: EngineLike = "auto",
        limits: LimitsLike = "venue",
        clock: Callable[[], float] = time.time,
        allow_plain_http: bool = False,
        retries: Retries | None = None,
    ) -> None:
        self.settings = check_settings(
            base_url=base_url,
            trading_mode=trading_mode,
            allow_plain_http=allow_plain_http,
            symbols=symbols,
            scan_since=scan_since,
            exchange=exchange,
            portfolio_id=portfolio_id,
            source=source,
            agent_id=agent_id,
        )
        self.account = account
        self.name = gateway_name(VENUE, account)
        origin = self.settings.base_url
        credentials = Credentials.of(token, email, password, refresh_token)
        limiter = shared_limiter((VENUE, origin, credentials.fingerprint(account)), limits, venue=RATE)
        self._session = Session(gateway=self.name, venue=VENUE, transport=transport, limiter=limiter, retries=retries)
        self._keeper = TokenKeeper(credentials, base_url=origin, session=self._session, clock=clock)
        self._reads = BitcainReads(
            BitcainClient(base_url=origin, session=self._session, keeper=self._keeper, clock=clock),
            account=account,
            mode=self.settings.mode,
            known_symbols=self.settings.symbols,
            clock=clock,
        )

    def __repr__(self) -> str:
        settings = self.settings
        return (
            f"BitcainGateway(base_url={settings.base_url!r}, trading_mode={settings.mode!r}, account={self.account!r})"
        )

    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""
        return await self._session.permit(lane, timeout=timeout)

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        What became of each: UUIDs are asked for one by one, client ids sought in the list back to `scan_since`.

        A client id that is not found is undecided, since older orders were not searched. A bare UUID is an
        order id or, if there is no such order, a client id. An order of the other mode cannot be asked for.

        Raises:
            ConfigurationError: a ref names another gateway, or nothing is served at `base_url`.

        Source: Bitcain, "Get Order Details", "List User Orders".
        """
        search = Search(self.name, refs)
        if not refs:
            return search.result()
        self._session.check_usable()
        deadline = Deadline(timeout)
        call = Lookup(search, self._reads, deadline=deadline, scan_since=self.settings.scan_since)
        try:
            async with asyncio.timeout(deadline.as_timeout):
                await call.run()
        except TimeoutError:
            pass  # what is known by now is the result
        return search.result()

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`; see `orderbridge.gateway.order_from` for what it raises."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=self.name)

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every order that may be live, of our mode or of none stated: the whole list is read, to its end.

        The list is not filtered by the server, whose words for status and symbol are not documented.

        Raises:
            VenueUnavailable, UnexpectedResponse, RateLimited, AuthenticationFailed, PermissionDenied: then
                nothing is known of what is open.

        Source: Bitcain, "List User Orders".
        """
        wanted = checked_symbol(symbol)
        deadline = Deadline(timeout)
        as_of = self._reads.now()
        orders: list[Order] = []
        bad_rows: list[BadRow] = []
        async for batch in self._reads.list_pages({}, symbol=wanted, pace=lambda: deadline, operation="open_orders"):
            orders += [order for order in batch.orders if order.may_be_live and wanted in {None, order.symbol}]
            bad_rows += batch.bad_rows
        return OrderList(orders=tuple(orders), as_of=as_of, bad_rows=tuple(bad_rows))

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> AsyncIterator[Order]:
        """
        Orders created from `since` to `until`, from list and history, each once, newest first where times say so.

        Args:
            symbol, status: in our words, filtered here.
            timeout: per page.
            venue_filters: `portfolio_id`, `order_status` (one word of the server's), `limit` (the page size).

        Raises:
            ConfigurationError: at once, for arguments that mean nothing here.
            UnexpectedResponse: after the good rows, if some could not be read; it carries them.

        Source: Bitcain, "List User Orders", "Get Order History".
        """
        span = span_of(since, until, symbol, status, venue_filters)

        def warn(text: str) -> None:
            self._session.log.warning("%s", text, extra=log_facts(self.name, "orders"))

        return Listing(self._reads, span, self.name, pace=lambda: Deadline(timeout), warn=warn).orders()

    async def aclose(self) -> None:
        """Close the connections. A closed gateway cannot be used again."""
        await self._keeper.aclose()
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
