"""Dicts are ccxt's: the same keys as ccxt's own Bitso gives for the same orders, and its words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from orderbridge import Fill, Order
from orderbridge.simulator import Simulator

pytestmark = pytest.mark.ccxt

SEEN = datetime(2026, 1, 5, 10, 0, 0, 123_456, tzinfo=UTC)
# What ccxt's Bitso leaves out or gets wrong, by the defect's number in the list of them; None where ours knows no more.
KNOWN_TO_OURS: dict[str, Any] = {
    "clientOrderId": 9,
    "timeInForce": (9, 11),
    "postOnly": 9,
    "lastUpdateTimestamp": 9,
    "triggerPrice": 9,
    "stopPrice": 9,
    "cost": 12,
    "average": 12,
    "status": 8,
    "fee": "read with the trades",
    "fees": "read with the trades",
    "trades": "read with the trades",
    "lastTradeTimestamp": "read with the trades",
    "price": "the average, of an order at market",
    "amount": 10,
    "filled": 10,
}


def order(**changes: Any) -> Order:
    """A seen order."""
    fields = {"venue": "bitso", "order_id": "oid1", "symbol": "BTC/MXN", "side": "buy", "type": "limit"}
    amounts = {"quantity": "0.01", "price": "560000", "filled_quantity": "0", "status": "open"}
    return Order(**{**fields, **amounts, **changes})


PUT: dict[str, dict[str, Any]] = {
    "open": {"status": "open"},
    "partly": {"status": "partially filled", "quantity": "0.02"},
    "closed": {"status": "completed"},
    "cancelled": {"status": "cancelled"},
    "queued": {"status": "queued"},
    "post only": {"status": "open", "time_in_force": "postonly"},
    "stop": {"status": "queued", "stop": "550000"},
    "market": {"status": "completed", "type": "market", "side": "sell", "quantity": "0.01"},
    "by value": {"status": "completed", "type": "market", "quote_quantity": "500"},
}


@pytest.mark.parametrize("name", PUT)
async def test_an_order_has_ccxts_keys_and_values(sim: Simulator, exchange: Any, theirs: Any, name: str) -> None:
    """The same order fetched by both: the same keys, and the same values but for what ccxt is known to lose."""
    oid = sim.bitso.put(**{"symbol": "BTC/MXN", "price": "560000", "quantity": "0.01", **PUT[name]}).oid

    ours, other = await exchange.fetch_order(oid, "BTC/MXN"), await theirs.fetch_order(oid, "BTC/MXN")

    differing = {key for key in other if ours[key] != other[key]}
    assert set(ours) == set(other)
    assert differing <= set(KNOWN_TO_OURS), {key: (ours[key], other[key]) for key in differing}
    both = {key for key in other if other[key] is not None and ours[key] is not None}
    assert all(type(ours[key]) is type(other[key]) for key in both)
    # The 'IOC' that ccxt invents for orders at market is all that it tells and ours does not.
    assert {key for key in other if other[key] is not None} - both <= {"timeInForce"}


async def test_lists_and_creates_have_ccxts_keys(sim: Simulator, exchange: Any, theirs: Any) -> None:
    """Open orders, the answers to a create and to a cancel, and trades."""
    mine = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    other = await theirs.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)
    await exchange.create_order("BTC/MXN", "market", "sell", 0.01)

    assert set(mine) == set(other)
    for call in ("fetch_open_orders", "fetch_my_trades"):
        ours, others = [await getattr(each, call)("BTC/MXN") for each in (exchange, theirs)]
        assert [row["id"] for row in ours] == [row["id"] for row in others]
        assert [set(row) for row in ours] == [set(row) for row in others]
    assert ours == others
    cancelled = await exchange.cancel_order(mine["id"]), await theirs.cancel_order(other["id"])
    assert set(cancelled[0]) == set(cancelled[1])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"status": "accepted"}, "open"),
        ({"status": "open"}, "open"),
        ({"status": "partially_filled", "filled_quantity": "0.004"}, "open"),
        ({"status": "filled", "filled_quantity": "0.01"}, "closed"),
        ({"status": "cancelled"}, "canceled"),
        ({"status": "cancelled", "filled_quantity": "0.004"}, "canceled"),
        ({"status": "expired"}, "expired"),
        ({"status": "rejected"}, "rejected"),
        ({"status": "failed"}, "rejected"),
        ({"status": "ended", "filled_quantity": "0.004"}, "closed"),
        ({"status": "ended", "filled_quantity": "0"}, "canceled"),
        ({"status": "ended", "filled_quantity": None}, None),
        ({"status": "ended", "filled_quantity": None, "raw_status": "closed"}, "closed"),
        ({"status": "unknown", "raw_status": "pending_review"}, "open"),
        ({"status": "cancelled", "known_by": "assumed"}, "open"),
    ],
)
def test_status_words(changes: dict[str, Any], word: str | None) -> None:
    """What may still trade is open; the ends have ccxt's words, and none is `canceled` that may have filled."""
    from orderbridge.ccxt.dicts import order_row

    assert order_row(order(**changes))["status"] == word


@pytest.mark.parametrize(
    ("changes", "type_"),
    [
        ({"type": "stop_limit", "stop_price": "1"}, "limit"),
        ({"type": "stop_loss", "price": None, "stop_price": "1"}, "market"),
        ({"type": "take_profit", "stop_price": "1"}, "limit"),
        ({"type": "take_profit", "price": None, "stop_price": "1"}, "market"),
        ({"type": "unknown", "raw_type": "strange"}, "strange"),
        ({"type": "iceberg", "raw_type": "iceberg"}, "iceberg"),
    ],
)
def test_type_words(changes: dict[str, Any], type_: str) -> None:
    """Stops are limit or market orders with a trigger; what ccxt has no word for keeps the venue's."""
    from orderbridge.ccxt.dicts import order_row

    row = order_row(order(**changes))

    assert row["type"] == type_
    assert row["triggerPrice"] == row["stopPrice"] == (1.0 if "stop_price" in changes else None)
    assert row["takeProfitPrice"] == (1.0 if changes["type"] == "take_profit" else None)


