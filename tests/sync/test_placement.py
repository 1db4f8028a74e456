"""Placing without `await`."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orderbridge import Alarm, Order, Placement, PlacementState
from orderbridge.errors import ConfigurationError, KeyInUse, OutcomeUnknown
from orderbridge.placement import SqliteJournal
from orderbridge.simulator import Simulator
from orderbridge.sync import SyncBridge
from tests.placement.kit import limit_buy, seen
from tests.placement.test_observations_recorder import Held

PLACE = "POST /api/v3/orders"
PROBES = (0.01, 0.03, 0.06, 0.15, 0.2, 0.3)

# Places one order, and prints how far it has come. Arguments: the journal's path, the venue's address.
CHILD = """
import sys
from orderbridge import OrderRequest
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.placement import SqliteJournal
from orderbridge.sync import SyncBridge

path, address = sys.argv[1:]
gateway = BitsoGateway(
    api_key="simulated-key", api_secret="simulated-secret", base_url=address, markets=None, transport="httpx"
)
bridge = SyncBridge(gateway, journal=SqliteJournal(path)).__enter__()
try:
    bridge.place(
        "bitso", OrderRequest.limit(symbol="BTC/MXN", side="buy", quantity="0.01", price="100000"), key="k1"
    )
except KeyboardInterrupt:
    print("interrupted", flush=True)
    bridge.close()
    print("closed", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "orders.db"


def until(is_so: Callable[[], bool]) -> None:
    """Wait, not for ever, until something is so."""
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def child(path: Path, venue: Simulator) -> "subprocess.Popen[str]":
    """A process that places an order at the simulated Bitso."""
    arguments = [sys.executable, "-c", CHILD, str(path), venue.bitso.base_url]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said_by(process: "subprocess.Popen[str]") -> str:
    out, err = process.communicate(timeout=20)
    assert "Traceback" not in err, err
    return out


def reopened(path: Path, venue: Simulator) -> SyncBridge:
    return SyncBridge(venue.bitso.gateway(), journal=SqliteJournal(path), settle_horizon=0.1, probe_times=PROBES)


def test_the_calls_that_place(venue: Simulator, path: Path) -> None:
    """Prepare, place, place several, find and explain placements: all as the asynchronous bridge does."""
    with SyncBridge(venue.bitso.gateway(), journal=SqliteJournal(path)) as bridge:
        prepared = bridge.prepare("bitso", limit_buy(), key="k1")
        order = bridge.place("bitso", prepared, read_back=True)
        many = bridge["bitso"].place_many({"k2": limit_buy(), "k3": limit_buy(quantity="0.02")})
        submitted = bridge["bitso"].submit(limit_buy())
        raw = bridge.submit_at("bitso", limit_buy(client_order_id="by-hand"))
        with pytest.raises(KeyInUse):
            bridge["bitso"].place(limit_buy(quantity="0.05"), key="k1")
        known = bridge.observe(Order(**{**dict(order), "filled_quantity": "0.004"}))

        assert (order.client_order_id, order.status) == (prepared.client_order_id, "open")
        assert {key: each.state.value for key, each in many.items()} == {"k2": "placed", "k3": "placed"}
        assert known.status == "partially_filled"
        assert bridge.resolve(prepared).order == known
        assert bridge.placement(key="k1") == bridge["bitso"].placement(key="k1") == bridge.resolve(prepared)
        assert len(bridge.placements(state="placed")) == 5
        assert "It is placed." in bridge.explain(submitted)
        assert raw.client_order_id == "by-hand"
        assert venue.bitso.requests[PLACE] == 5


def test_with_recovers_what_was_under_way(venue: Simulator, path: Path) -> None:
    """Entering starts the recovery, without any call: what a bridge left uncertain is settled."""
    venue.bitso.fault("accept_then_drop", operation="place", nth=1)
    with SyncBridge(venue.bitso.gateway(), journal=SqliteJournal(path)) as first, pytest.raises(OutcomeUnknown):
        first.place("bitso", limit_buy(), key="k1")
    asked = venue.bitso.requests["GET /api/v3/open_orders"]

    with reopened(path, venue) as bridge:
        until(lambda: venue.bitso.requests["GET /api/v3/open_orders"] > asked)
        until(lambda: [each.state for each in bridge.placements()] == ["placed"])
        report = bridge.recover()

    assert report.unreachable == {}
    assert venue.bitso.requests[PLACE] == 1


def test_alarms_come_in_the_loops_thread_and_a_call_from_there_is_refused(venue: Simulator, path: Path) -> None:
    """A handler that calls the bridge would wait for itself for ever: it is told instead."""
    threads: list[str] = []
    alarms: list[Alarm] = []
    refused: list[Exception] = []

    def on_alarm(alarm: Alarm) -> None:
        threads.append(threading.current_thread().name)
        alarms.append(alarm)
        for call in (bridge.placements, bridge.close):
            try:
                call()
            except ConfigurationError as error:
                refused.append(error)

    with SyncBridge(venue.bitso.gateway(), journal=SqliteJournal(path), on_alarm=on_alarm) as bridge:
        prepared = bridge.prepare("bitso", limit_buy(), key="k1")
        bridge.observe(seen(client_order_id=prepared.client_order_id))

    assert [alarm.kind for alarm in alarms] == ["ghost"]
    assert threads == ["orderbridge-sync"]
    assert ["own thread" in str(error) for error in refused] == [True, True]


def test_closing_ends_a_call_that_waits_in_another_thread(venue: Simulator, path: Path) -> None:
    """A thread that waits for a placement to be settled is told that the bridge was closed, and close ends."""
    bridge = SyncBridge(venue.bitso.gateway(), journal=SqliteJournal(path))
    venue.bitso.fault("drop", operation="place", nth=1)
    errors: list[BaseException] = []
    with pytest.raises(OutcomeUnknown) as caught:
        bridge.place("bitso", limit_buy(), key="k1")
    placement = caught.value.placement
    assert placement is not None

    def wait(for_what: Placement) -> None:
        try:
            bridge.resolve(for_what)
        except ConfigurationError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait, args=(placement,))
    waiting.start()
    time.sleep(0.2)
    bridge.close()
    waiting.join(timeout=60)

    assert not waiting.is_alive()
    assert ["closed" in str(error) for error in errors] == [True]


