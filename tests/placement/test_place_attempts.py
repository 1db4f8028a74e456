"""Attempts that meet, end early, or cannot be written down."""

import asyncio
import itertools
import time
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from orderbridge import Order, OrderRequest, PlacementState
from orderbridge.errors import AuthenticationFailed, JournalError, NotSent, OrderDenied, OrderRejected, OutcomeUnknown
from orderbridge.placement import MemoryJournal, SqliteJournal
from orderbridge.placement.place import Sending
from orderbridge.simulator import Simulator
from tests.placement.hand import Accepting, Bot
from tests.placement.kit import Bridges, limit_buy, seen, until
from tests.placement.test_resolve_certificate import Venue

PLACE = "POST /api/v3/orders"


@pytest.fixture(params=["none", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournal | None:
    """Without a journal, and with one in a file."""
    return SqliteJournal(tmp_path / "orders.db") if request.param == "sqlite" else None


async def test_two_calls_at_one_clock_reading_send_once(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """Whoever begins the attempt has a word of its own for it; the clock cannot make two look alike."""
    bridge = bridges(journal=journal, clock=lambda: 1_800_000_000.0)
    placement = await bridge.prepare("bitso", limit_buy(), key="k1")

    orders = await asyncio.gather(*(bridge.place("bitso", placement) for _ in range(8)))

    assert len({order.order_id for order in orders}) == 1
    assert sim.bitso.requests[PLACE] == 1


async def test_what_was_not_sent_may_be_tried_again_under_its_own_id(sim: Simulator, bridges: Bridges) -> None:
    """A caller's own client id is not used up by an attempt that never left, and is by one that did."""
    bridge = bridges()
    request = limit_buy(client_order_id="mine-1")
    sim.bitso.fault("wrong_nonce", operation="place", probability=1.0)
    with pytest.raises((NotSent, AuthenticationFailed)):
        await bridge.place("bitso", request)
    sim.bitso.clear_faults()

    order = await bridge.place("bitso", request)

    assert order.client_order_id == "mine-1"
    with pytest.raises(OrderDenied, match="used before, by a placement that is placed"):
        await bridge.place("bitso", request)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
async def test_a_program_that_ends_while_it_sends_knows_that_it_may_have_sent(
    bridges: Bridges, journal: Any, ending: type[BaseException]
) -> None:
    """Whatever ends the task that sends, the placement is uncertain from then on, not being sent for ever."""
    bridge = bridges(journal=journal)
    await bridge.recover()
    gateway = bridge["bitso"].gateway

    async def ends(*args: Any, **how: Any) -> Any:
        raise ending

    gateway.submit = ends  # type: ignore[method-assign]
    placer = bridge._placements.line("bitso").placer
    record, _ = await placer._new(limit_buy(), "k1")
    call = Sending(record, asyncio.get_running_loop().time() + 1, 1.0, is_new=True)

    with pytest.raises(ending):
        await placer._attempt(call)

    placement = await bridge.placement(key="k1")
    assert placement is not None
    assert placement.state == "uncertain"


async def test_a_gateway_that_cancels_itself_leaves_its_caller_running(bridges: Bridges, journal: Any) -> None:
    """A cancellation that nobody asked for is an outcome that is not known, and ends no task of the bot."""
    bridge = bridges(journal=journal)

    async def ends(*args: Any, **how: Any) -> Any:
        raise asyncio.CancelledError

    bridge["bitso"].gateway.submit = ends  # type: ignore[method-assign]

    with pytest.raises(OutcomeUnknown, match="broke off"):
        await bridge.place("bitso", limit_buy(), key="k1")


@pytest.mark.parametrize("answer", [None, "an order", KeyError("id")])
async def test_an_answer_that_is_no_order_is_followed_up(bridges: Bridges, journal: Any, answer: Any) -> None:
    """Whatever an adapter returns or raises after the send, the placement is uncertain and probed."""
    bridge = bridges(journal=journal)

    async def answers(*args: Any, **how: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    bridge["bitso"].gateway.submit = answers  # type: ignore[method-assign]

    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key="k1")

    assert caught.value.placement is not None
    assert (await bridge.resolve(caught.value.placement, timeout=60)).state == "not_placed"


async def test_what_was_asked_is_what_an_order_is(bridges: Bridges, journal: Any) -> None:
    """Whatever sizes a gateway returns, those of the request count, and the others are anomalies."""
    bridge = bridges(journal=journal)

    async def answers(*args: Any, **how: Any) -> Any:
        return seen(quantity="0.004", filled_quantity="0.004", client_order_id=args[0].client_order_id)

    bridge["bitso"].gateway.submit = answers  # type: ignore[method-assign]

    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert (order.quantity, order.filled_quantity, order.max_remaining) == tuple(
        map(Decimal, ("0.01", "0.004", "0.006"))
    )
    assert order.anomalies == ("quantity was sent as 0.01, and the answer says 0.004",)


@pytest.mark.parametrize("wrong", [{"symbol": "ETH/MXN"}, {"side": "sell"}])
async def test_an_answer_about_another_order_is_followed_up(
    bridges: Bridges, journal: Any, wrong: dict[str, str]
) -> None:
    """Another symbol or side is no order of ours: the placement is uncertain, and probed."""
    bridge = bridges(journal=journal)

    async def answers(*args: Any, **how: Any) -> Any:
        return seen(client_order_id=args[0].client_order_id, **wrong)

    bridge["bitso"].gateway.submit = answers  # type: ignore[method-assign]

    with pytest.raises(OutcomeUnknown, match="another order: oid1") as caught:
        await bridge.place("bitso", limit_buy(), key="k1")

    assert caught.value.placement is not None
    assert (await bridge.resolve(caught.value.placement, timeout=60)).state == "not_placed"


class Broken(dict[Any, Any]):
    """Markets and a clock of a caller's own, which fail once told to."""

    fails = False

    def get(self, symbol: object, default: Any = None) -> Any:
        raise TypeError("no such market")

    def time(self) -> float:
        if self.fails:
            raise TypeError("no such time")
        return time.time()


@pytest.mark.parametrize("part", ["bitso rules", "bitso signature", "bitcain token"])
@pytest.mark.parametrize("call", ["place", "submit", "submit_alone"])
async def test_an_error_before_the_send_is_no_unknown_outcome(
    sim: Simulator, journal: Any, part: str, call: str
) -> None:
    """Whatever fails before a byte could leave, a defect included, the placement is prepared and nothing was sent."""
    venue, broken = part.split()[0], Broken()
    login = {"token": None, "email": sim.bitcain.email, "password": sim.bitcain.password}
    settings = {"bitso rules": {"markets": broken}, "bitso signature": {"markets": None}, "bitcain token": login}
    bridge = Bridges(sim, venue=venue)(journal=journal, gateway={**settings[part], "clock": broken.time})
    gateway, request = bridge[venue], limit_buy()
    act = {
        "place": lambda: bridge.place(venue, request, key="k1"),
        "submit": lambda: gateway.submit(request),
        "submit_alone": lambda: gateway.gateway.submit(request),
    }[call]

    async with aclosing(bridge):
        await bridge.recover()
        await bridge.open_orders()
        broken.fails = True
        with pytest.raises(NotSent, match="TypeError") as caught:
            await act()
        states = [placement.state.value for placement in await bridge.placements()]

    assert caught.value.__cause__ is not None
    assert states == ([] if call == "submit_alone" else ["prepared"])
    assert not [name for name in getattr(sim, venue).requests if name.startswith("POST") and "order" in name]


async def test_nothing_is_sent_once_the_bridge_is_closed(sim: Simulator, bridges: Bridges) -> None:
    """A place that still waits for its permit when the bridge is closed was not sent, and says so."""
    bridge = bridges()
    gate = asyncio.Event()
    gateway = bridge["bitso"].gateway
    permitted = gateway.permit

    async def later(*args: Any, **how: Any) -> Any:
        if not gate.is_set() and how.get("timeout") == 0:
            raise NotSent("not yet")
        await gate.wait()
        return await permitted(*args, **how)

    gateway.permit = later  # type: ignore[method-assign]
    waiting = asyncio.ensure_future(bridge.place("bitso", limit_buy()))
    await asyncio.sleep(0.05)
    closing = asyncio.ensure_future(bridge._placements.aclose())
    await asyncio.sleep(0.05)
    gate.set()

    with pytest.raises(NotSent, match="closed"):
        await waiting
    await closing
    assert sim.bitso.requests[PLACE] == 0


async def test_an_outcome_that_could_not_be_stored_is_stored_later(
    sim: Simulator, bridges: Bridges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A disk that is full at the wrong moment and has room again leaves no placement as being sent, and what the call
    returned is what the next ones see meanwhile.
    """
    monkeypatch.setattr("orderbridge.placement.placements._HEARTBEAT", 0.02)
    journal = FullLater(tmp_path / "orders.db")
    bridge = bridges(journal=journal)

    order = await bridge.place("bitso", limit_buy(), key="k1")
    full = await journal.find(key="k1")
    told = await bridge.placement(key="k1")
    of_state = await bridge.placements(state="placed")
    again = await bridge.place("bitso", limit_buy(), key="k1")
    journal.has_room = True

    async def is_stored() -> bool:
        return (await journal.find(key="k1"))[0].state is PlacementState.PLACED

    await until(is_stored)
    (stored,) = await journal.find(key="k1")
    assert (full[0].state, stored.state) == ("sending", "placed")
    assert told == of_state[0]
    assert (told.state, told.order) == ("placed", order)
    assert again.key == order.key
    assert stored.placement.order is not None
    assert stored.placement.order.order_id == order.order_id
    assert "journal" in bridges.kinds


class FullLater(SqliteJournal):
    """A journal whose disk is full for everything after an order was begun, until there is room again."""

    has_room = False

    async def change(self, *args: Any, **how: Any) -> Any:
        if not self.has_room:
            raise JournalError("the disk is full")
        return await super().change(*args, **how)

    async def change_seeing(self, *args: Any, **how: Any) -> Any:
        if not self.has_room:
            raise JournalError("the disk is full")
        return await super().change_seeing(*args, **how)


async def test_the_deadline_for_sending_is_handed_to_the_gateway() -> None:
    """Whoever waits inside a gateway knows after when nothing may leave: as long as there was to wait, or as told."""
    venue, loop = Watched(), asyncio.get_running_loop()
    bot = Bot(venue)

    began = loop.time()
    await bot.bridge.place("bitso", limit_buy(), send_within=7.0, timeout=3.0)
    ended = loop.time()
    await bot.bridge["bitso"].submit(limit_buy(), not_after=began + 1234.5)
    await bot.bridge.aclose()

    placed, submitted = venue.how
    assert began + 7.0 <= placed["not_after"] <= ended + 7.0
    assert placed["timeout"] == 3.0
    assert placed["permit"].gateway == "bitso"
    assert submitted["not_after"] == began + 1234.5


class Watched(Accepting):
    """It keeps how each order came to it."""

    def __init__(self) -> None:
        super().__init__()
        self.how: list[dict[str, Any]] = []

    async def submit(self, request: OrderRequest, **how: Any) -> Order:
        self.how.append(how)
        return await super().submit(request, **how)


async def test_a_machine_that_slept_before_it_sent_sends_nothing() -> None:
    """The time in its loop stood still meanwhile: by the wall clock the deadline has passed, and nothing leaves."""
    venue = Accepting()
    bot = Bot(venue, clock=map(float, itertools.count(1_800_000_000, 1000)).__next__)

    with pytest.raises(NotSent, match="the deadline for sending had passed"):
        await bot.bridge.place("bitso", limit_buy(), key="k1")
    placement = await bot.bridge.placement(key="k1")
    await bot.bridge.aclose()

    assert venue.sent == []
    assert placement is not None
    assert placement.state == "prepared"


class BrokenAfterwards(MemoryJournal):
    """A journal of somebody's own that fails, and not by a JournalError, when an order is there."""

    is_broken = was_broken = False

    async def change(self, *args: Any, **how: Any) -> Any:
        if self.is_broken:
            raise RuntimeError("a mistake of its own")
        return await super().change(*args, **how)

    async def change_seeing(self, *args: Any, **how: Any) -> Any:
        self.is_broken, self.was_broken = not self.was_broken, True
        return await super().change_seeing(*args, **how)


async def test_a_reply_that_cannot_be_taken_in_is_an_unknown_outcome() -> None:
    """The order is there and the journal does not know it: its caller is told so, with an alarm, and may not go on."""
    venue, journal = Accepting(), BrokenAfterwards()
    bot = Bot(venue, journal=journal)

    with pytest.raises(OutcomeUnknown, match="the reply could not be taken in: RuntimeError") as caught:
        await bot.bridge.place("bitso", limit_buy(), key="k1")
    journal.is_broken = False
    await bot.bridge.aclose()

    assert len(venue.sent) == 1
    assert caught.value.placement is not None
    assert "background" in bot.kinds


@pytest.mark.parametrize("refusal", [OrderRejected("no"), NotSent("nothing left")])
async def test_a_refusal_while_something_else_speaks_for_the_order_is_no_refusal(refusal: Exception) -> None:
    """An order was seen under its id meanwhile: whoever is told that nothing is there would place another."""
    venue = Accepting()
    bot = Bot(venue)

    async def refuses(request: OrderRequest, **how: Any) -> Order:
        await bot.bridge.observe(await Accepting.submit(venue, request))
        raise refusal

    venue.submit = refuses  # type: ignore[method-assign]

    with pytest.raises(OutcomeUnknown, match="while something else speaks for it"):
        await bot.bridge.place("bitso", limit_buy(), key="k1")
    placement = await bot.bridge.placement(key="k1")
    await bot.bridge.aclose()

    assert placement is not None
    assert (placement.state, len(venue.sent)) == ("placed", 1)


async def test_an_error_that_is_raised_as_it_is_keeps_its_own_cause() -> None:
    """Why nothing left is behind the gateway's own error, which is never made the cause of itself."""
    venue = Accepting()
    bot = Bot(venue)

    async def unreachable(request: OrderRequest, **how: Any) -> Order:
        raise NotSent("no route") from ConnectionError("refused")

    venue.submit = unreachable  # type: ignore[method-assign]

    with pytest.raises(NotSent, match="no route") as caught:
        await bot.bridge["bitso"].submit(limit_buy())
    await bot.bridge.aclose()

    assert isinstance(caught.value.__cause__, ConnectionError)


async def test_what_was_prepared_is_not_sent_while_another_order_stands_under_its_id() -> None:
    """It is denied with what was seen, at once."""
    venue = Accepting()
    bot = Bot(venue)
    prepared = await bot.bridge.prepare("bitso", limit_buy(), key="k1")
    await bot.bridge.observe(seen(client_order_id=prepared.client_order_id, side="sell"))

    with pytest.raises(OrderDenied, match="it is not sent: oid1: side"):
        async with asyncio.timeout(10):
            await bot.bridge.place("bitso", prepared)
    await bot.bridge.aclose()

    assert venue.sent == []


async def test_equal_orders_that_were_prepared_are_kept_apart_where_ids_are_only_tags() -> None:
    """While the outcome of the one is not known, the other is not sent either."""
    venue = Venue(idempotency="tag_only")
    bot = Bot(venue, settle_horizon=60.0)
    first, second = [await bot.bridge.prepare("bitso", limit_buy()) for _ in range(2)]
    with pytest.raises(OutcomeUnknown):
        await bot.bridge.place("bitso", first)

    with pytest.raises(NotSent, match=first.client_order_id):
        await bot.bridge.place("bitso", second, send_within=0.1)
    await bot.bridge.aclose()

    assert len(venue.sent) == 1
