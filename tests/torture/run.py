"""Runs the driver under faults, kills it, starts it again, and counts against the simulator's ground truth."""

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from orderbridge.model.order import Order
from orderbridge.placement import SqliteJournal
from orderbridge.placement.upkeep import Snapshot
from orderbridge.simulator import Simulator
from orderbridge.simulator.engine.engine import MatchingEngine
from tests.torture.count import Counts
from tests.torture.points import BOTH, OF_STRANGERS, Point, targets

ROOT = Path(__file__).parents[2]
READS = {"bitso": ("lookup", "open_orders", "order_trades"), "bitcain": ("list", "history")}
KILLED = -9
# A run that is not killed by then is killed wherever it is.
LONGEST = 20.0
# The runs at the end, which nobody kills, until every key has its verdict.
LAST_RUNS = 8


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        orders: in all, shared by the venues. thorough: each point at each venue, instead of once at one of them.
        at_random: runs that are killed at any moment. chance: of each fault, at each order.
    """

    orders: int
    seed: int
    horizon: float = 2.0
    venues: tuple[str, ...] = BOTH
    thorough: bool = True
    at_random: int = 30
    chance: float = 0.02


def misbehave(sim: Any, *, reads: Sequence[str], chance: float, horizon: float) -> None:
    """Every fault that a placement can meet at one venue, each by chance."""
    kinds = ("drop", "accept_then_drop", "error_5xx", "accept_then_5xx", "cut", "html", "empty", "not_success")
    for kind in (*kinds, "wrong_nonce"):
        sim.fault(kind, operation="place", probability=chance)
    sim.fault("throttle", operation="place", probability=chance, retry_after=0.0)
    sim.fault("late_visibility", operation="place", probability=chance, seconds=horizon / 2)
    for seconds in (0.3, 1.5):  # the second outlasts the driver's patience
        sim.fault("delay", operation="place", probability=chance, seconds=seconds)
    for operation in reads:
        for kind in ("drop", "error_5xx", "cut", "html"):
            sim.fault(kind, operation=operation, probability=chance / 2)
        sim.fault("delay", operation=operation, probability=chance / 2, seconds=0.2)


def stir(sim: Any, engines: Sequence[MatchingEngine], rng: Random) -> None:
    """
    The market goes on while nobody looks: some orders are filled, a few end otherwise.

    Not those that a stranger placed first: their ids would be free again, and the stranger's next order no double of
    ours.
    """
    with sim.lock:
        for order in sim.accepted():
            chance = rng.random()
            if order.active and chance < 0.4 and not (order.client_order_id or "").startswith(OF_STRANGERS):
                engine = next(each for each in engines if order.order_id in each.ledger.orders)
                (engine.fill if chance < 0.3 else engine.cancel)(order)


class Torture:
    """One torture: a simulator that misbehaves, and a driver that is started over and over."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._path = folder / "orders.db"
        self._alarms = folder / "alarms.tsv"
        self._rng = Random(plan.seed)
        self.counts = Counts()
        self._met: set[tuple[str, str]] = set()

    async def run(self) -> Counts:
        """Place so many orders, whatever happens; the counts."""
        plan = self._plan
        settings: dict[str, Any] = {
            "bitso": {"pacing": False, "visibility_window": 0.0, "trade_lag": 0.3},
            "bitcain": {},
        }
        async with Simulator(seed=plan.seed, **settings) as sim:
            for venue in plan.venues:
                misbehave(getattr(sim, venue), reads=READS[venue], chance=plan.chance, horizon=plan.horizon)
            await self._kill_at_points(sim)
            await self._let_it_end(sim)
            await self._count(sim)
        return self.counts

    async def _kill_at_points(self, sim: Simulator) -> None:
        """A run for each point, a few for none, and another for each that was not met: there are orders left for it."""
        wanted = targets(self._rng, venues=self._plan.venues, thorough=self._plan.thorough)
        runs: list[tuple[str, Point | None]] = list(wanted)
        for _ in range(self._plan.at_random):
            runs.insert(self._rng.randrange(len(runs)), ("", None))
        begun = 0
        share = len(runs) * 1.25
        for tries in range(3):
            for venue, point in runs:
                begun += 1
                await self._killed(sim, venue, point, upto=min(1.0, begun / share), again=tries > 0)
            runs = [(venue, point) for venue, point in wanted if (venue, point.name) not in self._met]
            if tries == 0:
                share = max(share, begun + 2 * len(runs))
        self.counts.unmet = [f"{venue}: {point.name}" for venue, point in runs if point is not None]

    async def _killed(self, sim: Simulator, venue: str, point: Point | None, *, upto: float, again: bool) -> None:
        """One run that is to die at a point, or at any; where that was not come to before, at its first occasion."""
        doom: dict[str, Any] = {"venue": None, "point": None, "nth": 1}
        limit = self._rng.uniform(0.5, 3.0)
        if point is not None:
            nth = 1 if again or point.needs or point.is_of_recovery else self._rng.randint(1, 3)
            doom, limit = {"venue": venue, "point": point.name, "nth": nth}, LONGEST
            if point.needs:
                getattr(sim, venue).fault(point.needs, operation="place", nth=1)
        # Once in a while the other venue refuses a second order of one id too; at most times it would make one.
        duplicates = self._rng.random() < 0.3
        sim.bitcain.settings.duplicate_client_order_id = "409" if duplicates else "allowed"
        await self._start(sim, doom=doom, limit=limit, upto=upto, duplicates=duplicates)

    async def _let_it_end(self, sim: Simulator) -> None:
        sim.bitcain.settings.duplicate_client_order_id = "409"
        for _ in range(LAST_RUNS):
            if await self._start(sim, doom={"venue": None, "point": None, "nth": 1}, limit=180.0, upto=1.0) == 0:
                return

    async def _start(
        self, sim: Simulator, *, doom: dict[str, Any], limit: float, upto: float, duplicates: bool = True
    ) -> int | None:
        """One run of the driver; how it ended."""
        counts, plan = self.counts, self._plan
        counts.runs += 1
        addresses = {"bitso": sim.bitso.base_url, "bitcain": sim.bitcain.base_url}
        told = {
            "venues": {venue: addresses[venue] for venue in plan.venues},
            "path": str(self._path),
            "alarms": str(self._alarms),
            "horizon": plan.horizon,
            "upto": round(plan.orders / len(plan.venues) * upto),
            "doom": doom,
            "duplicates": list(plan.venues) if duplicates else ["bitso"],
            "on_stale": self._rng.choice(["deny", "send"]),
            "recovers": bool(doom["point"]) or self._rng.random() < 0.5,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.torture.driver", json.dumps(told), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        try:
            _, errors = await asyncio.wait_for(process.communicate(), limit)
        except TimeoutError:
            process.kill()
            await process.wait()
            counts.points["at any moment"] += 1
            return process.returncode
        finally:
            stir(sim.bitso, [sim.bitso.engine], self._rng)
            stir(sim.bitcain, list(sim.bitcain.engines.values()), self._rng)
        said = errors.decode().strip()
        if process.returncode == KILLED:
            venue, _, point = said.splitlines()[-1].partition(": ")
            counts.points[said.splitlines()[-1]] += 1
            self._met.add((venue, point))
        elif process.returncode not in (0, 3) or said:
            counts.crashes.append(f"{process.returncode}: {said[-2000:]}")
        return process.returncode

    async def _count(self, sim: Simulator) -> None:
        plan, counts = self._plan, self.counts
        venues: dict[str, Any] = {"bitso": sim.bitso, "bitcain": sim.bitcain}
        for venue in plan.venues:
            for rule in venues[venue].faults:
                counts.struck[f"{venue} {rule.operation} {rule.kind}"] += rule.struck
        journal = SqliteJournal(self._path, read_only=True)
        records = await journal.find()
        for record in records:
            counts.check_chain(record, await journal.events(record.id))
        await journal.aclose()
        with Snapshot(SqliteJournal(self._path, read_only=True)) as file:
            orders = [Order.model_validate_json(body) for (body,) in file.rows("SELECT body FROM orders")]
            counts.check_ends(orders, {venue: venues[venue].accepted() for venue in plan.venues})
        each = range(round(plan.orders / len(plan.venues)))
        keys = [f"{venue} t-{number}" for venue in plan.venues for number in each]
        counts.compare(records, {venue: venues[venue].accepted() for venue in plan.venues}, keys)
        if self._alarms.exists():
            for line in self._alarms.read_text().splitlines():
                counts.alarms[" ".join(line.split("\t")[:2])] += 1
