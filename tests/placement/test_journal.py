"""Both journals keep the same promises, and the one in SQL does so over whichever engine."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order
from orderbridge.model.basics import OrderStatus, PlacementState
from orderbridge.placement import Happened, Journal, MemoryJournal, Record, SqliteJournal
from orderbridge.placement.journal import Change, ChangeSeeing, InFlight
from orderbridge.placement.sql import SqlJournal
from orderbridge.placement.sqlite import SqliteEngine
from orderbridge.placement.sqlite_file import STEPS
from orderbridge.placement.states import Transition, step
from orderbridge.placement.upkeep import Snapshot, prune, verify
from tests.chains import breaches
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import NOW, limit_buy, record, seen
from tests.placement.test_resolve_certificate import Venue


class Bare:
    """An engine as plain as can be: SQLite in memory, without a file, a thread or a second connection."""

    name, has_gaps, dialect = "bare", False, SqliteEngine.dialect

    def __init__(self, forget: Callable[[], object]) -> None:
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for statement in chain(*STEPS):
            self._db.execute(statement)

    async def write(self, work: Callable[[Any], Any]) -> Any:
        self._db.execute("BEGIN")
        try:
            done = work(self._db)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        return done

    async def rows(self, query: str, values: Sequence[Any]) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    @contextmanager
    def reading(self) -> Iterator[Callable[..., Iterator[Any]]]:
        yield self._db.execute

    async def aclose(self) -> None:
        self._db.close()


@pytest.fixture(params=["memory", "sqlite", "bare"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    """Each kind of journal, and the one in SQL over an engine that was made for this."""
    kinds = {"memory": MemoryJournal, "bare": lambda: SqlJournal(Bare)}
    made: Journal = kinds.get(request.param, lambda: SqliteJournal(tmp_path / "orders.db"))()
    yield made
    await made.aclose()


async def test_another_engine_is_checked_and_pruned_too() -> None:
    """What looks at a journal knows its statements, and nothing of how an engine runs them."""
    journal = SqlJournal(Bare)
    for name in ("p1", "p2"):
        await journal.create(record(name), step(record(name), Happened.DENIED, at=NOW))
    await journal.create(record("p3", key="k3"))
    with Snapshot(journal) as at_once:
        findings, named = list(verify(at_once)), at_once.named("k3")
    later = NOW.timestamp() + 10 * 86400
    done = await prune(journal, older_than=timedelta(days=1), now=later)
    left = [each.id for each in await journal.find()]
    await journal.aclose()

    assert (findings, [each.id for each in named]) == ([], ["p3"])
    assert (done.placements, left) == (2, ["p3"])


def sending(known: Record) -> Transition:
    return step(known, Happened.SENDING, at=NOW, facts={"attempt": 1}, placement={"attempts": 1})


async def test_a_record_comes_back_as_it_was_stored(journal: Journal) -> None:
    """By its id, its key and its client order id."""
    made = record(key="k1", reason="why", conflicts=("a",))

    assert await journal.create(made) == made
    assert await journal.get("p1") == made
    assert await journal.find(key="k1") == [made]
    assert await journal.find(client_order_id="ob-p1", gateway="bitso") == [made]
    assert await journal.find(states=[PlacementState.PLACED]) == []
    assert await journal.get("other") is None


async def test_a_change_is_stored_with_its_event(journal: Journal) -> None:
    """The current state and the chain of events agree, numbered without a gap."""
    await journal.create(record())

    after = await journal.change("p1", sending)
    odd = await journal.change("p1", lambda known: step(known, Happened.ABSENT, at=NOW))
    events = await journal.events("p1")

    assert after.state is PlacementState.SENDING
    assert odd == after
    assert [(event.seq, event.happened, event.after, event.anomaly) for event in events] == [
        (1, "stored", "prepared", False),
        (2, "sending", "sending", False),
        (3, "absent", "sending", True),
    ]
    assert events[1].facts == {"attempt": "1"}


async def test_a_record_shows_its_order_as_last_known(journal: Journal) -> None:
    """An order stands once: whoever reads its placement sees what was shown of it since, by whichever way."""
    order = seen("accepted")
    await journal.create(record(key="k1"), sending(record(key="k1")))
    placed = await journal.change(
        "p1", lambda now: step(now, Happened.ACKNOWLEDGED, at=NOW, placement={"order": order})
    )
    first = await journal.orders(gateway="bitso", order_id="oid1")
    (filled,) = await journal.observe([seen("filled", filled_quantity="0.01")])

    after = await journal.change("p1", lambda now: step(now, Happened.TOLD, at=NOW))

    assert (placed.placement.order, first) == (order, [order])
    known = [
        after,
        await journal.get("p1"),
        *await journal.find(key="k1"),
        await journal.create(record("p2", key="k1")),
    ]
    assert [each.placement.order for each in known if each is not None] == [filled] * 4
    assert filled.status == "filled"


async def test_prepared_and_sending_may_share_one_transaction(journal: Journal) -> None:
    """A new record may be stored together with what happened to it at once."""
    await journal.create(record(), sending(record()))

    assert [event.happened for event in await journal.events("p1")] == ["stored", "sending"]


async def test_a_held_key_gives_its_holder(journal: Journal) -> None:
    """The second of one key is not stored; the first is handed back. A freed key may be used again."""
    first = await journal.create(record(key="k1"))
    second = await journal.create(record("p2", key="k1"))
    await journal.change("p1", lambda known: step(known, Happened.DENIED, at=NOW))
    third = await journal.create(record("p3", key="k1"))

    assert second == first
    assert third.id == "p3"
    assert await journal.get("p2") is None


async def test_a_client_order_id_is_used_once(journal: Journal) -> None:
    """No second placement ever gets an id that one had before."""
    await journal.create(record())

    with pytest.raises(ValueError, match="used before"):
        await journal.create(
            record("p1").model_copy(
                update={"placement": record("p2").placement.model_copy(update={"client_order_id": "ob-p1"})}
            )
        )


async def test_twins_are_kept_apart_when_asked(journal: Journal) -> None:
    """Where ids are no help, a second placement of one fingerprint does not start while the first is in flight."""
    await journal.create(record(), sending(record()))
    await journal.create(record("p2"))

    with pytest.raises(InFlight) as caught:
        await journal.change("p2", sending, alone=True)
    after = await journal.change("p2", sending)

    assert caught.value.record.id == "p1"
    assert after.state is PlacementState.SENDING


async def test_what_is_seen_of_an_order_adds_up(journal: Journal) -> None:
    """A later look with less in it unsays nothing; the order is found by either of its ids."""
    await journal.observe([seen("partially_filled", filled_quantity="0.004")])
    (known,) = await journal.observe([seen("open", quantity=None)])

    assert known.status == "partially_filled"
    assert str(known.quantity) == "0.01"
    assert await journal.orders(client_order_id="ob-p1") == [known]
    assert await journal.orders(order_id="oid1", gateway="bitso") == [known]
    assert await journal.orders(order_id="oid1", gateway="other") == []


async def test_an_owner_lives_as_long_as_it_said(journal: Journal) -> None:
    """The last word counts, and nobody is taken for alive who never spoke, or who gave its lease back."""
    await journal.keep_alive("me", -60.0)
    over = await journal.lives("me"), await journal.lives("me", 90.0)
    await journal.keep_alive("me", 60.0)
    renewed = await journal.lives("me"), await journal.lives("me", -30.0), await journal.lives("me", -90.0)
    await journal.keep_alive("me", 0)

    assert over == (False, True)
    assert renewed == (True, True, False)
    assert not await journal.lives("me", 90.0)
    assert not await journal.lives("you", 90.0)


async def test_a_few_of_many_are_found(journal: Journal) -> None:
    """The oldest or the newest come first, and no more than were asked for."""
    for number in range(5):
        await journal.create(record(f"p{number}"))

    oldest = await journal.find(limit=2)
    newest = await journal.find(newest_first=True, limit=2, gateway="bitso")

    assert [each.id for each in oldest] == ["p0", "p1"]
    assert [each.id for each in newest] == ["p4", "p3"]
    assert [each.id for each in await journal.find(newest_first=True)] == ["p4", "p3", "p2", "p1", "p0"]


class Counting(MemoryJournal):
    """It counts how many placements it looks at to find what it can forget."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.looked_at = 0

    def _is_over(self, record: Record) -> bool:
        self.looked_at += 1
        return super()._is_over(record)


