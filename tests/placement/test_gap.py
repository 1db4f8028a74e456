"""A journal that came back older than it was: no key of the time that was lost places a second order."""

import asyncio
import shutil
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Fill, Order, OrderBridge, OrderRequest, Placement
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError, JournalError, NotSent, NotSupported, OutcomeUnknown
from orderbridge.model.results import BadRow, OrderList
from orderbridge.placement import SqliteJournal
from orderbridge.placement.decide import settle
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy

PLACE = "POST /api/v3/orders"


async def lose(bridges: Bridges, path: Path, *, key: str = "k1", request: OrderRequest | None = None) -> Order:
    """An order whose placement is in no journal any more: a backup of before it was put back."""
    before = bridges(journal=SqliteJournal(path))
    await before.place("bitso", limit_buy(price="110000"), key="k0")
    await before.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path))
    order = await bot.place("bitso", request or limit_buy(), key=key)
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    return order


async def asked(bridge: OrderBridge, key: str = "k1", request: OrderRequest | None = None) -> Placement:
    """The question that placing a key ends in."""
    with pytest.raises(OutcomeUnknown, match="the journal lost") as caught:
        await bridge.place("bitso", request or limit_buy(), key=key, send_within=60.0)
    placement = caught.value.placement
    assert isinstance(placement, Placement)
    return placement


async def decide(bridge: OrderBridge, placement: Placement, *, placed: bool, order_id: str | None = None) -> None:
    """A person looked at the venue."""
    ledger = bridge._placements.ledger
    record = await ledger.journal.get(placement.placement_id)
    assert record is not None
    await settle(ledger, record, placed=placed, who="me", why="I looked", order_id=order_id)


async def test_a_key_that_was_lost_with_its_order_open_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """Nothing is sent, it is alarmed and kept; decided as that order, the key gives it, and equal orders are free."""
    lost = await lose(bridges, tmp_path / "orders.db")
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    placement = await asked(bridge)
    again = await asked(bridge)
    sent_then = sim.bitso.requests[PLACE] - sent
    await decide(bridge, placement, placed=True, order_id=lost.order_id)
    found = await bridge.place("bitso", limit_buy(), key="k1")
    equal = await bridge.place("bitso", limit_buy(), key="k3")
    other = await bridge.place("bitso", limit_buy(price="101000"), key="k2")

    assert placement.placement_id == again.placement_id
    assert placement.state.value == "uncertain"
    assert sent_then == 0
    assert found.order_id == lost.order_id
    assert len({lost.order_id, other.order_id, equal.order_id}) == 3
    assert bridges.kinds[:2] == ["journal", "conflict"]
    assert lost.order_id in bridges.alarms[1].message


@pytest.mark.parametrize("is_prepared", [False, True])
async def test_one_question_is_alarmed_once(bridges: Bridges, tmp_path: Path, is_prepared: bool) -> None:
    """Two bots that place one key six times at once alarm it once, and write down nothing that does not fit."""
    path = tmp_path / "orders.db"
    if is_prepared:
        bot = bridges(journal=SqliteJournal(path))
        await bot.prepare("bitso", limit_buy(), key="k1")
        await bot.aclose()
    await lose(bridges, path)
    bots = [bridges(journal=SqliteJournal(path)) for _ in range(2)]

    asked_for = await asyncio.gather(*(asked(bot) for bot in bots * 3))

    (placement_id,) = {placement.placement_id for placement in asked_for}
    events = await bots[0]._placements.ledger.journal.events(placement_id)
    assert bridges.kinds.count("conflict") == 1
    assert [event for event in events if event.anomaly] == []


