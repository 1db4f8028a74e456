"""What passes by on its way to the caller is stored, whatever the caller does after that."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Fill, Order, OrderBridge, OrderList
from orderbridge.errors import JournalError, OutcomeUnknown
from orderbridge.model.lifecycle import Sign
from orderbridge.placement import Journal, MemoryJournal, SqliteJournal
from orderbridge.placement.ledger import Ledger
from orderbridge.placement.observations import Observations, Recorder, ending
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import NOW, Bridges, limit_buy, seen, until


def watcher(journal: Journal, alarms: list[Any] | None = None) -> Recorder:
    on_alarm: Callable[[Any], object] | None = None if alarms is None else alarms.append
    ledger = Ledger(journal, clock=NOW.timestamp, watch_for=60.0, on_alarm=on_alarm)
    return Recorder(ledger, Observations(ledger))


def a_fill(number: int, quantity: str, **changes: Any) -> Fill:
    ids = {"venue": "bitso", "fill_id": str(number), "order_id": "oid1", "symbol": "BTC/MXN", "side": "buy"}
    return Fill(**{**ids, "quantity": quantity, "price": "100000", "quote_quantity": "100", **changes})


async def listing(items: Sequence[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def filled(journal: Journal, order_id: str = "oid1") -> str | None:
    (order,) = await journal.orders(order_id=order_id)
    return None if order.filled_quantity is None else str(order.filled_quantity)


class Slow(MemoryJournal):
    """A journal that takes its time to store what was seen."""

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        await asyncio.sleep(0.05)
        return await super().observe(orders)


class Held(SqliteJournal):
    """A journal whose disk stores nothing of what is seen until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.free = threading.Event()
        self.free.set()
        self.held = threading.Event()

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        if not self.free.is_set():
            self.held.set()
            await asyncio.to_thread(self.free.wait)
        return await super().observe(orders)


class Full(SqliteJournal):
    """A journal whose disk is full for what is seen, until there is room."""

    has_room = True

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        if not self.has_room:
            raise JournalError("the disk is full")
        return await super().observe(orders)


class Broken(MemoryJournal):
    """A journal of somebody's own with a defect."""

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        raise ZeroDivisionError("a defect")


@pytest.mark.parametrize("fault", ["drop", "error_5xx"])
@pytest.mark.parametrize("is_known_first", [True, False], ids=["known before", "listed just now"])
async def test_a_cancel_whose_outcome_is_unknown_is_remembered_as_asked_for(
    sim: Simulator, bridges: Bridges, tmp_path: Path, fault: str, is_known_first: bool
) -> None:
    """`cancel_requested` stands in the journal, though the bridge is closed right after the call."""
    path = tmp_path / "orders.db"
    bridge = bridges(journal=SqliteJournal(path))
    put = sim.bitso.put()
    if is_known_first:
        await bridge.get(put.order_id)
        await bridge._placements.recorder.finish()
    else:
        await bridge["bitso"].open_orders()
    sim.bitso.fault(fault, operation="cancel", nth=None)

    with pytest.raises(OutcomeUnknown):
        await bridge["bitso"].cancel(f"bitso:{put.order_id}", timeout=0.5)
    await bridge.aclose()

    async with aclosing(SqliteJournal(path, read_only=True)) as kept:
        (order,) = await kept.orders(order_id=put.order_id)
    assert order.cancel_requested


async def test_a_sign_is_of_the_order_that_is_named(journal: Journal) -> None:
    """Another order under the same client id is not said to be cancelled; a bare id may be of either kind."""
    watch = watcher(journal)
    first, second = seen(order_id="oid1"), seen(order_id="oid2")
    watch.orders([first, second], source="look-up")

    watch.sign(first, Sign.CANCEL_SENT, gateway="bitso")
    watch.sign("oid2", Sign.REPLACE_SENT, gateway="bitso")
    await watch.finish()

    known = {order.order_id: order for order in await journal.orders(client_order_id="ob-p1")}
    assert (known["oid1"].cancel_requested, known["oid1"].replace_requested) == (True, False)
    assert (known["oid2"].cancel_requested, known["oid2"].replace_requested) == (False, True)


async def test_a_sign_waits_for_what_was_seen_before_it() -> None:
    """An order that is shown, and cancelled before that is stored, is known to be asked to end all the same."""
    journal = Slow()
    watch = watcher(journal)

    watch.orders([seen()], source="open orders")
    watch.sign("oid1", Sign.CANCEL_SENT, gateway="bitso")
    await watch.finish()

    (order,) = await journal.orders(order_id="oid1")
    assert order.cancel_requested


