"""What both simulated venues share: a server, a fault plan, counters and a lock around the whole of it."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from random import Random
from threading import RLock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.faults import AFTER, BEFORE, Fault, FaultPlan, spoil
from orderbridge.simulator.message import DROPPED, Request, Response
from orderbridge.simulator.page import Console
from orderbridge.simulator.seen import Seen

if TYPE_CHECKING:
    from orderbridge.simulator.server import Server

R = TypeVar("R")
LOOPBACK = "127.0.0.1"


class App(Protocol[R]):
    """A venue's HTTP face: finds the route of a request and answers it."""

    operations: frozenset[str]
    aliases: Mapping[str, str]

    def route(self, request: Request) -> R:
        """Where the request goes; never fails."""

    def operation(self, route: R) -> str:
        """The operation's name, as fault rules spell it."""

    def answer(self, request: Request, route: R, fault: Fault | None) -> Response:
        """Act upon the request. Faults of the kind `INSIDE` are the app's affair."""

    def broken(self, fault: Fault) -> Response:
        """The venue's own error for `error_5xx`, `throttle`, `wrong_nonce` and `not_success`."""


class Venue(Generic[R]):
    """One simulated exchange on one port."""

    def __init__(self, app: App[R], *, clock: SimClock, rng: Random, port: int, host: str = LOOPBACK) -> None:
        self._app = app
        self._clock = clock
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._plan = FaultPlan(rng)
        self._console: Console | None = None
        self.lock = RLock()
        self._seen = Seen()

    def show_page(self, console: Console) -> None:
        """Have the console answer for `/` and its controls; they are not counted as requests."""
        self._console = console

    # Faults.

    def fault(self, kind: str, *, operation: str | None = None, **how: Any) -> Fault:
        """
        Add a rule; see `orderbridge.simulator.faults` for the kinds and for what `how` may say.

        Raises:
            ValueError: an unknown kind or operation.
        """
        operation = self._app.aliases.get(operation or "", operation)
        if operation is not None and operation not in self._app.operations:
            known = ", ".join(sorted(self._app.operations | self._app.aliases.keys()))
            raise ValueError(f"unknown operation {operation!r}; known: {known}")
        rule = Fault(kind, operation, **how)
        with self.lock:
            self._plan.rules.append(rule)
        return rule

    def clear_faults(self) -> None:
        """Behave again."""
        with self.lock:
            self._plan.rules.clear()

    @property
    def faults(self) -> list[Fault]:
        """The rules in force, with how often each was asked and struck."""
        return list(self._plan.rules)

    # Requests.

    def handle(self, request: Request) -> Response:
        """Answer one request, or misbehave. Safe to call from any thread."""
        with self.lock:
            if self._console is not None and self._console.wants(request):
                return self._console.answer(request)
            return self._ask_app(request)

    def _ask_app(self, request: Request) -> Response:
        self._seen.note(request, self._clock.time())
        route = self._app.route(request)
        fault = self._plan.pick(self._app.operation(route)) if self._plan.rules else None
        return self._app.answer(request, route, None) if fault is None else self._misbehave(fault, request, route)

    @property
    def requests(self) -> Counter[str]:
        """
        How often each `METHOD /raw/path` was asked for, without its query; past 200,000 different ones new ones
        count together.
        """
        return self._seen.counts

    @property
    def request_times(self) -> list[tuple[float, str]]:
        """(simulated time, `METHOD /raw/path`) of the last 100,000 requests."""
        return list(self._seen.times)

    @property
    def last_requests(self) -> list[Request]:
        """The last 1,000 requests (or 16 MB of bodies) as they came, for checks on bytes."""
        return list(self._seen.recent)

    def _misbehave(self, fault: Fault, request: Request, route: R) -> Response:
        if fault.kind == "drop":
            return Response(500, b"", delivery=DROPPED)
        if fault.kind in BEFORE:
            return self._app.broken(fault)
        response = self._app.answer(request, route, fault)
        if fault.kind in ("accept_then_5xx", "not_success"):
            return self._app.broken(fault)
        return spoil(response, fault) if fault.kind in AFTER else response

    # Being up or down.

    @property
    def origin(self) -> str:
        """`http://host:port` of the running server."""
        if not self._port:
            raise RuntimeError("the simulator is not running yet: use `async with Simulator() as sim` or start()")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen; after a `stop`, on the same port again."""
        await self._on_own_loop(self._start())

    async def stop(self) -> None:
        """Go down: every connection is closed and the port refuses. Orders stay."""
        await self._on_own_loop(self._stop())

    async def _start(self) -> None:
        try:
            from orderbridge.simulator.server import Server  # loaded on use: needs the `simulator` extra
        except ImportError as e:
            raise ImportError(f"the simulator needs its extra: pip install 'orderbridge[simulator]' ({e})") from e
        if self._server is None:
            self._loop = asyncio.get_running_loop()
            server = Server(self.handle, host=self._host, port=self._port)
            await server.start()
            self._server, self._port = server, server.port

    async def _stop(self) -> None:
        if self._server is not None:
            server, self._server, self._loop = self._server, None, None
            await server.stop()

    async def _on_own_loop(self, step: Any) -> None:
        """Under `with Simulator()` the servers live in another thread's loop; sockets belong to that one."""
        if self._loop is None or self._loop.is_closed() or self._loop is asyncio.get_running_loop():
            await step
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step, self._loop))
