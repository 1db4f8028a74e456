"""
Any spot exchange that ccxt speaks: how orders are placed, cancelled and looked up, for the engine that all share.

It is long because what ccxt's exchanges cannot be asked, or answer oddly, decides each of the three.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from orderbridge import errors
from orderbridge.adapters.ccxt_any import exchanges
from orderbridge.adapters.ccxt_any.client import CALL_SECONDS, CcxtCall, CcxtClient
from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.mapping import order_from_answer
from orderbridge.adapters.ccxt_any.overrides import traits_of
from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtMarkets, CcxtReads, LookUp, NotInList, check_symbol
from orderbridge.adapters.ccxt_any.sending import creation, refuse_untaken
from orderbridge.adapters.ccxt_any.watch import Call, Watch
from orderbridge.gateway import Mode, checked_call, order_from
from orderbridge.http.limits import LimitsLike, shared_limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import NothingSent, WireRequest, WireResponse
from orderbridge.model.basics import OrderType, Symbol, plain
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.results import Answer, BadRow, LookupResult
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.cancel import UNREADABLE, Cancelled, Cancelling, Meant, Seeking
from orderbridge.venue.edit import Editing
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lookup import CLIENT, ORDER, Ask, Lookup, LookupStep, Way, no_id_of
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import RowReader, Rows
from orderbridge.venue.sender import RefusedLater, Tries
from orderbridge.venue.submit import Placing, Unclear


class CcxtSends:
    """Stands where a gateway's own HTTP engine would: here ccxt's object sends."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        raise NothingSent("ccxt's object sends the requests of this gateway")

    async def aclose(self) -> None:
        """Nothing to close."""


class CcxtGateway(VenueGateway):
    """
    One account at a spot exchange of ccxt's. What it can do is in `capabilities`, which differ by exchange.

    Each id costs one look-up. Where the exchange wants an order's symbol too, the ref's is used, or that of an order
    seen here; without one only open orders are searched, and a cancel is `NotSupported`. By client id only where
    `capabilities` have such ids: directly, or among the open orders. Lists come from answers that are shown to hold
    them all, else it is `UnexpectedResponse`; an exchange that lists by symbol only is asked for each of its markets,
    unless they are too many. Orders are cancelled one by one, and read after it, since an acknowledgement is no end;
    ccxt's own call for all is not used, which on some exchanges takes in contracts and margin. Amounts off the
    exchange's steps are refused, never rounded; the first order waits for its markets. Markets have no fees, since
    ccxt's are the exchange's general ones.
    Closing waits half a minute at most for orders and cancels that are on their way, and gives a caller's object back.

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
        "edit": "it would be cancelled and placed anew: call cancel, then submit, each with its own outcome",
        "orders": "use open_orders, lookup or fills",
    }
    # ccxt's own limit for a request is the caller's to change; this one ends every call, however ccxt connects.
    longest_attempt = CALL_SECONDS

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
        known = exchanges.exchange_of(exchange, config, sandbox=sandbox)
        venue = f"ccxt.{known.id}"
        self.name = gateway_name(venue, account)
        self._exchange = known
        traits = traits_of(known)
        limiter = shared_limiter(
            (venue, exchanges.address_of(known), exchanges.digest_of(known)), limits, venue=exchanges.rate_of(known)
        )
        session = Session(gateway=self.name, venue=venue, transport=CcxtSends(), limiter=limiter, retries=retries)
        self._watch = watch = Watch(known, limiter, log=session.log.name)
        client = CcxtClient(watch, session=session, codes=CcxtCodes(exchanges.secrets_of(known), traits))
        markets = CcxtMarkets(client)
        reads = CcxtReads(
            sender=client.sender,
            reader=RowReader(session),
            markets=markets,
            traits=traits,
            memory=OrderMemory(),
            venue=venue,
            account=account,
            clock=clock,
        )

        async def close() -> None:
            await session.aclose()
            try:
                await markets.store.aclose()
                await client.settled()
            finally:
                watch.release()
                if isinstance(exchange, str):
                    await known.close()

        beside: LookUp = partial(look_up, reads.in_lane("resolve"))
        parts = Parts(
            sender=client.sender,
            now=reads.now,
            look_up=partial(look_up, reads),
            open_orders=reads.read_open,
            check_symbol=check_symbol,
            orders=reads.orders_since if traits.orders.exists else None,
            fills=partial(reads.trades_since, beside) if traits.capabilities.fills else None,
            placing=_placing(reads, clock),
            cancelling=_cancelling(reads, beside),
            editing=_editing(reads, beside) if traits.edits else None,
            markets=markets.store,
            close=close,
        )
        super().__init__(venue=venue, account=account, capabilities=traits.capabilities, parts=parts)

    # Read anew each time: a caller's own object may be switched between exchange and sandbox.
    @property
    def address(self) -> str:  # type: ignore[override]
        """Where requests go."""
        return exchanges.address_of(self._exchange)

    @property
    def mode(self) -> Mode:  # type: ignore[override]
        """`sandbox` where it trades on the exchange's test address."""
        return "sandbox" if exchanges.is_sandbox(self._exchange) else "live"

    def __repr__(self) -> str:
        sandbox = ", sandbox" if self.mode == "sandbox" else ""
        return f"CcxtGateway({self.name!r}, base_url={self.address!r}{sandbox})"


