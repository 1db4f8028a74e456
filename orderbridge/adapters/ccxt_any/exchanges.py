"""An exchange object of ccxt's, made here or taken over: refused where it cannot be used, and what it can do."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from orderbridge.adapters.ccxt_any.rows import UNREVIEWED, RowRules
from orderbridge.client_ids import from_uuid, to_uuid
from orderbridge.errors import ConfigurationError, NotSupported
from orderbridge.gateway import Capabilities, ClientIdRule
from orderbridge.http.limits import Rate
from orderbridge.model.basics import EditClass, Idempotency, OrderType, Side, TimeInForce
from orderbridge.model.order import Order
from orderbridge.venue.meanings import Meaning

_SECRETS: Final = ("apiKey", "secret", "password", "uid", "login", "twofa", "privateKey", "walletAddress", "token")
# Ours to ccxt's, so that settings read as those of every other gateway.
CREDENTIALS: Final[Mapping[str, str]] = {
    **{re.sub("[A-Z]", r"_\g<0>", name).lower(): name for name in (*_SECRETS, "accountId")},
    "api_secret": "secret",
}
_SOCKS: Final = ("socksProxy", "socks_proxy", "socksProxyCallback", "socks_proxy_callback")
# Where ccxt names no pace: one request a second.
_SLOW_MILLISECONDS: Final = 1000.0
_SHORTEST_SECRET: Final = 4
# What is declared of ccxt's exchanges was seen to leave this ccxt and later ones; earlier ones place other orders.
OLDEST: Final = "4.5.84"


def exchange_of(exchange: Any, config: Mapping[str, Any] | None, *, sandbox: bool) -> Any:
    """
    An exchange object that can be used: made by ccxt's id, or the caller's own.

    Raises:
        ConfigurationError, NotSupported: it cannot be.
    """
    # The text "false" would be true.
    if not isinstance(sandbox, bool):
        raise ConfigurationError(f"sandbox is True or False, not {type(sandbox).__name__}")
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(f"config is a mapping of ccxt's settings, not {type(config).__name__}")
    make = _made if isinstance(exchange, str) else _taken
    known = make(exchange, config, sandbox=sandbox)
    _check_version()
    _check_calls(known)
    _check_credentials(known)
    check_proxies(known)
    return known


def _made(exchange: str, config: Mapping[str, Any] | None, *, sandbox: bool) -> Any:
    """
    An exchange object by ccxt's id.

    Raises:
        ConfigurationError: ccxt is not installed, has no such exchange (near ids are named), or no sandbox of it; or a
            setting that it does not take.
    """
    try:
        ccxt = import_module("ccxt.async_support")  # on first need: it takes most of a second
    except ImportError as error:
        raise ConfigurationError(f"ccxt is not installed: pip install 'orderbridge[ccxt]' ({error})") from error
    if exchange not in ccxt.exchanges:
        near = difflib.get_close_matches(exchange.lower(), ccxt.exchanges, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see ccxt.exchanges for those it has"
        raise ConfigurationError(f"ccxt has no exchange {exchange!r}; {hint}")
    settings = {
        CREDENTIALS.get(name, name): value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in (config or {}).items()
    }
    kind = getattr(ccxt, exchange)
    try:
        made = kind(settings)
    except Exception:  # noqa: BLE001 - whatever a config of the wrong kind meets in ccxt
        # ccxt's own text may show the settings.
        names = ", ".join(map(str, settings))
        raise ConfigurationError(f"ccxt does not take this config: one of {names} is of a wrong kind") from None
    # Its pause at closing serves WebSockets, which are not used here.
    made.timeout_on_exit = 0
    if sandbox:
        try:
            made.set_sandbox_mode(True)
        except Exception:  # noqa: BLE001 - NotSupported, or a KeyError on the way to it
            raise ConfigurationError(f"ccxt knows no sandbox of {exchange}: leave sandbox out") from None
    return made


def _taken(exchange: Any, config: Mapping[str, Any] | None, *, sandbox: bool) -> Any:
    """
    An exchange object that the caller made.

    Raises:
        ConfigurationError: it is none of ccxt.async_support, or comes with a config of its own.
    """
    is_ccxt = any(kind.__module__.startswith("ccxt.") for kind in type(exchange).__mro__)
    if not is_ccxt or isinstance(exchange, type):
        raise ConfigurationError("exchange is an id of ccxt's, such as 'kraken', or an object of ccxt.async_support")
    if getattr(exchange, "synchronous", True) is not False:
        raise ConfigurationError("the exchange object is a synchronous one: make it from ccxt.async_support")
    if config:
        raise ConfigurationError("an exchange object holds its own config: give config with an exchange's id only")
    if sandbox:
        raise ConfigurationError("an exchange object is set to its sandbox by its own set_sandbox_mode(True)")
    return exchange


def _check_version() -> None:
    """ConfigurationError: a ccxt that is too old."""
    there = import_module("ccxt").__version__
    if _numbers(there) < _numbers(OLDEST):
        raise ConfigurationError(
            f"ccxt {there} is too old for orders at its exchanges: pip install --upgrade 'ccxt>={OLDEST}'"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))


def _check_calls(exchange: Any) -> None:
    """NotSupported: the exchange trades no spot market, or ccxt lacks a call without which orders cannot be kept."""
    has = exchange.has
    if has.get("spot") is False:
        raise NotSupported(f"{exchange.id} has no spot market; contracts are not traded here")
    missing = [name for name in ("createOrder", "cancelOrder") if not has.get(name)]
    if not (has.get("fetchOrder") or has.get("fetchOpenOrders")):
        missing.append("fetchOrder or fetchOpenOrders")
    if missing:
        raise NotSupported(f"ccxt's {exchange.id} lacks {', '.join(missing)}, so orders cannot be kept there")


def _check_credentials(exchange: Any) -> None:
    """ConfigurationError: a credential that the exchange requires is missing; it is named."""
    ours = {ccxt_name: name for name, ccxt_name in CREDENTIALS.items()}
    missing = [
        name
        for name, is_needed in exchange.requiredCredentials.items()
        if is_needed and not getattr(exchange, name, None)
    ]
    if missing:
        names = ", ".join(f"{name} ({ours[name]})" if ours.get(name, name) != name else name for name in missing)
        raise ConfigurationError(f"{exchange.id} needs credentials that are missing: {names}")


def check_proxies(exchange: Any) -> None:
    """ConfigurationError: a SOCKS proxy, for which ccxt has other sessions, that may send a write again."""
    named = [name for name in _SOCKS if getattr(exchange, name, None)]
    if named:
        raise ConfigurationError(
            f"{exchange.id} has {', '.join(named)}: a SOCKS proxy may send an order twice; use httpProxy or httpsProxy"
        )


def secrets_of(exchange: Any) -> tuple[str, ...]:
    """Every secret of an exchange object, as it could appear in a text."""
    found: list[str] = []
    for name in _SECRETS:
        value = getattr(exchange, name, None)
        if isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
            lines = [line for line in value.splitlines() if len(line) >= 16 and not line.startswith("-----")]
            found += [value, value.replace("\n", "\\n"), *lines]
    # The longest first, so that no rest of one stays.
    return tuple(sorted(dict.fromkeys(found), key=len, reverse=True))


def digest_of(exchange: Any) -> str:
    """A digest that tells one account's credentials from another's, without showing them."""
    named = "\n".join(f"{name}={getattr(exchange, name, None) or ''}" for name in _SECRETS)
    return hashlib.sha256(named.encode()).hexdigest()


def making_of(exchange: Any) -> str:
    """A digest of what its markets depend on: objects that are made alike, for whichever account, have the same."""
    kind = type(exchange)
    made = (kind.__module__, kind.__qualname__, exchange.id, exchange.hostname, exchange.urls, exchange.options)
    return hashlib.sha256(repr(made).encode()).hexdigest()


def address_of(exchange: Any) -> str:
    """Where its requests go: the host of the first of its addresses, for messages."""
    urls = exchange.urls.get("api") if isinstance(exchange.urls, Mapping) else None
    for url in _texts(urls):
        parts = urlsplit(url.replace("{hostname}", str(getattr(exchange, "hostname", "") or "")))
        if parts.hostname:
            return f"{parts.scheme}://{parts.netloc}"
    return ""


def rate_of(exchange: Any) -> Rate:
    """
    Our lanes by ccxt's pace of an exchange (`rateLimit`: milliseconds between requests of weight one).

    A burst of a second's worth and a tenth of a minute's at most; with the refill no 60 s go over the figure.
    """
    told = getattr(exchange, "rateLimit", None)
    pause = float(told) if isinstance(told, (int, float)) and told > 0 else _SLOW_MILLISECONDS
    a_minute = 60_000 / pause
    burst = max(1, min(int(a_minute / 10), int(1000 / pause)))
    return Rate(burst=burst, per_second=(a_minute - burst if a_minute > burst else a_minute / 2) / 60)


def is_sandbox(exchange: Any) -> bool:
    """True if the object was set to its exchange's sandbox."""
    return bool(getattr(exchange, "isSandboxModeEnabled", False))


