"""A person decides what became of a placement that no proof could settle."""

from __future__ import annotations

from typing import Any, Final

from orderbridge.errors import ConfigurationError, printable
from orderbridge.model.basics import KnownBy, OrderStatus, PlacementState
from orderbridge.model.order import Order
from orderbridge.placement.desk import Desk
from orderbridge.placement.fingerprint import disagreements
from orderbridge.placement.gap import gap_decided
from orderbridge.placement.states import IN_FLIGHT, Happened, Record

_OVER: Final = "it is {state}, and only an uncertain placement takes a person's decision"


async def check_settleable(desk: Desk, record: Record, *, order_id: str | None = None) -> Order | None:
    """
    Whether a person may decide on a placement now; the order that it would be given, if one is known.

    Raises:
        ConfigurationError: it is not uncertain, its process is still sending it, or the order is another's.
    """
    if record.state not in IN_FLIGHT:
        raise ConfigurationError(_OVER.format(state=record.state), gateway=record.placement.gateway)
    if record.state is PlacementState.SENDING and await desk.is_worked_on(record):
        message = f"the process that sends it is alive ({record.owner}): wait until it has an answer, or has ended"
        raise ConfigurationError(message, gateway=record.placement.gateway)
    return await _order(desk, record, order_id)


async def settle(
    desk: Desk, record: Record, *, placed: bool, who: str, why: str, order_id: str | None = None
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
    order = await check_settleable(desk, record, order_id=order_id)
    if record.state is PlacementState.SENDING:
        taken = await desk.take(record)
        if taken is None:
            raise ConfigurationError("another process has just taken it over: look at it again")
        record = taken
    told: dict[str, Any] = {"gave_up": False}
    if placed and order is not None:
        told["order"] = order
    happened = Happened.DECIDED_PLACED if placed else Happened.DECIDED_NOT_PLACED
    after = await desk.note(
        record,
        happened,
        facts={"known_by": KnownBy.ASSUMED, "who": who, "why": why, "order_id": order_id},
        evidence=f"assumed: {who}: {why}",
        when=[PlacementState.UNCERTAIN],
        placement=told,
        watch_until=None if placed else desk.watch_until(),
    )
    wanted = PlacementState.PLACED if placed else PlacementState.NOT_PLACED
    if after.state is not wanted or f"assumed: {who}: {why}" not in after.placement.evidence:
        raise ConfigurationError(f"nothing was changed: {_OVER.format(state=after.state)}")
    if record.lost:
        await gap_decided(desk, record, placed=placed, order_id=order_id)
    return after


async def _order(desk: Desk, record: Record, order_id: str | None) -> Order | None:
    placement, request = record.placement, record.placement.request
    seen = await desk.journal.orders(
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
    return Order(
        venue=venue,
        account=account or "default",
        order_id=order_id,
        client_order_id=placement.client_order_id,
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        quantity=request.quantity,
        quote_quantity=request.quote_quantity,
        price=request.price,
        stop_price=request.stop_price,
        status=OrderStatus.UNKNOWN,
        known_by=KnownBy.ASSUMED,
        evidence=("a person's decision",),
        observed_at=desk.now(),
    )
