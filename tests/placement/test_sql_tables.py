"""A journal file is brought forward, whole or not at all, and never back."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from orderbridge import OrderBridge, PlacementState
from orderbridge.errors import JournalError, KeyInUse, OutcomeUnknown
from orderbridge.placement import Event, SqliteJournal, sqlite_file
from orderbridge.placement.sqlite_file import STEPS, JournalFile, version_of
from orderbridge.placement.upkeep import Snapshot, verify
from tests.placement.kit import NOW, limit_buy, record, seen
from tests.placement.test_resolve_certificate import Venue

ROOT = str(Path(__file__).parents[2])
# Files as earlier versions wrote them, with placements in every state; a new version of the tables adds one.
EARLIER = sorted((Path(__file__).parent / "journals").glob("version_*.sql"))
STATES = {
    "open": "placed",
    "filled": "placed",
    "rejected": "rejected",
    "denied": "denied",
    "uncertain": "uncertain",
    "gave up": "uncertain",
    "watched": "not_placed",
    "prepared": "prepared",
    "sending": "sending",
    "by market": "placed",
}
LATER = (*STEPS, ("ALTER TABLE placements ADD COLUMN note TEXT", "CREATE TABLE extra (id TEXT) STRICT"))


async def filled(path: Path) -> None:
    """A file of the first version with one placement."""
    journal = SqliteJournal(path)
    await journal.create(record("p1"))
    await journal.aclose()


def opened(path: Path, steps: Sequence[Sequence[str]]) -> sqlite3.Connection:
    """The file as an orderbridge with these steps opens it."""
    with mock.patch.object(sqlite_file, "STEPS", steps):
        return JournalFile(path, busy_timeout=1.0).open_to_write()


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


KILLED = """
import os, signal, sqlite3, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from orderbridge.placement.sqlite_file import migrate, version_of

def forward(steps):
    db = sqlite3.connect({path!r}, isolation_level=None)
    if steps:
        db.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), steps)
        migrate(db, Path({path!r}))
    print(version_of(db), flush=True)
    db.close()

steps, killed = 25, True
while killed:
    child = os.fork()
    if not child:
        forward(steps)
        os._exit(0)
    killed, steps = os.waitpid(child, 0)[1] == signal.SIGKILL, int(steps * 1.5)
    if killed:
        forward(0)
"""


CRASH = """
import os, sqlite3, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from orderbridge.placement import sqlite_file
db = sqlite3.connect({path!r}, isolation_level=None)
db.create_function("crash", 0, lambda: os._exit(9))
sqlite_file.STEPS = (*sqlite_file.STEPS, ("CREATE TABLE extra (id TEXT)", "SELECT crash()"))
sqlite_file.migrate(db, Path({path!r}))
"""


def test_a_crash_in_the_middle_leaves_the_old_version(tmp_path: Path) -> None:
    """A process that dies while it brings a file forward has changed nothing; the next one does it whole."""
    path = tmp_path / "orders.db"
    asyncio.run(filled(path))
    code = CRASH.format(root=ROOT, path=str(path))
    died = subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode
    with closing(sqlite3.connect(path)) as db:
        between = version_of(db), db.execute("SELECT 1 FROM sqlite_master WHERE name = 'extra'").fetchone()
    with closing(opened(path, LATER)) as db:
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

    with (
        mock.patch.object(sqlite_file, "STEPS", LATER),
        pytest.raises(JournalError, match="let a bot open it once"),
    ):
        JournalFile(path, busy_timeout=1.0).open_to_read()
    assert path.read_bytes() == before


def test_two_that_bring_a_file_forward_at_once_do_it_once(tmp_path: Path) -> None:
    """The one that comes second finds the work done."""
    path = tmp_path / "orders.db"
    asyncio.run(filled(path))
    code = (
        f"import sys; sys.path.insert(0, {ROOT!r})\n"
        "from tests.placement.test_sql_tables import LATER, opened\n"
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


async def test_a_process_that_is_killed_while_it_brings_an_earlier_journal_forward_loses_nothing(
    earlier: Path,
) -> None:
    """After so many steps of SQLite's own, further and further: the next one begins again, and all is there."""
    code = KILLED.format(root=ROOT, path=str(earlier))
    output = await asyncio.to_thread(subprocess.check_output, [sys.executable, "-W", "ignore", "-c", code], text=True)
    *versions, last = output.split()
    bridge = bridge_on(earlier, Venue(), ByMarket())
    found = {each.key: each for each in await bridge.placements()}
    await bridge.aclose()

    assert len(versions) > 3
    assert (set(versions), last) == ({earlier.stem.split("_")[1]}, str(len(STEPS)))
    assert {key: each.state.value for key, each in found.items()} == STATES
    with Snapshot(SqliteJournal(earlier, read_only=True)) as file:
        assert list(verify(file)) == []


class ByMarket(Venue):
    """A venue that numbers its orders by market."""

    name = venue = "ccxt.binance"