def _texts(urls: Any) -> list[str]:
    if isinstance(urls, str):
        return [urls]
    # The private address, where it has one of its own.
    ordered = sorted(urls.items(), key=lambda item: item[0] != "private") if isinstance(urls, Mapping) else []
    return [text for _, value in ordered for text in _texts(value)]


# Ids go into paths unescaped, where a word may name something else: `DELETE /orders/all` cancels everything.
ANY_ID: Final = r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._:=+-]{0,127}|[A-Za-z0-9]{10,128}"

# ccxt writes tens of thousands of days where there is no limit.
_NO_SPAN: Final = 3650


@dataclass(frozen=True, slots=True)
class ClientIds:
    """
    Client order ids at an exchange.

    Attributes:
        rule: which ids it takes; that it refuses one which was used before is not promised.
        fetch: `fetchOrder` finds an order by it; otherwise the open orders are searched.
        sent_as: the parameter under which it reaches the exchange. stop_sent_as: that of an order with a stop price.
        prefix: what the exchange wants before each; in its rows what lacks it is no client id but a label.
        is_uuid: it takes UUIDs only. row_field: where its rows have it, if ccxt passes over that.
    """

    rule: ClientIdRule
    fetch: bool = False
    sent_as: str = "clientOrderId"
    stop_sent_as: str = ""
    prefix: str = ""
    is_uuid: bool = False
    row_field: str = ""

    def wire(self, client_order_id: str) -> str | None:
        """A client id as the exchange has it; None where it has none such."""
        return to_uuid(client_order_id) if self.is_uuid else self.prefix + client_order_id

    def read(self, order: Order) -> Order:
        """An order with its client id as it was given here."""
        shown = str(order.client_order_id or order.raw.get(self.row_field) or "")
        id = shown.removeprefix(self.prefix) if shown.startswith(self.prefix) else ""
        known = (from_uuid(id) if self.is_uuid else id) or None
        return order if known == order.client_order_id else order.model_copy(update={"client_order_id": known})


