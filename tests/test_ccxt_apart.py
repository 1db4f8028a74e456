"""
What imports ccxt is tested in a process of its own.

ccxt changes the decimal context of the thread that it computes in, and may bring an event loop that sockets cannot be
blocked under; no other test may depend on either. By hand: `python -m pytest -m ccxt`, with or without a file's name.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# The whole suite of ccxt, on a busy machine; and one test of it, which then says where it hangs.
SECONDS = 2_400
SECONDS_OF_ONE = 300


def marked_files() -> set[str]:
    """The test files that speak of the marker, by their path from the root."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in TESTS.rglob("test_*.py")
        if any(
            isinstance(node, ast.Attribute) and ast.unparse(node) == "pytest.mark.ccxt"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }


def test_what_imports_ccxt_passes_in_a_process_of_its_own(tmp_path: Path) -> None:
    """
    Every file with the marker has tests that ran there and passed, and nothing there failed.

    Nor was anything skipped, but for a card of the contract that an exchange's capabilities exclude.
    """
    report = tmp_path / "report.txt"
    command = [sys.executable, "-m", "pytest", "-m", "ccxt", "-q", "-n", "2", "-rps", "--color=no"]
    command += ["-p", "no:cacheprovider"]
    command += ["-o", f"faulthandler_timeout={SECONDS_OF_ONE}", "-o", "faulthandler_exit_on_timeout=true"]

    with report.open("w") as file:
        try:
            ended: object = subprocess.run(
                command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False, timeout=SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            ended = f"none within {SECONDS} s"
    output = report.read_text()
    lines = output.splitlines()
    passed = {line.removeprefix("PASSED ").partition("::")[0] for line in lines if line.startswith("PASSED ")}

    if ended != 0:
        pytest.fail(f"exit code {ended} of {' '.join(command)}\n{output}", pytrace=False)
    assert passed == marked_files()
    assert passed
    skipped = [line for line in lines if line.startswith("SKIPPED ")]
    assert [line for line in skipped if not line.endswith("takes no client order ids")] == []


def test_that_process_is_started_first(request: pytest.FixtureRequest) -> None:
    """It takes longer than any other test, so nothing of the main run is waited for before it begins."""
    names = [item.name for item in request.session.items]

    assert names.count(test_what_imports_ccxt_passes_in_a_process_of_its_own.__name__) in {0, 1}
    assert test_what_imports_ccxt_passes_in_a_process_of_its_own.__name__ not in names[1:]


def imports(path: Path) -> Iterator[str]:
    """What a file imports anywhere, or at its top where it holds fixtures and helpers only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if path.name.startswith("test_") else tree.body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_no_test_without_the_marker_imports_ccxt() -> None:
    """Collecting and running the others leaves ccxt out: only files with the marker name it in an import."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in TESTS.rglob("*.py")
        # Benchmarks are run by hand only.
        if "benchmarks" not in path.parts and any(name.split(".")[0] == "ccxt" for name in imports(path))
    }

    assert importing
    assert importing <= marked_files()
