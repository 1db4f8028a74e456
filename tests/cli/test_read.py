"""`open`, `orders` and `fills`, as a person or a script meets them."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from orderbridge import Failure, Fill, Found, LookupResult, Order, OrderRef, OrderRequest, Placement
from orderbridge.cli import tables
from orderbridge.cli.app import app
from orderbridge.model.results import Answer, BadRow
from orderbridge.simulator import Simulator

pytestmark = pytest.mark.usefixtures("keys")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def complaints(result: Result) -> list[str]:
    """What stands on stderr beside where the settings are from and what is connected to."""
    return [line for line in result.stderr.splitlines() if not line.startswith(("Settings from ", "Connects to "))]


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_open_lists_every_gateway(venue: Simulator) -> None:
    """Open orders of both venues stand in one table, those that are over do not, and the exit code is 0."""
    bitso = venue.bitso.put(origin_id="mine", status="partially filled", quantity="0.01", price="560000")
    bitcain = venue.bitcain.put(status="open", quantity="0.5", price="59000")
    over = venue.bitcain.put(status="filled", quantity="0.5", price="60000")

    result = run("open")

    assert result.exit_code == 0, result.output
    assert f"bitso:{bitso.order_id}" in result.stdout
    assert f"bitcain:{bitcain.order_id}" in result.stdout
    assert over.order_id not in result.stdout
    assert "0.005 / 0.01" in result.stdout
    assert "open, paper" in result.stdout
    assert "mine" in result.stdout


def test_open_of_one_symbol_and_gateway(venue: Simulator) -> None:
    """`--symbol` and `-g` narrow the list."""
    wanted = venue.bitso.put(status="open", book="eth_mxn", quantity="0.2")
    venue.bitso.put(status="open", quantity="0.01")

    result = run("open", "--symbol", "eth/mxn", "-g", "bitso", "--json")

    assert [order["order_id"] for order in lines(result)] == [wanted.order_id]
    assert not any("orders" in request for request in venue.bitcain.requests)


def test_open_names_the_gateway_that_is_down(venue: Simulator) -> None:
    """What one venue says is shown all the same; the other is named, and the exit code is 1."""
    put = venue.bitso.put(status="open", quantity="0.01")
    venue.run(venue.bitcain.stop())

    result = run("open", "--timeout", "1", "--json")

    assert result.exit_code == 1
    assert [order["order_id"] for order in lines(result)] == [put.order_id]
    assert "bitcain could not answer" in result.stderr


def test_open_without_orders_says_so() -> None:
    """An empty list is an answer, not a blank."""
    result = run("open", "-g", "bitcain")

    assert result.exit_code == 0
    assert result.stdout == "No open orders.\n"


def test_open_says_what_a_list_may_leave_out(venue: Simulator) -> None:
    """A stop that Bitso may not list is no reason to say that nothing is open: that it may be is said on stderr."""
    results = [run("open"), run("open", "--json")]

    assert [result.exit_code for result in results] == [0, 0]
    assert [result.stdout for result in results] == ["No open orders are listed.\n", ""]
    assert all("bitso may not list orders that wait for their trigger" in result.stderr for result in results)


def test_open_without_an_answer_does_not_claim_that_none_is_open(venue: Simulator) -> None:
    """With a gateway down, no order seen is not "no open orders"."""
    venue.run(venue.bitcain.stop())

    result = run("open", "--timeout", "1")

    assert result.exit_code == 1
    assert "at the gateways that answered" in result.stdout


def test_open_with_a_row_that_cannot_be_read_is_not_complete(venue: Simulator) -> None:
    """An unusable row is named, its neighbour shown, and the exit code is 1."""
    put = venue.bitso.put(status="open", quantity="0.01")
    venue.bitso.put(status="open", quantity="0.02", raw={"side": "sideways"})

    result = run("open", "-g", "bitso")

    assert result.exit_code == 1
    assert put.order_id in result.stdout
    assert "unusable row (bitso" in result.stderr


CHANCE = """
[gateways.bitcain]
base_url = "http://127.0.0.1:1"
trading_mode = "paper"
"""


@pytest.mark.parametrize(
    "command",
    [
        ("lookup", "x"), ("open",), ("orders", "--since", "2026-01-01"), ("fills",), ("cancel", "bitso:x"),
        ("cancel", "--all", "--yes"), ("edit", "bitso:x", "--price", "1", "--yes"),
        ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000", "--yes"),
        ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000", "--yes", "--journal", "orders.db"),
        ("recover", "--journal", "orders.db"),
    ],
)  # fmt: skip
def test_every_command_says_its_file_and_its_addresses(
    venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A file that happens to lie in the working folder sends no key elsewhere, and stderr says so; stdout is kept."""
    (tmp_path / "orderbridge.toml").write_text(CHANCE)
    monkeypatch.delenv("BITCAIN_BASE_URL")
    monkeypatch.delenv("BITCAIN_TOKEN")
    Path("orders.db").touch()

    result = run(*command)

    told = " ".join(result.stderr.split())
    assert "Settings from the environment; there is no settings file." in told
    assert "orderbridge.toml lies in the working folder and is not used: name it by --config" in told
    assert f"Connects to bitso at {venue.bitso.base_url}." in told
    assert "127.0.0.1:1/" not in told
    assert "Settings from" not in result.stdout
    assert "Connects to" not in result.stdout


