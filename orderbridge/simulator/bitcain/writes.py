"""Creating, updating, cancelling and retrying on the simulated Bitcain."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.bitcain import validation as v
from orderbridge.simulator.bitcain.envelope import single
from orderbridge.simulator.bitcain.errors import BitcainRefusal
from orderbridge.simulator.bitcain.reads import Reads
from orderbridge.simulator.bitcain.rules import (
    check_active,
    check_expiry,
    check_failed,
    order_from,
    positive,
    refuse,
)
from orderbridge.simulator.bitcain.views import spelled, status_of
from orderbridge.simulator.engine.engine import Engine, NotEnough
from orderbridge.simulator.engine.order import SimOrder, State
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.settings import BitcainSettings

LATE = 2.0


class Writes:
    """The calls that change orders."""

    def __init__(
        self,
        engines: dict[str, Engine],
        settings: BitcainSettings,
        reads: Reads,
        *,
        clock: SimClock,
        new_id: Callable[[], str],
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._reads = reads
        self._clock = clock
        self._new_id = new_id

    def create(
        self, account: str, query: v.CreateQuery, body: v.CreateBody, fault: Fault | None
    ) -> tuple[int, dict[str, Any]]:
        """Status and body for a new order; a business rule that it breaks is a 400 and no order."""
        order = order_from(body, query, account=account, order_id=self._new_id(), now=self._clock.now())
        engine = self._engines[query.trading_mode]
        twin = self._twin(engine, order)
        if twin is not None:
            return 200, self._answer(twin, "Order exists")
        self._check_post_only(engine, order)
        if fault is not None and fault.kind == "late_visibility":
            order.shown_from = order.created_at + timedelta(seconds=LATE if fault.seconds is None else fault.seconds)
        self._route(engine, order)
        return self._settings.create_status, self._answer(order, "Order created")

    def _twin(self, engine: Engine, order: SimOrder) -> SimOrder | None:
        """An order with the same client id, by the switch `duplicate_client_order_id`."""
        if order.client_order_id is None or self._settings.duplicate_client_order_id == "allowed":
            return None
        earlier = engine.ledger.of_client(order.account, order.client_order_id)
        if earlier and self._settings.duplicate_client_order_id == "409":
            raise BitcainRefusal(409, "An order with this client_order_id exists")
        return earlier[0] if earlier else None

    def _check_post_only(self, engine: Engine, order: SimOrder) -> None:
        crosses = engine.market(order.market).book.crosses(order.side, order.price)
        if order.post_only and order.stop_price is None and crosses:
            raise refuse("post_only order would take liquidity")

    def _route(self, engine: Engine, order: SimOrder) -> None:
        """Send the order on to its exchange, which may work, fail, or refuse."""
        if self._settings.routing == "works":
            self._start(lambda: engine.place(order))
            return
        failed = self._settings.routing == "fails"
        order.state = State.FAILED if failed else State.REJECTED
        order.reason = "exchange is not reachable" if failed else "rejected by the exchange"
        order.ended_at = order.updated_at = order.created_at
        engine.put(order)

    def _start(self, step: Callable[[], object]) -> None:
        try:
            step()
        except NotEnough as e:
            raise BitcainRefusal(self._settings.funds_status, "Insufficient funds") from e

    def cancel(self, account: str, order_id: str, fault: Fault | None) -> dict[str, Any]:
        """The cancelled order, or an acknowledgement by the switch `cancel_answer`."""
        engine, order = self._reads.find(account, order_id)
        self._fill_first(engine, order, fault)
        check_active(order, "cancelled")
        if self._settings.cancel_answer == "still_open":
            later = self._clock.now() + timedelta(seconds=self._settings.cancel_takes)
            engine.end_later(order, State.CANCELLED, at=later)
        else:
            engine.cancel(order)
        if self._settings.cancel_answer == "order":
            return self._answer(order, "Order cancelled")
        return {"success": True, "message": "Cancel requested", "order_id": order.order_id}

    def _fill_first(self, engine: Engine, order: SimOrder, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "fill_first" and order.active:
            engine.fill(order)

    def update(self, account: str, order_id: str, body: v.UpdateBody, fault: Fault | None) -> dict[str, Any]:
        """
        The order after the change. An explicit null changes nothing; a status can only be set to cancelled; an
        order that is gtt no longer loses its `expires_at`, unless it is given another.
        """
        engine, order = self._reads.find(account, order_id)
        self._fill_first(engine, order, fault)
        check_active(order, "updated")
        if body.status is not None and self._by_status(engine, order, body.status):
            return self._answer(order, "Order updated")
        endless = order.time_in_force == "gtt" and body.time_in_force not in (None, "gtt") and body.expires_at is None
        self._check_update(engine, order, body, endless=endless)
        self._start(
            lambda: engine.edit(
                order,
                quantity=body.quantity,
                price=body.price,
                stop_price=body.stop_price,
                time_in_force=None if body.time_in_force is None else body.time_in_force.value,
                expires_at=body.expires_at,
                endless=endless,
            )
        )
        return self._answer(order, "Order updated")

    def _by_status(self, engine: Engine, order: SimOrder, word: str) -> bool:
        if word in ("cancelled", spelled("cancelled", self._settings)):
            return engine.cancel(order)
        if word not in (status_of(order), spelled(status_of(order), self._settings)):
            raise refuse("status can only be set to cancelled")
        return False

    def _check_update(self, engine: Engine, order: SimOrder, body: v.UpdateBody, *, endless: bool) -> None:
        if body.quantity is not None and positive("quantity", body.quantity) < order.filled:
            raise refuse("quantity is below what is filled already")
        if body.price is not None:
            if order.price is None:
                raise refuse("this order has no price")
            positive("price", body.price)
            self._check_post_only(engine, replace(order, price=body.price))
        if body.stop_price is not None:
            positive("stop_price", body.stop_price)
            if order.state is not State.WAITING:
                raise refuse("this order does not wait for a stop_price")
        tif = body.time_in_force or order.time_in_force
        if body.time_in_force in ("ioc", "fok") and order.state is not State.WAITING:
            raise refuse(f"{body.time_in_force} is not for an order that rests")
        check_expiry(tif, None if endless else body.expires_at or order.expires_at, self._clock.now())

    def retry(self, account: str, order_id: str, fault: Fault | None) -> dict[str, Any]:
        """
        Start a failed order again: the same one, or by the switch `retry_answer` a new one with a new id.

        An order whose time is over by now is a 400. While routing works, the answer shows the order as its
        exchange took it (`open`, `filled` …): `pending` lasts for no time here, as
        it does for a new order.
        """
        engine, order = self._reads.find(account, order_id)
        check_failed(order)
        check_expiry(order.time_in_force, order.expires_at, self._clock.now())
        count = order.facts.get("retry_count", 0) + 1
        if self._settings.retry_answer == "new":
            fresh = self._copy(order, count)
            self._route(engine, fresh)
            return self._answer(fresh, "Order retried")
        if self._settings.routing == "works":
            self._start(lambda: engine.revive(order))
        order.facts["retry_count"] = count
        return self._answer(order, "Order retried")

    def _copy(self, order: SimOrder, count: int) -> SimOrder:
        return SimOrder(
            order_id=self._new_id(),
            account=order.account,
            market=order.market,
            side=order.side,
            type=order.type,
            created_at=self._clock.now(),
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

    def _answer(self, order: SimOrder, message: str) -> dict[str, Any]:
        return single(self._reads.row(order), message, self._settings)
