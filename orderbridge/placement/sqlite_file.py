"""
The file of an SQLite journal: its tables, and whether it is there, whole, and as young as was promised.

Beside it lies a file of its name and `-mark`. It says how much was written and promised to somebody, so that a journal
that comes back with less is told, and processes that write take turns by locks on it.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from orderbridge.errors import ConfigurationError, JournalError
from orderbridge.placement.sql import log

try:
    import fcntl
except ImportError:  # Windows: whoever asks SQLite at the right moment is next
    fcntl = None  # type: ignore[assignment]

# "obrj": tells a journal from another application's SQLite file.
APPLICATION_ID: Final = 0x6F62726A
# Step n makes version n of version n - 1. A step that was released is never changed.
STEPS: Final[Sequence[Sequence[str]]] = (
    (
        """CREATE TABLE placements (
            placement_id TEXT PRIMARY KEY, gateway TEXT NOT NULL, key TEXT, client_order_id TEXT, state TEXT NOT NULL,
            fingerprint TEXT NOT NULL, created REAL NOT NULL, held_key TEXT, body TEXT NOT NULL) STRICT""",
        "CREATE UNIQUE INDEX placements_held_key ON placements (gateway, held_key) WHERE held_key IS NOT NULL",
        "CREATE INDEX placements_any_key ON placements (key) WHERE key IS NOT NULL",
        """CREATE UNIQUE INDEX placements_client ON placements (client_order_id, gateway)
            WHERE client_order_id IS NOT NULL""",
        """CREATE INDEX placements_unfinished ON placements (state, fingerprint)
            WHERE state IN ('prepared', 'sending', 'uncertain', 'not_placed')""",
        """CREATE TABLE events (
            placement_id TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, happened TEXT NOT NULL,
            after TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (placement_id, seq)) STRICT, WITHOUT ROWID""",
        """CREATE TABLE orders (
            gateway TEXT NOT NULL, order_id TEXT NOT NULL, client_order_id TEXT, working INTEGER NOT NULL,
            body TEXT NOT NULL, PRIMARY KEY (order_id, gateway)) STRICT""",
        "CREATE INDEX orders_working ON orders (gateway) WHERE working",
        "CREATE INDEX orders_client ON orders (client_order_id) WHERE client_order_id IS NOT NULL",
        "CREATE TABLE owners (owner TEXT PRIMARY KEY, until REAL NOT NULL) STRICT",
    ),
    (
        # Some venues number by market, so an order is told from others by symbol and side too. A body that cannot be
        # read keeps its row, and `verify` tells of it.
        """CREATE TABLE orders_apart (
            gateway TEXT NOT NULL, order_id TEXT NOT NULL, client_order_id TEXT, working INTEGER NOT NULL,
            body TEXT NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
            PRIMARY KEY (order_id, gateway, symbol, side)) STRICT""",
        """INSERT INTO orders_apart SELECT gateway, order_id, client_order_id, working, body,
            IIF(json_valid(body), COALESCE(json_extract(body, '$.symbol'), ''), ''),
            IIF(json_valid(body), COALESCE(json_extract(body, '$.side'), ''), '') FROM orders ORDER BY rowid""",
        "DROP TABLE orders",
        "ALTER TABLE orders_apart RENAME TO orders",
        "CREATE INDEX orders_working ON orders (gateway) WHERE working",
        "CREATE INDEX orders_client ON orders (client_order_id) WHERE client_order_id IS NOT NULL",
    ),
    (
        # How many commits there were, and whether somebody may write: a file that is older than it should be is told.
        "CREATE TABLE promise (id INTEGER PRIMARY KEY CHECK (id = 1), commits INTEGER, in_use INTEGER) STRICT",
        # From when to when what was written was lost, without a gateway; with one, what a look at it found instead.
        """CREATE TABLE gaps (
            gateway TEXT NOT NULL, symbol TEXT NOT NULL, since REAL NOT NULL, until REAL NOT NULL, told REAL NOT NULL,
            found TEXT NOT NULL, PRIMARY KEY (gateway, symbol, until)) STRICT""",
    ),
    (
        # Events are only ever added at the end, each with the number of the one before it of its placement, which
        # knows its last: nothing is written between others, and no index. One index finds a key and keeps it from
        # being held twice: `held` is 1 or NULL, and no two NULLs are the same.
        "CREATE TABLE chain (n INTEGER PRIMARY KEY, before INTEGER, at REAL NOT NULL, body TEXT NOT NULL) STRICT",
        """INSERT INTO chain SELECT n, IIF(is_first, NULL, n - 1), at, body FROM (SELECT at, body,
            ROW_NUMBER() OVER by_id AS n, LAG(placement_id) OVER by_id IS NOT placement_id AS is_first
            FROM events WINDOW by_id AS (ORDER BY placement_id, seq))""",
        """CREATE TABLE placements_new (
            placement_id TEXT PRIMARY KEY, gateway TEXT NOT NULL, key TEXT, held INTEGER, client_order_id TEXT,
            state TEXT NOT NULL, fingerprint TEXT NOT NULL, created REAL NOT NULL, last INTEGER NOT NULL,
            body TEXT NOT NULL) STRICT""",
        """INSERT INTO placements_new SELECT placement_id, gateway, key, IIF(held_key IS NULL, NULL, 1),
            client_order_id, state, fingerprint, created, COALESCE(last, 0), body FROM placements LEFT JOIN
            (SELECT placement_id, MAX(n) AS last FROM
                (SELECT placement_id, ROW_NUMBER() OVER (ORDER BY placement_id, seq) AS n FROM events)
            GROUP BY placement_id) USING (placement_id) ORDER BY placements.rowid""",
        "DROP TABLE events",
        "DROP TABLE placements",
        "ALTER TABLE chain RENAME TO events",
        "ALTER TABLE placements_new RENAME TO placements",
        "CREATE UNIQUE INDEX placements_key ON placements (key, gateway, held) WHERE key IS NOT NULL",
        """CREATE UNIQUE INDEX placements_client ON placements (client_order_id, gateway)
            WHERE client_order_id IS NOT NULL""",
        """CREATE INDEX placements_unfinished ON placements (state, fingerprint)
            WHERE state IN ('prepared', 'sending', 'uncertain', 'not_placed')""",
        # From now on how many commits there were is told by this and the number of the last event.
        "INSERT INTO promise VALUES (1, 0, 0) ON CONFLICT DO NOTHING",
        "UPDATE promise SET commits = commits - COALESCE((SELECT MAX(n) FROM events), 0)",
    ),
    (
        # Whether an index holds a row is asked at each write: of a list SQLite makes a table every time, to compare
        # with a word costs nothing. And one index finds both what works and what has a client id.
        "DROP INDEX placements_unfinished",
        "CREATE INDEX placements_not_placed ON placements (state, fingerprint) WHERE state <> 'placed'",
        "DROP INDEX orders_working",
        "DROP INDEX orders_client",
        "CREATE INDEX orders_client ON orders (working, client_order_id)",
    ),
)


def version_of(db: sqlite3.Connection) -> int:
    """Which version's tables a file has; 0 when it has none."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """
    Bring a file forward to the version that `STEPS` make, in one transaction: it is of the old version or of the new.

    Raises:
        JournalError: the file is of a newer version, or no journal.
    """
    if version_of(db) == len(STEPS) and _application(db) == APPLICATION_ID:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = _known_version(db, path)
        for statements in STEPS[found:]:
            for statement in statements:
                db.execute(statement)
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {len(STEPS)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def check_readable(db: sqlite3.Connection, path: Path) -> None:
    """JournalError: the file is no journal, or of a version that is not read here."""
    found = _known_version(db, path)
    if found < len(STEPS):
        raise JournalError(
            f"{path} is of version {found}, and version {len(STEPS)} is read here: let a bot open it once, or "
            "`orderbridge recover`"
        )


def newer(path: Path, found: int) -> JournalError:
    """A file from the future."""
    return JournalError(
        f"{path} is of version {found}, and this orderbridge knows up to {len(STEPS)}: update it, and start anew"
    )


def _known_version(db: sqlite3.Connection, path: Path) -> int:
    found = version_of(db)
    has_tables = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    if (has_tables or found) and _application(db) != APPLICATION_ID:
        raise JournalError(f"{path} is another application's file, no journal: name another one")
    if found > len(STEPS):
        raise newer(path, found)
    return found


def _application(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA application_id").fetchone()[0])


# What a file may raise; the latter is what Python makes of SQLite's words about a damaged table.
FILE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
_LOOK_AGAIN: Final = 0.01
# Bytes of the mark that are locked, far behind what is written there: who is next, and who writes. Seconds between two
# looks at each; a commit may take as little.
_NEXT, _WRITES = 1 << 20, (1 << 20) + 1
_LOOK_FOR: Final = {_NEXT: 0.000_2, _WRITES: 0.000_1}
# A safety net: the writer brings the WAL into the file much sooner, when nobody waits.
_AUTOCHECKPOINT_PAGES: Final = 4_000
# Most commits add an event, which counts them without a page more to be written.
_PROMISED: Final = "SELECT commits + COALESCE((SELECT MAX(n) FROM events), 0), in_use FROM promise"
_COUNT: Final = "UPDATE promise SET commits = ? - COALESCE((SELECT MAX(n) FROM events), 0), in_use = 1"
_GAP: Final = "INSERT INTO gaps VALUES ('', '', ?, ?, ?, '[]') ON CONFLICT DO NOTHING"
# So far back is looked when nothing is left that tells since when it is missing.
_UNKNOWN_SINCE: Final = 30 * 86400.0
_AGAIN: Final = "and placing goes on by itself"
_RESCUE: Final = (
    "stop every bot on it, keep a copy of it with its -wal file, and bring back a backup or what "
    "`sqlite3 FILE .recover` saves; before a bot starts with an older or an empty journal, compare each venue's open "
    "orders by hand"
)
_MAY_NOT: Final = f"allow this user to read and write it and its folder, {_AGAIN}"
# By the beginning of SQLite's own name of the error.
_ADVICE: Final = {
    "SQLITE_FULL": f"make room on the disk, {_AGAIN}",
    "SQLITE_BUSY": (_LOCKED := f"another process keeps it locked: end that, {_AGAIN}"),
    "SQLITE_READONLY": _MAY_NOT,
    "SQLITE_CORRUPT": f"it is damaged: {_RESCUE}",
    "SQLITE_NOTADB": f"it is no journal, or is damaged: {_RESCUE}",
    "SQLITE_IOERR": f"the disk failed or is full: see to it, {_AGAIN}",
}


class JournalFile:
    """
    Opens one journal file.

    Args:
        busy_timeout: seconds to wait for another process that writes.
    """

    def __init__(self, path: str | Path, *, busy_timeout: float) -> None:
        self.path = Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._name = str(self.path)
        self._identity: tuple[int, int] | None = None
        # Where the name is a link, SQLite lays the WAL beside what it leads to; and all names of one file share a mark.
        try:
            beside = os.path.realpath(self._name)
        except ValueError as error:  # a name that no file system has
            raise ConfigurationError(f"path is the name of a file, not {str(path)!a}") from error
        self._wal_name = beside + "-wal"
        self._wal: tuple[int, int] | None = None
        self._counted: int | None = None
        self._mark_name = beside + "-mark"
        self._mark: int | None = None
        self._mark_identity: tuple[int, int] | None = None
        self._commits = 0
        self._begins = False
        # Whether something was lost once: see `gaps`.
        self.has_gaps = False

    def open_to_write(self) -> sqlite3.Connection:
        """
        A connection in WAL mode with a full sync at each commit. The file is made if there never was one.

        Raises:
            JournalError, OSError, sqlite3.Error: see `failure`.
        """
        self._check_file()
        had_wal = self.has_wal()
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        # autocommit: transactions are begun and ended by the writer alone
        db = sqlite3.connect(self._name, timeout=self._busy_timeout, isolation_level=None)
        db.text_factory = text
        try:
            self._switch_to_wal(db)
            # Were the WAL another one than that which other connections still use, this would fail, and nothing else.
            checkpoint(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
            migrate(db, self.path)
            self._check_age(db, had_wal=had_wal)
            self.has_gaps = db.execute("SELECT 1 FROM gaps LIMIT 1").fetchone() is not None
            self._identity = _identity(self._name)
            self._wal = _identity(self._wal_name)
            self._counted = None
        except BaseException:
            db.close()
            raise
        return db

    def open_to_read(self) -> tuple[sqlite3.Connection, bool]:
        """
        A connection that never writes, and whether it sees what others commit from now on.

        One that does not is for a single read: see `ReadThread`.

        Raises:
            JournalError, OSError, sqlite3.Error: see `failure`.
        """
        self._check_file()
        try:
            return self.connect("mode=ro"), True
        except sqlite3.OperationalError:
            # Reading in WAL mode makes a -shm file. Where that may not be made and there is no WAL, nobody writes.
            if not self.path.exists() or self.has_wal():
                raise
        return self.connect("mode=ro&immutable=1"), False

    def connect(self, how: str) -> sqlite3.Connection:
        """A connection that never writes, once the tables are known to be readable here."""
        db = sqlite3.connect(
            f"{self.path.as_uri()}?{how}",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        db.text_factory = text
        try:
            check_readable(db, self.path)
        except BaseException:
            db.close()
            raise
        return db

    def has_wal(self) -> bool:
        """True if there are commits that are not in the file itself yet."""
        try:
            return os.stat(self._wal_name).st_size > 0
        except FileNotFoundError:
            return False

    @contextmanager
    def turn(self) -> Iterator[None]:
        """
        Wait for this process's turn to write.

        SQLite lets whoever asks at the right moment write next, so that one of many may wait for seconds. Here who is
        next is settled apart from who writes: whoever has just written cannot be before the one who is next. The
        locks end with their process, and a fork does not inherit them.

        Raises:
            JournalError: it did not come within the time for which a write waits.
        """
        mark, give_up_at = self._open_mark(), time.monotonic() + self._busy_timeout
        self._lock(mark, _NEXT, give_up_at)
        try:
            self._lock(mark, _WRITES, give_up_at)
        finally:
            self._unlock(mark, _NEXT)
        try:
            yield
        finally:
            self._unlock(mark, _WRITES)

    def _lock(self, mark: int, byte: int, give_up_at: float) -> None:
        while fcntl is not None:
            try:
                fcntl.lockf(mark, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                return
            except (BlockingIOError, PermissionError) as error:  # systems differ in how they say that it is locked
                if time.monotonic() > give_up_at:
                    raise JournalError(f"the journal {self.path} cannot be written: {_LOCKED}") from error
                time.sleep(_LOOK_FOR[byte])

    def _unlock(self, mark: int, byte: int) -> None:
        if fcntl is not None:
            fcntl.lockf(mark, fcntl.LOCK_UN, 1, byte)

    def _open_mark(self) -> int:
        if self._mark is None or _identity(self._mark_name) != self._mark_identity:
            self.close_mark()
            if not self.path.parent.is_dir() or self.path.is_dir():
                self._check_file()  # which says it better than the error of opening this one would
            self._mark = os.open(self._mark_name, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
            self._mark_identity = _identity(self._mark_name)
        return self._mark

    def close_mark(self) -> None:
        """Give back what `turn` holds open."""
        if self._mark is not None:
            os.close(self._mark)
            self._mark = None

    def _read_commits(self, db: sqlite3.Connection) -> None:
        """Learn how much was written so far: every event counts, and every commit without one."""
        self._commits, in_use = db.execute(_PROMISED).fetchone()
        self._begins = not in_use

    def count(self, db: sqlite3.Connection) -> None:
        """Count the commit of the transaction that is open, in which `others_wrote` was asked; `promise` is next."""
        before = self._commits
        self._read_commits(db)
        if self._commits <= before or self._begins:
            self._commits = max(self._commits, before + 1)
            db.execute(_COUNT, (self._commits,))

    def promise(self, db: sqlite3.Connection) -> None:
        """
        Write down beside the file that a counted commit is durable, before anybody is told of it.

        Without a sync: a mark that a power cut takes back is older than the file, and only a newer one tells anything.
        """
        try:
            mark = self._open_mark()
            os.lseek(mark, 0, os.SEEK_SET)
            os.write(mark, b"%020d\n" % self._commits)
        except OSError as error:  # what was committed is durable all the same
            log.warning("%s cannot be written, so a loss of commits may not be noticed: %s", self._mark_name, error)
        if self._begins:
            # From now on a copy of the file alone is not whole, and the file itself must say so.
            self._begins = False
            try:
                checkpoint(db)
            except sqlite3.Error as error:
                log.warning("the journal %s: its -wal file could not be brought into it: %s", self.path, error)

    def release(self, db: sqlite3.Connection) -> None:
        """Have everything in the file itself, and let it say that it is whole. Who else writes takes that back."""
        if db.execute(_PROMISED).fetchone()[1]:
            db.execute("UPDATE promise SET in_use = 0")
        checkpoint(db)

    def _promised(self) -> int | None:
        """How many commits were promised; None when there is no mark that says."""
        mark = self._open_mark()
        os.lseek(mark, 0, os.SEEK_SET)
        read = os.read(mark, 32).strip()
        return int(read) if read.isdigit() else None

    def _check_age(self, db: sqlite3.Connection, *, had_wal: bool) -> None:
        """Write down, once, that what had been promised is missing: see `gaps`."""
        commits, in_use = db.execute(_PROMISED).fetchone()
        promised = self._promised()
        # Without a mark: whoever wrote last did not close it, so there was a WAL.
        if commits >= promised if promised is not None else had_wal or not in_use:
            return
        now = time.time()
        until = now if promised is None else min(now, os.stat(self._mark_name).st_mtime)
        db.execute("BEGIN IMMEDIATE")
        (last,) = db.execute("SELECT MAX(at) FROM events").fetchone()
        since = min(until, last if last is not None else until - _UNKNOWN_SINCE)
        # Looks are told apart by until when they reach, whatever the clock does.
        (before,) = db.execute("SELECT COALESCE(MAX(until), 0) FROM gaps").fetchone()
        until = max(until, before + 0.001)
        # To the microsecond, as it comes back.
        db.execute(_GAP, tuple(round(moment, 6) for moment in (since, until, now)))
        db.execute(_COUNT, (max(commits, promised or 0),))
        db.execute("COMMIT")
        if last is None:
            log.error(
                "the journal %s is older than it should be: it is empty, and by %s there was more of it. Was it, or "
                "its -wal file, moved or deleted? Put it back. Without it no key is placed before the venue has been "
                "looked at for the orders of %.0f days; to begin a new one, where no key of the old one comes again, "
                "stop the bots and delete both",
                self.path,
                self._mark_name,
                _UNKNOWN_SINCE / 86400.0,
            )
            return
        missing = "what was written last" if promised is None else f"{promised - commits} of {promised} writes"
        log.error(
            "the journal %s is older than it should be; missing: %s (was its -wal file lost, or a copy put in its "
            "place?). No key is placed before the venue has been looked at for what was lost",
            self.path,
            missing,
        )

    def mark(self) -> tuple[int, int, int, int]:
        """A mark that changes when the file is replaced or written to."""
        found = os.stat(self._name)
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size

    def check_in_place(self) -> None:
        """JournalError: the file was moved, deleted or replaced, so what is written now would not be found again."""
        for name, known in ((self._name, self._identity), (self._wal_name, self._wal)):
            if _identity(name) != known:
                raise self._moved(name)

    def _moved(self, name: str) -> JournalError:
        return JournalError(
            f"the journal cannot be used: {name} was moved, deleted or replaced while in use; put it back, "
            f"{_AGAIN}; to go on with another file, start the bot anew, so that recovery reads it"
        )

    def others_wrote(self, db: sqlite3.Connection) -> bool:
        """
        True if another connection may have written since the last call; so too when `db` is new.

        Raises:
            JournalError: a newer orderbridge has brought the file forward while this one had it open.
        """
        (counted,) = db.execute("PRAGMA data_version").fetchone()
        if counted == self._counted:
            return False
        self._counted = counted
        if version_of(db) != len(STEPS):
            raise newer(self.path, version_of(db))
        self._read_commits(db)
        return True

    def failure(self, error: Exception, doing: str) -> JournalError:
        """
        The JournalError for an error, with what to do next.

        Args:
            doing: `read` or `written`: what could not be done.
        """
        if isinstance(error, JournalError):
            return error
        told = JournalError(f"the journal {self.path} cannot be {doing}: {error}; {self._advice(error)}")
        told.__cause__ = error
        return told

    def _advice(self, error: Exception) -> str:
        name = (
            "SQLITE_CORRUPT" if isinstance(error, UnicodeDecodeError) else getattr(error, "sqlite_errorname", "") or ""
        )
        for known, advice in _ADVICE.items():
            if name.startswith(known):
                return advice
        if not self.path.parent.is_dir():
            return f"there is no folder {self.path.parent}: make it, {_AGAIN}"
        if self.path.is_dir():
            return "name a file in that folder"
        if not self.path.exists():
            return "there is no such file, or this user may not see it; a bot makes it when it first places"
        return _MAY_NOT

    def _check_file(self) -> None:
        # SQLite says of a folder that it is unable to open it.
        if self.path.is_dir() and self._identity is None:
            raise IsADirectoryError(f"{self.path} is a folder")
        if self._identity not in (None, _identity(self._name)):
            raise self._moved(self._name)
        # SQLite deletes the WAL of an empty file when it opens that, and with it what was durable.
        if self.has_wal() and (not self.path.exists() or not self.path.stat().st_size):
            raise JournalError(
                f"the journal {self.path} is missing or empty, and {self._wal_name} holds commits of it: put the "
                "journal back beside it, or move both away to begin a new one"
            )

    def _switch_to_wal(self, db: sqlite3.Connection) -> None:
        # A new file changes its mode once, and SQLite does not wait for another process that does so at this moment.
        give_up_at = time.monotonic() + self._busy_timeout
        while True:
            try:
                mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                    raise
                time.sleep(_LOOK_AGAIN)
            else:
                if mode != "wal":
                    raise JournalError(f"{self.path} lies where SQLite's WAL mode does not work; use a local disk")
                return


def text(stored: bytes) -> str:
    """The text in a field, whatever happened to it: SQLite's own reading loses all rows for one that is no UTF-8."""
    return stored.decode("utf-8", "backslashreplace")


def checkpoint(db: sqlite3.Connection) -> None:
    """Bring the WAL into the file, as far as no reader needs it; nobody waits for it."""
    db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
