"""Placing, cancelling, replacing (v3) and modifying (v4) on the simulated Bitso."""

import contextlib
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LIMIT = {"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.01", "price": "1000000"}
MARKET = {"book": "btc_mxn", "side": "sell", "type": "market", "major": "0.01"}


async def test_the_answer_to_an_order_is_an_oid_and_nothing_else(sim: Any, bitso: Any) -> None:
    """Sixteen letters and digits; the ground truth has exactly that order."""
    oid = await bitso.place(origin_id="ob_7f3a91")

    assert len(oid) == 16
    assert oid.isalnum()
    assert [order.oid for order in sim.bitso.accepted(client_order_id="ob_7f3a91")] == [oid]
    row = await bitso.row(oid)
    assert (row["status"], row["origin_id"], row["time_in_force"]) == (
        "open",
        "ob_7f3a91",
        "goodtillcancelled",
    )


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"book": "btc_mxn", "side": "buy", "type": "limit", "major": "0.00150000", "price": "1200000",
          "time_in_force": "postonly", "origin_id": "ob_7f3a91"}, "open"),
        ({"book": "btc_mxn", "side": "sell", "type": "market", "major": "0.00150000",
          "slippage_tolerance": "0.5"}, "completed"),
        ({"book": "btc_mxn", "side": "buy", "type": "market", "minor": "500.00"}, "completed"),
        ({"book": "btc_mxn", "side": "sell", "type": "limit", "major": "0.01", "price": "990000",
          "stop": "1000000"}, "queued"),
        ({"book": "btc_mxn", "side": "buy", "type": "limit", "major": 0.05, "price": 400000}, "open"),
    ],
)  # fmt: skip
async def test_the_facts_pages_examples_are_taken(bitso: Any, body: dict[str, Any], status: str) -> None:
    """Each documented body is accepted, numbers as text or as JSON numbers, and ends as described."""
    oid = (await bitso.ok("POST", "/orders", body))["oid"]

    assert (await bitso.row(oid))["status"] == status


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"book": None}, "0303"), ({"book": "xxx_yyy"}, "0301"), ({"book": 5}, "0372"),
        ({"side": None}, "0303"), ({"side": "long"}, "0306"),
        ({"type": None}, "0303"), ({"type": "iceberg"}, "0307"),
        ({"time_in_force": "forever"}, "0302"),
        ({"minor": "5"}, "0308"), ({"major": None}, "0309"), ({"major": None, "minor": "500"}, "0303"),
        ({"major": "0"}, "0408"), ({"major": "-1"}, "0408"), ({"major": True}, "0372"),
        ({"major": []}, "0372"),
        ({"major": "1e-3"}, "0304"), ({"major": "1,000"}, "0304"), ({"major": "9" * 61}, "0304"),
        ({"major": "٣"}, "0304"), ({"major": "0.000000001"}, "0407"),
        ({"price": None}, "0407"), ({"price": "1000005"}, "0407"), ({"price": "0"}, "0407"),
        ({"price": "-10"}, "0407"),
        ({"price": "99990"}, "0401"), ({"price": "40000010"}, "0402"),
        ({"major": "0.000001"}, "0403"), ({"major": "601"}, "0404"),
        ({"major": "0.00001", "price": "100000"}, "0405"), ({"major": "500", "price": "1000000"}, "0406"),
        ({"stop": "99990"}, "0412"), ({"stop": "40000010"}, "0413"), ({"stop": "1000005"}, "0407"),
        ({"origin_id": "a b"}, "0304"), ({"origin_id": "x" * 41}, "0304"), ({"origin_id": ""}, "0304"),
        ({"origin_id": 7}, "0372"), ({"slippage_tolerance": "101"}, "0304"),
    ],
)  # fmt: skip
async def test_each_broken_rule_has_its_code(bitso: Any, change: dict[str, Any], code: str) -> None:
    """A body with one fault is refused with HTTP 400 and that fault's code, and nothing is on the book."""
    assert await bitso.code("POST", "/orders", {**LIMIT, **change}) == (400, code)
    assert await bitso.get("/open_orders") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "0303"), (b"book=btc_mxn", "0304"), (b"[1]", "0304"), (b"\xff\xfe", "0304"),
    (b'{"major": NaN}', "0304"),
     (b"[" * 100_000, "0304"), (b'{"major": 1e999999999}', "0303")],
)  # fmt: skip
async def test_bodies_that_are_no_order(bitso: Any, body: bytes, code: str) -> None:
    """No JSON object is `0304`, no body `0303`; an absurd number is no reason to fail."""
    assert await bitso.code("POST", "/orders", body) == (400, code)


