"""Look-up, the list and the history; placing, changing, cancelling and retrying on the simulated Bitcain."""

import json
from datetime import timedelta
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


ORDERS = "/api/v1/orders"
PAPER = ORDERS + "?trading_mode=paper"
LIMIT = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}


async def created(bitcain: Any, path: str = PAPER, **change: Any) -> Any:
    """The row of a new order."""
    response = await bitcain.send("POST", path, json=LIMIT | change)
    assert response.status_code == 201, response.text
    assert response.json()["success"] is True
    return response.json()["order"]


async def detail(bitcain: Any, method: str, path: str, **how: Any) -> tuple[int, Any]:
    """Status and detail of a refusal."""
    response = await bitcain.send(method, path, **how)
    return response.status_code, response.json()["detail"]


async def test_a_new_order_is_answered_whole(sim: Any, bitcain: Any) -> None:
    """201, the canonical row, open; the ground truth has it under its client id."""
    row = await created(bitcain, client_order_id="ob-000001")

    assert (row["status"], row["quantity"], row["trading_mode"]) == ("open", "0.50000000", "paper")
    assert [order.id for order in sim.bitcain.accepted(client_order_id="ob-000001")] == [row["id"]]


async def test_the_default_is_live_money(sim: Any, bitcain: Any) -> None:
    """Without `trading_mode` an order goes to the live book, whose money and market are its own."""
    row = await created(bitcain, ORDERS)

    assert row["trading_mode"] == "live"
    assert sim.bitcain.balances["live"]["USDT"].locked == Decimal(30000)
    assert sim.bitcain.balances["paper"]["USDT"].locked == 0
    sim.bitcain.market("BTC/USDT").trade(price="50000")
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["status"] == "open"
    sim.bitcain.market("BTC/USDT", trading_mode="live").trade(price="50000")
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["status"] == "filled"


async def test_each_exchange_has_books_of_its_own(sim: Any, bitcain: Any) -> None:
    """An order is shown with the exchange it was routed to, and only that exchange's market fills it."""
    row = await created(bitcain, PAPER + "&exchange=coinbase&source=agent")

    assert (row["exchange"], row["source"]) == ("coinbase", "agent")
    sim.bitcain.market("BTC/USDT").trade(price="50000")
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["filled_quantity"] == "0.00000000"


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"type": "market", "price": None}, "filled"),
        ({"time_in_force": "ioc"}, "cancelled"),
        ({"time_in_force": "fok", "price": "65100", "quantity": "1000"}, "cancelled"),
        ({"type": "stop_loss", "stop_price": "70000"}, "pending"),
        ({"type": "take_profit", "stop_price": "50000"}, "pending"),
        ({"type": "stop_limit", "stop_price": "70000", "price": "70100"}, "pending"),
        ({"post_only": True}, "open"),
        ({"quantity": 0.5, "price": 60000}, "open"),
        ({"unknown_field": 1}, "open"),
    ],
)
async def test_types_and_terms(bitcain: Any, change: dict[str, Any], status: str) -> None:
    """Every expressible type and time in force is taken and does what its name says."""
    assert (await created(bitcain, **change))["status"] == status


async def test_stops_trigger_on_their_side(sim: Any, bitcain: Any) -> None:
    """A stop-loss buy triggers when the price rises, a take-profit buy when it falls."""
    loss = await created(bitcain, type="stop_loss", stop_price="70000", price=None)
    profit = await created(bitcain, type="take_profit", stop_price="50000", price=None)

    sim.bitcain.market("BTC/USDT").trade(price="70000")
    assert (await bitcain.get(f"{ORDERS}/{loss['id']}"))["order"]["status"] == "filled"
    assert (await bitcain.get(f"{ORDERS}/{profit['id']}"))["order"]["status"] == "pending"
    sim.bitcain.market("BTC/USDT").trade(price="50000")
    assert (await bitcain.get(f"{ORDERS}/{profit['id']}"))["order"]["status"] == "filled"


