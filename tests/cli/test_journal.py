"""`orderbridge journal`, as a person or a script meets it."""

import asyncio
import json
import os
import re
import socket
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from orderbridge.cli import tables
from orderbridge.cli.app import app
from orderbridge.placement import Happened, SqliteJournal
from orderbridge.placement.states import step
from tests.placement.kit import NOW, record, seen

KEPT = ("--journal", "orders.db")
UNCLEAR = (Happened.SENDING, Happened.UNCLEAR)
PLACED = (Happened.SENDING, Happened.ACKNOWLEDGED)


def run(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["journal", *arguments, *KEPT], input=answer)


def keep(name: str, *happened: Happened, key: str | None = None, order: Any = None, **changes: Any) -> None:
    async def write() -> None:
        journal = SqliteJournal("orders.db")
        made = await journal.create(record(name, key=key))
        for each in happened:
            placement = {"order": order} if order is not None and each is Happened.ACKNOWLEDGED else {}
            await journal.change(
                made.id,
                lambda now, e=each, p=placement: step(now, e, at=NOW, placement=p, **changes),  # type: ignore[misc]
            )
        if order is not None:
            await journal.observe([order])
        await journal.aclose()

    asyncio.run(write())


def sql(*statements: str) -> None:
    db = sqlite3.connect("orders.db")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def ids(result: Result) -> list[str]:
    return [json.loads(line)["placement_id"] for line in result.stdout.splitlines()]


# Opening.


@pytest.mark.parametrize("command", [("list",), ("verify",), ("prune", "--older-than", "90d", "--yes")])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "there is no journal at"),
        ("text", "is no journal"),
        ("other", "another application's file"),
        ("newer", "update it"),
    ],
)
def test_a_file_that_is_no_usable_journal_is_told(command: tuple[str, ...], kind: str, said: str) -> None:
    """Missing, not a database, another's, newer: each is one line and exit code 2, and nothing is made."""
    if kind == "text":
        Path("orders.db").write_text("this is no database, " * 100)
    elif kind == "other":
        sql("CREATE TABLE theirs (x)")
    elif kind == "newer":
        keep("p1")
        sql("PRAGMA user_version = 99")

    result = run(*command)

    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert Path("orders.db").exists() is (kind != "missing")


# List.


def test_list_filters() -> None:
    """Each filter narrows the list; an empty one is said so."""
    keep("p1", key="a")
    keep("p2", *UNCLEAR)
    keep("p3", *PLACED, order=seen("filled", client_order_id="ob-p3"))

    assert ids(run("list", "--json")) == ["p1", "p2", "p3"]
    assert ids(run("list", "--json", "--state", "uncertain", "--state", "prepared")) == ["p1", "p2"]
    assert ids(run("list", "--json", "--key", "a")) == ["p1"]
    assert ids(run("list", "--json", "--may-be-live")) == ["p2"]
    assert ids(run("list", "--json", "--over", "-g", "bitso", "--symbol", "btc/mxn")) == ["p1", "p3"]
    assert ids(run("list", "--json", "--since", "2026-01-02")) == []
    assert ids(run("list", "--json", "--until", "2026-01-02", "-g", "bitcain")) == []
    assert run("list", "--symbol", "ETH/MXN").stdout == "No placements.\n"


@pytest.mark.parametrize("arguments", [("--state", "done"), ("--symbol", "btc_mxn"), ("--since", "yesterday")])
def test_a_wrong_filter_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    """A filter that means nothing is exit code 2, not an empty list."""
    keep("p1")

    result = run("list", *arguments)

    assert result.exit_code == 2
    assert arguments[0] in result.stderr


@pytest.mark.parametrize("width", [80, 120])
def test_list_keeps_ids_whole(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """In a terminal of 80 and of 120 columns no line is longer, and the name can be copied."""
    keep("p1", *PLACED, key="a", order=seen("open"))
    monkeypatch.setattr(tables, "Console", lambda **how: Console(force_terminal=True, **{**how, "width": width}))

    result = run("list")

    lines = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout).splitlines()
    assert max(len(line) for line in lines) <= width
    assert any("bitso:client:ob-p1" in line for line in lines)
    assert any("placed, may be" in line for line in lines)
    assert any("oid1" in line for line in lines)