async def test_the_first_broken_rule_counts(bitso: Any) -> None:
    """With several faults, the order of the facts page decides."""
    wrong = {"book": "xxx_yyy", "side": "long", "type": "iceberg", "major": "0", "price": "5"}
    codes = []
    for name, good in (
        ("book", "btc_mxn"),
        ("side", "buy"),
        ("type", "limit"),
        ("major", "1"),
        ("price", None),
    ):
        codes.append((await bitso.code("POST", "/orders", wrong))[1])
        wrong[name] = good
    codes.append((await bitso.code("POST", "/orders", wrong))[1])

    assert codes == ["0301", "0306", "0307", "0408", "0407", "0407"]


async def test_switches_caps_and_funds(sim: Any, bitso: Any) -> None:
    """`0410`, `0411`, `1008`, `1001`, and last of all the money, `0379`."""
    rich = LIMIT | {"major": "100", "price": "2000000", "side": "sell"}
    sim.bitso.engine.accounts.deposit("bot", "btc", Decimal(-999_999_950))
    assert await bitso.code("POST", "/orders", rich) == (400, "0379")

    settings = sim.bitso.settings
    settings.most_open_orders = 1
    await bitso.place()
    assert await bitso.code("POST", "/orders", rich) == (400, "1001")
    settings.trading = "off"
    assert await bitso.code("POST", "/orders", LIMIT) == (400, "1008")
    settings.market_orders = "off"
    assert await bitso.code("POST", "/orders", MARKET) == (400, "0411")
    settings.closed_books = frozenset({"btc_mxn"})
    assert await bitso.code("POST", "/orders", LIMIT) == (400, "0410")


async def test_what_an_order_has_no_use_for_is_ignored(bitso: Any) -> None:
    """An unknown field, and a price on a market order."""
    await bitso.place(surprise="yes")
    await bitso.ok("POST", "/orders", MARKET | {"price": "5"})


async def test_an_origin_id_is_taken_while_its_order_is_active(sim: Any, bitso: Any) -> None:
    """`0356` while the first order rests; after its end a second order with that id is created."""
    first = await bitso.place(origin_id="mine")
    assert await bitso.code("POST", "/orders", LIMIT | {"origin_id": "mine"}) == (400, "0356")

    await bitso.ok("DELETE", f"/orders/{first}")
    second = await bitso.place(origin_id="mine")

    assert second != first
    assert len(sim.bitso.accepted(client_order_id="mine")) == 2


@pytest.mark.parametrize(
    ("terms", "price", "status", "unfilled"),
    [
        ("postonly", "1300000", "cancelled", "100.00000000"),
        ("fillorkill", "1201500", "cancelled", "100.00000000"),
        ("immediateorcancel", "1000000", "cancelled", "100.00000000"),
        ("goodtillcancelled", "1300000", "partially filled", None),
    ],
)
async def test_terms_end_an_order_after_a_good_answer(
    bitso: Any, terms: str, price: str, status: str, unfilled: str | None
) -> None:
    """
    Post-only, fill-or-kill and immediate-or-cancel answer 200 with an oid for an order that may be dead.
    """
    row = await bitso.row(await bitso.place(major="100", price=price, time_in_force=terms))

    assert row["status"] == status
    assert unfilled is None or row["unfilled_amount"] == unfilled


