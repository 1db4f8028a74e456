"""Open orders, fills and the manners of the Bitso gateway."""

import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orderbridge import OrderGateway, OrderStatus, Permit
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import (
    AmbiguousRef,
    AuthenticationFailed,
    ConfigurationError,
    NotSent,
    NotSupported,
    OrderNotFound,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Retries
from orderbridge.simulator import SimClock, Simulator
from tests.kind import KIND

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


async def test_open_orders_are_those_that_work(sim: Simulator) -> None:
    """Queued, open and partly filled orders are listed, ended ones are not."""
    working = {sim.bitso.put(status=status).order_id for status in ("queued", "open", "partially filled")}
    for status in ("completed", "cancelled"):
        sim.bitso.put(status=status)

    async with sim.bitso.gateway() as gateway:
        orders = await gateway.open_orders()

    assert {order.order_id for order in orders} == working
    assert all(order.may_be_live for order in orders)
    assert orders.as_of <= min(order.observed_at for order in orders if order.observed_at)
    assert orders.bad_rows == ()


async def test_open_orders_of_one_symbol(sim: Simulator) -> None:
    """`symbol` narrows the list on the venue's side."""
    sim.bitso.put(book="btc_mxn")
    wanted = sim.bitso.put(book="eth_mxn")

    async with sim.bitso.gateway() as gateway:
        orders = await gateway.open_orders(symbol="eth/mxn")

    assert [order.order_id for order in orders] == [wanted.order_id]
    assert sim.bitso.last_requests[-1].target == "/api/v3/open_orders?limit=500&book=eth_mxn"


async def test_full_page_is_read_again_book_by_book(sim: Simulator) -> None:
    """Five hundred rows may hide more: every book is then asked for, and no order is missing or doubled."""
    put = {sim.bitso.put(book=book).order_id for book in ("btc_mxn", "eth_mxn") for _ in range(400)}

    async with sim.bitso.gateway() as gateway:
        orders = await gateway.open_orders()

    assert len(orders) == 800
    assert {order.order_id for order in orders} == put


@pytest.mark.parametrize("symbol", [None, "BTC/MXN"])
async def test_book_that_fills_a_page_cannot_be_shown_complete(sim: Simulator, symbol: str | None) -> None:
    """More orders in one book than Bitso shows is an error, not a short list."""
    for _ in range(501):
        sim.bitso.put(book="btc_mxn")

    async with sim.bitso.gateway() as gateway:
        with pytest.raises(UnexpectedResponse, match="cannot be shown to be complete"):
            await gateway.open_orders(symbol=symbol)


async def test_open_orders_fail_as_a_whole(sim: Simulator) -> None:
    """Without an answer there is no list: an empty one would claim that nothing is open."""
    sim.bitso.fault("error_5xx", operation="open_orders")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        with pytest.raises(VenueUnavailable):
            await gateway.open_orders()


async def test_unreadable_open_order_stands_aside(sim: Simulator) -> None:
    """A row that is no order is in `bad_rows` with its id, beside its neighbours."""
    good = sim.bitso.put()
    bad = sim.bitso.put(raw={"side": "both"})

    async with sim.bitso.gateway() as gateway:
        orders = await gateway.open_orders()

    assert [order.order_id for order in orders] == [good.order_id]
    assert [row.order_id for row in orders.bad_rows] == [bad.order_id]


@pytest.mark.parametrize("setting", ["miss", "numbers", "old"])
async def test_what_bitso_may_write_otherwise_reads_the_same(setting: str) -> None:
    """Fee signs, trade ids, time forms, old words and zero as a number change nothing in the models."""
    knobs = {
        "miss": {},
        "numbers": {"unfilled_zero_as_number": False, "tid_as": "number", "fee_sign": "negative"},
        "old": {"status_spelling": "old", "time_format": "compact", "market_price_null": False},
    }[setting]
    async with Simulator(seed=1, clock=SimClock(start=1_767_607_200, running=False), bitso={**KIND, **knobs}) as sim:
        full = sim.bitso.put(oid="full000000000001", status="completed", price="1200000", quantity="0.0015")
        part = sim.bitso.put(oid="part000000000001", status="partially filled", price="1200000", quantity="0.0015")

        async with sim.bitso.gateway() as gateway:
            first, second = await gateway.get(full.order_id), await gateway.get(part.order_id)
            (fill,) = [fill async for fill in gateway.fills(full.order_id)]

    assert (first.status, first.filled_quantity) == (OrderStatus.FILLED, Decimal("0.0015"))
    assert (second.status, second.remaining_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal("0.00075"))
    assert first.created_at == datetime(2026, 1, 5, 10, tzinfo=UTC)
    assert fill.fee is not None
    assert fill.fee > 0


async def test_fills_of_one_order(sim: Simulator) -> None:
    """The trades of an order come by its oid, its origin id or either, newest first."""
    put = sim.bitso.put(
        origin_id="mine", status="completed", quantity="0.003", trades=[("1000000", "0.001"), ("1000010", "0.002")]
    )

    async with sim.bitso.gateway() as gateway:
        by_ref = [
            [fill async for fill in gateway.fills(ref)]
            for ref in (f"bitso:{put.order_id}", "bitso:client:mine", put.order_id, "mine")
        ]

    assert [fill.quantity for fill in by_ref[0]] == [Decimal("0.002"), Decimal("0.001")]
    assert all(fills == by_ref[0] for fills in by_ref)


async def test_fills_of_an_order_without_trades(sim: Simulator) -> None:
    """An order that has not matched has none; an unknown one is an error."""
    put = sim.bitso.put(status="open")

    async with sim.bitso.gateway() as gateway:
        assert [fill async for fill in gateway.fills(put.order_id)] == []
        with pytest.raises(OrderNotFound):
            _ = [fill async for fill in gateway.fills("bitso:nosuchorder")]


async def test_fills_of_the_account_are_paged_to_their_end(sim: Simulator) -> None:
    """Every trade comes once, newest first, over as many pages as there are."""
    for _ in range(250):
        sim.bitso.put(status="completed")

    async with sim.bitso.gateway() as gateway:
        fills = [fill async for fill in gateway.fills()]

    ids = [int(fill.fill_id) for fill in fills]
    assert len(ids) == len(set(ids)) == 250
    assert ids == sorted(ids, reverse=True)
    assert sum(sim.bitso.requests.values()) == 3


async def test_fills_within_a_time(sim: Simulator) -> None:
    """`since` ends the paging, `until` skips what is newer, and `symbol` narrows."""
    put_at = {}
    for hour in range(3):
        put_at[hour] = [sim.bitso.put(status="completed", book=book).order_id for book in ("btc_mxn", "eth_mxn")]
        sim.clock.advance(3600)
    now = sim.clock.now()

    async with sim.bitso.gateway() as gateway:
        window = {
            fill.order_id
            async for fill in gateway.fills(since=now - timedelta(hours=2.5), until=now - timedelta(hours=1.5))
        }
        narrowed = [fill.symbol async for fill in gateway.fills(symbol="ETH/MXN")]

    assert window == set(put_at[1])
    assert narrowed == ["ETH/MXN"] * 3


def test_calls_that_are_not_there_are_refused_when_called() -> None:
    """What the capabilities do not declare raises NotSupported at once, and says what to use instead."""
    gateway: OrderGateway = BitsoGateway(api_key="k", api_secret="s", transport="httpx")

    with pytest.raises(NotSupported, match="open_orders, lookup or fills"):
        gateway.orders(since=datetime.now(UTC))
    assert not gateway.capabilities.history


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": ""},
        {"api_secret": ""},
        {"base_url": "bitso.com/api/v3"},
        {"base_url": "http://bitso.com/api/v3"},
        {"base_url": "https://user:pw@bitso.com/api/v3"},
        {"base_url": "https://bitso.com/api/v3?x=1"},
        {"transport": "carrier-pigeon"},
    ],
)
def test_wrong_settings_are_told_before_anything_is_sent(settings: dict[str, str]) -> None:
    """A setting that cannot work is a ConfigurationError from the constructor."""
    with pytest.raises(ConfigurationError):
        BitsoGateway(**{"api_key": "k", "api_secret": "s", **settings})  # type: ignore[arg-type]


