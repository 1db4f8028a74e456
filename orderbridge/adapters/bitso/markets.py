"""Bitso's markets: loaded on first need, kept, and loaded anew when Bitso refuses by a rule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.mapping import symbol_from_book
from orderbridge.errors import UnexpectedResponse, VenueUnavailable
from orderbridge.http.policy import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.amount import divide, parse_amount
from orderbridge.model.market import Market
from orderbridge.model.symbol import Symbol

MarketsLike = Literal["lazy"] | Mapping[Symbol, Market] | None
_LOAD_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 3.0
_LEAST_AGE: Final = 60.0
# Unknown book, and the bounds and ticks that `Market` holds.
_RULE_CODES: Final = frozenset({"0301", *(f"04{number:02}" for number in range(1, 8))})


Warn = Callable[[str], object]


def market_from_row(
    row: Any, *, precision: Mapping[str, int], fees: Mapping[str, Any], warn: Warn = lambda text: None
) -> Market:
    """
    The rules of one book. What is no amount is no rule of ours, for Bitso holds orders against its own all the same.

    Args:
        precision: decimals by currency code; the base's gives the quantity step.
        fees: the account's own fees by book; they go before the general ones, which are in percent.
        warn: told of each rule that cannot be read.

    Raises:
        ValueError, TypeError, KeyError: a row without a book that can be read.

    Source: Bitso API v3, "List Available Books", "Fees"; `catalogues` for the precision.
    """
    symbol = symbol_from_book(row["book"])
    places = precision.get(symbol.base.lower())

    def amount(of: Any, name: str) -> Decimal | None:
        value = of.get(name) if isinstance(of, Mapping) else None
        try:
            return None if value is None or value == "" else parse_amount(value)
        except ValueError as error:
            warn(f"{symbol}: its {name} is not known: {error}")
            return None

    def rule(name: str) -> Decimal | None:
        number = amount(row, name)
        return number if number is not None and number > 0 else None

    def fee(side: str) -> Decimal | None:
        mine, percent = amount(fees.get(row["book"]), f"{side}_fee_decimal"), amount(flat, side)
        return mine if mine is not None or percent is None else divide(percent, Decimal(100))

    general = row.get("fees")
    flat = general.get("flat_rate") if isinstance(general, Mapping) else None
    return Market(
        symbol=symbol,
        price_tick=rule("tick_size"),
        quantity_step=None if places is None else Decimal(1).scaleb(-places),
        min_quantity=rule("minimum_amount"),
        max_quantity=rule("maximum_amount"),
        min_price=rule("minimum_price"),
        max_price=rule("maximum_price"),
        min_value=rule("minimum_value"),
        max_value=rule("maximum_value"),
        maker_fee=fee("maker"),
        taker_fee=fee("taker"),
    )


class BitsoMarkets:
    """Keeps the markets of one gateway. One load serves every caller, and none that leaves takes it along."""

    def __init__(self, client: BitsoClient, markets: MarketsLike) -> None:
        self._client = client
        self._given = None if markets == "lazy" else markets
        self.is_checked = markets is not None
        self._load: asyncio.Task[Mapping[Symbol, Market]] | None = None
        # What was loaded last, and when: it holds while a newer load is on its way or has failed.
        self._known: Mapping[Symbol, Market] | None = None
        self._loaded_at = float("-inf")

    @property
    def age(self) -> float:
        """Seconds since the rules were loaded; given ones do not age."""
        return 0.0 if self._given is not None else time.monotonic() - self._loaded_at

    async def get(self, *, refresh: bool, deadline: Deadline) -> Mapping[Symbol, Market]:
        """
        The markets, from memory where they are known.

        Raises:
            VenueUnavailable, UnexpectedResponse and the other errors of a read; TimeoutError: too late.
        """
        if refresh:
            self._given = self._known = None
        known = self._known if self._given is None else self._given
        if known is not None:
            return known
        load = self._begin()
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await asyncio.shield(load)
        except asyncio.CancelledError:
            if load.cancelled():  # the gateway was closed meanwhile, and not we were cancelled
                raise VenueUnavailable("the gateway was closed", gateway=self._client.gateway) from None
            raise

    def refused(self, code: str | None) -> None:
        """Bitso refused by a rule of its markets: load them anew, beside what is known, once a minute at most."""
        if code in _RULE_CODES and self._given is None and self.age > _LEAST_AGE:
            self._begin()

    def _begin(self) -> asyncio.Task[Mapping[Symbol, Market]]:
        if self._load is None or self._load.done():
            self._load = asyncio.get_running_loop().create_task(self._fetch())
            self._load.add_done_callback(self._loaded)
        return self._load

    def _loaded(self, load: asyncio.Task[Mapping[Symbol, Market]]) -> None:
        if load.cancelled():
            return
        error = load.exception()
        if error is not None:
            self._warn(f"the markets' rules could not be loaded: {error}")
        else:
            self._known, self._loaded_at = load.result(), time.monotonic()

    async def aclose(self) -> None:
        """Stop a load that nobody waits for any more."""
        if self._load is not None and not self._load.done():
            self._load.cancel()
            await asyncio.wait([self._load])

    async def _fetch(self) -> Mapping[Symbol, Market]:
        deadline = Deadline(_LOAD_SECONDS)
        books, precision, fees = await asyncio.gather(
            self._client.get_public("/available_books", deadline=deadline, operation="markets"),
            self._optional(self._precision(deadline), "quantity steps"),
            self._optional(self._fees(deadline), "the account's own fees"),
        )
        markets: dict[Symbol, Market] = {}
        for row in books if isinstance(books, list) else []:
            try:
                market = market_from_row(row, precision=precision, fees=fees, warn=self._warn)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                self._warn(f"a book cannot be read: {error}")
            else:
                markets[market.symbol] = market
        if not markets:
            raise UnexpectedResponse(
                "available_books lists no book that can be read", gateway=self._client.gateway, operation="markets"
            )
        return markets

    async def _optional(self, call: Any, what: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_OPTIONAL_SECONDS):
                known: Mapping[str, Any] = await call
        except Exception as error:  # noqa: BLE001 - what is optional stops nothing, however it fails
            self._warn(f"{what} are not known: {str(error) or 'no answer in time'}")
            return {}
        return known

    async def _precision(self, deadline: Deadline) -> dict[str, int]:
        payload = await self._client.get_public("/catalogues", deadline=deadline, operation="markets")
        return {
            row["code"].lower(): row["precision"]
            for row in _rows(payload, "currencies", "metadata")
            if isinstance(row.get("code"), str) and _is_count(row.get("precision"))
        }

    async def _fees(self, deadline: Deadline) -> dict[str, Any]:
        payload = await self._client.get("/fees", deadline=deadline, operation="markets")
        return {row["book"]: row for row in _rows(payload, "fees") if isinstance(row.get("book"), str)}

    def _warn(self, text: str) -> None:
        extra = log_facts(self._client.gateway, "markets")
        self._client.session.log.warning("%s", text, extra=extra)


def _rows(payload: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list inside an answer; none where something else stands."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return [row for row in payload if isinstance(row, dict)] if isinstance(payload, list) else []


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 30
