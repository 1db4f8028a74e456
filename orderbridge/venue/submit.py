"""A new order: held against what the venue takes, sent once, and its answer held against what was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from orderbridge.client_ids import mint
from orderbridge.errors import InvalidOrder, NotSent, OrderBridgeError, OutcomeUnknown, printable
from orderbridge.gateway import Capabilities
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import OrderStatus, OrderType, made, unsaid
from orderbridge.model.order import Order, sorted_once
from orderbridge.model.permit import Permit
from orderbridge.model.request import OrderRequest
from orderbridge.screening import as_asked, differences, refuse_undeclared
from orderbridge.venue.markets import MarketStore, amounts_of
from orderbridge.venue.sender import Sender, VenueCall

# An answer that contradicts one of these is about another order than was sent; other words may be the venue's own way.
_IDENTITY: Final = ("client_order_id", "symbol", "side", "paper")
_MANNER: Final = ("type", "time_in_force", "post_only", "reduce_only")


class Unclear(Exception):
    """An answer does not show the order that a write was about, or may be about another."""

    def __init__(self, reason: str, *, order_id: str | None = None) -> None:
        super().__init__(reason)
        self.order_id = order_id


class Placing(NamedTuple):
    """
    How a venue takes new orders.

    Attributes:
        clock: epoch seconds, for the client order id of an order that brings none.
        call: an order as it leaves, under its client order id. OrderDenied: it cannot.
        said: the order that the answer to a call shows, read back where it shows too little. Unclear: it shows none.
        known: takes the order in, and gives it back with what is known here beside the answer.
        screen: OrderDenied, NotSupported for what is not taken, where capabilities cannot say so.
        markets: whose rules an order is held against. is_rule: a refusal is by one of them, so that ours are old.
        stated: what else an answer states, by our names for it: identity, size and prices.
        tells_manner: a type, lifetime or flag other than what was sent is an anomaly, and not a way of writing it.
        paper: the mode that orders are sent in, where answers state one.
    """

    sender: Sender
    capabilities: Capabilities
    clock: Callable[[], float]
    call: Callable[[OrderRequest, str | None], VenueCall]
    said: Callable[[Any, OrderRequest, Any, Deadline], Awaitable[Order]]
    known: Callable[[Order], Order]
    screen: Callable[[OrderRequest], None] = lambda request: None
    markets: MarketStore | None = None
    is_rule: Callable[[InvalidOrder], bool] = lambda refused: False
    stated: Callable[[Any], Mapping[str, object]] = lambda answer: {}
    tells_manner: bool = False
    paper: bool | None = None

    async def submit(
        self, request: OrderRequest, *, permit: Permit | None, not_after: float | None, deadline: Deadline
    ) -> Order:
        """
        Send a new order once, and return what its answer shows of it, of the size and prices that were asked for.

        Raises:
            OrderDenied, NotSupported, NotSent: nothing was sent.
            OutcomeUnknown: sent, and no clear answer, or one about another order.
            The venue's refusals.
        """
        with BeforeSending():
            self.screen(request)
            refuse_undeclared(request, self.capabilities, gateway=self.sender.gateway)
            if self.markets is not None:
                await self.markets.hold(request.symbol, amounts_of(request), deadline=deadline)
            rule = self.capabilities.client_order_id
            client_order_id = request.client_order_id
            if rule and not client_order_id:
                client_order_id = mint(self.clock(), max_length=rule.max_length)
            call = self.call(request, client_order_id)
        try:
            answer = await self.sender.write(call, permit=permit, not_after=not_after, deadline=deadline)
        except InvalidOrder as refused:
            if self.markets is not None and self.is_rule(refused):
                self.markets.refused()
            raise
        try:
            order = await self.said(answer, request, call, deadline)
            doubts = self._doubts(order, answer, request, client_order_id)
            order, figures = as_asked(order, request)
            return self.known(self._told(order, [*doubts, *figures], client_order_id))
        except Unclear as unclear:
            raise self._unclear(str(unclear), client_order_id, order_id=unclear.order_id) from unclear
        except Exception as error:
            # Whatever it is called: as one of those that say "nothing left", it would have the order sent again.
            why = f"its answer could not be taken in: {type(error).__name__}: {error}"
            raise self._unclear(why, client_order_id) from error

    def _unclear(self, why: str, client_order_id: str | None, *, order_id: str | None = None) -> OutcomeUnknown:
        return OutcomeUnknown(f"the order was sent, and {why}", order_id=order_id, client_order_id=client_order_id)

    def _doubts(self, order: Order, answer: Any, request: OrderRequest, client_order_id: str | None) -> list[str]:
        asked = {**request.__dict__, "client_order_id": client_order_id, "paper": self.paper}
        told, names = order.__dict__, _IDENTITY + _MANNER if self.tells_manner else _IDENTITY
        shown = {**{name: told[name] for name in names}, **self.stated(answer)}
        if order.type is OrderType.UNKNOWN:
            del asked["type"]
        doubts = differences(asked, shown)
        wrong = [doubts[name] for name in _IDENTITY if name in doubts]
        if wrong:
            raise Unclear(f"the answer shows another, {order.order_id}: {'; '.join(wrong)}", order_id=order.order_id)
        return list(doubts.values())

    def _told(self, order: Order, doubts: list[str], client_order_id: str | None) -> Order:
        for doubt in doubts:
            extra = log_facts(self.sender.gateway, "submit", order_id=order.order_id, client_order_id=client_order_id)
            self.sender.session.log.warning("order %s: %s", order.order_id, doubt, extra=extra)
        if doubts:
            order = order.noted(anomalies=doubts)
        if order.client_order_id is None and client_order_id is not None:
            note = "its client order id is the one it was sent with: the answer states none"
            order = order.noted(note, client_order_id=client_order_id)
        return order


def order_as_asked(
    request: OrderRequest,
    *,
    venue: str,
    account: str,
    order_id: str,
    client_order_id: str | None,
    observed_at: datetime,
    evidence: str = "submit: an id was given",
    anomalies: Iterable[str] = (),
    **more: Any,
) -> Order:
    """
    An order of which an answer tells the id and no more: what was asked for, and nothing of its fills.

    Args:
        more: fields that are otherwise than in the request, or beside it.
    """
    told, given = unsaid(Order), request.__dict__
    for name in _ASKED:
        told[name] = given[name]
    told |= {"venue": venue, "account": account, "order_id": order_id, "client_order_id": client_order_id}
    told |= {"raw_type": str(request.type), "status": OrderStatus.ACCEPTED, "raw": {}, "observed_at": observed_at}
    told |= {**more, "evidence": (evidence,), "anomalies": sorted_once(map(printable, anomalies))}
    return made(Order, told)


_ASKED: Final = (
    "symbol",
    "side",
    "type",
    "quantity",
    "quote_quantity",
    "price",
    "stop_price",
    "time_in_force",
    "expires_at",
    "post_only",
    "reduce_only",
)


class BeforeSending:
    """
    Where nothing of a write has left yet: whatever fails inside, a defect included, is no unknown outcome.

    Raises:
        NotSent: in place of an error that is none of ours.
    """

    __slots__ = ()

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, OrderBridgeError):
            raise NotSent(f"nothing was sent: {type(error).__name__}: {error}") from error
