"""Every dict that the calls return, held against ccxt's own validators and against the structure of ccxt's manual."""

import functools
import numbers
from collections.abc import Callable, Mapping
from typing import Any

ORDERS = {
    *("create_order", "create_orders", "edit_order", "cancel_order", "cancel_orders", "cancel_all_orders"),
    *("fetch_order", "fetch_orders", "fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders"),
    "fetch_canceled_and_closed_orders",
}
TRADES = {"fetch_my_trades", "fetch_order_trades"}
# By key, the kinds that a value may be of where it is known; `numbers.Real` stands for the object's kind of number.
ORDER: dict[str, type | tuple[type, ...]] = {
    "info": dict,
    **dict.fromkeys(("id", "clientOrderId", "datetime", "symbol", "type", "timeInForce", "side", "status"), str),
    **dict.fromkeys(("timestamp", "lastTradeTimestamp", "lastUpdateTimestamp"), int),
    **dict.fromkeys(("postOnly", "reduceOnly"), bool),
    **dict.fromkeys(("price", "stopPrice", "triggerPrice", "takeProfitPrice", "stopLossPrice"), numbers.Real),
    **dict.fromkeys(("amount", "cost", "average", "filled", "remaining"), numbers.Real),
    "fee": dict,
    **dict.fromkeys(("fees", "trades"), list),
}
TRADE: dict[str, type | tuple[type, ...]] = {
    "info": dict,
    **dict.fromkeys(("id", "datetime", "symbol", "order", "type", "side", "takerOrMaker"), str),
    "timestamp": int,
    **dict.fromkeys(("price", "amount", "cost"), numbers.Real),
    "fee": dict,
    "fees": list,
}
STATUSES = {"open", "closed", "canceled", "expired", "rejected", None}


class Everything(dict[str, Any]):
    """A table that has whatever is looked up."""

    def __contains__(self, key: object) -> bool:
        return True


@functools.cache
def theirs() -> Any:
    """An object of ccxt for its validators, which take the helpers from it, and a currency's being there."""
    import ccxt

    client = ccxt.bitso()
    client.currencies = Everything()
    return client


def check_order(row: Mapping[str, Any], name: str, number: Any = float) -> None:
    """One order, as ccxt's validator and the documented structure have it."""
    from ccxt.test.exchange.base.test_order import test_order

    assert row.keys() == ORDER.keys()
    check_kinds(row, ORDER, number)
    assert row["status"] in STATUSES
    for trade in row["trades"]:
        check_trade(trade, name, number)
    if number is float and "error" not in row["info"]:
        known = {**row, "status": {"expired": "canceled", "rejected": "canceled"}.get(row["status"], row["status"])}
        test_order(theirs(), {"allowNull": ["side"]}, name, known, row["symbol"], None)


def check_trade(row: Mapping[str, Any], name: str, number: Any = float) -> None:
    """One trade, as ccxt's validator and the documented structure have it."""
    from ccxt.test.exchange.base.test_trade import test_trade

    assert row.keys() == TRADE.keys()
    check_kinds(row, TRADE, number)
    if number is float and "error" not in row["info"]:
        test_trade(theirs(), {}, name, row, row["symbol"], None, False)


def check_kinds(row: Mapping[str, Any], kinds: Mapping[str, Any], number: Any) -> None:
    """Each value is of its kind, or None where it is not known; lists and `info` are always there."""
    for key, kind in kinds.items():
        value, wanted = row[key], number if kind is numbers.Real else kind
        assert type(value) is wanted or (value is None and key not in ("info", "fees", "trades")), (key, value)
    for fee in [*row["fees"], *([row["fee"]] if row["fee"] else [])]:
        assert fee.keys() == {"currency", "cost"}
        assert fee["cost"] is None or type(fee["cost"]) is number


def validated(made: Any, number: Any = float) -> Any:
    """The calls, of which each returned dict is checked before whoever called gets it."""

    def checking(name: str, call: Callable[..., Any], check: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(call)
        async def checked(*args: Any, **more: Any) -> Any:
            told = await call(*args, **more)
            for row in told if isinstance(told, list) else [told]:
                check(row, name, number)
            return told

        return checked

    for names, check in ((ORDERS, check_order), (TRADES, check_trade)):
        for name in names:
            setattr(made, name, checking(name, getattr(made, name), check))
    return made
