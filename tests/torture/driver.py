"""
The process that is killed: it places orders under keys until each has a verdict.

It kills itself with SIGKILL at each named point of the sequence by chance, and its parent kills it at any other.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from random import Random
from typing import Any

from orderbridge import OrderBridge, OrderRequest
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import OrderBridgeError
from orderbridge.model.words import PlacementState
from orderbridge.placement import SqliteJournal

AT_ONCE = 20
VERDICTS = {PlacementState.PLACED, PlacementState.REJECTED, PlacementState.NOT_PLACED, PlacementState.DENIED}


class Doom:
    """Ends this process now and then."""

    def __init__(self, seed: int, chance: float) -> None:
        self._rng = Random(seed)
        self._chance = chance

    def at(self, point: str) -> None:
        if self._rng.random() < self._chance:
            print(point, file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


class DoomedJournal(SqliteJournal):
    """Dies before and after each write: before `sending`, after it, before an outcome is stored, and after."""

    def __init__(self, path: str, doom: Doom) -> None:
        super().__init__(path)
        self._doom = doom

    async def create(self, *args: Any, **how: Any) -> Any:
        self._doom.at("before it is stored")
        record = await super().create(*args, **how)
        self._doom.at(f"after {record.state} was stored")
        return record

    async def change(self, *args: Any, **how: Any) -> Any:
        self._doom.at("before an event is stored")
        record = await super().change(*args, **how)
        self._doom.at(f"after {record.state} was stored")
        return record


class DoomedGateway(BitsoGateway):
    """Dies after the answer came, before anybody knows of it."""

    doom: Doom

    async def submit(self, *args: Any, **how: Any) -> Any:
        order = await super().submit(*args, **how)
        self.doom.at("after the reply")
        return order


async def one(bridge: OrderBridge, key: str, gate: asyncio.Semaphore) -> bool:
    """Whether this key has its verdict, or was given up."""
    async with gate:
        placement = await bridge.placement(key=key)
        if placement is None:
            request = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="100000")
            try:
                await bridge.place("bitso", request, key=key, send_within=0.5, timeout=1.0)
            except OrderBridgeError as error:
                logging.getLogger("driver").info("%s: %s", key, error)
            placement = await bridge.placement(key=key)
    if placement is None or placement.state is PlacementState.PREPARED:
        return False
    if placement.state not in VERDICTS:
        placement = await bridge.resolve(placement, timeout=10)
    return placement.state in VERDICTS or placement.gave_up


async def main(told: dict[str, Any]) -> None:
    doom = Doom(told["seed"], told["chance"])
    gateway = DoomedGateway(
        api_key="simulated-key",
        api_secret="simulated-secret",
        base_url=told["base_url"],
        markets=None,
        limits=None,
        allow_plain_http=True,
    )
    gateway.doom = doom
    bridge = OrderBridge(
        gateway,
        journal=DoomedJournal(told["path"], doom),
        settle_horizon=told["horizon"],
        probe_times=tuple(told["horizon"] * n / 8 for n in range(1, 40)),
    )
    gate = asyncio.Semaphore(AT_ONCE)
    async with bridge:
        verdicts = await asyncio.gather(*(one(bridge, f"t-{n}", gate) for n in range(told["orders"])))
    sys.exit(0 if all(verdicts) else 3)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(json.loads(sys.argv[1])))
