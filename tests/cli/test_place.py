"""`place`, `explain` and `recover`: what is written down, sent, followed up and told."""

import json
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from orderbridge.cli.act import _Act
from orderbridge.cli.app import app
from orderbridge.simulator import Simulator
from tests.placement.kit import record

pytestmark = pytest.mark.usefixtures("keys", "terminal")
PLACE = "POST /api/v3/orders"
KEPT = ("--journal", "orders.db")
LIMIT = ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000", *KEPT)
ON_BITCAIN = ("place", "bitcain", "sell", "0.5", "BTC/USDT", "--price", "90000", *KEPT)


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=answer)


def test_place_without_a_journal_says_so_and_asks(venue: Simulator, tmp_path: Path) -> None:
    """The question says that nothing keeps the order; no sends nothing, yes sends it once, under an id that is told."""
    no = run(*LIMIT[:-2], answer="n\n")
    before = len(venue.bitso.accepted())
    yes = run(*LIMIT[:-2], answer="y\n")

    assert (no.exit_code, before) == (4, 0)
    assert "NO JOURNAL: sent once, and known to nothing but the venue after that" in no.stderr
    assert yes.exit_code == 0, yes.output
    (order,) = venue.bitso.accepted()
    assert f"It is sent once, as bitso:client:{order.client_order_id}." in yes.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_journal_and_client_id_the_open_orders_are_named() -> None:
    """Nothing else leads to an order of a venue that takes no ids of ours."""
    placement = record(state="uncertain").placement.model_copy(update={"client_order_id": None})
    act = _Act(cast("Any", None), "bitso", placement.request, None, is_kept=False, options=["--config", "x"])

    assert act.lines(placement) == ["orderbridge open --config x --gateway bitso"]


def test_a_key_without_a_journal_places_nothing(venue: Simulator) -> None:
    """What would not be known the next time keeps nothing from being placed twice: exit code 2, and no request."""
    result = run(*LIMIT[:-2], "--key", "a", "--yes")

    assert result.exit_code == 2
    assert "--key needs a journal: give --journal PATH" in result.stderr
    assert not venue.bitso.requests


def test_place_takes_its_journal_from_the_settings(venue: Simulator, tmp_path: Path) -> None:
    """`[journal] path` is where it is kept when no option says otherwise, from the working folder on."""
    (tmp_path / "elsewhere").mkdir()
    config = tmp_path / "elsewhere" / "orderbridge.toml"
    config.write_text('[journal]\npath = "mine.db"\n')

    result = run(*LIMIT[:-2], "--yes", "--config", str(config))

    assert result.exit_code == 0, result.output
    assert (tmp_path / "mine.db").is_file()
    assert "Journal mine.db." in result.stderr


@pytest.mark.parametrize(
    ("command", "money"),
    [(LIMIT, "this machine, as a simulator is"), (ON_BITCAIN, "paper, no real money")],
    ids=["bitso", "bitcain"],
)
def test_place_asks_and_shows_paper_or_live(venue: Simulator, command: tuple[str, ...], money: str) -> None:
    """The question shows the money; no places nothing with exit code 4, yes places one order."""
    refused = run(*command, answer="n\n")
    before = len(venue.bitso.accepted()) + len(venue.bitcain.accepted())
    placed = run(*command, answer="y\n")

    assert (refused.exit_code, before) == (4, 0)
    assert money in refused.stderr
    assert placed.exit_code == 0, placed.output
    assert len(venue.bitso.accepted()) + len(venue.bitcain.accepted()) == 1


def test_the_same_key_places_once(venue: Simulator) -> None:
    """A repeated line goes on with what was placed; with another order the key is in use, and nothing is sent."""
    first = run(*LIMIT, "--key", "a", "--yes", "--json")
    again = run(*LIMIT, "--key", "a", "--yes", "--json")
    other = run(*LIMIT, "--key", "a", "--yes", "--type", "limit", "--post-only")

    assert json.loads(first.stdout)["order_id"] == json.loads(again.stdout)["order_id"]
    assert "goes on with" in again.stderr
    assert "KeyInUse" in other.stderr
    assert other.exit_code == 2
    assert venue.bitso.requests[PLACE] == 1


