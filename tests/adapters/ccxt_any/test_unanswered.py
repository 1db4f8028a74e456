"""A call that got no answer decides nothing, whatever class ccxt gives the failure."""

from __future__ import annotations

from typing import Any

import ccxt
import pytest

from orderbridge import Order
from orderbridge.errors import NotSent, OrderBridgeError, OutcomeUnknown
from tests.adapters.ccxt_any.played import gateway
from tests.adapters.ccxt_any.test_errors import BARE, CLASSES

pytestmark = pytest.mark.ccxt
EVERY = pytest.mark.parametrize("kind", [*CLASSES, *BARE], ids=lambda kind: kind.__name__)
# ccxt raises these before it opens a connection.
NEVER_LEFT = {"NotSupported", "InvalidProxySettings", "ExchangeClosedByUser"}


def failing(kind: type[Exception]) -> Any:
    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        raise kind("https://exchange.example/order?signature=0badc0de")

    return fetch


@EVERY
async def test_a_look_up_without_an_answer_is_undecided(kind: type[Exception]) -> None:
    """Not even OrderNotFound is a miss when no answer came with it."""
    async with gateway("kraken", fetch=failing(kind)) as kraken:
        result = await kraken.lookup("ccxt.kraken:OUF4EM-FRGI2-MQMWZD", "ccxt.kraken:client:mine1")

    assert len(result.undecided) == 2
    assert "ccxt.kraken" in result.unreachable
    assert "0badc0de" not in repr(result)


@EVERY
async def test_a_list_without_an_answer_is_an_error(kind: type[Exception]) -> None:
    """It is never an empty list."""
    async with gateway("kraken", fetch=failing(kind)) as kraken:
        with pytest.raises(OrderBridgeError):
            await kraken.open_orders()
        with pytest.raises(OrderBridgeError):
            _ = [fill async for fill in kraken.fills()]


@EVERY
async def test_a_cancel_without_an_answer_is_unknown_or_not_sent(kind: type[Exception]) -> None:
    """It is neither done nor refused; only what never left is said not to have."""
    known = Order(venue="ccxt.kraken", order_id="OUF4EM-FRGI2-MQMWZD", symbol="BTC/USD", side="buy", status="open")
    expected = NotSent if {each.__name__ for each in kind.__mro__} & NEVER_LEFT else OutcomeUnknown

    async with gateway("kraken", fetch=failing(kind)) as kraken:
        with pytest.raises(OrderBridgeError) as raised:
            await kraken.cancel(known)

    assert type(raised.value) is expected
    assert "0badc0de" not in str(raised.value)


def test_the_classes_that_never_leave_are_ccxts() -> None:
    """A class that ccxt renames would be missed here."""
    assert all(hasattr(ccxt, name) for name in NEVER_LEFT)
