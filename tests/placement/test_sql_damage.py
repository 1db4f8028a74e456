"""A journal that cannot be written stops placing, and nothing else; it says what to do, and goes on after that."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from orderbridge.errors import ConfigurationError, JournalError, OrderDenied
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest
from orderbridge.placement import Happened, Journal, MemoryJournal, Record, SqliteJournal
from orderbridge.placement.states import step
from orderbridge.placement.upkeep import prune
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import NOW, Bridges, limit_buy, record, seen, until
from tests.placement.test_resolve_certificate import Venue

ROOT = str(Path(__file__).parents[2])
Undo = Callable[[], object]


def moved(path: Path) -> Undo:
    """The file goes to another place."""
    away = path.with_name("away.db")
    path.rename(away)
    return lambda: away.rename(path)


def replaced(path: Path) -> Undo:
    """Another file stands in its place."""
    away = path.with_name("away.db")
    path.rename(away)
    path.write_bytes(b"")
    return lambda: away.rename(path)


def locked(path: Path) -> Undo:
    """Another process writes and does not come to an end."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    return db.close


def made_a_folder(path: Path) -> Undo:
    """A folder stands in its place."""
    away = path.with_name("away.db")
    path.rename(away)
    path.mkdir()

    def undo() -> None:
        path.rmdir()
        away.rename(path)

    return undo


@pytest.mark.parametrize(
    ("wreck", "advice"),
    [
        (moved, "put it back, and placing goes on by itself"),
        (replaced, "put it back, and placing goes on by itself"),
        (made_a_folder, "put it back, and placing goes on by itself"),
        (locked, "another process keeps it locked: end that"),
    ],
)
async def test_only_placing_stops_while_the_file_cannot_be_written(
    sim: Simulator, bridges: Bridges, tmp_path: Path, wreck: Callable[[Path], Undo], advice: str
) -> None:
    """Nothing is sent, look-up and cancel go on, what was durable is kept, and the same bridge places again later."""
    path = tmp_path / "orders.db"
    bridge = bridges(journal=SqliteJournal(path, busy_timeout=0.05))
    first = await bridge.place("bitso", limit_buy(), key="k1")
    undo = wreck(path)

    with pytest.raises(JournalError, match=advice):
        await bridge.place("bitso", limit_buy(), key="k2")
    found = await bridge.lookup(first.order_id)
    cancelled = await bridge.cancel(first)
    sent = sim.bitso.requests["POST /api/v3/orders"]
    undo()
    second = await bridge.place("bitso", limit_buy(), key="k2")

    assert [order.key for order in found.orders] == [first.key]
    assert cancelled.key == first.key
    assert sent == 1
    assert second.key != first.key
    assert {each.key for each in await bridge.placements()} == {"k1", "k2"}
    assert (await bridge.place("bitso", limit_buy(), key="k1")).key == first.key


