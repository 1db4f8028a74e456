"""Following up: by whose clock, how much of the venue it asks, and that nobody waits for another's send."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from orderbridge import Order, OrderBridge, OrderRequest
from orderbridge.adapters.bitcain import BitcainGateway
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError, NotSent, OutcomeUnknown, VenueUnavailable
from orderbridge.http import NothingSent, WireRequest, WireResponse
from orderbridge.placement import Happened, MemoryJournal
from orderbridge.placement.resolve import Probing, Timetable
from orderbridge.placement.states import step
from tests.placement.hand import Bot
from tests.placement.kit import NOW, limit_buy, record, seen, until, until_placed
from tests.placement.test_resolve_certificate import Venue
from tests.placement.test_resolve_resend import Again


class Clock:
    """The time, and by how much somebody set it."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def __call__(self) -> float:
        return time.time() + self.offset


def watched_soon(clock: Clock) -> None:
    """Set a clock forward to just before the next moment at which what is watched is asked for."""
    clock.offset = 300.0 - time.time() % 300.0 - 0.5


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_clock_that_was_set_forward_proves_nothing(restarts: bool) -> None:
    """However late it says it is, the horizon must pass by a clock that nobody sets."""
    clock, journal = Clock(), MemoryJournal()
    bot = Bot(Venue(), clock=clock, settle_horizon=2.0, journal=journal)
    began = time.monotonic()
    placement = await bot.lose()

    clock.offset = 180.0
    if restarts:
        await bot.bridge.aclose()
        bot = Bot(Venue(), clock=clock, settle_horizon=2.0, journal=journal)
        await bot.bridge.recover()
    early = await bot.bridge.resolve(placement, timeout=0.4)
    after = await bot.bridge.resolve(placement, timeout=60)
    took = time.monotonic() - began
    await bot.bridge.aclose()

    assert early.state == "uncertain"
    assert after.state == "not_placed"
    assert 2.0 <= took < 60


async def test_a_job_that_lives_shorter_than_the_horizon_gets_its_verdict() -> None:
    """
    What earlier processes waited counts while the machine runs, so a job that starts anew each time ends.

    It lives as long as a verdict takes after that: half the horizon.
    """
    journal, lives = MemoryJournal(), 1
    bot = Bot(Venue(), settle_horizon=4.0, probe_times=(0.1, 0.2, 0.3), journal=journal)
    placement = await bot.lose()

    while placement.state == "uncertain":
        await bot.bridge.aclose()
        lives += 1
        assert lives < 40
        bot = Bot(Venue(), settle_horizon=4.0, probe_times=(0.1, 0.2, 0.3), journal=journal)
        await bot.bridge.recover()
        placement = await bot.bridge.resolve(placement, timeout=3.0)
    await bot.bridge.aclose()

    assert placement.state == "not_placed"
    assert lives > 2


async def test_the_clock_of_another_kernel_proves_nothing() -> None:
    """After the machine was started anew, or on another one, the horizon must pass in a process that waits for it."""
    journal = MemoryJournal()
    bot = Bot(Venue(), settle_horizon=1.5, journal=journal)
    placement = await bot.lose()
    await bot.bridge.aclose()
    taken = {"uptime": -1e6, "kernel": "another@4"}
    at = placement.created_at
    await journal.change(placement.placement_id, lambda now: step(now, Happened.TAKEN, at=at, **taken))

    began = time.monotonic()
    bot = Bot(Venue(), settle_horizon=1.5, journal=journal)
    await bot.bridge.recover()
    after = await bot.bridge.resolve(placement, timeout=60)
    took = time.monotonic() - began
    await bot.bridge.aclose()

    assert after.state == "not_placed"
    assert took >= 1.5


async def test_a_clock_that_was_set_back_does_not_silence_probing() -> None:
    """An hour back is no hour without a probe: it is asked again within the time between two probes."""
    clock, venue = Clock(), Venue()
    bot = Bot(venue, clock=clock, settle_horizon=5.0, probe_times=(0.05, 0.1, 5.0))
    object.__setattr__(bot.bridge._placements.line("bitso").resolver._probing, "every", 0.2)
    placement = await bot.lose()

    clock.offset = -3600.0
    await asyncio.sleep(0.1)
    venue.orders_found = [seen(client_order_id=placement.client_order_id)]
    after = await bot.bridge.resolve(placement, timeout=2)
    await bot.bridge.aclose()

    assert after.state == "placed"