def test_ctrl_c_while_it_is_sent_loses_nothing(venue: Simulator, path: Path) -> None:
    """The caller is free at once; the attempt goes on until close has its outcome, and that is in the journal."""
    venue.bitso.fault("delay", operation="place", seconds=1.5)
    process = child(path, venue)
    until(lambda: venue.bitso.requests[PLACE] == 1)

    process.send_signal(signal.SIGINT)
    said = said_by(process)

    with reopened(path, venue) as bridge:
        placement = bridge.placement(key="k1")
        again = bridge.place("bitso", limit_buy(), key="k1")
    assert said.split() == ["interrupted", "closed"]
    assert placement is not None
    assert placement.order is not None
    assert (placement.state, placement.order.key) == (PlacementState.PLACED, again.key)
    assert [order.order_id for order in venue.bitso.accepted()] == [again.order_id]
    assert venue.bitso.requests[PLACE] == 1


def test_ctrl_c_before_it_is_sent_sends_nothing(venue: Simulator, path: Path) -> None:
    """A call that still waits for the recovery is over with the interrupt: no order comes after it."""
    venue.bitso.fault("delay", operation="open_orders", seconds=2.0)
    process = child(path, venue)
    until(lambda: venue.bitso.requests["GET /api/v3/open_orders"] == 1)

    process.send_signal(signal.SIGINT)
    said = said_by(process)

    with reopened(path, venue) as bridge:
        placement = bridge.placement(key="k1")
    assert said.split() == ["interrupted", "closed"]
    assert placement is None
    assert venue.bitso.requests[PLACE] == 0


def test_ctrl_c_twice_leaves_what_the_next_start_settles(venue: Simulator, path: Path) -> None:
    """Who does not wait for close either finds the order by the journal: it is looked up, and not placed again."""
    venue.bitso.fault("delay", operation="place", seconds=60.0)
    process = child(path, venue)
    until(lambda: venue.bitso.requests[PLACE] == 1)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "interrupted\n"
    time.sleep(0.3)
    began = time.monotonic()

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=50)

    assert time.monotonic() - began < 50
    with reopened(path, venue) as bridge:
        before = bridge.placement(key="k1")
        assert before is not None
        after = bridge.resolve(before, timeout=60)
        again = bridge.place("bitso", limit_buy(), key="k1")
    assert before.attempts == 1
    assert after.order is not None
    assert (after.state, after.order.key) == (PlacementState.PLACED, again.key)
    assert [order.order_id for order in venue.bitso.accepted()] == [again.order_id]
    assert venue.bitso.requests[PLACE] == 1


def test_without_await_too_each_call_sees_what_the_ones_before_returned(
    venue: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue forgets a cancelled order at once, and the disk stores nothing: its end is known all the same."""
    monkeypatch.setattr("orderbridge.placement.observations._STORED_WITHIN", 0.01)
    venue.bitso.settings.visibility_window = 0
    journal = Held(path)

    with SyncBridge(venue.bitso.gateway(), journal=journal) as bridge:
        order = bridge.place("bitso", limit_buy(), key="k1")
        journal.free.clear()
        cancelled = bridge.cancel(order)
        placement = bridge.placement(key="k1")
        (listed,) = bridge.placements()
        again = [bridge.get(order), bridge.place("bitso", limit_buy(), key="k1")]
        journal.free.set()

    assert cancelled.status == "cancelled"
    assert placement is not None
    assert [each and each.status for each in (placement.order, listed.order, *again)] == ["cancelled"] * 4
