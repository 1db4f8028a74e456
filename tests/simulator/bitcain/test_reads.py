"""Get, list and history of the simulated Bitcain, with every switch that concerns reading."""

import json
from decimal import Decimal
from typing import Any

import pytest

UUID_1 = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"


def a_list(body: dict[str, Any]) -> list[str]:
    """The ids of a list answer."""
    return [row["id"] for row in body["orders"]]


async def test_one_order_has_the_canonical_shape(sim: Any, bitcain: Any) -> None:
    """An untouched limit order is shown with every field of the canonical row."""
    sim.bitcain.put(id=UUID_1, client_order_id="ob-000001", quantity="0.5", price="60000")

    body = await bitcain.get(f"/api/v1/orders/{UUID_1}")

    assert body["success"] is True
    assert body["order"] == {
        "id": UUID_1, "client_order_id": "ob-000001", "exchange_order_id": None,
        "portfolio_id": None, "exchange": "binanceus", "trading_mode": "paper", "symbol": "BTC/USDT",
        "side": "buy", "type": "limit", "status": "open", "quantity": "0.50000000",
        "filled_quantity": "0.00000000",
        "remaining_quantity": "0.50000000", "price": "60000.00", "stop_price": None,
        "average_fill_price": None,
        "fee": "0", "fee_currency": None, "time_in_force": "gtc", "expires_at": None, "reduce_only": False,
        "post_only": False, "source": "manual", "agent_id": None, "error_message": None, "retry_count": 0,
        "created_at": "2026-01-05T10:00:00.000000Z", "updated_at": "2026-01-05T10:00:00.000000Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "filled"),
    [("pending", 0), ("open", 0), ("partially_filled", "0.25"), ("filled", "0.5"), ("cancelled", 0),
    ("expired", 0),
     ("rejected", 0), ("failed", 0)],
)  # fmt: skip
async def test_every_status_can_be_put_and_is_shown(sim: Any, bitcain: Any, status: str, filled: Any) -> None:
    """The word comes back, with the fills that it implies."""
    order = sim.bitcain.put(status=status, quantity="0.5")

    row = (await bitcain.get(f"/api/v1/orders/{order.order_id}"))["order"]

    assert row["status"] == status
    assert Decimal(row["filled_quantity"]) == Decimal(filled)


async def test_unknown_ids_and_bad_ids(bitcain: Any) -> None:
    """A UUID that nobody has is 404, a text that is no UUID 422 in FastAPI's shape."""
    missing = await bitcain.send("GET", f"/api/v1/orders/{UUID_1}")
    bad = await bitcain.send("GET", "/api/v1/orders/abc")

    assert (missing.status_code, missing.json()) == (404, {"detail": "Order not found"})
    assert bad.status_code == 422
    fault = bad.json()["detail"][0]
    assert (fault["type"], fault["loc"], fault["input"]) == ("uuid_parsing", ["path", "order_id"], "abc")
    assert "error" in fault["ctx"]


async def test_the_list_filters_by_each_documented_parameter(sim: Any, bitcain: Any) -> None:
    """portfolio_id, order_status, symbol and both dates (exclusive) narrow the list; newest come first."""
    portfolio = "11111111-1111-4111-8111-111111111111"
    old = sim.bitcain.put(created_at="2026-01-01T00:00:00Z", portfolio_id=portfolio)
    eth = sim.bitcain.put(created_at="2026-01-02T00:00:00Z", symbol="ETH/USDT", status="filled")
    live = sim.bitcain.put(created_at="2026-01-03T00:00:00Z", trading_mode="live")
    path = "/api/v1/orders"

    assert a_list(await bitcain.get(path)) == [live.id, eth.id, old.id]
    assert a_list(await bitcain.get(path, portfolio_id=portfolio)) == [old.id]
    assert a_list(await bitcain.get(path, symbol="ETH/USDT")) == [eth.id]
    assert a_list(await bitcain.get(path, symbol="ETH-USDT")) == []
    assert a_list(await bitcain.get(path, order_status="filled")) == [eth.id]
    assert a_list(await bitcain.get(path, start_date="2026-01-02T00:00:00Z")) == [live.id]
    assert a_list(await bitcain.get(path, end_date="2026-01-02T00:00:00")) == [old.id]


