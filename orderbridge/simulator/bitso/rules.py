"""
What Bitso checks of a new order, in the order that the facts page assumes.

book → side → type → time in force → amounts → positive → price and tick → bounds → stop → origin id → trading
switches → open-order cap. Funds come last and are the engine's. Assumed besides: more decimals than the
currency has is `0407`; a stop must lie within the book's price bounds, and one that is reached already
triggers at once; a time in force on a market order is checked and otherwise ignored; value bounds of a market
order are tested only against `minor`.
"""

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from orderbridge.simulator.basics import ZERO, floor_to, mul
from orderbridge.simulator.bitso.body import amount, word
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.bitso.views import TIME_IN_FORCE
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.settings import BitsoSettings

FIELDS: Final = frozenset(
    {
        "book",
        "side",
        "type",
        "major",
        "minor",
        "price",
        "stop",
        "time_in_force",
        "origin_id",
        "slippage_tolerance",
    }
)
_ORIGIN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MOST_SLIPPAGE: Final = Decimal(100)


class Rules:
    """Turns a request body into an order, or refuses it with the code of the first rule that it breaks."""

    def __init__(self, engine: Engine, settings: BitsoSettings, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._settings = settings
        self._new_id = new_id

    def order_from(self, body: dict[str, Any], *, account: str, now: datetime) -> SimOrder:
        """The order that the body describes; nothing is placed yet."""
        if self._settings.unknown_fields == "refused" and body.keys() - FIELDS:
            raise BitsoRefusal("0304", about=", ".join(sorted(body.keys() - FIELDS)))
        market = self._market(body)
        side, type_ = (
            _choice(body, "side", ("buy", "sell"), "0306"),
            _choice(body, "type", ("market", "limit"), "0307"),
        )
        time_in_force, post_only = self._time_in_force(body) if type_ == "limit" else self._ignored(body)
        major, minor = _sizes(body, type_)
        check_positive(major, minor)
        price = self._price(body, market, type_)
        check_bounds(market, major=major, minor=minor, price=price)
        stop = amount(body, "stop")
        check_stop(market, stop)
        slippage = self._slippage(body)
        origin_id = self._origin_id(body, account)
        self._check_switches(market, type_, account)
        return SimOrder(
            order_id=self._new_id(),
            account=account,
            market=market.name,
            side=side,
            type=type_,
            created_at=now,
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

    def _market(self, body: dict[str, Any]) -> Instrument:
        name = word(body, "book")
        if name is None:
            raise BitsoRefusal("0303", about="book")
        if name not in self._engine.instruments:
            raise BitsoRefusal("0301")
        return self._engine.instruments[name]

    def _time_in_force(self, body: dict[str, Any]) -> tuple[str, bool]:
        name = word(body, "time_in_force") or "goodtillcancelled"
        if name not in TIME_IN_FORCE:
            raise BitsoRefusal(self._settings.bad_time_in_force)
        return TIME_IN_FORCE[name]

    def _ignored(self, body: dict[str, Any]) -> tuple[str, bool]:
        self._time_in_force(body)
        return "ioc", False

    def _price(self, body: dict[str, Any], market: Instrument, type_: str) -> Decimal | None:
        price = amount(body, "price")
        if type_ == "market":
            if price is not None and self._settings.market_price == "refused":
                raise BitsoRefusal("0304", about="price")
            return None
        check_tick(market, price)
        return price

    def _slippage(self, body: dict[str, Any]) -> Decimal | None:
        slippage = amount(body, "slippage_tolerance")
        if slippage is not None and not ZERO <= slippage <= _MOST_SLIPPAGE:
            raise BitsoRefusal("0304", about="slippage_tolerance")
        return slippage

    def _origin_id(self, body: dict[str, Any], account: str) -> str | None:
        origin_id = word(body, "origin_id")
        if origin_id is None:
            return None
        if _ORIGIN_ID.fullmatch(origin_id) is None:
            raise BitsoRefusal("0304", about="origin_id")
        ever = self._settings.origin_id_unique == "ever"
        if any(ever or order.active for order in self._engine.ledger.of_client(account, origin_id)):
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


def check_positive(*sizes: Decimal | None) -> None:
    """No size at or below zero."""
    if any(size is not None and size <= ZERO for size in sizes):
        raise BitsoRefusal("0408")


def check_tick(market: Instrument, price: Decimal | None) -> None:
    """A limit price must be there, and on the tick."""
    if price is None or price <= ZERO or floor_to(price, market.tick) != price:
        raise BitsoRefusal("0407")


def check_bounds(market: Instrument, *, major: Decimal | None, minor: Decimal | None, price: Decimal | None) -> None:
    """The book's bounds on price, amount and value, and the currencies' decimals."""
    if major is not None and floor_to(major, market.step) != major:
        raise BitsoRefusal("0407", about="major")
    if minor is not None and floor_to(minor, Decimal(1).scaleb(-market.quote_places)) != minor:
        raise BitsoRefusal("0407", about="minor")
    value = mul(major, price) if major is not None and price is not None else minor
    for found, least, most, codes in (
        (price, market.minimum_price, market.maximum_price, ("0401", "0402")),
        (major, market.minimum_amount, market.maximum_amount, ("0403", "0404")),
        (value, market.minimum_value, market.maximum_value, ("0405", "0406")),
    ):
        if found is not None and found < least:
            raise BitsoRefusal(codes[0])
        if found is not None and found > most:
            raise BitsoRefusal(codes[1])


def check_stop(market: Instrument, stop: Decimal | None) -> None:
    """A stop within the price bounds, and on the tick."""
    if stop is None:
        return
    if stop < market.minimum_price:
        raise BitsoRefusal("0412")
    if stop > market.maximum_price:
        raise BitsoRefusal("0413")
    check_tick(market, stop)
