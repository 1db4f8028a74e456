"""Look-up, open orders, trades and the public lists of the simulated Bitso."""

from decimal import Decimal
from typing import Any

import pytest

from orderbridge.simulator import Simulator


def seed_document_orders(sim: Any) -> None:
    """The two orders of Bitso's look-up page, as far as the page shows them."""
    common = {"book": "btc_mxn", "created_at": "2016-04-08T17:52:31+00:00"}
    sim.bitso.put(
        **common, oid="543cr2v32a1h6844", side="buy", price="5600.00", original_amount="0.01",
        unfilled_amount="0.005", updated_at="2016-04-08T17:52:51+00:00", status="partially filled",
    )  # fmt: skip
    sim.bitso.put(
        **common, oid="qlbga6b600n3xta7a", side="sell", price="4000.00", original_amount="0.1268",
        updated_at="2016-04-08T17:52:41+00:00", status="open",
    )  # fmt: skip


async def test_the_documents_example_comes_out_field_by_field(sim: Any, bitso: Any) -> None:
    """The look-up page's two orders are shown as the page shows them."""
    seed_document_orders(sim)

    rows = await bitso.get("/orders?oids=543cr2v32a1h6844,qlbga6b600n3xta7a")

    first, second = rows
    assert first["original_amount"] == "0.01000000"
    assert first["unfilled_amount"] == "0.00500000"
    assert Decimal(first["original_value"]) == 56
    assert first["created_at"] == "2016-04-08T17:52:31.000+00:00"
    assert first["updated_at"] == "2016-04-08T17:52:51.000+00:00"
    assert first["price"] == "5600.00"
    assert (first["side"], first["status"], first["type"]) == ("buy", "partially filled", "limit")
    assert (second["oid"], second["status"], second["unfilled_amount"]) == (
        "qlbga6b600n3xta7a",
        "open",
        "0.12680000",
    )
    assert Decimal(second["original_value"]) == Decimal("507.2")


@pytest.mark.parametrize(
    "path",
    ["/orders/A1", "/orders/A1/", "/orders?oids=A1", "/orders?oid=A1", "/orders?origin_ids=mine_1",
     "/orders/client_id/mine_1", "/orders?oids=A1,A1"],
)  # fmt: skip
async def test_one_order_is_found_under_every_documented_name(sim: Any, bitso: Any, path: str) -> None:
    """Whatever way an order is named, the payload is an array with it, once."""
    sim.bitso.put(oid="A1", origin_id="mine_1")

    rows = await bitso.get(path)

    assert [row["oid"] for row in rows] == ["A1"]
    assert rows[0]["origin_id"] == "mine_1"


@pytest.mark.parametrize(
    "path",
    ["/orders/A1-B2", "/orders/A1,B2", "/orders?oids=A1,B2", "/orders?oids=A1%2CB2",
     "/orders?origin_ids=mine-1,mine-2", "/orders?origin_ids=mine-1%2Cmine-2"],
)  # fmt: skip
async def test_several_orders_are_found_in_one_call(sim: Any, bitso: Any, path: str) -> None:
    """
    Lists work with commas, with the old dashes, and percent-encoded; a dash inside an origin id is no joiner.
    """
    sim.bitso.put(oid="A1", origin_id="mine-1")
    sim.bitso.put(oid="B2", origin_id="mine-2")

    assert sorted(row["oid"] for row in await bitso.get(path)) == ["A1", "B2"]


@pytest.mark.parametrize(
    ("path", "code"),
    [("/orders", "0360"), ("/orders?oids=", "0360"), ("/orders/A1?oids=B2", "0361"),
     ("/orders?oids=A1&origin_ids=b", "0361")],
)  # fmt: skip
async def test_no_name_and_two_kinds_of_names_are_refused(bitso: Any, path: str, code: str) -> None:
    """None is `0360`, several kinds `0361`, both HTTP 400."""
    assert await bitso.code("GET", path) == (400, code)


async def test_a_miss_is_an_empty_list_or_a_code(sim: Any, bitso: Any) -> None:
    """The knob `miss`: an empty array by default, else 400 with `0312`, or `0357` for origin ids."""
    assert await bitso.get("/orders/nope") == []

    sim.bitso.settings.miss = "0312"
    assert await bitso.code("GET", "/orders/nope") == (400, "0312")
    assert await bitso.code("GET", "/orders?origin_ids=nope") == (400, "0312")

    sim.bitso.settings.miss = "0357"
    assert await bitso.code("GET", "/orders/nope") == (400, "0312")
    assert await bitso.code("GET", "/orders?origin_ids=nope") == (400, "0357")


