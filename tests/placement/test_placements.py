"""A bridge's background work: what starts once, what waits for what, and that it ends with the bridge."""

import asyncio
from typing import Any

import pytest

from orderbridge.errors import (
    ConfigurationError,
    JournalError,
    NotSent,
    OrderBridgeError,
    OutcomeUnknown,
    VenueUnavailable,
)
from orderbridge.placement import MemoryJournal, Record
from orderbridge.placement.journal import Gap
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import limit_buy
from tests.placement.test_resolve_certificate import Venue


def others() -> list[str]:
    """The tasks that run beside this one."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return sorted(getattr(task.get_coro(), "__qualname__", "") for task in tasks)


async def test_many_recoveries_of_a_venue_that_is_down_make_one_loop() -> None:
    """A bot that calls `recover` until it succeeds does not pile up tasks, and the one goes on by itself."""
    venue = Accepting()
    venue.open = VenueUnavailable("down")
    bot = Bot(venue, journal=MemoryJournal())

    for _ in range(10):
        await bot.bridge.recover()
    loops = others().count("Placements._recover_until_done")
    venue.open = []
    await bot.bridge.place("bitso", limit_buy(), send_within=3)
    await bot.bridge.aclose()

    assert loops == 1
    assert others() == []


class Hiccup(MemoryJournal):
    """It cannot tell once whether something was lost."""

    fails = True

    async def gap(self, gateway: str, symbol: str) -> Gap | None:
        if self.fails:
            self.fails = False
            raise JournalError("the disk is busy")
        return None


async def test_a_bridge_that_could_not_come_alive_at_once_has_a_heart_all_the_same() -> None:
    """Its lease is renewed once it places: one that ran out would let others take over what it sends."""
    bot = Bot(Accepting(), journal=Hiccup())
    with pytest.raises(JournalError, match="the disk is busy"):
        await bot.bridge.recover()

    await bot.bridge.place("bitso", limit_buy(), send_within=3)
    running = others()
    await bot.bridge.aclose()

    assert running.count("Placements._stay_alive") == running.count("Placements._look_for_orphans") == 1


class Slow(Venue):
    """Its answer takes a while."""

    async def submit(self, request: Any, **how: Any) -> Any:
        await asyncio.sleep(0.3)
        raise OutcomeUnknown("lost")


class Closing(MemoryJournal):
    """It knows whether it was closed."""

    is_closed = False

    async def aclose(self) -> None:
        self.is_closed = True


async def test_a_close_that_was_cancelled_can_be_awaited_again() -> None:
    """Whoever stops waiting stops nothing: the attempt ends, the journal is closed, and no task is left."""
    journal = Closing()
    bot = Bot(Slow(), journal=journal)
    await bot.bridge.recover()
    placing = asyncio.ensure_future(bot.lose())
    await asyncio.sleep(0.05)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bot.bridge.aclose(), 0.05)
    before = journal.is_closed
    await asyncio.wait_for(bot.bridge.aclose(), 3)
    await placing

    assert (before, journal.is_closed) == (False, True)
    assert others() == []


class SlowToWake(MemoryJournal):
    """Its leases take a while to be stored."""

    async def keep_alive(self, owner: str, seconds: float) -> None:
        await asyncio.sleep(0.05)
        await super().keep_alive(owner, seconds)


class SlowToList(Venue):
    """Its open orders are long in coming, and then do not come."""

    async def open_orders(self, **how: Any) -> Any:
        await asyncio.sleep(0.05)
        raise VenueUnavailable("down")


@pytest.mark.parametrize("venue", [Venue, SlowToList])
@pytest.mark.parametrize("journal", [MemoryJournal, SlowToWake])
@pytest.mark.parametrize("after", [0.0, 0.02, 0.07])
async def test_a_recovery_that_a_close_overtakes_leaves_nothing_behind(venue: Any, journal: Any, after: float) -> None:
    """At whatever moment the bridge is closed: no heart, no retry and no probe goes on over a closed journal."""
    bot = Bot(venue(), journal=journal())
    recovering = asyncio.ensure_future(bot.bridge.recover())
    await asyncio.sleep(after)

    await bot.bridge.aclose()
    result = (await asyncio.gather(recovering, return_exceptions=True))[0]
    await asyncio.sleep(0.01)

    assert not isinstance(result, BaseException) or isinstance(result, ConfigurationError)
    assert others() == []


async def test_nothing_is_sent_once_a_bridge_was_closed() -> None:
    """A place that had waited for its permit all the while says that it was not sent, and gives the permit back."""
    venue, gate = Accepting(), asyncio.Event()

    async def later(lane: Any = "place", *, timeout: float | None = None) -> Any:
        if timeout == 0:
            raise NotSent("busy")
        await gate.wait()
        return await Venue.permit(venue, lane)

    venue.permit = later  # type: ignore[method-assign]
    bot = Bot(venue)
    placing = asyncio.ensure_future(bot.bridge.place("bitso", limit_buy()))
    await asyncio.sleep(0.02)
    await bot.bridge.aclose()
    gate.set()

    with pytest.raises(NotSent, match="closed"):
        await placing
    with pytest.raises(ConfigurationError, match="closed"):
        await bot.bridge.place("bitso", limit_buy())
    assert venue.sent == []


class SlowToStore(MemoryJournal):
    """Its first commit takes long."""

    async def create(self, *args: Any, **how: Any) -> Record:
        await asyncio.sleep(0.5)
        return await super().create(*args, **how)


async def test_what_is_stored_too_late_is_not_sent() -> None:
    """The caller was told that nothing was sent; that stays true, and its key goes on with the same placement."""
    venue, journal = Accepting(), SlowToStore()
    bot = Bot(venue, journal=journal)
    await bot.bridge.recover()

    with pytest.raises(NotSent, match="nothing was sent"):
        await bot.bridge.place("bitso", limit_buy(), key="k1", timeout=0.05)
    await asyncio.sleep(0.6)
    sent = len(venue.sent)
    (stored,) = await bot.bridge.placements()
    order = await bot.bridge.place("bitso", limit_buy(), key="k1")
    await bot.bridge.aclose()

    assert (sent, stored.state) == (0, "prepared")
    assert order.client_order_id == stored.client_order_id
    assert len(venue.sent) == 1


async def test_old_orders_do_not_hold_up_placing() -> None:
    """What became of orders that worked days ago is found out after placing may begin."""
    journal = MemoryJournal()
    first = Bot(Accepting(), journal=journal)
    for price in range(1, 4):
        await first.bridge.place("bitso", limit_buy(price=str(price)))
    await first.bridge.aclose()
    venue, gate = Accepting(), asyncio.Event()

    async def later(*refs: Any, timeout: float | None = None) -> Any:
        await gate.wait()
        return await Venue.lookup(venue, *refs, timeout=timeout)

    venue.lookup = later  # type: ignore[method-assign]
    bot = Bot(venue, journal=journal, clock=lambda: 4_000_000_000.0)

    recovering = asyncio.ensure_future(bot.bridge.recover())
    order = await bot.bridge.place("bitso", limit_buy(price="9"), send_within=0.5)
    was_done = recovering.done()
    gate.set()
    await recovering
    await bot.bridge.aclose()
    after = Bot(Venue(), journal=journal, clock=lambda: 4_000_000_120.0)  # a later process, the settle time on
    report = await after.bridge.recover()
    await after.bridge.aclose()

    assert (order.order_id, was_done) == ("oid1", False)
    assert len(report.ended) == 3


async def test_an_adapter_that_errs_in_the_recovery_is_reported() -> None:
    """Whatever it raises is in the report, and placing waits, and says why."""
    venue = Accepting()
    venue.open = RuntimeError("an adapter's own mistake")
    bot = Bot(venue, journal=MemoryJournal())

    report = await bot.bridge.recover()
    with pytest.raises(OrderBridgeError, match="own mistake"):
        await bot.bridge.place("bitso", limit_buy(), send_within=0.05)
    await bot.bridge.aclose()

    assert list(report.unreachable) == ["bitso"]
