"""
Twelve programs that trade by ccxt, as the calls that each makes, in its order and with its arguments.

Each runs over the drop-in against a simulated exchange: when all goes well, and when the answer to its first order is
lost. What it believes at its end is held against what the exchange has: each order told right, and none beside.
"""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

import pytest

from orderbridge.simulator import Simulator
from tests.ccxt.fake_binance import FakeBinance
from tests.kind import KIND

pytestmark = pytest.mark.ccxt

PAIR: Final = "BTC/MXN"
WORDS: Final = {"open": "open", "waiting": "open", "filled": "closed", "cancelled": "canceled"}
BINANCES: Final = {"NEW": "open", "FILLED": "closed", "CANCELED": "canceled"}
READS: Final = ("lookup", "open_orders", "order_trades", "user_trades")
Rows = list[dict[str, Any]]


@dataclass
class Exchange:
    """One exchange as a program meets it: how its objects are made, and what it truly has."""

    exchange_id: str = "bitso"
    has_outage: bool = False
    stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        if self.exchange_id == "bitso":
            self.sim = self.stack.enter_context(Simulator(seed=1, bitso={**KIND, "pacing": False}))
        else:
            self.binance = self.stack.enter_context(FakeBinance())

    def config(self, **more: Any) -> dict[str, Any]:
        """The config of an object."""
        options = {"orderbridge": {"resolve_for": 0.3 if self.has_outage else 20.0}}
        if self.exchange_id != "bitso":
            return self.binance.config(options=options, **more)
        bitso = self.sim.bitso
        keys = {"apiKey": bitso.api_key, "secret": bitso.api_secret}
        urls = {"api": {"rest": f"{bitso.origin}/api"}}
        return {**keys, "urls": urls, "enableRateLimit": False, "timeout_on_exit": 0, "options": options, **more}

    def made(self, module: str = "", **more: Any) -> Any:
        """An object, as frameworks make theirs: of a class that is found by its name."""
        return getattr(import_module(f"orderbridge.ccxt{module}"), self.exchange_id)(self.config(**more))

    def lose_the_first_answer(self) -> None:
        """The first order is placed, and its answer lost."""
        if self.exchange_id == "bitso":
            self.sim.bitso.fault("accept_then_drop", operation="place", nth=1)
        else:
            self.binance.lose = 1

    def goes_down(self) -> None:
        """From here on nothing is told of an order, where an outage is wanted: for longer than one is looked for."""
        for read in READS if self.has_outage else ():
            self.sim.bitso.fault("error_5xx", operation=read, times=1_000_000)

    def come_back(self) -> None:
        """Everything is told again."""
        self.sim.bitso.clear_faults()

    def orders(self) -> dict[str, tuple[str, float]]:
        """By id, how each order truly stands, and how much of it filled."""
        if self.exchange_id == "bitso":
            return {each.oid: (WORDS[each.state], float(each.filled)) for each in self.sim.bitso.accepted()}
        placed = self.binance.placed
        return {str(each["orderId"]): (BINANCES[each["status"]], float(each["executedQty"])) for each in placed}


def told(rows: Rows) -> dict[str, tuple[str, float]]:
    """What a program believes of its orders."""
    return {row["id"]: (row["status"], row["filled"]) for row in rows}


def again(create: Callable[[], Any], *, on: str = "NetworkError", tries: int = 3) -> Any:
    """Call until it does not fail so, as programs do that take it for a hiccup."""
    for _ in range(tries - 1):
        try:
            return create()
        except getattr(import_module("ccxt"), on):
            time.sleep(0.01)
    return create()


# The programs. Each returns its last view of every order that it knows of.


def ccxts_own_test(at: Exchange) -> Rows:
    """ccxt's test of `createOrder`: one order that rests, one that fills, one at market."""
    exchange = at.made()
    exchange.load_markets(True)
    market = exchange.market(PAIR)
    assert exchange.fetch_balance()[market["quote"]]["free"] > 0
    book = exchange.fetch_order_book(PAIR)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    amount = exchange.parse_to_numeric(exchange.decimal_to_precision(0.0100004, 1, market["precision"]["amount"], 4))
    rests = exchange.create_order(PAIR, "limit", "buy", amount, bid / 1.045, {})
    assert exchange.fetch_order(rests["id"], PAIR)["status"] == "open"
    exchange.cancel_order(rests["id"], PAIR)
    fills = exchange.create_order(PAIR, "limit", "buy", amount, ask * 1.045, {})
    filled = exchange.fetch_order(fills["id"], PAIR)["filled"]
    closes = exchange.create_order(PAIR, "market", "sell", exchange.parse_to_numeric(str(filled)), None, {})
    assert (closes["status"], closes["filled"], closes["side"]) == ("closed", filled, "sell")
    return [exchange.fetch_order(each["id"], PAIR) for each in (rests, fills, closes)]


