"""
SQLite as the journal's engine: a thread that writes its file and one that reads it; and `SqliteJournal`.

Jobs that wait to be written are committed together, so that many placings share one disk sync.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, RLock, Thread
from typing import Any, Final, NamedTuple, TypeVar
from weakref import WeakSet

from orderbridge.errors import JournalError
from orderbridge.gateway import checked_call
from orderbridge.placement.sql import Dialect, Rows, SqlJournal, log
from orderbridge.placement.sqlite_file import FILE_ERRORS, JournalFile, checkpoint

T = TypeVar("T")
MOST_TOGETHER: Final = 500
# After so many jobs, or so many seconds without one, the WAL is brought into the file, when those who wait have been
# told, so that none waits for it. A job writes up to ten pages.
JOBS_BETWEEN_CHECKPOINTS: Final = 250
IDLE: Final = 0.25


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


_Attempt = Callable[[sqlite3.Connection, _Job], Any]


class _Spoilt(Exception):
    """A job failed after it had written."""


# A child that was forked while a thread is in SQLite would have SQLite's own locks held for ever, so each thread holds
# a lock there, and a fork waits for all. A writer's first: it closes what its reader has open.
_threads: Final[WeakSet[WriteThread | ReadThread]] = WeakSet()
_held: Final[list[RLock]] = []


def _be_quiet() -> None:
    _held.extend(each.use for each in sorted(_threads, key=lambda each: isinstance(each, ReadThread)))
    for use in _held:
        use.acquire()


def _go_on() -> None:
    while _held:
        _held.pop().release()


os.register_at_fork(before=_be_quiet, after_in_parent=_go_on, after_in_child=_go_on)


class WriteThread:
    """
    Runs jobs on one connection in one thread. A job that fails is undone by itself, and spoils no neighbour.

    It may be used from several event loops. The thread begins, and the file is opened, with the first job; after a
    failed write the next one opens the file anew.

    Args:
        forget: called in the thread when what a job has seen of the file, or written, may not be so any more.
        failed: called in the thread before the file is opened anew, as it may not be the one that was open.
    """

    def __init__(self, file: JournalFile, *, forget: Callable[[], object], failed: Callable[[], object]) -> None:
        self._file = file
        self._forget = forget
        self._failed = failed
        self._connection: sqlite3.Connection | None = None
        self._batches: SimpleQueue[list[_Job] | None] = SimpleQueue()
        # What each loop hands over at the end of its present turn.
        self._waiting: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        self._guard = Lock()
        self._thread: Thread | None = None
        self._process = 0
        # Nothing more is written.
        self.is_closed = False
        self._tell_over: Callable[[], object] | None = None
        self._since_checkpoint = 0
        self.use = RLock()
        _threads.add(self)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """
        Do `work` in a transaction, and return when that is on disk.

        A caller that is cancelled does not cancel the write.

        Raises:
            JournalError: it could not be written. What `work` raises itself goes through.
        """
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future())
        waiting = self._waiting.get(loop)
        if waiting is None:
            # All that asks in one turn of the loop goes over at once: one wake-up, and one commit.
            self._waiting[loop] = [job]
            loop.call_soon(self._hand_over, loop)
        else:
            waiting.append(job)
        result: T = await job.done
        return result

    async def aclose(self) -> None:
        """Write what is waiting, and end the thread."""
        loop = asyncio.get_running_loop()
        for each in [each for each in self._waiting if each is loop or each.is_closed()]:
            self._hand_over(each)
        with self._guard:
            self.is_closed = True
            thread, self._thread = self._thread, None
            if thread is None or self._is_of_another_process():
                return
            over = asyncio.Event()
            self._tell_over = partial(loop.call_soon_threadsafe, over.set)
            self._batches.put(None)
        # Not joined by a thread of a pool: none can be begun where a journal is closed while Python 3.12 ends.
        await over.wait()
        thread.join()

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        jobs = self._waiting.pop(loop, None)
        if not jobs:
            return
        with self._guard:
            refusal = self._why_not()
            if refusal is None:
                self._batches.put(jobs)
                return
        _settle([(job, JournalError(refusal)) for job in jobs])

    def _why_not(self) -> str | None:
        if self.is_closed:
            return "the journal is closed"
        if self._thread is None:
            self._process = os.getpid()
            self._thread = Thread(target=self._serve, name="orderbridge-journal", daemon=True)
            self._thread.start()
        elif self._is_of_another_process():
            # SQLite forbids to use, or even to close, a connection on the other side of a fork.
            return _FORKED
        return None

    def _is_of_another_process(self) -> bool:
        return self._process != os.getpid()

    def _serve(self) -> None:
        more = True
        while more and (first := self._first()) is not None:
            batch = first
            while len(batch) < MOST_TOGETHER:
                try:
                    jobs = self._batches.get_nowait()
                except Empty:
                    break
                if jobs is None:
                    more = False
                    break
                batch += jobs
            _deliver(batch, self._commit(batch))
            self._since_checkpoint += len(batch)
            if self._since_checkpoint >= JOBS_BETWEEN_CHECKPOINTS:
                self._checkpoint()
        self._release()
        with suppress(RuntimeError):  # the loop that waited is closed
            if self._tell_over is not None:
                self._tell_over()

    def _first(self) -> list[_Job] | None:
        """The job to be written next, whenever it comes; None at the end."""
        if self._since_checkpoint:
            try:
                return self._batches.get(timeout=IDLE)
            except Empty:
                self._checkpoint()
        return self._batches.get()

    def _release(self) -> None:
        with self.use:
            try:
                if self._connection is not None:
                    with self._file.turn():
                        self._file.release(self._connection)
            except Exception as error:  # noqa: BLE001 - whatever failed, the thread gives back what it holds
                log.warning("%s", self._file.failure(error, "brought into one file"))
            self._disconnect()
            self._file.close_mark()

    def _commit(self, batch: Sequence[_Job]) -> list[Any]:
        """Do the jobs in one transaction: what came of each. All fail together when the transaction does."""
        try:
            with self.use, self._file.turn():
                connection = self._connection
                if connection is None:
                    connection = self._connection = self._file.open_to_write()
                try:
                    outcomes = self._transact(connection, batch, _try)
                except _Spoilt:
                    self._forget()
                    connection.execute("ROLLBACK")
                    outcomes = self._transact(connection, batch, _try_apart)
                return outcomes
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it, and the thread must live
            # The connection is made anew: after a failed write its state is not to be relied upon.
            self._failed()
            self._disconnect()
            return [self._file.failure(error, "written") for _ in batch]

    def _transact(self, connection: sqlite3.Connection, batch: Sequence[_Job], attempt: _Attempt) -> list[Any]:
        connection.execute("BEGIN IMMEDIATE")
        self._file.check_in_place()
        if self._file.others_wrote(connection):
            self._forget()
        before = connection.total_changes
        outcomes = [attempt(connection, job) for job in batch]
        if has_changed := connection.total_changes != before:
            self._file.count(connection)
        connection.execute("COMMIT")
        if has_changed:
            self._file.promise(connection)
        return outcomes

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _checkpoint(self) -> None:
        self._since_checkpoint = 0
        try:
            with self.use:
                if self._connection is not None:
                    checkpoint(self._connection)
        except sqlite3.Error:
            # Nothing is lost: what was committed stays in the WAL, and the next write tells what is wrong.
            self._disconnect()


def _try(connection: sqlite3.Connection, job: _Job) -> Any:
    """Jobs look before they write, so one that fails has nothing to be undone, as a rule."""
    before = connection.total_changes
    try:
        return job.work(connection)
    except Exception as error:
        if _is_of_the_file(error):
            raise
        if connection.total_changes != before:
            raise _Spoilt from error
        return _told(error)


def _try_apart(connection: sqlite3.Connection, job: _Job) -> Any:
    """The exception to that rule: the whole batch again, each job so that it can be undone."""
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except Exception as error:
        if _is_of_the_file(error):
            raise
        connection.execute("ROLLBACK TO job")
        result = _told(error)
    connection.execute("RELEASE job")
    return result


def _is_of_the_file(error: Exception) -> bool:
    return isinstance(error, FILE_ERRORS) and not isinstance(error, sqlite3.IntegrityError)


def _told(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.IntegrityError):
        return error
    told = JournalError(f"the journal holds such a row already: {error}")
    told.__cause__ = error
    return told


def _deliver(batch: Sequence[_Job], outcomes: Sequence[Any]) -> None:
    """Tell those who wait, each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Any]]] = {}
    for job, outcome in zip(batch, outcomes, strict=True):
        by_loop.setdefault(job.done.get_loop(), []).append((job, outcome))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:
            continue  # that loop is closed: nobody waits any more


