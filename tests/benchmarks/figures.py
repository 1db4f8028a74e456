"""What a row of the table is, and how two things are measured in turn."""

import asyncio
import gc
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
Call = Callable[[], Awaitable[object]]
_UNITS = (("B", 1, 1024), ("s", 1e-6, 1000), ("instr.", 1, 1000))
_PREFIXES = {"B": ("B", "KiB", "MiB", "GiB"), "s": ("µs", "ms", "s"), "instr.": ("", "k", "M", "G")}


class Figure(NamedTuple):
    """
    One way of measuring: ours, ccxt's where it has the like, and what the goal speaks of.

    Attributes:
        kind: what was counted: instructions, CPU of the loop's thread, CPU of all threads, wall …
        value: the median of the rounds' ratios of ours to ccxt's, or ours alone.
        unit: of ours and ccxt's: `s`, `B`, `instr.` or a word of its own.
        of: the unit of the value; `×` for a ratio.
    """

    kind: str
    value: float
    ours: float
    theirs: float | None = None
    unit: str = "s"
    of: str = "×"

    def __str__(self) -> str:
        return f"{shown(self.value, self.of)} {self.kind}"


class Row(NamedTuple):
    """A row: what it is, its figures, of which the first has the goal, and the points of its plot."""

    group: str
    what: str
    figures: tuple[Figure, ...]
    goal: float | None = None
    at_least: bool = False
    points: dict[str, dict[int, float]] | None = None

    @property
    def of_goal(self) -> float | None:
        """What was measured as a part of the goal: up to 1 it is met."""
        value = self.figures[0].value
        if self.goal is None:
            return None
        return self.goal / value if self.at_least else value / self.goal

    @property
    def asked(self) -> str:
        """The goal in words."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {shown(self.goal, self.figures[0].of)}"

    @property
    def verdict(self) -> str:
        """Whether the goal is met."""
        return "" if self.of_goal is None else "met" if self.of_goal <= 1 else "missed"


def alone(group: str, what: str, value: float, goal: float, unit: str = "", *, at_least: bool = False) -> Row:
    """A row of one figure that ccxt has no like of."""
    return Row(group, what, (Figure("", value, value, of=unit),), goal, at_least)


def shown(value: float | None, unit: str) -> str:
    """A figure with three digits."""
    if value is None:
        return "–"
    for base, scale, step in _UNITS:
        if unit == base:
            value, prefixes = value / scale, iter(_PREFIXES[base])
            name = next(prefixes)
            while value >= step and (larger := next(prefixes, "")):
                value, name = value / step, larger
            unit = name
    digits = 0 if value >= 100 or value == int(value) else 2 if value < 10 else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


def ratio(kind: str, pairs: list[tuple[float, float]], unit: str = "s", *, inverse: bool = False) -> Figure:
    """The figure of rounds: the median of each round's ratio, beside the medians of both."""
    ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    return Figure(kind, statistics.median(b / a if inverse else a / b for a, b in pairs), ours, theirs, unit)


async def spent(call: Call, times: int) -> tuple[float, float, float]:
    """Seconds for one of `times` calls: CPU of this thread, CPU of all, and wall."""
    gc.collect()
    before = time.thread_time(), time.process_time(), time.perf_counter()
    for _ in range(times):
        await call()
    after = time.thread_time(), time.process_time(), time.perf_counter()
    loop, process, wall = ((end - begin) / times for begin, end in zip(before, after, strict=True))
    return loop, process, wall


async def in_turn(ours: Call, theirs: Call, *, rounds: int, times: int) -> dict[str, Figure]:
    """Both, A B A B, after one round that warms up: CPU of the loop's thread, of the process, and wall."""
    taken = []
    gc.collect()
    gc.freeze()  # ccxt's modules are no part of what a bot without it has to be looked through
    for _ in range(rounds + 1):
        taken.append((await spent(ours, times), await spent(theirs, times)))
    kinds = ("CPU of the loop", "CPU of all threads", "wall")
    return {kind: ratio(kind, [(ours[at], theirs[at]) for ours, theirs in taken[1:]]) for at, kind in enumerate(kinds)}


def many(call: Call, number: int) -> Call:
    """So many at once."""

    async def at_once() -> None:
        await asyncio.gather(*(call() for _ in range(number)))

    return at_once


def instructions(*arguments: str) -> int | None:
    """What a process of Python takes, by valgrind; None where there is none. Load does not move it."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    python = Path(sys.executable).resolve()  # valgrind follows no launcher
    command = [valgrind, "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", str(python)]
    # No run compiles what another does not.
    environment = {
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": ":".join([str(ROOT), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments)} failed under valgrind:\n{done.stderr[-2000:]}")
    return int(done.stderr.rpartition("refs:")[2].strip().replace(",", ""))