@dataclass(frozen=True, slots=True)
class Stops:
    """
    Orders that wait for a price, at an exchange.

    Attributes:
        types: which are taken. loss, gain: the parameters of ccxt's that their price goes out by.
        loses_id: one that was triggered may show as another order, without our client id. None: it may where they are
            kept apart, as nothing shows that it keeps it.
    """

    types: frozenset[OrderType]
    loss: str = "triggerPrice"
    gain: str = "triggerPrice"
    loses_id: bool | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """
    One of an exchange's lists.

    Attributes:
        needs_symbol: there is none for all symbols.
        limit: the most rows of one answer; None when it is not told.
        whole: one answer holds every row there is.
        takes_since: `since` may be asked for. days_back: how far back it reaches.
        days_at_once: the longest span that one request shows. latest: without `since` it shows the latest rows, and not
            those of such a span.
        more: a field of the answer which is true while there are further pages.
        rows_at: where an answer has its rows; None where that is not known.
    """

    exists: bool = False
    needs_symbol: bool = False
    limit: int | None = None
    whole: bool = False
    takes_since: bool = True
    days_back: int | None = None
    days_at_once: int | None = None
    latest: bool = False
    more: str | None = None
    rows_at: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Traits:
    """
    The traits of an exchange that its gateway must know.

    Attributes:
        quote_sides: sides of market orders that can be sized in quote. base_sides: in base, as was shown: a market buy
            in base goes out as an amount of quote at some exchanges. base_buys_if: a call of ccxt's about the account,
            the last of whose answers says whether that is so of a market buy.
        order_needs_symbol: an order is looked up by its symbol too.
        quote_as: how a size in quote is given to ccxt: by the calls for that (`with_cost`), as `amount`, or as the
            parameters of these names.
        stops: orders that wait for a price. edits: an order is changed in its place, and keeps its id.
        trigger_orders_apart: orders that wait for a price have a list and calls of their own. fetches_trigger: one of
            them is looked up there by id. becomes: the field of a row with the id that one is read, changed and
            cancelled by once it was triggered, while ccxt gives it the id that it had.
        fetch_params: what a look-up by id needs besides.
        id_shape: what order ids look like. numbers_by_market: another market may have an order of the same id. Taken
            to be so unless a row says that ids are unique in the account: a symbol too many in a key harms nobody.
        rows: how its rows are read.
        refusals: a refusal's meaning by the exchange's own code or text (`*`: whatever stands there); `code_at` are the
            dotted paths to those. refuses_with_500: that status says nothing beside a code of theirs. turns_away: what
            its limiter stops, by its status and a code, is documented to come to nothing.
        order_rows_at: where the answer to a look-up by id has its rows; None where that is not known.
        cancel_lists: the id in the answer to a cancel is proof that the order was cancelled.
        posts_read, gets_write: paths that only read although they are asked by POST, and that change orders by GET.
        account_call: a call of ccxt's that learns what an account is like, and is made with the load of markets only.
        price_digits: the significant digits of a price that is not whole, where ccxt has but the tick of one price.
    """

    order_types: frozenset[OrderType] = frozenset()
    times_in_force: frozenset[TimeInForce] = frozenset({TimeInForce.GTC})
    post_only: bool = False
    quote_sides: frozenset[Side] = frozenset()
    base_sides: frozenset[Side] = frozenset(Side)
    base_buys_if: str = ""
    quote_as: str = "with_cost"
    client_ids: ClientIds | None = None
    stops: Stops | None = None
    edits: bool = False
    fetch_order: bool = False
    order_needs_symbol: bool = False
    open_orders: Listing = Listing()
    orders: Listing = Listing()
    trades: Listing = Listing()
    order_trades: bool = False
    trigger_orders_apart: bool = False
    fetches_trigger: bool = False
    becomes: str = ""
    fetch_params: Mapping[str, Any] = field(default_factory=dict)
    id_shape: str = ANY_ID
    numbers_by_market: bool = True
    rows: RowRules = UNREVIEWED
    refusals: Mapping[str, Meaning] = field(default_factory=dict)
    code_at: tuple[str, ...] = ()
    refuses_with_500: bool = False
    turns_away: bool = False
    order_rows_at: tuple[str, ...] | None = None
    cancel_lists: bool = False
    posts_read: str = ""
    gets_write: str = ""
    account_call: str | None = None
    price_digits: int | None = None

    def could_be_id(self, text: str) -> bool:
        """True if the exchange could have issued this as an order id, and it is safe in a path."""
        return re.fullmatch(self.id_shape, text) is not None and text.lower() != "all" and ".." not in text

    def writes(self, method: str, path: str) -> bool:
        """True if a request may change something. One that is not known does, unless it is a GET."""
        odd = self.gets_write if method == "GET" else self.posts_read
        return (method != "GET") is not bool(odd and re.search(odd, path))

    @property
    def capabilities(self) -> Capabilities:
        """The same in the words of every gateway."""
        stops = self.stops or Stops(frozenset())
        lose_ids = self.trigger_orders_apart if stops.loses_id is None else stops.loses_id
        return Capabilities(
            order_types=self.order_types | stops.types,
            times_in_force=self.times_in_force,
            quote_sizing=OrderType.MARKET in self.order_types and bool(self.quote_sides),
            any_options=True,
            post_only=self.post_only,
            client_order_id=self.client_ids.rule if self.client_ids else None,
            idempotency=Idempotency.TAG_ONLY if self.client_ids else Idempotency.NONE,
            lookup_batch=1,
            cancel_batch=1,
            edit=EditClass.IN_PLACE if self.edits else EditClass.NONE,
            history=self.orders.exists,
            fills=self.trades.exists or self.order_trades,
            markets=True,
            cancel_all=self.open_orders.exists,
            open_orders_by_symbol=self.open_orders.exists and self.open_orders.needs_symbol,
            funds_refusal_is_distinct=True,
            triggers_apart=stops.types if lose_ids else frozenset(),
        )


