"""Many gateways asked at once, or listed one after another: each within its time, and none hiding another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from orderbridge.gateway import failure_of
from orderbridge.http.session import log_facts, own_logger
from orderbridge.model.lifecycle import united
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import Answer, Failure, Found
from orderbridge.placement.observations import ending

T = TypeVar("T")
_log: Final = own_logger("orderbridge.bridge")
# Gateways keep the time limit themselves and hand in what they know by then; past this they are cut off.
_GRACE: Final = 0.25


class FanOut:
    """Makes calls of many gateways at once; what was cut off is held until it has ended."""

    def __init__(self) -> None:
        self._late: set[asyncio.Task[object]] = set()
        # Lists that are partial are so at every call: each is told of once.
        self._told: set[tuple[str, str]] = set()

    async def all(
        self,
        names: Iterable[str],
        call: Callable[[str], Awaitable[T]],
        kind: type[T],
        timeout: float | None,
        operation: str,
        *,
        keeps_time: bool = False,
    ) -> tuple[dict[str, T], dict[str, Failure]]:
        """
        Make every call at once: what was given, and what failed, was late or of another kind, each by its name.

        Args:
            keeps_time: a call ends in its time whatever happens, so that one alone is simply awaited.
        """
        asked = list(names)
        if keeps_time and len(asked) == 1:
            outcomes: dict[str, object] = {asked[0]: await _settled(call, asked[0])}
        else:
            outcomes = await self._at_once(asked, call, timeout)
        results: dict[str, T] = {}
        failures: dict[str, Failure] = {}
        for name, outcome in outcomes.items():
            if isinstance(outcome, kind):
                results[name] = outcome
                continue
            if isinstance(outcome, BaseException):
                outcome = failure_of(outcome)
            elif not isinstance(outcome, Failure):
                message = f"{operation} gave a {type(outcome).__name__} instead of a {kind.__name__}"
                outcome = Failure(kind="unexpected", message=message)
            failures[name] = outcome
            is_told = outcome.kind == "partial" and (name, operation) in self._told
            if outcome.kind == "partial":
                self._told.add((name, operation))
            level = logging.DEBUG if is_told else logging.WARNING
            _log.log(level, "%s failed: %s", operation, outcome.message, extra=log_facts(name, operation))
        return results, failures

    async def _at_once(
        self, names: Iterable[str], call: Callable[[str], Awaitable[T]], timeout: float | None
    ) -> dict[str, object]:
        tasks = {name: asyncio.ensure_future(_settled(call, name)) for name in names}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=None if timeout is None else timeout + _GRACE)
        finally:
            for task in tasks.values():
                if not task.done():
                    self._abandon(task)
        late = Failure(kind="timed_out", message=f"no answer within {timeout} s")
        return {name: task.result() if task.done() and not task.cancelled() else late for name, task in tasks.items()}

    def _abandon(self, task: asyncio.Task[object]) -> None:
        task.cancel()
        self._late.add(task)
        task.add_done_callback(self._late.discard)


async def _settled(call: Callable[[str], Awaitable[T]], name: str) -> T | Exception:
    # A third party's adapter may raise anything; whatever it is, it must not hide the other venues' answers.
    try:
        return await call(name)
    except Exception as error:  # noqa: BLE001 - reported as this gateway's failure
        return error


def combine(
    ref: OrderRef, names: Sequence[str], told: Mapping[str, Mapping[RefLike, Found]], failures: Mapping[str, Failure]
) -> Found:
    """One verdict of what the gateways asked say of one ref: absence is proven only where each of them proves it."""
    if len(names) == 1 and (only := told.get(names[0], {}).get(ref)) is not None and not only.notes:
        return only
    shown: list[Order] = []
    answers: dict[str, Answer] = {}
    notes: list[str] = []
    proven = []
    for name in names:
        found = told.get(name, {}).get(ref)
        if found is None:
            failure = failures.get(name)
            timed_out = failure is not None and failure.kind == "timed_out"
            answers[name] = Answer.TIMED_OUT if timed_out else Answer.FAILED
            proven.append(False)
            continue
        answers.update(found.answers)
        notes.extend(f"{name}: {note}" for note in found.notes)
        proven.append(found.proven_absent)
        shown += found.orders
    orders = united(shown)
    return Found.of_checked(
        orders=orders,
        answers=answers,
        proven_absent=not orders and all(proven),
        notes=tuple(notes),
    )


class BridgeListing(AsyncIterator[T]):
    """
    The listings of several gateways, one after another.

    Attributes:
        left_out: the gateways that cannot list it, and why, by their names; what is theirs is missing here.
    """

    def __init__(self, items: AsyncIterator[T], left_out: Mapping[str, str]) -> None:
        self._items = items
        self.left_out = dict(left_out)

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """End it before its end."""
        async with ending(self._items):
            pass


async def one_after_another(calls: Sequence[AsyncIterator[T]]) -> AsyncIterator[T]:
    """All that each call yields; the first error comes when every other call has been heard."""
    failed: Exception | None = None
    for call in calls:
        try:
            async with ending(call) as items:
                async for item in items:
                    yield item
        except Exception as error:  # noqa: BLE001 - whatever one adapter raises hides no other gateway
            failed = failed or error
    if failed is not None:
        raise failed
