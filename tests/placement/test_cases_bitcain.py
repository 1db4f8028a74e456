"""The failure cases on the simulated Bitcain, which knows no look-up by client id."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orderbridge import OrderBridge, OrderRequest, Placement
from orderbridge.errors import KeyInUse, NotSent, OutcomeUnknown
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.model.basics import PlacementState
from orderbridge.placement import Happened, MemoryJournal, Record, SqliteJournal
from orderbridge.placement.states import step
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, until_placed

PLACE = "POST /api/v1/orders"
PROBES = tuple(n / 10 for n in range(1, 40))
LONG_AGO = timedelta(seconds=60)


@pytest.fixture
async def bridges(sim: Simulator) -> AsyncIterator[Bridges]:
    """Makes bridges over the simulated Bitcain that probe at once, and closes them."""
    maker = Bridges(sim, venue="bitcain")
    yield maker
    for bridge in maker.made:
        await bridge.aclose()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "orders.db"


def buy(**changes: Any) -> OrderRequest:
    fields = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.01", "price": "10000"}
    return OrderRequest(**{**fields, **changes})


async def lost(bridge: OrderBridge, request: OrderRequest | None = None, *, key: str = "k1") -> Placement:
    """A placement whose answer did not come."""
    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitcain", request or buy(), key=key)
    assert caught.value.placement is not None
    return caught.value.placement


async def settled(bridge: OrderBridge, placement: Placement) -> Placement:
    return await bridge.resolve(placement, timeout=60)


async def left_behind(bridges: Bridges, path: Path, *, ago: timedelta = LONG_AGO) -> Record:
    """A placement that a process which is gone was sending."""
    bridge = bridges(journal=SqliteJournal(path))
    placement = await bridge.prepare("bitcain", buy(), key="k1")
    await bridge.aclose()
    journal = SqliteJournal(path)
    past = placement.created_at - ago

    def leave(record: Record) -> Any:
        old = record.placement.model_copy(update={"created_at": past})
        record = record.model_copy(update={"placement": old})
        return step(record, Happened.SENDING, at=past, owner="elsewhere:1:gone", sent_at=past, not_after=past)

    record = await journal.change(placement.placement_id, leave)
    await journal.aclose()
    return record


@pytest.mark.parametrize(
    "kind", ["accept_then_drop", "accept_then_5xx", "cut", "html", "empty", "nothing_said", "not_success"]
)
async def test_case_7_9_and_10_an_answer_that_is_none_is_followed_up(
    sim: Simulator, bridges: Bridges, kind: str
) -> None:
    """However the answer was lost, the scan finds the one order that the venue took, and none is added."""
    bridge = bridges()
    sim.bitcain.fault(kind, operation="place", nth=1)

    after = await settled(bridge, await lost(bridge))

    assert after.state is PlacementState.PLACED
    assert after.order is not None
    assert [each.order_id for each in sim.bitcain.accepted()] == [after.order.order_id]
    assert sim.bitcain.requests[PLACE] == 1


@pytest.mark.parametrize("end", ["filled", "cancelled"])
async def test_case_8_an_order_that_ended_before_the_first_probe_is_found(
    sim: Simulator, bridges: Bridges, end: str
) -> None:
    """List and history show ended orders too: it is placed, as it ended."""
    bridge = bridges()
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)
    request = buy(price="70000") if end == "filled" else buy(time_in_force="ioc")

    after = await settled(bridge, await lost(bridge, request))

    assert after.state is PlacementState.PLACED
    assert after.order is not None
    assert after.order.status == end
    assert len(sim.bitcain.accepted()) == 1


async def test_case_11_killed_after_the_reply_is_found(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """The order that nobody wrote down is found by the scan at the next start, and holds its key."""
    record = await left_behind(bridges, path)
    put = sim.bitcain.put(client_order_id=record.placement.client_order_id, quantity="0.01", price="10000")
    bridge = bridges(journal=SqliteJournal(path))

    report = await bridge.recover()
    order = await bridge.place("bitcain", buy(), key="k1")

    assert [placement.state for placement in report.settled] == [PlacementState.PLACED]
    assert order.order_id == put.order_id
    assert sim.bitcain.requests[PLACE] == 0


async def test_case_15_an_order_that_is_shown_late_is_found(sim: Simulator, bridges: Bridges) -> None:
    """Unseen in the first rounds and there before the horizon: placed, and never called absent."""
    bridge = bridges(horizon=1.0, times=PROBES)
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    placement = await lost(bridge)
    (truth,) = sim.bitcain.accepted()
    truth.shown_from = truth.created_at + timedelta(seconds=0.5)
    after = await settled(bridge, placement)

    assert (after.state, bridges.kinds) == (PlacementState.PLACED, [])


async def test_case_15_one_that_is_shown_after_the_verdict_is_a_ghost(sim: Simulator, bridges: Bridges) -> None:
    """Later than the horizon allows: not placed at first, then placed, with an alarm."""
    bridge = bridges()
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    placement = await lost(bridge)
    (truth,) = sim.bitcain.accepted()
    truth.hidden = True
    absent = await settled(bridge, placement)
    truth.hidden = False
    await bridge.open_orders()
    await until_placed(bridge)
    after = await bridge.placement(key="k1")

    assert absent.state is PlacementState.NOT_PLACED
    assert after is not None
    assert after.state is PlacementState.PLACED
    assert bridges.kinds == ["ghost"]


async def test_case_16_where_ids_are_not_echoed_there_are_candidates_only(sim: Simulator, bridges: Bridges) -> None:
    """An order without a client id that fits may be ours: it is neither adopted nor called absent, but named."""
    bridge = bridges()
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    placement = await lost(bridge)
    (truth,) = sim.bitcain.accepted()
    truth.raw["client_order_id"] = ...
    after = await settled(bridge, placement)

    assert (after.state, after.gave_up) == (PlacementState.UNCERTAIN, True)
    assert bridges.kinds == ["gave_up"]
    assert truth.order_id in bridges.alarms[0].message


async def test_case_16_an_order_that_does_not_fit_is_no_candidate(sim: Simulator, bridges: Bridges) -> None:
    """Somebody else's order without a client id does not keep absence from being proven."""
    sim.bitcain.put(quantity="5", price="11000", raw={"client_order_id": ...})
    bridge = bridges()
    sim.bitcain.fault("drop", operation="place", nth=1)

    after = await settled(bridge, await lost(bridge))

    assert after.state is PlacementState.NOT_PLACED


