"""One dict of ccxt's, field by field: what the exchange's parser stated, and what the exchange's own row holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from orderbridge.model.basics import Side, Symbol, parse_amount
from orderbridge.venue.rows import Unusable

# Where the dict of an order keeps what its exchange's parser said, before ccxt completed it.
STATED: Final = "orderbridge:stated"
# Where it keeps which of these the exchange told itself (`told.with_told`): the others were computed.
TOLD: Final = "orderbridge:told"
AMOUNTS: Final = ("amount", "filled", "remaining", "price", "cost", "average")

# Marks a row that ccxt itself could not read, in the list that it gives; why, stands there.
UNREADABLE: Final = "orderbridge:unreadable"


def number(value: object) -> Decimal | None:
    """
    An amount of ccxt's, exactly; a float by its shortest text. None and an empty text are not said.

    Raises:
        ValueError: it is none.
    """
    if value is None or value == "":
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("the amount is not finite")
        return parse_amount(repr(value))
    return parse_amount(value)


class Reading:
    """One dict of ccxt's, field by field, as its exchange's parser stated it."""

    def __init__(self, row: Mapping[str, Any], info_fields: Mapping[str, str], *, is_trade: bool = False) -> None:
        # Of a trade ccxt derives the cost alone, so the rest is as its exchange's parser stated it.
        stated = row if is_trade else row.get(STATED)
        self.stated: Mapping[str, Any] = stated if isinstance(stated, Mapping) else row
        self.is_stated = isinstance(stated, Mapping)
        self._is_trade = is_trade
        told = row.get(TOLD)
        self._told: frozenset[str] = told if isinstance(told, frozenset) else frozenset()
        self._row = row
        self._info = row.get("info")
        self._fields = info_fields
        self.id = _id(row.get("id"))

    def word(self, name: str) -> str:
        """A text of the order, empty where there is none."""
        value = self.stated.get(name)
        return value if isinstance(value, str) else ""

    def own(self, field: str, name: str) -> str | None:
        """A text that ccxt drops for some exchanges, from the exchange's own row."""
        value = self.word(name)
        if not value and field in self._fields and isinstance(self._info, Mapping):
            found = self._info.get(self._fields[field])
            value = found if isinstance(found, str) else ""
        return value or None

    def flag(self, name: str) -> bool | None:
        """A yes or no of the order."""
        value = self.stated.get(name)
        return value if isinstance(value, bool) else None

    def amount(self, name: str) -> Decimal | None:
        """
        An amount of the order: what a row of ours names for it, else what the exchange told.

        None where it is not said, or where ccxt or its parser computed it from others.
        """
        if name in self._fields:
            return self.info_amount(name)
        value = self._number(name, self.stated.get(name))
        is_fact = self._is_trade or name not in AMOUNTS or name in self._told
        return value if is_fact else None

    def worth(self) -> Decimal | None:
        """The cost of a trade where the exchange's row has that number; ccxt's own is price times amount."""
        value = self._number("cost", self.stated.get("cost"))
        return value if value is not None and _holds(self._info, value) else None

    def info_amount(self, field: str) -> Decimal | None:
        """An amount that ccxt drops for this exchange, from the exchange's own row."""
        if field not in self._fields or not isinstance(self._info, Mapping):
            return None
        return self._number(field, self._info.get(self._fields[field]))

    def _number(self, name: str, value: object) -> Decimal | None:
        try:
            found = number(value)
        except ValueError as error:
            raise Unusable(f"{name}: {error}", id=self.id) from None
        if found is not None and found < 0:
            raise Unusable(f"{name} is negative", id=self.id)
        return found

    @property
    def symbol(self) -> Symbol:
        """The pair. Unusable: none, or a contract."""
        value = self._row.get("symbol")
        try:
            return Symbol(value)  # type: ignore[arg-type]  # whatever is no text is refused with a ValueError
        except ValueError as error:
            raise Unusable(str(error), id=self.id) from None

    @property
    def side(self) -> Side:
        """Buy or sell. Unusable: neither."""
        value = self._row.get("side")
        try:
            return Side(value)  # type: ignore[arg-type]  # whatever is no text is refused with a ValueError
        except ValueError:
            raise Unusable(f"side {value!r} is neither buy nor sell", id=self.id) from None


def _id(value: object) -> str:
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool) and value != ""
    if not is_id:
        raise Unusable("it has no id")
    return str(value)


def _holds(info: Any, value: Decimal) -> bool:
    # Exchanges sign amounts by direction, and ccxt's parsers take the sign off.
    return any(each.copy_abs() == value for each in _numbers(info, depth=0))


def _numbers(info: Any, depth: int) -> Iterator[Decimal]:
    if depth > 6:
        return
    if isinstance(info, Mapping):
        for each in info.values():
            yield from _numbers(each, depth + 1)
    elif isinstance(info, (list, tuple)):
        for each in info:
            yield from _numbers(each, depth + 1)
    elif isinstance(info, (str, int, float, Decimal)) and not isinstance(info, bool):
        try:
            found = number(info)
        except ValueError:
            return
        if found is not None:
            yield found
