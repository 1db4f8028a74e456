"""Look-up, open orders and the account's trades."""

from datetime import timedelta
from itertools import islice
from typing import Any

from orderbridge.simulator.bitso.books import PRECISION
from orderbridge.simulator.bitso.call import Call, disturb, named, shown, whole_number
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.bitso.views import order_row, trade_row
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.order import SimFill, SimOrder
from orderbridge.simulator.settings import BitsoSettings

MOST_OPEN_ORDERS = 500
TRADES_PAGE = 25
MOST_TRADES = 100


class Reads:
    """The calls that change nothing."""

    def __init__(self, engine: Engine, settings: BitsoSettings) -> None:
        self._engine = engine
        self._settings = settings

    def lookup(self, call: Call) -> list[dict[str, Any]]:
        """
        `GET orders…`: an array in every form. What is missing follows the settings `miss` and `mixed_miss`.
        """
        names = named(call)
        found: list[SimOrder] = []
        missed = False
        for each in names.ids:
            orders = [order for order in self.find(call, each, by_origin=names.by_origin) if self._visible(order, call)]
            found += orders
            missed = missed or not orders
        if missed and found and self._settings.mixed_miss == "refuse":
            raise BitsoRefusal("0312")
        code = self._settings.miss
        if code == "seen":
            code = "0312" if names.by_origin else "empty"
        if not found and code != "empty":
            raise BitsoRefusal(code if names.by_origin else "0312")
        return disturb([self._row(order, call) for order in found], call.fault)

    def find(self, call: Call, name: str, *, by_origin: bool) -> list[SimOrder]:
        """
        The account's orders with this name: one by oid, perhaps several by a re-used origin id, newest first.
        """
        if by_origin:
            return self._engine.ledger.of_client(call.account, name)[::-1]
        order = self._engine.ledger.orders.get(name)
        return [order] if order is not None and order.account == call.account else []

    def _visible(self, order: SimOrder, call: Call) -> bool:
        if not shown(order, call.now):
            return False
        if order.active:
            return True
        ended = order.ended_at or order.created_at
        return call.now - ended < timedelta(seconds=self._settings.visibility_window)

    def _row(self, order: SimOrder, call: Call) -> dict[str, Any]:
        return order_row(order, self._settings, now=call.now)

    def open_orders(self, call: Call) -> list[dict[str, Any]]:
        """`GET open_orders`: newest first, 500 at most, and no paging."""
        book, currency = call.parameters.get("book"), call.parameters.get("currency")
        if book is not None and book not in self._engine.instruments:
            raise BitsoRefusal("0301")
        if currency is not None and currency not in PRECISION:
            raise BitsoRefusal("0313")
        if call.parameters.get("source", "all") not in ("all", "alpha"):
            raise BitsoRefusal("0304", about="source")
        limit = whole_number(call, "limit", default=MOST_OPEN_ORDERS, most=MOST_OPEN_ORDERS)
        rows = (
            self._row(order, call)
            for order in self._engine.ledger.newest_active(call.account)
            if shown(order, call.now)
            and (book is None or order.market == book)
            and (currency is None or currency in order.market.split("_"))
            and (order.type == "limit" or self._settings.open_orders_types == "all")
        )
        return disturb(list(islice(rows, limit)), call.fault)

    def order_trades(self, call: Call) -> list[dict[str, Any]]:
        """
        `GET order_trades/{oid}` or `?origin_id=`: by origin id, the trades of every order that ever used it.
        """
        names = named(call)
        orders = [
            order
            for each in names.ids
            for order in self.find(call, each, by_origin=names.by_origin)
            if _known(order, call)
        ]
        if not orders:
            raise BitsoRefusal("0357" if names.by_origin else "0312")
        fills = sorted((fill for order in orders for fill in order.fills), key=lambda fill: -fill.trade_id)
        ready = self._ready(fills, call)
        if fills and not ready:
            raise BitsoRefusal("0377")
        if not fills and self._settings.no_trades != "empty":
            raise BitsoRefusal("0378")
        return disturb([trade_row(fill, self._settings) for fill in ready], call.fault)

    def _ready(self, fills: list[SimFill], call: Call) -> list[SimFill]:
        lag = timedelta(seconds=self._settings.trade_lag)
        return [fill for fill in fills if call.now - fill.created_at >= lag] if lag else fills

    def user_trades(self, call: Call) -> list[dict[str, Any]]:
        """`GET user_trades`: pages by `marker`, the tid after which the page begins, itself excluded."""
        fills = [fill for fill in self._engine.ledger.fills.get(call.account, []) if _known(fill.order, call)]
        fills = self._ready(fills, call)
        if call.rest:
            return disturb(self._trades_by_id(call, fills), call.fault)
        book, sort = call.parameters.get("book"), call.parameters.get("sort", "desc")
        if book is not None and book not in self._engine.instruments:
            raise BitsoRefusal("0301")
        if sort not in ("asc", "desc"):
            raise BitsoRefusal("0320", about="sort")
        marker = whole_number(call, "marker", default=0, most=10**18)
        limit = whole_number(call, "limit", default=TRADES_PAGE, most=MOST_TRADES)
        rising = sort == "asc"
        ordered = sorted(fills, key=lambda fill: fill.trade_id, reverse=not rising)
        page = (
            trade_row(fill, self._settings)
            for fill in ordered
            if (book is None or fill.order.market == book)
            and (not marker or (fill.trade_id > marker if rising else fill.trade_id < marker))
        )
        return disturb(list(islice(page, limit)), call.fault)

    def _trades_by_id(self, call: Call, fills: list[SimFill]) -> list[dict[str, Any]]:
        if len(call.rest) > 1:
            raise BitsoRefusal("0322", status=404)
        wanted = set(call.rest[0].split("-"))
        rows = [trade_row(fill, self._settings) for fill in reversed(fills) if str(fill.trade_id) in wanted]
        if not rows:
            raise BitsoRefusal("0321")
        return rows


def _known(order: SimOrder, call: Call) -> bool:
    """Whether an order that becomes visible late may be spoken of; trades of an order hidden by a test may be."""
    return order.shown_from is None or order.shown_from <= call.now
