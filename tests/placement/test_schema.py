"""A journal file is brought forward, whole or not at all, and never back."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from orderbridge.errors import JournalError
from orderbridge.placement import SqliteJournal
from orderbridge.placement.file import JournalFile
from orderbridge.placement.schema import STEPS, migrate, version_of
from tests.placement.kit import record

ROOT = str(Path(__file__).parents[2])
LATER = (*STEPS, ("ALTER TABLE placements ADD COLUMN note TEXT", "CREATE TABLE extra (id TEXT) STRICT"))


async def filled(path: Path) -> None:
    """A file of the first version with one placement."""
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    await journal.aclose()


def opened(path: Path, steps: tuple[object, ...]) -> sqlite3.Connection:
    """The file as an orderbridge with these steps opens it."""
    return JournalFile(path, busy_timeout=1.0, steps=steps).open_to_write()  # type: ignore[arg-type]


async def test_a_file_is_brought_forward_with_what_is_in_it(tmp_path: Path) -> None:
    """A later version opens a file of the first one: the new tables are there, and no row is lost."""
    path = tmp_path / "orders.db"
    await filled(path)

    with closing(opened(path, LATER)) as db:
        rows = db.execute("SELECT placement_id, note FROM placements").fetchall()
        version, extra = version_of(db), db.execute("SELECT COUNT(*) FROM extra").fetchone()
    with closing(opened(path, LATER)) as db:
        again = version_of(db)

    assert rows == [("p1", None)]
    assert (version, extra, again) == (len(STEPS) + 1, (0,), len(STEPS) + 1)


async def test_a_new_file_goes_through_every_step(tmp_path: Path) -> None:
    """A file that begins at the later version has the same tables as one that was brought there."""
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    await filled(old)
    tables = "SELECT type, name, sql FROM sqlite_master ORDER BY name"

    with closing(opened(old, LATER)) as first, closing(opened(new, LATER)) as second:
        assert first.execute(tables).fetchall() == second.execute(tables).fetchall()


async def test_a_step_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    """Half of a step is undone, and the file goes on as it was."""
    path = tmp_path / "orders.db"
    await filled(path)
    with pytest.raises(sqlite3.OperationalError):
        opened(path, (*STEPS, ("CREATE TABLE extra (id TEXT)", "no SQL at all")))
    journal = SqliteJournal(path)

    await journal.create(record("p2"))

    assert [each.id for each in await journal.find()] == ["p1", "p2"]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone() is None
        assert version_of(db) == len(STEPS)
    await journal.aclose()


CRASH = """
import os, sqlite3, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from orderbridge.placement.schema import STEPS, migrate
db = sqlite3.connect({path!r}, isolation_level=None)
db.create_function("crash", 0, lambda: os._exit(9))
migrate(db, Path({path!r}), steps=(*STEPS, ("CREATE TABLE extra (id TEXT)", "SELECT crash()")))
"""


def test_a_crash_in_the_middle_leaves_the_old_version(tmp_path: Path) -> None:
    """A process that dies while it brings a file forward has changed nothing; the next one does it whole."""
    path = tmp_path / "orders.db"
    asyncio.run(filled(path))
    code = CRASH.format(root=ROOT, path=str(path))
    died = subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode
    with closing(sqlite3.connect(path)) as db:
        between = version_of(db), db.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone()
        db.isolation_level = None
        migrate(db, path, steps=LATER)
        after = version_of(db), db.execute("SELECT COUNT(*) FROM placements").fetchone()

    assert died == 9
    assert between == (len(STEPS), None)
    assert after == (len(STEPS) + 1, (1,))


async def test_a_bot_notices_that_its_file_was_brought_forward(tmp_path: Path) -> None:
    """A newer orderbridge changed the tables under a running bot: that writes nothing more, and says what to do."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await bot.create(record("p1"))
    opened(path, LATER).close()

    with pytest.raises(JournalError, match="update it, and start anew"):
        await bot.create(record("p2"))
    await bot.aclose()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT placement_id FROM placements").fetchall() == [("p1",)]


async def test_a_reader_does_not_bring_a_file_forward(tmp_path: Path) -> None:
    """Looking on changes nothing: an older file is refused, and stays what it is."""
    path = tmp_path / "orders.db"
    await filled(path)
    before = path.read_bytes()

    with pytest.raises(JournalError, match="let a bot open it once"):
        JournalFile(path, busy_timeout=1.0, steps=LATER).open_to_read()
    assert path.read_bytes() == before


def test_two_that_bring_a_file_forward_at_once_do_it_once(tmp_path: Path) -> None:
    """The one that comes second finds the work done."""
    path = tmp_path / "orders.db"
    asyncio.run(filled(path))
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from tests.placement.test_schema import LATER, opened\n"
        "from pathlib import Path\n"
        f"sys.stdin.readline(); opened(Path({str(path)!r}), LATER).close()"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    for process in both:
        assert process.stdin is not None
        process.stdin.write(b"go" + os.linesep.encode())
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)

    assert [process.returncode for process in both] == [0, 0]
    with closing(opened(path, LATER)) as db:
        assert db.execute("SELECT COUNT(*) FROM placements").fetchone() == (1,)