def test_read_back_shows_what_the_venue_shows(venue: Simulator) -> None:
    """Bitso answers with an id only; one look more tells the status."""
    plain = run(*LIMIT, "--yes", "--json")
    read = run(*LIMIT, "--yes", "--json", "--read-back")

    assert [json.loads(each.stdout)["status"] for each in (plain, read)] == ["accepted", "open"]


def test_what_trades_at_once_is_looked_up_unless_told_not_to(venue: Simulator) -> None:
    """An order at market is shown with its fills."""
    market = ["place", "bitso", "sell", "0.01", "BTC/MXN", "--type", "market", *KEPT, "--yes", "--json"]
    read, plain = run(*market), run(*market, "--no-read-back")

    assert [json.loads(each.stdout)["status"] for each in (read, plain)] == ["filled", "accepted"]


def test_a_refusal_of_the_venue_is_exit_code_1(venue: Simulator) -> None:
    """What the venue refuses is not placed, and the journal says why."""
    venue.bitso.balances["mxn"].total = Decimal(1)

    result = run(*LIMIT, "--yes")

    listed = json.loads(run("journal", "list", *KEPT, "--json").stdout)
    assert result.exit_code == 1, result.output
    assert listed["state"] == "rejected"
    assert venue.bitso.accepted() == []


@pytest.mark.parametrize("name", ["bitso", "bitcain"])
def test_a_lost_answer_is_found_out(venue: Simulator, name: str) -> None:
    """The venue accepted and the line dropped: it is followed up, shown as placed once, exit code 0."""
    getattr(venue, name).fault("accept_then_drop", operation="place", nth=1)

    result = run(*(LIMIT if name == "bitso" else ON_BITCAIN), "--yes", "--json", "--resolve", "20")

    assert result.exit_code == 0, result.output
    assert "It was placed, once." in result.stderr
    (order,) = getattr(venue, name).accepted()
    assert json.loads(result.stdout)["order_id"] == order.order_id


def test_an_unknown_outcome_prints_the_lines_to_type(venue: Simulator) -> None:
    """Exit code 3, the placement, and two lines: the first tells the story, the second settles it."""
    venue.bitso.fault("accept_then_drop", operation="place", nth=1)
    unknown = run(*LIMIT, "--yes", "--key", "a", "--resolve", "0")
    (order,) = venue.bitso.accepted()

    told, settled = unknown.stderr.strip().splitlines()[-2:]
    explained = run(*told.split()[1:])
    recovered = run(*settled.split()[1:])
    after = run("explain", "a", *KEPT, "--json")

    assert unknown.exit_code == 3
    assert "uncertain, may be live" in unknown.stdout
    assert "MAY BE LIVE. Do not place it again" in unknown.stderr
    assert str(order.client_order_id) in told
    assert explained.exit_code == 3
    assert "what came of it was not known" in explained.stdout
    assert recovered.exit_code == 0, recovered.output
    assert "Settled:" in recovered.stdout
    assert json.loads(after.stdout.splitlines()[0])["placement"]["state"] == "placed"
    assert venue.bitso.requests[PLACE] == 1


def test_a_venue_that_is_down_is_nothing_sent(venue: Simulator) -> None:
    """Nothing left: exit code 4, and with a key the same line may be run again."""
    venue.run(venue.bitso.stop())

    result = run(*LIMIT, "--yes", "--key", "a", "--send-within", "0.5")

    assert result.exit_code == 4
    assert "Nothing was sent." in result.stderr
    assert "may be run again" in result.stderr


def test_recover_says_what_it_could_not_ask(venue: Simulator) -> None:
    """With the venue down the placement stays uncertain: exit code 3, and the gateway is named."""
    venue.bitso.fault("accept_then_drop", operation="place", nth=1)
    run(*LIMIT, "--yes", "--resolve", "0")
    venue.run(venue.bitso.stop())

    result = run("recover", "-g", "bitso", *KEPT)

    assert result.exit_code == 3
    assert "Still uncertain:" in result.stdout
    assert "bitso could not answer" in result.stderr


