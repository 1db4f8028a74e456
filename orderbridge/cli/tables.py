"""Models as a person reads them, and as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orderbridge.errors import printable
from orderbridge.model.basics import (
    KnownBy,
    OrderStatus,
    OrderType,
    PlacementState,
    Symbol,
    VenueModel,
    multiply,
    plain,
)
from orderbridge.model.order import Fill, Order
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.results import BadRow, Failure, Found, LookupResult

M = TypeVar("M", bound=VenueModel)
Cell = str | Text
_COLOURS: Final = {
    OrderStatus.ACCEPTED: "cyan",
    OrderStatus.OPEN: "cyan",
    OrderStatus.PARTIALLY_FILLED: "cyan",
    OrderStatus.FILLED: "green",
    OrderStatus.REJECTED: "red",
    OrderStatus.FAILED: "red",
    OrderStatus.UNKNOWN: "yellow",
}
_STATE_COLOURS: Final = {
    PlacementState.SENDING: "yellow",
    PlacementState.UNCERTAIN: "red",
    PlacementState.PLACED: "green",
    PlacementState.REJECTED: "dim",
    PlacementState.DENIED: "dim",
    PlacementState.NOT_PLACED: "dim",
}
_GAP: Final = 2
_WIDEST: Final = 1_000


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


def print_missing(unreachable: Mapping[str, Failure], bad_rows: Iterable[BadRow] = (), *, stderr: bool = True) -> None:
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


# JSON.


def print_json(found: VenueModel | Mapping[str, Any]) -> None:
    """A model, or plain values, as one line of JSON, at once, for a reader at the other end of a pipe."""
    print(as_json(found) if isinstance(found, VenueModel) else json.dumps(found), flush=True)


def as_json(model: VenueModel, *, indent: int | None = None) -> str:
    """A model as JSON; what a terminal would obey in its texts stands as JSON's own escapes."""
    text = model.model_dump_json(indent=indent)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == "\n" else json.dumps(letter).strip('"') for letter in text
    )


# The table of a look-up.


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
        for row in _answers(ref, result[ref]):
            table.add_row(*(each if isinstance(each, Text) else printable(each) for each in row), *mark)
    console().print(table)
    print_missing(result.unreachable, result.bad_rows, stderr=False)


def _answers(ref: RefLike, found: Found) -> list[list[Cell]]:
    asked = ref if isinstance(ref, str) else str(OrderRef.of(ref))
    if found.orders:
        names = [f"{order.gateway}:{order.order_id}" for order in found.orders]
        return [
            [asked, *_described(order), "" if name == asked else name]
            for order, name in zip(found.orders, names, strict=True)
        ]
    said = ", ".join(f"{name}: {answer.replace('_', ' ')}" for name, answer in found.answers.items())
    if found.is_undecided:
        return [[asked, Text("undecided", style="yellow"), said, "", ""]]
    why = "; ".join([said, *found.notes])
    return [[asked, Text("proven absent" if found.proven_absent else "not seen", style="dim"), why, "", ""]]


# Tables of orders, fills and placements.


@dataclass(frozen=True, slots=True)
class Layout(Generic[M]):
    """
    The columns of a table of models, and what shares a column on a terminal too narrow for all of them.

    Attributes:
        columns: head, and the narrowest and widest that it is of use.
        stacks: positions of the columns that stand below one another there, for each column that is left.
        row: a model's cells, and what is to be said below them.
    """

    columns: tuple[tuple[str, int, int], ...]
    stacks: tuple[tuple[int, ...], ...]
    row: Callable[[M], tuple[Sequence[Cell], Sequence[str]]]


class StreamedTable(Generic[M]):
    """
    A table that is printed row by row as its rows come in: its columns fit the terminal, not the rows.

    Args:
        json: print each model as a line of JSON instead.
    """

    def __init__(self, layout: Layout[M], *, json: bool = False) -> None:
        self._row, self._json, self._out = layout.row, json, console()
        columns = layout.columns
        self._stacks: tuple[tuple[int, ...], ...] = tuple((place,) for place in range(len(columns)))
        if _needed(columns) > self._out.width:
            self._stacks = layout.stacks
            columns = tuple(
                (
                    ", ".join(columns[place][0] for place in stack),
                    max(columns[place][1] for place in stack),
                    _WIDEST if position else 0,
                )
                for position, stack in enumerate(layout.stacks)
            )
        self._heads = [Text(head, style="bold") for head, _, _ in columns]
        # Each column at its narrowest, then as wide as is of use from left to right while there is room.
        spare = max(0, self._out.width - _needed(columns))
        self._widths = []
        for _, least, most in columns:
            more = min(spare, max(0, most - least))
            spare -= more
            self._widths.append(least + more)
        self.count = 0

    def add(self, model: M, *notes: str) -> None:
        """Print a row, and below it what is to be said of it; the first row brings the head."""
        self.count += 1
        if self._json:
            print_json(model)
            return
        if self.count == 1:
            self._print(self._heads)
        cells, more = self._row(model)
        lines = [cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells]
        self._print([Text("\n").join(lines[place] for place in stack if lines[place]) for stack in self._stacks])
        for note in (*more, *notes):
            self._out.print(f"  {printable(note)}", style="yellow")

    def _print(self, cells: Sequence[Text]) -> None:
        table = Table.grid(padding=(0, _GAP, 0, 0))
        for width in self._widths:
            table.add_column(width=width, overflow="fold")
        table.add_row(*cells)
        self._out.print(table)


def _needed(columns: Sequence[tuple[str, int, int]]) -> int:
    return sum(least + _GAP for _, least, _ in columns)


def show(layout: Layout[M], *models: M, json: bool = False) -> None:
    """Models as a table, or each as a line of JSON."""
    table = StreamedTable(layout, json=json)
    for model in models:
        table.add(model)


