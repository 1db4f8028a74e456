"""A gateway out of a venue's parts: the one surface that every venue has."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self, TypeVar

from orderbridge.errors import ConfigurationError
from orderbridge.gateway import Capabilities, UnsupportedCalls, checked_call, order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import OrderStatus, Symbol
from orderbridge.model.order import Fill, Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import RefLike, parse_refs
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import CancelledOrders, LookupResult, OrderList
from orderbridge.venue.cancel import Cancelling
from orderbridge.venue.edit import Editing
from orderbridge.venue.lists import Window, stream, symbol_of, window_of
from orderbridge.venue.markets import MarketStore
from orderbridge.venue.rows import Rows
from orderbridge.venue.sender import Sender
from orderbridge.venue.submit import Placing

P = TypeVar("P")


class Parts(NamedTuple):
    """
    The parts of a gateway. A part that is None is a call that the venue lacks, as its capabilities say.

    Attributes:
        now: the moment by the gateway's clock.
        look_up: what became of orders, by any ref.
        open_orders: every open order, of one symbol or of all.
        check_symbol: ConfigurationError, NotSupported for a text that names no market of which it can have a list.
        orders: the pages of a span of orders, by filters of the venue's own; refuses when called what it cannot list.
        fills: the pages of the trades of a span, or of one order; refuses as `orders` does.
        learn: takes in what the venue had shown of an order to another process.
        close: what is to be ended before the connections are closed.
    """

    sender: Sender
    now: Callable[[], datetime]
    look_up: Callable[[Sequence[RefLike], Deadline], Awaitable[LookupResult]]
    open_orders: Callable[[Symbol | None, Deadline], Awaitable[Rows[Order]]]
    placing: Placing | None = None
    cancelling: Cancelling | None = None
    editing: Editing | None = None
    markets: MarketStore | None = None
    check_symbol: Callable[[str], None] = lambda symbol: None
    orders: Callable[[Window, Mapping[str, Any], float | None], AsyncGenerator[Rows[Order], None]] | None = None
    fills: Callable[[Window, RefLike | None, float | None], AsyncGenerator[Rows[Fill], None]] | None = None
    learn: Callable[[Order], None] | None = None
    close: Callable[[], Awaitable[None]] | None = None


class VenueGateway(UnsupportedCalls):
    """
    One account at one venue: the calls of `OrderGateway`, made of the parts that the venue's adapter describes.

    An adapter's class adds its constructor, its address and the calls that no other venue has, and overrides nothing.
    """

    def __init__(self, *, venue: str, account: str, capabilities: Capabilities, parts: Parts) -> None:
        self.venue = venue
        self.capabilities = capabilities
        self.account = account
        self.name = gateway_name(venue, account)
        self.parts = parts

    def _usable(self, part: P | None, call: str) -> P:
        """
        The part for a call that sends.

        Raises:
            NotSupported: the venue lacks it, be the gateway closed or not. ConfigurationError: it is closed, or in
                another event loop.
        """
        if part is None:
            self._lacks(call)
        self.parts.sender.check_usable()
        return part

    @checked_call
    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""
        return await self._usable(self.parts.sender, "permit").session.permit(lane, timeout=timeout)

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
        Send a new order, once, and return what the answer shows of it, of the size and prices that were asked for.

        Args:
            request: without a client order id one is made, where the venue takes them.
            permit: from `permit("place")`; one is taken when there is none.
            not_after: loop time after which nothing is sent.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            NotSent: no permit in time, too late, or unreachable.
            OrderRejected (InsufficientFunds, InvalidOrder, MarketClosed, TooManyOpenOrders): by the venue.
            AuthenticationFailed, PermissionDenied: nothing is on the book.
            DuplicateClientOrderId: an order has this client order id; it is no rejection.
            OutcomeUnknown: sent, and no clear answer, or one about another order. Resolve it; do not send it again.
        """
        placing = self._usable(self.parts.placing, "submit")
        return await placing.submit(request, permit=permit, not_after=not_after, deadline=Deadline(timeout))

    @checked_call
    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        Look orders up: what became of each, by the venue's id, by the client's, or by either where a ref does not say.

        Raises:
            ConfigurationError: a ref of another gateway, a closed gateway, a second loop, a wrong address. Whatever
                else fails leaves refs undecided.
        """
        return await self._usable(self.parts.look_up, "lookup")(refs, Deadline(timeout))

    @checked_call
    def remember(self, orders: Collection[Order]) -> bool:
        """Know of orders what the venue had shown of them to another process, which wrote it down."""
        if self.parts.learn is None:
            return False
        for order in orders:
            if order.gateway == self.name:
                self.parts.learn(order)
        return True

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`. Raises as `orderbridge.gateway.order_from` says."""
        look_up = self._usable(self.parts.look_up, "get")
        return order_from(await look_up((ref,), Deadline(timeout)), ref)

    @checked_call
    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every open order, of one symbol or of all: complete but for what it `may_lack`, or it raises.

        Raises:
            UnexpectedResponse: the list cannot be shown to be complete. The errors of a read.
        """
        listed = self._usable(self.parts.open_orders, "open_orders")
        wanted, as_of = self._symbol(symbol), self.parts.now()
        rows = await listed(wanted, Deadline(timeout))
        return OrderList(
            orders=tuple(rows.good),
            as_of=as_of,
            bad_rows=tuple(rows.bad),
            may_lack=self.capabilities.open_orders_may_lack,
        )

    @checked_call
    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """
        Cancel an order, and return it as it is after that: perhaps filled, perhaps still working.

        One that had ended comes back as it ended; a working one has `cancel_requested`. An order that is given as an
        `Order` needs no reading first; any other is read, for two seconds or a third of the time at most.

        Raises:
            OrderNotFound: the venue neither cancelled nor shows it. OrderDenied: it is not to be touched from here.
            AmbiguousRef: several orders that may be live answer to the ref.
            OutcomeUnknown: sent, and neither the answer nor the order could be read: look it up, cancel again.
            NotSent, AuthenticationFailed, PermissionDenied, RateLimited, VenueError: nothing was cancelled.
        """
        cancelling = self._usable(self.parts.cancelling, "cancel")
        return await cancelling.cancel(ref, deadline=Deadline(timeout))

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> CancelledOrders:
        """
        Cancel every open order of the account, or of one symbol; orders that cannot be read too, where that is safe.

        Returns:
            Every order that was open or was cancelled, as it is after that. `may_lack` says what may be live still.

        Raises:
            UnexpectedResponse: the rest was cancelled; `keys` and `bad_rows` are orders that could not be read.
            OutcomeUnknown: of some it is not certain; the message names them.
            NotSent and the errors of `open_orders`: nothing was cancelled.
        """
        cancelling = self._usable(self.parts.cancelling, "cancel_all")
        return await cancelling.cancel_all(symbol=self._symbol(symbol), deadline=Deadline(timeout))

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """
        Change a working order in place, sent once, and return it as it is after that.

        `replace_requested` on the answer says that the order does not show the change yet.

        Args:
            changes: what is to change, and nothing else; quantity is the new total.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            OrderNotActive: it had ended; the error carries it.
            OrderRejected: the venue refused the change, and the order stands as it was.
            OutcomeUnknown: sent, and no clear answer.
        """
        editing = self._usable(self.parts.editing, "edit")
        return await editing.edit(ref, changes, deadline=Deadline(timeout))

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
        Orders created from `since` to `until`, each once, newest first where times say so; `timeout` is per page.

        Args:
            venue_filters: the venue's own; see its gateway class.

        Raises:
            ConfigurationError, NotSupported: at once, for arguments that mean nothing here.
            UnexpectedResponse: a list that cannot be shown to be whole; or, after the good rows, there were bad ones.
        """
        pages_of = self.parts.orders or self._lacks("orders")
        window = window_of(since=since, until=until, symbol=self._symbol(symbol), status=status)
        if until is not None and until < since:
            raise ConfigurationError("orders() needs a since that does not lie after its until")
        pages = pages_of(window, venue_filters, timeout)
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
        The trades of one order, or of the account, newest first; `timeout` is per page.

        Raises, while iterating:
            OrderNotFound: the venue knows no trades under the ref.
            UnexpectedResponse: a list that cannot be shown to be whole; or, after the good rows, there were bad ones.
        """
        pages_of = self.parts.fills or self._lacks("fills")
        window = window_of(since=since, until=until, symbol=self._symbol(symbol))
        if ref is not None:
            parse_refs([ref], gateways=[self.name])
        return stream(pages_of(window, ref, timeout), window, gateway=self.name, operation="fills")

    @checked_call
    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """
        The markets and their rules: kept once loaded, loaded anew with `refresh`, and beside their use once an hour.

        Raises:
            VenueUnavailable, UnexpectedResponse, RateLimited.
        """
        markets = self._usable(self.parts.markets, "markets")
        return await markets.get(refresh=refresh, deadline=Deadline(timeout))

    def _symbol(self, text: str | None) -> Symbol | None:
        if text is not None:
            self.parts.check_symbol(text)
        return symbol_of(text)

    async def aclose(self) -> None:
        """Close the connections. A closed gateway cannot be used again."""
        parts = self.parts
        if parts.sender.session.is_the_parents:
            return
        if parts.close is not None:
            await parts.close()
        if parts.markets is not None:
            await parts.markets.aclose()
        await parts.sender.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