def _placing(reads: CcxtReads, clock: Callable[[], float]) -> Placing:
    traits, markets, memory = reads.traits, reads.markets, reads.memory

    def call(request: OrderRequest, client_order_id: str | None) -> CcxtCall:
        memory.sending(client_order_id, request.symbol)
        symbol = markets.spelled(request.symbol) or ""
        make = creation(request, traits, symbol=symbol, client_order_id=client_order_id)
        return CcxtCall(operation="submit", make=make, client_order_id=client_order_id)

    async def said(done: Call, request: OrderRequest, call: CcxtCall, deadline: Deadline) -> Order:
        order_id = done.value.get("id") if isinstance(done.value, dict) else None
        if not isinstance(order_id, str) or not order_id.strip():
            raise Unclear("the answer names no order id")
        if not all(sent.status is not None and sent.status < 300 for sent in done.counting):
            raise Unclear("the answer is no good one", order_id=order_id)
        if (name := markets.named_beside(done.value, request.symbol)) is not None:
            raise Unclear(f"the answer shows another, {order_id}: an order of {name}", order_id=order_id)
        order = order_from_answer(
            done.value,
            request,
            order_id=order_id,
            client_order_id=call.client_order_id,
            step=markets.step(request.symbol),
            rules=traits.rows,
            **reads.facts(),
        )
        memory.shown(order_id, request.symbol, apart=traits.trigger_orders_apart and request.stop_price is not None)
        return reads.own(order)

    return Placing(
        sender=reads.sender,
        capabilities=traits.capabilities,
        clock=clock,
        screen=lambda request: refuse_untaken(request, traits, reads.sender.gateway),
        markets=markets.store,
        call=call,
        said=said,
        known=memory.created,
    )


def _editing(reads: CcxtReads, look_beside: LookUp) -> Editing:
    """Changes in place, of limit orders: quantity and price. An answer is an acknowledgement, so the order is read."""

    async def find(given: RefLike, deadline: Deadline) -> Order:
        (ref,) = parse_refs([given], gateways=[reads.sender.gateway])
        return order_from(await look_beside([ref], deadline), ref)

    def check(order: Order, changes: OrderEdit) -> OrderEdit:
        asked = {name for name, value in dict(changes).items() if value is not None}
        if order.type is not OrderType.LIMIT or asked - {"quantity", "price"}:
            raise errors.NotSupported(f"{reads.sender.gateway} changes quantity and price of limit orders only")
        return changes

    def call(order: Order, changes: OrderEdit) -> CcxtCall:
        amounts = [None if each is None else plain(each) for each in (changes.quantity, changes.price)]
        id, symbol = reads.asked_by(order.order_id, order.symbol), reads.markets.spelled(order.symbol)
        return CcxtCall(
            operation="edit",
            make=lambda exchange: exchange.edit_order(id, symbol, "limit", order.side.value, *amounts, {}),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
        )

    return Editing(
        find=find,
        check=check,
        sender=reads.sender,
        call=call,
        shown=lambda answer, order: None,
        may_be_state=lambda refused: isinstance(refused, (errors.OrderNotFound, errors.OrderRejected)),
        markets=reads.markets.store,
        unconfirmed=reads.memory.update,
    )


