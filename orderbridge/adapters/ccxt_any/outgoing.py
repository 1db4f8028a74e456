"""From requests to ccxt's calls, and from the answer to a new order: pure functions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final

from orderbridge.adapters.ccxt_any.fields import STATED
from orderbridge.adapters.ccxt_any.mapping import order_from_row
from orderbridge.adapters.ccxt_any.traits import Traits
from orderbridge.errors import NotSupported
from orderbridge.model.basics import OrderStatus, OrderType, TimeInForce, plain
from orderbridge.model.order import Order
from orderbridge.model.request import OrderRequest
from orderbridge.venue.rows import Unusable
from orderbridge.venue.submit import order_as_asked

_AS_ASKED: Final = ("time_in_force", "post_only")


def refuse_side(request: OrderRequest, traits: Traits, gateway: str) -> None:
    """NotSupported where the exchange sizes orders at market in one currency only."""
    if request.type is not OrderType.MARKET:
        return
    if request.quantity is not None and request.side not in traits.base_sides:
        instead = (
            "give quote_quantity, or use a limit order" if request.side in traits.quote_sides else "use a limit order"
        )
        raise NotSupported(
            f"{gateway} may take the quantity of a {request.side} at market for an amount of quote: {instead}"
        )
    if request.quote_quantity is not None and request.side not in traits.quote_sides:
        raise NotSupported(f"{gateway} cannot size a {request.side} at market in quote: give quantity in base")


def creation(request: OrderRequest, *, symbol: str, ids: Mapping[str, str]) -> Callable[[Any], Awaitable[Any]]:
    """
    The call that places an order: amounts as plain text, in a dict of params that nobody else holds.

    Args:
        symbol: as ccxt writes it. ids: the client order id by the parameter that it goes out as.

    A market order is given no price, for there are exchanges where ccxt would multiply by it.
    """
    params: dict[str, Any] = dict(ids)
    if request.time_in_force is not TimeInForce.GTC:
        params["timeInForce"] = request.time_in_force.upper()
    if request.post_only:
        params["postOnly"] = True
    kind, side = request.type.value, request.side.value
    if request.quote_quantity is not None:
        cost, one_sided = plain(request.quote_quantity), f"create_market_{side}_order_with_cost"

        def by_cost(exchange: Any) -> Awaitable[Any]:
            if exchange.has.get("createMarketOrderWithCost") is True:
                made: Awaitable[Any] = exchange.create_market_order_with_cost(symbol, side, cost, dict(params))
            else:
                made = getattr(exchange, one_sided)(symbol, cost, dict(params))
            return made

        return by_cost
    quantity = plain(request.quantity or Decimal(0))
    price = None if request.price is None else plain(request.price)
    return lambda exchange: exchange.create_order(symbol, kind, side, quantity, price, dict(params))


def order_from_answer(
    answer: Any,
    request: OrderRequest,
    *,
    order_id: str,
    client_order_id: str | None,
    venue: str,
    account: str,
    observed_at: datetime,
    step: Decimal | None,
    numbered_by_market: bool = False,
) -> Order:
    """
    The order as its creation was answered, with the size and price that were asked for, and what else the answer
    leaves out. Fills are those that a field of fills states.

    The id is the exchange's; an answer that cannot be read beyond it is an order all the same.
    """
    asked = {"symbol": str(request.symbol), "side": request.side.value, "type": request.type.value}
    row = {**answer, "id": order_id, **{name: answer.get(name) or value for name, value in asked.items()}}
    stated = row.get(STATED)
    if isinstance(stated, dict):
        row[STATED] = {**stated, "type": stated.get("type") or asked["type"]}
    read = partial(
        order_from_row,
        venue=venue,
        account=account,
        source="submit",
        observed_at=observed_at,
        step=step,
        created=True,
        numbered_by_market=numbered_by_market,
    )
    try:
        order = read(row)
        if request.quantity is not None and order.quantity not in (None, request.quantity):
            # What is left of another size says nothing of the fills. The size itself is told below.
            known = row[STATED] if isinstance(row.get(STATED), Mapping) else row
            sized = {**known, "amount": plain(request.quantity), "remaining": None}
            order = read({**row, STATED: sized}).model_copy(update={"quantity": order.quantity})
    except Unusable as unusable:
        odd = f"the answer to the new order could not be read: {unusable}"
        return order_as_asked(
            request,
            venue=venue,
            account=account,
            order_id=order_id,
            client_order_id=client_order_id,
            observed_at=observed_at,
            anomalies=(odd,),
            numbered_by_market=numbered_by_market,
        )
    asked_for = {} if request.type is OrderType.MARKET else {name: getattr(request, name) for name in _AS_ASKED}
    noted = {name: value for name, value in asked_for.items() if getattr(order, name) is None}
    if order.status is OrderStatus.ACCEPTED:
        noted["evidence"] = ("submit: an id was given",)
    return order.model_copy(update=noted)


def stated_in_answer(answer: Any) -> dict[str, object]:
    """The symbol and side that an answer states. One that could not be read is another one too."""
    texts = {name: answer.get(name) for name in ("symbol", "side")}
    texts["symbol"] = texts["symbol"] and str(texts["symbol"]).upper()
    return {name: str(text) for name, text in texts.items() if text}
