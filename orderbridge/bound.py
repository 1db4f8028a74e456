"""
One gateway of a bridge: its own calls, each written down in the bridge's journal, and the bridge's acts.

A call has the arguments, defaults, types and docstring of the gateway's or the bridge's own, which it is derived from.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from operator import attrgetter, methodcaller
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, cast

from orderbridge.bridge import OrderBridge
from orderbridge.errors import AmbiguousRef, OrderBridgeError, OrderNotActive, OrderNotFound, OutcomeUnknown
from orderbridge.gateway import Capabilities, Mode, OrderGateway, checked_call
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol
from orderbridge.model.lifecycle import Sign
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import CancelledOrders, LookupResult
from orderbridge.placement.observations import Recorder
from orderbridge.placement.placements import Placements
from orderbridge.venue.bounds import AT_ONCE

T = TypeVar("T")
P = ParamSpec("P")
# What reading the journal may take before a call to the venue.
_TELLING_SECONDS: Final = 1.0


def _fact(name: str) -> Any:
    return property(attrgetter(f"gateway.{name}"), doc=getattr(OrderGateway, name).__doc__)


class GatewayFacts:
    """The facts of a gateway about itself, said by what stands for it."""

    gateway: OrderGateway
    name: str = _fact("name")
    venue: str = _fact("venue")
    account: str = _fact("account")
    capabilities: Capabilities = _fact("capabilities")
    address: str = _fact("address")
    mode: Mode | None = _fact("mode")
    address_tells_mode: bool = _fact("address_tells_mode")
    longest_attempt: float = _fact("longest_attempt")
    settle_time: float = _fact("settle_time")
    unreadable: tuple[str, ...] = _fact("unreadable")
    instead: Mapping[str, str] = _fact("instead")
    known_symbols: Collection[Symbol] = _fact("known_symbols")


def _as(original: Callable[Concatenate[Any, P], T], call: Callable[..., Any]) -> Callable[Concatenate[Any, P], T]:
    """A call of a bound gateway that is to its caller what the gateway's own is."""
    return cast("Callable[Concatenate[Any, P], T]", checked_call(wraps(original)(call)))