def freqtrade(at: Exchange) -> Rows:
    """One object with `await` for markets and one without for orders; a failed entry is tried anew at a new price."""
    orders, ahead = at.made(), at.made(".async_support")
    asyncio.run(_loaded(ahead))
    orders.set_markets_from_exchange(ahead)
    orders.options = {**orders.options, **ahead.options}
    amount = float(orders.amount_to_precision(PAIR, 0.0166833500001))
    prices = iter((1_100_000.4, 1_100_010.0, 1_100_020.0))
    entry = again(lambda: orders.create_order(PAIR, "limit", "buy", amount, _price(orders, next(prices)), {}))
    assert (entry["status"], entry["amount"]) == ("open", amount)
    at.sim.bitso.market("btc_mxn").fill(entry["id"])
    entry = orders.fetch_order(entry["id"], PAIR, params={})
    trades = orders.fetch_my_trades(PAIR, int(entry["timestamp"] - 5000), params={})
    assert sum(each["amount"] for each in trades if each["order"] == entry["id"]) == amount
    exit_ = orders.create_order(PAIR, "limit", "sell", amount, 1_300_000, {})
    return [entry, orders.cancel_order(exit_["id"], PAIR, params={})]


async def _loaded(exchange: Any) -> None:
    await exchange.load_markets(reload=True, params={})
    await exchange.close()


def _price(exchange: Any, price: float) -> float:
    return float(exchange.price_to_precision(PAIR, price))


def freqtrade_with_stops(at: Exchange) -> Rows:
    """freqtrade at Binance with its stop loss on the exchange: refused as InvalidOrder, it would sell at market."""
    exchange = at.made()
    exchange.load_markets()
    entry = again(lambda: exchange.create_order("BTC/USDT", "limit", "buy", 0.01, 59000.0, {}))
    stop = exchange.create_order("BTC/USDT", "stop_loss_limit", "sell", 0.01, 49500.0, {"stopPrice": 50000.0})
    assert (stop["status"], stop["triggerPrice"]) == ("open", 50000.0)
    cancelled = exchange.cancel_order(stop["id"], "BTC/USDT", params={})
    return [exchange.fetch_order(entry["id"], "BTC/USDT", params={}), cancelled]


async def octobot(at: Exchange) -> Rows:
    """Its sandbox is off, its markets are filtered and then come from a cache; a stop is a price of a market order."""
    exchange = at.made(".async_support", options={"defaultType": "spot", **at.config()["options"]})
    exchange.set_sandbox_mode(False)
    exchange.aiohttp_trust_env, exchange.headers["x-made-by"] = True, "octobot"
    fetched = exchange.fetch_markets

    async def filtered(*args: Any, **more: Any) -> Any:
        return [each for each in await fetched(*args, **more) if each["quote"] == "MXN"]

    exchange.fetch_markets = filtered
    await exchange.load_markets(reload=True)
    exchange.fetch_markets = fetched
    exchange.set_markets(market for market in list(exchange.markets.values()))
    assert {each["quote"] for each in exchange.markets.values()} == {"MXN"}
    await exchange.fetch_balance(params={})
    limit = await exchange.create_limit_buy_order(PAIR, 0.01, 1_000_000.0, params={})
    market = await exchange.create_order(PAIR, "market", "buy", 0.01, price=1_200_000.0, params={})
    stop = await exchange.create_order(PAIR, "market", "sell", 0.01, params={"stopLossPrice": 1_000_000.0})
    assert (market["status"], stop["status"]) == ("closed", "open")
    open_ = await exchange.fetch_open_orders(symbol=PAIR, since=None, limit=None, params={})
    assert {each["id"] for each in open_} == {limit["id"], stop["id"]}
    await exchange.fetch_my_trades(symbol=PAIR, since=None, limit=None, params={})
    await exchange.cancel_order(limit["id"], symbol=PAIR, params={})
    rows = [await exchange.fetch_order(each["id"], PAIR, params={}) for each in (limit, market, stop)]
    await exchange.close()
    exchange.markets = {}
    return rows