def test_a_listed_placement_is_exact_for_other_programs() -> None:
    """As JSON amounts are plain and exact, beside what only the journal knows; nothing in it commands a terminal."""
    keep("p1", *PLACED, key="a\x9b31m", order=seen("open", filled_quantity="0.00000001"))
    keep("p2", Happened.DENIED, reason="too small")

    listed = run("list", "--json").stdout
    placed, denied = (json.loads(line) for line in listed.splitlines())

    assert (placed["request"]["quantity"], placed["order"]["filled_quantity"]) == ("0.01", "0.00000001")
    assert (placed["key"], placed["may_be_live"], placed["request"]["stop_price"]) == ("a\x9b31m", True, None)
    assert (placed["conflicts"], placed["watch_until"]) == ([], None)
    assert (denied["reason"], denied["may_be_live"]) == ("too small", False)
    assert "\x9b" not in listed


# Verify.


def test_a_whole_journal_is_verified() -> None:
    """Every kind of legal chain passes: exit code 0."""
    keep("p1", key="a")
    keep("p2", *UNCLEAR, Happened.GAVE_UP, Happened.DECIDED_NOT_PLACED, Happened.FOUND)
    keep("p3", *PLACED, Happened.ABSENT)

    result = run("verify")

    assert result.exit_code == 0, result.output
    assert "All is well: 3 placements" in result.stdout


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (("DELETE FROM events WHERE n = 2",), "event 2 is missing"),
        (("DELETE FROM events",), "event 3 is missing"),
        (("UPDATE placements SET last = 0",), "it has no events at all"),
        (("UPDATE placements SET last = 2",), "its last event leads to sending"),
        (("UPDATE placements SET last = 2",), "1 events of a placement that is not there"),
        (("UPDATE placements SET state = 'rejected'",), "its state is stored as 'rejected'"),
        (
            ("UPDATE events SET body = json_set(body, '$.happened', 'refused', '$.after', 'denied') WHERE n = 3",),
            "event 3 cannot be",
        ),
        (("UPDATE events SET body = json_set(body, '$.after', 'rejected') WHERE n = 3",), "event 3 cannot be"),
        (("UPDATE events SET body = '{' WHERE n = 1",), "event 1 cannot be read"),
        (("UPDATE placements SET body = '{}'",), "its record cannot be read"),
        (("DELETE FROM placements",), "3 events of a placement that is not there"),
        (
            (
                "DROP INDEX placements_client",
                "DROP INDEX placements_key",
                "CREATE TEMP TABLE copied AS SELECT * FROM placements",
                "UPDATE copied SET placement_id = 'p9'",
                "INSERT INTO placements SELECT * FROM copied",
            ),
            "the client id is used by several placements",
        ),
        (
            (
                "DROP INDEX placements_key",
                "CREATE TEMP TABLE copied AS SELECT * FROM placements",
                "UPDATE copied SET placement_id = 'p9', client_order_id = 'other'",
                "INSERT INTO placements SELECT * FROM copied",
            ),
            "the key 'a' is held by several placements",
        ),
    ],
)
def test_a_broken_chain_is_found(statements: tuple[str, ...], said: str) -> None:
    """Whatever was changed in the file by hand is told with what to do, exit code 1."""
    keep("p1", *PLACED, key="a", order=seen("open"))
    sql(*statements)

    result = run("verify")

    assert result.exit_code == 1, result.output
    assert said in result.stdout
    assert "what to do:" in result.stdout


# Settle.


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("word", "state"), [("placed", "placed"), ("not-placed", "not_placed")])
def test_a_person_settles(word: str, state: str) -> None:
    """A given-up placement is settled after a yes; who and why are kept, and the chain stays legal."""
    keep("p1", *UNCLEAR, Happened.GAVE_UP, key="a")

    no = run("settle", "a", "--as", word, "--why", "seen on the page", answer="n\n")
    before = ids(run("list", "--state", "uncertain", "--json"))
    yes = run("settle", "a", "--as", word, "--why", "seen on the page", "--who", "Ana", "--json", answer="y\n")
    last = json.loads(CliRunner().invoke(app, ["explain", "p1", "--json", *KEPT]).stdout.splitlines()[-1])

    assert (no.exit_code, before) == (4, ["p1"])
    assert yes.exit_code == 0, yes.output
    assert json.loads(yes.stdout)["state"] == state
    assert last["facts"] == {"known_by": "assumed", "who": "Ana", "why": "seen on the page"}
    assert run("verify").exit_code == 0


