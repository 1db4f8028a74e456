"""
The calls on orders, trades and money on the simulated Bitso, and those on books and prices, which need no key.

A new order is checked in the order that the documents suggest: book → side → type → time in force → amounts →
positive → price and tick → bounds → stop → origin id → trading switches → open-order cap. Funds come last and are the
engine's. Assumed besides: more decimals than the currency has is `0407`; a stop must lie within the book's price
bounds, and one that is reached already triggers at once; a time in force on a market order is checked and otherwise
ignored; value bounds of a market order are tested only against `minor`.

What the documents leave open of the others, and how it is taken here: a replacement without `major` takes over the
unfilled rest; an order that cannot be changed is `1005`; both PATCH calls answer `{"oid": …}`; `cancel: "1"` of the v4
call cancels the order and still tells why it was not changed.
"""

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, TypeVar

from orderbridge.simulator.basics import ZERO, floor_divide, floor_to, mul
from orderbridge.simulator.bitso import mapping
from orderbridge.simulator.bitso.mapping import BitsoRefusal, amount, book_named, read_body, when, word
from orderbridge.simulator.engine.engine import MatchingEngine, NotEnough
from orderbridge.simulator.engine.market import Instrument, PublicTrade, SimMarket
from orderbridge.simulator.engine.order import SimFill, SimOrder, State
from orderbridge.simulator.settings import BitsoSettings
from orderbridge.simulator.venue import SimCall

MOST_OPEN_ORDERS = 500
TRADES_PAGE = 25
MOST_TRADES = 100

Rows = list[dict[str, Any]]
Trade = TypeVar("Trade", SimFill, PublicTrade)
_ORIGIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MOST_SLIPPAGE: Final = Decimal(100)


