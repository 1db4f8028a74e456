"""One journal used from several loops, threads and processes, and closed in the middle of its work."""

import asyncio
import itertools
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState
from orderbridge.placement import Happened, Record, SqliteJournal
from orderbridge.placement import sql as statements
from orderbridge.placement.journal import InFlight
from orderbridge.placement.sqlite import SqliteEngine
from orderbridge.placement.sqlite_file import JournalFile
from orderbridge.placement.states import Transition, step
from tests.placement.kit import NOW, record, seen

ROOT = str(Path(__file__).parents[2])


def sending(known: Record) -> Transition:
    return step(known, Happened.SENDING, at=NOW, placement={"attempts": known.placement.attempts + 1})


def test_two_loops_in_two_threads_share_a_journal(tmp_path: Path) -> None:
    """Each loop gets its own answers, and every write of both is stored."""
    journal = SqliteJournal(tmp_path / "orders.db")
    got: dict[str, list[str]] = {}

    async def write(name: str) -> None:
        made = await asyncio.gather(*(journal.create(record(f"{name}{number}")) for number in range(100)))
        read = await asyncio.gather(*(journal.get(each.id) for each in made))
        got[name] = [each.id for each in read if each is not None]

    threads = [Thread(target=lambda name=name: asyncio.run(write(name))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert got == {name: [f"{name}{number}" for number in range(100)] for name in "ab"}
    asyncio.run(journal.aclose())


def test_one_loop_after_another_may_use_a_journal(tmp_path: Path) -> None:
    """A loop that is gone leaves nothing behind that the next one stumbles over."""
    journal = SqliteJournal(tmp_path / "orders.db")

    async def abandoned() -> None:
        asyncio.ensure_future(journal.create(record("p1"))).cancel()
        task = asyncio.ensure_future(journal.create(record("p2")))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(abandoned())
    made = asyncio.run(journal.create(record("p3")))

    assert made.id == "p3"
    assert {each.id for each in asyncio.run(journal.find())} == {"p2", "p3"}
    asyncio.run(journal.aclose())


async def test_closing_writes_what_waits(tmp_path: Path) -> None:
    """Whoever asked before the end is told that it is stored, and it is; whoever comes later is refused."""
    path = tmp_path / "orders.db"
    journal = SqliteJournal(path)
    early = [asyncio.ensure_future(journal.create(record(f"p{number}"))) for number in range(700)]
    await asyncio.sleep(0)
    await journal.aclose()

    stored = await asyncio.gather(*early)
    with pytest.raises(JournalError, match="closed"):
        await journal.create(record("late"))
    again = SqliteJournal(path)

    assert {each.id for each in await again.find()} == {each.id for each in stored}
    assert len(stored) == 700
    await again.aclose()


async def test_closing_twice_and_unused_is_nothing(tmp_path: Path) -> None:
    """A journal that was never used makes no file; one may be closed again."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.aclose()
    await journal.aclose()

    assert not (tmp_path / "orders.db").exists()


FORK = """
import asyncio, os, sys
sys.path.insert(0, {root!r})
from orderbridge.errors import JournalError
from orderbridge.placement import SqliteJournal
from tests.placement.kit import record

async def refused(work):
    try:
        await work
    except JournalError as error:
        return "forked" in str(error)
    return False

async def child(journal):
    assert await refused(journal.create(record("wrong")))
    assert await refused(journal.get("p1"))
    await journal.aclose()
    own = SqliteJournal({path!r})
    await own.create(record("child"))
    await own.aclose()

async def used(journal):
    await journal.create(record("p1"))
    await journal.get("p1")

async def after(journal):
    await journal.create(record("parent"))
    print(*sorted(each.id for each in await journal.find()))
    await journal.aclose()

journal, unused = SqliteJournal({path!r}), SqliteJournal({path!r})
asyncio.run(used(journal))
if (process := os.fork()) == 0:
    asyncio.run(child(journal))
    asyncio.run(unused.create(record("unused")))
    asyncio.run(unused.aclose())
    os._exit(0)
assert os.waitpid(process, 0)[1] == 0
asyncio.run(after(journal))
"""


def test_a_fork_uses_no_connection_of_its_parent(tmp_path: Path) -> None:
    """In a forked child a journal in use is refused, a new one works, and the parent's goes on."""
    code = FORK.format(root=ROOT, path=str(tmp_path / "orders.db"))
    # From 3.12 on, Python warns of every fork beside a thread; that is what is tried here.
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    assert done.stdout.split() == ["child", "p1", "parent", "unused"]


async def test_what_another_process_wrote_is_never_overwritten(tmp_path: Path) -> None:
    """Two journals change one placement in turns: each sees the other's change, and the events have no gap."""
    path = tmp_path / "orders.db"
    one, two = SqliteJournal(path), SqliteJournal(path)
    await one.create(record("p1"))
    for journal, happened in (
        (two, Happened.SENDING),
        (one, Happened.NOTHING_LEFT),
        (two, Happened.SENDING),
        (one, Happened.UNCLEAR),
        (one, Happened.EXISTS),
        (two, Happened.FOUND),
    ):
        await journal.change("p1", lambda known, happened=happened: step(known, happened, at=NOW))

    events = await one.events("p1")
    known = await one.get("p1")

    assert [(event.seq, event.anomaly) for event in events] == [(seq, False) for seq in range(1, 8)]
    assert known is not None
    assert known.state is PlacementState.PLACED
    await one.aclose()
    await two.aclose()


async def test_a_change_that_fails_leaves_nothing_remembered(tmp_path: Path) -> None:
    """A write that did not reach the disk is not taken for done by the next change of the same placement."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record("p1"))
    await journal.engine.write(lambda db: db.execute("PRAGMA max_page_count = 1"))
    orders = [seen(order_id=f"oid{number}", reason="x" * 3000) for number in range(20)]

    results = await asyncio.gather(
        journal.change("p1", sending), journal.observe(orders), journal.change("p1", sending), return_exceptions=True
    )
    after = await journal.change("p1", sending)

    assert all(isinstance(result, JournalError) for result in results)
    assert after.placement.attempts == 1
    assert [event.seq for event in await journal.events("p1")] == [1, 2]
    await journal.aclose()


async def test_a_ghost_of_a_key_that_was_used_again_is_stored(tmp_path: Path) -> None:
    """An order appears after all, when its key is held by a later placement: both stand, the later keeps the key."""
    journal = SqliteJournal(tmp_path / "orders.db")
    await journal.create(record("p1", key="k"), sending(record("p1", key="k")))
    for happened in (Happened.UNCLEAR, Happened.ABSENT):
        await journal.change("p1", lambda known, happened=happened: step(known, happened, at=NOW))
    await journal.create(record("p2", key="k"))

    ghost = await journal.change("p1", lambda known: step(known, Happened.FOUND, at=NOW))
    again = await journal.create(record("p3", key="k"))

    assert ghost.state is PlacementState.PLACED
    assert again.id == "p2"
    assert [each.id for each in await journal.find(key="k")] == ["p1", "p2"]
    await journal.aclose()


async def test_a_twin_of_another_process_is_seen(tmp_path: Path) -> None:
    """Equal orders are kept apart across processes too, when stored and when sent."""
    path = tmp_path / "orders.db"
    one, two = SqliteJournal(path), SqliteJournal(path)
    await one.create(record("p1"), sending(record("p1")))

    with pytest.raises(InFlight) as stored:
        await two.create(record("p2"), sending(record("p2")), alone=True)
    await two.create(record("p3"), alone=True)
    with pytest.raises(InFlight) as sent:
        await two.change("p3", sending, alone=True)

    assert stored.value.record.id == sent.value.record.id == "p1"
    assert await two.get("p2") is None
    assert [event.happened for event in await two.events("p3")] == [Happened.STORED]
    await one.aclose()
    await two.aclose()


def test_no_look_up_reads_the_whole_table(tmp_path: Path) -> None:
    """Every statement that a placement or a look-up by id runs finds its rows by an index."""
    db = JournalFile(tmp_path / "orders.db", busy_timeout=1.0).open_to_write()
    records, unfinished = SqliteEngine.dialect.records, f"p.state IN ('uncertain') AND {statements._IS_INDEXED}"
    wheres = (
        statements._HOLDS,
        statements._IS_TWIN,
        statements._BY_ID,
        "p.client_order_id = ?",
        "p.key = ?",
        unfinished,
    )
    names = ("_CLIENT", "_TAKEN", "_ORDERS", "_WORKING", "_UPDATE", "ORDER", "EVENTS", "_ADD", "_PUT_ORDER")
    names += ("_HOLD", "_LET_GO", "_FREE_CLIENT", "_PUT_INDEXED")
    for query in (*(getattr(statements, name) for name in names), *(f"{records} {where}" for where in wheres)):
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", [None] * query.count("?"))]

        assert not [line for line in plan if line.startswith(("SCAN placements", "SCAN p"))], (query, plan)
        assert not [line for line in plan if line.startswith(("SCAN events", "SCAN e", "SCAN o"))], (query, plan)
        assert [line for line in plan if "USING" in line], (query, plan)
    db.close()


def test_no_statement_numbers_its_placeholders() -> None:
    """From Python 3.12 on, values given in order for numbered placeholders are deprecated."""
    found = {path.name: re.findall(r"\?\d", path.read_text()) for path in Path(statements.__file__).parent.glob("*.py")}

    assert {name: numbers for name, numbers in found.items() if numbers} == {}


BUSY = """
import asyncio, sys
sys.path.insert(0, {root!r})
from orderbridge.placement import SqliteJournal

async def main():
    journal = SqliteJournal({path!r})
    await journal.keep_alive("ready", 0)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range({count}):
        await journal.keep_alive(f"{{sys.argv[1]}}-{{number}}", 0)
    await journal.aclose()

asyncio.run(main())
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    """Of three that write without a pause none is passed over: no one writes many times while others wait."""
    path, names, count = tmp_path / "orders.db", "abc", 400
    code = BUSY.format(root=ROOT, path=str(path), count=count)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    bots = [subprocess.Popen([sys.executable, "-c", code, name], **pipes) for name in names]  # type: ignore[call-overload]
    for bot in bots:
        assert bot.stdout.readline() == "ready\n"
    for bot in bots:
        bot.stdin.write("go\n")
        bot.stdin.flush()
    ends = [bot.communicate(timeout=60) and bot.returncode for bot in bots]
    with closing(sqlite3.connect(path)) as db:
        written = [
            owner[0] for (owner,) in db.execute("SELECT owner FROM owners WHERE owner <> 'ready' ORDER BY rowid")
        ]
    begun = max(written.index(name) for name in names)
    over = min(len(written) - written[::-1].index(name) for name in names)
    runs = [len(list(run)) for _, run in itertools.groupby(written[begun:over])]

    assert ends == [0, 0, 0]
    assert len(written) == 3 * count
    assert sum(runs) > count  # they did write at the same time
    assert max(runs) < 40, sorted(runs)


HOLDS = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from orderbridge.placement import sqlite_file
held = sqlite_file.JournalFile({path!r}, busy_timeout=1.0)
if {is_next}:  # frozen between its turn to be next and its turn to write
    held._lock(held._open_mark(), sqlite_file._NEXT, 0.0)
    print(os.getpid(), flush=True)
    time.sleep(600)
with held.turn():
    if {forks} and os.fork():
        os.kill(os.getpid(), signal.SIGKILL)
    print(os.getpid(), flush=True)
    time.sleep(600)
"""


def holder(path: Path, *, forks: bool, is_next: bool = False) -> subprocess.Popen[str]:
    code = HOLDS.format(root=ROOT, path=str(path), forks=forks, is_next=is_next)
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("is_next", [False, True])
async def test_a_turn_that_does_not_end_is_told_and_ends_with_its_process(tmp_path: Path, is_next: bool) -> None:
    """A process that is frozen while it writes, or is next, stops the others' placing, which says so, until killed."""
    path = tmp_path / "orders.db"
    frozen = holder(path, forks=False, is_next=is_next)
    assert frozen.stdout is not None
    assert int(frozen.stdout.readline()) == frozen.pid
    journal = SqliteJournal(path, busy_timeout=0.05)

    with pytest.raises(JournalError, match="another process keeps it locked: end that"):
        await journal.create(record("p1"))
    frozen.kill()
    frozen.communicate(timeout=60)

    assert (await journal.create(record("p2"))).id == "p2"
    await journal.aclose()


async def test_a_fork_of_a_process_that_writes_holds_nothing(tmp_path: Path) -> None:
    """A process is killed while it writes, and a child of it lives on: the next one writes all the same."""
    path = tmp_path / "orders.db"
    killed = holder(path, forks=True)
    assert killed.stdout is not None
    child = int(killed.stdout.readline())
    killed.wait(timeout=60)
    journal = SqliteJournal(path, busy_timeout=5.0)
    try:
        assert killed.returncode == -signal.SIGKILL
        assert (await journal.create(record("p1"))).id == "p1"
    finally:
        os.kill(child, signal.SIGKILL)
        killed.stdout.close()
        await journal.aclose()
