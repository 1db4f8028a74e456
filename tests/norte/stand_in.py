"""Norte itself, played in this process behind the gateway's HTTP engine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orderbridge.http.retry import Retries
from orderbridge.http.transport import NoAnswer, WireRequest, WireResponse
from orderbridge.testing import Accepted, StandIn
from tests.norte.venue import NorteGateway

SECRET = "secret"


class Row:
    """An order on Norte's books."""

    def __init__(self, id: str, fields: dict[str, Any]) -> None:
        self.order_id = id
        self.fields = {"filled": "0", "status": "open", **fields, "id": id}

    @property
    def active(self) -> bool:
        return self.fields["status"] in {"open", "partial"}


class Norte(StandIn):
    """The venue, as the contract plays it."""

    symbol, price, off_tick = "BTC/USD", "30000", "30000.001"
    nearest = (Decimal("30000.00"), Decimal("30000.01"))
    too_much: Mapping[str, str] = {"quantity": "9000", "price": "30000"}
    bad: Mapping[str, Any] = {"api_secret": "wrong"}
    unknown = "norte:00000000"

    def __init__(self) -> None:
        self.orders: dict[str, Row] = {}
        self.counts: Counter[str] = Counter()
        self.money = Decimal(1_000_000)
        self.next: str = ""
        self.held: asyncio.Event | None = None

    def gateway(self, **settings: Any) -> NorteGateway:
        quick = Retries(tries=2, first_wait=0.01, longest_wait=0.01)
        account = {"api_key": "key", "api_secret": SECRET, "transport": self, "retries": quick, "limits": None}
        return NorteGateway(**{**account, **settings})

    def accepted(self, client_order_id: str | None = None) -> Sequence[Accepted]:
        rows = self.orders.values()
        return [row for row in rows if client_order_id in (None, row.fields.get("client_id"))]

    def requests(self) -> Mapping[str, int]:
        return self.counts

    def fill(self, order_id: str, quantity: str | None = None) -> None:
        fields = self.orders[order_id].fields
        fields["filled"] = quantity or fields["size"]
        fields["status"] = "partial" if quantity else "done"

    def funds(self) -> Any:
        locked = sum(
            Decimal(row.fields["size"]) * Decimal(row.fields["price"]) for row in self.orders.values() if row.active
        )
        return {"free": self.money - locked, "locked": locked}

    def throttle(self) -> None:
        self.next = "throttle"

    def lose_answer(self) -> None:
        self.next = "lose"

    def hold_lists(self) -> None:
        self.held = asyncio.Event()

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        """Answer one request, as an HTTP engine would bring it."""
        parts = urlsplit(request.url)
        path, query = (
            parts.path.removeprefix("/v1"),
            {name: values[0] for name, values in parse_qs(parts.query).items()},
        )
        kind = {("POST", "/orders"): "place", ("GET", "/orders"): "list"}.get((request.method, path), path)
        if kind == "list" and "client_id" in query:
            kind = "by client id"
        self.counts[kind] += 1
        if kind == "list" and self.held is not None:
            await self.held.wait()
        fault, self.next = (self.next, "") if kind == "place" else ("", self.next)
        if fault == "throttle":
            return _reply(429, {"code": "slow_down", "message": "too many requests"})
        if path == "/markets":
            return _reply(200, [{"name": "BTC-USD", "tick": "0.01", "step": "0.0001"}])
        message = f"{request.headers['x-time']}{request.method}{request.target}".encode() + request.body
        if hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest() != request.headers["x-signature"]:
            return _reply(401, {"code": "bad_signature", "message": "the signature does not match"})
        answer = self._answer(request.method, path, query, json.loads(request.body or b"{}"))
        if fault == "lose":
            raise NoAnswer("the connection was dropped")
        return answer

    def _answer(self, method: str, path: str, query: Mapping[str, str], fields: dict[str, Any]) -> WireResponse:
        if path == "/orders" and method == "POST":
            return self._place(fields)
        if path == "/orders":
            rows = [row.fields for row in self.accepted(query.get("client_id")) if "status" not in query or row.active]
            return _reply(200, {"orders": rows})
        row = self.orders.get(path.removeprefix("/orders/"))
        if row is None:
            return _reply(404, {"code": "no_order", "message": "no such order"})
        if method != "GET" and not row.active:
            return _reply(409, {"code": "order_over", "message": "it is over"})
        if method == "DELETE":
            row.fields["status"] = "cancelled"
        row.fields |= fields
        return _reply(200, row.fields)

    def _place(self, fields: dict[str, Any]) -> WireResponse:
        if any(row.active and row.fields.get("client_id") == fields.get("client_id") for row in self.orders.values()):
            return _reply(409, {"code": "client_id_taken", "message": "an active order has it"})
        if Decimal(fields["size"]) * Decimal(fields["price"]) > self.funds()["free"]:
            return _reply(402, {"code": "no_funds", "message": "it costs too much"})
        row = Row(f"{len(self.orders) + 1:08x}", fields)
        self.orders[row.order_id] = row
        return _reply(201, row.fields)

    async def aclose(self) -> None:
        """Nothing to close."""


def _reply(status: int, payload: Any) -> WireResponse:
    return WireResponse(status, {"content-type": "application/json"}, json.dumps(payload).encode())
