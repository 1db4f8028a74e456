"""The two PATCH calls of the simulated Bitso: v3 replaces an order, v4 modifies it in place."""

from decimal import Decimal
from typing import Any


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
