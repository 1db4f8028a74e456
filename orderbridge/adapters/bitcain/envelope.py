"""Where in an answer the order or the list is, and what a page says of the pages after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orderbridge.adapters.bitcain import wire
from orderbridge.adapters.bitcain.wire import as_uuid, inside, pick

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
        """Whether rows may have been cut off."""
        return len(self.rows) >= min(limit, self.limit or limit)

    def claims_more(self, *, offset: int, limit: int) -> bool:
        """Whether there are rows after these: `has_more`, else a cursor, else the total, else a full page."""
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
    for path in (*first, *wire.ONE_ORDER):
        value = inside(payload, path)
        if isinstance(value, Mapping) and (path.endswith("order") or _looks_like_order(value)):
            return value
    if _looks_like_order(payload):
        return payload
    raise Shapeless(f"no order in the answer; its keys are: {_names(payload)}", payload=payload)


def ids_in(payload: Mapping[str, Any], *, names: tuple[str, ...] = wire.ID) -> tuple[str, ...]:
    """The different UUIDs of orders that an answer names, whether or not it holds a whole order."""
    places = (payload, *(inside(payload, path) for path in wire.ONE_ORDER))
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
    lists = [value for path in wire.ORDER_LIST if isinstance(value := inside(payload, path), list)]
    if not lists:
        raise Shapeless(f"no list of orders in the answer; its keys are: {_names(payload)}", payload=payload)
    filled = [rows for rows in lists if rows]
    if any(rows != filled[0] for rows in filled):
        raise Shapeless("the answer holds two different lists of orders", payload=payload)
    rows = filled[0] if filled else lists[0]
    return Page(
        tuple(rows),
        has_more=next((value for path in wire.HAS_MORE if isinstance(value := inside(payload, path), bool)), None),
        total=_total(payload, len(rows)),
        limit=next((value for path in wire.LIMIT if (value := _count(inside(payload, path)))), None),
        next_cursor=_next_cursor(payload, cursor),
    )


def _looks_like_order(value: Mapping[str, Any]) -> bool:
    has_id = pick(value, wire.ID) is not None
    return has_id and any(pick(value, names) is not None for names in (wire.SYMBOL, wire.SIDE, wire.STATUS))


def _names(payload: Mapping[Any, Any]) -> str:
    names = [ascii(key)[1:-1][:40] for key in list(payload)[:_KEYS_TOLD]]
    return ", ".join(names) or "none"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _total(payload: Mapping[str, Any], size: int) -> int | None:
    for path in wire.TOTAL:
        total = _count(inside(payload, path))
        if total is not None:
            return total
    # `count` is as often the size of the page.
    count = _count(inside(payload, wire.COUNT))
    return count if count is not None and count > size else None


def _next_cursor(payload: Mapping[str, Any], sent: str | None) -> str | None:
    for path in wire.NEXT_CURSOR:
        value = inside(payload, path)
        if isinstance(value, str):
            return value
    for path in wire.MAYBE_CURSOR:
        value = inside(payload, path)
        # `next` may as well be the address of the next page.
        if isinstance(value, str) and value != sent and not value.startswith(("http", "/", "?")):
            return value
    return None
