"""
The knobs of both venues. Each may be set at any time, or at the start: `Simulator(bitso={"miss": "0312"})`.

Defaults are what the facts pages name; where they name nothing, the first value listed.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin

TimeFormat = Literal["millis", "seconds", "compact"]
MOST = 1_000_000_000


class _Checked:
    """
    Refuses a value that the field's annotation does not allow, so that neither a typo nor a strange number is a
    silent default.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: Any) -> None:
        kind = _KINDS[type(self).__name__].get(name)
        if kind is None:
            raise AttributeError(unknown(name, type(self)))
        object.__setattr__(self, name, _checked(name, kind, value))


@dataclass(slots=True)
class BitsoSettings(_Checked):
    """
    Bitso's knobs. Unless told, what was seen of production counts, then what is
    documented: an order that ended is not shown, and its trades come late.

    Attributes:
        second_key, second_secret: of a second account, with money and orders of its own.
        visibility_window: seconds for which look-up still shows an ended order.
        miss: what a look-up answers when none of its ids is known: an empty list, 400 with this code, or as it was
            seen: `0312` by origin id, else an empty list.
        mixed_miss: a list with hits and misses: the hits, or refused as a whole with `0312`.
        cancel_miss: a cancel that finds nothing to cancel: left out of the list, or 400 `0312`.
        no_trades: order_trades of an order that never matched: 400 `0378`, or an empty list.
        trade_lag: seconds until a trade is shown; until then order_trades answers `0377`.
        queued_for: seconds for which a new order is shown as `queued`.
        open_orders_types: whether open orders show market orders too (a waiting stop), or limit orders only, as
            documented.
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
    second_key: str = "simulated-mm-key"
    second_secret: str = "simulated-mm-secret"
    visibility_window: float = 0.0
    miss: Literal["seen", "empty", "0312", "0357"] = "seen"
    mixed_miss: Literal["hits", "refuse"] = "hits"
    cancel_miss: Literal["omit", "0312"] = "omit"
    no_trades: Literal["0378", "empty"] = "0378"
    trade_lag: float = 1.0
    queued_for: float = 0.0
    fee_sign: Literal["positive", "negative"] = "positive"
    tid_as: Literal["text", "number"] = "text"
    unfilled_zero_as_number: bool = True
    market_price_null: bool = True
    time_format: TimeFormat = "millis"
    status_spelling: Literal["documented", "old", "upper"] = "documented"
    error_style: Literal["new", "old", "number"] = "new"
    origin_id_unique: Literal["active", "ever"] = "active"
    language: Literal["en", "es"] = "en"
    open_orders_types: Literal["limit", "all"] = "limit"
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
    Bitcain's knobs: one for each thing that its documentation leaves open; the faults are rules.

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


def unknown(name: str, settings: type[Any]) -> str:
    """The sentence about a setting that there is not."""
    return f"no setting {name!r}; there are: {', '.join(each.name for each in fields(settings))}"


def is_text(name: str, settings: type[Any], value: str) -> bool:
    """True if the setting takes this text as it is, even if it could be read as a number."""
    kind = _KINDS[settings.__name__].get(name)
    return kind is str or (get_origin(kind) is Literal and value in get_args(kind))


def _checked(name: str, kind: Any, value: Any) -> Any:
    """The value as it is to be kept."""
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        if not any(type(value) is type(each) and value == each for each in allowed):
            raise ValueError(f"{name}={value!r}; allowed: {', '.join(map(repr, allowed))}")
    elif kind in (int, float):
        right = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
        if not (right and 0 <= value <= MOST):  # NaN is in no range
            raise ValueError(f"{name}={value!r}; a {kind.__name__} from 0 to {MOST} is wanted")
    elif kind in (bool, str):
        if not isinstance(value, kind):
            raise ValueError(f"{name}={value!r}; a {kind.__name__} is wanted")
        if isinstance(value, str):
            value.encode()  # half a surrogate pair cannot be sent, nor signed with
    else:
        return _words(name, value)
    return value


def _words(name: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(isinstance(each, str) for each in value):
        raise ValueError(f"{name}={value!r}; a list of names is wanted")
    return frozenset(value)


_KINDS = {
    settings.__name__: {each.name: each.type for each in fields(settings)}
    for settings in (BitsoSettings, BitcainSettings)
}