def _settle(settled: Sequence[tuple[_Job, Any]]) -> None:
    for job, outcome in settled:
        if job.done.done():
            continue  # whoever waited was cancelled
        if isinstance(outcome, BaseException):
            job.done.set_exception(outcome)
        else:
            job.done.set_result(outcome)


_ATTEMPTS: Final = 5
_FORKED: Final = "this journal was in use before the process was forked; make a new one in the child"


class ReadThread:
    """Reads rows of a journal file. It opens the file anew when that was replaced, and after each failure."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._opened_on: tuple[int, int] | None = None
        self._process = 0
        self._guard = Lock()
        self.use = RLock()
        _threads.add(self)

    async def rows(self, query: str, values: Sequence[Any]) -> Rows:
        """The rows that a query finds. JournalError: the file cannot be read."""
        with self._guard:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="orderbridge-journal-read")
                self._process = os.getpid()
        if self._process != os.getpid():
            raise JournalError(_FORKED)
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, query, values)

    async def aclose(self) -> None:
        """Close the file, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._process == os.getpid():
            await asyncio.get_running_loop().run_in_executor(thread, self.disconnect)
            thread.shutdown(wait=False)

    def disconnect(self) -> None:
        """Close the file, from any thread; the next read opens it anew."""
        with self.use:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def _read(self, query: str, values: Sequence[Any]) -> Rows:
        with self.use:
            try:
                if self._connection is not None and self._file.mark()[:2] != self._opened_on:
                    self.disconnect()
                if self._connection is not None:
                    return self._connection.execute(query, values).fetchall()
                return self._read_anew(query, values)
            except Exception as error:
                self.disconnect()
                raise self._file.failure(error, "read") from error

    def _read_anew(self, query: str, values: Sequence[Any]) -> Rows:
        for _ in range(_ATTEMPTS):
            connection, sees_commits = self._file.open_to_read()
            if sees_commits:
                self._connection, self._opened_on = connection, self._file.mark()[:2]
                return connection.execute(query, values).fetchall()
            try:
                # Such a connection takes no lock: what it read stands if nobody came to write meanwhile.
                before = self._file.mark()
                rows = connection.execute(query, values).fetchall()
            finally:
                connection.close()
            if self._file.mark() == before and not self._file.has_wal():
                return rows
        raise JournalError(
            "the journal is being written to, and this user may not make the -shm file that reading needs"
        )