def _order_row(order: Order) -> tuple[Sequence[Cell], Sequence[str]]:
    """One order: its id, below that when it was made and our own id, and what it is."""
    made = "" if order.created_at is None else f"{order.created_at:%Y-%m-%d %H:%M} "
    name = _name(f"{order.gateway}:{order.order_id}", f"{made} {order.client_order_id or ''}".strip())
    reason = [f"reason: {order.reason}"] if order.reason else []
    return [name, *_described(order)], [*reason, *(f"check this: {anomaly}" for anomaly in order.anomalies)]


def _fill_row(fill: Fill) -> tuple[Sequence[Cell], Sequence[str]]:
    when = "?" if fill.created_at is None else f"{fill.created_at:%Y-%m-%d %H:%M:%S}"
    fee = "" if fill.fee is None else f"{amount(fill.fee)} {fill.fee_currency or ''} {fill.liquidity or ''}".rstrip()
    what = f"{fill.symbol} {fill.side} {amount(fill.quantity)} at {amount(fill.price)}"
    return [when, f"{fill.gateway}:{fill.order_id}", what, fee], ()


def _placement_row(placement: Placement) -> tuple[Sequence[Cell], Sequence[str]]:
    """One placement: its name, below that when it was made and its key, how it stands, and its order."""
    word = placement.state.replace("_", " ") + (", gave up" if placement.gave_up else "")
    if placement.may_be_live:
        word += ", may be live"
    key = "" if placement.key is None else f" key {placement.key}"
    name = _name(placement_ref(placement), f"{placement.created_at:%Y-%m-%d %H:%M:%S}{key}")
    order = placement.order
    shown = "" if order is None else f"{printable(order.order_id)}\n{order.status.replace('_', ' ')}"
    if order is not None and order.filled_quantity:
        shown += f", filled {amount(order.filled_quantity)}"
    state = Text(word, style=_STATE_COLOURS.get(placement.state, ""))
    return [name, state, request_line(placement.request), Text(shown)], ()


def _name(first: str, second: str) -> Text:
    name = Text(printable(first))
    return name.append(f"\n{printable(second)}", style="dim") if second else name


ORDERS: Final = Layout(
    (("order", 44, 44), ("status", 16, 26), ("symbol, side, price", 30, 46), ("filled / size", 13, 28)),
    stacks=((0,), (1, 2, 3)),
    row=_order_row,
)
FILLS: Final = Layout(
    (("time (UTC)", 19, 19), ("order", 32, 44), ("symbol, side, quantity, price", 29, 44), ("fee", 17, 28)),
    stacks=((0, 1), (2, 3)),
    row=_fill_row,
)
PLACEMENTS: Final = Layout(
    (("placement", 42, 46), ("state", 14, 24), ("what was asked", 20, 60), ("order", 36, 36)),
    stacks=((0, 3), (1, 2)),
    row=_placement_row,
)


# Texts of one line.


def placement_ref(placement: Placement) -> str:
    """The text that names a placement to every command."""
    if placement.client_order_id is None:
        return placement.placement_id
    return f"{placement.gateway}:client:{placement.client_order_id}"


def known_line(order: Order) -> str:
    """An order as it is in one line."""
    status, what, filled = _described(order)
    return printable(f"{order.gateway}:{order.order_id} {what}: {status}, filled {filled}")


def request_line(request: OrderRequest) -> str:
    """A new order in one plain line."""
    symbol = request.symbol
    if request.quantity is None:
        size = f"{symbol.base} for {amount(request.quote_quantity)} {symbol.quote}"
    else:
        size = f"{amount(request.quantity)} {symbol.base}"
    price = "the market's price" if request.price is None else f"{amount(request.price)} {symbol.quote}"
    words = [f"{request.side.upper()} {size} at {price}"]
    if request.stop_price is not None:
        words.append(f"once the price reaches {amount(request.stop_price)} {symbol.quote}")
    if request.quantity is not None and request.price is not None:
        words.append(f"= {amount(multiply(request.quantity, request.price))} {symbol.quote}")
    terms = [request.type.replace("_", " "), request.time_in_force.value]
    if request.expires_at is not None:
        terms.append(f"until {request.expires_at}")
    if request.post_only:
        terms.append("post only")
    if request.reduce_only:
        terms.append("reduce only")
    if request.slippage_tolerance is not None:
        terms.append(f"slippage up to {amount(request.slippage_tolerance)} %")
    return f"{' '.join(words)} ({', '.join(terms)})"


def edit_line(changes: OrderEdit, symbol: Symbol) -> str:
    """A change in one plain line: what is not named stays."""
    units = {"quantity": f" {symbol.base} in all", "price": f" {symbol.quote}", "stop_price": f" {symbol.quote}"}
    parts = [
        f"{name.replace('_', ' ')} {amount(value) if isinstance(value, Decimal) else value}{units.get(name, '')}"
        for name, value in dict(changes).items()
        if value is not None
    ]
    return f"to {', '.join(parts)}"


def _described(order: Order) -> tuple[Text, str, str]:
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
    size = amount(order.quantity)
    if order.quantity is None and order.quote_quantity is not None:
        size = f"{amount(order.quote_quantity)} {order.symbol.quote}"
    return (
        Text(printable(word), style=_COLOURS.get(order.status, "")),
        f"{order.symbol} {order.side}{kind}{price}",
        f"{amount(order.filled_quantity)} / {size}",
    )


def amount(number: Decimal | None) -> str:
    """A number as a person reads it: without the zeros at its end; what is not known as `?`."""
    if number is None:
        return "?"
    text = plain(number)
    return text.rstrip("0").rstrip(".") if "." in text else text
