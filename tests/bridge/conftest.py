"""A gateway made by hand."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Literal, Self

import pytest

from orderbridge import Capabilities, Found, LookupResult, Order, OrderList, OrderRef, Permit, RefLike, UnsupportedCalls
from orderbridge.model.results import BadRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Stub(UnsupportedCalls):
    """A gateway made by hand: it holds orders under ids, and does `first` before it answers."""

    venue = "stub"
    account = "default"
    capabilities = Capabilities()

    def __init__(
        self,
        name: str,
        orders: dict[str, Order] | None = None,
        *,
        first: Callable[[], Awaitable[object]] | None = None,
        answer: str = "not_seen",
    ) -> None:
        self.name = name
        self.asked: list[tuple[OrderRef, ...]] = []
        self.closed = False
        self._orders = orders or {}
        self._first = first
        self._answer = answer

    async def permit(
        self, lane: Literal["place", "read", "resolve", "cancel"] = "place", *, timeout: float | None = None
    ) -> Permit:
        return Permit(gateway=self.name, lane=lane, granted_at=0.0)

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        self.asked.append(tuple(map(OrderRef.of, refs)))
        if self._first is not None:
            await self._first()
        return LookupResult(refs=refs, found=tuple(self._found(OrderRef.of(ref)) for ref in refs))

    def _found(self, ref: OrderRef) -> Found:
        known = self._orders.get(ref.order_id or ref.client_order_id or ref.id or "")
        return Found(
            orders=(known,) if known else (),
            answers={self.name: "found" if known else self._answer},
            proven_absent=not known and self._answer == "not_seen" and self.name == "proving",
        )

    async def get(self, ref: RefLike, *, timeout: float | None = None) -> Order:
        raise NotImplementedError

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        if self._first is not None:
            await self._first()
        rows = (BadRow(gateway=self.name, position=0, reason="no side"),) if self.name == "untidy" else ()
        return OrderList(orders=tuple(self._orders.values()), as_of=NOW, bad_rows=rows)

    async def aclose(self) -> None:
        self.closed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


@pytest.fixture
def stub() -> type[Stub]:
    """The class of gateways made by hand."""
    return Stub
