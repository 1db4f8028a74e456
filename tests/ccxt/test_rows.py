"""Rows as exchanges send them, through ccxt's own parsers: what each says of its order, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pytest

from orderbridge import Order, OrderRequest
from orderbridge.adapters.ccxt_any.mapping import fill_from_row
from orderbridge.adapters.ccxt_any.rows import RULES
from orderbridge.errors import OutcomeUnknown, UnexpectedResponse
from tests.adapters.ccxt_any.stubbed import stubbed

pytestmark = pytest.mark.ccxt

ID: Final = "4711000001"
WORDS: Final[dict[str, Any]] = {"null": None, "true": True, "false": False, "''": ""}


def row_of(text: str) -> dict[str, Any]:
    """Fields as `name=value`; amounts stay text, as most exchanges send them."""
    pairs = (pair.partition("=") for pair in text.split())
    return {name: WORDS.get(value, value) for name, _, value in pairs}


def bare(row: Any) -> Any:
    return row


def in_data(row: Any) -> Any:
    return {"code": "0", "msg": "", "data": row}


def in_list(row: Any) -> Any:
    return {"code": 0, "msg": "", "data": [row]}


def in_result(row: Any) -> Any:
    return {"retCode": 0, "retMsg": "OK", "rc": "0", "ok": True, "success": True, "result": row}


def in_result_list(row: Any) -> Any:
    # Bybit is asked for the kind of account first.
    return in_result({"list": [row], "uta": 1, "unifiedMarginStatus": 5})


@dataclass(frozen=True)
class Exchange:
    """A row of an exchange's order, and how its answers hold one. `market` is what ccxt says of its market besides."""

    row: Any
    wrap: Callable[[Any], Any] = bare
    id: str = ID
    market: dict[str, Any] = field(default_factory=dict)
    secret: str = "c2VjcmV0LXZhbHVlLWxvbmctZW5vdWdo"


def of_kraken(text: str) -> Any:
    """Kraken's answer holds a row by its id, and in it a description."""
    row = row_of(text)
    names = {"pair": "BTCUSDT", "type": "buy", "ordertype": row.pop("ordertype"), "price": row.pop("limit")}
    return {
        "error": [],
        "result": {KRAKEN_ID: {**row, "descr": {**names, "price2": row.pop("price2", "0"), "order": ""}}},
    }


