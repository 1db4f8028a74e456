"""
Client order ids: made here before anything is sent, sortable by time, recognisable as ours, with a check character.

Two letters of prefix, ten characters of epoch milliseconds, random ones, and one check character, in the 32 letters
and digits that are not mistaken for one another: 26 in all, and every venue's alphabet holds them.
"""

from __future__ import annotations

import os
import re
from typing import Final
from uuid import UUID

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIX: Final = "ob"
LENGTH: Final = 26
_TIME_LENGTH: Final = 10
# Of each letter: there are 32.
_BITS: Final = 5
_LETTER: Final = len(ALPHABET) - 1
# With fewer random characters than this, ids of one millisecond could meet.
_LEAST_RANDOM: Final = 5
SHORTEST: Final = len(PREFIX) + _TIME_LENGTH + _LEAST_RANDOM + 1
_VALUE: Final = {letter: value for value, letter in enumerate(ALPHABET)}
_KNOWN: Final = ALPHABET.encode()
# A letter for each byte, and for each letter its value, and the digits of twice that, added up.
_LETTERS: Final = _KNOWN * 8
_VALUES: Final = bytes.maketrans(_KNOWN, bytes(range(len(ALPHABET))))
_DOUBLED: Final = bytes.maketrans(_KNOWN, bytes(sum(divmod(2 * value, len(ALPHABET))) for value in _VALUE.values()))
# Of the 122 bits that are free in a UUID, those between prefix and check character take 115. The rest, and that their
# time is one of our century, tells ours.
_BODY_LENGTH: Final = LENGTH - len(PREFIX) - 1
_MARK: Final = 0b1011001 << _BITS * _BODY_LENGTH
_MOMENTS: Final = range(1 << 40, 1 << 42)
_LOWEST, _MIDDLE = 62, 12
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def mint(now: float, *, max_length: int = LENGTH) -> str:
    """
    A new client order id.

    Args:
        now: epoch seconds.
        max_length: of the venue; the random part is shortened to fit.

    Raises:
        ValueError: the venue's ids are too short to be unique.
    """
    length = min(LENGTH, max_length)
    if length < SHORTEST:
        raise ValueError(f"{max_length} characters are too few for a unique id; {SHORTEST} are needed")
    random = os.urandom(length - len(PREFIX) - _TIME_LENGTH - 1).translate(_LETTERS).decode()
    body = _encode(int(now * 1000), _TIME_LENGTH) + random
    return PREFIX + body + _check(body)


def is_ours(client_order_id: str) -> bool:
    """True of an id that was made by `mint`: by prefix, form and check character."""
    body, check = client_order_id[len(PREFIX) : -1], client_order_id[-1:]
    return (
        client_order_id.startswith(PREFIX)
        and SHORTEST <= len(client_order_id) <= LENGTH
        and all(letter in _VALUE for letter in body)
        and check == _check(body)
    )


def minted_at(client_order_id: str) -> float:
    """When one of our ids was made, in epoch seconds. ValueError: it is none of ours."""
    if not is_ours(client_order_id):
        raise ValueError(f"{client_order_id!r} was not made here")
    return _decode(client_order_id[len(PREFIX) :][:_TIME_LENGTH]) / 1000


def to_uuid(client_order_id: str) -> str | None:
    """A client order id for a venue that takes UUIDs only: ours as one, a UUID as it is, None for any other."""
    if not is_ours(client_order_id) or len(client_order_id) != LENGTH:
        return client_order_id if _UUID.fullmatch(client_order_id) else None
    value = _MARK | _decode(client_order_id[len(PREFIX) : -1])
    highest, middle = value >> _LOWEST + _MIDDLE, value >> _LOWEST & (1 << _MIDDLE) - 1
    lowest = value & (1 << _LOWEST) - 1
    return str(UUID(int=highest << 80 | 4 << 76 | middle << 64 | 2 << _LOWEST | lowest))


def from_uuid(text: str) -> str:
    """Our client order id behind a UUID; the text as it is where there is none."""
    if _UUID.fullmatch(text) is None:
        return text
    number = UUID(text).int
    middle, lowest = number >> 64 & (1 << _MIDDLE) - 1, number & (1 << _LOWEST) - 1
    value = (number >> 80 << _LOWEST + _MIDDLE | middle << _LOWEST | lowest) ^ _MARK
    if value >> _BITS * (_BODY_LENGTH - _TIME_LENGTH) not in _MOMENTS:
        return text
    body = _encode(value, _BODY_LENGTH)
    id = PREFIX + body + _check(body)
    return id if to_uuid(id) == text.lower() else text


def _decode(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * len(ALPHABET) + _VALUE[letter]
    return number


def _encode(number: int, length: int) -> str:
    return "".join([ALPHABET[number >> at & _LETTER] for at in range(_BITS * (length - 1), -1, -_BITS)])


def _check(body: str) -> str:
    # Luhn's scheme in base 32: it finds every single wrong character and nearly every swap of neighbours.
    total = sum(body[::-2].encode().translate(_DOUBLED)) + sum(body[-2::-2].encode().translate(_VALUES))
    return ALPHABET[-total % len(ALPHABET)]
