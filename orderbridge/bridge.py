"""
OrderBridge: many gateways as one.

The public calls stand here whole, each beside what it does; that is why it is long. Look-up and what acts on one order
wherever it is come first, then what lists over time, then placing, and what becomes of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeVar

from orderbridge.client_ids import mint
from orderbridge.errors import (
    AmbiguousRef,
    ConfigurationError,
    JournalError,
    KeyInUse,
    NotSupported,
    OrderBridgeError,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
)
from orderbridge.fanout import BridgeListing, FanOut, combine, one_after_another
from orderbridge.gateway import OrderGateway, check_gateway, checked_call, failure_of, order_from
from orderbridge.http.retry import Deadline
from orderbridge.http.transport import OneLoop
from orderbridge.model.basics import KnownBy, OrderStatus, OrderType, PlacementState, Symbol, TimeInForce
from orderbridge.model.order import Fill, Identity, Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Alarm, AlarmKind, Placement
from orderbridge.model.ref import OrderRef, RefLike, parse_refs, read_ref
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import (
    Answer,
    BridgeOrders,
    CancelledOrders,
    CancelReceipt,
    Failure,
    Found,
    LookupResult,
    OrderList,
)
from orderbridge.placement.decide import explain
from orderbridge.placement.journal import Journal
from orderbridge.placement.ledger import log
from orderbridge.placement.observations import ending
from orderbridge.placement.place import FOUND
from orderbridge.placement.placements import Line, Placements
from orderbridge.placement.recover import RecoveryReport
from orderbridge.placement.resolve import PROBE_TIMES, SETTLE_HORIZON, Ghost, Probing, Stale, Uncertain
from orderbridge.venue.bounds import before_a_cancel
from orderbridge.venue.gateway import VenueGateway

if TYPE_CHECKING:
    from orderbridge.bound import BoundGateway

T = TypeVar("T")
# What reading the journal may take between two calls to a venue, and after the last.
_TELLING_SECONDS: Final = 1.0
_LAST_LOOK: Final = 0.25
_INFERRED: Final = KnownBy.INFERRED
_SILENT: Final = frozenset({Answer.FAILED, Answer.TIMED_OUT, Answer.CANNOT_ASK})
# How long between two looks at an order that a caller waits for.
_FIRST_LOOK: Final = 0.25
_LONGEST_BETWEEN_LOOKS: Final = 5.0
# How long a raw send without a time limit waits for what was under way before.
_LONGEST_RECOVERY: Final = 60.0
# What one look at a placed order may take of the caller's time.
_LOOK_SECONDS: Final = 10.0


class OrderBridge:
    """
    Looks orders up on every gateway at once, each within the time limit, and places each order at most once.

    Args:
        gateways: each with its own name. The bridge closes them when it is closed, and the journal too.
        journal: where placements and what is seen of orders outlive this process. Without one they are kept in
            memory, and nothing is recovered.
        on_uncertain: `hold`; `fence`: cancel by client id at every probe, where the venue can; `resend_if_absent`:
            send again, under the same id, what is proven absent or what the venue's ids keep from being doubled.
        on_stale: what recovery does with a placement that was prepared and never sent: `deny`, or `send` within
            a minute.
        on_ghost: what to do with an order that appears after it was proven absent, beside the alarm: `alert`,
            `cancel`, or `adopt`. `watch_for`: seconds for which that is looked for.
        on_alarm: called with each `Alarm`; without it they are logged as errors.
        settle_horizon: seconds after which an order that was accepted is certainly shown.
        probe_times: seconds after an attempt at which its outcome is asked for; then every five minutes.
        clock: epoch seconds. `ids`: makes client order ids, as `orderbridge.client_ids.mint`.

    Raises:
        ConfigurationError: no gateway, or two of one name.
    """

    @checked_call
    def __init__(
        self,
        *gateways: OrderGateway,
        journal: Journal | None = None,
        on_uncertain: Uncertain = "hold",
        on_stale: Stale = "deny",
        on_ghost: Ghost = "alert",
        watch_for: float = 86_400.0,
        on_alarm: Callable[[Alarm], object] | None = None,
        settle_horizon: float = SETTLE_HORIZON,
        probe_times: Sequence[float] = PROBE_TIMES,
        clock: Callable[[], float] = time.time,
        ids: Callable[..., str] = mint,
    ) -> None:
        if not gateways:
            raise ConfigurationError("a bridge needs at least one gateway")
        self._gateways: dict[str, OrderGateway] = {}
        for gateway in gateways:
            check_gateway(gateway)
            if gateway.name in self._gateways:
                raise ConfigurationError(
                    f"two gateways are named {gateway.name!r}; tell them apart with account=…", gateway=gateway.name
                )
            self._gateways[gateway.name] = gateway
        self._loop = OneLoop("this bridge")
        self._closed = False
        self._fan_out = FanOut()
        self._placements = Placements(
            self._gateways,
            journal=journal,
            probing=Probing(
                horizon=settle_horizon,
                times=tuple(probe_times),
                on_uncertain=on_uncertain,
                on_ghost=on_ghost,
                on_stale=on_stale,
            ),
            watch_for=watch_for,
            on_alarm=on_alarm,
            clock=clock,
            ids=ids,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the gateways, as they were given."""
        return tuple(self._gateways)

    def __getitem__(self, name: str) -> BoundGateway:
        from orderbridge.bound import BoundGateway  # its calls are derived from those of this class

        return BoundGateway(self, self._placements.line(name).gateway, self._placements)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._gateways

    @checked_call
    async def lookup(
        self, *refs: RefLike, gateways: Sequence[str] | None = None, timeout: float | None = 10.0
    ) -> LookupResult:
        """
        Look orders up, whatever kind of id it is and wherever they live: what became of each.

        Args:
            refs: `x` asks every gateway for either kind of id; `bitso:x`, `bitso/mm:x` for that venue's order
                id; `bitso:client:x` for ours. Keys, orders and placements stand for themselves.
            gateways: names of those to ask; all by default.
            timeout: seconds, for all gateways together.

        Returns:
            A result keyed by the refs as given. What could not be decided says so, and why.

        Raises:
            ConfigurationError: a ref or `gateways` names a gateway that is not there; the bridge is closed, or
                was first used in another event loop. One gateway's own wrong settings are its failure only.
        """
        return await self._look_up(refs, gateways, timeout)

    async def _look_up(
        self, refs: tuple[RefLike, ...], gateways: Sequence[str] | None, timeout: float | None
    ) -> LookupResult:
        self._check_usable()
        asked = self._asked(gateways)
        parsed = parse_refs(refs, gateways=asked)
        work = {name: list(dict.fromkeys(ref for ref in parsed if ref.gateway in (None, name))) for name in asked}
        deadline = Deadline(timeout)
        results, failures = await self._ask(work, timeout)
        told = {name: _by_ref(result) for name, result in results.items()}
        if unshown := {name: some for name, found in told.items() if (some := _unshown(found, work[name]))}:
            soon, tell = deadline.within(_TELLING_SECONDS), self._placements.tell
            lacking = {name: await tell(self._gateways[name], *some, deadline=soon) for name, some in unshown.items()}
            # What the journal knows of an order is half of the proof of its end: these are asked for once more.
            again, _ = await self._ask(lacking, deadline.as_timeout)
            results |= {name: _replaced(results[name], later) for name, later in again.items()}
            told |= {name: _by_ref(results[name]) for name in again}
        found = [
            combine(ref, [name for name in asked if ref.gateway in (None, name)], told, failures) for ref in parsed
        ]
        bad_rows = tuple(row for result in results.values() for row in result.bad_rows)
        self._placements.recorder.orders([order for each in found for order in each.orders], source="look-up")
        # The journal of a look-up whose time the venues took up is read all the same, if it answers at once.
        reading = deadline if deadline.allows(_LAST_LOOK) else Deadline(_LAST_LOOK)
        for position, each in enumerate(found):
            if not each.orders:
                found[position] = await self._remembered(parsed[position], each, reading)
            elif any(map(_is_of_trades, each.orders)):
                found[position] = await self._completed(each, reading)
        return LookupResult.of_checked(refs=refs, found=tuple(found), unreachable=failures, bad_rows=bad_rows)

    async def _ask(
        self, work: Mapping[str, list[OrderRef]], timeout: float | None
    ) -> tuple[dict[str, LookupResult], dict[str, Failure]]:
        """The results of the gateways for the refs that each is asked for, and the failures of those that gave none."""

        def ask_at(name: str) -> Awaitable[LookupResult]:
            return self._gateways[name].lookup(*work[name], timeout=timeout)

        asked = [name for name, mine in work.items() if mine]
        # One of the engine's own tells what it knows when the time ends; anybody else's may not.
        is_prompt = len(asked) == 1 and isinstance(self._gateways[asked[0]], VenueGateway)
        results, failures = await self._fan_out.all(
            asked, ask_at, LookupResult, timeout, "lookup", keeps_time=is_prompt
        )
        for result in results.values():
            failures |= result.unreachable
        return results, failures

    async def _completed(self, found: Found, deadline: Deadline) -> Found:
        orders = tuple([await self._placements.completed(order, deadline=deadline) for order in found.orders])
        return found if orders == found.orders else found.model_copy(update={"orders": orders})

    async def _remembered(self, ref: OrderRef, found: Found, deadline: Deadline) -> Found:
        """Orders that no venue shows now, from the journal; while one is silent, only what can no longer change."""
        known = await self._placements.remembered(ref, deadline=deadline)
        orders = [order for order in known if order.gateway in found.answers]
        if _SILENT.intersection(found.answers.values()):
            orders = [order for order in orders if order.is_done and order.known_by is KnownBy.REPORTED]
        if not orders:
            return found
        notes = [f"{order.gateway}: from the journal, last seen {order.observed_at}" for order in orders]
        return found.model_copy(
            update={
                "orders": tuple(_from_journal(order) for order in orders),
                "proven_absent": False,
                "notes": (*found.notes, *notes),
            }
        )

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = 10.0) -> Order:
        """The one order that answers to `ref`, wherever it is. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self._look_up((ref,), None, timeout), ref, gateway=None)

    @checked_call
    async def open_orders(
        self,
        symbol: str | None = None,
        *,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> BridgeOrders:
        """
        The open orders of every gateway; complete for each that is not in `unreachable`, but for what it `may_lack`.

        Raises:
            ConfigurationError: `gateways` names a gateway that is not there, or `symbol` is none.
        """
        self._check_usable()
        market = None if symbol is None else self._symbol(symbol)

        def open_at(name: str) -> Awaitable[OrderList]:
            return self[name].open_orders(symbol=market, timeout=timeout)

        asked = self._asked(gateways)
        lists, failures = await self._fan_out.all(asked, open_at, OrderList, timeout, "open_orders")
        return BridgeOrders(
            orders=tuple(order for listed in lists.values() for order in listed.orders),
            unreachable=failures,
            bad_rows=tuple(row for listed in lists.values() for row in listed.bad_rows),
            may_lack=_may_lack(lists),
        )

    def _check_usable(self) -> None:
        if self._closed:
            raise ConfigurationError("this bridge is closed; make a new one")
        self._loop.check()

    @staticmethod
    def _symbol(text: str) -> Symbol:
        try:
            return Symbol(text)
        except ValueError as error:
            raise ConfigurationError(str(error)) from error

    @checked_call
    async def cancel(
        self, ref: RefLike, *, wait: Literal["ack", "done"] = "ack", timeout: float | None = 15.0
    ) -> Order:
        """
        Cancel an order wherever it is, and return it as it is after that; filled, if it turned out so.

        Args:
            ref: one that names no gateway is looked up first, on all of them.
            wait: `"done"` goes on looking until the order is over or the time is up.

        Raises:
            As the gateway's `cancel` does, and as `get` does where the order must be found first.
        """
        if wait not in ("ack", "done"):
            raise ConfigurationError(f"wait is 'ack' or 'done', not {wait!r}", operation="cancel")
        deadline = Deadline(timeout)
        direct = self._direct(ref)
        if direct is not None:
            order = await direct.cancel(ref, timeout=deadline.as_timeout)
        else:
            order = await self._cancel_wherever(ref, deadline)
        if wait == "ack":
            return order
        return await self._until_done(order, deadline)

    async def _cancel_wherever(self, ref: RefLike, deadline: Deadline) -> Order:
        """
        Cancel an order that may be at any gateway.

        A slow or locked-out gateway must not keep the cancel from the one that has the order: the search gets a part
        of the time, and where it decides nothing, every gateway that did not deny the order is asked to cancel it.
        """
        result = await self.lookup(ref, timeout=before_a_cancel(deadline).as_timeout)
        found = result[ref]
        if found.orders or not found.is_undecided:
            order = order_from(result, ref, gateway=None, operation="cancel")
            return await self[order.gateway].cancel(order, timeout=deadline.as_timeout)
        silent = [name for name, answer in found.answers.items() if answer is not Answer.NOT_SEEN]
        return await self._cancel_unseen(ref, silent, deadline)

    async def _cancel_unseen(self, ref: RefLike, names: Sequence[str], deadline: Deadline) -> Order:
        tried = await asyncio.gather(
            *(self[name].cancel(ref, timeout=deadline.as_timeout) for name in names), return_exceptions=True
        )
        orders = [each for each in tried if isinstance(each, Order)]
        errors = [each for each in tried if isinstance(each, BaseException)]
        if len(orders) > 1:
            raise AmbiguousRef(f"{len(orders)} orders answered, and all were cancelled", orders=tuple(orders))
        if orders:
            return orders[0]
        # What may have happened outweighs what did not.
        raise next((error for error in errors if isinstance(error, OutcomeUnknown)), errors[0])

    async def _until_done(self, order: Order, deadline: Deadline) -> Order:
        """Look at an order until it is over or the time is up, and return it as it was seen last."""
        wait = _FIRST_LOOK
        while order.may_be_live and deadline.allows(wait):
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_BETWEEN_LOOKS)
            try:
                order = await self[order.gateway].get(order, timeout=deadline.as_timeout)
            except OrderBridgeError:
                continue  # a look that fails says nothing about the order
        return order

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = 15.0) -> Order:
        """Change a working order wherever it is. Raises as the gateway's `edit` does, and as `get` does."""
        deadline = Deadline(timeout)
        gateway, known = await self._place_of(ref, deadline, "edit")
        return await gateway.edit(known, changes, timeout=deadline.as_timeout)

    async def _place_of(self, ref: RefLike, deadline: Deadline, operation: str) -> tuple[BoundGateway, RefLike]:
        """The gateway that an order is at, and the ref to use there."""
        direct = self._direct(ref)
        if direct is not None:
            return direct, ref
        order = order_from(await self.lookup(ref, timeout=deadline.as_timeout), ref, operation=operation)
        return self[order.gateway], order

    def _direct(self, ref: RefLike) -> BoundGateway | None:
        """The one gateway that a ref can only be at, if it says so or there is no other."""
        self._check_usable()
        (parsed,) = parse_refs([ref], gateways=self.names)
        if parsed.gateway is not None:
            return self[parsed.gateway]
        return self[self.names[0]] if len(self.names) == 1 else None

    @checked_call
    async def cancel_all(
        self,
        *,
        scope: Literal["account"],
        gateway: str | None = None,
        symbol: str | None = None,
        timeout: float | None = 20.0,
    ) -> CancelReceipt:
        """
        Cancel every open order of the accounts, by whomever it was placed.

        Args:
            scope: `"account"`, said out loud, since it cancels orders that are not this bot's too.
            gateway: one gateway only; by default all.

        Returns:
            What was cancelled or is known to be left, and which gateways could not be asked.

        Raises:
            ConfigurationError: an unknown gateway or symbol. NotSupported: another scope.
        """
        self._check_usable()
        if scope != "account":
            raise NotSupported(f"scope {scope!r} is not there; 'account' cancels all", operation="cancel_all")
        market = None if symbol is None else self._symbol(symbol)

        def cancel_at(name: str) -> Awaitable[CancelledOrders]:
            return self[name].cancel_all(symbol=market, timeout=timeout)

        asked = self._asked(gateway)
        done, failures = await self._fan_out.all(asked, cancel_at, CancelledOrders, timeout, "cancel_all")
        orders = tuple(order for cancelled in done.values() for order in cancelled)
        return CancelReceipt(scope=scope, orders=orders, unreachable=failures, may_lack=_may_lack(done))

    @checked_call
    async def market(self, gateway: str, symbol: str, *, timeout: float | None = 10.0) -> Market:
        """
        The rules of one market at one gateway.

        Raises:
            ConfigurationError: no such gateway or market. NotSupported: the venue tells no rules.
            VenueUnavailable and the other errors of a read.
        """
        self._check_usable()
        wanted = self._symbol(symbol)
        market = (await self[gateway].markets(timeout=timeout)).get(wanted)
        if market is None:  # it may have been listed since they were loaded
            market = (await self[gateway].markets(refresh=True, timeout=timeout)).get(wanted)
        if market is None:
            raise ConfigurationError(f"there is no market {wanted}", gateway=gateway, operation="market")
        return market

    def _asked(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            return list(self._gateways)
        asked = [names] if isinstance(names, str) else list(names)
        if not asked:
            raise ConfigurationError(f"no gateway is asked; there are: {', '.join(self.names)}")
        return list(dict.fromkeys(self._placements.line(name).gateway.name for name in asked))

    # Orders and fills over time.

    @checked_call
    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> BridgeListing[Order]:
        """
        The orders created in a time, gateway by gateway; `timeout` is per page.

        Args:
            gateways: by default those that have a history; named ones must have it.
            strict: refuse the call where a gateway would be left out; else the iterator's `left_out` names it.

        Raises:
            NotSupported: at once, where no gateway asked can tell, or one that is named or by `strict` must. While
                iterating: the first error of a gateway, after every other gateway's orders were given.
        """
        self._check_usable()
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        return self._listed(
            "orders",
            gateways,
            lambda gateway: gateway.capabilities.history,
            lambda gateway: gateway.orders(timeout=timeout, **given),
            strict=strict,
        )

    @checked_call
    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> BridgeListing[Fill]:
        """
        The executions of one order, or of the accounts gateway by gateway; `timeout` is per page.

        Args:
            ref: one that names no gateway is looked up first, on all of them.
            gateways: by default those that can list fills; named ones must be able to. None is made of what an
                order says it has filled: that is a sum, and no execution.
            strict: as of `orders`.

        Raises:
            NotSupported: at once, as of `orders`. While iterating: as `orders` does.
        """
        self._check_usable()
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol}
        if ref is not None:
            parse_refs([ref], gateways=self.names)
            return BridgeListing(self._fills_of(ref, timeout, given), {})
        return self._listed(
            "fills",
            gateways,
            lambda gateway: gateway.capabilities.fills,
            lambda gateway: gateway.fills(timeout=timeout, **given),
            strict=strict,
        )

    async def _fills_of(self, ref: RefLike, timeout: float | None, given: Mapping[str, Any]) -> AsyncIterator[Fill]:
        gateway, known = await self._place_of(ref, Deadline(timeout), "fills")
        async with ending(gateway.fills(known, timeout=timeout, **given)) as fills:
            async for fill in fills:
                yield fill

    def _listed(
        self,
        call: str,
        gateways: Sequence[str] | None,
        can: Callable[[OrderGateway], bool],
        make: Callable[[BoundGateway], AsyncIterator[T]],
        *,
        strict: bool,
    ) -> BridgeListing[T]:
        left_out: dict[str, str] = {}
        calls: list[AsyncIterator[T]] = []
        for name in self._asked(gateways):
            gateway = self[name]
            if not can(gateway):
                hint = gateway.instead.get(call)
                left_out[name] = f"{name} cannot list {call}" + (f"; {hint}" if hint else "")
                continue
            try:
                calls.append(make(gateway))
            except NotSupported as error:  # not so, as with this symbol or at this exchange without one
                left_out[name] = failure_of(error).message
        if not calls or (left_out and (strict or gateways is not None)):
            raise NotSupported("; ".join(left_out.values()), operation=call)
        return BridgeListing(one_after_another(calls), left_out)

    # Placing at most once, and what became of it.

    @checked_call
    async def prepare(self, gateway: str, request: OrderRequest, *, key: str | None = None) -> Placement:
        """
        Store a placement without sending it: its client order id exists, and is durable, from then on.

        Args:
            key: the caller's own name of this act; a held key gives the placement that holds it.

        Raises:
            OrderDenied, NotSupported: refused here. KeyInUse: the key's holder asks for something else.
            NotSent: the journal came back older than it was, and the venue was not looked at yet for what was lost.
        """
        self._check_usable()
        line = self._placements.line(gateway)
        await self._placements.come_alive()
        record = await line.placer.prepare(request, key=key)
        ledger = self._placements.ledger
        return ledger.placement(await ledger.up_to_date(record))

    @checked_call
    async def place(
        self,
        gateway: str,
        request: OrderRequest | Placement,
        *,
        key: str | None = None,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Order:
        """
        Place an order at most once, and return it as the venue answered, or as one look then showed it.

        An order of an earlier call comes back too; its `evidence` says that it was found, and was not sent again.
        A cancelled task loses nothing: if the order was being sent, its outcome is written down and followed up.

        Args:
            request: what to place, or a placement that was prepared.
            key: while it is held by a placement of the same request, that is gone on with and nothing is placed
                twice; after a proven refusal or absence it is free again.
            send_within: seconds to wait for the right to send; then `NotSent`.
            timeout: seconds for an answer once it is sent; then `OutcomeUnknown`, and it is followed up.
            read_back: look the order up once, as Bitso answers with an id only, within `timeout`; a look that shows
                nothing changes nothing. By default that is done for what trades at once: market, ioc and fok.

        Raises:
            OutcomeUnknown: sent, outcome not known. `await bridge.resolve(error.placement)` is the next line. Its
                `__cause__` is `RateLimited` when it was throttled.
            NotSent: nothing was sent; with the same key, or the same placement, it may be tried again.
            OrderDenied, NotSupported, KeyInUse: refused here, nothing was sent.
            OrderRejected, AuthenticationFailed, PermissionDenied: refused by the venue.
            JournalError: the intention could not be stored, so nothing was sent.
        """
        self._check_usable()
        began = asyncio.get_running_loop().time()
        line = await self._placements.ready(gateway, within=send_within)
        left = max(0.0, send_within - (asyncio.get_running_loop().time() - began))
        order = await line.placer.place(request, key=key, send_within=left, timeout=timeout)
        if order.may_be_live and any(note.startswith(FOUND) for note in order.evidence):
            line.working.look_soon()
        asked = request.request if isinstance(request, Placement) else request
        if not _is_to_be_looked_at(order, asked, read_back):
            return order
        seen = await self._look([order], began=began, timeout=timeout)
        shown = seen.get(order.identity, order)
        return shown.noted(*(note for note in order.evidence if note.startswith(FOUND)))

    @checked_call
    async def submit_at(
        self,
        gateway: str,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """
        Send an order once at a gateway, written down like every other: `bridge["bitso"].submit`. Prefer `place`.

        An outcome that is not known is followed up, and `OutcomeUnknown` carries the placement. `not_after` is loop
        time; past it `NotSent` is raised.
        """
        self._check_usable()
        within = _LONGEST_RECOVERY if timeout is None else timeout
        line = await self._placements.ready(gateway, within=within)
        return await line.placer.submit(request, permit=permit, not_after=not_after, timeout=timeout)

    @checked_call
    async def place_many(
        self,
        gateway: str,
        requests: Mapping[str, OrderRequest],
        *,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Mapping[str, Placement]:
        """
        Place several orders at once, each under its key; look at the state of each placement.

        Those that `place` would look at are looked up together.

        Never raises for one order. A refused one is `denied` or `rejected`, one that was not sent is `prepared`,
        and where a key is held by another request, that one's placement is given. One whose intention could not be
        stored was not sent: it is `denied`, with why in its `evidence`, and the journal knows nothing of it.

        Raises:
            JournalError: nothing can be stored at all. NotSent: the gateway's recovery is not over in time.
        """
        self._check_usable()
        began = asyncio.get_running_loop().time()
        line = await self._placements.ready(gateway, within=send_within)
        how: dict[str, Any] = {"send_within": send_within, "timeout": timeout}
        calls = (self._place_one_of_many(line, key, request, **how) for key, request in requests.items())
        done = dict(zip(requests, await asyncio.gather(*calls), strict=True))
        placed = {
            each.order.identity: each.order
            for each in done.values()
            if each.order is not None and _is_to_be_looked_at(each.order, each.request, read_back)
        }
        if not placed:
            return done
        seen = await self._look(list(placed.values()), began=began, timeout=timeout)
        return {
            key: each.model_copy(update={"order": seen[each.order.identity]})
            if each.order is not None and each.order.identity in seen
            else each
            for key, each in done.items()
        }

    async def _place_one_of_many(
        self, line: Line, key: str, request: OrderRequest, *, send_within: float, timeout: float | None
    ) -> Placement:
        """The placement of one request, whatever happened: `place_many` raises for none."""
        ledger = self._placements.ledger
        try:
            record = await line.placer.prepare(request, key=key, refused_too=True)
        except KeyInUse as error:
            return error.placement
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what became of the others
            return _not_stored(line, ledger.now(), key, request, error)
        placement = record.placement
        if placement.state is PlacementState.DENIED:
            return placement
        try:
            order = await line.placer.place(placement, key=None, send_within=send_within, timeout=timeout)
            placement = placement.model_copy(update={"state": PlacementState.PLACED, "order": order})
        except OutcomeUnknown as error:
            placement = error.placement or placement.model_copy(update={"state": PlacementState.UNCERTAIN})
        except OrderRejected as error:
            refused = {"state": PlacementState.REJECTED, "evidence": (*placement.evidence, str(error))}
            placement = placement.model_copy(update=refused)
        except Exception as error:  # noqa: BLE001 - nothing was sent, and what stands in the journal is returned
            if not isinstance(error, OrderBridgeError):
                ledger.alarm(AlarmKind.BACKGROUND, f"placing failed: {type(error).__name__}: {error}", record=record)
        try:
            return ledger.placement(await ledger.journal.get(record.id) or record)
        except JournalError:
            return placement

    async def _look(self, orders: Sequence[Order], *, began: float, timeout: float | None) -> dict[Identity, Order]:
        """Look orders of one gateway up once more; one that fails changes nothing about a placed order."""
        left = _LOOK_SECONDS
        if timeout is not None:
            left = min(left, began + timeout - asyncio.get_running_loop().time())
        if left <= 0:
            return {}
        placed = {order.identity for order in orders}
        try:
            result = await self[orders[0].gateway].lookup(*orders, timeout=left)
            same = [order for order in result.orders if order.identity in placed]
            known = await self._placements.observations.observe(same, source="read back")
        except Exception as error:  # noqa: BLE001 - it is placed: whatever a look meets, an error here would deny that
            names = ", ".join(order.order_id for order in orders)
            log.warning("%s: placed, and could not be read back: %s", names, error)
            return {}
        return {order.identity: order for order in known}

    @checked_call
    async def resolve(self, placement: Placement, *, timeout: float | None = None) -> Placement:
        """
        Wait until a placement is settled, or probing gave up without proof; look at `.state` and `.order`.

        Args:
            timeout: seconds; when they end, the placement as it is then. Probing goes on.

        Raises:
            ConfigurationError: it is not in the journal, or was made at another address or mode.
        """
        self._check_usable()
        record = await self._placements.record_of(placement)
        await self._placements.come_alive()
        line = self._placements.line(record.placement.gateway)
        after = await line.resolver.resolve(record, timeout=timeout)
        return self._placements.ledger.placement(after)

    @checked_call
    async def placement(self, *, key: str, gateway: str | None = None) -> Placement | None:
        """The placement of a key: the one that holds it, else the last one that did, else None."""
        self._check_usable()
        found = await self._placements.placements(gateway=gateway, key=key)
        # Two may claim it when an order appeared after its absence was proven: the later one was given the key.
        return next((each for each in reversed(found) if each.holds_key), found[-1] if found else None)

    @checked_call
    async def placements(self, *, state: PlacementState | str | None = None) -> list[Placement]:
        """Every placement of the journal, or those of one state, oldest first."""
        self._check_usable()
        try:
            wanted = None if state is None else PlacementState(state)
        except ValueError as error:
            raise ConfigurationError(f"{error}; there are: {', '.join(PlacementState)}") from error
        return await self._placements.placements(state=wanted)

    async def recover(self) -> RecoveryReport:
        """
        Settle what was under way when the last process ended, and adopt its orders.

        `async with` starts this by itself when the bridge has a journal; placing waits for it, gateway by gateway.
        """
        self._check_usable()
        return await self._placements.recover()

    @checked_call
    async def observe(self, order: Order) -> Order:
        """
        Take in an order that the caller's own stream has shown, as evidence; it may settle a placement.

        Returns:
            The order as it is known now.
        """
        self._check_usable()
        (known,) = await self._placements.observations.observe([order], source="observed")
        known = self._placements.ledger.over(known)
        self._placements.remember([known])
        return known

    @checked_call
    async def explain(self, ref: RefLike) -> str:
        """
        How a placement came to be as it is, line by line, from the journal.

        Raises:
            OrderNotFound: the journal knows no placement of this ref. ConfigurationError: the ref is mis-written.
        """
        self._check_usable()
        await self._placements.recorder.catch_up()
        known, journal = read_ref(ref), self._placements.ledger.journal
        client = known.client_order_id or known.id
        found = await journal.find(gateway=known.gateway, client_order_id=client) if client else []
        order_id = known.order_id or known.id
        if not found and order_id is not None:
            for order in await journal.orders(gateway=known.gateway, order_id=order_id):
                if order.client_order_id is not None and known.symbol in (None, order.symbol):
                    found += await journal.find(gateway=order.gateway, client_order_id=order.client_order_id)
        if isinstance(ref, Placement) and not found:
            found = [await self._placements.record_of(ref)]
        if not found and known.id is not None:
            found = await journal.find(gateway=known.gateway, key=known.id)
        if not found and client is not None:  # what was denied gave its id back, for the next one
            denied = await journal.find(gateway=known.gateway, states=[PlacementState.DENIED])
            found = [record for record in denied if record.placement.request.client_order_id == client]
        if not found:
            raise OrderNotFound(f"the journal knows no placement of {known}", operation="explain")
        parts = [
            explain(record, self._placements.ledger.placement(record), await journal.events(record.id))
            for record in found
        ]
        return "\n\n".join(parts)

    # Opening and closing.

    async def aclose(self) -> None:
        """Close every gateway and the journal, whatever one of them says. The bridge cannot be used again."""
        self._closed = True
        if self._loop.is_the_parents:
            return
        # Placing first: what is under way is written down while there is still a way to the venue.
        placed = await asyncio.gather(self._placements.aclose(), return_exceptions=True)
        closed = await asyncio.gather(
            *(gateway.aclose() for gateway in self._gateways.values()), return_exceptions=True
        )
        errors = [error for error in [*placed, *closed] if isinstance(error, BaseException)]
        if errors:
            raise BaseExceptionGroup("some gateways could not be closed", errors)

    async def __aenter__(self) -> Self:
        self._check_usable()
        self._placements.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"OrderBridge({', '.join(map(repr, self._gateways.values()))})"


def _replaced(result: LookupResult, later: LookupResult) -> LookupResult:
    """A result with what a later look at some of its refs came to."""
    found = tuple(later[ref] if ref in later and later[ref].orders else result[ref] for ref in result.refs)
    bad_rows = tuple(dict.fromkeys((*result.bad_rows, *later.bad_rows)))
    return LookupResult(refs=result.refs, found=found, unreachable=result.unreachable, bad_rows=bad_rows)


def _by_ref(result: LookupResult) -> dict[RefLike, Found]:
    return dict(zip(result.refs, result.found, strict=True))


def _unshown(told: Mapping[RefLike, Found], refs: Sequence[OrderRef]) -> list[OrderRef]:
    """The refs that a gateway, which was not silent, showed no order of but for what trades tell."""
    return [
        ref
        for ref in refs
        if (found := told.get(ref)) is not None
        and all(map(_is_of_trades, found.orders))
        and _SILENT.isdisjoint(found.answers.values())
    ]


def _is_of_trades(order: Order) -> bool:
    # An order of a known type is one that the gateway knew already; trades alone tell none.
    return order.known_by is _INFERRED and order.type is OrderType.UNKNOWN


def _from_journal(order: Order) -> Order:
    # An end that the venue reported stays one; anything else is our conclusion now, since the venue is silent.
    if order.is_done and order.known_by is KnownBy.REPORTED:
        return order
    return order.noted("journal: the venue no longer shows it", known_by=KnownBy.INFERRED)


def _may_lack(lists: Mapping[str, OrderList | CancelledOrders]) -> dict[str, frozenset[OrderType]]:
    return {name: listed.may_lack for name, listed in lists.items() if listed.may_lack}


def _is_to_be_looked_at(order: Order, request: OrderRequest, read_back: bool | None) -> bool:
    if read_back is not None:
        return read_back
    trades_at_once = request.type is OrderType.MARKET or request.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}
    return trades_at_once and order.may_be_live


def _not_stored(line: Line, at: datetime, key: str, request: OrderRequest, error: Exception) -> Placement:
    return Placement(
        placement_id="",
        gateway=line.gateway.name,
        key=key,
        request=request,
        state=PlacementState.DENIED,
        evidence=(f"not stored, so not sent: {type(error).__name__}: {error}",),
        created_at=at,
    )