@pytest.mark.parametrize("read", [1, 250, 401])
@pytest.mark.parametrize("leaves", ["closed", "open"])
async def test_orders_that_were_passed_on_are_stored(journal: Journal, read: int, leaves: str) -> None:
    """Whoever leaves a listing half-way, closed or not, has what he read stored, and nothing of the rest."""
    watch = watcher(journal)
    orders = [seen(order_id=f"oid{number}") for number in range(450)]
    listed = watch.watching(listing(orders), source="history")

    for _ in range(read):
        await anext(listed)
    if leaves == "closed":
        await listed.aclose()  # type: ignore[attr-defined]
    await watch.finish()

    assert len(await journal.orders(client_order_id="ob-p1")) == read


async def test_what_a_bridge_has_passed_on_is_stored_when_it_is_closed(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """A loop over fills that was left, and a listing of orders, are not lost by closing right after."""
    path = tmp_path / "orders.db"
    bridge = bridges(journal=SqliteJournal(path))
    partly, listed = sim.bitso.put(), sim.bitso.put()
    await bridge.get(partly.order_id)
    sim.bitso.market("btc_mxn").fill(partly.order_id, quantity="0.004")

    fills = bridge.fills(f"bitso:{partly.order_id}")
    await anext(fills)
    await bridge["bitso"].open_orders()
    await bridge.aclose()

    async with aclosing(SqliteJournal(path, read_only=True)) as kept:
        assert await filled(kept, partly.order_id) == "0.00400000"
        assert len(await kept.orders(order_id=listed.order_id)) == 1


async def test_a_listing_that_is_left_is_closed() -> None:
    """Leaving early closes the venue's listing, so that no further page is read; what has no close is let be."""
    closed: list[str] = []

    async def rows() -> AsyncIterator[Order]:
        try:
            yield seen()
            yield seen()
        finally:
            closed.append("rows")

    listed = watcher(MemoryJournal()).watching(rows(), source="history")
    async with ending(listed) as orders:
        await anext(orders)
        assert closed == []

    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> Order:
            raise StopAsyncIteration

    async with ending(Plain()) as nothing:
        assert [order async for order in nothing] == []
    assert closed == ["rows"]


async def test_fills_add_up_once_each(journal: Journal) -> None:
    """Pages may overlap: a fill that is listed twice counts once, and the average is over all."""
    watch = watcher(journal)
    watch.orders([seen()], source="look-up")
    fills = [a_fill(1, "0.001"), a_fill(2, "0.002", quote_quantity="230"), a_fill(1, "0.001")]

    assert len([fill async for fill in watch.counting(listing(fills))]) == 3
    await watch.finish()

    (order,) = await journal.orders(order_id="oid1")
    assert (str(order.filled_quantity), str(order.filled_quote_quantity)) == ("0.003", "330")
    assert (str(order.average_price), order.status) == ("110000", "partially_filled")
    assert "fills" in order.evidence


async def test_fewer_fills_take_nothing_back(journal: Journal) -> None:
    """What is known to be filled stays, when a listing shows less of it; fills of strangers are nobody's."""
    watch = watcher(journal)
    watch.orders([seen(filled_quantity="0.005", status="partially_filled")], source="look-up")
    await watch.finish()

    fills = [a_fill(1, "0.001"), a_fill(2, "0.009", order_id="stranger")]
    assert [fill async for fill in watch.counting(listing(fills))] == fills
    await watch.finish()

    assert await filled(journal) == "0.005"
    assert await journal.orders(order_id="stranger") == []


async def test_fills_do_not_bring_an_ended_order_back(journal: Journal) -> None:
    """A late fill of a cancelled order is counted, and it stays cancelled."""
    watch = watcher(journal)
    watch.orders([seen("cancelled", filled_quantity="0.001")], source="look-up")

    assert [fill async for fill in watch.counting(listing([a_fill(1, "0.004")]))]
    await watch.finish()

    (order,) = await journal.orders(order_id="oid1")
    assert (order.status, str(order.filled_quantity), order.anomalies) == ("cancelled", "0.004", ())


async def test_a_defect_is_alarmed_and_breaks_no_read() -> None:
    """What a journal of somebody's own raises reaches a person, and not the caller of the read."""
    alarms: list[Any] = []
    watch = watcher(Broken(), alarms)

    assert [order async for order in watch.watching(listing([seen()]), source="history")] == [seen()]
    await watch.finish()

    assert [(alarm.kind, "ZeroDivisionError" in alarm.message) for alarm in alarms] == [("background", True)]


@pytest.fixture
async def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Held]:
    """A journal that is let go in the end, and that nobody waits for."""
    monkeypatch.setattr("orderbridge.placement.observations._STORED_WITHIN", 0.01)
    journal = Held(tmp_path / "orders.db")
    yield journal
    journal.free.set()


