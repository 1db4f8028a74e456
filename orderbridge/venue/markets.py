"""The markets of a venue: their public rules loaded once per address, and what is ordered held against them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

from orderbridge import errors
from orderbridge.http.retry import Deadline
from orderbridge.http.session import log_facts
from orderbridge.model.basics import Symbol
from orderbridge.model.request import BrokenRule, Market, OrderEdit, OrderRequest

MarketsLike = Literal["lazy"] | Mapping[Symbol, Market] | None
Amounts = Mapping[str, Decimal | None]
Warn = Callable[[str], object]
# Before rules this old refuse an order, they are read again: the venue may have changed them.
_OLD: Final = 600.0
# After a refusal by a rule, or for a market that is not known, they are loaded anew, so often at most.
_LEAST_AGE: Final = 60.0
# Rules this old are loaded anew beside their use: a step that the venue has changed may refuse nothing, and round all.
_STALE: Final = 3600.0


def amounts_of(given: OrderRequest | OrderEdit) -> dict[str, Decimal | None]:
    """The amounts of an order, new or changed, that rules bound."""
    known = given.__dict__
    return {name: known.get(name) for name in ("quantity", "quote_quantity", "price", "stop_price")}


class MarketRules(NamedTuple):
    """
    How a venue tells its markets.

    Attributes:
        public: fetches what it tells everybody; `fresh`: not from a client's own memory.
        rows: the rows of that, each with what is needed to read it.
        market: reads one row, with the account's own part. ValueError, TypeError, KeyError, AttributeError: it cannot
            be read. `Warn` is told of a rule that cannot be.
        own: fetches the account's own part, as of its fees; of a venue that has none there is none.
        one: the market of a symbol, where a venue spells them otherwise. OrderDenied, NotSupported: there is none.
        beyond: rules that a `Market` cannot hold, and which of them amounts break.
    """

    public: Callable[[bool], Awaitable[Any]]
    market: Callable[[Any, Any, Warn], Market]
    rows: Callable[[Any], Iterable[Any]] = lambda public: public
    own: Callable[[], Awaitable[Any]] | None = None
    one: Callable[[Symbol, Mapping[Symbol, Market]], Market] | None = None
    beyond: Callable[[Market, Amounts], list[BrokenRule]] = lambda market, amounts: []


class PublicRules:
    """
    The public rules of one address, for every account that this event loop has there.

    A venue may count public calls by address: were each account to load them, most of a hundred would wait long.
    """

    def __init__(self) -> None:
        # What was loaded last, and when: it holds while a newer load is on its way or has failed. When one was begun.
        self.known: Any = None
        self.loaded_at = self.asked_at = float("-inf")
        self._load: asyncio.Future[Any] | None = None
        self._loader: object = None

    async def get(self, fetch: Callable[[], Awaitable[Any]], *, loader: MarketStore, fresh: bool) -> Any:
        """
        The rules, from memory or by the load that is under way; without one, `loader` makes it.

        Raises:
            What `fetch` raises. VenueUnavailable: the loads of two other accounts failed.
        """
        failed = 0
        while fresh or self.known is None:
            if self._load is not None and self._load.done():
                self._loaded(self._load)  # its callback is still to come, and nothing else would let it run
                continue
            if self._load is None:
                self._load, self._loader, self.asked_at = asyncio.ensure_future(fetch()), loader, time.monotonic()
                self._load.add_done_callback(self._loaded)
            load, is_ours = self._load, self._loader is loader
            try:
                return await asyncio.shield(load)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if not load.cancelled() or is_ours or (task is not None and task.cancelling()):
                    raise
                # The gateway that was loading was closed: another one goes on.
            except errors.OrderBridgeError as error:
                failed += 1
                if is_ours:
                    raise
                if failed > 1:  # the first may have failed by what is that account's own: its proxy, its end
                    message = f"the markets' rules could not be loaded: {error}"
                    raise errors.VenueUnavailable(message, gateway=loader.gateway, operation="markets") from error
        return self.known

    def _loaded(self, load: asyncio.Future[Any]) -> None:
        if load is not self._load:
            return  # taken in already
        self._load = self._loader = None
        if not load.cancelled() and load.exception() is None:
            self.known, self.loaded_at = load.result(), time.monotonic()

    async def leave(self, loader: MarketStore) -> None:
        """Stop a load that this account makes; those who wait for it begin another."""
        if self._load is not None and self._loader is loader:
            self._load.cancel()
            await asyncio.wait([self._load])


# What is loaded in a loop ends with it: a task of one loop cannot be awaited in another.
_public: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, PublicRules]]] = WeakKeyDictionary()


class MarketStore:
    """
    Keeps the markets of one gateway. One load serves every caller, and none that leaves takes it along.

    Args:
        address: of whose accounts the public rules are shared, now; None where they are this gateway's own.
        given: `"lazy"` loads them on first need; None: nothing is held against them.
    """

    def __init__(
        self,
        rules: MarketRules,
        *,
        gateway: str,
        log: logging.Logger,
        address: str | Callable[[], str] | None = None,
        given: MarketsLike = "lazy",
    ) -> None:
        self.gateway = gateway
        self._rules = rules
        self._log = log
        self._address = address
        self._given = None if given == "lazy" else given
        self._is_checked = given is not None
        self._mine = PublicRules()
        self._load: asyncio.Task[Mapping[Symbol, Market]] | None = None
        # The account's own part once it was asked for, and what it was laid over.
        self._own: Any = None
        self._base: Any = None
        self._markets: Mapping[Symbol, Market] = {}

    @property
    def _public(self) -> PublicRules:
        if self._address is None:
            return self._mine
        address = self._address if isinstance(self._address, str) else self._address()
        here = _public.setdefault(asyncio.get_running_loop(), {})
        return here.get(address) or here.setdefault(address, PublicRules())

    @property
    def _age(self) -> float:
        """Seconds since the rules were loaded; given ones do not age."""
        return 0.0 if self._given is not None else time.monotonic() - self._public.loaded_at

    @property
    def known(self) -> Mapping[Symbol, Market]:
        """The markets as far as they were loaded."""
        return self._given or self._markets

    async def get(
        self, *, refresh: bool = False, having: Symbol | None = None, deadline: Deadline
    ) -> Mapping[Symbol, Market]:
        """
        The markets, from memory where they are known.

        Args:
            having: where this one is not known they are loaded anew, once a minute at most.

        Raises:
            VenueUnavailable, UnexpectedResponse and the other errors of a read.
        """
        if refresh:
            self._given = self._own = None
        if self._given is not None:
            return self._given
        public = self._public
        if self._own is not None and public.known is not None:
            markets = self._laid_over(public.known)
        else:
            markets = await self._wait_for(self._begin(fresh=refresh), deadline)
            public = self._public
        may_load = time.monotonic() - public.asked_at > _LEAST_AGE
        if may_load and having is not None and having not in markets:
            return await self._wait_for(self._begin(fresh=True), deadline)
        if may_load and self._age > _STALE:
            self._begin(fresh=True)
        return markets

    async def _wait_for(
        self, load: asyncio.Task[Mapping[Symbol, Market]], deadline: Deadline
    ) -> Mapping[Symbol, Market]:
        try:
            async with asyncio.timeout(deadline.as_timeout):
                return await asyncio.shield(load)
        except TimeoutError as error:
            raise errors.VenueUnavailable("no answer in time", gateway=self.gateway, operation="markets") from error
        except asyncio.CancelledError:
            if load.cancelled():  # the gateway was closed meanwhile, and not we were cancelled
                raise errors.VenueUnavailable(
                    "the gateway was closed", gateway=self.gateway, operation="markets"
                ) from None
            raise

    async def hold(self, symbol: Symbol, amounts: Amounts, *, deadline: Deadline) -> None:
        """
        Let the amounts of an order, new or changed, pass or refuse them; they are never rounded.

        Args:
            amounts: quantity, quote_quantity, price, stop_price; None is not held against anything.

        Raises:
            OrderDenied: a broken rule, with the nearest legal values. OrderDenied, NotSupported: no such market.
            NotSent: the rules could not be loaded.
        """
        if not self._is_checked:
            return
        try:
            await self._check(symbol, amounts, deadline=deadline, refresh=False)
        except errors.OrderDenied:
            if self._age < _OLD:
                raise
            await self._check(symbol, amounts, deadline=deadline, refresh=True)

    async def _check(self, symbol: Symbol, amounts: Amounts, *, deadline: Deadline, refresh: bool) -> None:
        try:
            markets = await self.get(refresh=refresh, having=symbol, deadline=deadline)
        except (errors.VenueUnavailable, errors.UnexpectedResponse, errors.VenueError) as error:
            raise errors.NotSent(f"nothing was sent: the markets' rules could not be loaded: {error}") from error
        market = self._rules.one(symbol, markets) if self._rules.one else markets.get(symbol)
        if market is None:
            raise errors.OrderDenied(f"{self.gateway} has no market {symbol}", rule="symbol")
        broken = [*market.check_amounts(**amounts), *self._rules.beyond(market, amounts)]
        if broken:
            raise errors.OrderDenied(
                f"{market.symbol}: " + "; ".join(rule.message for rule in broken),
                rule=broken[0].rule,
                nearest=broken[0].nearest,
            )

    def refused(self) -> None:
        """The venue refused by a rule of its markets: load them anew, beside what is known, once a minute at most."""
        if self._given is None and self._age > _LEAST_AGE:
            self._begin(fresh=True)

    def _begin(self, *, fresh: bool) -> asyncio.Task[Mapping[Symbol, Market]]:
        if self._load is None or self._load.done():
            self._load = asyncio.get_running_loop().create_task(self._fetch(fresh))
            self._load.add_done_callback(self._loaded)
        return self._load

    def _loaded(self, load: asyncio.Task[Mapping[Symbol, Market]]) -> None:
        if not load.cancelled() and load.exception() is not None:
            self.warn(f"the markets' rules could not be loaded: {load.exception()}")

    async def aclose(self) -> None:
        """Stop a load that nobody waits for any more."""
        if self._load is not None and not self._load.done():
            self._load.cancel()
            await asyncio.wait([self._load])
        await self._public.leave(self)

    async def _fetch(self, fresh: bool) -> Mapping[Symbol, Market]:
        async def nothing() -> dict[str, Any]:
            return {}

        public, self._own = await asyncio.gather(
            self._public.get(lambda: self._fetch_public(fresh), loader=self, fresh=fresh),
            (self._rules.own or nothing)(),
        )
        self._base = None
        return self._laid_over(public)

    async def _fetch_public(self, fresh: bool) -> Any:
        public = await self._rules.public(fresh)
        self._read(public, {}, lambda text: None)  # what cannot be read is nobody's rules
        return public

    def _laid_over(self, public: Any) -> Mapping[Symbol, Market]:
        if self._base is not public:
            self._markets, self._base = self._read(public, self._own, self.warn), public
        return self._markets

    def _read(self, public: Any, own: Any, warn: Warn) -> Mapping[Symbol, Market]:
        read: dict[Symbol, list[Market]] = defaultdict(list)
        for row in self._rules.rows(public):
            try:
                market = self._rules.market(row, own, warn)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                warn(f"a market cannot be read: {error}")
            else:
                read[market.symbol].append(market)
        # Of two markets that are spelled alike it cannot be told which is meant.
        markets = {symbol: found[0] for symbol, found in read.items() if len(found) == 1}
        if not markets:
            message = "the venue lists no market that can be read"
            raise errors.UnexpectedResponse(message, gateway=self.gateway, operation="markets")
        return markets

    def warn(self, text: str) -> None:
        """Say what of the markets is not known."""
        self._log.warning("%s", text, extra=log_facts(self.gateway, "markets"))
