"""A journal that is read, checked and pruned beside the bot that writes it."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.placement import Happened, SqliteJournal, upkeep
from orderbridge.placement.states import step
from orderbridge.placement.upkeep import Snapshot, verify
from tests.placement.kit import NOW, record, seen


async def test_nothing_changes_while_it_is_read(tmp_path: Path) -> None:
    """What a bot writes after the file was opened is not seen, so that no chain is read half."""
    bot = SqliteJournal(tmp_path / "orders.db")
    made = await bot.create(record("p1"))
    with Snapshot(SqliteJournal(tmp_path / "orders.db", read_only=True)) as file:
        before = [each.state for each in file.records()]
        await bot.change(made.id, lambda now: step(now, Happened.SENDING, at=NOW))
        await bot.create(record("p2"))

        assert [each.state for each in file.records()] == before
        assert [len(file.events(each)) for each in file.records()] == [1]
        assert list(verify(file)) == []
    await bot.aclose()


async def test_an_order_is_shown_as_last_known(tmp_path: Path) -> None:
    """The placement holds the first answer; what was seen later is what a person gets."""
    bot = SqliteJournal(tmp_path / "orders.db")
    made = await bot.create(record("p1"))
    await bot.change(made.id, lambda now: step(now, Happened.SENDING, at=NOW))
    first = {"order": seen("accepted")}
    await bot.change(made.id, lambda now: step(now, Happened.ACKNOWLEDGED, at=NOW, placement=first))
    await bot.observe([seen("accepted"), seen("filled", filled_quantity="0.01")])

    with Snapshot(SqliteJournal(tmp_path / "orders.db", read_only=True)) as file:
        (found,) = file.named("oid1")

    assert found.placement.order is not None
    assert found.placement.order.status == "filled"
    assert not found.placement.may_be_live
    await bot.aclose()


async def test_a_locked_file_is_told(tmp_path: Path) -> None:
    """A program that keeps the file to itself is named as the reason, within the time."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path, read_only=True, busy_timeout=0.05)
    bot = SqliteJournal(path)
    await bot.create(record("p1"))
    await bot.aclose()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(JournalError, match="another process keeps it locked"), Snapshot(journal):
        pass
    other.close()


async def test_a_damaged_page_is_a_finding(tmp_path: Path) -> None:
    """Bytes written over a page do not pass as a whole journal."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    for number in range(200):
        await bot.create(record(f"p{number}"))
    await bot.aclose()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 4096)

    with Snapshot(SqliteJournal(path, read_only=True)) as journal:
        findings = list(verify(journal))

    assert findings
    assert "restore a backup" in findings[0].advice


AGE = timedelta(days=1)
LATER = NOW.timestamp() + 10 * 86400


async def denied(journal: SqliteJournal, *names: str) -> None:
    made = [record(name) for name in names]
    how = [step(each, Happened.DENIED, at=NOW) for each in made]
    await asyncio.gather(*(journal.create(each, then) for each, then in zip(made, how, strict=True)))


async def pruned(path: Path, *, busy_timeout: float = 5.0) -> upkeep.Pruned:
    journal = SqliteJournal(path, busy_timeout=busy_timeout)
    try:
        return await upkeep.prune(journal, older_than=AGE, now=LATER)
    finally:
        await journal.aclose()


async def test_a_bot_writes_on_while_it_is_pruned(tmp_path: Path) -> None:
    """Every write of the bot succeeds and is kept, all that is old goes, and the chains stay whole."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, *(f"old-{number}" for number in range(1_500)))

    other = SqliteJournal(path)
    work = asyncio.ensure_future(upkeep.prune(other, older_than=AGE, now=LATER))
    written = 0
    while not work.done() or written < 50:
        await bot.create(record(f"new-{written}"))
        written += 1
    done = await work
    await other.aclose()

    assert done.placements == 1_500
    assert {each.id for each in await bot.find()} == {f"new-{number}" for number in range(written)}
    with Snapshot(SqliteJournal(path, read_only=True)) as file:
        assert list(verify(file)) == []
    await bot.aclose()


