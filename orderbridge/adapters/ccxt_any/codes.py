"""
The meaning of ccxt's exceptions: by the exchange's own code, its class and words, and by what had left.

ccxt files an exchange's codes under its classes by what they are about and not by what they prove: under InvalidOrder
and BadRequest, and even AuthenticationError, stand time-outs and duplicates. Those classes refuse nothing by
themselves; an exchange's own codes, reviewed one by one in `overrides`, may.

Exceptions of ccxt's carry a text only, and that text may hold a whole request: what is told from here on is cut and
searched for secrets, and no original is chained.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from orderbridge import errors
from orderbridge.adapters.ccxt_any.exchanges import Traits
from orderbridge.adapters.ccxt_any.watch import NO_REQUEST, Call, Sent, TooLate, class_names
from orderbridge.http.body import shown
from orderbridge.http.limits import LockedOut, NoPermit
from orderbridge.http.retry import retry_after
from orderbridge.venue.meanings import WRITE_ERRORS, Meaning, Said, rows_of

# Throttled without a word of how long.
LOCK_OUT: Final = 10.0
_THROTTLE_STATUSES: Final = frozenset({418, 420, 429})
# The server gave up waiting, or would not look yet: what it had begun is not told.
_PASSING_STATUSES: Final = frozenset({408, 425})
_CREDENTIAL_STATUSES: Final = frozenset({401, 403})
_REFUSING: Final = {Meaning.REFUSED, Meaning.INVALID, Meaning.FUNDS, Meaning.CLOSED, Meaning.TOO_MANY} | {
    *(Meaning.NOT_ADMITTED, Meaning.CREDENTIALS, Meaning.PERMISSION)
}
# By class name, the nearest of an exception's classes counts. What is not here is unclear.
_MEANINGS: Final = rows_of(
    (Meaning.CREDENTIALS, "AuthenticationError"),
    (Meaning.PERMISSION, "PermissionDenied AccountSuspended"),
    (Meaning.FUNDS, "InsufficientFunds"),
    (Meaning.EXISTS, "DuplicateOrderId"),
    (Meaning.NOT_FOUND, "OrderNotFound"),
    (Meaning.INVALID, "OrderImmediatelyFillable BadSymbol"),
    (Meaning.THROTTLED, "RateLimitExceeded DDoSProtection"),
)
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
# What ccxt raises by itself for an order that it would not make a request of.
_DENIALS: Final = frozenset({"InvalidOrder", "BadRequest", "ArgumentsRequired", "NotSupported", "InsufficientFunds"})
_NOT_FOR_ROWS: Final = frozenset({"error", "errors", "warning", "warnings", "err", "details"})
_URL_QUERY: Final = re.compile(r"(\b[a-z]{2,5}://[^\s?\"']*)\?[^\s\"']*", re.IGNORECASE)
_SIGNED: Final = re.compile(
    r"\b((?:signature|sign|sig|api_?key|access_?key|secret|token|passphrase|nonce|recvwindow)[\"']?\s*[=:]\s*[\"']?)[^\s&\"',}]+",
    re.IGNORECASE,
)


def is_passing(words: str, status: int | None = None) -> bool:
    """True if an answer leaves open what became of its request: the exchange was busy, late, or does not know."""
    return status in _PASSING_STATUSES or _PASSING.search(words) is not None


def is_duplicate(words: str) -> bool:
    """True if an answer says that the like of its request was there before."""
    return _DUPLICATE.search(words) is not None and _NOT_AN_ORDER.search(words) is None


def of_class(error: BaseException, *, words: str, status: int | None) -> Meaning:
    """
    The proof in ccxt's class, where the exchange's own code is in no reviewed row.

    Args:
        words: the exchange's answer, without what it repeats of the request.
    """
    names = (kind.__name__ for kind in type(error).__mro__)
    meaning = next((_MEANINGS[name] for name in names if name in _MEANINGS), Meaning.UNCLEAR)
    if meaning in {Meaning.NOT_FOUND, Meaning.THROTTLED}:
        return meaning
    if is_passing(words, status):
        return Meaning.UNCLEAR
    if meaning is Meaning.EXISTS or is_duplicate(words):
        return Meaning.EXISTS
    is_about_us = meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION}
    if is_about_us and status not in _CREDENTIAL_STATUSES and _CREDENTIALS.search(words) is None:
        return Meaning.UNCLEAR
    return meaning


class CcxtError(Exception):
    """An error that ccxt raised, by the name of its class and the text that is fit to be shown: a cause to look at."""


@dataclass(frozen=True, slots=True)
class CcxtCodes:
    """Judges failures at one exchange: its own codes before ccxt's classes, and no text but a redacted one."""

    secrets: tuple[str, ...]
    traits: Traits

    def text(self, error: BaseException) -> str:
        """The text of an error, fit to be shown: cut, without queries, signatures and secrets."""
        said = _SIGNED.sub(r"\1…", _URL_QUERY.sub(r"\1?…", str(error)))
        return shown(said.encode("utf-8", "replace"), self.secrets)

    def named(self, error: BaseException) -> str:
        """The name and text of an error, for showing. A time limit of ours is told in words, since it has no text."""
        if isinstance(error, (LockedOut, NoPermit, TooLate)):
            return str(error)
        if isinstance(error, TimeoutError) and not error.args:
            return "the time was over"
        said, name = self.text(error), type(error).__name__
        return f"{name}: {said}" if said else f"{name}, without a text"

    def stand_in(self, error: BaseException) -> CcxtError:
        """An error to chain in place of ccxt's own, whose text may hold a request."""
        return CcxtError(self.named(error))

    def _codes(self, sent: Sent) -> list[tuple[str, Meaning | None]]:
        """The text at each place of a code, and its reviewed meaning; of several texts, the one of them all."""
        found = []
        for path in self.traits.code_at:
            texts = [each for each in _at(sent.payload, path) if isinstance(each, (str, int)) and str(each).strip()]
            codes = [self._reviewed(str(each).strip()) for each in texts]
            if codes:
                meanings = {meaning for _, meaning in codes}
                found.append((", ".join(code for code, _ in codes), meanings.pop() if len(meanings) == 1 else None))
        return found

    def _reviewed(self, text: str) -> tuple[str, Meaning | None]:
        table = self.traits.refusals
        code = next((each for each in (text, text.zfill(4)) if each in table), text)
        patterns = (meaning for row, meaning in table.items() if "*" in row and fnmatchcase(text, row))
        return code, table.get(code) or next(patterns, None)

    def _known(self, sent: Sent) -> Meaning | None:
        return next((meaning for _, meaning in self._codes(sent) if meaning is not None), None)

    def _is_own(self, sent: Sent) -> bool:
        """True if a 500 is an answer of the exchange's own, by a code that was reviewed."""
        is_500 = self.traits.refuses_with_500 and sent.status == 500
        return is_500 and self._known(sent) not in (None, Meaning.UNCLEAR)

    def meaning(self, error: BaseException, sent: Sent, client_order_id: str | None = None) -> Meaning:
        """The meaning of an error that came with this answer, which may repeat the client id that was sent."""
        if sent.status in _THROTTLE_STATUSES:
            return Meaning.THROTTLED
        words = sent.body.replace(client_order_id, "") if client_order_id else sent.body
        known, by_class = self._known(sent), of_class(error, words=words, status=sent.status)
        # A code for whatever is wrong with a request may be one for an order that is not there.
        if known is None or by_class is Meaning.NOT_FOUND:
            return by_class
        if known in _REFUSING and is_passing("", sent.status):
            return Meaning.UNCLEAR
        return Meaning.EXISTS if known in _REFUSING and is_duplicate(words) else known

    def said(self, call: Call, *, client_order_id: str | None = None) -> Said:
        """The exchange's answer to the request that counts; a write is not to go out again."""
        error, sent = call.cause, call.last
        meaning = self.of_write(error, sent, client_order_id) if call.is_write else self.of_read(error, sent)
        stamp = None if call.is_write else "the next request has a nonce of its own"
        return self._said(error, sent, meaning, stamp=stamp)

    def _said(self, error: BaseException, sent: Sent, meaning: Meaning, stamp: object = None) -> Said:
        told, body = sent.payload, _SIGNED.sub(r"\1…", sent.body)
        return Said(
            key=meaning,
            code=next((code for code, _ in self._codes(sent)), None),
            text=self.named(error),
            keys=tuple(map(str, told)) if isinstance(told, dict) else (),
            status=sent.status or 0,
            retry_after=retry_after(sent.headers.get("retry-after"), now=time.time()),
            request_id=sent.headers.get("x-request-id"),
            body=shown(body.encode("utf-8", "replace"), self.secrets),
            stamp=stamp,
            is_own=self._is_own(sent),
        )

    def of_write(self, error: BaseException, sent: Sent, client_order_id: str | None) -> Meaning:
        """The meaning of an answer to a write. Only a whole, well-formed answer is a refusal."""
        meaning = self.meaning(error, sent, client_order_id)
        if meaning is Meaning.THROTTLED:
            return meaning
        is_clear = sent.payload is not None and _is_answer(error, sent)
        is_told = meaning in _REFUSING or (meaning is Meaning.EXISTS and client_order_id is not None)
        return meaning if is_clear and is_told else Meaning.UNCLEAR

    def of_read(self, error: BaseException, sent: Sent) -> Meaning:
        """The meaning of an answer to a read or a cancel: of these a plain refusal will do."""
        meaning, is_answer = self.meaning(error, sent), _is_answer(error, sent)
        if meaning is Meaning.THROTTLED:
            return meaning
        if meaning is Meaning.NOT_ADMITTED or type(error).__name__ == "InvalidNonce":
            return Meaning.NOT_ADMITTED
        if (sent.status or 500) >= 500 and not self._is_own(sent):
            return Meaning.UNCLEAR
        said = sent.payload
        # Some exchanges say so by an empty list, of which ccxt makes this error afterwards: but also of no list.
        is_miss = is_answer or is_list_answer(said, self.traits.order_rows_at)
        if meaning is Meaning.NOT_FOUND and said is not None and is_miss:
            return meaning
        if meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION} and is_answer:
            return meaning
        # ccxt's own class for what an exchange answers; OperationFailed says that it may pass.
        may_pass = meaning is Meaning.UNCLEAR and is_passing(sent.body, sent.status)
        if said is not None and is_answer and not may_pass and "ExchangeError" in class_names(error):
            return Meaning.REFUSED
        # What ccxt could not read it will not read a second time; a page in place of JSON may pass.
        return Meaning.UNEXPECTED if said is not None and sent.failed is None else Meaning.GARBLED

    def is_turned_away(self, call: Call) -> bool:
        """True if the exchange's own limiter stopped a write, and it is documented that nothing comes of that."""
        sent = call.last
        is_throttled = sent.status in _THROTTLE_STATUSES and _is_answer(call.cause, sent)
        return self.traits.turns_away and is_throttled and self._known(sent) is Meaning.THROTTLED

    def unsent(self, call: Call) -> errors.OrderBridgeError:
        """The order did not get in: by the lanes, by a request before it, or because ccxt would not build it."""
        error, before = call.error or call.cause, call.sent[-1] if call.sent else NO_REQUEST
        if isinstance(error, errors.NotSupported):
            return error  # ours, of what the account is
        made: errors.OrderBridgeError = self._not_sent(error)
        if not call.sent and not isinstance(error, (LockedOut, NoPermit, TooLate, TimeoutError)):
            made = self.unbuilt(error)
        elif before.left and before.failed is not None:
            made = self._unsent_after(error, before)
        elif before.left and before.payload is not None and class_names(error) & _DENIALS:
            # Not by itself: ccxt that could not read an answer before the order says nothing about the order.
            made = errors.OrderDenied(f"ccxt refused the order: {self.named(error)}", rule="ccxt")
        made.__cause__ = made.__cause__ or self.stand_in(error)
        return made

    def _unsent_after(self, error: BaseException, before: Sent) -> errors.OrderBridgeError:
        """The meaning of the request before the order for it."""
        meaning = self.meaning(error, before)
        said = self._said(error, before, meaning)
        if said.status and said.status_told < 500 and meaning in {Meaning.CREDENTIALS, Meaning.PERMISSION}:
            return WRITE_ERRORS[meaning](said.text, **said.facts(errors.Where()))
        made = self._not_sent(error)
        if said.status and meaning is Meaning.THROTTLED:
            seconds = LOCK_OUT if said.retry_after is None else said.retry_after
            made.__cause__ = errors.RateLimited(said.text, retry_after=seconds, **said.facts(errors.Where()))
        return made

    def _not_sent(self, error: BaseException) -> errors.NotSent:
        return errors.NotSent(f"nothing was sent: {self.named(error)}")

    def unbuilt(self, error: BaseException) -> errors.OrderBridgeError:
        """ccxt made no request at all of a call."""
        text, names = self.named(error), class_names(error)
        if names & {"AuthenticationError", "InvalidProxySettings", "ExchangeClosedByUser"}:
            return errors.ConfigurationError(text)
        if names & {"NotSupported", "ArgumentsRequired", "BadSymbol"}:
            return errors.NotSupported(f"ccxt cannot ask for this: {text}")
        if "NetworkError" in names or "OperationFailed" in names:
            return self._not_sent(error)
        return errors.OrderDenied(f"ccxt could not make a request of this: {text}", rule="ccxt")