async def test_a_mixed_list_gives_its_hits_or_is_refused_whole(sim: Any, bitso: Any) -> None:
    """The knob `mixed_miss`."""
    sim.bitso.put(oid="A1")

    assert [row["oid"] for row in await bitso.get("/orders?oids=A1,nope")] == ["A1"]

    sim.bitso.settings.mixed_miss = "refuse"
    assert await bitso.code("GET", "/orders?oids=A1,nope") == (400, "0312")
    assert [row["oid"] for row in await bitso.get("/orders?oids=A1")] == ["A1"]


async def test_ended_orders_are_shown_for_the_window_and_no_longer(sim: Any, bitso: Any) -> None:
    """An hour where that is asked for; the trades outlive it."""
    sim.bitso.put(oid="A1", status="completed", updated_at=sim.clock.now())

    assert (await bitso.get("/orders/A1"))[0]["status"] == "completed"
    sim.clock.advance(3599)
    assert await bitso.get("/orders/A1")
    sim.clock.advance(1)
    assert await bitso.get("/orders/A1") == []
    assert len(await bitso.get("/order_trades/A1")) == 1


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_unless_told_an_order_that_ends_is_forgotten_at_once_as_in_production(
    http: Any, bitso_client: Any, clock: Any, status: str
) -> None:
    """Look-up shows it no more (by origin id that is `0312`), open orders neither, and trades come a second late."""
    async with Simulator(seed=1, clock=clock) as sim:
        bitso = bitso_client(sim, http)
        sim.bitso.put(oid="A1", origin_id="me", status=status, filled_quantity="0.004", trades=[("1000000", "0.004")])

        assert await bitso.get("/orders/A1") == []
        assert await bitso.get("/orders?oids=A1") == []
        assert await bitso.code("GET", "/orders?origin_ids=me") == (400, "0312")
        assert await bitso.get("/open_orders") == []
        assert await bitso.code("GET", "/order_trades/A1") == (400, "0377")
        assert await bitso.get("/user_trades") == []
        clock.advance(1)
        assert [row["major"] for row in await bitso.get("/order_trades?origin_id=me")] == ["0.00400000"]
        assert len(await bitso.get("/user_trades")) == 1


async def test_unless_told_open_orders_list_limit_orders_only(http: Any, bitso_client: Any) -> None:
    """As documented, `type` is always `limit` there: a waiting stop at market is looked up and not listed."""
    async with Simulator(seed=1) as sim:
        bitso = bitso_client(sim, http)
        market = await bitso.place(side="sell", type="market", stop="900000")
        limit = await bitso.place(side="sell", stop="900000", price="890000")

        assert [row["oid"] for row in await bitso.get("/open_orders")] == [limit]
        assert (await bitso.row(market))["status"] == "queued"


async def test_invisible_orders_have_trades_only(sim: Any, bitso: Any) -> None:
    """`visible=False` hides an order from look-up and open orders, not from order trades."""
    sim.bitso.put(oid="A1", status="partially filled", visible=False)

    assert await bitso.get("/orders/A1") == []
    assert await bitso.get("/open_orders") == []
    assert len(await bitso.get("/order_trades/A1")) == 1


async def test_all_fields_of_a_triggered_stop_order(sim: Any, bitso: Any) -> None:
    """A stop has its documented fields; as nothing happened to it since, it was updated when it was created."""
    sim.bitso.put(
        oid="A1", client_order_id="me", symbol="ETH/MXN", side="sell", price=41000, quantity="0.2",
        stop_price=41500, triggered_at=sim.clock.now(), time_in_force="postonly",
    )  # fmt: skip

    assert await bitso.get("/orders/A1") == [
        {
            "book": "eth_mxn", "oid": "A1", "origin_id": "me", "side": "sell", "type": "limit",
            "status": "open", "price": "41000.00", "original_amount": "0.20000000",
            "unfilled_amount": "0.20000000",
            "original_value": "8200.00", "time_in_force": "postonly", "stop": "41500.00",
            "triggered_at": "2026-01-05T10:00:00.000+00:00", "created_at": "2026-01-05T10:00:00.000+00:00",
            "updated_at": "2026-01-05T10:00:00.000+00:00",
        }
    ]  # fmt: skip


