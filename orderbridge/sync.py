"""
The same calls without `await`, for programs that are not asynchronous, over one event loop in a thread.

Nothing is written a second time: each call is named here, and has the arguments, defaults, types and docstring of its
original. What is different: an iterator is an iterator, `close` closes, and `not_after` is by `time.monotonic()`, which
the loop counts by.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, Concatenate, Final, ParamSpec, Self, TypedDict, TypeVar, Unpack

from orderbridge.bound import BoundGateway, GatewayFacts
from orderbridge.bridge import OrderBridge
from orderbridge.errors import ConfigurationError, OutcomeUnknown
from orderbridge.gateway import OrderGateway
from orderbridge.http.transport import after_fork
from orderbridge.model.placement import Alarm
from orderbridge.placement.journal import Journal
from orderbridge.placement.resolve import Ghost, Stale, Uncertain

T = TypeVar("T")
P = ParamSpec("P")
_END: Final = object()
_LOOK: Final = "if it was to change something, look it up"
_STOOD_STILL: Final = f"this call's event loop stood still while another was called; {_LOOK}"
_CLOSED: Final = f"this bridge was closed while the call was under way; {_LOOK}"


class SyncListing(Iterator[T]):
    """
    A listing without `await`: what it yields, one by one.

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


class _Handover:
    """
    A step in the loop's thread, and whether its caller, in another thread, got what came of it.

    Attributes:
        thread: whose loop does it. loop: that, once it was handed over. error: what it raised. undo: what is called
            if the caller is gone.
        is_paused: the caller is taken for gone as its own loop runs no more, and may go on with that after all.
    """

    def __init__(self, thread: LoopThread) -> None:
        self.thread = thread
        self.loop: asyncio.AbstractEventLoop | None = None
        self.error: Exception | None = None
        self.is_lost = self.is_paused = False
        self.undo: list[Callable[[], object]] = []
        self._task: asyncio.Task[Any] | None = None

    async def of(self, step: Callable[[], Awaitable[T]]) -> T:
        _handover.set(self)
        self._task = asyncio.current_task()
        try:
            if self.is_lost:
                raise asyncio.CancelledError
            return await step()
        except asyncio.CancelledError as error:
            if not self.is_paused:
                raise
            self.error = OutcomeUnknown(_STOOD_STILL)
            raise self.error from error
        except Exception as error:
            self.error = error
            raise

    def leave(self, why: BaseException | None = None) -> None:
        """In the caller's thread: it goes, and not by the step's own error. The outcome may be there already."""
        if self.loop is not None and (why is None or why is not self.error):
            with suppress(RuntimeError):  # the loop was closed, and its tasks ended with it
                self.loop.call_soon_threadsafe(self.lose)

    def lose(self) -> None:
        """In the loop's thread: the caller is gone. What was not begun is not, and what is under way is cancelled."""
        if not self.is_lost:
            self.is_lost = True
            for undo in self.undo:
                undo()
            if self._task is not None:
                self._task.cancel()


class _Outcome(asyncio.Future[T]):
    """What a call is awaited by; a cancel is told at once, as a bot may call again in the same step."""

    def __init__(self, handover: _Handover) -> None:
        super().__init__()
        self._handover = handover

    def cancel(self, msg: Any = None) -> bool:
        self._handover.leave()
        return super().cancel(msg)


_handover: Final[ContextVar[_Handover]] = ContextVar("_handover")


def unless_received(undo: Callable[[], object]) -> None:
    """Have `undo` called in the loop's thread if the caller of the step under way never gets what comes of it."""
    handover = _handover.get(None)
    if handover is not None and handover.is_lost:
        undo()
    elif handover is not None:
        handover.undo.append(undo)


def cut_off() -> str | None:
    """In a step that is cancelled, why, if nobody cancelled its caller: where that goes on, it has to be told."""
    handover = _handover.get(None)
    if handover is not None and handover.is_paused:
        return _STOOD_STILL
    return _CLOSED if handover is not None and handover.thread.is_closed and not handover.is_lost else None