async def test_locks_fees_and_balances_over_an_orders_life(sim: Any, bitso: Any) -> None:
    """
    A buy locks quote; a partial fill pays its fee in base and shrinks the lock; a cancel frees the rest.
    """

    async def money(currency: str) -> dict[str, Decimal]:
        rows = (await bitso.get("/balance"))["balances"]
        row = next(each for each in rows if each["currency"] == currency)
        return {name: Decimal(value) for name, value in row.items() if name != "currency"}

    before = await money("mxn")
    oid = await bitso.place(major="0.0015", price="1200000")
    assert (await money("mxn"))["locked"] == Decimal("1800")
    sim.bitso.market("btc_mxn").trade(price=1200000, quantity="0.001")

    row, trade = await bitso.row(oid), (await bitso.get(f"/order_trades/{oid}"))[0]
    assert (row["status"], row["unfilled_amount"]) == ("partially filled", "0.00050000")
    assert (trade["maker_side"], trade["fees_amount"], trade["fees_currency"]) == ("buy", "0.00000600", "btc")
    assert await bitso.ok("DELETE", f"/orders/{oid}") == [oid]
    after = await money("mxn")
    assert after["locked"] == 0
    assert after["total"] == before["total"] - 1200
    assert after["available"] == after["total"]
    assert (await bitso.row(oid))["status"] == "cancelled"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fills=st.lists(st.tuples(st.integers(3_000, 1_000_000), st.integers(1, 10**9)), min_size=1, max_size=8),
    side=st.sampled_from(["buy", "sell"]),
)
async def test_money_has_eight_decimals(bitso: Any, sim: Any, fills: list[tuple[int, int]], side: str) -> None:
    """
    Whatever trades: `minor` is price × major rounded half up, the fee is cut down, and both are what the balance moves.
    """
    trades = [(Decimal(price).scaleb(-3), Decimal(size).scaleb(-8)) for price, size in fills]
    before = {name: sim.bitso.balances[name].total for name in ("ltc", "usd")}
    order = sim.bitso.put(book="ltc_usd", side=side, status="cancelled", quantity="100", trades=trades)

    rows = await bitso.get(f"/order_trades/{order.oid}")

    moved = {"ltc": Decimal(0), "usd": Decimal(0)}
    for row, (price, size) in zip(reversed(rows), trades, strict=True):
        amounts = [row["major"], row["minor"], row["fees_amount"]]
        assert [len(amount.partition(".")[2]) for amount in amounts] == [8, 8, 8]
        major, minor, fee = map(Decimal, amounts)
        assert abs(minor) == (price * size).quantize(Decimal("1E-8"), ROUND_HALF_UP)
        assert fee == (abs(major if side == "buy" else minor) * Decimal("0.006")).quantize(Decimal("1E-8"), ROUND_DOWN)
        moved["ltc"] += major
        moved["usd"] += minor
        moved[row["fees_currency"]] -= fee
    assert {name: sim.bitso.balances[name].total - before[name] for name in moved} == moved


@pytest.mark.parametrize("form", ["/{0}", "?oids={0},{1},nope", "/{0}-{1}", "?origin_ids=one,two", "/all"])
async def test_a_cancel_lists_only_what_it_cancelled(bitso: Any, form: str) -> None:
    """Every form answers with oids; what was cancelled before, or never was, is left out without a word."""
    first, second = await bitso.place(origin_id="one"), await bitso.place(origin_id="two")
    path = "/orders" + form.format(first, second)

    cancelled = await bitso.ok("DELETE", path)

    assert set(cancelled) == ({first} if form == "/{0}" else {first, second})
    assert await bitso.ok("DELETE", path) == []


async def test_a_cancel_that_finds_nothing_may_be_refused(sim: Any, bitso: Any) -> None:
    """The knob `cancel_miss`; and a cancel without any name is `0360`."""
    sim.bitso.settings.cancel_miss = "0312"

    assert await bitso.code("DELETE", "/orders/nope") == (400, "0312")
    assert await bitso.ok("DELETE", "/orders/all") == []
    assert await bitso.code("DELETE", "/orders") == (400, "0360")


