"""
A small Binance on loopback: spot orders by ccxt's calls, one swap market, and answers that get lost on command.

It is a proxy too: of a request for an absolute address it answers as the one that is asked.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

PRICE = Decimal(60000)
_SPOT = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
    "isSpotTradingAllowed": True,
    "permissions": ["SPOT"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
        {"filterType": "NOTIONAL", "minNotional": "5"},
    ],
}
_SWAP = {
    **_SPOT,
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000,
    "marginAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
}


class Seen(NamedTuple):
    """A request, as it came."""

    call: str
    params: dict[str, str]
    headers: dict[str, str]
    by_proxy: bool


class FakeBinance:
    """
    Attributes:
        seen: every request. orders: by id. lose: how many answers to new orders get lost, once they are placed.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.orders: dict[int, dict[str, Any]] = {}
        self.lose = 0
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def calls(self) -> Counter[str]:
        """How often each call came, as `POST /api/v3/order`."""
        return Counter(each.call for each in self.seen)

    @property
    def placed(self) -> list[dict[str, Any]]:
        """The spot orders, in the order in which they were placed."""
        return [order for order in self.orders.values() if order["at"] == "/api/v3"]

    def config(self, **more: Any) -> dict[str, Any]:
        """What points ccxt's Binance here."""
        paths = {
            **dict.fromkeys(("public", "private", "v1"), "/api/v3"),
            **dict.fromkeys(("fapiPublic", "fapiPrivate"), "/fapi/v1"),
            **dict.fromkeys(("sapi", "sapiV2", "sapiV3"), "/sapi/v1"),
        }
        options = {"fetchMarkets": {"types": ["spot", "linear"]}, "fetchCurrencies": False, "fetchMargins": False}
        return {
            "apiKey": "key-of-fake",
            "secret": "secret-of-fake",
            "urls": {"api": {name: self.origin + path for name, path in paths.items()}},
            "enableRateLimit": False,
            "timeout": 10_000,
            "timeout_on_exit": 0,
            **more,
            "options": {**options, **more.get("options", {})},
        }

    def answer(self, call: str, params: dict[str, str]) -> tuple[int, Any]:
        """The status and the body of an answer; no body where it gets lost."""
        with self._lock:
            method, _, path = call.partition(" ")
            root, _, name = path.rpartition("/")
            known = getattr(self, f"_{method.lower()}_{name}", None)
            return (404, {"code": -1, "msg": call}) if known is None else known(root, params)

    def _get_exchangeInfo(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        return 200, {"timezone": "UTC", "rateLimits": [], "symbols": [_SPOT if at == "/api/v3" else _SWAP]}

    def _get_account(self, at: str, params: dict[str, str]) -> tuple[int, Any]:
        return 200, {"balances": [{"asset": "USDT", "free": "1000", "locked": "0"}]}

    def _post_order(self, at: str, params: dict[str, str]) -> tuple[int, Any]:
        client = params.get("newClientOrderId", "")
        if any(each["clientOrderId"] == client and each["status"] == "NEW" for each in self.orders.values()):
            return 400, {"code": -2010, "msg": "Duplicate order sent."}
        number = 1000 + len(self.orders)
        at_market = params["type"] == "MARKET"
        quantity = params.get("quantity") or str(Decimal(params["quoteOrderQty"]) / PRICE)
        filled = quantity if at_market else "0"
        fill = {"price": str(PRICE), "qty": filled, "commission": "0", "commissionAsset": "BTC", "tradeId": number}
        self.orders[number] = order = {
            "at": at,
            "symbol": params["symbol"],
            "orderId": number,
            "orderListId": -1,
            "clientOrderId": client,
            "price": params.get("price", "0"),
            "origQty": quantity,
            "executedQty": filled,
            "cummulativeQuoteQty": str(Decimal(filled) * PRICE),
            "status": "FILLED" if at_market else "NEW",
            "timeInForce": params.get("timeInForce", "GTC"),
            "type": params["type"],
            "side": params["side"],
            "time": int(time.time() * 1000),
            "updateTime": int(time.time() * 1000),
            "transactTime": int(time.time() * 1000),
            "isWorking": True,
            "origQuoteOrderQty": params.get("quoteOrderQty", "0"),
            "fills": [fill] if at_market else [],
        }
        if self.lose:
            self.lose -= 1
            return 200, None
        return 200, order

    def _found(self, params: dict[str, str]) -> dict[str, Any] | None:
        number, client = params.get("orderId"), params.get("origClientOrderId")
        for order in self.orders.values():
            if str(order["orderId"]) == number or (client and order["clientOrderId"] == client):
                return order
        return None

    def _get_order(self, at: str, params: dict[str, str]) -> tuple[int, Any]:
        order = self._found(params)
        return (200, order) if order else (400, {"code": -2013, "msg": "Order does not exist."})

    def _delete_order(self, at: str, params: dict[str, str]) -> tuple[int, Any]:
        order = self._found(params)
        if order is None or order["status"] != "NEW":
            return 400, {"code": -2011, "msg": "Unknown order sent."}
        order["status"] = "CANCELED"
        return 200, {**order, "origClientOrderId": order["clientOrderId"]}

    def _delete_allOpenOrders(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        for order in self.orders.values():
            if order["at"] == at and order["status"] == "NEW":
                order["status"] = "CANCELED"
        return 200, {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _delete_openOrders(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        open_now = [order for order in self.orders.values() if order["at"] == at and order["status"] == "NEW"]
        self._delete_allOpenOrders(at, params)
        return 200, open_now

    def _get_openOrders(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        return 200, [order for order in self.orders.values() if order["status"] == "NEW" and order["at"] == at]

    def _get_allOrders(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        return 200, [order for order in self.orders.values() if order["at"] == at]

    def _get_myTrades(self, at: str, params: dict[str, str]) -> tuple[int, Any]:  # noqa: N802
        return 200, [
            {
                "symbol": order["symbol"],
                "id": order["orderId"],
                "orderId": order["orderId"],
                "price": str(PRICE),
                "qty": order["executedQty"],
                "quoteQty": order["cummulativeQuoteQty"],
                "commission": "0",
                "commissionAsset": "BTC",
                "time": order["time"],
                "isBuyer": order["side"] == "BUY",
                "isMaker": False,
            }
            for order in self.orders.values()
            if Decimal(order["executedQty"]) and str(order["orderId"]) == params.get("orderId", str(order["orderId"]))
        ]


def _handler_of(venue: FakeBinance) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: object) -> None:
            """Nothing is printed."""

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            params = dict(parse_qsl(parts.query) + parse_qsl(body))
            call = f"{self.command} {parts.path}"
            headers = {name.lower(): value for name, value in self.headers.items()}
            venue.seen.append(Seen(call, params, headers, self.path.startswith("http")))
            status, answer = venue.answer(call, params)
            if answer is None:
                self.close_connection = True
                return
            said = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

    return Handler
