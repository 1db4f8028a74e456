"""`orderbridge explain`, `recover` and `journal`: what stands in the journal, and what of it is to be settled."""

from __future__ import annotations

import asyncio
import getpass
import re
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.command import (
    TIME,
    Config,
    Exit,
    Gateways,
    Journal,
    Json,
    JsonLines,
    OfSymbol,
    Yes,
    confirm,
    connected,
    end,
    journal_path,
    moment,
    money,
    run,
    told,
    used_settings,
    warn,
)
from orderbridge.cli.tables import (
    PLACEMENTS,
    StreamedTable,
    known_line,
    placement_ref,
    print_json,
    print_missing,
    request_line,
    say,
    show,
)
from orderbridge.errors import JournalError
from orderbridge.model.basics import PlacementState, Symbol
from orderbridge.placement.decide import check_settleable
from orderbridge.placement.decide import explain as chain_of
from orderbridge.placement.decide import settle as settle_record
from orderbridge.placement.ledger import Ledger
from orderbridge.placement.recover import RecoveryReport
from orderbridge.placement.sqlite import SqliteJournal
from orderbridge.placement.states import Record
from orderbridge.placement.upkeep import LEAST, Finding, Snapshot
from orderbridge.placement.upkeep import prune as prune_journal
from orderbridge.placement.upkeep import verify as findings_of

T = TypeVar("T")
_WATCH_FOR = 86400.0
# Sent, and what came of it is not known.
_OPEN: Final = frozenset({PlacementState.SENDING, PlacementState.UNCERTAIN})
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}

app = typer.Typer(
    help="See what stands in the journal, check it, and decide what no proof could.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _with(path: Path, work: Callable[[Snapshot], T]) -> T:
    """Do `work` on the journal as it is; rows that cannot be read end the command once they are told."""
    done, unreadable = _read(path, work)
    if unreadable:
        warn(*dict.fromkeys(unreadable))
        end(f"{len(unreadable)} rows cannot be read, and were left out.", Exit.NOT_ALL)
    return done


def _read(path: Path, work: Callable[[Snapshot], T]) -> tuple[T, list[str]]:
    """As `_with`, and why rows were left out; no readable journal, or an id that is none, ends the command."""
    try:
        with Snapshot(SqliteJournal(path, read_only=True)) as file:
            return work(file), file.unreadable
    except JournalError as error:
        end(told(error), Exit.WRONG)
    except ValueError as error:
        end(str(error), Exit.WRONG)


def _in_journal(
    path: Path, work: Callable[[SqliteJournal], Coroutine[Any, Any, T]], *, acts: bool = False, **how: Any
) -> T:
    """Do `work` in the open journal."""

    async def done() -> T:
        async with aclosing(SqliteJournal(path, **how)) as journal:
            return await work(journal)

    return run(done(), acts=acts)


@app.command("list")
def list_(
    states: Annotated[
        list[str] | None, typer.Option("--state", help=f"Of this state: {', '.join(PlacementState)}. May be repeated.")
    ] = None,
    gateway: Annotated[str | None, typer.Option("--gateway", "-g", help="Of this gateway.")] = None,
    key: Annotated[str | None, typer.Option(help="Of this key.")] = None,
    symbol: OfSymbol = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help=f"Made from this time on: {TIME}")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help=f"Made before this time: {TIME}")] = None,
    may_be_live: Annotated[
        bool | None, typer.Option("--may-be-live/--over", help="Whose order may trade; or cannot any more.")
    ] = None,
    journal: Journal = None,
    json: JsonLines = False,
    config: Config = None,
) -> None:
    """
    List placements, oldest first, each with its order as last known.

    --json is for other programs: exact, and with whatever the journal knows
    of each but its events, which `explain --json` prints.
    """
    words = [state.lower() for state in states or ()]
    if wrong := [word for word in words if word not in set(PlacementState)]:
        end(f"--state: {wrong[0]!r} is none of {', '.join(PlacementState)}", Exit.WRONG)
    try:
        pair = None if symbol is None else Symbol(symbol)
    except ValueError as error:
        end(f"--symbol: {error}", Exit.WRONG)
    first, last = moment(since, "--since"), moment(until, "--until")

    def fits(record: Record) -> bool:
        placement = record.placement
        return (
            (not words or record.state in words)
            and pair in (None, placement.request.symbol)
            and (first is None or placement.created_at >= first)
            and (last is None or placement.created_at < last)
            and may_be_live in (None, placement.may_be_live)
        )

    def list_all(file: Snapshot) -> bool:
        table, any_there = StreamedTable(PLACEMENTS), False
        for record in file.records(fits, gateway=gateway, key=key):
            any_there = True
            if json:
                known = record.model_dump(mode="json")
                print_json({**known.pop("placement"), **known, "may_be_live": record.placement.may_be_live})
            else:
                notes = [f"reason: {record.reason}"] if record.reason else []
                table.add(record.placement, *notes, *(f"check this: {odd}" for odd in record.conflicts))
        return any_there

    if not _with(journal_path(journal, config), list_all) and not json:
        say("No placements.")