def test_settled_as_placed_with_its_order() -> None:
    """The order that a person names is kept as assumed, and may be live."""
    keep("p1", *UNCLEAR)

    result = run("settle", "ob-p1", "--as", "placed", "--order-id", "oid7", "--why", "x", "--yes", "--json")

    order = json.loads(result.stdout)["order"]
    assert (order["order_id"], order["known_by"], order["status"]) == ("oid7", "assumed", "unknown")
    assert ids(run("list", "--may-be-live", "--json")) == ["p1"]


def test_another_orders_id_is_refused() -> None:
    """An order that is known to be another is not taken for this one."""
    keep("p1", *UNCLEAR)
    keep("p2", *PLACED, order=seen("open", client_order_id="ob-p2", quantity="5"))

    result = run("settle", "ob-p1", "--as", "placed", "--order-id", "oid1", "--why", "x", "--yes")

    assert result.exit_code == 2
    assert "is another one" in result.stderr


def test_not_placed_names_an_order_only_where_a_lost_key_may_have_made_it() -> None:
    """As not placed, only an order that the question names may be given; the person is told what that says."""
    keep("p1", *UNCLEAR)
    keep("p2", *UNCLEAR, key="k2", lost=("oid1",))

    other = run("settle", "ob-p1", "--as", "not-placed", "--order-id", "oid1", "--why", "x", "--yes")
    unnamed = run("settle", "ob-p2", "--as", "not-placed", "--order-id", "oid2", "--why", "x", "--yes")
    named = run("settle", "ob-p2", "--as", "not-placed", "--order-id", "oid1", "--why", "x", "--yes")

    assert (other.exit_code, unnamed.exit_code, named.exit_code) == (2, 2, 0), named.output
    assert "may be of a lost key" in other.stderr
    assert "not placed, and order oid1 is no lost key's" in named.output


def test_what_takes_no_decision_is_refused() -> None:
    """A placement that is settled, or that a living process is sending, is left as it is."""

    owner = f"{socket.gethostname()}:{os.getpid()}:abcd"
    keep("p1", *PLACED, order=seen("open"))
    keep("p2", Happened.SENDING, owner=owner)
    sql(f"INSERT INTO owners VALUES ('{owner}', {time.time() + 60})")

    over = run("settle", "ob-p1", "--as", "placed", "--why", "x", "--yes")
    alive = run("settle", "ob-p2", "--as", "not-placed", "--why", "x", "--yes")
    sql("DELETE FROM owners")
    gone = run("settle", "ob-p2", "--as", "not-placed", "--why", "x", "--yes")

    assert (over.exit_code, alive.exit_code) == (2, 2)
    assert "only an uncertain placement" in over.stderr
    assert "is alive" in alive.stderr
    assert gone.exit_code == 0, gone.output
    assert run("verify").exit_code == 0


def test_why_is_required() -> None:
    """A decision without a reason is none."""
    keep("p1", *UNCLEAR)

    assert run("settle", "ob-p1", "--as", "placed", "--yes").exit_code == 2
    assert run("settle", "ob-p1", "--as", "placed", "--why", " ", "--yes").exit_code == 2
    assert ids(run("list", "--state", "uncertain", "--json")) == ["p1"]


# Prune.


def test_prune_drops_only_what_is_long_over() -> None:
    """Refused and keyless ended placements go; the uncertain, watched, live and keyed ones stay."""
    soon = NOW + timedelta(days=36500)
    keep("denied", Happened.DENIED, key="free")
    keep("done", *PLACED, order=seen("filled", order_id="o1", client_order_id="ob-done"))
    keep("keyed", *PLACED, key="a", order=seen("filled", order_id="o2", client_order_id="ob-keyed"))
    keep("live", *PLACED, order=seen("open", order_id="o3", client_order_id="ob-live"))
    keep("unclear", *UNCLEAR)
    keep("watched", *UNCLEAR, Happened.ABSENT, watch_until=soon)
    keep("absent", *UNCLEAR, Happened.ABSENT)

    dry = run("prune", "--older-than", "1d", "--dry-run", "--json")
    done = run("prune", "--older-than", "1d", "--yes", "--json")
    left = ids(run("list", "--json"))
    keys = run("prune", "--older-than", "1d", "--free-keys", "--yes", "--json")

    counts = ("placements", "orders", "kept_for_key")
    told = [{name: json.loads(each.stdout)[name] for name in counts} for each in (dry, done, keys)]
    assert told[0] == told[1] == {"placements": 3, "orders": 1, "kept_for_key": 1}
    assert sorted(left) == ["keyed", "live", "unclear", "watched"]
    assert told[2] == {"placements": 1, "orders": 1, "kept_for_key": 0}
    assert run("verify").exit_code == 0


