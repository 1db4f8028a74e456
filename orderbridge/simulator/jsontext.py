"""JSON out with every digit of a Decimal as an unquoted number, which the standard encoder cannot do."""

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_quick = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
_text = json.dumps


def dumps(value: Any) -> bytes:
    """
    Encode `value`; a `Decimal` becomes a number with exactly its digits, NaN and infinities become null.
    """
    try:
        return _quick(value).encode("ascii")
    except (TypeError, ValueError):  # a Decimal inside, or a NaN that a client sent and gets echoed
        return _exact(value).encode("ascii")


def _exact(value: Any) -> str:
    if isinstance(value, str):
        return _text(str(value))
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else "null"
    if isinstance(value, float) and not math.isfinite(value):
        return "null"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_text(str(key))}:{_exact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_exact, value)) + "]"
    return _text(value)