async def test_equal_orders_wait_for_one_another_until_a_verdict(sim: Simulator, bridges: Bridges) -> None:
    """The second of two equal orders is not sent while the first is not known; after its verdict it is."""
    bridge = bridges(horizon=0.5, times=PROBES)
    sim.bitcain.fault("drop", operation="place", nth=1)
    first = await lost(bridge)

    with pytest.raises(NotSent, match=first.client_order_id):
        await bridge.place("bitcain", buy(), key="k2", send_within=0.1)
    await settled(bridge, first)
    await bridge.place("bitcain", buy(), key="k2")

    assert len(sim.bitcain.accepted()) == 1


class Stirred:
    """An engine under which the list moves: after each first page of it something is done."""

    def __init__(self, stir: Callable[[], object], *, times: int = 1_000_000) -> None:
        self._inner = HttpxTransport()
        self._stir = stir
        self._left = times

    async def send(self, request: WireRequest, *, timeout: float, not_after: float | None = None) -> WireResponse:
        answer = await self._inner.send(request, timeout=timeout, not_after=not_after)
        parts = urlsplit(request.url)
        if parts.path == "/api/v1/orders" and "offset" not in parse_qs(parts.query) and self._left > 0:
            self._left -= 1
            self._stir()
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


def crowd(sim: Simulator, count: int) -> Callable[[], None]:
    """So many orders of others; each call takes the two newest out of the list, so that rows move up."""
    now = sim.clock.now()
    others = [
        sim.bitcain.put(client_order_id=f"other-{n}", created_at=now - timedelta(milliseconds=count - n), price="9000")
        for n in range(count)
    ]

    def move_up() -> None:
        for _ in range(2):
            if others:
                others.pop().hidden = True

    return move_up


async def test_case_17_an_order_that_slips_over_a_seam_is_found_all_the_same(sim: Simulator, bridges: Bridges) -> None:
    """The first row of page two moves up to page one, after that was read: the list is read anew."""
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)
    newer: list[Any] = []

    def move_up() -> None:
        for other in newer[:3]:
            other.hidden = True

    async with aclosing(Stirred(move_up, times=1)) as engine:
        bridge = bridges(gateway={"transport": engine}, times=PROBES)
        placement = await lost(bridge)
        (truth,) = sim.bitcain.accepted()
        later = [truth.created_at + timedelta(milliseconds=n + 1) for n in range(200)]
        newer += [sim.bitcain.put(client_order_id=f"newer-{n}", created_at=at) for n, at in enumerate(later)]
        after = await settled(bridge, placement)

    assert newer[0].hidden
    assert (after.state, after.evidence) == (PlacementState.PLACED, ("look-up",))


