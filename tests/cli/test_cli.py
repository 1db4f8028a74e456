"""The command line, as a person or a script meets it."""

import json
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name

import pytest
import typer
from typer.testing import CliRunner, Result

from orderbridge.cli.app import COMMANDS, app
from orderbridge.simulator import Simulator

README = Path(__file__).parents[2] / "README.md"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.mark.usefixtures("keys")
def test_lookup_prints_a_table(venue: Simulator) -> None:
    """Orders of both venues are found by any id, and the exit code is 0."""
    bitso = venue.bitso.put(origin_id="mine", status="partially filled", quantity="0.01", price="560000")
    bitcain = venue.bitcain.put(status="filled", quantity="0.5", price="60000")

    result = run("lookup", "mine", f"bitcain:{bitcain.order_id}")

    assert result.exit_code == 0, result.output
    assert bitso.order_id in result.output
    assert "partially filled" in result.output
    assert "0.005 / 0.01" in result.output
    assert "filled, paper" in result.output


@pytest.mark.usefixtures("keys")
def test_lookup_that_finds_not_all_exits_with_1(venue: Simulator) -> None:
    """A script can tell from the exit code that something was not found."""
    result = run("lookup", "bitso:nosuchorder00001", "bitcain:order:00000000-0000-4000-8000-000000000000")

    assert result.exit_code == 1
    assert "not seen" in result.output
    assert "proven absent" in result.output


@pytest.mark.usefixtures("keys")
def test_lookup_tells_a_mis_written_id_from_an_order_that_is_not_there(venue: Simulator) -> None:
    """White space of a file is dropped; an id of no form a venue has says so; a control character is refused."""
    put = venue.bitso.put(status="open")

    assert run("lookup", f"bitso:order:{put.order_id}\n").exit_code == 0
    impossible = run("lookup", "bitso:a/b")
    assert impossible.exit_code == 1
    assert "not seen" in impossible.output
    assert "form that ids have here" in " ".join(impossible.output.split())
    assert "proven" not in impossible.output
    wrong = run("lookup", f"bitso:{put.order_id[:5]}\n{put.order_id[5:]}")
    assert wrong.exit_code == 2
    assert "holds a control character" in " ".join(wrong.output.split())


@pytest.mark.usefixtures("keys")
def test_lookup_names_the_venue_that_is_down(venue: Simulator) -> None:
    """An undecided ref says which gateway could not answer, and why."""
    venue.run(venue.bitcain.stop())

    result = run("lookup", "--timeout", "1", "bitcain:client:mine")

    assert result.exit_code == 1
    assert "undecided" in result.output
    assert "bitcain could not answer" in result.output


@pytest.mark.usefixtures("keys")
def test_lookup_prints_json(venue: Simulator) -> None:
    """`--json` prints the models, with plain decimals."""
    put = venue.bitso.put(status="open", quantity="0.00000001")

    result = run("lookup", "--json", "-g", "bitso", f"bitso:{put.order_id}")

    (found,) = json.loads(result.stdout)["found"]
    assert found["orders"][0]["quantity"] == "0.00000001"
    assert found["answers"] == {"bitso": "found"}


def test_nothing_set_up_is_told_in_one_line(venue: Simulator) -> None:
    """Without settings the command says where they go, exits 2, and shows no traceback."""
    result = run("lookup", "x")

    assert result.exit_code == 2
    assert "BITSO_API_KEY" in result.output
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("keys")
def test_unknown_gateway_is_told_in_one_line(venue: Simulator) -> None:
    """A prefix that names no gateway lists those that are there."""
    result = run("lookup", "kraken:x")

    assert result.exit_code == 2
    assert "bitso, bitcain" in result.output.replace("\n", " ")


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_its_extra_the_command_says_how_to_get_it(module: str) -> None:
    """No traceback from a missing package: the install line."""
    code = f"import sys; sys.modules[{module!r}] = None; from orderbridge.cli import main; main()"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert "pip install 'orderbridge[cli]'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_demo_is_right_in_every_line() -> None:
    """The demo finds every order, calls nothing found that is not, and exits 0."""
    result = run("demo")

    assert result.exit_code == 0, result.output
    assert "Every answer was right." in result.output
    assert "NO" not in result.output.split()
    for word in ("accepted", "open", "partially filled", "filled", "cancelled", "expired", "rejected", "failed"):
        assert word in result.output
    for word in ("ended, inferred", "unknown (on hold)", "not seen", "proven absent", "undecided"):
        assert word in result.output


def test_demo_fails_when_an_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's exit code is earned: a venue that shows something else makes it 1."""
    from orderbridge.simulator.bitso.trading import BitsoTrading

    real = BitsoTrading._row

    def lie(self: BitsoTrading, order: object, call: object) -> dict[str, object]:
        return {**real(self, order, call), "status": "completed"}  # type: ignore[arg-type]

    monkeypatch.setattr(BitsoTrading, "_row", lie)

    result = run("demo")

    assert result.exit_code == 1
    assert "Some answers were wrong" in result.output


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    """The list is written without what the commands load, so each line is held to the command's own first sentence."""
    for name, (place, line) in COMMANDS.items():
        written = resolve_name(f"orderbridge.cli.{place.replace('.', ':')}")
        told = written.info.help if isinstance(written, typer.Typer) else written.__doc__

        assert " ".join(told.split()).startswith(line.removesuffix(".")), name
        assert f"Usage: root {name} " in run(name, "--help").output, name


def test_the_help_loads_no_models() -> None:
    """Neither pydantic nor an HTTP library is in a process that prints the list of commands."""
    code = """
import sys, orderbridge.cli
try:
    orderbridge.cli.main()
finally:
    print(*{"pydantic", "asyncio", "orderbridge.errors"} & {*sys.modules})
"""

    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True, timeout=60
    )

    assert "Commands" in done.stdout
    assert done.stdout.splitlines()[-1] == ""


def test_the_readme_names_every_command() -> None:
    """Whoever reads the README's section meets each command there is."""
    section = README.read_text().split("## The command line", 1)[1].split("\n## ", 1)[0]

    commands = typer.main.get_command(app).commands

    assert {"open", "orders", "fills", "place", "cancel", "edit"} <= set(commands)
    assert [name for name in commands if f"orderbridge {name}" not in section] == []