async def test_a_journal_in_memory_forgets_what_is_over() -> None:
    """A bot that places for months without a journal holds so many placements, and orders, and no more."""
    journal = Counting(most=50)
    bot = Bot(Accepting(), journal=journal)
    for _ in range(400):
        order = await bot.bridge.place("bitso", limit_buy())
        await bot.bridge.observe(
            order.model_copy(update={"status": OrderStatus.FILLED, "filled_quantity": order.quantity})
        )
    last = order
    placements = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert len(placements) <= 50 + 50 // 10 + 2
    assert len(journal._orders) <= 2 * 50 + 1
    assert max(len(journal._clients), len(journal._events)) <= len(placements)
    assert placements[-1].client_order_id == last.client_order_id
    assert journal.looked_at <= 30 * 400


@pytest.mark.parametrize("why", ["key", "works", "uncertain"])
async def test_a_journal_in_memory_never_forgets_what_may_be_asked_for(why: str) -> None:
    """A held key, a living order or an unknown outcome outlast the bound, and do not make each write slower."""
    journal = Counting(most=100)
    bot = Bot(Accepting(), journal=journal)
    venue: Accepting = bot.bridge["bitso"].gateway  # type: ignore[assignment]
    venue.status = "filled" if why == "key" else "open"
    if why == "uncertain":
        for number in range(400):
            await journal.create(record(f"p{number}", state="uncertain"))
    else:
        for number in range(400):
            await bot.bridge.place("bitso", limit_buy(), key=f"k{number}" if why == "key" else None)
    again = await bot.bridge.place("bitso", limit_buy(), key="k0" if why == "key" else None)
    placements = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert len(placements) == (400 if why == "key" else 401)
    assert (again.order_id == "oid1") is (why != "works")
    assert journal.looked_at <= 30 * 400


