"""
A gateway of a bridge behind ccxt's order calls, so that a bot written against ccxt changes one line.

    exchange = as_ccxt(OrderBridge(BitsoGateway(…), journal=SqliteJournal("orders.db")), "bitso", rest_of=ccxt.bitso())
    order = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)

Orders are placed, found and cancelled by the bridge; tickers, balances and the rest are left to `rest_of`. ccxt is
imported when one of the two functions is called, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from orderbridge.errors import ConfigurationError

if TYPE_CHECKING:
    from orderbridge.bridge import OrderBridge
    from orderbridge.ccxt_face.errors import OrderNotPlaced, OrderOutcomeUnknown
    from orderbridge.ccxt_face.exchange import CcxtFace
    from orderbridge.ccxt_face.without_await import SyncCcxtFace
    from orderbridge.sync import SyncBridge

__all__ = ["OrderNotPlaced", "OrderOutcomeUnknown", "as_ccxt", "as_ccxt_sync"]
_ERRORS: Final = ("OrderNotPlaced", "OrderOutcomeUnknown")
Rounding = Literal["ccxt", "refuse"]


def as_ccxt(
    bridge: OrderBridge,
    gateway: str,
    rest_of: Any = None,
    rounding: Rounding | None = "ccxt",
    resolve_for: float = 30.0,
    *,
    timeout: float = 15.0,
    send_within: float = 5.0,
    owns: bool = True,
) -> CcxtFace:
    """
    One gateway of a bridge as an object with ccxt's order calls, ccxt's dicts and ccxt's exceptions.

    What it does otherwise than ccxt is told at `CcxtFace`. Above all: no exception that bots answer by trying again
    is raised once an order may have been sent.

    Args:
        gateway: its name in the bridge, as `bitso` or `bitso/mm`.
        rest_of: an object of `ccxt.async_support` for the calls that read what is not orders; without one they are
            `NotSupported`. It is set up (sandbox, address, key) before it is given.
        rounding: `"ccxt"` cuts amounts and rounds prices to the market's step, as ccxt does, a buy's price upwards
            too; `"refuse"` or None has what is off the step refused (`InvalidOrder`).
        resolve_for: seconds for which an order of unknown outcome is looked for before `OrderOutcomeUnknown`.
        timeout: seconds for the answer of the venue to one call. send_within: for the right to send an order.
        owns: closing it closes the bridge and `rest_of` too.

    Raises:
        ConfigurationError: no such gateway, a setting that is none, a `rest_of` of the other kind, or ccxt is not
            installed.
    """
    kind = _face()
    face: CcxtFace = kind(
        bridge,
        gateway,
        rest_of=rest_of,
        rounding=rounding,
        resolve_for=resolve_for,
        timeout=timeout,
        send_within=send_within,
        owns=owns,
    )
    return face


def as_ccxt_sync(
    bridge: OrderBridge | SyncBridge,
    gateway: str,
    rest_of: Any = None,
    rounding: Rounding | None = "ccxt",
    resolve_for: float = 30.0,
    *,
    timeout: float = 15.0,
    send_within: float = 5.0,
    owns: bool = True,
) -> SyncCcxtFace:
    """
    As `as_ccxt`, with the same names without `await`, over one event loop in a thread.

    Args:
        bridge: one that was not used before, or a `SyncBridge`, whose loop is then shared.
        rest_of: an object of plain `ccxt`.
    """
    _face()
    from orderbridge.ccxt_face.without_await import SyncCcxtFace

    return SyncCcxtFace(
        bridge,
        gateway,
        rest_of=rest_of,
        rounding=rounding,
        resolve_for=resolve_for,
        timeout=timeout,
        send_within=send_within,
        owns=owns,
    )


def _face() -> Any:
    try:
        from orderbridge.ccxt_face.exchange import CcxtFace
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ccxt":
            raise
        raise ConfigurationError("ccxt's exceptions are needed: pip install 'orderbridge[ccxt]'") from error
    return CcxtFace


def __getattr__(name: str) -> Any:
    if name not in _ERRORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from orderbridge.ccxt_face import errors

    return getattr(errors, name)
