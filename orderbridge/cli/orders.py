"""`orderbridge open`, `orders` and `fills`: reading."""

from __future__ import annotations

import sys
from contextlib import aclosing
from typing import Annotated

import typer

from orderbridge.cli.running import (
    Config,
    Exit,
    Gateways,
    JsonLines,
    OfSymbol,
    PageTimeout,
    Timeout,
    connected,
    end,
    moment,
    run,
    used_settings,
)
from orderbridge.cli.tables import (
    FILLS,
    ORDERS,
    Rows,
    add_fill,
    add_order,
    print_left_out,
    print_may_lack,
    print_missing,
    print_model,
    print_orders,
    say,
)
from orderbridge.model.basics import OrderStatus
from orderbridge.model.results import BridgeOrders

_TIME = "an ISO date (its midnight) or date-time; without a zone it is UTC."
Since = Annotated[str, typer.Option("--since", metavar="TIME", help=f"From this time on: {_TIME}")]
MaybeSince = Annotated[str | None, typer.Option("--since", metavar="TIME", help=f"From this time on: {_TIME}")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help=f"Up to this time: {_TIME}")]


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

    used = used_settings(config)

    async def look() -> BridgeOrders:
        async with aclosing(connected(*(gateways or ()), settings=used)) as bridge:
            return await bridge.open_orders(symbol=symbol, timeout=timeout)

    result = run(look())
    if json:
        for order in result:
            print_model(order)
    elif result.orders:
        print_orders(result)
    elif result.unreachable:
        say("No open orders at the gateways that answered.")
    else:
        say("No open orders are listed." if result.may_lack else "No open orders.")
    print_missing(result.unreachable, result.bad_rows, stderr=True)
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
    rows, used = Rows(ORDERS), used_settings(config)

    async def look() -> bool:
        async with aclosing(connected(*(gateways or ()), settings=used)) as bridge:
            listed = bridge.orders(
                since=first, until=last, symbol=symbol, status=status, gateways=gateways, timeout=timeout
            )
            print_left_out(listed.left_out)
            async for order in listed:
                if json:
                    print_model(order)
                else:
                    add_order(rows, order)
            return not listed.left_out

    is_all = run(look())
    if not json and not rows.count:
        say("No orders." if is_all else "No orders at the gateways that list them.")
    sys.exit(Exit.DONE if is_all else Exit.NOT_ALL)


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
    rows, used = Rows(FILLS), used_settings(config)

    async def look() -> bool:
        async with aclosing(connected(*(gateways or ()), settings=used)) as bridge:
            listed = bridge.fills(ref, since=first, until=last, symbol=symbol, gateways=gateways, timeout=timeout)
            print_left_out(listed.left_out)
            async for fill in listed:
                if json:
                    print_model(fill)
                else:
                    add_fill(rows, fill)
            return not listed.left_out

    is_all = run(look())
    if not json and not rows.count:
        say("No fills." if is_all else "No fills at the gateways that list them.")
    sys.exit(Exit.DONE if is_all else Exit.NOT_ALL)
