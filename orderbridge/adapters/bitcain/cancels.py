"""
Cancelling, and telling how the order stands after it.

An acknowledgement is not an end: unless the answer holds the order as ended, the order is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.codes import CANCEL
from orderbridge.adapters.bitcain.envelope import Payload, Shapeless, one_order
from orderbridge.adapters.bitcain.mapping import paper_from_wire
from orderbridge.adapters.bitcain.reads import BitcainReads
from orderbridge.adapters.bitcain.targets import Targets
from orderbridge.adapters.bitcain.wire import pick
from orderbridge.adapters.bitcain.words import read_status
from orderbridge.errors import (
    AuthenticationFailed,
    NotSent,
    OrderBridgeError,
    OrderNotActive,
    OutcomeUnknown,
    UnexpectedResponse,
    VenueError,
)
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.results import BadRow
from orderbridge.venue.bounds import AT_ONCE
from orderbridge.venue.codes import facts_of
from orderbridge.venue.rows import Unusable
from orderbridge.venue.sender import HttpCall, RefusedLater, Sender

_ALL: Final = "cancel_all"


class BitcainCancels:
    """The cancels of one account. Its reads stand first in line, as the cancels do."""

    def __init__(
        self, sender: Sender, reads: BitcainReads, targets: Targets, *, gateway: str, include_unknown_mode: bool
    ) -> None:
        self._sender = sender
        self._reads = reads
        self._targets = targets
        self._gateway = gateway
        self._include_unknown_mode = include_unknown_mode

    async def cancel(self, given: RefLike, *, deadline: Deadline) -> Order:
        """Cancel one order; see `BitcainGateway.cancel`."""
        target = await self._targets.find_to_cancel(given, deadline=deadline)
        if target.order is not None and target.order.is_done:
            return target.order
        return await self._by_id(target.order_id, target.order, deadline)

    async def _by_id(self, order_id: str, known: Order | None, deadline: Deadline) -> Order:
        write = HttpCall(
            operation=CANCEL,
            method="DELETE",
            path=f"{wire.ORDERS}/{order_id}",
            order_id=order_id,
            client_order_id=known.client_order_id if known else None,
        )
        is_first = self._reads.memory.cancelling(order_id)
        try:
            payload = await self._sender.cancel(write, deadline=deadline)
        except OrderNotActive as refused:
            return await self._refused(refused, order_id, known, deadline, may_have_left=False, is_first=is_first)
        except RefusedLater as later:
            return await self._refused(later.refusal, order_id, known, deadline, may_have_left=True, is_first=is_first)
        except OutcomeUnknown:
            seen = await self._read_back(order_id, known, deadline)
            if seen is not None and seen.is_done:
                return seen
            raise
        except OrderBridgeError:
            if is_first:
                self._reads.memory.not_cancelling(order_id)
            raise
        return await self._after(payload, order_id, known, deadline)

    async def _refused(
        self,
        refused: VenueError,
        order_id: str,
        known: Order | None,
        deadline: Deadline,
        *,
        may_have_left: bool,
        is_first: bool,
    ) -> Order:
        """What the order says after a refusal: too late, or after an earlier try that may have been carried out."""
        seen = await self._read_back(order_id, known, deadline)
        text = Exception.__str__(refused)
        if seen is None:
            before = ", after a try that may have been carried out" if may_have_left else ""
            message = f"the cancel was refused ({text}){before}, and the order could not be read"
            raise self._unclear(message, order_id, known) from refused
        if seen.is_done or _says_pending(seen):
            return seen
        if is_first and not may_have_left:
            self._reads.memory.not_cancelling(order_id)
        if not isinstance(refused, OrderNotActive):
            raise refused
        raise VenueError(f"the cancel was refused: {text}; the order is {seen.status}", **facts_of(refused)) from (
            refused
        )

    async def _after(self, payload: Payload, order_id: str, known: Order | None, deadline: Deadline) -> Order:
        shown = self._in_answer(payload, order_id, known)
        if shown is not None and shown.is_done:
            return shown
        # An order in the answer may be as it was before the cancel.
        seen = await self._read_back(order_id, known, deadline) or shown
        if seen is not None:
            return seen
        if known is None:
            raise self._unclear("the cancel was acknowledged, and the order could not be read", order_id, known)
        evidence = tuple(sorted({*known.evidence, "cancel: acknowledged, not read back"}))
        return known.model_copy(update={"cancel_requested": True, "evidence": evidence})

    def _in_answer(self, payload: Payload, order_id: str, known: Order | None) -> Order | None:
        symbol = known.symbol if known else None
        try:
            row = one_order(payload, first=wire.CANCELLED_ORDER)
            order = self._reads.read_row(row, symbol=symbol, operation=CANCEL)
        except (Shapeless, Unusable):
            return None
        return order if order.order_id == order_id else None

    async def _read_back(self, order_id: str, known: Order | None, deadline: Deadline) -> Order | None:
        symbol = known.symbol if known else None
        return await self._reads.read_back(order_id, symbol=symbol, deadline=deadline, operation=CANCEL)

    def _unclear(self, text: str, order_id: str, known: Order | None) -> OutcomeUnknown:
        client_order_id = known.client_order_id if known else None
        return OutcomeUnknown(
            text, order_id=order_id, client_order_id=client_order_id, gateway=self._gateway, operation=CANCEL
        )

    async def cancel_all(self, *, symbol: Symbol | None, deadline: Deadline) -> list[Order]:
        """Cancel every open order of our mode, one by one; see `BitcainGateway.cancel_all`."""
        sweep = _Sweep(symbol=symbol, include_unknown_mode=self._include_unknown_mode)
        pages = self._reads.list_pages({}, symbol=symbol, pace=lambda: deadline, operation=_ALL)
        async for batch in pages:
            sweep.add(batch.good)
            sweep.add_bad(batch.bad)
        todo = iter(sweep.todo.items())
        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(sweep.todo))):
                group.create_task(self._work_off(todo, sweep, deadline))
        sweep.check(self._gateway)
        return [sweep.after[order_id] for order_id in sweep.todo]

    async def _work_off(self, todo: Iterator[tuple[str, Order | None]], sweep: _Sweep, deadline: Deadline) -> None:
        for order_id, known in todo:
            if sweep.is_hopeless:
                sweep.failed[order_id] = NotSent("not tried", gateway=self._gateway, operation=_ALL)
                continue
            try:
                sweep.after[order_id] = await self._by_id(order_id, known, deadline)
            except OrderBridgeError as error:
                sweep.failed[order_id] = error


class _Sweep:
    """What a cancel of everything is to do, and what came of it."""

    def __init__(self, *, symbol: Symbol | None, include_unknown_mode: bool) -> None:
        self._symbol = symbol
        self._include_unknown_mode = include_unknown_mode
        self.todo: dict[str, Order | None] = {}
        self.after: dict[str, Order] = {}
        self.failed: dict[str, OrderBridgeError] = {}
        self._no_mode: list[str] = []
        self._unread: list[BadRow] = []

    @property
    def is_hopeless(self) -> bool:
        """The credentials were refused: every further try would be, and might lock the account."""
        return any(isinstance(error, AuthenticationFailed) for error in self.failed.values())

    def add(self, orders: Iterable[Order]) -> None:
        """Take in the readable rows of a page."""
        for order in orders:
            if not order.may_be_live or self._symbol not in {None, order.symbol}:
                continue
            self._take(order.order_id, order, order.paper)

    def add_bad(self, rows: Iterable[BadRow]) -> None:
        """Take in the unreadable ones: they are cancelled by their id where id and mode can be told."""
        for row in rows:
            if _has_ended(row.raw):
                continue
            if row.order_id is None or self._symbol is not None:
                self._unread.append(row)
            else:
                self._take(row.order_id, None, paper_from_wire(row.raw))

    def _take(self, order_id: str, order: Order | None, paper: bool | None) -> None:
        if paper is None and not self._include_unknown_mode:
            self._no_mode.append(order_id)
        else:
            self.todo[order_id] = order

    def check(self, gateway: str) -> None:
        """
        Raise for what was not cancelled for certain. A failure that all of them share is raised as it is.

        Raises:
            OutcomeUnknown: some were cancelled and some perhaps not. UnexpectedResponse: some were not touched.
        """
        texts = []
        if self.failed:
            texts.append(f"{len(self.failed)} of {len(self.todo)} are not cancelled for certain: {_some(self.failed)}")
        if self._no_mode:
            hint = "a gateway made with include_unknown_mode=True cancels them too"
            names = _some(self._no_mode)
            texts.append(f"{len(self._no_mode)} state no trading mode and were not touched ({hint}): {names}")
        if self._unread:
            ids = [row.order_id or f"row {row.position}" for row in self._unread]
            texts.append(f"{len(ids)} could not be read and were not touched: {_some(ids)}")
        text = "; ".join(texts)
        if self.failed:
            first = next(iter(self.failed.values()))
            if not self.after and (self.is_hopeless or len({type(error) for error in self.failed.values()}) == 1):
                first.add_note(text)
                raise first
            raise OutcomeUnknown(text, gateway=gateway, operation=_ALL) from first
        if texts:
            raise UnexpectedResponse(
                text, keys=tuple(self._no_mode), bad_rows=tuple(self._unread), gateway=gateway, operation=_ALL
            )


def _some(ids: Iterable[str]) -> str:
    return ", ".join(ids)


def _has_ended(row: object) -> bool:
    word = pick(row, wire.STATUS) if isinstance(row, dict) else None
    return isinstance(word, str) and read_status(word, quantity=None, filled=None).status.is_end


def _says_pending(order: Order) -> bool:
    return read_status(order.raw_status, quantity=None, filled=None).cancel_requested
