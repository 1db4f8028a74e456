"""One of Bitso's answers, and what gives it at once to us and to ccxt: what is left is each one's own work."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

from orderbridge import (
    Capabilities,
    Found,
    Idempotency,
    LookupResult,
    Order,
    OrderBridge,
    OrderRequest,
    Permit,
    RefLike,
)
from orderbridge.gateway import ClientIdRule
from orderbridge.http.transport import WireRequest, WireResponse
from orderbridge.placement import SqliteJournal
from tests.benchmarks.figures import Call
from tests.bridge.conftest import NOW, Stub

KEYS: dict[str, Any] = {"api_key": "key", "api_secret": "secret", "limits": None}
_numbers = itertools.count(1)


def limit_buy(**changes: Any) -> OrderRequest:
    """An order as a bot would place it."""
    fields = {"symbol": "BTC/MXN", "side": "buy", "quantity": "0.01", "price": "560000"}
    return OrderRequest.limit(**{**fields, **changes})


def place_on(bridge: OrderBridge, **how: float) -> Call:
    """Places one order under a key of its own."""
    request, (name, *_) = limit_buy(), bridge.names
    return lambda: bridge.place(name, request, key=f"k{next(_numbers)}", **how)


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


def body_of(number: int) -> bytes:
    """A page of so many orders."""
    return _body([bitso_order(f"Q{each}") for each in range(1, number + 1)])


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
_ONE, MANY = body_of(1), body_of(499)
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


class Session:
    """What answers at once, in place of ccxt's aiohttp session."""

    headers: dict[str, str] = {}  # noqa: RUF012 - ccxt asks for it

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda url, **_: Answered(answer(method.upper(), str(url)))

    async def close(self) -> None: ...


class Answered:
    """A response of aiohttp's, as far as ccxt looks at it."""

    status, reason = 200, "OK"

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.headers = {"Content-Type": "application/json"}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    async def text(self, errors: str = "strict") -> str:
        return self._body.decode("utf-8", errors)


class Instant(Stub):
    """A gateway that accepts each order at once, and keeps none: what a bridge does by itself is all that is left."""

    capabilities = Capabilities(
        order_types=frozenset({"limit"}),
        times_in_force=frozenset({"gtc"}),
        client_order_id=ClientIdRule(alphabet="0-9A-Za-z-", max_length=40),
        idempotency=Idempotency.WHILE_ACTIVE,
    )

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
        return _ACCEPTED.model_copy(update=told)

    async def lookup(self, *refs: RefLike, timeout: float | None = None) -> LookupResult:
        return LookupResult(refs=refs, found=tuple(Found() for _ in refs))  # nobody said that it is not there


_ACCEPTED = Order(
    venue=Stub.venue,
    order_id="",
    raw_type="limit",
    status="accepted",
    observed_at=NOW,
    **limit_buy().model_dump(include={"symbol", "side", "type", "quantity", "price", "time_in_force"}),
)


def bridge_at_once(journal: Path | None = None) -> OrderBridge:
    """A bridge whose venue answers at once, with a journal at that path if one."""
    return OrderBridge(Instant(Stub.venue), journal=None if journal is None else SqliteJournal(journal))
