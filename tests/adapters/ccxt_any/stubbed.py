"""Any exchange of ccxt's whose HTTP call is answered by a function, errors included."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

from orderbridge import OrderRef
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.http.retry import Retries
from orderbridge.model.order import Order
from tests.adapters.ccxt_any.conftest import MARKET

Answer = Callable[[str, str, Any, Any], tuple[int, Any]]
Request = tuple[str, str, Any]


class Stubbed:
    """A gateway, and what left it."""

    def __init__(self, gateway: CcxtGateway, sent: list[Request]) -> None:
        self.gateway = gateway
        self.sent = sent

    def ref(self, order_id: str) -> OrderRef:
        """An order of the one market."""
        return OrderRef(gateway=self.gateway.name, order_id=order_id, symbol="BTC/USDT")

    async def get(self, ref: OrderRef) -> Order:
        """The order, by the gateway."""
        return await self.gateway.get(ref)


@asynccontextmanager
async def stubbed(
    name: str,
    answer: Answer,
    *,
    bases: Sequence[str] = ("BTC",),
    market: Mapping[str, Any] | None = None,
    secret: str = "c2VjcmV0LXZhbHVlLWxvbmctZW5vdWdo",
    exchange: Any = None,
    **settings: Any,
) -> AsyncIterator[Stubbed]:
    """
    An exchange with a market in USDT of each base; its answers pass through all of ccxt's own reading of errors.

    Args:
        market: what ccxt says of the markets besides. secret: each credential that it requires. exchange: one that has
            its markets and credentials already.
    """
    known = exchange or getattr(import_module("ccxt.async_support"), name)()
    for field, is_needed in known.requiredCredentials.items():
        if is_needed and exchange is None:
            setattr(known, field, secret)
    # By decimal places, by significant digits of the price, or by steps.
    counted = {2: {"amount": 5, "price": 2}, 3: {"amount": 8, "price": 5}}
    steps = counted.get(known.precisionMode, {"amount": "0.00001", "price": "0.01"})
    quoted = {**MARKET, "quote": "USDT", "quoteId": "USDT", "precision": steps, "info": {"orderTypes": ["LIMIT"]}}
    names = [{"id": f"{base}USDT", "symbol": f"{base}/USDT", "base": base, "baseId": base} for base in bases]
    if exchange is None:
        known.set_markets([known.safe_market_structure({**quoted, **each, **(market or {})}) for each in names])
    known.timeout_on_exit = 0
    sent: list[Request] = []

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        sent.append((method, url, body))
        status, value = answer(url, method, headers, body)
        text = json.dumps(value)
        known.on_rest_response(status, "", url, method, {}, text, {}, body)
        read = None
        with suppress(ValueError):
            read = known.on_json_response(text)
        if known.handle_errors(status, "", url, method, {}, text, read, headers or {}, body) is None:
            known.handle_http_status_code(status, "", url, method, text)
        return read

    known.fetch = fetch
    try:
        async with CcxtGateway(known, limits=None, retries=Retries(tries=1), **settings) as gateway:
            yield Stubbed(gateway, sent)
    finally:
        await known.close()
