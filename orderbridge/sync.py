"""The same calls without `await`, for programs that are not asynchronous: thin wrappers over one loop in a thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from decimal import Decimal
from functools import partial
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from orderbridge.bridge import OrderBridge
from orderbridge.errors import ConfigurationError, NotSupported
from orderbridge.gateway import Capabilities, OrderGateway
from orderbridge.model.cancelling import CancelReceipt
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import BridgeOrders, LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import OrderStatus

T = TypeVar("T")
_END: Final = object()


class _LoopThread:
    """An event loop in a daemon thread, started by the first call: a program that forgets to close still ends."""

    def __init__(self) -> None:
        self._portal: BlockingPortal | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.is_closed = False

    def call(self, step: Callable[[], Awaitable[T]]) -> T:
        """Await `step()` in the loop, and wait here for what comes of it."""
        return self.begin(step).result()

    def begin(self, step: Callable[[], Awaitable[T]]) -> Future[T]:
        """Begin to await `step()` in the loop; cancelling the future cancels that."""
        return self._running().start_task_soon(step)

    def pull(self, make: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """What an asynchronous iterator yields, one by one. What `make` raises, it raises here and now."""

        async def begin() -> AsyncIterator[T]:
            return make()

        items = self.call(begin)

        async def following() -> Any:
            return await anext(items, _END)

        def pulled() -> Iterator[T]:
            try:
                while (item := self.call(following)) is not _END:
                    yield item
            finally:
                close = getattr(items, "aclose", None)
                if close is not None and not self.is_closed:
                    self.call(close)

        return pulled()

    def _running(self) -> BlockingPortal:
        with self._lock:
            if self.is_closed:
                raise ConfigurationError("this bridge is closed; make a new one")
            if self._portal is None:
                started: Future[BlockingPortal] = Future()
                self._thread = threading.Thread(
                    target=anyio.run, args=(_serve, started), name="orderbridge-sync", daemon=True
                )
                self._thread.start()
                self._portal = started.result()
            return self._portal

    def close(self, last: Callable[[], Awaitable[object]]) -> None:
        """Await `last()`, stop the loop and wait for its thread. Again, it does nothing."""
        with self._lock:
            was_closed, self.is_closed = self.is_closed, True
            portal, thread = self._portal, self._thread
        if was_closed or portal is None or thread is None:
            return
        try:
            portal.call(last)
        finally:
            portal.call(portal.stop)
            thread.join()


async def _serve(started: Future[BlockingPortal]) -> None:
    async with BlockingPortal() as portal:
        started.set_result(portal)
        await portal.sleep_until_stopped()


class SyncGateway:
    """One gateway of a `SyncBridge`: the calls of `OrderGateway`, without `await`."""

    def __init__(self, gateway: OrderGateway, loop: _LoopThread) -> None:
        self._gateway = gateway
        self._loop = loop

    @property
    def name(self) -> str:
        """`venue`, or `venue/account`."""
        return self._gateway.name

    @property
    def venue(self) -> str:
        """The API spoken to."""
        return self._gateway.venue

    @property
    def account(self) -> str:
        """The label of the credentials."""
        return self._gateway.account

    @property
    def capabilities(self) -> Capabilities:
        """What this gateway can do."""
        return self._gateway.capabilities

    def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """As `OrderGateway.permit`; give it back with `permit.give_back()` if no submit gets it."""
        return self._loop.call(partial(self._gateway.permit, lane, timeout=timeout))

    def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """As `OrderGateway.submit`; `not_after` is by `time.monotonic()`, which the loop counts by."""
        more: dict[str, Any] = {"permit": permit, "not_after": not_after}
        return self._loop.call(partial(self._gateway.submit, request, timeout=timeout, **more))

    def retry_failed(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `BitcainGateway.retry_failed`. NotSupported: the venue has no such operation."""
        call = getattr(self._gateway, "retry_failed", None)
        if call is None:
            raise NotSupported(f"{self.name} has no retry_failed", gateway=self.name, operation="retry_failed")
        retried: Order = self._loop.call(partial(call, ref, timeout=timeout))
        return retried

    def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """As `OrderGateway.lookup`."""
        return self._loop.call(partial(self._gateway.lookup, *refs, timeout=timeout))

    def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `OrderGateway.get`."""
        return self._loop.call(partial(self._gateway.get, ref, timeout=timeout))

    def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """As `OrderGateway.open_orders`."""
        return self._loop.call(partial(self._gateway.open_orders, symbol=symbol, timeout=timeout))

    def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `OrderGateway.cancel`."""
        return self._loop.call(partial(self._gateway.cancel, ref, timeout=timeout))

    def edit(
        self,
        ref: RefLike,
        changes: OrderEdit,
        *,
        allow_replace: bool = False,
        expected_filled: Decimal | str | int | None = None,
        timeout: float | None = None,
    ) -> Order:
        """As `OrderGateway.edit`."""
        more: dict[str, Any] = {"allow_replace": allow_replace, "expected_filled": expected_filled}
        return self._loop.call(partial(self._gateway.edit, ref, changes, timeout=timeout, **more))

    def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """As `OrderGateway.cancel_all`."""
        return self._loop.call(partial(self._gateway.cancel_all, symbol=symbol, timeout=timeout))

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> Iterator[Order]:
        """As `OrderGateway.orders`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        return self._loop.pull(partial(self._gateway.orders, timeout=timeout, **given, **venue_filters))

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> Iterator[Fill]:
        """As `OrderGateway.fills`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol}
        return self._loop.pull(partial(self._gateway.fills, ref, timeout=timeout, **given))

    def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """As `OrderGateway.markets`."""
        return self._loop.call(partial(self._gateway.markets, refresh=refresh, timeout=timeout))

    def __repr__(self) -> str:
        return f"SyncGateway({self._gateway!r})"


