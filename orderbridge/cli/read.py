"""`orderbridge lookup`, `open`, `orders` and `fills`: reading."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.command import (
    TIME,
    Config,
    Exit,
    Gateways,
    Json,
    JsonLines,
    OfSymbol,
    Timeout,
    connected,
    end,
    moment,
    run,
    used_settings,
    warn,
)
from orderbridge.cli.tables import (
    FILLS,
    ORDERS,
    Layout,
    M,
    StreamedTable,
    as_json,
    print_lookup,
    print_may_lack,
    print_missing,
    say,
    show,
)
from orderbridge.fanout import BridgeListing
from orderbridge.model.basics import OrderStatus

Since = Annotated[str, typer.Option("--since", metavar="TIME", help=f"From this time on: {TIME}")]
MaybeSince = Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"From this time on: {TIME}")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help=f"Up to this time: {TIME}")]
PageTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for each page of an answer.", min=0.1)]


def lookup(
    ids: Annotated[list[str], typer.Argument(help="x, bitso:x, bitso/mm:x or bitso:client:x", metavar="ID...")],
    gateways: Gateways = None,
    timeout: Timeout = 10.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """Tell what became of orders, by any of their ids. Exits 0 when all were found, 1 when not, 2 on an error."""
    bridge = connected(gateways, used_settings(config))
    result = run(bridge.lookup(*ids, timeout=timeout), bridge)
    if json:
        typer.echo(as_json(result, indent=2))
    else:
        print_lookup(result, title="Look-up")
    sys.exit(Exit.DONE if all(found.orders for found in result.found) else Exit.NOT_ALL)


def open_orders(
    symbol: OfSymbol = None,
    gateways: Gateways = None,
    timeout: Timeout = 10.0,
    json: JsonLines = False,
    config: Config = None,
) -> None:
    """
    List the open orders of every gateway. Exits 1 when one could not answer, or a row could not be read. That a
    venue may leave some out (Bitso: stops that wait) is told on stderr.
    """
    bridge = connected(gateways, used_settings(config))
    result = run(bridge.open_orders(symbol=symbol, timeout=timeout), bridge)
    if result.orders or json:
        show(ORDERS, *result, json=json)
    elif result.unreachable:
        say("No open orders at the gateways that answered.")
    else:
        say("No open orders are listed." if result.may_lack else "No open orders.")
    print_missing(result.unreachable, result.bad_rows)
    print_may_lack(result.may_lack)
    sys.exit(Exit.NOT_ALL if result.unreachable or result.bad_rows else Exit.DONE)


def orders(
    since: Since,
    until: Until = None,
    symbol: OfSymbol = None,
    status: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(OrderStatus)}.")] = None,
    gateways: Gateways = None,
    timeout: PageTimeout = 10.0,
    json: JsonLines = False,
    config: Config = None,
) -> None:
    """
    List the orders created in a time, of the gateways that keep a history (Bitso keeps none: see fills). Exits 1 when
    one that keeps none is left out; name with -g those that you want.
    """
    first, last = moment(since, "--since"), moment(until, "--until")
    assert first is not None  # --since is required
    if status is not None and status.lower() not in set(OrderStatus):
        end(f"--status: {status!r} is none of {', '.join(OrderStatus)}", Exit.WRONG)
    bridge = connected(gateways, used_settings(config))
    given = {"since": first, "until": last, "symbol": symbol, "status": status, "gateways": gateways}
    _print_listed(bridge, bridge.orders, ORDERS, json=json, timeout=timeout, **given)


def fills(
    ref: Annotated[
        str | None, typer.Argument(help="Of this order only: x, bitso:x or bitso:client:x", metavar="[REF]")
    ] = None,
    since: MaybeSince = None,
    until: Until = None,
    symbol: OfSymbol = None,
    gateways: Gateways = None,
    timeout: PageTimeout = 10.0,
    json: JsonLines = False,
    config: Config = None,
) -> None:
    """
    List the executions of one order, or of the accounts that tell them (Bitcain tells none: see lookup). Exits 1 when
    one that tells none is left out; name with -g those that you want.
    """
    first, last = moment(since, "--since"), moment(until, "--until")
    bridge = connected(gateways, used_settings(config))
    given = {"since": first, "until": last, "symbol": symbol, "gateways": gateways}
    _print_listed(bridge, bridge.fills, FILLS, ref, json=json, timeout=timeout, **given)


def _print_listed(
    bridge: OrderBridge, call: Callable[..., BridgeListing[M]], layout: Layout[M], *of: Any, json: bool, **given: Any
) -> NoReturn:
    """Print what a call lists as its pages come, and end."""
    table = StreamedTable(layout, json=json)

    async def print_rows() -> bool:
        listed = call(*of, **given)  # here, where the loop runs that the bridge is to be in
        for name, why in listed.left_out.items():
            warn(f"{name} is left out: {why}")
        async for row in listed:
            table.add(row)
        return not listed.left_out

    is_all = run(print_rows(), bridge)
    if not json and not table.count:
        say(f"No {call.__name__}." if is_all else f"No {call.__name__} at the gateways that list them.")
    sys.exit(Exit.DONE if is_all else Exit.NOT_ALL)
