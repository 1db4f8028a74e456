"""The exchange's markets: loaded once in a task of their own, and every order held against their rules."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any, Final

from orderbridge.adapters.ccxt_any.client import CcxtClient
from orderbridge.adapters.ccxt_any.fields import number
from orderbridge.errors import NotSupported
from orderbridge.http.retry import Deadline
from orderbridge.model.basics import Symbol, plain
from orderbridge.model.request import BrokenRule, Market
from orderbridge.venue.markets import Amounts, MarketRules, MarketStore

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
    """The markets of one exchange object. What another account's object has loaded may be of other options."""

    def __init__(self, client: CcxtClient) -> None:
        self._client = client
        # ccxt's symbols may hold small letters, ours do not.
        self._spelled: dict[str, str] = {}
        rules = MarketRules(
            public=self._fetch,
            rows=self._rows,
            market=lambda row, own, warn: market_from_ccxt(row, mode=client.exchange.precisionMode),
            one=self.one,
            beyond=self._beyond,
        )
        self.store = MarketStore(rules, gateway=client.gateway, log=client.session.log)

    def one(self, symbol: str, markets: Mapping[Symbol, Market]) -> Market:
        """The market of a symbol. NotSupported: the exchange has none, or it is a contract's."""
        if ":" in symbol:
            raise NotSupported(f"{symbol} is a contract: this gateway trades spot markets, BASE/QUOTE")
        market = markets.get(symbol.upper())  # type: ignore[call-overload]  # a Symbol equals its text
        if market is not None:
            found: Market = market
            return found
        near = difflib.get_close_matches(symbol.upper(), list(markets), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise NotSupported(f"{self._client.gateway} has no spot market {symbol}{hint}")

    def spelled(self, symbol: str | None) -> str | None:
        """A symbol as ccxt writes it; one that is not known goes as it is, for ccxt to refuse."""
        return None if symbol is None else self._spelled.get(symbol.upper(), str(symbol))

    def step(self, symbol: object) -> Decimal | None:
        """The quantity step of a symbol, where it is known."""
        market = self.store.known.get(symbol.upper()) if isinstance(symbol, str) else None  # type: ignore[call-overload]
        return market.quantity_step if isinstance(market, Market) else None

    def _beyond(self, market: Market, amounts: Amounts) -> list[BrokenRule]:
        exchange = self._client.exchange
        precision = (exchange.markets.get(self.spelled(market.symbol)) or {}).get("precision") or {}
        mode = exchange.precisionMode
        helpers = {
            "quantity": "amount_to_precision",
            "price": "price_to_precision",
            "quote_quantity": "cost_to_precision",
        }
        return [
            *beyond_digits("quantity", amounts.get("quantity"), digits_of(precision.get("amount"), mode)),
            *beyond_digits("price", amounts.get("price"), digits_of(precision.get("price"), mode)),
            *(rule for field, helper in helpers.items() for rule in self._changed(field, amounts, helper, market)),
        ]

    def _changed(self, field: str, amounts: Amounts, helper: str, market: Market) -> list[BrokenRule]:
        """ccxt rounds what it sends by rules of each exchange's own: what it would change is refused."""
        amount = amounts.get(field)
        if amount is None:
            return []
        exchange = self._client.exchange
        nearest: tuple[Decimal, ...] = ()
        try:
            with localcontext(Context(prec=210)):
                sent = number(getattr(exchange, helper)(self.spelled(market.symbol), plain(amount)))
        except Exception as error:  # noqa: BLE001 - ccxt refuses with its own classes, or fails with bare ones
            said = self._client.codes.stand_in(error)
            text = f"ccxt cannot send {field} {plain(amount)}: {said}"
        else:
            if sent == amount:
                return []
            text = f"ccxt would send {field} {plain(amount)} as {sent if sent is None else plain(sent)}"
            nearest = () if sent is None else (sent,)
        return [BrokenRule(rule="precision", message=text, nearest=nearest)]

    async def _fetch(self, fresh: bool) -> Any:
        exchange = self._client.exchange
        if fresh or not exchange.markets:
            await self._client.quietly(
                lambda known: known.load_markets(fresh), deadline=Deadline(_LOAD_SECONDS), operation="markets"
            )
        return exchange.markets or {}

    def _rows(self, markets: Mapping[str, Any]) -> list[Any]:
        rows = [row for row in list(markets.values()) if is_spot(row)]
        self._spelled = {row["symbol"].upper(): row["symbol"] for row in rows}
        return rows