KRAKEN_ID: Final = "OABCDE-FGHIJ-KLMNOP"
KRAKEN: Final = (
    "userref=0 status=closed opentm=1767607200.123 ordertype=market limit=0 vol=0.00200000 vol_exec=0.00200000"
    " cost=99.50000 price=49750.0 oflags=fciq"
)
# A market buy for 100 of the quote, of which 99.5 bought 0.002: with the row of each exchange that has such orders.
BOUGHT: Final = {
    "alpaca": Exchange(
        f"id={ID} client_order_id=mine-1 symbol=BTCUSDT status=filled order_type=market side=buy qty=null notional=100"
        " filled_qty=0.002 filled_avg_price=49750 time_in_force=gtc submitted_at=2026-01-05T10:00:00.123Z"
    ),
    "binance": Exchange(
        f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT status=FILLED type=MARKET side=BUY origQty=0.00200000"
        " origQuoteOrderQty=100.00000000 executedQty=0.00200000 cummulativeQuoteQty=99.50000000 price=0.00000000"
        " timeInForce=GTC time=1767607200123"
    ),
    "bingx": Exchange(
        f"orderId={ID} clientOrderID=mine-1 symbol=BTCUSDT status=FILLED type=MARKET side=BUY origQty=0"
        " origQuoteOrderQty=100 executedQty=0.002 cummulativeQuoteQty=99.5 price=49760 time=1767607200123",
        in_data,
    ),
    "bitget": Exchange(
        f"orderId={ID} clientOid=mine-1 symbol=BTCUSDT status=filled orderType=market side=buy size=100.00 price=0"
        " priceAvg=49750.00 baseVolume=0.0020 quoteVolume=99.50 cTime=1767607200123",
        lambda row: {"code": "00000", "msg": "success", "data": [row]},
    ),
    "bybit": Exchange(
        f"orderId={ID} orderLinkId=mine-1 symbol=BTCUSDT orderStatus=Filled orderType=Market side=Buy qty=100.00"
        " marketUnit=quoteCoin price=0 avgPrice=49750 cumExecQty=0.002 cumExecValue=99.5 leavesQty=0.000"
        " timeInForce=IOC createdTime=1767607200123",
        in_result_list,
    ),
    "coinbase": Exchange(
        {
            **row_of(
                f"order_id={ID} client_order_id=mine-1 product_id=BTCUSDT side=BUY status=FILLED order_type=MARKET"
                " filled_size=0.002 average_filled_price=49750 filled_value=99.5 created_time=2026-01-05T10:00:00.123Z"
            ),
            "order_configuration": {"market_market_ioc": {"quote_size": "100"}},
        },
        lambda row: {"order": row},
    ),
    "coinbaseexchange": Exchange(
        f"id={ID} client_oid=mine-1 product_id=BTCUSDT side=buy status=done done_reason=filled type=market funds=100"
        " specified_funds=100.5 filled_size=0.002 executed_value=99.5 created_at=2026-01-05T10:00:00.123Z"
    ),
    "coinsph": Exchange(
        f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT status=FILLED type=MARKET side=BUY origQty=0"
        " origQuoteOrderQty=100 executedQty=0.002 cummulativeQuoteQty=99.5 price=0 time=1767607200123"
    ),
    "gate": Exchange(
        f"id={ID} text=t-mine-1 currency_pair=BTCUSDT status=closed finish_as=filled type=market account=spot side=buy"
        " amount=100 price=0 time_in_force=ioc left=0.5 filled_amount=0.002 filled_total=99.5 avg_deal_price=49750.1"
        " create_time_ms=1767607200123"
    ),
    "hashkey": Exchange(
        f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT status=FILLED type=MARKET side=BUY origQty=0 reqAmount=100"
        " executedQty=0.002 cumulativeQuoteQty=99.5 avgPrice=49750 price=0 timeInForce=IOC time=1767607200123"
    ),
    "htx": Exchange(
        f"id={ID} client-order-id=mine-1 symbol=BTCUSDT state=filled type=buy-market amount=100 price=0"
        " field-amount=0.002 field-cash-amount=99.5 created-at=1767607200123",
        lambda row: {"status": "ok", "data": row},
    ),
    "kucoin": Exchange(
        f"id={ID} clientOid=mine-1 symbol=BTCUSDT type=market side=buy size=0 funds=100 dealFunds=99.5 dealSize=0.002"
        " price=0 timeInForce=GTC isActive=false cancelExist=false status=done createdAt=1767607200123",
        lambda row: {"code": "200000", "data": row},
    ),
    "okx": Exchange(
        f"ordId={ID} clOrdId=mine-1 instId=BTCUSDT instType=SPOT state=filled ordType=market side=buy sz=100"
        " tgtCcy=quote_ccy accFillSz=0.002 avgPx=49750 px='' cTime=1767607200123",
        in_list,
    ),
    "phemex": Exchange(
        f"orderID={ID} clOrdID=mine-1 symbol=sBTCUSDT ordStatus=Filled ordType=Market side=Buy qtyType=ByQuote"
        " quoteQtyEv=10000000000 baseQtyEv=0 leavesBaseQtyEv=0 cumBaseValueEv=200000 cumQuoteValueEv=9950000000"
        " avgPriceEp=4975000000000 priceEp=5200000000000 stopPxEp=0 timeInForce=ImmediateOrCancel"
        " createTimeNs=1767607200123000000",
        in_list,
        market={"id": "sBTCUSDT", "priceScale": 8, "valueScale": 8, "ratioScale": 8},
    ),
    "poloniex": Exchange(
        f"id={ID} clientOrderId=mine-1 symbol=BTCUSDT state=FILLED type=MARKET side=BUY quantity=0 amount=100"
        " filledQuantity=0.002 filledAmount=99.5 avgPrice=49750 price=0 timeInForce=GTC createTime=1767607200123"
    ),
    "toobit": Exchange(
        f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT status=FILLED type=MARKET side=BUY origQty=100"
        " executedQty=0.002 cumulativeQuoteQty=99.5 avgPrice=49750 price=0 timeInForce=GTC time=1767607200123"
    ),
    "upbit": Exchange(
        f"uuid={ID} identifier=mine-1 market=BTCUSDT state=done side=bid ord_type=price price=100 volume=null"
        " remaining_volume=null executed_volume=0.002 executed_funds=99.5 created_at=2026-01-05T10:00:00Z"
    ),
    "woo": Exchange(
        f"orderId={ID} clientOrderId=0 symbol=BTCUSDT status=FILLED type=MARKET side=BUY quantity=null amount=100"
        " executed=0.002 averageExecutedPrice=49750 price=null createdTime=1767607200123",
        lambda row: {"success": True, "data": row},
    ),
    "xt": Exchange(
        f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT state=FILLED type=MARKET side=BUY origQty=null"
        " origQuoteQty=100 executedQty=0.002 leavingQty=null tradeQuote=99.5 avgPrice=49750 price=null"
        " timeInForce=FOK time=1767607200123",
        in_result,
    ),
}


async def shown(name: str, exchange: Exchange, changes: str = "") -> Order:
    """The order of a row with these changes, by the gateway."""
    row = row_of(exchange.row) if isinstance(exchange.row, str) else exchange.row
    answer = exchange.wrap({**row, **row_of(changes)} if changes else row)
    async with stubbed(name, lambda *_: (200, answer), market=exchange.market, secret=exchange.secret) as stub:
        return await stub.get(stub.ref(exchange.id))


def told(order: Order, expected: str) -> dict[str, str]:
    """The fields that are named, where they are otherwise than that; amounts are compared as such."""
    odd = {}
    for name, value in row_of(expected).items():
        found = getattr(order, name)
        if found != (Decimal(value) if isinstance(found, Decimal) and value is not None else value):
            odd[name] = f"{found!r}, not {value!r}"
    return odd