async def test_get_raises_what_stands_behind_an_undecided_answer(sim: Simulator) -> None:
    """`get` turns "undecided" into the failure, and a negative answer into OrderNotFound with its proof."""
    async with sim.bitso.gateway() as gateway, sim.bitso.gateway(api_secret="wrong", account="x") as refused:
        with pytest.raises(OrderNotFound) as missing:
            await gateway.get("bitso:nosuchorder00001")
        with pytest.raises(AuthenticationFailed) as wrong:
            await refused.get("bitso/x:nosuchorder00001")

    assert missing.value.found is not None
    assert not missing.value.found.proven_absent
    assert wrong.value.code == "0215"


async def test_permits_come_by_lane_and_are_given_back(sim: Simulator) -> None:
    """A permit is granted at the rate's pace; one that was not spent gives its slot back; cancels never wait."""
    rate = Rate(burst=1, per_second=0.001, free_lanes=frozenset({"cancel"}))
    async with sim.bitso.gateway(limits=rate) as gateway:
        async with await gateway.permit("place", timeout=1) as permit:
            assert isinstance(permit, Permit)
            with pytest.raises(NotSent):
                await gateway.permit("place", timeout=0.01)
            await gateway.permit("cancel", timeout=0.01)
        again = await gateway.permit("place", timeout=0.01)

    assert (again.gateway, again.lane) == ("bitso", "place")


