"""The benchmark runs and checks what it measures; its figures are printed and not asserted."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from orderbridge.simulator import Simulator


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """The benchmark's file, which is no package."""
    path = Path(__file__).parents[1] / "benchmarks" / "simulator.py"
    spec = importlib.util.spec_from_file_location("simulator_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_pairs_and_look_ups_are_answered(benchmark: ModuleType) -> None:
    """More pairs than Bitso's limits allow in a minute are all answered with their order."""
    sim = Simulator(seed=1, bitso={"pacing": False})
    async with sim:
        port = int(sim.bitso.origin.rpartition(":")[2])
        assert await benchmark.pairs(port, sim.bitso.api_key, sim.bitso.api_secret, 200) > 0

    assert len(sim.bitso.accepted()) == 200


def test_the_large_book_is_measured(benchmark: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """A small large book: size and times are printed."""
    benchmark.large_book(500, 400)

    assert "500 resting orders" in capsys.readouterr().out


async def test_an_answer_that_is_no_200_fails(benchmark: ModuleType) -> None:
    """A refusal is not measured as if it were a look-up."""
    async with Simulator(seed=1) as sim:
        lean = benchmark.Lean(sim.bitso.api_key, sim.bitso.api_secret)
        await lean.connect(int(sim.bitso.origin.rpartition(":")[2]))
        with pytest.raises(AssertionError, match="404"):
            await lean.call("GET", "/api/v3/nothing")
        lean.close()


def test_a_child_that_fails_fails_the_benchmark(benchmark: ModuleType) -> None:
    """The exit code of a process of its own counts."""
    with pytest.raises(SystemExit, match="exit code 7"):
        benchmark.in_process_of_its_own(sys.exit, 7)