async def how_it_stands(bridge: OrderBridge, order: Order) -> dict[str, str | None]:
    """How an order stands by each call that tells of it."""
    placement = await bridge.placement(key="k1")
    (listed,) = await bridge.placements()
    of_state = await bridge.placements(state="placed")
    orders = {
        "placement": placement and placement.order,
        "placements": listed.order,
        "placements of a state": of_state[0].order,
        "get": await bridge.get(order.key),
        "get by client id": await bridge.get(f"client:{order.client_order_id}"),
        "lookup": (await bridge.lookup(order))[order].order,
        "place": await bridge.place("bitso", limit_buy(), key="k1"),
        "prepare": (await bridge.prepare("bitso", limit_buy(), key="k1")).order,
    }
    explained = "cancelled" in (await bridge.explain(order)).splitlines()[-1]
    return {**{name: seen and seen.status.value for name, seen in orders.items()}, "explain": str(explained)}


_CALLS = "placement", "placements", "placements of a state", "get", "get by client id", "lookup", "place", "prepare"
CANCELLED = {**dict.fromkeys(_CALLS, "cancelled"), "explain": "True"}


@pytest.mark.parametrize("kind", ["at once", "never while it is read", "in memory"])
async def test_every_call_sees_what_a_cancel_returned(sim: Simulator, bridges: Bridges, held: Held, kind: str) -> None:
    """The venue forgets the order at once, and its end is not stored yet: it is known all the same, in every call."""
    sim.bitso.settings.visibility_window = 0
    bridge = bridges(journal=None if kind == "in memory" else held)
    order = await bridge.place("bitso", limit_buy(), key="k1")
    if kind == "never while it is read":
        held.free.clear()

    cancelled = await bridge.cancel(order)
    stands = await how_it_stands(bridge, order)

    assert cancelled.status == "cancelled"
    assert stands == CANCELLED