@pytest.mark.parametrize("follows", ["the same process", "the next one", "one on another machine"])
async def test_a_clock_that_was_a_day_ahead_delays_no_verdict(follows: str) -> None:
    """Sent with the clock a day ahead, and the clock put right: the horizon is waited for, and not the day."""
    clock, journal = Clock(offset=86_400.0), MemoryJournal()
    bot = Bot(Venue(), clock=clock, settle_horizon=0.3, journal=journal)
    placement = await bot.lose()

    clock.offset = 0.0
    if follows != "the same process":
        await bot.bridge.aclose()
        if follows != "the next one":
            at, taken = placement.created_at, {"uptime": 0.0, "kernel": "another@4"}
            await journal.change(placement.placement_id, lambda now: step(now, Happened.TAKEN, at=at, **taken))
        bot = Bot(Venue(), clock=clock, settle_horizon=0.3, journal=journal)
        await bot.bridge.recover()
    after = await bot.bridge.resolve(placement, timeout=60)
    await bot.bridge.aclose()

    assert after.state == "not_placed"


async def test_a_clock_that_was_a_day_ahead_delays_no_question() -> None:
    """Nor is it a day until a person is told that nothing can be proven."""
    clock, venue = Clock(offset=86_400.0), Counting()
    bot = Bot(venue, clock=clock, settle_horizon=0.1)
    object.__setattr__(bot.bridge._placements.line("bitso").resolver._probing, "every", 0.2)
    placement = await bot.lose()

    clock.offset = 0.0
    after = await bot.bridge.resolve(placement, timeout=60)
    await bot.bridge.aclose()

    assert (after.state, after.gave_up) == ("uncertain", True)


async def test_a_dead_owner_of_another_machine_is_not_believed_for_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its clock, a day ahead, promised does not hold its placements: it would say so again while it lives."""
    clock, journal = Clock(), MemoryJournal()
    first = Bot(Venue(), clock=clock, settle_horizon=0.1, journal=journal)
    placement = await first.lose()
    await first.bridge.aclose()
    stored = await journal.get(placement.placement_id)
    assert stored is not None
    other = "elsewhere:1:1:x"
    await journal.keep_alive(other, 86_400.0)
    await journal.change(stored.id, lambda now: step(now, Happened.TAKEN, at=stored.placement.created_at, owner=other))
    monkeypatch.setattr("orderbridge.placement.ledger.LEASE_SECONDS", 0.2)
    monkeypatch.setattr("orderbridge.placement.resolve.LEASE_SECONDS", 0.1)

    bot = Bot(Venue(), clock=clock, settle_horizon=0.1, journal=journal)
    after = await bot.bridge.resolve(placement, timeout=60)
    await bot.bridge.aclose()

    assert after.state == "not_placed"


async def test_what_another_process_may_still_send_is_waited_for() -> None:
    """Whoever takes over an attempt begins to count when no byte of it can leave any more."""
    journal = MemoryJournal()
    first = Bot(Venue(), journal=journal)
    placement = await first.lose()
    await first.bridge.aclose()
    bot = Bot(Venue(), journal=journal)
    sent_at = bot.bridge._placements.ledger.now()
    late = {"sent_at": sent_at, "not_after": sent_at + timedelta(seconds=2)}
    taken_by = {"at": sent_at, "owner": bot.bridge._placements.ledger.owner}
    await journal.change(placement.placement_id, lambda now: step(now, Happened.TAKEN, **taken_by, **late))

    early = await bot.bridge.resolve(placement, timeout=1)
    after = await bot.bridge.resolve(placement, timeout=60)
    await bot.bridge.aclose()

    assert (early.state, after.state) == ("uncertain", "not_placed")


def test_a_horizon_shorter_than_an_attempt_is_refused() -> None:
    """An order that is still on its way after the horizon would be called absent; and a horizon is a number."""
    gateways = [
        BitsoGateway(api_key="key", api_secret="secret"),
        BitcainGateway(base_url="https://venue.test", trading_mode="paper", token="t"),
        BitsoGateway(api_key="key", api_secret="secret", base_url="http://127.0.0.1:1/api/v3", transport=Timeless()),
    ]

    for gateway in gateways:
        with pytest.raises(ConfigurationError, match="shorter than an attempt may take"):
            OrderBridge(gateway, settle_horizon=14.0)
        OrderBridge(gateway, settle_horizon=15.0)
    OrderBridge(
        BitsoGateway(api_key="key", api_secret="secret", base_url="http://127.0.0.1:1/api/v3"), settle_horizon=0.1
    )
    for horizon in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigurationError, match=r"seconds from 0 on|is a number of seconds"):
            OrderBridge(Venue(), settle_horizon=horizon)


class Timeless:
    """A caller's own engine, from before there was a deadline for writing."""

    async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
        raise NothingSent("never asked")

    async def aclose(self) -> None:
        pass


