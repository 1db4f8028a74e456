"""The words of every exchange for states, types and lifetimes: none of them is unknown here."""

from __future__ import annotations

import inspect
import re
from datetime import UTC, datetime
from typing import Any, Final

import ccxt
import pytest

from orderbridge.adapters.ccxt_any.mapping import STATED, order_from_row
from orderbridge.model.basics import OrderStatus, OrderType
from orderbridge.model.order import Order
from tests.adapters.ccxt_any.test_exchanges import traits_of

pytestmark = pytest.mark.ccxt
SPOT: Final = [name for name in ccxt.exchanges if getattr(ccxt, name)().has.get("spot") is not False]
# Binance's conversions are no orders, and Lighter's slices of one are placed nowhere here. BTSE's numbers stand where
# its words do not: they are left to the numbers.
NOT_OURS: Final = {"ok", "twap"}


def words_of(name: str, method: str) -> dict[str, str]:
    """The words of an exchange, and ccxt's for them, by the source of its own parser."""
    kinds = [kind for kind in getattr(ccxt, name).__mro__ if method in vars(kind) and "base" not in kind.__module__]
    lines = inspect.getsource(getattr(kinds[0], method)).splitlines() if kinds else []
    return dict(re.findall(r"'([^']+)': +'([^']*)'", "\n".join(line.partition("#")[0] for line in lines)))


def read(name: str, stated: dict[str, Any], info: dict[str, Any]) -> Order:
    """An order of 2 of which 1 is filled, stated and told as that."""
    numbers = {"amount": "2", "filled": "1", "price": "4", "type": "limit", "status": "open"}
    row = {"id": "12345678", "symbol": "BTC/USDT", "side": "buy", **numbers, **stated}
    info = {"size": "2", "done": "1", "rate": "4", **info}
    facts = {"venue": "v", "account": "default", "observed_at": datetime.now(UTC)}
    return order_from_row({**row, "info": info, STATED: row}, source="look-up", rules=traits_of(name).rows, **facts)


def placed(path: str, word: str) -> dict[str, Any]:
    """A row with the word where the first way of a path leads."""
    info: Any = word
    for step in reversed(path.partition("|")[0].split(".")):
        info = {step: info}
    return info


@pytest.mark.parametrize("name", SPOT)
def test_every_status_is_told(name: str) -> None:
    """What ccxt reads as the end of an order is none that is live, and no word of its table is unknown."""
    path = traits_of(name).rows.order.get("status", "")
    for own, unified in words_of(name, "parse_order_status").items():
        if unified in NOT_OURS or (path and (own.isdecimal() or own == "partially_canceled")):
            continue
        order = read(name, {"status": unified}, placed(path, own) if path else {})

        assert order.status is not OrderStatus.UNKNOWN, own
        if unified in {"open", "closed", "canceled", "expired", "rejected"}:
            assert order.is_done is (unified != "open"), own


@pytest.mark.parametrize("name", SPOT)
def test_every_type_is_told(name: str) -> None:
    """By ccxt's word for it, or by the exchange's own where that is what is read."""
    path = traits_of(name).rows.order.get("type", "")
    for own, unified in words_of(name, "parse_order_type").items():
        if unified not in NOT_OURS:
            info = placed(path, own) if path else {}
            assert read(name, {"type": unified}, info).type is not OrderType.UNKNOWN, own


# Source: each exchange's API documents, the type of an order; where ccxt has no table of them, or another is read.
TYPES: Final = {
    "htx": [
        *(("buy-market", "market", None), ("sell-market", "market", None), ("buy-limit", "limit", None)),
        *(("buy-ioc", "limit", "ioc"), ("sell-ioc", "limit", "ioc"), ("buy-limit-maker", "limit", "gtc")),
        *(("buy-limit-fok", "limit", "fok"), ("sell-limit-fok", "limit", "fok")),
        *(("buy-stop-limit", "stop_limit", None), ("sell-stop-limit-fok", "stop_limit", "fok")),
    ],
    "bittrade": [("buy-ioc", "limit", "ioc"), ("sell-limit-maker", "limit", "gtc"), ("sell-market", "market", None)],
    "woo": [(word, "limit", None) for word in ("LIMIT", "IOC", "FOK", "POST_ONLY", "ASK", "BID")],
    "coinone": [("LIMIT", "limit", None), ("MARKET", "market", None), ("STOP_LIMIT", "stop_limit", None)],
    "aster": [
        *(("STOP", "stop_limit", None), ("STOP_MARKET", "stop_loss", None), ("TAKE_PROFIT", "take_profit", None)),
        *(("TAKE_PROFIT_MARKET", "take_profit", None), ("TRAILING_STOP_MARKET", "trailing_stop", None)),
    ],
    "whitebit": [
        *(("limit", "limit", None), ("stop limit", "stop_limit", None), ("stop market", "stop_loss", None)),
        ("stock market", "market", None),
    ],
    # These ccxt passes on as they are.
    "hitbtc": [
        *(("stopLimit", "stop_limit", None), ("stopMarket", "stop_loss", None)),
        *(("takeProfitLimit", "take_profit", None), ("takeProfitMarket", "take_profit", None)),
    ],
    "onetrading": [("stop", "stop_limit", None)],
    "blockchaincom": [("stop", "stop_limit", None), ("stoplimit", "stop_limit", None)],
    "cryptocom": [("stop_limit", "stop_limit", None), ("take_profit_limit", "take_profit", None)],
}


@pytest.mark.parametrize(
    ("name", "word", "kind", "life"), [(name, *row) for name, rows in TYPES.items() for row in rows]
)
def test_the_types_of_documents_are_told(name: str, word: str, kind: str, life: str | None) -> None:
    """With the lifetime that is part of some, and whatever parts their words."""
    order = read(name, {"type": word}, {"type": word})

    assert (order.type, order.time_in_force, order.anomalies) == (kind, life, ())
    assert order.post_only is (True if life == "gtc" else None)


# Source: Coinone API v2.1, "Order detail", `status`.
@pytest.mark.parametrize(
    ("word", "remaining", "status"),
    [
        *(("LIVE", "2", "partially_filled"), ("PARTIALLY_FILLED", "1", "partially_filled"), ("FILLED", "0", "filled")),
        *(("PARTIALLY_CANCELED", "0", "cancelled"), ("PARTIALLY_CANCELED", "1", "partially_filled")),
        *(("PARTIALLY_CANCELED", None, "unknown"), ("CANCELED", "1", "cancelled"), ("NOT_TRIGGERED", "2", "open")),
        *(("CANCELED_NO_ORDER", "2", "cancelled"), ("NOT_TRIGGERED_PARTIALLY_CANCELED", "0", "cancelled")),
    ],
)
def test_what_remains_decides_where_a_part_was_cancelled(word: str, remaining: str | None, status: str) -> None:
    """Coinone cancels parts of orders: one of which something remains is live, and that ccxt says so is not read."""
    filled = {"2": "0", "1": "1"}.get(remaining or "", "2" if word == "FILLED" else "1")
    stated = {"status": "canceled", "remaining": remaining, "filled": filled}
    order = read("coinone", stated, {"status": word, "left": remaining, "filled": filled})

    assert order.status == ("open" if filled == "0" and status == "partially_filled" else status)
