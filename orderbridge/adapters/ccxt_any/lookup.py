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
from typing import Any, Final

from orderbridge.adapters.ccxt_any.reads import TRIGGER, CcxtReads, NotInList, symbol_text
from orderbridge.adapters.ccxt_any.traits import ANY_ID
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    NotSupported,
    OrderBridgeError,
    OrderNotFound,
    PermissionDenied,
    RateLimited,
)
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Answer
from orderbridge.venue.bounds import AT_ONCE
from orderbridge.venue.lookup import Ask, Search
from orderbridge.venue.rows import Rows

ORDER: Final = "order_id"
CLIENT: Final = "client_order_id"
_STOPS_ALL: Final = (AuthenticationFailed, PermissionDenied, RateLimited, ConfigurationError)


class CcxtLookup:
    """One look-up: made for a `Search`, run once."""

    def __init__(self, reads: CcxtReads, search: Search, *, deadline: Deadline) -> None:
        self._reads = reads
        self._traits = reads.traits
        self._search = search
        self._deadline = deadline
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._stopped_by: OrderBridgeError | None = None
        # Asks that only a list of open orders can answer, by the symbol to list.
        self._to_scan: dict[str | None, list[Ask]] = defaultdict(list)
        # What is said of them where that list does not show them either.
        self._unless_open: dict[Ask, tuple[Answer, str]] = {}

    async def run(self) -> None:
        """
        Search until everything is answered or the time ends; what is known is in the search.

        Raises:
            ConfigurationError: the gateway cannot be used, and nothing was found.
        """
        for position, ref in enumerate(self._search.refs):
            for kind, id in self._ways(ref):
                for symbol in self._markets(ref, id):
                    self._search.ask(kind, id, ref=position, symbol=symbol)
        asks = [ask for kind in (ORDER, CLIENT) for ask in self._search.pending(kind)]
        try:
            async with asyncio.timeout(self._deadline.as_timeout):
                if asks:
                    await self._ask_all(asks)
        except TimeoutError:
            pass  # whatever is pending ran out of time, and the search says so
        if isinstance(self._stopped_by, ConfigurationError) and not self._search.answered(Answer.FOUND):
            raise self._stopped_by

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

    async def _ask_all(self, asks: Sequence[Ask]) -> None:
        try:
            await self._reads.ready(deadline=self._deadline, operation="lookup")
        except OrderBridgeError as error:
            self._fail(asks, error)
            return
        async with asyncio.TaskGroup() as group:
            for ask in asks:
                group.create_task(self._one(ask))
        async with asyncio.TaskGroup() as group:
            for symbol, waiting in self._to_scan.items():
                group.create_task(self._scan(symbol, waiting))

    def _symbol(self, ask: Ask) -> Symbol | None:
        told = (self._search.refs[position].symbol for position in ask.refs)
        known = (ask.symbol, *told, *self._reads.memory.symbols_of(ask.id))
        return next((symbol for symbol in known if symbol is not None), None)

    async def _one(self, ask: Ask) -> None:
        symbol = symbol_text(self._symbol(ask))
        if ask.kind == ORDER and not self._traits.could_be_id(ask.id):
            note = f"{ask.id!r} is no order id that can be asked for safely"
            self._search.answer([ask], Answer.CANNOT_ASK, note=note)
        elif ask.kind == CLIENT and self._traits.client_ids is None:
            note = f"{self._search.gateway} cannot look up by client order id"
            self._search.answer([ask], Answer.CANNOT_ASK, note=note)
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
            self._search.answer([ask], answer, note=note)
        else:
            if otherwise is not None:
                self._unless_open[ask] = otherwise
            self._to_scan[symbol if listing.needs_symbol else None].append(ask)

    def _why(self, ask: Ask) -> str:
        if ask.kind == CLIENT and not (self._traits.client_ids and self._traits.client_ids.fetch):
            return f"{self._search.gateway} cannot look up by client order id"
        return f"{self._search.gateway} looks an order up by its symbol too: give OrderRef(…, symbol=…)"

    async def _fetch(self, ask: Ask, order_id: str, symbol: str | None, params: dict[str, Any]) -> None:
        traits = self._traits
        apart = self._reads.memory.is_apart(order_id, ask.symbol)
        if not traits.fetch_order or (symbol is None and traits.order_needs_symbol):
            self._later(ask, symbol)
            return
        try:
            async with self._gate:
                if self._stopped_by is not None:
                    raise self._stopped_by
                rows = await self._by_both(order_id, symbol, params, apart=apart)
        except OrderNotFound as error:
            if traits.trigger_orders_apart and not traits.fetches_trigger:
                note = "not shown; orders that wait for a price are shown in the list of open ones only"
                self._later(ask, symbol, (Answer.PARTLY_SEARCHED, note))
            elif isinstance(error, NotInList):
                note = "not in a list that may be one page of several"
                self._search.answer([ask], Answer.PARTLY_SEARCHED, note=note)
            else:
                self._search.answer([ask], Answer.NOT_SEEN)
        except NotSupported as error:
            # ccxt wants something although its features do not say so, such as a symbol.
            otherwise = None if symbol is None else (Answer.CANNOT_ASK, Exception.__str__(error))
            self._later(ask, symbol, otherwise)
        except OrderBridgeError as error:
            self._fail([ask], error)
        else:
            self._take(ask, order_id, rows)

    async def _by_both(self, order_id: str, symbol: str | None, params: dict[str, Any], *, apart: bool) -> Rows[Order]:
        """Ask where orders are shown, and where those that wait for a price are. OrderNotFound: at neither."""
        ways: list[Mapping[str, Any]] = [{}, TRIGGER] if self._traits.fetches_trigger else [{}]
        missed: list[OrderNotFound] = []
        for way in reversed(ways) if apart else ways:
            try:
                return await self._reads.order(
                    order_id, symbol=symbol, params={**params, **way}, deadline=self._deadline, operation="lookup"
                )
            except OrderNotFound as error:
                missed.append(error)
        raise next((error for error in missed if isinstance(error, NotInList)), missed[0])

    def _take(self, ask: Ask, order_id: str, rows: Rows[Order]) -> None:
        """An order that answers is the one only if it says so: ccxt gives whatever order came back."""
        by_client = ask.kind == CLIENT and order_id == ask.id
        for position, order in enumerate(rows.good):
            named = (order.client_order_id if by_client else order.order_id) == order_id
            if named and ask.symbol in (None, order.symbol):
                self._search.found(ask, order)
            else:
                self._search.bad_row(
                    position=position, reason="this row was not asked for", order_id=order.order_id, raw=order.raw
                )
        self._search.add_bad_rows(rows.bad)
        note = "what came back is not readable as that order: see bad_rows"
        self._search.answer([ask], Answer.PARTLY_SEARCHED, note=note)

    async def _scan(self, symbol: str | None, asks: Sequence[Ask]) -> None:
        try:
            if self._stopped_by is not None:
                raise self._stopped_by
            rows = await self._reads.open_orders(symbol=symbol, deadline=self._deadline)
        except NotSupported as error:
            self._search.answer(asks, Answer.CANNOT_ASK, note=Exception.__str__(error))
            return
        except OrderBridgeError as error:
            self._fail(asks, error)
            return
        self._search.add_bad_rows(rows.bad)
        for ask in asks:
            for order in rows.good:
                named = (order.client_order_id if ask.kind == CLIENT else order.order_id) == ask.id
                if named and ask.symbol in (None, order.symbol):
                    self._search.found(ask, order)
            needs_symbol = ask.kind == ORDER and self._traits.fetch_order
            answer = Answer.CANNOT_ASK if needs_symbol else Answer.PARTLY_SEARCHED
            why = self._why(ask) if needs_symbol else "ended ones are not searched"
            answer, why = self._unless_open.get(ask, (answer, why))
            note = f"not among the open orders; {why}"
            self._search.answer([ask], answer, note=note)

    def _fail(self, asks: Sequence[Ask], error: OrderBridgeError) -> None:
        if not self._deadline.remaining():
            self._search.fail(asks, TimeoutError(str(error)))
            return
        if isinstance(error, _STOPS_ALL):
            # The same answer awaits every further request, and repeating it may cost a longer lock-out.
            self._stopped_by = self._stopped_by or error
        self._search.fail(asks, error)