async def test_a_fill_may_win_the_race_against_a_cancel(sim: Any, bitso: Any) -> None:
    """With the fault `fill_first`, a cancel answers with an empty list and the order is completed."""
    oid = await bitso.place()
    sim.bitso.fault("fill_first", operation="cancel", times=1)

    assert await bitso.ok("DELETE", f"/orders/{oid}") == []
    assert (await bitso.row(oid))["status"] == "completed"


async def test_a_late_order_is_there_before_it_is_shown(sim: Any, bitso: Any) -> None:
    """With `late_visibility`, look-up, open orders and trades do not know an accepted order for a while."""
    sim.bitso.fault("late_visibility", operation="place", times=1, seconds=5)
    oid = await bitso.place(type="market", side="sell", major="0.001")
    assert await bitso.get(f"/orders/{oid}") == []
    assert await bitso.code("GET", f"/order_trades/{oid}") == (400, "0312")
    assert await bitso.get("/user_trades") == []
    assert len(sim.bitso.accepted(order_id=oid)) == 1

    sim.clock.advance(5)
    assert (await bitso.row(oid))["status"] == "completed"
    assert {row["oid"] for row in await bitso.get("/user_trades")} == {oid}


async def test_a_lost_answer_leaves_the_order_on_the_book(sim: Any, bitso: Any) -> None:
    """`accept_then_drop` and `accept_then_5xx` place the order; `drop` and `error_5xx` do not."""
    for kind in ("accept_then_drop", "accept_then_5xx", "drop", "error_5xx"):
        sim.bitso.fault(kind, operation="place", times=1)
        with contextlib.suppress(httpx.TransportError):
            response = await bitso.send("POST", "/orders", LIMIT | {"origin_id": kind})
            assert response.status_code >= 500

    placed = {order.origin_id for order in sim.bitso.accepted()}
    assert placed == {"accept_then_drop", "accept_then_5xx"}
    assert sim.bitso.requests["POST /api/v3/orders"] == 4


async def test_new_orders_may_be_queued_for_a_moment(sim: Any, bitso: Any) -> None:
    """The knob `queued_for` shows a new order as queued until its time has passed."""
    sim.bitso.settings.queued_for = 2
    oid = await bitso.place()

    assert (await bitso.row(oid))["status"] == "queued"
    sim.clock.advance(2)
    assert (await bitso.row(oid))["status"] == "open"


async def test_a_stop_order_waits_triggers_and_trades(sim: Any, bitso: Any) -> None:
    """Queued with `stop`; at the stop it gets `triggered_at` and acts as the order that it is."""
    oid = await bitso.place(side="sell", type="market", major="0.01", stop="1100000")
    waiting = await bitso.row(oid)
    assert (waiting["status"], waiting["stop"], "triggered_at" in waiting) == ("queued", "1100000.00", False)

    sim.clock.advance(60)
    sim.bitso.market("btc_mxn").trade(price="1100000")

    done = await bitso.row(oid)
    assert (done["status"], done["triggered_at"]) == ("completed", "2026-01-05T10:01:00.000+00:00")


async def test_limits_lock_out_for_a_minute_and_spare_cancels(sim: Any, bitso: Any, http: Any) -> None:
    """300 private requests a minute by user, 60 public by address, then 420 `0801` for sixty seconds."""
    sim.bitso.settings.pacing = True
    oid = await bitso.place()
    for _ in range(299):
        assert (await bitso.send("GET", "/open_orders")).status_code == 200

    assert await bitso.code("GET", "/open_orders") == (420, "0801")
    assert await bitso.ok("DELETE", f"/orders/{oid}") == [oid]
    url = sim.bitso.base_url + "/available_books"
    assert [(await http.get(url)).status_code for _ in range(61)][-2:] == [200, 420]

    sim.clock.advance(59.5)
    assert await bitso.code("GET", "/open_orders") == (420, "0801")
    sim.clock.advance(0.5)
    assert await bitso.get("/open_orders") == []


