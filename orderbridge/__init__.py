"""
One typed interface to the orders of several exchanges.

    async with OrderBridge(BitsoGateway(api_key=…, api_secret=…)) as bridge:
        result = await bridge.lookup("543cr2v32a1h6844", "my-bot-42")
"""

from orderbridge import errors
from orderbridge.bridge import OrderBridge
from orderbridge.gateway import Capabilities, OrderGateway, UnsupportedCalls
from orderbridge.model.basics import (
    Idempotency,
    KnownBy,
    OrderStatus,
    OrderType,
    PlacementState,
    Side,
    Symbol,
    TimeInForce,
)
from orderbridge.model.order import Fill, Order, OrderKey
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Alarm, Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import (
    Answer,
    BadRow,
    BridgeOrders,
    CancelReceipt,
    Failure,
    Found,
    LookupResult,
    OrderList,
)
from orderbridge.placement.recover import RecoveryReport
from orderbridge.settings import connect

__version__ = "0.1.0"
__all__ = [
    "Alarm",
    "Answer",
    "BadRow",
    "BridgeOrders",
    "CancelReceipt",
    "Capabilities",
    "Failure",
    "Fill",
    "Found",
    "Idempotency",
    "KnownBy",
    "LookupResult",
    "Market",
    "Order",
    "OrderBridge",
    "OrderEdit",
    "OrderGateway",
    "OrderKey",
    "OrderList",
    "OrderRef",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "Permit",
    "Placement",
    "PlacementState",
    "RecoveryReport",
    "RefLike",
    "Side",
    "Symbol",
    "TimeInForce",
    "UnsupportedCalls",
    "connect",
    "errors",
]