async def test_fills_show_average_and_fee(sim: Any, bitcain: Any) -> None:
    """A partly filled order tells filled and remaining sizes, its average price and its fee."""
    row = await created(bitcain)
    sim.bitcain.market("BTC/USDT").trade(price="60000", quantity="0.2")

    row = (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]

    assert (row["status"], row["filled_quantity"], row["remaining_quantity"]) == (
        "partially_filled", "0.20000000", "0.30000000",
    )  # fmt: skip
    assert (row["average_fill_price"], row["fee"], row["fee_currency"]) == ("60000.00", "0.0002", "BTC")


async def test_a_good_till_time_order_expires(sim: Any, bitcain: Any) -> None:
    """gtt ends at `expires_at`, shown as expired."""
    until = (sim.clock.now() + timedelta(hours=1)).isoformat()
    row = await created(bitcain, time_in_force="gtt", expires_at=until)

    sim.clock.advance(3600)

    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["status"] == "expired"


@pytest.mark.parametrize(
    ("change", "kind", "where"),
    [
        ({"side": "long"}, "enum", "side"),
        ({"type": "unheard"}, "enum", "type"),
        ({"symbol": "x" * 21}, "string_too_long", "symbol"),
        ({"symbol": None}, "string_type", "symbol"),
        ({"quantity": "1,000"}, "decimal_parsing", "quantity"),
        ({"quantity": True}, "decimal_type", "quantity"),
        ({"quantity": None}, "decimal_type", "quantity"),
        ({"quantity": []}, "decimal_type", "quantity"),
        ({"quantity": "NaN"}, "finite_number", "quantity"),
        ({"price": "Infinity"}, "finite_number", "price"),
        ({"portfolio_id": "x"}, "uuid_parsing", "portfolio_id"),
        ({"expires_at": "soon"}, "datetime_from_date_parsing", "expires_at"),
        ({"time_in_force": "day"}, "enum", "time_in_force"),
        ({"reduce_only": "perhaps"}, "bool_parsing", "reduce_only"),
    ],
)
async def test_types_are_validated_in_the_frameworks_shape(
    bitcain: Any, change: dict[str, Any], kind: str, where: str
) -> None:
    """Each wrong field is a 422 entry with type, place and input."""
    status, faults = await detail(bitcain, "POST", PAPER, json=LIMIT | change)

    assert status == 422
    assert [(fault["type"], fault["loc"]) for fault in faults] == [(kind, ["body", where])]
    assert faults[0]["input"] == change[where]


async def test_validation_examples_of_the_facts_page(bitcain: Any) -> None:
    """
    `expected` of an enum, a missing field, broken JSON with its offset, a body that is no object, no body.
    """
    side = await detail(bitcain, "POST", PAPER, json=LIMIT | {"side": "long"})
    missing = await detail(bitcain, "POST", PAPER, json={})
    broken = await detail(bitcain, "POST", PAPER, content=b'{"symbol": }')
    array = await detail(bitcain, "POST", PAPER, json=[1])
    nothing = await detail(bitcain, "POST", PAPER + "&agent_id=x")

    assert side[1][0]["ctx"] == {"expected": "'buy' or 'sell'"}
    assert {tuple(fault["loc"]) for fault in missing[1]} == {
        ("body", "symbol"), ("body", "side"), ("body", "type"), ("body", "quantity"),
    }  # fmt: skip
    assert (broken[1][0]["type"], broken[1][0]["loc"]) == ("json_invalid", ["body", 11])
    assert array[1][0]["type"] == "model_attributes_type"
    assert [fault["loc"][0] for fault in nothing[1]] == ["query", "body"]


