"""What ccxt asks before it places an order: whatever comes of that, the order did not leave."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.async_support
import pytest

from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.adapters.ccxt_any.codes import CcxtCodes
from orderbridge.adapters.ccxt_any.exchanges import Traits
from orderbridge.errors import AuthenticationFailed, NotSent, OrderDenied, RateLimited
from tests.adapters.ccxt_any.conftest import MARKET
from tests.adapters.ccxt_any.test_watch import BUY, ONCE, http, raw_server

pytestmark = pytest.mark.ccxt
ASKED = b'{"success": true, "payload": {"account": "7"}}'
DONE = http("200 OK", b'{"success": true, "payload": {"oid": "abcdefgh12345678"}}')


class Asking(ccxt.async_support.bitso):
    """Asks for the account before each order, as some exchanges' classes do."""

    refuses: Exception | None = None

    async def create_order(self, *args: Any, **more: Any) -> Any:
        _ = (await self.privateGetAccountStatus())["payload"]["account"]
        if self.refuses is not None:
            raise self.refuses
        return await super().create_order(*args, **more)


@asynccontextmanager
async def asking(answer: bytes | None, refuses: Exception | None = None) -> AsyncIterator[tuple[CcxtGateway, Any]]:
    """A gateway whose account is told so, and the orders that reached the server."""

    def reply(number: int, head: bytes) -> bytes | None:
        return answer if head.startswith(b"GET") else DONE

    async with raw_server(reply) as (address, heads):
        known = Asking({"apiKey": "k", "secret": "s", "urls": {"api": {"rest": address}}})
        known.timeout_on_exit = 0
        known.refuses = refuses
        known.set_markets([known.safe_market_structure(MARKET)])
        try:
            async with CcxtGateway(known, limits=None, retries=ONCE) as gateway:
                yield gateway, lambda: [head for head in heads if head.startswith(b"POST")]
        finally:
            await known.close()


async def test_a_good_answer_before_the_order_lets_it_leave() -> None:
    """The order goes out once, after what was asked."""
    async with asking(http("200 OK", ASKED)) as (gateway, orders):
        assert (await gateway.submit(BUY)).order_id == "abcdefgh12345678"

        assert len(orders()) == 1


@pytest.mark.parametrize(
    "answer",
    [
        http("200 OK", b'{"success": true, "payload": {"strange": 1}}'),
        http("200 OK", b'{"success": true, "payload": null}'),
        http("200 OK", b'{"success": true, "payload": []}'),
        http("200 OK", b"<html>back soon</html>"),
        http("200 OK", b""),
        http("502 Bad Gateway", b"<html></html>"),
        http("500 Internal Server Error", b'{"success": false, "error": {"code": "0201"}}'),
        None,
    ],
    ids=["no field", "null", "list", "page", "empty", "502", "500", "dropped"],
)
async def test_garbage_before_the_order_is_no_denial(answer: bytes | None) -> None:
    """The order is in order: it was not sent, and may be sent again."""
    async with asking(answer) as (gateway, orders):
        with pytest.raises(NotSent):
            await gateway.submit(BUY)

        assert orders() == []


@pytest.mark.parametrize("error", [ccxt.InvalidOrder("too small"), ccxt.ArgumentsRequired("no price")], ids=repr)
async def test_what_ccxt_refuses_by_itself_is_denied(error: Exception) -> None:
    """After a good answer it is the order that ccxt does not take."""
    async with asking(http("200 OK", ASKED), refuses=error) as (gateway, orders):
        with pytest.raises(OrderDenied) as raised:
            await gateway.submit(BUY)

        assert raised.value.rule == "ccxt"
        assert orders() == []


@pytest.mark.parametrize("status", ["429 Too Many Requests", "420 Enhance Your Calm", "418 Teapot"])
async def test_throttled_before_the_order_locks_out(status: str) -> None:
    """The order was not sent, and nothing else is until the time that the exchange named is over."""
    answer = http(status, b'{"success": false, "error": {"code": "0801"}}', b"Retry-After: 7")

    async with asking(answer) as (gateway, orders):
        with pytest.raises(NotSent) as raised:
            await gateway.submit(BUY)
        locked_for = gateway.parts.sender.session.limiter.locked_for
        assert isinstance(raised.value.__cause__, RateLimited)
        assert raised.value.__cause__.retry_after == 7
        assert 6 < locked_for <= 7
        assert orders() == []
        with pytest.raises(NotSent):
            await gateway.submit(BUY, timeout=0.1)


async def test_refused_credentials_before_the_order_are_told() -> None:
    """They would be refused for the order too."""
    answer = http("401 Unauthorized", b'{"success": false, "error": {"code": "0201", "message": "no"}}')

    async with asking(answer) as (gateway, orders):
        with pytest.raises(AuthenticationFailed):
            await gateway.submit(BUY)

        assert orders() == []


def test_errors_say_in_words_what_has_no_text() -> None:
    """A time limit of ours is told as such, and no message ends in a bare colon."""
    codes = CcxtCodes((), Traits())

    assert codes.named(TimeoutError()) == "the time was over"
    assert codes.named(ccxt.RequestTimeout()) == "RequestTimeout, without a text"
    assert codes.named(ccxt.RequestTimeout("slow")) == "RequestTimeout: slow"