class BitsoTrading:
    """The calls on orders, trades and money, and on books and prices."""

    def __init__(self, engine: MatchingEngine, settings: BitsoSettings, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._settings = settings
        self._new_id = new_id

    # The account's orders and trades.

    def lookup(self, call: SimCall) -> Rows:
        """
        `GET orders…`: an array in every form. What is missing follows the settings `miss` and `mixed_miss`.
        """
        by_origin, orders = self._named(call)
        shown = [[order for order in each if self._visible(order, call)] for each in orders.values()]
        found = list(chain.from_iterable(shown))
        if found and not all(shown) and self._settings.mixed_miss == "refuse":
            raise BitsoRefusal("0312")
        code = self._settings.miss
        if code == "seen":
            code = "0312" if by_origin else "empty"
        if not found and code != "empty":
            raise BitsoRefusal(code if by_origin else "0312")
        return call.disturbed([self._row(order, call) for order in found])

    def _named(self, call: SimCall) -> tuple[bool, dict[str, list[SimOrder]]]:
        """
        The account's orders of each name in the call, after whether the names are origin ids: one order by oid, perhaps
        several by a re-used origin id, newest first.

        Every documented way to name orders is read: `/orders/A`, the old `/orders/A-B`, `/orders/A,B` and
        `/orders/client_id/A`, `?oids=A,B`, `?origin_ids=A,B` and their singular forms. None is `0360`, several kinds
        at once `0361` (the fitting codes; undocumented).
        """
        forms = _forms(call)
        if len(forms) > 1:
            raise BitsoRefusal("0361")
        by_origin, text = forms[0] if forms else (False, "")
        separator = "," if by_origin or "-" not in text or "," in text else "-"
        ids = [each for each in dict.fromkeys(text.split(separator)) if each]
        if not ids:
            raise BitsoRefusal("0360")
        if by_origin:
            return True, {each: self._engine.ledger.of_client(call.account, each)[::-1] for each in ids}
        return False, {each: self._engine.ledger.of_id(call.account, each) for each in ids}

    def _visible(self, order: SimOrder, call: SimCall) -> bool:
        if order.active or not order.shown(call.now):
            return order.shown(call.now)
        ended = order.ended_at or order.created_at
        return call.now - ended < timedelta(seconds=self._settings.visibility_window)

    def _row(self, order: SimOrder, call: SimCall) -> dict[str, Any]:
        return mapping.order_row(order, self._settings, now=call.now)

    def open_orders(self, call: SimCall) -> Rows:
        """`GET open_orders`: newest first, 500 at most, and no paging."""
        book, currency = self._book(call), call.parameters.get("currency")
        if currency is not None and currency not in mapping.CURRENCIES:
            raise BitsoRefusal("0313")
        if call.parameters.get("source", "all") not in ("all", "alpha"):
            raise BitsoRefusal("0304", about="source")
        limit = _whole_number(call, "limit", default=MOST_OPEN_ORDERS, most=MOST_OPEN_ORDERS)
        rows = (
            self._row(order, call)
            for order in self._engine.ledger.newest_active(call.account)
            if order.shown(call.now)
            and (book is None or order.market == book)
            and (currency is None or currency in order.market.split("_"))
            and (order.type == "limit" or self._settings.open_orders_types == "all")
        )
        return call.disturbed(list(islice(rows, limit)))

    def _book(self, call: SimCall) -> str | None:
        """The book that a list is narrowed to, if any."""
        name = call.parameters.get("book")
        return None if name is None else book_named(self._engine, name).name

    def order_trades(self, call: SimCall) -> Rows:
        """
        `GET order_trades/{oid}` or `?origin_id=`: by origin id, the trades of every order that ever used it.
        """
        by_origin, orders = self._named(call)
        known = [order for each in orders.values() for order in each if not order.comes_late(call.now)]
        if not known:
            raise BitsoRefusal("0357" if by_origin else "0312")
        fills = sorted((fill for order in known for fill in order.fills), key=lambda fill: -fill.trade_id)
        ready = self._ready(fills, call)
        if fills and not ready:
            raise BitsoRefusal("0377")
        if not fills and self._settings.no_trades != "empty":
            raise BitsoRefusal("0378")
        return call.disturbed([mapping.trade_row(fill, self._settings) for fill in ready])

    def _ready(self, fills: list[SimFill], call: SimCall) -> list[SimFill]:
        lag = timedelta(seconds=self._settings.trade_lag)
        return [fill for fill in fills if call.now - fill.created_at >= lag] if lag else fills

    def user_trades(self, call: SimCall) -> Rows:
        """`GET user_trades`, also `/user_trades/{tid}-{tid}`; trades of an order that a test hides are told."""
        fills = self._engine.ledger.fills.get(call.account, [])
        fills = self._ready([fill for fill in fills if not fill.order.comes_late(call.now)], call)
        if call.rest:
            page = self._of_ids(call, fills)
        else:
            book = self._book(call)
            page = _page(call, (fill for fill in fills if book is None or fill.order.market == book))
        return call.disturbed([mapping.trade_row(fill, self._settings) for fill in page])

    def _of_ids(self, call: SimCall, fills: list[SimFill]) -> list[SimFill]:
        if len(call.rest) > 1:
            raise BitsoRefusal("0322", status=404)
        wanted = set(call.rest[0].split("-"))
        found = [fill for fill in reversed(fills) if str(fill.trade_id) in wanted]
        if not found:
            raise BitsoRefusal("0321")
        return found

    # The account's money.

    def balance(self, call: SimCall) -> dict[str, Any]:
        """`GET balance`: one row for every currency."""
        balances = self._engine.accounts.of(call.account)
        return {"balances": [mapping.balance_row(each, balances[each]) for each in mapping.CURRENCIES]}

    def fees(self, call: SimCall) -> dict[str, Any]:
        """
        `GET fees`: per book; the deprecated fields equal the maker's. Withdrawals are not simulated: empty.
        """
        rows = [mapping.fee_row(each) for each in self._engine.instruments.values()]
        return {"fees": rows, "withdrawal_fees": {}, "deposit_fees": []}

    # What needs no key.

    def available_books(self, call: SimCall) -> Rows:
        """`GET available_books`: bounds, tick and fees."""
        return [mapping.book_row(each) for each in self._engine.instruments.values()]

    def catalogues(self, call: SimCall) -> dict[str, Any]:
        """`GET catalogues`: the currencies and their decimals; ccxt places no order without it."""
        return {"currencies": {"metadata": [mapping.currency_row(each) for each in mapping.CURRENCIES]}}

    def order_book(self, call: SimCall) -> dict[str, Any]:
        """`GET order_book`: the best 50 levels, or with `aggregate=false` every order with its oid."""
        market = self._market(call)
        whole = call.parameters.get("aggregate", "true").lower() in ("false", "0")
        rows = mapping.every_order if whole else mapping.best_levels
        name = market.instrument.name
        return {
            "bids": rows(name, market.book.bids),
            "asks": rows(name, market.book.asks),
            "updated_at": when(call.now, self._settings),
            "sequence": str(market.changes),
        }

    def trades(self, call: SimCall) -> Rows:
        """`GET trades`: public trades, paged like the account's own."""
        market = self._market(call)
        return [
            mapping.public_trade_row(trade, market.instrument, self._settings) for trade in _page(call, market.trades)
        ]

    def ticker(self, call: SimCall) -> Any:
        """`GET ticker`: one book's last day, or every book's without `book`."""
        if "book" in call.parameters:
            return mapping.ticker_row(self._market(call), self._settings, now=call.now)
        return [
            mapping.ticker_row(self._engine.market(name), self._settings, now=call.now)
            for name in self._engine.instruments
        ]

    def _market(self, call: SimCall) -> SimMarket:
        return self._engine.market(book_named(self._engine, call.parameters.get("book")).name)

    # What changes orders.

    def place(self, call: SimCall) -> dict[str, str]:
        """`POST orders`: the answer is an oid and nothing else, whatever became of the order."""
        order = self._order_from(read_body(call.request), call)
        call.delay_sight(order)
        self._engine.place(order)
        return {"oid": order.order_id}

    def cancel(self, call: SimCall) -> list[str]:
        """`DELETE orders…`: the oids that were really cancelled; the others are left out without a word."""
        every = call.rest == ["all"]
        if every:
            orders = list(self._engine.ledger.newest_active(call.account))
        else:
            orders = list(chain.from_iterable(self._named(call)[1].values()))
        call.fill_first(self._engine, *orders)
        cancelled = [order.order_id for order in orders if self._engine.cancel(order)]
        if not cancelled and not every and self._settings.cancel_miss != "omit":
            raise BitsoRefusal(self._settings.cancel_miss)
        return cancelled

    def _one(self, call: SimCall) -> SimOrder:
        """The order that a PATCH names; by origin id the active one, of several."""
        by_origin, found = self._named(call)
        orders = [order for each in found.values() for order in each if not order.hidden]
        if len(found) > 1:
            raise BitsoRefusal("0361")
        if not orders:
            raise BitsoRefusal("0357" if by_origin else "0312")
        return next((order for order in orders if order.active), orders[0])

    def replace(self, call: SimCall) -> dict[str, str]:
        """
        `PATCH /v3/orders`: a new order in the place of the old, with an oid of its own and no inherited
        origin id.

        If the old one fills while this is under way (the fault `fill_first`), the new one is created all the
        same.
        """
        old = self._one(call)
        body = read_body(call.request)
        if not old.active or (old.type == "market" and old.state is not State.WAITING):
            raise BitsoRefusal("1005")
        order = self._order_from(_merged(old, body), call)
        call.fill_first(self._engine, old)
        self._engine.place(order)
        self._engine.cancel(old, reason=f"replaced by {order.order_id}")
        return {"oid": order.order_id}

    def modify(self, call: SimCall) -> dict[str, str]:
        """`PATCH /v4/orders`: the same order, changed in place."""
        order = self._one(call)
        body = read_body(call.request)
        call.fill_first(self._engine, order)
        try:
            self._change(order, body)
        except (BitsoRefusal, NotEnough):
            if str(body.get("cancel")) in ("1", "True", "true"):
                self._engine.cancel(order)
            raise
        return {"oid": order.order_id}

    def _change(self, order: SimOrder, body: dict[str, Any]) -> None:
        major, minor, price, stop = (amount(body, name) for name in ("major", "minor", "price", "stop"))
        if major is not None and minor is not None:
            raise BitsoRefusal("0308")
        if (major, minor, price, stop) == (None, None, None, None):
            raise BitsoRefusal("0309")
        if not order.active or (order.price is None and price is not None):
            raise BitsoRefusal("1005")
        if stop is not None and order.state is not State.WAITING:
            raise BitsoRefusal("1005", about="stop")
        market = self._engine.instruments[order.market]
        if order.price is None:
            self._change_market_order(order, market, major, minor, stop)
            return
        quantity = self._new_quantity(order, major, minor, price)
        if quantity <= ZERO:
            raise BitsoRefusal("0408")
        if quantity < order.filled:
            raise BitsoRefusal("0403")
        if price is not None:
            _check_tick(market, price)
        _check_bounds(market, major=quantity, minor=None, price=price or order.price)
        _check_stop(market, stop)
        self._engine.edit(order, quantity=quantity, price=price, stop_price=stop)

    def _change_market_order(
        self, order: SimOrder, market: Instrument, major: Decimal | None, minor: Decimal | None, stop: Decimal | None
    ) -> None:
        """A market order has no price: its size is the base or the money that it was given last."""
        if order.state is not State.WAITING:
            raise BitsoRefusal("1005")
        _check_positive(major, minor)
        _check_bounds(market, major=major, minor=minor, price=None)
        _check_stop(market, stop)
        self._engine.edit(order, quantity=major, quote_quantity=minor, stop_price=stop)

    def _new_quantity(
        self, order: SimOrder, major: Decimal | None, minor: Decimal | None, price: Decimal | None
    ) -> Decimal:
        """A new price alone keeps the quote value, so the base amount becomes value ÷ price."""
        assert order.quantity is not None  # a limit order's size is in base
        if major is not None:
            return major
        now_at = price or order.price
        value = minor
        if value is None and price is not None and order.price is not None:
            value = mul(order.quantity, order.price)
        if value is None or not now_at or now_at <= ZERO:
            return order.quantity
        return floor_divide(value, now_at, self._engine.instruments[order.market].step)

    # What is checked of a new order.

    def _order_from(self, body: dict[str, Any], call: SimCall) -> SimOrder:
        """The order that the body describes; nothing is placed yet."""
        market = book_named(self._engine, word(body, "book"))
        side = _choice(body, "side", ("buy", "sell"), "0306")
        type_ = _choice(body, "type", ("market", "limit"), "0307")
        time_in_force, post_only = _time_in_force(body)
        if type_ == "market":
            time_in_force, post_only = "ioc", False
        major, minor = _sizes(body, type_)
        _check_positive(major, minor)
        price = amount(body, "price")
        if type_ == "market":
            price = None
        else:
            _check_tick(market, price)
        _check_bounds(market, major=major, minor=minor, price=price)
        stop = amount(body, "stop")
        _check_stop(market, stop)
        slippage = amount(body, "slippage_tolerance")
        if slippage is not None and not ZERO <= slippage <= _MOST_SLIPPAGE:
            raise BitsoRefusal("0304", about="slippage_tolerance")
        origin_id = self._origin_id(body, call.account)
        self._check_switches(market, type_, call.account)
        return SimOrder(
            order_id=self._new_id(),
            account=call.account,
            market=market.name,
            side=side,
            type=type_,
            created_at=call.now,
            client_order_id=origin_id,
            quantity=major,
            quote_quantity=minor,
            price=price,
            stop_price=stop,
            trigger=None if stop is None else "above" if side == "buy" else "below",
            time_in_force=time_in_force,
            post_only=post_only,
            slippage=slippage,
        )

    def _origin_id(self, body: dict[str, Any], account: str) -> str | None:
        origin_id = word(body, "origin_id")
        if origin_id is None:
            return None
        if _ORIGIN_ID.fullmatch(origin_id) is None:
            raise BitsoRefusal("0304", about="origin_id")
        if any(order.active for order in self._engine.ledger.of_client(account, origin_id)):
            raise BitsoRefusal("0356")
        return origin_id

    def _check_switches(self, market: Instrument, type_: str, account: str) -> None:
        settings = self._settings
        if market.name in settings.closed_books:
            raise BitsoRefusal("0410")
        if type_ == "market" and settings.market_orders == "off":
            raise BitsoRefusal("0411")
        if settings.trading == "off":
            raise BitsoRefusal("1008")
        if self._engine.ledger.count_active(account) >= settings.most_open_orders:
            raise BitsoRefusal("1001")


def _forms(call: SimCall) -> list[tuple[bool, str]]:
    forms = []
    match call.rest:
        case []:
            pass
        case ["client_id", origin_id]:
            forms.append((True, origin_id))
        case [oid]:
            forms.append((False, oid))
        case _:
            raise BitsoRefusal("0322", status=404)
    for name, by_origin in (("oids", False), ("oid", False), ("origin_ids", True), ("origin_id", True)):
        if name in call.parameters:
            forms.append((by_origin, call.parameters[name]))
    return forms


def _whole_number(call: SimCall, name: str, *, default: int, most: int) -> int:
    """A paging parameter; above `most` it counts as `most`, below 1 or no number it is `0320`."""
    text = call.parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < 1:
        raise BitsoRefusal("0320", about=name)
    return min(int(text), most)


def _page(call: SimCall, trades: Iterable[Trade]) -> list[Trade]:
    """A page of trades, which begins after the tid `marker`, itself excluded."""
    sort = call.parameters.get("sort", "desc")
    if sort not in ("asc", "desc"):
        raise BitsoRefusal("0320", about="sort")
    marker = _whole_number(call, "marker", default=0, most=10**18)
    limit = _whole_number(call, "limit", default=TRADES_PAGE, most=MOST_TRADES)
    rising = sort == "asc"
    ordered = sorted(trades, key=lambda trade: trade.trade_id, reverse=not rising)
    after = (
        trade for trade in ordered if not marker or (trade.trade_id > marker if rising else trade.trade_id < marker)
    )
    return list(islice(after, limit))


def _merged(old: SimOrder, body: dict[str, Any]) -> dict[str, Any]:
    waits = old.state is State.WAITING
    if not waits and (amount(body, "stop") is not None or amount(body, "minor") is not None):
        raise BitsoRefusal("1005", about="stop and minor can change on a waiting stop order only")
    merged: dict[str, Any] = {"book": old.market, "side": old.side, "type": old.type}
    for name in ("side", "type"):
        if body.get(name) not in (None, merged[name]):
            raise BitsoRefusal("1005", about=f"{name} cannot change")
    if body.get("minor") is None and body.get("major") is None:
        merged |= {"major": old.remaining} if old.quantity is not None else {"minor": old.quote_quantity}
    if old.price is not None:
        merged["price"] = old.price
        merged["time_in_force"] = (
            "postonly" if old.post_only else mapping.TIME_IN_FORCE_WORD.get((old.time_in_force, False))
        )
    if waits:
        merged["stop"] = old.stop_price
    if old.slippage is not None:
        merged["slippage_tolerance"] = old.slippage
    changeable = ("major", "minor", "price", "stop", "origin_id")
    return merged | {name: body[name] for name in changeable if body.get(name) is not None}


def _time_in_force(body: dict[str, Any]) -> tuple[str, bool]:
    name = word(body, "time_in_force") or "goodtillcancelled"
    if name not in mapping.TIME_IN_FORCE:
        raise BitsoRefusal("0302")
    return mapping.TIME_IN_FORCE[name]


def _choice(body: dict[str, Any], name: str, allowed: tuple[str, ...], code: str) -> str:
    value = word(body, name)
    if value is None:
        raise BitsoRefusal("0303", about=name)
    if value not in allowed:
        raise BitsoRefusal(code)
    return value


def _sizes(body: dict[str, Any], type_: str) -> tuple[Decimal | None, Decimal | None]:
    major, minor = amount(body, "major"), amount(body, "minor")
    if major is not None and minor is not None:
        raise BitsoRefusal("0308")
    if major is None and minor is None:
        raise BitsoRefusal("0309")
    if type_ == "limit" and major is None:
        raise BitsoRefusal("0303", about="major")
    return major, minor


def _check_positive(*sizes: Decimal | None) -> None:
    """No size at or below zero."""
    if any(size is not None and size <= ZERO for size in sizes):
        raise BitsoRefusal("0408")


def _check_tick(market: Instrument, price: Decimal | None) -> None:
    """A limit price must be there, and on the tick."""
    if price is None or price <= ZERO or floor_to(price, market.tick) != price:
        raise BitsoRefusal("0407")


def _check_bounds(market: Instrument, *, major: Decimal | None, minor: Decimal | None, price: Decimal | None) -> None:
    """The book's bounds on price, amount and value, and the currencies' decimals."""
    if major is not None and floor_to(major, market.step) != major:
        raise BitsoRefusal("0407", about="major")
    if minor is not None and floor_to(minor, Decimal(1).scaleb(-market.quote_places)) != minor:
        raise BitsoRefusal("0407", about="minor")
    value = mul(major, price) if major is not None and price is not None else minor
    for found, (least, most), codes in (
        (price, market.prices, ("0401", "0402")),
        (major, market.amounts, ("0403", "0404")),
        (value, market.values, ("0405", "0406")),
    ):
        if found is not None and found < least:
            raise BitsoRefusal(codes[0])
        if found is not None and found > most:
            raise BitsoRefusal(codes[1])


def _check_stop(market: Instrument, stop: Decimal | None) -> None:
    """A stop within the price bounds, and on the tick."""
    if stop is None:
        return
    if stop < market.prices[0]:
        raise BitsoRefusal("0412")
    if stop > market.prices[1]:
        raise BitsoRefusal("0413")
    _check_tick(market, stop)
