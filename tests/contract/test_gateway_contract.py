"""The contract of every gateway, run unchanged over each of them on its simulated venue, alone and in a bridge."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from orderbridge import OrderBridge, OrderEdit, OrderGateway, OrderRequest, OrderStatus
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    InsufficientFunds,
    NotSupported,
    OrderDenied,
    OrderNotActive,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
)
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Retries
from orderbridge.model.basics import EditClass, Idempotency
from orderbridge.simulator import Simulator
from tests.kind import KIND

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


@dataclass
class Venue:
    """What the contract needs to know of a simulated venue beside its gateway."""

    name: str
    sim: Any
    symbol: str
    market: str
    price: str
    off_tick: str
    # More than the account can pay, if placed often enough, and within the market's bounds.
    too_much: dict[str, str]
    bad: dict[str, str]
    unknown: str
    place: str
    list: str
    # What a cancel and the look at what came of it send: one, and then one or, side by side, two.
    looks: int = 1
    # The bridges whose gateways are used, where they are used through one.
    bridges: list[OrderBridge] | None = None

    def gateway(self, **settings: Any) -> Any:
        return self.used(self.sim.gateway(retries=QUICK, **settings))

    def used(self, gateway: Any) -> Any:
        """The gateway itself, or as a bridge hands it out."""
        if self.bridges is None:
            return gateway
        self.bridges.append(OrderBridge(gateway))
        return self.bridges[-1][gateway.name]

    def ways_to_send(self, engine: str) -> dict[str, Any]:
        """What makes the gateway send through this HTTP engine."""
        return {"transport": engine}

    def buy(self, **changes: Any) -> OrderRequest:
        plain = {"symbol": self.symbol, "side": "buy", "type": "limit", "quantity": "0.01", "price": self.price}
        return OrderRequest(**{**plain, **changes})

    def fill(self, order_id: str, quantity: str | None = None) -> None:
        self.sim.market(self.market).fill(order_id, quantity=quantity)

    def writes(self) -> int:
        return int(self.sim.requests[self.place])

    def funds(self) -> Any:
        return copy.deepcopy(self.sim.balances)


class ThroughCcxt(Venue):
    """The simulated Bitso, reached through ccxt's own client of it."""

    def gateway(self, **settings: Any) -> Any:
        from orderbridge.adapters.ccxt_any import CcxtGateway

        config = {
            "api_key": self.sim.api_key,
            "api_secret": self.sim.api_secret,
            "urls": {"api": {"rest": self.sim.origin + "/api"}},
            **settings,
        }
        return self.used(CcxtGateway("bitso", config=config, limits=config.pop("limits", None), retries=QUICK))

    def ways_to_send(self, engine: str) -> dict[str, Any]:
        return {}


def own_id(gateway: Any, client_order_id: str) -> dict[str, str]:
    """A client id for a request, where the gateway declares that it takes them."""
    return {"client_order_id": client_order_id} if gateway.capabilities.client_order_id else {}


THROUGH_CCXT = [pytest.param(name, marks=pytest.mark.ccxt) for name in ("ccxt.bitso", "ccxt.bitso in a bridge")]


@pytest.fixture(params=["bitso", "bitcain", "bitso in a bridge", "bitcain in a bridge", *THROUGH_CCXT])
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Venue]:
    """Each venue in turn, and each through `bridge[name]`."""
    async with Simulator(seed=1, bitso=KIND) as sim:
        made = _venue(sim, request.param.split()[0])
        made.bridges = [] if "bridge" in request.param else None
        yield made
        for bridge in made.bridges or []:
            await bridge.aclose()


def _venue(sim: Simulator, name: str) -> Venue:
    if name in {"bitso", "ccxt.bitso"}:
        kind = Venue if name == "bitso" else ThroughCcxt
        return kind(
            name=name,
            sim=sim.bitso,
            symbol="BTC/MXN",
            market="btc_mxn",
            price="560000",
            off_tick="560004.5",
            too_much={"quantity": "350", "price": "570000"},
            bad={"api_secret": "wrong"},
            unknown=f"{name}:nosuchorder00001",
            place="POST /api/v3/orders",
            list="GET /api/v3/open_orders",
            looks=2 if name == "bitso" else 1,
        )
    return Venue(
        name="bitcain",
        sim=sim.bitcain,
        symbol="BTC/USDT",
        market="BTC/USDT",
        price="30000",
        off_tick="30000.001",
        too_much={"quantity": "9000", "price": "30000"},
        bad={"token": "wrong"},
        unknown="bitcain:00000000-0000-4000-8000-000000000000",
        place="POST /api/v1/orders",
        list="GET /api/v1/orders",
    )


