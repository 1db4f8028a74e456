"""The short form of the torture: `python -m tests.torture` is the long one."""

from pathlib import Path

from tests.torture.run import Plan, Torture


async def test_nothing_is_placed_twice_lost_or_told_wrongly(tmp_path: Path) -> None:
    """Two hundred orders at both venues, under every fault, by a process that dies at every point, are placed once."""
    plan = Plan(orders=200, seed=1, horizon=1.0, thorough=False, at_random=3)

    counts = await Torture(plan, tmp_path).run()

    assert counts.is_clean, str(counts)
    assert sum(counts.verdicts.values()) >= 200
    # An order whose answer was lost, and that Bitso forgot before it traded, leaves no proof of either: one in a
    # hundred or so, by which faults strike when. A person is told of each.
    assert sum(counts.gave_up.values()) <= 10, str(counts)
