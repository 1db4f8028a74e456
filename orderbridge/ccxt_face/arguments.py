"""From the arguments of ccxt's `create_order` to a request: what is not understood is refused, never dropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from ccxt.base import errors as ccxt

from orderbridge.ccxt_face.amounts import ToStep, cut, exact, nearest, text
from orderbridge.errors import OrderDenied
from orderbridge.gateway import Capabilities
from orderbridge.model.basics import OrderType, Side, Symbol, TimeInForce
from orderbridge.model.request import Market, OrderRequest

Params = Mapping[str, Any] | None

# The unified name, and the two that ccxt's users write for Bitso and others in its place.
CLIENT_IDS: Final = ("clientOrderId", "client_order_id", "origin_id")
_STOPS: Final = ("triggerPrice", "stopPrice", "stopLossPrice")
_GAIN: Final = "takeProfitPrice"
_OTHERS: Final = ("postOnly", "timeInForce", "reduceOnly", "cost")
_CENT: Final = Decimal("0.01")
KNOWN: Final = (*CLIENT_IDS, *_STOPS, _GAIN, *_OTHERS)
# By ccxt's words: our time in force, and whether the order is post-only.
_LIVES: Final[Mapping[str, tuple[TimeInForce, bool | None]]] = {
    "GTC": (TimeInForce.GTC, None),
    "IOC": (TimeInForce.IOC, None),
    "FOK": (TimeInForce.FOK, None),
    "PO": (TimeInForce.GTC, True),
}


@dataclass(frozen=True)
class KeyedRequest:
    """An order to be placed; `key` is the caller's clientOrderId, which is the key of its placement too."""

    request: OrderRequest
    key: str | None


@dataclass(frozen=True)
class Steps:
    """How amounts and prices are brought to a market's steps; without a market they stay as they are."""

    market: Market | None
    is_rounding: bool

    def amount(self, value: Any) -> Decimal:
        """An amount in base; InvalidOrder where nothing is left of it."""
        return self._to(
            exact(value, "amount"), None if self.market is None else self.market.quantity_step, cut, "amount"
        )

    def price(self, value: Any, name: str = "price") -> Decimal:
        """A price; InvalidOrder where nothing is left of it."""
        step = None if self.market is None else self.market.price_tick
        return self._to(exact(value, name), step, nearest, name)

    def cost(self, value: Any) -> Decimal:
        """A value in quote: cut to the step of prices, and to hundredths where that is coarser."""
        tick = None if self.market is None else self.market.price_tick
        return self._to(exact(value, "cost"), None if tick is None else min(tick, _CENT), cut, "cost")

    def _to(self, number: Decimal, step: Decimal | None, way: ToStep, name: str) -> Decimal:
        if number <= 0:
            raise ccxt.InvalidOrder(f"{name} must be greater than zero, not {number}")
        there = way(number, step) if self.is_rounding else number
        if not there:
            raise ccxt.InvalidOrder(f"{name} {number} must be at least one step of {step}")
        return Decimal(text(there))


def checked_symbol(symbol: Any) -> Symbol:
    """ArgumentsRequired, BadSymbol: none, or none of a spot market."""
    if symbol is None:
        raise ccxt.ArgumentsRequired("a symbol is needed")
    try:
        return Symbol(symbol)
    except ValueError as error:
        raise ccxt.BadSymbol(f"{error}; contracts are not traded here") from error


def given(params: Params, *known: str) -> dict[str, Any]:
    """The params that are not None. NotSupported: one that is not known would be ignored."""
    if params is not None and not isinstance(params, Mapping):
        raise ccxt.BadRequest(f"params is a dict, not {params!r}")
    told = {name: value for name, value in (params or {}).items() if value is not None}
    unknown = [str(name) for name in told if name not in known]
    if unknown:
        listed = ", ".join(known) or "none"
        raise ccxt.NotSupported(f"params {', '.join(unknown)} are not known here, and are not ignored; known: {listed}")
    return told


