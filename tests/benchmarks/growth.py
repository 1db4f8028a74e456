"""How the cost of one order grows with their number: looked up, seen again, waited for."""

import asyncio
import contextlib
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.http.limits import Limiter, Rate
from tests.benchmarks.calls import our_page
from tests.benchmarks.figures import Figure, Row
from tests.benchmarks.instant import KEYS, AtOnce, body_of

SIZES = (10, 100, 1_000, 10_000)


async def looked_up(number: int) -> float:
    """Asked for by id in one call."""
    async with BitsoGateway(**KEYS, transport=AtOnce()) as gateway:
        ids = [f"bitso:Q{each}" for each in range(number)]
        begin = time.process_time()
        found = await gateway.lookup(*ids, timeout=None)
        took = time.process_time() - begin
        assert all(each.order for each in found.found)
        return took


async def seen_again(number: int) -> float:
    """Shown to a bridge that knows each of them already, a second later."""
    orders = our_page(body_of(number))
    async with OrderBridge(BitsoGateway(**KEYS, transport=AtOnce())) as bridge:
        for order in orders:
            await bridge.observe(order)
        later = [order.model_copy(update={"observed_at": order.observed_at + timedelta(seconds=1)}) for order in orders]
        begin = time.process_time()
        for order in later:
            await bridge.observe(order)
        return time.process_time() - begin


async def waited_for(number: int) -> float:
    """Waiting for their turn in the rate limit, of which half come to it and half are called off."""
    limiter = Limiter(Rate(burst=1, per_second=20_000))
    begin = time.process_time()
    tasks = [asyncio.ensure_future(limiter.acquire("read")) for _ in range(number)]
    await asyncio.gather(*tasks[: number // 2])
    for task in tasks[number // 2 :]:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)
    return time.process_time() - begin


async def growth(rounds: int) -> AsyncIterator[Row]:
    """
    The worst step of each from one size to ten times that, in what one order costs: 1 is linear, 10 is quadratic.

    What is above 1 up to the goal is what memory takes that no cache holds any more. What other rows have left in this
    process is kept from the garbage collector meanwhile, which would walk through all of it too.
    """
    gc.collect()
    gc.freeze()
    calls: dict[str, Callable[[int], Awaitable[float]]] = {
        "looked up by id": looked_up,
        "seen again": seen_again,
        "waited for in a rate limit": waited_for,
    }
    for what, call in calls.items():
        points = {}
        for size in SIZES:
            taken = [await call(size) / size for _ in range(max(5, min(rounds, 2_000 // size)))]
            points[size] = min(taken)  # other load only adds
        steps = [points[SIZES[at + 1]] / points[SIZES[at]] for at in range(len(SIZES) - 1)]
        worst = Figure("for ten times as many", max(steps), points[SIZES[-1]])
        yield Row("growth", f"10 to 10,000 orders {what}", (worst,), 1.5, points={what: points})
    gc.unfreeze()