@pytest.mark.parametrize("name", BOUGHT)
async def test_a_market_buy_by_quote(name: str) -> None:
    """What was ordered is an amount of quote and no quantity; what was filled is of the base; it was filled."""
    order = await shown(name, BOUGHT[name])

    # KuCoin and Upbit have no word for filled that is not one for cancelled too.
    status = "ended" if name in {"kucoin", "upbit"} else "filled"
    expected = f"status={status} quantity=null quote_quantity=100 filled_quantity=0.002 price=null type=market"
    assert told(order, expected) == {}
    assert order.filled_quote_quantity in {None, Decimal("99.5")}
    assert order.average_price in {None, Decimal(49750), Decimal("49750.1")}
    assert (order.filled_quote_quantity, order.average_price) != (None, None)
    assert order.anomalies == ()
    assert order.client_order_id == (None if name == "woo" else "mine-1")


# The same orders with other fields, and other orders.
VARIED: Final = [
    ("binance", "origQuoteOrderQty=0.00000000", "quantity=0.002 quote_quantity=null filled_quote_quantity=99.5"),
    ("binance", "executedQty=null", "filled_quantity=null status=filled"),
    ("binance", "type=STOP_LOSS status=NEW executedQty=0 time=-1", "type=stop_loss status=open created_at=null"),
    ("binance", "type=LIMIT_MAKER status=NEW executedQty=0 price=40000", "type=limit post_only=true price=40000"),
    ("bingx", "origQuoteOrderQty=0 origQty=0.002", "quantity=0.002 quote_quantity=null"),
    ("bitget", "orderType=limit size=2 price=40000 status=live", "quantity=2 quote_quantity=null price=40000"),
    ("bitget", "side=sell size=0.0020", "quantity=0.002 quote_quantity=null"),
    ("bybit", "marketUnit=baseCoin qty=0.002", "quantity=0.002 quote_quantity=null filled_quantity=0.002"),
    ("bybit", "marketUnit=''", "quantity=null quote_quantity=null filled_quantity=0.002"),
    ("bybit", "orderStatus=PartiallyFilledCanceled", "status=cancelled quote_quantity=100"),
    (
        "bybit",
        "orderType=Limit marketUnit='' qty=0.005 price=40000 orderStatus=PartiallyFilledCanceled",
        "status=cancelled quantity=0.005 filled_quantity=0.002",
    ),
    ("gate", "text=apiv4", "client_order_id=null"),
    ("gate", "text=web", "client_order_id=null"),
    ("gate", "filled_amount=null", "filled_quantity=null filled_quote_quantity=99.5"),
    ("gate", "side=sell amount=0.002 left=0", "quantity=0.002 quote_quantity=null filled_quantity=0.002"),
    ("hashkey", "reqAmount=0 origQty=0.0021", "status=filled quantity=0.0021 filled_quantity=0.002"),
    ("htx", "type=sell-market amount=0.002", "quantity=0.002 quote_quantity=null status=filled"),
    ("htx", "state=partial-canceled", "status=cancelled quote_quantity=100 filled_quote_quantity=99.5"),
    ("htx", "type=buy-limit-maker state=submitted amount=2 price=40000", "type=limit price=40000 quantity=2"),
    *(
        ("htx", f"type={way} operator={rule} stop-price=41000 state=submitted amount=2 price=40000", f"type={kind}")
        for way, rule, kind in [
            ("buy-stop-limit", "gte", "stop_limit stop_price=41000 price=40000 quantity=2"),
            ("buy-stop-limit", "lte", "take_profit"),
            ("sell-stop-limit", "lte", "stop_limit side=sell"),
            ("sell-stop-limit", "gte", "take_profit"),
            ("sell-stop-limit", "null", "stop_limit"),
        ]
    ),
    ("kucoin", "funds=0 size=0.002", "quantity=0.002 quote_quantity=null status=filled"),
    ("okx", "tgtCcy=base_ccy sz=0.002", "quantity=0.002 quote_quantity=null filled_quote_quantity=null"),
    ("okx", "tgtCcy=''", "quantity=null quote_quantity=null filled_quantity=0.002"),
    ("phemex", "qtyType=ByBase baseQtyEv=200000 quoteQtyEv=0", "quantity=0.002 quote_quantity=null"),
    ("toobit", "side=SELL origQty=0.002", "quantity=0.002 quote_quantity=null"),
    ("woo", "quantity=0.002 amount=110", "quantity=0.002 quote_quantity=null"),
    ("xt", "origQty=0.002 origQuoteQty=null", "quantity=0.002 filled_quote_quantity=99.5"),
]


