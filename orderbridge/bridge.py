"""OrderBridge: many gateways as one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Final, Self, TypeVar

from orderbridge.client_ids import mint
from orderbridge.errors import ConfigurationError
from orderbridge.gateway import OrderGateway, failure_of, order_from
from orderbridge.http.session import log_facts
from orderbridge.http.transport import OneLoop
from orderbridge.model.alarm import Alarm
from orderbridge.model.lookup import Answer, BadRow, BridgeOrders, Failure, Found, LookupResult, OrderList
from orderbridge.model.order import Order, OrderKey, merge
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import KnownBy
from orderbridge.placement.calls import PlacementCalls
from orderbridge.placement.journal import Journal
from orderbridge.placement.placing import Placing
from orderbridge.placement.recovery import Stale
from orderbridge.placement.resolver import PROBE_TIMES, SETTLE_HORIZON, Ghost, Probing, Uncertain
from orderbridge.search import parse_refs

T = TypeVar("T")
_log: Final = logging.getLogger("orderbridge.bridge")
# Gateways keep the time limit themselves and hand in what they know by then; past this they are cut off.
_GRACE: Final = 0.25
_SILENT: Final = frozenset({Answer.FAILED, Answer.TIMED_OUT, Answer.CANNOT_ASK})


class OrderBridge(PlacementCalls):
    """
    Looks orders up on every gateway at once, each within the time limit, and places each order at most once.

    Args:
        gateways: each with its own name. The bridge closes them when it is closed, and the journal too.
        journal: where placements and what is seen of orders outlive this process. Without one they are kept in
            memory, and nothing is recovered.
        on_uncertain: `hold`, or `fence`: cancel by client id at every probe, where the venue can.
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
            if gateway.name in self._gateways:
                raise ConfigurationError(
                    f"two gateways are named {gateway.name!r}; tell them apart with account=…", gateway=gateway.name
                )
            self._gateways[gateway.name] = gateway
        self._loop = OneLoop("this bridge")
        self._closed = False
        # Calls that were cut off and have not ended yet; held so that they are not lost in mid-air.
        self._late: set[asyncio.Task[object]] = set()
        for name, word, words in (
            ("on_uncertain", on_uncertain, ("hold", "fence")),
            ("on_stale", on_stale, ("deny", "send")),
            ("on_ghost", on_ghost, ("alert", "cancel", "adopt")),
        ):
            if word not in words:
                raise ConfigurationError(f"{name} is one of {', '.join(words)}, not {word!r}")
        self._placing = Placing(
            self._gateways,
            journal=journal,
            probing=Probing(
                horizon=settle_horizon, times=tuple(probe_times), on_uncertain=on_uncertain, on_ghost=on_ghost
            ),
            on_stale=on_stale,
            watch_for=watch_for,
            on_alarm=on_alarm,
            clock=clock,
            ids=ids,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the gateways, as they were given."""
        return tuple(self._gateways)

    def __getitem__(self, name: str) -> OrderGateway:
        try:
            return self._gateways[name]
        except KeyError:
            raise ConfigurationError(f"no gateway is named {name!r}; there are: {', '.join(self.names)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._gateways

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
        self._check_usable()
        asked = self._asked(gateways)
        parsed = parse_refs(refs, gateways=asked)
        work = {name: list(dict.fromkeys(ref for ref in parsed if ref.gateway in (None, name))) for name in asked}
        calls = {name: self._lookup_call(name, mine, timeout) for name, mine in work.items() if mine}
        results: dict[str, LookupResult] = {}
        failures: dict[str, Failure] = {}
        for name, outcome in (await self._ask(calls, LookupResult, timeout, "lookup")).items():
            if isinstance(outcome, Failure):
                failures[name] = outcome
            else:
                results[name] = outcome
                failures.update(outcome.unreachable)
        found = [
            _combine(ref, [name for name in asked if ref.gateway in (None, name)], results, failures) for ref in parsed
        ]
        bad_rows = tuple(row for result in results.values() for row in result.bad_rows)
        self._placing.seen([order for each in found for order in each.orders], source="look-up")
        found = [await self._remembered(ref, each) for ref, each in zip(parsed, found, strict=True)]
        return LookupResult(refs=tuple(refs), found=tuple(found), unreachable=failures, bad_rows=bad_rows)

    async def _remembered(self, ref: OrderRef, found: Found) -> Found:
        """What no venue shows any more, from the journal; while one is silent, only what can no longer change."""
        if found.orders:
            return found
        orders = [order for order in await self._placing.remembered(ref) if order.gateway in found.answers]
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

    async def get(self, ref: RefLike, *, timeout: float | None = 10.0) -> Order:
        """The one order that answers to `ref`, wherever it is. Raises as `orderbridge.gateway.order_from` says."""
        return order_from(await self.lookup(ref, timeout=timeout), ref, gateway=None)

    async def open_orders(
        self,
        *,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> BridgeOrders:
        """
        The open orders of every gateway; complete for each that is not in `unreachable`.

        Raises:
            ConfigurationError: `gateways` names a gateway that is not there, or `symbol` is none.
        """
        self._check_usable()
        if symbol is not None:
            symbol = self._symbol(symbol)

        def call(name: str) -> Callable[[], Awaitable[OrderList]]:
            return lambda: self._gateways[name].open_orders(symbol=symbol, timeout=timeout)

        calls = {name: call(name) for name in self._asked(gateways)}
        outcomes = await self._ask(calls, OrderList, timeout, "open_orders")
        orders: list[Order] = []
        bad_rows: list[BadRow] = []
        failures: dict[str, Failure] = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, Failure):
                failures[name] = outcome
            else:
                orders.extend(outcome.orders)
                bad_rows.extend(outcome.bad_rows)
        self._placing.seen(orders, source="open orders")
        return BridgeOrders(orders=tuple(orders), unreachable=failures, bad_rows=tuple(bad_rows))

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

    def _asked(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            return list(self._gateways)
        asked = [names] if isinstance(names, str) else list(names)
        if not asked:
            raise ConfigurationError(f"no gateway is asked; there are: {', '.join(self.names)}")
        return list(dict.fromkeys(self[name].name for name in asked))

    async def _ask(
        self, calls: Mapping[str, Callable[[], Awaitable[T]]], kind: type[T], timeout: float | None, operation: str
    ) -> dict[str, T | Failure]:
        """Make every call at once; what fails, is late or is of another kind is a Failure and touches no other."""
        if not calls:
            return {}
        tasks = {name: asyncio.ensure_future(_settled(call)) for name, call in calls.items()}
        try:
            await asyncio.wait(tasks.values(), timeout=None if timeout is None else timeout + _GRACE)
        finally:
            for task in tasks.values():
                if not task.done():
                    self._abandon(task)
        late = Failure(kind="timed_out", message=f"no answer within {timeout} s")
        outcomes: dict[str, T | Failure] = {}
        for name, task in tasks.items():
            outcome = task.result() if task.done() and not task.cancelled() else late
            if isinstance(outcome, BaseException):
                outcome = failure_of(outcome)
            elif not isinstance(outcome, (kind, Failure)):
                message = f"{operation} gave a {type(outcome).__name__} instead of a {kind.__name__}"
                outcome = Failure(kind="unexpected", message=message)
            if isinstance(outcome, Failure):
                extra = log_facts(name, operation)
                _log.warning("%s failed: %s", operation, outcome.message, extra=extra)
            outcomes[name] = outcome
        return outcomes

    def _abandon(self, task: asyncio.Task[object]) -> None:
        task.cancel()
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def aclose(self) -> None:
        """Close every gateway and the journal, whatever one of them says. The bridge cannot be used again."""
        self._closed = True
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


async def _settled(call: Callable[[], Awaitable[T]]) -> T | Exception:
    # A third party's adapter may raise anything; whatever it is, it must not hide the other venues' answers.
    try:
        return await call()
    except Exception as error:  # noqa: BLE001 - reported as this gateway's failure
        return error


def _from_journal(order: Order) -> Order:
    # An end that the venue reported stays one; anything else is our conclusion now, since the venue is silent.
    if order.is_done and order.known_by is KnownBy.REPORTED:
        return order
    evidence = tuple(sorted({*order.evidence, "journal: the venue no longer shows it"}))
    return order.model_copy(update={"known_by": KnownBy.INFERRED, "evidence": evidence})


def _combine(
    ref: OrderRef, names: Sequence[str], results: Mapping[str, LookupResult], failures: Mapping[str, Failure]
) -> Found:
    orders: dict[OrderKey, Order] = {}
    answers: dict[str, Answer] = {}
    notes: list[str] = []
    proven = []
    for name in names:
        result = results.get(name)
        if result is None or ref not in result:
            failure = failures.get(name)
            timed_out = failure is not None and failure.kind == "timed_out"
            answers[name] = Answer.TIMED_OUT if timed_out else Answer.FAILED
            proven.append(False)
            continue
        found = result[ref]
        answers.update(found.answers)
        notes.extend(f"{name}: {note}" for note in found.notes)
        proven.append(found.proven_absent)
        for order in found.orders:
            orders[order.key] = merge(orders[order.key], order) if order.key in orders else order
    return Found(
        orders=tuple(orders.values()),
        answers=answers,
        proven_absent=not orders and all(proven),
        notes=tuple(notes),
    )
