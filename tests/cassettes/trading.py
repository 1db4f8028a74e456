"""What is recorded of trading: each operation, and each refusal that a bot meets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import pytest

from orderbridge import OrderEdit, OrderGateway, OrderRequest, OrderStatus
from orderbridge.errors import (
    AuthenticationFailed,
    DuplicateClientOrderId,
    InsufficientFunds,
    InvalidOrder,
    OrderNotActive,
    OrderNotFound,
    OrderRejected,
    OutcomeUnknown,
    RateLimited,
)
from orderbridge.simulator import Simulator
from tests.cassettes.scenarios import ONCE, scenario

BITSO_OID: Final = "work000000000001"
BITCAIN_ID: Final = "6f0b7a52-9c1e-4d1b-8f6a-2a4f1d1a7c10"


def nothing(sim: Simulator) -> None:
    """The venue as it starts."""


def on_bitso(sim: Simulator) -> None:
    """One order that rests, a part of it filled."""
    sim.bitso.put(oid=BITSO_OID, origin_id="mine-1", price="560000", quantity="0.01", filled_quantity="0.004")


def on_bitcain(sim: Simulator) -> None:
    """One order that rests."""
    sim.bitcain.put(id=BITCAIN_ID, client_order_id="mine-1", quantity="0.5", price="60000")


def buy(**changes: Any) -> OrderRequest:
    """A small buy on Bitso with a client id of its own, since cassettes match the whole body."""
    plain = {"symbol": "BTC/MXN", "side": "buy", "type": "limit", "quantity": "0.01", "price": "560000"}
    return OrderRequest(**{**plain, "client_order_id": "cassette-1", **changes})


def buy_usdt(**changes: Any) -> OrderRequest:
    """The same on Bitcain."""
    plain = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "quantity": "0.01", "price": "30000"}
    return OrderRequest(**{**plain, "client_order_id": "cassette-1", **changes})


@scenario("bitso", "submit__limit_market_and_stop", nothing, markets=None)
async def submit(gateway: OrderGateway) -> None:
    """A limit order, a market order sized in quote, and a stop-limit; each answered with an oid."""
    orders = [
        await gateway.submit(buy()),
        await gateway.submit(
            OrderRequest.market(symbol="BTC/MXN", side="buy", quote_quantity="500", client_order_id="cassette-2")
        ),
        await gateway.submit(
            OrderRequest.stop_limit(
                symbol="BTC/MXN",
                side="sell",
                quantity="0.01",
                price="990000",
                stop_price="1000000",
                client_order_id="cassette-3",
            )
        ),
    ]

    assert all(order.status is OrderStatus.ACCEPTED and order.order_id for order in orders)


@scenario("bitso", "submit__refused_by_rule", nothing, markets=None)
async def refused_by_rule(gateway: OrderGateway) -> None:
    """An unknown book and a price off the tick are refused with their codes."""
    with pytest.raises(InvalidOrder) as book:
        await gateway.submit(buy(symbol="NO/SUCH"))
    with pytest.raises(InvalidOrder) as tick:
        await gateway.submit(buy(price="560001"))

    assert (book.value.code, tick.value.code) == ("0301", "0407")


@scenario("bitso", "submit__funds_and_duplicate", nothing, markets=None)
async def funds_and_duplicate(gateway: OrderGateway) -> None:
    """A lack of funds and a client id in use are told apart."""
    await gateway.submit(buy())
    with pytest.raises(DuplicateClientOrderId):
        await gateway.submit(buy())
    for number in range(5):
        await gateway.submit(buy(quantity="350", price="570000", client_order_id=f"large-{number}"))
    with pytest.raises(InsufficientFunds):
        await gateway.submit(buy(quantity="350", price="570000", client_order_id="large-5"))


@scenario(
    "bitso",
    "submit__throttled",
    lambda sim: sim.bitso.fault("throttle", operation="place"),
    markets=None,
)
async def throttled(gateway: OrderGateway) -> None:
    """A 420 leaves the outcome unknown."""
    with pytest.raises(OutcomeUnknown) as unknown:
        await gateway.submit(buy())

    assert isinstance(unknown.value.__cause__, RateLimited)


@scenario("bitso", "cancel__resting_and_unknown", on_bitso)
async def cancel(gateway: OrderGateway) -> None:
    """A cancel lists the oid; an unknown id is not found."""
    order = await gateway.cancel(f"bitso:{BITSO_OID}")
    with pytest.raises(OrderNotFound):
        await gateway.cancel("bitso:nosuchorder00001")

    assert (order.status, order.filled_quantity) == (OrderStatus.CANCELLED, Decimal("0.004"))


@scenario("bitso", "cancel__all", on_bitso)
async def cancel_all(gateway: OrderGateway) -> None:
    """All of the account, and then nothing more."""
    first, second = await gateway.cancel_all(), await gateway.cancel_all(symbol="BTC/MXN")

    assert [order.status for order in first] == [OrderStatus.CANCELLED]
    assert second == []


@scenario("bitso", "edit__modify_in_place", on_bitso)
async def edit(gateway: OrderGateway) -> None:
    """v4 modify keeps the oid and changes total and price."""
    order = await gateway.edit(f"bitso:{BITSO_OID}", OrderEdit(quantity="0.02", price="570000"))

    assert (order.order_id, order.quantity) == (BITSO_OID, Decimal("0.02"))


@scenario("bitso", "markets__books_catalogue_and_fees", nothing)
async def markets(gateway: OrderGateway) -> None:
    """Rules come from the books, the catalogue and the account's fees; public calls are slow to repeat."""
    market = (await gateway.markets())["BTC/MXN"]  # type: ignore[index]

    assert (market.price_tick, market.quantity_step) == (Decimal(10), Decimal("0.00000001"))
    assert market.maker_fee is not None


