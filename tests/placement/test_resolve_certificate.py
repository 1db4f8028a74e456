"""What must keep a verdict of absence from being given: each in its turn, over a gateway made by hand."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from orderbridge import (
    Alarm,
    Capabilities,
    Fill,
    Found,
    LookupResult,
    Order,
    OrderBridge,
    OrderList,
    OrderRequest,
    Permit,
    Placement,
    Side,
    UnsupportedCalls,
)
from orderbridge.errors import (
    DuplicateClientOrderId,
    NotSent,
    NotSupported,
    OrderNotFound,
    OutcomeUnknown,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.gateway import ClientIdRule
from orderbridge.model.results import BadRow
from orderbridge.placement import Happened
from orderbridge.placement.states import step
from tests.placement.kit import NOW, limit_buy, seen, until

CLIENT_IDS = ClientIdRule(alphabet="a-z0-9", max_length=40)


class Venue(UnsupportedCalls):
    """A gateway whose every answer a test sets: an error to raise, or what to say."""

    name = venue = "bitso"
    account = "default"

    def __init__(self, **capabilities: Any) -> None:
        known = {"order_types": ["limit"], "times_in_force": ["gtc"], "client_order_id": CLIENT_IDS, "fills": True}
        self.capabilities = Capabilities(**{**known, "history": True, "idempotency": "while_active", **capabilities})
        self.placing: Exception | Order = OutcomeUnknown("lost")
        self.answer = "not_seen"
        self.orders_found: list[Order] = []
        self.open: Exception | list[Order] = []
        self.bad_rows: tuple[BadRow, ...] = ()
        self.trades: Exception | list[Fill] = []
        self.history: Exception | list[Order] = []
        self.sent: list[OrderRequest] = []
        self.cancelled: list[Any] = []

    async def permit(self, lane: Any = "place", *, timeout: float | None = None) -> Permit:
        return Permit(gateway=self.name, lane=lane, granted_at=0.0)

    async def submit(self, request: OrderRequest, **how: Any) -> Order:
        self.sent.append(request)
        if isinstance(self.placing, Exception):
            raise self.placing
        return self.placing

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        orders = tuple(self.orders_found)
        found = Found(orders=orders, answers={self.name: "found" if orders else self.answer})
        return LookupResult(refs=refs, found=(found,) * len(refs))

    async def open_orders(self, *, symbol: str | None = None, timeout: float | None = None) -> OrderList:
        if isinstance(self.open, Exception):
            raise self.open
        return OrderList(orders=tuple(self.open), as_of=NOW, bad_rows=self.bad_rows)

    async def fills(self, ref: Any = None, **how: Any) -> AsyncIterator[Fill]:  # type: ignore[override]
        if isinstance(self.trades, Exception):
            raise self.trades
        for fill in self.trades:
            yield fill

    async def orders(self, **how: Any) -> AsyncIterator[Order]:  # type: ignore[override]
        if isinstance(self.history, Exception):
            raise self.history
        for order in self.history:
            yield order

    async def cancel(self, ref: Any, *, timeout: float | None = None) -> Order:
        self.cancelled.append(ref)
        raise OrderNotFound("no such order")

    async def aclose(self) -> None:
        """There is nothing to close."""

    async def __aenter__(self) -> "Venue":
        return self

    async def __aexit__(self, *exc: object) -> None:
        """There is nothing to close."""


class Settled:
    """A placement whose answer was lost, followed up at one venue."""

    def __init__(self, venue: Venue, **settings: Any) -> None:
        self.alarms: list[Alarm] = []
        times = tuple(n / 100 for n in range(1, 12))
        self.bridge = OrderBridge(
            venue, **{"settle_horizon": 0.03, "probe_times": times, "on_alarm": self.alarms.append, **settings}
        )

    async def place(self) -> Placement:
        with pytest.raises(OutcomeUnknown) as caught:
            await self.bridge.place("bitso", limit_buy())
        assert caught.value.placement is not None
        return caught.value.placement

    async def run(self) -> Placement:
        return await self.bridge.resolve(await self.place(), timeout=2)


def fill() -> Fill:
    fields = {"fill_id": "f1", "order_id": "oid1", "symbol": "BTC/MXN", "side": "buy", "quantity": "1", "price": "1"}
    return Fill(venue="bitso", quote_quantity="1", **fields)


def strange(**changes: Any) -> Order:
    """An order that no placement is known of, made a moment ago."""
    return seen(**{"client_order_id": None, "type": "limit", "created_at": datetime.now(UTC), **changes})


STRANGE_FILL = Fill(**{**fill().model_dump(include=set(fill().model_fields_set)), "created_at": datetime.now(UTC)})


NAMELESS: dict[str, Any] = {"client_order_id": None, "idempotency": "none"}


async def test_three_complete_rounds_past_the_horizon_certify() -> None:
    """Look-up, open list, trades and history all silent: not placed, and the evidence says by how much."""
    settled = Settled(Venue())

    placement = await settled.run()

    assert placement.state == "not_placed"
    assert "complete rounds" in placement.evidence[0]
    assert settled.alarms == []


class Asked(Venue):
    """It counts its look-ups, of which a silent round has two, and is in trouble after so many."""

    def __init__(self, *, well: int) -> None:
        super().__init__()
        self.asked = 0
        self.well = well

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        self.asked += 1
        if self.asked > self.well:
            self.answer = "failed"
        return await super().lookup(*refs, timeout=timeout)


@pytest.mark.parametrize("rounds", [3, 4, 5])
async def test_a_blocked_round_after_negative_ones_certifies_nothing(rounds: int) -> None:
    """Whatever was silent before the horizon, the round after it must be: when it is blocked, nothing is proven."""
    venue = Asked(well=2 * rounds)
    settled = Settled(venue, settle_horizon=60.0, probe_times=[n / 100 for n in range(1, 90)])
    resolver = settled.bridge._placements.line("bitso").resolver
    # The horizon passes with the last round that is silent, however fast the machine is.
    resolver._followed_for = lambda record: 0.0 if venue.asked < venue.well else 3600.0  # type: ignore[method-assign]

    placement = await settled.run()
    await settled.bridge.aclose()

    assert (placement.state, placement.gave_up) == ("uncertain", True)
    assert venue.asked >= 2 * rounds + 3


@pytest.mark.parametrize(("rounds", "state"), [(2, "uncertain"), (3, "not_placed")])
async def test_fewer_than_three_negative_rounds_certify_nothing(rounds: int, state: str) -> None:
    """Past the horizon from the first on: the third silent round certifies, and not the second."""
    venue = Asked(well=2 * rounds)
    settled = Settled(venue, settle_horizon=0.0, probe_times=[n / 100 for n in range(1, 90)])

    placement = await settled.run()
    await settled.bridge.aclose()

    assert (placement.state, placement.gave_up) == (state, state == "uncertain")
    if state == "not_placed":
        assert (venue.asked, placement.evidence) == (6, ("absent in 3 complete rounds",))


async def test_negative_rounds_that_follow_at_once_are_one() -> None:
    """An order that fills is in no list for a moment, and that moment is asked about three times: no certificate."""
    settled = Settled(Venue(), settle_horizon=60.0, probe_times=(30.0,))
    placement = await settled.place()
    record = await settled.bridge._placements.record_of(placement)
    resolver = settled.bridge._placements.line("bitso").resolver
    resolver._followed_for = lambda record: 3600.0  # type: ignore[method-assign]

    for _ in range(4):
        await resolver.round([record])
    after = await settled.bridge.resolve(placement, timeout=0.01)
    await settled.bridge.aclose()

    assert (after.state, after.gave_up) == ("uncertain", False)


@pytest.mark.parametrize(
    "spoilt",
    [
        {"answer": "failed"},
        {"answer": "timed_out"},
        {"answer": "cannot_ask"},
        {"open": VenueUnavailable("down")},
        {"open": UnexpectedResponse("the page is full: more orders than are shown")},
        {"bad_rows": (BadRow(gateway="bitso", position=0, reason="no id"),)},
        {"trades": VenueUnavailable("down")},
        {"history": UnexpectedResponse("the page moved while it was read")},
        {"history": NotSupported("the route is shadowed")},
        {"history": RuntimeError("an adapter's own mistake")},
    ],
    ids=lambda spoilt: "-".join(f"{name}" for name in spoilt),
)
async def test_anything_but_a_whole_answer_blocks_the_certificate(spoilt: dict[str, Any]) -> None:
    """A full or shifted page, a shadowed route, an unreadable row or an error is no negative: it ends given up."""
    venue = Venue()
    for name, value in spoilt.items():
        setattr(venue, name, value)
    settled = Settled(venue)

    placement = await settled.run()

    assert (placement.state, placement.gave_up) == ("uncertain", True)
    assert [alarm.kind for alarm in settled.alarms] == ["gave_up"]
    assert len(venue.sent) == 1


@pytest.mark.parametrize(
    ("lists", "state"),
    [(("history", "fills"), "not_placed"), (("history",), "not_placed"), (("fills",), "not_placed"), ((), "uncertain")],
)
async def test_a_part_of_a_search_is_a_negative_only_with_a_whole_list_of_what_ended(
    lists: tuple[str, ...], state: str
) -> None:
    """Where no id can be asked for, the history is the answer, or the account's trades, and nothing less."""
    venue = Venue(**{name: name in lists for name in ("history", "fills")})
    venue.answer = "partly_searched"

    placement = await Settled(venue).run()

    assert (placement.state, placement.gave_up) == (state, not lists)