@pytest.fixture(params=EARLIER, ids=lambda path: path.stem)
def earlier(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A journal that an earlier version wrote, its process long gone."""
    path = tmp_path / f"{request.param.stem}_.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(request.param.read_text())
    return path


def bridge_on(path: Path, *venues: Venue) -> OrderBridge:
    """A bridge a minute after the journal was written, which asks nothing by itself."""
    return OrderBridge(
        *venues,
        journal=SqliteJournal(path),
        clock=lambda: NOW.timestamp() + 60,
        settle_horizon=3600.0,
        probe_times=(3600.0,),
        on_alarm=lambda alarm: None,
    )


async def test_an_earlier_journal_opens_with_every_placement_as_it_was(earlier: Path) -> None:
    """None is lost, and each is in its state, with its order as last known."""
    bridge = bridge_on(earlier, Venue(), ByMarket())

    found = {each.key: each for each in await bridge.placements()}
    await bridge.aclose()

    assert {key: each.state.value for key, each in found.items()} == STATES
    assert [each.order.status.value for each in found.values() if each.order] == ["accepted", "filled", "accepted"]
    assert found["gave up"].gave_up


async def test_the_keys_that_an_earlier_journal_holds_stay_held(earlier: Path) -> None:
    """A placed key gives its order, an uncertain one its question, and neither is sent again or taken by another."""
    venue = Venue()
    venue.open = [seen(order_id="1", client_order_id="ob1", price="100001")]
    bridge = bridge_on(earlier, venue)

    again = await bridge.place("bitso", limit_buy(price="100001"), key="open")
    with pytest.raises(OutcomeUnknown):
        await bridge.place("bitso", limit_buy(price="100005"), key="uncertain")
    for key in ("open", "filled", "uncertain", "gave up", "sending"):
        with pytest.raises(KeyInUse):
            await bridge.place("bitso", limit_buy(price="1"), key=key)
    await bridge.aclose()

    assert again.order_id == "1"
    assert venue.sent == []


async def test_the_ids_that_an_earlier_journal_watches_stay_watched(earlier: Path) -> None:
    """An order under the id of one that was proven absent is its, and it is placed after all."""
    bridge = bridge_on(earlier, Venue())

    await bridge.observe(seen(order_id="7", client_order_id="ob7", price="100007"))
    placement = await bridge.placement(key="watched")
    await bridge.aclose()

    assert placement is not None
    assert placement.order is not None
    assert (placement.state.value, placement.order.order_id) == ("placed", "7")


async def test_an_order_of_an_earlier_journal_is_known_again_where_numbers_are_by_market(earlier: Path) -> None:
    """It was written without its market in its key: what is seen of it since is of it, and not of its namesake."""
    bridge = bridge_on(earlier, ByMarket())
    now = {"venue": "ccxt.binance", "order_id": "1", "numbered_by_market": True}

    await bridge.observe(seen("cancelled", symbol="BTC/USDT", price="100010", client_order_id="ob10", **now))
    await bridge.observe(seen(symbol="ETH/USDT", client_order_id="another", **now))
    placement = await bridge.placement(key="by market")
    await bridge.aclose()

    assert placement is not None
    assert placement.order is not None
    assert placement.order.status.value == "cancelled"
    assert placement.order.key == ("ccxt.binance", "1", "BTC/USDT")


@pytest.mark.parametrize("earlier", [each for each in EARLIER if each.stem < "version_4"], indirect=True)
async def test_the_chains_of_an_earlier_journal_stay_as_they_were(earlier: Path) -> None:
    """Every event is there, in its order; one that was missing, and those of no placement, are told as before."""
    with closing(sqlite3.connect(earlier)) as db, db:
        rows = db.execute("SELECT placement_id, body FROM events ORDER BY placement_id, seq").fetchall()
        gone, cut = (
            db.execute("SELECT placement_id FROM placements WHERE key = ?", (key,)).fetchone()[0]
            for key in ("open", "filled")
        )
        db.execute("DELETE FROM placements WHERE placement_id = ?", (gone,))
        db.execute("DELETE FROM events WHERE placement_id = ? AND seq = 2", (cut,))
    expected: dict[str, list[Any]] = {}
    for name, body in rows:
        expected.setdefault(name, []).append({"seq": len(expected.get(name, ())) + 1, **json.loads(body)})
    del expected[gone], expected[cut]
    journal = SqliteJournal(earlier)
    await journal.keep_alive("me", 0)

    found = {name: [dump(event) for event in await journal.events(name)] for name in expected}
    await journal.aclose()

    assert found == expected
    with Snapshot(SqliteJournal(earlier, read_only=True)) as file:
        told = [(each.where.rpartition(" ")[2], each.what) for each in verify(file)]
    assert told[0][0] == f"{cut})"
    assert told[0][1].startswith("event 2 cannot be: acknowledged from sending to placed")
    assert told[1][1] == "3 events of a placement that is not there"
    assert len(told) == 2


def dump(event: Event) -> Any:
    """An event as the journal's text has it."""
    return event.model_dump(mode="json", exclude_defaults=True)


async def test_an_order_that_cannot_be_read_does_not_keep_a_file_from_being_brought_forward(earlier: Path) -> None:
    """Its row stays as it was, and every placement is there."""
    with closing(sqlite3.connect(earlier)) as db, db:
        db.execute("UPDATE orders SET body = 'broken' WHERE order_id = '2'")
    bridge = bridge_on(earlier, Venue())

    found = await bridge.placements(state=PlacementState.UNCERTAIN)
    await bridge.aclose()

    with closing(sqlite3.connect(earlier)) as db:
        assert db.execute("SELECT body FROM orders WHERE order_id = '2'").fetchall() == [("broken",)]
    assert [each.key for each in found] == ["uncertain", "gave up"]


async def test_an_earlier_journal_is_not_called_older_than_it_was(
    earlier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It counted no commits, and left a file in WAL mode without a -wal: nothing of it is missing."""
    with closing(sqlite3.connect(earlier)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE owners SET until = 0")
        db.commit()
    journal = SqliteJournal(earlier)

    await journal.create(record("new"))
    await journal.aclose()

    assert "older than it should be" not in caplog.text