async def test_a_market_order_sized_in_quote_has_no_amount(sim: Any, bitso: Any) -> None:
    """`original_amount` is null, `original_value` the money, `price` null or, by the knob, absent."""
    sim.bitso.put(oid="A1", type="market", original_value="500", status="completed")

    row = (await bitso.get("/orders/A1"))[0]
    assert (row["original_amount"], row["original_value"], row["price"]) == (None, "500.00", None)

    sim.bitso.settings.market_price_null = False
    assert "price" not in (await bitso.get("/orders/A1"))[0]


async def test_display_knobs_change_spelling_only(sim: Any, bitso: Any) -> None:
    """
    Status spelling, time format, the zero as text, tid as a number and the sign of fees follow the settings.
    """
    sim.bitso.put(oid="A1", status="partially filled")
    sim.bitso.put(oid="B2", status="completed")
    settings = sim.bitso.settings
    settings.status_spelling, settings.time_format = "old", "compact"
    settings.unfilled_zero_as_number, settings.tid_as, settings.fee_sign = False, "number", "negative"

    first, second = await bitso.get("/orders?oids=A1,B2")
    trade = (await bitso.get("/order_trades/B2"))[0]

    assert first["status"] == "partial-fill"
    assert first["created_at"] == "2026-01-05T10:00:00+0000"
    assert second["unfilled_amount"] == "0.00000000"
    assert isinstance(trade["tid"], int)
    assert trade["fees_amount"].startswith("-")


async def test_garbage_is_shown_verbatim(sim: Any, bitso: Any) -> None:
    """`raw` overrides fields, `...` removes one, a Decimal is an unquoted number with all its digits."""
    long = "1234567.123456789012345678901234567890"
    sim.bitso.put(oid="A1", status="frozen", raw={"side": ..., "price": Decimal(long), "extra": [1, None]})

    response = await bitso.send("GET", "/orders/A1")

    row = response.json()["payload"][0]
    assert row["status"] == "frozen"
    assert "side" not in row
    assert row["extra"] == [1, None]
    assert f'"price":{long}' in response.text


async def test_open_orders_filter_and_cap(sim: Any, bitso: Any) -> None:
    """Newest first, by book or currency, 500 at most, ended orders left out; wrong filters have codes."""
    for number in range(510):
        sim.bitso.put(oid=f"A{number}", book="btc_mxn" if number % 2 else "xrp_usdt")
    sim.bitso.put(oid="done", status="completed")

    rows = await bitso.get("/open_orders")
    assert len(rows) == 500
    assert rows[0]["oid"] == "A509"
    assert len(await bitso.get("/open_orders?book=btc_mxn")) == 255
    assert len(await bitso.get("/open_orders?currency=usdt&source=alpha&limit=9")) == 9
    assert await bitso.code("GET", "/open_orders?book=None") == (400, "0301")
    assert await bitso.code("GET", "/open_orders?currency=xyz") == (400, "0313")
    assert await bitso.code("GET", "/open_orders?limit=0") == (400, "0320")


async def test_order_trades_have_the_documented_fields(sim: Any, bitso: Any) -> None:
    """A buy's trade adds major, takes minor, and pays its fee in the currency received."""
    sim.bitso.put(oid="A1", origin_id="me", price=1200000, original_amount="0.0015", unfilled_amount="0.0005")

    assert await bitso.get("/order_trades?origin_id=me") == [
        {
            "tid": "98000001", "oid": "A1", "origin_id": "me", "book": "btc_mxn", "side": "buy",
            "maker_side": "buy", "price": "1200000.00", "major": "0.00100000",
            "minor": "-1200.00000000", "major_currency": "btc",
            "minor_currency": "mxn", "fees_amount": "0.00000600", "fees_currency": "btc",
            "created_at": "2026-01-05T10:00:00.000+00:00",
        }
    ]  # fmt: skip


