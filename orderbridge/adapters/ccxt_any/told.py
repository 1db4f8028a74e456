"""
Which amounts of an order the exchange itself told, and under which of its own fields.

ccxt's parsers compute amounts from one another and do not say which. That a number stands somewhere in the exchange's
row proves nothing. So the row is read a second time with the fields changed that an amount could have come from: one
that was told follows its field, digit by digit, and one that was computed does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Final

from orderbridge.adapters.ccxt_any.fields import AMOUNTS, STATED, TOLD, number
from orderbridge.model.basics import add, plain

Path = tuple[Any, ...]
_DEEPEST: Final = 6
# Small beside any amount, so that what compares amounts decides as before. Each field gets another change, and no two
# of them add up to a third.
_CHANGE: Final = Decimal("0.000000000001")
_APART: Final = Decimal("0.000000000000000001")
_WHOLE_CHANGE: Final = 10**9
_is_second_reading: Final[ContextVar[bool]] = ContextVar("orderbridge_ccxt_second_reading", default=False)


def with_told(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A parser of ccxt's whose orders name the amounts that the exchange told, under `TOLD`."""

    def parse_told(row: Any, market: Any = None) -> Any:
        order = parse(row, market)
        if isinstance(order, dict) and not _is_second_reading.get():
            order[TOLD] = told(parse, row, market, order)
        return order

    return parse_told


def told(parse: Callable[..., Any], row: Any, market: Any, order: Mapping[str, Any]) -> frozenset[str]:
    """The amounts of an order that were told; none where the row cannot be read a second time."""
    claims = _claims(order)
    values = set(claims.values())
    changed: dict[Path, Decimal] = {}
    probe = _changed(row, (), values, changed)
    if not changed:
        return frozenset()
    token = _is_second_reading.set(True)
    try:
        again = _claims(parse(probe, market))
    except Exception:  # noqa: BLE001 - a changed row may break a parser in any way, and then nothing is shown
        return frozenset()
    finally:
        _is_second_reading.reset(token)
    return frozenset(
        name
        for name, value in claims.items()
        if any(_at(row, path) == value and again.get(name) == new for path, new in changed.items())
    )


def _claims(order: Any) -> dict[str, Decimal]:
    stated = order.get(STATED) if isinstance(order, Mapping) else None
    source = stated if isinstance(stated, Mapping) else order
    found: dict[str, Decimal] = {}
    for name in AMOUNTS:
        with suppress(ValueError):
            value = number(source.get(name)) if isinstance(source, Mapping) else None
            if value is not None:
                found[name] = value
    return found


def _at(row: Any, path: Path) -> Decimal | None:
    for step in path:
        row = row[step]
    value = number(row)
    return None if value is None else value.copy_abs()


def _changed(row: Any, path: Path, values: set[Decimal], changed: dict[Path, Decimal]) -> Any:
    """A copy of a row in which every number that is one of these has another value, and which."""
    if len(path) <= _DEEPEST and isinstance(row, Mapping):
        return {name: _changed(value, (*path, name), values, changed) for name, value in row.items()}
    if len(path) <= _DEEPEST and isinstance(row, (list, tuple)):
        return [_changed(value, (*path, position), values, changed) for position, value in enumerate(row)]
    if isinstance(row, bool) or not isinstance(row, (str, int, float)):
        return row
    try:
        value = number(row)
    except ValueError:
        return row
    if value is None or value.copy_abs() not in values:
        return row
    return _moved(row, value, path, changed)


def _moved(row: Any, value: Decimal, path: Path, changed: dict[Path, Decimal]) -> Any:
    """A number of a row with another value, in its kind and with its sign: exchanges sign amounts by direction."""
    nth = len(changed) + 1
    if isinstance(row, str):
        new = add(value.copy_abs(), _CHANGE, nth * _APART)
        moved: Any = plain(-new if value.is_signed() else new)
    else:
        new = add(value.copy_abs(), Decimal(_WHOLE_CHANGE + nth))
        moved = type(row)(-new if value.is_signed() else new)
    changed[path] = abs(number(moved) or new)
    return moved