@pytest.mark.parametrize("quantity", ["0.1", "1E-3", " 1 ", 1, 0.1])
async def test_accepted_spellings_of_a_number(bitcain: Any, quantity: Any) -> None:
    """Text with exponent or blanks, and numbers, are read as decimals."""
    assert Decimal((await created(bitcain, quantity=quantity))["quantity"]) == Decimal(str(quantity).strip())


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("?trading_mode=demo", {}), ("?trading_mode=paper&exchange=mtgox", {}), ("", {"symbol": "BTC-USDT"}),
        ("", {"quantity": "0"}), ("", {"quantity": "-1"}), ("", {"quantity": "1e-9999"}),
        ("", {"price": None}),
        ("", {"type": "stop_limit"}), ("", {"type": "trailing_stop"}), ("", {"type": "iceberg"}),
        ("", {"type": "oco"}), ("", {"time_in_force": "gtt"}), ("", {"expires_at": "2020-01-01T00:00:00Z"}),
        ("", {"post_only": True, "price": "70000"}), ("", {"quantity": "1000000000"}),
    ],
)  # fmt: skip
async def test_business_rules_are_a_400_with_a_text(sim: Any, bitcain: Any, path: str, change: dict[str, Any]) -> None:
    """What passes validation and cannot be done is refused with a text, and no order exists."""
    status, text = await detail(bitcain, "POST", ORDERS + path, json=LIMIT | change)

    assert status == 400
    assert isinstance(text, str)
    assert sim.bitcain.accepted() == []


@pytest.mark.parametrize(
    ("quantity", "text"),
    [("1e999999", "out of range"), ("1e-9999", "out of range"), ("-1e999999", "greater than zero")],
)
async def test_a_number_without_end_is_called_so(bitcain: Any, quantity: str, text: str) -> None:
    """What is too large or too fine is told apart from what is not above zero."""
    assert text in (await detail(bitcain, "POST", PAPER, json=LIMIT | {"quantity": quantity}))[1]


async def test_client_ids_may_repeat_conflict_or_find_the_first(sim: Any, bitcain: Any) -> None:
    """The three readings of an undocumented field."""
    first = await created(bitcain, client_order_id="mine")
    second = await created(bitcain, client_order_id="mine")
    assert first["id"] != second["id"]

    sim.bitcain.settings.duplicate_client_order_id = "409"
    assert (await detail(bitcain, "POST", PAPER, json=LIMIT | {"client_order_id": "mine"}))[0] == 409
    sim.bitcain.settings.duplicate_client_order_id = "first"
    again = await bitcain.send("POST", PAPER, json=LIMIT | {"client_order_id": "mine"})
    assert (again.status_code, again.json()["order"]["id"]) == (200, first["id"])


@pytest.mark.parametrize("status", [201, 200, 202])
async def test_the_create_status_is_a_switch(sim: Any, bitcain: Any, status: int) -> None:
    """201, 200 or 202."""
    sim.bitcain.settings.create_status = status

    assert (await bitcain.send("POST", PAPER, json=LIMIT)).status_code == status


async def test_cancel_answers_in_three_ways(sim: Any, bitcain: Any) -> None:
    """
    The order; an acknowledgement of a done cancel; an acknowledgement while the order goes on for a while.
    """
    paths = [f"{ORDERS}/{(await created(bitcain))['id']}" for _ in range(3)]
    plain = (await bitcain.send("DELETE", paths[0])).json()
    sim.bitcain.settings.cancel_answer = "acknowledgement"
    told = (await bitcain.send("DELETE", paths[1])).json()
    sim.bitcain.settings.cancel_answer = "still_open"
    await bitcain.send("DELETE", paths[2])

    assert plain["order"]["status"] == "cancelled"
    assert told == {"success": True, "message": "Cancel requested", "order_id": paths[1].rpartition("/")[2]}
    assert (await bitcain.get(paths[1]))["order"]["status"] == "cancelled"
    assert (await bitcain.get(paths[2]))["order"]["status"] == "open"
    sim.clock.advance(2)
    assert (await bitcain.get(paths[2]))["order"]["status"] == "cancelled"


