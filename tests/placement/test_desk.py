"""Whom something is told: a handler of alarms that is async, and one that fails."""

import asyncio
from typing import Any

import pytest

from orderbridge import Alarm
from orderbridge.errors import VenueUnavailable
from orderbridge.placement import MemoryJournal
from tests.placement.hand import Bot
from tests.placement.kit import record
from tests.placement.test_certificate import Venue


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
    monkeypatch.setattr("orderbridge.placement.desk._MOST_OWNERS", 3)
    journal = MemoryJournal()
    bot = Bot(Venue(), journal=journal)
    desk = bot.bridge._placing.desk
    for number in range(10):
        await journal.keep_alive(f"elsewhere:{number}", until=desk.clock() + 60)

    lives = [await desk.is_worked_on(record(owner=f"elsewhere:{number}")) for number in (*range(10), 0)]
    remembered = list(desk._told)
    await bot.bridge.aclose()

    assert lives == [True] * 11
    assert remembered == ["elsewhere:8", "elsewhere:9", "elsewhere:0"]