def _cancelling(reads: CcxtReads, look_beside: LookUp) -> Cancelling:
    cancels, session = _Cancels(reads, look_beside), reads.sender.session
    return Cancelling(
        seeking=Seeking(
            gateway=reads.sender.gateway,
            look_up=lambda refs, deadline, listed: look_beside(refs, deadline),
            order_id=cancels.order_id,
            refuse=cancels.refuse,
            remembered=lambda ref: reads.memory.orders(cancels.order_id(ref) or "", ref.symbol),
            would_wait=lambda: session.limiter.would_wait("resolve"),
        ),
        memory=reads.memory,
        log=session.log,
        now=reads.now,
        send=cancels.send,
        looks_after=(errors.VenueError,),
        open_orders=cancels.first.read_open,
        untouched=cancels.untouched,
    )


class _Cancels:
    """How the exchange cancels: by its id alone. Some answer alike whether or not they cancelled anything."""

    def __init__(self, reads: CcxtReads, look_beside: LookUp) -> None:
        self.first = reads.in_lane("cancel")
        self._look_beside = look_beside
        self._gateway, self._traits, self._memory = reads.sender.gateway, reads.traits, reads.memory

    def order_id(self, ref: OrderRef) -> str | None:
        """The exchange's id of the order that is meant, where it is known."""
        if ref.order_id is None and ref.client_order_id is not None:
            return self._memory.id_of(ref.client_order_id)
        return ref.order_id or (ref.id if self._traits.client_ids is None else None)

    def refuse(self, given: RefLike, ref: OrderRef) -> None:
        """OrderNotFound, OrderDenied: a text that is no order id."""
        id = self.order_id(ref)
        if id is None or self._traits.could_be_id(id):
            return
        text = f"{id!r} cannot be an order id at {self._gateway}"
        if self._traits.id_shape == exchanges.ANY_ID:
            # Of an exchange whose ids are not known nothing is proven, and the text is not safe to send.
            raise errors.OrderDenied(text, rule="order_id")
        raise errors.OrderNotFound(f"{ref}: {text}", found=no_id_of(self._gateway, ref))

    async def send(self, meant: Meant, deadline: Deadline, tried: Collection[tuple[str, bool]] = ()) -> Cancelled:
        """Cancel one order, where it waits for a price too. NotSent: the markets, which ccxt needs, are not known."""
        try:
            await self.first.ready(deadline=deadline)
        except (errors.VenueUnavailable, errors.UnexpectedResponse) as error:
            raise errors.NotSent(f"nothing was sent: {Exception.__str__(error)}") from error
        asked, place = self.first.markets.spelled(meant.symbol), self._place(meant)
        id, apart = place
        call = CcxtCall(
            operation="cancel",
            make=lambda exchange: exchange.cancel_order(id, asked, dict(TRIGGER) if apart else {}),
            order_id=meant.order_id,
            client_order_id=meant.client_order_id,
        )
        tries = Tries()
        try:
            done = await self.first.sender.cancel(call, deadline=deadline, tries=tries)
        except (errors.OrderNotFound, RefusedLater) as error:
            refusal = error if isinstance(error, errors.OrderNotFound) else error.refusal
            tried = {*tried, place}
            if not isinstance(refusal, errors.OrderNotFound) or await self._place_now(meant, deadline) in tried:
                raise
            return await self.send(meant, deadline, tried)
        listed = isinstance(done.value, dict) and done.value.get("id") == id
        ids = ([meant.order_id] if listed else []) if self._traits.cancel_lists else None
        return Cancelled(ids, is_doubted=tries.earlier)

    def _place(self, meant: Meant) -> tuple[str, bool]:
        """Where an order is cancelled: by which id, and whether among those that wait for a price."""
        order_id, symbol = meant.order_id, meant.symbol
        apart = self._memory.is_apart(order_id, symbol)
        return order_id if apart else self.first.asked_by(order_id, symbol), apart

    async def _place_now(self, meant: Meant, deadline: Deadline) -> tuple[str, bool]:
        """The same of an order that was not found where it was sought."""
        if self._traits.trigger_orders_apart:
            key = OrderRef.model_construct(gateway=self._gateway, order_id=meant.order_id, symbol=meant.symbol)
            await self._look_beside([key], after_a_write(deadline))
        return self._place(meant)

    def untouched(self, row: Order | BadRow, symbol: Symbol | None) -> str | None:
        """Why a row is left alone by a cancel of all."""
        return None if row.order_id and self._traits.could_be_id(row.order_id) else UNREADABLE


