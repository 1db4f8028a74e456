"""The bodies of answers: JSON without loss, and a text that may be shown."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from orderbridge.model.basics import MAX_DIGITS

_SHOWN: Final = 300
_READ: Final = 4 * _SHOWN
# No list of a venue's comes near, within the cap of an answer; millions of empty rows would fill it.
_MAX_OBJECTS: Final = 50_000
_MAX_VALUES: Final = 500_000
# What fewer bytes hold is read in a moment, whatever it is.
_FEW_BYTES: Final = 256 * 1024
_SECRET_FIELD: Final = re.compile(
    r'("[a-z_-]*(?:token|password|secret|api[_-]?key|signature|authorization)"\s*:\s*)"(?:[^"\\]|\\.)*"?',
    re.IGNORECASE,
)
_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
# User and password of an address, such as a proxy's. Whatever stands before the last @ may be of them.
CREDENTIALS: Final = re.compile(r"//[^\s'\"]*@")
_BEARER: Final = re.compile(r"\b(Bearer|Bitso)\s+[^\s\"'<>]+", re.IGNORECASE)


class Unreadable(ValueError):
    """A body that is no JSON. The message says what it looks like instead."""


def _whole(text: str) -> int | str:
    # int() refuses thousands of digits with an error that would lose the whole page for one row.
    return int(text) if len(text) <= 2 * MAX_DIGITS else text


def _number(text: str) -> Decimal | str:
    try:
        return Decimal(text) if len(text) <= 4 * MAX_DIGITS else text
    except InvalidOperation:  # an exponent of twenty digits
        return text


_OPENING: Final = frozenset("{[")
_DECODER: Final = json.JSONDecoder(parse_float=_number, parse_int=_whole, parse_constant=str)


def load(body: bytes) -> Any:
    """
    Parse JSON with exact decimals. NaN and numbers of absurd length stay text, to fail in their own row.

    Raises:
        Unreadable: no JSON, not in UTF-8, or so many values that reading them would hold everything up.
    """
    if len(body) > _FEW_BYTES and (
        body.count(b"{") + body.count(b"[") > _MAX_OBJECTS or body.count(b",") > _MAX_VALUES
    ):
        raise Unreadable(f"{len(body)} bytes that are no JSON of a venue's: more rows than any sends")
    try:
        # Python's own reading of bytes takes UTF-16 and UTF-32 too, and with them what UTF-8 refuses.
        text = body.removeprefix(BOM_UTF8).decode()
        value, end = _DECODER.raw_decode(text) if text[:1] in _OPENING else (None, -1)
        # What has white space about it is read the long way.
        return writable(value if end == len(text) else _DECODER.decode(text), text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(describe(body)) from error


def writable(loaded: Any, text: str) -> Any:
    """A JSON value that can be written: half a surrogate pair, legal in JSON, can go to no file and no terminal."""
    # Two quick looks first: the pattern alone costs as much as all of the parsing.
    may_hold = "\\" in text or not text.isascii()
    return _writable(loaded) if may_hold and _SURROGATE.search(text) else loaded


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_writable(item) for item in value]
    if isinstance(value, dict):
        return {_writable(key): _writable(item) for key, item in value.items()}
    return value


def describe(body: bytes) -> str:
    """A body that is no JSON, in words."""
    head = body.lstrip()[:64].lower()
    if not head:
        return "an empty body"
    if head.startswith(b"<"):
        return f"a page of HTML or XML ({len(body)} bytes)"
    return f"{len(body)} bytes that are no JSON"


def shown(body: bytes, secrets: tuple[str, ...] = ()) -> str:
    """A body for an error or a log: shortened, with every known secret and every secret-looking field removed."""
    text = body[:_READ].decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    if len(body) > _READ and secrets:
        # What the cut left of a secret is shorter than the secret.
        text = text[: len(text) - max(map(len, secrets))]
    text = CREDENTIALS.sub("//", _BEARER.sub(r"\1 …", _SECRET_FIELD.sub(r'\1"…"', text)))
    return text if len(text) <= _SHOWN and len(body) <= _READ else f"{text[:_SHOWN]}… ({len(body)} bytes)"
