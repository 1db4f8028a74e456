"""Bots as a new user would write them, against the simulator as production is."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from orderbridge import Order, OrderBridge, OrderRequest
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator

ROOT = Path(__file__).parents[2]
SETTLED = 130.0
WITH_JOURNAL = pytest.mark.parametrize("journalled", [True, False], ids=["journal", "memory"])


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Both venues; Bitso forgets an order when it ends."""
    async with Simulator(seed=3, bitso={"pacing": False}) as made:
        yield made


def over_both(sim: Simulator, folder: Path, *, journalled: bool = True) -> OrderBridge:
    """A bot's bridge."""
    gateways = sim.bitso.gateway(), sim.bitcain.gateway(trading_mode="paper")
    return OrderBridge(*gateways, journal=SqliteJournal(folder / "orders.db") if journalled else None)


class MarketMaker:
    """Keeps one quote on each side of the market, and puts a new one where the last one is over."""

    def __init__(self, bridge: OrderBridge, prices: dict[str, str]) -> None:
        self.bridge = bridge
        self.prices = prices
        self.quotes: dict[str, Order] = {}
        self.placed = 0

    async def tick(self) -> None:
        """Look at each quote, and quote anew where it is over."""
        for side, price in self.prices.items():
            if side in self.quotes:
                self.quotes[side] = await self.bridge.get(self.quotes[side])
            if side not in self.quotes or self.quotes[side].is_done:
                self.placed += 1
                quote = OrderRequest.limit(symbol="BTC/MXN", side=side, quantity="0.01", price=price, post_only=True)
                self.quotes[side] = await self.bridge.place("bitso", quote, key=f"mm/{self.placed}")


@WITH_JOURNAL
async def test_a_market_maker_quotes_anew_what_was_cancelled(
    sim: Simulator, tmp_path: Path, *, journalled: bool
) -> None:
    """A quote that the web page or post-only cancelled is seen to end and placed again; one that rests is left."""
    async with over_both(sim, tmp_path, journalled=journalled) as bridge:
        maker = MarketMaker(bridge, {"buy": "1200000", "sell": "900000"})  # the sell would trade, so Bitso cancels it
        await maker.tick()
        resting, refused = maker.quotes["buy"], maker.quotes["sell"]
        maker.prices["sell"] = "1900000"
        for _ in range(3):
            await maker.tick()
            sim.clock.advance(SETTLED)
        assert maker.quotes["sell"].order_id != refused.order_id
        assert maker.quotes["buy"].order_id == resting.order_id

        with sim.bitso.lock:
            sim.bitso.engine.cancel(sim.bitso.accepted(order_id=resting.order_id)[0])
        for _ in range(3):
            await maker.tick()
            sim.clock.advance(SETTLED)

        live = [order for order in sim.bitso.accepted() if order.active]
        assert {order.id for order in live} == {maker.quotes["buy"].order_id, maker.quotes["sell"].order_id}
        assert maker.placed == 4


@WITH_JOURNAL
@pytest.mark.parametrize("end", ["filled", "partly, then cancelled", "cancelled"])
async def test_who_waits_is_told_when_an_order_is_over(
    sim: Simulator, tmp_path: Path, *, journalled: bool, end: str
) -> None:
    """A loop over `get` until the order is done comes to its end, with the fills that it had."""
    async with over_both(sim, tmp_path, journalled=journalled) as bridge:
        request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="600000")
        order = await bridge.place("bitso", request)
        with sim.bitso.lock:
            (there,) = sim.bitso.accepted(order_id=order.order_id)
            if end != "cancelled":
                sim.bitso.engine.fill(there, quantity=there.quantity / (1 if end == "filled" else 4))
            if end != "filled":
                sim.bitso.engine.cancel(there)
        looks = 0
        while not order.is_done:
            order = await bridge.get(order)
            sim.clock.advance(SETTLED)
            looks += 1
            assert looks <= 5

        assert order.status == ("filled" if end == "filled" else "cancelled")
        assert order.filled_quantity == there.filled
        assert order.quantity == request.quantity


