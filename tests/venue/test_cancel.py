"""How an order stands after a cancel, and what is told of cancels that were done in part."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from orderbridge.errors import AuthenticationFailed, NotSent, OrderBridgeError, OutcomeUnknown, PermissionDenied
from orderbridge.gateway import Capabilities
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import KnownBy, OrderStatus, Symbol
from orderbridge.model.order import Order
from orderbridge.model.ref import OrderRef, RefLike
from orderbridge.model.results import LookupResult
from orderbridge.venue.cancel import (
    CANCEL_LISTED,
    Batches,
    Cancelled,
    Cancelling,
    Listed,
    Meant,
    Seeking,
    conclude,
)
from orderbridge.venue.gateway import Parts, VenueGateway
from orderbridge.venue.lookup import CLIENT, ORDER, Lookup, LookupStep, Way
from orderbridge.venue.memory import OrderMemory
from orderbridge.venue.rows import Rows

AT = datetime(2026, 1, 2, tzinfo=UTC)


def order(**changes: Any) -> Order:
    plain = {"venue": "v", "order_id": "1", "symbol": "BTC/MXN", "side": "buy", "status": "open", "quantity": "1"}
    return Order(**{**plain, **changes})


def concluded(known: Order | None, seen: Order | None, listed: bool | None) -> Order:
    after = conclude(known, seen, listed=listed, at=AT)
    assert after is not None
    return after


@pytest.mark.parametrize(
    ("known", "listed"),
    [(None, True), (None, False), (None, None), (order(), False)],
    ids=["listed", "not listed", "acknowledged", "known, not listed"],
)
def test_of_an_order_that_is_not_seen_little_can_be_said(known: Order | None, listed: bool | None) -> None:
    """Nothing of one that was not known, nor of a known one that the venue did not cancel."""
    assert conclude(known, None, listed=listed, at=AT) is None


def test_a_listed_order_is_cancelled_with_the_larger_fills() -> None:
    """Whatever is seen of it, unless the venue reports an end; trades may lag, and a read may be stale."""
    known = order(filled_quantity="0.5", trigger_waiting=True)
    for seen, filled in ((None, "0.5"), (order(filled_quantity="0.2"), "0.5"), (order(filled_quantity="0.7"), "0.7")):
        after = concluded(known, seen, True)
        assert (after.status, after.known_by, after.observed_at) == (OrderStatus.CANCELLED, KnownBy.REPORTED, AT)
        assert (after.filled_quantity, after.trigger_waiting) == (Decimal(filled), False)
        assert CANCEL_LISTED in after.evidence

    ended = order(status="filled", filled_quantity="1")
    assert concluded(known, ended, True) is ended
    assert concluded(None, order(), True).status is OrderStatus.CANCELLED


def test_an_acknowledgement_proves_nothing() -> None:
    """A working order has the cancel on its way, be it seen or only known; one that is seen to have ended has ended."""
    ended = order(status="filled", filled_quantity="1")

    assert concluded(order(), ended, None) is ended
    for after in (concluded(None, order(), None), concluded(order(), None, None)):
        assert (after.status, after.cancel_requested) == (OrderStatus.OPEN, True)


def test_an_order_that_was_not_listed_is_as_it_is_seen() -> None:
    """Its cancel is not on its way; of one that was rebuilt from trades the size and the larger fills are known."""
    working = order(status="partially_filled")
    rebuilt = order(status="ended", known_by="inferred", quantity=None, filled_quantity="0.4", evidence=["trades"])

    assert concluded(order(), working, False) is working
    after = concluded(order(filled_quantity="0.6"), rebuilt, False)
    assert (after.status, after.known_by) == (OrderStatus.CANCELLED, KnownBy.INFERRED)
    assert (after.quantity, after.filled_quantity) == (Decimal(1), Decimal("0.6"))
    assert "trades" in after.evidence
    assert concluded(order(), order(status="ended", quantity=None, filled_quantity="1"), False).status == "filled"


Ends = dict[str, Exception | None]


class Desk:
    """A venue whose cancels end as a test says, by the ids in them; what it lists as cancelled it shows no more."""

    def __init__(self, *orders: Order, ends: Ends, by_list: bool = False) -> None:
        self.orders = {each.order_id: each for each in orders}
        self.ends = ends
        self.sent: list[str] = []
        batches = Batches(
            size=1,
            send=self._list,
            everything=self._everything,
            could_be_id=lambda id: True,
            blames_an_id=lambda error: False,
            may_lack=frozenset(),
        )
        self.cancelling = Cancelling(
            seeking=Seeking(
                gateway="v",
                look_up=self._look_up,
                order_id=lambda ref: ref.order_id or ref.id,
                unseen=lambda given, ref, result, operation: None,
            ),
            memory=OrderMemory(),
            log=logging.getLogger("orderbridge.v"),
            now=lambda: AT,
            send=self._by_id,
            by_client_id=self._by_client_id if by_list else None,
            open_orders=self._open,
            batches=batches if by_list else None,
        )

    async def _look_up(self, refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        look = Lookup("v", refs, deadline=deadline)

        async def show(asks: Any) -> None:
            look.take(asks, self.orders.values())

        def ways(ref: OrderRef) -> list[Way]:
            named = [(ORDER, ref.order_id or ref.id), (CLIENT, ref.client_order_id or ref.id)]
            return [Way(kind, id) for kind, id in named if id]

        return await look.run(ways, [[LookupStep((ORDER, CLIENT), show, 0)]])

    async def _open(self, symbol: Symbol | None, deadline: Deadline) -> Rows[Order]:
        return Rows(list(self.orders.values()))

    async def _act(self, what: str, *ids: str) -> list[str]:
        self.sent.append(what)
        await asyncio.sleep(0)  # so that others are on their way too
        if (error := self.ends.get(what)) is not None:
            raise error
        return [id for id in ids if self.orders.pop(id, None)]

    async def _by_id(self, meant: Meant, deadline: Deadline) -> Cancelled:
        return Cancelled(await self._act(meant.order_id, meant.order_id))

    def answer_with(self, shown: Order) -> Callable[[Meant, Deadline], Awaitable[Cancelled]]:
        async def send(meant: Meant, deadline: Deadline) -> Cancelled:
            return Cancelled(order=shown)

        return send

    async def _by_client_id(self, ref: OrderRef, deadline: Deadline) -> Cancelled:
        return Cancelled(await self._act("client id"))

    async def _list(self, ids: Sequence[str], deadline: Deadline, operation: str) -> list[str]:
        return await self._act(",".join(ids), *ids)

    async def _everything(self, deadline: Deadline) -> list[str]:
        return await self._act("everything", *self.orders)


UNSENT, UNCLEAR = NotSent("no connection"), OutcomeUnknown("no answer")
ONE, TWO = order(), order(order_id="2")


async def cancel_all(desk: Desk, symbol: Symbol | None = None) -> Sequence[Order]:
    """Everything that is open there is cancelled, by the gateway's own call."""
    usable: Any = SimpleNamespace(check_usable=lambda: None)
    cancelling = desk.cancelling
    parts = Parts(
        sender=usable,
        now=cancelling.now,
        look_up=lambda refs, deadline: cancelling.seeking.look_up(refs, deadline, {}),
        open_orders=cancelling.open_orders,
        cancelling=cancelling,
    )
    gateway = VenueGateway(venue="v", account="default", capabilities=Capabilities(), parts=parts)
    return await gateway.cancel_all(symbol=symbol, timeout=5)