@pytest.mark.parametrize("age", ["12h", "1y", "0d", "-3d"])
def test_prune_refuses_a_short_or_unreadable_age(age: str) -> None:
    """Younger than a day, or no age at all, is exit code 2, and nothing is dropped."""
    keep("p1", Happened.DENIED)

    result = run("prune", f"--older-than={age}", "--yes")

    assert result.exit_code == 2
    assert ids(run("list", "--json")) == ["p1"]


# Damage.

COMMANDS = [
    *(("journal", *command) for command in [("list",), ("list", "--json"), ("verify",)]),
    ("journal", "prune", "--older-than", "90d", "--yes"),
    ("journal", "settle", "p1", "--as", "placed", "--why", "seen", "--yes"),
    *(("explain", ref) for ref in ("p1", "p2", "oid1")),
    ("recover",),
    ("place", "bitso", "buy", "0.01", "BTC/MXN", "--price", "100000", "--key", "k1", "--yes"),
]


def spoilt_row(table: str, body: bytes) -> None:
    """One row of three says nothing any more."""
    db = sqlite3.connect("orders.db")
    db.execute(f"UPDATE {table} SET body = CAST(? AS TEXT) WHERE rowid = (SELECT MIN(rowid) FROM {table})", (body,))
    db.commit()
    db.close()


def spoilt_pages(first: int) -> None:
    """Every third page holds something else."""
    content = bytearray(Path("orders.db").read_bytes())
    for start in range(4096 * first, len(content), 3 * 4096):
        content[start : start + 4096] = b"\xa5\x0d" * 2048
    Path("orders.db").write_bytes(bytes(content))


def spoilt_schema() -> None:
    """A table's own definition is no UTF-8, so that Python cannot even read what SQLite says about it."""
    content = Path("orders.db").read_bytes()
    spoilt = content.replace(b'TABLE "events" (', b'TABLE "events" \xcf')
    assert spoilt != content
    Path("orders.db").write_bytes(spoilt)


DAMAGE: dict[str, Any] = {
    "schema": (spoilt_schema,),
    **{
        f"{table} {body!r}": (spoilt_row, table, body)
        for table in ("placements", "events", "orders")
        for body in (b"{}", b"\xff")
    },
    **{f"pages from {first}": (spoilt_pages, first) for first in (0, 1, 2, 3)},
    "cut": (lambda: os.truncate("orders.db", 3 * 4096 + 17),),
    "a step is missing": (sql, "DROP TABLE events"),
    "empty": (lambda: os.truncate("orders.db", 0),),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_command_ends_in_a_traceback_over_a_damaged_file(monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """Whatever stands in the file, each command ends by an exit code, and says something when it is not 0."""
    monkeypatch.setenv("BITSO_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("BITSO_API_KEY", "k")
    monkeypatch.setenv("BITSO_API_SECRET", "s")
    for name in ("p1", "p2", "p3"):
        keep(name, *PLACED, key=name.replace("p", "k"), order=seen(order_id=name.replace("p", "oid")))
    keep("p4", *UNCLEAR)
    work, *arguments = DAMAGE[damage]
    work(*arguments)
    kept = Path("orders.db").read_bytes()

    for command in COMMANDS:
        for file in Path().glob("orders.db*"):
            file.unlink()
        Path("orders.db").write_bytes(kept)
        result = CliRunner().invoke(app, [*command, *KEPT])

        assert result.exception is None or isinstance(result.exception, SystemExit), (command, result.exception)
        assert result.exit_code == 0 or result.output, command


@pytest.mark.parametrize("of", ["placements", "orders"])
def test_a_row_that_cannot_be_read_leaves_the_others_listed(of: str) -> None:
    """It is named on stderr, the others are told, and the exit code says that it is not all; so does `verify`."""
    for name in ("p1", "p2"):
        keep(name, *PLACED, order=seen(order_id=name.replace("p", "oid"), client_order_id=f"ob-{name}"))
    spoilt_row(of, b"{}")

    listed, verified = run("list"), run("verify")

    assert listed.exit_code == verified.exit_code == 1
    assert "oid2" in listed.stdout or "ob-p2" in listed.stdout
    assert "p1 cannot be read" in listed.stderr or "oid1 cannot be read" in listed.stderr
    assert "cannot be read" in verified.stdout