async def test_only_placing_stops_on_a_damaged_file(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A page of garbage among the indices: no order is sent, and the message tells how to rescue what is there."""
    path = tmp_path / "orders.db"
    before = SqliteJournal(path)
    await before.create(record("p1"))
    await before.aclose()
    garble(path, "placements_client")
    bridge = bridges(journal=SqliteJournal(path))

    with pytest.raises(JournalError, match=r"damaged: stop every bot.*recover"):
        await bridge.place("bitso", limit_buy(), key="k")
    async with sim.bitso.gateway() as other:
        elsewhere = await other.submit(limit_buy())
    found = await bridge.lookup(elsewhere.order_id)
    cancelled = await bridge.cancel(elsewhere)

    assert found.orders[0].key == elsewhere.key == cancelled.key
    assert sim.bitso.requests["POST /api/v3/orders"] == 1


def garble(path: Path, name: str) -> None:
    """Overwrite the middle of the root page of a table or index."""
    with closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * (size // 2))


async def test_a_damaged_definition_is_told_as_damage(tmp_path: Path) -> None:
    """What SQLite says of it is no text to Python; a bot is told that the file is damaged, and what to do."""
    path = tmp_path / "orders.db"
    before = SqliteJournal(path)
    await before.create(record("p1"))
    await before.aclose()
    content = path.read_bytes()
    path.write_bytes(content.replace(b'TABLE "events" (', b'TABLE "events" \xcf'))
    journal = SqliteJournal(path)

    for call in (lambda: journal.create(record("p2")), journal.find):
        with pytest.raises(JournalError, match=r"damaged: stop every bot.*recover"):
            await call()
    await journal.aclose()


async def test_a_damaged_table_leaves_the_others_readable(tmp_path: Path) -> None:
    """What does not touch the garbage is answered; what does is a JournalError, never a wrong answer."""
    path = tmp_path / "orders.db"
    before = SqliteJournal(path)
    await before.create(record("p1"))
    await before.aclose()
    garble(path, "events")
    journal = SqliteJournal(path)

    assert (await journal.get("p1")) == record("p1")
    with pytest.raises(JournalError, match="damaged"):
        await journal.events("p1")
    with pytest.raises(JournalError, match="damaged"):
        await journal.create(record("p2"))
    assert await journal.get("p2") is None
    await journal.aclose()


async def test_a_wal_that_was_deleted_loses_nothing(tmp_path: Path) -> None:
    """Somebody tidies the -wal file away under a bot: one write fails, and everything that was durable is there."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    path.with_name("orders.db-wal").unlink()

    with pytest.raises(JournalError, match="-wal was moved, deleted or replaced"):
        await journal.create(record("p2"))
    await journal.create(record("p3"))
    await journal.aclose()
    again = SqliteJournal(path)

    assert {each.id for each in await again.find()} == {"p1", "p3"}
    await again.aclose()


async def test_a_deleted_file_is_not_silently_begun_anew(tmp_path: Path) -> None:
    """A journal whose file is gone makes no empty one in its place: keys and ids would be forgotten."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    path.unlink()

    for number in range(2):
        with pytest.raises(JournalError, match="start the bot anew"):
            await journal.create(record(f"q{number}"))
    assert not path.exists()
    with pytest.raises(JournalError, match="put it back"):
        await journal.get("p1")
    await journal.aclose()


@pytest.mark.parametrize("read_only", [False, True])
async def test_commits_beside_a_missing_file_are_not_thrown_away(tmp_path: Path, read_only: bool) -> None:
    """A killed bot's file was moved, and an empty one made: its -wal is left alone, so that putting it back heals."""
    bot = SqliteJournal(tmp_path / "orders.db")
    await bot.create(record("p1"))
    path = tmp_path / "later" / "orders.db"
    path.parent.mkdir()
    for name in ("orders.db", "orders.db-wal"):
        shutil.copy(tmp_path / name, path.parent / name)
    await bot.aclose()
    path.rename(away := path.with_name("away.db"))
    path.touch()
    journal = SqliteJournal(path, read_only=read_only)

    with pytest.raises(JournalError, match="put the journal back beside it"):
        await journal.find()
    away.rename(path)

    assert [each.id for each in await journal.find()] == ["p1"]
    await journal.aclose()


async def test_a_missing_folder_is_named_and_may_be_made_later(tmp_path: Path) -> None:
    """The message says which folder to make; then the same journal works."""
    path = tmp_path / "data" / "orders.db"
    journal = SqliteJournal(path)

    with pytest.raises(JournalError, match=r"there is no folder .*data: make it"):
        await journal.create(record("p1"))
    path.parent.mkdir()

    assert (await journal.create(record("p1"))).id == "p1"
    await journal.aclose()


async def test_a_bridge_whose_journal_cannot_be_opened_says_so_and_goes_on(bridges: Bridges, tmp_path: Path) -> None:
    """One alarm as it is entered; orders are found and cancelled all the same; once the folder is made, it places."""
    elsewhere = await bridges().place("bitso", limit_buy())
    path = tmp_path / "data" / "orders.db"

    async with bridges(journal=SqliteJournal(path)) as bridge:

        async def is_told() -> bool:
            return bool(bridges.alarms)

        await until(is_told)
        with pytest.raises(JournalError, match="there is no folder"):
            await bridge.place("bitso", limit_buy(), key="k1")
        found = await bridge.get(elsewhere)
        cancelled = await bridge.cancel(elsewhere)
        path.parent.mkdir()
        placed = await bridge.place("bitso", limit_buy(), key="k1", send_within=30)

    assert bridges.kinds == ["journal"]
    assert "there is no folder" in bridges.alarms[0].message
    assert (found.status, cancelled.status, placed.status) == ("open", "cancelled", "accepted")


async def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    """A path that names a folder is said to be one, by writes and by reads."""
    journal = SqliteJournal(tmp_path)

    with pytest.raises(JournalError, match="name a file in that folder"):
        await journal.create(record())
    with pytest.raises(JournalError, match="name a file in that folder"):
        await journal.find()
    await journal.aclose()


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    """A file that was made beforehand, to set its owner, is taken as it is."""
    path = tmp_path / "orders.db"
    path.touch()
    journal = SqliteJournal(path)

    assert await journal.find() == []
    assert (await journal.create(record())).id == "p1"
    await journal.aclose()


async def test_a_file_of_another_application_is_not_read_either(tmp_path: Path) -> None:
    """Its tables are not ours, whatever they are called."""
    path = tmp_path / "orders.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE placements (body)")
        db.execute("PRAGMA user_version = 1")
    looker = SqliteJournal(path, read_only=True)

    with pytest.raises(JournalError, match="another application's file"):
        await looker.find()
    await looker.aclose()


