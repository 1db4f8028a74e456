"""
The simulation's own page and controls, beside the API that it simulates.

`GET /` is a page for people (`page.html`), plain HTML that asks for the state once a second: no build step, nothing
from elsewhere. For bots in any language there are, with JSON bodies:

POST   /_simulator/faults   {"kind": "accept_then_drop", "operation": "place", "nth": 2, ...}
DELETE /_simulator/faults
POST   /_simulator/clock    {"seconds": 3600}
POST   /_simulator/trade    {"market": "btc_mxn", "price": "1000000", "quantity": "0.5", "book": "paper"}
POST   /_simulator/settings {"visibility_window": 0, ...}
GET    /_simulator/state    what the page shows
"""

import ipaddress
import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orderbridge.simulator.basics import plain
from orderbridge.simulator.engine.market import Half, SimMarket
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Request, Response, json_response
from orderbridge.simulator.putting import MarketHandle

if TYPE_CHECKING:
    from orderbridge.simulator.venue import Venue

PREFIX = "/_simulator/"
LEVELS = 5
ORDERS = 60
REQUESTS = 15


class Console:
    """Shows one venue and lets its faults, clock, prices and settings be changed over HTTP."""

    def __init__(self, venue: "Venue") -> None:
        self._venue = venue
        self._actions: dict[tuple[str, str], Callable[[dict[str, Any]], None]] = {
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): lambda _: self._venue.clear_faults(),
            ("POST", "clock"): lambda body: self._venue.clock.advance(float(body["seconds"])),
            ("POST", "trade"): self._trade,
            ("POST", "settings"): self._set,
        }

    def wants(self, request: Request) -> bool:
        """True for a request to the console and not to the API."""
        return request.path == "/" or request.path.startswith(PREFIX)

    def answer(self, request: Request) -> Response:
        """The page, its data, or the outcome of a control."""
        if request.path == "/":
            page = (files("orderbridge.simulator") / "page.html").read_text("utf-8")
            return Response(200, page.replace("{venue}", self._venue.name).encode(), "text/html; charset=utf-8")
        what = request.path.removeprefix(PREFIX)
        if (request.method, what) == ("GET", "state"):
            return json_response(200, self.state())
        action = self._actions.get((request.method, what))
        if action is None:
            return json_response(404, {"error": f"no such control; see {__name__}"})
        if not _own_page(request):
            return json_response(403, {"error": "controls are not for pages of other origins"})
        try:
            body = json.loads(request.body or b"{}")
            action(body if isinstance(body, dict) else {})
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as e:
            return json_response(400, {"error": f"{type(e).__name__}: {e}"})
        return json_response(200, {"done": True})

    def _add_fault(self, body: dict[str, Any]) -> None:
        self._venue.fault(body.pop("kind"), **body)

    def _trade(self, body: dict[str, Any]) -> None:
        engines = self._venue.engines
        engine = engines[body.get("book", next(iter(engines)))]
        market = MarketHandle(engine, body["market"], self._venue.lock)
        market.trade(price=str(body["price"]), quantity=None if "quantity" not in body else str(body["quantity"]))

    def _set(self, body: dict[str, Any]) -> None:
        settings = self._venue.settings
        replace(settings, **body)  # all of them, or none
        for name, value in body.items():
            setattr(settings, name, value)

    def state(self) -> dict[str, Any]:
        """Everything that the page shows."""
        return {
            "venue": self._venue.name,
            "time": self._venue.clock.now().isoformat(timespec="seconds"),
            "requests": sum(self._venue.requests.values()),
            "recent": [name for _, name in islice(reversed(self._venue.request_times), REQUESTS)],
            "faults": [_fault_row(rule) for rule in self._venue.faults],
            "books": [
                _market_row(book, market)
                for book, engine in self._venue.engines.items()
                for market in engine.markets.values()
            ],
            "orders": self._orders(),
        }

    def _orders(self) -> list[dict[str, Any]]:
        rows = [
            _order_row(book, order)
            for book, engine in self._venue.engines.items()
            for order in islice(reversed(engine.ledger.orders.values()), ORDERS)
        ]
        return sorted(rows, key=lambda row: row["created_at"], reverse=True)[:ORDERS]


def _own_page(request: Request) -> bool:
    """
    A browser tells which page a request comes from; anything else has no Origin.

    A name from the DNS is not believed, since it may be made to lead here (rebinding): `localhost` and
    addresses are.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        page = urlsplit(origin)
        if page.hostname != "localhost":
            ipaddress.ip_address(page.hostname or "")
    except ValueError:
        return False
    return page.netloc == request.headers.get("host")


def _fault_row(rule: Fault) -> dict[str, Any]:
    told = {name: getattr(rule, name) for name in ("nth", "times", "probability", "seconds", "status")}
    return {
        "kind": rule.kind,
        "operation": rule.operation or "every operation",
        "how": ", ".join(f"{name}={value}" for name, value in told.items() if value is not None),
        "seen": rule.seen,
        "struck": rule.struck,
    }


def _market_row(book: str, market: SimMarket) -> dict[str, Any]:
    return {
        "book": book,
        "market": market.instrument.name,
        "last": plain(market.last),
        "bids": _levels(market.book.bids),
        "asks": _levels(market.book.asks),
    }


def _levels(half: Half) -> list[list[str]]:
    return [[plain(price), plain(size)] for price, size in islice(half.sizes(), LEVELS)]


def _order_row(book: str, order: SimOrder) -> dict[str, Any]:
    return {
        "book": book,
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "type": order.facts.get("type", order.type),
        "price": None if order.price is None else plain(order.price),
        "quantity": None if order.quantity is None else plain(order.quantity),
        "filled": plain(order.filled),
        "state": "partly filled" if order.active and order.filled else order.state.value,
        "created_at": order.created_at.isoformat(timespec="seconds"),
    }