class Traded(Venue):
    """It has a trade of a moment ago, and knows the order of that by its own id; or it does not."""

    order: Order | None = None

    def __init__(self, **capabilities: Any) -> None:
        super().__init__(**{"history": False, "idempotency": "tag_only", **capabilities})
        self.answer = "partly_searched"
        self.trades = [STRANGE_FILL]

    async def lookup(self, *refs: Any, timeout: float | None = None) -> LookupResult:
        self.orders_found = [self.order] if refs[0].order_id and self.order else []
        return await super().lookup(*refs, timeout=timeout)


@pytest.mark.parametrize(("own", "state"), [(True, "placed"), (False, "not_placed"), (None, "uncertain")])
async def test_an_order_that_only_its_trades_tell_of_is_looked_up(own: bool | None, state: str) -> None:
    """It is this one by its client id, or another's; where that is not shown it may be either."""
    venue = Traded()
    settled = Settled(venue)
    placement = await settled.place()
    if own is not None:
        venue.order = strange(status="filled", client_order_id=placement.client_order_id if own else "another")

    after = await settled.bridge.resolve(placement, timeout=2)
    await settled.bridge.aclose()

    assert after.state == state


@pytest.mark.parametrize("became", ["filled", "open", None])
@pytest.mark.parametrize("type_", ["stop_limit", "limit"])
async def test_a_stop_that_may_become_another_order_is_never_proven_absent(type_: str, became: str | None) -> None:
    """What it became has a client id of the venue's own, as orders of others have: a person decides, of stops alone."""
    venue = Traded()
    order_types, apart = ["limit", "stop_limit"], ["stop_limit"]
    venue.capabilities = Capabilities(
        **{**venue.capabilities.model_dump(), "order_types": order_types, "triggers_apart": apart}
    )
    settled = Settled(venue)
    stop = {"type": type_, "stop_price": "1"} if type_ == "stop_limit" else {}
    request = OrderRequest(**{**limit_buy().model_dump(exclude_unset=True), **stop})
    with pytest.raises(OutcomeUnknown) as caught:
        await settled.bridge.place("bitso", request)
    venue.order = strange(status=became, client_order_id="the-venues-own") if became else None
    venue.trades = [STRANGE_FILL] if became == "filled" else []
    venue.open = [venue.order] if venue.order and became == "open" else []

    after = await settled.bridge.resolve(caught.value.placement, timeout=2)  # type: ignore[arg-type]
    await settled.bridge.aclose()

    is_stop = type_ == "stop_limit"
    assert (after.state, after.gave_up) == (("uncertain", True) if is_stop else ("not_placed", False))