# Orders with a trigger, where the row says from which side it is reached.
TRIGGERED: Final = [
    (name, side, rule, kind)
    for name, rises, falls in [
        ("gate", ">=", "<="),
        ("kucoin", "entry", "loss"),
        ("bybit", "1", "2"),
        ("coinbase", "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"),
    ]
    for side, rule, kind in [
        ("buy", rises, "stop_limit"),
        ("buy", falls, "take_profit"),
        ("sell", falls, "stop_limit"),
        ("sell", rises, "take_profit"),
        ("sell", "neither", "unknown"),
    ]
]


def triggered(name: str, side: str, rule: str) -> Exchange:
    """A limit order of 2 at 40000 that waits for 41000."""
    wrap = BOUGHT[name].wrap
    if name == "gate":
        put = row_of(f"type=limit side={side} price=40000 amount=2 time_in_force=gtc text=apiv4")
        names = row_of(f"id={ID} market=BTCUSDT status=open ctime=1767607200")
        return Exchange({**names, "trigger": {"price": "41000", "rule": rule}, "put": put}, wrap)
    if name == "coinbase":
        names = row_of(f"order_id={ID} product_id=BTCUSDT side={side.upper()} status=OPEN order_type=STOP_LIMIT")
        stop = row_of(f"base_size=2 limit_price=40000 stop_price=41000 stop_direction={rule}")
        return Exchange({**names, "order_configuration": {"stop_limit_stop_limit_gtc": stop}}, wrap)
    rows = {
        "kucoin": f"id={ID} symbol=BTCUSDT type=limit side={side} size=2 price=40000 stop={rule} stopPrice=41000"
        " status=NEW createdAt=1767607200123",
        "bybit": f"orderId={ID} symbol=BTCUSDT orderStatus=Untriggered orderType=Limit side={side.title()} qty=2"
        f" price=40000 triggerPrice=41000 triggerDirection={rule} cumExecQty=0 createdTime=1767607200123",
    }
    return Exchange(rows[name], wrap)


@pytest.mark.parametrize(("name", "side", "rule", "kind"), TRIGGERED)
async def test_a_trigger_says_whether_it_stops_a_loss(name: str, side: str, rule: str, kind: str) -> None:
    """A price that a sale waits for from above, or a buy from below, is a stop; the other way it takes a profit."""
    order = await shown(name, triggered(name, side, rule))

    assert told(order, f"type={kind} stop_price=41000 price=40000 quantity=2 status=open") == {}


@pytest.mark.parametrize(("name", "changes", "expected"), VARIED)
async def test_the_same_order_otherwise(name: str, changes: str, expected: str) -> None:
    """Sized in base, of a unit that nobody told, cancelled, sold: each as its row says it."""
    assert told(await shown(name, BOUGHT[name], changes), expected) == {}


