"""What the journal writes for a placement: counted in its log, so that no disk and no load is measured."""

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from orderbridge import OrderBridge
from orderbridge.placement import SqliteJournal
from tests.benchmarks.figures import Figure, Row
from tests.benchmarks.instant import InstantGateway
from tests.benchmarks.million import fill
from tests.benchmarks.placement import place_on, weigh, written

_AT_ONCE = 25


def _row(group: str, what: str, value: float, goal: float, unit: str = "") -> Row:
    return Row(group, what, (Figure("", value, value, of=unit),), goal)


async def journal(_: int) -> AsyncIterator[Row]:
    """Of a placement in a file that has ten thousand."""
    with tempfile.TemporaryDirectory(prefix="orderbridge-") as folder:
        alone, syncs, together, size = await weigh(Path(folder))
    yield _row("journal", "syncs of a placement alone", round(syncs, 1), 2)
    yield _row("journal", "pages of a placement alone", alone, 12)
    yield _row("journal", "pages of a placement among 25", together, 4)
    yield _row("journal", "bytes of a placement in the file", size, 2_250, "B")


async def million(_: int) -> AsyncIterator[Row]:
    """Of a placement in a file of a million: 3 GB, which takes some minutes to make."""
    with tempfile.TemporaryDirectory(prefix="orderbridge-") as folder:
        path, pages = Path(folder) / "orders.db", []
        await fill(path)
        for _ in range(7):  # few in each: the log is read before it begins anew
            async with OrderBridge(InstantGateway(), journal=SqliteJournal(path)) as bridge:
                await bridge.recover()
                await place_on(bridge)()
                before = written(path)[0]
                await asyncio.gather(*(place_on(bridge)() for _ in range(_AT_ONCE)))
                pages.append((written(path)[0] - before) / _AT_ONCE)
    if min(pages) <= 0:
        raise RuntimeError("the journal's log began anew meanwhile: what it has cannot be counted")
    yield _row("million", "pages of a placement among 25, at a million", statistics.median(pages), 4)
