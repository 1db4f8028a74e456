"""
The knobs of both venues. Each may be set at any time, or at the start: `Simulator(bitso={"miss": "0312"})`.

Defaults are what the facts pages name; where they name nothing, the first value listed.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin

TimeFormat = Literal["millis", "seconds", "compact"]


class _Checked:
    """Refuses a value that the field's annotation does not list, so that a typo is no silent default."""

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        allowed = _CHOICES[type(self).__name__].get(name)
        if allowed is not None and value not in allowed:
            raise ValueError(f"{name}={value!r}; allowed: {', '.join(map(repr, allowed))}")
        kinds = _KINDS[type(self).__name__].get(name)
        if kinds is not None and (not isinstance(value, kinds) or isinstance(value, bool) != (kinds == (bool,))):
            raise ValueError(f"{name}={value!r}; a {kinds[0].__name__} is wanted")
        object.__setattr__(self, name, value)


@dataclass(slots=True)
class BitsoSettings(_Checked):
    """
    Bitso's knobs (`facts/bitso-v3.md` §15.9 and §16).

    Attributes:
        visibility_window: seconds for which look-up still shows an ended order; 0 reproduces production in
            2026.
        miss: what a look-up answers when none of its ids is known: an empty list, or 400 with this code.
        mixed_miss: a list with hits and misses: the hits, or refused as a whole with `0312`.
        cancel_miss: a cancel that finds nothing to cancel: left out of the list, or 400 `0312`.
        no_trades: order_trades of an order that never matched: 400 `0378`, or an empty list.
        trade_lag: seconds until a trade is shown; until then order_trades answers `0377`.
        queued_for: seconds for which a new order is shown as `queued`.
        open_orders_types: whether open orders show market orders too (a waiting stop), or limit orders only.
        stop_locks: whether a waiting stop order locks its funds.
        pacing: count requests and lock out with 420 `0801`, as Bitso does; off, for tests of more than 300
            calls a minute.
        lockout_spares_cancels: cancels go through during a lock-out.
        most_open_orders: the cap behind `1001`.
        bad_time_in_force: the code for a wrong `time_in_force`.
        unknown_fields, market_price: whether an unknown field, or a price on a market order, is refused
            (`0304`).
        trading, market_orders, closed_books: the switches behind `1008`, `0411` and `0410`.
        liquidity: whether the counter-party quotes.
        error_style: with the newer `details` and `errorData`, without, or with the bare number of early replies.
        origin_id_unique: among active orders, or among all, as before May 2025.
        language: of error messages, unless `Accept-Language` says otherwise.
    """

    api_key: str = "simulated-key"
    api_secret: str = "simulated-secret"
    visibility_window: float = 3600.0
    miss: Literal["empty", "0312", "0357"] = "empty"
    mixed_miss: Literal["hits", "refuse"] = "hits"
    cancel_miss: Literal["omit", "0312"] = "omit"
    no_trades: Literal["0378", "empty"] = "0378"
    trade_lag: float = 0.0
    queued_for: float = 0.0
    fee_sign: Literal["positive", "negative"] = "positive"
    tid_as: Literal["number", "text"] = "number"
    unfilled_zero_as_number: bool = False
    market_price_null: bool = True
    time_format: TimeFormat = "millis"
    status_spelling: Literal["documented", "old", "upper"] = "documented"
    error_style: Literal["new", "old", "number"] = "new"
    origin_id_unique: Literal["active", "ever"] = "active"
    language: Literal["en", "es"] = "en"
    open_orders_types: Literal["all", "limit"] = "all"
    stop_locks: bool = True
    liquidity: bool = True
    pacing: bool = True
    public_per_minute: int = 60
    private_per_minute: int = 300
    lockout: float = 60.0
    lockout_spares_cancels: bool = True
    most_open_orders: int = 1_000_000
    bad_time_in_force: Literal["0302", "0304"] = "0302"
    unknown_fields: Literal["ignored", "refused"] = "ignored"
    market_price: Literal["ignored", "refused"] = "ignored"
    trading: Literal["on", "off"] = "on"
    market_orders: Literal["on", "off"] = "on"
    closed_books: frozenset[str] = frozenset()


@dataclass(slots=True)
class BitcainSettings(_Checked):
    """
    Bitcain's knobs: every switch of `facts/bitcain-v1.md` §5.6 but the faults, which are rules.

    Attributes:
        envelope: how an answer is wrapped.
        names: of the order's fields.
        ready_token: the token that works without a login.
        token_lifetime: seconds for which a token from a login is good.
        login_failure: a wrong password: 401, or 200 with `success` false.
        login_session: `mfa` answers a right login without a session and with a hint at a second factor.
        cancel_answer: the cancelled order, an acknowledgement, or one for an order that goes on for a while.
        cancel_takes: the seconds of that while.
        routing: what the exchange behind does with new orders; `fails` makes orders that can be retried.
        funds_status: the status of a refusal for lack of money.
        show_mode: whether an order's row has `trading_mode`.
    """

    email: str = "bot@example.com"
    password: str = "simulated-password"
    ready_token: str = "simulated-token"
    token_lifetime: float = 3600.0
    envelope: Literal["success", "bare", "data", "success_data", "items"] = "success"
    names: Literal["canonical", "variants", "camel"] = "canonical"
    decimals: Literal["strings", "numbers"] = "strings"
    times: Literal["z", "offset", "naive", "no_fraction"] = "z"
    status_spelling: Literal["british", "canceled", "upper", "dotted", "unknown"] = "british"
    create_status: Literal[201, 200, 202] = 201
    cancel_answer: Literal["order", "acknowledgement", "still_open"] = "order"
    retry_answer: Literal["same", "new"] = "same"
    duplicate_client_order_id: Literal["allowed", "409", "first"] = "allowed"
    paging: Literal["offset", "cursor", "neither"] = "offset"
    order_status_type: Literal["enum", "text"] = "enum"
    history: Literal["reachable", "shadowed"] = "reachable"
    missing_bearer: Literal[401, 403] = 401
    login_failure: Literal[401, 200] = 401
    login_session: Literal["given", "mfa"] = "given"
    routing: Literal["works", "fails", "rejects"] = "works"
    funds_status: Literal[400, 402] = 400
    cancel_takes: float = 2.0
    show_mode: bool = True
    liquidity: bool = True


def _choices(settings: type[Any]) -> dict[str, tuple[Any, ...]]:
    found = {}
    for each in fields(settings):
        if get_origin(each.type) is Literal:
            found[each.name] = get_args(each.type)
    return found


def _kinds(settings: type[Any]) -> dict[str, tuple[type, ...]]:
    known: dict[Any, tuple[type, ...]] = {float: (float, int), int: (int,), bool: (bool,), str: (str,)}
    return {each.name: known[each.type] for each in fields(settings) if each.type in known}


_KINDS = {each.__name__: _kinds(each) for each in (BitsoSettings, BitcainSettings)}
_CHOICES = {each.__name__: _choices(each) for each in (BitsoSettings, BitcainSettings)}
