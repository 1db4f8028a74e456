"""The calls of a `SyncBridge` that list orders and fills over time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from orderbridge.bridge import OrderBridge
from orderbridge.model.fill import Fill
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.words import OrderStatus
from orderbridge.sync.loop import LoopThread


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
