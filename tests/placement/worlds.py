"""A world for the model of placing: a loop of simulated time, an exchange that knows the truth, and mortal lives."""

import asyncio
import inspect
import selectors
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from typing import Any

from orderbridge import Capabilities, Fill, Found, LookupResult, Order, OrderList, OrderRequest, OrderStatus, Permit
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    NotSent,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.gateway import ClientIdRule, UnsupportedCalls
from orderbridge.model.results import BadRow

EPOCH = 1_767_225_600.0
VENUE = "fake"
# Within so many seconds an order that left arrives at the exchange and is shown; the horizon lies behind both.
LATEST_ARRIVAL, LATEST_SHOWING = 4.0, 4.0
HORIZON = 10.0
WINDOW = 60.0
READ_TAKES = 0.01


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    A loop that does not wait: when nothing is left to do but sleep, its time moves on at once.

    Attributes:
        outside: calls that are under way in threads; while there are any, it waits for them as any loop does.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.outside = 0
        super().__init__(_Impatient(self))

    def time(self) -> float:
        """Seconds of the simulated time."""
        return self.now

    def wall(self) -> float:
        """The same as epoch seconds."""
        return EPOCH + self.now


class _Impatient(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self._loop.outside:
            return super().select(5.0)
        if timeout is None:
            raise RuntimeError("nothing will ever happen any more")
        self._loop.now += max(timeout, 0.0)
        return ready


@dataclass
class Life:
    """
    One process: what it has at hand stops for ever when it dies.

    Attributes:
        left: dies after so many more calls to the journal or the venue, halfway through.
        frozen_until: loop time; until then it does nothing, and knows nothing of it.
    """

    left: int | None = None
    frozen_until: float = 0.0
    is_dead: bool = False
    is_buried: bool = False
    waits: list[asyncio.Future[None]] = field(default_factory=list)

    async def live(self) -> None:
        """Go on, or never."""
        if self.left is not None:
            self.left -= 1
            self.is_dead = self.is_dead or self.left <= 0
        loop = asyncio.get_running_loop()
        if loop.time() < self.frozen_until and not self.is_dead:
            await asyncio.sleep(self.frozen_until - loop.time())
        if self.is_buried:
            raise asyncio.CancelledError
        if self.is_dead:
            # Held, so that what waits for it is buried with the life, and not collected before.
            self.waits.append(loop.create_future())
            await self.waits[-1]


class Mortal:
    """Anything whose async calls end, before or after they were made, with the life that makes them."""

    def __init__(self, inner: Any, life: Life, *, outside: VirtualLoop | None = None) -> None:
        self.inner = inner
        self._life = life
        self._outside = outside

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        return self._mortal(value) if inspect.iscoroutinefunction(value) else value

    async def __aenter__(self) -> "Mortal":
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to close."""

    def _mortal(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def lived(*args: Any, **how: Any) -> Any:
            await self._life.live()
            if self._outside is not None:
                self._outside.outside += 1
            try:
                result = await call(*args, **how)
            finally:
                if self._outside is not None:
                    self._outside.outside -= 1
            await self._life.live()
            return result

        return lived


@dataclass
class Truth:
    """An order as the exchange has it."""

    order_id: str
    request: OrderRequest
    created: float
    shown_from: float
    filled: Decimal = Decimal(0)
    ended: float | None = None

    @property
    def client_order_id(self) -> str | None:
        """The id that it came with."""
        return self.request.client_order_id

    @property
    def is_live(self) -> bool:
        """Whether it may still trade."""
        return self.ended is None

    @property
    def matters(self) -> bool:
        """Whether money is at stake."""
        return self.is_live or self.filled > 0


@dataclass
class Exchange:
    """
    The truth, and how the exchange behaves.

    Attributes:
        idempotency: what it does with an id that comes again.
        faults: what happens to the next orders, first come first served; then nothing.
        flaky: the chance that a read goes wrong.
        window: seconds for which it shows an order that has ended. `lag`: seconds until it shows a trade.
    """

    loop: VirtualLoop
    idempotency: str
    rng: Random
    orders: list[Truth] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    flaky: float = 0.0
    window: float = WINDOW
    lag: float = 0.0
    liar: set[str | None] = field(default_factory=set)

    def take(self, request: OrderRequest, *, hidden: float = 0.0) -> Truth:
        """Accept an order, or refuse it as a duplicate."""
        known = [each for each in self.orders if each.client_order_id == request.client_order_id]
        barred = {"forever": known, "while_active": [each for each in known if each.is_live]}
        if request.client_order_id is not None and barred.get(self.idempotency):
            raise DuplicateClientOrderId("it exists", client_order_id=request.client_order_id)
        now = self.loop.time()
        order = Truth(f"o{len(self.orders) + 1}", request, created=now, shown_from=now + hidden)
        self.orders.append(order)
        if request.time_in_force == "ioc":
            self.fill(order)
        return order

    def take_later(self, request: OrderRequest, after: float) -> None:
        """An order that is still on its way."""

        def arrive() -> None:
            try:
                self.take(request)
            except DuplicateClientOrderId:
                return  # refused, and nobody hears of it

        self.loop.call_later(after, arrive)

    def fill(self, order: Truth) -> None:
        """It trades whole."""
        if order.is_live:
            order.filled, order.ended = order.request.quantity or Decimal(1), self.loop.time()

    def cancel(self, order: Truth) -> None:
        """It ends as it is."""
        if order.is_live:
            order.ended = self.loop.time()

    def shown(self) -> list[Truth]:
        """Those that lists show: not too new, and not over for too long."""
        now = self.loop.time()
        return [
            order
            for order in self.orders
            if order.shown_from <= now and (order.ended is None or now - order.ended < self.window)
        ]

    def has_traded(self, order: Truth) -> bool:
        """Whether its trades are shown."""
        now = self.loop.time()
        return order.filled > 0 and order.ended is not None and max(order.ended + self.lag, order.shown_from) <= now

    def as_order(self, truth: Truth) -> Order:
        """How the exchange shows an order; one that it forgot is rebuilt from its trades."""
        request, now = truth.request, datetime.fromtimestamp(self.loop.wall(), UTC)
        is_forgotten = truth not in self.shown()
        ended = "filled" if truth.filled else "cancelled"
        return Order(
            venue=VENUE,
            order_id=truth.order_id,
            client_order_id=None if self.idempotency == "none" else truth.client_order_id,
            symbol=request.symbol,
            side=request.side,
            type="unknown" if is_forgotten else "limit",
            status="open" if truth.is_live else ended,
            quantity=None if is_forgotten else request.quantity,
            filled_quantity=truth.filled,
            price=None if is_forgotten else request.price,
            created_at=datetime.fromtimestamp(EPOCH + truth.created, UTC),
            observed_at=now,
        )


class FakeGateway(UnsupportedCalls):
    """The exchange's API. Each life has its own."""

    name = venue = VENUE
    account = "default"
    settle_time = HORIZON

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        has_ids = exchange.idempotency != "none"
        self.capabilities = Capabilities(
            order_types=["limit"],
            times_in_force=["gtc", "ioc"],
            client_order_id=ClientIdRule(alphabet="a-z0-9-", max_length=40) if has_ids else None,
            idempotency=exchange.idempotency,
            lookup_batch=10,
            history=True,
            fills=True,
        )

    async def permit(self, lane: Any = "place", *, timeout: float | None = None) -> Permit:
        return Permit(gateway=VENUE, lane=lane, granted_at=0.0)

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        exchange, loop = self._exchange, self._exchange.loop
        if not_after is not None and loop.time() > not_after:
            raise NotSent("too late")
        fault = exchange.faults.pop(0) if exchange.faults else "none"
        match fault:
            case "not_sent":
                raise NotSent("no route")
            case "credentials":
                raise AuthenticationFailed("wrong key")
            case "rejected":
                raise OrderRejected("no")
            case "dropped":
                raise OutcomeUnknown("lost")
            case "lie":
                exchange.liar.add(request.client_order_id)
                raise DuplicateClientOrderId("it exists", client_order_id=request.client_order_id)
            case "on_its_way":
                exchange.take_later(request, exchange.rng.uniform(0.0, LATEST_ARRIVAL))
                raise OutcomeUnknown("no answer")
            case "odd":
                exchange.take(request)
                raise RuntimeError("an adapter's own mistake")
        # Late orders, or late trades: an order that is late and then fills unseen may be late twice over.
        is_hidden = fault in ("hidden", "hidden_and_lost") and not exchange.lag
        hidden = exchange.rng.uniform(0.0, LATEST_SHOWING) if is_hidden else 0.0
        order = exchange.take(request, hidden=hidden)
        if fault in ("lost", "hidden_and_lost"):
            raise OutcomeUnknown("lost")
        await asyncio.sleep(exchange.rng.uniform(1.0, 9.0) if fault == "slow" else READ_TAKES)
        shown = exchange.as_order(order)
        return shown.model_copy(update={"client_order_id": request.client_order_id, "status": OrderStatus.ACCEPTED})

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        await asyncio.sleep(READ_TAKES)
        exchange, found = self._exchange, []
        for ref in refs:
            mine = [each for each in exchange.orders if self._answers(each, ref)]
            orders = tuple(map(exchange.as_order, mine))
            word = "found" if orders else "not_seen"
            if not orders and self._goes_wrong():
                word = exchange.rng.choice(["failed", "timed_out", "partly_searched", "cannot_ask"])
            found.append(Found(orders=orders, answers={VENUE: word}))
        self._break()
        return LookupResult(refs=refs, found=tuple(found))

    def _answers(self, order: Truth, ref: Any) -> bool:
        if not (order in self._exchange.shown() or self._exchange.has_traded(order)):
            return False
        if ref.order_id is not None:
            return bool(order.order_id == ref.order_id)
        return ref.client_order_id is not None and order.client_order_id == ref.client_order_id

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        await asyncio.sleep(READ_TAKES)
        self._break()
        exchange = self._exchange
        live = tuple(exchange.as_order(order) for order in exchange.shown() if order.is_live)
        bad = (BadRow(gateway=VENUE, position=0, reason="no id"),) if self._goes_wrong() else ()
        as_of = datetime.fromtimestamp(exchange.loop.wall(), UTC)
        return OrderList(orders=live, as_of=as_of, bad_rows=bad)

    async def fills(self, ref: Any = None, **how: Any) -> AsyncIterator[Fill]:  # type: ignore[override]
        await asyncio.sleep(READ_TAKES)
        self._break()
        for order in self._exchange.orders:
            if self._exchange.has_traded(order) and self._answers(order, ref):
                yield Fill(
                    venue=VENUE,
                    fill_id=f"f{order.order_id}",
                    order_id=order.order_id,
                    symbol=order.request.symbol,
                    side=order.request.side,
                    quantity=order.filled,
                    price=order.request.price,
                    quote_quantity=1,
                )

    async def orders(self, **how: Any) -> AsyncIterator[Order]:  # type: ignore[override]
        await asyncio.sleep(READ_TAKES)
        self._break()
        for order in self._exchange.shown():
            yield self._exchange.as_order(order)

    async def cancel(self, ref: Any, *, timeout: float | None = None) -> Order:
        await asyncio.sleep(READ_TAKES)
        self._break()
        for order in self._exchange.shown():
            if order.is_live and self._answers(order, ref):
                self._exchange.cancel(order)
                return self._exchange.as_order(order)
        raise OrderNotFound("no such order")

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _goes_wrong(self) -> bool:
        return self._exchange.rng.random() < self._exchange.flaky

    def _break(self) -> None:
        if self._goes_wrong():
            errors = (VenueUnavailable("down"), UnexpectedResponse("the page is full"), RuntimeError("a mistake"))
            raise self._exchange.rng.choice(errors)
