"""
What the drop-in for ccxt costs beside ccxt's own class, beyond the wire. Exit code 1 when a goal is missed.

Run: python -m tests.benchmarks.ccxt_dropin [ROUNDS]

CPU of this process, all of its threads, in turn: a plain request, ccxt's own class, ours. The venues are in a process
of their own: the simulated Bitso, and a small Binance. Journals are in memory. Own cost is what is beyond a request.
"""

import asyncio
import logging
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import ccxt.async_support as theirs

import orderbridge.ccxt.async_support as ours
from orderbridge.ccxt import bridges
from orderbridge.simulator import Simulator
from tests.ccxt.fake_binance import FakeBinance
from tests.kind import KIND

ROUNDS = 10
IN_A_ROUND = 40
MOST = {"create_order": 4.0, "fetch_order": 3.0}
ORDERS = {"bitso": ("BTC/MXN", "limit", "buy", 0.01, 560000), "binance": ("BTC/USDT", "limit", "buy", 0.01, 50000)}


def serve(told: Any) -> None:
    """Serve the venues until the end, and tell where they are."""
    with FakeBinance() as binance, Simulator(seed=1, bitso={**KIND, "pacing": False, "most_open_orders": 10**6}) as sim:
        config = {
            "apiKey": sim.bitso.api_key,
            "secret": sim.bitso.api_secret,
            "urls": {"api": {"rest": sim.bitso.origin + "/api"}},
            "enableRateLimit": False,
        }
        told.send({"bitso": config, "binance": binance.config()})
        told.recv()


async def spent(call: Callable[[int], Awaitable[object]]) -> float:
    """Microseconds of CPU of one call, of all threads."""
    began = time.process_time()
    for number in range(IN_A_ROUND):
        await call(number)
    return (time.process_time() - began) / IN_A_ROUND * 1e6


async def measured(name: str, config: dict[str, Any], rounds: int) -> list[str]:
    """The lines of one exchange; those that miss their goal end in `missed`."""
    kinds = {"ccxt": getattr(theirs, name)(config), "ours": getattr(ours, name)(config)}
    first = {}
    for who, exchange in kinds.items():
        if name == "bitso" and who == "ccxt":
            exchange.nonce = time.time_ns  # beside ours, shorter ones would be refused
        await exchange.load_markets()
        first[who] = (await exchange.create_order(*ORDERS[name]))["id"]
    url = next(iter(config["urls"]["api"].values())) + ("/v3/available_books" if name == "bitso" else "/time")
    symbol = ORDERS[name][0]
    costs: dict[tuple[str, str], list[float]] = {}
    async with aiohttp.ClientSession() as session:

        async def plain(number: int) -> None:
            async with session.post(url, data=b"x" * 150) as response:
                await response.read()

        for _ in range(rounds):
            costs.setdefault(("plain", ""), []).append(await spent(plain))
            for who, exchange in kinds.items():
                creates = lambda number, exchange=exchange: exchange.create_order(*ORDERS[name])  # noqa: E731
                fetches = lambda number, exchange=exchange, who=who: exchange.fetch_order(first[who], symbol)  # noqa: E731
                costs.setdefault((who, "create_order"), []).append(await spent(creates))
                costs.setdefault((who, "fetch_order"), []).append(await spent(fetches))
    for exchange in kinds.values():
        await exchange.close()
    wire = statistics.median(costs["plain", ""])
    lines = []
    for call, most in MOST.items():
        one, other = (statistics.median(costs[who, call]) - wire for who in kinds)
        verdict = "" if other <= most * one else "   missed"
        lines.append(
            f"{name} {call}: ccxt {one:.0f} us, ours {other:.0f} us, {other / one:.1f} x (<= {most:.0f}){verdict}"
        )
    return lines


def main() -> int:
    """Measure both exchanges, and print a line for each call."""
    logging.disable()
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    lines = [line for name, config in here.recv().items() for line in asyncio.run(measured(name, config, rounds))]
    bridges.close_all()
    here.send("end")
    process.join()
    print("\n".join(lines))
    return int(any(line.endswith("missed") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
