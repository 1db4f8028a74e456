"""`orderbridge place`, `cancel` and `edit`: what changes an order, or makes one."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.command import (
    Config,
    Exit,
    Gateways,
    Journal,
    Json,
    JsonLines,
    Timeout,
    Yes,
    checked,
    confirm,
    connected,
    destination,
    end,
    exit_of,
    journal_path,
    moment,
    note,
    run,
    told,
    used_settings,
    warn,
)
from orderbridge.cli.tables import (
    ORDERS,
    PLACEMENTS,
    edit_line,
    known_line,
    placement_ref,
    print_may_lack,
    print_missing,
    request_line,
    say,
    show,
)
from orderbridge.errors import (
    DuplicateClientOrderId,
    JournalError,
    NotSent,
    OrderBridgeError,
    OrderNotActive,
    OutcomeUnknown,
)
from orderbridge.model.basics import OrderStatus, OrderType, PlacementState, TimeInForce
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.model.ref import parse_refs
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.settings import connect

T = TypeVar("T")
_TYPES = ", ".join(kind for kind in OrderType if kind is not OrderType.UNKNOWN)
_REFUSED = {OrderStatus.REJECTED, OrderStatus.FAILED}
_WORST_FIRST = (Exit.UNKNOWN, Exit.NOT_ALL, Exit.NOT_SENT, Exit.WRONG, Exit.DONE)

Price = Annotated[str | None, typer.Option(help="Quote per base.")]
StopPrice = Annotated[str | None, typer.Option(help="The price that sets the order off.")]
Tif = Annotated[str | None, typer.Option("--tif", help=f"Time in force: {', '.join(TimeInForce)}.")]
ExpiresAt = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="When it ends, with gtt: an ISO date-time; without a zone it is UTC."),
]


@dataclass
class _Act:
    """
    One act of placing, and what is known of it when it is interrupted.

    Attributes:
        is_kept: whether a journal outlives this command.
        options: with which every further command finds the same journal and settings.
        is_taken: whether another order has its id.
    """

    bridge: OrderBridge
    gateway: str
    request: OrderRequest
    key: str | None
    is_kept: bool
    options: list[str]
    placement: Placement | None = None
    is_taken: bool = False

    async def run(self, *, resolve: float, **how: Any) -> Order | Placement:
        """The order; or the placement, when its outcome was not known at first and it was followed up."""
        async with self.bridge as bridge:
            self.placement = await bridge.prepare(self.gateway, self.request, key=self.key)
            note(self._said(self.placement))
            try:
                return await bridge.place(self.gateway, self.placement, **how)
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
            ways = [["explain", *self.options, name], ["recover", *self.options, "--resolve", "150"]]
        elif placement.client_order_id is None:
            ways = [["open", *self.options, "--gateway", self.gateway]]
        else:
            ways = [["lookup", *self.options, name]]
        return [shlex.join(["orderbridge", *way]) for way in ways]

    def may_be_live(self, why: str, placement: Placement) -> NoReturn:
        """Say so, and how it is settled, and end."""
        warn(why, style="red")
        warn(
            f"{placement_ref(placement)} MAY BE LIVE. "
            "Do not place it again; see what is known, and have it settled, with:",
            style="bold red",
        )
        first, *more = self.lines(placement)
        end(first, Exit.UNKNOWN, *more)


def place(
    gateway: Annotated[str, typer.Argument(help="bitso, bitso/mm, bitcain …")],
    side: Annotated[str, typer.Argument(help="buy or sell")],
    quantity: Annotated[str, typer.Argument(help="In base units; with --quote in quote units.")],
    symbol: Annotated[str, typer.Argument(help="As in BTC/MXN.")],
    price: Price = None,
    stop_price: StopPrice = None,
    quote: Annotated[bool, typer.Option("--quote", help="QUANTITY is in quote units.")] = False,
    kind: Annotated[str | None, typer.Option("--type", help=f"{_TYPES}. By default what the prices make it.")] = None,
    tif: Tif = None,
    expires_at: ExpiresAt = None,
    post_only: Annotated[bool, typer.Option("--post-only", help="Never take from the book.")] = False,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Only make a position smaller.")] = False,
    client_order_id: Annotated[str | None, typer.Option(help="Your own id; by default one is made.")] = None,
    slippage: Annotated[str | None, typer.Option(help="Tolerance at market, in percent.")] = None,
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
    bridge = connected([gateway], used, journal=kept)
    target = checked(lambda: bridge[gateway])
    request = _of_options(
        OrderRequest,
        symbol=symbol,
        side=side,
        type=kind or _type_of(price, stop_price),
        quantity=None if quote else quantity,
        quote_quantity=quantity if quote else None,
        price=price,
        stop_price=stop_price,
        time_in_force=tif,
        expires_at=moment(expires_at, "--expires-at"),
        post_only=post_only,
        reduce_only=reduce_only,
        slippage_tolerance=slippage,
        client_order_id=client_order_id,
    )
    if request.type is OrderType.MARKET and not (kind or quote or slippage):
        # A price that was forgotten must not trade at whatever the market asks.
        end("give --price for a limit order, or --type market to trade at the market's price", Exit.WRONG)
    named = [] if key is None else [f"  key {key}"]
    where = f"  journal {kept}" if kept else "  NO JOURNAL: sent once, and known to nothing but the venue after that"
    confirm([destination(target), f"  {request_line(request)}", *named, where], "Place this order?", yes=yes)
    options = [] if journal is None else ["--journal", str(journal)]
    options += [] if config is None else ["--config", str(config)]
    act = _Act(bridge, gateway, request, key, is_kept=kept is not None, options=options)
    outcome = _outcome(act, act.run(send_within=send_within, timeout=timeout, read_back=read_back, resolve=resolve))
    if isinstance(outcome, Placement):
        _followed_up(act, outcome, json=json)
    show(ORDERS, outcome, json=json)
    if outcome.status in _REFUSED:
        end(f"{outcome.status}: {outcome.reason or 'the venue gives no reason'}", Exit.NOT_ALL)


def _of_options(model: Callable[..., T], **given: Any) -> T:
    """A model of the options that were given; what is wrong with them ends the command in one line."""
    return checked(lambda: model(**{name: value for name, value in given.items() if value is not None}))


def _type_of(price: str | None, stop_price: str | None) -> OrderType:
    if stop_price is not None:
        return OrderType.STOP_LOSS if price is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if price is None else OrderType.LIMIT


def _outcome(act: _Act, work: Coroutine[Any, Any, Order | Placement]) -> Order | Placement:
    """The outcome of placing; whatever interrupts it, the command ends with what may be live."""
    try:
        return asyncio.run(work)
    except (NotSent, JournalError) as error:
        again = "" if act.key is None else " The same line may be run again: the key keeps it from being placed twice."
        end(f"Nothing was sent. {told(error)}{again}", Exit.NOT_SENT)
    except OrderBridgeError as error:
        end(told(error), exit_of(error))
    except KeyboardInterrupt:
        if act.placement is None:
            end("Interrupted before anything was sent.", Exit.NOT_SENT)
        act.may_be_live("Interrupted.", act.placement)
    except BaseException as error:
        warn(f"{type(error).__name__}: {error}", style="red")
        lines = [] if act.placement is None else act.lines(act.placement)
        warn("The order may be live. Do not place it again; see what became of it, with:", *lines, style="bold red")
        raise


def _followed_up(act: _Act, placement: Placement, *, json: bool) -> NoReturn:
    if placement.state is PlacementState.PLACED and placement.order is not None:
        note("It was placed, once.")
        show(ORDERS, placement.order, json=json)
        sys.exit(Exit.DONE)
    if act.is_taken:
        end("An order has this id; look at it with:", Exit.NOT_ALL, *act.lines(placement))
    show(PLACEMENTS, placement, json=json)
    if not placement.may_be_live:
        end(f"It is {placement.state}: not live, and nothing of it filled. It may be placed anew.", Exit.NOT_ALL)
    act.may_be_live("It is not known what became of the order.", placement)


def cancel(
    refs: Annotated[
        list[str] | None, typer.Argument(help="x, bitso:x, bitso/mm:x or bitso:client:x", metavar="REF...")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every open order of the accounts, by whomever it was placed. Asks first.")
    ] = False,
    symbol: Annotated[str | None, typer.Option(help="With --all: of this pair only.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Look on until the orders are over or the time is up.")] = False,
    yes: Yes = False,
    gateways: Gateways = None,
    timeout: Timeout = 15.0,
    json: JsonLines = False,
    config: Config = None,
) -> None:
    """
    Cancel orders, and print each as it is after that: perhaps filled.

    Exits 0 when every one is over, 1 when one may still trade or was not
    found, 3 when that is not known, 4 when nothing was sent.
    """
    if everything == bool(refs):
        end("Name the orders to cancel, or say --all, and not both.", Exit.WRONG)
    if everything and wait:
        end("--wait is for orders named one by one; after --all, see orderbridge open.", Exit.WRONG)
    if symbol is not None and not everything:
        end("--symbol goes with --all.", Exit.WRONG)
    bridge = connected(gateways, used_settings(config))
    if everything:
        _cancel_all(bridge, symbol, yes=yes, timeout=timeout, json=json)
    named = list(dict.fromkeys(refs or ()))
    checked(lambda: parse_refs(named, gateways=bridge.names))
    calls = [bridge.cancel(ref, wait="done" if wait else "ack", timeout=timeout) for ref in named]
    outcomes = run(_all_of(calls), bridge, acts=True)
    done = [outcome for outcome in outcomes if isinstance(outcome, Order)]
    show(ORDERS, *done, json=json)
    codes = {Exit.DONE} | {Exit.NOT_ALL for order in done if order.may_be_live}
    for ref, outcome in zip(named, outcomes, strict=True):
        if isinstance(outcome, OrderBridgeError):
            warn(f"{ref}: {told(outcome)}", style="red")
            codes.add(exit_of(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    sys.exit(next(code for code in _WORST_FIRST if code in codes))


async def _all_of(calls: Sequence[Coroutine[Any, Any, Order]]) -> list[Order | BaseException]:
    return await asyncio.gather(*calls, return_exceptions=True)


def _cancel_all(bridge: OrderBridge, symbol: str | None, *, yes: bool, timeout: float, json: bool) -> NoReturn:
    which = "every open order" if symbol is None else f"every open order in {symbol}"
    lines = [f"  {destination(bridge[name])}" for name in bridge.names]
    confirm([f"Cancels {which}, by whomever it was placed, of:", *lines], "Cancel them all?", yes=yes)
    receipt = run(bridge.cancel_all(scope="account", symbol=symbol, timeout=timeout), bridge, acts=True)
    if receipt.orders or json:
        show(ORDERS, *receipt.orders, json=json)
    elif receipt.unreachable:
        say("No order was open where it could be asked.")
    else:
        say("No order was listed as open." if receipt.may_lack else "No order was open.")
    print_missing(receipt.unreachable)
    print_may_lack(receipt.may_lack)
    if receipt.unreachable:
        end("Orders there may be live: see orderbridge open.", Exit.NOT_ALL)
    sys.exit(Exit.DONE if receipt.is_complete else Exit.NOT_ALL)


def edit(
    ref: Annotated[str, typer.Argument(help="x, bitso:x, bitso/mm:x or bitso:client:x")],
    quantity: Annotated[str | None, typer.Option(help="The new TOTAL in base units, with what is filled.")] = None,
    price: Price = None,
    stop_price: StopPrice = None,
    tif: Tif = None,
    expires_at: ExpiresAt = None,
    yes: Yes = False,
    gateways: Gateways = None,
    timeout: Timeout = 15.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Change a working order in place, after asking, and print it as it is after that.

    Exits 0 when it was changed, 1 when it was refused, had ended or was not
    found, 4 when nothing was sent. 3 means that it is not known: look the
    order up before changing it again.
    """
    changes = _of_options(
        OrderEdit,
        quantity=quantity,
        price=price,
        stop_price=stop_price,
        time_in_force=tif,
        expires_at=moment(expires_at, "--expires-at"),
    )
    used = used_settings(config)
    bridge = connected(gateways, used)
    # Two loops with the question between them: Ctrl-C is not heard at a prompt inside of one.
    order = run(bridge.get(ref, timeout=timeout), bridge)
    lines = [destination(bridge[order.gateway]), f"  {known_line(order)}", f"  {edit_line(changes, order.symbol)}"]
    confirm(lines, "Change this order?", yes=yes)
    bridge = checked(lambda: connect(order.gateway, settings=used))
    show(ORDERS, run(_changed(bridge, order, changes, timeout, json=json), bridge, acts=True), json=json)


async def _changed(bridge: OrderBridge, order: Order, changes: OrderEdit, timeout: float, *, json: bool) -> Order:
    try:
        return await bridge.edit(order.key, changes, timeout=timeout)
    except OrderNotActive as error:
        if error.order is not None:
            show(ORDERS, error.order, json=json)
        raise
