"""The journal file: crashes, damage, several processes."""

import asyncio
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from threading import Thread

import pytest

from orderbridge import errors
from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState
from orderbridge.placement import SqliteJournal
from tests.benchmarks.journal import weigh
from tests.placement.kit import record

WRITER = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.placement.kit import record
from orderbridge.placement import SqliteJournal

async def main():
    journal = SqliteJournal({path!r})
    for number in range({count}):
        made = await journal.create(record(f"{{sys.argv[1]}}-{{number}}", key=f"key-{{number}}"))
        print(made.id, flush=True)
    await journal.aclose()

asyncio.run(main())
"""
ROOT = str(Path(__file__).parents[2])


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    code = WRITER.format(root=ROOT, path=str(path), count=count)
    return subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True)


async def test_what_was_written_is_there_after_the_process(tmp_path: Path) -> None:
    """A second journal on the file reads what the first wrote; others may not read the file."""
    path = tmp_path / "orders.db"
    first = SqliteJournal(path)
    made = await first.create(record(key="k"))
    await first.aclose()
    second = SqliteJournal(path)

    assert await second.get("p1") == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await second.aclose()


async def test_it_is_closed_where_no_thread_can_be_begun_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while Python 3.12 ends: whole, so that nobody takes its process for one that still lives."""

    def refused(thread: Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record(key="k"))
    with monkeypatch.context() as ending:
        ending.setattr(Thread, "start", refused)

        await journal.aclose()

    assert not [thread for thread in threading.enumerate() if thread.name == "orderbridge-journal"]


async def test_every_record_that_was_confirmed_survives_sigkill(tmp_path: Path) -> None:
    """A writer killed in the middle has lost nothing that it was told is stored."""
    path = tmp_path / "orders.db"
    process = writer(path, "a", 100_000)
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().split()[:-1]
    process.wait()
    process.stdout.close()
    journal = SqliteJournal(path)

    kept = {each.id for each in await journal.find()}

    assert set(told) <= kept
    assert len(await journal.events(told[-1])) == 1
    await journal.aclose()


async def test_two_processes_on_one_file_share_its_keys(tmp_path: Path) -> None:
    """Each key goes to one of the two writers, and both are told the same."""
    path = tmp_path / "orders.db"
    both = [writer(path, name, 40) for name in "ab"]
    told = [set(process.communicate(timeout=60)[0].split()) for process in both]
    journal = SqliteJournal(path)

    kept = {each.id for each in await journal.find()}

    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1] == kept
    assert len(kept) == 40
    await journal.aclose()


async def test_a_placement_writes_few_pages(tmp_path: Path) -> None:
    """Two commits when it is alone; pages by itself and among others, and bytes, are counted and stay as few."""
    alone, syncs, together, size = await weigh(tmp_path, before=1_000, alone=50, batches=2)

    assert alone < 17
    assert together < 3
    assert size < 2_250
    assert syncs == 2


async def test_many_at_once_are_all_stored(tmp_path: Path) -> None:
    """Waiting writes are committed together; one that fails spoils none of its neighbours."""
    journal = SqliteJournal(tmp_path / "orders.db")
    twice = record("p0b").placement.model_copy(update={"client_order_id": "ob-p0"})
    odd = record("p0b").model_copy(update={"placement": twice})

    results = await asyncio.gather(
        *(journal.create(record(f"p{n}")) for n in range(50)), journal.create(odd), return_exceptions=True
    )

    assert isinstance(results[-1], ValueError)
    assert len(await journal.find(states=[PlacementState.PREPARED])) == 50
    await journal.aclose()


async def test_a_cancelled_caller_does_not_cancel_the_write(tmp_path: Path) -> None:
    """What was handed in is written, though nobody waits for it any more."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record("p0"))
    task = asyncio.ensure_future(journal.create(record("p1")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await journal.create(record("p2"))

    assert await journal.get("p1") is not None
    await journal.aclose()


async def test_a_reader_looks_on_while_a_bot_writes(tmp_path: Path) -> None:
    """A journal opened for reading sees each write, and refuses to make one."""
    path = tmp_path / "orders.db"
    bot, looker = SqliteJournal(path), SqliteJournal(path, read_only=True)
    await bot.create(record("p1"))
    before = len(await looker.find())
    await bot.create(record("p2"))

    assert (before, len(await looker.find())) == (1, 2)
    with pytest.raises(JournalError, match="reading only"):
        await looker.create(record("p3"))
    await bot.aclose()
    await looker.aclose()


async def test_a_missing_file_is_not_made_by_a_reader(tmp_path: Path) -> None:
    """Looking at a journal that is not there says so."""
    looker = SqliteJournal(tmp_path / "orders.db", read_only=True)

    with pytest.raises(JournalError, match="cannot be read"):
        await looker.find()
    assert not (tmp_path / "orders.db").exists()
    await looker.aclose()


async def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A file of a later version is not written to; one of this version is opened again as it is."""
    path = tmp_path / "orders.db"
    first = SqliteJournal(path)
    await first.create(record())
    await first.aclose()
    again = SqliteJournal(path)
    await again.create(record("p2"))
    await again.aclose()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    newer = SqliteJournal(path)

    with pytest.raises(JournalError, match="version 99"):
        await newer.create(record("p3"))
    with pytest.raises(JournalError, match="version 99"):
        await newer.find()
    await newer.aclose()


async def test_another_applications_file_is_refused(tmp_path: Path) -> None:
    """A SQLite file that is no journal is not turned into one."""
    path = tmp_path / "orders.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE photos (id)")
    db.close()
    journal = SqliteJournal(path)

    with pytest.raises(JournalError, match="no journal"):
        await journal.create(record())
    await journal.aclose()


@pytest.mark.parametrize("damage", ["no_database", "bad_page"])
async def test_a_damaged_file_is_a_journal_error(tmp_path: Path, damage: str) -> None:
    """A file that is no database, and one with a page of garbage, are both told as such, by reads and writes."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    for number in range(50):
        await journal.create(record(f"p{number}"))
    await journal.aclose()
    content = bytearray(path.read_bytes())
    start = 0 if damage == "no_database" else 4096
    content[start:] = b"\xff" * (len(content) - start)
    path.write_bytes(bytes(content))
    broken = SqliteJournal(path)

    with pytest.raises(JournalError, match="cannot be written"):
        await broken.create(record("new"))
    with pytest.raises(JournalError):
        await broken.get("p1")
    await broken.aclose()


async def test_a_full_disk_is_a_journal_error_and_room_ends_it(tmp_path: Path) -> None:
    """A write that finds no room fails whole; once there is room the same journal goes on."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    await journal.engine.write(lambda db: db.execute("PRAGMA max_page_count = 1"))

    with pytest.raises(JournalError, match="full"):
        await asyncio.gather(*(journal.create(record(f"q{n}" + "x" * 3000)) for n in range(20)))
    after = await journal.create(record("p2"))

    assert after.id == "p2"
    assert {each.id for each in await journal.find()} == {"p1", "p2"}
    await journal.aclose()


async def test_a_closed_journal_says_so(tmp_path: Path) -> None:
    """Neither reading nor writing goes on after the end."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.aclose()

    with pytest.raises(errors.JournalError, match="closed"):
        await journal.create(record())
    with pytest.raises(errors.JournalError, match="closed"):
        await journal.find()
