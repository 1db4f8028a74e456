"""A new order, once for every venue: what becomes of it after it was sent."""

import time
from typing import Any, cast

import pytest

from orderbridge import Capabilities
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    NotSent,
    NotSupported,
    OrderDenied,
    OutcomeUnknown,
    PermissionDenied,
)
from orderbridge.gateway import ClientIdRule
from orderbridge.http.retry import Deadline
from orderbridge.venue.sender import Sender, VenueCall
from orderbridge.venue.submit import Placing
from tests.placement.kit import limit_buy, seen


class Accepting:
    """Sends, and is answered."""

    gateway = "bitso"

    def __init__(self) -> None:
        self.sent: list[VenueCall] = []

    async def write(self, call: VenueCall, **how: Any) -> str:
        self.sent.append(call)
        return "an answer"


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationFailed("x"),
        ConfigurationError("x"),
        NotSent("x"),
        NotSupported("x"),
        OrderDenied("x"),
        PermissionDenied("x"),
        TypeError("x"),
        TimeoutError("x"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("where", ["said", "known"])
async def test_no_error_after_the_send_says_that_nothing_left(where: str, error: Exception) -> None:
    """Whatever fails on the answer, the order may be live: as an error that denies that it would be repeated."""
    sender = Accepting()

    async def fails(*args: Any, **how: Any) -> Any:
        raise error

    def known(order: Any) -> Any:
        raise error

    async def said(*args: Any, **how: Any) -> Any:
        return seen(client_order_id="ob1")

    placing = Placing(
        sender=cast("Sender", sender),
        capabilities=Capabilities(
            order_types=["limit"],
            times_in_force=["gtc"],
            client_order_id=ClientIdRule(alphabet="a-z0-9", max_length=36),
        ),
        clock=time.time,
        call=lambda request, client_order_id: VenueCall(operation="submit", client_order_id=client_order_id),
        said=fails if where == "said" else said,
        known=known,
    )

    with pytest.raises(OutcomeUnknown) as caught:
        await placing.submit(limit_buy(client_order_id="ob1"), permit=None, not_after=None, deadline=Deadline(5))

    assert len(sender.sent) == 1
    assert (caught.value.client_order_id, caught.value.__cause__) == ("ob1", error)