BITFINEX: Final = [int(ID), None, 12345, "tBTCUST", 1767607200123, 1767607201000, -0.5, -2, "EXCHANGE LIMIT"]
OTHERS: Final = [
    (
        "aster",
        Exchange(
            f"orderId={ID} clientOrderId=mine-1 symbol=BTCUSDT status=NEW type=TAKE_PROFIT_MARKET side=SELL price=0"
            " origQty=2 executedQty=0 cumQuote=0 avgPrice=0.000 stopPrice=70000 timeInForce=GTC time=1767607200123",
            secret="0x" + "11" * 32,
        ),
        "type=take_profit stop_price=70000 quantity=2 filled_quantity=0",
    ),
    (
        "bitfinex",
        Exchange(
            [*BITFINEX, None, None, None, 0, "ACTIVE", None, None, 40000, 40001, *[None] * 14],
            lambda row: [row],
            market={"id": "tBTCUST"},
        ),
        "side=sell quantity=2 filled_quantity=1.5 price=40000 client_order_id=12345",
    ),
    (
        "bitopro",
        Exchange(
            f"id={ID} pair=BTCUSDT action=BUY type=LIMIT status=0 originalAmount=2 remainingAmount=2 executedAmount=0"
            " price=40000 avgExecutionPrice=0 timeInForce=GTC createdTimestamp=1767607200"
        ),
        "status=open quantity=2 filled_quantity=0",
    ),
    (
        "bitteam",
        Exchange(
            f"id={ID} orderCid=mine-1 pair=BTCUSDT status=executed side=buy type=market quantity=2 executed=2"
            " price=40001 executedPrice=40000.5 createdAt=2026-01-05T10:00:00.123Z",
            in_result,
        ),
        "status=filled quantity=2 time_in_force=null post_only=null average_price=40000.5",
    ),
    (
        "bitvavo",
        Exchange(
            f"orderId={ID} clientOrderId=mine-1 market=BTCUSDT status=filled side=buy orderType=market amountQuote=100"
            " amountQuoteRemaining=0.5 filledAmount=0.002 filledAmountQuote=99.5 created=1767607200123"
        ),
        "client_order_id=mine-1 quote_quantity=100 quantity=null filled_quote_quantity=99.5",
    ),
    (
        "blockchaincom",
        Exchange(
            f"exOrdId={ID} clOrdId=mine-1 symbol=BTCUSDT ordStatus=FILLED ordType=MARKET side=BUY price=0.0"
            " cumQty=5E-3 leavesQty=0.0 avgPx=40000.5 timestamp=1767607200123"
        ),
        "status=filled quantity=null filled_quantity=0.005 average_price=40000.5",
    ),
    (
        "coinone",
        Exchange(
            f"orderId={ID} baseCurrency=BTC targetCurrency=USDT status=live side=bid type=LIMIT price=40000"
            " originalQty=2 remainQty=1.5 executedQty=0.5 timestamp=1767607200"
        ),
        "status=partially_filled quantity=2 filled_quantity=0.5 type=limit",
    ),
    (
        "deribit",
        Exchange(
            f"order_id={ID} instrument_name=BTCUSDT order_state=filled order_type=market direction=buy amount=2"
            " filled_amount=2 average_price=40000.5 price=41000 time_in_force=good_til_cancelled"
            " creation_timestamp=1767607200123",
            in_result,
        ),
        "status=filled quantity=2 filled_quote_quantity=null average_price=40000.5 price=null",
    ),
    (
        "foxbit",
        Exchange(
            f"id={ID} market_symbol=BTCUSDT state=FILLED side=SELL type=MARKET price=null price_avg=40000.5"
            " quantity=0.0 quantity_executed=2 created_at=2026-01-05T10:00:00.123Z"
        ),
        "status=filled quantity=2 filled_quantity=2 filled_quote_quantity=null average_price=40000.5",
    ),
    (
        "foxbit",
        Exchange(
            f"id={ID} market_symbol=BTCUSDT state=FILLED side=BUY type=LIMIT price=40000 price_avg=40000"
            " quantity=2 quantity_executed=2 created_at=2026-01-05T10:00:00.123Z"
        ),
        "status=filled quantity=null filled_quantity=2 filled_quote_quantity=null",
    ),
    (
        "gemini",
        Exchange(
            f"order_id={ID} symbol=BTCUSDT side=buy type=exchange_limit is_live=true is_cancelled=false price=40000"
            " original_amount=2 executed_amount=0.5 remaining_amount=1.5 timestampms=1767607200123",
            secret="account-key-of-a-test",
        ),
        "time_in_force=null quantity=2 filled_quantity=0.5",
    ),
    (
        "bitbank",
        Exchange(
            f"order_id={ID} pair=BTCUSDT side=buy type=market status=FULLY_FILLED start_amount=2 remaining_amount=0"
            " executed_amount=2 average_price=40000.5 ordered_at=1767607200123",
            lambda row: {"success": 1, "data": row},
        ),
        "status=filled quantity=2 filled_quantity=2 average_price=40000.5 filled_quote_quantity=null",
    ),
    (
        "cryptocom",
        Exchange(
            f"order_id={ID} client_oid=mine-1 instrument_name=BTCUSDT side=BUY order_type=MARKET status=FILLED"
            " quantity=2 cumulative_quantity=2 cumulative_value=80001 avg_price=40000.5 create_time=1767607200123",
            lambda row: {"code": 0, "result": row},
        ),
        "status=filled quantity=2 filled_quote_quantity=80001 average_price=40000.5 client_order_id=mine-1",
    ),
    *(
        (
            "cryptocom",
            Exchange(
                f"order_id={ID} instrument_name=BTCUSDT side=SELL order_type={word} status=ACTIVE quantity=2"
                f" limit_price={price} {trigger} cumulative_quantity=0 create_time=1767607200123",
                lambda row: {"code": 0, "result": row},
            ),
            f"type={kind} stop_price={stop} price={shown_price} status=open quantity=2",
        )
        for word, price, trigger, kind, stop, shown_price in [
            ("STOP_LIMIT", 40000, "ref_price=41000 trigger_price=0", "stop_limit", 41000, 40000),
            ("STOP_LOSS", 0, "ref_price=0 trigger_price=41000", "stop_loss", 41000, "null"),
            ("TAKE_PROFIT_LIMIT", 40000, "ref_price=41000", "take_profit", 41000, 40000),
            ("LIMIT", 40000, "ref_price=0 trigger_price=0", "limit", "null", 40000),
        ]
    ),
    (
        "hollaex",
        Exchange(
            f"id={ID} symbol=BTCUSDT side=buy type=limit status=new size=2 filled=0 price=40000 average=40000"
            " created_at=2026-01-05T10:00:00.123Z"
        ),
        "status=open quantity=2 filled_quantity=0 average_price=null price=40000",
    ),
    (
        "independentreserve",
        Exchange(
            f"OrderGuid={ID} PrimaryCurrencyCode=BTC SecondaryCurrencyCode=USDT Type=LimitBid Status=Open Price=40000"
            " VolumeOrdered=2 VolumeFilled=0.5 Outstanding=1.5 Value=80000 AvgPrice=39999.5"
            " CreatedTimestampUtc=2026-01-05T10:00:00.123Z"
        ),
        "status=partially_filled quantity=2 filled_quantity=0.5 filled_quote_quantity=null average_price=39999.5",
    ),
    (
        "indodax",
        Exchange(
            f"order_id={ID} type=buy price=40000 order_USDT=80000 remain_BTC=2 submit_time=1767607200",
            lambda row: {"success": 1, "return": {"order": row}},
        ),
        "status=unknown filled_quote_quantity=null",
    ),
    (
        "mexc",
        Exchange(
            f"orderId={ID} clientOrderId=null symbol=BTCUSDT status=FILLED type=MARKET side=BUY price=40100 origQty=2"
            " executedQty=2 cummulativeQuoteQty=80001 origQuoteOrderQty=80200 timeInForce=null time=1767607200123"
        ),
        "status=filled quantity=null quote_quantity=null filled_quantity=2 time_in_force=null",
    ),
    (
        "mexc",
        Exchange(
            f"orderId={ID} clientOrderId=null symbol=BTCUSDT status=NEW type=FILL_OR_KILL side=BUY price=40100"
            " origQty=2 executedQty=0 cummulativeQuoteQty=0 timeInForce=null time=1767607200123"
        ),
        "status=open quantity=2 time_in_force=fok price=40100",
    ),
    (
        "whitebit",
        Exchange(
            f"orderId={ID} clientOrderId='' market=BTCUSDT side=buy type=market status=FILLED amount=100"
            " dealStock=0.002 dealMoney=99.5 left=0 timestamp=1767607200.123",
            lambda row: [row],
        ),
        "quantity=null filled_quantity=0.002 filled_quote_quantity=99.5",
    ),
    (
        "woo",
        Exchange(
            f"algoOrderId={ID} clientAlgoOrderId=0 symbol=BTCUSDT algoStatus=NEW algoType=TAKE_PROFIT type=LIMIT"
            " side=BUY quantity=2 triggerPrice=41000 price=40000 totalExecutedQuantity=0 createdTime=1767607200.123",
            lambda row: {"success": True, "data": row},
        ),
        "type=take_profit stop_price=41000 price=40000 client_order_id=null",
    ),
]


