"""A journal file that is read beside the bot that writes it."""

import sqlite3
from pathlib import Path

import pytest

from orderbridge.errors import JournalError
from orderbridge.placement import Happened, SqliteJournal, looking
from orderbridge.placement.audit import verify
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.states import step
from tests.placement.kit import NOW, record, seen


async def test_nothing_changes_while_it_is_read(tmp_path: Path) -> None:
    """What a bot writes after the file was opened is not seen, so that no chain is read half."""
    bot = SqliteJournal(tmp_path / "orders.db")
    made = await bot.create(record("p1"))
    with JournalFile(tmp_path / "orders.db") as file:
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

    with JournalFile(tmp_path / "orders.db") as file:
        (found,) = file.named("oid1")

    assert found.placement.order is not None
    assert found.placement.order.status == "filled"
    assert not found.placement.may_be_live
    await bot.aclose()


async def test_a_locked_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that keeps the file to itself is named as the reason, within the time."""
    monkeypatch.setattr(looking, "_BUSY_SECONDS", 0.05)
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await bot.create(record("p1"))
    await bot.aclose()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(JournalError, match="locked by another program"), JournalFile(path):
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

    with JournalFile(path) as journal:
        findings = list(verify(journal))

    assert findings
    assert "restore a backup" in findings[0].advice
