"""The pair an order trades, in one spelling for all venues."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orderbridge.errors import OrderDenied

_FORM: Final = re.compile(r"[^\s/:]+/[^\s/:]+")


class Symbol(str):
    """
    A spot pair as `BASE/QUOTE` in upper case, equal to its text: `Symbol("btc/mxn") == "BTC/MXN"`.

    Contracts (`BASE/QUOTE:SETTLE`) and venue spellings (`btc_mxn`) are refused with `OrderDenied`, a ValueError.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Symbol:
        if not isinstance(text, str) or not _FORM.fullmatch(text) or not text.isprintable():
            raise OrderDenied(f"a symbol is written BASE/QUOTE, as in BTC/MXN, not {text!r}")
        return super().__new__(cls, text.upper())

    @property
    def base(self) -> str:
        """The currency that is bought or sold."""
        return self.partition("/")[0]

    @property
    def quote(self) -> str:
        """The currency that prices are in."""
        return self.partition("/")[2]

    def __repr__(self) -> str:
        return f"Symbol({str(self)!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )
