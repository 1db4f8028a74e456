"""The exchange's markets: loaded once in a task of their own, and every order held against their rules."""

from __future__ import annotations

import asyncio
import difflib
from collections import defaultdict
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any, Final

from orderbridge.adapters.ccxt_any.client import CcxtClient
from orderbridge.adapters.ccxt_any.fields import number
from orderbridge.errors import (
    NotSent,
    NotSupported,
    OrderBridgeError,
    OrderDenied,
    UnexpectedResponse,
    VenueUnavailable,
)
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import Symbol, plain
from orderbridge.model.request import BrokenRule, Market, OrderRequest
from orderbridge.screening import refuse_broken_rules

# Source: ccxt's manual, "Precision Mode".
DECIMAL_PLACES: Final = 2
SIGNIFICANT_DIGITS: Final = 3
TICK_SIZE: Final = 4
_LOAD_SECONDS: Final = 60.0
_PLACES: Final = 60


def step_of(precision: object, mode: int) -> Decimal | None:
    """
    The step that amounts are multiples of; None where there is none, as with significant digits.

    Args:
        precision: a tick in mode TICK_SIZE, a count of decimal places (which may be negative) in DECIMAL_PLACES.

    Raises:
        ValueError: it is no such number.
    """
    if mode == SIGNIFICANT_DIGITS:
        return None
    told = number(precision)
    if told is None:
        return None
    if mode == DECIMAL_PLACES:
        if told != int(told) or abs(told) > _PLACES:
            raise ValueError(f"{plain(told)} is no count of decimal places")
        return Decimal((0, (1,), -int(told)))
    if mode != TICK_SIZE:
        raise ValueError(f"precision mode {mode} is not known")
    if told < 0:
        raise ValueError("a step is not negative")
    return told or None


def digits_of(precision: object, mode: int) -> int | None:
    """How many significant digits a number may have; None where that is not the rule."""
    told = number(precision) if mode == SIGNIFICANT_DIGITS else None
    return int(told) if told is not None and told == int(told) and told > 0 else None


def beyond_digits(field: str, amount: Decimal | None, digits: int | None) -> list[BrokenRule]:
    """The broken rule where a number has more significant digits than it may, with the nearest that has not."""
    if amount is None or digits is None:
        return []
    context = Context(prec=digits, Emin=-9999, Emax=9999)
    nearest = []
    for rounding in (ROUND_FLOOR, ROUND_CEILING):
        context.rounding = rounding
        nearest.append(context.plus(amount))
    if nearest[0] == nearest[1]:
        return []
    values = " and ".join(map(plain, nearest))
    message = f"{field} {plain(amount)} has more than {digits} significant digits; the nearest are {values}"
    return [BrokenRule(rule="significant_digits", message=message, nearest=tuple(nearest))]


def market_from_ccxt(row: Any, *, mode: int) -> Market:
    """
    The rules of one of ccxt's spot markets. Its fees are ccxt's defaults and no account's, so they are left out.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: a market that cannot be read.
    """
    precision, limits = row.get("precision") or {}, row.get("limits")
    for name in ("amount", "price"):
        digits_of(precision.get(name), mode)  # orders are held against it: one that cannot be read is told here

    def bound(kind: str, end: str) -> Decimal | None:
        # What is no amount bounds nothing: the exchange holds orders against its own rules all the same.
        bounds = limits.get(kind) if isinstance(limits, Mapping) else None
        try:
            return (number(bounds.get(end)) if isinstance(bounds, Mapping) else None) or None
        except ValueError:
            return None

    return Market(
        symbol=Symbol(row["symbol"]),
        price_tick=step_of(precision.get("price"), mode),
        quantity_step=step_of(precision.get("amount"), mode),
        min_quantity=bound("amount", "min"),
        max_quantity=bound("amount", "max"),
        min_price=bound("price", "min"),
        max_price=bound("price", "max"),
        min_value=bound("cost", "min"),
        max_value=bound("cost", "max"),
    )


def is_spot(row: Any) -> bool:
    """Whether one of ccxt's markets is of the spot market, by its own word and by its symbol."""
    if not isinstance(row, Mapping) or not isinstance(row.get("symbol"), str) or ":" in row["symbol"]:
        return False
    return row.get("spot") is True or (row.get("spot") is None and row.get("type") in {None, "spot"})


