"""Finding orders on the simulated Bitso, by every id and through every trouble."""

import asyncio
import time
from decimal import Decimal
from math import log2

import pytest

from orderbridge import OrderRef, OrderStatus
from orderbridge.adapters.bitso import BitsoGateway
from orderbridge.errors import ConfigurationError
from orderbridge.http import HttpxTransport, WireRequest, WireResponse
from orderbridge.http.retry import Retries
from orderbridge.http.transport import NothingSent
from orderbridge.model.basics import KnownBy
from orderbridge.simulator import Simulator

QUICK = Retries(tries=2, first_wait=0.01, longest_wait=0.01)


def total(sim: Simulator, path: str = "") -> int:
    """Requests that the simulated Bitso has counted, of one path or of all."""
    return sum(count for name, count in sim.bitso.requests.items() if path in name)


async def test_a_thousand_oids_take_twenty_requests(sim: Simulator) -> None:
    """A thousand known oids are found in lists of fifty."""
    oids = [sim.bitso.put(status="open").order_id for _ in range(1000)]

    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(*[f"bitso:{oid}" for oid in oids])

    assert total(sim) <= 20
    assert [result[f"bitso:{oid}"].orders[0].order_id for oid in oids] == oids
    assert len(result.orders) == 1000


async def test_one_oid_goes_in_the_path_and_lists_in_the_query(sim: Simulator) -> None:
    """The three documented ways to name orders are each used where they fit."""
    one, two = sim.bitso.put(origin_id="mine-1"), sim.bitso.put(origin_id="mine-2")

    async with sim.bitso.gateway() as gateway:
        await gateway.lookup(f"bitso:{one.order_id}")
        await gateway.lookup(f"bitso:{one.order_id}", f"bitso:{two.order_id}")
        await gateway.lookup("bitso:client:mine-1", "bitso:client:mine-2")

    targets = [request.target for request in sim.bitso.last_requests]
    assert targets == [
        f"/api/v3/orders/{one.order_id}",
        f"/api/v3/orders?oids={one.order_id},{two.order_id}",
        "/api/v3/orders?origin_ids=mine-1,mine-2",
    ]


async def test_bare_id_is_asked_for_as_both_kinds(sim: Simulator) -> None:
    """An id whose kind is not said is found as an oid and as an origin id; a dash rules out the former."""
    order = sim.bitso.put(origin_id="plainword")
    sim.bitso.put(origin_id="with-dash")

    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(order.order_id, "plainword", "with-dash")

    assert result[order.order_id].orders[0].client_order_id == "plainword"
    assert result["plainword"].orders[0].order_id == order.order_id
    assert len(result.orders) == 2
    assert "with-dash" not in next(request.target for request in sim.bitso.last_requests if "oids=" in request.target)


@pytest.mark.parametrize("guilty", [1, 3])
async def test_refused_list_is_split_until_the_guilty_are_found(guilty: int) -> None:
    """A list that is refused whole for a few unknown ids costs about k·log n requests, and loses no neighbour."""
    async with Simulator(seed=1, bitso={"miss": "0312", "mixed_miss": "refuse"}) as sim:
        oids = [sim.bitso.put().order_id for _ in range(50 - guilty)]
        unknown = [f"unknown{number:09}" for number in range(guilty)]
        asked = [*oids[:20], *unknown[:1], *oids[20:], *unknown[1:]]

        async with sim.bitso.gateway() as gateway:
            result = await gateway.lookup(*[f"bitso:{oid}" for oid in asked])

        assert {order.order_id for order in result.orders} == set(oids)
        assert result.not_seen == tuple(f"bitso:{oid}" for oid in asked if oid in unknown)
        assert result.undecided == ()
        assert total(sim, "/orders") <= 2 * guilty * (log2(50) + 1) + 1 + guilty


@pytest.mark.parametrize("miss", ["empty", "0312", "0357"])
async def test_unknown_ids_are_not_seen_and_not_proven_absent(miss: str) -> None:
    """Every form of a miss is "not seen": Bitso forgets orders, so it proves nothing."""
    async with Simulator(seed=1, bitso={"miss": miss}) as sim, sim.bitso.gateway() as gateway:
        result = await gateway.lookup("bitso:nosuchorder00001", "bitso:client:nosuch")

    assert result.not_seen == ("bitso:nosuchorder00001", "bitso:client:nosuch")
    assert not any(found.proven_absent for found in result.found)
    assert result.unreachable == {}


