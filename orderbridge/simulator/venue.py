"""
The half that both simulated venues share: requests routed, answered or misbehaved upon, and counted; a server;
ground truth; and a lock around the whole of it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from random import Random
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from orderbridge.simulator.basics import SimClock
from orderbridge.simulator.engine.engine import MatchingEngine, NotEnough
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import AFTER, BEFORE, KINDS, Fault, spoil
from orderbridge.simulator.message import DROPPED, Request, Response
from orderbridge.simulator.page import Console
from orderbridge.simulator.settings import BitcainSettings, BitsoSettings

if TYPE_CHECKING:
    from orderbridge.gateway import OrderGateway
    from orderbridge.simulator.server import Server

LOOPBACK = "127.0.0.1"
FUNDS = Decimal(1_000_000_000)
LATE = 2.0


class SimRefusal(Exception):
    """The request is refused; each venue has its own words for it."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    The operation behind a verb on a path.

    Attributes:
        operation: its name, as fault rules spell it.
        handler: is given the call and gives what the answer is about.
        private: whether it must be known who asks.
        rest: whether ids may follow in the path.
        query, body: the models that these must fit, at a venue that checks them by models.
    """

    operation: str
    handler: Callable[["SimCall"], Any]
    private: bool = True
    rest: bool = False
    query: Any = None
    body: Any = None


# Endpoints by path and verb.
Routes = Mapping[str, Mapping[str, Endpoint]]


@dataclass(slots=True)
class SimCall:
    """
    One request on its way through a venue.

    Attributes:
        endpoint: what it asks for; None where `refusal` says what is wrong with its path or verb.
        rest: the ids in its path.
        account: whose request it is, once that was checked.
        query, body: as the endpoint's models read them.
        status: of a good answer.
    """

    request: Request
    now: datetime
    endpoint: Endpoint | None = None
    rest: Sequence[str] = ()
    refusal: SimRefusal | None = None
    fault: Fault | None = None
    account: str = ""
    query: Any = None
    body: Any = None
    status: int = 200
    parameters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = self.request.parameters()

    @property
    def operation(self) -> str:
        """The operation's name; empty where there is none."""
        return "" if self.endpoint is None else self.endpoint.operation

    def delay_sight(self, order: SimOrder) -> None:
        """Under the fault `late_visibility`, have the new order shown only later."""
        if self.fault is not None and self.fault.kind == "late_visibility":
            order.shown_from = self.now + timedelta(seconds=LATE if self.fault.seconds is None else self.fault.seconds)

    def fill_first(self, engine: MatchingEngine, *orders: SimOrder) -> None:
        """Under the fault `fill_first`, fill the orders just before they are acted upon."""
        if self.fault is not None and self.fault.kind == "fill_first":
            for order in orders:
                if order.active:
                    engine.fill(order)

    def disturbed(self, rows: list[dict[str, Any]], *, status: str = "status") -> list[dict[str, Any]]:
        """The rows as `duplicate_rows` or `unknown_word` leaves them; `status` is how that field is called."""
        if self.fault is not None and self.fault.kind == "duplicate_rows":
            return rows + rows[:1]
        if self.fault is not None and self.fault.kind == "unknown_word":
            return [{**row, status: self.fault.word} for row in rows]
        return rows


class RequestLog:
    """
    Counts and remembers the requests that a venue has seen; within bounds, since a simulation may run for weeks.

    Attributes:
        counts: how often each `METHOD /raw/path` came. Paths are cut after 1,000 characters, and past 200,000
            different ones new ones count together as `METHOD (other paths)`; the total stays right.
        times: (simulated time, `METHOD /raw/path`) of the last 100,000.
        recent: the last 1,000 whole, or as many of them as have 16 MB of bodies.
    """

    TIMES = 100_000
    RECENT = 1_000
    MOST_BYTES = 16 << 20
    MOST_NAMES = 200_000
    LONGEST_NAME = 1_000
    OTHERS = "(other paths)"

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.times: deque[tuple[float, str]] = deque(maxlen=self.TIMES)
        self.recent: deque[Request] = deque()
        self._bytes = 0

    def note(self, request: Request, at: float) -> None:
        """Take note of one request."""
        name = f"{request.method} {request.path}"[: self.LONGEST_NAME]
        known = name in self.counts or len(self.counts) < self.MOST_NAMES
        self.counts[name if known else f"{request.method} {self.OTHERS}"] += 1
        self.times.append((at, name))
        self.recent.append(request)
        self._bytes += len(request.body)
        while len(self.recent) > self.RECENT or self._bytes > self.MOST_BYTES:
            self._bytes -= len(self.recent.popleft().body)


