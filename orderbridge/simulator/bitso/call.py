"""One call to the simulated Bitso, as its handlers see it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.engine.order import SimOrder
from orderbridge.simulator.faults import Fault
from orderbridge.simulator.message import Request


@dataclass(slots=True)
class Call:
    """
    A request with its account and what its path and query say. `rest` is the path after the resource's name.
    """

    request: Request
    rest: list[str]
    parameters: dict[str, str]
    now: datetime
    account: str = ""
    fault: Fault | None = None


@dataclass(slots=True)
class Names:
    """Which orders a call names: by oid or by origin id."""

    by_origin: bool
    ids: list[str] = field(default_factory=list)


def named(call: Call) -> Names:
    """
    Read every documented way to name orders.

    `/orders/A`, the old `/orders/A-B`, `/orders/A,B` and `/orders/client_id/A`, `?oids=A,B`,
    `?origin_ids=A,B` and their singular forms. None is `0360`, several kinds at once `0361` (the fitting
    codes; undocumented).
    """
    forms = _forms(call)
    if not forms:
        raise BitsoRefusal("0360")
    if len(forms) > 1:
        raise BitsoRefusal("0361")
    by_origin, text = forms[0]
    separator = "," if by_origin or "-" not in text or "," in text else "-"
    ids = [each for each in dict.fromkeys(text.split(separator)) if each]
    if not ids:
        raise BitsoRefusal("0360")
    return Names(by_origin, ids)


def _forms(call: Call) -> list[tuple[bool, str]]:
    forms = []
    match call.rest:
        case []:
            pass
        case ["client_id", origin_id]:
            forms.append((True, origin_id))
        case [oid]:
            forms.append((False, oid))
        case _:
            raise BitsoRefusal("0322", status=404)
    for name, by_origin in (("oids", False), ("oid", False), ("origin_ids", True), ("origin_id", True)):
        if name in call.parameters:
            forms.append((by_origin, call.parameters[name]))
    return forms


def whole_number(call: Call, name: str, *, default: int, most: int) -> int:
    """A paging parameter; above `most` it counts as `most`, below 1 or no number it is `0320`."""
    text = call.parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < 1:
        raise BitsoRefusal("0320", about=name)
    return min(int(text), most)


def shown(order: SimOrder, now: datetime) -> bool:
    """Whether look-ups may show the order at all: not hidden by the test, nor by late visibility."""
    return not order.hidden and (order.shown_from is None or order.shown_from <= now)


def disturb(rows: list[dict[str, Any]], fault: Fault | None) -> list[dict[str, Any]]:
    """The rows as an `INSIDE` fault leaves them."""
    if fault is None:
        return rows
    if fault.kind == "duplicate_rows":
        return rows + rows[:1]
    if fault.kind == "unknown_word":
        return [{**row, "status": fault.word} for row in rows]
    return rows
