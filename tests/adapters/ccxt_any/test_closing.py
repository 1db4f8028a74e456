"""Closing a gateway, or losing sight of its exchange object, while an order is on its way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import ccxt
import pytest

from orderbridge import Order, OrderRequest
from orderbridge.errors import ConfigurationError, InsufficientFunds, OutcomeUnknown
from orderbridge.http.limits import Rate
from tests.adapters.ccxt_any.played import gateway

pytestmark = pytest.mark.ccxt
BUY = OrderRequest.limit(symbol="BTC/USD", side="buy", quantity="0.01", price="40000", client_order_id="mine1")
PLACED = {"error": [], "result": {"txid": ["OUF4EM-FRGI2-MQMWZD"], "descr": {}}}


class Held:
    """An HTTP call that is held until it is let go, then answers or fails."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.begun, self.free = asyncio.Event(), asyncio.Event()
        self.calls = 0

    async def __call__(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        self.calls += 1
        self.begun.set()
        await self.free.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_closing_waits_for_an_order_that_is_on_its_way() -> None:
    """The order comes back as placed, and the object is given back after it."""
    held = Held(PLACED)
    async with gateway("kraken", fetch=held) as kraken:
        placing = asyncio.create_task(kraken.submit(BUY))
        await held.begun.wait()
        closing = asyncio.create_task(kraken.aclose())
        await asyncio.sleep(0.02)
        was_waiting = not closing.done() and kraken._watch.is_intact
        held.free.set()
        order = await placing
        await closing

    assert was_waiting
    assert order.order_id == "OUF4EM-FRGI2-MQMWZD"
    assert not kraken._watch.is_intact


async def test_closing_waits_for_a_cancel_that_is_on_its_way() -> None:
    """What became of it is read from its answer."""
    held = Held(ccxt.RequestTimeout("slow"))
    known = Order(venue="ccxt.kraken", order_id="OUF4EM-FRGI2-MQMWZD", symbol="BTC/USD", side="buy", status="open")
    async with gateway("kraken", fetch=held) as kraken:
        cancelling = asyncio.create_task(kraken.cancel(known))
        await held.begun.wait()
        closing = asyncio.create_task(kraken.aclose())
        await asyncio.sleep(0.02)
        was_waiting = not closing.done()
        held.free.set()
        with pytest.raises(OutcomeUnknown):
            await cancelling
        await closing

    assert was_waiting


async def test_closing_does_not_wait_for_a_read() -> None:
    """A read that ends without an answer misleads nobody."""
    held = Held(PLACED)
    async with gateway("kraken", fetch=held) as kraken:
        reading = asyncio.create_task(kraken.open_orders())
        await held.begun.wait()
        await asyncio.wait_for(kraken.aclose(), 5)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading

    assert held.calls == 1


async def test_closing_that_is_cancelled_gives_the_object_back() -> None:
    """Whoever made the object may use it, and close it."""
    held = Held(PLACED)
    async with gateway("kraken", fetch=held) as kraken:
        placing = asyncio.create_task(kraken.submit(BUY))
        await held.begun.wait()
        closing = asyncio.create_task(kraken.aclose())
        await asyncio.sleep(0.02)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        released = not kraken._watch.is_intact
        held.free.set()
        with pytest.raises(OutcomeUnknown) as raised:
            await placing

    assert released
    assert raised.value.order_id == "OUF4EM-FRGI2-MQMWZD"


@pytest.mark.parametrize("error", [ccxt.RequestTimeout("slow"), ccxt.InsufficientFunds("no"), KeyError("id")], ids=repr)
async def test_what_was_not_seen_may_have_left(error: Exception) -> None:
    """Once the object is given back its requests are not seen: an order that failed then is unknown, never unsent."""
    sent = []

    async with gateway("kraken", fetch=Held(PLACED)) as kraken:

        async def create_order(*args: Any, **more: Any) -> Any:
            kraken._watch.release()
            sent.append(args)
            raise error

        kraken._exchange.create_order = create_order
        with pytest.raises(OutcomeUnknown) as raised:
            await kraken.submit(BUY)

    assert len(sent) == 1
    assert raised.value.client_order_id == "mine1"


async def test_an_order_that_waits_for_its_turn_while_the_gateway_closes_is_not_sent() -> None:
    """It gets its permit after the closing, and says that the gateway is closed."""
    held = Held(PLACED)
    async with gateway("kraken", fetch=held) as kraken:
        await kraken.markets()
        kraken.parts.sender.session.limiter.change(Rate(burst=1, per_second=20))
        while not kraken.parts.sender.session.limiter.would_wait("place"):
            await kraken.parts.sender.session.limiter.acquire("place", within=1)
        placing = asyncio.create_task(kraken.submit(BUY))
        await asyncio.sleep(0)
        await kraken.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await placing

    assert held.calls == 0


async def test_a_refusal_is_told_after_the_wait() -> None:
    """What the exchange answered while the gateway was closing is told as always."""
    held = Held({"error": ["EOrder:Insufficient funds"]})

    async with gateway("kraken", fetch=held) as kraken:
        exchange, original = kraken._exchange, held.__call__

        async def refused(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            answer = await original(url, method, headers, body)
            text = '{"error": ["EOrder:Insufficient funds"]}'
            exchange.on_rest_response(200, "OK", url, method, {}, text, {}, body)
            exchange.handle_errors(200, "OK", url, method, {}, text, answer, {}, body)

        kraken._watch._own["fetch"] = refused
        placing = asyncio.create_task(kraken.submit(BUY))
        await held.begun.wait()
        closing = asyncio.create_task(kraken.aclose())
        await asyncio.sleep(0.02)
        held.free.set()
        with pytest.raises(InsufficientFunds):
            await placing
        await closing
