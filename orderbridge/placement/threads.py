"""
The two threads of a journal file: one writes, one reads, and in WAL mode neither waits for the other.

Jobs that wait to be written are committed together, so that many placings share one disk sync.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Final, NamedTuple, TypeVar

from orderbridge.errors import JournalError
from orderbridge.placement.sqlite import FILE_ERRORS, JournalFile, checkpoint, log

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


class WriteThread:
    """
    Runs jobs on one connection in one thread. A job that fails is undone by itself, and spoils no neighbour.

    It may be used from several event loops. The thread begins, and the file is opened, with the first job; after a
    failed write the next one opens the file anew.

    Args:
        forget: called in the thread when what a job has seen of the file, or written, may not be so any more.
        failed: called in the thread before the file is opened anew, as it may not be the one that was open.
    """

    def __init__(self, target: JournalFile, *, forget: Callable[[], object], failed: Callable[[], object]) -> None:
        self._target = target
        self._forget = forget
        self._failed = failed
        self._connection: sqlite3.Connection | None = None
        self._batches: SimpleQueue[list[_Job] | None] = SimpleQueue()
        # What each loop hands over at the end of its present turn.
        self._waiting: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        self._guard = Lock()
        self._thread: Thread | None = None
        self._process = 0
        self._closed = False
        self._since_checkpoint = 0

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is written."""
        return self._closed

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
            self._closed = True
            thread, self._thread = self._thread, None
            if thread is None or self._is_of_another_process():
                return
            self._batches.put(None)
        await loop.run_in_executor(None, thread.join)

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
        if self._closed:
            return "the journal is closed"
        if self._thread is None:
            self._process = os.getpid()
            self._thread = Thread(target=self._serve, name="orderbridge-journal", daemon=True)
            self._thread.start()
        elif self._is_of_another_process():
            # SQLite forbids to use, or even to close, a connection on the other side of a fork.
            return "this journal was in use before the process was forked; make a new one in the child"
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

    def _first(self) -> list[_Job] | None:
        """What is to be written next, whenever that comes; None at the end."""
        if self._since_checkpoint:
            try:
                return self._batches.get(timeout=IDLE)
            except Empty:
                self._checkpoint()
        return self._batches.get()

    def _release(self) -> None:
        try:
            if self._connection is not None:
                with self._target.turn():
                    self._target.release(self._connection)
        except Exception as error:  # noqa: BLE001 - whatever failed, the thread gives back what it holds
            log.warning("%s", self._target.failure(error, "brought into one file"))
        self._disconnect()
        self._target.close_mark()

    def _commit(self, batch: Sequence[_Job]) -> list[Any]:
        """What came of each job. All fail together when the transaction does."""
        try:
            with self._target.turn():
                connection = self._opened()
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
            return [self._target.failure(error, "written") for _ in batch]

    def _transact(self, connection: sqlite3.Connection, batch: Sequence[_Job], attempt: _Attempt) -> list[Any]:
        connection.execute("BEGIN IMMEDIATE")
        self._target.check_in_place()
        if self._target.others_wrote(connection):
            self._forget()
        before = connection.total_changes
        outcomes = [attempt(connection, job) for job in batch]
        if has_changed := connection.total_changes != before:
            self._target.count(connection)
        connection.execute("COMMIT")
        if has_changed:
            self._target.promise(connection)
        return outcomes

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._target.open_to_write()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _checkpoint(self) -> None:
        self._since_checkpoint = 0
        try:
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
Rows = list[tuple[Any, ...]]


class ReadThread:
    """Reads rows of a journal file. It opens the file anew when that was replaced, and after each failure."""

    def __init__(self, file: JournalFile) -> None:
        self._file = file
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._opened_on: tuple[int, int] | None = None
        self._process = 0
        self._guard = Lock()
        self._use = Lock()

    async def rows(self, query: str, values: tuple[Any, ...]) -> Rows:
        """What a query finds. JournalError: the file cannot be read."""
        with self._guard:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="orderbridge-journal-read")
                self._process = os.getpid()
        if self._process != os.getpid():
            raise JournalError("this journal was in use before the process was forked; make a new one in the child")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read_alone, query, values)

    async def aclose(self) -> None:
        """Close the file, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None and self._process == os.getpid():
            await asyncio.get_running_loop().run_in_executor(thread, self.disconnect)
            thread.shutdown(wait=False)

    def disconnect(self) -> None:
        """Close the file, from any thread; the next read opens it anew."""
        with self._use:
            self._disconnect()

    def _read_alone(self, query: str, values: tuple[Any, ...]) -> Rows:
        with self._use:
            return self._read(query, values)

    def _read(self, query: str, values: tuple[Any, ...]) -> Rows:
        try:
            if self._connection is not None and self._file.mark()[:2] != self._opened_on:
                self._disconnect()
            if self._connection is not None:
                return self._connection.execute(query, values).fetchall()
            return self._read_anew(query, values)
        except Exception as error:
            self._disconnect()
            raise self._file.failure(error, "read") from error

    def _read_anew(self, query: str, values: tuple[Any, ...]) -> Rows:
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

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
