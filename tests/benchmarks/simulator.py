"""How fast and how large the simulator is: over sockets, from a lean client in a process of its own."""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

from orderbridge.simulator import Simulator
from orderbridge.simulator.bitso.auth import sign
from orderbridge.simulator.message import Request
from tests.benchmarks.figures import ROOT, Figure, Row

RESTING = 100_000
_PAIRS, _LOOKS = 2_000, 2_000


async def simulator(_: int) -> AsyncIterator[Row]:
    """Place-and-look-up pairs a second; a book of 100,000 resting orders, and a look-up by id in it."""
    command = [sys.executable, "-m", "tests.benchmarks.simulator"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    pairs, size, look = json.loads(done.stdout)
    for what, value, unit, goal in (
        ("the simulator: place-and-look-up pairs a second", pairs, "", 1_000),
        ("the simulator: memory of 100,000 resting orders", size, "B", 400 * 1024**2),
        ("the simulator: a look-up by id among them", look, "s", 0.005),
    ):
        yield Row("simulator", what, (Figure("", value, value, of=unit),), goal, at_least=not unit)


class Client:
    """Signs, sends and reads, one request after another."""

    def __init__(self, sim: Simulator) -> None:
        self._connection = HTTPConnection(urlsplit(sim.bitso.origin).netloc)
        self._key, self._secret = sim.bitso.api_key, sim.bitso.api_secret

    def call(self, method: str, target: str, order: dict[str, str] | None = None) -> object:
        """The payload of the answer, which must be a 200."""
        body, nonce = b"" if order is None else json.dumps(order).encode(), str(time.time_ns())
        signature = sign(self._secret, nonce, Request(method, target, {}, body))
        headers = {"authorization": f"Bitso {self._key}:{nonce}:{signature}"}
        self._connection.request(method, target, body, headers)
        answer = self._connection.getresponse()
        told = answer.read()
        assert answer.status == 200, told
        return json.loads(told)["payload"]


def measured() -> tuple[float, int, float]:
    """Pairs a second, bytes of the process with a large book, and seconds of a look-up in it."""
    with Simulator(seed=1, bitso={"pacing": False}) as sim:
        client, begin = Client(sim), time.perf_counter()
        for number in range(_PAIRS):
            price = str(600_000 + 10 * (number % 5_000))
            order = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.001", "price": price}
            client.call("GET", f"/api/v3/orders/{client.call('POST', '/api/v3/orders', order)['oid']}")
        pairs = _PAIRS / (time.perf_counter() - begin)
        for number in range(RESTING):
            sim.bitso.put(price=500_000 + 10 * (number % 30_000), quantity="0.001", origin_id=f"n{number}")
        taken = []
        for order in sim.bitso.accepted()[:: RESTING // _LOOKS]:
            begin = time.perf_counter()
            client.call("GET", f"/api/v3/orders/{order.oid}")
            taken.append(time.perf_counter() - begin)
    return pairs, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, statistics.median(taken)


if __name__ == "__main__":
    print(json.dumps(measured()))