async def test_a_row_that_is_there_already_spoils_no_neighbour(tmp_path: Path) -> None:
    """A job that fails in the middle of its writing is undone alone; the others of its commit are stored."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record("p0"))

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO owners VALUES ('half', 1e12)")
        db.execute("INSERT INTO events SELECT * FROM events")

    results = await asyncio.gather(
        journal.create(record("p1")), journal.engine.write(half), journal.create(record("p2")), return_exceptions=True
    )

    assert isinstance(results[1], JournalError)
    assert {each.id for each in await journal.find()} == {"p0", "p1", "p2"}
    assert [len(await journal.events(id)) for id in ("p0", "p1", "p2")] == [1, 1, 1]
    assert not await journal.lives("half")
    await journal.aclose()


FULL = """
import asyncio, resource, sys
sys.path.insert(0, {root!r})
from orderbridge.errors import JournalError
from orderbridge.placement import SqliteJournal
from tests.placement.kit import record

async def main():
    journal = SqliteJournal({path!r})
    stored = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        for number in range(1000):
            stored.append((await journal.create(record(f"p{{number}}"))).id)
    except JournalError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    stored.append((await journal.create(record("after"))).id)
    assert {{each.id for each in await journal.find()}} >= set(stored), "lost"
    await journal.aclose()
    print(len(stored))

asyncio.run(main())
"""


def run(code: str, **values: object) -> list[str]:
    """The lines that a script of its own printed."""
    done = subprocess.run(
        [sys.executable, "-c", code.format(root=ROOT, **values)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_disk_without_room_stops_writing_until_there_is_room(tmp_path: Path) -> None:
    """A write that the system cuts off in the middle fails whole; before and after it, everything is stored."""
    message, count = run(FULL, path=str(tmp_path / "orders.db"))

    assert "the disk failed or is full: see to it, and placing goes on by itself" in message
    assert 10 < int(count) < 1000
    with closing(sqlite3.connect(tmp_path / "orders.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


LOOK = """
import asyncio, os, sys, tempfile
from pathlib import Path
sys.path.insert(0, {root!r})
from orderbridge.errors import JournalError
from orderbridge.placement import SqliteJournal
from tests.placement.kit import record

async def told(work):
    try:
        print(await work)
    except JournalError as error:
        print(error)

async def main(path):
    looker, bot = SqliteJournal(path, read_only=True), SqliteJournal(path)
    for journal in (looker, bot):
        await told(count(journal))
    await told(bot.create(record("p2")))
    await looker.aclose()
    await bot.aclose()

async def count(journal):
    return len(await journal.find())

# What is imported late must be there before the right to read it is gone.
asyncio.run(main(Path(tempfile.mkdtemp()) / "warm.db"))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main(Path({path!r})))
"""


@pytest.fixture
def shown_folder() -> Iterator[Path]:
    """A folder that other users may look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


def as_a_guest(path: Path) -> list[str]:
    """What a process is told that may write neither the file nor its folder: two counts, and a refused write."""
    for each in path.parent.iterdir():
        each.chmod(0o444)
    path.parent.chmod(0o555)
    return run(LOOK, path=str(path))[3:]


async def test_a_file_in_a_read_only_folder_is_read(shown_folder: Path) -> None:
    """Without the right to write, everything is read, though no -shm file can be made; a write says what is missing."""
    path = shown_folder / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    await journal.aclose()

    looker, bot, refusal = as_a_guest(path)

    assert (looker, bot) == ("1", "1")
    assert "allow this user to read and write it and its folder" in refusal


async def test_a_guest_looks_on_while_a_bot_writes(shown_folder: Path) -> None:
    """Where the bot's -shm file is there, a process without the right to write sees its latest writes."""
    path = shown_folder / "orders.db"
    journal = SqliteJournal(path)
    for number in range(3):
        await journal.create(record(f"q{number}"))

    looker, bot, _ = as_a_guest(path)

    assert (looker, bot) == ("3", "3")
    await journal.aclose()


