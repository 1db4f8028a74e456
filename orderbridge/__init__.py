"""
One typed interface to the orders of several exchanges.

    async with OrderBridge(BitsoGateway(api_key=…, api_secret=…)) as bridge:
        result = await bridge.lookup("543cr2v32a1h6844", "my-bot-42")
"""

from importlib import import_module

# Not typing's: a name of this spelling is enough for type checkers, and importing typing is most of an empty start.
TYPE_CHECKING = False

if TYPE_CHECKING:
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

# Where each name is loaded from, at its first use: a bot pays for what it names.
_HOMES = {
    name: f"orderbridge.{module}"
    for module, names in {
        "bridge": "OrderBridge",
        "gateway": "Capabilities OrderGateway UnsupportedCalls",
        "model.basics": "Idempotency KnownBy OrderStatus OrderType PlacementState Side Symbol TimeInForce",
        "model.order": "Fill Order OrderKey",
        "model.permit": "Permit",
        "model.placement": "Alarm Placement",
        "model.ref": "OrderRef RefLike",
        "model.request": "Market OrderEdit OrderRequest",
        "model.results": "Answer BadRow BridgeOrders CancelReceipt Failure Found LookupResult OrderList",
        "placement.recover": "RecoveryReport",
        "settings": "connect",
    }.items()
    for name in names.split()
}

if not TYPE_CHECKING:  # type checkers would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            value = getattr(import_module(_HOMES[name]), name)
            globals()[name] = value
            return value
        module = f"{__name__}.{name}"
        try:
            return import_module(module)
        except ModuleNotFoundError as error:
            if error.name != module:
                raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "import_module"})
