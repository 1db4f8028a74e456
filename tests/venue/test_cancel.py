"""How an order stands after a cancel, and what a cancel that failed is told as."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from orderbridge.errors import (
    AuthenticationFailed,
    NotSent,
    OrderBridgeError,
    OrderNotFound,
    OutcomeUnknown,
    PermissionDenied,
    RateLimited,
)
from orderbridge.http.limits import Limiter
from orderbridge.http.retry import Deadline, Retries
from orderbridge.http.session import Session
from orderbridge.http.transport import NoAnswer, NothingSent, WireRequest, WireResponse
from orderbridge.model.basics import KnownBy, OrderStatus
from orderbridge.model.order import Order
from orderbridge.model.permit import Lane
from orderbridge.venue.cancel import CANCEL_LISTED, conclude
from orderbridge.venue.codes import Meaning, Said
from orderbridge.venue.sender import RefusedLater, Sender, Tries, VenueCall

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


class NoEngine:
    """Nothing goes out by this."""

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        raise AssertionError("the channel is scripted")

    async def aclose(self) -> None:
        """Nothing to close."""


class Scripted:
    """A channel whose sends end one after the other as a test says."""

    def __init__(self, *ends: Exception | Said, renewals: int = 0) -> None:
        self.ends, self.renewals = list(ends), renewals

    def check_usable(self) -> None:
        """It is."""

    async def ready(self) -> None:
        """Nothing is needed."""

    async def renew(self, stamp: object) -> bool:
        return True

    async def send(self, call: Any, *, lane: Lane, deadline: Deadline, not_after: float | None, tries: Tries) -> Said:
        end = self.ends.pop(0)
        tries.left = tries.left or not isinstance(end, NothingSent)
        if isinstance(end, Exception):
            raise end
        return end


def answer(key: str) -> Said:
    return Said(key=key, text=key, status=400, retry_after=9.0 if key == "throttled" else None)


LOST, UNSENT = NoAnswer("reset"), NothingSent("refused")
FAILED: list[tuple[list[Exception | Said], type[OrderBridgeError]]] = [
    ([UNSENT, UNSENT], NotSent),
    ([LOST, LOST], OutcomeUnknown),
    ([LOST, UNSENT], OutcomeUnknown),
    ([answer("not_found")], OrderNotFound),
    ([UNSENT, answer("permission")], PermissionDenied),
    ([answer("unclear"), answer("permission")], RefusedLater),
    ([LOST, answer("permission")], RefusedLater),
    ([answer("throttled")], OutcomeUnknown),
]


@pytest.mark.parametrize(("ends", "kind"), FAILED)
async def test_tries_that_may_have_left_outweigh(ends: list[Exception | Said], kind: type[OrderBridgeError]) -> None:
    """A refusal is the answer to the last try only; throttled is none."""
    retries = Retries(tries=2, first_wait=0.001)
    session = Session(gateway="v", venue="v", transport=NoEngine(), limiter=Limiter(None), retries=retries)
    channel = Scripted(*ends)
    sender = Sender(channel, session, lambda said, operation: Meaning(said.key))

    with pytest.raises(kind) as caught:
        await sender.cancel(VenueCall(operation="cancel", order_id="1"), deadline=Deadline(1.0))

    assert type(caught.value) is kind
    assert (caught.value.operation, channel.ends) == ("cancel", [])


@pytest.mark.parametrize(
    ("ends", "renewals", "kind"),
    [
        ([answer("not_admitted"), Said(ok=True, payload="done")], 1, None),
        ([answer("not_admitted"), answer("not_admitted")], 1, AuthenticationFailed),
        ([answer("not_admitted"), LOST], 1, OutcomeUnknown),
        ([answer("not_admitted"), answer("permission")], 1, PermissionDenied),
        ([answer("not_admitted")], 0, AuthenticationFailed),
        ([LOST], 1, OutcomeUnknown),
    ],
)
async def test_what_is_sent_once_is_sent_again_after_it_was_not_admitted(
    ends: list[Exception | Said], renewals: int, kind: type[OrderBridgeError] | None
) -> None:
    """As often as the venue bears: it was refused before it was looked at. After anything else it may be done."""
    session = Session(
        gateway="v", venue="v", transport=NoEngine(), limiter=Limiter(None), retries=Retries(first_wait=0.001)
    )
    channel = Scripted(*ends, renewals=renewals)
    sender = Sender(channel, session, lambda said, operation: Meaning(said.key))
    call = VenueCall(operation="cancel", client_order_id="c")

    if kind is None:
        assert await sender.cancel(call, deadline=Deadline(1.0), once=True) == "done"
    else:
        with pytest.raises(kind):
            await sender.cancel(call, deadline=Deadline(1.0), once=True)

    assert channel.ends == []


async def test_a_cancel_while_locked_out_is_told_as_throttled() -> None:
    """Nothing left, and the error says how long the lock-out lasts."""
    session = Session(gateway="v", venue="v", transport=NoEngine(), limiter=Limiter(None))
    session.lock_out(60.0, operation=None)
    sender = Sender(Scripted(), session, lambda said, operation: Meaning(said.key))

    with pytest.raises(RateLimited) as caught:
        await sender.cancel(VenueCall(operation="cancel", order_id="1"), deadline=Deadline(1.0))

    assert 59 < (caught.value.retry_after or 0) <= 60
