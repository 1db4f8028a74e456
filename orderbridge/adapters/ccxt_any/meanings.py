"""
What an error of ccxt's proves about the request that got it: an allow-list of classes, held against status and words.

ccxt files an exchange's codes under its classes by what they are about and not by what they prove: under InvalidOrder
and BadRequest, and even AuthenticationError, stand time-outs and duplicates. Those classes refuse nothing by
themselves; an exchange's own codes, reviewed one by one in `overrides`, may.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from orderbridge.model.basics import Word

THROTTLE_STATUSES: Final = frozenset({418, 420, 429})
# The server gave up waiting, or would not look yet: what it had begun is not told.
_PASSING_STATUSES: Final = frozenset({408, 425})
_CREDENTIAL_STATUSES: Final = frozenset({401, 403})


class Meaning(Word):
    """
    What an error says about the request that got it.

    `credentials`, `permission`, `not_admitted`, `funds`, `invalid` prove that nothing was done. `exists`: the client id
    is taken. `not_matched`: the order exists without trades. `unclear`: it may have been done.
    """

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    NOT_ADMITTED = "not_admitted"
    FUNDS = "funds"
    INVALID = "invalid"
    EXISTS = "exists"
    NOT_FOUND = "not_found"
    NOT_MATCHED = "not_matched"
    THROTTLED = "throttled"
    UNSUPPORTED = "unsupported"
    UNCLEAR = "unclear"


REFUSING: Final = frozenset(
    {Meaning.CREDENTIALS, Meaning.PERMISSION, Meaning.NOT_ADMITTED, Meaning.FUNDS, Meaning.INVALID}
)
# By class name, the nearest of an exception's classes counts. What is not here is unclear.
MEANINGS: Final[Mapping[str, Meaning]] = {
    "AuthenticationError": Meaning.CREDENTIALS,
    "PermissionDenied": Meaning.PERMISSION,
    "AccountSuspended": Meaning.PERMISSION,
    "InsufficientFunds": Meaning.FUNDS,
    "DuplicateOrderId": Meaning.EXISTS,
    "OrderNotFound": Meaning.NOT_FOUND,
    "OrderNotCached": Meaning.UNCLEAR,
    "OrderImmediatelyFillable": Meaning.INVALID,
    "BadSymbol": Meaning.INVALID,
    "ArgumentsRequired": Meaning.UNSUPPORTED,
    "NotSupported": Meaning.UNSUPPORTED,
    "RateLimitExceeded": Meaning.THROTTLED,
    "DDoSProtection": Meaning.THROTTLED,
}
_PASSING: Final = re.compile(
    r"time[sd]?[\s_-]*out|busy|internal|\bagain\b|retry|processing|in[\s_-]process|pending|unavailable|overload"
    r"|unknown(?![\s_-]*(?:order(?!\s*stat)|symbol|asset|pair|market))|maintenance|network|\blater\b|too[\s_-]*many|frequent|unconfirmed|(?:system|server|service)[\s_-]*(?:error|abnormal)",
    re.IGNORECASE,
)
_DUPLICATE: Final = re.compile(
    r"duplicat|repeat|already[\s_-]*(?:been[\s_-]*)?(?:exist|used|in[\s_-]*use|taken|placed|submitted|sent|processed)",
    re.IGNORECASE,
)
# A number or a time that was used before belongs to one request, and says nothing of an order.
_NOT_AN_ORDER: Final = re.compile(r"nonce|timestamp", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(
    r"(?:invalid|incorrect|wrong|expired|revoked|missing|illegal|bad)[\s_-]*(?:(?:api|access)[\s_-]*)?"
    r"(?:key|signature|sign|token|credential)"
    r"|(?:(?:api|access)[\s_-]*key|signature)[^.{}]{0,40}?"
    r"(?:invalid|incorrect|expired|wrong|mismatch|not (?:valid|match|found|exist))"
    r"|un(?:authori[sz]ed|authenticated)|not[\s_-]authori[sz]ed|authentication[\s_-]*failed"
    r"|permission[\s_-]*denied|no[\s_-]permission|(?:don't|do not) have (?:the )?permission",
    re.IGNORECASE,
)


def is_passing(words: str, status: int | None = None) -> bool:
    """Whether an answer leaves open what became of its request: the exchange was busy, late, or does not know."""
    return status in _PASSING_STATUSES or _PASSING.search(words) is not None


def is_duplicate(words: str) -> bool:
    """Whether an answer says that the like of its request was there before."""
    return _DUPLICATE.search(words) is not None and _NOT_AN_ORDER.search(words) is None


def of_class(error: BaseException, *, words: str, status: int | None) -> Meaning:
    """
    What ccxt's class proves, where the exchange's own code is in no reviewed row.

    Args:
        words: the exchange's answer, without what it repeats of the request.
    """
    names = (kind.__name__ for kind in type(error).__mro__)
    meaning = next((MEANINGS[name] for name in names if name in MEANINGS), Meaning.UNCLEAR)
    if meaning in {Meaning.NOT_FOUND, Meaning.THROTTLED, Meaning.UNSUPPORTED}:
        return meaning
    if is_passing(words, status):
        return Meaning.UNCLEAR
    if meaning is Meaning.EXISTS or is_duplicate(words):
        return Meaning.EXISTS
    if meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION}:
        is_clear = status in _CREDENTIAL_STATUSES or _CREDENTIALS.search(words) is not None
        return meaning if is_clear else Meaning.UNCLEAR
    return meaning
