"""
Bitso's words: its books and currencies, its error codes, the fields of bodies, and the rows of its answers.

The books' bounds are as ccxt's static markets and the documents give them.
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final, NoReturn

from orderbridge.simulator.basics import PLACES, ZERO, add, is_reasonable, mul, plain, ratio, sub, value_of
from orderbridge.simulator.engine.engine import MatchingEngine
from orderbridge.simulator.engine.market import Bounds, Half, Instrument, PublicTrade, SimMarket
from orderbridge.simulator.engine.money import Balance
from orderbridge.simulator.engine.order import SimFill, SimOrder, State
from orderbridge.simulator.message import Request
from orderbridge.simulator.settings import BitsoSettings
from orderbridge.simulator.venue import SimRefusal

DEPTH = 2_000
LEVELS = 50
HUNDRED = Decimal(100)
# The first tier as seen in production in 2026.
MAKER_FEE, TAKER_FEE = Decimal("0.006"), Decimal("0.0078")


def _book(
    name: str,
    reference: str,
    tick: str,
    amounts: tuple[str, str],
    prices: tuple[str, str],
    values: tuple[str, str],
) -> Instrument:
    base, quote = name.split("_")
    return Instrument(
        name=name,
        base=base,
        quote=quote,
        reference=Decimal(reference),
        tick=Decimal(tick),
        step=Decimal(1).scaleb(-CURRENCIES[base][0]),
        maker_fee=MAKER_FEE,
        taker_fee=TAKER_FEE,
        depth=Decimal(values[0]) * DEPTH,
        quote_places=CURRENCIES[quote][0],
        amounts=_bounds(*amounts),
        prices=_bounds(*prices),
        values=_bounds(*values),
    )


def _bounds(least: str, most: str) -> Bounds:
    return Decimal(least), Decimal(most)


# Of a currency its decimals, name and kind, as `catalogues` tells them.
CURRENCIES: Final = {
    "btc": (8, "Bitcoin", "crypto"),
    "eth": (8, "Ether", "crypto"),
    "ltc": (8, "Litecoin", "crypto"),
    "xrp": (6, "XRP", "crypto"),
    "ada": (6, "Cardano", "crypto"),
    "mxn": (2, "Mexican Peso", "fiat"),
    "usd": (2, "US Dollar", "fiat"),
    "usdt": (2, "Tether", "crypto"),
    "eur": (2, "Euro", "fiat"),
    "brl": (2, "Brazilian Real", "fiat"),
}
_MXN, _USD = ("10", "200000000"), ("0.5", "10000000")

BOOKS = {
    each.name: each
    for each in (
        _book("btc_mxn", "1200000", "10", ("0.00001", "600"), ("100000", "40000000"), _MXN),
        _book("eth_mxn", "42000", "1", ("0.00001", "8000"), ("1000", "1000000"), _MXN),
        _book("xrp_mxn", "11.5", "0.01", ("0.1", "20000000"), ("0.5", "500"), _MXN),
        _book("ltc_mxn", "1600", "0.1", ("0.0001", "100000"), ("50", "50000"), _MXN),
        _book("usdt_mxn", "18.5", "0.01", ("0.5", "10000000"), ("5", "100"), _MXN),
        _book("btc_usd", "65000", "1", ("0.0000006", "600"), ("800", "300000"), _USD),
        _book("eth_usd", "2300", "0.1", ("0.000008", "8000"), ("60", "20000"), _USD),
        _book("ltc_usd", "85", "0.001", ("0.0001", "100000"), ("3", "1000"), _USD),
        _book("btc_usdt", "65000", "1", ("0.0000006", "600"), ("800", "300000"), _USD),
        _book("xrp_usdt", "0.62", "0.00001", ("0.02", "20000000"), ("0.03", "10"), _USD),
    )
}

# Source: Bitso API v3, error pages; the texts are ours. Callers are to branch on the code.
MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "0101": ("Unknown error", "Error desconocido"),
    "0201": ("Invalid Nonce or Invalid Credentials", "Nonce o credenciales inválidas"),
    "0206": ("Invalid nonce type", "Tipo de nonce inválido"),
    "0207": ("Nonce is not valid", "Nonce no válido"),
    "0208": ("Authentication is required", "Se requiere autenticación"),
    "0215": ("Invalid Nonce or Invalid Credentials", "Nonce o credenciales inválidas"),
    "0301": ("Unknown order book", "Libro desconocido"),
    "0302": ("Invalid time in force", "Vigencia inválida"),
    "0303": ("A required field is missing", "Falta un campo requerido"),
    "0304": ("A field is not valid", "Un campo no es válido"),
    "0306": ("Invalid side", "Lado inválido"),
    "0307": ("Invalid order type", "Tipo de orden inválido"),
    "0308": ("Give either major or minor, not both", "Indique major o minor, no ambos"),
    "0309": ("Give either major or minor", "Indique major o minor"),
    "0312": ("Invalid order id", "Identificador de orden inválido"),
    "0313": ("Unknown currency", "Moneda desconocida"),
    "0320": ("Invalid paging parameters", "Paginación inválida"),
    "0321": ("Unknown trade id", "Operación desconocida"),
    "0322": ("Unknown URL", "URL desconocida"),
    "0356": ("Duplicate origin id", "origin_id duplicado"),
    "0357": ("Unknown origin id", "origin_id desconocido"),
    "0360": ("One of the identifying fields is needed", "Se requiere un identificador"),
    "0361": ("Only one of the identifying fields is allowed", "Solo se permite un identificador"),
    "0372": ("A value has the wrong type", "Un valor tiene el tipo incorrecto"),
    "0377": ("Order was matched, trades are still processing", "Operaciones en proceso"),
    "0378": ("Order has not been matched yet", "La orden aún no tiene operaciones"),
    "0379": ("Balance is too low", "Saldo insuficiente"),
    "0401": ("Price is too low", "Precio demasiado bajo"),
    "0402": ("Price is too high", "Precio demasiado alto"),
    "0403": ("Amount is too small", "Monto demasiado pequeño"),
    "0404": ("Amount is too large", "Monto demasiado grande"),
    "0405": ("Value is too small", "Valor demasiado pequeño"),
    "0406": ("Value is too large", "Valor demasiado grande"),
    "0407": ("Invalid precision", "Precisión inválida"),
    "0408": ("Amount must be greater than zero", "El monto debe ser mayor que cero"),
    "0410": ("Trading is not enabled", "Libro sin operaciones"),
    "0411": ("Market orders are not enabled", "Órdenes de mercado deshabilitadas"),
    "0412": ("Stop is too low", "Stop demasiado bajo"),
    "0413": ("Stop is too high", "Stop demasiado alto"),
    "0801": ("Rate limit exceeded", "Límite de peticiones excedido"),
    "0901": ("HTTP method is not supported", "Método HTTP no soportado"),
    "1002": ("Unable to process the order", "No se pudo procesar la orden"),
    "1001": ("Too many open orders", "Demasiadas órdenes abiertas"),
    "1005": ("Invalid operation", "Operación inválida"),
    "1008": ("Trading is disabled", "Operaciones deshabilitadas"),
}

_STATUS: Final[Mapping[str, int]] = {"01": 500, "02": 401, "08": 420, "11": 500, "14": 404}


class BitsoRefusal(SimRefusal):
    """The request is refused with this code. `status` overrides the one of the code's category."""

    def __init__(self, code: str, *, about: str = "", status: int | None = None) -> None:
        super().__init__(code, about)
        self.code = code
        self.about = about
        self.status = status or _STATUS.get(code[:2], 400)


