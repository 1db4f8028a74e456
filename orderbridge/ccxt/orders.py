"""CcxtOrders: ccxt's order calls over one gateway of a bridge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, get_args

from ccxt.base import errors as ccxt

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt.arguments import (
    CLIENT_IDS,
    EDITED,
    Params,
    changes_of,
    client_id,
    given,
    id_of,
    kind_of,
    moment,
    refuse,
    request_of,
    symbol_of,
    told_of,
    window,
)
from orderbridge.ccxt.dicts import Number, Row, bad_row, bad_trade_row, empty_row, order_row, trade_row, windowed
from orderbridge.ccxt.errors import OrderOutcomeUnknown, StrayFilled, as_ccxt_errors
from orderbridge.ccxt.stray import Begun, Creates, StrayPolicy
from orderbridge.errors import ConfigurationError, JournalError, OrderBridgeError, OrderNotFound, UnexpectedResponse
from orderbridge.gateway import error_of, order_from
from orderbridge.model.basics import ZERO, EditClass, OrderStatus, OrderType, Symbol, TimeInForce, plain
from orderbridge.model.lifecycle import with_fills
from orderbridge.model.order import FILL_FIGURES, Fill, Order
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import Market, OrderEdit, OrderRequest
from orderbridge.model.results import Answer, BadRow, LookupResult
from orderbridge.placement.ledger import note_known
from orderbridge.screening import refuse_undeclared
from orderbridge.sync import cut_off
from orderbridge.venue.cancel import FILLS_OF_BEFORE
from orderbridge.venue.submit import order_as_asked

T = TypeVar("T")
# How far back a history goes, and how many trades are read, where the caller says neither.
_DAYS: Final = timedelta(days=7)
_TRADES: Final = 100
# For how long the rules of the markets are taken from here, and the gateway is not asked whether it has newer ones.
_RULES_SECONDS: Final = 10.0
# How often an unknown symbol has them loaded anew, at the most.
_ANEW_SECONDS: Final = 60.0
# What an order has that its successor has too.
_KEPT: Final = (
    *("symbol", "side", "type", "quantity", "price", "stop_price", "time_in_force", "expires_at", "post_only"),
    "reduce_only",
)
# What no order is changed in, where it stands: by our name, ccxt's, and what it is if it does not say.
_MANNER: Final[Mapping[str, tuple[str, Any]]] = {
    "time_in_force": ("timeInForce", TimeInForce.GTC),
    "post_only": ("postOnly", False),
}
_AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
_NAMED: Final = ("id", "clientOrderId", "symbol")
_FIELDS: Final = ("symbol", "type", "side", "amount", "price", "params")
# What tells one order: by which id, and that it has a trigger, as some exchanges keep those apart. It is found anyway.
_NAMING: Final = (*CLIENT_IDS, "trigger", "stop")


def _history(*words: str) -> Callable[..., Coroutine[Any, Any, list[Row]]]:
    async def call(
        self: CcxtOrders, symbol: str | None = None, since: Any = None, limit: Any = None, params: Params = None
    ) -> list[Row]:
        """
        The orders created since then, or in the last seven days. NotSupported where the venue lists no ended orders.
        """
        told_of(params)
        bounds = window(since, limit)
        wanted = None if symbol is None else symbol_of(symbol)
        start = datetime.now(UTC) - _DAYS if bounds[0] is None else moment(bounds[0])
        with as_ccxt_errors():
            pages = self._bridge.orders(since=start, symbol=wanted, gateways=[self._name], timeout=self.timeout)
            orders, bad = await _read(pages)
        return await self._shown_rows(orders, order_row, map(bad_row, bad), bounds, words)

    return call


class CcxtOrders:
    """
    ccxt's calls about orders, by ccxt's names and parameters; they return ccxt's dicts and raise ccxt's errors.

    What it does otherwise than ccxt:

    - A create whose outcome is not known is resolved first. If that takes too long it raises `OrderOutcomeUnknown`.
      The next create of that symbol and side that asks for the same is answered by that order once it is known, over
      restarts too. One that asks for another price or amount tells that its bot believes the first to be gone:
      `stray` says what is done then. Nothing is sent meanwhile. A bot that was shown the order is past that.
    - `params["clientOrderId"]` is the key of the order: again with the same request it is the same order, ended or
      not, and nothing is sent; with another request it is DuplicateOrderId.
    - Another NetworkError from a create says that nothing was sent.
    - What trades at once (market, IOC, FOK) is looked up once before it is returned.
    - `cancel_order` tells how the order ended: `closed` if it had filled, a second time too.
    - Cost and average come from trades, and are None where they are not known.

    A read that the gateway does not have, or of params that it does not know, is NotSupported.

    Args:
        resolve_for: seconds for which an order of unknown outcome is looked for before `OrderOutcomeUnknown`.
        stray: `"cancel"`: the first order is settled and cancelled, and only once that is proven the new one is sent;
            had anything of it filled, `StrayFilled` is raised in its place, once. `"block"`: nothing is sent until
            the bot was shown the first. `"tell"`: `OrderOutcomeUnknown` is raised with it, once, and then it is sent.
        timeout: seconds for the answer of the venue to one call.
        number: makes the numbers of the dicts out of their text, as the attribute of ccxt's objects.

    Raises:
        ConfigurationError: no such gateway, or a setting that is none.
    """

    def __init__(
        self,
        bridge: OrderBridge,
        gateway: str,
        *,
        resolve_for: float = 30.0,
        stray: StrayPolicy = "cancel",
        timeout: float = 15.0,
        number: Callable[[str], Any] = float,
    ) -> None:
        if stray not in get_args(StrayPolicy):
            raise ConfigurationError(f"stray is one of {', '.join(get_args(StrayPolicy))}, not {stray!r}")
        for name, seconds in (("resolve_for", resolve_for), ("timeout", timeout)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
                raise ConfigurationError(f"{name} is a number of seconds, not {seconds!r}")
        self._gateway = bridge[gateway]
        self._name = self._gateway.name
        self._can = self._gateway.capabilities
        self._bridge = bridge
        self._number: Number = float if number is float else lambda value: number(plain(value))
        self.timeout = timeout
        self._rules: Mapping[Symbol, Market] = {}
        self._rules_until = self._anew_at = float("-inf")
        self._creates = Creates(bridge, self._name, resolve_for, stray, as_shown=self._with_trades)

    # Creating, changing and cancelling.

    async def create_order(
        self, symbol: str, type: str, side: str, amount: Any, price: Any = None, params: Params = None
    ) -> Row:
        """
        Place an order at most once, whoever repeats the call.

        Args:
            type: `limit` or `market`, or an exchange's word as `LIMIT_MAKER`; a stop is one with a triggerPrice.
            amount: in base; a float is taken by its shortest text. A cost (in quote, at market) goes before it.
            price: quote per base; ignored for a market order.
            params: clientOrderId, postOnly, timeInForce (GTC, IOC, FOK, PO), reduceOnly, triggerPrice (stopPrice,
                stopLossPrice), takeProfitPrice, cost, by those and by exchanges' names; what is not known is passed
                on to the exchange, and is part of what makes two orders the same.

        Raises:
            OrderOutcomeUnknown: sent, and perhaps live. OrderNotPlaced: sent, and proven not to be there.
            StrayFilled: an earlier one filled, and nothing was sent. Other NetworkErrors: nothing was sent; try again.
            NotSupported: no such order is placed here. InvalidOrder, InsufficientFunds, BadSymbol and other
            ExchangeErrors: refused.
        """
        with self._creates.begun() as create:
            return await self._create(await self._asked(symbol, type, side, amount, price, params), create)

    async def create_orders(self, orders: Sequence[Mapping[str, Any]]) -> list[Row]:
        """
        Place several orders at once, each of them as `create_order` does; each has its own verdict.

        Args:
            orders: dicts of symbol, type, side, amount, price and params.

        Returns:
            In the order given. One that failed is told: `info["error"]` names ccxt's exception, and its status is
            `rejected`, or None where the order may be live.

        Raises:
            What is wrong with one of them before anything is sent.
        """
        with ExitStack() as until_done:
            creates = [until_done.enter_context(self._creates.begun()) for _ in _listed(orders, "orders")]
            requests = [await self._asked_of(order) for order in orders]
            verdicts = [asyncio.ensure_future(each) for each in map(self._verdict, requests, creates)]
            try:
                return list(await asyncio.gather(*verdicts))
            except asyncio.CancelledError:
                if cut_off() is None:
                    raise
                return list(await asyncio.gather(*verdicts))  # each was cut off too, and says what it knows

    async def _asked(self, symbol: Any, type: Any, side: Any, amount: Any, price: Any, params: Params) -> OrderRequest:
        known = symbol_of(symbol)
        market = await self._market_of(known)
        return request_of(known, type, side, amount, price, params, market=market, can=self._can)

    async def _asked_of(self, order: Any) -> OrderRequest:
        request = await self._asked(*_values(order, _FIELDS))
        with as_ccxt_errors():
            refuse_undeclared(request, self._can, gateway=self._name)
        return request

    async def _create(self, request: OrderRequest, create: Begun) -> Row:
        with as_ccxt_errors():
            order = await self._creates.place(request, create, timeout=self.timeout)
        trades_at_once = request.type is OrderType.MARKET or request.time_in_force in _AT_ONCE
        if not trades_at_once or request.stop_price is not None:
            return order_row(order, number=self._number)
        try:
            row = await self._with_trades(order, fees=True)
        except asyncio.CancelledError:
            if cut_off() is None:
                raise
            row = order_row(order, number=self._number)  # it is placed, and only its trades are not known
        if order.status is OrderStatus.ACCEPTED:
            row["status"] = None  # taken, and no more is known: a bot that reads `open` waits for what may have traded
        return row

    async def _verdict(self, request: OrderRequest, create: Begun) -> Row:
        try:
            return await self._create(request, create)
        except (Exception, asyncio.CancelledError) as error:  # whatever happens to one hides none of the others
            if isinstance(error, asyncio.CancelledError) and cut_off() is None:
                raise
            is_over = isinstance(error, ccxt.BaseError) and not isinstance(error, OrderOutcomeUnknown)
            order = order_as_asked(
                request,
                venue=self._gateway.venue,
                account=self._gateway.account,
                order_id="",
                client_order_id=request.client_order_id,
                observed_at=datetime.now(UTC),
            )
            row = order_row(order, number=self._number)
            return {**row, "id": None, "status": "rejected" if is_over else None, "info": _error(error)}

    async def edit_order(
        self, id: Any, symbol: str, type: str, side: str, amount: Any = None, price: Any = None, params: Params = None
    ) -> Row:
        """
        Change a working order in place: it keeps its id, and nothing is placed.

        Where the venue cannot, it is cancelled, and once it is proven that nothing of it filled another is placed.

        Args:
            type, side: as the order has them; neither can be changed. amount: the new total, in base.
            params: triggerPrice (stopPrice) for a new trigger; clientOrderId with an empty id. What else the order was
                created with stays so; where another is placed it may be told anew: postOnly, timeInForce, the
                exchange's own params that it has, and with an id the clientOrderId of the other.

        Raises:
            InvalidOrder: it had ended, or the change is none. NotSupported: no such change is made. OrderNotFound.
            OrderOutcomeUnknown: sent, and perhaps changed: fetch the order. RequestTimeout: perhaps cancelled, and
                nothing was placed.
        """
        told = given(params)
        told.pop("recvWindow", None)
        ref = self._ref(id, {} if id else told, symbol)
        own, market = client_id(told), await self._market_of(symbol_of(symbol))
        changes = changes_of(type, amount, price, told, market)
        extra = {name: value for name, value in told.items() if name not in EDITED}
        with as_ccxt_errors():
            order = await self._bridge.get(ref, timeout=self.timeout)
            row = order_row(order)
            kind = None if type is None else "market" if kind_of(type)[1] else "limit"
            for name, word in (("symbol", symbol), ("type", kind), ("side", side)):
                if word is not None and str(word).lower() != str(row[name]).lower():
                    raise ccxt.InvalidOrder(f"the {name} of {order.order_id} is {row[name]}, and cannot be made {word}")
            if own == order.client_order_id:
                own = None
            if self._can.edit is EditClass.NONE:
                return await self._place_in_its_stead(order, {**changes, "client_order_id": own}, extra)
            if own is not None:
                extra["clientOrderId"] = own
            for name, (word, plain_one) in _MANNER.items():
                stands = getattr(order, name) or plain_one
                if changes.pop(name, stands) != stands:
                    extra[word] = None
            refuse(extra)
            if not changes:
                raise ccxt.ArgumentsRequired(f"{order.order_id} is so already: an edit changes something")
            edited = await self._bridge.edit(order, OrderEdit(**changes), timeout=self.timeout)
        await self._creates.shown([edited])
        return order_row(edited, number=self._number)

    async def edit_orders(self, orders: Sequence[Mapping[str, Any]]) -> list[Row]:
        """
        Change several orders, each of them as `edit_order` does; each has its own verdict.

        Args:
            orders: dicts of id, symbol, type, side, amount, price and params.

        Returns:
            In the order given. One that failed has no status, and says why in `info["error"]`.

        Raises:
            BadRequest: one of them is no such dict, and nothing was changed.
        """
        asked = [_values(order, ("id", *_FIELDS)) for order in _listed(orders, "orders")]
        done = await asyncio.gather(*(self.edit_order(*each) for each in asked), return_exceptions=True)
        return [
            _failed_row(order, each) if isinstance(each, BaseException) else each
            for order, each in zip(orders, done, strict=True)
        ]

    async def _place_in_its_stead(self, order: Order, changes: Mapping[str, Any], extra: Mapping[str, Any]) -> Row:
        try:
            request = await self._request_behind(order)
            refuse(set(extra) - set(request.options))
            request = OrderRequest(**{**dict(request), **changes, "options": {**request.options, **extra}})
            refuse_undeclared(request, self._can, gateway=self._name)
            with self._creates.begun(request) as create:
                async with self._creates.turn(order):
                    return await self._replaced(order, request, create)
        except (JournalError, ConfigurationError, ccxt.BaseError) as error:
            # The order may be cancelled by then, or be another already: it must not read as refused.
            cause = error.__cause__ if isinstance(error, ccxt.BaseError) else error
            is_ours = isinstance(cause, (JournalError, ConfigurationError))
            if not is_ours or isinstance(error, OrderOutcomeUnknown):
                raise
            why = f"whether {order.order_id} was changed is not known: {error}"
            raise OrderOutcomeUnknown(why, order_id=order.order_id) from error

    async def _replaced(self, order: Order, request: OrderRequest, create: Begun) -> Row:
        """Cancel an order, and place another once it is proven that nothing of the first had filled."""
        is_repeated = await self._creates.is_repeated(create)
        own = None if is_repeated else request.client_order_id
        if own and await self._bridge.placement(key=own, gateway=self._name):
            raise ccxt.DuplicateOrderId(f"an order of the clientOrderId {own} was placed before")
        if order.is_done and not is_repeated:
            raise ccxt.InvalidOrder(f"{order.order_id} is {order.status}: it cannot be changed any more")
        with as_ccxt_errors(repeatable=True):
            order = await self._bridge.cancel(order, wait="done", timeout=self.timeout)
        await self._creates.shown([order])
        filled = (await self._with_trades(order))["filled"]
        if order.may_be_live or filled is None:
            raise ccxt.RequestTimeout(f"whether {order.order_id} is over is not known yet; nothing was placed")
        if filled != self._number(ZERO):
            raise ccxt.InvalidOrder(f"{order.order_id} had filled {filled} before that, and nothing was placed")
        # An edit may have looked before another placed that.
        if order.identity in self._creates.replaced and not is_repeated:
            raise ccxt.InvalidOrder(f"{order.order_id} is over: another was placed in its stead already")
        note_known(self._creates.replaced, order.identity)
        return await self._create(request, create)

    async def _request_behind(self, order: Order) -> OrderRequest:
        """What an order was asked for by, as far as it was placed here, and as it stands now."""
        placed = await self._bridge._placements.line(self._name).resolver.placed_as(order)
        asked = {} if placed is None else dict(placed.placement.request)
        shown = {name: getattr(order, name) for name in _KEPT if getattr(order, name) not in (None, OrderType.UNKNOWN)}
        return OrderRequest(**{**asked, **shown})

    async def cancel_order(self, id: Any, symbol: str | None = None, params: Params = None) -> Row:
        """
        Cancel an order, and return it as it is after that: `canceled`, or `closed` if it had filled.

        Args:
            params: clientOrderId with an empty id.

        Raises:
            OrderNotFound: neither cancelled nor shown. RequestTimeout and other NetworkErrors: cancel it again.
        """
        order = await self._cancelled(self._ref(id, told_of(params, *_NAMING), symbol))
        await self._creates.shown([order])
        return self._cancelled_row(order)

    async def _cancelled(self, ref: OrderRef) -> Order:
        with as_ccxt_errors(repeatable=True):
            return await self._bridge.cancel(ref, timeout=self.timeout)

    def _cancelled_row(self, order: Order) -> Row:
        """An order after a cancel. What is only known of before it, until which more may have traded, is not told."""
        if FILLS_OF_BEFORE in order.evidence:
            order = order.model_copy(update=dict.fromkeys(FILL_FIGURES))
        return order_row(order, number=self._number)

    async def cancel_orders(self, ids: Sequence[Any], symbol: str | None = None, params: Params = None) -> list[Row]:
        """
        Cancel several orders, and return each as it is after that, in the order given.

        Args:
            ids: none, and `params["clientOrderIds"]`, for the caller's own.

        One that is not found has no status, and says so in `info["error"]`.

        Raises:
            The first other failure, once every one was tried.
        """
        told = told_of(params, "clientOrderIds")
        named = [{"id": id_of(id), "symbol": symbol} for id in _listed(ids, "ids")]
        if "clientOrderIds" in told:
            own = _listed(told["clientOrderIds"], "clientOrderIds")
            named += [{"clientOrderId": id, "symbol": symbol} for id in own]
        return await self.cancel_orders_for_symbols(named)

    async def cancel_orders_for_symbols(self, orders: Sequence[Mapping[str, Any]], params: Params = None) -> list[Row]:
        """As `cancel_orders`, of dicts of an id, or the caller's own as clientOrderId, and a symbol."""
        told_of(params)
        refs = []
        for each in _listed(orders, "orders"):
            id = each.get("id") or ""
            own = {} if id else given({"clientOrderId": each.get("clientOrderId")})
            refs.append(self._ref(id, own, each.get("symbol")))
        done = await asyncio.gather(*map(self._cancelled, refs), return_exceptions=True)
        for error in done:
            if isinstance(error, BaseException) and not isinstance(error, ccxt.OrderNotFound):
                raise error  # and of the others its caller is shown none
        await self._creates.shown(each for each in done if isinstance(each, Order))
        return [
            self._cancelled_row(each) if isinstance(each, Order) else _failed_row(row, each)
            for row, each in zip(orders, done, strict=True)
        ]

    async def cancel_all_orders(self, symbol: str | None = None, params: Params = None) -> list[Row]:
        """
        Cancel every open order of the account, or of one symbol, by whomever it was placed.

        Returns:
            Each as it is after that; `open` where the venue has not said that it is over.

        Raises:
            NetworkError: some may be live; cancel again.
        """
        told_of(params)
        wanted = None if symbol is None else symbol_of(symbol)
        with as_ccxt_errors(repeatable=True):
            receipt = await self._bridge.cancel_all(
                scope="account", gateway=self._name, symbol=wanted, timeout=self.timeout
            )
            for failure in receipt.unreachable.values():
                raise error_of(failure, gateway=self._name, operation="cancel_all")
        await self._creates.shown(receipt.orders)
        return [self._cancelled_row(order) for order in receipt.orders]

    # Reading.

    async def fetch_order(self, id: Any, symbol: str | None = None, params: Params = None) -> Row:
        """
        An order by the exchange's id; by the caller's own with an empty id and `params["clientOrderId"]`.

        Its trades are read with it where something is filled, or may be, as most venues tell average, cost and fees
        there only, and some (Bitso, of orders at market) how much was filled.

        Raises:
            OrderNotFound: not shown, or no longer, which is no proof that it never existed. NetworkError: not known.
        """
        ref = self._ref(id, told_of(params, *_NAMING), symbol)
        with as_ccxt_errors():
            result = await self._bridge.lookup(ref, timeout=self.timeout)
            order = order_from(result, ref, gateway=None)
            if order.may_be_live and result[ref].answers.get(self._name) is not Answer.FOUND:
                # From the journal, which would tell it as open for ever: what the venue answers is what is told.
                unseen = result[ref].model_copy(update={"orders": ()})
                told = LookupResult(refs=(ref,), found=(unseen,), unreachable=result.unreachable)
                order = order_from(told, ref, gateway=None)
        await self._creates.shown([order])
        return await self._with_trades(order)

    async def fetch_open_orders(
        self, symbol: str | None = None, since: Any = None, limit: Any = None, params: Params = None
    ) -> list[Row]:
        """
        Every open order of the account, or of one symbol; oldest first, and complete, or it raises.

        A row that could not be read is among them: its id, if it has one, and the row in `info`.
        """
        told_of(params)
        bounds = window(since, limit)
        wanted = None if symbol is None else symbol_of(symbol)
        with as_ccxt_errors():
            listed = await self._bridge.open_orders(wanted, gateways=[self._name], timeout=self.timeout)
            for failure in listed.unreachable.values():
                raise error_of(failure, gateway=self._name, operation="open_orders")
        return await self._shown_rows(listed.orders, order_row, map(bad_row, listed.bad_rows), bounds)

    async def _shown_rows(
        self,
        seen: Sequence[Order | Fill],
        row_of: Callable[..., Row],
        bad: Iterable[Row],
        bounds: tuple[int | None, int | None],
        words: tuple[str, ...] = (),
    ) -> list[Row]:
        """A list as the bot is shown it: what could not be read, and the rows within its bounds, oldest first."""
        rows = [row_of(each, number=self._number) for each in seen]
        kept = windowed((row for row in rows if not words or row["status"] in words), *bounds)
        told = set(map(id, kept))
        await self._creates.shown(each for each, row in zip(seen, rows, strict=True) if id(row) in told)
        return [*bad, *kept]

    async def fetch_order_trades(
        self, id: Any, symbol: str | None = None, since: Any = None, limit: Any = None, params: Params = None
    ) -> list[Row]:
        """The trades of one order; none for an order that is there and has not traded."""
        ref = self._ref(id, told_of(params, *_NAMING), symbol)
        bounds = window(since, limit)
        bad: list[BadRow] = []
        try:
            fills, bad = await self._fills(ref, symbol=ref.symbol)
        except ccxt.OrderNotFound as error:
            if not isinstance(error.__cause__, OrderNotFound):
                raise
            with as_ccxt_errors():
                await self._bridge.get(ref, timeout=self.timeout)
            fills = []
        return await self._shown_rows(fills, trade_row, map(bad_trade_row, bad), bounds)

    async def fetch_my_trades(
        self, symbol: str | None = None, since: Any = None, limit: Any = None, params: Params = None
    ) -> list[Row]:
        """The account's trades: all since then, or the newest hundred, or as many as `limit`."""
        told_of(params)
        bounds = start, most = window(since, limit)
        wanted = None if symbol is None else symbol_of(symbol)
        how: dict[str, Any] = {"most": most or _TRADES} if start is None else {"since": moment(start)}
        fills, bad = await self._fills(symbol=wanted, **how)
        return await self._shown_rows(fills, trade_row, map(bad_trade_row, bad), bounds)

    fetch_orders = _history()
    fetch_closed_orders = _history("closed")
    fetch_canceled_orders = _history("canceled")
    fetch_canceled_and_closed_orders = _history("canceled", "closed")

    # Behind them.

    async def _note_shown(self, rows: Any) -> None:
        """The bot was shown these by ccxt itself: orders, or trades, which name theirs."""
        told = [row for row in (rows if isinstance(rows, list) else [rows]) if isinstance(row, Mapping)]
        names: set[object] = {row["clientOrderId"] for row in told if row.get("clientOrderId")}
        for row in told:
            order_id = row["order"] if "order" in row else row.get("id")
            names.add((self._name, order_id, str(row.get("symbol")).upper(), row.get("side")))
        await self._creates.named(names)

    def _ref(self, id: Any, told: Mapping[str, Any], symbol: Any) -> OrderRef:
        """The order that is meant: by the exchange's id, and its symbol if it is given, or by the caller's own id."""
        own = client_id(told)
        if own is not None and id:
            raise ccxt.BadRequest("give an id, or a clientOrderId and an empty id, and not both")
        names = {"order_id": id_of(id)} if own is None else {"client_order_id": own}
        market = None if symbol is None else symbol_of(symbol)
        try:
            return OrderRef(gateway=self._name, symbol=market, **names)
        except ValueError as error:
            raise ccxt.BadRequest(f"no id is written so: {names!r}") from error

    async def _market_of(self, symbol: Symbol) -> Market | None:
        """The rules of a market, or None where the venue tells none. BadSymbol: there is no such market."""
        if not self._can.markets:
            return None
        now = asyncio.get_running_loop().time()
        market = self._rules.get(symbol) if now < self._rules_until else None
        if market is None:
            with as_ccxt_errors():
                self._rules = await self._gateway.markets(timeout=self.timeout)
                if symbol not in self._rules and now - self._anew_at > _ANEW_SECONDS:
                    self._anew_at = now  # it may have been listed since they were loaded
                    self._rules = await self._gateway.markets(refresh=True, timeout=self.timeout)
            self._rules_until = now + _RULES_SECONDS
            market = self._rules.get(symbol)
        if market is None:
            raise ccxt.BadSymbol(f"{self._name} does not have market symbol {symbol}")
        return market

    async def _with_trades(self, order: Order, *, fees: bool = False) -> Row:
        """An order with its trades where they tell what it does not, as they do of fees; else that stays unknown."""
        is_of_before = FILLS_OF_BEFORE in order.evidence
        filled = None if is_of_before else order.filled_quantity
        is_told = filled is not None and (not filled or (order.average_price is not None and not fees))
        fills: list[Fill] = []
        is_read = False
        if self._can.fills and not is_told:
            try:
                fills, bad = await self._fills(order)
                # Where the order does not say how much of it traded, only all of its trades do.
                fills = fills if filled is not None or not bad else []
                is_read = not bad
            except ccxt.BaseError as error:
                if not isinstance(error.__cause__, OrderBridgeError):
                    raise
                is_read = isinstance(error.__cause__, OrderNotFound)
        if is_of_before and not is_read:
            return self._cancelled_row(order)
        return order_row(with_fills(order, fills) if is_of_before else order, fills, number=self._number)

    async def _fills(
        self,
        ref: OrderRef | Order | None = None,
        *,
        symbol: Symbol | None = None,
        since: datetime | None = None,
        most: int | None = None,
    ) -> tuple[list[Fill], list[BadRow]]:
        asked = None if ref is not None else [self._name]
        with as_ccxt_errors():
            pages = self._bridge.fills(ref, symbol=symbol, since=since, gateways=asked, timeout=self.timeout)
            fills, bad = await _read(pages, most=most)
        return fills[::-1], bad  # oldest first, those of one moment too


