"""`create_orders`: one placement per order, each with its own verdict (case 30 of the failure cases of placing)."""

import asyncio
import gc
from typing import Any

import pytest

from orderbridge.ccxt import bridges
from orderbridge.simulator import Simulator
from tests.ccxt.conftest import ccxt_settings

pytestmark = pytest.mark.ccxt

PLACE = "POST /api/v3/orders"


def batch(*prices: int) -> list[dict[str, Any]]:
    """Limit buys at these prices."""
    return [{"symbol": "BTC/MXN", "type": "limit", "side": "buy", "amount": 0.01, "price": price} for price in prices]


async def test_case_30_a_batch_whose_every_answer_is_lost_is_resolved_order_by_order(
    sim: Simulator, exchange: Any
) -> None:
    """All answers lost at once: each order has its own placement, is found by its own id, and is sent once."""
    sim.bitso.fault("accept_then_drop", operation="place")

    orders = await exchange.create_orders(batch(560000, 570000, 580000))

    placements = await exchange._bridge.placements()
    assert [order["price"] for order in orders] == [560000.0, 570000.0, 580000.0]
    assert [order["status"] for order in orders] == ["open"] * 3
    assert {order["id"] for order in orders} == {each.oid for each in sim.bitso.accepted()}
    assert len({placement.client_order_id for placement in placements}) == 3
    assert sim.bitso.requests[PLACE] == 3


async def test_case_30_a_whole_failure_is_unclear_for_each_and_told_of_each(sim: Simulator, exchange_of: Any) -> None:
    """
    Nothing can be found out of any: no exception hides the others, and the same batch again sends nothing.

    Once they show, each create is answered by one of them.
    """
    exchange = exchange_of(horizon=60.0, resolve_for=0.2)
    await exchange._gateway.markets()
    sim.bitso.fault("drop", operation="place")

    orders = await exchange.create_orders(batch(560000, 570000))
    sim.bitso.clear_faults()
    again = await exchange.create_orders(batch(560000, 570000))

    assert [order["info"]["error"] for order in orders + again] == ["OrderOutcomeUnknown"] * 4
    open_ids = {placement.client_order_id for placement in await exchange._bridge.placements(state="uncertain")}
    assert {order["info"]["clientOrderId"] for order in orders} == open_ids
    assert [(order["id"], order["status"]) for order in orders + again] == [(None, None)] * 4
    assert [order["price"] for order in orders] == [560000.0, 570000.0]
    assert sim.bitso.requests[PLACE] == 2

    for placement in await exchange._bridge.placements(state="uncertain"):
        price = placement.request.price
        sim.bitso.put(origin_id=placement.client_order_id, status="open", quantity="0.01", price=price)
    exchange._creates.resolve_for = 10
    answered = await exchange.create_orders(batch(560000, 570000))

    assert {order["price"] for order in answered} == {560000.0, 570000.0}
    assert {order["id"] for order in answered} == {each.oid for each in sim.bitso.accepted()}
    assert sim.bitso.requests[PLACE] == 2


async def test_an_edit_that_fails_hides_no_successor_of_another(sim: Simulator, exchange: Any) -> None:
    """Each has its own verdict, with the id that it has now; one that is no order has nothing changed."""
    import ccxt

    stays, ended = await exchange.create_orders(batch(560000, 570000))
    sim.bitso.market("btc_mxn").fill(ended["id"], quantity="0.01")
    asked = [
        {"id": each["id"], "symbol": "BTC/MXN", "type": "limit", "side": "buy", "amount": 0.02, "price": 550000}
        for each in (ended, stays)
    ]

    refused, edited = await exchange.edit_orders(asked)

    assert (edited["amount"], edited["price"], edited["status"]) == (0.02, 550000.0, "open")
    assert [edited["id"]] == [each.oid for each in sim.bitso.accepted() if each.active]
    assert (refused["id"], refused["symbol"], refused["status"]) == (ended["id"], "BTC/MXN", None)
    assert refused["info"]["error"] == "InvalidOrder"
    for wrong in ({**asked[1], "oid": "7"}, "7"):
        with pytest.raises(ccxt.BadRequest, match="an order is a dict of id, symbol, "):
            await exchange.edit_orders([{**asked[1], "price": 540000}, wrong])
    assert [each.price for each in sim.bitso.accepted() if each.active] == [550000]


