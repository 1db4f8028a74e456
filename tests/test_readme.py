"""The README says what is so: its examples run, and its tables are those of the code."""

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orderbridge import Capabilities, Order, OrderStatus, errors
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.model.results import Answer

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


def section(title: str) -> str:
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


def test_quick_start_is_two_blocks_of_one_line() -> None:
    """A newcomer copies two lines: the demo, then the tests."""
    blocks = re.findall(r"^```sh\n(.*?)\n```$", section("Quick start"), flags=re.DOTALL | re.MULTILINE)

    assert len(blocks) == 2
    assert all("\n" not in block for block in blocks)
    assert blocks[0].endswith("orderbridge demo")
    assert "pytest" in blocks[1]


def test_ten_lines_of_a_bot_run() -> None:
    """The bot is ten lines long between its start and its run, and prints both answers."""
    bot = EXAMPLES[0]
    body = [line for line in bot.splitlines() if line.strip() and not line.startswith(("import", "from"))]

    ran = run(bot)

    assert len(body) <= 10
    assert ran.returncode == 0, ran.stderr
    assert "my-bot-42 -> bitso:" in ran.stdout
    assert "partially_filled" in ran.stdout
    assert "543cr2v32a1h6844 -> {'bitso'" in ran.stdout


def test_every_example_passes_mypy_as_written(tmp_path: Path) -> None:
    """What a newcomer copies is fully typed: no block needs a cast, an ignore or a look at a type of ours."""
    files = [tmp_path / f"example_{number}.py" for number in range(len(EXAMPLES))]
    for file, example in zip(files, EXAMPLES, strict=True):
        file.write_text(example)

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, files)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip

    assert len(files) >= 7
    assert checked.returncode == 0, checked.stdout


def test_every_other_example_runs() -> None:
    """Each further block of Python is executed; a test function in it is run."""
    for example in EXAMPLES[1:]:
        functions = [node.name for node in ast.parse(example).body if isinstance(node, ast.AsyncFunctionDef)]
        tests = [name for name in functions if name.startswith("test_")]
        ran = run(example + "".join(f"\nimport asyncio; asyncio.run({name}())" for name in tests))

        assert ran.returncode == 0, ran.stderr


def test_the_table_of_an_orders_fields_is_that_of_the_code() -> None:
    """Every field and every derived value of an order stands in it, and nothing else."""
    cells = re.findall(r"^\| (`.*?`) \|", section("Orders"), flags=re.MULTILINE)
    derived = {name for name, value in vars(Order).items() if isinstance(value, property) and not name.startswith("_")}
    private = {"numbered_by_market", "unseen_since", "identity"}

    told = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}

    assert told == (set(Order.model_fields) | derived) - private - {"model_extra", "model_fields_set"}


def test_nothing_cites_what_is_not_there() -> None:
    """No text of the repository sends its reader to a page that he does not have."""
    there = {path.name for path in ROOT.rglob("*.md")}
    files = [
        *(ROOT / "orderbridge").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "cassettes").rglob("*.yaml"),
        *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "cassettes" / "README.md",
    ]  # fmt: skip
    cited = {
        (file.name, name)
        for file in files
        for name in re.findall(r"[\w./-]+\.md\b|§", file.read_text())
        if name.rpartition("/")[2] not in there and file != Path(__file__)
    }

    assert cited == set()


def test_tables_are_those_of_the_code() -> None:
    """Every error and every status has its row, and no row is of something else."""
    kinds = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.OrderBridgeError) and name != "OrderBridgeError"
    ]

    assert first_column(section("Errors")) == kinds
    assert first_column(section("Statuses")) == [status.value for status in OrderStatus]
    assert all(f"`{answer}`" in README for answer in Answer)


@pytest.mark.parametrize(
    ("row", "of"),
    [
        ("order types", lambda known: known.order_types),
        ("times in force", lambda known: known.times_in_force),
    ],
)
def test_capability_table_is_that_of_the_code(row: str, of: Callable[[Capabilities], frozenset[str]]) -> None:
    """What the table says each venue takes is what its gateway declares."""
    (line,) = re.findall(rf"^\| {row} \|(.*)\|$", README, flags=re.MULTILINE)
    bitso, bitcain, through_ccxt = (set(re.findall(r"`(\w+)`", cell)) for cell in line.split("|"))

    assert bitso == of(BitsoGateway.capabilities)
    assert bitcain == of(BitcainGateway.capabilities)
    # Of ccxt's exchanges each has its own; the table says what there may be.
    assert through_ccxt <= of(BitcainGateway.capabilities)
    assert through_ccxt