def error_body(code: str, *, about: str = "", language: str = "en", style: str = "new") -> dict[str, Any]:
    """The documented envelope; the newer style adds two fields, the oldest had a number as code."""
    message = MESSAGES[code][language == "es"]
    error: dict[str, Any] = {"code": code, "message": f"{message}: {about}" if about else message}
    if style == "new":
        error |= {"details": [], "errorData": None}
    if style == "number":
        error["code"] = int(code)
    return {"success": False, "error": error}


def book_named(engine: MatchingEngine, name: str | None) -> Instrument:
    """The book, or a refusal for none and for one that there is not."""
    if name is None:
        raise BitsoRefusal("0303", about="book")
    if name not in engine.instruments:
        raise BitsoRefusal("0301")
    return engine.instruments[name]


_PLAIN_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
MOST_CHARACTERS = 60


def read_body(request: Request) -> dict[str, Any]:
    """
    The body's fields.

    Raises:
        BitsoRefusal: `0303` for no body, `0304` for anything but a JSON object (our reading of the code
        texts).
    """
    if not request.body.strip():
        raise BitsoRefusal("0303", about="body")
    try:
        body = json.loads(request.body, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    except (ValueError, RecursionError, InvalidOperation) as e:
        raise BitsoRefusal("0304", about="body is not JSON") from e
    if not isinstance(body, dict):
        raise BitsoRefusal("0304", about="body is not an object")
    return body


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def word(body: dict[str, Any], name: str) -> str | None:
    """A text field; null counts as absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BitsoRefusal("0372", about=name)
    return value


def amount(body: dict[str, Any], name: str) -> Decimal | None:
    """A number, as text without exponent or as a JSON number; null counts as absent."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS or _PLAIN_NUMBER.fullmatch(value) is None:
            raise BitsoRefusal("0304", about=name)
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise BitsoRefusal("0372", about=name)
    if not is_reasonable(value):
        raise BitsoRefusal("0304", about=name)
    return value


TIME_IN_FORCE: Final = {
    "goodtillcancelled": ("gtc", False),
    "fillorkill": ("fok", False),
    "immediateorcancel": ("ioc", False),
    "postonly": ("gtc", True),
}
TIME_IN_FORCE_WORD: Final = {value: word for word, value in TIME_IN_FORCE.items()}


def order_row(order: SimOrder, settings: BitsoSettings, *, now: datetime, places: int = 2) -> dict[str, Any]:
    """
    One row of look-up and open orders. Fields that do not apply to the order are left out, as documented.
    """
    row: dict[str, Any] = {"book": order.market, "oid": order.order_id}
    if order.client_order_id is not None:
        row["origin_id"] = order.client_order_id
    row |= {"side": order.side, "type": order.type, "status": status_word(order, settings, now)}
    if order.price is not None:
        row["price"] = plain(order.price, places)
    elif settings.market_price_null:
        row["price"] = None
    row["original_amount"] = None if order.quantity is None else plain(order.quantity, PLACES)
    row["unfilled_amount"] = _unfilled(order, settings)
    row["original_value"] = _value(order, places)
    if order.type == "limit":
        row["time_in_force"] = TIME_IN_FORCE_WORD.get((order.time_in_force, order.post_only), "goodtillcancelled")
    if order.stop_price is not None:
        row["stop"] = plain(order.stop_price, places)
    if order.triggered_at is not None:
        row["triggered_at"] = when(order.triggered_at, settings)
    row["created_at"] = when(order.created_at, settings)
    row["updated_at"] = when(order.updated_at or order.created_at, settings)
    return order.laid_over(row)


def status_word(order: SimOrder, settings: BitsoSettings, now: datetime) -> str:
    """The documented word, in the spelling that the settings ask for."""
    if order.state is State.WAITING:
        word = "queued"
    elif order.state is State.OPEN:
        word = "partially filled" if order.filled else "open"
        young = settings.queued_for and now - order.created_at < timedelta(seconds=settings.queued_for)
        if word == "open" and (young or order.facts.get("queued")):
            word = "queued"
    else:
        word = "completed" if order.state is State.FILLED else "cancelled"
    if settings.status_spelling == "old" and word == "partially filled":
        return "partial-fill"
    return word.upper() if settings.status_spelling == "upper" else word


def _unfilled(order: SimOrder, settings: BitsoSettings) -> str | int | None:
    if order.quantity is None and order.state is not State.FILLED:
        return None
    if order.remaining == ZERO and settings.unfilled_zero_as_number:
        return 0
    return plain(order.remaining, PLACES)


def _value(order: SimOrder, places: int) -> str | None:
    if order.quote_quantity is not None:
        return plain(order.quote_quantity, places)
    if order.price is None or order.quantity is None:
        return None
    return plain(value_of(order.price, order.quantity), places)


def trade_row(fill: SimFill, settings: BitsoSettings, *, places: int = 2) -> dict[str, Any]:
    """One row of order trades and user trades: amounts signed from the account's view."""
    order = fill.order
    buys = order.side == "buy"
    other = "sell" if buys else "buy"
    base, _, quote = order.market.partition("_")
    value = value_of(fill.price, fill.quantity)
    row: dict[str, Any] = {
        "tid": fill.trade_id if settings.tid_as == "number" else str(fill.trade_id),
        "oid": order.order_id,
    }
    if order.client_order_id is not None:
        row["origin_id"] = order.client_order_id
    return row | {
        "book": order.market,
        "side": order.side,
        "maker_side": order.side if fill.maker else other,
        "price": plain(fill.price, places),
        "major": _signed(fill.quantity, negative=not buys),
        "minor": _signed(value, negative=buys),
        "major_currency": base,
        "minor_currency": quote,
        "fees_amount": _signed(fill.fee, negative=settings.fee_sign == "negative"),
        "fees_currency": fill.fee_currency,
        "created_at": when(fill.created_at, settings),
    }


def _signed(amount: Decimal, *, negative: bool) -> str:
    return ("-" if negative else "") + plain(amount, PLACES)


def when(moment: datetime, settings: BitsoSettings) -> str:
    """A time in the format that the settings ask for."""
    if settings.time_format == "millis":
        return moment.isoformat(timespec="milliseconds")
    text = moment.isoformat(timespec="seconds")
    return text[:-6] + "+0000" if settings.time_format == "compact" else text


def balance_row(currency: str, balance: Balance) -> dict[str, str]:
    """One row of the account's money."""
    nothing = plain(ZERO, PLACES)
    return {
        "currency": currency,
        "available": plain(balance.available, PLACES),
        "locked": plain(balance.locked, PLACES),
        "total": plain(balance.total, PLACES),
        "pending_deposit": nothing,
        "pending_withdrawal": nothing,
    }


def currency_row(code: str) -> dict[str, Any]:
    """One row of the catalogue of currencies."""
    places, name, kind = CURRENCIES[code]
    return {"code": code, "full_name": name, "precision": places, "display_ticker": code.upper(), "type": kind}


def public_trade_row(trade: PublicTrade, market: Instrument, settings: BitsoSettings) -> dict[str, Any]:
    """One row of the trades that everybody sees."""
    return {
        "book": market.name,
        "created_at": when(trade.created_at, settings),
        "amount": plain(trade.quantity, PLACES),
        "maker_side": trade.maker_side,
        "price": plain(trade.price, 2),
        "tid": trade.trade_id,
    }


def ticker_row(market: SimMarket, settings: BitsoSettings, *, now: datetime) -> dict[str, str]:
    """One book's last day."""
    day = [trade for trade in market.trades if trade.created_at > now - timedelta(days=1)]
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
        "created_at": when(now, settings),
    }


