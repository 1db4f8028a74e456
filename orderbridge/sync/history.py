"""The calls of a `SyncBridge` that list orders and fills over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from orderbridge.bridge import OrderBridge
from orderbridge.model.fill import Fill
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.words import OrderStatus
from orderbridge.sync.loop import LoopThread, SyncListing


class SyncHistoryCalls:
    """Orders and fills over time. Mixed into `SyncBridge`."""

    _bridge: OrderBridge
    _loop: LoopThread

    def orders(
        self,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> SyncListing[Order]:
        """As `OrderBridge.orders`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        return self._loop.pull(partial(self._bridge.orders, gateways=gateways, strict=strict, timeout=timeout, **given))

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> SyncListing[Fill]:
        """As `OrderBridge.fills`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "gateways": gateways}
        return self._loop.pull(partial(self._bridge.fills, ref, strict=strict, timeout=timeout, **given))