async def test_an_ended_order_can_neither_be_cancelled_nor_updated(sim: Any, bitcain: Any) -> None:
    """409 with a text; also when a fill won the race."""
    row = await created(bitcain)
    sim.bitcain.fault("fill_first", operation="cancel", times=1)

    assert (await detail(bitcain, "DELETE", f"{ORDERS}/{row['id']}"))[0] == 409
    assert (await detail(bitcain, "PATCH", f"{ORDERS}/{row['id']}", json={"price": "1"}))[0] == 409
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["status"] == "filled"
    assert (await detail(bitcain, "DELETE", f"{ORDERS}/{'0' * 8}-0000-4000-8000-{'0' * 12}"))[0] == 404


async def test_an_update_changes_what_it_names(sim: Any, bitcain: Any) -> None:
    """Quantity, price, time in force and expiry change in place; null and nothing change nothing."""
    row = await created(bitcain)
    path = f"{ORDERS}/{row['id']}"

    new = (await bitcain.send("PATCH", path, json={"quantity": "0.7", "price": 61000, "stop_price": None})).json()
    same = (await bitcain.send("PATCH", path, json={})).json()

    assert (new["order"]["quantity"], new["order"]["price"]) == ("0.70000000", "61000.00")
    assert (new["order"]["id"], same["order"]["price"]) == (row["id"], "61000.00")
    assert sim.bitcain.balances["paper"]["USDT"].locked == Decimal("0.7") * 61000
    later = (sim.clock.now() + timedelta(hours=1)).isoformat()
    await bitcain.send("PATCH", path, json={"time_in_force": "gtt", "expires_at": later})
    sim.clock.advance(3601)
    assert (await bitcain.get(path))["order"]["status"] == "expired"


@pytest.mark.parametrize("term", ["ioc", "fok"])
async def test_an_order_that_rests_cannot_become_one_that_never_does(bitcain: Any, term: str) -> None:
    """ioc and fok are refused for a resting order, and taken for one that waits for its stop."""
    rests = (await created(bitcain))["id"]
    waits = (await created(bitcain, type="stop_limit", stop_price="70000", price="70100"))["id"]

    assert (await detail(bitcain, "PATCH", f"{ORDERS}/{rests}", json={"time_in_force": term}))[0] == 400
    assert (await bitcain.get(f"{ORDERS}/{rests}"))["order"]["time_in_force"] == "gtc"
    changed = await bitcain.send("PATCH", f"{ORDERS}/{waits}", json={"time_in_force": term})
    assert changed.json()["order"]["time_in_force"] == term


async def test_an_order_that_is_gtt_no_longer_lives_on(sim: Any, bitcain: Any) -> None:
    """Leaving gtt clears `expires_at`, and nothing ends the order at the old time."""
    until = (sim.clock.now() + timedelta(hours=1)).isoformat()
    path = f"{ORDERS}/{(await created(bitcain, time_in_force='gtt', expires_at=until))['id']}"

    row = (await bitcain.send("PATCH", path, json={"time_in_force": "gtc"})).json()["order"]
    sim.clock.advance(3600)

    assert (row["time_in_force"], row["expires_at"]) == ("gtc", None)
    assert (await bitcain.get(path))["order"]["status"] == "open"


async def test_an_update_may_carry_a_status(bitcain: Any) -> None:
    """`cancelled` cancels, the present word does nothing, another is refused."""
    path = f"{ORDERS}/{(await created(bitcain))['id']}"

    assert (await bitcain.send("PATCH", path, json={"status": "open"})).json()["order"]["status"] == "open"
    assert (await detail(bitcain, "PATCH", path, json={"status": "filled"}))[0] == 400
    assert (await bitcain.send("PATCH", path, json={"status": "cancelled"})).json()["order"]["status"] == "cancelled"


@pytest.mark.parametrize("change", [{"quantity": "0"}, {"quantity": "0.1"}, {"price": "-1"}, {"stop_price": "5"}])
async def test_updates_that_make_no_sense(sim: Any, bitcain: Any, change: dict[str, str]) -> None:
    """Below what is filled, not positive, or a stop for an order without one: 400, unchanged."""
    row = await created(bitcain)
    sim.bitcain.market("BTC/USDT").trade(price="60000", quantity="0.2")

    assert (await detail(bitcain, "PATCH", f"{ORDERS}/{row['id']}", json=change))[0] == 400
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["quantity"] == "0.50000000"


