"""Models as a person reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderbridge.errors import printable
from orderbridge.model.basics import KnownBy, OrderStatus, OrderType, VenueModel, plain
from orderbridge.model.order import Fill, Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import BadRow, Failure, Found, LookupResult

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
    """Where lines and tables go, as wide as the terminal, or wide enough where there is none: no text is markup."""
    plain_text: dict[str, Any] = {"stderr": stderr, "highlight": False, "markup": False, "emoji": False}
    found = Console(**plain_text)
    return found if found.is_terminal else Console(**plain_text, width=170)


def say(*lines: str, stderr: bool = False, style: str | None = None) -> None:
    """Print each text as one line, whatever stands in it: a terminal may wrap it, nothing breaks it."""
    out = console(stderr=stderr)
    for line in lines:
        out.print(printable(line), style=style, soft_wrap=True)


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
            table.add_row(*(each if isinstance(each, Text) else printable(each) for each in row), *mark)
    console().print(table)
    print_missing(result.unreachable, result.bad_rows)


def print_missing(unreachable: Mapping[str, Failure], bad_rows: Iterable[BadRow] = (), *, stderr: bool = False) -> None:
    """Which gateways could not answer, and which rows could not be read."""
    for name, failure in unreachable.items():
        say(f"{name} could not answer ({failure.kind}): {failure.message}", stderr=stderr, style="yellow")
    for bad in bad_rows:
        at = f"{bad.gateway}, row {bad.position}" + (f", {bad.order_id}" if bad.order_id else "")
        say(f"unusable row ({at}): {bad.reason}", stderr=stderr, style="yellow")


def print_may_lack(may_lack: Mapping[str, Iterable[str]]) -> None:
    """Of which gateways the lists may leave out orders that wait for their trigger."""
    for name, types in may_lack.items():
        text = f"{name} may not list orders that wait for their trigger ({', '.join(sorted(types))}): some may be live"
        say(text, stderr=True, style="yellow")


def print_left_out(left_out: Mapping[str, str]) -> None:
    """Which gateways cannot list what was asked for, and why."""
    for name, why in left_out.items():
        say(f"{name} is left out: {why}", stderr=True, style="yellow")


def lookup_json(result: LookupResult) -> str:
    """The result as JSON, each answer beside its ref."""
    return _plain_json(result.model_dump_json(indent=2))


def print_model(model: VenueModel) -> None:
    """One model as one line of JSON, at once, for a reader at the other end of a pipe."""
    print(_plain_json(model.model_dump_json()), flush=True)


def print_json(values: Mapping[str, Any]) -> None:
    """Plain values as one line of JSON, as `print_model` does."""
    print(json.dumps(values), flush=True)  # which writes as an escape whatever is not ASCII


def _plain_json(text: str) -> str:
    """The same JSON; what a terminal would obey in its texts stands as JSON's own escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter).strip('"') for letter in text
    )


Cell = str | Text


@dataclass(frozen=True, slots=True)
class Layout:
    """
    The columns of a table, and what shares a column on a terminal too narrow for all of them.

    Attributes:
        columns: head, and the narrowest and widest that it is of use.
        stacks: positions of the columns that stand below one another there, for each column that is left.
    """

    columns: tuple[tuple[str, int, int], ...]
    stacks: tuple[tuple[int, ...], ...]


ORDERS: Final = Layout(
    (("order", 44, 44), ("status", 16, 26), ("symbol, side, price", 30, 46), ("filled / size", 13, 28)),
    stacks=((0,), (1, 2, 3)),
)
FILLS: Final = Layout(
    (("time (UTC)", 19, 19), ("order", 32, 44), ("symbol, side, quantity, price", 29, 44), ("fee", 17, 28)),
    stacks=((0, 1), (2, 3)),
)
_GAP: Final = 2
_MOST: Final = 1_000


class Rows:
    """A table that is printed row by row as its rows come in: its columns fit the terminal, not the rows."""

    def __init__(self, layout: Layout) -> None:
        self._out = console()
        columns = layout.columns
        self._stacks: tuple[tuple[int, ...], ...] = tuple((place,) for place in range(len(columns)))
        if _needed(columns) > self._out.width:
            self._stacks = layout.stacks
            columns = tuple(
                (
                    ", ".join(columns[place][0] for place in stack),
                    max(columns[place][1] for place in stack),
                    _MOST if position else 0,
                )
                for position, stack in enumerate(layout.stacks)
            )
        self._heads = [Text(head, style="bold") for head, _, _ in columns]
        self._widths = _fitted(columns, self._out.width)
        self.count = 0

    def add(self, cells: Sequence[Cell], *notes: str) -> None:
        """Print a row, and below it what is to be said of it; the first row brings the head."""
        if not self.count:
            self._print(self._heads)
        self.count += 1
        lines = [cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells]
        self._print([Text("\n").join(lines[place] for place in stack if lines[place]) for stack in self._stacks])
        for note in notes:
            self._out.print(f"  {printable(note)}", style="yellow")

    def _print(self, cells: Sequence[Text]) -> None:
        table = Table.grid(padding=(0, _GAP, 0, 0))
        for width in self._widths:
            table.add_column(width=width, overflow="fold")
        table.add_row(*cells)
        self._out.print(table)


