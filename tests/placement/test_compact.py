"""Making a journal smaller while it is in use."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.placement import Happened, SqliteJournal, compact
from orderbridge.placement.audit import verify
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.states import step
from tests.placement.kit import NOW, record

AGE = timedelta(days=1)
LATER = NOW.timestamp() + 10 * 86400


async def denied(journal: SqliteJournal, *names: str) -> None:
    made = [record(name) for name in names]
    how = [step(each, Happened.DENIED, at=NOW) for each in made]
    await asyncio.gather(*(journal.create(each, then) for each, then in zip(made, how, strict=True)))


async def test_a_bot_writes_on_while_it_is_compacted(tmp_path: Path) -> None:
    """Every write of the bot succeeds and is kept, all that is old goes, and the chains stay whole."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, *(f"old-{number}" for number in range(1_500)))

    work = asyncio.get_running_loop().run_in_executor(None, lambda: compact.compact(path, older_than=AGE, now=LATER))
    written = 0
    while not work.done() or written < 50:
        await bot.create(record(f"new-{written}"))
        written += 1
    done = await work

    assert done.placements == 1_500
    assert {each.id for each in await bot.find()} == {f"new-{number}" for number in range(written)}
    with JournalFile(path) as file:
        assert list(verify(file)) == []
    await bot.aclose()


@pytest.mark.parametrize("state", ["not_placed", "denied"])
@pytest.mark.parametrize(("days", "goes"), [(-1, True), (0, False), (1, False), (None, True)])
async def test_what_is_watched_stays_until_that_is_over(
    tmp_path: Path, state: str, days: int | None, goes: bool
) -> None:
    """A late order of it would be nobody's otherwise."""
    until = None if days is None else datetime.fromtimestamp(LATER, UTC) + timedelta(days=days)
    bot = SqliteJournal(tmp_path / "orders.db")
    await bot.create(record(state=state, watch_until=until))
    await bot.aclose()

    done = compact.compact(tmp_path / "orders.db", older_than=AGE, now=LATER)

    assert done.placements == goes


async def test_the_space_is_given_back(tmp_path: Path) -> None:
    """With nobody at work the file gets shorter, and says by how much."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, *(f"old-{number}" for number in range(600)))
    await bot.aclose()
    before = path.stat().st_size

    done = compact.compact(path, older_than=AGE, now=LATER)

    assert done.shrunk
    assert done.freed == before - path.stat().st_size > 0


async def test_a_locked_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that does not let go is told, and nothing is dropped."""
    monkeypatch.setattr(compact, "_BUSY_SECONDS", 0.05)
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, "old")
    await bot.aclose()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(JournalError, match="locked by another program"):
            compact.compact(path, older_than=AGE, now=LATER)
        other.execute("ROLLBACK")

    with JournalFile(path) as file:
        assert len(list(file.records())) == 1


def test_what_is_young_is_not_asked_for(tmp_path: Path) -> None:
    """An age under a day is refused before the file is looked at."""
    with pytest.raises(ConfigurationError, match="a day at least"):
        compact.compact(tmp_path / "orders.db", older_than=timedelta(hours=23))