async def test_case_17_a_list_that_never_holds_still_proves_nothing(sim: Simulator, bridges: Bridges) -> None:
    """A page that shifts each time is no complete list: no certificate, but a visible giving up."""
    sim.bitcain.fault("drop", operation="place", nth=1)

    async with aclosing(Stirred(crowd(sim, 900))) as engine:
        bridge = bridges(gateway={"transport": engine})
        after = await settled(bridge, await lost(bridge))

    assert (after.state, after.gave_up) == (PlacementState.UNCERTAIN, True)


async def test_case_17_a_history_full_at_one_time_proves_nothing(sim: Simulator, bridges: Bridges) -> None:
    """More than 500 ended orders of one moment cannot be told apart by windows: the certificate is refused."""
    bridge = bridges()
    now = sim.clock.now()
    for n in range(501):
        sim.bitcain.put(client_order_id=f"other-{n}", created_at=now, status="cancelled")
    sim.bitcain.fault("drop", operation="place", nth=1)

    after = await settled(bridge, await lost(bridge))

    assert (after.state, after.gave_up) == (PlacementState.UNCERTAIN, True)


async def test_case_17_a_full_history_is_narrowed_until_it_is_whole(sim: Simulator, bridges: Bridges) -> None:
    """More than 500 ended orders over a while are read window by window, and absence is proven."""
    bridge = bridges()
    now = sim.clock.now()
    for n in range(600):
        sim.bitcain.put(
            client_order_id=f"other-{n}", created_at=now - timedelta(milliseconds=100 * n), status="cancelled"
        )
    sim.bitcain.fault("drop", operation="place", nth=1)

    after = await settled(bridge, await lost(bridge))

    assert after.state is PlacementState.NOT_PLACED


async def test_case_18_a_shadowed_history_leaves_the_list(sim: Simulator, bridges: Bridges) -> None:
    """The list alone finds an order that was filled at once."""
    sim.bitcain.settings.history = "shadowed"
    bridge = bridges()
    sim.bitcain.fault("accept_then_drop", operation="place", nth=1)

    after = await settled(bridge, await lost(bridge, buy(price="70000")))

    assert after.state is PlacementState.PLACED


async def test_case_18_absence_by_the_list_alone_is_stated_as_such(sim: Simulator, bridges: Bridges) -> None:
    """A proof that lacks the history is either refused, or says in its evidence that it is weaker."""
    sim.bitcain.settings.history = "shadowed"
    bridge = bridges()
    sim.bitcain.fault("drop", operation="place", nth=1)

    after = await settled(bridge, await lost(bridge))

    is_stated = after.state is PlacementState.NOT_PLACED and any("history" in text for text in after.evidence)
    assert is_stated or after.gave_up, after.evidence


async def test_case_18_a_shadowed_history_is_no_answer_of_its_own(sim: Simulator, bridges: Bridges) -> None:
    """While the list cannot be read either there is nothing to prove absence by."""
    sim.bitcain.settings.history = "shadowed"
    bridge = bridges(gateway={"retries": Retries(tries=1)})
    sim.bitcain.fault("drop", operation="place", nth=1)
    placement = await lost(bridge)
    sim.bitcain.fault("html", operation="list", status=200)

    after = await settled(bridge, placement)

    assert (after.state, after.gave_up) == (PlacementState.UNCERTAIN, True)


@pytest.mark.parametrize(
    "spoilt",
    [("list", "error_5xx"), ("list", "html"), ("history", "error_5xx"), ("history", "cut"), ("list", "throttle")],
    ids="-".join,
)
async def test_an_error_in_place_of_an_answer_blocks_the_certificate(
    sim: Simulator, bridges: Bridges, spoilt: tuple[str, str]
) -> None:
    """What the venue does not answer is no negative, whichever of its reads it is."""
    bridge = bridges(gateway={"retries": Retries(tries=1)})
    sim.bitcain.fault("drop", operation="place", nth=1)
    placement = await lost(bridge)
    operation, kind = spoilt
    sim.bitcain.fault(kind, operation=operation, retry_after=0.0)

    after = await settled(bridge, placement)

    assert (after.state, after.gave_up) == (PlacementState.UNCERTAIN, True)
    assert sim.bitcain.requests[PLACE] == 1


