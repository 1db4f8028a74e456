"""Calls as Binance's bots write them, from the class to what leaves: names, types, ids, and ids after a restart."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orderbridge.ccxt import bridges
from tests.ccxt.fake_binance import FakeBinance
from tests.ccxt.validated import check_order, check_trade

pytestmark = pytest.mark.ccxt

PAIR = "BTC/USDT"
POST = "POST /api/v3/order"


@pytest.fixture
def venue() -> Iterator[FakeBinance]:
    """A small Binance; what was made for it is closed."""
    with FakeBinance() as running:
        yield running
        bridges.close_all()


def made(venue: FakeBinance, **more: Any) -> Any:
    """An object of ours, as its bots make it."""
    import orderbridge.ccxt as ccxt

    return ccxt.binance(venue.config(**more))


LIMIT = ("limit", "buy", 0.01, 50000)
PLAIN = {"type": "LIMIT", "side": "BUY", "quantity": "0.01", "price": "50000", "timeInForce": "GTC"}
WRITTEN: list[tuple[tuple[Any, ...], dict[str, Any], dict[str, str]]] = [
    (LIMIT, {}, PLAIN),
    (LIMIT, {"recvWindow": 5000}, {**PLAIN, "recvWindow": "5000"}),
    (LIMIT, {"newClientOrderId": "grid-1"}, {**PLAIN, "newClientOrderId": "grid-1"}),
    (LIMIT, {"type": "spot", "test": False, "tdMode": "cash"}, PLAIN),
    (LIMIT, {"strategyId": 7, "newOrderRespType": "FULL"}, {**PLAIN, "strategyId": "7"}),
    (LIMIT, {"timeInForce": "IOC"}, {**PLAIN, "timeInForce": "IOC"}),
    (("LIMIT_MAKER", "buy", 0.01, 50000), {}, {"type": "LIMIT_MAKER", "price": "50000"}),
    (("limit", "buy", 0.01, 50000), {"postOnly": True}, {"type": "LIMIT_MAKER", "price": "50000"}),
    (("STOP_LOSS_LIMIT", "sell", 0.01, 50000), {"stopPrice": 51000}, {"type": "STOP_LOSS_LIMIT", "stopPrice": "51000"}),
    (("stop_limit", "sell", 0.01, 50000), {"triggerPrice": 51000}, {"type": "STOP_LOSS_LIMIT", "stopPrice": "51000"}),
    (("market", "buy", 0.01, None), {}, {"type": "MARKET", "quantity": "0.01"}),
    (("market", "buy", 100, 1), {}, {"type": "MARKET", "quoteOrderQty": "100"}),
    (("market", "sell", 0.01, 60000), {}, {"type": "MARKET", "quoteOrderQty": "600"}),
    (("market", "buy", 0.01, 60000), {"cost": 100}, {"type": "MARKET", "quoteOrderQty": "100"}),
    (("market", "buy", None, None), {"quoteOrderQty": 100}, {"type": "MARKET", "quoteOrderQty": "100"}),
]


@pytest.mark.parametrize(("args", "params", "fields"), WRITTEN)
def test_what_a_bot_writes_is_what_leaves(
    venue: FakeBinance, args: tuple[Any, ...], params: dict[str, Any], fields: dict[str, str]
) -> None:
    """By the exchange's own names too, once, and nothing of what says that it is a spot order."""
    order = made(venue).create_order(PAIR, *args, params)

    (sent,) = [each.params for each in venue.seen if each.call == POST]
    check_order(order, "createOrder")
    assert sent.items() >= {**fields, "symbol": "BTCUSDT"}.items()
    assert not {"test", "tdMode", "cost"} & sent.keys()
    assert ("quantity" in sent) != ("quoteOrderQty" in sent)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("TRAILING_STOP_MARKET", {}),
        ("oco", {}),
        ("limit", {"stopLoss": {"triggerPrice": 45000}}),
        ("limit", {"trailingDelta": 100}),
        ("limit", {"sideEffectType": "MARGIN_BUY"}),
        ("limit", {"leverage": 5}),
        ("limit", {"quantity": "5"}),
        ("limit", {"test": True}),
    ],
)
def test_what_is_no_plain_spot_order_is_not_supported(venue: FakeBinance, kind: str, params: dict[str, Any]) -> None:
    """It is never an InvalidOrder, on which frameworks end the position at market; nothing leaves."""
    import ccxt

    with pytest.raises(ccxt.NotSupported):
        made(venue).create_order(PAIR, kind, "buy", 0.01, 50000, params)

    assert venue.calls[POST] == 0


