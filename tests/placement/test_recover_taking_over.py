"""What is made of prepared placements of others: by a second run, beside an owner that lives, after a close."""

from datetime import timedelta
from typing import Any

import pytest

from orderbridge.errors import JournalError, VenueUnavailable
from orderbridge.placement import MemoryJournal
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import limit_buy, seen
from tests.placement.test_resolve import Clock
from tests.placement.test_resolve_certificate import Venue


async def left_prepared(journal: MemoryJournal, **settings: Any) -> Any:
    """What a bot prepared, and never sent before it was closed."""
    bot = Bot(Accepting(**settings), journal=journal)
    placement = await bot.bridge.prepare("bitso", limit_buy(), key="k1")
    await bot.bridge.aclose()
    return placement


@pytest.mark.parametrize(("policy", "state", "sends"), [("deny", "denied", 0), ("send", "placed", 1)])
async def test_a_venue_that_was_down_at_first_does_not_save_what_is_stale(policy: str, state: str, sends: int) -> None:
    """The run that reaches the venue does with it what the first one could not."""
    journal, venue = MemoryJournal(), Accepting()
    await left_prepared(journal)
    venue.open = VenueUnavailable("down")
    bot = Bot(venue, journal=journal, on_stale=policy)

    first = await bot.bridge.recover()
    venue.open = []
    second = await bot.bridge.recover()
    after = await bot.bridge.placement(key="k1") or second.denied[0]
    await bot.bridge.aclose()

    assert (list(first.unreachable), first.denied, first.sent) == (["bitso"], (), ())
    assert len(second.denied) + len(second.sent) == 1
    assert (after.state, len(venue.sent)) == (state, sends)


class FailsToDeny(MemoryJournal):
    """A journal that takes the first change, and not the second."""

    changes = 0

    async def change(self, *args: Any, **how: Any) -> Any:
        self.changes += 1
        if self.changes == 2:
            raise JournalError("busy")
        return await super().change(*args, **how)


async def test_what_was_taken_over_and_not_denied_is_denied_by_the_next_run() -> None:
    """It has our name by then, and was prepared by another all the same."""
    journal = FailsToDeny()
    await left_prepared(journal)
    bot = Bot(Accepting(), journal=journal)

    with pytest.raises(JournalError):
        await bot.bridge.recover()
    own = await bot.bridge.prepare("bitso", limit_buy(price="2"), key="k2")
    report = await bot.bridge.recover()
    left = await bot.bridge.placement(key="k2")
    await bot.bridge.aclose()

    assert [(each.key, each.state.value) for each in report.denied] == [("k1", "denied")]
    assert left == own


@pytest.mark.parametrize("in_history", [True, False])
async def test_what_the_history_shows_is_not_sent_again(in_history: bool) -> None:
    """Where ids are tags, and no look-up is whole, an order that filled is found in the history before a send."""
    journal, venue = MemoryJournal(), Accepting(idempotency="tag_only")
    placement = await left_prepared(journal, idempotency="tag_only")
    venue.answer = "partly_searched"
    venue.history = [seen("filled", client_order_id=placement.client_order_id)] if in_history else []
    bot = Bot(venue, journal=journal, on_stale="send")

    await bot.bridge.recover()
    (after,) = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert after.state == "placed"
    assert len(venue.sent) == (0 if in_history else 1)


async def test_a_venue_that_answers_in_part_has_nothing_sent_to_it() -> None:
    """Before a stale placement is sent, its absence is answered whole; otherwise it is denied."""
    journal, venue = MemoryJournal(), Accepting()
    await left_prepared(journal)
    venue.history = VenueUnavailable("down")
    bot = Bot(venue, journal=journal, on_stale="send")

    report = await bot.bridge.recover()
    await bot.bridge.aclose()

    assert venue.sent == []
    assert [each.state.value for each in report.denied] == ["denied"]


@pytest.mark.parametrize(("late", "keeps"), [(1.0, True), (59.0, True), (61.0, False)])
async def test_a_living_owner_whose_lease_lapsed_briefly_keeps_what_it_prepared(late: float, keeps: bool) -> None:
    """A disk or a loop that stood still for some seconds is no death; a minute without a sign is."""
    journal, theirs = MemoryJournal(), Accepting()
    first = Bot(Accepting(), journal=journal)
    placement = await first.bridge.prepare("bitso", limit_buy(), key="k1")
    other = Bot(theirs, journal=journal, on_stale="send")
    await other.bridge.recover()

    await journal.keep_alive(first.bridge._placements.ledger.owner, -late)
    await other.bridge._placements.line("bitso").recovery.take_over(watched=False)
    (after,) = await other.bridge.placements()
    if keeps:
        order = await first.bridge.place("bitso", placement)
        assert order.client_order_id == placement.client_order_id
    await first.bridge.aclose()
    await other.bridge.aclose()

    assert len(theirs.sent) == (0 if keeps else 1)
    assert (after.state == "prepared") is keeps


async def test_what_was_in_flight_is_taken_over_as_soon_as_the_lease_is_over() -> None:
    """It is only asked about, which harms nobody, so no minute is waited for it."""
    journal = MemoryJournal()
    first = Bot(Venue(), journal=journal, settle_horizon=60.0)
    placement = await first.lose(key="k1")
    other = Bot(Venue(), journal=journal)
    await other.bridge.recover()

    await journal.keep_alive(first.bridge._placements.ledger.owner, -1)
    await other.bridge._placements.line("bitso").recovery.take_over(watched=False)
    after = await other.bridge.resolve(placement, timeout=3)
    await first.bridge.aclose()
    await other.bridge.aclose()

    assert after.state == "not_placed"


async def test_a_bridge_that_was_closed_holds_nothing() -> None:
    """A lease that was given back is over at once: the next bot does not wait the minute of one that fell silent."""
    journal = MemoryJournal()
    await left_prepared(journal)
    bot = Bot(Accepting(), journal=journal)

    report = await bot.bridge.recover()
    await bot.bridge.aclose()

    assert (report.held_elsewhere, len(report.denied)) == ((), 1)


async def test_what_is_older_than_a_minute_is_denied_all_the_same() -> None:
    """A price of a minute ago is no price to send by itself."""
    journal, venue, clock = MemoryJournal(), Accepting(), Clock()
    await left_prepared(journal)
    clock.offset = timedelta(seconds=61).total_seconds()
    bot = Bot(venue, journal=journal, on_stale="send", clock=clock)

    report = await bot.bridge.recover()
    await bot.bridge.aclose()

    assert (len(report.denied), report.sent, venue.sent) == (1, (), [])
