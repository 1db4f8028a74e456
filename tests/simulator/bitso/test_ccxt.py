"""The independent proof: ccxt's own Bitso client, unmodified but for its address, trades on the simulator."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

pytestmark = pytest.mark.ccxt


@pytest.fixture
async def exchange(sim: Any) -> AsyncIterator[Any]:
    """
    ccxt.async_support.bitso, pointed at the simulated Bitso, without its pause of two seconds between calls.
    """
    import ccxt.async_support as ccxt

    client = ccxt.bitso(
        {
            "apiKey": sim.bitso.api_key,
            "secret": sim.bitso.api_secret,
            "urls": {"api": {"rest": sim.bitso.origin + "/api"}},
            "enableRateLimit": False,
        }
    )
    yield client
    await client.close()


async def test_ccxt_loads_markets_as_it_would_from_bitso(exchange: Any) -> None:
    """Symbols, ticks, amount steps and limits come out of available_books and catalogues."""
    markets = await exchange.load_markets()

    market = markets["XRP/USDT"]
    assert market["precision"]["price"] == 0.00001
    assert market["precision"]["amount"] == 0.000001
    assert market["limits"]["price"]["min"] == 0.03
    assert markets["BTC/MXN"]["taker"] == 0.0078


async def test_ccxt_places_looks_up_and_cancels_a_limit_order(sim: Any, exchange: Any) -> None:
    """A limit order rests, is fetched, is listed among the open ones, is partly filled, and is cancelled."""
    order = await exchange.create_order("XRP/USDT", "limit", "buy", 10, 0.4, {"origin_id": "mine"})
    sim.bitso.market("xrp_usdt").trade(price="0.4", quantity="4")

    fetched = await exchange.fetch_order(order["id"])
    listed = await exchange.fetch_open_orders("XRP/USDT")
    cancelled = await exchange.cancel_order(order["id"])

    assert (fetched["status"], fetched["filled"], fetched["price"]) == ("open", 4.0, 0.4)
    assert [each["id"] for each in listed] == [order["id"]]
    assert cancelled["id"] == order["id"]
    assert [each.oid for each in sim.bitso.accepted(client_order_id="mine")] == [order["id"]]
    assert sim.bitso.accepted(order_id=order["id"])[0].state == "cancelled"


async def test_ccxt_trades_at_market_and_reads_its_trades(sim: Any, exchange: Any) -> None:
    """A market order fills at once; its trades and fees are read by order and by account."""
    order = await exchange.create_order("XRP/USDT", "market", "sell", 10)

    fetched = await exchange.fetch_order(order["id"])
    of_order = await exchange.fetch_order_trades(order["id"], "XRP/USDT")
    of_account = await exchange.fetch_my_trades("XRP/USDT")

    assert fetched["status"] == "closed"
    assert sum(trade["amount"] for trade in of_order) == 10.0
    assert [trade["id"] for trade in of_account] == [trade["id"] for trade in of_order]
    assert of_order[0]["fee"]["currency"] == "USDT"
    assert of_order[0]["takerOrMaker"] == "taker"


async def test_ccxt_reads_balance_book_ticker_and_public_trades(sim: Any, exchange: Any) -> None:
    """What an order locks shows in the balance; market data parse."""
    await exchange.create_order("BTC/USD", "limit", "buy", 1, 60000)
    sim.bitso.market("btc_usd").trade(price=61000, quantity=1)

    balance = await exchange.fetch_balance()
    book = await exchange.fetch_order_book("BTC/USD")
    ticker = await exchange.fetch_ticker("BTC/USD")
    trades = await exchange.fetch_trades("BTC/USD")
    fees = await exchange.fetch_trading_fees()

    assert balance["USD"]["used"] == 60000.0
    assert book["bids"][0][0] < book["asks"][0][0]
    assert ticker["last"] == 61000.0
    assert trades[-1]["price"] == 61000.0
    assert fees["BTC/USD"]["maker"] == 0.006


async def test_ccxt_cancels_several_and_all(sim: Any, exchange: Any) -> None:
    """Lists with percent-encoded commas and `/orders/all` are signed as sent and understood."""
    ids = [(await exchange.create_order("BTC/USD", "limit", "buy", 1, 60000))["id"] for _ in range(3)]

    some = await exchange.cancel_orders(ids[:2])
    rest = await exchange.cancel_all_orders()

    assert {each["id"] for each in some} == set(ids[:2])
    assert [each["id"] for each in rest] == ids[2:]
    assert not any(order.active for order in sim.bitso.accepted())


async def test_ccxt_understands_refusals(sim: Any, exchange: Any) -> None:
    """
    An unknown key becomes ccxt's AuthenticationError by `0201`; an empty account its ExchangeError with
    `0379`.
    """
    import ccxt

    sim.bitso.engine.accounts.deposit("bot", "btc", -sim.bitso.balances["btc"].total)
    with pytest.raises(ccxt.ExchangeError, match="0379"):
        await exchange.create_order("BTC/USD", "limit", "sell", 1, 299000)
    exchange.apiKey = "nobody"
    with pytest.raises(ccxt.AuthenticationError):
        await exchange.fetch_order("anything")
