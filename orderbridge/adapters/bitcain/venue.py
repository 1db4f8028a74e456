"""Bitcain: how it places, cancels, edits and retries, for the engine that every venue shares."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from orderbridge import errors
from orderbridge.adapters.bitcain import mapping, settings, wire
from orderbridge.adapters.bitcain.auth import Credentials, TokenKeeper, TokenProvider
from orderbridge.adapters.bitcain.codes import CANCEL, CODES, EDIT, RETRY, SUBMIT, understand
from orderbridge.adapters.bitcain.lookup import look_up
from orderbridge.adapters.bitcain.reads import BitcainReads, filters_from
from orderbridge.adapters.bitcain.settings import BitcainAccount
from orderbridge.adapters.bitcain.wire import Payload, Shapeless, as_uuid, ids_in, one_order, pick
from orderbridge.gateway import Mode, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session, log_facts
from orderbridge.model.basics import KnownBy, OrderStatus, Symbol, TimeInForce
from orderbridge.model.lifecycle import last_change
from orderbridge.model.order import FILL_FIGURES, Order, gateway_name
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.results import Answer, BadRow, LookupResult
from orderbridge.venue.cancel import UNREADABLE, Cancelled, Cancelling, Listed, Meant, Seeking
from orderbridge.venue.edit import Editing, about, by_state, check_same
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lists import Window
from orderbridge.venue.lookup import no_id_of
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import RowReader, Rows, Unusable
from orderbridge.venue.sender import HttpCall, http_sender
from orderbridge.venue.submit import Placing, Unclear, order_as_asked

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

# No limit is documented. Burst and refill keep any 60 s at 600 or below, cancels included.
RATE: Final = Rate(burst=60, per_second=9.0)


class BitcainGateway(VenueGateway):
    """
    One Bitcain account, paper or live: all seven operations on orders.

    Bitcain documents none of its order answers, so they are read tolerantly: what a row does not say stays
    None, and what contradicts itself is an anomaly. Orders of the other mode are left out, and never touched.

    A new order is answered with its row, or it is read back; if that fails it comes back `accepted`, as it was asked
    for. UUIDs are asked for one by one, client ids sought in the list back to `scan_since`: one that is not found is
    undecided, since older orders were not searched. A bare UUID is an order id or, if there is no such order, a client
    id. Open orders are sought in the whole list, which the server does not filter. An order is read before a cancel,
    for its mode, unless it is given as an `Order`; one that was created here is cancelled even where it could not be
    read, and one that states no mode too: whoever names it means it. `cancel_all` cancels one by one.

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

    `orders()` takes `portfolio_id`, `order_status` (one word of the server's) and `limit` (the page size) as filters;
    a new order's `options` portfolio_id, source, agent_id and exchange go before the gateway's.

    Raises:
        ConfigurationError: a setting is missing or wrong.

    Source: Bitcain, "Create Trading Order", "Get Order Details", "List User Orders", "Get Order History", "Update
    Order", "Cancel Order", "Retry Failed Order".
    """

    capabilities = mapping.CAPABILITIES

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
        self.settings = BitcainAccount(
            base_url=settings.origin_of(base_url, allow_plain_http=allow_plain_http),
            mode=settings.mode_of(trading_mode),
            symbols=settings.symbols_of(symbols or {}),
            scan_since=scan_since,
            exchange=settings.exchange_of(exchange),
            portfolio_id=settings.uuid_of("portfolio_id", portfolio_id),
            source=source,
            agent_id=settings.uuid_of("agent_id", agent_id),
        )
        self.name = gateway_name(mapping.VENUE, account)
        self.address = origin = self.settings.base_url
        self.mode: Mode | None = self.settings.mode
        self.known_symbols = tuple(self.settings.symbols.values())
        credentials = Credentials.of(token, email, password, refresh_token)

        def keeper(session: Session) -> TokenKeeper:
            self._keeper = TokenKeeper(credentials, base_url=origin, session=session, clock=clock)
            return self._keeper

        sender = http_sender(
            venue=mapping.VENUE,
            account=account,
            address=origin,
            key=credentials.fingerprint(account),
            pace=RATE,
            auth=keeper,
            understand=understand,
            judge=CODES,
            transport=transport,
            limits=limits,
            retries=retries,
            clock=clock,
        )
        self.longest_attempt = sender.session.longest_attempt(origin)
        mode = self.settings.mode
        reads = BitcainReads(
            sender=sender,
            reader=RowReader(sender.session),
            memory=OrderMemory(paper=mode == "paper"),
            account=account,
            clock=clock,
            mode=mode,
            symbols=mapping.SymbolBook(self.settings.symbols),
        )
        resolving, first = reads.in_lane("resolve"), reads.in_lane("cancel")
        mode_of: dict[str, Any] = {"include_unknown_mode": include_unknown_mode}
        self._edits = _Edits(resolving, _seeking(resolving, scan_since=scan_since), **mode_of)

        parts = Parts(
            sender=sender,
            now=reads.now,
            look_up=partial(look_up, reads, scan_since=scan_since),
            open_orders=reads.read_open,
            orders=self._orders,
            placing=Placing(
                sender=sender,
                capabilities=mapping.CAPABILITIES,
                clock=clock,
                screen=_refuse_inexpressible,
                call=lambda request, id: _write_of(request, id, self.settings),
                said=_Answers(resolving).order_in,
                tells_manner=True,
                paper=mode == "paper",
                known=reads.memory.created,
            ),
            cancelling=_cancelling(first, scan_since=scan_since, **mode_of),
            editing=self._edits.editing,
            close=self._keeper.aclose,
        )
        super().__init__(venue=mapping.VENUE, account=account, capabilities=mapping.CAPABILITIES, parts=parts)
        self._reads = reads

    def _orders(
        self, window: Window, given: Mapping[str, Any], timeout: float | None
    ) -> AsyncGenerator[Rows[Order], None]:
        filters, limit = filters_from(given)

        def hidden() -> None:
            self.unreadable = ("history",)
            text = "history is not reachable on this server: only the list is read"
            self._reads.sender.session.log.warning(text, extra=log_facts(self.name, "orders"))

        return self._reads.orders_since(window, filters, limit=limit, timeout=timeout, hidden=hidden)

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
        self.parts.sender.check_usable()
        return await self._edits.retry(ref, deadline=Deadline(timeout))

    def __repr__(self) -> str:
        mode = self.settings.mode
        return f"BitcainGateway(base_url={self.address!r}, trading_mode={mode!r}, account={self.account!r})"


def _refuse_inexpressible(request: OrderRequest) -> None:
    """NotSupported: the API names such a type, and has no field for what it needs."""
    if request.type in mapping.INEXPRESSIBLE:
        missing = mapping.INEXPRESSIBLE[request.type]
        raise errors.NotSupported(f"Bitcain's API has no field for what a {request.type} order needs: {missing}")


def _write_of(request: OrderRequest, client_order_id: str | None, account: BitcainAccount) -> HttpCall:
    """A new order as it leaves. OrderDenied: its options or symbol are none for here."""
    route, symbol = mapping.route_of(request.options, account), mapping.spelled(request, account)
    return HttpCall(
        operation=SUBMIT,
        method="POST",
        path=wire.ORDERS,
        query=mapping.params_to_wire(route),
        fields=mapping.order_to_wire(request, route, symbol=symbol, client_order_id=client_order_id or ""),
        client_order_id=client_order_id,
    )


class _Answers:
    """Finds the order in the answer to a new one."""

    def __init__(self, reads: BitcainReads) -> None:
        self._reads = reads

    async def order_in(self, payload: Payload, request: OrderRequest, write: HttpCall, deadline: Deadline) -> Order:
        """The order of an answer: as it shows it, as it is read back, or as it was asked for. Unclear: no one order."""
        order = self._in_answer(payload, request)
        if order is not None:
            return order
        order_id = _named(payload)
        shown = await self._reads.read_back(order_id, symbol=request.symbol, deadline=deadline, operation=SUBMIT)
        order = self._sized(shown.raw, request) if shown is not None else self._beside_sizes(payload, request)
        return order or order_as_asked(
            request,
            venue=mapping.VENUE,
            account=self._reads.account,
            order_id=order_id,
            client_order_id=write.client_order_id,
            observed_at=self._reads.now(),
            evidence="submit: an id was given, and the order could not be read",
            paper=self._reads.mode == "paper",
            routed_to=(write.query or {})["exchange"],
        )

    def _in_answer(self, payload: Payload, request: OrderRequest) -> Order | None:
        try:
            return self._sized(one_order(payload), request)
        except Shapeless:
            return None

    def _sized(self, row: Mapping[str, Any], request: OrderRequest) -> Order | None:
        try:
            return self._reads.read_sized(row, request.quantity, symbol=request.symbol, operation=SUBMIT)
        except Unusable:
            return None

    def _beside_sizes(self, payload: Payload, request: OrderRequest) -> Order | None:
        """
        The order of an answer whose sizes cannot be read: whose it is, and nothing of its fills.

        Unclear: its symbol or side cannot be read either, so it may be another one.
        """
        try:
            row = one_order(payload)
            known = {"symbol": request.symbol, "side": request.side.value}
            stated = {name: pick(row, names) for name, names in (("symbol", wire.SYMBOL), ("side", wire.SIDE))}
            if not any(stated.values()):
                return None
            bare = {**wire.without(row, *wire.QUANTITY, *wire.REMAINING, *wire.FILLED, *wire.PRICE, *wire.STOP_PRICE)}
            bare |= {name: value or known[name] for name, value in stated.items()}
            return self._reads.read_row({**bare, "status": "accepted"}, symbol=request.symbol, operation=SUBMIT)
        except Shapeless:
            return None
        except Unusable as error:
            raise Unclear(f"the answer may be about another: {error}", order_id=error.id) from error


def _named(payload: Payload) -> str:
    """The one id that an answer without a whole order names."""
    ids = ids_in(payload)
    if len(ids) == 1:
        return ids[0]
    raise Unclear(f"the answer names several orders: {', '.join(ids)}" if ids else "the answer names no order")


# Refusals by the order's state, as far as its status alone tells: the order is read to know.
_BY_STATE: Final = frozenset({400, 409})


class _Edits:
    """The changes and retries of one account."""

    def __init__(self, reads: BitcainReads, seeking: Seeking, *, include_unknown_mode: bool) -> None:
        self._reads = reads
        self._seeking = seeking
        self._include_unknown_mode = include_unknown_mode
        self.editing = Editing(
            find=self._find,
            check=_checked,
            sender=reads.sender,
            call=lambda order, changes: _call(order, EDIT, "PATCH", fields=mapping.edit_to_wire(changes)),
            shown=self._shown,
            look=self._read_back,
            may_be_state=_may_be_state,
        )

    def _shown(self, payload: Payload, order: Order) -> Order | None:
        shown = self._reads.read_in(payload, wire.UPDATED_ORDER, symbol=order.symbol, operation=EDIT)
        if shown is not None and shown.order_id != order.order_id:
            # Nobody knows what that means: a change of another order, or an order put in the place of this one.
            raise Unclear(f"the answer is about another order, {shown.order_id}")
        return shown

    async def retry(self, given: RefLike, *, deadline: Deadline) -> Order:
        """Have a failed order begin anew; see `BitcainGateway.retry_failed`."""
        order = await self._find(given, deadline, operation=RETRY, fresh=True)
        if order.status is not OrderStatus.FAILED:
            message = f"only a failed order can be retried, and this one is {order.status}"
            raise errors.OrderNotActive(message, order=order)
        try:
            call = _call(order, RETRY, "POST", wire.RETRY)
            payload = await self._reads.sender.write(call, deadline=deadline)
        except errors.VenueError as refused:
            if not _may_be_state(refused):
                raise
            now = await self._read_back(order, deadline)
            is_past = now is not None and now.status is not OrderStatus.FAILED
            raise by_state(refused, now, is_past=is_past) from refused
        with about(order, RETRY):
            shown = self._reads.read_in(payload, wire.NEW_ORDER, symbol=order.symbol, operation=RETRY)
            # The old order may stand in the answer beside the new one.
            named = [*([shown.order_id] if shown else ()), *ids_in(payload, names=wire.NEW_ID)]
            others = list(dict.fromkeys(id for id in named if id != order.order_id))
            if len(others) > 1:
                raise Unclear(f"the answer names several new orders: {', '.join(others)}")
            order_id = others[0] if others else order.order_id
            if others:
                self._reads.memory.retried(order.order_id, order_id, is_ours=order.paper is not None)
            else:
                self._reads.memory.not_cancelling(order_id)
            if shown is None or shown.order_id != order_id:
                shown = await self._read_back(order, deadline, order_id=order_id)
            check_same(shown, order)
        return self._begun(order, order_id) if shown is None else self._reads.memory.told(shown)

    def _begun(self, order: Order, order_id: str) -> Order:
        """A retried order that could not be read: it was failed, and its retry was acknowledged."""
        changes: dict[str, Any] = {
            "order_id": order_id,
            "status": OrderStatus.ACCEPTED,
            "raw_status": "",
            "known_by": KnownBy.INFERRED,
            "evidence": ("retry_failed: acknowledged, not read back",),
            "reason": None,
            "observed_at": self._reads.now(),
            "raw": {},
        }
        if order_id != order.order_id:
            changes |= dict.fromkeys(FILL_FIGURES)
            changes |= {"created_at": None, "updated_at": None, "exchange_order_id": None, "replaces": order.order_id}
        return order.model_copy(update=changes)

    async def _find(self, given: RefLike, deadline: Deadline, *, operation: str = EDIT, fresh: bool = False) -> Order:
        ref, meant = await self._seeking.find(given, deadline, operation=operation, fresh=fresh)
        if meant is None or meant.order is None:
            raise errors.NotSent(f"nothing was done: {ref} cannot be read")
        order = meant.order
        if order.paper is None and not self._include_unknown_mode:
            raise errors.OrderDenied(
                f"nothing was done: whether {order.order_id} is a paper or a live order is not stated, and it was not"
                " created here; a gateway made with include_unknown_mode=True does it all the same",
                rule="trading_mode",
            )
        return order

    async def _read_back(self, order: Order, deadline: Deadline, *, order_id: str | None = None) -> Order | None:
        id = order_id or order.order_id
        return await self._reads.read_back(id, symbol=order.symbol, deadline=deadline, operation=EDIT)


def _call(order: Order | Meant, operation: str, method: str, path: str = "", **more: Any) -> HttpCall:
    ids: dict[str, Any] = {"order_id": order.order_id, "client_order_id": order.client_order_id}
    return HttpCall(operation=operation, method=method, path=f"{wire.ORDERS}/{order.order_id}{path}", **ids, **more)


def _may_be_state(refused: errors.VenueError) -> bool:
    return isinstance(refused, (errors.OrderNotActive, errors.InvalidOrder)) and refused.http_status in _BY_STATE


def _checked(order: Order, changes: OrderEdit) -> OrderEdit:
    life = changes.time_in_force or order.time_in_force
    if life is TimeInForce.GTT and changes.expires_at is None and order.expires_at is None:
        raise errors.OrderDenied("time_in_force gtt needs expires_at (a rule of ours)", rule="expires_at")
    if changes.expires_at is not None and life not in {TimeInForce.GTT, None}:
        message = f"expires_at needs time_in_force gtt, and this is {life} (a rule of ours)"
        raise errors.OrderDenied(message, rule="expires_at")
    return changes


# Reads that came to nothing: no order, and no word on whether there is one.
_NOT_READ: Final = (errors.VenueUnavailable, errors.RateLimited, errors.UnexpectedResponse)
_NO_MODE: Final = (
    "state no trading mode and were not touched (a gateway made with include_unknown_mode=True cancels them too)"
)


def _seeking(reads: BitcainReads, *, scan_since: timedelta) -> Seeking:
    """How an order is found before something is done to it: read, for its mode, unless it works and states ours."""

    async def look(refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        return await look_up(reads, refs, deadline, scan_since=scan_since)

    def refuse(given: RefLike, ref: OrderRef) -> None:
        if ref.order_id is not None and as_uuid(ref.order_id) is None:
            message = f"{ref} is no id of Bitcain's, whose ids are UUIDs; nothing was sent"
            raise errors.OrderNotFound(message, found=no_id_of(reads.sender.gateway, ref))
        if isinstance(given, Order) and reads.is_other_mode(given.paper):
            raise errors.OrderDenied(f"{reads.other_mode(given)}; nothing was done", rule="trading_mode")

    def unseen(given: RefLike, ref: OrderRef, result: LookupResult | None, operation: str) -> Meant | None:
        """An order that was created here, or given as one of our mode, although it could not be read."""
        if result is None:
            return None
        found, uuid = result[ref], _uuid(ref)
        answer, notes = found.answers.get(reads.sender.gateway), "; ".join(found.notes)
        if answer is Answer.CANNOT_ASK:
            raise errors.OrderDenied(f"{notes}; nothing was done", rule="trading_mode")
        if answer is Answer.PARTLY_SEARCHED:
            raise errors.OrderNotFound(f"{ref} is {notes}", found=found)
        # An order whose row is broken can still be stopped; but not one of a mode that is not ours.
        stated = [
            mapping.paper_from_wire(bad.raw) for bad in result.bad_rows if uuid is not None and bad.order_id == uuid
        ]
        is_ours = (isinstance(given, Order) and given.paper is not None) or reads.memory.is_created(uuid or "")
        is_ours = (is_ours or any(paper is not None for paper in stated)) and not any(map(reads.is_other_mode, stated))
        try:
            order_from(result, ref)
        except _NOT_READ as error:
            if is_ours and uuid is not None:
                return Meant(uuid, ref.symbol)
            if isinstance(error, errors.RateLimited) and operation == CANCEL:
                raise  # it says when to try again
            whether = "" if uuid is None else f"whether {uuid} is a paper or a live order could not be read: "
            raise errors.NotSent(f"nothing was done: {whether}{Exception.__str__(error)}") from error
        return None

    return Seeking(
        gateway=reads.sender.gateway,
        look_up=look,
        order_id=_uuid,
        refuse=refuse,
        unseen=unseen,
        takes=lambda order: order.may_be_live and order.paper is not None,
    )


def _cancelling(reads: BitcainReads, *, scan_since: timedelta, include_unknown_mode: bool) -> Cancelling:
    """How Bitcain cancels: by UUID, one by one. The reads stand first in line, as the cancels do."""

    async def send(meant: Meant, deadline: Deadline) -> Cancelled:
        payload = await reads.sender.cancel(_call(meant, CANCEL, "DELETE"), deadline=deadline)
        order = reads.read_in(payload, wire.CANCELLED_ORDER, symbol=meant.symbol, operation=CANCEL)
        return Cancelled(order=order if order is not None and order.order_id == meant.order_id else None)

    def settles(ref: OrderRef, orders: Sequence[Order]) -> Order:
        """Client ids are not unique: that one has ended says nothing of another, unless it is the one sent here."""
        sent = reads.memory.created_under(ref.client_order_id or ref.id or "")
        ours = [order for order in orders if order.order_id in sent]
        newest = max(ours or orders, key=last_change)
        if ours and len({order.order_id for order in ours}) == len(sent):
            return newest
        raise errors.AmbiguousRef(
            f"nothing was done: the newest order seen under {ref}, {newest.order_id}, is {newest.status}, and others"
            " under it may be unseen; cancel by order id",
            orders=tuple(orders),
        )

    def untouched(row: Order | BadRow, symbol: Symbol | None) -> str | None:
        if isinstance(row, BadRow) and _has_ended(row.raw):
            return ""
        if isinstance(row, BadRow) and (row.order_id is None or symbol is not None):
            return UNREADABLE
        paper = row.paper if isinstance(row, Order) else mapping.paper_from_wire(row.raw)
        return _NO_MODE if paper is None and not include_unknown_mode else None

    return Cancelling(
        seeking=_seeking(reads, scan_since=scan_since),
        memory=reads.memory,
        log=reads.sender.session.log,
        now=reads.now,
        send=send,
        # Who ended an order its row does not tell; that it has ended, it does.
        ends=frozenset({KnownBy.REPORTED, KnownBy.INFERRED}),
        settles=settles,
        is_pending=lambda order: mapping.read_status(order.raw_status, quantity=None, filled=None).cancel_requested,
        open_orders=partial(reads.read_open, operation="cancel_all"),
        untouched=untouched,
    )


def _uuid(ref: OrderRef) -> str | None:
    return as_uuid(ref.order_id or ref.id)


def _has_ended(row: object) -> bool:
    word = pick(row, wire.STATUS) if isinstance(row, dict) else None
    return isinstance(word, str) and mapping.read_status(word, quantity=None, filled=None).status.is_end
