"""A new order, once for every venue: what becomes of it after it was sent."""

import logging
from typing import Any

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
from orderbridge.http.retry import Deadline
from orderbridge.venue.submit import Placing
from tests.placement.kit import limit_buy, seen


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
    sent = []

    async def send(*args: Any, **how: Any) -> str:
        sent.append(args)
        return "an answer"

    async def fails(*args: Any, **how: Any) -> Any:
        raise error

    def known(order: Any) -> Any:
        raise error

    async def said(*args: Any, **how: Any) -> Any:
        return seen(client_order_id="ob1")

    placing = Placing(
        gateway="bitso",
        log=logging.getLogger("orderbridge.bitso"),
        capabilities=Capabilities(order_types=["limit"], times_in_force=["gtc"]),
        mint=lambda: "ob1",
        call=lambda request, client_order_id: "a call",
        send=send,
        said=fails if where == "said" else said,
        known=known,
    )

    with pytest.raises(OutcomeUnknown) as caught:
        await placing.submit(limit_buy(), permit=None, not_after=None, deadline=Deadline(5))

    assert len(sent) == 1
    assert (caught.value.client_order_id, caught.value.__cause__) == ("ob1", error)
