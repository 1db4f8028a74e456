"""
What calls cost beside ccxt's: their own work, with answers that come at once, and the whole of it over loopback.

Run: python -m tests.benchmarks.calls SIDE CALL TIMES     (what valgrind counts the instructions of)
"""

import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.adapters.bitso.mapping import order_from_row
from orderbridge.http.body import load
from orderbridge.placement import SqliteJournal
from tests.benchmarks.figures import Call, Figure, Row, alone, in_turn, instructions, many, ratio, spent
from tests.benchmarks.instant import KEYS, MANY, AtOnce, Session, limit_buy, place_on
from tests.benchmarks.serving import serving

AT_ONCE = 50
_WARM_UP = 3
_PAUSE = 0.002
_DURABLE = "place, 50 at once"
_BOUGHT = ("BTC/MXN", "limit", "buy", 0.01, 560000)
# Under valgrind all takes fifty times as long.
_PATIENT = {"send_within": 600, "timeout": 600}


def our_page(body: bytes = MANY) -> list[Any]:
    """The orders of a body."""
    now = datetime.now(UTC)
    rows = load(body)["payload"]
    return [order_from_row(row, account="default", source="open orders", observed_at=now) for row in rows]


async def ours(
    stack: AsyncExitStack, origin: str | None = None, *, journal: bool = False, **keys: Any
) -> dict[str, Call]:
    """Our calls, at an address or answered at once; those with the journal where it is asked for."""
    keys = {**KEYS, **({"base_url": origin} if origin else {"transport": AtOnce()}), **keys}
    gateway = await stack.enter_async_context(BitsoGateway(**keys))
    bridge = await stack.enter_async_context(OrderBridge(BitsoGateway(**keys)))
    request = limit_buy()

    async def page() -> object:
        return our_page()

    calls: dict[str, Call] = {
        "get": lambda: gateway.get("bitso:Q1", timeout=600),
        "bridge.get": lambda: bridge.get("bitso:Q1", timeout=600),
        "submit": lambda: gateway.submit(request, timeout=600),
        "place": place_on(bridge, **_PATIENT),
        "page": page,
        "open_orders": gateway.open_orders,
        "lookup": lambda: gateway.lookup(*(f"bitso:Q{number}" for number in range(1_000))),
    }
    if journal:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orderbridge-")))
        durable = OrderBridge(BitsoGateway(**keys), journal=SqliteJournal(folder / "orders.db"))
        await stack.enter_async_context(durable)
        await durable.recover()
        calls[_DURABLE] = many(place_on(durable, **_PATIENT), AT_ONCE)
    return calls


async def theirs(stack: AsyncExitStack, origin: str | None = None, **keys: Any) -> dict[str, Call]:
    """ccxt's, the same way."""
    import ccxt.async_support as ccxt

    exchange = ccxt.bitso({"apiKey": "key", "secret": "secret", "enableRateLimit": False, **keys})
    stack.push_async_callback(exchange.close)
    if origin:
        exchange.urls["api"] = {"rest": origin + "/api"}
    else:
        exchange.open, exchange.session = (lambda *_: None), Session()
    await exchange.load_markets()

    async def page() -> object:
        return exchange.parse_orders(exchange.parse_json(MANY.decode())["payload"])

    def create() -> Any:
        return exchange.create_order(*_BOUGHT)

    return {
        "fetch_order": lambda: exchange.fetch_order("Q1"),
        "create_order": create,
        "create_order, 50 at once": many(create, AT_ONCE),
        "page": page,
        "fetch_open_orders": lambda: exchange.fetch_open_orders("BTC/MXN"),
    }


class Own(NamedTuple):
    """Two calls whose own work is measured; made `times` in a row, and `counted` times under valgrind."""

    what: str
    ours: str
    theirs: str
    goal: float | None
    times: int = 20
    counted: int = 500


OWN = [
    Own("one look-up by id, above the transport", "get", "fetch_order", 0.85),
    Own("`bridge.get`, above the transport", "bridge.get", "fetch_order", None),
    Own("`submit`, above the transport", "submit", "create_order", 1.0),
    Own("`place` in memory, above the transport", "place", "create_order", 2.2),
    # So many, as what recovery does meanwhile is of the size of several calls, and differs in each run.
    Own("`place` with the SQLite journal, 50 at once", _DURABLE, "create_order, 50 at once", 3.2, 1, 50),
    Own("499-order page, bytes to orders with raw", "page", "page", 0.30, 1, 5),
]


async def own(rounds: int, *, counting: bool = True) -> AsyncIterator[Row]:
    """What is above the transport; instructions where valgrind is there, CPU beside them."""
    counted = _counted() if counting else {}
    async with AsyncExitStack() as stack:
        our, their = await ours(stack, journal=True), await theirs(stack)
        for row in OWN:
            measured = await in_turn(our[row.ours], their[row.theirs], rounds=rounds, times=row.times)
            figures = [measured["CPU of all threads"], measured["wall"]]
            if counted:
                a, b = counted["ours", row.ours], counted["theirs", row.theirs]
                figures.insert(0, Figure("instructions", a / b, a, b, "instr."))
            yield Row("calls", row.what, tuple(figures), row.goal)
        worst = [await _stall(call) for call in (our["open_orders"], their["fetch_open_orders"])]
        stalls = Figure("CPU in one piece", worst[0], *worst, of="s")
        yield Row("calls", "longest stall of the loop by that page", (stalls,), 0.003)