@app.command()
def verify(journal: Journal = None, json: JsonLines = False, config: Config = None) -> None:
    """
    Check that every chain of events is legal and whole, and that no key or client id is held twice.

    Exits 0 when all is well, 1 with each finding and what to do about it, 2
    when the file could not be opened.
    """

    def check(file: Snapshot) -> tuple[int, int]:
        count = 0
        for finding in findings_of(file):
            _tell(finding, json=json)
            count += 1
        if count:
            return 0, count
        return next(file.rows("SELECT COUNT(*) FROM placements"))[0], 0

    placements, findings = _with(journal_path(journal, config), check)
    if findings:
        end(
            f"{findings} finding{'s' * (findings > 1)}: do not place with this journal before they are cleared up.",
            Exit.NOT_ALL,
        )
    if not json:
        say(f"All is well: {placements} placement{'s' * (placements != 1)}, every chain legal and whole.")


def _tell(finding: Finding, *, json: bool) -> None:
    if json:
        print_json(finding)
    else:
        say(f"{finding.where}: {finding.what}")
        say(f"  what to do: {finding.advice}")


@app.command()
def settle(
    ref: Annotated[str, typer.Argument(help="A client id, a placement's id or a key", metavar="ID")],
    as_: Annotated[str, typer.Option("--as", help="placed or not-placed.")],
    why: Annotated[str, typer.Option(help="What you saw, and where; it is kept for ever.")],
    who: Annotated[str | None, typer.Option(help="Who decides; by default the user of this machine.")] = None,
    order_id: Annotated[
        str | None, typer.Option(help="The venue's id of the order; with not-placed, of one that no lost key made.")
    ] = None,
    yes: Yes = False,
    journal: Journal = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Decide what became of an uncertain placement, after asking; kept as assumed, with who and why.

    Look at the venue first: after not-placed the key is free, and an order
    that is live after all would be placed a second time.

    Exits 0 when it is settled, 1 when there is no such placement, 2 when it
    takes no decision, 4 when the answer was not yes.
    """
    if as_ not in {"placed", "not-placed"}:
        end(f"--as: {as_!r} is neither placed nor not-placed", Exit.WRONG)
    if not why.strip():
        end("--why: say what you saw, and where", Exit.WRONG)
    path, person = journal_path(journal, config), who or _user()
    record = _only_one(ref, path)
    if order_id is not None and as_ != "placed" and order_id not in record.lost:
        end("--order-id goes with --as placed, or names an order that may be of a lost key", Exit.WRONG)
    _in_journal(path, lambda file: check_settleable(_ledger(file), record, order_id=order_id), read_only=True)
    word = as_.replace("-", " ")
    confirm(_question(record, word, person, why, order_id), f"Settle it as {word}?", yes=yes)
    how = partial(settle_record, record=record, placed=as_ == "placed", who=person, why=why, order_id=order_id)
    after = _in_journal(path, lambda file: how(_ledger(file)), acts=True)
    show(PLACEMENTS, after.placement, json=json)


def _user() -> str:
    """The user of this machine."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        end("--who: say who decides; this machine names no user", Exit.WRONG)


def _only_one(ref: str, path: Path) -> Record:
    found = _with(path, lambda file: file.named(ref))
    open_ones = [each for each in found if each.state in _OPEN]
    if not found:
        end(f"the journal {path} knows no placement of {ref}", Exit.NOT_ALL)
    if len(found) > 1 and len(open_ones) != 1:
        names = ", ".join(placement_ref(each.placement) for each in found)
        end(f"{ref} names several placements; say which: {names}", Exit.WRONG)
    return open_ones[0] if open_ones else found[0]


def _question(record: Record, word: str, who: str, why: str, order_id: str | None) -> list[str]:
    placement = record.placement
    as_order = f", as order {order_id}" if word == "placed" else f", and order {order_id} is no lost key's"
    lines = [
        f"{placement_ref(placement)}: {money(record.address or '', record.mode)}",
        f"  {request_line(placement.request)}",
        f"  made {placement.created_at:%Y-%m-%d %H:%M:%S} UTC, {record.state}" + (", gave up" * placement.gave_up),
        f"  {word}" + (as_order if order_id else "") + f", says {who}: {why}",
    ]
    if word == "not placed" and record.exists:
        lines.append("  CAREFUL: the venue said that an order with this id exists.")
    if word == "not placed":
        lines.append("  Its key is free after that; were the order live after all, it could be placed twice.")
    return lines


def _ledger(journal: SqliteJournal) -> Ledger:
    return Ledger(journal, clock=time.time, watch_for=_WATCH_FOR)


@app.command()
def prune(
    older_than: Annotated[str, typer.Option(metavar="AGE", help="As in 90d, 12w or 36h; a day at least.")],
    free_keys: Annotated[
        bool, typer.Option("--free-keys", help="Drop what holds a key too: repeated, that key places anew.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be dropped.")] = False,
    yes: Yes = False,
    journal: Journal = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Drop placements and orders that are long over, after asking, in one transaction.

    Never dropped: what may be live, what is watched, and what holds a key. A
    bot may write meanwhile. The file keeps its length for what comes next.
    """
    age, path = _age(older_than), journal_path(journal, config)
    _with(path, lambda file: None)
    if not dry_run:
        keys = " Those that hold a key go too: A REPEATED KEY WOULD PLACE ANEW." if free_keys else ""
        confirm([f"Drops from {path} what has been over for {older_than}.{keys}"], "Drop it for good?", yes=yes)
    work = partial(prune_journal, older_than=age, free_keys=free_keys, dry_run=dry_run)
    done = _in_journal(path, work, busy_timeout=10.0)
    if json:
        print_json(done)
        return
    say(f"{done.placements} placements and {done.orders} orders {'would be' if dry_run else 'were'} dropped.")
    if done.kept_for_key:
        say(f"{done.kept_for_key} that are over hold a key, and are kept; --free-keys drops them too.")


def _age(text: str) -> timedelta:
    read = re.fullmatch(r"([0-9]{1,6})([hdw])", text.strip())
    if read is None:
        end(f"--older-than: {text!r} is no age; write it as 90d, 12w or 36h", Exit.WRONG)
    age = timedelta(**{_UNITS[read[2]]: int(read[1])})
    if age < LEAST:
        end("--older-than: a day at least: younger placements may still be asked about", Exit.WRONG)
    return age


def explain(
    ref: Annotated[str, typer.Argument(help="A client id, an order's id, a placement's id or a key", metavar="ID")],
    journal: Journal = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Tell how a placement came to be as it is, line by line, from the journal alone: it asks no venue.

    With --json the placement and its events are printed, one model in each
    line. Exits 0 when it is settled, 3 when it may be live and its outcome is
    not known, 1 when the journal does not know it.
    """
    path = journal_path(journal, config)
    found, unreadable = _read(path, lambda file: [(record, file.events(record)) for record in file.named(ref)])
    if not found:
        end(f"the journal {path} knows no placement of {ref}", Exit.NOT_ALL)
    for number, (record, events) in enumerate(found):
        if json:
            for model in (record, *events):
                print_json(model)
        else:
            chain = chain_of(record, record.placement, events)
            say(*([""] if number else []), *chain.split("\n"))
    if unreadable:
        warn(*dict.fromkeys(unreadable))
        sys.exit(Exit.NOT_ALL)
    sys.exit(Exit.UNKNOWN if any(record.state in _OPEN for record, _ in found) else Exit.DONE)


def recover(
    gateways: Gateways = None,
    resolve: Annotated[float, typer.Option(help="Seconds to go on asking about what is uncertain.", min=0.0)] = 0.0,
    journal: Journal = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Settle what was under way when a bot ended, and tell what was found.

    What was prepared and never sent is denied; what a living process works on
    is left to it. Proof that an order is absent takes two minutes: --resolve 150.

    Exits 0 when all is settled, 3 when an outcome is not known yet, 1 when a
    gateway could not be asked.
    """
    used = used_settings(config)
    kept = journal_path(journal, used)
    if not kept.is_file():
        end(f"there is no journal at {kept}: nothing to recover", Exit.WRONG)
    bridge = connected(gateways, used, journal=kept)
    report = run(_recover(bridge, resolve), bridge, acts=True)
    if json:
        print_json(report)
    else:
        _print(report)
    print_missing(report.unreachable)
    if report.uncertain:
        end(
            "What is uncertain MAY BE LIVE: run this again with --resolve 150, or see orderbridge explain.",
            Exit.UNKNOWN,
        )
    sys.exit(Exit.NOT_ALL if report.unreachable else Exit.DONE)


async def _recover(bridge: OrderBridge, resolve: float) -> RecoveryReport:
    # Not `async with bridge`: that would start a recovery of its own, and what it settled would be in no report.
    report = await bridge.recover()
    if not resolve or not report.uncertain:
        return report
    after = await asyncio.gather(*(bridge.resolve(each, timeout=resolve) for each in report.uncertain))
    over = tuple(each for each in after if each.state not in _OPEN)
    left = tuple(each for each in after if each.state in _OPEN)
    return report.model_copy(update={"settled": report.settled + over, "uncertain": left})


def _print(report: RecoveryReport) -> None:
    parts = {
        "Settled": report.settled,
        "Still uncertain": report.uncertain,
        "Denied: prepared and never sent": report.denied,
        "Sent now": report.sent,
    }
    for title, placements in parts.items():
        if placements:
            say(f"{title}:")
            show(PLACEMENTS, *placements)
    for title, orders in {"Ours, and not known before": report.orphans, "Foreign, left alone": report.foreign}.items():
        if orders:
            say(f"{title}:")
            for order in orders:
                say(f"  {known_line(order)}")
    if report == RecoveryReport(unreachable=report.unreachable):
        where = " at the gateways that answered" if report.unreachable else ""
        say(f"Nothing was under way{where}.")
