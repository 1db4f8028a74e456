"""From requests to what Bitcain takes: pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.mapping import moment_to_wire
from orderbridge.adapters.bitcain.reads import Mode
from orderbridge.adapters.bitcain.settings import SOURCES, Settings
from orderbridge.adapters.bitcain.wire import as_uuid
from orderbridge.errors import OrderDenied
from orderbridge.gateway import Capabilities, ClientIdRule
from orderbridge.model.basics import EditClass, Idempotency, OrderType, TimeInForce, plain
from orderbridge.model.request import OrderEdit, OrderRequest

# Source: Bitcain, "Create Trading Order", body field `type`: documented as words only; what each needs has no field.
INEXPRESSIBLE: Final[Mapping[OrderType, str]] = {
    OrderType.TRAILING_STOP: "its trailing distance",
    OrderType.ICEBERG: "its visible size",
    OrderType.OCO: "its second leg",
}
OPTIONS: Final = frozenset({"portfolio_id", "source", "agent_id", "exchange"})
# No rule is documented. 64 characters hold every usual form (a UUID has 36), and letters that no server, log or
# exchange behind Bitcain is likely to refuse, fold or cut.
CLIENT_ID: Final = ClientIdRule(alphabet="A-Za-z0-9._-", max_length=64)
CAPABILITIES: Final = Capabilities(
    order_types=frozenset(
        {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.STOP_LIMIT}
    ),
    times_in_force=frozenset(TimeInForce),
    market_lifetimes=True,
    post_only=True,
    reduce_only=True,
    options=OPTIONS,
    client_order_id=CLIENT_ID,
    idempotency=Idempotency.TAG_ONLY,
    lookup_batch=1,
    cancel_batch=1,
    edit=EditClass.IN_PLACE,
    history=True,
    cancel_all=True,
)

Fields = dict[str, str | bool]


@dataclass(frozen=True, slots=True)
class Route:
    """In which mode, to which exchange and in whose name an order goes out."""

    mode: Mode
    exchange: str
    source: str
    agent_id: str | None
    portfolio_id: str | None


def route_of(options: Mapping[str, str], settings: Settings) -> Route:
    """
    The gateway's settings with an order's own options over them. An order of another source has no agent of the
    gateway's.

    Raises:
        OrderDenied: an option that is none of the documented values, or source `agent` without an agent.
    """
    source = options.get("source", settings.source)
    if source not in SOURCES:
        raise OrderDenied(f"source is one of {', '.join(SOURCES)}, not {source!r}", rule="source")
    agents = settings.agent_id if source in {settings.source, "agent"} else None
    agent_id = _uuid(options, "agent_id", agents)
    if source == "agent" and agent_id is None:
        raise OrderDenied("source 'agent' needs an agent_id", rule="agent_id")
    exchange = options.get("exchange", settings.exchange).strip()
    if not exchange:
        raise OrderDenied("exchange is the name of the exchange that the order goes to", rule="exchange")
    return Route(
        mode=settings.mode,
        exchange=exchange,
        source=source,
        agent_id=agent_id,
        portfolio_id=_uuid(options, "portfolio_id", settings.portfolio_id),
    )


def _uuid(options: Mapping[str, str], name: str, default: str | None) -> str | None:
    if name not in options:
        return default
    known = as_uuid(options[name])
    if known is None:
        raise OrderDenied(f"{name} is a UUID, not {options[name]!r}", rule=name)
    return known


def spelled(request: OrderRequest, settings: Settings) -> str:
    """The pair of a request as Bitcain takes it. OrderDenied: longer than it takes."""
    symbol = settings.spelling(request.symbol)
    if not 1 <= len(symbol) <= wire.SYMBOL_LENGTH:
        raise OrderDenied(
            f"Bitcain takes symbols of 1 to {wire.SYMBOL_LENGTH} characters, and {symbol!r} has {len(symbol)}",
            rule="symbol",
        )
    return symbol


def params_to_wire(route: Route) -> dict[str, str]:
    """
    The query of a new order. Mode and exchange are always said: the server's own default is live money.

    Source: Bitcain, "Create Trading Order".
    """
    params = {"trading_mode": route.mode, "exchange": route.exchange, "source": route.source}
    return params if route.agent_id is None else {**params, "agent_id": route.agent_id}


def order_to_wire(request: OrderRequest, route: Route, *, symbol: str, client_order_id: str) -> Fields:
    """
    The body of a new order: amounts as plain text, times in UTC. What is not asked for is left out, never null.

    Source: Bitcain, "Create Trading Order".
    """
    texts = {
        "symbol": symbol,
        "side": request.side.value,
        "type": request.type.value,
        **_changes(request),
        "portfolio_id": route.portfolio_id,
        "client_order_id": client_order_id,
        "source": route.source,
        "agent_id": route.agent_id,
    }
    flags = {"reduce_only": request.reduce_only, "post_only": request.post_only}
    return {**{name: value for name, value in texts.items() if value is not None}, **flags}


def edit_to_wire(changes: OrderEdit) -> Fields:
    """
    The body of a change: what changes, and nothing else. A status never goes this way.

    Source: Bitcain, "Update Order".
    """
    return {name: value for name, value in _changes(changes).items() if value is not None}


def _changes(given: OrderRequest | OrderEdit) -> dict[str, str | None]:
    amounts = {"quantity": given.quantity, "price": given.price, "stop_price": given.stop_price}
    return {
        **{name: None if value is None else plain(value) for name, value in amounts.items()},
        "time_in_force": None if given.time_in_force is None else given.time_in_force.value,
        "expires_at": None if given.expires_at is None else moment_to_wire(given.expires_at),
    }
