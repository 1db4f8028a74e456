"""Three exchanges of ccxt's, their markets injected and their answers played from cassettes."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, Final

import vcr

from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.http.retry import Retries
from tests.cassettes.kit import FOLDER

NOW: Final = 1_767_607_200.0
ONCE: Final = Retries(tries=1)
# What differs from one run to the next, and what a secret made, in a query or a form.
_CHANGING: Final = re.compile(r"(timestamp|signature|nonce|recvWindow)=[^&]*&?")
_KEPT: Final = frozenset({"content-type", "retry-after"})
_SPOT: Final[dict[str, Any]] = {
    "type": "spot",
    "spot": True,
    "margin": False,
    "swap": False,
    "future": False,
    "option": False,
    "contract": False,
    "active": True,
}


def _market(id: str, symbol: str, *, amount: str, price: str, base_id: str = "", quote_id: str = "") -> dict[str, Any]:
    base, quote = symbol.split("/")
    return {
        **_SPOT,
        "id": id,
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "baseId": base_id or base,
        "quoteId": quote_id or quote,
        "precision": {"amount": amount, "price": price},
        "limits": {"amount": {"min": amount}, "price": {"min": price}, "cost": {"min": "5"}},
        # Binance's own row says which types it takes; the others' have no such list.
        "info": {"orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]},
    }


MARKETS: Final = {
    "binance": [
        _market("BTCUSDT", "BTC/USDT", amount="0.00001", price="0.01"),
        _market("LTCBTC", "LTC/BTC", amount="0.001", price="0.000001"),
    ],
    "kraken": [_market("XXBTZUSD", "BTC/USD", amount="0.00000001", price="0.1", base_id="XXBT", quote_id="ZUSD")],
    "coinbase": [_market("BTC-USD", "BTC/USD", amount="0.00000001", price="0.01")],
}


def told_by(exchange: Any, fetch: Any) -> Any:
    """A stub of ccxt's HTTP call whose answers are seen as ccxt's own are: with status and body."""

    async def told(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        answer = await fetch(url, method, headers, body)
        exchange.on_rest_response(200, "OK", url, method, {}, json.dumps(answer), {}, body)
        return answer

    return told


@asynccontextmanager
async def gateway(exchange: str, *, fetch: Any = None, **settings: Any) -> AsyncIterator[CcxtGateway]:
    """A gateway over an object of ccxt's with its markets; no pacing, no repeating."""
    ccxt = import_module("ccxt.async_support")
    known = getattr(ccxt, exchange)({"apiKey": "played-key", "secret": "cGxheWVkLXNlY3Jl"})
    known.set_markets([known.safe_market_structure(market) for market in MARKETS[exchange]])
    # Kraken's orders name their pair by another id than its markets; ccxt keeps it when it loads them.
    known.options["marketsByAltname"] = {"XBTUSD": known.markets.get("BTC/USD")}
    known.timeout_on_exit = 0
    if fetch is not None:
        known.fetch = told_by(known, fetch)
    try:
        async with CcxtGateway(known, limits=None, retries=ONCE, clock=lambda: NOW, **settings) as made:
            yield made
    finally:
        await known.close()


def _clean_request(request: Any) -> Any:
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in _KEPT}
    address, mark, query = request.uri.partition("?")
    query = _CHANGING.sub("", query).rstrip("&")
    request.uri = address + (mark + query if query else "")
    if request.body:
        request.body = _CHANGING.sub("", request.body.decode()).rstrip("&").encode() or None
    return request


def _clean_response(response: dict[str, Any]) -> dict[str, Any]:
    response["headers"] = {name: value for name, value in response["headers"].items() if name.lower() in _KEPT}
    return response


def player() -> vcr.VCR:
    """A VCR that only plays, and matches everything but times, nonces and signatures."""
    return vcr.VCR(
        cassette_library_dir=str(FOLDER),
        serializer="yaml",
        record_mode=vcr.mode.NONE,
        match_on=["method", "scheme", "host", "path", "query", "body"],
        before_record_request=_clean_request,
        before_record_response=_clean_response,
    )
