"""Any spot exchange that ccxt speaks: how orders are placed and cancelled there, for the engine that all share."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

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
from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtReads, check_symbol
from orderbridge.adapters.ccxt_any.traits import ANY_ID, corrected, declared
from orderbridge.adapters.ccxt_any.wire import Wire
from orderbridge.errors import (
    NotSent,
    OrderDenied,
    OrderNotFound,
    UnexpectedResponse,
    VenueError,
    VenueUnavailable,
    Where,
)
from orderbridge.gateway import Mode, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate, shared_limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import NothingSent, WireRequest, WireResponse
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderRequest
from orderbridge.model.results import BadRow, LookupResult
from orderbridge.venue.bounds import after_a_write
from orderbridge.venue.cancel import UNREADABLE, Cancelled, Cancelling, Listed, Meant, Seeking
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lookup import no_id_of
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.sender import RefusedLater
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
    exchange's steps are refused, never rounded. Markets have no fees, since ccxt's are the exchange's general ones.
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
        "edit": "ccxt cancels and places anew: call cancel, then submit, each with its own outcome",
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
        check_settings(config, sandbox)
        is_ours = isinstance(exchange, str)
        make = make_exchange if is_ours else take_exchange
        known = make(exchange, config, sandbox=sandbox)
        check_calls(known)
        check_credentials(known)
        check_proxies(known)
        venue = f"ccxt.{known.id}"
        self.name = gateway_name(venue, account)
        self._exchange = known
        traits = corrected(declared(known), OVERRIDES.get(known.id, ()))
        limiter = shared_limiter((venue, address_of(known), digest_of(known)), limits, venue=rate_of(known))
        session = Session(gateway=self.name, venue=venue, transport=CcxtSends(), limiter=limiter, retries=retries)
        self._wire = wire = Wire(known, limiter, log=session.log.name)
        codes = CcxtCodes(
            gateway=self.name,
            secrets=secrets_of(known),
            refusals=traits.refusals,
            code_at=traits.code_at,
            order_rows_at=traits.order_rows_at,
        )
        client = CcxtClient(
            known,
            session=session,
            codes=codes,
            gets_write=traits.gets_write,
            is_watched=lambda: wire.is_intact,
        )
        markets = CcxtMarkets(client)
        reads = CcxtReads(
            client, markets, traits=traits, memory=OrderMemory(), venue=venue, account=account, clock=clock
        )

        async def close() -> None:
            await session.aclose()
            try:
                await markets.store.aclose()
                await client.settled()
            finally:
                wire.release()
                if is_ours:
                    await known.close()

        beside = partial(look_up, reads.in_lane("resolve"))
        parts = Parts(
            sender=client.sender,
            now=reads.now,
            look_up=partial(look_up, reads),
            open_orders=reads.read_open,
            check_symbol=check_symbol,
            orders=reads.orders_since if traits.orders.exists else None,
            fills=partial(reads.trades_since, beside) if traits.capabilities.fills else None,
            placing=_placing(reads, clock),
            cancelling=_cancelling(reads),
            markets=markets.store,
            close=close,
        )
        super().__init__(venue=venue, account=account, capabilities=traits.capabilities, parts=parts)

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


def _placing(reads: CcxtReads, clock: Callable[[], float]) -> Placing:
    traits, markets, memory = reads.traits, reads.markets, reads.memory

    def call(request: OrderRequest, client_order_id: str | None) -> CcxtCall:
        ids = traits.client_ids
        sent_as = {ids.sent_as: client_order_id} if ids and client_order_id else {}
        memory.sending(client_order_id, request.symbol)
        make = creation(request, symbol=markets.spelled(request.symbol) or "", ids=sent_as)
        return CcxtCall(operation="submit", make=make, client_order_id=client_order_id)

    async def said(done: Answered, request: OrderRequest, call: CcxtCall, deadline: Deadline) -> Order:
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
            venue=reads.venue,
            account=reads.account,
            observed_at=reads.now(),
            step=markets.step(request.symbol),
            numbered_by_market=traits.numbers_by_market,
        )

    return Placing(
        sender=reads.client.sender,
        capabilities=traits.capabilities,
        clock=clock,
        screen=lambda request: refuse_side(request, traits, reads.client.gateway),
        markets=markets.store,
        call=call,
        said=said,
        stated=lambda done: stated_in_answer(done.value),
        known=memory.created,
    )


def _cancelling(reads: CcxtReads) -> Cancelling:
    """How the exchange cancels: by its id alone. Some answer alike whether or not they cancelled anything."""
    client, traits, memory, name = reads.client, reads.traits, reads.memory, reads.client.gateway
    first, resolving = reads.in_lane("cancel"), reads.in_lane("resolve")

    async def look(refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        return await look_up(resolving, refs, deadline)

    def order_id(ref: OrderRef) -> str | None:
        if ref.order_id is None and ref.client_order_id is not None:
            return memory.id_of(ref.client_order_id)
        return ref.order_id or (ref.id if traits.client_ids is None else None)

    def symbol_of(ref: OrderRef) -> Symbol | None:
        sent = memory.symbols_of(ref.client_order_id) if ref.order_id is None and ref.client_order_id else ()
        return ref.symbol or next(iter(sent), None)

    def refuse(given: RefLike, ref: OrderRef, where: Where) -> None:
        id = order_id(ref)
        if id is None or traits.could_be_id(id):
            return
        text = f"{id!r} cannot be an order id at {name}"
        if traits.id_shape == ANY_ID:
            # Of an exchange whose ids are not known nothing is proven, and the text is not safe to send.
            raise OrderDenied(text, rule="order_id", **where)
        raise OrderNotFound(f"{ref}: {text}", found=no_id_of(name, ref), **where)

    def unseen(given: RefLike, ref: OrderRef, result: LookupResult | None, where: Where) -> Meant | None:
        id = order_id(ref)
        if id is None and result is not None:
            order_from(result, ref, gateway=name, operation=where.get("operation") or "")
        return Meant(id or "", symbol_of(ref))

    async def send(meant: Meant, deadline: Deadline) -> Cancelled:
        try:
            await first.ready(deadline=deadline)
        except (VenueUnavailable, UnexpectedResponse) as error:
            raise NotSent(f"nothing was sent: {Exception.__str__(error)}", gateway=name, operation="cancel") from error
        asked, apart = reads.markets.spelled(meant.symbol), memory.is_apart(meant.order_id, meant.symbol)
        call = CcxtCall(
            operation="cancel",
            make=lambda exchange: exchange.cancel_order(meant.order_id, asked, dict(TRIGGER) if apart else {}),
            order_id=meant.order_id,
            client_order_id=meant.client_order_id,
        )
        try:
            done = await client.sender.cancel(call, deadline=deadline)
        except (OrderNotFound, RefusedLater) as error:
            refusal = error if isinstance(error, OrderNotFound) else error.refusal
            if apart or not isinstance(refusal, OrderNotFound) or not await is_apart(meant, deadline):
                raise
            return await send(meant, deadline)
        listed = isinstance(done.value, dict) and done.value.get("id") == meant.order_id
        return Cancelled(ids=([meant.order_id] if listed else []) if traits.cancel_lists else None)

    async def is_apart(meant: Meant, deadline: Deadline) -> bool:
        """Whether an order that was not found is one that waits for a price, which is cancelled in another place."""
        if not traits.trigger_orders_apart:
            return False
        key = OrderRef.model_construct(gateway=name, order_id=meant.order_id, symbol=meant.symbol)
        await look([key], after_a_write(deadline), {})
        return memory.is_apart(meant.order_id, meant.symbol)

    def untouched(row: Order | BadRow, symbol: Symbol | None) -> str | None:
        return None if row.order_id and traits.could_be_id(row.order_id) else UNREADABLE

    return Cancelling(
        seeking=Seeking(
            gateway=name,
            look_up=look,
            order_id=order_id,
            refuse=refuse,
            unseen=unseen,
            remembered=lambda ref: memory.orders(order_id(ref) or "", symbol_of(ref)),
            would_wait=lambda: client.session.limiter.would_wait("resolve"),
        ),
        memory=memory,
        log=client.session.log,
        now=reads.now,
        send=send,
        looks_after=(VenueError,),
        open_orders=first.read_open,
        untouched=untouched,
    )