async def test_one_that_fails_is_told_beside_the_others(sim: Simulator, exchange: Any) -> None:
    """Refused, never arrived, placed: each stands in its place, and says by ccxt's names what became of it."""
    sim.bitso.fault("drop", operation="place", nth=3)
    sim.bitso.engine.accounts.deposit("bot", "usd", -sim.bitso.balances["usd"].total)
    asked = [
        *batch(560000),
        {"symbol": "BTC/USD", "type": "limit", "side": "buy", "amount": 0.01, "price": 60000},
        {**batch(580000)[0], "params": {"clientOrderId": "third"}},
    ]

    placed, refused, lost = await exchange.create_orders(asked)

    assert (placed["status"], placed["price"]) == ("open", 560000.0)
    assert (refused["status"], refused["info"]["error"]) == ("rejected", "InsufficientFunds")
    assert (refused["id"], refused["symbol"], refused["amount"]) == (None, "BTC/USD", 0.01)
    assert (lost["status"], lost["info"]["error"]) == ("rejected", "OrderNotPlaced")
    assert lost["clientOrderId"] == "third"
    assert set(refused) == set(lost) == set(placed)
    assert [each.oid for each in sim.bitso.accepted()] == [placed["id"]]


async def test_a_venue_that_is_down_is_told_of_each_and_nothing_was_sent(
    sim: Simulator, exchange_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole batch may be repeated once the venue is up, and is placed once."""
    monkeypatch.setattr("orderbridge.ccxt.stray._SEND_WITHIN", 0.3)
    exchange = exchange_of()
    await exchange._gateway.markets()
    await sim.bitso.stop()

    down = await exchange.create_orders(batch(560000, 570000))
    await sim.bitso.start()
    up = await exchange.create_orders(batch(560000, 570000))

    assert [(order["status"], order["info"]["error"]) for order in down] == [("rejected", "ExchangeNotAvailable")] * 2
    assert {order["id"] for order in up} == {each.oid for each in sim.bitso.accepted()}
    assert len(sim.bitso.accepted()) == 2


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"params": {"trailingAmount": 1}}, "NotSupported"),
        ({"amount": -1}, "InvalidOrder"),
        ({"symbol": "BTC/XXX"}, "BadSymbol"),
        ({"volume": 3}, "BadRequest"),
    ],
)
async def test_what_is_wrong_with_one_is_said_before_any_is_sent(
    sim: Simulator, exchange: Any, wrong: dict[str, Any], why: str
) -> None:
    """A batch is read whole before its first order leaves."""
    import ccxt

    with pytest.raises(getattr(ccxt, why)):
        await exchange.create_orders([*batch(560000), {**batch(570000)[0], **wrong}])

    assert sim.bitso.requests[PLACE] == 0


async def test_params_of_the_batch_are_for_each(sim: Simulator) -> None:
    """What is told once for all goes into every order, and what one says itself goes before it."""
    import orderbridge.ccxt.async_support as ccxt

    first, second = batch(560000, 570000)
    client = ccxt.bitso(ccxt_settings(sim))

    await client.create_orders([first, {**second, "params": {"postOnly": False}}], {"postOnly": True})

    assert [order.post_only for order in sim.bitso.accepted()] == [True, False]
    await client.close()
    await asyncio.to_thread(bridges.close_all)


@pytest.mark.parametrize("orders", [None, "BTC/MXN", {"symbol": "BTC/MXN"}, [None], ["x"]])
async def test_a_batch_is_a_list_of_dicts(exchange: Any, orders: Any) -> None:
    """Anything else is refused by ccxt's exceptions."""
    import ccxt

    with pytest.raises((ccxt.ArgumentsRequired, ccxt.BadRequest)):
        await exchange.create_orders(orders)


async def test_a_wrong_one_among_several_is_said_before_any_is_cancelled(sim: Simulator, exchange: Any) -> None:
    """A row without any id is refused, the rows before it are not cancelled, and nothing of them is left begun."""
    import ccxt

    order = await exchange.create_order("BTC/MXN", "limit", "buy", 0.01, 560000)

    with pytest.raises(ccxt.ArgumentsRequired):
        await exchange.cancel_orders_for_symbols([{"id": order["id"], "symbol": "BTC/MXN"}, {"symbol": "BTC/MXN"}])
    gc.collect()

    assert (await exchange.fetch_order(order["id"]))["status"] == "open"
