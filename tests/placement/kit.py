"""Records and orders for the tests of placing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from orderbridge import Alarm, Order, OrderBridge, OrderRequest, Placement
from orderbridge.http import WireRequest
from orderbridge.placement import Record
from orderbridge.simulator import Simulator

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def limit_buy(**changes: Any) -> OrderRequest:
    fields = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "100000"}
    return OrderRequest(**{**fields, **changes})


def record(
    id: str = "p1",
    *,
    state: str = "prepared",
    key: str | None = None,
    request: OrderRequest | None = None,
    **changes: Any,
) -> Record:
    placement = Placement(
        placement_id=id,
        gateway="bitso",
        key=key,
        request=request or limit_buy(),
        client_order_id=f"ob-{id}",
        state=state,
        created_at=NOW,
    )
    return Record(placement=placement, **changes)


def seen(status: str = "open", **changes: Any) -> Order:
    fields = {"symbol": "BTC/MXN", "side": "buy", "quantity": "0.01", "price": "100000", "observed_at": NOW}
    ids = {"venue": "bitso", "order_id": "oid1", "client_order_id": "ob-p1"}
    return Order(**{**ids, **fields, "status": status, **changes})


def wire_bytes(request: WireRequest) -> tuple[bytes, bytes]:
    """A request as it goes over the wire, head and body, for who sends a part of it."""
    lines = [f"{request.method} {request.target} HTTP/1.1", f"host: {urlsplit(request.url).netloc}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if name.lower() != "content-length"]
    return "\r\n".join([*lines, f"content-length: {len(request.body)}", "", ""]).encode(), request.body


class Bridges:
    """Makes bridges over one simulated venue whose horizon is short, and remembers their alarms."""

    def __init__(self, sim: Simulator, *, venue: str = "bitso") -> None:
        self._sim = sim
        self.venue = venue
        self.made: list[OrderBridge] = []
        self.alarms: list[Alarm] = []

    def __call__(
        self, *, horizon: float = 0.1, times: Sequence[float] = (0.01, 0.03, 0.06, 0.15, 0.2, 0.3), **settings: Any
    ) -> OrderBridge:
        gateway = getattr(self._sim, self.venue).gateway(**settings.pop("gateway", {}))
        bridge = OrderBridge(
            gateway, settle_horizon=horizon, probe_times=times, on_alarm=self.alarms.append, **settings
        )
        self.made.append(bridge)
        return bridge

    @property
    def kinds(self) -> list[str]:
        """The kinds of the alarms so far."""
        return [alarm.kind.value for alarm in self.alarms]


async def until(is_so: Callable[[], Awaitable[bool]], *, seconds: float = 30.0) -> None:
    """Wait until something is so, however slow the machine is; TimeoutError when it does not come to be."""
    for _ in range(int(seconds / 0.02)):
        if await is_so():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"it did not come to be within {seconds} s")


async def until_placed(bridge: OrderBridge, key: str = "k1") -> None:
    """Wait until the placement of a key is placed."""

    async def is_placed() -> bool:
        placement = await bridge.placement(key=key)
        return placement is not None and placement.state.value == "placed"

    await until(is_placed)