def test_a_file_of_the_working_folder_is_used_when_it_is_named(
    venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by the variable it is read, and stderr says which it was."""
    (tmp_path / "orderbridge.toml").write_text(CHANCE)
    monkeypatch.delenv("BITCAIN_BASE_URL")
    monkeypatch.setenv("ORDERBRIDGE_CONFIG", "orderbridge.toml")

    result = run("open", "-g", "bitcain")

    assert "Settings from orderbridge.toml.\nConnects to bitcain at http://127.0.0.1:1." in result.stderr
    assert "not used" not in result.stderr


def test_open_with_a_wrong_symbol_is_told_in_one_line() -> None:
    """A venue's own spelling is refused with the right one."""
    result = run("open", "--symbol", "btc_mxn")

    assert result.exit_code == 2
    assert "BASE/QUOTE" in result.stderr
    assert len(complaints(result)) == 1


def test_orders_lists_those_of_a_time(venue: Simulator) -> None:
    """Only gateways with a history are asked, and one without is told and ends with 1; `--status` narrows it."""
    filled = venue.bitcain.put(status="filled", quantity="0.5", price="60000")
    failed = venue.bitcain.put(status="failed", quantity="0.5", filled_quantity="0", error_message="broker down")

    everything = run("orders", "--since", "2020-01-01")
    some = run("orders", "--since", "2020-01-01T00:00:00Z", "--status", "filled", "--symbol", "BTC/USDT", "--json")

    assert everything.exit_code == 1, everything.output
    assert "bitso is left out: bitso cannot list orders" in " ".join(everything.stderr.split())
    assert "left out" not in everything.stdout
    assert run("orders", "--since", "2020-01-01", "-g", "bitcain").exit_code == 0
    assert filled.order_id in everything.stdout
    assert failed.order_id in everything.stdout
    assert "reason: broker down" in everything.stdout
    assert [order["order_id"] for order in lines(some)] == [filled.order_id]
    assert lines(some)[0]["quantity"] == "0.50000000"


def test_orders_of_an_empty_time(venue: Simulator) -> None:
    """`--until` ends the time, and nothing in it is said so."""
    venue.bitcain.put(status="filled", quantity="0.5")

    result = run("orders", "--since", "2020-01-01", "--until", "2020-01-02", "-g", "bitcain")
    of_some = run("orders", "--since", "2020-01-01", "--until", "2020-01-02")

    assert result.exit_code == 0
    assert result.stdout == "No orders.\n"
    assert of_some.exit_code == 1
    assert of_some.stdout == "No orders at the gateways that list them.\n"


def test_orders_of_a_venue_without_a_history() -> None:
    """Bitso keeps no history: a sentence, exit code 2."""
    result = run("orders", "--since", "2020-01-01", "-g", "bitso")

    assert result.exit_code == 2
    assert "bitso cannot list orders" in result.stderr


def test_orders_of_a_venue_that_is_down(venue: Simulator) -> None:
    """No answer is exit code 1, and never an empty list."""
    venue.run(venue.bitcain.stop())

    result = run("orders", "--since", "2020-01-01", "--timeout", "1")

    assert result.exit_code == 1
    assert "No orders" not in result.output
    assert "VenueUnavailable" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "yesterday"), "--since: 'yesterday' is no time"),
        (("--since", "2020-01-01", "--until", "2020-13-01"), "--until: '2020-13-01' is no time"),
        (("--since", "2020-01-01", "--status", "done"), "--status: 'done' is none of"),
        (("--since", "0001-01-01T00:00:00+10:00"), "is no time"),
    ],
)
def test_what_orders_cannot_read_is_told_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    """A wrong time or status is a sentence and exit code 2."""
    result = run("orders", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(complaints(result)) == 1


def test_a_time_without_a_zone_is_utc(venue: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own zone moves no border, and the help says so."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    venue.bitcain.put(status="filled", quantity="0.5", created_at="2026-01-01T00:30:00Z")

    inside = run("orders", "--since", "2026-01-01", "--until", "2026-01-01T01:00", "--json")
    outside = run("orders", "--since", "2026-01-01T01:00", "--until", "2026-01-02", "--json")

    assert (len(lines(inside)), len(lines(outside))) == (1, 0)
    assert "without a zone it is UTC" in " ".join(run("orders", "--help").output.replace("│", " ").split())


def test_fills_of_the_account_and_of_one_order(venue: Simulator) -> None:
    """
    Every execution with its fee, and whose are missing; with a ref, those of that order only; decimals are plain.
    """
    one = venue.bitso.put(origin_id="mine", status="completed", quantity="0.00002", price="560000")
    other = venue.bitso.put(status="completed", quantity="0.004", price="570000")

    everything = run("fills")
    mine = run("fills", "bitso:client:mine", "--json")

    assert everything.exit_code == 1, everything.output
    assert "bitcain is left out: bitcain cannot list fills" in " ".join(everything.stderr.split())
    assert (mine.exit_code, run("fills", "-g", "bitso").exit_code) == (0, 0)
    assert one.order_id in everything.stdout
    assert other.order_id in everything.stdout
    assert "BTC/MXN buy 0.004 at 570000" in everything.stdout
    (fill,) = lines(mine)
    assert (fill["order_id"], fill["quantity"]) == (one.order_id, "0.00002000")


def test_fills_that_are_not_there() -> None:
    """No execution is said so."""
    result = run("fills", "--since", "2020-01-01", "--symbol", "BTC/MXN", "-g", "bitso")

    assert result.exit_code == 0
    assert result.stdout == "No fills.\n"


@pytest.mark.parametrize("width", [40, 80, 109, 140])
def test_tables_keep_ids_whole_at_every_width(venue: Simulator, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """An id can be copied from any terminal of 80 columns and more, and no line is longer than the terminal."""
    put = venue.bitcain.put(status="open", quantity="0.5", price="59000", client_order_id="a-strategy-of-mine")
    monkeypatch.setattr(tables, "console", lambda *, stderr=False: Console(width=width, stderr=stderr))

    result = run("open")

    assert max(map(len, result.stdout.splitlines())) <= width
    if width >= 80:
        assert f"bitcain:{put.order_id}" in result.stdout
        assert "a-strategy-of-mine" in result.stdout


def test_a_venue_cannot_redraw_the_terminal(venue: Simulator) -> None:
    """Control characters in what a venue says do not reach the terminal."""
    venue.bitcain.put(status="failed", quantity="0.5", filled_quantity="0", error_message="\x1b[2Afilled\r\nall well")

    result = run("orders", "--since", "2020-01-01")

    assert "\x1b" not in result.stdout
    assert r"reason: \x1b[2Afilled\r\nall well" in result.stdout


# Ids of other programs: markup of the tables, their emoji, a colour, a cleared screen, a line end, a mark that turns
# the direction of writing.
ODD = ("a[b]c", "[/red]", "[link=x]y", ":smile:", "x\x1b[31mred", "y\x1b[2Jz", "n\nfalse line", "w\u202egpj")


@pytest.mark.parametrize("width", [60, 120])
def test_what_comes_from_outside_is_text_in_every_table(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """No id, key, reason or symbol is markup, an escape sequence or a line end, at whatever width; brackets stay."""
    out = io.StringIO()
    monkeypatch.setattr(tables, "Console", lambda **how: Console(**{**how, "width": width, "file": out}))
    for text in ODD:
        order = Order(
            venue="bitso", order_id=text, client_order_id=text, symbol="[B]/MXN", side="buy", status="rejected",
            reason=text, anomalies=(f"odd: {text}",), raw_status=text,
        )  # fmt: skip
        placement = Placement(
            placement_id=text, gateway="bitso", key=text, created_at=datetime(2026, 1, 1, tzinfo=UTC), order=order,
            request=OrderRequest.limit(symbol="[B]/MXN", side="buy", quantity="1", price="2"),
        )  # fmt: skip
        fill = Fill(
            venue="bitso", fill_id=text, order_id=text, symbol="[B]/MXN", side="buy", quantity="1", price="2",
            quote_quantity="2", fee="0.1", fee_currency=text,
        )  # fmt: skip
        failure, row = Failure(kind="unreachable", message=text), BadRow(gateway="bitso", position=0, reason=text)
        result = LookupResult(
            refs=(text, OrderRef.of(order)),
            found=(Found(orders=(order,), answers={"bitso": Answer.FOUND}), Found(answers={"bitso": Answer.NOT_SEEN})),
            unreachable={"bitcain": failure},
            bad_rows=(row,),
        )
        tables.print_lookup(result, title="Look-up")
        tables.show(tables.ORDERS, order)
        tables.show(tables.FILLS, fill)
        tables.StreamedTable(tables.PLACEMENTS).add(placement, f"reason: {text}")
        tables.say(text, tables.known_line(order))

    shown = out.getvalue()

    assert all(line.isprintable() for line in shown.split("\n"))
    assert max(len(line) for line in shown.split("\n") if not line.startswith(("bit", "unusable", " "))) <= width
    for text in ("a[b]c", "[/red]", "[link=x]y", ":smile:", r"x\x1b[31mred", r"n\nfalse line", r"w\u202egpj"):
        assert shown.count(text) >= 8, text


@pytest.mark.parametrize("command", ["lookup", "cancel", "explain"])
def test_ids_with_brackets_are_told_as_they_are(venue: Simulator, tmp_path: Path, command: str) -> None:
    """The markup of a table drops nothing of an id, and no id ends a command with a traceback."""
    kept = ["--journal", str(tmp_path / "orders.db")] if command == "explain" else []
    if kept:
        run("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000", "--yes", *kept)

    results = [run(command, text, *kept) for text in ("bitso:a[b]c", "[/red]", ":smile:")]

    assert all(result.exception is None or isinstance(result.exception, SystemExit) for result in results)
    assert ["a[b]c" in results[0].output, "[/red]" in results[1].output, ":smile:" in results[2].output] == [True] * 3


def test_json_holds_no_escape_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal obeys nothing of what `--json` prints, and a program reads the same texts."""
    order = Order(venue="bitso", order_id="a\x9b31m\u202eb\U000e0001é", symbol="BTC/MXN", side="buy")

    tables.print_json(order)

    printed = capsys.readouterr().out
    assert printed.rstrip("\n").isprintable()
    assert Order.model_validate_json(printed) == order