def fill(quantity: str, price: str, **changes: Any) -> Fill:
    """A fill of the order."""
    ids = {"venue": "bitso", "fill_id": price, "order_id": "oid1", "symbol": "BTC/MXN", "side": "buy"}
    value = {"quantity": quantity, "price": price, "quote_quantity": str(float(quantity) * float(price))}
    return Fill(**{**ids, **value, "fee": "0.0001", "fee_currency": "BTC", "created_at": SEEN, **changes})


def test_cost_average_and_fees_come_from_all_trades_or_are_not_told() -> None:
    """With every trade there they are exact; while some are missing they are None, never the limit price."""
    from orderbridge.ccxt.dicts import order_row

    part = order(status="partially_filled", filled_quantity="0.004")
    both = order_row(part, [fill("0.001", "550000"), fill("0.003", "558000")])
    lacking = order_row(part, [fill("0.001", "550000")])
    unread = order_row(part)

    assert (both["cost"], both["average"]) == (2224.0, 556000.0)
    assert both["fee"] == {"currency": "BTC", "cost": 0.0002}
    assert both["fees"] == [both["fee"]]
    assert len(both["trades"]) == 2
    assert both["lastTradeTimestamp"] == 1767607200123
    assert (lacking["cost"], lacking["average"]) == (unread["cost"], unread["average"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"status": "filled", "quantity": None, "type": "market", "price": None}, (0.004, 0.004, 0.0, 556000.0)),
        ({"status": "filled", "quantity": "0.004", "type": "market", "price": None}, (0.004, 0.004, 0.0, 556000.0)),
        ({"status": "filled", "quantity": "0.005", "type": "market", "price": None}, (0.005, 0.005, 0.0, None)),
        ({"status": "cancelled"}, (0.01, 0.004, 0.006, 556000.0)),
        ({"status": "ended"}, (0.01, 0.004, 0.006, 556000.0)),
    ],
)
def test_how_much_traded_comes_from_the_trades_where_the_order_does_not_say(
    changes: dict[str, Any], known: tuple[float | None, ...]
) -> None:
    """Amount, filled, remaining and average; where trades are still missing of one that filled whole, no average."""
    from orderbridge.ccxt.dicts import order_row

    trades = [fill("0.001", "550000"), fill("0.003", "558000")]
    row = order_row(order(**{"filled_quantity": None, **changes}), trades)

    assert (row["amount"], row["filled"], row["remaining"], row["average"]) == known
    assert row["cost"] == (2224.0 if row["average"] else None)
    assert row["status"] == ("canceled" if changes["status"] == "cancelled" else "closed")
    assert row["fee"] == {"currency": "BTC", "cost": 0.0002}


def test_fees_in_two_currencies_are_two() -> None:
    """ccxt's `fee` is for one currency; `fees` has each."""
    from orderbridge.ccxt.dicts import order_row

    done = order(status="filled", filled_quantity="0.004")
    row = order_row(done, [fill("0.002", "550000"), fill("0.002", "551000", fee="3", fee_currency="MXN")])

    assert row["fee"] is None
    assert row["fees"] == [{"currency": "BTC", "cost": 0.0001}, {"currency": "MXN", "cost": 3.0}]


def test_what_the_venue_tells_of_its_average_is_taken() -> None:
    """A venue with a field for it (Bitcain) needs no trades; the cost follows from it."""
    from orderbridge.ccxt.dicts import order_row

    row = order_row(order(status="filled", filled_quantity="0.01", average_price="555000"))

    assert (row["average"], row["cost"], row["remaining"]) == (555000.0, 5550.0, 0.0)


def test_times_are_ccxts() -> None:
    """Milliseconds, and the same cut to them as text; None where the venue tells no time."""
    from orderbridge.ccxt.dicts import order_row

    row = order_row(order(created_at=SEEN, updated_at=SEEN))

    assert (row["timestamp"], row["datetime"]) == (1767607200123, "2026-01-05T10:00:00.123Z")
    assert row["lastUpdateTimestamp"] == 1767607200123
    assert order_row(order())["datetime"] is None


def test_info_is_the_venues_row() -> None:
    """Untouched."""
    from orderbridge.ccxt.dicts import order_row

    raw = {"oid": "oid1", "status": "open"}

    assert order_row(order(raw=raw))["info"] == raw


@pytest.mark.parametrize(
    ("since", "limit", "kept"),
    [(None, None, [None, 1, 2, 3]), (None, 2, [2, 3]), (2, None, [2, 3]), (1, 2, [1, 2]), (9, 1, [])],
)
def test_lists_are_cut_as_ccxt_cuts_them(since: int | None, limit: int | None, kept: list[int | None]) -> None:
    """Oldest first; `since` begins them and keeps the first, without it the last are kept."""
    import ccxt

    from orderbridge.ccxt.dicts import windowed

    rows = [{"timestamp": each, "symbol": "BTC/MXN"} for each in (3, 1, None, 2)]

    theirs = ccxt.Exchange().filter_by_symbol_since_limit(
        sorted(rows, key=lambda row: row["timestamp"] or 0), "BTC/MXN", since, limit
    )
    assert [row["timestamp"] for row in windowed(rows, since, limit)] == kept
    assert windowed(rows, since, limit) == theirs