@pytest.mark.parametrize("ref", ["bitso:a/b", "bitso:../orders", "bitso:all", "bitso:x y", "bitso:client:" + "x" * 41])
async def test_id_that_bitso_could_not_have_costs_no_request(sim: Simulator, ref: str) -> None:
    """An id that no order here can have is not seen, for that reason and without asking; it may be mis-written."""
    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(ref)

    assert result.not_seen == (ref,)
    assert not result[ref].proven_absent
    assert result[ref].notes == (f"{ref} is not of a form that ids have here",)
    assert total(sim) == 0


async def test_forgotten_order_is_rebuilt_from_its_trades(sim: Simulator) -> None:
    """An order that look-up no longer shows comes back ended, inferred, with its fills and the evidence."""
    put = sim.bitso.put(
        origin_id="gone-1", status="completed", price="1000000", quantity="0.002", visible=False, side="sell"
    )

    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(f"bitso:{put.order_id}", "bitso:client:gone-1")

    for ref in result.refs:
        order = result[ref].order
        assert order is not None
        assert (order.order_id, order.status, order.known_by) == (put.order_id, OrderStatus.ENDED, KnownBy.INFERRED)
        assert (order.filled_quantity, order.average_price, order.side) == (Decimal("0.002"), Decimal(1000000), "sell")
        assert "open orders: not among them" in order.evidence
    assert len(result.orders) == 1


async def test_order_that_works_again_is_not_called_ended(sim: Simulator) -> None:
    """An order with trades that look-up lost but open orders shows is reported as it is there."""
    put = sim.bitso.put(status="partially filled", quantity="0.002", filled_quantity="0.001")

    class Forgetful(HttpxTransport):
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            put.hidden = request.target.startswith("/api/v3/orders")
            return await super().send(request, timeout=timeout)

    transport = Forgetful()
    async with sim.bitso.gateway(transport=transport) as gateway:
        order = await gateway.get(f"bitso:{put.order_id}")
    await transport.aclose()

    assert (order.status, order.known_by) == (OrderStatus.PARTIALLY_FILLED, KnownBy.REPORTED)


async def test_rebuilt_order_may_be_live_while_open_orders_fail(sim: Simulator) -> None:
    """Without a complete list of open orders nobody may say that a rebuilt order is over."""
    put = sim.bitso.put(status="completed", visible=False)
    sim.bitso.fault("error_5xx", operation="open_orders")

    async with sim.bitso.gateway(retries=QUICK) as gateway:
        order = await gateway.get(f"bitso:{put.order_id}")

    assert (order.status, order.may_be_live) == (OrderStatus.UNKNOWN, True)
    assert order.filled_quantity == put.filled


async def test_only_so_many_are_rebuilt_in_one_call(sim: Simulator) -> None:
    """Beyond the rebuild limit a miss is partly searched: undecided, and it says why."""
    refs = [f"bitso:gone{number:012}" for number in range(8)]

    async with sim.bitso.gateway(rebuild_limit=5) as gateway:
        result = await gateway.lookup(*refs)

    assert total(sim, "order_trades") == 5
    assert (result.not_seen, result.undecided) == (tuple(refs[:5]), tuple(refs[5:]))
    assert result[refs[-1]].answers == {"bitso": "partly_searched"}
    assert "more than 5" in result[refs[-1]].notes[0]


@pytest.mark.parametrize(("status", "lag"), [("cancelled", 0.0), ("completed", 3600.0)])
async def test_trades_that_are_not_there_yet_leave_it_undecided(status: str, lag: float) -> None:
    """`0377` and `0378` say that the order exists: they are no miss."""
    async with Simulator(seed=1, bitso={"trade_lag": lag}) as sim:
        put = sim.bitso.put(status=status, filled_quantity="0" if status == "cancelled" else None, visible=False)

        async with sim.bitso.gateway(retries=QUICK) as gateway:
            result = await gateway.lookup(f"bitso:{put.order_id}")

    assert result.undecided == (f"bitso:{put.order_id}",)
    assert result[f"bitso:{put.order_id}"].answers == {"bitso": "partly_searched"}


