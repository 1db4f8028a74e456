"""Bitso's markets: loaded on first need, kept, and loaded anew when Bitso refuses by a rule."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from orderbridge.adapters.bitso.client import BitsoClient
from orderbridge.adapters.bitso.codes import CODES
from orderbridge.adapters.bitso.mapping import symbol_from_book
from orderbridge.errors import OrderBridgeError, UnexpectedResponse, VenueUnavailable
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import Symbol, divide, parse_amount
from orderbridge.model.request import Market
from orderbridge.venue.codes import Meaning

MarketsLike = Literal["lazy"] | Mapping[Symbol, Market] | None
_LOAD_SECONDS: Final = 30.0
_OPTIONAL_SECONDS: Final = 3.0
_LEAST_AGE: Final = 60.0


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


class Public(NamedTuple):
    """What Bitso tells everybody of its markets: the rows of the books, and the decimals by currency code."""

    books: Any
    precision: Mapping[str, int]


class PublicRules:
    """
    The public rules of one address, for every account that this event loop has there.

    Bitso counts public calls by address: were each account to load them, most of a hundred would wait for a minute.
    """

    def __init__(self) -> None:
        # What was loaded last, and when: it holds while a newer load is on its way or has failed.
        self.known: Public | None = None
        self.loaded_at = float("-inf")
        self._load: asyncio.Future[Public] | None = None
        self._loader: object = None

    async def get(self, fetch: Callable[[], Awaitable[Public]], *, loader: BitsoMarkets, fresh: bool) -> Public:
        """
        The rules, from memory or by the load that is under way; without one, `loader` makes it.

        Raises:
            What `fetch` raises. VenueUnavailable: the loads of two other accounts failed.
        """
        failed = 0
        while fresh or self.known is None:
            if self._load is None:
                self._load, self._loader = asyncio.ensure_future(fetch()), loader
                self._load.add_done_callback(self._loaded)
            load, is_ours = self._load, self._loader is loader
            try:
                return await asyncio.shield(load)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not load.cancelled() or is_ours or (task is not None and task.cancelling()):
                    raise
                # The gateway that was loading was closed: another one goes on.
            except OrderBridgeError as error:
                failed += 1
                if is_ours:
                    raise
                if failed > 1:  # the first may have failed by what is that account's own: its proxy, its end
                    message = f"the markets' rules could not be loaded: {error}"
                    raise VenueUnavailable(message, gateway=loader.gateway, operation="markets") from error
        return self.known

    def _loaded(self, load: asyncio.Future[Public]) -> None:
        self._load = self._loader = None
        if not load.cancelled() and load.exception() is None:
            self.known, self.loaded_at = load.result(), time.monotonic()

    async def leave(self, loader: BitsoMarkets) -> None:
        """Stop a load that this account makes; those who wait for it begin another."""
        if self._load is not None and self._loader is loader:
            self._load.cancel()
            await asyncio.wait([self._load])


# What is loaded in a loop ends with it: a task of one loop cannot be awaited in another.
_public: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, PublicRules]]] = WeakKeyDictionary()


class BitsoMarkets:
    """Keeps the markets of one gateway. One load serves every caller, and none that leaves takes it along."""

    def __init__(self, client: BitsoClient, markets: MarketsLike) -> None:
        self._client = client
        self.gateway = client.gateway
        self._given = None if markets == "lazy" else markets
        self.is_checked = markets is not None
        self._load: asyncio.Task[Mapping[Symbol, Market]] | None = None
        # The account's own fees, and what they were laid over.
        self._own_fees: Mapping[str, Any] | None = None
        self._base: Public | None = None
        self._markets: Mapping[Symbol, Market] = {}

    @property
    def _public(self) -> PublicRules:
        of_loop = _public.setdefault(asyncio.get_running_loop(), {})
        return of_loop.setdefault(self._client.base_url, PublicRules())

    @property
    def age(self) -> float:
        """Seconds since the rules were loaded; given ones do not age."""
        return 0.0 if self._given is not None else time.monotonic() - self._public.loaded_at

    async def get(self, *, refresh: bool, deadline: Deadline) -> Mapping[Symbol, Market]:
        """
        The markets, from memory where they are known.

        Raises:
            VenueUnavailable, UnexpectedResponse and the other errors of a read; TimeoutError: too late.
        """
        if refresh:
            self._given = self._own_fees = None
        if self._given is not None:
            return self._given
        if self._own_fees is not None and self._public.known is not None:
            return self._laid_over(self._public.known, self._own_fees)
        load = self._begin(fresh=refresh)
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await asyncio.shield(load)
        except asyncio.CancelledError:
            if load.cancelled():  # the gateway was closed meanwhile, and not we were cancelled
                raise VenueUnavailable("the gateway was closed", gateway=self._client.gateway) from None
            raise

    def refused(self, code: str | None) -> None:
        """Bitso refused by a rule of its markets: load them anew, beside what is known, once a minute at most."""
        if CODES.of(code, "submit") is Meaning.RULE and self._given is None and self.age > _LEAST_AGE:
            self._begin(fresh=True)

    def _begin(self, *, fresh: bool) -> asyncio.Task[Mapping[Symbol, Market]]:
        if self._load is None or self._load.done():
            self._load = asyncio.get_running_loop().create_task(self._fetch(fresh))
            self._load.add_done_callback(self._loaded)
        return self._load

    def _loaded(self, load: asyncio.Task[Mapping[Symbol, Market]]) -> None:
        if load.cancelled():
            return
        error = load.exception()
        if error is not None:
            self._warn(f"the markets' rules could not be loaded: {error}")

    async def aclose(self) -> None:
        """Stop a load that nobody waits for any more."""
        if self._load is not None and not self._load.done():
            self._load.cancel()
            await asyncio.wait([self._load])
        await self._public.leave(self)

    async def _fetch(self, fresh: bool) -> Mapping[Symbol, Market]:
        deadline = Deadline(_LOAD_SECONDS)
        public, fees = await asyncio.gather(
            self._public.get(self._fetch_public, loader=self, fresh=fresh),
            self._optional(self._fees(deadline), "the account's own fees"),
        )
        self._own_fees, self._base = fees, None
        return self._laid_over(public, fees)

    async def _fetch_public(self) -> Public:
        deadline = Deadline(_LOAD_SECONDS)
        books, precision = await asyncio.gather(
            self._client.get_public("/available_books", deadline=deadline, operation="markets"),
            self._optional(self._precision(deadline), "quantity steps"),
        )
        public = Public(books, precision)
        self._read(public, fees={}, warn=lambda text: None)  # what cannot be read is nobody's rules
        return public

    def _laid_over(self, public: Public, fees: Mapping[str, Any]) -> Mapping[Symbol, Market]:
        if self._base is not public:
            self._markets, self._base = self._read(public, fees, self._warn), public
        return self._markets

    def _read(self, public: Public, fees: Mapping[str, Any], warn: Warn) -> Mapping[Symbol, Market]:
        markets: dict[Symbol, Market] = {}
        for row in public.books if isinstance(public.books, list) else []:
            try:
                market = market_from_row(row, precision=public.precision, fees=fees, warn=warn)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                warn(f"a book cannot be read: {error}")
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
