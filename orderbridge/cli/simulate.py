"""`orderbridge simulate` and `demo`: the simulated exchanges, to be traded at, or to show what a look-up tells."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.command import Exit, end, run
from orderbridge.cli.tables import console, print_lookup
from orderbridge.errors import ConfigurationError
from orderbridge.model.basics import OrderStatus
from orderbridge.model.results import Found, LookupResult

if TYPE_CHECKING:
    from orderbridge.simulator import Simulator

Port = Annotated[int, typer.Option(min=0, max=65535, help="Port of the simulated venue; 0 picks a free one.")]

_NO_SUCH_UUID = "00000000-0000-4000-8000-000000000000"


def simulate(
    bitso: Port = 8101,
    bitcain: Port = 8102,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    yes_expose: Annotated[
        bool, typer.Option("--yes-expose", help="Really listen on an address that other machines can reach.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Fixes ids, chances and the counter-party's sizes.")] = 0,
    pacing: Annotated[bool, typer.Option(help="Count requests and lock out, as the real Bitso does.")] = True,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A knob, such as bitso.miss=0312 or bitcain.history=shadowed. May be repeated."),
    ] = None,
) -> None:
    """Simulate Bitso and Bitcain over HTTP until Ctrl-C. No real exchange, no real money, no keys."""
    from orderbridge.simulator.simulator import NotExposed, serve

    try:
        asyncio.run(
            serve(
                bitso_port=bitso,
                bitcain_port=bitcain,
                host=host,
                yes_expose=yes_expose,
                seed=seed,
                pacing=pacing,
                settings=settings or (),
                announce=lambda line: print(line, flush=True),
            )
        )
    except (NotExposed, ValueError, TypeError, OSError, ImportError) as error:
        end(f"orderbridge simulate: {error}", Exit.WRONG)


def demo() -> None:
    """Look a dozen orders up on two simulated exchanges, one of which goes down. Needs no keys."""
    sys.exit(Exit.DONE if run(_run_demo()) else Exit.NOT_ALL)


@dataclass(frozen=True, slots=True)
class _Case:
    """An id to look up, what the simulated exchange holds under it, and where."""

    ref: str
    venue: str
    status: OrderStatus | None = None
    filled: Decimal | None = None
    proven_absent: bool = False

    def is_right(self, found: Found, *, down: bool) -> bool:
        """
        True if an answer says exactly what the exchange holds; with the venue down, that it cannot tell, save of an
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


async def _run_demo() -> bool:
    """
    Put orders of every status on both venues, look them up, stop one venue, and look again.

    Returns:
        Whether every answer was right.
    """
    if find_spec("httptools") is None:
        raise ConfigurationError("the demo needs the simulated exchanges: pip install 'orderbridge[cli,simulator]'")
    from orderbridge.simulator import Simulator

    out = console()
    # For an hour: orders that ended are among those that it shows. Bitso itself may forget them at once.
    async with Simulator(seed=1, bitso={"visibility_window": 3600}) as sim:
        cases = [*_on_bitso(sim), *_on_bitcain(sim)]
        refs = [case.ref for case in cases]
        bitcain = sim.bitcain.gateway(trading_mode="paper")
        async with OrderBridge(sim.bitso.gateway(), bitcain) as bridge:
            out.print(f"Simulated Bitso at {sim.bitso.base_url}, simulated Bitcain at {sim.bitcain.base_url}.\n")
            first = await bridge.lookup(*refs)
            right = _show(cases, first, down="", title=f"{len(refs)} ids, one call, both venues up")
            await sim.bitcain.stop()
            out.print("\nBitcain goes down. The same call again:\n")
            second = await bridge.lookup(*refs)
            title = "Bitcain down: what was over is remembered, the rest undecided, not lost"
            right = _show(cases, second, down="bitcain", title=title) and right
    out.print()
    if right:
        out.print("Every answer was right.", style="green")
    else:
        out.print("Some answers were wrong: see the last column.", style="red")
    return right


def _show(cases: list[_Case], result: LookupResult, *, down: str, title: str) -> bool:
    verdicts = {case.ref: case.is_right(result[case.ref], down=case.venue == down) for case in cases}
    print_lookup(result, title=title, marks={ref: "yes" if right else "NO" for ref, right in verdicts.items()})
    return all(verdicts.values()) and not result.bad_rows and set(result.unreachable) == ({down} if down else set())


def _on_bitso(sim: Simulator) -> list[_Case]:
    """Orders of every status, found by every kind of id, as are those of the other venue."""
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
        _Case(f"bitso:{stop.order_id}", "bitso", OrderStatus.ACCEPTED, zero),
        _Case(opened.order_id, "bitso", OrderStatus.OPEN, zero),
        _Case(f"bitso:{partly.order_id}", "bitso", OrderStatus.PARTIALLY_FILLED, Decimal("0.05")),
        _Case(f"bitso:{cancelled.order_id}", "bitso", OrderStatus.CANCELLED, zero),
        _Case("bitso:client:demo-filled", "bitso", OrderStatus.FILLED, Decimal("0.003")),
        _Case("bitso:client:demo-forgotten", "bitso", OrderStatus.ENDED, Decimal("0.004")),
        _Case(f"bitso:{strange.order_id}", "bitso", OrderStatus.UNKNOWN, zero),
        _Case("bitso:nosuchorder00001", "bitso"),
        _Case("bitso:not/an/id", "bitso"),
    ]


def _on_bitcain(sim: Simulator) -> list[_Case]:
    put = sim.bitcain.put
    filled = put(status="filled", quantity="0.5", price="60000")
    put(status="partially_filled", quantity="0.5", filled_quantity="0.1", price="59000", client_order_id="my-bot-42")
    rejected = put(status="rejected", quantity="0.5", price="58000", filled_quantity="0")
    expired = put(status="expired", quantity="0.5", price="57000", filled_quantity="0.2")
    failed = put(status="failed", quantity="0.5", price="56000", filled_quantity="0")
    return [
        _Case(f"bitcain:{filled.order_id}", "bitcain", OrderStatus.FILLED, Decimal("0.5")),
        _Case("bitcain:client:my-bot-42", "bitcain", OrderStatus.PARTIALLY_FILLED, Decimal("0.1")),
        _Case(f"bitcain:{rejected.order_id}", "bitcain", OrderStatus.REJECTED, Decimal(0)),
        _Case(f"bitcain:{expired.order_id}", "bitcain", OrderStatus.EXPIRED, Decimal("0.2")),
        _Case(f"bitcain:{failed.order_id}", "bitcain", OrderStatus.FAILED, Decimal(0)),
        _Case(f"bitcain:{_NO_SUCH_UUID}", "bitcain", proven_absent=True),
    ]
