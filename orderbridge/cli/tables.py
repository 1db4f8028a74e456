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
from orderbridge.model.words import KnownBy, OrderStatus, OrderType

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
        found = Console(stderr=stderr, highlight=False, width=170)
    return found


def print_lookup(result: LookupResult, *, title: str, marks: dict[RefLike, str] | None = None) -> None:
    """The answers as a table, and below it what could not be asked or read."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("asked for", overflow="fold")
    for name in ("status", "order", "filled / size"):
        table.add_column(name)
    table.add_column("found as", overflow="fold")
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
        return [[asked, *_cells(order, asked)] for order in found.orders]
    said = ", ".join(f"{name}: {answer.replace('_', ' ')}" for name, answer in found.answers.items())
    if found.is_undecided:
        return [[asked, Text("undecided", style="yellow"), said, "", ""]]
    return [[asked, Text("proven absent" if found.proven_absent else "not seen", style="dim"), said, "", ""]]


def _cells(order: Order, asked: str) -> list[str | Text]:
    word = order.status.replace("_", " ")
    if order.status is OrderStatus.UNKNOWN and order.raw_status:
        word += f" ({order.raw_status})"
    if order.known_by is not KnownBy.REPORTED:
        word += f", {order.known_by}"
    if order.paper:
        word += ", paper"
    kind = "" if order.type is OrderType.UNKNOWN else " " + order.type.replace("_", " ")
    price = "" if order.price is None else f" at {_amount(order.price)}"
    if order.average_price is not None:
        price += f", traded at {_amount(order.average_price)}"
    found_as = f"{order.gateway}:{order.order_id}"
    return [
        Text(word, style=_COLOURS.get(order.status, "")),
        f"{order.symbol} {order.side}{kind}{price}",
        f"{_amount(order.filled_quantity)} / {_size(order)}",
        "" if found_as == asked else found_as,
    ]


def _size(order: Order) -> str:
    if order.quantity is None and order.quote_quantity is not None:
        return f"{_amount(order.quote_quantity)} {order.symbol.quote}"
    return _amount(order.quantity)


def _amount(number: Decimal | None) -> str:
    if number is None:
        return "?"
    text = plain(number)
    return text.rstrip("0").rstrip(".") if "." in text else text