def test_params_tell_equal_orders_apart(venue: FakeBinance) -> None:
    """Under one client id another param is another order, which is refused, and nothing leaves."""
    import ccxt

    exchange = made(venue)
    order = exchange.create_order(PAIR, *LIMIT, {"clientOrderId": "a1", "strategyId": 7})
    again = exchange.create_order(PAIR, *LIMIT, {"clientOrderId": "a1", "strategyId": 7})

    with pytest.raises(ccxt.DuplicateOrderId):
        exchange.create_order(PAIR, *LIMIT, {"clientOrderId": "a1", "strategyId": 8})

    assert again["id"] == order["id"]
    assert venue.calls[POST] == 1


@pytest.mark.parametrize("by_number", [False, True])
def test_an_order_is_found_by_its_symbol_after_a_restart_without_a_journal(venue: FakeBinance, by_number: bool) -> None:
    """A filled order too, that no list shows any more: the symbol that the bot gives is what Binance asks for."""
    filled = made(venue).create_order(PAIR, "market", "buy", 0.01)
    resting = made(venue).create_order(PAIR, *LIMIT, {"clientOrderId": "a1"})
    bridges.close_all()  # the process ends, and another begins
    exchange = made(venue)
    ids = [int(each["id"]) if by_number else each["id"] for each in (filled, resting)]

    orders = [exchange.fetch_order(id, PAIR) for id in ids]
    trades = exchange.fetch_order_trades(ids[0], PAIR)
    named = exchange.fetch_order("", PAIR, {"origClientOrderId": "a1"})
    cancelled = exchange.cancel_order(ids[1], PAIR)

    for order in (*orders, named, cancelled):
        check_order(order, "fetchOrder")
    for trade in trades:
        check_trade(trade, "fetchOrderTrades")
    assert [order["status"] for order in orders] == ["closed", "open"]
    assert [trade["order"] for trade in trades] == [filled["id"]]
    assert named["id"] == resting["id"] == cancelled["id"]
    assert cancelled["status"] == "canceled"


def test_an_order_that_the_venue_shows_no_more_is_not_told_as_open(venue: FakeBinance, tmp_path: Path) -> None:
    """By this process, and by the next from its journal, as by ccxt: OrderNotFound; of an odd row it is not known."""
    import ccxt

    kept = {"options": {"orderbridge": {"journal": str(tmp_path / "journal.db")}}}
    exchange = made(venue, **kept)
    exchange.create_order(PAIR, *LIMIT)
    row = venue.orders[1000]
    odd = {**row, "side": None}

    venue.orders[1000] = odd
    with pytest.raises(ccxt.NetworkError):
        exchange.fetch_order("1000", PAIR)
    venue.orders.clear()
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("1000", PAIR)
    bridges.close_all()  # the process ends, and another begins
    exchange = made(venue, **kept)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("1000", PAIR)
    venue.orders[1000] = row
    assert exchange.fetch_order("1000", PAIR)["status"] == "open"


def test_a_market_order_is_told_with_its_fills(venue: FakeBinance) -> None:
    """Closed, filled, its average and cost, its trades and their fee, as ccxt reads them out of Binance's answer."""
    order = made(venue).create_order(PAIR, "market", "buy", 0.01)

    assert (order["status"], order["filled"], order["remaining"]) == ("closed", 0.01, 0.0)
    assert (order["average"], order["cost"]) == (60000.0, 600.0)
    assert order["info"]["orderId"] == int(order["id"])
    assert [trade["amount"] for trade in order["trades"]] == [0.01]
    assert order["fee"] == {"currency": "BTC", "cost": 0.0}
    assert order["lastTradeTimestamp"] is not None


