"""Bitso v3: what it can do, and how it places, cancels, edits and lists, for the engine that every venue shares."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import SecretStr

from orderbridge import errors
from orderbridge.adapters.bitso import mapping
from orderbridge.adapters.bitso.auth import Signer
from orderbridge.adapters.bitso.codes import CODES, understand
from orderbridge.adapters.bitso.reads import BitsoReads
from orderbridge.adapters.bitso.rebuild import BATCH, blames_an_id, look_up
from orderbridge.gateway import Capabilities, ClientIdRule, Mode, checked_call, order_from
from orderbridge.http.limits import LimitsLike, Rate
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import log_facts
from orderbridge.http.transport import check_address
from orderbridge.model.basics import EditClass, Idempotency, TimeInForce
from orderbridge.model.lifecycle import SETTLE_TIME
from orderbridge.model.order import Fill, Order, gateway_name
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.venue.cancel import Batches, Cancelled, Cancelling, LookUp, Meant, Seeking
from orderbridge.venue.edit import Editing
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lists import Window
from orderbridge.venue.lookup import CLIENT, no_id_of
from orderbridge.venue.markets import MarketRules, MarketsLike, MarketStore, Warn
from orderbridge.venue.meanings import Meaning
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import RowReader, Rows
from orderbridge.venue.sender import HttpCall, KeyAuth, RefusedLater, Sender, Tries, http_sender
from orderbridge.venue.submit import Placing

if TYPE_CHECKING:
    from orderbridge.http.transport import EngineLike

PRODUCTION: Final = "https://bitso.com/api/v3"
# Source: Bitso API v3, "General Concepts": production and staging.
_SANDBOXES: Final = frozenset({"stage.bitso.com", "api-stage.bitso.com", "sandbox.bitso.com", "api-sandbox.bitso.com"})
# Source: Bitso API v3, "General Concepts", rate limits: 300 private calls a minute by user, 60 public ones by
# IP, cancels not counted. A burst and a refill that together never pass the figure in any 60 s.
PRIVATE_RATE: Final = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
PUBLIC_RATE: Final = Rate(burst=20, per_second=40 / 60)
_LOAD_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 3.0
CAPABILITIES: Final = Capabilities(
    order_types=frozenset(mapping.TYPE_TO_WIRE),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    quote_sizing=True,
    slippage_tolerance=True,
    any_options=True,
    post_only=True,
    client_order_id=ClientIdRule(alphabet="A-Za-z0-9_-", max_length=40),
    idempotency=Idempotency.WHILE_ACTIVE,
    lookup_batch=BATCH,
    cancel_batch=BATCH,
    edit=EditClass.IN_PLACE,
    fills=True,
    markets=True,
    cancel_all=True,
    funds_refusal_is_distinct=True,
    cancels_counted=False,
    open_orders_may_lack=mapping.WAITING_MAY_BE_MISSING,
)


class BitsoGateway(VenueGateway):
    """
    One account at Bitso v3.

    A new order is answered with an id only: it comes back `accepted`, fills unknown. Fifty ids cost one look-up. Bitso
    forgets an order within an hour of its end, often at once: one that it had shown to this gateway is told as it was
    last known, and its end is concluded, `filled` from trades of its whole size, else `cancelled` once it has been
    lacking for the settle time; any other is rebuilt from its trades and comes back `ended`. Both are inferred, and a
    miss never proves absence. Limits and lock-outs never delay a cancel. Whether open orders hold the stops that wait
    for their trigger is not documented, so a list without one proves nothing of it. An edit is v4's "Modify an Order":
    with a new price alone the total stays as Bitso shows it; for an order of which it shows none it is needed.

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

    Source: Bitso API v3, docs.bitso.com: "Place an Order" (quantity is its "major", quote_quantity "minor"), "Look Up
    Orders", "List Open Orders", "List Order Trades", "User Trades", "Cancel an Order", "List Available Books", "Fees".
    """

    capabilities = CAPABILITIES

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
        self.name = gateway_name(mapping.VENUE, account)
        self.address = address = base_url.rstrip("/")
        # An address that is not known is taken for real money.
        self.mode: Mode | None = "sandbox" if urlsplit(address).hostname in _SANDBOXES else "live"
        self._signer = signer = Signer(api_key, api_secret, clock=clock)
        sender = http_sender(
            venue=mapping.VENUE,
            account=account,
            address=address,
            key=signer.digest,
            pace=PRIVATE_RATE,
            public_pace=PUBLIC_RATE,
            # Another process that uses the key may be ahead of our nonces.
            auth=lambda session: KeyAuth(signer.secrets, signer.headers, renewals=3),
            understand=understand,
            judge=CODES,
            transport=transport,
            limits=limits,
            retries=retries,
        )
        self.longest_attempt = sender.session.longest_attempt(address)
        memory = OrderMemory(elapsed=elapsed)
        reader = RowReader(sender.session)
        reads = BitsoReads(sender=sender, reader=reader, memory=memory, account=account, clock=clock)
        resolving = reads.in_lane("resolve")  # beside a cancel or an edit: before other reads
        store = MarketStore(
            _market_rules(sender), gateway=self.name, log=sender.session.log, address=address, given=markets
        )
        find = partial(look_up, rebuild_limit=rebuild_limit, settle_time=settle_time)

        parts = Parts(
            sender=sender,
            now=reads.now,
            look_up=partial(find, reads),
            open_orders=reads.read_open,
            check_symbol=_check_symbol,
            fills=partial(_fills, reads),
            placing=_placing(reads, store),
            cancelling=_cancelling(resolving, partial(find, resolving)),
            editing=_editing(resolving, store, address, partial(find, resolving)),
            markets=store,
            learn=memory.learn,
        )
        super().__init__(venue=mapping.VENUE, account=account, capabilities=CAPABILITIES, parts=parts)

    @checked_call
    def nonces_of(self, key: str) -> Callable[[], int] | None:
        """Fresh nonces for another client of this API key: once Bitso has seen ours it refuses shorter ones."""
        return self._signer.nonces_of(key)

    def __repr__(self) -> str:
        return f"BitsoGateway({self.name!r}, base_url={self.address!r})"


def _check_symbol(symbol: str) -> None:
    try:
        mapping.book_from_symbol(symbol)
    except ValueError as error:
        raise errors.ConfigurationError(str(error)) from error


def _fills(
    reads: BitsoReads, window: Window, ref: RefLike | None, timeout: float | None
) -> AsyncGenerator[Rows[Fill], None]:
    if ref is None:
        return reads.account_trades(window, timeout=timeout)
    return reads.trades_by_ref(OrderRef.of(ref), timeout=timeout)


def _placing(reads: BitsoReads, markets: MarketStore) -> Placing:
    def call(request: OrderRequest, client_order_id: str | None) -> HttpCall:
        fields = mapping.order_to_wire(request, client_order_id=client_order_id or "")
        return HttpCall(
            operation="submit", method="POST", path="/orders", fields=fields, client_order_id=client_order_id
        )

    async def said(payload: object, request: OrderRequest, call: HttpCall, deadline: Deadline) -> Order:
        return mapping.order_from_answer(
            request,
            oid=mapping.oid_from_answer(payload),
            client_order_id=call.client_order_id or "",
            account=reads.account,
            observed_at=reads.now(),
        )

    return Placing(
        sender=reads.sender,
        capabilities=CAPABILITIES,
        clock=reads.clock,
        call=call,
        said=said,
        known=reads.memory.take,
        markets=markets,
        is_rule=lambda refused: CODES.of(refused.code, "submit") is Meaning.RULE,
        stated=mapping.stated_in_answer,
    )


def _editing(reads: BitsoReads, markets: MarketStore, address: str, find: LookUp) -> Editing:
    """Changes in place, by v4. Which code an order gets that has ended meanwhile is not documented: any may be it."""

    def call(order: Order, changes: OrderEdit) -> HttpCall:
        if not address.endswith("/v3"):
            raise errors.ConfigurationError(f"{address} does not end in /v3, so where v4 is cannot be told")
        return HttpCall(
            operation="edit",
            method="PATCH",
            path=f"/orders/{order.order_id}",
            fields=mapping.modify_to_wire(changes),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            base_url=f"{address.removesuffix('3')}4",
        )

    async def order_of(given: RefLike, deadline: Deadline) -> Order:
        (ref,) = parse_refs([given], gateways=[reads.sender.gateway])
        return order_from(await find([ref], deadline, {}), ref)

    return Editing(
        find=order_of,
        check=mapping.checked_edit,
        sender=reads.sender,
        call=call,
        shown=mapping.check_answer,
        may_be_state=lambda refused: isinstance(refused, (errors.OrderNotFound, errors.OrderRejected)),
        markets=markets,
        unconfirmed=reads.memory.update,
    )


def _cancelling(reads: BitsoReads, look_up: LookUp) -> Cancelling:
    """How Bitso cancels: under any id, in lists and everything at once."""
    sender = reads.sender
    deletes = _Deletes(sender)

    def refuse(given: RefLike, ref: OrderRef) -> None:
        if not mapping.ways_to_ask(ref):
            raise errors.OrderNotFound(f"{ref} cannot be an id at Bitso", found=no_id_of(sender.gateway, ref))

    return Cancelling(
        seeking=Seeking(
            gateway=sender.gateway,
            look_up=look_up,
            order_id=_oid,
            refuse=refuse,
            # Neither is the kind of a bare id known, nor does a miss prove anything: it is cancelled in every way.
            unseen=lambda given, ref, result, operation: None,
            takes=lambda order: mapping.could_be_oid(order.order_id),
            would_wait=lambda: sender.session.limiter.would_wait("resolve"),
        ),
        memory=reads.memory,
        log=sender.session.log,
        now=reads.now,
        send=deletes.by_oid,
        by_client_id=deletes.by_origin_id,
        open_orders=reads.read_open,
        batches=Batches(
            size=BATCH,
            send=deletes.by_list,
            everything=deletes.everything,
            could_be_id=mapping.could_be_oid,
            blames_an_id=blames_an_id,
            may_lack=mapping.WAITING_MAY_BE_MISSING,
        ),
    )


def _oid(ref: OrderRef) -> str | None:
    oid = ref.order_id or ref.id
    return oid if oid and mapping.could_be_oid(oid) else None


class _Deletes:
    """The cancels that Bitso takes. What it could not have issued is no order's id, and goes into no request."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def by_oid(self, meant: Meant, deadline: Deadline) -> Cancelled:
        """Cancel one order."""
        call = _delete(f"/orders/{meant.order_id}", order_id=meant.order_id, client_order_id=meant.client_order_id)
        return await self._one(call, deadline)

    async def by_origin_id(self, ref: OrderRef, deadline: Deadline) -> Cancelled:
        """Cancel what has the client id, once: by another try it could be a later order."""
        origin_id = next((way.id for way in mapping.ways_to_ask(ref) if way.kind == CLIENT), None)
        if origin_id is None:
            return Cancelled(ids=())
        call = _delete(f"/orders?origin_ids={origin_id}", client_order_id=origin_id)
        return await self._one(call, deadline, once=True)

    async def _one(self, call: HttpCall, deadline: Deadline, *, once: bool = False) -> Cancelled:
        tries, listed = Tries(), list[str]()
        try:
            listed = await self._send(call, deadline, once=once, tries=tries)
        except (errors.OrderNotFound, RefusedLater) as error:
            if not isinstance(error, errors.OrderNotFound) and not isinstance(error.refusal, errors.OrderNotFound):
                raise
        # Where nothing was cancelled, how the order stands is read next.
        return Cancelled(listed, is_doubted=tries.earlier)

    async def by_list(self, oids: Sequence[str], deadline: Deadline, operation: str) -> list[str]:
        """Cancel orders. VenueError: the list was refused for one of them."""
        return await self._send(_delete(f"/orders?oids={','.join(oids)}", operation=operation), deadline)

    async def everything(self, deadline: Deadline) -> list[str]:
        """Cancel every order of the account, once."""
        return await self._send(_delete("/orders/all", operation="cancel_all"), deadline, once=True)

    async def _send(
        self, call: HttpCall, deadline: Deadline, *, once: bool = False, tries: Tries | None = None
    ) -> list[str]:
        payload = await self._sender.cancel(call, deadline=deadline, once=once, tries=tries)
        if isinstance(payload, list):
            listed = list(dict.fromkeys(oid for oid in payload if isinstance(oid, str) and mapping.could_be_oid(oid)))
            if listed or not payload:
                return listed
        raise errors.OutcomeUnknown(
            "a cancel answers with a list of oids, and this was none",
            order_id=call.order_id,
            client_order_id=call.client_order_id,
        )


