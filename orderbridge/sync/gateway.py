"""One gateway of a `SyncBridge`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from orderbridge.bound import BoundGateway
from orderbridge.gateway import Capabilities
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import OrderStatus
from orderbridge.sync.loop import LoopThread


class SyncGateway:
    """`bridge["bitso"]` of a `SyncBridge`: the calls of `BoundGateway`, without `await`."""

    def __init__(self, gateway: BoundGateway, loop: LoopThread) -> None:
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

    def prepare(self, request: OrderRequest, *, key: str | None = None) -> Placement:
        """As `OrderBridge.prepare`."""
        return self._loop.call(partial(self._gateway.prepare, request, key=key))

    def place(
        self,
        request: OrderRequest | Placement,
        *,
        key: str | None = None,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Order:
        """As `SyncBridge.place`."""
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return self._loop.call(partial(self._gateway.place, request, key=key, **more))

    def place_many(
        self,
        requests: Mapping[str, OrderRequest],
        *,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Mapping[str, Placement]:
        """As `OrderBridge.place_many`."""
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return self._loop.call(partial(self._gateway.place_many, requests, **more))

    def placement(self, *, key: str) -> Placement | None:
        """As `OrderBridge.placement`."""
        return self._loop.call(partial(self._gateway.placement, key=key))

    def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """As `BoundGateway.permit`; give it back with `permit.give_back()` if no submit gets it."""
        return self._loop.call(partial(self._gateway.permit, lane, timeout=timeout))

    def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """As `BoundGateway.submit`; `not_after` is by `time.monotonic()`, which the loop counts by."""
        more: dict[str, Any] = {"permit": permit, "not_after": not_after}
        return self._loop.call(partial(self._gateway.submit, request, timeout=timeout, **more))

    def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """As `BoundGateway.lookup`."""
        return self._loop.call(partial(self._gateway.lookup, *refs, timeout=timeout))

    def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `BoundGateway.get`."""
        return self._loop.call(partial(self._gateway.get, ref, timeout=timeout))

    def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """As `BoundGateway.open_orders`."""
        return self._loop.call(partial(self._gateway.open_orders, symbol=symbol, timeout=timeout))

    def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `BoundGateway.cancel`."""
        return self._loop.call(partial(self._gateway.cancel, ref, timeout=timeout))

    def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """As `BoundGateway.edit`."""
        return self._loop.call(partial(self._gateway.edit, ref, changes, timeout=timeout))

    def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """As `BoundGateway.cancel_all`."""
        return self._loop.call(partial(self._gateway.cancel_all, symbol=symbol, timeout=timeout))

    def retry_failed(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `BoundGateway.retry_failed`."""
        return self._loop.call(partial(self._gateway.retry_failed, ref, timeout=timeout))

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
        """As `BoundGateway.orders`."""
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
        """As `BoundGateway.fills`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol}
        return self._loop.pull(partial(self._gateway.fills, ref, timeout=timeout, **given))

    def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """As `BoundGateway.markets`."""
        return self._loop.call(partial(self._gateway.markets, refresh=refresh, timeout=timeout))

    def __repr__(self) -> str:
        return f"SyncGateway({self._gateway!r})"
