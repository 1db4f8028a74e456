"""What the simulated Bitso tells everybody: books, currencies, order book, trades, ticker."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from orderbridge.simulator.basics import PLACES, ZERO, add, mul, plain, ratio, sub
from orderbridge.simulator.bitso.books import FIAT, NAMES, PRECISION
from orderbridge.simulator.bitso.call import Call, whole_number
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.bitso.views import when
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import Half, Instrument, PublicTrade, SimMarket
from orderbridge.simulator.settings import BitsoSettings

HUNDRED = Decimal(100)
LEVELS = 50
TRADES_PAGE = 25
MOST_TRADES = 100
DAY = timedelta(days=1)


class Public:
    """The calls that need no key."""

    def __init__(self, engine: Engine, settings: BitsoSettings) -> None:
        self._engine = engine
        self._settings = settings

    def available_books(self, call: Call) -> list[dict[str, Any]]:
        """`GET available_books`: bounds, tick and fees."""
        return [_book_row(each) for each in self._engine.instruments.values()]

    def catalogues(self, call: Call) -> dict[str, Any]:
        """`GET catalogues`: the currencies and their decimals; ccxt places no order without it."""
        metadata = [
            {
                "code": code,
                "full_name": NAMES[code],
                "precision": precision,
                "display_ticker": code.upper(),
                "type": "fiat" if code in FIAT else "crypto",
            }
            for code, precision in PRECISION.items()
        ]
        return {"currencies": {"metadata": metadata}}

    def order_book(self, call: Call) -> dict[str, Any]:
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

    def trades(self, call: Call) -> list[dict[str, Any]]:
        """`GET trades`: public trades, paged like the account's own."""
        market = self._market(call)
        sort = call.parameters.get("sort", "desc")
        if sort not in ("asc", "desc"):
            raise BitsoRefusal("0320", about="sort")
        limit = whole_number(call, "limit", default=TRADES_PAGE, most=MOST_TRADES)
        marker = whole_number(call, "marker", default=0, most=10**18)
        rising = sort == "asc"
        ordered = market.trades if rising else reversed(market.trades)
        page = (
            self._trade_row(market, trade)
            for trade in ordered
            if not marker or (trade.trade_id > marker if rising else trade.trade_id < marker)
        )
        return list(islice(page, limit))

    def _trade_row(self, market: SimMarket, trade: PublicTrade) -> dict[str, Any]:
        return {
            "book": market.instrument.name,
            "created_at": when(trade.created_at, self._settings),
            "amount": plain(trade.quantity, PLACES),
            "maker_side": trade.maker_side,
            "price": plain(trade.price, 2),
            "tid": trade.trade_id,
        }

    def ticker(self, call: Call) -> Any:
        """`GET ticker`: one book's last day, or every book's without `book`."""
        if "book" in call.parameters:
            return self._ticker_row(self._market(call), call)
        return [self._ticker_row(self._engine.market(name), call) for name in self._engine.instruments]

    def _ticker_row(self, market: SimMarket, call: Call) -> dict[str, str]:
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

    def _market(self, call: Call) -> SimMarket:
        name = call.parameters.get("book")
        if name is None:
            raise BitsoRefusal("0303", about="book")
        if name not in self._engine.instruments:
            raise BitsoRefusal("0301")
        return self._engine.market(name)


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
