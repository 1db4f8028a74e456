"""
What a user of the public face writes, as mypy --strict and pyright must understand it. Never executed.

Each block is what a bot's author would type; `assert_type` pins what he gets back.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, Self, assert_type

import httpx

from orderbridge import (
    Alarm,
    BridgeOrders,
    Capabilities,
    Failure,
    Fill,
    Found,
    LookupResult,
    Market,
    Order,
    OrderBridge,
    OrderEdit,
    OrderGateway,
    OrderKey,
    OrderList,
    OrderRef,
    OrderRequest,
    OrderStatus,
    OrderType,
    Permit,
    Placement,
    PlacementState,
    RecoveryReport,
    RefLike,
    Side,
    Symbol,
    TimeInForce,
    UnsupportedCalls,
    connect,
    errors,
)
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.bound import BoundGateway
from orderbridge.http import AiohttpTransport, HttpxTransport, Transport, WireRequest, WireResponse
from orderbridge.placement import Journal, MemoryJournal, SqliteJournal
from orderbridge.sync import SyncBridge, SyncGateway


def requests() -> list[OrderRequest]:
    """Text, int, Decimal, enums and words are all taken where a request is built."""
    limit = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price=560000)
    assert_type(limit, OrderRequest)
    assert_type(limit.symbol, Symbol)
    assert_type(limit.side, Side)
    assert_type(limit.type, OrderType)
    assert_type(limit.quantity, Decimal | None)
    assert_type(limit.time_in_force, TimeInForce)
    return [
        limit,
        OrderRequest(symbol="BTC/MXN", side="buy", type="limit", quantity="0.01", price="560000"),
        OrderRequest(symbol=Symbol("BTC/MXN"), side=Side.SELL, type=OrderType.MARKET, quote_quantity=Decimal(500)),
        OrderRequest.limit(
            symbol="BTC/MXN",
            side="BUY",
            quantity=1,
            price=Decimal("560000"),
            time_in_force="gtt",
            expires_at=datetime(2030, 1, 1, tzinfo=UTC),
            post_only=True,
            client_order_id="my-bot-42",
            options={"portfolio_id": "p"},
        ),
        OrderRequest.market(symbol="BTC/MXN", side="sell", quantity="0.01", slippage_tolerance="0.5"),
        OrderRequest.stop_loss(symbol="BTC/MXN", side="sell", quantity="0.01", stop_price=500000, reduce_only=True),
        OrderRequest.stop_limit(symbol="BTC/MXN", side="sell", quantity="0.01", price="499000", stop_price="500000"),
        OrderRequest.take_profit(symbol="BTC/MXN", side="sell", quantity="0.01", stop_price="700000"),
    ]


def edits() -> list[OrderEdit]:
    """An edit takes the same."""
    return [OrderEdit(quantity="0.02"), OrderEdit(price=570000, time_in_force="ioc")]


def mistakes() -> None:
    """What the models refuse at run time the checker refuses before; an ignore too many is an error itself."""
    OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity=0.01, price="1")  # type: ignore[arg-type]
    OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="1")  # type: ignore[call-arg]
    OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="1", prize="1")  # type: ignore[call-arg]
    OrderRequest.market(symbol="BTC/MXN", side="buy", quantity="1", price="1")  # type: ignore[call-arg]
    OrderEdit(amount="1")  # type: ignore[call-arg]
    OrderRef("x")  # type: ignore[call-arg]


def refs(order: Order, placement: Placement) -> list[RefLike]:
    """Everything that names an order is a ref."""
    assert_type(OrderRef.parse("bitso:client:x"), OrderRef)
    assert_type(order.key, OrderKey)
    return [
        "x",
        OrderRef(id="a:b"),
        OrderRef(gateway="bitso", order_id="x", symbol="BTC/MXN"),
        order.key,
        order,
        placement,
    ]


def an_order(order: Order) -> None:
    """Every field and derived value has its exact type."""
    assert_type(order.gateway, str)
    assert_type(order.status, OrderStatus)
    assert_type(order.filled_quantity, Decimal | None)
    assert_type(order.remaining_quantity, Decimal | None)
    assert_type(order.max_remaining, Decimal)
    assert_type(order.may_be_live, bool)
    assert_type(order.is_done, bool)
    assert_type(order.created_at, datetime | None)
    assert_type(order.anomalies, tuple[str, ...])
    assert_type(order.symbol.base, str)


async def look_up(bridge: OrderBridge, order: Order) -> None:
    """A look-up, its answers, and what could not be decided."""
    res = await bridge.lookup("x", "bitso:y", order, order.key, gateways=["bitso"], timeout=5)
    assert_type(res, LookupResult)
    assert_type(res["x"], Found)
    assert_type(res["x"].order, Order | None)
    assert_type(res[order].orders, tuple[Order, ...])
    assert_type(res.refs, tuple[RefLike, ...])
    assert_type(res.orders, tuple[Order, ...])
    assert_type(res.not_seen, tuple[RefLike, ...])
    assert_type(res.undecided, tuple[RefLike, ...])
    assert_type(res.unreachable["bitcain"], Failure)
    assert_type(res.unreachable["bitcain"].retry_after, float | None)
    for ref in res.refs:
        one = res[ref].order
        print(ref, one and one.status)
    assert_type(await bridge.get("x"), Order)


async def lists(bridge: OrderBridge) -> None:
    """Open orders are sequences of orders."""
    listed = await bridge.open_orders(symbol="BTC/MXN")
    assert_type(listed, BridgeOrders)
    assert_type(listed[0], Order)
    assert_type(listed[1:], tuple[Order, ...])
    assert_type([order.price for order in listed], list[Decimal | None])
    as_sequence: Sequence[Order] = listed
    assert_type(await bridge["bitso"].open_orders(), OrderList)
    print(len(as_sequence), listed.unreachable)


async def one_gateway(gateway: OrderGateway, request: OrderRequest) -> None:
    """The interface: submit, cancel, edit, and what iterates."""
    assert_type(gateway.name, str)
    assert_type(gateway.capabilities, Capabilities)
    assert_type(gateway.address, str)
    assert_type(gateway.mode, Literal["live", "paper", "sandbox"] | None)
    async with gateway, await gateway.permit("place", timeout=1) as permit:
        assert_type(permit, Permit)
        order = await gateway.submit(request, permit=permit, not_after=1.0, timeout=5)
    assert_type(order, Order)
    assert_type(await gateway.cancel(order, timeout=5), Order)
    assert_type(await gateway.edit("x", OrderEdit(price="1")), Order)
    assert_type(await gateway.cancel_all(symbol="BTC/MXN"), list[Order])
    assert_type(gateway.orders(since=datetime.now(UTC), status="open", portfolio="p"), AsyncIterator[Order])
    assert_type([fill async for fill in gateway.fills("x")], list[Fill])
    markets = await gateway.markets(refresh=True)
    assert_type(markets, Mapping[Symbol, Market])
    assert_type(markets[Symbol("BTC/MXN")].round_price("1.5", "buy"), Decimal)
    print([str(rule) for rule in markets[Symbol("BTC/MXN")].check(request)])


class MyGateway(UnsupportedCalls):
    """An adapter of somebody's own: the calls it has, and UnsupportedCalls for the rest."""

    venue = "mine"
    account = "default"
    name = "mine"
    capabilities = Capabilities()

    async def permit(
        self, lane: Literal["place", "read", "resolve", "cancel"] = "place", *, timeout: float | None = None
    ) -> Permit:
        return Permit(gateway=self.name, lane=lane, granted_at=0.0)

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        return LookupResult(refs=refs, found=tuple(Found() for _ in refs))

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        raise NotImplementedError

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        return OrderList(as_of=datetime.now(UTC))

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


