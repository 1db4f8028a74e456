"""The page at `/`: plain HTML that asks for the state once a second. No build step, nothing from elsewhere."""

from typing import Final

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
