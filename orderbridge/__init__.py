"""
One typed interface to the orders of several exchanges.

    async with OrderBridge(BitsoGateway(api_key=…, api_secret=…)) as bridge:
        result = await bridge.lookup("543cr2v32a1h6844", "my-bot-42")
"""

from orderbridge import errors
from orderbridge.bridge import OrderBridge
from orderbridge.gateway import Capabilities, OrderGateway, UnsupportedCalls
from orderbridge.model.alarm import Alarm
from orderbridge.model.cancelling import CancelReceipt
from orderbridge.model.fill import Fill
from orderbridge.model.lookup import Answer, BadRow, BridgeOrders, Failure, Found, LookupResult, OrderList
from orderbridge.model.market import Market
from orderbridge.model.order import Order, OrderKey
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.request import OrderEdit, OrderRequest
from orderbridge.model.symbol import Symbol
from orderbridge.model.words import (
    Idempotency,
    KnownBy,
    OrderStatus,
    OrderType,
    PlacementState,
    Side,
    TimeInForce,
)
from orderbridge.placement.recovery import RecoveryReport
from orderbridge.registry import connect

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