class Counting(Venue):
    """It is down, and counts what it is asked for."""

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(**capabilities)
        self.asked: dict[str, int] = {"lookup": 0, "fills": 0}

    async def lookup(self, *refs: Any, timeout: float | None = None) -> Any:
        self.asked["lookup"] += 1
        raise VenueUnavailable("down")

    async def fills(self, ref: Any = None, **how: Any) -> Any:
        self.asked["fills"] += 1
        raise VenueUnavailable("down")
        yield


async def test_a_venue_that_is_down_is_not_asked_for_the_trades_of_each_placement() -> None:
    """What is blocked already needs no further proof, and a venue in trouble is spared."""
    venue = Counting()
    bot = Bot(venue)
    placements = [await bot.lose(limit_buy(price=str(price))) for price in range(1, 6)]

    after = [await bot.bridge.resolve(placement, timeout=3) for placement in placements]
    await bot.bridge.aclose()

    assert all(each.gave_up for each in after)
    assert venue.asked["lookup"] > 0
    assert venue.asked["fills"] == 0


async def test_a_look_at_what_another_process_follows_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does one at a venue that is down: only rounds in which nothing is shown are followed by more of them."""
    journal = MemoryJournal()
    bot = Bot(Venue(), settle_horizon=600.0, journal=journal)
    placement = await bot.lose()
    told = {"gave_up": True}
    record = await bot.bridge._placements.ledger.note(
        await bot.bridge._placements.record_of(placement), Happened.GAVE_UP, placement=told
    )
    resolver = bot.bridge._placements.line(placement.gateway).resolver

    async def nobodys(*_: object) -> None:
        return None

    async def down(*_: object, **__: object) -> Any:
        raise VenueUnavailable("down")

    async with asyncio.timeout(20):  # two pauses are five minutes
        with monkeypatch.context() as broken:
            broken.setattr(bot.bridge._placements.ledger, "take", nobodys)
            await resolver.look_again(record)
        monkeypatch.setattr(Venue, "lookup", down)
        await resolver.look_again(record)
    await bot.bridge.aclose()


async def test_a_resend_that_takes_long_holds_up_no_other_placement() -> None:
    """While one order is sent again, without an end, another is probed and sent again too."""
    venue = Venue()

    async def loses_then_hangs(request: OrderRequest, **how: Any) -> Order:
        venue.sent.append(request)
        if sum(each.client_order_id == request.client_order_id for each in venue.sent) > 1:
            await asyncio.Event().wait()
        raise OutcomeUnknown("lost")

    venue.submit = loses_then_hangs  # type: ignore[method-assign]
    bot = Bot(venue, on_uncertain="resend_if_absent")
    first = await bot.lose(limit_buy(price="1"))
    await asyncio.sleep(0.4)
    sends = [request.client_order_id for request in venue.sent]
    second = await bot.lose(limit_buy(price="2"))
    await asyncio.sleep(0.4)
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0)

    ids = [first.client_order_id, second.client_order_id]
    assert sends == [ids[0]] * 2
    assert [request.client_order_id for request in venue.sent] == [ids[0], ids[0], ids[1], ids[1]]


async def left_to_be_sent_again(journal: MemoryJournal, begins: bool, **settings: Any) -> Any:
    """What a process leaves that proved a placement absent and ended before it sent it again, or while it could not."""
    venue = Again(OutcomeUnknown("lost"), NotSent("no connection"))
    bot = Bot(venue, journal=journal, on_uncertain="resend_if_absent", **settings)

    async def none_twice(lane: Any = "place", *, timeout: float | None = None) -> Any:
        if venue.sent and not begins:
            raise NotSent("locked out")
        return await Venue.permit(venue, lane, timeout=timeout)

    venue.permit = none_twice  # type: ignore[method-assign]
    placement = await bot.lose(key="k1")
    await asyncio.sleep(0.4)
    await bot.bridge.aclose()
    return placement


@pytest.mark.parametrize("begins", [False, True])
async def test_what_was_to_be_sent_again_is_denied_and_still_watched(begins: bool) -> None:
    """The first attempt may show up late: that is a ghost then, found by asking for it."""
    journal, clock = MemoryJournal(), Clock()
    placement = await left_to_be_sent_again(journal, begins, clock=clock)
    watched_soon(clock)
    venue = Venue()
    bot = Bot(venue, journal=journal, on_uncertain="resend_if_absent", clock=clock)

    report = await bot.bridge.recover()
    (left,) = await journal.find(key="k1")
    venue.orders_found = [seen(client_order_id=placement.client_order_id)]
    await until_placed(bot.bridge)
    (after,) = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert [each.placement_id for each in report.denied] == [placement.placement_id]
    assert left.state == "denied"
    assert left.reason is not None
    assert "not sent again after it was proven absent" in left.reason
    assert bot.kinds == ["ghost"]
    assert after.state == "placed"


async def test_what_a_process_that_ended_had_watched_is_watched_by_one_that_lives() -> None:
    """A verdict of a sibling that is gone is looked after until its time is over."""
    journal, clock = MemoryJournal(), Clock()
    venue = Venue()
    living = Bot(venue, journal=journal, clock=clock)
    await living.bridge.recover()
    first = Bot(Venue(), journal=journal, clock=clock)
    placement = await first.bridge.resolve(await first.lose(), timeout=3)
    await first.bridge.aclose()

    watched_soon(clock)
    await living.bridge._placements.line("bitso").recovery.take_over(watched=True)
    venue.orders_found = [seen(client_order_id=placement.client_order_id)]

    async def is_told() -> bool:
        return living.kinds == ["ghost"]

    await until(is_told)
    await living.bridge.aclose()

    assert placement.state == "not_placed"
    assert living.kinds == ["ghost"]


SENT = NOW.timestamp()


def wait(
    number: int, *, now: float, state: str = "uncertain", followed: float = 0.0, late: int = 0, **probing: object
) -> float:
    about = {"horizon": 120.0, "times": (0.5, 1.0, 60.0), "every": 300.0, **probing}
    schedule = Timetable(Probing(**about), clock=lambda: SENT + now)  # type: ignore[arg-type]
    return schedule.wait(record(state=state, sent_at=NOW, not_after=NOW), number, followed=followed, late=late)


@pytest.mark.parametrize(("now", "due"), [(0.0, 60.0), (-3600.0, 60.0), (-100_000_000.0, 60.0)])
def test_a_clock_that_was_set_back_leaves_the_times_of_probes(now: float, due: float) -> None:
    """A probe is due after its time, by the time that was lived through where the clock says later."""
    assert wait(2, now=now) == due
    assert wait(2, now=now, followed=20.0) == due - 20.0


def test_missed_probes_are_not_made_all_at_one_moment() -> None:
    """After a pause, or with a clock that was set forward, they are a little apart."""
    assert wait(2, now=100_000.0) == 0.5


def test_the_last_probe_waits_for_the_horizon_that_was_lived_through() -> None:
    """With a clock set forward the numbers run out; then the time that really passed decides."""
    assert wait(9, now=100_000.0, followed=20.0) == pytest.approx(100.01)
    assert wait(9, now=100_000.0, followed=121.0) == pytest.approx(0.01)


def test_the_rounds_that_a_verdict_needs_do_not_wait_for_the_slow_beat() -> None:
    """After a restart three rounds behind the horizon tell within minutes whether it can be proven."""
    assert [wait(9, now=100_050.0, followed=121.0, late=late) for late in (1, 2)] == [30.0, 30.0]
    assert wait(9, now=100_050.0, followed=121.0, late=3) == 300.0 - (SENT + 100_050.0) % 300.0
    assert wait(9, now=100_050.0, followed=2.0, late=1, horizon=1.0) == 0.5


@pytest.mark.parametrize("state", ["not_placed", "denied"])
def test_what_is_watched_is_asked_for_at_the_same_moments(state: str) -> None:
    """So that one round asks for many, whenever their verdicts were given."""
    moments = {round((SENT + now + wait(0, now=now, state=state)) % 300.0, 3) for now in (0.0, 17.0, 250.0)}

    assert moments <= {0.0, 300.0}


def test_a_restart_makes_as_many_of_the_missed_probes_as_a_proof_needs() -> None:
    """No more than that, and none before its time."""
    schedule = Timetable(Probing(times=(1.0, 2.0, 3.0, 4.0, 5.0)), clock=lambda: SENT + 4.5)

    assert schedule.first(record(sent_at=NOW, not_after=NOW + timedelta(seconds=5))) == 1
