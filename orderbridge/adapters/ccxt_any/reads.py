"""
The exchange's markets, orders and trades: rows in, models out; a list is shown to be whole, or it is an error.

It is long because exchanges page, and hide pages, in so many ways.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from functools import partial
from typing import Any, Final, TypeVar

from orderbridge.adapters.ccxt_any import mapping
from orderbridge.adapters.ccxt_any.client import CONTEXT, CcxtCall, CcxtClient
from orderbridge.adapters.ccxt_any.codes import is_list_answer
from orderbridge.adapters.ccxt_any.exchanges import Listing, Traits, address_of, is_sandbox, making_of
from orderbridge.adapters.ccxt_any.watch import Call, Markets
from orderbridge.errors import NotSupported, OrderNotFound, PartialList, UnexpectedResponse
from orderbridge.gateway import order_from
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol, plain
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import BrokenRule, Market
from orderbridge.model.results import LookupResult
from orderbridge.venue.bounds import read_each
from orderbridge.venue.lists import Window, joined, newest_first
from orderbridge.venue.markets import Amounts, MarketRules, MarketStore
from orderbridge.venue.rows import Rows, Unusable, VenueReads

_LOAD_SECONDS: Final = 60.0
# Where rows name their market.
_MARKET_FIELDS: Final = (
    *("symbol", "market", "market_symbol", "pair", "pairSymbol", "asset_pair_name", "product_code", "product_symbol"),
    *("instId", "instrument_name", "instrument_code"),
)


class CcxtMarkets:
    """The markets of one exchange: loaded by one object for all that are made alike, as ccxt's calls need them."""

    def __init__(self, client: CcxtClient) -> None:
        self._client, traits = client, client.codes.traits
        # ccxt's symbols may hold small letters, ours do not.
        self._spelled: dict[str, str] = {}
        rules = MarketRules(
            public=self._fetch,
            rows=self._rows,
            market=lambda row, own, warn: mapping.market_from_ccxt(
                row, mode=client.exchange.precisionMode, price_digits=traits.price_digits
            ),
            own=partial(self._load, traits.account_call) if traits.account_call else None,
            one=self.one,
            beyond=self._beyond,
        )
        self._made = making_of(client.exchange)
        # Where the markets were loaded that the object has.
        self._loaded_at = ""
        # A caller's own markets are no other's.
        address = None if client.exchange.markets else self._address
        self.store = MarketStore(rules, gateway=client.gateway, log=client.session.log, address=address)

    def _address(self) -> str:
        """Of what the markets are: a caller's object may be switched between exchange and sandbox meanwhile."""
        exchange = self._client.exchange
        return f"{self._made} {is_sandbox(exchange)} {address_of(exchange)}"

    def one(self, symbol: Symbol, markets: Mapping[Symbol, Market]) -> Market:
        """The market of a symbol. NotSupported: the exchange has none."""
        if symbol in markets:
            return markets[symbol]
        near = difflib.get_close_matches(symbol, list(markets), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise NotSupported(f"{self._client.gateway} has no spot market {symbol}{hint}")

    def spelled(self, symbol: Symbol | None) -> str | None:
        """A symbol as ccxt writes it; one that is not known goes as it is, for ccxt to refuse."""
        return None if symbol is None else self._spelled.get(symbol, str(symbol))

    def step(self, symbol: object) -> Decimal | None:
        """The quantity step of a symbol, where it is known."""
        market = self.store.known.get(symbol.upper()) if isinstance(symbol, str) else None  # type: ignore[call-overload]
        return market.quantity_step if isinstance(market, Market) else None

    def named_beside(self, row: Any, symbol: str) -> str | None:
        """The market that a row names, where it is another: most parsers fall back on the one that was asked for."""
        info, exchange = row.get("info"), self._client.exchange
        said = [info.get(field) for field in _MARKET_FIELDS] if isinstance(info, Mapping) else []
        names = [name for name in said if isinstance(name, str) and name and not name.isdecimal()]
        known = exchange.markets_by_id or {}
        name = next((name for name in names if name in known), next(iter(names), None))
        if name is None:
            return None
        if name in known:
            markets = [known[name]] if isinstance(known[name], Mapping) else known[name]
            return None if symbol in {str(each["symbol"]).upper() for each in markets} else name
        own = exchange.markets.get(self._spelled.get(Symbol(symbol))) or {}
        info = own.get("info")
        texts = [symbol, *own.values(), *(info.values() if isinstance(info, Mapping) else ())]
        spelled = {mapping.letters(text) for text in texts if isinstance(text, str)}
        return None if mapping.letters(name) in spelled else name

    def _beyond(self, market: Market, amounts: Amounts) -> list[BrokenRule]:
        """ccxt rounds what it sends by rules of each exchange's own: what it would change is refused."""
        exchange, symbol, broken = self._client.exchange, self.spelled(market.symbol), []
        # Its helper for costs fails where digits count.
        is_counted = exchange.precisionMode == mapping.SIGNIFICANT_DIGITS
        helpers = {
            "quantity": "amount_to_precision",
            "price": "price_to_precision",
            "quote_quantity": "price_to_precision" if is_counted else "cost_to_precision",
        }
        for field, helper in helpers.items():
            amount, sent = amounts.get(field), None
            if amount is None:
                continue
            try:
                with localcontext(CONTEXT):
                    sent = mapping.number(getattr(exchange, helper)(symbol, plain(amount)))
                text = f"ccxt would send {field} {plain(amount)} as {sent if sent is None else plain(sent)}"
            except Exception as error:  # noqa: BLE001 - ccxt refuses with its own classes, or fails with bare ones
                text = f"ccxt cannot send {field} {plain(amount)}: {self._client.codes.stand_in(error)}"
            if sent != amount:
                nearest = () if sent is None else (sent,)
                broken.append(BrokenRule(rule="precision", message=text, nearest=nearest))
        return broken

    async def _fetch(self, fresh: bool) -> Markets:
        address = self._address()
        is_moved = self._loaded_at not in ("", address)
        if fresh or is_moved or not self._client.exchange.markets:
            await self._load("load_markets", fresh or is_moved)
        self._loaded_at = address
        return self._client.watch.markets

    async def _load(self, method: str, *args: Any) -> Any:
        return await self._client.quietly(
            lambda known: getattr(known, method)(*args), deadline=Deadline(_LOAD_SECONDS), operation="markets"
        )

    def _rows(self, markets: Markets) -> list[Any]:
        self._client.watch.take(markets)
        self._loaded_at = self._address()
        rows = [row for row in list((markets.kept["markets"] or {}).values()) if mapping.is_spot(row)]
        self._spelled = {row["symbol"].upper(): row["symbol"] for row in rows}
        return rows


T = TypeVar("T", Order, Fill)
LookUp = Callable[[Sequence[RefLike], Deadline], Awaitable[LookupResult]]
# An exchange that lists open orders by symbol only is asked for each of its markets, if there are no more than this.
SWEPT_MARKETS: Final = 100
# An exchange that shows a short span at a time is asked for each one, if there are no more than this.
MOST_WINDOWS: Final = 120
_MINUTE: Final = 60_000
_DAY: Final = 24 * 60 * _MINUTE
# Where no limit is told, an answer of one of these lengths, or of fifties, may be a page with others after it.
_SMALL_PAGES: Final = frozenset({10, 20, 25, 30, 40})
# What makes ccxt ask for orders that wait for a price, where an exchange keeps them apart.
TRIGGER: Final[Mapping[str, Any]] = {"trigger": True}


class NotInList(OrderNotFound):
    """An order that was not in a list which was answered well, and may have been one page of several."""


@dataclass(frozen=True, kw_only=True)
class CcxtReads(VenueReads):
    """The reads of one account."""

    markets: CcxtMarkets
    traits: Traits
    venue: str

    def facts(self) -> mapping.OrderFacts:
        """The facts of every order that is shown now."""
        return mapping.OrderFacts(
            venue=self.venue,
            account=self.account,
            observed_at=self.now(),
            numbered_by_market=self.traits.numbers_by_market,
        )

    def own(self, order: Order) -> Order:
        """An order with the client id that it was given here."""
        return order if self.traits.client_ids is None else self.traits.client_ids.read(order)

    def id_of(self, order: Order) -> str:
        """The id that the exchange has an order under: what was triggered may be another there."""
        return str(order.raw.get(self.traits.becomes) or order.order_id)

    def asked_by(self, order_id: str, symbol: Symbol | None) -> str:
        """The same of an order that was shown here."""
        return next((self.id_of(order) for order in self.memory.orders(order_id, symbol)), order_id)

    async def ready(self, *, deadline: Deadline) -> Mapping[Symbol, Market]:
        """The markets, which every read of ccxt's needs. VenueUnavailable and the errors of a read."""
        return await self.markets.store.get(deadline=deadline)

    async def order(
        self, order_id: str, symbol: Symbol | None, params: Mapping[str, Any], deadline: Deadline
    ) -> Rows[Order]:
        """One order by id, or by what `params` name. OrderNotFound (NotInList: perhaps) and the errors of a read."""
        await self.ready(deadline=deadline)
        asked, named = self.markets.spelled(symbol), {**self.traits.fetch_params, **params}
        # Among those that wait for a price it keeps its own, triggered or not.
        id = order_id if "trigger" in params else self.asked_by(order_id, symbol)
        call = CcxtCall(operation="lookup", make=lambda exchange: exchange.fetch_order(id, asked, dict(named)))
        try:
            done: Call = await self.sender.read(call, deadline=deadline)
        except OrderNotFound as error:
            last = call.calls[-1].sent[-1] if call.calls and call.calls[-1].sent else None
            # ccxt looked through what came; only where a row of ours says so is that the order's own place.
            if last is not None and last.failed is None and self.traits.order_rows_at is None:
                raise NotInList(Exception.__str__(error)) from error
            raise

        def is_meant(order: Order) -> bool:
            known = self.memory.orders(order.order_id, order.symbol)
            return symbol in (None, order.symbol) and all(each.side == order.side for each in known)

        rows = await self._orders([done.value], "look-up", "lookup", done, is_meant)
        for order in rows.good:
            is_apart = "trigger" in params
            self.memory.shown(order.order_id, order.symbol, apart=is_apart)
            if is_apart and self.id_of(order) != order.order_id:
                with suppress(OrderNotFound):
                    return await self.order(order.order_id, order.symbol, {}, deadline)
        return rows

    async def read_open(self, symbol: Symbol | None, deadline: Deadline) -> Rows[Order]:
        """
        Every open order of one symbol or of all.

        Raises:
            NotSupported: by symbol only, and there are too many symbols to ask for each.
            PartialList: an answer that may be a page of more. VenueUnavailable and the errors of a read.
        """
        listing = self.traits.open_orders
        if not listing.exists:
            raise NotSupported(f"{self.sender.gateway} lists no open orders: look them up by id")
        markets = await self.ready(deadline=deadline)
        symbols: Sequence[Symbol | None] = [symbol]
        if symbol is not None:
            self.markets.one(symbol, markets)
        elif listing.needs_symbol:
            if len(markets) > SWEPT_MARKETS:
                raise NotSupported(f"{self.sender.gateway} lists open orders by symbol only: give symbol")
            symbols = list(markets)
        kinds: list[Mapping[str, Any]] = [{}, TRIGGER] if self.traits.trigger_orders_apart else [{}]
        asks = [(asked, params) for asked in symbols for params in kinds]
        pages = await read_each(lambda ask: self._open_page(*ask, deadline), asks)
        # Which are asked for, and cancelled, as those that wait for a price. Where ccxt passes over the parameter, both
        # lists are the one: the plain list, noted last, counts.
        for (_, params), page in reversed([*zip(asks, pages, strict=True)]):
            unread = [(row.order_id, None) for row in page.bad if row.order_id]
            for id, where in [*unread, *((order.order_id, order.symbol) for order in page.good)]:
                self.memory.shown(id, where, apart="trigger" in params)
        rows = joined(pages)
        rows.good = [order for order in rows.good if symbol in (None, order.symbol)]
        return rows

    async def _open_page(self, symbol: Symbol | None, params: Mapping[str, Any], deadline: Deadline) -> Rows[Order]:
        asked, listing = self.markets.spelled(symbol), self.traits.open_orders
        done = await self._ask("open_orders", deadline, "fetch_open_orders", asked, None, listing.limit, params=params)
        check_whole(done, listing)
        return await self._orders(done.value, mapping.OPEN_ORDERS, "open_orders", done)

    async def _ask(
        self, operation: str, deadline: Deadline, method: str, *args: Any, params: Mapping[str, Any]
    ) -> Call:
        """One read; `params` are a dict that nobody else holds, each time that it is tried."""
        call = CcxtCall(operation=operation, make=lambda exchange: getattr(exchange, method)(*args, dict(params)))
        done: Call = await self.sender.read(call, deadline=deadline)
        return done

    def orders_since(
        self, window: Window, filters: Mapping[str, Any], timeout: float | None
    ) -> AsyncGenerator[Rows[Order], None]:
        """The orders created in a window, open or ended, as one page. NotSupported, at once: it cannot be had."""
        self._check_span(window, self.traits.orders, "orders")
        if filters:
            raise NotSupported(f"{self.sender.gateway} takes no filters {', '.join(filters)}")
        return self._page(partial(self._orders_in, window), timeout)

    def trades_since(
        self, look_up: LookUp, window: Window, ref: RefLike | None, timeout: float | None
    ) -> AsyncGenerator[Rows[Fill], None]:
        """The trades of a window, or of one order, as one page. NotSupported, at once: they cannot be had."""
        self._check_span(window, self.traits.trades, "fills", is_of_order=ref is not None)
        if ref is not None:
            return self._page(partial(self._trades_by_ref, ref, look_up, window), timeout)
        if not self.traits.trades.exists:
            raise NotSupported(f"{self.sender.gateway} has no fills")
        return self._page(partial(self._trades_since, window), timeout)

    def _check_span(self, window: Window, listing: Listing, operation: str, *, is_of_order: bool = False) -> None:
        """NotSupported: further back than the exchange shows; or the list is by symbol only, and there is none."""
        days, since = listing.days_back, window.since
        if since is not None and days is not None and since < self.now() - timedelta(days=days):
            raise NotSupported(f"{self.sender.gateway} shows the last {days} days only")
        if listing.needs_symbol and window.symbol is None and not is_of_order:
            raise NotSupported(f"{self.sender.gateway} lists {operation} by symbol only: give symbol")

    async def _page(
        self, read: Callable[[Deadline], Awaitable[Rows[T]]], timeout: float | None
    ) -> AsyncGenerator[Rows[T], None]:
        self.sender.check_usable()
        yield await read(Deadline(timeout))

    async def _orders_in(self, window: Window, deadline: Deadline) -> Rows[Order]:
        answers = await self._since("fetch_orders", self.traits.orders, window, deadline, "orders")
        rows = joined([await self._orders(done.value, "orders", "orders", done) for done in answers])
        return Rows(newest_first(rows.good), rows.bad)

    async def _trades_by_ref(self, ref: RefLike, look_up: LookUp, window: Window, deadline: Deadline) -> Rows[Fill]:
        """It is looked up only where the ref does not name it whole: an ended order may be shown no longer."""
        known = OrderRef.of(ref)
        shown = [ref] if isinstance(ref, Order) else self.memory.orders(known.order_id or "", known.symbol)
        if len(shown) == 1 and (not self.traits.becomes or shown[0].raw.get(self.traits.becomes)):
            seen = shown[0]
        else:
            result = await look_up([known], deadline)
            seen = order_from(result, known, gateway=self.sender.gateway, operation="fills")
        if self.traits.order_trades:
            return await self._trades_of(seen, deadline)
        rows = await self._trades_since(Window(seen.created_at, window.until, seen.symbol), deadline)
        mine = [fill for fill in rows.good if (fill.order_id, fill.symbol) == (seen.order_id, seen.symbol)]
        return Rows(mine, rows.bad)

    async def _trades_since(self, window: Window, deadline: Deadline) -> Rows[Fill]:
        answers = await self._since("fetch_my_trades", self.traits.trades, window, deadline, "fills")
        pages = [await self._fills(done) for done in answers]
        # Trades are numbered by market too, and one number stands for both sides of who trades with himself.
        unique = {(fill.fill_id, fill.symbol, fill.order_id, fill.side): fill for page in pages for fill in page.good}
        return Rows(newest_first(unique.values()), [bad for page in pages for bad in page.bad])

    async def _since(
        self, method: str, listing: Listing, window: Window, deadline: Deadline, operation: str
    ) -> list[Call]:
        markets = await self.ready(deadline=deadline)
        if window.symbol is not None:
            self.markets.one(window.symbol, markets)
        asked = self.markets.spelled(window.symbol)
        answers = []
        for start, end in windows(listing, window.since, window.until, now=self.now()):
            params = {} if end is None else {"until": end}
            done = await self._ask(operation, deadline, method, asked, start, listing.limit, params=params)
            if not reaches_back(done.value, window.since, listing):
                check_whole(done, listing)
            answers.append(done)
        return answers

    async def _trades_of(self, order: Order, deadline: Deadline) -> Rows[Fill]:
        await self.ready(deadline=deadline)
        id, asked = self.id_of(order), self.markets.spelled(order.symbol)
        done = await self._ask("fills", deadline, "fetch_order_trades", id, asked, None, None, params={})
        # Few orders trade in as many pieces as a page holds, so only a usual large page is suspect.
        check_whole(done, Listing(exists=True), small_pages=False)
        rows = await self._fills(done, id, order.symbol)
        return Rows([fill.model_copy(update={"order_id": order.order_id}) for fill in rows.good], rows.bad)

    async def _orders(
        self,
        values: Any,
        source: str,
        operation: str,
        done: Call,
        is_meant: Callable[[Order], bool] = lambda order: True,
    ) -> Rows[Order]:
        facts = self.facts()

        def to_order(row: Any) -> Order:
            order = mapping.order_from_row(
                row,
                source=source,
                step=self.markets.step(row.get("symbol")) if isinstance(row, dict) else None,
                rules=self.traits.rows,
                **facts,
            )
            if not is_meant(order):
                what = f"this order, {order.side} {order.symbol}, is another than was asked for"
                raise Unusable(what, id=order.order_id)
            return self.own(order)

        rows = await self._rows(values, to_order, operation, done)
        for order in rows.good:
            self.memory.put(order)
        return rows

    async def _fills(self, done: Call, order_id: str | None = None, symbol: str | None = None) -> Rows[Fill]:
        def to_fill(row: Any) -> Fill:
            named = {**row, "order": row.get("order") or order_id} if isinstance(row, dict) else row
            fill = mapping.fill_from_row(named, venue=self.venue, account=self.account, rules=self.traits.rows)
            if order_id not in (None, fill.order_id) or symbol not in (None, fill.symbol):
                raise Unusable("this trade is of another order than was asked for", id=fill.order_id)
            return fill

        return await self._rows(done.value, to_fill, "fills", done)

    async def _rows(self, values: Any, convert: Callable[[Any], T], operation: str, done: Call) -> Rows[T]:
        # Whether ccxt left these in the list or filtered them out, each is told once.
        unread = [self.reader.bad_row(-1, reason, raw=raw) for raw, reason in done.unreadable]

        def read(row: Any) -> T | None:
            if mapping.is_contract(row) or (isinstance(row, dict) and mapping.UNREADABLE in row):
                return None
            made = convert(row)
            if (name := self.markets.named_beside(row, made.symbol)) is not None:
                raise Unusable(f"it is of {name}, and ccxt says {made.symbol}", id=made.order_id)
            return made

        return await self.reader.read(values, read, operation, raw_of=_as_sent, unread=unread)


def check_whole(done: Call, listing: Listing, *, small_pages: bool = True) -> None:
    """PartialList where an answer may be one page of several, UnexpectedResponse where ccxt made a list of no list."""
    payloads, rows = [sent.payload for sent in done.sent], done.value if isinstance(done.value, list) else []
    if not rows and not any(is_list_answer(payload, listing.rows_at) for payload in payloads):
        keys = sorted({str(key) for payload in payloads if isinstance(payload, dict) for key in payload})
        names = ", ".join(keys) or "none"
        message = f"the answer has no list in it (keys: {names}), so it is not an empty one"
        raise UnexpectedResponse(message, keys=tuple(keys))
    if listing.whole:
        return
    count = max([rows_in(payload) for payload in payloads] + [len(rows)])
    if listing.more is not None:
        hidden = any(isinstance(payload, dict) and payload.get(listing.more) for payload in payloads)
    elif listing.limit is not None:
        hidden = count >= listing.limit
    else:
        hidden = (small_pages and count in _SMALL_PAGES) or (count > 0 and count % 50 == 0)
    if hidden:
        raise PartialList(
            f"{count} rows may be one page of several, so the list cannot be shown to be complete: ask for one"
            " symbol or a shorter time, or look orders up by id"
        )


def check_symbol(symbol: str) -> None:
    """NotSupported: a contract."""
    if ":" in symbol:
        raise NotSupported(f"{symbol} is a contract: this gateway trades spot markets, BASE/QUOTE")


def _as_sent(row: Any) -> Any:
    return row.get("info", row) if isinstance(row, dict) else row


def windows(
    listing: Listing, since: datetime | None, until: datetime | None, *, now: datetime
) -> list[tuple[int | None, int | None]]:
    """
    The spans to ask for one by one, in milliseconds; the last has no end, or one request is enough.

    Raises:
        NotSupported: the exchange shows a short span at a time, and there is no start, or it is too long ago.
    """
    days = listing.days_at_once
    if since is None or not listing.takes_since:
        if days is not None and not listing.latest:
            raise NotSupported(f"the exchange shows {days} days at a time: give since")
        return [(None, None)]
    start, present = _milliseconds(since), _milliseconds(now)
    if days is None:
        return [(start, None)]
    # A little less than what is allowed, as clocks differ.
    span = days * _DAY - _MINUTE
    last = min(present, present if until is None else _milliseconds(until))
    starts = list(range(start, max(last, start + 1), span))
    if len(starts) > MOST_WINDOWS:
        raise NotSupported(f"the exchange shows {days} days at a time: ask for {MOST_WINDOWS} times that at most")
    return [(each, None if each + span > present else each + span) for each in starts]


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def rows_in(payload: Any, depth: int = 0) -> int:
    """
    The most rows that one list of an answer holds, or one mapping of ids to rows: ccxt drops rows of other markets.

    A row is a dict, or a list, as with exchanges that tell fields by their places.
    """
    if isinstance(payload, list):
        nested = [row for row in payload if isinstance(row, (dict, list))]
        told = [row for row in payload if row is not None]
        if nested and len(nested) == len(told):
            return len(payload)
        # A row itself, or an envelope that is a list.
        return max([rows_in(each, depth + 1) for each in nested if isinstance(each, list)], default=0)
    if not isinstance(payload, dict) or depth > 3:
        return 0
    values: Iterable[Any] = payload.values()
    as_rows = len(payload) if payload and all(isinstance(row, dict) and row for row in values) else 0
    return max([as_rows if as_rows > 2 else 0, *(rows_in(each, depth + 1) for each in payload.values())])


def reaches_back(values: Any, since: datetime | None, listing: Listing) -> bool:
    """True if a newest-first page that takes no `since` goes back beyond it, so that nothing after it is hidden."""
    if since is None or listing.takes_since or not isinstance(values, list):
        return False
    times = [row.get("timestamp") for row in values if isinstance(row, dict)]
    known = [time for time in times if isinstance(time, int)]
    return bool(known) and len(known) == len(values) and min(known) < since.timestamp() * 1000
