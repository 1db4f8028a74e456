"""The benchmarks tell what they measured as it is; figures are not asserted here."""

import asyncio
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from tests.benchmarks.__main__ import GROUPS, arguments, page
from tests.benchmarks.chart import svg
from tests.benchmarks.figures import ROOT, Figure, Row, in_turn, ratio
from tests.benchmarks.serving import serving

ROWS = [
    Row("calls", "one < two", (Figure("CPU", 0.5, 1e-5, 2e-5), Figure("wall", 0.6, 1e-5, 2e-5)), 0.85),
    Row("calls", "rate", (Figure("rate", 1.5, 1e-3, 2e-3),), 1.7, at_least=True),
    Row("calls", "no goal", (Figure("CPU", 2.0, 2e-5, 1e-5),)),
    Row("growth", "grows", (Figure("CPU", 1.0, 1e-6),), 1.3, points={"by id": {10: 2e-6, 100: 1e-6}}),
]


def test_a_goal_is_met_on_its_side() -> None:
    """What is to be small is met below its goal, what is to be large above it, and what has none is neither."""
    assert [row.verdict for row in ROWS] == ["met", "missed", "", "met"]


def test_the_ratio_is_that_of_each_round() -> None:
    """A round that was slow for both moves nothing: the median of ratios, not the ratio of medians."""
    assert ratio("wall", [(1, 2), (50, 100), (3, 3)]).value == 0.5


async def test_both_are_measured_in_turn() -> None:
    """A B A B, after a round that warms up."""
    made: list[str] = []

    async def ours() -> None:
        made.append("A")

    async def theirs() -> None:
        made.append("B")

    await in_turn(ours, theirs, rounds=2, times=2)

    assert "".join(made) == "AABB" * 3


def test_the_plot_and_the_page_name_every_row() -> None:
    """Neither leaves a row out, and the plot is XML whatever a row is called."""
    texts = [element.text for element in ElementTree.fromstring(svg(ROWS, "title")).iter() if element.text]

    assert {"title", "one < two", "rate", "by id"} <= set(texts)
    assert [row.what for row in ROWS if f"| {row.what} |" not in page(ROWS, "here", "plot.svg")] == []


def test_the_memory_of_a_process_is_not_its_parents() -> None:
    """What a larger process begins counts what it takes itself."""
    held = b"x" * (256 << 20)
    code = "from tests.benchmarks.simulator import most_memory; print(most_memory())"

    told = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)

    assert 0 < int(told) < len(held) / 2


async def test_the_server_answers_after_a_while() -> None:
    """It is a process of its own that ends with the block, and its answers are Bitso's."""
    with serving(0.01) as origin:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(origin.rpartition(":")[2]))
        writer.write(b"GET /api/v3/orders?oids=Q7 HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await reader.readuntil(b"}]}")
        writer.close()

    assert b'"oid": "Q7"' in answer


def test_a_group_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those there are."""
    with pytest.raises(SystemExit, match="2"):
        arguments(["call"])

    told = capsys.readouterr().err
    assert all(group in told for group in GROUPS)
