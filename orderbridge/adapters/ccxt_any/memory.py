"""What was sent and seen here: exchanges want an order's symbol beside its id, and forget orders."""

from __future__ import annotations

from orderbridge.model.basics import Symbol
from orderbridge.model.order import Order
from orderbridge.venue.bounds import remember


class Memory:
    """The latest orders of one gateway, by either id; several of one number where each market counts for itself."""

    def __init__(self) -> None:
        self._orders: dict[str, dict[Symbol, Order]] = {}
        self._symbols: dict[str, Symbol] = {}
        self._ids: dict[str, str] = {}
        self._apart: dict[str, frozenset[Symbol | None]] = {}

    def orders(self, order_id: str, symbol: Symbol | None = None) -> tuple[Order, ...]:
        """The orders of this number as they were last seen here, of one symbol or of all."""
        return tuple(order for order in self._orders.get(order_id, {}).values() if symbol in (None, order.symbol))

    def symbols_of(self, id: str) -> tuple[Symbol, ...]:
        """The symbols of the orders that an id of either kind names."""
        own = [self._symbols[id]] if id in self._symbols else []
        return tuple(dict.fromkeys([*self._orders.get(id, ()), *own]))

    def id_of(self, client_order_id: str) -> str | None:
        """The exchange's id of the order that was last submitted here under a client id."""
        return self._ids.get(client_order_id)

    def is_apart(self, order_id: str, symbol: Symbol | None) -> bool:
        """Whether the exchange last showed the order among those that wait for a price, which it keeps apart."""
        apart = self._apart.get(order_id, frozenset())
        return bool(apart) and (symbol is None or bool(apart & {symbol, None}))

    def shown(self, order_id: str, symbol: Symbol | None, *, apart: bool) -> None:
        """Where an order was shown, without a symbol if that could not be read; what is not remembered is not apart."""
        known = self._apart.pop(order_id, frozenset())
        now = known | {symbol} if apart else known - {symbol}
        if now:
            remember(self._apart, order_id, now)

    def sent(self, client_order_id: str | None, symbol: Symbol) -> None:
        """An order of this client id is about to be sent: one of before is no longer what the id means."""
        if client_order_id is not None:
            self._ids.pop(client_order_id, None)
            remember(self._symbols, client_order_id, symbol)

    def placed(self, order: Order) -> Order:
        """The exchange answered a new order with its id."""
        self.saw(order)
        if order.client_order_id is not None:
            remember(self._symbols, order.client_order_id, order.symbol)
            remember(self._ids, order.client_order_id, order.order_id)
        return order

    def saw(self, order: Order) -> None:
        """An order was shown."""
        remember(self._orders, order.order_id, {**self._orders.get(order.order_id, {}), order.symbol: order})