class Venue(ABC):
    """
    One simulated exchange on one port. A venue's class adds its HTTP face: routes, admission and words.

    Attributes:
        name: as the venue is called.
        books: the names of its exchanges, which share nothing: one, or one for each mode.
        instruments, currencies, accounts: what there is on each of them from the start.
        aliases: other words for operations, which a fault rule may use.
        settings: every knob; may be changed at any time.
        engines: the exchanges themselves by the name of their book, for tests that go below HTTP.
    """

    name: ClassVar[str]
    books: ClassVar[Sequence[str]]
    instruments: ClassVar[Mapping[str, Instrument]]
    currencies: ClassVar[Iterable[str]]
    accounts: ClassVar[Sequence[str]]
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    _routes: Routes

    def __init__(
        self, settings: BitsoSettings | BitcainSettings, *, clock: SimClock, rng: Random, port: int, host: str
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.lock = RLock()
        self._ids = Random(rng.random())
        self.engines = {
            book: MatchingEngine(instruments=dict(self.instruments), clock=clock, rng=Random(rng.random()))
            for book in self.books
        }
        for engine in self.engines.values():
            for account, currency in product(self.accounts, self.currencies):
                engine.accounts.deposit(account, currency, FUNDS)
        self._rng = Random(rng.random())
        self._host = host
        self._port = port
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rules: list[Fault] = []
        self._log = RequestLog()
        self._console: Console | None = None

    @abstractmethod
    def _find(self, call: SimCall) -> None:
        """Tell the call its endpoint, or what is wrong with its path."""

    @abstractmethod
    def _admit(self, call: SimCall, endpoint: Endpoint) -> None:
        """Check who asks, how often, and what; raises a `SimRefusal`."""

    @abstractmethod
    def _answer(self, call: SimCall, found: Any) -> Response:
        """The answer with what the handler found."""

    @abstractmethod
    def _refused(self, call: SimCall, refusal: SimRefusal | NotEnough) -> Response:
        """The answer to a request that is refused."""

    @abstractmethod
    def _broken(self, fault: Fault) -> Response:
        """The venue's own error for `error_5xx`, `throttle`, `wrong_nonce` and `not_success`."""

    def show_page(self) -> None:
        """Show a page at `/` and take controls below `/_simulator/`; they are not counted as requests."""
        self._console = Console(self)

    def accepted(self, *, client_order_id: str | None = None, order_id: str | None = None) -> list[SimOrder]:
        """
        Ground truth: every order that was ever taken, book by book and account by account, oldest first; those
        of one id, if given.
        """
        with self.lock:
            return [
                order
                for engine in self.engines.values()
                for account in self.accounts
                for order in engine.ledger.of_account(account)
                if client_order_id in (None, order.client_order_id) and order_id in (None, order.order_id)
            ]

    def _hand_out(self, venue: str, own: Mapping[str, Any], settings: Mapping[str, Any]) -> "OrderGateway":
        """A gateway of this library's with the simulator's address and clock, no pacing; the caller's word wins."""
        from orderbridge.settings import build_gateway  # the only way from here to an adapter

        merged = {"clock": self.clock.time, "limits": None, **own, **settings}
        account = merged.pop("account", "default")
        return build_gateway(venue, account, merged)

    # Faults.

    def fault(self, kind: str, *, operation: str | None = None, **how: Any) -> Fault:
        """
        Add a rule; see `orderbridge.simulator.faults` for the kinds and for what `how` may say.

        Raises:
            ValueError: an unknown kind or operation.
        """
        if kind not in sorted(KINDS):
            raise ValueError(f"unknown fault {kind!r}; known: {', '.join(sorted(KINDS))}")
        aliases = self.aliases
        operations = {each.operation for verbs in self._routes.values() for each in verbs.values()}
        operation = aliases.get(operation or "", operation)
        if operation is not None and operation not in operations:
            known = ", ".join(sorted(operations | aliases.keys()))
            raise ValueError(f"unknown operation {operation!r}; known: {known}")
        rule = Fault(kind, operation, **how)
        with self.lock:
            self._rules.append(rule)
        return rule

    def clear_faults(self) -> None:
        """Behave again."""
        with self.lock:
            self._rules.clear()

    @property
    def faults(self) -> list[Fault]:
        """The rules in force, with how often each was asked and struck."""
        return list(self._rules)

    # Requests.

    def handle(self, request: Request) -> Response:
        """Answer one request, or misbehave. Safe to call from any thread."""
        with self.lock:
            if self._console is not None and self._console.wants(request):
                return self._console.answer(request)
            self._log.note(request, self.clock.time())
            call = SimCall(request, self.clock.now())
            self._find(call)
            call.fault = self._struck(call.operation)
            return self._act(call) if call.fault is None else self._misbehave(call, call.fault)

    def _struck(self, operation: str) -> Fault | None:
        """The first rule that hits the request. Every rule that matches counts it, hit or not."""
        matching = [rule for rule in self._rules if rule.counts(operation)]
        return next((rule for rule in matching if rule.strikes(self._rng)), None)

    def _misbehave(self, call: SimCall, fault: Fault) -> Response:
        if fault.kind == "drop":
            return Response(500, b"", delivery=DROPPED)
        if fault.kind in BEFORE:
            return self._broken(fault)
        response = self._act(call)
        if fault.kind in ("accept_then_5xx", "not_success"):
            return self._broken(fault)
        return spoil(response, fault) if fault.kind in AFTER else response

    def _act(self, call: SimCall) -> Response:
        try:
            if call.endpoint is None:
                raise call.refusal or SimRefusal
            for engine in self.engines.values():
                engine.set_liquidity(self.settings.liquidity)
                engine.tick()
            self._admit(call, call.endpoint)
            return self._answer(call, call.endpoint.handler(call))
        except (SimRefusal, NotEnough) as refusal:
            return self._refused(call, refusal)

    @property
    def requests(self) -> Counter[str]:
        """
        Counts of each `METHOD /raw/path` that was asked for, without its query; past 200,000 different ones new ones
        count together.
        """
        return self._log.counts

    @property
    def request_times(self) -> list[tuple[float, str]]:
        """(simulated time, `METHOD /raw/path`) of the last 100,000 requests."""
        return list(self._log.times)

    @property
    def last_requests(self) -> list[Request]:
        """The last 1,000 requests (or 16 MB of bodies) as they came, for checks on bytes."""
        return list(self._log.recent)

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
