"""One order by its UUID, the list and the history."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import chain
from typing import Any

from orderbridge.simulator.bitcain.envelope import many, single
from orderbridge.simulator.bitcain.errors import BitcainRefusal, enum_fault
from orderbridge.simulator.bitcain.validation import HistoryQuery, ListQuery
from orderbridge.simulator.bitcain.views import FINAL, STATUSES, order_row, spelled, status_of
from orderbridge.simulator.engine.engine import Engine
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.settings import BitcainSettings

CURSOR = "after-"


class Reads:
    """
    The calls that change nothing. Paper and live orders are listed together: no filter for them is
    documented.
    """

    def __init__(self, engines: dict[str, Engine], settings: BitcainSettings, now: Callable[[], datetime]) -> None:
        self._engines = engines
        self._settings = settings
        self._now = now

    def find(self, account: str, order_id: str) -> tuple[Engine, SimOrder]:
        """The order and the engine that has it; 404 for another account's order as well."""
        for engine in self._engines.values():
            order = engine.ledger.orders.get(order_id)
            if order is not None and order.account == account and self._shown(order):
                return engine, order
        raise BitcainRefusal(404, "Order not found")

    def get(self, account: str, order_id: str, fault: Fault | None) -> dict[str, Any]:
        """One order."""
        _, order = self.find(account, order_id)
        return single(self._rows([order], fault)[0], "Order found", self._settings)

    def list_orders(self, account: str, query: ListQuery, fault: Fault | None) -> dict[str, Any]:
        """The list: newest first, dates as exclusive bounds."""
        portfolio = None if query.portfolio_id is None else str(query.portfolio_id)
        orders = [
            order
            for order in self._newest(account)
            if (portfolio is None or order.facts.get("portfolio_id") == portfolio)
            and (query.symbol is None or order.symbol == query.symbol)
            and (query.start_date is None or order.created_at > query.start_date)
            and (query.end_date is None or order.created_at < query.end_date)
            and self._has_status(order, query.order_status)
        ]
        begin = query.offset if query.cursor is None else _after(orders, query.cursor)
        page = orders[begin : begin + query.limit]
        return many(self._rows(page, fault), self._paging(query, orders, begin, page), self._settings)

    def history(self, account: str, query: HistoryQuery, fault: Fault | None) -> dict[str, Any]:
        """Orders that have ended: newest first, dates as inclusive bounds, no paging."""
        orders = [
            order
            for order in self._newest(account)
            if order.state in FINAL
            and (query.start_date is None or order.created_at >= query.start_date)
            and (query.end_date is None or order.created_at <= query.end_date)
            and self._has_status(order, query.order_status)
        ]
        paging: dict[str, Any] = {}
        if self._settings.paging != "neither":
            paging = {"total": len(orders), "limit": query.limit, "has_more": len(orders) > query.limit}
        return many(self._rows(orders[: query.limit], fault), paging, self._settings)

    def _newest(self, account: str) -> Iterable[SimOrder]:
        orders = chain.from_iterable(engine.ledger.of_account(account) for engine in self._engines.values())
        shown = (order for order in orders if self._shown(order))
        return sorted(shown, key=lambda order: (order.created_at, order.order_id), reverse=True)

    def _shown(self, order: SimOrder) -> bool:
        return not order.hidden and (order.shown_from is None or order.shown_from <= self._now())

    def status_faults(self, word: str | None) -> list[dict[str, Any]]:
        """What is wrong with a status to look for, if the switch has it checked."""
        if word is None or self._settings.order_status_type == "text" or word in self._words():
            return []
        return [enum_fault(("query", "order_status"), self._words(), word)]

    def _words(self) -> list[str]:
        return list(dict.fromkeys(spelled(word, self._settings) for word in STATUSES))

    def _has_status(self, order: SimOrder, word: str | None) -> bool:
        return word is None or word == order.raw.get("status", spelled(status_of(order), self._settings))

    def _paging(self, query: ListQuery, orders: list[SimOrder], begin: int, page: list[SimOrder]) -> dict[str, Any]:
        more = begin + len(page) < len(orders)
        match self._settings.paging:
            case "neither":
                return {}
            case "cursor":
                cursor = f"{CURSOR}{page[-1].order_id}" if page and more else None
                return {"limit": query.limit, "has_more": more, "next_cursor": cursor}
        return {
            "total": len(orders),
            "limit": query.limit,
            "offset": begin,
            "has_more": more,
            "next_cursor": None,
        }

    def _rows(self, orders: Iterable[SimOrder], fault: Fault | None) -> list[dict[str, Any]]:
        rows = [self.row(order) for order in orders]
        if fault is not None and fault.kind == "duplicate_rows":
            rows += rows[:1]
        if fault is not None and fault.kind == "unknown_word":
            name = "order_status" if self._settings.names == "variants" else "status"
            rows = [{**row, name: fault.word} for row in rows]
        return rows

    def row(self, order: SimOrder) -> dict[str, Any]:
        """One order as this server writes it."""
        engine = self._engines[order.facts["trading_mode"]]
        return order_row(order, engine.instruments[order.market], self._settings)


def _after(orders: Iterable[SimOrder], cursor: str) -> int:
    for index, order in enumerate(orders):
        if cursor == f"{CURSOR}{order.order_id}":
            return index + 1
    raise BitcainRefusal(400, "Invalid cursor")
