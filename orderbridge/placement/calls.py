"""The calls of a bridge that place orders, and follow up what became of placing them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from orderbridge.errors import ConfigurationError, OrderNotFound, OutcomeUnknown, RateLimited
from orderbridge.gateway import OrderGateway, checked_call
from orderbridge.model.order import Identity, Order
from orderbridge.model.permit import Permit
from orderbridge.model.placement import Placement
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderRequest
from orderbridge.model.words import OrderType, PlacementState, TimeInForce
from orderbridge.placement.desk import log
from orderbridge.placement.explain import explain
from orderbridge.placement.many import many
from orderbridge.placement.placer import FOUND
from orderbridge.placement.placing import Placing
from orderbridge.placement.recovery import RecoveryReport
from orderbridge.search import read_ref

# How long a raw send without a time limit waits for what was under way before.
_LONGEST_RECOVERY: Final = 60.0
# What one look at a placed order may take of the caller's time.
_LOOK_SECONDS: Final = 10.0


class _Bridge(Protocol):
    _placing: Placing

    def __getitem__(self, name: str) -> OrderGateway: ...
    def _check_usable(self, **times: float | None) -> None: ...


class PlacementCalls:
    """Placing at most once. Mixed into `OrderBridge`."""

    @checked_call
    async def prepare(self: _Bridge, gateway: str, request: OrderRequest, *, key: str | None = None) -> Placement:
        """
        Store a placement without sending it: its client order id exists, and is durable, from then on.

        Args:
            key: the caller's own name of this act; a held key gives the placement that holds it.

        Raises:
            OrderDenied, NotSupported: refused here. KeyInUse: the key's holder asks for something else.
            NotSent: the journal came back older than it was, and the venue was not looked at yet for what was lost.
        """
        self._check_usable()
        name = self[gateway].name
        await self._placing.come_alive()
        record = await self._placing.line(name).placer.prepare(request, key=key)
        return await self._placing.desk.placement(await self._placing.desk.up_to_date(record))

    @checked_call
    async def place(
        self: _Bridge,
        gateway: str,
        request: OrderRequest | Placement,
        *,
        key: str | None = None,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Order:
        """
        Place an order at most once, and return it as the venue answered, or as one look then showed it.

        An order of an earlier call comes back too; its `evidence` says that it was found, and was not sent again.
        A cancelled task loses nothing: if the order was being sent, its outcome is written down and followed up.

        Args:
            request: what to place, or a placement that was prepared.
            key: while it is held by a placement of the same request, that is gone on with and nothing is placed
                twice; after a proven refusal or absence it is free again.
            send_within: seconds to wait for the right to send; then `NotSent`.
            timeout: seconds for an answer once it is sent; then `OutcomeUnknown`, and it is followed up.
            read_back: look the order up once, as Bitso answers with an id only, within `timeout`; a look that shows
                nothing changes nothing. By default that is done for what trades at once: market, ioc and fok.

        Raises:
            OutcomeUnknown: sent, outcome not known. `await bridge.resolve(error.placement)` is the next line. Its
                `__cause__` is `RateLimited` when it was throttled.
            NotSent: nothing was sent; with the same key, or the same placement, it may be tried again.
            OrderDenied, NotSupported, KeyInUse: refused here, nothing was sent.
            OrderRejected, AuthenticationFailed, PermissionDenied: refused by the venue.
            JournalError: the intention could not be stored, so nothing was sent.
        """
        self._check_usable(send_within=send_within, timeout=timeout)
        name = self[gateway].name
        began = asyncio.get_running_loop().time()
        line = await self._placing.ready(name, within=send_within)
        left = max(0.0, send_within - (asyncio.get_running_loop().time() - began))
        with _throttling_told():
            order = await line.placer.place(request, key=key, send_within=left, timeout=timeout)
        asked = request.request if isinstance(request, Placement) else request
        if not _is_to_be_looked_at(order, asked, read_back):
            return order
        seen = await _look(self, [order], began=began, timeout=timeout)
        shown = seen.get(order.identity, order)
        notes = {note for note in order.evidence if note.startswith(FOUND)}
        return shown.model_copy(update={"evidence": tuple(sorted({*shown.evidence, *notes}))})

    @checked_call
    async def submit_at(
        self: _Bridge,
        gateway: str,
        request: OrderRequest,
        *,
        permit: Permit | None = None,
        not_after: float | None = None,
        timeout: float | None = None,
    ) -> Order:
        """One raw send at a gateway, written down: `bridge["bitso"].submit`. Prefer `place`."""
        self._check_usable(timeout=timeout)
        within = _LONGEST_RECOVERY if timeout is None else timeout
        line = await self._placing.ready(self[gateway].name, within=within)
        with _throttling_told():
            return await line.placer.submit(request, permit=permit, not_after=not_after, timeout=timeout)

    @checked_call
    async def place_many(
        self: _Bridge,
        gateway: str,
        requests: Mapping[str, OrderRequest],
        *,
        send_within: float = 5.0,
        timeout: float | None = 15.0,
        read_back: bool | None = None,
    ) -> Mapping[str, Placement]:
        """
        Place several orders at once, each under its key; look at the state of each placement.

        Those that `place` would look at are looked up together.

        Never raises for one order. A refused one is `denied` or `rejected`, one that was not sent is `prepared`,
        and where a key is held by another request, that one's placement is given. One whose intention could not be
        stored was not sent: it is `denied`, with why in its `evidence`, and the journal knows nothing of it.

        Raises:
            JournalError: nothing can be stored at all. NotSent: the gateway's recovery is not over in time.
        """
        self._check_usable(send_within=send_within, timeout=timeout)
        began = asyncio.get_running_loop().time()
        line = await self._placing.ready(self[gateway].name, within=send_within)
        done = await many(line, self._placing.desk, requests, send_within=send_within, timeout=timeout)
        placed = {
            each.order.identity: each.order
            for each in done.values()
            if each.order is not None and _is_to_be_looked_at(each.order, each.request, read_back)
        }
        if not placed:
            return done
        seen = await _look(self, list(placed.values()), began=began, timeout=timeout)
        return {
            key: each.model_copy(update={"order": seen[each.order.identity]})
            if each.order is not None and each.order.identity in seen
            else each
            for key, each in done.items()
        }

    @checked_call
    async def resolve(self: _Bridge, placement: Placement, *, timeout: float | None = None) -> Placement:
        """
        Wait until a placement is settled, or probing gave up without proof; look at `.state` and `.order`.

        Args:
            timeout: seconds; when they end, the placement as it is then. Probing goes on.

        Raises:
            ConfigurationError: it is not in the journal, or was made at another address or mode.
        """
        self._check_usable(timeout=timeout)
        record = await self._placing.record_of(placement)
        await self._placing.come_alive()
        line = self._placing.line(self[record.placement.gateway].name)
        after = await line.resolver.resolve(record, timeout=timeout)
        return await self._placing.desk.placement(self._placing.desk.as_it_happened(after))

    @checked_call
    async def placement(self: _Bridge, *, key: str, gateway: str | None = None) -> Placement | None:
        """The placement of a key: the one that holds it, else the last one that did, else None."""
        self._check_usable()
        found = await self._placing.placements(gateway=gateway, key=key)
        # Two may claim it when an order appeared after its absence was proven: the later one was given the key.
        return next((each for each in reversed(found) if each.holds_key), found[-1] if found else None)

    @checked_call
    async def placements(self: _Bridge, *, state: PlacementState | str | None = None) -> list[Placement]:
        """Every placement of the journal, or those of one state, oldest first."""
        self._check_usable()
        try:
            wanted = None if state is None else PlacementState(state)
        except ValueError as error:
            raise ConfigurationError(f"{error}; there are: {', '.join(PlacementState)}") from error
        return await self._placing.placements(state=wanted)

    async def recover(self: _Bridge) -> RecoveryReport:
        """
        Settle what was under way when the last process ended, and adopt its orders.

        `async with` starts this by itself when the bridge has a journal; placing waits for it, gateway by gateway.
        """
        self._check_usable()
        return await self._placing.recover()

    @checked_call
    async def observe(self: _Bridge, order: Order) -> Order:
        """
        Take in an order that the caller's own stream has shown, as evidence; it may settle a placement.

        Returns:
            The order as it is known now.
        """
        self._check_usable()
        (known,) = await self._placing.sightings.observe([order], source="observed")
        known = self._placing.desk.unstored.over(known)
        self._placing.remember([known])
        return known

    @checked_call
    async def explain(self: _Bridge, ref: RefLike) -> str:
        """
        How a placement came to be as it is, line by line, from the journal.

        Raises:
            OrderNotFound: the journal knows no placement of this ref. ConfigurationError: the ref is mis-written.
        """
        self._check_usable()
        await self._placing.seen.catch_up()
        known, journal = read_ref(ref, operation="explain"), self._placing.desk.journal
        client = known.client_order_id or known.id
        found = await journal.find(gateway=known.gateway, client_order_id=client) if client else []
        order_id = known.order_id or known.id
        if not found and order_id is not None:
            for order in await journal.orders(gateway=known.gateway, order_id=order_id):
                if order.client_order_id is not None and known.symbol in (None, order.symbol):
                    found += await journal.find(gateway=order.gateway, client_order_id=order.client_order_id)
        if isinstance(ref, Placement) and not found:
            found = [await self._placing.record_of(ref)]
        if not found and known.id is not None:
            found = await journal.find(gateway=known.gateway, key=known.id)
        if not found:
            raise OrderNotFound(f"the journal knows no placement of {known}", operation="explain")
        parts = [
            explain(record, await self._placing.desk.placement(record), await journal.events(record.id))
            for record in found
        ]
        return "\n\n".join(parts)


@contextmanager
def _throttling_told() -> Iterator[None]:
    """Gives `OutcomeUnknown` the cause that a gateway's own has when it was throttled: `RateLimited`."""
    try:
        yield
    except OutcomeUnknown as error:
        behind = error.__cause__.__cause__ if error.__cause__ is not None else None
        if isinstance(behind, RateLimited):
            raise error from behind
        raise


def _is_to_be_looked_at(order: Order, request: OrderRequest, read_back: bool | None) -> bool:
    if read_back is not None:
        return read_back
    trades_at_once = request.type is OrderType.MARKET or request.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}
    return trades_at_once and order.may_be_live


async def _look(
    bridge: _Bridge, orders: Sequence[Order], *, began: float, timeout: float | None
) -> dict[Identity, Order]:
    """What one look adds to orders of one gateway; one that fails changes nothing about a placed order."""
    left = _LOOK_SECONDS
    if timeout is not None:
        left = min(left, began + timeout - asyncio.get_running_loop().time())
    if left <= 0:
        return {}
    placed = {order.identity for order in orders}
    try:
        result = await bridge[orders[0].gateway].lookup(*orders, timeout=left)
        same = [order for order in result.orders if order.identity in placed]
        known = await bridge._placing.sightings.observe(same, source="read back")
    except Exception as error:  # noqa: BLE001 - it is placed: whatever a look meets, an error here would deny that
        names = ", ".join(order.order_id for order in orders)
        log.warning("%s: placed, and could not be read back: %s", names, error)
        return {}
    return {order.identity: order for order in known}
