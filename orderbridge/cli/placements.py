"""Placements as a person reads them."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from orderbridge.cli.asking import order_line
from orderbridge.cli.tables import Cell, Layout, Rows, amount
from orderbridge.errors import printable
from orderbridge.model.basics import PlacementState
from orderbridge.model.placement import Placement

PLACEMENTS: Final = Layout(
    (("placement", 42, 46), ("state", 14, 24), ("what was asked", 20, 60), ("order", 36, 36)),
    stacks=((0, 3), (1, 2)),
)
_COLOURS: Final = {
    PlacementState.SENDING: "yellow",
    PlacementState.UNCERTAIN: "red",
    PlacementState.PLACED: "green",
    PlacementState.REJECTED: "dim",
    PlacementState.DENIED: "dim",
    PlacementState.NOT_PLACED: "dim",
}


def placement_ref(placement: Placement) -> str:
    """The text that names a placement to every command."""
    if placement.client_order_id is None:
        return placement.placement_id
    return f"{placement.gateway}:client:{placement.client_order_id}"


def add_placement(rows: Rows, placement: Placement, *notes: str) -> None:
    """One placement: its name, below that when it was made and its key, how it stands, and its order."""
    word = placement.state.replace("_", " ") + (", gave up" if placement.gave_up else "")
    if placement.may_be_live:
        word += ", may be live"
    name = Text(printable(placement_ref(placement)))
    key = "" if placement.key is None else f" key {placement.key}"
    name.append(f"\n{placement.created_at:%Y-%m-%d %H:%M:%S}{printable(key)}", style="dim")
    order = placement.order
    shown = "" if order is None else f"{printable(order.order_id)}\n{order.status.replace('_', ' ')}"
    if order is not None and order.filled_quantity:
        shown += f", filled {amount(order.filled_quantity)}"
    cells: list[Cell] = [name, Text(word, style=_COLOURS.get(placement.state, "")), order_line(placement.request)]
    rows.add([*cells, Text(shown)], *notes)
