"""Writing down what happened, and telling whether the owner of a lease is gone."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest

from orderbridge import Alarm
from orderbridge.errors import VenueUnavailable
from orderbridge.placement import MemoryJournal
from orderbridge.placement.ledger import is_gone, owner_name
from tests.placement.hand import Bot
from tests.placement.kit import record
from tests.placement.test_resolve_certificate import Venue


def down() -> Venue:
    venue = Venue()
    venue.open = VenueUnavailable("down")
    return venue


async def test_an_async_handler_of_alarms_is_awaited() -> None:
    """A bot that sends its alarms over the network is told like any other."""
    told: list[str] = []

    async def handler(alarm: Alarm) -> None:
        await asyncio.sleep(0)
        told.append(alarm.kind.value)

    bot = Bot(down(), on_alarm=handler)
    placement = await bot.bridge.resolve(await bot.lose(), timeout=3)
    await asyncio.sleep(0.05)
    await bot.bridge.aclose()

    assert placement.gave_up
    assert told == ["gave_up"]


def raises(alarm: Alarm) -> None:
    raise KeyError("chat id")


async def raises_later(alarm: Alarm) -> None:
    await asyncio.sleep(0)
    raise KeyError("chat id")


@pytest.mark.parametrize("handler", [raises, raises_later])
async def test_a_handler_of_alarms_that_fails_is_logged(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the alarm nor why it was not told is lost, and the bookkeeping goes on."""
    bot = Bot(down(), on_alarm=handler)
    placement = await bot.bridge.resolve(await bot.lose(), timeout=3)
    await asyncio.sleep(0.05)
    await bot.bridge.aclose()

    (logged,) = [each for each in caplog.records if "the handler of alarms failed" in each.getMessage()]
    assert placement.gave_up
    assert "its outcome cannot be proven" in logged.getMessage()
    assert logged.exc_info is not None
    assert isinstance(logged.exc_info[1], KeyError)


async def test_only_so_many_other_processes_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal outlives many processes: the one that said nothing for longest is forgotten, and read anew."""
    monkeypatch.setattr("orderbridge.placement.ledger._MOST_OWNERS", 3)
    journal = MemoryJournal()
    bot = Bot(Venue(), journal=journal)
    ledger = bot.bridge._placements.ledger
    for number in range(10):
        await journal.keep_alive(f"elsewhere:{number}", 60)

    lives = [await ledger.is_worked_on(record(owner=f"elsewhere:{number}")) for number in (*range(10), 0)]
    remembered = list(ledger._too_long)
    await bot.bridge.aclose()

    assert lives == [True] * 11
    assert remembered == ["elsewhere:8", "elsewhere:9", "elsewhere:0"]


NAME = """
import sys
from orderbridge.placement.ledger import owner_name
print(owner_name(), flush=True)
sys.stdin.read()
"""


def test_a_process_that_lives_is_not_gone_and_one_that_ended_is() -> None:
    """As seen from another process of this machine."""
    with subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        owner = child.stdout.readline().strip()
        alive = is_gone(owner)
        child.kill()
        child.wait()

    assert (alive, is_gone(owner)) == (False, True)


def test_two_bridges_of_one_process_have_two_names_and_both_live() -> None:
    """A name is of one bridge's work, not of the process alone."""
    first, second = owner_name(), owner_name()

    assert first != second
    assert (is_gone(first), is_gone(second)) == (False, False)


def test_a_process_number_that_was_given_out_again_is_another_process() -> None:
    """In a container every life may have the same number: the start time tells them apart."""
    realm, number, started, word = owner_name().split(":")

    assert is_gone(":".join([realm, number, str(int(started) - 1), word]))


@pytest.mark.parametrize("owner", ["", "elsewhere:1:gone", ":1:5:a", "other@1:1:5:a", "a:b:c:d", "a:²:c:d"])
def test_what_cannot_be_told_from_here_is_not_said_to_be_gone(owner: str) -> None:
    """Another machine's or namespace's process, and a name of another form, are left to their lease."""
    assert not is_gone(owner)
