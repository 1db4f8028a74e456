"""
Looking orders up at one gateway: what is asked for which ref, in which steps, and what came of it.

A venue says under which ids it could hold the order of a ref, and which steps are tried for them in turn. Whatever one
step leaves open goes to the next; whatever is known when the time ends is the result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from orderbridge import errors
from orderbridge.errors import printable
from orderbridge.gateway import failure_of
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol, made
from orderbridge.model.lifecycle import united
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike, parse_refs
from orderbridge.model.results import Answer, BadRow, Failure, Found, LookupResult
from orderbridge.venue.bounds import AT_ONCE
from orderbridge.venue.rows import Rows

ORDER: Final = "order_id"
CLIENT: Final = "client_order_id"
_FOUND: Final = Answer.FOUND
# After so many requests in a row without an answer the venue counts as down for this look-up.
GIVE_UP_AFTER: Final = 8
# The worst of several answers is the answer: a ref is not seen only if every way of asking said so.
_WORST_FIRST: Final = (
    Answer.TIMED_OUT,
    Answer.FAILED,
    Answer.CANNOT_ASK,
    Answer.PARTLY_SEARCHED,
    Answer.NOT_SEEN,
)
# After these every further request would fail alike, and repeating it may cost a longer lock-out.
_STOPS_ALL: Final = (
    errors.AuthenticationFailed,
    errors.PermissionDenied,
    errors.RateLimited,
    errors.ConfigurationError,
)
# With less time than this left, a read that gave up ran out of it.
_NO_TIME: Final = 0.01


class Way(NamedTuple):
    """One id to ask for, as the venue's (`ORDER`) or as ours (`CLIENT`); of one symbol where it counts by market."""

    kind: str
    id: str
    symbol: Symbol | None = None


@dataclass(slots=True, eq=False)
class Ask:
    """One id asked for in one way, on behalf of one or more refs."""

    kind: str
    id: str
    symbol: Symbol | None = None
    refs: list[int] = field(default_factory=list)
    answer: Answer | None = None
    proven_absent: bool = False
    note: str = ""
    orders: tuple[Order, ...] = ()

    @property
    def is_pending(self) -> bool:
        """True if nothing has come of it yet."""
        return self.answer is None


class LookupStep(NamedTuple):
    """
    One thing to do for the asks of some kinds that are still open: `size` of them per run, 0 for all.

    A run may be cancelled at any await, when the time ends: what it knows by then it tells in a `finally`.
    """

    kinds: tuple[str, ...]
    run: Callable[[list[Ask]], Coroutine[Any, Any, None]]
    size: int = 1