@pytest.mark.parametrize("client_ids", [True, False])
async def test_a_trade_is_of_the_side_that_its_order_is_shown_with(client_ids: bool) -> None:
    """What stands in a trade as its side is not what an absence is proven by: the order is looked up all the same."""
    venue = Traded(**({} if client_ids else NAMELESS))
    venue.trades = [STRANGE_FILL.model_copy(update={"side": Side.SELL})]
    venue.order = strange(order_id="oid1", status="filled")

    placement = await Settled(venue).run()

    assert (placement.state, placement.gave_up) == ("uncertain", True)


@pytest.mark.parametrize("where", ["open", "history", "trades"])
@pytest.mark.parametrize("client_ids", [True, False])
async def test_a_clock_that_is_ahead_hides_nothing(client_ids: bool, where: str) -> None:
    """Ours is most of an hour ahead of the venue's, by which the order is older than its placement."""

    class Dated(Venue):
        async def orders(self, **how: Any) -> AsyncIterator[Order]:  # type: ignore[override]
            for order in self.history:  # type: ignore[union-attr]
                if order.created_at >= how["since"]:  # type: ignore[operator]
                    yield order

        async def fills(self, ref: Any = None, **how: Any) -> AsyncIterator[Fill]:  # type: ignore[override]
            for fill in self.trades:  # type: ignore[union-attr]
                if ref is None and fill.created_at >= how["since"]:  # type: ignore[operator]
                    yield fill

    kind = {"idempotency": "tag_only"} if client_ids else NAMELESS
    venue = Dated(**kind, **({} if where == "history" else {"history": False}))
    venue.answer = "partly_searched"
    setattr(venue, where, [STRANGE_FILL if where == "trades" else strange()])

    placement = await Settled(venue, clock=lambda: time.time() + 3000).run()

    assert (placement.state, placement.gave_up) == ("uncertain", True)