async def test_public_market_data(sim: Any, bitso: Any, http: Any) -> None:
    """Order book in both forms, trades with paging, ticker; all of one book."""

    async def public(path: str) -> Any:
        return (await http.get(sim.bitso.base_url + path)).json()["payload"]

    oid = await bitso.place(price="1199000", major="0.5")
    sim.bitso.market("btc_mxn").trade(price="1195000", quantity="0.2")

    whole = await public("/order_book?book=btc_mxn&aggregate=false")
    best = await public("/order_book?book=btc_mxn")
    trades = await public("/trades?book=btc_mxn&limit=1")
    ticker = await public("/ticker?book=btc_mxn")
    assert {"book": "btc_mxn", "price": "1199000.00", "amount": "0.30000000", "oid": oid} in whole["bids"]
    assert best["bids"][0] == {"book": "btc_mxn", "price": "1199000.00", "amount": "0.30000000"}
    assert best["sequence"].isdigit()
    assert (trades[0]["price"], trades[0]["book"]) == ("1195000.00", "btc_mxn")
    assert await public(f"/trades?book=btc_mxn&marker={trades[0]['tid']}&sort=asc") == []
    assert (ticker["last"], ticker["bid"], ticker["high"]) == ("1195000.00", "1199000.00", "1199000.00")
    assert len(await public("/ticker")) == len(sim.bitso.engine.instruments)
    assert (await http.get(sim.bitso.base_url + "/trades")).json()["error"]["code"] == "0303"


async def test_fees_tell_what_trades_cost(bitso: Any) -> None:
    """Decimal and percent agree, and the deprecated fields equal the maker's."""
    row = (await bitso.get("/fees"))["fees"][0]

    assert Decimal(row["taker_fee_decimal"]) * 100 == Decimal(row["taker_fee_percent"])
    assert row["fee_decimal"] == row["maker_fee_decimal"]


async def test_replace_makes_a_new_order_in_the_place_of_the_old(bitso: Any) -> None:
    """v3: another oid, no inherited origin id, the old one cancelled; both must be paid for at once."""
    old = await bitso.place(origin_id="mine", major="0.01")

    new = (await bitso.ok("PATCH", f"/orders/{old}", {"price": "1000010"}))["oid"]

    row = await bitso.row(new)
    assert new != old
    assert (row["price"], row["original_amount"], "origin_id" in row) == ("1000010.00", "0.01000000", False)
    assert (await bitso.row(old))["status"] == "cancelled"
    assert await bitso.code("PATCH", f"/orders/{old}", {"price": "1000020"}) == (400, "1005")
    assert await bitso.code("PATCH", "/orders?origin_id=nope", {"price": "1000020"}) == (400, "0357")
    assert await bitso.code("PATCH", f"/orders/{new}", {"stop": "1000000"}) == (400, "1005")


async def test_replace_doubles_a_position_if_the_old_order_fills_meanwhile(sim: Any, bitso: Any) -> None:
    """The documented race: the replacement is created although the original has just filled."""
    old = await bitso.place(major="0.01")
    sim.bitso.fault("fill_first", operation="replace", times=1)

    new = (await bitso.ok("PATCH", f"/orders?oid={old}", {"major": "0.02"}))["oid"]

    assert (await bitso.row(old))["status"] == "completed"
    assert (await bitso.row(new))["original_amount"] == "0.02000000"


async def test_modify_keeps_the_order_and_the_quote_value(sim: Any, bitso: Any) -> None:
    """
    v4: a price alone keeps the value, so 1 at 100000 becomes 0.83333333 at 120000; same oid, same origin id.
    """
    oid = await bitso.place(major="1", price="100000", origin_id="mine")
    bitso.prefix = "/api/v4"
    assert await bitso.ok("PATCH", f"/orders/{oid}", {"price": "120000"}) == {"oid": oid}

    bitso.prefix = "/api/v3"
    row = await bitso.row(oid)
    assert (row["original_amount"], row["price"], row["origin_id"]) == ("0.83333333", "120000.00", "mine")


