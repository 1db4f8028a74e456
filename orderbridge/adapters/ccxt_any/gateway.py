"""CcxtGateway: one account at any spot exchange that ccxt speaks, behind the shared interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, Self

from orderbridge.adapters.ccxt_any.cancels import cancelling
from orderbridge.adapters.ccxt_any.client import CALL_SECONDS, Answered, CcxtCall, CcxtClient
from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.exchanges import (
    address_of,
    check_calls,
    check_credentials,
    check_proxies,
    check_settings,
    digest_of,
    is_sandbox,
    make_exchange,
    secrets_of,
    take_exchange,
)
from orderbridge.adapters.ccxt_any.lookup import look_up
from orderbridge.adapters.ccxt_any.markets import CcxtMarkets
from orderbridge.adapters.ccxt_any.outgoing import creation, order_from_answer, refuse_side, stated_in_answer
from orderbridge.adapters.ccxt_any.overrides import OVERRIDES
from orderbridge.adapters.ccxt_any.reads import CcxtReads
from orderbridge.adapters.ccxt_any.traits import corrected, declared
from orderbridge.adapters.ccxt_any.wire import Wire
from orderbridge.errors import NotSupported
from orderbridge.gateway import Capabilities, Mode, UnsupportedCalls, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import NothingSent, WireRequest, WireResponse
from orderbridge.model.basics import OrderStatus, Symbol
from orderbridge.model.order import Fill, Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import RefLike
from orderbridge.model.request import Market, OrderRequest
from orderbridge.model.results import LookupResult, OrderList
from orderbridge.venue.lists import stream
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.submit import Placing, Unclear

# Where ccxt names no pace: one request a second.
_SLOW_MILLISECONDS: Final = 1000.0


def rate_of(exchange: Any) -> Rate:
    """
    Our lanes by ccxt's pace of an exchange (`rateLimit`: milliseconds between requests of weight one).

    A burst of a second's worth and a tenth of a minute's at most; with the refill no 60 s go over the figure.
    """
    told = getattr(exchange, "rateLimit", None)
    pause = float(told) if isinstance(told, (int, float)) and told > 0 else _SLOW_MILLISECONDS
    a_minute = 60_000 / pause
    burst = max(1, min(int(a_minute / 10), int(1000 / pause)))
    return Rate(burst=burst, per_second=(a_minute - burst if a_minute > burst else a_minute / 2) / 60)


class _CcxtSends:
    """Stands where a gateway's own HTTP engine would: here ccxt's object sends."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        raise NothingSent("ccxt's object sends the requests of this gateway")

    async def aclose(self) -> None:
        """Nothing to close."""