async def test_giving_up_is_not_an_end() -> None:
    """What was given up and is seen later is placed after all."""
    venue = Venue()
    venue.answer = "failed"
    settled = Settled(venue)
    placement = await settled.run()

    await settled.bridge.observe(seen(client_order_id=placement.client_order_id))
    after = await settled.bridge.resolve(placement, timeout=1)

    assert (after.state, after.gave_up) == ("placed", False)


async def test_trades_without_an_order_prove_that_it_exists() -> None:
    """A fill under the id is never called absent, though no list shows the order."""
    venue = Venue()
    venue.trades = [fill()]
    settled = Settled(venue)

    placement = await settled.run()

    assert (placement.state, placement.gave_up) == ("uncertain", True)


async def test_no_certificate_before_the_horizon() -> None:
    """However many rounds were negative, the verdict waits until an accepted order would be shown."""
    settled = Settled(Venue(), settle_horizon=60.0)
    placement = await settled.place()

    await asyncio.sleep(0.15)
    after = await settled.bridge.resolve(placement, timeout=0.01)

    assert after.state == "uncertain"
    await settled.bridge.aclose()


@pytest.mark.parametrize("history", [True, False])
async def test_without_client_ids_whole_lists_without_a_strange_order_certify(history: bool) -> None:
    """Neither open nor ended, by the history or else by the trades of the account: it is not there."""
    venue = Venue(history=history, **NAMELESS)

    placement = await Settled(venue).run()

    assert (placement.client_order_id, placement.state) == (None, "not_placed")


async def test_without_client_ids_an_order_that_fits_and_appears_late_is_alarmed_once() -> None:
    """It may be the one that was proven absent: a person is told, and nobody takes it for that one. Others are not."""
    venue = Venue(**NAMELESS)
    settled = Settled(venue)
    record = await settled.bridge._placements.record_of(await settled.run())
    resolver = settled.bridge._placements.line("bitso").resolver
    told = []

    for shown in ([strange(order_id="o2", price="90000")], [strange()], [strange()]):
        venue.open = shown
        await resolver.round([record])
        told.append([(alarm.kind, alarm.order and alarm.order.order_id) for alarm in settled.alarms])
    (after,) = await settled.bridge.placements()
    venue.placing = strange(order_id="o3")
    venue.open = [await settled.bridge.place("bitso", limit_buy())]
    await resolver.round([record])
    await settled.bridge.aclose()

    assert told == [[], [("ghost", "oid1")], [("ghost", "oid1")]]
    assert (after.state, after.order) == ("not_placed", None)
    assert len(settled.alarms) == 1


