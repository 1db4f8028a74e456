"""
ccxt's classes with the order calls taken over: as subclasses at their first use, or patched in place.

What is overridden are the calls that reach an exchange by themselves. ccxt's shorthands, such as
`create_limit_buy_order`, end in one of these.
"""

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial, wraps
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from ccxt.base import errors as ccxt

from orderbridge.ccxt import bridges
from orderbridge.ccxt.arguments import COSTS, TRIGGERS, exact
from orderbridge.ccxt.errors import as_ccxt_errors, translated
from orderbridge.errors import OrderBridgeError, PartialList

# By ccxt's name, the call that answers it. What some exchanges have beside ccxt's own names is the same by another.
_CALLS: Final[Mapping[str, str]] = {
    **{
        name: name
        for name in (
            *("create_order", "create_orders", "edit_order", "edit_orders"),
            *("cancel_order", "cancel_orders", "cancel_all_orders", "cancel_orders_for_symbols"),
            *("fetch_order", "fetch_orders", "fetch_open_orders"),
            *("fetch_closed_orders", "fetch_canceled_orders", "fetch_canceled_and_closed_orders"),
            *("fetch_my_trades", "fetch_order_trades"),
        )
    },
    **dict.fromkeys(("create_spot_order", "create_uta_order"), "create_order"),
    **dict.fromkeys(("create_market_order_with_cost", "create_market_buy_order_with_cost"), "create_order"),
    "create_market_sell_order_with_cost": "create_order",
    **dict.fromkeys(("create_spot_orders", "create_uta_orders"), "create_orders"),
    "edit_spot_order": "edit_order",
    **dict.fromkeys(("cancel_spot_order", "cancel_uta_order"), "cancel_order"),
    **dict.fromkeys(("cancel_uta_orders", "cancel_orders_with_client_order_ids"), "cancel_orders"),
    **dict.fromkeys(("cancel_all_spot_orders", "cancel_all_uta_orders"), "cancel_all_orders"),
}
# The bridge's go back as far as they are told to, and ccxt's as far as the exchange shows.
_HISTORIES: Final = frozenset(
    {"fetch_orders", "fetch_closed_orders", "fetch_canceled_orders", "fetch_canceled_and_closed_orders"}
)
_PACKAGES: Final = ("ccxt", "ccxt.async_support", "ccxt.pro")
# Where the orders of a call are that are none of a spot market: in `type`, `marginMode`, or as exchanges spell it.
_ELSEWHERE: Final = re.compile("margin|cross|isolated|swap|future|delivery|option|linear|inverse|contract")
_MARKET_WORDS: Final = ("type", "defaultType", "marginMode", "tdMode", "category", "instType", "subType", "productType")
_MARGIN: Final = ("margin", "portfolioMargin", "papi")
_REQUIRES_PRICE: Final = "createMarketBuyOrderRequiresPrice"
# Where ccxt reads that option, which is on unless it is switched off; elsewhere it is ignored. And where of those a
# market buy is by its cost only if the target is the quote.
_READS_IT: Final = frozenset(
    {
        *("bigone", "bitget", "bithumb", "bittrade", "btse", "coinbase", "coinex", "coinsph", "cryptocom"),
        *("cryptomus", "digifinex", "gate", "gateeu", "htx", "indodax", "lbank", "myokx", "okx", "okxus"),
        *("poloniex", "tokocrypto", "upbit", "xt"),
    }
)
_BUY_BY_TARGET: Final = frozenset({"okx", "okxus", "myokx"})
# Where ccxt reads it of several orders only: the amount of one is of the base, unless that is switched off.
_READS_IT_OF_SEVERAL: Final = frozenset({"cryptocom"})
# Where a price beside an order at market, of either side, makes amount times price its cost; those of them where it
# does not if the order waits for a trigger; and where ccxt refuses such a price.
_COST_BY_PRICE: Final = frozenset(
    {
        *("aster", "binance", "binanceus", "bingx", "bitvavo", "bybit", "bybiteu", "bybitid", "coinbaseexchange"),
        *("mexc", "phemex", "woo"),
    }
)
_STOPS_IN_BASE: Final = frozenset({"aster", "binance", "binanceus"})
_NO_PRICE: Final = frozenset({"deepcoin"})
# Where ccxt takes a trigger that says no more for one that takes a gain, and everywhere else it stops a loss.
_TURNED: Final = frozenset({"coinbase"})
_BARE_TRIGGERS: Final = ("triggerPrice", "stopPrice", "stop_price")
# Where ccxt takes a pair for the contract of it, if the object is set to contracts.
_PAIR_BY_TYPE: Final = frozenset({"binance", "binanceus"})
# Where ccxt places on margin if the object is set to it.
_MARGIN_BY_TYPE: Final = frozenset({"bequant", "cryptocom", "digifinex", "fmfwio", "hitbtc"})
_PATCHED: Final = "_orderbridge_patched"
# What a gateway marks the object by that it has: its calls are the gateway's own.
_OF_A_GATEWAY: Final = "orderbridge_in_use"
_OURS: Final = ("OrderNotPlaced", "OrderOutcomeUnknown", "StrayFilled")

