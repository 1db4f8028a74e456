"""OrderBridge: many gateways as one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Literal, Self

from orderbridge.asking import Asking, combine
from orderbridge.bound import BoundGateway
from orderbridge.client_ids import mint
from orderbridge.errors import ConfigurationError, NotSupported
from orderbridge.finding import cancel_wherever, until_done
from orderbridge.gateway import OrderGateway, check_gateway, checked_call, order_from
from orderbridge.history import HistoryCalls
from orderbridge.http.policy import Deadline, check_seconds
from orderbridge.http.transport import OneLoop
from orderbridge.model.alarm import Alarm
from orderbridge.model.cancelling import CancelReceipt
from orderbridge.model.lookup import Answer, BadRow, BridgeOrders, Failure, Found, LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import KnownBy, OrderType
from orderbridge.placement.calls import PlacementCalls
from orderbridge.placement.journal import Journal
from orderbridge.placement.placing import Placing
from orderbridge.placement.policy import PROBE_TIMES, SETTLE_HORIZON, Ghost, Probing, Stale, Uncertain
from orderbridge.search import parse_refs

# What reading the journal may take between two calls to a venue, and after the last.
_TELLING_SECONDS: Final = 1.0
_LAST_LOOK: Final = 0.25
_SILENT: Final = frozenset({Answer.FAILED, Answer.TIMED_OUT, Answer.CANNOT_ASK})


class OrderBridge(PlacementCalls, HistoryCalls):
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
        check_seconds(watch_for=watch_for)
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
        self._asking = Asking()
        self._placing = Placing(
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
        try:
            return BoundGateway(self, self._gateways[name], self._placing)
        except (KeyError, TypeError):
            raise ConfigurationError(f"no gateway is named {name!r}; there are: {', '.join(self.names)}") from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._gateways

    @checked_call
    async def lookup(
        self, *refs: RefLike, gateways: Sequence[str] | None = None, timeout: float | None = 10.0
    ) -> LookupResult:
        """
        What became of each order, whatever kind of id it is and wherever it lives.

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
        self._check_usable(timeout=timeout)
        asked = self._asked(gateways)
        parsed = parse_refs(refs, gateways=asked)
        work = {name: list(dict.fromkeys(ref for ref in parsed if ref.gateway in (None, name))) for name in asked}
        deadline = Deadline(timeout)
        results, failures = await self._ask(work, timeout)
        soon = deadline.within(_TELLING_SECONDS)
        lacking = {name: await self._told(name, work[name], result, soon) for name, result in results.items()}
        if any(lacking.values()):
            # What the journal knows of an order is half of the proof of its end: these are asked for once more.
            again, _ = await self._ask(lacking, deadline.as_timeout)
            results |= {name: _replaced(results[name], later) for name, later in again.items()}
        found = [
            combine(ref, [name for name in asked if ref.gateway in (None, name)], results, failures) for ref in parsed
        ]
        bad_rows = tuple(row for result in results.values() for row in result.bad_rows)
        self._placing.seen.orders([order for each in found for order in each.orders], source="look-up")
        # The journal of a look-up whose time the venues took up is read all the same, if it answers at once.
        reading = deadline if deadline.allows(_LAST_LOOK) else Deadline(_LAST_LOOK)
        found = [await self._completed(each, reading) for each in found]
        found = [await self._remembered(ref, each, reading) for ref, each in zip(parsed, found, strict=True)]
        return LookupResult(refs=tuple(refs), found=tuple(found), unreachable=failures, bad_rows=bad_rows)

    async def _ask(
        self, work: Mapping[str, list[OrderRef]], timeout: float | None
    ) -> tuple[dict[str, LookupResult], dict[str, Failure]]:
        """What each gateway says of the refs that it is asked for, and which could not."""
        calls = {name: self._lookup_call(name, mine, timeout) for name, mine in work.items() if mine}
        results: dict[str, LookupResult] = {}
        failures: dict[str, Failure] = {}
        for name, outcome in (await self._asking.all(calls, LookupResult, timeout, "lookup")).items():
            if isinstance(outcome, Failure):
                failures[name] = outcome
            else:
                results[name] = outcome
                failures.update(outcome.unreachable)
        return results, failures

    async def _told(
        self, name: str, refs: Sequence[OrderRef], result: LookupResult, deadline: Deadline
    ) -> list[OrderRef]:
        """The refs that a gateway did not show an order of, and that it has been told of from the journal."""
        unshown = [
            ref
            for ref in refs
            if ref in result
            and all(order.known_by is KnownBy.INFERRED for order in result[ref].orders)
            and not _SILENT.intersection(result[ref].answers.values())
        ]
        return await self._placing.tell(self._gateways[name], *unshown, deadline=deadline)

    async def _completed(self, found: Found, deadline: Deadline) -> Found:
        orders = tuple([await self._placing.completed(order, deadline=deadline) for order in found.orders])
        return found if orders == found.orders else found.model_copy(update={"orders": orders})

    async def _remembered(self, ref: OrderRef, found: Found, deadline: Deadline) -> Found:
        """What no venue shows any more, from the journal; while one is silent, only what can no longer change."""
        if found.orders:
            return found
        known = await self._placing.remembered(ref, deadline=deadline)
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

    def _lookup_call(
        self, name: str, refs: list[OrderRef], timeout: float | None
    ) -> Callable[[], Awaitable[LookupResult]]:
        return lambda: self._gateways[name].lookup(*refs, timeout=timeout)

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = 10.0) -> Order:
        """The one order that answers to `ref`, wherever it is. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=None)

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
        self._check_usable(timeout=timeout)
        if symbol is not None:
            symbol = self._symbol(symbol)

        def call(name: str) -> Callable[[], Awaitable[OrderList]]:
            return lambda: self[name].open_orders(symbol=symbol, timeout=timeout)

        calls = {name: call(name) for name in self._asked(gateways)}
        outcomes = await self._asking.all(calls, OrderList, timeout, "open_orders")
        orders: list[Order] = []
        bad_rows: list[BadRow] = []
        failures: dict[str, Failure] = {}
        may_lack: dict[str, frozenset[OrderType]] = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                failures[name] = outcome
            else:
                orders.extend(outcome.orders)
                bad_rows.extend(outcome.bad_rows)
                may_lack |= {name: outcome.may_lack} if outcome.may_lack else {}
        return BridgeOrders(orders=tuple(orders), unreachable=failures, bad_rows=tuple(bad_rows), may_lack=may_lack)

    def _check_usable(self, **times: float | None) -> None:
        check_seconds(**times)
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
        direct = self._direct(ref, "cancel")
        if direct is not None:
            order = await direct.cancel(ref, timeout=deadline.as_timeout)
        else:
            order = await cancel_wherever(
                ref, {name: self[name] for name in self.names}, self.lookup, deadline=deadline
            )
        if wait == "ack":
            return order
        return await until_done(self[order.gateway], order, deadline)

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = 15.0) -> Order:
        """Change a working order wherever it is. Raises as the gateway's `edit` does, and as `get` does."""
        deadline = Deadline(timeout)
        gateway, known = await self._place_of(ref, deadline, "edit")
        return await gateway.edit(known, changes, timeout=deadline.as_timeout)

    async def _place_of(self, ref: RefLike, deadline: Deadline, operation: str) -> tuple[BoundGateway, RefLike]:
        """The gateway that an order is at, and the ref to use there."""
        direct = self._direct(ref, operation)
        if direct is not None:
            return direct, ref
        order = order_from(await self.lookup(ref, timeout=deadline.as_timeout), ref, gateway=None)
        return self[order.gateway], order

    def _direct(self, ref: RefLike, operation: str) -> BoundGateway | None:
        """The one gateway that a ref can only be at, if it says so or there is no other."""
        self._check_usable()
        (parsed,) = parse_refs([ref], gateways=self.names, operation=operation)
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
        self._check_usable(timeout=timeout)
        if scope != "account":
            raise NotSupported(f"scope {scope!r} is not there; 'account' cancels all", operation="cancel_all")
        market = None if symbol is None else self._symbol(symbol)

        def call(name: str) -> Callable[[], Awaitable[list[Order]]]:
            return lambda: self[name].cancel_all(symbol=market, timeout=timeout)

        asked = self._asked(None if gateway is None else [gateway])
        outcomes = await self._asking.all({name: call(name) for name in asked}, list, timeout, "cancel_all")
        orders: list[Order] = []
        failures: dict[str, Failure] = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                failures[name] = outcome
            else:
                orders.extend(outcome)
        return CancelReceipt(scope=scope, orders=tuple(orders), unreachable=failures)

    @checked_call
    async def market(self, gateway: str, symbol: str, *, timeout: float | None = 10.0) -> Market:
        """
        The rules of one market at one gateway.

        Raises:
            ConfigurationError: no such gateway or market. NotSupported: the venue tells no rules.
            VenueUnavailable and the other errors of a read.
        """
        self._check_usable(timeout=timeout)
        wanted = self._symbol(symbol)
        market = (await self[gateway].markets(timeout=timeout)).get(wanted)
        if market is None:
            raise ConfigurationError(f"there is no market {wanted}", gateway=gateway, operation="market")
        return market

    def _asked(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            return list(self._gateways)
        asked = [names] if isinstance(names, str) else list(names)
        if not asked:
            raise ConfigurationError(f"no gateway is asked; there are: {', '.join(self.names)}")
        return list(dict.fromkeys(self[name].name for name in asked))

    async def aclose(self) -> None:
        """Close every gateway and the journal, whatever one of them says. The bridge cannot be used again."""
        self._closed = True
        if self._loop.is_the_parents:
            return
        # Placing first: what is under way is written down while there is still a way to the venue.
        placed = await asyncio.gather(self._placing.aclose(), return_exceptions=True)
        closed = await asyncio.gather(
            *(gateway.aclose() for gateway in self._gateways.values()), return_exceptions=True
        )
        errors = [error for error in [*placed, *closed] if isinstance(error, BaseException)]
        if errors:
            raise BaseExceptionGroup("some gateways could not be closed", errors)

    async def __aenter__(self) -> Self:
        self._check_usable()
        self._placing.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"OrderBridge({', '.join(map(repr, self._gateways.values()))})"


def _replaced(result: LookupResult, later: LookupResult) -> LookupResult:
    """A result with what a later look at some of its refs came to."""
    found = tuple(later[ref] if ref in later and later[ref].orders else result[ref] for ref in result.refs)
    bad_rows = tuple(dict.fromkeys((*result.bad_rows, *later.bad_rows)))
    return LookupResult(refs=result.refs, found=found, unreachable=result.unreachable, bad_rows=bad_rows)


def _from_journal(order: Order) -> Order:
    # An end that the venue reported stays one; anything else is our conclusion now, since the venue is silent.
    if order.is_done and order.known_by is KnownBy.REPORTED:
        return order
    evidence = tuple(sorted({*order.evidence, "journal: the venue no longer shows it"}))
    return order.model_copy(update={"known_by": KnownBy.INFERRED, "evidence": evidence})
