"""
What the journal costs, beside raw SQLite on the same disk in the same run. Exit code 1 when a goal is missed.

Run: python -m tests.benchmarks.placement [FOLDER]     (a folder on the disk to be measured; a temporary one if none)

1. One placement after another, with the journal and without, in turns with raw durable commits.
2. Fifty at once: the commits of all who wait are one.
3. Pages that are written, and bytes that are kept: these figures no other load moves.
4. Eight processes on one file: how long the longest write waits.
5. A journal of a million placements: opening it, and look-ups by each kind of id.
"""

import asyncio
import itertools
import logging
import multiprocessing
import os
import sqlite3
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from orderbridge import OrderBridge
from orderbridge.model.ref import OrderRef
from orderbridge.placement import SqliteJournal, sqlite, sqlite_file
from tests.benchmarks import million
from tests.benchmarks.instant import NAME, InstantGateway, limit_buy

ROUNDS = 15
IN_A_ROUND = 60
AT_ONCE = 50
WAVES = 30
PROCESSES = 8
SECONDS = 10.0
LOOKUPS = 400
OPENINGS = 15
_numbers = itertools.count()
_REQUEST = limit_buy()


class Line(NamedTuple):
    """One row of the table; `ok` is None where there is no goal."""

    what: str
    goal: str
    measured: str
    ok: bool | None


def raw(path: Path) -> sqlite3.Connection:
    """A plain SQLite file, set as the journal sets its own."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")
    return db


def raw_commits(db: sqlite3.Connection, count: int) -> list[float]:
    """Seconds of each durable commit of one small row."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO rows (body) VALUES (?)", ("x" * 100,))
        db.execute("COMMIT")
        times.append(time.perf_counter() - begin)
    return times


async def timed(call: Callable[[], Awaitable[object]], count: int) -> list[float]:
    """Seconds of each call, one after another."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        await call()
        times.append(time.perf_counter() - begin)
    return times


def place_on(bridge: OrderBridge) -> Callable[[], Awaitable[object]]:
    """Places one order under a key of its own."""
    return lambda: bridge.place(NAME, _REQUEST, key=f"k{next(_numbers)}")


async def one_after_another(folder: Path) -> list[Line]:
    """The journal's price, at the median."""
    async with AsyncExitStack() as stack:
        db = raw(folder / "raw.db")
        stack.callback(db.close)
        memory = await stack.enter_async_context(OrderBridge(InstantGateway()))
        bridge = OrderBridge(InstantGateway(), journal=SqliteJournal(folder / "orders.db"))
        durable = await stack.enter_async_context(bridge)
        commits, without, with_ = [], [], []
        for round_ in range(ROUNDS + 1):
            some = raw_commits(db, IN_A_ROUND)
            plain = await timed(place_on(memory), IN_A_ROUND)
            kept = await timed(place_on(durable), IN_A_ROUND)
            if round_:  # the first warms up
                commits += some
                without += plain
                with_ += kept
    commit, price = statistics.median(commits), statistics.median(with_) - statistics.median(without)
    goal = 3 * commit + 0.000_3
    return [
        Line("raw durable commit, median", "", f"{commit * 1e6:,.0f} us", None),
        Line("place without a journal, median", "", f"{statistics.median(without) * 1e6:,.0f} us", None),
        Line("place with the journal, median", "", f"{statistics.median(with_) * 1e6:,.0f} us", None),
        Line("the journal's price", f"<= {goal * 1e6:,.0f} us", f"{price * 1e6:,.0f} us", price <= goal),
    ]