def _passed_on(original: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    async def call(self: BoundGateway, /, *args: Any, **more: Any) -> Any:
        return await methodcaller(original.__name__, *args, **more)(self.gateway)

    return _as(original, call)


def _of_one_order(
    original: Callable[Concatenate[Any, P], T], *, source: str, sent: Sign | None = None
) -> Callable[Concatenate[Any, P], T]:
    """Told what the journal knows of the order beforehand; what came of it is written down, `sent` if that is open."""

    async def call(self: BoundGateway, /, *args: Any, **more: Any) -> Order:
        ref = args[0] if args else more.get("ref", "")
        await self._tell(ref)
        with self._telling(ref, source=source, sent=sent):
            order: Order = await methodcaller(original.__name__, *args, **more)(self.gateway)
        self._placements.recorder.orders([order], source=source)
        return order

    return _as(original, call)


def _of_open_orders(original: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    async def call(self: BoundGateway, /, *args: Any, **more: Any) -> Any:
        listed = await methodcaller(original.__name__, *args, **more)(self.gateway)
        self._placements.recorder.orders(listed, source="open orders")
        self._placements.line(self.name).working.look_soon()
        return listed

    return _as(original, call)


def _listed(
    original: Callable[Concatenate[Any, P], AsyncIterator[T]],
    through: Callable[[Recorder, AsyncIterator[T]], AsyncIterator[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    def call(self: BoundGateway, /, *args: Any, **more: Any) -> Any:
        return through(self._placements.recorder, methodcaller(original.__name__, *args, **more)(self.gateway))

    # The arguments are the gateway's to judge: one that has no such call says that first.
    return cast("Callable[Concatenate[Any, P], AsyncIterator[T]]", wraps(original)(call))


def _of_the_bridge(original: Callable[Concatenate[Any, str, P], T], name: str) -> Callable[Concatenate[Any, P], T]:
    """A call of the bridge that takes the name of a gateway first, with that of this one."""

    async def call(self: BoundGateway, /, *args: Any, **more: Any) -> Any:
        return await methodcaller(original.__name__, self.name, *args, **more)(self._bridge)

    whole = inspect.signature(original)
    rest = [each for each in whole.parameters.values() if each.name != "gateway"]
    bound = wraps(original)(call)
    bound.__name__ = name
    bound.__dict__["__signature__"] = whole.replace(parameters=rest)
    return cast("Callable[Concatenate[Any, P], T]", bound)


async def _look_up(self: BoundGateway, /, *refs: RefLike, timeout: float | None = None) -> LookupResult:
    return await self._bridge.lookup(*refs, gateways=[self.name], timeout=timeout)


class BoundGateway(GatewayFacts):
    """
    `bridge["bitso"]`: an `OrderGateway` whose every call is journalled, with `place` and its kin bound to it.

    What an adapter has of its own (`gateway` is the adapter itself) is reached through it too.
    """

    def __init__(self, bridge: OrderBridge, gateway: OrderGateway, placements: Placements) -> None:
        self.gateway = gateway
        self._bridge = bridge
        self._placements = placements

    @checked_call
    def remember(self, orders: Collection[Order]) -> bool:
        """Have the gateway know of these orders; see `OrderGateway.remember`."""
        return self.gateway.remember(orders)

    @checked_call
    def nonces_of(self, key: str) -> Callable[[], int] | None:
        """Fresh nonces for another client of this API key; see `OrderGateway.nonces_of`."""
        return self.gateway.nonces_of(key)

    prepare = _of_the_bridge(OrderBridge.prepare, "prepare")
    place = _of_the_bridge(OrderBridge.place, "place")
    place_many = _of_the_bridge(OrderBridge.place_many, "place_many")
    submit = _of_the_bridge(OrderBridge.submit_at, "submit")
    permit = _passed_on(OrderGateway.permit)
    markets = _passed_on(OrderGateway.markets)
    lookup = _as(OrderGateway.lookup, _look_up)
    open_orders = _of_open_orders(OrderGateway.open_orders)
    cancel = _of_one_order(OrderGateway.cancel, source="cancel", sent=Sign.CANCEL_SENT)
    edit = _of_one_order(OrderGateway.edit, source="edit", sent=Sign.REPLACE_SENT)
    retry_failed = _of_one_order(OrderGateway.retry_failed, source="retry")
    orders = _listed(OrderGateway.orders, lambda seen, listed: seen.watching(listed, source="history"))
    fills = _listed(OrderGateway.fills, lambda seen, listed: seen.counting(listed))

    @checked_call
    async def placement(self, *, key: str) -> Placement | None:
        """The placement that holds this key here, or held it last; None when there is none."""
        return await self._bridge.placement(key=key, gateway=self.name)

    @checked_call
    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        """The one order that answers to `ref`, as the venue shows it, or as is concluded where it shows it no more."""
        await self._tell(ref)
        with self._telling(ref, source="look-up"):
            order = await self.gateway.get(ref, timeout=timeout)
        self._placements.recorder.orders([order], source="look-up")
        return await self._placements.completed(order, deadline=Deadline(_TELLING_SECONDS))

    @checked_call
    async def cancel_all(self, *, symbol: str | None = None, timeout: float | None = None) -> CancelledOrders:
        """Cancel every open order, of one symbol or of all; placed here and not listed by the venue: by its id."""
        deadline = Deadline(timeout)
        placed = await self._placements.tell_working(self.gateway, deadline=deadline.within(_TELLING_SECONDS))
        done = await self.gateway.cancel_all(symbol=symbol, timeout=deadline.as_timeout)
        self._placements.recorder.orders(done, source="cancel")
        market = None if symbol is None else Symbol(symbol)
        ids = {order.identity for order in done}
        left = [each for each in placed if market in (None, each.symbol) and each.identity not in ids]
        gate = asyncio.Semaphore(AT_ONCE)
        # An order that the venue has only just shown may be one that it does not know yet.
        settled = self._placements.ledger.now() - timedelta(seconds=self.settle_time)

        async def by_id(order: Order) -> list[Order]:
            async with gate:
                try:
                    return [await self.cancel(order, timeout=deadline.as_timeout)]
                except OrderNotFound as error:
                    is_absent = error.found is not None and error.found.proven_absent
                    return [] if is_absent and (order.observed_at or settled) < settled else [order]
                except OrderBridgeError:
                    return [order]  # which may be live, and is told as such

        others = await asyncio.gather(*map(by_id, left))
        may_lack = done.may_lack if isinstance(done, CancelledOrders) else self.capabilities.open_orders_may_lack
        return CancelledOrders([*done, *(order for each in others for order in each)], may_lack=may_lack)

    async def _tell(self, ref: RefLike) -> None:
        """Have the gateway know what the journal knows of an order, before it is asked about it or acts on it."""
        try:
            known = OrderRef.of(ref)
        except (TypeError, ValueError):
            return  # the gateway says what is wrong with it
        # A journal that hangs must not keep a cancel from being sent.
        await self._placements.tell(self.gateway, known, deadline=Deadline(_TELLING_SECONDS))

    @contextmanager
    def _telling(self, ref: RefLike, *, source: str, sent: Sign | None = None) -> Iterator[None]:
        """Write down what an error tells of orders, too."""
        try:
            yield
        except OutcomeUnknown:
            if sent is not None:
                self._placements.recorder.sign(ref, sent, gateway=self.name)
            raise
        except OrderNotActive as error:
            self._placements.recorder.orders([error.order] if error.order else [], source=source)
            raise
        except AmbiguousRef as error:
            self._placements.recorder.orders(error.orders, source=source)
            raise

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
