"""The keywords of the simulated Bitso's `put`: the venue's names and the unified ones."""

from collections.abc import Mapping
from typing import Any, TypedDict

from orderbridge.simulator.basics import Amount
from orderbridge.simulator.bitso.views import TIME_IN_FORCE
from orderbridge.simulator.engine.market import Instrument
from orderbridge.simulator.putting import Executions, Moment, Spec, first, fold, only_known

WORDS = frozenset({"queued", "open", "partially filled", "completed", "cancelled"})
_UNIFIED = {"accepted": "queued", "filled": "completed", "canceled": "cancelled"}


class BitsoPut(TypedDict, total=False):
    """See `SimBitso.put`."""

    account: str
    book: str
    symbol: str
    side: str
    type: str
    status: str | None
    oid: str | None
    order_id: str | None
    origin_id: str | None
    client_order_id: str | None
    price: Amount | None
    original_amount: Amount | None
    quantity: Amount | None
    unfilled_amount: Amount | None
    filled_quantity: Amount | None
    original_value: Amount | None
    quote_quantity: Amount | None
    time_in_force: str
    post_only: bool
    stop: Amount | None
    stop_price: Amount | None
    triggered_at: Moment | None
    created_at: Moment | None
    updated_at: Moment | None
    trades: Executions
    visible: bool
    raw: dict[str, Any] | None


def spec_from(given: BitsoPut, markets: Mapping[str, Instrument]) -> Spec:
    """Read the keywords. A status word that Bitso does not have is shown as it is, over an active order."""
    only_known(dict(given), BitsoPut.__annotations__)
    get: Mapping[str, Any] = given
    symbol = get.get("symbol") or "BTC/MXN"
    word = get.get("status")
    known = None if word is None else _UNIFIED.get(fold(word), fold(word))
    raw = dict(get.get("raw") or {})
    if word is not None and known not in WORDS:
        raw.setdefault("status", word)
    native = get.get("time_in_force", "goodtillcancelled")
    time_in_force, post_only = TIME_IN_FORCE.get(native, (native, False))
    return Spec(
        market=markets[get.get("book") or symbol.lower().replace("/", "_")],
        side=get.get("side", "buy"),
        type=get.get("type", "limit"),
        status=known,
        order_id=first(get.get("oid"), get.get("order_id")),
        client_order_id=first(get.get("origin_id"), get.get("client_order_id")),
        price=get.get("price"),
        quantity=first(get.get("original_amount"), get.get("quantity")),
        quote_quantity=first(get.get("quote_quantity"), get.get("original_value")),
        filled=get.get("filled_quantity"),
        unfilled=get.get("unfilled_amount"),
        time_in_force=time_in_force,
        post_only=get.get("post_only", post_only),
        stop_price=first(get.get("stop"), get.get("stop_price")),
        triggered_at=get.get("triggered_at"),
        created_at=get.get("created_at"),
        updated_at=get.get("updated_at"),
        trades=get.get("trades", True),
        visible=get.get("visible", True),
        raw=raw,
        facts={"queued": True} if known == "queued" else {},
    )
