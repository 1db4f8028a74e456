"""The calls of a bridge that list what has been: orders by their time, and fills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from orderbridge.bound import BoundGateway
from orderbridge.errors import NotSupported
from orderbridge.gateway import OrderGateway
from orderbridge.http.policy import Deadline
from orderbridge.model.fill import Fill
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.words import OrderStatus
from orderbridge.placement.seen import ending
from orderbridge.search import parse_refs


class _Bridge(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> BoundGateway: ...
    def _check_usable(self) -> None: ...
    def _asked(self, names: Sequence[str] | None) -> list[str]: ...
    async def _place_of(self, ref: RefLike, deadline: Deadline, operation: str) -> tuple[BoundGateway, RefLike]: ...
    def _able(self, call: str, gateways: Sequence[str] | None, can: Callable[[OrderGateway], bool]) -> list[str]: ...
    def _fills_of(
        self,
        ref: RefLike,
        since: datetime | None,
        until: datetime | None,
        symbol: str | None,
        timeout: float | None,
    ) -> AsyncIterator[Fill]: ...


class HistoryCalls:
    """Orders and fills over time. Mixed into `OrderBridge`."""

    def orders(
        self: _Bridge,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> AsyncIterator[Order]:
        """
        The orders created in a time, gateway by gateway; `timeout` is per page.

        Args:
            gateways: by default those that have a history; named ones must have it.

        Raises:
            NotSupported: at once, where no gateway asked can tell. While iterating: the first error of a
                gateway, after every other gateway's orders were given.
        """
        names = self._able("orders", gateways, lambda gateway: gateway.capabilities.history)
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        calls = [self[name].orders(timeout=timeout, **given) for name in names]
        return _one_after_another(calls)

    def fills(
        self: _Bridge,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        timeout: float | None = 10.0,
    ) -> AsyncIterator[Fill]:
        """
        The executions of one order, or of the accounts gateway by gateway; `timeout` is per page.

        Args:
            ref: one that names no gateway is looked up first, on all of them.
            gateways: by default those that can list fills; named ones must be able to.

        Raises:
            NotSupported: at once, where no gateway asked can tell. While iterating: as `orders` does.
        """
        if ref is not None:
            self._check_usable()
            parse_refs([ref], gateways=self.names, operation="fills")
            return self._fills_of(ref, since, until, symbol, timeout)
        names = self._able("fills", gateways, lambda gateway: gateway.capabilities.fills)
        calls = [self[name].fills(since=since, until=until, symbol=symbol, timeout=timeout) for name in names]
        return _one_after_another(calls)

    async def _fills_of(
        self: _Bridge,
        ref: RefLike,
        since: datetime | None,
        until: datetime | None,
        symbol: str | None,
        timeout: float | None,
    ) -> AsyncIterator[Fill]:
        gateway, known = await self._place_of(ref, Deadline(timeout), "fills")
        listed = gateway.fills(known, since=since, until=until, symbol=symbol, timeout=timeout)
        async with ending(listed) as fills:
            async for fill in fills:
                yield fill

    def _able(
        self: _Bridge, call: str, gateways: Sequence[str] | None, can: Callable[[OrderGateway], bool]
    ) -> list[str]:
        self._check_usable()
        asked = self._asked(gateways)
        able = [name for name in asked if can(self[name])]
        unable = [name for name in asked if name not in able]
        if not able or (gateways is not None and unable):
            raise NotSupported(f"{', '.join(unable)} cannot list {call}", operation=call)
        return able


async def _one_after_another(calls: Sequence[AsyncIterator[Any]]) -> AsyncIterator[Any]:
    failed: Exception | None = None
    for call in calls:
        try:
            async with ending(call) as items:
                async for item in items:
                    yield item
        except Exception as error:  # noqa: BLE001 - whatever one adapter raises hides no other gateway
            failed = failed or error
    if failed is not None:
        raise failed
