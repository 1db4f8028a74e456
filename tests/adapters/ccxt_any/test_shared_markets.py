"""The markets of an exchange: loaded by one account's object for all that are made alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import ccxt.async_support
import pytest

from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.errors import AuthenticationFailed
from tests.adapters.ccxt_any.conftest import MARKET, config_of

pytestmark = pytest.mark.ccxt
BOOKS = "GET /api/v3/available_books"


async def test_a_hundred_accounts_load_the_markets_once(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """One load serves all accounts of an exchange, each of which can use its object; a fresh one serves all again."""
    gateways = [make(account=f"a{number}", config={"apiKey": f"key-{number}"}) for number in range(100)]

    loaded = await asyncio.gather(*(gateway.markets() for gateway in gateways))
    once = sim.bitso.requests[BOOKS]
    again = await gateways[-1].markets(refresh=True)
    others = await gateways[0].markets()

    assert once == 1
    assert sim.bitso.requests[BOOKS] == 2
    assert all(each == loaded[0] for each in [*loaded, again, others])
    assert all(gateway._exchange.market("BTC/MXN")["id"] == "btc_mxn" for gateway in gateways)
    with pytest.raises(AuthenticationFailed):
        await gateways[7].open_orders(symbol="BTC/MXN")


async def test_objects_that_are_made_otherwise_load_their_own(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """Another address or other options may have other markets; so may a caller's object that came with some."""
    other = {"options": {"fetchMarkets": {"types": ["spot"]}}}
    known = ccxt.async_support.bitso(config_of(sim))
    known.timeout_on_exit = 0
    known.set_markets([known.safe_market_structure({**MARKET, "symbol": "ETH/MXN", "base": "ETH", "id": "eth_mxn"})])

    async with CcxtGateway(known, limits=None, account="own") as own:
        mine = await own.markets()
        await make(account="one").markets()
        await make(account="two", config=other).markets()
        still = await own.markets()
    await known.close()

    assert sim.bitso.requests[BOOKS] == 2
    assert set(mine) == set(still) == {"ETH/MXN"}


async def test_an_object_that_is_switched_loads_the_markets_of_where_it_goes(
    sim: Any, make: Callable[..., CcxtGateway]
) -> None:
    """As from an exchange to its sandbox: neither has the other's, before a load or after it."""
    one, two, other = (make(account=name) for name in ("one", "two", "other"))
    elsewhere = {"rest": sim.bitso.origin.replace("127.0.0.1", "localhost") + "/api"}

    await one.markets()
    one._exchange.urls["api"] = other._exchange.urls["api"] = elsewhere
    await other.markets()
    moved = sim.bitso.requests[BOOKS]
    await one.markets()
    await two.markets()

    assert moved == sim.bitso.requests[BOOKS] == 2


async def test_a_callers_object_gives_back_the_markets_of_another(sim: Any, make: Callable[..., CcxtGateway]) -> None:
    """What another account's object loaded is known while the gateway lives, and not after it."""
    known = ccxt.async_support.bitso(config_of(sim))
    known.timeout_on_exit = 0
    await make(account="one").markets()

    async with CcxtGateway(known, limits=None, account="two") as gateway:
        await gateway.markets()
        assert known.markets is not None
    await known.close()

    assert known.markets is None
    assert sim.bitso.requests[BOOKS] == 1


async def test_what_comes_with_a_load_of_markets_is_asked_for_each_account() -> None:
    """KuCoin's orders go by the kind of account, which ccxt learns while it loads the markets."""
    asked: list[str] = []

    def made(account: str) -> Any:
        known = ccxt.async_support.kucoin({"apiKey": account, "secret": "s", "password": "p"})
        known.timeout_on_exit = 0

        async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            asked.append(f"{account} {url.partition('?')[0].rpartition('kucoin.com')[2]}")
            return {"code": "200000", "data": account == "new" if url.endswith("hf/accounts/opened") else rows}

        known.fetch = fetch
        return known

    row = {"symbol": "BTC-USDT", "baseCurrency": "BTC", "quoteCurrency": "USDT", "enableTrading": True}
    rows = [{**row, "baseIncrement": "0.00001", "priceIncrement": "0.1", "quoteIncrement": "0.1"}]
    objects = [made("new"), made("old")]
    for known in objects:
        known.has["fetchCurrencies"] = False
        known.options["fetchMarkets"] = {"types": ["spot"], "fetchTickersFees": False}
    async with (
        CcxtGateway(objects[0], limits=None, account="new") as new,
        CcxtGateway(objects[1], limits=None, account="old") as old,
    ):
        assert set(await new.markets()) == set(await old.markets()) == {"BTC/USDT"}
        assert [known.options["hf"] for known in objects] == [True, False]
    for known in objects:
        await known.close()

    assert [text for text in asked if text.endswith("v2/symbols")] == ["new /api/v2/symbols"]
    assert {text.split()[0] for text in asked if text.endswith("hf/accounts/opened")} == {"new", "old"}
