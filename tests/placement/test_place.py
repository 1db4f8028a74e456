"""`bridge.place` and its kin on the simulated Bitso."""

import asyncio
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from orderbridge import Order, PlacementState, connect
from orderbridge.client_ids import is_ours
from orderbridge.errors import (
    AuthenticationFailed,
    ConfigurationError,
    KeyInUse,
    NotSent,
    OrderDenied,
    OrderRejected,
    OutcomeUnknown,
)
from orderbridge.gateway import ClientIdRule
from orderbridge.placement import MemoryJournal, SqliteJournal
from orderbridge.simulator import Simulator
from tests.placement.kit import Bridges, limit_buy

PLACE = "POST /api/v3/orders"


@pytest.fixture(params=["none", "sqlite"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournal | None:
    """Without a journal, and with one in a file."""
    return SqliteJournal(tmp_path / "orders.db") if request.param == "sqlite" else None


async def test_a_placed_order_is_the_venues_and_is_written_down(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """The order carries both ids; the placement says how it came to be."""
    bridge = bridges(journal=journal)

    order = await bridge.place("bitso", limit_buy(), key="k1")
    placement = await bridge.placement(key="k1")

    assert [each.order_id for each in sim.bitso.accepted(client_order_id=order.client_order_id)] == [order.order_id]
    assert is_ours(order.client_order_id or "")
    assert placement is not None
    assert (placement.state, placement.attempts, placement.order) == (PlacementState.PLACED, 1, order)


async def test_ids_too_short_to_be_unique_are_told_unsent(
    sim: Simulator, bridges: Bridges, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the venue's ids leave no room for one of ours the caller is to give one: an error of ours, nothing sent."""
    bridge = bridges()
    gateway = bridge["bitso"].gateway
    short = gateway.capabilities.model_copy(update={"client_order_id": ClientIdRule(alphabet="a-z0-9", max_length=8)})
    monkeypatch.setattr(gateway, "capabilities", short)

    with pytest.raises(ConfigurationError, match="too few for a unique id"):
        await bridge.place("bitso", limit_buy())
    await bridge.place("bitso", limit_buy(client_order_id="mine"))

    assert [order.client_order_id for order in sim.bitso.accepted()] == ["mine"]


async def test_a_key_places_once(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """The same request under the same key is one order, however its amounts are written; another is refused."""
    bridge = bridges(journal=journal)
    first = await bridge.place("bitso", limit_buy(), key="k1")

    again = await bridge.place("bitso", limit_buy(quantity="0.0100"), key="k1")
    with pytest.raises(KeyInUse) as caught:
        await bridge.place("bitso", limit_buy(quantity="0.02"), key="k1")

    assert again.key == first.key
    assert caught.value.placement.key == "k1"
    assert sim.bitso.requests[PLACE] == 1


async def test_a_key_used_at_the_same_time_places_once(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """Ten calls with one key at once all get the one order."""
    bridge = bridges(journal=journal)

    orders = await asyncio.gather(*(bridge.place("bitso", limit_buy(), key="k1") for _ in range(10)))

    assert len({order.key for order in orders}) == 1
    assert sim.bitso.requests[PLACE] == 1


async def test_without_a_key_each_call_is_an_order_of_its_own(sim: Simulator, bridges: Bridges) -> None:
    """Two equal requests are two orders."""
    bridge = bridges()

    first, second = await asyncio.gather(*(bridge.place("bitso", limit_buy()) for _ in range(2)))

    assert first.key != second.key


async def test_a_prepared_placement_has_its_id_before_anything_is_sent(
    sim: Simulator, bridges: Bridges, journal: Any
) -> None:
    """`prepare` sends nothing; `place` with what it gave sends under that id, once."""
    bridge = bridges(journal=journal)
    prepared = await bridge.prepare("bitso", limit_buy(), key="k1")
    assert sim.bitso.requests[PLACE] == 0

    order = await bridge.place("bitso", prepared)
    again = await bridge.place("bitso", prepared)

    assert order.client_order_id == prepared.client_order_id
    assert again.key == order.key
    assert sim.bitso.requests[PLACE] == 1


async def test_a_refusal_is_proven_and_frees_the_key(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """What the venue refused is `rejected`, and the key may be used for something else."""
    bridge = bridges(journal=journal, gateway={"markets": None})

    with pytest.raises(OrderRejected):
        await bridge.place("bitso", limit_buy(quantity="400", price="9000000"), key="k1")
    refused = await bridge.placement(key="k1")
    await bridge.place("bitso", limit_buy(), key="k1")

    assert refused is not None
    assert refused.state is PlacementState.REJECTED
    assert len(sim.bitso.accepted()) == 1


async def test_what_is_denied_here_is_not_sent(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """A request that breaks the market's rules, or one with an id of no legal form, never leaves."""
    bridge = bridges(journal=journal, gateway={"markets": "lazy"})

    with pytest.raises(OrderDenied):
        await bridge.place("bitso", limit_buy(price="0.000001"), key="k1")
    with pytest.raises(OrderDenied):
        await bridge.place("bitso", limit_buy(client_order_id="no/good"), key="k1")

    assert [each.state for each in await bridge.placements()] == [PlacementState.DENIED] * 2
    assert sim.bitso.requests[PLACE] == 0


async def test_wrong_credentials_leave_it_prepared(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """A refusal before admission proves that nothing was placed: the same placement may be sent again."""
    bridge = bridges(journal=journal)
    await bridge.place("bitso", limit_buy())
    sim.bitso.settings.api_secret = "another"
    with pytest.raises(AuthenticationFailed):
        await bridge.place("bitso", limit_buy(), key="k1")
    before = await bridge.placement(key="k1")
    sim.bitso.settings.api_secret = "simulated-secret"

    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert before is not None
    assert before.state is PlacementState.PREPARED
    assert order.client_order_id == before.client_order_id


async def test_case_5_an_unreachable_venue_is_tried_three_times_and_nothing_was_sent(
    sim: Simulator, bridges: Bridges, journal: Any
) -> None:
    """A refused connection is tried again under the same id; then NotSent, and the placement is as before."""
    bridge = bridges(journal=journal, gateway={"markets": None})
    await bridge.place("bitso", limit_buy())
    await sim.bitso.stop()

    with pytest.raises(NotSent):
        await bridge.place("bitso", limit_buy(), key="k1")
    placement = await bridge.placement(key="k1")
    await sim.bitso.start()
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert placement is not None
    assert (placement.state, placement.attempts) == (PlacementState.PREPARED, 3)
    assert order.client_order_id == placement.client_order_id


async def test_no_permit_in_time_is_not_sent(sim: Simulator, bridges: Bridges) -> None:
    """`send_within` bounds the wait before risk begins; the placement is prepared, and its key is held."""
    bridge = bridges(gateway={"api_key": "slow", "limits": "venue"})
    bridge["bitso"].parts.sender.session.lock_out(5.0, operation=None)  # type: ignore[attr-defined]

    with pytest.raises(NotSent):
        await bridge.place("bitso", limit_buy(), key="k1", send_within=0.05)
    placement = await bridge.placement(key="k1")

    assert placement is not None
    assert placement.state is PlacementState.PREPARED


async def test_many_at_once_give_a_placement_each(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """`place_many` raises for none of them: the good are placed, the bad say what became of them."""
    bridge = bridges(journal=journal, gateway={"markets": None})
    requests = {f"k{n}": limit_buy() for n in range(20)}
    requests |= {"poor": limit_buy(quantity="400", price="9000000"), "odd": limit_buy(client_order_id="no/good")}

    done = await bridge.place_many("bitso", requests)

    states = {key: placement.state.value for key, placement in done.items()}
    assert states == {**{f"k{n}": "placed" for n in range(20)}, "poor": "rejected", "odd": "denied"}
    assert len(sim.bitso.accepted()) == 20


async def test_read_back_adds_what_one_look_shows(sim: Simulator, bridges: Bridges) -> None:
    """Bitso answers with an id only; with `read_back` the order comes as it stands."""
    bridge = bridges()

    plain = await bridge.place("bitso", limit_buy())
    looked_up = await bridge.place("bitso", limit_buy(), read_back=True)

    assert plain.status == "accepted"
    assert looked_up.status == "open"


AT_ONCE = [
    ({"type": "market", "side": "sell", "price": None}, "filled", "0.01"),
    ({"side": "sell", "price": "100000", "time_in_force": "ioc"}, "filled", "0.01"),
    ({"side": "sell", "price": "100000", "time_in_force": "fok"}, "filled", "0.01"),
    ({"side": "sell", "price": "39000000", "time_in_force": "ioc"}, "cancelled", "0"),
]


@pytest.mark.parametrize(("changes", "status", "filled"), AT_ONCE)
@pytest.mark.parametrize("many", [False, True])
async def test_what_trades_at_once_comes_back_as_it_is_after_a_look(
    sim: Simulator, bridges: Bridges, journal: Any, changes: dict[str, Any], status: str, filled: str, many: bool
) -> None:
    """A market, ioc or fok order has its fills, though Bitso answers with an id; journal and caller see the same."""
    sim.bitso.settings.visibility_window = 3600.0
    bridge = bridges(journal=journal)
    request = limit_buy(**changes)

    if many:
        order = (await bridge.place_many("bitso", {"k1": request}))["k1"].order
    else:
        order = await bridge.place("bitso", request, key="k1")
    placement = await bridge.placement(key="k1")

    assert order is not None
    assert (order.status, order.filled_quantity) == (status, Decimal(filled))
    assert placement is not None
    assert (placement.attempts, placement.order) == (1, order)


@pytest.mark.parametrize(("changes", "read_back"), [({}, None), ({"type": "market", "price": None}, False)])
async def test_what_rests_is_not_looked_at_unless_asked(
    sim: Simulator, bridges: Bridges, changes: dict[str, Any], read_back: bool | None
) -> None:
    """A look costs a request: an order that waits in the book comes back as it was answered."""
    bridge = bridges()

    order = await bridge.place("bitso", limit_buy(**changes), read_back=read_back)
    await bridge.place_many("bitso", {"k1": limit_buy(**changes)}, read_back=read_back)

    assert order.status == "accepted"
    assert not [name for name in sim.bitso.requests if name.startswith("GET /api/v3/orders")]


@pytest.mark.parametrize(
    "fault", [{"kind": "error_5xx", "probability": 1.0}, {"kind": "delay", "seconds": 60.0, "probability": 1.0}]
)
@pytest.mark.parametrize("operation", ["lookup", None])
async def test_a_look_that_fails_or_takes_too_long_gives_the_order_as_it_was_answered(
    sim: Simulator, bridges: Bridges, fault: dict[str, Any], operation: str | None
) -> None:
    """It is placed, and its call ends within its time limit, never in an error."""
    bridge = bridges()
    gateway = bridge["bitso"].gateway
    await gateway.markets()
    sent = gateway.submit

    async def then_fails(*args: Any, **how: Any) -> Any:
        order = await sent(*args, **how)
        sim.bitso.fault(operation=operation, **fault)
        return order

    gateway.submit = then_fails  # type: ignore[method-assign]

    async with asyncio.timeout(20):
        order = await bridge.place("bitso", limit_buy(type="market", price=None), key="k1", timeout=1.0)

    assert (order.status, order.filled_quantity, order.quantity) == ("accepted", None, Decimal("0.01"))
    assert len(sim.bitso.accepted()) == 1
    sim.bitso.clear_faults()


async def test_an_order_that_the_venue_forgot_at_once_has_the_fills_of_its_trades(
    sim: Simulator, bridges: Bridges, journal: Any
) -> None:
    """Look-up and open orders lack it; trades of its whole size are proof."""
    sim.bitso.settings.visibility_window = 0.0
    bridge = bridges(journal=journal)

    order = await bridge.place("bitso", limit_buy(type="market", side="sell", price=None), key="k1")

    assert (order.filled_quantity, order.is_done) == (Decimal("0.01"), True)


async def test_an_order_that_was_found_says_so(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """A caller can tell what its call did: sent it, or found what an earlier one had sent, and in which attempt."""
    bridge = bridges(journal=journal)
    request = limit_buy(type="market", side="sell", price=None)

    first = await bridge.place("bitso", request, key="k1")
    again = [await bridge.place("bitso", request, key="k1", read_back=each) for each in (None, True)]

    assert not [note for note in first.evidence if note.startswith("place: found")]
    for order in again:
        assert "place: found: sent before, in attempt 1, and not sent again" in order.evidence
        assert (order.key, order.status, order.filled_quantity) == (first.key, first.status, first.filled_quantity)
    assert sim.bitso.requests[PLACE] == 1


def _validated(made: BaseModel) -> bool:
    """True of one that is what validation would have made of its values, with values of the same types."""
    again = type(made).model_validate(dict(made))
    same = {name: type(value) for name, value in made} == {name: type(value) for name, value in again}
    return same and again == made and again.model_dump_json() == made.model_dump_json()


async def test_what_is_written_down_is_what_validation_would_make_of_it(sim: Simulator, bridges: Bridges) -> None:
    """Records, placements, requests and events are made of values that were checked, and are not validated again."""
    journal = MemoryJournal()
    bridge = bridges(journal=journal, gateway={"markets": None})

    sim.bitso.fault("accept_then_drop", operation="place", nth=1)
    with pytest.raises(OutcomeUnknown) as lost:
        await bridge.place("bitso", limit_buy(), key="lost")
    with pytest.raises(OrderRejected):
        await bridge.place("bitso", limit_buy(quantity="400", price="9000000"), key="refused")
    with pytest.raises(OrderDenied):
        await bridge.place("bitso", limit_buy(client_order_id="no/good", options={"no": "good"}), key="denied")
    market = {"type": "market", "price": None, "quantity": None, "quote_quantity": "10.50"}
    await bridge.place("bitso", limit_buy(**market), key="placed")
    assert lost.value.placement is not None
    await bridge.resolve(lost.value.placement, timeout=60)

    records = await journal.find()
    events = [event for record in records for event in await journal.events(record.id)]
    assert {record.state.value for record in records} == {"placed", "rejected", "denied"}
    assert {event.happened.value for event in events} >= {"stored", "sending", "acknowledged", "unclear", "found"}
    made = [each for record in records for each in (record, record.placement, record.placement.request)]
    assert all(map(_validated, [*made, *events]))


async def test_a_lost_answer_is_outcome_unknown_and_resolves_to_the_order(
    sim: Simulator, bridges: Bridges, journal: Any
) -> None:
    """The error carries the placement; resolving it finds the one order that the venue took."""
    bridge = bridges(journal=journal)
    sim.bitso.fault("accept_then_drop", operation="place", nth=1)

    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key="k1")
    assert caught.value.placement is not None
    placement = await bridge.resolve(caught.value.placement, timeout=60)
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert placement.state is PlacementState.PLACED
    assert placement.order is not None
    assert placement.order.key == order.key
    assert [each.order_id for each in sim.bitso.accepted()] == [order.order_id]


async def test_a_lost_request_is_proven_absent_and_frees_the_key(
    sim: Simulator, bridges: Bridges, journal: Any
) -> None:
    """Three complete rounds past the horizon certify absence; until then the key is held."""
    bridge = bridges(journal=journal)
    sim.bitso.fault("drop", operation="place", nth=1)

    with pytest.raises(OutcomeUnknown) as caught:
        await bridge.place("bitso", limit_buy(), key="k1")
    with pytest.raises(OutcomeUnknown):
        await bridge.place("bitso", limit_buy(), key="k1")
    assert caught.value.placement is not None
    placement = await bridge.resolve(caught.value.placement, timeout=60)
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert placement.state is PlacementState.NOT_PLACED
    assert order.client_order_id != placement.client_order_id
    assert len(sim.bitso.accepted()) == 1


async def test_explain_tells_the_chain(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """By client id, order id or placement: each event in a line, and how it stands."""
    bridge = bridges(journal=journal)
    order = await bridge.place("bitso", limit_buy(), key="k1")
    placement = await bridge.placement(key="k1")
    assert placement is not None

    by_ref = await bridge.explain(f"bitso:{order.order_id}")

    assert by_ref == await bridge.explain(placement) == await bridge.explain(f"client:{order.client_order_id}")
    assert "was written down, before anything was sent" in by_ref
    assert f"order_id {order.order_id}" in by_ref
    assert "It is placed." in by_ref


async def test_an_order_that_the_venue_forgot_is_answered_from_the_journal(
    sim: Simulator, bridges: Bridges, tmp_path: Path
) -> None:
    """A look-up by a later process still answers, and says that it does so by inference, and why it tells no end."""
    first = bridges(journal=SqliteJournal(tmp_path / "orders.db"))
    order = await first.place("bitso", limit_buy(), read_back=True)
    await first.aclose()
    sim.bitso.settings.visibility_window = 0
    async with sim.bitso.gateway() as somebody_else:
        await somebody_else.cancel(order)
    bridge = bridges(journal=SqliteJournal(tmp_path / "orders.db"))

    found = (await bridge.lookup(f"bitso:{order.order_id}"))[f"bitso:{order.order_id}"]

    assert found.order is not None
    assert (found.order.quantity, found.order.known_by) == (order.quantity, "inferred")
    assert found.order.unseen_since is not None
    assert any("as it was last known: not shown since" in note for note in found.notes)


async def test_a_placement_of_another_journal_is_refused(bridges: Bridges) -> None:
    """A bridge does not send what its journal does not hold."""
    prepared = await bridges().prepare("bitso", limit_buy())
    other = bridges(journal=MemoryJournal())

    with pytest.raises(ConfigurationError, match="not in the journal"):
        await other.place("bitso", prepared)


@pytest.mark.parametrize("setting", [{"on_uncertain": "guess"}, {"on_stale": "keep"}, {"on_ghost": "hide"}])
def test_unknown_policies_are_refused(sim: Simulator, setting: dict[str, Any]) -> None:
    """A typo in a policy is no silent default."""
    with pytest.raises(ConfigurationError, match="is one of"):
        Bridges(sim)(**setting)


async def test_observed_orders_add_up(bridges: Bridges) -> None:
    """What the caller's own stream shows is combined with what was known."""
    bridge = bridges()
    order = await bridge.place("bitso", limit_buy())

    known = await bridge.observe(Order(**{**dict(order), "status": "open", "quantity": None}))

    assert (known.status, known.quantity) == ("open", order.quantity)


async def test_connect_opens_the_journal_of_the_settings(sim: Simulator, tmp_path: Path) -> None:
    """`[journal] path`, or the argument, which goes before it."""
    bitso = {"api_key": "simulated-key", "api_secret": "simulated-secret", "base_url": sim.bitso.base_url}
    settings = {"journal": {"path": str(tmp_path / "a.db")}, "gateways": {"bitso": {**bitso, "allow_plain_http": True}}}

    async with connect("bitso", settings=settings) as bridge:
        await bridge.place("bitso", limit_buy(), key="k1")
    async with connect("bitso", settings=settings, journal=tmp_path / "b.db") as bridge:
        other = await bridge.placement(key="k1")
    async with aclosing(SqliteJournal(tmp_path / "a.db", read_only=True)) as journal:
        kept = await journal.find()

    assert [record.placement.key for record in kept] == ["k1"]
    assert other is None


@pytest.mark.parametrize("table", [{"path": 5}, {"file": "x"}])
def test_a_wrong_journal_table_is_refused(table: dict[str, Any]) -> None:
    """Nothing is journalled elsewhere by a typo."""
    with pytest.raises(ConfigurationError, match="journal"):
        connect("bitso", settings={"journal": table})


async def test_many_do_not_stop_one_another(sim: Simulator, bridges: Bridges, journal: Any) -> None:
    """One refused here, one refused by the venue, one under a held key and one placed: each is told."""
    bridge = bridges(journal=journal, gateway={"markets": None})
    await bridge.place("bitso", limit_buy(), key="held")
    refused = limit_buy(quantity="400", price="9000000")

    placements = await bridge.place_many(
        "bitso",
        {
            "good": limit_buy(quantity="0.02"),
            "denied": limit_buy(reduce_only=True),
            "refused": refused,
            "held": limit_buy(quantity="0.03"),
        },
    )

    states = {key: placement.state.value for key, placement in placements.items()}
    assert states == {"good": "placed", "denied": "denied", "refused": "rejected", "held": "placed"}


async def test_a_client_that_cannot_be_made_places_nothing(
    sim: Simulator, bridges: Bridges, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is told what to correct, the placement is one that was not placed, and its key places once it is corrected."""
    bridge = bridges(gateway={"transport": "httpx", "markets": None})
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        await bridge.place("bitso", limit_buy(), key="k1")
    refused = await bridge.placement(key="k1")
    monkeypatch.delenv("SSL_CERT_FILE")
    order = await bridge.place("bitso", limit_buy(), key="k1")

    assert refused is not None
    assert not refused.may_be_live
    assert [order.order_id] == [each.order_id for each in sim.bitso.accepted()]
