"""The keywords of the simulated Bitcain's `put`: the venue's names and the unified ones."""

from collections.abc import Mapping
from typing import Any, TypedDict

from orderbridge.simulator.basics import Amount
from orderbridge.simulator.bitcain.markets import name_of
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.putting import STATES, Executions, Moment, Spec, first, fold, only_known

_PRICED = frozenset({"limit", "stop_limit", "iceberg", "oco"})


class BitcainPut(TypedDict, total=False):
    """See `SimBitcain.put`."""

    id: str | None
    order_id: str | None
    client_order_id: str | None
    exchange_order_id: str | None
    portfolio_id: str | None
    exchange: str
    trading_mode: str
    symbol: str
    side: str
    type: str
    status: str | None
    quantity: Amount | None
    filled_quantity: Amount | None
    remaining_quantity: Amount | None
    price: Amount | None
    stop_price: Amount | None
    time_in_force: str
    expires_at: Moment | None
    reduce_only: bool
    post_only: bool
    source: str
    agent_id: str | None
    error_message: str | None
    retry_count: int
    created_at: Moment | None
    updated_at: Moment | None
    trades: Executions
    visible: bool
    raw: dict[str, Any] | None


def mode_of(given: BitcainPut) -> str:
    """Which of the two books the order goes to."""
    return given.get("trading_mode", "paper")


def spec_from(given: BitcainPut, markets: Mapping[str, Instrument], *, status_field: str) -> Spec:
    """
    Read the keywords. A status word that the simulator does not have is shown as it is, over an active order.
    """
    only_known(dict(given), BitcainPut.__annotations__)
    get: Mapping[str, Any] = given
    native, word = get.get("type", "limit"), get.get("status")
    raw = dict(get.get("raw") or {})
    if word is not None and fold(word) not in STATES:
        raw.setdefault(status_field, word)
    facts = {
        name: get[name]
        for name in ("exchange_order_id", "portfolio_id", "reduce_only", "source", "agent_id", "retry_count")
        if name in get
    }
    facts |= {"type": native, "trading_mode": mode_of(given)}
    if word is not None and fold(word) in ("pending", "accepted", "queued"):
        facts["queued"] = True
    return Spec(
        market=markets[name_of(get.get("exchange", "binanceus"), get.get("symbol", "BTC/USDT"))],
        side=get.get("side", "buy"),
        type="limit" if native in _PRICED else "market",
        status=word,
        order_id=first(get.get("id"), get.get("order_id")),
        client_order_id=get.get("client_order_id"),
        price=get.get("price"),
        quantity=get.get("quantity"),
        filled=get.get("filled_quantity"),
        unfilled=get.get("remaining_quantity"),
        time_in_force=get.get("time_in_force", "gtc"),
        post_only=get.get("post_only", False),
        stop_price=get.get("stop_price"),
        created_at=get.get("created_at"),
        updated_at=get.get("updated_at"),
        expires_at=get.get("expires_at"),
        trades=get.get("trades", True),
        visible=get.get("visible", True),
        raw=raw,
        facts=facts,
    )