class Walked(dict[Any, Any]):
    """It counts how often it is walked over."""

    walks = 0

    def items(self) -> Any:
        self.walks += 1
        return super().items()


async def test_many_orders_that_work_make_no_placement_slower_whose_key_is_let_go() -> None:
    """A bot that places a thousand orders and asks after none of them pays for each what it paid for the first."""
    journal = Counting()
    orders = journal._orders = Walked()
    bot = Bot(Accepting(), journal=journal)
    for number in range(1_200):
        await bot.bridge.place("bitso", limit_buy(), key=f"k{number}")
        journal.let_go("bitso", f"k{number}")
    await bot.bridge.aclose()

    assert len(orders) == 1_200
    assert journal.looked_at <= 10 * 1_200
    assert orders.walks <= 10


async def test_a_verdict_whose_watch_is_over_is_forgotten_in_memory() -> None:
    """What was proven absent long ago makes room; what is still watched does not."""
    journal = MemoryJournal(most=10)
    for n in range(40):
        watched = NOW + timedelta(days=1) if n % 2 else NOW - timedelta(days=1)
        await journal.create(record(f"p{n}", state="not_placed", watch_until=watched))

    kept = await journal.find()

    assert sum(each.watch_until > NOW for each in kept if each.watch_until) == 20
    assert len(kept) < 40


class Repeating(MemoryJournal):
    """It makes each change twice, as one does that other hosts write to: the first one is thrown away."""

    async def change(self, placement_id: str, change: Change, *, alone: bool = False) -> Record:
        change(self._records[placement_id])
        return await super().change(placement_id, change, alone=alone)

    async def change_seeing(self, placement_id: str, order: Order, change: ChangeSeeing) -> Record:
        change(self._records[placement_id], order)
        return await super().change_seeing(placement_id, order, change)


@pytest.mark.parametrize("kind", [MemoryJournal, Repeating])
async def test_a_change_may_be_made_more_than_once(kind: type[MemoryJournal]) -> None:
    """What places, is lost, proven absent and given up leaves the same chain of events behind."""
    placed, lost = Bot(Accepting(), journal=(journal := kind())), Bot(Venue(), journal=journal)
    order = await placed.bridge.place("bitso", limit_buy(), key="k1")
    placement = await lost.lose(limit_buy(price="99999"), key="k2")
    after = await lost.bridge.resolve(placement, timeout=10)
    records = await journal.find()
    chains = [[event.happened.value for event in await journal.events(each.id)] for each in records]
    await placed.bridge.aclose()
    await lost.bridge.aclose()

    assert (order.order_id, after.state) == ("oid1", "not_placed")
    assert chains == [["stored", "sending", "acknowledged"], ["stored", "sending", "unclear", "absent"]]
    assert [breaches(each, await journal.events(each.id)) for each in records] == [[], []]