def lumibot(at: Exchange) -> Rows:
    """Amounts and prices are text; an order is unknown on a NetworkError, and looked for among the open ones."""
    exchange = at.made(exchange_id="bitso", sandbox=False)
    exchange.set_sandbox_mode(False)
    exchange.enableRateLimit = False
    exchange.load_markets()
    amount = str(exchange.amount_to_precision(PAIR, 0.01))
    known = _or_found(
        at,
        lambda: exchange.create_order(PAIR, "limit", "buy", amount, "1000000", params={"timeInForce": "GTC"}),
        lambda: exchange.fetch_open_orders(params={}),
    )
    market = exchange.create_order(PAIR, "market", "buy", amount, None, params={"timeInForce": "GTC"})
    assert (market["status"], market["average"] is None) == ("closed", False)
    stop = exchange.create_order(PAIR, "market", "sell", amount, None, params={"triggerPrice": "900000"})
    exchange.edit_order(known["id"], PAIR, "limit", "buy", amount, "1010000", params={})
    assert exchange.cancel_order(stop["id"], PAIR)["status"] == "canceled"
    return [exchange.fetch_order(each["id"], PAIR) for each in (known, market, stop)]


def _or_found(at: Exchange, create: Callable[[], Any], look: Callable[[], Rows]) -> dict[str, Any]:
    """The order; one whose outcome is not known is looked for, as a careful program does on these errors only."""
    ccxt = import_module("ccxt")
    at.goes_down()
    try:
        return create()  # type: ignore[no-any-return]
    except (ccxt.RequestTimeout, ccxt.ExchangeNotAvailable):
        at.come_back()
        found = look()
        assert len(found) == 1
        return found[0]


async def grid_trading_bot(at: Exchange) -> Rows:
    """A market order that is not closed is cancelled and bought again, thrice; a grid on both sides, then polled."""
    exchange = at.made(".async_support")
    await exchange.fetch_ticker(PAIR)
    for _ in range(3):
        bought = await exchange.create_order(PAIR, "market", "buy", 0.04, 1_210_000.0)
        if bought["status"] == "closed":
            break
        await exchange.cancel_order(bought["id"], PAIR)
    levels = (("buy", 1_100_000.0), ("buy", 1_166_670.0), ("sell", 1_233_330.0))
    grid = [await exchange.create_order(PAIR, "limit", side, 0.01, price) for side, price in levels]
    assert all(each[name] for each in grid for name in ("id", "status", "type", "side"))
    at.sim.bitso.market("btc_mxn").fill(grid[1]["id"])
    rows = await asyncio.gather(*(exchange.fetch_order(each["id"], PAIR) for each in (bought, *grid)))
    assert rows[2]["status"] == "closed"
    await exchange.close()
    return list(rows)


async def grid_bot(at: Exchange) -> Rows:
    """Grid-Bot's client: `create_order` by keywords, made again on any NetworkError."""
    ccxt = import_module("ccxt")
    exchange = at.made(".async_support")
    await exchange.load_markets()
    at.goes_down()
    for _ in range(4):
        try:
            order = await exchange.create_order(
                symbol=PAIR, type="limit", side="sell", amount=0.01, price=1_300_000, params={"postOnly": True}
            )
            break
        except ccxt.NetworkError:
            at.come_back()
    rows = await exchange.fetch_open_orders(PAIR)
    assert [each["id"] for each in rows] == [order["id"]]
    await exchange.close()
    return list(rows)


def investing_algorithm_framework(at: Exchange) -> Rows:
    """A new object for every call, one of them without keys, and ccxt's camel case."""
    keyless = at.made()
    assert (keyless.requiredCredentials["apiKey"], keyless.has["fetchOrder"]) == (True, True)
    limit = again(lambda: at.made().createLimitBuyOrder(PAIR, 0.01, 1_000_000), on="BaseError")
    market = at.made().createMarketBuyOrder(PAIR, 0.01)
    stop = at.made().createOrder(PAIR, "stop_limit", "sell", 0.01, 990_000, {"stopPrice": 1_000_000})
    assert [each["status"] for each in (limit, market, stop)] == ["open", "closed", "open"]
    at.made().cancelOrder(limit["id"], PAIR)
    return [at.made().fetchOrder(each["id"], PAIR) for each in (limit, market, stop)]


