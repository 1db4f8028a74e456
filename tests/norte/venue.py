"""Norte, a plain REST venue: a key and a secret, orders by id and by client id, a list of the open ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from orderbridge import Capabilities
from orderbridge.errors import OrderNotFound
from orderbridge.gateway import ClientIdRule, checked_call
from orderbridge.http.limits import Rate
from orderbridge.http.retry import Deadline
from orderbridge.http.transport import check_address
from orderbridge.model.basics import Idempotency, OrderType, Symbol, TimeInForce
from orderbridge.model.order import Order, gateway_name
from orderbridge.model.ref import RefLike
from orderbridge.model.request import OrderRequest
from orderbridge.model.results import LookupResult
from orderbridge.venue.cancel import Cancelled, Cancelling, Meant, Seeking
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lookup import CLIENT, ORDER, Ask, Lookup, LookupStep
from orderbridge.venue.markets import MarketRules, MarketStore
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import RowReader, Rows
from orderbridge.venue.sender import HttpCall, KeyAuth, Sender, http_sender
from orderbridge.venue.submit import Placing
from tests.norte.auth import headers
from tests.norte.codes import CODES, understand
from tests.norte.mapping import VENUE, market_from_row, order_from_row, order_to_wire, rows_in, ways

CAPABILITIES: Final = Capabilities(
    order_types=frozenset({OrderType.MARKET, OrderType.LIMIT}),
    times_in_force=frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK}),
    post_only=True,
    client_order_id=ClientIdRule(alphabet="A-Za-z0-9-", max_length=36),
    idempotency=Idempotency.WHILE_ACTIVE,
    lookup_batch=1,
    markets=True,
    cancel_all=True,
)


class NorteGateway(VenueGateway):
    """One account at Norte."""

    @checked_call
    def __init__(
        self,
        *,
        api_key: str,
        api_secret: str,
        base_url: str = "https://api.norte.example/v1",
        account: str = "default",
        clock: Callable[[], float] = time.time,
        **connection: Any,
    ) -> None:
        check_address(base_url, allow_plain_http=False)
        self.name = gateway_name(VENUE, account)
        self.mode, self.address = "live", base_url
        signed = partial(headers, key=api_key, secret=api_secret, clock=clock)
        sender = http_sender(
            venue=VENUE,
            account=account,
            address=base_url,
            key=api_key,
            pace=Rate(burst=20, per_second=5.0),
            auth=lambda session: KeyAuth((api_key, api_secret), signed),
            understand=understand,
            judge=CODES,
            **connection,
        )
        orders = _Orders(sender, account, clock, OrderMemory())
        # What is read beside a write does not wait behind other reads.
        beside = _Orders(sender.in_lane("resolve"), account, clock, orders.memory)
        rules = MarketRules(public=orders.markets, market=lambda row, own, warn: market_from_row(row))
        markets = MarketStore(rules, gateway=self.name, log=sender.session.log, address=base_url)
        parts = Parts(
            sender=sender,
            now=orders.now,
            look_up=orders.look_up,
            open_orders=orders.open,
            placing=Placing(
                sender=sender,
                capabilities=CAPABILITIES,
                clock=clock,
                call=_new,
                said=orders.submitted,
                known=orders.memory.created,
                markets=markets,
            ),
            cancelling=Cancelling(
                seeking=Seeking(gateway=self.name, look_up=beside.look_up, order_id=lambda ref: ref.order_id),
                memory=orders.memory,
                log=sender.session.log,
                now=orders.now,
                send=orders.cancel,
                open_orders=orders.open,
            ),
            markets=markets,
        )
        super().__init__(venue=VENUE, account=account, capabilities=CAPABILITIES, parts=parts)


def _new(request: OrderRequest, client_order_id: str | None) -> HttpCall:
    body = order_to_wire(request, client_order_id)
    return HttpCall(operation="submit", method="POST", path="/orders", fields=body, client_order_id=client_order_id)


class _Orders:
    """Reads Norte's orders."""

    def __init__(self, sender: Sender, account: str, clock: Callable[[], float], memory: OrderMemory) -> None:
        self._sender, self._account, self._clock, self.memory = sender, account, clock, memory
        self._rows = RowReader(sender.session)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def read(self, row: Any, source: str) -> Order:
        return order_from_row(row, account=self._account, source=source, observed_at=self.now())

    async def markets(self, fresh: bool) -> Any:
        call = HttpCall(operation="markets", path="/markets", is_public=True)
        return await self._sender.read(call, deadline=Deadline(10.0))

    async def look_up(self, refs: Sequence[RefLike], deadline: Deadline, listed: Any = None) -> LookupResult:
        look = Lookup(self._sender.gateway, refs, deadline=deadline)

        async def rows(asks: Sequence[Ask]) -> Rows[Order]:
            (ask,) = asks
            path, query = (f"/orders/{ask.id}", {}) if ask.kind == ORDER else ("/orders", {"client_id": ask.id})
            payload = await self._sender.read(HttpCall(operation="lookup", path=path, query=query), deadline=deadline)
            found = [payload] if ask.kind == ORDER else rows_in(payload)
            return await self._rows.read(found, partial(self.read, source="look-up"), "lookup")

        find = partial(look.find, read=rows, blames_an_id=lambda error: isinstance(error, OrderNotFound))
        return await look.run(ways, [[LookupStep((ORDER,), find), LookupStep((CLIENT,), find)]])

    async def open(self, symbol: Symbol | None, deadline: Deadline) -> Rows[Order]:
        call = HttpCall(operation="open_orders", path="/orders", query={"status": "open"})
        payload = await self._sender.read(call, deadline=deadline)
        rows = await self._rows.read(rows_in(payload), partial(self.read, source="open orders"), "open_orders")
        rows.good = [order for order in rows.good if symbol in (None, order.symbol)]
        return rows

    async def submitted(self, payload: Any, request: Any, call: HttpCall, deadline: Deadline) -> Order:
        return self.read(payload, "submit")

    async def cancel(self, meant: Meant, deadline: Deadline) -> Cancelled:
        call = HttpCall(operation="cancel", method="DELETE", path=f"/orders/{meant.order_id}", order_id=meant.order_id)
        await self._sender.cancel(call, deadline=deadline)
        return Cancelled()  # an acknowledgement: the order is read
