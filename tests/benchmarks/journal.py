"""
The journal: what it writes for a placement, counted in its log so that no disk and no load is measured, what that costs
beside raw SQLite on the same disk, and how quickly a row of a million is found.
"""

import asyncio
import itertools
import multiprocessing
import os
import sqlite3
import statistics
import struct
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from unittest import mock

from orderbridge.placement import SqliteJournal, placements, sqlite, sqlite_file
from tests.benchmarks.figures import Call, Row, alone, many, spent
from tests.benchmarks.instant import bridge_at_once, limit_buy, place_on
from tests.bridge.conftest import Stub

AT_ONCE = 50
_AMONG, _PROCESSES, _SECONDS, _ROUNDS = 25, 8, 10.0, 60
MILLION = 1_000_000
_LOOKS = 400


async def journal(_: int) -> AsyncIterator[Row]:
    """Of a placement in a file that has ten thousand, and of the file itself."""
    with tempfile.TemporaryDirectory(prefix="orderbridge-") as name:
        folder = Path(name)
        pages, syncs, together, size = await weigh(folder)
        yield alone("journal", "syncs of a placement alone", round(syncs, 1), 2)
        yield alone("journal", "pages of a placement alone", pages, 12)
        yield alone("journal", "pages of a placement among 25", together, 4)
        yield alone("journal", "bytes of a placement in the file", size, 2_250, "B")
        price, allowed = await _price(folder)
        yield alone("journal", "its part of a placement, in 3 raw commits and 0.3 ms", price / allowed, 1, "×")
        async with bridge_at_once(folder / "many.db") as bridge:
            rates = [AT_ONCE / (await spent(many(place_on(bridge), AT_ONCE), 10))[2] for _ in range(6)]
        yield alone("journal", "placements a second, 50 at once", statistics.median(rates), 3_000, at_least=True)
        with multiprocessing.get_context("spawn").Pool(_PROCESSES) as pool:
            paths = [folder / "shared.db"] * _PROCESSES
            longest = max(await asyncio.to_thread(pool.map, longest_write, paths, 1))
        yield alone("journal", "longest wait of 8 processes to write", longest, 0.5, "s")


async def million(_: int) -> AsyncIterator[Row]:
    """Of a placement in a file of a million: 3 GB, which takes some minutes to make."""
    with tempfile.TemporaryDirectory(prefix="orderbridge-") as folder:
        path, pages, opened, recovered = Path(folder) / "orders.db", [], [], []
        await fill(path)
        for number in range(7):
            file, bridge = SqliteJournal(path), bridge_at_once(path)
            opened.append(await _seconds(lambda file=file, n=number: file.get(placement_id(n))))
            recovered.append(await _seconds(bridge.recover))
            await file.aclose()
            await bridge.aclose()
        for _ in range(7):  # few in each: the log is read before it begins anew
            async with bridge_at_once(path) as bridge:
                await bridge.recover()
                await place_on(bridge)()
                before = written(path)[0]
                await many(place_on(bridge), _AMONG)()
                pages.append((written(path)[0] - before) / _AMONG)
        file = SqliteJournal(path)
        found = {name: await _found(look) for name, look in _looks(file).items()}
        await file.aclose()
    if min(pages) <= 0:
        raise RuntimeError("the journal's log began anew meanwhile: what it has cannot be counted")
    slowest = max(found, key=lambda name: found[name])
    yield alone("million", "pages of a placement among 25, at a million", statistics.median(pages), 4)
    yield alone("million", f"slowest way to find a row, by {slowest}", found[slowest], 0.001, "s")
    yield alone("million", "opening it, to the first answer", statistics.median(opened), 0.1, "s")
    yield alone("million", "opening it, to the end of recovery", statistics.median(recovered), 0.1, "s")


async def _seconds(call: Call) -> float:
    return (await spent(call, 1))[2]


async def _price(folder: Path) -> tuple[float, float]:
    """Seconds that the journal takes of a placement alone, and those of three raw durable commits and 0.3 ms."""
    db = sqlite3.connect(folder / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body TEXT)")

    async def commit() -> None:
        db.execute("INSERT INTO rows (body) VALUES (?)", ("x" * 100,))

    async with bridge_at_once() as memory, bridge_at_once(folder / "orders.db") as durable:
        calls, taken = (commit, place_on(memory), place_on(durable)), []
        for call in calls:
            await call()
        for _ in range(_ROUNDS):
            taken.append([(await spent(call, 10))[2] for call in calls])
    db.close()
    raw, without, with_ = (statistics.median(each) for each in zip(*taken, strict=True))
    return with_ - without, 3 * raw + 0.000_3


def written(path: Path) -> tuple[int, int]:
    """The pages, and the commits, that stand in the -wal file of a journal since it was last brought into the file."""
    content = path.with_name(f"{path.name}-wal").read_bytes()
    (size,), salt = struct.unpack(">I", content[8:12]), content[16:24]
    heads = (content[start : start + 24] for start in range(32, len(content), 24 + size))
    mine = list(itertools.takewhile(lambda head: head[8:16] == salt, heads))
    return len(mine), sum(head[4:8] != bytes(4) for head in mine)


