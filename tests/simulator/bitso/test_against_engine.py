"""The HTTP face adds nothing and loses nothing: one flow through sockets and through the engine agrees."""

import hashlib
import hmac
import http.client
import itertools
import json
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orderbridge.simulator import SimClock, Simulator
from orderbridge.simulator.engine.engine import NotEnough
from orderbridge.simulator.engine.order import SimOrder, State
from tests.kind import KIND

START = 1_767_607_200.0
SIDES = st.sampled_from(["buy", "sell"])
PRICES = st.integers(115, 125).map(lambda n: Decimal(n) * 10_000)
SIZES = st.integers(1, 40).map(lambda n: Decimal(n).scaleb(-2))
TERMS = {"goodtillcancelled": ("gtc", False), "immediateorcancel": ("ioc", False),
         "fillorkill": ("fok", False),
         "postonly": ("gtc", True)}  # fmt: skip
WHICH = st.integers(0, 9)
STEPS = st.one_of(
    st.tuples(st.just("limit"), SIDES, SIZES, PRICES, st.sampled_from(sorted(TERMS))),
    st.tuples(st.just("market"), SIDES, SIZES),
    st.tuples(st.just("money"), SIDES, st.integers(100, 500_000).map(Decimal)),
    st.tuples(st.just("stop"), SIDES, SIZES, PRICES),
    st.tuples(st.just("cancel"), WHICH),
    st.tuples(st.just("modify"), WHICH, SIZES, PRICES),
    st.tuples(st.just("trade"), PRICES, SIZES),
)
WORDS = {
    State.WAITING: "queued", State.OPEN: "open", State.FILLED: "completed", State.CANCELLED: "cancelled",
}  # fmt: skip


class OverHttp:
    """Plays a flow as a client of the API would."""

    def __init__(self, sim: Simulator, connection: http.client.HTTPConnection) -> None:
        self._sim = sim
        self._connection = connection
        self._nonces = itertools.count(1)
        self.oids: list[str] = []

    def call(self, method: str, target: str, body: Any = None) -> Any:
        """The payload, or None for a refusal."""
        raw = b"" if body is None else json.dumps(body).encode()
        nonce = str(next(self._nonces))
        text = f"{nonce}{method}{target}".encode() + raw
        signature = hmac.new(self._sim.bitso.api_secret.encode(), text, hashlib.sha256).hexdigest()
        headers = {"Authorization": f"Bitso {self._sim.bitso.api_key}:{nonce}:{signature}"}
        self._connection.request(method, target, raw, headers)
        return json.loads(self._connection.getresponse().read()).get("payload")

    def place(self, side: str, **fields: Any) -> None:
        """POST; a refused order is None in the list of oids."""
        shown = {name: str(value) for name, value in fields.items()}
        payload = self.call("POST", "/api/v3/orders", {"book": "btc_mxn", "side": side} | shown)
        if payload is not None:
            self.oids.append(payload["oid"])

    def play(self, step: tuple[Any, ...]) -> None:
        """One step."""
        match step:
            case ("limit", side, size, price, terms):
                self.place(side, type="limit", major=size, price=price, time_in_force=terms)
            case ("market", side, size):
                self.place(side, type="market", major=size)
            case ("money", side, money):
                self.place(side, type="market", minor=money)
            case ("stop", side, size, stop):
                self.place(side, type="limit", major=size, price=stop, stop=stop)
            case ("cancel", which) if self.oids:
                self.call("DELETE", f"/api/v3/orders/{self.oids[which % len(self.oids)]}")
            case ("modify", which, size, price) if self.oids:
                body = {"major": str(size), "price": str(price)}
                self.call("PATCH", f"/api/v4/orders/{self.oids[which % len(self.oids)]}", body)
            case ("trade", price, size):
                self._sim.bitso.market("btc_mxn").trade(price=price, quantity=size)

    def state(self) -> tuple[Any, ...]:
        """What look-up, trades and balance show."""
        rows = [self.call("GET", f"/api/v3/orders/{oid}")[0] for oid in self.oids]
        shown = [(row["status"].replace("partially filled", "open"), row["unfilled_amount"]) for row in rows]
        trades = self.call("GET", "/api/v3/user_trades?limit=100&sort=asc")
        fills = [(each["price"], each["major"].lstrip("-"), each["fees_amount"]) for each in trades]
        money = {row["currency"]: (Decimal(row["total"]), Decimal(row["locked"]))
                 for row in self.call("GET", "/api/v3/balance")["balances"]}  # fmt: skip
        return shown, [tuple(map(Decimal, fill)) for fill in fills], money["btc"], money["mxn"]


class Directly:
    """Plays the same flow on the engine of a twin that was never started."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._engine = sim.bitso.engine
        self._orders: list[SimOrder] = []

    def place(self, side: str, **about: Any) -> None:
        """Place; what cannot be paid for is not there."""
        order = SimOrder(order_id=self._sim.bitso.new_id(), account="bot", market="btc_mxn", side=side,
                      created_at=self._sim.clock.now(), **about)  # fmt: skip
        try:
            self._orders.append(self._engine.place(order))
        except NotEnough:
            return

    def play(self, step: tuple[Any, ...]) -> None:
        """One step."""
        match step:
            case ("limit", side, size, price, terms):
                tif, post_only = TERMS[terms]
                about = {"time_in_force": tif, "post_only": post_only}
                self.place(side, type="limit", quantity=size, price=price, **about)
            case ("market", side, size):
                self.place(side, type="market", quantity=size)
            case ("money", side, money):
                self.place(side, type="market", quote_quantity=money)
            case ("stop", side, size, stop):
                trigger = "above" if side == "buy" else "below"
                self.place(side, type="limit", quantity=size, price=stop, stop_price=stop, trigger=trigger)
            case ("cancel", which) if self._orders:
                self._engine.cancel(self._orders[which % len(self._orders)])
            case ("modify", which, size, price) if self._orders:
                order = self._orders[which % len(self._orders)]
                if order.active and size >= order.filled:
                    self._engine.edit(order, quantity=size, price=price)
            case ("trade", price, size):
                self._engine.trade(self._engine.market("btc_mxn"), price=price, quantity=size)

    def state(self) -> tuple[Any, ...]:
        """The same view."""
        shown = [(WORDS[order.state], self._unfilled(order)) for order in self._orders]
        fills = [(fill.price, fill.quantity, fill.fee) for fill in self._engine.ledger.fills["bot"]][:100]
        money = [self._engine.accounts.get("bot", currency) for currency in ("btc", "mxn")]
        return shown, fills, *((each.total, each.locked) for each in money)

    def _unfilled(self, order: SimOrder) -> str | int | None:
        if order.quantity is None and order.state is not State.FILLED:
            return None
        return f"{order.remaining:.8f}" if order.remaining else 0


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(STEPS, max_size=18), seed=st.integers(0, 5))
def test_flow_over_sockets_equals_flow_on_the_engine(steps: list[tuple[Any, ...]], seed: int) -> None:
    """Same seed, same clock, same steps: statuses, sizes, fills, fees, balances and locks are equal."""
    with Simulator(seed=seed, clock=SimClock(start=START, running=False), bitso=KIND) as sim:
        connection = http.client.HTTPConnection(sim.bitso.origin.removeprefix("http://"))
        over, direct = OverHttp(sim, connection), Directly(Simulator(seed=seed, clock=sim.clock))

        for step in steps:
            over.play(step)
            direct.play(step)

        assert over.state() == direct.state()
        connection.close()