async def test_history_shows_ended_orders_with_inclusive_dates(sim: Any, bitcain: Any) -> None:
    """Only final statuses, `from` and `until` included, no offset and no cursor."""
    done = sim.bitcain.put(status="cancelled", created_at="2026-01-02T00:00:00Z")
    sim.bitcain.put(status="open", created_at="2026-01-02T00:00:00Z")
    moment = "2026-01-02T00:00:00Z"

    body = await bitcain.get("/api/v1/orders/history", start_date=moment, end_date=moment)

    assert a_list(body) == [done.id]
    assert "offset" not in body
    assert "next_cursor" not in body


async def test_offset_paging_tells_total_and_more(sim: Any, bitcain: Any) -> None:
    """Offset pages are cut from the newest-first list, with total and has_more."""
    orders = [sim.bitcain.put(created_at=f"2026-01-0{day}T00:00:00Z").id for day in range(5, 0, -1)]

    page = await bitcain.get("/api/v1/orders", limit=2, offset=2)

    assert a_list(page) == orders[2:4]
    assert (page["total"], page["limit"], page["offset"], page["has_more"]) == (5, 2, 2, True)
    assert page["next_cursor"] is None


async def test_cursor_paging_is_stable_under_new_orders(sim: Any, bitcain: Any) -> None:
    """A cursor continues after the row where it was given; a bad one is 400."""
    sim.bitcain.settings.paging = "cursor"
    orders = [sim.bitcain.put(created_at=f"2026-01-0{day}T00:00:00Z").id for day in range(5, 0, -1)]

    page = await bitcain.get("/api/v1/orders", limit=2)
    sim.bitcain.put()
    after = await bitcain.get("/api/v1/orders", limit=9, cursor=page["next_cursor"])

    assert a_list(page) == orders[:2]
    assert a_list(after) == orders[2:]
    assert after["next_cursor"] is None
    assert (await bitcain.send("GET", "/api/v1/orders?cursor=zzz")).status_code == 400


async def test_paging_may_be_silent(sim: Any, bitcain: Any) -> None:
    """`paging="neither"` says nothing about further pages."""
    sim.bitcain.settings.paging = "neither"

    assert set(await bitcain.get("/api/v1/orders")) == {"success", "orders"}
    assert set(await bitcain.get("/api/v1/orders/history")) == {"success", "orders"}


@pytest.mark.parametrize(
    ("envelope", "one", "many"),
    [
        ("success", lambda b: b["order"], lambda b: b["orders"]),
        ("bare", lambda b: b, lambda b: b["orders"]),
        ("data", lambda b: b["data"], lambda b: b["data"]),
        ("success_data", lambda b: b["data"]["order"], lambda b: b["data"]["orders"]),
        ("items", lambda b: b["order"], lambda b: b["items"]),
    ],
)
async def test_envelopes(sim: Any, bitcain: Any, envelope: str, one: Any, many: Any) -> None:
    """Every envelope of the switch carries the same rows."""
    order = sim.bitcain.put()
    sim.bitcain.settings.envelope = envelope

    assert one(await bitcain.get(f"/api/v1/orders/{order.id}"))["id"] == order.id
    assert [row["id"] for row in many(await bitcain.get("/api/v1/orders"))] == [order.id]


async def test_names_decimals_times_and_statuses_in_disguise(sim: Any, bitcain: Any) -> None:
    """Variant and camelCase names, unquoted exact numbers, four time formats, five status spellings."""
    order = sim.bitcain.put(status="cancelled", quantity="0.1234567890123456789", raw={})
    settings = sim.bitcain.settings
    path = f"/api/v1/orders/{order.id}"

    settings.names, settings.decimals = "variants", "numbers"
    text = (await bitcain.send("GET", path)).text
    assert '"original_quantity":0.1234567890123456789' in text
    assert json.loads(text)["order"]["order_id"] == order.id
    settings.names = "camel"
    assert (await bitcain.get(path))["order"]["clientOrderId"] is None
    settings.names = "canonical"
    for times, shown in (
        ("offset", "2026-01-05T10:00:00.000000+00:00"),
        ("naive", "2026-01-05T10:00:00.000000"),
        ("no_fraction", "2026-01-05T10:00:00Z"),
    ):
        settings.times = times
        assert (await bitcain.get(path))["order"]["created_at"] == shown
    for spelling, word in (
        ("canceled", "canceled"),
        ("upper", "CANCELLED"),
        ("dotted", "OrderStatus.CANCELLED"),
        ("unknown", "pending_review"),
    ):
        settings.status_spelling = spelling
        assert (await bitcain.get(path))["order"]["status"] == word