async def test_modify_sizes_a_waiting_market_order_anew(sim: Any, bitso: Any) -> None:
    """`minor` makes it an order for so much money, `major` one for so much base, `stop` alone keeps the size."""
    oid = await bitso.place(type="market", major="0.01", stop="1300000")
    path = f"/orders/{oid}"

    async def shown() -> tuple[Any, Any, Any]:
        bitso.prefix = "/api/v3"
        row = await bitso.row(oid)
        bitso.prefix = "/api/v4"
        return row["original_amount"], row["original_value"], row["stop"]

    assert await shown() == ("0.01000000", None, "1300000.00")
    assert await bitso.ok("PATCH", path, {"minor": "5000"}) == {"oid": oid}
    assert await shown() == (None, "5000.00", "1300000.00")
    assert sim.bitso.balances["mxn"].locked == 5000
    await bitso.ok("PATCH", path, {"stop": "1290000"})
    assert await shown() == (None, "5000.00", "1290000.00")
    for body, code in (
        ({"minor": "0"}, "0408"),
        ({"minor": "1"}, "0405"),
        ({"minor": "5000.001"}, "0407"),
        ({"minor": "100000000", "stop": "5"}, "0412"),
        ({"price": "1300000"}, "1005"),
    ):
        assert await bitso.code("PATCH", path, body) == (400, code)
    await bitso.ok("PATCH", path, {"major": "0.02"})
    assert await shown() == ("0.02000000", None, "1290000.00")
    await bitso.ok("PATCH", path, {"minor": "6000"})

    sim.bitso.market("btc_mxn").trade(price="1290000")

    order = sim.bitso.accepted(order_id=oid)[0]
    assert order.state == "filled"
    assert 5900 < order.filled_quote <= 6000


async def test_replace_keeps_what_may_not_change(sim: Any, bitso: Any) -> None:
    """A null is no value, side and type cannot change, and a waiting market order keeps its slippage tolerance."""
    old = await bitso.place(major="0.01")
    for change in ({"side": "sell"}, {"type": "market"}):
        assert await bitso.code("PATCH", f"/orders/{old}", change) == (400, "1005")

    nulls = {"major": None, "minor": None, "price": None, "stop": None, "side": "buy"}
    new = (await bitso.ok("PATCH", f"/orders/{old}", nulls))["oid"]
    row = await bitso.row(new)
    assert (row["price"], row["original_amount"]) == ("1000000.00", "0.01000000")

    stop = await bitso.place(type="market", minor="500", stop="1300000", slippage_tolerance="0.5")
    new = (await bitso.ok("PATCH", f"/orders/{stop}", {"stop": "1310000"}))["oid"]
    assert sim.bitso.accepted(order_id=new)[0].slippage == Decimal("0.5")


async def test_modify_checks_as_placing_does(sim: Any, bitso: Any) -> None:
    """Both sizes, none, wrong ticks, sizes below what is filled, ended orders: each has its code."""
    oid = await bitso.place(major="0.02")
    stop = await bitso.place(side="sell", major="0.02", price="890000", stop="900000")
    sim.bitso.market("btc_mxn").fill(oid, quantity="0.01")
    bitso.prefix = "/api/v4"

    for body, code in (
        ({"major": "1", "minor": "1"}, "0308"),
        ({}, "0309"),
        ({"major": "0"}, "0408"),
        ({"major": "0.005"}, "0403"),
        ({"price": "5"}, "0407"),
        ({"major": "1000"}, "0404"),
        ({"major": "0.02", "stop": "1000000"}, "1005"),
        ({"major": "300", "price": "1000000"}, "0406"),
    ):
        assert await bitso.code("PATCH", f"/orders?oid={oid}", body) == (400, code)
    assert await bitso.ok("PATCH", f"/orders?oid={stop}", {"stop": "950000"}) == {"oid": stop}
    assert await bitso.code("PATCH", f"/orders?oid={oid}", {"major": "0.005", "cancel": "1"}) == (400, "0403")
    assert await bitso.code("PATCH", f"/orders?oid={oid}", {"major": "1"}) == (400, "1005")