async def test_several_orders_of_one_origin_id_are_all_given(sim: Simulator) -> None:
    """Since origin ids may be used again, one may name several orders, shown and forgotten alike."""
    put = [sim.bitso.put(origin_id="again", status="completed") for _ in range(2)]

    async with sim.bitso.gateway() as gateway:
        found = (await gateway.lookup("bitso:client:again"))["bitso:client:again"]

    assert {order.order_id for order in found.orders} == {order.order_id for order in put}


async def test_broken_row_hides_no_neighbour(sim: Simulator) -> None:
    """One unreadable row among fifty is reported with its place, and its ref stays undecided."""
    good = [sim.bitso.put().order_id for _ in range(49)]
    bad = sim.bitso.put(raw={"original_amount": "a lot"}).order_id
    refs = [f"bitso:{oid}" for oid in (*good[:30], bad, *good[30:])]

    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(*refs)

    assert {order.order_id for order in result.orders} == set(good)
    assert [(row.position, row.order_id) for row in result.bad_rows] == [(30, bad)]
    assert result.undecided == (f"bitso:{bad}",)


async def test_unknown_word_and_impossible_amount_are_flagged(sim: Simulator) -> None:
    """A strange status is kept and live; an impossible amount is an anomaly; both are orders."""
    strange = sim.bitso.put(status="open", raw={"status": "on hold"})
    impossible = sim.bitso.put(status="open", quantity="0.01", raw={"unfilled_amount": "0.02"})

    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(strange.order_id, impossible.order_id)

    first, second = result[strange.order_id].order, result[impossible.order_id].order
    assert first is not None
    assert second is not None
    assert (first.status, first.raw_status, first.may_be_live) == (OrderStatus.UNKNOWN, "on hold", True)
    assert second.filled_quantity is None
    assert len(second.anomalies) == 1


async def test_ten_thousand_ids_with_a_time_limit_end_in_time(sim: Simulator) -> None:
    """When the time ends before every list was asked, what is known is given and the rest is undecided."""
    oids = [sim.bitso.put().order_id for _ in range(200)] + [f"other{number:011}" for number in range(9800)]
    refs = [f"bitso:{oid}" for oid in oids]
    sim.bitso.fault("delay", operation="lookup", seconds=0.2)

    started = time.monotonic()
    async with sim.bitso.gateway() as gateway:
        result = await gateway.lookup(*refs, timeout=3.0)

    assert time.monotonic() - started < 60
    assert len(result.orders) == 200
    assert len(result.undecided) == 9800
    assert result.unreachable["bitso"].kind == "timed_out"
    assert result[refs[-1]].answers == {"bitso": "timed_out"}


@pytest.mark.parametrize("settings", [{"api_key": "wrong"}, {"api_secret": "wrong"}])
async def test_wrong_key_stops_the_search_at_once(sim: Simulator, settings: dict[str, str]) -> None:
    """Refused credentials fail every ref, and the key is not tried hundreds of times."""
    refs = [f"bitso:other{number:011}" for number in range(5000)]

    async with sim.bitso.gateway(**settings) as gateway:
        result = await gateway.lookup(*refs)

    assert result.undecided == tuple(refs)
    assert result.unreachable["bitso"].kind == "credentials"
    assert total(sim) <= 8


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "html"}, "unreachable"),
        ({"kind": "html", "status": 200}, "unexpected"),
        ({"kind": "cut"}, "unreachable"),
        ({"kind": "empty"}, "unexpected"),
        ({"kind": "nothing_said"}, "unexpected"),
        ({"kind": "error_5xx"}, "unreachable"),
        ({"kind": "drop"}, "unreachable"),
        ({"kind": "huge"}, "unreachable"),
    ],
)
@pytest.mark.parametrize("engine", ["httpx", "aiohttp"])
async def test_no_answer_of_any_kind_is_a_miss(
    sim: Simulator, fault: dict[str, object], kind: str, engine: str
) -> None:
    """HTML, cut, empty, oversized and failed answers are tried again, then leave the ref undecided."""
    put = sim.bitso.put()
    sim.bitso.fault(operation="lookup", **fault)  # type: ignore[arg-type]

    async with sim.bitso.gateway(retries=QUICK, transport=engine) as gateway:
        result = await gateway.lookup(f"bitso:{put.order_id}")

    assert result.undecided == (f"bitso:{put.order_id}",)
    assert result.unreachable["bitso"].kind == kind
    assert total(sim) == QUICK.tries


