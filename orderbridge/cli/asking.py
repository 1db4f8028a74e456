"""The question before anything that spends money or touches many orders."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

import typer

from orderbridge.cli.running import Exit, end, note
from orderbridge.cli.tables import amount
from orderbridge.gateway import OrderGateway
from orderbridge.http.transport import is_loopback
from orderbridge.model.basics import Symbol, multiply
from orderbridge.model.request import OrderEdit, OrderRequest

_MONEY: Final[Mapping[str | None, str]] = {
    "paper": "paper, no real money",
    "sandbox": "paper, no real money",
    "live": "LIVE, real money",
    None: "paper or live is not known: take it as LIVE",
}
_AGREED = {"y", "yes"}


def at_terminal() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty()


def ask(lines: Iterable[str], question: str, *, yes: bool) -> None:
    """
    Say on stderr what is about to be done, and go on only if the answer is yes.

    Without a terminal and without `--yes` the command ends as wrongly used; at any other answer as not sent.
    """
    note(*lines)
    if yes:
        return
    if not at_terminal():
        end("Nothing was sent: this asks first, and there is no terminal to ask at; --yes skips it.", Exit.WRONG)
    # Not typer.confirm: it writes to stdout too, which is for the answer to the command alone.
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        answer = ""
    if not answer.endswith("\n"):
        typer.echo(err=True)
    if answer.strip().lower() not in _AGREED:
        end("Nothing was sent.", Exit.NOT_SENT)


def destination(gateway: OrderGateway) -> str:
    """Where a gateway's orders go, and whether that is real money."""
    host = f" at {urlsplit(gateway.address).netloc}" if gateway.address else ""
    return f"{gateway.venue}, account {gateway.account},{host}: {money(gateway.address, gateway.mode)}"


def money(address: str | None, mode: str | None) -> str:
    """Whether real money is at stake at an address, in words; what is not known is taken for real."""
    if mode in ("live", None) and address and is_loopback(urlsplit(address).hostname or ""):
        return "this machine, as a simulator is; real money only if something here passes orders on"
    return _MONEY.get(mode, _MONEY[None])


def order_line(request: OrderRequest) -> str:
    """A new order in one plain line."""
    symbol = request.symbol
    if request.quantity is None:
        size = f"{symbol.base} for {amount(request.quote_quantity)} {symbol.quote}"
    else:
        size = f"{amount(request.quantity)} {symbol.base}"
    words = [f"{request.side.upper()} {size}", _price_line(request)]
    if request.stop_price is not None:
        words.append(f"once the price reaches {amount(request.stop_price)} {symbol.quote}")
    if request.quantity is not None and request.price is not None:
        words.append(f"= {amount(multiply(request.quantity, request.price))} {symbol.quote}")
    return " ".join(words) + f" ({', '.join(_terms(request))})"


def edit_line(changes: OrderEdit, symbol: Symbol) -> str:
    """A change in one plain line: what is not named stays."""
    parts = [
        f"{name.replace('_', ' ')} {_value(value)}" + _unit(name, symbol)
        for name, value in dict(changes).items()
        if value is not None
    ]
    return "to " + ", ".join(parts)


def _price_line(request: OrderRequest) -> str:
    if request.price is None:
        return "at the market's price"
    return f"at {amount(request.price)} {request.symbol.quote}"


def _terms(request: OrderRequest) -> list[str]:
    terms = [request.type.replace("_", " "), request.time_in_force.value]
    if request.expires_at is not None:
        terms.append(f"until {_value(request.expires_at)}")
    if request.post_only:
        terms.append("post only")
    if request.reduce_only:
        terms.append("reduce only")
    if request.slippage_tolerance is not None:
        terms.append(f"slippage up to {amount(request.slippage_tolerance)} %")
    return terms


def _unit(name: str, symbol: Symbol) -> str:
    units = {"quantity": f" {symbol.base} in all", "price": f" {symbol.quote}", "stop_price": f" {symbol.quote}"}
    return units.get(name, "")


def _value(value: object) -> str:
    return amount(value) if isinstance(value, Decimal) else str(value)
