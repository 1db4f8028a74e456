"""Reading from the simulated Bitso: the account's orders, trades and money, and books and prices without a key."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from decimal import Decimal
from itertools import chain, islice
from typing import Any, TypeVar

from orderbridge.simulator.basics import PLACES, ZERO, add, mul, plain, ratio, sub
from orderbridge.simulator.bitso.mapping import CURRENCIES, BitsoRefusal, book_named, order_row, trade_row, when
from orderbridge.simulator.engine.engine import MatchingEngine
from orderbridge.simulator.engine.market import Half, Instrument, PublicTrade, SimMarket
from orderbridge.simulator.engine.order import SimFill, SimOrder
from orderbridge.simulator.settings import BitsoSettings
from orderbridge.simulator.venue import SimCall

MOST_OPEN_ORDERS = 500
TRADES_PAGE = 25
MOST_TRADES = 100
LEVELS = 50
HUNDRED = Decimal(100)
DAY = timedelta(days=1)

Rows = list[dict[str, Any]]
Trade = TypeVar("Trade", SimFill, PublicTrade)


def named(call: SimCall, engine: MatchingEngine) -> tuple[bool, dict[str, list[SimOrder]]]:
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
        return True, {each: engine.ledger.of_client(call.account, each)[::-1] for each in ids}
    return False, {each: engine.ledger.select(call.account, order_id=each) for each in ids}


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


class BitsoQueries:
    """The calls that change nothing."""

    def __init__(self, engine: MatchingEngine, settings: BitsoSettings) -> None:
        self._engine = engine
        self._settings = settings

    # The account's orders and trades.

    def lookup(self, call: SimCall) -> Rows:
        """
        `GET orders…`: an array in every form. What is missing follows the settings `miss` and `mixed_miss`.
        """
        by_origin, orders = named(call, self._engine)
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

    def _visible(self, order: SimOrder, call: SimCall) -> bool:
        if order.active or not order.shown(call.now):
            return order.shown(call.now)
        ended = order.ended_at or order.created_at
        return call.now - ended < timedelta(seconds=self._settings.visibility_window)

    def _row(self, order: SimOrder, call: SimCall) -> dict[str, Any]:
        return order_row(order, self._settings, now=call.now)

    def open_orders(self, call: SimCall) -> Rows:
        """`GET open_orders`: newest first, 500 at most, and no paging."""
        book, currency = self._book(call), call.parameters.get("currency")
        if currency is not None and currency not in CURRENCIES:
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
        by_origin, orders = named(call, self._engine)
        known = [order for each in orders.values() for order in each if not order.comes_late(call.now)]
        if not known:
            raise BitsoRefusal("0357" if by_origin else "0312")
        fills = sorted((fill for order in known for fill in order.fills), key=lambda fill: -fill.trade_id)
        ready = self._ready(fills, call)
        if fills and not ready:
            raise BitsoRefusal("0377")
        if not fills and self._settings.no_trades != "empty":
            raise BitsoRefusal("0378")
        return call.disturbed([trade_row(fill, self._settings) for fill in ready])

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
        return call.disturbed([trade_row(fill, self._settings) for fill in page])

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
        nothing = plain(ZERO, PLACES)
        return {
            "balances": [
                {
                    "currency": currency,
                    "available": plain(balances[currency].available, PLACES),
                    "locked": plain(balances[currency].locked, PLACES),
                    "total": plain(balances[currency].total, PLACES),
                    "pending_deposit": nothing,
                    "pending_withdrawal": nothing,
                }
                for currency in CURRENCIES
            ]
        }

    def fees(self, call: SimCall) -> dict[str, Any]:
        """
        `GET fees`: per book; the deprecated fields equal the maker's. Withdrawals are not simulated: empty.
        """
        rows = [_fee_row(each) for each in self._engine.instruments.values()]
        return {"fees": rows, "withdrawal_fees": {}, "deposit_fees": []}

    # What needs no key.

    def available_books(self, call: SimCall) -> Rows:
        """`GET available_books`: bounds, tick and fees."""
        return [_book_row(each) for each in self._engine.instruments.values()]

    def catalogues(self, call: SimCall) -> dict[str, Any]:
        """`GET catalogues`: the currencies and their decimals; ccxt places no order without it."""
        metadata = [
            {
                "code": code,
                "full_name": name,
                "precision": precision,
                "display_ticker": code.upper(),
                "type": kind,
            }
            for code, (precision, name, kind) in CURRENCIES.items()
        ]
        return {"currencies": {"metadata": metadata}}

    def order_book(self, call: SimCall) -> dict[str, Any]:
        """`GET order_book`: the best 50 levels, or with `aggregate=false` every order with its oid."""
        market = self._market(call)
        whole = call.parameters.get("aggregate", "true").lower() in ("false", "0")
        rows: Callable[[str, Half], list[dict[str, str]]] = _every_order if whole else _best_levels
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
            {
                "book": market.instrument.name,
                "created_at": when(trade.created_at, self._settings),
                "amount": plain(trade.quantity, PLACES),
                "maker_side": trade.maker_side,
                "price": plain(trade.price, 2),
                "tid": trade.trade_id,
            }
            for trade in _page(call, market.trades)
        ]

    def ticker(self, call: SimCall) -> Any:
        """`GET ticker`: one book's last day, or every book's without `book`."""
        if "book" in call.parameters:
            return self._ticker_row(self._market(call), call)
        return [self._ticker_row(self._engine.market(name), call) for name in self._engine.instruments]

    def _ticker_row(self, market: SimMarket, call: SimCall) -> dict[str, str]:
        day = [trade for trade in market.trades if trade.created_at > call.now - DAY]
        prices = [trade.price for trade in day] or [market.last]
        volume, value = ZERO, ZERO
        for trade in day:
            volume, value = add(volume, trade.quantity), add(value, mul(trade.quantity, trade.price))
        return {
            "book": market.instrument.name,
            "volume": plain(volume, PLACES),
            "high": plain(max(prices), 2),
            "low": plain(min(prices), 2),
            "last": plain(market.last, 2),
            "vwap": plain(ratio(value, volume, PLACES) if volume else market.last, 2),
            "ask": plain(market.book.asks.best() or market.last, 2),
            "bid": plain(market.book.bids.best() or market.last, 2),
            "change_24": plain(sub(market.last, prices[0]), 2),
            "created_at": when(call.now, self._settings),
        }

    def _market(self, call: SimCall) -> SimMarket:
        return self._engine.market(book_named(self._engine, call.parameters.get("book")).name)


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


def _best_levels(book: str, half: Half) -> list[dict[str, str]]:
    return [
        {"book": book, "price": plain(price, 2), "amount": plain(amount, PLACES)}
        for price, amount in islice(half.sizes(), LEVELS)
    ]


def _every_order(book: str, half: Half) -> list[dict[str, str]]:
    return [
        {
            "book": book,
            "price": plain(order.price or ZERO, 2),
            "amount": plain(order.remaining, PLACES),
            "oid": order.order_id,
        }
        for order in half.orders()
    ]


def _book_row(book: Instrument) -> dict[str, Any]:
    percent = {
        "maker": plain(mul(book.maker_fee, HUNDRED), 3),
        "taker": plain(mul(book.taker_fee, HUNDRED), 3),
    }
    first = {"volume": "1500000", "maker": plain(book.maker_fee, 5), "taker": plain(book.taker_fee, 5)}
    second = {"volume": "2000000", "maker": "0.00550", "taker": "0.00700"}  # shown, never reached
    return {
        "book": book.name,
        "default_chart": "candle",
        "minimum_amount": plain(book.minimum_amount),
        "maximum_amount": plain(book.maximum_amount),
        "minimum_price": plain(book.minimum_price),
        "maximum_price": plain(book.maximum_price),
        "minimum_value": plain(book.minimum_value),
        "maximum_value": plain(book.maximum_value),
        "tick_size": plain(book.tick),
        "margin_enabled": False,
        "fees": {"flat_rate": percent, "structure": [first, second]},
    }


def _fee_row(book: Instrument) -> dict[str, str]:
    maker, taker = plain(book.maker_fee, PLACES), plain(book.taker_fee, PLACES)
    maker_percent, taker_percent = (plain(mul(fee, HUNDRED), 4) for fee in (book.maker_fee, book.taker_fee))
    return {
        "book": book.name,
        "maker_fee_decimal": maker,
        "maker_fee_percent": maker_percent,
        "taker_fee_decimal": taker,
        "taker_fee_percent": taker_percent,
        "fee_decimal": maker,
        "fee_percent": maker_percent,
    }
