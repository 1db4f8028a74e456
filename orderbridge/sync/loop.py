"""An event loop in a thread of its own, and calls into it from other threads."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, Final, TypeVar

from orderbridge.errors import ConfigurationError
from orderbridge.http.transport import after_fork

T = TypeVar("T")
_END: Final = object()


class SyncListing(Iterator[T]):
    """
    What a listing yields, one by one.

    Attributes:
        left_out: the gateways that cannot list it, and why, by their names; what is theirs is missing here.
    """

    def __init__(self, items: Generator[T], left_out: Mapping[str, str]) -> None:
        self._items = items
        self.left_out = dict(left_out)

    def __next__(self) -> T:
        return next(self._items)

    def close(self) -> None:
        """End it before its end."""
        self._items.close()


class LoopThread:
    """An event loop in a daemon thread, started by the first call: a program that forgets to close still ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = asyncio.Event()
        # Of the first call. A forked child has the parent's loop, and not the thread that would answer there.
        self._process = 0
        self.is_closed = False

    def call(self, step: Callable[[], Awaitable[T]]) -> T:
        """
        Await `step()` in the loop, and wait here for what comes of it.

        An interrupt (Ctrl-C) that ends the waiting cancels the awaiting, as `asyncio.run` would.

        Raises:
            ConfigurationError: it is closed, or was closed meanwhile; or this is the loop's own thread, which
                would wait for itself; or the process was forked after the first call.
        """
        return self._result(self._begun(step))

    def pull(self, make: Callable[[], AsyncIterator[T]]) -> SyncListing[T]:
        """What an asynchronous iterator yields, one by one. What `make` raises, it raises here and now."""
        turn = asyncio.Lock()  # an interrupted step may still be unwinding when the iterator is closed

        async def begin() -> AsyncIterator[T]:
            return make()

        items = self.call(begin)

        async def following() -> Any:
            async with turn:
                return await anext(items, _END)

        async def closing() -> None:
            close = getattr(items, "aclose", None)
            if close is not None:
                async with turn:
                    await close()

        def pulled() -> Generator[T]:
            try:
                while (item := self.call(following)) is not _END:
                    yield item
            finally:
                if not self.is_closed and not self._is_the_parents:
                    self.call(closing)

        return SyncListing(pulled(), getattr(items, "left_out", {}))

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """
        Await `last()`, cancel what still runs in the loop, and end its thread.

        Again, and in a child that was forked meanwhile, it does nothing: there is nothing to close then.
        """
        if self._is_the_parents:
            self.is_closed = True
            return
        self._check_thread()
        with self._lock:
            was_closed, self.is_closed = self.is_closed, True
            loop, thread = self._loop, self._thread
        if was_closed or loop is None or thread is None:
            return
        try:
            self._result(asyncio.run_coroutine_threadsafe(_awaited(last), loop))
        finally:
            loop.call_soon_threadsafe(self._stopped.set)
            thread.join()

    @property
    def _is_the_parents(self) -> bool:
        return self._process not in {0, os.getpid()}

    def _begun(self, step: Callable[[], Awaitable[T]]) -> Future[T]:
        if self._is_the_parents:
            raise ConfigurationError(after_fork("this bridge"))
        self._process = os.getpid()
        self._check_thread()
        with self._lock:  # until it is handed over: a loop that is stopped meanwhile would never begin it
            if self.is_closed:
                raise ConfigurationError("this bridge is closed; make a new one")
            if self._loop is None:
                self._loop = self._started()
            return asyncio.run_coroutine_threadsafe(_awaited(step), self._loop)

    def _started(self) -> asyncio.AbstractEventLoop:
        started: Future[asyncio.AbstractEventLoop] = Future()

        async def serve() -> None:
            started.set_result(asyncio.get_running_loop())
            await self._stopped.wait()

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), name="orderbridge-sync", daemon=True)
        self._thread.start()
        return started.result()

    def _result(self, future: Future[T]) -> T:
        try:
            return future.result()
        except CancelledError as error:
            if not self.is_closed:
                raise
            raise ConfigurationError(
                "this bridge was closed while the call was under way; if it was to change something, look it up"
            ) from error
        except BaseException:
            future.cancel()  # without effect on one that is done, as it is unless we were interrupted
            raise

    def _check_thread(self) -> None:
        if self._thread is not None and threading.current_thread() is self._thread:
            raise ConfigurationError("this is the loop's own thread, as in on_alarm: the call would wait for itself")


async def _awaited(step: Callable[[], Awaitable[T]]) -> T:
    return await step()