class Lookup:
    """
    One look-up: made for some refs, run once.

    A ref without any ask is one that this venue could not have issued: not seen, for that reason, which proves nothing.

    Raises:
        ConfigurationError: a ref names another gateway.
    """

    def __init__(self, gateway: str, refs: Sequence[RefLike], *, deadline: Deadline) -> None:
        self.gateway = gateway
        self.deadline = deadline
        # What every further request would fail with.
        self.stopped_by: errors.OrderBridgeError | None = None
        self._given = tuple(refs)
        self.refs = tuple(parse_refs(refs, gateways=[gateway]))
        self._asks: dict[Way, Ask] = {}
        self._by_ref: list[list[Ask]] = [[] for _ in refs]
        self._failure: Failure | None = None
        self._bad_rows: list[BadRow] = []
        self._gate: asyncio.Semaphore | None = None
        self._unanswered = 0

    async def run(
        self, ways: Callable[[OrderRef], Iterable[Way]], stages: Iterable[Sequence[LookupStep]]
    ) -> LookupResult:
        """
        Ask until everything is answered or the time ends. Stages follow on one another; the steps of one run at once.

        Raises:
            ConfigurationError: the gateway cannot be used as it is, and nothing was found.
        """
        for position, ref in enumerate(self.refs):
            for way in ways(ref):
                self.ask(way, ref=position)
        try:
            async with self.deadline.limit():
                for stage in stages:
                    await self._run(stage)
                    if None not in [ask.answer for ask in self._asks.values()]:
                        break
                else:
                    self.answer(self._asks.values(), Answer.NOT_SEEN)
        except TimeoutError:
            pass  # whatever is pending ran out of time, and the result says so
        if isinstance(self.stopped_by, errors.ConfigurationError) and not self.answered(Answer.FOUND):
            raise self.stopped_by
        return self.result()

    async def _run(self, stage: Sequence[LookupStep]) -> None:
        runs: list[tuple[LookupStep, list[Ask]]] = []
        for step in stage:
            if asks := self.pending(*step.kinds):
                size = step.size or len(asks)
                runs += [(step, asks[start : start + size]) for start in range(0, len(asks), size)]
        if len(runs) == 1:  # as nearly always, and then no task is needed
            ((step, asks),) = runs
            await step.run(asks)
        elif runs:
            async with asyncio.TaskGroup() as group:
                # Not a task for each: of ten thousand ids they would take the time that the answers need.
                waiting = iter(runs)
                for _ in runs[:AT_ONCE]:
                    group.create_task(_run_each(waiting))

    def turn(self) -> Self:
        """One of the places for requests at once, to be entered. Raises what stopped the others."""
        return self

    async def __aenter__(self) -> None:
        self._gate = self._gate or asyncio.Semaphore(AT_ONCE)
        await self._gate.acquire()
        if self.stopped_by is not None:
            self._gate.release()
            raise self.stopped_by

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if self._gate is not None:
            self._gate.release()
        if kind is None or issubclass(kind, errors.VenueError):
            self._unanswered = 0

    async def find(
        self,
        asks: Sequence[Ask],
        read: Callable[[Sequence[Ask]], Awaitable[Rows[Order]]],
        *,
        blames_an_id: Callable[[errors.VenueError], bool],
    ) -> None:
        """Ask for ids of one kind in one request. A list refused for one of them is split till the guilty are found."""
        try:
            if self.stopped_by is not None:
                raise self.stopped_by
            rows = await read(asks)
        except errors.VenueError as error:
            self._unanswered = 0
            if not blames_an_id(error):
                # It is about the account or the call, and would meet each part of the list alike.
                self.fail(asks, error, stops=True)
            elif len(asks) > 1:
                middle = len(asks) // 2
                await self.find(asks[:middle], read, blames_an_id=blames_an_id)
                await self.find(asks[middle:], read, blames_an_id=blames_an_id)
            elif not isinstance(error, errors.OrderNotFound):
                self.fail(asks, error)
        except errors.OrderBridgeError as error:
            self.fail(asks, error)
        else:
            self._unanswered = 0
            if others := self.take(asks, rows.good):
                self.set_aside(others)
            self.add_bad_rows(rows.bad)
            if any(ask.answer is None for ask in asks):
                self._note_hidden(asks, rows)

    def _note_hidden(self, asks: Sequence[Ask], rows: Rows[Order]) -> None:
        # A row without an id, or in a list by client ids, may be that of any ask that was not met.
        unreadable = {row.order_id for row in rows.bad}
        nameless = rows.bad or any(not order.client_order_id for order in rows.good)
        hidden = [
            ask for ask in asks if None in unreadable or (nameless if ask.kind == CLIENT else ask.id in unreadable)
        ]
        self.answer(hidden, Answer.PARTLY_SEARCHED, note="its row could not be read: see bad_rows")

    def ask(self, way: Way, *, ref: int) -> None:
        """Note what is to be asked for on behalf of the ref at that position."""
        ask = self._asks.setdefault(way, Ask(*way))
        ask.refs.append(ref)
        self._by_ref[ref].append(ask)

    def asked(self, kind: str) -> list[Ask]:
        """The asks of a kind."""
        return [ask for ask in self._asks.values() if ask.kind == kind]

    def pending(self, *kinds: str) -> list[Ask]:
        """The asks of these kinds that nothing has come of yet."""
        return [ask for kind in kinds for ask in self._asks.values() if ask.kind == kind and ask.answer is None]

    def answered(self, answer: Answer) -> list[Ask]:
        """The asks that got this answer."""
        return [ask for ask in self._asks.values() if ask.answer is answer]

    def take(self, asks: Iterable[Ask], orders: Iterable[Order]) -> list[tuple[int, Order]]:
        """Give the asks the orders that bear their ids; the others come back, each with its place."""
        by_id: dict[tuple[str, str], list[Ask]] = {}
        for ask in asks:
            by_id.setdefault((ask.kind, ask.id), []).append(ask)
        others = []
        for position, order in enumerate(orders):
            named = [*by_id.get((ORDER, order.order_id), ()), *by_id.get((CLIENT, order.client_order_id or ""), ())]
            met = [ask for ask in named if ask.symbol is None or ask.symbol == order.symbol]
            for ask in met:
                self.found(ask, order)
            if not met:
                others.append((position, order))
        return others

    def found(self, ask: Ask, order: Order) -> None:
        """An order answers to this ask."""
        ask.orders = united([*ask.orders, order]) if ask.orders else (order,)
        ask.answer = _FOUND

    def answer(self, asks: Iterable[Ask], answer: Answer, *, note: str = "", proven_absent: bool = False) -> None:
        """Give the asks that are still pending their answer."""
        for ask in asks:
            if ask.answer is None:
                ask.answer, ask.note, ask.proven_absent = answer, note, proven_absent

    def fail(self, asks: Iterable[Ask], error: errors.OrderBridgeError, *, stops: bool = False) -> None:
        """The request for these asks failed; the first failure is what the gateway is reported with."""
        left, is_unanswered = self.deadline.remaining(), isinstance(error, errors.VenueUnavailable)
        ran_out = not left or (is_unanswered and left < _NO_TIME)
        self._unanswered += is_unanswered
        if not ran_out and (stops or isinstance(error, _STOPS_ALL) or self._unanswered >= GIVE_UP_AFTER):
            self.stopped_by = self.stopped_by or error
        failure = failure_of(TimeoutError() if ran_out else error)
        self._failure = self._failure or failure
        timed_out = failure.kind == "timed_out"
        self.answer(asks, Answer.TIMED_OUT if timed_out else Answer.FAILED, note=failure.message)

    def set_aside(self, orders: Iterable[tuple[int, Order]]) -> None:
        """Orders that nobody asked for are told as bad rows."""
        reason = "this row was not asked for"
        self.add_bad_rows(
            BadRow(gateway=self.gateway, position=position, reason=reason, order_id=order.order_id, raw=order.raw)
            for position, order in orders
        )

    def add_bad_rows(self, rows: Iterable[BadRow]) -> None:
        """Rows that could not be read, as a page reported them."""
        self._bad_rows.extend(rows)

    def result(self) -> LookupResult:
        """The result as it is known now. Asks that nothing has come of ran out of time."""
        if self._failure is None and any(ask.answer is None for ask in self._asks.values()):
            self._failure = Failure(kind="timed_out", message="the time limit ended before every id was asked for")
        return made(
            LookupResult,
            {
                "refs": self._given,
                "found": tuple([self._found(ref, asks) for ref, asks in zip(self.refs, self._by_ref, strict=True)]),
                "unreachable": {self.gateway: self._failure} if self._failure else {},
                "bad_rows": tuple(self._bad_rows),
            },
        )

    def _found(self, ref: OrderRef, asks: list[Ask]) -> Found:
        if not asks:
            return no_id_of(self.gateway, ref)
        orders = asks[0].orders if len(asks) == 1 else united(order for ask in asks for order in ask.orders)
        answers = (ask.answer or Answer.TIMED_OUT for ask in asks)
        said = _FOUND if orders else min(answers, key=_WORST_FIRST.index)
        return made(
            Found,
            {
                "orders": orders,
                "answers": {self.gateway: said},
                "proven_absent": not orders and all(ask.proven_absent for ask in asks),
                "notes": tuple(dict.fromkeys([ask.note for ask in asks if ask.note])),
            },
        )


async def _run_each(runs: Iterator[tuple[LookupStep, list[Ask]]]) -> None:
    for step, asks in runs:
        await step.run(asks)


def no_id_of(gateway: str, ref: OrderRef) -> Found:
    """The verdict on a ref that a gateway could not have issued: nothing is known, as it may be mis-written."""
    note = f"{printable(str(ref))} is not of a form that ids have here"
    return Found(answers={gateway: Answer.NOT_SEEN}, notes=(note,))