@pytest.mark.parametrize(
    ("name", "exchange", "expected"), OTHERS, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_rows_of_other_exchanges(name: str, exchange: Exchange, expected: str) -> None:
    """What ccxt computes, defaults or mistakes is not told; what it drops is."""
    order = await shown(name, exchange)

    assert told(order, expected) == {}
    assert order.created_at is not None
    assert order.created_at.year == 2026


KRAKENS: Final = [
    ("", "quantity=0.002 quote_quantity=null filled_quantity=0.002 filled_quote_quantity=99.5 client_order_id=null"),
    ("oflags=fciq,viqc vol=100.0", "quantity=null quote_quantity=100 filled_quantity=null filled_quote_quantity=null"),
    ("cl_ord_id=mine1 userref=77", "client_order_id=mine1"),
    ("userref=77", "client_order_id=null"),
    (
        "status=open ordertype=trailing-stop limit=+50.0% vol_exec=0 stopprice=60000",
        "type=trailing_stop status=open quantity=0.002",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), KRAKENS)
async def test_rows_of_kraken(changes: str, expected: str) -> None:
    """100 of the quote are no 100 of the base, a `userref` is no client id, and an offset is no price."""
    answer = of_kraken(f"{KRAKEN} {changes}")
    async with stubbed("kraken", lambda *_: (200, answer)) as stub:
        order = await stub.get(stub.ref(KRAKEN_ID))

    assert told(order, expected) == {}


def test_whatever_has_a_rule_is_an_exchange_of_ccxt() -> None:
    """A rule under a name that ccxt does not have would never be read."""
    ccxt = pytest.importorskip("ccxt")

    # Newer versions do not have it.
    assert set(RULES) - {"coinex"} <= set(ccxt.exchanges)


async def test_open_orders_whose_rows_have_no_status() -> None:
    """Bitstamp's rows tell what remains of an order: it is open, and its size is the one that it was created with."""
    row = f"id={ID} currency_pair=BTC/USDT type=0 price=40000 amount=1.5 amount_at_create=2 client_order_id=mine-1"
    async with stubbed("bitstamp", lambda *_: (200, [row_of(row)])) as stub:
        (order,) = await stub.gateway.open_orders()

    expected = "status=partially_filled quantity=2 filled_quantity=0.5 price=40000 client_order_id=mine-1"
    assert told(order, expected) == {}


async def test_open_orders_of_cryptomus_have_neither_status_nor_type() -> None:
    """What is listed as open is so; the value of what was ordered is not what was spent."""
    row = f"id={ID} direction=buy symbol=BTCUSDT price=40000 quantity=2 value=80000 filledQuantity=0 filledValue=0"
    async with stubbed("cryptomus", lambda *_: (200, in_result([row_of(row)]))) as stub:
        (order,) = await stub.gateway.open_orders()

    assert told(order, "status=open type=unknown quantity=2 filled_quantity=0 filled_quote_quantity=null") == {}


LISTED: Final = [
    (
        "btse",
        f"orderID={ID} symbol=BTCUSDT side=SELL orderType=77 orderState=STATUS_ACTIVE status=2 originalOrderBaseSize=2"
        " currentOrderBaseSize=2 totalFilledBaseSize=0 timestamp=1767607200123",
        bare,
        "status=open quantity=2 filled_quantity=0",
    ),
    (
        "cex",
        f"orderId={ID} currency1=BTC currency2=USDT side=BUY orderType=Market status=NEW requestedAmountCcy1=null"
        " requestedAmountCcy2=100 executedAmountCcy1=null executedAmountCcy2=null serverCreateTimestamp=1767607200123",
        lambda rows: {"ok": "ok", "data": rows},
        "status=open quantity=null quote_quantity=100 filled_quantity=null",
    ),
    (
        "coincheck",
        f"id={ID} order_type=buy pair=BTCUSDT rate=40000 pending_amount=1.5 created_at=2026-01-05T10:00:00.123Z",
        lambda rows: {"success": True, "orders": rows},
        "status=open quantity=null filled_quantity=null price=40000",
    ),
    (
        "deepcoin",
        f"ordId={ID} clOrdId='' instId=BTCUSDT ordType=limit side=buy state=live px=40000 sz=2 accFillSz=0 tgtCcy=''"
        " cTime=1767607200000",
        lambda rows: {"code": "0", "data": rows},
        "status=open quantity=2 time_in_force=null price=40000",
    ),
]


@pytest.mark.parametrize(("name", "row", "wrap", "expected"), LISTED)
async def test_rows_of_open_orders(name: str, row: str, wrap: Callable[[Any], Any], expected: str) -> None:
    """What is pending is no size, an order at market is open until it is said to be over, a type is no lifetime."""
    market = {"id": "BTC-USDT" if name == "cex" else "BTCUSDT"}
    async with stubbed(name, lambda *_: (200, wrap([row_of(row)])), market=market) as stub:
        (order,) = await stub.gateway.open_orders(symbol="BTC/USDT")

    assert told(order, expected) == {}


async def test_one_odd_field_costs_no_order() -> None:
    """An order whose row has a negative price beside good ones is listed with the rest, and so is what is odd of it."""
    rows = [row_of(f"{BOUGHT['binance'].row} orderId={each} status=NEW executedQty=0 type=LIMIT") for each in (1, 2)]
    rows[0] |= {"stopPrice": "-0.0001"}
    async with stubbed("binance", lambda *_: (200, rows)) as stub:
        orders = await stub.gateway.open_orders(symbol="BTC/USDT")

    assert {order.order_id: len(order.anomalies) for order in orders} == {"1": 1, "2": 0}
    assert [order.stop_price for order in orders] == [None, None]


FILL: Final = "orderId=4711 symbol=BTCUSDT price=40000 qty=2 quoteQty=79999.9 commission=1 commissionAsset=USDT"


async def test_ccxt_hides_no_trade_that_tells_no_time() -> None:
    """By itself it fails to sort such a trade, and takes it for one from before the moment that was asked for."""
    rows = [row_of(f"{FILL} id={each} isBuyer=true isMaker=false") for each in (1, 2)]
    rows[0] |= {"time": 1767607200123}
    since = datetime(2026, 1, 5, 9, tzinfo=UTC)
    async with stubbed("binance", lambda *_: (200, rows), clock=lambda: 1767607300.0) as stub:
        fills = [each async for each in stub.gateway.fills(symbol="BTC/USDT", since=since)]

    assert {fill.fill_id for fill in fills} == {"1", "2"}


async def test_a_fill_has_what_ccxt_drops_of_its_row() -> None:
    """The order of Foxbit's trades is a field that ccxt does not read."""
    row = f"id=12 order_id={ID} market_symbol=BTCUSDT side=SELL price=40000 quantity=2 created_at=2026-01-05T10:00:00Z"
    async with stubbed("foxbit", lambda *_: (200, {"data": [row_of(row)]})) as stub:
        (fill,) = [each async for each in stub.gateway.fills(symbol="BTC/USDT")]

    assert (fill.order_id, fill.quote_quantity) == (ID, Decimal(80000))


async def test_a_fill_of_a_market_that_is_not_known_is_not_one_of_another() -> None:
    """A trade that names another pair than ccxt does is told as one that could not be read."""
    rows = [row_of(f"{FILL} id={each} time=1767607200123 isBuyer=true isMaker=false") for each in (1, 2)]
    rows[1]["symbol"] = "BTCUSD"
    async with stubbed("binance", lambda *_: (200, rows)) as stub:
        with pytest.raises(UnexpectedResponse) as caught:
            [each async for each in stub.gateway.fills(symbol="BTC/USDT")]

    assert [bad.reason for bad in caught.value.bad_rows] == ["it is of BTCUSD, and ccxt says BTC/USDT"]


async def test_a_fill_has_the_value_of_its_row() -> None:
    """Bullish rounds the price of a trade, so that the price times the quantity is not what was paid."""
    rules, row = RULES["bullish"], row_of("quantity=2 price=0.9998 quoteAmount=1.9995")
    trade = {"id": "5", "order": ID, "symbol": "BTC/USDT", "side": "buy", "amount": "2", "price": "0.9998"}

    fill = fill_from_row({**trade, "cost": "1.9996", "info": row}, venue="v", account="default", rules=rules)

    assert fill.quote_quantity == Decimal("1.9995")


NEW: Final = f"{BOUGHT['binance'].row} status=NEW type=LIMIT price=40000 origQty=2 executedQty=0 origQuoteOrderQty=0"


@pytest.mark.parametrize("changes", ["symbol=ETHUSDT", "side=SELL"])
async def test_an_answer_about_another_pair_or_side_is_unclear(changes: str) -> None:
    """It shows no order of ours: what became of that is the resolver's to find out."""
    answer = row_of(f"{NEW} clientOrderId=mine {changes}")
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="2", price="40000", client_order_id="mine")
    async with stubbed("binance", lambda *_: (200, answer), bases=("BTC", "ETH")) as stub:
        with pytest.raises(OutcomeUnknown):
            await stub.gateway.submit(request)


