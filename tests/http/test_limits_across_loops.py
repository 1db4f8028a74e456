"""One limiter for the loops of a process: none holds another up, and each keeps to what all together may."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from orderbridge.errors import ConfigurationError
from orderbridge.http.limits import Limiter, LockedOut, NoPermit, Rate, shared_limiter

Simulate = Callable[[Callable[[], Awaitable[Any]]], Any]


def abandon(lanes: Limiter, *, close: bool) -> asyncio.AbstractEventLoop:
    """Leave a loop behind, closed or just not running, with a task that waits first in the queue."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(lanes.acquire("cancel"))
    loop.run_until_complete(asyncio.sleep(0.01))
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    if close:
        loop.close()
    return loop


@pytest.mark.parametrize("close", [True, False], ids=["closed", "not running"])
def test_a_waiter_whose_loop_stopped_holds_nobody_up(close: bool) -> None:
    """A bot that left its loop in the middle of a wait can go on in a new one, with the same shared lanes."""
    lanes = Limiter(Rate(1, 20.0))
    lanes._tokens = 0.0
    left = abandon(lanes, close=close)

    async def go_on() -> None:
        await asyncio.gather(*(lanes.acquire("read", within=2.0) for _ in range(3)))

    asyncio.run(go_on())

    if not close:
        left.run_until_complete(asyncio.gather(*asyncio.all_tasks(left)))
        left.close()


def test_waiters_behind_one_whose_loop_stops_are_served() -> None:
    """Those who already wait in other threads look again within a second, and go on."""
    lanes = Limiter(Rate(1, 0.5))
    lanes._tokens = -1.0
    served = threading.Event()

    async def wait_behind() -> None:
        await lanes.acquire("read", within=10.0)
        served.set()

    async def until_both_wait() -> None:
        async with asyncio.timeout(5):
            while sum(map(len, lanes._queues.values())) < 2:  # noqa: ASYNC110 - the other waits in another thread
                await asyncio.sleep(0.001)

    loop = asyncio.new_event_loop()
    first = loop.create_task(lanes.acquire("cancel"))
    first._log_destroy_pending = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=lambda: asyncio.run(wait_behind()))
    thread.start()
    loop.run_until_complete(until_both_wait())
    loop.close()
    lanes.give_back("read")
    lanes.give_back("read")
    thread.join(10)

    assert served.is_set()


def test_running_out_of_time_without_a_lock_out_is_no_lock_out() -> None:
    """By a real clock, which never stops at the very end, the wait for a slot ends in NoPermit all the same."""
    lanes = Limiter(Rate(1, 0.1))

    async def main() -> None:
        await lanes.acquire("read")
        for within in (0.02, 0.0, -1.0):
            with pytest.raises(NoPermit):
                await lanes.acquire("read", within=within)

    asyncio.run(main())


def test_a_loop_that_closed_while_one_waited_breaks_nobody_elses_call() -> None:
    """Another thread may close its loop at any moment: whoever gives a slot back or changes figures hears nothing."""
    lanes = Limiter(Rate(1, 0.1))
    lanes._tokens = 0.0
    _left = abandon(lanes, close=True)

    lanes.give_back("read")
    lanes.change(Rate(2, 0.1))
    lanes.lock_out(1.0)


@pytest.mark.parametrize("change", ["figures", "lock-out"])
def test_what_another_thread_is_told_reaches_those_who_wait(change: str) -> None:
    """New figures let a waiter of another loop go on within seconds, and a lock-out holds there from the next look."""
    lanes = Limiter(Rate(1, 0.001))
    lanes._tokens = 0.0
    ended: list[BaseException | None] = []
    waiting = threading.Event()

    async def wait() -> None:
        asyncio.get_running_loop().call_later(0.05, waiting.set)
        try:
            await lanes.acquire("read", within=2.5)
        except (LockedOut, NoPermit) as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=lambda: asyncio.run(wait()))
    thread.start()
    waiting.wait(5)
    if change == "figures":
        lanes.change(Rate(1, 1000.0))
    else:
        lanes.lock_out(60.0)
        lanes.change(Rate(1, 1000.0))
    thread.join(10)

    assert [type(each) for each in ended] == [type(None) if change == "figures" else LockedOut]


def test_cancels_that_the_venue_does_not_count_stay_free_without_pacing(in_simulated_time: Simulate) -> None:
    """`limits=None` turns pacing off; it does not put free cancels under a lock-out."""
    lanes = shared_limiter(("test", "unpaced"), None, venue=Rate(60, 4.0, frozenset({"cancel"})))
    lanes.lock_out(1e9)

    async def cancel() -> bool:
        await lanes.acquire("cancel", within=0.0)
        return True

    assert in_simulated_time(cancel)
    assert lanes.is_free("cancel")
    assert not lanes.is_free("read")


@pytest.mark.parametrize(
    ("burst", "per_second"),
    [(0, 1.0), (-1, 1.0), (1, 0.0), (1, -1.0), (1, float("nan")), (1, float("inf"))],
)
def test_figures_that_would_never_grant_are_refused(burst: int, per_second: float) -> None:
    """A rate that divides by zero or waits for ever is a wrong setting."""
    with pytest.raises(ConfigurationError, match="a rate needs a burst of at least 1 and a refill above 0"):
        Rate(burst, per_second)


async def test_gateway_without_limits_takes_nothing_from_those_with() -> None:
    """`limits=None` leaves the others' pace as it is, and shares their lock-out."""
    figures = Rate(burst=1, per_second=0.001)
    paced = shared_limiter(("venue", "address", "key-of-this-test"), figures, venue=figures)
    unpaced = shared_limiter(("venue", "address", "key-of-this-test"), None, venue=figures)

    for _ in range(5):
        await unpaced.acquire("read", within=0.01)
    await paced.acquire("read", within=0.01)
    with pytest.raises(NoPermit):
        await paced.acquire("read", within=0.01)
    paced.lock_out(60)
    with pytest.raises(LockedOut):
        await unpaced.acquire("read", within=0.01)
