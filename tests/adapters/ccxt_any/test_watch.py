"""What leaves through ccxt's object: once, to one place, paced by weight, and read digit by digit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ccxt.async_support
import pytest

from orderbridge import OrderRequest
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.adapters.ccxt_any.watch import exact_json
from orderbridge.errors import ConfigurationError, NotSent, OutcomeUnknown, VenueUnavailable
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Retries
from tests.adapters.ccxt_any.conftest import MARKET
from tests.adapters.ccxt_any.played import gateway as played_gateway
from tests.adapters.ccxt_any.played import told_by

pytestmark = pytest.mark.ccxt
ONCE = Retries(tries=1)
BUY = OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="560000")


@asynccontextmanager
async def raw_server(answer: Callable[[int, bytes], bytes | None]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Answers each request as told by its number and head; None drops the connection."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
                heads.append(head)
                told = answer(len(heads), head)
                if told is None:
                    return
                writer.write(told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/api", heads
        server.close()


@asynccontextmanager
async def bitso(address: str, **more: Any) -> AsyncIterator[CcxtGateway]:
    """A gateway over an object with one market, at this address."""
    known = ccxt.async_support.bitso({"apiKey": "k", "secret": "s", "urls": {"api": {"rest": address}}, **more})
    known.timeout_on_exit = 0
    known.set_markets([known.safe_market_structure(MARKET)])
    try:
        async with CcxtGateway(known, limits=None, retries=ONCE) as made:
            yield made
    finally:
        await known.close()


def http(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    lines = [
        f"HTTP/1.1 {status}".encode(),
        b"Content-Length: %d" % len(body),
        b"Content-Type: application/json",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect", "302 Found"])
async def test_a_redirect_of_an_order_is_not_followed(status: str) -> None:
    """It would be sent twice, the second time to somebody else: the outcome is unknown instead."""
    async with (
        raw_server(lambda number, head: http(status, b"", b"Location: /api/elsewhere")) as (address, heads),
        bitso(address) as gateway,
    ):
        with pytest.raises(OutcomeUnknown):
            await gateway.submit(BUY)

    assert len(heads) == 1


async def test_nothing_is_replayed_on_a_connection_that_went_stale() -> None:
    """aiohttp by itself sends a DELETE again where a kept connection dies; one try is one request."""
    ok = http("200 OK", b'{"success": true, "payload": []}')

    async with (
        raw_server(lambda number, head: ok if head.startswith(b"GET") else None) as (address, heads),
        bitso(address) as gateway,
    ):
        await gateway.open_orders(symbol="BTC/MXN")
        with pytest.raises(OutcomeUnknown):
            await gateway.cancel("ccxt.bitso:abcdefgh12345678")

    assert len([head for head in heads if head.startswith(b"DELETE")]) == 1


async def test_what_comes_too_late_does_not_leave() -> None:
    """The time is looked at again just before an order leaves, after whatever ccxt asked before it."""
    loop = asyncio.get_running_loop()

    class Slow(ccxt.async_support.bitso):
        async def create_order(self, *args: Any, **more: Any) -> Any:
            await self.privateGetAccountStatus()
            await asyncio.sleep(0.1)
            return await super().create_order(*args, **more)

    ok = http("200 OK", b'{"success": true, "payload": {"oid": "abcdefgh12345678"}}')
    async with raw_server(lambda number, head: ok) as (address, heads):
        known = Slow({"apiKey": "k", "secret": "s", "urls": {"api": {"rest": address}}})
        known.timeout_on_exit = 0
        known.set_markets([known.safe_market_structure(MARKET)])
        async with CcxtGateway(known, limits=None, retries=ONCE) as gateway:
            with pytest.raises(NotSent):
                await gateway.submit(BUY, not_after=loop.time() + 0.05)
            assert not [head for head in heads if head.startswith(b"POST")]
            assert (await gateway.submit(BUY, not_after=loop.time() + 5)).order_id == "abcdefgh12345678"
        await known.close()


def test_half_a_surrogate_pair_is_read_as_what_can_be_written() -> None:
    """What an exchange sends by escapes comes through as those, so that it can be stored and shown."""
    assert exact_json('{"id": "\\ud800", "\\udfff": [1]}') == {"id": "\\ud800", "\\udfff": [1]}


def test_json_is_read_digit_by_digit() -> None:
    """A fraction without quotes stays text; whole numbers are whole."""
    read = exact_json('{"a": 0.12345678901234567890, "b": 12345678901234567890, "c": [1e-8, NaN], "d": true}')

    assert read == {"a": "0.12345678901234567890", "b": 12345678901234567890, "c": ["1e-8", "NaN"], "d": True}


async def test_unquoted_numbers_come_back_exactly() -> None:
    """What a venue writes without quotes loses no digit on its way through ccxt."""
    row = (
        b'{"oid": "abcdefgh12345678", "book": "btc_mxn", "side": "buy", "type": "limit", "status": "open",'
        b' "original_amount": 1234567.1234567890123456, "unfilled_amount": 0.1234567890123456, "price": 560000}'
    )
    body = b'{"success": true, "payload": [' + row + b"]}"

    async with raw_server(lambda number, head: http("200 OK", body)) as (address, _), bitso(address) as gateway:
        order = await gateway.get("ccxt.bitso:abcdefgh12345678")

    assert str(order.quantity) == "1234567.1234567890123456"
    assert str(order.filled_quantity) == "1234567.0000000000000000"


@pytest.mark.parametrize(
    ("scheme", "status"),
    [("https", "403 No"), ("https", "407 No"), ("https", "502 No"), ("http", "407 No")],
)
async def test_what_a_proxy_refused_was_not_sent(scheme: str, status: str) -> None:
    """Neither a CONNECT that is answered with no nor a 407 passes anything on: the order may be sent again."""
    body = b'{"error": "invalid api key"}'

    async with raw_server(lambda number, head: http(status, body)) as (proxy, heads):
        config = {f"{scheme}Proxy": proxy.removesuffix("/api")}
        async with bitso(f"{scheme}://venue.invalid/api", **config) as gateway:
            with pytest.raises(NotSent):
                await gateway.submit(BUY)
            assert len(heads) == 1
            with pytest.raises(VenueUnavailable):
                await gateway.open_orders(symbol="BTC/MXN")


@pytest.mark.parametrize("status", ["403 No", "502 No"])
async def test_what_an_exchange_refused_was_sent(status: str) -> None:
    """Without a proxy's own status, a plain proxy's answer is not told from the exchange's."""
    async with (
        raw_server(lambda number, head: http(status)) as (proxy, _),
        bitso("http://venue.invalid/api", httpProxy=proxy.removesuffix("/api")) as gateway,
    ):
        with pytest.raises(OutcomeUnknown):
            await gateway.submit(BUY)


