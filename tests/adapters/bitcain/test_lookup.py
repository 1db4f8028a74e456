"""Looking orders up by any id."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from orderbridge import errors
from orderbridge.http import WireRequest
from orderbridge.http.retry import Retries
from orderbridge.http.transport import NoAnswer
from orderbridge.model.order import OrderKey
from orderbridge.model.ref import OrderRef
from orderbridge.model.results import Answer

LIST = "/api/v1/orders"


def answer(result: Any, ref: Any) -> Answer:
    return result[ref].answers["bitcain"]


async def test_every_kind_of_ref_finds_its_order(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """UUIDs by the path, client ids by one scan for all of them, each keyed as it was given."""
    server.rows = [kit.row(number) for number in (4, 3, 2, 1)]
    refs = [
        kit.uuid(1),
        f"bitcain:{kit.uuid(2).upper()}",
        "bot-3",
        "bitcain:client:bot-4",
        OrderRef(client_order_id="bot-1"),
        OrderKey("bitcain", kit.uuid(3)),
        OrderRef(id="bot-2"),
    ]

    result = await make().lookup(*refs)

    assert [result[ref].order.order_id[-1] for ref in refs] == list("1234132")
    assert sorted(server.paths) == [LIST, *(f"{LIST}/{kit.uuid(number)}" for number in (1, 2, 3))]
    assert result.undecided == result.not_seen == ()
    assert len(result.orders) == 4


async def test_nothing_asked_is_nothing_answered(server: Any, make: Callable[..., Any]) -> None:
    """An empty call sends nothing."""
    assert len(await make().lookup()) == 0
    assert server.requests == []


async def test_a_404_of_the_server_proves_absence(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The UUID that Bitcain does not know was never there."""
    ref = f"bitcain:{kit.uuid(9)}"
    result = await make().lookup(ref)

    assert answer(result, ref) is Answer.NOT_SEEN
    assert result[ref].proven_absent
    with pytest.raises(errors.OrderNotFound) as caught:
        await make().get(ref)
    assert caught.value.found.proven_absent


@pytest.mark.parametrize("payload", [{"detail": "Not Found"}, b"<html>404</html>", {"message": "no route"}, {}])
async def test_a_missing_route_proves_nothing(server: Any, make: Callable[..., Any], kit: Any, payload: Any) -> None:
    """A 404 about the path is a failure with a hint at the address, never an absence."""
    server.answers[f"{LIST}/{kit.uuid(1)}"] = [kit.reply(payload, 404)]

    result = await make().lookup(kit.uuid(1))

    assert answer(result, kit.uuid(1)) is Answer.FAILED
    assert result.unreachable["bitcain"].kind == "unexpected"
    assert "base_url" in result.unreachable["bitcain"].message


