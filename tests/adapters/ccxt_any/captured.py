"""What leaves through a gateway over any of ccxt's exchanges, taken down before it would reach the network."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from orderbridge import OrderRequest
from orderbridge.adapters.ccxt_any import CcxtGateway
from orderbridge.adapters.ccxt_any.overrides import traits_of
from orderbridge.errors import OrderBridgeError
from orderbridge.http.retry import Retries
from tests.adapters.ccxt_any.conftest import MARKET

SYMBOL: Final = "BTC/USDT"
_SEED: Final = bytes(range(32))
_PEM: Final = Ed25519PrivateKey.from_private_bytes(_SEED).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
# What an exchange's order needs of the object beyond credentials of any text.
_SECRETS: Final[dict[str, dict[str, Any]]] = {
    "gemini": {"apiKey": "account-of-nobody"},
    "backpack": {"secret": base64.b64encode(_SEED).decode()},
    "revolutx": {"privateKey": _PEM.decode()},
    "pacifica": {"privateKey": "5" * 87, "walletAddress": "5" * 43},
}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "bitvavo": {"operatorId": 1},
    "cex": {"accountId": "1"},
    "bullish": {"tradingAccountId": "111"},
    "derive": {"subaccount_id": 1, "max_fee": "1", "deriveWalletAddress": "0x" + "19" * 20},
}
# Exchanges that number their markets.
_NUMBERED: Final = frozenset({"hyperliquid", "nado", "ndax", "delta", "bitteam"})
_TYPES: Final = ("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
_INFO: Final = {
    "orderTypes": list(_TYPES),
    "quoteIncrement": "0.01",
    "base_asset_address": "0x" + "22" * 20,
    "base_asset_sub_id": "0",
}
# What is asked before an order, by a part of the path.
_ANSWERS: Final[dict[str, Any]] = {
    "v5/account/info": {"retCode": 0, "result": {"unifiedMarginStatus": 5}},
    "v5/user/query-api": {"retCode": 0, "result": {"uta": 1, "unified": 1}},
    "account/accounts": {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]},
    "account/mode": {"code": "200000", "data": {"selfAccountMode": "CLASSIC"}},
    "GetUserAccounts": [149],
    "v1/query": {"status": "success", "data": {"chain_id": "57073", "endpoint_addr": "0x" + "11" * 20}},
    "v3/builder": [],
    "hmac/login": {"token": "token", "authorizer": "nobody"},
}


@dataclass(frozen=True)
class Left:
    """One request: its path, and the fields of its query and body."""

    method: str
    path: str
    fields: dict[str, Any]
    is_write: bool
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def flat(self) -> dict[str, Any]:
        """Every single value, by its path."""
        return dict(_flat(self.fields))


def _flat(value: Any, path: str = "") -> list[tuple[str, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [pair for name, each in items for pair in _flat(each, f"{path}.{name}".lstrip("."))]


def _fields(url: str, body: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dict(parse_qsl(urlsplit(url).query))
    text = body.decode() if isinstance(body, bytes) else body or ""
    # An exchange that signs its body has it in base 64, here or in a header.
    for read in (json.loads, lambda text: json.loads(base64.b64decode(text)), lambda text: dict(parse_qsl(text))):
        with suppress(ValueError):
            found = read(text)
            return {**fields, **(found if isinstance(found, dict) else {"": found})}
    return fields


def exchange_of(name: str) -> Any:
    """An exchange with credentials of nobody and one market."""
    known = getattr(import_module("ccxt.async_support"), name)()
    for credential, is_needed in known.requiredCredentials.items():
        if is_needed:
            setattr(known, credential, "c2VjcmV0LXZhbHVlLWxvbmctZW5vdWdo")
    if known.requiredCredentials.get("walletAddress") or name == "aster":
        known.walletAddress, known.privateKey = "0x" + "19" * 20, "0x" + "11" * 32
    if known.requiredCredentials.get("uid"):
        known.uid = "12345"
    for secret, value in _SECRETS.get(name, {}).items():
        setattr(known, secret, value)
    known.options.update(_OPTIONS.get(name, {}))
    if name == "cex":
        known.options.setdefault("createOrder", {})["accountId"] = "1"
    places = {2: {"amount": 5, "price": 2}, 3: {"amount": 8, "price": 6, "cost": 8}}
    steps = places.get(known.precisionMode, {"amount": "0.00001", "price": "0.01", "cost": "0.01"})
    id = "10107" if name in _NUMBERED else "BTCUSDT"
    ids = {"id": id, "baseId": id if name == "hyperliquid" else "BTC", "quoteId": "USDT", "numericId": 10107}
    names = {"symbol": SYMBOL, "base": "BTC", "quote": "USDT", "lowercaseId": "btcusdt", "uppercaseId": "BTCUSDT"}
    scales = {"valueScale": 8, "priceScale": 8, "ratioScale": 8}
    market = {**MARKET, **ids, **names, **scales, "precision": steps, "info": _INFO, "active": True}
    known.set_markets([known.safe_market_structure(market)])
    known.options["marketsByAltname"] = {"BTCUSDT": known.markets[SYMBOL]}
    known.timeout_on_exit = 0
    return known


@asynccontextmanager
async def capturing(name: str, **options: Any) -> AsyncIterator[tuple[CcxtGateway, list[Left]]]:
    """A gateway, and what leaves it; `options` are ccxt's, such as tell one kind of account from another."""
    known, left = exchange_of(name), []
    known.options.update(options)
    traits = traits_of(known)

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        told = headers or {}
        fields = _fields(url, body or told.get("X-GEMINI-PAYLOAD") or told.get("X-COINONE-PAYLOAD"))
        left.append(Left(method, urlsplit(url).path, fields, traits.writes(method, url.partition("?")[0]), told))
        answer = next((value for part, value in _ANSWERS.items() if part in url), {})
        known.on_rest_response(200, "", url, method, {}, json.dumps(answer), {}, body)
        return answer

    known.fetch = fetch
    try:
        async with CcxtGateway(known, limits=None, retries=Retries(tries=1)) as gateway:
            yield gateway, left
    finally:
        await known.close()


async def captured(name: str, **order: Any) -> list[Left]:
    """The requests that an order makes. Raises what a gateway does that sends nothing."""
    async with capturing(name) as (gateway, left):
        return await leaving(gateway, left, **order)


async def leaving(gateway: CcxtGateway, left: list[Left], **order: Any) -> list[Left]:
    """The requests that an order makes of a gateway which made others before."""
    before = len(left)
    try:
        await gateway.submit(OrderRequest(symbol=SYMBOL, **order))
    except OrderBridgeError:
        # Nothing here answers as an exchange does: what counts is what had left.
        if not any(each.is_write for each in left[before:]):
            raise
    return left[before:]