async def test_weights_of_calls_are_paid_in_slots() -> None:
    """Open orders of every symbol weigh more on Binance than those of one; the lane pays for it."""

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        return []

    async with played_gateway("binance", fetch=fetch) as gateway:
        gateway.parts.sender.session.limiter.change(Rate(burst=1000, per_second=0.001))
        await gateway.open_orders(symbol="BTC/USDT")
        after_one = gateway.parts.sender.session.limiter._tokens
        await gateway.open_orders()
        after_all = gateway.parts.sender.session.limiter._tokens

    assert after_one - after_all > 1000 - after_one >= 1


async def test_nonces_of_one_moment_differ() -> None:
    """By milliseconds alone two requests of one moment would have one nonce."""
    async with played_gateway("kraken") as gateway:
        nonces = [gateway._exchange.nonce() for _ in range(50)]

    assert len(set(nonces)) == 50
    assert nonces == sorted(nonces)


async def test_one_object_is_of_one_gateway() -> None:
    """A second one over it is refused, until the first has put it back."""
    known = ccxt.async_support.kraken({"apiKey": "k", "secret": "c2VjcmV0"})
    first = CcxtGateway(known)
    with pytest.raises(ConfigurationError, match="another gateway"):
        CcxtGateway(known)
    await first.aclose()

    await CcxtGateway(known).aclose()
    await known.close()


async def test_symbols_with_small_letters_go_out_as_ccxt_writes_them() -> None:
    """Ours are upper case; ccxt would not know them. Two that differ in case alone are left out."""
    known = ccxt.async_support.bitso({"apiKey": "k", "secret": "s"})
    rows = [
        {**MARKET, "id": name, "symbol": name, "base": name.split("/")[0]} for name in ("kPEPE/MXN", "aB/MXN", "Ab/MXN")
    ]
    known.set_markets([known.safe_market_structure(row) for row in rows])
    sent = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        sent.append(body)
        return {"success": True, "payload": {"oid": "abcdefgh12345678"}}

    known.fetch = told_by(known, fetch)
    async with CcxtGateway(known, limits=None) as gateway:
        order = await gateway.submit(OrderRequest.limit(symbol="KPEPE/MXN", side="buy", quantity="1", price="10"))
        markets = await gateway.markets()
    await known.close()

    assert '"book":"kPEPE/MXN"' in sent[0]
    assert set(markets) == {"KPEPE/MXN"}
    assert order.symbol == "KPEPE/MXN"


async def test_certificates_that_cannot_be_read_sent_nothing(tmp_path: Path) -> None:
    """ccxt opens its connections at the first request, and what fails before that has left nothing behind."""
    ok = http("200 OK", b'{"success": true, "payload": {"oid": "abcdefgh12345678"}}')

    async with raw_server(lambda number, head: ok) as (address, heads), bitso(address) as gateway:
        gateway._exchange.cafile = str(tmp_path / "none.pem")
        with pytest.raises(NotSent, match="nothing was sent"):
            await gateway.submit(BUY)
        gateway._exchange.cafile = None

        assert (await gateway.submit(BUY)).order_id == "abcdefgh12345678"
    assert len(heads) == 1
