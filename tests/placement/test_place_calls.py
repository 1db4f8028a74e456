"""What the placing calls promise of what they return and raise."""

import asyncio
from typing import Any

import pytest

from orderbridge import Found, LookupResult
from orderbridge.errors import (
    AuthenticationFailed,
    JournalError,
    NotSent,
    OrderDenied,
    OutcomeUnknown,
    VenueUnavailable,
)
from orderbridge.gateway import limited
from orderbridge.placement import MemoryJournal
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import limit_buy, seen
from tests.placement.test_resolve_resend import Again


class Unreadable(Accepting):
    """It takes orders, and its look-up goes wrong."""

    def __init__(self, wrong: Any) -> None:
        super().__init__()
        self.wrong = wrong

    async def lookup(self, *refs: Any, timeout: float | None = None) -> Any:
        if isinstance(self.wrong, Exception):
            raise self.wrong
        return self.wrong


@pytest.mark.parametrize("wrong", [KeyError("oid"), VenueUnavailable("down"), None, TimeoutError()], ids=repr)
async def test_a_look_that_fails_does_not_deny_a_placed_order(wrong: Any) -> None:
    """An error of `read_back` would have its caller place again what is placed."""
    venue = Unreadable(wrong)
    bot = Bot(venue)

    order = await bot.bridge.place("bitso", limit_buy(), read_back=True)
    await bot.bridge.aclose()

    assert (order.order_id, len(venue.sent)) == ("oid1", 1)


async def denies(*args: Any, **how: Any) -> Any:
    raise OrderDenied("a rule of the market")


class FullOnceLooked(MemoryJournal):
    """A journal that cannot take in what a look-up shows."""

    is_full = False

    async def observe(self, orders: Any) -> Any:
        if self.is_full:
            raise JournalError("the disk is full")
        return await super().observe(orders)


async def test_a_look_that_cannot_be_stored_does_not_deny_a_placed_order() -> None:
    """The disk fills between the placing and the read: the order is returned as it was answered."""
    venue, journal = Accepting(), FullOnceLooked()

    async def shows(*refs: Any, timeout: float | None = None) -> LookupResult:
        journal.is_full = True
        shown = seen(client_order_id=venue.sent[0].client_order_id, filled_quantity="0.004")
        return LookupResult(refs=refs, found=(Found(orders=(shown,), answers={"bitso": "found"}),) * len(refs))

    venue.lookup = shows  # type: ignore[method-assign]
    bot = Bot(venue, journal=journal)

    order = await bot.bridge.place("bitso", limit_buy(), read_back=True)
    await bot.bridge.aclose()

    assert (order.order_id, journal.is_full) == ("oid1", True)


async def test_a_placement_that_was_sent_again_can_be_explained() -> None:
    """Each thing that may happen has its words, that one too."""
    bot = Bot(Again(OutcomeUnknown("lost"), "accepted"), on_uncertain="resend_if_absent")
    placement = await bot.bridge.resolve(await bot.lose(), timeout=3)

    told = await bot.bridge.explain(placement)
    await bot.bridge.aclose()

    assert "is to be sent again under the same id" in told
    assert "It is placed." in told


async def test_a_placement_that_was_denied_can_be_explained_by_its_client_id() -> None:
    """The id that was told when it was prepared leads to it, until another placement is made under that."""
    venue = Accepting()
    venue.submit = denies  # type: ignore[method-assign]
    bot = Bot(venue)
    prepared = await bot.bridge.prepare("bitso", limit_buy(client_order_id="mine1"))
    with pytest.raises(OrderDenied):
        await bot.bridge.place("bitso", prepared)

    told = await bot.bridge.explain("bitso:client:mine1")
    del venue.submit
    await bot.bridge.place("bitso", limit_buy(client_order_id="mine1"))
    after = await bot.bridge.explain("bitso:client:mine1")
    await bot.bridge.aclose()

    assert "was refused here; nothing was sent" in told
    assert "It is denied" in told
    assert "It is placed." in after


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (AuthenticationFailed("wrong key", code="0201", http_status=401), AuthenticationFailed),
        (VenueUnavailable("no route to host"), NotSent),
    ],
)
async def test_placing_says_why_it_cannot_begin(failure: Exception, error: type[Exception]) -> None:
    """Where the recovery stands in the way, a person reads what is wrong there, and wrong keys are said as such."""
    venue = Accepting()
    venue.open = failure
    bot = Bot(venue, journal=MemoryJournal())

    with pytest.raises(error, match=str(failure.args[0])):
        await bot.bridge.place("bitso", limit_buy(), send_within=0.1)
    await bot.bridge.aclose()

    assert venue.sent == []


async def test_what_does_not_pause_is_awaited_without_a_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value and its errors are its own; no time limit is set up for it, however short."""

    async def at_once() -> int:
        return 7

    async def fails() -> None:
        raise TimeoutError("its own")

    monkeypatch.setattr(asyncio, "timeout", None)

    assert await limited(at_once(), 0.0) == 7
    with pytest.raises(TimeoutError, match="its own"):
        await limited(fails(), 0.0)


async def test_what_pauses_is_cut_off_in_time_and_goes_on_as_it_would() -> None:
    """It meets its cancellation where it waits, pauses as often as it likes, and may be no coroutine."""
    met: list[str] = []

    async def pauses(seconds: float) -> str:
        await asyncio.sleep(0)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            met.append("cancelled")
            await asyncio.sleep(0)
            raise
        return "done"

    assert await limited(pauses(0.001), 10.0) == "done"
    with pytest.raises(TimeoutError):
        await limited(pauses(60.0), 0.01)
    assert await limited(asyncio.ensure_future(pauses(0.001)), 10.0) == "done"
    task = asyncio.ensure_future(limited(pauses(60.0), 60.0))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert met == ["cancelled", "cancelled"]


async def test_what_waits_is_told_the_error_of_what_it_waits_for() -> None:
    """An error that comes at the first pause may be met there, and be followed by others."""
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def meets() -> str:
        try:
            await awaited
        except KeyError:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return "met"
        return "not met"

    asyncio.get_running_loop().call_soon(awaited.set_exception, KeyError())

    assert await limited(meets(), 10.0) == "met"
