"""BitsoGateway: one account at Bitso behind the shared interface."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.cancels import cancelling
from orderbridge.adapters.bitso.codes import CODES, understand
from orderbridge.adapters.bitso.edits import check_answer, checked_edit
from orderbridge.adapters.bitso.mapping import VENUE, WAITING_MAY_BE_MISSING, book_from_symbol
from orderbridge.adapters.bitso.markets import BitsoRules
from orderbridge.adapters.bitso.outgoing import (
    TYPE_TO_WIRE,
    modify_to_wire,
    oid_from_answer,
    order_from_answer,
    order_to_wire,
    stated_in_answer,
)
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.adapters.bitso.rebuild import BATCH, look_up
from orderbridge.client_ids import mint
from orderbridge.errors import (
    ConfigurationError,
    InvalidOrder,
    OrderBridgeError,
    OrderNotFound,
    OrderRejected,
)
from orderbridge.gateway import Capabilities, ClientIdRule, Mode, UnsupportedCalls, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import check_address
from orderbridge.model.basics import EditClass, Idempotency, Symbol, TimeInForce
from orderbridge.model.lifecycle import SETTLE_TIME
from orderbridge.model.order import Fill, Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import CancelledOrders, LookupResult, OrderList
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.codes import Meaning
from orderbridge.venue.edit import Editing
from orderbridge.venue.lists import stream, window_of
from orderbridge.venue.markets import MarketsLike, MarketStore, amounts_of
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.sender import HttpCall, HttpChannel, Sender
from orderbridge.venue.submit import Placing

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

PRODUCTION: Final = "https://bitso.com/api/v3"
# Source: Bitso API v3, "General Concepts": production and staging.
_SANDBOXES: Final = frozenset({"stage.bitso.com", "api-stage.bitso.com", "sandbox.bitso.com", "api-sandbox.bitso.com"})
_CLIENT_ID_LENGTH: Final = 40
CAPABILITIES: Final = Capabilities(
    order_types=frozenset(TYPE_TO_WIRE),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    quote_sizing=True,
    slippage_tolerance=True,
    post_only=True,
    client_order_id=ClientIdRule(alphabet="A-Za-z0-9_-", max_length=_CLIENT_ID_LENGTH),
    idempotency=Idempotency.WHILE_ACTIVE,
    lookup_batch=BATCH,
    cancel_batch=BATCH,
    edit=EditClass.IN_PLACE,
    fills=True,
    markets=True,
    cancel_all=True,
    funds_refusal_is_distinct=True,
    cancels_counted=False,
    open_orders_may_lack=WAITING_MAY_BE_MISSING,
)


# Source: Bitso API v3, "General Concepts", rate limits: 300 private calls a minute by user, 60 public ones by
# IP, cancels not counted. A burst and a refill that together never pass the figure in any 60 s.
PRIVATE_RATE: Final = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
PUBLIC_RATE: Final = Rate(burst=20, per_second=40 / 60)


def _new_order(request: OrderRequest, client_order_id: str | None) -> HttpCall:
    fields = order_to_wire(request, client_order_id=client_order_id or "")
    return HttpCall(operation="submit", path="/orders", method="POST", fields=fields, client_order_id=client_order_id)


class BitsoGateway(UnsupportedCalls):
    """
    One account at Bitso v3.

    Args:
        api_key, api_secret: of a key that may view orders, and place them if it is to.
        base_url: with `/api/v3`; Bitso's staging is `https://stage.bitso.com/api/v3`.
        transport: `"auto"`, `"httpx"`, `"aiohttp"`, an `httpx.AsyncClient` or a `Transport`.
        limits: `"venue"` for Bitso's published figures, None for no pacing, or a `Rate`.
        markets: `"lazy"` loads the markets' rules on first need and holds every order against them before it is
            sent; a mapping gives them; None switches the check off.
        clock: epoch seconds, for nonces, client order ids and `observed_at`.
        elapsed: seconds from any beginning, by a clock that nobody sets. Whoever moves `clock` by hand, as in a test,
            gives one that moves with it.
        rebuild_limit: ids per look-up that are rebuilt from their trades once Bitso no longer shows them.
        settle_time: seconds after which Bitso shows every order that it took, and every trade of one that is over; an
            order must be lacking for so long, by `clock` and by `elapsed`, before it is concluded that no more of it
            was filled.

    Raises:
        ConfigurationError: no key or secret, or an address that is none.

    Source: Bitso API v3, docs.bitso.com.
    """

    venue: str = VENUE
    capabilities: Capabilities = CAPABILITIES
    address_tells_mode = True
    instead: Mapping[str, str] = {"orders": "Bitso lists open orders only: use open_orders, lookup or fills"}

    @checked_call
    def __init__(
        self,
        *,
        api_key: str | SecretStr,
        api_secret: str | SecretStr,
        base_url: str = PRODUCTION,
        account: str = "default",
        transport: EngineLike = "auto",
        limits: LimitsLike = "venue",
        markets: MarketsLike = "lazy",
        clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
        rebuild_limit: int = 50,
        settle_time: float = SETTLE_TIME,
        retries: Retries | None = None,
        allow_plain_http: bool = False,
    ) -> None:
        check_address(base_url, allow_plain_http=allow_plain_http)
        self.settle_time = settle_time
        self.account = account
        self.name = gateway_name(VENUE, account)
        self.address = base_url.rstrip("/")
        # An address that is not known is taken for real money.
        self.mode: Mode | None = "sandbox" if urlsplit(self.address).hostname in _SANDBOXES else "live"
        signer = Signer(api_key, api_secret, clock=clock)
        private = shared_limiter((VENUE, self.address, signer.digest), limits, venue=PRIVATE_RATE)
        # Bitso counts public calls by address, so all keys of this machine share them.
        public = shared_limiter((VENUE, self.address, "public"), limits, venue=PUBLIC_RATE)
        session = Session(gateway=self.name, venue=VENUE, transport=transport, limiter=private, retries=retries)
        self.longest_attempt = session.longest_attempt(self.address)
        channel = HttpChannel(session, base_url=self.address, auth=signer, understand=understand)
        self._client = Sender(channel, session, CODES, public=session.beside(public))
        self._clock = clock
        self._signer = signer
        self._memory = OrderMemory(elapsed=elapsed)
        self._reads = BitsoReads(self._client, account=account, clock=clock, memory=self._memory)
        self._markets = MarketStore(
            BitsoRules(self._client).rules, gateway=self.name, log=session.log, address=self.address, given=markets
        )
        self._placing = Placing(
            gateway=self.name,
            log=session.log,
            capabilities=self.capabilities,
            mint=lambda: mint(self._clock(), max_length=_CLIENT_ID_LENGTH),
            hold=self._hold,
            call=_new_order,
            send=self._send_new,
            said=self._said_of_new,
            stated=stated_in_answer,
            known=self._memory.take,
        )
        resolving = self._reads.in_lane("resolve")
        self._look_up = partial(look_up, rebuild_limit=rebuild_limit, settle_time=settle_time)
        # Beside a cancel or an edit: before other reads.
        self._resolve = partial(self._look_up, resolving)
        self._cancelling = cancelling(self._client, resolving, self._resolve)
        self._editing = Editing(
            find=self._find,
            check=checked_edit,
            markets=self._markets,
            send=self._send_edit,
            shown=check_answer,
            read_back=self._read_back,
            may_be_state=lambda refused: isinstance(refused, (OrderNotFound, OrderRejected)),
            unconfirmed=self._memory.update,
        )

    @checked_call
    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request; cancels never wait. Raises NotSent when none comes in time."""
        return await self._client.session.permit(lane, timeout=timeout)

    @checked_call
    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        What became of each order: by oid, by origin id, or by either where the ref does not say.

        Fifty ids cost one request. Bitso forgets an order within an hour of its end, often at once. One that it had
        shown to this gateway is told as it was last known, and its end is concluded: `filled` from trades of its whole
        size, else `cancelled` once it has been lacking for the settle time. Any other is rebuilt from its trades and
        comes back `ended`. Both are inferred. A miss never proves absence.

        Raises:
            ConfigurationError: a ref of another gateway, a closed gateway, a second loop, a wrong address.

        Source: Bitso API v3, "Look Up Orders", "List Order Trades".
        """
        self._client.session.check_usable()
        return await self._look_up(self._reads, refs, Deadline(timeout))

    @checked_call
    def remember(self, orders: Collection[Order]) -> bool:
        """Know of orders what Bitso had shown of them to another process, which wrote it down."""
        for order in orders:
            if order.gateway == self.name:
                self._memory.learn(order)
        return True

    @checked_call
    def nonces_of(self, key: str) -> Callable[[], int] | None:
        """Fresh nonces for another client of this API key: once Bitso has seen ours it refuses shorter ones."""
        return self._signer.nonces_of(key)

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
        Send a new order to Bitso, which answers with an id only: it comes back `accepted`, fills unknown.

        Args:
            request: quantity in base (Bitso's "major") or quote ("minor"), price in quote per base.
            permit: from `permit("place")`; one is taken when there is none.
            not_after: loop time after which nothing is sent.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            NotSent: no permit in time, too late, or unreachable.
            OrderRejected (InsufficientFunds, InvalidOrder, MarketClosed, TooManyOpenOrders): by Bitso.
            AuthenticationFailed, PermissionDenied: nothing is on the book.
            DuplicateClientOrderId: an active order has this client order id; it is no rejection.
            OutcomeUnknown: sent, and no clear answer. Resolve it; do not send it again.

        Source: Bitso API v3, "Place an Order".
        """
        self._client.session.check_usable()
        return await self._placing.submit(request, permit=permit, not_after=not_after, deadline=Deadline(timeout))

    @checked_call
    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """
        Cancel an order, and return it as it is after that. Limits and lock-outs never delay it.

        An order that turned out filled comes back filled; one that had ended before comes back as it ended. An
        order that is given as an `Order` needs no reading first; any other is read first, for two seconds or a third
        of the time at most, and not at all while the lanes are full.

        Raises:
            OrderNotFound: Bitso neither cancelled nor shows it.
            AmbiguousRef: several orders that may be live answer to the ref; nothing was cancelled, or all were.
            OutcomeUnknown: sent, and neither the answer nor the order could be read: look it up, cancel again.
            NotSent, AuthenticationFailed, PermissionDenied, RateLimited: nothing was cancelled.

        Source: Bitso API v3, "Cancel an Order".
        """
        self._client.session.check_usable()
        return await self._cancelling.cancel(ref, deadline=Deadline(timeout))

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> CancelledOrders:
        """
        Cancel every open order of the account, or of one symbol; orders that cannot be read too.

        Returns:
            Every order that was open or was cancelled, as it is after that. Unless Bitso itself cancelled all (by
            symbol it cannot) they are those that it lists and that are known here: `may_lack` says what may be live.

        Raises:
            UnexpectedResponse: cancelled, but some of the orders could not be read; `keys` are their oids.
            OutcomeUnknown, NotSent and the errors of a read.

        Source: Bitso API v3, "Cancel an Order".
        """
        self._client.session.check_usable()
        self._check_symbol(symbol)
        market = None if symbol is None else Symbol(symbol)
        return await self._cancelling.cancel_all(symbol=market, deadline=Deadline(timeout))

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """
        Change a working order in place, and return it as it is after that.

        Args:
            changes: quantity is the new total in base. With a new price alone the total stays as Bitso shows it; for
                an order of which it shows none, it is needed.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            OrderNotActive: it had ended; the error carries it.
            OrderRejected: Bitso refused the change, and the order stands as it was.
            OutcomeUnknown: sent, and no clear answer.

        Source: Bitso API v4, "Modify an Order".
        """
        self._client.session.check_usable()
        return await self._editing.edit(ref, changes, deadline=Deadline(timeout))

    async def _find(self, given: RefLike, deadline: Deadline) -> Order:
        (known,) = parse_refs([given], gateways=[self.name], operation="edit")
        return order_from(await self._resolve([known], deadline), known, gateway=self.name, operation="edit")

    async def _read_back(self, order: Order, deadline: Deadline) -> Order | None:
        ref = OrderRef(gateway=self.name, order_id=order.order_id)
        try:
            return await self._find(ref, after_a_write(deadline))
        except OrderBridgeError:
            return None

    async def _send_edit(self, order: Order, changes: OrderEdit, deadline: Deadline) -> object:
        call = HttpCall(
            operation="edit",
            path=f"/orders/{order.order_id}",
            method="PATCH",
            fields=modify_to_wire(changes),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            base_url=self._version_4(),
        )
        return await self._client.write(call, deadline=deadline)

    def _version_4(self) -> str:
        if not self.address.endswith("/v3"):
            raise ConfigurationError(
                f"{self.address} does not end in /v3, so where v4 is cannot be told", gateway=self.name
            )
        return f"{self.address.removesuffix('3')}4"

    async def _hold(self, request: OrderRequest, deadline: Deadline) -> None:
        await self._markets.hold(request.symbol, amounts_of(request), deadline=deadline, operation="submit")

    async def _send_new(
        self, call: HttpCall, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> object:
        try:
            return await self._client.write(call, permit=permit, not_after=not_after, deadline=deadline)
        except InvalidOrder as error:
            if CODES.of(error.code, "submit") is Meaning.RULE:
                self._markets.refused()
            raise

    async def _said_of_new(self, payload: object, request: OrderRequest, call: HttpCall, deadline: Deadline) -> Order:
        ids = {"oid": oid_from_answer(payload), "client_order_id": call.client_order_id or ""}
        return order_from_answer(request, **ids, account=self.account, observed_at=self._reads.now())

    @checked_call
    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """
        The markets and their rules: kept once loaded, loaded anew with `refresh`.

        Quantity steps come from the currency catalogue and fees from the account's own; where those cannot be
        read, the steps are None and the fees are the general ones.

        Raises:
            VenueUnavailable, UnexpectedResponse, RateLimited.

        Source: Bitso API v3, "List Available Books", "Fees".
        """
        self._client.session.check_usable()
        return await self._markets.get(refresh=refresh, deadline=Deadline(timeout))

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=self.name)

    @checked_call
    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every open order, of one symbol or of all: complete but for stops that wait for their trigger, or it raises.

        Whether Bitso lists those is not documented: `may_lack` says so, and a list without one proves nothing of it.

        Raises:
            UnexpectedResponse: more orders than Bitso shows. VenueUnavailable and VenueErrors: as named.

        Source: Bitso API v3, "List Open Orders".
        """
        self._check_symbol(symbol)
        as_of = self._reads.now()
        rows = await self._reads.open_orders(symbol=symbol, deadline=Deadline(timeout))
        return OrderList(
            orders=tuple(rows.good), as_of=as_of, bad_rows=tuple(rows.bad), may_lack=WAITING_MAY_BE_MISSING
        )

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
        The trades of one order, or of the account, newest first. `timeout` is per page.

        Raises, while iterating:
            OrderNotFound: Bitso knows no trades under the ref.
            UnexpectedResponse: after all good rows, when there were bad ones; it carries them.

        Source: Bitso API v3, "User Trades", "List Order Trades".
        """
        self._check_symbol(symbol)
        window = window_of(self.name, "fills", since=since, until=until, symbol=symbol)
        if ref is None:
            pages = self._reads.account_trades(window, timeout=timeout)
        else:
            (known,) = parse_refs([ref], gateways=[self.name], operation="fills")
            pages = self._reads.trades_by_ref(known, timeout=timeout)
        return stream(pages, window, gateway=self.name, operation="fills")

    def _check_symbol(self, symbol: str | None) -> None:
        if symbol is not None:
            try:
                book_from_symbol(symbol)
            except ValueError as error:
                raise ConfigurationError(str(error), gateway=self.name) from error

    async def aclose(self) -> None:
        """Close the connections. The gateway cannot be used again."""
        if self._client.session.is_the_parents:
            return
        await self._markets.aclose()
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"BitsoGateway({self.name!r}, base_url={self.address!r})"
