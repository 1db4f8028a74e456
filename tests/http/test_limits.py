"""Rate lanes: the figure, the order of right, lock-outs, and one limiter for every loop and thread."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderbridge.http import limits
from orderbridge.http.limits import Limiter, LockedOut, NoPermit, Rate, shared_limiter
from orderbridge.model.permit import LANES, Lane

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]
BITSO = Rate(burst=60, per_second=4.0, free_lanes=frozenset({"cancel"}))
# How long examples take to make is the machine's affair.
SLOW_OR_FIXTURE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
shared_fixture = settings(suppress_health_check=SLOW_OR_FIXTURE, max_examples=12)


def limiter(rate: Rate | None = BITSO, **more: Any) -> Limiter:
    """A limiter by the running loop's clock."""
    return Limiter(rate, clock=asyncio.get_running_loop().time, **more)


def most_in_a_minute(times: list[float]) -> int:
    """The most grants in any window of 60 seconds."""
    times = sorted(times)
    return max((sum(start <= at < start + 60 for at in times) for start in times), default=0)


@shared_fixture
@given(
    burst=st.integers(1, 80),
    per_second=st.sampled_from([0.5, 2 / 3, 1.0, 3.7, 4.0]),
    plan=st.lists(st.tuples(st.floats(0, 90), st.sampled_from(LANES)), min_size=120, max_size=250),
)
def test_no_minute_goes_over_the_figure(
    in_simulated_time: Simulate, burst: int, per_second: float, plan: list[tuple[float, Lane]]
) -> None:
    """Whenever and in whatever lanes requests come, no 60 s window holds more than burst + 60 · refill."""
    granted: list[float] = []

    async def main() -> None:
        lanes, loop = limiter(Rate(burst, per_second)), asyncio.get_running_loop()

        async def one(at: float, lane: Lane) -> None:
            await asyncio.sleep(at)
            await lanes.acquire(lane)
            granted.append(loop.time())

        await asyncio.gather(*(one(at, lane) for at, lane in plan))

    in_simulated_time(main)

    assert len(granted) == len(plan)
    assert most_in_a_minute(granted) <= burst + 60 * per_second


def test_bitso_gets_at_most_300_in_any_minute_and_nearly_all_of_them(in_simulated_time: Simulate) -> None:
    """The venue's figure is kept to exactly, and used."""
    granted: list[float] = []

    async def main() -> None:
        lanes = limiter()
        for _ in range(900):
            await lanes.acquire("read")
            granted.append(asyncio.get_running_loop().time())

    in_simulated_time(main)

    assert most_in_a_minute(granted) in range(295, 301)


def test_lanes_are_served_in_their_order_of_right(in_simulated_time: Simulate) -> None:
    """Whoever came first, a cancel goes before a resolve, a place and a read; within a lane the first is first."""
    served: list[str] = []

    async def main() -> None:
        lanes = limiter(Rate(1, 1.0))
        await lanes.acquire("read")

        async def one(lane: Lane, number: int) -> None:
            await lanes.acquire(lane)
            served.append(f"{lane}{number}")

        waiting = [asyncio.ensure_future(one(lane, number)) for number in (1, 2) for lane in reversed(LANES)]
        await asyncio.gather(*waiting)

    in_simulated_time(main)

    assert served == [f"{lane}{number}" for lane in LANES for number in (1, 2)]


def test_a_cancelled_waiter_leaves_its_slot_to_the_next(in_simulated_time: Simulate) -> None:
    """Giving up while waiting costs nobody a slot, wherever in the queue one stood."""

    async def main() -> list[float]:
        lanes, loop = limiter(Rate(1, 1.0)), asyncio.get_running_loop()
        await lanes.acquire("read")
        start, times = loop.time(), []

        async def one() -> None:
            await lanes.acquire("read")
            times.append(round(loop.time() - start, 3))

        waiting = [asyncio.ensure_future(one()) for _ in range(5)]
        await asyncio.sleep(0.5)
        waiting[0].cancel()
        waiting[2].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return times

    assert in_simulated_time(main) == [1.0, 2.0, 3.0]


def test_some_slots_of_a_burst_are_kept_for_what_resolves(in_simulated_time: Simulate) -> None:
    """Reads and orders leave four slots alone, and a cancel or a resolving look takes them without a wait."""

    async def main() -> list[float]:
        lanes, loop = limiter(Rate(60, 0.1)), asyncio.get_running_loop()
        start, times = loop.time(), []
        reads = [asyncio.ensure_future(lanes.acquire("read")) for _ in range(100)]
        await asyncio.sleep(1)
        at_once = sum(read.done() for read in reads)
        for lane in ("cancel", "resolve", "resolve", "cancel", "resolve"):
            await lanes.acquire(lane)
            times.append(loop.time() - start)
        for read in reads:
            read.cancel()
        await asyncio.gather(*reads, return_exceptions=True)
        return [at_once, *times]

    assert in_simulated_time(main) == pytest.approx([56, 1.0, 1.0, 1.0, 1.0, 10.0])


