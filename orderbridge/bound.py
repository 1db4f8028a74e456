"""One gateway of a bridge: its own calls, each written down in the bridge's journal, and the bridge's acts."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar, overload

from orderbridge.errors import AmbiguousRef, OrderNotActive, OutcomeUnknown
from orderbridge.gateway import OrderGateway, checked_call
from orderbridge.http.policy import Deadline
from orderbridge.model.advance import Sign
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane, Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import OrderStatus
from orderbridge.placement.placing import Placing

if TYPE_CHECKING:
    from orderbridge.bridge import OrderBridge

T = TypeVar("T")
# What reading the journal may take before a call to the venue.
_TELLING_SECONDS: Final = 1.0


class _Holder(Protocol):
    @property
    def gateway(self) -> OrderGateway: ...


class Fact(Generic[T]):
    """What the gateway says of itself under this name."""

    def __init__(self, of: Callable[[OrderGateway], T]) -> None:
        self._of = of

    def __set_name__(self, owner: type, name: str) -> None:
        self.__doc__ = inspect.getdoc(inspect.getattr_static(OrderGateway, name))

    @overload
    def __get__(self, holder: None, owner: type) -> Self: ...
    @overload
    def __get__(self, holder: _Holder, owner: type) -> T: ...
    def __get__(self, holder: _Holder | None, owner: type) -> T | Self:
        return self if holder is None else self._of(holder.gateway)


class BoundGateway:
    """
    `bridge["bitso"]`: an `OrderGateway` whose every call is journalled, with `place` and its kin bound to it.

    What an adapter has of its own (`gateway` is the adapter itself) is reached through it too.
    """

    def __init__(self, bridge: OrderBridge, gateway: OrderGateway, placing: Placing) -> None:
        self.gateway = gateway
        self._bridge = bridge
        self._placing = placing

    name = Fact(lambda gateway: gateway.name)
    venue = Fact(lambda gateway: gateway.venue)
    account = Fact(lambda gateway: gateway.account)
    capabilities = Fact(lambda gateway: gateway.capabilities)
    address = Fact(lambda gateway: gateway.address)
    mode = Fact(lambda gateway: gateway.mode)
    address_tells_mode = Fact(lambda gateway: gateway.address_tells_mode)
    longest_attempt = Fact(lambda gateway: gateway.longest_attempt)
    settle_time = Fact(lambda gateway: gateway.settle_time)
    unreadable = Fact(lambda gateway: gateway.unreadable)
    instead = Fact(lambda gateway: gateway.instead)
    known_symbols = Fact(lambda gateway: gateway.known_symbols)

    @checked_call
    def remember(self, orders: Collection[Order]) -> bool:
        """As `OrderGateway.remember`."""
        return self.gateway.remember(orders)

    @checked_call
    def nonces_of(self, key: str) -> Callable[[], int] | None:
        """As `OrderGateway.nonces_of`."""
        return self.gateway.nonces_of(key)

    @checked_call
    async def prepare(self, request: OrderRequest, *, key: str | None = None) -> Placement:
        """As `OrderBridge.prepare`."""
        return await self._bridge.prepare(self.name, request, key=key)

    @checked_call
    async def place(
        self,
        request: OrderRequest | Placement,
        *,
        key: str | None = None,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Order:
        """As `OrderBridge.place`."""
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return await self._bridge.place(self.name, request, key=key, **more)

    @checked_call
    async def place_many(
        self,
        requests: Mapping[str, OrderRequest],
        *,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Mapping[str, Placement]:
        """As `OrderBridge.place_many`."""
        more: dict[str, Any] = {"send_within": send_within, "timeout": timeout, "read_back": read_back}
        return await self._bridge.place_many(self.name, requests, **more)

    @checked_call
    async def placement(self, *, key: str) -> Placement | None:
        """As `OrderBridge.placement`."""
        return await self._bridge.placement(key=key, gateway=self.name)

    @checked_call
    async def permit(self, lane: Lane = "place", *, timeout: float | None = None) -> Permit:
        """As `OrderGateway.permit`."""
        return await self.gateway.permit(lane, timeout=timeout)

    @checked_call
    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """
        As `OrderGateway.submit`, one send, written down like every other.

        An outcome that is not known is followed up, and `OutcomeUnknown` carries the placement.
        """
        return await self._bridge.submit_at(self.name, request, permit=permit, not_after=not_after, timeout=timeout)

    @checked_call
    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        """As `OrderBridge.lookup`, on this gateway alone."""
        return await self._bridge.lookup(*refs, gateways=[self.name], timeout=timeout)

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `OrderGateway.get`: what the venue shows, and what is concluded where it shows an order no more."""
        await self._tell(ref)
        with self._telling(ref, source="look-up"):
            order = await self.gateway.get(ref, timeout=timeout)
        self._placing.seen.orders([order], source="look-up")
        return await self._placing.completed(order, deadline=Deadline(_TELLING_SECONDS))

    @checked_call
    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        """As `OrderGateway.open_orders`."""
        listed = await self.gateway.open_orders(symbol=symbol, timeout=timeout)
        self._placing.seen.orders(listed.orders, source="open orders")
        return listed

    @checked_call
    async def cancel(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `OrderGateway.cancel`."""
        await self._tell(ref)
        with self._telling(ref, source="cancel", sent=Sign.CANCEL_SENT):
            order = await self.gateway.cancel(ref, timeout=timeout)
        self._placing.seen.orders([order], source="cancel")
        return order

    @checked_call
    async def edit(self, ref: RefLike, changes: OrderEdit, *, timeout: float | None = None) -> Order:
        """As `OrderGateway.edit`."""
        await self._tell(ref)
        with self._telling(ref, source="edit", sent=Sign.REPLACE_SENT):
            order = await self.gateway.edit(ref, changes, timeout=timeout)
        self._placing.seen.orders([order], source="edit")
        return order

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> list[Order]:
        """As `OrderGateway.cancel_all`."""
        orders = await self.gateway.cancel_all(symbol=symbol, timeout=timeout)
        self._placing.seen.orders(orders, source="cancel")
        return orders

    async def retry_failed(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """As `BitcainGateway.retry_failed`. NotSupported: the venue has no such operation."""
        with self._telling(ref, source="retry"):
            order = await self.gateway.retry_failed(ref, timeout=timeout)
        self._placing.seen.orders([order], source="retry")
        return order

    def orders(
        self,
        /,
        *,
        since: datetime,
        until: datetime | None = None,
        symbol: str | None = None,
        status: OrderStatus | str | None = None,
        timeout: float | None = None,
        **venue_filters: Any,
    ) -> AsyncIterator[Order]:
        """As `OrderGateway.orders`."""
        given: dict[str, Any] = {"since": since, "until": until, "symbol": symbol, "status": status}
        listed = self.gateway.orders(timeout=timeout, **given, **venue_filters)
        return self._placing.seen.watching(listed, source="history")

    def fills(
        self,
        ref: RefLike | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        symbol: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Fill]:
        """As `OrderGateway.fills`."""
        listed = self.gateway.fills(ref, since=since, until=until, symbol=symbol, timeout=timeout)
        return self._placing.seen.counting(listed)

    async def _tell(self, ref: RefLike) -> None:
        """What the journal knows of an order is known to the gateway before it is asked about it, or acts on it."""
        try:
            known = OrderRef.of(ref)
        except (TypeError, ValueError):
            return  # the gateway says what is wrong with it
        # A journal that hangs must not keep a cancel from being sent.
        await self._placing.tell(self.gateway, known, deadline=Deadline(_TELLING_SECONDS))

    @contextmanager
    def _telling(self, ref: RefLike, *, source: str, sent: Sign | None = None) -> Iterator[None]:
        """Write down what an error tells of orders, too."""
        try:
            yield
        except OutcomeUnknown:
            if sent is not None:
                self._placing.seen.sign(ref, sent, gateway=self.name)
            raise
        except OrderNotActive as error:
            self._placing.seen.orders([error.order] if error.order else [], source=source)
            raise
        except AmbiguousRef as error:
            self._placing.seen.orders(error.orders, source=source)
            raise

    @checked_call
    async def markets(self, *, refresh: bool = False, timeout: float | None = None) -> Mapping[Symbol, Market]:
        """As `OrderGateway.markets`."""
        return await self.gateway.markets(refresh=refresh, timeout=timeout)

    async def aclose(self) -> None:
        """Close the gateway."""
        await self.gateway.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "gateway":
            raise AttributeError(name)
        return getattr(self.gateway, name)

    def __repr__(self) -> str:
        return repr(self.gateway)