async def weigh(folder: Path, *, before: int = 10_000, alone: int = 200, batches: int = 8) -> tuple[float, ...]:
    """Of a placement in a journal that has some: pages and syncs by itself, pages among 25, and bytes."""
    path = folder / "pages.db"
    async with bridge_at_once(path) as bridge:
        for _ in range(before // AT_ONCE):
            await many(place_on(bridge), AT_ONCE)()
    size = path.stat().st_size / before
    never = mock.patch.multiple(sqlite, JOBS_BETWEEN_CHECKPOINTS=10**9, IDLE=1e4)
    # Nor does the lease's own commit, every few seconds, count as a placement's.
    still = mock.patch.object(placements, "_HEARTBEAT", 1e4)
    with never, still, mock.patch.object(sqlite_file, "_AUTOCHECKPOINT_PAGES", 10**9):
        async with bridge_at_once(path) as bridge:
            place, counts = place_on(bridge), []
            await place()
            for call, times in ((place, 0), (place, alone), (many(place, _AMONG), batches)):
                for _ in range(times):
                    await call()
                counts.append(written(path))
    (first, begun), (second, ended), (third, _) = counts
    return (second - first) / alone, (ended - begun) / alone, (third - second) / batches / _AMONG, size


def longest_write(path: Path) -> float:
    """Seconds of the longest write of one process, which writes again at once, for a while."""

    async def writes() -> float:
        file, longest = SqliteJournal(path), 0.0
        await file.keep_alive("me", 0)
        end = time.perf_counter() + _SECONDS
        while time.perf_counter() < end:
            longest = max(longest, await _seconds(lambda: file.keep_alive(str(os.getpid()), 10.0)))
        await file.aclose()
        return longest

    return asyncio.run(writes())


# A journal of a million.

# In the row that is multiplied; each stands in the row's body too.
_KEY, _CLIENT = "TEMPLATE-KEY", "TEMPLATE-CLIENT"


def placement_id(number: int) -> str:
    """The id of one row: it begins with the time, as those that are made."""
    return f"{number:012x}{number * 2_654_435_761 % 2**48:012x}"


def _key(number: int) -> str:
    return f"strategy-{number % 97}/{number}"


def _client_order_id(number: int) -> str:
    return f"ob{number:024}"


def _order_id(number: int) -> str:
    return f"oid{number * 2_246_822_519 % 2**32:013x}"


def _looks(file: SqliteJournal) -> dict[str, Callable[[int], Awaitable[object]]]:
    """Every way to find a row, by its number."""
    return {
        "placement id": lambda n: file.get(placement_id(n)),
        "key": lambda n: file.find(key=_key(n)),
        "gateway and key": lambda n: file.find(gateway=Stub.venue, key=_key(n)),
        "client id": lambda n: file.find(client_order_id=_client_order_id(n)),
        "order id": lambda n: file.orders(order_id=_order_id(n)),
        "client id of an order": lambda n: file.orders(gateway=Stub.venue, client_order_id=_client_order_id(n)),
        "placement id of events": lambda n: file.events(placement_id(n)),
    }


async def _found(look: Callable[[int], Awaitable[object]]) -> float:
    """Seconds at the median, of rows far apart."""
    taken = []
    for number in range(7, MILLION, MILLION // _LOOKS):
        begin = time.perf_counter()
        rows = await look(number)
        taken.append(time.perf_counter() - begin)
        assert rows
    return statistics.median(taken)


async def fill(path: Path, *, rows: int = MILLION) -> None:
    """Make the file: one order is placed, and its rows are multiplied by bulk SQL, each with its last event."""
    async with bridge_at_once(path) as bridge:
        await bridge.place(Stub.venue, limit_buy(client_order_id=_CLIENT), key=_KEY)
    await asyncio.to_thread(_multiply, path, rows)


def _multiply(path: Path, rows: int) -> None:
    with sqlite3.connect(path, isolation_level=None) as db:
        for name, value in (("journal_mode", "DELETE"), ("synchronous", "OFF"), ("cache_size", "-400000")):
            db.execute(f"PRAGMA {name} = {value}")
        db.execute("BEGIN")
        ((pid, last),) = db.execute("SELECT placement_id, last FROM placements").fetchall()
        ((oid,),) = db.execute("SELECT order_id FROM orders").fetchall()
        db.execute("CREATE TEMP TABLE made (pid TEXT, key TEXT, cid TEXT, oid TEXT, n INTEGER)")
        made = ((placement_id(n), _key(n), _client_order_id(n), _order_id(n), last + 1 + n) for n in range(rows))
        db.executemany("INSERT INTO made VALUES (?, ?, ?, ?, ?)", made)
        body = (
            f"replace(replace(replace(replace(t.body, '{pid}', pid), '{_KEY}', m.key), '{_CLIENT}', cid), '{oid}', oid)"
        )
        db.execute(
            "INSERT INTO placements SELECT pid, t.gateway, m.key, 1, cid, t.state, hex(n), t.created + n, n, "
            f"{body} FROM made m, placements t WHERE t.placement_id = ? ORDER BY pid",
            (pid,),
        )
        db.execute(
            "INSERT INTO events SELECT m.n, NULL, t.at + m.n, t.body FROM made m, events t WHERE t.n = ?", (last,)
        )
        db.execute(
            f"INSERT INTO orders SELECT t.gateway, oid, cid, 0, {body}, t.symbol, t.side "
            "FROM made m, orders t WHERE t.order_id = ? ORDER BY oid",
            (oid,),
        )
        db.execute("DELETE FROM placements WHERE placement_id = ?", (pid,))
        db.execute("DELETE FROM events WHERE n <= ?", (last,))
        db.execute("DELETE FROM orders WHERE order_id = ?", (oid,))
        db.execute("COMMIT")
    db.close()