def declared(exchange: Any) -> Traits:
    """
    The declarations of ccxt about an exchange: `has`, and `features` of its spot market. None means no.

    Stops are left out: many exchanges keep them in lists of their own, so that an open order would not be shown.
    """
    has: Mapping[str, Any] = exchange.has
    spot = _dict(_dict(exchange.features).get("spot"))
    create = _dict(spot.get("createOrder"))
    lives = _dict(create.get("timeInForce"))
    # What is not known to be base may be sent as the amount of quote to be spent.
    buys_in_base = _dict(exchange.options).get("createMarketBuyOrderRequiresPrice") is False
    kinds = {
        OrderType.LIMIT: has.get("createLimitOrder") is not False,
        OrderType.MARKET: has.get("createMarketOrder") is True,
    }
    of_side = {side: has.get(f"createMarket{side.title()}OrderWithCost") for side in Side}
    of_both = has.get("createMarketOrderWithCost") is True
    quote = {side for side, own in of_side.items() if own is True or (of_both and own is not False)}
    return Traits(
        order_types=frozenset(kind for kind, is_there in kinds.items() if is_there),
        times_in_force=frozenset(
            {TimeInForce.GTC, *(life for life in (TimeInForce.IOC, TimeInForce.FOK) if lives.get(life.upper()) is True)}
        ),
        post_only=lives.get("PO") is True,
        quote_sides=frozenset(quote),
        base_sides=frozenset(Side if buys_in_base else {Side.SELL}),
        fetch_order=bool(has.get("fetchOrder")),
        order_needs_symbol=_dict(spot.get("fetchOrder")).get("symbolRequired") is True,
        open_orders=_listing(has, spot, "fetchOpenOrders"),
        orders=_listing(has, spot, "fetchOrders"),
        trades=_listing(has, spot, "fetchMyTrades"),
        order_trades=has.get("fetchOrderTrades") is True,
        fetches_trigger=_dict(spot.get("fetchOrder")).get("trigger") is True,
        trigger_orders_apart=_dict(spot.get("fetchOpenOrders")).get("trigger") is True,
    )


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listing(has: Mapping[str, Any], spot: Mapping[str, Any], name: str) -> Listing:
    told = _dict(spot.get(name))
    limit, days, span = told.get("limit"), told.get("daysBack"), told.get("untilDays")
    return Listing(
        exists=has.get(name) is True,
        needs_symbol=told.get("symbolRequired") is True,
        limit=limit if isinstance(limit, int) and limit > 0 else None,
        days_back=days if isinstance(days, int) and days > 0 else None,
        days_at_once=span if isinstance(span, int) and 0 < span < _NO_SPAN else None,
    )