async def test_without_client_ids_an_order_that_was_hidden_from_the_proof_alone_is_alarmed() -> None:
    """What kept it from being proven absent once, and was not shown while that was proven, may be it all the same."""
    venue = Venue(**NAMELESS)
    settled = Settled(venue)
    placement = await settled.place()
    record = await settled.bridge._placements.record_of(placement)
    resolver = settled.bridge._placements.line("bitso").resolver
    venue.open = [strange()]
    await resolver.round([record])
    candidates = resolver.candidates(placement.placement_id)

    venue.open = []
    absent = await settled.bridge.resolve(placement, timeout=2)
    record = await settled.bridge._placements.record_of(absent)
    venue.open = [strange()]
    await resolver.round([record])
    await settled.bridge.aclose()

    assert {order_id for _, order_id, *_ in candidates} == {"oid1"}
    assert absent.state == "not_placed"
    assert [(alarm.kind, alarm.order and alarm.order.order_id) for alarm in settled.alarms] == [("ghost", "oid1")]


@pytest.mark.parametrize(
    ("spoilt", "history"),
    [
        ({"open": [strange()]}, True),
        ({"open": [strange(created_at=NOW)]}, True),
        ({"open": [strange(price="99999.9")]}, True),
        ({"open": [strange(client_order_id="not-ours")]}, True),
        ({"history": [strange(status="cancelled")]}, True),
        ({"trades": [STRANGE_FILL]}, False),
        ({"open": VenueUnavailable("down")}, True),
        ({"bad_rows": (BadRow(gateway="bitso", position=0, reason="no id"),)}, True),
        ({"trades": VenueUnavailable("down")}, False),
        ({"trades": NotSupported("there are none")}, False),
    ],
    ids=("open", "old", "odd", "tagged", "ended", "traded", "no-list", "bad-row", "no-trades", "no-such-call"),
)
async def test_without_client_ids_whatever_it_may_be_keeps_it_from_being_certified(
    spoilt: dict[str, Any], history: bool
) -> None:
    """A strange order of its side, of whatever price and age, or a list that is not whole: it is given up."""
    venue = Venue(history=history, **NAMELESS)
    for name, value in spoilt.items():
        setattr(venue, name, value)

    placement = await Settled(venue).run()

    assert (placement.state, placement.gave_up, placement.order) == ("uncertain", True, None)


@pytest.mark.parametrize(
    "others",
    [
        [strange(order_id="o2", side="sell")],
        [strange(order_id="o2", symbol="ETH/MXN")],
        [strange(order_id="o2", price="90000", created_at=NOW)],
    ],
    ids=["sell", "market", "old"],
)
async def test_without_client_ids_orders_that_it_cannot_be_keep_nothing_back(others: list[Order]) -> None:
    """Of another side or market, or older and at another price; and those that are of other placements."""
    venue = Venue(**NAMELESS)
    settled = Settled(venue)
    venue.placing = strange(order_id="o1", price="110000")
    own = await settled.bridge.place("bitso", limit_buy(price="110000"))
    venue.placing = OutcomeUnknown("lost")
    venue.open = [own, *others]

    placement = await settled.run()

    assert placement.state == "not_placed"


async def test_equal_orders_are_kept_apart_where_ids_are_only_tags() -> None:
    """A second equal order waits, then says that nothing was sent and which one is before it."""
    venue = Venue(idempotency="tag_only")
    settled = Settled(venue, settle_horizon=60.0)
    first = await settled.place()

    with pytest.raises(NotSent, match=first.client_order_id):
        await settled.bridge.place("bitso", limit_buy(), send_within=0.1)
    venue.placing = seen(client_order_id=None)
    await settled.bridge.place("bitso", limit_buy(quantity="0.02"))

    assert len(venue.sent) == 2
    await settled.bridge.aclose()


async def test_fence_is_refused_where_the_venue_cannot() -> None:
    """A policy that the venue cannot carry out is refused before anything is sent."""
    venue = Venue(idempotency="tag_only")

    with pytest.raises(NotSupported, match="hold"):
        await Settled(venue, on_uncertain="fence").bridge.place("bitso", limit_buy())
    assert venue.sent == []


async def test_fence_cancels_at_every_probe() -> None:
    """Each round is preceded by a cancel under the client id."""
    venue = Venue()

    placement = await Settled(venue, on_uncertain="fence").run()

    assert placement.state == "not_placed"
    assert len(venue.cancelled) >= 3


