"""
How fast and how large the simulator is. Prints; asserts nothing.

Run: python tests/benchmarks/simulator.py

1. Place-and-look-up pairs a second over sockets, from lean clients in a process of their own.
2. Memory of a book of 100,000 resting orders, and the time of a look-up by id in it.
3. The time of a start and stop, as every test of a bot has one.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from orderbridge.simulator import Simulator

PAIRS = 6_000
CLIENTS = 8
RESTING = 100_000
LOOKUPS = 2_000
STARTS = 50


class Lean:
    """A Bitso client over one bare connection: it signs, writes and reads, and nothing else."""

    nonces = itertools.count(time.time_ns())

    def __init__(self, key: str, secret: str) -> None:
        self._key = key
        self._secret = secret.encode()

    async def connect(self, port: int) -> None:
        """Open the connection."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def call(self, method: str, target: str, body: bytes = b"") -> bytes:
        """The body of the answer, which must be a 200."""
        nonce = str(next(self.nonces))
        signature = hmac.new(self._secret, f"{nonce}{method}{target}".encode() + body, hashlib.sha256).hexdigest()
        head = (
            f"{method} {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bitso {self._key}:{nonce}:{signature}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        length = int(answer.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self._reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def pairs(port: int, key: str, secret: str, count: int) -> float:
    """Seconds for `count` pairs, shared among the clients."""

    async def client(number: int) -> None:
        lean = Lean(key, secret)
        await lean.connect(port)
        for turn in range(count // CLIENTS):
            price = 600_000 + 10 * (turn % 5_000)
            order = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.001", "price": str(price)}
            placed = await lean.call("POST", "/api/v3/orders", json.dumps(order).encode())
            oid = json.loads(placed)["payload"]["oid"]
            found = await lean.call("GET", f"/api/v3/orders/{oid}")
            assert json.loads(found)["payload"][0]["oid"] == oid
        lean.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return time.perf_counter() - begin


def run_pairs(port: int, key: str, secret: str, count: int) -> None:
    """The clients' process."""
    seconds = asyncio.run(pairs(port, key, secret, count))
    print(f"over sockets: {count / seconds:,.0f} place-and-look-up pairs a second ({CLIENTS} connections)")


def in_process_of_its_own(target: Callable[..., None], *arguments: object) -> None:
    """Run and wait."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{target.__name__} failed with exit code {process.exitcode}")


def throughput(count: int = PAIRS) -> None:
    """Servers here, in a thread; clients in another process."""
    with Simulator(seed=1, bitso={"pacing": False}) as sim:
        port = int(sim.bitso.origin.rpartition(":")[2])
        in_process_of_its_own(run_pairs, port, sim.bitso.api_key, sim.bitso.api_secret, count)


async def look_ups(sim: Simulator, oids: list[str]) -> list[float]:
    """Seconds of each look-up over a socket."""
    lean, times = Lean(sim.bitso.api_key, sim.bitso.api_secret), []
    async with sim:
        await lean.connect(int(sim.bitso.origin.rpartition(":")[2]))
        for oid in oids:
            begin = time.perf_counter()
            found = await lean.call("GET", f"/api/v3/orders/{oid}")
            times.append(time.perf_counter() - begin)
            assert json.loads(found)["payload"][0]["oid"] == oid
        lean.close()
    return times


def large_book(resting: int = RESTING, lookups: int = LOOKUPS) -> None:
    """Fill a book, then look orders up in it."""
    before = _megabytes()
    sim = Simulator(seed=1, bitso={"pacing": False})
    begin = time.perf_counter()
    for number in range(resting):
        sim.bitso.put(price=500_000 + 10 * (number % 30_000), quantity="0.001", origin_id=f"n{number}")
    filled = time.perf_counter() - begin
    size = _megabytes()
    oids = [order.oid for order in sim.bitso.accepted()[:: resting // lookups]]
    times = asyncio.run(look_ups(sim, oids))
    print(f"{resting:,} resting orders: {size:,.0f} MB in all, {size - before:,.0f} MB for them, put in {filled:.1f} s")
    print(
        f"a look-up by id in that book, over a socket: median {statistics.median(times) * 1000:.2f} ms, "
        f"worst {max(times) * 1000:.2f} ms"
    )


def starts(count: int = STARTS) -> None:
    """Start and stop, with a connection to each."""

    async def one() -> None:
        async with Simulator() as sim:
            lean = Lean(sim.bitso.api_key, sim.bitso.api_secret)
            await lean.connect(int(sim.bitso.origin.rpartition(":")[2]))
            await lean.call("GET", "/api/v3/available_books")
            lean.close()

    times = []
    for _ in range(count):
        begin = time.perf_counter()
        asyncio.run(one())
        times.append(time.perf_counter() - begin)
    print(f"a start and stop: median {statistics.median(times) * 1000:.1f} ms, worst {max(times) * 1000:.1f} ms")


def _megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    throughput()
    in_process_of_its_own(large_book)
    starts()
