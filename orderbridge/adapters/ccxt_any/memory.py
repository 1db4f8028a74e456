"""What was sent and seen here: exchanges want an order's symbol beside its id, and forget orders."""

from __future__ import annotations

from typing import Final, TypeVar

from orderbridge.model.order import Order
from orderbridge.model.symbol import Symbol

_REMEMBERED: Final = 10_000
T = TypeVar("T")


class Memory:
    """The latest orders of one gateway, by either id."""

    def __init__(self) -> None:
        self._orders: dict[str, Order] = {}
        self._symbols: dict[str, Symbol] = {}
        self._ids: dict[str, str] = {}
        self._apart: dict[str, bool] = {}

    def order(self, order_id: str) -> Order | None:
        """The order as it was last seen here."""
        return self._orders.get(order_id)

    def symbol_of(self, *ids: str | None) -> Symbol | None:
        """The symbol of an order, by whichever of its ids is known."""
        return next((self._symbols[id] for id in ids if id is not None and id in self._symbols), None)

    def id_of(self, client_order_id: str) -> str | None:
        """The exchange's id of the order that was last submitted here under a client id."""
        return self._ids.get(client_order_id)

    def is_apart(self, order_id: str) -> bool:
        """Whether the exchange last showed the order among those that wait for a price, which it keeps apart."""
        return self._apart.get(order_id, False)

    def shown(self, order_id: str, *, apart: bool) -> None:
        """Where an order was shown; what is not remembered as apart is not."""
        if apart:
            _keep(self._apart, order_id, True)
        else:
            self._apart.pop(order_id, None)

    def sent(self, client_order_id: str | None, symbol: Symbol) -> None:
        """An order of this client id is about to be sent: one of before is no longer what the id means."""
        if client_order_id is not None:
            self._ids.pop(client_order_id, None)
            _keep(self._symbols, client_order_id, symbol)

    def placed(self, order: Order) -> None:
        """The exchange answered a new order with its id."""
        self.saw(order)
        if order.client_order_id is not None:
            _keep(self._symbols, order.client_order_id, order.symbol)
            _keep(self._ids, order.client_order_id, order.order_id)

    def saw(self, order: Order) -> None:
        """An order was shown."""
        _keep(self._orders, order.order_id, order)
        _keep(self._symbols, order.order_id, order.symbol)


def _keep(kept: dict[str, T], key: str, value: T) -> None:
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > _REMEMBERED:
        del kept[next(iter(kept))]