async def test_a_wal_that_a_guest_cannot_open_is_told(shown_folder: Path, tmp_path: Path) -> None:
    """A killed bot left commits in its -wal file: a guest that may not make the -shm is told, not shown less."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record("p1"))
    for name in ("orders.db", "orders.db-wal"):
        shutil.copy(tmp_path / name, shown_folder / name)
    await journal.aclose()

    looker, bot, _ = as_a_guest(shown_folder / "orders.db")

    assert "cannot be read" in looker
    assert "allow this user to read and write it and its folder" in looker
    assert "cannot be written" in bot


def copy(*files: Path, folder: Path) -> None:
    """Copies of files in a new folder."""
    folder.mkdir()
    for each in files:
        shutil.copy(each, folder / each.name)


async def stored_in(*files: Path, folder: Path) -> set[str]:
    """The placements that a journal made of copies of these files holds."""
    copy(*files, folder=folder)
    journal = SqliteJournal(folder / files[0].name, read_only=True)
    try:
        return {each.id for each in await journal.find()}
    finally:
        await journal.aclose()


async def test_a_closed_journal_is_its_file(tmp_path: Path) -> None:
    """After a clean close, of a journal that was read too, a copy of the one file holds every commit."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    for number in range(20):
        await journal.create(record(f"p{number}"))
        await journal.get(f"p{number}")
    await journal.aclose()

    assert not path.with_name("orders.db-wal").exists()
    assert await stored_in(path, folder=tmp_path / "copy") == {f"p{number}" for number in range(20)}


async def test_what_is_idle_is_in_the_file(tmp_path: Path) -> None:
    """Once a running bot has nothing to write, a copy of the one file lacks nothing."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    for number in range(20):
        await journal.create(record(f"p{number}"))
        await journal.get(f"p{number}")
    tries = iter(range(10_000))

    async def is_whole() -> bool:
        found = await stored_in(path, folder=tmp_path / f"copy{next(tries)}")
        return found == {f"p{number}" for number in range(20)}

    await until(is_whole)
    await journal.aclose()


async def test_the_wal_of_a_busy_journal_is_bounded(tmp_path: Path) -> None:
    """However much is written without a pause, the -wal file stays small beside it."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    sizes = []
    for wave in range(60):
        await asyncio.gather(*(journal.create(record(f"p{wave}-{number}")) for number in range(50)))
        sizes.append(path.with_name("orders.db-wal").stat().st_size)
    await journal.aclose()

    assert max(sizes) < 2e6, max(sizes)


