"""Cancelling on the simulated Bitso, and how the order stands after it."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import Order, OrderRef, OrderRequest, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import (
    AmbiguousRef,
    AuthenticationFailed,
    NotSent,
    OrderNotFound,
    OutcomeUnknown,
    UnexpectedResponse,
)
from orderbridge.http import HttpxTransport, NoAnswer, NothingSent, WireRequest, WireResponse
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Retries
from orderbridge.model.basics import KnownBy
from orderbridge.simulator import Simulator

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)
_keys = itertools.count()


def deletes(sim: Simulator) -> list[str]:
    return [request.target for request in sim.bitso.last_requests if request.method == "DELETE"]


@pytest.mark.parametrize("kind", ["oid", "bare", "client", "order"])
async def test_cancel_by_whatever_names_it(sim: Simulator, kind: str) -> None:
    """An order is cancelled by any ref, by its oid, and comes back cancelled with the fills it had."""
    put = sim.bitso.put(origin_id="mine", status="partially filled", quantity="0.01", filled_quantity="0.004")

    async with sim.bitso.gateway() as gateway:
        ref = {
            "oid": f"bitso:{put.order_id}",
            "bare": put.order_id,
            "client": "bitso:client:mine",
            "order": await gateway.get(put.order_id),
        }[kind]
        order = await gateway.cancel(ref)

    assert (order.order_id, order.status, order.known_by) == (put.order_id, OrderStatus.CANCELLED, KnownBy.REPORTED)
    assert order.filled_quantity == Decimal("0.004")
    assert deletes(sim) == [f"/api/v3/orders/{put.order_id}"]
    assert not put.active


async def test_order_that_is_given_is_not_read_first(sim: Simulator) -> None:
    """With the order in hand the cancel is the first request."""
    put = sim.bitso.put()

    async with sim.bitso.gateway() as gateway:
        order = await gateway.get(put.order_id)
        before = len(sim.bitso.last_requests)
        await gateway.cancel(order)

    assert sim.bitso.last_requests[before].method == "DELETE"


@pytest.mark.parametrize("window", [3600.0, 0.0])
async def test_venue_that_forgets_at_once_changes_nothing(window: float) -> None:
    """A cancelled order is whole even when Bitso shows it no more: from what was known and from its trades."""
    async with Simulator(seed=1, bitso={"visibility_window": window}) as sim:
        put = sim.bitso.put(status="partially filled", quantity="0.01", filled_quantity="0.004", price="1000000")
        clean = sim.bitso.put(status="open", quantity="0.02")

        async with sim.bitso.gateway() as gateway:
            part, none = await gateway.cancel(put.order_id), await gateway.cancel(clean.order_id)

    assert (part.status, part.filled_quantity, part.quantity) == (
        OrderStatus.CANCELLED,
        Decimal("0.004"),
        Decimal("0.01"),
    )
    assert (none.status, none.filled_quantity, none.symbol) == (OrderStatus.CANCELLED, Decimal(0), "BTC/MXN")
    assert part.known_by is none.known_by is KnownBy.REPORTED


@pytest.mark.parametrize(("window", "known_by"), [(3600.0, KnownBy.REPORTED), (0.0, KnownBy.INFERRED)])
async def test_order_that_fills_first_comes_back_filled(window: float, known_by: KnownBy) -> None:
    """A cancel that comes too late is no error: the order is returned as it ended."""
    async with Simulator(seed=1, bitso={"visibility_window": window}) as sim:
        put = sim.bitso.put(status="open", quantity="0.01", price="560000")
        sim.bitso.fault("fill_first", operation="cancel")

        async with sim.bitso.gateway() as gateway:
            order = await gateway.cancel(put.order_id)

    assert (order.status, order.known_by) == (OrderStatus.FILLED, known_by)
    assert order.filled_quantity == Decimal("0.01")


async def test_order_that_had_ended_is_not_cancelled_again(sim: Simulator) -> None:
    """An end that is known is returned, and nothing is sent."""
    put = sim.bitso.put(status="completed")

    async with sim.bitso.gateway() as gateway:
        order = await gateway.cancel(put.order_id)

    assert order.status is OrderStatus.FILLED
    assert deletes(sim) == []


@pytest.mark.parametrize("miss", ["omit", "0312"])
async def test_unknown_order_is_not_found(miss: str) -> None:
    """An id that Bitso neither cancels nor shows is OrderNotFound, and not cancelled."""
    async with Simulator(seed=1, bitso={"cancel_miss": miss}) as sim, sim.bitso.gateway() as gateway:
        for ref in ("bitso:nosuchorder00001", "bitso:client:nosuch"):
            with pytest.raises(OrderNotFound) as missing:
                await gateway.cancel(ref)
            assert missing.value.found is not None
            assert not missing.value.found.proven_absent


@pytest.mark.parametrize("ref", ["bitso:all", OrderRef(order_id="a/b"), OrderRef(id="../x"), "bitso:"])
async def test_id_that_bitso_could_not_have_is_never_sent(sim: Simulator, ref: object) -> None:
    """`all` would cancel everything, and a slash would leave the path: both are refused here."""
    put = sim.bitso.put()

    async with sim.bitso.gateway() as gateway:
        with pytest.raises((OrderNotFound, ValueError, Exception)) as refused:
            await gateway.cancel(ref)

    assert "Bitso" in str(refused.value) or "names no order" in str(refused.value)
    assert sum(sim.bitso.requests.values()) == 0
    assert put.active


async def test_order_not_visible_yet_can_be_cancelled(sim: Simulator) -> None:
    """A look-up that misses keeps no cancel from being sent."""
    put = sim.bitso.put(origin_id="late", visible=False)

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.cancel(f"bitso:{put.order_id}")

    assert unknown.value.order_id == put.order_id
    assert not put.active


async def test_used_again_client_id_means_the_live_order(sim: Simulator) -> None:
    """Of the orders that ever had a client id, the one that may be live is cancelled."""
    old = sim.bitso.put(origin_id="again", status="completed")
    live = sim.bitso.put(origin_id="again", status="open")

    async with sim.bitso.gateway() as gateway:
        order = await gateway.cancel("bitso:client:again")

    assert order.order_id == live.order_id
    assert deletes(sim) == [f"/api/v3/orders/{live.order_id}"]
    assert old.order_id != live.order_id


async def test_two_live_orders_under_one_ref_are_ambiguous(sim: Simulator) -> None:
    """A ref that several live orders answer to cancels none of them."""
    put = [sim.bitso.put(origin_id="twice") for _ in range(2)]

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(AmbiguousRef) as ambiguous:
            await gateway.cancel("bitso:client:twice")

    assert {order.order_id for order in ambiguous.value.orders} == {order.order_id for order in put}
    assert deletes(sim) == []


async def test_lost_answer_of_a_cancel_is_sent_again(sim: Simulator) -> None:
    """A cancel by oid may be repeated: a lost answer is followed by another and ends well."""
    put = sim.bitso.put()
    sim.bitso.fault("accept_then_drop", operation="cancel", times=1)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        order = await gateway.cancel(put.order_id)

    assert order.status is OrderStatus.CANCELLED
    assert len(deletes(sim)) == 2


async def test_cancel_without_any_answer_reads_the_order(sim: Simulator) -> None:
    """When no try is answered, an order that is seen to be over is returned; else the outcome is unknown."""
    ended, open_ = sim.bitso.put(), sim.bitso.put()

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        sim.bitso.fault("accept_then_drop", operation="cancel")
        order = await gateway.cancel(ended.order_id)
        sim.bitso.clear_faults()
        sim.bitso.fault("drop", operation="cancel")
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.cancel(open_.order_id)

    assert order.status is OrderStatus.CANCELLED
    assert unknown.value.order_id == open_.order_id


async def test_cancel_by_client_id_is_repeated_only_for_a_live_order(sim: Simulator) -> None:
    """When the order could not be read first and the answer is lost, it is read before anything is sent again."""
    put = sim.bitso.put(origin_id="mine")
    sim.bitso.fault("error_5xx", operation="lookup", times=2)
    sim.bitso.fault("drop", operation="cancel", times=1)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        order = await gateway.cancel("bitso:client:mine")

    assert order.status is OrderStatus.CANCELLED
    assert deletes(sim) == ["/api/v3/orders?origin_ids=mine", f"/api/v3/orders?oids={put.order_id}"]


async def test_failed_read_never_undoes_a_cancel(sim: Simulator) -> None:
    """Listed by Bitso and known before: the order is cancelled, whatever happens to the reads after it."""
    put = sim.bitso.put(status="partially filled", quantity="0.01", filled_quantity="0.004")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        known = await gateway.get(put.order_id)
        for operation in ("lookup", "order_trades", "open_orders"):
            sim.bitso.fault("error_5xx", operation=operation)
        order = await gateway.cancel(known)

    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))


async def test_cancel_waits_for_no_limit_and_no_lock_out(sim: Simulator) -> None:
    """With every lane used up and locked out, a cancel is sent at once."""
    put = sim.bitso.put()
    rate = Rate(burst=1, per_second=0.001)

    async with sim.bitso.gateway(limits=rate, retries=QUICK) as gateway:
        order = await gateway.get(f"bitso:{put.order_id}")
        sim.bitso.fault("throttle", operation="lookup")
        started = time.monotonic()
        after = await gateway.cancel(order, timeout=2)

    assert after.status is OrderStatus.CANCELLED
    assert time.monotonic() - started < 40
    assert not put.active


async def test_dead_venue_and_wrong_key(sim: Simulator) -> None:
    """A refused connection is NotSent; a refused key is told as such."""
    put = sim.bitso.put()

    async with sim.bitso.gateway(retries=QUICK) as gateway, sim.bitso.gateway(api_secret="wrong") as refused:
        order = await gateway.get(put.order_id)
        with pytest.raises(AuthenticationFailed):
            await refused.cancel(order)
        await sim.bitso.stop()
        with pytest.raises(NotSent):
            await gateway.cancel(order)


async def test_cancel_all_of_the_account(sim: Simulator) -> None:
    """Every open order is cancelled by one request, and comes back with its fills."""
    put = [sim.bitso.put(book=book, quantity="0.01", filled_quantity="0.001") for book in ("btc_mxn", "eth_mxn")]

    async with sim.bitso.gateway() as gateway:
        orders = await gateway.cancel_all()

    assert {order.order_id for order in orders} == {order.order_id for order in put}
    assert all(order.status is OrderStatus.CANCELLED for order in orders)
    assert [order.filled_quantity for order in orders] == [Decimal("0.001")] * 2
    assert deletes(sim) == ["/api/v3/orders/all"]


async def test_cancel_all_of_one_symbol(sim: Simulator) -> None:
    """Only the orders of the symbol are named, in lists, unreadable ones by their ids."""
    keep = sim.bitso.put(book="eth_mxn")
    put = [sim.bitso.put(book="btc_mxn") for _ in range(60)]
    broken = sim.bitso.put(book="btc_mxn", raw={"original_amount": "a lot"})

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(UnexpectedResponse) as unread:
            await gateway.cancel_all(symbol="BTC/MXN")

    assert unread.value.keys == (broken.order_id,)
    assert keep.active
    assert not any(order.active for order in (*put, broken))
    assert len(deletes(sim)) == 2


async def test_cancel_all_with_a_lost_answer_goes_on_with_what_is_left(sim: Simulator) -> None:
    """When the answer to "cancel all" is lost, what is still open is read and cancelled by oid."""
    put = [sim.bitso.put() for _ in range(3)]
    sim.bitso.fault("drop", operation="cancel", nth=1)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        orders = await gateway.cancel_all()

    assert {order.order_id for order in orders} == {order.order_id for order in put}
    assert not any(order.active for order in put)
    assert deletes(sim)[0] == "/api/v3/orders/all"
    assert "oids=" in deletes(sim)[1]


async def test_cancel_all_without_orders(sim: Simulator) -> None:
    """Nothing open, nothing cancelled."""
    async with sim.bitso.gateway() as gateway:
        assert await gateway.cancel_all() == []
        assert await gateway.cancel_all(symbol="BTC/MXN") == []


def ok(*rows: Any) -> tuple[int, Any]:
    return 200, {"success": True, "payload": list(rows)}


def refusal(code: str, status: int = 400) -> tuple[int, Any]:
    return status, {"success": False, "error": {"code": code, "message": "no"}}


class Scripted:
    """Answers by method and target; an exception is raised. Remembers what was sent."""

    def __init__(self, answer: Callable[[str, str], Any]) -> None:
        self._answer = answer
        self.sent: list[str] = []

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        self.sent.append(f"{request.method} {request.target}")
        outcome = self._answer(request.method, request.target)
        if isinstance(outcome, Exception):
            raise outcome
        status, body = outcome
        return WireResponse(status, {}, json.dumps(body).encode())

    async def aclose(self) -> None:
        """There is nothing to close."""


def scripted(answer: Callable[[str, str], Any]) -> tuple[BitsoGateway, Scripted]:
    transport = Scripted(answer)
    key = f"cancel-key-{next(_keys)}"
    return BitsoGateway(api_key=key, api_secret="s", transport=transport, limits=None, retries=QUICK), transport


def working(**changes: Any) -> Order:
    plain = {"venue": "bitso", "order_id": "A1", "symbol": "BTC/MXN", "side": "buy", "status": "partially_filled"}
    return Order(**{**plain, "quantity": "1", "filled_quantity": "0.5", **changes})


def trade(major: str) -> dict[str, str]:
    return {"tid": "1", "oid": "A1", "book": "btc_mxn", "side": "buy", "price": "1", "major": major, "minor": "-1"}


@pytest.mark.parametrize("listed", [True, False])
async def test_trades_that_lag_take_no_fills_away(listed: bool) -> None:
    """Fewer trades than fills were known before: the larger figure stays, and nothing is concluded from them."""

    def answer(method: str, target: str) -> Any:
        if method == "DELETE":
            return ok("A1") if listed else ok()
        return ok(trade("0.4")) if "order_trades" in target else ok()

    gateway, _ = scripted(answer)
    async with gateway:
        order = await gateway.cancel(working())

    assert order.filled_quantity == Decimal("0.5")
    assert order.status is (OrderStatus.CANCELLED if listed else OrderStatus.PARTIALLY_FILLED)


async def test_trades_that_are_not_ready_leave_the_fills_unknown() -> None:
    """0377 says that it matched: the fills of before the cancel are not passed off as final."""

    def answer(method: str, target: str) -> Any:
        if method == "DELETE":
            return ok("A1")
        return refusal("0377") if "order_trades" in target else ok()

    gateway, _ = scripted(answer)
    async with gateway:
        order = await gateway.cancel(working(filled_quantity="0", status="open"))

    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, None)


async def test_an_accepted_cancel_is_no_error_whatever_its_look_raises() -> None:
    """Bitso cancelled it, and then a server answers that knows no such path: it is cancelled, as it was known."""

    def answer(method: str, target: str) -> Any:
        return ok("A1") if method == "DELETE" else refusal("0322", 404)

    gateway, _ = scripted(answer)
    async with gateway:
        order = await gateway.cancel(working())

    assert (order.status, order.known_by, order.filled_quantity) == ("cancelled", "reported", Decimal("0.5"))
    assert "fills: as they were known before the cancel" in order.evidence


@pytest.mark.parametrize("symbol", [None, "BTC/MXN"])
async def test_an_accepted_cancel_of_all_is_no_error_whatever_its_look_raises(symbol: str | None) -> None:
    """The same of many: what Bitso listed is cancelled, and what it left out is told as it was known."""
    plain = {"book": "btc_mxn", "side": "buy", "type": "limit", "status": "open", "price": "1"}
    rows = [{"oid": oid, **plain, "original_amount": "2", "unfilled_amount": "1"} for oid in ("A1", "A2")]

    def answer(method: str, target: str) -> Any:
        if method == "DELETE":
            return ok("A1")
        return ok(*rows) if "open_orders" in target else refusal("0322", 404)

    gateway, _ = scripted(answer)
    async with gateway:
        orders = await gateway.cancel_all(symbol=symbol)

    assert {order.order_id: order.status for order in orders} == {"A1": "cancelled", "A2": "partially_filled"}


@pytest.mark.parametrize("oid", ["all", "../x", "a,b", "x?oid=1", "a/b"])
async def test_order_with_an_impossible_id_never_names_a_path(oid: str) -> None:
    """`DELETE /orders/all` is sent by cancel_all alone, whatever stands in an order that is given."""
    gateway, transport = scripted(lambda method, target: ok())

    async with gateway:
        with pytest.raises((OrderNotFound, OutcomeUnknown)):
            await gateway.cancel(working(order_id=oid, client_order_id="mine"))
        with pytest.raises(OrderNotFound):
            await gateway.cancel(working(order_id=oid))

    assert {sent for sent in transport.sent if sent.startswith("DELETE")} == {"DELETE /api/v3/orders?origin_ids=mine"}


@pytest.mark.parametrize("symbol", [None, "BTC/MXN"])
async def test_an_odd_id_in_the_list_makes_no_error_of_a_cancel_of_all(sim: Simulator, symbol: str | None) -> None:
    """An open order whose row has an id that no oid can be keeps no neighbour from being cancelled, nor told."""
    put = sim.bitso.put()
    sim.bitso.put(raw={"oid": "a\x07b"})
    sim.bitso.put(raw={"oid": " x "})

    async with sim.bitso.gateway() as gateway:
        if symbol is None:  # Bitso lists what was cancelled, the two under their true ids too, which cannot be read
            with pytest.raises(UnexpectedResponse, match="3 orders were cancelled; 2 of them could not be read"):
                await gateway.cancel_all()
        else:
            orders = await gateway.cancel_all(symbol=symbol)
            assert [order.order_id for order in orders if order.status is OrderStatus.CANCELLED] == [put.order_id]

    assert not put.active


async def test_bare_client_id_is_cancelled_though_it_looks_like_an_oid(sim: Simulator) -> None:
    """Under a lock-out nothing can be read first: the id is then cancelled in both ways."""
    put = sim.bitso.put(origin_id="plainclientid")
    sim.bitso.fault("throttle", operation="lookup")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        await gateway.lookup("bitso:x1", timeout=0.2)
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel("plainclientid", timeout=1)

    assert not put.active


async def test_ended_order_of_a_used_again_client_id_stops_no_cancel(sim: Simulator) -> None:
    """The live order is not visible yet: the cancel by client id is sent all the same, and ends it."""
    sim.bitso.put(origin_id="re-1", status="cancelled")
    live = sim.bitso.put(origin_id="re-1", visible=False)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel("bitso:client:re-1")

    assert not live.active


async def test_own_order_is_known_though_the_venue_shows_it_no_more(sim: Simulator) -> None:
    """An order that this gateway submitted is returned cancelled even where nothing can be read of it."""
    async with sim.bitso.gateway(retries=QUICK) as gateway:
        request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000")
        placed = await gateway.submit(request)
        for operation in ("lookup", "order_trades", "open_orders"):
            sim.bitso.fault("error_5xx", operation=operation)
        order = await gateway.cancel(f"bitso:{placed.order_id}")

    assert (order.status, order.symbol, order.filled_quantity) == (OrderStatus.CANCELLED, "BTC/MXN", None)


async def test_slow_reads_leave_the_cancel_its_time(sim: Simulator) -> None:
    """The look before a cancel gets a part of its time only."""
    put = sim.bitso.put()
    sim.bitso.fault("delay", operation="lookup", seconds=10)

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel(f"bitso:{put.order_id}", timeout=1.0)

    assert not put.active


@pytest.mark.parametrize("second", [refusal("0801", 420), refusal("0201", 401), refusal("0202", 401)])
async def test_refusal_after_a_lost_try_is_not_nothing_done(second: tuple[int, Any]) -> None:
    """The first try may have cancelled it: the outcome is unknown, and no "nothing was cancelled"."""
    answers = iter([NoAnswer("reset"), second, second, second])
    gateway, _ = scripted(lambda method, target: next(answers) if method == "DELETE" else ok())

    async with gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel(working(), timeout=2)


@pytest.mark.parametrize("ref", [working(), "bitso:A1", "A1"], ids=["given", "oid", "bare"])
@pytest.mark.parametrize("second", [ok(), refusal("0312", 404)], ids=["nothing listed", "not found"])
@pytest.mark.parametrize(
    ("first", "kind"), [(NoAnswer("reset"), OutcomeUnknown), (NothingSent("refused"), OrderNotFound)]
)
async def test_nothing_listed_after_a_lost_try_is_not_nothing_done(
    ref: Any, second: tuple[int, Any], first: Exception, kind: type[Exception]
) -> None:
    """Bitso lists what is active only, and forgets at once what the first try may have cancelled."""
    answers = iter([first, second, second])
    gateway, _ = scripted(lambda method, target: next(answers) if method == "DELETE" else ok())

    async with gateway:
        with pytest.raises(kind):
            await gateway.cancel(ref, timeout=2)


@pytest.mark.parametrize("first", [NothingSent("refused"), refusal("0207", 401)])
async def test_cancel_all_is_sent_again_when_nothing_was_done(first: Any) -> None:
    """A refused connect or nonce proves that nothing was cancelled: the panic button is pressed again."""
    answers = iter([first, ok("A1")])
    row = {"oid": "A1", "book": "btc_mxn", "side": "buy", "type": "limit", "status": "open"}

    def answer(method: str, target: str) -> Any:
        if method == "DELETE":
            return next(answers)
        return ok(row) if "open_orders" in target else ok()

    gateway, transport = scripted(answer)
    async with gateway:
        orders = await gateway.cancel_all()

    assert [order.status for order in orders] == [OrderStatus.CANCELLED]
    assert len([sent for sent in transport.sent if sent.startswith("DELETE")]) == 2


async def test_cancel_all_that_may_have_left_stays_unknown_when_reads_fail() -> None:
    """An unclear "cancel all" followed by a failing read is not "the venue is unavailable"."""

    def answer(method: str, target: str) -> Any:
        return NoAnswer("reset") if method == "DELETE" else refusal("0101", 500)

    gateway, _ = scripted(answer)
    async with gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel_all(timeout=2)


@pytest.mark.parametrize("code", ["0304", "0312"])
async def test_cancel_all_is_not_stopped_by_an_order_that_ended_long_ago(code: str) -> None:
    """A list that is refused for an oid that Bitso forgot is split, so that the live ones in it are cancelled."""
    names = [f"order{n}" for n in range(5)]

    def answer(method: str, target: str) -> Any:
        if method == "DELETE":
            asked = target.partition("oids=")[2].replace("%2C", ",").split(",")
            return refusal(code, 404) if "order3" in asked else ok(*asked)
        return ok()

    gateway, transport = scripted(answer)
    fields: dict[str, Any] = {"venue": "bitso", "symbol": "BTC/MXN", "side": "buy", "status": "open"}
    async with gateway:
        gateway.remember([Order(order_id=name, observed_at=datetime.now(UTC), **fields) for name in names])
        orders = await gateway.cancel_all(symbol="BTC/MXN")

    over = {order.order_id for order in orders if order.is_done}
    assert over == {"order0", "order1", "order2", "order4"}
    assert [order.order_id for order in orders if order.may_be_live] == ["order3"]
    assert len([sent for sent in transport.sent if sent.startswith("DELETE")]) == 7


class SideBySide(HttpxTransport):
    """After a cancel it answers no look-up before the order's trades are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []
        self._trades_asked = asyncio.Event()

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        what = f"{request.method} {request.target.split('/')[3]}"
        self.sent.append(what)
        if what == "GET order_trades":
            self._trades_asked.set()
        elif what == "GET orders" and "DELETE orders" in self.sent:
            await self._trades_asked.wait()
        return await super().send(request, timeout=timeout, not_after=not_after)


async def test_trades_are_read_beside_the_look_after_a_cancel() -> None:
    """Bitso forgets what was cancelled at once: what is to be known of it is asked for in one turn."""
    engine = SideBySide()
    async with Simulator(seed=1) as production, production.bitso.gateway(transport=engine) as gateway:
        placed = await gateway.submit(OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000"))
        before = len(engine.sent)
        order = await gateway.cancel(placed)
        sent = engine.sent[before:]
    await engine.aclose()

    assert order.status is OrderStatus.CANCELLED
    assert "order trades: none" in order.evidence
    assert (sent[0], sorted(sent[1:])) == ("DELETE orders", ["GET order_trades", "GET orders"])
