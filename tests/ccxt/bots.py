"""
Small bots as ccxt's users write them: against ccxt's calls, dicts and exceptions only.

Each takes an exchange, which is ccxt's own object or ours, and cannot tell which.
"""

import asyncio
from typing import Any

SYMBOL = "BTC/MXN"


async def market_maker(exchange: Any, prices: list[float], *, size: float = 0.01, width: float = 10_000) -> list[Any]:
    """
    Quotes both sides around each price in turn: cancels what it has, places a bid and an ask, and ends flat.

    Returns what it knew of each quote when it cancelled it.
    """
    await exchange.load_markets()
    seen = []
    for price in prices:
        for order in await exchange.fetch_open_orders(SYMBOL):
            seen.append(order)
            await exchange.cancel_order(order["id"], SYMBOL)
        bid = float(exchange.price_to_precision(SYMBOL, price - width))
        ask = float(exchange.price_to_precision(SYMBOL, price + width))
        amount = float(exchange.amount_to_precision(SYMBOL, size))
        await exchange.create_limit_buy_order(SYMBOL, amount, bid)
        await exchange.create_limit_sell_order(SYMBOL, amount, ask)
    for order in await exchange.fetch_open_orders(SYMBOL):
        seen.append(order)
        await exchange.cancel_order(order["id"], SYMBOL)
    return seen


async def re_pricer(exchange: Any, price: float, to: float, *, size: float = 0.01) -> Any:
    """Places a bid and moves it by `edit_order`; the order as it is after that."""
    order = await exchange.create_order(SYMBOL, "limit", "buy", size, price)
    moved = await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", size, to)
    return await exchange.fetch_order(moved["id"], SYMBOL)


async def dollar_cost_averager(exchange: Any, buys: int, *, amount: float = 0.1 + 0.2) -> dict[str, float]:
    """Buys so much at market each time, and adds up what its trades say that it bought, spent and paid in fees."""
    await exchange.load_markets()
    bought = spent = fees = 0.0
    for _ in range(buys):
        order = await exchange.create_market_buy_order(SYMBOL, amount)
        for trade in await exchange.fetch_order_trades(order["id"], SYMBOL):
            bought += trade["amount"]
            spent += trade["cost"]
            fees += trade["fee"]["cost"]
    return {"bought": bought, "spent": spent, "fees": fees}


async def until_closed(exchange: Any, side: str, price: float, *, size: float = 0.01, every: float = 0.02) -> Any:
    """Places an order and fetches it until it is no longer open."""
    order = await exchange.create_order(SYMBOL, "limit", side, size, price)
    while True:
        known = await exchange.fetch_order(order["id"], SYMBOL)
        if known["status"] != "open":
            return known
        await asyncio.sleep(every)


async def stubborn(exchange: Any, *args: Any, tries: int = 8, wait: float = 0.02) -> Any:
    """Retries `create_order` on every NetworkError, as many bots do; gives up at any other of ccxt's errors."""
    import ccxt

    for _ in range(tries):
        try:
            return await exchange.create_order(*args)
        except ccxt.NetworkError:
            await asyncio.sleep(wait)
        except ccxt.ExchangeError:
            return None
    return None


async def more_stubborn(exchange: Any, *args: Any, tries: int = 8, wait: float = 0.02) -> Any:
    """Retries `create_order` on every error of ccxt's, and on an answer without an id."""
    import ccxt

    for _ in range(tries):
        try:
            order = await exchange.create_order(*args)
        except ccxt.BaseError:
            order = None
        if order is not None and order["id"] is not None:
            return order
        await asyncio.sleep(wait)
    return None


def until_closed_without_await(exchange: Any, side: str, price: float, *, size: float = 0.01) -> Any:
    """`until_closed` of a bot that is not asynchronous."""
    order = exchange.create_order(SYMBOL, "limit", side, size, price)
    for _ in range(1_000):
        known = exchange.fetch_order(order["id"], SYMBOL)
        if known["status"] != "open":
            return known
    raise AssertionError("it stays open")


def stubborn_without_await(exchange: Any, *args: Any, tries: int = 8) -> Any:
    """`stubborn` of a bot that is not asynchronous."""
    import ccxt

    for _ in range(tries):
        try:
            return exchange.create_order(*args)
        except ccxt.NetworkError:
            continue
        except ccxt.ExchangeError:
            return None
    return None
