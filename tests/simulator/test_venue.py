"""What a venue remembers of its requests, and when it stops."""

import pytest

from orderbridge.simulator.message import Request
from orderbridge.simulator.venue import RequestLog


def test_large_bodies_are_forgotten_first() -> None:
    """The last requests are kept by number and by the bytes of their bodies."""
    log = RequestLog()

    for number in range(1_500):
        log.note(Request("GET", f"/{number}", {}), 0.0)
    assert [request.path for request in log.recent] == [f"/{number}" for number in range(500, 1_500)]
    for number in range(100):
        log.note(Request("POST", f"/large{number}", {}, b"x" * (1 << 20)), 0.0)

    assert [request.path for request in log.recent] == [f"/large{number}" for number in range(84, 100)]
    assert log.counts.total() == 1_600


def test_paths_without_end_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a bound new paths share a row, known ones keep theirs, the total is right, and long ones are cut."""
    monkeypatch.setattr(RequestLog, "MOST_NAMES", 2)
    log = RequestLog()

    for target in ("/a?x=1", "/b", "/c", "/d", "/a"):
        log.note(Request("GET", target, {}), 1.0)
    assert log.counts == {"GET /a": 2, "GET /b": 1, "GET (other paths)": 2}
    assert list(log.times)[-1] == (1.0, "GET /a")

    log.note(Request("GET", "/" * 60_000, {}), 1.0)
    assert len(log.times[-1][1]) == 1_000
