"""Bitso's markets: the public rules of the books, the precision of their currencies, the account's own fees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from orderbridge.adapters.bitso.mapping import symbol_from_book
from orderbridge.errors import OrderDenied
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import Symbol, divide, parse_amount
from orderbridge.model.request import Market
from orderbridge.venue.markets import MarketRules, Warn
from orderbridge.venue.sender import HttpCall, Sender

_LOAD_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 3.0


class Public(NamedTuple):
    """What Bitso tells everybody of its markets: the rows of the books, and the decimals by currency code."""

    books: Any
    precision: Mapping[str, int]


class BitsoRules:
    """Fetches what Bitso tells of its markets. What is optional stops nothing, however it fails."""

    def __init__(self, client: Sender) -> None:
        self._client = client
        self.rules = MarketRules(public=self._public, rows=_books, market=_market, one=_one, own=self._fees)

    async def _public(self, fresh: bool) -> Public:
        books, precision = await asyncio.gather(
            self._get("/available_books"),
            self._optional(self._precision(), "quantity steps"),
        )
        return Public(books, precision)

    async def _precision(self) -> dict[str, int]:
        payload = await self._get("/catalogues")
        return {
            row["code"].lower(): row["precision"]
            for row in _rows(payload, "currencies", "metadata")
            if isinstance(row.get("code"), str) and _is_count(row.get("precision"))
        }

    async def _fees(self) -> Mapping[str, Any]:
        return await self._optional(self._own_fees(), "the account's own fees")

    async def _own_fees(self) -> dict[str, Any]:
        payload = await self._get("/fees", is_public=False)
        return {row["book"]: row for row in _rows(payload, "fees") if isinstance(row.get("book"), str)}

    async def _get(self, path: str, *, is_public: bool = True) -> Any:
        call = HttpCall(operation="markets", path=path, is_public=is_public)
        return await self._client.read(call, deadline=Deadline(_LOAD_SECONDS))

    async def _optional(self, call: Awaitable[Mapping[str, Any]], what: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(_OPTIONAL_SECONDS):
                return await call
        except Exception as error:  # noqa: BLE001 - a defect in what is optional stops no order either
            why = str(error) or "no answer in time"
            extra = log_facts(self._client.gateway, "markets")
            self._client.session.log.warning("%s are not known: %s", what, why, extra=extra)
            return {}


def _books(public: Public) -> Iterator[tuple[Any, Mapping[str, int]]]:
    for row in public.books if isinstance(public.books, list) else []:
        yield row, public.precision


def _market(row: tuple[Any, Mapping[str, int]], fees: Mapping[str, Any], warn: Warn) -> Market:
    return market_from_row(row[0], precision=row[1], fees=fees, warn=warn)


def _one(symbol: Symbol, markets: Mapping[Symbol, Market]) -> Market:
    if symbol not in markets:
        raise OrderDenied(f"Bitso has no market {symbol}", rule="symbol")
    return markets[symbol]


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


def _rows(payload: Any, *path: str) -> list[dict[str, Any]]:
    """The objects of a list inside an answer; none where something else stands."""
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return [row for row in payload if isinstance(row, dict)] if isinstance(payload, list) else []


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 30
