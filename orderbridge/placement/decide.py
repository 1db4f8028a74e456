"""For a person: how a placement came to be as it is, and their word where no proof could settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderbridge.errors import ConfigurationError, printable
from orderbridge.model.basics import KnownBy, OrderStatus, PlacementState
from orderbridge.model.order import Order
from orderbridge.model.placement import Placement
from orderbridge.placement.ledger import Ledger
from orderbridge.placement.states import IN_FLIGHT, Event, Happened, Record
from orderbridge.screening import disagreements

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


_OVER: Final = "it is {state}, and only an uncertain placement takes a person's decision"


async def check_settleable(ledger: Ledger, record: Record, *, order_id: str | None = None) -> Order | None:
    """
    Check that a person may decide on a placement now; the order that it would be given, if one is known.

    Raises:
        ConfigurationError: it is not uncertain, its process is still sending it, or the order is another's.
    """
    if record.state not in IN_FLIGHT:
        raise ConfigurationError(_OVER.format(state=record.state), gateway=record.placement.gateway)
    if record.state is PlacementState.SENDING and await ledger.is_worked_on(record):
        message = f"the process that sends it is alive ({record.owner}): wait until it has an answer, or has ended"
        raise ConfigurationError(message, gateway=record.placement.gateway)
    return await _order(ledger, record, order_id)


async def settle(
    ledger: Ledger, record: Record, *, placed: bool, who: str, why: str, order_id: str | None = None
) -> Record:
    """
    Write a person's decision down, as assumed, with who and why (row 13 of the table).

    Args:
        placed: the venue has it. Else nothing of it is live or filled: its key is free again, and its id is
            watched for as long as after a verdict.
        order_id: which order it became, where the person knows. Not placed, where it stands for a lost one: an order
            that it was held to be, and that is no lost key's: no other is asked about it.

    Raises:
        ConfigurationError: see `check_settleable`; or it was settled by evidence in the meantime.
        JournalError: the decision could not be stored.
    """
    who, why = printable(who), printable(why)
    if not placed and order_id is not None and order_id not in record.lost:
        named = ", ".join(filter(None, record.lost)) or "there are none"
        message = f"the order {order_id} is not among those that it may be: {named}"
        raise ConfigurationError(message, gateway=record.placement.gateway)
    order = await check_settleable(ledger, record, order_id=order_id)
    if record.state is PlacementState.SENDING:
        taken = await ledger.take(record)
        if taken is None:
            raise ConfigurationError("another process has just taken it over: look at it again")
        record = taken
    told: dict[str, Any] = {"gave_up": False}
    if placed and order is not None:
        told["order"] = order
    happened = Happened.DECIDED_PLACED if placed else Happened.DECIDED_NOT_PLACED
    after = await ledger.note(
        record,
        happened,
        facts={"known_by": KnownBy.ASSUMED, "who": who, "why": why, "order_id": order_id},
        evidence=f"assumed: {who}: {why}",
        when=[PlacementState.UNCERTAIN],
        placement=told,
        watch_until=None if placed else ledger.watch_until(),
    )
    wanted = PlacementState.PLACED if placed else PlacementState.NOT_PLACED
    if after.state is not wanted or f"assumed: {who}: {why}" not in after.placement.evidence:
        raise ConfigurationError(f"nothing was changed: {_OVER.format(state=after.state)}")
    if record.lost:
        waits = record.placement.request.type if not placed and "" in record.lost else None
        await ledger.journal.gap_decided(record.placement.gateway, record.placement.request.symbol, order_id, waits)
    return after


async def _order(ledger: Ledger, record: Record, order_id: str | None) -> Order | None:
    placement, request = record.placement, record.placement.request
    seen = await ledger.journal.orders(
        gateway=placement.gateway,
        order_id=order_id,
        client_order_id=placement.client_order_id if order_id is None else None,
    )
    seen = [each for each in seen if not each.numbered_by_market or each.symbol == request.symbol]
    if order_id is None:
        fitting = [each for each in seen if not disagreements(request, each, since=placement.created_at)]
        return fitting[0] if len(fitting) == len(seen) == 1 else None
    if seen and order_id in record.lost:
        return seen[0]  # the lost one may have asked for something else
    if seen:
        odd = disagreements(request, seen[0], since=None if record.lost else placement.created_at)
        if not record.lost and seen[0].client_order_id not in (None, placement.client_order_id):
            odd.append(f"client_order_id: ours is {placement.client_order_id}, shown {seen[0].client_order_id}")
        if odd:
            raise ConfigurationError(f"the order {order_id} is another one: {'; '.join(odd)}")
        return seen[0]
    venue, _, account = placement.gateway.partition("/")
    asked = ("symbol", "side", "type", "quantity", "quote_quantity", "price", "stop_price")
    return Order(
        **{name: getattr(request, name) for name in asked},
        venue=venue,
        account=account or "default",
        order_id=order_id,
        client_order_id=placement.client_order_id,
        status=OrderStatus.UNKNOWN,
        known_by=KnownBy.ASSUMED,
        evidence=("a person's decision",),
        observed_at=ledger.now(),
    )