async def fifty_at_once(folder: Path) -> list[Line]:
    """Placements a second when fifty callers place without a pause."""

    async def caller(place: Callable[[], Awaitable[object]], count: int) -> None:
        for _ in range(count):
            await place()

    async def rate(bridge: OrderBridge) -> float:
        begin = time.perf_counter()
        await asyncio.gather(*(caller(place_on(bridge), WAVES) for _ in range(AT_ONCE)))
        return AT_ONCE * WAVES / (time.perf_counter() - begin)

    async with AsyncExitStack() as stack:
        memory = await stack.enter_async_context(OrderBridge(InstantGateway()))
        bridge = OrderBridge(InstantGateway(), journal=SqliteJournal(folder / "many.db"))
        durable = await stack.enter_async_context(bridge)
        without, with_ = [], []
        for round_ in range(6):
            plain, kept = await rate(memory), await rate(durable)
            if round_:
                without.append(plain)
                with_.append(kept)
    measured = statistics.median(with_)
    return [
        Line(f"{AT_ONCE} at once without a journal", "", f"{statistics.median(without):,.0f} a second", None),
        Line(f"{AT_ONCE} at once with the journal", ">= 3,000 a second", f"{measured:,.0f} a second", measured >= 3000),
    ]


def written(path: Path) -> tuple[int, int]:
    """The pages, and the commits, that stand in the -wal file of a journal since it was last brought into the file."""
    content = path.with_name(f"{path.name}-wal").read_bytes()
    (size,), salt = struct.unpack(">I", content[8:12]), content[16:24]
    heads = (content[start : start + 24] for start in range(32, len(content), 24 + size))
    mine = list(itertools.takewhile(lambda head: head[8:16] == salt, heads))
    return len(mine), sum(head[4:8] != bytes(4) for head in mine)


