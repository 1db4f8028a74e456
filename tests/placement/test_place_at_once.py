"""Evidence that contradicts itself, from two sources at once or from an adapter that errs."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orderbridge import OrderBridge
from orderbridge.errors import JournalError, OutcomeUnknown, VenueUnavailable
from orderbridge.placement import SqliteJournal
from tests.placement.kit import limit_buy, seen
from tests.placement.test_resolve_certificate import Venue

PROBES = tuple(n / 100 for n in range(1, 12))


async def lost(bridge: OrderBridge) -> Any:
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key="k1")
    return caught.value.placement


class ReadsTogether(SqliteJournal):
    """A journal whose reads of a placement end together with those of another, if there are such."""

    def __init__(self, path: Path, meeting: asyncio.Barrier) -> None:
        super().__init__(path)
        self._meeting = meeting

    async def find(self, *, client_order_id: str | None = None, **how: Any) -> Any:
        found = await super().find(client_order_id=client_order_id, **how)
        if client_order_id is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await self._meeting.wait()
        return found


@pytest.mark.parametrize("processes", [1, 2])
async def test_two_orders_seen_at_one_moment_are_a_double(tmp_path: Path, processes: int) -> None:
    """Whichever of the two is taken for the order, it stays that, and a person is told of the other."""
    alarms: list[Any] = []
    meeting = asyncio.Barrier(2)
    journals = [ReadsTogether(tmp_path / "a.db", meeting) for _ in range(processes)]
    bridges = [OrderBridge(Venue(), journal=each, settle_horizon=60.0, on_alarm=alarms.append) for each in journals]
    placement = await lost(bridges[0])
    shown = [seen(order_id=id, client_order_id=placement.client_order_id) for id in ("oid1", "oid2")]

    await asyncio.gather(*(bridge.observe(order) for bridge, order in zip(bridges * 2, shown, strict=False)))
    after = await bridges[0].placement(key="k1")
    events = await bridges[0]._placements.ledger.journal.events(placement.placement_id)
    for bridge in bridges:
        await bridge.aclose()

    found = [event.facts["order_id"] for event in events if event.happened == "found" and not event.anomaly]
    assert after is not None
    assert after.order is not None
    assert found == [after.order.order_id]
    assert [alarm.kind for alarm in alarms] == ["double"]


class ForgetsToAnswerOnce(SqliteJournal):
    """A journal that cannot be read at the moment when something is seen."""

    fails = False

    async def find(self, **how: Any) -> Any:
        if self.fails:
            self.fails = False
            raise JournalError("disk I/O error")
        return await super().find(**how)


async def test_a_sighting_that_could_not_be_stored_counts_when_it_comes_again(tmp_path: Path) -> None:
    """A journal that failed once does not make an order nobody's for ever."""
    journal = ForgetsToAnswerOnce(tmp_path / "a.db")
    bridge = OrderBridge(Venue(), journal=journal, settle_horizon=60.0, on_alarm=print)
    placement = await lost(bridge)
    order = seen(client_order_id=placement.client_order_id)

    journal.fails = True
    with pytest.raises(JournalError):
        await bridge.observe(order)
    await bridge.observe(order)
    after = await bridge.placement(key="k1")
    await bridge.aclose()

    assert after is not None
    assert after.state == "placed"


class OddVenue(Venue):
    """An adapter whose cancel, or look-up, fails as no adapter should."""

    def __init__(self, *odd: str) -> None:
        super().__init__()
        self._odd = odd

    async def cancel(self, ref: Any, **how: Any) -> Any:
        if "cancel" in self._odd:
            raise RuntimeError("an adapter's own mistake")
        return await super().cancel(ref, **how)

    async def lookup(self, *refs: Any, **how: Any) -> Any:
        if "lookup" in self._odd:
            raise RuntimeError("an adapter's own mistake")
        if "unavailable" in self._odd:
            raise VenueUnavailable("down")
        return await super().lookup(*refs, **how)


async def test_a_fence_that_fails_oddly_does_not_end_the_round() -> None:
    """Whatever a cancel raises, the reads that follow it decide."""
    alarms: list[Any] = []
    bridge = OrderBridge(
        OddVenue("cancel"), settle_horizon=0.03, probe_times=PROBES, on_uncertain="fence", on_alarm=alarms.append
    )

    after = await bridge.resolve(await lost(bridge), timeout=2)
    await bridge.aclose()

    assert after.state == "not_placed"
    assert alarms == []


@pytest.mark.parametrize("how", ["cancel", "lookup", "unavailable"])
async def test_a_recovery_survives_whatever_an_adapter_raises(tmp_path: Path, how: str) -> None:
    """What cannot be asked is unreachable, or asked later; the recovery itself does not fail."""
    first = OrderBridge(Venue(), journal=SqliteJournal(tmp_path / "a.db"), settle_horizon=60.0)
    await lost(first)
    await first.observe(seen(order_id="oid9", client_order_id="ob-another"))
    await first.aclose()
    venue = OddVenue(how)
    second = OrderBridge(
        venue, journal=SqliteJournal(tmp_path / "a.db"), settle_horizon=60.0, on_uncertain="fence", on_alarm=print
    )

    report = await second.recover()
    await second.aclose()

    assert [placement.state for placement in report.uncertain] == ["uncertain"]