async def test_a_kill_leaves_no_question_that_nobody_was_told_of(
    bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question of a new key is stored in one write, with its conflict: there is no between to be killed in."""
    path = tmp_path / "orders.db"
    await lose(bridges, path)
    bot = bridges(journal=SqliteJournal(path))
    journal = bot._placements.ledger.journal

    async def killed(*_: Any, **__: Any) -> Any:
        raise JournalError("killed")

    monkeypatch.setattr(journal, "change", killed)
    placement = await asked(bot)

    told = [event.happened.value for event in await journal.events(placement.placement_id)]
    assert told == ["stored", "sending", "unclear", "conflict"]
    assert bridges.kinds.count("conflict") == 1


async def test_a_key_that_was_lost_with_its_order_filled_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """The order is over, and the venue shows no more of it than its trades: nothing is sent again."""
    lost = await lose(bridges, tmp_path / "orders.db")
    sim.bitso.market("btc_mxn").fill(lost.order_id)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    placement = await asked(bridge)

    assert placement.state.value == "uncertain"
    assert sim.bitso.requests[PLACE] == sent


async def test_a_person_may_say_that_it_was_another(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Decided as not placed, the key places its own order, once."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    await decide(bridge, await asked(bridge), placed=False)

    order = await bridge.place("bitso", limit_buy(), key="k1")
    again = await bridge.place("bitso", limit_buy(), key="k1")

    assert order.order_id == again.order_id != lost.order_id


async def test_what_the_venue_has_nothing_of_is_placed(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A key whose order is not live and never traded is as free as it looks, after one look; known keys stay held."""
    lost = await lose(bridges, tmp_path / "orders.db")
    async with sim.bitso.gateway() as gateway:
        await gateway.cancel(lost)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    first = await bridge.place("bitso", limit_buy(), key="k1")
    looked = sim.bitso.requests["GET /api/v3/user_trades"]
    second = await bridge.place("bitso", limit_buy(), key="k1")
    held = await bridge.place("bitso", limit_buy(price="110000"), key="k0")
    await bridge.place("bitso", limit_buy(), key="k4")

    assert first.order_id == second.order_id
    assert held.client_order_id != first.client_order_id
    assert sim.bitso.requests[PLACE] == sent + 2
    assert looked > 0
    assert sim.bitso.requests["GET /api/v3/user_trades"] == looked


async def test_no_key_is_placed_before_the_venue_was_looked_at(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """While what was accepted may not be shown yet, an unknown key waits; a held one does not, nor does none."""
    await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"), horizon=3600.0)
    sent = sim.bitso.requests[PLACE]

    with pytest.raises(NotSent, match=r"the journal lost what was written up to .* not before"):
        await bridge.place("bitso", limit_buy(), key="k1", send_within=0.3)
    with pytest.raises(NotSent, match="the journal lost"):
        await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=0.3)
    at_once = await asyncio.gather(
        *(bridge.place("bitso", limit_buy(), key=f"m{n}", send_within=0.1) for n in range(5)), return_exceptions=True
    )
    without_a_key = await bridge.place("bitso", limit_buy(price="102000"))
    held = await bridge.place("bitso", limit_buy(price="110000"), key="k0", send_within=0.3)

    assert {type(each) for each in at_once} == {NotSent}
    assert any("not sent again" in note for note in held.evidence)
    assert sim.bitso.requests[PLACE] == sent + 1
    assert without_a_key.order_id


async def test_a_venue_that_cannot_be_asked_proves_nothing(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """While its trades cannot be read no key is placed there, and once they can be it goes on by itself."""
    lost = await lose(bridges, tmp_path / "orders.db")
    async with sim.bitso.gateway() as gateway:
        await gateway.cancel(lost)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    await bridge.recover()
    sim.bitso.fault("error_5xx", operation="user_trades")

    with pytest.raises(NotSent, match="the venue is looked at first"):
        await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=0.5)
    sim.bitso.clear_faults()
    order = await bridge.place("bitso", limit_buy(price="101000"), key="k9", send_within=60.0)

    assert order.order_id
    assert sim.bitso.requests[PLACE] == sent + 1


async def test_a_prepared_placement_that_was_sent_is_found(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """What the older journal calls prepared was sent in truth: nothing is sent, and its order is what it gives."""
    path = tmp_path / "orders.db"
    bot = bridges(journal=SqliteJournal(path))
    await bot.prepare("bitso", limit_buy(), key="k1")
    await bot.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path), on_stale="send")
    (sent,) = (await bot.recover()).sent
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    bridge = bridges(journal=SqliteJournal(path), on_stale="send")

    report = await bridge.recover()
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert sent.order is not None
    assert report.sent == () or report.sent[0].order == sent.order
    assert order.order_id == sent.order.order_id
    assert sim.bitso.requests[PLACE] == 1