class SqliteEngine:
    """
    One journal file, with a thread that writes and one that reads.

    Args:
        forget: called when another process may have written.
    """

    # A lease is compared with the clock that it was given by: all who share the file share the machine.
    dialect: Final = Dialect(
        now="((julianday('now') - 2440587.5) * 86400.0)",
        in_order="rowid",
        in_body=lambda path, body="body": f"CASE WHEN json_valid({body}) THEN json_extract({body}, '$.{path}') END",
        names="group_concat(placement_id, ', ')",
        check="PRAGMA quick_check",
    )

    def __init__(self, path: str | Path, *, read_only: bool, busy_timeout: float, forget: Callable[[], object]) -> None:
        self.name = str(path)
        self._file = JournalFile(path, busy_timeout=busy_timeout)
        self._read_only = read_only
        self._reader = ReadThread(self._file)
        self._writer = WriteThread(self._file, forget=forget, failed=self._reader.disconnect)
        self._ready = read_only

    @property
    def has_gaps(self) -> bool:
        """True if something was lost once."""
        return self._file.has_gaps

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """See `Engine.write`."""
        if self._read_only:
            raise JournalError(f"{self.name} was opened for reading only")
        return await self._writer.run(work)

    async def rows(self, query: str, values: Sequence[Any]) -> Rows:
        """See `Engine.rows`."""
        if self._writer.is_closed:
            raise JournalError("the journal is closed")
        try:
            rows = await self._reader.rows(query, values)
        except JournalError:
            if self._ready:
                raise
            # The file may have to be made or brought forward; one that can be read need not be writable for that.
            await self._writer.run(lambda db: None)
            rows = await self._reader.rows(query, values)
        self._ready = True
        return rows

    @contextmanager
    def reading(self) -> Iterator[Callable[..., Iterator[Any]]]:
        """See `Engine.reading`."""
        file = self._file
        if not file.path.is_file():
            raise JournalError(f"there is no journal at {self.name}")
        try:
            db = file.connect("mode=ro")
        except Exception as error:
            raise file.failure(error, "read") from error

        def rows(query: str, values: Sequence[Any] = ()) -> Iterator[Any]:
            try:
                for row in db.execute(query, values):  # noqa: UP028 - nothing is asked of it once the file is closed
                    yield row
            except (*FILE_ERRORS, UnicodeEncodeError) as error:  # the latter of what is asked for
                raise file.failure(error, "read") from error

        with closing(db):
            list(rows("BEGIN"))
            yield rows

    async def aclose(self) -> None:
        """Write what is waiting, and close the file. A copy of the file alone is whole after that."""
        try:
            # First, as the last to close the file is the one that brings the WAL into it.
            await self._reader.aclose()
        finally:
            await self._writer.aclose()


class SqliteJournal(SqlJournal):
    """
    A journal in one file, in WAL mode with a full sync at each commit. Several processes may share the file.

    When it cannot be written, what was durable stays so, and once the cause is gone the same journal goes on.
    After a fork it is to be made anew in the child.

    Args:
        path: made, for its owner's eyes only, when it is not there. Its folder must be there, on a local disk.
        read_only: for looking on while a bot writes; every write is refused.
        busy_timeout: seconds for which a write waits for another process that writes.

    Raises, from every call:
        JournalError: the file cannot be written or read, is damaged, or is of a newer version; it says what to do.
    """

    @checked_call
    def __init__(self, path: str | Path, *, read_only: bool = False, busy_timeout: float = 5.0) -> None:
        self.path = Path(path)
        super().__init__(
            lambda forget: SqliteEngine(path, read_only=read_only, busy_timeout=busy_timeout, forget=forget)
        )

    def __repr__(self) -> str:
        return f"SqliteJournal({str(self.path)!r})"