class CcxtGateway(UnsupportedCalls):
    """
    One account at a spot exchange of ccxt's. What it can do is in `capabilities`, which differ by exchange.

    Args:
        exchange: ccxt's id, such as `"kraken"`; or an object of `ccxt.async_support`. An object is this gateway's while
            it lives: it works with exact numbers, without ccxt's limiter and retries, on the spot market. `aclose` puts
            it back as it was and does not close it: whoever made it does.
        config: ccxt's, with an id only: credentials (`apiKey`, `secret`, `password` … or `api_key`, `api_secret`; text
            or SecretStr), `urls`, `options`, `timeout` in milliseconds.
        account: the label of these credentials.
        limits: `"venue"` for ccxt's pace of the exchange, None for no pacing, or a `Rate`.
        sandbox: the exchange's test address, where ccxt knows one; with an id only.
        clock: epoch seconds, for client order ids and `observed_at`.
        retries: how reads are repeated.

    Raises:
        ConfigurationError: no ccxt or no such exchange, credentials missing, a config or a proxy that cannot be used.
        NotSupported: an exchange without a spot market, or without the calls that orders need.

    Source: ccxt's manual, docs.ccxt.com.
    """

    instead: Mapping[str, str] = {
        "edit": "ccxt cancels and places anew: call cancel, then submit, each with its own outcome",
        "orders": "use open_orders, lookup or fills",
    }

    @checked_call
    def __init__(
        self,
        exchange: Any,
        *,
        config: Mapping[str, Any] | None = None,
        account: str = "default",
        limits: LimitsLike = "venue",
        sandbox: bool = False,
        clock: Callable[[], float] = time.time,
        retries: Retries | None = None,
    ) -> None:
        check_settings(config, sandbox)
        is_ours = isinstance(exchange, str)
        make = make_exchange if is_ours else take_exchange
        known = make(exchange, config, sandbox=sandbox)
        check_calls(known)
        check_credentials(known)
        check_proxies(known)
        self._is_ours = is_ours
        self._exchange = known
        self.venue = f"ccxt.{known.id}"
        self.account = account
        self.name = gateway_name(self.venue, account)
        self._traits = corrected(declared(known), OVERRIDES.get(known.id, ()))
        self.capabilities: Capabilities = self._traits.capabilities
        self._clock = clock
        limiter = shared_limiter((self.venue, address_of(known), digest_of(known)), limits, venue=rate_of(known))
        self._session = Session(
            gateway=self.name, venue=self.venue, transport=_CcxtSends(), limiter=limiter, retries=retries
        )
        self._wire = Wire(known, limiter, log=self._session.log.name)
        codes = CcxtCodes(
            gateway=self.name,
            secrets=secrets_of(known),
            refusals=self._traits.refusals,
            code_at=self._traits.code_at,
            order_rows_at=self._traits.order_rows_at,
        )
        self._client = CcxtClient(
            known,
            session=self._session,
            codes=codes,
            gets_write=self._traits.gets_write,
            is_watched=lambda: self._wire.is_intact,
        )
        self._markets = CcxtMarkets(self._client)
        memory = OrderMemory()
        self._reads = CcxtReads(
            self._client,
            self._markets,
            traits=self._traits,
            memory=memory,
            venue=self.venue,
            account=account,
            clock=clock,
        )
        self._placing = Placing(
            sender=self._client.sender,
            capabilities=self._traits.capabilities,
            clock=clock,
            screen=lambda request: refuse_side(request, self._traits, self.name),
            markets=self._markets.store,
            call=self._new,
            said=self._said_of_new,
            stated=lambda done: stated_in_answer(done.value),
            known=memory.created,
        )
        self._cancelling = cancelling(self._client, self._reads)

    def _new(self, request: OrderRequest, client_order_id: str | None) -> CcxtCall:
        ids = self._traits.client_ids
        sent_as = {ids.sent_as: client_order_id} if ids and client_order_id else {}
        self._reads.memory.sending(client_order_id, request.symbol)
        make = creation(request, symbol=self._markets.spelled(request.symbol) or "", ids=sent_as)
        return CcxtCall(operation="submit", make=make, client_order_id=client_order_id)

    async def _said_of_new(self, done: Answered, request: OrderRequest, call: CcxtCall, deadline: Deadline) -> Order:
        order_id = done.value.get("id") if isinstance(done.value, dict) else None
        if not isinstance(order_id, str) or not order_id.strip():
            raise Unclear("the answer names no order id")
        if not all(sent.status is not None and sent.status < 300 for sent in done.call.writes):
            raise Unclear("the answer is no good one", order_id=order_id)
        return order_from_answer(
            done.value,
            request,
            order_id=order_id,
            client_order_id=call.client_order_id,
            venue=self.venue,
            account=self.account,
            observed_at=self._reads.now(),
            step=self._markets.step(request.symbol),
            numbered_by_market=self._traits.numbers_by_market,
        )

    # ccxt's own limit for a request is the caller's to change; this one ends every call, however ccxt connects.
    longest_attempt = CALL_SECONDS

    # Read anew each time: a caller's own object may be switched between exchange and sandbox.
    @property
    def address(self) -> str:  # type: ignore[override]
        """Where requests go."""
        return address_of(self._exchange)

    @property
    def mode(self) -> Mode:  # type: ignore[override]
        """`sandbox` where it trades on the exchange's test address."""
        return "sandbox" if is_sandbox(self._exchange) else "live"

    def __repr__(self) -> str:
        sandbox = ", sandbox" if self.mode == "sandbox" else ""
        return f"CcxtGateway({self.name!r}, base_url={self.address!r}{sandbox})"

    @checked_call
    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""
        self._client.check_usable()
        return await self._session.permit(lane, timeout=timeout)

    @checked_call
    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """
        Send a new order once, and return what the answer states; the rest is as it was asked for, fills unknown.

        Amounts off the exchange's steps are refused, never rounded. The markets are loaded first where they are not.

        Args:
            request: quantity in base or quote_quantity in quote, price in quote per base.
            permit: from `permit("place")`; one is taken when there is none.
            not_after: loop time after which nothing is sent.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            NotSent: no permit or markets in time, too late, or unreachable.
            OrderRejected (InsufficientFunds, InvalidOrder), AuthenticationFailed, PermissionDenied: by the exchange.
            DuplicateClientOrderId: an order has this client order id; it is no rejection.
            OutcomeUnknown: sent, and no clear answer, or one without an id. Resolve it; do not send it again.
        """
        self._client.check_usable()
        return await self._placing.submit(request, permit=permit, not_after=not_after, deadline=Deadline(timeout))

    @checked_call
    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        What became of each order, one request for each id. Where the exchange wants an order's symbol too, the ref's
        is used, or that of an order seen here; without one only open orders are searched.

        By client id only where `capabilities` have such ids: directly, or among the open orders.

        Raises:
            ConfigurationError: a ref of another gateway, a closed gateway, a second loop.
        """
        self._client.check_usable()
        return await look_up(self._reads, refs, Deadline(timeout))

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=self.name)

    @checked_call
    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """
        Cancel an order, and return it as it is after that: perhaps filled, perhaps still working, then with
        `cancel_requested`. An acknowledgement is no end.

        Raises:
            OrderNotFound: neither cancelled nor shown. OrderDenied: a text that is no order id.
            NotSupported: the exchange needs the order's symbol, and it is not known.
            OutcomeUnknown: sent, and neither the answer nor the order could be read: look it up, cancel again.
            NotSent, AuthenticationFailed, PermissionDenied, VenueError: nothing was cancelled.
        """
        self._client.check_usable()
        return await self._cancelling.cancel(ref, deadline=Deadline(timeout))

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """
        Cancel every open order on the spot market, or of one symbol, one by one, and return them as they are after it.

        ccxt's own call for all is not used: on some exchanges it takes in contracts and margin.

        Raises:
            UnexpectedResponse: the rest was cancelled; `bad_rows` were not touched, since they could not be read.
            OutcomeUnknown: of some it is not certain; the message names them.
            The errors of `open_orders`: nothing was cancelled. An error that all of them shared.
        """
        self._client.check_usable()
        self._reads.check_symbol(symbol, "cancel_all")
        market = None if symbol is None else Symbol(symbol)
        return await self._cancelling.cancel_all(symbol=market, deadline=Deadline(timeout))

    @checked_call
    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every open order, of one symbol or of all: complete, or it raises.

        Raises:
            UnexpectedResponse: the answer may be one page of more. NotSupported: an unknown symbol, a contract, or an
                exchange with too many markets to ask for each. The errors of a read.
        """
        self._client.check_usable()
        self._reads.check_symbol(symbol, "open_orders")
        as_of = self._reads.now()
        rows = await self._reads.open_orders(symbol=symbol, deadline=Deadline(timeout))
        return OrderList(orders=tuple(rows.good), as_of=as_of, bad_rows=tuple(rows.bad))

    @checked_call
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
        The orders created since a moment, newest first, from answers that are shown to hold them all.

        Raises, while iterating:
            UnexpectedResponse: the answer may be one page of more; or, after the good rows, there were bad ones.
        """
        listing = self._traits.orders
        if not listing.exists:
            self._lacks("orders")
        window = self._reads.window(listing, "orders", since=since, until=until, symbol=symbol, status=status)
        self._reads.check_named(symbol, listing, "orders")
        if venue_filters:
            message = f"{self.name} takes no filters {', '.join(venue_filters)}"
            raise NotSupported(message, gateway=self.name, operation="orders")
        pages = self._reads.orders_since(window, timeout=timeout)
        return stream(pages, window, gateway=self.name, operation="orders")

    @checked_call
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
        The trades of one order, or of the account, newest first, from answers that are shown to hold them all.

        Raises, while iterating:
            UnexpectedResponse: the answer may be one page of more; or, after the good rows, there were bad ones.
        """
        listing = self._traits.trades
        window = self._reads.window(listing, "fills", since=since, until=until, symbol=symbol)
        if not (listing.exists or (ref is not None and self._traits.order_trades)):
            self._lacks("fills")
        if ref is not None:
            look = partial(look_up, self._reads.in_lane("resolve"))
            pages = self._reads.trades_by_ref(ref, look, window, timeout=timeout)
        else:
            self._reads.check_named(symbol, listing, "fills")
            pages = self._reads.trades_since(window, timeout=timeout)
        return stream(pages, window, gateway=self.name, operation="fills")

    @checked_call
    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """
        The spot markets and their rules: kept once loaded, loaded anew with `refresh`. Fees are left out, since ccxt's
        are the exchange's general ones.

        Raises:
            VenueUnavailable, UnexpectedResponse, RateLimited.
        """
        self._client.check_usable()
        return await self._markets.store.get(deadline=Deadline(timeout), refresh=refresh)

    async def aclose(self) -> None:
        """
        Close the connections, or give a caller's exchange object back. The gateway cannot be used again.

        Orders and cancels that are on their way are waited for, half a minute at most.
        """
        if self._session.is_the_parents:
            return
        await self._session.aclose()
        try:
            await self._markets.store.aclose()
            await self._client.settled()
        finally:
            self._wire.release()
            if self._is_ours:
                await self._exchange.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