async def look_up(reads: CcxtReads, refs: Sequence[RefLike], deadline: Deadline) -> LookupResult:
    """
    Look orders up: by the exchange's id one by one, by client id where it can, else among the open orders.

    What an exchange cannot be asked is said to be so: an order that it shows with its symbol only, or a client id that
    it does not search by, is not «not seen».
    """
    look, kinds = Lookup(reads.sender.gateway, refs, deadline=deadline), (ORDER, CLIENT)
    steps = _Steps(look, reads)
    return await look.run(steps.ways, [[LookupStep(kinds, steps.ask_for)], [LookupStep(kinds, steps.scan, 0)]])


class _Steps:
    """How one look-up asks."""

    def __init__(self, look: Lookup, reads: CcxtReads) -> None:
        self._look = look
        self._reads = reads
        self._traits, self._memory = reads.traits, reads.memory
        # Asks that are left to the list of open orders, and what is said of each if that does not show it.
        self._unless_open: dict[Ask, tuple[Answer, str]] = {}

    def ways(self, ref: OrderRef) -> list[Way]:
        """The ids to ask for, each in the markets that count for themselves."""
        return [Way(kind, id, symbol) for kind, id in self._ways(ref) for symbol in self._markets(ref, id)]

    def _ways(self, ref: OrderRef) -> list[tuple[str, str]]:
        ways = []
        order_id = ref.order_id or ref.id
        fits = order_id is not None and self._traits.could_be_id(order_id)
        if order_id is not None and (fits or self._traits.id_shape == exchanges.ANY_ID):
            ways.append((ORDER, order_id))
        if ref.order_id is None or (ref.client_order_id and not fits):
            client_order_id = ref.client_order_id or ref.id
            rule = self._traits.client_ids.rule if self._traits.client_ids else None
            takes = rule is not None and re.fullmatch(
                f"[{rule.alphabet}]{{1,{rule.max_length}}}", client_order_id or ""
            )
            # A bare id is asked for as a client id too where there are such; one that is called so always.
            if client_order_id and (ref.client_order_id or takes or not fits):
                ways.append((CLIENT, client_order_id))
        return ways

    def _markets(self, ref: OrderRef, id: str) -> Sequence[Symbol | None]:
        """Where each market has its own numbers, those to ask for one in: all that are known, if none is named."""
        if not self._traits.numbers_by_market:
            return [None]
        return [ref.symbol] if ref.symbol else self._memory.symbols_of(id) or [None]

    def _symbol(self, ask: Ask) -> Symbol | None:
        told = (self._look.refs[position].symbol for position in ask.refs)
        known = (ask.symbol, *told, *self._memory.symbols_of(ask.id))
        return next((symbol for symbol in known if symbol is not None), None)

    async def ask_for(self, asks: list[Ask]) -> None:
        """Ask for one id, or leave it to the list of open orders."""
        (ask,) = asks
        symbol, ids = self._symbol(ask), self._traits.client_ids
        if ask.kind == ORDER and not self._traits.could_be_id(ask.id):
            note = f"{ask.id!r} is no order id that can be asked for safely"
            self._look.answer([ask], Answer.CANNOT_ASK, note=note)
        elif ask.kind == ORDER:
            await self._fetch(ask, ask.id, symbol, {})
        elif ids is None:
            self._look.answer([ask], Answer.CANNOT_ASK, note=self._why(ask))
        elif (known := self._memory.id_of(ask.id)) is not None:
            await self._fetch(ask, known, symbol, {})
        elif ids.fetch and (wired := ids.wire(ask.id)):
            # Without an order id: some exchanges would ask for both.
            await self._fetch(ask, "", symbol, {"clientOrderId": wired})
        else:
            self._later(ask, symbol)

    def _later(self, ask: Ask, symbol: Symbol | None, otherwise: tuple[Answer, str] | None = None) -> None:
        """Leave it to the list of open orders; `otherwise` is what is said where that does not show it."""
        listing, not_asked = self._traits.open_orders, (Answer.CANNOT_ASK, self._why(ask))
        if not listing.exists or (listing.needs_symbol and symbol is None):
            answer, note = otherwise or not_asked
            self._look.answer([ask], answer, note=note)
        elif otherwise is not None or (ask.kind == ORDER and self._traits.fetch_order):
            self._unless_open[ask] = otherwise or not_asked

    def _why(self, ask: Ask) -> str:
        if ask.kind == CLIENT and not (self._traits.client_ids and self._traits.client_ids.fetch):
            return f"{self._look.gateway} cannot look up by client order id"
        return f"{self._look.gateway} looks an order up by its symbol too: give OrderRef(…, symbol=…)"

    async def _fetch(self, ask: Ask, order_id: str, symbol: Symbol | None, params: dict[str, Any]) -> None:
        traits = self._traits
        if not traits.fetch_order or (symbol is None and traits.order_needs_symbol):
            self._later(ask, symbol)
            return
        try:
            async with self._look.turn():
                rows = await self._by_both(order_id, symbol, params, apart=self._memory.is_apart(order_id, ask.symbol))
        except errors.OrderNotFound as error:
            if traits.trigger_orders_apart and not traits.fetches_trigger:
                note = "not shown; orders that wait for a price are shown in the list of open ones only"
                self._later(ask, symbol, (Answer.PARTLY_SEARCHED, note))
            elif isinstance(error, NotInList):
                note = "not in a list that may be one page of several"
                self._look.answer([ask], Answer.PARTLY_SEARCHED, note=note)
            else:
                self._look.answer([ask], Answer.NOT_SEEN)
        except errors.NotSupported as error:
            # ccxt wants something although its features do not say so, such as a symbol.
            otherwise = None if symbol is None else (Answer.CANNOT_ASK, Exception.__str__(error))
            self._later(ask, symbol, otherwise)
        except errors.OrderBridgeError as error:
            self._look.fail([ask], error)
        else:
            self._take(ask, order_id, rows)

    async def _by_both(
        self, order_id: str, symbol: Symbol | None, params: dict[str, Any], *, apart: bool
    ) -> Rows[Order]:
        """Ask where orders are shown, and where those that wait for a price are. OrderNotFound: at neither."""
        ways: list[Mapping[str, Any]] = [{}, TRIGGER] if self._traits.fetches_trigger else [{}]
        missed: list[errors.OrderNotFound] = []
        for way in reversed(ways) if apart else ways:
            try:
                return await self._reads.order(order_id, symbol, {**params, **way}, self._look.deadline)
            except errors.OrderNotFound as error:
                missed.append(error)
        raise next((error for error in missed if isinstance(error, NotInList)), missed[0])

    def _take(self, ask: Ask, order_id: str, rows: Rows[Order]) -> None:
        """An order that answers is the one only if it says so: ccxt gives whatever order came back."""
        named = ask if order_id in {ask.id, ""} else Ask(ORDER, order_id, ask.symbol)
        self._look.set_aside(self._look.take([named], rows.good))
        for order in named.orders:
            self._look.found(ask, order)
        self._look.add_bad_rows(rows.bad)
        note = "what came back is not readable as that order: see bad_rows"
        self._look.answer([ask], Answer.PARTLY_SEARCHED, note=note)

    async def scan(self, asks: list[Ask]) -> None:
        """Seek among the open orders, of all symbols or of each that is meant."""
        by_symbol: dict[Symbol | None, list[Ask]] = defaultdict(list)
        for ask in asks:
            by_symbol[self._symbol(ask) if self._traits.open_orders.needs_symbol else None].append(ask)
        async with asyncio.TaskGroup() as group:
            for symbol, waiting in by_symbol.items():
                group.create_task(self._scan(symbol, waiting))

    async def _scan(self, symbol: Symbol | None, asks: Sequence[Ask]) -> None:
        try:
            async with self._look.turn():
                rows = await self._reads.read_open(symbol, self._look.deadline)
        except errors.NotSupported as error:
            self._look.answer(asks, Answer.CANNOT_ASK, note=Exception.__str__(error))
        except errors.OrderBridgeError as error:
            self._look.fail(asks, error)
        else:
            self._look.add_bad_rows(rows.bad)
            self._look.take(asks, rows.good)
            for ask in asks:
                ended = (Answer.PARTLY_SEARCHED, "ended ones are not searched")
                answer, why = self._unless_open.get(ask, ended)
                self._look.answer([ask], answer, note=f"not among the open orders; {why}")
