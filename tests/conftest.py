"""What every test may use."""

import asyncio
import os
import selectors
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

import aiohttp  # noqa: F401 - a first request would load it, within the time that a test gives it
import pytest
from hypothesis import settings

from orderbridge.http import limits
from orderbridge.simulator import Simulator
from tests.kind import KIND

T = TypeVar("T")
# The same examples in every run, so that a red build is red for everybody; HYPOTHESIS_PROFILE=search looks further.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))
# Whoever runs the tests beside his shell, with `&` or under a service, has interrupts ignored, by every child too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest test first: the process that it waits for runs beside all the others, and not after them."""
    items.sort(key=lambda item: item.name != "test_what_imports_ccxt_passes_in_a_process_of_its_own")


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """Both simulated venues, on loopback ports of their own; Bitso is kind."""
    async with Simulator(seed=1, bitso=KIND) as running:
        yield running


@pytest.fixture(autouse=True)
def no_limits_of_earlier_tests() -> None:
    """
    Forgets the process's shared limiters: a simulator may get the port of an earlier one, with the same key.

    A lock-out of that one, which holds for a minute as it should, would then meet the new one.
    """
    limits.forget_shared()


def is_open(db: sqlite3.Connection) -> bool:
    """Asked in any thread: counting the changes is the one thing that every thread may do."""
    try:
        return db.total_changes >= 0
    except sqlite3.ProgrammingError:
        return False


@pytest.fixture(autouse=True)
def every_journal_is_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Fails the test that leaves a journal's file open.

    From 3.13 on Python warns of it, but not before it is collected, and so in another test.
    """
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def remembered(*args: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*args, **options)
        opened.append(db)
        return db

    monkeypatch.setattr(sqlite3, "connect", remembered)
    yield
    assert not [db for db in opened if is_open(db)], "a journal, or the file of one, was left open"


class _Jump(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """A selector that moves a clock instead of waiting."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select(None)  # only another thread can wake us
        # A real clock never stands still: a wait below its grain would be waited for ever.
        self.now += max(timeout or 0.0, 1e-9) if not ready else 1e-9
        return ready


@pytest.fixture
def in_simulated_time() -> Callable[[Callable[[], Coroutine[Any, Any, T]]], T]:
    """Run a coroutine function in a loop whose waits take no time; `loop.time` is its clock."""

    def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        selector = _Jump()
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now  # type: ignore[method-assign]
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main())

    return run