async def test_submit_and_see_it(venue: Venue) -> None:
    """An order that was submitted is found by its id, by its client id, and among the open ones."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy(**own_id(gateway, "contract-1")))
        by_id = await gateway.get(placed)
        by_client = await gateway.lookup(f"{gateway.name}:client:contract-1")
        opened = await gateway.open_orders()

    assert placed.status in {OrderStatus.ACCEPTED, OrderStatus.OPEN}
    assert (by_id.status, by_id.filled_quantity, by_id.quantity) == (OrderStatus.OPEN, Decimal(0), Decimal("0.01"))
    assert (by_id.price, by_id.symbol, by_id.side) == (Decimal(venue.price), venue.symbol, "buy")
    assert [order.order_id for order in opened] == [placed.order_id]
    if gateway.capabilities.client_order_id is None:
        assert [found.answers for found in by_client.found] == [{gateway.name: "cannot_ask"}]
    else:
        assert [order.order_id for order in by_client.orders] == [placed.order_id]
        assert by_id.client_order_id == "contract-1"


async def test_client_id_is_made_where_none_is_given(venue: Venue) -> None:
    """Every order carries a client id, ours where the caller has none; where there are none, a given one is refused."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        if gateway.capabilities.client_order_id is None:
            with pytest.raises(NotSupported):
                await gateway.submit(venue.buy(client_order_id="mine"))

    if gateway.capabilities.client_order_id is None:
        assert placed.client_order_id is None
        (accepted,) = venue.sim.accepted()
    else:
        assert placed.client_order_id
        (accepted,) = venue.sim.accepted(client_order_id=placed.client_order_id)
    assert accepted.order_id == placed.order_id


async def test_partial_fill_then_fill(venue: Venue) -> None:
    """Fills are seen as they come, and the end with the last of them."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        venue.fill(placed.order_id, "0.004")
        part = await gateway.get(placed)
        venue.fill(placed.order_id)
        whole = await gateway.get(placed)

    assert (part.status, part.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.004"))
    assert (whole.status, whole.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))
    assert whole.is_done


async def test_edit_in_place(venue: Venue) -> None:
    """A change keeps the id; quantity is the new total. Where no edit is declared, none is faked."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        if gateway.capabilities.edit is EditClass.NONE:
            with pytest.raises(NotSupported):
                await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))
            assert [order.order_id for order in await gateway.open_orders()] == [placed.order_id]
            return
        edited = await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))

    assert gateway.capabilities.edit is EditClass.IN_PLACE
    assert (edited.order_id, edited.quantity) == (placed.order_id, Decimal("0.02"))


async def test_cancel_leaves_the_balances_as_they_were(venue: Venue) -> None:
    """A limit order placed and cancelled costs nothing, by the venue's own books."""
    before = venue.funds()

    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        locked = venue.funds()
        order = await gateway.cancel(placed)

    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal(0))
    assert locked != before
    assert venue.funds() == before