class CcxtMarkets:
    """Keeps the markets of one exchange object. One load serves every caller, and none that leaves takes it along."""

    def __init__(self, client: CcxtClient) -> None:
        self._client = client
        self._load: asyncio.Task[Mapping[Symbol, Market]] | None = None
        self._known: Mapping[Symbol, Market] | None = None
        # ccxt's symbols may hold small letters, ours do not.
        self._spelled: dict[str, str] = {}

    async def get(self, *, deadline: Deadline, refresh: bool = False) -> Mapping[Symbol, Market]:
        """
        The markets, from memory where they are known.

        Raises:
            VenueUnavailable, UnexpectedResponse and the other errors of a read; TimeoutError: too late.
        """
        if self._known is not None and not refresh:
            return self._known
        if self._load is None or self._load.done():
            self._load = asyncio.get_running_loop().create_task(self._fetch(refresh))
            self._load.add_done_callback(_retrieved)
        load = self._load
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await asyncio.shield(load)
        except asyncio.CancelledError:
            if load.cancelled():  # the gateway was closed meanwhile, and not we were cancelled
                raise VenueUnavailable("the gateway was closed", gateway=self._client.gateway) from None
            raise

    async def ready(self, *, deadline: Deadline, operation: str) -> Mapping[Symbol, Market]:
        """The markets before a write. NotSent: they could not be loaded, so nothing was sent."""
        try:
            return await self.get(deadline=deadline)
        except (OrderBridgeError, TimeoutError) as error:
            message = f"nothing was sent: the markets could not be loaded: {error or 'no time left'}"
            raise NotSent(message, gateway=self._client.gateway, operation=operation) from error

    def one(self, symbol: str, markets: Mapping[Symbol, Market], *, operation: str) -> Market:
        """The market of a symbol. NotSupported: the exchange has none, or it is a contract's."""
        if ":" in symbol:
            message = f"{symbol} is a contract: this gateway trades spot markets, BASE/QUOTE"
            raise NotSupported(message, gateway=self._client.gateway, operation=operation)
        market = markets.get(symbol.upper())  # type: ignore[call-overload]  # a Symbol equals its text
        if market is not None:
            found: Market = market
            return found
        near = difflib.get_close_matches(symbol.upper(), list(markets), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        message = f"{self._client.gateway} has no spot market {symbol}{hint}"
        raise NotSupported(message, gateway=self._client.gateway, operation=operation)

    def spelled(self, symbol: str | None) -> str | None:
        """A symbol as ccxt writes it; one that is not known goes as it is, for ccxt to refuse."""
        return None if symbol is None else self._spelled.get(symbol.upper(), str(symbol))

    def step(self, symbol: object) -> Decimal | None:
        """The quantity step of a symbol, where it is known."""
        market = (self._known or {}).get(symbol.upper()) if isinstance(symbol, str) else None  # type: ignore[call-overload]
        return market.quantity_step if isinstance(market, Market) else None

    def hold(self, request: OrderRequest, market: Market) -> None:
        """
        Let an order pass, or refuse it: it is never rounded, by us or by ccxt.

        Raises:
            OrderDenied: a broken rule with the nearest legal values, or amounts that ccxt would change.
        """
        gateway = self._client.gateway
        exchange = self._client.exchange
        precision = (exchange.markets.get(self.spelled(market.symbol)) or {}).get("precision") or {}
        mode = exchange.precisionMode
        broken = [
            *market.check(request),
            *beyond_digits("quantity", request.quantity, digits_of(precision.get("amount"), mode)),
            *beyond_digits("price", request.price, digits_of(precision.get("price"), mode)),
        ]
        refuse_broken_rules(broken, market, gateway=gateway, operation="submit")
        helpers = {
            "quantity": (request.quantity, "amount_to_precision"),
            "price": (request.price, "price_to_precision"),
            "quote_quantity": (request.quote_quantity, "cost_to_precision"),
        }
        for field, (amount, helper) in helpers.items():
            if amount is not None:
                self._unchanged(field, amount, helper, market)

    def _unchanged(self, field: str, amount: Decimal, helper: str, market: Market) -> None:
        """ccxt rounds what it sends by rules of each exchange's own: what it would change is refused."""
        exchange = self._client.exchange
        nearest: tuple[Decimal, ...] = ()
        try:
            with localcontext(Context(prec=210)):
                sent = number(getattr(exchange, helper)(self.spelled(market.symbol), plain(amount)))
        except Exception as error:  # noqa: BLE001 - ccxt refuses with its own classes, or fails with bare ones
            said = self._client.reader.stand_in(error)
            text = f"ccxt cannot send {field} {plain(amount)}: {said}"
        else:
            if sent == amount:
                return
            text = f"ccxt would send {field} {plain(amount)} as {sent if sent is None else plain(sent)}"
            nearest = () if sent is None else (sent,)
        raise OrderDenied(
            f"{market.symbol}: {text}",
            rule="precision",
            nearest=nearest,
            gateway=self._client.gateway,
            operation="submit",
        )

    async def aclose(self) -> None:
        """Stop a load that nobody waits for any more."""
        if self._load is not None and not self._load.done():
            self._load.cancel()
            await asyncio.wait([self._load])

    async def _fetch(self, refresh: bool) -> Mapping[Symbol, Market]:
        exchange = self._client.exchange
        if refresh or not exchange.markets:
            await self._client.quietly(
                lambda known: known.load_markets(refresh), deadline=Deadline(_LOAD_SECONDS), operation="markets"
            )
        markets: dict[Symbol, Market] = {}
        spelled: dict[str, set[str]] = defaultdict(set)
        for row in list((exchange.markets or {}).values()):
            if not is_spot(row):
                continue
            try:
                market = market_from_ccxt(row, mode=exchange.precisionMode)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                extra = log_facts(self._client.gateway, "markets")
                self._client.session.log.warning("market %r cannot be read: %s", row.get("symbol"), error, extra=extra)
            else:
                markets[market.symbol] = market
                spelled[market.symbol].add(row["symbol"])
        for symbol, spellings in spelled.items():
            if len(spellings) > 1:  # which of them would be meant cannot be told
                del markets[Symbol(symbol)]
        if not markets:
            raise UnexpectedResponse(
                "the exchange lists no spot market that can be read", gateway=self._client.gateway, operation="markets"
            )
        self._known, self._spelled = markets, {str(symbol): min(spelled[symbol]) for symbol in markets}
        return markets


def _retrieved(load: asyncio.Task[Any]) -> None:
    if not load.cancelled():
        load.exception()
