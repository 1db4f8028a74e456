"""The options that say what to order, as `place` takes them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orderbridge.cli.running import Exit, checked, end, moment
from orderbridge.model.basics import OrderType, TimeInForce
from orderbridge.model.request import OrderRequest

_TYPES = ", ".join(kind for kind in OrderType if kind is not OrderType.UNKNOWN)

GatewayName = Annotated[str, typer.Argument(help="bitso, bitso/mm, bitcain …")]
SideWord = Annotated[str, typer.Argument(help="buy or sell")]
Quantity = Annotated[str, typer.Argument(help="In base units; with --quote in quote units.")]
SymbolName = Annotated[str, typer.Argument(help="As in BTC/MXN.")]
Price = Annotated[str | None, typer.Option(help="Quote per base.")]
StopPrice = Annotated[str | None, typer.Option(help="The price that sets the order off.")]
InQuote = Annotated[bool, typer.Option("--quote", help="QUANTITY is in quote units.")]
Kind = Annotated[str | None, typer.Option("--type", help=f"{_TYPES}. By default what the prices make it.")]
Tif = Annotated[str | None, typer.Option("--tif", help=f"Time in force: {', '.join(TimeInForce)}.")]
ExpiresAt = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="When it ends, with gtt: an ISO date-time; without a zone it is UTC."),
]
PostOnly = Annotated[bool, typer.Option("--post-only", help="Never take from the book.")]
ReduceOnly = Annotated[bool, typer.Option("--reduce-only", help="Only make a position smaller.")]
ClientId = Annotated[str | None, typer.Option(help="Your own id; by default one is made.")]
Slippage = Annotated[str | None, typer.Option(help="Tolerance at market, in percent.")]


def new_request(
    *,
    symbol: str,
    side: str,
    quantity: str,
    quote: bool,
    kind: str | None,
    price: str | None,
    stop_price: str | None,
    tif: str | None,
    expires_at: str | None,
    post_only: bool,
    reduce_only: bool,
    slippage: str | None,
    client_order_id: str | None,
) -> OrderRequest:
    """The order that the options make; what is wrong with them ends the command in one line."""
    given = {
        "price": price,
        "stop_price": stop_price,
        "time_in_force": tif,
        "expires_at": moment(expires_at, "--expires-at"),
        "slippage_tolerance": slippage,
        "quote_quantity" if quote else "quantity": quantity,
        "client_order_id": client_order_id,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    fields |= {"symbol": symbol, "side": side, "type": kind or _type_of(price, stop_price)}
    request = checked(lambda: OrderRequest(**fields, post_only=post_only, reduce_only=reduce_only))
    if request.type is OrderType.MARKET and not (kind or quote or slippage):
        # A price that was forgotten must not trade at whatever the market asks.
        end("give --price for a limit order, or --type market to trade at the market's price", Exit.WRONG)
    return request


def _type_of(price: str | None, stop_price: str | None) -> OrderType:
    if stop_price is not None:
        return OrderType.STOP_LOSS if price is None else OrderType.STOP_LIMIT
    return OrderType.MARKET if price is None else OrderType.LIMIT
