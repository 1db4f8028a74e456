"""`orderbridge submit`, `cancel` and `edit`: acting."""

from __future__ import annotations

import asyncio
import shlex
import sys
import time
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from orderbridge.bound import BoundGateway
from orderbridge.bridge import OrderBridge
from orderbridge.cli.asking import ask, destination, edit_line, order_line
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
from orderbridge.cli.tables import order_in_line, print_missing, print_model, print_orders, say
from orderbridge.client_ids import mint
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DuplicateClientOrderId,
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    OrderNotActive,
    OrderRejected,
    PermissionDenied,
)
from orderbridge.gateway import OrderGateway
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.words import OrderStatus
from orderbridge.registry import connect
from orderbridge.search import parse_refs

# Each proves that the order is not on the book. Whatever else `submit` raises, the order may be live.
_PROOFS = (
    ConfigurationError,
    OrderDenied,
    NotSupported,
    NotSent,
    OrderRejected,
    AuthenticationFailed,
    PermissionDenied,
)
_REFUSED = {OrderStatus.REJECTED, OrderStatus.FAILED}


def submit(
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
    yes: Yes = False,
    timeout: Annotated[float, typer.Option(help="Seconds until the outcome counts as not known.", min=0.1)] = 15.0,
    json: Json = False,
    config: Config = None,
) -> None:
    """
    Send one order, after asking.

    It is sent once and kept in no journal (`place` keeps one), so its client
    order id is printed before it is sent.

    Exits 0 when the venue took it, 1 when it refused it, 2 when it was wrong,
    4 when it was not sent. 3 means that it MAY BE LIVE: run the look-up that
    is printed, and do not send it again.
    """
    used = used_settings(config)
    bridge = checked(lambda: connected(gateway, settings=used))
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
        client_order_id=_id_for(target) if client_order_id is None else client_order_id,
    )
    lookup = _lookup_line(target, request, config)
    id_line = f"client order id {request.client_order_id or 'none: the venue takes none'}"
    ask([destination(target), f"  {order_line(request)}", f"  {id_line}"], "Send this order?", yes=yes)
    order = _sent(_submit(bridge, target, request, timeout), lookup)
    show([order], json=json)
    if order.status in _REFUSED:
        end(f"{order.status}: {order.reason or 'the venue gives no reason'}", Exit.NOT_ALL)


async def _submit(bridge: OrderBridge, target: BoundGateway, request: OrderRequest, timeout: float) -> Order:
    async with aclosing(bridge):
        # The adapter's own call: it is `place` that is journalled.
        return await target.gateway.submit(request, timeout=timeout)


def _sent(call: Coroutine[Any, Any, Order], lookup: str) -> Order:
    try:
        return asyncio.run(call)
    except NotSent as error:
        end(f"Nothing was sent. {told(error)}", Exit.NOT_SENT)
    except _PROOFS as error:
        end(told(error), exit_of(error))
    except DuplicateClientOrderId as error:
        warn(told(error), style="red")
        end("An order has this id; look at it with:", Exit.NOT_ALL, lookup)
    except OrderBridgeError as error:
        _unknown(told(error), lookup)
    except KeyboardInterrupt:
        _unknown("Interrupted.", lookup)
    except BaseException as error:
        warn(f"{type(error).__name__}: {error}", style="red")
        warn("The order may be live. Do not send it again; look it up with:", lookup, style="bold red")
        raise


def _unknown(why: str, lookup: str) -> NoReturn:
    warn(why, style="red")
    end("The order may be live. Do not send it again; look it up with:", Exit.UNKNOWN, lookup)


def _id_for(gateway: OrderGateway) -> str | None:
    rule = gateway.capabilities.client_order_id
    if rule is None:
        return None
    try:
        return mint(time.time(), max_length=rule.max_length)
    except ValueError as error:
        end(f"{gateway.name}: no id can be made ({error}): give one with --client-order-id", Exit.WRONG)


def _lookup_line(gateway: OrderGateway, request: OrderRequest, config: Path | None) -> str:
    """The command that finds the order again, to be copied as it is."""
    where = [] if config is None else ["--config", str(config)]
    if request.client_order_id is None:
        return shlex.join(["orderbridge", "open", *where, "--gateway", gateway.name])
    ref = OrderRef(gateway=gateway.name, client_order_id=request.client_order_id)
    return shlex.join(["orderbridge", "lookup", *where, str(ref)])


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
    else:
        say("No order was open where it could be asked." if receipt.unreachable else "No order was open.")
    print_missing(receipt.unreachable, stderr=True)
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
