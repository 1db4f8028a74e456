"""
Placing under every fault, kill and delay that hypothesis can think of, against an exchange that knows the truth.

Time is simulated: a minute passes in milliseconds. A kill leaves the journal and the exchange as they are and stops
everything else, halfway through whatever call it met.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from orderbridge import Order, OrderBridge, OrderRequest, Placement, PlacementState
from orderbridge.errors import JournalError, OrderBridgeError
from orderbridge.placement import MemoryJournal, Record, SqliteJournal
from tests.chains import breaches
from tests.placement.worlds import (
    HORIZON,
    LATEST_SHOWING,
    WINDOW,
    Exchange,
    FakeGateway,
    Life,
    Mortal,
    Truth,
    VirtualLoop,
)

NOTHING_THERE = {
    PlacementState.PREPARED,
    PlacementState.DENIED,
    PlacementState.REJECTED,
    PlacementState.NOT_PLACED,
}
UNKNOWN = {PlacementState.SENDING, PlacementState.UNCERTAIN}
FAULTS = st.sampled_from(
    [
        *("none", "not_sent", "credentials", "rejected", "dropped", "lost"),
        *("hidden", "hidden_and_lost", "on_its_way", "slow", "odd", "lie"),
    ]
)
KEYS = st.sampled_from(["k1", "k2", "k3"])
# Longer than any call of the bridge may take, its own time limits and the reads of a round included.
PATIENCE = 120.0


class Simulated:
    """A dialect whose clock, by which leases are given, is the simulated one."""

    def __init__(self, dialect: Any, clock: Callable[[], float]) -> None:
        self._dialect = dialect
        self._clock = clock

    @property
    def now(self) -> str:
        return repr(self._clock())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dialect, name)


class Placing(RuleBasedStateMachine):
    """One exchange, one journal, and processes one after the other, or a few at a time."""

    is_durable = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.folder = TemporaryDirectory()
        self.memory = MemoryJournal(clock=self.loop.wall)
        self.lives: list[tuple[Life, Any]] = []
        # Processes that live beside the one that is made to act.
        self.siblings: list[tuple[Life, OrderBridge]] = []
        self.alarms: list[Any] = []
        self.price = 100_000
        self.prices: dict[str, int] = {}

    @initialize(
        idempotency=st.sampled_from(["forever", "while_active", "tag_only", "none"]),
        seed=st.integers(0, 2**16),
        on_uncertain=st.sampled_from(["hold", "fence", "resend_if_absent"]),
        on_stale=st.sampled_from(["deny", "send"]),
        ends_by_restart=st.booleans(),
        window=st.sampled_from([0.0, WINDOW]),
        lag=st.sampled_from([0.0, LATEST_SHOWING]),
    )
    def begin(
        self,
        idempotency: str,
        seed: int,
        on_uncertain: str,
        on_stale: str,
        ends_by_restart: bool,
        window: float,
        lag: float,
    ) -> None:
        self.exchange = Exchange(self.loop, idempotency, Random(seed), window=window, lag=lag)
        has_safe_ids = idempotency in ("forever", "while_active")
        self.policies: Any = {"on_uncertain": on_uncertain if has_safe_ids else "hold", "on_stale": on_stale}
        self.ends_by_restart = ends_by_restart
        self.start()

    # The world of the model.

    def start(self) -> None:
        """A new process."""
        self.life = Life()
        inner: Any = self.memory
        if self.is_durable:
            inner = SqliteJournal(Path(self.folder.name) / "orders.db")
            inner.engine.dialect = Simulated(inner.engine.dialect, self.loop.wall)
        self.lives.append((self.life, inner))
        self.bridge = OrderBridge(
            Mortal(FakeGateway(self.exchange), self.life),
            journal=Mortal(inner, self.life, outside=self.loop),
            settle_horizon=HORIZON,
            on_alarm=self.alarms.append,
            clock=self.loop.wall,
            **self.policies,
        )

    def run(self, work: Any, *, patience: float = PATIENCE) -> Any:
        """What a call gives; None for one that fails as it may, or whose process died under it."""
        task = self.loop.create_task(work)
        self.loop.run_until_complete(asyncio.wait([task], timeout=patience))
        assert task.done() or self.life.is_dead, "a call that never ends"
        if self.life.is_dead:
            self.start()
        if not task.done():
            return None
        if isinstance(task.exception(), JournalError) or not isinstance(task.exception(), OrderBridgeError):
            return task.result()
        return None

    def asked(self, key: str, *, at_once: bool = False) -> OrderRequest:
        """The same order for a key each time; where the venue has no ids, another price for each, to know it by."""
        price = (
            self.prices.setdefault(key, self.price + len(self.prices))
            if self.exchange.idempotency == "none"
            else self.price
        )
        tif = "ioc" if at_once else "gtc"
        return OrderRequest.limit(symbol="BTC/USD", side="buy", quantity="1", price=price, time_in_force=tif)

    # What may happen.

    @rule(key=KEYS, faults=st.lists(FAULTS, max_size=2), at_once=st.booleans())
    def place(self, key: str, faults: list[str], at_once: bool) -> None:
        self.exchange.faults = faults
        self.run(self.bridge.place("fake", self.asked(key, at_once=at_once), key=key, send_within=2.0, timeout=5.0))

    @rule(key=KEYS, fault=FAULTS, after=st.sampled_from([0.0, 0.005, 0.5, 3.0]))
    def place_and_cancel_the_task(self, key: str, fault: str, after: float) -> None:
        self.exchange.faults = [fault]

        async def impatient() -> None:
            task = asyncio.ensure_future(self.bridge.place("fake", self.asked(key), key=key, send_within=2.0))
            await asyncio.sleep(after)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

        self.run(impatient())

    @rule(fault=FAULTS)
    def place_two_at_once(self, fault: str) -> None:
        self.exchange.faults = [fault]
        requests = {key: self.asked(key) for key in ("k1", "k4")}
        self.run(self.bridge.place_many("fake", requests, send_within=1.0, timeout=5.0))

    @rule(key=KEYS)
    def prepare(self, key: str) -> None:
        self.run(self.bridge.prepare("fake", self.asked(key), key=key))

    @rule(fault=FAULTS, which=st.integers(0, 20))
    def place_what_was_prepared(self, fault: str, which: int) -> None:
        prepared = self.run(self.bridge.placements(state="prepared"))
        if prepared:
            self.exchange.faults = [fault]
            self.run(self.bridge.place("fake", prepared[which % len(prepared)], send_within=1.0, timeout=5.0))

    @rule(which=st.integers(0, 20), timeout=st.sampled_from([0.0, 1.0, 30.0]))
    def resolve(self, which: int, timeout: float) -> None:
        placements: list[Placement] | None = self.run(self.bridge.placements())
        if placements:
            self.run(self.bridge.resolve(placements[which % len(placements)], timeout=timeout))

    @precondition(lambda self: self.exchange.orders)
    @rule(which=st.integers(0, 20))
    def a_stream_shows_an_order(self, which: int) -> None:
        order = self.exchange.orders[which % len(self.exchange.orders)]
        self.run(self.bridge.observe(self.exchange.as_order(order)))

    @precondition(lambda self: self.exchange.orders)
    @rule(which=st.integers(0, 20), is_filled=st.booleans())
    def an_order_ends(self, which: int, is_filled: bool) -> None:
        order = self.exchange.orders[which % len(self.exchange.orders)]
        (self.exchange.fill if is_filled else self.exchange.cancel)(order)

    @precondition(lambda self: self.exchange.orders)
    @rule(
        which=st.integers(0, 20),
        is_filled=st.booleans(),
        waits=st.lists(st.sampled_from([0.0, 3.0, HORIZON]), min_size=1, max_size=2),
    )
    def an_order_ends_and_is_looked_for(self, which: int, is_filled: bool, waits: list[float]) -> None:
        self.an_order_ends(which, is_filled)
        for wait in waits:
            self.run(self.bridge.recover())
            self.run(asyncio.sleep(wait))

    @rule(chance=st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    def reads_get_better_or_worse(self, chance: float) -> None:
        self.exchange.flaky = chance

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 15.0, 90.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    @rule()
    def recover(self) -> None:
        self.run(self.bridge.recover())

    @rule()
    def restart(self) -> None:
        self.run(self.bridge.aclose())
        self.start()

    @rule(after=st.integers(1, 12))
    def be_killed_soon(self, after: int) -> None:
        self.life.left = after

    @rule()
    def be_killed(self) -> None:
        self.life.is_dead = True
        self.start()

    @precondition(lambda self: len(self.siblings) < 2)
    @rule()
    def another_process_begins(self) -> None:
        self.siblings.append((self.life, self.bridge))
        self.start()

    @precondition(lambda self: self.siblings)
    @rule()
    def another_process_acts(self) -> None:
        self.siblings.append((self.life, self.bridge))
        self.life, self.bridge = self.siblings.pop(0)
        if self.life.is_dead:
            self.start()

    @rule(seconds=st.sampled_from([1.0, 12.0, 40.0]))
    def freeze(self, seconds: float) -> None:
        self.life.frozen_until = self.loop.time() + seconds

    # What must hold.

    def records(self) -> list[Record]:
        """The journal, read past the process."""
        return self.read(lambda journal: journal.find())

    def read(self, ask: Any) -> Any:
        async def reading() -> Any:
            self.loop.outside += 1
            try:
                return await ask(self.lives[-1][1])
            finally:
                self.loop.outside -= 1

        return self.loop.run_until_complete(reading())

    def orders_of(self, record: Record) -> list[Truth]:
        """The orders of a placement, live or filled."""
        placement = record.placement
        if placement.client_order_id is None:
            price = placement.request.price
            return [order for order in self.exchange.orders if order.matters and order.request.price == price]
        return [o for o in self.exchange.orders if o.matters and o.client_order_id == placement.client_order_id]

    @invariant()
    def no_placement_has_two_orders_and_no_verdict_is_wrong(self) -> None:
        if not self.lives:
            return
        records = self.records()
        known = {record.placement.client_order_id for record in records}
        by_key: Counter[str] = Counter()
        for record in records:
            mine, placement = self.orders_of(record), record.placement
            assert len(mine) <= 1, f"{placement.client_order_id} has {mine}"
            if placement.client_order_id is not None:
                by_key[placement.key or ""] += bool(mine)
                assert not (mine and record.state in NOTHING_THERE), f"{record.state}, and there is {mine}"
            if record.state is PlacementState.PLACED and mine:
                assert placement.order is not None
                assert placement.order.order_id == mine[0].order_id
        assert all(count <= 1 for count in by_key.values()), by_key
        assert all(order.client_order_id in known for order in self.exchange.orders)

    def known(self, truth: Truth) -> list[Order]:
        """What the journal says of an order."""
        return self.read(lambda journal: journal.orders(gateway="fake", order_id=truth.order_id))

    @invariant()
    def no_order_is_said_to_be_over_that_is_live_or_filled_otherwise(self) -> None:
        for truth in self.exchange.orders if self.lives else ():
            for order in self.known(truth):
                if order.is_done:
                    assert not truth.is_live, f"{order}, and it is live"
                    assert order.filled_quantity == truth.filled, f"{order}, and {truth.filled} is filled"

    def teardown(self) -> None:
        try:
            if self.lives:
                self.end()
        finally:
            self.bury()

    def end(self) -> None:
        """The faults stop, time passes: all must have a verdict, and every chain must be one that can be."""
        self.exchange.faults, self.exchange.flaky, self.life.left = [], 0.0, None
        if self.ends_by_restart:
            self.run(self.bridge.aclose())
            self.start()
        self.run(self.bridge.recover())
        self.run(asyncio.sleep(1000.0), patience=1001.0)
        self.no_placement_has_two_orders_and_no_verdict_is_wrong()
        for record in self.records():
            placement = record.placement
            events = self.read(lambda journal, id=record.id: journal.events(id))
            wrong = breaches(record, events)
            assert not wrong, "; ".join(wrong)
            is_forced = placement.client_order_id in self.exchange.liar or record.conflicts
            if self.exchange.idempotency == "none" or is_forced:
                assert record.state not in UNKNOWN or placement.gave_up, record.state
            else:
                assert record.state not in UNKNOWN, (record.state, placement.gave_up, [str(e) for e in events])
        assert [alarm for alarm in self.alarms if alarm.kind in ("background", "double")] == []
        self.no_order_is_said_to_be_over_that_is_live_or_filled_otherwise()
        for truth in self.exchange.orders:
            if truth.client_order_id is not None and not truth.is_live:
                assert all(order.is_done for order in self.known(truth)), f"{truth} was not seen to end"

    def bury(self) -> None:
        """End every task of every process, and close the files."""
        for life, _ in self.lives:
            life.is_dead = life.is_buried = True
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
        self.loop.outside += 1
        for _, journal in self.lives:
            self.loop.run_until_complete(journal.aclose())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        self.loop.close()
        self.folder.cleanup()


class DurablePlacing(Placing):
    """The same over a file."""

    is_durable = True


@pytest.mark.parametrize(
    ("machine", "examples", "steps"), [(Placing, 120, 30), (DurablePlacing, 10, 20)], ids=["memory", "sqlite"]
)
def test_whatever_happens_each_placement_has_one_order_at_most_and_a_true_verdict(
    machine: type[Placing], examples: int, steps: int
) -> None:
    """No double, no verdict against the truth, no legal chain broken, and an end for each once the faults stop."""
    how = settings(max_examples=examples, stateful_step_count=steps, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=how)