async def test_read_is_repeated_until_it_is_answered(sim: Simulator) -> None:
    """A look-up survives a dropped connection, a cut body and a refused nonce."""
    put = sim.bitso.put()
    for nth, kind in enumerate(("accept_then_drop", "cut", "wrong_nonce"), start=1):
        sim.bitso.fault(kind, operation="lookup", nth=nth, times=1)

    async with sim.bitso.gateway(retries=Retries(tries=4, first_wait=0.01)) as gateway:
        order = await gateway.get(put.order_id)

    assert order.order_id == put.order_id


async def test_lock_out_beyond_the_time_limit_is_throttled(sim: Simulator) -> None:
    """A 420 locks every read of the key; a call that cannot wait so long says so, and sends nothing more."""
    put = sim.bitso.put()
    sim.bitso.fault("throttle", operation="lookup", times=1)

    async with sim.bitso.gateway(limits="venue", account="one") as one, sim.bitso.gateway(account="two") as two:
        first = await one.lookup(f"bitso/one:{put.order_id}", timeout=5)
        second = await two.lookup(f"bitso/two:{put.order_id}", timeout=5)

    assert first.unreachable["bitso/one"].kind == "throttled"
    assert second.unreachable["bitso/two"].kind == "throttled"
    assert total(sim) == 1
    assert (second.unreachable["bitso/two"].retry_after or 0) > 50


async def test_wrong_address_is_a_configuration_error(sim: Simulator) -> None:
    """An address that answers without Bitso's envelope is named as the mistake that it is."""
    async with sim.bitso.gateway(base_url=sim.bitcain.base_url + "/api/v3") as gateway:
        with pytest.raises(ConfigurationError, match="base_url"):
            await gateway.lookup("bitso:x1")


async def test_ref_of_another_gateway_is_refused(sim: Simulator) -> None:
    """A prefix that names another gateway is an error that lists the names."""
    async with sim.bitso.gateway(account="mm") as gateway:
        with pytest.raises(ConfigurationError, match="asked are: bitso/mm"):
            await gateway.lookup("bitso:x1")


async def test_refs_stand_for_what_they_came_from(sim: Simulator) -> None:
    """An order, a key, a ref object and a text find the same order, each under its own name."""
    put = sim.bitso.put(origin_id="mine")

    async with sim.bitso.gateway() as gateway:
        order = await gateway.get(put.order_id)
        refs = (order, order.key, OrderRef(client_order_id="mine"), f"bitso:{put.order_id}")
        result = await gateway.lookup(*refs)

    assert result.refs == refs
    assert all(
        result[ref].order == order.model_copy(update={"observed_at": result[ref].orders[0].observed_at}) for ref in refs
    )
    assert len(result.orders) == 1


def test_second_event_loop_is_refused() -> None:
    """A gateway that was used in one loop says so in another, before anything is sent."""

    class Deaf:
        async def send(self, request: WireRequest, *, timeout: float) -> WireResponse:
            raise NothingSent("nobody there")

        async def aclose(self) -> None:
            """There is nothing to close."""

    gateway = BitsoGateway(api_key="k", api_secret="s", transport=Deaf(), retries=QUICK)

    asyncio.run(gateway.lookup("bitso:x1"))

    with pytest.raises(ConfigurationError, match="event loop"):
        asyncio.run(gateway.lookup("bitso:x1"))


@pytest.mark.parametrize("ref", [5, None, "", "bitso:", ":x", "bitso:client:"])
async def test_ref_that_names_nothing_is_a_configuration_error(sim: Simulator, ref: object) -> None:
    """What is no ref at all is told as such, before anything is sent."""
    async with sim.bitso.gateway() as gateway:
        with pytest.raises(ConfigurationError):
            await gateway.lookup(ref)

    assert total(sim) == 0
