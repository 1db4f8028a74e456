"""A journal that is opened at another address, or in the other mode: what is asked there says nothing."""

import asyncio
from typing import Any

import pytest

from orderbridge.errors import ConfigurationError, KeyInUse
from orderbridge.placement import MemoryJournal
from orderbridge.placement.states import venue_address
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import limit_buy, record
from tests.placement.test_resolve_certificate import Venue

PLACES = [("mode", "live", "paper"), ("address", "http://one/api", "http://two/api")]


def at(venue: Venue, name: str, value: str) -> Any:
    setattr(venue, name, value)
    return venue


@pytest.mark.parametrize(("name", "there", "here"), PLACES)
async def test_a_placement_of_another_place_gets_no_verdict(name: str, there: str, here: str) -> None:
    """Silence of the paper account says nothing of a live order; at its own place the same silence settles it."""
    journal = MemoryJournal()
    first = Bot(at(Venue(), name, there), journal=journal, settle_horizon=60.0)
    placement = await first.lose(key="k1")
    await first.bridge.aclose()
    other = Bot(at(Venue(), name, here), journal=journal)

    report = await other.bridge.recover()
    await asyncio.sleep(0.3)
    (meanwhile,) = await other.bridge.placements()
    with pytest.raises(ConfigurationError, match="another address or mode"):
        await other.bridge.resolve(placement)
    await other.bridge.aclose()
    same = Bot(at(Venue(), name, there), journal=journal)
    await same.bridge.recover()
    after = await same.bridge.resolve(placement, timeout=3)
    await same.bridge.aclose()

    assert (report.uncertain, report.settled) == ((), ())
    assert (meanwhile.state, meanwhile.gave_up, meanwhile.holds_key) == ("uncertain", False, True)
    assert after.state == "not_placed"


@pytest.mark.parametrize(("name", "there", "here"), PLACES)
async def test_a_key_of_another_place_does_not_answer_here(name: str, there: str, here: str) -> None:
    """The order that stands under the key is on the other account: it is not handed out as if it were here."""
    journal = MemoryJournal()
    first = Bot(at(Accepting(), name, there), journal=journal)
    await first.bridge.place("bitso", limit_buy(), key="k1")
    await first.bridge.aclose()
    venue = at(Accepting(), name, here)
    other = Bot(venue, journal=journal)

    with pytest.raises(KeyInUse):
        await other.bridge.place("bitso", limit_buy(), key="k1")
    await other.bridge.aclose()

    assert venue.sent == []


@pytest.mark.parametrize(("name", "there", "here"), PLACES)
async def test_what_was_prepared_for_another_place_is_neither_sent_nor_denied(name: str, there: str, here: str) -> None:
    """A paper order never becomes a live one by a change of the settings."""
    journal = MemoryJournal()
    first = Bot(at(Accepting(), name, there), journal=journal)
    placement = await first.bridge.prepare("bitso", limit_buy(), key="k1")
    await first.bridge.aclose()
    venue = at(Accepting(), name, here)
    other = Bot(venue, journal=journal, on_stale="send")

    report = await other.bridge.recover()
    with pytest.raises(ConfigurationError, match="another address or mode"):
        await other.bridge.place("bitso", placement)
    (after,) = await other.bridge.placements()
    await other.bridge.aclose()

    assert (report.sent, report.denied, venue.sent) == ((), (), [])
    assert after.state == "prepared"


@pytest.mark.parametrize(("name", "there", "here"), PLACES)
async def test_a_working_order_of_another_place_has_no_end_here(name: str, there: str, here: str) -> None:
    """That the paper account does not list it any more, days later, is no end of a live order."""
    journal = MemoryJournal()
    first = Bot(at(Accepting(), name, there), journal=journal)
    order = await first.bridge.place("bitso", limit_buy())
    await first.bridge.aclose()

    ended = {}
    for place in (here, there):
        for now in (4_000_000_000.0, 4_000_000_120.0):  # two processes, the settle time apart
            bot = Bot(at(Venue(), name, place), journal=journal, clock=lambda now=now: now)
            ended[place] = [each.order_id for each in (await bot.bridge.recover()).ended]
            await bot.bridge.aclose()

    assert ended == {here: [], there: [order.order_id]}


async def test_a_placement_of_another_place_is_neither_followed_nor_taken() -> None:
    """Whoever hands it to the resolver: the process that is at its place keeps it."""
    bot = Bot(at(Venue(), "address", "http://two"))
    resolver = bot.bridge._placements.line("bitso").resolver
    journal = bot.bridge._placements.ledger.journal
    made = await journal.create(record(state="uncertain", owner="elsewhere:1:gone", address="http://one"))

    resolver.start(made)
    await resolver.round([made])
    await asyncio.sleep(0.1)
    after, tasks = await journal.get(made.id), dict(resolver._tasks)
    await bot.bridge.aclose()

    assert tasks == {}
    assert after == made


@pytest.mark.parametrize(
    ("made", "here", "same"),
    [
        ("http://a/", "http://a", False),
        ("http://a", "http://a/", True),
        (None, "http://a", True),
        ("http://a", None, True),
    ],
)
def test_a_place_that_is_not_told_is_taken_to_be_this_one(made: str | None, here: str | None, same: bool) -> None:
    """Gateways and journals from before, that name no address, go on; a slash at the end is no other address."""
    venue = Venue()
    if here is not None:
        at(venue, "address", here)

    assert record(address=made).is_at(venue) is same


async def test_real_gateways_say_where_they_are() -> None:
    """
    The two adapters name their address, and Bitcain its mode: without that nothing here could tell them apart.

    Bitso's address tells the mode, which is no part of the place, so that journals from before find theirs again.
    """
    async with Simulator(seed=1) as sim:
        paper, live = (sim.bitcain.gateway(trading_mode=mode) for mode in ("paper", "live"))

        (address, mode), (same, other), (bitsos, none) = map(venue_address, (paper, live, sim.bitso.gateway()))

        assert (mode, other) == ("paper", "live")
        assert address == same is not None
        assert bitsos not in (None, address)
        assert (sim.bitso.gateway().mode, none) == ("live", None)


async def test_a_gateway_that_says_nothing_of_itself_places_all_the_same() -> None:
    """An adapter that has its calls only, with `UnsupportedCalls` for the rest, need not know of a place or a mode."""
    bot = Bot(Accepting())

    order = await bot.bridge.place("bitso", limit_buy(), key="k1")
    found = await bot.bridge._placements.ledger.journal.find(gateway="bitso", key="k1")
    await bot.bridge.aclose()

    assert order.may_be_live
    assert [(each.mode, each.address) for each in found] == [(None, None)]
