"""
The gateway to Bitcain: it awaits and decides; everything else is in the files beside it.

It is longer than most files, as every call of the interface has its signature and its promises here.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from orderbridge.adapters.bitcain.auth import Credentials, TokenKeeper, TokenProvider
from orderbridge.adapters.bitcain.cancels import cancelling, seeking
from orderbridge.adapters.bitcain.codes import CODES, understand
from orderbridge.adapters.bitcain.edits import BitcainEdits
from orderbridge.adapters.bitcain.lookup import look_up
from orderbridge.adapters.bitcain.mapping import VENUE
from orderbridge.adapters.bitcain.outgoing import CAPABILITIES
from orderbridge.adapters.bitcain.reads import BitcainReads, filters_from
from orderbridge.adapters.bitcain.settings import check_settings
from orderbridge.adapters.bitcain.submits import Answers, refuse_inexpressible, write_of
from orderbridge.errors import ConfigurationError
from orderbridge.gateway import Capabilities, Mode, UnsupportedCalls, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session, log_facts
from orderbridge.model.basics import OrderStatus
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.results import LookupResult, OrderList
from orderbridge.venue.lists import stream, symbol_of, window_of
from orderbridge.venue.sender import HttpChannel, Sender
from orderbridge.venue.submit import Placing

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

# No limit is documented. Burst and refill keep any 60 s at 600 or below, cancels included.
RATE: Final = Rate(burst=60, per_second=9.0)


class BitcainGateway(UnsupportedCalls):
    """
    One Bitcain account, paper or live: all seven operations on orders.

    Bitcain documents none of its order answers, so they are read tolerantly: what a row does not say stays
    None, and what contradicts itself is an anomaly. Orders of the other mode are left out, and never touched.

    Args:
        base_url: the origin, without `/api/v1`. trading_mode: `paper` or `live`. Neither has a default.
        token: a ready bearer token, or an async callable that gives one (asked at first and when refused).
        email, password, refresh_token: for a session that is renewed here.
        exchange, portfolio_id, source, agent_id: what new orders go out with, unless their `options` say other.
        symbols: the venue's spelling of a pair to ours, as in {"BTCUSDT": "BTC/USDT"}; orders go out in the
            first spelling of their pair, and without one in slash form.
        scan_since: how far back client ids are sought; there is no look-up by them.
        allow_plain_http: send the token unencrypted to another machine. retries: how reads are repeated.
        include_unknown_mode: edit, retry and, in `cancel_all`, cancel those orders too whose rows state no mode and
            that were not created here: they may be of the other mode.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    venue: str = VENUE
    capabilities: Capabilities = CAPABILITIES
    instead: Mapping[str, str] = {
        "fills": "Bitcain documents no fills; see filled_quantity and average_price of an order",
        "markets": "Bitcain documents no market rules",
    }

    @checked_call
    def __init__(
        self,
        *,
        base_url: str,
        trading_mode: str,
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
        include_unknown_mode: bool = False,
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
        self.address = origin = self.settings.base_url
        self.mode: Mode | None = self.settings.mode
        self.known_symbols = tuple(self.settings.symbols.values())
        credentials = Credentials.of(token, email, password, refresh_token)
        limiter = shared_limiter((VENUE, origin, credentials.fingerprint(account)), limits, venue=RATE)
        self._session = Session(gateway=self.name, venue=VENUE, transport=transport, limiter=limiter, retries=retries)
        self.longest_attempt = self._session.longest_attempt(origin)
        self._keeper = TokenKeeper(credentials, base_url=origin, session=self._session, clock=clock)
        channel = HttpChannel(self._session, base_url=origin, auth=self._keeper, understand=understand, clock=clock)
        sender = Sender(channel, self._session, CODES)
        self._reads = BitcainReads(
            sender, account=account, mode=self.settings.mode, known_symbols=self.settings.symbols, clock=clock
        )
        resolving, first = self._reads.in_lane("resolve"), self._reads.in_lane("cancel")
        self._placing = Placing(
            sender=sender,
            capabilities=CAPABILITIES,
            clock=clock,
            screen=refuse_inexpressible,
            call=lambda request, id: write_of(request, id, self.settings),
            said=Answers(resolving, account).order_in,
            tells_manner=True,
            paper=self.settings.mode == "paper",
            known=self._reads.memory.created,
        )
        more: dict[str, Any] = {"include_unknown_mode": include_unknown_mode}
        self._cancelling = cancelling(sender, first, scan_since=scan_since, **more)
        found = seeking(resolving, scan_since=scan_since)
        self._edits = BitcainEdits(sender, resolving, found, **more)

    def __repr__(self) -> str:
        settings = self.settings
        return (
            f"BitcainGateway(base_url={settings.base_url!r}, trading_mode={settings.mode!r}, account={self.account!r})"
        )

    @checked_call
    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """Wait for the right to send one request. NotSent: none in time, or a lock-out lasts longer."""
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
        Send a new order to Bitcain, once, in the mode of this gateway, and return what the answer shows of it.

        An answer with no more than an id is read back; if that fails the order comes back `accepted`, as it was
        asked for. Where an answer contradicts the request, the order is as the answer says, with an anomaly; but one
        of another client id, symbol, side or mode is not taken for the order.

        Args:
            request: quantity in base. Its `options` portfolio_id, source, agent_id and exchange go before the
                gateway's. Without a client order id one is made.
            permit: from `permit("place")`; one is taken when there is none.
            not_after: loop time after which nothing is sent.

        Raises:
            OrderDenied, NotSupported: refused here, nothing was sent.
            NotSent: no permit or token in time, too late, or unreachable.
            OrderRejected (InvalidOrder; InsufficientFunds for a 402 only): by Bitcain, in its words.
            AuthenticationFailed: the token was refused, and so was a newer one, or there is none.
            OutcomeUnknown: sent, and no clear answer, or one about another order (`order_id`). Resolve it; do not
                send it again.

        Source: Bitcain, "Create Trading Order".
        """
        self._session.check_usable()
        deadline = Deadline(timeout)
        return await self._placing.submit(request, permit=permit, not_after=not_after, deadline=deadline)

    @checked_call
    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """
        Cancel an order, and return it as it is after that: perhaps filled, perhaps still working.

        An acknowledgement is no end: unless the answer shows the order ended, it is read, and a working one has
        `cancel_requested`. The order is read beforehand too, for its mode, unless it is given as an `Order`. By
        an id that takes two seconds at most, and a third of the time; one that was created here is cancelled even
        where it could not be read. An order that states no mode is cancelled too: whoever names it means it.

        Raises:
            OrderDenied: the order is of the other mode; nothing was sent.
            OrderNotFound: nothing was cancelled.
            AmbiguousRef: nothing was cancelled; several working orders have this client id, or only ended ones are
                seen under it that are not all that were sent here, so that others may be unseen.
            VenueError: Bitcain refused the cancel, and the order works on.
            OutcomeUnknown: sent, and neither the answer nor the order tells: look it up, cancel again.
            NotSent: nothing was cancelled; perhaps since whether the order is paper or live could not be read.
            AuthenticationFailed, PermissionDenied: nothing was cancelled.

        Source: Bitcain, "Cancel Order".
        """
        self._session.check_usable()
        return await self._cancelling.cancel(ref, deadline=Deadline(timeout))

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """
        Cancel every open order of our mode, or those of one symbol, one by one; return them as they are after it.

        Raises:
            UnexpectedResponse: the rest was cancelled; these were not touched (`keys`: no mode is stated;
                `bad_rows`: not readable).
            OutcomeUnknown: of some it is not certain; the message names them.
            The errors of `open_orders`: nothing was cancelled.

        Source: Bitcain, "List User Orders", "Cancel Order".
        """
        self._session.check_usable()
        wanted = symbol_of(symbol, gateway=self.name, operation="cancel_all")
        return await self._cancelling.cancel_all(symbol=wanted, deadline=Deadline(timeout))

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """
        Change a working order in place, sent once, and return it as it is after that.

        `replace_requested` on the answer says that the order does not show the change yet.

        Args:
            changes: only these are sent; quantity is the new total.

        Raises:
            OrderDenied: refused here, or an order of the other mode or of none stated; nothing was sent.
            OrderNotActive: it had ended; the error carries it.
            OrderRejected (InvalidOrder, InsufficientFunds): Bitcain refused the change; the order stands.
            OrderNotFound, AmbiguousRef, NotSent, AuthenticationFailed, PermissionDenied: nothing was changed.
            OutcomeUnknown: sent, and no clear answer: look the order up.

        Source: Bitcain, "Update Order".
        """
        self._session.check_usable()
        return await self._edits.editing.edit(ref, changes, deadline=Deadline(timeout))

    @checked_call
    async def retry_failed(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """
        Have a failed order begin anew: an explicit new act, sent once, which may make a second order.

        Where it gets an id of its own, the new order has `replaces`, and the old one `replaced_by` from then on.

        Raises:
            OrderNotActive: it is not failed; the error carries it.
            OrderDenied: it is of the other mode, or of none stated; nothing was sent.
            OrderRejected (InvalidOrder, InsufficientFunds), OrderNotFound, AmbiguousRef, NotSent,
                AuthenticationFailed, PermissionDenied: nothing was begun.
            OutcomeUnknown: sent, and no clear answer: look for it in `orders`; do not retry again.

        Source: Bitcain, "Retry Failed Order".
        """
        self._session.check_usable()
        return await self._edits.retry(ref, deadline=Deadline(timeout))

    @checked_call
    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """
        What became of each: UUIDs are asked for one by one, client ids sought in the list back to `scan_since`.

        A client id that is not found is undecided, since older orders were not searched. A bare UUID is an
        order id or, if there is no such order, a client id. An order of the other mode cannot be asked for.

        Raises:
            ConfigurationError: a ref names another gateway, or nothing is served at `base_url`.

        Source: Bitcain, "Get Order Details", "List User Orders".
        """
        self._session.check_usable()
        return await look_up(self._reads, refs, Deadline(timeout), scan_since=self.settings.scan_since)

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`; see `orderbridge.gateway.order_from` for what it raises."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=self.name)

    @checked_call
    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """
        Every order that may be live, of our mode or of none stated: the whole list is read, to its end.

        The list is not filtered by the server, whose words for status and symbol are not documented.

        Raises:
            VenueUnavailable, UnexpectedResponse, RateLimited, AuthenticationFailed, PermissionDenied: then
                nothing is known of what is open.

        Source: Bitcain, "List User Orders".
        """
        wanted = symbol_of(symbol, gateway=self.name, operation="open_orders")
        as_of = self._reads.now()
        rows = await self._reads.open_orders(wanted, deadline=Deadline(timeout), operation="open_orders")
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
        filters, limit = filters_from(venue_filters)
        window = window_of(self.name, "orders", since=since, until=until, symbol=symbol, status=status)
        if window.since is None or (window.until is not None and window.until < window.since):
            raise ConfigurationError("orders() needs a since that does not lie after its until", gateway=self.name)

        def hidden() -> None:
            self.unreadable = ("history",)
            text = "history is not reachable on this server: only the list is read"
            self._session.log.warning(text, extra=log_facts(self.name, "orders"))

        pages = self._reads.orders_since(window, filters, limit=limit, timeout=timeout, hidden=hidden)
        return stream(pages, window, gateway=self.name, operation="orders")

    async def aclose(self) -> None:
        """Close the connections. A closed gateway cannot be used again."""
        if self._session.is_the_parents:
            return
        await self._keeper.aclose()
        await self._session.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()
