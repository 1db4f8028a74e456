"""Models as a person reads them."""

from __future__ import annotations

from decimal import Decimal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderbridge.model.amount import plain
from orderbridge.model.lookup import Found, LookupResult
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.words import KnownBy, OrderStatus

_COLOURS = {
    OrderStatus.ACCEPTED: "cyan",
    OrderStatus.OPEN: "cyan",
    OrderStatus.PARTIALLY_FILLED: "cyan",
    OrderStatus.FILLED: "green",
    OrderStatus.REJECTED: "red",
    OrderStatus.FAILED: "red",
    OrderStatus.UNKNOWN: "yellow",
}


def console(*, stderr: bool = False) -> Console:
    """Where tables are printed: as wide as the terminal, or wide enough where there is none."""
    found = Console(stderr=stderr, highlight=False)
    if not found.is_terminal:
        found = Console(stderr=stderr, highlight=False, width=150)
    return found


def print_lookup(result: LookupResult, *, title: str, marks: dict[RefLike, str] | None = None) -> None:
    """The answers as a table, and below it what could not be asked or read."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("asked for", "gateway", "status", "symbol", "side", "type", "filled / size", "price", "order id"):
        table.add_column(name, overflow="fold", no_wrap=name in {"status", "filled / size"})
    if marks is not None:
        table.add_column("right")
    for ref in result.refs:
        mark = [] if marks is None else [marks.get(ref, "")]
        for row in _rows(ref, result[ref]):
            table.add_row(*row, *mark)
    out = console()
    out.print(table)
    for name, failure in result.unreachable.items():
        out.print(f"{name} could not answer ({failure.kind}): {failure.message}", style="yellow", markup=False)
    for bad in result.bad_rows:
        at = f"{bad.gateway}, row {bad.position}" + (f", {bad.order_id}" if bad.order_id else "")
        out.print(f"unusable row ({at}): {bad.reason}", style="yellow", markup=False)


def lookup_json(result: LookupResult) -> str:
    """The result as JSON, each answer beside its ref."""
    return result.model_dump_json(indent=2)


def _rows(ref: RefLike, found: Found) -> list[list[str | Text]]:
    asked = ref if isinstance(ref, str) else str(OrderRef.of(ref))
    if found.orders:
        return [[asked, *order_cells(order)] for order in found.orders]
    if found.is_undecided:
        why = ", ".join(f"{name}: {answer.replace('_', ' ')}" for name, answer in found.answers.items())
        return [[asked, why, Text("undecided", style="yellow"), *[""] * 6]]
    said = "proven absent" if found.proven_absent else "not seen"
    return [[asked, ", ".join(found.answers), Text(said, style="dim"), *[""] * 6]]


def order_cells(order: Order) -> list[str | Text]:
    """One order: gateway, status, symbol, side, type, fills, price, id."""
    word = order.status.replace("_", " ")
    if order.status is OrderStatus.UNKNOWN and order.raw_status:
        word += f" ({order.raw_status})"
    if order.known_by is not KnownBy.REPORTED:
        word += f", {order.known_by}"
    if order.paper:
        word += ", paper"
    filled = f"{_amount(order.filled_quantity)} / {_size(order)}"
    price = order.price if order.price is not None else order.average_price
    return [
        order.gateway,
        Text(word, style=_COLOURS.get(order.status, "")),
        order.symbol,
        order.side,
        order.type.replace("_", " "),
        filled,
        _amount(price, missing="market"),
        order.order_id,
    ]


def _size(order: Order) -> str:
    if order.quantity is None and order.quote_quantity is not None:
        return f"{_amount(order.quote_quantity)} {order.symbol.quote}"
    return _amount(order.quantity)


def _amount(number: Decimal | None, *, missing: str = "?") -> str:
    if number is None:
        return missing
    text = plain(number)
    return text.rstrip("0").rstrip(".") if "." in text else text
