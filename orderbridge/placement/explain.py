"""The chain of evidence behind a placement, as a person would tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from orderbridge.errors import printable
from orderbridge.model.placement import Placement
from orderbridge.placement.states import Event, Happened, Record

_TOLD: Final[Mapping[Happened, str]] = {
    Happened.STORED: "was written down, before anything was sent",
    Happened.DENIED: "was refused here; nothing was sent",
    Happened.SENDING: "was about to be sent",
    Happened.NOTHING_LEFT: "did not leave, or was refused before it was looked at",
    Happened.REFUSED: "was refused by the venue, with proof",
    Happened.ACKNOWLEDGED: "was answered with the venue's order id",
    Happened.UNCLEAR: "was sent, and what came of it was not known",
    Happened.EXISTS: "exists, the venue said, without showing it",
    Happened.FOUND: "was found",
    Happened.CONFLICT: "was not recognised in what the venue showed",
    Happened.ABSENT: "was proven not to be live, and nothing of it filled",
    Happened.GAVE_UP: "could not be settled by any proof; a person decides",
    Happened.DECIDED_PLACED: "was taken as placed, by a person's word",
    Happened.DECIDED_NOT_PLACED: "was taken as not placed, by a person's word",
    Happened.RESEND: "was proven absent, and is to be sent again under the same id",
    Happened.TAKEN: "was taken over from a process that had ended",
    Happened.LEFT: "was left by its caller, who had no verdict",
    Happened.TOLD: "was given or shown to its caller",
}


def explain(record: Record, placement: Placement, events: Sequence[Event]) -> str:
    """One line on what was asked, one per event, and one on how it stands."""
    request = placement.request
    size = request.quantity if request.quantity is not None else f"{request.quote_quantity} (quote) of"
    price = "" if request.price is None else f" at {request.price}"
    ours = placement.client_order_id
    name = f"{placement.gateway}:client:{ours}" if ours else f"{placement.gateway}, placement {placement.placement_id}"
    lines = [f"{name}: {request.side} {size} {request.symbol} {request.type}{price}"]
    lines += [_line(event) for event in events]
    gave_up = ", given up: a person decides" if placement.gave_up else ""
    why = f": {record.reason}" if record.reason else ""
    lines.append(f"It is {placement.state}{gave_up}{why}.")
    if placement.order is not None:
        lines.append(f"Its order, as last known: {placement.order}")
    return "\n".join(map(printable, lines))


def _line(event: Event) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in event.facts.items() if value)
    odd = "; this does not fit, and changed nothing" if event.anomaly else ""
    return f"{event.at:%Y-%m-%d %H:%M:%S.%f} it {_TOLD[event.happened]}{f' ({facts})' if facts else ''}{odd}"
