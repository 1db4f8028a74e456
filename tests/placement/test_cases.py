"""The failure cases that need the journal, the bridge and Bitso; Bitcain's have a file of their own."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orderbridge import OrderEdit, OrderRequest, PlacementState
from orderbridge.client_ids import is_ours
from orderbridge.errors import JournalError, OutcomeUnknown
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.http.transport import NoAnswer
from orderbridge.placement import MemoryJournal, Record, SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy, wire_bytes

PLACE = "POST /api/v3/orders"
PROBES = tuple(n / 20 for n in range(1, 30))


def at_once(**changes: Any) -> OrderRequest:
    """An order that is filled as soon as it is taken."""
    return limit_buy(price="1300000", **changes)


class FullOnce(MemoryJournal):
    """A journal whose first placement cannot be stored."""

    is_full = True

    async def create(self, record: Record, *args: Any, **how: Any) -> Record:
        if self.is_full:
            self.is_full = False
            raise JournalError("database or disk is full")
        return await super().create(record, *args, **how)


async def test_case_1_what_could_not_be_stored_was_not_sent(sim: Simulator, bridges: Bridges) -> None:
    """The caller gets an error before anything left, and may call again with the same key."""
    bridge = bridges(journal=FullOnce())

    with pytest.raises(JournalError):
        await bridge.place("bitso", limit_buy(), key="k1")
    before = sim.bitso.requests[PLACE]
    known = await bridge.placement(key="k1")
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert (before, known) == (0, None)
    assert [each.order_id for each in sim.bitso.accepted()] == [order.order_id]


class BreaksWriting:
    """An engine whose first order breaks off with part of its body on the wire."""

    def __init__(self, share: float) -> None:
        self._inner = HttpxTransport()
        self._share: float | None = share

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        if request.method != "POST" or self._share is None:
            return await self._inner.send(request, timeout=timeout, not_after=not_after)
        share, self._share = self._share, None
        head, body = wire_bytes(request)
        parts = urlsplit(request.url)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(head + body[: int(len(body) * share)])
        await writer.drain()
        writer.close()
        raise NoAnswer("broken pipe")

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.mark.parametrize(("share", "state"), [(0.5, "not_placed"), (1.0, "placed")])
async def test_case_6_a_break_in_mid_write_is_followed_up(
    sim: Simulator, bridges: Bridges, share: float, state: str
) -> None:
    """Whether the server holds a whole request or half of one, the verdict is what it made of it: one send."""
    async with aclosing(BreaksWriting(share)) as engine:
        bridge = bridges(gateway={"transport": engine, "markets": None})
        with pytest.raises(OutcomeUnknown) as caught:
            await bridge.place("bitso", limit_buy(), key="k1")
        assert caught.value.placement is not None
        after = await bridge.resolve(caught.value.placement, timeout=60)

    assert after.state == state
    assert len(sim.bitso.accepted()) == (state == "placed")


@pytest.mark.parametrize("policy", ["hold", "resend_if_absent"])
@pytest.mark.parametrize(("window", "trade_lag"), [(3600.0, 0.0), (0.0, 0.0), (0.0, 0.5)])
async def test_case_20_an_order_that_finished_is_not_sent_again(
    sim: Simulator, bridges: Bridges, policy: str, window: float, trade_lag: float
) -> None:
    """The id is free again at Bitso once the first order is filled: nothing but proof may lead to a second send."""
    sim.bitso.settings.visibility_window = window
    sim.bitso.settings.trade_lag = trade_lag
    bridge = bridges(on_uncertain=policy, horizon=0.1, times=PROBES)
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)

    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", at_once(), key="k1")
    assert caught.value.placement is not None
    after = await bridge.resolve(caught.value.placement, timeout=60)
    if after.gave_up:  # while trades are on their way no order can be shown: it is not called absent, and found later
        await asyncio.sleep(trade_lag)
        after = await bridge.resolve(caught.value.placement, timeout=60)

    assert after.state in {PlacementState.PLACED, PlacementState.UNCERTAIN}
    assert sim.bitso.requests[PLACE] == 1
    assert len(sim.bitso.accepted()) == 1


async def test_case_26_hosts_without_a_shared_journal_know_each_other_by_their_ids(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """The key is not shared, which is documented; ids never meet, and each adopts the other's order, untouched."""
    first = bridges(journal=SqliteJournal(tmp_path / "a.db"))
    second = bridges(journal=SqliteJournal(tmp_path / "b.db"))

    mine = await first.place("bitso", limit_buy(), key="k1")
    theirs = await second.place("bitso", limit_buy(), key="k1")
    report = await second.recover()

    assert mine.client_order_id != theirs.client_order_id
    assert is_ours(mine.client_order_id or "")
    assert is_ours(theirs.client_order_id or "")
    assert [order.order_id for order in report.orphans] == [mine.order_id]
    assert all(order.active for order in sim.bitso.accepted())


async def test_case_31_an_edit_puts_no_second_order_by_itself(sim: Simulator, bridges: Bridges) -> None:
    """The order keeps its id, and no other stands beside it: there is no way to have it replaced."""
    bridge = bridges(journal=MemoryJournal())
    order = await bridge.place("bitso", limit_buy())

    changed = await bridge.edit(order, OrderEdit(quantity="0.02", price="110000"))

    assert changed.order_id == order.order_id
    assert len(sim.bitso.accepted()) == 1