async def test_a_defect_in_reading_the_answer_denies_no_cancel() -> None:
    """The order tells whether it was done; while it works, or is not shown, it may have been: look it up."""
    defect = {"1": ValueError("no such row")}
    ended, works = Desk(order(status="cancelled"), ends=defect), Desk(ONE, ends=defect)

    after = await ended.cancelling.by_id(Meant("1", order=ONE), Deadline(5))
    with pytest.raises(OutcomeUnknown, match="could not be taken in: ValueError") as unknown:
        await works.cancelling.by_id(Meant("1", order=ONE), Deadline(5))

    assert (after.order_id, after.status) == ("1", OrderStatus.CANCELLED)
    assert unknown.value.order_id == "1"


async def test_an_answer_that_shows_another_order_is_not_that_of_the_cancelled_one() -> None:
    """The order is read instead."""
    desk = Desk(order(status="filled", filled_quantity="1"), ends={})
    shows = desk.cancelling._replace(send=desk.answer_with(order(order_id="2", status="cancelled")))

    after = await shows.by_id(Meant("1", order=ONE), Deadline(5))

    assert (after.order_id, after.status) == ("1", OrderStatus.FILLED)


async def test_what_was_cancelled_by_the_one_id_is_told_though_the_other_way_fails() -> None:
    """A bare id is cancelled as both kinds: that nothing left for the second denies nothing of the first."""
    desk = Desk(order(trigger_waiting=True), ends={"client id": UNSENT}, by_list=True)
    hidden, desk.orders = desk.orders, {}
    desk.cancelling.memory.put(hidden["1"])
    shown = desk.cancelling.send

    async def send(meant: Meant, deadline: Deadline) -> Cancelled:
        desk.orders = dict(hidden)
        return await shown(meant, deadline)

    desk.cancelling = desk.cancelling._replace(send=send)

    after = await desk.cancelling.cancel("1", deadline=Deadline(5))

    assert (after.order_id, after.status) == ("1", OrderStatus.CANCELLED)
    assert desk.sent == ["1", "client id"]


