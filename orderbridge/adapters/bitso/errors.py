"""
What Bitso's error codes mean to us, as data.

Source: Bitso API v3, "Error codes" pages, and the older single-page reference for codes up to 0376.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orderbridge.model.words import Word


class Meaning(Word):
    """
    What a code says about the request that got it.

    `nonce`, `credentials` and `permission` are told before the request is admitted. `refused` and the classes
    beside it (`invalid`, `funds`, `closed`, `too_many`) prove that nothing was done. `exists`: the client id is
    taken. `not_matched`: it exists without trades. `not_ready`: its trades cannot be read yet. `unclear`: it may
    have been done.
    """

    NONCE = "nonce"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    REFUSED = "refused"
    INVALID = "invalid"
    FUNDS = "funds"
    CLOSED = "closed"
    TOO_MANY = "too_many"
    EXISTS = "exists"
    NOT_FOUND = "not_found"
    NOT_MATCHED = "not_matched"
    NOT_READY = "not_ready"
    THROTTLED = "throttled"
    UNCLEAR = "unclear"


def _span(first: int, last: int) -> str:
    return " ".join(f"{code:04}" for code in range(first, last + 1))


# Every documented code once. What is not here is unclear.
_ROWS: Final[tuple[tuple[Meaning, str], ...]] = (
    (Meaning.NONCE, "0206 0207"),
    (Meaning.CREDENTIALS, "0201 0203 0204 0205 0208 0209 0210 0211 0214 0215 0326"),
    (Meaning.PERMISSION, "0202 0213 0216"),
    (Meaning.FUNDS, "0379 0601 0602"),
    (Meaning.INVALID, "0301 0302 0303 0304 0306 0307 0308 0309 0329 0360 0361 0372"),
    (Meaning.INVALID, f"{_span(401, 409)} 0412 0413"),
    (Meaning.CLOSED, "0410 0411 1008"),
    (Meaning.TOO_MANY, "1001"),
    (Meaning.EXISTS, "0356"),
    (Meaning.NOT_FOUND, "0312 0357 0380 1401"),
    (Meaning.NOT_MATCHED, "0378"),
    (Meaning.NOT_READY, "0377"),
    (Meaning.THROTTLED, "0801 0802"),
    (Meaning.REFUSED, f"0305 0310 0311 {_span(313, 325)} 0327 0328 {_span(330, 355)} 0358 0359"),
    (Meaning.REFUSED, f"{_span(362, 371)} 0374 0376 0381 0382"),
    (Meaning.REFUSED, f"{_span(501, 504)} 0506 {_span(701, 732)} 0901 1005"),
    (Meaning.REFUSED, "1201 1202 1299 1301 1302 1303"),
    (Meaning.UNCLEAR, f"0101 0102 0212 0373 0375 {_span(414, 418)}"),
    (Meaning.UNCLEAR, f"1000 1002 1003 1004 1006 1007 1009 {_span(1101, 1106)} 1402 {_span(1700, 1707)}"),
)
MEANINGS: Final[Mapping[str, Meaning]] = {code: meaning for meaning, codes in _ROWS for code in codes.split()}


def fold_code(code: object) -> str:
    """The four-character form: old answers carried a bare integer."""
    return str(code).strip().zfill(4)


def meaning_of(code: str) -> Meaning:
    """What a folded code means; `unclear` when we do not know it."""
    return MEANINGS.get(code, Meaning.UNCLEAR)
