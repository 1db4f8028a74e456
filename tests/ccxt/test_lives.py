"""One order's life at exchanges of which no case was recorded: created, looked up, listed and cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest

from orderbridge import Order, OrderRequest
from orderbridge.model.basics import OrderStatus
from tests.adapters.ccxt_any.captured import SYMBOL, exchange_of
from tests.adapters.ccxt_any.stubbed import stubbed
from tests.adapters.ccxt_any.test_exchanges import traits_of
from tests.ccxt.test_rows import row_of, told

pytestmark = pytest.mark.ccxt
UUID: Final = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
DIGEST: Final = "0x" + "4d" * 32
HERE: Final = "1767607200123"
# Reads that are asked by POST; and lists of orders that wait for a price, of which there are none.
READS: Final = re.compile(r"/get_|query$")
APART: Final = re.compile(r"trigger|waiting", re.IGNORECASE)
# What is asked before an order.
ASKED_BEFORE: Final = {
    "account/accounts": {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]},
    "type=contracts": {"status": "success", "data": {"chain_id": "57073", "endpoint_addr": "0x" + "11" * 20}},
}


@dataclass(frozen=True)
class Life:
    """
    An order to buy 2 at 40000, of which 0.5 is filled until it is cancelled.

    Attributes:
        created, cancelled: the answers to the two writes. shown: its row, by whether it was cancelled.
        looked_up, listed: how the answer to a look-up and to a list of open orders hold rows.
        lists: a part of the address or body by which a list is told from a look-up; empty where ccxt has no list.
        expected: what is told besides.
    """

    id: str
    created: Any
    cancelled: Any
    shown: Callable[[bool], dict[str, Any]]
    looked_up: Callable[[Any], Any] = lambda row: row
    listed: Callable[[list[Any]], Any] = lambda rows: rows
    lists: str = "orders"
    expected: str = "filled_quantity=0.5"


def bithumb(gone: bool) -> dict[str, Any]:
    row = f"uuid=C0101000000001234567 side=bid ord_type=limit price=40000 state={'cancel' if gone else 'wait'}"
    return row_of(f"{row} market=BTCUSDT created_at=2026-01-05T19:00:00+09:00 volume=2 remaining_volume=1.5"
                  " executed_volume=0.5 executed_funds=19999")  # fmt: skip


def pacifica(gone: bool) -> dict[str, Any]:
    status = "cancelled" if gone else "partially_filled"
    row = "history_id=77 order_id=315979358 symbol=BTCUSDT side=bid initial_price=40000 price=39998 amount=2"
    return row_of(f"{row} filled_amount=0.5 cancelled_amount={'1.5' if gone else '0'} order_type=limit"
                  f" order_status={status} event_type=fulfill_limit reduce_only=false created_at={HERE}"
                  " average_filled_price=39998")  # fmt: skip


def nado(gone: bool) -> dict[str, Any]:
    if gone:
        return {}  # it shows what is live
    row = "product_id=10107 price_x18=40000000000000000000000 amount=2000000000000000000 order_type=default"
    return row_of(f"{row} unfilled_amount=1500000000000000000 digest={DIGEST} placed_at=1767607200 appendix=1")


def tokocrypto(gone: bool) -> dict[str, Any]:
    row = "orderId=145264846 clientId=mine1 symbol=BTCUSDT side=0 type=1 price=40000 origQty=2 origQuoteQty=80000"
    return row_of(f"{row} executedQty=0.5 executedPrice=39998 executedQuoteQty=19999 stopPrice=0"
                  f" status={3 if gone else 1} createTime={HERE}")  # fmt: skip


def derive(gone: bool) -> dict[str, Any]:
    row = f"order_id={UUID} instrument_name=BTCUSDT direction=buy amount=2 average_price=39998 filled_amount=0.5"
    return row_of(f"{row} limit_price=40000 order_status={'cancelled' if gone else 'open'} order_type=limit"
                  f" time_in_force=gtc creation_timestamp={HERE} last_update_timestamp={HERE}")  # fmt: skip


def hyperliquid(gone: bool) -> dict[str, Any]:
    row = (
        f"coin=BTC/USDT limitPx=40000.0 oid=5063830287 origSz=2 sz=1.5 side=B orderType=Limit tif=Gtc timestamp={HERE}"
    )
    return {"order": row_of(f"{row} isTrigger=false reduceOnly=false"), "status": "scheduledCancel" if gone else "open"}


def backpack(gone: bool) -> dict[str, Any]:
    status = "Cancelled" if gone else "PartiallyFilled"
    row = "id=4228978331 symbol=BTCUSDT side=Bid orderType=Limit price=40000 quantity=2 executedQuantity=0.5"
    return row_of(f"{row} executedQuoteQuantity=19999 status={status} timeInForce=GTC postOnly=false createdAt={HERE}")


def bitflyer(gone: bool) -> dict[str, Any]:
    row = "child_order_acceptance_id=JRF20260105-100000-000001 product_code=BTCUSDT side=BUY child_order_type=LIMIT"
    return row_of(f"{row} price=40000 average_price=39998 size=2 executed_size=0.5 child_order_date=2026-01-05T10:00:00"
                  f" child_order_state={'CANCELED' if gone else 'ACTIVE'}"
                  f" outstanding_size={'0' if gone else '1.5'} cancel_size={'1.5' if gone else '0'}")  # fmt: skip


def bittrade(gone: bool) -> dict[str, Any]:
    row = "id=59378 symbol=BTCUSDT type=buy-limit amount=2 price=40000 field-amount=0.5 field-cash-amount=19999"
    state = "partial-canceled" if gone else "partial-filled"
    return row_of(f"{row} created-at={HERE} state={state} client-order-id=mine1")


def zebpay(gone: bool) -> dict[str, Any]:
    row = "orderId=64507d02921f1c0001ff6892 symbol=BTCUSDT type=limit timeInForce=GTC side=buy price=40000 amount=2"
    return row_of(f"{row} filled=0.5 remaining=1.5 timestamp={HERE} status={'canceled' if gone else 'open'}")


def in_data(row: Any) -> Any:
    return {"status": "ok", "success": True, "data": row}


def in_code(row: Any) -> Any:
    return {"code": 0, "msg": "", "data": row}


def in_status(row: Any) -> Any:
    return {"statusCode": 200, "statusDescription": "Success", "data": row}


def in_result(row: Any) -> Any:
    return {"id": "1", "result": row}


NO_ORDER: Final = {
    "status": "failure",
    "error": "Order with the provided digest could not be found",
    "error_code": 2020,
}

LIVES: Final[Mapping[str, Life]] = {
    "bithumb": Life(
        "C0101000000001234567",
        row_of("order_id=C0101000000001234567 market=BTCUSDT side=bid order_type=limit"),
        row_of("order_id=C0101000000001234567 created_at=2026-01-05T19:00:00+09:00"),
        bithumb,
        expected="filled_quantity=0.5 filled_quote_quantity=19999",
    ),
    "pacifica": Life(
        "315979358",
        in_data({"order_id": 315979358}),
        in_data(None),
        pacifica,
        looked_up=lambda row: in_data([row]),
        listed=in_data,
        lists="orders?",
        expected="filled_quantity=0.5 average_price=39998",
    ),
    "nado": Life(
        DIGEST,
        {"status": "success", "data": {"digest": DIGEST}, "request_type": "execute_place_order"},
        {"status": "success", "data": {"cancelled_orders": [nado(gone=False)]}},
        nado,
        looked_up=lambda row: {"status": "success", "data": row} if row else NO_ORDER,
        listed=lambda rows: {"status": "success", "data": {"orders": rows}},
        lists="_orders",
    ),
    "tokocrypto": Life(
        "145264846",
        in_code(row_of("orderId=145264846 clientId=mine1 symbol=BTCUSDT side=0 type=1 status=0 createTime=0")),
        in_code(tokocrypto(gone=True)),
        tokocrypto,
        looked_up=lambda row: in_code({"list": [row]}),
        listed=lambda rows: in_code({"list": rows}),
        expected="filled_quantity=0.5 filled_quote_quantity=19999",
    ),
    "derive": Life(
        UUID,
        in_result({"order": derive(gone=False) | {"filled_amount": "0"}, "trades": []}),
        in_result(derive(gone=True)),
        derive,
        looked_up=in_result,
        listed=lambda rows: in_result({"orders": rows, "pagination": {"num_pages": 1, "count": len(rows)}}),
        lists="_orders",
        expected="filled_quantity=0.5 average_price=39998",
    ),
    "hyperliquid": Life(
        "5063830287",
        {"status": "ok", "response": {"type": "order", "data": {"statuses": [{"resting": {"oid": 5063830287}}]}}},
        {"status": "ok", "response": {"type": "cancel", "data": {"statuses": ["success"]}}},
        hyperliquid,
        looked_up=lambda row: {"order": row, "status": "order"},
        listed=lambda rows: [row["order"] for row in rows],
        lists="penOrders",
    ),
    "backpack": Life(
        "4228978331",
        backpack(gone=False) | {"executedQuantity": "0", "executedQuoteQuantity": "0", "status": "New"},
        backpack(gone=True),
        backpack,
        looked_up=lambda row: [row],
        expected="filled_quantity=0.5 filled_quote_quantity=19999",
    ),
    "bitflyer": Life(
        "JRF20260105-100000-000001",
        {"child_order_acceptance_id": "JRF20260105-100000-000001"},
        {},
        bitflyer,
        looked_up=lambda row: [row],
        lists="",
        expected="filled_quantity=0.5 average_price=39998",
    ),
    "bittrade": Life(
        "59378",
        {"status": "ok", "data": "59378"},
        {"status": "ok", "data": "59378"},
        bittrade,
        looked_up=in_data,
        listed=in_data,
        lists="states",
        expected="filled_quantity=0.5 filled_quote_quantity=19999",
    ),
    "zebpay": Life(
        "64507d02921f1c0001ff6892",
        in_status({"orderId": "64507d02921f1c0001ff6892", "clientOrderId": "mine1"}),
        in_status({"orderId": "64507d02921f1c0001ff6892", "status": "canceled"}),
        zebpay,
        looked_up=in_status,
        listed=lambda rows: in_status({"items": rows}),
    ),
}


class Venue:
    """An exchange with that one order."""

    def __init__(self, name: str) -> None:
        self.life, self.name, self.is_gone, self.writes = LIVES[name], name, False, 0

    def __call__(self, url: str, method: str, headers: Any, body: Any) -> tuple[int, Any]:
        asked, path = f"{url} {body if isinstance(body, str) else ''}", url.partition("?")[0]
        if (before := next((value for part, value in ASKED_BEFORE.items() if part in url), None)) is not None:
            return 200, before
        if traits_of(self.name).writes(method, path) and READS.search(path) is None:
            is_cancel = method == "DELETE" or "cancel" in asked.lower()
            self.writes += 1
            self.is_gone = self.is_gone or is_cancel
            return 200, self.life.cancelled if is_cancel else self.life.created
        row = self.life.shown(self.is_gone)
        if self.life.lists and self.life.lists in asked and self.life.id not in asked:
            return 200, self.life.listed([] if self.is_gone or APART.search(asked) else [row])
        return 200, self.life.looked_up(row)


@pytest.mark.parametrize("name", LIVES)
async def test_the_life_of_an_order(name: str) -> None:
    """What was asked for is its size and price, what its rows state is filled, and it is over once they say so."""
    venue = Venue(name)
    id = "mine1" if traits_of(name).client_ids else None
    buy = OrderRequest.limit(symbol=SYMBOL, side="buy", quantity="2", price="40000", client_order_id=id)
    async with stubbed(name, venue, exchange=exchange_of(name)) as known:
        created = await known.gateway.submit(buy)
        found = (await known.gateway.lookup(created))[created].order
        listed = await known.gateway.open_orders(symbol=SYMBOL) if venue.life.lists else [found]
        ended = await known.gateway.cancel(created)

    # How an order ended that is shown no more, nobody says.
    is_shown = bool(venue.life.shown(True)) and traits_of(name).fetch_order
    assert (created.order_id, created.quantity, created.price) == (venue.life.id, 2, 40000)
    assert created.status in {OrderStatus.ACCEPTED, OrderStatus.OPEN}
    assert (created.filled_quantity or 0) == 0
    for order in (found, *listed, *([ended] if is_shown else [])):
        assert isinstance(order, Order)
        assert told(order, f"quantity=2 price=40000 type=limit {venue.life.expected}") == {}
        assert (order.order_id, order.anomalies) == (venue.life.id, ())
    assert [order and order.status for order in (found, *listed)] == ["partially_filled"] * 2
    assert ended.status is OrderStatus.CANCELLED if is_shown else ended.cancel_requested
    assert venue.writes == 2
