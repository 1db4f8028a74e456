"""
Record every scenario anew: `python -m tests.cassettes.record`.

It talks to the simulated venues on fixed loopback ports, under a clock that stands still, so that recording
twice gives the same files. The documented examples are transcribed by hand and not touched.
"""

from __future__ import annotations

import asyncio

from orderbridge.simulator import SimClock, Simulator
from tests.cassettes.kit import BITCAIN_PORT, BITSO_PORT, FOLDER, START, player
from tests.cassettes.scenarios import Scenario, all_scenarios
from tests.kind import KIND


async def record(case: Scenario) -> None:
    """Record one scenario over sockets; its own assertions must hold."""
    (FOLDER / case.path).unlink(missing_ok=True)
    clock = SimClock(start=START, running=False)
    keys = {"bitso": {**KIND, "api_key": case.key}, "bitcain": {"ready_token": case.key}}
    async with Simulator(seed=1, clock=clock, bitso_port=BITSO_PORT, bitcain_port=BITCAIN_PORT, **keys) as sim:
        case.prepare(sim)
        venue = sim.bitso if case.venue == "bitso" else sim.bitcain
        with player(record=True).use_cassette(case.path):
            async with venue.gateway(transport="httpx", **case.gateway) as gateway:
                await case.run(gateway)


def main() -> None:
    """Record them all."""
    for case in all_scenarios():
        asyncio.run(record(case))
        print(case.path)


if __name__ == "__main__":
    main()
