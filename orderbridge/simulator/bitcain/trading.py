"""
One order by its UUID, the list and the history; creating, updating, cancelling and retrying on the simulated Bitcain.

A rule beyond types that is broken is answered with 400 and a text. None of these rules is documented. trailing_stop,
iceberg and oco are refused, since no documented field can express them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Final

from orderbridge.simulator.basics import ZERO, is_reasonable
from orderbridge.simulator.bitcain import mapping
from orderbridge.simulator.bitcain.mapping import BitcainRefusal, CreateBody, CreateQuery, Row
from orderbridge.simulator.engine.engine import MatchingEngine
from orderbridge.simulator.engine.order import SimOrder, State
from orderbridge.simulator.settings import BitcainSettings
from orderbridge.simulator.venue import SimCall

MODES: Final = ("paper", "live")
CURSOR = "after-"
_INEXPRESSIBLE: Final = frozenset({"trailing_stop", "iceberg", "oco"})
_PRICED: Final = frozenset({"limit", "stop_limit"})
_STOPPED: Final = frozenset({"stop_loss", "take_profit", "stop_limit"})


class BitcainOrders:
    """
    The calls on orders. Paper and live orders are listed together: no filter for them is documented.
    """

    def __init__(
        self, engines: Mapping[str, MatchingEngine], settings: BitcainSettings, new_id: Callable[[], str]
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._new_id = new_id

    # What changes nothing.

    def get(self, call: SimCall) -> Row:
        """One order."""
        _, order = self._find(call)
        return mapping.single(self._rows([order], call)[0], "Order found", self._settings)

    def _find(self, call: SimCall) -> tuple[MatchingEngine, SimOrder]:
        """The order and the engine that has it; 404 for another account's order as well."""
        for engine in self._engines.values():
            for order in engine.ledger.of_id(call.account, call.rest[0]):
                if order.shown(call.now):
                    return engine, order
        raise BitcainRefusal(404, "Order not found")

    def list_orders(self, call: SimCall) -> Row:
        """The list: newest first, dates as exclusive bounds."""
        query: mapping.ListQuery = call.query
        portfolio = None if query.portfolio_id is None else str(query.portfolio_id)
        orders = [
            order
            for order in self._newest(call, query.order_status)
            if (portfolio is None or order.facts.get("portfolio_id") == portfolio)
            and (query.symbol is None or order.symbol == query.symbol)
            and (query.start_date is None or order.created_at > query.start_date)
            and (query.end_date is None or order.created_at < query.end_date)
        ]
        begin = query.offset if query.cursor is None else _after(orders, query.cursor)
        page = orders[begin : begin + query.limit]
        return mapping.many(self._rows(page, call), self._paging(query, orders, begin, page), self._settings)

    def history(self, call: SimCall) -> Row:
        """Orders that have ended: newest first, dates as inclusive bounds, no paging."""
        query: mapping.HistoryQuery = call.query
        orders = [
            order
            for order in self._newest(call, query.order_status)
            if order.state in mapping.FINAL
            and (query.start_date is None or order.created_at >= query.start_date)
            and (query.end_date is None or order.created_at <= query.end_date)
        ]
        paging: Row = {}
        if self._settings.paging != "neither":
            paging = {"total": len(orders), "limit": query.limit, "has_more": len(orders) > query.limit}
        return mapping.many(self._rows(orders[: query.limit], call), paging, self._settings)

    def _newest(self, call: SimCall, word: str | None) -> Iterable[SimOrder]:
        """The account's orders, those with this status word only if one is given."""
        orders = chain.from_iterable(engine.ledger.of_account(call.account) for engine in self._engines.values())
        shown = (
            order
            for order in orders
            if order.shown(call.now) and (word is None or word == order.raw.get("status", self._status(order)))
        )
        return sorted(shown, key=lambda order: (order.created_at, order.order_id), reverse=True)

    def _status(self, order: SimOrder) -> str:
        return mapping.spelled(mapping.status_of(order), self._settings)

    def _paging(self, query: mapping.ListQuery, orders: list[SimOrder], begin: int, page: list[SimOrder]) -> Row:
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

    def _rows(self, orders: Iterable[SimOrder], call: SimCall) -> list[Row]:
        return call.disturbed([self._row(order) for order in orders], status=mapping.status_field(self._settings))

    def _row(self, order: SimOrder) -> Row:
        engine = self._engines[order.facts["trading_mode"]]
        return mapping.order_row(order, engine.instruments[order.market], self._settings)

    def _answer(self, order: SimOrder, message: str) -> Row:
        return mapping.single(self._row(order), message, self._settings)

    # What changes orders.

    def create(self, call: SimCall) -> Row:
        """A new order; a business rule that it breaks is a 400 and no order."""
        order = _order_from(call, self._new_id())
        engine = self._engines[call.query.trading_mode]
        twin = self._twin(engine, order)
        if twin is not None:
            return self._answer(twin, "Order exists")
        _check_post_only(engine, order)
        call.delay_sight(order)
        self._route(engine, order)
        call.status = self._settings.create_status
        return self._answer(order, "Order created")

    def _twin(self, engine: MatchingEngine, order: SimOrder) -> SimOrder | None:
        """An order with the same client id, by the switch `duplicate_client_order_id`."""
        if order.client_order_id is None or self._settings.duplicate_client_order_id == "allowed":
            return None
        earlier = engine.ledger.of_client(order.account, order.client_order_id)
        if earlier and self._settings.duplicate_client_order_id == "409":
            raise BitcainRefusal(409, "An order with this client_order_id exists")
        return earlier[0] if earlier else None

    def _route(self, engine: MatchingEngine, order: SimOrder) -> None:
        """Send the order on to its exchange, which may work, fail, or refuse."""
        if self._settings.routing == "works":
            engine.place(order)
            return
        failed = self._settings.routing == "fails"
        order.state = State.FAILED if failed else State.REJECTED
        order.reason = "exchange is not reachable" if failed else "rejected by the exchange"
        order.ended_at = order.updated_at = order.created_at
        engine.put(order)

    def cancel(self, call: SimCall) -> Row:
        """The cancelled order, or an acknowledgement by the switch `cancel_answer`."""
        engine, order = self._find(call)
        call.fill_first(engine, order)
        _check_active(order, "cancelled")
        if self._settings.cancel_answer == "still_open":
            engine.end_later(order, State.CANCELLED, at=call.now + timedelta(seconds=self._settings.cancel_takes))
        else:
            engine.cancel(order)
        if self._settings.cancel_answer == "order":
            return self._answer(order, "Order cancelled")
        return {"success": True, "message": "Cancel requested", "order_id": order.order_id}

    def update(self, call: SimCall) -> Row:
        """
        The order after the change. An explicit null changes nothing; a status can only be set to cancelled; an
        order that is gtt no longer loses its `expires_at`, unless it is given another.
        """
        body: mapping.UpdateBody = call.body
        engine, order = self._find(call)
        call.fill_first(engine, order)
        _check_active(order, "updated")
        if body.status is not None and self._by_status(engine, order, body.status):
            return self._answer(order, "Order updated")
        endless = order.time_in_force == "gtt" and body.time_in_force not in (None, "gtt") and body.expires_at is None
        _check_update(engine, order, body, None if endless else body.expires_at or order.expires_at, call.now)
        engine.edit(
            order,
            quantity=body.quantity,
            price=body.price,
            stop_price=body.stop_price,
            time_in_force=body.time_in_force,
            expires_at=body.expires_at,
            endless=endless,
        )
        return self._answer(order, "Order updated")

    def _by_status(self, engine: MatchingEngine, order: SimOrder, word: str) -> bool:
        if word in ("cancelled", mapping.spelled("cancelled", self._settings)):
            return engine.cancel(order)
        if word not in (mapping.status_of(order), self._status(order)):
            raise _refuse("status can only be set to cancelled")
        return False

    def retry(self, call: SimCall) -> Row:
        """
        Start a failed order again: the same one, or by the switch `retry_answer` a new one with a new id.

        An order whose time is over by now is a 400. While routing works, the answer shows the order as its
        exchange took it (`open`, `filled` …): `pending` lasts for no time here, as
        it does for a new order.
        """
        engine, order = self._find(call)
        if order.state is not State.FAILED:
            raise BitcainRefusal(409, "Only failed orders can be retried")
        _check_expiry(order.time_in_force, order.expires_at, call.now)
        count = order.facts.get("retry_count", 0) + 1
        if self._settings.retry_answer == "new":
            fresh = self._copy(order, count, call.now)
            self._route(engine, fresh)
            return self._answer(fresh, "Order retried")
        if self._settings.routing == "works":
            engine.revive(order)
        order.facts["retry_count"] = count
        return self._answer(order, "Order retried")

    def _copy(self, order: SimOrder, count: int, now: datetime) -> SimOrder:
        return SimOrder(
            order_id=self._new_id(),
            account=order.account,
            market=order.market,
            side=order.side,
            type=order.type,
            created_at=now,
            client_order_id=order.client_order_id,
            quantity=order.quantity,
            price=order.price,
            stop_price=order.stop_price,
            trigger=order.trigger,
            time_in_force=order.time_in_force,
            post_only=order.post_only,
            expires_at=order.expires_at,
            facts=order.facts | {"retry_count": count},
        )