async def test_an_answer_about_another_pair_is_unclear_where_ccxt_names_the_one_that_was_asked_for() -> None:
    """Foxbit's parser takes the market that it is given, whatever the row says."""
    row = f"id={ID} market_symbol=ETHUSDT state=ACTIVE side=BUY type=LIMIT price=40000 quantity=2 quantity_executed=0"
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="2", price="40000")
    async with stubbed("foxbit", lambda *_: (200, row_of(row)), bases=("BTC", "ETH")) as stub:
        with pytest.raises(OutcomeUnknown):
            await stub.gateway.submit(request)


DELTA: Final = (
    f"id={ID} state=open side=buy order_type=limit_order limit_price=40000 size=2 unfilled_size=2 product_id=27"
    " created_at=1767607200000000"
)


@pytest.mark.parametrize(
    ("name", "row", "wrap"),
    [
        ("delta", f"{DELTA} symbol='' product_symbol=BTCUSD", in_result),
        ("binance", f"{BOUGHT['binance'].row} symbol=BTCUSD", bare),
    ],
)
async def test_an_order_of_a_market_that_is_not_known_is_not_that_of_another(name: str, row: str, wrap: Any) -> None:
    """Where ccxt puts in the pair that was asked for: what was looked up is not shown, and what was placed unclear."""
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="2", price="40000")
    async with stubbed(name, lambda *_: (200, wrap(row_of(row))), market={"numericId": 84}) as stub:
        result = await stub.gateway.lookup(stub.ref(ID))
        with pytest.raises(OutcomeUnknown):
            await stub.gateway.submit(request)

    assert [bad.reason for bad in result.bad_rows] == ["it is of BTCUSD, and ccxt says BTC/USDT"]
    assert result.orders == ()