async def test_waiting_for_the_end_of_an_order_costs_one_round_of_reads_a_look(sim: Simulator, tmp_path: Path) -> None:
    """A look at an order that Bitso stopped showing is look-up, open list, trades, look-up, and each of them once."""
    async with over_both(sim, tmp_path) as bridge:
        order = await bridge.place(
            "bitso", OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="600000")
        )
        with sim.bitso.lock:
            sim.bitso.engine.cancel(sim.bitso.accepted(order_id=order.order_id)[0])
        sim.bitso.requests.clear()

        await bridge.get(order)

        assert sim.bitso.requests == {
            f"GET /api/v3/orders/{order.order_id}": 2,
            "GET /api/v3/open_orders": 1,
            f"GET /api/v3/order_trades/{order.order_id}": 1,
        }


async def test_a_panic_script_proves_that_nothing_is_left(sim: Simulator, tmp_path: Path) -> None:
    """Everything is cancelled at every venue, and what was not proven to be over is named."""
    async with over_both(sim, tmp_path) as bridge:
        for number in range(5):
            price = 500_000 + 1000 * number
            await bridge.place(
                "bitso",
                OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price=price),
                key=f"a{number}",
            )
            away = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.01", price=10_000 + number)
            await bridge.place("bitcain", away, key=f"b{number}")
        stop = OrderRequest.stop_limit(
            symbol="BTC/MXN", side="sell", quantity="0.01", price="300000", stop_price="310000"
        )
        await bridge.place("bitso", stop, key="stop")

        receipt = await bridge.cancel_all(scope="account")
        left = await bridge.open_orders()

        assert receipt.is_complete, receipt
        assert len(receipt.orders) == 11
        assert not left.orders
        assert not left.unreachable
    assert not [order for venue in (sim.bitso, sim.bitcain) for order in venue.accepted() if order.active]


async def started(sim: Simulator, folder: Path, day: str) -> asyncio.subprocess.Process:
    """The job of a day, in a process of its own."""
    arguments = sim.bitso.base_url, str(folder / "dca.db"), day, "3"
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.bots.dca", *arguments, cwd=ROOT)


async def test_a_job_that_died_over_an_order_that_never_came_buys_at_the_next_start(
    sim: Simulator, tmp_path: Path
) -> None:
    """The next start proves that the order of the first was lost, and then buys once."""
    sim.bitso.fault("drop", operation="place", nth=1)
    job = await started(sim, tmp_path, "2026-11-28")
    async with asyncio.timeout(60):
        while not sim.bitso.requests["POST /api/v3/orders"]:  # noqa: ASYNC110 - the server counts, and tells nobody
            await asyncio.sleep(0.005)
    job.kill()
    await job.wait()

    job = await started(sim, tmp_path, "2026-11-28")

    assert await asyncio.wait_for(job.wait(), 60.0) == 0
    assert len(sim.bitso.accepted()) == 1


async def test_a_job_that_is_killed_at_random_buys_once_a_day(sim: Simulator, tmp_path: Path) -> None:
    """However often it dies and wherever, a day has one order, and the last start of the day knows it."""
    rng = Random(7)
    sim.bitso.fault("accept_then_drop", operation="place", probability=0.3)
    for day in ("2026-11-28", "2026-11-29", "2026-11-30"):
        for start in range(6):
            job = await started(sim, tmp_path, day)
            try:
                code = await asyncio.wait_for(job.wait(), 60.0 if start == 5 else rng.uniform(0.4, 1.5))
            except TimeoutError:
                job.kill()
                await job.wait()
            else:
                assert code in (0, 3)
        assert code == 0, day
        sim.clock.advance(86_400.0)
    assert len(sim.bitso.accepted()) == 3
