"""`orderbridge place`, `explain` and `recover`: placing at most once, and what became of it."""

from __future__ import annotations

import asyncio
import shlex
import sys
from typing import Annotated, NoReturn

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.asking import ask, destination, order_line
from orderbridge.cli.ordering import (
    ClientId,
    ExpiresAt,
    GatewayName,
    InQuote,
    Kind,
    PostOnly,
    Price,
    Quantity,
    ReduceOnly,
    SideWord,
    Slippage,
    StopPrice,
    SymbolName,
    Tif,
    new_request,
)
from orderbridge.cli.placements import PLACEMENTS, add_placement, placement_ref
from orderbridge.cli.running import (
    Config,
    Exit,
    Gateways,
    Journal,
    Json,
    Yes,
    checked,
    connected,
    end,
    exit_of,
    journal_path,
    note,
    run,
    told,
    used_settings,
    warn,
)
from orderbridge.cli.tables import Rows, order_in_line, print_missing, print_model, say
from orderbridge.cli.trading import show
from orderbridge.errors import DuplicateClientOrderId, JournalError, NotSent, OrderBridgeError, OutcomeUnknown
from orderbridge.model.basics import OrderStatus, PlacementState
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.request import OrderRequest
from orderbridge.placement.explain import explain as chain_of
from orderbridge.placement.looking import JournalFile
from orderbridge.placement.recovery import RecoveryReport

_REFUSED = {OrderStatus.REJECTED, OrderStatus.FAILED}


class _Act:
    """
    One placing, and what is known of it when it is interrupted.

    Args:
        is_kept: whether a journal outlives this command.
        options: with which every further command finds the same journal and settings.
    """

    def __init__(
        self,
        bridge: OrderBridge,
        gateway: str,
        request: OrderRequest,
        key: str | None,
        *,
        is_kept: bool,
        options: list[str],
    ) -> None:
        self.bridge, self.gateway, self.request, self.key = bridge, gateway, request, key
        self.is_kept, self._options = is_kept, options
        self.placement: Placement | None = None
        self.is_taken = False

    async def run(
        self, *, send_within: float, timeout: float, read_back: bool | None, resolve: float
    ) -> Order | Placement:
        """The order; or the placement, when its outcome was not known at first and it was followed up."""
        async with self.bridge as bridge:
            self.placement = await bridge.prepare(self.gateway, self.request, key=self.key)
            note(self._said(self.placement))
            try:
                return await bridge.place(
                    self.gateway, self.placement, send_within=send_within, timeout=timeout, read_back=read_back
                )
            except OutcomeUnknown as error:
                cause = error.__cause__
                # Without a journal there was no earlier sending: the order that has the id is another one.
                self.is_taken = not self.is_kept and isinstance(cause, DuplicateClientOrderId)
                warn(told(cause if isinstance(cause, DuplicateClientOrderId) else error), style="red")
                if resolve:
                    note(f"Asking what became of it, for up to {resolve:g} s ...")
                known = error.placement if isinstance(error.placement, Placement) else self.placement
                return await bridge.resolve(known, timeout=resolve)

    def _said(self, placement: Placement) -> str:
        if self.is_kept:
            said = "goes on with" if placement.state is not PlacementState.PREPARED else "is written down as"
            return f"It {said} {placement_ref(placement)}, and nothing is placed twice."
        if placement.client_order_id is None:
            return "It is sent once, without a client order id: the venue takes none."
        return f"It is sent once, as {placement_ref(placement)}."

    def lines(self, placement: Placement) -> list[str]:
        """The commands that tell what became of it, to be copied as they are."""
        name = placement_ref(placement)
        if self.is_kept:
            ways = [["explain", *self._options, name], ["recover", *self._options, "--resolve", "150"]]
        elif placement.client_order_id is None:
            ways = [["open", *self._options, "--gateway", self.gateway]]
        else:
            ways = [["lookup", *self._options, name]]
        return [shlex.join(["orderbridge", *way]) for way in ways]


