"""The file of a journal: opening it, telling whether it is still there, and what to do when it is not well."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from orderbridge.errors import JournalError
from orderbridge.placement.schema import STEPS, check_readable, migrate, newer, version_of

_LOOK_AGAIN: Final = 0.01
# A safety net: the writer brings the WAL into the file much sooner, when nobody waits.
_AUTOCHECKPOINT_PAGES: Final = 20_000
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
    "SQLITE_BUSY": f"another process keeps it locked: end that, {_AGAIN}",
    "SQLITE_READONLY": _MAY_NOT,
    "SQLITE_CORRUPT": f"it is damaged: {_RESCUE}",
    "SQLITE_NOTADB": f"it is damaged, or no journal: {_RESCUE}",
    "SQLITE_IOERR": f"the disk failed or is full: see to it, {_AGAIN}",
}


class JournalFile:
    """
    Opens one journal file.

    Args:
        busy_timeout: seconds to wait for another process that writes.
        steps: the versions of the tables.
    """

    def __init__(self, path: str | Path, *, busy_timeout: float, steps: Sequence[Sequence[str]] = STEPS) -> None:
        self.path = Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._steps = steps
        self._name = str(self.path)
        self._identity: tuple[int, int] | None = None
        self._wal_name = self._name + "-wal"
        self._wal: tuple[int, int] | None = None
        self._counted: int | None = None

    def open_to_write(self) -> sqlite3.Connection:
        """
        A connection in WAL mode with a full sync at each commit. The file is made if there never was one.

        Raises:
            JournalError, OSError, sqlite3.Error: see `failure`.
        """
        self._check_file()
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        # autocommit: transactions are begun and ended by the writer alone
        db = sqlite3.connect(self._name, timeout=self._busy_timeout, isolation_level=None)
        try:
            self._switch_to_wal(db)
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {_AUTOCHECKPOINT_PAGES}")
            migrate(db, self.path, steps=self._steps)
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

        One that does not is for a single read: see `Reader`.

        Raises:
            JournalError, OSError, sqlite3.Error: see `failure`.
        """
        self._check_file()
        try:
            return self._connect("mode=ro"), True
        except sqlite3.OperationalError:
            # Reading in WAL mode makes a -shm file. Where that may not be made and there is no WAL, nobody writes.
            if not self.path.exists() or self.has_wal():
                raise
        return self._connect("mode=ro&immutable=1"), False

    def _connect(self, how: str) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.as_uri()}?{how}",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            check_readable(db, self.path, steps=self._steps)
        except BaseException:
            db.close()
            raise
        return db

    def has_wal(self) -> bool:
        """Whether there are commits that are not in the file itself yet."""
        try:
            return os.stat(self._wal_name).st_size > 0
        except FileNotFoundError:
            return False

    def mark(self) -> tuple[int, int, int, int]:
        """What changes when the file is replaced or written to."""
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
        Whether another connection may have written since the last call; so too when `db` is new.

        Raises:
            JournalError: a newer orderbridge has brought the file forward while this one had it open.
        """
        (counted,) = db.execute("PRAGMA data_version").fetchone()
        if counted == self._counted:
            return False
        self._counted = counted
        if version_of(db) != len(self._steps):
            raise newer(self.path, version_of(db), steps=self._steps)
        return True

    def failure(self, error: Exception, doing: str) -> JournalError:
        """
        What an error means, with what to do next.

        Args:
            doing: `read` or `written`: what could not be done.
        """
        if isinstance(error, JournalError):
            return error
        told = JournalError(f"the journal {self.path} cannot be {doing}: {error}; {self._advice(error)}")
        told.__cause__ = error
        return told

    def _advice(self, error: Exception) -> str:
        name = getattr(error, "sqlite_errorname", None) or ""
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


def _identity(name: str) -> tuple[int, int] | None:
    try:
        found = os.stat(name)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