def test_an_edited_order_keeps_what_it_was_created_with(venue: FakeBinance) -> None:
    """Binance's is cancelled and placed anew: its own params, what the edit changes, and a name for the new one."""
    exchange = made(venue)
    first = exchange.create_order(PAIR, *LIMIT, {"selfTradePreventionMode": "EXPIRE_MAKER", "strategyId": 7})

    second = exchange.edit_order(first["id"], PAIR, "limit", "buy", None, 50001)
    params = {"postOnly": True, "strategyId": 8, "newClientOrderId": "grid-1"}
    exchange.edit_order(second["id"], PAIR, "limit", "buy", 0.02, 50002, params)

    _, one, two = [each.params for each in venue.seen if each.call == POST]
    kept = {"selfTradePreventionMode": "EXPIRE_MAKER", "strategyId": "7", "price": "50001", "quantity": "0.01"}
    told = {"selfTradePreventionMode": "EXPIRE_MAKER", "strategyId": "8", "price": "50002", "quantity": "0.02"}
    assert {name: one.get(name) for name in kept} == kept
    assert {name: two.get(name) for name in told} == told
    assert (two["type"], two["newClientOrderId"]) == ("LIMIT_MAKER", "grid-1")
    assert [order["status"] for order in venue.placed] == ["CANCELED", "CANCELED", "NEW"]


def test_several_orders_are_edited_with_the_params_of_the_call(venue: FakeBinance) -> None:
    """As ccxt has them: beside the orders, for each that has none of its own."""
    exchange = made(venue)
    ids = [exchange.create_order(PAIR, *LIMIT, {"strategyId": 7})["id"] for _ in range(2)]
    rows = [{"id": id, "symbol": PAIR, "type": "limit", "side": "buy", "price": 50001} for id in ids]

    edited = exchange.edit_orders([rows[0], {**rows[1], "params": {"strategyId": 8}}], {"strategyId": 9})

    assert [row["price"] for row in edited] == [50001.0] * 2
    assert sorted(each.params["strategyId"] for each in venue.seen if each.call == POST) == ["7", "7", "8", "9"]
    assert [order["status"] for order in venue.placed] == ["CANCELED", "CANCELED", "NEW", "NEW"]


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"cancelReplaceMode": "STOP_ON_FAILURE"}, "NotSupported"),
        ({"selfTradePreventionMode": "NONE"}, "NotSupported"),
        ({"newClientOrderId": "used"}, "DuplicateOrderId"),
        ({"leverage": 3}, "NotSupported"),
    ],
)
def test_an_edit_that_cannot_be_placed_leaves_the_order_alone(
    venue: FakeBinance, params: dict[str, Any], error: str
) -> None:
    """What the exchange may refuse, or was placed before, is refused before anything is cancelled."""
    import ccxt as genuine

    exchange = made(venue)
    exchange.create_order(PAIR, "limit", "sell", 0.01, 70000, {"clientOrderId": "used"})
    order = exchange.create_order(PAIR, *LIMIT)

    with pytest.raises(getattr(genuine, error), match=next(iter(params)) if error == "NotSupported" else "used"):
        exchange.edit_order(order["id"], PAIR, "limit", "buy", 0.01, 50001, params)

    assert [each["status"] for each in venue.placed] == ["NEW", "NEW"]


class Throttling(FakeBinance):
    """It turns away so many orders."""

    turned_away = 0

    def answer(self, call: str, params: dict[str, str]) -> tuple[int, Any]:
        if call != POST or not self.turned_away:
            return super().answer(call, params)
        self.turned_away -= 1
        return 429, {"code": -1015, "msg": "Too many new orders; current limit is 50 orders per TEN_SECOND."}


@pytest.mark.parametrize("seconds", [0.1, 10.0])
def test_an_order_that_the_limiter_turned_away_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Binance documents that nothing comes of it: it is sent once the lock-out is over, or is ccxt's own error then."""
    import ccxt as genuine

    monkeypatch.setattr("orderbridge.adapters.ccxt_any.codes.LOCK_OUT", seconds)
    with Throttling() as venue:
        exchange = made(venue)
        exchange.load_markets()
        venue.turned_away = 1
        if seconds > 1:
            with pytest.raises(genuine.RateLimitExceeded):
                exchange.create_order(PAIR, *LIMIT)
        else:
            exchange.create_order(PAIR, *LIMIT)
        calls, placed = venue.calls[POST], len(venue.placed)
        bridges.close_all()

    assert (calls, placed) == ((1, 0) if seconds > 1 else (2, 1))
    ids = {each.params["newClientOrderId"] for each in venue.seen if each.call == POST}
    assert len(ids) == 1