def test_recover_tells_foreign_orders_and_denies_what_was_not_sent(venue: Simulator) -> None:
    """Another program's order is left alone, and a placement that was prepared and never sent is denied."""
    put = venue.bitcain.put(status="open", quantity="0.5", price="59000", client_order_id="theirs")
    venue.run(venue.bitso.stop())
    run(*LIMIT, "--yes", "--send-within", "0.2")
    venue.run(venue.bitso.start())

    result = run("recover", *KEPT, "--json")
    report = json.loads(result.stdout)

    assert [order["order_id"] for order in report["foreign"]] == [put.order_id]
    assert [placement["state"] for placement in report["denied"]] == ["denied"]
    assert result.exit_code == 0
    assert venue.bitso.accepted() == []


def owners(path: Path) -> int:
    """How many processes have worked on the placements of a journal."""
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT COUNT(*) FROM owners").fetchone()[0])


@pytest.mark.parametrize("command", [("lookup", "bitso:nosuchorder00001"), ("open",), ("cancel", "--all", "--yes")])
def test_other_commands_settle_nothing_of_a_bot(
    venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Who only looks or cancels takes nothing over: what a bot prepared is for its restart, or for `recover`."""
    (tmp_path / "orderbridge.toml").write_text('[journal]\npath = "orders.db"\n')
    monkeypatch.setenv("ORDERBRIDGE_CONFIG", "orderbridge.toml")
    venue.run(venue.bitso.stop())
    run(*LIMIT, "--yes", "--send-within", "0.2")
    venue.run(venue.bitso.start())
    before = owners(tmp_path / "orders.db")

    run(*command)

    placement = json.loads(run("journal", "list", *KEPT, "--json").stdout)
    assert placement["state"] == "prepared"
    assert owners(tmp_path / "orders.db") == before


def test_recover_without_a_file_makes_none(tmp_path: Path) -> None:
    """A wrong path is said so, and no empty journal is left behind."""
    result = run("recover", *KEPT)

    assert result.exit_code == 2
    assert "there is no journal at orders.db" in result.stderr
    assert not (tmp_path / "orders.db").exists()


@pytest.mark.parametrize("kind", ["client", "order", "key", "placement"])
def test_explain_takes_any_name(venue: Simulator, kind: str) -> None:
    """The client id, the venue's id, the key and the placement's id all lead to the story, with no venue asked."""
    run(*LIMIT, "--yes", "--key", "a/1")
    (order,) = venue.bitso.accepted()
    placement = json.loads(run("journal", "list", *KEPT, "--json").stdout)["placement_id"]
    names = {"client": f"bitso:client:{order.client_order_id}", "order": order.order_id, "key": "a/1"}
    venue.run(venue.bitso.stop())

    result = run("explain", {**names, "placement": placement}[kind], *KEPT)

    assert result.exit_code == 0, result.output
    assert "was written down, before anything was sent" in result.stdout
    assert "It is placed." in result.stdout


def test_explain_takes_the_name_of_what_was_denied(venue: Simulator) -> None:
    """What `place` printed before a rule of the market refused the order leads to that refusal."""
    odd = ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "560000.001", *KEPT, "--yes")
    denied = run(*odd)
    (name,) = re.findall(r"written down as (bitso:client:\w+)", denied.stderr)

    result = run("explain", name, *KEPT)

    assert (denied.exit_code, result.exit_code) == (2, 0), result.output
    assert "was refused here; nothing was sent" in result.stdout
    assert not venue.bitso.requests[PLACE]


def test_explain_of_what_is_not_there(venue: Simulator) -> None:
    """An id that the journal does not know is exit code 1."""
    run(*LIMIT, "--yes")

    result = run("explain", "nosuchid", *KEPT)

    assert result.exit_code == 1
    assert "knows no placement of nosuchid" in result.stderr