async def weigh(folder: Path, *, before: int = 10_000, alone: int = 200, batches: int = 8) -> tuple[float, ...]:
    """Of a placement in a journal that has some: pages and syncs by itself, pages among 25, and bytes."""
    path, together, gateway = folder / "pages.db", 25, InstantGateway()
    async with OrderBridge(gateway, journal=SqliteJournal(path)) as bridge:
        place = place_on(bridge)
        for _ in range(before // AT_ONCE):
            await asyncio.gather(*(place() for _ in range(AT_ONCE)))
    size = path.stat().st_size / before
    never = mock.patch.multiple(sqlite, JOBS_BETWEEN_CHECKPOINTS=10**9, IDLE=1e4)
    with never, mock.patch.object(sqlite_file, "_AUTOCHECKPOINT_PAGES", 10**9):
        async with OrderBridge(gateway, journal=SqliteJournal(path)) as bridge:
            place, counts = place_on(bridge), []
            await place()
            counts.append(written(path))
            for _ in range(alone):
                await place()
            counts.append(written(path))
            for _ in range(batches):
                await asyncio.gather(*(place() for _ in range(together)))
            counts.append(written(path))
    (first, begun), (second, ended), (third, _) = counts
    return (second - first) / alone, (ended - begun) / alone, (third - second) / batches / together, size


async def pages(folder: Path) -> list[Line]:
    """What a placement writes, and what it takes in the file."""
    alone, syncs, together, size = await weigh(folder)
    return [
        Line("pages of a placement alone", "<= 12", f"{alone:.1f}", alone <= 12),
        Line("syncs of a placement alone", "2", f"{syncs:.2f}", syncs == 2),
        Line("pages of a placement among 25", "<= 4", f"{together:.1f}", together <= 4),
        Line("bytes of a placement", "<= 2,250", f"{size:,.0f}", size <= 2250),
    ]


def write_on(path: Path) -> list[float]:
    """Seconds of each write of one process, which writes again at once, for a while."""

    async def writes() -> list[float]:
        journal, times = SqliteJournal(path), []
        await journal.keep_alive("me", 0)
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            times += await timed(lambda: journal.keep_alive(str(os.getpid()), 10.0), 1)
        await journal.aclose()
        return times

    return asyncio.run(writes())


async def many_processes(folder: Path) -> list[Line]:
    """The longest wait of any, and how evenly they take turns."""
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        paths = [folder / "shared.db"] * PROCESSES
        told = await asyncio.to_thread(pool.map, write_on, paths, 1)
    counts, longest = [len(each) for each in told], max(map(max, told))
    return [
        Line(f"{PROCESSES} processes, each", "", f"{min(counts)} to {max(counts)} writes", None),
        Line(f"{PROCESSES} processes, in all", "", f"{sum(counts) / SECONDS:,.0f} a second", None),
        Line(f"{PROCESSES} processes, longest wait", "<= 0.5 s", f"{longest:.2f} s", longest <= 0.5),
    ]


async def a_million_rows(folder: Path) -> list[Line]:
    """Opening a large journal, and finding one row in it."""
    path = folder / "million.db"
    begin = time.perf_counter()
    await million.fill(path)
    size, filled = path.stat().st_size / 1e6, time.perf_counter() - begin
    lines = [Line(f"{million.ROWS:,} placements: {size:,.0f} MB, filled in {filled:.0f} s", "", "", None)]
    lines += await openings(path)
    journal = SqliteJournal(path)
    async with OrderBridge(InstantGateway(), journal=journal) as bridge:
        await bridge.recover()
        looks: dict[str, Callable[[int], Awaitable[object]]] = {
            "get(placement id)": lambda n: journal.get(million.placement_id(n)),
            "find(key=)": lambda n: journal.find(key=million.key(n)),
            "find(gateway=, key=)": lambda n: journal.find(gateway=NAME, key=million.key(n)),
            "find(client id)": lambda n: journal.find(client_order_id=million.client_order_id(n)),
            "orders(order id)": lambda n: journal.orders(order_id=million.order_id(n)),
            "orders(client id)": lambda n: journal.orders(gateway=NAME, client_order_id=million.client_order_id(n)),
            "events(placement id)": lambda n: journal.events(million.placement_id(n)),
            "bridge.placement(key=)": lambda n: bridge.placement(key=million.key(n)),
            "remembered(any id)": lambda n: bridge._placements.remembered(OrderRef(id=million.client_order_id(n))),
        }
        for name, look in looks.items():
            numbers = iter(range(7, million.ROWS, million.ROWS // (LOOKUPS + 1)))
            assert await look(next(numbers)), name
            median = statistics.median(await timed(lambda look=look, each=numbers: look(next(each)), LOOKUPS))
            lines.append(Line(f"a million: {name}", "< 1 ms", f"{median * 1e3:.2f} ms", median < 0.001))
        median = statistics.median(await timed(place_on(bridge), LOOKUPS))
        lines.append(Line("a million: place, median", "", f"{median * 1e6:,.0f} us", None))
    return lines


async def openings(path: Path) -> list[Line]:
    """Until the first answer, until the first write, and until a bridge has recovered."""
    reads, writes, recoveries = [], [], []
    for number in range(OPENINGS):
        journal = SqliteJournal(path)
        reads += await timed(lambda own=journal, n=number: own.get(million.placement_id(n)), 1)
        await journal.aclose()
        journal = SqliteJournal(path)
        writes += await timed(lambda own=journal: own.keep_alive("me", 10.0), 1)
        await journal.aclose()
        bridge = OrderBridge(InstantGateway(), journal=SqliteJournal(path))
        recoveries += await timed(bridge.recover, 1)
        await bridge.aclose()
    rows = {"first answer": reads, "first write": writes, "end of recovery": recoveries}
    medians = {name: statistics.median(times) for name, times in rows.items()}
    return [
        Line(f"a million: opening, to the {name}", "< 100 ms", f"{value * 1e3:.1f} ms", value < 0.1)
        for name, value in medians.items()
    ]


def show(lines: list[Line]) -> None:
    """The table."""
    for line in lines:
        verdict = {None: "", True: "met", False: "MISSED"}[line.ok]
        print(f"{line.what:<48} {line.goal:>18} {line.measured:>18}  {verdict}", flush=True)


async def run(folder: Path) -> bool:
    """All five; whether every goal was met."""
    kept = True
    for part in (one_after_another, fifty_at_once, pages, many_processes, a_million_rows):
        lines = await part(folder)
        show(lines)
        kept &= all(line.ok is not False for line in lines)
    return kept


def main() -> int:
    """The exit code."""
    logging.getLogger("orderbridge").setLevel(logging.ERROR)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}")
    where = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where, prefix="orderbridge-benchmark-") as folder:
        return 0 if asyncio.run(run(Path(folder))) else 1


if __name__ == "__main__":
    sys.exit(main())