def test_a_small_burst_keeps_nothing_back(in_simulated_time: Simulate) -> None:
    """Where the venue allows few at once, every lane may use them all."""

    async def main() -> float:
        lanes, loop = limiter(Rate(9, 0.001)), asyncio.get_running_loop()
        start = loop.time()
        for _ in range(9):
            await lanes.acquire("place")
        return loop.time() - start

    assert in_simulated_time(main) == 0.0


@pytest.mark.parametrize("end", ["served", "cancelled", "cancelled from behind"])
def test_the_work_of_a_long_queue_is_linear(
    in_simulated_time: Simulate, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """However many wait, each that is served or gives up costs a few looks, and none that leaves wakes them all."""
    count = 2000
    looks = 0
    look, turn = Limiter._try_take, limits._Queue.first.fget  # type: ignore[attr-defined]

    def counted(self: Limiter, lane: Lane, **more: bool) -> float:
        nonlocal looks
        looks += 1
        return look(self, lane, **more)

    def counted_turn(self: limits._Queue) -> asyncio.Event | None:
        nonlocal looks
        looks += 1
        found: asyncio.Event | None = turn(self)
        return found

    monkeypatch.setattr(Limiter, "_try_take", counted)
    monkeypatch.setattr(limits._Queue, "first", property(counted_turn))

    async def main() -> None:
        lanes = limiter(Rate(1, 100.0 if end == "served" else 0.001))
        waiting = [asyncio.ensure_future(lanes.acquire("read")) for _ in range(count)]
        await asyncio.sleep(0.001)
        for each in [] if end == "served" else waiting if end == "cancelled" else reversed(waiting):
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    in_simulated_time(main)

    assert looks < 12 * count


def test_waiters_that_give_up_are_not_kept(in_simulated_time: Simulate) -> None:
    """A lock-out of an hour during which a bot asks again and again leaves nothing behind."""

    async def main() -> int:
        lanes = limiter()
        lanes.lock_out(3600.0)
        for _ in range(1000):
            with pytest.raises(LockedOut):
                await lanes.acquire("read", within=1.0)
        return len(lanes._queue())

    assert in_simulated_time(main) == 0


def test_a_lock_out_stops_the_lanes_that_count_and_no_other(in_simulated_time: Simulate) -> None:
    """Reads and placings wait it out; a cancel that the venue does not count goes at once."""

    async def main() -> dict[str, float]:
        lanes, loop, times = limiter(), asyncio.get_running_loop(), {}
        start = loop.time()
        lanes.lock_out(60.0)

        async def one(lane: Lane) -> None:
            await lanes.acquire(lane)
            times[lane] = round(loop.time() - start, 3)

        await asyncio.gather(*map(one, LANES))
        return times

    assert in_simulated_time(main) == {"cancel": 0.0, "resolve": 60.0, "place": 60.0, "read": 60.0}


def test_a_shorter_lock_out_does_not_end_a_longer_one(in_simulated_time: Simulate) -> None:
    """The latest end stands, and it is told."""

    async def main() -> tuple[float, float]:
        lanes = limiter()
        free = lanes.locked_for
        lanes.lock_out(60.0)
        lanes.lock_out(5.0)
        return free, lanes.locked_for

    assert in_simulated_time(main) == (0.0, 60.0)


@pytest.mark.parametrize(("within", "error"), [(10.0, LockedOut), (70.0, None)])
def test_who_cannot_wait_for_the_end_of_a_lock_out_hears_it_at_once(
    in_simulated_time: Simulate, within: float, error: type[Exception] | None
) -> None:
    """A lock-out beyond the caller's time is an error without a wait, and says how long it lasts."""

    async def main() -> float:
        lanes, start = limiter(), asyncio.get_running_loop().time()
        lanes.lock_out(60.0)
        if error is None:
            await lanes.acquire("read", within=within)
        else:
            with pytest.raises(LockedOut) as locked:
                await lanes.acquire("read", within=within)
            assert locked.value.seconds == 60.0
        return asyncio.get_running_loop().time() - start

    assert in_simulated_time(main) == pytest.approx(0.0 if error else 60.0)


def test_a_lock_out_reaches_those_who_wait_already(in_simulated_time: Simulate) -> None:
    """Nobody who was waiting for a slot slips out during a lock-out."""

    async def main() -> float:
        lanes, loop = limiter(Rate(1, 1.0)), asyncio.get_running_loop()
        await lanes.acquire("read")
        start = loop.time()
        waiting = asyncio.ensure_future(lanes.acquire("read"))
        await asyncio.sleep(0.5)
        lanes.lock_out(20.0)
        await waiting
        return loop.time() - start

    assert in_simulated_time(main) == pytest.approx(20.5)


@pytest.mark.parametrize("within", [0.0, 0.5])
def test_no_permit_when_the_slot_would_come_too_late(in_simulated_time: Simulate, within: float) -> None:
    """The wait ends with the caller's time, and a slot that is there needs none."""

    async def main() -> float:
        lanes, loop = limiter(Rate(1, 1.0)), asyncio.get_running_loop()
        await lanes.acquire("read", within=0.0)
        start = loop.time()
        with pytest.raises(NoPermit, match="no free slot in the rate limit within the time given"):
            await lanes.acquire("read", within=within)
        return loop.time() - start

    assert in_simulated_time(main) == pytest.approx(within)


def test_a_slot_given_back_serves_the_next(in_simulated_time: Simulate) -> None:
    """What was not sent is not counted; giving back fills the burst at most."""

    async def main() -> list[float]:
        lanes, loop, times = limiter(Rate(2, 0.1)), asyncio.get_running_loop(), []
        for lane in ("place", "cancel", "read", "read"):
            lanes.give_back(lane)
        start = loop.time()
        for _ in range(3):
            await lanes.acquire("read")
            times.append(round(loop.time() - start, 3))
        waiting = asyncio.ensure_future(lanes.acquire("read"))
        await asyncio.sleep(1)
        lanes.give_back("read")
        await waiting
        return [*times, round(loop.time() - start, 3)]

    assert in_simulated_time(main) == [0.0, 0.0, 10.0, 11.0]


def test_giving_back_a_free_lane_makes_no_slot(in_simulated_time: Simulate) -> None:
    """A cancel that was not counted gives nothing back."""

    async def main() -> None:
        lanes = limiter(Rate(1, 0.001, frozenset({"cancel"})))
        await lanes.acquire("read")
        lanes.give_back("cancel")
        with pytest.raises(NoPermit):
            await lanes.acquire("read", within=1.0)

    in_simulated_time(main)


def test_without_a_rate_nothing_is_paced_and_lock_outs_hold(in_simulated_time: Simulate) -> None:
    """No pacing is no reason to run into a lock-out."""

    async def main() -> tuple[float, float]:
        lanes, loop = limiter(None), asyncio.get_running_loop()
        start = loop.time()
        for _ in range(1000):
            await lanes.acquire("read")
        unpaced = loop.time() - start
        lanes.lock_out(30.0)
        await lanes.acquire("read")
        return unpaced, loop.time() - start

    assert in_simulated_time(main) == pytest.approx((0.0, 30.0))


def test_figures_change_under_way(in_simulated_time: Simulate) -> None:
    """A slower rate holds from now on, what was used stays used, and no rate frees everybody."""

    async def main() -> list[float]:
        lanes, loop, times = limiter(Rate(10, 10.0)), asyncio.get_running_loop(), []
        start = loop.time()
        for _ in range(9):
            await lanes.acquire("read")
        lanes.change(Rate(5, 0.5))
        for _ in range(2):
            await lanes.acquire("read")
            times.append(round(loop.time() - start, 3))
        waiting = asyncio.ensure_future(lanes.acquire("read"))
        await asyncio.sleep(0.5)
        lanes.change(None)
        await waiting
        return [*times, round(loop.time() - start, 3)]

    assert in_simulated_time(main) == [0.0, 2.0, 2.5]


def test_one_scope_shares_one_limiter() -> None:
    """Gateways of one venue, address and key pace together; another key has its own lanes."""
    one, same, other = (shared_limiter(("test", scope), "venue", venue=BITSO) for scope in ("a", "a", "b"))

    assert one is same
    assert one is not other


def test_two_threads_with_a_loop_each_stay_under_the_figure_together() -> None:
    """One limiter serves loops in several threads: nobody is lost, and the sum keeps to the rate."""
    lanes, granted = Limiter(Rate(10, 200.0)), []

    async def many() -> None:
        async def one() -> None:
            await lanes.acquire("read", within=20.0)
            granted.append(time.monotonic())

        await asyncio.gather(*(one() for _ in range(40)))

    threads = [threading.Thread(target=lambda: asyncio.run(many())) for _ in range(3)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(granted) == 120
    assert max(granted) - started >= (120 - 10) / 200.0
