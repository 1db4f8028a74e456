"""ccxt's shorthands of `create_order`, `edit_order` and `cancel_order`."""

from __future__ import annotations

from typing import Any, Protocol

from ccxt.base import errors as ccxt

from orderbridge.ccxt_face.arguments import Params
from orderbridge.ccxt_face.dicts import Row


class _Orders(Protocol):
    async def create_order(
        self, symbol: str, type: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row: ...
    async def edit_order(
        self, id: str, symbol: str, type: str, side: str, amount: Any = None, price: Any = None, params: Params = None
    ) -> Row: ...
    async def cancel_order(self, id: str, symbol: str | None = None, params: Params = None) -> Row: ...


class Family:
    """Each is one call of another, with some of its arguments filled in."""

    async def create_limit_order(
        self: _Orders, symbol: str, side: str, amount: Any, price: Any, params: Params = None
    ) -> Row:
        """An order that trades at `price` or better."""
        return await self.create_order(symbol, "limit", side, amount, price, params)

    async def create_market_order(
        self: _Orders, symbol: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """An order that trades at once, at the market's prices; `price` is ignored, as in ccxt."""
        return await self.create_order(symbol, "market", side, amount, price, params)

    async def create_limit_buy_order(self: _Orders, symbol: str, amount: Any, price: Any, params: Params = None) -> Row:
        """Buy at `price` or below."""
        return await self.create_order(symbol, "limit", "buy", amount, price, params)

    async def create_limit_sell_order(
        self: _Orders, symbol: str, amount: Any, price: Any, params: Params = None
    ) -> Row:
        """Sell at `price` or above."""
        return await self.create_order(symbol, "limit", "sell", amount, price, params)

    async def create_market_buy_order(self: _Orders, symbol: str, amount: Any, params: Params = None) -> Row:
        """Buy so much of the base at the market's prices."""
        return await self.create_order(symbol, "market", "buy", amount, None, params)

    async def create_market_sell_order(self: _Orders, symbol: str, amount: Any, params: Params = None) -> Row:
        """Sell so much of the base at the market's prices."""
        return await self.create_order(symbol, "market", "sell", amount, None, params)

    async def create_market_order_with_cost(
        self: _Orders, symbol: str, side: str, cost: Any, params: Params = None
    ) -> Row:
        """Trade at market for so much of the quote."""
        told = _told(params, cost=_needed(cost, "cost"))
        return await self.create_order(symbol, "market", side, None, None, told)

    async def create_market_buy_order_with_cost(self: _Orders, symbol: str, cost: Any, params: Params = None) -> Row:
        """Buy at market for so much of the quote."""
        told = _told(params, cost=_needed(cost, "cost"))
        return await self.create_order(symbol, "market", "buy", None, None, told)

    async def create_market_sell_order_with_cost(self: _Orders, symbol: str, cost: Any, params: Params = None) -> Row:
        """Sell at market for so much of the quote."""
        told = _told(params, cost=_needed(cost, "cost"))
        return await self.create_order(symbol, "market", "sell", None, None, told)

    async def create_trigger_order(
        self: _Orders,
        symbol: str,
        type: str,
        side: str,
        amount: Any,
        price: Any = None,
        triggerPrice: Any = None,
        params: Params = None,
    ) -> Row:
        """An order that begins once the market reaches `triggerPrice`."""
        told = _told(params, triggerPrice=_needed(triggerPrice, "triggerPrice"))
        return await self.create_order(symbol, type, side, amount, price, told)

    async def create_stop_order(
        self: _Orders,
        symbol: str,
        type: str,
        side: str,
        amount: Any,
        price: Any = None,
        triggerPrice: Any = None,
        params: Params = None,
    ) -> Row:
        """As `create_trigger_order`."""
        told = _told(params, triggerPrice=_needed(triggerPrice, "triggerPrice"))
        return await self.create_order(symbol, type, side, amount, price, told)

    async def create_stop_limit_order(
        self: _Orders, symbol: str, side: str, amount: Any, price: Any, triggerPrice: Any, params: Params = None
    ) -> Row:
        """A limit order that begins once the market reaches `triggerPrice`."""
        told = _told(params, triggerPrice=_needed(triggerPrice, "triggerPrice"))
        return await self.create_order(symbol, "limit", side, amount, price, told)

    async def create_stop_market_order(
        self: _Orders, symbol: str, side: str, amount: Any, triggerPrice: Any, params: Params = None
    ) -> Row:
        """An order at market that begins once the market reaches `triggerPrice`."""
        told = _told(params, triggerPrice=_needed(triggerPrice, "triggerPrice"))
        return await self.create_order(symbol, "market", side, amount, None, told)

    async def create_stop_loss_order(
        self: _Orders,
        symbol: str,
        type: str,
        side: str,
        amount: Any,
        price: Any = None,
        stopLossPrice: Any = None,
        params: Params = None,
    ) -> Row:
        """As `create_trigger_order`, to end a loss."""
        told = _told(params, stopLossPrice=_needed(stopLossPrice, "stopLossPrice"))
        return await self.create_order(symbol, type, side, amount, price, told)

    async def create_take_profit_order(
        self: _Orders,
        symbol: str,
        type: str,
        side: str,
        amount: Any,
        price: Any = None,
        takeProfitPrice: Any = None,
        params: Params = None,
    ) -> Row:
        """An order that begins once the market reaches `takeProfitPrice`, to take a gain."""
        told = _told(params, takeProfitPrice=_needed(takeProfitPrice, "takeProfitPrice"))
        return await self.create_order(symbol, type, side, amount, price, told)

    async def create_post_only_order(
        self: _Orders, symbol: str, type: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """An order that never takes from the book."""
        return await self.create_order(symbol, type, side, amount, price, _told(params, postOnly=True))

    async def create_reduce_only_order(
        self: _Orders, symbol: str, type: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """An order that only reduces a holding."""
        return await self.create_order(symbol, type, side, amount, price, _told(params, reduceOnly=True))

    async def edit_limit_order(
        self: _Orders, id: str, symbol: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """As `edit_order`, of a limit order."""
        return await self.edit_order(id, symbol, "limit", side, amount, price, params)

    async def edit_limit_buy_order(
        self: _Orders, id: str, symbol: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """As `edit_order`, of a limit buy."""
        return await self.edit_order(id, symbol, "limit", "buy", amount, price, params)

    async def edit_limit_sell_order(
        self: _Orders, id: str, symbol: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """As `edit_order`, of a limit sell."""
        return await self.edit_order(id, symbol, "limit", "sell", amount, price, params)

    async def edit_order_with_client_order_id(
        self: _Orders,
        clientOrderId: str,
        symbol: str,
        type: str,
        side: str,
        amount: Any = None,
        price: Any = None,
        params: Params = None,
    ) -> Row:
        """As `edit_order`, by the caller's own id."""
        told = _told(params, clientOrderId=_needed(clientOrderId, "clientOrderId"))
        return await self.edit_order("", symbol, type, side, amount, price, told)

    async def cancel_order_with_client_order_id(
        self: _Orders, clientOrderId: str, symbol: str | None = None, params: Params = None
    ) -> Row:
        """As `cancel_order`, by the caller's own id."""
        told = _told(params, clientOrderId=_needed(clientOrderId, "clientOrderId"))
        return await self.cancel_order("", symbol, told)

    async def cancel_unified_order(self: _Orders, order: Row, params: Params = None) -> Row:
        """Cancel an order that is held as a dict."""
        return await self.cancel_order(order["id"], order["symbol"], params)


def _told(params: Params, **more: Any) -> dict[str, Any]:
    # A dict of its own each time: the caller's is never written to.
    return {**(params or {}), **more}


def _needed(value: Any, name: str) -> Any:
    if value is None:
        raise ccxt.ArgumentsRequired(f"{name} is needed")
    return value
