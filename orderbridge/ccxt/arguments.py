"""
From the arguments of ccxt's calls to requests: as bots write them, and nothing dropped that would change the order.

A param is understood, under ccxt's name or an exchange's own; or it asks for what is no spot order, and is refused as
NotSupported, which frameworks handle; or it says what goes without saying; or it is passed on to the exchange, and is
then part of what makes two orders the same.
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final

from ccxt.base import errors as ccxt

from orderbridge.errors import OrderDenied
from orderbridge.gateway import Capabilities
from orderbridge.model.basics import EXACT, OrderType, Symbol, TimeInForce, add, multiply, parse_amount, plain
from orderbridge.model.request import Market, OrderRequest

Params = Mapping[str, Any] | None

# ccxt's name of the caller's own id, and those that exchanges have for it.
CLIENT_IDS: Final = (
    *("clientOrderId", "client_order_id", "origin_id", "newClientOrderId", "origClientOrderId", "clientOid"),
    *("client_oid", "clOrdId", "clOrdID", "cl_ord_id", "clOrderId", "orderLinkId", "client-order-id", "clientId"),
)
STOPS: Final = ("triggerPrice", "stopPrice", "stopLossPrice")
_GAIN: Final = "takeProfitPrice"
TRIGGERS: Final = (*STOPS, _GAIN)
COSTS: Final = ("cost", "quoteOrderQty", "quoteOrderQuantity")
# What tells some exchanges that the amount of an order at market is in quote.
_UNITS: Final = {"tgtCcy": "quote_ccy", "marketUnit": "quoteCoin"}
# What an order without leverage and positions is told not to be; where it is told to be, the gateway refuses it.
_NO_SPOT: Final = frozenset({"reduceOnly", "reduce_only", "closePosition", "hedged", "isIsolated", "test"})
# What asks for orders that wait for a price, of exchanges that keep those apart.
_APART: Final = frozenset({"trigger", "stop"})
# By name, what a spot order is said to be without being asked.
_OF_SPOT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("type", "category", "defaultType", "accountType", "marketType", "instType"), "spot"),
    "tdMode": "cash",
}
# ccxt's words, and those of exchanges: whether it trades at market, and its time in force. `stop…` and `takeprofit…`
# need a trigger.
_KINDS: Final[Mapping[str, tuple[bool, str | None]]] = {
    **dict.fromkeys(("limit", "stoplimit", "stoplosslimit", "takeprofitlimit"), (False, None)),
    **dict.fromkeys(("market", "stop", "stoploss", "stopmarket", "stoplossmarket"), (True, None)),
    **dict.fromkeys(("takeprofit", "takeprofitmarket"), (True, None)),
    **dict.fromkeys(("limitmaker", "postonly"), (False, "PO")),
    "ioc": (False, "IOC"),
    "fok": (False, "FOK"),
}
_LIVES: Final[Mapping[str, tuple[TimeInForce, bool]]] = {
    "GTC": (TimeInForce.GTC, False),
    "IOC": (TimeInForce.IOC, False),
    "FOK": (TimeInForce.FOK, False),
    **dict.fromkeys(("PO", "GTX"), (TimeInForce.GTC, True)),
}
_NO_MARKS: Final = str.maketrans("", "", "_- ")
_CENT: Final = Decimal("0.01")
_HALF: Final = Decimal("0.5")


def exact(value: Any, name: str) -> Decimal:
    """
    A number as its writer meant it: 0.1 is one tenth, and not what the nearest float is.

    Raises:
        InvalidOrder: no number, or none that can be sent.
    """
    if isinstance(value, float):
        value = float.__repr__(value)  # numpy's own repr names its class
    elif isinstance(value, bool) or not isinstance(value, (str, Decimal, int, Real)):
        raise ccxt.InvalidOrder(f"{name} is a number, not {value!r}")
    elif isinstance(value, (int, Integral)):
        value = int(value)
    elif not isinstance(value, (str, Decimal)):
        value = str(value)
    try:
        return parse_amount(value)
    except ValueError as error:
        raise ccxt.InvalidOrder(f"{name} {value}: {error}") from error


def cut(number: Decimal, step: Decimal | None) -> Decimal:
    """Towards zero to a multiple of the step, as ccxt does with amounts; as it is where no step is known."""
    return multiply(EXACT.divide_int(number, step), step) if step else number


def nearest(number: Decimal, step: Decimal | None) -> Decimal:
    """To the nearest multiple of the step, half of it upwards, as ccxt does with prices."""
    return cut(add(number, multiply(step, _HALF)), step) if step else number


def amount_of(value: Any, market: Market | None) -> Decimal:
    """An amount in base, cut to the market's step. InvalidOrder: nothing is left of it."""
    return _to_step(exact(value, "amount"), market.quantity_step if market else None, cut, "amount")


