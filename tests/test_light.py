"""The package is light to import and to call, and its public names are exactly those it lists."""

import ast
import asyncio
import itertools
import subprocess
import sys
import threading
import tracemalloc
import types
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import orderbridge
from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.placement import SqliteJournal
from tests.benchmarks.calls import our_page
from tests.benchmarks.instant import KEYS, AtOnce, limit_buy

HEAVY = {"ccxt", "aiohttp", "starlette", "uvicorn", "typer", "rich", "httpx", "redis", "psycopg", "hypothesis", "yaml"}


# Of the package, by one gateway that was made.
MOST_MODULES = 41
ADAPTERS = [f"orderbridge.adapters.{name}" for name in ("bitso", "bitcain", "ccxt_any")]


def loaded_by(code: str) -> set[str]:
    """The modules in a fresh interpreter that ran this, and wrote nothing to stderr."""
    code = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return set(done.stdout.split())


def ours(modules: set[str]) -> set[str]:
    """Those of the package."""
    return {name for name in modules if name.partition(".")[0] == "orderbridge"}


@pytest.mark.parametrize("module", ["orderbridge.http", "orderbridge.errors", "orderbridge.bridge"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    """A fresh interpreter that imports us has no HTTP library, no ccxt, no web framework and no terminal in it."""
    assert loaded_by(f"import {module}") & HEAVY == set()


@pytest.mark.parametrize("module", [*ADAPTERS, "orderbridge.settings"])
def test_importing_an_adapter_loads_no_ccxt(module: str) -> None:
    """Not even ccxt's own adapter brings ccxt with it: a gateway does, when it is made."""
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_importing_the_package_loads_no_other_module_of_it() -> None:
    """A name is loaded when it is first used, and only with what it needs itself: errors need no model."""
    assert ours(loaded_by("import orderbridge")) == {"orderbridge"}
    assert ours(loaded_by("import orderbridge; orderbridge.errors.NotSent")) == {"orderbridge", "orderbridge.errors"}
    assert "orderbridge.bridge" not in loaded_by("from orderbridge import Order, OrderRequest")


def test_native_gateways_load_no_ccxt() -> None:
    """Made and named by `connect`, they leave ccxt out, and their HTTP library is left to the first request."""
    settings = {"gateways": {"bitso": {"api_key": "k", "api_secret": "s"}}}
    code = f"import orderbridge; orderbridge.connect('bitso', settings={settings!r})"

    assert loaded_by(code) & HEAVY == set()


def test_a_gateway_loads_what_it_needs() -> None:
    """One that is made has neither the bridge nor the journal nor another venue beside it."""
    loaded = ours(loaded_by(f"from {ADAPTERS[0]} import BitsoGateway; BitsoGateway(api_key='k', api_secret='s')"))

    assert loaded & {"orderbridge.bridge", "orderbridge.placement", ADAPTERS[1], ADAPTERS[2]} == set()
    assert len(loaded) <= MOST_MODULES


def test_a_look_up_loads_neither_a_journal_nor_a_settings_file() -> None:
    """Without them neither SQLite nor TOML is in a bot or in `orderbridge lookup`, and of the commands only its own."""
    settings = {"gateways": {"bitso": {"api_key": "k", "api_secret": "s"}}}
    code = f"import orderbridge.cli.read; orderbridge.connect('bitso', settings={settings!r})"
    journal = {"sqlite3", "orderbridge.placement.sql", "orderbridge.placement.upkeep", "orderbridge.cli.journal"}

    assert loaded_by(code) & {*journal, "tomllib", "orderbridge.cli.act", "orderbridge.simulator"} == set()


def test_an_engine_that_was_closed_unused_stays_closed() -> None:
    """The library that was left to the first request is not loaded by one that comes too late."""
    code = """
import asyncio
from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import WireRequest, make_transport

async def use():
    engine, _ = make_transport("aiohttp")
    await engine.aclose()
    try:
        await engine.send(WireRequest("GET", "http://127.0.0.1:1/"), timeout=5)
    except ConfigurationError as error:
        assert "closed" in str(error)
    else:
        raise AssertionError("it was sent")

asyncio.run(use())
"""

    assert "aiohttp" not in loaded_by(code)


def test_all_is_what_is_public() -> None:
    """`__all__` holds every public name that is no submodule, in order; each is there, and `import *` brings it."""
    public = {
        name
        for name in dir(orderbridge)
        if not name.startswith("_") and not isinstance(getattr(orderbridge, name), types.ModuleType)
    }
    starred: dict[str, Any] = {}
    exec("from orderbridge import *", starred)

    assert public | {"errors"} == set(orderbridge.__all__)
    assert list(orderbridge.__all__) == sorted(orderbridge.__all__, key=str)
    assert {name: starred[name] for name in orderbridge.__all__} == {
        name: getattr(orderbridge, name) for name in orderbridge.__all__
    }


def test_what_is_loaded_when_asked_for_is_shown_before() -> None:
    """Whoever looks with `dir` is told of every name of the journals, be it loaded or not."""
    code = "from orderbridge import placement; print({*placement.__all__} <= {*dir(placement)})"

    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert said.stdout == "True\n"


def test_type_checkers_are_told_of_the_names_that_are_there() -> None:
    """What stands under TYPE_CHECKING is, name by name, what is loaded: from the same module, and nothing more."""
    tree = ast.parse(Path(orderbridge.__file__).read_text())
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("orderbridge")
        for alias in node.names
    }

    assert told.pop("errors") == "orderbridge"
    assert told == orderbridge._HOMES
    assert {*told, "errors"} == set(orderbridge.__all__)


def test_public_names_behave_as_if_they_had_been_imported() -> None:
    """They pickle, help() shows them, submodules are found by attribute, and another name is an AttributeError."""
    code = """
import orderbridge, pickle, pydoc
assert pickle.loads(pickle.dumps([orderbridge.Order, orderbridge.connect])) == [orderbridge.Order, orderbridge.connect]
assert "class OrderBridge" in pydoc.plain(pydoc.render_doc(orderbridge))
assert orderbridge.placement.SqliteJournal
assert not hasattr(orderbridge, "nothing")
try:
    from orderbridge import nothing
except ImportError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError
"""

    assert "orderbridge.placement.sqlite" in loaded_by(code)


def test_every_public_class_says_what_it_is() -> None:
    """No public name is without a docstring of its own."""
    for name in orderbridge.__all__:
        value = getattr(orderbridge, name)
        if isinstance(value, type | types.FunctionType | types.ModuleType):
            assert value.__doc__, name
            assert len(value.__doc__.split()) >= 3, name


def test_every_public_method_says_what_it_does() -> None:
    """Nor is a public method or property of a public class, where the class itself defines it."""
    # The refusals of UnsupportedCalls are documented where the calls are.
    names = set(orderbridge.__all__) - {"RefLike", "UnsupportedCalls"}
    classes = {name: getattr(orderbridge, name) for name in sorted(names)}
    silent = [
        f"{name}.{member}"
        for name, kind in classes.items()
        if isinstance(kind, type)
        for member, value in vars(kind).items()
        if not member.startswith("_") and isinstance(value, types.FunctionType | property | classmethod)
        if not value.__doc__ and member not in BaseModel.__dict__
    ]

    assert silent == []


MOST_CALLS = {"get": 160, "bridge.get": 232, "submit": 137, "place": 340, "place, SQLite": 535}


async def test_a_call_enters_few_functions(tmp_path: Path) -> None:
    """What one call costs above the transport, counted and not timed: functions of Python that it enters."""
    entered: list[object] = []

    def enter(frame: object, event: str, _: object) -> None:
        if event == "call":
            entered.append(frame)

    keys = {**KEYS, "transport": AtOnce()}
    numbers, request = itertools.count(), limit_buy()
    durable = OrderBridge(BitsoGateway(**keys), journal=SqliteJournal(tmp_path / "orders.db"))
    async with BitsoGateway(**keys) as gateway, OrderBridge(BitsoGateway(**keys)) as bridge, durable:
        threading.setprofile(enter)  # for the journal's threads, which begin now
        await durable.recover()
        threading.setprofile(None)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: gateway.get("bitso:Q1"),
            "bridge.get": lambda: bridge.get("bitso:Q1"),
            "submit": lambda: gateway.submit(request),
            "place": lambda: bridge.place("bitso", request, key=f"k{next(numbers)}"),
            "place, SQLite": lambda: durable.place("bitso", request, key=f"k{next(numbers)}"),
        }
        found = {}
        for name, call in calls.items():
            await call()
            await asyncio.sleep(0.01)  # what is told of it in the background was told
            entered.clear()
            sys.setprofile(enter)
            for _ in range(10):
                await call()
            sys.setprofile(None)
            found[name] = len(entered) // 10

    assert found.keys() == MOST_CALLS.keys()
    assert all(found[name] <= most for name, most in MOST_CALLS.items()), found