class LoopThread:
    """An event loop in a daemon thread, started by the first call: a program that forgets to close still ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = asyncio.Event()
        # Of the first call. A forked child has the parent's loop, and not the thread that would answer there.
        self._process = 0
        # Of the calls that are awaited in other loops, by those.
        self._awaited: dict[asyncio.AbstractEventLoop, set[_Handover]] = {}
        self.is_closed = False

    def call(self, step: Callable[[], Awaitable[T]]) -> T:
        """
        Await `step()` in the loop, and wait here for what comes of it.

        An interrupt (Ctrl-C) that ends the waiting cancels the awaiting, as `asyncio.run` would.

        Raises:
            ConfigurationError: it is closed, or was closed meanwhile; or this is the loop's own thread, which
                would wait for itself; or the process was forked after the first call.
        """
        handover, done = _Handover(self), Future[T]()
        try:
            self._begin(step, handover, lambda put, *what: getattr(done, put)(*what))
            return done.result()
        except BaseException as error:  # a KeyboardInterrupt, or what a signal's handler of the program raises
            handover.leave(error)
            raise

    def pull(self, make: Callable[[], AsyncIterator[T]]) -> SyncListing[T]:
        """An asynchronous iterator without `await`. What `make` raises, it raises here and now."""
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
            self._leave_the_stopped(loop)
        try:
            asyncio.run_coroutine_threadsafe(_Handover(self).of(last), loop).result()
        finally:
            loop.call_soon_threadsafe(self._stopped.set)
            thread.join()

    @property
    def _is_the_parents(self) -> bool:
        return self._process not in {0, os.getpid()}

    def begin(self, step: Callable[[], Awaitable[object]]) -> None:
        """Have `step()` awaited in the loop, whatever comes of it. ConfigurationError: as `call`."""
        self._begin(step, _Handover(self), lambda *outcome: None)

    def _begin(self, step: Callable[[], Awaitable[object]], handover: _Handover, tell: Callable[..., object]) -> None:
        async def work() -> None:
            try:
                tell("set_result", await handover.of(step))
            except asyncio.CancelledError:
                if self.is_closed:
                    tell("set_exception", ConfigurationError(_CLOSED))
                else:
                    tell("cancel")
            except BaseException as error:  # noqa: BLE001 - whatever it is: the caller would wait for ever
                tell("set_exception", error)

        with self._open() as loop:
            handover.loop = loop
            loop.call_soon_threadsafe(lambda: loop.create_task(work()))

    async def awaited(self, step: Callable[[], Awaitable[T]]) -> T:
        """
        `call`, out of another loop, which goes on meanwhile. A caller that is cancelled cancels the awaiting; so does
        one whose loop has stopped, or was closed, when the next call is made: OutcomeUnknown, should it run again.

        A future that has locks beside one that has none would do it at three times the price.
        """
        here, handover = asyncio.get_running_loop(), _Handover(self)
        done: asyncio.Future[T] = _Outcome(handover)

        def tell(put: str, *what: object) -> None:
            try:
                here.call_soon_threadsafe(lambda: done.done() or getattr(done, put)(*what))
            except RuntimeError:  # the loop of the caller was closed
                handover.lose()

        calls = self._awaited.setdefault(here, set())
        calls.add(handover)
        try:
            self._begin(step, handover, tell)
            outcome = await done
            if handover not in calls:  # it counts as not given, and may be given to another call
                raise OutcomeUnknown(_STOOD_STILL)
            calls.remove(handover)
            return outcome
        except BaseException as error:  # a cancel, an interrupt, or that the caller was dropped with its loop
            calls.discard(handover)
            handover.leave(error)
            raise

    def _leave_the_stopped(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody takes up what comes of a call whose own loop runs no more: a bot that repeats it is in another."""
        for each in [each for each in list(self._awaited) if not each.is_running()]:
            calls = self._awaited.pop(each)
            while calls:
                call = calls.pop()
                call.is_paused = True
                loop.call_soon_threadsafe(call.lose)

    @contextmanager
    def _open(self) -> Iterator[asyncio.AbstractEventLoop]:
        """The loop, while it is not stopped. ConfigurationError: as `call`."""
        if self._is_the_parents:
            raise ConfigurationError(after_fork("this bridge"))
        self._process = os.getpid()
        self._check_thread()
        with self._lock:  # until it is handed over: a loop that is stopped meanwhile would never begin it
            if self.is_closed:
                raise ConfigurationError("this bridge is closed; make a new one")
            if self._loop is None:
                self._loop = self._started()
            self._leave_the_stopped(self._loop)
            yield self._loop

    def _started(self) -> asyncio.AbstractEventLoop:
        started: Future[asyncio.AbstractEventLoop] = Future()

        async def serve() -> None:
            started.set_result(asyncio.get_running_loop())
            await self._stopped.wait()

        def run() -> None:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(serve())

        self._thread = threading.Thread(target=run, name="orderbridge-sync", daemon=True)
        self._thread.start()
        return started.result()

    @property
    def is_current(self) -> bool:
        """True in the loop's own thread."""
        return self._thread is not None and threading.current_thread() is self._thread

    def _check_thread(self) -> None:
        if self.is_current:
            raise ConfigurationError("this is the loop's own thread, as in on_alarm: the call would wait for itself")