def price_of(value: Any, market: Market | None, name: str = "price") -> Decimal:
    """A price, brought to the market's step there. InvalidOrder: nothing is left of it."""
    number = exact(value, name)
    return _to_step(number, market.tick_at(number) if market else None, nearest, name)


def _to_step(number: Decimal, step: Decimal | None, way: Any, name: str) -> Decimal:
    if number <= 0:
        raise ccxt.InvalidOrder(f"{name} must be greater than zero, not {number}")
    there: Decimal = way(number, step)
    if not there:
        raise ccxt.InvalidOrder(f"{name} {number} must be at least one step of {step}")
    written = plain(there)
    return Decimal(written.rstrip("0").rstrip(".") if "." in written else written)


def symbol_of(value: Any) -> Symbol:
    """ArgumentsRequired, BadSymbol: none, or none of a spot market."""
    if value is None:
        raise ccxt.ArgumentsRequired("a symbol is needed")
    try:
        return Symbol(value)
    except ValueError as error:
        raise ccxt.BadSymbol(f"{error}; contracts are not traded here") from error


def id_of(value: Any) -> str:
    """An order's id, which bots that keep ids in a table have as a number. ArgumentsRequired: none."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        value = str(int(value))
    if not isinstance(value, str) or not value:
        raise ccxt.ArgumentsRequired(f"an id is a text, not {value!r}")
    return value


def given(params: Params) -> dict[str, Any]:
    """The params that say something: not those that are None, nor those that say what goes without saying at spot."""
    if params is None or params == {}:
        return {}
    if not isinstance(params, Mapping):
        raise ccxt.BadRequest(f"params is a dict, not {params!r}")
    told = {str(name): value for name, value in params.items() if value is not None}
    return {name: value for name, value in told.items() if not _goes_without_saying(name, value)}


def _goes_without_saying(name: str, value: Any) -> bool:
    if name in _NO_SPOT or name in _APART:
        return value is False
    return name in _OF_SPOT and isinstance(value, str) and value.lower() == _OF_SPOT[name]


def told_of(params: Params, *known: str) -> dict[str, Any]:
    """The params of a call that passes none on. NotSupported: one that is not known would be ignored."""
    told = given(params)
    told.pop("recvWindow", None)
    refuse(set(told) - set(known))
    return told


def refuse(unknown: Collection[str]) -> None:
    """NotSupported: there are such params."""
    if unknown:
        raise ccxt.NotSupported(f"params {', '.join(sorted(unknown))} are not known here, and are not ignored")


def client_id(params: Mapping[str, Any]) -> str | None:
    """The caller's own id of an order, under whichever name. BadRequest: two different ones, or none that is one."""
    ids = {str(params[name]) for name in CLIENT_IDS if name in params}
    if len(ids) > 1:
        raise ccxt.BadRequest(f"clientOrderId is told twice: {', '.join(sorted(ids))}")
    if "" in ids:
        raise ccxt.BadRequest("clientOrderId is empty")
    return ids.pop() if ids else None