def client_id(params: Mapping[str, Any]) -> str | None:
    """The caller's own id of an order, under whichever name. BadRequest: two different ones, or none that is one."""
    ids = {str(params[name]) for name in CLIENT_IDS if name in params}
    if len(ids) > 1:
        raise ccxt.BadRequest(f"clientOrderId is told twice: {', '.join(sorted(ids))}")
    if "" in ids:
        raise ccxt.BadRequest("clientOrderId is empty")
    return ids.pop() if ids else None


def request_of(
    symbol: Symbol, kind: Any, side: Any, amount: Any, price: Any, params: Params, *, steps: Steps, can: Capabilities
) -> KeyedRequest:
    """
    The request that a call of `create_order` asks for.

    Raises:
        NotSupported, BadRequest, ArgumentsRequired, InvalidOrder: it means nothing, or nothing that is known here.
    """
    told = given(params, *KNOWN, *sorted(can.options))
    at_market = _word(kind, "type", ("limit", "market")) == "market"
    stop, takes_gain = _trigger(told, steps)
    if not at_market and price is None:
        raise ccxt.ArgumentsRequired("a limit order needs a price")
    life, post_only = _life(told)
    key = client_id(told)
    try:
        request = OrderRequest(
            symbol=symbol,
            side=Side(_word(side, "side", ("buy", "sell"))),
            type=_type(at_market=at_market, stop=stop is not None, gain=takes_gain),
            **_size(amount, told, steps, at_market=at_market),
            # As ccxt documents it: the price of a market order is ignored.
            price=None if at_market else steps.price(price),
            stop_price=stop,
            time_in_force=life,
            post_only=post_only,
            reduce_only=_flag(told, "reduceOnly") or False,
            client_order_id=key,
            options={name: str(told[name]) for name in can.options if name in told},
        )
    except OrderDenied as error:
        raise ccxt.InvalidOrder(str(error)) from error
    return KeyedRequest(request, key)


def _word(value: Any, name: str, words: tuple[str, ...]) -> str:
    folded = value.strip().lower() if isinstance(value, str) else value
    if folded not in words:
        raise ccxt.InvalidOrder(f"{name} is one of {', '.join(words)}, not {value!r}")
    return str(folded)


def _type(*, at_market: bool, stop: bool, gain: bool) -> OrderType:
    if gain:
        return OrderType.TAKE_PROFIT
    if stop:
        return OrderType.STOP_LOSS if at_market else OrderType.STOP_LIMIT
    return OrderType.MARKET if at_market else OrderType.LIMIT


def _size(amount: Any, told: Mapping[str, Any], steps: Steps, *, at_market: bool) -> dict[str, Any]:
    if "cost" not in told:
        if amount is None:
            raise ccxt.ArgumentsRequired("an amount is needed, or for an order at market a cost")
        return {"quantity": steps.amount(amount)}
    if not at_market:
        raise ccxt.InvalidOrder("cost sizes orders at market; a limit order has an amount")
    if amount is not None and exact(amount, "amount"):
        raise ccxt.InvalidOrder("an amount and a cost are two sizes: give amount=None with a cost")
    return {"quote_quantity": steps.cost(told["cost"])}


def _trigger(told: Mapping[str, Any], steps: Steps) -> tuple[Decimal | None, bool]:
    prices = {name: steps.price(told[name], name) for name in (*_STOPS, _GAIN) if name in told}
    if len(set(prices.values())) > 1 or (_GAIN in prices and len(prices) > 1):
        raise ccxt.BadRequest(f"one trigger is possible, not {', '.join(prices)}")
    return next(iter(prices.values()), None), _GAIN in prices


def _life(told: Mapping[str, Any]) -> tuple[TimeInForce, bool]:
    flag = _flag(told, "postOnly")
    word = told.get("timeInForce", "GTC")
    known = _LIVES.get(word.upper()) if isinstance(word, str) else None
    if known is None:
        raise ccxt.NotSupported(f"timeInForce is one of {', '.join(_LIVES)}, not {word!r}")
    life, post_only = known
    if post_only and flag is False:
        raise ccxt.BadRequest("timeInForce PO and postOnly False contradict each other")
    return life, bool(post_only or flag)


def _flag(told: Mapping[str, Any], name: str) -> bool | None:
    value = told.get(name)
    if value is not None and not isinstance(value, bool):
        raise ccxt.BadRequest(f"{name} is True or False, not {value!r}")
    return value