class SyncBridge:
    """
    An `OrderBridge` without `await`, over one event loop in a thread of its own.

    It may be used under a running loop, which it blocks meanwhile, and from several threads. Close it, or use
    `with`.

    Args:
        bridge_or_gateways: one bridge, or the gateways to make one of; none of them used before.

    Raises:
        ConfigurationError: nothing given, or two gateways of one name.
    """

    def __init__(self, *bridge_or_gateways: OrderBridge | OrderGateway) -> None:
        first = bridge_or_gateways[0] if bridge_or_gateways else None
        if isinstance(first, OrderBridge):
            if len(bridge_or_gateways) > 1:
                raise ConfigurationError("give one bridge, or gateways, and not both")
            self._bridge = first
        else:
            self._bridge = OrderBridge(*(each for each in bridge_or_gateways if not isinstance(each, OrderBridge)))
        self._loop = _LoopThread()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the gateways."""
        return self._bridge.names

    def __getitem__(self, name: str) -> SyncGateway:
        return SyncGateway(self._bridge[name], self._loop)

    def __contains__(self, name: object) -> bool:
        return name in self._bridge

    def lookup(
        self, *refs: RefLike, gateways: Sequence[str] | None = None, timeout: float | None = 10.0
    ) -> LookupResult:
        """As `OrderBridge.lookup`."""
        return self._loop.call(partial(self._bridge.lookup, *refs, gateways=gateways, timeout=timeout))

    def get(self, ref: RefLike, *, timeout: float | None = 10.0) -> Order:
        """As `OrderBridge.get`."""
        return self._loop.call(partial(self._bridge.get, ref, timeout=timeout))

    def open_orders(
        self,
        symbol: str | None = None,
        *,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> BridgeOrders:
        """As `OrderBridge.open_orders`."""
        return self._loop.call(partial(self._bridge.open_orders, symbol=symbol, gateways=gateways, timeout=timeout))

    def cancel(self, ref: RefLike, *, wait: Literal["ack", "done"] = "ack", timeout: float | None = 15.0) -> Order:
        """As `OrderBridge.cancel`."""
        return self._loop.call(partial(self._bridge.cancel, ref, wait=wait, timeout=timeout))

    def edit(
        self,
        ref: RefLike,
        changes: OrderEdit,
        *,
        allow_replace: bool = False,
        expected_filled: Decimal | str | int | None = None,
        timeout: float | None = 15.0,
    ) -> Order:
        """As `OrderBridge.edit`."""
        more: dict[str, Any] = {"allow_replace": allow_replace, "expected_filled": expected_filled}
        return self._loop.call(partial(self._bridge.edit, ref, changes, timeout=timeout, **more))

    def cancel_all(
        self,
        *,
        scope: Literal["account"],
        gateway: str | None = None,
        symbol: str | None = None,
        timeout: float | None = 20.0,
    ) -> CancelReceipt:
        """As `OrderBridge.cancel_all`."""
        more: dict[str, Any] = {"gateway": gateway, "symbol": symbol}
        return self._loop.call(partial(self._bridge.cancel_all, scope=scope, timeout=timeout, **more))

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> Iterator[Order]:
        """As `OrderBridge.orders`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        return self._loop.pull(partial(self._bridge.orders, gateways=gateways, timeout=timeout, **given))

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> Iterator[Fill]:
        """As `OrderBridge.fills`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol}
        return self._loop.pull(partial(self._bridge.fills, ref, gateways=gateways, timeout=timeout, **given))

    def market(self, gateway: str, symbol: str, *, timeout: float | None = 10.0) -> Market:
        """As `OrderBridge.market`."""
        return self._loop.call(partial(self._bridge.market, gateway, symbol, timeout=timeout))

    def close(self) -> None:
        """Close every gateway and stop the loop. The bridge cannot be used again."""
        self._loop.close(self._bridge.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SyncBridge({self._bridge!r})"
