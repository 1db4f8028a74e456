"""Where placements and what was seen of orders are kept: the interface, and the one that lives in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol

from orderbridge.errors import JournalError
from orderbridge.gateway import checked_call
from orderbridge.model.basics import OrderType, PlacementState
from orderbridge.model.lifecycle import Sign, advance
from orderbridge.model.order import Identity, Order
from orderbridge.model.placement import HOLDING
from orderbridge.placement.states import IN_FLIGHT, UNFINISHED, Event, Record, Transition, showing, stored

# Reads a record and says what it becomes; None leaves it. It runs inside the transaction, and again where another
# writer came between: pure, and quick.
Change = Callable[[Record], Transition | None]
ChangeSeeing = Callable[[Record, Order], Transition | None]


# So many placements that are over are kept, where none is asked for again.
_MOST_LET_GO: Final = 500


class InFlight(Exception):
    """Another placement of the same fingerprint may be live: `record`."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.id)
        self.record = record


class ClientIdUsed(ValueError):
    """Another placement at this gateway has the client order id."""


class Gap(NamedTuple):
    """
    The loss of a journal that came back older than it was.

    Attributes:
        since, until: when it was written. `told`: when that was noticed.
        found: orders of that time that no placement is known of, by a look at one venue and symbol; None before it.
        may_lack: types of which the look may have missed orders that wait for their trigger.
    """

    since: datetime
    until: datetime
    told: datetime
    found: tuple[Order, ...] | None = None
    may_lack: frozenset[OrderType] = frozenset()