async def test_a_bridge_reads_its_own_writes_every_time(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Cancel after cancel, the placement says so in the next line."""
    sim.bitso.settings.visibility_window = 0
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    seen_after = []

    for number in range(20):
        order = await bridge.place("bitso", limit_buy(), key=f"k{number}")
        await bridge.cancel(order)
        placement = await bridge.placement(key=f"k{number}")
        seen_after.append(placement and placement.order and placement.order.status.value)

    assert seen_after == ["cancelled"] * 20


async def test_a_cancel_and_a_look_up_wait_for_no_disk(sim: Simulator, bridges: Bridges, held: Held) -> None:
    """While the journal stores nothing, both answer, and what they answered is what the next look-up says."""
    sim.bitso.settings.visibility_window = 0
    bridge = bridges(journal=held)
    order = await bridge.place("bitso", limit_buy(), key="k1")
    held.free.clear()

    async with asyncio.timeout(5):
        cancelled = await bridge.cancel(order)
        found = await bridge.get(order)

    assert not held.free.is_set()
    assert found == cancelled


async def test_what_could_not_be_stored_is_seen_and_stored_once_it_can_be(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk hides no cancel from the calls after it; with room again it is in the file."""
    monkeypatch.setattr("orderbridge.placement.placements._HEARTBEAT", 0.02)
    sim.bitso.settings.visibility_window = 0
    journal = Full(tmp_path / "orders.db")
    bridge = bridges(journal=journal)
    order = await bridge.place("bitso", limit_buy(), key="k1")
    journal.has_room = False

    await bridge.cancel(order)
    stands = await how_it_stands(bridge, order)
    (before,) = await journal.orders(order_id=order.order_id)
    journal.has_room = True

    async def is_stored() -> bool:
        return (await journal.orders(order_id=order.order_id))[0].status == "cancelled"

    await until(is_stored)
    assert stands == CANCELLED
    assert before.status == "accepted"


async def test_a_look_up_settles_a_placement_for_the_next_call(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order whose answer was lost is found by a look-up: whoever asks for the placement then waits for the disk."""
    journal = Held(tmp_path / "orders.db")
    bridge = bridges(journal=journal, horizon=60.0, times=(60.0,))
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key="k1")
    assert caught.value.placement is not None

    journal.free.clear()
    found = await bridge.get(caught.value.placement)
    asked = asyncio.ensure_future(bridge.placement(key="k1"))
    await asyncio.to_thread(journal.held.wait)
    journal.free.set()
    placement = await asked

    assert placement is not None
    assert (placement.state, placement.order) == ("placed", found)


async def test_what_an_open_iterator_has_passed_on_is_seen(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A loop over fills that goes on: the placement has those that were given, before the loop ends."""
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    order = await bridge.place("bitso", limit_buy(), key="k1")
    sim.bitso.market("btc_mxn").fill(order.order_id, quantity="0.004")

    async for _ in bridge.fills(order):
        placement = await bridge.placement(key="k1")

    assert placement is not None
    assert placement.order is not None
    assert str(placement.order.filled_quantity) == "0.00400000"


async def test_a_look_up_waits_for_no_journal_that_does_not_answer(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """A journal that hangs while it is read costs a look-up its time limit at most, and hides no cancel."""

    goes_on = asyncio.Event()
    goes_on.set()

    class Hung(SqliteJournal):
        async def orders(self, **ids: Any) -> list[Order]:
            await goes_on.wait()
            return await super().orders(**ids)

        async def observe(self, orders: Sequence[Order]) -> list[Order]:
            await goes_on.wait()
            return await super().observe(orders)

    sim.bitso.settings.visibility_window = 0
    bridge = bridges(journal=Hung(tmp_path / "orders.db"))
    order = await bridge.place("bitso", limit_buy(), key="k1")
    goes_on.clear()

    cancelled = await bridge.cancel(order)
    async with asyncio.timeout(20):
        found = await bridge.get(order, timeout=0.3)
    goes_on.set()

    assert found == cancelled


async def test_what_is_no_order_reaches_the_caller_all_the_same() -> None:
    """An adapter that gives out something else breaks no call; a person is told."""
    alarms: list[Any] = []
    watch = watcher(MemoryJournal(), alarms)

    watch.orders([seen(), None], source="cancel")  # type: ignore[list-item]
    await watch.finish()

    assert {alarm.kind for alarm in alarms} == {"background"}


async def test_what_is_observed_is_told_with_what_a_cancel_returned_before(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """The caller's own stream is late: the order as it is known now is the cancelled one."""
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    order = await bridge.place("bitso", limit_buy(), key="k1")

    await bridge.cancel(order)
    known = await bridge.observe(order)

    assert known.status == "cancelled"


class Forgetting(Accepting):
    """It cancels, lists an order that the journal does not know, and remembers nothing of either."""

    foreign: tuple[Order, ...] = ()

    async def cancel(self, ref: Any, *, timeout: float | None = None) -> Order:
        return seen("cancelled", order_id=ref.order_id, client_order_id=ref.client_order_id, filled_quantity="0")

    async def open_orders(self, **how: Any) -> OrderList:
        return OrderList(orders=self.foreign, as_of=NOW)

    async def orders(self, **how: Any) -> AsyncIterator[Order]:  # type: ignore[override]
        for order in self.foreign:
            yield order


@pytest.mark.parametrize("call", ["cancel", "open_orders", "orders"])
async def test_what_a_gateway_forgot_is_known_before_it_is_stored(held: Held, call: str) -> None:
    """Where nobody but the journal remembers, the next call sees what a call returned though no disk took it in yet."""
    venue = Forgetting()
    bridge = Bot(venue, journal=held).bridge
    await bridge.recover()
    order = await bridge.place("bitso", limit_buy(), key="k1")
    held.free.clear()
    venue.foreign = (seen(order_id="x1", client_order_id="x1"),)

    if call == "cancel":
        returned = await bridge.cancel(order)
        found = await bridge.get(order)
    elif call == "open_orders":
        (returned,) = await bridge.open_orders()
        found = await bridge.get(returned)
    else:
        async for returned in bridge.orders(since=NOW):
            found = await bridge.get(returned)
    held.free.set()
    await bridge.aclose()

    assert (found.order_id, found.status) == (returned.order_id, returned.status)


async def test_the_end_comes_while_the_last_store_is_just_done() -> None:
    """A store that is done, but not yet taken off the list of those under way, holds no loop for ever."""
    watch = watcher(MemoryJournal())
    watch.orders([seen(filled_quantity="0.004")], source="get")
    ended = asyncio.ensure_future(watch.finish())  # begins in the turn in which the store is done

    def too_late(*_: object) -> None:
        raise TimeoutError("the loop had no turn")  # asyncio's own timeout would have none either

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(10)
    try:
        await ended
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


class Counting(MemoryJournal):
    """A journal that counts what it is told of orders."""

    told = 0

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        self.told += len(orders)
        return await super().observe(orders)


async def stored(recorder: Recorder, *orders: Order) -> int:
    """How many orders the journal was told of for a look-up that showed these."""
    journal = recorder._ledger.journal
    assert isinstance(journal, Counting)
    before = journal.told
    recorder.orders(orders, source="look-up")
    await recorder.catch_up()
    return journal.told - before


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, 0),
        ({"raw": {"other": 1}}, 0),
        ({"observed_at": NOW + timedelta(seconds=59)}, 0),
        ({"observed_at": NOW + timedelta(seconds=60)}, 1),
        ({"observed_at": NOW - timedelta(seconds=1)}, 1),
        ({"observed_at": None}, 1),
        ({"filled_quantity": Decimal("0.004")}, 1),
        ({"status": "cancelled"}, 1),
        ({"evidence": ("open orders: open",)}, 1),
        ({"anomalies": ("odd",)}, 1),
        ({"order_id": "oid2"}, 1),
        ({"side": "sell"}, 1),
    ],
)
async def test_a_sighting_that_tells_no_more_than_the_last_is_not_stored(changes: dict[str, Any], again: int) -> None:
    """It differs in when it was made alone; once a minute that is stored too, by which orders are pruned."""
    recorder = watcher(Counting())
    order = seen(status="open", observed_at=NOW, client_order_id=None, evidence=("look-up: open",))

    first = await stored(recorder, order)
    second = await stored(recorder, Order.model_validate({**dict(order), **changes}))

    assert (first, second) == (1, again)


async def test_what_is_seen_all_the_time_is_known_to_the_minute() -> None:
    """Seen every second, it is stored once a minute, and the journal's last sighting is never older than that."""
    recorder = watcher(Counting())
    order, count = seen(status="open", observed_at=NOW, client_order_id=None), 0

    for second in range(150):
        now = NOW + timedelta(seconds=second)
        count += await stored(recorder, order.model_copy(update={"observed_at": now}))
        (known,) = await recorder._ledger.journal.orders(order_id=order.order_id)
        assert known.observed_at is not None
        assert now - known.observed_at < timedelta(seconds=60)

    assert count == 3


async def test_what_a_sighting_contradicts_is_stored_each_time() -> None:
    """Two that agree undo an end, so the second must not be taken for old news."""
    recorder = watcher(Counting())
    ended = seen(status="cancelled", observed_at=NOW, updated_at=NOW)
    working = seen(status="open", observed_at=NOW + timedelta(seconds=1), updated_at=NOW + timedelta(seconds=1))
    once_more = working.model_copy(update={"observed_at": NOW + timedelta(seconds=2)})

    counts = [await stored(recorder, order) for order in (ended, working, once_more)]

    assert counts == [1, 1, 1]
    (known,) = await recorder._ledger.journal.orders(order_id=working.order_id)
    assert known.may_be_live


async def test_an_order_of_a_placement_that_began_meanwhile_is_stored_again() -> None:
    """It was nobody's when it was seen; under the placement's client id it settles that now."""
    recorder = watcher(Counting())
    order = seen(status="open", observed_at=NOW, client_order_id="c1")
    assert [await stored(recorder, order), await stored(recorder, order)] == [1, 0]

    recorder._observations._foreign.clear()  # as `expect` does for the placement's own

    assert await stored(recorder, order) == 1


async def test_what_is_learnt_beside_sightings_is_told_by_the_next() -> None:
    """After a cancel was sent, the same sighting again is stored."""
    recorder = watcher(Counting())
    order = seen(status="open", observed_at=NOW, client_order_id=None)
    await stored(recorder, order)

    recorder.sign(order, Sign.CANCEL_SENT, gateway=order.gateway)
    await recorder.catch_up()

    assert await stored(recorder, order) == 1