def _is_answer(error: BaseException, sent: Sent) -> bool:
    """
    True if one of ccxt's errors is what the request was answered with.

    One that is raised after a good answer, or a bare KeyError, comes from code that could not read it.
    """
    return "BaseError" in class_names(error) and sent.status is not None and sent.failed is not None


def _at(said: Any, path: str) -> list[Any]:
    """The values at a dotted path: a number goes into a list, and a name into each of its rows."""
    values = [said]
    for name in path.split("."):
        if name.isdigit():
            values = [each[int(name)] for each in values if isinstance(each, list) and int(name) < len(each)]
        else:
            rows = [row for each in values for row in (each if isinstance(each, list) else [each])]
            values = [row[name] for row in rows if isinstance(row, dict) and name in row]
    return [value for each in values for value in (each if isinstance(each, list) else [each])]


def is_list_answer(said: Any, rows_at: tuple[str, ...] | None) -> bool:
    """
    True if an answer has a place for rows, be it empty: ccxt makes an empty list of an answer that has none.

    Args:
        rows_at: where the rows are (`()`: the answer is the list). None where that is not known: any list or mapping
            of rows will do, or an empty one that is not for errors.
    """
    if rows_at is None:
        return isinstance(said, list) or _has_place(said, 0)
    for name in rows_at:
        said = said.get(name) if isinstance(said, dict) else None
    return isinstance(said, (list, dict) if rows_at else list)


def _has_place(said: Any, depth: int) -> bool:
    if not isinstance(said, dict) or depth > 3:
        return False
    places = [value for name, value in said.items() if str(name).lower() not in _NOT_FOR_ROWS]
    return any(
        (isinstance(each, (list, dict)) and (not each or isinstance(each, list))) or _has_place(each, depth + 1)
        for each in places
    ) or (depth > 0 and bool(places) and all(isinstance(each, dict) for each in places))


def judge(said: Said, operation: str) -> Meaning:
    """The meaning of an answer: it is settled where ccxt's error is at hand."""
    return Meaning(said.key)
