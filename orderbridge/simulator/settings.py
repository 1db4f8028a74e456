"""
The knobs of both venues. Each may be set at any time, or at the start: `Simulator(bitso={"miss": "0312"})`.

Defaults are what the facts pages name; where they name nothing, the first value listed.
"""

from dataclasses import dataclass
from typing import Literal

from orderbridge.simulator.basics import Checked, Count, Names, Seconds, Text

TimeFormat = Literal["millis", "seconds", "compact"]


@dataclass(slots=True)
class BitsoSettings(Checked):
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
        most_open_orders: the cap behind `1001`.
        trading, market_orders, closed_books: the switches behind `1008`, `0411` and `0410`.
        liquidity: whether the counter-party quotes.
        error_style: with the newer `details` and `errorData`, without, or with the bare number of early replies.
        language: of error messages, unless `Accept-Language` says otherwise.
    """

    api_key: Text = "simulated-key"
    api_secret: Text = "simulated-secret"
    second_key: Text = "simulated-mm-key"
    second_secret: Text = "simulated-mm-secret"
    visibility_window: Seconds = 0.0
    miss: Literal["seen", "empty", "0312", "0357"] = "seen"
    mixed_miss: Literal["hits", "refuse"] = "hits"
    cancel_miss: Literal["omit", "0312"] = "omit"
    no_trades: Literal["0378", "empty"] = "0378"
    trade_lag: Seconds = 1.0
    queued_for: Seconds = 0.0
    fee_sign: Literal["positive", "negative"] = "positive"
    tid_as: Literal["text", "number"] = "text"
    unfilled_zero_as_number: bool = True
    market_price_null: bool = True
    time_format: TimeFormat = "millis"
    status_spelling: Literal["documented", "old", "upper"] = "documented"
    error_style: Literal["new", "old", "number"] = "new"
    language: Literal["en", "es"] = "en"
    open_orders_types: Literal["limit", "all"] = "limit"
    stop_locks: bool = True
    liquidity: bool = True
    pacing: bool = True
    private_per_minute: Count = 300
    lockout: Seconds = 60.0
    most_open_orders: Count = 1_000_000
    trading: Literal["on", "off"] = "on"
    market_orders: Literal["on", "off"] = "on"
    closed_books: Names = frozenset()


@dataclass(slots=True)
class BitcainSettings(Checked):
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

    email: Text = "bot@example.com"
    password: Text = "simulated-password"
    ready_token: Text = "simulated-token"
    token_lifetime: Seconds = 3600.0
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
    cancel_takes: Seconds = 2.0
    show_mode: bool = True
    liquidity: bool = True