def _new_loop() -> asyncio.AbstractEventLoop:
    async def leave(timeout: float | None = None) -> None:
        """The threads of its pool end when it is closed."""

    loop = asyncio.new_event_loop()
    # It would wait for them in one more thread, and none can be begun any more while Python 3.12 ends.
    loop.shutdown_default_executor = leave  # type: ignore[method-assign]
    return loop


class BridgeSettings(TypedDict, total=False):
    """The keyword arguments of `OrderBridge`."""

    journal: Journal | None
    on_uncertain: Uncertain
    on_stale: Stale
    on_ghost: Ghost
    watch_for: float
    on_alarm: Callable[[Alarm], object] | None
    settle_horizon: float
    probe_times: Sequence[float]
    clock: Callable[[], float]
    ids: Callable[..., str]


class _Blocking:
    """The base of the twins: calls in the loop's thread."""

    _loop: LoopThread

    def __init__(self, twin: Any, loop: LoopThread) -> None:
        self._twin = twin
        self._loop = loop


def _waits(original: Callable[Concatenate[Any, P], Awaitable[T]]) -> Callable[Concatenate[Any, P], T]:
    """A call that waits for what its original gives."""

    @wraps(original)
    def call(self: _Blocking, /, *args: P.args, **more: P.kwargs) -> T:
        # By its name: a bridge of a class derived from ours has calls of its own.
        result: T = self._loop.call(partial(getattr(self._twin, original.__name__), *args, **more))
        return result

    return call


def _pulls(
    original: Callable[Concatenate[Any, P], AsyncIterator[T]],
) -> Callable[Concatenate[Any, P], SyncListing[T]]:
    """A call that gives, one by one, what its original yields."""

    @wraps(original)
    def call(self: _Blocking, /, *args: P.args, **more: P.kwargs) -> SyncListing[T]:
        return self._loop.pull(partial(getattr(self._twin, original.__name__), *args, **more))

    signature = inspect.signature(original)
    _, _, items = str(signature.return_annotation).partition("[")
    call.__dict__["__signature__"] = signature.replace(return_annotation=f"SyncListing[{items}")
    return call


