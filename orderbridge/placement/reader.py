"""One thread that reads, beside the one that writes: in WAL mode neither waits for the other."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, Final

from orderbridge.errors import JournalError
from orderbridge.placement.file import JournalFile

_ATTEMPTS: Final = 5
Rows = list[tuple[Any, ...]]


class Reader:
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