def _refuse(detail: str) -> BitcainRefusal:
    """A 400."""
    return BitcainRefusal(400, detail)


def _positive(name: str, value: Decimal | None) -> Decimal:
    """The amount, if it is one."""
    if value is None:
        raise _refuse(f"{name} is required for this order type")
    if value <= ZERO:
        raise _refuse(f"{name} must be greater than zero")
    if not is_reasonable(value):
        raise _refuse(f"{name} is out of range")
    return value


def _order_from(call: SimCall, order_id: str) -> SimOrder:
    """The order that a create call describes; nothing is placed yet."""
    body: CreateBody = call.body
    market = _market(body, call.query)
    quantity = _positive("quantity", body.quantity)
    if body.type in _INEXPRESSIBLE:
        raise _refuse(f"order type {body.type} is not supported")
    price = _positive("price", body.price) if body.type in _PRICED else None
    stop = _positive("stop_price", body.stop_price) if body.type in _STOPPED else None
    _check_expiry(body.time_in_force, body.expires_at, call.now)
    return SimOrder(
        order_id=order_id,
        account=call.account,
        market=market,
        side=body.side,
        type="market" if price is None else "limit",
        created_at=call.now,
        client_order_id=body.client_order_id,
        quantity=quantity,
        price=price,
        stop_price=stop,
        trigger=None if stop is None else _trigger(body),
        time_in_force=body.time_in_force,
        post_only=body.post_only,
        expires_at=body.expires_at,
        facts=_facts(body, call.query),
    )


