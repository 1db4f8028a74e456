"""The base of every part of the face: the bridge, the one gateway of it, and the markets' rules once loaded."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from typing import Any

from ccxt.base import errors as ccxt

from orderbridge.bridge import OrderBridge
from orderbridge.ccxt_face.amounts import cut, exact, nearest, step_of, text
from orderbridge.ccxt_face.arguments import CLIENT_IDS, Params, Steps, checked_symbol, client_id, given
from orderbridge.ccxt_face.creates import CreatesOnce
from orderbridge.ccxt_face.dicts import Row, market_row
from orderbridge.ccxt_face.errors import as_ccxt_errors
from orderbridge.ccxt_face.rest_of import check_kind
from orderbridge.errors import ConfigurationError
from orderbridge.gateway import Capabilities
from orderbridge.model.basics import Symbol
from orderbridge.model.ref import OrderRef
from orderbridge.model.request import Market


class Core:
    """The bridge, its gateway, and the markets."""

    def __init__(
        self,
        bridge: OrderBridge,
        gateway: str,
        *,
        rest_of: Any,
        rounding: str | None,
        resolve_for: float,
        timeout: float,
        send_within: float,
        owns: bool,
        rest_awaits: bool = True,
    ) -> None:
        if not isinstance(bridge, OrderBridge):
            raise ConfigurationError(f"a face is made of an OrderBridge, not of {type(bridge).__name__}")
        if rounding not in ("ccxt", "refuse", None):
            raise ConfigurationError(f"rounding is 'ccxt', 'refuse' or None, not {rounding!r}")
        for name, seconds in (("resolve_for", resolve_for), ("timeout", timeout), ("send_within", send_within)):
            if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
                raise ConfigurationError(f"{name} is a number of seconds, not {seconds!r}")
        check_kind(rest_of, awaits=rest_awaits)
        self._gateway = bridge[gateway]
        self._name = self._gateway.name
        self._bridge = bridge
        self._rest_of = rest_of
        self._share_nonces()
        self._is_rounding = rounding == "ccxt"
        self._timeout = timeout
        self._owns = owns
        self._rules: Mapping[Symbol, Market] | None = None
        self._rows: dict[str, Row] | None = None
        self._creates = CreatesOnce(
            bridge, self._name, resolve_for=resolve_for, timeout=timeout, send_within=send_within
        )

    @property
    def _is_rest_the_same(self) -> bool:
        """True where `rest_of` speaks to the gateway's own exchange."""
        return getattr(self._rest_of, "id", None) == self.id

    def _share_nonces(self) -> None:
        """Have `rest_of`, where it signs with the key of the gateway, take its nonces from the gateway."""
        key = getattr(self._rest_of, "apiKey", None)
        if not isinstance(key, str) or not self._is_rest_the_same:
            return
        nonces = self._gateway.nonces_of(key)
        if nonces is not None:
            self._rest_of.nonce = nonces

    @property
    def id(self) -> str:
        """The exchange's id as ccxt spells it: `bitso`, `kraken`."""
        return self._gateway.venue.rpartition(".")[2]

    @property
    def _can(self) -> Capabilities:
        return self._gateway.capabilities

    def _ref(self, id: Any, params: Params, symbol: Any = None) -> OrderRef:
        """The order that is meant: by the exchange's id, and its symbol if it is given, or by the caller's own id."""
        told = given(params, *CLIENT_IDS)
        own = client_id(told)
        market = None if symbol is None else checked_symbol(symbol)
        if own is not None and not id:
            return self._named(client_order_id=own, symbol=market)
        if own is not None:
            raise ccxt.BadRequest("give an id, or a clientOrderId and an empty id, and not both")
        if not isinstance(id, str) or not id:
            raise ccxt.ArgumentsRequired(f"an id is a text, not {id!r}")
        return self._named(order_id=id, symbol=market)

    def _named(self, **names: str | None) -> OrderRef:
        try:
            return OrderRef(gateway=self._name, **names)
        except ValueError as error:
            raise ccxt.BadRequest(f"no id is written so: {names!r}") from error

    # The markets.

    @property
    def _has_rows(self) -> bool:
        """True where the markets are ours, and not those of `rest_of`."""
        return self._can.markets or self._rest_of is None

    @property
    def markets(self) -> Any:
        """By symbol, as ccxt's dicts; None until `load_markets`."""
        return self._rows if self._has_rows else getattr(self._rest_of, "markets", None)

    @property
    def markets_by_id(self) -> Any:
        """By id, each in a list."""
        if not self._has_rows:
            return getattr(self._rest_of, "markets_by_id", None)
        return None if self._rows is None else {row["id"]: [row] for row in self._rows.values()}

    @property
    def symbols(self) -> Any:
        """The symbols of the markets, sorted; None until `load_markets`."""
        return None if self.markets is None else sorted(self.markets)

    @property
    def ids(self) -> Any:
        """The ids of the markets, sorted; None until `load_markets`."""
        return None if self.markets_by_id is None else sorted(self.markets_by_id)

    async def load_markets(self, reload: bool = False, params: Params = None) -> Any:
        """
        The markets by symbol, as ccxt's dicts, and those of `rest_of` with them, which knows the venue's own ids.

        Where the venue tells no rules they are those of `rest_of`; without it the symbols that the gateway was told,
        without rules, and `market` takes any other.
        """
        if self._can.markets:
            given(params)
            rows = await self._load(reload=reload)
            if self._rest_of is not None:
                await self._rest_markets(reload, {})
                self._name_as_the_venue(rows)
            return rows
        if self._rest_of is not None:
            return await self._rest_markets(reload, params or {})
        if self._rows is None:
            known = self._gateway.known_symbols
            self._rows = {str(symbol): market_row(Market(symbol=symbol)) for symbol in known}
        return self._rows

    async def fetch_markets(self, params: Params = None) -> Any:
        """The markets as a list, read anew; where the venue tells no rules, those of `rest_of`."""
        if self._has_rows:
            return list((await self.load_markets(True, params)).values())
        return list((await self._rest_markets(True, params or {})).values())

    async def _rest_markets(self, reload: bool, params: Mapping[str, Any]) -> Any:
        call = self._rest_of.load_markets
        if inspect.iscoroutinefunction(call):
            return await call(reload, params)
        return await asyncio.to_thread(call, reload, params)

    def _name_as_the_venue(self, rows: dict[str, Row]) -> None:
        known = getattr(self._rest_of, "markets", None) if self._is_rest_the_same else None
        for symbol, row in rows.items():
            theirs = (known or {}).get(symbol)
            if theirs is not None:
                row.update(
                    {name: theirs[name] for name in ("id", "lowercaseId", "baseId", "quoteId") if name in theirs}
                )

    async def _load(self, *, reload: bool) -> dict[str, Row]:
        with as_ccxt_errors():
            rules = await self._gateway.markets(refresh=reload, timeout=self._timeout)
        if self._rows is None or rules is not self._rules:
            self._rules, self._rows = rules, {str(symbol): market_row(each) for symbol, each in rules.items()}
            self._name_as_the_venue(self._rows)
        return self._rows

    async def _market_of(self, symbol: Symbol) -> Market | None:
        """The rules of a market, or its steps as `rest_of` knows them; None without. BadSymbol: there is none."""
        if not self._can.markets:
            return None if self._rest_of is None else await self._steps_of_rest(symbol)
        await self._load(reload=False)
        market = (self._rules or {}).get(symbol)
        if market is None:
            raise ccxt.BadSymbol(f"{self.id} does not have market symbol {symbol}")
        return market

    async def _steps_of_rest(self, symbol: Symbol) -> Market:
        row = (await self._rest_markets(False, {})).get(str(symbol))
        if row is None:
            raise ccxt.BadSymbol(f"{self.id} does not have market symbol {symbol}, as {self._rest_of.id} has it")
        precision, mode = row.get("precision") or {}, getattr(self._rest_of, "precisionMode", None)
        amount, price = (step_of(precision.get(name), mode) for name in ("amount", "price"))
        return Market(symbol=symbol, quantity_step=amount, price_tick=price)

    async def _steps(self, symbol: Symbol) -> Steps:
        return Steps(await self._market_of(symbol), self._is_rounding)

    def market(self, symbol: str) -> Any:
        """
        One market, as ccxt's dict.

        Raises:
            ExchangeError: the markets are not loaded. BadSymbol: there is no such market.
        """
        if not self._has_rows:
            return self._rest_of.market(symbol)
        wanted = checked_symbol(symbol)
        if self._rows is None:
            raise ccxt.ExchangeError(f"{self.id} markets not loaded")
        if wanted not in self._rows and not self._can.markets:
            self._rows[str(wanted)] = market_row(Market(symbol=wanted))  # nobody tells which there are
        if wanted not in self._rows:
            raise ccxt.BadSymbol(f"{self.id} does not have market symbol {symbol}")
        return self._rows[wanted]

    def amount_to_precision(self, symbol: str, amount: Any) -> Any:
        """An amount cut to the market's step, as text."""
        return self._to_precision("amount_to_precision", symbol, amount)

    def price_to_precision(self, symbol: str, price: Any) -> Any:
        """A price rounded to the market's step, as text; a buy's may come out higher, as ccxt has it."""
        return self._to_precision("price_to_precision", symbol, price)

    def cost_to_precision(self, symbol: str, cost: Any) -> Any:
        """A value in quote cut to the market's price step, as text."""
        return self._to_precision("cost_to_precision", symbol, cost)

    def _to_precision(self, call: str, symbol: str, value: Any) -> Any:
        if not self._has_rows:
            return getattr(self._rest_of, call)(symbol, value)
        if value is None:
            return None
        self.market(symbol)
        rules = (self._rules or {}).get(Symbol(symbol)) or Market(symbol=Symbol(symbol))
        name = call.partition("_")[0]
        step = rules.quantity_step if name == "amount" else rules.price_tick
        there = (nearest if name == "price" else cut)(exact(value, name), step)
        if not there and name != "cost":
            raise ccxt.InvalidOrder(f"{name} of {symbol} must be at least one step of {step}")
        return text(there)