def best_levels(book: str, half: Half) -> list[dict[str, str]]:
    """One side of a book: its best 50 prices."""
    return [
        {"book": book, "price": plain(price, 2), "amount": plain(amount, PLACES)}
        for price, amount in islice(half.sizes(), LEVELS)
    ]


def every_order(book: str, half: Half) -> list[dict[str, str]]:
    """One side of a book, order by order."""
    return [
        {
            "book": book,
            "price": plain(order.price or ZERO, 2),
            "amount": plain(order.remaining, PLACES),
            "oid": order.order_id,
        }
        for order in half.orders()
    ]


def book_row(book: Instrument) -> dict[str, Any]:
    """One row of the available books: bounds, tick and fees."""
    percent = {
        "maker": plain(mul(book.maker_fee, HUNDRED), 3),
        "taker": plain(mul(book.taker_fee, HUNDRED), 3),
    }
    first = {"volume": "1500000", "maker": plain(book.maker_fee, 5), "taker": plain(book.taker_fee, 5)}
    second = {"volume": "2000000", "maker": "0.00550", "taker": "0.00700"}  # shown, never reached
    return {
        "book": book.name,
        "default_chart": "candle",
        "minimum_amount": plain(book.amounts[0]),
        "maximum_amount": plain(book.amounts[1]),
        "minimum_price": plain(book.prices[0]),
        "maximum_price": plain(book.prices[1]),
        "minimum_value": plain(book.values[0]),
        "maximum_value": plain(book.values[1]),
        "tick_size": plain(book.tick),
        "margin_enabled": False,
        "fees": {"flat_rate": percent, "structure": [first, second]},
    }


def fee_row(book: Instrument) -> dict[str, str]:
    """One row of the fees; the deprecated fields equal the maker's."""
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