async def test_case_19_an_order_that_was_filled_while_the_process_was_down_is_found(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Hours later the list still shows it: placed, and done."""
    record = await left_behind(bridges, path, ago=timedelta(hours=3))
    made = record.placement.created_at + timedelta(seconds=1)
    ids = {"client_order_id": record.placement.client_order_id, "created_at": made}
    put = sim.bitcain.put(**ids, quantity="0.01", price="10000", status="filled")
    bridge = bridges(journal=SqliteJournal(path))

    (placement,) = (await bridge.recover()).settled

    assert placement.order is not None
    assert (placement.order.order_id, placement.order.is_done) == (put.order_id, True)


async def test_case_23_a_throttled_order_is_uncertain_until_proven(sim: Simulator, bridges: Bridges) -> None:
    """A 429 may have been looked at: it is probed when the lock-out is over, and never sent again."""
    bridge = bridges()
    sim.bitcain.fault("throttle", operation="place", nth=1, retry_after=0.2)

    placement = await lost(bridge)
    after = await settled(bridge, placement)

    assert placement.state is PlacementState.UNCERTAIN
    assert after.state is PlacementState.NOT_PLACED
    assert sim.bitcain.requests[PLACE] == 1


async def test_case_32_a_failed_order_is_retried_by_an_explicit_call_only(
    sim: Simulator, bridges: Bridges, path: Path
) -> None:
    """Nothing here retries; whoever does gets a new order that says what it replaces, and the journal has both."""
    sim.bitcain.settings.retry_answer = "new"
    bridge = bridges(journal=SqliteJournal(path))
    sim.bitcain.settings.routing = "fails"
    first = await bridge.place("bitcain", buy(), key="k1")
    again = await bridge.place("bitcain", buy(), key="k1")
    by_itself = [name for name in sim.bitcain.requests if name.endswith("/retry")]
    sim.bitcain.settings.routing = "works"

    new = await bridge["bitcain"].retry_failed(first)  # type: ignore[attr-defined]
    await bridge.aclose()
    journal = SqliteJournal(path, read_only=True)
    kept = [known.order_id for each in (first, new) for known in await journal.orders(order_id=each.order_id)]
    await journal.aclose()

    assert (first.status, again.order_id, by_itself) == ("failed", first.order_id, [])
    assert new.replaces == first.order_id
    assert kept == [first.order_id, new.order_id]


async def test_case_32_a_retry_whose_answer_is_lost_is_not_repeated(sim: Simulator, bridges: Bridges) -> None:
    """The outcome is unknown, one request went out, and the scan afterwards shows what came of it."""
    sim.bitcain.settings.retry_answer = "new"
    bridge = bridges()
    sim.bitcain.settings.routing = "fails"
    first = await bridge.place("bitcain", buy(), key="k1")
    sim.bitcain.settings.routing = "works"
    sim.bitcain.fault("accept_then_drop", operation="retry", nth=1)

    with pytest.raises(OutcomeUnknown):
        await bridge["bitcain"].retry_failed(first)  # type: ignore[attr-defined]
    shown = [order async for order in bridge["bitcain"].orders(since=first.created_at - LONG_AGO)]

    assert sum(count for name, count in sim.bitcain.requests.items() if name.endswith("/retry")) == 1
    assert sorted(order.status for order in shown) == ["failed", "open"]


@pytest.mark.parametrize("is_durable", [False, True])
async def test_options_that_change_after_the_call_are_of_another_order(
    bridges: Bridges, path: Path, is_durable: bool
) -> None:
    """What was placed stays what it was, though its caller goes on with the same dict."""
    bridge = bridges(journal=SqliteJournal(path) if is_durable else MemoryJournal())
    request = buy(options={"source": "manual"})
    await bridge.place("bitcain", request, key="k1")
    options: Any = request.options

    options["source"] = "agent"
    with pytest.raises(KeyInUse) as caught:
        await bridge.place("bitcain", request, key="k1")

    assert caught.value.placement is not None
    assert caught.value.placement.request.options == {"source": "manual"}


async def test_case_33_the_mode_is_part_of_what_was_asked(sim: Simulator, bridges: Bridges, path: Path) -> None:
    """A key of a paper order does not stand for a live one, and the mode goes out with every order."""
    paper = bridges(journal=SqliteJournal(path))
    live = bridges(journal=SqliteJournal(path), gateway={"trading_mode": "live"})
    await paper.place("bitcain", buy(), key="k1")

    with pytest.raises(KeyInUse):
        await live.place("bitcain", buy(), key="k1")
    await live.place("bitcain", buy(), key="k2")
    sent = [parse_qs(urlsplit(each.target).query) for each in sim.bitcain.last_requests if each.method == "POST"]

    assert [each["trading_mode"] for each in sent] == [["paper"], ["live"]]
    assert [each.facts["trading_mode"] for each in sim.bitcain.accepted()] == ["paper", "live"]