_is_passed: Final[ContextVar[bool]] = ContextVar("orderbridge_ccxt_passed", default=False)
_made: Final[dict[type, type]] = {}


@contextmanager
def _passed() -> Iterator[None]:
    """What ccxt calls of itself, within a call that is passed to it, goes to ccxt too."""
    token = _is_passed.set(True)
    try:
        yield
    finally:
        _is_passed.reset(token)


class _NotOurs(Exception):
    """A call that is no spot market's: it goes to ccxt."""


class _Routed:
    """One order call of one class: whose it is, and what is asked of whom."""

    def __init__(self, name: str, genuine: Callable[..., Any]) -> None:
        self.name = name
        self.genuine = genuine
        self.target = _CALLS[name.removesuffix("_ws")]
        self._signature = inspect.signature(genuine)
        _, *known = self._signature.parameters.values()
        self._names = {each.name: each for each in known if each.kind is each.POSITIONAL_OR_KEYWORD}
        self._needed = {each.name for each in known if each.default is each.empty}

    def told(self, exchange: Any, args: tuple[Any, ...], more: Mapping[str, Any]) -> dict[str, Any] | None:
        """The arguments by their names; None where a call is ccxt's own. TypeError: they are not those of the call."""
        if _is_passed.get() or _OF_A_GATEWAY in vars(exchange):
            return None
        if bridges.is_over():
            if self.target.startswith(("create", "edit")):
                raise ccxt.ExchangeNotAvailable(f"{exchange.id}: the program is ending: nothing was sent")
            return None
        told = {**dict(zip(self._names, args, strict=False)), **more}
        if len(told) < len(args) + len(more) or not self._needed <= told.keys() <= self._names.keys():
            # It says what is wrong; one that fits it knows in ten times as long.
            _, *bound = self._signature.bind(exchange, *args, **more).arguments.items()
            return dict(bound)
        return told

    def needs_markets(self, exchange: Any, told: Mapping[str, Any]) -> bool:
        """True where it takes the markets to tell which is named."""
        named = [row.get("symbol") for row in _rows(told)] or [told.get("symbol")]
        return not exchange.markets and any(_is_looked_up(exchange, each) for each in named)

    def step(self, exchange: Any, told: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
        """
        What is to be awaited in the thread of the bridges.

        Raises:
            _NotOurs, Uncovered: it is a call of ccxt's.
        """
        params = told.get("params") or {}
        rows = [{**row, "params": {**params, **(row.get("params") or {})}} for row in _rows(told)]
        are_spot = {self._is_spot(exchange, each) for each in rows or [told]}
        if len(are_spot) > 1:
            raise ccxt.NotSupported(f"{exchange.id} {self.name}(): several orders at once are all of spot markets here")
        if are_spot == {False}:
            raise _NotOurs(f"{self.name}() of {told.get('symbol') or 'contracts or margin'}")
        if self.target in _HISTORIES and told.get("since") is None:
            raise ccxt.NotSupported("without since the whole history is meant")
        if self.target == "create_order":
            return bridges.calling(exchange, self.target, self._created(exchange, told))
        if self.target == "create_orders":
            created = [self._created(exchange, row) for row in rows]
            return bridges.calling(exchange, self.target, {"orders": created or told["orders"]})
        if self.target == "edit_orders":
            return bridges.calling(exchange, self.target, {"orders": rows or told["orders"]})
        if self.target == "cancel_orders_for_symbols":
            told = {**told, "orders": rows or told["orders"]}
        elif "clientOrderIds" in told:
            params = {**params, "clientOrderIds": told["clientOrderIds"]}
            told = {"ids": [], "symbol": told.get("symbol"), "params": params}
        return bridges.calling(exchange, self.target, told)

    def _is_spot(self, exchange: Any, told: dict[str, Any]) -> bool:
        """True of a spot market's order, whose symbol is spelled as ccxt does from here on."""
        symbol, params, options = told.get("symbol"), told.get("params") or {}, exchange.options
        words = [params[name] for name in _MARKET_WORDS if name in params]
        for name in ("marginMode", "defaultMarginMode"):
            # One that the exchange's own class has by itself does not speak of spot orders.
            if options.get(name) and options[name] != exchange.describe()["options"].get(name):
                words.append(options[name])
        if options.get("defaultType") == "margin" and bridges.name_of(exchange) in _MARGIN_BY_TYPE:
            return False
        if isinstance(symbol, str) and ":" in symbol:
            return False
        if _is_looked_up(exchange, symbol):
            market = exchange.market(symbol)
            told["symbol"] = market["symbol"]
            words.append(market["type"])
        elif symbol is None:
            first, *others = self.name.removesuffix("_ws").split("_")
            call = first + "".join(map(str.title, others))
            words.append(exchange.handle_market_type_and_params(call, None, params)[0])
        on_margin = any(params.get(name) or options.get(name) for name in _MARGIN)
        return not on_margin and not any(_ELSEWHERE.search(str(word).lower()) for word in words)

    def _created(self, exchange: Any, told: dict[str, Any]) -> dict[str, Any]:
        """The arguments of `create_order`, with the size of a market buy as ccxt means it at this exchange."""
        params = dict(told.get("params") or {})
        if "_with_cost" in self.name:
            side = told.get("side") or ("buy" if "_buy_" in self.name else "sell")
            params["cost"] = told["cost"]
            return {"symbol": told["symbol"], "type": "market", "side": side, "amount": None, "params": params}
        name, amount, price = bridges.name_of(exchange), told.get("amount"), told.get("price")
        type, side = str(told.get("type")).lower(), str(told.get("side")).lower()
        requires_price = True
        if type == "market" or _REQUIRES_PRICE in params:
            requires_price, params = exchange.handle_option_and_params(params, "createOrder", _REQUIRES_PRICE, True)
        told = {**told, "params": params}
        if name in _TURNED and _says(params, _BARE_TRIGGERS):
            text = "createOrder() waits for the other side by triggerPrice: give stopLossPrice or takeProfitPrice"
            raise ccxt.NotSupported(f"{exchange.id} {text}")
        if type != "market" or _says(params, COSTS):
            return told
        if price is not None and name in _NO_PRICE:
            raise ccxt.NotSupported(f"{exchange.id} createOrder() takes no price beside an order at market")
        if name in _COST_BY_PRICE:
            is_in_base = price is None or (name in _STOPS_IN_BASE and _says(params, TRIGGERS))
            return told if is_in_base else _sized(told, exact(amount, "amount") * exact(price, "price"))
        if side != "buy" or name not in _READS_IT or (requires_price and name in _READS_IT_OF_SEVERAL):
            return told
        if name in _BUY_BY_TARGET and params.pop("tgtCcy", exchange.options.get("tgtCcy")) != "quote_ccy":
            return told
        if requires_price and price is None:
            raise ccxt.InvalidOrder(
                f"{exchange.id} createOrder() requires the price of a market buy, as the cost is amount times price: "
                f"give one, or options['{_REQUIRES_PRICE}'] = False and the cost as the amount"
            )
        return _sized(told, exact(amount, "amount") * exact(price, "price") if requires_price else amount)

    def check_passing(self, exchange: Any, why: Exception) -> bool:
        """
        Warn once that ccxt's own call follows. True where that is one that the bridge could not answer.

        Raises:
            What came of it, as ccxt's, but for a read that is NotSupported, which ccxt may have where the gateway does
            not, and a list that may be one page of several. NotSupported: only spot orders are wanted.
        """
        if isinstance(why, OrderBridgeError):
            cause, why = why, translated(why)
            why.__cause__ = cause
        if isinstance(why, ccxt.BaseError):
            is_partial = isinstance(why.__cause__, PartialList)
            # A cancel of all orders may be sent again, and needs no list at most exchanges.
            passed = ("fetch_", "cancel_all_") if is_partial else ("fetch_",)
            if not self.name.startswith(passed) or not (is_partial or isinstance(why, ccxt.NotSupported)):
                raise why
            bridges.warn_once(exchange, self.name, f"{self.name}() is not answered by the bridge ({why})")
            return True
        with as_ccxt_errors():
            spot_only = bridges.settings_of(exchange)["spot_only"]
        if spot_only:
            raise ccxt.NotSupported(f"{exchange.id}: {why}: with spot_only nothing is passed to ccxt") from why
        bridges.warn_once(exchange, type(why).__name__, str(why))
        return False


def _is_looked_up(exchange: Any, symbol: Any) -> bool:
    """True of a symbol that is a market's id, or that means another market by what the object is set to."""
    if not isinstance(symbol, str) or ":" in symbol:
        return False
    is_set = exchange.options.get("defaultType") not in (None, "spot")
    return "/" not in symbol or (is_set and bridges.name_of(exchange) in _PAIR_BY_TYPE)


def _says(params: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(params.get(each) is not None for each in names)


def _sized(told: dict[str, Any], cost: Any) -> dict[str, Any]:
    """The order by its cost in place of an amount."""
    return {**told, "amount": None, "price": None, "params": {**told["params"], "cost": cost}}


def _rows(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The orders of a call that has several; none where they are no dicts, as they are refused then."""
    rows = told.get("orders")
    is_listed = isinstance(rows, (list, tuple)) and all(isinstance(row, Mapping) for row in rows)
    return [dict(row) for row in rows or ()] if is_listed else []


# What may come of a call that ccxt's own may follow.
_PASSABLE: Final = (_NotOurs, bridges.Uncovered, OrderBridgeError, ccxt.NotSupported, ccxt.BadResponse)


def _blocking(routed: _Routed) -> Callable[..., Any]:
    """An order call of a class without `await`."""
    genuine = routed.genuine

    @wraps(genuine)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        is_noted = False
        if (told := routed.told(self, args, more)) is not None:
            if routed.needs_markets(self, told):
                self.load_markets()
            try:  # nothing runs after the call: an interrupt there would lose an order that counts as told
                return bridges.thread().call(routed.step(self, told))
            except _PASSABLE as why:
                is_noted = routed.check_passing(self, why)
        with _passed():
            done = genuine(self, *args, **more)
        if is_noted:
            with as_ccxt_errors(), suppress(bridges.Uncovered):
                bridges.thread().call(bridges.calling(self, "_note_shown", {"rows": done}))
        return done

    return call


def _awaited(routed: _Routed) -> Callable[..., Any]:
    """An order call of a class with `await`: `_blocking`, word for word but for those that wait."""
    genuine = routed.genuine

    @wraps(genuine)
    async def call(self: Any, *args: Any, **more: Any) -> Any:
        is_noted = False
        if (told := routed.told(self, args, more)) is not None:
            if routed.needs_markets(self, told):
                await self.load_markets()
            try:
                return await bridges.thread().awaited(routed.step(self, told))
            except _PASSABLE as why:
                is_noted = routed.check_passing(self, why)
        with _passed():
            done = await genuine(self, *args, **more)
        if is_noted:
            with as_ccxt_errors(), suppress(bridges.Uncovered):
                await bridges.thread().awaited(bridges.calling(self, "_note_shown", {"rows": done}))
        return done

    return call


def _nonce(genuine: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(genuine)
    def nonce(self: Any) -> Any:
        if _OF_A_GATEWAY in vars(self):
            return genuine(self)
        return bridges.nonce_of(self, partial(genuine, self))

    return nonce


def _overrides(kind: type) -> dict[str, Any]:
    """What takes the orders of a genuine class over, by name."""
    made: dict[str, Any] = {}
    ours = _blocking if kind.__module__.rpartition(".")[0] == "ccxt" else _awaited
    for name in (*_CALLS, *(f"{name}_ws" for name in _CALLS)):
        genuine = getattr(kind, name, None)
        if genuine is None or hasattr(genuine, _PATCHED):
            continue
        # Where there is no stream for orders there is nothing to be routed: ccxt says that it is not supported.
        streamed = getattr(kind, "create_order_ws", None) if "_with_cost" in name else genuine
        if name.endswith("_ws") and str(getattr(streamed, "__module__", "")).endswith("base.exchange"):
            continue
        # mexc has one of this name that takes a market.
        if name == "create_spot_order" and "symbol" not in inspect.signature(genuine).parameters:
            continue
        made[name] = ours(_Routed(name, genuine))
    genuine = getattr(kind, "nonce", None)
    if genuine is not None and not hasattr(genuine, _PATCHED):
        made["nonce"] = _nonce(genuine)
    for each in made.values():
        setattr(each, _PATCHED, True)
    return made


def _is_exchange(kind: type) -> bool:
    package, _, name = kind.__module__.rpartition(".")
    return package in _PACKAGES and name == kind.__name__


def made(genuine: type) -> type:
    """Our class in place of a genuine one, derived as that one is: made once."""
    if genuine not in _made and _PATCHED not in vars(genuine):
        parents = [made(each) for each in genuine.__bases__ if _is_exchange(each)]
        module = f"orderbridge.{genuine.__module__.rpartition('.')[0]}"
        named = {"__module__": module, "__qualname__": genuine.__name__, "__doc__": genuine.__doc__}
        _made.setdefault(genuine, type(genuine.__name__, (genuine, *parents), {**_overrides(genuine), **named}))
    return _made.get(genuine, genuine)


def patch(module: ModuleType) -> None:
    """Take the orders over in ccxt's own class of an exchange's module, where it stands."""
    kind = vars(module).get(module.__name__.rpartition(".")[2])
    if isinstance(kind, type) and _is_exchange(kind) and _PATCHED not in vars(kind):
        for name, override in _overrides(kind).items():
            setattr(kind, name, override)
        setattr(kind, _PATCHED, True)


def mirrored(genuine: str, name: str) -> Any:
    """What has a name in the module of ours that stands for one of ccxt's."""
    if name in _OURS:
        return getattr(import_module("orderbridge.ccxt.errors"), name)
    if genuine == "ccxt" and f"ccxt.{name}" in _PACKAGES:
        return import_module(f"orderbridge.ccxt.{name}")
    module = import_module(genuine)
    if name == "__all__" and not hasattr(module, name):  # what a star import would bring without one
        return [each for each in dir(module) if not each.startswith("_")]
    value = getattr(module, name)
    return made(value) if isinstance(value, type) and _is_exchange(value) else value


def names_of(genuine: str) -> list[str]:
    """The names in that module."""
    return sorted({*dir(import_module(genuine)), *_OURS})
