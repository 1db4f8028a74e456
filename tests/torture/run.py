"""Runs the driver under faults, kills it, starts it again, and counts against the simulator's ground truth."""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from orderbridge.model.words import PlacementState
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator

ROOT = Path(__file__).parents[2]
NONE_PLACED = {PlacementState.REJECTED, PlacementState.NOT_PLACED, PlacementState.DENIED}


@dataclass
class Counts:
    """What a run came to; all but the first four must be zero."""

    verdicts: dict[str, int] = field(default_factory=dict)
    runs: int = 0
    points: dict[str, int] = field(default_factory=dict)
    gave_up: int = 0
    doubles: int = 0
    unknown_orders: int = 0
    contradictions: int = 0
    without_verdict: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was placed twice, lost, or told wrongly."""
        return not (self.doubles or self.unknown_orders or self.contradictions or self.without_verdict)


def misbehave(sim: Simulator, *, chance: float, late: float) -> None:
    """Every fault that a placement can meet, each by chance."""
    for kind in ("drop", "accept_then_drop", "error_5xx", "accept_then_5xx", "cut", "html", "throttle", "wrong_nonce"):
        sim.bitso.fault(kind, operation="place", probability=chance, retry_after=0.0)
    sim.bitso.fault("late_visibility", operation="place", probability=chance, seconds=late)
    sim.bitso.fault("delay", operation="place", probability=chance, seconds=0.3)
    for operation in ("lookup", "open_orders", "order_trades"):
        sim.bitso.fault("drop", operation=operation, probability=chance)


async def torture(path: Path, *, orders: int, seed: int, horizon: float, chance: float = 0.03) -> Counts:
    """Place so many orders, whatever happens; the counts."""
    counts, rng = Counts(), Random(seed)
    async with Simulator(seed=seed, bitso={"pacing": False}) as sim:
        misbehave(sim, chance=chance, late=horizon / 2)
        told = {"base_url": sim.bitso.base_url, "path": str(path), "orders": orders, "horizon": horizon}
        while counts.runs < 400:
            counts.runs += 1
            # The first runs die often; later ones are let through, so that it ends.
            doom = 0.02 if counts.runs <= 25 else 0.0
            limit = rng.uniform(0.3, 3.0) if counts.runs <= 25 else 60.0
            argument = json.dumps({**told, "seed": seed * 1000 + counts.runs, "chance": doom})
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.torture.driver", argument, cwd=ROOT, stderr=asyncio.subprocess.PIPE
            )
            try:
                _, errors = await asyncio.wait_for(process.communicate(), limit)
            except TimeoutError:
                process.kill()
                await process.wait()
                errors = b"at any point"
            if process.returncode == 0:
                break
            point = (errors.decode().strip().splitlines() or ["not all had a verdict"])[-1]
            counts.points[point] = counts.points.get(point, 0) + 1
        await _count(sim, path, counts, orders=orders)
    return counts


async def _count(sim: Simulator, path: Path, counts: Counts, *, orders: int) -> None:
    journal = SqliteJournal(path, read_only=True)
    records = await journal.find()
    await journal.aclose()
    by_client = {record.placement.client_order_id: record for record in records}
    taken: dict[str | None, list[str]] = {}
    for order in sim.bitso.accepted():
        taken.setdefault(order.client_order_id, []).append(order.order_id)
    for client_order_id, ids in taken.items():
        counts.doubles += len(ids) > 1
        record = by_client.get(client_order_id)
        counts.unknown_orders += record is None
        counts.contradictions += record is not None and record.state in NONE_PLACED
    for record in records:
        state = record.state
        counts.verdicts[state.value] = counts.verdicts.get(state.value, 0) + 1
        counts.gave_up += record.placement.gave_up
        settled = state is PlacementState.PLACED or state in NONE_PLACED or record.placement.gave_up
        counts.without_verdict += not settled
        if state is PlacementState.PLACED:
            shown = record.placement.order
            counts.contradictions += shown is None or [shown.order_id] != taken.get(record.placement.client_order_id)
    counts.without_verdict += max(0, orders - len({record.placement.key for record in records}))