@scenario("bitcain", "submit__limit_paper", nothing)
async def bitcain_submit(gateway: OrderGateway) -> None:
    """An order is created with its mode and exchange said, and comes back whole."""
    order = await gateway.submit(buy_usdt())

    assert (order.status, order.paper, order.client_order_id) == (OrderStatus.OPEN, True, "cassette-1")


@scenario("bitcain", "submit__refused", nothing)
async def bitcain_refused(gateway: OrderGateway) -> None:
    """An order that the account cannot pay is a rejection with Bitcain's words."""
    with pytest.raises(OrderRejected):
        await gateway.submit(buy_usdt(quantity="900000"))


@scenario("bitcain", "submit__bad_token", nothing, token="not-the-token")
async def bitcain_bad_token(gateway: OrderGateway) -> None:
    """A refused token places nothing."""
    with pytest.raises(AuthenticationFailed):
        await gateway.submit(buy_usdt())


@scenario("bitcain", "submit__throttled", lambda sim: sim.bitcain.fault("throttle", operation="place"))
async def bitcain_throttled(gateway: OrderGateway) -> None:
    """A 429 leaves the outcome unknown."""
    with pytest.raises(OutcomeUnknown):
        await gateway.submit(buy_usdt())


@scenario("bitcain", "cancel__resting", on_bitcain)
async def bitcain_cancel(gateway: OrderGateway) -> None:
    """A cancel is followed by reading the order, which tells that it ended."""
    order = await gateway.cancel(f"bitcain:{BITCAIN_ID}")

    assert order.status is OrderStatus.CANCELLED


@scenario(
    "bitcain",
    "cancel__acknowledged_only",
    lambda sim: (setattr(sim.bitcain.settings, "cancel_answer", "acknowledgement"), on_bitcain(sim)),
)
async def bitcain_cancel_acknowledged(gateway: OrderGateway) -> None:
    """An acknowledgement alone concludes nothing: the order is read again."""
    order = await gateway.cancel(f"bitcain:{BITCAIN_ID}")

    assert order.status is OrderStatus.CANCELLED


@scenario("bitcain", "edit__quantity_and_too_late", on_bitcain)
async def bitcain_edit(gateway: OrderGateway) -> None:
    """A change in place; on an order that has ended it is not active."""
    order = await gateway.edit(f"bitcain:{BITCAIN_ID}", OrderEdit(quantity="0.6"))
    await gateway.cancel(order)
    with pytest.raises(OrderNotActive):
        await gateway.edit(f"bitcain:{BITCAIN_ID}", OrderEdit(quantity="0.7"))

    assert order.quantity == Decimal("0.6")


@scenario("bitcain", "retry__failed_order", lambda sim: sim.bitcain.put(id=BITCAIN_ID, status="failed"))
async def bitcain_retry(gateway: Any) -> None:
    """A failed order is retried as an act of its own."""
    order = await gateway.retry_failed(f"bitcain:{BITCAIN_ID}")

    assert order.may_be_live


@scenario("bitcain", "cancel__all_paper", on_bitcain, retries=ONCE)
async def bitcain_cancel_all(gateway: OrderGateway) -> None:
    """Every open paper order is cancelled, one by one."""
    orders = await gateway.cancel_all()

    assert [order.status for order in orders] == [OrderStatus.CANCELLED]