async def test_order_trades_say_what_is_the_matter(sim: Any, bitso: Any) -> None:
    """Unknown `0312` / `0357`, not matched `0378`, matched but lagging `0377`."""
    sim.bitso.put(oid="A1", origin_id="me")
    sim.bitso.put(oid="B2", status="completed")
    sim.bitso.settings.trade_lag = 1

    assert await bitso.code("GET", "/order_trades/nope") == (400, "0312")
    assert await bitso.code("GET", "/order_trades?origin_id=nope") == (400, "0357")
    assert await bitso.code("GET", "/order_trades/A1") == (400, "0378")
    assert await bitso.code("GET", "/order_trades/B2") == (400, "0377")

    sim.clock.advance(1)
    assert len(await bitso.get("/order_trades/B2")) == 1
    sim.bitso.settings.no_trades = "empty"
    assert await bitso.get("/order_trades/A1") == []


async def test_trades_of_a_reused_origin_id_are_mixed(sim: Any, bitso: Any) -> None:
    """By origin id come the trades of every order that ever used it, newest first."""
    sim.bitso.put(oid="A1", origin_id="me", status="completed")
    sim.bitso.put(oid="B2", origin_id="me", status="completed")

    assert [row["oid"] for row in await bitso.get("/order_trades?origin_id=me")] == ["B2", "A1"]


async def test_user_trades_page_by_marker_both_ways(sim: Any, bitso: Any) -> None:
    """25 rows unless asked otherwise, 100 at most; the marker itself is excluded."""
    for _ in range(120):
        sim.bitso.put(status="completed")

    newest = await bitso.get("/user_trades")
    tids = [int(row["tid"]) for row in newest]
    assert len(newest) == 25
    assert tids == sorted(tids, reverse=True)
    older = await bitso.get(f"/user_trades?marker={tids[-1]}&limit=1000&book=btc_mxn")
    assert [int(row["tid"]) for row in older] == list(range(tids[-1] - 1, 98000000, -1))
    newer = await bitso.get(f"/user_trades?marker={tids[-1]}&sort=asc&limit=3")
    assert [int(row["tid"]) for row in newer] == [tids[-1] + 1, tids[-1] + 2, tids[-1] + 3]
    pair = await bitso.get(f"/user_trades/{tids[0]}-{tids[3]}")
    assert sorted(int(row["tid"]) for row in pair) == sorted([tids[0], tids[3]])
    assert await bitso.code("GET", "/user_trades/1") == (400, "0321")
    assert await bitso.code("GET", "/user_trades?sort=up") == (400, "0320")


async def test_public_lists_need_no_key(sim: Any, http: Any) -> None:
    """Books tell bounds, tick and fees, catalogues the decimals of every currency used by a book."""
    books = (await http.get(sim.bitso.base_url + "/available_books")).json()["payload"]
    catalogue = (await http.get(sim.bitso.base_url + "/catalogues")).json()["payload"]

    book = next(each for each in books if each["book"] == "btc_mxn")
    assert book["tick_size"] == "10"
    assert book["fees"]["flat_rate"] == {"maker": "0.600", "taker": "0.780"}
    assert book["fees"]["structure"][0]["taker"] == "0.00780"
    codes = {each["code"]: each["precision"] for each in catalogue["currencies"]["metadata"]}
    assert {part for each in books for part in each["book"].split("_")} <= codes.keys()
    assert codes["usdt"] == 2


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/nothing", (404, "0322")),
        ("PUT", "/orders", (400, "0901")),
        ("GET", "/open_orders/x", (404, "0322")),
    ],
)
async def test_wrong_paths_and_verbs_have_codes(bitso: Any, method: str, path: str, expected: tuple[int, str]) -> None:
    """An unknown path is 404, a wrong verb `0901`, both in the envelope."""
    assert await bitso.code(method, path) == expected


async def test_a_filled_part_may_have_no_trades_or_listed_ones(sim: Any, bitso: Any) -> None:
    """`trades=False` fills without records; a list makes exactly those executions."""
    sim.bitso.put(oid="A1", status="partially filled", quantity="0.02", trades=False)
    sim.bitso.put(oid="B2", quantity="0.02", trades=[("1000000", "0.005"), ("999990", "0.006")])

    silent, listed = await bitso.get("/orders?oids=A1,B2")

    assert (silent["status"], silent["unfilled_amount"]) == ("partially filled", "0.01000000")
    assert await bitso.code("GET", "/order_trades/A1") == (400, "0378")
    assert (listed["status"], listed["unfilled_amount"]) == ("partially filled", "0.00900000")
    assert [row["price"] for row in await bitso.get("/order_trades/B2")] == ["999990.00", "1000000.00"]
