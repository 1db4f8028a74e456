"""Reading a Bitso request body: a JSON object whose amounts are text or numbers, kept to the last digit."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from orderbridge.simulator.basics import is_reasonable
from orderbridge.simulator.bitso.errors import BitsoRefusal
from orderbridge.simulator.message import Request

_PLAIN_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
MOST_CHARACTERS = 60


def read_body(request: Request) -> dict[str, Any]:
    """
    The body's fields.

    Raises:
        BitsoRefusal: `0303` for no body, `0304` for anything but a JSON object (our reading of the code
        texts).
    """
    if not request.body.strip():
        raise BitsoRefusal("0303", about="body")
    try:
        body = json.loads(request.body, parse_float=_number, parse_int=_number, parse_constant=_refuse)
    except (ValueError, RecursionError, InvalidOperation) as e:
        raise BitsoRefusal("0304", about="body is not JSON") from e
    if not isinstance(body, dict):
        raise BitsoRefusal("0304", about="body is not an object")
    return body


def _number(text: str) -> Decimal:
    return Decimal(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def word(body: dict[str, Any], name: str) -> str | None:
    """A text field; null counts as absent."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BitsoRefusal("0372", about=name)
    return value


def amount(body: dict[str, Any], name: str) -> Decimal | None:
    """A number, as text without exponent or as a JSON number; null counts as absent."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > MOST_CHARACTERS or _PLAIN_NUMBER.fullmatch(value) is None:
            raise BitsoRefusal("0304", about=name)
        return Decimal(value)
    if not isinstance(value, Decimal):
        raise BitsoRefusal("0372", about=name)
    if not is_reasonable(value):
        raise BitsoRefusal("0304", about=name)
    return value
