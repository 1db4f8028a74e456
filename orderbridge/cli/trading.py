"""`orderbridge cancel` and `edit`: acting on orders that are there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Annotated, Any, NoReturn

import typer

from orderbridge.bridge import OrderBridge
from orderbridge.cli.asking import ask, destination, edit_line
from orderbridge.cli.ordering import (
    ExpiresAt,
    Price,
    StopPrice,
    Tif,
)
from orderbridge.cli.running import (
    Config,
    Exit,
    Gateways,
    Json,
    JsonLines,
    Timeout,
    Yes,
    checked,
    connected,
    end,
    exit_of,
    moment,
    run,
    told,
    used_settings,
    warn,
)
from orderbridge.cli.tables import order_in_line, print_may_lack, print_missing, print_model, print_orders, say
from orderbridge.errors import (
    OrderBridgeError,
    OrderNotActive,
)
from orderbridge.model.order import Order
from orderbridge.model.ref import parse_refs
from orderbridge.model.request import OrderEdit
from orderbridge.registry import connect


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
    used = used_settings(config)
    bridge = checked(lambda: connected(*(gateways or ()), settings=used))
    if everything:
        _cancel_all(bridge, symbol, yes=yes, timeout=timeout, json=json)
    named = list(dict.fromkeys(refs or ()))
    checked(lambda: parse_refs(named, gateways=bridge.names))
    outcomes = run(_cancel_each(bridge, named, wait=wait, timeout=timeout), acts=True)
    done = [outcome for outcome in outcomes if isinstance(outcome, Order)]
    show(done, json=json)
    codes = {Exit.DONE} | {Exit.NOT_ALL for order in done if order.may_be_live}
    for ref, outcome in zip(named, outcomes, strict=True):
        if isinstance(outcome, OrderBridgeError):
            warn(f"{ref}: {told(outcome)}", style="red")
            codes.add(exit_of(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    worst_first = (Exit.UNKNOWN, Exit.NOT_ALL, Exit.NOT_SENT, Exit.WRONG, Exit.DONE)
    sys.exit(next(code for code in worst_first if code in codes))


async def _cancel_each(
    bridge: OrderBridge, refs: list[str], *, wait: bool, timeout: float
) -> list[Order | BaseException]:
    async with aclosing(bridge):
        calls = [bridge.cancel(ref, wait="done" if wait else "ack", timeout=timeout) for ref in refs]
        return await asyncio.gather(*calls, return_exceptions=True)


def _cancel_all(bridge: OrderBridge, symbol: str | None, *, yes: bool, timeout: float, json: bool) -> NoReturn:
    which = "every open order" if symbol is None else f"every open order in {symbol}"
    lines = [f"  {destination(bridge[name])}" for name in bridge.names]
    ask([f"Cancels {which}, by whomever it was placed, of:", *lines], "Cancel them all?", yes=yes)

    async def act() -> Any:
        async with aclosing(bridge):
            return await bridge.cancel_all(scope="account", symbol=symbol, timeout=timeout)

    receipt = run(act(), acts=True)
    if receipt.orders or json:
        show(receipt.orders, json=json)
    elif receipt.unreachable:
        say("No order was open where it could be asked.")
    else:
        say("No order was listed as open." if receipt.may_lack else "No order was open.")
    print_missing(receipt.unreachable, stderr=True)
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
    given = {
        "quantity": quantity,
        "price": price,
        "stop_price": stop_price,
        "time_in_force": tif,
        "expires_at": moment(expires_at, "--expires-at"),
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes, used = checked(lambda: OrderEdit(**fields)), used_settings(config)

    async def look() -> tuple[Order, str]:
        async with aclosing(connected(*(gateways or ()), settings=used)) as bridge:
            order = await bridge.get(ref, timeout=timeout)
            return order, destination(bridge[order.gateway])

    async def act() -> Order:
        async with aclosing(connect(order.gateway, settings=used)) as bridge:
            return await bridge.edit(order.key, changes, timeout=timeout)

    # Two loops with the question between them: Ctrl-C is not heard at a prompt inside of one.
    order, where = run(look())
    ask([where, f"  {order_in_line(order)}", f"  {edit_line(changes, order.symbol)}"], "Change this order?", yes=yes)
    show([run(_ended_told(act(), json=json), acts=True)], json=json)


async def _ended_told(call: Coroutine[Any, Any, Order], *, json: bool) -> Order:
    try:
        return await call
    except OrderNotActive as error:
        if error.order is not None:
            show([error.order], json=json)
        raise


def show(orders: Any, *, json: bool) -> None:
    if json:
        for order in orders:
            print_model(order)
    else:
        print_orders(orders)