async def placed(
    journal: SqliteJournal, name: str, order_id: str, *, key: str | None = None, shown_id: str | None = None
) -> None:
    order = seen("filled", order_id=order_id, client_order_id=shown_id or f"ob-{name}")
    made = record(name, key=key)
    sent = step(made, Happened.SENDING, at=NOW)
    done = step(sent.record, Happened.ACKNOWLEDGED, at=NOW, placement={"order": order})
    await journal.create(made, sent, done)
    await journal.observe([order])


async def test_what_changes_after_it_was_looked_at_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A placement that something happens to, or whose order is seen again, just before the dropping is kept whole."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, "p1", "p2")
    await placed(bot, "p3", "o3")
    await placed(bot, "p4", "o4")
    loop, look = asyncio.get_running_loop(), upkeep._look

    async def go_on() -> None:
        await bot.change("p2", lambda now: step(now, Happened.FOUND, at=NOW))
        await bot.observe([seen("filled", order_id="o4", client_order_id="ob-p4", filled_quantity="0.01")])

    def look_then_go_on(*what: Any, **how: Any) -> object:
        kept = look(*what, **how)
        asyncio.run_coroutine_threadsafe(go_on(), loop).result()
        return kept

    monkeypatch.setattr(upkeep, "_look", look_then_go_on)
    done = await pruned(path)

    assert (done.placements, done.orders) == (2, 1)
    assert {each.id for each in await bot.find()} == {"p2", "p4"}
    with Snapshot(SqliteJournal(path, read_only=True)) as file:
        assert [name for (name,) in file.rows("SELECT order_id FROM orders")] == ["o4"]
        assert list(verify(file)) == []
    await bot.aclose()


async def test_the_order_of_a_placement_that_is_kept_is_kept(tmp_path: Path) -> None:
    """By whichever id they belong together: a person may have named an order that the venue shows under another one."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await placed(bot, "p1", "o1", key="a", shown_id="another")
    await placed(bot, "p2", "o2", shown_id="a-third")
    await bot.aclose()

    done = await pruned(path)

    assert (done.placements, done.orders, done.kept_for_key) == (1, 1, 1)
    with Snapshot(SqliteJournal(path, read_only=True)) as file:
        assert [name for (name,) in file.rows("SELECT order_id FROM orders")] == ["o1"]


async def test_a_bot_may_prune_its_own_journal(tmp_path: Path) -> None:
    """What is dropped is gone for the journal that dropped it too: nothing more can happen to it."""
    bot = SqliteJournal(tmp_path / "orders.db")
    await denied(bot, "p1")

    done = await upkeep.prune(bot, older_than=AGE, now=LATER)
    with pytest.raises(KeyError):
        await bot.change("p1", lambda now: step(now, Happened.FOUND, at=NOW))

    assert done.placements == 1
    assert await bot.events("p1") == []
    await bot.aclose()


async def test_all_goes_or_nothing(tmp_path: Path) -> None:
    """A failure at the last row leaves the journal as it was: no placement without its events, no half of it gone."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, "p1")
    await placed(bot, "p2", "o2")
    await bot.aclose()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TRIGGER full BEFORE DELETE ON orders BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    with pytest.raises(JournalError, match="disk full"):
        await pruned(path)

    with Snapshot(SqliteJournal(path, read_only=True)) as file:
        assert [len(file.events(each)) for each in file.records()] == [2, 3]
        assert list(verify(file)) == []


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

    done = await pruned(tmp_path / "orders.db")

    assert done.placements == goes


async def test_a_locked_file_is_refused(tmp_path: Path) -> None:
    """A writer that does not let go is told, and nothing is dropped."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await denied(bot, "old")
    await bot.aclose()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(JournalError, match="another process keeps it locked"):
            await pruned(path, busy_timeout=0.05)
        other.execute("ROLLBACK")

    with Snapshot(SqliteJournal(path, read_only=True)) as file:
        assert len(list(file.records())) == 1


async def test_what_is_young_is_not_asked_for(tmp_path: Path) -> None:
    """An age under a day is refused before the file is looked at."""
    with pytest.raises(ConfigurationError, match="a day at least"):
        await upkeep.prune(SqliteJournal(tmp_path / "orders.db"), older_than=timedelta(hours=23))
