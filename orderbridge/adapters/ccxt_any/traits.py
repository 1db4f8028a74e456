"""What an exchange of ccxt's can do: read from its `has` and `features`, then corrected row by row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orderbridge.gateway import Capabilities, ClientIdRule
from orderbridge.model.basics import Idempotency, OrderType, Side, TimeInForce

# Ids go into paths unescaped, where a word may name something else: `DELETE /orders/all` cancels everything.
ANY_ID: Final = r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._:=+-]{0,127}|[A-Za-z0-9]{10,128}"

# ccxt writes tens of thousands of days where there is no limit.
_NO_SPAN: Final = 3650


@dataclass(frozen=True, slots=True)
class ClientIds:
    """
    Client order ids at an exchange.

    Attributes:
        rule: which ids it takes. idempotency: what it makes of one that was used before.
        fetch: `fetchOrder` finds an order by it; otherwise the open orders are searched.
        sent_as: the parameter under which it reaches the exchange.
    """

    rule: ClientIdRule
    idempotency: Idempotency = Idempotency.TAG_ONLY
    fetch: bool = False
    sent_as: str = "clientOrderId"


@dataclass(frozen=True, slots=True)
class Listing:
    """
    One of an exchange's lists.

    Attributes:
        needs_symbol: there is none for all symbols.
        limit: the most rows of one answer; None when it is not told.
        whole: one answer holds every row there is.
        takes_since: `since` may be asked for. days_back: how far back it reaches.
        days_at_once: the longest span that one request shows. latest: without `since` it shows the latest rows, and not
            those of such a span.
        more: a field of the answer which is true while there are further pages.
        rows_at: where an answer has its rows; None where that is not known.
    """

    exists: bool = False
    needs_symbol: bool = False
    limit: int | None = None
    whole: bool = False
    takes_since: bool = True
    days_back: int | None = None
    days_at_once: int | None = None
    latest: bool = False
    more: str | None = None
    rows_at: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """
    What a gateway must know of its exchange.

    Attributes:
        quote_sides: sides of market orders that can be sized in quote. base_sides: in base, as was shown: a market buy
            in base goes out as an amount of quote at some exchanges.
        order_needs_symbol: an order is looked up by its symbol too.
        trigger_orders_apart: orders that wait for a price have a list and calls of their own. fetches_trigger: one of
            them is looked up there by id.
        fetch_params: what a look-up by id needs besides.
        id_shape: what order ids look like. numbers_by_market: another market may have an order of the same id. Taken
            to be so unless a row says that ids are unique in the account: a symbol too many in a key harms nobody.
        info_fields: our fields that ccxt drops, and where the exchange's row has them.
        refusals: a refusal's meaning by the exchange's own code or text; `code_at` are the dotted paths to those.
        order_rows_at: where the answer to a look-up by id has its rows; None where that is not known.
        cancel_lists: the id in the answer to a cancel is proof that the order was cancelled.
        gets_write: orders are placed by GET.
    """

    order_types: frozenset[OrderType] = frozenset()
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC})
    post_only: bool = False
    quote_sides: frozenset[Side] = frozenset()
    base_sides: frozenset[Side] = frozenset(Side)
    client_ids: ClientIds | None = None
    fetch_order: bool = False
    order_needs_symbol: bool = False
    open_orders: Listing = Listing()
    orders: Listing = Listing()
    trades: Listing = Listing()
    order_trades: bool = False
    trigger_orders_apart: bool = False
    fetches_trigger: bool = False
    fetch_params: Mapping[str, Any] = field(default_factory=dict)
    id_shape: str = ANY_ID
    numbers_by_market: bool = True
    info_fields: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)
    code_at: tuple[str, ...] = ()
    order_rows_at: tuple[str, ...] | None = None
    funds_refusal_is_distinct: bool = True
    cancel_lists: bool = False
    gets_write: bool = False

    def could_be_id(self, text: str) -> bool:
        """Whether the exchange could have issued this as an order id, and it is safe in a path."""
        return re.fullmatch(self.id_shape, text) is not None and text.lower() != "all" and ".." not in text

    @property
    def capabilities(self) -> Capabilities:
        """The same in the words of every gateway."""
        return Capabilities(
            order_types=self.order_types,
            times_in_force=self.times_in_force,
            quote_sizing=bool(self.quote_sides),
            post_only=self.post_only,
            client_order_id=self.client_ids.rule if self.client_ids else None,
            idempotency=self.client_ids.idempotency if self.client_ids else Idempotency.NONE,
            lookup_batch=1,
            cancel_batch=1,
            history=self.orders.exists,
            fills=self.trades.exists or self.order_trades,
            markets=True,
            cancel_all=self.open_orders.exists,
            open_orders_by_symbol=self.open_orders.exists and self.open_orders.needs_symbol,
            funds_refusal_is_distinct=self.funds_refusal_is_distinct,
        )


def declared(exchange: Any) -> Traits:
    """
    What ccxt declares of an exchange: `has`, and `features` of its spot market. None means no.

    Stops are left out: many exchanges keep them in lists of their own, so that an open order would not be shown.
    """
    has: Mapping[str, Any] = exchange.has
    spot = _dict(_dict(exchange.features).get("spot"))
    create = _dict(spot.get("createOrder"))
    lives = _dict(create.get("timeInForce"))
    # What is not known to be base may be sent as the amount of quote to be spent.
    buys_in_base = _dict(exchange.options).get("createMarketBuyOrderRequiresPrice") is False
    kinds = {
        OrderType.LIMIT: has.get("createLimitOrder") is not False,
        OrderType.MARKET: has.get("createMarketOrder") is True,
    }
    quote = {Side.BUY} if has.get("createMarketBuyOrderWithCost") is True else set()
    if has.get("createMarketOrderWithCost") is True:
        quote = set(Side)
    elif has.get("createMarketSellOrderWithCost") is True:
        quote |= {Side.SELL}
    return Traits(
        order_types=frozenset(kind for kind, is_there in kinds.items() if is_there),
        times_in_force=frozenset(
            {TimeInForce.GTC, *(life for life in (TimeInForce.IOC, TimeInForce.FOK) if lives.get(life.upper()) is True)}
        ),
        post_only=lives.get("PO") is True,
        quote_sides=frozenset(quote),
        base_sides=frozenset(Side if buys_in_base else {Side.SELL}),
        fetch_order=bool(has.get("fetchOrder")),
        order_needs_symbol=_dict(spot.get("fetchOrder")).get("symbolRequired") is True,
        open_orders=_listing(has, spot, "fetchOpenOrders"),
        orders=_listing(has, spot, "fetchOrders"),
        trades=_listing(has, spot, "fetchMyTrades"),
        order_trades=has.get("fetchOrderTrades") is True,
        fetches_trigger=_dict(spot.get("fetchOrder")).get("trigger") is True,
        trigger_orders_apart=_dict(spot.get("fetchOpenOrders")).get("trigger") is True,
    )


def corrected(traits: Traits, rows: tuple[tuple[str, Any, str], ...]) -> Traits:
    """The traits with the override rows (field, value, reason) of an exchange over them."""
    return replace(traits, **{name: value for name, value, _ in rows})


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listing(has: Mapping[str, Any], spot: Mapping[str, Any], name: str) -> Listing:
    told = _dict(spot.get(name))
    limit, days, span = told.get("limit"), told.get("daysBack"), told.get("untilDays")
    return Listing(
        exists=has.get(name) is True,
        needs_symbol=told.get("symbolRequired") is True,
        limit=limit if isinstance(limit, int) and limit > 0 else None,
        days_back=days if isinstance(days, int) and days > 0 else None,
        days_at_once=span if isinstance(span, int) and 0 < span < _NO_SPAN else None,
    )