class SyncGateway(_Blocking, GatewayFacts):
    """
    `bridge["bitso"]` of a `SyncBridge`: the calls of `BoundGateway`, without `await`.

    A permit that no `submit` gets is given back with `permit.give_back()`.
    """

    def __init__(self, gateway: BoundGateway, loop: LoopThread) -> None:
        super().__init__(gateway, loop)
        self.gateway = gateway

    prepare = _waits(BoundGateway.prepare)
    place = _waits(BoundGateway.place)
    place_many = _waits(BoundGateway.place_many)
    placement = _waits(BoundGateway.placement)
    permit = _waits(BoundGateway.permit)
    submit = _waits(BoundGateway.submit)
    lookup = _waits(BoundGateway.lookup)
    get = _waits(BoundGateway.get)
    open_orders = _waits(BoundGateway.open_orders)
    cancel = _waits(BoundGateway.cancel)
    edit = _waits(BoundGateway.edit)
    cancel_all = _waits(BoundGateway.cancel_all)
    retry_failed = _waits(BoundGateway.retry_failed)
    markets = _waits(BoundGateway.markets)
    orders = _pulls(BoundGateway.orders)
    fills = _pulls(BoundGateway.fills)

    def __repr__(self) -> str:
        return f"SyncGateway({self.gateway!r})"


class SyncBridge(_Blocking):
    """
    An `OrderBridge` without `await`, over one event loop in a thread of its own.

    It may be used under a running loop, which it blocks meanwhile, and from several threads. Close it, or use
    `with`, which also starts the recovery of what the journal holds. An interrupt, such as Ctrl-C, ends the call
    that is waited for as cancelling a task does. In a `place` it loses nothing: where no attempt had begun none is
    made, and one that had goes on in the loop's thread; `close` waits for its outcome, which is written down.

    Args:
        bridge_or_gateways: one bridge, or the gateways to make one of; none of them used before.
        settings: those of `OrderBridge`, when gateways are given. `on_alarm` is called in the loop's thread: it
            must be quick, and call nothing of this bridge; hand the alarm to a thread of yours, in a queue.

    Raises:
        ConfigurationError: nothing given, two gateways of one name, or a bridge with anything beside it.
    """

    def __init__(self, *bridge_or_gateways: OrderBridge | OrderGateway, **settings: Unpack[BridgeSettings]) -> None:
        gateways = [each for each in bridge_or_gateways if not isinstance(each, OrderBridge)]
        bridges = [each for each in bridge_or_gateways if isinstance(each, OrderBridge)]
        if bridges and (gateways or len(bridges) > 1):
            raise ConfigurationError("give one bridge, or gateways, and not both")
        if bridges and settings:
            raise ConfigurationError(f"a bridge has its settings already; leave out {', '.join(settings)}")
        self._bridge = bridges[0] if bridges else OrderBridge(*gateways, **settings)
        super().__init__(self._bridge, LoopThread())

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the gateways."""
        return self._bridge.names

    def __getitem__(self, name: str) -> SyncGateway:
        return SyncGateway(self._bridge[name], self._loop)

    def __contains__(self, name: object) -> bool:
        return name in self._bridge

    lookup = _waits(OrderBridge.lookup)
    get = _waits(OrderBridge.get)
    open_orders = _waits(OrderBridge.open_orders)
    cancel = _waits(OrderBridge.cancel)
    edit = _waits(OrderBridge.edit)
    cancel_all = _waits(OrderBridge.cancel_all)
    market = _waits(OrderBridge.market)
    orders = _pulls(OrderBridge.orders)
    fills = _pulls(OrderBridge.fills)
    prepare = _waits(OrderBridge.prepare)
    place = _waits(OrderBridge.place)
    submit_at = _waits(OrderBridge.submit_at)
    place_many = _waits(OrderBridge.place_many)
    resolve = _waits(OrderBridge.resolve)
    placement = _waits(OrderBridge.placement)
    placements = _waits(OrderBridge.placements)
    recover = _waits(OrderBridge.recover)
    observe = _waits(OrderBridge.observe)
    explain = _waits(OrderBridge.explain)

    def close(self) -> None:
        """
        Wait for what is being sent, close every gateway and the journal, and stop the loop: nothing can follow.

        A call of another thread that still waits then, as `resolve` may, raises `ConfigurationError`.
        """
        self._loop.close(self._bridge.aclose)

    def __enter__(self) -> Self:
        self._loop.call(self._bridge.__aenter__)  # starts the recovery
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SyncBridge({self._bridge!r})"
