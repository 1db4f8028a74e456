"""The calls of a `SyncBridge` that place orders, and follow up what became of placing them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from orderbridge.bridge import OrderBridge
from orderbridge.model.order import Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderRequest
from orderbridge.model.words import PlacementState
from orderbridge.placement.recovery import RecoveryReport
from orderbridge.sync.loop import LoopThread


class SyncPlacementCalls:
    """Placing at most once. Mixed into `SyncBridge`."""

    _bridge: OrderBridge
    _loop: LoopThread

    def prepare(self, gateway: str, request: OrderRequest, *, key: str | None = None) -> Placement:
        """As `OrderBridge.prepare`."""
        return self._loop.call(partial(self._bridge.prepare, gateway, request, key=key))

    def place(
        self,
        gateway: str,
        request: OrderRequest | Placement,
        *,
        key: str | None = None,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Order:
        """
        As `OrderBridge.place`.

        Ctrl-C loses nothing: where no attempt had begun none is made, and one that had goes on in the loop's
        thread; `close` waits for its outcome, which is written down.
        """
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return self._loop.call(partial(self._bridge.place, gateway, request, key=key, **more))

    def submit_at(
        self,
        gateway: str,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """As `OrderBridge.submit_at`; `not_after` is by `time.monotonic()`, which the loop counts by."""
        more: dict[str, Any] = {"permit": permit, "not_after": not_after}
        return self._loop.call(partial(self._bridge.submit_at, gateway, request, timeout=timeout, **more))

    def place_many(
        self,
        gateway: str,
        requests: Mapping[str, OrderRequest],
        *,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Mapping[str, Placement]:
        """As `OrderBridge.place_many`."""
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return self._loop.call(partial(self._bridge.place_many, gateway, requests, **more))

    def resolve(self, placement: Placement, *, timeout: float | None = None) -> Placement:
        """As `OrderBridge.resolve`."""
        return self._loop.call(partial(self._bridge.resolve, placement, timeout=timeout))

    def placement(self, *, key: str, gateway: str | None = None) -> Placement | None:
        """As `OrderBridge.placement`."""
        return self._loop.call(partial(self._bridge.placement, key=key, gateway=gateway))

    def placements(self, *, state: PlacementState | str | None = None) -> list[Placement]:
        """As `OrderBridge.placements`."""
        return self._loop.call(partial(self._bridge.placements, state=state))

    def recover(self) -> RecoveryReport:
        """As `OrderBridge.recover`; `with` starts it by itself when the bridge has a journal."""
        return self._loop.call(self._bridge.recover)

    def observe(self, order: Order) -> Order:
        """As `OrderBridge.observe`."""
        return self._loop.call(partial(self._bridge.observe, order))

    def explain(self, ref: RefLike) -> str:
        """As `OrderBridge.explain`."""
        return self._loop.call(partial(self._bridge.explain, ref))
