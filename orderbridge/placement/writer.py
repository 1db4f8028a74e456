"""One thread that writes: jobs that wait are committed together, so that many placings share one disk sync."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, NamedTuple, TypeVar

from orderbridge.errors import JournalError

T = TypeVar("T")
MOST_TOGETHER: Final = 500


class _Job(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    done: Future[Any]


class Writer:
    """
    Runs jobs on one connection in one thread. A job that fails is undone by itself, and spoils no neighbour.

    Args:
        connect: called in the thread, before the first job, and again after a failure to connect.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._closed = False

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
        if self._closed:
            raise JournalError("the journal is closed")
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="orderbridge-journal", daemon=True)
            self._thread.start()
        job: _Job = _Job(work, Future())
        self._jobs.put(job)
        result: T = await asyncio.wrap_future(job.done)
        return result

    async def aclose(self) -> None:
        """Write what is waiting, and end the thread."""
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._thread = None

    def _serve(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, more = [first], True
            while more and len(batch) < MOST_TOGETHER:
                try:
                    job = self._jobs.get_nowait()
                except Empty:
                    break
                more = job is not None
                if job is not None:
                    batch.append(job)
            self._commit(batch)
            if not more:
                break
        if self._connection is not None:
            self._connection.close()

    def _commit(self, batch: list[_Job]) -> None:
        outcomes: list[Any] = []
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            outcomes = [_try(connection, job) for job in batch]
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._roll_back()
            failure = JournalError(f"the journal cannot be written: {error}")
            failure.__cause__ = error
            outcomes = [failure] * len(batch)
        except JournalError as error:
            outcomes = [error] * len(batch)
        for job, outcome in zip(batch, outcomes, strict=True):
            if not job.done.set_running_or_notify_cancel():
                continue
            if isinstance(outcome, BaseException):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection

    def _roll_back(self) -> None:
        # The connection is made anew: after a failed write its state is not to be relied upon.
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _try(connection: sqlite3.Connection, job: _Job) -> Any:
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - handed to whoever waits for this job
        connection.execute("ROLLBACK TO job")
        result = error
    connection.execute("RELEASE job")
    return result
