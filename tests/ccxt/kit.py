"""What the tests of the exchange share: an order that is lost, and shows again."""

import asyncio
from typing import Any

import pytest

from orderbridge.simulator import Simulator

LIMIT = ("BTC/MXN", "limit", "buy", 0.01, 560000)
PLACE = "POST /api/v3/orders"
# An order that is not shown stays unknown for longer than these tests run.
LONG = 60.0
SOON = 0.2


def put(sim: Simulator, **about: Any) -> str:
    """An order of the account; a small buy unless told otherwise."""
    return sim.bitso.put(**{"symbol": "BTC/MXN", "price": "560000", "quantity": "0.01", "status": "open", **about}).oid


async def unknown_create(sim: Simulator, exchange: Any, *args: Any, kind: str = "drop") -> Any:
    """Create an order whose outcome stays open, and return what is raised then."""
    from orderbridge.ccxt.errors import OrderOutcomeUnknown

    sim.bitso.fault(kind, operation="place", nth=1)
    with pytest.raises(OrderOutcomeUnknown) as caught:
        await exchange.create_order(*(args or LIMIT))
    sim.bitso.clear_faults()
    return caught.value


def patient(exchange: Any) -> None:
    """Have the exchange wait for what is about to show, however slow this machine is."""
    exchange._creates.resolve_for = exchange.timeout = 10


def appear(sim: Simulator, unknown: Any, **changes: Any) -> str:
    """Have the exchange show the order after all, as one that it had taken."""
    request = unknown.placement.request
    known = {"symbol": str(request.symbol), "side": request.side.value, "status": "open"}
    amounts = {"quantity": request.quantity, "price": request.price}
    return sim.bitso.put(origin_id=unknown.placement.client_order_id, **{**known, **amounts, **changes}).oid


async def unknown_grid(sim: Simulator, exchange: Any) -> tuple[list[Any], list[str]]:
    """Two orders of one side whose outcomes stay open until their callers are gone, and their ids as they show then."""
    sim.bitso.fault("drop", operation="place")
    grid = [LIMIT, (*LIMIT[:-1], 570000)]
    unknown = await asyncio.gather(*(exchange.create_order(*each) for each in grid), return_exceptions=True)
    sim.bitso.clear_faults()
    patient(exchange)
    return grid, [appear(sim, each) for each in unknown]
