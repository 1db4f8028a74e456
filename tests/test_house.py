"""
The house stays one that can be held: how many rooms it has, what stands twice in it, how far a call walks.

A guard that fails prints what grew. Mend that; a limit is raised only where the house became easier to hold by it.
"""

import ast
import re
import subprocess
import sys
import threading
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import orderbridge
from orderbridge import OrderBridge, OrderRequest
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator

PACKAGE = Path(orderbridge.__file__).resolve().parent
ROOT = PACKAGE.parent
# A listing that can be read.
MOST_FILES = 132
# What one call crosses, from the bridge to the wire and back.
MOST_FILES_OF_A_LOOK_UP = 33
MOST_FILES_OF_A_PLACEMENT = 34
# A signature is written where it is promised and where it is done.
MOST_DEFINITIONS = 5
# The calls of a gateway and of a bridge, but for names that every other class has too (get, orders, aclose).
CALLS = {
    *("submit", "lookup", "open_orders", "cancel", "cancel_all", "edit", "fills", "markets", "permit", "retry_failed"),
    *("place", "place_many", "prepare", "resolve", "explain", "observe", "placement", "placements"),
}
# Each venue has its own file of these names.
MANY_OF_A_NAME = {"__init__.py", "mapping.py", "auth.py", "venue.py"}
MOST_OF_A_NAME = 3
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def files() -> list[str]:
    """The files of the package, by their paths in it."""
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def named() -> list[tuple[str, ast.AST]]:
    """Each class and function of the package, as `file:line` and what stands there."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        (f"{name}:{node.lineno}", node)
        for name in files()
        for node in ast.walk(ast.parse((PACKAGE / name).read_text()))
        if isinstance(node, kinds)
    ]


def told(places: Mapping[str, list[str]]) -> str:
    """Names, each with where it stands."""
    return "\n".join(f"{name}: {len(found)} {', '.join(found)}" for name, found in places.items())


def test_layers_are_kept() -> None:
    """Who may import whom is as the contract in pyproject.toml says it."""
    command = [sys.executable, "-c", "import importlinter.cli as cli; cli.lint_imports_command()"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_listing_can_be_read() -> None:
    """The package has no more files than one can look through."""
    rooms: defaultdict[str, list[str]] = defaultdict(list)
    for name in files():
        room, _, file = name.rpartition("/")
        rooms[room or "."].append(file)

    assert len(files()) <= MOST_FILES, told(rooms)


def test_no_class_name_stands_twice() -> None:
    """A public class is found by its name alone."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for place, node in named():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            places[node.name].append(place)

    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not twice, told(twice)


def test_a_file_name_says_where_one_is() -> None:
    """No file name stands more than three times, but for those that every venue has."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for name in files():
        places[name.rpartition("/")[2]].append(name)

    often = {
        name: found for name, found in places.items() if len(found) > MOST_OF_A_NAME and name not in MANY_OF_A_NAME
    }
    assert not often, told(often)


def test_a_call_is_written_where_it_is_promised_and_where_it_is_done() -> None:
    """No public call is defined more than five times; the simulator, the command line and futures have their own."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    classes = [node for _, node in named() if isinstance(node, ast.ClassDef)]
    futures = [each for each in classes if any("Future" in ast.unparse(base) for base in each.bases)]
    others = {call for each in futures for call in each.body}
    for place, node in named():
        is_call = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node not in others
        if is_call and not place.startswith(("simulator/", "cli/")):
            places[node.name].append(place)

    often = {name: found for name, found in places.items() if name in CALLS and len(found) > MOST_DEFINITIONS}
    assert not often, told(often)


def page_of(heading: str) -> str:
    """One section of the page about the house."""
    return PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def files_in(text: str) -> set[str]:
    """The files and folders that a text names, in backticks."""
    return {name for name in re.findall(r"`([^`\s]+)`", text) if name.endswith(("/", ".py", ".md", ".toml"))}


def test_what_the_page_about_the_house_names_is_there() -> None:
    """Every file and folder of docs/architecture.md exists, in the package or beside it; `*` is any folder."""
    named_there = files_in(PAGE)

    assert len(named_there) > 50
    assert {name for name in named_there if not any((*PACKAGE.glob(name), *ROOT.glob(name)))} == set()


def test_the_page_about_the_house_tells_the_layers() -> None:
    """They are those of the import contract, in its order and its signs."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (each["layers"] for each in contracts if each.get("exhaustive"))

    assert page_of("Who may import whom").split("```\n")[1].splitlines() == layers


class Walk:
    """
    The files of the package that a call crosses, in the order in which it first enters them.

    What runs beside it is its work too: the journal has a thread, an answer is told to it in the background. The
    simulated venue in the same process is left out.
    """

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self._is_on = False

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Threads are traced that begin in here, and nothing counts before `counting`."""
        before = sys.getprofile()
        threading.setprofile(self._enter)
        sys.setprofile(self._enter)
        try:
            yield
        finally:
            sys.setprofile(before)
            threading.setprofile(before)  # type: ignore[arg-type]

    @contextmanager
    def counting(self) -> Iterator[None]:
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def _enter(self, frame: FrameType, event: str, _: Any) -> None:
        path = frame.f_code.co_filename
        if self._is_on and event == "call" and path.startswith(f"{PACKAGE}/"):
            name = Path(path).relative_to(PACKAGE).as_posix()
            if not name.startswith("simulator/"):
                self.files[name] = None

    def __str__(self) -> str:
        return f"{len(self.files)} files, in this order:\n" + "\n".join(self.files)


async def test_a_look_up_is_a_short_walk() -> None:
    """One id, asked for at two venues: few files are crossed from the bridge to the wire and back."""
    walk = Walk()
    with walk.traced():
        async with Simulator(seed=1) as sim:
            sim.bitso.put(origin_id="my-bot-42", status="partially filled", quantity="0.01", price="560000")
            async with OrderBridge(sim.bitso.gateway(), sim.bitcain.gateway(trading_mode="paper")) as bridge:
                await bridge.lookup("another")  # connections and log-ins are made, and the clock is set
                with walk.counting():
                    found = await bridge.lookup("my-bot-42")

    assert found["my-bot-42"].order
    assert walk.files.keys() >= {"bridge.py", "http/session.py"}
    assert files_in(page_of("A look-up").split("\n\nAn outcome")[0]) <= {*walk.files, "http/httpx_engine.py"}, str(walk)
    assert len(walk.files) <= MOST_FILES_OF_A_LOOK_UP, str(walk)


async def test_a_placement_is_a_short_walk(tmp_path: Path) -> None:
    """One order, written down, sent, answered: few files are crossed from the bridge to journal and wire and back."""
    walk = Walk()
    with walk.traced():
        async with Simulator(seed=1) as sim:
            journal = SqliteJournal(tmp_path / "orders.db")
            async with OrderBridge(sim.bitso.gateway(), journal=journal) as bridge:
                first, second = (
                    OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price=price)
                    for price in ("550000", "560000")
                )
                await bridge.place("bitso", first, key="first")  # the market's rules are loaded
                await bridge.recover()  # what begins with the bridge has ended
                with walk.counting():
                    await bridge.place("bitso", second, key="second")

    assert walk.files.keys() >= {"bridge.py", "http/session.py"}
    assert files_in(page_of("A placement").split("\n\nAn outcome")[0]) <= {*walk.files, "http/httpx_engine.py"}, str(
        walk
    )
    assert len(walk.files) <= MOST_FILES_OF_A_PLACEMENT, str(walk)