async def drop_in(rounds: int) -> AsyncIterator[Row]:
    """What ccxt's own classes cost with the orders taken over, beside the classes as they are."""
    import orderbridge.ccxt.async_support as taken_over
    from orderbridge.ccxt import bridges

    async with AsyncExitStack() as stack:
        stack.enter_context(mock.patch.object(bridges.AiohttpTransport, "send", AtOnce.send))
        their = await theirs(stack)
        our = taken_over.bitso({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
        stack.callback(bridges.close_all)
        fetch, create = (lambda: our.fetch_order("new1")), (lambda: our.create_order(*_BOUGHT))
        for name, call, goal in (("fetch_order", fetch, 3.0), ("create_order", create, 4.0)):
            measured = await in_turn(call, their[name], rounds=rounds, times=20)
            rested = await _after_pauses(call, their[name], rounds=rounds, times=20)
            figures = measured["CPU of all threads"], rested, measured["wall"]
            yield Row("drop-in", f"ccxt's class taken over: `{name}`", figures, goal)


async def _after_pauses(our: Call, their: Call, *, rounds: int, times: int) -> Figure:
    """CPU of calls that find threads asleep and caches cold, as behind a wire they do; less that of the pauses."""

    def paused(call: Call | None) -> Call:
        async def both() -> None:
            await asyncio.sleep(_PAUSE)
            if call is not None:
                await call()

        return both

    taken = []
    for _ in range(rounds):
        ours, theirs, idle = [(await spent(paused(each), times))[1] for each in (our, their, None)]
        taken.append((ours - idle, theirs - idle))
    return ratio("CPU of all threads, each after a pause", taken)


async def loopback(rounds: int) -> AsyncIterator[Row]:
    """The whole of it, through the engine that is taken by itself, with a server in a process of its own."""
    async with AsyncExitStack() as stack:
        origin = stack.enter_context(serving())
        our, their = await ours(stack, origin), await theirs(stack, origin)
        get = await in_turn(our["get"], their["fetch_order"], rounds=rounds, times=20)
        loop, process, wall = get.values()
        yield Row("loopback", "one look-up, CPU of the loop", (loop, wall), 0.65)
        yield Row("loopback", "the same, CPU of all threads", (process,), 1.0)
        both = many(our["get"], AT_ONCE), many(their["fetch_order"], AT_ONCE)
        loop, _, wall = (await in_turn(*both, rounds=rounds, times=4)).values()
        rate = wall._replace(kind="rate", value=1 / wall.value)
        yield Row("loopback", "50 in flight", (rate, loop), 1.7, at_least=True)
        loop, _, wall = (await in_turn(our["bridge.get"], their["fetch_order"], rounds=rounds, times=20)).values()
        yield Row("loopback", "`bridge.get`", (loop, wall), 1.0)
    async with AsyncExitStack() as stack:
        origin = stack.enter_context(serving(0.05))
        our, their = await ours(stack, origin), await theirs(stack, origin)
        both = our["get"], their["fetch_order"]
        loop, _, wall = (await in_turn(*both, rounds=max(3, rounds // 4), times=10)).values()
        yield Row("loopback", "one look-up at a time, 50 ms away", (wall, loop), 1.02)


async def thousand(_: int) -> AsyncIterator[Row]:
    """Many ids with the limits that are set by default, 50 ms away; ccxt asks for one id at a time."""
    async with AsyncExitStack() as stack:
        origin = stack.enter_context(serving(0.05))
        their = await theirs(stack, origin, enableRateLimit=True)
        await their["fetch_order"]()
        each = (await spent(their["fetch_order"], 3))[2]
        taken = []
        for number in range(3):
            our = await ours(stack, origin, limits="venue", api_key=f"key{number}")
            await our["get"]()
            taken.append((await spent(our["lookup"], 1))[2])
        best = min(taken)
        faster = Figure("wall, ccxt's from three", each * 1_000 / best, best, each * 1_000)
        yield Row("many ids", "1,000 ids, default limits, 50 ms away", (faster,), 5_000, at_least=True)
        yield alone("many ids", "round trips in that time", best // 0.05, 5)


async def _stall(call: Call) -> float:
    """Seconds of CPU for which nothing else had its turn, at the median of some calls."""
    worst = []
    for _ in range(7):
        task, longest, before = asyncio.ensure_future(call()), 0.0, time.thread_time()
        while not task.done():
            await asyncio.sleep(0)
            longest, before = max(longest, time.thread_time() - before), time.thread_time()
        await task
        worst.append(longest)
    return sorted(worst)[3]


def _counted() -> dict[tuple[str, str], float]:
    """Instructions of each call of `OWN`: of so many of them, less of none. Nothing where there is no valgrind."""
    wanted = {("ours", row.ours): row.counted for row in OWN} | {("theirs", row.theirs): row.counted for row in OWN}

    def count(side: str, call: str, times: int) -> int | None:
        return instructions("-m", "tests.benchmarks.calls", side, call, str(times))

    asked = [(*key, times) for key, most in wanted.items() for times in (0, most)]
    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(asked, pool.map(lambda each: count(*each), asked), strict=True))
    return {
        (side, call): (counted - nothing) / times
        for (side, call, times), counted in found.items()
        if times and counted is not None and (nothing := found[side, call, 0]) is not None
    }


async def _repeat(side: str, call: str, times: int) -> None:
    async with AsyncExitStack() as stack:
        # Only what is counted: the journal's thread takes its turns differently in each run.
        calls = await (ours(stack, journal=call == _DURABLE) if side == "ours" else theirs(stack))
        for _ in range(_WARM_UP + times):
            await calls[call]()


if __name__ == "__main__":
    logging.getLogger("orderbridge").setLevel(logging.ERROR)
    asyncio.run(_repeat(sys.argv[1], sys.argv[2], int(sys.argv[3])))