@pytest.mark.parametrize("second", [UNSENT, PermissionDenied("no")])
async def test_lists_of_which_one_was_cancelled_are_not_told_as_undone(second: OrderBridgeError) -> None:
    """Whatever stops the second list, the first is cancelled; the error names what is left."""
    desk = Desk(ONE, TWO, ends={"2": second}, by_list=True)

    with pytest.raises(OutcomeUnknown, match="1 of 2 are cancelled; not for certain: 2") as caught:
        await cancel_all(desk, Symbol("BTC/MXN"))

    assert caught.value.operation == "cancel_all"


async def test_a_first_list_that_did_not_leave_is_told_so() -> None:
    """Nothing was cancelled."""
    desk = Desk(ONE, TWO, ends={"1": UNSENT}, by_list=True)

    with pytest.raises(NotSent):
        await cancel_all(desk, Symbol("BTC/MXN"))


async def test_what_follows_a_cancel_of_everything_without_an_answer_does_not_deny_it() -> None:
    """It may have been carried out: that nothing of the lists after it left proves nothing."""
    desk = Desk(ONE, ends={"everything": UNCLEAR, "1": UNSENT}, by_list=True)

    with pytest.raises(OutcomeUnknown, match="not for certain: 1"):
        await cancel_all(desk)

    assert desk.sent == ["everything", "1"]


async def test_what_follows_a_cancel_by_client_id_without_an_answer_does_not_deny_it() -> None:
    """The order is seen to be live and cancelled by its id: that this did not leave proves nothing of the first."""
    desk = Desk(ends={"client id": UNCLEAR, "1": UNSENT}, by_list=True)
    live = order(client_order_id="c")
    looks = iter([[], [live]])

    async def look_up(refs: Sequence[RefLike], deadline: Deadline, listed: Listed) -> LookupResult:
        desk.orders = {each.order_id: each for each in next(looks, [])}
        return await desk._look_up(refs, deadline, listed)

    desk.cancelling = desk.cancelling._replace(seeking=desk.cancelling.seeking._replace(look_up=look_up))

    with pytest.raises(OutcomeUnknown, match="not for certain: 1"):
        await desk.cancelling.cancel(OrderRef(client_order_id="c"), deadline=Deadline(5))

    assert desk.sent == ["client id", "1"]


async def test_a_refused_key_does_not_hide_that_one_cancel_is_unclear() -> None:
    """Of all that failed, one may have been carried out."""
    desk = Desk(ONE, TWO, ends={"1": AuthenticationFailed("no"), "2": UNCLEAR})

    with pytest.raises(OutcomeUnknown, match="2 of 2 are not cancelled for certain"):
        await cancel_all(desk)
