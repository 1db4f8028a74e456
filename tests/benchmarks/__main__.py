"""
What a call costs above its transport, beside ccxt's own in turns A B A B: the median of the ratios of CPU time.

Run: python -m tests.benchmarks [ROUNDS]     (needs ccxt; prints, and asserts nothing: other load moves the figures)

Both are given the same answers of Bitso's, at once and in this process, so that nothing of HTTP is in it.
"""

import asyncio
import gc
import itertools
import logging
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import ccxt.async_support as ccxt

import orderbridge.ccxt.async_support as drop_in
from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.adapters.bitso.mapping import order_from_row
from orderbridge.ccxt import bridges
from orderbridge.http.body import load
from tests.benchmarks.instant import MANY, AtOnce, answer, limit_buy

ROUNDS = 40
_numbers = itertools.count(1)


class Session:
    """What answers at once, in place of ccxt's aiohttp session."""

    headers: dict[str, str] = {}  # noqa: RUF012 - ccxt asks for it

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda url, **_: Answered(answer(method.upper(), str(url)))

    async def close(self) -> None: ...


class Answered:
    """A response of aiohttp's, as far as ccxt looks at it."""

    status, reason = 200, "OK"

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.headers = {"Content-Type": "application/json"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode("utf-8", errors)


class Row(NamedTuple):
    """Ours and ccxt's, made `times` in a row; the goal is a ratio, where there is one."""

    what: str
    goal: float | None
    ours: Callable[[], Awaitable[object]]
    theirs: Callable[[], Awaitable[object]]
    times: int = 20


async def rows(stack: AsyncExitStack) -> list[Row]:
    """What is measured."""
    keys: dict[str, Any] = {"api_key": "key", "api_secret": "secret", "transport": AtOnce(), "limits": None}
    gateway = await stack.enter_async_context(BitsoGateway(**keys))
    bridge = await stack.enter_async_context(OrderBridge(BitsoGateway(**keys)))
    their = ccxt.bitso({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
    stack.push_async_callback(their.close)
    their.open = lambda *_: None
    their.session = Session()
    await their.load_markets()
    bridges.AiohttpTransport.send = AtOnce.send  # type: ignore[assignment, method-assign]
    our = drop_in.bitso({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
    stack.callback(bridges.close_all)
    request, now = limit_buy(), datetime.now(UTC)

    async def decode() -> object:
        rows = load(MANY)["payload"]
        return [order_from_row(row, account="default", source="open orders", observed_at=now) for row in rows]

    async def parse() -> object:
        return their.parse_orders(their.parse_json(MANY.decode())["payload"])

    def get() -> Awaitable[object]:
        return their.fetch_order("Q1")

    def create() -> Awaitable[object]:
        return their.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)

    return [
        Row("gateway.get", 0.85, lambda: gateway.get("bitso:Q1"), get),
        Row("bridge.get", 1.0, lambda: bridge.get("bitso:Q1"), get),
        Row("gateway.submit", 1.0, lambda: gateway.submit(request), create),
        Row("bridge.place, in memory", 2.2, lambda: bridge.place("bitso", request, key=f"k{next(_numbers)}"), create),
        Row("ccxt's class, fetch_order", 3.0, lambda: our.fetch_order("new1"), lambda: their.fetch_order("new1")),
        # Its trades are read with it, in a second request, for the average and the fees that ccxt does not tell.
        Row("the same, filled in part", None, lambda: our.fetch_order("Q1"), get),
        Row(
            "ccxt's class, create_order", 4.0, lambda: our.create_order("BTC/MXN", "limit", "buy", 0.01, 560000), create
        ),
        Row("499 orders out of a body", 0.30, decode, parse, 1),
        Row("open_orders, 499 of them", None, gateway.open_orders, lambda: their.fetch_open_orders("BTC/MXN"), 1),
    ]


async def cost(call: Callable[[], Awaitable[object]], times: int) -> float:
    """Microseconds of CPU for one call, of all threads: the drop-in for ccxt has its bridges in one of their own."""
    before = time.process_time()
    for _ in range(times):
        await call()
    return (time.process_time() - before) / times * 1e6


async def run(rounds: int) -> None:
    """The table."""
    async with AsyncExitStack() as stack:
        for row in await rows(stack):
            pairs = []
            for _ in range(rounds + 1):
                gc.collect()
                pairs.append((await cost(row.ours, row.times), await cost(row.theirs, row.times)))
            del pairs[0]  # the first warms up
            ratio = statistics.median(ours / theirs for ours, theirs in pairs)
            ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
            goal = "" if row.goal is None else f"<= {row.goal:.2f}  {'met' if ratio <= row.goal else 'MISSED'}"
            print(f"{row.what:<28} {ours:>9,.0f} us {theirs:>9,.0f} us  {ratio:5.2f} x  {goal}", flush=True)


if __name__ == "__main__":
    logging.getLogger("orderbridge").setLevel(logging.ERROR)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, ccxt {ccxt.__version__}")
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