class Counting(AtOnce):
    """Bitso's answers, and how many were asked for."""

    def __init__(self) -> None:
        self.requests = 0

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        self.requests += 1
        return await super().send(request, timeout=timeout, not_after=not_after)


async def test_a_call_sends_few_requests() -> None:
    """One for one order, and for a hundred ids one for each fifty; the market's rules are asked for once."""
    counting = Counting()
    ids, request = [f"bitso:Q{number}" for number in range(100)], limit_buy()
    async with OrderBridge(BitsoGateway(**KEYS, transport=counting)) as bridge:
        await bridge.place("bitso", request, key="first")
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: bridge.get("bitso:Q1"),
            "lookup": lambda: bridge.lookup(*ids),
            "open_orders": bridge.open_orders,
            "place": lambda: bridge.place("bitso", request, key="second"),
        }
        sent = {}
        for name, call in calls.items():
            before = counting.requests
            await call()
            sent[name] = counting.requests - before

    assert sent == {"get": 1, "lookup": 2, "open_orders": 1, "place": 1}


# ccxt's weighs 2,440 with the exchange's row, which is 1,090 of it.
MOST_BYTES = 2_700


def test_an_order_that_is_held_weighs_little() -> None:
    """What one order of a page takes in memory, with the venue's row beside it: allocations, which no load moves."""
    our_page()  # what is made once is no order's
    tracemalloc.start()
    try:
        orders = our_page()
        weight = tracemalloc.get_traced_memory()[0] / len(orders)
    finally:
        tracemalloc.stop()

    assert len(orders) == 499
    assert weight <= MOST_BYTES