def backtrader_store(at: Exchange) -> Rows:
    """backtrader's store of ccxt: a param of its own with each order; every call is made again on a NetworkError."""
    exchange = at.made()
    exchange.fetch_balance()

    def created(**order: Any) -> Any:
        own = {"created": int(time.time() * 1000)}
        return again(lambda: exchange.create_order(symbol=PAIR, **order, params=own), tries=5)

    limit = created(type="limit", side="buy", amount=0.01, price=1_000_000)
    market = created(type="market", side="buy", amount=0.01, price=None)
    exchange.cancel_order(limit["id"], PAIR)
    return [exchange.fetch_order(each["id"], PAIR) for each in (limit, market)]


def ccxt_pandas(at: Exchange) -> Rows:
    """It reads the signatures of the calls, and calls by keywords; rows of a frame go out by `create_orders`."""
    exchange, ahead = at.made(), at.made(".async_support")
    names = list(inspect.signature(exchange.create_order).parameters)
    assert names == ["symbol", "type", "side", "amount", "price", "params"]
    assert asyncio.iscoroutinefunction(ahead.create_order)
    assert not asyncio.iscoroutinefunction(exchange.create_order)
    one = exchange.create_order(symbol=PAIR, type="limit", side="buy", amount=0.01, price=1_000_000)
    frame = [{"symbol": PAIR, "type": "limit", "side": "buy", "amount": 0.01, "price": price} for price in (9e5, 9.1e5)]
    rows = [one, *(exchange.create_order(**row) for row in frame)]
    exchange.cancel_all_orders(symbol=PAIR)
    return [exchange.fetch_order(id=each["id"], symbol=PAIR) for each in rows]


def catalyst(at: Exchange) -> Rows:
    """On a RequestTimeout, and on nothing else, it compares the open orders with those from before."""
    exchange = at.made()
    exchange.load_markets()
    before = {each["id"] for each in exchange.fetch_open_orders(PAIR)}
    _or_found(
        at,
        lambda: exchange.create_order(symbol=PAIR, type="limit", side="sell", amount=0.01, price=1_300_000.0),
        lambda: [each for each in exchange.fetch_open_orders(PAIR) if each["id"] not in before],
    )
    return list(exchange.fetch_open_orders(PAIR))


def cefi(at: Exchange) -> Rows:
    """A stop attached to an order is not supported at spot, and nothing is sent; without it the order is."""
    ccxt = import_module("ccxt")
    exchange = at.made()
    with pytest.raises(ccxt.NotSupported):
        exchange.create_order(PAIR, "limit", "buy", 0.01, 1_000_000, {"stopLoss": {"triggerPrice": 900_000}})
    order = again(lambda: exchange.create_order(PAIR, "limit", "buy", 0.01, 1_000_000))
    return [exchange.fetch_order(order["id"], PAIR)]


PROGRAMS: Final = (
    *(ccxts_own_test, freqtrade, freqtrade_with_stops, octobot, lumibot, grid_trading_bot, grid_bot),
    *(investing_algorithm_framework, backtrader_store, ccxt_pandas, catalyst, cefi),
)


def run(program: Callable[[Exchange], Any], at: Exchange) -> dict[str, tuple[str, float]]:
    """What the program believes at its end."""
    rows = asyncio.run(program(at)) if asyncio.iscoroutinefunction(program) else program(at)
    return told(rows)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    import_module("orderbridge.ccxt.bridges").close_all()


@pytest.mark.parametrize("is_lost", [False, True], ids=["well", "lost"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_places_each_order_once_and_knows_how_it_stands(
    program: Callable[[Exchange], Any], is_lost: bool
) -> None:
    """No more than the import differs, and with an answer lost no order is placed twice, nor lost from sight."""
    at = Exchange("binance" if program is freqtrade_with_stops else "bitso")
    with at.stack:
        if is_lost:
            at.lose_the_first_answer()

        believed = run(program, at)

        assert believed == at.orders()


@pytest.mark.parametrize("program", [lumibot, catalyst, grid_bot], ids=lambda program: program.__name__)
def test_a_program_finds_the_order_again_after_an_outage(program: Callable[[Exchange], Any]) -> None:
    """Who looks for it as one that may be there finds it, and who repeats the call is answered by it."""
    at = Exchange(has_outage=True)
    with at.stack:
        at.lose_the_first_answer()

        believed = run(program, at)

        assert believed == at.orders()