async def test_a_failed_order_can_be_retried(sim: Any, bitcain: Any) -> None:
    """Routing fails: the order exists and is failed. A retry revives it under its id, or makes another."""
    sim.bitcain.settings.routing = "fails"
    row = await created(bitcain)
    path = f"{ORDERS}/{row['id']}"
    assert (row["status"], bool(row["error_message"])) == ("failed", True)
    assert (await bitcain.send("POST", path + "/retry")).json()["order"]["retry_count"] == 1

    sim.bitcain.settings.routing, sim.bitcain.settings.retry_answer = "works", "new"
    other = (await bitcain.send("POST", path + "/retry")).json()["order"]
    sim.bitcain.settings.retry_answer = "same"
    same = (await bitcain.send("POST", path + "/retry")).json()["order"]

    assert (other["status"], other["id"] != row["id"]) == ("open", True)
    assert (same["status"], same["id"], same["retry_count"], same["error_message"]) == (
        "open",
        row["id"],
        2,
        None,
    )
    assert (await detail(bitcain, "POST", path + "/retry"))[0] == 409


@pytest.mark.parametrize("answer", ["same", "new"])
async def test_a_retried_order_still_has_its_end(sim: Any, bitcain: Any, answer: str) -> None:
    """A good-till-time order expires after a retry as well, and cannot be retried once its time is over."""
    sim.bitcain.settings.routing, sim.bitcain.settings.retry_answer = "fails", answer
    until = (sim.clock.now() + timedelta(hours=1)).isoformat()
    first = await created(bitcain, time_in_force="gtt", expires_at=until)
    second = await created(bitcain, time_in_force="gtt", expires_at=until)
    sim.bitcain.settings.routing = "works"

    row = (await bitcain.send("POST", f"{ORDERS}/{first['id']}/retry")).json()["order"]
    sim.clock.advance(3600)

    assert row["status"] == "open"
    assert (await bitcain.get(f"{ORDERS}/{row['id']}"))["order"]["status"] == "expired"
    status, text = await detail(bitcain, "POST", f"{ORDERS}/{second['id']}/retry")
    assert (status, text) == (400, "expires_at is in the past")
    assert (await bitcain.get(f"{ORDERS}/{second['id']}"))["order"]["status"] == "failed"


async def test_the_exchange_behind_may_reject(sim: Any, bitcain: Any) -> None:
    """Routing rejects: 201 and an order that is rejected, with a reason."""
    sim.bitcain.settings.routing = "rejects"

    row = await created(bitcain)

    assert (row["status"], row["error_message"]) == ("rejected", "rejected by the exchange")


async def test_lack_of_money_may_be_402(sim: Any, bitcain: Any) -> None:
    """The status of that refusal is a switch."""
    sim.bitcain.settings.funds_status = 402

    assert await detail(bitcain, "POST", PAPER, json=LIMIT | {"quantity": "999999999"}) == (
        402, "Insufficient funds",
    )  # fmt: skip


async def test_lost_answers_and_late_orders(sim: Any, bitcain: Any) -> None:
    """`nothing_said` creates and answers `{}`; `late_visibility` hides a new order for a while."""
    sim.bitcain.fault("nothing_said", operation="place", nth=1)
    sim.bitcain.fault("late_visibility", operation="place", nth=2, seconds=3)

    silent = await bitcain.send("POST", PAPER, json=LIMIT)
    late = await created(bitcain)

    assert silent.json() == {}
    assert len(sim.bitcain.accepted()) == 2
    assert (await detail(bitcain, "GET", f"{ORDERS}/{late['id']}"))[0] == 404
    assert len((await bitcain.get(ORDERS))["orders"]) == 1
    sim.clock.advance(3)
    assert len((await bitcain.get(ORDERS))["orders"]) == 2
