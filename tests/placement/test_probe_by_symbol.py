"""Venues that list open orders by symbol only: what recovery and probing ask them for."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, OrderBridge, OrderList, OrderRequest, OrderType
from orderbridge.errors import NotSupported, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.placement.probe import open_orders_of
from tests.placement.kit import NOW, limit_buy, seen
from tests.placement.test_resolve_certificate import Venue

PROBES = tuple(n / 100 for n in range(1, 12))


class BySymbol(Venue):
    """Refuses a list without a symbol, and remembers which were asked for."""

    def __init__(self) -> None:
        super().__init__(open_orders_by_symbol=True)
        self.asked: list[str] = []
        self.may_lack: dict[str, frozenset[OrderType]] = {}

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        if symbol is None:
            raise NotSupported("give a symbol")
        self.asked.append(symbol)
        lacks = self.may_lack.get(symbol, frozenset())
        return OrderList(orders=tuple(self.open), as_of=NOW, may_lack=lacks)  # type: ignore[arg-type]


def bridge_over(venue: Venue, path: Path, **settings: Any) -> OrderBridge:
    more = {"settle_horizon": 0.03, "probe_times": PROBES, "on_alarm": lambda alarm: None, **settings}
    return OrderBridge(venue, journal=SqliteJournal(path), **more)


async def test_an_empty_journal_asks_for_nothing_and_holds_up_nothing(tmp_path: Path) -> None:
    """Nothing was under way, so there is nothing to list, and the first order is placed."""
    venue = BySymbol()
    venue.placing = seen()
    bridge = bridge_over(venue, tmp_path / "a.db")

    await bridge.place("bitso", limit_buy())
    await bridge.aclose()

    assert venue.asked == []


async def test_a_lost_order_is_proven_absent_by_the_list_of_its_symbol(tmp_path: Path) -> None:
    """The list of the one symbol is whole, which is what the proof needs."""
    venue = BySymbol()
    bridge = bridge_over(venue, tmp_path / "a.db")
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy())

    placement = await bridge.resolve(caught.value.placement, timeout=60)  # type: ignore[arg-type]
    await bridge.aclose()

    assert placement.state == "not_placed"
    assert set(venue.asked) == {"BTC/MXN"}


class HistoryBySymbol(BySymbol):
    """Refuses a history without a symbol too."""

    async def orders(self, *, symbol: str | None = None, **_: Any) -> AsyncIterator[Order]:  # type: ignore[override]
        if symbol is None:
            raise NotSupported("give a symbol")
        self.asked.append(f"history of {symbol}")
        async for order in super().orders():
            yield order


@pytest.mark.parametrize("state", ["not_placed", "placed"])
async def test_a_lost_order_is_settled_by_the_history_of_its_symbol(state: str, tmp_path: Path) -> None:
    """That is whole as far as the order could be in it: it shows the order, or proves that there is none."""
    venue = HistoryBySymbol()
    bridge = bridge_over(venue, tmp_path / "a.db")
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy())
    lost = caught.value.placement
    assert lost is not None
    if state == "placed":
        venue.history = [seen(client_order_id=lost.client_order_id, status="filled", filled_quantity="0.01")]

    placement = await bridge.resolve(lost, timeout=60)
    await bridge.aclose()

    assert placement.state == state
    assert set(venue.asked) == {"BTC/MXN", "history of BTC/MXN"}


async def test_a_restart_lists_the_symbols_of_what_was_under_way(tmp_path: Path) -> None:
    """Those of unsettled placements and of orders that were open, and no others."""
    first = bridge_over(BySymbol(), tmp_path / "a.db", settle_horizon=60.0)
    with pytest.raises(OutcomeUnknown):
        await first.place("bitso", limit_buy(symbol="ETH/MXN"))
    await first.observe(seen(symbol="XRP/MXN", order_id="x", client_order_id="other"))
    await first.aclose()
    venue = BySymbol()
    second = bridge_over(venue, tmp_path / "a.db", settle_horizon=60.0)

    report = await second.recover()
    await second.aclose()

    assert report.unreachable == {}
    assert set(venue.asked) == {"ETH/MXN", "XRP/MXN"}


async def test_what_any_of_its_lists_may_lack_the_whole_may_lack() -> None:
    """What each list says of itself, and what the gateway says of all of them."""
    venue = BySymbol()
    venue.capabilities = venue.capabilities.model_copy(update={"open_orders_may_lack": {OrderType.ICEBERG}})
    venue.may_lack = {"BTC/MXN": frozenset({OrderType.STOP_LOSS}), "ETH/MXN": frozenset({OrderType.STOP_LIMIT})}

    listed = await open_orders_of(venue, ["BTC/MXN", "ETH/MXN", "XRP/MXN"], as_of=NOW, timeout=1.0)

    assert listed.may_lack == {"iceberg", "stop_loss", "stop_limit"}


async def test_a_stop_that_only_its_list_may_lack_is_not_proven_absent(tmp_path: Path) -> None:
    """Where the capabilities are silent and the list is not, the list counts: a person decides."""
    venue = BySymbol()
    venue.capabilities = venue.capabilities.model_copy(update={"order_types": frozenset({OrderType.STOP_LOSS})})
    venue.may_lack = {"BTC/MXN": frozenset({OrderType.STOP_LOSS})}
    bridge = bridge_over(venue, tmp_path / "a.db")
    request = OrderRequest.stop_loss(symbol="BTC/MXN", side="sell", quantity="0.01", stop_price="100")
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", request)

    placement = await bridge.resolve(caught.value.placement, timeout=60)  # type: ignore[arg-type]
    await bridge.aclose()

    assert (placement.state, placement.gave_up) == ("uncertain", True)