async def test_cancel_keeps_the_fills(venue: Venue) -> None:
    """An order that is cancelled after a part was filled says how much."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        venue.fill(placed.order_id, "0.004")
        order = await gateway.cancel(placed)

    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))


@pytest.mark.parametrize(
    ("limits", "held"), [(Rate(60, 1e-6), 50), (None, 80)], ids=["no slot in the lanes", "no connection in the pool"]
)
async def test_a_cancel_behind_a_hundred_reads_takes_two_exchanges(
    venue: Venue, limits: Rate | None, held: int
) -> None:
    """The cancel and the look at what came of it wait for none of the reads that came before them."""
    async with venue.gateway(limits=limits) as gateway:
        placed = await gateway.submit(venue.buy())
        venue.sim.fault("delay", operation="open_orders", seconds=1000)
        reads = [asyncio.create_task(gateway.open_orders()) for _ in range(100)]
        async with asyncio.timeout(20):
            while venue.sim.requests[venue.list] < held:  # noqa: ASYNC110 - the server counts, and tells nobody
                await asyncio.sleep(0)
        before = venue.sim.requests.copy()
        order = await gateway.cancel(placed, timeout=10)
        sent = venue.sim.requests - before
        waiting = [not read.done() for read in reads]
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)

    assert order.status is OrderStatus.CANCELLED
    assert all(waiting)
    assert 1 <= sum(count for what, count in sent.items() if what != venue.list) <= 1 + venue.looks


async def test_cancel_too_late(venue: Venue) -> None:
    """An order that turned out filled is returned filled; an edit says that it is not active."""
    async with venue.gateway() as gateway:
        placed = await gateway.submit(venue.buy())
        venue.fill(placed.order_id)
        order = await gateway.cancel(placed)
        if gateway.capabilities.edit is not EditClass.NONE:
            with pytest.raises(OrderNotActive) as late:
                await gateway.edit(placed, OrderEdit(quantity="0.02", price=venue.price))
            assert late.value.order is not None

    assert (order.status, order.filled_quantity) == (OrderStatus.FILLED, Decimal("0.01"))


async def test_cancel_all(venue: Venue) -> None:
    """Every open order of the account ends."""
    async with venue.gateway() as gateway:
        placed = {(await gateway.submit(venue.buy())).order_id for _ in range(3)}
        orders = await gateway.cancel_all()
        left = await gateway.open_orders()

    assert {order.order_id for order in orders} == placed
    assert all(order.status is OrderStatus.CANCELLED for order in orders)
    assert list(left) == []


async def test_unknown_id(venue: Venue) -> None:
    """An id that nobody issued is not found, and nothing is changed for it."""
    async with venue.gateway() as gateway:
        with pytest.raises(OrderNotFound):
            await gateway.get(venue.unknown)
        with pytest.raises(OrderNotFound):
            await gateway.cancel(venue.unknown)


async def test_duplicate_client_id(venue: Venue) -> None:
    """
    Where the venue promises unique ids a second order is refused as a duplicate; else the capabilities say so.

    A bridge sends no id twice that its journal has, whatever the venue promises.
    """
    expected = 1
    async with venue.gateway() as gateway:
        if gateway.capabilities.client_order_id is None:
            assert gateway.capabilities.idempotency is Idempotency.NONE
            return
        await gateway.submit(venue.buy(client_order_id="twice"))
        if venue.bridges:
            with pytest.raises(OrderDenied) as denied:
                await gateway.submit(venue.buy(client_order_id="twice"))
            assert denied.value.rule == "client_order_id"
        elif gateway.capabilities.idempotency is Idempotency.TAG_ONLY:
            await gateway.submit(venue.buy(client_order_id="twice"))
            expected = 2
        else:
            with pytest.raises(DuplicateClientOrderId):
                await gateway.submit(venue.buy(client_order_id="twice"))

    assert len(venue.sim.accepted(client_order_id="twice")) == expected


async def test_insufficient_funds(venue: Venue) -> None:
    """A lack of funds is a rejection, told apart where the capabilities say so; it leaves nothing on the book."""
    orders = [venue.buy(**venue.too_much) for _ in range(10)]
    refused = None

    async with venue.gateway() as gateway:
        for order in orders:
            try:
                await gateway.submit(order)
            except OrderRejected as error:
                refused = error
                break
        opened = await gateway.open_orders()

    assert refused is not None
    assert isinstance(refused, InsufficientFunds) or not gateway.capabilities.funds_refusal_is_distinct
    assert len(opened) == len([order for order in venue.sim.accepted() if order.active])


async def test_price_off_the_tick(venue: Venue) -> None:
    """Where the rules are known it is refused before sending; where they are not it goes out as it is, never bent."""
    async with venue.gateway() as gateway:
        if gateway.capabilities.markets:
            with pytest.raises(OrderDenied) as denied:
                await gateway.submit(venue.buy(price=venue.off_tick))
            assert denied.value.nearest == (Decimal(560000), Decimal(560010))
            assert venue.writes() == 0
        else:
            placed = await gateway.submit(venue.buy(price=venue.off_tick))
            assert (await gateway.get(placed)).price == Decimal(venue.off_tick)


async def test_throttled(venue: Venue) -> None:
    """A throttled submit is unknown, with RateLimited behind it; it is not sent again."""
    venue.sim.fault("throttle", operation="place")

    async with venue.gateway() as gateway:
        with pytest.raises(OutcomeUnknown) as unknown:
            await gateway.submit(venue.buy(**own_id(gateway, "busy")))

    assert isinstance(unknown.value.__cause__, RateLimited)
    assert unknown.value.client_order_id == own_id(gateway, "busy").get("client_order_id")
    assert venue.writes() == 1


async def test_bad_credentials(venue: Venue) -> None:
    """Refused credentials are told as such, and nothing is on the book."""
    async with venue.gateway(**venue.bad) as gateway:
        with pytest.raises(AuthenticationFailed):
            await gateway.submit(venue.buy())
        with pytest.raises(AuthenticationFailed):
            await gateway.open_orders()

    assert venue.sim.accepted() == []


@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_lost_answer(venue: Venue, engine: str) -> None:
    """A connection that drops after the venue accepted is no rejection, and nothing is sent twice."""
    venue.sim.fault("accept_then_drop", operation="place")

    async with venue.gateway(**venue.ways_to_send(engine)) as gateway:
        with pytest.raises(OutcomeUnknown):
            await gateway.submit(venue.buy(**own_id(gateway, "lost")))
        if gateway.capabilities.client_order_id is None:
            (found,) = await gateway.open_orders()
        else:
            (found,) = (await gateway.lookup(f"{gateway.name}:client:lost")).orders

    assert found.status is OrderStatus.OPEN
    assert venue.writes() == 1


async def test_what_is_not_declared_is_refused_before_sending(venue: Venue) -> None:
    """The capabilities are the truth: what they lack is NotSupported, and nothing is sent."""
    async with venue.gateway() as gateway:
        capabilities = gateway.capabilities
        with pytest.raises(NotSupported):
            await gateway.submit(venue.buy(options={"no_such_option": "1"}))
        if not capabilities.fills:
            with pytest.raises(NotSupported):
                gateway.fills()
        if not capabilities.history:
            with pytest.raises(NotSupported):
                gateway.orders(since=venue.sim.clock.now())

    assert sum(venue.sim.requests.values()) == 0
    assert isinstance(gateway, OrderGateway)
    assert gateway.address.startswith("http")
    assert gateway.mode in {"live", "paper", "sandbox"}
