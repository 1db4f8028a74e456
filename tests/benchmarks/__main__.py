"""
Every figure that a bot feels, beside ccxt's in turns A B A B.

A row is the median of each round's ratio of ours to ccxt's, unless its unit says otherwise; beside it stands what else
was measured. Instructions are counted by valgrind where it is installed: load does not move them. The servers are on
this machine. A missed goal is told, and is no error.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import platform
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import calls, chart, growth, journal, simulator, starts
from tests.benchmarks.figures import ROOT, Row, shown

GROUPS: dict[str, Callable[[int], AsyncIterator[Row]]] = {
    "calls": calls.own,
    "drop-in": calls.drop_in,
    "loopback": calls.loopback,
    "many": calls.thousand,
    "starts": starts.starts,
    "held": starts.held,
    "journal": journal.journal,
    "million": journal.million,
    "growth": growth.growth,
    "simulator": simulator.simulator,
}
DOCS = ROOT / "docs" / "benchmarks.md"


async def measured(groups: Sequence[str], rounds: int, *, quick: bool = False) -> list[Row]:
    """The rows of these groups, each told on stderr as it comes."""
    rows = []
    for group in groups:
        quickly = calls.own(rounds, counting=False) if quick and group == "calls" else None
        async for row in quickly or GROUPS[group](rounds):
            print(f"{row.what}: {row.figures[0]} {row.asked} {row.verdict}", file=sys.stderr, flush=True)
            rows.append(row)
        gc.unfreeze()
    return rows


def cells(row: Row) -> tuple[str, ...]:
    """A row as it is read: what, measured, beside it, goal, verdict, and the first figure of both."""
    first, *others = row.figures
    ours = shown(first.ours, first.unit) if first.theirs is not None else ""
    theirs = shown(first.theirs, first.unit) if first.theirs is not None else ""
    return row.what, str(first).strip(), ", ".join(map(str, others)), row.asked, row.verdict, ours, theirs


HEADINGS = ("", "measured", "beside it", "goal", "", "ours", "ccxt")


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    return "\n".join("| " + " | ".join(each) + " |" for each in (HEADINGS, ("---",) * len(HEADINGS), *map(cells, rows)))


def machine() -> str:
    """What it ran on, and when."""
    cpu = next((line for line in _proc("cpuinfo") if line.startswith("model name")), platform.processor())
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    names = ", ".join(f"{name} {version(name)}" for name in ("ccxt", "pydantic", "aiohttp"))
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores ({cpu.partition(': ')[2] or cpu}), "
        f"load {load}, {platform.system()}, Python {platform.python_version()}, {names}, commit {_commit()}"
    )


def _proc(name: str) -> list[str]:
    path = Path("/proc") / name
    return path.read_text().splitlines() if path.exists() else []


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def page(rows: Sequence[Row], where: str, plot: str) -> str:
    """The page in docs/."""
    return f"""# Benchmarks

Written by `python -m tests.benchmarks --docs`: the table and the plot of its last run. Not to be edited by hand.

{where}.

{" ".join((__doc__ or "").split())}

{table(rows)}

![Each figure as a part of its goal, and how the cost of an order grows with their number]({plot})
"""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"only these: {', '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=20, help="how often both are measured in turn (20)")
    parser.add_argument("--quick", action="store_true", help="without valgrind, which takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON too")
    parser.add_argument("--docs", action="store_true", help="write docs/benchmarks.md and its plot")
    found = parser.parse_args(given)
    if unknown := set(found.groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}: {', '.join(GROUPS)}")
    if found.rounds < 1:
        parser.error("--rounds is at least 1")
    return found


def main() -> None:
    """Measure, and write what was asked for."""
    asked = arguments()
    logging.getLogger("orderbridge").setLevel(logging.ERROR)
    where = machine()
    rows = asyncio.run(measured(asked.groups or list(GROUPS), asked.rounds, quick=asked.quick))
    print(where, table(rows), sep="\n\n")
    if asked.json:
        asked.json.write_text(json.dumps({"where": where, "rows": [_plain(row) for row in rows]}, indent=2) + "\n")
    if asked.docs:
        plot = DOCS.with_suffix(".svg")
        DOCS.write_text(page(rows, where, plot.name))
        plot.write_text(chart.svg(rows, "orderbridge beside ccxt"))


def _plain(row: Row) -> dict[str, object]:
    figures = [figure._asdict() for figure in row.figures]
    return {**row._asdict(), "figures": figures, "verdict": row.verdict}


if __name__ == "__main__":
    main()
