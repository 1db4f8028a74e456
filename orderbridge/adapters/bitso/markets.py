"""Bitso's markets: loaded on first need, kept, and loaded anew when Bitso refuses by a rule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.mapping import symbol_from_book
from orderbridge.errors import OrderBridgeError, UnexpectedResponse, VenueUnavailable
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


def market_from_row(row: Any, *, precision: Mapping[str, int], fees: Mapping[str, Any]) -> Market:
    """
    The rules of one book.

    Args:
        precision: decimals by currency code; the base's gives the quantity step.
        fees: the account's own fees by book; they go before the general ones, which are in percent.

    Raises:
        ValueError, TypeError, KeyError: a row that cannot be read.

    Source: Bitso API v3, "List Available Books", "Fees"; `catalogues` for the precision.
    """
    symbol = symbol_from_book(row["book"])
    own, flat = fees.get(row["book"], {}), (row.get("fees") or {}).get("flat_rate") or {}
    places = precision.get(symbol.base.lower())
    return Market(
        symbol=symbol,
        price_tick=_amount(row, "tick_size"),
        quantity_step=None if places is None else Decimal(1).scaleb(-places),
        min_quantity=_amount(row, "minimum_amount"),
        max_quantity=_amount(row, "maximum_amount"),
        min_price=_amount(row, "minimum_price"),
        max_price=_amount(row, "maximum_price"),
        min_value=_amount(row, "minimum_value"),
        max_value=_amount(row, "maximum_value"),
        maker_fee=_fee("maker", own, flat),
        taker_fee=_fee("taker", own, flat),
    )


def _amount(row: Mapping[str, Any], name: str) -> Decimal | None:
    value = row.get(name)
    return None if value is None or value == "" else parse_amount(value)


def _fee(side: str, own: Mapping[str, Any], flat: Mapping[str, Any]) -> Decimal | None:
    mine, percent = _amount(own, f"{side}_fee_decimal"), _amount(flat, side)
    if mine is not None or percent is None:
        return mine
    return divide(percent, Decimal(100))


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
                market = market_from_row(row, precision=precision, fees=fees)
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
        except (OrderBridgeError, TimeoutError) as error:
            self._warn(f"{what} are not known: {error or 'no answer in time'}")
            return {}
        return known

    async def _precision(self, deadline: Deadline) -> dict[str, int]:
        payload = await self._client.get_public("/catalogues", deadline=deadline, operation="markets")
        rows = payload.get("currencies", {}).get("metadata", []) if isinstance(payload, dict) else []
        return {
            row["code"].lower(): row["precision"]
            for row in rows
            if isinstance(row, dict) and isinstance(row.get("code"), str) and _is_count(row.get("precision"))
        }

    async def _fees(self, deadline: Deadline) -> dict[str, Any]:
        payload = await self._client.get("/fees", deadline=deadline, operation="markets")
        rows = payload.get("fees", []) if isinstance(payload, dict) else []
        return {row["book"]: row for row in rows if isinstance(row, dict) and isinstance(row.get("book"), str)}

    def _warn(self, text: str) -> None:
        extra = log_facts(self._client.gateway, "markets")
        self._client.session.log.warning("%s", text, extra=extra)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 30