async def test_a_wrong_status_word_reveals_the_vocabulary_or_nothing(sim: Any, bitcain: Any) -> None:
    """`enum`: 422 with all words in `ctx.expected`; `text`: an empty list."""
    response = await bitcain.send("GET", "/api/v1/orders?order_status=zzz")
    fault = response.json()["detail"][0]
    assert response.status_code == 422
    assert (fault["type"], fault["loc"], fault["input"]) == ("enum", ["query", "order_status"], "zzz")
    assert fault["ctx"]["expected"].startswith("'pending', 'open'")
    assert fault["ctx"]["expected"].endswith("or 'failed'")

    sim.bitcain.settings.order_status_type = "text"
    assert a_list(await bitcain.get("/api/v1/orders", order_status="zzz")) == []


async def test_history_may_be_shadowed(sim: Any, bitcain: Any) -> None:
    """The switch answers with exactly the 422 of a path id `history`."""
    sim.bitcain.settings.history = "shadowed"

    response = await bitcain.send("GET", "/api/v1/orders/history")

    fault = response.json()["detail"][0]
    assert response.status_code == 422
    assert (fault["type"], fault["loc"], fault["input"]) == ("uuid_parsing", ["path", "order_id"], "history")


async def test_several_faults_come_in_one_list(bitcain: Any) -> None:
    """Ranges and types of the query are checked together, with the raw text as input."""
    query = "limit=201&offset=-1&start_date=soon&portfolio_id=x&order_status=zzz"
    response = await bitcain.send("GET", f"/api/v1/orders?{query}")

    found = {fault["loc"][1]: fault for fault in response.json()["detail"]}
    assert list(found) == ["portfolio_id", "order_status", "start_date", "limit", "offset"]
    assert found["order_status"]["type"] == "enum"
    history = await bitcain.send("GET", "/api/v1/orders/history?order_status=zzz&limit=0")
    assert [fault["loc"][1] for fault in history.json()["detail"]] == ["order_status", "limit"]
    assert response.status_code == 422
    assert found["limit"]["type"] == "less_than_equal"
    assert found["limit"]["ctx"] == {"le": 200}
    assert found["limit"]["input"] == "201"
    assert found["offset"]["type"] == "greater_than_equal"
    assert found["start_date"]["type"].startswith("datetime")
    assert found["portfolio_id"]["type"] == "uuid_parsing"
    assert (await bitcain.send("GET", "/api/v1/orders/history?limit=x")).json()["detail"][0]["type"] == "int_parsing"


async def test_a_raw_plus_in_a_date_is_a_blank_and_invalid(bitcain: Any) -> None:
    """`+00:00` unencoded is 422, `%2B00:00` works."""
    raw = await bitcain.send("GET", "/api/v1/orders?start_date=2026-01-01T00:00:00+00:00")
    encoded = await bitcain.send("GET", "/api/v1/orders?start_date=2026-01-01T00:00:00%2B00:00")

    assert (raw.status_code, encoded.status_code) == (422, 200)


async def test_unknown_routes_and_verbs(bitcain: Any) -> None:
    """404 and 405 in the framework's words."""
    lost = await bitcain.send("GET", "/api/v1/nothing")
    verb = await bitcain.send("PUT", "/api/v1/orders/history")

    assert (lost.status_code, lost.json()) == (404, {"detail": "Not Found"})
    assert (verb.status_code, verb.json()) == (405, {"detail": "Method Not Allowed"})
    assert verb.headers["allow"] == "GET"
