"""The bounds that every adapter keeps."""

import asyncio

import pytest

from orderbridge.errors import VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.venue.bounds import AT_ONCE, REMEMBERED, after_a_write, before_a_cancel, read_each, remember


async def test_reads_are_in_the_order_asked_and_no_more_at_once_than_may_be() -> None:
    """Eight run beside one another, and the answers stand in the order of what was asked, whichever comes first."""
    running, most = 0, 0

    async def read(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(30 - number):
            await asyncio.sleep(0)
        running -= 1
        return number * number

    assert await read_each(read, range(20)) == [number * number for number in range(20)]
    assert most == AT_ONCE


async def test_the_first_error_ends_the_rest_and_keeps_its_cause() -> None:
    """It is raised as it is, with its own cause and in no group; what runs is stopped, and the queue does not go on."""
    stopped: list[int] = []
    started: list[int] = []

    async def read(number: int) -> None:
        started.append(number)
        if number == 3:
            raise VenueUnavailable("gone") from OSError("reset")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(number)
            raise

    with pytest.raises(VenueUnavailable) as caught:
        await read_each(read, range(2 * AT_ONCE))

    assert isinstance(caught.value.__cause__, OSError)
    assert sorted([*stopped, 3]) == sorted(started)
    assert max(started) <= AT_ONCE  # the place that the error left may have been taken at once


@pytest.mark.parametrize(("timeout", "before", "after"), [(None, 2, 5), (30, 2, 5), (3, 1, 3)])
async def test_a_read_beside_a_write_has_its_share(timeout: float | None, before: float, after: float) -> None:
    """Before a cancel 2 s at most and no more than a third of the time; after a write 5 s at most."""
    deadline = Deadline(timeout)

    assert before_a_cancel(deadline).remaining() == pytest.approx(before, abs=0.1)
    assert after_a_write(deadline).remaining() == pytest.approx(after, abs=0.1)


def test_the_oldest_is_forgotten_first() -> None:
    """Of more than can be remembered the one that was told longest ago goes; telling it again makes it the newest."""
    store: dict[int, str] = {}
    for number in range(REMEMBERED):
        remember(store, number, "first")

    remember(store, 0, "again")
    remember(store, REMEMBERED, "one more")

    assert len(store) == REMEMBERED
    assert (store[0], 1 in store) == ("again", False)