def request_of(
    symbol: Symbol,
    type: Any,
    side: Any,
    amount: Any,
    price: Any,
    params: Params,
    *,
    market: Market | None,
    can: Capabilities,
) -> OrderRequest:
    """
    The request that a call of `create_order` asks for; the client order id is the key of its placement too.

    Raises:
        NotSupported, BadRequest, ArgumentsRequired, InvalidOrder: it means nothing, or nothing that is placed here.
    """
    told = given(params)
    folded, at_market, lives = kind_of(type)
    if folded == "stop" and price is not None:
        at_market = False  # as exchanges that have the word take it
    stop, takes_gain = trigger_of(told, market, gain=folded.startswith("takeprofit")) if told else (None, False)
    if stop is None and folded.startswith(("stop", "takeprofit")):
        raise ccxt.ArgumentsRequired(f"a {type} order needs a triggerPrice")
    if not at_market and price is None:
        raise ccxt.ArgumentsRequired("a limit order needs a price")
    life, post_only = _life(told, lives)
    try:
        return OrderRequest(
            symbol=symbol,
            side=side,
            type=_type(at_market=at_market, stop=stop is not None, gain=takes_gain),
            **_size(amount, told, market, at_market=at_market),
            # As ccxt documents it: the price of a market order is ignored.
            price=None if at_market else price_of(price, market),
            stop_price=stop,
            time_in_force=life,
            post_only=post_only,
            reduce_only=can.reduce_only and bool(_flag(told, "reduceOnly")),
            client_order_id=client_id(told) if told else None,
            options=_passed_on(told, can) if told else {},
        )
    except OrderDenied as error:
        raise ccxt.InvalidOrder(str(error)) from error


def kind_of(type: Any) -> tuple[str, bool, str | None]:
    """A word for orders without its marks, whether they trade at market, and their life. NotSupported: none of ours."""
    folded = type.lower().translate(_NO_MARKS) if isinstance(type, str) else ""
    if folded not in _KINDS:
        raise ccxt.NotSupported(f"orders of type {type!r} are not placed here")
    return folded, *_KINDS[folded]


def changes_of(type: Any, amount: Any, price: Any, told: Mapping[str, Any], market: Market | None) -> dict[str, Any]:
    """
    The fields of a request that a call of `edit_order` wants to be otherwise.

    Raises:
        NotSupported, BadRequest, InvalidOrder: it means nothing. ArgumentsRequired: it changes nothing.
    """
    stop, _ = trigger_of(told, market)
    changes: dict[str, Any] = {} if stop is None else {"stop_price": stop}
    if amount is not None:
        changes["quantity"] = amount_of(amount, market)
    if price is not None:
        changes["price"] = price_of(price, market)
    of_type = None if type is None else kind_of(type)[2]
    life, post_only = _life(told, of_type)
    if of_type in ("IOC", "FOK") or "timeInForce" in told:
        changes["time_in_force"] = life
    if post_only or "postOnly" in told:
        changes["post_only"] = post_only
    if not changes:
        raise ccxt.ArgumentsRequired("an edit changes the amount, the price, the trigger or how it trades")
    return changes


def _type(*, at_market: bool, stop: bool, gain: bool) -> OrderType:
    if gain:
        return OrderType.TAKE_PROFIT
    if stop:
        return OrderType.STOP_LOSS if at_market else OrderType.STOP_LIMIT
    return OrderType.MARKET if at_market else OrderType.LIMIT


