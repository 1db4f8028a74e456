"""Which amounts the exchange told: those that follow its own fields when a row is read a second time."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest

from orderbridge import OrderStatus
from orderbridge.adapters.ccxt_any.mapping import TOLD
from orderbridge.adapters.ccxt_any.watch import with_told
from orderbridge.model.order import Order
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt


def parser(row: Any, market: Any = None) -> Any:
    """A parser that takes, signs, adds and multiplies."""
    quantity, done = Decimal(row["quantity"]), Decimal(row["done"])
    return {
        "amount": str(abs(quantity)),
        "filled": row["done"],
        "remaining": str(abs(quantity) - done),
        "price": row.get("price"),
        "cost": str(done * Decimal(row["price"])),
        "info": row,
    }


@pytest.mark.parametrize("done", ["0", "0.5", "1", "2"])
@pytest.mark.parametrize("quantity", ["2", "-2", "2.00"])
def test_only_what_follows_its_field_was_told(quantity: str, done: str) -> None:
    """A number that was computed counts for nothing, be it equal to one of the row; a sign that is taken off does."""
    row = {"quantity": quantity, "done": done, "price": "1", "other": ["2", {"a": "0"}, 1, "0.5", "1.5"]}

    order = with_told(parser)(row)

    assert order[TOLD] == {"amount", "filled", "price"}
    assert order["info"] is row


def test_whole_numbers_follow_too() -> None:
    """Amounts may be unquoted: integers, and floats at exchanges that ccxt reads in a way of its own."""
    order = with_told(lambda row, market=None: {"amount": str(row["q"]), "price": row["p"]})({"q": 3, "p": 0.25})

    assert order[TOLD] == {"amount", "price"}


def test_a_parser_that_fails_at_a_second_reading_has_told_nothing() -> None:
    """Nothing is shown by it, and the order stays."""

    def once(row: Any, market: Any = None) -> Any:
        if row["amount"] != "1":
            raise KeyError("amount")
        return {"id": "5", "amount": "1"}

    assert with_told(once)({"amount": "1"}) == {"id": "5", "amount": "1", TOLD: frozenset()}


async def order_of(name: str, row: Any, id: str) -> Order:
    async with stubbed(name, lambda *_: (200, row)) as exchange:
        return await exchange.get(exchange.ref(id))


GATE = {
    "id": "1852454420",
    "text": "t-abc",
    "create_time_ms": 1710488334073,
    "update_time_ms": 1710488334074,
    "status": "closed",
    "currency_pair": "BTCUSDT",
    "type": "market",
    "account": "spot",
    "side": "buy",
    "amount": "777",
    "price": "0",
    "time_in_force": "ioc",
    "left": "1.5",
    "filled_amount": "0.0155",
    "filled_total": "775.5",
    "avg_deal_price": "50032.25",
    "finish_as": "filled",
}


async def test_a_market_buy_by_quote_is_ended_without_a_quantity() -> None:
    """Gate tells the quote that was to be spent: ccxt divides it, and an order is not cancelled by that."""
    order = await order_of("gate", GATE, "1852454420")

    assert order.status is OrderStatus.ENDED
    assert (order.quantity, order.filled_quantity) == (None, Decimal("0.0155"))
    assert order.filled_quote_quantity == Decimal("775.5")


async def test_a_filled_order_is_not_taken_for_half_of_one() -> None:
    """Foxbit's quantity is the whole one: ccxt adds to it what was executed."""
    row = {"id": "1234567890", "market_symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "state": "FILLED"}
    row |= {"price": "50000", "price_avg": "50000", "quantity": "2", "quantity_executed": "2"}

    order = await order_of("foxbit", row, "1234567890")

    assert (order.status, order.quantity, order.filled_quantity) == (OrderStatus.FILLED, Decimal(2), Decimal(2))
    assert order.filled_quote_quantity is None


async def test_what_kraken_states_is_taken() -> None:
    """Cost and average are fields of its own, and count."""
    row = {"status": "closed", "vol": "1.00000000", "vol_exec": "1.00000000", "cost": "49000", "price": "49000"}
    row["descr"] = {"pair": "BTCUSDT", "type": "buy", "ordertype": "limit", "price": "50000"}  # type: ignore[assignment]
    id = "OABCDE-FGHIJ-KLMNOP"

    order = await order_of("kraken", {"error": [], "result": {id: row}}, id)

    assert (order.status, order.quantity, order.price) == (OrderStatus.FILLED, Decimal(1), Decimal(50000))
    assert (order.filled_quote_quantity, order.average_price) == (Decimal(49000), Decimal(49000))


def test_second_readings_leave_rows_alone() -> None:
    """The row that is kept as raw is the exchange's, to the letter."""
    ccxt = import_module("ccxt.async_support")
    exchange = ccxt.gate()
    exchange.parse_order = with_told(exchange.parse_order)
    before = dict(GATE)

    order = exchange.parse_order(GATE)

    assert before == GATE == order["info"]
