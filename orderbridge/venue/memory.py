"""The memory of a gateway of its orders: those that were sent, shown, cancelled and retried through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator

from orderbridge.model.basics import KnownBy, Symbol
from orderbridge.model.lifecycle import Followed, advance
from orderbridge.model.order import Order
from orderbridge.venue.bounds import REMEMBERED, remember


class OrderMemory:
    """
    The latest orders of one gateway; of more than `most` the oldest are forgotten.

    What the venue itself has shown of an order is what it is completed by once the venue forgets it, and that its id
    was once shown is half of the proof that it has ended. What a caller says of an order is no part of it.

    Args:
        elapsed: see `Followed`; `followed` tells since when the venue shows some orders no more.
        paper: the mode that everything is sent in, where rows may not state it.
    """

    def __init__(
        self,
        *,
        most: int = REMEMBERED,
        elapsed: Callable[[], float] = time.monotonic,
        paper: bool | None = None,
    ) -> None:
        self._most = most
        self._paper = paper
        self.followed = Followed(elapsed, most=most)
        # By id, and then by symbol, as several orders have one number where each market counts for itself.
        self._orders: dict[str, dict[Symbol, Order]] = {}
        self._by_client: dict[str, set[str]] = {}
        self._created: dict[str, str] = {}
        self._sent: dict[str, Symbol] = {}
        self._ids: dict[str, tuple[str, ...]] = {}
        self._cancelled: dict[str, None] = {}
        self._replaced_by: dict[str, str] = {}
        self._replaces: dict[str, str] = {}
        self._apart: dict[str, frozenset[Symbol | None]] = {}

    # Orders as they were shown.

    def take(self, order: Order) -> Order:
        """Take in an acknowledgement, or a row; it comes back with what it contradicts of an earlier conclusion."""
        known = self._same(order)
        if known is None or (_is_plain(known) and (known.may_be_live or order.is_done)):
            self.put(order)
            return order
        after = advance(known, order)[0]
        self.put(after)
        return order.noted(anomalies={*after.anomalies} - {*known.anomalies, *order.anomalies})

    def learn(self, order: Order) -> None:
        """Take in what another process had been shown, which may be older than what is known here."""
        known = self._same(order)
        self.put(order if known is None else advance(known, order)[0])

    def _same(self, order: Order) -> Order | None:
        known = self._orders.get(order.order_id, {}).get(order.symbol)
        return known if known is not None and known.side == order.side else None

    def put(self, order: Order) -> None:
        """Know an order so from now on."""
        known = self._orders.get(order.order_id, {})
        if [*known] == [order.symbol] and known[order.symbol].client_order_id == order.client_order_id:
            # Seen again, as most are: the newest now, under the names that it has.
            self._orders[order.order_id] = self._orders.pop(order.order_id)
            known[order.symbol] = order
            return
        before = self._forget(order.order_id) if known else {}
        others = {name: each for name, each in before.items() if order.numbered_by_market and name != order.symbol}
        self._orders[order.order_id] = {**others, order.symbol: order}
        for each in self._orders[order.order_id].values():
            if each.client_order_id is not None:
                self._by_client.setdefault(each.client_order_id, set()).add(order.order_id)
        if len(self._orders) > self._most:
            self._forget(next(iter(self._orders)))

    def update(self, order: Order) -> None:
        """Know an order so from now on, if it is one that was shown."""
        if self._same(order) is not None:
            self.put(order)

    def __iter__(self) -> Iterator[Order]:
        return iter([order for namesakes in self._orders.values() for order in namesakes.values()])

    def get(self, order_id: str) -> Order | None:
        """The order of a venue's id, as it was last known."""
        return next(reversed(self._orders.get(order_id, {}).values()), None)

    def orders(self, order_id: str, symbol: Symbol | None = None) -> tuple[Order, ...]:
        """The orders of a number as they were last known, of one symbol or of all."""
        return tuple(order for order in self._orders.get(order_id, {}).values() if symbol in (None, order.symbol))

    def of_client(self, client_order_id: str) -> list[Order]:
        """The orders of a client id, as they were last known."""
        ids = sorted(self._by_client.get(client_order_id, ()))
        return [order for id in ids for order in self.orders(id) if order.client_order_id == client_order_id]

    def symbols_of(self, id: str) -> tuple[Symbol, ...]:
        """The symbols of the orders that an id of either kind names."""
        sent = [self._sent[id]] if id in self._sent else []
        return tuple(dict.fromkeys([*self._orders.get(id, ()), *sent]))

    def _forget(self, order_id: str) -> dict[Symbol, Order]:
        gone = self._orders.pop(order_id, {})
        for client_order_id in {order.client_order_id for order in gone.values() if order.client_order_id is not None}:
            others = self._by_client[client_order_id]
            others.discard(order_id)
            if not others:
                del self._by_client[client_order_id]
        return gone

    # Orders that were sent from here.

    def sending(self, client_order_id: str | None, symbol: Symbol) -> None:
        """An order of this client id is about to be sent: one of before is no longer what the id means."""
        if client_order_id is not None:
            self._ids.pop(client_order_id, None)
            remember(self._sent, client_order_id, symbol)

    def created(self, order: Order) -> Order:
        """Take in a new order of ours, whose id the venue told; it comes back with what is known here beside it."""
        self.put(order)
        self._note_created(order.order_id, order.client_order_id)
        if order.client_order_id is not None:
            remember(self._sent, order.client_order_id, order.symbol)
        return self.told(order)

    def _note_created(self, order_id: str, client_order_id: str | None) -> None:
        remember(self._created, order_id, client_order_id or self._created.get(order_id, ""))
        if client_order_id:
            ids = dict.fromkeys((*self._ids.get(client_order_id, ()), order_id))
            remember(self._ids, client_order_id, tuple(ids))

    def is_created(self, order_id: str) -> bool:
        """True if it is an order of ours, and so of our mode."""
        return order_id in self._created

    def id_of(self, client_order_id: str) -> str | None:
        """The venue's id of the order that was last submitted here under a client id."""
        return next(reversed(self._ids.get(client_order_id, ())), None)

    def created_under(self, client_order_id: str) -> tuple[str, ...]:
        """The orders of ours that went out under a client id, as far as their ids are known."""
        return self._ids.get(client_order_id, ())

    # Cancels and retries that were sent from here: rows may not tell of them.

    @property
    def cancel_sent(self) -> Container[str]:
        """The orders that we asked to cancel."""
        return self._cancelled

    def cancelling(self, order_id: str) -> bool:
        """A cancel of it is about to leave: whether it is the first."""
        is_first = order_id not in self._cancelled
        remember(self._cancelled, order_id, None)
        return is_first

    def not_cancelling(self, order_id: str) -> None:
        """The cancel did not leave, was refused while the order worked, or the order has begun anew."""
        self._cancelled.pop(order_id, None)

    def retried(self, old: str, new: str, *, is_ours: bool) -> None:
        """A retry of `old` made the order `new`; `is_ours` if `old` is known to be of our mode."""
        remember(self._replaced_by, old, new)
        remember(self._replaces, new, old)
        if is_ours:
            self._note_created(new, self._created.get(old))

    def told(self, order: Order) -> Order:
        """The order with what is known here beside its row."""
        if order.paper is None and self._paper is not None and order.order_id in self._created:
            order = order.noted("its trading mode is the one it was sent with: the row states none", paper=self._paper)
        links = {"replaced_by": self._replaced_by.get(order.order_id), "replaces": self._replaces.get(order.order_id)}
        changes = {name: other for name, other in links.items() if other is not None}
        return order.model_copy(update=changes) if changes else order

    # Where a venue keeps orders that wait for a price in a place of their own.

    def is_apart(self, order_id: str, symbol: Symbol | None) -> bool:
        """True if the venue last showed the order among those that wait for a price, which it keeps apart."""
        apart = self._apart.get(order_id, frozenset())
        return bool(apart) and (symbol is None or bool(apart & {symbol, None}))

    def shown(self, order_id: str, symbol: Symbol | None, *, apart: bool) -> None:
        """Where an order was shown, without a symbol if that could not be read; what is not remembered is not apart."""
        known = self._apart.pop(order_id, frozenset())
        now = known | {symbol} if apart else known - {symbol}
        if now:
            remember(self._apart, order_id, now)


def _is_plain(order: Order) -> bool:
    # What a venue says of a working order replaces what it said before; a conclusion and a request are weighed.
    return order.known_by is KnownBy.REPORTED and not (order.replace_requested or order.cancel_requested)
