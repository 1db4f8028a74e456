"""When the next probe is due."""

from datetime import timedelta

import pytest

from orderbridge.placement.policy import Probing, Schedule
from tests.placement.kit import NOW, record

SENT = NOW.timestamp()


def wait(
    number: int, *, now: float, state: str = "uncertain", followed: float = 0.0, late: int = 0, **probing: object
) -> float:
    about = {"horizon": 120.0, "times": (0.5, 1.0, 60.0), "every": 300.0, **probing}
    schedule = Schedule(Probing(**about), clock=lambda: SENT + now)  # type: ignore[arg-type]
    return schedule.wait(record(state=state, sent_at=NOW, not_after=NOW), number, followed=followed, late=late)


@pytest.mark.parametrize(("now", "due"), [(0.0, 60.0), (-3600.0, 60.0), (-100_000_000.0, 60.0)])
def test_a_clock_that_was_set_back_does_not_silence_probing(now: float, due: float) -> None:
    """A probe is due after its time, by the time that was lived through where the clock says later."""
    assert wait(2, now=now) == due
    assert wait(2, now=now, followed=20.0) == due - 20.0


def test_missed_probes_are_not_made_all_at_one_moment() -> None:
    """After a pause, or with a clock that was set forward, they are a little apart."""
    assert wait(2, now=100_000.0) == 0.5


def test_the_last_probe_waits_for_the_horizon_that_was_lived_through() -> None:
    """With a clock set forward the numbers run out; then the time that really passed decides."""
    assert wait(9, now=100_000.0, followed=20.0) == pytest.approx(100.01)
    assert wait(9, now=100_000.0, followed=121.0) == pytest.approx(0.01)


def test_the_rounds_that_a_verdict_needs_do_not_wait_for_the_slow_beat() -> None:
    """After a restart three rounds behind the horizon tell within minutes whether it can be proven."""
    assert [wait(9, now=100_050.0, followed=121.0, late=late) for late in (1, 2)] == [30.0, 30.0]
    assert wait(9, now=100_050.0, followed=121.0, late=3) == 300.0 - (SENT + 100_050.0) % 300.0
    assert wait(9, now=100_050.0, followed=2.0, late=1, horizon=1.0) == 0.5


@pytest.mark.parametrize("state", ["not_placed", "denied"])
def test_what_is_watched_is_asked_for_at_the_same_moments(state: str) -> None:
    """So that one round asks for many, whenever their verdicts were given."""
    moments = {round((SENT + now + wait(0, now=now, state=state)) % 300.0, 3) for now in (0.0, 17.0, 250.0)}

    assert moments <= {0.0, 300.0}


def test_a_restart_makes_as_many_of_the_missed_probes_as_a_proof_needs() -> None:
    """No more than that, and none before its time."""
    schedule = Schedule(Probing(times=(1.0, 2.0, 3.0, 4.0, 5.0)), clock=lambda: SENT + 4.5)

    assert schedule.first(record(sent_at=NOW, not_after=NOW + timedelta(seconds=5))) == 1
