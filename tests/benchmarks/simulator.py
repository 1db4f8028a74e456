"""How fast and how large the simulator is: over sockets, in a process that has nothing beside it and its client."""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from socket import create_connection
from typing import Any

from orderbridge.simulator import Simulator
from orderbridge.simulator.bitso.auth import sign
from orderbridge.simulator.message import Request
from tests.benchmarks.figures import ROOT, Row, alone

RESTING = 100_000
_PAIRS, _LOOKS = 2_000, 2_000


async def simulator(_: int) -> AsyncIterator[Row]:
    """Place-and-look-up pairs a second; a book of 100,000 resting orders, and a look-up by id in it."""
    command = [sys.executable, "-m", "tests.benchmarks.simulator"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    pairs, size, look = json.loads(done.stdout)
    yield alone("simulator", "the simulator: place-and-look-up pairs a second of CPU", pairs, 1_000, at_least=True)
    yield alone("simulator", "the simulator: memory of 100,000 resting orders", size, 400 * 1024**2, "B")
    yield alone("simulator", "the simulator: a look-up by id among them", look, 0.005, "s")


class Client:
    """Signs, sends and reads, one request after another, and nothing else."""

    def __init__(self, sim: Simulator) -> None:
        self._socket = create_connection(("127.0.0.1", int(sim.bitso.origin.rpartition(":")[2])))
        self._key, self._secret = sim.bitso.api_key, sim.bitso.api_secret

    def call(self, method: str, target: str, body: bytes = b"") -> Any:
        """The payload of the answer, which must be a 200 that comes in one piece."""
        nonce = str(time.time_ns())
        signature = sign(self._secret, nonce, Request(method, target, {}, body))
        head = f"{method} {target} HTTP/1.1\r\ncontent-length: {len(body)}\r\n"
        head += f"authorization: Bitso {self._key}:{nonce}:{signature}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        told = self._socket.recv(1 << 16)
        assert told.startswith(b"HTTP/1.1 200 "), told
        return json.loads(told.partition(b"\r\n\r\n")[2])["payload"]


def measured() -> tuple[float, int, float]:
    """Pairs a second, bytes of the process with a large book, and seconds of a look-up in it: CPU of both sides."""
    with Simulator(seed=1, bitso={"pacing": False}) as sim:
        client, begin = Client(sim), time.process_time()
        for number in range(_PAIRS):
            price = str(600_000 + 10 * (number % 5_000))
            order = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.001", "price": price}
            placed = client.call("POST", "/api/v3/orders", json.dumps(order).encode())
            client.call("GET", f"/api/v3/orders/{placed['oid']}")
        pairs = _PAIRS / (time.process_time() - begin)
        for number in range(RESTING):
            sim.bitso.put(price=500_000 + 10 * (number % 30_000), quantity="0.001", origin_id=f"n{number}")
        taken = []
        for order in sim.bitso.accepted()[:: RESTING // _LOOKS]:
            begin = time.process_time()
            client.call("GET", f"/api/v3/orders/{order.oid}")
            taken.append(time.process_time() - begin)
    return pairs, most_memory(), statistics.median(taken)


def most_memory() -> int:
    """Bytes. Not by getrusage: that also counts what the process was before it became this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    print(json.dumps(measured()))
