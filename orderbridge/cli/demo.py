"""The demonstration: a dozen ids on two simulated exchanges, one of which goes down."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec

from orderbridge.bridge import OrderBridge
from orderbridge.cli.tables import console, print_lookup
from orderbridge.errors import ConfigurationError
from orderbridge.model.basics import OrderStatus
from orderbridge.model.results import Found, LookupResult
from orderbridge.simulator import Simulator

_NO_SUCH_UUID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Case:
    """An id to look up, what the simulated exchange holds under it, and where."""

    ref: str
    venue: str
    status: OrderStatus | None = None
    filled: Decimal | None = None
    proven_absent: bool = False

    def is_right(self, found: Found, *, down: bool) -> bool:
        """
        Whether an answer says exactly what the exchange holds; with the venue down, that it cannot tell, save of an
        order that the first look showed to be over: that is remembered, and can no longer change.
        """
        is_over = self.status is not None and self.status.is_end
        if down and not (is_over and found.orders):
            return not found.orders and found.is_undecided
        if self.status is None:
            return not found.orders and not found.is_undecided and found.proven_absent is self.proven_absent
        if len(found.orders) != 1:
            return False
        order = found.orders[0]
        return (order.venue, order.status) == (self.venue, self.status) and order.filled_quantity == self.filled


async def run_demo() -> bool:
    """
    Put orders of every status on both venues, look them up, stop one venue, and look again.

    Returns:
        Whether every answer was right.
    """
    if find_spec("httptools") is None:
        raise ConfigurationError("the demo needs the simulated exchanges: pip install 'orderbridge[cli,simulator]'")
    out = console()
    # For an hour: orders that ended are among those that it shows. Bitso itself may forget them at once.
    async with Simulator(seed=1, bitso={"visibility_window": 3600}) as sim:
        cases = _put_orders(sim)
        refs = [case.ref for case in cases]
        bitcain = sim.bitcain.gateway(trading_mode="paper")
        async with OrderBridge(sim.bitso.gateway(), bitcain) as bridge:
            out.print(f"Simulated Bitso at {sim.bitso.base_url}, simulated Bitcain at {sim.bitcain.base_url}.\n")
            first = await bridge.lookup(*refs)
            right = _show(cases, first, down="", title=f"{len(refs)} ids, one call, both venues up")
            await sim.bitcain.stop()
            out.print("\nBitcain goes down. The same call again:\n")
            second = await bridge.lookup(*refs)
            right = (
                _show(
                    cases,
                    second,
                    down="bitcain",
                    title="Bitcain down: what was over is remembered, the rest undecided, not lost",
                )
                and right
            )
    out.print()
    if right:
        out.print("Every answer was right.", style="green")
    else:
        out.print("Some answers were wrong: see the last column.", style="red")
    return right


def _show(cases: list[Case], result: LookupResult, *, down: str, title: str) -> bool:
    verdicts = {case.ref: case.is_right(result[case.ref], down=case.venue == down) for case in cases}
    print_lookup(result, title=title, marks={ref: "yes" if right else "NO" for ref, right in verdicts.items()})
    return all(verdicts.values()) and not result.bad_rows and set(result.unreachable) == ({down} if down else set())


def _put_orders(sim: Simulator) -> list[Case]:
    """Orders of every status, found by every kind of id."""
    return [*_on_bitso(sim), *_on_bitcain(sim)]


def _on_bitso(sim: Simulator) -> list[Case]:
    put = sim.bitso.put
    stop = put(status="queued", type="limit", side="sell", price="990000", stop="1000000", quantity="0.01")
    opened = put(status="open", price="560000", quantity="0.01", origin_id="demo-open")
    partly = put(status="partially filled", book="eth_mxn", side="sell", quantity="0.2", filled_quantity="0.05")
    cancelled = put(status="cancelled", price="550000", quantity="0.02", filled_quantity="0")
    put(status="completed", type="market", quantity="0.003", origin_id="demo-filled")
    put(status="completed", quantity="0.004", origin_id="demo-forgotten", visible=False)
    strange = put(status="open", quantity="0.01", raw={"status": "on hold"})
    zero = Decimal(0)
    return [
        Case(f"bitso:{stop.order_id}", "bitso", OrderStatus.ACCEPTED, zero),
        Case(opened.order_id, "bitso", OrderStatus.OPEN, zero),
        Case(f"bitso:{partly.order_id}", "bitso", OrderStatus.PARTIALLY_FILLED, Decimal("0.05")),
        Case(f"bitso:{cancelled.order_id}", "bitso", OrderStatus.CANCELLED, zero),
        Case("bitso:client:demo-filled", "bitso", OrderStatus.FILLED, Decimal("0.003")),
        Case("bitso:client:demo-forgotten", "bitso", OrderStatus.ENDED, Decimal("0.004")),
        Case(f"bitso:{strange.order_id}", "bitso", OrderStatus.UNKNOWN, zero),
        Case("bitso:nosuchorder00001", "bitso"),
        Case("bitso:not/an/id", "bitso"),
    ]


def _on_bitcain(sim: Simulator) -> list[Case]:
    put = sim.bitcain.put
    filled = put(status="filled", quantity="0.5", price="60000")
    put(status="partially_filled", quantity="0.5", filled_quantity="0.1", price="59000", client_order_id="my-bot-42")
    rejected = put(status="rejected", quantity="0.5", price="58000", filled_quantity="0")
    expired = put(status="expired", quantity="0.5", price="57000", filled_quantity="0.2")
    failed = put(status="failed", quantity="0.5", price="56000", filled_quantity="0")
    return [
        Case(f"bitcain:{filled.order_id}", "bitcain", OrderStatus.FILLED, Decimal("0.5")),
        Case("bitcain:client:my-bot-42", "bitcain", OrderStatus.PARTIALLY_FILLED, Decimal("0.1")),
        Case(f"bitcain:{rejected.order_id}", "bitcain", OrderStatus.REJECTED, Decimal(0)),
        Case(f"bitcain:{expired.order_id}", "bitcain", OrderStatus.EXPIRED, Decimal("0.2")),
        Case(f"bitcain:{failed.order_id}", "bitcain", OrderStatus.FAILED, Decimal(0)),
        Case(f"bitcain:{_NO_SUCH_UUID}", "bitcain", proven_absent=True),
    ]
