"""
Finding orders: by the exchange's id one by one, by client id where the exchange can, else among the open orders.

What an exchange cannot be asked is said to be so: an order that it shows with its symbol only, or a client id that it
does not search by, is not «not seen».
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtReads, NotInList, symbol_text
from orderbridge.adapters.ccxt_any.traits import ANY_ID
from orderbridge.errors import NotSupported, OrderBridgeError, OrderNotFound
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import Answer, LookupResult
from orderbridge.venue.lookup import CLIENT, ORDER, Ask, Lookup, LookupStep, Way
from orderbridge.venue.rows import Rows


async def look_up(reads: CcxtReads, refs: Sequence[RefLike], deadline: Deadline) -> LookupResult:
    """What became of each order; what is known when the time ends."""
    look = Lookup(reads.client.gateway, refs, deadline=deadline)
    steps, kinds = _Steps(look, reads), (ORDER, CLIENT)
    return await look.run(
        steps.ways,
        [[LookupStep(kinds, steps.ready, 0)], [LookupStep(kinds, steps.ask_for)], [LookupStep(kinds, steps.scan, 0)]],
    )


class _Steps:
    """How one look-up asks."""

    def __init__(self, look: Lookup, reads: CcxtReads) -> None:
        self._look = look
        self._reads = reads
        self._traits = reads.traits
        # What is said of asks that are left to the list of open orders, where that does not show them either.
        self._unless_open: dict[Ask, tuple[Answer, str]] = {}

    def ways(self, ref: OrderRef) -> list[Way]:
        """The ids to ask for, each in the markets that count for themselves."""
        return [Way(kind, id, symbol) for kind, id in self._ways(ref) for symbol in self._markets(ref, id)]

    def _ways(self, ref: OrderRef) -> list[tuple[str, str]]:
        ways = []
        order_id = ref.order_id or ref.id
        fits = order_id is not None and self._traits.could_be_id(order_id)
        if order_id is not None and (fits or self._traits.id_shape == ANY_ID):
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
        return [ref.symbol] if ref.symbol else self._reads.memory.symbols_of(id) or [None]

    async def ready(self, asks: list[Ask]) -> None:
        """Load the markets, which every read of ccxt's needs."""
        try:
            await self._reads.ready(deadline=self._look.deadline)
        except OrderBridgeError as error:
            self._look.fail(asks, error)

    def _symbol(self, ask: Ask) -> Symbol | None:
        told = (self._look.refs[position].symbol for position in ask.refs)
        known = (ask.symbol, *told, *self._reads.memory.symbols_of(ask.id))
        return next((symbol for symbol in known if symbol is not None), None)

    async def ask_for(self, asks: list[Ask]) -> None:
        """Ask for one id, or leave it to the list of open orders."""
        (ask,) = asks
        symbol = symbol_text(self._symbol(ask))
        if ask.kind == ORDER and not self._traits.could_be_id(ask.id):
            note = f"{ask.id!r} is no order id that can be asked for safely"
            self._look.answer([ask], Answer.CANNOT_ASK, note=note)
        elif ask.kind == CLIENT and self._traits.client_ids is None:
            note = f"{self._look.gateway} cannot look up by client order id"
            self._look.answer([ask], Answer.CANNOT_ASK, note=note)
        elif ask.kind == CLIENT:
            await self._by_client_id(ask, symbol)
        else:
            await self._fetch(ask, ask.id, symbol, {})

    async def _by_client_id(self, ask: Ask, symbol: str | None) -> None:
        known = self._reads.memory.id_of(ask.id)
        rules = self._traits.client_ids
        if known is not None:
            await self._fetch(ask, known, symbol, {})
        elif rules is not None and rules.fetch:
            await self._fetch(ask, ask.id, symbol, {"clientOrderId": ask.id})
        else:
            self._later(ask, symbol)

    def _later(self, ask: Ask, symbol: str | None, otherwise: tuple[Answer, str] | None = None) -> None:
        """Leave it to the list of open orders; `otherwise` is what is said where that does not show it."""
        listing = self._traits.open_orders
        if not listing.exists or (listing.needs_symbol and symbol is None):
            answer, note = otherwise or (Answer.CANNOT_ASK, self._why(ask))
            self._look.answer([ask], answer, note=note)
        elif otherwise is not None:
            self._unless_open[ask] = otherwise

    def _why(self, ask: Ask) -> str:
        if ask.kind == CLIENT and not (self._traits.client_ids and self._traits.client_ids.fetch):
            return f"{self._look.gateway} cannot look up by client order id"
        return f"{self._look.gateway} looks an order up by its symbol too: give OrderRef(…, symbol=…)"

    async def _fetch(self, ask: Ask, order_id: str, symbol: str | None, params: dict[str, Any]) -> None:
        traits = self._traits
        apart = self._reads.memory.is_apart(order_id, ask.symbol)
        if not traits.fetch_order or (symbol is None and traits.order_needs_symbol):
            self._later(ask, symbol)
            return
        try:
            async with self._look.turn():
                rows = await self._by_both(order_id, symbol, params, apart=apart)
        except OrderNotFound as error:
            if traits.trigger_orders_apart and not traits.fetches_trigger:
                note = "not shown; orders that wait for a price are shown in the list of open ones only"
                self._later(ask, symbol, (Answer.PARTLY_SEARCHED, note))
            elif isinstance(error, NotInList):
                note = "not in a list that may be one page of several"
                self._look.answer([ask], Answer.PARTLY_SEARCHED, note=note)
            else:
                self._look.answer([ask], Answer.NOT_SEEN)
        except NotSupported as error:
            # ccxt wants something although its features do not say so, such as a symbol.
            otherwise = None if symbol is None else (Answer.CANNOT_ASK, Exception.__str__(error))
            self._later(ask, symbol, otherwise)
        except OrderBridgeError as error:
            self._look.fail([ask], error)
        else:
            self._take(ask, order_id, rows)

    async def _by_both(self, order_id: str, symbol: str | None, params: dict[str, Any], *, apart: bool) -> Rows[Order]:
        """Ask where orders are shown, and where those that wait for a price are. OrderNotFound: at neither."""
        ways: list[Mapping[str, Any]] = [{}, TRIGGER] if self._traits.fetches_trigger else [{}]
        missed: list[OrderNotFound] = []
        for way in reversed(ways) if apart else ways:
            try:
                return await self._reads.order(
                    order_id, symbol=symbol, params={**params, **way}, deadline=self._look.deadline, operation="lookup"
                )
            except OrderNotFound as error:
                missed.append(error)
        raise next((error for error in missed if isinstance(error, NotInList)), missed[0])

    def _take(self, ask: Ask, order_id: str, rows: Rows[Order]) -> None:
        """An order that answers is the one only if it says so: ccxt gives whatever order came back."""
        named = ask if order_id == ask.id else Ask(ORDER, order_id, ask.symbol)
        self._look.set_aside(self._look.take([named], rows.good))
        for order in named.orders:
            self._look.found(ask, order)
        self._look.add_bad_rows(rows.bad)
        note = "what came back is not readable as that order: see bad_rows"
        self._look.answer([ask], Answer.PARTLY_SEARCHED, note=note)

    async def scan(self, asks: list[Ask]) -> None:
        """Seek among the open orders, of all symbols or of each that is meant."""
        by_symbol: dict[str | None, list[Ask]] = defaultdict(list)
        for ask in asks:
            by_symbol[symbol_text(self._symbol(ask)) if self._traits.open_orders.needs_symbol else None].append(ask)
        async with asyncio.TaskGroup() as group:
            for symbol, waiting in by_symbol.items():
                group.create_task(self._scan(symbol, waiting))

    async def _scan(self, symbol: str | None, asks: Sequence[Ask]) -> None:
        try:
            async with self._look.turn():
                rows = await self._reads.read_open(symbol, self._look.deadline)
        except NotSupported as error:
            self._look.answer(asks, Answer.CANNOT_ASK, note=Exception.__str__(error))
            return
        except OrderBridgeError as error:
            self._look.fail(asks, error)
            return
        self._look.add_bad_rows(rows.bad)
        self._look.take(asks, rows.good)
        for ask in asks:
            needs_symbol = ask.kind == ORDER and self._traits.fetch_order
            answer = Answer.CANNOT_ASK if needs_symbol else Answer.PARTLY_SEARCHED
            why = self._why(ask) if needs_symbol else "ended ones are not searched"
            answer, why = self._unless_open.get(ask, (answer, why))
            self._look.answer([ask], answer, note=f"not among the open orders; {why}")
