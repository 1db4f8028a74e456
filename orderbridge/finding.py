"""Acting on an order whose gateway must be found first, and waiting for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Protocol

from orderbridge.errors import AmbiguousRef, OrderBridgeError, OutcomeUnknown
from orderbridge.gateway import OrderGateway, order_from
from orderbridge.http.policy import Deadline
from orderbridge.model.lookup import Answer, LookupResult
from orderbridge.model.order import Order
from orderbridge.model.ref import RefLike

# What finding an order may take before it is cancelled.
_SEARCH_SECONDS: Final = 2.0
# How long between two looks at an order that a caller waits for.
_FIRST_LOOK: Final = 0.25
_LONGEST_BETWEEN_LOOKS: Final = 5.0


class LookUp(Protocol):
    """`OrderBridge.lookup`."""

    def __call__(self, *refs: RefLike, timeout: float | None = ...) -> Awaitable[LookupResult]: ...


async def cancel_wherever(
    ref: RefLike, gateways: Mapping[str, OrderGateway], look_up: LookUp, *, deadline: Deadline
) -> Order:
    """
    Cancel an order that may be at any gateway; see `OrderBridge.cancel`.

    A slow or locked-out gateway must not keep the cancel from the one that has the order: the search gets a part
    of the time, and where it decides nothing, every gateway that did not deny the order is asked to cancel it.
    """
    soon = deadline.within(min(_SEARCH_SECONDS, deadline.remaining() / 3))
    result = await look_up(ref, timeout=soon.as_timeout)
    found = result[ref]
    if found.orders or not found.is_undecided:
        order = order_from(result, ref, gateway=None, operation="cancel")
        return await gateways[order.gateway].cancel(order, timeout=deadline.as_timeout)
    silent = [name for name, answer in found.answers.items() if answer is not Answer.NOT_SEEN]
    return await _cancel_unseen(ref, [gateways[name] for name in silent], deadline)


async def _cancel_unseen(ref: RefLike, gateways: Sequence[OrderGateway], deadline: Deadline) -> Order:
    tried = await asyncio.gather(
        *(gateway.cancel(ref, timeout=deadline.as_timeout) for gateway in gateways), return_exceptions=True
    )
    orders = [each for each in tried if isinstance(each, Order)]
    errors = [each for each in tried if isinstance(each, BaseException)]
    if len(orders) > 1:
        raise AmbiguousRef(f"{len(orders)} orders answered, and all were cancelled", orders=tuple(orders))
    if orders:
        return orders[0]
    # What may have happened outweighs what did not.
    raise next((error for error in errors if isinstance(error, OutcomeUnknown)), errors[0])


async def until_done(gateway: OrderGateway, order: Order, deadline: Deadline) -> Order:
    """Look at an order until it is over or the time is up, and return it as it was seen last."""
    wait = _FIRST_LOOK
    while order.may_be_live and deadline.allows(wait):
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_BETWEEN_LOOKS)
        try:
            order = await gateway.get(order, timeout=deadline.as_timeout)
        except OrderBridgeError:
            continue  # a look that fails says nothing about the order
    return order
