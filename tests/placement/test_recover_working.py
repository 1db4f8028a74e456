"""Orders that worked when the last process ended: what a start makes of those that are not open any more."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, OrderEdit, OrderRequest, OrderType
from orderbridge.errors import OrderNotActive, OutcomeUnknown, VenueUnavailable
from orderbridge.http.retry import Retries
from orderbridge.model.results import BadRow, Found, LookupResult
from orderbridge.placement import MemoryJournal, SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import Bridges, limit_buy, seen, until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of both processes is."""
    return tmp_path / "orders.db"


async def placed(bridges: Bridges, path: Path) -> Order:
    bridge = bridges(journal=SqliteJournal(path))
    order = await bridge.place("bitso", limit_buy(), read_back=True)
    await bridge.aclose()
    return order


async def cancelled_by_another(sim: Simulator, order: Order) -> None:
    async with sim.bitso.gateway() as gateway:
        await gateway.cancel(order)


async def restarted(bridges: Bridges, path: Path) -> Any:
    return bridges(journal=SqliteJournal(path))


async def test_an_order_that_was_cancelled_meanwhile_is_told_and_kept(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """While the venue still shows it, its own word is taken."""
    order = await placed(bridges, path)
    await cancelled_by_another(sim, order)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert [(ended.order_id, ended.status, ended.known_by) for ended in report.ended] == [
        (order.order_id, "cancelled", "reported")
    ]


async def test_an_order_that_the_venue_forgot_is_concluded_from_what_it_shows(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """
    A day later, without fills, and missing from the complete open list: cancelled, and said to be inferred, once it has
    been lacking for the settle time; a process that looks only once leaves it to the next one.
    """
    order = await placed(bridges, path)
    await cancelled_by_another(sim, order)
    sim.clock.advance(25 * 3600)
    reports = []
    for _ in range(2):
        bridge = bridges(journal=SqliteJournal(path), clock=sim.clock.time)
        reports.append(await bridge.recover())
        await bridge.aclose()
        sim.clock.advance(120)

    assert reports[0].ended == ()
    assert [(ended.status, ended.filled_quantity, ended.known_by) for ended in reports[1].ended] == [
        ("cancelled", 0, "inferred")
    ]


async def test_an_order_that_is_still_open_is_left_alone(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """What the open list shows needs no look-up."""
    await placed(bridges, path)
    looked = sim.bitso.requests["GET /api/v3/orders"]
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert report.ended == ()
    assert sim.bitso.requests["GET /api/v3/orders"] == looked


async def test_an_order_that_vanished_within_its_window_is_not_concluded_from(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """The venue forgot at once, which proves nothing yet: the journal keeps it as it was."""
    order = await placed(bridges, path)
    sim.bitso.settings.visibility_window = 0
    await cancelled_by_another(sim, order)
    bridge = await restarted(bridges, path)

    report = await bridge.recover()

    assert report.ended == ()
    assert [known.order_id for known in await bridge._placements.ledger.journal.working("bitso")] == [order.order_id]


MUCH_LATER = 4_000_000_000.0


@pytest.mark.parametrize("kind", ["error_5xx", "drop", "html"])
async def test_a_look_up_that_failed_is_no_end_of_an_order(sim: Simulator, path: Path, kind: str) -> None:
    """An order that filled while nobody looked is never told as cancelled because Bitcain was down at the start."""
    bridges = Bridges(sim, venue="bitcain")
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="0.01", price="20000")
    first = bridges(journal=SqliteJournal(path))
    order = await first.place("bitcain", request)
    await first.aclose()
    sim.clock.advance(25 * 3600)
    sim.bitcain.market("BTC/USDT").fill(order.order_id)
    sim.bitcain.fault(kind, operation="lookup", times=100)
    again = Retries(tries=1)
    bridge = bridges(journal=SqliteJournal(path), clock=sim.clock.time, gateway={"retries": again})

    report = await bridge.recover()
    kept = await bridge._placements.ledger.journal.working("bitcain")
    sim.bitcain.clear_faults()
    later = await bridge.recover()
    await bridge.aclose()

    assert report.ended == ()
    assert [each.order_id for each in kept] == [order.order_id]
    assert [(each.order_id, each.status) for each in later.ended] == [(order.order_id, "filled")]


@pytest.mark.parametrize("fills", [True, False])
@pytest.mark.parametrize("answer", ["failed", "timed_out", "cannot_ask", "partly_searched", "not_seen"])
async def test_only_an_answer_that_shows_nothing_ends_an_order(answer: str, fills: bool) -> None:
    """A search in part counts where the trades can be read as well; a failure counts nowhere."""
    venue, journal = Accepting(fills=fills), MemoryJournal()
    order = await left_behind(venue, journal)
    venue.answer = answer

    at_first, after = await told_by_two_processes(venue, journal)

    assert at_first == ()
    ends = answer == "not_seen" or (answer == "partly_searched" and fills)
    assert [each.order_id for each in after] == ([order.order_id] if ends else [])


async def left_behind(venue: Accepting, journal: MemoryJournal) -> Order:
    """An order of a process that ended."""
    first = Bot(venue, journal=journal)
    order = await first.bridge.place("bitso", limit_buy())
    await first.bridge.aclose()
    return order


async def told_by_two_processes(venue: Accepting, journal: MemoryJournal) -> list[tuple[Order, ...]]:
    """What had ended by each of two starts that are the settle time apart."""
    told = []
    for now in (MUCH_LATER, MUCH_LATER + 120):
        bot = Bot(venue, journal=journal, clock=lambda now=now: now)
        told.append((await bot.bridge.recover()).ended)
        await bot.bridge.aclose()
    return told


UNREADABLE = BadRow(gateway="bitso", position=0, reason="no order", raw={"oid": 7})


async def test_a_row_without_an_id_may_be_any_order() -> None:
    """While the open orders have a row that cannot be read at all, no order is missing from them."""
    venue, journal = Accepting(), MemoryJournal()
    await left_behind(venue, journal)
    venue.bad_rows = (UNREADABLE,)

    assert await told_by_two_processes(venue, journal) == [(), ()]


_APART = {"stop that may be another order": "triggers_apart"}


class Hindering(Accepting):
    """It forgot an order that it took, and answers each round of reads about it but for one of them."""

    def __init__(self, hindrance: str) -> None:
        super().__init__(**{_APART.get(hindrance, "open_orders_may_lack"): ["stop_loss"]})
        self.hindrance = hindrance
        self.looks = 0

    async def submit(self, request: OrderRequest, **how: Any) -> Order:
        order = await super().submit(request, **how)
        return order.model_copy(update={"type": OrderType.STOP_LOSS}) if self.hindrance.startswith("stop") else order

    def hinder(self, order: Order) -> None:
        """From now on one of its answers is wanting."""
        if self.hindrance == "trades fail":
            self.trades = VenueUnavailable("down")
        elif self.hindrance == "its row cannot be read":
            self.bad_rows = (UNREADABLE.model_copy(update={"order_id": order.order_id}),)

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        self.looks += 1
        is_second = self.looks % 2 == 0
        if is_second and self.hindrance == "second look-up fails":
            return LookupResult(refs=refs, found=(Found(answers={self.name: "failed"}),) * len(refs))
        orders = (refs[0],) if is_second and self.hindrance == "second look-up shows it" else ()
        found = Found(orders=orders, answers={self.name: "found" if orders else "not_seen"})
        return LookupResult(refs=refs, found=(found,) * len(refs))


@pytest.mark.parametrize(
    "hindrance",
    [
        *("none", "trades fail", "its row cannot be read", "second look-up fails", "second look-up shows it", "stop"),
        *_APART,
    ],
)
async def test_each_read_about_an_order_that_vanished_counts(hindrance: str) -> None:
    """Whatever its gateway remembers: while one of them does not answer, or shows it, its end is not concluded."""
    venue, journal = Hindering(hindrance), MemoryJournal()
    order = await left_behind(venue, journal)
    venue.hinder(order)

    at_first, after = await told_by_two_processes(venue, journal)
    working = await journal.working("bitso")

    assert at_first == ()
    if hindrance == "none":
        assert [(each.order_id, each.status) for each in after] == [(order.order_id, "cancelled")]
        assert working == []
    else:
        assert after == ()
        assert [(each.order_id, each.may_be_live) for each in working] == [(order.order_id, True)]
        if hindrance == "second look-up shows it":
            assert working[0].unseen_since is None


async def test_what_a_gateway_rebuilt_of_an_order_is_completed_by_the_journal() -> None:
    """Whoever remembers nothing tells an order by its trades alone: by the size it was placed with, it is filled."""
    venue = Accepting()
    bot = Bot(venue)
    order = await bot.bridge.place("bitso", limit_buy())
    rebuilt = seen(
        "ended",
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        known_by="inferred",
        quantity=None,
        price=None,
        filled_quantity="0.01",
    )
    venue.orders_found = [rebuilt]

    got = await bot.bridge.get(order)
    await bot.bridge.aclose()

    assert (got.status, got.known_by, got.filled_quantity) == ("filled", "inferred", Decimal("0.01"))
    assert (got.quantity, got.price) == (order.quantity, order.price)


async def test_a_clock_that_was_set_forward_ends_no_order() -> None:
    """A process that sees an order missing has to live through the settle time before it calls it over."""
    venue, journal = Accepting(), MemoryJournal()
    order = await left_behind(venue, journal)
    now, lived = [MUCH_LATER], [0.0]
    bot = Bot(venue, journal=journal, clock=lambda: now[0])
    bot.bridge._placements.line("bitso").working._followed.elapsed = lambda: lived[0]
    told = [(await bot.bridge.recover()).ended]

    for then in (1.0, 119.0, 120.0):
        now[0], lived[0] = MUCH_LATER + 200, then
        told.append((await bot.bridge.recover()).ended)
    await bot.bridge.aclose()

    assert told[:3] == [(), (), ()]
    assert [(each.order_id, each.status) for each in told[3]] == [(order.order_id, "cancelled")]


@pytest.fixture
def forgetful(sim: Simulator) -> Simulator:
    """A Bitso that forgets an order when it ends, and shows trades at once."""
    sim.bitso.settings.visibility_window = 0.0
    sim.bitso.settings.trade_lag = 0.0
    return sim


POST_ONLY = {"price": "9000000", "post_only": True}


async def test_an_order_that_ended_unfilled_is_seen_to_end_by_later_processes(
    forgetful: Simulator, bridges: Bridges, path: Path
) -> None:
    """One process places it, one misses it, one concludes: by an id of either kind, and so the placement has it."""
    looks = []
    for wait in (0, 0, 120, 0):
        forgetful.clock.advance(wait)
        bridge = bridges(journal=SqliteJournal(path), clock=forgetful.clock.time)
        order = await bridge.place("bitso", limit_buy(**POST_ONLY), key="k1")
        by_client = await bridge["bitso"].get(f"client:{order.client_order_id}")
        looks.append((await bridge.get(f"bitso:{order.order_id}"), by_client, await bridge.placement(key="k1")))
        await bridge.aclose()

    at_first, _, after, later = looks
    assert [look.status for look in at_first[:2]] == ["accepted", "accepted"]
    assert at_first[0].unseen_since is not None
    assert [(look.status, look.filled_quantity, look.quantity) for look in after[:2]] == [
        ("cancelled", 0, order.quantity)
    ] * 2
    assert later[2] is not None
    assert (later[2].state, later[2].order.status, later[2].may_be_live) == ("placed", "cancelled", False)


async def test_who_waits_for_the_end_of_a_cancel_gets_it(forgetful: Simulator, bridges: Bridges) -> None:
    """`wait="done"` goes on through the settle time, without a journal too."""
    bridge = bridges(gateway={"settle_time": 0.3})
    order = await bridge.place("bitso", limit_buy(**POST_ONLY))

    after = await bridge.cancel(order, wait="done", timeout=30)

    assert (after.status, after.known_by, after.filled_quantity) == ("cancelled", "inferred", 0)


async def test_a_recovery_looks_again_once_an_end_can_be_concluded(
    forgetful: Simulator, bridges: Bridges, path: Path
) -> None:
    """A bridge that lives needs no caller: what was lacking at the start is looked at again, and not before."""
    order = await placed(bridges, path)
    await cancelled_by_another(forgetful, order)
    bridge = bridges(journal=SqliteJournal(path), clock=forgetful.clock.time)
    await bridge.recover()
    working, journal = bridge._placements.line("bitso").working, bridge._placements.ledger.journal
    asked = forgetful.bitso.requests["GET /api/v3/open_orders"]

    await working.look_again()
    too_soon = forgetful.bitso.requests["GET /api/v3/open_orders"]
    forgetful.clock.advance(121)
    await working.look_again()

    assert too_soon == asked
    assert await journal.working("bitso") == []
    (known,) = await journal.orders(gateway="bitso", order_id=order.order_id)
    assert (known.status, known.known_by) == ("cancelled", "inferred")


@pytest.mark.parametrize("quantity", ["0.01", "0.004"])
async def test_an_order_found_by_its_trades_is_what_was_asked_for(
    forgetful: Simulator, bridges: Bridges, quantity: str
) -> None:
    """Its answer was lost, and it was forgotten: its size is the request's, so that a part filled is no end."""
    bridge = bridges(horizon=5.0)
    forgetful.bitso.fault("accept_then_drop", operation="place")
    with pytest.raises(OutcomeUnknown) as lost:
        await bridge.place("bitso", limit_buy(), key="k1")
    (truth,) = forgetful.bitso.accepted()
    forgetful.bitso.market("btc_mxn").fill(truth.order_id, quantity=quantity)
    truth.hidden = True

    placement = await bridge.resolve(lost.value.placement, timeout=30)

    assert placement.state == "placed"
    assert placement.order is not None
    asked = limit_buy()
    assert (placement.order.type, placement.order.price, placement.order.quantity) == (
        asked.type,
        asked.price,
        asked.quantity,
    )
    assert (placement.order.status, placement.order.is_done) == (
        ("filled", True) if quantity == "0.01" else ("partially_filled", False)
    )


async def test_an_order_that_is_shown_after_its_end_was_concluded_is_alarmed(
    forgetful: Simulator, bridges: Bridges
) -> None:
    """Shown later than the settle time: the journal has the venue's word again, and a person hears of it once."""
    bridge = bridges(clock=forgetful.clock.time)
    forgetful.bitso.fault("late_visibility", operation="place", seconds=130)
    order = await bridge.place("bitso", limit_buy(), key="k1")
    await bridge.get(order)
    forgetful.clock.advance(120)
    wrong = await bridge.get(order)
    forgetful.clock.advance(10)

    for _ in range(2):
        shown = await bridge.get(order)
        await bridge._placements.recorder.finish()
    placement = await bridge.placement(key="k1")

    assert (wrong.status, shown.status) == ("cancelled", "open")
    assert placement is not None
    assert (placement.order.status, placement.may_be_live) == ("open", True)
    assert bridges.kinds == ["ghost"]
    assert "concluded to be cancelled" in bridges.alarms[0].message


async def test_trades_that_come_after_the_end_was_concluded_are_alarmed(forgetful: Simulator, bridges: Bridges) -> None:
    """More was filled than had been concluded: the fills are put right, and a person hears of it once."""
    bridge = bridges(clock=forgetful.clock.time)
    forgetful.bitso.settings.trade_lag = 200
    order = await bridge.place("bitso", limit_buy(), key="k1")
    market = forgetful.bitso.market("btc_mxn")
    market.fill(order.order_id, quantity="0.004")
    forgetful.clock.advance(150)
    market.fill(order.order_id, quantity="0.006")
    forgetful.clock.advance(50)
    looks = []
    for wait in (0, 120, 30, 0):
        forgetful.clock.advance(wait)
        looks.append(await bridge.get(order))
        await bridge._placements.recorder.finish()

    assert [look.status for look in looks] == ["partially_filled", "cancelled", "filled", "filled"]
    assert looks[-1].filled_quantity == order.quantity
    assert bridges.kinds == ["ghost"]


async def test_a_stop_that_may_be_left_out_of_the_list_is_not_proven_absent(
    forgetful: Simulator, bridges: Bridges
) -> None:
    """The list of open orders proves nothing about a stop that waits: its placement is given up visibly instead."""
    bridge = bridges()
    stop = OrderRequest(symbol="BTC/MXN", side="sell", type="stop_loss", quantity="0.01", stop_price="100000")
    forgetful.bitso.fault("drop", operation="place")
    with pytest.raises(OutcomeUnknown) as lost:
        await bridge.place("bitso", stop, key="k1")

    placement = await bridge.resolve(lost.value.placement, timeout=30)

    assert (placement.state, placement.gave_up, placement.holds_key) == ("uncertain", True, True)


async def test_what_a_caller_s_own_stream_showed_counts_as_shown(forgetful: Simulator, bridges: Bridges) -> None:
    """An order that was observed, and that the venue forgot since, is seen to end like one that was read."""
    bridge = bridges(clock=forgetful.clock.time)
    put = forgetful.bitso.put(status="cancelled", filled_quantity="0", quantity="0.01", price="100000")
    fields = {"venue": "bitso", "order_id": put.order_id, "symbol": "BTC/MXN", "side": put.side, "status": "open"}
    await bridge.observe(Order(**fields, quantity="0.01", observed_at=forgetful.clock.now()))

    at_first = await bridge.get(f"bitso:{put.order_id}")
    forgetful.clock.advance(120)
    after = await bridge.get(f"bitso:{put.order_id}")

    assert (at_first.status, after.status, after.filled_quantity) == ("open", "cancelled", 0)


@pytest.mark.parametrize("way", ["placement", "place", "open_orders"])
@pytest.mark.parametrize("kept", [True, False], ids=["journal", "memory"])
async def test_an_order_that_ended_unseen_is_seen_to_end_by_who_polls(
    forgetful: Simulator, bridges: Bridges, path: Path, monkeypatch: pytest.MonkeyPatch, way: str, kept: bool
) -> None:
    """Whoever asks what became of an order is answered from what is known, and that is looked at behind him."""
    monkeypatch.setattr("orderbridge.placement.placements._HEARTBEAT", 0.02)
    bridge = bridges(journal=SqliteJournal(path) if kept else None, clock=forgetful.clock.time)
    order = await bridge.place("bitso", limit_buy(**POST_ONLY), key="k1")
    asked, journal = forgetful.bitso.requests["GET /api/v3/open_orders"], bridge._placements.ledger.journal
    polls = 0

    async def known() -> Order:
        nonlocal polls
        polls += 1
        if way == "open_orders":
            await bridge.open_orders()
        elif way == "place":
            return await bridge.place("bitso", limit_buy(**POST_ONLY), key="k1")
        else:
            placement = await bridge.placement(key="k1")
            assert placement is not None
            assert placement.order is not None
            return placement.order
        (seen,) = await journal.orders(gateway="bitso", order_id=order.order_id)
        return seen

    async def is_lacking() -> bool:
        return (await known()).unseen_since is not None

    async def is_over() -> bool:
        return (await known()).is_done

    await until(is_lacking)
    at_first = await known()
    forgetful.clock.advance(121)
    await until(is_over)

    after = await known()
    assert (at_first.status, after.status, after.known_by, after.filled_quantity) == (
        "accepted",
        "cancelled",
        "inferred",
        0,
    )
    # Two looks, of a few reads each, however often somebody asks.
    own = polls if way == "open_orders" else 0
    assert forgetful.bitso.requests["GET /api/v3/open_orders"] - asked - own <= 6


async def test_nothing_is_looked_at_that_does_not_work(
    sim: Simulator, bridges: Bridges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an order of ours that may be live, whoever polls open orders causes no other request."""
    bridge = bridges()
    await bridge.cancel(await bridge.place("bitso", limit_buy(), key="k1"))
    working = bridge._placements.line("bitso").working
    await bridge.open_orders()
    asked = sum(sim.bitso.requests.values())

    await working.look_again()

    assert sum(sim.bitso.requests.values()) == asked


async def test_a_look_that_failed_is_made_again(forgetful: Simulator, bridges: Bridges, path: Path) -> None:
    """A venue that does not answer once, at the moment when an end could be concluded, delays it and no more."""
    order = await placed(bridges, path)
    await cancelled_by_another(forgetful, order)
    bridge = bridges(journal=SqliteJournal(path), clock=forgetful.clock.time, gateway={"retries": Retries(tries=1)})
    await bridge.recover()
    working, journal = bridge._placements.line("bitso").working, bridge._placements.ledger.journal

    forgetful.clock.advance(121)
    forgetful.bitso.fault("error_5xx", operation="lookup")
    await working.look_again()
    forgetful.bitso.clear_faults()
    still_working = await journal.working("bitso")
    forgetful.clock.advance(121)
    await working.look_again()

    assert [each.order_id for each in still_working] == [order.order_id]
    assert await journal.working("bitso") == []


async def test_open_orders_of_a_bridge_say_what_they_may_lack(bridges: Bridges) -> None:
    """By gateway: of stops that wait at Bitso the list is not complete."""
    assert (await bridges().open_orders()).may_lack == {"bitso": {"stop_loss", "stop_limit"}}


@pytest.mark.parametrize("way", ["bound", "bridge", "client id"])
async def test_a_cancel_knows_what_an_earlier_process_was_shown(
    forgetful: Simulator, bridges: Bridges, path: Path, way: str
) -> None:
    """The venue forgot it, and this process never saw it: it is told as the journal has it, and not as not found."""
    order = await placed(bridges, path)
    await cancelled_by_another(forgetful, order)
    bridge = await restarted(bridges, path)

    if way == "bound":
        told = await bridge["bitso"].cancel(order.order_id)
    else:
        told = await bridge.cancel(f"bitso:{order.order_id}" if way == "bridge" else f"client:{order.client_order_id}")

    assert (told.order_id, told.status, told.quantity, told.may_be_live) == (
        order.order_id,
        "open",
        order.quantity,
        True,
    )


async def test_an_edit_knows_what_an_earlier_process_was_shown(
    forgetful: Simulator, bridges: Bridges, path: Path
) -> None:
    """Once it has been lacking for the settle time, over two processes, the edit is refused with how it ended."""
    order = await placed(bridges, path)
    await cancelled_by_another(forgetful, order)
    bridge = await restarted(bridges, path)
    await bridge.get(f"bitso:{order.order_id}")
    await bridge.aclose()
    forgetful.clock.advance(120)
    bridge = await restarted(bridges, path)

    with pytest.raises(OrderNotActive) as refused:
        await bridge["bitso"].edit(order.order_id, OrderEdit(quantity="0.02", price="110000"))

    assert (refused.value.order.status, refused.value.order.filled_quantity) == ("cancelled", 0)


async def test_a_look_up_at_every_gateway_knows_it_too(forgetful: Simulator, bridges: Bridges, path: Path) -> None:
    """What the journal knows of an order is half of the proof of its end, which a later process concludes."""
    order = await placed(bridges, path)
    await cancelled_by_another(forgetful, order)
    bridge = await restarted(bridges, path)
    await bridge.lookup(f"client:{order.client_order_id}")
    await bridge.aclose()
    forgetful.clock.advance(120)
    bridge = await restarted(bridges, path)

    found = (await bridge.lookup(f"client:{order.client_order_id}"))[f"client:{order.client_order_id}"]

    assert [(each.status, each.known_by, each.quantity) for each in found.orders] == [
        ("cancelled", "inferred", order.quantity)
    ]


class Denying(Accepting):
    """It took every order, and says of each that there is no such one."""

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        found = Found(answers={self.name: "not_seen"}, proven_absent=True)
        return LookupResult(refs=refs, found=(found,) * len(refs))


async def test_an_order_of_which_the_venue_says_that_there_is_none_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A person hears of it, at the first look only; it stays as it was, and so many names at most are remembered."""
    monkeypatch.setattr("orderbridge.placement.ledger._MOST_KNOWN", 2)
    bot = Bot(Denying())
    orders = [await bot.bridge.place("bitso", limit_buy(price=price)) for price in ("1", "2")]

    for _ in range(3):
        await bot.bridge.recover()
    told = [alarm.order and alarm.order.order_id for alarm in bot.alarms]
    orders += [await bot.bridge.place("bitso", limit_buy(price=price)) for price in ("3", "4", "5")]
    await bot.bridge.recover()
    placements = await bot.bridge.placements()
    await bot.bridge.aclose()

    assert told == [order.order_id for order in orders[:2]]
    assert set(bot.kinds) == {"lost"}
    assert {alarm.order.order_id for alarm in bot.alarms if alarm.order} == {order.order_id for order in orders}
    assert [each.may_be_live for each in placements] == [True] * 5
    assert len(bot.bridge._placements.line("bitso").working._lost) <= 2
