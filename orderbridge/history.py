"""The calls of a bridge that list what has been: orders by their time, and fills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from orderbridge.bound import BoundGateway
from orderbridge.errors import NotSupported
from orderbridge.gateway import OrderGateway, checked_call, failure_of
from orderbridge.http.policy import Deadline
from orderbridge.model.fill import Fill
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike
from orderbridge.model.words import OrderStatus
from orderbridge.placement.seen import ending
from orderbridge.search import parse_refs

T = TypeVar("T")


class Listing(AsyncIterator[T]):
    """
    What several gateways list, one after another.

    Attributes:
        left_out: the gateways that cannot list it, and why, by their names; what is theirs is missing here.
    """

    def __init__(self, items: AsyncIterator[T], left_out: Mapping[str, str]) -> None:
        self._items = items
        self.left_out = dict(left_out)

    async def __anext__(self) -> T:
        return await anext(self._items)

    async def aclose(self) -> None:
        """End it before its end."""
        async with ending(self._items):
            pass


class _Bridge(Protocol):
    @property
    def names(self) -> tuple[str, ...]: ...
    def __getitem__(self, name: str) -> BoundGateway: ...
    def _check_usable(self, **times: float | None) -> None: ...
    def _asked(self, names: Sequence[str] | None) -> list[str]: ...
    async def _place_of(self, ref: RefLike, deadline: Deadline, operation: str) -> tuple[BoundGateway, RefLike]: ...
    def _listed(
        self,
        call: str,
        gateways: Sequence[str] | None,
        can: Callable[[OrderGateway], bool],
        make: Callable[[BoundGateway], AsyncIterator[T]],
        *,
        strict: bool,
    ) -> Listing[T]: ...
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

    @checked_call
    def orders(
        self: _Bridge,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> Listing[Order]:
        """
        The orders created in a time, gateway by gateway; `timeout` is per page.

        Args:
            gateways: by default those that have a history; named ones must have it.
            strict: refuse the call where a gateway would be left out; else the iterator's `left_out` names it.

        Raises:
            NotSupported: at once, where no gateway asked can tell, or one that is named or by `strict` must. While
                iterating: the first error of a gateway, after every other gateway's orders were given.
        """
        self._check_usable(timeout=timeout)
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        return self._listed(
            "orders",
            gateways,
            lambda gateway: gateway.capabilities.history,
            lambda gateway: gateway.orders(timeout=timeout, **given),
            strict=strict,
        )

    @checked_call
    def fills(
        self: _Bridge,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        gateways: Sequence[str] | None = None,
        strict: bool = False,
        timeout: float | None = 10.0,
    ) -> Listing[Fill]:
        """
        The executions of one order, or of the accounts gateway by gateway; `timeout` is per page.

        Args:
            ref: one that names no gateway is looked up first, on all of them.
            gateways: by default those that can list fills; named ones must be able to. None is made of what an
                order says it has filled: that is a sum, and no execution.
            strict: as of `orders`.

        Raises:
            NotSupported: at once, as of `orders`. While iterating: as `orders` does.
        """
        self._check_usable(timeout=timeout)
        if ref is not None:
            parse_refs([ref], gateways=self.names, operation="fills")
            return Listing(self._fills_of(ref, since, until, symbol, timeout), {})
        return self._listed(
            "fills",
            gateways,
            lambda gateway: gateway.capabilities.fills,
            lambda gateway: gateway.fills(since=since, until=until, symbol=symbol, timeout=timeout),
            strict=strict,
        )

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

    def _listed(
        self: _Bridge,
        call: str,
        gateways: Sequence[str] | None,
        can: Callable[[OrderGateway], bool],
        make: Callable[[BoundGateway], AsyncIterator[T]],
        *,
        strict: bool,
    ) -> Listing[T]:
        self._check_usable()
        left_out: dict[str, str] = {}
        calls: list[AsyncIterator[T]] = []
        for name in self._asked(gateways):
            gateway = self[name]
            if not can(gateway):
                hint = gateway.instead.get(call)
                left_out[name] = f"{name} cannot list {call}" + (f"; {hint}" if hint else "")
                continue
            try:
                calls.append(make(gateway))
            except NotSupported as error:  # not so, as with this symbol or at this exchange without one
                left_out[name] = failure_of(error).message
        if not calls or (left_out and (strict or gateways is not None)):
            raise NotSupported("; ".join(left_out.values()), operation=call)
        return Listing(_one_after_another(calls), left_out)


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
