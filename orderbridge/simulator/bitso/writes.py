"""
Placing, cancelling, replacing and modifying on the simulated Bitso.

What the documents leave open, and how it is taken here: a replacement without `major` takes over the unfilled
rest; an order that cannot be changed is `1005`; both PATCH calls answer `{"oid": …}`; `cancel: "1"` of the v4
call cancels the order and still tells why it was not changed.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from orderbridge.simulator.basics import ZERO, floor_divide, mul
from orderbridge.simulator.bitso.body import amount, read_body
from orderbridge.simulator.bitso.call import Call, named
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.bitso.reads import Reads
from orderbridge.simulator.bitso.rules import Rules, check_bounds, check_positive, check_stop, check_tick
from orderbridge.simulator.engine.engine import Engine, NotEnough
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder, State
from orderbridge.simulator.settings import BitsoSettings

LATE = 2.0
_WIRE_TIME_IN_FORCE = {"gtc": "goodtillcancelled", "fok": "fillorkill", "ioc": "immediateorcancel"}


class Writes:
    """The calls that change orders."""

    def __init__(self, engine: Engine, settings: BitsoSettings, rules: Rules, reads: Reads) -> None:
        self._engine = engine
        self._settings = settings
        self._rules = rules
        self._reads = reads

    def place(self, call: Call) -> dict[str, str]:
        """`POST orders`: the answer is an oid and nothing else, whatever became of the order."""
        order = self._rules.order_from(read_body(call.request), account=call.account, now=call.now)
        if call.fault is not None and call.fault.kind == "late_visibility":
            late = LATE if call.fault.seconds is None else call.fault.seconds
            order.shown_from = call.now + timedelta(seconds=late)
        self._start(order)
        return {"oid": order.order_id}

    def _start(self, order: SimOrder) -> None:
        try:
            self._engine.place(order)
        except NotEnough as e:
            raise BitsoRefusal("0379") from e

    def cancel(self, call: Call) -> list[str]:
        """`DELETE orders…`: the oids that were really cancelled; the others are left out without a word."""
        if call.rest == ["all"]:
            orders = list(self._engine.ledger.newest_active(call.account))
        else:
            orders = self._named(call)
        self._fill_first(orders, call)
        cancelled = [order.order_id for order in orders if self._engine.cancel(order)]
        if not cancelled and call.rest != ["all"] and self._settings.cancel_miss != "omit":
            raise BitsoRefusal(self._settings.cancel_miss)
        return cancelled

    def _named(self, call: Call) -> list[SimOrder]:
        names = named(call)
        return [order for each in names.ids for order in self._reads.find(call, each, by_origin=names.by_origin)]

    def _fill_first(self, orders: list[SimOrder], call: Call) -> None:
        if call.fault is not None and call.fault.kind == "fill_first":
            for order in orders:
                if order.active:
                    self._engine.fill(order)

    def _one(self, call: Call) -> SimOrder:
        """The order that a PATCH names; by origin id the active one, of several."""
        names = named(call)
        orders = [order for order in self._named(call) if not order.hidden]
        if len(names.ids) > 1:
            raise BitsoRefusal("0361")
        if not orders:
            raise BitsoRefusal("0357" if names.by_origin else "0312")
        return next((order for order in orders if order.active), orders[0])

    def replace(self, call: Call) -> dict[str, str]:
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
        order = self._rules.order_from(self._merged(old, body), account=call.account, now=call.now)
        self._fill_first([old], call)
        self._start(order)
        self._engine.cancel(old, reason=f"replaced by {order.order_id}")
        return {"oid": order.order_id}

    def _merged(self, old: SimOrder, body: dict[str, Any]) -> dict[str, Any]:
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
            merged["time_in_force"] = "postonly" if old.post_only else _WIRE_TIME_IN_FORCE.get(old.time_in_force)
        if waits:
            merged["stop"] = old.stop_price
        if old.slippage is not None:
            merged["slippage_tolerance"] = old.slippage
        changeable = ("major", "minor", "price", "stop", "origin_id")
        return merged | {name: body[name] for name in changeable if body.get(name) is not None}

    def modify(self, call: Call) -> dict[str, str]:
        """`PATCH /v4/orders`: the same order, changed in place."""
        order = self._one(call)
        body = read_body(call.request)
        self._fill_first([order], call)
        try:
            self._change(order, body)
        except BitsoRefusal:
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
            check_tick(market, price)
        check_bounds(market, major=quantity, minor=None, price=price or order.price)
        check_stop(market, stop)
        self._edit(order, quantity=quantity, price=price, stop_price=stop)

    def _change_market_order(
        self, order: SimOrder, market: Instrument, major: Decimal | None, minor: Decimal | None, stop: Decimal | None
    ) -> None:
        """A market order has no price: its size is the base or the money that it was given last."""
        if order.state is not State.WAITING:
            raise BitsoRefusal("1005")
        check_positive(major, minor)
        check_bounds(market, major=major, minor=minor, price=None)
        check_stop(market, stop)
        self._edit(order, quantity=major, quote_quantity=minor, stop_price=stop)

    def _edit(self, order: SimOrder, **change: Decimal | None) -> None:
        try:
            self._engine.edit(order, **change)  # type: ignore[arg-type]
        except NotEnough as e:
            raise BitsoRefusal("0379") from e

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
