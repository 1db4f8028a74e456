"""Bitcain's own names for things, and where in an answer the order, the list and what a page says of the rest are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

ORDERS: Final = "/api/v1/orders"
HISTORY: Final = "/api/v1/orders/history"
RETRY: Final = "/retry"
LOGIN: Final = "/auth/login"
REFRESH: Final = "/auth/refresh"

# The documented length of a `symbol`, and upper bounds of `limit`.
SYMBOL_LENGTH: Final = 20
LIST_PAGE: Final = 200
HISTORY_PAGE: Final = 500

ID: Final = ("id", "order_id", "uuid")
CLIENT_ID: Final = ("client_order_id", "client_oid", "client_id")
EXCHANGE_ID: Final = ("exchange_order_id", "external_order_id", "external_id", "venue_order_id")
SYMBOL: Final = ("symbol", "pair", "trading_pair", "market")
SIDE: Final = ("side", "trade_type", "order_side")
TYPE: Final = ("type", "order_type")
STATUS: Final = ("status", "order_status", "state")
QUANTITY: Final = ("quantity", "qty", "size", "original_quantity", "orig_qty", "amount")
FILLED: Final = (
    "filled_quantity",
    "executed_quantity",
    "quantity_filled",
    "filled_qty",
    "executed_qty",
    "cum_qty",
    "filled_amount",
    "filled_size",
    "filled",
)
REMAINING: Final = ("remaining_quantity", "quantity_remaining", "remaining_qty", "leaves_qty", "remaining")
PRICE: Final = ("price", "limit_price")
STOP_PRICE: Final = ("stop_price", "trigger_price")
AVERAGE_PRICE: Final = (
    "average_fill_price",
    "avg_fill_price",
    "average_price",
    "avg_price",
    "filled_price",
    "execution_price",
    "executed_price",
    "fill_price",
    "average",
)
FILLED_VALUE: Final = (
    "filled_value",
    "executed_value",
    "cumulative_quote_quantity",
    "quote_quantity",
    "cost",
    "total_value",
)
TIME_IN_FORCE: Final = ("time_in_force", "tif")
EXPIRES_AT: Final = ("expires_at", "expire_time", "good_till")
REDUCE_ONLY: Final = ("reduce_only",)
POST_ONLY: Final = ("post_only",)
PORTFOLIO_ID: Final = ("portfolio_id",)
EXCHANGE: Final = ("exchange", "exchange_name", "venue")
MODE: Final = ("trading_mode", "mode")
IS_PAPER: Final = ("is_paper", "paper")
CREATED_AT: Final = ("created_at", "created", "submitted_at", "placed_at", "timestamp")
UPDATED_AT: Final = ("updated_at", "updated", "last_updated", "modified_at")
TRIGGERED_AT: Final = ("triggered_at",)
REASON: Final = (
    "error_message",
    "reject_reason",
    "rejection_reason",
    "failure_reason",
    "status_reason",
    "error",
)

# Where an answer may hold its one order, and its list, in order; a dot goes one level down.
ONE_ORDER: Final = ("order", "data.order", "data", "result.order", "result")
# Names of the calls' own, by the word of the call.
NEW_ORDER: Final = ("new_order", "retried_order")
UPDATED_ORDER: Final = ("updated_order",)
CANCELLED_ORDER: Final = ("cancelled_order", "canceled_order")
NEW_ID: Final = ("new_order_id", "new_id", *ID)
ORDER_LIST: Final = (
    "orders",
    "data.orders",
    "data",
    "result.orders",
    "order_history",
    "history",
    "items",
    "results",
    "records",
    "data.items",
)
HAS_MORE: Final = ("has_more", "pagination.has_more", "data.has_more", "meta.has_more")
TOTAL: Final = ("total", "total_count", "pagination.total", "data.total", "meta.total")
COUNT: Final = "count"
LIMIT: Final = ("limit", "pagination.limit", "data.limit", "meta.limit")
NEXT_CURSOR: Final = (
    "next_cursor",
    "pagination.next_cursor",
    "data.next_cursor",
    "meta.next_cursor",
    "page_info.end_cursor",
)
# An echo of the cursor just sent looks the same, so these count only when they differ from it.
MAYBE_CURSOR: Final = ("cursor", "next")
FAILURE_TEXT: Final = ("error", "error_message", "message", "detail")

_SHOWN: Final = 60
_UUID: Final = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


@lru_cache(maxsize=512)
def _spellings(*names: str) -> tuple[str, ...]:
    """Each name, and as camelCase."""
    words = [(name, *name.split("_")) for name in names]
    both = ((name, head + "".join(part.capitalize() for part in rest)) for name, head, *rest in words)
    return tuple(dict.fromkeys(spelled for pair in both for spelled in pair))


def pick(row: Mapping[str, Any], names: tuple[str, ...], *, ignore: type | None = None) -> Any:
    """The first value that is present, neither null nor empty text; each name also in camelCase."""
    for spelled in _spellings(*names):
        value = row.get(spelled)
        if value is None or value == "" or (ignore is not None and isinstance(value, ignore)):
            continue
        return value
    return None


def without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The row less these names, in either spelling."""
    left_out = _spellings(*names)
    return {name: value for name, value in row.items() if name not in left_out}