@pytest.mark.parametrize("said", ["BTCUSDT", "btc-usdt", "BTC/USDT", "BTC_USDT"])
async def test_a_market_may_be_named_in_other_letters(said: str) -> None:
    """The pair that was asked for stays the one, however the exchange parts or writes it."""
    async with stubbed("delta", lambda *_: (200, in_result(row_of(f"{DELTA} product_symbol={said}")))) as stub:
        order = await stub.get(stub.ref(ID))

    assert (order.symbol, order.quantity) == ("BTC/USDT", 2)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("htx", {"status": "ok", "data": "356501383558845"}),
        ("coinone", {"result": "success", "error_code": "0", "order_id": "8a82c561-40b4-4cb3-9bc0-9ac9ffc1d63b"}),
        ("woo", {"success": True, "data": {"orderId": "60780315704", "clientOrderId": "0", "type": None}}),
    ],
)
async def test_an_answer_without_a_type_is_of_the_type_that_was_asked_for(name: str, answer: Any) -> None:
    """That its rows have a field for the type does not mean that the answer to a new order has one."""
    accounts = {"status": "ok", "data": [{"id": 1, "type": "spot", "state": "working"}]}
    request = OrderRequest.limit(symbol="BTC/USDT", side="buy", quantity="2", price="40000")
    async with stubbed(name, lambda url, *_: (200, accounts if "account/accounts" in url else answer)) as stub:
        order = await stub.gateway.submit(request)

    assert told(order, "type=limit quantity=2 price=40000 status=accepted") == {}


async def test_an_order_in_base_that_was_taken_for_one_in_quote_is_told() -> None:
    """The quantity stays the one that was asked for, and that the exchange says otherwise is an anomaly."""
    answer = row_of(f"{BOUGHT['binance'].row} clientOrderId=mine origQuoteOrderQty=2.00")
    request = OrderRequest.market(symbol="BTC/USDT", side="buy", quantity="2", client_order_id="mine")
    market = {"info": {"orderTypes": ["LIMIT", "MARKET"]}}
    async with stubbed("binance", lambda *_: (200, answer), market=market) as stub:
        order = await stub.gateway.submit(request)

    assert told(order, "quantity=2 quote_quantity=null filled_quantity=0.002") == {}
    assert any("sized in quote" in odd for odd in order.anomalies)
