"""What each fault does to the client, and by which rule it strikes."""

import time
from typing import Any

import httpx
import pytest

ORDERS = "/orders/A1"


@pytest.fixture
def order(sim: Any) -> Any:
    """An order to look up."""
    return sim.bitso.put(oid="A1")


@pytest.mark.parametrize("kind", ["drop", "accept_then_drop"])
async def test_a_dropped_connection_brings_no_answer(sim: Any, bitso: Any, order: Any, kind: str) -> None:
    """The client gets a protocol error and the next request works."""
    sim.bitso.fault(kind, operation="lookup", nth=1)

    with pytest.raises(httpx.RemoteProtocolError):
        await bitso.send("GET", ORDERS)

    assert len(await bitso.get(ORDERS)) == 1
    assert sim.bitso.requests["GET /api/v3/orders/A1"] == 2


async def test_a_cut_body_promises_more_than_it_brings(sim: Any, bitso: Any, order: Any) -> None:
    """The header announces the whole body, the connection closes in the middle of it."""
    sim.bitso.fault("cut", operation="lookup", times=1)

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        await bitso.send("GET", ORDERS)


async def test_bodies_that_are_no_use(sim: Any, bitso: Any, order: Any) -> None:
    """HTML, nothing, `{}`, `success: false`, 5xx before and after, each once."""
    for kind in ("html", "empty", "nothing_said", "not_success", "error_5xx", "accept_then_5xx"):
        sim.bitso.fault(kind, operation="lookup", times=1)

    answers = [await bitso.send("GET", ORDERS) for _ in range(6)]

    assert [each.status_code for each in answers] == [502, 200, 200, 200, 503, 502]
    assert answers[0].headers["content-type"] == "text/html"
    assert answers[1].content == b""
    assert answers[2].json() == {}
    assert answers[3].json()["success"] is False
    assert answers[4].json()["error"]["code"] == "0101"
    assert len(await bitso.get(ORDERS)) == 1


async def test_throttle_and_wrong_nonce_speak_the_venues_language(sim: Any, bitso: Any, bitcain: Any) -> None:
    """Bitso: 420 `0801` and 401 `0207`; Bitcain: 429 with Retry-After and 401."""
    for venue in (sim.bitso, sim.bitcain):
        venue.fault("throttle", times=1, retry_after=7)
        venue.fault("wrong_nonce", times=1)

    assert await bitso.code("GET", "/open_orders") == (420, "0801")
    assert await bitso.code("GET", "/open_orders") == (401, "0207")
    throttled = await bitcain.send("GET", "/api/v1/orders")
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "7")
    assert (await bitcain.send("GET", "/api/v1/orders")).status_code == 401


async def test_delay_and_drip_take_their_time_and_lose_nothing(sim: Any, bitso: Any, order: Any) -> None:
    """The answer is late or comes in pieces, and is whole."""
    sim.bitso.fault("delay", operation="lookup", nth=1, seconds=0.05)
    sim.bitso.fault("drip", operation="lookup", nth=2, seconds=0.001, piece=100)

    begin = time.perf_counter()
    delayed = await bitso.get(ORDERS)
    assert time.perf_counter() - begin >= 0.05
    assert await bitso.get(ORDERS) == delayed


async def test_huge_is_good_json_of_that_size(sim: Any, bitso: Any, order: Any) -> None:
    """The body is padded to the size asked for."""
    sim.bitso.fault("huge", operation="lookup", size=2_000_000)

    response = await bitso.send("GET", ORDERS)

    assert len(response.content) == 2_000_000
    assert response.json()["payload"][0]["oid"] == "A1"


async def test_rows_twice_and_unknown_words(sim: Any, bitso: Any, bitcain: Any, order: Any) -> None:
    """Both venues can repeat a row and show a status nobody knows."""
    sim.bitcain.put()
    for venue, operation in ((sim.bitso, "open_orders"), (sim.bitcain, "open_orders")):
        venue.fault("duplicate_rows", operation=operation, nth=1)
        venue.fault("unknown_word", operation=operation, nth=2, word="melted")

    assert len(await bitso.get("/open_orders")) == 2
    assert (await bitso.get("/open_orders"))[0]["status"] == "melted"
    assert len((await bitcain.get("/api/v1/orders"))["orders"]) == 2
    assert (await bitcain.get("/api/v1/orders"))["orders"][0]["status"] == "melted"


async def test_rules_strike_by_number_operation_and_chance(sim: Any, bitso: Any, order: Any) -> None:
    """
    `nth` and `times` count matching requests only; a probability draws from the seed; clearing ends it all.
    """
    sim.bitso.fault("error_5xx", operation="lookup", nth=2, times=2)
    await bitso.get("/open_orders")
    statuses = [(await bitso.send("GET", ORDERS)).status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]

    rule = sim.bitso.fault("error_5xx", probability=0.5)
    struck = [(await bitso.send("GET", ORDERS)).status_code for _ in range(40)].count(503)
    assert 5 < struck < 35
    assert (rule.seen, rule.struck) == (40, struck)

    sim.bitso.clear_faults()
    assert (await bitso.send("GET", ORDERS)).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nth", 0), ("nth", 1.5), ("nth", True), ("times", -1), ("times", "2"), ("probability", 1.1),
        ("probability", float("nan")), ("status", "abc\r\nX: y"), ("status", 99), ("status", 600),
        ("seconds", float("inf")), ("seconds", 10**400), ("share", None), ("share", 2), ("piece", 0), ("piece", 1.0),
        ("size", -1), ("retry_after", "x"), ("retry_after", -1), ("word", 5),
    ],
)  # fmt: skip
def test_every_field_of_a_rule_has_its_type_and_range(sim: Any, name: str, value: Any) -> None:
    """A rule that could not strike as it says is refused when it is made."""
    with pytest.raises(ValueError, match=name):
        sim.bitso.fault("drip", **{name: value})
    with pytest.raises(ValueError, match="unknown fault"):
        sim.bitso.fault(["drip"])

    assert sim.bitso.faults == []


def test_misspelt_rules_are_refused(sim: Any) -> None:
    """An unknown kind or operation is a ValueError that lists what is known."""
    with pytest.raises(ValueError, match="accept_then_drop"):
        sim.bitso.fault("acept_then_drop")
    with pytest.raises(ValueError, match="open_orders"):
        sim.bitso.fault("drop", operation="openorders")