def place(
    gateway: GatewayName,
    side: SideWord,
    quantity: Quantity,
    symbol: SymbolName,
    price: Price = None,
    stop_price: StopPrice = None,
    quote: InQuote = False,
    kind: Kind = None,
    tif: Tif = None,
    expires_at: ExpiresAt = None,
    post_only: PostOnly = False,
    reduce_only: ReduceOnly = False,
    client_order_id: ClientId = None,
    slippage: Slippage = None,
    key: Annotated[str | None, typer.Option(help="Your name of this act: while held, nothing is placed twice.")] = None,
    send_within: Annotated[float, typer.Option(help="Seconds to wait for the right to send.", min=0.0)] = 5.0,
    timeout: Annotated[float, typer.Option(help="Seconds until the outcome counts as not known.", min=0.1)] = 15.0,
    read_back: Annotated[
        bool | None,
        typer.Option("--read-back/--no-read-back", help="Look it up once placed; by default market, ioc and fok."),
    ] = None,
    resolve: Annotated[float, typer.Option(help="Seconds to find an unknown outcome out.", min=0.0)] = 30.0,
    yes: Yes = False,
    journal: Journal = None,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Place one order at most once, after asking: it is in the journal before it is sent.

    The same --key and order again go on with what was placed. Without a
    journal (--journal, or journal.path in the settings) the question says
    so: it is sent once, and nothing but the venue knows of it after that.

    Exits 0 when the venue has it, 1 when it was refused or proven not placed,
    2 when it was wrong, 4 when it was not sent. 3 means that it MAY BE LIVE:
    run the lines that are printed, and do not place it again.
    """
    used = used_settings(config)
    kept = None if journal is None and used.journal_path is None else journal_path(journal, used)
    if kept is None and key is not None:
        end("--key needs a journal: give --journal PATH, or journal.path in the settings file", Exit.WRONG)
    bridge = checked(lambda: connected(gateway, journal=kept, settings=used))
    target = checked(lambda: bridge[gateway])
    request = new_request(
        symbol=symbol,
        side=side,
        quantity=quantity,
        quote=quote,
        kind=kind,
        price=price,
        stop_price=stop_price,
        tif=tif,
        expires_at=expires_at,
        post_only=post_only,
        reduce_only=reduce_only,
        slippage=slippage,
        client_order_id=client_order_id,
    )
    named = [] if key is None else [f"  key {key}"]
    where = f"  journal {kept}" if kept else "  NO JOURNAL: sent once, and known to nothing but the venue after that"
    ask([destination(target), f"  {order_line(request)}", *named, where], "Place this order?", yes=yes)
    options = [] if journal is None else ["--journal", str(journal)]
    options += [] if config is None else ["--config", str(config)]
    act = _Act(bridge, gateway, request, key, is_kept=kept is not None, options=options)
    work = act.run(send_within=send_within, timeout=timeout, read_back=read_back, resolve=resolve)
    try:
        outcome = asyncio.run(work)
    except (NotSent, JournalError) as error:
        again = "" if key is None else " The same line may be run again: the key keeps it from being placed twice."
        end(f"Nothing was sent. {told(error)}{again}", Exit.NOT_SENT)
    except OrderBridgeError as error:
        end(told(error), exit_of(error))
    except KeyboardInterrupt:
        if act.placement is None:
            end("Interrupted before anything was sent.", Exit.NOT_SENT)
        _may_be_live("Interrupted.", act, act.placement)
    except BaseException as error:
        warn(f"{type(error).__name__}: {error}", style="red")
        lines = [] if act.placement is None else act.lines(act.placement)
        warn("The order may be live. Do not place it again; see what became of it, with:", *lines, style="bold red")
        raise
    if isinstance(outcome, Placement):
        _followed_up(act, outcome, json=json)
    show([outcome], json=json)
    if outcome.status in _REFUSED:
        end(f"{outcome.status}: {outcome.reason or 'the venue gives no reason'}", Exit.NOT_ALL)


def _followed_up(act: _Act, placement: Placement, *, json: bool) -> NoReturn:
    if placement.state is PlacementState.PLACED and placement.order is not None:
        note("It was placed, once.")
        show([placement.order], json=json)
        sys.exit(Exit.DONE)
    if act.is_taken:
        end("An order has this id; look at it with:", Exit.NOT_ALL, *act.lines(placement))
    if json:
        print_model(placement)
    else:
        add_placement(Rows(PLACEMENTS), placement)
    if not placement.may_be_live:
        end(f"It is {placement.state}: not live, and nothing of it filled. It may be placed anew.", Exit.NOT_ALL)
    _may_be_live("It is not known what became of the order.", act, placement)


def _may_be_live(why: str, act: _Act, placement: Placement) -> NoReturn:
    first, *more = act.lines(placement)
    warn(why, style="red")
    warn(
        f"{placement_ref(placement)} MAY BE LIVE. Do not place it again; see what is known, and have it settled, with:",
        style="bold red",
    )
    end(first, Exit.UNKNOWN, *more)


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
    try:
        with JournalFile(path) as file:
            found = [(record, file.events(record)) for record in file.named(ref)]
    except JournalError as error:
        end(told(error), Exit.WRONG)
    except ValueError as error:
        end(str(error), Exit.WRONG)
    if not found:
        end(f"the journal {path} knows no placement of {ref}", Exit.NOT_ALL)
    for number, (record, events) in enumerate(found):
        if json:
            for model in (record, *events):
                print_model(model)
        else:
            chain = chain_of(record, record.placement, events)
            say(*([""] if number else []), *chain.split("\n"))
    if file.unreadable:
        warn(*dict.fromkeys(file.unreadable))
        sys.exit(Exit.NOT_ALL)
    states = {record.state for record, _ in found}
    sys.exit(Exit.UNKNOWN if states & {PlacementState.SENDING, PlacementState.UNCERTAIN} else Exit.DONE)


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
    bridge = checked(lambda: connected(*(gateways or ()), journal=kept, settings=used))
    report = run(_recover(bridge, resolve), acts=True)
    if json:
        print_model(report)
    else:
        _print(report)
    print_missing(report.unreachable, stderr=True)
    if report.uncertain:
        end(
            "What is uncertain MAY BE LIVE: run this again with --resolve 150, or see orderbridge explain.",
            Exit.UNKNOWN,
        )
    sys.exit(Exit.NOT_ALL if report.unreachable else Exit.DONE)


async def _recover(bridge: OrderBridge, resolve: float) -> RecoveryReport:
    # Not `async with`: that would start a recovery of its own, and what it settled would be in no report.
    try:
        report = await bridge.recover()
        if not resolve or not report.uncertain:
            return report
        after = await asyncio.gather(*(bridge.resolve(each, timeout=resolve) for each in report.uncertain))
        over = tuple(each for each in after if each.state not in {PlacementState.SENDING, PlacementState.UNCERTAIN})
        left = tuple(each for each in after if each not in over)
        return report.model_copy(update={"settled": report.settled + over, "uncertain": left})
    finally:
        await bridge.aclose()


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
            rows = Rows(PLACEMENTS)
            for placement in placements:
                add_placement(rows, placement)
    for title, orders in {"Ours, and not known before": report.orphans, "Foreign, left alone": report.foreign}.items():
        if orders:
            say(f"{title}:")
            for order in orders:
                say(f"  {order_in_line(order)}")
    if report == RecoveryReport(unreachable=report.unreachable):
        where = " at the gateways that answered" if report.unreachable else ""
        say(f"Nothing was under way{where}.")