def _size(amount: Any, told: Mapping[str, Any], market: Market | None, *, at_market: bool) -> dict[str, Any]:
    """The size in base, or of an order at market in quote; of two sizes the one in quote, as in ccxt."""
    cost = next((told[name] for name in COSTS if name in told), None) if told else None
    if at_market and told and cost is None and any(told.get(name) == word for name, word in _UNITS.items()):
        cost = amount
    if cost is None:
        if amount is None:
            raise ccxt.ArgumentsRequired("an amount is needed, or for an order at market a cost")
        return {"quantity": amount_of(amount, market)}
    if not at_market:
        raise ccxt.InvalidOrder("cost sizes orders at market; a limit order has an amount")
    number = exact(cost, "cost")
    tick = market.tick_at(number) if market else None
    if tick and market and market.price_digits is None:
        tick = min(tick, _CENT)
    return {"quote_quantity": _to_step(number, tick, cut, "cost")}


def trigger_of(told: Mapping[str, Any], market: Market | None, *, gain: bool = False) -> tuple[Decimal | None, bool]:
    """The price that an order waits for, if any, and whether it takes a gain there. BadRequest: several."""
    prices = {name: price_of(told[name], market, name) for name in TRIGGERS if name in told}
    if len(set(prices.values())) > 1 or (_GAIN in prices and len(prices) > 1):
        raise ccxt.BadRequest(f"one trigger is possible, not {', '.join(prices)}")
    return next(iter(prices.values()), None), bool(prices) and (gain or _GAIN in prices)


def _life(told: Mapping[str, Any], of_type: str | None) -> tuple[TimeInForce, bool]:
    flag = _flag(told, "postOnly")
    word = told.get("timeInForce", of_type or "GTC")
    known = _LIVES.get(word.upper()) if isinstance(word, str) else None
    if known is None:
        raise ccxt.NotSupported(f"timeInForce is one of {', '.join(_LIVES)}, not {word!r}")
    life, post_only = known
    post_only = post_only or of_type == "PO"
    if post_only and flag is False:
        raise ccxt.BadRequest("timeInForce PO and postOnly False contradict each other")
    return life, post_only or bool(flag)


def _flag(told: Mapping[str, Any], name: str) -> bool | None:
    value = told.get(name)
    if value is not None and not isinstance(value, bool):
        raise ccxt.BadRequest(f"{name} is True or False, not {value!r}")
    return value


# What an edit may say of an order.
EDITED: Final = frozenset({*CLIENT_IDS, *STOPS, "postOnly", "timeInForce"})
_UNDERSTOOD: Final = frozenset({*CLIENT_IDS, *TRIGGERS, *COSTS, *_UNITS, "postOnly", "timeInForce"})


def _passed_on(told: Mapping[str, Any], can: Capabilities) -> dict[str, Any]:
    """What is left of the params, as the request's options. NotSupported: nothing of that name is taken."""
    known = {*_UNDERSTOOD, "reduceOnly"} if can.reduce_only else _UNDERSTOOD
    rest = {name: _plain(value) for name, value in told.items() if name not in known}
    refused = [] if can.any_options else sorted(set(rest) - can.options)
    if refused:
        raise ccxt.NotSupported(f"params {', '.join(refused)} are not placed here, and are not ignored")
    return rest if can.any_options else {name: str(value) for name, value in rest.items()}


def _plain(value: Any) -> Any:
    """A param as JSON has it; numpy's numbers, and what JSON has not, by their text."""
    return json.loads(json.dumps(value, default=str))


def window(since: Any, limit: Any) -> tuple[int | None, int | None]:
    """Milliseconds since 1970 and a number of rows, which may be floats. BadRequest: they are neither."""
    return _whole(since, "since"), _whole(limit, "limit") or None


def _whole(value: Any, name: str) -> int | None:
    if value is None:
        return None
    try:
        if not isinstance(value, (bool, str)) and value >= 0:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ccxt.BadRequest(f"{name} is a number of {'milliseconds' if name == 'since' else 'rows'}, not {value!r}")


def moment(since: int) -> datetime:
    """The moment of so many milliseconds since 1970. BadRequest: there is none."""
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=since)
    except OverflowError as error:
        raise ccxt.BadRequest(f"since is milliseconds since 1970, not {since}") from error