class MyTransport:
    """An engine of somebody's own."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        return WireResponse(200, {}, b"{}")

    async def aclose(self) -> None: ...


async def bridges(client: httpx.AsyncClient) -> None:
    """Every way to a bridge, and every engine."""
    mine: OrderGateway = MyGateway()
    engines: list[Transport] = [MyTransport(), HttpxTransport(client), AiohttpTransport()]
    kraken: OrderGateway = CcxtGateway("kraken", config={"apiKey": "k"}, limits=None)
    bitso: OrderGateway = BitsoGateway(api_key="k", api_secret="s", transport=client, limits=None)
    for engine in engines:
        BitsoGateway(api_key="k", api_secret="s", transport=engine, account="mm")
    async with OrderBridge(mine, bitso, kraken) as bridge, connect("bitso", settings="orderbridge.toml") as other:
        assert_type(bridge, OrderBridge)
        assert_type(other["bitso"], BoundGateway)
        assert_type(bridge.names, tuple[str, ...])


async def failures(bridge: OrderBridge) -> None:
    """Every error has its attributes, typed."""
    try:
        await bridge.get("x")
    except errors.OrderNotFound as error:
        assert_type(error.found, Found | None)
        assert_type(error.code, str | None)
        assert_type(error.http_status, int | None)
    except errors.RateLimited as error:
        assert_type(error.retry_after, float | None)
    except errors.AmbiguousRef as error:
        assert_type(error.orders, tuple[Order, ...])
    except errors.OutcomeUnknown as error:
        assert_type(error.placement, Placement | None)
        assert_type(error.client_order_id, str | None)
    except errors.OrderNotActive as error:
        assert_type(error.order, Order | None)
    except errors.KeyInUse as error:
        assert_type(error.placement, Placement)
    except errors.UnexpectedResponse as error:
        assert_type(error.keys, tuple[str, ...])
    except errors.OrderBridgeError as error:
        assert_type(error.gateway, str | None)
        assert_type(error.operation, str | None)


def journals() -> list[Journal]:
    """Each kind of journal is one."""
    return [SqliteJournal("orders.db"), MemoryJournal(most=100)]


def on_alarm(alarm: Alarm) -> None:
    """What a person is told of."""
    assert_type(alarm.placement, Placement | None)
    assert_type(alarm.order, Order | None)
    print(alarm.kind, alarm.message, alarm.gateway, alarm.at)


def settled(placement: Placement) -> bool:
    """What a placement says."""
    assert_type(placement.state, PlacementState)
    assert_type(placement.order, Order | None)
    assert_type(placement.client_order_id, str | None)
    assert_type(placement.attempts, int)
    assert_type(placement.gave_up, bool)
    return placement.holds_key and not placement.may_be_live


async def places(bitso: OrderGateway, request: OrderRequest, order: Order) -> None:
    """Placing at most once, and what became of it."""
    bridge = OrderBridge(
        bitso, journal=SqliteJournal("orders.db"), on_uncertain="fence", on_stale="send", on_ghost="cancel",
        watch_for=3600, on_alarm=on_alarm, settle_horizon=60, probe_times=[1, 2, 5],
    )  # fmt: skip
    async with bridge:
        prepared = await bridge.prepare("bitso", request, key="strategy-7/open")
        assert_type(prepared, Placement)
        try:
            assert_type(await bridge.place("bitso", prepared), Order)
            await bridge.place("bitso", request, key="k", send_within=2, timeout=None, read_back=True)
        except errors.OutcomeUnknown as error:
            if error.placement is not None:
                assert_type(await bridge.resolve(error.placement, timeout=30), Placement)
        many = await bridge.place_many("bitso", {"k1": request, "k2": request}, timeout=5)
        assert_type(many, Mapping[str, Placement])
        assert_type(await bridge.placement(key="k1", gateway="bitso"), Placement | None)
        assert_type(await bridge.placements(state="uncertain"), list[Placement])
        assert_type(await bridge.placements(state=PlacementState.UNCERTAIN), list[Placement])
        report = await bridge.recover()
        assert_type(report, RecoveryReport)
        assert_type(report.unreachable, dict[str, Failure])
        assert_type(await bridge.observe(order), Order)
        assert_type(await bridge.explain(many["k1"]), str)
        assert_type(await bridge.submit_at("bitso", request, not_after=1.0), Order)


async def places_bound(bound: BoundGateway, request: OrderRequest) -> None:
    """The same, bound to one gateway, which passes for a gateway itself."""
    assert_type(bound.mode, Literal["live", "paper", "sandbox"] | None)
    assert_type(await bound.prepare(request, key="k1"), Placement)
    assert_type(await bound.place(request, key="k1", read_back=True), Order)
    assert_type(await bound.place_many({"k1": request}), Mapping[str, Placement])
    assert_type(await bound.placement(key="k1"), Placement | None)
    assert_type(await bound.retry_failed("x", timeout=1.0), Order)
    await one_gateway(bound, request)


def places_in_sync(bitso: OrderGateway, request: OrderRequest, order: Order) -> None:
    """The same without `await`."""
    with SyncBridge(bitso, journal=SqliteJournal("orders.db"), on_uncertain="hold", on_alarm=on_alarm) as bridge:
        assert_type(bridge, SyncBridge)
        prepared = bridge.prepare("bitso", request, key="k1")
        assert_type(prepared, Placement)
        assert_type(bridge.place("bitso", prepared, read_back=True), Order)
        assert_type(bridge.place_many("bitso", {"k2": request}), Mapping[str, Placement])
        assert_type(bridge.resolve(prepared, timeout=5), Placement)
        assert_type(bridge.placement(key="k1"), Placement | None)
        assert_type(bridge.placements(state="placed"), list[Placement])
        assert_type(bridge.recover(), RecoveryReport)
        assert_type(bridge.observe(order), Order)
        assert_type(bridge.explain(prepared), str)
        assert_type(bridge.submit_at("bitso", request), Order)
        assert_type(next(bridge.fills()), Fill)
        assert_type(bridge.fills(strict=True).left_out, dict[str, str])
        assert_type(bridge.lookup("x", prepared, gateways=["bitso"], timeout=5), LookupResult)
        assert_type(bridge.cancel("x", wait="done"), Order)
        assert_type(bridge.market("bitso", "BTC/MXN").symbol, Symbol)
        bound = bridge["bitso"]
        assert_type(bound, SyncGateway)
        assert_type(bound.place(request, key="k3", send_within=1), Order)
        assert_type(bound.place_many({"k4": request}), Mapping[str, Placement])
        assert_type(bound.prepare(request), Placement)
        assert_type(bound.placement(key="k3"), Placement | None)
        assert_type(bound.submit(request, timeout=5), Order)
        assert_type(next(bound.orders(since=datetime.now(UTC), portfolio="p")), Order)
        assert_type(bound.capabilities, Capabilities)
    SyncBridge(OrderBridge(bitso)).close()


async def placing_mistakes(bridge: OrderBridge, bitso: OrderGateway, request: OrderRequest, given: Any) -> None:
    """What is refused at run time the checker refuses before."""
    await bridge.place(request)  # type: ignore[call-arg, arg-type]
    await bridge.place("bitso", request, "k1")  # type: ignore[call-arg]
    await bridge.place_many("bitso", [request])  # type: ignore[arg-type]
    await bridge.resolve("k1")  # type: ignore[arg-type]
    OrderBridge(bitso, on_uncertain="guess")  # type: ignore[arg-type]
    SyncBridge(bitso, on_uncertain="guess")  # type: ignore[arg-type]
    SyncBridge(bitso).cancel("x", wait="soon")  # type: ignore[arg-type]
    SyncBridge(bitso).lookup("x", timout=5)  # type: ignore[call-arg]
    SyncBridge(bitso)["bitso"].place(request, "k1")  # type: ignore[call-arg]
    SyncBridge(bitso, jornal=given)  # type: ignore[call-arg]