async def test_a_whole_journal_asks_nothing_more(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Where nothing was lost no key costs a look at the venue."""
    for key in ("k1", "k2"):
        bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
        await bridge.place("bitso", limit_buy(), key=key)
        await bridge.aclose()

    assert sim.bitso.requests["GET /api/v3/user_trades"] == 0
    assert bridges.kinds == []


async def test_a_settled_question_is_no_other_placements(bridges: Bridges, tmp_path: Path) -> None:
    """A person's word does not give a lost order of another size to a key."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    placement = await asked(bridge)
    other = await bridge.place("bitso", limit_buy(price="103000"))

    with pytest.raises(ConfigurationError, match="another one"):
        await decide(bridge, placement, placed=True, order_id=other.order_id)
    await decide(bridge, placement, placed=True, order_id=lost.order_id)


async def test_a_denial_between_is_no_look(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A lost key that is denied first, for what the venue lacks, is a question all the same, and so is its retry."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    sent = sim.bitso.requests[PLACE]

    with pytest.raises(NotSupported):
        await bridge.place("bitso", limit_buy(time_in_force="gtt", expires_at="2030-01-01T00:00:00Z"), key="k1")
    placement = await asked(bridge)
    await decide(bridge, placement, placed=True, order_id=lost.order_id)
    with pytest.raises(NotSupported):
        await bridge.place("bitso", limit_buy(time_in_force="gtt", expires_at="2030-01-01T00:00:00Z"), key="k2")

    assert (await bridge.place("bitso", limit_buy(), key="k1")).order_id == lost.order_id
    assert sim.bitso.requests[PLACE] == sent


async def test_a_lost_key_with_another_request_is_a_question(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Its price may have moved since; it is given its order by a person's word, and keys of the other side are free."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    sent = sim.bitso.requests[PLACE]

    placement = await asked(bridge, request=limit_buy(price="100010", quantity="0.02"))
    fresh = await asked(bridge, "k7", limit_buy(price="102000"))
    sold = await bridge.place("bitso", limit_buy(side="sell", price="150000"), key="k8")
    await decide(bridge, placement, placed=True, order_id=lost.order_id)
    await decide(bridge, fresh, placed=False)

    assert (await bridge.placement(key="k1")).order.order_id == lost.order_id  # type: ignore[union-attr]
    assert (await bridge.place("bitso", limit_buy(price="102000"), key="k7")).order_id not in {
        lost.order_id,
        sold.order_id,
    }
    assert sim.bitso.requests[PLACE] == sent + 2


async def test_an_order_that_is_no_lost_keys_stops_asking_by_a_persons_word(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """As not placed without it, only that key is free; with the order named, every other is, after a restart too."""
    lost = await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    await decide(bridge, await asked(bridge, "k5"), placed=False)
    question = await asked(bridge, "k6")

    with pytest.raises(ConfigurationError, match="not among those"):
        await decide(bridge, question, placed=False, order_id="another")
    await decide(bridge, question, placed=False, order_id=lost.order_id)
    await bridge.aclose()
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    looked = sim.bitso.requests["GET /api/v3/user_trades"]

    made = {(await bridge.place("bitso", limit_buy(), key=key)).order_id for key in ("k5", "k6", "k7")}
    assert len(made - {lost.order_id}) == 3
    assert sim.bitso.requests["GET /api/v3/user_trades"] == looked


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_what_was_prepared_long_before_it_was_sent_is_found(
    sim: Simulator, bridges: Bridges, tmp_path: Path, is_forgotten: bool
) -> None:
    """Its id is older than what was lost; its order is over, and it was denied at start: the key gives that order."""
    path, off = tmp_path / "orders.db", [-300.0]
    bot = bridges(journal=SqliteJournal(path), clock=lambda: time.time() + off[0])
    await bot.prepare("bitso", limit_buy(), key="k1")
    off[0] = 0.0
    await bot.place("bitso", limit_buy(price="101000"), key="k0")
    with closing(sqlite3.connect(path)) as db:
        db.execute("VACUUM INTO ?", (str(path.with_name("backup.db")),))
    order = await bot.place("bitso", limit_buy(), key="k1")
    sim.bitso.market("btc_mxn").fill(order.order_id)
    await bot.aclose()
    if is_forgotten:  # only its trades are shown
        sim.clock.advance(7200)
    shutil.copy(path.with_name("backup.db"), path)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(path))
    await bridge.recover()

    assert (await bridge.place("bitso", limit_buy(), key="k1")).order_id == order.order_id
    assert sim.bitso.requests[PLACE] == sent


async def test_what_is_called_prepared_and_was_placed_anew_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """Denied and placed under another id in the time that was lost, and filled: it is not sent under its own."""
    path = tmp_path / "orders.db"
    bot = bridges(journal=SqliteJournal(path))
    await bot.prepare("bitso", limit_buy(), key="k1")
    await bot.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path))
    await bot.recover()
    order = await bot.place("bitso", limit_buy(), key="k1")
    sim.bitso.market("btc_mxn").fill(order.order_id)
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    sent = sim.bitso.requests[PLACE]
    bridge = bridges(journal=SqliteJournal(path), on_stale="send")
    await bridge.recover()

    placement = await asked(bridge)
    await decide(bridge, placement, placed=True, order_id=order.order_id)

    assert (await bridge.place("bitso", limit_buy(), key="k1")).order_id == order.order_id
    assert sim.bitso.requests[PLACE] == sent
    assert "conflict" in bridges.kinds


async def test_a_gap_does_not_end_with_time(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """A lost key that comes back long after `watch_for`, whatever was placed since, is a question."""
    await lose(bridges, tmp_path / "orders.db")
    first = bridges(journal=SqliteJournal(tmp_path / "orders.db"), watch_for=1.0)
    await first.place("bitso", limit_buy(side="sell", price="150000"), key="other")
    await first.aclose()
    sent = sim.bitso.requests[PLACE]

    bridge = bridges(
        journal=SqliteJournal(tmp_path / "orders.db"), watch_for=1.0, clock=lambda: time.time() + 40 * 86400.0
    )
    await asked(bridge)

    assert sim.bitso.requests[PLACE] == sent


async def test_a_second_gap_is_looked_at_anew(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """What a person said of the first loss says nothing of the second: the same key is a question again."""
    path = tmp_path / "orders.db"
    await lose(bridges, path)
    bot = bridges(journal=SqliteJournal(path))
    first = await asked(bot)
    await decide(bot, first, placed=False, order_id=first_lost(bridges))
    await bot.aclose()
    shutil.copy(path, path.with_name("later.db"))
    bot = bridges(journal=SqliteJournal(path))
    again = await bot.place("bitso", limit_buy(), key="k1")
    await bot.aclose()
    shutil.copy(path.with_name("later.db"), path)
    sent = sim.bitso.requests[PLACE]

    bridge = bridges(journal=SqliteJournal(path))
    placement = await asked(bridge)
    await decide(bridge, placement, placed=True, order_id=again.order_id)

    assert (await bridge.place("bitso", limit_buy(), key="k1")).order_id == again.order_id
    assert sim.bitso.requests[PLACE] == sent


def first_lost(bridges: Bridges) -> str:
    """The order that the last question names."""
    order = bridges.alarms[-1].order
    assert order is not None
    return order.order_id


async def test_a_stop_that_the_list_may_leave_out_is_a_question(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list without it proves nothing while it waits for its trigger; a person's word frees the keys of its type."""
    path = tmp_path / "orders.db"
    stop = limit_buy(type="stop_limit", stop_price="200000", price="201000")
    await lose(bridges, path, request=stop)
    sent = sim.bitso.requests[PLACE]
    hide(monkeypatch, lambda order: order.type == "stop_limit")
    bridge = bridges(journal=SqliteJournal(path))

    plain = await bridge.place("bitso", limit_buy(price="101000"), key="k9")
    question = await asked(bridge, "k1", stop)
    await decide(bridge, question, placed=False)
    other = await bridge.place("bitso", stop, key="k2")

    assert plain.order_id != other.order_id
    assert "waits for its trigger" in bridges.alarms[-1].message
    assert sim.bitso.requests[PLACE] == sent + 2


def hide(monkeypatch: pytest.MonkeyPatch, is_hidden: Callable[[Order], bool], *, bad: Sequence[BadRow] = ()) -> None:
    """Have Bitso's list of open orders leave some out."""
    whole = BitsoGateway.open_orders

    async def listed(self: BitsoGateway, **how: Any) -> OrderList:
        told = await whole(self, **how)
        orders = tuple(order for order in told.orders if not is_hidden(order))
        return told.model_copy(update={"orders": orders, "bad_rows": tuple(bad)})

    monkeypatch.setattr(BitsoGateway, "open_orders", listed)


@pytest.mark.parametrize("shown_in", [1, 2])
async def test_each_of_two_rounds_counts(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown_in: int
) -> None:
    """An order that only one round of the look shows, as the other came too early or too late for it, is enough."""
    lost = await lose(bridges, tmp_path / "orders.db")
    before = sim.bitso.requests["GET /api/v3/user_trades"]

    def is_hidden(order: Order) -> bool:
        # Each round reads the trades after the list.
        this = sim.bitso.requests["GET /api/v3/user_trades"] - before + 1
        return order.order_id == lost.order_id and this != shown_in

    hide(monkeypatch, is_hidden)
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    await asked(bridge)

    assert lost.order_id in bridges.alarms[-1].message


async def test_a_row_that_cannot_be_read_may_be_the_lost_order(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the list of open orders has one, no key is placed; once it can be read, it is a question."""
    await lose(bridges, tmp_path / "orders.db")
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    sent = sim.bitso.requests[PLACE]
    with monkeypatch.context() as unreadable:
        row = BadRow(gateway="bitso", position=0, reason="no price")
        hide(unreadable, lambda order: order.price == 100000, bad=[row])

        with pytest.raises(NotSent, match=r"the venue is looked at first"):
            await bridge.place("bitso", limit_buy(), key="k1", send_within=1.0)
    placement = await asked(bridge)

    assert placement.state.value == "uncertain"
    assert sim.bitso.requests[PLACE] == sent


async def test_an_order_that_only_the_history_shows_is_a_question(sim: Simulator, tmp_path: Path) -> None:
    """Cancelled without a fill, it is neither open nor traded; a person decides of every equal key."""
    bridges, path = Bridges(sim, venue="bitcain"), tmp_path / "orders.db"
    request = limit_buy(symbol="BTC/USDT", price="20000")
    paper = {"trading_mode": "paper"}
    bot = bridges(journal=SqliteJournal(path), gateway=dict(paper))
    await bot.place("bitcain", limit_buy(symbol="BTC/USDT", price="19000"), key="k0")
    await bot.aclose()
    shutil.copy(path, path.with_name("backup.db"))
    bot = bridges(journal=SqliteJournal(path), gateway=dict(paper))
    lost = await bot.place("bitcain", request, key="k1")
    await bot.cancel(lost)
    await bot.aclose()
    shutil.copy(path.with_name("backup.db"), path)
    bridge = bridges(journal=SqliteJournal(path), gateway=dict(paper))
    known = len(sim.bitcain.accepted())

    with pytest.raises(OutcomeUnknown, match=lost.order_id):
        await bridge.place("bitcain", request, key="k1", send_within=20.0)
    with pytest.raises(OutcomeUnknown, match=lost.order_id):
        await bridge.place("bitcain", request, key="k2", send_within=20.0)
    await bridge.aclose()

    assert len(sim.bitcain.accepted()) == known


async def test_a_deleted_journal_is_told_by_its_mark(
    sim: Simulator, bridges: Bridges, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file of its name says so; trades that take long to read keep no key waiting for ever."""
    path = tmp_path / "orders.db"
    await lose(bridges, path)
    path.unlink()
    monkeypatch.setattr("orderbridge.placement.probe.READ_TIMEOUT", 0.2)
    monkeypatch.setattr("orderbridge.gateway._GRACE", 0.0)
    read = BitsoGateway.fills

    async def slowly(self: BitsoGateway, ref: Any = None, **how: Any) -> AsyncIterator[Fill]:
        for _ in range(8 if ref is None else 0):
            await asyncio.sleep(0.05)
            yield trade
        async for fill in read(self, ref, **how):
            yield fill

    async with sim.bitso.gateway() as gateway:
        made = await gateway.submit(limit_buy(client_order_id="anothers"), permit=None)
        sim.bitso.market("btc_mxn").fill(made.order_id)
        (trade,) = [fill async for fill in gateway.fills(made)]
    monkeypatch.setattr(BitsoGateway, "fills", slowly)
    bridge = bridges(journal=SqliteJournal(path))

    placement = await asked(bridge)

    assert placement.state.value == "uncertain"
    assert "it is empty, and by" in caplog.text
    assert "delete both" in caplog.text


async def test_a_journal_behind_a_link_has_one_mark(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Opened by either name, what the file promised is known: a backup that is put in its place is told."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").mkdir()
    path, link = tmp_path / "real" / "orders.db", tmp_path / "link" / "orders.db"
    link.symlink_to(path)
    await lose(bridges, path)

    bridge = bridges(journal=SqliteJournal(link))
    await asked(bridge)

    assert sorted(each.name for each in link.parent.iterdir()) == ["orders.db"]
    path.with_name("orders.db-wal").unlink()
    with pytest.raises(JournalError, match=r"orders\.db-wal was moved"):
        await bridge.place("bitso", limit_buy(side="sell", price="150000"), key="k8")


BOT = """
import asyncio, sys
sys.path.insert(0, {root!r})
from orderbridge import OrderBridge
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.placement import SqliteJournal, sqlite
from tests.placement.kit import limit_buy

# What is killed has not brought its commits into the file yet.
sqlite.JOBS_BETWEEN_CHECKPOINTS, sqlite.IDLE = 1_000_000, 1_000.0

async def main():
    gateway = BitsoGateway(**{how!r})
    async with OrderBridge(gateway, journal=SqliteJournal({path!r})) as bridge:
        for number in range(1_000):
            await bridge.place("bitso", limit_buy(price=str(100_000 + 10 * number)), key=f"k{{number}}")
            print(number, flush=True)

asyncio.run(main())
"""


async def test_a_killed_bot_whose_wal_is_lost_doubles_nothing(sim: Simulator, bridges: Bridges, tmp_path: Path) -> None:
    """Every key that it placed is placed again by the next one: none has a second order, and the other side goes on."""
    path = tmp_path / "orders.db"
    own = {"api_key": sim.bitso.api_key, "api_secret": sim.bitso.api_secret}
    how = {**own, "base_url": sim.bitso.base_url, "allow_plain_http": True, "limits": None}
    code = BOT.format(root=str(Path(__file__).parents[2]), how=how, path=str(path))
    bot = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert bot.stdout is not None
    for _ in range(12):
        last = int(await bot.stdout.readline())
    bot.kill()
    last = max([last, *map(int, (await bot.stdout.read()).split()[:-1])])
    await bot.wait()
    path.with_name("orders.db-wal").unlink()
    bridge = bridges(journal=SqliteJournal(path))

    outcomes = await asyncio.gather(
        *(bridge.place("bitso", limit_buy(price=str(100_000 + 10 * n)), key=f"k{n}") for n in range(last + 2)),
        return_exceptions=True,
    )
    listed = await bridge.open_orders()
    await bridge.place("bitso", limit_buy(side="sell", price="150000"), key="next")

    assert {type(each) for each in outcomes} <= {Order, OutcomeUnknown}
    assert OutcomeUnknown in {type(each) for each in outcomes}
    assert max(Counter(order.price for order in listed).values()) == 1
    assert len(listed) in {last + 1, last + 2}  # the last was being sent
