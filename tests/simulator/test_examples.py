"""The bodies that the facts pages print, asked of the simulator word for word."""

import json
from decimal import Decimal
from typing import Any

import pytest

BOOK = {
    "book": "btc_mxn", "default_chart": "candle", "minimum_amount": "0.00001", "maximum_amount": "600",
    "minimum_price": "100000", "maximum_price": "40000000", "minimum_value": "10", "maximum_value": "200000000",
    "tick_size": "10", "margin_enabled": False,
    "fees": {"flat_rate": {"maker": "0.600", "taker": "0.780"},
             "structure": [{"volume": "1500000", "maker": "0.00600", "taker": "0.00780"},
                           {"volume": "2000000", "maker": "0.00550", "taker": "0.00700"}]},
}  # fmt: skip
FIRST = {
    "book": "btc_mxn", "oid": "Zx81kQw02LmTr7Vb", "origin_id": "ob_7f3a91", "side": "buy", "type": "limit",
    "status": "partially filled", "price": "1200000.00", "original_amount": "0.00150000",
    "unfilled_amount": "0.00050000", "original_value": "1800.00", "time_in_force": "goodtillcancelled",
    "created_at": "2026-01-05T10:00:00.000+00:00", "updated_at": "2026-01-05T10:00:04.000+00:00",
}  # fmt: skip
SECOND = {
    "book": "eth_mxn", "oid": "Pq55sdf9LLk20aZ1", "side": "sell", "type": "limit", "status": "open",
    "price": "41000.00", "original_amount": "0.20000000", "unfilled_amount": "0.20000000",
    "original_value": "8200.00", "time_in_force": "goodtillcancelled",
    "created_at": "2026-01-05T10:01:00.000+00:00", "updated_at": "2026-01-05T10:01:00.000+00:00",
}  # fmt: skip
TRADE = {
    "tid": "98000001", "oid": "Zx81kQw02LmTr7Vb", "origin_id": "ob_7f3a91", "book": "btc_mxn", "side": "buy",
    "maker_side": "buy", "price": "1200000.00", "major": "0.00100000", "minor": "-1200.00000000",
    "major_currency": "btc", "minor_currency": "mxn", "fees_amount": "0.00000600", "fees_currency": "btc",
    "created_at": "2026-01-05T10:00:04.000+00:00",
}  # fmt: skip
EMPTY_LIST = {
    "success": True, "orders": [], "total": 0, "limit": 50, "offset": 0, "has_more": False, "next_cursor": None,
}  # fmt: skip


async def test_bitso_examples_of_orders_trades_and_cancels(sim: Any, bitso: Any) -> None:
    """The documented examples: two orders, their one trade, the open list, a cancel that lists one oid."""
    sim.bitso.put(
        oid="Zx81kQw02LmTr7Vb", origin_id="ob_7f3a91", price="1200000", original_amount="0.0015",
        unfilled_amount="0.0005", created_at="2026-01-05T10:00:00Z", updated_at="2026-01-05T10:00:04Z",
    )  # fmt: skip
    sim.bitso.put(
        oid="Pq55sdf9LLk20aZ1", book="eth_mxn", side="sell", price="41000", original_amount="0.2",
        created_at="2026-01-05T10:01:00Z",
    )  # fmt: skip
    sim.clock.advance(60)

    assert await bitso.get("/orders?oids=Zx81kQw02LmTr7Vb,Pq55sdf9LLk20aZ1") == [FIRST, SECOND]
    assert await bitso.get("/order_trades/Zx81kQw02LmTr7Vb") == [TRADE]
    assert await bitso.get("/user_trades") == [TRADE]
    assert await bitso.get("/open_orders?book=btc_mxn") == [FIRST]
    cancelled = await bitso.send("DELETE", "/orders?origin_ids=ob_7f3a91")
    assert cancelled.json() == {"success": True, "payload": ["Zx81kQw02LmTr7Vb"]}


async def test_bitso_example_of_available_books(sim: Any, http: Any) -> None:
    """The documented answer, whole."""
    body = (await http.get(sim.bitso.base_url + "/available_books")).json()

    assert body["success"] is True
    assert body["payload"][0] == BOOK


