"""SyncBridge: many gateways as one, without `await`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypedDict, Unpack

from orderbridge.bridge import OrderBridge
from orderbridge.errors import ConfigurationError
from orderbridge.gateway import OrderGateway
from orderbridge.model.alarm import Alarm
from orderbridge.model.cancelling import CancelReceipt
from orderbridge.model.lookup import BridgeOrders, LookupResult
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit
from orderbridge.placement.journal import Journal
from orderbridge.placement.policy import Ghost, Stale, Uncertain
from orderbridge.sync.gateway import SyncGateway
from orderbridge.sync.history import SyncHistoryCalls
from orderbridge.sync.loop import LoopThread
from orderbridge.sync.placement import SyncPlacementCalls


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


class SyncBridge(SyncPlacementCalls, SyncHistoryCalls):
    """
    An `OrderBridge` without `await`, over one event loop in a thread of its own.

    It may be used under a running loop, which it blocks meanwhile, and from several threads. Close it, or use
    `with`, which also starts the recovery of what the journal holds. An interrupt, such as Ctrl-C, ends the call
    that is waited for as cancelling a task does.

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
        self._loop = LoopThread()

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

    def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = 15.0) -> Order:
        """As `OrderBridge.edit`."""
        return self._loop.call(partial(self._bridge.edit, ref, changes, timeout=timeout))

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

    def market(self, gateway: str, symbol: str, *, timeout: float | None = 10.0) -> Market:
        """As `OrderBridge.market`."""
        return self._loop.call(partial(self._bridge.market, gateway, symbol, timeout=timeout))

    def close(self) -> None:
        """
        Wait for what is being sent, close every gateway and the journal, and stop the loop: nothing can follow.

        A call of another thread that still waits then, as `resolve` may, raises `ConfigurationError`.
        """
        self._loop.close(self._bridge.aclose)

    def __enter__(self) -> Self:
        self._loop.call(self._bridge.__aenter__)  # starts the recovery
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SyncBridge({self._bridge!r})"
