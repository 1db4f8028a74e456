"""A journal's rows for other programs: exact, and one at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TextIO

from orderbridge.model.amount import plain
from orderbridge.model.base import VenueModel
from orderbridge.model.order import Order
from orderbridge.placement.looking import JournalFile, Wanted
from orderbridge.placement.states import Record


class Of(StrEnum):
    """What is exported."""

    PLACEMENTS = "placements"
    EVENTS = "events"
    ORDERS = "orders"


_REQUEST: Final = (
    "symbol",
    "side",
    "type",
    "quantity",
    "quote_quantity",
    "price",
    "stop_price",
    "time_in_force",
    "expires_at",
    "post_only",
    "reduce_only",
)
_ORDER: Final = tuple(name for name in Order.model_fields if name != "raw")
COLUMNS: Final[Mapping[Of, tuple[str, ...]]] = {
    Of.PLACEMENTS: (
        *("placement_id", "created_at", "gateway", "mode", "key", "client_order_id", "state", "gave_up"),
        *("may_be_live", *_REQUEST, "attempts", "sent_at", "order_id", "order_status", "filled_quantity"),
        *("average_price", "reason", "evidence", "conflicts", "watch_until"),
    ),
    Of.EVENTS: ("placement_id", "seq", "at", "happened", "before", "after", "anomaly", "facts"),
    Of.ORDERS: _ORDER,
}


def models(journal: JournalFile, of: Of, wanted: Wanted) -> Iterator[VenueModel]:
    """
    The models of an export, one by one.

    Events and orders are those of the placements that are wanted; when none is picked out, all that are kept.
    """
    if of is Of.PLACEMENTS:
        yield from journal.records(wanted)
    elif wanted == Wanted():
        yield from journal.all_events() if of is Of.EVENTS else journal.orders()
    elif of is Of.EVENTS:
        for record in journal.records(wanted):
            yield from journal.events(record)
    else:
        for record in journal.records(wanted):
            known = {order.identity: order for order in journal.orders_of(record)}
            order = record.placement.order
            yield from (known | ({} if order is None else {order.identity: order})).values()


def write_csv(out: TextIO, of: Of, found: Iterable[VenueModel]) -> int:
    """Write models as CSV with a head line; how many there were. Times are ISO in UTC, amounts plain decimals."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS[of])
    count = 0
    for model in found:
        fields = _of_record(model) if isinstance(model, Record) else dict(model)
        writer.writerow([_cell(fields[name]) for name in COLUMNS[of]])
        count += 1
    return count


def write_lines(out: TextIO, found: Iterable[VenueModel]) -> int:
    """Write models as JSON, one in each line; how many there were."""
    count = 0
    for model in found:
        out.write(model.model_dump_json() + "\n")
        count += 1
    return count


def _of_record(record: Record) -> dict[str, Any]:
    placement, order = record.placement, record.placement.order
    request = {name: getattr(placement.request, name) for name in _REQUEST}
    own = {name: getattr(record, name) for name in ("mode", "sent_at", "reason", "conflicts", "watch_until")}
    seen = {
        "order_id": order and order.order_id,
        "order_status": order and order.status,
        "filled_quantity": order and order.filled_quantity,
        "average_price": order and order.average_price,
    }
    return {**dict(placement), **request, **own, **seen, "may_be_live": placement.may_be_live}


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return plain(value)
        case datetime():
            return value.isoformat()
        case tuple():
            return "; ".join(str(each) for each in value)
        case Mapping():
            return "; ".join(f"{name}={each}" for name, each in value.items())
        case _:
            return str(value)