async def test_case_10_an_order_that_differs_is_a_conflict() -> None:
    """What is shown under our id but is not what was asked for is never adopted, nor called absent."""
    venue = Venue()
    venue.orders_found = [seen(quantity="5")]
    settled = Settled(venue)
    placement = await settled.place()

    await asyncio.sleep(0.15)
    venue.orders_found = []
    after = await settled.bridge.resolve(placement, timeout=1)

    assert after.state == "uncertain"
    assert after.gave_up
    assert [alarm.kind for alarm in settled.alarms] == ["conflict", "gave_up"]


async def test_case_14_a_duplicate_that_is_never_shown_is_never_absent() -> None:
    """The venue says the id exists and shows nothing: given up, with an alarm, and no new id."""
    venue = Venue()
    venue.placing = DuplicateClientOrderId("it exists")
    settled = Settled(venue)

    placement = await settled.run()

    assert (placement.state, placement.gave_up) == ("uncertain", True)
    assert [alarm.kind for alarm in settled.alarms] == ["gave_up"]


async def test_case_15_an_order_that_appears_late_is_a_ghost() -> None:
    """After a verdict of absence a sighting makes it placed, with an alarm."""
    settled = Settled(Venue())
    placement = await settled.run()

    await settled.bridge.observe(seen(client_order_id=placement.client_order_id))
    after = await settled.bridge.resolve(placement, timeout=1)

    assert after.state == "placed"
    assert [alarm.kind for alarm in settled.alarms] == ["ghost"]


async def test_case_21_an_older_order_of_the_same_id_is_told_apart() -> None:
    """Of two orders under one id, the one made before the placement is not it."""
    venue = Venue()
    old = seen("filled", created_at=NOW)
    mine = old.model_copy(update={"order_id": "oid2", "created_at": NOW + timedelta(days=36_500)})
    venue.orders_found = [old, mine]
    settled = Settled(venue)

    placement = await settled.run()

    assert placement.order is not None
    assert placement.order.order_id == "oid2"


async def test_case_28_a_sighting_settles_what_is_uncertain() -> None:
    """Evidence from the caller's own stream ends the probing, whatever the venue's lists say."""
    venue = Venue()
    settled = Settled(venue, settle_horizon=60.0)
    placement = await settled.place()
    waiting = asyncio.ensure_future(settled.bridge.resolve(placement, timeout=1))
    await asyncio.sleep(0.15)

    await settled.bridge.observe(seen(client_order_id=placement.client_order_id))
    after = await asyncio.wait_for(waiting, 0.5)

    assert (after.state, after.evidence) == ("placed", ("observed",))


async def test_case_29_a_fill_before_the_reply_is_kept() -> None:
    """What a stream shows while the answer is on its way is there once it came, with its fills."""
    venue, began, came = Venue(), asyncio.Event(), asyncio.Event()
    settled = Settled(venue)

    async def slow(request: OrderRequest, **how: Any) -> Order:
        began.set()
        await came.wait()
        return seen("accepted", client_order_id=request.client_order_id)

    venue.submit = slow  # type: ignore[method-assign]
    task = asyncio.ensure_future(settled.bridge.place("bitso", limit_buy(), key="k"))
    await began.wait()
    sending = await settled.bridge.placements(state="sending")
    part = seen("partially_filled", client_order_id=sending[0].client_order_id, filled_quantity="0.004")
    await settled.bridge.observe(part)
    came.set()

    order = await task

    assert (order.status, str(order.filled_quantity)) == ("partially_filled", "0.004")
    after = await settled.bridge.placement(key="k")
    assert after is not None
    assert after.state == "placed"


async def test_case_27_a_cancelled_task_loses_nothing() -> None:
    """The caller goes away after the send: the answer is written down all the same."""
    venue, began, came = Venue(), asyncio.Event(), asyncio.Event()
    settled = Settled(venue)

    async def slow(request: OrderRequest, **how: Any) -> Order:
        began.set()
        await came.wait()
        return seen("accepted", client_order_id=request.client_order_id)

    venue.submit = slow  # type: ignore[method-assign]
    task = asyncio.ensure_future(settled.bridge.place("bitso", limit_buy(), key="k"))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    came.set()
    order = await settled.bridge.place("bitso", limit_buy(), key="k")

    assert order.order_id == "oid1"
    assert (await settled.bridge.placements())[0].attempts == 1