class Journal(Protocol):
    """
    Keeps placements, their events, and every observation of an order. Each call is one transaction.

    A call returns after its writes are as durable as the journal makes them. Every call may raise JournalError.
    A record is given with its order as last known, and one that is stored with an order lets that be known too.
    """

    @property
    def durable(self) -> bool:
        """True if what was written outlives the process."""

    # Told of each row that was left out of a list, as it cannot be read.
    on_unreadable: Callable[[str], object]

    async def create(self, record: Record, *then: Transition, alone: bool = False) -> Record:
        """
        Store a new record and what happened to it at once. The record that holds its key, if another does.

        Args:
            alone: raise InFlight while another placement of its fingerprint is in flight.

        Raises:
            ClientIdUsed: its client order id was used before at this gateway.
        """

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        """
        Read a record, change it, and store it with its event. KeyError: there is none.

        Args:
            change: may be called more than once, each time on the record as it stands then; the last call counts.
        """

    async def change_seeing(self, placement_id: str, order: Order, change: ChangeSeeing) -> Record:
        """`observe` and `change` in one transaction: the change is told the order as it is known after that."""

    async def get(self, placement_id: str) -> Record | None:
        """The record of this id."""

    async def find(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        client_order_id: str | None = None,
        states: Sequence[PlacementState] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Record]:
        """The records that fit all that is given, oldest first or newest first; so many at the most."""

    async def events(self, placement_id: str) -> list[Event]:
        """The events of a placement, in order."""

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        """Store what was seen of each order; each as it is known after that."""

    async def orders(
        self, *, gateway: str | None = None, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[Order]:
        """
        The orders of an id, as last known; of either kind when both are the same text.

        Several may have one id: some venues number by market, and what differs in symbol or side is kept apart.
        """

    async def working(self, gateway: str) -> list[Order]:
        """The orders of a gateway that may be live, as far as is known."""

    async def sign(self, order: Order, sign: Sign) -> Order | None:
        """Store what is learnt of an order without being shown it; the order after that, None when not known."""

    async def keep_alive(self, owner: str, seconds: float) -> None:
        """An owner says that it lives for so long, by the journal's own clock; 0 gives its lease back."""

    async def lives(self, owner: str, grace: float = 0.0) -> bool:
        """
        True if the lease of an owner has not run out, or not for longer than `grace`.

        Not for one that was given back, or that is not known. Below 0: whether so much of it is left.
        """

    async def gap(self, gateway: str, symbol: str) -> Gap | None:
        """
        The loss of the journal, if it came back older than it was, with what was found of it at a venue and symbol.

        Without a gateway the last of what was lost. None where nothing was, or nothing can be.
        """

    async def gap_found(
        self, gateway: str, symbol: str, gap: Gap, found: Sequence[Order], may_lack: Iterable[OrderType]
    ) -> None:
        """Store that a venue was looked at for what was lost, and what no placement is known of."""

    async def gap_decided(self, gateway: str, symbol: str, order_id: str | None, type_: OrderType | None) -> None:
        """Store a person's word: whose an order is that was found; or that none of a type waits for its trigger."""

    async def aclose(self) -> None:
        """Write what is waiting, and close."""


class MemoryJournal:
    """
    The same protocol in this process's memory: nothing outlives it.

    Dictionaries, and not the SQL journal over `:memory:`: placing would take 1.65 times as long with that.

    It forgets the oldest placements that are over, and the oldest orders that are, beyond `most` of each; never one
    that holds its key, as that key would place again, but for a key that is let go.
    """

    durable: Final = False

    @checked_call
    def __init__(self, *, most: int = 10_000, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self.on_unreadable: Callable[[str], object] = lambda why: None
        self._records: dict[str, Record] = {}
        self._events: dict[str, list[Event]] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._clients: dict[tuple[str, str], str] = {}
        self._orders: dict[Identity, Order] = {}
        # By either id.
        self._named: dict[str, set[Identity]] = {}
        self._alive: dict[str, float] = {}
        self._in_flight: dict[str, Record] = {}
        # So that many which cannot be forgotten are not walked over at every write.
        self._sweep_at, self._sweep_orders_at = most, 0
        self._latest: datetime | None = None
        self._let_go: set[str] = set()

    def let_go(self, gateway: str, key: str) -> None:
        """Nobody places by a key again: what stands under it is forgotten once its order is over, and few are kept."""
        if (placement_id := self._keys.get((gateway, key))) is not None:
            self._let_go.add(placement_id)
            if self._most > _MOST_LET_GO:
                self._most, self._sweep_at = _MOST_LET_GO, 2 * _MOST_LET_GO

    async def create(self, record: Record, *then: Transition, alone: bool = False) -> Record:
        """See `Journal.create`."""
        placement = record.placement
        id, client = placement.placement_id, (placement.gateway, placement.client_order_id or "")
        holder = self._holder(placement.gateway, placement.key)
        if holder is not None:
            return self._shown(holder)
        if placement.client_order_id is not None and client in self._clients:
            raise ClientIdUsed(f"the client order id {placement.client_order_id} was used before")
        if id in self._records:
            raise JournalError(f"the journal holds a placement of this id already: {id}")
        last = then[-1].record if then else record
        if alone:
            self._check_alone(last)
        self._events[id] = []
        self._add(id, stored(record), *[step.event for step in then])
        if placement.client_order_id is not None:
            self._clients[client] = id
        return self._keep(last)

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        """See `Journal.change`."""
        record = self._shown(self._records[placement_id])
        done = change(record)
        if done is None:
            return record
        if alone:
            self._check_alone(done.record)
        self._add(placement_id, done.event)
        return self._keep(done.record)

    async def change_seeing(self, placement_id: str, order: Order, change: ChangeSeeing) -> Record:
        """See `Journal.change_seeing`."""
        (known,) = await self.observe([order])
        return await self.change(placement_id, lambda record: change(record, known))

    async def get(self, placement_id: str) -> Record | None:
        """See `Journal.get`."""
        record = self._records.get(placement_id)
        return None if record is None else self._shown(record)

    async def find(
        self,
        *,
        gateway: str | None = None,
        key: str | None = None,
        client_order_id: str | None = None,
        states: Sequence[PlacementState] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Record]:
        """See `Journal.find`."""
        candidates: Iterable[Record] = self._records.values()
        if gateway is not None and client_order_id is not None:
            known = self._records.get(self._clients.get((gateway, client_order_id), ""))
            candidates = [] if known is None else [known]
        fitting = (
            record
            for record in (reversed([*candidates]) if newest_first else candidates)
            if gateway in (None, record.placement.gateway)
            and key in (None, record.placement.key)
            and client_order_id in (None, record.placement.client_order_id)
            and (states is None or record.state in states)
        )
        return list(map(self._shown, islice(fitting, limit)))

    async def events(self, placement_id: str) -> list[Event]:
        """See `Journal.events`."""
        held = self._events.get(placement_id, ())
        return [event.model_copy(update={"seq": seq}) for seq, event in enumerate(held, start=1)]

    async def observe(self, orders: Sequence[Order]) -> list[Order]:
        """See `Journal.observe`."""
        known = [self._observe(order) for order in orders]
        if len(self._orders) > max(2 * self._most, self._sweep_orders_at):
            over = [key for key, order in self._orders.items() if order.is_done]
            for key in over[: len(self._orders) - self._most]:
                self._dropped(key)
            self._sweep_orders_at = _grown(len(self._orders))
        return known

    def _observe(self, order: Order) -> Order:
        identity = order.identity
        before = self._dropped(identity)
        known = self._orders[identity] = order if before is None else advance(before, order)[0]
        for id in _ids_of(known):
            self._named.setdefault(id, set()).add(identity)
        return known

    def _shown(self, record: Record) -> Record:
        order = record.placement.order
        return record if order is None else showing(record, self._orders.get(order.identity))

    def _dropped(self, identity: Identity) -> Order | None:
        order = self._orders.pop(identity, None)
        for id in () if order is None else _ids_of(order):
            self._named[id].discard(identity)
            if not self._named[id]:
                del self._named[id]
        return order

    async def orders(
        self, *, gateway: str | None = None, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[Order]:
        """See `Journal.orders`."""
        named = {each for id in (order_id, client_order_id) if id for each in self._named.get(id, ())}
        return [
            order
            for order in (self._orders[each] for each in sorted(named))
            if gateway in (None, order.gateway)
            and (
                (order_id is not None and order.order_id == order_id)
                or (client_order_id is not None and order.client_order_id == client_order_id)
            )
        ]

    async def working(self, gateway: str) -> list[Order]:
        """See `Journal.working`."""
        return [order for order in self._orders.values() if order.gateway == gateway and order.may_be_live]

    async def sign(self, order: Order, sign: Sign) -> Order | None:
        """See `Journal.sign`."""
        known = self._orders.get(order.identity)
        if known is not None:
            self._orders[order.identity] = advance(known, sign)[0]
        return self._orders.get(order.identity)

    async def keep_alive(self, owner: str, seconds: float) -> None:
        """See `Journal.keep_alive`."""
        self._alive[owner] = self._clock() + seconds if seconds else 0.0

    async def lives(self, owner: str, grace: float = 0.0) -> bool:
        """See `Journal.lives`."""
        until = self._alive.get(owner, 0.0)
        return until > 0 and until + grace > self._clock()

    async def gap(self, gateway: str, symbol: str) -> Gap | None:
        """Nothing: what is in memory does not come back older than it was."""
        return None

    async def gap_found(
        self, gateway: str, symbol: str, gap: Gap, found: Sequence[Order], may_lack: Iterable[OrderType]
    ) -> None:
        """There is none to be found."""

    async def gap_decided(self, gateway: str, symbol: str, order_id: str | None, type_: OrderType | None) -> None:
        """There is none to be decided."""

    async def aclose(self) -> None:
        """There is nothing to close."""

    def _holder(self, gateway: str, key: str | None) -> Record | None:
        held = self._records.get(self._keys.get((gateway, key), "")) if key is not None else None
        return held if held is not None and held.placement.state in HOLDING else None

    def _check_alone(self, record: Record) -> None:
        for other in self._in_flight.values() if record.state in IN_FLIGHT else ():
            if other.id != record.id and other.fingerprint == record.fingerprint:
                raise InFlight(other)

    def _add(self, placement_id: str, *events: Event) -> None:
        self._events[placement_id] += events
        for event in events:
            if self._latest is None or event.at > self._latest:
                self._latest = event.at

    def _keep(self, record: Record) -> Record:
        order = record.placement.order
        if order is not None and self._orders.get(order.identity) is not order:
            record = showing(record, self._observe(order))
        placement = record.placement
        id, gateway, key = placement.placement_id, placement.gateway, placement.key
        before = self._records.get(id)
        if before is not None and placement.client_order_id is None:
            self._clients.pop((gateway, before.placement.client_order_id or ""), None)
        self._records[id] = record
        # A ghost does not take its key back from the placement that was given it since.
        if key is not None and placement.state in HOLDING and self._holder(gateway, key) is None:
            self._keys[gateway, key] = id
        if placement.state in IN_FLIGHT:
            self._in_flight[id] = record
        else:
            self._in_flight.pop(id, None)
        if len(self._records) > self._sweep_at:
            self._forget_oldest()
        return record

    def _forget_oldest(self) -> None:
        over = [record for record in self._records.values() if self._is_over(record)]
        for record in over[: len(self._records) - self._most]:
            placement = record.placement
            del self._records[record.id], self._events[record.id]
            self._let_go.discard(record.id)
            self._clients.pop((placement.gateway, placement.client_order_id or ""), None)
            if self._keys.get((placement.gateway, placement.key or "")) == record.id:
                del self._keys[placement.gateway, placement.key or ""]
        self._sweep_at = _grown(max(self._most, len(self._records)))

    def _is_over(self, record: Record) -> bool:
        placement = record.placement
        # The journal has no clock: the time is that of the last thing that happened.
        is_watched = record.watch_until is not None and (self._latest is None or record.watch_until > self._latest)
        if is_watched or record.state in UNFINISHED:
            return False
        if record.state is not PlacementState.PLACED:
            return True
        order = placement.order and self._orders.get(placement.order.identity, placement.order)
        is_free = placement.key is None or record.id in self._let_go
        return is_free and order is not None and order.is_done


def _grown(held: int) -> int:
    return held + held // 10 + 1


def _ids_of(order: Order) -> tuple[str, ...]:
    own, client = order.order_id, order.client_order_id
    return (own,) if client is None or client == own else (own, client)