def _values(order: Any, fields: Sequence[str]) -> list[Any]:
    if not isinstance(order, Mapping) or set(order) - set(fields):
        raise ccxt.BadRequest(f"an order is a dict of {', '.join(fields)}, not {order!r}")
    return [order.get(field) for field in fields]


def _listed(value: Any, name: str) -> Sequence[Any]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
        raise ccxt.ArgumentsRequired(f"{name} is a list")
    return value


async def _read(pages: AsyncIterator[T], *, most: int | None = None) -> tuple[list[T], list[BadRow]]:
    """Read an iterator, as much as is wanted; and the rows that could not be read."""
    good: list[T] = []
    try:
        async for each in pages:
            good.append(each)
            if len(good) == most:
                break
    except UnexpectedResponse as error:
        if not error.bad_rows:
            raise
        return good, list(error.bad_rows)
    return good, []


def _failed_row(asked: Mapping[str, Any], error: BaseException) -> Row:
    return empty_row(**{name: asked.get(name) for name in _NAMED}, info=_error(error))


def _error(error: BaseException) -> Row:
    told: Row = {"error": type(error).__name__, "message": str(error)}
    if isinstance(error, OrderOutcomeUnknown):
        # Of the order that is not known, which may be an earlier one.
        told["clientOrderId"] = error.client_order_id
    if isinstance(error, StrayFilled):
        told["order"] = error.order
    return told