def _delete(path: str, *, operation: str = "cancel", **ids: Any) -> HttpCall:
    return HttpCall(operation=operation, path=path, method="DELETE", **ids)


class _Public(NamedTuple):
    """Bitso's public word on its markets: the rows of the books, and the decimals by currency code."""

    books: Any
    precision: Mapping[str, int]


def _market_rules(sender: Sender) -> MarketRules:
    """Where Bitso tells its markets. What is optional stops nothing, however it fails."""

    async def read(path: str, *, is_public: bool = True) -> Any:
        call = HttpCall(operation="markets", path=path, is_public=is_public)
        return await sender.read(call, deadline=Deadline(_LOAD_SECONDS))

    async def public(fresh: bool) -> _Public:
        return _Public(*await asyncio.gather(read("/available_books"), optional(precision(), "quantity steps")))

    async def precision() -> dict[str, int]:
        return {
            row["code"].lower(): row["precision"]
            for row in _rows(await read("/catalogues"), "currencies", "metadata")
            if isinstance(row.get("code"), str) and _is_count(row.get("precision"))
        }

    async def fees() -> dict[str, Any]:
        rows = _rows(await read("/fees", is_public=False), "fees")
        return {row["book"]: row for row in rows if isinstance(row.get("book"), str)}

    async def optional(call: Awaitable[Mapping[str, Any]], what: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_OPTIONAL_SECONDS):
                return await call
        except Exception as error:  # noqa: BLE001 - a defect in what is optional stops no order either
            why = str(error) or "no answer in time"
            extra = log_facts(sender.gateway, "markets")
            sender.session.log.warning("%s are not known: %s", what, why, extra=extra)
            return {}

    return MarketRules(
        public=public,
        rows=_books,
        market=_market,
        own=lambda: optional(fees(), "the account's own fees"),
    )


def _books(public: _Public) -> Iterator[tuple[Any, Mapping[str, int]]]:
    for row in public.books if isinstance(public.books, list) else []:
        yield row, public.precision


def _market(row: tuple[Any, Mapping[str, int]], fees: Mapping[str, Any], warn: Warn) -> Market:
    return mapping.market_from_row(row[0], precision=row[1], fees=fees, warn=warn)


def _rows(payload: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list inside an answer; none where something else stands."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return [row for row in payload if isinstance(row, dict)] if isinstance(payload, list) else []


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 30
