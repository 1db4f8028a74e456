"""A gateway in this process that answers at once, and one of Bitso's answers: what is left is our own work."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import unquote

from orderbridge import Capabilities, Idempotency, Order, OrderList, OrderRequest, Permit, UnsupportedCalls
from orderbridge.gateway import ClientIdRule
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.model.results import Found, LookupResult

NAME = "instant"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def limit_buy(**changes: Any) -> OrderRequest:
    """An order as a bot would place it."""
    fields = {"symbol": "BTC/MXN", "side": "buy", "quantity": "0.01", "price": "560000"}
    return OrderRequest.limit(**{**fields, **changes})


def shown(request: OrderRequest, order_id: str) -> Order:
    """What the venue answers: an id, and the order as asked for."""
    return Order(
        venue=NAME,
        order_id=order_id,
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        raw_type="limit",
        status="accepted",
        quantity=request.quantity,
        price=request.price,
        time_in_force=request.time_in_force,
        observed_at=NOW,
    )


class InstantGateway(UnsupportedCalls):
    """Accepts each order at once, and keeps none."""

    name = venue = NAME
    account = "default"
    capabilities = Capabilities(
        order_types=frozenset({"limit"}),
        times_in_force=frozenset({"gtc"}),
        client_order_id=ClientIdRule(alphabet="0-9A-Za-z-", max_length=40),
        idempotency=Idempotency.WHILE_ACTIVE,
    )

    def __init__(self) -> None:
        self._answer = shown(limit_buy(), "")

    async def permit(self, lane: Any = "place", *, timeout: float | None = None) -> Permit:
        return Permit(gateway=self.name, lane=lane, granted_at=0.0)

    async def submit(
        self,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        if permit is not None:
            permit.spend()
        told = {"order_id": f"new{next(_oids)}", "client_order_id": request.client_order_id}
        return self._answer.model_copy(update=told)

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        return LookupResult(refs=refs, found=tuple(Found() for _ in refs))

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        return OrderList(as_of=NOW)

    async def aclose(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def bitso_order(oid: str, *, unfilled: str = "0.00400000", status: str = "partially filled") -> dict[str, str]:
    """A working order as Bitso shows it."""
    return {
        "book": "btc_mxn",
        "original_amount": "0.01000000",
        "unfilled_amount": unfilled,
        "original_value": "56.00000000",
        "created_at": "2016-04-08T17:52:31.000+00:00",
        "updated_at": "2016-04-08T17:52:51.000+00:00",
        "price": "5600.00",
        "side": "buy",
        "status": status,
        "type": "limit",
        "oid": oid,
        "origin_id": f"bot-{oid}",
        "time_in_force": "goodtillcancelled",
    }


def _body(payload: object) -> bytes:
    return json.dumps({"success": True, "payload": payload}).encode()


_BOOK = {
    "book": "btc_mxn",
    "tick_size": "10",
    "minimum_amount": ".00001",
    "maximum_amount": "5000",
    "minimum_price": "1",
    "maximum_price": "20000000",
    "minimum_value": "1",
    "maximum_value": "200000000",
    "fees": {"flat_rate": {"maker": "0.500", "taker": "0.650"}, "structure": []},
}
_CODES = [{"code": "btc", "precision": 8}, {"code": "mxn", "precision": 2}]
_ONE, MANY = _body([bitso_order("Q1")]), _body([bitso_order(f"Q{number}") for number in range(499)])
_UNTOUCHED = _body([bitso_order("new1", unfilled="0.01000000", status="queued")])
_BOOKS, _CATALOGUES, _NOTHING = _body([_BOOK]), _body({"currencies": {"metadata": _CODES}}), _body({})
# Each as long as the others, and no venue has one twice.
_oids = itertools.count(10**9)


def answer(method: str, url: str) -> bytes:
    """The body of Bitso's answer: the orders asked for, or one traded in part or not, 499, a new id, a book's rules."""
    if method == "POST":
        return b'{"success": true, "payload": {"oid": "new%d"}}' % next(_oids)
    if "oids=" in url:
        return _body([bitso_order(oid) for oid in unquote(url.rpartition("oids=")[2]).split(",")])
    known = {"available_books": _BOOKS, "catalogues": _CATALOGUES, "open_orders": MANY}
    known |= {"new1": _UNTOUCHED, "/orders": _ONE}
    return next((body for part, body in known.items() if part in url), _NOTHING)


class AtOnce:
    """A transport that gives Bitso's answers at once."""

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        return WireResponse(200, {"content-type": "application/json"}, answer(request.method, request.url))

    async def aclose(self) -> None: ...