async def test_closed_gateway_says_so(sim: Simulator) -> None:
    """After aclose, a call is a ConfigurationError and no mystery."""
    gateway = sim.bitso.gateway()
    await gateway.aclose()

    with pytest.raises(ConfigurationError, match="closed"):
        await gateway.lookup("bitso:x1")


async def test_no_secret_is_shown_anywhere(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr, log nor error text holds the key or the secret; each request is logged once at DEBUG."""
    caplog.set_level(logging.DEBUG)
    put = sim.bitso.put(account="mm")
    sim.bitso.fault("error_5xx", operation="lookup", nth=2)

    async with sim.bitso.gateway(retries=QUICK, account="mm") as gateway:
        await gateway.get(put.order_id)
        failed = await gateway.lookup(f"bitso/mm:{put.order_id}")

    texts = [repr(gateway), repr(failed), *(record.getMessage() for record in caplog.records)]
    assert not [text for text in texts if "simulated-" in text]
    requests = [record for record in caplog.records if record.name == "orderbridge.bitso" and "->" in record.message]
    assert len(requests) == sum(sim.bitso.requests.values())
    assert {record.__dict__["gateway"] for record in requests} == {"bitso/mm"}
    assert {record.__dict__["operation"] for record in requests} == {"lookup"}


async def test_bytes_of_every_list_that_is_read(sim: Simulator) -> None:
    """Trades and market data are asked for at the documented paths, signed or not, and without a body."""
    put, *_ = [sim.bitso.put(origin_id="mine", status="completed") for _ in range(101)]

    async with sim.bitso.gateway() as gateway:
        _ = [fill async for fill in gateway.fills(f"bitso:{put.order_id}")]
        with pytest.raises(AmbiguousRef):
            _ = [fill async for fill in gateway.fills("bitso:client:mine")]
        newest = [fill.fill_id async for fill in gateway.fills(symbol="BTC/MXN")]
        await gateway.markets()

    requests = list(sim.bitso.last_requests)
    assert [request.target for request in requests[:4]] == [
        f"/api/v3/order_trades/{put.order_id}",
        "/api/v3/order_trades?origin_id=mine",
        "/api/v3/user_trades?limit=100&sort=desc&book=btc_mxn",
        f"/api/v3/user_trades?limit=100&sort=desc&book=btc_mxn&marker={newest[99]}",
    ]
    assert {request.target for request in requests[4:]} == {
        "/api/v3/available_books",
        "/api/v3/catalogues",
        "/api/v3/fees",
    }
    assert {(request.method, request.body) for request in requests} == {("GET", b"")}
    unsigned = {request.target for request in requests if "authorization" not in request.headers}
    assert unsigned == {"/api/v3/available_books", "/api/v3/catalogues"}
