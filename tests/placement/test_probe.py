"""Gateways that ignore their time limit: whatever waits for them ends all the same."""

import asyncio
from typing import Any

import pytest

from orderbridge.errors import NotSent, OutcomeUnknown
from orderbridge.gateway import within
from orderbridge.placement import MemoryJournal
from tests.placement.hand import Accepting, Bot, Hanging, for_ever
from tests.placement.kit import limit_buy, seen, until
from tests.placement.test_resolve_certificate import Venue


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits are tenths of seconds here."""
    within_module = "orderbridge.placement"
    monkeypatch.setattr("orderbridge.gateway._GRACE", 0.02)
    for module in ("resolve", "recover"):
        monkeypatch.setattr(f"{within_module}.{module}.PROBE_TIMEOUT", 0.02)
    for module in ("probe", "recover"):
        monkeypatch.setattr(f"{within_module}.{module}.READ_TIMEOUT", 0.02)
    monkeypatch.setattr(f"{within_module}.place._OVERTIME", 0.1)
    monkeypatch.setattr(f"{within_module}.place._CLOSE_WITHIN", 0.2)


async def test_a_call_that_does_not_end_is_named_by_its_time() -> None:
    """What a person reads in an alarm is never an empty text."""
    with pytest.raises(TimeoutError, match=r"0\.03 s"):
        await within(for_ever(), 0.01)


async def test_a_permit_that_never_comes_sends_nothing() -> None:
    """It is NotSent after `send_within`, and the same key goes on once there is one."""
    venue = Accepting()
    venue.permit = for_ever  # type: ignore[method-assign]
    bot = Bot(venue)

    with pytest.raises(NotSent, match="no end within"):
        await asyncio.wait_for(bot.bridge.place("bitso", limit_buy(), key="k1", send_within=0.05), 2)
    sent = len(venue.sent)
    del venue.permit
    await bot.bridge.place("bitso", limit_buy(), key="k1")
    placements = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert (sent, len(venue.sent), len(placements)) == (0, 1, 1)


async def test_a_submit_that_never_ends_is_followed_up() -> None:
    """It is cut off, its outcome is not known, and probing settles it."""
    bot = Bot(Hanging("submit"))

    placement = await bot.lose(timeout=0.05)
    after = await bot.bridge.resolve(placement, timeout=3)
    await bot.bridge.aclose()

    assert after.state == "not_placed"


@pytest.mark.parametrize("hung", ["lookup", "open_orders", "fills", "orders"])
async def test_a_read_that_never_ends_is_no_negative(hung: str) -> None:
    """Two placements are given up with an alarm each: neither is proven absent, and none waits for the other's read."""
    venue = Hanging(hung)
    bot = Bot(venue)
    placements = [await bot.lose(limit_buy(price=price)) for price in ("1", "2")]

    after = [await bot.bridge.resolve(placement, timeout=60) for placement in placements]
    await bot.bridge.aclose()

    assert [(each.state, each.gave_up) for each in after] == [("uncertain", True)] * 2
    assert [alarm.kind for alarm in bot.alarms] == ["gave_up"] * 2
    assert all("no end within" in alarm.message for alarm in bot.alarms)


async def test_a_fence_that_never_ends_lets_the_reads_go_on() -> None:
    """The cancel by client id is one means; what decides is read all the same."""
    bot = Bot(Hanging("cancel"), on_uncertain="fence")

    after = await bot.bridge.resolve(await bot.lose(), timeout=3)
    await bot.bridge.aclose()

    assert after.state == "not_placed"


async def test_a_ghost_whose_cancel_never_ends_is_told() -> None:
    """A person hears that it is live still."""
    bot = Bot(Hanging("cancel"), on_ghost="cancel")
    placement = await bot.bridge.resolve(await bot.lose(), timeout=3)

    await bot.bridge.observe(seen(client_order_id=placement.client_order_id))

    async def are_both_told() -> bool:
        return len(bot.kinds) >= 2

    await until(are_both_told)
    await bot.bridge.aclose()

    assert bot.kinds == ["ghost", "ghost"]
    assert "could not be cancelled" in bot.alarms[1].message


async def test_a_recovery_whose_open_list_never_ends_is_reported() -> None:
    """The report comes, and names the gateway as not asked."""
    bot = Bot(Hanging("open_orders"), journal=MemoryJournal())

    report = await asyncio.wait_for(bot.bridge.recover(), 3)
    await bot.bridge.aclose()

    assert report.unreachable["bitso"].kind == "timed_out"


@pytest.mark.parametrize("hung", ["lookup", "fills"])
async def test_an_old_order_that_cannot_be_settled_holds_up_no_start(hung: str) -> None:
    """The recovery ends, and the order is kept as it was."""
    journal = MemoryJournal()
    first = Bot(Accepting(), journal=journal)
    order = await first.bridge.place("bitso", limit_buy())
    await first.bridge.aclose()
    bot = Bot(Hanging(hung), journal=journal, clock=lambda: 4_000_000_000.0)

    report = await asyncio.wait_for(bot.bridge.recover(), 3)
    working = await journal.working("bitso")
    await bot.bridge.aclose()

    assert report.ended == ()
    assert [each.order_id for each in working] == [order.order_id]


@pytest.mark.parametrize("timeout", [0.05, None])
async def test_a_bridge_closes_though_a_submit_never_ends(timeout: float | None) -> None:
    """The attempt is cut off and written down as one whose outcome is not known; the next start asks."""
    journal = MemoryJournal()
    bot = Bot(Hanging("submit"), journal=journal, settle_horizon=60.0)
    await bot.bridge.recover()
    waiting = asyncio.ensure_future(bot.bridge.place("bitso", limit_buy(), key="k1", send_within=0.1, timeout=timeout))
    await asyncio.sleep(0.05)

    await asyncio.wait_for(bot.bridge.aclose(), 60)
    with pytest.raises(OutcomeUnknown):
        await waiting
    (left,) = await journal.find(key="k1")
    again = Bot(Venue(), journal=journal)
    await again.bridge.recover()
    after = await again.bridge.resolve(left.placement, timeout=3)
    await again.bridge.aclose()

    assert left.state == "uncertain"
    assert after.state == "not_placed"


@pytest.mark.parametrize("hung", ["lookup", "open_orders", "fills"])
async def test_a_bridge_closes_though_a_probe_never_ends(hung: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for the time limit of what is only asked."""
    monkeypatch.setattr("orderbridge.gateway._GRACE", 60.0)
    bot = Bot(Hanging(hung))
    await bot.lose()
    await asyncio.sleep(0.05)

    await asyncio.wait_for(bot.bridge.aclose(), 1)

    assert _others() == []


def _others() -> list[Any]:
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
