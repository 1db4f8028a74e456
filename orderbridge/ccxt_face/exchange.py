"""CcxtFace: ccxt's order calls over one gateway of a bridge."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from ccxt.base import errors as ccxt
from ccxt.base.exchange import Exchange

from orderbridge.ccxt_face.arguments import CLIENT_IDS, KeyedRequest, Params, checked_symbol, given, request_of
from orderbridge.ccxt_face.describing import features, has
from orderbridge.ccxt_face.dicts import Row, empty_row, order_row
from orderbridge.ccxt_face.errors import NoSuchCall, OrderOutcomeUnknown, as_ccxt_errors
from orderbridge.ccxt_face.family import Family
from orderbridge.ccxt_face.fetches import Fetches
from orderbridge.ccxt_face.rest_of import WHERE, Fixed, may_write, refuse_place, snake_case
from orderbridge.model.order import Order
from orderbridge.model.request import OrderEdit

C = TypeVar("C", bound=type)
_STOPS: Final = ("triggerPrice", "stopPrice")
# Of ccxt's helpers those that bots use for times, and that need no exchange.
_HELPERS: Final = frozenset({"milliseconds", "seconds", "microseconds", "iso8601", "parse8601"})
_WRITES_ORDERS: Final = re.compile(r"(create|edit|cancel)_(.+_)?orders?(_.+)?")
_READS_ORDERS: Final = re.compile(r"(fetch|watch)_((.+_)?orders?(?!_book)(_.+)?|my_trades.*)")


def with_camel_case(kind: C) -> C:
    """Give each public name of a class its camelCase twin, as ccxt has both."""
    for name in dir(kind):
        first, *others = name.split("_")
        if first and others:
            setattr(kind, first + "".join(map(str.title, others)), getattr(kind, name))
    return kind


@with_camel_case
class CcxtFace(Fetches, Family):
    """
    ccxt's order calls over one gateway of a bridge; made by `as_ccxt`.

    What it does otherwise than ccxt:

    - A create whose outcome is not known is resolved first. If that takes too long it raises `OrderOutcomeUnknown`,
      an ExchangeError, and the next create of that symbol and side is answered by that order once it is known: by
      its dict, if it asks for the same, over restarts too; else by one more `OrderOutcomeUnknown`, with its order_id.
      Nothing is sent meanwhile. A bot that fetched or cancelled that very order is past that; lists do not count.
    - `params["clientOrderId"]` is the key of the order: again with the same request it is the same order, ended or
      not, and nothing is sent; with another request it is DuplicateOrderId.
    - NetworkError from a create says that nothing was sent.
    - A param that is not known is NotSupported, and never ignored.
    - `cancel_order` tells how the order ended: `closed` if it had filled. `edit_order` changes it in place.
    - Status `canceled` has ccxt's spelling; cost and average come from trades, and are None where they are not known.

    Every other attribute is that of `rest_of`; what is no read there is NotSupported, and so is all that would move
    `rest_of` alone to a sandbox, an address or a key: orders stay where the gateway sends them.
    """

    # The calls.

    async def create_order(
        self, symbol: str, type: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """
        Place an order at most once, whoever repeats the call.

        Args:
            type: `limit` or `market`. A stop is one of these with a triggerPrice.
            amount: in base; a float is taken by its shortest text. None with a cost.
            price: quote per base; ignored for a market order.
            params: clientOrderId (client_order_id, origin_id), postOnly, timeInForce (GTC, IOC, FOK, PO),
                reduceOnly, triggerPrice (stopPrice, stopLossPrice), takeProfitPrice, cost (in quote, at market), and
                the gateway's own options.

        Raises:
            OrderOutcomeUnknown: sent, and perhaps live. OrderNotPlaced: sent, and proven not to be there.
            NetworkError: nothing was sent; try again.
            InvalidOrder, InsufficientFunds, BadSymbol, NotSupported and other ExchangeErrors: refused.
        """
        return order_row(await self._place(await self._asked(symbol, type, side, amount, price, params)))

    async def create_orders(self, orders: Sequence[Mapping[str, Any]], params: Params = None) -> list[Row]:
        """
        Place several orders at once, each of them as `create_order` does; each has its own verdict.

        Args:
            orders: dicts of symbol, type, side, amount, price and params. params: for each of them.

        Returns:
            In the order given. One that failed is told: `info["error"]` names ccxt's exception, and its status is
            `rejected`, or None where the order may be live.

        Raises:
            What is wrong with one of them before anything is sent.
        """
        if isinstance(orders, (str, Mapping)) or not isinstance(orders, Sequence):
            raise ccxt.ArgumentsRequired("orders is a list of dicts")
        asked = [await self._asked_of(order, params) for order in orders]
        return list(await asyncio.gather(*(self._verdict(each) for each in asked)))

    async def edit_order(
        self, id: str, symbol: str, type: str, side: str, amount: Any = None, price: Any = None, params: Params = None
    ) -> Row:
        """
        Change a working order in place; it keeps its id, and nothing is placed.

        Args:
            type, side: as the order has them; neither can be changed. amount: the new total, in base.
            params: triggerPrice (stopPrice) for a new trigger; clientOrderId with an empty id.

        Raises:
            InvalidOrder: it had ended, or the change is none. OrderNotFound. OrderOutcomeUnknown: sent, and perhaps
                changed: fetch the order.
        """
        told = given(params, *CLIENT_IDS, *_STOPS)
        ref = self._ref(id, {name: told[name] for name in CLIENT_IDS if name in told}, symbol)
        steps = await self._steps(checked_symbol(symbol))
        stops = {steps.price(told[name], name) for name in _STOPS if name in told}
        if len(stops) > 1:
            raise ccxt.BadRequest("one trigger is possible")
        changes: dict[str, Any] = {
            "quantity": None if amount is None else steps.amount(amount),
            "price": None if price is None else steps.price(price),
            "stop_price": next(iter(stops), None),
        }
        if not any(changes.values()):
            raise ccxt.ArgumentsRequired("an edit changes the amount, the price or the trigger")
        with as_ccxt_errors():
            order = await self._bridge.get(ref, timeout=self._timeout)
            self._check_same(order, symbol, type, side)
            edited = await self._bridge.edit(order, OrderEdit(**changes), timeout=self._timeout)
        await self._creates.shown(edited)
        return order_row(edited)

    async def cancel_order(self, id: str, symbol: str | None = None, params: Params = None) -> Row:
        """
        Cancel an order, and return it as it is after that: `canceled`, or `closed` if it had filled.

        Args:
            params: clientOrderId with an empty id.

        Raises:
            OrderNotFound: neither cancelled nor shown. RequestTimeout and other NetworkErrors: cancel it again.
        """
        ref = self._ref(id, params, symbol)
        with as_ccxt_errors(repeatable=True):
            order = await self._bridge.cancel(ref, timeout=self._timeout)
        await self._creates.shown(order)
        return order_row(order)

    async def cancel_orders(self, ids: Sequence[str], symbol: str | None = None, params: Params = None) -> list[Row]:
        """
        Cancel several orders, and return each as it is after that, in the order given.

        One that is not found has no status, and says so in `info["error"]`.

        Raises:
            The first other failure, once every one was tried.
        """
        given(params)
        if isinstance(ids, str) or not isinstance(ids, Sequence):
            raise ccxt.ArgumentsRequired("ids is a list")
        refs = [self._ref(id, None, symbol) for id in ids]
        return await self._cancel_each([str(ref.order_id) for ref in refs], [{} for _ in refs], symbol)

    async def cancel_orders_with_client_order_ids(
        self, clientOrderIds: Sequence[str], symbol: str | None = None, params: Params = None
    ) -> list[Row]:
        """As `cancel_orders`, by the caller's own ids."""
        given(params)
        if isinstance(clientOrderIds, str) or not isinstance(clientOrderIds, Sequence):
            raise ccxt.ArgumentsRequired("clientOrderIds is a list")
        told = [{"clientOrderId": id} for id in clientOrderIds]
        return await self._cancel_each([""] * len(told), told, symbol)

    async def _cancel_each(self, ids: list[str], params: list[dict[str, str]], symbol: str | None) -> list[Row]:
        calls = [self.cancel_order(id, symbol, told) for id, told in zip(ids, params, strict=True)]
        done = await asyncio.gather(*calls, return_exceptions=True)
        rows: list[Row] = []
        for id, told, each in zip(ids, params, done, strict=True):
            if isinstance(each, ccxt.OrderNotFound):
                rows.append(empty_row(id=id or None, **told, info=_error(each)))
            elif isinstance(each, BaseException):
                raise each
            else:
                rows.append(each)
        return rows

    async def cancel_all_orders(self, symbol: str | None = None, params: Params = None) -> list[Row]:
        """
        Cancel every open order of the account, or of one symbol, by whomever it was placed.

        Returns:
            Each as it is after that; `open` where the venue has not said that it is over.

        Raises:
            NetworkError: some may be live; cancel again.
        """
        given(params)
        wanted_symbol = None if symbol is None else checked_symbol(symbol)
        with as_ccxt_errors(repeatable=True):
            receipt = await self._bridge.cancel_all(
                scope="account", gateway=self._name, symbol=wanted_symbol, timeout=self._timeout
            )
            for failure in receipt.unreachable.values():
                raise self._failed(failure, "cancel_all")
        return [order_row(order) for order in receipt.orders]

    # Behind them.

    async def _asked(self, symbol: Any, type: Any, side: Any, amount: Any, price: Any, params: Params) -> KeyedRequest:
        known = checked_symbol(symbol)
        return request_of(known, type, side, amount, price, params, steps=await self._steps(known), can=self._can)

    async def _asked_of(self, order: Any, params: Params) -> KeyedRequest:
        fields = ("symbol", "type", "side", "amount", "price", "params")
        if not isinstance(order, Mapping) or set(order) - set(fields):
            raise ccxt.BadRequest(f"an order is a dict of {', '.join(fields)}, not {order!r}")
        own = {**(params or {}), **(order.get("params") or {})}
        symbol, type, side, amount, price = (order.get(field) for field in fields[:-1])
        return await self._asked(symbol, type, side, amount, price, own)

    async def _place(self, asked: KeyedRequest) -> Order:
        with as_ccxt_errors():
            return await self._creates.place(asked)

    async def _verdict(self, asked: KeyedRequest) -> Row:
        try:
            return order_row(await self._place(asked))
        except Exception as error:  # noqa: BLE001 - whatever happens to one hides none of the others
            is_over = isinstance(error, ccxt.BaseError) and not isinstance(error, OrderOutcomeUnknown)
            request = asked.request
            known = request.quantity, request.price, request.stop_price
            amount, price, stop = (None if each is None else float(each) for each in known)
            return empty_row(
                clientOrderId=asked.key,
                symbol=str(request.symbol),
                type="market" if request.price is None else "limit",
                side=request.side.value,
                amount=amount,
                price=price,
                stopPrice=stop,
                triggerPrice=stop,
                status="rejected" if is_over else None,
                info=_error(error),
            )

    def _check_same(self, order: Order, symbol: str, type: Any, side: Any) -> None:
        """Refuse an edit of what no edit can change: the bot means another order."""
        row = order_row(order)
        for name, told in (("symbol", symbol), ("type", type), ("side", side)):
            if told is not None and str(told).lower() != str(row[name]).lower():
                raise ccxt.InvalidOrder(f"the {name} of {order.order_id} is {row[name]}, and cannot be made {told}")

    # What else a ccxt object has.

    @property
    def has(self) -> Row:
        """Which calls are there, by ccxt's names."""
        known = has(self._can, self._rest_of)
        if self._rest_of is not None and not self._is_rest_the_same:
            others = [
                name for name in known if not hasattr(type(self), name) and _READS_ORDERS.fullmatch(snake_case(name))
            ]
            known |= dict.fromkeys(others, False)
        return known | {name: False for name, there in known.items() if there and self._is_refused(name)}

    @property
    def features(self) -> Row:
        """The params that the calls take."""
        return features(self._can)

    async def close(self) -> None:
        """Close the bridge and `rest_of`, unless the face was made with `owns=False`. Again, it does nothing."""
        if not self._owns:
            return
        self._owns = False
        try:
            await self._bridge.aclose()
        finally:
            await self._close_rest()

    async def _close_rest(self) -> None:
        call = getattr(self._rest_of, "close", None)
        done = call() if call is not None else None
        if inspect.isawaitable(done):
            await done

    async def __aenter__(self) -> Self:
        with as_ccxt_errors():
            await self._bridge.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if _WRITES_ORDERS.fullmatch(snake_case(name)):
            raise NoSuchCall(f"{self.id} {name}() is not there: orders are placed and cancelled by the bridge only")
        if self._rest_of is None and name in _HELPERS:
            return getattr(Exchange, name)
        if self._rest_of is None and name == "name":
            return self.id.capitalize()
        if self._rest_of is None and name == "enableRateLimit":
            return True
        if self._rest_of is None:
            raise NoSuchCall(f"{self.id} {name} is not there; with rest_of=… it would be that object's")
        if not self._is_rest_the_same and _READS_ORDERS.fullmatch(snake_case(name)):
            raise NoSuchCall(f"{self.id} {name}() is not there: at {self._rest_of.id} there are other orders")
        if self._is_refused(name):
            why = "through the face the exchange is only read, and orders are placed and cancelled by the bridge only"
            raise NoSuchCall(f"{self.id} {name}() is not there: {why}; rest_of itself has what is not about orders")
        value = getattr(self._rest_of, name)
        return Fixed(value, name=name, gateway=self._name) if name == "urls" and isinstance(value, Mapping) else value

    def _is_refused(self, name: str) -> bool:
        """True of a method of `rest_of` only, and of one that is not known to read."""
        is_rests = not hasattr(type(self), name) and callable(getattr(self._rest_of, name, None))
        return is_rests and may_write(self._rest_of, name)

    def set_sandbox_mode(self, enabled: bool) -> None:
        """NotSupported: where orders go is told to the gateway, before the face is made."""
        refuse_place("set_sandbox_mode()", self._name)

    def enable_demo_trading(self, enable: bool) -> None:
        """NotSupported: where orders go is told to the gateway, before the face is made."""
        refuse_place("enable_demo_trading()", self._name)

    async def sleep(self, milliseconds: float) -> None:
        """Wait so long, as ccxt's bots do it."""
        await asyncio.sleep(milliseconds / 1000)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        elif name in WHERE:
            refuse_place(name, self._name)
        elif hasattr(type(self), name):
            raise AttributeError(f"{name} is told by the gateway, and cannot be set")
        elif self._rest_of is None and name == "enableRateLimit":
            pass  # orders are paced by the gateway, whatever a bot asks for
        elif self._rest_of is None:
            raise NoSuchCall(f"{self.id} {name} cannot be set; with rest_of=… it would be that object's")
        else:
            setattr(self._rest_of, name, value)

    def __repr__(self) -> str:
        return f"CcxtFace({self._gateway!r})"


def _error(error: BaseException) -> Row:
    told: Row = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, OrderOutcomeUnknown):
        # Of the order that is not known, which may be an earlier one.
        told["clientOrderId"] = error.client_order_id
    return told
