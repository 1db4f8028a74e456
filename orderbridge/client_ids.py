"""
Client order ids: made here before anything is sent, sortable by time, recognisable as ours, with a check character.

Two letters of prefix, ten characters of epoch milliseconds, random ones, and one check character, in the 32 letters
and digits that are not mistaken for one another: 26 in all, and every venue's alphabet holds them.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
PREFIX: Final = "ob"
LENGTH: Final = 26
_TIME_LENGTH: Final = 10
# Of each letter: there are 32.
_BITS: Final = 5
# With fewer random characters than this, ids of one millisecond could meet.
_LEAST_RANDOM: Final = 5
SHORTEST: Final = len(PREFIX) + _TIME_LENGTH + _LEAST_RANDOM + 1
_OURS: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ALPHABET.encode())
_VALUE: Final = {letter: value for value, letter in enumerate(ALPHABET)}


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
    random_length = length - len(PREFIX) - _TIME_LENGTH - 1
    body = _encode(int(now * 1000), _TIME_LENGTH) + _encode(secrets.randbits(_BITS * random_length), random_length)
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
    milliseconds = 0
    for letter in client_order_id[len(PREFIX) :][:_TIME_LENGTH]:
        milliseconds = milliseconds * len(ALPHABET) + _VALUE[letter]
    return milliseconds / 1000


def _encode(number: int, length: int) -> str:
    # Base 32 counts in whole bytes: the number is moved up to their end, and what pads it is cut off.
    bits = _BITS * length
    coded = base64.b32encode((number << -bits % 8).to_bytes((bits + 7) // 8))
    return coded[:length].translate(_OURS).decode()


def _check(body: str) -> str:
    # Luhn's scheme in base 32: it finds every single wrong character and nearly every swap of neighbours.
    size, total = len(ALPHABET), 0
    for position, letter in enumerate(reversed(body)):
        value = _VALUE[letter] * (1 if position % 2 else 2)
        total += value // size + value % size
    return ALPHABET[-total % size]
