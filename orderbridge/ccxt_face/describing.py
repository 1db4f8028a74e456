"""`has` and `features`: what the face can do, in ccxt's words, from what the gateway declares."""

from __future__ import annotations

from functools import cache
from typing import Any

from ccxt.base.exchange import Exchange

from orderbridge.gateway import Capabilities
from orderbridge.model.basics import EditClass, OrderType, TimeInForce

Row = dict[str, Any]


def has(can: Capabilities, rest_of: Any) -> Row:
    """By ccxt's name of a call, whether it is there; what is not ours as `rest_of` says, or False."""
    if rest_of is not None:
        known: Row = dict(rest_of.has)
    else:
        known = dict.fromkeys(_calls(), False)
    # Placing goes through the bridge alone, so that what ccxt could place besides is not there.
    known |= {name: False for name in known if name.startswith(("create", "edit", "cancel")) and "Order" in name}
    places = bool(can.order_types)
    stops = can.order_types & {OrderType.STOP_LOSS, OrderType.STOP_LIMIT}
    by_id = can.client_order_id is not None
    edits = can.edit is EditClass.IN_PLACE
    ours = {
        "publicAPI": True,
        "privateAPI": True,
        "spot": True,
        **dict.fromkeys(("margin", "swap", "future", "option"), False),
        **dict.fromkeys(("createOrder", "createOrders"), places),
        **dict.fromkeys(("createLimitOrder", "createLimitBuyOrder", "createLimitSellOrder"), places),
        **dict.fromkeys(
            ("createMarketOrder", "createMarketBuyOrder", "createMarketSellOrder"), OrderType.MARKET in can.order_types
        ),
        **dict.fromkeys(
            ("createMarketOrderWithCost", "createMarketBuyOrderWithCost", "createMarketSellOrderWithCost"),
            can.quote_sizing,
        ),
        **dict.fromkeys(("createStopOrder", "createTriggerOrder", "createStopLossOrder"), bool(stops)),
        "createStopLimitOrder": OrderType.STOP_LIMIT in stops,
        "createStopMarketOrder": OrderType.STOP_LOSS in stops,
        "createTakeProfitOrder": OrderType.TAKE_PROFIT in can.order_types,
        "createPostOnlyOrder": can.post_only,
        "createReduceOnlyOrder": can.reduce_only,
        "editOrder": edits,
        "editOrderWithClientOrderId": edits and by_id,
        **dict.fromkeys(("cancelOrder", "cancelOrders"), True),
        "cancelOrderWithClientOrderId": by_id,
        "cancelAllOrders": can.cancel_all,
        **dict.fromkeys(("fetchOrder", "fetchOpenOrders"), True),
        "fetchOrderWithClientOrderId": by_id,
        **dict.fromkeys(
            ("fetchOrders", "fetchClosedOrders", "fetchCanceledOrders", "fetchCanceledAndClosedOrders"), can.history
        ),
        **dict.fromkeys(("fetchOrderTrades", "fetchMyTrades"), can.fills),
    }
    if can.markets:
        ours["fetchMarkets"] = True
    return {**known, **ours}


@cache
def _calls() -> tuple[str, ...]:
    """ccxt's names of all calls that any exchange may have."""
    return tuple(Exchange().has)


def features(can: Capabilities) -> Row:
    """The params that the calls take; contracts there are none."""
    stops = bool(can.order_types & {OrderType.STOP_LOSS, OrderType.STOP_LIMIT})
    plain = {"marginMode": False, "trigger": False, "trailing": False, "symbolRequired": False}
    listed = {**plain, "limit": None, "daysBack": None, "untilDays": None}
    create = {
        **dict.fromkeys(("marginMode", "hedged", "trailing", "leverage", "selfTradePrevention", "iceberg"), False),
        **dict.fromkeys(("triggerPriceType", "triggerDirection", "attachedStopLossTakeProfit")),
        **dict.fromkeys(("stopLoss", "takeProfit")),
        "triggerPrice": stops,
        "stopLossPrice": stops,
        "takeProfitPrice": OrderType.TAKE_PROFIT in can.order_types,
        "timeInForce": {
            "GTC": TimeInForce.GTC in can.times_in_force,
            "IOC": TimeInForce.IOC in can.times_in_force,
            "FOK": TimeInForce.FOK in can.times_in_force,
            "PO": can.post_only,
            "GTD": False,
        },
        "marketBuyRequiresPrice": False,
        "marketBuyByCost": can.quote_sizing,
        "symbolRequired": True,
    }
    spot = {
        "sandbox": False,
        "createOrder": create,
        "createOrders": {**create, "max": None},
        "fetchMyTrades": listed if can.fills else None,
        "fetchOrder": plain,
        "fetchOpenOrders": {**plain, "limit": None},
        "fetchOrders": listed if can.history else None,
        "fetchClosedOrders": listed if can.history else None,
    }
    return {"spot": spot, "swap": {"linear": None, "inverse": None}, "future": {"linear": None, "inverse": None}}
