"""The package is light to import and to call, and its public names are exactly those it lists."""

import asyncio
import itertools
import subprocess
import sys
import types
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel

import orderbridge
from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from tests.benchmarks.instant import AtOnce, limit_buy

HEAVY = ("ccxt", "aiohttp", "starlette", "uvicorn", "typer", "rich", "httpx", "redis", "psycopg", "hypothesis", "yaml")


ADAPTERS = [f"orderbridge.adapters.{name}" for name in ("bitso", "bitcain", "ccxt_any")]


@pytest.mark.parametrize("module", ["orderbridge", "orderbridge.http", "orderbridge.errors"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    """A fresh interpreter that imports us has no HTTP library, no ccxt, no web framework and no terminal in it."""
    code = f"import sys, {module}; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == ""
    assert done.stderr == ""


@pytest.mark.parametrize("module", [*ADAPTERS, "orderbridge.settings"])
def test_importing_an_adapter_loads_no_ccxt(module: str) -> None:
    """Not even ccxt's own adapter brings ccxt with it: a gateway does, when it is made."""
    code = f"import sys, {module}; print(*sorted({{'ccxt', 'aiohttp', 'typer', 'rich'}} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == ""


def test_native_gateways_load_no_ccxt() -> None:
    """Made and named by `connect`, they leave ccxt out."""
    settings = {"gateways": {"bitso": {"api_key": "k", "api_secret": "s"}}}
    code = f"import sys, orderbridge; orderbridge.connect('bitso', settings={settings!r}); print('ccxt' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout.strip() == "False"


def test_all_is_what_is_public() -> None:
    """`__all__` holds every public name that is no submodule, and each of its names is there."""
    public = {
        name
        for name, value in vars(orderbridge).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }

    assert public | {"errors"} == set(orderbridge.__all__)
    assert list(orderbridge.__all__) == sorted(orderbridge.__all__, key=str)
    assert all(getattr(orderbridge, name) is not None for name in orderbridge.__all__)


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


MOST_CALLS = {"get": 230, "bridge.get": 475, "submit": 212, "place": 670}


async def test_a_call_enters_few_functions() -> None:
    """What one call costs above the transport, counted and not timed: functions of Python that it enters."""
    entered: list[object] = []
    keys: dict[str, Any] = {"api_key": "key", "api_secret": "secret", "transport": AtOnce(), "limits": None}
    numbers, request = itertools.count(), limit_buy()
    async with BitsoGateway(**keys) as gateway, OrderBridge(BitsoGateway(**keys)) as bridge:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get": lambda: gateway.get("bitso:Q1"),
            "bridge.get": lambda: bridge.get("bitso:Q1"),
            "submit": lambda: gateway.submit(request),
            "place": lambda: bridge.place("bitso", request, key=f"k{next(numbers)}"),
        }
        found = {}
        for name, call in calls.items():
            await call()
            await asyncio.sleep(0.01)  # what is told of it in the background was told
            entered.clear()
            sys.setprofile(lambda frame, event, _: entered.append(frame) if event == "call" else None)
            for _ in range(10):
                await call()
            sys.setprofile(None)
            found[name] = len(entered) // 10

    assert found.keys() == MOST_CALLS.keys()
    assert all(found[name] <= most for name, most in MOST_CALLS.items()), found