def _needed(columns: Sequence[tuple[str, int, int]]) -> int:
    return sum(least + _GAP for _, least, _ in columns)


def _fitted(columns: Sequence[tuple[str, int, int]], width: int) -> list[int]:
    """Each column at its narrowest, then as wide as is of use from left to right while there is room."""
    spare = max(0, width - _needed(columns))
    widths = []
    for _, least, most in columns:
        more = min(spare, max(0, most - least))
        spare -= more
        widths.append(least + more)
    return widths


def print_orders(orders: Iterable[Order]) -> None:
    """Orders as a table."""
    rows = Rows(ORDERS)
    for order in orders:
        add_order(rows, order)


def add_order(rows: Rows, order: Order) -> None:
    """One order: its id, below that when it was made and our own id, and what it is."""
    status, what, filled = _description(order)
    made = "" if order.created_at is None else f"{order.created_at:%Y-%m-%d %H:%M} "
    ids = Text(printable(f"{order.gateway}:{order.order_id}"))
    if second := f"{made} {order.client_order_id or ''}".strip():
        ids.append(f"\n{printable(second)}", style="dim")
    notes = [f"reason: {order.reason}"] if order.reason else []
    rows.add([ids, status, what, filled], *notes, *(f"check this: {anomaly}" for anomaly in order.anomalies))


def order_in_line(order: Order) -> str:
    """One order in one line."""
    status, what, filled = _description(order)
    return printable(f"{order.gateway}:{order.order_id} {what}: {status}, filled {filled}")


def add_fill(rows: Rows, fill: Fill) -> None:
    """One execution."""
    when = "?" if fill.created_at is None else f"{fill.created_at:%Y-%m-%d %H:%M:%S}"
    fee = "" if fill.fee is None else f"{amount(fill.fee)} {fill.fee_currency or ''} {fill.liquidity or ''}".rstrip()
    what = f"{fill.symbol} {fill.side} {amount(fill.quantity)} at {amount(fill.price)}"
    rows.add([when, f"{fill.gateway}:{fill.order_id}", what, fee])


def _rows(ref: RefLike, found: Found) -> list[list[Cell]]:
    asked = ref if isinstance(ref, str) else str(OrderRef.of(ref))
    if found.orders:
        return [[asked, *_cells(order, asked)] for order in found.orders]
    said = ", ".join(f"{name}: {answer.replace('_', ' ')}" for name, answer in found.answers.items())
    if found.is_undecided:
        return [[asked, Text("undecided", style="yellow"), said, "", ""]]
    why = Text(printable("; ".join([said, *found.notes])))
    return [[asked, Text("proven absent" if found.proven_absent else "not seen", style="dim"), why, "", ""]]


def _cells(order: Order, asked: str) -> list[Cell]:
    found_as = f"{order.gateway}:{order.order_id}"
    return [*_description(order), "" if found_as == asked else found_as]


def _description(order: Order) -> tuple[Text, str, str]:
    word = order.status.replace("_", " ")
    if order.status is OrderStatus.UNKNOWN and order.raw_status:
        word += f" ({order.raw_status})"
    if order.known_by is not KnownBy.REPORTED:
        word += f", {order.known_by}"
    if order.paper:
        word += ", paper"
    if order.cancel_requested and order.may_be_live:
        word += ", cancel asked for"
    if order.replace_requested and order.may_be_live:
        word += ", change asked for"
    kind = "" if order.type is OrderType.UNKNOWN else " " + order.type.replace("_", " ")
    price = "" if order.price is None else f" at {amount(order.price)}"
    if order.stop_price is not None:
        price += f", stop {amount(order.stop_price)}"
    if order.average_price is not None:
        price += f", traded at {amount(order.average_price)}"
    return (
        Text(printable(word), style=_COLOURS.get(order.status, "")),
        f"{order.symbol} {order.side}{kind}{price}",
        f"{amount(order.filled_quantity)} / {_size(order)}",
    )


def _size(order: Order) -> str:
    if order.quantity is None and order.quote_quantity is not None:
        return f"{amount(order.quote_quantity)} {order.symbol.quote}"
    return amount(order.quantity)


def amount(number: Decimal | None) -> str:
    """A number as a person reads it: without the zeros at its end; what is not known as `?`."""
    if number is None:
        return "?"
    text = plain(number)
    return text.rstrip("0").rstrip(".") if "." in text else text
