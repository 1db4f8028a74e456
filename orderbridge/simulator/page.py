"""
The simulation's own page and controls, beside the API that it simulates.

`GET /` is a page for people, plain HTML that asks for the state once a second: no build step, nothing from
elsewhere. For bots in any language there are, with JSON bodies:

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
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
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
            return Response(200, PAGE.replace("{venue}", self._venue.name).encode(), "text/html; charset=utf-8")
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


PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SIMULATION: {venue}</title>
<link rel="icon" href="data:,">
<style>
  body { font: 14px/1.4 system-ui, sans-serif; margin: 0; color: #1b1f24; background: #f6f7f9; }
  .warning { background: #b3261e; color: #fff; padding: 10px 20px; font-weight: 700; font-size: 16px; }
  main { display: grid; grid-template-columns: minmax(0, 3fr) minmax(260px, 1fr); gap: 16px; padding: 16px 20px; }
  section { background: #fff; border: 1px solid #d8dce1; border-radius: 6px; padding: 10px 14px; margin-bottom: 16px; }
  h1 { font-size: 20px; margin: 16px 20px 0; }
  h2 { font-size: 15px; margin: 0 0 8px; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
  th { text-align: left; font-weight: 600; color: #57606a; }
  th, td { padding: 2px 8px 2px 0; white-space: nowrap; }
  td.id { font-family: ui-monospace, monospace; font-size: 12px; }
  .scroll { overflow-x: auto; }
  .books { display: flex; flex-wrap: wrap; gap: 12px; }
  .book { border: 1px solid #e4e7eb; border-radius: 4px; padding: 6px 10px; min-width: 200px; }
  .buy { color: #116329; } .sell { color: #a40e26; } .quiet { color: #57606a; }
  button, select, input { font: inherit; margin: 2px 4px 2px 0; }
  ul { margin: 0; padding-left: 18px; }
  @media (max-width: 900px) { main { grid-template-columns: minmax(0, 1fr); } }
</style>
</head>
<body>
<div class="warning">SIMULATION. This is not {venue}: no real exchange, no real orders, no real money.</div>
<h1>{venue}, simulated</h1>
<main>
  <div>
    <section><h2>Orders <span class="quiet" id="count"></span></h2><div class="scroll"><table id="orders"></table></div>
    </section>
    <section><h2>Books</h2><div class="books" id="books"></div></section>
  </div>
  <div>
    <section><h2>Clock</h2><div id="time"></div>
      <button data-seconds="60">+1 minute</button><button data-seconds="3600">+1 hour</button></section>
    <section><h2>Faults</h2><div id="faults"></div>
      <form id="fault"><input name="kind" value="accept_then_drop" size="16" aria-label="kind">
        <input name="operation" value="place" size="10" aria-label="operation">
        <input name="times" value="1" size="3" aria-label="times"><button>Add</button>
        <button type="button" id="clear">Clear all</button></form><div class="sell" id="problem"></div></section>
    <section><h2>Requests <span class="quiet" id="requests"></span></h2><ul id="recent"></ul></section>
  </div>
</main>
<script>
const $ = (id) => document.getElementById(id);
const make = (tag, text, kind) => {
  const node = document.createElement(tag);
  node.textContent = text === null || text === undefined ? "" : text;
  if (kind) node.className = kind;
  return node;
};
const row = (cells, tag = "td") => {
  const line = document.createElement("tr");
  for (const [text, kind] of cells) line.append(make(tag, text, kind));
  return line;
};
const orderRow = (o) => row([[o.created_at.slice(11, 19)], [o.book, "quiet"], [o.symbol], [o.side, o.side], [o.type],
  [o.quantity], [o.filled], [o.price], [o.state], [o.order_id, "id"], [o.client_order_id, "id"]]);
const bookCard = (b) => {
  const card = make("div", "", "book"), table = document.createElement("table");
  card.append(make("b", b.market), make("span", "  last " + b.last, "quiet"), table);
  for (const [p, q] of b.asks.slice().reverse()) table.append(row([[p, "sell"], [q]]));
  for (const [p, q] of b.bids) table.append(row([[p, "buy"], [q]]));
  return card;
};
const faultLine = (f) => `${f.kind} on ${f.operation} ${f.how ? "(" + f.how + ")" : ""}: ${f.struck} of ${f.seen}`;
async function refresh() {
  try {
    const s = await (await fetch("/_simulator/state")).json();
    $("time").textContent = s.time;
    $("requests").textContent = s.requests;
    $("count").textContent = s.orders.length + " latest";
    const head = ["time", "book", "symbol", "side", "type", "quantity", "filled", "price", "state", "id", "client id"];
    $("orders").replaceChildren(row(head.map((h) => [h]), "th"), ...s.orders.map(orderRow));
    $("books").replaceChildren(...(s.books.length ? s.books.map(bookCard) : [make("span", "No market was used yet.")]));
    $("faults").replaceChildren(...(s.faults.length ? s.faults.map((f) => make("div", faultLine(f)))
                                                    : [make("div", "None: it behaves.", "quiet")]));
    $("recent").replaceChildren(...s.recent.map((r) => make("li", r)));
  } catch (e) { $("time").textContent = "not reachable"; }
}
async function send(method, path, body) {
  const answer = await fetch("/_simulator/" + path, { method, body: body && JSON.stringify(body) });
  $("problem").textContent = answer.ok ? "" : (await answer.json()).error;
  refresh();
}
for (const b of document.querySelectorAll("[data-seconds]"))
  b.onclick = () => send("POST", "clock", { seconds: +b.dataset.seconds });
$("clear").onclick = () => send("DELETE", "faults");
$("fault").onsubmit = (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  send("POST", "faults", { kind: form.get("kind"), operation: form.get("operation") || null,
                           times: form.get("times") ? +form.get("times") : null });
};
refresh();
setInterval(refresh, 1000);
</script>
</body>
</html>
"""