async def test_a_wrong_address_is_a_configuration_error(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The list itself is not there: no answer of this address means anything."""
    server.answers[LIST] = [kit.reply({"detail": "Not Found"}, 404)]

    with pytest.raises(errors.ConfigurationError, match="base_url"):
        await make().lookup("bot-1", kit.uuid(1))


@pytest.mark.parametrize("ref", ["bitcain:abc", "bitcain:543cr2v32a1h6844", "x" * 256, "bitcain:../x"])
async def test_an_id_that_bitcain_cannot_hold_is_not_asked_for(server: Any, make: Callable[..., Any], ref: str) -> None:
    """An order id that is no UUID, or a client id that no field takes, is not seen for its shape: no proof."""
    result = await make().lookup(ref)

    assert (answer if ref in result.not_seen else None) is answer
    assert not result[ref].proven_absent
    assert "is not of a form that ids have here" in result[ref].notes[0]
    assert server.requests == []


async def test_a_client_id_that_is_not_listed_is_undecided(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Only the time back to `scan_since` was searched, and the note says how far."""
    server.rows = [kit.row()]

    result = await make(scan_since=timedelta(days=3)).lookup("nobody")

    assert answer(result, "nobody") is Answer.PARTLY_SEARCHED
    assert result.undecided == ("nobody",)
    assert "since 2025-12-30 03:04:05Z" in result["nobody"].notes[0]
    assert server.queries(LIST)[0]["start_date"].startswith("2025-12-30T03:04:0")
    assert result.unreachable == {}


async def test_a_server_that_echoes_no_client_ids_is_noted(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Rows without any client id mean that seeking them is in vain."""
    server.rows = [kit.row(number, client_order_id=None) for number in (2, 1)]

    result = await make().lookup("bot-1")

    assert "none of the 2 rows shows a client id" in result["bot-1"].notes[0]


async def test_a_scan_goes_on_to_its_end(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A client id may stand twice: both orders answer, and the ref is ambiguous."""
    server.rows = [
        kit.row(number, client_order_id="twin" if number in {1, 500} else None) for number in range(500, 0, -1)
    ]

    result = await make().lookup("twin")

    assert len(result["twin"].orders) == 2
    with pytest.raises(errors.AmbiguousRef):
        await make().get("twin")


async def test_a_bare_uuid_may_be_a_client_id(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """It is asked for as an order id first, and sought as a client id only where there is no such order."""
    ours = "AAAAAAAA-0000-4000-8000-00000000000a"
    server.rows = [kit.row(2, client_order_id=ours), kit.row(1)]

    result = await make().lookup(ours, kit.uuid(1), kit.uuid(7), "bot-1")

    assert result[ours].order.order_id == kit.uuid(2)
    assert answer(result, kit.uuid(7)) is Answer.PARTLY_SEARCHED
    assert not result[kit.uuid(7)].proven_absent
    assert server.paths.count(LIST) == 1


async def test_found_uuids_need_no_scan(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The list is read only for what no path can answer."""
    server.rows = [kit.row(2), kit.row(1)]

    await make().lookup(kit.uuid(1), kit.uuid(2))

    assert LIST not in server.paths


async def test_an_order_of_the_other_mode_cannot_be_asked_for(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """By UUID or by client id: the note names both modes, and it is never "not seen"."""
    server.rows = [kit.row(2, trading_mode="live"), kit.row(1)]

    result = await make().lookup(kit.uuid(2), "bot-2", "bot-1")

    for ref in (kit.uuid(2), "bot-2"):
        assert answer(result, ref) is Answer.CANNOT_ASK
        assert "live order" in result[ref].notes[0]
        assert "paper" in result[ref].notes[0]
    assert result["bot-1"].order is not None


async def test_a_row_without_a_mode_is_shown(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The mode is unknown then, and not assumed."""
    server.rows = [kit.row(1, trading_mode=None)]

    assert (await make().get(kit.uuid(1))).paper is None


async def test_another_order_than_asked_for_is_no_answer(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Nothing is found, and the look-up says so."""
    server.answers[f"{LIST}/{kit.uuid(1)}"] = [kit.reply({"order": kit.row(2)})]

    result = await make().lookup(kit.uuid(1))

    assert answer(result, kit.uuid(1)) is Answer.FAILED
    with pytest.raises(errors.UnexpectedResponse, match="answered with"):
        await make().get(kit.uuid(1))


async def test_one_unreadable_order_hides_no_neighbour(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """The bad row is reported beside the orders found; its own ref is undecided."""
    server.rows = [kit.row(number, **({"side": "hold"} if number == 2 else {})) for number in (3, 2, 1)]

    result = await make().lookup(kit.uuid(1), kit.uuid(2), "bot-2", "bot-3")

    assert [bad.order_id for bad in result.bad_rows] == [kit.uuid(2)] * 2
    assert result.undecided == (kit.uuid(2), "bot-2")
    assert len(result.orders) == 2


async def test_a_symbol_asked_for_reads_letters_alone(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A ref that names its symbol makes `BTCUSDT` readable."""
    server.rows = [kit.row(1, symbol="BTCUSDT")]

    result = await make().lookup(OrderRef(order_id=kit.uuid(1), symbol="BTC/USDT"))

    assert result.orders[0].symbol == "BTC/USDT"


@pytest.mark.parametrize(("status", "kind"), [(401, "credentials"), (403, "permission"), (429, "throttled")])
async def test_some_failures_stop_everything(
    server: Any, make: Callable[..., Any], kit: Any, status: int, kind: str
) -> None:
    """Wrong credentials, a missing permission or a lock-out would fail every request alike: no more are sent."""
    for number in range(100):
        server.answers[f"{LIST}/{kit.uuid(number)}"] = [kit.reply({"detail": "no"}, status)]
    server.answers[LIST] = [kit.reply({"detail": "no"}, status)]
    refs = [*(kit.uuid(number) for number in range(100)), "bot-1"]

    result = await make().lookup(*refs, timeout=5)

    assert result.unreachable["bitcain"].kind == kind
    assert result.undecided == tuple(refs)
    assert len(server.requests) <= 9


async def test_a_dead_server_is_given_up_on(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Many requests in a row without an answer mean that it is down: not every id is tried to the end."""
    for number in range(200):
        server.answers[f"{LIST}/{kit.uuid(number)}"] = [NoAnswer("gone")]

    result = await make(retries=Retries(tries=2, first_wait=0.001)).lookup(*map(kit.uuid, range(200)))

    assert result.unreachable["bitcain"].kind == "unreachable"
    assert len(result.undecided) == 200
    assert len(server.requests) < 60


async def test_one_failing_id_stops_nobody(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """A server error about one order leaves the others their answers."""
    server.rows = [kit.row(number) for number in range(30, 0, -1)]
    server.answers[f"{LIST}/{kit.uuid(5)}"] = [kit.reply(b"boom", 500)]

    result = await make().lookup(*map(kit.uuid, range(1, 31)))

    assert result.undecided == (kit.uuid(5),)
    assert len(result.orders) == 29


async def test_the_time_limit_ends_a_look_up_with_what_is_known(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """What came in time is found; the rest is undecided, timed out."""

    async def never(request: WireRequest) -> Any:
        await asyncio.sleep(60)

    server.rows = [kit.row(1)]
    server.answers[f"{LIST}/{kit.uuid(2)}"] = [never]
    server.answers[LIST] = [never]
    started = time.monotonic()

    result = await make().lookup(kit.uuid(1), kit.uuid(2), "bot-2", timeout=1.0)

    assert time.monotonic() - started < 30
    assert result[kit.uuid(1)].order is not None
    assert {answer(result, ref) for ref in result.undecided} == {Answer.TIMED_OUT}
    assert result.undecided == (kit.uuid(2), "bot-2")
    assert result.unreachable["bitcain"].kind == "timed_out"


async def test_an_engine_that_times_out_first_is_the_time_limit_too(
    server: Any, make: Callable[..., Any], kit: Any
) -> None:
    """Whichever clock rings first, it is the caller's time that ended."""

    async def slow(request: WireRequest) -> Any:
        await asyncio.sleep(0.095)
        return NoAnswer("read timed out")

    server.answers[f"{LIST}/{kit.uuid(2)}"] = [slow]

    result = await make().lookup(kit.uuid(2), timeout=0.1)

    assert answer(result, kit.uuid(2)) is Answer.TIMED_OUT


async def test_ten_thousand_ids_end_in_time(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Paced as the venue allows, most are undecided, none is lost."""
    server.rows = [kit.row(number) for number in range(50, 0, -1)]
    refs = [*map(kit.uuid, range(1, 10_001)), "bot-3"]

    result = await make(limits="venue").lookup(*refs, timeout=5.0)

    assert len(result) == 10_001
    assert result["bot-3"].order is not None
    assert len(result.orders) >= 50
    assert len(result.orders) + len(result.undecided) + len(result.not_seen) >= 10_000
    assert len(server.requests) <= 60 + 9 * 5  # the burst, and what five seconds give


async def test_a_scan_that_breaks_off_keeps_what_it_found(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Orders of the pages that came are found; what was not seen is undecided, with the reason."""
    first = {"orders": [kit.row(number) for number in range(400, 200, -1)], "has_more": True}
    server.answers[LIST] = [kit.reply(first), kit.reply({"nothing": 1})]

    result = await make().lookup("bot-300", "bot-100")

    assert result["bot-300"].order is not None
    assert answer(result, "bot-100") is Answer.FAILED
    assert result.unreachable["bitcain"].kind == "unexpected"


async def test_a_ref_of_another_gateway_is_a_configuration_error(make: Callable[..., Any], kit: Any) -> None:
    """It names the gateways that are asked."""
    with pytest.raises(errors.ConfigurationError, match="asked are: bitcain"):
        await make().lookup("bitso:abc")


async def test_at_most_eight_requests_at_once(server: Any, make: Callable[..., Any], kit: Any) -> None:
    """Many UUIDs go out side by side, but not all at once."""
    running = most = 0

    async def one(request: WireRequest) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1
        return kit.reply({"detail": "Order not found"}, 404)

    for number in range(40):
        server.answers[f"{LIST}/{kit.uuid(number)}"] = [one]

    result = await make().lookup(*(f"bitcain:{kit.uuid(number)}" for number in range(40)))

    assert most == 8
    assert len(result.not_seen) == 40