async def test_a_caller_that_waits_no_longer_is_told_so() -> None:
    """Past `timeout` it is OutcomeUnknown with the placement, though the gateway itself never returns."""
    venue = Venue()
    settled = Settled(venue, settle_horizon=60.0)

    released = asyncio.Event()

    async def never(request: OrderRequest, **how: Any) -> Order:
        await released.wait()
        return seen("accepted", client_order_id=request.client_order_id)

    venue.submit = never  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknown) as caught:
        await settled.bridge.place("bitso", limit_buy(), timeout=0.05)
    released.set()

    assert caught.value.placement is not None


async def test_an_order_without_a_client_id_is_not_taken_for_its_namesake_of_another_market() -> None:
    """Another market's order of that number is known; this one may be ours all the same, and absence is not proven."""
    venue = Venue(idempotency="tag_only")
    numbered = {"order_id": "28", "numbered_by_market": True}
    venue.open = [seen(client_order_id=None, **numbered)]
    settled = Settled(venue)
    await settled.bridge.observe(seen(symbol="ETH/MXN", client_order_id="another", **numbered))

    after = await settled.run()
    await settled.bridge.aclose()

    assert (after.state.value, after.gave_up) == ("uncertain", True)


async def test_trades_that_were_seen_once_are_not_forgotten() -> None:
    """There is an order, whatever later rounds do not show: it is never called absent."""

    class Once(Venue):
        async def fills(self, ref: Any = None, **how: Any) -> AsyncIterator[Fill]:  # type: ignore[override]
            if not self.trades:
                self.trades = [fill()]
                yield fill()

    settled = Settled(Once())

    placement = await settled.run()
    await settled.bridge.aclose()

    assert (placement.state, placement.gave_up) == ("uncertain", True)


async def test_an_order_that_differs_and_is_seen_once_is_not_forgotten() -> None:
    """A conflict that a stream showed, and no read after it: never called absent, and a person is told."""
    settled = Settled(Venue())
    placement = await settled.place()
    await settled.bridge.observe(seen(client_order_id=placement.client_order_id, price="99999"))

    after = await settled.bridge.resolve(placement, timeout=2)
    await settled.bridge.aclose()

    assert (after.state, after.gave_up, after.holds_key) == ("uncertain", True, True)
    assert [alarm.kind for alarm in settled.alarms] == ["conflict", "gave_up"]


async def test_several_orders_that_fit_are_a_double() -> None:
    """None of them is adopted, nothing is called absent, and a person is told."""
    venue = Venue()
    venue.orders_found = [seen(), seen(order_id="oid2")]
    settled = Settled(venue)

    placement = await settled.run()
    await settled.bridge.aclose()

    assert (placement.state, placement.order) == ("uncertain", None)
    assert settled.alarms[0].kind == "double"


async def test_the_fence_leaves_alone_what_is_settled() -> None:
    """What is watched after a verdict is a matter of `on_ghost`: under its id nothing is cancelled any more."""
    venue = Venue()
    settled = Settled(venue, on_uncertain="fence")
    placement = await settled.run()
    record = await settled.bridge._placements.record_of(placement)
    before = len(venue.cancelled)

    await settled.bridge._placements.line("bitso").resolver.round([record])
    await settled.bridge.aclose()

    assert (placement.state, len(venue.cancelled)) == ("not_placed", before)


async def test_whoever_lost_a_placement_gives_no_verdict_on_it() -> None:
    """It was taken over while it was asked about: what the round showed is as of before that."""

    class Contested(Venue):
        rounds = 0

        async def orders(self, **how: Any) -> AsyncIterator[Order]:  # type: ignore[override]
            self.rounds += 1
            journal = settled.bridge._placements.ledger.journal
            for each in await journal.find():
                await journal.change(each.id, lambda now: step(now, Happened.TAKEN, at=NOW, fence=now.fence + 1))
            return
            yield

    venue = Contested()
    settled = Settled(venue, probe_times=[n / 100 for n in range(1, 90)])
    placement = await settled.place()

    async def asked_often() -> bool:
        (now,) = await settled.bridge.placements()
        return venue.rounds >= 8 or now.state != "uncertain"

    await until(asked_often)
    (after,) = await settled.bridge.placements()
    await settled.bridge.aclose()

    assert (after.placement_id, after.state) == (placement.placement_id, "uncertain")