async def test_bitso_example_of_a_failure(sim: Any, bitso: Any) -> None:
    """The body recorded for a wrong signature, the shorter one, and the bare number of early days."""
    settings = sim.bitso.settings
    settings.api_secret = "another"
    wrong = {"authorization": f"Bitso {settings.api_key}:1700000000000:" + "0" * 64}

    response = await bitso.send("GET", "/balance", **wrong)

    assert response.status_code == 401
    assert response.json() == {
        "success": False,
        "error": {
            "code": "0215", "message": "Invalid Nonce or Invalid Credentials", "details": [], "errorData": None,
        },
    }  # fmt: skip
    settings.error_style = "old"
    assert (await bitso.send("GET", "/orders")).json()["error"].keys() == {"code", "message"}
    settings.error_style = "number"
    assert (await bitso.send("GET", "/orders")).json()["error"]["code"] == 360


async def test_bitso_example_of_a_balance(sim: Any, bitso: Any) -> None:
    """Rows with these six fields, available being total less locked."""
    await bitso.place(major="0.02", price="1000000")
    await bitso.place(side="sell", major="0.5", price="1300000")
    sim.bitso.market("btc_mxn").trade(price="1300000", quantity="0.1")

    rows = {row["currency"]: row for row in (await bitso.get("/balance"))["balances"]}

    for row in rows.values():
        assert row.keys() == {
            "currency", "available", "locked", "total", "pending_deposit", "pending_withdrawal",
        }  # fmt: skip
        assert Decimal(row["available"]) == Decimal(row["total"]) - Decimal(row["locked"])
    assert (Decimal(rows["mxn"]["locked"]), Decimal(rows["btc"]["locked"])) == (20_000, Decimal("0.4"))
    assert Decimal(rows["btc"]["total"]) == 1_000_000_000 - Decimal("0.1")


async def test_bitcain_example_of_an_empty_list(bitcain: Any) -> None:
    """The documented answer, whole."""
    assert await bitcain.get("/api/v1/orders") == EMPTY_LIST


ORDER = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}
Q, B = "query", "body"


@pytest.mark.parametrize(
    ("request_", "kind", "loc", "ctx"),
    [
        ("/x", "uuid_parsing", ["path", "order_id"], ...),
        ("?limit=201", "less_than_equal", [Q, "limit"], {"le": 200}),
        ("/history?limit=501", "less_than_equal", [Q, "limit"], {"le": 500}),
        ("?limit=0", "greater_than_equal", [Q, "limit"], {"ge": 1}),
        ("?offset=-1", "greater_than_equal", [Q, "offset"], {"ge": 0}),
        ("?limit=x", "int_parsing", [Q, "limit"], None),
        (ORDER | {"side": "long"}, "enum", [B, "side"], {"expected": "'buy' or 'sell'"}),
        ({name: ORDER[name] for name in ORDER if name != "symbol"}, "missing", [B, "symbol"], None),
        (ORDER | {"symbol": "x" * 21}, "string_too_long", [B, "symbol"], {"max_length": 20}),
        (ORDER | {"quantity": "1,000"}, "decimal_parsing", [B, "quantity"], None),
        (ORDER | {"quantity": True}, "decimal_type", [B, "quantity"], None),
        (ORDER | {"quantity": None}, "decimal_type", [B, "quantity"], None),
        (ORDER | {"quantity": []}, "decimal_type", [B, "quantity"], None),
        (ORDER | {"quantity": "NaN"}, "finite_number", [B, "quantity"], None),
        (ORDER | {"quantity": "-Infinity"}, "finite_number", [B, "quantity"], None),
        (b'{"symbol": }', "json_invalid", [B, 11], {"error": "Expecting value"}),
    ],
)
async def test_bitcain_examples_of_validation(bitcain: Any, request_: Any, kind: str, loc: list[Any], ctx: Any) -> None:
    """Each row of the table with its type, place and context, and no fault besides."""
    if isinstance(request_, str):
        response = await bitcain.send("GET", f"/api/v1/orders{request_}")
    else:
        content = request_ if isinstance(request_, bytes) else json.dumps(request_).encode()
        response = await bitcain.send("POST", "/api/v1/orders", content=content)

    (fault,) = response.json()["detail"]
    assert response.status_code == 422
    assert (fault["type"], fault["loc"]) == (kind, loc)
    assert fault.keys() - {"ctx"} == {"type", "loc", "msg", "input"}
    assert fault["ctx"].keys() == {"error"} if ctx is ... else fault.get("ctx") == ctx
