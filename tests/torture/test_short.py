"""The short form of the torture: `python -m tests.torture` is the long one."""

from pathlib import Path

from tests.torture.run import torture


async def test_nothing_is_placed_twice_lost_or_told_wrongly(tmp_path: Path) -> None:
    """Two hundred orders under every fault, with a process that is killed over and over, are each placed once."""
    counts = await torture(tmp_path / "orders.db", orders=200, seed=1, horizon=1.0)

    assert counts.is_clean, counts
    assert counts.runs > 5
    assert sum(counts.verdicts.values()) >= 200