def inside(payload: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None when a step is missing or no object."""
    value: Any = payload
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = pick(value, (step,))
    return value


def as_uuid(value: object) -> str | None:
    """The id in its usual spelling (lower case, dashes), or None when it has not the shape of a UUID."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        return None
    digits = value.replace("-", "").lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def brief(value: object) -> str:
    """A value of the venue's for a message: shortened, and printable whatever it holds."""
    shown = ascii(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


Payload = Mapping[str, Any]
_KEYS_TOLD: Final = 20


class Shapeless(ValueError):
    """An answer that fits no shape we know; `keys` were there."""

    def __init__(self, message: str, *, payload: object = None) -> None:
        super().__init__(message)
        self.keys = tuple(str(key) for key in list(payload)[:_KEYS_TOLD]) if isinstance(payload, Mapping) else ()


@dataclass(frozen=True, slots=True)
class Page:
    """
    One page of a list, and what it claims; None where it claims nothing.

    Attributes:
        limit: the page size that the server says it applied.
        next_cursor: where the next page begins, when the server volunteers it.
    """

    rows: tuple[Any, ...]
    has_more: bool | None = None
    total: int | None = None
    limit: int | None = None
    next_cursor: str | None = None

    def is_full(self, limit: int) -> bool:
        """True if rows may have been cut off."""
        return len(self.rows) >= min(limit, self.limit or limit)

    def claims_more(self, *, offset: int, limit: int) -> bool:
        """True if there are rows after these: `has_more`, else a cursor, else the total, else a full page."""
        if self.has_more is not None:
            return self.has_more
        if self.next_cursor is not None:
            return bool(self.rows)
        size = len(self.rows)
        if self.total is None:
            return self.is_full(limit)
        # A "total" no larger than a full page may be the size of that page only.
        return self.total > offset + size or (self.is_full(limit) and self.total <= size)


def one_order(payload: object, *, first: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """
    The order in an answer about one order; `first` are the places that the call has of its own.

    Raises:
        Shapeless: there is none.
    """
    if not isinstance(payload, Mapping) or not payload:
        raise Shapeless("the answer is no object with an order in it", payload=payload)
    for path in (*first, *ONE_ORDER):
        value = inside(payload, path)
        if isinstance(value, Mapping) and (path.endswith("order") or _looks_like_order(value)):
            return value
    if _looks_like_order(payload):
        return payload
    raise Shapeless(f"no order in the answer; its keys are: {_names(payload)}", payload=payload)


def ids_in(payload: Mapping[str, Any], *, names: tuple[str, ...] = ID) -> tuple[str, ...]:
    """The different UUIDs of orders that an answer names, whether or not it holds a whole order."""
    places = (payload, *(inside(payload, path) for path in ONE_ORDER))
    values = (pick(place, (name,)) for place in places if isinstance(place, Mapping) for name in names)
    return tuple(dict.fromkeys(filter(None, map(as_uuid, values))))


def one_page(payload: object, *, cursor: str | None = None) -> Page:
    """
    The list in an answer, and what it says of the rest. `cursor` is the one just sent.

    Raises:
        Shapeless: there is no list, or two different ones.
    """
    if isinstance(payload, list):
        return Page(tuple(payload))
    if not isinstance(payload, Mapping):
        raise Shapeless("the answer is neither an object nor a list")
    lists = [value for path in ORDER_LIST if isinstance(value := inside(payload, path), list)]
    if not lists:
        raise Shapeless(f"no list of orders in the answer; its keys are: {_names(payload)}", payload=payload)
    filled = [rows for rows in lists if rows]
    if any(rows != filled[0] for rows in filled):
        raise Shapeless("the answer holds two different lists of orders", payload=payload)
    rows = filled[0] if filled else lists[0]
    return Page(
        tuple(rows),
        has_more=next((value for path in HAS_MORE if isinstance(value := inside(payload, path), bool)), None),
        total=_total(payload, len(rows)),
        limit=next((value for path in LIMIT if (value := _count(inside(payload, path)))), None),
        next_cursor=_next_cursor(payload, cursor),
    )


def _looks_like_order(value: Mapping[str, Any]) -> bool:
    has_id = pick(value, ID) is not None
    return has_id and any(pick(value, names) is not None for names in (SYMBOL, SIDE, STATUS))


def _names(payload: Mapping[Any, Any]) -> str:
    names = [ascii(key)[1:-1][:40] for key in list(payload)[:_KEYS_TOLD]]
    return ", ".join(names) or "none"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _total(payload: Mapping[str, Any], size: int) -> int | None:
    for path in TOTAL:
        total = _count(inside(payload, path))
        if total is not None:
            return total
    # `count` is as often the size of the page.
    count = _count(inside(payload, COUNT))
    return count if count is not None and count > size else None


def _next_cursor(payload: Mapping[str, Any], sent: str | None) -> str | None:
    for path in NEXT_CURSOR:
        value = inside(payload, path)
        if isinstance(value, str):
            return value
    for path in MAYBE_CURSOR:
        value = inside(payload, path)
        # `next` may as well be the address of the next page.
        if isinstance(value, str) and value != sent and not value.startswith(("http", "/", "?")):
            return value
    return None