def _market(body: CreateBody, query: CreateQuery) -> str:
    if query.trading_mode not in MODES:
        raise _refuse("trading_mode must be 'paper' or 'live'")
    if query.exchange not in mapping.EXCHANGES:
        raise _refuse(f"exchange {query.exchange} is not supported")
    name = mapping.name_of(query.exchange, body.symbol)
    if name not in mapping.MARKETS:
        raise _refuse(f"symbol {body.symbol} is not traded on {query.exchange}")
    return name


def _check_expiry(time_in_force: str, expires_at: datetime | None, now: datetime) -> None:
    """Good-till-time needs a time, and a time must lie ahead."""
    if time_in_force == "gtt" and expires_at is None:
        raise _refuse("expires_at is required for gtt")
    if expires_at is not None and expires_at <= now:
        raise _refuse("expires_at is in the past")


def _trigger(body: CreateBody) -> str:
    """A stop loss sells low and buys high; a take profit the other way round."""
    falling = (body.side == "sell") != (body.type == "take_profit")
    return "below" if falling else "above"


def _facts(body: CreateBody, query: CreateQuery) -> dict[str, object]:
    agent = body.agent_id or query.agent_id
    return {
        "type": body.type,
        "trading_mode": query.trading_mode,
        "portfolio_id": None if body.portfolio_id is None else str(body.portfolio_id),
        "reduce_only": body.reduce_only,
        # Which of the two places wins is not documented: here the body, unless it has the default.
        "source": query.source if body.source == "manual" else body.source,
        "agent_id": None if agent is None else str(agent),
        "retry_count": 0,
    }


def _check_active(order: SimOrder, doing: str) -> None:
    """409 for an order that has ended."""
    if not order.active:
        word = order.state.value
        raise BitcainRefusal(409, f"Order cannot be {doing}: it is {word}")


def _check_post_only(engine: MatchingEngine, order: SimOrder) -> None:
    crosses = engine.market(order.market).book.crosses(order.side, order.price)
    if order.post_only and order.stop_price is None and crosses:
        raise _refuse("post_only order would take liquidity")


def _check_update(
    engine: MatchingEngine, order: SimOrder, body: mapping.UpdateBody, expires_at: datetime | None, now: datetime
) -> None:
    if body.quantity is not None and _positive("quantity", body.quantity) < order.filled:
        raise _refuse("quantity is below what is filled already")
    if body.price is not None:
        if order.price is None:
            raise _refuse("this order has no price")
        _positive("price", body.price)
        _check_post_only(engine, replace(order, price=body.price))
    if body.stop_price is not None:
        _positive("stop_price", body.stop_price)
        if order.state is not State.WAITING:
            raise _refuse("this order does not wait for a stop_price")
    tif = body.time_in_force or order.time_in_force
    if body.time_in_force in ("ioc", "fok") and order.state is not State.WAITING:
        raise _refuse(f"{body.time_in_force} is not for an order that rests")
    _check_expiry(tif, expires_at, now)


def _after(orders: Iterable[SimOrder], cursor: str) -> int:
    for index, order in enumerate(orders):
        if cursor == f"{CURSOR}{order.order_id}":
            return index + 1
    raise BitcainRefusal(400, "Invalid cursor")