def killed_bot(path: Path) -> list[str]:
    """What a bot was told is stored, before it was killed while it wrote."""
    process = subprocess.Popen([sys.executable, "-c", BOT.format(root=ROOT, path=str(path))], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = [process.stdout.readline().decode().strip() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    told += process.stdout.read().decode().split()[:-1]
    process.wait()
    process.stdout.close()
    return told


BOT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from orderbridge.placement import SqliteJournal, sqlite
from tests.placement.kit import record

# What is killed has not brought its commits into the file yet.
sqlite.JOBS_BETWEEN_CHECKPOINTS, sqlite.IDLE = 1_000_000, 1_000.0

async def main():
    journal = SqliteJournal({path!r})
    for number in range(100_000):
        print((await journal.create(record(f"p{{number}}"))).id, flush=True)

asyncio.run(main())
"""


def without_its_wal(path: Path) -> None:
    """Somebody tidied up."""
    path.with_name("orders.db-wal").unlink()


def with_half_a_wal(path: Path) -> None:
    """The end of it did not survive."""
    os.truncate(path.with_name("orders.db-wal"), path.with_name("orders.db-wal").stat().st_size // 2)


def with_an_older_file(path: Path) -> None:
    """A backup of before was put in its place."""
    for name in ("orders.db-wal", "orders.db-shm"):
        path.with_name(name).unlink()
    shutil.copy(path.with_name("backup.db"), path)


def begun_anew(path: Path) -> None:
    """Everything but the mark was removed."""
    for name in ("orders.db", "orders.db-wal", "orders.db-shm"):
        path.with_name(name).unlink()


@pytest.mark.parametrize("wreck", [without_its_wal, with_half_a_wal, with_an_older_file, begun_anew])
async def test_a_file_that_is_older_than_was_promised_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, wreck: Callable[[Path], None]
) -> None:
    """A killed bot's commits are missing at the next opening: that says so, and the journal goes on as it is."""
    path = tmp_path / "orders.db"
    before = SqliteJournal(path)
    await before.create(record("q0"))
    await before.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    told = killed_bot(path)
    wreck(path)

    for number in range(2):
        journal = SqliteJournal(path)
        await journal.create(record(f"after{number}"))
        kept = {each.id for each in await journal.find()}
        await journal.aclose()

    assert not set(told) <= kept
    assert len([each for each in caplog.messages if "is older than it should be" in each]) == 1


@pytest.mark.parametrize("prunes", [False, True])
async def test_a_commit_that_adds_no_event_is_promised_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, prunes: bool
) -> None:
    """What was seen of an order, and that much was dropped: neither is lost unnoticed, or taken for a loss itself."""
    path, later = tmp_path / "orders.db", NOW.timestamp() + 10 * 86400

    async def write(*calls: Callable[[SqliteJournal], Awaitable[object]]) -> list[str]:
        caplog.clear()
        journal = SqliteJournal(path)
        for call in calls:
            await call(journal)
        await journal.aclose()
        return [each for each in caplog.messages if "is older than it should be" in each]

    def create(name: str) -> Callable[[SqliteJournal], Awaitable[object]]:
        return lambda journal: journal.create(record(name), step(record(name), Happened.DENIED, at=NOW))

    await write(create("p1"), create("p2"))
    copies = shutil.copy(path, path.with_name("backup.db"))
    last = partial(prune, older_than=timedelta(days=1), now=later) if prunes else (lambda it: it.observe([seen()]))
    whole = await write(last, create("p3")) + await write(last)
    shutil.copy(copies, path)

    older = await write(create("p4"))

    assert whole == []
    assert len(older) == 1


async def test_a_copy_of_the_file_alone_of_a_running_bot_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The copy has neither -wal nor mark, and says of itself that it was in use."""
    path = tmp_path / "orders.db"
    bot = SqliteJournal(path)
    await bot.create(record("p1"))
    copy(path, folder=tmp_path / "copy")
    await bot.aclose()
    journal = SqliteJournal(tmp_path / "copy" / "orders.db")

    await journal.create(record("p2"))
    await journal.aclose()

    assert [each for each in caplog.messages if "missing: what was written last" in each]


async def test_one_bot_that_ends_does_not_make_anothers_file_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two bots share a journal and one closes it: a copy of the file alone is told once the other has written."""
    path = tmp_path / "orders.db"
    one, two = SqliteJournal(path), SqliteJournal(path)
    await one.create(record("p1"))
    await two.create(record("p2"))
    await two.aclose()
    await one.create(record("p3"))
    copy(path, folder=tmp_path / "copy")
    await one.aclose()
    journal = SqliteJournal(tmp_path / "copy" / "orders.db")

    await journal.create(record("p4"))
    await journal.aclose()

    assert [each for each in caplog.messages if "missing: what was written last" in each]


def as_it_was_left(path: Path) -> Path:
    """Its next start."""
    return path


def moved_with_its_wal(path: Path) -> Path:
    """Both files go to another place, the mark does not."""
    for name in ("orders.db", "orders.db-wal"):
        shutil.copy(path.with_name(name), path.parent / "copy")
    return path.parent / "copy" / "orders.db"


def seen_to_by_sqlite(path: Path) -> Path:
    """Another program opens it, and brings the WAL into it."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("SELECT COUNT(*) FROM placements").fetchall()
    return path


def after_a_power_cut(path: Path) -> Path:
    """The mark is that of a while ago: nobody waits for it to reach the disk."""
    path.with_name("orders.db-mark").write_text("00000000000000000003\n")
    return path


def with_half_a_mark(path: Path) -> Path:
    """A power cut left nothing in it that can be read."""
    path.with_name("orders.db-mark").write_bytes(bytes(21))
    return path


@pytest.mark.parametrize(
    "later", [as_it_was_left, moved_with_its_wal, seen_to_by_sqlite, after_a_power_cut, with_half_a_mark]
)
async def test_a_crash_alone_is_no_loss(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, later: Callable[[Path], Path]
) -> None:
    """A killed bot's journal with its -wal has everything, wherever it is opened, and nothing is told."""
    (tmp_path / "copy").mkdir()
    told = killed_bot(tmp_path / "orders.db")
    journal = SqliteJournal(later(tmp_path / "orders.db"))

    await journal.create(record("after"))
    kept = {each.id for each in await journal.find()}
    await journal.aclose()

    assert set(told) <= kept
    assert "is older than it should be" not in caplog.text


async def test_a_copy_of_a_closed_journal_is_no_loss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A closed journal that is moved, without its mark, is opened without a word."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    await journal.aclose()
    again = SqliteJournal(path.rename(tmp_path / "moved.db"))

    await again.create(record("p2"))

    assert {each.id for each in await again.find()} == {"p1", "p2"}
    assert "is older than it should be" not in caplog.text
    await again.aclose()


async def test_a_wal_deleted_beside_a_reader_loses_nothing(tmp_path: Path) -> None:
    """The same under a bot that reads too: one write fails, and what was durable is there for both."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.create(record("p0"))
    await journal.create(record("p1"))
    await journal.get("p1")
    path.with_name("orders.db-wal").unlink()

    with pytest.raises(JournalError, match="-wal was moved, deleted or replaced"):
        await journal.create(record("p2"))
    await journal.create(record("p3"))
    found = {each.id for each in await journal.find()}
    await journal.aclose()

    assert found == {"p0", "p1", "p3"}
    assert await stored_in(path, folder=tmp_path / "copy") == {"p0", "p1", "p3"}


async def test_a_wal_deleted_beside_another_bot_loses_nothing_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two bots whose -wal is tidied away write nothing into the void: what they were told is there, or told as lost."""
    path = tmp_path / "orders.db"
    bots = [SqliteJournal(path), SqliteJournal(path)]
    told = set()
    for number, bot in enumerate(bots):
        told.add((await bot.create(record(f"p{number}"))).id)
        await bot.find()
    path.with_name("orders.db-wal").unlink()

    for number in range(10):
        for name, bot in zip("ab", bots, strict=True):
            with suppress(JournalError):
                told.add((await bot.create(record(f"{name}{number}"))).id)
    for bot in bots:
        await bot.aclose()
    again = SqliteJournal(path)
    await again.create(record("after"))
    found = {each.id for each in await again.find()}
    await again.aclose()

    assert "a9" in told
    assert "b9" in told
    assert told <= found or "is older than it should be" in caplog.text


def spoil(path: Path, table: str, where: str, body: object = "{}") -> None:
    """Something else has written over a row."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE {table} SET body = CAST(? AS TEXT) WHERE {where}", (body,))
        db.commit()


SPOILT = ["", "{}", "no JSON", b"\xff\xfe{", '{"placement": null}']


@pytest.mark.parametrize("body", SPOILT)
async def test_a_row_that_cannot_be_read_stops_its_placement_only(
    sim: Simulator, bridges: Bridges, tmp_path: Path, body: object
) -> None:
    """Its key places nothing and says which row it is; every other is placed, listed and recovered, and it is told."""
    path = tmp_path / "orders.db"
    before = bridges(journal=SqliteJournal(path))
    for key in ("k1", "k2"):
        await before.place("bitso", limit_buy(), key=key)
    held = await before.placement(key="k1")
    assert held is not None
    name = held.placement_id
    await before.aclose()
    spoil(path, "placements", f"placement_id = '{name}'", body)
    sent = sim.bitso.requests["POST /api/v3/orders"]
    bridge = bridges(journal=SqliteJournal(path))

    report = await bridge.recover()
    with pytest.raises(JournalError, match=f"placement {name}.* cannot be read"):
        await bridge.place("bitso", limit_buy(), key="k1")
    with pytest.raises(JournalError, match=f"placement {name} cannot be read"):
        await bridge.placement(key="k1")
    again = await bridge.place("bitso", limit_buy(), key="k2")
    third = await bridge.place("bitso", limit_buy(), key="k3")

    assert not report.unreachable
    assert sim.bitso.requests["POST /api/v3/orders"] == sent + 1
    assert again.key != third.key
    assert [each.key for each in await bridge.placements()] == ["k2", "k3"]
    assert [name in alarm.message for alarm in bridges.alarms] == [True]


@pytest.mark.parametrize("body", SPOILT)
async def test_what_was_seen_of_an_order_may_be_spoilt(bridges: Bridges, tmp_path: Path, body: object) -> None:
    """An order's row that cannot be read keeps nothing back: the placement, the others, what is seen of it now."""
    path = tmp_path / "orders.db"
    bridge = bridges(journal=SqliteJournal(path))
    order = await bridge.place("bitso", limit_buy(), key="k1")
    await bridge.place("bitso", limit_buy(), key="k2")
    spoil(path, "orders", f"order_id = '{order.order_id}'", body)

    cancelled = await bridge.cancel(order)
    listed = await bridge.open_orders()
    report = await bridge.recover()
    again = await bridge.place("bitso", limit_buy(), key="k1")

    assert cancelled.key == again.key == order.key
    assert again.may_be_live
    assert len(listed.orders) == 1
    assert not report.unreachable
    assert [each.key for each in await bridge.placements()] == ["k1", "k2"]
    assert {alarm.message.partition(" cannot be read")[0] for alarm in bridges.alarms} == {f"order {order.order_id}"}


async def test_of_many_rows_that_cannot_be_read_some_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told once, up to a bound: a person who was told of so many looks at the file, and memory is bounded."""
    monkeypatch.setattr("orderbridge.placement.sql._REMEMBERED", 3)
    path = tmp_path / "orders.db"
    journal, told = SqliteJournal(path), []
    journal.on_unreadable = told.append
    for number in range(5):
        await journal.create(record(f"p{number}"))
    spoil(path, "placements", "1", b"\xff")

    lists = [await journal.find() for _ in range(3)]
    await journal.aclose()

    assert lists == [[], [], []]
    assert [text.partition(" cannot")[0] for text in told] == ["placement p0", "placement p1", "placement p2"]


async def test_a_spoilt_row_of_an_order_keeps_no_other_of_its_list_back(tmp_path: Path) -> None:
    """What is seen of orders is stored together: the spoilt row stays as it is, for `verify`, and the others are."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    await journal.observe([seen(order_id="oid1"), seen(order_id="oid2")])
    spoil(path, "orders", "order_id = 'oid1'", b"\xff")

    shown = [seen("cancelled", order_id=name) for name in ("oid1", "oid2")]
    known = await journal.observe(shown)
    (stored,) = await journal.orders(order_id="oid2")
    await journal.aclose()

    assert [(each.order_id, each.status) for each in known] == [("oid1", "cancelled"), ("oid2", "cancelled")]
    assert stored.status == "cancelled"


async def test_an_event_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The history of one placement is a JournalError that says which event it is."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    for name in ("p1", "p2"):
        await journal.create(record(name))
    spoil(path, "events", "n = (SELECT last FROM placements WHERE placement_id = 'p1')", b"\xff")

    with pytest.raises(JournalError, match="event 1 of placement p1 cannot be read"):
        await journal.events("p1")
    assert len(await journal.events("p2")) == 1
    await journal.aclose()


class Babbling(Accepting):
    """Its first answer has what no file can hold, past all checks."""

    async def submit(self, request: OrderRequest, **how: object) -> Order:
        order = await super().submit(request, **how)
        return order.model_copy(update={"raw_status": "\ud800"}) if len(self.sent) == 1 else order


async def test_an_answer_that_cannot_be_stored_is_placed_all_the_same(tmp_path: Path) -> None:
    """Its order stands as placed for ever, the next ones are stored, and closing gives everything back."""
    journal = SqliteJournal(tmp_path / "orders.db")
    bot = Bot(Babbling(), journal=journal)

    first = await bot.bridge.place("bitso", limit_buy(), key="k1")
    second = await bot.bridge.place("bitso", limit_buy(price="99999"), key="k2")
    placements = await bot.bridge.placements()
    await bot.bridge.aclose()
    is_one_file = not (tmp_path / "orders.db-wal").exists()
    again = SqliteJournal(tmp_path / "orders.db", read_only=True)
    kept = await again.find()
    are_held = {await again.lives(each.owner or "", 3600.0) for each in kept}
    await again.aclose()

    assert are_held == {False}
    assert first.order_id != second.order_id
    assert [each.state.value for each in placements] == ["placed", "placed"]
    assert [each.state.value for each in kept] == ["placed", "placed"]
    assert is_one_file
    assert bot.kinds == ["journal"]


async def test_an_order_that_cannot_be_stored_keeps_no_other_back(journal: Journal) -> None:
    """Of a list that was seen, all that can be stored is."""
    odd = seen(order_id="oid2").model_copy(update={"raw_status": "\ud800"})

    shown = await journal.observe([seen(order_id="oid1"), odd, seen(order_id="oid3")])

    assert [order.order_id for order in shown] == ["oid1", "oid2", "oid3"]
    assert [len(await journal.orders(order_id=name)) for name in ("oid1", "oid3")] == [1, 1]


class Choosy(MemoryJournal):
    """It takes nothing more about the placements of a key, once it is told so."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        # How often it still refuses.
        self.refusals = 1_000_000
        self.is_closed = False
        self.fails_at_the_end = False

    async def change(self, placement_id: str, *args: object, **how: object) -> Record:
        self._check(await self.get(placement_id))
        return await super().change(placement_id, *args, **how)  # type: ignore[arg-type]

    async def change_seeing(self, placement_id: str, *args: object, **how: object) -> Record:
        self._check(await self.get(placement_id))
        return await super().change_seeing(placement_id, *args, **how)  # type: ignore[arg-type]

    async def keep_alive(self, owner: str, seconds: float) -> None:
        if self.fails_at_the_end and not seconds:
            raise RuntimeError("out of order")
        await super().keep_alive(owner, seconds)

    async def aclose(self) -> None:
        self.is_closed = True

    def _check(self, known: Record | None) -> None:
        if known is not None and known.placement.key in self.refused and self.refusals:
            self.refusals -= 1
            raise JournalError("not this one")


async def test_an_outcome_that_cannot_be_stored_blocks_its_own_placement_only() -> None:
    """The later outcomes of others are stored, and its acknowledged order is never called not placed."""
    journal = Choosy()
    bot = Bot(Accepting(), journal=journal)
    ledger = bot.bridge._placements.ledger
    await bot.bridge.recover()
    journal.refused = {"k1", "k2"}
    for key, price in (("k1", "100000"), ("k2", "100001")):
        await bot.bridge.place("bitso", limit_buy(price=price), key=key)
    journal.refused = {"k1"}

    with pytest.raises(JournalError, match="not this one"):
        await ledger.write_again()
    held = await bot.bridge.placement(key="k1")
    (stored,) = await journal.find(key="k2")
    assert held is not None
    settled = await bot.bridge.resolve(held, timeout=0.5)
    journal.refused = set()
    after = await bot.bridge.resolve(held, timeout=60)

    assert stored.state.value == "placed"
    assert settled.state.value == "placed"
    assert after.state.value == "placed"
    await bot.bridge.aclose()


async def test_what_is_known_better_than_it_is_stored_is_not_taken_over() -> None:
    """While an acknowledgement cannot be stored, nothing is concluded from "being sent"."""
    journal = Choosy()
    bot = Bot(Accepting(), journal=journal)
    ledger = bot.bridge._placements.ledger
    await bot.bridge.recover()
    journal.refused = {"k1"}
    await bot.bridge.place("bitso", limit_buy(), key="k1")
    (sending,) = await journal.find(key="k1")

    journal.refusals = 1
    taken = await ledger.take(sending)
    (kept,) = await journal.find(key="k1")
    later = await ledger.take(sending)
    await bot.bridge.aclose()

    assert (taken, kept.state.value) == (None, "sending")
    assert later is not None
    assert later.state.value == "placed"


async def test_what_happened_to_one_placement_is_stored_in_its_order() -> None:
    """Nothing left, then it was denied: while the first cannot be stored the second is not; then the key is free."""
    journal, venue = Choosy(), Venue()
    venue.placing = OrderDenied("a rule of the market")
    bot = Bot(venue, journal=journal)
    await bot.bridge.recover()
    journal.refused = {"k1"}
    with pytest.raises(OrderDenied):
        await bot.bridge.place("bitso", limit_buy(), key="k1")

    journal.refusals = 1
    with pytest.raises(JournalError, match="not this one"):
        await bot.bridge._placements.ledger.write_again()
    await bot.bridge._placements.ledger.write_again()
    (stored,) = await journal.find(key="k1")
    happened = [event.happened.value for event in await journal.events(stored.id) if not event.anomaly]
    await bot.bridge.aclose()

    assert happened == ["stored", "sending", "nothing_left", "denied"]
    assert (stored.state.value, stored.placement.holds_key) == ("denied", False)


async def test_closing_closes_everything_whatever_fails() -> None:
    """A journal that can neither store an outcome nor take the lease back is closed all the same."""
    journal = Choosy()
    bot = Bot(Accepting(), journal=journal)
    await bot.bridge.recover()
    journal.refused = {"k1"}
    await bot.bridge.place("bitso", limit_buy(), key="k1")
    journal.fails_at_the_end = True

    await bot.bridge.aclose()

    assert journal.is_closed


async def test_a_key_that_cannot_be_written_is_refused(bridges: Bridges, tmp_path: Path) -> None:
    """Half a surrogate pair is told as such, and nothing is sent; every other text is a key, even one with a NUL."""
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    with pytest.raises(ConfigurationError, match="can be stored"):
        await bridge.place("bitso", limit_buy(), key="\ud800")
    with pytest.raises(ConfigurationError, match="can be stored"):
        await bridge.placement(key="\ud800")
    order = await bridge.place("bitso", limit_buy(), key="a\0b")
    again = await bridge.place("bitso", limit_buy(), key="a\0b")

    assert order.key == again.key
    assert len(await bridge.placements()) == 1
